#!/usr/bin/env bats
#
# `portfence run` where no process may be looked into: the supervisor makes the sockets that it serves.
# Behind the filters of Docker and systemd, and what kernel.yama.ptrace_scope refuses from 2 on, as
# probes/sandbox emulates them; see test/vm for Yama itself. As a user without rights, judged from the wire.

# shellcheck disable=SC2016,SC2030,SC2031,SC2034 # inner shells expand it; each test is a process of its own
bats_require_minimum_version 1.5.0
load lib/helpers
load lib/calls
load lib/supervise

PYTHON=/usr/bin/python3

# In the last one, the supervisor cannot read addresses either.
UNSEEN="docker systemd yama"

setup_file() {
	build_static raw unborn load portless
}

setup() {
	supervise_setup
	unborn=$BATS_FILE_TMPDIR/unborn-static
	raw=$BATS_FILE_TMPDIR/raw-static
	VIA[auto]=auto
	RANGES[auto]=20000-20999
}

@test "where nobody may look, every call of every protocol gets a port of the range" {
	local name proto
	PROBES=$install
	matrix=$install/matrix
	chmod 1777 "$PORTFENCE_STATE"
	for name in docker yama; do
		sandboxed "$name"
		fence=("${AS_NOBODY[@]}" "${SANDBOX[@]}" "$PORTFENCE" run --config matrix.ini --)
		for proto in tcp mptcp udp udplite; do
			each_family 20000-20099 $proto 'via = supervise'
		done
		each_family 20000-20099 tcp
	done
}

@test "there, static programs and raw system calls get ports of the range" {
	local name way
	for name in $UNSEEN; do
		sandboxed "$name"
		for way in calls auto; do
			called $way "$raw" native
			called $way "$install/raw" native
		done
	done
}

@test "there, a UDP call that the kernel refuses leaves no port outside the range" {
	local name
	for name in $UNSEEN; do
		sandboxed "$name"
		refused calls "$BATS_FILE_TMPDIR/portless-static" raw
		refused auto "$install/portless" libc
	done
}

@test "there, 32-bit system calls get ports of the range, too" {
	local name
	needs_32bit
	for name in docker yama; do
		sandboxed "$name"
		called calls "$install/raw" i386
	done
}

@test "there, libc's own questions to a name server come from the range" {
	local name
	for name in $UNSEEN; do
		sandboxed "$name"
		resolves auto getent ahosts portfence.test
		within auto <wire_ports
		[ -s wire_ports ]
		resolves calls getent ahosts portfence.test
		within calls <wire_ports
	done
}

# What a plain run says, too, with other ports
@test "there, a program cannot tell that its sockets were made for it" {
	local name
	for name in $UNSEEN; do
		sandboxed "$name"
		anew
		serve
		capture_start
		fenced calls "$unborn" zero named moved late drawn listen option closed watched dups >said
		capture_stop
		ports_to 7000 | within calls
		cat said
		# the ports are 0 where they are of the range
		awk '{ for (i = 2; i <= NF; i++) if ($i >= 20000 && $i <= 20999) $i = "P"; print }' said >told
		diff - told <<-'END'
			zero P P
			named 0 0
			moved 0 EADDRINUSE 0 7778
			late EDESTADDRREQ P
			drawn P P P
			listen P
			option 0 0
			closed 0 0
			watched P
			dups P P P
		END
	done
}

@test "there, children have ports of the range however they were made" {
	local name
	for name in $UNSEEN; do
		sandboxed "$name"
		anew
		fenced calls "$unborn" fork zero vfork zero spawn zero daemon zero >said
		cat said
		[ "$(wc -l <said)" = 4 ]
		cut -d ' ' -f 2- said | tr ' ' '\n' | within calls
	done
}

# said COMMAND...: as nobody in the sandbox, with standard error through a pipe that nobody has made: the
# supervisor has to open it anew
said() {
	run as_nobody sh -c '"$@" 2>&1 | cat' - "${SANDBOX[@]}" "$PORTFENCE" run "$@"
	echo "$output"
}

