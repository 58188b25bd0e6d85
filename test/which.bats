#!/usr/bin/env bats
#
# `portfence which`: the section of a command and why it is that one, what it gets, and whether a
# preload reaches it; with real programs of each kind, and held against what `portfence run` does.

bats_require_minimum_version 1.5.0
load lib/helpers
load lib/which

setup() {
	common_setup
	install_for_all
	ns sysctl -qw net.ipv4.ip_local_port_range='32768 60999'
	cp "$PROBES/spawn" "$install/spawn"
	linker=$(readelf -l /bin/true | sed -n 's/.*interpreter: \(.*\)]$/\1/p')
	bits=$(getconf LONG_BIT)
	REACHED="reaches it: $bits-bit, dynamically linked with glibc ($linker)"
	shell=$(readlink -f /bin/sh)
}

# reaches [OPTION...] -- COMMAND...
reaches() {
	answers 0 --range 20000-20099 -- "$@"
	[ "${lines[0]}" = "'$1' falls under [$(basename "$1")], and a preload reaches it" ]
}

# --- sections

@test "a section is found by name, match, args, [*], --app or PORTFENCE_APP, and the answer says how" {
	cp "$install/spawn" "$install/other-name"
	ln -s spawn "$install/by-link"
	cat >which.ini <<-END
		[spawn]
		range = 20000-20099
		[globs]
		match = nothing, $install/other*
		range = 21000-21099
		[names]
		match = t[r]ue
		args  = *never*, *two*
		range = 22000-22099
		[lines]
		args = * --this-one
		range = 23000-23099
		[app]
		match = nothing
		range = 24000-24099
		[*]
		range = 25000-25099
	END
	at="in $PWD/which.ini:"
	answers 0 --config which.ini "$install/spawn"
	[ "${lines[0]}" = "'$install/spawn' falls under [spawn], and a preload reaches it" ]
	line section "[spawn] ${at}1, as its name is 'spawn'"
	line program "$install/spawn"
	line preload "$REACHED"
	answers 0 --config which.ini "$install/by-link"
	line section "[spawn] ${at}1, as its name is 'spawn'"
	line program "$install/spawn, started as $install/by-link"
	answers 0 --config which.ini "$install/other-name"
	line section "[globs] ${at}3, as its path '$install/other-name' fits 'match = $install/other*'"
	answers 0 --config which.ini true one two
	line section "[names] ${at}6, as its name 'true' fits 'match = t[r]ue' and its command line fits 'args = *two*'"
	answers 0 --config which.ini -- true --this-one
	line section "[lines] ${at}10, as its command line fits 'args = * --this-one'"
	answers 0 --config which.ini true
	line section "[*] ${at}16, as no other section of $PWD/which.ini fits it"
	line range "25000-25099 (100 ports)"
	answers 0 --config which.ini --app app true
	line section "[app] ${at}13, as '--app' names it"
	export PORTFENCE_CONFIG=which.ini PORTFENCE_APP=app
	answers 0 true
	line section "[app] in which.ini:13, as PORTFENCE_APP names it"
	unset PORTFENCE_APP
	answers 0 --range 26000+10 "$install/spawn"
	line section "[spawn] in which.ini:1, as its name is 'spawn'"
	line range "26000-26009 (10 ports)"
}

@test "a range that is not from a file is shown as the option's or the variable's" {
	needs_no /etc/portfence.ini
	answers 0 --range 20000 true
	line section "[true], not from a file, as '--range' gives its range"
	line range "20000 (1 port)"
	PORTFENCE_RANGE=20000-20001 PORTFENCE_APP=named answers 0 true
	line section "[named], not from a file, as PORTFENCE_RANGE gives its range"
	line range "20000-20001 (2 ports)"
}

