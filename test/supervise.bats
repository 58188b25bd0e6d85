#!/usr/bin/env bats
#
# `portfence run --via supervise` and `--via both`: programs that no preload reaches, and what the
# fence must not change in them. All as a user without rights, where nothing else is said, and judged
# from the wire.
#
# supervise-NAME.bats is this file once more, with portfence behind the filter of the sandbox NAME
# (probes/sandbox).

# shellcheck disable=SC2030,SC2031,SC2034 # each test is a process of its own; lib/matrix.bash reads $before
bats_require_minimum_version 1.5.0
load lib/helpers
load lib/calls
load lib/supervise

PYTHON=/usr/bin/python3

setup_file() {
	# where nobody can reach it
	chmod a+x "$BATS_RUN_TMPDIR" "$BATS_FILE_TMPDIR"
	local source=$BATS_TEST_DIRNAME
	cc -std=gnu11 -D_GNU_SOURCE -static -o "$BATS_FILE_TMPDIR/raw-static" "$source/probes/raw.c"
	cc -std=gnu11 -D_GNU_SOURCE -static -o "$BATS_FILE_TMPDIR/portless-static" "$source/probes/portless.c"
	cc -std=gnu11 -D_GNU_SOURCE -static -pthread -o "$BATS_FILE_TMPDIR/load-static" "$source/probes/load.c"
}