@test "there, a socket that an epoll set has before its bind() fails to be bound, and it is said once" {
	local name
	for name in docker yama; do
		sandboxed "$name"
		said --via supervise --range 20000-20999 -- "$unborn" early early
		[ "$(grep -c '^early EACCES$' <<<"$output")" = 2 ]
		[ "$(grep -c 'in an epoll set before its bind()' <<<"$output")" = 1 ]
	done
}

@test "there, what needs an address that cannot be read fails, and it is said which rule asked for it" {
	local key
	sandboxed yama
	anew
	for key in 'bind = own' 'bind = deny' 'bind = move'; do
		printf '[*]\nrange = 20000-20999\n%s\n' "$key" >own.ini
		said --config own.ini --via supervise -- "$unborn" named
		grep -qx 'named EACCES EACCES' <<<"$output"
		[ "$(grep -c "the rule's 'bind' key" <<<"$output")" = 1 ]
	done
	said --range 20000-20999 --map 7000=20500 --via supervise -- "$unborn" watched
	grep -qx 'watched EACCES' <<<"$output"
	[ "$(grep -c "the rule's 'map' key" <<<"$output")" = 1 ]
}

@test "where addresses can be read, the policy for binds is kept" {
	sandboxed docker
	anew
	printf '[*]\nrange = 20000-20999\nbind = own\n' >own.ini
	run as_nobody "${SANDBOX[@]}" "$PORTFENCE" run --config own.ini --via supervise -- "$unborn" named zero
	echo "$output"
	grep -qx 'named EACCES EACCES' <<<"$output"
	grep '^zero ' <<<"$output" | cut -d ' ' -f 2- | tr ' ' '\n' | within calls
}

@test "there, 8 threads of each of 4 processes connect through 100 ports, and not one fails" {
	local name program way
	RANGES=([calls]=20000-20099 [auto]=20000-20099)
	# where no address can be read, each port serves one socket
	for name in docker yama; do
		sandboxed "$name"
		[ $name = docker ] || RANGES=([calls]=20000-29999 [auto]=20000-29999)
		for way in calls auto; do
			anew
			ns_background "$install/load" serve 7000
			wait_tcp 7000
			capture_start "tcp[tcpflags] & (tcp-syn|tcp-ack) == tcp-syn"
			program=$BATS_FILE_TMPDIR/load-static
			[ $way = calls ] || program=$install/load
			fenced $way "$program" 7000 800 4 8 server >said
			diff <(echo connected 800) said
			capture_stop
			ports_to 7000 | within $way
		done
	done
}

@test "there, of threads whose first sockets are made at once, each socket is gone once it is closed" {
	local name
	for name in docker yama; do
		sandboxed "$name"
		anew
		ns_background "$install/load" serve 7000
		wait_tcp 7000
		run -0 fenced auto sh -c 'for i in $(seq 100); do "$1" 7000 4; done
			sleep 0.2; ss -Hnt state established "( dport = :7000 )"' - "$install/at_once"
		echo "$output"
		[ -z "$output" ]
	done
}

@test "there, a server of the program's own serves 200 clients" {
	local name
	for name in docker yama; do
		sandboxed "$name"
		anew
		RANGES[calls]=20000-20499
		ns_background "${AS_NOBODY[@]}" "${SANDBOX[@]}" "$PORTFENCE" run --via supervise --range 20500-20999 -- \
			"$BATS_FILE_TMPDIR/load-static" serve 7000
		wait_tcp 7000
		capture_start
		[ "$(fenced calls "$BATS_FILE_TMPDIR/load-static" 7000 200 2 10 client)" = "connected 200" ]
		capture_stop
		ports_to 7000 | within calls
	done
}

@test "there, children that are killed while they make sockets leave the rest of the tree served" {
	local name
	serve
	for name in docker yama; do
		sandboxed "$name"
		run -0 fenced calls $PYTHON -c 'import os, socket
children = []
for i in range(60):
    pid = os.fork()
    if pid == 0:
        while True:
            s = socket.socket(type=socket.SOCK_DGRAM); s.bind(("127.0.0.1", 0)); s.close()
            s = socket.socket(); s.close()
    children.append(pid)
    if len(children) > 3: os.kill(children.pop(0), 9)
for pid in children: os.kill(pid, 9)
for i in range(60): os.wait()
for i in range(20):
    s = socket.create_connection(("127.0.0.1", 7000)); print(s.getsockname()[1])'
		[ "$(wc -l <<<"$output")" = 20 ]
		within calls <<<"$output"
	done
}

# waiting COMMAND...: in a run in $SANDBOX that waits for a line through descriptor 4; its process in $program, its
# supervisor's in $supervisor
waiting() {
	rm -f go
	mkfifo go
	ns_background bash -c 'exec "$@" <go >calls 2>&1' - "${AS_NOBODY[@]}" "${SANDBOX[@]}" "$PORTFENCE" run \
		--via supervise --range 20000-20999 -- "$@"
	program=$pid
	exec 4>go
	wait_until supervisor_there
	supervisor=$(supervisor_of)
}

# struck SIGNAL: the supervisor gets it in the middle of the next birth, as it makes the socket
struck() {
	ns_background strace -f -o trace -e trace=socket -e inject=socket:signal="$1":when=1 -p "$supervisor" 2>strace.err
	wait_line attached strace.err
}

@test "there, without its supervisor a program's calls fail with ENOSYS, and it does not hang" {
	local name program supervisor
	for name in docker yama; do
		sandboxed "$name"
		waiting sh -c 'read line; exec "$@"' - "$raw" native 9
		kill -9 "$supervisor"
		wait_until has_no_supervisor
		echo >&4
		exec 4>&-
		wait "$program" || true
		cat calls
		grep -qx 'socket ENOSYS' calls
	done
}

@test "there, if its supervisor is killed in the middle of a birth, the call fails with ENOSYS" {
	local name program supervisor
	skip_missing strace
	for name in docker yama; do
		sandboxed "$name"
		waiting sh -c 'read line; exec "$@"' - "$raw" native 9
		struck KILL
		echo >&4
		exec 4>&-
		wait "$program" || true
		cat calls trace
		grep -q 'killed by SIGKILL' trace
		grep -qx 'socket ENOSYS' calls
	done
}

kept_sockets() {
	find "/proc/$supervisor/fd" -lname 'socket:*' | wc -l
}

# keeps COUNT: so many sockets does the supervisor keep
keeps() {
	[ "$(kept_sockets)" = "$1" ]
}

@test "there, if a program is killed in the middle of a birth, its socket is gone, and others are served" {
	local name program supervisor child kept
	skip_missing strace
	for name in docker yama; do
		sandboxed "$name"
		waiting sh -c 'read line; "$@" & echo "child $!"; wait $!; read line; exec "$@"' - "$unborn" zero
		kept=$(kept_sockets)
		struck STOP
		echo >&4
		wait_until grep -q 'stopped by SIGSTOP' trace
		wait_until grep -q '^child ' calls
		child=$(sed -n 's/^child //p' calls)
		kill -9 "$child"
		wait_until test ! -e "/proc/$child"
		kill "$pid"
		wait "$pid" || true
		kill -CONT "$supervisor"
		wait_until keeps "$kept"
		echo >&4
		exec 4>&-
		wait "$program"
		cat calls
		[ "$(grep -c '^zero ' calls)" = 1 ]
		sed -n 's/^zero //p' calls | tr ' ' '\n' | within calls
	done
}

supervisor_of() {
	pgrep -x --ns "$NS_PID" --nslist net portfence
}

has_no_supervisor() {
	[ -z "$(supervisor_of)" ]
}

# Is $pid the program by now?
supervisor_there() {
	grep -qx sh "/proc/$pid/comm" && [ "$(supervisor_of | wc -l)" = 1 ]
}

@test "there, a supervisor keeps no more than some of the sockets that were closed without a port" {
	local kept
	for name in docker yama; do
		sandboxed "$name"
		rm -f go
		mkfifo go
		ns_background bash -c 'exec "$@" <go >calls 2>&1' - "${AS_NOBODY[@]}" "${SANDBOX[@]}" "$PORTFENCE" run \
			--via supervise --range 20000-20999 -- $PYTHON -S -c 'import _socket, sys
for i in range(2000): _socket.socket().close()
print("end", flush=True); sys.stdin.read()'
		exec 4>go
		wait_until grep -qx end calls
		kept=$(find "/proc/$(supervisor_of)/fd" -lname 'socket:*' | wc -l)
		exec 4>&-
		wait "$pid"
		echo "$kept"
		[ "$kept" -lt 600 ]
	done
}

@test "there, a port is free for others once the program has closed its socket" {
	local name
	for name in $UNSEEN; do
		sandboxed "$name"
		anew
		rm -f go
		mkfifo go
		ns_background bash -c 'exec "$@" <go >calls 2>&1' - "${AS_NOBODY[@]}" "${SANDBOX[@]}" "$PORTFENCE" run \
			--via supervise --range 20000-20999 -- $PYTHON -S -c 'import _socket, sys
held, again, own = [_socket.socket() for i in range(3)]
own.setsockopt(0, 24, 1); own.bind(("127.0.0.1", 7771)) # IP_BIND_ADDRESS_NO_PORT
held.bind(("127.0.0.1", 7770)); held.listen()
try: again.bind(("127.0.0.1", 7770))
except OSError as e: print(e.errno, flush=True)
sys.stdin.read(1); held.close(); again.bind(("127.0.0.1", 7770)); again.close(); own.close()
print("end", flush=True); sys.stdin.read()'
		exec 4>go
		wait_until grep -q '^98$' calls
		echo >&4
		wait_until grep -qx end calls
		# nobody in the tree calls bind() any more
		run -0 ns timeout 30 $PYTHON -c 'import socket
for port in 7770, 7771:
    while True:
        try: socket.socket().bind(("127.0.0.1", port))
        except OSError: continue
        break'
		exec 4>&-
		wait "$pid"
	done
}

@test "there, a socket that its program keeps locked after a bind() to port 0 delays no other" {
	sandboxed yama
	anew
	rm -f hold said
	mkfifo hold said
	cp "$PROBES/rights" "$install"
	ns_background sh -c 'exec "$@" 3<hold >calls' - "${SANDBOX[@]}" "$PORTFENCE" run --via supervise --range 20000-20999 -- \
		sh -c '"$1" hold group <&3 >said & read -r line <said; echo "$line"; "$0" zero; echo end; wait' "$unborn" "$install/rights"
	exec 4>hold
	wait_until grep -qx end calls
	exec 4>&-
	wait "$pid"
	cat calls
	grep -qx held calls
	sed -n 's/zero //p' calls | tr ' ' '\n' | within calls
}

@test "there, sockets that are bound to port 0 and closed are looked at by one thread" {
	local threads most=0
	sandboxed yama
	anew
	rm -f go
	mkfifo go
	ns_background bash -c 'exec "$@" <go >calls 2>&1' - "${AS_NOBODY[@]}" "${SANDBOX[@]}" "$PORTFENCE" run \
		--via supervise --range 20000-20999 -- $PYTHON -S -c 'import _socket, posix, sys, _thread
def bind():
    posix.write(1, b"begun\n")
    for i in range(500):
        s = _socket.socket(); s.bind(("", 0)); s.close()
    posix.write(1, b"end\n")
for i in range(8): _thread.start_new_thread(bind, ())
sys.stdin.read()'
	exec 4>go
	wait_until grep -qs . calls
	until [ "$(grep -cx end calls)" = 8 ]; do
		threads=$(sed -n 's/^Threads:\t//p' "/proc/$(supervisor_of)/status")
		((threads <= most)) || most=$threads
	done
	exec 4>&-
	wait "$pid"
	# beside it, those that serve calls, a search for closed sockets, and one that waits
	echo "$most"
	[ "$most" -gt 0 ]
	[ "$most" -lt 40 ]
}

@test "there, a search of processes with millions of descriptors delays no other" {
	local kept
	sandboxed docker
	anew
	rm -f hold
	mkfifo hold
	cat >many.py <<-'END'
		import _socket, ctypes, os, resource, signal, sys
		libc, most = ctypes.CDLL(None), resource.getrlimit(resource.RLIMIT_NOFILE)[1]
		resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
		clone = dict(x86_64=56, aarch64=220)[os.uname().machine]
		end, other = os.pipe()
		for i in range(min(most, 100000) - 100): os.dup(end)
		for i in range(200): # they share the descriptors (CLONE_FILES)
		    if not libc.syscall(clone, 0x400 | signal.SIGCHLD, None, None, None, None):
		        libc.prctl(1, signal.SIGKILL)
		        while True: libc.pause()
		print("many", flush=True)
		for i in range(600): _socket.socket().close()
		print("closed", flush=True)
		sys.stdin.read()
		os.killpg(0, signal.SIGKILL)
	END
	chmod -R a+rX .
	ns_background sh -c 'exec "$@" 3<hold >calls' - "${SANDBOX[@]}" "$PORTFENCE" run --via supervise --range 20000-20999 -- \
		sh -c 'setsid "$1" -S many.py <&3 & until grep closed calls >/dev/null; do kill -0 $! || exit; done; "$0" zero; "$0" zero; echo end; wait' "$unborn" $PYTHON
	exec 4>hold
	wait_until grep -qx end calls
	# the search goes on still
	kept=$(find "/proc/$(supervisor_of)/fd" -lname 'socket:*' | wc -l)
	exec 4>&-
	wait "$pid" || :
	cat calls
	echo "$kept"
	[ "$kept" -gt 500 ]
	sed -n 's/zero //p' calls | tr ' ' '\n' | within calls
}

@test "there, the last duplicate of a socket that lingers delays no other" {
	sandboxed docker
	anew
	rm -f hold
	mkfifo hold
	cat >outside.py <<-'END'
		import array, os, socket, struct, sys
		gate = socket.socket(socket.AF_UNIX)
		gate.bind("gate.sock")
		os.chmod("gate.sock", 0o777)
		gate.listen()
		server = socket.create_server(("127.0.0.1", 7000))
		open("ready", "w").close()
		inside = gate.accept()[0]
		fd = socket.recv_fds(inside, 1, 1)[1][0]
		one = socket.socket(fileno=fd)
		one.connect(("127.0.0.1", 7000))
		peer = server.accept()[0]
		one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 100000))
		one.setblocking(False)
		try:
		    while one.send(bytes(65536)): pass
		except BlockingIOError: pass
		one.setblocking(True)
		# the program has it still
		one.close()
		inside.send(b"x")
		sys.stdin.read()
	END
	cat >inside.py <<-'END'
		import _socket, array, sys
		gate, one = _socket.socket(_socket.AF_UNIX), _socket.socket()
		gate.connect("gate.sock")
		gate.sendmsg([b"x"], [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, array.array("i", [one.fileno()]))])
		gate.recv(1)
		# the kernel does not wait in the end of a process
		one.detach()
	END
	cat >many.py <<-'END'
		import _socket
		for i in range(2000): _socket.socket().close()
		print("closed")
	END
	chmod -R a+rX .
	ns_background sh -c 'exec "$0" outside.py <hold' $PYTHON
	exec 4>hold
	wait_until test -e ready
	ns "${SANDBOX[@]}" "$PORTFENCE" run --via supervise --range 20000-20999 -- \
		sh -c '"$1" -S inside.py; "$1" -S many.py; "$0" zero; "$0" zero' "$unborn" $PYTHON >calls
	exec 4>&-
	wait "$pid"
	cat calls
	grep -qx closed calls
	[ "$(grep -c zero calls)" = 2 ]
	sed -n 's/zero //p' calls | tr ' ' '\n' | within calls
}

