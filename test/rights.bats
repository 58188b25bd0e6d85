#!/usr/bin/env bats
#
# The supervisor does for a caller only what the caller could do by its own credentials, at the moment it is
# done. Each test is a program that tries more: started by root, as a rule, with a supervisor of root's.

# SC2016: inner shells expand it; SC2030, SC2031: each test is a subshell of its own
# shellcheck disable=SC2016,SC2030,SC2031
bats_require_minimum_version 1.5.0
load lib/helpers

RANGE=20000-20099

setup() {
	common_setup
	install_for_all
	cp "$PROBES"/rights "$install"
}

# supervised COMMAND...: by root's supervisor, in $output
supervised() {
	run ns "$PORTFENCE" run --via supervise --order random --range $RANGE --map 8000,8001 -- "$@"
	echo "$output"
	[ "$status" != 77 ] || skip "this kernel has no userfaultfd, Landlock or MSG_ZEROCOPY"
	[ "$status" = 0 ]
}

# reused CALL: a caller is killed while its memory is read, and its number is a process of root's then
reused() {
	run ns unshare -pf --mount-proc sh -c 'echo 400 >/proc/sys/kernel/pid_max && [ "$(cat /proc/sys/kernel/pid_max)" = 400 ]'
	[ "$status" = 0 ] || skip "this kernel has no kernel.pid_max for each PID namespace"
	[ "$(cat /proc/sys/kernel/pid_max)" != 400 ]
	run ns unshare -pf --mount-proc sh -c 'echo 400 >/proc/sys/kernel/pid_max; exec "$@"' - "$PORTFENCE" run \
		--via supervise --range $RANGE --map 8000 -- "$install/rights" reuse "$1"
	echo "$output"
	[ "$status" != 77 ] || skip "this kernel has no userfaultfd"
	[ "$status" = 0 ]
}

@test "a caller whose number becomes root's while it is served gets no port of root's" {
	reused bind
	[ "$output" = "port 0" ]
}

@test "a caller whose number becomes root's while it is served reads nothing of root's memory" {
	reused read
	[ "$output" = "received ''" ]
}

@test "a caller whose number becomes root's while it is served writes nothing into root's memory" {
	reused write
	[ "$output" = "number 0" ]
}

@test "a thread's number is used in one file alone, and every use there is confirmed afterwards" {
	cd "$ROOT/src/supervisor"
	local file others=()
	# mark.c looks at processes that wait for no answer, and learns nothing of them but their mark
	for file in *.c; do
		[ "$file" = caller.c ] || [ "$file" = trap.c ] || [ "$file" = mark.c ] || others+=("$file")
	done
	# what this process reads of itself needs no number; "(2)" names a manual page
	local by_number='process_vm_\w+\((?!2\)|getpid)|/proc/%|pidfd_open(?!, getpid|")|procfs_(?!is_ours)\w+\((?!PROCFS_SELF\b)'
	run -1 grep -nP "$by_number|notif->pid\b" "${others[@]}"
	[ "$(grep -c 'notif->pid' trap.c)" = 1 ]
	run -1 grep -nP "$by_number" trap.c
	# the number itself tells callers apart in two other files, where it reaches nothing
	run -0 grep -lE 'caller(\.|->)thread|\.thread\b' -- *.c
	diff <(printf '%s\n' caller.c claims.c inner.c) <(echo "$output")
}

# behind a sandbox that refuses to copy descriptors, the supervisor opens standard error anew
@test "a program that has given up root makes the supervisor open no file as its standard error" {
	cp "$PROBES"/sandbox "$install"
	mkfifo -m 600 secret
	# shellcheck disable=SC2238 # a file of this name
	echo "root's" >readonly
	chmod 755 .
	cat >caller.py <<-'END'
		import os, select, socket, sys
		if sys.argv[1:]: os.dup2(os.open(sys.argv[1], os.O_PATH), 2)
		s = socket.socket()
		select.epoll().register(s)
		try: s.bind(("127.0.0.1", 7779))
		except OSError as e: print(e.errno)
	END
	# a FIFO tells that somebody had it open to write
	cat >watch.py <<-'END'
		import os, select, subprocess, sys
		poll = select.poll()
		poll.register(os.open("secret", os.O_RDONLY | os.O_NONBLOCK), select.POLLIN)
		print(subprocess.run(sys.argv[1:], stdout=subprocess.PIPE, text=True).stdout.split(), poll.poll(0))
	END
	local fence=("$install/sandbox" docker "$PORTFENCE" run --via supervise --range "$RANGE" -- "${AS_NOBODY[@]}" /usr/bin/python3 "$PWD/caller.py")
	run ns /usr/bin/python3 watch.py "${fence[@]}" "$PWD/secret"
	echo "$output"
	[ "$output" = "['13'] []" ]
	# nor one that was open only to be read
	run ns sh -c 'exec "$@" 2<readonly' - "${fence[@]}"
	echo "$output"
	[ "$output" = 13 ]
	[ "$(cat readonly)" = "root's" ]
}

@test "of a program that has given up root, memory is read and written" {
	supervised "${AS_NOBODY[@]}" "$install/rights" batch
	[ "${lines[*]}" = "sent 1024 none 0" ]
	cp "$PROBES"/sandbox "$install"
	# which refuses process_vm_readv(2)
	run -0 ns "$install/sandbox" podman "$PORTFENCE" run --via supervise --range $RANGE --map 8000 -- \
		"${AS_NOBODY[@]}" "$install/rights" batch
	[ "${lines[*]}" = "sent 1024 none 0" ]
}

