#!/usr/bin/env bats
#
# `--name`, `lease --detach` and `--release`, `env --lease`: leases that are shared by name, and by
# nothing else.

# shellcheck disable=SC2016,SC2030,SC2031,SC2034,SC2154 # inner shells are the command's; each test is a process of its own; helpers set $pid
bats_require_minimum_version 1.5.0
load lib/helpers
load lib/leases

setup() {
	common_setup
	printf '[portfence]\npool = 20000-20099\n' >some.ini
	export PORTFENCE_CONFIG=$PWD/some.ini
}

teardown() {
	for name in db other; do
		"$PORTFENCE" lease --release "$name" 2>/dev/null || true
	done
	ns_close
}

# hold ARGUMENT...: a holder; its process id is in $pid, its block in $block
hold() {
	: >block
	ns_background "$PORTFENCE" lease "$@" </dev/null >block 2>said
	wait_until test -s block
	block=$(cat block)
}

end() {
	kill -KILL "$1"
	wait "$1" || true
}

@test "who gives a name that is held gets the same block, as long as anybody holds it, and nobody else does" {
	hold 10 --name db
	[ "$block" = 20000-20009 ]
	first=$pid
	hold --name db --pool 21000-21099
	[ "$block" = 20000-20009 ]
	second=$pid
	run -0 ns "$PORTFENCE" run --name db -- sh -c 'echo $PORTFENCE_RANGE'
	[ "$output" = 20000-20009 ]
	run -0 ns "$PORTFENCE" run --name db --lease 10 -- sh -c 'echo $PORTFENCE_RANGE'
	[ "$output" = 20000-20009 ]
	hold 10
	[ "$block" = 20010-20019 ]
	hold 10 --name other
	[ "$block" = 20020-20029 ]
	are_leased 20000-20009 20010-20019 20020-20029
	# the one that came first has gone: the block stays the name's
	end "$first"
	hold 10
	[ "$block" = 20030-20039 ]
	hold --name db
	[ "$block" = 20000-20009 ]
	end "$second"
	end "$pid"
	wait_until are_leased 20010-20019 20020-20029 20030-20039
	hold 10
	[ "$block" = 20000-20009 ]
}

@test "after all have gone, a name has its block again, or another, and says so" {
	hold 10 --name db
	end "$pid"
	wait_until are_leased
	hold 5
	[ "$block" = 20000-20004 ]
	run --separate-stderr -0 ns "$PORTFENCE" lease --name db < <(:)
	[ "$output" = 20005-20014 ]
	[ "$stderr" = "portfence: warning: the lease 'db' has other ports than before: 20005-20014, as \
20000-20009 are not free or not in the pool" ]
	end "$pid"
	wait_until are_leased
	# it lies behind what is free now
	run --separate-stderr -0 ns "$PORTFENCE" lease --name db < <(:)
	[ "$output/$stderr" = 20005-20014/ ]
	wait_until are_leased
	# a socket is in the way
	ns_background nc -l 127.0.0.1 20007
	wait_tcp 20007
	run -0 ns "$PORTFENCE" lease --name db --pool 20000-20049 < <(:)
	[ "${lines[1]}" = 20008-20017 ]
	wait_until are_leased
	run -0 ns "$PORTFENCE" lease --name db --pool 21000-21099 < <(:)
	[ "${lines[1]}" = 21000-21009 ]
	wait_until are_leased
	# another number of ports
	run -0 ns "$PORTFENCE" lease 3 --name db --pool 21000-21099 < <(:)
	[ "$output" = 21000-21002 ]
}

@test "leases lists a name with all of its holders" {
	hold 10 --name db
	first=$pid
	ns_background "$PORTFENCE" run --name db -- sleep infinity
	second=$pid
	hold 5
	wait_until eval '[ "$(field "len(answer[\"leases\"][0][\"held_by\"])")" = 2 ]'
	run -0 ns "$PORTFENCE" leases
	[[ "${lines[0]}" = *"NAME  COMMAND" ]]
	[[ "${lines[1]}" = "20000-20009     10  "*"$first  root "*"  db    portfence lease, for pid "* ]]
	[[ "${lines[2]}" = "                    "*"$second  root "*"  db    sleep infinity" ]]
	[[ "${lines[3]}" = "20010-20014      5  "*"        portfence lease, for pid "* ]]
	[ "${lines[4]}" = "2 leases; of the 100 ports of the pool 20000-20099, 15 are leased and 85 are not" ]
	[ "$(field "answer['leases'][0]['name'], answer['leases'][1]['name']")" = "db None" ]
	[ "$(field "[[h['pid'] for h in lease['held_by']] for lease in answer['leases']]")" = \
		"[[$first, $second], [$pid]]" ]
	run -0 ns "$PORTFENCE" status
	[[ "$output" = *"lease 20000-20009 'db' by 'portfence lease, "* ]]
	end "$first"
	[ "$(field "answer['leases'][0]['command'], answer['leases'][0]['pid']")" = "sleep infinity $second" ]
}