@test "there, sockets that a program inherits get their port from the range" {
	local name
	for name in docker yama; do
		sandboxed "$name"
		run -0 as_nobody $PYTHON -c 'import os, socket, sys
kept = [socket.socket(type=t) for t in (socket.SOCK_STREAM, socket.SOCK_DGRAM)]
for s in kept: os.set_inheritable(s.fileno(), True)
os.execv(sys.argv[1], sys.argv[1:] + ["--", "'$PYTHON'", "-c", "import socket\nfor fd in %s:\n    s = socket.socket(fileno=fd); s.bind((\"127.0.0.1\", 0)); print(s.getsockname()[1])" % [s.fileno() for s in kept]])' \
			"${SANDBOX[@]}" "$PORTFENCE" run --via supervise --range 20000-20999
		echo "$output"
		[ "${#lines[@]}" = 2 ]
		within calls <<<"$output"
	done
}

@test "there, a container's root without CAP_SYS_PTRACE is served, and whoever it becomes" {
	local as
	anew
	for as in "" "setpriv --reuid 65534 --regid 65534 --clear-groups"; do
		# shellcheck disable=SC2086 # several words
		run -0 ns setpriv --bounding-set=-sys_ptrace --inh-caps=-all "$install/sandbox" docker \
			"$PORTFENCE" run --via supervise --range 20000-20999 -- $as "$unborn" zero named listen
		echo "$output"
		[ "${lines[1]}" = "named 0 0" ]
		printf '%s\n' "${lines[0]#zero }" "${lines[2]#listen }" | within calls
	done
}

