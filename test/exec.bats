#!/usr/bin/env bats
#
# What a fenced program starts stays fenced, however it is started and whatever environment it is
# given; and beyond that nothing is added, changed or lost.

bats_require_minimum_version 1.5.0
load lib/helpers

RANGE=20000-20099
EXECS="execve execv execvp execvpe execl execlp execle execveat fexecve"
SPAWNS="posix_spawn posix_spawnp"
SHELLS="system popen"

setup() {
	common_setup
	PATH=$PROBES:$PATH
	# the stand-in for a library that the program wants to have preloaded
	other=$BATS_TEST_TMPDIR/other.so
}

build_other() {
	printf '#include <unistd.h>\n__attribute__((constructor)) static void f(void) { write(1, "other is here\\n", 14); }' |
		cc -w -shared -fPIC -o "$other" -x c -
}

# spawn FROM METHOD ENVIRONMENT [NAME=VALUE...]: see probes/spawn.c
spawn() {
	ns "$PORTFENCE" run --range "$RANGE" -- spawn "$@"
}

ports() {
	sed -nE 's/^(port|connected) //p' "$@"
}

# What the fence adds to an environment without it.
own() {
	printf 'variable %s\n' "LD_PRELOAD=$LIBRARY" PORTFENCE_APP=spawn "PORTFENCE_RANGE=$RANGE" \
		"PORTFENCE_RULE=4 ..." "PORTFENCE_STATE=$PORTFENCE_STATE"
}

# Variables of the child; the shell between adds some of its own, and drops what is none. What the
# rule handed over says is shown by the child's ports.
variables() {
	grep '^variable' "$1" | grep -vE '^variable (PWD|OLDPWD|SHLVL|_)=' |
		sed -E 's/^(variable PORTFENCE_RULE=4 ).*/\1.../' | sort
}

arguments() {
	printf 'argument %s\n' "$1" child '' 'two words' -- '*'
}

# fenced FILE [VARIABLE...]: two ports in range, those variables and ours, the arguments untouched
fenced() {
	local file=$1 name="odd name"
	shift
	[ "$(ports "$file" | wc -l)" = 2 ]
	ports "$file" | all_within 20000 20099
	diff <({ printf 'variable %s\n' "$@"; own; } | grep . | grep -vx 'variable ' | sort) <(variables "$file")
	if [[ " $SHELLS " = *" $method "* ]]; then
		name=$PROBES/spawn
	fi
	diff <(arguments "$name") <(grep ^argument "$file")
	if grep -q 'status' "$file"; then
		return 1
	fi
}

# Every way to start a program from FROM, each with an environment of its own.
each() {
	local from=$1 methods=$2
	shift 2
	for method in $methods; do
		echo "$from $method $*"
		spawn "$from" "$method" "$@" >said
		fenced said "${wanted[@]}"
	done
}

# --- each way

@test "exec with an environment of its own stays fenced, with that environment and no more than ours" {
	wanted=(FRUIT=apple 'EMPTY=' 'SPACE=a b=c')
	each direct "$EXECS" list "${wanted[@]}"
}

@test "exec without any environment stays fenced" {
	wanted=()
	each direct "$EXECS" empty
	each direct "${EXECS% fexecve}" null
}

@test "exec in a forked child stays fenced" {
	wanted=(FRUIT=apple)
	each fork "$EXECS" list FRUIT=apple
	grep -qx 'parent unchanged' said
	wanted=()
	each fork "${EXECS% fexecve}" null
}

@test "exec between vfork and exec stays fenced, and leaves no trace in the parent's memory" {
	wanted=(FRUIT=apple)
	for method in $EXECS; do
		spawn vfork "$method" list FRUIT=apple >said
		fenced said "${wanted[@]}"
		[ "$(grep ^parent said)" = 'parent unchanged' ]
		# libc's refuses it
		[ "$method" != fexecve ] || continue
		spawn vfork "$method" null >said
		fenced said
		[ "$(grep ^parent said)" = 'parent unchanged' ]
	done
}

@test "exec in a clone that shares its parent's memory stays fenced, and leaves no trace there" {
	for method in $EXECS; do
		spawn clone "$method" list FRUIT=apple "LD_PRELOAD=/none.so" >said 2>/dev/null
		ports said | all_within 20000 20099
		[ "$(grep ^parent said)" = 'parent unchanged' ]
	done
}

