#!/usr/bin/env bats
#
# The state that an application's processes share: what goes on across them, and that nothing which
# stands in its place ever costs more than one warning.
#
# shellcheck disable=SC2030,SC2031 # each test is a process of its own, and what it sets is its own

bats_require_minimum_version 1.5.0
load lib/helpers

RANGE=20000-20099

setup() {
	common_setup
	install_for_all
	# what `sequential` of an application named spawn goes on from
	file=$PORTFENCE_STATE/spawn.0
}

# probe OPTION...: one probe; it takes two ports, one by bind and one by connect
probe() {
	ns "$PORTFENCE" run --range "$RANGE" "$@" -- "$PROBES/spawn" child
}

# sequence OPTION...: its ports, joined by blanks
sequence() {
	probe "$@" | ports
}

ports() {
	sed -nE 's/^(port|connected) //p' | tr '\n' ' '
}

as_nobody() {
	ns setpriv --reuid 65534 --regid 65534 --clear-groups "$@"
}

# does_without TROUBLE COMMAND...: one warning names the trouble, and the ports are those of a
# fresh sequence, in this run and in the next
does_without() {
	local trouble=$1 turn
	shift
	for turn in first second; do
		"$@" >said 2>errors
		[ "$(ports <said)" = "20000 20001 " ] || { echo "$turn run: $(ports <said)"; return 1; }
		if [ "$(wc -l <errors)" != 1 ] || ! grep -qE "^[^ ]+Z portfence\[[0-9]+\] spawn: warning: the \
state file is not used, $trouble; ports are chosen without it\$" errors; then
			cat errors
			return 1
		fi
	done
}

damaged() {
	does_without "it is damaged, or of another version or user" probe --order sequential
}

# The draft of a new file must not stay, and nothing else.
holds_only() {
	diff <(printf '%s\n' "$@" | grep .) <(ls -A "$PORTFENCE_STATE")
}

fresh_file() {
	sequence --order sequential >/dev/null
	[ -s "$file" ]
}

# --- what goes on

@test "a sequence continues across processes" {
	[ "$(sequence --order sequential)" = "20000 20001 " ]
	[ "$(sequence --order sequential)" = "20002 20003 " ]
	[ "$(sequence --order sequential)" = "20004 20005 " ]
	holds_only spawn.0
	[ "$(stat -c '%a %u %F' "$file")" = '600 0 regular file' ]
}

@test "a sequence rolls over at the end of the range" {
	RANGE=20000-20004
	[ "$(sequence --order sequential)" = "20000 20001 " ]
	[ "$(sequence --order sequential)" = "20002 20003 " ]
	[ "$(sequence --order sequential)" = "20004 20000 " ]
	[ "$(sequence --order sequential)" = "20001 20002 " ]
	# over the gaps of a range, too
	rm "$file"
	RANGE="20000, 20010-20011"
	[ "$(sequence --order sequential)" = "20000 20010 " ]
	[ "$(sequence --order sequential)" = "20011 20000 " ]
}

@test "a sequence goes on in a range that has changed" {
	[ "$(sequence --order sequential)" = "20000 20001 " ]
	RANGE=21000-21099
	[ "$(sequence --order sequential)" = "21002 21003 " ]
	RANGE=22000-22002
	[ "$(sequence --order sequential)" = "22001 22002 " ]
}

@test "two applications have a cursor each" {
	cat >two.ini <<-'END'
		[one]
		match = none
		range = 20000-20099
		order = sequential
		[two]
		match = none
		range = 20000-20099
		order = sequential
	END
	as() {
		ns "$PORTFENCE" run --config two.ini --app "$1" -- "$PROBES/spawn" child 2>/dev/null | ports
	}
	[ "$(as one)" = "20000 20001 " ]
	[ "$(as two)" = "20000 20001 " ]
	[ "$(as one)" = "20002 20003 " ]
	holds_only one.0 two.0
}