@test "there, a user's sockets without a port leave room for another user's" {
	anew
	cat >many.py <<-'END'
		import _socket, os
		kept = []
		try:
		    for k in range(150): kept.append(_socket.socket())
		except OSError as error: print("refused", error.errno, flush=True)
		os.write(4, b"x")
		os.read(3, 1)
	END
	run -0 ns prlimit --nofile=256:256 setpriv --bounding-set=-sys_ptrace --inh-caps=-all "$install/sandbox" docker \
		"$PORTFENCE" run --via supervise --range 20000-20999 -- $PYTHON -S -c '
import _socket, os
ends, go = os.pipe(), os.pipe()
for i in range(4):
    if os.fork(): continue
    os.close(go[1])
    os.dup2(go[0], 63); os.dup2(ends[1], 64); os.dup2(63, 3); os.dup2(64, 4)
    os.execvp("setpriv", "setpriv --reuid 65534 --regid 65534 --clear-groups /usr/bin/python3 -S many.py".split())
for i in range(4): os.read(ends[0], 1)
for i in range(20):
    s = _socket.socket()
    s.bind(("127.0.0.1", 0))
    print(s.getsockname()[1])'
	echo "$output"
	grep -q '^refused 23$' <<<"$output"
	[ "$(grep -c '^2' <<<"$output")" = 20 ]
	grep '^2' <<<"$output" | within calls
}

