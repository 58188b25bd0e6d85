#!/usr/bin/env bats
#
# The library for other machines and another C library: 32-bit x86, musl, and arm64 under qemu-user.
# They are built by the same Makefile, and judged as in matrix.bats.
#
# shellcheck disable=SC2030,SC2031,SC2153 # each test is a shell of its own

bats_require_minimum_version 1.5.0
load lib/helpers
load lib/calls

VARIANTS=$BATS_FILE_TMPDIR
multiarch=$(gcc -print-multiarch)

setup_file() {
	mkdir "$VARIANTS/inih" "$VARIANTS/headers"
	cp /usr/include/ini.h "$VARIANTS/inih"
	# kept: it takes a while
	[ -d "$BUILD/inih/arm64" ] || "$ROOT/test/lib/inih" "$BUILD/inih" i386 arm64 >"$VARIANTS/inih.log" 2>&1 || {
		cat "$VARIANTS/inih.log"
		why narrow "Debian's libinih-dev:i386 cannot be had"
		why arm64 "Debian's libinih-dev:arm64 cannot be had"
	}
	build_narrow
	build_musl
	build_arm64
}

# why VARIANT WORD...: it cannot be built
why() {
	echo "${@:2}" >"$VARIANTS/$1.why"
}

# do_make VARIANT VARIABLE=VALUE... PROGRAM...: the library, and some programs of test
do_make() {
	local folder=$VARIANTS/$1
	make --no-print-directory -j "$(nproc)" -C "$ROOT" BUILD="$folder" WERROR=1 "${@:2}" \
		"$folder/libportfence.so" >"$folder.log" 2>&1 || {
		cat "$folder.log" >&2
		return 1
	}
}

# The folder that the dynamic linker of $1 puts for $LIB
lib_of() {
	local linker
	linker=$(readelf -lW "$1" | sed -nE 's/.*interpreter: (.*)\]/\1/p')
	dirname "$(realpath "$linker")" | sed -E 's|^/(usr/)?||'
}

# A tree with both word sizes as they are installed: the command, its own library beside it
build_narrow() {
	local folder=$VARIANTS/narrow probe wide
	[ ! -e "$folder.why" ] || return 0
	# gcc-multilib, which has the kernel's headers for it, keeps cross compilers away
	local compiler="gcc -m32 -idirafter /usr/include/$multiarch"
	printf 'int main(void) { return 0; }' >"$VARIANTS/one.c"
	# shellcheck disable=SC2086 # a list of words
	if ! $compiler -o "$VARIANTS/one" "$VARIANTS/one.c" 2>/dev/null; then
		why narrow 'gcc -m32 builds nothing here (Debian: gcc-12-multilib)'
		return 0
	fi
	local platform=()
	for probe in "$ROOT"/test/platform/*.c; do
		probe=$(basename "$probe" .c)
		case $probe in
		# they know but one machine's instructions and system calls
		seccomp-* | supervisor-*) ;;
		*) platform+=("$folder/test/platform/$probe") ;;
		esac
	done
	do_make narrow CC="$compiler" INIH="$BUILD/inih/i386/usr/lib/i386-linux-gnu/libinih.a" \
		"$folder"/test/probes/{mapped,matrix,settled} "${platform[@]}"
	mkdir "$folder/time64"
	for probe in mapped matrix settled; do
		# shellcheck disable=SC2086
		$compiler -D_GNU_SOURCE -D_TIME_BITS=64 -D_FILE_OFFSET_BITS=64 -pthread \
			-o "$folder/time64/$probe" "$ROOT/test/probes/$probe.c"
	done
	wide=$VARIANTS/tree/$(lib_of "$PORTFENCE")
	mkdir -p "$wide" "$VARIANTS/tree/$(lib_of "$VARIANTS/one")"
	cp "$PORTFENCE" "$LIBRARY" "$wide"
	cp "$folder/libportfence.so" "$VARIANTS/tree/$(lib_of "$VARIANTS/one")"
	for size in 32 64; do
		# shellcheck disable=SC2086
		${compiler/-m32/-m$size} -w -o "$VARIANTS/chain$size" -x c - <<-'END'
			#include <arpa/inet.h>
			#include <netinet/in.h>
			#include <stdio.h>
			#include <sys/socket.h>
			#include <unistd.h>

			/* says its word size and the port of a UDP socket, and goes on with an empty environment */
			int main(int argc, char *argv[])
			{
				struct sockaddr_in addr = { AF_INET };
				socklen_t len = sizeof(addr);
				int fd = socket(AF_INET, SOCK_DGRAM, 0);
				char *none[] = { NULL };

				if (bind(fd, (struct sockaddr *)&addr, len))
					perror("bind");
				getsockname(fd, (struct sockaddr *)&addr, &len);
				printf("%d %d\n", (int)sizeof(long) * 8, ntohs(addr.sin_port));
				fflush(stdout);
				if (argc > 1)
					execve(argv[1], argv + 1, none);
				return argc > 1;
			}
		END
	done
}

