#!/usr/bin/env bats
#
# Each call that makes the kernel choose a port, for each protocol and family, through each engine
# and in each order. Judged three times: by what the probe sees, by ss, and by what was on the wire.

load lib/helpers

# UDP-Lite: neither ss nor tcpdump know its ports, so they are read from /proc and from the packets.
lite_sockets() {
	ns cat /proc/net/udplite /proc/net/udplite6 | awk '$2 ~ /:/ { sub(/.*:/, "", $2); print $2 }' |
		while read -r hex; do
			[ "$hex" = 1E61 ] || echo $((16#$hex))
		done
}

lite_start() {
	ns_background tcpdump -i lo -nn -q -l -x --immediate-mode 'ip proto 136 or ip6 proto 136' \
		>lite 2>lite.err
	lite_pid=$pid
	wait_until grep -q 'listening on' lite.err
}

# The ports follow the header, which has 20 bytes in IPv4 and 40 in IPv6.
lite_stop() {
	wait_until grep -q 0x0010: lite
	kill -INT "$lite_pid"
	wait "$lite_pid" || true
	awk '/ IP / { line = "0x0010:"; word = 4 }
		/ IP6 / { line = "0x0020:"; word = 6 }
		$1 == line { print $word }' lite |
		while read -r hex; do
			echo $((16#$hex))
		done >wire_ports
}

# fenced_calls RANGE PROTO FAMILY [KEY=VALUE...]: the probe in a range, with more keys for the rule.
fenced_calls() {
	local range=$1 proto=$2 family=$3 low=${1%-*} high=${1#*-}
	shift 3
	{
		printf '[matrix]\nrange = %s\n' "$range"
		printf '%s\n' "$@"
	} >matrix.ini
	ns_background "$PROBES/matrix" serve 7777
	wait_tcp 7777
	wait_udp 7777
	if [ "$proto" = udplite ]; then
		lite_start
	else
		capture_start
	fi
	mkfifo hold
	# shellcheck disable=SC2016 # the inner shell expands it
	ns_background bash -c 'exec "$@" <hold >calls' - \
		${without:+"$PROBES/without"} "$PORTFENCE" run --config matrix.ini -- "$PROBES/matrix" "$proto" "$family" 7777
	exec 4>hold
	wait_until grep -q '^end$' calls
	if [ "$proto" = udplite ]; then
		lite_sockets >socket_ports
	else
		ns ss -Hntua "( sport >= :1024 and not sport = :7777 )" |
			awk '{ sub(/.*:/, "", $5); print $5 }' >socket_ports
	fi
	exec 4>&-
	wait "$pid"
	if [ "$proto" = udplite ]; then
		lite_stop
	else
		capture_stop
		ports_to 7777 >wire_ports
	fi
	sed -i '/^end$/d' calls
	cat calls
	# every line is "call proto family port 0"
	awk -v low="$low" -v high="$high" '
		NF != 5 || $5 != "0" || $4 < low || $4 > high { print "bad: " $0; bad = 1 }
		END { exit bad || NR < 5 }' calls
	all_within "$low" "$high" <socket_ports
	all_within "$low" "$high" <wire_ports
}

OUTSIDE=20000-20099
INSIDE=40000-40099

each_family() {
	local family
	for family in 4 6 mapped; do
		ns_close
		ns_open
		rm -f hold
		fenced_calls "$1" "$2" "$family" "${@:3}" || return 1
	done
}

@test "tcp: every call gets a port of a range outside the ephemeral range" {
	each_family $OUTSIDE tcp
}

@test "tcp: every call gets a port of a range inside the ephemeral range" {
	each_family $INSIDE tcp
}

@test "tcp: every call gets its port from the kernel engine when it is asked for" {
	each_family $INSIDE tcp 'engine = kernel'
}

@test "tcp: every call gets its port from the bind engine when it is asked for" {
	each_family $INSIDE tcp 'engine = bind'
}

@test "mptcp: every call gets a port of a range outside the ephemeral range" {
	each_family $OUTSIDE mptcp
}

@test "mptcp: every call gets a port of a range inside the ephemeral range" {
	each_family $INSIDE mptcp
}

@test "mptcp: every call gets its port from the kernel engine when it is asked for" {
	each_family $INSIDE mptcp 'engine = kernel'
}

@test "udp: every call gets a port of a range outside the ephemeral range" {
	each_family $OUTSIDE udp
}

@test "udp: every call gets a port of a range inside the ephemeral range" {
	each_family $INSIDE udp
}

@test "udp: every call gets its port from the kernel engine when it is asked for" {
	each_family $INSIDE udp 'engine = kernel'
}

@test "udplite: every call gets a port of a range, outside and inside the ephemeral range" {
	each_family $OUTSIDE udplite
	each_family $INSIDE udplite
	each_family $INSIDE udplite 'engine = kernel'
}

@test "on a kernel without IP_LOCAL_PORT_RANGE, every call gets a port" {
	without=1
	each_family $INSIDE tcp
	each_family $INSIDE mptcp
	each_family $INSIDE udp
	ns "$PROBES/without" "$PORTFENCE" run --config matrix.ini --log "$PWD/log" -- \
		"$PROBES/matrix" tcp 4 7777 </dev/null
	grep -q 'connect tcp4 .* engine=bind' log
	run grep 'engine=kernel' log
	[ "$status" = 1 ]
}

@test "sequential: every call gets a port" {
	each_family $OUTSIDE tcp 'order = sequential'
	each_family $OUTSIDE udp 'order = sequential'
}

@test "random: every call gets a port" {
	each_family $OUTSIDE tcp 'order = random'
	each_family $OUTSIDE udp 'order = random'
}

@test "random-simple: every call gets a port" {
	each_family $OUTSIDE tcp 'order = random-simple'
	each_family $OUTSIDE udp 'order = random-simple'
}

@test "hash: every call gets a port" {
	each_family $OUTSIDE tcp 'order = hash'
	each_family $OUTSIDE udp 'order = hash'
}

@test "double-hash: every call gets a port" {
	each_family $OUTSIDE tcp 'order = double-hash'
	each_family $OUTSIDE udp 'order = double-hash'
}

@test "random-increments: every call gets a port" {
	each_family $OUTSIDE tcp 'order = random-increments'
	each_family $OUTSIDE udp 'order = random-increments'
}

@test "a range with gaps and one of tcp's own are kept to" {
	printf '[matrix]\nrange = 20000-20099\ntcp.range = 21000-21004, 21010, 21012+30\n' >gaps.ini
	ns_background "$PROBES/matrix" serve 7777
	wait_tcp 7777
	run ns "$PORTFENCE" run --config gaps.ini -- "$PROBES/matrix" tcp 4 7777 </dev/null
	echo "$output"
	[ "$status" = 0 ]
	run grep -vE '^end$| (2100[0-4]|21010|210(1[2-9]|[2-3].|4[01])) 0$' <<<"$output"
	echo "$output"
	[ "$status" = 1 ]
	run ns "$PORTFENCE" run --config gaps.ini -- "$PROBES/matrix" udp 4 7777 </dev/null
	grep -v '^end$' <<<"$output" | awk '{ print $4 }' | all_within 20000 20099
}

@test "without the fence, the same calls leave the range" {
	ns_background "$PROBES/matrix" serve 7777
	wait_tcp 7777
	ns "$PROBES/matrix" tcp 4 7777 </dev/null >calls
	run all_within 20000 20099 < <(sed '/^end$/d' calls | awk '{ print $4 }')
	[ "$status" != 0 ]
}