@test "options of a mapped message that take a right are for callers that have it" {
	supervised "$install/rights" options
	[ "${lines[*]}" = "mark EPERM hopopts EPERM dstopts EPERM tos 0" ]
	supervised "$install/rights" options root
	[ "${lines[*]}" = "mark 0 hopopts 0 dstopts 0 tos 0" ]
}

@test "a mapped message that is held back holds its own bytes, not those of a later one" {
	supervised "$install/rights" zerocopy
	[ "$output" = own ]
}

@test "the supervisor uses no capability but the one to look into programs, and keeps only those it may need" {
	supervised sh -c 'grep -E "^Cap(Inh|Prm|Eff|Amb)" "/proc/$(pgrep -x --ns $$ --nslist net portfence)/status"'
	# SYS_PTRACE; and DAC_OVERRIDE, NET_BIND_SERVICE, NET_ADMIN, NET_RAW
	[ "$(awk '/CapEff/ { print $2 }' <<<"$output")" = 0000000000080000 ]
	[ "$(awk '/CapPrm/ { print $2 }' <<<"$output")" = 0000000000083402 ]
	[ "$(awk '/CapInh|CapAmb/ { print $2 }' <<<"$output" | sort -u)" = 0000000000000000 ]
}

# in every thread, after it has made a socket for another user and looked where it goes
@test "nor does it use another one after it was another user for a socket" {
	cp "$PROBES"/sandbox "$install"
	run -0 ns "$install/sandbox" docker "$PORTFENCE" run --via supervise --range $RANGE -- sh -c '"$@" &&
		cat "/proc/$(pgrep -x --ns $$ --nslist net portfence)"/task/*/status' - \
		"${AS_NOBODY[@]}" /usr/bin/python3 -c 'import socket; socket.socket().bind(("127.0.0.1", 0))'
	[ "$(awk '/CapEff/ { print $2 }' <<<"$output" | sort -u)" = 0000000000080000 ]
}

@test "a program's own Landlock rules on the network hold for what is served, and only for that program" {
	supervised "$install/rights" landlock
	[ "$(grep -v ' error: ' <<<"$output" | xargs)" = "named EACCES zero EACCES connect EACCES" ]
	grep -q 'may be under Landlock rules' <<<"$output"
	# a process that is older than the rules is free of them; /proc tells ages in ticks of a clock
	supervised sh -c 'started() { cut -d" " -f22 "/proc/$1/stat"; }
		until [ "$(started self)" != "$(started $$)" ]; do :; done
		"$1" landlock >/dev/null 2>&1; exec "$1" bind 0' - "$install/rights"
	[ "$output" = 0 ]
}

# as_plain COMMAND...: gives the same answer with and without a supervisor
as_plain() {
	local plain
	plain=$(ns "$@")
	supervised "$@"
	[ "$output" = "$plain" ]
	plain=$(as_nobody "$@")
	run as_nobody "$PORTFENCE" run --via supervise --order random --range $RANGE -- "$@"
	echo "$output"
	[ "$output" = "$plain" ]
}

@test "in namespaces of its own, a program may bind to what it may bind to without the fence" {
	as_plain unshare -Urn "$install/rights" bind 80
	as_plain unshare -Urn "$install/rights" bind 80 drop
	as_plain unshare -Urn sh -c 'echo 2000 >/proc/sys/net/ipv4/ip_unprivileged_port_start; exec "$@"' - \
		"$install/rights" bind 1500
	as_plain unshare -Urn sh -c 'echo 0 >/proc/sys/net/ipv4/ip_unprivileged_port_start; exec "$@"' - \
		"$install/rights" bind 80 drop
	as_plain "$install/rights" bind 80
	as_plain "$install/rights" bind 80 drop
	supervised unshare -n sh -c 'echo 2000 >/proc/sys/net/ipv4/ip_unprivileged_port_start; exec "$@"' - \
		"$install/rights" bind 1500
	[ "$output" = 0 ]
	# a rootless container under root's supervisor
	supervised "${AS_NOBODY[@]}" unshare -Urn "$install/rights" bind 80
	[ "$output" = 0 ]
}

@test "root binds to low ports however many groups it is in" {
	local groups
	groups=$(seq -s, 10000 10300)
	supervised setpriv --groups "$groups" "$install/rights" bind 81
	[ "$output" = 0 ]
}

@test "a range below the unprivileged ports is for callers with the right to them" {
	run ns "$PORTFENCE" run --via supervise --range 500-599 -- "$install/rights" bind 0
	[ "$output" = 0 ]
	run ns "$PORTFENCE" run --via supervise --range 500-599 -- "$install/rights" bind 0 drop
	echo "$output"
	[ "$(tail -n 1 <<<"$output")" = EACCES ]
	# nor by a map, in a namespace over which the supervisor has all rights
	run as_nobody "$PORTFENCE" run --via supervise --range 500-599 --map 8000 -- unshare -Urn "$install/rights" bind 8000
	[ "$(tail -n 1 <<<"$output")" = 0 ]
	run as_nobody "$PORTFENCE" run --via supervise --range 500-599 --map 8000 -- unshare -Urn "$install/rights" bind 8000 drop
	echo "$output"
	[ "$(tail -n 1 <<<"$output")" = EACCES ]
}

@test "after a bind that only the kernel could decide, a bind to port 0 gets a port at once" {
	python_code 's = tcp(); print(error(s.bind, ("127.0.0.1", 80)), error(s.bind, ("127.0.0.1", 0)), 20000 <= port(s) <= 20099)'
	run as_nobody "$PORTFENCE" run --via supervise --range $RANGE -- /usr/bin/python3 code.py
	[ "$output" = "EACCES ok True" ]
}
