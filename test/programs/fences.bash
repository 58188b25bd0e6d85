# What the tests of real programs share: two fences, and what was seen of them on the wire.
#
#   load lib/helpers
#   load programs/fences       in this order, as it has a setup of its own
#   each_fence PORT FUNCTION   run it with each engine, over IPv4 and IPv6; judge what was seen
#   fenced COMMAND...          run a command in the fence at hand (fenced_server: in the server's)
#   seen_only PORTS...         nothing but these was on the wire, and each of them was
#   ports_of PID...            the local ports that these processes hold, as the kernel says
#
# FUNCTION finds in $address and $host (the same, as it stands in a URL) where the server is, in
# $range the ports that it may use, and in $server_range those of a fenced server.

# shellcheck shell=bash
# shellcheck disable=SC2034 # the variables that the tests use
# shellcheck disable=SC2154 # and those that the helpers set

PYTHON=/usr/bin/python3
PROGRAMS=$ROOT/test/programs

# Outside the system's range only the bind engine serves. Inside it both do, so one is asked for.
# A server and a client get ranges of their own, so that the capture can tell them apart.
write_configuration() {
	mkdir -p "$XDG_CONFIG_HOME"
	cat >"$XDG_CONFIG_HOME/portfence.ini" <<-'END'
		[bind]
		range  = 20000-20019
		engine = bind

		[bind-server]
		range  = 21000-21019
		engine = bind

		[kernel]
		range  = 40000-40019
		engine = kernel

		[kernel-server]
		range  = 41000-41019
		engine = kernel

		[auto]
		range = 42000-42019

		[auto-server]
		range = 43000-43019

		[rpc-allow]
		range = 111

		[rpc-own]
		range = 111
		bind  = own
	END
}

setup() {
	common_setup
	write_configuration
	# neither the user's settings nor a proxy of the machine's belong into a test
	export HOME=$BATS_TEST_TMPDIR GIT_CONFIG_NOSYSTEM=1
	unset http_proxy https_proxy ftp_proxy all_proxy HTTP_PROXY HTTPS_PROXY FTP_PROXY ALL_PROXY
	ADDRESSES=(127.0.0.1)
	ANY=0.0.0.0
	# where there is none but the loopback's own address, getaddrinfo(3) with AI_ADDRCONFIG has none
	ns ip address add 192.0.2.1/32 dev lo
	if ns ip -6 address show dev lo | grep -q ::1/; then
		ns ip address add 2001:db8::1/128 dev lo nodad
		ADDRESSES+=(::1)
		ANY=::
	fi
}

enter_fence() {
	engine=$1
	case $engine in
	bind)
		range=20000-20019
		server_range=21000-21019
		;;
	kernel)
		range=40000-40019
		server_range=41000-41019
		;;
	auto)
		range=42000-42019
		server_range=43000-43019
		;;
	esac
}

enter_address() {
	address=$1
	host=$1
	[[ $1 != *:* ]] || host="[$1]"
}

fenced() {
	ns "$PORTFENCE" run --app "$engine" -- "$@"
}

fenced_background() {
	ns_background "$PORTFENCE" run --app "$engine" -- "$@"
}

fenced_server() {
	ns_background "$PORTFENCE" run --app "$engine-server" -- "$@"
}

each_engine() {
	local one
	for one in bind kernel; do
		enter_fence "$one"
		echo "engine $engine, range $range:"
		"$@"
	done
}

each_address() {
	local one
	for one in "${ADDRESSES[@]}"; do
		enter_address "$one"
		echo "address $address:"
		"$@"
	done
}

captured() {
	local port=$1
	shift
	capture_start 'not port 53'
	"$@"
	capture_stop
	seen_only "$range" "$port"
}

each_fence() {
	each_engine each_address captured "$@"
}

# Every port of every packet lies in one of the sets (a port, or a range), and every set was met:
# the namespace is the test's own, so nobody else's packets are in the capture.
seen_only() {
	grep -q ' > ' "$capture"
	sed -nE 's/^.* IP6? [^ ]+\.([0-9]+) > [^ ]+\.([0-9]+): .*/\1\n\2/p' "$capture" | sort -nu |
		awk -v sets="$*" '
			BEGIN {
				n = split(sets, set, " ")
				for (i = 1; i <= n; i++) {
					split(set[i] "-" set[i], ends, "-")
					low[i] = ends[1] + 0
					high[i] = ends[2] + 0
				}
			}
			{
				ok = 0
				for (i = 1; i <= n; i++)
					if ($1 >= low[i] && $1 <= high[i])
						ok = met[i] = 1
				if (!ok) { print "seen on the wire, but in none of " sets ": port " $1; bad = 1 }
			}
			END {
				for (i = 1; i <= n; i++)
					if (!met[i]) { print "not seen on the wire: " set[i]; bad = 1 }
				exit bad
			}'
}

ports_of() {
	local one
	for one in "$@"; do
		ns ss -Htuanp | awk -v holder="pid=$one," 'index($0, holder) { sub(/.*:/, "", $5); print $5 }'
	done | sort -nu
}

holds_port() {
	[ -n "$(ports_of "$1")" ]
}

is_connected() {
	ns ss -Htnp state established | grep -q "pid=$1,"
}

# Ends a process that ns_background started, now rather than at the end of the test.
stop() {
	kill "$1" 2>/dev/null || true
	wait "$1" || true
}

# within_range RANGE: all_within, in the notation of the configuration
within_range() {
	all_within "${1%-*}" "${1#*-}"
}

serve_http() {
	mkdir -p www
	printf 'hello\n' >www/hello
	head -c 1000000 /dev/zero >www/large
	ns_background "$PYTHON" "$ROOT/test/demo/server" "$ANY" 8080 www http.log
	wait_tcp 8080
}

serve_echo() {
	ns_background "$PYTHON" "$PROGRAMS/echo-server" "$ANY" 7000
	wait_tcp 7000
	wait_udp 7000
}
