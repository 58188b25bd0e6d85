#!/usr/bin/env bats
#
# `portfence run` where a sandbox or an older kernel is in the supervisor's way: behind the filters of
# Docker, Podman and systemd, before Linux 5.19 and in gVisor, as probes/sandbox emulates them. As a user
# without rights, judged from the wire.

# shellcheck disable=SC2016,SC2030,SC2031,SC2034 # inner shells expand it; each test is a process of its own
bats_require_minimum_version 1.5.0
load lib/helpers
load lib/supervise

# There, a supervisor looks into programs, or makes their sockets (born.bats).
SERVED="docker podman systemd old"
# Where a listener can be had
LISTENERS="$SERVED docker-old"

setup_file() {
	build_static raw
}

setup() {
	supervise_setup
	VIA[auto]=auto
	VIA[lease]=auto
	RANGES[auto]=20000-20999
	RANGES[lease]=20000-20099
	LEASES[lease]=100
	chmod 1777 "$PORTFENCE_STATE"
}

# ends a daemon that a test has left
teardown() {
	[ ! -s "$PORTFENCE_STATE/daemon" ] || kill -KILL "$(cat "$PORTFENCE_STATE/daemon")" || true
	ns_close
}

# No lease is left.
none_leased() {
	as_nobody "$PORTFENCE" leases --json | grep -q '"leases": \[\]'
}

# A lease is taken in $SANDBOX, has its ports on the wire, and ends with a daemon that it leaves.
lasts() {
	judged lease "$install/matrix" tcp 4 7000
	wait_until none_leased
	as_nobody "${SANDBOX[@]}" "$PORTFENCE" run --lease 10 --pool 21000-21029 -- \
		sh -c 'setsid -f sh -c "echo \$\$ >\"\$PORTFENCE_STATE/daemon\"; exec sleep infinity" \
			</dev/null >/dev/null 2>&1 3>&-'
	wait_until test -s "$PORTFENCE_STATE/daemon"
	run -0 as_nobody "$PORTFENCE" leases
	grep -q '^21000-21009 ' <<<"$output"
	kill -KILL "$(cat "$PORTFENCE_STATE/daemon")"
	rm "$PORTFENCE_STATE/daemon"
	wait_until none_leased
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
		sandboxed "$name"
		judged auto "$install/matrix" tcp 4 7000
		judged auto "$install/matrix" udp 4 7000
	done
}

@test "in each sandbox that allows a listener, a lease can be taken and lasts as long as its run" {
	local name
	for name in $LISTENERS; do
		sandboxed "$name"
		lasts
	done
}

