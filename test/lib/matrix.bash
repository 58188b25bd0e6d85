# The matrix probe under a rule, judged by what the probe sees, by ss, and by what was on the wire.
#
#   fenced_calls RANGE PROTO FAMILY [KEY=VALUE...]   one run; more keys for the rule
#   each_family RANGE PROTO [KEY=VALUE...]           with IPv4, IPv6 and IPv4 through IPv6 sockets
#
# In $before, what the command is to be run by; in $without, whether IP_LOCAL_PORT_RANGE is to be
# missing.
#
# shellcheck disable=SC2154 # helpers.bash sets them, or the test

before=()

# UDP-Lite: neither ss nor tcpdump know its ports, so they are read from /proc and from the packets.
lite_sockets() {
	ns cat /proc/net/udplite /proc/net/udplite6 | awk '$2 ~ /:/ { sub(/.*:/, "", $2); print $2 }' |
		while read -r hex; do
			[ "$hex" = 1E61 ] || echo $((16#$hex))
		done
}

lite_start() {
	ns_background tcpdump -i lo -nn -q -l -x --immediate-mode 'ip proto 136 or ip6 proto 136' \
		>lite 2>lite.err
	lite_pid=$pid
	wait_until grep -q 'listening on' lite.err
}

# The ports follow the header, which has 20 bytes in IPv4 and 40 in IPv6.
lite_stop() {
	wait_until grep -q 0x0010: lite
	kill -INT "$lite_pid"
	wait "$lite_pid" || true
	awk '/ IP / { line = "0x0010:"; word = 4 }
		/ IP6 / { line = "0x0020:"; word = 6 }
		$1 == line { print $word }' lite |
		while read -r hex; do
			echo $((16#$hex))
		done >wire_ports
}

fenced_calls() {
	local range=$1 proto=$2 family=$3 low=${1%-*} high=${1#*-}
	shift 3
	{
		printf '[matrix]\nrange = %s\n' "$range"
		printf '%s\n' "$@"
	} >matrix.ini
	ns_background "$PROBES/matrix" serve 7777
	wait_tcp 7777
	wait_udp 7777
	if [ "$proto" = udplite ]; then
		lite_start
	else
		capture_start
	fi
	mkfifo hold
	# shellcheck disable=SC2016 # the inner shell expands it
	ns_background bash -c 'exec "$@" <hold >calls' - \
		"${before[@]}" ${without:+"$PROBES/without"} "$PORTFENCE" run --config matrix.ini -- "$PROBES/matrix" "$proto" "$family" 7777
	exec 4>hold
	wait_until grep -q '^end$' calls
	if [ "$proto" = udplite ]; then
		lite_sockets >socket_ports
	else
		ns ss -Hntua "( sport >= :1024 and not sport = :7777 )" |
			awk '{ sub(/.*:/, "", $5); print $5 }' >socket_ports
	fi
	exec 4>&-
	wait "$pid"
	if [ "$proto" = udplite ]; then
		lite_stop
	else
		capture_stop
		ports_to 7777 >wire_ports
	fi
	sed -i '/^end$/d' calls
	cat calls
	# every line is "call proto family port 0"
	awk -v low="$low" -v high="$high" '
		NF != 5 || $5 != "0" || $4 < low || $4 > high { print "bad: " $0; bad = 1 }
		END { exit bad || NR < 5 }' calls
	all_within "$low" "$high" <socket_ports
	all_within "$low" "$high" <wire_ports
}

each_family() {
	local family
	for family in 4 6 mapped; do
		ns_close
		ns_open
		rm -f hold
		fenced_calls "$1" "$2" "$family" "${@:3}" || return 1
	done
}
