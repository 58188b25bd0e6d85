#!/usr/bin/env bats
#
# `portfence check`: every message word for word, each with a file of test/fixtures that
# earns it, and the machine it is held against made by the test: sysctls, services, sockets.

bats_require_minimum_version 1.5.0
load lib/helpers
load lib/hold

FILES=$BATS_TEST_DIRNAME/fixtures/check
SAFE=": note: reserving is safe: the kernel skips reserved ports when it chooses one, but any program may still bind to them explicitly, as the bind engine does; the kernel engine cannot serve then"

setup() {
	hold_setup
	ns sysctl -qw net.ipv4.ip_local_port_range='32768 60999'
	: >services
	chmod 644 services
}

# reserving PORTS LEFT: the note that tells how
reserving() {
	printf ": note: 'sysctl -w net.ipv4.ip_local_reserved_ports=%s' reserves these ranges, keeps what is \
reserved already, and leaves %s ports to other programs; write what follows '-w' to a file in \
/etc/sysctl.d to keep it after a reboot\n" "$1" "$2"
}

# tells STATUS FILE COMMAND...: with the file "services" for /etc/services, it ends so and prints what
# is on standard input: a line that begins with ':' has the file's name in front, tabs are left out,
# and so are the notes on engines, which have a test of their own.
tells() {
	local wanted=$1 file=$2 text
	shift 2
	text=$(sed "s|^:|$file:|; s/\t//g")
	# shellcheck disable=SC2016 # the inner shell expands it
	run "-$wanted" --separate-stderr ns unshare -m sh -c '
		mount --bind "$1" /etc/services && shift && exec "$@"' sh "$BATS_TEST_TMPDIR/services" "$@"
	[ -z "$stderr" ]
	diff <(printf '%s\n' "$text") <(grep -vE ': note: \[[^]]+\]: ' <<<"$output")
}

# checks STATUS NAME [OPTION...]: the same of `portfence check` and test/fixtures/check/NAME.ini
checks() {
	local wanted=$1 file=$FILES/$2.ini
	shift 2
	tells "$wanted" "$file" "$PORTFENCE" check "$@" "$file"
}

@test "every file of test/fixtures/check is used by a test here" {
	for file in "$FILES"/*; do
		grep -qE "(checks [01] |FILES/)$(basename "$file" .ini)\b" "$BATS_TEST_FILENAME"
	done
}

# --- mistakes

@test "every mistake in a file is an error, in the words that run has for it" {
	for file in "$BATS_TEST_DIRNAME"/fixtures/conf/*.ini; do
		case $file in
		*/good*) continue ;;
		esac
		run -125 --separate-stderr "$PORTFENCE" run --config "$file" -- true
		told=$(sed -E 's/^portfence: ([^:]*(:[0-9]+)?): /\1: error: /' <<<"$stderr")
		count=$(wc -l <<<"$stderr")
		run -1 --separate-stderr "$PORTFENCE" check "$file"
		[ -z "$stderr" ]
		diff <(sort <<<"$told") <(head -n -1 <<<"$output" | sort)
		[ "${lines[-1]}" = "$count error$([ "$count" = 1 ] || echo s); the rest is checked once there \
is none" ]
	done
}

@test "mistakes are reported by line, wherever in the file they are found" {
	printf '[a]\norder = x\n\n[b]\nrange = 5-1\n' >two.ini
	tells 1 two.ini "$PORTFENCE" check two.ini <<-END
		:1: error: [a] has no 'range', give it one such as 'range = 20000-20999'
		:2: error: 'x' is no order, use one of: auto, sequential, random, random-simple, hash, double-hash, \
		random-increments
		:5: error: '5-1' is reversed, write the lower port first
		3 errors; the rest is checked once there is none
	END
}

@test "a file that cannot be read is an error of the whole file" {
	tells 1 none.ini "$PORTFENCE" check none.ini <<-END
		: error: cannot be read: No such file or directory
		1 error; the rest is checked once there is none
	END
	tells 1 "$PWD" "$PORTFENCE" check "$PWD" <<-END
		: error: cannot be read: Is a directory
		1 error; the rest is checked once there is none
	END
	cp "$FILES/two.ini" "$install/secret.ini"
	chmod 600 "$install/secret.ini"
	tells 1 "$install/secret.ini" "${AS_NOBODY[@]}" "$PORTFENCE" check "$install/secret.ini" <<-END
		: error: cannot be read: Permission denied
		1 error; the rest is checked once there is none
	END
}

