#!/usr/bin/env bats
#
# The kernel's behaviour that portfence rests on: one program of test/platform
# for each fact, each run in a network namespace of its own. A program skips what
# this kernel does not have.

bats_require_minimum_version 1.5.0

programs=$BATS_TEST_DIRNAME/../build/test/platform

setup() {
	unshare -n true 2>/dev/null || skip "needs a network namespace of its own, and so root"
}

# holds NAME: the program exits 0; 77 is a skip in its own words.
holds() {
	# shellcheck disable=SC2016 # the inner shell expands it
	run unshare -n sh -c 'ip link set lo up && exec "$1"' _ "$programs/$1"
	case $status in
	0) ;;
	77) skip "$output" ;;
	*)
		echo "$1 exited $status: $output"
		return 1
		;;
	esac
}

@test "every program of test/platform is run by one test here" {
	diff <(cd "$BATS_TEST_DIRNAME/platform" && printf '%s\n' *.c | sed 's/\.c$//' | sort) \
		<(sed -n 's/^	holds //p' "$BATS_TEST_FILENAME" | sort)
}

# --- IP_LOCAL_PORT_RANGE

@test "a port range outside the ephemeral range is accepted and ignored" {
	holds range-outside-is-ignored
}

@test "of a port range half outside the ephemeral range only the bound inside applies" {
	holds range-half-outside-is-clipped
}

@test "TCP and UDP keep to a port range inside the ephemeral range, however the port is assigned" {
	holds range-inside-is-obeyed
}

@test "MPTCP takes a port range and keeps to it" {
	holds range-on-mptcp-is-obeyed
}

@test "further subflows of MPTCP keep to a port range, also those of an accepted connection" {
	holds range-holds-for-mptcp-subflows
}

@test "UDP-Lite takes a port range and keeps to it" {
	holds range-on-udplite-is-obeyed
}

@test "TCP's bind to port 0 never gives the last port of a range of odd size" {
	holds range-of-odd-size-loses-its-last-port
}

@test "a port range set on a bound socket changes nothing" {
	holds range-after-bind-is-harmless
}

# --- Reserved and exhausted

@test "the kernel never chooses a reserved port, and a range reserved wholly is exhausted" {
	holds reserved-ports-are-skipped
}

@test "a reserved port can be bound explicitly" {
	holds reserved-ports-can-be-bound
}

@test "with no port left connect, bind, listen and send each fail in their own way" {
	holds exhausted-errnos
}

@test "with no port left MPTCP fails as TCP does" {
	holds exhausted-errnos-of-mptcp
}

@test "with no port left SCTP's bind and sctp_bindx say EADDRINUSE, and all else EAGAIN" {
	holds sctp-exhausted-errnos
}

# --- Bound by hand, chosen by the kernel

@test "a socket bound by hand keeps its port after a failed connect and connect(AF_UNSPEC)" {
	holds hand-bound-stays-bound
}

@test "an MPTCP socket bound by hand keeps its port after a failed connect and connect(AF_UNSPEC)" {
	holds hand-bound-mptcp-stays-bound
}

@test "a port that the kernel chose for bind to 0 is given back by a refused connect" {
	holds kernel-chosen-port-is-given-back
}

@test "after a refused connect getsockname shows a port that the socket no longer holds" {
	holds refused-connect-shows-a-stale-port
}

@test "SO_NOFCS stays with a socket that is no packet socket, and changes nothing" {
	holds options-that-mark-a-socket
}

@test "IP_BIND_ADDRESS_NO_PORT leaves the port at 0 and the socket open to a second bind" {
	holds bind-address-no-port
}

@test "bind with AF_UNSPEC and the wildcard address is taken as AF_INET" {
	holds bind-with-af-unspec
}

@test "a dual-stack bind conflicts with an IPv4 socket on the same port" {
	holds dual-stack-bind-conflicts-with-ipv4
}

@test "a socket whose source and destination are the same connects to itself" {
	holds self-connect
}

# --- Sharing a port

@test "without SO_REUSEADDR no port can be bound that a socket holds, in TIME_WAIT too" {
	holds exclusive-bind-refuses-held-ports
}

@test "SO_REUSEADDR set after an exclusive bind opens the port to others" {
	holds reuseaddr-after-bind-opens-the-port
}

@test "one shared port serves many destinations, and the same 4-tuple fails at connect" {
	holds one-port-serves-many-destinations
}

@test "MPTCP takes SO_REUSEADDR and a port range only before connect" {
	holds mptcp-options-end-at-connect
}

@test "a port can be shared while its first socket is still connecting" {
	holds port-is-shared-while-connecting
}

@test "the kernel's choice at connect never shares a port that was bound by hand" {
	holds chosen-and-bound-ports-do-not-mix
}

@test "bind to port 0 takes a port that nobody holds, whatever may be shared" {
	holds bind-to-zero-takes-a-port-nobody-holds
}

@test "of two sockets on a shared port only one can listen" {
	holds listen-on-a-shared-port
}

@test "SO_REUSEADDR on UDP hands one socket's datagrams to another" {
	holds udp-reuseaddr-steals-datagrams
}

@test "SO_REUSEADDR and SO_REUSEPORT restored after bind open the port to others" {
	holds options-restored-after-bind-share-the-port
}

