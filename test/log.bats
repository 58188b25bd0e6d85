#!/usr/bin/env bats
#
# The log and the warnings: where they go, what a line says, and what never happens to the program
# because of them.

bats_require_minimum_version 1.5.0
load lib/helpers

RANGE=20000-20999
TIME='[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6}Z'
OVERLAP="the tcp range of 'spawn' overlaps that of 'other' \\(line 3\\), both hold port 20000"

setup() {
	common_setup
	install_for_all
}

# run_with OPTION... -- COMMAND...
run_with() {
	ns "$PORTFENCE" run --via both --range "$RANGE" "$@"
}

# preloaded [NAME=VALUE...] COMMAND...: with the library alone, as `portfence run` would say some things itself
preloaded() {
	ns env LD_PRELOAD="$LIBRARY" "$@"
}

as_nobody() {
	chmod 1777 "$PORTFENCE_STATE"
	ns setpriv --reuid 65534 --regid 65534 --clear-groups "$@"
}

# lines N REGEX FILE: exactly N lines, and all of them fit
lines() {
	[ "$(wc -l <"$3")" = "$1" ] || { echo "$(wc -l <"$3") lines, not $1"; head -n 5 "$3"; return 1; }
	[ "$(grep -cE "^$2\$" "$3")" = "$1" ] || { grep -vE "^$2\$" "$3" | head -n 5; return 1; }
}

# All lines are JSON; prints member $1 of each.
member() {
	python3 -c '
import json, sys
for line in sys.stdin.buffer:
    print(json.loads(line)[sys.argv[1]])' "$1"
}

