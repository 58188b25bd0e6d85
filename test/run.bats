#!/usr/bin/env bats
#
# `portfence run`: options, exit status, what it refuses to run and why, and what the command and
# all that it starts find in their environment.

# shellcheck disable=SC2030,SC2031 # each test is a process of its own
bats_require_minimum_version 1.5.0
load lib/helpers

RANGE=20000-20099

# end COMMAND...: its $status, its standard $output and its $errors. Bats' own `run` complains of 127.
end() {
	status=0
	output=$("$@" 2>"$BATS_TEST_TMPDIR/errors") || status=$?
	errors=$(cat "$BATS_TEST_TMPDIR/errors")
}

setup() {
	common_setup
	install_for_all
}

# says STATUS TEXT COMMAND...: it ends with that status, and that is all that it prints.
says() {
	local status_wanted=$1 text=$2
	shift 2
	end ns "$@"
	if [ "$status" != "$status_wanted" ] || [ "$errors" != "$text" ] || [ -n "$output" ]; then
		printf 'wanted %s: %s\ngot    %s: %s\nstdout: %s\n' "$status_wanted" "$text" "$status" \
			"$errors" "$output"
		return 1
	fi
}

# A command of portfence's own that must not run: it would leave a file behind.
fenced() {
	ns "$PORTFENCE" run "$@"
}

# The port that a probe gets under these options, and the probe's variable $1.
port_of() {
	fenced "$@" -- "$PROBES/spawn" child | sed -n 's/^port //p'
}

variable_of() {
	local name=$1
	shift
	fenced "$@" -- "$PROBES/spawn" child | sed -n "s/^variable $name=//p"
}

write_sections() {
	cat >"$BATS_TEST_TMPDIR/sections.ini" <<-END
		[outer]
		match = never-run-under-this-name
		range = 21000-21099

		[inner]
		match = nor-under-this
		range = 22000-22099

		[spawn]
		range = 23000-23099

		[sh]
		match = sh, dash, bash
		range = 24000-24099
	END
	sections=$BATS_TEST_TMPDIR/sections.ini
}

# --- options

@test "--range alone needs no configuration" {
	port_of --range "$RANGE" | all_within 20000 20099
	port_of --range=20100-20199 | all_within 20100 20199
	port_of --range iana | all_within 49152 65535
	port_of --range '25000+10, 25500' --order sequential | all_within 25000 25000
}

@test "--range replaces the ranges of the section that fits" {
	write_sections
	port_of --config "$sections" | all_within 23000 23099
	port_of --config "$sections" --range "$RANGE" | all_within 20000 20099
}

@test "--config names the file, before PORTFENCE_CONFIG and the user's own" {
	write_sections
	mkdir -p "$XDG_CONFIG_HOME"
	printf '[spawn]\nrange = 26000-26099\n' >"$XDG_CONFIG_HOME/portfence.ini"
	printf '[spawn]\nrange = 27000-27099\n' >variable.ini
	port_of | all_within 26000 26099
	PORTFENCE_CONFIG=$PWD/variable.ini port_of | all_within 27000 27099
	PORTFENCE_CONFIG=$PWD/variable.ini port_of --config "$sections" | all_within 23000 23099
}

@test "--app names the section, whatever the command is called" {
	write_sections
	port_of --config "$sections" --app outer | all_within 21000 21099
	[ "$(variable_of PORTFENCE_APP --config "$sections" --app outer)" = outer ]
}

@test "--order and --seed reach the command" {
	[ "$(port_of --range "$RANGE" --order sequential)" = 20000 ]
	first=$(port_of --range 30000-39999 --seed 7)
	[ "$(port_of --range 30000-39999 --seed 7)" = "$first" ]
	[ "$(port_of --range 30000-39999 --seed 8)" != "$first" ]
}

@test "--log writes a line for each port: on standard error, in a file, as JSON" {
	fenced --range "$RANGE" --log stderr -- "$PROBES/spawn" child 2>errors
	grep -q ' spawn: bind udp4 127.0.0.1:20[0-9]* engine=bind' errors
	fenced --range "$RANGE" --log "$PWD/text.log" -- "$PROBES/spawn" child
	grep -q ' spawn: bind udp4 127.0.0.1:20[0-9]* engine=bind' text.log
	fenced --range "$RANGE" --log "json:$PWD/json.log" -- "$PROBES/spawn" child
	grep -q '^{"time":.*"call":"bind"' json.log
}

@test "--help explains every option and the exit status" {
	end "$PORTFENCE" run --help
	[ "$status" = 0 ]
	[ -z "$errors" ]
	for option in --config --app --range --order --seed --log --help; do
		grep -qe "$option" <<<"$output"
	done
	grep -q 125 <<<"$output"
	[ "$("$PORTFENCE" run -h)" = "$output" ]
	[ "$("$PORTFENCE" run --range "$RANGE" -h)" = "$output" ]
}

