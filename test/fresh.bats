#!/usr/bin/env bats
#
# `portfence run --fresh`: the n-th port of a run is the same in each run of a program that does the
# same, also when it is repeated at once; and a state that is each run's own.
#
# shellcheck disable=SC2016 # the inner shell expands it
# shellcheck disable=SC2030,SC2031 # each test is a process of its own, and what it sets is its own
# shellcheck disable=SC2119,SC2120 # its arguments come from `same`
# shellcheck disable=SC2154,SC2317 # the helpers set it, and `run` and `same` call it

bats_require_minimum_version 1.5.0
load lib/helpers

RANGE=20000-20999

setup_file() {
	build_static repeats
}

setup() {
	common_setup
	install_for_all
	cp "$PROBES/repeats" "$BATS_FILE_TMPDIR/repeats-static" "$install"
	repeats=$install/repeats
	static=$install/repeats-static
	many=(127.0.0.1 200 50 50)
}

# fresh OPTION... -- COMMAND...
fresh() {
	ns "$PORTFENCE" run --fresh --range "$RANGE" "$@"
}

# same TIMES COMMAND...: what it says is the same so many times, and is left in `first`
same() {
	local times=$1 turn
	shift
	"$@" >first
	for ((turn = 2; turn <= times; turn++)); do
		"$@" >again
		diff first again || { echo "run $turn differs"; return 1; }
	done
}

# Ten runs of 200 connects, 50 servers and their visitors, and 50 datagrams
ten() {
	same 10 fresh "$@" "${many[@]}"
	[ "$(wc -l <first)" = 350 ]
	[ "$(cut -d ' ' -f 1 first | uniq -c | wc -l)" -gt 100 ]
	cut -d ' ' -f 2 first | all_within 20000 20999
}

# How many ports of a list are not one more than the one before
jumps() {
	cut -d ' ' -f 2 "$1" | awk 'NR > 1 && $1 != last + 1 { n++ } { last = $1 } END { print n + 0 }'
}

# No run holds a slot any more: they are let go of some milliseconds after a run's end.
slots_are_free() {
	local lock
	for lock in "$PORTFENCE_STATE"/fresh-*/lock; do
		if grep -q ":$(stat -c %i "$lock") " /proc/locks; then
			return 1
		fi
	done
}

anew() {
	ns_close
	ns_open
}

# --- the same ports

@test "in sequence, ten runs one right after the other take the same ports, the first port first" {
	ten --order sequential -- "$repeats"
	[ "$(sed 1q first)" = 'connect 20000' ]
	# UDP has a sequence of its own
	[ "$(jumps first)" = 1 ]
}

@test "with a seed, random ports are the same, too, and without seed and order those of seed 0" {
	ten --order random --seed 42 -- "$repeats"
	[ "$(jumps first)" -gt 300 ]
	mv first seeded
	ten -- "$repeats"
	run -1 cmp -s first seeded
	mv first plain
	same 2 fresh --order random --seed 0 -- "$repeats" "${many[@]}"
	cmp first plain
}

@test "all orders repeat" {
	for order in random-simple hash double-hash random-increments; do
		same 3 fresh --order "$order" -- "$repeats" 127.0.0.1 100 20 20
	done
}

@test "ports are the same over IPv6, and to IPv4 from IPv6 sockets" {
	for address in ::1 ::ffff:127.0.0.1; do
		anew
		same 4 fresh --order sequential -- "$repeats" "$address" 200 50 50
		[ "$(jumps first)" = 1 ]
	done
}

@test "ports are the same in each way to be fenced, for static programs, too" {
	for order in sequential random; do
		rm -f all
		for way in preload supervise both static; do
			anew
			if [ "$way" = static ]; then
				ten --order "$order" -- "$static"
			else
				ten --order "$order" --via "$way" -- "$repeats"
			fi
			[ -e all ] || cp first all
			cmp first all
		done
	done
}