@test "a command that falls under no section is not fenced, and the answer says why" {
	needs_no /etc/portfence.ini
	printf '[curl]\nrange = 20000\n' >curl.ini
	answers 1 --config curl.ini true
	[ "${lines[0]}" = "'true' falls under no section and is left alone" ]
	line section "none, as no section of $PWD/curl.ini fits it, and there is no [*]; add one, or use --app or \
--range"
	line preload "$REACHED"
	line range ''
	answers 1 true
	line section "none, as there is no configuration file; add one, or use --app or --range"
}

# --- what it gets

@test "ranges are shown by protocol if they differ" {
	printf '[true]\nrange = 20000-20009, 20020\nudp.range = 21000+5\n' >ranges.ini
	answers 0 --config ranges.ini true
	line range "tcp, sctp: 20000-20009, 20020 (11 ports)
udp: 21000-21004 (5 ports)"
	printf 'sctp.range = 22000\ntcp.range = 23000\n' >>ranges.ini
	answers 0 --config ranges.ini true
	line range "tcp: 23000 (1 port)
udp: 21000-21004 (5 ports)
sctp: 22000 (1 port)"
}

@test "the order is the one that the engine goes by" {
	answers 0 --range 20000-20009 true
	line order "double-hash for tcp connects, random for other calls"
	line engine "every call gets the bind engine, as 20000-20009 is not within the system's ephemeral range \
32768-60999"
	answers 0 --range 40000-40009 true
	line order "the kernel's own for tcp connects, random for other calls"
	line engine "tcp connects get the kernel engine, as 40000-40009 is one interval within the system's ephemeral \
range and no port of it is reserved; other tcp calls, udp and sctp get the bind engine, as the kernel engine is \
the faster one for tcp connects alone"
	answers 0 --range 40000-40009 --order sequential --seed 18446744073709551615 true
	line order "sequential, seed 18446744073709551615"
	line engine "every call gets the bind engine, as the kernel has an order of its own, not 'sequential'"
	printf '[true]\nrange = 40000-40009\nengine = kernel\n' >kernel.ini
	answers 0 --config kernel.ini true
	line order "the kernel's own"
	line engine "every call gets the kernel engine, as 'engine = kernel' asks for it"
}

@test "what becomes of MPTCP sockets is told" {
	needs_mptcp
	printf '[true]\nrange = 40000-40009\n' >mptcp.ini
	answers 0 --config mptcp.ini true
	line mptcp 'further subflows of mptcp sockets stay in the range'
	answers 0 --range 20000-20009 true
	line mptcp "mptcp sockets are made plain tcp, as their further subflows would leave the range: 20000-20009 is not \
within the system's ephemeral range 32768-60999"
	printf '[true]\nrange = 20000\nmptcp = refuse\n' >mptcp.ini
	answers 0 --config mptcp.ini true
	[[ "$output" == *'mptcp sockets are refused, as'* ]]
}

@test "an engine that cannot serve leaves a command without ports" {
	printf '[true]\nrange = 40000-40009\nudp.range = 20000-20009\nengine = kernel\n' >kernel.ini
	answers 1 --config kernel.ini true
	[ "${lines[0]}" = "'true' falls under [true], but would get no ports" ]
	line engine "'engine = kernel' cannot serve udp: 20000-20009 is not within the system's ephemeral range \
32768-60999; use 'engine = auto'"
	run -125 ns "$PORTFENCE" run --config kernel.ini -- true
}

@test "the answer is what the command then gets" {
	cat >truth.ini <<-END
		[bash]
		range = 20000-20009
		[spawn]
		range = 40000-40009
		order = sequential
	END
	for command in "$install/spawn" bash; do
		answers 0 --config truth.ini --json -- "$command"
		first=$(field "answer['section']['calls']['tcp']['range'].split('-')[0]")
		engine=$(field "answer['section']['calls']['tcp']['engine']")
		[ "$command" = bash ] || {
			ns "$PORTFENCE" run --config truth.ini --log stderr -- "$command" child >said 2>&1
			sed -n 's/^port //p' said | all_within "$first" $((first + 9))
			grep -q " engine=$engine " said
			continue
		}
		ns "$PORTFENCE" run --config truth.ini -- bash -c "$install/spawn child" |
			sed -n 's/^port //p' | all_within "$first" $((first + 9))
	done
}

