# A suite for Bats whose tests each start a real server and its clients in a lease of their own, so
# that they can run at the same time, and so can any number of runs of the suite:
#
#	bats --jobs 4 leases.bats
#
# (--jobs needs GNU parallel.) Copy it, keep in_lease, and change the tests. What they start is Debian's
# curl, python3, redis-server and redis-tools.

setup() {
	cd "$BATS_TEST_TMPDIR" || return
}

# in_lease FUNCTION [OPTION...]: runs a function in a lease, with more options of portfence run. What
# it starts in the background ends with it.
in_lease() {
	export -f "${1?}" until_ok
	portfence run --lease 20 --wait 60 "${@:2}" -- bash -euc "trap 'kill \$(jobs -p); wait' EXIT; $1"
}

# until_ok COMMAND...: tries until it succeeds, for 10 s; what it says is in `said`
until_ok() {
	for _ in $(seq 100); do
		"$@" >said 2>&1 && return
		sleep 0.1
	done
	cat said
	return 1
}

@test "a web server that is told its port gives what is in its folder" {
	told() {
		echo "$PORTFENCE_FIRST" >page
		python3 -m http.server -b 127.0.0.1 "$PORTFENCE_FIRST" >log 2>&1 &
		until_ok curl -fsS "http://127.0.0.1:$PORTFENCE_FIRST/page"
		[ "$(cat said)" = "$PORTFENCE_FIRST" ]
	}
	in_lease told
}

@test "a web server that takes any port takes one of its lease" {
	any() {
		python3 -u -m http.server -b 127.0.0.1 0 >log 2>&1 &
		until_ok grep '^Serving' log
		port=$(sed -nE 's/^Serving .* port ([0-9]+) .*/\1/p' log)
		((port >= PORTFENCE_FIRST && port <= PORTFENCE_LAST))
		curl -fsS "http://127.0.0.1:$port/" | grep 'Directory listing'
	}
	in_lease any
}

@test "a second redis is a replica of the first one" {
	replica() {
		first=$PORTFENCE_FIRST second=$((PORTFENCE_FIRST + 1))
		mkdir 1 2
		redis-server --port "$first" --dir 1 --repl-diskless-sync-delay 0 >1/log &
		redis-server --port "$second" --dir 2 --replicaof 127.0.0.1 "$first" >2/log &
		until_ok grep 'sync: Finished' 2/log
		printf '%s\n' "set token $first" 'wait 1 0' | redis-cli -p "$first"
		[ "$(redis-cli -p "$second" get token)" = "$first" ]
	}
	in_lease replica
}

# The next two have a redis of their own each, both on port 6379.

counts() {
	redis-server --save '' >log &
	until_ok redis-cli ping
	[ "$(redis-cli incr counter)" = 1 ]
	[ "$(redis-cli incr counter)" = 2 ]
}

@test "redis counts" {
	in_lease counts --map 6379
}

@test "redis counts from the beginning" {
	in_lease counts --map 6379
}