@test "the protocols have a cursor each" {
	# shellcheck disable=SC2016 # perl expands it
	ns "$PORTFENCE" run --range "$RANGE" --order sequential -- perl -MSocket -e '
		for $type (SOCK_STREAM, SOCK_DGRAM, SOCK_STREAM, SOCK_DGRAM) {
			socket($s[$i], AF_INET, $type, 0) and bind($s[$i], sockaddr_in(0, INADDR_LOOPBACK)) or die;
			print +(sockaddr_in(getsockname($s[$i++])))[0], " ";
		}' >said
	[ "$(cat said)" = "20000 20000 20001 20001 " ]
}

@test "a port that is held is passed over, and the sequence goes on after it" {
	ns_background socat -u UDP4-RECV:20001 /dev/null
	wait_udp 20001
	[ "$(sequence --order sequential)" = "20000 20002 " ]
	[ "$(sequence --order sequential)" = "20003 20004 " ]
}

@test "forked children go on with their parent's sequence" {
	ns "$PORTFENCE" run --range "$RANGE" --order sequential -- perl -MSocket -e '
		$| = 1;
		sub port {
			socket(S, AF_INET, SOCK_DGRAM, 0) and bind(S, sockaddr_in(0, INADDR_LOOPBACK)) or die;
			print +(sockaddr_in(getsockname(S)))[0], " ";
		}
		port();
		if (!fork) { port(); port(); exit }
		wait;
		port()' >said
	[ "$(cat said)" = "20000 20001 20002 20003 " ]
}

@test "50 processes that begin at once agree on one file" {
	mkfifo gate
	for _ in 1 2 3; do
		rm -f "$file" said.*
		# shellcheck disable=SC2016 # the inner shell expands it
		ns env PORTFENCE_RANGE="$RANGE" PORTFENCE_ORDER=sequential bash -c '
			exec 8<>gate
			for n in {1..50}; do
				{ read -r <&8; LD_PRELOAD=$1 exec "$0" child; } >"said.$n" 2>&1 &
			done
			printf "\n%.0s" {1..50} >&8
			wait' "$PROBES/spawn" "$LIBRARY"
		cat said.* | sed -nE 's/^(port|connected) //p' | sort -n >all
		# two ports each: all of the range, each once
		diff <(seq 20000 20099) all
		holds_only spawn.0
	done
}

# --- seed

@test "with a seed, each run draws the same ports and leaves the state as it was" {
	RANGE=30000-39999
	fresh_file
	before=$(md5sum <"$file")
	for order in random random-simple hash double-hash random-increments auto; do
		first=$(sequence --seed 42 --order "$order")
		[ "$(sequence --seed 42 --order "$order")" = "$first" ]
		[ "$(sequence --seed 43 --order "$order")" != "$first" ]
		[ "$(md5sum <"$file")" = "$before" ]
	done
	# without one they differ
	[ "$(sequence --order random)" != "$(sequence --order random)" ]
}

@test "with a seed, two machines draw the same ports" {
	RANGE=30000-39999
	first=$(sequence --seed 42 --order random)
	rm -r "$PORTFENCE_STATE"
	mkdir -m 700 "$PORTFENCE_STATE"
	[ "$(sequence --seed 42 --order random)" = "$first" ]
}

@test "sequential draws nothing, and goes on with a seed, too" {
	[ "$(sequence --order sequential --seed 1)" = "20000 20001 " ]
	[ "$(sequence --order sequential --seed 1)" = "20002 20003 " ]
}

# --- folders

@test "a folder that is missing is made, for its user alone" {
	rmdir "$PORTFENCE_STATE"
	[ "$(sequence --order sequential)" = "20000 20001 " ]
	[ "$(stat -c %a "$PORTFENCE_STATE")" = 700 ]
	[ "$(sequence --order sequential)" = "20002 20003 " ]
}

