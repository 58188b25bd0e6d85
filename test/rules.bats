#!/usr/bin/env bats
#
# What a rule says beyond its range: explicit binds, exhaustion, engines, and what happens when the
# system's own ranges change under a running program.

# shellcheck disable=SC2030,SC2031 # each test is a process of its own, and what it sets is its own

load lib/helpers

PYTHON=/usr/bin/python3

# rule KEY=VALUE...: writes the configuration of the section [app]
rule() {
	printf '[app]\n' >app.ini
	printf '%s\n' "$@" >>app.ini
}

# fenced_python CODE: runs it under the rule, with what every test here needs
fenced_python() {
	python_code "$1"
	run ns "$PORTFENCE" run --config app.ini --app app "${@:2}" -- $PYTHON code.py
	echo "$output"
}

@test "bind = allow lets the program bind to any port" {
	rule 'range = 20000-20009'
	fenced_python 's = tcp(); print(error(s.bind, ("127.0.0.1", 5555)), port(s))'
	[ "$output" = "ok 5555" ]
}

@test "bind = own lets the program bind inside its range only" {
	rule 'range = 20000-20009' 'udp.range = 21000-21009' 'bind = own'
	fenced_python 'print(error(tcp().bind, ("127.0.0.1", 5555)), error(tcp().bind, ("127.0.0.1", 20009)),
		error(tcp().bind, ("127.0.0.1", 20010)), error(udp().bind, ("127.0.0.1", 20009)),
		error(udp().bind, ("127.0.0.1", 21000)), error(tcp().bind, ("127.0.0.1", 0)))'
	[ "$output" = "EACCES ok EACCES EACCES ok ok" ]
}

@test "bind = deny refuses explicit binds, and no implicit one" {
	rule 'range = 20000-20009' 'bind = deny'
	fenced_python 's = tcp(); print(error(tcp().bind, ("127.0.0.1", 20001)), error(udp().bind, ("127.0.0.1", 5)),
		error(s.bind, ("127.0.0.1", 0)), 20000 <= port(s) <= 20009)'
	[ "$output" = "EACCES EACCES ok True" ]
}

@test "that a program names ports outside the range is said once, by run -v and by the log" {
	rule 'range = 20000-20009'
	local code='for p in 80, 20001, 5555, 5556: udp().bind(("127.0.0.1", p))' told
	told="info: the program names ports outside the range, as 'bind = allow' lets it, port 5555 first; 'bind = move' gives it others"
	for way in preload supervise both; do
		fenced_python "$code" --via "$way" -v
		[ "$(grep -cF "app: $told" <<<"$output")" = 1 ]
		fenced_python "$code" --via "$way" --log "$PWD/log"
		[ -z "$output" ]
		[ "$(grep -cF "app: $told" log)" = 1 ]
		rm log
		fenced_python "$code" --via "$way"
		[ -z "$output" ]
	done
	rule 'range = 20000-20009' 'bind = move'
	fenced_python "$code" -v
	[ "$(wc -l <<<"$output")" = 1 ]
}

# Each way serves by itself: the library, the supervisor, and both
MOVERS="preload supervise both"

@test "bind = move gives a port of the range for one outside, and getsockname tells it" {
	rule 'range = 20000-20099' 'udp.range = 21000-21099' 'bind = move'
	for way in $MOVERS; do
		fenced_python 'for new, named in (tcp, 8080), (udp, 5353), (udp, 5453), (tcp, 8180), (tcp, 20007), (tcp, 80), (tcp, 65535):
		    s = new(); held = globals().setdefault("held", []); held.append(s)
		    print(named, error(s.bind, ("127.0.0.1", named)), port(s))' --via "$way"
		diff - <(echo "$output") <<-'END'
			8080 ok 20080
			5353 ok 21053
			5453 ok 21054
			8180 ok 20081
			20007 ok 20007
			80 ok 80
			65535 ok 20035
		END
	done
}

