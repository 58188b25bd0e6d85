#!/usr/bin/env bats
#
# `portfence run --record`: a line for each assignment, the same in two runs of the same, and a summary
# that is true at every moment, whatever happens to those who write.

bats_require_minimum_version 1.5.0
load lib/helpers

PYTHON=/usr/bin/python3
RANGE=20000-20999
EMPTY='{"summary":"no port used, 0 assignments, 0 refused"}'

setup_file() {
	cat >"$BATS_FILE_TMPDIR/busy.c" <<-'END'
		#include <arpa/inet.h>
		#include <signal.h>
		#include <stdio.h>
		#include <stdlib.h>
		#include <string.h>
		#include <sys/time.h>
		#include <unistd.h>

		static volatile sig_atomic_t given;

		static int give(void)
		{
			struct sockaddr_in any = { .sin_family = AF_INET };
			int fd = socket(AF_INET, SOCK_DGRAM, 0), rc = bind(fd, (void *)&any, sizeof(any));

			close(fd);
			return !rc;
		}

		static void handle(int number)
		{
			(void)number;
			given += give();
		}

		/* busy handler|vfork COUNT: prints how many ports it got */
		int main(int argc, char *argv[])
		{
			const struct itimerval often = { { 0, 150 }, { 0, 150 } }, never = { { 0 } };
			struct sigaction action = { .sa_handler = handle, .sa_flags = SA_RESTART };
			int i, own = 0, in_handler = argc == 3 && !strcmp(argv[1], "handler");

			sigaction(SIGALRM, &action, NULL);
			if (in_handler)
				setitimer(ITIMER_REAL, &often, NULL);
			for (i = 0; i < atoi(argv[2]) || (in_handler && given < 20); i++) {
				own += give();
				if (!in_handler && !vfork()) {
					given += give();
					_exit(0);
				}
			}
			setitimer(ITIMER_REAL, &never, NULL);
			printf("%d\n", own + given);
			return 0;
		}
	END
	cc -O1 -o "$BATS_FILE_TMPDIR/busy" "$BATS_FILE_TMPDIR/busy.c"
	cc -std=gnu11 -D_GNU_SOURCE -static -o "$BATS_FILE_TMPDIR/raw" "$BATS_TEST_DIRNAME/probes/raw.c"
	cat >"$BATS_FILE_TMPDIR/true.py" <<-'END'
		# true.py FILE: its lines are JSON and its summary is true; prints how many assignments there are
		import json, sys
		def judge(text):
		    assert text.endswith(b"}\n"), text[-300:]
		    *lines, summary = [json.loads(line) for line in text.splitlines()]
		    ports = []
		    for line in lines:
		        assert list(line)[:4] == ["call", "protocol", "address", "port"], line
		        if "problem" not in line:
		            ports.append(int(str(line["port"]).replace("first+", "")))
		    ends = sorted({min(ports), max(ports)}) if ports else []
		    used = ["no port", "port %d", "ports %d-%d"][len(ends)] % tuple(ends)
		    want = "%s used, %d assignment%s, %d refused" % (
		        used, len(ports), "" if len(ports) == 1 else "s", len(lines) - len(ports))
		    assert summary == {"summary": want}, (summary, want)
		    return len(ports)
		if __name__ == "__main__":
		    print(judge(open(sys.argv[1], "rb").read()))
	END
	# chatter.py PROCESSES THREADS COUNT: UDP sockets, bound and closed
	cat >"$BATS_FILE_TMPDIR/chatter.py" <<-'END'
		import os, socket, sys, threading
		processes, threads, count = map(int, sys.argv[1:4])
		def talk():
		    for i in range(count):
		        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
		            s.bind(("127.0.0.1", 0))
		children = []
		for p in range(processes):
		    pid = os.fork()
		    if not pid:
		        workers = [threading.Thread(target=talk) for t in range(threads)]
		        for w in workers: w.start()
		        for w in workers: w.join()
		        os._exit(0)
		    children.append(pid)
		sys.exit(any([os.waitpid(pid, 0)[1] for pid in children]))
	END
}

# recorded [OPTION...] -- COMMAND...
recorded() {
	ns "$PORTFENCE" run --range "$RANGE" --record record "$@"
}

