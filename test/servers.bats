#!/usr/bin/env bats
#
# Real servers, unmodified, in a fence: the ports that they answer from when they name none, and
# their clients' beside them, each in a range of its own. Every port of every packet is accounted
# for, so a data connection cannot hide.

# shellcheck disable=SC2016 # what an inner shell or Perl expands
# shellcheck disable=SC2154 # the variables that the helpers set
# shellcheck disable=SC2317 # the functions that the helpers call
load lib/helpers
load programs/fences

# Runs a function once for each engine and address; it captures and judges by itself.
each_server() {
	each_engine each_address "$@"
}

# ask_tcp PORT: a fenced client gets its word back (ask_udp likewise)
ask_tcp() {
	[ "$(echo hello | fenced nc -N "$address" "$1")" = hello ]
}

ask_udp() {
	[ "$(echo hello | fenced nc -u -W 1 "$address" "$1")" = hello ]
}

# port_of tcp|udp PID: where a process waits for clients
port_of() {
	ns ss -Hln"${1:0:1}"p | awk -v holder="pid=$2," 'index($0, holder) { sub(/.*:/, "", $4); print $4 }'
}

has_port() {
	[ -n "$(port_of "$@")" ]
}

# --- a port of the system's choice

# chosen PROTOCOLS COMMAND...: a fenced server that echoes on a port of its range
chosen() {
	local protocols=$1 proto server
	shift
	capture_start 'not port 53'
	fenced_server "$@"
	server=$pid
	for proto in $protocols; do
		wait_until has_port "$proto" "$server"
		port_of "$proto" "$server" | within_range "$server_range"
		"ask_$proto" "$(port_of "$proto" "$server")"
	done
	stop "$server"
	capture_stop
	seen_only "$range" "$server_range"
}

@test "python's asyncio serves TCP and UDP on ports of its range" {
	skip_missing "$PYTHON" nc
	serve() { chosen 'tcp udp' "$PYTHON" "$PROGRAMS/asyncio-server" "$address"; }
	each_server serve
}

@test "node serves TCP and UDP on ports of its range" {
	skip_missing node nc
	serve() { chosen 'tcp udp' node "$PROGRAMS/node-server.js" "$address"; }
	each_server serve
}

@test "nc serves TCP and UDP on ports of its range" {
	skip_missing nc
	echo hello >word
	serve() {
		chosen tcp sh -c 'exec nc -N -l "$1" 0 <word' _ "$address"
		chosen udp sh -c 'exec nc -u -l "$1" 0 <word' _ "$address"
	}
	each_server serve
}

@test "socat serves TCP and UDP on ports of its range" {
	skip_missing socat nc
	serve() {
		local family=4
		[ "$address" = 127.0.0.1 ] || family=6
		chosen tcp socat "TCP$family-LISTEN:0,bind=$host,fork" EXEC:cat
		chosen udp socat "UDP$family-RECVFROM:0,bind=$host,fork" EXEC:cat
	}
	each_server serve
}

@test "perl serves TCP on a port of its range, whether it binds to port 0 or only listens" {
	skip_missing perl nc
	serve() {
		chosen tcp perl -MIO::Socket::IP -e '
			my $server = IO::Socket::IP->new(LocalHost => $ARGV[0], Listen => 5) or die $@;
			while (my $client = $server->accept) { print $client $_ while <$client>; }' "$address"
		chosen tcp perl -MSocket -e '
			socket(my $server, $ARGV[0] =~ /:/ ? AF_INET6 : AF_INET, SOCK_STREAM, 0) or die $!;
			listen($server, 5) or die $!;
			while (accept(my $client, $server)) { syswrite($client, $_) while <$client>; }' "$address"
	}
	each_server serve
}

# --- a port that the server names

# named PORT FUNCTION COMMAND...: a fenced server keeps the port that it names, and adds none
named() {
	local port=$1 ask=$2 server
	shift 2
	capture_start 'not port 53'
	fenced_server "$@"
	server=$pid
	wait_tcp "$port"
	"$ask"
	stop "$server"
	capture_stop
	seen_only "$range" "$port"
}

@test "fenced git daemon stays on its port" {
	skip_missing git
	git init -q repository
	git -C repository -c user.name=test -c user.email=test@example.org commit -q --allow-empty -m one
	clone() { fenced git clone -q "git://$host/repository" "clone-$engine-$address"; }
	serve() {
		named 9418 clone git daemon --reuseaddr --listen="$address" \
			--base-path="$BATS_TEST_TMPDIR" --export-all
	}
	each_server serve
}

@test "fenced iperf3 stays on its port, over TCP and UDP" {
	skip_missing iperf3
	measure() {
		fenced iperf3 -c "$address" -n 64K -P 2
		fenced iperf3 -c "$address" -R -n 64K
		fenced iperf3 -c "$address" -u -b 10M -n 20K
	}
	serve() { named 5201 measure iperf3 -s -B "$address"; }
	each_server serve
}

