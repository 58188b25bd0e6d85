#!/usr/bin/env bats
#
# Files in folders that other users can change: root writes to nothing that they could have led it to.

# shellcheck disable=SC2016,SC2030,SC2031 # inner shells expand their own words; each test is a process
bats_require_minimum_version 1.5.0
load lib/helpers

# A folder of nobody's, as a service's own below /var/log, with links to what is root's
setup() {
	common_setup
	precious=$BATS_TEST_TMPDIR/precious
	theirs=$BATS_TEST_TMPDIR/theirs
	sticky=$BATS_TEST_TMPDIR/sticky
	mkdir "$precious" "$theirs"
	mkdir -m 1777 "$sticky"
	echo precious >"$precious/file"
	chmod 600 "$precious/file"
	ln -s "$precious/file" "$theirs/link"
	ln "$precious/file" "$theirs/second"
	ln -s "$precious/new" "$theirs/dangling"
	ln -s "$precious" "$theirs/sub"
	chown -hR 65534:65534 "$theirs"
	chown root "$precious/file"
}

# Nothing of root's was written to, made or removed.
is_untouched() {
	[ "$(ls "$precious")" = file ]
	[ "$(cat "$precious/file")" = precious ]
	[ "$(stat -c %a "$precious/file")" = 600 ]
}

# warns_of PATH TEXT COMMAND...: the command has a port of its range, and one warning names the path
warns_of() {
	run --separate-stderr "${@:3}"
	[ "$status" = 0 ]
	sed -n 's/^port //p' <<<"$output" | all_within 20000 20099
	[[ $stderr == *"$1"*"$2"* ]] || { echo "$stderr"; return 1; }
}

# --- log

@test "in a folder of another user, root's log follows no link, neither the library's nor the supervisor's" {
	for name in link second dangling sub/file sub/new; do
		for via in preload supervise both; do
			warns_of "$theirs/$name" 'cannot be' ns "$PORTFENCE" run --via "$via" --range 20000-20099 \
				--order random --log "$theirs/$name" -- "$PROBES/spawn" child
			is_untouched
		done
	done
}

@test "in a folder of another user, a log is written to where it is a plain file of root's or theirs" {
	touch "$theirs/old"
	chown 65534 "$theirs/old"
	for name in old new; do
		run -0 ns "$PORTFENCE" run --via supervise --range 20000-20099 --log "$theirs/$name" -- \
			"$PROBES/spawn" child
		grep -q 'bind' "$theirs/$name"
	done
}

@test "in folders of root's alone, links to the log are followed, and judged where they lead" {
	ln -s real "$precious/log"
	ln -s "$theirs/link" "$precious/astray"
	run -0 --separate-stderr ns "$PORTFENCE" run --range 20000-20099 --log "$precious/log" -- "$PROBES/spawn" child
	[ "$stderr" = "" ]
	[ -s "$precious/real" ]
	warns_of "$precious/astray" 'cannot be' ns "$PORTFENCE" run --range 20000-20099 --log "$precious/astray" -- \
		"$PROBES/spawn" child
	[ "$(cat "$precious/file")" = precious ]
}

# --- record

@test "in a folder of another user, root's record follows no link" {
	for name in link second dangling sub/file sub/new; do
		run ns "$PORTFENCE" run --range 20000-20099 --record "$theirs/$name" -- true
		[ "$status" = 125 ]
		[[ $output == *"$theirs/$name"* ]]
		is_untouched
	done
}

# --- state and --fresh

@test "a state folder of another user is not used, and --fresh makes and removes nothing there" {
	mkdir -p "$theirs/fresh-0-0"
	export PORTFENCE_STATE=$theirs
	before=$(find "$theirs" | sort)
	run -0 --separate-stderr ns "$PORTFENCE" run --via preload --range 20000-20099 --order sequential -- "$PROBES/spawn" child
	[[ $stderr == *'the state file is not used, its folder cannot be used'* ]]
	run -125 ns "$PORTFENCE" run --via preload --range 20000-20099 --fresh -- true
	[[ $output == "portfence: '--fresh' needs a state of its own, and no folder can be had in '$theirs': Operation not permitted"* ]]
	# nor by a link of theirs to a folder of root's
	PORTFENCE_STATE=$theirs/sub run -125 ns "$PORTFENCE" run --via preload --range 20000-20099 --fresh -- true
	[ "$(find "$theirs" | sort)" = "$before" ]
	is_untouched
}

@test "--fresh empties its folder without following a link out of it" {
	run -0 ns "$PORTFENCE" run --range 20000-20099 --fresh -- printenv PORTFENCE_STATE
	slot=$output
	mkdir -p "$slot/a/b"
	ln -s "$precious" "$slot/a/b/link"
	ln -s "$precious" "$slot/link"
	touch "$slot/a/lock"
	run -0 ns "$PORTFENCE" run --range 20000-20099 --fresh -- ls -A "$slot"
	[[ $output != *a* && $output != *link* ]]
	is_untouched
}

