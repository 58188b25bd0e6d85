# Helpers of all Bats files. Each test gets a network namespace, a temporary folder and a state
# folder of its own; whatever it starts ends with it.
#
#   load lib/helpers          at the top of a file
#   ns COMMAND...             run a command in the test's namespace
#   ns_background COMMAND...  likewise, in the background; its process id is in $pid
#   wait_tcp PORT [ADDRESS]   wait until somebody listens there (wait_udp likewise)
#   wait_line REGEX FILE      wait until the process $pid has written such a line; fails once it has ended without one
#   capture_start [FILTER]    capture on loopback, ready when it returns
#   capture_stop              end it; what was seen is in $capture, one line a packet
#   install_for_all           a copy of what is built where other users can reach it, in $install
#   as_nobody COMMAND...      run a command there as another user, who sees nothing of root's
#   comes_through_eval SHELL  odd characters in paths are unharmed where SHELL evaluates env's lines
#   patch FILE OFFSET BYTE... write bytes, in octal
#   verbs, options VERB       what --help lists, one a line
#
# lib/machine, which it loads, says why a test is skipped.
#
# shellcheck disable=SC2034 # the tests use them

ROOT=$(cd "$BATS_TEST_DIRNAME/.." && pwd)
BUILD=${BUILD:-$ROOT/build}
LIBRARY=$BUILD/libportfence.so
PORTFENCE=$BUILD/portfence
PROBES=$BUILD/test/probes

# shellcheck source=test/lib/machine.bash
. "${BASH_SOURCE[0]%/*}/machine.bash"

# What a developer's shell has set must not leak into the tests.
unset LD_PRELOAD "${!PORTFENCE_@}" "${!PYTHON@}" XDG_CONFIG_HOME 2>/dev/null || true

# A namespace lives as long as the process that holds it.
ns_open() {
	unshare -n sleep infinity 3>&- &
	NS_PID=$!
	PIDS=()
	until [ "$(readlink "/proc/$NS_PID/ns/net" 2>/dev/null)" != "$(readlink /proc/self/ns/net)" ] &&
		[ "$(cat "/proc/$NS_PID/comm" 2>/dev/null)" = sleep ]; do
		kill -0 "$NS_PID" || return 1
	done
	ns ip link set lo up
}

ns_close() {
	local one
	for one in "${PIDS[@]}" "$NS_PID"; do
		kill "$one" 2>/dev/null || true
		wait "$one" 2>/dev/null || true
	done
}

ns() {
	nsenter -t "$NS_PID" -n -- "$@"
}

ns_background() {
	# descriptor 3 is Bats' own: who holds it open keeps Bats waiting
	nsenter -t "$NS_PID" -n -- "$@" 3>&- &
	pid=$!
	PIDS+=("$pid")
}

# Waiting for an event, not for a time: asks again until it is so. The limit, which a busy machine
# never comes near, only ends a test that would wait forever.
wait_until() {
	local deadline=$((SECONDS + 600))
	until "$@"; do
		if ((SECONDS > deadline)); then
			echo "waited in vain for: $*" >&2
			return 1
		fi
	done
}

# wait_line REGEX FILE: returns once a line of FILE matches, or fails once process $pid has ended and none does
wait_line() {
	wait_until line_or_end "$1" "$2"
	grep -q -- "$1" "$2" || {
		echo "process $pid has ended without a line '$1' in '$2'" >&2
		cat "$2" >&2
		return 1
	}
}

line_or_end() {
	grep -qs -- "$1" "$2" || ! kill -0 "$pid" 2>/dev/null
}

has_tcp() {
	ns ss -Hltn "sport = :$1" | grep -q .
}

has_udp() {
	ns ss -Hlun "sport = :$1" | grep -q .
}

wait_tcp() {
	wait_until has_tcp "$1"
}

wait_udp() {
	wait_until has_udp "$1"
}

capture_says() {
	grep -q "$1" "$BATS_TEST_TMPDIR/capture.err"
}

capture_has() {
	grep -q "$1" "$BATS_TEST_TMPDIR/capture"
}

# Port 9 (discard) is the capture's own: its packets mark the end.
capture_start() {
	capture=$BATS_TEST_TMPDIR/capture
	ns_background tcpdump -i lo -nn -q -l --immediate-mode -s 128 -B 16384 ${1:+"($1) or udp dst port 9"} \
		>"$capture" 2>"$capture.err"
	capture_pid=$pid
	wait_until capture_says 'listening on'
}

capture_stop() {
	ns bash -c 'echo end >/dev/udp/127.0.0.1/9'
	wait_until capture_has '\.9: UDP'
	kill -INT "$capture_pid"
	wait "$capture_pid" || true
	grep -q '^0 packets dropped by kernel' "$capture.err"
	sed -i '/\.9: UDP/d; /unreachable/d' "$capture"
}

