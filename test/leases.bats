#!/usr/bin/env bats
#
# `portfence run --lease`, `range = lease` and `portfence leases`: a block of ports for one run alone,
# for as long as anything of it lives.

# shellcheck disable=SC1083,SC2016,SC2030,SC2031,SC2034 # braces and inner shells are the command's; each test is a process of its own
bats_require_minimum_version 1.5.0
load lib/helpers
load lib/leases

WAYS="auto preload supervise both"

# leased [OPTION]... -- COMMAND...: with a lease of ten ports out of thirty. Once COMMAND has ended, its
# supervisor gives it back: where the next one is to have the same, wait until there is none.
leased() {
	ns "$PORTFENCE" run --lease 10 --pool 20000-20029 "$@"
}

# holder [OPTION]...: somebody who keeps such a lease; its process id is in $pid
holder() {
	ns_background "$PORTFENCE" run --lease 10 --pool 20000-20029 "$@" -- "$PROBES/lease_holder" wait
}

# holders COUNT: so many, one after the other; their ids are in $ids
holders() {
	local i
	ids=()
	for ((i = 0; i < $1; i++)); do
		holder "${@:2}"
		ids+=("$pid")
		# by then the lease is taken and published, and the command has taken portfence's place
		wait_until grep -q '^lease_holder$' "/proc/$pid/comm"
		wait_until has_leases $((i + 1))
	done
}

has_leases() {
	[ "$(blocks | wc -l)" = "$1" ]
}

end() {
	kill -KILL "$1"
	wait "$1" || true
}

# ---- what a run gets ----

@test "a run finds its block in three variables, and all of its ports lie in it" {
	local way
	for way in $WAYS; do
		run leased --via "$way" -- sh -c 'echo $PORTFENCE_FIRST $PORTFENCE_LAST $PORTFENCE_RANGE'
		[ "$output" = "20000 20009 20000-20009" ]
		wait_until are_leased
		leased --via "$way" -- python3 - >ports <<-'END'
			import socket
			kept = []
			for kind in 2 * [socket.SOCK_STREAM] + 5 * [socket.SOCK_DGRAM]:
			    one = socket.socket(socket.AF_INET, kind)
			    one.bind(("127.0.0.1", 0))
			    kept.append(one)
			    print(one.getsockname()[1])
		END
		[ "$(wc -l <ports)" = 7 ]
		all_within 20000 20009 <ports
		wait_until are_leased
	done
}

@test "runs at the same time have different blocks, and a block that was given back is taken again" {
	holders 2
	are_leased 20000-20009 20010-20019
	run leased -- sh -c 'echo $PORTFENCE_RANGE'
	[ "$output" = 20020-20029 ]
	end "${ids[0]}"
	wait_until are_leased 20010-20019
	run leased -- sh -c 'echo $PORTFENCE_RANGE'
	[ "$output" = 20000-20009 ]
}

@test "a block lies in one piece of the pool, and no section's range is part of the default pool" {
	run ns "$PORTFENCE" run --lease 10 --pool 20000-20004,20010-20014,20020-20029 -- \
		sh -c 'echo $PORTFENCE_RANGE'
	[ "$output" = 20020-20029 ]
	printf '[curl]\nrange = 20000-20999\n[*]\nrange = 25000-25999\n' >some.ini
	run ns "$PORTFENCE" run --config some.ini --lease 10 -- sh -c 'echo $PORTFENCE_RANGE'
	[ "$output" = 21000-21009 ]
	printf '[portfence]\npool = 22000-22099\n' >some.ini
	run ns "$PORTFENCE" run --config some.ini --lease 100 -- sh -c 'echo $PORTFENCE_RANGE'
	[ "$output" = 22000-22099 ]
}

@test "ports that a socket uses are passed over, for every protocol and address" {
	ns_background python3 -c '
import socket, time
kept = [socket.create_server(("127.0.0.1", 20003)), socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)]
kept[1].bind(("::1", 20012))
print("ready", flush=True)
time.sleep(1000)' >ready
	wait_until grep -q ready ready
	run ns "$PORTFENCE" run --lease 10 --pool 20000-20099 -- sh -c 'echo $PORTFENCE_RANGE'
	[ "$output" = 20013-20022 ]
	wait_until are_leased
	run ns "$PORTFENCE" run --lease 8 --pool 20000-20099 -- sh -c 'echo $PORTFENCE_RANGE'
	[ "$output" = 20004-20011 ]
}

@test "ports in TIME_WAIT are taken only where there are no others" {
	ns python3 -c '
import socket
server = socket.create_server(("127.0.0.1", 7000))
client = socket.socket()
client.bind(("127.0.0.1", 20005))
client.connect(("127.0.0.1", 7000))
other = server.accept()[0]
client.close()
other.close()'
	ns ss -Htan state time-wait | grep -q :20005
	run ns "$PORTFENCE" run --lease 10 --pool 20000-20019 -- sh -c 'echo $PORTFENCE_RANGE'
	[ "$output" = 20006-20015 ]
	wait_until are_leased
	run ns "$PORTFENCE" run --lease 10 --pool 20000-20009 -- sh -c 'echo $PORTFENCE_RANGE'
	[ "$output" = 20000-20009 ]
}

@test "a lease takes the place of a section's range, and the rest of the section stays" {
	printf '[sh]\nrange = 21000-21099\nbind = deny\n' >some.ini
	run leased --config some.ini -- sh -c 'echo $PORTFENCE_RANGE $PORTFENCE_APP'
	[ "$output" = "20000-20009 sh" ]
	wait_until are_leased
	run leased --config some.ini --app sh -- python3 -c '
import socket
one = socket.socket()
one.bind(("127.0.0.1", 0))
print(one.getsockname()[1], flush=True)
socket.socket().bind(("127.0.0.1", 20001))'
	[ "$status" = 1 ]
	all_within 20000 20009 <<<"${lines[0]}"
	[[ $output = *PermissionError* ]]
}

# ---- arguments ----

@test "--substitute replaces placeholders for ports in arguments, and leaves other braces alone" {
	run leased --substitute -- printf '%s\n' {first} a{last}b {first+3}:{last-1} {range} {} {x} {first+} \
		'{first' '{{last}}'
	[ "$(xargs <<<"$output")" = \
		"20000 a20009b 20003:20008 20000-20009 {} {x} {first+} {first {20009}" ]
	wait_until are_leased
	run leased -- echo '{first}'
	[ "$output" = '{first}' ]
	wait_until are_leased
	run leased --substitute -- sh -c 'echo $0' '{first}'
	[ "$output" = 20000 ]
}

