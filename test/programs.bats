#!/usr/bin/env bats
#
# Real programs, unmodified, each run in a fence with either engine, over IPv4 and IPv6. Judged from
# outside: by a capture of all that went over the wire, and by what the kernel says of open sockets.

# shellcheck disable=SC2016 # what an inner shell or Perl expands
# shellcheck disable=SC2154 # the variables that the helpers set
# shellcheck disable=SC2317 # the functions that the helpers call
load lib/helpers
load programs/fences

# --- is the judge awake?

@test "a program without a fence is seen outside the range" {
	skip_missing curl
	serve_http
	fenced() { ns "$@"; }
	plain() { fenced curl -sS "http://$host:8080/hello"; }
	enter_fence bind
	enter_address 127.0.0.1
	run captured 8080 plain
	[ "$status" -ne 0 ]
	[[ $output == *'seen on the wire, but in none of 20000-20019 8080: port'* ]]
	[[ $output == *'not seen on the wire: 20000-20019'* ]]
}

@test "IPv6 is there, so that the tests of this file are run over it" {
	needs_ipv6
	[ "${#ADDRESSES[@]}" = 2 ]
}

# --- clients

@test "curl connects from its range, one request after the other and many at once" {
	skip_missing curl
	serve_http
	fetch() {
		fenced curl -sS -H 'Connection: close' "http://$host:8080/hello?[1-3]" >out
		[ "$(grep -c hello out)" = 3 ]
		fenced curl -sS --parallel --parallel-immediate "http://$host:8080/hello?[1-9]" -o many
	}
	each_fence 8080 fetch
}

@test "curl with TCP Fast Open connects from its range" {
	skip_missing curl
	serve_http
	ns sysctl -qw net.ipv4.tcp_fastopen=3
	fetch() {
		fenced curl -sS --tcp-fastopen -H 'Connection: close' "http://$host:8080/hello?[1-3]" >out
		[ "$(grep -c hello out)" = 3 ]
	}
	each_fence 8080 fetch
}

@test "clients that name their address, but no port, connect from their range" {
	skip_missing curl wget nc socat node "$PYTHON"
	serve_http
	serve_echo
	fetch() {
		fenced curl -sS --interface "$address" "http://$host:8080/hello"
		fenced wget -q --bind-address="$address" -O - "http://$host:8080/hello"
	}
	each_fence 8080 fetch
	ask() {
		echo hello | fenced nc -N -s "$address" "$address" 7000
		echo hello | fenced nc -u -W 1 -s "$address" "$address" 7000
		echo hello | fenced socat - "TCP:$host:7000,bind=$host"
		fenced "$PYTHON" -c 'import socket, sys
socket.create_connection((sys.argv[1], 7000), source_address=(sys.argv[1], 0))' "$address"
		fenced node -e 'const host = process.argv[1];
			require("net").connect({ host, port: 7000, localAddress: host }).end("hello").resume();
			' "$address"
	}
	each_fence 7000 ask
}

@test "clients that name their port keep it" {
	skip_missing curl nc
	serve_http
	own_port=30000
	fetch() {
		capture_start 'not port 53'
		fenced curl -sS --local-port "$own_port" "http://$host:8080/hello"
		fenced nc -p "$own_port" -u -W 1 "$address" 7000 <<<hello
		capture_stop
		seen_only "$own_port" 7000 8080
		own_port=$((own_port + 1))
	}
	serve_echo
	each_engine each_address fetch
}

@test "while curl's transfers stand, the kernel shows them in the range" {
	skip_missing curl
	serve_http
	slowly() {
		local first second
		fenced_background curl -sS --limit-rate 1k "http://$host:8080/large" -o first
		first=$pid
		fenced_background curl -sS --limit-rate 1k "http://$host:8080/large" -o second
		second=$pid
		wait_until is_connected "$first"
		wait_until is_connected "$second"
		[ "$(ports_of "$first" "$second" | wc -l)" = 2 ]
		ports_of "$first" "$second" | within_range "$range"
		stop "$first"
		stop "$second"
	}
	each_fence 8080 slowly
}

@test "wget connects from its range" {
	skip_missing wget
	serve_http
	fetch() {
		fenced wget -q -O out "http://$host:8080/hello"
		[ "$(cat out)" = hello ]
	}
	each_fence 8080 fetch
}

@test "python's urllib connects from its range" {
	skip_missing "$PYTHON"
	serve_http
	fetch() {
		fenced "$PYTHON" -c 'import sys, urllib.request as u; print(u.urlopen(sys.argv[1]).read())' \
			"http://$host:8080/hello" >out
		[ "$(cat out)" = "b'hello\\n'" ]
	}
	each_fence 8080 fetch
}

@test "python's asyncio speaks TCP and UDP from its range" {
	skip_missing "$PYTHON"
	serve_echo
	ask() { fenced "$PYTHON" "$PROGRAMS/asyncio-client" "$address" 7000; }
	each_fence 7000 ask
}

@test "nc speaks TCP from its range" {
	skip_missing nc
	serve_echo
	ask() {
		echo hello | fenced nc -N "$address" 7000 >out
		[ "$(cat out)" = hello ]
	}
	each_fence 7000 ask
}

@test "nc speaks UDP from its range, with its socket seen there" {
	skip_missing nc
	serve_echo
	mkfifo words
	exec 9<>words
	ask() {
		fenced_background sh -c 'exec nc -u "$1" 7000 <words' _ "$address" >out
		echo hello >&9
		wait_until grep -q hello out
		ports_of "$pid" | within_range "$range"
		stop "$pid"
		rm out
	}
	each_fence 7000 ask
}