@test "without FILE, the file is found as the library finds it, whatever the other variables say" {
	needs_no /etc/portfence.ini
	export HOME=$PWD/home PORTFENCE_APP=nobody PORTFENCE_RANGE=x PORTFENCE_LOG=x PORTFENCE_STATE=x
	mkdir -p home/.config "$XDG_CONFIG_HOME"
	run -1 --separate-stderr ns "$PORTFENCE" check
	[ "$stderr" = "portfence: there is no configuration file; write /etc/portfence.ini, or name one" ]
	[ -z "$output" ]
	cp "$FILES/two.ini" home/.config/portfence.ini
	(
		unset XDG_CONFIG_HOME
		tells 0 "$PWD/home/.config/portfence.ini" "$PORTFENCE" check <<<"2 applications, 0 errors, 0 warnings"
	)
	printf '[true]\nrange = 30000\n' >"$XDG_CONFIG_HOME/portfence.ini"
	tells 0 - "$PORTFENCE" check <<<"1 application, 0 errors, 0 warnings"
	: >empty.ini
	PORTFENCE_CONFIG=empty.ini tells 0 - "$PORTFENCE" check <<<"0 applications, 0 errors, 0 warnings"
	PORTFENCE_CONFIG=empty.ini checks 0 two <<<"2 applications, 0 errors, 0 warnings"
}

# --- other sections

@test "sections that overlap are reported with the ports, for each protocol" {
	checks 0 overlap <<-END
		:6: warning: 'range' of [false] overlaps 'range' of [true] (line 3) in 10 ports (20990-20999); give \
		each application ports of its own
		:10: warning: 'range' of [cat] overlaps 'range' of [false] (line 6) in 11 ports (21400-21409, 21450); \
		give each application ports of its own
		:10: warning: 'range' of [cat] overlaps 'udp.range' of [false] (line 7) in port 21500; give each \
		application ports of its own
		4 applications, 0 errors, 3 warnings
	END
}

@test "of the ranges that one range overlaps, the first ten and the number of the others are reported" {
	for i in {1..14}; do
		printf '[%s]\nrange = 20000-20099\n' "$i"
	done >many.ini
	run -0 --separate-stderr ns "$PORTFENCE" check many.ini
	[ "$(grep -c "^many.ini:20: warning: .* in 100 ports " <<<"$output")" = 9 ]
	[ "$(grep -c "^many.ini:28: warning: .* in 100 ports " <<<"$output")" = 10 ]
	grep -qx "many.ini:28: warning: 'range' of \[14\] overlaps 3 more ranges above it" <<<"$output"
	# 1 + 2 + ... + 10, and 11 three times
	[ "${lines[-1]}" = "14 applications, 0 errors, 88 warnings" ]
}

# --- the system

@test "a range in the ephemeral range is reported with the one command that reserves it" {
	ns sysctl -qw net.ipv4.ip_local_reserved_ports=8080
	checks 1 ephemeral --strict <<-END
		:2: warning: other programs may be given 11 ports (40000-40009, 40020) of 'range' of [true], as the \
		system's ephemeral range is 32768-60999; reserve them as shown at the end, or choose a range outside of \
		it
		:6: warning: other programs may be given 32 ports (32768-32799) of 'udp.range' of [false], as the \
		system's ephemeral range is 32768-60999; reserve them as shown at the end, or choose a range outside of \
		it
		:9: warning: other programs may be given 10 ports (45000-45009) of 'range' of [cat], as the system's \
		ephemeral range is 32768-60999, and 'engine = kernel' needs them unreserved; use 'engine = auto' and \
		reserve them
		$(reserving 8080,32700-32799,40000-40009,40020 28189)
		$SAFE
		3 applications, 0 errors, 3 warnings
	END
}

@test "that command loses no reservation, and ends the warning" {
	sed '/^\[cat\]/,$d' "$FILES/ephemeral.ini" >"$install/ephemeral.ini"
	ns sysctl -qw net.ipv4.ip_local_reserved_ports=8080,50000-50009
	command=$(ns "$PORTFENCE" check "$install/ephemeral.ini" | sed -n "s/.*note: '\(sysctl -w [^']*\)'.*/\1/p")
	# shellcheck disable=SC2086 # as it is pasted
	ns $command
	[ "$(ns cat /proc/sys/net/ipv4/ip_local_reserved_ports)" = \
		8080,32700-32799,40000-40009,40020,50000-50009 ]
	tells 0 "$install/ephemeral.ini" "$PORTFENCE" check --strict "$install/ephemeral.ini" <<-END
		:2: note: 'range' of [true] is reserved (ip_local_reserved_ports): the kernel gives its ports to no \
		program, and portfence binds to them all the same
		:6: note: 'udp.range' of [false] is reserved (ip_local_reserved_ports): the kernel gives its ports to no \
		program, and portfence binds to them all the same
		2 applications, 0 errors, 0 warnings
	END
}

