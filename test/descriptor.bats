#!/usr/bin/env bats
#
# What is remembered of descriptors: that it is never believed of another socket, and that it saves
# the system calls that it is there to save.

load lib/helpers

BIND=20000-20099
KERNEL=40000-40099

# rule PROGRAM ENGINE RANGE [KEY=VALUE]
rule() {
	printf '[%s]\nengine = %s\nrange = %s\n' "$1" "$2" "$3" >rule.ini
	printf '%s\n' "${@:4}" >>rule.ini
}

# ---- a number comes to mean another socket, or the socket loses its port

# every_way FAMILY WAY...: under rule.ini, or without a fence if plain=1; what the probe says is in said;
# via is how the fence reaches the program
every_way() {
	local family=$1 way fence=("$PORTFENCE" run --via "${via:-auto}" --config rule.ini --log none --) command
	shift
	[ "${plain:-0}" = 0 ] || fence=()
	capture_start 'udp dst port 7777'
	for way in "$@"; do
		command=("${fence[@]}" "$PROBES/settled" "$way" "$family" 7777)
		# the socket that it inherits is not to be fenced
		[[ "$way" != outside-* ]] || command=("$PROBES/settled" outside "$family" "${command[@]}")
		ns timeout 120 "${command[@]}" || echo "$way status $?"
	done >said
	capture_stop
	ports_to 7777 >wire
	cat said
	diff <(printf '%s\n' "$@") <(cut -d ' ' -f 1 said)
}

# All but the one that does not end with a port of its own, and those that keep a port from outside.
all_ways() {
	"$PROBES/settled" list | grep -vE '^(unspec-loop|outside-undo-.*)$'
}

# ports FILE: those that the probe has told
ports() {
	cut -d ' ' -f 3- "$1" | tr ' ' '\n'
}

# stays ENGINE RANGE FAMILY
stays() {
	# what is taken for TCP is seen
	rule settled "$1" "$2" 'tcp.range = 45000'
	# shellcheck disable=SC2046 # words
	every_way "$3" $(all_ways)
	[ "$(wc -l <said)" -gt 40 ]
	# in another namespace the kernel engine has to refuse; nothing arrived there
	sed -E "s/^((clone-net|setns|unshare-net|unshare-net-thread) $3 [0-9]+) EAGAIN/\1/" said >judged
	[ "$1" = bind ] || [ "$(grep -c EAGAIN said)" = 4 ]
	ports judged | all_within "${2%-*}" "${2#*-}"
	all_within "${2%-*}" "${2#*-}" <wire
	# the old socket's and the new one's; what was settled outside is not told
	awk 'NF < ($1 ~ /^outside/ ? 3 : 4) { print "too short: " $0; bad = 1 } END { exit bad }' said
	# the capture has seen what the probe tells, but for other namespaces
	grep -vE '^(clone-net|setns|unshare-net)' judged >here
	[ "$(comm -23 <(ports here | sort -u) <(sort wire))" = "" ]
}

@test "bind engine, IPv4: a number that is given another socket, or a socket that loses its port, stays in the range" {
	stays bind $BIND 4
}

@test "bind engine, IPv6: a number that is given another socket, or a socket that loses its port, stays in the range" {
	stays bind $BIND 6
}

@test "kernel engine, IPv4: a number that is given another socket, or a socket that loses its port, stays in the range" {
	stays kernel $KERNEL 4
}

@test "kernel engine, IPv6: a number that is given another socket, or a socket that loses its port, stays in the range" {
	stays kernel $KERNEL 6
}

@test "without the fence, each of these ways leaves the range" {
	# shellcheck disable=SC2046 # words
	plain=1 every_way 4 $(all_ways)
	while read -r line; do
		echo "$line" >one
		run all_within 20000 20099 < <(ports one)
		[ "$status" = 1 ]
	done <said
}

