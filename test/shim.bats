#!/usr/bin/env bats
#
# The library as the dynamic linker and the kernel see it: what it exports and asks for, and what its
# hooks never do.

bats_require_minimum_version 1.5.0
load lib/helpers

setup_file() {
	build_guard
	build_calls
	build_cancel
}

# Preloaded, too: while a call is guarded, whoever takes memory or a lock ends the process.
build_guard() {
	cc -w -O1 -shared -fPIC -o "$BATS_FILE_TMPDIR/guard.so" -x c - -ldl <<-'END'
		#define _GNU_SOURCE
		#include <dlfcn.h>
		#include <pthread.h>
		#include <stddef.h>
		#include <string.h>
		#include <sys/syscall.h>
		#include <unistd.h>

		static const char *guarded;

		/* a write to no descriptor: strace(1) shows where a call begins and ends */
		void guard(const char *call)
		{
			const char *mark = call ? call : "end";
			syscall(SYS_write, -1, mark, strlen(mark));
			guarded = call;
		}

		static void trip(const char *what)
		{
			const char *call = guarded;
			if (!call)
				return;
			guarded = NULL;
			write(1, what, strlen(what));
			write(1, " in ", 4);
			write(1, call, strlen(call));
			write(1, "\n", 1);
			_exit(66);
		}

		void *__libc_malloc(size_t), *__libc_calloc(size_t, size_t), *__libc_realloc(void *, size_t);
		void *__libc_memalign(size_t, size_t), __libc_free(void *);
		void *malloc(size_t n) { trip("malloc"); return __libc_malloc(n); }
		void *calloc(size_t n, size_t m) { trip("calloc"); return __libc_calloc(n, m); }
		void *realloc(void *p, size_t n) { trip("realloc"); return __libc_realloc(p, n); }
		void *memalign(size_t a, size_t n) { trip("memalign"); return __libc_memalign(a, n); }
		void *aligned_alloc(size_t a, size_t n) { trip("aligned_alloc"); return __libc_memalign(a, n); }
		int posix_memalign(void **p, size_t a, size_t n)
		{
			trip("posix_memalign");
			*p = __libc_memalign(a, n);
			return *p ? 0 : 12;
		}
		void free(void *p) { trip("free"); __libc_free(p); }

		#define LOCK(name, type) \
			int name(type *lock) \
			{ \
				static int (*real)(type *); \
				trip(#name); \
				if (!real) \
					real = dlsym(RTLD_NEXT, #name); \
				return real(lock); \
			}
		LOCK(pthread_mutex_lock, pthread_mutex_t)
		LOCK(pthread_mutex_trylock, pthread_mutex_t)
		LOCK(pthread_mutex_unlock, pthread_mutex_t)
		LOCK(pthread_rwlock_rdlock, pthread_rwlock_t)
		LOCK(pthread_rwlock_wrlock, pthread_rwlock_t)
		LOCK(pthread_rwlock_unlock, pthread_rwlock_t)
		LOCK(pthread_spin_lock, pthread_spinlock_t)
	END
}

# Every hooked socket call, guarded. Prints how many succeeded and failed.
build_calls() {
	cc -w -O1 -o "$BATS_FILE_TMPDIR/calls" -x c - -ldl <<-'END'
		#define _GNU_SOURCE
		#include <arpa/inet.h>
		#include <dlfcn.h>
		#include <errno.h>
		#include <netinet/in.h>
		#include <pthread.h>
		#include <stdio.h>
		#include <stdlib.h>
		#include <string.h>
		#include <sys/socket.h>
		#include <unistd.h>

		static void (*guard)(const char *);
		static int good, bad;
		static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

		#define CALL(name, call) \
			({ \
				long result; \
				guard(name); \
				result = call; \
				guard(NULL); \
				if (result < 0) bad++; else good++; \
				result; \
			})

		static struct sockaddr_in at(int host, int port)
		{
			struct sockaddr_in a = { AF_INET, htons(port), { htonl(0x7f000000 + host) } };
			return a;
		}

		static int tcp(void) { return socket(AF_INET, SOCK_STREAM, 0); }
		static int udp(void) { return socket(AF_INET, SOCK_DGRAM, 0); }

		int main(int argc, char *argv[])
		{
			struct sockaddr_in any = at(0, 0), to, name;
			struct sockaddr_in6 six = { AF_INET6 };
			int turn, host, i, one = 1, tcps[8];
			struct iovec data = { "x", 1 };
			struct msghdr message = { &to, sizeof(to), &data, 1 };
			struct mmsghdr messages[2] = { { message }, { message } };

			any.sin_addr.s_addr = 0;
			guard = dlsym(RTLD_DEFAULT, "guard");
			guard("main");
			guard(NULL);
			if (argc > 1) { /* is anybody watching? */
				guard(argv[1]);
				if (!strcmp(argv[1], "heap"))
					free(malloc(1));
				else
					pthread_mutex_lock(&mutex);
				puts("nobody watches");
				return 0;
			}
			for (host = 1; host <= 3; host++) {
				int fd = tcp();
				to = at(host, 30000);
				setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
				if (bind(fd, (struct sockaddr *)&to, sizeof(to)) && errno != EACCES)
					return 2;
				listen(fd, 64);
			}
			for (turn = 0; turn < 2; turn++) {
				int fd;

				/* one port for each destination, then none is left */
				for (host = 1; host <= 3; host++)
					for (i = 0; i < 3; i++) {
						to = at(host, 30000);
						fd = tcp();
						CALL("connect", connect(fd, (struct sockaddr *)&to, sizeof(to)));
					}
				to = at(1, 9);
				fd = tcp();
				CALL("connect", connect(fd, (struct sockaddr *)&to, sizeof(to)));
				CALL("connect", connect(fd, (struct sockaddr *)&to, sizeof(to)));
				close(fd);
				fd = udp();
				CALL("connect", connect(fd, (struct sockaddr *)&to, sizeof(to)));
				CALL("send", send(fd, "x", 1, 0));
				close(fd);
				fd = tcp();
				CALL("bind", bind(fd, (struct sockaddr *)&any, sizeof(any)));
				CALL("listen", listen(fd, 1));
				close(fd);
				fd = tcp();
				CALL("listen", listen(fd, 1));
				close(fd);
				fd = tcp();
				name = any;
				CALL("bindresvport", bindresvport(fd, &name));
				close(fd);
				fd = udp();
				name = at(1, 31000);
				CALL("bind", bind(fd, (struct sockaddr *)&name, sizeof(name)));
				close(fd);
				fd = socket(AF_INET6, SOCK_DGRAM, 0);
				CALL("bind", bind(fd, (struct sockaddr *)&six, sizeof(six)));
				close(fd);
				for (i = 0; i < 3; i++) {
					fd = udp();
					CALL("bind", bind(fd, (struct sockaddr *)&any, sizeof(any)));
					if (i == 2)
						close(fd);
					else
						dup2(fd, 100 + i), close(fd);
				}
				close(100);
				close(101);
				fd = udp();
				CALL("send", send(fd, "x", 1, 0));
				CALL("sendto", sendto(fd, "x", 1, 0, (struct sockaddr *)&to, sizeof(to)));
				CALL("sendto", sendto(fd, "x", 1, 0, (struct sockaddr *)&to, sizeof(to)));
				close(fd);
				fd = udp();
				CALL("sendmsg", sendmsg(fd, &message, 0));
				close(fd);
				fd = udp();
				CALL("sendmmsg", sendmmsg(fd, messages, 2, 0));
				close(fd);
				fd = tcp();
				to = at(1, 30000);
				CALL("sendto", sendto(fd, "x", 1, MSG_FASTOPEN, (struct sockaddr *)&to, sizeof(to)));
				close(fd);
			}
			printf("good %d bad %d\n", good, bad);
			return 0;
		}
	END
}

# Each call made by a thread that has been cancelled but not yet ended.
build_cancel() {
	cc -w -O1 -pthread -o "$BATS_FILE_TMPDIR/cancel" -x c - <<-'END'
		#define _GNU_SOURCE
		#include <arpa/inet.h>
		#include <fcntl.h>
		#include <netinet/in.h>
		#include <pthread.h>
		#include <stdio.h>
		#include <string.h>
		#include <sys/socket.h>

		static struct sockaddr_in peer, any = { AF_INET };
		static const char *call;
		static int fd;

		static void *thread(void *unused)
		{
			pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL);
			pthread_cancel(pthread_self());
			pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, NULL);
			if (!strcmp(call, "bind"))
				bind(fd, (struct sockaddr *)&any, sizeof(any));
			else if (!strcmp(call, "listen"))
				listen(fd, 1);
			else if (!strcmp(call, "connect"))
				connect(fd, (struct sockaddr *)&peer, sizeof(peer));
			else
				sendto(fd, "x", 1, 0, (struct sockaddr *)&peer, sizeof(peer));
			pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL);
			return "returned";
		}

		static int count(void)
		{
			int i, n = 0;
			for (i = 0; i < 256; i++)
				n += fcntl(i, F_GETFD) >= 0;
			return n;
		}

		int main(int argc, char *argv[])
		{
			static const char *const calls[] = { "bind", "listen", "connect", "sendto" };
			struct sockaddr_in local = { AF_INET, htons(30000), { htonl(0x7f000001) } };
			int i, turn, server = socket(AF_INET, SOCK_STREAM, 0), before;
			int held = socket(AF_INET, SOCK_STREAM, 0);
			pthread_t id;
			void *result;

			peer = local;
			bind(server, (struct sockaddr *)&local, sizeof(local));
			listen(server, 9);
			/* of a port that is held, the next one has to ask whether it may share it */
			local.sin_addr.s_addr = htonl(0x7f000002);
			if (argc == 1)
				connect(held, (struct sockaddr *)&local, sizeof(local));
			for (turn = 0; turn < 2; turn++)
				for (i = 0; i < 4; i++) {
					call = calls[i];
					fd = socket(AF_INET, i == 3 ? SOCK_DGRAM : SOCK_STREAM, 0);
					before = count();
					pthread_create(&id, NULL, thread, NULL);
					pthread_join(id, &result);
					printf("%s %s, descriptors %+d\n", call,
					       result == PTHREAD_CANCELED ? "cancelled" : (char *)result,
					       count() - before);
				}
			return 0;
		}
	END
}