@test "bad names, and more ports than the name has, are refused" {
	local name long
	long=$(printf '%065d' 0)
	for name in a/b $'a\nb' $'a\tb' $'\xff' /; do
		says 1 "portfence: --name: the name '$(printf %s "$name" | tr '\n\t\377' '???')' has a slash, a control \
character or a byte that is not UTF-8; write it without" "$PORTFENCE" lease --name "$name"
	done
	says 1 "portfence: --name: the name '$long' is longer than 64 bytes; write a shorter one" \
		"$PORTFENCE" lease --name "$long"
	says 1 "portfence: --name: the name '?$long' is longer than 64 bytes; write a shorter one" \
		"$PORTFENCE" lease --name $'\033'"$long"
	says 2 "portfence: option '--name' has an empty value, see 'portfence lease --help'" \
		"$PORTFENCE" lease --name ''
	says 125 "portfence: --name: the name 'a/b' has a slash, a control character or a byte that is not \
UTF-8; write it without" "$PORTFENCE" run --lease 5 --name a/b -- true
	says 125 "portfence: there has been no lease with the name 'new'; say how many ports it is to have, \
with '--lease N'" "$PORTFENCE" run --name new -- true
	run -0 ns "$PORTFENCE" lease --name "${long#0}" < <(:)
	run -0 ns "$PORTFENCE" lease --name .. < <(:)
	run -0 ns "$PORTFENCE" lease --name 'ein größerer Name' < <(:)
	hold 10 --name db
	run -1 ns "$PORTFENCE" lease 11 --name db
	[ "${lines[0]}" = "portfence: the lease 'db' has the 10 ports 20000-20009, and not 11, as long as it is \
held; ask for no more, or take another name" ]
	[[ "${lines[1]}" = "  20000-20009 'db' by 'portfence lease, for pid "*"' (pid $pid, user root, since "* ]]
	[ "${#lines[@]}" = 2 ]
	run -0 ns "$PORTFENCE" lease 3 --name db < <(:)
	[ "$output" = 20000-20009 ]
	# a full pool
	run -1 ns "$PORTFENCE" lease 10 --name other --pool 20000-20009
	[[ "${lines[0]}" = "portfence: no 10 ports in a row are free "* ]]
	[[ "${lines[1]}" = "  20000-20009 'db' by "* ]]
	kill -0 "$pid"
}

@test "@dir is the repository or worktree that one stands in, or the folder" {
	mkdir -p one/.git one/sub/deep two/sub
	touch two/sub/.git
	name_in() {
		(cd "$1" && : | ns "$PORTFENCE" lease --name @dir --json |
			python3 -c 'import json, sys; print(json.load(sys.stdin)["name"])')
	}
	one=$(name_in one)
	[[ "$one" =~ ^@one-[0-9a-f]{16}$ ]]
	[ "$(name_in one/sub/deep)" = "$one" ]
	[[ "$(name_in two/sub)" =~ ^@sub-[0-9a-f]{16}$ ]]
	[[ "$(name_in two)" =~ ^@two-[0-9a-f]{16}$ ]]
	mkdir -p else/one/.git
	[ "$(name_in else/one)" != "$one" ]
	[[ "$(name_in /)" =~ ^@-[0-9a-f]{16}$ ]]
}

@test "@dir: what another user has put above a folder does not give it another name" {
	name_in() {
		(cd "$1" && : | ns "$PORTFENCE" lease --name @dir --json |
			python3 -c 'import json, sys; print(json.load(sys.stdin)["name"])')
	}
	mkdir -p shared/.git shared/one shared/two
	chown 65534 shared/.git
	[[ "$(name_in shared/one)" = @one-* ]]
	[[ "$(name_in shared/two)" = @two-* ]]
	# a checkout of the other user's is one
	chown 65534 shared/one
	[[ "$(name_in shared/one)" = @shared-* ]]
}

