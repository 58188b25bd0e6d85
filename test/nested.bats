#!/usr/bin/env bats
#
# A `portfence run` inside another one: leases, states, ranges and maps of its own. As a user without rights,
# judged from the wire.

# shellcheck disable=SC2016,SC2030,SC2031,SC2034 # inner shells expand it; each test is a process of its own
bats_require_minimum_version 1.5.0
load lib/helpers
load lib/supervise

WAYS="auto preload both"

setup_file() {
	chmod a+x "$BATS_RUN_TMPDIR" "$BATS_FILE_TMPDIR"
	cc -std=gnu11 -D_GNU_SOURCE -static -pthread -o "$BATS_FILE_TMPDIR/unborn-static" "$BATS_TEST_DIRNAME/probes/unborn.c"
}

setup() {
	supervise_setup
	cp "$PROBES/lease_holder" "$install"
	chmod 1777 "$PORTFENCE_STATE" "$BATS_TEST_TMPDIR"
}

teardown() {
	local file
	for file in "$PORTFENCE_STATE"/pid.*; do
		[ ! -s "$file" ] || kill -KILL "$(cat "$file")" 2>/dev/null || true
	done
	ns_close
}

# outer WAY COMMAND...: a run with a lease of 1000 ports
outer() {
	as_nobody "$PORTFENCE" run --via "$1" --lease 1000 --pool 20000-20999 -- "${@:2}"
}

inner=(run -q --lease 10 --pool 21000-21999)

# The blocks that are leased, in one line
are_leased() {
	[ "$(as_nobody "$PORTFENCE" leases | awk '/^[0-9]+-[0-9]+ / { print $1 }' | xargs)" = "$*" ]
}

@test "a run inside has a lease of its own, as long as anything of it lives" {
	local way within
	for way in $WAYS; do
		for within in auto preload; do
			outer "$way" sh -c '"$@" -- sh -c "echo \$PORTFENCE_RANGE; setsid -f sh -c \"echo \\\$\\\$ >\\\"\$PORTFENCE_STATE/pid.1\\\"; \
				exec env -i sleep infinity\" </dev/null >/dev/null 2>&1 3>&-"' - "$PORTFENCE" "${inner[@]}" \
				--via "$within" >said
			[ "$(cat said)" = 21000-21009 ]
			wait_until test -s "$PORTFENCE_STATE/pid.1"
			# what is left of the inner run is of the outer one, too
			are_leased 20000-20999 21000-21009
			kill -KILL "$(cat "$PORTFENCE_STATE/pid.1")"
			rm "$PORTFENCE_STATE/pid.1"
			wait_until are_leased
		done
	done
}

@test "a lease inside a lease inside a lease: the ones around it last as long as it does" {
	local in="$PORTFENCE run -q --via preload --lease 10 --pool"
	as_nobody $in 20000-20999 -- $in 21000-21999 -- $in 22000-22999 -- sh -c 'echo $PORTFENCE_RANGE
		setsid -f sh -c "echo \$\$ >\"\$PORTFENCE_STATE/pid.1\"; exec sleep infinity" </dev/null >/dev/null 2>&1 3>&-' >said
	[ "$(cat said)" = 22000-22009 ]
	wait_until test -s "$PORTFENCE_STATE/pid.1"
	are_leased 20000-20009 21000-21009 22000-22009
	kill -KILL "$(cat "$PORTFENCE_STATE/pid.1")"
	wait_until are_leased
}

@test "many tests at once have a lease each inside one leased job, and all are given back" {
	local way
	cat >Makefile <<-'END'
		.RECIPEPREFIX = >
		check: $(addprefix test,$(shell seq 60))
		test%:
		> @"$(PORTFENCE)" run -q --lease 10 --pool 21000-21999 --wait 60 -- sh -c 'echo $$PORTFENCE_RANGE; \
				exec python3 -c "import socket, os; \
				print(socket.create_server((\"127.0.0.1\", 0)).getsockname()[1], os.environ[\"PORTFENCE_FIRST\"])"'
	END
	for way in $WAYS; do
		outer "$way" make -j8 PORTFENCE="$PORTFENCE" check >said
		[ "$(wc -l <said)" = 120 ]
		# each port is of its own lease
		awk 'NF == 2 { n++; if ($1 < $2 || $1 > $2 + 9 || $2 < 21000) { print; bad = 1 } } END { exit bad || n != 60 }' said
		wait_until are_leased
	done
}