# processes x threads x count UDP sockets, connected and closed
write_chatter() {
	cat >chatter.py <<-'END'
		import os, socket, sys, threading
		processes, threads, count = map(int, sys.argv[1:4])
		def talk():
		    for i in range(count):
		        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
		            s.connect(("127.0.0.1", 9))
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

# --- what is said

@test "there is no line by default, nor with log = none" {
	run_with -- "$PROBES/spawn" child >/dev/null 2>errors
	[ ! -s errors ]
	run_with --log none -- "$PROBES/spawn" child >/dev/null 2>errors
	[ ! -s errors ]
	run_with --log json:none -- "$PROBES/spawn" child >/dev/null 2>errors
	[ ! -s errors ]
	printf '[portfence]\nlog = none\n[spawn]\nrange = 20000-20000\n[other]\nrange = 20000\n' >some.ini
	preloaded PORTFENCE_CONFIG="$PWD/some.ini" "$PROBES/spawn" child >/dev/null 2>errors
	[ ! -s errors ]
}

@test "a line has time, process, application, call, protocol, both ends, engine and tries" {
	run_with --log "$PWD/log" --order sequential -- "$PROBES/spawn" child >said
	[ "$(wc -l <log)" = 2 ]
	sed -n 1p log | grep -qE \
		"^$TIME portfence\[[0-9]+\] spawn: bind udp4 127\.0\.0\.1:20000 engine=bind tried=1\$"
	sed -n 2p log | grep -qE \
		"^$TIME portfence\[[0-9]+\] spawn: connect udp4 0\.0\.0\.0:20001 -> 127\.0\.0\.1:9 engine=bind tried=1\$" ||
		sed -n 2p log | grep -qE \
			"^$TIME portfence\[[0-9]+\] spawn: connect udp4 127\.0\.0\.1:20001 -> 127\.0\.0\.1:9 engine=bind tried=1\$"
	# what the log says is what the program got
	diff <(sed -nE 's/^(port|connected) //p' said) <(sed -nE 's/.*:(20[0-9]{3}) .*/\1/p' log)
}

@test "the time is now, in UTC, and the process is the one" {
	TZ=Asia/Tokyo
	export TZ
	# now is what the clock says
	cc -shared -fPIC -o clock.so -x c - <<-'END'
		#include <time.h>
		int clock_gettime(clockid_t clock, struct timespec *ret_now)
		{
			(void)clock;
			*ret_now = (struct timespec){ 1700000000, 123456789 };
			return 0;
		}
	END
	ns_background env LD_PRELOAD="$PWD/clock.so" "$PORTFENCE" run --via both --range "$RANGE" --log "$PWD/log" -- "$PROBES/spawn" child
	wait "${PIDS[0]}"
	while read -r when who rest; do
		[ "$when" = 2023-11-14T22:13:20.123456Z ]
		[ "$who" = "portfence[${PIDS[0]}]" ]
		[ -n "$rest" ]
	done <log
	[ "$(wc -l <log)" = 2 ]
}

@test "a JSON line has the same facts" {
	run_with --log "json:$PWD/log" --order sequential -- "$PROBES/spawn" child
	python3 - log <<-'END'
		import json, re, sys
		bind, connect = [json.loads(line) for line in open(sys.argv[1])]
		for line in bind, connect:
		    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", line.pop("time")), line
		    assert isinstance(line.pop("pid"), int)
		assert bind == {"application": "spawn", "call": "bind", "protocol": "udp4",
		                "address": "127.0.0.1", "port": 20000, "engine": "bind", "tried": 1}, bind
		assert connect.pop("address") in ("127.0.0.1", "0.0.0.0")
		assert connect == {"application": "spawn", "call": "connect", "protocol": "udp4",
		                   "port": 20001, "peer": "127.0.0.1", "peer_port": 9,
		                   "engine": "bind", "tried": 1}, connect
	END
}

@test "a call that fails for want of a port has a line with the problem" {
	cat >two.pl <<-'END'
		use Socket;
		for (1 .. 2) {
		    socket($s[$_], AF_INET, SOCK_DGRAM, 0);
		    print bind($s[$_], sockaddr_in(0, INADDR_LOOPBACK)) ? "yes\n" : "no\n";
		}
	END
	ns "$PORTFENCE" run --via both --range 20000 --log "$PWD/log" -- perl two.pl >said
	[ "$(tr '\n' ' ' <said)" = "yes no " ]
	lines 2 "$TIME portfence\[[0-9]+\] perl: bind udp4 (127\.0\.0\.1:20000 engine=bind tried=1|- engine=none tried=1: no port left)" log
	ns "$PORTFENCE" run --via both --range 20000 --log "json:$PWD/json" -- perl two.pl
	[ "$(python3 -c 'import json; print([json.loads(l).get("problem") for l in open("json")])')" = \
		"[None, 'no port left']" ]
	printf '[perl]\nrange = 20000-20009\nbind = deny\n' >deny.ini
	ns "$PORTFENCE" run --via both --config deny.ini --log "$PWD/denied" -- perl -MSocket -e \
		'socket(S, AF_INET, SOCK_DGRAM, 0); bind(S, sockaddr_in(30000, INADDR_LOOPBACK)); print $! + 0' >said
	[ "$(cat said)" = 13 ]
	lines 1 "$TIME portfence\[[0-9]+\] perl: bind udp4 - engine=none tried=0: explicit bind refused" denied
}

@test "no name of an application can forge a line or break the JSON" {
	name=$'x\n2026-01-01T00:00:00.000000Z portfence[1] root: "quoted" \\ back\x1b[31m\x7f ünï'
	named() {
		preloaded PORTFENCE_APP="$name" PORTFENCE_RANGE="$RANGE" PORTFENCE_LOG="$1" "$PROBES/spawn" child
	}
	named "$PWD/log"
	[ "$(wc -l <log)" = 2 ]
	# neither a line of its own nor an escape sequence
	if LC_ALL=C grep -q $'[\x01-\x1f\x7f]' log; then
		return 1
	fi
	named "json:$PWD/json"
	[ "$(wc -l <json)" = 2 ]
	NAME=$name python3 -c '
import json, os
for line in open("json", encoding="utf-8"):
    assert json.loads(line)["application"] == os.environ["NAME"], line'
}

@test "a name that is not UTF-8 leaves the JSON valid" {
	cp "$PROBES/spawn" $'caf\xe9'
	ns "$PORTFENCE" run --via both --range "$RANGE" --log "json:$PWD/json" -- $'./caf\xe9' child
	member application <json >names
	[ "$(wc -l <names)" = 2 ]
	grep -q ^caf names
}

@test "an over-long name is cut, but the line is still one line" {
	preloaded PORTFENCE_APP="$(printf '%5000s' '' | tr ' ' n)" PORTFENCE_RANGE="$RANGE" \
		PORTFENCE_LOG="$PWD/log" "$PROBES/spawn" child
	[ "$(wc -l <log)" = 2 ]
	[ "$(wc -c <log)" -le 4096 ]
}

# --- where it goes

@test "standard error gets the lines, as text and as JSON, and standard output none" {
	run_with --log stderr -- "$PROBES/spawn" child >said 2>errors
	lines 2 "$TIME portfence\[[0-9]+\] spawn: .*" errors
	if grep -q portfence\\[ said; then
		return 1
	fi
	run_with --log json:stderr -- "$PROBES/spawn" child 2>&1 >/dev/null | member call >calls
	[ "$(tr '\n' ' ' <calls)" = "bind connect " ]
}

@test "a file is appended to and stays readable to others" {
	echo before >log
	run_with --log "$PWD/log" -- "$PROBES/spawn" child
	run_with --log "$PWD/log" -- "$PROBES/spawn" child
	[ "$(wc -l <log)" = 5 ]
	[ "$(head -n 1 log)" = before ]
	(
		umask 022
		run_with --log "$PWD/new" -- "$PROBES/spawn" child
	)
	[ "$(stat -c %a new)" = 644 ]
}

@test "a log and a record that are made under any umask take the same user's later lines" {
	logs() {
		as_nobody "$PORTFENCE" run --via both --range "$RANGE" "$@" -- "$install/spawn" child
	}
	# judged as safe, and as one where others can put files
	for mode in 755 1777; do
		mkdir -m $mode new
		[ $mode = 1777 ] || chown 65534 new
		for umask in 777 577 377 277 200 400 077; do
			(
				umask $umask
				logs --log "$PWD/new/log" --record "$PWD/new/record" >said 2>errors
			)
			logs --log "$PWD/new/log" >>said 2>>errors
			[ "$(wc -l <new/log)" = 4 ]
			[ "$(grep -c call new/record)" = 2 ]
			[ ! -s errors ]
			# the umask holds for others
			[ "$(stat -c %a new/log)" = "$(printf %o $((0644 & ~0$umask | 0600)))" ]
			[ "$(stat -c %a new/record)" = "$(printf %o $((0666 & ~0$umask | 0600)))" ]
			rm new/*
		done
		rm -r new
	done
}

@test "the file of the configuration is used, and PORTFENCE_LOG goes before it" {
	printf '[portfence]\nlog = %s\n[spawn]\nrange = 20000-20009\n' "$PWD/configured" >some.ini
	preloaded PORTFENCE_CONFIG="$PWD/some.ini" "$PROBES/spawn" child
	[ "$(wc -l <configured)" = 2 ]
	preloaded PORTFENCE_CONFIG="$PWD/some.ini" PORTFENCE_LOG="$PWD/named" "$PROBES/spawn" child
	[ "$(wc -l <configured)" = 2 ]
	[ "$(wc -l <named)" = 2 ]
}

@test "lines of many processes and threads do not mix in a file, and none is lost" {
	write_chatter
	run_with --log "$PWD/log" -- python3 chatter.py 8 2 100
	lines 1600 "$TIME portfence\[[0-9]+\] [a-z0-9.]+: connect udp4 [0-9.]+:20[0-9]{3} -> 127\.0\.0\.1:9 engine=bind tried=[0-9]+" log
	[ "$(sed -E 's/.*portfence\[([0-9]+)\].*/\1/' log | sort | uniq -c | awk '{ print $1 }' | uniq)" = 200 ]
	run_with --log "json:$PWD/json" -- python3 chatter.py 8 2 100
	[ "$(member port <json | all_within 20000 20999 && wc -l <json)" = 1600 ]
}

@test "lines of many processes and threads do not mix on standard error" {
	write_chatter
	# a file takes everything
	run_with --log stderr -- python3 chatter.py 8 2 100 2>errors
	lines 1600 "$TIME portfence\[[0-9]+\] [a-z0-9.]+: connect udp4 .* tried=[0-9]+" errors
	# a pipe may be full, so that lines are dropped, but whole ones
	run_with --log json:stderr -- python3 chatter.py 8 2 100 2>&1 >/dev/null | member port >ports
	all_within 20000 20999 <ports
}

@test "syslog gets a datagram for each line, with facility daemon" {
	cat >journal.py <<-'END'
		import os, re, socket, subprocess, sys
		log = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
		log.bind("/dev/log")
		subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL)
		# all has been sent by now
		while True:
		    try:
		        print(repr(log.recv(65536, socket.MSG_DONTWAIT).decode()))
		    except BlockingIOError:
		        break
	END
	python=$(python3 -c 'import sys; print(sys.executable)')
	# a /dev of the test's own
	with_journal() {
		# shellcheck disable=SC2016 # the inner shell expands it
		ns unshare -m sh -c 'mount -t tmpfs none /dev && mknod -m 666 /dev/null c 1 3 && exec "$@"' _ \
			"$python" journal.py "$PORTFENCE" run --via both --range "$@"
	}
	with_journal "$RANGE" --log syslog -- "$PROBES/spawn" child >log
	lines 2 "'<30>$TIME portfence\[[0-9]+\] spawn: (bind|connect) udp4 .*tried=[0-9]+'" log
	with_journal "$RANGE" --log json:syslog -- "$PROBES/spawn" child >log
	lines 2 "'<30>\{\"time\":\"$TIME\",.*\}'" log
	# what is wrong is a warning
	# shellcheck disable=SC2016 # perl expands it
	with_journal 20000 --log syslog -- perl -MSocket -e '
		for (1 .. 2) {
			socket($s[$_], AF_INET, SOCK_DGRAM, 0);
			bind($s[$_], sockaddr_in(0, INADDR_LOOPBACK));
		}' >log
	[ "$(cut -c 2-5 log | tr '\n' ' ')" = '<30> <28> ' ]
}

@test "the journal gets an entry for each line, with a field for each value" {
	cat >journald.py <<-'END'
		import os, socket, subprocess, sys
		journal = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
		os.makedirs("/run/systemd/journal")
		journal.bind("/run/systemd/journal/socket")
		subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL)
		# all has been sent by now
		while True:
		    try:
		        entry = journal.recv(65536, socket.MSG_DONTWAIT).decode()
		    except BlockingIOError:
		        break
		    assert entry.endswith("\n"), entry
		    fields = dict(line.split("=", 1) for line in entry.splitlines())
		    print(*(f"{name}={value}" for name, value in sorted(fields.items())), sep="|")
	END
	cat >full.py <<-'END'
		import socket
		held = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
		held.connect(("127.0.0.1", 9))
		try:
		    socket.socket(socket.AF_INET, socket.SOCK_DGRAM).connect(("127.0.0.1", 10))
		except OSError as error:
		    print(error)
	END
	# shellcheck disable=SC2016 # the inner shell expands it
	ns unshare -m sh -c 'mount -t tmpfs none /run && exec "$@"' _ \
		python3 journald.py "$PORTFENCE" run --via both --range 20000 --log journal -- python3 full.py >log
	cat log
	grep -qE '^MESSAGE=python3: connect udp4 127\.0\.0\.1:20000 -> 127\.0\.0\.1:9 engine=bind tried=[0-9]+\|PORTFENCE_ADDRESS=127\.0\.0\.1\|PORTFENCE_APP=python3\|PORTFENCE_CALL=connect\|PORTFENCE_ENGINE=bind\|PORTFENCE_PEER=127\.0\.0\.1\|PORTFENCE_PEER_PORT=9\|PORTFENCE_PID=[0-9]+\|PORTFENCE_PORT=20000\|PORTFENCE_PROTOCOL=udp4\|PORTFENCE_TRIED=[0-9]+\|PRIORITY=6\|SYSLOG_IDENTIFIER=portfence$' log
	# what fails is a warning
	grep -qE '\|PORTFENCE_PROBLEM=no port left\|.*\|PRIORITY=4\|' log
}