@test "--detach returns, and the lease stays until it is released" {
	run -0 ns sh -c "\"\$1\" lease 10 --name db --detach & wait" - "$PORTFENCE"
	[ "$output" = 20000-20009 ]
	are_leased 20000-20009
	pid=$(field "answer['leases'][0]['pid']")
	[ "$(ps -o ppid= -p "$pid" | tr -d ' ')" != "$$" ]
	[ "$(readlink "/proc/$pid/cwd")" = / ]
	[ "$(readlink /proc/"$pid"/fd/[012] | sort -u)" = /dev/null ]
	# once more is the same one
	run -0 ns "$PORTFENCE" lease --name db --detach --json
	[[ "$output" = '{"format":1,"first":20000,"last":20009,"ports":10,"pid":'"$pid"',"file":"'*'","name":"db","joined":true}' ]]
	[ "$(field "len(answer['leases'][0]['held_by']), answer['leases'][0]['held_by'][0]['detached']")" = "1 True" ]
	run -0 ns "$PORTFENCE" lease --release db
	[ -z "$output" ]
	are_leased
	says 1 "portfence: nobody holds a lease 'db', see 'portfence leases'" ns "$PORTFENCE" lease --release db
	# what cannot be told is not held
	run -1 ns sh -c "'$PORTFENCE' lease 10 --name db --detach >/dev/full"
	wait_until are_leased
}

@test "--detach: a clock that is set meanwhile makes no holder one that has ended" {
	local by
	ns "$PORTFENCE" lease 10 --name db --detach
	# a day earlier, then a day later than it was: see struct holding in lease_file.c
	for by in -1 2; do
		python3 - "$by" "$PORTFENCE_STATE"/.{leases,names}.0 <<-'END'
			import os, struct, sys
			size = int(os.environ["LEASE_RECORD"])
			for path in sys.argv[2:]:
			    with open(path, "r+b") as file:
			        records = file.read()[65536:65536 + 65536 * size]
			        for at in range(0, len(records), size):
			            since = struct.unpack_from("q", records, at + 16)[0]
			            if since:
			                file.seek(65536 + at + 16)
			                file.write(struct.pack("q", since + int(sys.argv[1]) * 86400 * 10**9))
		END
		run -0 ns "$PORTFENCE" leases
		[[ "${lines[1]}" = *"  db    portfence lease --detach" ]]
		[ "$(ns "$PORTFENCE" leases --json | grep -c '"pid": null')" = 0 ]
	done
	run -0 ns "$PORTFENCE" lease --release db
}

