#!/usr/bin/env bats
#
# What another user can do: plant something where the state or the log is to be, start a program that
# gains rights with an environment of his choice, choose names, or own a folder that the library lies
# in. None of it redirects, reads or crashes, and what is doubtful is told.
#
# shellcheck disable=SC2030,SC2031 # each test is a process of its own, and what it sets is its own

bats_require_minimum_version 1.5.0
load lib/helpers
load lib/root

RANGE=20000-20099
run_it=()
precious=/root/victim # a file of the victim, which must stay as it is

setup() {
	common_setup
	install_for_all
}

# --- programs that gain rights

# privileged_root: a root with a library that is trusted, a program that is setuid, one with a
# capability, and the administrator's configuration
privileged_root() {
	needs_suid
	root_open
	files=$(root_files)
	trusted=$(dirname "$(ldd "$LIBRARY" | awk '/libc\.so/ { print $3 }')")
	install -m 4755 "$LIBRARY" "$files$trusted/libportfence.so"
	install -m 4755 "$PROBES/spawn" "$files/usr/local/bin/suid"
	install -m 755 "$PROBES/spawn" "$files/usr/local/bin/capable"
	in_root setcap cap_net_raw+ep /usr/local/bin/capable
	printf '[suid]\nrange = %s\n[capable]\nrange = %s\n' $RANGE $RANGE >"$files/etc/portfence.ini"
	mkdir -p "$files/evil/.config"
	printf '[suid]\nrange = 30000-30099\n[capable]\nrange = 30000-30099\n' >"$files/evil/.config/portfence.ini"
	chmod 777 "$files/evil"
	evil=(PORTFENCE_RANGE=30000-30099 PORTFENCE_LOG=/evil/log PORTFENCE_STATE=/evil/state
		PORTFENCE_CONFIG=/evil/.config/portfence.ini PORTFENCE_APP=evil HOME=/evil
		XDG_CONFIG_HOME=/evil/.config XDG_RUNTIME_DIR=/evil)
}

# gains PROGRAM [NAME=VALUE...]: as nobody, with all that a hostile environment may have
gains() {
	local program=$1
	shift
	in_root "${AS_NOBODY[@]}" env "${evil[@]}" "$@" "/usr/local/bin/$program" child >said 2>errors
	sed -nE 's/^(port|connected) //p' said >ports
	[ "$(wc -l <ports)" = 2 ]
}

# Nothing of what the environment asked for has come to be.
nothing_evil() {
	[ ! -e "$files/evil/log" ]
	[ ! -e "$files/evil/state" ]
	[ ! -e "$files/evil/portfence" ]
}

