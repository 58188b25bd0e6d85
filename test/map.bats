#!/usr/bin/env bats
#
# `map`: ports that a program insists on. What it sees is what it sees without one; what the kernel
# has, ss shows.
#
# shellcheck disable=SC2030,SC2031 # each test is a process of its own, and what it sets is its own

bats_require_minimum_version 1.5.0
load lib/helpers
load lib/leases

# Where the server binds, and where its client goes to, if that is another address.
WAYS=('127.0.0.1' '::1' '::ffff:127.0.0.1' '0.0.0.0 127.0.0.1' ':: ::1' ':: 127.0.0.1'
	'192.0.2.1' '2001:db8::1' '0.0.0.0 0.0.0.0' ':: ::')

setup() {
	cd "$BATS_TEST_TMPDIR" || return
	export PORTFENCE_STATE=$BATS_TEST_TMPDIR/state
	ns_open
	ns ip address add 192.0.2.1/24 dev lo
	ns ip address add 2001:db8::1/64 dev lo nodad
}

teardown() {
	ns_close
}

# Ports that listen, one a line.
listening() {
	ns ss -Hltn | awk '{ sub(/.*:/, "", $4); print $4 }' | sort -nu
}

is_apart() {
	[ "$(readlink "/proc/$1/ns/net")" != "$(readlink /proc/self/ns/net)" ]
}

# serve RUN...: a server on port 8080 of a run in the background
serve() {
	ns_background "$@" "$PROBES/mapped" serve 8080 127.0.0.1 >served
	wait_until grep -q '^server' served
}

same_as_plain() {
	local options=$1 proto way
	for proto in tcp udp; do
		for way in "${WAYS[@]}"; do
			# shellcheck disable=SC2086 # options and addresses are words
			ns "$PROBES/mapped" "$proto" 8080 $way >plain
			# shellcheck disable=SC2086
			ns "$PORTFENCE" run $options --range 20000-20099 --map 8080,8081 -- \
				"$PROBES/mapped" "$proto" 8080 $way >mapped
			echo "$proto $way"
			diff plain mapped
			grep -q 8080 mapped
		done
	done
}

@test "all that a program can ask says what it says without a map, by the library" {
	same_as_plain '--via preload'
}

@test "all that a program can ask says what it says without a map, beside a supervisor" {
	same_as_plain '--via both'
}

@test "all that a program can ask says what it says without a map, bind and kernel engine" {
	same_as_plain '--via preload --order sequential'
	for way in "${WAYS[@]}"; do
		# shellcheck disable=SC2086
		ns "$PROBES/mapped" tcp 8080 $way >plain
		printf '[mapped]\nrange = 40000-40099\nengine = kernel\nmap = 8080, 8081\n' >kernel.ini
		# shellcheck disable=SC2086
		ns "$PORTFENCE" run --config kernel.ini -- "$PROBES/mapped" tcp 8080 $way >mapped
		diff plain mapped
	done
}

@test "the kernel has a port of the range's end, and nobody else gets it" {
	serve "$PORTFENCE" run --range 20000-20099 --map 8080,5432 --
	[ "$(listening)" = 20099 ]
	grep -q '127.0.0.1 8080' served
	# a range of six ports, of which the map has two
	ns_background "$PROBES/matrix" serve 7777
	wait_tcp 7777
	run -0 ns "$PORTFENCE" run --range 20000-20005 --map 8080,5432 -- python3 -c '
import socket
for i in range(4):
    socket.socket().bind(("127.0.0.1", 0))
held = []
for i in range(5):
    s = socket.socket()
    try:
        s.bind(("127.0.0.1", 0))
    except OSError as e:
        print(e.strerror)
        break
    held.append(s)
    print(s.getsockname()[1])'
	[ "$(sort <<<"$output" | paste -sd' ')" = '20000 20001 20002 20003 Address already in use' ]
}

@test "two runs have the same port at once, and none reaches the other's" {
	for i in 1 2; do
		mkfifo "go$i"
		# shellcheck disable=SC2016 # the inner shell expands it
		ns_background "$PORTFENCE" run --range "2${i}000-2${i}099" --map 8080 -- sh -c '
			"$1" serve 8080 127.0.0.1 & sleep=$!
			read -r line <"$2"
			"$1" connect 8080 127.0.0.1
			kill $sleep' sh "$PROBES/mapped" "go$i" >"out$i" 2>&1
		pids[i]=$pid
	done
	wait_until grep -q server out1
	wait_until grep -q server out2
	[ "$(listening | paste -sd' ')" = '21099 22099' ]
	# the first one's server ends: its client is refused, although the other one's is there
	echo >go1
	wait "${pids[1]}" || true
	grep -q '^connected' out1
	run -1 ns "$PORTFENCE" run --range 23000-23099 --map 8080 -- "$PROBES/mapped" connect 8080 127.0.0.1
	[[ "$output" = *ECONNREFUSED* ]]
	run -1 ns "$PROBES/mapped" connect 8080 127.0.0.1
	[[ "$output" = *ECONNREFUSED* ]]
	echo >go2
	wait "${pids[2]}" || true
	grep -q '^connected' out2
}