@test "a relative --config holds for a command that goes elsewhere" {
	write_sections
	# shellcheck disable=SC2016 # the inner shell expands it
	fenced --config sections.ini --app outer -- sh -c 'cd / && exec "$0" child' "$PROBES/spawn" |
		sed -n 's/^port //p' | all_within 21000 21099
	[ "$(variable_of PORTFENCE_CONFIG --config sections.ini --app outer)" = "$PWD/sections.ini" ]
}

@test "a relative --log is a file in the folder that portfence was started in" {
	mkdir elsewhere
	# shellcheck disable=SC2016 # the inner shell expands it
	for log in a.log json:b.log ./c.log; do
		fenced --range "$RANGE" --log "$log" -- sh -c 'cd elsewhere && exec "$0" child' "$PROBES/spawn"
	done
	[ -s a.log ]
	[ -s b.log ]
	[ -s c.log ]
	[ "$(ls elsewhere)" = "" ]
}

@test "options end at the command or at '--', and the command's own are not eaten" {
	[ "$(fenced --range "$RANGE" -- echo --app x -h --range 1 -- y)" = "--app x -h --range 1 -- y" ]
	[ "$(fenced --range "$RANGE" echo -h --log x -- y)" = "-h --log x -- y" ]
	[ "$(fenced --range "$RANGE" -- printf '%s.' '' 'a b' '*')" = ".a b.*." ]
	says 127 "portfence: '-h' cannot be run: No such file or directory" \
		"$PORTFENCE" run --range "$RANGE" -- -h
}

# --- its own failures

@test "a wrong option is 125, and nothing is started" {
	see="see 'portfence run --help'"
	says 125 "portfence: there is no command to run, $see" "$PORTFENCE" run
	says 125 "portfence: there is no command to run, $see" "$PORTFENCE" run --range "$RANGE" --
	for option in --config --app --range --order --seed --log; do
		says 125 "portfence: option '$option' has an empty value, $see" \
			"$PORTFENCE" run "$option" '' -- touch started
		says 125 "portfence: option '$option' needs a value, $see" "$PORTFENCE" run "$option"
	done
	says 125 "portfence: there is no option '--rage'; did you mean '--range'?" \
		"$PORTFENCE" run --rage 1-2 -- touch started
	says 125 "portfence: there is no option '--port'; did you mean '--range'?" \
		"$PORTFENCE" run --port 2000 -- touch started
	says 125 "portfence: there is no option '-x', $see" "$PORTFENCE" run -x -- touch started
	[ ! -e started ]
}

@test "an option is no value of the option before it" {
	for option in --config --app --range --order --log --record --via --pool; do
		for next in -- -v --fresh; do
			says 125 "portfence: '$option' has no value, as '$next' follows (if it is the value, write \
$option=$next), see 'portfence run --help'" "$PORTFENCE" run "$option" "$next" touch started
		done
	done
	says 125 "portfence: --wait: '-1' is not a number of seconds from 0 to 86400" \
		"$PORTFENCE" run --lease 10 --wait -1 -- touch started
	[ -z "$(find . -mindepth 1 -maxdepth 1 \( -name '-*' -o -name 'started*' \))" ]
	end ns "$PORTFENCE" run --range "$RANGE" --log=-v -- bash -c 'exec 3<>/dev/udp/127.0.0.1/9'
	[ "$status" = 0 ]
	[ -s ./-v ]
}

@test "a match that fits no program is reported if the command has no section of its own" {
	printf '[one]\nmatch = bin/touch\nrange = 20000\n[two]\nmatch = no-such-program\nrange = 20001\n' >some.ini
	local put='is only for what --app or PORTFENCE_APP puts into it' warnings
	warnings="portfence: warning: $PWD/some.ini:2: no program on this machine fits 'match = bin/touch', \
so [one] $put (a path begins with '/' or '*')
portfence: warning: $PWD/some.ini:5: no program on this machine fits 'match = no-such-program', \
so [two] $put (names are looked up in PATH)"
	says 125 "$warnings
portfence: no section of $PWD/some.ini fits 'touch' and there is no [*]; add one, or use --app or --range" \
		"$PORTFENCE" run --config some.ini -- touch started
	# with [*], what is not on this machine is no mistake; what fits nowhere is
	printf '[*]\nrange = 20002\n' >>some.ini
	says 0 "${warnings%%$'\n'*}" "$PORTFENCE" run --config some.ini -- true
	printf '[true]\nrange = 20003\n' >>some.ini
	says 0 '' "$PORTFENCE" run --config some.ini -- true
	[ ! -e started ]
}

