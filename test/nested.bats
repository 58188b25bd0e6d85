#!/usr/bin/env bats
#
# A `portfence run` inside another one: leases, states, ranges and maps of its own. As a user without rights,
# judged from the wire.

# shellcheck disable=SC2016,SC2030,SC2031,SC2034 # inner shells expand it; each test is a process of its own
bats_require_minimum_version 1.5.0
load lib/helpers
load lib/supervise
load lib/machine

WAYS="auto preload both"

setup_file() {
	build_static unborn
}

setup() {
	supervise_setup
	cp "$PROBES/lease_holder" "$install"
	chmod 1777 "$PORTFENCE_STATE" "$BATS_TEST_TMPDIR"
}

teardown() {
	local file
	for file in "$PORTFENCE_STATE"/pid.*; do
		[ ! -s "$file" ] || kill -KILL "$(cat "$file")" 2>/dev/null || true
	done
	ns_close
}

# outer WAY COMMAND...: a run with a lease of 1000 ports
outer() {
	as_nobody "$PORTFENCE" run --via "$1" --lease 1000 --pool 20000-20999 -- "${@:2}"
}

inner=(run -q --lease 10 --pool 21000-21999)

# The blocks that are leased, in one line
are_leased() {
	[ "$(as_nobody "$PORTFENCE" leases | awk '/^[0-9]+-[0-9]+ / { print $1 }' | xargs)" = "$*" ]
}

@test "a run inside has a lease of its own, as long as anything of it lives" {
	local way within
	for way in $WAYS; do
		for within in auto preload; do
			outer "$way" sh -c '"$@" -- sh -c "echo \$PORTFENCE_RANGE; setsid -f sh -c \"echo \\\$\\\$ >\\\"\$PORTFENCE_STATE/pid.1\\\"; \
				exec env -i sleep infinity\" </dev/null >/dev/null 2>&1 3>&-"' - "$PORTFENCE" "${inner[@]}" \
				--via "$within" >said
			[ "$(cat said)" = 21000-21009 ]
			wait_until test -s "$PORTFENCE_STATE/pid.1"
			# what is left of the inner run is of the outer one, too
			are_leased 20000-20999 21000-21009
			kill -KILL "$(cat "$PORTFENCE_STATE/pid.1")"
			rm "$PORTFENCE_STATE/pid.1"
			wait_until are_leased
		done
	done
}

@test "a lease inside a lease inside a lease: the ones around it last as long as it does" {
	local in=("$PORTFENCE" run -q --via preload --lease 10 --pool)
	as_nobody "${in[@]}" 20000-20999 -- "${in[@]}" 21000-21999 -- "${in[@]}" 22000-22999 -- sh -c 'echo $PORTFENCE_RANGE
		setsid -f sh -c "echo \$\$ >\"\$PORTFENCE_STATE/pid.1\"; exec sleep infinity" </dev/null >/dev/null 2>&1 3>&-' >said
	[ "$(cat said)" = 22000-22009 ]
	wait_until test -s "$PORTFENCE_STATE/pid.1"
	are_leased 20000-20009 21000-21009 22000-22009
	kill -KILL "$(cat "$PORTFENCE_STATE/pid.1")"
	wait_until are_leased
}

@test "many tests at once have a lease each inside one leased job, and all are given back" {
	local way
	cat >Makefile <<-'END'
		.RECIPEPREFIX = >
		check: $(addprefix test,$(shell seq 60))
		test%:
		> @"$(PORTFENCE)" run -q --lease 10 --pool 21000-21999 --wait 60 -- sh -c 'echo $$PORTFENCE_RANGE; \
				exec python3 -c "import socket, os; \
				print(socket.create_server((\"127.0.0.1\", 0)).getsockname()[1], os.environ[\"PORTFENCE_FIRST\"])"'
	END
	for way in $WAYS; do
		outer "$way" env -u MAKEFLAGS -u MAKELEVEL make -j8 PORTFENCE="$PORTFENCE" check >said
		[ "$(wc -l <said)" = 120 ]
		# each port is of its own lease
		awk 'NF == 2 { n++; if ($1 < $2 || $1 > $2 + 9 || $2 < 21000) { print; bad = 1 } } END { exit bad || n != 60 }' said
		wait_until are_leased
	done
}

