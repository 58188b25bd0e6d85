#!/usr/bin/env bats
#
# A call may come from anywhere: before our constructor and after main(), from a handler that
# interrupts another call, from any kind of child, from small stacks, from beside another interposer,
# and from where the program has gone. Each ends in the range or fails as a closed fence does; nothing
# crashes, hangs or leaks.
#
# shellcheck disable=SC2030,SC2031 # each test is a process of its own, and what it sets is its own

bats_require_minimum_version 1.5.0
load lib/helpers

LOW=40000
HIGH=40999
CALLS=6 # lines of a probe for each place

setup() {
	common_setup
	ns_background "$PROBES/matrix" serve 7777
	wait_tcp 7777
	CTOR_SO=$PROBES/ctor_calls.so
}

# rule ENGINE [KEY=VALUE...]: for every program
rule() {
	printf '%s\n' '[*]' "range = $LOW-$HIGH" "engine = $1" "${@:2}" >rule.ini
}

# preloaded LIBRARIES [NAME=VALUE...] COMMAND...: what it says is in said; it must end, and well
preloaded() {
	local libraries=$1
	shift
	# shellcheck disable=SC2016 # the inner shell expands it
	ns timeout 120 env PORTFENCE_CONFIG="$PWD/rule.ini" LD_PRELOAD="$libraries" "$@" >said 2>errors ||
		{ echo "status $?"; cat said errors; return 1; }
}

# fenced COMMAND...
fenced() {
	preloaded "$LIBRARY" "$@"
}

# seen PLACE TIMES [FILE]: each of its calls is there that often, succeeded, and has a port of the range
seen() {
	awk -v place="$1" -v times="$2" -v calls="$CALLS" -v low="$LOW" -v high="$HIGH" '
		$1 != place { next }
		{ n++; if ($3 < low || $3 > high || $4 != 0) { print "bad: " $0; bad = 1 } }
		END { if (n != calls * times) print place ": " n + 0 " lines"; exit bad || n != calls * times }
		' "${3:-said}"
}

# closed PLACE [FILE]: each call of it has a port of the range, or none and an error
closed() {
	awk -v place="$1" -v low="$LOW" -v high="$HIGH" '
		$1 != place { next }
		{ n++; if (($3 < low || $3 > high) && $4 == 0) { print "escaped: " $0; bad = 1 } }
		END { exit bad || !n }' "${2:-said}"
}

# needs_library NAME: its path is in $found
needs_library() {
	found=$(find /usr/lib /lib -name "$1" ! -type d 2>/dev/null | head -n 1)
	[ -n "$found" ] || not_installed "$1 is not installed"
}

# --- before our constructor and after main()

@test "an executable's IFUNC resolver, preinit array and constructor, and all that runs after main()" {
	for engine in bind kernel; do
		rule $engine
		fenced "$PROBES/around_main"
		for place in ifunc preinit constructor main atexit destructor; do
			seen $place 1
		done
		seen thread 20
		# what came first does not decide for the rest
		for place in ifunc preinit; do
			fenced "$PROBES/around_main" $place
			seen $place 1
		done
	done
}

@test "before libc has started, too, no call gets a port under a broken configuration" {
	printf '[*]\nrange = 20000-\n' >rule.ini
	for place in ifunc preinit main; do
		fenced "$PROBES/around_main" $place
		diff <(cut -d ' ' -f 3- said | sort -u) <(echo '0 13')
		grep -q 'rule\.ini:2' errors
	done
}

@test "without the environment of a start, the early calls of other programs are left alone" {
	printf '[other]\nrange = %s-%s\n' $LOW $HIGH >rule.ini
	fenced "$PROBES/around_main" ifunc
	diff <(cut -d ' ' -f 1,4 said | sort -u) <(echo 'ifunc 0')
}

@test "another library's constructor and destructor, preloaded before ours and behind it" {
	for engine in bind kernel; do
		rule $engine
		for libraries in "$CTOR_SO:$LIBRARY" "$LIBRARY:$CTOR_SO" "$CTOR_SO:$LIBRARY:$CTOR_SO"; do
			preloaded "$libraries" CTOR=1 "$PROBES/around_main" main
			seen constructor 1
			seen main 1
			seen destructor 1
			preloaded "$libraries" CTOR=1 CTOR_THREAD=1 "$PROBES/around_main" main
			seen constructor-thread 1
		done
	done
}