@test "ports in arguments are given to no other call, unless there are no others" {
	leased --substitute -- python3 -c '
import socket, sys
kept = []
for i in range(8):
    kept.append(socket.create_server(("127.0.0.1", 0)))
    print(kept[-1].getsockname()[1])
for port in sys.argv[1:3]:
    kept.append(socket.create_server(("127.0.0.1", int(port))))' '{first}' '{last-4}' '{range}' | sort >ports
	printf '%s\n' 20001 20002 20003 20004 20006 20007 20008 20009 | diff ports -
	wait_until are_leased
	run ns "$PORTFENCE" run --lease 1 --pool 20000 --substitute -- python3 -c '
import socket
print(socket.create_server(("127.0.0.1", 0)).getsockname()[1])' '{first}'
	[ "$output" = 20000 ]
	wait_until are_leased
	# what lies outside the range would be refused to the program
	printf '[*]\nrange = iana\nbind = own\n' >own.ini
	run leased --config own.ini --substitute -- python3 -c '
import socket, sys
print(socket.create_server(("127.0.0.1", int(sys.argv[1]))).getsockname()[1])' '{first}'
	[ "$output" = 20000 ]
}

# ---- what is refused ----

@test "bad input is refused before anything is taken" {
	local number="write a whole number from 1 to 65535"
	holders 1
	says 125 "portfence: --lease: '0' is no number of ports for a lease, $number" \
		ns "$PORTFENCE" run --lease 0 -- true
	says 125 "portfence: --lease: '65536' is no number of ports for a lease, $number" \
		ns "$PORTFENCE" run --lease 65536 -- true
	says 125 "portfence: --lease: '99999999999999999999' is no number of ports for a lease, $number" \
		ns "$PORTFENCE" run --lease 99999999999999999999 -- true
	says 125 "portfence: --lease: '10x' is no number of ports for a lease, $number" \
		ns "$PORTFENCE" run --lease 10x -- true
	says 125 "portfence: --lease: '-1' is no number of ports for a lease, $number" \
		ns "$PORTFENCE" run --lease -1 -- true
	says 125 "portfence: option '--lease' has an empty value, see 'portfence run --help'" \
		ns "$PORTFENCE" run --lease '' -- true
	says 125 "portfence: a lease of 31 ports does not fit into the pool 20000-20029, which has 30 in \
one piece; ask for fewer, or for a larger 'pool'" leased --lease 31 -- true
	says 125 "portfence: '--lease' takes the place of '--range', give only one, see 'portfence run \
--help'" leased --range 20000-20001 -- true
	says 125 "portfence: --wait: 'x' is not a number of seconds from 0 to 86400" \
		leased --wait x -- true
	says 125 "portfence: --wait: 'nan' is not a number of seconds from 0 to 86400" \
		leased --wait nan -- true
	says 125 "portfence: --wait: '-1' is not a number of seconds from 0 to 86400" \
		leased --wait -1 -- true
	says 125 "portfence: '--substitute' needs a lease; add '--lease N'" \
		ns "$PORTFENCE" run --range 20000-20009 --substitute -- true
	says 125 "portfence: '{first+10}' lies outside the lease, which has 10 ports" \
		leased --substitute -- echo {last} {first+10}
	says 125 "portfence: '{last-99999999999999999999}' lies outside the lease, which has 10 ports" \
		leased --substitute -- echo {last-99999999999999999999}
	run leased --pool 1-x -- true
	[ "$status" = 125 ]
	[[ $output = "portfence: --pool: '1-x' is"* ]]
	are_leased 20000-20009
}

@test "if all are taken, the message lists the holders" {
	holders 3
	run leased -- touch ran
	[ "$status" = 125 ]
	[ ! -e ran ]
	[ "${#lines[@]}" = 4 ]
	[ "${lines[0]}" = "portfence: no 10 ports in a row are free of leases and sockets in the pool \
20000-20029; use a larger '--pool', or '--wait SECONDS'" ]
	[[ ${lines[1]} =~ ^"  20000-20009 by '$PROBES/lease_holder wait' (pid ${ids[0]}, user root, since "20..-..-..\ ..:..:.. ]]
	[[ ${lines[3]} = "  20020-20029 by '$PROBES/lease_holder wait' (pid ${ids[2]}, "* ]]
	run leased --wait 0 -- touch ran
	[ "$status" = 125 ]
	run leased --wait 0.1 -- touch ran
	[ "$status" = 125 ]
	[[ ${lines[0]} = *"in the pool 20000-20029, after 0.1 seconds; use"* ]]
}

@test "of many holders, ten are listed" {
	local i
	for i in {1..12}; do
		ns_background "$PORTFENCE" run --lease 1 --pool 20000-20011 -- "$PROBES/lease_holder" wait
	done
	wait_until has_leases 12
	run ns "$PORTFENCE" run --lease 1 --pool 20000-20011 -- true
	[ "$status" = 125 ]
	[ "${#lines[@]}" = 12 ]
	[ "${lines[11]}" = "  and 2 more, see 'portfence leases'" ]
}

@test "--wait takes a block as soon as its holder has ended" {
	holders 3
	ns_background "$PORTFENCE" run --lease 10 --pool 20000-20029 --wait 60 -- "$PROBES/lease_holder" wait \
		>waiting
	waiting=$pid
	# it sleeps between two tries
	wait_until grep -qs nanosleep "/proc/$waiting/stack" "/proc/$waiting/wchan"
	[ ! -s waiting ]
	end "${ids[1]}"
	wait_until grep -q held waiting
	[ "$(cat waiting)" = "held 20010-20019" ]
	end "$waiting"
}