@test "without a journal the program works, and a line and check say that entries are lost" {
	# shellcheck disable=SC2016 # the inner shell expands it
	ns unshare -m sh -c 'mount -t tmpfs none /run && exec "$@"' _ \
		"$PORTFENCE" run --via both --range "$RANGE" --log journal -- "$PROBES/spawn" child >said 2>errors
	sed -n 's/^port //p' said | all_within 20000 20999
	[ "$(wc -l <errors)" = 2 ]
	grep -qx "portfence: warning: there is no journal to write to, '/run/systemd/journal/socket': No such file or directory" errors
	grep -qxE "$TIME portfence\[[0-9]+\] spawn: warning: the log '/run/systemd/journal/socket' cannot be opened, or is another user's: lines are dropped" errors
	printf '%s\n' '[portfence]' 'log = journal' '[spawn]' "range = $RANGE" >journal.ini
	# shellcheck disable=SC2016 # the inner shell expands it
	run -0 ns unshare -m sh -c 'mount -t tmpfs none /run && exec "$@"' _ "$PORTFENCE" check journal.ini
	[[ "$output" = *"journal.ini: warning: there is no journal to write to, '/run/systemd/journal/socket': No such file or directory"* ]]
}

@test "without a syslog the program works" {
	# shellcheck disable=SC2016 # the inner shell expands it
	ns unshare -m sh -c 'mount -t tmpfs none /dev && mknod -m 666 /dev/null c 1 3 && exec "$@"' _ \
		"$PORTFENCE" run --via both --range "$RANGE" --log syslog -- "$PROBES/spawn" child >said 2>errors
	sed -n 's/^port //p' said | all_within 20000 20999
	[ ! -s errors ]
}