defined() {
	nm -D --defined-only "$LIBRARY" | awk '{ print $NF }' | sed 's/@.*//' | sort
}

wanted() {
	nm -D --undefined-only "$LIBRARY" | awk '{ print $NF }' | sed 's/@.*//' | sort
}

# guarded CONFIG-LINE... runs `calls` under the configuration's section [calls]
guarded() {
	printf '%s\n' '[calls]' "$@" >calls.ini
	ns env LD_PRELOAD="$LIBRARY:$BATS_FILE_TMPDIR/guard.so" PORTFENCE_CONFIG="$PWD/calls.ini" \
		PORTFENCE_LOG="${log-none}" "$BATS_FILE_TMPDIR/calls" >said 2>errors
	cat said
	grep -q '^good' said
}

# traced CONFIG-LINE...: likewise, with the system calls in the file trace
traced() {
	printf '%s\n' '[calls]' "$@" >calls.ini
	ns strace -f -o trace -E LD_PRELOAD="$LIBRARY:$BATS_FILE_TMPDIR/guard.so" \
		-E PORTFENCE_CONFIG="$PWD/calls.ini" -E PORTFENCE_LOG="${log-none}" \
		"$BATS_FILE_TMPDIR/calls" >said 2>errors
	grep -q '^good' said
}