# --- leases

# lease PATH: takes one, in the file that all users share
lease() {
	printf '[portfence]\nlease-file = %s\npool = 20000-20029\n' "$1" >shared.ini
	ns "$PORTFENCE" run --config shared.ini --lease 10 --via preload -- printenv PORTFENCE_RANGE
}

@test "a lease file that is a link, or another user's, is refused where others can change the folder" {
	ln -s "$precious/file" "$sticky/link"
	ln "$precious/file" "$sticky/second"
	install -m 666 -o 65534 /dev/null "$sticky/planted"
	chown -h 65534 "$sticky/link"
	for file in "$sticky"/{link,second,planted} "$theirs"/{link,second,dangling,sub/file}; do
		run -125 lease "$file"
		[ "$output" = "portfence: the lease file '$file' is a link or another user's file, in a folder that others can change; name one in a folder that is root's alone" ]
		is_untouched
	done
	[ ! -s "$sticky/planted" ]
	# root's own is taken
	install -m 666 /dev/null "$sticky/own"
	run -0 lease "$sticky/own"
	[ "$output" = 20000-20009 ]
	ln -s ../sticky/own "$precious/link"
	run -0 lease "$precious/link"
}

@test "while another user has taken the name of the folder for leases, no lease is given, rather than in two places" {
	mkdir -m 700 runtime
	chown 65534 runtime
	# shellcheck disable=SC2016 # the inner shell expands it
	XDG_RUNTIME_DIR=$PWD/runtime run ns unshare -m env -u PORTFENCE_STATE sh -c '
		mount -t tmpfs -o mode=1777 none /dev/shm
		mkdir /dev/shm/portfence-0
		chown 65534 /dev/shm/portfence-0
		"$0" run --lease 10 --pool 20000-20029 -- true
		echo "ended with $?"
		rmdir /dev/shm/portfence-0
		"$0" run --lease 10 --pool 20000-20029 -- printenv PORTFENCE_RANGE' "$PORTFENCE"
	[ "${lines[0]}" = "portfence: the folder for leases, /dev/shm/portfence-0, cannot be used: Operation not permitted; set 'state' or 'lease-file'" ]
	[ "${lines[1]}" = 'ended with 125' ]
	[ "${lines[2]}" = 20000-20009 ]
	[ ! -e runtime/portfence ]
}

# In a library that is preloaded to the command: as soon as it locks a block, somebody has a socket there,
# and none any more once the block is given back.
build_flipper() {
	gcc -shared -fPIC -o flipper.so -x c - -ldl <<-'END'
		#define _GNU_SOURCE
		#include <arpa/inet.h>
		#include <dlfcn.h>
		#include <fcntl.h>
		#include <stdarg.h>
		#include <sys/socket.h>
		#include <unistd.h>

		int fcntl64(int fd, int command, ...)
		{
			static int (*real)(int, int, ...), there = -1;
			struct sockaddr_in address = { .sin_family = AF_INET };
			struct flock *lock;
			va_list list;

			va_start(list, command);
			lock = va_arg(list, struct flock *);
			va_end(list);
			if (!real)
				real = (int (*)(int, int, ...))dlsym(RTLD_NEXT, "fcntl64");
			if (command == F_OFD_SETLK && lock->l_type == F_WRLCK) {
				there = socket(AF_INET, SOCK_DGRAM, 0);
				address.sin_port = htons(lock->l_start);
				bind(there, (void *)&address, sizeof(address));
			} else if (command == F_OFD_SETLK) {
				close(there);
			}
			return real(fd, command, lock);
		}
	END
}

@test "a process that takes each block as soon as it is locked keeps no other in a loop" {
	build_flipper
	run -125 timeout 60 nsenter -n -t "$NS_PID" env LD_PRELOAD="$PWD/flipper.so" "$PORTFENCE" run --lease 10 \
		--pool 20000-20029 --via preload -- true
	[[ $output == *'no 10 ports in a row are free of leases and sockets in the pool 20000-20029'* ]]
}

@test "thousands of locks of another process keep neither leases nor run --lease from ending" {
	ns_background python3 -c '
import fcntl, struct, sys, time
file = open(sys.argv[1], "w+b", 0)
import os
os.fchmod(file.fileno(), 0o600)
for port in range(20000, 60000, 2):
    fcntl.fcntl(file, fcntl.F_OFD_SETLK, struct.pack("hhqqi4x", fcntl.F_WRLCK, 0, port, 1, 0))
print("ready", flush=True)
time.sleep(1000)' "$PORTFENCE_STATE/.leases.0" >ready
	wait_until grep -q ready ready
	run -0 timeout 300 nsenter -n -t "$NS_PID" "$PORTFENCE" leases
	[[ $output == *'20000-20000'*' leases; of the '* ]]
	run -125 timeout 300 nsenter -n -t "$NS_PID" "$PORTFENCE" run --lease 10 --pool 20000-60000 --via preload -- true
	[[ $output == *'no 10 ports in a row are free'* ]]
}