@test "another machine's port of the same number is its own, both as a server and as a client" {
	ns ip link add one type veth peer name two
	unshare -n sleep infinity 3>&- &
	other=$!
	wait_until is_apart $other
	PIDS+=("$other")
	ns ip link set two netns "$other"
	ns ip address add 198.51.100.1/24 dev one
	ns ip link set one up
	nsenter -t "$other" -n -- ip address add 198.51.100.2/24 dev two
	nsenter -t "$other" -n -- ip link set two up
	nsenter -t "$other" -n -- ip link set lo up
	nsenter -t "$other" -n -- "$PROBES/mapped" serve 8080 198.51.100.2 >there 3>&- &
	PIDS+=($!)
	wait_until grep -q server there
	for via in preload both supervise; do
		run -0 ns "$PORTFENCE" run --via $via --range 20000-20099 --map 8080 -- \
			"$PROBES/mapped" connect 8080 198.51.100.2
		[[ "$output" = *'client getpeername 198.51.100.2 8080'* ]]
	done
	# who comes from there with the number that stands for 8080 here has that number
	ns_background "$PORTFENCE" run --range 20000-20099 --map 8080 -- python3 -c '
import socket
s = socket.create_server(("198.51.100.1", 8080))
print("listens", flush=True)
one, peer = s.accept()
print(peer, one.getpeername(), one.getsockname(), flush=True)' >here
	wait_until grep -q listens here
	nsenter -t "$other" -n -- python3 -c '
import socket
s = socket.create_connection(("198.51.100.1", 20099), source_address=("198.51.100.2", 20099))
s.recv(1)'
	wait "$pid"
	grep -qF "('198.51.100.2', 20099) ('198.51.100.2', 20099) ('198.51.100.1', 8080)" here
}

@test "what is executed is mapped as well: by name, with a fresh environment, static, as another user" {
	cc -static -std=gnu11 -D_GNU_SOURCE -o mapped-static "$ROOT/test/probes/mapped.c"
	serve "$PORTFENCE" run --via both --range 20000-20099 --map 8080 -- sh -c 'exec "$@"' sh
	for way in both preload; do
		run -0 ns "$PORTFENCE" run --via $way --range 20000-20099 --map 8080 -- \
			env -i ASAN_OPTIONS="${ASAN_OPTIONS:-}" "$PROBES/mapped" connect 8080 127.0.0.1
		[[ "$output" = *'getpeername 127.0.0.1 8080'*connected* ]]
		run -0 ns "$PORTFENCE" run --via $way --range 20000-20099 --map 8080 -- \
			env PORTFENCE_ORDER=random "$PROBES/mapped" connect 8080 127.0.0.1
		[[ "$output" = *connected* ]]
	done
	run -0 ns "$PORTFENCE" run --range 20000-20099 --map 8080 -- ./mapped-static connect 8080 127.0.0.1
	[[ "$output" = *connected* ]]
	install_for_all
	cp "$PROBES/mapped" "$install"
	run -0 as_nobody "$install/portfence" run --range 20000-20099 --map 8080 -- \
		"$install/mapped" connect 8080 127.0.0.1
	[[ "$output" = *connected* ]]
}

@test "that a resolver will not take answers from a mapped port is told where the supervisor alone is there" {
	cc -static -o nothing -x c - <<<'int main(void) { return 0; }'
	local told=": a resolver such as musl's will not take the answers; use a program that the library reaches"
	for command in "./nothing" "--via supervise true"; do
		# shellcheck disable=SC2086 # a list of words
		run -0 ns "$PORTFENCE" run --range 20000-20099 --map 53,8080 $command
		[ "$output" = "portfence: warning: the map has port 53, and '${command##* }' is left to the supervisor, which does not \
translate the sender that recvfrom(2) tells$told" ]
		# shellcheck disable=SC2086
		run -0 ns "$PORTFENCE" run --range 20000-20099 --map 8080 $command
		[ -z "$output" ]
	done
	run -0 ns "$PORTFENCE" run --range 20000-20099 --map 53 true
	[ -z "$output" ]
}