# --- whether a preload reaches it

@test "a dynamic program is reached, wherever along PATH it is" {
	reaches true
	line preload "$REACHED"
	PATH=$install:$PATH reaches spawn
	line program "$install/spawn"
	cd "$install"
	reaches ./spawn
	line program "$install/spawn, started as ./spawn"
}

@test "a static program is not reached" {
	skip_missing busybox
	path=$(command -v busybox)
	unreached "'$path' is statically linked, so no library can be preloaded into it" \
		"use a dynamically linked build of it" busybox
	answers 0 --range 20000 busybox
	line program "$path"
}

@test "a program of another word size is not reached" {
	cp /bin/true other
	if [ "$bits" = 64 ]; then
		patch other 4 1
		sizes="32-bit program and this is the 64-bit"
	else
		patch other 4 2
		sizes="64-bit program and this is the 32-bit"
	fi
	unreached "'./other' is a $sizes portfence" "install portfence for its word size" ./other
	answers 0 --range 20000 --json ./other
	[ "$(field "answer['bits']")" = $((96 - bits)) ]
}

@test "a program for another machine is not reached" {
	cp /bin/true other
	patch other 18 22 0 # EM_S390, which is none of ours
	refuses "'./other' is a program for another machine than this portfence; install portfence for that machine" \
		./other
}

@test "a setuid program is reached for its owner alone, and both users are told so" {
	needs_suid
	chmod 4755 "$install/spawn"
	reaches "$install/spawn"
	line preload "$REACHED
for you, but not for other users: it is setuid"
	run -1 as_nobody "$PORTFENCE" which --range 20000 "$install/spawn"
	line preload "does not reach it: '$install/spawn' cannot be fenced: it is setuid, and the dynamic linker preloads \
nothing into such a program; run it as the user that it becomes"
	chmod 2755 "$install/spawn"
	reaches "$install/spawn"
	line preload "$REACHED
for you, but not for other users: it is setgid"
}

@test "a program with file capabilities is reached for root alone" {
	needs_file_capabilities
	setcap cap_net_bind_service+ep "$install/spawn"
	reaches "$install/spawn"
	line preload "$REACHED
for you, but not for other users: it has file capabilities"
	run -1 as_nobody "$PORTFENCE" which --range 20000 "$install/spawn"
	line preload "does not reach it: '$install/spawn' cannot be fenced: it has file capabilities, and the dynamic \
linker preloads nothing into such a program; run it as the user that it becomes"
	run -1 as_nobody "$PORTFENCE" which --json --range 20000 "$install/spawn"
	[ "$(field "answer['gains_rights']")" = "it has file capabilities" ]
	[ "$(field "answer['preload']")" = False ]
}

@test "a script is reached if its interpreter is, however many are between" {
	printf '#!/bin/sh\n' >"$install/one"
	printf '#!%s -x\n' "$install/one" >"$install/two"
	printf 'echo no first line\n' >"$install/three"
	chmod +x "$install/one" "$install/two" "$install/three"
	for script in one two three; do
		reaches "$install/$script"
		line program "$shell, which runs the script $install/$script"
		line preload "$REACHED"
	done
	skip_missing busybox
	path=$(command -v busybox)
	printf '#! %s sh\n' "$path" >"$install/four"
	chmod +x "$install/four"
	unreached "'$path' is statically linked, so no library can be preloaded into it" \
		"use a dynamically linked build of it" "$install/four"
	answers 0 --range 20000 "$install/four"
	line program "$path, which runs the script $install/four"
	printf '#!%s\n' "$install/loop" >"$install/loop"
	chmod +x "$install/loop"
	refuses "'$install/loop' is a script whose interpreter is a script, too deep to follow" "$install/loop"
	answers 1 --range 20000 "$install/loop"
	line program "$install/loop"
}