@test "exec in a thread stays fenced" {
	wanted=(FRUIT=apple)
	each thread "$EXECS" list FRUIT=apple
}

@test "posix_spawn stays fenced, and leaves no trace in the parent's memory" {
	for from in direct fork thread; do
		wanted=(FRUIT=apple)
		each "$from" "$SPAWNS" list FRUIT=apple
		wanted=()
		each "$from" "$SPAWNS" empty
		each "$from" "$SPAWNS" null
	done
	for method in $SPAWNS; do
		spawn direct "$method" list FRUIT=apple >said
		[ "$(grep ^parent said)" = 'parent unchanged' ]
	done
}

@test "system and popen stay fenced where the program has emptied its environment" {
	for from in direct fork thread; do
		wanted=(FRUIT=apple)
		each "$from" "$SHELLS" list FRUIT=apple
		wanted=()
		each "$from" "$SHELLS" empty
		each "$from" "$SHELLS" null
	done
}

@test "an environment that lacks nothing is passed on as it is, in its order" {
	for method in $EXECS $SPAWNS; do
		ns env -i PATH="$PATH" LD_PRELOAD="$LIBRARY" PORTFENCE_RANGE="$RANGE" FRUIT=apple \
			PORTFENCE_STATE="$PORTFENCE_STATE" spawn direct "$method" same >said
		ports said | all_within 20000 20099
		diff <(printf 'variable %s\n' PATH="$PATH" LD_PRELOAD="$LIBRARY" PORTFENCE_RANGE="$RANGE" \
			FRUIT=apple PORTFENCE_STATE="$PORTFENCE_STATE") <(grep ^variable said)
	done
}

@test "entries that are no variables, and names given twice, are passed on as they are" {
	method=execve
	wanted=(NOTHING '=x' FRUIT=apple FRUIT=pear 'LD_PRELOADED=no' 'PORTFENCE_RANGES=no')
	each direct execve list "${wanted[@]}"
	each direct posix_spawn list "${wanted[@]}"
	# in the order in which they were given
	diff <(printf 'variable %s\n' "${wanted[@]}") <(grep ^variable said | head -n "${#wanted[@]}")
}

# --- LD_PRELOAD

@test "another library that the environment wants preloaded stays, behind ours" {
	build_other
	for method in $EXECS $SPAWNS; do
		spawn direct "$method" list "LD_PRELOAD=$other" FRUIT=apple >said
		ports said | all_within 20000 20099
		grep -qx 'other is here' said
		diff <({ printf 'variable %s\n' FRUIT=apple; own; } |
			sed "s|^variable LD_PRELOAD=.*|&:$other|" | sort) <(variables said)
	done
	for method in $SHELLS; do
		spawn direct "$method" list "LD_PRELOAD=$other" >said
		ports said | all_within 20000 20099
		grep -qx "variable LD_PRELOAD=$LIBRARY:$other" said
	done
}

@test "an LD_PRELOAD that names our library is not changed" {
	for list in "$LIBRARY" "/none.so:$LIBRARY" "$LIBRARY /none.so"; do
		spawn direct execve list "LD_PRELOAD=$list" >said 2>/dev/null
		ports said | all_within 20000 20099
		grep -qx "variable LD_PRELOAD=$list" said
	done
}

@test "an LD_PRELOAD whose libraries only sound like ours is not taken for it" {
	for list in "$LIBRARY.old" /none/xlibportfence.so "/none.so:$LIBRARY-1" ''; do
		for method in execve posix_spawn system; do
			spawn direct "$method" list "LD_PRELOAD=$list" >said 2>/dev/null
			ports said | all_within 20000 20099
			grep -qx "variable LD_PRELOAD=$LIBRARY:$list" said
		done
	done
}

@test "of several LD_PRELOADs the dynamic linker takes the last, and that one names us" {
	build_other
	for method in execve posix_spawn; do
		spawn direct "$method" list LD_PRELOAD=/none.so FRUIT=apple "LD_PRELOAD=$other" >said 2>/dev/null
		grep -qx 'other is here' said
		ports said | all_within 20000 20099
		spawn direct "$method" list "LD_PRELOAD=$LIBRARY" "LD_PRELOAD=$other" >said
		grep -qx 'other is here' said
		ports said | all_within 20000 20099
		spawn direct "$method" list "LD_PRELOAD=$other" "LD_PRELOAD=$LIBRARY" >said
		ports said | all_within 20000 20099
		[ "$(grep -c '^variable LD_PRELOAD=' said)" = 2 ]
	done
}