@test "a static program's calls are mapped by the supervisor, those that wait and those that do not" {
	cc -static -std=gnu11 -D_GNU_SOURCE -o mapped-static "$ROOT/test/probes/mapped.c"
	for proto in tcp udp; do
		for way in "${WAYS[@]}"; do
			# shellcheck disable=SC2086
			ns timeout 120 "$PORTFENCE" run --range 20000-20099 --map 8080,8081 -- \
				./mapped-static "$proto" 8080 $way >out || { cat out; return 1; }
		done
	done
	# nobody accepts, and the queue is full: connect() waits for its time-out, and others go on meanwhile
	cc -static -o waits -x c - <<-'END'
		#include <arpa/inet.h>
		#include <errno.h>
		#include <stdio.h>
		#include <string.h>
		#include <sys/socket.h>
		#include <sys/wait.h>
		#include <unistd.h>
		int main(void)
		{
			struct sockaddr_in addr = { .sin_family = AF_INET, .sin_port = htons(8080),
						    .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
			int server = socket(AF_INET, SOCK_STREAM, 0), i, status, done = 0;
			pid_t waits[4];
			if (bind(server, (void *)&addr, sizeof(addr)) || listen(server, 0))
				return 1;
			for (i = 0; i < 4; i++)
				if (!(waits[i] = fork()))
					return connect(socket(AF_INET, SOCK_STREAM, 0), (void *)&addr, sizeof(addr)) ? 1 : 0;
			/* one or two get in at once */
			wait(&status);
			addr.sin_port = htons(9090);
			if (bind(socket(AF_INET, SOCK_STREAM, 0), (void *)&addr, sizeof(addr)))
				return 2;
			for (i = 0; i < 4; i++)
				if (accept(server, NULL, NULL) < 0)
					return 3;
			for (i = 1; i < 4; i++)
				if (wait(&status) > 0 && WIFEXITED(status) && !WEXITSTATUS(status))
					done++;
			printf("%d more\n", done);
			return 0;
		}
	END
	run -0 ns timeout 120 "$PORTFENCE" run --range 21000-21099 --map 8080 -- ./waits
	[ "$output" = '3 more' ]
}

# crowd HOW: 200 connects wait at a mapped port, until the supervisor refuses one. Somebody else's go on.
crowd() {
	cc -static -pthread -o crowd -x c - <<-'END'
		#include <arpa/inet.h>
		#include <errno.h>
		#include <pthread.h>
		#include <signal.h>
		#include <stdatomic.h>
		#include <stdio.h>
		#include <stdlib.h>
		#include <string.h>
		#include <sys/mman.h>
		#include <sys/prctl.h>
		#include <sys/socket.h>
		#include <sys/time.h>
		#include <sys/wait.h>
		#include <unistd.h>
		#define CROWD 200
		static struct { atomic_int refused, tried; } *seen;
		static int reach(int port)
		{
			struct sockaddr_in a = { AF_INET, htons(port), { htonl(INADDR_LOOPBACK) } };
			struct timeval wait = { 0, 50000 };
			int fd = socket(AF_INET, SOCK_STREAM, 0), rc;
			if (port == 8079) setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof(wait));
			a.sin_port = htons(port == 8079 ? 8080 : port);
			rc = connect(fd, (struct sockaddr *)&a, sizeof(a)) ? errno : 0;
			close(fd);
			return rc;
		}
		static void *wait_at(void *x)
		{
			seen->tried++;
			if (reach(8080) == ENOBUFS) seen->refused++;
			return x;
		}
		static int listener(int port, int backlog)
		{
			struct sockaddr_in a = { AF_INET, htons(port), { htonl(INADDR_LOOPBACK) } };
			int fd = socket(AF_INET, SOCK_STREAM, 0);
			if (bind(fd, (struct sockaddr *)&a, sizeof(a)) || listen(fd, backlog)) exit(2);
			return fd;
		}
		static void begin(int processes)
		{
			pthread_t thread;
			pid_t parent = getpid();
			if (!processes) {
				if (pthread_create(&thread, NULL, wait_at, NULL)) _exit(3);
			} else if (!fork()) {
				prctl(PR_SET_PDEATHSIG, SIGKILL);
				if (getppid() != parent) _exit(0);
				wait_at(NULL);
				_exit(0);
			}
		}
		int main(int argc, char **argv)
		{
			int full = listener(8080, 0), open = listener(8081, 100), ends[2], i, status;
			int processes = argc > 1 && !strcmp(argv[1], "processes");
			char c;
			seen = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
			/* the queue is full */
			for (i = 0; i < 2; i++) { int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
				struct sockaddr_in a = { AF_INET, htons(8080), { htonl(INADDR_LOOPBACK) } };
				connect(fd, (struct sockaddr *)&a, sizeof(a)); }
			if (pipe(ends)) return 2;
			if (!fork()) {
				if (processes && setuid(65534)) _exit(2);
				prctl(PR_SET_PDEATHSIG, SIGKILL);
				for (i = 0; i < CROWD; i++) begin(processes);
				/* all that are refused are refused at once */
				while (!seen->refused) usleep(1000);
				while (seen->tried < CROWD) usleep(1000);
				write(ends[1], "x", 1);
				pause();
			}
			if (read(ends[0], &c, 1) != 1) return 3;
			for (i = 0; i < 20; i++) if ((status = reach(8081))) { printf("another's: %d\n", status); return 1; }
			if ((status = reach(8079)) != EINPROGRESS) { printf("another's that waits: %d\n", status); return 1; }
			printf("another's connects: ok\n");
			return full < 0 || open < 0;
		}
	END
	# if it hangs
	run -0 ns timeout 600 prlimit --nofile=256:256 "$PORTFENCE" run --via supervise --range 21000-21999 --map 8080,8081 -- ./crowd "$1"
	echo "$output"
	[ "${lines[-1]}" = "another's connects: ok" ]
	[ "$(grep -c 'so many mapped connects wait' <<<"$output")" = 1 ]
}

@test "a process whose mapped connects wait uses up its own share of the supervisor, and not another's" {
	crowd threads
}

@test "however many processes of a user have mapped connects that wait, another user's go on" {
	crowd processes
}