@test "a library that is loaded later, and one whose constructor waits for a thread's calls" {
	rule auto
	load_it='import ctypes, os, sys; ctypes.CDLL(sys.argv[1]).ctor_calls(b"called")'
	fenced CTOR=1 python3 -c "$load_it" "$CTOR_SO"
	seen constructor 1
	seen called 1
	seen destructor 1
	fenced CTOR=1 CTOR_THREAD=1 python3 -c "$load_it" "$CTOR_SO"
	seen constructor-thread 1
	seen called 1
}

@test "a library that is loaded into a namespace of its own is not reached, as the manual says" {
	cat >dlm.c <<-'END'
		#define _GNU_SOURCE
		#include <dlfcn.h>
		int main(int argc, char *argv[])
		{
			void *library = dlmopen(argc > 2 ? LM_ID_BASE : LM_ID_NEWLM, argv[1], RTLD_NOW);
			void (*calls)(const char *) = library ? dlsym(library, "ctor_calls") : 0;
			if (calls)
				calls("there");
			return !calls;
		}
	END
	cc -w -o dlm dlm.c -ldl
	LOW=20000 HIGH=20099
	rule bind
	fenced ./dlm "$CTOR_SO" base
	seen there 1
	fenced ./dlm "$CTOR_SO"
	diff <(cut -d ' ' -f 1,2,4 said) <(printf 'there %s 0\n' bind-udp bind-tcp listen connect-tcp \
		connect-udp sendto)
	LOW=32768 HIGH=60999
	seen there 1
}

# --- what a program brings along

# old_client FOLDER: programs that run with the glibc in FOLDER, which may lack what a compiler's start
# files need: alone, with libdl and with libpthread. Each prints what connect() returned, and the ports of
# a TCP and a UDP socket.
old_clients() {
	local name libraries
	cat >client.c <<-'END'
		#include <arpa/inet.h>
		#include <stdio.h>
		#include <sys/socket.h>
		#include <unistd.h>

		static int port(int fd)
		{
			struct sockaddr_in local;
			socklen_t len = sizeof(local);
			return getsockname(fd, (struct sockaddr *)&local, &len) ? -1 : ntohs(local.sin_port);
		}

		__attribute__((force_align_arg_pointer)) void _start(void)
		{
			struct sockaddr_in peer = { AF_INET, htons(7777), { htonl(INADDR_LOOPBACK) } };
			int tcp = socket(AF_INET, SOCK_STREAM, 0), udp = socket(AF_INET, SOCK_DGRAM, 0), rc;
			char text[64];

			rc = connect(tcp, (struct sockaddr *)&peer, sizeof(peer));
			peer.sin_port = htons(7778);
			sendto(udp, "x", 1, 0, (struct sockaddr *)&peer, sizeof(peer));
			write(1, text, snprintf(text, sizeof(text), "%d %d %d\n", rc, port(tcp), port(udp)));
			_exit(0);
		}
	END
	for name in alone libdl libpthread; do
		libraries=()
		[ $name = alone ] || mapfile -t libraries < <(printf '%s\n' "$1/$name".so.?)
		[ -e "${libraries[0]:-$1}" ] || continue
		cc -w -O1 -nostartfiles -o "old-$name" client.c -Wl,--no-as-needed "${libraries[@]}" \
			-Wl,--unresolved-symbols=ignore-in-shared-libs,-rpath,"$1" \
			-Wl,--dynamic-linker="$(echo "$1"/ld-linux*)"
	done
}

# old_clients_stay: each of these programs stays in the range, in every way
old_clients_stay() {
	local one way
	rule auto
	for one in ./old-*; do
		for way in preload supervise both; do
			ns "$PORTFENCE" run --config rule.ini --via $way -- "$one"
		done
		ns env LD_PRELOAD="$LIBRARY" PORTFENCE_CONFIG="$PWD/rule.ini" "$one"
	done >said 2>errors
	cat said errors
	[ ! -s errors ]
	[ "$(wc -l <said)" = $((4 * $(printf '%s\n' ./old-* | wc -l))) ]
	awk -v low=$LOW -v high=$HIGH \
		'NF != 3 || $1 != 0 || $2 < low || $2 > high || $3 < low || $3 > high { exit 1 }' said
}

