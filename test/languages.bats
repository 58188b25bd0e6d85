#!/usr/bin/env bats
#
# Programs that other compilers and languages make: Go, C++, and C with musl. A supervisor fences them,
# and `portfence which` says what reaches them. (What C of this system makes: supervise.bats, which.bats.)

# shellcheck disable=SC2030,SC2031,SC2034 # each test is a process of its own
bats_require_minimum_version 1.5.0
load lib/helpers
load lib/calls
load lib/supervise
load lib/which

PYTHON=/usr/bin/python3

setup_file() {
	# where nobody can reach it
	chmod a+x "$BATS_RUN_TMPDIR" "$BATS_FILE_TMPDIR"
	musl-gcc -std=gnu11 -D_GNU_SOURCE -static -Wno-format -Dstrerrorname_np=strerror \
		-idirafter /usr/include -idirafter "/usr/include/$(uname -m)-linux-gnu" \
		-o "$BATS_FILE_TMPDIR/raw-musl" "$BATS_TEST_DIRNAME/probes/raw.c"
	GOCACHE=$BATS_FILE_TMPDIR/go GO111MODULE=off CGO_ENABLED=0 \
		go build -o "$BATS_FILE_TMPDIR/talk" "$BATS_TEST_DIRNAME/programs/talk.go"
}

setup() {
	supervise_setup
}

@test "system calls of a static program of musl get ports of the range" {
	local way
	for way in $WAYS; do
		called "$way" "$BATS_FILE_TMPDIR/raw-musl" native
	done
}

@test "a Go program gets ports of the range as client and as server" {
	local way
	for way in $WAYS; do
		judged "$way" "$BATS_FILE_TMPDIR/talk" 7000
		[ "$(wc -l <calls)" = 9 ]
		awk '{ print $2 }' calls | within "$way"
	done
}

@test "Go's own resolver asks from the range" {
	local way
	for way in $WAYS; do
		resolves "$way" "$BATS_FILE_TMPDIR/talk" resolve portfence.test
		within "$way" <wire_ports
	done
}

# How a thread ends that is cancelled in a call, and whether its destructors have run.
build_cancelled() {
	cat >cancelled.cc <<-'END'
		#include <arpa/inet.h>
		#include <pthread.h>
		#include <stdio.h>
		#include <string.h>
		#include <sys/socket.h>
		#include <sys/syscall.h>
		#include <unistd.h>
		static const char *call;
		static sockaddr_in peer;
		static volatile int gone, ready;
		/* Until the thread waits in that call, as the kernel says; sooner, it is cancelled there, too. */
		static void wait_for(long wanted)
		{
			char path[64], text[256];
			long found = -1;
			while (!ready)
				usleep(1000);
			snprintf(path, sizeof(path), "/proc/self/task/%d/syscall", ready);
			while (found != wanted) {
				FILE *file = fopen(path, "r");
				if (!fgets(text, sizeof(text), file) || sscanf(text, "%ld", &found) != 1)
					found = -1;
				fclose(file);
			}
		}
		struct guard { ~guard() { gone++; } };
		static void *work(void *)
		{
			guard here;
			char big[65536] = { 0 };
			int fd = socket(AF_INET, SOCK_STREAM, 0);
			if (!strcmp(call, "pending")) {
				ready = gettid();
				pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, nullptr);
				while (usleep(1000), !gone) ;
				pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, nullptr);
			}
			if (!strcmp(call, "connect"))
				ready = gettid();
			connect(fd, (sockaddr *)&peer, sizeof(peer));
			ready = gettid();
			if (!strcmp(call, "recv"))
				recv(fd, big, 1, 0);
			while (!strcmp(call, "sendto"))
				sendto(fd, big, sizeof(big), 0, (sockaddr *)&peer, sizeof(peer));
			return nullptr;
		}
		int main(int, char *argv[])
		{
			pthread_t thread;
			void *result;
			call = argv[1];
			peer.sin_family = AF_INET;
			peer.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
			peer.sin_port = htons(7000);
			pthread_create(&thread, nullptr, work, nullptr);
			wait_for(!strcmp(call, "connect") ? SYS_connect : !strcmp(call, "pending") ? SYS_clock_nanosleep :
				 !strcmp(call, "recv") ? SYS_recvfrom : SYS_sendto);
			pthread_cancel(thread);
			if (!strcmp(call, "pending"))
				gone++;
			pthread_join(thread, &result);
			printf("%s %d\n", result == PTHREAD_CANCELED ? "cancelled" : "ended", gone);
		}
	END
	g++ -w -pthread -o cancelled cancelled.cc
	cp cancelled "$install"
}

@test "a thread that is cancelled while it waits in a call unwinds as without the fence" {
	local way call
	build_cancelled
	cat >server.py <<-'END'
		import socket, sys, time
		server = socket.socket(); server.bind(("127.0.0.1", 7000)); server.listen(int(sys.argv[1]))
		full = sys.argv[1] == "0" and socket.create_connection(server.getsockname())
		open("serves", "w")
		while True: time.sleep(60)
	END
	for call in connect recv sendto pending; do
		anew
		ns_background $PYTHON server.py "$([ $call = connect ] && echo 0 || echo 100)"
		wait_until [ -e serves ]
		rm serves
		plain=$(as_nobody "$install/cancelled" $call)
		for way in $WAYS; do
			run fenced "$way" "$install/cancelled" $call
			echo "$way $call: $output, plain: $plain"
			[ "$output" = "$plain" ]
		done
	done
}

@test "a program that is linked with musl is not reached" {
	skip_missing musl-gcc
	printf 'int main(void)\n{\n\treturn 0;\n}\n' >program.c
	musl-gcc -o other program.c
	./other
	unreached "'./other' is linked with musl and this portfence with glibc" "build portfence with musl" ./other
	answers 0 --range 20000 --json ./other
	[ "$(field "answer['libc']")" = musl ]
	[[ "$(field "answer['linker']")" = /lib/ld-musl-*.so.1 ]]
	musl-gcc -static -o other program.c
	unreached "'./other' is statically linked, so no library can be preloaded into it" \
		"use a dynamically linked build of it" ./other
}