@test "there, an application with 'range = lease' has one, too" {
	local name
	printf '[portfence]\npool = 20000-20029\n[*]\nrange = lease 5\n' >lease.ini
	for name in $LISTENERS; do
		sandboxed "$name"
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
		sandboxed "$name"
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

@test "there, what holds the lease holds no descriptor of the program's" {
	local name
	mkfifo pipe
	chmod a+w pipe
	for name in $LISTENERS; do
		sandboxed "$name"
		as_nobody "${SANDBOX[@]}" "$PORTFENCE" run -q --lease 10 --pool 21000-21029 -- \
			sh -c 'setsid -f sh -c "echo \$\$ >\"\$PORTFENCE_STATE/daemon\"; exec sleep infinity" \
				</dev/null >/dev/null 2>&1 9>&-; echo begun >&9' 9>pipe >/dev/null 2>&1 3>&- &
		# it ends once nobody has descriptor 9
		run -0 timeout 20 cat pipe
		[ "$output" = begun ]
		wait_until test -s "$PORTFENCE_STATE/daemon"
		kill -KILL "$(cat "$PORTFENCE_STATE/daemon")"
		rm "$PORTFENCE_STATE/daemon"
		wait_until none_leased
	done
}

@test "there, static programs are served from a range inside the ephemeral one, too" {
	local name
	for name in $SERVED; do
		sandboxed "$name"
		called inside "$BATS_FILE_TMPDIR/raw-static" native
	done
}

@test "where there is a listener, static programs, raw calls and names are within the range" {
	local name
	for name in $SERVED; do
		sandboxed "$name"
		called auto "$BATS_FILE_TMPDIR/raw-static" native
		called auto "$install/raw" native
		resolves auto getent ahosts portfence.test
		within auto <wire_ports
	done
}

# ---- what is missing is said ----

# Where no supervisor serves, and what mends that, as a sandbox is known by
UNSERVED="docker-old systemd-old gvisor wsl"

# hinted [NAME=VALUE]... COMMAND...: with these marks of a sandbox alone
hinted() {
	as_nobody env -u INVOCATION_ID -u KUBERNETES_SERVICE_HOST "$@"
}

# warned TEXT COMMAND...: it goes well, and there is one line on standard error, which ends with the text
warned() {
	run -0 --separate-stderr "${@:2}"
	echo "$stderr"
	[ "${#stderr_lines[@]}" = 1 ]
	[[ $stderr = "portfence: warning: the library alone fences 'true', so its DNS queries, static programs and \
raw system calls take any port: "*"$1" ]]
}

@test "if no supervisor serves, run says so once, with the reason and what to do here" {
	local name
	local start=("$PORTFENCE" run --range 20000-20999)
	warned "the kernel has no filter with a supervisor, which Linux has since 5.9 and gVisor has not; use a newer \
kernel, or a container runtime other than runsc" hinted "$install/sandbox" gvisor "${start[@]}" true
	for name in $UNSERVED; do
		# its children say nothing more, and there is no line for a lease
		warned "" hinted "$install/sandbox" "$name" "${start[@]}" true
		run -0 --separate-stderr hinted "$install/sandbox" "$name" "${start[@]}" sh -c 'true; env true'
		[ "${#stderr_lines[@]}" = 1 ]
	done
	for name in $SERVED; do
		run -0 --separate-stderr hinted "$install/sandbox" "$name" "${start[@]}" true
		[ "$stderr" = "" ]
	done
}

@test "with --via preload, --quiet or warn = no, there is no such message" {
	local option
	printf '[portfence]\nwarn = no\n[*]\nrange = 20000-20999\n' >quiet.ini
	for option in '--range 20000-20999 --via preload' '--range 20000-20999 --quiet' '--range 20000-20999 -q' \
		'--config quiet.ini'; do
		# shellcheck disable=SC2086 # several words
		run -0 --separate-stderr hinted "$install/sandbox" gvisor "$PORTFENCE" run $option true
		echo "$stderr"
		[ "$stderr" = "" ]
	done
	sed -i 's/warn = no/warn = yes/' quiet.ini
	warned "" hinted "$install/sandbox" gvisor "$PORTFENCE" run --config quiet.ini true
	sed -i 's/warn = yes/warn = maybe/' quiet.ini
	run -125 as_nobody "$PORTFENCE" run --config quiet.ini true
	[[ $output = *"quiet.ini:2: 'maybe' is neither yes nor no" ]]
}

@test "with --strict, both or supervise, nothing is started there, and the message says what to do" {
	local name option
	for name in $UNSERVED; do
		for option in --strict '--via both' '--via supervise'; do
			# shellcheck disable=SC2086 # several words
			run -125 hinted INVOCATION_ID=1 "$install/sandbox" "$name" "$PORTFENCE" run --range 20000-20999 \
				$option -- touch "$PORTFENCE_STATE/started"
			echo "$output"
			[[ $output = "portfence: 'touch' cannot be supervised: "*"; "*", or go without a supervisor with \
'--via preload'" ]]
			[ ! -e "$PORTFENCE_STATE/started" ]
		done
		run -125 hinted INVOCATION_ID=1 "$install/sandbox" "$name" "$PORTFENCE" run --range 20000-20999 -- \
			"$BATS_FILE_TMPDIR/raw-static" native 9
		[[ $output = *", and it cannot be supervised: "*"; "*", or use a dynamically linked build of it" ]]
	done
	# where there is one, or the preload was asked for, it is no obstacle
	run -0 fenced auto "$PORTFENCE" run --strict --range 20000-20099 --via preload true
	sandboxed podman
	run -0 as_nobody "${SANDBOX[@]}" "$PORTFENCE" run --strict --range 20000-20999 true
}

@test "which and check say the same beforehand" {
	local why="the kernel has no filter with a supervisor, which Linux has since 5.9 and gVisor has not; \
use a newer kernel, or a container runtime other than runsc"
	local in=("$install/sandbox" gvisor)
	printf '[a]\nrange = 20000-20099\n' >some.ini
	run -0 hinted "${in[@]}" "$PORTFENCE" which --range 20000-20999 true
	[[ ${lines[-1]} = *"preload: what bypasses it is not fenced, as $why" ]]
	run -0 hinted "${in[@]}" "$PORTFENCE" check some.ini
	grep -qxF "some.ini: warning: the library alone fences what is run here, so DNS queries, static programs and \
raw system calls take any port: $why" <<<"$output"
	printf '[portfence]\nwarn = no\n' >>some.ini
	run -0 hinted "${in[@]}" "$PORTFENCE" check --strict some.ini
	grep -q '^some.ini: note: the library alone' <<<"$output"
	printf '[b]\nrange = 20100-20199\nvia = both\n' >>some.ini
	run -1 hinted "${in[@]}" "$PORTFENCE" check some.ini
	grep -qxF "some.ini:5: error: [b] has 'via = both', and cannot be supervised here: $why" <<<"$output"
	run hinted "$PORTFENCE" check some.ini
	run ! grep -qE 'supervised|library alone' <<<"$output"
}

# ---- leases without a listener ----

@test "if the kernel gives no listener, a lease can be had nevertheless, and lasts as long as its run" {
	local name
	for name in gvisor wsl systemd-old; do
		sandboxed "$name"
		lasts
	done
}

@test "if the processes of a run cannot be known, there is no lease, and the message says why" {
	sandboxed gvisor
	run -125 as_nobody prlimit --rss=1000000:1000000 "${SANDBOX[@]}" "$PORTFENCE" run --lease 10 --pool 20000-20029 -- true
	echo "$output"
	[[ $output = *"the lease of 'true' would not last as long as it runs: the limit RLIMIT_RSS, by which the \
processes of a run are known, may not be set here ('ulimit -Hm' is not unlimited, or a sandbox refuses it); run it \
without a lease, with '--range'" ]]
	run -125 as_nobody unshare -rpf "${SANDBOX[@]}" "$PORTFENCE" run --fresh --range 20000-20029 -- true
	echo "$output"
	[[ $output = *"'--fresh' needs a state of its own, and '$PORTFENCE_STATE' belongs to another user namespace; name \
another folder with PORTFENCE_STATE" ]]
	mkdir -m 700 own
	chown 65534 own
	PORTFENCE_STATE=$PWD/own
	run -125 as_nobody unshare -rpf "${SANDBOX[@]}" "$PORTFENCE" run --fresh --range 20000-20029 -- true
	echo "$output"
	[[ $output = *"the state of 'true' would not last as long as it runs: /proc does not show the processes of this \
PID namespace, so nothing tells when the run has ended; run it without '--fresh'" ]]
	none_leased
}