# added COMMAND...: to the record that there is, with the library alone
added() {
	ns env LD_PRELOAD="$LIBRARY" PORTFENCE_RANGE="$RANGE" PORTFENCE_RECORD="$PWD/record" "$@"
}

is_true() {
	$PYTHON "$BATS_FILE_TMPDIR/true.py" "${1:-record}"
}

# One UDP socket, and one more line
one() {
	added "$PROBES/spawn" child >/dev/null
}

# warned FILE TEXT: that and nothing else, once
warned() {
	[ "$(wc -l <"$1")" = 1 ] || { cat "$1"; return 1; }
	grep -qF "warning: the record '$2: lines are dropped" "$1" || { cat "$1"; return 1; }
}

# --- what is written

@test "each kind of call has its line, and the summary behind it is right at once" {
	cat >calls.py <<-'END'
		import socket, sys
		record = open("record")
		def says(summary):
		    record.seek(0)
		    last = record.readlines()[-1]
		    assert last == '{"summary":"%s"}\n' % summary, (last, summary)
		says("no port used, 0 assignments, 0 refused")
		server = socket.socket()
		server.bind(("127.0.0.1", 0))
		says("port 20000 used, 1 assignment, 0 refused")
		server.listen()
		client = socket.socket()
		client.connect(server.getsockname())
		says("ports 20000-20001 used, 2 assignments, 0 refused")
		unbound = socket.socket()
		unbound.listen()
		says("ports 20000-20002 used, 3 assignments, 0 refused")
		datagram = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
		datagram.sendto(b"x", ("127.0.0.1", 9))
		says("ports 20000-20002 used, 4 assignments, 0 refused")
		# it has its port, and asks for none any more
		datagram.sendto(b"x", ("127.0.0.1", 9))
		says("ports 20000-20002 used, 4 assignments, 0 refused")
		message = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
		message.sendmsg([b"x"], [], 0, ("::1", 9))
		connected = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
		connected.connect(("::1", 20500))
		six = socket.socket(socket.AF_INET6)
		six.bind(("::1", 0))
		says("ports 20000-20003 used, 7 assignments, 0 refused")
		# the program's own choice
		socket.socket().bind(("127.0.0.1", 20700))
		says("ports 20000-20003 used, 7 assignments, 0 refused")
	END
	recorded --via preload --order sequential -- $PYTHON calls.py
	diff record - <<-'END'
		{"call":"bind","protocol":"tcp4","address":"127.0.0.1","port":20000}
		{"call":"connect","protocol":"tcp4","address":"127.0.0.1","port":20001,"peer":"127.0.0.1","peer_port":20000}
		{"call":"listen","protocol":"tcp4","address":"0.0.0.0","port":20002}
		{"call":"sendto","protocol":"udp4","address":"0.0.0.0","port":20000,"peer":"127.0.0.1","peer_port":9}
		{"call":"sendmsg","protocol":"udp6","address":"::","port":20001,"peer":"::1","peer_port":9}
		{"call":"connect","protocol":"udp6","address":"::1","port":20002,"peer":"::1","peer_port":20500}
		{"call":"bind","protocol":"tcp6","address":"::1","port":20003}
		{"summary":"ports 20000-20003 used, 7 assignments, 0 refused"}
	END
	# both together say the same, and a file that was there is emptied
	rm -r "${PORTFENCE_STATE:?}"/*
	mv record one
	seq 1000 >record
	recorded --via both --order sequential -- $PYTHON calls.py
	diff one record
	[ "$(is_true)" = 7 ]
}

@test "SCTP is recorded, too" {
	needs_sctp
	recorded --order sequential -- $PYTHON -c 'import socket
socket.socket(socket.AF_INET, socket.SOCK_STREAM, 132).bind(("127.0.0.1", 0))'
	diff record - <<-'END'
		{"call":"bind","protocol":"sctp4","address":"127.0.0.1","port":20000}
		{"summary":"port 20000 used, 1 assignment, 0 refused"}
	END
}

@test "a call that is refused, or finds no port, has a line with the problem" {
	printf '[deny]\nrange = 20000\nbind = deny\n' >some.ini
	cat >refused.py <<-'END'
		import socket
		kept = []
		for family, host, port in ((socket.AF_INET, "127.0.0.1", 8080), (socket.AF_INET6, "::1", 0),
		                           (socket.AF_INET6, "::1", 0)):
		    kept.append(socket.socket(family, socket.SOCK_DGRAM))
		    try:
		        kept[-1].bind((host, port))
		    except OSError:
		        pass
	END
	for via in preload both supervise; do
		ns "$PORTFENCE" run --config some.ini --app deny --via $via --record record -- $PYTHON refused.py
		diff record - <<-'END'
			{"call":"bind","protocol":"udp4","address":"127.0.0.1","port":8080,"problem":"explicit bind refused"}
			{"call":"bind","protocol":"udp6","address":"::1","port":20000}
			{"call":"bind","protocol":"udp6","address":null,"port":null,"problem":"no port left"}
			{"summary":"port 20000 used, 1 assignment, 2 refused"}
		END
	done
	# where the configuration has a mistake, nothing is started; by the variables alone, all is refused
	echo "$EMPTY" >record
	added PORTFENCE_RANGE=none $PYTHON -c 'import socket
try: socket.socket().bind(("127.0.0.1", 0))
except PermissionError: pass' 2>/dev/null
	diff record - <<-'END'
		{"call":"bind","protocol":"tcp4","address":null,"port":null,"problem":"no valid configuration"}
		{"summary":"no port used, 0 assignments, 1 refused"}
	END
}

@test "a static program is recorded by the supervisor, inside the ephemeral range and outside" {
	ns_background $PYTHON -m http.server --bind 127.0.0.1 7777
	wait_tcp 7777
	for range in 20000-20999 40000-40999; do
		ns "$PORTFENCE" run --via supervise --range $range --record record -- "$BATS_FILE_TMPDIR/raw" \
			native 7777 </dev/null >said
		[ "$(is_true)" = 8 ]
		diff <(awk 'NF == 3 { print $2 }' said | sort) <(sed -nE 's/.*"port":([0-9]+).*/\1/p' record | sort)
	done
}

