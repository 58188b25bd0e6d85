#!/usr/bin/env bats
#
# `portfence status`: what it counts, beside what ss counts; whom it names; what it draws; and what
# it says to a user who may not see all.

bats_require_minimum_version 1.5.0
load lib/helpers
load lib/hold

setup() {
	hold_setup
	cat >app.ini <<-END
		[app]
		match = $HOLDER
		range = 20000-20099
	END
	export PORTFENCE_CONFIG=$BATS_TEST_TMPDIR/app.ini
	export LC_ALL=C.UTF-8
}

status() {
	ns "$PORTFENCE" status "$@"
}

# json PATH COMMAND...: one member of what it prints, as "sections.0.tcp.used"; "#" is a length.
json() {
	local path=$1
	shift
	"$@" | python3 -c '
import json, sys
value = json.load(sys.stdin)
for key in sys.argv[1].split("."):
    value = len(value) if key == "#" else value[int(key)] if isinstance(value, list) else value[key]
print(json.dumps(value) if isinstance(value, (dict, list)) else value)' "$path"
}

# Different local ports from $3 to $4 that ss shows under the options $1, where the state fits $2.
ss_ports() {
	ns ss -Han "$1" | awk -v state="$2" -v low="$3" -v high="$4" '
		$1 ~ state { port = $4; sub(/.*:/, "", port); if (port + 0 >= low && port + 0 <= high) seen[port] }
		END { print length(seen) }'
}

# Fails unless the lines on standard input have $1 as one of them.
has_line() {
	local line lines=''
	while IFS= read -r line; do
		[ "$line" != "$1" ] || return 0
		lines+=$line$'\n'
	done
	printf 'no line is: %s\n%s' "$1" "$lines"
	return 1
}

# ---- what is counted

@test "ports in use are counted as ss counts them, TIME_WAIT apart, for TCP and UDP" {
	# so that no two destinations share a port
	echo 'order = sequential' >>app.ini
	hold listen 9000 udp 20003 udp 20004 udp 9001
	hold_fenced -- connect 9000 connect 9000 from 20050 9000 udp 20060
	hold linger 20070 4
	status --json >seen
	[ "$(json sections.0.tcp.used cat seen)" = "$(ss_ports -t . 20000 20099)" ]
	[ "$(json sections.0.udp.used cat seen)" = "$(ss_ports -u . 20000 20099)" ]
	[ "$(json sections.0.tcp.used cat seen)" = 4 ]
	[ "$(json sections.0.udp.used cat seen)" = 3 ]
	[ "$(json sections.0.tcp.ports cat seen)" = 100 ]
	# the server of the last holder is among them, its clients are not: they are not fenced
	hold_fenced -- linger 20071 6
	status --json >seen
	[ "$(json sections.0.tcp.used cat seen)" = "$(ss_ports -t . 20000 20099)" ]
	[ "$(json sections.0.tcp.time_wait_only cat seen)" = "$(ss_ports -t TIME-WAIT 20000 20099)" ]
	[ "$(json sections.0.tcp.time_wait_only cat seen)" = 6 ]
	status | has_line '  tcp   20000-20099  11 of 100 ports in use (11 %), 6 of them only in TIME_WAIT'
	status | has_line '      6  in TIME_WAIT, no process'
}

# status_with CALL ANSWER [WHEN]: status, with what strace answers to one of its system calls
status_with() {
	ns strace -qq -e trace="$1" -e "inject=$1:$2:when=${3:-1}" "$PORTFENCE" status
}

@test "a list of sockets that the kernel marks as interrupted is asked for again" {
	skip_missing strace
	local interrupted
	# one message: NLMSG_DONE, with NLM_F_DUMP_INTR
	interrupted=$(python3 -c 'import struct; print(struct.pack("=IHHIIi", 20, 3, 0x12, 0, 0, 0).hex())')
	hold listen 20003 udp 20004
	status >wanted
	for answer in "recvfrom poke_exit=@arg2=$interrupted" 'recvfrom error=ENOBUFS' \
		'recvfrom error=EINTR' 'sendto error=EINTR'; do
		# shellcheck disable=SC2086 # two words
		status_with $answer >seen 2>calls
		grep INJECTED calls
		diff wanted seen
	done
	run status_with recvfrom "poke_exit=@arg2=$interrupted" 1+
	[ "$status" = 1 ]
	[[ $output == *'the kernel does not list its sockets: Interrupted system call' ]]
}