# --- what never happens to the program

@test "what a program opens in place of a closed standard error never gets our lines" {
	cat >closed.py <<-'END'
		import os, socket, sys
		fd = os.open("innocent", os.O_WRONLY | os.O_CREAT)
		assert fd == 2, fd
		with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
		    s.bind(("127.0.0.1", 0))
		    print(s.getsockname()[1])
	END
	python=$(python3 -c 'import sys; print(sys.executable)')
	for log in stderr json:stderr; do
		run_with --log "$log" -- "$python" closed.py 2>&- | all_within 20000 20999
		[ -e innocent ]
		[ ! -s innocent ]
	done
	# a warning has nowhere else to go
	printf '[%s]\nrange = 1-0\n' "$(basename "$(readlink -f "$python")")" >bad.ini
	ns env LD_PRELOAD="$LIBRARY" PORTFENCE_CONFIG="$PWD/bad.ini" "$python" closed.py 2>&- || true
	[ ! -s innocent ]
}

@test "what a program puts in place of its standard error never gets our lines" {
	cat >replace.pl <<-'END'
		use Socket;
		use POSIX;
		sub port {
		    socket(S, AF_INET, SOCK_DGRAM, 0);
		    bind(S, sockaddr_in(0, INADDR_LOOPBACK));
		    print +(sockaddr_in(getsockname(S)))[0], "\n";
		}
		port();
		$fd = POSIX::open("innocent", O_WRONLY | O_CREAT);
		POSIX::dup2($fd, 2);
		port();
	END
	run_with --log stderr -- perl replace.pl 2>errors | all_within 20000 20999
	[ "$(wc -l <errors)" = 1 ]
	[ -e innocent ]
	[ ! -s innocent ]
}