@test "bind = move is for the ports of 'move', and leaves others alone" {
	rule 'range = 20000-20099' 'bind = move' 'move = 5000-5999, 7000'
	for way in $MOVERS; do
		fenced_python 'print(*[(s.bind(("127.0.0.1", p)), port(s))[1] for p in (4999, 5000, 5999, 6000, 7000, 7001, 20001) for s in [udp()]])' \
			--via "$way"
		[ "$output" = "4999 20000 20099 6000 20000 7001 20001" ]
	done
	rule 'range = 20000-20099' 'bind = own' 'move = 5000'
	run ns "$PORTFENCE" run --config app.ini --app app true
	[[ "$output" = "portfence: $PWD/app.ini:"*": 'move' does nothing without 'bind = move', add it" ]]
}

@test "bind = move leaves a pair of RTP a pair, also where ports of the range are taken" {
	rule 'range = 20000-20009' 'bind = move'
	for way in $MOVERS; do
		fenced_python 'def pair(rtp):
		    held = globals().setdefault("held", [])
		    for p in rtp, rtp + 1:
		        s = udp(); s.bind(("127.0.0.1", p)); held.append(s)
		    return port(held[-2]), port(held[-1])
		taken = udp(); taken.bind(("127.0.0.1", 20001))
		print(pair(30000), pair(30010), pair(40008), pair(50000))
		# now one port is left, and none
		s = udp(); s.bind(("127.0.0.1", 50000)); print(port(s)); print(error(udp().bind, ("127.0.0.1", 50001)))' --via "$way"
		[ "$output" = "(20002, 20003) (20004, 20005) (20008, 20009) (20006, 20007)
20000
EADDRINUSE" ]
	done
}

@test "bind = move: sockets that share a port by SO_REUSEPORT share the one that they get" {
	rule 'range = 20000-20099' 'bind = move'
	for way in $MOVERS; do
		fenced_python 'def shared(new, p):
		    s = new(); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
		    s.bind(("127.0.0.1", p)); globals().setdefault("held", []).append(s); return port(s)
		taken = [tcp(), udp()]; [s.bind(("127.0.0.1", 20000)) for s in taken]
		print(shared(tcp, 9000), shared(tcp, 9000), shared(udp, 9000), shared(udp, 9000), shared(udp, 9100))' --via "$way"
		# shellcheck disable=SC2086 # words
		set -- $output
		[ "$1 $3" = "$2 $4" ]
		[ "$5" != "$3" ]
		printf '%s\n' "$@" | all_within 20001 20099
	done
}

@test "bind = move: the port is the one on the wire, for both families, and the log tells what was named" {
	rule 'range = 20000-20099' 'bind = move'
	for way in $MOVERS; do
		capture_start 'udp dst port 5300'
		fenced_python 'import random
		for i in range(40):
		    for family, host in (socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1"):
		        s = socket.socket(family, socket.SOCK_DGRAM); s.bind(("", random.randint(1024, 65535)))
		        s.sendto(b"x", (host, 5300)); s.close()' --via "$way" --log log
		capture_stop
		ports_to 5300 | all_within 20000 20099
		[ "$(ports_to 5300 | wc -l)" -gt 10 ]
		grep -Eq ' app: bind udp4 0\.0\.0\.0:200[0-9][0-9] asked=[0-9]+$' log
		rm log
	done
}

@test "bind = move: a program that may not bind where the range begins gets a port behind that" {
	rule 'range = 1000-1030' 'bind = move'
	for way in $MOVERS; do
		run ns setpriv --bounding-set -net_bind_service "$PORTFENCE" run --config app.ini --app app --via "$way" \
			-- $PYTHON -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 6200)); print(s.getsockname()[1])'
		[ "$status" = 0 ]
		echo "${lines[-1]}" | all_within 1024 1030
	done
}

# The code of both, which has ports and may name none
denied='s = tcp(); s.bind(("127.0.0.1", 0)); s.listen(); u = udp(); u.connect(("127.0.0.1", 9))
		c = tcp(); c.connect(s.getsockname())
		print(*[20000 <= port(x) <= 20099 for x in (s, u, c)], error(tcp().bind, ("127.0.0.1", 20001)))'

