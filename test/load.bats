#!/usr/bin/env bats
#
# 100,000 connects from 8 threads in 4 processes in a range of 100 ports, as fast as it goes and then
# at a steady rate: none from another port, and no error that the same load without the fence does not
# get from a kernel range of 100 ports.

load lib/helpers

# Captures only what must not be, so that no packet is too many.
strays_start() {
	ns_background tcpdump -i lo -nn -q -l --immediate-mode \
		"tcp[tcpflags] & (tcp-syn|tcp-ack) == tcp-syn and not src portrange $1" \
		>strays 2>strays.err
	strays_pid=$pid
	wait_until grep -q 'listening on' strays.err
}

# The kernel may choose a port of the range for it.
stray_seen() {
	ns bash -c 'exec 3<>/dev/tcp/127.0.0.1/1' 2>/dev/null || true
	grep -q '\.1: tcp' strays
}

strays_stop() {
	# a connect from outside the range shows that the capture sees them
	wait_until stray_seen
	kill -INT "$strays_pid"
	wait "$strays_pid" || true
	grep -q '^0 packets dropped by kernel' strays.err
	run grep -vE '\.1: tcp|^$' strays
	echo "$output"
	[ "$status" = 1 ]
}

serve() {
	ns_background "$PROBES/load" serve 7000
	wait_tcp 7000
}

# The errors of a line of counts, without their numbers.
errors_of() {
	grep -oE '\bE[A-Z]+' <<<"$1" | sort -u
}

connected_of() {
	grep -oE 'connected [0-9]+' <<<"$1" | cut -d' ' -f2
}

# plainly RANGE PORT CONNECTS MODE: the load without the fence, and its counts behind those in $plain
plainly() {
	serve
	ns sh -c "echo $1 | tr - ' ' >/proc/sys/net/ipv4/ip_local_port_range"
	plain+=" $(ns "$PROBES/load" "$2" "$3" 4 8 "$4")"
}

# Errors that the fenced load got, and no plain one
own_errors() {
	comm -23 <(errors_of "$fenced") <(errors_of "$plain")
}

# compare RANGE PORT CONNECTS MODE [--option...]: the load plain, then fenced
compare() {
	local range=$1 port=$2 connects=$3 mode=$4 plain='' turn
	fenced=
	shift 4
	plainly "$range" "$port" "$connects" "$mode"
	ns_close
	ns_open
	serve
	strays_start "$range"
	fenced=$(ns "$PORTFENCE" run --range "$range" "$@" -- "$PROBES/load" "$port" "$connects" 4 8 "$mode")
	strays_stop
	echo "plain:  $plain"
	echo "fenced: $fenced"
	# which errors a plain load gets is chance, too: it may take more of them to see it all
	for turn in 1 2 3 4; do
		[ -n "$(own_errors)" ] || break
		ns_close
		ns_open
		plainly "$range" "$port" "$connects" "$mode"
		echo "$turn more plain: $plain"
	done
	# no kind of error that the plain load did not get
	[ -z "$(own_errors)" ]
	fenced_connected=$(connected_of "$fenced")
}

@test "the server closes first: every connect of 33,600 succeeds (bind engine)" {
	compare 20000-20099 7000 33600 server
	[ "$fenced_connected" = 33600 ]
}

@test "the server closes first: every connect of 33,600 succeeds (kernel engine)" {
	compare 40000-40099 7000 33600 server
	[ "$fenced_connected" = 33600 ]
}

@test "the client closes first: 33,600 connects get no error but the kernel's own (bind engine)" {
	compare 20000-20099 7000 33600 client
	# at least one connection a port: a full range is no empty promise
	[ "$fenced_connected" -ge 100 ]
}

@test "the client closes first: 33,600 connects get no error but the kernel's own (kernel engine)" {
	compare 40000-40099 7000 33600 client
	[ "$fenced_connected" -ge 100 ]
}

@test "nobody listens: 33,600 connects are refused, and not one fails otherwise (bind engine)" {
	compare 20000-20099 7001 33600 refused
	[ "$fenced" = "connected 0 ECONNREFUSED 33600" ]
}

@test "nobody listens: 33,600 connects are refused, and not one fails otherwise (kernel engine)" {
	compare 40000-40099 7001 33600 refused
	[ "$fenced" = "connected 0 ECONNREFUSED 33600" ]
}

# at_rate NAME RANGE MODE COMMAND...: 20,000 connects a minute for 15 s, in the background and in a
# namespace of their own; what became of them is in the file NAME
at_rate() {
	local name=$1 range=$2 mode=$3
	shift 3
	(
		ns_open
		trap ns_close EXIT
		mkdir "$name.d"
		cd "$name.d" || exit
		serve
		[ "$name" = plain ] || strays_start "$range"
		ns "$@" "$PROBES/load" 7000 4992 4 8 "$mode" 333 >"../$name"
		[ "$name" = plain ] || strays_stop
	) 3>&- &
	sides+=($!)
}

# Three sides at the same time
run_at_rate() {
	local side sides=()
	# shellcheck disable=SC2016 # the inner shell expands it
	at_rate plain 40000-40099 "$1" \
		sh -c 'echo 40000 40099 >/proc/sys/net/ipv4/ip_local_port_range; exec "$@"' -
	at_rate kernel 40000-40099 "$1" "$PORTFENCE" run --range 40000-40099 --
	at_rate bind 20000-20099 "$1" "$PORTFENCE" run --range 20000-20099 --
	for side in "${sides[@]}"; do
		wait "$side"
	done
	tail -n 1 plain kernel bind
}

# Both fenced sides got what the plain one got: no other error, and none more often, but for what the
# clock's ticks may do.
is_as_plain() {
	local side plain
	plain=$(connected_of "$(cat plain)")
	for side in kernel bind; do
		[ -z "$(comm -23 <(errors_of "$(cat "$side")") <(errors_of "$(cat plain)"))" ] || return 1
		[ "$(connected_of "$(cat "$side")")" -ge $((plain - plain / 10)) ] || return 1
	done
}

# The range is used up, or nothing was compared.
is_used_up() {
	grep -q EADDRNOTAVAIL plain
}

# compare_at_rate MODE [CONDITION]: how many find a port in a full range is a matter of time, and which
# side the machine gives less time is chance. A difference that comes of the fence is there each time.
compare_at_rate() {
	local turn
	for turn in 1 2 3 4 5; do
		rm -rf plain.d kernel.d bind.d
		run_at_rate "$1"
		! is_as_plain || ! "${2:-true}" || return 0
	done
	return 1
}

@test "20,000 connects a minute through 100 ports, the client closes first: the errors are the kernel's own, and no more" {
	compare_at_rate client is_used_up
}

@test "20,000 connects a minute through 100 ports, the server closes first: not one fails" {
	compare_at_rate server
	grep -qx 'connected 4992' plain
}