@test "a command whose sockets a running server makes is warned of, unless that is fenced" {
	skip_missing tmux
	export TMUX_TMPDIR=$BATS_TEST_TMPDIR
	fenced --range "$RANGE" -- tmux -L inside new-session -d 'sleep infinity' 3>&-
	inside=$(tmux -L inside display-message -p '#{pid}')
	PIDS+=("$inside")
	told() {
		fenced --range "$RANGE" -- tmux -L inside list-sessions -F x 2>&1 >/dev/null | sed -E 's/pid [0-9]+/pid N/'
	}
	# another user's servers, and those of other tests, may run as well
	if ! pgrep -x 'tmux: server' | grep -qvx "$inside"; then
		[ -z "$(told)" ]
	fi
	tmux -L outside new-session -d 'sleep infinity' 3>&-
	PIDS+=("$(tmux -L outside display-message -p '#{pid}')")
	[ "$(told)" = "portfence: warning: 'tmux' may leave its sockets to 'tmux: server' (pid N), which runs already \
and is not fenced; start a server of its own, with 'tmux -L NAME'" ]
}

@test "a wrong value is 125, and nothing is started" {
	says 125 "portfence: --range: '20099-20000' is reversed, write the lower port first" \
		"$PORTFENCE" run --range 20099-20000 -- touch started
	says 125 "portfence: --range: '0-5' holds port 0, ports are 1 to 65535" \
		"$PORTFENCE" run --range 0-5 -- touch started
	says 125 "portfence: --order: 'alphabetic' is no order, use one of: auto, sequential, \
random, random-simple, hash, double-hash, random-increments" \
		"$PORTFENCE" run --range "$RANGE" --order alphabetic -- touch started
	says 125 "portfence: --seed: '-1' is no seed, write a whole number from 0 to \
18446744073709551615" "$PORTFENCE" run --range "$RANGE" --seed -1 -- touch started
	says 125 "portfence: --log: 'json:' is no log, write stderr, syslog, journal, none or an absolute \
path, with 'json:' before it for JSON lines" \
		"$PORTFENCE" run --range "$RANGE" --log json: -- touch started
	[ ! -e started ]
}

@test "all mistakes of a configuration are reported with file and line, and nothing is started" {
	printf '[touch]\nrange = 1-0\norder = fast\n\n[other]\nrange = 20000-20009\ncolour = red\n' >bad.ini
	end fenced --config bad.ini -- touch started
	[ "$status" = 125 ]
	mapfile -t lines <<<"$errors"
	[ "${#lines[@]}" = 3 ]
	[[ "${lines[0]}" = "portfence: $PWD/bad.ini:2: "* ]]
	[[ "${lines[1]}" = "portfence: $PWD/bad.ini:3: 'fast' is no order"* ]]
	[[ "${lines[2]}" = "portfence: $PWD/bad.ini:7: unknown key 'colour' in [other]"* ]]
	says 125 "portfence: $PWD/none.ini: cannot be read: No such file or directory" \
		"$PORTFENCE" run --config none.ini -- touch started
	# a folder is read as its *.ini files, if there are any
	mkdir empty
	says 125 "portfence: $PWD/empty: cannot be read: Is a directory" \
		"$PORTFENCE" run --config "$PWD/empty" -- touch started
	[ ! -e started ]
}

@test "--app with a section that is not there is 125" {
	write_sections
	says 125 "portfence: there is no section [nobody] in $sections" \
		"$PORTFENCE" run --config "$sections" --app nobody -- touch started
	[ ! -e started ]
	# with a range of its own, it is the name of an application that no file knows
	[ "$(variable_of PORTFENCE_APP --config "$sections" --app nobody --range "$RANGE")" = nobody ]
}

@test "no section that fits, and no [*], is 125; with [*] it runs" {
	printf '[other]\nrange = 20000-20009\n' >some.ini
	says 125 "portfence: no section of $PWD/some.ini fits 'touch' and there is no [*]; add one, or use \
--app or --range" "$PORTFENCE" run --config some.ini -- touch started
	[ ! -e started ]
	printf '[*]\nrange = 28000-28009\n' >>some.ini
	port_of --config some.ini | all_within 28000 28009
	[ "$(variable_of PORTFENCE_APP --config some.ini)" = '*' ]
}

@test "no configuration at all is 125" {
	needs_no /etc/portfence.ini
	says 125 "portfence: there is no configuration file; write /etc/portfence.ini, or use --config or \
--range" "$PORTFENCE" run -- touch started
	says 125 "portfence: there is no section [a], as there is no configuration file" \
		"$PORTFENCE" run --app a -- touch started
	[ ! -e started ]
}

@test "engine = kernel is refused at the start where it cannot serve" {
	printf '[touch]\nrange = 20000-20009\nengine = kernel\n' >kernel.ini
	ns sysctl -qw net.ipv4.ip_local_port_range='32768 60999'
	says 125 "portfence: 'engine = kernel' cannot serve 'touch' for tcp: 20000-20009 is not within the \
system's ephemeral range 32768-60999; use 'engine = auto'" \
		"$PORTFENCE" run --config kernel.ini -- touch started
	ns sysctl -qw net.ipv4.ip_local_reserved_ports=40005
	printf '[touch]\nrange = 40000-40009\nengine = kernel\n' >kernel.ini
	says 125 "portfence: 'engine = kernel' cannot serve 'touch' for tcp: port 40005 is in \
ip_local_reserved_ports, which the kernel passes over; use 'engine = auto'" \
		"$PORTFENCE" run --config kernel.ini -- touch started
	[ ! -e started ]
}