@test "a connect that the supervisor makes ends for a signal, and its socket with the program" {
	cat >signals.c <<-'END'
		#include <arpa/inet.h>
		#include <errno.h>
		#include <signal.h>
		#include <stdio.h>
		#include <string.h>
		#include <sys/socket.h>
		#include <sys/time.h>
		#include <sys/uio.h>
		#include <sys/wait.h>
		#include <unistd.h>
		#define T(x) printf("%s %s\n", #x, (x) < 0 ? strerrorname_np(errno) : "0")
		static struct sockaddr_in at;
		static int server;
		static void handler(int number)
		{
			if (number == SIGUSR1)
				accept(server, NULL, NULL);
		}
		static int go(int fd) { return connect(fd, (void *)&at, sizeof(at)); }
		static int fresh(int flags) { return socket(AF_INET, SOCK_STREAM | flags, 0); }
		/* sockets that wait for an answer, by what the kernel says */
		static int waiting(void)
		{
			FILE *file = fopen("/proc/net/tcp", "r");
			int count = 0;
			char line[256];
			while (fgets(line, sizeof(line), file))
				count += strstr(line, " 02 ") != NULL;
			fclose(file);
			return count;
		}
		int main(void)
		{
			struct sigaction action = { .sa_handler = handler };
			/* again and again: the first may come before the call does */
			struct itimerval often = { { 0, 100000 }, { 0, 100000 } }, never = { { 0 } };
			struct iovec part = { "", -1 };
			struct msghdr message = { .msg_name = &at, .msg_namelen = sizeof(at), .msg_iov = &part, .msg_iovlen = 1 };
			int before, status;
			pid_t child;
			setbuf(stdout, NULL);
			at = (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = htons(8080),
						   .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
			server = fresh(SOCK_NONBLOCK);
			T(bind(server, (void *)&at, sizeof(at))); T(listen(server, 0));
			while (!waiting())
				go(fresh(SOCK_NONBLOCK));
			sigaction(SIGALRM, &action, NULL);
			setitimer(ITIMER_REAL, &often, NULL);
			T(go(fresh(0)));
			setitimer(ITIMER_REAL, &never, NULL);
			before = waiting();
			if (!(child = fork()))
				_exit(go(fresh(0)) ? 1 : 0);
			while (waiting() <= before)
				;
			kill(child, SIGKILL);
			waitpid(child, &status, 0);
			signal(SIGALRM, SIG_DFL);
			alarm(120);
			while (waiting() > before)
				;
			alarm(0);
			/* the handler makes room, and the call goes on */
			action.sa_flags = SA_RESTART;
			sigaction(SIGUSR1, &action, NULL);
			if (!(child = fork()))
				for (;;) {
					usleep(100000);
					if (kill(getppid(), SIGUSR1))
						_exit(0);
				}
			T(go(fresh(0)));
			kill(child, SIGKILL);
			T(sendmsg(socket(AF_INET, SOCK_DGRAM, 0), &message, 0));
			return 0;
		}
	END
	cc -w -static -D_GNU_SOURCE -o signals signals.c
	ns timeout 120 ./signals >plain
	ns timeout 120 "$PORTFENCE" run --via supervise --range 20000-20099 --map 8080 ./signals >mapped
	diff plain mapped
	grep -qx 'go(fresh(0)) EINTR' plain
	grep -qx 'go(fresh(0)) 0' plain
}

@test "a mapped port is bound whatever 'bind' says of others, and without the right to its number" {
	for policy in own deny; do
		printf '[mapped]\nrange = 20000-20099\nbind = %s\nmap = 8080\n' $policy >bind.ini
		for via in preload both supervise; do
			run -0 ns "$PORTFENCE" run --config bind.ini --via $via -- "$PROBES/mapped" bind 8080 127.0.0.1
			run -1 ns "$PORTFENCE" run --config bind.ini --via $via --log none -- \
				"$PROBES/mapped" bind 8081 127.0.0.1
			[[ "$output" = *EACCES* ]]
		done
	done
	install_for_all
	cp "$PROBES/mapped" "$install"
	run -0 as_nobody "$install/portfence" run --range 20000-20099 --map 80 -- "$install/mapped" bind 80 127.0.0.1
	[[ "$output" = *'getsockname 127.0.0.1 80 '* ]]
	run -1 as_nobody "$install/portfence" run --range 20000-20099 --map 81 -- "$install/mapped" bind 80 127.0.0.1
	[[ "$output" = *EACCES* ]]
}

@test "sockets of other kinds are left alone" {
	run -0 ns "$PORTFENCE" run --range 20000-20099 --map 8080 -- python3 -c '
import socket, os
a, b = socket.socketpair()
u = socket.socket(socket.AF_UNIX); u.bind("u"); print(u.getsockname())
n = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0); n.bind((0, 0))
ping = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
ping.connect(("127.0.0.1", 8080)); print(ping.getpeername())'
	[ "${lines[0]}" = u ]
	[ "${lines[1]}" = "('127.0.0.1', 8080)" ]
}

@test "bad pointers fail as they do without a map" {
	cat >bad.c <<-'END'
		#include <netinet/in.h>
		#include <stdio.h>
		#include <string.h>
		#include <errno.h>
		#include <sys/socket.h>
		#define T(x) printf("%s %s\n", #x, (x) < 0 ? strerrorname_np(errno) : "0")
		int main(void)
		{
			struct sockaddr_in addr = { .sin_family = AF_INET };
			int fd = socket(AF_INET, SOCK_DGRAM, 0);
			socklen_t len = sizeof(addr), negative = -1;
			void *bad = (void *)8;
			struct msghdr message = { .msg_name = bad, .msg_namelen = 16 };
			bind(fd, (void *)&addr, len);
			T(getsockname(fd, bad, &len)); T(getsockname(fd, (void *)&addr, bad));
			T(getsockname(fd, NULL, NULL)); T(getsockname(fd, (void *)&addr, &negative));
			T(getpeername(fd, (void *)&addr, &len)); T(getsockname(-1, (void *)&addr, &len));
			T(accept(fd, bad, &len)); T(bind(fd, bad, 16)); T(connect(fd, bad, 16));
			T(connect(fd, (void *)&addr, 1000)); T(sendto(fd, "", 1, 0, bad, 16));
			T(sendmsg(fd, &message, 0)); T(sendmsg(fd, bad, 0)); T(recvmsg(fd, bad, MSG_DONTWAIT));
			T(sendmmsg(fd, bad, 3, 0)); T(recvmmsg(fd, bad, 3, MSG_DONTWAIT, NULL));
			T(recvfrom(fd, NULL, 0, MSG_DONTWAIT, bad, bad)); T(recvmsg(fd, NULL, MSG_DONTWAIT));
			return 0;
		}
	END
	cc -D_GNU_SOURCE -w -o bad bad.c
	ns ./bad >plain
	ns "$PORTFENCE" run --range 20000-20099 --map 8080 -- ./bad >mapped
	diff plain mapped
	[ "$(grep -c EFAULT plain)" -ge 8 ]
}