@test "two runs inside never have the same block" {
	mkfifo hold
	chmod a+r hold
	outer auto sh -c 'for i in 1 2 3 4 5 6 7 8; do "$@" -- sh -c "echo \$PORTFENCE_RANGE; read -r end" <hold & done; wait' - \
		"$PORTFENCE" "${inner[@]}" >said &
	local job=$!
	exec 4>hold
	all_begun() { [ "$(wc -l <said)" = 8 ]; }
	wait_until all_begun
	[ "$(sort -u said | wc -l)" = 8 ]
	exec 4>&-
	wait "$job"
	wait_until are_leased
}

@test "if the command inside, what holds its lease, or the job is killed, leases end with their runs" {
	local who
	for who in command holder job; do
		ns_background "${AS_NOBODY[@]}" "$PORTFENCE" run --lease 1000 --pool 20000-20999 -- \
			sh -c 'echo $$ >"$PORTFENCE_STATE/pid.1"; "$@"; exec sleep infinity' - "$PORTFENCE" "${inner[@]}" -- \
			sh -c 'echo $$ >"$PORTFENCE_STATE/pid.2"; exec sleep infinity'
		wait_until test -s "$PORTFENCE_STATE/pid.2"
		are_leased 20000-20999 21000-21009
		case $who in
		command)
			kill -KILL "$(cat "$PORTFENCE_STATE/pid.2")"
			wait_until are_leased 20000-20999
			;;
		holder)
			kill -KILL "$(pgrep -xf "portfence: holds for process $(cat "$PORTFENCE_STATE/pid.2")")"
			wait_until are_leased 20000-20999
			kill -KILL "$(cat "$PORTFENCE_STATE/pid.2")"
			;;
		job)
			kill -KILL "$(cat "$PORTFENCE_STATE/pid.1")"
			# the tree lives on in what runs inside
			are_leased 20000-20999 21000-21009
			kill -KILL "$(cat "$PORTFENCE_STATE/pid.2")"
			;;
		esac
		kill -KILL "$(cat "$PORTFENCE_STATE/pid.1")" || true
		wait_until are_leased
		rm "$PORTFENCE_STATE"/pid.*
	done
}

@test "--fresh inside a run gives the same ports each time, and so does 'range = lease'" {
	local way
	printf '[portfence]\npool = 21000-21999\n[*]\nrange = lease 5\n' >lease.ini
	cat >ports.py <<-'END'
		import socket
		kept = [socket.create_server(("127.0.0.1", 0)) for i in range(5)]
		print(*[one.getsockname()[1] for one in kept])
	END
	for way in $WAYS; do
		outer "$way" sh -c 'for i in 1 2; do "$0" run -q --fresh --range 21000-21099 -- python3 ports.py; done
			"$0" run -q --config lease.ini -- python3 ports.py | xargs -n 1 | sort | xargs' "$PORTFENCE" >said
		cat said
		[ "$(sed -n 1p said)" = "$(sed -n 2p said)" ]
		sed -n 1p said | tr ' ' '\n' | all_within 21000 21099
		[ "$(sed -n 3p said)" = "21000 21001 21002 21003 21004" ]
		wait_until are_leased
	done
}

@test "a lease without a supervisor takes nothing from the run but a limit that limits nothing" {
	outer preload sh -c 'grep NoNewPrivs /proc/self/status; grep "^Seccomp:" /proc/self/status; ulimit -Hm' >said
	as_nobody sh -c 'grep NoNewPrivs /proc/self/status; grep "^Seccomp:" /proc/self/status; ulimit -Hm' >plain
	diff plain said
	run -0 outer preload bash -c 'ulimit -m'
	[ "$output" -gt 4503599627370496 ] # in KiB
	# who sets it leaves the run
	outer preload bash -c 'ulimit -m 1000000; setsid -f sh -c "echo \$\$ >\"\$PORTFENCE_STATE/pid.1\"; exec sleep infinity" \
		</dev/null >/dev/null 2>&1 3>&-'
	wait_until test -s "$PORTFENCE_STATE/pid.1"
	wait_until are_leased
	kill -0 "$(cat "$PORTFENCE_STATE/pid.1")"
}

# ---- ranges ----