@test "engine = kernel is refused at the start if the kernel has no IP_LOCAL_PORT_RANGE" {
	skip_missing strace
	printf '[touch]\nrange = 40000-40009\nengine = kernel\n' >kernel.ini
	says 125 "portfence: 'engine = kernel' cannot serve 'touch' for tcp: this kernel has no IP_LOCAL_PORT_RANGE \
for tcp; use 'engine = auto'" \
		strace -f -o /dev/null -e trace=getsockopt -e inject=getsockopt:error=ENOPROTOOPT \
		"$PORTFENCE" run --config kernel.ini -- touch started
	[ ! -e started ]
}

@test "a possible mistake in a configuration is a warning, and the command runs" {
	printf '[true]\nrange = 20000-20009\n[other]\nudp.range = 20009\nrange = 1\n' >overlap.ini
	says 0 "portfence: warning: $PWD/overlap.ini:1: the udp range of 'true' overlaps that of 'other' \
(line 3), both hold port 20009" "$PORTFENCE" run --config overlap.ini -- true
}

@test "without root, a warning says that low ports are passed over" {
	says 0 "portfence: warning: the tcp range of 'true' starts at port 1000, ports below 1024 need \
CAP_NET_BIND_SERVICE and will be passed over" \
		setpriv --reuid 65534 --regid 65534 --clear-groups \
		"$install/portfence" run --range 1000-2000 -- true
	says 0 "" "$PORTFENCE" run --range 1000-2000 -- true
}

@test "a library whose path LD_PRELOAD cannot hold is refused" {
	# shellcheck disable=SC2016 # the dollar is meant
	for folder in 'a blank' 'a:colon' 'a$dollar'; do
		mkdir "$folder"
		cp "$PORTFENCE" "$LIBRARY" "$folder"
		says 125 "portfence: the library's path '$PWD/$folder/libportfence.so' has a blank, a colon or a \
dollar sign, which LD_PRELOAD cannot hold; install portfence elsewhere" \
			"$folder/portfence" run --range "$RANGE" -- touch started
	done
	[ ! -e started ]
}

@test "a library that is not there is 125" {
	needs_no /usr/local/lib/libportfence.so
	mkdir alone
	cp "$PORTFENCE" alone
	end ns alone/portfence run --range "$RANGE" -- touch started
	[ "$status" = 125 ]
	[[ "$errors" = "portfence: the library '"*"/libportfence.so' cannot be read: No such file or directory" ]]
	[ ! -e started ]
}

@test "without a verb, or with an unknown one, portfence says how it is used" {
	end "$PORTFENCE"
	[ "$status" = 2 ]
	[ -z "$output" ]
	[[ "$errors" = "usage: portfence VERB"* ]]
	says 2 "portfence: there is no verb 'walk', see 'portfence --help'" "$PORTFENCE" walk
	says 2 "portfence: there is no verb 'touch'; to run that command, write 'portfence run -- touch'" \
		"$PORTFENCE" touch started
	[ ! -e started ]
	end "$PORTFENCE" --help
	[ "$status" = 0 ]
	[ -z "$errors" ]
	[[ "$output" = "usage: portfence VERB"* ]]
	run -0 "$PORTFENCE" --version
	[[ "$output" =~ ^portfence\ [0-9]+\.[0-9]+\.[0-9]+$ ]]
}

# --- the command's status

@test "the status is the command's own" {
	for wanted in 0 1 42 125 126 127 255; do
		end fenced --range "$RANGE" -- sh -c "exit $wanted"
		[ "$status" = "$wanted" ]
	done
}

@test "death by a signal is the command's own, as the shell shows it" {
	# not INT, which is ignored in what a shell has started in the background
	for signal in TERM KILL SEGV USR1; do
		run fenced --range "$RANGE" -- sh -c "kill -$signal \$\$"
		[ "$status" = $((128 + $(kill -l "$signal"))) ]
	done
}

@test "the command has portfence's own process, folder, descriptors and signal mask" {
	# shellcheck disable=SC2016 # the inner shell expands it
	ns_background "$PORTFENCE" run --range "$RANGE" -- sh -c 'echo $$ >pid'
	wait "${PIDS[0]}"
	[ "$(cat pid)" = "${PIDS[0]}" ]
	# all but the pid itself and what ls opens
	plain=$(ns sh -c 'pwd; ls /proc/self/fd | wc -l; grep "Sig[^Q]" /proc/self/status; umask')
	[ "$(fenced --range "$RANGE" -- sh -c 'pwd; ls /proc/self/fd | wc -l; grep "Sig[^Q]" /proc/self/status; umask')" = \
		"$plain" ]
}

