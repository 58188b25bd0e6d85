#!/usr/bin/env bats
#
# The further subflows that the kernel makes of an MPTCP connection: on the wire they leave from the
# range, or there is no MPTCP.

# shellcheck disable=SC2094 # the file is written by the background
bats_require_minimum_version 1.5.0
load lib/helpers

OUTSIDE=20000-20099
INSIDE=40000-40099

# A host of three addresses: its connections get a subflow from each of two others, whoever has
# connected; the third is told to the other side.
setup() {
	common_setup
	needs_mptcp
	ns ip mptcp endpoint show >/dev/null || not_installed "'ip mptcp' is not there"
	for last in 1 2 3; do
		ns ip addr add 10.9.0.$last/32 dev lo
	done
	ns ip mptcp limits set subflows 4 add_addr_accepted 4
	ns ip mptcp endpoint add 10.9.0.2 subflow
	ns ip mptcp endpoint add 10.9.0.3 signal
	cat >peer.py <<-'END'
		import os, socket, sys, time
		MPTCP, SOL_MPTCP, MPTCP_INFO = 262, 284, 1
		def mptcp(port=0):
		    s = socket.socket(socket.AF_INET, socket.SOCK_STREAM, MPTCP)
		    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
		    if port is not None: s.bind(("0.0.0.0", port))
		    return s
		# the kernel adds subflows once data has come from both ends; 6 is TCP's number
		def talk(s):
		    protocol = s.getsockopt(socket.SOL_SOCKET, socket.SO_PROTOCOL)
		    s.sendall(b"x"); s.recv(1); s.sendall(b"x"); s.recv(1)
		    while protocol == MPTCP and s.getsockopt(SOL_MPTCP, MPTCP_INFO, 64)[0] < 2: time.sleep(0.01)
		    print(protocol)
		def serve(port):
		    s = mptcp(port); s.listen(8)
		    return s
		def answer(s):
		    while data := s.recv(1): s.sendall(data)
	END
}

# ways: each way to fence, and what it takes
WAYS='both
preload
supervise
supervise --order random
both --order random'

# python COMMAND...: code from standard input, after peer.py
python() {
	cat peer.py - >code.py
	"$@" python3 code.py
}

plain_server() {
	cat peer.py - >server.py <<-END
		s = serve(7777)
		while True:
		    a = s.accept()[0]
		    if not os.fork(): answer(a); break
	END
	ns_background python3 server.py
	wait_tcp 7777
}

# The first packets of connections, to any port but where $1 says which
syn_start() {
	capture_start "tcp[tcpflags] & (tcp-syn|tcp-ack) == tcp-syn${1:+ and $1}"
}

# client PORT OPTION...: the client's own bind() is to PORT, or None; prints protocol, then on the wire
client() {
	local port=$1
	shift
	syn_start 'dst port 7777'
	python ns "$PORTFENCE" run "$@" -- <<-END
		s = mptcp($port); s.connect(("10.9.0.1", 7777)); talk(s)
	END
	capture_stop
	sed -E 's/^.* IP ([^ ]+)\.([0-9]+) > .*/\1 \2/' "$capture" >from
	cat from
}

@test "without the fence, subflows leave from ports of the kernel's choice" {
	plain_server
	syn_start 'dst port 7777'
	python ns >said <<-END
		s = mptcp(20050); s.connect(("10.9.0.1", 7777)); talk(s)
	END
	capture_stop
	[ "$(cat said)" = 262 ]
	[ "$(ports_to 7777 | wc -l)" -ge 3 ]
	run -1 all_within 20000 20099 < <(ports_to 7777)
}

@test "a range within the ephemeral one: subflows stay in it, each way and however the socket is bound" {
	local way port=30000
	plain_server
	while read -r way; do
		for bound in None 0 $((++port)); do
			# shellcheck disable=SC2086 # words
			client $bound --via $way --range $INSIDE >said
			cat said
			[ "$(head -n 1 said)" = 262 ]
			[ "$(cut -d ' ' -f 1 from | sort -u | wc -l)" -ge 3 ]
			# the port that the program itself has named is its own
			ports_to 7777 | grep -vx $port | all_within 40000 40099
		done
	done <<<"$WAYS"
}

