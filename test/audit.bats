#!/usr/bin/env bats
#
# `portfence audit`: an escape is found, and nothing that is none is called one.

bats_require_minimum_version 1.5.0
load lib/helpers
load lib/hold

setup() {
	hold_setup
	cat >app.ini <<-END
		[app]
		match = $HOLDER
		range = 20000-20099
		[other]
		match = nothing
		range = 21000-21099
		[own]
		match = nothing
		range = 22000-22099
		bind = own
		[lenient]
		match = nothing
		range = 23000-23000
		exhausted = system
	END
	export PORTFENCE_CONFIG=$BATS_TEST_TMPDIR/app.ini
	ns sysctl -qw net.ipv4.ip_local_port_range='40000 49999'
	hold serve 9000
	server=$pid
}

# ours <OUTPUT: without the warnings of fenced programs that this test has not started
ours() {
	local line
	while IFS= read -r line; do
		if [[ $line =~ ^warning:\ .*\(pid\ ([0-9]+)\)\ is\ fenced,\ but\  ]] &&
			[[ " ${PIDS[*]} " != *" ${BASH_REMATCH[1]} "* ]] &&
			[ "$(readlink "/proc/${BASH_REMATCH[1]}/ns/net")" != "$(readlink "/proc/$NS_PID/ns/net")" ]; then
			continue
		fi
		printf '%s\n' "$line"
	done
}

audit() {
	ns "$PORTFENCE" audit "$@" | ours
	return "${PIPESTATUS[0]}"
}

nobodys_audit() {
	as_nobody "$PORTFENCE" audit "$@" | ours
	return "${PIPESTATUS[0]}"
}

# The port of process $1 that ss shows in the system's range, of TCP ("-t") or UDP ("-u").
stray() {
	ns ss -Hanp "$2" | sed -nE "s/.* [^ ]*:(4[0-9]{4}) .*pid=$1,.*/\1/p" | head -n 1
}

# finds STATUS LINE...: audit ends so, and prints just these lines
finds() {
	local wanted=$1
	shift
	run audit
	[ "$status" = "$wanted" ] || { echo "ended with $status: $output"; return 1; }
	diff <(printf '%s\n' "$@") - <<<"$output"
}

# ---- escapes

@test "without fenced processes there is no escape" {
	finds 0 'no escape among 0 sockets of 0 fenced processes'
}

@test "sockets within their range and their other ends are no escapes" {
	hold_fenced -- connect 9000 udp-connect 9 udp 20050 from 20060 9000 mptcp 9000
	finds 0 'no escape among 5 sockets of 1 fenced process'
}

@test "a connection that bypassed the fence is an escape, over TCP and UDP" {
	hold_fenced -- raw-connect 9000 connect 9000 raw-udp 9
	tcp=$(stray "$pid" -t)
	udp=$(stray "$pid" -u)
	finds 1 '2 escapes among 3 sockets of 1 fenced process' \
		"escape: tcp 127.0.0.1:$tcp -> 127.0.0.1:9000 (ESTAB) of holder (pid $pid), outside 20000-20099 of [app]: the kernel chose it, unless the program named just this port" \
		"escape: udp 127.0.0.1:$udp -> 127.0.0.1:9 (ESTAB) of holder (pid $pid), outside 20000-20099 of [app]: the kernel chose it, unless the program named just this port"
}

@test "each section's processes are held to that section's range" {
	hold_fenced --app other -- connect 9000 from 20001 9000
	finds 0 'no escape among 2 sockets of 1 fenced process; 1 outside the range for a reason' \
		"explicit: tcp 127.0.0.1:20001 -> 127.0.0.1:9000 (ESTAB) of holder (pid $pid), outside 21000-21099 of [other]: the kernel never chooses such a port, so the program named it"
}

@test "a DNS query that bypassed the fence is reported as one" {
	hold_fenced -- raw-udp 53
	run -1 audit
	[[ $output == *'escape: udp '*'-> 127.0.0.1:53 '*': probably a DNS query that libc makes by itself, which no preload reaches' ]]
}

@test "a socket that escaped and that a child shares is one escape, the parent's" {
	hold_fenced -- raw-connect 9000 fork
	run -1 audit
	[ "${lines[0]}" = '1 escape among 1 socket of 2 fenced processes' ]
	[[ ${lines[1]} == *"of holder (pid $pid), "* ]]
	[ "${#lines[@]}" = 2 ]
}