# The command, too. jansson for musl is not in Debian, so its own one for glibc stands in,
# with what glibc has for hardened builds. Kernel headers musl-gcc has none of.
build_musl() {
	local folder=$VARIANTS/musl headers=$VARIANTS/headers
	if ! command -v musl-gcc >/dev/null; then
		why musl 'musl-gcc is not installed (Debian: musl-tools)'
		return 0
	fi
	ln -s /usr/include/{linux,asm-generic} "$headers"
	ln -s "/usr/include/$multiarch/asm" "$headers"
	find /usr/include -name 'jansson*.h' -exec cp -t "$headers" {} +
	# what of glibc the probes call
	cat >"$headers/probes.h" <<-'END'
		#define __dup2 dup2
		#define __fcntl fcntl
		#define close_range(first, last, flags) syscall(SYS_close_range, first, last, flags)
		#define fcntl64 fcntl
		#define pidfd_getfd own_pidfd_getfd
		#define strerrorname_np strerror
		#include <sys/syscall.h>
		#include <unistd.h>

		__attribute__((unused)) static int pidfd_getfd(int pidfd, int fd, unsigned flags)
		{
			return (int)syscall(SYS_pidfd_getfd, pidfd, fd, flags);
		}
	END
	mkdir -p "$folder"
	musl-gcc -w -c -o "$folder/hardened.o" -x c - <<-'END'
		#include <stdarg.h>
		#include <stdio.h>
		#include <string.h>

		#define PRINT(call) ({ va_list list; int n; va_start(list, format); n = call; va_end(list); n; })
		char *__strncpy_chk(char *to, const char *from, size_t n, size_t size) { return strncpy(to, from, n); }
		int __vsnprintf_chk(char *to, size_t n, int flag, size_t size, const char *format, va_list list)
		{ return vsnprintf(to, n, format, list); }
		int __snprintf_chk(char *to, size_t n, int flag, size_t size, const char *format, ...)
		{ return PRINT(vsnprintf(to, n, format, list)); }
		int __fprintf_chk(FILE *to, int flag, const char *format, ...) { return PRINT(vfprintf(to, format, list)); }
	END
	do_make musl CC=musl-gcc CPPFLAGS="-isystem $headers -isystem $VARIANTS/inih" \
		INIH="$(gcc -print-file-name=libinih.a)" CLI_LIBS="$(gcc -print-file-name=libjansson.a) \
		$folder/hardened.o" \
		"$folder/portfence"
	do_make musl CC=musl-gcc CFLAGS="-O2 -include $headers/probes.h" "$folder"/test/probes/{mapped,matrix,settled}
}

build_arm64() {
	local folder=$VARIANTS/arm64
	[ ! -e "$folder.why" ] || return 0
	if ! command -v aarch64-linux-gnu-gcc >/dev/null || ! command -v qemu-aarch64 >/dev/null; then
		why arm64 'a compiler for arm64 or qemu-user is not installed (Debian: gcc-aarch64-linux-gnu, qemu-user)'
		return 0
	fi
	do_make arm64 CC=aarch64-linux-gnu-gcc CPPFLAGS="-isystem $VARIANTS/inih" \
		INIH="$BUILD/inih/arm64/usr/lib/aarch64-linux-gnu/libinih.a" \
		"$folder"/test/probes/{matrix,settled} "$folder/test/platform/sigprocmask-probes-memory"
}

# needs VARIANT
needs() {
	[ ! -e "$VARIANTS/$1.why" ] || not_installed "$(cat "$VARIANTS/$1.why")"
}

