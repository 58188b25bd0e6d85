#!/usr/bin/env bats
#
# conf/examples/testing/portlease.*: suites of pytest, Go, node:test and Bats whose tests each start a
# real server on a port that is leased, and whose workers are killed, some of them. It is judged from
# outside: see portlease/leased_server.

# shellcheck disable=SC2030,SC2031 # each test is a process of its own
bats_require_minimum_version 1.5.0
load lib/helpers

HELPERS=$BATS_TEST_DIRNAME/../conf/examples/testing
SUITES=$BATS_TEST_DIRNAME/portlease

setup() {
	common_setup
	skip_missing nginx redis-server
	# few enough that each port is used again and again
	printf '[portfence]\npool = 20000-20399\n' >portfence.ini
	mkdir ledger bin
	ln -s "$PORTFENCE" bin/portfence
	export PATH=$PWD/bin:$PATH PORTFENCE_CONFIG=$PWD/portfence.ini
	export LEDGER=$PWD/ledger LEASED_SERVER=$SUITES/leased_server
}

no_leases() {
	[ "$(ns portfence leases --json | python3 -c 'import json, sys; print(json.load(sys.stdin)["leases"])')" = '[]' ]
}

# judge SERVERS KILLED: so many servers were there, and so many workers have been killed
judge() {
	if [ -e ledger/conflicts ]; then
		cat ledger/conflicts
		return 1
	fi
	[ "$(wc -l <ledger/served)" = "$1" ]
	[ "$(wc -l <ledger/killed)" = "$2" ]
	wait_until no_leases
	# no port is lost: one lease can have all
	run -0 ns portfence lease 400 --wait 600 < <(:)
	[ "$output" = 20000-20399 ]
}

@test "pytest: 200 tests in 8 workers, of 12 workers four are killed" {
	/usr/bin/python3 -c 'import pytest, xdist' || not_installed "pytest or xdist is not installed"
	cp "$HELPERS/portlease.py" "$SUITES/test_suite.py" .
	echo 'pytest_plugins = ["portlease"]' >conftest.py
	run ns /usr/bin/python3 -m pytest -q -p no:cacheprovider -n 8 --max-worker-restart 4 test_suite.py
	echo "$output"
	[ "$status" = 1 ]
	[[ "${lines[-1]}" = '4 failed, 197 passed in '* ]]
	[ "$(grep -c '^FAILED test_suite.py::test_server\[\(25\|75\|125\|175\)\]$' <<<"$output")" = 4 ]
	judge 200 4
}

@test "pytest: what the README shows" {
	/usr/bin/python3 -c 'import pytest' || not_installed "pytest is not installed"
	skip_missing redis-cli
	cp "$HELPERS/portlease.py" .
	# shellcheck disable=SC2016 # the backquotes are the README's
	sed -n '/^```python$/,/^```$/{ /^```/d; p }' "$ROOT/README.md" >shown
	[ "$(wc -l <shown)" = 6 ]
	sed "s/\.\.\. .*/while subprocess.call(['redis-cli', '-p', str(port), 'ping']): pass/" shown >test_shown.py
	run -1 diff -q shown test_shown.py
	run -0 ns /usr/bin/python3 -m pytest -q -p no:cacheprovider test_shown.py
	[[ "${lines[-1]}" = '1 passed in '* ]]
	wait_until no_leases
}

@test "unittest: a lease lasts as long as its context, or its process" {
	cp "$HELPERS/portlease.py" "$SUITES/unittest_suite.py" .
	ns /usr/bin/python3 -m unittest unittest_suite
	wait_until no_leases
}

@test "Go: 48 tests, 16 at once, in each of three processes, of which one is killed" {
	local process pids=() die status
	skip_missing go
	mkdir portlease
	cp "$HELPERS/portlease.go" portlease
	cp "$SUITES/suite_test.go" .
	printf 'module suite\n\ngo 1.19\n' >go.mod
	GOCACHE=$BATS_FILE_TMPDIR/go GOFLAGS=-mod=mod CGO_ENABLED=0 go vet ./...
	GOCACHE=$BATS_FILE_TMPDIR/go GOFLAGS=-mod=mod CGO_ENABLED=0 go test -c -o suite .
	for process in 0 1 2; do
		die=$([ "$process" != 1 ] || echo yes)
		ns_background env DIE="$die" ./suite -test.timeout 15m -test.parallel 16 >"said-$process" 2>&1
		pids+=("$pid")
	done
	for process in 0 1 2; do
		status=0
		wait "${pids[process]}" || status=$?
		cat "said-$process"
		[ "$status" = $((process == 1 ? 137 : 0)) ]
	done
	grep -q '^warning: portfence is not installed' said-0
	[ "$(wc -l <ledger/killed)" = 1 ]
	# the killed one had begun at least the one test
	[ "$(wc -l <ledger/served)" -gt 96 ]
	judge "$(wc -l <ledger/served)" 1
}