@test "a relay takes clients on the port that it names and goes on from its range" {
	skip_missing socat nc
	serve_echo
	relay() {
		local family=4
		[ "$address" = 127.0.0.1 ] || family=6
		capture_start 'not port 53'
		fenced_server socat "TCP$family-LISTEN:7001,bind=$host,reuseaddr,fork" "TCP:$host:7000"
		wait_tcp 7001
		ask_tcp 7001
		stop "$pid"
		capture_stop
		seen_only "$range" 7001 "$server_range" 7000
	}
	each_server relay
}

# --- a new port for each client

# tftp_transfers SERVER-OPTION...: two files are fetched, each from a port of its own
tftp_transfers() {
	local family=4
	[ "$address" = 127.0.0.1 ] || family=6
	capture_start 'not port 53'
	fenced_server in.tftpd --foreground --address "$host:6969" "$@"
	wait_udp 6969
	fenced tftp "-$family" -m binary "$address" 6969 -c get "$file" one
	fenced tftp "-$family" -m binary "$address" 6969 -c get "$file" two
	cmp one tftp/image
	cmp two tftp/image
	stop "$pid"
	capture_stop
	seen_only "$range" 6969 "$server_range"
	# each request was answered, though not from the port that it went to
	[ "$(grep -c '\.6969: ' "$capture")" = 2 ]
	[ "$(grep -c '\.6969 > ' "$capture")" = 0 ]
}

setup_tftp() {
	skip_missing in.tftpd tftp
	mkdir tftp
	head -c 2000 /dev/zero >tftp/image
}

@test "TFTP: in.tftpd answers each client from a port of its range" {
	setup_tftp
	file=$PWD/tftp/image
	each_server tftp_transfers --user root "$PWD/tftp"
}

@test "TFTP: in.tftpd answers from its range also as another user and in another root" {
	setup_tftp
	file=image
	each_server tftp_transfers --user nobody --secure tftp
	enter_fence auto
	each_address tftp_transfers --user nobody --secure tftp
}

serve_ftp() {
	fenced_server "$PYTHON" -W ignore -m pyftpdlib -i "$address" -p 2121 -d www
	wait_tcp 2121
}

# ftp_transfer FUNCTION...: each of them fetches the file; control and data connections are judged
ftp_transfer() {
	local fetch
	capture_start 'not port 53'
	serve_ftp
	for fetch in "$@"; do
		"$fetch"
		cmp fetched www/hello
		rm fetched
	done
	stop "$pid"
	capture_stop
	seen_only "$range" 2121 "$server_range"
}

setup_ftp() {
	"$PYTHON" -c 'import pyftpdlib' 2>/dev/null || not_installed "$PYTHON has no pyftpdlib"
	mkdir www
	echo hello >www/hello
}

@test "FTP, passive: curl and the server's data connections are in their ranges" {
	skip_missing curl
	setup_ftp
	epsv() { fenced curl -sS -o fetched "ftp://$host:2121/hello"; }
	pasv() { fenced curl -sS --disable-epsv -o fetched "ftp://$host:2121/hello"; }
	each_server ftp_transfer epsv pasv
}

@test "FTP, active: curl's listening port and the server's source port are in their ranges" {
	skip_missing curl
	setup_ftp
	eprt() { fenced curl -sS --ftp-port - -o fetched "ftp://$host:2121/hello"; }
	port() { fenced curl -sS --ftp-port - --disable-eprt -o fetched "ftp://$host:2121/hello"; }
	each_server ftp_transfer eprt port
}

@test "FTP, passive and active: wget and the server's data connections are in their ranges" {
	skip_missing wget
	setup_ftp
	passive() { fenced wget -q -O fetched "ftp://$host:2121/hello"; }
	active() { fenced wget -q --no-passive-ftp -O fetched "ftp://$host:2121/hello"; }
	each_server ftp_transfer passive active
}

@test "FTP, passive and active: ftp and the server's data connections are in their ranges" {
	skip_missing inetutils-ftp
	setup_ftp
	get() {
		fenced inetutils-ftp -n "$@" <<-END
			open $address 2121
			user anonymous test@example.org
			binary
			get hello fetched
			bye
		END
	}
	passive() { get -p; }
	active() { get; }
	each_server ftp_transfer passive active
}

# --- remote procedure calls

# serve_rpcbind APPLICATION OPTION...: its socket and its lock file are in /run
serve_rpcbind() {
	local application=$1
	shift
	ns_background unshare -m sh -c 'mount -t tmpfs none /run && exec "$@"' _ \
		"$PORTFENCE" run --app "$application" -- rpcbind -f "$@"
	wait_until rpcbind_listens
}

# TCP comes last, and IPv6 after IPv4
rpcbind_listens() {
	[ "$(ns ss -Hltn 'sport = :111' | wc -l)" = "${#ADDRESSES[@]}" ]
}

setup_rpcbind() {
	skip_missing rpcbind rpcinfo
	unshare -m true 2>/dev/null || skip 'needs a mount namespace of its own'
}