@test "odd forms of an address that the kernel takes are translated, too" {
	cat >odd.c <<-'END'
		#define _GNU_SOURCE
		#include <arpa/inet.h>
		#include <errno.h>
		#include <stdio.h>
		#include <string.h>
		#include <sys/socket.h>
		#define T(x) printf("%s %s\n", #x, (x) < 0 ? strerrorname_np(errno) : "0")
		static int s;
		static int got(void) { char c; return recv(s, &c, 1, MSG_DONTWAIT); }
		int main(void)
		{
			struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons(8080),
						  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
			int c = socket(AF_INET, SOCK_DGRAM, 0), six = socket(AF_INET6, SOCK_DGRAM, 0);
			struct iovec part = { "x", 1 };
			char room[5000] = "";
			struct msghdr m = { .msg_name = room, .msg_iov = &part, .msg_iovlen = 1 };
			struct mmsghdr two[2];
			s = socket(AF_INET, SOCK_DGRAM, 0);
			T(bind(s, (void *)&at, sizeof(at)));
			memcpy(room, &at, sizeof(at));
			T(sendto(c, "x", 1, 0, (void *)room, 128)); T(got());
			T(sendto(c, "x", 1, 0, (void *)room, 129)); T(got());
			T(sendto(c, "x", 1, 0, (void *)room, 4)); T(got());
			m.msg_namelen = 4000; T(sendmsg(c, &m, 0)); T(got());
			two[0].msg_hdr = two[1].msg_hdr = m;
			T(sendmmsg(c, two, 1, 0)); T(got());
			m.msg_namelen = -1; T(sendmsg(c, &m, 0)); T(got());
			T(sendto(six, "x", 1, 0, (void *)&at, sizeof(at))); T(got());
			at.sin_family = AF_UNSPEC; memcpy(room, &at, sizeof(at));
			T(sendto(c, "x", 1, 0, (void *)&at, sizeof(at))); T(got());
			m.msg_namelen = sizeof(at); T(sendmsg(c, &m, 0)); T(got());
			at.sin_family = AF_INET; at.sin_port = htons(9);
			T(connect(c, (void *)&at, sizeof(at)));
			memcpy(room, &at, sizeof(at)); ((struct sockaddr_in *)room)->sin_port = htons(8080);
			T(sendmsg(c, &m, 0)); T(got());
			at.sin_family = AF_UNSPEC; T(connect(c, (void *)&at, sizeof(at)));
			T(sendmsg(c, &m, 0)); T(got());
			m.msg_name = NULL; T(sendmsg(c, &m, 0));
			return 0;
		}
	END
	cc -w -o odd odd.c
	cc -w -static -o odd-static odd.c
	ns ./odd >plain
	for way in 'preload ./odd' 'both ./odd' 'supervise ./odd-static'; do
		# shellcheck disable=SC2086 # two words
		ns "$PORTFENCE" run --range 20000-20099 --map 8080 --via $way >mapped
		diff plain mapped
	done
	[ "$(grep -c 'got() 0' plain)" = 8 ]
}

@test "one call receives more messages than there are rooms noted at once, and each has its sender" {
	cat >many.c <<-'END'
		#define _GNU_SOURCE
		#include <arpa/inet.h>
		#include <stdio.h>
		#include <string.h>
		#include <sys/socket.h>
		#include <time.h>
		static struct mmsghdr m[3000];
		static struct sockaddr_storage name[3000];
		static char data[3000];
		static struct iovec part[3000];
		int main(void)
		{
			struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons(8080),
						  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) }, to = at;
			int s = socket(AF_INET, SOCK_DGRAM, 0), c = socket(AF_INET, SOCK_DGRAM, 0);
			int size = 16 << 20, i, round, n, bad;
			setsockopt(s, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size));
			bind(s, (void *)&at, sizeof(at));
			at.sin_port = htons(8081);
			bind(c, (void *)&at, sizeof(at));
			for (round = 0; round < 4; round++) {
				/* a second and a minute are not waited for */
				struct timespec minute = { 60, 0 };
				for (i = 0; i < 3000; i++) {
					part[i] = (struct iovec){ &data[i], 1 };
					m[i].msg_hdr = (struct msghdr){ .msg_name = &name[i], .msg_iov = &part[i], .msg_iovlen = 1,
						.msg_namelen = i % 2 ? sizeof(to) : sizeof(name[i]) };
				}
				for (i = 0; i < (round ? 2048 : 2500); i++)
					sendto(c, "x", 1, 0, (void *)&to, sizeof(to));
				memset(name, 0, sizeof(name));
				n = recvmmsg(s, m, round == 3 ? 2048 : 3000, round == 0 ? MSG_DONTWAIT : round < 3 ? MSG_WAITFORONE : 0,
					     round == 3 ? &minute : NULL);
				for (i = bad = 0; i < n; i++)
					bad += ((struct sockaddr_in *)&name[i])->sin_port != htons(8081) || m[i].msg_len != 1;
				printf("%d, wrong %d; none is left: %zd\n", n, bad, recv(s, data, 1, MSG_DONTWAIT));
			}
			return 0;
		}
	END
	cc -w -o many many.c
	ns ./many >plain
	ns "$PORTFENCE" run --via preload --range 20000-20099 --map 8080,8081 -- timeout 120 ./many >mapped
	diff plain mapped
	[ "$(head -n 1 plain)" = '2500, wrong 0; none is left: -1' ]
}

@test "a group and a broadcast reach those of the same run on this machine" {
	ns ip route add 224.0.0.0/4 dev lo
	cat >group.py <<-'END'
		import socket, struct
		UDP = (socket.AF_INET, socket.SOCK_DGRAM)
		s = socket.socket(*UDP); s.bind(("", 8080)); s.settimeout(120)
		s.setsockopt(0, socket.IP_ADD_MEMBERSHIP, socket.inet_aton("239.1.2.3") + socket.inet_aton("127.0.0.1"))
		for to in "239.1.2.3", "192.0.2.255":
		    c = socket.socket(*UDP); c.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
		    c.sendto(to.encode(), (to, 8080)); print(s.recv(20))
		c = socket.socket(*UDP); c.connect(("239.1.2.3", 8080)); print(c.getpeername())
	END
	run -0 ns python3 group.py
	plain=$output
	for via in preload both; do
		run -0 ns "$PORTFENCE" run --via $via --range 20000-20099 --map 8080,8081 -- python3 group.py
		[ "$output" = "$plain" ]
	done
}