@test "for a script that env starts, the answer says to ask for the interpreter as well" {
	printf '#!/usr/bin/env bash\n' >"$install/script"
	chmod +x "$install/script"
	reaches "$install/script"
	line preload "$REACHED
env starts another program, so ask for that one as well"
}

@test "a script's section is found by its own name and by its interpreter's, and by its arguments" {
	printf '#!/bin/sh\n' >"$install/job"
	chmod +x "$install/job"
	printf '[a]\nargs = *-v now\nrange = 20000\n[job]\nrange = 20001\n[b]\nmatch = %s\nrange = 20002\n' "$shell" \
		>script.ini
	answers 0 --config script.ini "$install/job" -v now
	line section "[a] in $PWD/script.ini:1, as its command line fits 'args = *-v now'"
	answers 0 --config script.ini "$install/job"
	line section "[job] in $PWD/script.ini:4, as its name is 'job'"
	sed -i 's/\[job\]/[other]/' script.ini
	answers 0 --config script.ini "$install/job"
	line section "[b] in $PWD/script.ini:6, as its path '$shell' fits 'match = $shell'"
}

@test "a program that may be executed but not read counts as not reached" {
	chmod 711 "$install/spawn"
	run -1 --separate-stderr as_nobody "$PORTFENCE" which --range 20000 "$install/spawn"
	line preload "does not reach it: '$install/spawn' cannot be read: Permission denied"
	line program "$install/spawn"
}

# --- failures

@test "a command that does not exist, or is not executable, is an error that says so" {
	for command in /nowhere/none none-such-program; do
		run -1 --separate-stderr ns "$PORTFENCE" which --range 20000 $command
		[ "$stderr" = "portfence: '$command' cannot be run: No such file or directory" ]
		[ -z "$output" ]
	done
	echo text >text
	run -1 --separate-stderr ns "$PORTFENCE" which --range 20000 ./text
	[ "$stderr" = "portfence: './text' cannot be run: Permission denied" ]
}

@test "a mistake in the configuration is reported in the words of run" {
	printf '[true]\nrange = 2-1\n' >bad.ini
	run -1 --separate-stderr ns "$PORTFENCE" which --config bad.ini true
	[ "$stderr" = "portfence: $PWD/bad.ini:2: '2-1' is reversed, write the lower port first" ]
	[ -z "$output" ]
	printf '[true]\nrange = 20000\n' >good.ini
	run -1 --separate-stderr ns "$PORTFENCE" which --config good.ini --app nobody true
	[ "$stderr" = "portfence: there is no section [nobody] in $PWD/good.ini" ]
	run -2 --separate-stderr ns "$PORTFENCE" which
	[ "$stderr" = "portfence: there is no command to look at, see 'portfence which --help'" ]
	run -2 ns "$PORTFENCE" which --jsn true
}

@test "without the library there is no answer" {
	needs_no /usr/local/lib/libportfence.so
	rm "$install/libportfence.so"
	run -1 --separate-stderr ns "$PORTFENCE" which --range 20000 true
	[ "$stderr" = "portfence: the library '/usr/local/lib/libportfence.so' cannot be read: No such file or \
directory" ]
}