@test "two runs inside never have the same block" {
	outer auto sh -c 'for i in 1 2 3 4 5 6 7 8; do "$@" -- sh -c "echo \$PORTFENCE_RANGE; read -r end" <hold & done; wait' - \
		"$PORTFENCE" "${inner[@]}" >said &
	local job=$!
	rm -f hold
	mkfifo hold
	chmod a+r hold
	exec 4>hold
	all_begun() { [ "$(wc -l <said)" = 8 ]; }
	wait_until all_begun
	[ "$(sort -u said | wc -l)" = 8 ]
	exec 4>&-
	wait "$job"
	wait_until are_leased
}

@test "if the command inside, what holds its lease, or the job is killed, leases end with their runs" {
	local who
	for who in command holder job; do
		ns_background "${AS_NOBODY[@]}" "$PORTFENCE" run --lease 1000 --pool 20000-20999 -- \
			sh -c 'echo $$ >"$PORTFENCE_STATE/pid.1"; "$@"; exec sleep infinity' - "$PORTFENCE" "${inner[@]}" -- \
			sh -c 'echo $$ >"$PORTFENCE_STATE/pid.2"; exec sleep infinity'
		wait_until test -s "$PORTFENCE_STATE/pid.2"
		are_leased 20000-20999 21000-21009
		case $who in
		command)
			kill -KILL "$(cat "$PORTFENCE_STATE/pid.2")"
			wait_until are_leased 20000-20999
			;;
		holder)
			kill -KILL "$(pgrep -xf "portfence: holds for process $(cat "$PORTFENCE_STATE/pid.2")")"
			wait_until are_leased 20000-20999
			kill -KILL "$(cat "$PORTFENCE_STATE/pid.2")"
			;;
		job)
			kill -KILL "$(cat "$PORTFENCE_STATE/pid.1")"
			# the tree lives on in what runs inside
			are_leased 20000-20999 21000-21009
			kill -KILL "$(cat "$PORTFENCE_STATE/pid.2")"
			;;
		esac
		kill -KILL "$(cat "$PORTFENCE_STATE/pid.1")" || true
		wait_until are_leased
		rm "$PORTFENCE_STATE"/pid.*
	done
}

@test "--fresh inside a run gives the same ports each time, and so does 'range = lease'" {
	local way
	printf '[portfence]\npool = 21000-21999\n[*]\nrange = lease 5\n' >lease.ini
	cat >ports.py <<-'END'
		import socket
		kept = [socket.create_server(("127.0.0.1", 0)) for i in range(5)]
		print(*[one.getsockname()[1] for one in kept])
	END
	for way in $WAYS; do
		outer "$way" sh -c 'for i in 1 2; do "$0" run -q --fresh --range 21000-21099 -- python3 ports.py; done
			"$0" run -q --config lease.ini -- python3 ports.py | xargs -n 1 | sort | xargs' "$PORTFENCE" >said
		cat said
		[ "$(sed -n 1p said)" = "$(sed -n 2p said)" ]
		sed -n 1p said | tr ' ' '\n' | all_within 21000 21099
		[ "$(sed -n 3p said)" = "21000 21001 21002 21003 21004" ]
		wait_until are_leased
	done
}

@test "a lease without a supervisor takes nothing from the run but a limit that limits nothing" {
	outer preload sh -c 'grep NoNewPrivs /proc/self/status; grep "^Seccomp:" /proc/self/status; ulimit -Hm' >said
	as_nobody sh -c 'grep NoNewPrivs /proc/self/status; grep "^Seccomp:" /proc/self/status; ulimit -Hm' >plain
	diff plain said
	run -0 outer preload bash -c 'ulimit -m'
	[ "$output" -gt 4503599627370496 ] # in KiB
	# who sets it leaves the run
	outer preload bash -c 'ulimit -m 1000000; setsid -f sh -c "echo \$\$ >\"\$PORTFENCE_STATE/pid.1\"; exec sleep infinity" \
		</dev/null >/dev/null 2>&1 3>&-'
	wait_until test -s "$PORTFENCE_STATE/pid.1"
	wait_until are_leased
	kill -0 "$(cat "$PORTFENCE_STATE/pid.1")"
}