@test "in a setuid program the trusted library goes by /etc/portfence.ini alone" {
	privileged_root
	gains suid LD_PRELOAD=libportfence.so
	all_within 20000 20099 <ports
	nothing_evil
	[ "$(in_root stat -c '%a %u' /dev/shm/portfence-0 /dev/shm/portfence-0/suid.0)" = "700 0
600 0" ]
	# a library that the administrator has not marked, or one with a path, is not loaded at all
	chmod u-s "$files$trusted/libportfence.so"
	gains suid LD_PRELOAD=libportfence.so
	all_within 32768 60999 <ports
	chmod u+s "$files$trusted/libportfence.so"
	gains suid LD_PRELOAD="$trusted/libportfence.so"
	all_within 32768 60999 <ports
	nothing_evil
}

@test "named in /etc/ld.so.preload, it ignores the environment of setuid and setcap programs" {
	privileged_root
	echo "$trusted/libportfence.so" >"$files/etc/ld.so.preload"
	gains suid
	all_within 20000 20099 <ports
	gains capable
	all_within 20000 20099 <ports
	nothing_evil
	# the program without rights is asked as ever
	in_root "${AS_NOBODY[@]}" env "${evil[@]}" "$install/spawn" child | sed -n 's/^port //p' |
		all_within 30000 30099
	[ -e "$files/evil/log" ]
}

@test "the umask of a user who starts a setuid program does not spoil the state of its owner" {
	privileged_root
	chown 65534 "$files/usr/local/bin/suid"
	chmod 4755 "$files/usr/local/bin/suid"
	echo "$trusted/libportfence.so" >"$files/etc/ld.so.preload"
	for umask in 777 277 200 400; do
		(
			umask $umask
			in_root setpriv --reuid 4711 --regid 4711 --clear-groups /usr/local/bin/suid child >said 2>errors
		)
		in_root "${AS_NOBODY[@]}" env -u PORTFENCE_STATE /usr/local/bin/suid child >>said 2>>errors
		[ ! -s errors ] || { cat errors; return 1; }
		sed -n 's/^port //p' said | all_within 20000 20099
		[ "$(in_root stat -c '%a %u' /dev/shm/portfence-65534 /dev/shm/portfence-65534/suid.65534)" = "700 65534
600 65534" ]
		rm -r "$files/dev/shm/portfence-65534"
	done
}

@test "a rule that a hostile environment hands over is ignored, too" {
	privileged_root
	echo "$trusted/libportfence.so" >"$files/etc/ld.so.preload"
	handed=$(ns env -u PORTFENCE_STATE "$PORTFENCE" run --range 30000-30099 -- env | grep '^PORTFENCE_RULE=')
	evil=(PORTFENCE_RANGE=30000-30099 "$handed")
	gains suid
	all_within 20000 20099 <ports
}

# --- the state

# plant WHAT PATH: what an attacker may put in a file's place
plant() {
	local what=$1 at=$2
	echo precious >"$files$precious"
	chmod 600 "$files$precious"
	case $what in
	link) in_root ln -s "$precious" "$at" ;;
	hard-link) in_root ln "$precious" "$at" ;;
	dangling) in_root ln -s /root/new "$at" ;;
	fifo) in_root mkfifo -m 666 "$at" ;;
	folder) in_root mkdir -m 777 "$at" ;;
	copy) in_root cp /state.copy "$at" ;;
	open-copy) in_root install -m 666 /state.copy "$at" ;;
	random) in_root sh -c "head -c 200000 /dev/urandom >'$at'" ;;
	zero) in_root truncate -s "$(stat -c %s "$files/state.copy")" "$at" ;;
	esac
	case $what in
	none | hard-link) ;;
	*) in_root chown -h 65534:65534 "$at" ;;
	esac
}

# victim [NAME=VALUE...]: root's program; the file is untouched and the ports are in the range
victim() {
	in_root timeout 120 env -u PORTFENCE_STATE "$@" LD_PRELOAD="$install/libportfence.so" \
		PORTFENCE_RANGE=$RANGE PORTFENCE_ORDER=sequential "$install/spawn" child >said 2>errors
	[ "$(sed -nE 's/^(port|connected) //p' said | tr '\n' ' ')" = "20000 20001 " ]
	[ "$(cat "$files$precious")" = precious ]
	[ "$(stat -c '%a %s' "$files$precious")" = '600 9' ]
	[ ! -e "$files/root/new" ]
}

TRAPS="link hard-link dangling fifo folder copy open-copy random zero"

# a good file, as a user could copy one of his own
copy_state() {
	root_open
	files=$(root_files)
	echo precious >"$files$precious"
	chmod 600 "$files$precious"
	victim
	cp "$files/dev/shm/portfence-0/spawn.0" "$files/state.copy"
	rm -r "$files/dev/shm/portfence-0"
}

@test "a file that another user plants in a shared state folder is not used, and is reported" {
	copy_state
	in_root mkdir -m 1777 /shared
	for trap in $TRAPS; do
		plant "$trap" /shared/spawn.0
		victim PORTFENCE_STATE=/shared
		grep -q 'warning: the state file is not used' errors
		rm -rf "$files/shared/spawn.0"
	done
	victim PORTFENCE_STATE=/shared
	[ ! -s errors ]
}