@test "bind = deny holds where another library stands between ours and libc" {
	rule 'range = 20000-20099' 'bind = deny'
	cat >between.c <<-'END'
		#define _GNU_SOURCE
		#include <dlfcn.h>
		#include <sys/socket.h>
		int bind(int fd, const struct sockaddr *addr, socklen_t len)
		{
			return ((int (*)(int, const struct sockaddr *, socklen_t))dlsym(RTLD_NEXT, "bind"))(fd, addr, len);
		}
	END
	cc -shared -fPIC -o between.so between.c -ldl
	for way in auto $MOVERS; do
		LD_PRELOAD=$PWD/between.so fenced_python "$denied" --via "$way"
		[ "$output" = "True True True EACCES" ]
	done
}

@test "bind = deny is not for sockets that are not fenced" {
	rule 'range = 20000-20009' 'bind = deny'
	fenced_python 'u = socket.socket(socket.AF_UNIX); print(error(u.bind, "here.sock"))
		r = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_TCP)
		print(error(r.bind, ("127.0.0.1", 99)))'
	[ "$output" = "ok
ok" ]
}

# Fills a range of two ports with each kind of call, and compares with the kernel's own answers.
exhaust='def fill(new, call):
		    held = []
		    for i in range(4):
		        s = new(); held.append(s)
		        print(call.__name__, error(call, s), port(s) != 0)
		    return held
		def bind(s): s.bind(("127.0.0.1", 0))
		def listen(s): s.listen()
		def connect(s): s.connect(("127.0.0.1", 7000))
		def sendto(s): s.sendto(b"x", ("127.0.0.1", 7000))
		def clear(held): [s.close() for s in held]
		server = tcp(socket.SO_REUSEADDR); server.bind(("127.0.0.1", 7000)); server.listen()
		accepted = []
		clear(fill(tcp, bind)); clear(fill(tcp, listen)); clear(fill(udp, bind)); clear(fill(udp, connect))
		clear(fill(udp, sendto)); fill(tcp, connect)'

@test "a full range fails each call as the kernel fails it (bind engine)" {
	rule 'range = 40000-40001' 'engine = bind'
	fenced_python "$exhaust"
	local fenced=$output
	ns sh -c 'echo 40000 40001 >/proc/sys/net/ipv4/ip_local_port_range'
	run ns $PYTHON code.py
	# the kernel's connections are in TIME_WAIT on both sides only after this, so both start alike
	diff <(printf '%s\n' "$fenced") <(printf '%s\n' "$output")
}

@test "a full range fails each call as the kernel fails it (kernel engine)" {
	rule 'range = 40000-40001' 'engine = kernel'
	fenced_python "$exhaust"
	local fenced=$output
	ns sh -c 'echo 40000 40001 >/proc/sys/net/ipv4/ip_local_port_range'
	run ns $PYTHON code.py
	diff <(printf '%s\n' "$fenced") <(printf '%s\n' "$output")
}

@test "after a connect that found no port, the socket is as it was and can connect elsewhere" {
	rule 'range = 20000-20001'
	fenced_python 'servers = [tcp(socket.SO_REUSEADDR) for i in range(2)]
		for i, s in enumerate(servers): s.bind(("127.0.0.1", 7000 + i)); s.listen()
		held = [tcp() for i in range(2)]
		for s in held: s.connect(("127.0.0.1", 7000))
		s = tcp()
		print(error(s.connect, ("127.0.0.1", 7000)), port(s), s.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR))
		print(error(s.connect, ("127.0.0.1", 7001)), 20000 <= port(s) <= 20001)'
	[ "$output" = "EADDRNOTAVAIL 0 0
ok True" ]
}

@test "exhausted = system goes on with the system's range and warns once" {
	local engine
	for engine in bind auto; do
		rule 'range = 40000-40001' 'exhausted = system' "engine = $engine"
		fenced_python 'held = []
			server = tcp(socket.SO_REUSEADDR); server.bind(("127.0.0.1", 7000)); server.listen(20)
			for new, call, argument in ((tcp, "bind", ("127.0.0.1", 0)), (udp, "connect", ("127.0.0.1", 9)),
			    (tcp, "connect", ("127.0.0.1", 7000))):
			    count = 0
			    for i in range(4):
			        s = new(); held.append(s); getattr(s, call)(argument)
			        assert port(s); count += 40000 <= port(s) <= 40001
			    print(call, count)'
		[ "$status" = 0 ]
		[ "$(grep -c warning <<<"$output")" = 1 ]
		grep -q "^bind 2$" <<<"$output"
	done
}