# --- symbols

# those of a 32-bit libc's second functions, for programs with 64-bit times, are left out
time64() {
	sed -nE '/TIME64_FUNCTIONS/,/^$/s/^\tX\([^,]*, *([a-z0-9_]+),.*/\1/p' "$ROOT/src/shim/real.h"
}

@test "the library exports the names of its map and nothing else" {
	diff <(sed -nE 's/^\t([a-z0-9_]+);$/\1/p' "$ROOT/src/shim/libportfence.map" |
		grep -vxF "$(time64)" | sort) <(defined)
	[ "$(time64 | wc -l)" -gt 5 ]
	[ "$(defined | wc -l)" -gt 20 ]
	# no version: a program must find them whatever version it asks for
	[ "$(nm -D --defined-only "$LIBRARY" | grep -c '@')" = 0 ]
}

@test "each exported name has a real function, or is a second name of one" {
	diff <({
		sed -nE 's/^\tX\([^,]*, *([a-z0-9_]+),.*/\1/p' "$ROOT/src/shim/real.h" | grep -vxF "$(time64)"
		printf '%s\n' __asan_default_options __clone __close __connect __dup2 __fcntl __send execl execle execlp execv execvp
	} | sort) <(defined)
}

@test "every name that is exported is a function of its own in libc" {
	for name in $(defined); do
		# of AddressSanitizer's runtime, see src/shim/sanitizer.c
		[ "$name" != __asan_default_options ] || continue
		nm -D --defined-only "$(ldd "$LIBRARY" | awk '/libc\.so/ { print $3 }')" |
			grep -qE " [TWi] $name(@|\$)"
	done
}