@test "there, of a container's root, a socket is served however many others were closed meanwhile" {
	local as
	anew
	for as in "" "setpriv --reuid 65534 --regid 65534 --clear-groups" "setpriv --regid 65534 --clear-groups"; do
		# shellcheck disable=SC2086 # several words
		run -0 ns setpriv --bounding-set=-sys_ptrace --inh-caps=-all "$install/sandbox" docker \
			"$PORTFENCE" run --via supervise --range 20000-20999 -- $as $PYTHON -S -c 'import _socket
s = _socket.socket()
for i in range(2000): _socket.socket().close()
s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
		echo "$output"
		within calls <<<"$output"
	done
}

@test "there, a socket of another network namespace gets no port by a write() either" {
	local name
	cat >drawn.py <<-'END'
		import socket
		def error(call, *arguments):
		    try: call(*arguments)
		    except OSError as e: return e.errno
		s = socket.socket(type=socket.SOCK_DGRAM)
		print(error(s.send, b"x"), error(s.sendto, b"x", ("127.0.0.1", 7000)))
	END
	chmod 755 . drawn.py
	for name in systemd yama; do
		sandboxed "$name"
		run -0 ns "${SANDBOX[@]}" "$PORTFENCE" run --via supervise --range 20000-20999 -- unshare -n \
			sh -c 'ip link set lo up; exec "$@"' - setpriv --reuid 65534 --regid 65534 --clear-groups $PYTHON -S "$PWD/drawn.py"
		echo "$output"
		grep -qx '89 13' <<<"$output"
		[ "$(grep -c 'has not made its socket' <<<"$output")" = 1 ]
	done
}

