#!/usr/bin/env bats
#
# `bind = own` and `bind = deny`, held by the kernel (Landlock) against a program that passes by both the
# library and the supervisor. Each program is judged from outside, by ss.

# shellcheck disable=SC2016,SC2034,SC2094 # inner shells expand it; helpers read it; the command line is an input
bats_require_minimum_version 1.5.0
load lib/helpers
load lib/calls
load lib/which

PYTHON=/usr/bin/python3

setup_file() {
	build_static breakout
}

setup() {
	common_setup
	needs_landlock
	install_for_all
	cp "$PROBES"/{breakout,rights,raw} "$install"
	chmod 1777 "$PORTFENCE_STATE"
	rule 'bind = own'
}

# rule KEY=VALUE...: the section [app], in which io_uring is a way past the supervisor
rule() {
	printf '[app]\nrange = 20000-20009\nio-uring = allow\n' >app.ini
	printf '%s\n' "$@" >>app.ini
}

# app [OPTION...] -- COMMAND...: by the user in $user
app() {
	ns "${user[@]}" "$PORTFENCE" run --config app.ini --app app "$@"
}

# breaks_out PROGRAM WAY PROTOCOL PORT: what the hostile program says, in $said, and whether a socket
# was on the port while it ran, in $seen
breaks_out() {
	rm -f hold said
	mkfifo hold
	# shellcheck disable=SC2016 # the inner shell expands it
	ns_background "${user[@]}" sh -c 'exec "$@" <hold' - "$PORTFENCE" run --config app.ini --app app -- "$@" \
		>said
	exec 4>hold
	wait_until grep -q . said
	said=$(cat said)
	seen=$(ns ss -Htuan "sport = :$4" | wc -l)
	exec 4>&-
	wait "$pid"
}

# for_each_user COMMAND...: as root and as another user
for_each_user() {
	user=()
	"$@"
	user=("${AS_NOBODY[@]}")
	"$@"
}

each_hostile_program() {
	local program way policy
	for program in "$install/breakout" "$BATS_FILE_TMPDIR/breakout-static"; do
		for way in call gate uring; do
			# a static program is not given the gate's address where no preload reaches it
			[ "$way$program" != "gate$BATS_FILE_TMPDIR/breakout-static" ] || continue
			rule "bind = allow"
			breaks_out "$program" "$way" tcp 5555
			echo "$program $way allow: $said $seen"
			# this kernel has no such way
			[[ "$said" != "no "* && "$said" != "bind EINVAL" ]] || continue
			[ "$said $seen" = "bind 0 1" ]
			for policy in own deny; do
				rule "bind = $policy"
				breaks_out "$program" "$way" tcp 5555
				echo "$program $way $policy: $said $seen"
				[ "$said $seen" = "bind EACCES 0" ]
			done
		done
	done
}

@test "a hostile program cannot bind over TCP to a port outside the range, whoever it is" {
	for_each_user each_hostile_program
}

forge_gate() {
	# a shell that the library reaches starts a static program, which puts its own code at the gate
	rm -f said
	# shellcheck disable=SC2016 # the inner shell expands it
	app -- sh -c '"$1" gate tcp 5555; "$1" gate tcp 20003' - "$BATS_FILE_TMPDIR/breakout-static" </dev/null >said
	cat said
	[ "$(xargs <said)" = "$1" ] || [ "$(xargs <said)" = "no gate no gate" ]
}

@test "a static program that forges the library's gate cannot either" {
	rule 'bind = allow'
	for_each_user forge_gate "bind 0 bind 0"
	rule 'bind = own'
	for_each_user forge_gate "bind EACCES bind 0"
}

# The kernel has no rules for other protocols: Landlock's are for TCP (test/platform).
@test "over MPTCP and UDP the library and the supervisor hold it, and the manual says so" {
	local protocol
	needs_mptcp
	user=()
	for protocol in mptcp udp; do
		breaks_out "$install/breakout" call "$protocol" 5555
		[ "$said $seen" = "bind EACCES 0" ]
	done
	tr '\n' ' ' <"$ROOT/src/man/portfence.ini.5" | grep -q 'rules for TCP alone'
}