@test "a folder that another user has made at /dev/shm/portfence-UID is not used, and is reported" {
	# where a hard link can lead to it
	precious=/dev/shm/victim
	copy_state
	folder=/dev/shm/portfence-0
	for mode in 700 1777; do
		for trap in none $TRAPS; do
			in_root install -d -m $mode -o 65534 -g 65534 $folder
			plant "$trap" $folder/spawn.0
			victim
			grep -q "the state file is not used, its folder in /dev/shm is not this user's alone" errors
			# where there is another folder, the state is there
			rm -rf "$files/root/run"
			in_root mkdir -m 700 /root/run
			victim XDG_RUNTIME_DIR=/root/run
			grep -q 'the state is in XDG_RUNTIME_DIR, as its folder' errors
			[ -e "$files/root/run/portfence/spawn.0" ]
			rm -rf "$files$folder"
		done
	done
}

@test "a link or a file that another user has put in the folder's place is not used, and is reported" {
	copy_state
	in_root mkdir -m 700 /root/own
	for trap in 'ln -s /root/own' "ln -s $precious" 'ln -s /none' 'mkfifo -m 666' 'touch'; do
		# shellcheck disable=SC2086 # a list of words
		in_root $trap /dev/shm/portfence-0
		in_root chown -h 65534 /dev/shm/portfence-0
		victim
		grep -q 'the state file is not used' errors
		[ "$(ls -A "$files/root/own")" = "" ]
		rm "$files/dev/shm/portfence-0"
	done
}

@test "another user can neither read nor write nor shorten the state" {
	copy_state
	victim
	file=/dev/shm/portfence-0/spawn.0
	# even where the folder lets him look
	chmod 755 "$files/dev/shm/portfence-0"
	for command in "cat $file" "truncate -s 0 $file" "cp /state.copy $file" "rm -f $file" "mv $file /tmp"; do
		# shellcheck disable=SC2086 # a list of words
		run in_root "${AS_NOBODY[@]}" $command
		[ "$status" != 0 ]
	done
	[ "$(stat -c '%a %u' "$files$file")" = '600 0' ]
}

# --- the log

@test "in a folder like /tmp, the log is no link, FIFO or file of another user" {
	root_open
	files=$(root_files)
	echo precious >"$files$precious"
	chmod 600 "$files$precious"
	logged() {
		in_root timeout 120 env LD_PRELOAD="$install/libportfence.so" PORTFENCE_RANGE=$RANGE \
			PORTFENCE_LOG=/shared/log "$install/spawn" child >said 2>warned
		sed -n 's/^port //p' said | all_within 20000 20099
	}
	for mode in 1777 1770; do
		rm -rf "$files/shared"
		in_root mkdir -m $mode /shared
		in_root chgrp 65534 /shared
		for trap in link hard-link dangling random; do
			plant "$trap" /shared/log
			size=$(stat -L -c %s "$files/shared/log" 2>/dev/null || true)
			logged
			[[ "$(cat warned)" = *"warning: the log '/shared/log' cannot be opened"* ]]
			[ "$(cat "$files$precious")" = precious ]
			[ ! -e "$files/root/new" ]
			[ "$(stat -L -c %s "$files/shared/log" 2>/dev/null || true)" = "$size" ]
			rm -f "$files/shared/log"
		done
		plant fifo /shared/log
		exec 5<>"$files/shared/log"
		logged
		[[ "$(cat warned)" = *"warning: the log '/shared/log' cannot be opened"* ]]
		run read -r -t 0 -u 5
		[ "$status" != 0 ]
		exec 5<&-
		rm "$files/shared/log"
		# his own, and the folder's owner's
		logged
		[ ! -s warned ]
		[ "$(wc -l <"$files/shared/log")" = 2 ]
		[ "$(stat -c '%u %a' "$files/shared/log")" = '0 644' ]
	done
	# elsewhere a link is followed, as administrators have it
	in_root mkdir -m 755 /logs
	in_root ln -s real /logs/log
	in_root env LD_PRELOAD="$install/libportfence.so" PORTFENCE_RANGE=$RANGE PORTFENCE_LOG=/logs/log \
		"$install/spawn" child >said
	[ "$(wc -l <"$files/logs/real")" = 2 ]
}