@test "the library alone moves a socket that a send without destination has bound outside the range" {
	local engine range family ways
	mapfile -t ways < <("$PROBES/settled" list | grep -E '^(write|sendfile|splice)')
	[ ${#ways[@]} = 12 ]
	while read -r engine range; do
		rule settled "$engine" "$range"
		for family in 4 6; do
			via=preload every_way $family "${ways[@]}"
			ports said | all_within "${range%-*}" "${range#*-}"
			all_within "${range%-*}" "${range#*-}" <wire
			awk 'NF < 5 { print "too short: " $0; bad = 1 } END { exit bad }' said
		done
	done <<<"bind $BIND
kernel $KERNEL"
}

@test "a socket from outside keeps its port when a call without destination fails, also under another number" {
	rule settled bind $BIND
	every_way 4 outside-undo-connect outside-undo-twin
	[ "$(wc -l <wire)" -ge 2 ]
	run all_within 20000 20099 <wire
	[ "$(grep -c '^out of range' <<<"$output")" = "$(wc -l <wire)" ]
	diff <(ports said | sort -u) <(sort -u wire)
}

@test "a socket that another thread disconnects again and again stays in the range" {
	local engine range
	while read -r engine range; do
		rule settled "$engine" "$range"
		every_way 4 unspec-loop
		# a send that is under way meanwhile has no port at all, as without the fence
		grep -vx 0 wire | all_within "${range%-*}" "${range#*-}"
	done <<<"bind $BIND
kernel $KERNEL"
}

@test "under a supervisor, a number that system calls without libc give another socket stays in the range" {
	local engine range closed
	while read -r engine range; do
		rule raw_descriptors "$engine" "$range"
		for closed in '' closed; do
			# shellcheck disable=SC2086 # one word, or none
			ns "$PORTFENCE" run --via both --config rule.ini --log none -- "$PROBES/raw_descriptors" 9 $closed >said
			cat said
			[ "$(wc -l <said)" = 14 ]
			cut -d ' ' -f 2 said | all_within "${range%-*}" "${range#*-}"
		done
	done <<<"bind $BIND
kernel $KERNEL"
}

# ---- sockets that are less fresh than they seem

# fresh ENGINE RANGE: what the probe says, one way after the other
fresh() {
	local way family
	rule fresh "$1" "$2"
	for family in 4 6; do
		for way in $("$PROBES/fresh" list); do
			ns "$PORTFENCE" run --config rule.ini --log none -- "$PROBES/fresh" "$way" "$family" 7777
		done
	done
}

@test "bind engine: what is done to a socket through another number counts" {
	fresh bind 20000 >said
	cat said
	diff said <(for family in 4 6; do
		cat <<-END
			accept $family 0 1
			bound-by-message $family 7777 0
			put-off $family 0 20000
			put-off-twin $family 0 20000 0 20000 0 20000 0 20000 0 20000 0 20000 0 20000 0 20000
			reuseaddr $family 0 EADDRINUSE
			reuseaddr-twin $family 0 EADDRINUSE 0 EADDRINUSE 0 EADDRINUSE 0 EADDRINUSE
			reuseport $family 0 EADDRINUSE
			vfork-family $family 20000
		END
	done)
}

@test "kernel engine: a port that was there before the call is no escape" {
	fresh kernel 40000-40001 >said
	cat said
	diff <(grep -E '^(accept|bound)' said) <(for family in 4 6; do
		printf '%s\n' "accept $family 0 1" "bound-by-message $family 7777 0"
	done)
}

# ---- threads

# races RANGE FAMILY: what is asked of the old socket takes long, so that the new one comes meanwhile;
# and so does what gives the number the new one, so that the old one is asked about meanwhile
races() {
	local how
	for how in dup dup2 dup3 reopen signal unspec; do
		ns strace -f --seccomp-bpf -o /dev/null -e trace=getpid,connect,dup2,dup3 \
			-e inject=getpid:delay_enter=200 -e inject=connect,dup2,dup3:delay_enter=1000 \
			-E LD_PRELOAD="$LIBRARY" -E PORTFENCE_CONFIG="$PWD/rule.ini" \
			"$PROBES/fd_race" $how "$2" 7777 300 "${1%-*}" "${1#*-}"
	done >said
	cat said
	[ "$(grep -c ' 0 outside$' said)" = 6 ]
}

@test "what a thread has asked before, it does not remember of the socket that came meanwhile" {
	skip_missing strace
	rule fd_race bind $BIND
	races $BIND 4
	races $BIND 6
	rule fd_race kernel $KERNEL
	races $KERNEL 4
	races $KERNEL 6
}

# ---- system calls

# count VIA ENGINE RANGE FAMILY PLACE [shared]: "CALL SYSTEM-CALL..." for each call of the probe, in the file counts
count() {
	local launch=(-E LD_PRELOAD="$LIBRARY" -E PORTFENCE_CONFIG="$PWD/rule.ini" -E PORTFENCE_LOG=none)
	rule counted "$2" "$3"
	rm -f unix.sock
	[ "$1" = preload ] || launch=("$PORTFENCE" run --via "$1" --config rule.ini --log none --)
	ns strace -f -o trace "${launch[@]}" "$PROBES/counted" "$4" 7777 "${@:5}"
	# a supervisor is traced, too
	awk '
		{ thread = $1; sub(/^[0-9]+ +/, "") }
		/^write\(-1, "end"/ { print line[thread]; line[thread] = ""; next }
		/^write\(-1, "/ { split($0, part, "\""); line[thread] = part[2]; next }
		# where another process came in between, the rest of a call is a line of its own
		/^<\.\.\. .* resumed>/ { next }
		line[thread] { sub(/\(.*/, ""); line[thread] = line[thread] " " $0 }' trace >counts
	cat counts
}

# counted_at VIA ENGINE RANGE FAMILY PLACE: what holds for both engines; the counts are added to the file both
counted_at() {
	# no connection holds a port yet
	ns_close
	ns_open
	ns_background "$PROBES/matrix" serve 7777
	wait_tcp 7777
	count "$@"
	[ "$(wc -l <counts)" -gt 40 ]
	# the third time and later; behind a supervisor's gate, it is asked each time whether the socket has a port,
	# and where there are threads, whether sendmmsg would wait
	grep -E '^[a-z-]+-[34] ' counts | grep -v '^connect' | awk -v via="$1" -v place="$5" '
		{ call = $1; sub(/^child-/, "", call); sub(/-[34]$/, "", call); sub(/^reply$/, "sendto", call)
		  sub(/^send$/, "sendto", call); asked = $1 ~ /(sendto|sendmsg|sendmmsg|reply)-/ && via == "both"
		  want = $1 (asked ? " getsockname" : "")
		  if (asked && call == "sendmmsg" && place == "arena") want = want " fcntl"
		  want = want " " call }
		$0 != want { print "not " want ": " $0; bad = 1 }
		END { exit bad || NR < 18 }'
	diff <(grep -E '^(send|write)-(1|2|unix) ' counts) - <<-END
		send-1 sendto
		write-1 write
		send-2 sendto
		write-2 write
		send-unix sendto
		write-unix write
	END
	grep -qx 'connect-unix connect' counts
	grep -qx 'bind-explicit bind' counts
	grep -qxE 'listen-explicit (getsockname )?listen' counts
	cat counts >>both
}

# counted VIA ENGINE RANGE: in both families, wherever the program's addresses are
counted() {
	local family place
	for family in 4 6; do
		for place in stack heap static arena; do
			counted_at "$@" $family $place
		done
	done
}

@test "bind engine: a send that has its port, a bind and a connect cost the system calls that they need" {
	skip_missing strace
	counted preload bind $BIND
	[ "$(grep -cxE 'bind-(tcp|udp) bind' both)" = 16 ]
	[ "$(grep -cxE 'connect-[1-4] bind setsockopt connect' both)" = 32 ]
}

@test "kernel engine: a send that has its port and a connect cost the system calls that they need" {
	skip_missing strace
	counted preload kernel $KERNEL
	[ "$(grep -cxE 'connect-[2-4] setsockopt connect getsockname' both)" = 24 ]
}

@test "a port from outside is looked at closely before the first send alone" {
	skip_missing strace
	local via
	rule perl bind $BIND
	for via in preload both; do
		# shellcheck disable=SC2016 # Perl's variables
		ns perl -MSocket -e 'socket(my $s, PF_INET, SOCK_DGRAM, 0); bind($s, sockaddr_in(0, INADDR_ANY));
			socket(my $sink, PF_INET, SOCK_DGRAM, 0); bind($sink, sockaddr_in(7777, INADDR_ANY));
			use POSIX; POSIX::dup2(fileno($s), 50); $^F = 99; exec @ARGV' \
			strace -f -o trace "$PORTFENCE" run --via $via --config rule.ini --log none -- \
			perl -MSocket -e 'open(my $s, "+<&=50"); send($s, "x", 0, sockaddr_in(7777, INADDR_LOOPBACK)) for 1 .. 4'
		[ "$(grep -c 'sendto(50,.* = 1$' trace)" = 4 ]
		[ "$(grep -c 'getpeername(50,' trace)" = 1 ]
		[ "$(grep -c 'connect(50,' trace)" = 0 ]
		# what it is, each time: the port could be gone
		awk '/sendto\(50,/ { n++ } n == 2 && /\(50,/ { sub(/^[0-9]+ +/, ""); sub(/\(.*/, ""); print }' trace >third
		[ "$(xargs <third)" = "sendto getsockname getsockopt getsockopt" ]
	done
}

# AddressSanitizer's runtime stands between the library and libc: then the supervisor looks at each call.
has_gate() {
	[ -z "${ASAN_OPTIONS:-}" ]
}

@test "beside a supervisor, calls cost the same, but one more to ask about a socket, or whether a call waits" {
	skip_missing strace
	has_gate || skip "with AddressSanitizer, a library has no gate"
	counted both bind $BIND
	[ "$(grep -cxE 'bind-(tcp|udp) bind' both)" = 16 ]
	[ "$(grep -cxE 'connect-[1-4] bind setsockopt connect' both)" = 24 ]
	[ "$(grep -cxE 'connect-[1-4] bind setsockopt fcntl connect' both)" = 8 ]
	rm both
	counted both kernel $KERNEL
	[ "$(grep -cxE 'connect-[2-4] setsockopt connect getsockname' both)" = 18 ]
	[ "$(grep -cxE 'connect-[2-4] setsockopt fcntl connect getsockname' both)" = 6 ]
}

# shared VIA: connects that share their port; a route is asked for at most once in a second
shared() {
	local family place fcntl begin='bind rt_sigprocmask getsockopt' ask='socket sendto recvfrom'
	for family in 4 6; do
		for place in stack heap static arena; do
			fcntl=
			[ "$1$place" != botharena ] || fcntl='fcntl '
			ns_close
			ns_open
			ns_background "$PROBES/matrix" serve 7777
			wait_tcp 7777
			count "$1" bind 20000-20019 $family $place shared
			[ "$(grep -cxE "shared-[0-9]+ $begin ($ask close )?$ask setsockopt bind close rt_sigprocmask ${fcntl}connect" \
				counts)" -ge 19 ]
			grep -qxE "shared-[0-9]+ $begin $ask setsockopt bind close rt_sigprocmask ${fcntl}connect" counts
		done
	done
}

@test "a connect that shares its port costs ten system calls, and four more where the route is not known" {
	skip_missing strace
	shared preload
	! has_gate || shared both
}

# calls_of COMMAND...: what /bin/true calls from its execve on, one name a line, in the file names; its state file
# is where it is without any setting, and there already, in a /dev/shm of the test's own
calls_of() {
	# shellcheck disable=SC2016 # the inner shell expands it
	ns unshare -m env -u PORTFENCE_STATE sh -c 'mount -t tmpfs none /dev/shm && "$@" && strace -f -o trace "$@"' - \
		"$@" /bin/true
	awk '
		{ thread = $1; sub(/^[0-9]+ +/, "") }
		/^execve\("\/bin\/true"/ { program = thread; next }
		thread == program && /^[a-z]/ { sub(/\(.*/, ""); print }' trace >names
}

@test "a process that makes no socket costs twelve system calls more, of which the dynamic linker makes seven" {
	skip_missing strace
	has_gate || skip "with AddressSanitizer, a library has no gate"
	calls_of
	mv names plain
	rule true bind $BIND
	calls_of "$PORTFENCE" run --via both --config rule.ini --log none --
	[ $(($(wc -l <names) - $(wc -l <plain))) = 12 ]
	[ "$(tail -n 6 names | sed 's/newfstatat/fstat/; s/mmap2/mmap/; s/fstat64/fstat/' | xargs)" = \
		"fstat openat fstat mmap close exit_group" ]
	# the range is judged once for all protocols
	rule true kernel $KERNEL
	calls_of "$PORTFENCE" run --via both --config rule.ini --log none --
	[ $(($(wc -l <names) - $(wc -l <plain))) = 31 ]
	[ "$(grep -cx socket names)" = 1 ]
}

@test "what run hands over may be more than fits into the library's own memory" {
	local ports
	ports=$(seq -s , 20001 2 20499)
	ns "$PORTFENCE" run --via both --range "$ports" -- \
		python3 -c '
import os, socket
# it is kept once as it is, and once in words
assert len(os.environ["PORTFENCE_RULE"]) > 2500
udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
udp.sendto(b"x", ("127.0.0.1", 7777))
print(udp.getsockname()[1])' >said
	all_within 20001 20999 <said
}

# known: "ROW SUBJECT MORE" of the calls that are known, but for a program's start
known() {
	grep -vE '^(#|start )' "$ROOT/test/bench/calls.txt"
}

@test "the calls that a fenced operation makes besides its own are those of the bench's table" {
	[ -x "$BUILD/test/bench/bench" ] || skip "the bench is not built"
	run env BUILD="$BUILD" "$BUILD/test/bench/bench" --calls --known "$ROOT/test/bench/calls.txt" rows shared
	echo "$output"
	[ "$status" = 0 ]
	# of the shared ones, a question for the route is a part
	diff <(known) <(awk '
		/^shared:/ { shared = 1 }
		/^[^ ]/ { row = shared ? "shared" : $1; $1 = "" }
		$1 == "kernel" || $1 == "bind" { printf "%s %s %d\n", row, $1, $3 + 0.5 }' <<<"$output")
}

@test "the manual's table of calls is the bench's" {
	local names='TCP connect, IPv4=tcp4-connect|TCP connect, IPv6=tcp6-connect|bind to port 0, TCP=bind-tcp
		bind to port 0, UDP=bind-udp|listen, unbound=listen|first sendto, UDP=udp-first|connect, UDP=udp-connect
		sendto, port known=sendto|sendmsg, port known=sendmsg|sendmmsg of 16=sendmmsg
		send, UDP=udp-send|send, TCP=tcp-send|write=write|connect, UNIX socket=unix-connect
		TCP connect, shared port=shared'
	diff <(known | sed -E 's/ (kernel|bind)//' | uniq) <(awk -F'|' -v names="${names//[$'\t']/}" '
		BEGIN { count = split(names, pairs, /[|\n]/)
			for (i = 1; i <= count; i++) { split(pairs[i], pair, "="); row[pair[1]] = pair[2] } }
		/^\.SH/ { speed = /SPEED/ }
		speed && $5 ~ /^\+/ { print row[$1], substr($5, 2) }' "$ROOT/src/man/portfence.7")
}
