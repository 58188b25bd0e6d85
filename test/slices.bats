#!/usr/bin/env bats
#
# Slices: one configuration for many hosts, in which each host has ports of its own. A host is a UTS
# namespace here, and its index is judged by the port that a real connection comes from.

bats_require_minimum_version 1.5.0
load lib/helpers

setup() {
	ns_open
	cd "$BATS_TEST_TMPDIR" || return
	unset PORTFENCE_INDEX
}

teardown() {
	ns_close
}

# on NAME COMMAND...: on a host of that name
on() {
	# shellcheck disable=SC2016 # the inner shell expands it
	ns unshare -u sh -c 'hostname "$1" && shift && exec "$@"' sh "$@"
}

# section RANGE [LINE...]: an application of that range, with lines above it
section() {
	local range=$1
	shift
	printf '%s\n' "$@" '[app]' 'match = *' "range = $range" >app.ini
}

# port_on NAME COMMAND...: the local port of a connection that COMMAND fences, on a host of that name
port_on() {
	local name=$1
	shift
	on "$name" "$@" python3 -c '
import socket
with socket.create_server(("127.0.0.1", 7000)) as server:
    print(socket.create_connection(("127.0.0.1", 7000)).getsockname()[1])'
}

# in_slice FIRST LAST NAME: by run, and by a plain preload
in_slice() {
	local port
	for fence in "$PORTFENCE run --config app.ini --" \
		"env LD_PRELOAD=$LIBRARY PORTFENCE_CONFIG=$PWD/app.ini"; do
		# shellcheck disable=SC2086 # words
		port=$(port_on "$3" $fence)
		echo "$fence: $port"
		((port >= $1 && port <= $2))
	done
}

# refused NAME LINE PROBLEM: a host of that name reads app.ini, and tells PROBLEM of that line
refused() {
	run -1 on "$1" "$PORTFENCE" check app.ini
	[ "${lines[0]}" = "app.ini:$2: error: $3" ]
}

@test "the index of PORTFENCE_INDEX chooses the slice, for every host and before all else" {
	section '20000+100 * %i' '[hosts]' 'web-1 = 1'
	PORTFENCE_INDEX=0 in_slice 20000 20099 web-1
	PORTFENCE_INDEX=7 in_slice 20700 20799 nobody
	section '20000+100*%h'
	PORTFENCE_INDEX=3 in_slice 20300 20399 web-1
	# the last port that there is
	section '1+3855 * %i'
	PORTFENCE_INDEX=16 in_slice 61681 65535 nobody
}

@test "[hosts] gives each host its index, by its name or the first part of it" {
	section '20000 + 100 * %i' '[hosts]' 'web-1 = 1' 'Web-2.example.org = 2'
	in_slice 20100 20199 web-1
	in_slice 20100 20199 WEB-1.example.org
	in_slice 20200 20299 web-2.example.org
	for name in web-2 web web-11; do
		refused "$name" 6 "'%i' has no value on this host; write a line '$name = 0' (its index) into the \
section [hosts], or set PORTFENCE_INDEX"
	done
}

@test "[hosts] may stand below the sections, and in a drop-in, but once" {
	section '20000+100 * %i'
	printf '[hosts]\nweb-1 = 1\n' >>app.ini
	in_slice 20100 20199 web-1
	section '20000+100 * %i'
	mkdir app.ini.d
	printf '[hosts]\nweb-1 = 4\n' >app.ini.d/hosts.ini
	in_slice 20400 20499 web-1
	printf '[hosts]\nweb-2 = 5\n' >>app.ini
	run -1 on web-1 "$PORTFENCE" check app.ini
	[ "${lines[0]}" = "app.ini.d/hosts.ini:1: error: section [hosts] is given twice, first in app.ini:4; join the two" ]
}

@test "%h is the number at the end of the host's name" {
	section '20000+100 * %h'
	in_slice 20700 20799 web-7
	in_slice 21000 21099 web010.rack-3.example.org
	for name in web web65536; do
		refused "$name" 3 "'%h' is the number at the end of the host's name, and '$name' ends in none \
up to 65535; set PORTFENCE_INDEX, or use '%i' with [hosts]"
	done
}

@test "a slice stands in each list of ports: of a protocol, excluded, of the pool, and of the options" {
	printf '%s\n' '[portfence]' 'pool = 24000+100 * %i' '[app]' 'range = 20000+100 * %i, 30000' \
		'udp.range = 40000+10 * %h' 'exclude = 20100+50*%i' >app.ini
	export PORTFENCE_STATE=$PWD/state PORTFENCE_INDEX=1
	run -0 on a "$PORTFENCE" which --config app.ini --app app true
	[ "${lines[3]}" = '  range    tcp, sctp: 20100-20149, 30000 (51 ports)' ]
	[ "${lines[4]}" = '           udp: 40010-40019 (10 ports)' ]
	run -0 on a "$PORTFENCE" run --config app.ini --app app --lease 10 -- printenv PORTFENCE_FIRST
	((output >= 24100 && output <= 24190))
	run -0 on a "$PORTFENCE" run --lease 10 --pool '25000+50 * %i' -- printenv PORTFENCE_FIRST
	((output >= 25050 && output <= 25090))
	run -0 port_on a "$PORTFENCE" run --range '26000+20*%h' --
	((output >= 26020 && output <= 26039))
	run -0 port_on a env LD_PRELOAD="$LIBRARY" PORTFENCE_RANGE='26000+20 * %i'
	((output >= 26020 && output <= 26039))
}