@test "rpcinfo asks rpcbind from its range, though it would like a reserved port" {
	setup_rpcbind
	ask() {
		local suffix=
		[ "$address" = 127.0.0.1 ] || suffix=6
		capture_start 'not port 53'
		serve_rpcbind "$engine-server"
		[ "$suffix" = 6 ] || fenced rpcinfo -p "$address" | grep -q portmapper
		fenced rpcinfo -a "$address.0.111" -T "tcp$suffix" 100000 4
		fenced rpcinfo -a "$address.0.111" -T "udp$suffix" 100000 4
		stop "$pid"
		capture_stop
		seen_only "$range" 111
	}
	each_server ask
}

# libtirpc draws a number and binds to it, so to us it is a port that the program names.
@test "a port that rpcbind's library draws by itself is refused with 'bind = own'" {
	setup_rpcbind
	serve_rpcbind rpc-allow -r
	[ "$(ports_of "$pid" | grep -vc '^111$')" -ge 1 ]
	stop "$pid"
	serve_rpcbind rpc-own -r
	[ "$(ports_of "$pid")" = 111 ]
}

# --- servers that draw their source ports themselves

named_conf() {
	cat >named.conf <<-END
		options { directory "$PWD"; listen-on port 20500 { 127.0.0.1; }; listen-on-v6 { none; }; recursion yes;
			forward only; forwarders { 127.0.0.1; }; dnssec-validation no; qname-minimization off;
			pid-file "$PWD/named.pid"; session-keyfile "$PWD/session.key"; };
		controls { };
	END
}

unbound_conf() {
	cat >unbound.conf <<-END
		server:
		  directory: "$PWD"
		  chroot: ""
		  username: ""
		  pidfile: ""
		  use-syslog: no
		  interface: 127.0.0.1@20500
		  do-not-query-localhost: no
		  module-config: "iterator"
		  qname-minimisation: no
		forward-zone:
		  name: "."
		  forward-addr: 127.0.0.1
		remote-control:
		  control-enable: no
	END
}

# resolved COUNT: so many names are answered by the server at port 20500
resolved() {
	ns python3 - "$1" <<-'END'
		import socket, sys
		s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(20); s.connect(("127.0.0.1", 20500))
		for i in range(int(sys.argv[1])):
		    name = b"".join(bytes([len(l)]) + l.encode() for l in (f"h{i}", "example", "org")) + b"\0"
		    s.send(bytes([0, i]) + b"\1\0\0\1\0\0\0\0\0\0" + name + b"\0\1\0\1")
		    assert socket.inet_aton("10.11.12.13") in s.recv(512), i
	END
}

# moves_queries COMMAND...: in each way, all names are resolved, and from ports of the range alone
moves_queries() {
	printf '[app]\nrange = 20000-20999\nbind = move\n' >app.ini
	ns_background "$ROOT/test/programs/name-server" '*' 10.11.12.13
	wait_udp 53
	for way in preload supervise both; do
		capture_start 'udp dst port 53'
		ns_background "$PORTFENCE" run --config app.ini --app app --via "$way" -- "$@" >out 2>&1
		server=$pid
		wait_udp 20500
		resolved 20
		capture_stop
		ports_to 53 | all_within 20000 20999
		[ "$(ports_to 53 | wc -l)" -gt 10 ]
		stop "$server"
	done
}

@test "BIND: with bind = move, queries come from ports of the range, as many as before" {
	skip_missing named
	named_conf
	moves_queries named -g -n 1 -c named.conf
}

@test "unbound: with bind = move, queries come from ports of the range, as many as before" {
	skip_missing unbound
	unbound_conf
	moves_queries unbound -d -p -c unbound.conf
}

# --- the log

@test "journald finds an entry by its fields" {
	skip_missing journalctl
	cat >journald.sh <<-'END'
		mount -t tmpfs none /run
		mkdir -p /run/systemd/journal /run/systemd/journald.conf.d /run/log/journal
		# nothing of this machine's own
		printf '[Journal]\nStorage=volatile\nAudit=no\nReadKMsg=no\n' >/run/systemd/journald.conf.d/test.conf
		journald=/lib/systemd/systemd-journald
		[ -x "$journald" ] || journald=/usr$journald
		"$journald" &
		trap 'kill $!' EXIT
		until [ -S /run/systemd/journal/socket ]; do kill -0 $! || exit; done
		"$@" || exit
		until [ -n "$(entries PORTFENCE_PEER_PORT=9)" ]; do kill -0 $! || exit; done
		entries PORTFENCE_APP=spawn
	END
	# shellcheck disable=SC2016 # the inner shell expands it
	{
		echo 'entries() { journalctl -q --file /run/log/journal/*/system.journal -o cat "$@"; }'
		cat journald.sh
	} >with-journald.sh
	ns unshare -m bash with-journald.sh \
		"$PORTFENCE" run --range 20000-20099 --log journal -- "$PROBES/spawn" child >entries
	grep -E '^spawn: connect udp4 [0-9.:]+ -> 127\.0\.0\.1:9 engine=bind tried=[0-9]+$' entries
}
