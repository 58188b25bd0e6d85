# For tests of a supervisor: programs as a user without rights, judged from the wire.
#
#   load lib/supervise            after lib/helpers
#   fenced WAY COMMAND...         run a command as nobody, under one of $WAYS
#   within WAY                    all ports on standard input are of that way's range
#   anew                          another network namespace
#   serve                         a server at port 7000
#   observed WAY COMMAND...       what a command's calls got, in the files calls, socket_ports, wire_ports
#   judged WAY COMMAND...         observed, and within the range
#   called WAY PROGRAM ABI        the eight calls of probes/raw, each went well, and judged
#   resolves WAY COMMAND...       a command that asks our name server; its questions are in wire_ports
#   refused WAY PROGRAM HOW      UDP calls that the kernel refuses (probes/portless) fail as without a fence, and leave no
#                                port outside the range; but for those of which no supervisor hears
#   sandboxed NAME                what comes next runs behind the filter of that sandbox (probes/sandbox)
#
# shellcheck disable=SC2034,SC2154 # the tests use them; helpers.bash sets them

# The ways that are tried: a supervisor alone, and one behind the preload. "inside" is the first of them
# with a range inside the ephemeral one.
WAYS="calls both"

declare -gA VIA=([calls]=supervise [inside]=supervise [both]=both)
# Ways that have a lease of so many ports out of their range.
declare -gA LEASES=()
declare -gA RANGES=([calls]=20000-20999 [inside]=40000-40999 [both]=20000-20999)

# Other users can reach all that these tests run.
supervise_setup() {
	common_setup
	install_for_all
	cp "$PROBES"/{at_once,signalled_calls,load,matrix,overlooked_calls,portless,raw,rewrite,sandbox} "$install"
}

SANDBOX=()

sandboxed() {
	SANDBOX=("$install/sandbox" "$1")
}

# run_words WAY: how portfence is called, in RUN
run_words() {
	RUN=("${SANDBOX[@]}" "$PORTFENCE" run --via "${VIA[$1]}" --range "${RANGES[$1]}")
	if [ -n "${LEASES[$1]-}" ]; then
		RUN=("${SANDBOX[@]}" "$PORTFENCE" run --via "${VIA[$1]}" --pool "${RANGES[$1]}" --lease "${LEASES[$1]}")
	fi
}

# fenced WAY COMMAND...: as nobody
fenced() {
	run_words "$1"
	as_nobody "${RUN[@]}" -- "${@:2}"
}

# within WAY <PORTS
within() {
	all_within "${RANGES[$1]%-*}" "${RANGES[$1]#*-}"
}

anew() {
	ns_close
	ns_open
}

serve() {
	ns_background "$PROBES/matrix" serve 7000
	wait_tcp 7000
	wait_udp 7000
}

local_ports() {
	ns ss -Hntua "( sport >= :1024 and not sport = :7000 )" | awk '{ sub(/.*:/, "", $5); print $5 }'
}

# observed WAY COMMAND...: what the command tells until it says "end" is in the file calls, what ss
# shows of it in socket_ports, and what goes to port 7000 in wire_ports
observed() {
	run_words "$1"
	anew
	serve
	capture_start
	rm -f hold calls
	mkfifo hold
	chmod 1777 "$PORTFENCE_STATE"
	# shellcheck disable=SC2016 # the inner shell expands it
	ns_background bash -c 'exec "$@" <hold >calls' - "${AS_NOBODY[@]}" \
		"${RUN[@]}" -- "${@:2}"
	exec 4>hold
	wait_line '^end$' calls
	local_ports >socket_ports
	exec 4>&-
	wait "$pid"
	capture_stop
	ports_to 7000 >wire_ports
	sed -i '/^end$/d' calls
	cat calls
}

judged() {
	observed "$@"
	within "$1" <socket_ports
	within "$1" <wire_ports
}

# called WAY PROGRAM ABI: eight calls, each went well
called() {
	judged "$1" "$2" "$3" 7000
	[ "$(wc -l <calls)" = 8 ]
	[ "$(grep -c ' 0$' calls)" = 8 ]
	awk '{ print $2 }' calls | within "$1"
}

# with_dns COMMAND...: as nobody, where the only name server is ours
with_dns() {
	echo "nameserver 127.0.0.1" >resolv.conf
	echo "hosts: dns" >nsswitch.conf
	# shellcheck disable=SC2016 # the inner shell expands it
	ns unshare -m sh -c 'mount --bind resolv.conf /etc/resolv.conf
		mount --bind nsswitch.conf /etc/nsswitch.conf; exec "$@"' - "${AS_NOBODY[@]}" "$@"
}

dns_start() {
	ns_background "$ROOT/test/programs/name-server" portfence.test 127.0.0.9
	wait_udp 53
	chmod 1777 "$PORTFENCE_STATE"
}

# resolves WAY COMMAND...: it prints the address, and its questions are in the file wire_ports
resolves() {
	run_words "$1"
	anew
	dns_start
	capture_start 'port 53'
	run with_dns "${RUN[@]}" -- "${@:2}"
	echo "$output"
	grep -q '127\.0\.0\.9' <<<"$output"
	capture_stop
	ports_to 53 >wire_ports
}

# What the filter lets pass: no destination, and an address of netlink's length
UNHEARD='sendto.-(none-.*|.*-12)|connect.-.*-12'

refused() {
	ns "$2" "$3" >plain
	fenced "$1" "$2" "$3" >said
	diff <(cut -d' ' -f1,2 plain) <(cut -d' ' -f1,2 said)
	[ "$(wc -l <said)" = 432 ]
	[ "$3" = libc ] || sed -i -E "/^($UNHEARD) /d" said
	awk '$3 { print $3 }' said >socket_ports
	[ -s socket_ports ]
	within "$1" <socket_ports
}
