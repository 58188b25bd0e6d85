#!/usr/bin/env bats
#
# A range of N ports serves N connections to each destination, not N altogether.

load lib/helpers

PYTHON=/usr/bin/python3

# Opens CONNECTIONS to each of DESTINATIONS servers of its own, from a fenced client, and says what
# became of them; then one more to each, which cannot be had.
cat_client() {
	cat >client.py <<-'END'
		import errno, resource, socket, sys
		family, address, destinations, connections = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
		family = socket.AF_INET6 if family == "6" else socket.AF_INET
		resource.setrlimit(resource.RLIMIT_NOFILE, (20000, 20000))
		held, ports = [], set()
		for i in range(connections):
		    for d in range(destinations):
		        s = socket.socket(family); s.connect((address, 7000 + d)); held.append(s)
		        ports.add(s.getsockname()[1])
		print("connected", len(held), "ports", len(ports))
		print("READY", flush=True); sys.stdin.readline()
		failed = set()
		for d in range(destinations):
		    s = socket.socket(family)
		    try: s.connect((address, 7000 + d))
		    except OSError as e: failed.add(errno.errorcode[e.errno])
		    else: failed.add("connected")
		print("one more:", *failed)
	END
	cat >server.py <<-'END'
		import resource, socket, sys
		resource.setrlimit(resource.RLIMIT_NOFILE, (20000, 20000))
		held = []
		for d in range(int(sys.argv[1])):
		    s = socket.socket(socket.AF_INET6); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
		    s.bind(("::", 7000 + d)); s.listen(1000); held.append(s)
		s = socket.socket(); s.bind(("", 6999)); s.listen()
		sys.stdin.readline()
	END
}

# stands FAMILY ADDRESS DESTINATIONS CONNECTIONS RANGE
stands() {
	cat_client
	ns sh -c 'echo 4096 >/proc/sys/net/core/somaxconn' || true
	mkfifo hold
	# shellcheck disable=SC2016 # the inner shell expands it
	ns_background bash -c 'exec "$@" <hold' - $PYTHON server.py "$3"
	exec 4>hold
	wait_tcp 6999
	mkfifo go
	# shellcheck disable=SC2016
	ns_background bash -c 'exec "$@" <go >client.out 2>&1' - \
		"$PORTFENCE" run --range "$5" -- $PYTHON client.py "$1" "$2" "$3" "$4"
	exec 5>go
	wait_until grep -qE 'READY|Error' client.out
	ns ss -Htn state established "( dport >= :7000 and dport < :7100 )" | awk '{ print $3, $4 }' >standing
	echo >&5
	exec 5>&-
	wait "$pid" || true
	exec 4>&-
	cat client.out
	grep -q "^connected $(($3 * $4)) ports $4$" client.out
	grep -q '^one more: EADDRNOTAVAIL$' client.out
	# what the kernel says: as many connections, each with a tuple of its own, all from the range
	[ "$(wc -l <standing)" = $(($3 * $4)) ]
	[ "$(sort -u standing | wc -l)" = $(($3 * $4)) ]
	awk '{ sub(/.*:/, "", $1); print $1 }' standing | all_within "${5%-*}" "${5#*-}"
}

@test "5,000 connections stand at once: 100 ports to each of 50 destinations (IPv4)" {
	stands 4 127.0.0.1 50 100 20000-20099
}

@test "1,000 connections stand at once: 100 ports to each of 10 destinations (IPv6)" {
	stands 6 ::1 10 100 20000-20099
}

@test "1,000 connections stand at once: 100 ports to each of 10 destinations (IPv6 sockets, IPv4 destination)" {
	stands 6 ::ffff:127.0.0.1 10 100 20000-20099
}