@test "another range: the socket is a TCP one, which is said once" {
	local way
	plain_server
	while read -r way; do
		syn_start 'dst port 7777'
		# shellcheck disable=SC2086 # words
		python ns "$PORTFENCE" run --via $way --range $OUTSIDE -- >said 2>err <<-END
			for i in range(3):
			    s = mptcp(None); s.connect(("10.9.0.1", 7777)); talk(s)
			    s = mptcp(0); s.connect(("10.9.0.1", 7777)); talk(s)
		END
		capture_stop
		[ "$(sort -u said)" = 6 ]
		[ "$(grep -c ' > 10\.9\.0\.1\.7777: ' "$capture")" = 6 ]
		ports_to 7777 | all_within 20000 20099
		cat err
		[ "$(wc -l <err)" = 1 ]
		grep -q "warning: mptcp sockets are made plain tcp, .*; use 'mptcp = allow' to let it" err
	done <<<"$WAYS"
}

@test "a range with a reserved port is another range" {
	plain_server
	ns sh -c 'echo 40005 >/proc/sys/net/ipv4/ip_local_reserved_ports'
	for way in both preload supervise; do
		client None --via $way --range $INSIDE >said
		cat said
		[ "$(head -n 1 said)" = 6 ]
		ports_to 7777 | all_within 40000 40099
	done
}

@test "'mptcp = refuse' is a kernel without MPTCP, 'mptcp = allow' lets subflows leave" {
	local way
	plain_server
	while read -r way; do
		printf '[*]\nrange = %s\nmptcp = refuse\n' $OUTSIDE >rule.ini
		# shellcheck disable=SC2086 # words
		python ns "$PORTFENCE" run --via $way --config rule.ini -- >said 2>err <<-END
			for i in range(2):
			    try: mptcp()
			    except OSError as e: print(e.strerror)
		END
		cat said err
		[ "$(uniq -c said | tr -s ' ')" = ' 2 Protocol not supported' ]
		[ "$(wc -l <err)" = 1 ]
		grep -q 'warning: mptcp sockets are refused, ' err
		sed -i s/refuse/allow/ rule.ini
		# shellcheck disable=SC2086 # words
		client None --via $way --config rule.ini >said
		[ "$(head -n 1 said)" = 262 ]
		run -1 all_within 20000 20099 < <(ports_to 7777)
		sed -n '/^10\.9\.0\.1 /s/.* //p' from | all_within 20000 20099
	done < <(grep -v order <<<"$WAYS")
}

# its SYN is to the client's port, where nobody listens
@test "subflows of connections that a server has accepted stay in the range, too" {
	local way port server
	cat peer.py - >server.py <<-END
		s = serve(int(sys.argv[1]))
		print(s.getsockname()[1], flush=True)
		answer(s.accept()[0])
	END
	cat peer.py - >code.py <<-'END'
		s = mptcp(6666); s.connect(("10.9.0.1", int(sys.argv[1])))
		for i in range(2): s.sendall(b"x"); s.recv(1)
		print("accepted", flush=True)
		sys.stdin.read()
	END
	for way in both preload supervise; do
		for port in 7777 0; do
			# before a connection is accepted, the kernel adds nothing to it
			ns ip mptcp endpoint flush
			rm -f port
			ns_background "$PORTFENCE" run --via "$way" --range "$INSIDE" -- python3 server.py "$port" >port
			server=$pid
			wait_until grep -qs . port
			syn_start 'dst port 6666'
			rm -f hold said
			mkfifo hold
			ns python3 code.py "$(cat port)" <hold >said 3>&- &
			exec 4>hold
			wait_until grep -qs accepted said
			ns ip mptcp endpoint add 10.9.0.2 subflow
			wait_until capture_has "6666: "
			exec 4>&-
			wait $! "$server"
			capture_stop
			echo "$way: $(ports_to 6666)"
			ports_to 6666 | all_within 40000 40099
		done
	done
}

