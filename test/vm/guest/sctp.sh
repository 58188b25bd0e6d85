# sctp.sh KERNEL: SCTP, in each way in which a socket gets a port without naming one, one-to-one and
# one-to-many, over IPv4 and IPv6: in the range, from the probe's view, in the kernel's tables and on the
# wire; and all else as without the fence. KERNEL says what it has to be able to do.
#
# programs: iperf3 sctp_darn socat
. /vm/tap.sh

OUTSIDE=20000-20999
INSIDE=40000-40999
probe=/build/test/probes/sctp

# configure RANGE [KEY=VALUE...]
configure() {
	{
		printf '[sctp]\nrange = %s\n' "$1"
		shift
		[ $# = 0 ] || printf '%s\n' "$@"
	} >sctp.ini
}

fence() {
	PORTFENCE_CONFIG=/tmp/sctp.ini PORTFENCE_APP=sctp PORTFENCE_LOG=/tmp/log LD_PRELOAD=/build/libportfence.so "$@"
}

# the system's own range; without the fence, the kernel chooses from it
ephemeral() {
	echo "$@" >/proc/sys/net/ipv4/ip_local_port_range
}

# start DIGIT COMMAND...: until `stop DIGIT`, in the background; returns once it says "ready". What it says
# before and after that is in the file fromDIGIT. It holds the descriptors DIGIT and DIGIT + 1: 3, 5 or 7.
start() {
	start_digit=$1
	shift
	mkfifo "in$start_digit" "out$start_digit"
	{
		# what the others would wait for to end
		exec 3>&- 4<&- 5>&- 6<&- 7>&- 8<&-
		"$@"
	} <"in$start_digit" >"out$start_digit" 2>&1 &
	echo $! >"pid$start_digit"
	eval "exec $start_digit>in$start_digit $((start_digit + 1))<out$start_digit"
	: >"from$start_digit"
	while read -r start_line && [ "$start_line" != ready ]; do
		echo "$start_line" >>"from$start_digit"
	done <&"$((start_digit + 1))"
}

stop() {
	eval "exec $1>&-"
	cat <&"$(($1 + 1))" >>"from$1"
	eval "exec $(($1 + 1))<&-"
	wait "$(cat "pid$1")"
	rm "in$1" "out$1"
}

serve() {
	start 3 "$probe" serve
}

# the ports that the kernel shows, without the server's: of what listens, and of associations
known() {
	{
		awk 'NR > 1 { print $6 }' /proc/net/sctp/eps
		awk 'NR > 1 { print $12 }' /proc/net/sctp/assocs
	} | grep -vx 7000 | sort -u
}

# within RANGE <PORTS
within() {
	awk -v low="${1%-*}" -v high="${1#*-}" '
		$1 < low || $1 > high { print "out of range: " $1; bad = 1 }
		END { if (!NR) print "no port was seen"; exit bad || !NR }'
}

# good CALLS RANGE [NUMBER]: each of a hundred went well, and each has a port of its own
good() {
	[ "$(awk 'NF == 5 && $5 == "0"' "$1" | wc -l)" = "${3:-100}" ] && [ "$(wc -l <"$1")" = "${3:-100}" ] &&
		[ "$(awk '{ print $4 }' "$1" | sort -u | wc -l)" = "${3:-100}" ] && awk '{ print $4 }' "$1" | within "$2" &&
		return
	cat "$1"
	return 1
}

# makes_calls: all ways, fenced; leaves what the probe says in `calls`
makes_calls() {
	fence "$probe" ways </dev/null 2>&1 | grep -vx ready >calls
	cat calls
	[ ! -e log ] || cat log
	[ "$(wc -l <calls)" = 100 ]
}

# ways RANGE ENGINE [KEY=VALUE...]
ways() {
	range=$1 engine=$2
	shift 2
	configure "$range" "$@"
	serve
	start 5 "$probe" wire
	start 7 fence "$probe" ways
	known >ports
	stop 7
	stop 5
	cat from7 log
	good from7 "$range" && within "$range" <ports && within "$range" <from5 || return
	# it shows no others than the calls gave, and all but those that were only bound
	awk '$3 !~ /bind/ { print $4 }' from7 | sort -u | cmp - ports || return
	# and the log has each of them
	[ "$(grep -c " engine=$engine" log)" = 100 ] && [ "$(grep -c ' engine=' log)" = 100 ]
}

# as_plain RANGE MODE...: the probe says the same with the fence and, in a system's range of that size, without
as_plain() {
	range=$1
	shift
	configure "$range"
	serve
	fence "$probe" "$@" </dev/null >fenced 2>&1
	cat log
	ephemeral "${range%-*}" "${range#*-}"
	"$probe" "$@" </dev/null >plain 2>&1
	[ -s plain ] && diff plain fenced
}

peeled() {
	configure "$OUTSIDE"
	serve
	fence "$probe" peel >calls 2>&1
	cat calls
	[ "$(grep -cx 'peeled there same-port 0' calls)" = 4 ] &&
		[ "$(sed -n 's/^next stayed //p' calls | wc -l)" = 4 ] &&
		sed -n 's/^next stayed //p' calls | within "$OUTSIDE"
}

# named POLICY PORT: what explicit binds say
named() {
	configure "$OUTSIDE" "bind = $1"
	fence "$probe" named "$2"
}

explicit() {
	all_refused='bind EACCES unbound
bindx EACCES unbound
bindx-2 EACCES unbound
bindx-broken EINVAL unbound
bindx-more 0 bound'
	all_done=$(echo "$all_refused" | sed 's/EACCES unbound/0 bound/')
	[ "$(named allow 20500)" = "$all_done" ] &&
		[ "$(named own 20500)" = "$all_done" ] &&
		[ "$(named allow 30000)" = "$(echo "$all_done" | sed '/more/!s/ bound/ outside/')" ] &&
		[ "$(named own 30000)" = "$all_refused" ] &&
		[ "$(named deny 20500)" = "$all_refused" ] &&
		[ "$(named deny 30000)" = "$all_refused" ] &&
		[ "$(grep -c 'sctp_bindx sctp4 - engine=none tried=0: explicit bind refused' log)" = 6 ]
}

# all addresses of a socket are on one port, which nobody else has at any of them
homes() {
	configure 20000-20004
	start 7 fence "$probe" beside 20000 3
	cat log /proc/net/sctp/eps
	awk '$6 == 20003 || $6 == 20004 { print $9, $10 }' /proc/net/sctp/eps | sort | xargs >homes
	stop 7
	cat from7
	[ "$(sed -n 's/^bind.* 0 //p' from7 | sort | xargs)" = '20003 20004' ] &&
		[ "$(cat homes)" = '127.0.0.1 127.0.0.1 127.0.0.2' ]
}

# in_sequence <CALLS
in_sequence() {
	awk 'NR > 1 && $4 != last + 1 { print "not the next: " $0; bad = 1 }
		{ last = $4 } END { exit bad || NR < 100 }'
}

sequential() {
	configure "$OUTSIDE" 'order = sequential'
	serve
	makes_calls && good calls "$OUTSIDE" && in_sequence <calls
}

# another process goes on where the first one is
two_processes() {
	configure "$OUTSIDE" 'order = sequential'
	serve
	start 5 fence "$probe" ways
	start 7 fence "$probe" ways
	stop 5
	stop 7
	cat from5 from7
	good from5 "$OUTSIDE" && good from7 "$OUTSIDE" && cat from5 from7 | sort -n -k 4 | in_sequence
}

# says "ready" once all three do
crowd_of_three() {
	# what runs in the background would not have this shell's input
	exec 9<&0
	{
		fence "$probe" ways <&9 &
		fence "$probe" ways <&9 &
		fence "$probe" ways <&9 &
	} | awk '$1 != "ready" { print } $1 == "ready" && ++ready == 3 { print; fflush() }'
}

# many at once, and hardly a port more than they need
crowd() {
	configure 20000-20309 'order = random'
	serve
	start 5 crowd_of_three
	known >ports
	stop 5
	good from5 20000-20309 300 && within 20000-20309 <ports
}

forked() {
	configure "$OUTSIDE"
	serve
	fence "$probe" fork </dev/null >calls 2>&1
	cat calls log
	# one socket has one port, the others have others
	awk '{ print $2 } END { exit NR != 2 }' calls | sort -u | within "$OUTSIDE" &&
		[ "$(awk '{ print $2 }' calls | sort -u | wc -l)" = 1 ] &&
		awk '{ print $3 }' calls | within "$OUTSIDE" && [ "$(xargs -n 1 <calls | sort -u | wc -l)" = 5 ]
}

# the same seed, the same ports
seeded() {
	configure "$OUTSIDE" 'order = random' 'seed = 7'
	for run in one two; do
		rm -rf state
		mkdir -m 700 state
		serve
		makes_calls && good calls "$OUTSIDE" || return
		stop 3
		mv calls "$run"
	done
	cmp one two && ! in_sequence <one >/dev/null
}

# gives_way ENGINE: the range is full, and a system's port is taken, and told of
gives_way() {
	configure 40000-40001 'exhausted = system' "engine = $1"
	serve
	makes_calls && good calls 32768-60999 && grep -q 'ports of the system' log &&
		[ "$(awk '$4 == 40000 || $4 == 40001' calls | wc -l)" = 2 ] &&
		[ "$(grep -c " engine=$1" log)" = 2 ] && [ "$(grep -c ' engine=none' log)" = 98 ]
}

# with a mistake in the configuration no call gets a port
closed() {
	configure 20000-10000
	serve
	makes_calls
	[ "$(grep -c ' 0 EACCES$' calls)" = 96 ] && [ "$(grep -c 'sendall 0 0$' calls)" = 4 ]
}

# what a kernel engine that cannot serve says
useless() {
	configure "$1" 'engine = kernel'
	serve
	makes_calls
	[ "$(grep -cE ' 0 (EAGAIN|EADDRINUSE)$' calls)" = 96 ] && [ "$(grep -c 'sendall 0 0$' calls)" = 4 ] &&
		grep -q "'engine = kernel' cannot serve" log
}

# a port serves a socket with all its associations, and so it is told of
status() {
	configure "$OUTSIDE"
	serve
	start 7 fence "$probe" ways
	PORTFENCE_CONFIG=/tmp/sctp.ini /build/portfence status --json >seen
	PORTFENCE_CONFIG=/tmp/sctp.ini /build/portfence audit >audited
	stop 7
	cat from7 seen audited
	# 24 of the hundred are only bound
	grep -A 3 '"sctp": {$' seen | grep '"used": 76,' && grep '"sockets": 76,' seen &&
		grep -x 'no escape among 76 sockets of 1 fenced process' audited
}

# --- programs

listens() {
	grep -qE ' 7000 ' /proc/net/sctp/eps || grep -q ':1B58 ' /proc/net/tcp*
}

# talks SERVER CLIENT...: the server listens on port 7000; the client is fenced
talks() {
	sh -c "$1" >served 2>&1 &
	shift
	wait_until listens
	start 5 "$probe" wire
	configure 20000-20009
	fence "$@" </dev/null >said 2>&1
	stop 5
	cat served said log from5
	within 20000-20009 <from5
}

socat_talks() {
	talks 'socat -u SCTP-LISTEN:7000,reuseaddr OPEN:/tmp/got,creat' \
		sh -c 'echo hello | socat - SCTP:127.0.0.1:7000' && wait_until grep -qx hello got
}

# leaves_nothing RANGE ENGINE: a signal's handler leaves the call by siglongjmp()
leaves_nothing() {
	configure "$1" "engine = $2"
	fence /build/test/probes/storm 1000 sctp >said
	cat said
	grep -qx 'jumped often' said && grep -qx 'descriptors 0' said
}

iperf_talks() {
	talks 'iperf3 -s -1 -p 7000' iperf3 --sctp -c 127.0.0.1 -p 7000 -n 100K -P 2 &&
		grep -q 'iperf Done' said && [ "$(wc -l <from5)" = 2 ]
}

darn_talks() {
	talks 'sctp_darn -H 127.0.0.1 -P 7000 -l' \
		sh -c 'echo hello | sctp_darn -H 127.0.0.1 -P 0 -h 127.0.0.1 -p 7000 -s' &&
		grep -q SCTP_COMM_UP said && [ "$(wc -l <from5)" = 1 ]
}

if [ "$1" = run ]; then
	shift
	"$@"
	exit
fi

try sctp bind 'each way has a port of the range' ways "$OUTSIDE" bind
try sctp bind 'each way has a port of the range, inside the ephemeral one' ways "$INSIDE" bind
try sctp bind 'and so in order double-hash' ways "$OUTSIDE" bind 'order = double-hash'
if [ "$1" = 5.10 ]; then
	try sctp kernel 'without the option every call fails, loudly' useless "$INSIDE"
else
	try sctp kernel 'each way has a port of the range' ways "$INSIDE" kernel 'engine = kernel'
	try sctp kernel 'where the kernel would not keep to the range every call fails, loudly' useless "$OUTSIDE"
fi
try sctp bind 'a full range is answered as without the fence' as_plain 20000-20003 exhaust
try sctp bind 'and so where every option is set that shares ports' as_plain 20000-20003 exhaust reuse
try sctp bind 'bad input and odd orders are answered as without the fence' as_plain "$OUTSIDE" odd 20000 20999
try sctp bind 'a peeled off descriptor has its port, and leaves nothing behind' peeled
try sctp bind 'a handler that leaves a call by siglongjmp leaves no descriptor behind' leaves_nothing "$OUTSIDE" bind
[ "$1" = 5.10 ] ||
	try sctp kernel 'a handler that leaves a call by siglongjmp leaves no descriptor behind' leaves_nothing "$INSIDE" kernel
try sctp bind 'explicit binds are subject to the policy, a second address is not' explicit
try sctp bind 'a socket has one port at all its addresses' homes
try sctp bind 'ports come in sequence' sequential
try sctp bind 'and across processes' two_processes
try sctp bind 'processes at once have each its own' crowd
try sctp bind 'a forked child has the same socket, and its own' forked
try sctp bind 'a seed gives the same ports again' seeded
try sctp bind 'exhausted = system gives way' gives_way bind
[ "$1" = 5.10 ] || try sctp kernel 'exhausted = system gives way' gives_way kernel
try sctp - 'a mistake closes the fence' closed
try sctp bind 'status and audit tell of a socket once' status
try sctp bind 'socat talks from the range' socat_talks
try sctp bind 'iperf3 talks from the range, from two sockets' iperf_talks
try sctp bind 'sctp_darn talks from the range, one to many' darn_talks
plan