@test "a socket that a fenced process hands to a child without a fence has still escaped" {
	hold_fenced -- raw-connect 9000 start busybox sleep infinity
	run -1 audit
	[[ ${lines[1]} == "escape: "*"of holder (pid $pid), "* ]]
}

@test "under a supervisor nothing escapes, and its programs are judged" {
	via=supervise hold_fenced -- raw-connect 9000 raw-udp 9 listen 8000
	finds 0 'no escape among 3 sockets of 1 fenced process; 1 outside the range for a reason' \
		"explicit: tcp 127.0.0.1:8000 (LISTEN) of holder (pid $pid), outside 20000-20099 of [app]: the kernel never chooses such a port, so the program named it"
}

# ---- what is none

@test "ports that the program names are explicit binds, under 'bind = allow'" {
	hold_fenced -- listen 8000 udp 8001 from 8002 9000 listen 45000 udp 50000
	finds 0 'no escape among 5 sockets of 1 fenced process; 5 outside the range for a reason' \
		"explicit: tcp 127.0.0.1:8000 (LISTEN) of holder (pid $pid), outside 20000-20099 of [app]: the kernel never chooses such a port, so the program named it" \
		"explicit: tcp 127.0.0.1:8002 -> 127.0.0.1:9000 (ESTAB) of holder (pid $pid), outside 20000-20099 of [app]: the kernel never chooses such a port, so the program named it" \
		"explicit: tcp 127.0.0.1:45000 (LISTEN) of holder (pid $pid), outside 20000-20099 of [app]: it listens, so the program named the port" \
		"explicit: udp 127.0.0.1:8001 (UNCONN) of holder (pid $pid), outside 20000-20099 of [app]: the kernel never chooses such a port, so the program named it" \
		"explicit: udp 127.0.0.1:50000 (UNCONN) of holder (pid $pid), outside 20000-20099 of [app]: the kernel never chooses such a port, so the program named it"
}

@test "a port that 'bind = own' does not allow has escaped, wherever it lies" {
	hold_fenced --app own -- raw-listen 8000 raw-listen 45000 listen 22001
	run -1 audit
	[ "${lines[0]}" = '2 escapes among 3 sockets of 1 fenced process' ]
	[[ $output == *"127.0.0.1:8000 (LISTEN)"*"[own]: the program bypassed the fence to bind it, as its 'bind' does not allow it"* ]]
	[[ $output == *"127.0.0.1:45000 (LISTEN)"*"[own]: the kernel chose it, or the program bypassed the fence to bind it"* ]]
}

@test "accepted connections have their listener's port, whether it is there or not" {
	hold_fenced -- serve 45000 accept 45001
	far=$pid
	hold connect 45000 connect 45000
	run -0 audit
	# the listener; an accepted connection, whose other end is in the range; two more
	[ "$(ns ss -Htnp state established "sport >= :45000" | grep -c "pid=$far,")" = 3 ]
	[ "${lines[0]}" = 'no escape among 5 sockets of 1 fenced process; 1 outside the range for a reason' ]
	[[ ${lines[1]} == "explicit: tcp 127.0.0.1:45000 (LISTEN) of holder (pid $far)"* ]]
	[ "${#lines[@]}" = 2 ]
}

@test "a listener on the same port does not excuse a connection that went out from it" {
	hold_fenced -- from 45000 9000
	hold listen 45000
	run -1 audit
	[[ $output == *'escape: tcp 127.0.0.1:45000 -> 127.0.0.1:9000'* ]]
}

both_ready() {
	[ "$(grep -c '^ready$' "$held")" = 2 ]
}

@test "a socket of a process that is not fenced is inherited by the fenced one that it starts" {
	hold listen 8000 connect 9000 start "$PORTFENCE" run --via preload -- "$HOLDER" connect 9000
	wait_until both_ready
	child=$(pgrep -P "$pid")
	port=$(stray "$pid" -t)
	finds 0 'no escape among 3 sockets of 1 fenced process; 2 outside the range for a reason' \
		"inherited: tcp 127.0.0.1:8000 (LISTEN) of holder (pid $child), outside 20000-20099 of [app]: holder (pid $pid) holds it as well, and its range is another" \
		"inherited: tcp 127.0.0.1:$port -> 127.0.0.1:9000 (ESTAB) of holder (pid $child), outside 20000-20099 of [app]: holder (pid $pid) holds it as well, and its range is another"
}

