#!/usr/bin/env bats
#
# Each call that makes the kernel choose a port, for each protocol and family, through each engine
# and in each order. Judged three times: by what the probe sees, by ss, and by what was on the wire.

load lib/helpers
load lib/calls

@test "tcp: every call gets a port of a range outside the ephemeral range" {
	each_family "$OUTSIDE" tcp
}

@test "tcp: every call gets a port of a range inside the ephemeral range" {
	each_family "$INSIDE" tcp
}

@test "tcp: every call gets its port from the kernel engine when it is asked for" {
	each_family "$INSIDE" tcp 'engine = kernel'
}

@test "tcp: every call gets its port from the bind engine when it is asked for" {
	each_family "$INSIDE" tcp 'engine = bind'
}

@test "mptcp: every call gets a port of a range outside the ephemeral range" {
	needs_mptcp
	each_family "$OUTSIDE" mptcp
}

@test "mptcp: every call gets a port of a range inside the ephemeral range" {
	needs_mptcp
	each_family "$INSIDE" mptcp
}

@test "mptcp: every call gets its port from the kernel engine when it is asked for" {
	needs_mptcp
	each_family "$INSIDE" mptcp 'engine = kernel'
}

@test "udp: every call gets a port of a range outside the ephemeral range" {
	each_family "$OUTSIDE" udp
}

@test "udp: every call gets a port of a range inside the ephemeral range" {
	each_family "$INSIDE" udp
}

@test "udp: every call gets its port from the kernel engine when it is asked for" {
	each_family "$INSIDE" udp 'engine = kernel'
}

@test "udplite: every call gets a port of a range, outside and inside the ephemeral range" {
	each_family "$OUTSIDE" udplite
	each_family "$INSIDE" udplite
	each_family "$INSIDE" udplite 'engine = kernel'
}

@test "on a kernel without IP_LOCAL_PORT_RANGE, every call gets a port" {
	fence=("$PROBES/no_range_option" "${fence[@]}")
	needs_mptcp
	each_family "$INSIDE" tcp
	each_family "$INSIDE" mptcp
	each_family "$INSIDE" udp
	ns "$PROBES/no_range_option" "$PORTFENCE" run --config matrix.ini --log "$PWD/log" -- \
		"$PROBES/matrix" tcp 4 7777 </dev/null
	grep -q 'connect tcp4 .* engine=bind' log
	run grep 'engine=kernel' log
	[ "$status" = 1 ]
}

@test "sequential: every call gets a port" {
	each_family "$OUTSIDE" tcp 'order = sequential'
	each_family "$OUTSIDE" udp 'order = sequential'
}

@test "random: every call gets a port" {
	each_family "$OUTSIDE" tcp 'order = random'
	each_family "$OUTSIDE" udp 'order = random'
}

@test "random-simple: every call gets a port" {
	each_family "$OUTSIDE" tcp 'order = random-simple'
	each_family "$OUTSIDE" udp 'order = random-simple'
}

@test "hash: every call gets a port" {
	each_family "$OUTSIDE" tcp 'order = hash'
	each_family "$OUTSIDE" udp 'order = hash'
}

@test "double-hash: every call gets a port" {
	each_family "$OUTSIDE" tcp 'order = double-hash'
	each_family "$OUTSIDE" udp 'order = double-hash'
}

@test "random-increments: every call gets a port" {
	each_family "$OUTSIDE" tcp 'order = random-increments'
	each_family "$OUTSIDE" udp 'order = random-increments'
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