# Programs of 32 and of 64 bits under one command
mixed() {
	needs narrow
	needs_32bit
	tree=$VARIANTS/tree
	PORTFENCE=$tree/$(lib_of "$PORTFENCE")/portfence
	fence=("$PORTFENCE" run --config matrix.ini --)
	matrix=$VARIANTS/narrow/test/probes/matrix
}

musl() {
	needs musl
	fence=("$VARIANTS/musl/portfence" run --config matrix.ini --)
	matrix=$VARIANTS/musl/test/probes/matrix
}

# $emulated runs a program of arm64 without the fence, $fence with it
arm64() {
	needs arm64
	emulated=(qemu-aarch64 -L /usr/aarch64-linux-gnu)
	fence=("${emulated[@]}" -E LD_PRELOAD="$VARIANTS/arm64/libportfence.so" -E "PORTFENCE_CONFIG=matrix.ini")
	matrix=$VARIANTS/arm64/test/probes/matrix
}

# all_calls RANGE [KEY=VALUE...]: every protocol and every family
all_calls() {
	local case
	for case in tcp:4 tcp:6 tcp:mapped mptcp:4 mptcp:6 udp:4 udp:6 udp:mapped udplite:4 udplite:6; do
		fresh_calls "$1" "${case%:*}" "${case#*:}" "${@:2}" || return 1
	done
}

fresh_calls() {
	ns_close
	ns_open
	rm -f hold
	fenced_calls "$@"
}

# settled_ways FAMILY PROGRAM [BUT]: where a number comes to mean another socket or a socket loses its
# port (probes/settled), in matrix.ini's range for UDP; ways that fit the pattern BUT are left out
settled_ways() {
	local family=$1 program=$2 but=${3:-^$} way
	printf '[settled]\nrange = 20000-20099\ntcp.range = 45000\n' >matrix.ini
	capture_start 'udp dst port 7777'
	for way in $("$PROBES/settled" list | grep -vE "^unspec-loop$|^outside-|$but"); do
		ns timeout 120 "${fence[@]}" "$program" "$way" "$family" 7777 || echo "$way status $?"
	done >said
	capture_stop
	cat said
	# "WAY FAMILY PORT...", and nothing of a failure
	awk -v family="$family" '
		{ for (i = 3; i <= NF; i++) if ($i < 20000 || $i > 20099) bad = 1 }
		bad || NF < 3 || $2 != family { print "bad: " $0; exit failed = 1 }
		END { exit failed || NR < 30 }' said
	ports_to 7777 | all_within 20000 20099
}

# ---- 32-bit x86

@test "32-bit x86: every call gets a port of a range outside the ephemeral range" {
	mixed
	all_calls "$OUTSIDE"
}

@test "32-bit x86: every call gets its port from the kernel engine when it is asked for" {
	mixed
	each_family "$INSIDE" tcp 'engine = kernel'
	each_family "$INSIDE" udp 'engine = kernel'
}

@test "32-bit x86: what is remembered of a descriptor is never believed of another socket" {
	mixed
	settled_ways 4 "$VARIANTS/narrow/test/probes/settled"
	settled_ways 6 "$VARIANTS/narrow/test/probes/settled"
}

@test "32-bit x86: programs with 64-bit times get their ports, too, by names of their own" {
	mixed
	matrix=$VARIANTS/narrow/time64/matrix
	nm -D "$matrix" | grep -q ' U __sendmsg64@'
	nm -D "$matrix" | grep -q ' U __sendmmsg64@'
	for family in 4 6 mapped; do
		fresh_calls "$OUTSIDE" udp $family
		fresh_calls "$OUTSIDE" tcp $family
	done
	nm -D "$VARIANTS/narrow/time64/settled" | grep -q ' U __recvmsg64@'
	nm -D "$VARIANTS/narrow/time64/settled" | grep -q ' U __fcntl_time64@'
	settled_ways 4 "$VARIANTS/narrow/time64/settled"
}

# maps FENCE... MAPPED: says what it says without a map
maps() {
	local proto way
	for proto in tcp udp; do
		for way in 127.0.0.1 ::1 ::ffff:127.0.0.1 '0.0.0.0 127.0.0.1'; do
			# shellcheck disable=SC2086 # two words
			ns "${@: -1}" "$proto" 8080 $way >plain
			# shellcheck disable=SC2086
			ns "$@" "$proto" 8080 $way >translated
			diff plain translated
			grep -q 8080 translated
		done
	done
}

