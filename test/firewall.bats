#!/usr/bin/env bats
#
# `portfence rules`: its text is loaded into the kernel, and what is counted and dropped is what went
# over the wire.

bats_require_minimum_version 1.5.0
load lib/helpers

# Each packet that begins something, over each protocol and family, to a port where nobody is.
write_sender() {
	cat >"$1" <<-'END'
		import socket, sys
		udplite, sctp = 136, 132
		kinds = {"tcp": (socket.SOCK_STREAM, 0), "udp": (socket.SOCK_DGRAM, 0),
		         "udplite": (socket.SOCK_DGRAM, udplite), "sctp": (socket.SOCK_STREAM, sctp)}
		for word in sys.argv[1:]:
		    name, family = word[:-1], word[-1]
		    kind, protocol = kinds[name]
		    s = socket.socket(socket.AF_INET if family == "4" else socket.AF_INET6, kind, protocol)
		    s.setblocking(False)
		    try:
		        s.connect(("127.0.0.1" if family == "4" else "::1", 9000))
		        s.send(b"x")
		    except OSError:
		        pass  # refused, in progress, or dropped: the wire tells
	END
}

write_sections() {
	cat >sections.ini <<-'END'
		[erp]
		match     = python3*
		range     = 21000-21499, 22000
		udp.range = 21500-21999
		[a-b]
		range = 23000-23999
		[a_b]
		range = 24000-24099
		[*]
		range = 25000-25099
	END
}

setup() {
	common_setup
	install_for_all
	write_sections
	write_sender send.py
}

# rules ARGUMENT...: as root
rules() {
	"$PORTFENCE" rules --config sections.ini "$@"
}

fenced() {
	as_nobody "$PORTFENCE" run --config sections.ini --app erp --log none -- /usr/bin/python3 send.py "$@"
}

unfenced() {
	as_nobody /usr/bin/python3 send.py "$@"
}

# How many packets a counter of nftables has
packets() {
	ns nft list counter inet portfence "$1" | sed -nE 's/.*packets ([0-9]+) .*/\1/p'
}

# grows COUNTER COMMAND...: how many packets more it has afterwards
grows() {
	local before
	before=$(packets "$1")
	"${@:2}"
	echo $(($(packets "$1") - before))
}

# What the rules of iptables with a comment have counted: told IPTABLES CHAIN COMMENT
told() {
	ns "$1" -t mangle -nvxL "$2" | awk -v comment="/* $3 */" 'index($0, comment) && !/MARK/ { n += $1 } END { print n + 0 }'
}

@test "nft takes the table, and loading it again replaces it" {
	skip_missing nft
	rules --user nobody --mark 1 >table
	ns nft -c -f table
	ns nft -f table
	ns nft -f table
	[ "$(ns nft list tables)" = 'table inet portfence' ]
	# two sections whose names are one to nft have tables of their own
	ns nft list set inet portfence a_b_tcp | grep -q 23000-23999
	ns nft list set inet portfence a_b_2_tcp | grep -q 24000-24099
	ns nft list set inet portfence any_tcp | grep -q 25000-25099
	rules erp | ns nft -f -
	run -1 ns nft list set inet portfence a_b_tcp
}

@test "what begins within the range is counted and marked, in each protocol and family" {
	skip_missing nft
	needs_ipv6
	rules --mark 0x20 erp | ns nft -f -
	# another table sees the mark, as a firewall's own would
	ns nft -f - <<-'END'
		table inet own {
			counter marked { }
			chain output {
				type filter hook output priority filter; policy accept;
				meta mark 0x20 counter name marked
			}
		}
	END
	for protocol in tcp udp udplite; do
		[ "$(grows erp_out fenced "${protocol}4")" = 1 ]
		[ "$(grows erp_out fenced "${protocol}6")" = 1 ]
		[ "$(grows erp_out unfenced "${protocol}4" "${protocol}6")" = 0 ]
	done
	ns nft list counter inet own marked | grep -q 'packets 6 '
	# the resets of a port where nobody listens come back to the range
	[ "$(packets erp_in)" -ge 2 ]
}

@test "what begins within the range is counted for SCTP as well" {
	skip_missing nft
	needs_sctp
	rules erp | ns nft -f -
	[ "$(grows erp_out fenced sctp4)" -ge 1 ]
	[ "$(grows erp_out unfenced sctp4)" = 0 ]
}

@test "what a user sends from outside the range is counted, and with --drop never leaves" {
	skip_missing nft
	rules --user nobody erp | ns nft -f -
	[ "$(grows erp_outside fenced tcp4 udp4 udplite4)" = 0 ]
	[ "$(grows erp_outside unfenced tcp4 udp4 udplite4)" = 3 ]
	# another user's is none of it
	[ "$(grows erp_outside ns /usr/bin/python3 send.py tcp4 udp4)" = 0 ]
	rules --user erp=65534 --drop erp | ns nft -f -
	capture_start 'port 9000'
	fenced tcp4 udp4
	unfenced tcp4 udp4 tcp4 udp4
	capture_stop
	ports_to 9000 | all_within 21000 22000
	[ "$(packets erp_out)" = 2 ]
	[ "$(packets erp_outside)" -ge 4 ]
}