@test "there, a socket is served, too, once the program's first thread has ended" {
	local name
	for name in docker yama; do
		sandboxed "$name"
		run -0 as_nobody "${SANDBOX[@]}" "$PORTFENCE" run --via supervise --range 20000-20999 -- $PYTHON -S -c 'import _socket, ctypes, os, threading
def go_on():
    while not open("/proc/self/stat").read().rsplit(")", 1)[1].startswith(" Z"): pass
    s = _socket.socket()
    for i in range(2000): _socket.socket().close()
    try: s.bind(("127.0.0.1", 0)); os.write(1, b"%d\n" % s.getsockname()[1])
    finally: os._exit(0)
threading.Thread(target=go_on).start()
ctypes.CDLL(None).syscall({"x86_64": 60}.get(os.uname().machine, 93), 0)'
		echo "$output"
		within calls <<<"$output"
		[ -n "$output" ]
	done
}

# births: the supervisor's system calls for one birth after the other, a line each, from strace's lines. What depends on
# the time is left out: births at which it looks anew where it is itself, and that one thread wakes another.
births() {
	awk '
		/<\.\.\. .* resumed>/ { next }
		/NOTIF_RECV/ { line[$1] = ""; own[$1] = 0 }
		$1 in line {
			call = $2
			sub(/\(.*/, "", call)
			if (call != "futex") line[$1] = line[$1] " " call
			own[$1] += /"\/proc\/self\//
		}
		/NOTIF_ADDFD/ { if (!own[$1]) print substr(line[$1], 2); delete line[$1] }' "$1" |
		sed -E 's/\<(newfstatat|fstat64|statx)\>/fstat/g'
}

@test "there, to make a socket costs the supervisor the system calls that it needs" {
	local way as label=""
	skip_missing strace
	# of its security label, where there are any
	! cat /proc/self/attr/current >/dev/null 2>&1 || label="openat read read close "
	cat >make.py <<-'END'
		import _socket
		for i in range(50): _socket.socket().close()
	END
	chmod 755 . make.py
	for way in user root; do
		as=("${AS_NOBODY[@]}")
		[ $way = user ] || as=(setpriv --bounding-set=-sys_ptrace --inh-caps=-all)
		chmod 1777 "$PORTFENCE_STATE"
		ns "${as[@]}" strace -f -o "$PORTFENCE_STATE/$way" "$install/sandbox" docker \
			"$PORTFENCE" run --via supervise --range 20000-20999 -- $PYTHON -S "$PWD/make.py"
		births "$PORTFENCE_STATE/$way" | sort | uniq -c >"$way"
		cat "$way"
		# each birth is alike
		[ "$(wc -l <"$way")" = 1 ]
	done
	# the call, user namespace, control group, whose /proc it is, does the caller still wait, the socket, its number, the answer
	[ "$(sed 's/^ *[0-9]* //' user)" = \
		"ioctl readlink openat read read close ${label}readlink getpid ioctl socket fstat ioctl" ]
	# its user stands in its status, and its namespace is shown to one of its rights alone
	[ "$(sed 's/^ *[0-9]* //' root)" = \
		"ioctl readlink getpid openat fcntl fstat read read read close ioctl capget capset geteuid getegid readlink openat read \
read close ${label}readlink getpid ioctl geteuid setfsuid getegid setfsgid capget capset geteuid getegid socket fstat ioctl" ]
}

@test "there, of a user without rights, a user namespace of its own is no obstacle, and a network namespace of its own is" {
	local name
	needs_user_namespaces
	cat >apart.py <<-'END'
		import errno, _socket
		s = _socket.socket()
		try: s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])
		except OSError as e: print(errno.errorcode[e.errno])
	END
	chmod 755 . apart.py
	for name in systemd yama; do
		sandboxed "$name"
		run -0 as_nobody "${SANDBOX[@]}" "$PORTFENCE" run --via supervise --range 20000-20999 -- \
			unshare -Ur $PYTHON -S "$PWD/apart.py"
		echo "$output"
		within calls <<<"$output"
		run -0 --separate-stderr as_nobody "${SANDBOX[@]}" "$PORTFENCE" run --via supervise --range 20000-20999 -- \
			unshare -Urn sh -c 'ip link set lo up; exec "$@"' - $PYTHON -S "$PWD/apart.py"
		echo "$output" "$stderr"
		[ "$output" = EACCES ]
	done
}