@test "without a folder that can be made, ports are chosen without a file" {
	PORTFENCE_STATE=$BATS_TEST_TMPDIR/none/state
	does_without 'its folder cannot be used' probe --order sequential
	PORTFENCE_STATE=/dev/null
	does_without 'its folder cannot be used' probe --order sequential
}

@test "a folder that others may write to is not used" {
	chmod 770 "$PORTFENCE_STATE"
	does_without 'its folder cannot be used' probe --order sequential
	chmod 707 "$PORTFENCE_STATE"
	does_without 'its folder cannot be used' probe --order sequential
	holds_only
}

@test "a folder that this user may not write to is not used" {
	chmod 755 "$PORTFENCE_STATE"
	does_without 'it cannot be opened' as_nobody "$install/portfence" run --range "$RANGE" \
		--order sequential -- "$install/spawn" child
	chmod 700 "$PORTFENCE_STATE"
	does_without 'its folder cannot be used' as_nobody "$install/portfence" run --range "$RANGE" \
		--order sequential -- "$install/spawn" child
	holds_only
}

@test "a folder on a full file system is not used, and nothing is left there" {
	# shellcheck disable=SC2016 # the inner shell expands it
	full() {
		ns unshare -m sh -c 'mount -t tmpfs -o size=8k none "$PORTFENCE_STATE" &&
			"$@" && ls -A "$PORTFENCE_STATE"' _ "$PORTFENCE" run --range "$RANGE" --order sequential \
			-- "$PROBES/spawn" child
	}
	does_without 'it cannot be opened' full
	if grep -qx 'spawn\.0' said; then
		return 1
	fi
	[ "$(grep -cE '^\.[0-9]' said)" = 0 ]
}

@test "a read-only folder is not used" {
	# shellcheck disable=SC2016 # the inner shell expands it
	read_only() {
		ns unshare -m sh -c 'mount -t tmpfs -o ro none "$PORTFENCE_STATE" && exec "$@"' _ \
			"$PORTFENCE" run --range "$RANGE" --order sequential -- "$PROBES/spawn" child
	}
	does_without 'it cannot be opened' read_only
}

