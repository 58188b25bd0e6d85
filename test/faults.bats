#!/usr/bin/env bats
#
# What a program meets when a system call of the library's own fails, and when what it reads, writes
# or maps is not what it should be: as libportfence(8) says, and never a crash, a hang, a leaked
# descriptor or mapping, another option, or a port outside the range.
#
# FAULTS=all tries every occurrence of every call; FAULTS_RESULTS names a file for the cases.

bats_require_minimum_version 1.5.0
load lib/helpers

FAULTS=${FAULTS:-some}

injector=$BUILD/test/faults/injector.so

defined_in() {
	nm -D --defined-only "$1" | awk '{ print $NF }' | sed 's/@.*//' | sort
}

@test "each function that the library takes from elsewhere can be made to fail, or makes no system call" {
	# of a libc without symbol versions and of this one's headers
	cat >harmless <<-'END'
		_ITM_deregisterTMCloneTable
		_ITM_registerTMCloneTable
		__ctype_b_loc
		__cxa_finalize
		__environ
		__errno_location
		__gmon_start__
		__progname
		__stack_chk_fail
		asprintf
		environ
		fnmatch
		getauxval
		in6addr_loopback
		memchr
		memcmp
		memcpy
		memmove
		mempcpy
		program_invocation_short_name
		secure_getenv
		sigaddset
		sigemptyset
		sigismember
		snprintf
		stpcpy
		strchr
		strchrnul
		strcmp
		strcpy
		strcspn
		strerror
		strlen
		strncmp
		strnlen
		strpbrk
		strrchr
		strspn
		strtol
		strtoul
		strtoull
		vsnprintf
	END
	# geteuid and getpid cannot fail (credentials(7)), nor can clock_gettime of these clocks; dlsym
	# looks into what is loaded
	printf '%s\n' clock_gettime dlsym free geteuid getpid >>harmless
	# inih's other entry points, which nobody calls, come with it
	printf '%s\n' fclose fgets fopen fopen64 realloc >>harmless
	sort -u harmless <(defined_in "$injector") >known
	diff /dev/null <(nm -D --undefined-only "$LIBRARY" | awk '{ print $NF }' | sed 's/@.*//' |
		sort | comm -23 - known)
}

@test "whatever call fails, and however, the program's calls end as the manual says" {
	mkdir place
	timeout 280 "$BUILD/test/faults/faults" run "$LIBRARY" "$injector" "$PORTFENCE" \
		"$PWD/place" "$FAULTS" >cases
	[ -z "${FAULTS_RESULTS:-}" ] || cp cases "$FAULTS_RESULTS"
	"$ROOT/test/faults/table" cases
	grep ' bad$' cases | head -n 20
	[ "$(wc -l <cases)" -ge 5000 ]
	[ "$(grep -c ' bad$' cases)" = 0 ]
}