@test "the library can be loaded by programs with glibc 2.17, or a newer one" {
	objdump -T "$LIBRARY" | grep -oE 'GLIBC_[0-9.]+' | sort -uV >versions
	cat versions
	# a libc without versions has none
	[ "$(tail -n 1 versions | sed 's/GLIBC_//')" = "" ] ||
		[ "$( (cat versions; echo GLIBC_2.17) | sort -V | tail -n 1)" = GLIBC_2.17 ]
}

@test "the library asks libc for what it is known to need, and for no lock, thread or stream" {
	cat >allowed <<-'END'
		clock_gettime dl_iterate_phdr dlsym environ fnmatch ftruncate getauxval getcwd geteuid getpid
		getpeername getsockname getsockopt in6addr_loopback linkat lseek memchr memrchr memcpy memmove mempcpy memset memcmp
		madvise memmem mkdir mmap mremap munmap open openat program_invocation_short_name read readlink
		sbrk sched_yield secure_getenv strcasecmp strncasecmp uname snprintf stpcpy strchr strchrnul strcmp strcpy
		strcspn strerror strlen strncmp strncpy strnlen strrchr strspn strtol strtoul strtoull syscall
		unlinkat vsnprintf write
		access fstatfs mkdirat readlinkat strpbrk sigaddset sigemptyset sigismember sigpending sigprocmask pthread_sigmask
		getegid getgid getuid pwritev2 poll ppoll pthread_setcancelstate
		__ctype_b_loc __errno_location __stack_chk_fail
		_ITM_deregisterTMCloneTable _ITM_registerTMCloneTable __cxa_finalize __gmon_start__
		__register_atfork
		__environ __progname
		asprintf putenv setenv unsetenv
		malloc free realloc fopen fopen64 fclose fgets
		__libc_stack_end uselocale
		gnu_get_libc_version
		fstatfs mkdirat readlinkat getxattr statvfs
	END
	tr ' ' '\n' <allowed | sort >sorted
	# what a hardened build calls instead, and one for large files
	wanted | sed -E 's/^__(isoc23_)?([a-z]+)_chk$/\2/; s/^__isoc23_//; s/64$//' | sort -u >asked
	[ "$(wc -l <asked)" -gt 30 ]
	[ "$(comm -13 sorted asked)" = "" ]
}

@test "memory is asked for by child_environ_mend and inih alone, streams by inih alone" {
	# inih's other entry points, and what the command alone calls of variables, come with it
	for source in "$ROOT"/src/core/*.c "$ROOT"/src/shim/*.c; do
		object=$BUILD/${source#"$ROOT"/src/}
		object=${object%.c}.o
		heap=$(nm -u "$object" | awk '{ print $NF }' |
			grep -xE '(__libc_)?(malloc|calloc|realloc|reallocarray|free|memalign|aligned_alloc|posix_memalign|strdup|strndup|asprintf|vasprintf|getline|getdelim|fopen(64)?|fdopen|fputs|fwrite|printf|fprintf|vfprintf|puts|putenv|setenv|unsetenv|qsort|syslog|getaddrinfo|localtime|gmtime|mktime)' |
			sort | tr '\n' ' ' || true)
		case ${object##*/} in
		child_environ.o) [ "$heap" = "asprintf free putenv unsetenv " ] ;;
		variables.o) [ "$heap" = "setenv unsetenv " ] ;;
		*) [ "$heap" = "" ] ;;
		esac
	done
}