@test "a full pipe on standard error does not hold the program up" {
	cat >full.py <<-'END'
		import fcntl, os, subprocess, sys
		r, w = os.pipe()
		os.set_blocking(w, False)
		try:
		    while True:
		        os.write(w, b"x" * 4096)
		except BlockingIOError:
		    os.set_blocking(w, True)
		print(subprocess.run(sys.argv[1:], stderr=w, timeout=120).returncode)
	END
	ns python3 full.py "$PORTFENCE" run --via both --range "$RANGE" --log stderr -- "$PROBES/spawn" child >said
	[ "$(tail -n 1 said)" = 0 ]
	sed -n 's/^port //p' said | all_within 20000 20999
}

@test "many writers on one full pipe are not held up" {
	write_chatter
	cat >full.py <<-'END'
		import fcntl, os, subprocess, sys
		r, w = os.pipe()
		# one page: about 30 lines, of which nobody reads any
		fcntl.fcntl(w, 1031, 4096)
		print(subprocess.run(sys.argv[1:], stderr=w, timeout=120).returncode)
	END
	ns python3 full.py "$PORTFENCE" run --via both --range "$RANGE" --log stderr -- python3 chatter.py 8 4 50 >said
	[ "$(tail -n 1 said)" = 0 ]
}

@test "a terminal that nobody reads does not hold the program up" {
	local via
	write_chatter
	cat >unread.py <<-'END'
		import os, signal, subprocess, sys
		# a terminal takes about 70 kB
		unread, terminal = os.openpty()
		run = subprocess.Popen(sys.argv[1:], stdin=subprocess.DEVNULL, stderr=terminal, start_new_session=True)
		try:
		    print(run.wait(timeout=60))
		except subprocess.TimeoutExpired:
		    os.killpg(run.pid, signal.SIGKILL)
		    raise
	END
	for via in preload supervise; do
		ns python3 unread.py "$PORTFENCE" run --via $via --range "$RANGE" --log stderr -- \
			python3 chatter.py 4 4 100 >said
		[ "$(cat said)" = 0 ]
	done
}

@test "a line to a terminal opens nothing where the program has forbidden itself to open files" {
	cc -w -o closed -x c - <<-'END'
		#include <linux/filter.h>
		#include <linux/seccomp.h>
		#include <netinet/in.h>
		#include <stddef.h>
		#include <stdio.h>
		#include <sys/prctl.h>
		#include <sys/syscall.h>
		int main(void)
		{
			struct sock_filter code[] = {
				BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
				BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_openat, 0, 1),
				BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
				BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
			};
			struct sock_fprog filter = { 4, code };
			struct sockaddr_in any = { .sin_family = AF_INET };
			int fd = socket(AF_INET, SOCK_STREAM, 0);
			if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_SECCOMP, 2, &filter))
				return 77;
			return bind(fd, (struct sockaddr *)&any, sizeof(any));
		}
	END
	cat >watched.py <<-'END'
		import os, subprocess, sys
		reader, terminal = os.openpty()
		ended = subprocess.call(sys.argv[1:], stdin=subprocess.DEVNULL, stderr=terminal)
		print(ended, ended == 0 and b" bind tcp4 " in os.read(reader, 65536))
	END
	ns python3 watched.py "$PORTFENCE" run --via preload --range "$RANGE" --log stderr -- ./closed >said
	[ "$(cat said)" = "0 True" ]
}