@test "TCP and UDP on the same port are two ports, one in each protocol" {
	hold listen 20000 udp 20000
	run status
	has_line '  tcp   20000-20099  1 of 100 ports in use (1 %)' <<<"$output"
	has_line '  udp   20000-20099  1 of 100 ports in use (1 %)' <<<"$output"
	has_line "      2  holder (pid $pid, user root), not fenced" <<<"$output"
}

@test "a port that many sockets share is one port, and the fullest destination is shown" {
	hold serve 9000 serve 9001
	hold_fenced -- many-tcp 20000 10 9000 many-tcp 20000 3 9001
	status --json >seen
	[ "$(json sections.0.tcp.used cat seen)" = 10 ]
	[ "$(json sections.0.tcp.sockets cat seen)" = 13 ]
	[ "$(json sections.0.tcp.destinations cat seen)" = 2 ]
	[ "$(json sections.0.tcp.fullest.ports cat seen)" = 10 ]
	[ "$(json sections.0.holders.0.ports.tcp cat seen)" = 10 ]
	status | has_line '  of 2 destinations, 127.0.0.1:9000 has the most ports: 10 (10 %)'
}

@test "MPTCP, UDP-Lite and IPv6 are counted, and have a holder" {
	needs_mptcp
	hold listen 9000
	hold_fenced -- mptcp 9000 udplite 20005 v6 20006
	status --json >seen
	[ "$(json sections.0.tcp.used cat seen)" = 2 ]
	[ "$(json sections.0.udp.used cat seen)" = 1 ]
	[ "$(json sections.0.holders.# cat seen)" = 1 ]
	[ "$(json sections.0.holders.0.pid cat seen)" = "$pid" ]
}

@test "a connection that nobody has accepted yet belongs to its listener's port" {
	hold_fenced -- waiting 20040
	status --json >seen
	[ "$(json sections.0.tcp.used cat seen)" = 2 ]
	[ "$(json sections.0.holders.# cat seen)" = 1 ]
	[ "$(json sections.0.holders.0.ports.tcp cat seen)" = 2 ]
}

@test "a port on which a connection is being closed has no process, and is in use" {
	hold serve 9000
	hold_fenced -- from 20010 9000 close
	run status
	has_line '  tcp   20000-20099  1 of 100 ports in use (1 %)' <<<"$output"
	has_line '      1  being closed or not accepted yet, no process' <<<"$output"
}

