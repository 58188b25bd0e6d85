#!/usr/bin/env bats
#
# Programs that lock themselves in: by a seccomp filter of their own, which forbids what they do not need,
# and by forbidding others to look into them. What is none of ours is made as it is.

# shellcheck disable=SC2016 # inner shells expand their own words
bats_require_minimum_version 1.5.0
load lib/helpers

LOW=20000
HIGH=20099

setup() {
	common_setup
	ns_background "$PROBES/matrix" serve 7777
	wait_tcp 7777
}

# others FILE: what strace has seen beside the calls that were marked, and their number in $marked
others() {
	sed -E 's/^([0-9]+) +/\1 /' "$1" | awk '
		$2 ~ /^write\(-1,/ && /"end"/ { print line[$1]; delete line[$1]; next }
		$2 ~ /^write\(-1,/ { split($0, part, "\""); line[$1] = part[2]; next }
		/<\.\.\. .* resumed>/ || !($1 in line) { next }
		{ name = $2; sub(/\(.*/, "", name); line[$1] = line[$1] " " name }' >calls
	marked=$(wc -l <calls)
	awk '{ call = $1; sub(/-near$/, "", call) } NF != 2 || $2 != call' calls
}

@test "on a socket that is neither IPv4 nor IPv6, a hook makes the program's own call and no other" {
	local how
	skip_missing strace
	for how in '' thread; do
		# shellcheck disable=SC2086 # no argument, or one
		ns strace -f -o trace -E LD_PRELOAD="$LIBRARY" -E PORTFENCE_RANGE=$LOW-$HIGH \
			"$PROBES/foreign_calls" $how
		run others trace
		[ "$output" = "" ]
		# shellcheck disable=SC2086
		ns strace -f -o trace "$PORTFENCE" run --via both --range $LOW-$HIGH -- "$PROBES/foreign_calls" $how
		run others trace
		[ "$output" = "" ]
		others trace
		[ "$marked" -ge 25 ]
	done
}

# own_filter WAY ACTION SET CALL: it ends well, and its port is in the range
own_filter() {
	ns "$PORTFENCE" run --via "$1" --range $LOW-$HIGH -- "$PROBES/own_filter" "${@:2}" 7777 >said
	case $4 in
	ipc*) grep -qx "$4 0" said ;;
	*) cut -d ' ' -f 2 said | all_within $LOW $HIGH ;;
	esac
}

@test "a program whose own filter kills it for our questions talks to its broker, in every way" {
	local way action set call
	for way in preload supervise both; do
		for action in kill errno; do
			for set in prctl seccomp; do
				for call in ipc ipc-forked ipc-thread ipc-named; do
					own_filter $way $action $set $call || { echo "$way $action $set $call"; return 1; }
				done
			done
		done
	done
}

@test "a program whose own filter kills it for our questions gets its ports from the supervisor" {
	local way action set call
	for way in supervise both; do
		for action in kill errno; do
			for set in prctl seccomp; do
				for call in connect connect-reuse connect-reuseport sendto sendmsg listen; do
					own_filter $way $action $set $call || { echo "$way $action $set $call"; return 1; }
				done
			done
		done
	done
}

@test "without a supervisor, a program with a filter of its own gets ports for sockets that need no question" {
	local action set call
	for action in kill errno; do
		for set in prctl seccomp; do
			for call in connect connect-reuse sendto sendmsg listen; do
				own_filter preload $action $set $call || { echo "$action $set $call"; return 1; }
			done
		done
	done
}

@test "without a supervisor, a socket that a filter forbids to ask about gets no port, and a line says why" {
	local rc=0
	ns "$PORTFENCE" run --via preload --range $LOW-$HIGH -- \
		"$PROBES/own_filter" errno prctl connect-reuseport 7777 2>line || rc=$?
	[ "$rc" = 2 ]
	# the file is written to without what the filter forbids
	grep 'the kernel does not tell what a socket is' line
}

@test "a program that nobody may look into talks over UNIX sockets as without the fence" {
	local way
	install_for_all
	cp "$PROBES/own_filter" "$install"
	cd "$install" && chmod 1777 .
	for way in preload both; do
		as_nobody "$install/portfence" run --via $way --range $LOW-$HIGH -- \
			"$install/own_filter" errno prctl ipc-closed >"$BATS_TEST_TMPDIR/said"
		grep -qx 'ipc-closed 0' "$BATS_TEST_TMPDIR/said"
	done
}

@test "a program that nobody may look into is fenced by its library, even if threads begin at once" {
	install_for_all
	cp "$PROBES/at_once" "$install"
	run -0 as_nobody sh -c '"$@" 2>&1 | cat' - "$install/portfence" run --range 20000-29999 -- \
		sh -c 'for i in $(seq 200); do "$1" 7777 4 closed; done' - "$install/at_once"
	echo "$output"
	[ -z "$output" ]
}

@test "a program that nobody may look into, and that no preload reaches, is told why it gets no port" {
	install_for_all
	cp "$PROBES/own_filter" "$install"
	cd "$install" && chmod 1777 .
	run as_nobody sh -c '"$@" 2>&1 | cat' - "$install/portfence" run --via supervise --range $LOW-$HIGH -- \
		"$install/own_filter" errno prctl closed 7777
	echo "$output"
	[ "$(grep -c 'the supervisor may not look into this process' <<<"$output")" = 1 ]
	grep -q 'closed: Permission denied' <<<"$output"
}

@test "where its standard error cannot be opened anew, syslog is told why it gets no port" {
	install_for_all
	cp "$PROBES/own_filter" "$install"
	cd "$install" && chmod 1777 .
	cat >journal.py <<-'END'
		import os, socket, subprocess, sys
		log = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
		log.bind("/dev/log")
		os.chmod("/dev/log", 0o666)
		log.settimeout(600)
		kept = socket.socketpair()
		foreign = os.pipe()
		for errors in kept[0], foreign[1]:
		    subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, stderr=errors)
		    print(log.recv(65536).decode())
		# a file is not opened anew, but kept
		file = open("/dev/errors", "w+", opener=lambda name, flags: os.open(name, flags, 0o600))
		subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, stderr=file)
		file.seek(0)
		print("<28>" + file.readline(), end="")
	END
	# a /dev of the test's own, where anybody may write to the log
	run -0 ns unshare -m sh -c 'mount -t tmpfs none /dev && mknod -m 666 /dev/null c 1 3 && exec "$@"' - \
		python3 journal.py "${AS_NOBODY[@]}" "$install/portfence" run --via supervise --range $LOW-$HIGH -- \
		"$install/own_filter" errno prctl closed 7777
	echo "$output"
	[ "${#lines[@]}" = 3 ]
	for line in "${lines[@]}"; do
		[[ $line == "<28>"*": error: the supervisor may not look into this process"* ]]
	done
}