@test "a server's SO_REUSEADDR and SO_REUSEPORT stay as it set them, and it shares no port" {
	rule 'range = 20000-20009'
	fenced_python 'seen = set(); held = []
		for i in range(10):
		    s = tcp(socket.SO_REUSEADDR, socket.SO_REUSEPORT); s.bind(("", 0)); held.append(s)
		    assert s.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR) == 1
		    assert s.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT) == 1
		    s.listen(); seen.add(port(s))
		print(len(seen), error(tcp(socket.SO_REUSEADDR, socket.SO_REUSEPORT).bind, ("", 0)))
		again = tcp(socket.SO_REUSEPORT, socket.SO_REUSEADDR); print(error(again.bind, ("", port(held[0]))))'
	[ "$output" = "10 EADDRINUSE
ok" ]
}

@test "ports below 1024 are passed over without the privilege, and EACCES says so when there are no others" {
	rule 'range = 1022-1025'
	cat >code.py <<-'END'
		import socket
		held = []
		for i in range(2):
		    s = socket.socket(); s.bind(("127.0.0.1", 0)); held.append(s)
		print(sorted(s.getsockname()[1] for s in held))
	END
	run ns setpriv --bounding-set=-net_bind_service --inh-caps=-net_bind_service \
		"$PORTFENCE" run --config app.ini --app app -- $PYTHON code.py
	echo "$output"
	grep -q '^\[1024, 1025\]$' <<<"$output"
	grep -q "warning: the tcp range of 'app' starts at port 1022" <<<"$output"
	rule 'range = 1022-1023'
	run ns setpriv --bounding-set=-net_bind_service --inh-caps=-net_bind_service \
		"$PORTFENCE" run --config app.ini --app app -- $PYTHON code.py
	grep -q 'PermissionError' <<<"$output"
}

@test "a range that holds a reserved port is served by the bind engine, reserved ports included" {
	rule 'range = 40000-40001'
	ns sh -c 'echo 40000-40001 >/proc/sys/net/ipv4/ip_local_reserved_ports'
	fenced_python 'server = tcp(socket.SO_REUSEADDR); server.bind(("127.0.0.1", 7000)); server.listen()
		s = tcp(); s.connect(("127.0.0.1", 7000)); print(40000 <= port(s) <= 40001)' --log stderr
	grep -q '^True$' <<<"$output"
	grep -q 'connect tcp4 .* engine=bind' <<<"$output"
}

@test "engine = kernel outside the ephemeral range is refused before the program starts" {
	rule 'range = 20000-20009' 'engine = kernel'
	fenced_python 'print("started")'
	[ "$status" = 125 ]
	[ "$output" = "portfence: 'engine = kernel' cannot serve 'app' for tcp: 20000-20009 is not within the system's ephemeral range 32768-60999; use 'engine = auto'" ]
}

@test "engine = kernel outside the ephemeral range is closed under a plain preload" {
	rule 'range = 20000-20009' 'engine = kernel'
	cat >code.py <<-'END'
		import socket
		try: socket.socket().bind(("127.0.0.1", 0))
		except OSError as e: print(e.errno)
	END
	run ns env LD_PRELOAD="$LIBRARY" PORTFENCE_CONFIG="$PWD/app.ini" PORTFENCE_APP=app $PYTHON code.py
	echo "$output"
	grep -q '^98$' <<<"$output"
	[ "$(grep -c "'engine = kernel' cannot serve" <<<"$output")" = 1 ]
}