@test "a program with a glibc of its own that has no symbol of 2.33 and 2.34" {
	local libc
	libc=$(ldd "$LIBRARY" | awk '/libc\.so/ { print $3 }')
	mkdir old
	cp -L "$libc" old/libc.so.6
	cp -L "$(ldd "$LIBRARY" | awk '/ld-linux/ { print $1 }')" old
	# the versions have another name, and so have functions that libc has since 2.34
	python3 - <<-'END'
		import struct
		file = bytearray(open("old/libc.so.6", "rb").read())
		def sysv_hash(name):
		    value = 0
		    for c in name.encode():
		        value = (value << 4) + c
		        high = value & 0xf0000000
		        value = (value ^ high >> 24) & ~high & 0xffffffff
		    return struct.pack("<I", value)
		def replace(old, new):
		    at = file.find(old)
		    assert at >= 0, old
		    while at >= 0:
		        file[at:at + len(old)] = new
		        at = file.find(old, at + len(old))
		for version in "GLIBC_2.33", "GLIBC_2.34":
		    other = version.replace("_2", "_9")
		    replace(sysv_hash(version), sysv_hash(other))
		    replace(version.encode() + b"\0", other.encode() + b"\0")
		for name in b"\0dlsym\0", b"\0dladdr\0", b"\0pthread_testcancel\0":
		    replace(name, name.upper())
		open("old/libc.so.6", "wb").write(file)
	END
	old_clients "$PWD/old"
	old_clients_stay
}

@test "programs with the oldest glibc that Debian's archive has" {
	[ "$(uname -m)" = x86_64 ] || skip 'it is fetched for x86-64'
	run "$BATS_TEST_DIRNAME/vm/fetch" glibc
	[ "$status" = 0 ] || not_installed "$output"
	old_clients "$BUILD/vm/glibc"
	[ -e old-libdl ]
	[ -e old-libpthread ]
	old_clients_stay
}

@test "a program that ThreadSanitizer is linked into" {
	local way
	skip_missing clang
	rule auto
	cat >main.c <<-'END'
		#include "calls.h"
		int main(void)
		{
			calls("main");
			return 0;
		}
	END
	clang -w -D_GNU_SOURCE -fsanitize=thread -I"$BATS_TEST_DIRNAME/probes" -o main main.c 2>errors ||
		not_installed "clang builds no program with ThreadSanitizer: $(head -n 1 errors)"
	for way in preload supervise both; do
		ns "$PORTFENCE" run --config rule.ini --via $way -- ./main >said
		seen main 1
		# no report
		[ "$(wc -l <said)" = $CALLS ]
	done
}

@test "a program that needs AddressSanitizer's runtime as a shared object" {
	local way
	rule auto
	cat >main.c <<-'END'
		#include "calls.h"
		#include <stdlib.h>
		int main(int argc, char *argv[])
		{
			char *volatile block = malloc(8);
			(void)argv;
			calls("main");
			/* what the sanitizer is there for */
			if (argc > 1)
				block[8] = 1;
			free(block);
			return 0;
		}
	END
	gcc -w -D_GNU_SOURCE -g -fsanitize=address -I"$BATS_TEST_DIRNAME/probes" -o main main.c 2>errors ||
		not_installed "gcc builds no program with AddressSanitizer: $(head -n 1 errors)"
	ldd main | grep libasan
	for way in preload supervise both; do
		ns "$PORTFENCE" run --config rule.ini --via $way -- ./main >said
		seen main 1
		[ "$(wc -l <said)" = $CALLS ]
		# as a child too, and its mistakes are found
		run ns "$PORTFENCE" run --config rule.ini --via $way -- sh -c './main mistake; true'
		[[ $output = *heap-buffer-overflow* ]]
	done
}

# --- signals

# storm ARGUMENT...: main() and the handler had calls in the range alone, and none failed
storm() {
	fenced "$PROBES/storm" "$@"
	cat said
	[ "$(wc -l <said)" = 12 ]
	awk -v low="$LOW" -v high="$HIGH" '$3 < low || $4 > high || $5 != 0 { exit 1 }' said
}

@test "a handler that interrupts calls makes calls itself" {
	for engine in bind kernel auto; do
		rule $engine
		capture_start 'tcp[tcpflags] & tcp-syn != 0 and dst port 7777'
		storm 3000 0
		capture_stop
		ports_to 7777 | all_within $LOW $HIGH
	done
	rule bind 'order = sequential'
	storm 3000 0
}

@test "a handler on a small stack makes calls itself, with a log, too" {
	for log in none "$PWD/log" stderr; do
		for engine in bind kernel; do
			rule $engine
			PORTFENCE_LOG=$log storm 2000 8192
		done
	done
}