@test "a range that is smaller than the run comes round in the same way" {
	RANGE=20000-20099
	for order in sequential random; do
		rm -f all
		for program in "$repeats" "$static"; do
			anew
			same 10 fresh --order "$order" -- "$program" "${many[@]}"
			[ "$(cut -d ' ' -f 2 first | sort -u | wc -l)" -le 100 ]
			[ -e all ] || cp first all
			cmp first all
		done
	done
}

@test "ports are the same across forks and execs, in C, Python and the shell, and in static programs" {
	cat >talk.py <<-'END'
		import asyncio, socket

		async def answer(reader, writer):
		    writer.write(await reader.read(1))
		    writer.close()

		async def talk():
		    for _ in range(10):
		        server = await asyncio.start_server(answer, '127.0.0.1', 0)
		        port = server.sockets[0].getsockname()[1]
		        reader, writer = await asyncio.open_connection('127.0.0.1', port)
		        print('python', port, writer.get_extra_info('sockname')[1])
		        writer.write(b'x')
		        await reader.read()
		        writer.close()
		        await writer.wait_closed()
		        server.close()
		        await server.wait_closed()

		asyncio.run(talk())
		with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
		    one.bind(('127.0.0.1', 0))
		    print('python', one.getsockname()[1])
	END
	cat >all.sh <<-'END'
		for turn in 1 2; do
			"$1" --fork 127.0.0.1 20 5 5
			"$2" --fork 127.0.0.1 20 5 5
			python3 talk.py
			(exec "$1" 127.0.0.1 5 5 5)
		done
	END
	for order in sequential random; do
		for way in preload both; do
			anew
			same 5 fresh --order "$order" --via "$way" -- sh all.sh "$repeats" \
				"$([ "$way" = both ] && echo "$static" || echo "$repeats")"
			# one sequence, in which nobody begins anew
			[ "$(grep -c '^python [0-9]* [0-9]' first)" = 20 ]
			[ "$order" != sequential ] ||
				[ -z "$(grep -E '^(connect|listen)' first | cut -d ' ' -f 2 | sort | uniq -d)" ]
		done
	done
}

@test "the log is the same in each run" {
	for turn in 1 2; do
		rm -f log
		fresh --log "$PWD/log" -- "$repeats" "${many[@]}" >"said.$turn"
		sed -nE 's/.* (connect|bind|sendto) [a-z0-9]+ [^ ]*:([0-9]+) .*tried=([0-9]+)$/\2 \3/p' log >"log.$turn"
		diff <(cut -d ' ' -f 1 "log.$turn") <(cut -d ' ' -f 2 "said.$turn")
	done
	[ "$(wc -l <log.1)" = 350 ]
	# how many candidates it took, too
	diff log.1 log.2
}

@test "ten records are the same to the byte, and agree with what the program says" {
	for program in "$repeats" "$static"; do
		anew
		for turn in 1 2 3 4 5 6 7 8 9 10; do
			fresh --record "$PWD/record.$turn" -- "$program" "${many[@]}" >said
			cmp record.1 "record.$turn"
		done
		diff <(sed -nE 's/.*"port":([0-9]+).*/\1/p' record.1) <(cut -d ' ' -f 2 said)
		tail -n 1 record.1 | grep -q '350 assignments, 0 refused'
	done
}

@test "in another block of the same size the offsets are the same" {
	# the fixed server is in neither
	offsets() {
		fresh "$@" -- "$repeats" "${many[@]}" |
			awk -v first="${RANGE%-*}" '{ print $1, $2 - first }'
	}
	for order in sequential random random-simple random-increments; do
		RANGE=20000-20499 offsets --order "$order" --seed 7 >one
		RANGE=21500-21999 offsets --order "$order" --seed 7 >other
		diff one other
	done
}