# What a run inside prints of its ports, in each of these lines: the library's, libc's own, a static program's
# and its children's however they were made, whose environment is empty
asks='python3 -c "import socket; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.sendto(b\"\", (\"127.0.0.1\", 7000)); \
print(s.getsockname()[1])"; "$UNBORN" zero listen fork zero vfork zero spawn zero; env -i "$UNBORN" zero daemon zero'

# ranges_of RUN...: two runs inside, beside each other, and what the outer one does meanwhile, as lines "RANGE PORT"
ranges_of() {
	UNBORN=$BATS_FILE_TMPDIR/unborn-static as_nobody "${SANDBOX[@]}" "$@" sh -c '
		"$0" run -q --range 21000-21099 -- sh -c "$1" >one & "$0" run -q --via supervise --range 22000-22099 -- sh -c "$1" >two &
		sh -c "$1" >three; wait' "$PORTFENCE" "$asks"
	grep -oE '\<[0-9]{4,5}\>' one | sed 's/^/one /'
	grep -oE '\<[0-9]{4,5}\>' two | sed 's/^/two /'
	grep -oE '\<[0-9]{4,5}\>' three | sed 's/^/three /'
}

# the ports of one of these, on standard input
of() {
	sed -n "s/^$1 //p" | all_within "$2" "$3"
}

@test "the ranges of runs inside are those of their trees alone, for what bypasses the library, too" {
	local name way
	for name in none docker yama podman; do
		[ "$name" = none ] || sandboxed "$name"
		for way in auto supervise; do
			anew
			serve
			capture_start
			ranges_of "$PORTFENCE" run --via "$way" --range 20000-20999 -- >ports
			capture_stop
			cat ports
			of one 21000 21099 <ports
			of two 22000 22099 <ports
			of three 20000 20999 <ports
			[ "$(wc -l <ports)" -ge 36 ]
			ports_to 7000 >wire
			awk '$1 < 20000 || ($1 > 20999 && $1 < 21000) || ($1 > 21099 && $1 < 22000) || $1 > 22099 { print; bad = 1 }
				END { exit bad || !NR }' wire
		done
	done
}

@test "the questions to a name server of a run inside come from its range" {
	local name
	for name in none docker yama; do
		[ "$name" = none ] || sandboxed "$name"
		anew
		dns_start
		capture_start 'port 53'
		with_dns "${SANDBOX[@]}" "$PORTFENCE" run --range 20000-20999 -- \
			"$PORTFENCE" run --range 21000-21099 -- getent ahosts portfence.test >said 2>&1
		capture_stop
		cat said
		grep -q '127\.0\.0\.9' said
		run ! grep -q warning said
		ports_to 53 | all_within 21000 21099
	done
}

@test "a run inside a run inside a run has its range, and the one around it keeps its own" {
	UNBORN=$BATS_FILE_TMPDIR/unborn-static as_nobody "$PORTFENCE" run --range 20000-20999 -- \
		"$PORTFENCE" run -q --lease 10 --pool 21000-21999 -- sh -c '"$0" run -q --range 22000-22009 -- "$UNBORN" zero
		"$UNBORN" zero' "$PORTFENCE" >said
	cat said
	sed -n '1s/zero //p' said | tr ' ' '\n' | all_within 22000 22009
	sed -n '2s/zero //p' said | tr ' ' '\n' | all_within 21000 21009
	wait_until are_leased
}

@test "hundreds of runs inside, one after the other, and many at once, each have their own range" {
	as_nobody env UNBORN="$BATS_FILE_TMPDIR/unborn-static" "$PORTFENCE" run --range 20000-20999 -- \
		sh -c 'seq 400 | xargs -P 8 -I{} sh -c '\''p=$((30000 + {} * 10)); \
			echo $p $("$0" run -q --range $p-$((p + 9)) -- "$UNBORN" zero)'\'' "$0"' "$PORTFENCE" >said
	awk '{ n++; if ($3 < $1 || $3 > $1 + 9 || $4 < $1 || $4 > $1 + 9) { print; bad = 1 } } END { exit bad || n != 400 }' said
}

@test "who leaves a run inside, as who sets the limit, is served by the run around it" {
	UNBORN=$BATS_FILE_TMPDIR/unborn-static as_nobody "$PORTFENCE" run --range 20000-20999 -- \
		"$PORTFENCE" run -q --range 21000-21099 -- bash -c '"$UNBORN" zero; ulimit -m 1000000; "$UNBORN" zero' >said
	cat said
	sed -n '1s/zero //p' said | tr ' ' '\n' | all_within 21000 21099
	sed -n '2s/zero //p' said | tr ' ' '\n' | all_within 20000 20999
}