@test "32-bit x86: maps, with 64-bit times, too" {
	mixed
	nm -D "$VARIANTS/narrow/time64/mapped" | grep -q ' U __recvmmsg64@'
	for probe in test/probes/mapped time64/mapped; do
		for via in preload both; do
			maps "$PORTFENCE" run --via $via --range 20000-20099 --map 8080,8081 -- "$VARIANTS/narrow/$probe"
		done
	done
}

@test "32-bit x86: the library exports the names of its map, and asks for no other library" {
	needs narrow
	diff <(sed -nE 's/^\t([a-z0-9_]+);$/\1/p' "$ROOT/src/shim/libportfence.map" | sort) \
		<(nm -D --defined-only "$VARIANTS/narrow/libportfence.so" | awk '{ print $NF }' | sort)
	if readelf -d "$VARIANTS/narrow/libportfence.so" | grep NEEDED | grep -vE 'libc\.so'; then
		return 1
	fi
	# large files, and inodes with large numbers
	run -1 grep -wE 'fstat|open|openat|mmap|stat' <(nm -D -u "$VARIANTS/narrow/libportfence.so" |
		sed 's/@.*//')
}

@test "32-bit x86: the kernel behaves towards such programs as is relied on" {
	needs narrow
	needs_32bit
	for program in "$VARIANTS"/narrow/test/platform/*; do
		# shellcheck disable=SC2016 # the inner shell expands it
		run unshare -n sh -c 'ip link set lo up && exec "$1"' _ "$program"
		echo "${program##*/} $status $output"
		# SCTP may be missing
		[ "$status" = 0 ] || [[ "$status" = 77 && "$output" = *"protocol 132"* ]]
	done
}

# ---- both word sizes in one tree

@test "programs of both word sizes start each other, and all get ports of one range" {
	mixed
	chain=("$VARIANTS"/chain{64,32,64,32})
	"$PORTFENCE" run --range 20000-20099 --order sequential -- "${chain[@]}" >said 2>errors
	cat said errors
	[ ! -s errors ]
	# one state file: they go on from one another
	first=$(awk 'NR == 1 { print $2 }' said)
	diff said - <<-END
		64 $first
		32 $((first + 1))
		64 $((first + 2))
		32 $((first + 3))
	END
	all_within 20000 20099 < <(awk '{ print $2 }' said)
	# from a 32-bit one, likewise
	"$PORTFENCE" run --range 20000-20099 -- "${chain[@]:1}" >said 2>errors
	[ ! -s errors ]
	[ "$(awk '{ print $1 }' said | paste -sd ' ')" = '32 64 32' ]
	all_within 20000 20099 < <(awk '{ print $2 }' said)
}

@test "the rule is handed over from one word size to the other" {
	mixed
	printf '[chain64]\nrange = 20000-20099\nexclude = 20000-20096\norder = sequential\n' >own.ini
	# who has to read the file now finds none, and is closed
	# shellcheck disable=SC2016 # the inner shell expands it
	"$PORTFENCE" run --config own.ini --app chain64 -- sh -c 'rm own.ini; exec "$@"' - \
		"$VARIANTS"/chain{32,64,32} >said
	cat said
	[ "$(awk '{ print $1 }' said | paste -sd ' ')" = '32 64 32' ]
	all_within 20097 20099 < <(awk '{ print $2 }' said)
}

@test "which and run judge a program of another word size by the library that is installed for it" {
	mixed
	run -0 "$PORTFENCE" which --range 20000-20099 "$VARIANTS/chain32"
	[[ "$output" = *"preload  reaches it: 32-bit, dynamically linked with glibc"* ]]
	beside=$tree/$(lib_of "$VARIANTS/chain32")/libportfence.so
	mv "$beside" away.so
	run -1 "$PORTFENCE" which --via preload --range 20000-20099 "$VARIANTS/chain32"
	mv away.so "$beside"
	[[ "$output" = *"is a 32-bit program and this is the 64-bit portfence; use '--via supervise', or install \
portfence for its word size as '$beside'" ]]
	# what is there has to be of that word size
	mv "$beside" away.so
	cp "$LIBRARY" "$beside"
	run -125 "$PORTFENCE" run --via preload --range 20000-20099 -- "$VARIANTS/chain32"
	mv away.so "$beside"
	[[ "$output" = *"install portfence for its word size as '$beside'" ]]
}

