#!/usr/bin/env bats
#
# Sixteen processes of four threads that connect, bind, listen and send in every way in a range of 500
# ports, close first or last, and are killed at random: no port from outside the range, no kind of
# error that the same does not get without the fence from a kernel range of 500 ports, no hang, no
# leak, and a shared state that is sound when all is over.
#
# SOAK_SECONDS: how long each run lasts. SOAK_RESULTS: the folder for what they have counted.
# `make soak` sets both.

bats_require_minimum_version 1.5.0
load lib/helpers

SECONDS_EACH=${SOAK_SECONDS:-20}
KERNEL_RANGE=40000-40499
BIND_RANGE=20000-20499

# The run that the others are held against.
setup_file() {
	cd "$BATS_FILE_TMPDIR" || return
	export results=${SOAK_RESULTS:-$BATS_FILE_TMPDIR}
	mkdir -p "$results"
	soak_plainly plain
}

# soak_plainly NAME: without the fence, in a namespace of its own
soak_plainly() {
	ns_open
	serve
	ns sh -c "echo $KERNEL_RANGE | tr - ' ' >/proc/sys/net/ipv4/ip_local_port_range"
	soak "$1" "$KERNEL_RANGE" || { cat errors; return 1; }
	ns_close
}

teardown_file() {
	[ -z "${SOAK_RESULTS:-}" ] || table >"$results/table"
}

# All runs side by side
table() {
	local name files=()
	for name in plain bind auto kernel; do
		[ ! -s "$results/$name" ] || files+=("$results/$name")
	done
	"$ROOT/test/soak/table" "${files[@]}"
}

serve() {
	ns_background "$PROBES/load" serve 7000 8
	wait_tcp 7000
}

# soak NAME RANGE COMMAND...: a run by COMMAND; what it has counted is in $results/NAME
soak() {
	local name=$1 range=$2
	shift 2
	ns "$@" "$BUILD/test/soak/soak" "$SECONDS_EACH" 16 4 "${range%-*}" "${range#*-}" \
		>"$results/$name" 2>errors
}

# Captures only what must not be: a first packet from outside the range. In an IPv6 packet, pcap's
# filter has no name for TCP's flags.
strays_start() {
	local syn='tcp[tcpflags] & (tcp-syn|tcp-ack) == tcp-syn'
	local syn6='ip6[6] == 6 and ip6[40 + 13] & 0x12 == 2'
	ns_background tcpdump -i lo -nn -q -l --immediate-mode \
		"not src portrange $1 and ($syn or ($syn6) or udp)" >strays 2>strays.err
	strays_pid=$pid
	wait_until grep -q 'listening on' strays.err
}

# Strays of our own, of each kind, show that the capture sees them.
strays_seen() {
	local one
	for one in TCP4:127.0.0.1 UDP4:127.0.0.1 'TCP6:[::1]' 'UDP6:[::1]'; do
		echo stray | ns socat -u - "$one:1,sourceport=9" 2>/dev/null || true
	done
	[ "$(grep -oE 'IP6? .*\.9 > .*\.1: (tcp|UDP)' strays | sort -u | wc -l)" = 4 ]
}

strays_stop() {
	wait_until strays_seen
	kill -INT "$strays_pid"
	wait "$strays_pid" || true
	grep -q '^0 packets dropped by kernel' strays.err
	run ! grep -vE '\.9 > .*\.1: |^$' strays
}

# What failed and how in these runs, one kind a line: "tcp connect EADDRNOTAVAIL"
kinds() {
	awk 'NF == 4 && $1 != "took" && $3 != "0" {
			what = $2 ~ /^(send|again)/ ? "udp send" : $2
			if (what !~ /^udp/)
				what = ($1 ~ /^udp/ ? "udp " : "tcp ") what
			print what, $3
		}' "$@" | sort -u
}

# How many of a hundred first calls of a run succeeded, for what the kernel's own choice serves as well
successes() {
	awk 'NF == 4 && ($1 ~ /^udp/ && $2 != "again" || $2 == "connect") && $1 != "tcp-refused" {
			key = $1 " " $2
			all[key] += $4
			if ($3 == "0")
				good[key] += $4
		}
		END { for (key in all) print key, int(100 * good[key] / all[key]) }' "$1" | sort
}