@test "two runs of the same have the same record, in other blocks, too" {
	cat >same.py <<-'END'
		import os, random, socket
		random.seed(7)
		kept = []
		for i in range(120):
		    kind = random.choice((socket.SOCK_STREAM, socket.SOCK_DGRAM))
		    s = socket.socket(socket.AF_INET, kind)
		    if random.random() < 0.5 or kind == socket.SOCK_STREAM:
		        s.bind(("127.0.0.1", 0))
		    else:
		        s.connect(("127.0.0.1", kept[-1].getsockname()[1] if kept else 9))
		    kept.append(s)
	END
	for run in 1 2; do
		ns_close
		ns_open
		PORTFENCE_RANGE='' recorded --via both --seed 42 -- $PYTHON same.py
		mv record seeded.$run
		ns env PORTFENCE_FIRST=${run}0000 PORTFENCE_LAST=${run}0199 "$PORTFENCE" run --via both \
			--range ${run}0000+200 --seed 42 --record leased.$run -- $PYTHON same.py
	done
	diff seeded.1 seeded.2
	diff leased.1 leased.2
	[ "$(is_true seeded.1)" = 120 ]
	grep -q '"port":"first+[0-9]*","peer":"127.0.0.1","peer_port":"first+[0-9]*"}' leased.1
	grep -qE '^\{"summary":"ports first\+[0-9]+ to first\+[0-9]+ used, 120 assignments, 0 refused"\}$' leased.1
	# another seed, another record
	recorded --seed 43 -- $PYTHON same.py
	run -1 diff -q record seeded.1
}

@test "daemons go on recording, fresh environments too, and a run inside goes on with the record" {
	mkfifo gate
	cat >daemon.py <<-'END'
		import os, socket
		def give():
		    socket.socket(socket.AF_INET, socket.SOCK_DGRAM).bind(("127.0.0.1", 0))
		give()
		if not os.fork():
		    os.setsid()
		    open("gate").read()
		    give()
		    os._exit(0)
	END
	recorded -- $PYTHON daemon.py 3>&-
	[ "$(is_true)" = 1 ]
	echo >gate
	is_two() { [ "$(is_true)" = 2 ]; }
	wait_until is_two
	recorded --via preload -- env -i ASAN_OPTIONS="${ASAN_OPTIONS:-}" "$PROBES/spawn" child
	[ "$(is_true)" = 2 ]
	recorded --via preload -- "$PORTFENCE" run --via preload --range 20500-20999 -- "$PROBES/spawn" child
	[ "$(is_true)" = 2 ]
	grep -qE '^\{"summary":"ports 20[5-9]' record
}