@test "if the kernel does not say whose an address is, a call fails, and reaches no other machine" {
	ns_background python3 -c '
import socket
s = socket.create_server(("192.0.2.1", 8080))
while True: s.accept(); print("a stranger", flush=True)' >stranger
	wait_tcp 8080
	cat >blind.py <<-'END'
		import resource, socket, struct
		udp = lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
		t, u = socket.socket(), udp()
		resource.setrlimit(resource.RLIMIT_NOFILE, (3, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
		for call in (t.connect, u.connect, lambda to: u.sendto(b"x", to), lambda to: u.sendmsg([b"x"], [], 0, to)):
		    try: call(("192.0.2.1", 8080)); print("went well")
		    except OSError as e: print(e.strerror)
	END
	for via in preload both; do
		run -0 --separate-stderr ns "$PORTFENCE" run --via $via --range 20000-20099 --map 8080 -- python3 blind.py
		[ "$(sort -u <<<"$output")" = 'Too many open files' ]
		# shellcheck disable=SC2154 # bats sets it
		[[ "$stderr" = *'could not be asked whether an address is this machine'* ]]
	done
	[ ! -s stranger ]
}

@test "the variables name each port, and an inner run has its own" {
	run -0 ns "$PORTFENCE" run --range 20000-20099 --map '8080, 5432=20050' -- env
	[[ "$output" = *PORTFENCE_MAP=8080=20099,5432=20050* ]]
	[[ "$output" = *PORTFENCE_MAP_8080=20099* ]]
	[[ "$output" = *PORTFENCE_MAP_5432=20050* ]]
	run -0 ns "$PORTFENCE" run --via preload --range 20000-20099 --map 8080 -- \
		"$PORTFENCE" run --via preload --range 21000-21099 --map 9090 -- env
	[[ "$output" = *PORTFENCE_MAP_9090=21099* ]]
	[[ "$output" != *PORTFENCE_MAP_8080* ]]
}

# refused TEXT OPTION...: run fails and says TEXT
refused() {
	local text=$1
	shift
	run -125 "$PORTFENCE" run "$@" -- true
	echo "$output"
	[[ "$output" = *"$text"* ]]
}

@test "an impossible map is an error, on the command line and in the file" {
	for text in 0 65536 x '8080,' ',' '8080 5432' '-1' '8080=' '8080=0' '8080=x' '8080-8090' '+5'; do
		refused "'$text' is no map, write the ports that the program insists on" \
			--range 20000-20099 --map "$text"
	done
	refused 'port 8080 stands twice in the map' --range 20000-20099 --map 8080,5432,8080
	refused 'port 20001 stands twice in the map' --range 20000-20099 --map 8080=20001,5432=20001
	refused 'port 20001 stands twice in the map' --range 20000-20099 --map 20001=20001
	refused "has port 9999 in the place of 8080, which is outside the range" \
		--range 20000-20099 --map 8080=9999
	refused 'has no port left in the place of 2' --range 20000 --map 1,2
	refused "'map' leaves no port of the range" --range 20000-20001 --map 1,2
	refused 'a map holds 64 ports at most' --range 20000-20099 --map "$(seq -s, 1 65)"
	run -0 "$PORTFENCE" run --range 20000-20099 --map "$(seq -s, 1 64)" -- true
	printf '[a]\nrange = 20000-20009\nmap = 80, x\n[b]\nrange = 20010-20011\nmap = 1, 2\n' >bad.ini
	run -1 "$PORTFENCE" check bad.ini
	[[ "$output" = *"bad.ini:3: error: '80, x' is no map"* ]]
	[[ "$output" = *"bad.ini:4: error: 'map' leaves no port"* ]]
}

@test "ranges that differ by protocol have the mapped ports in common, or the map is an error" {
	printf '[a]\nrange = 20000-20099\nudp.range = 20050-20149\nmap = 8080\n' >two.ini
	run -0 ns "$PORTFENCE" run --config two.ini --app a -- printenv PORTFENCE_MAP
	[ "$output" = 8080=20099 ]
	printf '[a]\nrange = 20000-20099\nudp.range = 21000-21099\nmap = 8080\n' >two.ini
	run -125 "$PORTFENCE" run --config two.ini --app a -- true
	[[ "$output" = *'no port left in the place of 8080'* ]]
}

@test "the library alone, without run, maps by the variable and by the file" {
	serve env LD_PRELOAD="$LIBRARY" PORTFENCE_RANGE=20000-20099 PORTFENCE_MAP=8080
	[ "$(listening)" = 20099 ]
	printf '[mapped]\nrange = 20000-20099\nmap = 8080\n' >map.ini
	run -0 ns env LD_PRELOAD="$LIBRARY" PORTFENCE_CONFIG="$PWD/map.ini" "$PROBES/mapped" connect 8080 127.0.0.1
	[[ "$output" = *'getpeername 127.0.0.1 8080'* ]]
	run -1 --separate-stderr ns env LD_PRELOAD="$LIBRARY" PORTFENCE_RANGE=20000-20099 PORTFENCE_MAP=x \
		"$PROBES/mapped" connect 8080 127.0.0.1
	# shellcheck disable=SC2154 # bats sets it
	[[ "$stderr" = *"PORTFENCE_MAP: 'x' is no map"* ]]
}

@test "without a map, none of the hooks makes a system call more" {
	for run in "" "$PORTFENCE run --via preload --range 20000-20099 --"; do
		# shellcheck disable=SC2086 # it is a command
		ns strace -f -o trace -e trace=accept,accept4,getsockname,getpeername,recvfrom $run \
			python3 -c '
import socket
s = socket.create_server(("127.0.0.1", 9000)); c = socket.create_connection(("127.0.0.1", 9000))
a = s.accept(); [(c.getsockname(), c.getpeername()) for i in range(100)]'
		grep -cE '^[0-9]+ +(getpeername|accept4?)\(' trace >>counts
	done
	[ "$(uniq counts | wc -l)" = 1 ]
	[ "$(head -1 counts)" -ge 101 ]
}

@test "status and which show the map, and audit sees no escape in it" {
	printf '[mapped]\nrange = 20000-20099\nmap = 8080, 5432\n' >map.ini
	serve "$PORTFENCE" run --config map.ini --
	run -0 ns "$PORTFENCE" status --config map.ini
	grep -qx '  map   8080 is 20099, 5432 is 20098' <<<"$output"
	run -0 ns "$PORTFENCE" status --config map.ini --json
	[ "$(python3 -c 'import json, sys; print(json.load(sys.stdin)["sections"][0]["map"])' <<<"$output")" = \
		"{'8080': 20099, '5432': 20098}" ]
	run -0 ns "$PORTFENCE" which --config map.ini "$PROBES/mapped"
	grep -qx '  map      8080 is 20099, 5432 is 20098' <<<"$output"
	run -0 ns "$PORTFENCE" which --config map.ini --json "$PROBES/mapped"
	[ "$(python3 -c 'import json, sys; print(json.load(sys.stdin)["section"]["map"])' <<<"$output")" = \
		"{'8080': 20099, '5432': 20098}" ]
	run -0 ns "$PORTFENCE" audit --pid "$pid"
	[ "${lines[0]}" = 'no escape among 1 socket of 1 fenced process' ]
}

@test "the log and the record name the port that the program asked for" {
	for via in preload both supervise; do
		run -0 ns "$PORTFENCE" run --via $via --range 20000-20099 --map 8080 --log "$PWD/$via.log" \
			--record "$PWD/$via.record" -- "$PROBES/mapped" bind 8080 127.0.0.1
		grep -qE ' mapped: bind tcp4 127\.0\.0\.1:20099 asked=8080$' "$via.log"
		run -0 ns "$PORTFENCE" run --via $via --range 20000-20099 --map 8080 --log "json:$PWD/$via.json" -- \
			"$PROBES/mapped" bind 8080 127.0.0.1
		[ "$(tail -1 "$via.json" | python3 -c 'import json, sys; print(json.load(sys.stdin)["asked"])')" = 8080 ]
		diff - "$via.record" <<-'END'
			{"call":"bind","protocol":"tcp4","address":"127.0.0.1","port":20099,"asked":8080}
			{"summary":"port 20099 used, 1 assignment, 0 refused"}
		END
	done
	# a second one is refused by the kernel, which is no news
	run -0 ns "$PORTFENCE" run --range 20000-20099 --map 8080 --record twice -- python3 -c '
import errno, socket
a = socket.socket(); a.bind(("127.0.0.1", 8080))
try:
    socket.socket().bind(("127.0.0.1", 8080))
except OSError as e:
    print(errno.errorcode[e.errno])'
	[ "$output" = EADDRINUSE ]
	tail -1 twice | grep -q '1 assignment, 0 refused'
}

# ---- 8080?: mapped only where that is needed ----

# keeper [OPTION]...: a run whose server is on port 8080 where it may be; its process id is in $pid
keeper() {
	: >served
	serve "$PORTFENCE" run --range 20000-20099 --map '8080?' "$@" --
}

# later [OPTION]... -- COMMAND: another run, with a range of its own
later() {
	ns "$PORTFENCE" run --range 21000-21099 --map '8080?' "$@"
}

@test "the first run keeps a port that is mapped only where that is needed, and later ones are moved" {
	for via in preload both supervise; do
		keeper --via $via
		[ "$(listening)" = 8080 ]
		run -0 later --via $via -- printenv PORTFENCE_MAP PORTFENCE_MAP_8080
		[ "$output" = $'8080=21099\n21099' ]
		# none of the two reaches the other's server; who is outside reaches the first one's
		run -1 later --via $via -- "$PROBES/mapped" connect 8080 127.0.0.1
		[[ "$output" = *ECONNREFUSED* ]]
		run -0 later --via $via -- "$PROBES/mapped" tcp 8080 127.0.0.1
		run -0 ns "$PROBES/mapped" connect 8080 127.0.0.1
		kill -KILL "$pid"
		wait "$pid" || true
		wait_until are_leased
		# the first one has ended
		run -0 later --via $via -- printenv PORTFENCE_MAP PORTFENCE_MAP_8080
		[ "$output" = $'8080?=8080\n8080' ]
		wait_until are_leased
	done
}

@test "of twelve runs that start at once, one keeps the port" {
	mkfifo start
	# a line for each of them, once all wait
	exec 7<>start
	for i in {1..12}; do
		# shellcheck disable=SC2016 # the inner shell expands it
		ns_background sh -c 'echo >>waiting; read -r line <start; exec "$@"' sh \
			"$PORTFENCE" run --range "$((20000 + i * 100))+100" --map '8080?' -- \
			sh -c 'echo "$PORTFENCE_MAP_8080" >>got; exec sleep infinity' 2>>errors 7>&-
	done
	wait_until has_lines 12 waiting
	printf '\n%.0s' {1..12} >&7
	wait_until has_lines 12 got
	exec 7>&-
	[ ! -s errors ]
	# the others have the last ports of their ranges
	[ "$(grep -cx 8080 got)" = 1 ]
	[ "$(sort -u got | grep -cxE '2[01][0-9]99')" = 11 ]
}

has_lines() {
	[ -e "$2" ] && [ "$(wc -l <"$2")" = "$1" ]
}

@test "a port is moved if another program is on it, whatever its protocol, or a lease covers it" {
	ns_background python3 -c '
import socket, time
a = socket.create_server(("127.0.0.1", 8080))
b = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM); b.bind(("::1", 8081))
print("ready", flush=True)
time.sleep(1000)' >ready
	wait_until grep -q ready ready
	run -0 ns "$PORTFENCE" run --range 20000-20099 --map '8080?,8081?,8082?' -- printenv PORTFENCE_MAP
	[ "$output" = '8080=20099,8081=20098,8082?=8082' ]
	wait_until are_leased
	ns_background "$PORTFENCE" run --lease 10 --pool 8090-8099 -- sleep infinity
	wait_until are_leased 8090-8099
	run -0 ns "$PORTFENCE" run --range 20000-20099 --map '8090?,8099?,8100?' -- printenv PORTFENCE_MAP
	[ "$output" = '8090=20099,8099=20098,8100?=8100' ]
}

@test "with a lease, a port is kept or moved into the block, and the list shows it" {
	PATH=$(dirname "$PORTFENCE"):$PATH
	# shellcheck disable=SC2016 # the inner shell expands it
	run -0 ns "$PORTFENCE" run --lease 10 --pool 20000-20029 --map '8080?,5432' -- sh -c '
		echo $PORTFENCE_MAP $PORTFENCE_RANGE
		portfence run --lease 10 --pool 20000-20029 --map "8080?" -- printenv PORTFENCE_MAP
		# it goes on with what the run around it has
		portfence run -- printenv PORTFENCE_MAP
		portfence leases; portfence status'
	[ "${lines[0]}" = '8080?=8080,5432=20008 20000-20009' ]
	[ "${lines[1]}" = 8080=20019 ]
	[ "${lines[2]}" = '8080?=8080,5432=20008' ]
	[[ "${lines[4]}" = '8080-8080 '*' 1 '* ]]
	[ "${lines[5]}" = '             map  8080 is 8080, 5432 is 20008' ]
	grep -qx '  map   8080 is 8080, 5432 is 20008' <<<"$output"
	wait_until are_leased
	# the block itself may cover it
	# shellcheck disable=SC2016 # the inner shell expands it
	run -0 ns "$PORTFENCE" run --lease 10 --pool 8075-8084 --map '8080?' -- sh -c '
		echo $PORTFENCE_MAP; portfence leases | grep -c "^80"'
	[ "$output" = $'8080?=8080\n1' ]
	wait_until are_leased
	# ports that arguments name are at odds with the map whether it is needed or not
	says 125 "portfence: an argument names port 20009, which the map uses for port 8080; name a \
port nearer to the beginning of the lease" \
		ns "$PORTFENCE" run --lease 10 --pool 20000-20029 --substitute --map '8080?' -- true '{last}'
}

@test "a port is kept by the file, too, whatever 'bind' says, and by the library alone it is moved" {
	for policy in own deny move; do
		printf '[mapped]\nrange = 20000-20099\nbind = %s\nmap = 8080?, 5432\n' $policy >maybe.ini
		for via in preload both supervise; do
			rm -f "$policy.$via"
			run -0 ns "$PORTFENCE" run --config maybe.ini --via $via --record "$policy.$via" -- \
				"$PROBES/mapped" bind 8080 127.0.0.1
			[[ "$output" = *'getsockname 127.0.0.1 8080 '* ]]
			head -1 "$policy.$via" | grep -q '"port":8080,"asked":8080}'
			wait_until are_leased
		done
	done
	run -0 ns "$PORTFENCE" which --config maybe.ini "$PROBES/mapped"
	grep -qx '  map      8080 is 8080 or 20099, 5432 is 20098' <<<"$output"
	serve env LD_PRELOAD="$LIBRARY" PORTFENCE_CONFIG="$PWD/maybe.ini"
	[ "$(listening)" = 20099 ]
	run -0 ns "$PORTFENCE" run --config maybe.ini --app mapped -- printenv PORTFENCE_MAP
	[ "$output" = '8080?=8080,5432=20098' ]
	keeper
	run -0 ns "$PORTFENCE" audit --pid "$pid"
	[ "${lines[0]}" = 'no escape among 1 socket of 1 fenced process' ]
}

@test "a port that the command may not bind to is moved" {
	install_for_all
	cp "$PROBES/mapped" "$install"
	mkdir "$PORTFENCE_STATE"
	run -0 as_nobody "$install/portfence" run --range 20000-20099 --map '80?,8080?' -- printenv PORTFENCE_MAP
	[ "$output" = '80=20099,8080?=8080' ]
	run -0 as_nobody "$install/portfence" run --range 20000-20099 --map '80?' -- "$install/mapped" bind 80 127.0.0.1
	[[ "$output" = *'getsockname 127.0.0.1 80 '* ]]
}

@test "what a run around has decided stays, also beside a port that is still open" {
	# shellcheck disable=SC2016 # the inner shell expands it
	local in='"$0" run --map "$PORTFENCE_MAP,9090?" -- "$0" run -- printenv PORTFENCE_MAP; "$0" leases'
	run -0 ns "$PORTFENCE" run --range 20000-20099 --map '8080?' -- sh -c "$in" "$PORTFENCE"
	echo "$output"
	[ "${lines[0]}" = '8080?=8080,9090?=9090' ]
	[ "$(grep -c '^8080-8080 .* sh -c' <<<"$output")" = 1 ]
}

@test "a '?' at another place is an error, and so is a port that cannot be leased" {
	for text in '?' '?8080' '8080??' '8080?1' '8080?=' '8080=1?' '8080? 5432'; do
		refused "'$text' is no map" --range 20000-20099 --map "$text"
	done
	refused 'port 8080 stands twice in the map' --range 20000-20099 --map '8080?,8080'
	refused 'port 8080 stands twice in the map' --range 20000-20099 --map '8080?=8080,1=8080'
	# whether it is needed or not, there has to be room
	refused "'map' leaves no port of the range" --range 20000 --map '8080?'
	refused 'has port 9999 in the place of 8080, which is outside the range' \
		--range 20000-20099 --map '8080?=9999'
	run -0 ns "$PORTFENCE" run --range 20000-20099 --map "$(seq -s'?,' 9001 9064)?" -- printenv PORTFENCE_MAP
	[ "$output" = "$(for i in {9001..9064}; do echo "$i?=$i"; done | paste -sd,)" ]
	printf '[portfence]\nlease-file = %s/none\n[a]\nrange = 20000-20099\nmap = 8080?\n' "$PWD" >none.ini
	refused "the lease file '$PWD/none' is not there" --config none.ini --app a
}