@test "a relative path to our library is made absolute for a child that runs elsewhere" {
	cp "$LIBRARY" .
	ns env LD_PRELOAD=./libportfence.so PORTFENCE_RANGE="$RANGE" \
		env -i -C / "$PROBES/spawn" child >said
	ports said | all_within 20000 20099
	grep -qx "variable LD_PRELOAD=$PWD/./libportfence.so" said
}

@test "a program that is linked with the library, not preloaded with it, passes nothing on" {
	# shellcheck disable=SC2016 # $ORIGIN is the dynamic linker's
	cc -D_GNU_SOURCE -w -pthread -o linked "$BATS_TEST_DIRNAME/probes/spawn.c" -Wl,--no-as-needed \
		"$LIBRARY" -Wl,-rpath,"$(dirname "$LIBRARY")"
	ns env PORTFENCE_RANGE="$RANGE" ./linked fork execve list FRUIT=apple >said
	[ "$(grep ^variable said)" = 'variable FRUIT=apple' ]
	ns env PORTFENCE_RANGE="$RANGE" ./linked child | ports | all_within 20000 20099
}

# --- size

@test "an environment of 10,000 variables arrives whole" {
	for from in direct vfork; do
		for method in execve execle execvpe; do
			spawn "$from" "$method" many >said
			ports said | all_within 20000 20099
			[ "$(grep -c '^variable VARIABLE_' said)" = 10000 ]
			diff <(own | sort) <(variables said | grep -v '^variable VARIABLE_')
		done
	done
	for method in $SPAWNS $SHELLS; do
		spawn direct "$method" many >said
		ports said | all_within 20000 20099
		[ "$(grep -c '^variable VARIABLE_' said)" = 10000 ]
	done
}

@test "a thread with the smallest stack can start a program with a small environment" {
	wanted=(FRUIT=apple)
	each small "$EXECS $SPAWNS $SHELLS" list FRUIT=apple
}

@test "a thread with the smallest stack can start a program with 10,000 variables" {
	for method in execve posix_spawn posix_spawnp; do
		# without the fence it can
		ns spawn small "$method" many >said
		[ "$(grep -c '^variable VARIABLE_' said)" = 10000 ]
		spawn small "$method" many >said
		ports said | all_within 20000 20099
		[ "$(grep -c '^variable VARIABLE_' said)" = 10000 ]
	done
}

@test "a thread with the smallest stack can pass on 10,000 variables of its own" {
	for method in execve execv posix_spawn; do
		# shellcheck disable=SC2016 # perl expands it
		ns "$PORTFENCE" run --range "$RANGE" -- perl -e \
			'$ENV{"VARIABLE_$_"} = $_ for 1 .. 10000; exec @ARGV' spawn small "$method" same >said
		ports said | all_within 20000 20099
		[ "$(grep -c '^variable VARIABLE_' said)" = 10000 ]
	done
}

# --- programs

@test "env -i, env -u and a shell that unsets our variables do not leave the fence" {
	for command in 'env -i' 'env -u LD_PRELOAD' 'env -u PORTFENCE_RANGE -u PORTFENCE_APP' \
		'env -u LD_PRELOAD -u PORTFENCE_RANGE'; do
		# shellcheck disable=SC2086 # a list of words
		ns "$PORTFENCE" run --range "$RANGE" -- $command "$PROBES/spawn" child |
			ports | all_within 20000 20099
	done
	# shellcheck disable=SC2016 # the inner shell expands it
	for command in 'unset LD_PRELOAD PORTFENCE_RANGE; exec "$0" child' 'exec -c "$0" child' \
		'LD_PRELOAD= "$0" child'; do
		ns "$PORTFENCE" run --range "$RANGE" -- bash -c "$command" "$PROBES/spawn" |
			ports | all_within 20000 20099
	done
}