@test "the log and the record of a run inside have what bypasses the library, too" {
	as_nobody "$PORTFENCE" run --range 20000-20999 --log "$PWD/outer.log" -- \
		"$PORTFENCE" run -q --range 21000-21099 --log "$PWD/here.log" --record "$PWD/here.json" -- \
		"$BATS_FILE_TMPDIR/unborn-static" zero >said
	cat here.log here.json
	grep -q ' unborn-static: .*:21[0-9][0-9][0-9] ' here.log
	[ "$(grep -c '"port":21' here.json)" -ge 1 ]
	run ! grep -q '127.0.0.1:21' outer.log
}

@test "what was said once in a run is said once in a run inside, too" {
	cat >unseen.py <<-'END'
		import ctypes, os, socket
		bind = dict(x86_64=49, aarch64=200)[os.uname().machine]
		libc = ctypes.CDLL(None)
		libc.prctl(4, 0)
		for i in range(2): print(libc.syscall(bind, socket.socket().detach(), b"\2" + bytes(15), 16))
	END
	chmod a+r unseen.py
	# shellcheck disable=SC2016 # the inner shell expands it
	run as_nobody "$PORTFENCE" run --via supervise --range 20000-20999 -- sh -c '
		/usr/bin/python3 unseen.py; /usr/bin/python3 unseen.py
		"$0" run -q --via supervise --range 21000-21099 -- /usr/bin/python3 unseen.py; true' "$PORTFENCE"
	echo "$output"
	[ "$(grep -c '^-1$' <<<"$output")" = 6 ]
	[ "$(grep -c 'may not look into this process' <<<"$output")" = 2 ]
}

@test "why a run inside shares no state is said where no library says it" {
	touch nowhere
	run as_nobody "$PORTFENCE" run --range 20000-20999 -- env PORTFENCE_STATE="$PWD/nowhere" \
		"$PORTFENCE" run -q --via supervise --range 21000-21099 -- "$install/raw" native 7000
	echo "$output"
	[ "$(grep -c 'state file is not used' <<<"$output")" = 1 ]
}

@test "calls that are refused inside are counted for the section of the run inside" {
	printf '%s\n' '[out]' 'range = 20000-20999' '[in]' 'range = 21000' >two.ini
	cat >refused.py <<-'END'
		import ctypes, os, socket, struct
		bind = dict(x86_64=49, aarch64=200)[os.uname().machine]
		libc = ctypes.CDLL(None, use_errno=True)
		def draw(one):
		    # libc's function is the library's
		    return libc.syscall(bind, one.fileno(), struct.pack("=HH12x", socket.AF_INET, 0), 16)
		held = socket.socket()
		print(draw(held), draw(socket.socket()))
	END
	as_nobody "$PORTFENCE" run --config two.ini --app out -- \
		"$PORTFENCE" run -q --config two.ini --app in -- /usr/bin/python3 refused.py >said
	[ "$(cat said)" = "0 -1" ]
	as_nobody "$PORTFENCE" status --config two.ini --json |
		python3 -c 'import json, sys; print(*[s["tcp"]["refused"]["no_port"] for s in json.load(sys.stdin)["sections"]])' >said
	[ "$(cat said)" = "0 1" ]
}

@test "--strict inside goes well, and verbose says by whom it is served" {
	run --separate-stderr as_nobody "$PORTFENCE" run --range 20000-20999 -- "$PORTFENCE" run -v --strict --range 21000-21099 -- true
	[ "$status" = 0 ]
	[ "$stderr" = "portfence: 'true' is fenced by preload and the outer run's supervisor" ]
}