@test "reserved ports go to the application alone, as check says" {
	ns sysctl -qw net.ipv4.ip_local_port_range='40000 40011' \
		net.ipv4.ip_local_reserved_ports=40000-40009
	hold serve 9000
	hold connect 9000 connect 9000
	ns ss -Htn "dport = :9000" | awk '{ sub(/.*:/, "", $4); print $4 }' | all_within 40010 40011
	hold_fenced --range 40000-40009 -- connect 9000 connect 9000 connect 9000
	ns ss -Htnp "dport = :9000" | grep "pid=$pid," >fenced
	[ "$(wc -l <fenced)" = 3 ]
	awk '{ sub(/.*:/, "", $4); print $4 }' fenced | all_within 40000 40009
}

@test "a range that is all of the ephemeral range cannot be reserved" {
	checks 0 ephemeral-whole <<-END
		:2: note: 'range' of [true] is the system's own ephemeral range, so every other program may be given its \
		ports
		:5: warning: 'range' of [false] overlaps 'range' of [true] (line 2) in 28232 ports (32768-60999); give \
		each application ports of its own
		:5: warning: 'range' of [false] holds all of the system's ephemeral range 32768-60999, so every other \
		program may be given its ports, and reserving them would leave those programs none; choose a range outside of it
		:9: warning: 'range' of [*] overlaps 'range' of [true] (line 2) in 28232 ports (32768-60999); give each \
		application ports of its own
		:9: warning: 'range' of [*] overlaps 'range' of [false] (line 5) in 28232 ports (32768-60999); give each \
		application ports of its own
		:9: note: 'range' of [*] is the system's own ephemeral range, so every other program may be given its \
		ports
		3 applications, 0 errors, 4 warnings
	END
	checks 0 ephemeral-shared-out <<-END
		:2: warning: other programs may be given 17233 ports (32768-50000) of 'range' of [true], as the system's \
		ephemeral range is 32768-60999; reserve them as shown at the end, or choose a range outside of it
		:5: warning: other programs may be given 10999 ports (50001-60999) of 'range' of [false], as the \
		system's ephemeral range is 32768-60999; reserve them as shown at the end, or choose a range outside of \
		it
		: note: reserving all these ranges would leave no port of 32768-60999 to other programs; choose ranges \
		outside of it
		2 applications, 0 errors, 2 warnings
	END
}