@test "grandchildren stay fenced, each with a fresh environment" {
	ns "$PORTFENCE" run --range "$RANGE" -- env -i /bin/sh -c \
		"/usr/bin/env -i /bin/sh -c '/usr/bin/env -i $PROBES/spawn fork execve null; :'; :" |
		ports | all_within 20000 20099
}

@test "python's subprocess with an empty environment stays fenced" {
	for arguments in 'env={}' 'env={}, close_fds=False' 'env={}, start_new_session=True' \
		'env={"LD_PRELOAD": ""}' 'env={}, preexec_fn=lambda: None' 'env={}, cwd="/"'; do
		ns "$PORTFENCE" run --range "$RANGE" -- python3 -c \
			"import subprocess, sys; subprocess.run([sys.argv[1], 'child'], $arguments)" \
			"$PROBES/spawn" | ports | all_within 20000 20099
	done
	ns "$PORTFENCE" run --range "$RANGE" -- python3 -c \
		'import os, sys; os.environ.clear(); os.system(sys.argv[1] + " child")' \
		"$PROBES/spawn" | ports | all_within 20000 20099
}

@test "perl's exec and system with an empty environment stay fenced" {
	# shellcheck disable=SC2016 # perl expands it
	for code in '%ENV = (); exec @ARGV' '%ENV = (); system @ARGV' '%ENV = (); print `$ARGV[0] child`'; do
		ns "$PORTFENCE" run --range "$RANGE" -- perl -e "$code" "$PROBES/spawn" child |
			ports | all_within 20000 20099
	done
}

@test "a script without '#!' is run by the shell, with a fresh environment, too" {
	printf '%s child\n' "$PROBES/spawn" >script
	chmod +x script
	ns "$PORTFENCE" run --range "$RANGE" -- env -i ./script | ports | all_within 20000 20099
}

@test "a program that no section fits passes the fence on" {
	# the child's own command line, so neither env nor the spawn that starts it
	printf '[child]\nrange = 21000-21099\nargs = */spawn child, */spawn child *, odd name child *\n' >some.ini
	ns env LD_PRELOAD="$LIBRARY" PORTFENCE_CONFIG="$PWD/some.ini" env -i "$PROBES/spawn" child |
		ports | all_within 21000 21099
	for method in ${EXECS% fexecve} $SPAWNS $SHELLS; do
		ns env LD_PRELOAD="$LIBRARY" PORTFENCE_CONFIG="$PWD/some.ini" spawn fork "$method" null |
			ports | all_within 21000 21099
	done
	ns env LD_PRELOAD="$LIBRARY" PORTFENCE_CONFIG="$PWD/some.ini" perl -MSocket -e '
		socket(S, AF_INET, SOCK_DGRAM, 0) and bind(S, sockaddr_in(0, INADDR_LOOPBACK)) or die;
		print +(sockaddr_in(getsockname(S)))[0], "\n"' | all_within 32768 60999
}

@test "a child with a fresh environment finds the file that its parent's folders led to" {
	mkdir -p "$XDG_CONFIG_HOME" home/.config
	printf '[spawn]\nrange = 22000-22099\n' >"$XDG_CONFIG_HOME/portfence.ini"
	printf '[spawn]\nrange = 23000-23099\n' >home/.config/portfence.ini
	ns env LD_PRELOAD="$LIBRARY" env -i "$PROBES/spawn" child >said
	ports said | all_within 22000 22099
	grep -qx "variable PORTFENCE_CONFIG=$XDG_CONFIG_HOME/portfence.ini" said
	ns env -u XDG_CONFIG_HOME HOME="$PWD/home" LD_PRELOAD="$LIBRARY" \
		env -i "$PROBES/spawn" child | ports | all_within 23000 23099
	# a relative one, for a child that runs elsewhere
	printf '[spawn]\nrange = 24000-24099\n' >here.ini
	ns env LD_PRELOAD="$LIBRARY" PORTFENCE_CONFIG=./here.ini env -i -C / "$PROBES/spawn" child |
		ports | all_within 24000 24099
}

@test "a variable of the fence that the program sets itself is kept" {
	ns "$PORTFENCE" run --range "$RANGE" -- env -i PORTFENCE_RANGE=25000-25009 \
		"$PROBES/spawn" child | ports | all_within 25000 25009
	ns "$PORTFENCE" run --range "$RANGE" --order sequential -- env -i PORTFENCE_ORDER=random \
		PORTFENCE_LOG=stderr "$PROBES/spawn" child >said 2>log
	grep -qx 'variable PORTFENCE_ORDER=random' said
	[ "$(wc -l <log)" = 2 ]
}