@test "no name that a user can choose steers a terminal or forges a line" {
	name=$'a\n2026-01-01T00:00:00Z portfence[1] sshd: forged\e[2J\xc2\x9b2J\x9b\xff\xc2\x85\xe2\x80\xa8\xe2\x80\xae'
	cp "$PROBES/spawn" "$name"
	long=$(printf '%200s' '' | tr ' ' n)
	cp "$PROBES/spawn" "$long"
	printf '[*]\nrange = 20000-\n' >bad.ini
	for program in "./$name" "./$long"; do
		# the executable's name, argv[0], and the name that a process gives itself in the environment
		for extra in "A=b" "PORTFENCE_APP=$name" "PORTFENCE_CONFIG=$PWD/bad.ini"; do
			for log in "$PWD/log" "json:$PWD/log"; do
				rm -f log
				# shellcheck disable=SC2016 # the inner shell expands it
				ns env LD_PRELOAD="$LIBRARY" PORTFENCE_RANGE=$RANGE PORTFENCE_LOG="$log" "$extra" \
					bash -c 'exec -a "$0" "$@"' "$name" "$program" child >/dev/null 2>&1 || true
				cat log >all
				[ "$(wc -l <all)" -ge 1 ]
				# each line begins as ours do, none has a control character or half a character
				[ "$(LC_ALL=C grep -cvE '^(\{"time":")?20[0-9-]{8}T' all)" = 0 ]
				[ "$(LC_ALL=C grep -cP '[\x00-\x08\x0b-\x1f\x7f]' all)" = 0 ]
				python3 - all <<-'END'
					import sys
					text = open(sys.argv[1], "rb").read().decode("utf-8")
					assert not set(text) & set("\x85\x9b\u2028\u202e"), ascii(text)
				END
			done
		done
	done
}

@test "root's audit is not steered by what a hostile process is called" {
	name=$'x\e[2J\xc2\x9b2J'
	printf '[%s]\nrange = 20000-20099\nno such key\n' "$name" >hostile.ini
	hold='use Socket; $| = 1; socket(S, AF_INET, SOCK_DGRAM, 0); bind(S, sockaddr_in(0, INADDR_LOOPBACK));
		bind(S, sockaddr_in(40000, INADDR_LOOPBACK)); print "ready\n"; sleep 100'
	as_nobody true
	for hostile in PORTFENCE_APP="$name" PORTFENCE_CONFIG="$PWD/hostile.ini" PORTFENCE_CONFIG="/none/$name"; do
		ns_background "${AS_NOBODY[@]}" env LD_PRELOAD="$install/libportfence.so" PORTFENCE_RANGE=$RANGE "$hostile" \
			perl -e "$hold" >ready 2>/dev/null
		wait_until grep -q ready ready
		for verb in audit "audit --json" "audit --pid $pid" "status --range 20000-20099"; do
			# shellcheck disable=SC2086 # a list of words
			ns "$PORTFENCE" $verb >all 2>&1 || true
			[ -s all ]
			[ "$(LC_ALL=C grep -cP '[\x00-\x08\x0b-\x1f\x7f]|\xc2\x9b' all)" = 0 ]
		done
		kill "$pid"
	done
}

# --- who could replace the library or the configuration

# doubted TEXT COMMAND...: this is all that standard error has, and the command runs
doubted() {
	local text=$1
	shift
	ns "$@" >said 2>errors
	diff errors <(printf '%s' "${text:+portfence: warning: $text$'\n'}")
	grep -q '^port 200' said
}

could_replace() {
	echo "$1 could replace the library '$2/libportfence.so', as '$3' is open to them; keep it where only \
root and you may write"
}

