#!/usr/bin/env bats
#
# `portfence run` where a sandbox or an older kernel is in the supervisor's way: behind the filters of
# Docker, Podman and systemd, before Linux 5.19 and in gVisor, as probes/sandbox emulates them. As a user
# without rights, judged from the wire.

# shellcheck disable=SC2016,SC2030,SC2031,SC2034 # inner shells expand it; each test is a process of its own
bats_require_minimum_version 1.5.0
load lib/helpers
load lib/supervise

# Where a listener can be had, and where a supervisor may look, too.
LISTENERS="docker podman systemd old"
LOOKS="podman old"

setup_file() {
	chmod a+x "$BATS_RUN_TMPDIR" "$BATS_FILE_TMPDIR"
	cc -std=gnu11 -D_GNU_SOURCE -static -o "$BATS_FILE_TMPDIR/raw-static" "$BATS_TEST_DIRNAME/probes/raw.c"
}

setup() {
	supervise_setup
	VIA[auto]=auto
	VIA[lease]=auto
	RANGES[auto]=20000-20999
	RANGES[lease]=20000-20099
	LEASES[lease]=100
}

# No lease is left.
none_leased() {
	as_nobody "$PORTFENCE" leases --json | grep -q '"leases": \[\]'
}

@test "a sandbox of the tests refuses what it says, and nothing without one" {
	run -0 python3 -c 'import ctypes, os; libc = ctypes.CDLL(None, use_errno=True)
print(libc.syscall(438, os.pidfd_open(os.getpid()), 0, 0) < 0 and ctypes.get_errno())'
	[ "$output" = False ]
	run -0 "$install/sandbox" docker python3 -c 'import ctypes, os; libc = ctypes.CDLL(None, use_errno=True)
print(libc.syscall(438, os.pidfd_open(os.getpid()), 0, 0) < 0 and ctypes.get_errno())'
	[ "$output" = 1 ]
	run -2 "$install/sandbox" unknown true
}

@test "in each sandbox, a program that the library reaches has its ports from the range" {
	local name
	for name in $LISTENERS gvisor; do
		sandboxed $name
		judged auto "$install/matrix" tcp 4 7000
		judged auto "$install/matrix" udp 4 7000
	done
}

@test "in each sandbox that allows a listener, a lease is had and lasts as long as its run" {
	local name
	for name in $LISTENERS; do
		sandboxed $name
		judged lease "$install/matrix" tcp 4 7000
		wait_until none_leased
		as_nobody "${SANDBOX[@]}" "$PORTFENCE" run --lease 10 --pool 20000-20029 -- \
			sh -c 'setsid -f sh -c "echo \$\$ >\"\$PORTFENCE_STATE/daemon\"; exec sleep infinity" \
				</dev/null >/dev/null 2>&1 3>&-'
		wait_until test -s "$PORTFENCE_STATE/daemon"
		as_nobody "$PORTFENCE" leases | grep -q '^20000-20009 '
		kill -KILL "$(cat "$PORTFENCE_STATE/daemon")"
		rm "$PORTFENCE_STATE/daemon"
		wait_until none_leased
	done
}

@test "there, an application with 'range = lease' has one, too" {
	local name
	printf '[portfence]\npool = 20000-20029\n[*]\nrange = lease 5\n' >lease.ini
	for name in $LISTENERS; do
		sandboxed $name
		run -0 as_nobody "${SANDBOX[@]}" "$PORTFENCE" run --config lease.ini -- \
			python3 -c 'import socket; print(socket.create_server(("127.0.0.1", 0)).getsockname()[1])'
		tail -n 1 <<<"$output" | all_within 20000 20004
		wait_until none_leased
	done
}

@test "there, --fresh gives the same ports in each run" {
	local name first
	anew
	serve
	for name in $LISTENERS; do
		sandboxed $name
		capture_start
		as_nobody "${SANDBOX[@]}" "$PORTFENCE" run --fresh --range 20000-20999 -- \
			python3 -c 'import socket
for i in range(5): socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"", ("127.0.0.1", 7000))'
		capture_stop
		ports_to 7000 >ports
		[ "$(wc -l <ports)" = 5 ]
		all_within 20000 20999 <ports
		: "${first:=$(cat ports)}"
		[ "$(cat ports)" = "$first" ]
	done
}

@test "there, a supervisor that stops at socket() alone serves static programs" {
	local name
	for name in $LISTENERS; do
		sandboxed $name
		called births "$BATS_FILE_TMPDIR/raw-static" native
	done
}

@test "where a supervisor may look, static programs, raw calls and names are within the range" {
	local name
	for name in $LOOKS; do
		sandboxed $name
		called auto "$BATS_FILE_TMPDIR/raw-static" native
		called auto "$install/raw" native
		resolves auto getent ahosts portfence.test
		within auto <wire_ports
	done
}

@test "where the kernel gives no listener, no lease is had, and it is said why" {
	sandboxed gvisor
	run -125 as_nobody "${SANDBOX[@]}" "$PORTFENCE" run --lease 10 --pool 20000-20029 -- true
	echo "$output"
	[[ $output = *"would not last as long as it runs"* ]]
	wait_until none_leased
}