@test "a socket of another section is inherited from the process that made it" {
	hold_fenced --app other -- connect 9000 start "$PORTFENCE" run --via preload --app own -- "$HOLDER" udp 22000
	wait_until both_ready
	run -0 audit
	[[ ${lines[1]} == "inherited: "*"outside 22000-22099 of [own]: holder (pid $pid) holds it as well, and its range is another" ]]
	[ "${#lines[@]}" = 2 ]
}

@test "a port that 'exhausted = system' allows is reported as a fallback" {
	hold udp 23000
	hold_fenced --app lenient -- udp-connect 9
	run -0 audit lenient
	[[ ${lines[1]} == "fallback: udp "*"outside 23000 of [lenient]: 'exhausted = system' allows it" ]]
}

# ---- who sits in a range

@test "processes that are not fenced and use a section's range are listed, but not as escapes" {
	hold serve 8000
	hold udp 20001 from 20001 9000 from 20001 8000 udp 20002 listen 21005
	finds 0 'no escape among 0 sockets of 0 fenced processes' \
		"warning: holder (pid $pid) is not fenced and uses 3 ports of [app]: tcp 20001, udp 20001, udp 20002" \
		"warning: holder (pid $pid) is not fenced and uses 1 port of [other]: tcp 21005"
	hold many-udp 20010 7
	run -0 audit app
	[ "${lines[2]}" = "warning: holder (pid $pid) is not fenced and uses 7 ports of [app]: udp 20010, udp 20011, udp 20012, udp 20013, udp 20014, ..." ]
}

@test "a child without a fence that shares a fenced process's socket is not listed for its range" {
	hold_fenced -- connect 9000 start busybox sleep infinity
	finds 0 'no escape among 1 socket of 1 fenced process'
}

# ---- which processes

@test "--pid judges one process alone" {
	hold_fenced -- raw-connect 9000
	bad=$pid
	hold_fenced -- connect 9000
	good=$pid
	hold udp 20001
	run -1 audit --pid "$bad"
	[ "${lines[0]}" = '1 escape among 1 socket of 1 fenced process' ]
	[ "${#lines[@]}" = 2 ]
	run -0 audit --pid "$good"
	[ "$output" = 'no escape among 1 socket of 1 fenced process' ]
}

@test "--pid of a process that is not fenced, or does not exist, is an error that says so" {
	run -2 audit --pid "$server"
	[ "$output" = "portfence: holder (pid $server) is not fenced: it has not loaded libportfence.so, or no section fits it; start it with 'portfence run'" ]
	run -2 audit --pid 999999999
	[ "$output" = 'portfence: there is no process 999999999' ]
	for word in 0 -1 x 1x 99999999999; do
		run -2 audit --pid="$word"
		[ "$output" = "portfence: '$word' is not a process id, see 'portfence audit --help'" ]
	done
	run -2 audit --pid 1 app
	[ "$output" = "portfence: '--pid' and a section exclude each other, give only one, see 'portfence audit --help'" ]
}

@test "a section's name picks its processes, and its range" {
	hold_fenced -- raw-connect 9000
	hold_fenced --app other -- raw-connect 9000
	second=$pid
	hold udp 20001
	run -1 audit other
	[ "${lines[0]}" = '1 escape among 1 socket of 1 fenced process' ]
	[[ ${lines[1]} == *"(pid $second), outside 21000-21099 of [other]"* ]]
	[ "${#lines[@]}" = 2 ]
	run -2 audit othr
	[ "$output" = "portfence: there is no section [othr] in $PORTFENCE_CONFIG; did you mean [other]?" ]
}