@test "the library needs libc alone, is bound at the start, and leaves nothing writable that need not be" {
	readelf -d "$LIBRARY" >dynamic
	if grep NEEDED dynamic | grep -vqE 'libc\.so|libdl\.so|ld-linux|linux-gate'; then
		return 1
	fi
	grep -qE 'BIND_NOW|NOW' dynamic
	if grep -qE 'TEXTREL|RPATH|RUNPATH' dynamic; then
		return 1
	fi
	readelf -lW "$LIBRARY" >segments
	grep -q GNU_RELRO segments
	grep GNU_STACK segments | grep -q ' RW '
}

# --- what a hook never does

@test "the guard sees who takes memory or a lock" {
	for what in heap lock; do
		run ns env LD_PRELOAD="$BATS_FILE_TMPDIR/guard.so" "$BATS_FILE_TMPDIR/calls" "$what"
		[ "$status" = 66 ]
		[[ "$output" = *" in $what" ]]
	done
	# and the program's own calls, without the fence, take neither
	ns env LD_PRELOAD="$BATS_FILE_TMPDIR/guard.so" "$BATS_FILE_TMPDIR/calls" >said
	grep -q '^good' said
}

@test "no hook takes memory or a lock: kernel engine, bind engine, shared and exhausted ports" {
	guarded 'range = 40000-40099'
	guarded 'range = 40000-40002'
	guarded 'range = 20000-20099'
	guarded 'range = 20000-20002'
	guarded 'range = 20000'
	grep -q 'bad [1-9][0-9]' said
	guarded 'range = 20000-20002, 20010' 'engine = bind' 'order = sequential'
	for order in random random-simple hash double-hash random-increments; do
		guarded 'range = 20000-20005' "order = $order" 'seed = 1'
	done
}

@test "no hook takes memory or a lock where it refuses, gives way or is closed" {
	guarded 'range = 20000-20099' 'bind = own'
	guarded 'range = 20000-20099' 'bind = deny'
	guarded 'range = 20000-20001' 'exhausted = system'
	guarded 'range = 40000-40001' 'exhausted = system'
	guarded 'range = 40000-40099' 'engine = kernel'
	guarded 'range = 20000-20099' 'engine = kernel'
	guarded 'range = 1-0'
	chmod 777 "$PORTFENCE_STATE"
	guarded 'range = 20000-20099'
	# ports that the kernel passes over, which are read for the first time inside a hook
	ns sysctl -qw net.ipv4.ip_local_reserved_ports="$(seq -s, 40001 2 41999)"
	guarded 'range = 40000-40099'
}

@test "no hook takes memory or a lock for its log" {
	for log in "$PWD/log" "json:$PWD/log" stderr json:stderr syslog "$PWD/none/log"; do
		guarded 'range = 20000-20002'
		guarded 'range = 40000-40002' 'exhausted = system'
		guarded 'range = 1-0'
		chmod 777 "$PORTFENCE_STATE"
		guarded 'range = 20000-20099'
		chmod 700 "$PORTFENCE_STATE"
	done
}

@test "descriptors that a hook makes are close-on-exec from the start, and closed before it returns" {
	skip_missing strace
	for log in none "$PWD/log" syslog; do
		for range in 40000-40099 20000-20002; do
			traced "range = $range"
			python3 - trace <<-'END'
				import re, sys
				made, call, count = {}, None, 0
				for line in open(sys.argv[1]):
				    line = line.split(None, 1)[1]
				    mark = re.match(r'write\(-1, "(\w+)"', line)
				    if mark:
				        if mark[1] == "end":
				            assert not made, (call, made)
				            call = None
				        else:
				            call = mark[1]
				        continue
				    if not call:
				        continue
				    opened = re.match(r"(socket|openat|open|dup|dup3|fcntl|pidfd_open|accept4?|memfd_create)\(.* = (\d+)$", line)
				    if opened and not (opened[1] == "fcntl" and "DUPFD" not in line):
				        assert "CLOEXEC" in line, line
				        made[opened[2]] = line
				        count += 1
				    closed = re.match(r"close\((\d+)\)", line)
				    if closed:
				        assert made.pop(closed[1], None), line
				assert count > 1, count
			END
		done
	done
}