@test "a library in a folder that others may write to is used with a warning that names the folder" {
	mkdir -p a/b/c
	cp "$PORTFENCE" "$LIBRARY" a/b/c
	run_it=(a/b/c/portfence run --range "$RANGE" -- "$PROBES/spawn" child)
	doubted '' "${run_it[@]}"
	for at in a a/b a/b/c a/b/c/libportfence.so; do
		mode=$(stat -c %a $at)
		chmod o+w $at
		doubted "$(could_replace everybody "$PWD/a/b/c" "$PWD/$at")" "${run_it[@]}"
		chmod "$mode" $at
		chgrp 65534 $at
		doubted '' "${run_it[@]}"
		chmod g+w $at
		doubted "$(could_replace "group 'nogroup'" "$PWD/a/b/c" "$PWD/$at")" "${run_it[@]}"
		chgrp 0 $at
		doubted '' "${run_it[@]}"
		chmod "$mode" $at
		chown 65534 $at
		doubted "$(could_replace "user 'nobody'" "$PWD/a/b/c" "$PWD/$at")" "${run_it[@]}"
		chown 0 $at
	done
	# in a sticky folder, nobody can touch what is root's
	chmod 1777 a
	doubted '' "${run_it[@]}"
	# env, too, on standard error alone
	chmod 777 a/b
	ns a/b/c/portfence env --range $RANGE x >lines 2>errors
	grep -qF "$(could_replace everybody "$PWD/a/b/c" "$PWD/a/b")" errors
	! grep -q replace lines || return 1
}

@test "a link to the library is followed: both its folder and what it leads to are looked at" {
	mkdir bin lib
	cp "$PORTFENCE" bin
	cp "$LIBRARY" lib
	ln -s "$PWD/lib/libportfence.so" bin/libportfence.so
	run_it=(bin/portfence run --range "$RANGE" -- "$PROBES/spawn" child)
	doubted '' "${run_it[@]}"
	for at in bin lib; do
		chmod 777 $at
		doubted "$(could_replace everybody "$PWD/bin" "$PWD/$at")" "${run_it[@]}"
		chmod 755 $at
	done
}

@test "a caller of sudo is trusted with a library of their own, and no other user is" {
	mkdir own
	cp "$PORTFENCE" "$LIBRARY" own
	chown -R 65534 own
	run_it=(own/portfence run --range "$RANGE" -- "$PROBES/spawn" child)
	doubted '' env SUDO_UID=65534 "${run_it[@]}"
	doubted "$(could_replace "user 'nobody'" "$PWD/own" "$PWD/own")" env SUDO_UID=12345 "${run_it[@]}"
	# the variable counts for root alone
	chown -R 12345 own
	chmod 777 "$PORTFENCE_STATE"
	chmod +t "$PORTFENCE_STATE"
	doubted "$(could_replace 'user 12345' "$PWD/own" "$PWD/own")" \
		"${AS_NOBODY[@]}" env SUDO_UID=12345 own/portfence run --range $RANGE -- "$install/spawn" child
}

@test "LD_PRELOAD is never relative, however portfence is called" {
	cd "$install"
	ln -s "$install/portfence" "$BATS_TEST_TMPDIR/linked"
	for command in ./portfence portfence "../install/portfence" "$BATS_TEST_TMPDIR/linked" ../linked; do
		[ "$(PATH=.:$PATH ns env "$command" run --range $RANGE -- printenv LD_PRELOAD)" = \
			"$install/libportfence.so" ]
	done
}

@test "run, env and check warn about a configuration that others may write to" {
	printf '[spawn]\nrange = %s\n' $RANGE >some.ini
	text="everybody could replace the configuration '$PWD/some.ini', as '$PWD/some.ini' is open to them; keep \
it where only root and you may write"
	ns "$PORTFENCE" check some.ini >said
	run ! grep -q 'could replace' said
	chmod 666 some.ini
	doubted "$text" "$PORTFENCE" run --config some.ini -- "$PROBES/spawn" child
	ns "$PORTFENCE" env --config some.ini spawn 2>errors >/dev/null
	grep -qF "$text" errors
	ns "$PORTFENCE" check some.ini >said
	grep -qF "some.ini: warning: everybody could replace this file 'some.ini', as '$PWD/some.ini' is open" said
	run ns "$PORTFENCE" check --strict some.ini
	[ "$status" = 1 ]
	[ "$(ns "$PORTFENCE" check --json some.ini | python3 -c 'import json, sys
print([f["level"] for f in json.load(sys.stdin)["findings"] if f["kind"] == "rights"])')" = "['warning']" ]
}