@test "a port in TIME_WAIT towards one destination serves another at once" {
	cat >both.py <<-'END'
		import socket
		servers = [socket.create_server(("127.0.0.1", 7000 + d)) for d in range(3)]
		for server in servers:
		    s = socket.create_connection(server.getsockname()); a, _ = server.accept()
		    print(s.getsockname()[1]); s.close(); a.close()
	END
	run ns "$PORTFENCE" run --range 20000 -- $PYTHON both.py
	[ "$output" = "20000
20000
20000" ]
	[ "$(ns ss -Htn state time-wait "sport = :20000" | wc -l)" = 3 ]
}

@test "a fenced server's listening port is not shared by a client of the same range" {
	cat >both.py <<-'END'
		import socket
		outside = socket.create_server(("127.0.0.1", 7000))
		server = socket.create_server(("127.0.0.1", 0)); print(server.getsockname()[1] in (20000, 20001))
		clients = []
		for i in range(1):
		    s = socket.create_connection(("127.0.0.1", 7000)); clients.append(s)
		    print(s.getsockname()[1] != server.getsockname()[1])
		try: socket.create_connection(("127.0.0.1", 7000)); print("connected")
		except OSError as e: print(e.errno)
	END
	run ns "$PORTFENCE" run --range 20000-20001 -- $PYTHON both.py
	echo "$output"
	[ "$output" = "True
True
99" ]
}

# What is bound to port 0, on however many addresses, leaves half of the ports to connections, as
# it does where the kernel chooses.
halves() {
	cat >halves.py <<-'END'
		import socket
		server = socket.create_server(("127.0.0.1", 7000))
		bound = [socket.socket() for i in range(100)]
		for i, s in enumerate(bound): s.bind((f"127.1.0.{i + 1}", 0))
		print(*sorted({s.getsockname()[1] % 10 for s in bound}))
		connected = [socket.create_connection(server.getsockname()) for i in range(5)]
		print(len(connected))
	END
	ns "$PORTFENCE" run --range "$1" -- $PYTHON halves.py >halves
	cat halves
	diff halves - <<-'END'
		1 3 5 7 9
		5
	END
}

@test "sockets bound to port 0 on many addresses leave half of the ports to connections (bind engine)" {
	halves 20000-20009
}

@test "sockets bound to port 0 on many addresses leave half of the ports to connections (kernel engine)" {
	halves 40000-40009
}

@test "a link-local destination is served by each port once, as any other is" {
	cat >local.py <<-'END'
		import socket
		address = socket.getaddrinfo("fe80::1%one", 7000, type=socket.SOCK_STREAM)[0][4]
		server = socket.socket(socket.AF_INET6); server.bind(address); server.listen(100)
		held = []
		for i in range(20):
		    s = socket.socket(socket.AF_INET6); s.connect(address); held.append(s)
		print(len({s.getsockname()[1] for s in held}))
	END
	ns ip link add one type veth peer name other
	ns ip address add fe80::1/64 dev one nodad
	ns ip link set other up
	ns ip link set one up
	# at random, nearly every run comes upon a port that is taken
	run ns "$PORTFENCE" run --range 20000-20019 --order random -- $PYTHON local.py
	echo "$output"
	[ "$output" = 20 ]
}

@test "a port is not taken by a connection that is tied to an interface" {
	cat >tied.py <<-'END'
		import socket
		server = socket.create_server(("127.0.0.1", 7000), backlog=100)
		def connect(tied):
		    s = socket.socket()
		    if tied: s.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"lo")
		    s.connect(("127.0.0.1", 7000)); return s
		held = [connect(False) for i in range(39)] + [connect(True), connect(False)]
		print(len({s.getsockname()[1] for s in held}), held[39].getsockname() == held[40].getsockname())
	END
	run ns "$PORTFENCE" run --range 20000-20039 --order sequential -- $PYTHON tied.py
	echo "$output"
	[ "$output" = "40 True" ]
}

@test "a socket that another program has tied to an interface finds its free ports" {
	cat >tied.py <<-'END'
		import os, socket
		server = socket.create_server(("127.0.0.1", 7000), backlog=100)
		held = []
		for i in range(20):
		    s = socket.socket()
		    if os.fork() == 0:
		        s.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"lo"); os._exit(0)
		    os.wait()
		    s.connect(("127.0.0.1", 7000)); held.append(s)
		print(len({s.getsockname()[1] for s in held}))
	END
	run ns "$PORTFENCE" run --range 20000-20019 --order random -- $PYTHON tied.py
	echo "$output"
	[ "$output" = 20 ]
}