@test "a line to a terminal does not stop a program in the background" {
	cat >background.py <<-'END'
		import os, signal, subprocess, sys, termios
		os.setsid()
		reader, terminal = os.openpty()
		# this process leads the session in the foreground, with the terminal as its own
		name = os.ttyname(terminal)
		os.close(os.open(name, os.O_RDWR))
		mode = termios.tcgetattr(terminal)
		mode[3] |= termios.TOSTOP
		termios.tcsetattr(terminal, termios.TCSANOW, mode)
		child = subprocess.Popen(sys.argv[1:], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=terminal,
		                         preexec_fn=lambda: os.setpgid(0, 0))
		_, status = os.waitpid(child.pid, os.WUNTRACED)
		if os.WIFSTOPPED(status):
		    os.kill(child.pid, signal.SIGKILL)
		    sys.exit("stopped")
		print(status, b" connect udp4 " in os.read(reader, 65536))
	END
	ns python3 background.py "$PORTFENCE" run --via preload --range "$RANGE" --log stderr -- "$PROBES/spawn" child >said
	[ "$(cat said)" = "0 True" ]
}

@test "a pipe that others fill just before our line does not hold the program up" {
	python3 -c 'import os; r, w = os.pipe(); os.pwritev(w, [b"x"], -1, os.RWF_NOWAIT)' 2>/dev/null ||
		skip "this kernel's pipes do not know RWF_NOWAIT"
	# whoever asks whether there is room hears yes, and then there is none any more
	cc -w -shared -fPIC -o fill.so -x c - -ldl <<-'END'
		#define _GNU_SOURCE
		#include <dlfcn.h>
		#include <fcntl.h>
		#include <stdarg.h>
		#include <sys/stat.h>
		#include <sys/syscall.h>
		#include <unistd.h>
		long syscall(long number, ...)
		{
			static char bytes[4096];
			long (*real)(long, ...) = dlsym(RTLD_NEXT, "syscall"), a[6], result;
			struct stat st;
			va_list list;
			int i;

			va_start(list, number);
			for (i = 0; i < 6; i++)
				a[i] = va_arg(list, long);
			result = real(number, a[0], a[1], a[2], a[3], a[4], a[5]);
			/* a pipe alone: anything else would never be full */
			if (number == SYS_ppoll && result == 1 && !fstat(2, &st) && S_ISFIFO(st.st_mode)) {
				fcntl(2, F_SETFL, O_NONBLOCK);
				while (write(2, bytes, sizeof(bytes)) > 0 || write(2, bytes, 1) > 0)
					;
				fcntl(2, F_SETFL, 0);
			}
			return result;
		}
	END
	ns env LD_PRELOAD="$LIBRARY:$PWD/fill.so" PORTFENCE_RANGE="$RANGE" PORTFENCE_LOG=stderr python3 -c '
import os, subprocess, sys
r, w = os.pipe()
print(subprocess.run(sys.argv[1:], stderr=w, stdout=subprocess.DEVNULL, timeout=120).returncode)' \
		"$PROBES/spawn" child >said
	[ "$(cat said)" = 0 ]
}

@test "a standard error that nobody reads any more does not kill the program" {
	cat >gone.py <<-'END'
		import os, socket, subprocess, sys
		r, w = os.pipe()
		os.close(r)
		pair = socket.socketpair()
		pair[1].close()
		for errors in w, pair[0]:
		    # Python ignores SIGPIPE; its children do not
		    print(subprocess.run(sys.argv[1:], stderr=errors, stdout=subprocess.DEVNULL).returncode)
	END
	ns python3 gone.py "$PORTFENCE" run --via both --range "$RANGE" --log stderr -- "$PROBES/spawn" child >said
	[ "$(tr '\n' ' ' <said)" = "0 0 " ]
}

@test "a FIFO without a reader does not hold the program up, and with one it gets the lines" {
	mkfifo fifo
	run_with --log "$PWD/fifo" -- "$PROBES/spawn" child | sed -n 's/^port //p' | all_within 20000 20999
	# open for reading and writing, so that nobody waits
	exec 5<>fifo
	run_with --log "$PWD/fifo" -- "$PROBES/spawn" child >/dev/null
	read -r -t 10 -u 5 first
	read -r -t 10 -u 5 second
	exec 5<&-
	[[ "$first" = *" spawn: bind udp4 "* ]]
	[[ "$second" = *" spawn: connect udp4 "* ]]
}