@test "LD_PRELOAD has \$LIB only where there is a library for another word size" {
	mixed
	plain=$tree/$(lib_of "$PORTFENCE")/libportfence.so beside=$tree/$(lib_of "$VARIANTS/chain32")/libportfence.so
	run -0 "$PORTFENCE" run --range 20000-20099 -- printenv LD_PRELOAD
	[ "$output" = "$tree/\$LIB/libportfence.so" ]
	# one run inside another, and a shell's lines and what undoes them
	run -0 "$PORTFENCE" run --range 20000-20099 -- "$PORTFENCE" run --quiet --range 20000-20099 -- \
		printenv LD_PRELOAD
	[ "$output" = "$tree/\$LIB/libportfence.so" ]
	eval "$("$PORTFENCE" env --range 20000-20099)"
	run -0 "$VARIANTS/chain32"
	all_within 20000 20099 <<<"${output#32 }"
	eval "$("$PORTFENCE" env --unset)"
	[ "${LD_PRELOAD-}" = "" ]
	mv "$beside" away.so
	run -0 "$PORTFENCE" run --range 20000-20099 -- printenv LD_PRELOAD
	mv away.so "$beside"
	[ "$output" = "$plain" ]
}

@test "where \$LIB is used, no preload reaches a program with a dynamic linker elsewhere" {
	mixed
	mkdir own
	cp "$(readelf -lW "$VARIANTS/chain64" | sed -nE 's/.*interpreter: (.*)\]/\1/p')" own/ld-linux.so
	gcc -o chain -Wl,--dynamic-linker="$PWD/own/ld-linux.so" "$VARIANTS/one.c"
	./chain
	run -125 "$PORTFENCE" run --via preload --range 20000-20099 -- ./chain
	[[ "$output" = *"'./chain' has a dynamic linker of its own, '$PWD/own/ld-linux.so'; use '--via supervise', or \
install portfence for it" ]]
}

@test "audit finds a fenced 32-bit program and its section" {
	mixed
	printf '[alias]\nmatch = %s\nrange = 20000-20099\n[*]\nrange = 30000-30009\n' "$PWD/alias" >alias.ini
	ln -s "$matrix" alias
	mkfifo hold
	# shellcheck disable=SC2016 # the inner shell expands it
	ns_background env LD_PRELOAD="$tree/\$LIB/libportfence.so" PORTFENCE_CONFIG="$PWD/alias.ini" \
		bash -c 'exec -a other "$PWD/alias" udp 4 7777 <hold >calls'
	exec 4>hold
	wait_until grep -q '^end$' calls
	run -0 ns env PORTFENCE_CONFIG="$PWD/alias.ini" "$PORTFENCE" audit alias
	exec 4>&-
	wait "$pid"
	[[ "$output" = "no escape among "*" sockets of 1 fenced process"* ]]
	run -1 grep -q ' among 0 ' <<<"$output"
}

# ---- musl

@test "musl: every call gets a port of a range outside the ephemeral range" {
	musl
	all_calls "$OUTSIDE"
}

@test "musl: every call gets its port from the kernel engine when it is asked for" {
	musl
	each_family "$INSIDE" tcp 'engine = kernel'
	each_family "$INSIDE" udp 'engine = kernel'
}

@test "musl: what is remembered of a descriptor is never believed of another socket" {
	musl
	# what musl has no function for, the probe does by a system call of its own
	settled_ways 4 "$VARIANTS/musl/test/probes/settled" '^close-range|^pidfd$'
}

@test "musl: maps" {
	musl
	maps "${fence[0]}" run --via preload --range 20000-20099 --map 8080,8081 -- \
		"$VARIANTS/musl/test/probes/mapped"
}

@test "musl: a command that is built with it fences its programs, and preloads nothing into glibc's" {
	musl
	run -0 "${fence[0]}" which --range 20000-20099 "$matrix"
	[[ "$output" = *"preload  reaches it: "*"dynamically linked with musl"* ]]
	run -125 "${fence[0]}" run --via preload --range 20000-20099 -- "$PROBES/matrix"
	[[ "$output" = *"is linked with glibc and this portfence with musl; use '--via supervise', or build \
portfence with glibc" ]]
}