@test "calls that need a port get one of the range under the kernel's rules, in each way and by each engine" {
	local way proto range
	for way in both supervise; do
		for range in $OUTSIDE $INSIDE; do
			fence=("$PORTFENCE" run --via "$way" --config matrix.ini --)
			each_family "$range" tcp 'bind = own'
			each_family "$range" tcp 'bind = deny'
		done
	done
}

@test "system calls that no library sees get ports of the range under the kernel's rules" {
	app -- "$install/raw" native 9 </dev/null >calls
	cat calls
	# connect is refused by nobody's port 9, but has its port
	[ "$(awk 'NF == 3 { print $2 }' calls | wc -l)" = 8 ]
	awk 'NF == 3 { print $2 }' calls | all_within 20000 20009
}

@test "named ports of the range, mapped ports, port 0 and the kernel's later choice are as without the rules" {
	local range way code
	code='for family, host in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
		    for number in (low, low + 9, 0):
		        s = socket.socket(family); print(error(s.bind, (host, number)), low <= port(s) <= low + 9)
		    s = socket.socket(family); s.setsockopt(0, 24, 1); print(error(s.bind, (host, 0)), port(s)); s.listen()
		    print(low <= port(s) <= low + 9)
		    c = socket.socket(family); c.setsockopt(0, 24, 1); c.bind((host, 0)); print(error(c.connect, (host, port(s))))
		    print(low <= port(c) <= low + 9)
		s = tcp(); print("mapped", error(s.bind, ("127.0.0.1", 8080)))
		print(error(tcp().bind, ("127.0.0.1", low - 1)), error(tcp().bind, ("127.0.0.1", 5555)))'
	for range in 20000 40000; do
		for way in preload both supervise; do
			python_code "low = $range
		$code"
			printf '[app]\nrange = %d+11\nmap = 8080\nbind = own\n' "$range" >app.ini
			app -v --via "$way" -- "$PYTHON" code.py >"$range.$way" 2>"err.$way"
			grep "kernel .* 'bind = own'" "err.$way"
		done
		grep -q 'kernel does not enforce' err.preload
		grep -q 'the kernel enforces' err.both
		grep -q 'the kernel enforces' err.supervise
		grep -qx 'mapped ok' "$range.both"
		run -1 grep -q False "$range.both"
		diff "$range.preload" "$range.both"
		diff "$range.preload" "$range.supervise"
	done
}

@test "files, mounts, signals and tracing inside the tree are as without the rules" {
	local way
	cat >all.sh <<-'END'
		mkdir -p one two && touch one/file && mv one/file two/file && echo moved
		ln two/file one/again && echo linked
		unshare -m sh -c 'mount -t tmpfs none two && mv one two/ 2>/dev/null; umount two && echo mounted'
		kill -0 "$OUTSIDE" && echo signalled
		strace -f -o /dev/null true && echo traced
		sleep 9 & cat /proc/$!/environ >/dev/null && echo looked; kill $!
	END
	for way in preload both; do
		rm -rf one two
		OUTSIDE=$NS_PID app --via "$way" -- sh all.sh >"$way"
	done
	[ "$(xargs <both)" = "moved linked mounted signalled traced looked" ]
	diff preload both
}

@test "leases, fresh states and other runs work inside, and the outer rules hold there" {
	run -0 app --fresh -- "$install/rights" bind 0
	[ "$output" = 0 ]
	run -0 app --lease 5 --pool 21000-21009 --substitute -- sh -c '"$1" leases; "$2" bind "$3"' - "$PORTFENCE" \
		"$install/rights" '{first}'
	[[ "$output" = *21000-21004*$'\n'0 ]]
	run --separate-stderr app -- "$PORTFENCE" run --range 21000-21009 -- "$install/rights" bind 21000
	[ "${lines[-1]}" = EACCES ]
	# it still serves what needs a port: only rules of the program's own stop that
	run -0 --separate-stderr app -- "$PORTFENCE" run --config app.ini --app app -- "$install/rights" bind 0
	[ "$output" = 0 ]
}