@test "a command that is not there is 127" {
	says 127 "portfence: 'no-such-command' cannot be run: No such file or directory" \
		"$PORTFENCE" run --range "$RANGE" -- no-such-command
	says 127 "portfence: './none' cannot be run: No such file or directory" \
		"$PORTFENCE" run --range "$RANGE" -- ./none
	says 127 "portfence: '' cannot be run: No such file or directory" \
		"$PORTFENCE" run --range "$RANGE" -- ''
}

@test "a command that may not be executed is 126" {
	cp /bin/true plain-file
	chmod 644 plain-file
	mkdir folder
	says 126 "portfence: './plain-file' cannot be run: Permission denied" \
		"$PORTFENCE" run --range "$RANGE" -- ./plain-file
	says 126 "portfence: './folder' cannot be run: Permission denied" \
		"$PORTFENCE" run --range "$RANGE" -- ./folder
	PATH=$PWD:$PATH says 126 "portfence: 'plain-file' cannot be run: Permission denied" \
		"$PORTFENCE" run --range "$RANGE" -- plain-file
}

# --- PATH

@test "the command is found along PATH, where an empty entry is the current folder" {
	mkdir first second
	mkdir first/mine
	printf '#!/bin/sh\necho second\n' >second/mine
	printf '#!/bin/sh\necho here\n' >mine
	chmod +x mine second/mine
	found() {
		ns env PATH="$1" "$PORTFENCE" run --range "$RANGE" -- mine
	}
	for path in ":$PATH" "$PATH:" "first::second" ""; do
		[ "$(found "$path")" = here ]
	done
	# what cannot be executed is passed over
	[ "$(found first:second:)" = second ]
	chmod -x mine
	[ "$(found :first:second)" = second ]
}

@test "without PATH, the command is looked for in /bin and /usr/bin" {
	[ "$(ns env -u PATH "$PORTFENCE" run --range "$RANGE" -- echo found)" = found ]
	# not in the current folder
	printf '#!/bin/sh\necho here\n' >mine
	chmod +x mine
	says 127 "portfence: 'mine' cannot be run: No such file or directory" \
		env -u PATH "$PORTFENCE" run --range "$RANGE" -- mine
}

# --- what cannot be fenced

@test "a static program cannot be preloaded" {
	skip_missing busybox
	if readelf -l "$(command -v busybox)" | grep -q INTERP; then
		not_installed "busybox is not static"
	fi
	path=$(command -v busybox)
	says 125 "portfence: '$path' is statically linked, so no library can be preloaded into it; use \
'--via supervise', or use a dynamically linked build of it" \
		"$PORTFENCE" run --via preload --range "$RANGE" -- busybox touch started
	[ ! -e started ]
}

@test "a program of another word size cannot be preloaded" {
	cp /bin/true other
	case $(od -An -tu1 -j4 -N1 /bin/true | tr -d ' ') in
	2)
		patch other 4 1
		sizes="32-bit program and this is the 64-bit"
		;;
	*)
		patch other 4 2
		sizes="64-bit program and this is the 32-bit"
		;;
	esac
	says 125 "portfence: './other' is a $sizes portfence; use '--via supervise', or install portfence for its \
word size" "$PORTFENCE" run --via preload --range "$RANGE" -- ./other
}

@test "a program for another machine or byte order is refused" {
	text="portfence: './other' is a program for another machine than this portfence; install portfence \
for that machine"
	cp /bin/true other
	patch other 18 22 0 # EM_S390, which is none of ours
	says 125 "$text" "$PORTFENCE" run --range "$RANGE" -- ./other
	cp /bin/true other
	case $(od -An -tu1 -j5 -N1 /bin/true | tr -d ' ') in
	1) patch other 5 2 ;;
	*) patch other 5 1 ;;
	esac
	says 125 "$text" "$PORTFENCE" run --range "$RANGE" -- ./other
}

@test "a program that is linked with musl cannot be preloaded" {
	perl -0pe 's{/lib[^\0]*/ld-linux[^\0]*}{my $new = "/lib/ld-musl.so.1"; $new . "\0" x (length($&) - length($new))}e' \
		/bin/true >other
	chmod +x other
	readelf -l other | grep -q 'interpreter: /lib/ld-musl'
	says 125 "portfence: './other' is linked with musl and this portfence with glibc; use '--via supervise', or \
build portfence with musl" "$PORTFENCE" run --via preload --range "$RANGE" -- ./other
}

@test "a damaged executable does not crash portfence" {
	for size in 4 16 20 52 63 64 100; do
		head -c "$size" /bin/true >other
		chmod +x other
		end fenced --range "$RANGE" -- ./other
		# portfence, the kernel or the shell refuses it
		[ "$status" -ge 1 ]
		[ "$status" -le 127 ]
	done
	# program headers at the end of the world
	cp /bin/true other
	patch other 32 377 377 377 377 377 377 377 177
	end fenced --range "$RANGE" -- ./other
	[ "$status" -ge 1 ]
	[ "$status" -le 127 ]
}

