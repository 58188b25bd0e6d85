#!/usr/bin/env bats
#
# `portfence lease`: a block of ports for a process that runs already, for as long as that wants it.

# shellcheck disable=SC2016,SC2030,SC2031,SC2034,SC2154 # inner shells are the command's; each test is a process of its own; helpers set $pid
bats_require_minimum_version 1.5.0
load lib/helpers
load lib/leases

# hold ARGUMENT...: a holder whose standard input is /dev/null; its process id is in $pid
hold() {
	: >block
	ns_background "$PORTFENCE" lease --pool 20000-20029 "$@" </dev/null >block
	wait_until test -s block
}

end() {
	kill -KILL "$1"
	wait "$1" || true
}

has_ended() {
	! kill -0 "$1" 2>/dev/null
}

# python CODE: `lease` starts a holder that reads a pipe
python() {
	python_code "import signal, subprocess, time
	def lease(*words, **more):
	    more.setdefault('stdin', subprocess.PIPE)
	    return subprocess.Popen(['$PORTFENCE', 'lease', '--pool', '20000-20029', *words], stdout=subprocess.PIPE, text=True, **more)
	$1"
	ns python3 code.py
}

@test "it prints a block, which is leased until its standard input ends" {
	python '
		one = lease("10")
		print(one.stdout.read(), flush=True)
		other = lease("10", "--json")
		print(other.stdout.read())
		one.stdin.write("bytes mean nothing\n" * 10000)
		one.stdin.flush()
		listed = subprocess.run(["'"$PORTFENCE"'", "leases"], capture_output=True, text=True).stdout
		print(one.poll(), listed.splitlines()[1].split()[0])
		for holder in one, other:
		    holder.stdin.close()
		    print(holder.wait())' >said
	[ "$(grep -v format said | xargs)" = "20000-20009 None 20000-20009 0 0" ]
	[ "$(python3 -c 'import json, sys; a = json.load(sys.stdin)
print(a["format"], a["first"], a["last"], a["ports"], a["pid"] > 1, a["file"])' <<<"$(grep format said)")" = \
		"1 20010 20019 10 True $PORTFENCE_STATE/.leases.0" ]
	are_leased
}

@test "one port is a plain number, and the port can be bound" {
	hold
	[ "$(cat block)" = 20000 ]
	ns_background nc -l 127.0.0.1 20000
	wait_tcp 20000
	end "$pid"
}

@test "/dev/null, a regular file and no standard input at all end no lease, a signal does" {
	: >empty
	local way
	for way in '</dev/null' '<empty' '<&-'; do
		: >block
		ns_background sh -c "exec '$PORTFENCE' lease 5 --pool 20000-20029 $way" >block
		wait_until test -s block
		are_leased 20000-20004
		kill -0 "$pid"
		kill "$pid"
		local ended=0
		wait "$pid" || ended=$?
		[ "$ended" = 143 ]
		wait_until are_leased
	done
}

@test "a pipe that has ended before ends the lease at once" {
	run -0 ns "$PORTFENCE" lease 3 < <(:)
	[[ "$output" = *-* ]]
	wait_until are_leased
}

@test "the end of the process that started it ends the lease, whatever its standard input is" {
	mkfifo pipe
	exec 7<>pipe
	local input
	for input in /dev/null pipe; do
		: >block
		ns_background sh -c "'$PORTFENCE' lease 5 --pool 20000-20029 <$input >block 7>&- & exec sleep infinity" 7>&-
		wait_until test -s block
		are_leased 20000-20004
		end "$pid"
		wait_until are_leased
	done
}

@test "its standard output and standard error end once the block is told, and it keeps nobody's descriptors" {
	mkfifo pipe
	ns_background sh -c "exec '$PORTFENCE' lease 5 </dev/null >pipe 2>&1 9>pipe"
	# to the end of it
	[ "$(cat pipe)" = 20000-20004 ]
	kill -0 "$pid"
	run bash -c "readlink /proc/$pid/fd/*"
	[ "$(grep -vc '^/dev/null$' <<<"$output")" = 2 ]
	grep -q '/.leases.0$' <<<"$output"
	end "$pid"
}

@test "a lease that cannot be told is not held" {
	run -1 ns sh -c "exec '$PORTFENCE' lease 5 >/dev/full </dev/null"
	are_leased
	run -1 ns sh -c "exec '$PORTFENCE' lease 5 >&- </dev/null"
	are_leased
}

@test "a terminal's end of file ends the lease, and one in the background leaves the terminal alone" {
	skip_missing python3
	cat >terminal.py <<-END
		import os, pty, sys, time
		pid, fd = pty.fork()
		if not pid:
		    os.execvp(sys.argv[1], sys.argv[1:])
		said = b""
		while b"\n" not in said: said += os.read(fd, 100)
		os.write(fd, b"a line\n\x04")
		print(os.waitpid(pid, 0)[1], said)
	END
	run -0 ns python3 terminal.py "$PORTFENCE" lease 5
	[[ "$output" = "0 b'20000-20004"* ]]
	are_leased
	# what is typed is the shell's
	cat >shell.sh <<-END
		set -m
		"$PORTFENCE" lease 5 >block &
		until [ -s block ]; do :; done
		echo ready
		until read -r -t 0; do :; done
		state=\$(ps -o stat= -p \$!)
		read -r line
		case \$state in T*) echo stopped ;; *) echo "\$line" >line ;; esac
		kill \$!
	END
	cat >terminal.py <<-END
		import os, pty, sys
		pid, fd = pty.fork()
		if not pid:
		    os.execvp("bash", ["bash", "shell.sh"])
		said = b""
		while b"ready" not in said: said += os.read(fd, 100)
		os.write(fd, b"typed\n")
		os.waitpid(pid, 0)
	END
	ns python3 terminal.py
	[ "$(cat line)" = typed ]
}