@test "SO_REUSEPORT restored after bind leaves a UDP socket without its reuseport group" {
	holds reuseport-restored-late-has-no-group
}

# --- TIME_WAIT, sock_diag and tcp_info

@test "sock_diag finds an exact 4-tuple for an unprivileged user" {
	holds diag-finds-the-exact-tuple
}

@test "sock_diag tells how much of a TIME_WAIT is left" {
	holds diag-tells-how-long-time-wait-lasts
}

@test "sock_diag shows the sockets that are only bound" {
	holds diag-shows-what-is-only-bound
}

@test "a dump of sock_diag in the old form shows both families at once" {
	holds diag-shows-both-families-at-once
}

@test "tcp_info tells which end of a connection sent the first SYN" {
	holds tcp-info-tells-who-connected
}

@test "a connect from a port bound by hand takes over a TIME_WAIT at once" {
	holds time-wait-yields-to-a-bound-port
}

@test "between a machine's own addresses it does so whenever the connection had timestamps" {
	holds time-wait-yields-between-local-addresses
}

@test "a bind with SO_REUSEADDR takes a port with nothing but TIME_WAIT on it, and can listen there" {
	holds time-wait-yields-to-a-sharing-bind
}

@test "a connect that Fast Open defers tells whether a 4-tuple is free, but takes TIME_WAIT away" {
	holds deferred-connect-takes-time-wait-away
}

@test "the kernel's own choice takes over a TIME_WAIT only after a delay" {
	holds time-wait-keeps-the-kernel-waiting
}

@test "a TIME_WAIT on the server's side leaves the client's port free" {
	holds server-time-wait-leaves-the-client-port-free
}

# --- Other ways to get a port, and to lose it

@test "a send that fails on an unbound UDP socket has assigned a port all the same" {
	holds udp-failed-send-assigns-a-port
}

@test "with an address shorter than IPv4's, only a UDP call chooses a port, and that call fails" {
	holds short-addresses-choose-no-port
}

@test "connect(AF_UNSPEC) releases a UDP port that was assigned implicitly" {
	holds udp-unspec-releases-an-assigned-port
}

@test "connect(AF_UNSPEC) clears SO_BINDTODEVICE on UDP" {
	holds udp-unspec-clears-bindtodevice
}

@test "a send with MSG_FASTOPEN assigns a port" {
	holds fastopen-assigns-a-port
}

@test "listen on an unbound TCP socket assigns a port" {
	holds listen-assigns-a-port
}

# --- Telling sockets, namespaces and memory apart

@test "SO_PROTOCOL and SO_TYPE tell TCP, UDP, ping and raw sockets apart" {
	holds so-protocol-tells-sockets-apart
}

@test "SO_PROTOCOL of an MPTCP socket is 262" {
	holds so-protocol-of-mptcp
}

@test "SO_PROTOCOL of a UDP-Lite socket is 136" {
	holds so-protocol-of-udplite
}

@test "what getsockname shows of raw and ping sockets is not a port" {
	holds raw-and-ping-names-hold-no-port
}

@test "SO_NETNS_COOKIE is the same within a network namespace and differs between two" {
	holds netns-cookie-names-the-namespace
}

@test "rt_sigprocmask tells readable memory from unreadable and changes nothing" {
	holds sigprocmask-probes-memory
}

# --- The supervisor

@test "an unprivileged supervisor can set a range on a trapped socket, and hand one over" {
	holds supervisor-needs-no-privilege
}

@test "Yama never keeps a process of the same user from reading where links of /proc/PID lead to" {
	holds yama-restricts-attach-alone
}

@test "nothing tells which sockets a process has that is not dumpable, but by what was opened before" {
	holds what-is-not-dumpable-hides-its-sockets
}

@test "a socket that a supervisor has made is found by its inode, and bound after the program's bind" {
	holds born-socket-is-found-and-bound-late
}

@test "a limit that limits nothing is inherited by a whole tree, and everybody sees it" {
	holds rss-limit-limits-nothing
}

@test "a seccomp filter tells calls from one page from all others, over an exec too" {
	holds seccomp-sees-the-call-site
}

# --- SCTP

@test "an SCTP socket keeps its port through refusal, shutdown and connect(AF_UNSPEC)" {
	holds sctp-stays-bound
}

@test "SCTP takes a port range inside the ephemeral range and keeps to it" {
	holds sctp-range-is-obeyed
}

@test "SCTP never chooses a port that is held at any address" {
	holds sctp-chosen-port-is-free-at-every-address
}

@test "of sctp_bindx's addresses the first one decides on the port, which stays even if a later one is refused" {
	holds sctp-bindx-follows-the-first-port
}

@test "an SCTP socket binds beside one that held the port for it, if both have SO_REUSEADDR by then" {
	holds sctp-reuse-addr-binds-beside
}

@test "a peeled off association has its port, and the call returns its descriptor" {
	holds sctp-peeled-off-is-bound
}

@test "SCTP takes calls that other protocols take otherwise" {
	holds sctp-takes-odd-calls
}

# --- Landlock

@test "Landlock's rules hold a TCP bind to the ports that they name, and nothing else" {
	holds landlock-holds-binds-to-named-ports
}