@test "rules that a program makes itself are noted, beside those of the run" {
	run -0 --separate-stderr app --via supervise --map 8000,8001 --range 20000-20099 -- "$install/rights" landlock
	echo "$output"
	[ "$(xargs <<<"$output")" = "named EACCES zero EACCES connect EACCES" ]
	grep -q 'may be under Landlock rules' <<<"$stderr"
}

@test "a lease's own ports are in the rules" {
	# shellcheck disable=SC2016 # the inner shell expands it
	run -0 app --lease 5 --pool 20000-29999 -- sh -c 'for port in "$PORTFENCE_FIRST" "$((PORTFENCE_LAST + 1))"; do
		"$1" gate tcp "$port" </dev/null; done' - "$install/breakout"
	[ "$output" = $'bind 0\nbind EACCES' ] || [ "$output" = $'no gate\nno gate' ]
}

@test "which and run say whether the kernel enforces it, and why not" {
	local none='as only a tree with a supervisor of its own gets Landlock rules, which need no_new_privs'
	answers 0 --config app.ini --app app true
	line bind 'own: kernel-enforced for tcp'
	answers 0 --config app.ini --app app --via preload true
	line bind "own: not kernel-enforced, $none"
	answers 0 --config app.ini --app app --via preload --json true
	[ "$(field "answer['section']['bind'] == dict(policy='own', kernel_enforced=False, obstacle='${none#as }')")" = True ]
	answers 0 --config app.ini --app app --json true
	[ "$(field "answer['section']['bind'] == dict(policy='own', kernel_enforced=True, obstacle=None)")" = True ]
	rule 'bind = allow'
	answers 0 --config app.ini --app app true
	line bind ''
	rule 'bind = deny'
	run -0 app -v -- true
	[ "$output" = "portfence: 'true' is fenced by preload and supervisor; the kernel enforces 'bind = deny' for tcp" ]
	run -0 app -v --via preload -- grep NoNewPrivs /proc/self/status
	[ "$output" = "portfence: 'grep' is fenced by preload, as asked for; the kernel does not enforce 'bind = deny', $none
NoNewPrivs:	0" ]
}

@test "the largest range that the kernel is given has 4096 ports" {
	printf '[app]\nrange = 20000+4096\nbind = own\n' >app.ini
	run -0 app -v -- "$install/rights" bind 24095
	[ "${lines[0]}" = "portfence: '$install/rights' is fenced by preload and supervisor; the kernel enforces 'bind = own' \
for tcp" ]
	[ "${lines[1]}" = 0 ]
	printf '[app]\nrange = 20000+4097\nbind = own\n' >app.ini
	answers 0 --config app.ini --app app true
	line bind 'own: not kernel-enforced, as a tcp range of 4097 ports is too large for it, 4096 is the most'
	run -0 app -v -- "$install/rights" bind 24096
	[[ "${lines[0]}" = *"; the kernel does not enforce 'bind = own', as a tcp range of 4097 ports is too large"* ]]
	[ "${lines[1]}" = 0 ]
}

@test "where the kernel takes no more rules, the command runs all the same, and why is said" {
	# 16 layers of rules are the most (landlock_restrict_self(2))
	cat >layers.py <<-'END'
		import ctypes, os, sys
		libc = ctypes.CDLL(None, use_errno=True)
		libc.prctl(38, 1, 0, 0, 0)
		rules = (ctypes.c_uint64 * 2)(0, 2)
		for i in range(16):
		    fd = libc.syscall(444, rules, 16, 0)
		    port = (ctypes.c_uint64 * 2)(2, 1)
		    libc.syscall(445, fd, 2, port, 0)
		    assert libc.syscall(446, fd, 0) == 0
		os.execvp(sys.argv[1], sys.argv[1:])
	END
	run -0 ns "$PYTHON" layers.py "$PORTFENCE" run -v --config app.ini --app app -- "$install/rights" bind 20001
	echo "$output"
	[[ "${lines[0]}" = *"the kernel does not enforce 'bind = own', as the kernel takes no Landlock rules (Argument list too \
long)" ]]
	[ "${lines[1]}" = 0 ]
}