@test "a setuid program is refused, unless it gains its caller nothing" {
	needs_suid
	cp /bin/true "$install/program"
	chmod 4755 "$install/program"
	says 125 "portfence: '$install/program' cannot be fenced: it is setuid, and the dynamic linker \
preloads nothing into such a program; run it as the user that it becomes" \
		setpriv --reuid 65534 --regid 65534 --clear-groups \
		"$install/portfence" run --range "$RANGE" -- "$install/program"
	# root becomes root
	says 0 "" "$install/portfence" run --range "$RANGE" -- "$install/program"
	# who may gain no privilege gets none
	says 0 "" setpriv --reuid 65534 --regid 65534 --clear-groups --no-new-privs \
		"$install/portfence" run --range "$RANGE" -- "$install/program"
	# root becomes somebody else
	chown 65534 "$install/program"
	chmod 4755 "$install/program"
	run -125 fenced --range "$RANGE" -- "$install/program"
	run -0 as_nobody "$install/portfence" run --range "$RANGE" -- "$install/program"
}

@test "a setuid program on a file system without setuid runs" {
	cp /bin/true "$install/program"
	chmod 4755 "$install/program"
	# shellcheck disable=SC2016 # the inner shell expands it
	ns unshare -m sh -c '
		mkdir "$1/mnt" && mount -t tmpfs -o nosuid none "$1/mnt" && cp -p "$1/program" "$1/mnt" &&
		exec setpriv --reuid 65534 --regid 65534 --clear-groups \
			"$1/portfence" run --range 20000-20099 -- "$1/mnt/program"' _ "$install"
}

@test "a setgid program is refused, unless it gains its caller nothing" {
	needs_suid
	cp /bin/true "$install/program"
	chmod 2755 "$install/program"
	says 125 "portfence: '$install/program' cannot be fenced: it is setgid, and the dynamic linker \
preloads nothing into such a program; run it as the user that it becomes" \
		setpriv --reuid 65534 --regid 65534 --clear-groups \
		"$install/portfence" run --range "$RANGE" -- "$install/program"
	says 0 "" "$install/portfence" run --range "$RANGE" -- "$install/program"
	# without execution by the group the bit means something else
	chmod 2705 "$install/program"
	run -0 as_nobody "$install/portfence" run --range "$RANGE" -- "$install/program"
}

@test "a program with file capabilities is refused, unless root runs it" {
	needs_file_capabilities
	cp /bin/true "$install/program"
	setcap cap_net_bind_service+ep "$install/program"
	says 125 "portfence: '$install/program' cannot be fenced: it has file capabilities, and the dynamic \
linker preloads nothing into such a program; run it as the user that it becomes" \
		setpriv --reuid 65534 --regid 65534 --clear-groups \
		"$install/portfence" run --range "$RANGE" -- "$install/program"
	says 0 "" "$install/portfence" run --range "$RANGE" -- "$install/program"
}

@test "a program that portfence refuses is really out of a preload's reach" {
	needs_suid
	cp "$PROBES/spawn" "$install/program"
	chmod 4755 "$install/program"
	as_nobody env PORTFENCE_RANGE="$RANGE" LD_PRELOAD="$install/libportfence.so" \
		"$install/program" child | sed -n 's/^port //p' | all_within 32768 60999
	chmod 755 "$install/program"
	as_nobody env PORTFENCE_RANGE="$RANGE" LD_PRELOAD="$install/libportfence.so" \
		"$install/program" child | sed -n 's/^port //p' | all_within 20000 20099
}

@test "a program that may be executed but not read is refused, as it is unknown what it is" {
	cp /bin/true "$install/program"
	chmod 711 "$install/program"
	says 125 "portfence: '$install/program' cannot be read: Permission denied" \
		setpriv --reuid 65534 --regid 65534 --clear-groups \
		"$install/portfence" run --range "$RANGE" -- "$install/program"
}

# --- scripts

@test "a script is judged by its interpreter" {
	skip_missing busybox
	path=$(command -v busybox)
	printf '#! %s sh\ntouch started\n' "$path" >script
	chmod 4755 script # on a script the bit means nothing
	says 125 "portfence: '$path' is statically linked, so no library can be preloaded into it; use \
'--via supervise', or use a dynamically linked build of it" \
		"$PORTFENCE" run --via preload --range "$RANGE" -- ./script
	[ ! -e started ]
	printf '#! /bin/sh -e \n%s child\nfalse\necho not reached\n' "$PROBES/spawn" >script
	run -1 fenced --range "$RANGE" -- ./script
	sed -n 's/^port //p' <<<"$output" | all_within 20000 20099
	if grep -q 'not reached' <<<"$output"; then
		return 1
	fi
}