@test "--json has all that the text has" {
	printf '[true]\nrange = 20000-20001, 20010\nudp.range = 40000-40009\nseed = 42\n' >json.ini
	answers 0 --config json.ini --json true
	diff <(python3 -c 'import json, sys; print(json.dumps(json.load(sys.stdin), indent=1, sort_keys=True))' <<<"$output") \
		- <<-END
		{
		 "bits": $bits,
		 "command": "true",
		 "executable": "$(readlink -f "$(type -P true)")",
		 "fenced": true,
		 "format": 1,
		 "gains_rights": null,
		 "libc": "glibc",
		 "linker": "$linker",
		 "obstacle": null,
		 "path": "$(type -P true)",
		 "preload": true,
		 "script": false,
		 "section": {
		  "bind": {
		   "kernel_enforced": false,
		   "obstacle": null,
		   "policy": "allow"
		  },
		  "calls": {
		   "sctp": {
		    "engine": "bind",
		    "order": "random",
		    "ports": 3,
		    "range": "20000-20001, 20010",
		    "why": "the kernel engine is the faster one for tcp connects alone"
		   },
		   "tcp": {
		    "engine": "bind",
		    "order": "random",
		    "ports": 3,
		    "range": "20000-20001, 20010",
		    "why": "the kernel engine is the faster one for tcp connects alone"
		   },
		   "tcp_connect": {
		    "engine": "bind",
		    "order": "double-hash",
		    "ports": 3,
		    "range": "20000-20001, 20010",
		    "why": "the kernel draws its own random numbers, without a seed"
		   },
		   "udp": {
		    "engine": "bind",
		    "order": "random",
		    "ports": 10,
		    "range": "40000-40009",
		    "why": "the kernel engine is the faster one for tcp connects alone"
		   }
		  },
		  "file": "$PWD/json.ini",
		  "lease": null,
		  "line": 1,
		  "map": null,
		  "mptcp": "tcp",
		  "name": "true",
		  "seed": "42"
		 },
		 "via": "both",
		 "why": "its name is 'true'"
		}
	END
	answers 1 --config json.ini --json cat
	[ "$(field "[answer['fenced'], answer['section'], answer['why']]")" = "[False, None, 'no section of \
$PWD/json.ini fits it, and there is no [*]']" ]
	answers 0 --range 20000 --json true
	[ "$(field "[answer['section']['file'], answer['section']['line'], answer['section']['seed']]")" = \
		"[None, None, None]" ]
	name=$(printf 'a\xe9')
	cp /bin/true "$name"
	# a byte that is not UTF-8 becomes U+FFFD
	run -0 --separate-stderr ns "$PORTFENCE" which --range 20000 --json "./$name"
	[ "$stderr" = "" ]
	python3 -c 'import json, sys; assert json.load(sys.stdin)["command"] == "./a\ufffd"' <<<"$output"
}

@test "colours are for terminals only" {
	unset NO_COLOR
	printf '[none]\nrange = 20000\n' >none.ini
	on_terminal() {
		TERM=xterm python3 -c '
import pty, sys
pty.spawn(sys.argv[1:])' "$@" </dev/null | tr -d '\r'
	}
	run -0 on_terminal "$PORTFENCE" which --config none.ini true
	[ "${lines[0]}" = "$(printf "'true' \e[1;33mfalls under no section and is left alone\e[0m")" ]
	[[ "$output" = *$'\n  \e[1msection \e[0m none, as '* ]]
	[ "$(NO_COLOR=1 on_terminal "$PORTFENCE" which --config none.ini true)" = \
		"$("$PORTFENCE" which --config none.ini true)" ]
	run -1 grep -q $'\e' <("$PORTFENCE" which --config none.ini true)
}

@test "what is no regular file is not opened: a script may name a FIFO as its interpreter, whose writer waits on" {
	mkfifo fifo
	printf '#!%s/fifo\n' "$PWD" >script
	chmod +x script
	answers 1 --range 20000-20099 -- ./script
	[[ "$output" = *"'$PWD/fifo' cannot be read: Permission denied"* ]]
	ns strace -f -o trace "$PORTFENCE" which --range 20000-20099 -- ./script >/dev/null || [ $? = 1 ]
	grep -F "$PWD/fifo" trace
	run ! grep -E "open.*$PWD/fifo.*O_NONBLOCK" trace
}