@test "no call takes more than 4 kB of stack" {
	printf '[*]\nrange = %s\n' 40000 40000-40999 20000 20000-20999 | while read -r section; do
		read -r range
		printf '%s\n' "$section" "$range" >rule.ini
		for log in none stderr syslog "json:$PWD/log"; do
			fenced PORTFENCE_LOG="$log" "$PROBES/stacks" measure
			[ "$(wc -l <said)" = $CALLS ]
			awk -v to="$log" '$3 < 500 || $3 > 4096 { print to, $0; bad = 1 } END { exit bad }' said
		done
	done
}

@test "a handler that leaves a call by siglongjmp leaves no descriptor behind" {
	HIGH=40001
	for engine in bind auto; do
		rule $engine
		for log in none "$PWD/log" "json:$PWD/log" syslog; do
			fenced PORTFENCE_LOG="$log" "$PROBES/storm" 2000 jump
			cat said
			diff said <(printf '%s\n' 'jumped often' 'descriptors 0')
		done
	done
}

@test "a connect that waits is cancelled, left or interrupted as without the fence" {
	for way in cancel leave interrupt; do
		ns "$PROBES/stacks" $way >plain
		grep -q 'descriptors +0' plain
		for engine in bind kernel; do
			rule $engine
			fenced "$PROBES/stacks" $way
			diff <(head -n 1 plain) <(head -n 1 said)
			sed -n '2s/.* left \([0-9]*\) .*/\1/p' said | all_within $LOW $HIGH
			sed -i 1,2d said
			seen $way 1
		done
	done
}

# --- stacks

@test "a coroutine of 16 kB, and threads with stacks of 128 kB and of the least that there is" {
	for engine in bind kernel; do
		rule $engine
		for log in none "$PWD/log"; do
			fenced PORTFENCE_LOG="$log" "$PROBES/stacks" coroutine
			seen coroutine 1
			for size in 131072 0; do
				fenced PORTFENCE_LOG="$log" "$PROBES/stacks" thread $size
				seen thread 1
			done
		done
	done
}

# --- children

@test "children that are forked while other threads make calls and allocate memory" {
	for engine in bind kernel; do
		rule $engine
		fenced "$PROBES/children" fork
		seen child 50
		seen grandchild 50
		seen parent 50
	done
}

@test "a child that is forked while another thread loads a library" {
	for engine in bind kernel; do
		rule $engine
		fenced "$PROBES/children" dlopen-fork "$CTOR_SO"
		seen child 1
		seen parent 1
	done
}

@test "children that share memory: vfork, clone with and without the table of descriptors, a bare thread" {
	for engine in bind kernel; do
		rule $engine
		fenced "$PROBES/children" vfork
		seen child 1
		seen parent 2
		for way in clone-vm clone-vm-files clone-thread; do
			fenced "$PROBES/children" $way
			seen child 1
			seen parent 21
		done
	done
}

@test "a spawned child whose file actions put another socket under a number that had a port" {
	for engine in bind kernel; do
		rule $engine
		fenced "$PROBES/children" spawn-actions
		awk '$2 == "settled" || $2 == "inherited" { print $3 }' said >two
		[ "$(sort -u two | wc -l)" = 2 ]
		all_within $LOW $HIGH <two
		sed -i '/ settled \| inherited /d' said
		seen child 1
		seen parent 1
	done
}

# --- a program that goes elsewhere

@test "a program that closes all descriptors, in four ways" {
	for engine in bind kernel; do
		rule $engine
		for way in closefrom close_range close close-raw; do
			fenced "$PROBES/context_change" $way
			seen before 1
			seen after 20
		done
	done
}

@test "a program that changes its root, its user or its rights" {
	mkdir empty
	for engine in bind kernel auto; do
		rule $engine
		for way in "chroot $PWD/empty" setuid capset; do
			# shellcheck disable=SC2086 # two words
			fenced "$PROBES/context_change" $way
			seen before 1
			seen after 2
		done
	done
}

@test "a program that goes to a network namespace with another ephemeral range" {
	for engine in bind auto; do
		rule $engine
		for way in unshare clone; do
			fenced "$PROBES/context_change" $way '50000 50099'
			[ "$way" = clone ] || seen after 2
			[ "$way" = unshare ] || seen after 1
		done
		fenced "$PROBES/context_change" unshare-thread '50000 50099'
		seen after 2
		seen beside 31
		fenced "$PROBES/context_change" setns '50000 50099'
		seen after 2
		seen back 2
	done
}