@test "a list of ports that the kernel would cut is not suggested" {
	for section in {1..60}; do
		first=$((33000 + 100 * section))
		printf '[%s]\nmatch = true\nrange = ' "$section"
		seq -s, $first 4 $((first + 59))
	done >gaps.ini
	ns "$PORTFENCE" check gaps.ini >said
	[ "$(grep -v ':[0-9]*: ' said)" = "gaps.ini: note: reserving all these ranges takes a list of 5399 characters, of which the kernel would read only 4095; choose ranges outside of 32768-60999, or with fewer gaps
60 applications, 0 errors, 60 warnings" ]
	run -1 grep -q sysctl said
	# as it would
	ports=$(tr -cd '0-9,\n' <<<"$(sed -n 's/^range = //p' gaps.ini)" | paste -sd,)
	ns sysctl -qw "net.ipv4.ip_local_reserved_ports=$ports"
	[ "$(ns cat /proc/sys/net/ipv4/ip_local_reserved_ports | wc -c)" -lt 4097 ]
}

@test "a range that is reserved in part is a warning, one that is reserved as a whole a note" {
	ns sysctl -qw net.ipv4.ip_local_reserved_ports=20010-20019,20050,21000-21200,32768-32799,40000-40009,60990-60999,61005
	checks 0 reserved <<-END
		:2: warning: ip_local_reserved_ports holds 11 ports (20010-20019, 20050) of 'range' of [true], which \
		another program may rely on; leave out what is not this application's with 'exclude'
		:5: note: 'range' of [false] is reserved (ip_local_reserved_ports): the kernel gives its ports to no \
		program, and portfence binds to them all the same
		:8: note: 'range' of [cat] is reserved (ip_local_reserved_ports): the kernel gives its ports to no \
		program, and portfence binds to them all the same
		:11: warning: other programs may be given 90 ports (40010-40099) of 'range' of [ls], as the system's \
		ephemeral range is 32768-60999; reserve them as shown at the end, or choose a range outside of it
		:11: warning: ip_local_reserved_ports holds 10 ports (40000-40009) of 'range' of [ls], which another \
		program may rely on; leave out what is not this application's with 'exclude'
		:14: warning: ip_local_reserved_ports holds 11 ports (60990-60999, 61005) of 'range' of [cp], which another \
		program may rely on; leave out what is not this application's with 'exclude'
		$(reserving 20010-20019,20050,21000-21200,32768-32799,40000-40099,60990-60999,61005 28090)
		$SAFE
		5 applications, 0 errors, 4 warnings
	END
}

@test "if the system's range cannot be read, that is noted, and the rest is checked" {
	# shellcheck disable=SC2016 # the inner shell expands it
	tells 0 "$FILES/two.ini" sh -c '
		mount --bind /dev/null /proc/sys/net/ipv4/ip_local_port_range && exec "$@"' sh \
		"$PORTFENCE" check "$FILES/two.ini" <<-END
		: note: the system's own range and its reservations cannot be read (Invalid argument), so they are not checked
		2 applications, 0 errors, 0 warnings
	END
}

# --- services and privilege

@test "ports that have a name in /etc/services are reported with it, and 'exclude = services' ends the warning" {
	printf '%s\n' '# name port' 'one 20010/tcp' 'one 20010/udp' 'two 21001/udp # 21050' 'three 21002/tcp' \
		'four	21003/tcp' 'five 21004/sctp' 'six 21005/tcp' 'seven 21006/tcp' >services
	tells 0 "$FILES/services.ini" "$PORTFENCE" check "$FILES/services.ini" <<-END
		:2: warning: 'range' of [true] holds 1 port named in /etc/services: 20010 (one); leave it out with \
		'exclude = services'
		:5: warning: 'range' of [false] holds 6 ports named in /etc/services: 21001 (two), 21002 (three), 21003 \
		(four), 21004 (five), 21005 (six), ...; leave them out with 'exclude = services'
		:8: warning: 'range' of [cat] overlaps 'range' of [false] (line 5) in 2 ports (21000, 21099); give each \
		application ports of its own
		4 applications, 0 errors, 3 warnings
	END
}

@test "privileged ports are a warning for users who may not bind to them" {
	text="holds 24 ports (1000-1023) that only programs with CAP_NET_BIND_SERVICE, such as root's, may bind to, and that are skipped for others; any program may bind from port 1024 on (ip_unprivileged_port_start)"
	other="holds 21 ports (70-89, 999) that only programs with CAP_NET_BIND_SERVICE, such as root's, may bind to, and that are skipped for others; any program may bind from port 1024 on (ip_unprivileged_port_start)"
	tells 0 "$FILES/privileged.ini" "$PORTFENCE" check --strict "$FILES/privileged.ini" <<-END
		:2: note: 'range' of [true] $text
		:5: note: 'range' of [false] $other
		3 applications, 0 errors, 0 warnings
	END
	cp "$FILES/privileged.ini" "$install"
	tells 1 "$install/privileged.ini" "${AS_NOBODY[@]}" "$PORTFENCE" check --strict \
		"$install/privileged.ini" <<-END
		:2: warning: 'range' of [true] $text
		:5: warning: 'range' of [false] $other
		3 applications, 0 errors, 2 warnings
	END
}

@test "if the system lets any program bind to ports below 1024, that is noted" {
	cp "$FILES/privileged.ini" "$install"
	ns sysctl -qw net.ipv4.ip_unprivileged_port_start=80
	tells 1 "$install/privileged.ini" "${AS_NOBODY[@]}" "$PORTFENCE" check --strict \
		"$install/privileged.ini" <<-END
		:2: note: 'range' of [true] holds 24 ports (1000-1023) below 1024 that any program may bind to here, as to any port from 80 on (ip_unprivileged_port_start)
		:5: warning: 'range' of [false] holds 10 ports (70-79) that only programs with CAP_NET_BIND_SERVICE, such \
		as root's, may bind to, and that are skipped for others; any program may bind from port 80 on (ip_unprivileged_port_start)
		:5: note: 'range' of [false] holds 11 ports (80-89, 999) below 1024 that any program may bind to here, as to any port from 80 on (ip_unprivileged_port_start)
		3 applications, 0 errors, 1 warning
	END
	ns sysctl -qw net.ipv4.ip_unprivileged_port_start=0
	tells 0 "$install/privileged.ini" "$PORTFENCE" check --strict "$install/privileged.ini" <<-END
		:2: note: 'range' of [true] holds 24 ports (1000-1023) below 1024 that any program may bind to here, as to any port from 0 on (ip_unprivileged_port_start)
		:5: note: 'range' of [false] holds 21 ports (70-89, 999) below 1024 that any program may bind to here, as to any port from 0 on (ip_unprivileged_port_start)
		3 applications, 0 errors, 0 warnings
	END
}

# --- what is on the ports now

@test "ports that a program listens on are reported with the program" {
	hold listen 20000 v6 20000 udp 20010
	first=$pid
	hold_by "${AS_NOBODY[@]}" "$HOLDER" listen 20011 fork
	second=$pid
	hold serve 9000 from 20010 9000 bind 20012 # to be connected, or only bound, is another matter
	checks 1 two --strict <<-END
		:2: warning: tcp port 20000 of 'range' of [true] is listened on by 'holder' (pid $first, user root); leave \
		it out with 'exclude = 20000', or give that program another
		:5: warning: tcp port 20011 of 'range' of [false] is listened on by 'holder' (pid $second, user nobody) and \
		1 more; leave it out with 'exclude = 20011', or give that program another
		:5: warning: udp port 20010 of 'range' of [false] is listened on by 'holder' (pid $first, user root); leave \
		it out with 'exclude = 20010', or give that program another
		2 applications, 0 errors, 3 warnings
	END
}

@test "without root, check names the user of a process that only root can see" {
	hold listen 20000
	hold_by "${AS_NOBODY[@]}" "$HOLDER" listen 20011
	cp "$FILES/two.ini" "$install"
	tells 0 "$install/two.ini" "${AS_NOBODY[@]}" "$PORTFENCE" check "$install/two.ini" <<-END
		:2: warning: tcp port 20000 of 'range' of [true] is listened on by a process of user root that only root \
		can see; leave it out with 'exclude = 20000', or give that program another
		:5: warning: tcp port 20011 of 'range' of [false] is listened on by 'holder' (pid $pid, user nobody); leave \
		it out with 'exclude = 20011', or give that program another
		2 applications, 0 errors, 2 warnings
	END
}

@test "a listener of the application itself is no finding, a listener of another fenced one is" {
	printf '[app]\nmatch = holder\nrange = 20000\n[twin]\nmatch = true\nrange = 20001\n' >twins.ini
	hold_fenced --config "$PWD/twins.ini" --app app -- listen 20000 listen 20001
	tells 0 twins.ini "$PORTFENCE" check twins.ini <<-END
		:2: warning: no program on this machine fits 'match = holder', so [app] is only for what --app or \
		PORTFENCE_APP puts into it (names are looked up in PATH)
		:6: warning: tcp port 20001 of 'range' of [twin] is listened on by 'holder' (pid $pid, user root); leave it \
		out with 'exclude = 20001', or give that program another
		2 applications, 0 errors, 2 warnings
	END
}

@test "of many ports that are listened on, ten are reported, and the number of the others" {
	printf '[true]\nrange = 20000-20099\n' >wide.ini
	hold many-udp 20010 13
	run -0 --separate-stderr ns "$PORTFENCE" check wide.ini
	[ "$(grep -c "^wide.ini:2: warning: udp port 200[0-9]* .* 'holder' (pid $pid, user root)" <<<"$output")" = 10 ]
	grep -qx "wide.ini:2: warning: 3 more udp ports of 'range' of \[true\] are listened on, see 'portfence \
status'" <<<"$output"
	[ "${lines[-1]}" = "1 application, 0 errors, 11 warnings" ]
}

@test "a range with fewer ports than sockets is reported, with the number in TIME_WAIT, which share ports" {
	hold serve 9000 serve 9001 many-tcp 20010 3 9000
	checks 0 two <<<"2 applications, 0 errors, 0 warnings"
	hold many-tcp 20010 2 9001
	checks 0 two <<-END
		:5: warning: 'range' of [false] has 3 ports, fewer than the 5 tcp sockets on them now (0 in TIME_WAIT); \
		widen it
		2 applications, 0 errors, 1 warning
	END
	hold_fenced --range 20000 -- linger 9002 1 linger 9003 1
	checks 0 two <<-END
		:2: warning: 'range' of [true] has 1 port, fewer than the 2 tcp sockets on it now (2 in TIME_WAIT); \
		widen it
		:5: warning: 'range' of [false] has 3 ports, fewer than the 5 tcp sockets on them now (0 in TIME_WAIT); \
		widen it
		2 applications, 0 errors, 2 warnings
	END
}

@test "connections that a listener has accepted are not counted, as they take no port" {
	printf '[app]\nmatch = true\nrange = 20000-20001\n' >app.ini
	hold_fenced --config "$PWD/app.ini" --app app -- serve 20000
	hold many-tcp 30000 5 20000
	tells 0 app.ini "$PORTFENCE" check app.ini <<<"1 application, 0 errors, 0 warnings"
}

@test "if the kernel does not list its sockets, that is noted" {
	skip_missing strace
	# shellcheck disable=SC2016 # the inner shell expands it
	tells 0 "$FILES/two.ini" strace -f -o /dev/null -e trace=sendto -e inject=sendto:error=EPERM \
		"$PORTFENCE" check "$FILES/two.ini" <<-END
		: note: the kernel does not list its sockets (Operation not permitted), so it is not checked what uses the ports now
		2 applications, 0 errors, 0 warnings
	END
}

# --- engines

# engines COMMAND...: of what it prints, the lines on engines, without the file's name
engines() {
	"$@" | grep -v ': mptcp sockets are ' | sed -nE 's/^[^:]*(:[0-9]+: (note: \[[^]]+\]|error: .engine = kernel.).*)/\1/p'
}

@test "the engine of each section is noted, and why it is that one" {
	ns sysctl -qw net.ipv4.ip_local_reserved_ports=40750
	within="is one interval within the system's ephemeral range and no port of it is reserved; other tcp calls, \
udp and sctp get the bind engine, as the kernel engine is the faster one for tcp connects alone"
	bind="every call gets the bind engine, as"
	diff - <(engines ns "$PORTFENCE" check "$FILES/engine.ini") <<-END
		:1: note: [true]: tcp connects get the kernel engine, as 40000-40099 $within
		:4: note: [false]: $bind 20000-20999 is not within the system's ephemeral range 32768-60999
		:8: note: [cat]: $bind the range has gaps
		:11: note: [ls]: $bind the kernel has an order of its own, not 'hash'
		:15: note: [cp]: $bind the kernel draws its own random numbers, without a seed
		:19: note: [mv]: $bind 'engine = bind' asks for it
		:23: note: [rm]: every call gets the kernel engine, as 'engine = kernel' asks for it
		:27: note: [ln]: $bind port 40750 is in ip_local_reserved_ports, which the kernel passes over
		:31: error: 'engine = kernel' cannot serve 'range' of [du]: 20000-20000 is not within the system's ephemeral range 32768-60999; use 'engine = auto'
		:33: error: 'engine = kernel' cannot serve 'sctp.range' of [du]: 61000-61009 is not within the system's ephemeral range 32768-60999; use 'engine = auto'
	END
	run -1 ns "$PORTFENCE" check "$FILES/engine.ini"
	[[ "${lines[-1]}" = "9 applications, 2 errors, "* ]]
}

@test "what becomes of MPTCP sockets is noted where their subflows would leave the range, and is a warning if allowed" {
	needs_mptcp
	printf '[true]\nrange = 40000-40099\n[false]\nrange = 20000-20099\n[cat]\nrange = 20100-20199\nmptcp = refuse\n[ls]\nrange = 20200-20299\nmptcp = allow\n' >mptcp.ini
	diff - <(ns "$PORTFENCE" check mptcp.ini | sed -n 's/^mptcp.ini:\([0-9]*: [a-z]*: .*mptcp.*\): 20.*/\1/p') <<-END
		3: note: [false]: mptcp sockets are made plain tcp, as their further subflows would leave the range
		5: note: [cat]: mptcp sockets are refused, as their further subflows would leave the range
		8: warning: [ls]: mptcp sockets are allowed, as their further subflows may leave the range
	END
}

@test "on a kernel without the option, or whose ranges cannot be read, the bind engine serves" {
	skip_missing strace
	head -n 2 "$FILES/engine.ini" >one.ini
	diff - <(engines ns strace -f -o /dev/null -e trace=getsockopt -e inject=getsockopt:error=ENOPROTOOPT \
		"$PORTFENCE" check one.ini) <<-END
		:1: note: [true]: every call gets the bind engine, as this kernel has no IP_LOCAL_PORT_RANGE for tcp
	END
	# shellcheck disable=SC2016 # the inner shell expands it
	diff - <(engines ns unshare -m sh -c '
		mount --bind /dev/null /proc/sys/net/ipv4/ip_local_port_range && "$@"' sh "$PORTFENCE" check one.ini) <<-END
		:1: note: [true]: every call gets the bind engine, as the system's own range cannot be read (Invalid argument)
	END
}

@test "the engine that is noted is the one that serves, as the library's log has it" {
	ns sysctl -qw net.ipv4.ip_local_reserved_ports=40750
	hold serve 9000
	for section in true:kernel false:bind cat:bind ls:bind cp:bind mv:bind rm:kernel ln:bind; do
		sed '/^\[du\]/,$d' "$FILES/engine.ini" >engine.ini
		ns "$PORTFENCE" run --config engine.ini --app "${section%:*}" --log stderr -- \
			bash -c 'exec 5<>/dev/tcp/127.0.0.1/9000' 2>&1 | grep -q "connect tcp4 .* engine=${section#*:}"
		[[ "$(engines ns "$PORTFENCE" check engine.ini | grep "\[${section%:*}\]")" =~ \
			(connects\ get|call\ gets)\ the\ ${section#*:}\ engine ]]
	done
}

# --- programs

@test "a match that fits no program on this machine is reported" {
	checks 0 match <<-END
		:2: warning: no program on this machine fits 'match = /no/such/folder/*, no-such-program, /nor-this', so [one] \
		is only for what --app or PORTFENCE_APP puts into it (names are looked up in PATH)
		:5: note: no program on this machine is called 'no-such-program', so [no-such-program] is only for what \
		--app or PORTFENCE_APP puts into it (names are looked up in PATH)
		5 applications, 0 errors, 1 warning
	END
}

# fits GLOB: a section with this match has a program; fits_none: it has none, and that is told
fits() {
	printf '[x]\nmatch = %s\nrange = 20000\n' "$1" >fits.ini
	ns "$PORTFENCE" check --strict fits.ini
}

fits_none() {
	printf '[x]\nmatch = %s\nrange = 20000\n' "$1" >fits.ini
	ns "$PORTFENCE" check fits.ini | grep -q 'warning: no program on this machine fits'
}

@test "a match names a program by its path or in PATH; with wildcards, its folder has to be there" {
	mkdir -p deep/er/folder bin
	cp /bin/true deep/er/folder/tool
	cp /bin/true bin/a-tool
	echo text >bin/a-text
	ln -s ../deep/er/folder/tool bin/a-link
	mkdir bin/a-folder
	for glob in "$PWD/deep/*" "$PWD/deep/er/folder/tool" "$PWD/*/folder/t??l" "$PWD/bin/a-link" \
		"$PWD/bin/a-tool" "nothing, $PWD/bin/a-tool" 'sh' 's[h]' '/bin/sh' '/bin/s?' '/b*' 'a-t[o]ol'; do
		fits "$glob"
	done
	for glob in "$PWD/deep" "$PWD/bin/a-text" "$PWD/bin/a-folder" a-tool "$PWD/none/*" \
		"$PWD/bin/a-text/*"; do
		fits_none "$glob"
	done
	PATH=$PATH:$PWD/bin fits a-tool
	PATH=$PWD/bin:$PATH fits_none a-folder
	# root's programs are no less there for those who have not their folders in PATH
	fits sysctl
	ns env PATH=/nowhere "$PORTFENCE" check --strict fits.ini
}

@test "if a match cannot be looked up, that is noted" {
	mkdir -p "$install/closed/in"
	chmod 700 "$install/closed"
	for glob in "$install/closed/in/*" "$install/closed/in/tool"; do
		printf '[x]\nmatch = %s\nrange = 20000\n' "$glob" >"$install/closed.ini"
		at=$glob
		[[ $glob != *'*' ]] || at=$install/closed/in
		tells 0 "$install/closed.ini" "${AS_NOBODY[@]}" "$PORTFENCE" check --strict "$install/closed.ini" <<-END
			:2: note: no program that can be seen fits 'match = $glob', but '$at' cannot be looked at: Permission denied
			1 application, 0 errors, 0 warnings
		END
	done
}

# --- the report

@test "the exit status is 1 for errors, and with --strict for warnings, but never for notes" {
	run -0 ns "$PORTFENCE" check "$FILES/two.ini"
	run -0 ns "$PORTFENCE" check --strict "$FILES/two.ini"
	run -0 ns "$PORTFENCE" check "$FILES/overlap.ini"
	run -1 ns "$PORTFENCE" check --strict "$FILES/overlap.ini"
	run -1 ns "$PORTFENCE" check "$BATS_TEST_DIRNAME/fixtures/conf/no-range.ini"
	run -2 --separate-stderr ns "$PORTFENCE" check ''
	[ "$stderr" = "portfence: the file's name is empty, see 'portfence check --help'" ]
	run -2 --separate-stderr ns "$PORTFENCE" check one two
	[ "$stderr" = "portfence: 'two' is one argument too many, see 'portfence check --help'" ]
	run -2 ns "$PORTFENCE" check --strickt
}

@test "--json has all that the text has" {
	ns sysctl -qw net.ipv4.ip_local_reserved_ports=8080
	for file in "$FILES"/*.ini "$BATS_TEST_DIRNAME"/fixtures/conf/many-errors.ini; do
		run ns "$PORTFENCE" check --strict "$file"
		text=$output
		run "-$status" --separate-stderr ns "$PORTFENCE" check --strict --json "$file"
		[ -z "$stderr" ]
		printf '%s\n' "$output" >json
		python3 - "$file" >as-text <<-'END'
			import json, re, sys
			report = json.load(open("json"))
			assert report["file"] == sys.argv[1], report
			levels = [one["level"] for one in report["findings"]]
			assert levels.count("error") == report["errors"]
			assert levels.count("warning") == report["warnings"]
			kinds = {"syntax", "overlap", "ephemeral", "reserved", "services", "privileged", "listener",
			         "sockets", "engine", "mptcp", "match", "unseen"}
			for one in report["findings"]:
			    assert set(one) == {"file", "line", "level", "kind", "section", "text"}, one
			    assert one["kind"] in kinds, one
			    assert one["file"] == sys.argv[1] or one["file"] is one["line"] is None, one
			    section = one["section"]
			    assert section is None or f"[{section}]" in one["text"], one
			    line = "" if one["line"] is None else f":{one['line']}"
			    print(f"{report['file']}{line}: {one['level']}: {one['text']}")
			sysctls = [re.search("'sysctl -w ([^']*)'", one["text"]) for one in report["findings"]]
			assert [s[1] for s in sysctls if s] == [s for s in [report["sysctl"]] if s], report
		END
		diff as-text <(head -n -1 <<<"$text")
	done
	[ "$(ns "$PORTFENCE" check --json "$FILES/overlap.ini" | python3 -c '
import json, sys
print(json.load(sys.stdin)["applications"])')" = 4 ]
	printf '[a\xe9]\nrange = 20000\n' >latin.ini
	# a byte that is not UTF-8 becomes U+FFFD
	run --separate-stderr ns "$PORTFENCE" check --json latin.ini
	[ "$stderr" = "" ]
	python3 -c '
import json, sys
assert "a\ufffd" in [f["section"] for f in json.load(sys.stdin)["findings"]]' <<<"$output"
}

# on_terminal COMMAND...: what it writes to a terminal
on_terminal() {
	python3 -c '
import pty, sys
pty.spawn(sys.argv[1:])' "$@" </dev/null | tr -d '\r'
}

@test "colours are for terminals only, and can be switched off" {
	unset NO_COLOR
	export TERM=xterm
	printf '[true]\nrange = 20000\n[false]\nrange = 20000\nengine = bind\n' >two.ini
	wanted=$(printf '\e[1mtwo.ini:4:\e[0m \e[1;35mwarning:\e[0m ')
	noted=$(printf '\e[1mtwo.ini:3:\e[0m \e[1;36mnote:\e[0m ')
	run -0 on_terminal "$PORTFENCE" check two.ini
	[[ "$output" = *"$wanted"* ]]
	[[ "$output" = *"$noted"* ]]
	printf '[true]\n' >bad.ini
	run -0 on_terminal "$PORTFENCE" check bad.ini
	[[ "$output" = "$(printf '\e[1mbad.ini:1:\e[0m \e[1;31merror:\e[0m ')"* ]]
	plain=$("$PORTFENCE" check two.ini)
	run -1 grep -q $'\e' <<<"$plain"
	[ "$(NO_COLOR=1 on_terminal "$PORTFENCE" check two.ini)" = "$plain" ]
	[ "$(TERM=dumb on_terminal "$PORTFENCE" check two.ini)" = "$plain" ]
	[ "$(env -u TERM python3 -c '
import pty, sys
pty.spawn(sys.argv[1:])' "$PORTFENCE" check two.ini </dev/null | tr -d '\r')" = "$plain" ]
	[ "$(NO_COLOR='' on_terminal "$PORTFENCE" check two.ini)" != "$plain" ]
}

@test "a report that cannot be written is a failure" {
	for options in '' --json; do
		# shellcheck disable=SC2086 # none is one
		run -1 --separate-stderr sh -c '"$@" >/dev/full' sh "$PORTFENCE" check $options "$FILES/two.ini"
		[ "$stderr" = "portfence: cannot write: No space left on device" ]
	done
}

@test "the configuration that ships has no error and no warning" {
	skip_missing curl
	tells 0 "$ROOT/conf/portfence.ini" "$PORTFENCE" check --strict "$ROOT/conf/portfence.ini" \
		<<<"1 application, 0 errors, 0 warnings"
}