# --- who writes

@test "in a folder that others write to, neither their file nor a link is taken for the record" {
	mkdir -m 1777 shared
	echo theirs >shared/theirs
	chown 65534 shared/theirs
	chmod 666 shared/theirs
	echo mine >mine
	ln mine shared/link
	for file in theirs link; do
		run -125 ns "$PORTFENCE" run --range "$RANGE" --record "shared/$file" -- true
		[[ "$output" = *"/shared/$file' belongs to another user, or has a second name, in a folder that others may write to; name another file for the record" ]]
	done
	[ "$(cat shared/theirs mine)" = "$(printf 'theirs\nmine')" ]
	run -0 ns "$PORTFENCE" run --range "$RANGE" --record shared/new -- true
	# in a folder of one's own, whoever's it is
	chown 65534 mine
	run -0 ns "$PORTFENCE" run --range "$RANGE" --record mine -- true
	grep -q summary mine
}

@test "of 32 threads in 4 processes no line is lost or torn, and the record is true at every moment" {
	cat >watch.py <<-'END'
		import fcntl, os, sys
		sys.path.insert(0, os.environ["BATS_FILE_TMPDIR"])
		from true import judge
		looks = 0
		while not os.path.exists("record"):
		    pass
		while True:
		    over = not os.path.exists("/proc/" + sys.argv[1])
		    with open("record", "rb") as record:
		        fcntl.flock(record, fcntl.LOCK_SH)
		        text = record.read()
		    if text:
		        judge(text)
		        looks += 1
		    if over:
		        break
		print(looks)
	END
	# on a busy machine a storm may be over before anybody has looked
	looks=0
	while ((looks < 10)); do
		rm -f record
		ns_background "$PORTFENCE" run --via preload --range "$RANGE" --record record -- \
			$PYTHON "$BATS_FILE_TMPDIR/chatter.py" 4 8 60
		storm=$pid
		BATS_FILE_TMPDIR=$BATS_FILE_TMPDIR $PYTHON - "$storm" <watch.py >looks &
		watch=$!
		wait "$storm"
		# not waited for, it would be there for ever
		wait "$watch"
		((looks += $(cat looks)))
		[ "$(is_true)" = 1920 ]
	done
}

@test "with supervisor and library both writing, no line is lost" {
	recorded --via both -- sh -c "$PYTHON $BATS_FILE_TMPDIR/chatter.py 2 4 40 &
		for i in 1 2 3 4 5 6 7 8; do $BATS_FILE_TMPDIR/raw native 9 </dev/null >>said; done; wait"
	[ "$(is_true)" = $((320 + $(awk 'NF == 3 && $2' said | wc -l))) ]
}

@test "a handler records in the middle of what it has interrupted, and a child of vfork records" {
	recorded --via preload -- "$BATS_FILE_TMPDIR/busy" handler 400 >said
	[ "$(is_true)" = "$(cat said)" ]
	[ "$(cat said)" -ge 420 ]
	recorded --via preload -- "$BATS_FILE_TMPDIR/busy" vfork 50 >said
	[ "$(is_true)" = 100 ]
}

@test "a child that another thread forks in the middle of a line delays no other" {
	cat >forks.py <<-'END'
		import os, socket, threading
		read, write = os.pipe()
		children = []
		def fork():
		    for i in range(200):
		        pid = os.fork()
		        if not pid:
		            os.close(write)
		            os.read(read, 1)
		            os._exit(0)
		        children.append(pid)
		forker = threading.Thread(target=fork)
		forker.start()
		binds = 0
		while forker.is_alive() or binds < 200:
		    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
		        s.bind(("127.0.0.1", 0))
		    binds += 1
		os.close(write)
		for pid in children:
		    os.waitpid(pid, 0)
	END
	recorded --via preload -- $PYTHON forks.py 2>errors
	[ ! -s errors ]
	[ "$(is_true)" -ge 200 ]
}