@test "ranges with gaps and ranges of one protocol are counted and drawn each by itself" {
	cat >app.ini <<-END
		[app]
		match = $HOLDER
		range = 20000-20009, 20020-20029
		udp.range = 30000-30009
	END
	hold listen 20009 listen 20010 listen 20019 listen 20020 udp 20000 udp 30009
	COLUMNS=24 run status
	[ "$output" = "[app]
  tcp   20000-20009, 20020-20029  2 of 20 ports in use (10 %)
  ·········██·········
  20000          20029
  udp   30000-30009  1 of 10 ports in use (10 %)
  ··················██
  30000          30009
  ports  held by
      3  holder (pid $pid, user root), not fenced
  warning: 3 ports are held by processes that are not fenced by this section" ]
}

@test "10,000 sockets are counted as ss counts them" {
	hold serve 9000
	hold many-udp 20000 5000 many-tcp 20000 5000 9000
	status --range 20000-47999 --json >seen
	[ "$(json sections.0.udp.used cat seen)" = "$(ss_ports -u . 20000 47999)" ]
	[ "$(json sections.0.tcp.used cat seen)" = "$(ss_ports -t . 20000 47999)" ]
	[ "$(json sections.0.udp.used cat seen)" = 5000 ]
	[ "$(json sections.0.tcp.used cat seen)" = 5000 ]
	[ "$(json sections.0.holders.# cat seen)" = 1 ]
	[ "$(json sections.0.holders.0.ports.udp cat seen)" = 5000 ]
}

# ---- who is named

@test "the holder of most ports is named first, and a child that shares its parent's sockets as well" {
	hold_fenced -- udp 20001 udp 20002
	few=$pid
	hold_fenced -- udp 20003 udp 20004 udp 20005 fork
	status | grep -A 3 'ports  held by' >holders
	sed -i 's/(pid [0-9]*/(pid N/' holders
	[ "$(cat holders)" = "  ports  held by
      3  holder (pid N, user root)
      3  holder (pid N, user root)
      2  holder (pid N, user root)" ]
	status | has_line "      2  holder (pid $few, user root)"
}

@test "a process that is not fenced by the section is marked, and there is a warning" {
	hold udp 20001
	stranger=$pid
	hold_fenced --range 20000-20049 --app other -- udp 20002 udp 20003
	run status
	has_line "      1  holder (pid $stranger, user root), not fenced" <<<"$output"
	has_line "      2  holder (pid $pid, user root), fenced as [other]" <<<"$output"
	has_line '  warning: 3 ports are held by processes that are not fenced by this section' <<<"$output"
	hold_fenced -- udp 20005
	status --json >seen
	[ "$(json sections.0.outside cat seen)" = 3 ]
}

@test "a port that two processes outside the section share counts once in the warning" {
	hold udp 20001 fork
	status | has_line '  warning: 1 port is held by processes that are not fenced by this section'
	[ "$(json sections.0.holders.# status --json)" = 2 ]
}

@test "--json has U+FFFD for each byte of a name that is not UTF-8" {
	printf '[caf\351]\nrange = 20000-20099\n' >app.ini
	run --separate-stderr -0 status --json
	[ "$stderr" = "" ]
	python3 -c 'import json, sys; assert json.load(sys.stdin)["sections"][0]["name"] == "caf\ufffd"' <<<"$output"
	run -0 status
}

@test "a range from the command line needs no file, and belongs to all processes that are fenced within it" {
	unset PORTFENCE_CONFIG
	hold_fenced --range 20000-20099 -- udp-connect 9
	run status --range 20000-20099
	[ "$status" = 0 ]
	has_line "      1  holder (pid $pid, user root)" <<<"$output"
	[[ $output != *warning* ]]
	run status --range 20000-20999
	[[ $output != *warning* ]]
}

@test "of more than ten processes, the number of the others is shown" {
	for port in 20001 20002 20003 20004 20005 20006 20007 20008 20009 20010 20011 20012; do
		hold udp "$port"
	done
	run status
	has_line '      2  2 more processes, see --json' <<<"$output"
	[ "$(grep -c ', not fenced' <<<"$output")" = 10 ]
	[ "$(json sections.0.holders.# status --json)" = 12 ]
}

@test "without root, status shows this user's processes, and others' ports by user" {
	hold_by "$HOLDER" udp 20001 udp 20002
	hold_by "${AS_NOBODY[@]}" "$HOLDER" udp 20003
	run as_nobody "$PORTFENCE" status
	[ "$status" = 0 ]
	has_line '  udp   20000-20099  3 of 100 ports in use (3 %)' <<<"$output"
	has_line "      1  holder (pid $pid, user nobody), not fenced" <<<"$output"
	has_line '      2  opened by user root, by a process that only root can see' <<<"$output"
	[ "$(json sections.0.holders.1.kind as_nobody "$PORTFENCE" status --json)" = unseen ]
	run status
	[[ $output != *'only root'* ]]
}

@test "ports whose process /proc does not show are marked so, for root, too" {
	hold udp 20001
	run ns unshare --pid --fork --mount-proc "$PORTFENCE" status
	has_line '      1  opened by user root, by a process that cannot be seen from here' <<<"$output"
}

@test "a process's name cannot control the terminal" {
	hold udp 20001 name $'a\033[2Jb'
	run status
	has_line "      1  a?[2Jb (pid $pid, user root), not fenced" <<<"$output"
}

# ---- when it is full

@test "a range that is used up is a warning, for each protocol in its words" {
	printf '[app]\nmatch = %s\nrange = 20000-20003\n' "$HOLDER" >app.ini
	hold serve 9000 serve 9001
	hold_fenced -- many-tcp 20000 4 9000 udp 20000 udp 20001 udp 20002
	run status
	has_line '  tcp   20000-20003  4 of 4 ports in use (100 %)' <<<"$output"
	has_line '  warning: no tcp port is left, not even towards 127.0.0.1:9000' <<<"$output"
	[[ $output != *'no udp port'* ]]
	hold_fenced -- udp 20003
	run status
	has_line '  warning: no udp port is left' <<<"$output"
}

@test "a range whose ports are all in use, but for different destinations, has a warning of its own" {
	printf '[app]\nmatch = %s\nrange = 20000-20003\n' "$HOLDER" >app.ini
	hold serve 9000 serve 9001
	hold_fenced -- many-tcp 20000 2 9000 many-tcp 20002 2 9001
	run status
	has_line '  warning: no tcp port is left to bind to; a connect finds one that is free towards its destination' <<<"$output"
}

# ---- what is drawn

# drawn COLUMNS ROWS COMMAND...: what it writes to a terminal of that size
drawn() {
	local size="stty cols $1 rows $2"
	shift 2
	ns script -qec "$size; TERM=xterm ${*@Q}" /dev/null </dev/null | tr -d '\r'
}

@test "the strip is as wide as the terminal" {
	hold udp 20000 udp 20099
	for width in 30 80 133; do
		drawn "$width" 24 env NO_COLOR=1 "$PORTFENCE" status >text
		sed -n '3s/^  //p; 4s/^  //p' text >cells
		[ "$(head -n 1 cells | tr -d '\n' | wc -m)" = $((width - 4)) ]
		[ "$(tail -n 1 cells | tr -d '\n' | wc -m)" = $((width - 4)) ]
		[[ $(tail -n 1 cells) == 20000\ *\ 20099 ]]
	done
}

@test "without a terminal, COLUMNS gives the width, and without that it is 80" {
	hold udp 20000
	[ "$(COLUMNS=50 status | sed -n 3p | tr -d '\n' | wc -m)" = 48 ]
	[ "$(env -u COLUMNS "$(command -v nsenter)" -t "$NS_PID" -n "$PORTFENCE" status | sed -n 3p |
		tr -d '\n' | wc -m)" = 78 ]
	run ns env COLUMNS=1 LC_ALL=C "$PORTFENCE" status
	[ "$status" = 0 ]
}

@test "where the locale is not UTF-8, the strip is ASCII, and so is all else" {
	hold udp 20000
	LC_ALL=C COLUMNS=24 status >text
	has_line '  :...................' <text
	run ! grep -P '[^\x00-\x7f]' text
	LC_ALL=C.UTF-8 COLUMNS=24 status | has_line '  ░···················'
}

@test "colours are for a terminal only, and NO_COLOR switches them off" {
	hold udp 20000
	drawn 80 24 "$PORTFENCE" status >text
	grep -q $'\033\[1m\[app\]\033\[0m' text
	drawn 80 24 env NO_COLOR=1 "$PORTFENCE" status >text
	run ! grep $'\033' text
	status >text
	run ! grep $'\033' text
}

@test "the ports in use are yellow from 70 % on, and red from 90 %" {
	hold many-udp 20000 69
	drawn 80 24 "$PORTFENCE" status | has_line '  udp   20000-20099  69 of 100 ports in use (69 %)'
	hold udp 20069
	drawn 80 24 "$PORTFENCE" status |
		has_line $'  udp   20000-20099  \033[1;33m70 of 100 ports in use (70 %)\033[0m'
	hold many-udp 20070 20
	drawn 80 24 "$PORTFENCE" status |
		has_line $'  udp   20000-20099  \033[1;31m90 of 100 ports in use (90 %)\033[0m'
}

# ---- again and again

# watch OPTION...: on a terminal of 60 by 8; what it writes is in "seen", its process in $watched
watch_status() {
	local command="stty cols 60 rows 8; tty >tty; echo \$\$ >watched; "
	# who starts it in the background has SIGINT ignored
	command+="exec env --default-signal=INT ${PORTFENCE@Q} status ${*@Q}"
	ns_background script -qfec "$command" seen </dev/null >/dev/null
	script_pid=$pid
	wait_until drawn_times 1
	watched=$(cat watched)
}

# ends_with STATUS PID: a child ends, in this way
ends_with() {
	local ended=0
	wait "$2" || ended=$?
	echo "ended with $ended"
	[ "$ended" = "$1" ]
}

# lines_of FILE COUNT: it has so many, or more
lines_of() {
	[ "$(wc -l <"$1")" -ge "$2" ]
}

# Each drawing begins at the upper left corner.
drawn_times() {
	[ "$(grep -ao $'\033\[H' seen 2>/dev/null | wc -l)" -ge "$1" ]
}

@test "--watch draws in place again and again, and gives the cursor back when interrupted" {
	hold udp 20000
	watch_status --watch=0.1
	wait_until drawn_times 3
	grep -qa $'^\033\[?25l' <(sed 1d seen)
	run ! grep -qa $'\033\[?25h' seen
	kill -INT "$watched"
	ends_with 130 "$script_pid"
	# script's own last line follows it
	tail -n 2 seen | grep -qa $'\033\[?7h\033\[?25h'
}

@test "--watch keeps signals ignored that were ignored before, as under nohup" {
	ns_background env --ignore-signal=HUP "$PORTFENCE" status --watch=0.1 --json >lines
	wait_until lines_of lines 1
	kill -HUP "$pid"
	wait_until lines_of lines $(($(wc -l <lines) + 3))
	kill "$pid"
	ends_with 143 "$pid"
}

@test "--watch draws again at once when the terminal's size changes" {
	hold udp 20000
	watch_status --watch=3600
	stty -F "$(cat tty)" cols 40
	wait_until drawn_times 2
	# it has drawn to the end before it ends
	kill -TERM "$watched"
	ends_with 143 "$script_pid"
	# the last strip's line: two blanks and 36 cells
	tr -d '\r' <seen | grep -a '·' | tail -n 1 | sed 's/\x1b\[K//' >cells
	[ "$(tr -d '\n' <cells | wc -m)" = 38 ]
}

@test "--watch writes no more lines than the terminal has" {
	for name in a b c d; do
		printf '[%s]\nrange = 20000-20099\n' "$name"
	done >app.ini
	watch_status --watch=3600
	kill -INT "$watched"
	ends_with 130 "$script_pid"
	# eight lines end in "erase to the end of the line"
	[ "$(grep -ao $'\033\[K' seen | wc -l)" = 8 ]
}

@test "--watch --json writes one line each time" {
	ns_background "$PORTFENCE" status --watch=0.1 --json >lines
	wait_until lines_of lines 3
	kill "$pid"
	ends_with 143 "$pid"
	head -n 3 lines | python3 -c '
import json, sys
assert [json.loads(line)["sections"][0]["name"] for line in sys.stdin] == ["app"] * 3'
}

@test "--watch ends when the configuration becomes wrong, and says why" {
	ns_background "$PORTFENCE" status --watch=0.1 >lines 2>errors
	wait_until lines_of lines 3
	printf '[app]\nrange = x\n' >app.ini
	ends_with 1 "$pid"
	grep -q 'app.ini:2: ' errors
}

# ---- configuration and options

@test "all sections are shown, or the one that is named" {
	cat >app.ini <<-END
		[one]
		range = 20000-20009
		[two]
		range = 21000-21009
		[*]
		range = system
	END
	[ "$(status | grep '^\[')" = "[one]
[two]
[*]" ]
	[ "$(status two | grep '^\[')" = "[two]" ]
	[ "$(json sections.# status --json)" = 3 ]
	[ "$(json sections.0.name status two --json)" = two ]
}

@test "a section that does not exist is an error that names the nearest one" {
	run -1 status ap
	[ "$output" = "portfence: there is no section [ap] in $PORTFENCE_CONFIG; did you mean [app]?" ]
	run -1 status nowhere
	[ "$output" = "portfence: there is no section [nowhere] in $PORTFENCE_CONFIG" ]
}

@test "all mistakes in the configuration are reported, and nothing is shown" {
	printf '[app]\nrange = 20000-\norder = nosuch\n' >app.ini
	run --separate-stderr -1 status
	[ -z "$output" ]
	[[ $stderr == *"app.ini:2: "*"app.ini:3: "* ]]
}

@test "an empty configuration and a missing one have different messages" {
	: >app.ini
	run -0 status
	[ "$output" = "$PORTFENCE_CONFIG has no section yet, so there is no range to show" ]
	[ "$(json sections status --json)" = '[]' ]
	unset PORTFENCE_CONFIG
	needs_no /etc/portfence.ini
	run -1 status
	[ "$output" = "portfence: there is no configuration file; write /etc/portfence.ini, or use --config or --range" ]
	run -1 status app
	[ "$output" = "portfence: there is no section [app], as there is no configuration file; write /etc/portfence.ini, or use --config" ]
}

@test "status ignores the variables that give a program its section and range" {
	PORTFENCE_APP=nosuch PORTFENCE_RANGE=1-2 PORTFENCE_ORDER=x PORTFENCE_LOG=y run -0 status
	[[ $output == *20000-20099* ]]
}

@test "options that do not fit are refused" {
	run -2 status --range 20000-20999 app
	[ "$output" = "portfence: '--range' takes the place of a section, give only one, see 'portfence status --help'" ]
	run -2 status --range 20000-20999 --config x.ini
	[ "$output" = "portfence: '--range' takes the place of a file, give only one, see 'portfence status --help'" ]
	run -1 status --range 20999-20000
	[ "$output" = "portfence: --range: '20999-20000' is reversed, write the lower port first" ]
	for seconds in 0 0.01 -1 x 1x nan 1e9; do
		run -2 status --watch="$seconds"
		[ "$output" = "portfence: '$seconds' is not a number of seconds from 0.1 to 86400, see 'portfence status --help'" ]
	done
	run -2 status app other
}

@test "--help names every option, and the one whose value may be left out as such" {
	run -0 status --help
	has_line '  --watch[=SECONDS]  draw again every SECONDS (default: 2), in place, until' <<<"$output"
	for option in --config --range --watch --json --help; do
		[[ $output == *"$option"* ]]
	done
}

# ---- for monitors

# metrics COMMAND...: "name{labels} value" of each sample, as Prometheus's own reader sees it
metrics() {
	"$@" | /usr/bin/python3 -c '
import sys
from prometheus_client.openmetrics.parser import text_string_to_metric_families
for family in text_string_to_metric_families(sys.stdin.read()):
    assert family.type == ("counter" if family.name == "portfence_refusals" else "gauge"), family
    assert family.documentation, family
    for sample in family.samples:
        print(sample.name + "".join(" " + label for label in sample.labels.values()), int(sample.value))'
}

needs_prometheus() {
	/usr/bin/python3 -c 'import prometheus_client' 2>/dev/null || not_installed 'python3-prometheus-client is not installed'
}

@test "--openmetrics has the numbers of --json, as Prometheus reads them" {
	needs_prometheus
	printf '[a"b\\c]\nrange = 24000-24009\nudp.range = 24010\n' >>app.ini
	hold serve 9000
	hold_fenced -- connect 9000 connect 9000
	hold udp 20001
	ns_background "$PORTFENCE" run --lease 7 --pool 25000-25099 -- sh -c 'echo ready >lease.out; exec sleep infinity'
	wait_until grep -qs ready lease.out
	run -0 metrics status --openmetrics
	for line in 'portfence_ports app tcp 100' 'portfence_ports_used app tcp 2' 'portfence_ports_used app udp 1' \
		'portfence_sockets app tcp 2' 'portfence_destinations app tcp 1' 'portfence_ports_time_wait app tcp 0' \
		'portfence_fullest_destination_ports app tcp 2' 'portfence_ports_outside app 1' \
		'portfence_ports a"b\c tcp 10' 'portfence_ports a"b\c udp 1' 'portfence_fullest_destination_ports a"b\c tcp 0' \
		'portfence_leases 1' 'portfence_leased_ports 7' 'portfence_pool_ports 9889'; do
		has_line "$line" <<<"$output"
	done
	# one section alone
	run -0 metrics status --openmetrics app
	[[ $output != *'a"b'* ]]
}

# refused PROTOCOL REASON: how many calls of [app] --json counts
refused() {
	json "sections.0.$1.refused.$2" status --json
}

@test "calls that are refused are counted, of all processes and users, by library and supervisor" {
	needs_prometheus
	mkdir -m 1777 counted
	printf '%s\n' '[portfence]' "state = $PWD/counted" '[app]' 'range = 20000' 'bind = own' 'match = *' >app.ini
	unset PORTFENCE_STATE
	cat >refused.py <<-'END'
		import socket
		held = [socket.socket(socket.AF_INET, kind) for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM)]
		for one in held:
		    one.bind(("127.0.0.1", 0))
		for kind, port in (socket.SOCK_STREAM, 0), (socket.SOCK_STREAM, 0), (socket.SOCK_DGRAM, 0), (socket.SOCK_STREAM, 9999):
		    try:
		        socket.socket(socket.AF_INET, kind).bind(("127.0.0.1", port))
		    except OSError:
		        continue
		    raise SystemExit(f"{kind} {port} was not refused")
	END
	[ "$(refused tcp no_port)" = 0 ]
	ns "$PORTFENCE" run --quiet --config app.ini --via preload -- python3 refused.py
	[ "$(refused tcp no_port) $(refused udp no_port) $(refused tcp bind) $(refused udp bind)" = '2 1 1 0' ]
	ns "$PORTFENCE" run --config app.ini --via supervise -- python3 refused.py
	[ "$(refused tcp no_port) $(refused udp no_port) $(refused tcp bind) $(refused udp bind)" = '4 2 2 0' ]
	# another user's
	chmod 644 app.ini refused.py
	ns "${AS_NOBODY[@]}" "$PORTFENCE" run --quiet --config "$PWD/app.ini" --via preload -- python3 "$PWD/refused.py"
	[ "$(refused tcp no_port) $(refused udp no_port) $(refused tcp bind) $(refused udp bind)" = '6 3 3 0' ]
	run -0 status
	has_line '  refused  tcp 6 (no port left)' <<<"$output"
	has_line '  refused  tcp 3 (explicit bind)' <<<"$output"
	has_line '  refused  udp 3 (no port left)' <<<"$output"
	run -0 metrics status --openmetrics
	has_line 'portfence_refusals_total app tcp no_port 6' <<<"$output"
	has_line 'portfence_refusals_total app udp bind 0' <<<"$output"
	# 'exhausted = system' is counted by itself
	sed -i 's/^bind = own/exhausted = system/' app.ini
	sed -i 's/^        continue$/        raise/; s/, (socket.SOCK_STREAM, 9999)//; s/raise SystemExit.*/pass/' refused.py
	ns "$PORTFENCE" run --quiet --config app.ini --via preload -- python3 refused.py
	[ "$(refused tcp system_port) $(refused udp system_port) $(refused tcp no_port)" = '2 1 6' ]
}

@test "what is no state file, or pretends to be another user's, does not change the counts" {
	mkdir -m 1777 counted
	printf '%s\n' '[portfence]' "state = $PWD/counted" '[app]' 'range = 20000' 'match = *' >app.ini
	unset PORTFENCE_STATE
	ns "$PORTFENCE" run --quiet --config app.ini --via preload -- python3 -c '
import socket
socket.socket(socket.AF_INET, socket.SOCK_STREAM).bind(("127.0.0.1", 0))'
	[ "$(refused tcp no_port)" = 0 ]
	own=counted/app.0
	# 7 refused: behind all else, 3 protocols with 4 numbers of 8 bytes
	printf '\7\0\0\0\0\0\0\0' | dd of="$own" bs=1 seek=$(($(stat -c %s "$own") - 96)) conv=notrunc status=none
	[ "$(refused tcp no_port)" = 7 ]
	cp "$own" counted/app.1    # root's, with another user's name
	cp "$own" counted/app.2 && truncate -s -8 counted/app.2 && chown 2 counted/app.2
	mkfifo counted/app.3 && chown 3 counted/app.3
	ln -s app.0 counted/app.4
	cp "$own" counted/other.5 && chown 5 counted/other.5
	cp "$own" counted/app.6 && printf x | dd of=counted/app.6 bs=1 conv=notrunc status=none && chown 6 counted/app.6
	mkdir counted/app.7
	[ "$(refused tcp no_port)" = 7 ]
	cp "$own" counted/app.8 && chown 8 counted/app.8
	[ "$(refused tcp no_port)" = 14 ]
	# a number that no program reaches
	printf '\377' | dd of=counted/app.8 bs=1 seek=$(($(stat -c %s "$own") - 89)) conv=notrunc status=none
	[ "$(refused tcp no_port)" = 7 ]
	# all users' own folders
	# shellcheck disable=SC2016 # the inner shell expands it
	ns unshare -m sh -c 'mount -t tmpfs none /dev/shm && mkdir /dev/shm/portfence-0 /dev/shm/portfence-8 /dev/shm/other &&
		cp counted/app.0 /dev/shm/portfence-0 && cp counted/app.0 /dev/shm/portfence-8/app.8 && cp counted/app.0 /dev/shm/other &&
		ln -s /dev/shm/other /dev/shm/portfence-9 && chown 8 /dev/shm/portfence-8/app.8 &&
		mkdir /dev/shm/portfence-5 && mount -t tmpfs none /dev/shm/portfence-5 && cp -p counted/app.0 /dev/shm/portfence-5 &&
		sed -i /^state/d app.ini && "$1" status --config app.ini' sh "$PORTFENCE" >shown
	has_line '  refused  tcp 14 (no port left)' <shown
}

@test "--output replaces a file at once, and leaves it as it was where that fails" {
	mkdir collector
	status --openmetrics --output collector/portfence.prom
	status --openmetrics | cmp - collector/portfence.prom
	[ "$(stat -c %a collector/portfence.prom)" = 644 ]
	[ "$(ls collector)" = portfence.prom ]
	# who reads the old file goes on with it
	exec 6<collector/portfence.prom
	echo '[more]' >>app.ini
	echo 'range = 26000' >>app.ini
	status --openmetrics --output collector/portfence.prom
	[[ $(cat <&6) != *more* ]]
	exec 6<&-
	grep -q more collector/portfence.prom
	cp collector/portfence.prom before
	# a folder that may not be written to, a full disk, a mistake in the configuration
	run -1 ns "$PORTFENCE" status --openmetrics --output none/x
	[ "$output" = "portfence: 'none/x' cannot be written: No such file or directory" ]
	# shellcheck disable=SC2016 # the inner shell expands it
	run -1 ns unshare -m sh -c 'mount -t tmpfs -o size=4k,nr_inodes=10 none collector && cd collector &&
		head -c 4096 /dev/zero >full; echo old >portfence.prom
		"$1" status --openmetrics --output portfence.prom; status=$?
		[ "$(ls)" = "full
portfence.prom" ] || exit 9
		exit $status' sh "$PORTFENCE"
	[[ $output == *"'portfence.prom' cannot be written: No space left on device"* ]]
	echo 'colour = red' >>app.ini
	run -1 ns "$PORTFENCE" status --openmetrics --output collector/portfence.prom
	cmp before collector/portfence.prom
	run -2 ns "$PORTFENCE" status --output x
	[[ $output == *"'--output' is for '--openmetrics'"* ]]
	for other in --json --watch '--range=20000'; do
		run -2 ns "$PORTFENCE" status --openmetrics "$other"
		[[ $output == *"'--openmetrics' goes with none of "* ]]
	done
}