@test "in a lease, ten records are the same to the byte, whichever block it is" {
	for turn in 1 2 3 4 5 6 7 8 9 10; do
		ns "$PORTFENCE" run --lease 400 --fresh --record "$PWD/record.$turn" -- \
			sh -c 'echo "$PORTFENCE_FIRST"; exec "$@"' _ "$repeats" "${many[@]}" >said
		sed 1q said >>blocks
		cmp record.1 "record.$turn"
	done
	[ "$(grep -c '"port":"first+' record.1)" = 350 ]
	[ "$(sort -u blocks | wc -l)" -gt 1 ]
}

@test "without --fresh the ports differ" {
	plain() {
		ns "$PORTFENCE" run --range "$RANGE" "$@" -- "$repeats" "${many[@]}"
	}
	run -1 same 2 plain --order sequential
	run -1 same 2 plain --order random
	# with a seed, what is in TIME_WAIT is in the way
	RANGE=20000-20399
	run -1 same 2 plain --order random --seed 42
	# and each program begins anew
	ns "$PORTFENCE" run --range "$RANGE" --order random --seed 42 -- sh -c '
		"$1" 127.0.0.1 0 0 1; "$1" 127.0.0.1 0 0 1' _ "$repeats" >first
	[ "$(uniq first | wc -l)" = 1 ]
	fresh -- sh -c '"$1" 127.0.0.1 0 0 1; "$1" 127.0.0.1 0 0 1' _ "$repeats" >first
	[ "$(uniq first | wc -l)" = 2 ]
}

# --- what may not come of it

@test "a port that is bound or listened on is not taken, even if others on it are in TIME_WAIT" {
	# leaves TIME_WAIT on 20000, as its server closes first
	fresh --order sequential -- "$repeats" 127.0.0.1 0 1 0 >first
	[ "$(sed 1q first)" = 'listen 20000' ]
	cat >hold.py <<-'END'
		import signal, socket, sys
		one = socket.socket()
		one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
		one.bind(('127.0.0.1', 20000))
		if sys.argv[1] == 'listen':
		    one.listen()
		print('ready', flush=True)
		signal.pause()
	END
	for call in bind listen; do
		ns_background python3 hold.py "$call" >ready."$call"
		wait_until grep -q ready ready."$call"
		fresh --order sequential -- "$repeats" 127.0.0.1 0 1 0 >again
		[ "$(sed 1q again)" = 'listen 20001' ]
		kill "$pid"
		wait "$pid" || true
	done
	fresh --order sequential -- "$repeats" 127.0.0.1 0 1 0 >again
	diff first again
}

@test "without SO_REUSEADDR, a server's port in TIME_WAIT is passed over, as the kernel does" {
	cat >server.py <<-'END'
		import socket
		with socket.socket() as server:
		    server.bind(('127.0.0.1', 0))
		    server.listen()
		    print(server.getsockname()[1])
		    with socket.create_connection(server.getsockname()) as client:
		        accepted = server.accept()[0]
		        accepted.shutdown(socket.SHUT_WR)
		        client.recv(1)
		    accepted.recv(1)
		    accepted.close()
	END
	[ "$(fresh --order sequential -- python3 server.py)" = 20000 ]
	[ "$(fresh --order sequential -- python3 server.py)" = 20001 ]
}

@test "without TCP timestamps no connect fails" {
	ns sh -c 'echo 0 >/proc/sys/net/ipv4/tcp_timestamps'
	for turn in 1 2 3; do
		fresh --order sequential -- "$repeats" 127.0.0.1 100 10 10 >"said.$turn"
		[ "$(wc -l <"said.$turn")" = 130 ]
	done
	# the kernel does not allow what is in TIME_WAIT again
	run -1 cmp -s said.1 said.2
}

@test "ports are the same whatever tcp_tw_reuse says" {
	for reuse in 0 1 2; do
		anew
		ns sh -c 'echo "$1" >/proc/sys/net/ipv4/tcp_tw_reuse' _ "$reuse"
		same 3 fresh --order sequential -- "$repeats" "${many[@]}"
	done
}

@test "processes that run at once share the sequence, and no two have the same port" {
	cat >hold.py <<-'END'
		import os, socket
		def take(kind):
		    one = socket.socket(socket.AF_INET, kind)
		    one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
		    one.bind(('127.0.0.1', 0))
		    return one
		gate, opened = os.pipe()
		told, tell = os.pipe()
		for n in range(8):
		    if not os.fork():
		        os.close(opened)
		        held = [take(socket.SOCK_STREAM) for _ in range(20)]
		        for one in held:
		            one.listen()
		        held += [take(socket.SOCK_DGRAM) for _ in range(20)]
		        os.write(tell, ''.join('%d %d\n' % (int(one.type), one.getsockname()[1])
		                            for one in held).encode())
		        os.read(gate, 1)
		        os._exit(0)
		os.close(tell)
		told = os.fdopen(told)
		for n in range(8 * 40):
		    print(told.readline(), end='')
	END
	# what is in TIME_WAIT from 20000 on is as good as free
	fresh --order sequential -- "$repeats" "${many[@]}" >/dev/null
	for way in preload supervise; do
		fresh --order sequential --via "$way" -- python3 hold.py >said
		[ "$(wc -l <said)" = 320 ]
		[ -z "$(sort said | uniq -d)" ]
		cut -d ' ' -f 2 said | all_within 20000 20999
	done
}

# --- the state

@test "the state of other runs goes on as if there were none" {
	plain() {
		ns "$PORTFENCE" run --range "$RANGE" --order sequential -- "$repeats" 127.0.0.1 0 0 2
	}
	[ "$(plain | sed 1q)" = 'datagram 20000' ]
	before=$(md5sum <"$PORTFENCE_STATE/repeats.0")
	same 2 fresh -- "$repeats" 127.0.0.1 10 10 10
	[ "$(md5sum <"$PORTFENCE_STATE/repeats.0")" = "$before" ]
	[ "$(plain | sed 1q)" = 'datagram 20002' ]
}

@test "two runs at once have a state each, and a later run takes a state that is free again" {
	mkfifo gate
	ns_background "$PORTFENCE" run --fresh --order sequential --range 21000-21099 -- \
		sh -c '"$1" 127.0.0.1 0 0 2; read -r _ <gate; "$1" 127.0.0.1 0 0 2' _ "$repeats" >other
	wait_until grep -q 21001 other
	[ "$(fresh -- printenv PORTFENCE_STATE)" = "$PORTFENCE_STATE/fresh-1-0" ]
	same 3 fresh --order sequential -- "$repeats" 127.0.0.1 5 5 5
	[ "$(sed 1q first)" = 'connect 20000' ]
	echo >gate
	wait "$pid"
	[ "$(cut -d ' ' -f 2 other | tr '\n' ' ')" = '21000 21001 21002 21003 ' ]
	is_free() {
		[ "$(fresh -- printenv PORTFENCE_STATE)" = "$PORTFENCE_STATE/fresh-0-0" ]
	}
	wait_until is_free
}

@test "the state lasts as long as any process of the tree" {
	mkfifo gate
	for way in preload both; do
		fresh --via "$way" -- sh -c 'setsid sh -c "exec cat gate" </dev/null >/dev/null 2>&1 3>&- 8>&- &'
		[ "$(fresh -- printenv PORTFENCE_STATE)" = "$PORTFENCE_STATE/fresh-1-0" ]
		echo >gate
		wait_until slots_are_free
		[ "$(fresh -- printenv PORTFENCE_STATE)" = "$PORTFENCE_STATE/fresh-0-0" ]
		wait_until slots_are_free
	done
}

@test "a killed run leaves nothing that is in the way" {
	same 1 fresh --order sequential -- "$repeats" 127.0.0.1 5 5 5
	for way in preload supervise both; do
		wait_until slots_are_free
		mkfifo "gate.$way"
		ns_background "$PORTFENCE" run --fresh --via "$way" --range "$RANGE" --order sequential -- \
			sh -c '"$1" 127.0.0.1 5 5 5; touch "$PORTFENCE_STATE/junk"; mkdir -p "$PORTFENCE_STATE/deep/er"
				exec cat "$2"' _ "$repeats" "gate.$way" >said
		is_stuck() {
			[ "$(cat "/proc/$pid/comm")" = cat ]
		}
		wait_until is_stuck
		kill -KILL "$pid"
		wait "$pid" || true
		wait_until slots_are_free
		fresh --order sequential -- "$repeats" 127.0.0.1 5 5 5 >again
		diff first again
		[ "$(ls "$PORTFENCE_STATE/fresh-0-0")" = "lock
repeats.0" ]
	done
}

@test "a second user has a state of the same kind beside the first one's" {
	mkfifo gate
	chmod a+r gate
	as_other() {
		as_nobody "$PORTFENCE" run --fresh --order sequential --range "$RANGE" "$@"
	}
	same 5 as_other -- "$repeats" "${many[@]}"
	mv first others
	anew
	same 5 as_other -- "$static" "${many[@]}"
	cmp first others
	anew
	same 2 fresh --order sequential -- "$repeats" "${many[@]}"
	cmp first others
	[ -d "$PORTFENCE_STATE/fresh-0-0" ]
	[ "$(stat -c %u "$PORTFENCE_STATE/fresh-0-65534")" = 65534 ]
}

@test "without any setting it is in the user's own folder under /dev/shm" {
	ns unshare -m env -u PORTFENCE_STATE -u XDG_RUNTIME_DIR sh -c '
		mount -t tmpfs none /dev/shm
		"$0" run --fresh --range 20000-20999 -- sh -c "echo \$PORTFENCE_STATE; stat -c %a \$PORTFENCE_STATE"
		ls /dev/shm/portfence-0' "$PORTFENCE" >said
	[ "$(cat said)" = '/dev/shm/portfence-0/fresh-0
700
fresh-0' ]
}

@test "files that others have put in its place are passed over" {
	chmod 1777 "$PORTFENCE_STATE"
	mkdir -m 777 "$PORTFENCE_STATE/fresh-0-0"
	"${AS_NOBODY[@]}" mkdir -m 700 "$PORTFENCE_STATE/fresh-1-0"
	"${AS_NOBODY[@]}" ln -s /tmp "$PORTFENCE_STATE/fresh-2-0"
	"${AS_NOBODY[@]}" touch "$PORTFENCE_STATE/fresh-3-0"
	[ "$(fresh -- printenv PORTFENCE_STATE)" = "$PORTFENCE_STATE/fresh-4-0" ]
}

# --- refused

# refused WORDS COMMAND...: says them, and nothing runs
refused() {
	local words=$1
	shift
	run -125 "$@"
	[[ $output = "portfence: "*"$words"* ]] || { echo "$output"; return 1; }
	[ "${#lines[@]}" = 1 ]
}

@test "if no state can be had, no command runs, and the message says why" {
	mounted() {
		ns unshare -m sh -c 'mount -t tmpfs -o "$1" none "$PORTFENCE_STATE" && shift && exec "$@"' _ \
			"$1" "$PORTFENCE" run --fresh --range "$RANGE" -- echo started
	}
	refused 'Read-only file system' mounted ro
	refused 'No space left on device' mounted size=16k
	chmod 777 "$PORTFENCE_STATE"
	refused 'Operation not permitted' fresh -- echo started
	PORTFENCE_STATE=/dev/null refused "'/dev/null': Not a directory" fresh -- echo started
}

@test "ports that the kernel chooses are not repeated, and the message says so" {
	printf '[repeats]\nrange = 40000-40999\nengine = kernel\n' >some.ini
	refused "'engine = kernel'" ns "$PORTFENCE" run --fresh --config some.ini -- "$repeats" 127.0.0.1 1 1 1
}