@test "an MPTCP socket from outside the fence connects from no other range than one that its subflows keep to" {
	local way
	plain_server
	cat >inside.py <<-END
		s = socket.socket(fileno=int(sys.argv[1]))
		try: s.connect(("10.9.0.1", 7777)); talk(s)
		except OSError as e: print(e.strerror)
	END
	for way in both preload supervise; do
		for range in $INSIDE $OUTSIDE; do
			syn_start 'dst port 7777'
			cat peer.py inside.py >inner.py
			python ns env WAY="$way" RANGE="$range" PORTFENCE="$PORTFENCE" >said 2>err <<-'END'
				s = mptcp(None); os.set_inheritable(s.fileno(), True)
				os.execl(os.environ["PORTFENCE"], "portfence", "run", "--via", os.environ["WAY"], "--order", "random",
				    "--range", os.environ["RANGE"], "--", "python3", "inner.py", str(s.fileno()))
			END
			capture_stop
			cat said err
			if [ "$range" = "$INSIDE" ]; then
				[ "$(cat said)" = 262 ]
				ports_to 7777 | all_within 40000 40099
			else
				[ "$(cat said)" = 'Permission denied' ]
				grep -q "error: the kernel would let further subflows of an mptcp socket leave the range" err
				[ "$(ports_to 7777)" = '' ]
			fi
		done
	done
}

# no right of root's is used to make a socket as somebody else
@test "a program of another user's has no MPTCP socket from root's supervisor, and a TCP one from the library" {
	local way
	for way in supervise both preload; do
		python ns "$PORTFENCE" run --via $way --range $OUTSIDE -- <<-END
			os.setgid(65534); os.setuid(65534)
			for i in range(2):
			    try: print(mptcp().getsockopt(socket.SOL_SOCKET, socket.SO_PROTOCOL))
			    except OSError as e: print(e.strerror)
		END
	done >said 2>err
	cat said err
	diff - said <<-END
		Protocol not supported
		Protocol not supported
		6
		6
		6
		6
	END
}

@test "a library behind ours that makes MPTCP sockets of TCP ones, as mptcpize has it, gets no other answer" {
	local way
	cc -shared -fPIC -D_GNU_SOURCE -o mptcpized.so -x c - <<-'END'
		#include <dlfcn.h>
		#include <sys/socket.h>
		int socket(int domain, int type, int protocol) {
			int (*next)(int, int, int) = (int (*)(int, int, int))dlsym(RTLD_NEXT, "socket");
			if ((type & 15) == SOCK_STREAM && (protocol == 0 || protocol == 6)) protocol = 262;
			return next(domain, type, protocol);
		}
	END
	plain_server
	for way in preload both environment; do
		for range in $OUTSIDE $INSIDE; do
			syn_start 'dst port 7777'
			before=("$PORTFENCE" run --via "$way" --range "$range" -- env "LD_PRELOAD=$PWD/mptcpized.so")
			[ $way != environment ] || before=(env "LD_PRELOAD=$LIBRARY:$PWD/mptcpized.so" "PORTFENCE_RANGE=$range")
			python ns "${before[@]}" >said 2>err <<-END
				s = socket.socket(); s.connect(("10.9.0.1", 7777)); talk(s)
			END
			capture_stop
			cat said err
			ports_to 7777 | all_within "${range%-*}" "${range#*-}"
			if [ "$range" = "$INSIDE" ]; then
				[ "$(cat said)" = 262 ]
			else
				[ "$(cat said)" = 6 ]
				grep -q 'warning: mptcp sockets are made plain tcp' err
			fi
		done
	done
	printf '[*]\nrange = %s\nmptcp = refuse\n' $OUTSIDE >rule.ini
	python ns "$PORTFENCE" run --config rule.ini --via preload -- env "LD_PRELOAD=$PWD/mptcpized.so" >said 2>err <<-'END'
		try: socket.socket()
		except OSError as e: print(e.errno)
	END
	[ "$(cat said)" = 93 ]
}

@test "a second bind of an MPTCP socket that is connected fails as the kernel has it, and no line says otherwise" {
	local way
	plain_server
	for way in preload both; do
		python ns "$PORTFENCE" run --via "$way" --range "$INSIDE" -- >said 2>err <<-'END'
			s = socket.socket(socket.AF_INET, socket.SOCK_STREAM, 262); s.connect(("10.9.0.1", 7777))
			try: s.bind(("", 0))
			except OSError as e: print(e.errno)
		END
		cat said err
		[ "$(cat said)" = 22 ]
		[ ! -s err ]
	done
}