# What that run has got, and no plain run: a kind of error, or much more of them.
worse_than_plain() {
	local plain plains=("$results"/plain "$results"/plain.*)
	[ -e "${plains[1]}" ] || plains=("${plains[0]}")
	comm -13 <(kinds "${plains[@]}") <(kinds "$results/$1") | sed 's/^/errors that no plain run has got: /'
	for plain in "${plains[@]}"; do
		successes "$plain"
	done | awk '
		FILENAME == "-" { key = $1 " " $2; if (!(key in least) || $3 < least[key]) least[key] = $3; next }
		$3 < least[$1 " " $2] - 15 { print "fails more often: " $0 }' - <(successes "$results/$1")
}

# Nobody holds a port of the range but connections in TIME_WAIT.
nothing_held() {
	[ -z "$(ns ss -Htuan exclude time-wait "sport >= :${1%-*} and sport <= :${1#*-}")" ]
}

# A fresh network namespace has no connection, so every port serves the hottest destination, once the claims
# of whoever was killed have expired.
serves_all() {
	ns_close
	ns_open
	serve
	run -0 --separate-stderr ns "$PORTFENCE" run --config soak.ini --app soak -- "$PROBES/load" 7000 500 1 1 hold
	echo "$output $stderr"
	[ "$output $stderr" = "connected 500 " ]
}

# The file is whole, and whoever had a claim on a tuple when he was killed holds it no more.
state_is_sound() {
	local file=$PORTFENCE_STATE/soak.0
	[ "$(ls -A "$PORTFENCE_STATE")" = soak.0 ]
	[ "$(head -c 8 "$file")" = portfenc ]
	[ "$(number_at 8 "$file")" = "$(sed -n 's/^#define STATE_VERSION //p' "$ROOT/src/core/state.h")" ]
	[ "$(number_at 12 "$file")" = "$(stat -c %s "$file")" ]
	wait_until serves_all
	[ "$(ls -A "$PORTFENCE_STATE")" = soak.0 ]
}

number_at() {
	od -An -tu4 -j "$1" -N 4 "$2" | tr -d ' '
}

# soaks NAME RANGE ENGINE
soaks() {
	local name=$1 range=$2 engine=$3 plain_runs=1
	printf '[soak]\nrange = %s\nengine = %s\n' "$range" "$engine" >soak.ini
	serve
	strays_start "$range"
	soak "$name" "$range" "$PORTFENCE" run --config soak.ini -- || {
		cat errors "$results/$name"
		return 1
	}
	"$ROOT/test/soak/table" "$results/plain" "$results/$name"
	# neither the fence nor a worker has had anything to say, but for what uses the range up
	cat errors
	run ! grep -v 'warning: no port is left in the range, as closed connections hold some in TIME_WAIT' errors
	strays_stop
	wait_until nothing_held "$range"
	# processes were killed, and others came to their end
	grep -qE '^killed [1-9]' "$results/$name"
	grep -qE '^ended [1-9]' "$results/$name"
	# what befalls a plain run is chance, too: it may take more of them to see it all
	while [ -n "$(worse_than_plain "$name")" ] && [ "$plain_runs" -lt 5 ]; do
		plain_runs=$((plain_runs + 1))
		mkdir -p "plain.$plain_runs"
		(cd "plain.$plain_runs" && soak_plainly "plain.$plain_runs")
	done
	run worse_than_plain "$name"
	echo "$output"
	[ -z "$output" ]
	state_is_sound
}

@test "soak: a range outside the ephemeral range, bind engine" {
	soaks bind "$BIND_RANGE" bind
}

@test "soak: a range within the ephemeral range, the engine that is best for each call" {
	soaks auto "$KERNEL_RANGE" auto
}

@test "soak: a range within the ephemeral range, kernel engine" {
	soaks kernel "$KERNEL_RANGE" kernel
}