@test "what is no slice, no index, or has no ports is refused, and says what to write" {
	while IFS='|' read -r range problem; do
		section "$range"
		PORTFENCE_INDEX=22 refused a 3 "$problem"
	done <<-'END'
		20000+2048 * %i|'20000+2048 * %i' goes above port 65535 with the index 22, the highest index that it has ports for is 21
		65000+1000*%i|'65000+1000*%i' goes above port 65535 with each index
		20000-22047 * %i|'20000-22047 * %i' is no slice of ports, write first+count * %i or first+count * %h, such as 20000+2048 * %i
		20000+0 * %i|'20000+0 * %i' is no slice of ports, write first+count * %i or first+count * %h, such as 20000+2048 * %i
		20000+10 * %x|'20000+10 * %x' is no slice of ports, write first+count * %i or first+count * %h, such as 20000+2048 * %i
		20000+10 * %i + 5|'20000+10 * %i + 5' is no slice of ports, write first+count * %i or first+count * %h, such as 20000+2048 * %i
		iana * %i|'iana * %i' is no slice of ports, write first+count * %i or first+count * %h, such as 20000+2048 * %i
		30000, %i|'%i' is no slice of ports, write first+count * %i or first+count * %h, such as 20000+2048 * %i
	END
	section "20000+10 * %i$(printf '%130s' '')+5"
	PORTFENCE_INDEX=0 refused a 3 "'20000+10 * %i                                               ' goes on for 145 \
characters, which no slice of ports does; write first+count * %i"
	section '20000+10 * %i'
	for index in -1 1x 65536 ' 1'; do
		PORTFENCE_INDEX=$index refused a 3 "PORTFENCE_INDEX is '$index', write a whole number from 0 to 65535"
	done
	section '20000+10 * %i' '[hosts]' 'a = 1' 'b = one' 'A = 2' 'c = 1' 'd ='
	run -1 on a "$PORTFENCE" check app.ini
	[ "${lines[0]}" = "app.ini:3: error: 'one' is no index, write a whole number from 0 to 65535, such as 'b = 0'" ]
	[ "${lines[1]}" = "app.ini:4: error: host 'A' is given twice, first in line 2; keep one" ]
	[ "${lines[2]}" = "app.ini:5: error: hosts 'a' and 'c' both have the index 1, so they would share their ports; \
give each host an index of its own" ]
	[ "${lines[3]}" = "app.ini:6: error: '' is no index, write a whole number from 0 to 65535, such as 'd = 0'" ]
	# nothing is started in a slice that is not known
	run -125 on a "$PORTFENCE" run --config app.ini -- touch started
	run -1 --separate-stderr on a env LD_PRELOAD="$LIBRARY" PORTFENCE_CONFIG="$PWD/app.ini" python3 -c '
import socket
socket.create_connection(("127.0.0.1", 7000))'
	[ ! -e started ]
	[[ "$stderr" = *"app.ini:3: 'one' is no index"* ]]
}

# all_indexes STATUS: check's findings about the slices of all hosts are in $found
all_indexes() {
	local ended=0
	"$PORTFENCE" check --all-indexes app.ini >all || ended=$?
	[ "$ended" = "$1" ]
	found=$(grep -E 'index|slice' all)
}

@test "check --all-indexes finds two hosts that share a port" {
	printf '%s\n' '[a]' 'range = 20000+100 * %i' '[b]' 'range = 21000+100 * %i' >app.ini
	all_indexes 1
	[ "$found" = "app.ini:2: error: [b] with the index 0 and [a] with the index 10 both have port 21000; move \
their ranges apart, or list the hosts in a section [hosts]" ]
	# the same is fine for ten hosts, and this need not be one of them
	{
		echo '[hosts]'
		for i in {0..9}; do echo "web-$i = $i"; done
	} >>app.ini
	all_indexes 0
	[ "$found" = "app.ini: note: with 10 indexes, no two slices share a port" ]
	# not for an eleventh
	echo 'web-10 = 10' >>app.ini
	all_indexes 1
	[ "$found" = "app.ini:4: error: [a] with the index 10 and [b] with the index 0 both have port 21000; move \
their ranges apart" ]
	# and not for one whose slice does not exist
	sed -i 's/^web-10 = 10/web-10 = 456/' app.ini
	all_indexes 1
	[ "$(head -n 1 <<<"$found")" = "app.ini:2: error: on host 'web-10': '20000+100 * %i' goes above port 65535 with the index 456, \
the highest index that it has ports for is 454" ]
}

@test "check --all-indexes compares each protocol's slices and the pool's, without [hosts] of all indexes that fit" {
	printf '%s\n' '[a]' 'range = 20000+100 * %i' 'udp.range = 1' '[b]' 'range = 1' 'udp.range = 20050+100 * %i' >app.ini
	all_indexes 0
	[ "$found" = "app.ini: note: with 454 indexes, no two slices share a port" ]
	printf '%s\n' '[portfence]' 'pool = 20050+100 * %i' '[a]' 'range = 20000+50 * %i' >app.ini
	all_indexes 1
	[ "$found" = "app.ini:4: error: [portfence] with the index 0 and [a] with the index 1 both have port 20050; \
move their ranges apart, or list the hosts in a section [hosts]" ]
	printf '%s\n' '[portfence]' 'pool = 65000+100 * %i' '[a]' 'range = lease' >app.ini
	all_indexes 0
	[ "$found" = "app.ini: note: with 5 indexes, no two slices share a port" ]
	# nothing to compare is worth a word
	printf '%s\n' '[a]' 'range = 20000-20099' >app.ini
	run -0 "$PORTFENCE" check --all-indexes app.ini
	[[ "$output" = *"warning: '--all-indexes' has nothing to compare: no range has a slice such as 20000+2048 * %i"* ]]
	run -1 "$PORTFENCE" check --all-indexes --strict app.ini
}