@test "with a command it is run --lease" {
	run -0 ns "$PORTFENCE" lease 10 --pool 20000-20029 -- sh -c 'echo $PORTFENCE_RANGE $0' -x
	[ "$output" = "20000-20009 -x" ]
	wait_until are_leased
	run -0 ns "$PORTFENCE" lease -- sh -c 'echo $PORTFENCE_RANGE'
	[ "$output" = 20000-20099 ]
	wait_until are_leased
	run -7 ns "$PORTFENCE" lease 5 -- sh -c 'exit 7'
	run -127 ns "$PORTFENCE" lease 5 -- never-there
	run -125 ns "$PORTFENCE" lease 5 --pool x -- true
	printf '[portfence]\npool = 22000-22099\n' >some.ini
	run -0 ns "$PORTFENCE" lease 5 --config some.ini --wait 3 -- sh -c 'echo $PORTFENCE_RANGE'
	[ "$output" = 22000-22004 ]
}

@test "bad input is refused" {
	local see="see 'portfence lease --help'"
	for bad in 0 65536 x 10x ''; do
		says 2 "portfence: '$bad' is no number of ports for a lease, write a whole number from 1 to \
65535, $see" "$PORTFENCE" lease "$bad"
	done
	says 2 "portfence: 'make' is one argument too many; a command stands behind '--', $see" \
		"$PORTFENCE" lease 10 make
	says 2 "portfence: '--json' is not for a command, $see" \
		"$PORTFENCE" lease 10 --json -- true
	says 1 "portfence: --wait: 'x' is not a number of seconds from 0 to 86400" \
		"$PORTFENCE" lease --wait x
	says 1 "portfence: a lease of 31 ports does not fit into the pool 20000-20029, which has 30 in one \
piece; ask for fewer, or for a larger 'pool'" "$PORTFENCE" lease 31 --pool 20000-20029
	are_leased
}