@test "the record stays true whichever process is killed" {
	cat >killed.py <<-'END'
		import os, random, signal, socket
		random.seed(5)
		def give():
		    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
		        s.bind(("127.0.0.1", 0))
		for i in range(150):
		    children = []
		    for c in range(2):
		        pid = os.fork()
		        while not pid:
		            give()
		        children.append(pid)
		    enough = os.path.getsize("record") + random.randrange(5000)
		    while os.path.getsize("record") < enough:
		        pass
		    for pid in children:
		        os.kill(pid, signal.SIGKILL)
		        os.waitpid(pid, 0)
		give()
	END
	recorded --via preload -- $PYTHON killed.py 2>errors
	[ ! -s errors ]
	[ "$(is_true)" -ge 1000 ]
}

@test "the program's descriptors, errno and file size limit are its own" {
	recorded --via preload -- $PYTHON -c '
import os, resource, signal, socket
before = os.listdir("/proc/self/fd")
kept = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for i in range(3)]
for s in kept: s.bind(("127.0.0.1", 0))
for s in kept: s.close()
assert os.listdir("/proc/self/fd") == before
s = socket.socket()
try: s.connect(("127.0.0.1", 9))
except ConnectionRefusedError: print("refused")' >said
	[ "$(cat said)" = refused ]
	[ "$(is_true)" = 4 ]
	# closed ones stay closed
	recorded --via preload -- sh -c "exec <&- >&- 2>&-; exec '$PROBES/spawn' child"
	[ "$(is_true)" = 2 ]
}

# --- where it cannot be written

@test "a file that is not regular, or cannot be written to, is refused before the command starts" {
	mkfifo fifo
	ln -s real link
	mkdir folder
	for file in fifo link folder /dev/null /dev/stdout; do
		run -125 --separate-stderr ns "$PORTFENCE" run --range 20000 --record $file -- touch started
		[[ "$stderr" = "portfence: '"*"' is not a regular file; name another file for the record" ]]
	done
	run -125 --separate-stderr ns "$PORTFENCE" run --range 20000 --record nosuch/record -- touch started
	[ "$stderr" = "portfence: the record '$PWD/nosuch/record' cannot be written to: No such file or directory" ]
	[ ! -e started ]
	[ ! -e real ]
	# a record is named by an absolute path, and a block by two ports
	run -125 --separate-stderr env PORTFENCE_RECORD=x "$PORTFENCE" run --range 20000 -- true
	[ "$stderr" = "portfence: PORTFENCE_RECORD: this is no record, write an absolute path" ]
	for block in '5 x' '5 ' ' 5' '6 5' '0 5' '5 65536' '-1 5'; do
		run -125 --separate-stderr env PORTFENCE_FIRST="${block% *}" PORTFENCE_LAST="${block#* }" \
			"$PORTFENCE" run --range 20000 --record record -- true
		[[ "$stderr" = "portfence: PORTFENCE_FIRST: "* ]]
	done
}

@test "a file that cannot be opened any more is reported once, and the program goes on" {
	install_for_all
	recorded --via both -- sh -c "rm record; $PROBES/spawn child >said" 2>errors
	[ "$(wc -l <said)" -ge 2 ]
	warned errors "$PWD/record' cannot be opened"
	[ ! -e record ]
	recorded --via supervise -- sh -c "rm record; $PROBES/spawn child; $PROBES/spawn child" 2>errors >said
	warned errors "$PWD/record' cannot be opened"
	# another user can write where the file lets it
	cp "$PROBES/spawn" "$BATS_TEST_TMPDIR"
	chmod 1777 "$PORTFENCE_STATE"
	recorded --via preload -- "${AS_NOBODY[@]}" ./spawn child >said 2>errors
	warned errors "$PWD/record' cannot be opened"
	[ "$(cat record)" = "$EMPTY" ]
	chmod 666 record
	recorded --via preload -- "${AS_NOBODY[@]}" ./spawn child >said 2>errors
	[ ! -s errors ]
	[ "$(is_true)" = 2 ]
	# in place of the file, something that would block
	recorded --via preload -- sh -c "rm record; mkfifo record; $PROBES/spawn child >said" 2>errors
	warned errors "$PWD/record' is no regular file any more"
}

