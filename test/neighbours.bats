#!/usr/bin/env bats
#
# Nobody waits for somebody else: a program whose call waits, for as long as it likes, holds up no call of
# another's.

# shellcheck disable=SC2016 # inner shells expand it
bats_require_minimum_version 1.5.0
load lib/helpers

RANGE=20000-20999

setup() {
	common_setup
	install_for_all
	cp "$PROBES"/{raw,rights} "$install"
}

# beside "SAID" PROBE...: starts the probe under root's supervisor, with $log; once it has said that, all calls
# of another program of the same tree are made, $times times
beside() {
	local said=$1
	shift
	export TIMES=${times:-1}
	mkfifo hold go
	ns_background sh -c 'exec "$@" <go 2>errors' - ${descriptors:+prlimit "--nofile=$descriptors:$descriptors"} "$PORTFENCE" run --via supervise --order random --range $RANGE --map 8000 --log "${log:-none}" -- \
		sh -c '"$@" <hold >said & probe=$!; read line; for i in $(seq "$TIMES"); do "$0" native 7000; done >calls; echo end >>calls; wait $probe' "$install/raw" "$@"
	exec 5>go 4>hold
	wait_until grep -qx "$said" said
	echo >&5
	wait_until grep -qx end calls
	kill -0 "$pid"
	exec 4>&-; exec 5>&-
	wait "$pid"
	cat errors calls
	[ "$(grep -c ' 0$' calls)" = $((8 * TIMES)) ]
}

@test "a call that waits for memory delays no other" {
	ns_background /usr/bin/python3 -m http.server --bind 127.0.0.1 7000
	wait_tcp 7000
	beside held "$install/rights" hold page
}

@test "a call that waits for a locked socket delays no other" {
	ns_background /usr/bin/python3 -m http.server --bind 127.0.0.1 7000
	wait_tcp 7000
	beside held "$install/rights" hold lock
}

@test "1,200 calls that wait for memory delay no other" {
	ns_background /usr/bin/python3 -m http.server --bind 127.0.0.1 7000
	wait_tcp 7000
	beside held "$install/rights" hold page 1200
}

@test "a user's calls that wait for memory leave descriptors for another user's" {
	ns_background /usr/bin/python3 -m http.server --bind 127.0.0.1 7000
	wait_tcp 7000
	descriptors=256 beside held "$install/rights" hold page 400 65534
}

@test "a program whose standard error cannot be looked at delays no line of another's" {
	[ -e /dev/fuse ] || skip "this machine has no FUSE"
	ns_background /usr/bin/python3 -m http.server --bind 127.0.0.1 7000
	wait_tcp 7000
	log=stderr beside held "$install/rights" hold stderr
}

@test "a program that keeps the file locked in which standard error ends delays no line of another's" {
	ns_background /usr/bin/python3 -m http.server --bind 127.0.0.1 7000
	wait_tcp 7000
	log=stderr beside held "$install/rights" hold file
}

@test "a process that stalls calls, storms connects and is killed again and again delays no other" {
	ns_background /usr/bin/python3 -m http.server --bind 127.0.0.1 7000
	wait_tcp 7000
	times=40 beside storms "$install/rights" storm
}

@test "300 connects of a map that wait delay no other" {
	ns_background /usr/bin/python3 -m http.server --bind 127.0.0.1 7000
	wait_tcp 7000
	beside '300 wait' "$install/rights" wait 300
}

@test "a mapped connect that is half made when its process is killed delays no other" {
	run -0 ns "$PORTFENCE" run -q --via supervise --range $RANGE --map 8000,8001 -- "$install/rights" linger
	[ "$output" = 0 ]
}

@test "1,024 messages of which the last is mapped are sent by one call" {
	run ns "$PORTFENCE" run --via supervise --range $RANGE --map 8000 -- "$install/rights" batch
	[ "${lines[*]}" = "sent 1024 none 0" ]
}