@test "in a namespace where the kernel engine cannot serve, its calls fail, and only there" {
	rule kernel
	for way in unshare unshare-thread setns clone; do
		fenced "$PROBES/context_change" $way '50000 50099'
		# a port that the program named is left alone, or the probe would have ended
		awk '$1 == "after" && ($3 != 0 || $4 == 0) { print; bad = 1 } END { exit bad }' said
		seen before 1
		grep -q "'engine = kernel' cannot serve" errors
	done
	fenced "$PROBES/context_change" setns '50000 50099'
	seen back 2
	fenced "$PROBES/context_change" unshare-thread '50000 50099'
	seen beside 31
	# the whole of another range, where it can
	fenced "$PROBES/context_change" setns "$LOW $HIGH"
	seen after 2
	seen back 2
}

@test "a program that changes its namespace behind our back does not leave the range unnoticed" {
	for engine in bind kernel auto; do
		rule $engine
		fenced "$PROBES/context_change" unshare-raw '50000 50099'
		seen before 1
		closed after
	done
}

@test "behind a filter that refuses what the program itself does not need, no call gets a port" {
	for engine in bind kernel auto; do
		rule $engine
		fenced "$PROBES/context_change" seccomp
		seen before 1
		closed after
		[ $engine = kernel ] || seen after 2
	done
}

# --- other interposers

# beside LIBRARY-FILE: in front of ours and behind it, calls are in the range
beside() {
	needs_library "$1"
	for engine in bind kernel; do
		rule $engine
		for libraries in "$found:$LIBRARY" "$LIBRARY:$found"; do
			# (in an IFUNC's resolver, these libraries are not ready themselves)
			for place in preinit atexit; do
				preloaded "$libraries" "$PROBES/around_main" $place
				seen $place 1
			done
			preloaded "$libraries" "$PROBES/storm" 200 0
			awk -v low="$LOW" -v high="$HIGH" '$3 < low || $4 > high || $5 != 0 { exit 1 }' said
			preloaded "$libraries" CTOR=1 CTOR_THREAD=1 python3 -c \
				'import ctypes, sys; ctypes.CDLL(sys.argv[1])' "$CTOR_SO"
			seen constructor-thread 1
		done
	done
}

@test "a program works beside jemalloc" {
	beside libjemalloc.so.2
	preloaded "$LIBRARY:$found" "$PROBES/children" fork
	seen child 50
}

@test "a program works beside tcmalloc" {
	beside libtcmalloc_minimal.so.4
}

@test "a program works beside libeatmydata" {
	beside libeatmydata.so
}

@test "a program works beside libfaketime, with a clock that is wrong, stands still or runs away" {
	needs_library libfaketimeMT.so.1
	for FAKETIME in '2020-01-01 00:00:00' '@2020-01-01 00:00:00' '+10d x1000' '-40y'; do
		export FAKETIME
		rule bind
		for libraries in "$found:$LIBRARY" "$LIBRARY:$found"; do
			preloaded "$libraries" "$PROBES/around_main" main
			seen main 1
			preloaded "$libraries" "$PROBES/storm" 200 0
			awk -v low="$LOW" -v high="$HIGH" '$3 < low || $4 > high || $5 != 0 { exit 1 }' said
		done
	done
}