@test "where the outer run polices named ports, nothing inside gets another rule, and it is said" {
	printf '[own]\nrange = 20000-20999\nbind = own\n' >own.ini
	run -0 --separate-stderr as_nobody "$PORTFENCE" run --config own.ini --app own -- "$PORTFENCE" run --range 21000-21099 -- true
	[[ $stderr = *"take ports of the outer run's range: the rule of the outer 'portfence run' polices ports by its 'bind' key, so no other is served inside" ]]
	run -125 as_nobody "$PORTFENCE" run --config own.ini --app own -- "$PORTFENCE" run --strict --range 21000-21099 -- true
	# the library asks nobody, and what bypasses it has the outer range
	as_nobody "$PORTFENCE" run --config own.ini --app own -- "$PORTFENCE" run -q --range 20100-20199 -- \
		sh -c 'python3 -c "import socket; print(socket.create_server((\"127.0.0.1\", 0)).getsockname()[1])"; "$0" zero' \
		"$BATS_FILE_TMPDIR/unborn-static" >said
	cat said
	sed -n 1p said | all_within 20100 20199
	sed -n '2s/zero //p' said | tr ' ' '\n' | all_within 20000 20999
}

@test "a map inside is served, and holds for its tree alone" {
	as_nobody "$PORTFENCE" run --range 20000-20999 -- sh -c '"$0" run -q --range 21000-21099 --map 7777 -- \
		sh -c "busybox nc -l -p 7777 >heard & echo \$! >\"\$PORTFENCE_STATE/pid.1\"; \
			until ss -Hltn | grep -q :21099; do :; done; echo word | busybox nc 127.0.0.1 7777; wait"
		ss -Hltn sport = :7777' "$PORTFENCE" >said
	[ "$(cat heard)" = word ]
	[ ! -s said ]
}

# ---- what is not given away ----

# in a root's run, a member that has become another user
member() {
	ns "$PORTFENCE" run -q --range 20000-20999 -- "${AS_NOBODY[@]}" "$PORTFENCE" run -q "$@"
}

@test "what another user names for a run inside, the supervisor does not write to" {
	mkdir -m 700 secret
	member --range 21000-21099 --log "$PWD/secret/log" -- "$BATS_FILE_TMPDIR/unborn-static" zero >said
	sed -n 's/zero //p' said | tr ' ' '\n' | all_within 21000 21099
	[ ! -e secret/log ]
	# nor does it send its lines to the system's log as root
	ns_background socat -u UNIX-RECVFROM:"$PWD/dev-log",mode=777,fork OPEN:"$PWD/syslog",creat,append
	wait_until test -S dev-log
	local who
	for who in env "setpriv --reuid 65534 --regid 65534 --clear-groups"; do
		: >syslog
		# shellcheck disable=SC2086 # words
		ns unshare -m sh -c 'touch /dev/log 2>/dev/null; mount --bind "$PWD/dev-log" /dev/log && exec "$@"' - \
			"$PORTFENCE" run -q --range 20000-20999 -- $who "$PORTFENCE" run -q --range 21000-21099 --log syslog \
			-- sh -c '"$0" zero; logger -u /dev/log last' "$BATS_FILE_TMPDIR/unborn-static"
		wait_until grep -q last syslog
		case $who in
		env) grep -q 'bind udp4 127.0.0.1:21.*engine=' syslog ;;
		*) run ! grep -q engine= syslog ;;
		esac
	done
	# nor to the outer program's standard error, of which the user has no more than the name
	cat >errors.py <<-'END'
		import ctypes, os, socket, sys
		bind = dict(x86_64=49, aarch64=200)[os.uname().machine]
		one = socket.socket()
		os.close(2)
		got = ctypes.CDLL(None).syscall(bind, one.fileno(), b"\2\0" + 14 * b"\0", 16)
		print(got, one.getsockname()[1])
	END
	(umask 077 && : >errors)
	ns "$PORTFENCE" run -q --range 20000-20999 -- bash -c '"${@:2}" /usr/bin/python3 -c "import os, sys