@test "a full pool: the message says who holds what, and for whom" {
	hold 30
	run -1 ns "$PORTFENCE" lease --pool 20000-20029
	[ "${#lines[@]}" = 2 ]
	[ "${lines[0]}" = "portfence: no port is free of leases and sockets in the pool \
20000-20029; use a larger '--pool', or '--wait SECONDS'" ]
	[[ ${lines[1]} =~ ^"  20000-20029 by 'portfence lease, for pid "[0-9]+": "[^\']+"' (pid ""$pid"", user root, since" ]]
	kill -0 "$pid"
	end "$pid"
}

@test "--wait takes a block once there is one, and ends with the process that waits for it" {
	hold 30
	: >waiting
	ns_background "$PORTFENCE" lease --pool 20000-20029 --wait 600 </dev/null >waiting
	local waiting=$pid
	end "${PIDS[-2]}"
	wait_until grep -q 20000 waiting
	end "$waiting"
	wait_until are_leased
	hold 30
	python '
		one = lease("--wait", "600")
		one.stdin.close()
		print(one.wait(), one.stdout.read())
		one = lease("--wait", "600")
		one.terminate()
		print(one.wait())' >said
	[ "$(xargs <said)" = "1 -15" ]
	end "$pid"
}

@test "of 600 workers with a lease each, a third killed, no port ever had two holders, and none is lost" {
	run ns "$BATS_TEST_DIRNAME/programs/lease_workers" 600 24 5 "$PORTFENCE" --pool 20000-20199
	echo "$output"
	[ "$output" = "600 leases, 200 killed" ]
	wait_until are_leased
	run -0 ns "$PORTFENCE" lease 200 --pool 20000-20199 < <(:)
	[ "$output" = 20000-20199 ]
}

# ---- python_portpicker's protocol ----

# ask TEXT...: what a client gets that sends this, with the server at $address, one a line
ask() {
	# shellcheck disable=SC2059 # the text has escapes
	printf "$1" | ns socat -t 600 - "${address/#@/ABSTRACT-CONNECT:}"
}

# portserver ADDRESS [OPTION]...: its process id is in $server
portserver() {
	address=$1
	: >said
	ns_background "$PORTFENCE" lease --pool 20000-20029 --portserver "$@" </dev/null >said 2>warned
	server=$pid
	wait_until grep -qxF -- "$1" said
}

@test "--portserver gives a process ports, which are leases of its own until it has ended" {
	for at in "$PWD/socket" @socket-of-lease-verb; do
		portserver "$at"
		ns_background sleep infinity
		[ "$(ask "$pid\n")" = 20000 ]
		[ "$(ask "$pid\n")" = 20001 ]
		# the end of what is sent is as good as a newline
		[ "$(ask "$$")" = 20002 ]
		are_leased 20000-20000 20001-20001 20002-20002
		[[ "$(ns "$PORTFENCE" leases)" = *"20000-20000      1 "*" $pid "*" sleep infinity"* ]]
		run -0 ns "$PORTFENCE" lease 3 --pool 20000-20029 < <(:)
		[ "$output" = 20003-20005 ]
		end "$pid"
		wait_until are_leased 20002-20002
		[ "$(ask "$$\n")" = 20000 ]
		kill "$server"
		wait "$server" || [ $? = 143 ]
		wait_until are_leased
	done
	[ ! -e socket ]
}

@test "--portserver: bad requests get nothing, and a client that sends nothing keeps nobody waiting" {
	portserver "$PWD/socket"
	ns_background socat -u "UNIX-CONNECT:$address" STDOUT
	ended=$(sh -c 'echo $$')
	for text in '' '\n' 'x\n' '-1\n' '0\n' '1\n' "$ended\n" "$$ $$\n" "$(printf '%0200d' 1)" '99999999999999999999\n' '\0\n'; do
		[ -z "$(ask "$text")" ]
	done
	are_leased
	[ "$(ask "$$\n")" = 20000 ]
	# all are taken: nothing, and one line that says why
	hold 29
	[ -z "$(ask "$$\n")" ]
	[ -z "$(ask "$$\n")" ]
	[ "$(cat warned)" = "portfence: warning: no port of the pool is free of leases and sockets for a client; use a \
larger '--pool', and see 'portfence leases'" ]
	end "$pid"
	wait_until are_leased 20000-20000
	[ "$(ask "$$\n")" = 20001 ]
}

@test "--portserver: users get ports from their own or root's server, and for their own processes" {
	install_for_all
	chmod 777 .
	portserver "$PWD/socket"
	as_user() { as_nobody socat -t 600 - "UNIX-CONNECT:$address"; }
	[ -z "$(echo $$ | as_user)" ]
	ns_background "${AS_NOBODY[@]}" sleep infinity
	wait_until eval '[ "$(stat -c %u "/proc/$pid")" = 65534 ]'
	[ "$(echo "$pid" | as_user)" = 20000 ]
	kill "$server"
	wait "$server" || true
	PORTFENCE_STATE=$BATS_TEST_TMPDIR/other
	mkdir -m 1777 other
	ns_background "${AS_NOBODY[@]}" env PORTFENCE_STATE="$PWD/other" "$PORTFENCE" lease --portserver @of-nobody </dev/null >said
	wait_until grep -q @of-nobody said
	address=@of-nobody
	# root may name any
	[ "$(ask "$pid\n")" = 20000 ]
	run -1 ns "${AS_NOBODY[@]}" env PORTFENCE_STATE="$PWD/other" "$PORTFENCE" lease --portserver @of-nobody
	[ "$output" = "portfence: at '@of-nobody' there is a server already; name another path" ]
}

@test "--portserver: a client in an outer PID namespace names no process, and gets nothing" {
	# what is the server's process 2 is not the client's
	ns_background sh -c 'until [ -S socket ]; do sleep 0.05; done
		echo 2 | socat -t 60 - UNIX-CONNECT:socket >answer
		: >asked'
	ns unshare --pid --fork --mount-proc sh -c 'sleep infinity 3>&- &
		"$1" lease --pool 20000-20029 --portserver socket </dev/null >said 3>&- &
		until [ -e asked ]; do sleep 0.05; done
		echo 2 | socat -t 60 - UNIX-CONNECT:socket >inner' - "$PORTFENCE"
	[ ! -s answer ]
	[ "$(cat inner)" = 20000 ]
}

@test "--portserver: no user takes all ports from the others" {
	install_for_all
	portserver "$PWD/socket"
	cat >users.py <<-END
		import os, signal, socket, sys
		def ask():
		    with socket.socket(socket.AF_UNIX) as client:
		        client.connect(sys.argv[1])
		        client.sendall(b"%d\n" % os.getpid())
		        return client.makefile().read().strip()
		def user(number):
		    told, tell = os.pipe()
		    child = os.fork()
		    if child: return child, int(os.read(told, 10))
		    os.setresuid(number, number, number)
		    ports = 0
		    while ask(): ports += 1
		    os.write(tell, b"%d" % ports)
		    signal.pause()
		# of 30 ports: half, half of what is left, and the rest is for root
		users = [user(number) for number in (65534, 65533, 65532)]
		print(*[ports for child, ports in users], ask(), ask())
		for child, ports in users:
		    os.kill(child, signal.SIGKILL)
		    os.waitpid(child, 0)
		print(ask())
	END
	run -0 ns python3 users.py "$address"
	[ "$(xargs <<<"$output")" = "15 8 4 20027 20028 20000" ]
	[ "$(sort -u warned)" = "portfence: warning: a client's user has as many ports as are left for all others, and gets \
no more; use a larger '--pool'" ]
}

@test "--portserver: no user takes all places of clients from the others" {
	install_for_all
	portserver "$PWD/socket"
	cat >crowd.py <<-END
		import os, select, socket, sys
		def connect():
		    client = socket.socket(socket.AF_UNIX)
		    client.connect(sys.argv[1])
		    return client
		def closed(clients): return len(select.select(clients, [], [], 0)[0])
		os.seteuid(65534)
		# a connection has the credentials of this moment
		silent = [connect() for _ in range(600)]
		os.seteuid(0)
		with connect() as ours:
		    ours.sendall(b"%d\n" % os.getpid())
		    port = ours.makefile().read()
		# those that go before their ten seconds are over are the oldest
		print(port.strip(), "before" if closed(silent) < 512 and not closed(silent[300:]) else "behind")
	END
	# a stall of ten seconds would close all
	for _ in 1 2 3; do
		run -0 ns python3 crowd.py "$address"
		if [ "$output" = "20000 before" ]; then
			break
		fi
		wait_until are_leased
	done
	[ "$output" = "20000 before" ]
}

@test "--portserver takes over what a killed server has left, and nothing else" {
	portserver "$PWD/socket"
	run -1 ns "$PORTFENCE" lease --portserver "$PWD/socket"
	[ "$output" = "portfence: at '$PWD/socket' there is a server already; name another path" ]
	ns_background python3 -c 'import socket, time; one = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); one.bind("datagrams"); time.sleep(600)'
	wait_until [ -S datagrams ]
	run -1 ns "$PORTFENCE" lease --portserver "$PWD/datagrams"
	[ "$output" = "portfence: what is at '$PWD/datagrams' does not say whether a server is there: Protocol wrong type for socket; name another path" ]
	[ "$(ask "$$\n")" = 20000 ]
	end "$server"
	wait_until are_leased
	[ -S socket ]
	portserver "$PWD/socket"
	[ "$(ask "$$\n")" = 20000 ]
	end "$server"
	echo mine >file
	says 1 "portfence: '$PWD/file' is there and no socket; name another path" \
		"$PORTFENCE" lease --portserver "$PWD/file"
	[ "$(cat file)" = mine ]
	local long
	long=/$(printf '%0110d' 0)
	says 1 "portfence: the path '$long' is too long for a socket, which has 107 bytes" \
		"$PORTFENCE" lease --portserver "$long"
	says 1 "portfence: no socket can be made at '/nowhere/x': No such file or directory" \
		"$PORTFENCE" lease --portserver /nowhere/x
	for option in --name=x --json --detach --wait=1; do
		says 2 "portfence: '${option%%=*}' does not go with '--portserver', see 'portfence lease --help'" \
			"$PORTFENCE" lease --portserver x "$option"
	done
}

@test "--portserver waits for a folder that another process has locked, says so, and can be ended" {
	mkdir folder
	exec 7<folder
	flock 7
	: >said
	ns_background "$PORTFENCE" lease --portserver "$PWD/folder/socket" </dev/null >said 2>warned 7>&-
	wait_until grep -qxF "portfence: warning: the folder of the socket is locked by another process, see lslocks(8); \
waiting for it" warned
	kill "$pid"
	wait "$pid" || [ $? = 143 ]
	[ ! -s said ]
	ns_background "$PORTFENCE" lease --portserver "$PWD/folder/socket" </dev/null >said 2>warned 7>&-
	wait_until test -s warned
	exec 7>&-
	wait_until test -s said
	[ -S folder/socket ]
}

@test "--portserver: with no descriptor left it waits, and goes on once a process has ended" {
	: >said
	ns_background prlimit --nofile=14:14 "$PORTFENCE" lease --pool 20000-20029 --portserver "$PWD/socket" </dev/null >said 2>warned
	server=$pid address=$PWD/socket
	wait_until test -s said
	cat >crowd.py <<-'END'
		import os, socket, subprocess, sys
		path, server = sys.argv[1], int(sys.argv[2])
		def ask(process):
		    client = socket.socket(socket.AF_UNIX)
		    client.connect(path)
		    client.sendall(b"%d\n" % process.pid)
		    return client
		served = []
		while True:
		    process = subprocess.Popen(["sleep", "infinity"])
		    served.append(process)
		    if not ask(process).makefile().read(): break
		print(len(served) > 1)
		# these send nothing, so they take what is left, and then the queue is never empty
		silent = [socket.socket(socket.AF_UNIX) for i in range(20)]
		for one in silent: one.connect(path)
		# it sleeps in poll(2): one that asks again and again is never seen to
		waits = runs = 0
		while waits < 20 and runs < 20000:
		    with open(f"/proc/{server}/stat") as stat: sleeps = stat.read().rsplit(")", 1)[1].split()[0] == "S"
		    waits, runs = (waits + 1, 0) if sleeps else (0, runs + 1)
		print(waits)
		for one in silent: one.close()
		for one in served: one.kill()
		for one in served: one.wait()
		process = subprocess.Popen(["sleep", "infinity"])
		while not ask(process).makefile().read(): pass
		process.kill()
	END
	run -0 ns python3 crowd.py "$address" "$server"
	[ "$(xargs <<<"$output")" = "True 20" ]
}

@test "--portserver: 300 clients at once, a third killed, no port is given twice, and none is lost" {
	portserver "$PWD/socket" --pool 20000-20999
	cat >clients.py <<-END
		import socket, subprocess, sys, threading
		processes = [subprocess.Popen(["sleep", "infinity"]) for _ in range(300)]
		ports = {}
		def ask(process):
		    with socket.socket(socket.AF_UNIX) as client:
		        client.connect(sys.argv[1])
		        client.sendall(b"%d\n" % process.pid)
		        ports[process] = client.makefile().read()
		def all_ask(some):
		    threads = [threading.Thread(target=ask, args=(one,)) for one in some]
		    for one in threads: one.start()
		    for one in threads: one.join()
		all_ask(processes)
		print(len(set(ports.values())))
		for one in processes[::3]: one.kill()
		for one in processes[::3]: one.wait()
		left = [one for one in processes if one not in processes[::3]]
		given = {ports[one] for one in left}
		all_ask(left)
		print(len({ports[one] for one in left} | given))
		for one in left: one.kill()
		for one in left: one.wait()
	END
	run -0 ns python3 clients.py "$PWD/socket"
	[ "$(xargs <<<"$output")" = "300 400" ]
	wait_until are_leased
}