@test "a sticky folder serves two users, each with a file of its own" {
	chmod 1777 "$PORTFENCE_STATE"
	as_both() {
		"$@" "$install/portfence" run --range "$RANGE" --order sequential -- "$install/spawn" child | ports
	}
	[ "$(as_both ns)" = "20000 20001 " ]
	[ "$(as_both as_nobody)" = "20000 20001 " ]
	[ "$(as_both ns)" = "20002 20003 " ]
	[ "$(as_both as_nobody)" = "20002 20003 " ]
	holds_only spawn.0 spawn.65534
	[ "$(stat -c '%a %u' "$PORTFENCE_STATE"/*)" = "600 0
600 65534" ]
}

@test "without any setting the state is in a folder of the user's own under /dev/shm" {
	# a /dev/shm of the test's own
	# shellcheck disable=SC2016 # the inner shell expands it
	ns unshare -m env -u PORTFENCE_STATE -u XDG_RUNTIME_DIR sh -c '
		mount -t tmpfs none /dev/shm
		run() { "$@" "$0/portfence" run --range 20000-20099 --order sequential -- "$0/spawn" child; }
		run; run
		setpriv --reuid 65534 --regid 65534 --clear-groups true || exit
		chmod 1777 /dev/shm
		run setpriv --reuid 65534 --regid 65534 --clear-groups
		stat -c "%n %a %u" /dev/shm/* /dev/shm/*/*' "$install" >said
	[ "$(ports <said)" = "20000 20001 20002 20003 20000 20001 " ]
	[ "$(grep ^/dev said)" = "/dev/shm/portfence-0 700 0
/dev/shm/portfence-65534 700 65534
/dev/shm/portfence-0/spawn.0 600 0
/dev/shm/portfence-65534/spawn.65534 600 65534" ]
}

@test "a folder under /dev/shm that is another's, or a link, is not used; XDG_RUNTIME_DIR is next" {
	mkdir -m 700 runtime
	# shellcheck disable=SC2016 # the inner shell expands it
	for trap in 'mkdir -m 700 $folder; chown 65534 $folder' 'mkdir $folder; chmod 777 $folder' \
		'mkdir -m 700 real; ln -s $PWD/real $folder' 'touch $folder'; do
		# shellcheck disable=SC2016 # the inner shell expands it
		XDG_RUNTIME_DIR=$PWD/runtime ns unshare -m env -u PORTFENCE_STATE sh -c '
			mount -t tmpfs none /dev/shm
			folder=/dev/shm/portfence-0
			eval "$2"
			"$0" run --range 20000-20099 --order sequential -- "$1" child' \
			"$PORTFENCE" "$PROBES/spawn" "$trap" >said 2>errors
		[ "$(ports <said)" = "20000 20001 " ]
		[ "$(wc -l <errors)" = 1 ]
		grep -q "warning: the state is in XDG_RUNTIME_DIR, as its folder in /dev/shm is not this user's alone" errors
		[ "$(stat -c %a runtime/portfence)" = 700 ]
		[ "$(ls runtime/portfence)" = spawn.0 ]
		rm -r runtime/portfence
		rm -rf real
	done
}

# own_shm SCRIPT [ARG]...: with a /dev/shm of the test's own and no folder named; `turn` is one run of nobody's
own_shm() {
	local script=$1
	shift
	# shellcheck disable=SC2016 # the inner shell expands it
	ns unshare -m env -u PORTFENCE_STATE -u XDG_RUNTIME_DIR sh -c '
		mount -t tmpfs -o mode=1777 none /dev/shm
		nobody() { setpriv --reuid 65534 --regid 65534 --clear-groups "$@"; }
		turn() { nobody "$0/portfence" run --range 20000-20099 --order sequential "$@" -- "$0/spawn" child; }
		'"$script" "$install" "$@"
}

@test "a state that is made under any umask serves the same user's later programs" {
	mkdir -m 777 open
	for umask in 777 577 377 277 200 400 077 0; do
		# shellcheck disable=SC2016 # the inner shell expands it
		own_shm '(umask $1 && turn); turn
			export PORTFENCE_STATE=$PWD/open/$1
			(umask $1 && turn); turn
			stat -c "%a %n" /dev/shm/* /dev/shm/*/* open/*/*' "$umask" >said 2>errors
		[ ! -s errors ] || { cat errors; return 1; }
		[ "$(ports <said)" = "20000 20001 20002 20003 20000 20001 20002 20003 " ]
		[ "$(stat -c %a "open/$umask")" = 700 ]
		[ "$(grep /dev/shm said)" = "700 /dev/shm/portfence-65534
600 /dev/shm/portfence-65534/spawn.65534" ]
		grep -qx "600 open/$umask/spawn.65534" said
		rm -r "open/$umask"
	done
}

@test "a folder under /dev/shm and a state file of the user's own get back the rights that a umask took" {
	for mode in 0 100 300 400 500 600; do
		for file in 0 200 400; do
			# shellcheck disable=SC2016 # the inner shell expands it
			own_shm 'turn; cd /dev/shm/portfence-65534
				chmod $2 spawn.65534; chmod $1 .; turn
				stat -c "%a %n" "$PWD" *' "$mode" "$file" >said 2>errors
			[ ! -s errors ] || { cat errors; return 1; }
			[ "$(ports <said)" = "20000 20001 20002 20003 " ]
			[ "$(grep -v '^[a-z]' said)" = "700 /dev/shm/portfence-65534
600 spawn.65534" ]
		done
	done
}

@test "no right is given to a file with a second name, nor to a folder that the user has made" {
	mkdir -m 777 open
	# shellcheck disable=SC2016 # the inner shell expands it
	own_shm 'turn; cd /dev/shm/portfence-65534
		nobody ln spawn.65534 second; chmod 400 second; turn
		stat -c "%a %n" *
		cd "$OLDPWD/open"
		nobody mkdir -m 500 made; PORTFENCE_STATE=$PWD/made turn
		stat -c "%a %n" *' >said 2>errors
	[ "$(grep -c 'the state file is not used, it cannot be opened' errors)" = 2 ]
	[ "$(wc -l <errors)" = 2 ]
	[ "$(grep -v '^[a-z]' said)" = "400 second
400 spawn.65534
500 made" ]
}

@test "a folder under /dev/shm whose mode keeps the user out is told from one that is not the user's alone" {
	mkdir -m 777 runtime
	# on a file system that may not be written to, no mode can be changed
	# shellcheck disable=SC2016 # the inner shell expands it
	own_shm 'nobody mkdir -m 0 /dev/shm/portfence-65534
		mount -o remount,ro /dev/shm
		turn; XDG_RUNTIME_DIR=$PWD/runtime turn' >said 2>errors
	[ "$(wc -l <errors)" = 2 ]
	grep -q 'the state file is not used, the mode of its folder in /dev/shm keeps this user out;' errors
	grep -q 'the state is in XDG_RUNTIME_DIR, as the mode of its folder in /dev/shm keeps this user out;' errors
	[ -e runtime/portfence/spawn.65534 ]
}

# In own_shm: user 4711 in a user namespace, as root, as user 1000 or as a user without a number
# shellcheck disable=SC2016 # the inner shell expands it
INNER='user() { setpriv --reuid 4711 --regid 4711 --clear-groups "$@"; }
	inside() { user unshare -U $map "$@"; }
	take() { "$@" "$0/portfence" run --range 20000-20099 --order sequential -- "$0/spawn" child; }
	'

@test "in a user namespace, no other user's name is taken in the outer /dev/shm, nor in a shared folder" {
	for map in --map-root-user --map-user=1000 ''; do
		# shellcheck disable=SC2016 # the inner shell expands it
		own_shm "$INNER"'map=$1; mkdir -m 1777 /dev/shm/shared
			take inside
			# only a child is inside
			user "$0/portfence" run --range 20000-20099 -- unshare -U $map "$0/spawn" child
			PORTFENCE_STATE=/dev/shm/shared take inside
			ls -A /dev/shm /dev/shm/shared' "$map" >said 2>errors
		[ "$(grep -v '^[a-z]* ' said)" = "/dev/shm:
portfence-4711
shared

/dev/shm/shared:" ]
		ports <said | tr ' ' '\n' | grep . | all_within 20000 20099
		[ "$(wc -l <errors)" = 3 ]
		[ "$(grep -c 'the state file is not used, /dev/shm belongs to another user namespace;' errors)" = 2 ]
		[ "$(grep -c 'the state file is not used, it cannot be opened;' errors)" = 1 ]
	done
}

@test "in a user namespace, XDG_RUNTIME_DIR or a /dev/shm of its own has the state, and so has the user's own folder" {
	mkdir -m 777 runtime
	# shellcheck disable=SC2016 # the inner shell expands it
	own_shm "$INNER"'map=--map-root-user
		XDG_RUNTIME_DIR=$PWD/runtime; export XDG_RUNTIME_DIR
		user mkdir "$XDG_RUNTIME_DIR/4711"; XDG_RUNTIME_DIR=$XDG_RUNTIME_DIR/4711
		take inside; take inside
		map=--map-user=4711
		take user; take inside; take user
		ls /dev/shm
		for mode in 755 1777; do
			for map in --map-root-user "--map-user=4711 --map-group=4711"; do
				inside -m --keep-caps sh -c "mount -t tmpfs -o mode=\$2 none /dev/shm
					for turn in 1 2; do
						\"\$0\" run --range 20000-20099 --order sequential -- \"\$1\" child
					done; stat -c %u.%n /dev/shm/*/*" "$0/portfence" "$0/spawn" $mode
			done
		done' >said 2>errors || { cat errors; return 1; }
	[ ! -s errors ] || { cat errors; return 1; }
	four="20000 20001 20002 20003 "
	[ "$(ports <said)" = "${four}${four}20004 20005 $four$four$four$four" ]
	[ "$(grep -v '^[a-z]* ' said)" = "portfence-4711
0./dev/shm/portfence-0/spawn.0
4711./dev/shm/portfence-4711/spawn.4711
0./dev/shm/portfence-0/spawn.0
4711./dev/shm/portfence-4711/spawn.4711" ]
}

@test "PORTFENCE_STATE goes before the configuration's folder" {
	printf '[portfence]\nstate = %s\n[spawn]\nrange = 20000-20099\norder = sequential\n' "$PWD/configured" >some.ini
	ns env -u PORTFENCE_STATE "$PORTFENCE" run --config some.ini -- "$PROBES/spawn" child
	[ "$(ls configured)" = spawn.0 ]
	holds_only
	ns "$PORTFENCE" run --config some.ini -- "$PROBES/spawn" child | ports >said
	[ "$(cat said)" = "20000 20001 " ]
	holds_only spawn.0
}

@test "a relative PORTFENCE_STATE is an error, or the same folder wherever the program goes" {
	mkdir -m 700 relative elsewhere
	export PORTFENCE_STATE=relative
	for turn in 1 2; do
		# shellcheck disable=SC2016 # the inner shell expands it
		ns "$PORTFENCE" run --range "$RANGE" --order sequential -- sh -c 'cd elsewhere && exec "$0" child' \
			"$PROBES/spawn" >"said.$turn" 2>"errors.$turn" || true
	done
	[ "$(ls -A elsewhere)" = "" ]
	grep -q PORTFENCE_STATE errors.1 || [ "$(ports <said.2)" = "20002 20003 " ]
}

# --- files

@test "a symbolic link in place of the file is not followed" {
	fresh_file
	mv "$file" real
	before=$(md5sum <real)
	ln -s "$PWD/real" "$file"
	does_without 'it cannot be opened' probe --order sequential
	[ "$(md5sum <real)" = "$before" ]
	ln -sf "$PWD/none" "$file"
	does_without 'it cannot be opened' probe --order sequential
	[ ! -e none ]
}

@test "a folder in place of the file is not used" {
	mkdir "$file"
	does_without 'it cannot be opened' probe --order sequential
}

@test "a FIFO in place of the file is not used, and no program waits for it" {
	mkfifo -m 600 "$file"
	damaged
}

@test "a file of another length is not used, and left as it is" {
	fresh_file
	size=$(stat -c %s "$file")
	for wrong in 0 1 16 $((size - 1)) $((size + 1)); do
		truncate -s "$wrong" "$file"
		damaged
		[ "$(stat -c %s "$file")" = "$wrong" ]
	done
}

@test "a file of another kind, version or layout is not used, and left as it is" {
	for offset in 0 7 8 11 12 15; do
		rm -f "$file"
		fresh_file
		printf '\377' | dd of="$file" bs=1 seek="$offset" conv=notrunc status=none
		before=$(md5sum <"$file")
		damaged
		[ "$(md5sum <"$file")" = "$before" ]
	done
}

@test "an older version's file is replaced, and who has it open keeps it" {
	fresh_file
	exec 6<"$file"
	printf '\1' | dd of="$file" bs=1 seek=8 conv=notrunc status=none
	truncate -s 1000 "$file"
	probe --order sequential >said 2>errors
	[ "$(ports <said)" = "20000 20001 " ]
	[ ! -s errors ]
	[ "$(sequence --order sequential)" = "20002 20003 " ]
	holds_only "$(basename "$file")"
	[ "$(wc -c <&6)" = 1000 ]
	exec 6<&-
	# of many that start at once, one replaces it
	for turn in 1 2 3 4 5; do
		printf '\1' | dd of="$file" bs=1 seek=8 conv=notrunc status=none
		seq 8 | xargs -P 8 -I{} nsenter -t "$NS_PID" -n -- "$PORTFENCE" run --range "$RANGE" --order sequential -- \
			"$PROBES/spawn" child >said.many
		[ "$(sequence --order sequential)" = "20016 20017 " ]
	done
	# not a folder's that is another user's, nor another user's file
	printf '\1' | dd of="$file" bs=1 seek=8 conv=notrunc status=none
	chown 65534 "$file"
	damaged
}

@test "a file that others may read or write is not used" {
	fresh_file
	for mode in 644 640 602 620; do
		chmod "$mode" "$file"
		damaged
	done
	chmod 600 "$file"
	[ "$(sequence --order sequential)" = "20002 20003 " ]
}

@test "another user's file is not used" {
	fresh_file
	chown 65534 "$file"
	damaged
	# and the other way round, where the system forbids opening it
	chmod 1777 "$PORTFENCE_STATE"
	chown 0 "$file"
	mv "$file" "$PORTFENCE_STATE/spawn.65534"
	does_without 'it cannot be opened' as_nobody "$install/portfence" run --range "$RANGE" \
		--order sequential -- "$install/spawn" child
}

@test "whatever bytes a file holds after its head, ports stay in range and the program works" {
	fresh_file
	size=$(stat -c %s "$file")
	fill() {
		head -c $((size - 16)) "$1" | dd of="$file" bs=16 seek=1 conv=notrunc status=none iflag=fullblock
	}
	tr '\0' '\377' </dev/zero | head -c "$size" >ones
	cat >connect.pl <<-'END'
		use Socket;
		socket(L, AF_INET, SOCK_STREAM, 0) and bind(L, sockaddr_in(30000, INADDR_LOOPBACK)) and
		    listen(L, 99) or die;
		for (1 .. 50) {
		    socket($s[$_], AF_INET, SOCK_STREAM, 0) and
		        connect($s[$_], sockaddr_in(30000, INADDR_LOOPBACK)) or die $!;
		    print +(sockaddr_in(getsockname($s[$_])))[0], "\n";
		}
	END
	for what in /dev/urandom "$PWD/ones" /dev/zero /dev/urandom; do
		for order in sequential random random-simple hash double-hash random-increments auto; do
			fill "$what"
			probe --order "$order" >said 2>errors
			[ ! -s errors ]
			sed -nE 's/^(port|connected) //p' said | all_within 20000 20099
			# over TCP claims are looked at, too
			fill "$what"
			cp "$file" "$PORTFENCE_STATE/perl.0"
			ns "$PORTFENCE" run --range "$RANGE" --order "$order" -- perl connect.pl >said
			[ "$(sort -u said | wc -l)" = 50 ]
			all_within 20000 20099 <said
		done
	done
}

@test "a file that vanishes or is replaced while a program runs does not harm it" {
	# shellcheck disable=SC2016 # perl expands it
	ns "$PORTFENCE" run --range "$RANGE" --order sequential -- perl -MSocket -e '
		sub port {
			socket(S, AF_INET, SOCK_DGRAM, 0) and bind(S, sockaddr_in(0, INADDR_LOOPBACK)) or die;
			print +(sockaddr_in(getsockname(S)))[0], " ";
		}
		port();
		unlink "$ENV{PORTFENCE_STATE}/perl.0" or die;
		port();
		rmdir $ENV{PORTFENCE_STATE} or die;
		port();' >said
	[ "$(cat said)" = "20000 20001 20002 " ]
}

# --- names and traces

@test "odd names of applications make files that stay in the folder" {
	made() {
		local name=$1 file=$2
		rm -f "$PORTFENCE_STATE"/* "$PORTFENCE_STATE"/.[!.]*
		ns env LD_PRELOAD="$LIBRARY" PORTFENCE_APP="$name" PORTFENCE_RANGE="$RANGE" \
			"$PROBES/spawn" child >/dev/null 2>errors
		[ ! -s errors ]
		holds_only "$file"
	}
	made '*' %2A.0
	made a/b a%2Fb.0
	made .. %2E..0
	made . %2E.0
	made .hidden %2Ehidden.0
	made ../../etc/passwd %2E.%2F..%2Fetc%2Fpasswd.0
	made 'two words' two%20words.0
	made 100%25 100%2525.0
	made ünï %C3%BCn%C3%AF.0
	made $'new\nline' new%0Aline.0
	# cut to what a file's name may be
	made "$(printf '%400s' '' | tr ' ' n)" "$(printf '%240s' '' | tr ' ' n).0"
}

@test "no descriptor is left open, neither at the start nor by a port" {
	cat >open.pl <<-'END'
		use Socket;
		sub list { opendir(D, "/proc/self/fd"); print join(" ", sort grep { !/^\./ } readdir(D)), "\n"; closedir(D) }
		list();
		socket(L, AF_INET, SOCK_STREAM, 0) and bind(L, sockaddr_in(30000, INADDR_LOOPBACK)) and listen(L, 9) or die;
		for (1 .. 3) {
		    socket($s[$_], AF_INET, SOCK_STREAM, 0) and connect($s[$_], sockaddr_in(30000, INADDR_LOOPBACK));
		    list();
		    socket($d[$_], AF_INET, SOCK_DGRAM, 0) and bind($d[$_], sockaddr_in(0, INADDR_LOOPBACK));
		    list();
		}
	END
	ns perl open.pl >plain
	[ "$(wc -l <plain)" = 7 ]
	# by the kernel engine, by the bind engine, at the end of a range, with a log
	for range in 40000-40099 "$RANGE" 20000-20001; do
		for log in none "$PWD/log" stderr; do
			ns "$PORTFENCE" run --range "$range" --log "$log" -- perl open.pl >said 2>/dev/null
			diff plain said
		done
	done
}

@test "the state's folder and file may be named by a link, and need no name at all later" {
	mkdir -m 700 real
	ln -s real link
	export PORTFENCE_STATE=$PWD/link
	[ "$(sequence --order sequential)" = "20000 20001 " ]
	[ "$(ls real)" = spawn.0 ]
	# a program in a root of its own goes on with the mapping that it has
	# shellcheck disable=SC2016 # perl expands it
	ns "$PORTFENCE" run --range "$RANGE" --order sequential -- perl -MSocket -e '
		chroot("elsewhere") or mkdir("elsewhere") && chroot("elsewhere") or die;
		socket(S, AF_INET, SOCK_DGRAM, 0) and bind(S, sockaddr_in(0, INADDR_LOOPBACK)) or die;
		print +(sockaddr_in(getsockname(S)))[0]' >said
	[ "$(cat said)" = 20000 ]
}

@test "a process that gives up its user for good shares its state with nobody any more" {
	cat >leave.py <<-'END'
		import os, socket, sys
		def shares(): return any("/spawn.0" in line for line in open("/proc/self/maps"))
		def port():
		    with socket.socket() as s:
		        s.bind(("", 0))
		        return s.getsockname()[1]
		port()
		name, *users = sys.argv[1:]
		getattr(os, name)(*map(int, users))
		print(shares(), 20000 <= port() <= 20099)
	END
	left() {
		ns "$PORTFENCE" run --app spawn --range "$RANGE" --via "$1" -- $PYTHON -S leave.py "${@:2}"
	}
	local via
	PYTHON=/usr/bin/python3
	for via in preload both; do
		[ "$(left $via setuid 65534)" = "False True" ]
		[ "$(left $via setreuid 65534 65534)" = "False True" ]
		[ "$(left $via setresuid 65534 65533 65534)" = "False True" ]
		# these can become root again
		[ "$(left $via seteuid 65534)" = "True True" ]
		[ "$(left $via setreuid 65534 -1)" = "True True" ]
		[ "$(left $via setresuid 65534 65534 0)" = "True True" ]
	done
}
