# core.sh KERNEL: every call that makes the kernel choose a port, for each protocol and family, through
# each engine and in each order; with a range that is full; and under many connections. Judged by what
# the probe sees and by the kernel's tables of sockets. KERNEL says what it has to be able to do.
#
# shellcheck disable=SC2086 # protocols are words without blanks
. /vm/tap.sh

OUTSIDE=20000-20099
INSIDE=40000-40099

listens() {
	grep -q ':1E61 ' /proc/net/tcp6
}

serve() {
	/build/test/probes/matrix serve 7777 2>/dev/null &
	wait_until listens
}

ended() {
	grep -q '^end$' calls || ! kill -0 "$caller" 2>/dev/null
}

# configure RANGE [KEY=VALUE...]
configure() {
	{
		printf '[matrix]\nrange = %s\n' "$1"
		shift
		printf '%s\n' "$@"
	} >matrix.ini
}

fence() {
	/build/portfence run --config matrix.ini --app matrix --log /tmp/log -- "$@"
}

# makes_calls COMMAND...: leaves what the probe says in `calls`, and the kernel's sockets then in `sockets`
makes_calls() {
	mkfifo hold
	: >calls
	"$@" <hold >calls 2>&1 &
	caller=$!
	exec 4<>hold # does not block where the caller is gone
	wait_until ended
	cat /proc/net/${proto#mp} /proc/net/${proto#mp}6 >sockets
	exec 4>&-
	wait "$caller"
	rm hold
}

# socket_ports FIRST-LAST: there are sockets besides the server's, and all their ports are in the range.
# Ports are in hexadecimal there, always of four digits.
socket_ports() {
	awk -v low="$(printf '%04X' "${1%-*}")" -v high="$(printf '%04X' "${1#*-}")" '
		$2 !~ /:/ { next }
		{ port = substr($2, length($2) - 3) "" }
		port == "1E61" || port == "0000" { next }
		{ n++ }
		port < low || port > high { print "out of range: " $0; bad = 1 }
		END { if (!n) print "no socket was seen"; exit bad || !n }' sockets
}

# calls FIRST-LAST PROTO FAMILY ENGINE [KEY=VALUE...]: every call has a port of the range, and the log
# has ENGINE and no other (auto: whichever)
calls() {
	range=$1 proto=$2 family=$3 engine=$4
	shift 4
	configure "$range" "$@"
	serve
	makes_calls fence /build/test/probes/matrix "$proto" "$family" 7777
	cat calls log
	socket_ports "$range" && awk -v low="${range%-*}" -v high="${range#*-}" -v engine="$engine" '
		/^end$/ { next }
		FILENAME == "calls" { # "CALL PROTO FAMILY PORT 0"
			calls++
			if (NF != 5 || $5 != "0" || $4 < low || $4 > high) {
				print "bad: " $0
				bad = 1
			}
		}
		/ engine=/ {
			chosen++
			if (engine != "auto" && $0 !~ " engine=" engine) {
				print "not the engine: " $0
				bad = 1
			}
		}
		END { exit bad || calls < 5 || chosen < 5 }' calls log
}

# system SETTING VALUE COMMAND...
system() {
	echo "$2" >"/proc/sys/net/ipv4/$1"
	shift 2
	"$@"
}

# refused FIRST-LAST PROTO [WORDS]: where the kernel engine is asked for and cannot serve, what is fenced
# by the variables alone has no port; and nothing is run, which WORDS tell the reason of
refused() {
	proto=$2
	configure "$1" 'engine = kernel'
	serve
	makes_calls env LD_PRELOAD=/build/libportfence.so PORTFENCE_CONFIG=/tmp/matrix.ini \
		PORTFENCE_LOG=/tmp/log /build/test/probes/matrix "$proto" 4 7777
	cat calls log sockets
	awk '/^end$/ { end = 1 } NF == 5 && $4 != 0 { bad = 1 } END { exit bad || NR < 6 || !end }' calls &&
		[ "$(socket_ports 1-1)" = 'no socket was seen' ] &&
		grep -q "'engine = kernel' cannot serve" log || return
	[ -z "$3" ] || fence /build/test/probes/matrix 2>&1 | grep "'engine = kernel' cannot serve 'matrix'.*$3"
}

# Errors of each call, but for bindresvport, whose ports are others without the fence, and connects over
# TCP, which may share a port.
errors() {
	case $proto in
	*tcp) grep -E '^(bind|bind-.*|listen.*) ' calls ;;
	*) grep -v '^bindresvport ' calls ;;
	esac | awk 'NF == 5 { print $1, $5 }'
}

full_plain() {
	proto=$1
	serve
	makes_calls /build/test/probes/matrix "$proto" "$2" 7777
	errors >plain
}

full_fenced() {
	proto=$1
	configure 40000-40003 "engine = $3"
	serve
	makes_calls fence /build/test/probes/matrix "$proto" "$2" 7777
	errors >fenced
	awk 'NF == 5 && $4 && ($4 < 40000 || $4 > 40003) { print "out of range: " $0; bad = 1 }
		END { exit bad }' calls
}