# spaces_code <CODE: writes spaces.py. Its route_from(SOURCE) makes a route to 10.9.9.9, with that source address, in the
# network namespace that it is called in.
# iproute2's ip has a libcap whose constructor calls prctl(2) before a sanitizer in the library is ready; no
# preload reaches busybox.
spaces_code() {
	cat >spaces.py <<-'END'
		import ctypes, os, socket
		libc = ctypes.CDLL(None, use_errno=True)
		def route_from(source):
		    os.system("busybox ip link set lo up; busybox ip address add 10.9.9.9/32 dev lo;"
		              f"busybox ip address add {source}/32 dev lo;"
		              f"busybox ip route replace local 10.9.9.9 dev lo table local src {source}")
	END
	cat >>spaces.py
}

@test "a process that goes from one network namespace to another takes no route along" {
	spaces_code <<-'END'
		def space(source):
		    assert libc.unshare(0x40000000) == 0
		    route_from(source)
		    return os.open("/proc/self/ns/net", os.O_RDONLY)
		held = []
		def connect():
		    held.append(socket.create_server(("10.9.9.9", 7000), backlog=100))
		    clients = [socket.create_connection(("10.9.9.9", 7000)) for i in range(20)]
		    held.extend(clients)
		    print(clients[0].getsockname()[0], len({s.getsockname()[1] for s in clients}))
		one = space("10.1.1.1"); two = space("10.2.2.2")
		connect(); assert libc.setns(one, 0) == 0; connect()
	END
	run ns "$PORTFENCE" run --range 20000-20019 --order random -- $PYTHON spaces.py
	echo "$output"
	[ "$output" = "10.2.2.2 20
10.1.1.1 20" ]
}

@test "a forked child in another network namespace takes no route along either" {
	spaces_code <<-'END'
		def connect(source):
		    route_from(source)
		    server = socket.create_server(("10.9.9.9", 7000), backlog=100)
		    clients = [socket.create_connection(("10.9.9.9", 7000)) for i in range(20)]
		    print(clients[0].getsockname()[0], len({s.getsockname()[1] for s in clients}), flush=True)
		connect("10.1.1.1")
		assert libc.unshare(0x40000000) == 0
		if os.fork() == 0:
		    connect("10.2.2.2"); os._exit(0)
		os.wait()
	END
	run ns "$PORTFENCE" run --range 20000-20019 --order random -- $PYTHON spaces.py
	echo "$output"
	[ "$output" = "10.1.1.1 20
10.2.2.2 20" ]
}

@test "a socket that a process takes along to another network namespace is looked up in its own" {
	cat >late.py <<-'END'
		import ctypes, socket, struct
		libc = ctypes.CDLL(None, use_errno=True)
		def connect(s, port):
		    s.connect(("127.0.0.1", port)); return s
		def leave():
		    s = connect(socket.socket(), 7001)
		    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)); s.close()
		servers = [socket.create_server(("127.0.0.1", port), backlog=9) for port in (7000, 7001)]
		held, late = connect(socket.socket(), 7000), socket.socket()
		# the second one shares the held port, so that the route is known
		leave(); leave(); leave()
		assert libc.unshare(0x40000000) == 0
		connect(late, 7000)
		print(held.getsockname()[1], late.getsockname()[1])
	END
	# the next one is held by the same connection, and no socket of the new namespace shows that
	run ns "$PORTFENCE" run --range 20000-20001 --order sequential -- $PYTHON late.py
	echo "$output"
	[ "$output" = "20000 20001" ]
}

@test "one look tells that the half for connections or the range is used up, also where IPv6 sockets use it towards IPv4" {
	cat >look.py <<-'END'
		import socket
		server = socket.create_server(("127.0.0.1", 7000), backlog=300)
		def connect():
		    s = socket.socket(socket.AF_INET6); s.connect(("::ffff:127.0.0.1", 7000)); return s
		held = [connect() for i in range(200)]
		try: connect()
		except OSError as e: print(e.errno)
	END
	run ns "$PORTFENCE" run --range 20000-20199 -- \
		strace -o calls -e trace=sendto,connect $PYTHON look.py
	[ "$output" = 99 ]
	# how many questions each of them took: two dumps, and 32 ports at most by themselves
	awk '/^sendto/ { n++ } /^connect/ { print ++calls, n + 0; n = 0 } END { print ++calls, n }' calls >questions
	cat questions
	[ "$(tail -n 1 questions | cut -d' ' -f1)" = 201 ]
	awk '{ most = $1 == 101 || $1 == 201 ? 40 : $1 <= 100 ? 0 : 1; if ($2 > most) bad = 1 } END { exit bad }' questions
}