AROUND=
case ${BATS_TEST_FILENAME##*/} in
supervise-*) AROUND=${BATS_TEST_FILENAME##*/supervise-} AROUND=${AROUND%.bats} ;;
esac

setup() {
	supervise_setup
	[ -z "$AROUND" ] || put_in_sandbox
}

# What is called as portfence starts it behind the filter.
put_in_sandbox() {
	mkdir "$install/real"
	mv "$PORTFENCE" "$LIBRARY" "$install/real"
	LIBRARY=$install/real/libportfence.so
	printf '#!/bin/sh\nexec "%s/sandbox" %s "%s/real/portfence" "$@"\n' "$install" "$AROUND" "$install" >"$PORTFENCE"
	chmod 755 "$PORTFENCE"
}

# May the supervisor look into no process? Then it makes the sockets that it serves (WAYS in portfence(1)).
is_unseen() {
	[[ " docker systemd yama " = *" ${AROUND:-none} "* ]]
}

# May it not even read what addresses say?
is_unread() {
	[ "$AROUND" = yama ]
}

# Does it find sockets or addresses through /proc, which so has to be that of its own PID namespace?
needs_proc() {
	is_unseen || [ "$AROUND" = podman ]
}

# skips where no namespace can be made
allows_namespaces() {
	[ "$AROUND" != docker ] || skip "Docker's filter lets nobody make a namespace"
}

# Does the sandbox let strace in?
may_trace() {
	[[ " podman systemd yama " != *" ${AROUND:-none} "* ]]
}

# ---- the calls ----

# In `both`, they are what each test of another file makes.
@test "every call of every protocol gets a port of the range from the supervisor" {
	local proto
	PROBES=$install
	matrix=$install/matrix
	fence=("${AS_NOBODY[@]}" "$PORTFENCE" run --config matrix.ini --)
	chmod 1777 "$PORTFENCE_STATE"
	for proto in tcp mptcp udp udplite; do
		each_family 20000-20099 $proto 'via = supervise'
	done
	each_family 40000-40099 tcp 'via = supervise'
	each_family 40000-40099 udp 'via = supervise'
}

@test "system calls that no library sees get ports of the range" {
	local way program
	for way in $WAYS; do
		for program in "$install/raw" "$BATS_FILE_TMPDIR/raw-static"; do
			called "$way" "$program" native
		done
	done
}

@test "the same calls leave the range under a preload alone" {
	VIA[preload]=preload
	RANGES[preload]=20000-20999
	observed preload "$install/raw" native 7000
	run within preload <wire_ports
	[ "$status" != 0 ]
}

@test "32-bit system calls get ports of the range, too" {
	local way
	needs_32bit
	cc -m32 -O1 -static -nostdlib -ffreestanding -fno-pie -no-pie -fno-stack-protector \
		-idirafter /usr/include/x86_64-linux-gnu -o "$install/bare" "$BATS_TEST_DIRNAME/programs/bare.c" ||
		not_installed "cc -m32 builds nothing here (Debian: gcc-12-multilib)"
	for way in $WAYS; do
		called "$way" "$install/raw" i386
		called "$way" "$BATS_FILE_TMPDIR/raw-static" socketcall
		judged "$way" "$install/bare"
		# three that connect or send
		[ "$(wc -l <wire_ports)" = 3 ]
	done
}

@test "x32 system calls and io_uring are refused" {
	local way
	for way in $WAYS; do
		[ "$(fenced "$way" "$install/raw" uring)" = "io_uring ENOSYS" ]
		[ "$(uname -m)" != x86_64 ] || [ "$(fenced "$way" "$install/raw" x32 7000)" = "socket ENOSYS" ]
	done
}

# unserved PROGRAM: system calls on sockets that the library has made fail with EACCES where they need a port
unserved() {
	ns "$1" raw | sed -E "/^($UNHEARD) /d" >plain
	fenced both "$1" raw | sed -E "/^($UNHEARD) /d" >said
	paste -d' ' plain said | awk '$5 != $2 { refused++ } $1 != $4 || $6 || ($5 != $2 && $5 != "EACCES") { print; bad = 1 }
		END { exit bad || !refused }'
}

@test "a UDP call that the kernel refuses leaves no port outside the range" {
	local way
	ns "$PROBES/portless" raw | awk '$2 != 0 && $3 { drawn++ } END { exit drawn < 100 }'
	for way in $WAYS; do
		if is_unseen && [ "$way" = both ]; then
			unserved "$install/portless"
		else
			refused "$way" "$install/portless" raw
		fi
		refused "$way" "$BATS_FILE_TMPDIR/portless-static" raw
	done
	refused both "$install/portless" libc
	VIA[preload]=preload
	RANGES[preload]=20000-20999
	refused preload "$install/portless" libc
}

# ---- names ----

@test "libc's own questions to a name server come from the range" {
	local way
	for way in $WAYS; do
		resolves "$way" getent ahosts portfence.test
		within "$way" <wire_ports
		resolves "$way" $PYTHON -c 'import socket; print(socket.gethostbyname("portfence.test"))'
		within "$way" <wire_ports
	done
}

@test "under a preload alone, libc's own questions leave the range" {
	VIA[preload]=preload
	RANGES[preload]=20000-20999
	resolves preload getent ahosts portfence.test
	run within preload <wire_ports
	[ "$status" != 0 ]
}

@test "a static program of busybox fetches, sends and listens within the range" {
	local way
	for way in $WAYS; do
		anew
		ns_background $PYTHON -m http.server --bind 127.0.0.1 7000
		wait_tcp 7000
		capture_start
		fenced "$way" /bin/busybox wget -qO - http://127.0.0.1:7000/ >page
		grep -q 'Directory listing' page
		fenced "$way" /bin/busybox nc 127.0.0.1 7000 </dev/null
		capture_stop
		ports_to 7000 | within "$way"
	done
}

# ---- addresses that change ----

# own WAY: the configuration own.ini, where explicit binds are policed, too
own() {
	printf '[fenced]\nrange = %s\nbind = own\n' "${RANGES[$1]}" >own.ini
}

@test "an address that another thread rewrites is no way out" {
	local way call from
	RANGES[inside]=40000-40999
	VIA[inside]=both
	for way in calls both inside; do
		anew
		ns_background "$install/load" serve 7000
		wait_tcp 7000
		capture_start
		own "$way"
		for from in raw libc; do
			for call in bind connect connect-now connect-udp sendto sendmsg sendmmsg fastopen fastopen-msg; do
				as_nobody "$PORTFENCE" run --via "${VIA[$way]}" --config own.ini --app fenced -- \
					"$install/rewrite" $from $call 7000 500 "${RANGES[$way]%-*}" "${RANGES[$way]#*-}" |
					tee -a outside
			done
		done
		capture_stop
		ports_to 7000 | within "$way"
	done
	run grep -v ' 0 outside$' outside
	echo "$output"
	[ "$status" = 1 ]
	[ "$(wc -l <outside)" = 54 ]
}

# ---- many at once ----

@test "8 threads of each of 4 processes connect through 100 ports, and not one fails" {
	local way program
	RANGES=([calls]=20000-20099 [both]=20000-20099)
	for way in $WAYS; do
		for program in "$install/load" "$BATS_FILE_TMPDIR/load-static"; do
			anew
			ns_background "$install/load" serve 7000
			wait_tcp 7000
			capture_start "tcp[tcpflags] & (tcp-syn|tcp-ack) == tcp-syn"
			fenced "$way" "$program" 7000 1600 4 8 server >said
			diff <(echo connected 1600) said
			[ "$(fenced "$way" "$program" 7001 1600 4 8 refused)" = "connected 0 ECONNREFUSED 1600" ]
			capture_stop
			ports_to 7000 | within "$way"
			ports_to 7001 | within "$way"
		done
	done
}

# ---- rules ----

# fenced_told WAY COMMAND...: with standard error through a pipe that the program's user can open anew, as a supervisor
# does that may not copy descriptors
fenced_told() {
	run_words "$1"
	# shellcheck disable=SC2016 # the inner shell expands it
	as_nobody sh -c '"$@" 2>&1 | cat' - "${RUN[@]}" -- "${@:2}"
}

# ruled WAY CODE [KEY=VALUE...]: Python code as nobody under a rule, with what every test here needs
ruled() {
	local way=$1
	{
		printf '[app]\nrange = %s\n' "${RANGES[$way]}"
		printf '%s\n' "${@:3}"
	} >app.ini
	python_code "$2"
	# shellcheck disable=SC2016 # the inner shell expands it
	run as_nobody sh -c '"$@" 2>&1 | cat' - "$PORTFENCE" run --config app.ini --app app --via "${VIA[$way]}" -- $PYTHON code.py
	echo "$output"
}

# Every kind of call, until the two ports are used up.
exhaust='def has(s):
		    try: return port(s) != 0
		    except OSError as e: return errno.errorcode[e.errno]
		def fill(new, call):
		    held = []
		    for i in range(4):
		        s = new(); held.append(s)
		        print(call.__name__, error(call, s), has(s))
		    for s in held: s.close()
		def bind(s): s.bind(("127.0.0.1", 0))
		def listen(s): s.listen()
		def connect(s): s.connect(("127.0.0.1", 7000))
		def sendto(s): s.sendto(b"x", ("127.0.0.1", 7000))
		server = tcp(socket.SO_REUSEADDR); server.bind(("127.0.0.1", 7000)); server.listen()
		for kind, call in ((tcp, bind), (tcp, listen), (udp, bind), (udp, connect), (udp, sendto), (tcp, connect)):
		    fill(kind, call)'

@test "a full range fails each call as the kernel fails it" {
	local way told
	RANGES=([calls]=20000-20001 [both]=20000-20001)
	for way in $WAYS; do
		anew
		ruled "$way" "$exhaust"
		# if nobody may read an address, a bind() to port 0 goes on, and the next call fails in its place, and a connect()
		# shares any port
		! is_unread || output=$(sed -E 's/^bind ok EADDRINUSE$/bind EADDRINUSE False/; s/ EADDRNOTAVAIL True$/ EADDRNOTAVAIL False/' \
			<<<"$output")
		told=$output
		grep -q EADDRINUSE <<<"$told"
		anew
		ns sh -c 'echo 40000 40001 >/proc/sys/net/ipv4/ip_local_port_range'
		diff <(echo "$told") <(ns $PYTHON code.py)
	done
}

@test "policies, orders and seeds are those of the rule" {
	local way sequence own deny
	RANGES=([calls]=20000-20009 [both]=20000-20009)
	for way in calls both; do
		own="EACCES ok EACCES ok True" deny="EACCES ok"
		# of rules about addresses, where nobody may read them
		! is_unread || [ "$way" = both ] || own="EACCES EACCES EACCES EACCES False" deny="EACCES EACCES"
		ruled "$way" 's = tcp(); print(error(tcp().bind, ("127.0.0.1", 5555)), error(tcp().bind, ("127.0.0.1", 20009)),
			error(udp().bind, ("127.0.0.1", 20010)), error(s.bind, ("127.0.0.1", 0)), 20000 <= port(s) <= 20009)' 'bind = own'
		[ "${lines[-1]}" = "$own" ]
		ruled "$way" 's = tcp(); print(error(tcp().bind, ("127.0.0.1", 20001)), error(s.bind, ("127.0.0.1", 0)))' 'bind = deny'
		[ "${lines[-1]}" = "$deny" ]
		# what the system chose stays
		ruled "$way" 's = [udp() for i in range(12)]; [x.bind(("127.0.0.1", 0)) for x in s]; p = list(map(port, s))
			[x.sendto(b"x", ("127.0.0.1", 9)) for x in s]
			print(sum(20000 <= q <= 20009 for q in p), 0 in p, p == list(map(port, s)))' 'exhausted = system'
		[ "$(tail -n 1 <<<"$output")" = "10 False True" ]
		[ "$(grep -c 'warning' <<<"$output")" = 1 ]
		ruled "$way" 's = [udp() for i in range(4)]; [x.sendto(b"x", ("127.0.0.1", 9)) for x in s]
			first = port(s[0]); print([(port(x) - first) % 10 for x in s])' 'order = sequential'
		[ "$output" = "[0, 1, 2, 3]" ]
		# the second way draws what the first one drew
		rm -rf "${PORTFENCE_STATE:?}"/*
		ruled "$way" 's = [udp() for i in range(8)]; [x.connect(("127.0.0.1", 9)) for x in s]; print(*map(port, s))' \
			'order = random' 'seed = 7'
		sequence=${sequence:-$output}
		[ "$output" = "$sequence" ]
	done
}

@test "however many sockets follow, a socket keeps the port that the system gave it, and one whose bind was refused still gets its port" {
	local way
	RANGES=([calls]=20000-20009 [both]=20000-20009)
	for way in calls both; do
		ruled "$way" 'full = [udp() for i in range(10)]; [s.bind(("", 0)) for s in full]; list(map(port, full))
			def send(s): s.sendto(b"x", ("127.0.0.1", 9)); return port(s)
			kept = [udp() for i in range(20)]; ports = list(map(send, kept))
			kept[0].connect(("127.0.0.1", 9)); kept[1].connect(("127.0.0.1", 9))
			bound = [udp() for i in range(4)]; [s.bind(("127.0.0.2", 0)) for s in bound]; ports += map(port, bound)
			for i in range(2500):
			    with udp() as s: send(s)
			print(sum(20000 <= p <= 20009 for p in ports), len(set(ports)), ports == list(map(send, kept[:20])) + list(map(send, bound)),
			    {s.getsockname()[0] for s in bound})' 'exhausted = system'
		[ "$(tail -n 1 <<<"$output")" = "0 24 True {'127.0.0.2'}" ]
		ruled "$way" 'def refused(new): s = new(); assert error(s.bind, ("127.0.0.1", 80)) == "EACCES"; return s
			def mptcp(): return socket.socket(proto=262)
			kinds = [tcp, udp] + ([mptcp] if error(mptcp) == "ok" else [])
			kept = [refused(kinds[i % len(kinds)]) for i in range(9)]
			# what the program asks for itself stays
			asked = [new() for new in kinds]; [s.setsockopt(0, 24, 1) for s in asked]; [error(s.bind, ("127.0.0.1", 80)) for s in asked]
			for i in range(2500): refused(kinds[i % 2]).close()
			for s in kept + asked: s.bind(("127.0.0.1", 0))
			print({20000 <= port(s) <= 20009 for s in kept}, {port(s) for s in asked},
			    {s.getsockopt(0, 24) for s in kept}, {s.getsockopt(0, 24) for s in asked})' 'mptcp = allow'
		[ "$(tail -n 1 <<<"$output")" = "{True} {0} {0} {1}" ]
	done
}

@test "one port serves a connection to each destination" {
	local way
	RANGES=([calls]=20000 [both]=20000)
	for way in $WAYS; do
		anew
		ruled "$way" 'servers = [socket.create_server(("127.0.0.1", 7000 + i)) for i in range(20)]
			held = [socket.create_connection(s.getsockname()) for s in servers]
			print(len({port(s) for s in held}))'
		[ "$output" = 1 ]
	done
}

# ---- life ----

# Whoever was started under the command has another name.
supervisor_of() {
	pgrep -x --ns "$NS_PID" --nslist net portfence
}

has_no_supervisor() {
	[ -z "$(supervisor_of)" ]
}

@test "the program has its process id, exit status, no child and no signal of the supervisor's" {
	local way plain
	cat >life.py <<-'END'
		import os, resource, signal, sys
		got = []
		signal.signal(signal.SIGCHLD, lambda *a: got.append(1))
		def error(call, *arguments):
		    try: return call(*arguments)
		    except ChildProcessError: return "none"
		usage = resource.getrusage(resource.RUSAGE_CHILDREN)
		print(os.getpid() == int(sys.argv[1]), error(os.wait), error(os.waitpid, -1, 0x40000000), len(got),
		    usage.ru_minflt < 100, sorted(os.listdir("/proc/self/fd")))
	END
	# shellcheck disable=SC2016 # the inner shell expands it
	plain=$(as_nobody bash -c 'exec "$@" $$' - $PYTHON life.py)
	[[ $plain = "True none none 0 True "* ]]
	for way in $WAYS; do
		# shellcheck disable=SC2016
		run -7 as_nobody sh -c '"$@"; exit 7' - "$PORTFENCE" run --via "${VIA[$way]}" --range "${RANGES[$way]}" -- true
		# shellcheck disable=SC2016
		run -0 as_nobody bash -c 'exec "$@" $$' - "$PORTFENCE" run --via "${VIA[$way]}" \
			--range "${RANGES[$way]}" -- $PYTHON life.py
		echo "$output"
		[ "$output" = "$plain" ]
		run -7 fenced "$way" sh -c 'exit 7'
		# shellcheck disable=SC2016
		run -137 fenced "$way" sh -c 'kill -9 $$'
		# waits for any child that there is
		! may_trace || run -0 fenced "$way" strace -fo /dev/null sh -c 'true; true'
	done
	wait_until has_no_supervisor
}

@test "a supervisor alone preloads nothing, and leaves what the user preloads" {
	run -1 fenced calls sh -c 'env | grep ^LD_PRELOAD'
	run -0 fenced calls env LD_PRELOAD=libdl.so.2 "$PORTFENCE" run --via preload --range 20000-20999 -- \
		sh -c 'env | grep ^LD_PRELOAD'
	[ "$output" = "LD_PRELOAD=$LIBRARY:libdl.so.2" ]
	run -0 as_nobody env LD_PRELOAD=libdl.so.2 "$PORTFENCE" run --via supervise --range "${RANGES[calls]}" -- \
		sh -c 'env | grep ^LD_PRELOAD'
	[ "$output" = LD_PRELOAD=libdl.so.2 ]
}

@test "the first process of a container inherits no child of the supervisor's" {
	local way mount
	cat >wait.py <<-'END'
		import os
		try: os.wait()
		except ChildProcessError: print("none")
	END
	for way in $WAYS; do
		for mount in --mount-proc ""; do
			# shellcheck disable=SC2086 # perhaps no word
			run ns unshare -pf $mount "$PORTFENCE" run --via "${VIA[$way]}" --range "${RANGES[$way]}" -- $PYTHON wait.py
			echo "$output"
			if needs_proc && [ -z "$mount" ]; then
				[ "$status" = 125 ]
				[[ $output = *" cannot be supervised: "* ]]
			else
				[ "$output" = none ]
			fi
		done
	done
}

@test "the supervisor holds no file, folder or terminal, serves processes that outlive the program, and ends with the last" {
	local way supervisor held channel
	for way in $WAYS; do
		rm -f go port
		mkfifo go
		chmod 666 go
		cat >daemon.py <<-END
			import os, socket
			if os.fork() == 0:
			    os.setsid(); os.close(1); os.close(2); go = open("go"); go.read()
			    s = socket.socket(); s.bind(("", 0)); open("port", "w").write(str(s.getsockname()[1]))
			    open("go").read()
			    os._exit(0)
			print("parent")
		END
		chmod 777 .
		[ "$(fenced "$way" $PYTHON daemon.py)" = parent ]
		supervisor=$(supervisor_of)
		[ "$(readlink "/proc/$supervisor/cwd")" = / ]
		[ "$(ps -o sid= -p "$supervisor" | tr -d ' ')" = "$supervisor" ]
		# but for the path of standard error, where it says why a program that nobody may look into gets no port,
		# and its end of the channel to `run`: once the other end is closed, it knows that the command was executed
		# (confinement_start())
		held=$(for fd in "/proc/$supervisor"/fd/*; do readlink "$fd"; done)
		channel=$(sed -n 's/^socket:\[\(.*\)\]$/\1/p' <<<"$held")
		# no other socket than this one, which is UNIX's SOCK_SEQPACKET
		[ "$(awk -v inode="$channel" '$7 == inode { print $5 }' "/proc/$supervisor/net/unix")" = 0005 ]
		run -1 grep -vE '^(/dev/null|anon_inode:(seccomp notify|\[pidfd\])|pidfd:.*|anon_inode:.*|socket:.*)$' \
			<(grep -vxF "$(readlink "/proc/$BASHPID/fd/2")" <<<"$held")
		echo >go
		wait_until [ -s port ]
		within "$way" <port
		echo >go
		wait_until has_no_supervisor
	done
}

@test "a search for a program by its command line does not find its supervisor" {
	local way
	for way in $WAYS; do
		# shellcheck disable=SC2016 # the inner shell expands it
		run -0 fenced "$way" bash -c 'pgrep -f --ns $$ --nslist net a-word-of-its-own; echo $$
			tr "\\0" " " <"/proc/$(pgrep -x --ns $$ --nslist net portfence)/cmdline"' a-word-of-its-own
		echo "$output"
		[ "${#lines[@]}" = 3 ]
		[ "${lines[0]}" = "${lines[1]}" ]
		[[ "${lines[2]}" =~ ^"portfence: supervises process ${lines[0]}"\ *$ ]]
	done
}

@test "soft limits of the program's processor time and descriptors are not the supervisor's" {
	local way
	for way in $WAYS; do
		# shellcheck disable=SC2016 # the inner shells expand it
		run -0 as_nobody bash -c 'ulimit -S -t 5; ulimit -S -n 24; exec "$@"' - "$PORTFENCE" run \
			--via "${VIA[$way]}" --range "${RANGES[$way]}" -- bash -c '
			awk "/cpu time|open files/ { print \$4, \$5 }" "/proc/$(pgrep -x --ns $$ --nslist net portfence)/limits"
			exec "$@"' - $PYTHON -S -c 'import _socket; s = _socket.socket(); s.bind(("", 0)); print(s.getsockname()[1])'
		echo "$output"
		[ "${lines[0]% *}" = "${lines[0]#* }" ]
		[ "${lines[1]% *}" = "${lines[1]#* }" ]
		within "$way" <<<"${lines[2]}"
	done
}

@test "without its supervisor, a program's calls fail with ENOSYS, and it does not hang" {
	local way supervisor
	for way in $WAYS; do
		rm -f go
		mkfifo go
		# shellcheck disable=SC2016 # the inner shell expands it
		ns_background bash -c 'exec "$@" <go >calls 2>&1' - "${AS_NOBODY[@]}" "$PORTFENCE" run \
			--via "${VIA[$way]}" --range "${RANGES[$way]}" -- sh -c 'read line; exec "$@"' - "$install/raw" native 9
		exec 4>go
		wait_until supervisor_there
		supervisor=$(supervisor_of)
		kill -9 "$supervisor"
		wait_until has_no_supervisor
		echo >&4
		exec 4>&-
		wait "$pid" || true
		cat calls
		if is_unseen; then
			[ "$(cat calls)" = "socket ENOSYS" ]
		else
			[ "$(grep -c ' 0 ENOSYS$' calls)" = 8 ]
		fi
	done
}

# Is $pid the program by now?
supervisor_there() {
	grep -qx sh "/proc/$pid/comm" && [ "$(supervisor_of | wc -l)" = 1 ]
}

@test "while its supervisor is stopped, the shim's calls pass by the gate, and others wait" {
	local supervisor
	cat >gate.py <<-'END'
		import socket, sys
		sys.stdin.readline()
		t = socket.socket(); t.bind(("127.0.0.1", 0))
		t = socket.socket(); print(t.connect_ex(("127.0.0.1", 7000)), t.getsockname()[1], flush=True)
		u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); u.sendto(b"x", ("127.0.0.1", 9)); print(u.getsockname()[1])
		print("end", flush=True)
	END
	serve
	rm -f go
	mkfifo go
	chmod 1777 "$PORTFENCE_STATE"
	# shellcheck disable=SC2016 # the inner shell expands it
	ns_background bash -c 'exec "$@" <go >calls 2>&1' - "${AS_NOBODY[@]}" "$PORTFENCE" run --via both \
		--range 20000-20999 -- sh -c '"$@" || exit; read line; exec "$0" native 7000' "$install/raw" $PYTHON gate.py
	exec 4>go
	wait_until supervisor_there
	supervisor=$(supervisor_of)
	kill -STOP "$supervisor"
	echo >&4
	wait_line '^end$' calls
	cat calls
	grep -qE '^0 20[0-9]{3}$' calls
	echo >&4
	wait_until grep -q seccomp "/proc/$pid/wchan"
	[ "$(grep -c ' 0$' calls)" = 0 ]
	kill -CONT "$supervisor"
	exec 4>&-
	wait "$pid"
	[ "$(grep -c ' 0$' calls)" = 8 ]
}

# first_calls HOW: `taken` has something at the gate's place before it makes a socket; `many` makes the first calls in
# eight threads at once, and in their children
first_calls() {
	ns "$PORTFENCE" run --via both --range 20000-20999 -- python3 - "$1" <<-'END'
		import ctypes, os, re, socket, sys, threading
		if sys.argv[1] == "taken":
		    libc = ctypes.CDLL(None, use_errno=True)
		    libc.mmap.restype = ctypes.c_void_p
		    place = int(re.search(r" gate=(\d+)", os.environ["PORTFENCE_RULE"])[1])
		    # readable, writable; private, anonymous, without replacing anything
		    got = libc.mmap(ctypes.c_void_p(place), ctypes.c_size_t(4096), 3, 0x100022, -1, ctypes.c_long(0))
		    assert got == place, got
		    ctypes.memset(place, ord("x"), 4096)
		def call():
		    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
		    udp.sendto(b"x", ("127.0.0.1", 9))
		    tcp = socket.socket()
		    tcp.connect(("127.0.0.1", 7000))
		    os.write(1, b"%d\n%d\n" % (udp.getsockname()[1], tcp.getsockname()[1]))
		meet = threading.Barrier(8)
		def first():
		    meet.wait()
		    pid = os.fork()
		    call()
		    if not pid:
		        os._exit(0)
		    assert os.waitpid(pid, 0)[1] == 0
		if sys.argv[1] == "taken":
		    call()
		    assert ctypes.string_at(place, 4096) == b"x" * 4096
		else:
		    threads = [threading.Thread(target=first) for _ in range(8)]
		    for thread in threads: thread.start()
		    for thread in threads: thread.join()
	END
}

@test "where the program has something at the gate's place, it stays there, and the supervisor serves the calls" {
	serve
	if is_unseen; then
		# there, the gate has its place from the start
		run -1 first_calls taken
		[[ "$output" == *"AssertionError: 18446744073709551615" ]]
		return
	fi
	first_calls taken >said
	[ "$(wc -l <said)" = 2 ]
	all_within 20000 20999 <said
}

@test "threads and their children that make a process's first calls at once stay in the range" {
	local i
	serve
	for i in 1 2 3 4 5; do
		first_calls many >said
		[ "$(wc -l <said)" = 32 ]
		all_within 20000 20999 <said
	done
}

@test "where another library stands between the shim and libc, its function is called, and the supervisor looks" {
	local supervisor
	cc -w -shared -fPIC -o "$install/between.so" -x c - <<-'END'
		#define _GNU_SOURCE
		#include <dlfcn.h>
		#include <sys/socket.h>
		int bind(int fd, const struct sockaddr *addr, socklen_t len)
		{
			dprintf(1, "between\n");
			return ((int (*)(int, const struct sockaddr *, socklen_t))dlsym(RTLD_NEXT, "bind"))(fd, addr, len);
		}
	END
	mkfifo go
	chmod 1777 "$PORTFENCE_STATE"
	# shellcheck disable=SC2016 # the inner shell expands it
	ns_background bash -c 'exec "$@" <go >calls 2>&1' - "${AS_NOBODY[@]}" env LD_PRELOAD="$install/between.so" \
		"$PORTFENCE" run --via both --range 20000-20999 -- \
		sh -c 'read line; exec "$@"' - $PYTHON -c 'import socket
s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
	exec 4>go
	wait_until supervisor_there
	supervisor=$(supervisor_of)
	kill -STOP "$supervisor"
	echo >&4
	wait_until grep -q seccomp "/proc/$pid/wchan"
	kill -CONT "$supervisor"
	exec 4>&-
	wait "$pid"
	cat calls
	grep -qx between calls
	grep -v between calls | within both
}

# fails_as_plain FILE: does signalled_calls say that a signal ended no call but a connect() that goes on?
fails_as_plain() {
	diff <(printf '%s\n' bind listen connect connect-udp sendto bind-unix listen-unix) \
		<(sed 's/^connect EINTR [0-9]*$/connect/' "$1")
}

@test "signals that interrupt calls change no result" {
	local way
	serve
	for way in $WAYS; do
		fenced "$way" "$install/signalled_calls" restart 400 7000 >"told-$way"
		diff <(printf '%s\n' bind listen connect connect-udp sendto bind-unix listen-unix) "told-$way"
		# a signal that comes before the supervisor has heard of the call fails it, as the kernel has it
		fenced "$way" "$install/signalled_calls" fail 400 7000 >"told-$way"
		run grep -vE '^[a-z-]+( EINTR [0-9]+)?( undone [0-9]+)?$' "told-$way"
		echo "$output"
		[ "$status" = 1 ]
	done
	fails_as_plain told-both
}

@test "no signal makes a call fail that the library makes, in a program with threads" {
	serve
	fenced both "$install/signalled_calls" fail 2000 7000 thread >told
	fails_as_plain told
}

# python WAY CODE: as nobody
python() {
	printf '%s\n' "import errno, os, signal, socket, sys" "$2" >code.py
	run fenced "$1" $PYTHON code.py
	echo "$output"
}

@test "children that are killed while they connect leave the rest of the tree served" {
	local way
	serve
	for way in $WAYS; do
		python "$way" 'children = []
for i in range(60):
    pid = os.fork()
    if pid == 0:
        while True:
            s = socket.socket(); s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            try: s.connect(("127.0.0.1", 7000))
            except OSError: pass
            s.close()
    children.append(pid)
    if len(children) > 3: os.kill(children.pop(0), 9)
for pid in children: os.kill(pid, 9)
for i in range(60): os.wait()
for i in range(20):
    s = socket.create_connection(("127.0.0.1", 7000)); print(s.getsockname()[1])'
		[ "$status" = 0 ]
		within "$way" <<<"$output"
	done
}

@test "300 processes at once get ports of the range, and no two the same" {
	local way
	for way in $WAYS; do
		python "$way" 'hold, release = os.pipe()
for i in range(300):
    if os.fork() == 0:
        u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); u.sendto(b"x", ("127.0.0.1", 9))
        os.write(1, b"%d\n" % u.getsockname()[1])
        os.close(release); os.read(hold, 1); os._exit(0)
os.close(release)
for i in range(300): os.wait()'
		[ "$status" = 0 ]
		[ "$(sort -u <<<"$output" | wc -l)" = 300 ]
		within "$way" <<<"$output"
	done
}

@test "a connect that waits delays no other call" {
	local way
	for way in $WAYS; do
		# where the queue is full, packets are dropped and connect waits
		python "$way" 'server = socket.socket(); server.bind(("127.0.0.1", 0)); server.listen(0)
full = socket.create_connection(server.getsockname())
waiting = []
def half_open(): return sum(line.split()[3] == "02" for line in open("/proc/net/tcp"))
for i in range(5):
    waiting.append(os.fork())
    if waiting[-1] == 0:
        try: socket.create_connection(server.getsockname())
        finally: os._exit(0)
signal.alarm(120)
while half_open() < 5: pass
for i in range(50): u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); u.bind(("", 0)); print(u.getsockname()[1])
assert half_open() == 5
for pid in waiting: os.kill(pid, 9); os.waitpid(pid, 0)'
		[ "$status" = 0 ]
		within "$way" <<<"$output"
	done
}

# late COMMAND...: a run of probes/late_connect, which is told its supervisor's number; what it says is in `said`
late() {
	rm -f hold said
	mkfifo hold
	# shellcheck disable=SC2016 # the inner shell expands it
	ns_background bash -c 'exec "$@" <hold >said' - "$@"
	exec 4>hold
	wait_line ready said
	supervisor_of >&4
	exec 4>&-
	wait "$pid" || [ $? != 77 ] || skip "there are not two processors, or none is had in real time"
	cat said
}

@test "a connect that is late in getting a processor keeps the port that was chosen for it" {
	local way
	for way in calls both; do
		anew
		serve
		late "$PORTFENCE" run --via "${VIA[$way]}" --range 20000 -- "$PROBES/late_connect" 7000
		# the one port was taken
		[ "$(tail -n 1 said)" = "0 EADDRNOTAVAIL" ]
	done
}

@test "where ports are the same each time, a connect that is late in getting a processor delays no other call for long" {
	serve
	cat >count.c <<-'END'
		#define _GNU_SOURCE
		#include <fcntl.h>
		#include <stdlib.h>
		#include <sys/syscall.h>
		#include <time.h>
		#include <unistd.h>
		int nanosleep(const struct timespec *rest, struct timespec *left)
		{
		    int fd = open(getenv("COUNT"), O_WRONLY | O_APPEND | O_CLOEXEC);
		    if (write(fd, "x", 1) != 1) _exit(1);
		    close(fd);
		    return syscall(SYS_nanosleep, rest, left);
		}
	END
	cc -shared -fPIC -o count.so count.c
	touch count
	late env LD_PRELOAD="$PWD/count.so" COUNT="$PWD/count" \
		"$PORTFENCE" run --via supervise --fresh --range 20000-20999 -- "$PROBES/late_connect" 7000 20
	[ "$(tail -n 1 said)" = "0 0" ]
	# a rest is of 100 microseconds, and they are to last for 30 milliseconds in all, not in each call
	stat -c %s count
	[ "$(stat -c %s count)" -gt 0 ]
	[ "$(stat -c %s count)" -lt 600 ]
}

@test "every program that is executed is fenced: static, dynamic, and without an environment" {
	local way
	for way in $WAYS; do
		run fenced "$way" /bin/busybox env -i $PYTHON -c 'import os
os.execve("/bin/busybox", ["busybox", "env", "-i", "/usr/bin/python3", "-c", """
import socket
s = socket.socket(); s.bind(("", 0)); print(s.getsockname()[1])"""], {})'
		echo "$output"
		[ "$status" = 0 ]
		within "$way" <<<"$output"
	done
}

@test "a process that cannot be looked into gets no port, and a message says so once" {
	local way
	for way in calls both; do
		run fenced_told "$way" $PYTHON -c 'import ctypes, socket
libc = ctypes.CDLL(None); libc.prctl(4, 0)
for i in range(2): print(libc.syscall(49, socket.socket().detach(), b"\2" + bytes(15), 16))'
		echo "$output"
		[ "$(grep -c '^-1$' <<<"$output")" = 2 ]
		[ "$(grep -c 'may not look into this process' <<<"$output")" = 1 ]
	done
}

@test "what is said once is not lost in a process that has led its standard error elsewhere" {
	local way
	RANGES=([calls]=20000-20001 [both]=20000-20001)
	for way in calls both; do
		printf '[app]\nrange = 20000-20001\nexhausted = system\n' >app.ini
		python_code 's = [udp() for i in range(4)]; [x.sendto(b"x", ("127.0.0.1", 9)) for x in s]; print({port(x) > 0 for x in s})'
		# shellcheck disable=SC2016 # the inner shell expands it
		run as_nobody sh -c '"$@" 2>&1 | cat' - "$PORTFENCE" run --config app.ini --app app --via "${VIA[$way]}" -- \
			sh -c '"$@" 2>/dev/null; "$@" 2>/dev/null; "$@"; "$@"' - $PYTHON code.py
		echo "$output"
		[ "$(grep -c '^{True}$' <<<"$output")" = 4 ]
		# the library tells in each process
		[ "$(grep -c 'no port is left' <<<"$output")" = "$([ "$way" = calls ] && echo 1 || echo 2)" ]
	done
	# a refusal, but where the kernel refuses by itself
	needs_landlock
	RANGES=([calls]=20000-20999)
	# shellcheck disable=SC2016 # the inner shell expands it
	run fenced_told calls sh -c '"$@" 2>/dev/null; "$@"; "$@" 2>/dev/null; "$@"' - $PYTHON -c 'import ctypes, socket
libc = ctypes.CDLL(None); libc.prctl(38, 1, 0, 0, 0); libc.syscall(446, libc.syscall(444, (ctypes.c_uint64 * 2)(0, 3), 16, 0), 0)
print(libc.bind(socket.socket().detach(), b"\2" + bytes(15), 16))'
	echo "$output"
	[ "$(grep -c '^-1$' <<<"$output")" = 4 ]
	[ "$(grep -c 'may be under Landlock rules' <<<"$output")" = "$(is_unread && echo 0 || echo 1)" ]
}

@test "in a file that standard error is, the program goes on behind a line of the supervisor's" {
	local way
	RANGES=([calls]=20000 [both]=20000)
	for way in calls both; do
		printf '[app]\nrange = 20000\nexhausted = system\n' >app.ini
		python_code 'os.write(2, b"before\n"); s = [udp() for i in range(2)]; [x.sendto(b"x", ("127.0.0.1", 9)) for x in s]; os.write(2, b"behind, and longer than what stands before\n" * 9)'
		as_nobody "$PORTFENCE" run --config app.ini --app app --via "${VIA[$way]}" -- $PYTHON code.py 2>errors
		cat errors
		[ "$(head -n 1 errors)" = before ]
		[[ $(sed -n 2p errors) = *"portfence["*" app: warning: no port is left in the range"* ]]
		[ "$(sed -n '3,$p' errors | sort | uniq -c | xargs)" = "9 behind, and longer than what stands before" ]
	done
}

@test "netlink works in a process that cannot be looked into, and a short address gives no port" {
	local way
	cat >short.py <<-'END'
		import ctypes, os, _socket
		libc = ctypes.CDLL(None, use_errno=True)
		BIND, SENDTO, CONNECT = dict(x86_64=(49, 44, 42), aarch64=(200, 206, 203))[os.uname().machine]
		def call(*arguments):
		    rc = libc.syscall(*arguments)
		    return rc if rc >= 0 else -ctypes.get_errno()
		def port(s): return s.getsockname()[1]
		# a drawn port of a datagram's socket is given back before it is of use
		s = _socket.socket(type=_socket.SOCK_DGRAM)
		print(call(SENDTO, s.fileno(), b"x", 1, 0, b"\2\0" + bytes(10), 12), call(CONNECT, s.fileno(), b"\2\0" + bytes(10), 12))
		print(call(SENDTO, s.fileno(), b"x", 1, 0, b"\2\0\0\11\x7f\0\0\1" + bytes(8), 16), port(s))
		libc.prctl(4, 0)
		netlink = _socket.socket(_socket.AF_NETLINK, _socket.SOCK_RAW, 0).detach()
		name = b"\20\0" + bytes(10)
		ask = b"\24\0\0\0\22\0\1\3" + bytes(12)
		print(call(BIND, netlink, name, 12), call(SENDTO, netlink, ask, 20, 0, name, 12), call(CONNECT, netlink, name, 12))
		# libc asks it by itself
		print("lo" in dict((b, a) for a, b in _socket.if_nameindex()))
	END
	for way in $WAYS; do
		run -0 fenced "$way" $PYTHON -S short.py
		echo "$output"
		[ "${lines[0]}" = "-22 -22" ]
		[ "${lines[1]% *}" = 1 ]
		# on a socket of the library's, a port that was drawn cannot be told from one that was named
		{ is_unseen && [ "$way" = both ]; } || within "$way" <<<"${lines[1]#* }"
		[ "${lines[2]}" = "0 20 0" ]
		[ "${lines[3]}" = True ]
	done
}

@test "a program that is started as root may change its root and its user, and has root's ports only until then" {
	local way
	for way in calls both; do
		cat >drop.py <<-'END'
			import encodings.idna, os, socket
			def bind(port):
			    s = socket.socket()
			    try: s.bind(("127.0.0.1", port))
			    except OSError as e: return e.errno
			    return s.getsockname()[1]
			print(bind(80), bind(0))
			os.chroot("/var"); os.chdir("/")
			print(bind(0))
			os.setgid(65534); os.setuid(65534)
			print(bind(81), bind(0))
		END
		run ns "$PORTFENCE" run --via "${VIA[$way]}" --range "${RANGES[$way]}" -- $PYTHON drop.py
		echo "$output"
		[ "${lines[0]% *}" = 80 ]
		[ "${lines[2]% *}" = 13 ]
		printf '%s\n' "${lines[0]#* }" "${lines[1]}" "${lines[2]#* }" | within "$way"
	done
}

@test "Landlock rules that a program takes on are held against it and its descendants, not against other users or over UDP" {
	local step expected
	needs_landlock
	cat >rules.py <<-'END'
		import ctypes, errno, os, sys, _socket
		libc = ctypes.CDLL(None, use_errno=True)
		def must(rc):
		    if rc < 0: raise OSError(ctypes.get_errno(), "")
		    return rc
		def restrict():
		    must(libc.prctl(38, 1, 0, 0, 0))
		    made = must(libc.syscall(444, (ctypes.c_uint64 * 2)(0, 3), 16, 0))
		    must(libc.syscall(446, made, 0))
		def become(user): os.setresgid(user, user, user); os.setresuid(user, user, user)
		def bind(kind):
		    s = _socket.socket(type=kind)
		    try: s.bind(("127.0.0.1", 0)); return "ok"
		    except OSError as e: return errno.errorcode[e.errno]
		# in a child that is younger than those before it
		def step(what, *steps):
		    sys.stdout.flush()
		    if os.fork() == 0:
		        for one in steps: one()
		        print(what, bind(_socket.SOCK_STREAM), bind(_socket.SOCK_DGRAM), flush=True)
		        os._exit(0)
		    os.wait()
		# root maps another user into the namespace of a child that is under rules
		def elsewhere():
		    (here, there), (back, done) = os.pipe(), os.pipe()
		    if os.fork():
		        os.close(there); os.read(here, 1)
		        pid = int(open("/proc/self/task/%d/children" % os.getpid()).read())
		        open("/proc/%d/uid_map" % pid, "w").write("0 1000 1")
		        os.write(done, b"x"); os.wait(); os._exit(0)
		    become(65534); restrict(); must(libc.unshare(0x10000000)); os.write(there, b"x"); os.read(back, 1)
		    os.setresuid(0, 0, 0)
		nobody = lambda: become(65534)
		for i in range(70): step("made", nobody, lambda: must(libc.syscall(444, (ctypes.c_uint64 * 2)(0, 3), 16, 0)))
		step("maker", nobody)
		step("taker", nobody, restrict)
		step("younger", nobody)
		step("root", lambda: None)
		step("another", lambda: become(1000))
		if sys.argv[1] == "elsewhere": step("elsewhere", elsewhere)
		step("setuid", restrict, lambda: become(1001))
		step("last", lambda: become(1000))
	END
	expected="maker ok ok,taker EACCES ok,younger EACCES ok,root ok ok,another ok ok,elsewhere EACCES ok,setuid EACCES ok,last EACCES ok"
	# the kernel decides each of its binds, and gives it its port later
	! is_unread || expected=${expected//younger EACCES/younger ok} expected=${expected//last EACCES/last ok}
	step=elsewhere
	[ "$AROUND" != docker ] || step=none expected=${expected/,elsewhere EACCES ok/}
	run ns setpriv --no-new-privs "$PORTFENCE" run --via supervise --range "${RANGES[calls]}" -- $PYTHON -S rules.py $step
	echo "$output"
	[ "$(grep -E '^[a-z]+ [a-zA-Z]+ [a-zA-Z]+$' <<<"$output" | uniq | paste -sd,)" = "made ok ok,$expected" ]
}

@test "where /proc is not of its PID namespace, a program that has given up root has no ports of root's" {
	cat >drop.py <<-'END'
		import os, _socket
		os.setgid(65534); os.setuid(65534)
		s = _socket.socket()
		try: s.bind(("127.0.0.1", 81)); print("bound")
		except PermissionError: print("refused")
	END
	# the second of its namespace, which in the other one is the kernel's, or somebody's
	# shellcheck disable=SC2016 # the inner shell expands it
	run ns unshare -pf sh -c '"$@"; exit $?' - "$PORTFENCE" run --via supervise --range 20000-20999 -- \
		$PYTHON -S drop.py
	echo "$output"
	if needs_proc; then
		[ "$status" = 125 ]
	else
		[ "$output" = refused ]
	fi
}

@test "by 32-bit socketcall, too, a program gets the sockets that it has a right to, and no others" {
	local way
	needs_32bit
	for way in $WAYS; do
		run ns "$PORTFENCE" run --via "${VIA[$way]}" --range "${RANGES[$way]}" -- \
			"${AS_NOBODY[@]}" "$install/raw" kinds
		echo "$output"
		[ "${lines[*]}" = "unix 0 netlink 0 raw EPERM packet EPERM tcp 0" ]
	done
}

@test "a program that is moved to another control group than its supervisor is fenced, too" {
	local groups group
	groups=$(awk '$3 == "cgroup2" || /name=systemd/ { print $2; exit }' /proc/mounts)
	group=$groups/portfence-$$
	# where none is mounted, that would be a folder of the root's
	[ -n "$groups" ] && mkdir "$group" 2>/dev/null || skip "no control group can be made here"
	cat >moved.py <<-'END'
		import os, sys
		import _socket
		def move(group): open(group + "/cgroup.procs", "w").write(str(os.getpid()))
		def port():
		    s = _socket.socket()
		    s.bind(("127.0.0.1", 0))
		    return s.getsockname()[1]
		groups, group = sys.argv[1:]
		print(port())
		move(group)
		print(port())
		move(groups)
	END
	run --separate-stderr ns "$PORTFENCE" run --via supervise --range "${RANGES[calls]}" -- \
		$PYTHON -S moved.py "$groups" "$group"
	rmdir "$group"
	echo "$output" "$stderr"
	if is_unseen; then
		[ "${#lines[@]}" = 1 ]
		[[ $stderr = *PermissionError* ]]
	else
		[ "${#lines[@]}" = 2 ]
	fi
	within calls <<<"$output"
}

@test "in namespaces of its own, a program is fenced, too" {
	local way
	needs_user_namespaces
	allows_namespaces
	for way in calls both; do
		# shellcheck disable=SC2016 # the inner shell expands it
		run fenced "$way" unshare -Urn sh -c 'ip link set lo up; exec "$@"' - $PYTHON -c 'import socket
s = socket.create_server(("127.0.0.1", 0)); c = socket.create_connection(s.getsockname())
print(s.getsockname()[1]); print(c.getsockname()[1])'
		echo "$output"
		if is_unseen && [ "$way" = calls ]; then
			[[ $output = *PermissionError* ]]
			continue
		fi
		[ "$status" = 0 ]
		# its number inside is another user's in the folder of the states, which users share
		within "$way" < <(grep -v ' warning: the state file is not used' <<<"$output")
	done
}

@test "in another network namespace than the supervisor's, a port serves one connection, and a line says why" {
	needs_user_namespaces
	allows_namespaces
	cat >apart.py <<-'END'
		import errno, _socket
		servers = [_socket.socket() for i in range(2)]
		for i, s in enumerate(servers): s.bind(("127.0.0.1", 7000 + i)); s.listen()
		kept = []
		for s in servers:
		    c = _socket.socket(); kept.append(c)
		    try: c.connect(s.getsockname()); print(c.getsockname()[1])
		    except OSError as e: print(errno.errorcode[e.errno])
	END
	RANGES[calls]=20000
	# shellcheck disable=SC2016 # the inner shell expands it
	run --separate-stderr fenced calls unshare -Urn sh -c 'ip link set lo up; exec "$@"' - $PYTHON -S apart.py
	echo "$output" "$stderr"
	if is_unseen; then
		[[ $stderr = *PermissionError* ]]
	else
		[ "$status" = 0 ]
		[ "${lines[*]}" = "20000 EADDRNOTAVAIL" ]
		[ "$(grep -c "could not be asked whether a port can be shared.* a supervisor in the same network namespace" <<<"$stderr")" = 1 ]
	fi
	# in its own, it is shared
	run -0 --separate-stderr fenced calls $PYTHON -S apart.py
	[ "${lines[*]}" = "20000 20000" ]
	[ -z "$stderr" ]
}

@test "portfence within portfence is served by the outer one's supervisor, and debuggers work" {
	local way
	for way in $WAYS; do
		run fenced "$way" "$PORTFENCE" run --quiet --range "${RANGES[$way]}" -- $PYTHON -c 'import socket
s = socket.socket(); s.bind(("", 0)); print(s.getsockname()[1])'
		echo "$output"
		[ "$status" = 0 ]
		within "$way" <<<"$output"
		run -0 fenced "$way" "$PORTFENCE" run --via supervise --range 30000-30999 -- $PYTHON -c 'import socket
s = socket.socket(); s.bind(("", 0)); print(s.getsockname()[1])'
		all_within 30000 30999 <<<"$output"
		! may_trace || run -0 fenced "$way" strace -f -o /dev/null $PYTHON -c 'import socket; socket.socket().bind(("", 0))'
	done
}

# ---- terminals ----

@test "a terminal's signals and its shell's job control work" {
	local way
	cat >terminal.py <<-'END'
		import os, pty, signal, sys
		# who starts the tests in the background has SIGINT ignored
		signal.signal(signal.SIGINT, signal.SIG_DFL)
		pid, fd = pty.fork()
		if pid == 0: os.execvp(sys.argv[1], sys.argv[1:])
		# does not wait for ever
		signal.alarm(120)
		seen = b""
		def until(text):
		    global seen
		    while text not in seen: seen += os.read(fd, 1000)
		    seen = seen.split(text, 1)[1]
		def say(text): os.write(fd, text)
		say(b"PS1=; echo rea''dy\n"); until(b"ready")
		say(b"cat\n"); say(b"one\n"); until(b"one\r\none")
		say(b"\x1a"); until(b"Stopped                 cat")
		say(b"jobs\n"); until(b"Stopped                 cat")
		say(b"fg\n"); until(b"\ncat\r\n"); say(b"two\n"); until(b"two\r\ntwo")
		say(b"\x03"); until(b"^C"); until(b"\n"); say(b"echo status $?\n"); until(b"status 130")
		say(b"exit 5\n")
		print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
	END
	for way in $WAYS; do
		run -0 as_nobody $PYTHON terminal.py "$PORTFENCE" run --via "${VIA[$way]}" \
			--range "${RANGES[$way]}" -- bash --norc --noediting -i
		[ "$output" = 5 ]
	done
}

@test "a state file that is cut short does not end the supervisor" {
	mkdir -m 700 cut
	cat >cut.py <<-'END'
		import glob, os, socket
		def port():
		    with socket.socket() as s:
		        s.bind(("127.0.0.1", 0))
		        return s.getsockname()[1]
		print(port())
		for path in glob.glob("cut/*"):
		    os.truncate(path, 0)
		print(port())
		print(port())
	END
	PORTFENCE_STATE=$PWD/cut ns "$PORTFENCE" run --via supervise --range 20000-20099 -- "$PYTHON" cut.py >said
	[ "$(wc -l <said)" = 3 ]
	all_within 20000 20099 <said
	[ "$(find cut -type f -size 0 | wc -l)" = 1 ]
}

@test "sockets that a program inherits get their port from the range" {
	local way
	for way in $WAYS; do
		run as_nobody $PYTHON -c 'import os, socket, sys
kept = [socket.socket(type=t) for t in (socket.SOCK_STREAM, socket.SOCK_DGRAM)]
for s in kept: os.set_inheritable(s.fileno(), True)
os.execv(sys.argv[1], sys.argv[1:] + ["--", "'$PYTHON'", "-c", "import socket\nfor fd in %s:\n    s = socket.socket(fileno=fd); s.bind((\"127.0.0.1\", 0)); print(s.getsockname()[1])" % [s.fileno() for s in kept]])' \
			"$PORTFENCE" run --via "${VIA[$way]}" --range "${RANGES[$way]}"
		echo "$output"
		[ "${#lines[@]}" = 2 ]
		within "$way" <<<"$output"
	done
}

@test "sockets that were made outside, and are received or accepted, get their port from the range" {
	local way
	cat >outside.py <<-'END'
		import os, socket, sys
		here, there = socket.socketpair()
		kept = [socket.socket(type=t) for t in (socket.SOCK_STREAM, socket.SOCK_STREAM, socket.SOCK_STREAM,
		                                        socket.SOCK_DGRAM, socket.SOCK_DGRAM, socket.SOCK_DGRAM)]
		socket.send_fds(here, [b"x"], [s.fileno() for s in kept])
		there.set_inheritable(True)
		os.execv(sys.argv[1], sys.argv[1:] + ["--", "/usr/bin/python3", "inside.py", str(there.fileno())])
	END
	cat >inside.py <<-'END'
		import os, socket, sys
		there = socket.socket(fileno=int(sys.argv[1]))
		got = [socket.socket(fileno=fd) for fd in socket.recv_fds(there, 1, 10)[1]]
		got[0].bind(("127.0.0.1", 0))
		got[1].listen()
		got[2].connect(got[1].getsockname())
		got[3].bind(("127.0.0.1", 0))
		got[4].connect(("127.0.0.1", 9))
		got[5].sendto(b"x", ("127.0.0.1", 9))
		for s in got: print(s.getsockname()[1])
		print(got[1].accept()[0].getsockname()[1])
	END
	for way in $WAYS inside; do
		run as_nobody $PYTHON outside.py "$PORTFENCE" run --via "${VIA[$way]}" --range "${RANGES[$way]}"
		echo "$output"
		# of sockets from elsewhere, those that the library gives a port alone
		if is_unseen && [ "${VIA[$way]}" = supervise ]; then
			[[ $output = *PermissionError* ]]
			continue
		fi
		[ "$status" = 0 ]
		[ "${#lines[@]}" = 7 ]
		within "$way" <<<"$output"
	done
}


@test "SMC sockets, whose ports the kernel would choose by itself, are refused" {
	local way
	for way in $WAYS; do
		run -0 fenced "$way" $PYTHON -c 'import errno, socket
for what in ((43, 1, 0), (2, 1, 256), (10, 1, 256)):
    try: socket.socket(*what)
    except OSError as e: print(errno.errorcode[e.errno])'
		[ "${lines[*]}" = "EAFNOSUPPORT EPROTONOSUPPORT EPROTONOSUPPORT" ]
	done
}

@test "a connect on what is no socket fails as the kernel fails it" {
	[ "$(uname -m)" = x86_64 ] || skip "the numbers are those of x86-64"
	run -0 fenced calls $PYTHON -c 'import ctypes, errno
libc = ctypes.CDLL(None, use_errno=True)
def call(*a): libc.syscall(*a); return errno.errorcode[ctypes.get_errno()]
addr = b"\2" + bytes(15)
print(call(42, 0, ctypes.c_void_p(1), 16), call(42, 0, addr, 1000), call(42, 0, addr, 16), call(49, 0, ctypes.c_void_p(1), 16))'
	[ "$output" = "EFAULT EINVAL ENOTSOCK ENOTSOCK" ]
}

@test "a SIGBUS that another process sends changes nothing" {
	# shellcheck disable=SC2016 # the inner shell expands it
	run -0 ns "$PORTFENCE" run --via supervise --order sequential --range 20000-20099 -- sh -c '
		kill -BUS "$(pgrep -x --ns $$ --nslist net portfence)"; exec "$@"' - $PYTHON -c 'import socket
s = socket.socket(); s.bind(("", 0)); print(s.getsockname()[1])'
	within calls <<<"$output"
}