@test "a script that env finds an interpreter for is fenced" {
	printf '#!/usr/bin/env bash\n"$@"\n' >script
	chmod +x script
	fenced --range "$RANGE" -- ./script "$PROBES/spawn" child | sed -n 's/^port //p' |
		all_within 20000 20099
}

@test "a script without '#!' is run by the shell, as execvp does it" {
	# shellcheck disable=SC2016 # the script expands it
	printf 'echo "$0" "$@"\n%s child | sed -n "s/^port //p" >port\n' "$PROBES/spawn" >script
	chmod +x script
	run -0 fenced --range "$RANGE" -- ./script one 'two words'
	[ "$output" = "./script one two words" ]
	all_within 20000 20099 <port
}

@test "a script whose interpreter is a FIFO is not run, nor waited for" {
	mkfifo fifo
	printf '#!%s/fifo\n' "$PWD" >script
	chmod +x script
	says 125 "portfence: '$PWD/fifo' cannot be read: Permission denied" \
		timeout 120 "$PORTFENCE" run --range "$RANGE" -- ./script
}

@test "a script whose interpreter is not there is not run" {
	printf '#!/no/such/interpreter\n' >script
	chmod +x script
	says 125 "portfence: '/no/such/interpreter' cannot be read: No such file or directory" \
		"$PORTFENCE" run --range "$RANGE" -- ./script
}

@test "scripts are followed as deep as the kernel follows them, and no deeper" {
	interpreter=/bin/sh
	for depth in 1 2 3 4 5; do
		printf '#!%s\n' "$interpreter" >"script$depth"
		chmod +x "script$depth"
		interpreter=$PWD/script$depth
	done
	printf '#!%s\n' "$interpreter" >script6
	chmod +x script6
	ns ./script5
	run -0 fenced --range "$RANGE" -- ./script5
	run ns perl -e 'exec {"./script6"} "script6" or exit $! + 0'
	[ "$status" = 40 ] # ELOOP
	says 125 "portfence: './script6' is a script whose interpreter is a script, too deep to follow" \
		"$PORTFENCE" run --range "$RANGE" -- ./script6
	printf '#!%s\n' "$PWD/loop" >loop
	chmod +x loop
	says 125 "portfence: './loop' is a script whose interpreter is a script, too deep to follow" \
		"$PORTFENCE" run --range "$RANGE" -- ./loop
}

@test "a section is found by a script's name, its path, its interpreter and its arguments" {
	printf '#!/bin/sh\n%s child\n' "$PROBES/spawn" >tool
	chmod +x tool
	printf '[tool]\nrange = 20100-20109\n' >one.ini
	port() {
		fenced --config one.ini -- "$@" | sed -n 's/^port //p'
	}
	port ./tool | all_within 20100 20109
	printf '[a]\nmatch = %s\nrange = 20110-20119\n' "*/to?l" >one.ini
	port "$PWD/tool" | all_within 20110 20119
	printf '[a]\nmatch = sh, dash, bash\nrange = 20120-20129\n' >one.ini
	port ./tool | all_within 20120 20129
	printf '[a]\nargs = */tool --blue*\nrange = 20130-20139\n[*]\nrange = 20140-20149\n' >one.ini
	port ./tool --blue sky | all_within 20130 20139
	port ./tool --red | all_within 20140 20149
}

# --- the process tree

@test "all that the command starts stays in its section, whatever it is called" {
	write_sections
	# shellcheck disable=SC2016 # the inner shell expands it
	fenced --config "$sections" --app outer -- sh -c 'bash -c "$0 child"; :' "$PROBES/spawn" >said
	sed -n 's/^port //p' said | all_within 21000 21099
	grep -qx 'variable PORTFENCE_APP=outer' said
	# likewise where the section was found by the command's name
	# shellcheck disable=SC2016 # the inner shell expands it
	fenced --config "$sections" -- sh -c '"$0" child; :' "$PROBES/spawn" | sed -n 's/^port //p' |
		all_within 24000 24099
}

@test "a library that is preloaded already stays, behind ours" {
	printf '#include <unistd.h>\n__attribute__((constructor)) static void f(void) { write(1, "here\\n", 5); }' |
		cc -w -shared -fPIC -o other.so -x c -
	LD_PRELOAD=$PWD/other.so fenced --range "$RANGE" -- "$PROBES/spawn" child >said
	grep -qx "variable LD_PRELOAD=$LIBRARY:$PWD/other.so" said
	grep -qx here said
	sed -n 's/^port //p' said | all_within 20000 20099
}

@test "our library is preloaded once, wherever it stands in the list" {
	for list in "$LIBRARY" "$LIBRARY:/lib/none.so" "/lib/none.so $LIBRARY"; do
		[ "$(LD_PRELOAD=$list variable_of LD_PRELOAD --range "$RANGE" 2>/dev/null)" = "$list" ]
	done
}