@test "descriptors that the start makes are close-on-exec from the beginning, and closed before main" {
	skip_missing strace
	traced 'range = 20000-20099' 'exclude = services' 'args = *'
	python3 - trace <<-'END'
		import re, sys
		made, count = {}, 0
		for line in open(sys.argv[1]):
		    line = line.split(None, 1)[1]
		    if 'write(-1, "main"' in line:
		        break
		    opened = re.match(r"(?:socket|openat|open)\(.* = (\d+)$", line)
		    if opened:
		        assert "CLOEXEC" in line, line
		        made[opened[1]] = line
		        count += "calls.ini" in line or "calls.0" in line or "cmdline" in line or "services" in line
		    closed = re.match(r"close\((\d+)\)", line)
		    if closed:
		        made.pop(closed[1], None)
		assert not made, made
		assert count >= 4, count
	END
}

@test "what a hook has learnt at first it need not learn again" {
	skip_missing strace
	# the kernel's ranges are read once; no memory is mapped and no file opened by later calls
	for range in 40000-40099 20000-20099; do
		traced "range = $range"
		# from the second round on, which begins with the second bindresvport
		awk '/write\(-1, "bindresvport"/ { seen++ } seen == 1 && /write\(-1, "end"/ { from = 1 }
			from && /write\(-1, "/ { inside = !/"end"/ }
			from && inside && /(openat|open|mmap|munmap|mprotect|brk|futex|read)\(/' trace >learnt
		cat learnt
		[ ! -s learnt ]
	done
}

@test "descriptors 0 to 2 are left alone where the program has closed them" {
	cat >closed.pl <<-'END'
		use Socket;
		use POSIX;
		open(OUT, ">", "said") or die;
		socket(L, AF_INET, SOCK_STREAM, 0) and bind(L, sockaddr_in(30000, INADDR_LOOPBACK)) and listen(L, 9) or die;
		socket($s[$_], AF_INET, SOCK_STREAM, 0) for 1 .. 9;
		socket(U, AF_INET, SOCK_DGRAM, 0);
		POSIX::close($_) for 0 .. 2;
		connect($s[$_], sockaddr_in(30000, INADDR_LOOPBACK)) for 1 .. 9;
		bind(U, sockaddr_in(0, INADDR_LOOPBACK)) or die;
		for (0 .. 2) { $open++ if defined POSIX::dup($_) }
		print OUT $open + 0, "\n";
	END
	skip_missing strace
	for log in none "$PWD/log" syslog; do
		ns strace -f -o trace "$PORTFENCE" run --range 20000-20002 --log "$log" -- perl closed.pl
		[ "$(cat said)" = 0 ]
		# what was given a low number is moved up before anything else is done with it
		if grep -E '(write|sendto|recvfrom|connect)\([012],' trace | grep -v 'closed.pl'; then
			return 1
		fi
	done
}

@test "a cancelled thread leaves no hook but where it would leave the call, and no descriptor open" {
	ns "$BATS_FILE_TMPDIR/cancel" >plain
	diff <(sort -u plain) - <<-'END'
		bind returned, descriptors +0
		connect cancelled, descriptors +0
		listen returned, descriptors +0
		sendto cancelled, descriptors +0
	END
	for range in 40000-40099 20000-20099 20000-20000; do
		for log in none "$PWD/log" stderr syslog; do
			for first in '' first; do
				ns "$PORTFENCE" run --range "$range" --log "$log" -- "$BATS_FILE_TMPDIR/cancel" \
					${first:+"$first"} >said 2>/dev/null
				echo "range $range, log $log $first"
				# where no port is left, the real call is not made, so that nothing ends there
				if sed -E 's/^(connect|sendto) returned/\1 cancelled/' said | grep -vxFf plain; then
					return 1
				fi
			done
		done
	done
}