@test "a file that cannot be written does not harm the program" {
	mkdir folder
	touch readonly
	for log in "$PWD/none/log" "$PWD/folder" /dev/full "$PWD/readonly"; do
		as_nobody "$install/portfence" run --range "$RANGE" --log "$log" -- \
			"$install/spawn" child >said
		sed -n 's/^port //p' said | all_within 20000 20999
	done
	[ ! -s readonly ]
}

@test "in a folder like /tmp, run and check warn of the log that the library will not write to" {
	mkdir -m 1777 shared
	touch shared/planted shared/own elsewhere
	chown 65534 shared/planted
	ln -s "$PWD/elsewhere" shared/link
	for name in planted link own; do
		preloaded PORTFENCE_RANGE="$RANGE" PORTFENCE_LOG="$PWD/shared/$name" "$PROBES/spawn" child >said 2>errors
		run --separate-stderr run_with --log "$PWD/shared/$name" -- true
		printf '[portfence]\nlog = %s\n[x]\nrange = 20000\n' "$PWD/shared/$name" >some.ini
		"$PORTFENCE" check some.ini >checked 2>&1 || true
		if [ "$name" = own ]; then
			[ ! -s errors ]
			[ -s shared/own ]
			[ "$stderr" = "" ]
			run ! grep -F 'cannot be written to' checked
		else
			grep -qF "the log '$PWD/shared/$name' cannot be opened, or is another user's" errors
			[[ "$stderr" = *"the log '$PWD/shared/$name' cannot be written to: "* ]]
			grep -qF "the log '$PWD/shared/$name' cannot be written to: " checked
		fi
	done
	[ ! -s shared/planted ]
	[ ! -s elsewhere ]
}

@test "a log that cannot be opened is one warning on standard error, a FIFO without a reader none" {
	mkdir folder
	mkfifo fifo
	touch notafolder
	for log in "$PWD/none/log" "$PWD/folder" "$PWD/notafolder/log" "json:$PWD/none/log"; do
		preloaded PORTFENCE_RANGE="$RANGE" PORTFENCE_LOG="$log" "$PROBES/spawn" child >said 2>errors
		sed -n 's/^port //p' said | all_within 20000 20999
		[ "$(wc -l <errors)" = 1 ]
		grep -qF "the log '${log#json:}' cannot be opened, or is another user's: lines are dropped" errors
		run -0 --separate-stderr run_with --log "$log" -- true
		[[ "$stderr" = "portfence: warning: the log '${log#json:}' cannot be written to: "* ]]
		printf '[portfence]\nlog = %s\n[x]\nrange = 20000\n' "$log" >some.ini
		run "$PORTFENCE" check some.ini
		[[ "$output" = *"warning: the log '${log#json:}' cannot be written to: "* ]]
	done
	[ "$(member level <errors)" = warning ]
	for log in "$PWD/fifo" "$PWD/new" /dev/full; do
		run_with --log "$log" -- "$PROBES/spawn" child >said 2>errors
		[ ! -s errors ]
	done
}

# --- warnings and errors

@test "a bad configuration is one line on standard error, and nothing before the first port" {
	printf '[spawn]\nrange = 1-0\n[other]\nrange = x\n' >bad.ini
	preloaded PORTFENCE_CONFIG="$PWD/bad.ini" true 2>errors
	[ ! -s errors ]
	cat >many.pl <<-'END'
		use Socket;
		for (1 .. 3) {
		    socket(S, AF_INET, SOCK_DGRAM, 0);
		    bind(S, sockaddr_in(0, INADDR_LOOPBACK)) or print $! + 0, "\n";
		}
	END
	preloaded PORTFENCE_CONFIG="$PWD/bad.ini" perl many.pl >said 2>errors
	[ "$(tr '\n' ' ' <said)" = "13 13 13 " ]
	lines 1 "$TIME portfence\[[0-9]+\] perl: error: $PWD/bad\.ini:2: '1-0' holds port 0, ports are 1 to 65535 \(and [0-9]+ more, see 'portfence run'\); until it is mended, calls that need a port fail" errors
}