@test "a library whose path only contains ours is not taken for it" {
	for list in "$LIBRARY.old" "/none$LIBRARY" "/none$LIBRARY.old:/lib/none.so"; do
		LD_PRELOAD=$list port_of --range "$RANGE" 2>/dev/null | all_within 20000 20099
	done
}

@test "the last of nested runs decides on the section and the range" {
	write_sections
	nested() {
		"${outer[@]}" "$PORTFENCE" run "$@" -- "$PROBES/spawn" child | sed -n 's/^port //p'
	}
	outer=(fenced --config "$sections" --app outer --)
	nested --app inner | all_within 22000 22099
	nested --range "$RANGE" | all_within 20000 20099
	# nothing else is said, so nothing changes
	nested | all_within 21000 21099
	outer=(fenced --config "$sections" --range "$RANGE" --)
	nested --range 29000-29009 | all_within 29000 29009
	nested --app inner | all_within 22000 22099
	nested | all_within 20000 20099
}

@test "the configuration is read once for the whole tree, and changes count from the next run on" {
	write_sections
	# shellcheck disable=SC2016 # the inner shell expands it
	ns strace -f -o trace -e trace=openat "$PORTFENCE" run --config "$sections" --app inner -- \
		sh -c '"$0" child; : >"$1"; "$0" child' "$PROBES/spawn" "$sections" >said
	[ "$(sed -n 's/^port //p' said | wc -l)" -ge 2 ]
	sed -n 's/^port //p' said | all_within 22000 22099
	# once by run; the shell's own opening is to empty it
	[ "$(grep -F "\"$sections\"" trace | grep -vc O_TRUNC)" = 1 ]
	run -125 fenced --config "$sections" --app inner -- true
}

@test "a variable that is set inside the tree counts there" {
	write_sections
	fenced --config "$sections" --app outer -- \
		env PORTFENCE_APP=inner "$PROBES/spawn" child | sed -n 's/^port //p' | all_within 22000 22099
	fenced --config "$sections" --app outer -- \
		env PORTFENCE_RANGE="$RANGE" "$PROBES/spawn" child | sed -n 's/^port //p' |
		all_within 20000 20099
	run ! --separate-stderr fenced --config "$sections" --app outer -- \
		env PORTFENCE_ORDER=sideways "$PROBES/spawn" child
	[[ "$stderr" == *"PORTFENCE_ORDER: 'sideways'"* ]]
	# what is no handover of ours is passed over
	fenced --config "$sections" --app outer -- \
		env PORTFENCE_RULE='1 2 3' "$PROBES/spawn" child | sed -n 's/^port //p' |
		all_within 21000 21099
}

@test "a range with too many gaps to hand over is read from the file each time" {
	printf '%s\n' '[many]' 'range = 20000-65535' 'tcp.range = 1-65534' 'udp.range = 1-65533' \
		'sctp.range = 1-65532' 'exclude = services' >many.ini
	ns strace -f -o trace -e trace=openat "$PORTFENCE" run --config many.ini --app many -- \
		"$PROBES/spawn" child >said
	[ "$(grep -c 'many\.ini"' trace)" = 2 ]
	while read -r port; do
		run ! grep -qE "^[^#[:blank:]]+[[:blank:]]+$port/" /etc/services
	done < <(sed -n 's/^port //p' said)
}

@test "a stack of 128 kB is enough for the command" {
	local way
	for way in preload supervise both; do
		# shellcheck disable=SC2016 # the inner shell expands it
		run -0 ns sh -c 'ulimit -s 128; exec "$@"' - "$PORTFENCE" run --via $way --range 20000-20099 -- true
	done
}

@test "where a program's stack may be small, portfence's own is, too" {
	local way
	CONF=$PWD/small.ini
	printf '%s\n' '[app]' 'match = spawn, [a-z]*-nowhere' "range = $RANGE" 'bind = own' 'map = 7000' >"$CONF"
	for way in preload supervise both; do
		# shellcheck disable=SC2016 # the inner shell expands it
		run -0 --separate-stderr ns bash -c 'ulimit -s 64; exec "$@"' - "$PORTFENCE" run --config "$CONF" --via $way \
			-- "$PROBES/spawn" child
		sed -n 's/^port //p' <<<"$output" | all_within 20000 20099
	done
	printf '#!/bin/sh\n' >script
	chmod +x script
	# shellcheck disable=SC2016
	run -0 --separate-stderr ns bash -c 'ulimit -s 64; exec "$@"' - "$PORTFENCE" run --lease 10 --pool 21000-21099 \
		--fresh --log "$PWD/log" --record record -- ./script
	# shellcheck disable=SC2016
	run -0 --separate-stderr ns bash -c 'ulimit -s 64; "$1" which --config "$2" -- "$3" && "$1" check --config "$2" &&
		"$1" status --config "$2" && "$1" audit && "$1" leases && "$1" rules --config "$2"' - \
		"$PORTFENCE" "$CONF" "$PROBES/spawn"
}