@test "musl: what it has no function for fails with ENOSYS, and crashes nothing" {
	musl
	musl-gcc -w -o absent -x c - <<-'END'
		#include <dlfcn.h>
		#include <errno.h>
		#include <stdio.h>

		int main(void)
		{
			static const char *const name[] = { "bindresvport", "close_range", "execveat", "pidfd_getfd" };
			int i, result;

			for (i = 0; i < 4; i++) {
				int (*function)() = dlsym(RTLD_DEFAULT, name[i]);

				errno = 0;
				result = function ? function(-1, 0, 0, 0, 0) : -2;
				printf("%s %d %d\n", name[i], result, errno == ENOSYS);
			}
			return 0;
		}
	END
	run -0 "${fence[0]}" run --range 20000-20099 -- ./absent
	[ "$output" = "bindresvport -1 1
close_range -1 1
execveat -1 1
pidfd_getfd -1 1" ]
}

@test "musl: with a library that is built for glibc, a program is fenced or does not start" {
	musl
	printf '[matrix]\nrange = 20000-20099\n' >matrix.ini
	for way in plain fortified; do
		library=$VARIANTS/$way/libportfence.so flags='-U_FORTIFY_SOURCE'
		[ "$way" = plain ] || flags='-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2'
		[ -e "$library" ] ||
			do_make "$way" CFLAGS="-O2 $flags" INIH="$(gcc -print-file-name=libinih.a)"
		run ns env LD_PRELOAD="$library" PORTFENCE_CONFIG="$PWD/matrix.ini" "$matrix" udp 4 7777 </dev/null
		echo "$way $status $output"
		if [ "$way" = plain ] || [ "$status" = 0 ]; then
			[ "$status" = 0 ]
			awk '$3 == 4 { print $4 }' <<<"$output" | all_within 20000 20099
		else
			[[ "$status" = 127 && "$output" = *'Error relocating '*libportfence.so* ]]
		fi
	done
}

# ---- arm64

@test "arm64: every call gets a port of a range outside the ephemeral range" {
	arm64
	all_calls "$OUTSIDE"
}

@test "arm64: without IP_LOCAL_PORT_RANGE, which qemu-user does not know, the bind engine serves" {
	arm64
	all_calls "$INSIDE"
	ns "${fence[@]}" -E PORTFENCE_LOG="$PWD/log" "$matrix" tcp 4 7777 </dev/null
	grep -q 'connect tcp4 .* engine=bind' log
	run -1 grep 'engine=kernel' log
}

@test "arm64: with 'engine = kernel', calls fail where the option is not known" {
	arm64
	printf '[matrix]\nrange = 40000-40099\nengine = kernel\n' >matrix.ini
	run -0 ns "${fence[@]}" "$matrix" udp 4 7777 </dev/null
	echo "$output"
	# no port, and no success
	run -1 grep -E '^[a-z-]+ udp 4 ([1-9][0-9]* | 0 0$)' <<<"$output"
}

@test "arm64: what is remembered of a descriptor is never believed of another socket" {
	arm64
	# what qemu-user cannot do, with or without a fence, and what is out of reach without `portfence run`
	settled_ways 4 "$VARIANTS/arm64/test/probes/settled" '^clone|^recvmsg-truncated$|^write-(raw|reuse|twin)$'
}

@test "arm64: a port that is held is not shared, as qemu-user passes no question to sock_diag" {
	arm64
	printf '[matrix]\nrange = 20000-20002\norder = sequential\n' >matrix.ini
	ns_background "$PROBES/matrix" serve 7777
	wait_tcp 7777
	run -0 ns "${fence[@]}" "$matrix" tcp 4 7777 </dev/null
	echo "$output"
	# all that have a port have one of the range, and who has none has failed, and is told why
	grep -q ': error: the kernel could not be asked whether a port can be shared' <<<"$output"
	[ "$(grep -cE ' 2000[0-2] ' <<<"$output")" -ge 3 ]
	run -1 grep -vE '^end$|could not be asked whether|^connect to a closed port|^connect-(refused|nonblock) tcp 4 0 0$| 2000[0-2] | 0 E[A-Z]+$' <<<"$output"
}

@test "arm64: an address that cannot be read is EFAULT and no crash" {
	arm64
	run -0 ns "${emulated[@]}" "$VARIANTS/arm64/test/platform/sigprocmask-probes-memory"
}