@test "without root, audit shows this user's escapes, and says that there may be more" {
	hold_fenced -- raw-connect 9000
	run nobodys_audit
	[ "$status" = 0 ]
	[[ ${lines[0]} == 'no escape among 0 sockets of 0 fenced processes' ]]
	[[ ${lines[1]} =~ ^note:\ [0-9]+\ processes\ cannot\ be\ looked\ at\;\ root\ can\ look\ at\ other\ users\'\ processes$ ]]
	# a machine of two others
	# shellcheck disable=SC2016 # the inner shell expands it
	run ns unshare --pid --fork --mount-proc sh -c 'sleep infinity 3>&- & "$@"; exit $?' sh \
		"${AS_NOBODY[@]}" "$PORTFENCE" audit
	[ "$output" = 'no escape among 0 sockets of 0 fenced processes
note: 2 processes cannot be looked at; root can look at other users'"'"' processes' ]
	run nobodys_audit --pid "$pid"
	[ "$status" = 2 ]
	[ "$output" = "portfence: holder (pid $pid) may not be looked at; ask as root or as its user" ]
	hold_by "${AS_NOBODY[@]}" "$PORTFENCE" run --via preload -- "$HOLDER" raw-connect 9000
	run nobodys_audit
	[ "$status" = 1 ]
	[[ ${lines[1]} == "escape: "*"of holder (pid $pid), outside 20000-20099 of [app]"* ]]
	run -1 audit
	[ "${lines[0]}" = '2 escapes among 2 sockets of 2 fenced processes' ]
	[[ $output != *note:* ]]
}

# A process of nobody's that names FILE as its configuration, or has other variables
hold_hostile() {
	hold_by "${AS_NOBODY[@]}" env -u PORTFENCE_CONFIG LD_PRELOAD="$install/libportfence.so" "$1" "$HOLDER" udp "$2"
}

@test "the file that a hostile process names as its configuration is opened only if it is small and regular" {
	skip_missing strace
	mkdir -m 755 "$install/named"
	mkfifo -m 666 "$install/named/fifo"
	ln -s /dev/null "$install/named/device"
	{ printf '[a]\nrange = 20000\n'; head -c 70000 /dev/zero | tr '\0' ';'; } >"$install/named/large"
	local port=24000 name
	for name in fifo device large; do
		# the library itself refuses a FIFO and a device, but the process has it mapped
		hold_hostile PORTFENCE_CONFIG="$install/named/$name" $((port++)) 2>/dev/null
		ns strace -qq -f -o calls -e trace=open,openat "$PORTFENCE" audit >said
		grep "(pid $pid) is fenced, but its rule is unknown: $install/named/$name" said >line
		[ "$(grep "named/$name" calls | grep -cv O_PATH || true)" = 0 ]
	done
	grep -q 'larger than 64 kB' line
}

@test "of another user's process, no memory is read, as that could take for ever" {
	hold_hostile PORTFENCE_APP=x 24000
	ns strace -qq -f -o calls -e trace=open,openat "$PORTFENCE" audit --pid "$pid" >said || true
	grep -q "\"$pid/environ\"\|/proc/$pid/environ" calls
	run ! grep -q "$pid/mem" calls
}

@test "names of other users' processes that reorder text or are not UTF-8 are reported without printing them" {
	hold_hostile PORTFENCE_APP=$'\xe2\x80\xaedrowssap' 24000
	first=$pid
	hold_hostile PORTFENCE_APP=$'bad\xff\xfe' 24001
	for verb in audit 'status --range 24000-24009'; do
		# shellcheck disable=SC2086 # words
		run -0 ns "$PORTFENCE" $verb
		[[ $output != *$'\xe2\x80\xae'* ]]
		# shellcheck disable=SC2086 # words
		ns "$PORTFENCE" $verb --json | python3 -m json.tool >seen
		grep -q "\"pid\": $first" seen
		grep -q "\"pid\": $pid" seen
	done
}

# audit_while_ending PID FILE CALL ERROR: audit, with the kernel's answer for a process that has just ended
audit_while_ending() {
	ns strace -qq -o strace.log -P "/proc/$1/$2" -e "inject=$3:error=$4" "$PORTFENCE" audit 2>&1
	grep -q "$4.*INJECTED" strace.log
}

@test "a process that ends while audit looks at it is not counted as hidden" {
	skip_missing strace
	# as a child of the test it stays a zombie, so that its id is never another's
	hold_fenced -- raw-connect 9000
	for answer in 'fd openat ENOENT' 'fd openat ESRCH' 'fd %fstat ENOENT' 'status openat ENOENT' 'status read ESRCH' \
		'maps openat ESRCH' 'maps read ESRCH' 'cmdline openat ENOENT' 'environ openat ESRCH' \
		'exe readlink ENOENT'; do
		# shellcheck disable=SC2086 # three words
		run -0 audit_while_ending "$pid" $answer
		echo "$answer: $output"
		[[ $output == *'no escape among 0 sockets of 0 fenced processes'* ]]
		[[ $output != *'cannot be looked at'* && $output != *"(pid $pid)"* ]]
	done
}

@test "a fenced process in another network namespace is reported, with the command to look there" {
	hold_by unshare -n "$PORTFENCE" run --via preload -- "$HOLDER" udp 20001
	finds 0 'no escape among 0 sockets of 0 fenced processes' \
		"warning: holder (pid $pid) is fenced, but in another network namespace; look there: nsenter -t $pid -n portfence audit"
	run -2 audit --pid "$pid"
	run -0 nsenter -t "$pid" -n "$PORTFENCE" audit
	[[ ${lines[0]} == 'no escape among 1 socket of 1 fenced process' ]]
}

# ---- by which rule

@test "a range from the command line is a rule as good as a section" {
	unset PORTFENCE_CONFIG
	hold_fenced --range 24000-24009 -- connect 9000 raw-connect 9000
	run -1 audit
	[ "${lines[0]}" = '1 escape among 2 sockets of 1 fenced process' ]
	[[ ${lines[1]} == *'outside 24000-24009 of [holder]: '* ]]
}

@test "a program that writes over its environment is still judged by its section" {
	hold_fenced --app other -- connect 9000 raw-connect 9000 wipe
	run ! grep -q PORTFENCE "/proc/$pid/environ"
	run -1 audit
	[ "${lines[0]}" = '1 escape among 2 sockets of 1 fenced process' ]
	[[ ${lines[1]} == *'outside 21000-21099 of [other]: '* ]]
}

@test "a library that was replaced after the start is found, too" {
	hold_fenced -- raw-connect 9000
	rm "$LIBRARY"
	run -1 audit
	[ "${lines[0]}" = '1 escape among 1 socket of 1 fenced process' ]
}

@test "a process whose rule is unknown is named, with the reason" {
	cp app.ini own.ini
	PORTFENCE_CONFIG=$BATS_TEST_TMPDIR/own.ini hold_fenced -- connect 9000
	printf '[app]\nrange = x\n' >own.ini
	finds 0 'no escape among 0 sockets of 0 fenced processes' \
		"warning: holder (pid $pid) is fenced, but its rule is unknown: $BATS_TEST_TMPDIR/own.ini:2: 'x' is neither a range nor a preset, write first-last, first+count, one port or a preset such as iana, linux or system"
	run -2 audit --pid "$pid"
	printf '[another]\nrange = 20000\n' >own.ini
	run -0 audit
	[[ ${lines[1]} == *"its rule is unknown: PORTFENCE_APP: there is no section [app] in $BATS_TEST_TMPDIR/own.ini" ]]
}

@test "a process that was preloaded by hand is judged by what it was started with" {
	cp app.ini own.ini
	PORTFENCE_CONFIG=$BATS_TEST_TMPDIR/own.ini hold_by env LD_PRELOAD="$LIBRARY" "$HOLDER" connect 9000 raw-connect 9000
	run -1 audit
	[[ ${lines[1]} == *'outside 20000-20099 of [app]: '* ]]
	# also where no state file tells its section
	PORTFENCE_STATE=/proc/none hold_by env LD_PRELOAD="$LIBRARY" "$HOLDER" raw-connect 9000
	run -1 audit --pid "$pid"
	[[ ${lines[1]} == *'outside 20000-20099 of [app]: '* ]]
	kill "$pid"
	printf '[another]\nmatch = %s\nrange = 20000\n' "$HOLDER" >own.ini
	run -0 audit
	[[ ${lines[1]} == *"its rule is unknown: its section is no longer in the configuration" ]]
}

@test "an escape from a configuration that was changed after the start has a note" {
	hold_fenced -- connect 9000
	sed -i 's/20000-20099/25000-25099/' app.ini
	touch -d '+1 hour' app.ini
	run audit
	[[ $output == *"explicit: "* ]]
	run ! grep -q 'note:' <<<"$output"
	hold_fenced -- raw-connect 9000
	run -1 audit
	[[ $output == *"note: holder (pid $pid) was started before '$PORTFENCE_CONFIG' was last changed, and still follows the old version"* ]]
	# of a drop-in, its own age counts
	mkdir app.ini.d
	mv app.ini app.ini.d
	hold_fenced -- raw-connect 9000
	touch -d '+1 hour' app.ini.d/app.ini
	run -1 audit
	[[ $output == *"note: holder (pid $pid) was started before '$PORTFENCE_CONFIG.d/app.ini' was last changed, and "* ]]
}

@test "a mistake in the configuration is reported, and nothing is judged" {
	printf '[app]\nrange = 20000-\n' >app.ini
	run --separate-stderr -2 audit
	[ -z "$output" ]
	[[ $stderr == *"app.ini:2: "* ]]
}

@test "without a configuration no process is listed for using a range" {
	needs_no /etc/portfence.ini
	unset PORTFENCE_CONFIG
	hold udp 20001
	finds 0 'no escape among 0 sockets of 0 fenced processes'
}

# ---- how it is told

@test "--json has all that the text has" {
	hold udp 20001
	stranger=$pid
	hold_fenced -- raw-connect 9000 listen 8000
	port=$(stray "$pid" -t)
	ns "$PORTFENCE" audit --json >seen || [ $? = 1 ]
	python3 - "$pid" "$stranger" "$port" <<-'END'
		import json, sys
		pid, stranger, port = map(int, sys.argv[1:])
		seen = json.load(open("seen"))
		assert (seen["escapes"], seen["processes"], seen["sockets"]) == (1, 1, 2), seen
		escape, explicit = seen["outside"]
		assert escape["kind"] == "escape" and explicit["kind"] == "explicit"
		assert escape["local"] == f"127.0.0.1:{port}" and escape["remote"] == "127.0.0.1:9000"
		assert escape["process"]["pid"] == pid and escape["section"] == "app"
		assert escape["protocol"] == "tcp" and escape["state"] == "ESTAB" and escape["inode"]
		assert explicit["remote"] is None and explicit["state"] == "LISTEN"
		(sits,) = seen["unfenced"]
		assert sits["process"]["pid"] == stranger and sits["section"] == "app"
		assert (sits["protocol"], sits["port"]) == ("udp", 20001)
		assert "holder" not in json.dumps(seen["unknown"]) and seen["unseen"] == 0
	END
}

@test "--json has U+FFFD for each byte of a name that is not UTF-8" {
	printf '[caf\351]\nmatch = %s\nrange = 20000-20099\n' "$HOLDER" >app.ini
	hold_fenced -- raw-connect 9000
	run --separate-stderr -1 audit --json
	[ "$stderr" = "" ]
	python3 -c 'import json, sys; assert json.load(sys.stdin)["outside"][0]["section"] == "caf\ufffd"' <<<"$output"
	run -1 audit
}

@test "an escape is red on a terminal, and there are no colours elsewhere" {
	hold_fenced -- raw-connect 9000
	ns script -qec "TERM=xterm ${PORTFENCE@Q} audit" /dev/null </dev/null >text || true
	grep -q $'^\033\[1;31m1 escape\033\[0m' text
	grep -q $'^\033\[1;31mescape:\033\[0m' text
	ns script -qec "NO_COLOR=1 TERM=xterm ${PORTFENCE@Q} audit" /dev/null </dev/null >text || true
	run ! grep -q $'\033' text
	run -1 audit
	[[ $output != *$'\033'* ]]
}

@test "--help says what each exit status means" {
	run -0 audit --help
	[[ $output == *'exit status: 0 if nothing has escaped, 1 if something has, 2 if it cannot be'* ]]
	for option in --config --pid --json --help; do
		[[ $output == *"$option"* ]]
	done
}

@test "of a fenced program whose sockets another process may make, nothing is known" {
	# copies of a program, under the names of Wine's two
	cp "$(readlink -f /usr/bin/python3)" ./wineserver
	cp wineserver wine64-preloader
	ns_background ./wineserver -c 'import socket, time; s = socket.create_server(("127.0.0.1", 9100)); time.sleep(1e6)'
	server=$pid
	wait_tcp 9100
	ns_background "$PORTFENCE" run --range 20000-20099 -- ./wine64-preloader -c 'import time; open("ready", "w"); time.sleep(1e6)'
	client=$pid
	wait_until test -e ready
	run audit
	[[ $output == *"warning: wine64-preloade (pid $client) is fenced, but wineserver (pid $server), which is not, may make its sockets"* ]]
	# one that is fenced is none of those
	kill "$server"
	wait "$server" || true
	ns_background "$PORTFENCE" run --range 20000-20099 -- ./wineserver -c 'import socket, time; s = socket.create_server(("127.0.0.1", 20005)); time.sleep(1e6)'
	wait_tcp 20005
	run audit
	[[ $output != *'may make its sockets'* ]]
}