@test "socat speaks TCP from its range" {
	skip_missing socat
	serve_echo
	ask() {
		echo hello | fenced socat - "TCP:$host:7000" >out
		[ "$(cat out)" = hello ]
	}
	each_fence 7000 ask
}

@test "socat speaks UDP from its range, connected or not" {
	skip_missing socat
	serve_echo
	ask() {
		fenced socat -t 0 "UDP:$host:7000" 'SYSTEM:echo connected; read word && echo $word >&2' 2>out
		fenced socat -t 0 "UDP-DATAGRAM:$host:7000" 'SYSTEM:echo sent; read word && echo $word >&2' 2>>out
		[ "$(cat out)" = $'connected\nsent' ]
	}
	each_fence 7000 ask
}

@test "bash speaks TCP and UDP from its range" {
	serve_echo
	ask() {
		fenced bash -c '
			for proto in tcp udp; do
				exec 5<>"/dev/$proto/$1/7000"
				echo "$proto" >&5
				head -n 1 <&5
			done' _ "$address" >out
		[ "$(cat out)" = $'tcp\nudp' ]
	}
	each_fence 7000 ask
}

@test "perl's IO::Socket speaks TCP and UDP from its range" {
	skip_missing perl
	serve_echo
	ask() {
		fenced perl -MIO::Socket::IP -e '
			for my $proto ("tcp", "udp") {
				my $socket = IO::Socket::IP->new(
					PeerHost => $ARGV[0], PeerPort => 7000, Proto => $proto) or die $@;
				syswrite($socket, $proto);
				sysread($socket, my $word, 10);
				print "$word\n";
			}' "$address" >out
		[ "$(cat out)" = $'tcp\nudp' ]
	}
	each_fence 7000 ask
}

@test "node's net and dgram speak from their range" {
	skip_missing node
	serve_echo
	ask() { fenced node "$PROGRAMS/node-client.js" "$address" 7000; }
	each_fence 7000 ask
}

@test "node's http connects from its range" {
	skip_missing node
	serve_http
	fetch() {
		fenced node -e '
			const url = process.argv[1];
			for (let i = 0; i < 3; i++)
				require("http").get(url, { agent: false }, (answer) => answer.pipe(process.stdout));
			' "http://$host:8080/hello" >out
		[ "$(grep -c hello out)" = 3 ]
	}
	each_fence 8080 fetch
}

@test "git clones over git:// from its range" {
	skip_missing git
	git init -q repository
	git -C repository -c user.name=test -c user.email=test@example.org commit -q --allow-empty -m one
	ns_background git daemon --reuseaddr --base-path="$BATS_TEST_TMPDIR" --export-all --port=9418
	wait_tcp 9418
	clone() {
		fenced git clone -q "git://$host/repository" "clone-$engine-$address"
		[ "$(git -C "clone-$engine-$address" log --format=%s)" = one ]
	}
	each_fence 9418 clone
}

@test "iperf3 measures TCP from its range, with parallel streams" {
	skip_missing iperf3
	ns_background iperf3 -s
	wait_tcp 5201
	measure() { fenced iperf3 -c "$address" -n 64K -P 3; }
	each_fence 5201 measure
}

@test "iperf3 measures UDP from its range" {
	skip_missing iperf3
	ns_background iperf3 -s
	wait_tcp 5201
	measure() { fenced iperf3 -c "$address" -u -b 10M -n 20K; }
	each_fence 5201 measure
}

# --- trees of programs

@test "a shell's children keep to the range, also with an environment wiped clean" {
	skip_missing curl
	serve_http
	tree() {
		fenced sh -c '
			curl -sS "$1" && env -i "$2" -sS "$1" && env -u LD_PRELOAD "$2" -sS "$1" &&
			(unset LD_PRELOAD; curl -sS "$1")' _ "http://$host:8080/hello" "$(command -v curl)" >out
		[ "$(grep -c hello out)" = 4 ]
	}
	each_fence 8080 tree
}

@test "make -j with many clients at once keeps to the range" {
	skip_missing curl wget make
	serve_http
	cat >Makefile <<-'END'
		all: $(foreach n,1 2 3 4,curl$n wget$n)
		curl%:; curl -sS $(URL) -o $@
		wget%:; env -i $(shell command -v wget) -q $(URL) -O $@
	END
	tree() {
		fenced make -s -j8 URL="http://$host:8080/hello"
		[ "$(cat curl[1-4] wget[1-4] | grep -c hello)" = 8 ]
		rm curl[1-4] wget[1-4]
	}
	each_fence 8080 tree
}

@test "python's subprocess with an empty environment keeps to the range" {
	skip_missing curl "$PYTHON"
	serve_http
	tree() {
		fenced "$PYTHON" -c '
import subprocess, sys
curl = sys.argv[1:]
subprocess.run(curl, env={}, check=True)
subprocess.run(curl, env={}, check=True, start_new_session=True, close_fds=False)
subprocess.run(curl, env={}, check=True, preexec_fn=lambda: None)
' "$(command -v curl)" -sS "http://$host:8080/hello" >out
		[ "$(grep -c hello out)" = 3 ]
	}
	each_fence 8080 tree
}

@test "perl and node start programs with an empty environment, which keep to the range" {
	skip_missing curl perl node
	serve_http
	tree() {
		local curl
		curl=$(command -v curl)
		fenced perl -e '%ENV = (); system(@ARGV) == 0 or die; exec(@ARGV)' \
			"$curl" -sS "http://$host:8080/hello" >out
		fenced node -e '
			const { spawn } = require("child_process");
			const [curl, ...args] = process.argv.slice(1);
			spawn(curl, args, { env: {}, stdio: "inherit" });
			' -- "$curl" -sS "http://$host:8080/hello" >>out
		[ "$(grep -c hello out)" = 3 ]
	}
	each_fence 8080 tree
}