@test "all of portfence's variables are carried on" {
	printf '[spawn]\nrange = 26000-26099\n' >some.ini
	ns "$PORTFENCE" run --config some.ini --app spawn --range "$RANGE" --order sequential --seed 3 \
		--log "$PWD/log" -- env -i "$PROBES/spawn" child >said
	diff <(printf 'variable %s\n' LD_PRELOAD="$LIBRARY" PORTFENCE_APP=spawn \
		PORTFENCE_CONFIG="$PWD/some.ini" PORTFENCE_LOG="$PWD/log" PORTFENCE_ORDER=sequential \
		PORTFENCE_RANGE="$RANGE" 'PORTFENCE_RULE=4 ...' PORTFENCE_SEED=3 \
		PORTFENCE_STATE="$PORTFENCE_STATE") \
		<(variables said)
}

@test "a start that fails does so as without the fence" {
	mkdir folder
	cp /bin/true plain-file
	chmod 644 plain-file
	printf '\177ELF broken' >broken
	chmod +x broken
	cat >fails.py <<-'END'
		import os
		for name in "./none", "./folder", "./plain-file", "./broken", "", "x" * 5000:
		    for start in (lambda: os.execve(name, ["x"], {}), lambda: os.execvpe(name, ["x"], {"PATH": ""}),
		                  lambda: os.posix_spawn(name, ["x"], {})):
		        try:
		            start()
		        except OSError as error:
		            print(name[:20], error.errno)
	END
	ns python3 fails.py >plain
	[ "$(wc -l <plain)" = 18 ]
	diff plain <(ns "$PORTFENCE" run --range "$RANGE" -- python3 fails.py)
}

# --- rights

# told OPTION...: how often a run of another user is told that a program of it gains no rights
told() {
	ns "${AS_NOBODY[@]}" "$install/portfence" run "$@" -- bash -c "$install/gains; PATH=$install:\$PATH
		gains; sh -c '$install/gains; true'; env -i $install/gains; python3 -c '
import subprocess
subprocess.run([\"$install/gains\"])'; true" 2>errors
	grep -c "portfence\[.*\] bash: warning: '$install/gains' gains no rights here, though it is setuid: a run \
without root that has a supervisor takes no_new_privs; use '--via preload'$" errors || true
	[ "$(wc -l <errors)" = "$(grep -c 'gains no rights here' errors)" ]
}

@test "a setuid program that gains no rights inside is reported once, with the way out" {
	needs_suid
	install_for_all
	chmod 1777 "$PORTFENCE_STATE"
	cp /bin/true "$install/gains"
	chmod 4755 "$install/gains"
	for way in '' '--via both'; do
		# shellcheck disable=SC2086 # a list of words
		[ "$(told --range "$RANGE" $way)" = 1 ]
	done
	[ "$(told --range "$RANGE" --via preload)" = 0 ]
	[ "$(told --lease 10 --via preload)" = 0 ]
	# who may do so anyway loses nothing
	AS_NOBODY=()
	[ "$(told --range "$RANGE")" = 0 ]
}

@test "authbind: its helper has its rights with --via preload, and otherwise it is said why it has none" {
	skip_missing authbind
	needs_suid
	install_for_all
	chmod 1777 "$PORTFENCE_STATE"
	allowed() {
		ns unshare -m bash -c 'mount -t tmpfs none /etc/authbind/byport && install -m 777 /dev/null /etc/authbind/byport/80 &&
			exec setpriv --reuid 65534 --regid 65534 --clear-groups "$@"' _ "$install/portfence" run --range "$RANGE" "$@" -- \
			authbind --deep python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 80)); print(s.getsockname()[1])'
	}
	run allowed --via preload
	[ "$output" = 80 ]
	for way in auto both; do
		run allowed --via "$way"
		[[ "${lines[0]}" = *" authbind: warning: '"*"/helper' gains no rights here, though it is setuid: "*"; use '--via preload'" ]]
		[[ "${lines[-1]}" = *'Permission denied' ]]
	done
}