@test "a program that moves to another network namespace stays in its range there" {
	# the new namespace's ephemeral range does not hold the fence's, so its kernel would ignore it
	rule 'range = 40000-40009'
	fenced_python 'import ctypes, subprocess
		def once():
		    server = tcp(socket.SO_REUSEADDR); server.bind(("127.0.0.1", 7000)); server.listen()
		    s = tcp(); s.connect(("127.0.0.1", 7000)); print(40000 <= port(s) <= 40009)
		once()
		assert ctypes.CDLL(None).unshare(0x40000000) == 0
		subprocess.run("ip link set lo up; echo 50000 50999 >/proc/sys/net/ipv4/ip_local_port_range", shell=True, check=True)
		once()'
	[ "$output" = "True
True" ]
}

@test "when the system's range is changed under a program, no connection goes on outside, and it says so" {
	rule 'range = 40000-40009'
	fenced_python 'server = tcp(socket.SO_REUSEADDR); server.bind(("127.0.0.1", 7000)); server.listen(20)
		s = tcp(); s.connect(("127.0.0.1", 7000)); print(40000 <= port(s) <= 40009)
		open("/proc/sys/net/ipv4/ip_local_port_range", "w").write("50000 50999")
		s = tcp(); print(error(s.connect, ("127.0.0.1", 7000)))
		for i in range(3):
		    s = tcp(); s.connect(("127.0.0.1", 7000)); print(40000 <= port(s) <= 40009)'
	[ "$(grep -v portfence <<<"$output")" = "True
EADDRNOTAVAIL
True
True
True" ]
	[ "$(grep -c 'ip_local_port_range was changed' <<<"$output")" = 1 ]
}

@test "a connected pair on loopback never is a socket with itself" {
	# nobody listens on the only port of the range: the plain kernel would connect the socket to itself
	rule 'range = 20000'
	fenced_python 's = tcp(); print(error(s.connect, ("127.0.0.1", 20000)))'
	[ "$output" = "EADDRNOTAVAIL" ]
}

@test "a send without destination leaves no port, and a write one until the next send" {
	rule 'range = 20000-20009'
	fenced_python 'u = udp(); print(error(u.send, b"x"), port(u)); u.sendto(b"x", ("127.0.0.1", 9)); print(20000 <= port(u) <= 20009)
		u = udp(); print(error(os.write, u.fileno(), b"x"), port(u) > 20009); u.sendto(b"x", ("127.0.0.1", 9))
		print(20000 <= port(u) <= 20009)'
	[ "$output" = "EDESTADDRREQ 0
True
EDESTADDRREQ True
True" ]
}

@test "a send without destination leaves no port in a program that may have a filter of its own" {
	rule 'range = 20000-20009'
	# PR_SET_NO_NEW_PRIVS comes before a filter; SO_REUSEADDR makes the library forget that the socket is new
	fenced_python 'import ctypes
		assert ctypes.CDLL(None).prctl(38, 1, 0, 0, 0) == 0
		u = udp(); u.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
		print(error(u.send, b"x"), port(u)); u.sendto(b"x", ("127.0.0.1", 9)); print(20000 <= port(u) <= 20009)' --via preload
	[ "$output" = "EDESTADDRREQ 0
True" ]
}

# handed VIA HOST: what becomes of UDP sockets that a program outside has made and used, and of one that is handed
# on inside
handed() {
	python_code 'import subprocess
		host, family = sys.argv[1], socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET
		to = (host, 7000)
		def new(fd=None): return socket.socket(family, socket.SOCK_DGRAM, fileno=fd)
		def placed(place):
		    s = new(); os.dup2(s.fileno(), place); s.close(); return new(place)
		def told(s):
		    before = port(s)
		    for i in range(3): s.sendto(b"x", to)
		    first = port(s); s.connect(to); s.send(b"x"); now = port(s)
		    print("kept" if before == first == now else "moved" if 20000 <= first == now <= 20009 else "lost", flush=True)
		if sys.argv[2] == "child":
		    told(new(60))
		elif sys.argv[2] == "inside":
		    for fd in range(50, 56): told(new(fd))
		    told(new(socket.recv_fds(socket.socket(fileno=49), 9, 1)[1][0]))
		    drawn = placed(60); error(os.write, 60, b"x"); assert port(drawn)
		    subprocess.run([sys.executable, "code.py", host, "child"], pass_fds=[60], check=True)
		    twin = new(); error(os.write, twin.fileno(), b"x"); told(twin.dup())
		else:
		    sink = new(); sink.bind(to)
		    named = placed(50); named.bind((host, 5555))
		    shared = placed(51); shared.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1); shared.bind(("", 5556))
		    joined = placed(52); joined.connect(to)
		    drawn = placed(53); error(os.write, 53, b"x"); assert port(drawn)
		    public = placed(54); public.bind(("", 0))
		    local = placed(55); local.bind((host, 0))
		    passed = new(); passed.bind(("", 0))
		    ours, theirs = socket.socketpair(socket.AF_UNIX); os.dup2(theirs.fileno(), 49)
		    socket.send_fds(ours, [b"x"], [passed.fileno()])
		    subprocess.run(sys.argv[2:], pass_fds=range(49, 56), check=True)'
	run ns $PYTHON code.py "$2" "$PORTFENCE" run --via "$1" --config app.ini --app app -- $PYTHON code.py "$2" inside
	echo "$output"
	[ "$(xargs <<<"$output")" = "kept kept kept kept kept kept kept moved moved" ]
}

@test "a UDP socket from outside keeps its port, and one that a write has bound inside is moved, wherever it is handed to" {
	local via host
	rule 'range = 20000-20009'
	for via in preload both; do
		for host in 127.0.0.1 ::1 ::ffff:127.0.0.1; do
			handed "$via" "$host"
		done
	done
}

@test "a UDP socket that a program has bound to a port and a device keeps both in its children, which dissolve nothing" {
	local via
	skip_missing strace
	rule 'range = 20000-20009'
	python_code 's = udp(); s.bind(("", 5555)); s.setsockopt(socket.SOL_SOCKET, 25, b"lo")
		if os.fork(): os._exit(os.waitstatus_to_exitcode(os.wait()[1]))
		for i in range(3): s.sendto(b"x", ("127.0.0.1", 5555))
		print(port(s), s.getsockopt(socket.SOL_SOCKET, 25, 16).strip(bytes(1)).decode())'
	for via in preload both; do
		run ns strace -f -o trace "$PORTFENCE" run --via "$via" --config app.ini --app app -- $PYTHON code.py
		echo "$output"
		[ "$output" = "5555 lo" ]
		grep -q 'sendto(' trace
		[ "$(grep -c 'AF_UNSPEC' trace)" = 0 ]
	done
}

@test "without 'portfence run', a UDP socket from outside keeps its port, too" {
	rule 'range = 20000-20009'
	python_code 's = socket.socket(fileno=50); before = port(s)
		s.sendto(b"x", ("127.0.0.1", 9)); print(before == port(s))
		u = udp(); error(os.write, u.fileno(), b"x"); u.sendto(b"x", ("127.0.0.1", 9)); print(20000 <= port(u) <= 20009)'
	run ns $PYTHON -c 'import os, socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind(("", 0)); os.dup2(s.fileno(), 50)
os.environ.update(LD_PRELOAD=sys.argv[1], PORTFENCE_CONFIG=sys.argv[2], PORTFENCE_APP="app")
os.execv(sys.argv[3], sys.argv[3:])' "$LIBRARY" "$PWD/app.ini" $PYTHON code.py
	echo "$output"
	[ "$output" = "True
True" ]
}

@test "exhausted = system: a UDP socket keeps its port of the system's range, also in a child and under another number" {
	local engine via
	for via in preload both; do
		for engine in bind kernel; do
			rule 'range = 40000-40001' 'exhausted = system' "engine = $engine"
			fenced_python 'held = [udp() for i in range(2)]; to = ("127.0.0.1", 7000)
				sink = udp(); sink.bind(to)
				for s in held: s.sendto(b"x", to)
				def sent(s): s.sendto(b"x", to); return port(s)
				def bound(s): s.bind(("127.0.0.1", 0)); return port(s)
				def joined(s): s.connect(to); return port(s)
				for first in sent, bound, joined:
				    s = udp(); p = first(s); twin = s.dup(); ports = [sent(s) for i in range(3)] + [sent(twin)]
				    pid = os.fork()
				    if not pid: os._exit(sent(s) != p)
				    print(ports == [p] * 4, 40000 <= p <= 40001, os.waitpid(pid, 0)[1])' --via "$via"
			[ "$(tail -n 3 <<<"$output")" = "True False 0
True False 0
True False 0" ]
		done
	done
}

@test "calls that are easily overlooked stay in the range, and bad pointers are EFAULT" {
	run ns "$PORTFENCE" run --range 20000-20099 -- "$PROBES/overlooked_calls"
	echo "$output"
	[ "$status" = 0 ]
	awk '$2 ~ /^[0-9]+$/ && $1 != "still-connected" { print $2 }' <<<"$output" | all_within 20000 20099
	[ "$(grep -c ' 20' <<<"$output")" = 7 ]
	[ "$(grep -c 'nowhere EFAULT' <<<"$output")" = 4 ]
	grep -q '^still-connected 0$' <<<"$output"
}

@test "a number that is closed, or means another socket, fails and works as it would" {
	local engine
	for engine in bind kernel; do
		rule 'range = 40000-40009' "engine = $engine"
		# by close_range(), which says nothing of the numbers that it closes
		fenced_python 'def closed(make):
			    s = make(); os.closerange(s.fileno(), s.fileno() + 1); return s
			print(error(closed(tcp).connect, ("127.0.0.1", 7000)), error(closed(udp).sendto, b"x", ("127.0.0.1", 9)))
			peer = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); peer.bind("\0portfence")
			u = udp(); number = u.fileno(); os.closerange(number, number + 1)
			a, b = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
			print(number == a.fileno(), error(a.sendto, b"x", "\0portfence"))
			u.detach()'
		[ "$output" = "EBADF EBADF
True ok" ]
	done
}

@test "an address that can be bound only once is no way out" {
	# after IPV6_V6ONLY, the kernel refuses to bind the address again, but would listen on it
	rule 'range = 20000-20009'
	fenced_python 's = socket.socket(socket.AF_INET6); s.setsockopt(socket.IPPROTO_IP, 24, 1)
		s.bind(("::ffff:127.0.0.1", 0)); s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
		print(error(s.listen), port(s))'
	[ "$output" = "EADDRINUSE 0" ]
}

@test "a connect that finds no descriptor to ask through fails, and does not leave the range" {
	rule 'range = 20000' 'exhausted = system'
	fenced_python 'import resource
		servers = [socket.create_server(("127.0.0.1", 7000 + i)) for i in range(2)]
		held = tcp(); held.connect(("127.0.0.1", 7000)); s = tcp()
		resource.setrlimit(resource.RLIMIT_NOFILE, (s.fileno() + 1, s.fileno() + 1))
		print(error(s.connect, ("127.0.0.1", 7001)), port(s))'
	[ "${lines[-1]}" = "EADDRNOTAVAIL 0" ]
	[[ "${lines[0]}" = *": error: the kernel could not be asked whether a port can be shared, "* ]]
	[ "${#lines[@]}" = 2 ]
}

@test "a limit on the size of files kills no fenced program" {
	rm -rf "$PORTFENCE_STATE"
	ns bash -c 'ulimit -f 1; exec "$@"' - env LD_PRELOAD="$LIBRARY" PORTFENCE_RANGE=20000-20099 /bin/true
	dd if=/dev/zero of=full.log bs=1024 count=4 status=none
	run ns bash -c 'ulimit -f 1; exec "$@"' - env LD_PRELOAD="$LIBRARY" PORTFENCE_RANGE=20000-20099 \
		PORTFENCE_LOG="$PWD/full.log" $PYTHON -c 'import socket; socket.socket().bind(("", 0)); print("alive")'
	echo "$output"
	grep -q alive <<<"$output"
}

@test "engine = kernel serves its own network namespace again after another that it cannot serve" {
	rule 'range = 40000-40009' 'engine = kernel'
	fenced_python 'import ctypes, subprocess
		libc = ctypes.CDLL(None); home = os.open("/proc/self/ns/net", os.O_RDONLY)
		def once(): s = tcp(); return error(s.bind, ("127.0.0.1", 0)), 40000 <= port(s) <= 40009
		print(*once())
		assert libc.unshare(0x40000000) == 0
		subprocess.run("ip link set lo up; echo 50000 50999 >/proc/sys/net/ipv4/ip_local_port_range", shell=True, check=True)
		print(*once())
		assert libc.setns(home, 0x40000000) == 0
		print(*once())'
	[ "$(grep -v portfence <<<"$output")" = "ok True
EADDRINUSE False
ok True" ]
}