@test "with a log, ranges that overlap are a warning, once and with the first port only" {
	printf '[spawn]\nrange = 20000-20009\n[other]\nrange = 20000\n' >some.ini
	configured=(PORTFENCE_CONFIG="$PWD/some.ini" PORTFENCE_APP=spawn)
	preloaded "${configured[@]}" PORTFENCE_LOG="$PWD/log" true
	[ ! -e log ]
	preloaded "${configured[@]}" PORTFENCE_LOG="$PWD/log" "$PROBES/spawn" child
	[ "$(wc -l <log)" = 3 ]
	sed -n 1p log | grep -qE "^$TIME portfence\[[0-9]+\] spawn: warning: $PWD/some\.ini:1: $OVERLAP\$"
	sed -n 2p log | grep -q 'bind udp4'
	# without a log nobody wants to know
	preloaded "${configured[@]}" "$PROBES/spawn" child 2>errors >/dev/null
	[ ! -s errors ]
}

@test "with a log, a range that needs privileges is a warning, once" {
	as_nobody env LD_PRELOAD="$install/libportfence.so" PORTFENCE_RANGE=1023-1100 \
		PORTFENCE_LOG=stderr "$install/spawn" child 2>errors >/dev/null
	[ "$(grep -c warning errors)" = 1 ]
	head -n 1 errors | grep -qE "^$TIME portfence\[[0-9]+\] spawn: warning: the tcp range of 'spawn' starts at port 1023, ports below 1024 need CAP_NET_BIND_SERVICE and will be passed over\$"
	preloaded PORTFENCE_RANGE=1023-1100 PORTFENCE_LOG="$PWD/log" "$PROBES/spawn" child
	[ "$(wc -l <log)" = 2 ]
}

@test "trouble with the state is a warning without any log, once and with the first port only" {
	chmod 777 "$PORTFENCE_STATE"
	preloaded PORTFENCE_RANGE="$RANGE" true 2>errors
	[ ! -s errors ]
	preloaded PORTFENCE_RANGE="$RANGE" "$PROBES/spawn" child 2>errors >/dev/null
	lines 1 "$TIME portfence\[[0-9]+\] spawn: warning: the state file is not used, its folder cannot be used; ports are chosen without it" errors
}

@test "a warning is a JSON line where the log is one" {
	chmod 777 "$PORTFENCE_STATE"
	run_with --log "json:$PWD/log" -- "$PROBES/spawn" child
	[ "$(wc -l <log)" = 3 ]
	[ "$(head -n 1 log | member level)" = warning ]
	head -n 1 log | member message | grep -q '^the state file is not used'
}

@test "exhausted = system is a warning, once, and the log says which ports" {
	printf '[perl]\nrange = 20000-20001\nexhausted = system\n' >some.ini
	cat >five.pl <<-'END'
		use Socket;
		for (1 .. 5) {
		    socket($s[$_], AF_INET, SOCK_DGRAM, 0);
		    bind($s[$_], sockaddr_in(0, INADDR_LOOPBACK)) or die;
		    print +(sockaddr_in(getsockname($s[$_])))[0], "\n";
		}
	END
	ns "$PORTFENCE" run --via both --config some.ini -- perl five.pl >said 2>errors
	head -n 2 said | all_within 20000 20001
	tail -n 3 said | all_within 32768 60999
	lines 1 "$TIME portfence\[[0-9]+\] perl: warning: no port is left in the range, ports of the system's range are used \('exhausted = system'\)" errors
	ns "$PORTFENCE" run --via both --config some.ini --log "$PWD/log" -- perl five.pl >said
	[ "$(grep -c warning log)" = 1 ]
	[ "$(grep -c engine=none log)" = 3 ]
	diff <(sort said) <(sed -nE 's/.* udp4 127\.0\.0\.1:([0-9]+) .*/\1/p' log | sort)
}

@test "what is said once in a run is said to the first whose standard error is not led elsewhere" {
	cat >binds.py <<-'END'
		import socket
		for i in range(3): socket.socket(socket.AF_INET, socket.SOCK_DGRAM).bind(("", 0))
	END
	printf '[*]\nrange = 20000-20001\nexhausted = system\n' >full.ini
	# both ports are in use for as long as the shell has them
	cat >both.sh <<-'END'
		/usr/bin/python3 -c 'import socket, subprocess, sys
		held = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for i in range(2)]
		for s in held: s.bind(("", 0))
		for to in subprocess.DEVNULL, None, None:
		    subprocess.run([sys.executable, "binds.py"], stderr=to)'
	END
	ns "$PORTFENCE" run --via supervise --config full.ini -- sh both.sh 2>said
	cat said
	[ "$(grep -c 'no port is left in the range' said)" = 1 ]
	# what cannot be said there, a log has
	ns "$PORTFENCE" run --via supervise --config full.ini --log "$PWD/log" -- sh both.sh 2>said
	[ ! -s said ]
	[ "$(grep -c 'no port is left in the range' log)" = 1 ]
}