@test "a map is the block's last ports, which leases tell, and is at odds with an argument that names one" {
	PATH=$(dirname "$PORTFENCE"):$PATH
	run -0 leased --substitute --map 8080,80 -- sh -c \
		'echo $PORTFENCE_MAP {first+1}; echo $PORTFENCE_RULE; portfence leases; portfence leases --json'
	[ "${lines[0]}" = '8080=20009,80=20008 20001' ]
	# neither the map's ports nor those of the arguments are given out
	[[ "${lines[1]}" = *' range=20000-20000,20002-20007 '* ]]
	[ "${lines[4]}" = '             map  8080 is 20009, 80 is 20008' ]
	[ "$(python3 -c 'import json, sys; print(json.load(sys.stdin)["leases"][0]["map"])' \
		<<<"$(printf '%s\n' "${lines[@]:6}")")" = "{'8080': 20009, '80': 20008}" ]
	wait_until are_leased
	says 125 "portfence: an argument names port 20009, which the map uses for port 8080; name a \
port nearer to the beginning of the lease" leased --substitute --map 8080 -- true {last}
	wait_until are_leased
}

@test "status shows each lease as it shows a section, with its map" {
	holder --map 8080
	is_told() { ns "$PORTFENCE" status 2>/dev/null | grep -qx '  map   8080 is 20009'; }
	wait_until is_told
	run -0 ns "$PORTFENCE" status
	[[ "${lines[0]}" = "lease 20000-20009 by '"*" wait' (pid $pid, "* ]]
	[[ "${lines[1]}" = '  tcp   20000-20009  '*' of 10 ports in use '* ]]
	grep -qx '  map   8080 is 20009' <<<"$output"
	ns "$PORTFENCE" status --json >seen
	[ "$(python3 -c '
import json
s = json.load(open("seen")); l = s["leases"][0]
print(s["file"], s["sections"], l["first"], l["last"], l["pid"], l["map"], l["tcp"]["ports"])')" = \
		"None [] 20000 20009 $pid {'8080': 20009} 10" ]
	# of a section, those that run as it
	printf '[a]\nrange = lease 10\nmatch = sleep\n[b]\nrange = 21000-21009\n' >status.ini
	run -0 ns "$PORTFENCE" status --config status.ini b
	[[ "$output" != *lease* ]]
	ns_background "$PORTFENCE" run --config status.ini --app a -- sleep infinity
	one=$pid
	is_shown() { ns "$PORTFENCE" status --config status.ini a | grep -qE "^lease [0-9-]+ by 'sleep infinity' \(pid $one,"; }
	wait_until is_shown
	[ "$(ns "$PORTFENCE" status --config status.ini a | grep -c ^lease)" = 1 ]
	[ "$(ns "$PORTFENCE" status --config status.ini | grep -c ^lease)" = 2 ]
}

@test "a run inside goes on with the block of the run around it, unless it has another range" {
	run --separate-stderr leased -- "$PORTFENCE" run -- sh -c 'echo $PORTFENCE_FIRST $PORTFENCE_RANGE'
	[ "$output" = "20000 20000-20009" ]
	wait_until are_leased
	run --separate-stderr leased -- "$PORTFENCE" run --range 20004-20005 -- sh -c 'echo x$PORTFENCE_FIRST $PORTFENCE_RANGE'
	[ "$output" = "x 20004-20005" ]
}

# ---- how long it lasts ----

@test "a program that closes every descriptor keeps its lease, and has no descriptor of it" {
	local way
	for way in $WAYS; do
		holders 1 --via "$way"
		run bash -c "ls -l /proc/$pid/fd | grep leases"
		[ "$status" = 1 ]
		end "$pid"
		wait_until are_leased
		ns_background "$PORTFENCE" run --lease 10 --pool 20000-20029 --via "$way" -- python3 -c '
import os
os.closerange(0, 4096)
os.execvp("sleep", ["sleep", "infinity"])'
		wait_until grep -q '^sleep' "/proc/$pid/comm"
		are_leased 20000-20009
		end "$pid"
		wait_until are_leased
	done
}

@test "a child that goes on as a daemon keeps the lease, and its end gives it back" {
	local way
	for way in $WAYS; do
		leased --via "$way" -- bash -c 'setsid -f sh -c "echo \$\$ >daemon; exec sleep infinity" \
			</dev/null >/dev/null 2>&1 3>&-'
		wait_until test -s daemon
		are_leased 20000-20009
		kill -KILL "$(cat daemon)"
		wait_until are_leased
		rm daemon
	done
}

# Since Linux 6.11 a process leaves its filter, and with it the lease, some moments before its files are closed.
@test "of a program that was killed, the next lease gets no port that still has a socket" {
	local way
	for way in $WAYS; do
		ns_background bash -c 'ulimit -n 8192; exec "$@"' - "$PORTFENCE" run --via "$way" \
			--lease 2000 --pool 20000-21999 -- "$PROBES/lease_holder" wait >said
		wait_until grep -q held said
		end "$pid"
		run ns bash -c 'ulimit -n 8192; exec "$@"' - "$PORTFENCE" run --via "$way" --wait 60 \
			--lease 2000 --pool 20000-21999 -- "$PROBES/lease_holder" end
		[ "$output" = "held 20000-21999" ]
		wait_until are_leased
	done
}

@test "a process whose first thread has ended long ago keeps no lease from its end" {
	ns_background python3 -c '
import ctypes, platform, threading, time
threading.Thread(target=time.sleep, args=(1000,)).start()
print("ready", flush=True)
ctypes.CDLL(None).syscall({"x86_64": 60}.get(platform.machine(), 93), 0)' >ready
	wait_until grep -q '^State:.Z' "/proc/$pid/status"
	holders 1
	end "$pid"
	wait_until are_leased
	kill -0 "${PIDS[0]}"
	end "${PIDS[0]}"
}

@test "a lease that was taken, and not yet signed, is listed, and is free when its holder is killed" {
	holders 1
	end "$pid"
	wait_until are_leased
	file=$PORTFENCE_STATE/.leases.0
	ns_background python3 -c '
import fcntl, struct, sys, time
file = open(sys.argv[1], "r+b")
fcntl.fcntl(file, fcntl.F_OFD_SETLK, struct.pack("hhqqi4x", fcntl.F_WRLCK, 0, 20005, 10, 0))
print("ready", flush=True)
time.sleep(1000)' "$file" >ready
	wait_until grep -q ready ready
	# the record of the holder before is of another block
	run ns "$PORTFENCE" leases
	[[ ${lines[1]} =~ ^"20005-20014     10      ?" ]]
	[ "$(field "answer['leases']")" = "[{'first': 20005, 'last': 20014, 'ports': 10, 'pid': None, 'heir': None, \
'uid': None, 'since': None, 'section': None, 'map': None, 'command': None, 'name': None, 'held_by': [{'detached': False, \
'pid': None, 'heir': None, 'uid': None, 'since': None, 'section': None, 'map': None, 'command': None}]}]" ]
	run leased -- sh -c 'echo $PORTFENCE_RANGE'
	[ "$output" = 20015-20024 ]
	run ns "$PORTFENCE" run --lease 10 --pool 20000-20010 -- true
	[ "${lines[1]}" = "  20005-20014, holder unknown" ]
	end "$pid"
	wait_until are_leased
}

# ---- in the configuration ----

configured() {
	cat >some.ini <<-END
		[sh]
		range = lease 5
		[python3]
		range = lease
		match = python3*
		[portfence]
		pool  = 20000-20029
		lease = 20
	END
}

@test "range = lease gives each run of an application its own block" {
	configured
	run ns "$PORTFENCE" run --config some.ini -- sh -c 'echo $PORTFENCE_RANGE $PORTFENCE_APP'
	[ "$output" = "20000-20004 sh" ]
	wait_until are_leased
	ns_background "$PORTFENCE" run --config some.ini --app sh -- "$PROBES/lease_holder" wait
	wait_until are_leased 20000-20004
	ns "$PORTFENCE" leases | grep -q "\[sh\] $PROBES/lease_holder wait$"
	[ "$(field "answer['leases'][0]['section']")" = sh ]
	run ns "$PORTFENCE" run --config some.ini --substitute -- python3 -c '
import socket, sys
print(sys.argv[1], socket.create_server(("127.0.0.1", 0)).getsockname()[1])' '{range}'
	[[ $output = "20005-20024 200"?? ]]
	all_within 20005 20024 <<<"${output#* }"
	wait_until are_leased 20000-20004
	# what names a range or a lease takes its place
	run ns "$PORTFENCE" run --config some.ini --lease 2 -- sh -c 'echo $PORTFENCE_RANGE'
	[ "$output" = 20005-20006 ]
	run ns "$PORTFENCE" run --config some.ini --range 23000-23009 -- sh -c 'echo $PORTFENCE_RANGE'
	[ "$output" = 23000-23009 ]
}

@test "under a plain preload such an application gets no ports, and the message says what it needs" {
	configured
	run --separate-stderr ns env LD_PRELOAD="$LIBRARY" PORTFENCE_CONFIG="$PWD/some.ini" python3 -c '
import socket
socket.socket().bind(("127.0.0.1", 0))'
	[ "$status" = 1 ]
	[[ $stderr = *"$PWD/some.ini:4: [python3] has 'range = lease', which needs 'portfence run' to take the \
lease"* ]]
	run ns env LD_PRELOAD="$LIBRARY" PORTFENCE_CONFIG="$PWD/some.ini" PORTFENCE_RANGE=23000 python3 -c '
import socket
print(socket.create_server(("127.0.0.1", 0)).getsockname()[1])'
	[ "$output" = 23000 ]
	run ns "$PORTFENCE" env --config some.ini sh
	[ "$status" = 1 ]
	[[ $output = "portfence: [sh] has 'range = lease', and only 'portfence run' takes a lease; use that, or \
'--range'"*false ]]
}

# refuses TEXT LINE...: a file of these lines has that mistake
refuses() {
	printf '%s\n' "${@:2}" >bad.ini
	run ns "$PORTFENCE" check bad.ini
	[ "$status" = 1 ]
	if [[ $output != *"bad.ini:$1"* ]]; then
		printf "wanted '%s'\ngot    '%s'\n" "$1" "$output"
		return 1
	fi
}

# alone COMMAND...: where no other process of the machine is seen
alone() {
	ns unshare --pid --fork --mount-proc "$@"
}

# beside_nomad COMMAND...: where one other process is seen, with the name nomad. Nobody else sees that name.
beside_nomad() {
	echo nomad >name
	alone sh -c 'sleep infinity 3>&- & mount --bind name "/proc/$!/comm" && "$@"' - "$@"
}

@test "leases and check warn of a pool whose ports another program of this machine uses by default" {
	local clash="meets 20000-32000, which Nomad uses for its tasks by default, and Nomad is on this machine; \
choose another 'pool', or other ports for Nomad" own="meets the ephemeral range 25000-60999, whose ports the \
kernel gives to any program; choose a 'pool' outside of it, or reserve the pool"
	printf '[portfence]\npool = 20000-20029\n[a]\nrange = 40000-40009\nmatch = a\n' >some.ini
	run -0 --separate-stderr alone "$PORTFENCE" leases --config some.ini
	[[ "$stderr" != *Nomad* ]]
	run -0 --separate-stderr beside_nomad "$PORTFENCE" leases --config some.ini
	[[ "$stderr" = *"portfence: warning: the pool 20000-20029 $clash"* ]]
	run beside_nomad "$PORTFENCE" check some.ini
	[[ "$output" = *"some.ini: warning: the pool 20000-20029 $clash"* ]]
	sed -i 's/20000-20029/40000-40029/' some.ini
	run -0 --separate-stderr beside_nomad "$PORTFENCE" leases --config some.ini
	[[ "$stderr" != *Nomad* ]]
	ns sysctl -qw net.ipv4.ip_local_port_range='25000 60999'
	run -0 --separate-stderr alone "$PORTFENCE" leases --config some.ini
	[[ "$stderr" = *"portfence: warning: the pool 40000-40029 $own"* ]]
	ns sysctl -qw net.ipv4.ip_local_reserved_ports=40000-40029
	run -0 --separate-stderr alone "$PORTFENCE" leases --config some.ini
	[[ "$stderr" != *ephemeral* ]]
	# a pool that no section and no key names is none of the file's
	printf '[a]\nrange = 40000-40009\nmatch = a\n' >some.ini
	run alone "$PORTFENCE" check some.ini
	[[ "$output" != *pool* ]]
}

@test "mistakes with leases are errors with their line" {
	refuses "2: error: '0' is no number of ports for a lease, write" '[a]' 'range = lease 0'
	refuses "2: error: 'x' is no number of ports" '[a]' 'range = lease x'
	refuses "2: error: 'range' cannot be 'lease, 20000': a lease is one block" '[a]' 'range = lease, 20000'
	refuses "3: error: 'tcp.range' cannot be 'lease': a lease is one block for all" \
		'[a]' 'range = 20000' 'tcp.range = lease'
	refuses "3: error: 'exclude' cannot be 'lease 5': a lease is one block for all" \
		'[a]' 'range = 20000-20009' 'exclude = lease 5'
	refuses "1: error: [a] has 'range = lease', which is one block for all protocols; take 'udp.range' out" \
		'[a]' 'range = lease' 'udp.range = 20000'
	refuses "1: error: [a] has 'range = lease', which is one block for all protocols; take 'exclude' out" \
		'[a]' 'range = lease' 'exclude = 20000'
	refuses "2: error: a lease of 11 ports does not fit into the pool 20000-20009, which has 10 in one piece" \
		'[a]' 'range = lease 11' '[portfence]' 'pool = 20000-20009'
	refuses "2: error: a lease of 100 ports does not fit" '[a]' 'range = lease' '[portfence]' 'pool = 20000-20009'
	refuses "4: error: the sections leave no port of 20000-29999 for leases, give [portfence] a 'pool'" \
		'[b]' 'range = 20000-29999' '[a]' 'range = lease'
	refuses "2: error: '70000' is no number of ports" '[portfence]' 'lease = 70000'
	refuses "2: error: 'leases' is no lease file, write an absolute path" '[portfence]' 'lease-file = leases'
	refuses "2: error: 'x-y' is neither" '[portfence]' 'pool = x-y'
	says 125 "portfence: --range: 'lease' is no range by itself, it is for 'range' in the \
configuration; use 'portfence run --lease N'" ns "$PORTFENCE" run --range lease -- true
}

@test "check, which and status know what a lease is" {
	configured
	run ns "$PORTFENCE" check some.ini
	[ "$status" = 0 ]
	[[ $output = *"some.ini:2: note: [sh]: each 'portfence run' takes 5 ports out of 20000-20029 for itself; \
a program that is started in any other way gets no port"* ]]
	[[ $output != *overlap* ]]
	run ns "$PORTFENCE" which --config some.ini sh
	[[ $output = *"range    a lease of 5 ports out of 20000-20029, another for each run"* ]]
	ns "$PORTFENCE" which --config some.ini --json python3 | grep -q '"lease": 20,'
	ns_background "$PORTFENCE" run --config some.ini --app sh -- "$PROBES/lease_holder" wait >said
	wait_until grep -q held said
	run ns "$PORTFENCE" status --config some.ini sh
	[[ $output = *"tcp   20000-20029  5 of 30 ports in use (16 %)"* ]]
	[[ $output = *"    5  lease_holder (pid $pid, user root)"* ]]
	# neither in the pool nor in the lease, all of whose ports it has
	[[ $output != *"not fenced"* ]]
	[ "$(grep -c warning <<<"$output")" = "$(grep -c 'warning: no tcp port is left' <<<"$output")" ]
	run ns "$PORTFENCE" audit --config some.ini
	[ "$status" = 0 ]
}

@test "check gives a remedy that a lease allows" {
	printf 'one 20001/tcp\n' >services
	printf '[sh]\nrange = lease 5\n' >some.ini
	run ns unshare -m sh -c 'mount --bind services /etc/services && exec "$@"' - \
		"$PORTFENCE" check some.ini
	[ "$status" = 0 ]
	[[ $output = *"named in /etc/services: 20001 (one); leave it out of the 'pool'"* ]]
}

# ---- who shares them ----

@test "the list is sorted by port, and says how much of the pool is left" {
	before=$(date +%s)
	holders 2 --lease 5
	ns_background "$PORTFENCE" run --lease 3 --pool 24000-24002,20000-20029 -- "$PROBES/lease_holder" wait
	wait_until has_leases 3

	ns_background "$PORTFENCE" run --lease 3 --pool 19000-19002 -- "$PROBES/lease_holder" wait
	wait_until are_leased 19000-19002 20000-20004 20005-20009 20010-20012
	printf '[portfence]\npool = 20000-20029\n' >some.ini
	run ns "$PORTFENCE" leases --config some.ini
	[[ ${lines[0]} = "PORTS        COUNT    PID  USER      SINCE                COMMAND" ]]
	[[ ${lines[2]} =~ ^"20000-20004      5  "\ *"${ids[0]}  root      "20..-..-..\ ..:..:..\ \ "$PROBES/lease_holder wait"$ ]]
	[ "${lines[5]}" = "4 leases; of the 30 ports of the pool 20000-20029, 13 are leased and 17 are not" ]
	[ "$(field "answer['pool']" --config some.ini)" = \
		"{'range': '20000-20029', 'ports': 30, 'leased': 13, 'free': 17}" ]
	[ "$(field "answer['leases'][1]['pid'], answer['leases'][1]['uid'], answer['leases'][1]['command']")" = \
		"${ids[0]} 0 $PROBES/lease_holder wait" ]
	field "answer['leases'][1]['since']" >since
	awk -v before="$before" -v now="$(date +%s)" '{ exit !(int($1) >= before && int($1) <= now) }' since
}

# own_processes: from here on, ns sees no process of another test. That one may have the same block in another file.
own_processes() {
	# a shell, as that waits for the processes that others leave behind; its namespace ends with it
	ns_background unshare --pid --fork --kill-child --mount-proc bash -c 'trap exit TERM; sleep infinity & wait'
	wait_until eval 'INIT=$(pgrep -P "$pid")'
	PIDS=("$INIT" "${PIDS[@]}")
	ns() {
		nsenter -t "$INIT" --wd="$PWD" -n -p -m -- "$@"
	}
}

# left COMMAND [OPTION]...: a run that has ended, and has left this command behind; its id is in $left
left() {
	ns "$PORTFENCE" run --lease 10 --pool 20000-20009 "${@:2}" -- \
		bash -c "$1"' 3>&- >/dev/null 2>&1 & echo $!' >left
	left=$(cat left)
}

@test "a helper that a run leaves behind is named as the holder of its lease" {
	own_processes
	for way in $WAYS; do
		left 'sleep infinity' --via "$way"
		wait_until ns grep -q '^sleep$' "/proc/$left/comm"
		[ "$(field "answer['leases'][0]['pid'], answer['leases'][0]['heir']")" = "$left sleep" ]
		ns "$PORTFENCE" leases | grep -Eq "^20000-20009 +10 +$left +root .* bash -c .* \(has ended, sleep goes on\)$"
		says 125 "portfence: no 10 ports in a row are free of leases and sockets in the pool 20000-20009; \
use a larger '--pool', or '--wait SECONDS'" ns "$PORTFENCE" run --lease 10 --pool 20000-20009 -- true
		[[ "$stderr" = *"& echo \$!', now sleep (pid $left, user root, since "* ]]
		ns kill "$left"
		wait_until are_leased ''
	done
}

@test "a helper that a run leaves behind is named as the holder of a port that its map keeps" {
	local pool
	own_processes
	for pool in '--lease 10 --pool 20000-20009' '--range 20000-20009'; do
		# shellcheck disable=SC2086 # words
		ns "$PORTFENCE" run $pool --map '8080?,8081?,20009?' -- bash -c 'sleep infinity 3>&- >/dev/null 2>&1 & echo $!' >left
		left=$(cat left)
		wait_until ns grep -q '^sleep$' "/proc/$left/comm"
		[ "$(field "{(l['first'], l['pid'], l['heir']) for l in answer['leases']} >= {(p, $left, 'sleep') for p in (8080, 8081)}")" = True ]
		ns "$PORTFENCE" leases | grep -Eq "^8080-8080 +1 +$left +root .* bash -c .* \(has ended, sleep goes on\)$"
		run -0 ns "$PORTFENCE" leases
		[[ "$output" != *unknown* ]]
		ns kill "$left"
		wait_until are_leased ''
	done
}

@test "if no process that is left can be found, the run is shown as ended, and no dead process is named" {
	own_processes
	cat >wipe.py <<-'END'
		import ctypes
		argv = (ctypes.c_char_p * 3)(b"sleep", b"infinity", None)
		# a system call, which no library gives an environment
		ctypes.CDLL(None).syscall(221 if __import__("os").uname().machine == "aarch64" else 59, b"/bin/sleep", argv, None)
	END
	left 'python3 wipe.py'
	wait_until ns grep -q '^sleep$' "/proc/$left/comm"
	[ "$(field "answer['leases'][0]['pid'], answer['leases'][0]['heir']")" = "None None" ]
	ns "$PORTFENCE" leases | grep -Eq "^20000-20009 +10 +\? +root .* \(has ended, an unknown process goes on\)$"
	ns kill "$left"
}

@test "leases ignores the variables of one run or of one program" {
	holder
	wait_until has_leases 1
	run -0 ns env PORTFENCE_RECORD=relative PORTFENCE_FIRST=x PORTFENCE_LAST=9 PORTFENCE_LOG=nowhere \
		PORTFENCE_APP=nobody PORTFENCE_RANGE=2-1 PORTFENCE_ORDER=fast PORTFENCE_SEED=x PORTFENCE_MAP=x \
		"$PORTFENCE" leases
	[[ "$output" = *20000-20009* ]]
}

@test "if there is no lease yet, the list is empty, and no file is made" {
	run ns "$PORTFENCE" leases
	[ "$output" = "0 leases; of the 10000 ports of the pool 20000-29999, 0 are leased and 10000 are not" ]
	[ -z "$(ls -A "$PORTFENCE_STATE")" ]
}

nobody_sees() {
	as_nobody "$PORTFENCE" leases --config "$install/some.ini" | grep -q "^$1 "
}

@test "two users share the file that the administrator gives, and without it they do not" {
	install_for_all
	cp "$PROBES/lease_holder" "$install"
	PROBES=$install
	printf '[portfence]\nlease-file = %s/shared\npool = 20000-20029\n' "$install" >"$install/some.ini"
	says 125 "portfence: the lease file '$install/shared' is not there; make it with 'touch \
$install/shared && chmod 666 $install/shared', or take 'lease-file' out" \
		ns "$PORTFENCE" run --config "$install/some.ini" --lease 10 -- true
	run ns "$PORTFENCE" check "$install/some.ini"
	[ "$status" = 1 ]
	[[ $output = *"the lease file '$install/shared' is not there"* ]]
	install -m 666 /dev/null "$install/shared"
	ns_background "$PORTFENCE" run --config "$install/some.ini" --lease 10 -- "$install/lease_holder" wait
	wait_until nobody_sees 20000-20009
	run as_nobody "$PORTFENCE" run --config "$install/some.ini" --lease 10 -- sh -c 'echo $PORTFENCE_RANGE'
	[ "$output" = 20010-20019 ]
	run as_nobody "$PORTFENCE" run --config "$install/some.ini" --lease 25 -- true
	[ "$status" = 125 ]
	[[ ${lines[1]} = *"(pid $pid, user root, since "* ]]
	end "$pid"

	# each has a file of its own: blocks may be the same, but not where a socket is
	ns_background "$PORTFENCE" run --lease 10 --pool 20000-20029 -- sleep infinity
	wait_until are_leased 20000-20009
	run as_nobody "$PORTFENCE" run --lease 10 --pool 20000-20029 -- sh -c 'echo $PORTFENCE_RANGE'
	[ "$output" = 20000-20009 ]
	[ "$(stat -c '%a %u' "$PORTFENCE_STATE/.leases.65534")" = "600 65534" ]
	chmod 600 "$install/shared"
	says 125 "portfence: the lease file '$install/shared' cannot be opened: Permission denied" \
		as_nobody "$PORTFENCE" run --config "$install/some.ini" --lease 10 -- true
}

@test "who may only read the lease file can keep others from leases, and check says that" {
	local mode
	install_for_all
	chmod 755 "$install"
	install -m 644 /dev/null "$install/shared"
	printf '[portfence]\nlease-file = %s/shared\npool = 20000-20029\n' "$install" >"$install/some.ini"
	ns_background "${AS_NOBODY[@]}" /usr/bin/python3 -c '
import fcntl, struct, sys, time
file = open(sys.argv[1])
# F_OFD_SETLK of F_RDLCK, from here to the end
fcntl.fcntl(file, 37, struct.pack("hhqqi", 0, 0, 0, 0, 0))
print("locked", flush=True)
time.sleep(600)' "$install/shared" >locked
	wait_until grep -qs locked locked
	run -125 ns "$PORTFENCE" run --config "$install/some.ini" --lease 10 -- true
	echo "$output"
	[[ $output = *"holder unknown"* ]]
	end "$pid"
	for mode in 644 640 664; do
		chmod $mode "$install/shared"
		run -0 ns "$PORTFENCE" check "$install/some.ini"
		[[ $output = *"the lease file '$install/shared' may be read by users who may not write to it"* ]]
	done
	for mode in 600 660 666; do
		chmod $mode "$install/shared"
		run ns "$PORTFENCE" check "$install/some.ini"
		[[ $output != *"may be read by users"* ]]
	done
}

@test "the command that the message gives for the shared file can be run again, and ends no lease" {
	printf '[portfence]\nlease-file = %s/shared\n' "$PWD" >some.ini
	run leased --config some.ini -- true
	remedy=${output#*make it with \'}
	remedy=${remedy%%\', or *}
	bash -c "$remedy"
	[ "$(stat -c %a shared)" = 666 ]
	# without a socket of its own, which would be seen in any case
	ns_background "$PORTFENCE" run --config some.ini --lease 10 --pool 20000-20029 -- sleep infinity
	wait_until eval 'ns "$PORTFENCE" leases --config some.ini | grep -q ^20000-20009'
	bash -c "$remedy"
	run leased --config some.ini -- sh -c 'echo $PORTFENCE_RANGE'
	[ "$output" = 20010-20019 ]
}

@test "without a state folder, the leases are in the user's own" {
	install_for_all
	run ns unshare -m sh -c 'mount -t tmpfs -o mode=1777 none /dev/shm && "$@"
		stat -c "%a %u" /dev/shm/portfence-65534/leases' - "${AS_NOBODY[@]}" env -u PORTFENCE_STATE \
		"$PORTFENCE" run --lease 10 --pool 20000-20029 -- "$PORTFENCE" leases
	[[ ${lines[1]} = "20000-20009 "* ]]
	[ "${lines[3]}" = "600 65534" ]
}

@test "leases, names and fresh states that are made under any umask serve the same user later" {
	install_for_all
	for umask in 777 277 200 400 077; do
		run -0 --separate-stderr ns unshare -m sh -c 'mount -t tmpfs -o mode=1777 none /dev/shm
			umask=$1; shift
			twice() {
				(umask $umask; "$@" -- true) && "$@" -- true || exit
			}
			twice "$@" run --lease 10 --pool 20000-20029
			twice "$@" run --lease 10 --pool 20000-20029 --name shared
			twice "$@" run --lease 10 --pool 20000-20029 --fresh
			cd /dev/shm/portfence-65534
			stat -c "%a %n" . fresh-0 leases names */lock' - "$umask" "${AS_NOBODY[@]}" env -u PORTFENCE_STATE "$PORTFENCE"
		[ "$stderr" = "" ] || { echo "$umask: $stderr"; return 1; }
		[ "$output" = "700 .
700 fresh-0
600 leases
600 names
600 fresh-0/lock" ] || { echo "$umask: $output"; return 1; }
	done
}

@test "in a user namespace, no lease takes the name of another user's folder in the outer /dev/shm" {
	install_for_all
	run -125 --separate-stderr ns unshare -m env -u PORTFENCE_STATE sh -c 'mount -t tmpfs -o mode=1777 none /dev/shm
		user() { setpriv --reuid 4711 --regid 4711 --clear-groups unshare -Ur "$@"; }
		mkdir -m 1777 /dev/shm/shared
		user "$0" leases || exit
		user env PORTFENCE_STATE=/dev/shm/shared "$0" run --lease 10 -- true
		user env PORTFENCE_STATE=/dev/shm/shared "$0" run --fresh --range 20000-20099 -- true
		user "$0" run --fresh --range 20000-20099 -- true
		user "$0" run --lease 10 -- true
		rc=$?
		ls -A /dev/shm /dev/shm/shared
		exit $rc' "$PORTFENCE"
	[ "$output" = "0 leases; of the 10000 ports of the pool 20000-29999, 0 are leased and 10000 are not
/dev/shm:
shared

/dev/shm/shared:" ] || { echo "$output"; return 1; }
	echo "$stderr" >errors
	cat errors
	[ "$(wc -l <errors)" = 4 ]
	grep -qx "portfence: the lease file '/dev/shm/shared/.leases.0' cannot be opened: Operation not permitted" errors
	[ "$(grep -c "'--fresh' needs a state of its own" errors)" = 2 ]
	grep -qx "portfence: no folder for leases can be made, as /dev/shm belongs to another user namespace; set 'state' or \
'lease-file'" errors
}

@test "a run with a state of its own has its lease where all others have theirs" {
	run leased --fresh -- "$PORTFENCE" leases
	[[ ${lines[1]} = "20000-20009 "* ]]
	wait_until are_leased
	install_for_all
	run ns unshare -m sh -c 'mount -t tmpfs -o mode=1777 none /dev/shm && "$@"' - "${AS_NOBODY[@]}" \
		env -u PORTFENCE_STATE "$PORTFENCE" run --lease 10 --pool 20000-20029 --fresh -- \
		"$PORTFENCE" leases
	[[ ${lines[1]} = "20000-20009 "* ]]
	# what is only called so is a state folder like any other
	mkdir -m 700 fresh-1
	run env PORTFENCE_STATE="$PWD/fresh-1" "$PORTFENCE" run --lease 10 -- true
	[ -e fresh-1/.leases.0 ]
}

@test "damaged and forged records are shown as far as possible, and do no harm" {
	holders 1
	file=$PORTFENCE_STATE/.leases.0
	record=$((65536 + 20000 * LEASE_RECORD))
	# the section's name: not ended, and with what a terminal obeys
	python3 - "$file" "$record" <<-'END'
		import sys
		with open(sys.argv[1], "r+b") as file:
		    file.seek(int(sys.argv[2]) + 32)
		    file.write(b"\x1b[2J\xff\xc2\x9b\xed\xa0\x80\xc3\xa9" + 500 * b"A")
	END
	run ns "$PORTFENCE" leases
	[ "$status" = 0 ]
	[[ ${lines[1]} = *" [?[2J????????"[[:print:]]*A"] "A*A ]] || [[ ${lines[1]} = *" [?[2J"*A"] "A*A ]]
	[[ ${lines[1]} != *$'\e'* && ${lines[1]} != *$'\xff'* && ${lines[1]} != *$'\xc2\x9b'* ]]
	[[ ${lines[1]} = *é* ]]
	[ "$(field "len(answer['leases'][0]['section']), len(answer['leases'][0]['command'])")" = "62 295" ]
	# another version, another block, no process, or nothing at all: the lock counts
	local offset
	for offset in 0 8 12 14; do
		patch "$file" $((record + offset)) 377 377 377 377
		run ns "$PORTFENCE" leases
		[[ ${lines[1]} =~ ^"20000-20009     10      ?" ]]
		end "$pid"
		wait_until are_leased
		holders 1
		[[ $(ns "$PORTFENCE" leases) = *"lease_holder wait"* ]]
	done
	truncate -s 0 "$file"
	run ns "$PORTFENCE" leases
	[[ ${lines[1]} =~ ^"20000-20009     10      ?" ]]
	run leased -- sh -c 'echo $PORTFENCE_RANGE'
	[ "$output" = 20010-20019 ]
	# a record without a lock is nothing
	end "$pid"
	wait_until are_leased
}

@test "a lock on all ports keeps every run out, and is listed" {
	ns_background python3 -c '
import fcntl, struct, sys, time
file = open(sys.argv[1], "w+b", 0)
import os
os.fchmod(file.fileno(), 0o600)
fcntl.fcntl(file, fcntl.F_OFD_SETLK, struct.pack("hhqqi4x", fcntl.F_WRLCK, 0, 0, 0, 0))
print("ready", flush=True)
time.sleep(1000)' "$PORTFENCE_STATE/.leases.0" >ready
	wait_until grep -q ready ready
	run leased -- true
	[ "$status" = 125 ]
	[ "${lines[1]}" = "  1-65535, holder unknown" ]
}

@test "a file that others can use is refused, and so is anything that is no regular file" {
	local path=$PORTFENCE_STATE/.leases.0
	install -m 666 /dev/null "$path"
	says 125 "portfence: the lease file '$path' is not a file that only this user can use; remove it" \
		leased -- true
	rm "$path"
	mkfifo -m 600 "$path"
	says 125 "portfence: the lease file '$path' is not a file that only this user can use; remove it" \
		leased -- true
	rm "$path"
	ln -s "$PWD/elsewhere" "$path"
	says 125 "portfence: the lease file '$path' cannot be opened: Too many levels of symbolic links" \
		leased -- true
	[ ! -e elsewhere ]
	mkfifo -m 666 fifo
	printf '[portfence]\nlease-file = %s/fifo\n' "$PWD" >some.ini
	says 125 "portfence: the lease file '$PWD/fifo' is not a regular file" leased --config some.ini -- true
}

@test "a folder that cannot be written to, and a full disk, are errors" {
	install_for_all
	chmod 755 "$PORTFENCE_STATE"
	says 125 "portfence: the lease file '$PORTFENCE_STATE/.leases.65534' cannot be opened: Permission \
denied" ns "${AS_NOBODY[@]}" "$PORTFENCE" run --lease 10 -- touch ran
	# with a state file that was made before, the folder has room for no page more
	mkdir full
	run ns unshare -m sh -c 'mount -t tmpfs -o size=4k,mode=700 none full && : >full/.leases.0 &&
		chmod 600 full/.leases.0 && head -c 4096 /dev/zero >full/rest &&
		PORTFENCE_STATE=$PWD/full "$0" run --lease 10 -- touch ran; status=$?
		PORTFENCE_STATE=$PWD/full "$0" leases; exit $status' "$PORTFENCE"
	[ "$status" = 125 ]
	[ "${lines[0]}" = "portfence: the holder of the lease cannot be noted: No space left on device" ]
	[ "${lines[1]}" = "0 leases; of the 10000 ports of the pool 20000-29999, 0 are leased and 10000 are not" ]
	[ ! -e ran ]
}

@test "a limit on the size of files is an error, and does not end the command by a signal" {
	says 125 "portfence: the holder of the lease cannot be noted: File too large" \
		bash -c 'ulimit -f 1; exec "$@"' bash "$PORTFENCE" run --lease 10 -- touch ran
	[ ! -e ran ]
}

@test "if standard descriptors are closed, no message gets into the file" {
	install -m 666 /dev/null shared
	printf '[portfence]\nlease-file = %s/shared\n' "$PWD" >some.ini
	leased --config some.ini --verbose -- true 2>&-
	leased --verbose -- true >&- 2>&-
	leased --verbose --fresh -- true <&- >&- 2>&-
	run -1 grep -aE '(lease|fenced) ' shared "$PORTFENCE_STATE/.leases.0" "$PORTFENCE_STATE/fresh-0-0/lock"
}

@test "network namespaces share the leases of a user, and each looks at its own sockets" {
	holders 1
	run unshare -n "$PORTFENCE" run --lease 10 --pool 20000-20029 -- sh -c 'echo $PORTFENCE_RANGE'
	[ "$output" = 20010-20019 ]
	end "$pid"
	wait_until are_leased
	ns_background python3 -c '
import socket, sys, time
one = socket.create_server(("127.0.0.1", 20000))
print("ready", flush=True)
time.sleep(1000)' >ready
	wait_until grep -q ready ready
	run leased -- sh -c 'echo $PORTFENCE_RANGE'
	[ "$output" = 20001-20010 ]
	wait_until are_leased
	run unshare -n "$PORTFENCE" run --lease 10 --pool 20000-20029 -- sh -c 'echo $PORTFENCE_RANGE'
	[ "$output" = 20000-20009 ]
}

# ---- all at once ----

@test "of 1,000 leases by 32 at a time, a third killed, no port ever had two holders, and none is lost" {
	run ns "$BATS_TEST_DIRNAME/programs/lease_holders" 1000 32 10 "$PORTFENCE" "$PROBES/lease_holder" \
		--pool 20000-20239 --wait 100
	echo "$output"
	[ "$output" = "1000 leases, 333 killed" ]
	wait_until are_leased
	run ns "$PORTFENCE" run --lease 240 --pool 20000-20239 -- "$PROBES/lease_holder" end
	[ "$output" = "held 20000-20239" ]
}