@test "a clock that stands still does not make claims last for ever" {
	cc -w -shared -fPIC -o frozen.so -x c - <<-'END'
		#include <time.h>
		int clock_gettime(clockid_t clock, struct timespec *now)
		{
			now->tv_sec = 1000;
			now->tv_nsec = 0;
			return 0;
		}
	END
	rule bind
	fenced "$PROBES/around_main" main
	# claims of that moment, and of nobody, wherever claims may be
	python3 - "$PORTFENCE_STATE"/%2A.* <<-'END'
		import os, sys
		size = os.path.getsize(sys.argv[1])
		with open(sys.argv[1], "r+b") as file:
		    file.seek(16)
		    file.write((0xdeadbe0001000000 | 1000000).to_bytes(8, sys.byteorder) * ((size - 16) // 8))
	END
	preloaded "$PWD/frozen.so:$LIBRARY" "$PROBES/around_main" main
	seen main 1
}

@test "a program works beside socket_wrapper, which makes the calls itself" {
	needs_library libsocket_wrapper.so
	mkdir wrapped
	export SOCKET_WRAPPER_DIR=$PWD/wrapped SOCKET_WRAPPER_DEFAULT_IFACE=1
	for engine in bind kernel; do
		rule $engine
		# its sockets are UNIX ones, and its ports made up
		preloaded "$found:$LIBRARY" "$PROBES/around_main" main
		cut -d ' ' -f 1,2,4 said >fenced
		preloaded "$found" "$PROBES/around_main" main
		diff <(cut -d ' ' -f 1,2,4 said) fenced
		[ "$(wc -l <fenced)" = $CALLS ]
		preloaded "$LIBRARY:$found" "$PROBES/around_main" main
		[ "$(wc -l <said)" = $CALLS ]
	done
}

# A SOCKS proxy that wants no way of authentication (RFC 1928); what reaches it, the wire tells.
proxy_start() {
	printf '%s\n' '#!/bin/sh' 'head -c 3 >/dev/null' 'printf "\005\377"' >refuse
	chmod +x refuse
	ns_background socat TCP4-LISTEN:1080,fork,reuseaddr EXEC:./refuse
	wait_tcp 1080
	cat >client.py <<-'END'
		import socket
		for host in "192.0.2.1", "192.0.2.2":
		    try:
		        socket.create_connection((host, 80), 5)
		    except OSError as error:
		        print(type(error).__name__)
	END
	capture_start 'dst port 1080'
}

# proxied COMMAND...: it tries two connections, and both come from the range
proxied() {
	ns timeout 120 "$@" python3 client.py >said 2>errors || true
	cat said errors
	[ "$(wc -l <said)" = 2 ]
	capture_stop
	ports_to 1080 | all_within $LOW $HIGH
}

@test "a program works beside proxychains, which goes inside portfence run" {
	skip_missing proxychains4
	printf '%s\n' strict_chain quiet_mode '[ProxyList]' 'socks5 127.0.0.1 1080' >proxy.conf
	rule bind
	proxy_start
	proxied "$PORTFENCE" run --config rule.ini -- proxychains4 -f proxy.conf
}

@test "a program works beside torsocks, which goes outside portfence run" {
	skip_missing torsocks
	rule bind
	proxy_start
	proxied torsocks -a 127.0.0.1 -P 1080 "$PORTFENCE" run --config rule.ini --
}

@test "a program with a malloc of its own that makes a socket call" {
	cat >own.c <<-'END'
		#define _GNU_SOURCE
		#include <stddef.h>
		#include <string.h>
		#include <unistd.h>
		#include "calls.h"

		static char room[64 << 20];
		static size_t used;
		static int inside;

		/* as one that asks a daemon */
		void *malloc(size_t size)
		{
			char *at = room + __atomic_fetch_add(&used, (size + 31) & ~15UL, __ATOMIC_RELAXED);

			if (!inside) {
				inside = 1;
				calls("malloc");
			}
			*(size_t *)at = size;
			return at + 16;
		}
		void free(void *p) { (void)p; }
		void *calloc(size_t n, size_t size) { return malloc(n * size); }
		void *realloc(void *p, size_t size)
		{
			void *q = malloc(size);
			size_t old = p ? *(size_t *)((char *)p - 16) : 0;
			return p ? memcpy(q, p, old < size ? old : size) : q;
		}
		int main(void)
		{
			free(malloc(1));
			calls("main");
			return 0;
		}
	END
	cc -w -I "$ROOT/test/probes" -o own own.c
	for engine in bind kernel; do
		rule $engine
		fenced ./own
		seen malloc 1
		seen main 1
	done
}

@test "bind = deny holds under valgrind, whose own code makes all calls" {
	skip_missing valgrind
	printf '[app]\nrange = 20000-20099\nbind = deny\n' >app.ini
	python_code 's = tcp(); s.bind(("127.0.0.1", 0)); s.listen(); u = udp(); u.connect(("127.0.0.1", 9))
		c = tcp(); c.connect(s.getsockname())
		print(*[20000 <= port(x) <= 20099 for x in (s, u, c)], error(tcp().bind, ("127.0.0.1", 20001)))'
	for way in auto preload supervise both; do
		run ns env PYTHONMALLOC=malloc "$PORTFENCE" run --config app.ini --app app --via "$way" -- valgrind -q --tool=none /usr/bin/python3 code.py
		[ "$output" = "True True True EACCES" ]
	done
}
