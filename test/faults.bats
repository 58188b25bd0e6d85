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
		__libc_stack_end
		__progname
		__register_atfork
		__stack_chk_fail
		asprintf
		environ
		fnmatch
		getauxval
		in6addr_loopback
		memchr
		memcmp
		memcpy
		memmem
		memmove
		mempcpy
		memrchr
		program_invocation_short_name
		secure_getenv
		sigaddset
		sigemptyset
		sigismember
		snprintf
		stpcpy
		strcasecmp
		strchr
		strchrnul
		strcmp
		strcpy
		strcspn
		strerror
		strlen
		strncasecmp
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
	# getegid, geteuid and getpid cannot fail (credentials(7)), nor can clock_gettime of these clocks, nor uname
	# where its buffer is ours; dlsym
	# looks into what is loaded
	printf '%s\n' clock_gettime dl_iterate_phdr dlsym free getegid geteuid getpid uname uselocale >>harmless
	# inih's other entry points, which nobody calls, come with it, and what the command alone calls
	# of variables; and what the gate needs, which is a supervisor's (supervise.bats)
	printf '%s\n' fclose fgets fopen fopen64 realloc setenv gnu_get_libc_version >>harmless
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

# ---- the state file

# hostile engine RANGE COMMAND...: under a rule, with a state file that is there already
hostile() {
	local engine=$1 range=$2
	shift 2
	printf '[hostile]\nengine = %s\nrange = %s\n' "$engine" "$range" >rule.ini
	export LD_PRELOAD=$LIBRARY PORTFENCE_CONFIG=$PWD/rule.ini
	ns timeout 120 "$BUILD/test/faults/hostile" talk 1 "${range%-*}" "${range#*-}"
	ns timeout 120 "$BUILD/test/faults/hostile" "$@" "${range%-*}" "${range#*-}"
}

@test "a state file that somebody writes to all the time crashes no program, stops none, and leads none out" {
	for engine in bind auto; do
		range=20000-20999
		[ "$engine" = bind ] || range=40000-40999
		run -0 hostile "$engine" "$range" write "$PORTFENCE_STATE/hostile.0" 500
		[[ "$output" = *"0 bad"* ]]
		run -0 hostile "$engine" "$range" claim "$PORTFENCE_STATE/hostile.0" 10
		[[ "$output" = *"0 bad"* ]]
	done
}

@test "whatever 1,000 state files hold, ports are in the range and no call waits" {
	for engine in bind auto; do
		range=20000-20999
		[ "$engine" = bind ] || range=40000-40999
		hostile "$engine" "$range" images 500 "$PORTFENCE_STATE/hostile.0" 2 >said
		grep '^500 images, 0 failed' said
	done
}

@test "a socket or a device in place of the state file is not used, and ports are chosen without it" {
	# shellcheck disable=SC2016 # the inner shell expands it
	for make in 'mknod $1 c 1 5' 'python3 -c "import socket,sys; socket.socket(socket.AF_UNIX).bind(sys.argv[1])" $1'; do
		rm -f "$PORTFENCE_STATE/spawn.0"
		(cd "$PORTFENCE_STATE" && sh -c "$make" _ spawn.0)
		ns timeout 120 "$PORTFENCE" run --range 20000-20099 -- "$PROBES/spawn" child >said 2>errors
		sed -n 's/^port //p' said | all_within 20000 20099
		[ "$(grep -c 'warning: the state file is not used' errors)" = 1 ]
	done
}

# ---- limits

@test "a program that may open no more descriptors gets its ports, or a message says why not" {
	# ld.so needs one, and so does the configuration; the state wants a second one
	printf '[spawn]\nrange = 20000-20099\n' >rule.ini
	chmod 755 "$PORTFENCE_STATE"
	for most in 4 5 6; do
		ns env LD_PRELOAD="$LIBRARY" PORTFENCE_CONFIG="$PWD/rule.ini" prlimit --nofile="$most" \
			"$PROBES/spawn" child >said 2>errors 3>&-
		sed -n 's/^port //p' said | all_within 20000 20099
		[ "$(grep -c . errors)" = "$(grep -c 'warning: the state file is not used' errors)" ]
	done
	# none at all by the time of the call
	cat >none.py <<-'END2'
		import errno, resource, socket
		sockets = [socket.socket(family, kind) for family in (socket.AF_INET, socket.AF_INET6)
		           for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM)]
		resource.setrlimit(resource.RLIMIT_NOFILE, (3, 3))
		for s in sockets:
		    s.bind(("", 0))
		    print(s.getsockname()[1])
	END2
	ns "$PORTFENCE" run --range 20000-20099 --log "$PWD/log" -- python3 none.py | all_within 20000 20099
}

@test "with any limit on memory, a program gets its ports, or fails and says why" {
	printf '[spawn]\nrange = 20000-20099\n' >rule.ini
	seen=''
	for ((size = 2400; size <= 6400; size += 40)); do
		ns env PORTFENCE_CONFIG="$PWD/rule.ini" prlimit --as="$((size * 1024))" \
			env LD_PRELOAD="$LIBRARY" "$PROBES/spawn" child >said 2>errors 3>&- && status=0 || status=$?
		# ld.so finds no room for the program, or says that it goes on without the library
		if grep -qE 'error while loading shared libraries|cannot be preloaded|ld.so' errors; then
			seen+=l
			continue
		fi
		# killed by the kernel at its start, or libc gave up
		[ "$status" != 139 ] && [ "$status" != 134 ]
		if grep -q '^port ' said; then
			sed -n 's/^port //p' said | all_within 20000 20099
			seen+=p
		else
			[ -s errors ]
			seen+=e
		fi
	done
	echo "$seen"
	[[ "$seen" = *p ]]
}