@test "a file that is no record is left alone, and reported once" {
	for text in 'hello\n' 'hello' '{"summary":"hello"}\n{"summary":"hello"}\n' '\n\n' \
		'{"call":"bind","port":1}\nx\n{"summary":"no port used, 0 assignments, 0 refused"}\nx\n'; do
		# shellcheck disable=SC2059 # it is a format
		printf "$text" >record
		cp record before
		one 2>errors
		warned errors "$PWD/record' holds what is no record, or is damaged"
		cmp record before
	done
	head -c 100000 /dev/zero >record
	one 2>errors
	warned errors "$PWD/record' holds what is no record, or is damaged"
	# emptied, it begins anew
	: >record
	one 2>errors
	[ ! -s errors ]
	[ "$(is_true)" = 2 ]
}

@test "half a line at the end is removed, and the rest is counted again" {
	recorded --via preload --order sequential -- "$PROBES/spawn" child >/dev/null
	recorded --via preload --order sequential -- "$PROBES/spawn" child >/dev/null
	cp record whole
	size=$(wc -c <whole)
	first=$(head -n 1 whole | wc -c)
	for ((cut = 1; cut < size; cut += 5)); do
		head -c "$cut" whole >record
		one 2>errors
		[ ! -s errors ]
		left=$((2 + (cut >= first) + (cut >= $(head -n 2 whole | wc -c))))
		[ "$(is_true)" = $left ]
		# half of what stood there before
		{ head -c "$cut" whole; tail -c 20 whole; } >record
		one 2>errors
		[ ! -s errors ]
		is_true
	done
	# by the supervisor, where nobody writes any more
	recorded --via supervise -- sh -c "$PROBES/spawn child >/dev/null; truncate -s -10 record"
	has_whole() { is_true >/dev/null 2>&1; }
	wait_until has_whole
}

@test "if the file cannot grow, that is reported once, and its summary is true of what it holds" {
	# shellcheck disable=SC2016 # for the inner shell
	ns unshare -m sh -c 'mkdir disk && mount -t tmpfs -o size=16k none disk && touch disk/record &&
		head -c 12288 /dev/zero >disk/rest && "$@"; rc=$?; cp disk/record .; exit $rc' _ \
		"$PORTFENCE" run --via preload --range "$RANGE" --record disk/record -- \
		$PYTHON "$BATS_FILE_TMPDIR/chatter.py" 1 1 80 2>errors
	warned errors "$PWD/disk/record' cannot grow"
	[ "$(is_true)" -ge 40 ]
	[ "$(is_true)" -lt 80 ]
	# the supervisor has no limit of the program's
	for via in preload supervise; do
		recorded --via $via -- bash -c "ulimit -f 1; exec $BATS_FILE_TMPDIR/busy vfork 20" 2>errors
		[ $via = supervise ] || warned errors "$PWD/record' cannot grow"
		is_true >count
		[ $via = supervise ] || [ "$(cat count)" -lt 20 ]
		[ $via = preload ] || [ "$(cat count)" = 40 ]
	done
	# beyond it from the start, and no SIGXFSZ comes of that
	recorded --via preload -- bash -c "$BATS_FILE_TMPDIR/busy vfork 20; ulimit -f 1
		exec $BATS_FILE_TMPDIR/busy vfork 20" 2>errors >said
	[ "$(cat said)" = $'40\n40' ]
	warned errors "$PWD/record' cannot grow"
	[ "$(is_true)" = 40 ]
}

@test "no writer waits for ever for a lock, and each waits long only once" {
	echo "$EMPTY" >record
	exec 9<record
	flock 9
	added strace -f -e trace=flock -o tries $PYTHON "$BATS_FILE_TMPDIR/chatter.py" 1 1 20 2>errors
	# the first line of twenty tries that often, and the others not once more
	[ "$(grep -c flock tries)" -ge 1000 ]
	[ "$(grep -c flock tries)" -lt 8000 ]
	warned errors "$PWD/record' stays locked by another process"
	run -125 --separate-stderr recorded -- true
	[ "$stderr" = "portfence: the record '$PWD/record' stays locked by another process, see lslocks(8)" ]
	exec 9<&-
	[ "$(cat record)" = "$EMPTY" ]
	added $PYTHON "$BATS_FILE_TMPDIR/chatter.py" 1 1 20
	[ "$(is_true)" = 20 ]
}

@test "without --record nothing is opened for it" {
	ns strace -f -o trace "$PORTFENCE" run --via preload --range "$RANGE" -- "$PROBES/spawn" child >/dev/null
	run -1 grep -w flock trace
	recorded --via preload -- true
	[ "$(cat record)" = "$EMPTY" ]
}