os.dup2(os.open(\"errors\", os.O_PATH), 2)
os.execv(sys.argv[1], sys.argv[1:])" "$1" run -q --range 21000-21099 --log stderr -- /usr/bin/python3 errors.py
		echo the end >&2' - "$PORTFENCE" "${AS_NOBODY[@]}" >said 2>errors
	sed -n 's/0 //p' said | all_within 21000 21099
	[ "$(cat errors)" = "the end" ]
}

@test "a port below 1024 is given to a run inside only if its program may have it" {
	run member --range 600-610 -- "$BATS_FILE_TMPDIR/unborn-static" zero
	[[ $output = *"zero 0 0" ]]
	run -0 ns "$PORTFENCE" run -q --range 20000-20999 -- "$PORTFENCE" run -q --range 600-610 -- "$BATS_FILE_TMPDIR/unborn-static" zero
	sed -n 's/zero //p' <<<"$output" | tr ' ' '\n' | all_within 600 610
}

@test "a state file that is cut short inside does not end the supervisor" {
	as_nobody "$PORTFENCE" run --range 20000-20999 -- "$PORTFENCE" run -q --range 21000-21099 -- \
		sh -c 'for file in "$PORTFENCE_STATE"/*; do [ ! -f "$file" ] || : >"$file"; done; "$0" zero' \
		"$BATS_FILE_TMPDIR/unborn-static" >said
	cat said
	sed -n 's/zero //p' said | tr ' ' '\n' | all_within 21000 21099
}

@test "a state file whose owner another user's file system makes up is not used" {
	[ -e /dev/fuse ] || skip "this machine has no FUSE"
	"$PORTFENCE" run --range 20000-20999 --app x -- true
	cat >serve.py <<-'END'
		import ctypes, glob, os, struct, sys
		text = open(glob.glob(os.environ["PORTFENCE_STATE"] + "/x.*")[0], "rb").read()
		fuse = os.open("/dev/fuse", os.O_RDWR)
		options = b"fd=%d,rootmode=40000,user_id=65534,group_id=65534,allow_other" % fuse
		if ctypes.CDLL(None).mount(b"made-up", b"place", b"fuse", 0, options): sys.exit(77)
		def attr(node): # include/uapi/linux/fuse.h, struct fuse_attr
		    mode, size = (0o40755, 0) if node == 1 else (0o100600, len(text))
		    return struct.pack("6Q10I", node, size, 0, 0, 0, 0, 0, 0, 0, mode, 1, 0, 0, 0, 4096, 0)
		open("served", "w").close()
		while True:
		    asked = os.read(fuse, 1 << 17)
		    size, code, unique, node = struct.unpack_from("IIQQ", asked)
		    error, answer = 0, b""
		    if code == 26: answer = struct.pack("4I2HI2H8I", 7, 31, 0, 0, 0, 0, 4096, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)[:64]
		    elif code == 1: answer = struct.pack("4Q2I", 2, 0, 1000, 1000, 0, 0) + attr(2)
		    elif code == 3: answer = struct.pack("Q2I", 1000, 0, 0) + attr(node)
		    elif code == 14: answer = struct.pack("Q2I", 1, 0, 0)
		    elif code == 15:
		        at, most = struct.unpack_from("QI", asked, 48)
		        answer = text[at:at + most]
		    elif code in (2, 42): continue
		    elif code == 18: pass
		    else: error = -38
		    os.write(fuse, struct.pack("IiQ", 16 + len(answer), error, unique) + answer)
	END
	cp "$BATS_TEST_DIRNAME/programs/inner_run" .
	mkdir place
	mkfifo hold
	# shellcheck disable=SC2016 # the inner shell expands it
	ns_background unshare -m sh -c 'python3 serve.py & server=$!
		until [ -e served ]; do kill -0 $server || exit 77; done
		"$@" <hold
		kill $server' - "$PORTFENCE" run -q --via supervise --range 20000-20999 -- sh -c '
		echo | setpriv --reuid 65534 --regid 65534 --clear-groups ./inner_run 21000-21099 "$0" place/state >said
		echo end >>said
		read -r line' "$BATS_FILE_TMPDIR/unborn-static"
	exec 4>hold
	wait_until grep -q end said
	grep -lsF "$PWD/place/state" /proc/[0-9]*/maps >mapped || :
	exec 4>&-
	wait "$pid"
	cat said mapped
	grep -qx 'owner 0' said
	grep -qx 'entered 0' said
	sed -n 's/zero //p' said | tr ' ' '\n' | all_within 21000 21099
	[ ! -s mapped ]
}

@test "nobody else's mark, and nothing that is no request, makes a run inside" {
	as_nobody "$PORTFENCE" run --range 20000-20999 -- "$PORTFENCE" run -q --range 21000-21099 -- python3 - <<-'END' >said
		import ctypes, os, resource, socket
		libc = ctypes.CDLL(None, use_errno=True)
		bind = dict(x86_64=49, aarch64=200)[os.uname().machine]
		def ask(what):
		    got = libc.syscall(bind, -1, ctypes.c_ulong(0x706f7274 + what), 128)
		    return got if got >= 0 else -ctypes.get_errno()
		print(ask(2), ask(3))              # nothing was opened; no such question
		for text in b"", b"x" * 100, b"\1" + 4111 * b"\0", 3 * 8 * b"\xff" + 4096 * b"A":
		    fd = ask(1)
		    one = socket.socket(fileno=fd)
		    one.recv(100)
		    one.send(text)
		    print(ask(2) < 0, ask(2))
		many = [ask(1) for i in range(600)]
		print(min(many) > 0)
	END
	cat said
	diff - said <<-'END'
		-9 -9
		True -9
		True -9
		True -9
		True -9
		True
	END
}

@test "an empty request leaves no descriptor open in the supervisor" {
	as_nobody prlimit --nofile=256 "$PORTFENCE" run --range 20000-20999 -- "$PORTFENCE" run -q --range 21000-21099 -- python3 - <<-'END' >said
		import ctypes, os, socket
		libc = ctypes.CDLL(None, use_errno=True)
		bind = dict(x86_64=49, aarch64=200)[os.uname().machine]
		def ask(what):
		    return libc.syscall(bind, -1, ctypes.c_ulong(0x706f7274 + what), 128)
		for i in range(300):
		    one = socket.socket(fileno=ask(1))
		    one.recv(100)
		    socket.send_fds(one, [b""], [0, 0, 0, 0])
		    ask(2)
		    one.close()
		print(ask(1) > 0)
	END
	[ "$(cat said)" = True ]
}

@test "channels that a user's programs leave open take neither another user's channel nor all descriptors" {
	cat >channels.py <<-'END'
		import ctypes, os, select, socket, struct, sys, threading
		libc = ctypes.CDLL(None, use_errno=True)
		bind = dict(x86_64=49, aarch64=200)[os.uname().machine]
		def call(fd, text, size):
		    got = libc.syscall(bind, fd, text, size)
		    return got if got >= 0 else -ctypes.get_errno()
		def ask():
		    return call(-1, ctypes.c_ulong(0x706f7274 + 1), 128)
		def crowd(count):
		    told, all = [], threading.Barrier(count + 1)
		    def one():
		        told.append(ask())
		        all.wait()
		        all.wait()
		    for i in range(count): threading.Thread(target=one, daemon=True).start()
		    all.wait()
		    return max(told)
		mine = ask()
		ends, go = os.pipe(), os.pipe()
		for i in range(2):
		    if os.fork(): continue
		    os.close(go[1])
		    os.setuid(65534)
		    os.write(ends[1], struct.pack("i", crowd(180)))
		    os.read(go[0], 1)
		    os._exit(0)
		print(all(struct.unpack("i", os.read(ends[0], 4))[0] > 0 for i in range(2)))
		one = select.poll()
		one.register(mine, 0)
		print(one.poll(0), ask() > 0)
		print(call(socket.socket().detach(), struct.pack("=HH12x", socket.AF_INET, 0), 16))
	END
	ns prlimit --nofile=256:256 "$PORTFENCE" run -q --range 20000-20999 -- /usr/bin/python3 channels.py >said
	diff - said <<-'END'
		True
		[] True
		0
	END
}

@test "who takes the mark of another user's run gets the rule of the run around both" {
	mkfifo -m 666 hold
	# shellcheck disable=SC2016 # the inner shells expand it
	ns "$PORTFENCE" run -q --range 20000-20999 -- bash -c '
		setpriv --reuid 65533 --regid 65533 --clear-groups "$0" run -q --range 21000-21099 -- \
			sh -c "\"\$0\" zero >owner; echo \$\$ >pid; read -r end <hold" "$1" &
		until [ -s pid ]; do kill -0 $! || exit; done
		mark=$(cut -d " " -f 25 "/proc/$(cat pid)/stat")
		setpriv --reuid 65534 --regid 65534 --clear-groups prlimit --rss="$mark": "$1" zero >other
		echo end >hold
		wait $!' "$PORTFENCE" "$BATS_FILE_TMPDIR/unborn-static"
	cat owner other
	sed -n 's/zero //p' owner | tr ' ' '\n' | all_within 21000 21099
	sed -n 's/zero //p' other | tr ' ' '\n' | all_within 20000 20999
}

@test "who takes the mark of another user's run before that is there keeps nobody's run out" {
	cp "$BATS_TEST_DIRNAME/programs/inner_run" .
	mkfifo -m 666 hold
	# shellcheck disable=SC2016 # the inner shells expand it
	ns "$PORTFENCE" run -q --range 20000-20999 -- bash -c '
		setpriv --reuid 65534 --regid 65534 --clear-groups ./inner_run 21000-21099 "$1" >first <hold &
		exec 3>hold
		until [ -s first ]; do kill -0 $! || exit; done
		echo | setpriv --reuid 65533 --regid 65533 --clear-groups ./inner_run 22000-22099 "$1" >second
		echo | setpriv --reuid 65533 --regid 65533 --clear-groups ./inner_run 23000-23099 "$1" >third
		echo >&3
		wait $! || exit
		echo | ./inner_run 24000-24099 "$1" >roots' - "$BATS_FILE_TMPDIR/unborn-static"
	grep . first second third roots
	[ "$(head -qn 1 first second roots)" = "$(printf "entered 0\n%.0s" 1 2 3)" ]
	sed -n 's/zero //p' first | tr ' ' '\n' | all_within 21000 21099
	sed -n 's/zero //p' second | tr ' ' '\n' | all_within 22000 22099
	[ "$(head -n 1 third)" = "entered -17" ]
	sed -n 's/zero //p' roots | tr ' ' '\n' | all_within 24000 24099
}

@test "a program that gains rights inside another user's run is served by the run around it" {
	needs_suid
	needs_file_capabilities
	cp "$BATS_FILE_TMPDIR/unborn-static" plain
	cp plain setuid && chmod 4755 setuid
	cp plain setgid && chgrp root setgid && chmod 2755 setgid
	cp plain capable && setcap cap_net_bind_service+p capable
	member --range 21000-21099 -- sh -c 'for each in plain setuid setgid capable; do echo "$each $("./$each" zero)"; done' >said
	cat said
	sed -n 's/plain zero //p' said | tr ' ' '\n' | all_within 21000 21099
	[ "$(grep -c 'zero [1-9]' said)" = 4 ]
	sed -n 's/.*\(setuid\|setgid\|capable\) zero //p' said | tr ' ' '\n' | all_within 20000 20999
}

@test "runs inside that one user keeps leave places for those of other users" {
	cat >runs.py <<-'END'
		import ctypes, os, resource, socket, struct
		libc = ctypes.CDLL(None, use_errno=True)
		bind = dict(x86_64=49, aarch64=200)[os.uname().machine]
		def ask(what):
		    got = libc.syscall(bind, -1, ctypes.c_ulong(0x706f7274 + what), 128)
		    return got if got >= 0 else -ctypes.get_errno()
		ends, end = os.pipe(), os.pipe()
		def enter():
		    resource.setrlimit(resource.RLIMIT_RSS, (0x7066 << 48 | os.getpid(), -1))
		    one = socket.socket(fileno=ask(1))
		    one.recv(100)
		    one.send(struct.pack("QQ4096s", 1, 0, b"4 0 section=x range=21000-21009 end"))
		    os.write(ends[1], struct.pack("i", ask(2)))
		    os.close(end[1])
		    os.read(end[0], 1)
		    os._exit(0)
		told = []
		for i in range(1025):
		    os.fork() or enter()
		    told.append(struct.unpack("i", os.read(ends[0], 4))[0])
		    if told[-1]: break
		print(len(told), told[-1], flush=True)
		open("full", "w").close()
		open("hold").read()
	END
	mkfifo -m 666 hold
	ns "$PORTFENCE" run -q --range 20000-20999 -- bash -c '
		"${@:3}" /usr/bin/python3 runs.py >said &
		until [ -e full ]; do kill -0 $! || exit; done
		setpriv --reuid 65533 --regid 65533 --clear-groups "$1" run --range 22000-22009 -- "$2" zero >other
		: >hold
		wait $!' - "$PORTFENCE" "$BATS_FILE_TMPDIR/unborn-static" "${AS_NOBODY[@]}"
	[ "$(cat said)" = "513 -28" ]
	sed -n 's/zero //p' other | tr ' ' '\n' | all_within 22000 22009
}
