# sctp.sh KERNEL: SCTP, in each way in which a socket gets a port without naming one, one-to-one and
# one-to-many, over IPv4 and IPv6: in the range, from the probe's view, in the kernel's tables and on the
# wire; and all else as without the fence. KERNEL says what it has to be able to do.
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
# before and after that is in the file DIGIT. It holds the descriptors DIGIT and DIGIT + 1: 3, 5 or 7.
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
	: >"$start_digit"
	while read -r start_line && [ "$start_line" != ready ]; do
		echo "$start_line" >>"$start_digit"
	done <&"$((start_digit + 1))"
}

stop() {
	eval "exec $1>&-"
	cat <&"$(($1 + 1))" >>"$1"
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

# good CALLS RANGE: each went well, and each has a port of its own
good() {
	awk 'NF != 5 || $5 != "0" { print "bad: " $0; bad = 1 } END { exit bad || NR != 100 }' "$1" &&
		awk '{ print $4 }' "$1" | within "$2" && [ "$(awk '{ print $4 }' "$1" | sort -u | wc -l)" = 100 ]
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
	known >known
	stop 7
	stop 5
	cat 7 log
	good 7 "$range" && within "$range" <known && within "$range" <5 || return
	# it shows no others than the calls gave, and all but those that were only bound
	awk '$3 !~ /bind/ { print $4 }' 7 | sort -u | cmp - known || return
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
	cat 7
	[ "$(sed -n 's/^bind.* 0 //p' 7 | sort | xargs)" = '20003 20004' ] &&
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
	cat 5 7
	good 5 "$OUTSIDE" && good 7 "$OUTSIDE" && cat 5 7 | sort -n -k 4 | in_sequence
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

# the range is full: a system's port is taken, and told of
gives_way() {
	configure 20000-20001 'exhausted = system'
	serve
	makes_calls && [ "$(awk '$4 >= 20000 && $4 <= 20001' calls | wc -l)" = 2 ] &&
		[ "$(awk '$4 >= 32768 && $5 == 0' calls | wc -l)" = 98 ] && grep -q 'ports of the system' log
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
try sctp bind 'explicit binds are subject to the policy, a second address is not' explicit
try sctp bind 'a socket has one port at all its addresses' homes
try sctp bind 'ports come in sequence' sequential
try sctp bind 'and across processes' two_processes
try sctp bind 'a seed gives the same ports again' seeded
try sctp bind 'exhausted = system gives way' gives_way
try sctp - 'a mistake closes the fence' closed
plan
