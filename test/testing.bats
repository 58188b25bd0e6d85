#!/usr/bin/env bats
#
# conf/examples/testing: what is there for testers is run as it stands, copied from where it is
# installed, in a root of the test's own; and judged from outside.

# shellcheck disable=SC2016 # what an inner shell expands
bats_require_minimum_version 1.5.0
load lib/helpers
load lib/root

setup() {
	common_setup
	skip_missing curl make nginx parallel psql redis-server
	root_open
	in_root make --no-print-directory -C "$ROOT" BUILD="$BUILD" install >install.log
	as root
}

# as USER: copies the example for this user, who runs it from then on
as() {
	user=(setpriv --reuid "$1" --regid "$(id -g "$1")" --clear-groups
		env -i HOME="/home/of-$1" PATH=/usr/local/bin:/usr/bin:/bin LC_ALL=C.UTF-8
		sh -c 'cd && exec "$@"' sh)
	in_root mkdir -p "/home/of-$1"
	in_root sh -c 'cp /usr/local/share/doc/portfence/examples/testing/* "$1" &&
		chown -R "$2" "$1" && chmod 700 "$1"' sh "/home/of-$1" "$1"
}

run_it() {
	in_root "${user[@]}" "$@"
}

# Likewise in the background; its process id is in $pid.
run_beside() {
	ns_background nsenter -t "$root_pid" -m -n -- chroot "$root/all" "${user[@]}" "$@"
}

# What portfence would have done, but for the ports
without_portfence() {
	cat >"$(root_files)/usr/local/bin/portfence" <<-'END'
		#!/bin/bash
		while [ "$1" != -- ]; do shift; done
		shift
		PORTFENCE_FIRST=20000 PORTFENCE_LAST=20099 PORTFENCE_MAP_8080=20099 exec "$@"
	END
}

# Somebody else has the port already.
occupy() {
	ns_background "$@" >occupied 2>&1
}

no_leases() {
	[ "$(run_it portfence leases --json | python3 -c 'import json, sys; print(json.load(sys.stdin)["leases"])')" = '[]' ]
}

# Who listens, as "PORT PROGRAM", each once
listening() {
	ns ss -Hltnp | sed -nE 's/^LISTEN +[0-9]+ +[0-9]+ +[^ ]+:([0-9]+) .*\(\("([^"]+)".*/\1 \2/p' | sort -u
}

blocks() {
	run_it portfence leases --json | python3 -c 'import json, sys
for lease in json.load(sys.stdin)["leases"]: print(lease["first"], lease["last"])'
}

all_are_up() {
	listening >up
	[ "$(grep -c " $1\$" up)" = 8 ] || return 1
	blocks >leased
	[ "$(wc -l <leased)" = 8 ]
}

# copies SERVER PROGRAM PORT CONNECTIONS: eight of them at once, each asked as often by its clients
copies() {
	# what begins a connection, and its answer
	capture_start 'tcp[13] & 2 != 0 or (ip6[6] == 6 and ip6[53] & 2 != 0)'
	run_beside make -j8 "$1" >make.log 2>&1
	until all_are_up "$2"; do
		kill -0 "$pid" || { cat make.log; return 1; }
	done
	# eight ports, and none of them the one that each thinks it has
	run -1 grep -vE "^2[0-9]{4} $2\$" up
	cut -d' ' -f1 up | diff - <(cut -d' ' -f2 leased | sort)
	run -1 grep "^$3 " up
	wait "$pid" || { cat make.log; return 1; }
	capture_stop
	# each connection stays within a block
	sed -nE 's/^.* IP6? [^ ]+\.([0-9]+) > [^ ]+\.([0-9]+): tcp .*/\1 \2/p' "$capture" |
		awk -v wanted="$4" '
			FNR == NR { for (i = $1; i <= $2; i++) block[i] = $1; server[$2]; next }
			!($1 in block) || !($2 in block) || block[$1] != block[$2] { print "astray: " $0; bad = 1 }
			$2 in server { clients[$2]++ }
			END {
				for (i in server)
					if (clients[i] < wanted) { print i " has " clients[i] + 0 " clients"; bad = 1 }
				exit bad
			}' leased -
	wait_until no_leases
}

@test "eight copies of redis at once, each on port 6379, talk to their own clients alone" {
	copies redis redis-server 6379 41
}

@test "eight copies of nginx at once, each on port 80, talk to their own clients alone" {
	copies nginx nginx 80 41
}

@test "eight copies of PostgreSQL at once, each on port 5432, talk to their own clients alone" {
	copies postgresql postgres 5432 22
}

@test "all 24 at once, for a user without rights" {
	as nobody
	run_it make -j24 >make.log 2>&1 || { cat make.log; return 1; }
	[ "$(grep -c '^portfence run' make.log)" = 24 ]
	wait_until no_leases
}

@test "a copy's test fails without portfence if another program has its port, and passes with it" {
	local server port
	as nobody
	for server in nginx:80 postgresql:5432 redis:6379; do
		port=${server#*:} server=${server%:*}
		run_it mkdir -p met
		occupy socat "TCP-LISTEN:$port,fork" /dev/null
		wait_tcp "$port"
		run_it portfence run --lease 100 --map "$port" -- sh -eu "./$server.sh" "$server" 1 1
		run_it rm -r met
		run -1 run_it sh -eu "./$server.sh" "$server" 1 1
	done
}

@test "the Bats suite passes, its tests side by side, and fails without portfence" {
	occupy redis-server --save ''
	wait_tcp 6379
	as nobody
	run_it bats leases.bats
	run_it bats --jobs 5 leases.bats
	wait_until no_leases
	without_portfence
	run -1 run_it bats -f 'redis counts' leases.bats
}

@test "two runs of the Bats suite at once pass" {
	as nobody
	run_beside bats leases.bats >beside
	run_it bats leases.bats
	wait "$pid" || { cat beside; return 1; }
	wait_until no_leases
}

@test "the Python suite passes, and fails without portfence" {
	occupy python3 -m http.server 8080
	wait_tcp 8080
	as nobody
	run_it python3 test_leases.py
	run_it portfence run --lease 20 --map 8080 -- python3 -m unittest test_leases.Told
	wait_until no_leases
	without_portfence
	run -1 run_it python3 test_leases.py
	[[ "$output" == *"Address already in use"* || "$output" == *"'Serving HTTP' not found"* ]]
}