@test "--detach: if it is killed once it has started the holder, the holder can be released" {
	# the first system call behind the fork is the same one each time
	detach() {
		ns strace -qq -o calls "${@:2}" "$PORTFENCE" lease 10 --name db --detach || [ "$1" = killed ]
	}
	ns "$PORTFENCE" lease 10 --name db < <(:)
	wait_until are_leased
	detach whole
	ns "$PORTFENCE" lease --release db
	number=$(grep -nE '^(clone|fork|vfork)' calls | tail -n 1 | cut -d : -f 1)
	head -n $((number + 1)) calls >until
	call=$(tail -n 1 until)
	call=${call%%(*}
	detach killed -e inject="$call:signal=KILL:when=$(grep -c "^$call(" until)"
	grep -E '^(clone|fork|vfork)' calls
	[ "$(tail -n 1 calls)" = "+++ killed by SIGKILL +++" ]
	# it notes itself a moment later
	wait_until eval 'kill -0 "$(field "answer[\"leases\"][0][\"pid\"]")"'
	run -0 ns "$PORTFENCE" lease --release db
	wait_until are_leased
}

@test "--release leaves others the block, and says who they are" {
	hold 10 --name db
	run -1 ns "$PORTFENCE" lease --release db
	[ "${lines[0]}" = "portfence: the lease 'db' goes on until those that hold it have ended" ]
	[[ "${lines[1]}" = "  20000-20009 'db' by '"*"' (pid $pid, "* ]]
	run -0 ns "$PORTFENCE" lease --name db --detach
	run -0 ns "$PORTFENCE" lease --release db
	[ "${lines[0]}" = "portfence: warning: the lease 'db' goes on until those that hold it have ended" ]
	are_leased 20000-20009
	kill -0 "$pid"
}

@test "--detach and --release: what does not go together is refused" {
	local see="see 'portfence lease --help'"
	says 2 "portfence: '--detach' needs '--name NAME', to release it by that, $see" "$PORTFENCE" lease --detach
	for option in --name=x --json --detach --pool=20000 --wait=1; do
		says 2 "portfence: '${option%%=*}' does not go with '--release', $see" \
			"$PORTFENCE" lease --release db "$option"
	done
	says 2 "portfence: '--release' takes no number of ports, $see" "$PORTFENCE" lease 5 --release db
	says 2 "portfence: '--detach' is not for a command, $see" "$PORTFENCE" lease --name db --detach -- true
	says 125 "portfence: '--name' takes the place of '--range', give only one, see 'portfence run --help'" \
		"$PORTFENCE" run --name db --range 20000 -- true
}

@test "a second shell gets the block by env --lease, and unset takes it away" {
	says 1 "portfence: nobody holds a lease 'db'; take it first, with 'portfence lease N --name db --detach'" \
		ns "$PORTFENCE" env --lease db
	ns "$PORTFENCE" lease 10 --name db --detach
	run -0 ns bash -c 'eval "$("$1" env --lease db)"
		echo $PORTFENCE_FIRST $PORTFENCE_LAST $PORTFENCE_RANGE
		python3 -c "import socket; print(socket.create_server((\"127.0.0.1\", 0)).getsockname()[1])"
		eval "$("$1" env --unset)"; echo "$PORTFENCE_FIRST$PORTFENCE_LAST$PORTFENCE_RANGE$LD_PRELOAD."' - "$PORTFENCE"
	[ "${lines[0]}" = "20000 20009 20000-20009" ]
	all_within 20000 20009 <<<"${lines[1]}"
	[ "${lines[2]}" = . ]
	# another range is no lease
	run -0 ns env PORTFENCE_FIRST=1 PORTFENCE_LAST=2 "$PORTFENCE" env --range 30000
	[[ "$output" = *"unset PORTFENCE_FIRST"*"unset PORTFENCE_LAST"* ]]
	says 2 "portfence: '--lease' takes the place of '--range', give only one, see 'portfence env --help'" \
		"$PORTFENCE" env --lease db --range 30000
}

@test "who shares a name shares what became of a port of the map: it is kept for all, or moved for all" {
	mapped() { ns "$PORTFENCE" run --name db --map '8080?' -- printenv PORTFENCE_MAP_8080; }
	ns_background "$PORTFENCE" run --lease 10 --name db --map '8080?' -- sleep infinity
	first=$pid
	wait_until are_leased 8080-8080 20000-20009
	[ "$(mapped)" = 8080 ]
	[ "$(ns "$PORTFENCE" run --lease 10 --map '8080?' -- printenv PORTFENCE_MAP_8080)" = 20019 ]
	# a run that joins has it after the first one's end
	ns_background "$PORTFENCE" run --name db --map '8080?' -- sleep infinity
	wait_until has_holders 2
	end "$first"
	wait_until has_holders 1
	[ "$(mapped)" = 8080 ]
	[ "$(ns "$PORTFENCE" run --lease 10 --name other --map '8080?' -- printenv PORTFENCE_MAP_8080)" = 20019 ]
	end "$pid"
	wait_until are_leased
	# moved for the first, moved for all, although the port is free by then
	ns_background "$PORTFENCE" run --range 30000-30009 --map '8080?' -- sleep infinity
	wait_until are_leased 8080-8080
	first=$pid
	ns_background "$PORTFENCE" run --lease 10 --name db --map '8080?' -- sleep infinity
	wait_until are_leased 8080-8080 20000-20009
	end "$first"
	wait_until are_leased 20000-20009
	[ "$(mapped)" = 20009 ]
	end "$pid"
	wait_until are_leased
	# a holder without a map has decided nothing
	hold 10 --name db
	[ "$(mapped)" = 8080 ]
	# of several at once, all have the same
	for _ in {1..8}; do
		ns_background "$PORTFENCE" run --name db --map '8080?' -- sh -c 'echo $PORTFENCE_MAP_8080 >>got; exec sleep infinity'
	done
	wait_until has_holders 9
	wait_until test "$(wc -l <got)" = 8
	[ "$(sort -u got)" = 8080 ]
}

@test "of a port that several runs keep by name, a run that goes on is shown as the holder" {
	ns_background "$PORTFENCE" run --lease 10 --name db --map '8080?' -- sleep infinity
	first=$pid
	wait_until are_leased 8080-8080 20000-20009
	# what is noted of the port is its
	ns "$PORTFENCE" run --name db --map '8080?' -- true
	wait_until has_holders 1
	[ "$(field "[(l['first'], l['last'], l['pid'], l['heir']) for l in answer['leases']]")" = \
		"[(8080, 8080, $first, None), (20000, 20009, $first, None)]" ]
	ns "$PORTFENCE" lease --name db --detach
	end "$first"
	wait_until are_leased 20000-20009
	[ "$(field "answer['leases'][0]['pid'] > 0")" = True ]
}

has_holders() {
	[ "$(field 'sum(len(l["held_by"]) for l in answer["leases"] if l["name"] == "db" and l["first"] != 8080)')" = "$1" ]
}

@test "a second shell finds a port of the map where the first one has it" {
	ns_background "$PORTFENCE" run --lease 10 --name @dir --map '8080?' -- "$PROBES/mapped" serve 8080 127.0.0.1 >served
	wait_until grep -q ^server served
	second() {
		ns bash -c 'eval "$("$1" env --lease @dir --map "8080?")"
			echo $PORTFENCE_RANGE $PORTFENCE_MAP $PORTFENCE_MAP_8080; "$2" connect 8080 127.0.0.1' - "$PORTFENCE" "$PROBES/mapped"
	}
	run -0 second
	[ "${lines[0]}" = '20000-20009 8080?=8080 8080' ]
	end "$pid"
	wait_until are_leased
	# where another program has the port, both find the one in the block
	ns_background "$PROBES/mapped" serve 8080 127.0.0.1 >stranger
	wait_until grep -q ^server stranger
	: >served
	ns_background "$PORTFENCE" run --lease 10 --name @dir --map '8080?' -- "$PROBES/mapped" serve 8080 127.0.0.1 >served
	wait_until grep -q ^server served
	run -0 second
	[ "${lines[0]}" = '20000-20009 8080=20009 20009' ]
	[[ "$output" = *'getpeername 127.0.0.1 8080'* ]]
}

@test "a second shell finds all ports of the largest map, of which some are kept and some are moved" {
	local map
	# a lease of another range, so that every second port is moved
	map=$(seq -s, 30001 2 30127)
	ns_background "$PORTFENCE" run --range 20050-20099 --map "$(seq -f '%.0f?' -s, 30003 4 30127)" -- sleep infinity
	wait_until eval '[ "$(blocks | grep -c ^30)" = 32 ]'
	run -0 ns "$PORTFENCE" run --lease 70 --pool 20100-20199 --name db --map "${map//,/?,}?" -- sh -c \
		'echo $PORTFENCE_MAP; eval "$("$1" env --lease db --map "$2")"; echo $PORTFENCE_MAP
		"$1" leases --json' - "$PORTFENCE" "${map//,/?,}?"
	[ "${lines[1]}" = "${lines[0]}" ]
	[ "$(tr , '\n' <<<"${lines[0]}" | grep -cE '^(3....)\?=\1$')" = 32 ]
	[ "$(tr , '\n' <<<"${lines[0]}" | grep -cE '^3....=201..$')" = 32 ]
	printf '%s\n' "${lines[@]:2}" >listed
	[ "$(python3 -c '
import json
told = next(lease["map"] for lease in json.load(open("listed"))["leases"] if lease["name"] == "db")
print(",".join(f"{port}{chr(63) * (int(port) == real)}={real}" for port, real in told.items()))')" = "${lines[0]}" ]
	says 125 "portfence: --map: a map holds 64 ports at most" \
		ns "$PORTFENCE" run --lease 70 --pool 20100-20199 --map "$map,1" -- true
}

@test "another user's names and files neither matter nor block" {
	install_for_all
	chmod 1777 "$PORTFENCE_STATE"
	install -m 666 /dev/null shared
	chmod a+x .
	printf '[portfence]\npool = 20000-20099\nlease-file = %s/shared\n' "$PWD" >some.ini
	hold 10 --name db
	run -0 as_nobody "$PORTFENCE" lease 10 --name db < <(:)
	[ "$output" = 20010-20019 ]
	wait_until are_leased 20000-20009
	run -1 as_nobody "$PORTFENCE" lease --release db
	[ "${lines[0]}" = "portfence: nobody holds a lease 'db', see 'portfence leases'" ]
	run -0 as_nobody "$PORTFENCE" leases
	[[ "${lines[1]}" = "20000-20009 "*" db "* ]]
	# what another user has written into the shared file names nothing
	python3 - shared <<-'END'
		import os, sys
		with open(sys.argv[1], "r+b") as file:
		    file.seek(65536 + int(os.environ["LEASE_RECORD"]) * 20000 + 1352)
		    file.write(b"other" + bytes(59))
	END
	run -0 ns "$PORTFENCE" lease 5 --name other < <(:)
	[ "$output" = 20010-20014 ]
	end "$pid"
}

@test "another user's lock in a shared file does not keep a name held" {
	install -m 666 /dev/null shared
	printf '[portfence]\npool = 20000-20099\nlease-file = %s/shared\n' "$PWD" >some.ini
	hold 10 --name db
	first=$pid
	# as anybody can who reads /proc/locks
	ns_background python3 -c '
import fcntl, os, struct, sys, time
file = open(sys.argv[1], "rb")
end = int(os.environ["LEASE_END"])
inode = os.fstat(file.fileno()).st_ino
for line in open("/proc/locks"):
    words = line.split()
    if words[5].endswith(f":{inode}") and int(words[6]) >= end:
        fcntl.fcntl(file, fcntl.F_OFD_SETLK, struct.pack("hhqqi4x", fcntl.F_RDLCK, 0, int(words[6]), 1, 0))
        print("ready", flush=True)
time.sleep(100000)' "$PWD/shared" >ready
	wait_until grep -q ready ready
	end "$first"
	wait_until are_leased
	hold 10
	[ "$block" = 20000-20009 ]
	run -0 ns "$PORTFENCE" lease --name db < <(:)
	[ "${lines[1]}" = 20010-20019 ]
}

@test "a damaged file of names does no harm" {
	hold 10 --name db
	local file=$PORTFENCE_STATE/.names.0
	[ "$(stat -c %a "$file")" = 600 ]
	end "$pid"
	wait_until are_leased
	for bytes in 0 255; do
		python3 - "$file" "$bytes" <<-'END'
			import os, sys
			size = os.path.getsize(sys.argv[1])
			end = int(os.environ["LEASE_END"])
			with open(sys.argv[1], "r+b") as file:
			    file.seek(end)
			    file.write(bytes([int(sys.argv[2])]) * (size - end))
		END
		hold 10 --name db
		[ "$block" = 20000-20009 ]
		run -0 ns "$PORTFENCE" lease --name db < <(:)
		[ "$output" = 20000-20009 ]
		run -0 ns "$PORTFENCE" leases
		end "$pid"
		wait_until are_leased
	done
	rm "$file"
	ln -s nowhere "$file"
	says 1 "portfence: the lease file '$file' cannot be opened: Too many levels of symbolic links" \
		ns "$PORTFENCE" lease --name db
	rm "$file"
}

# A process that ends closes its files one after the other.
@test "a name that looks held, while another name has got its block, does not get the block" {
	hold 10 --name db
	end "$pid"
	wait_until are_leased
	ns_background python3 -c '
import fcntl, os, struct, sys, time
file = open(sys.argv[1], "r+b")
fcntl.fcntl(file, fcntl.F_OFD_SETLK, struct.pack("hhqqi4x", fcntl.F_RDLCK, 0, int(os.environ["LEASE_END"]) + 64, 1, 0))
print("ready", flush=True)
time.sleep(1000)' "$PORTFENCE_STATE/.names.0" >ready
	wait_until grep -q ready ready
	hold 10 --name other
	[ "$block" = 20000-20009 ]
	hold --name db
	[ "$block" = 20010-20019 ]
}

@test "4,096 names are remembered, and of more the oldest is forgotten, but none that is held" {
	hold 10 --name db
	python3 - "$PORTFENCE_STATE" <<-'END'
		import os, struct, sys
		lease = os.stat(sys.argv[1] + "/.leases.0")
		with open(sys.argv[1] + "/.names.0", "r+b") as file:
		    file.seek(int(os.environ["LEASE_END"]) + 64 + 128)
		    for i in range(4095):
		        file.write(struct.pack("IHHqQQQ64s24x", 1, 20050, 20059, 1000 + i, lease.st_dev, lease.st_ino, i, b"n%d" % i))
	END
	# db is not the oldest by now, and it is held
	run -0 ns "$PORTFENCE" lease --name n4 < <(:)
	[ "$output" = 20050-20059 ]
	wait_until are_leased 20000-20009
	run -0 ns "$PORTFENCE" lease 3 --name new < <(:)
	wait_until are_leased 20000-20009
	run -125 ns "$PORTFENCE" run --name n0 -- true
	run -0 ns "$PORTFENCE" lease --name n1 < <(:)
	run -0 ns "$PORTFENCE" lease --name db < <(:)
	[ "$output" = 20000-20009 ]
}

# Keeps others from names, until its standard input ends.
keep_turn() {
	python3 -c '
import fcntl, os, struct, sys
fd = os.open(os.environ["PORTFENCE_STATE"] + "/.names." + str(os.getuid()), os.O_RDWR)
# struct flock: a write lock on the byte behind the records (see lease_name.c)
fcntl.fcntl(fd, 37, struct.pack("hhqqi4x", fcntl.F_WRLCK, os.SEEK_SET, int(os.environ["LEASE_END"]), 1, 0))
print("kept", flush=True)
sys.stdin.read()'
}

@test "who waits for the turn to take a name gets it, with any signals blocked, and gives up if nobody gets on" {
	hold 10 --name db
	mkfifo go
	keep_turn <go >kept &
	PIDS+=($!)
	exec 7>go
	wait_until grep -q kept kept
	run -1 ns "$PORTFENCE" lease 10 --name next </dev/null 7>&-
	[ "$output" = 'portfence: the names of leases stay locked by another process, see lslocks(8)' ]
	: >blocks
	for i in 1 2 3; do
		ns_background env --block-signal=RTMAX "$PORTFENCE" lease 10 --name "n$i" </dev/null >>blocks 7>&-
		wait_until in_queue "$i"
	done
	# without a timer, it asks from time to time
	ns_background prlimit --sigpending=0 "$PORTFENCE" lease 10 --name n4 </dev/null >>blocks 7>&-
	[ ! -s blocks ]
	exec 7>&-
	have_blocks() { [ "$(wc -l <blocks)" = 4 ]; }
	wait_until have_blocks
}

# waits COUNT: ends so many waits of process $pid, one after the other, as its timer would
waits() {
	local number
	for ((number = 0; number < $1; number++)); do
		wait_until is_waiting_or_told
		[ ! -s late ]
		ended=$((ended + 1))
		kill -RTMAX "$pid"
		wait_until has_ended "$ended"
	done
}

is_waiting_or_told() {
	in_queue 1 || [ -s late ]
}

has_ended() {
	[ "$(grep -c 'F_OFD_SETLKW.* ERESTARTSYS ' calls)" = "$1" ]
}

@test "who waits for the turn to take a name gives up after 30 waits in a row in which nobody got on" {
	local ended=0
	skip_missing strace
	hold 10 --name db
	mkfifo go
	keep_turn <go >kept &
	PIDS+=($!)
	exec 7>go
	wait_until grep -q kept kept
	# no timer of its own ends a wait
	ns_background strace -D -qq -o calls -e trace=fcntl,timer_settime -e inject=timer_settime:retval=0 \
		"$PORTFENCE" lease 10 --name next </dev/null >late 2>&1 7>&-
	waits 29
	wait_until is_waiting_or_told
	# as whoever takes a name
	touch "$PORTFENCE_STATE/.names.0"
	waits 31
	wait_until test -s late
	status=0
	wait "$pid" || status=$?
	[ "$status" = 1 ]
	[ "$(cat late)" = 'portfence: the names of leases stay locked by another process, see lslocks(8)' ]
}

# in_queue COUNT: so many wait in the kernel for the byte that keep_turn() has locked
in_queue() {
	[ "$(grep -cE -- "-> OFDLCK .*:$(stat -c %i "$PORTFENCE_STATE/.names.$(id -u)") $LEASE_END $LEASE_END\$" /proc/locks)" = "$1" ]
}

@test "of 288 workers with 6 names, a third killed, only workers of one name ever share a port" {
	run ns "$BATS_TEST_DIRNAME/programs/lease_sharers" 288 24 6 "$PORTFENCE" --pool 20000-20029
	echo "$output"
	[[ "$output" =~ ^"288 leases, 96 killed, "[0-9]+" shared"$ ]]
	[[ "$output" != *" 0 shared" ]]
	wait_until are_leased
	run -0 ns "$PORTFENCE" lease 30 --pool 20000-20029 < <(:)
}