@test "a server of that user answers from its own port all the same" {
	skip_missing nft
	rules --user nobody --drop erp | ns nft -f -
	ns_background setpriv --reuid 65534 --regid 65534 --clear-groups \
		/usr/bin/python3 -m http.server -b 127.0.0.1 8000 >/dev/null 2>&1
	wait_tcp 8000
	[ "$(ns curl -so /dev/null -w '%{http_code}' http://127.0.0.1:8000/)" = 200 ]
	[ "$(packets erp_outside)" = 0 ]
}

# in_unit COMMAND...: as systemd has it, in a control group of its own, which nft looks for in /sys/fs/cgroup
in_unit() {
	# shellcheck disable=SC2016 # the inner shell expands it
	ns unshare -m sh -ec '
		mount -t cgroup2 none /sys/fs/cgroup
		unit=portfence-test-$$.slice/portfence-test.service
		cd /sys/fs/cgroup
		own=$PWD$(sed -n s/^0:://p /proc/self/cgroup)
		trap "echo 0 >\"$own/cgroup.procs\"; rmdir $unit ${unit%/*}" EXIT
		mkdir -p "$unit"
		nft add element inet portfence erp_units "{ \"$unit\" }"
		echo 0 >"$unit/cgroup.procs"
		cd "$OLDPWD"
		"$@"' sh "$@"
}

@test "what a unit sends from outside the range is counted, once its control group is in the set" {
	skip_missing nft
	rules erp | ns nft -f -
	ns unshare -m mount -t cgroup2 none /sys/fs/cgroup 2>/dev/null || skip 'there is no cgroup2 to mount'
	[ "$(grows erp_outside in_unit /usr/bin/python3 send.py tcp4 udp4)" = 2 ]
	[ "$(grows erp_outside ns /usr/bin/python3 send.py tcp4 udp4)" = 0 ]
}

@test "iptables and ip6tables take the same text, and it counts and drops the same packets" {
	skip_missing iptables-restore ip6tables-restore
	needs_ipv6
	rules --iptables --user nobody --mark 0x20 --drop erp >text
	for one in iptables ip6tables; do
		ns "$one-restore" --test --noflush text
		ns "$one-restore" --noflush text
		ns "$one" -t mangle -A OUTPUT -j portfence-out
		ns "$one" -t mangle -A INPUT -j portfence-in
		# again, as after a change
		ns "$one-restore" --noflush text
	done
	capture_start 'port 9000'
	fenced tcp4 udp4 udplite4 tcp6 udp6 udplite6
	unfenced tcp4 udp4 tcp6 udp6
	capture_stop
	ports_to 9000 | all_within 21000 22000
	for one in iptables ip6tables; do
		[ "$(told "$one" portfence-begun '[erp]')" = 3 ]
		[ "$(told "$one" portfence-begun 'outside [erp]')" -ge 2 ]
		[ "$(told "$one" portfence-in '[erp]')" -ge 1 ]
	done
}

@test "a range of many pieces is split into rules of 15 ports, and none is left out" {
	skip_missing iptables-restore
	printf '[x]\nrange = %s\n' "$(seq -s, 30000 2 30098)" >sections.ini
	printf '[y]\nrange = %s\n' "$(seq -f '%g+2' -s, 31000 4 31080)" >>sections.ini
	rules --iptables >text
	ns iptables-restore --test --noflush text
	diff <(seq 30000 2 30098) <(grep -oE 'begun -p tcp .* --sports [0-9,]+ .*\[x\]' text |
		grep -oE -- '--sports [0-9,]+' | tr -c '0-9\n' '\n' | grep .)
	[ "$(grep -oE 'begun -p udp .*\[y\]' text | grep -oE '31[0-9]+:31[0-9]+' | wc -l)" = 21 ]
}

@test "the JSON has each port, user and mark" {
	rules --json --user nobody,erp=4711 --mark 7 erp a-b | python3 -c '
import json, sys
all = json.load(sys.stdin)
assert all["format"] == 1 and all["file"].endswith("sections.ini"), all
erp, other = all["applications"]
assert erp["name"] == "erp" and erp["mark"] == 7 and erp["users"] == [65534, 4711], erp
assert erp["tcp"] == erp["sctp"] == [{"first": 21000, "last": 21499}, {"first": 22000, "last": 22000}]
assert erp["udp"] == [{"first": 21500, "last": 21999}]
assert other["name"] == "a-b" and other["mark"] == 8 and other["users"] == [65534], other
'
	rules --json erp | grep -q '"mark": null'
}

@test "a lease has no ports to name: an error by name, a warning otherwise" {
	printf '[l]\nrange = lease\n' >>sections.ini
	run -1 rules l
	[ "$output" = "portfence: [l] has 'range = lease', so its ports change with each run and no rule can name them; give it a range of its own" ]
	run -0 --separate-stderr rules
	[ "$stderr" = "portfence: warning: [l] is left out: it has 'range = lease', so its ports change with each run" ]
	[[ $output != *l_tcp* ]]
	printf '[l]\nrange = lease\n' >sections.ini
	run -1 --separate-stderr rules
	[ "$output" = '' ]
	[ "${stderr_lines[1]}" = 'portfence: no section of sections.ini has ports of its own' ]
}

@test "what cannot be is refused, and nothing is printed" {
	refused() {
		run "-$1" --separate-stderr rules "${@:3}"
		echo "$stderr"
		[ "$output" = '' ]
		[ "$stderr" = "portfence: $2" ]
	}
	refused 1 "--user: there is no user 'nosuchuser'" --user nosuchuser
	refused 1 "--user: there is no user '4294967295'" --user 4294967295
	refused 1 "--user: there is no user ''" --user nobody,
	refused 1 '--user: there is no section [web] among those that are printed' --user web=nobody erp
	refused 1 "--mark: '0' is no mark, write a number such as 1 or 0x100" --mark 0
	refused 1 "--mark: '4294967295' is no mark, write a number such as 1 or 0x100" --mark 4294967295
	refused 1 "there is no section [epr] in sections.ini; did you mean [erp]?" epr
	refused 1 "there is no unit 'nosuchunit'; a service's name or its file is wanted" --systemd nosuchunit erp
	refused 2 "a unit is fenced by one section, name it after '--systemd x', see 'portfence rules --help'" --systemd x
	refused 2 "'--nft', '--iptables', '--systemd' and '--json' do not go together, see 'portfence rules --help'" --nft --json
	refused 2 "'--drop' needs '--user', else nothing would be dropped, see 'portfence rules --help'" --iptables --drop
	printf '[x]\nmatch = y\n' >sections.ini
	run -1 rules
	[[ $output == *"sections.ini:1: [x] has no 'range'"* ]]
	printf '[x]\nrange = iana\n' >sections.ini
	run -1 bash -c "'$PORTFENCE' rules --config sections.ini >/dev/full"
	[[ $output == *'cannot write: No space left on device'* ]]
}

@test "a name that would end a comment does no harm" {
	skip_missing nft
	mkdir $'a\nb'
	printf '[a"b]\nrange = 20000\n' >$'a\nb/x.ini'
	"$PORTFENCE" rules --config $'a\nb/x.ini' >table
	ns nft -c -f table
	"$PORTFENCE" rules --iptables --config $'a\nb/x.ini' >text
	ns iptables-restore --test --noflush text
}

@test "a unit's drop-in has each of its commands with the fence in front" {
	cat >my@.service <<-'END'
		[Service]
		ExecStart=/bin/false
		ExecStart=
		ExecStart=-/bin/true a \
		# among lines that go on
			b %i
		ExecStart = !!/bin/echo $HOME
		ExecStartPre=/bin/sleep 0
	END
	run -0 rules --systemd "$PWD/my@.service" erp
	echo "$output"
	grep -qx "ExecStart=-$PORTFENCE run -- /bin/true a  b %i" <<<"$output"
	grep -qx "ExecStart=!!$PORTFENCE run -- /bin/echo \$HOME" <<<"$output"
	grep -qx 'Environment="PORTFENCE_APP=erp"' <<<"$output"
	grep -qx "Environment=\"PORTFENCE_CONFIG=$PWD/sections.ini\"" <<<"$output"
	grep -qx 'NFTSet=cgroup:inet:portfence:erp_units' <<<"$output"
	grep -q "bind = allow" <<<"$output"
	[[ $output != *SocketBindDeny=tcp* && $output != *sleep* ]]
	# the one that the unit takes back is taken back here
	[ "$(sed -n '/^ExecStart=/p' <<<"$output" | tail -n +4 | wc -l)" = 2 ]
	# what nothing may bind to, but port 0
	printf '[own]\nrange = 21000-21499, 22000, 65535\nbind = own\n' >sections.ini
	diff <(rules --systemd "$PWD/my@.service" | grep ^Socket) - <<-'END'
		SocketBindDeny=tcp:1-20999
		SocketBindDeny=tcp:21500-21999
		SocketBindDeny=tcp:22001-65534
		SocketBindDeny=udp:1-20999
		SocketBindDeny=udp:21500-21999
		SocketBindDeny=udp:22001-65534
	END
	printf '[Service]\nExecStart=@/bin/true yes\n' >my@.service
	run -1 rules --systemd "$PWD/my@.service"
	[[ $output == *"'ExecStart=@' gives the program another name"* ]]
	: >my@.service
	run -1 rules --systemd "$PWD/my@.service"
	[[ $output == *"has no 'ExecStart=' to fence" ]]
}