@test "node:test: nine processes with eight tests at once each, of which three are killed" {
	local file
	skip_missing node
	cp "$HELPERS/portlease.cjs" .
	for file in 0 1 2 3 4 5 6 7 8; do
		cp "$SUITES/suite.test.cjs" "$file.test.cjs"
	done
	run ns node --test --test-concurrency=8 ./*.test.cjs
	echo "$output"
	[ "$status" = 1 ]
	[ "$(grep -cE '^not ok .*[147]\.test\.cjs' <<<"$output")" = 3 ]
	[ "$(grep -cE '^not ok ' <<<"$output")" = 3 ]
	grep -q 'Warning: portfence is not installed' <<<"$output"
	judge 72 3
}

@test "Bats: 24 tests, eight at once, of which eight are killed" {
	local number
	skip_missing parallel
	cp "$HELPERS/portlease.bash" "$SUITES/suite.bash" .
	{
		echo 'load suite'
		for number in {1..24}; do
			printf '@test "%s" {\n\tserve\n}\n' "$number"
		done
	} >suite.bats
	run ns env -i HOME="$PWD" PATH="$PWD/bin:/usr/bin:/bin:/usr/sbin:/sbin" LEDGER="$LEDGER" LEASED_SERVER="$LEASED_SERVER" \
		PORTFENCE_STATE="$PORTFENCE_STATE" PORTFENCE_CONFIG="$PORTFENCE_CONFIG" bats --jobs 8 suite.bats
	echo "$output"
	[ "$status" = 1 ]
	[ "$(grep -c '^ok ' <<<"$output")" = 16 ]
	judge 24 8
}

@test "shell: ports until they are given back, or until the shell ends" {
	local shell
	cp "$HELPERS/portlease.bash" .
	cat >suite.sh <<-'END'
		set -eu
		. ./portlease.bash
		portlease 3
		portlease
		portfence leases | awk '/^2[0-9]*-/ { print $1 }'
		portlease_free
		portfence leases | awk '/^2[0-9]*-/ { print $1 }'
		! portlease 2 --pool 21000-21000
		portlease 2
		echo "$PORT $LAST_PORT"
		kill -KILL $$
	END
	for shell in sh bash 'busybox sh'; do
		# shellcheck disable=SC2086 # words
		run -137 --separate-stderr ns $shell suite.sh
		echo "$output"
		[ "$(xargs <<<"$output")" = '20000-20002 20003-20003 20000 20001' ]
		# shellcheck disable=SC2154 # run sets it
		[[ "$stderr" = *'a lease of 2 ports does not fit into the pool 21000'* ]]
		wait_until no_leases
	done
}

@test "shell: without portfence it fails, or looks for free ports and warns" {
	local without=$PWD/without
	# not what is installed either
	mkdir without
	ln -s "$(command -v sh)" "$(command -v bash)" "$(command -v od)" without
	cp "$HELPERS/portlease.bash" .
	run -1 ns env PATH="$without" sh -c '. ./portlease.bash; portlease 3'
	[[ "$output" = *"'portfence' is not installed"*PORTLEASE_PROBE=1* ]]
	# shellcheck disable=SC2016 # the inner shell expands it
	run -0 --separate-stderr ns env PATH="$without" PORTLEASE_PROBE=1 sh -c '. ./portlease.bash; portlease 3; echo $((LAST_PORT - PORT))'
	[ "$output" = 2 ]
	[[ "$stderr" = 'warning: portfence is not installed'* ]]
}

@test "by name, Python, node, a shell and a second shell have one block, and others another" {
	skip_missing node
	cp "$HELPERS"/portlease.{py,cjs,bash} .
	cat >node.cjs <<-'END'
		require("./portlease.cjs").lease(3, "--name", "db").then((ports) => {
			console.log(ports.join(" "));
			ports.free();
		});
	END
	cat >shell.sh <<-'END'
		. ./portlease.bash
		portlease 3 --name db
		echo "$PORT $LAST_PORT"
		eval "$(portfence env --lease db)"
		echo "$PORTFENCE_FIRST $PORTFENCE_LAST"
	END
	cat >holder.py <<-'END'
		import subprocess, portlease
		with portlease.Lease(3, "--name", "db") as ours, portlease.Lease(3) as other:
		    print(*ours, flush=True)
		    for command in ["node", "node.cjs"], ["bash", "shell.sh"]:
		        subprocess.run(command, check=True)
		    print(*other)
	END
	run -0 ns /usr/bin/python3 holder.py
	[ "$output" = $'20000 20001 20002\n20000 20001 20002\n20000 20002\n20000 20002\n20003 20004 20005' ]
	wait_until no_leases
}