# Source ports of all packets that went to port $1 (TCP and UDP), one a line, each once.
ports_to() {
	sed -nE "s/^.* IP6? [^ ]+\.([0-9]+) > [^ ]+\.$1: .*/\1/p" "$capture" | sort -nu
}

# Fails unless there is at least one number on standard input, and all are in $1 to $2.
all_within() {
	awk -v low="$1" -v high="$2" '
		{ n++; if ($1 + 0 < low || $1 + 0 > high) { print "out of range: " $1; bad = 1 } }
		END { if (!n) print "no port was seen"; exit bad || !n }'
}

verbs() {
	"$PORTFENCE" --help | sed -n '/^verbs:/,/^$/s/^  \([a-z]*\) .*/\1/p'
}

# Long options without the dashes: "config FILE", "json"
options() {
	"$PORTFENCE" "$1" --help |
		sed -nE 's/^  (-[a-z], )?--([a-z-]+( [A-Z]+|\[=[A-Z]+\])?)( .*|$)/\2/p'
}

# Lets other users reach portfence and the test's folder, wherever the build is.
install_for_all() {
	chmod a+x "$BATS_RUN_TMPDIR" "$BATS_RUN_TMPDIR/test" "$BATS_TEST_TMPDIR"
	install=$BATS_TEST_TMPDIR/install
	mkdir "$install"
	cp "$PORTFENCE" "$LIBRARY" "$PROBES/spawn" "$install"
	PORTFENCE=$install/portfence
	LIBRARY=$install/libportfence.so
}

# build_static PROBE...: for setup_file. Links the probes to nothing that is loaded later, where other users can reach
# them: $BATS_FILE_TMPDIR/PROBE-static
build_static() {
	local probe
	chmod a+x "$BATS_RUN_TMPDIR" "$BATS_FILE_TMPDIR"
	for probe in "$@"; do
		cc -std=gnu11 -D_GNU_SOURCE -static -pthread -o "$BATS_FILE_TMPDIR/$probe-static" \
			"$BATS_TEST_DIRNAME/probes/$probe.c"
	done
}

AS_NOBODY=(setpriv --reuid 65534 --regid 65534 --clear-groups)

as_nobody() {
	chmod 1777 "$PORTFENCE_STATE"
	ns "${AS_NOBODY[@]}" "$@"
}

# comes_through_eval SHELL: odd characters in paths are unharmed where SHELL evaluates env's lines
comes_through_eval() {
	local folder=$PWD$'/a b\'c"d$HOME`echo e`\\f\n*g;h'
	mkdir "$folder"
	printf '[alpha]\nrange = 20000-20099\n' >"$folder/sections.ini"
	# shellcheck disable=SC2016 # the inner shell expands it
	ns "$1" -c 'cd "$2" && eval "$("$1" env alpha --config sections.ini --log "l o.log")" &&
		printf "%s|%s" "$PORTFENCE_CONFIG" "$PORTFENCE_LOG" >"$3" && cd / && "$4" child' \
		"$1" "$PORTFENCE" "$folder" "$PWD/said" "$PROBES/spawn" |
		sed -n 's/^port //p' | all_within 20000 20099
	[ "$(cat said)" = "$folder/sections.ini|$folder/l o.log" ]
	rm -r "$folder"
}

patch() {
	local file=$1 offset=$2
	shift 2
	# shellcheck disable=SC2059 # the bytes are a format
	printf "$(printf '\\%s' "$@")" | dd of="$file" bs=1 seek="$offset" conv=notrunc status=none
}

common_setup() {
	export PORTFENCE_STATE=$BATS_TEST_TMPDIR/state
	mkdir -p "$PORTFENCE_STATE"
	chmod 700 "$PORTFENCE_STATE"
	export XDG_CONFIG_HOME=$BATS_TEST_TMPDIR/config
	cd "$BATS_TEST_TMPDIR" || return
	ns_open
}

setup() {
	common_setup
}

teardown() {
	ns_close
}

# python_code CODE: writes code.py, with what every test of a rule needs
python_code() {
	cat >code.py <<-END
		import errno, os, socket, sys
		def tcp(*options):
		    s = socket.socket()
		    for option in options: s.setsockopt(socket.SOL_SOCKET, option, 1)
		    return s
		def udp(): return socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
		def port(s): return s.getsockname()[1]
		def error(call, *arguments):
		    try: call(*arguments)
		    except OSError as e: return errno.errorcode[e.errno]
		    return "ok"
		$1
	END
	sed -i 's/^\t*//' code.py
}