connecting() {
	ns ss -Htn state syn-sent "sport = :20000" | grep -q .
}

connects_from_the_range() {
	ns "$PORTFENCE" run --range 20000 -- $PYTHON -c \
		'import socket; socket.create_connection(("127.0.0.1", 7000))' 2>failed
}

@test "a process that is killed while it connects does not keep its port from others" {
	# where the queue is full, packets are dropped and connect waits
	cat >server.py <<-'END'
		import socket, sys
		server = socket.socket(); server.bind(("127.0.0.1", 7000)); server.listen(0)
		full = socket.create_connection(server.getsockname())
		open("full", "w"); sys.stdin.readline()
		while True: server.accept()
	END
	mkfifo go
	# shellcheck disable=SC2016 # the inner shell expands it
	ns_background bash -c 'exec "$@" <go' - $PYTHON server.py
	exec 5>go
	wait_until [ -e full ]
	ns_background "$PORTFENCE" run --range 20000 -- $PYTHON -c \
		'import socket; socket.create_connection(("127.0.0.1", 7000))'
	wait_until connecting
	# as long as it connects, nobody else can
	run connects_from_the_range
	[ "$status" != 0 ]
	grep -q 'Cannot assign requested address' failed
	kill -9 "$pid"
	echo >&5
	exec 5>&-
	wait_until connects_from_the_range
}