# full PROTO FAMILY ENGINE: in four ports, calls fail as the kernel's own do in four ports
full() {
	(system ip_local_port_range '40000 40003' full_plain "$@")
	# shellcheck disable=SC2016 # the inner shell expands it
	unshare -n sh -c 'ip link set lo up && exec sh "$0" run full_fenced "$@"' "$0" "$@" || return
	grep -q ' E' plain && diff plain fenced
}

# The first server is the last to listen, so that there are all once it is there.
serve_load() {
	/build/test/probes/load serve 7777 2 &
	wait_until listens
}

# says WORDS COMMAND...
says() {
	wanted=$1
	shift
	said=$("$@")
	echo "$said"
	[ "$said" = "$wanted" ]
}

# Every connect in the log is from a port of FIRST-LAST.
log_ports() {
	sed -n 's/.*127.0.0.1:\([0-9]*\) -> .*/\1/p' log | awk -v low="${1%-*}" -v high="${1#*-}" '
		$1 < low || $1 > high { print "out of range: " $1; bad = 1 }
		END { exit bad || !NR }'
}

# shared FIRST-LAST KEY=VALUE: 20 ports serve 20 connections to each of two destinations
shared() {
	configure "$@"
	serve_load
	says 'connected 20 EADDRNOTAVAIL 20' fence /build/test/probes/load 7777 40 1 4 hold &&
		says 'connected 20' fence /build/test/probes/load 7778 20 1 4 hold &&
		log_ports "$1"
}

# undiagnosed FIRST-LAST KEY=VALUE: 20 ports serve 20 connections, although the kernel cannot say which
# ones there are
undiagnosed() {
	configure "$@"
	serve_load
	says 'connected 20' fence /build/test/probes/load 7777 20 1 4 hold && log_ports "$1"
}

# load FIRST-LAST KEY=VALUE: connections that the server closes, from 8 threads of two processes
load() {
	configure "$@"
	serve_load
	says 'connected 400' fence /build/test/probes/load 7777 400 2 4 server &&
		log_ports "$1"
}

if [ "$1" = run ]; then
	shift
	"$@"
	exit
fi

kernel=$1
mptcp=mptcp
[ "$kernel" != 5.10 ] || mptcp=

# What IP_LOCAL_PORT_RANGE is there for.
case $kernel in
5.10) served='' refusing='tcp udp udplite' ;;
# its MPTCP refuses the option, so an MPTCP socket is made a TCP one
6.1) served='tcp mptcp udp udplite' refusing='' ;;
*) served='tcp mptcp udp udplite' refusing='' ;;
esac

for proto in tcp $mptcp udp udplite; do
	for family in 4 6 mapped; do
		try $proto bind "every call, family $family, outside the ephemeral range" \
			calls $OUTSIDE $proto $family bind
	done
	try $proto bind 'every call, inside it' calls $INSIDE $proto 4 bind 'engine = bind'
	for family in 4 6; do
		try $proto auto "every call, family $family, inside it" calls $INSIDE $proto $family auto
	done
	try $proto auto 'every call, ephemeral range 1024-65535' \
		system ip_local_port_range '1024 65535' calls $OUTSIDE $proto 4 auto
	try $proto bind 'every call, in a reserved range' \
		system ip_local_reserved_ports 40000-40099 calls $INSIDE $proto 4 bind
	try $proto kernel 'no call has a port of a reserved range' \
		system ip_local_reserved_ports 40000-40099 refused $INSIDE $proto ip_local_reserved_ports
	for family in 4 6; do
		try $proto bind "a full range, family $family" full $proto $family bind
	done
done
for proto in $served; do
	for family in 4 6 mapped; do
		try $proto kernel "every call, family $family" \
			calls $INSIDE $proto $family kernel 'engine = kernel'
	done
	try $proto kernel 'every call, ephemeral range 1024-65535' \
		system ip_local_port_range '1024 65535' calls $OUTSIDE $proto 4 kernel 'engine = kernel'
	for family in 4 6; do
		try $proto kernel "a full range, family $family" full $proto $family kernel
	done
done
for proto in $refusing; do
	try $proto kernel 'no call has a port, as the kernel has no IP_LOCAL_PORT_RANGE for it' \
		refused $INSIDE $proto IP_LOCAL_PORT_RANGE
done
for order in sequential random random-simple hash double-hash random-increments; do
	for proto in tcp udp; do
		try $proto bind "every call, order $order" calls $OUTSIDE $proto 4 bind "order = $order"
	done
done
try tcp bind '20 ports serve two destinations' shared 20000-20019 'engine = bind'
try tcp auto '20 ports serve two destinations' shared 40000-40019 'engine = auto'
try tcp bind '400 connections from 8 threads' load 20000-20099 'engine = bind'
try tcp auto '400 connections from 8 threads' load 40000-40099 'engine = auto'
if [ -n "$served" ]; then
	try tcp kernel '20 ports serve two destinations' shared 40000-40019 'engine = kernel'
	try tcp kernel '400 connections from 8 threads' load 40000-40099 'engine = kernel'
fi

rmmod tcp_diag
try tcp bind '20 ports serve 20 connections without tcp_diag' undiagnosed 20000-20019 'order = random'
plan