@test "a socket that was bound before the program began connects, although the range is used up" {
	local via
	cat >named.py <<-'END'
		import os, socket, sys
		server = socket.create_server(("127.0.0.1", 7000), backlog=100)
		named = [socket.socket() for i in range(20)]
		for i, s in enumerate(named): s.bind(("127.0.0.1", 30000 + i)); s.set_inheritable(True)
		server.set_inheritable(True)
		os.execv(sys.argv[1], sys.argv[1:] + [str(s.fileno()) for s in named])
	END
	cat >used.py <<-'END'
		import errno, socket, sys
		def connect(s): return errno.errorcode.get(s.connect_ex(("127.0.0.1", 7000)), "connected")
		held = [socket.socket() for i in range(3)]
		# so that it is known which ports are in use
		print(*map(connect, held))
		print(*{connect(socket.socket(fileno=int(fd))) for fd in sys.argv[1:]})
	END
	for via in preload both; do
		ns_close
		ns_open
		run ns $PYTHON named.py "$PORTFENCE" run --via $via --range 20000 --log none -- $PYTHON used.py
		echo "$output"
		[ "$output" = "connected EADDRNOTAVAIL EADDRNOTAVAIL
connected" ]
	done
}

# ---- ports that are found free, given back, and used a moment later

picking() {
	cat >picking.py <<-'END'
		import socket
		other = socket.create_server(("127.0.0.1", 7000), backlog=512)
		gone = 0
		for i in range(300):
		    s = socket.socket(); s.bind(("127.0.0.1", 0)); port = s.getsockname()[1]; s.close()
		    held = [(socket.create_connection(other.getsockname()), other.accept()[0]) for k in range(20)]
		    # without SO_REUSEADDR, which could share the port of a connection
		    s = socket.socket()
		    try: s.bind(("127.0.0.1", port)); s.listen(1)
		    except OSError: gone += 1
		    s.close()
		    for c, a in held: a.close(); c.recv(1); c.close()
		print(gone)
	END
	ns "$PORTFENCE" run --range "$1" -- $PYTHON picking.py >gone
	[ "$(cat gone)" = 0 ]
}

@test "a port that was found free is not taken by connections (bind engine)" {
	picking 20000-20099
}

@test "a port that was found free is not taken by connections (kernel engine)" {
	picking 40000-40099
}

@test "a port that a bind gave back is the last of its half to be given again, in all processes of a range" {
	cat >give.py <<-'END'
		import socket
		for i in range(10):
		    s = socket.socket(); s.bind(("", 0)); print(s.getsockname()[1]); s.close()
	END
	for range in 20000-20099 40000-40099; do
		for _ in $(seq 15); do
			ns "$PORTFENCE" run --range $range -- $PYTHON give.py
		done >given
		# every round has each of fifty ports once
		for from in 1 51 101; do
			[ "$(sed -n "$from,$((from + 49))p" given | sort -u | wc -l)" = 50 ]
		done
		# and in no order that one could guess
		[ "$(awk 'last && $1 == last + 2 { n++ } { last = $1 } END { print n + 0 }' given)" -lt 30 ]
	done
}

# ---- connections to themselves

# The closed port 1, of ports 0 to 3, is connected to; 0 and 2, which connections take first, are held.
@test "no connection is made from a port to itself, by either engine" {
	cat >self.py <<-'END'
		import errno, socket, sys
		first, held = int(sys.argv[1]), []
		def said(family, address, port):
		    s = socket.socket(family)
		    try: s.connect((address, port)); return "connected to " + str(s.getsockname()[:2])
		    except OSError as e: return errno.errorcode[e.errno]
		for family, address in (2, "127.0.0.1"), (2, "0.0.0.0"), (10, "::1"), (10, "::"), (10, "::ffff:127.0.0.1"):
		    for port in range(4): print(*{said(family, address, first + port) for i in range(6)})
		for port in 0, 2: held.append(socket.create_server(("", first + port)))
		for port in 0, 2: held.append(socket.create_server(("::", first + port), family=10))
		print(*{said(2, "127.0.0.1", first + 1) for i in range(6)}, *{said(10, "::1", first + 1) for i in range(6)})
		held.append(socket.create_server(("", first + 3))); held.append(socket.create_server(("::", first + 3), family=10))
		print(said(2, "127.0.0.1", first + 1), said(10, "::1", first + 1))
	END
	printf '[kernel]\nrange = 40000-40003\nengine = kernel\n[bind]\nrange = 20000-20003\n[auto]\nrange = 40000-40003\n' >self.ini
	for app in auto kernel bind; do
		first=40000
		[ $app != bind ] || first=20000
		for way in both preload; do
			ns "$PORTFENCE" run --config self.ini --app $app --via $way -- $PYTHON self.py $first >said
			cat said
			diff said <(yes ECONNREFUSED | head -n 20; echo ECONNREFUSED ECONNREFUSED; echo EADDRNOTAVAIL EADDRNOTAVAIL)
		done
	done
}

# ---- servers that close their connections first

# servers COUNT [OPTION]: small servers, one after the other
servers() {
	cat >servers.py <<-'END'
		import errno, socket, sys
		def serve():
		    s = socket.socket()
		    if len(sys.argv) > 2: s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
		    s.bind(("127.0.0.1", 0)); s.listen(5)
		    c = socket.create_connection(s.getsockname()); a = s.accept()[0]
		    a.close(); c.recv(1); c.close(); s.close()
		for i in range(int(sys.argv[1])):
		    try: serve()
		    except OSError as e: print(i, errno.errorcode[e.errno]); break
		else: print("all")
	END
}

@test "a server with SO_REUSEADDR gets a port in TIME_WAIT when no other is left, as its own bind could" {
	servers
	for how in '--range 20000-20029' '--range 40000-40029' '--lease 30' '--range 20100-20129 --order random' \
		'--range 20200-20229 --via supervise' '--range 20300-20329 --via preload'; do
		# shellcheck disable=SC2086 # words
		ns "$PORTFENCE" run $how -- $PYTHON servers.py 50 reuse >said 2>err
		cat said err
		[ "$(cat said)" = all ]
		[ ! -s err ]
	done
}

@test "of a range that TIME_WAIT fills, it is said so, once" {
	servers
	for way in both preload supervise; do
		ns_close
		ns_open
		ns "$PORTFENCE" run --range 20000-20029 --via $way --log stderr -- $PYTHON servers.py 50 >said 2>err
		cat said err
		grep -qE '^(28|29|30) (EADDRINUSE|EADDRNOTAVAIL)$' said
		[ "$(grep -c 'warning: no port is left in the range, as closed connections hold some in TIME_WAIT' err)" = 1 ]
		grep -q 'engine=none tried=[0-9]*: no port left, TIME_WAIT holds some$' err
	done
}
