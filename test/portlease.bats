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
	export LEDGER=$PWD/ledger LEASED_SERVER=$SUITES/leased_server DIE_SOON=$SUITES/die_soon VICTIMS=
	touch ledger/killed
}

no_leases() {
	[ "$(ns portfence leases --json | python3 -c 'import json, sys; print(json.load(sys.stdin)["leases"])')" = '[]' ]
}

# draw COUNT OF: so many of the numbers below OF are those of the workers to be killed, by chance
draw() {
	VICTIMS=$(shuf -i "0-$(($2 - 1))" -n "$1" | xargs)
	export VICTIMS
	echo "to be killed: $VICTIMS"
}

# judge SERVERS KILLED: so many servers were there, but for those of killed workers, and so many workers have been killed
judge() {
	if [ -e ledger/conflicts ]; then
		cat ledger/conflicts
		return 1
	fi
	[ "$(wc -l <ledger/served)" -ge "$1" ]
	[ "$(wc -l <ledger/killed)" = "$2" ]
	wait_until no_leases
	# no port is lost: one lease can have all
	run -0 ns portfence lease 400 --wait 600 < <(:)
	[ "$output" = 20000-20399 ]
}

@test "pytest: 200 tests in 8 workers, of 12 workers four are killed" {
	local failed
	/usr/bin/python3 -c 'import pytest, xdist' || not_installed "pytest or xdist is not installed"
	draw 4 200
	cp "$HELPERS/portlease.py" "$SUITES/test_suite.py" .
	echo 'pytest_plugins = ["portlease"]' >conftest.py
	run ns /usr/bin/python3 -m pytest -q -p no:cacheprovider -n 8 --max-worker-restart 4 test_suite.py
	echo "$output"
	[ "$status" = 1 ]
	[[ "${lines[-1]}" = '4 failed, 197 passed in '* ]]
	failed=$(sed -n 's/^FAILED test_suite.py::test_server\[\([0-9]*\)\]$/\1/p' <<<"$output")
	[ "$(sort <<<"$failed")" = "$(tr ' ' '\n' <<<"$VICTIMS" | sort)" ]
	judge 196 4
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

# ./suite, of Go
go_suite() {
	mkdir portlease
	cp "$HELPERS/portlease.go" portlease
	cp "$SUITES/suite_test.go" .
	printf 'module suite\n\ngo 1.19\n' >go.mod
	GOCACHE=$BATS_FILE_TMPDIR/go GOFLAGS=-mod=mod CGO_ENABLED=0 go vet ./...
	GOCACHE=$BATS_FILE_TMPDIR/go GOFLAGS=-mod=mod CGO_ENABLED=0 go test -c -o suite .
}

@test "Go: 48 tests, 16 at once, in each of three processes, of which one is killed" {
	local process pids=() dying=$((RANDOM % 3)) status
	skip_missing go
	go_suite
	draw 1 48
	for process in 0 1 2; do
		ns_background env VICTIMS="$([ "$process" != "$dying" ] || echo "$VICTIMS")" ./suite -test.timeout 15m -test.parallel 16 >"said-$process" 2>&1
		pids+=("$pid")
	done
	for process in 0 1 2; do
		status=0
		wait "${pids[process]}" || status=$?
		cat "said-$process"
		[ "$status" = $((process == dying ? 137 : 0)) ]
	done
	[ "$(grep -l '^warning: portfence is not installed' said-* | wc -l)" -ge 2 ]
	judge 96 1
}

# junit_suite: compiles it for `junit`
junit_suite() {
	local jar found
	skip_missing java
	export CLASSPATH=$PWD/classes
	for jar in junit-jupiter-{api,engine} junit-platform-{commons,console,engine,launcher,reporting} \
		apiguardian-api opentest4j picocli; do
		found=$(find /usr/share/java -name "$jar.jar" 2>/dev/null | head -n 1)
		[ -n "$found" ] || not_installed "$jar of JUnit 5 is not installed"
		CLASSPATH+=:$found
	done
	# Debian's package without a screen has the compiler, too, but no `javac`
	java -m jdk.compiler/com.sun.tools.javac.Main -d classes "$HELPERS/PortLease.java" "$SUITES"/*Test.java
}

# the arguments of `java` that run the tests of a class
JUNIT=(-XX:TieredStopAtLevel=1 -Djunit.jupiter.execution.parallel.enabled=true
	-Djunit.jupiter.execution.parallel.config.strategy=fixed -Djunit.jupiter.execution.parallel.config.fixed.parallelism=8
	org.junit.platform.console.ConsoleLauncher --details tree --disable-ansi-colors --disable-banner --select-class)

@test "JUnit: 16 tests, eight at once, in each of three processes, of which one is killed" {
	local process pids=() dying=$((RANDOM % 3)) status
	junit_suite
	draw 1 16
	for process in 0 1 2; do
		# it counts from 1
		ns_background env VICTIMS="$([ "$process" != "$dying" ] || echo $((VICTIMS + 1)))" java "${JUNIT[@]}" SuiteTest >"said-$process" 2>&1
		pids+=("$pid")
	done
	for process in 0 1 2; do
		status=0
		wait "${pids[process]}" || status=$?
		cat "said-$process"
		[ "$status" = $((process == dying ? 137 : 0)) ]
	done
	[ "$(grep -l '17 tests successful' said-* | wc -l)" = 2 ]
	judge 32 1
}

@test "node:test: nine processes with eight tests at once each, of which three are killed" {
	local file failed
	skip_missing node
	draw 3 9
	cp "$HELPERS/portlease.cjs" .
	for file in 0 1 2 3 4 5 6 7 8; do
		cp "$SUITES/suite.test.cjs" "$file.test.cjs"
	done
	run ns node --test --test-concurrency=8 ./*.test.cjs
	echo "$output"
	[ "$status" = 1 ]
	failed=$(sed -n 's/^not ok .*\([0-9]\)\.test\.cjs$/\1/p' <<<"$output")
	[ "$(sort <<<"$failed")" = "$(tr ' ' '\n' <<<"$VICTIMS" | sort)" ]
	[ "$(grep -cE '^not ok ' <<<"$output")" = 3 ]
	grep -q 'Warning: portfence is not installed' <<<"$output"
	judge 48 3
}

@test "Bats: 24 tests, eight at once, of which eight are killed" {
	local number
	skip_missing parallel
	draw 8 24
	cp "$HELPERS/portlease.bash" "$SUITES/suite.bash" .
	{
		echo 'load suite'
		for number in {0..23}; do
			printf '@test "%s" {\n\tserve\n}\n' "$number"
		done
	} >suite.bats
	run ns env -i HOME="$PWD" PATH="$PWD/bin:/usr/bin:/bin:/usr/sbin:/sbin" LEDGER="$LEDGER" LEASED_SERVER="$LEASED_SERVER" \
		DIE_SOON="$DIE_SOON" VICTIMS="$VICTIMS" \
		PORTFENCE_STATE="$PORTFENCE_STATE" PORTFENCE_CONFIG="$PORTFENCE_CONFIG" bats --jobs 8 suite.bats
	echo "$output"
	[ "$status" = 1 ]
	[ "$(grep -c '^ok ' <<<"$output")" = 16 ]
	judge 16 8
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

@test "by name, Python, pytest, node, a shell and a second shell have one block, and others another" {
	/usr/bin/python3 -c 'import pytest' || not_installed "pytest is not installed"
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
	echo 'pytest_plugins = ["portlease"]' >conftest.py
	cat >test_name.py <<-'END'
		def test_name(ports):
		    print(*ports(3, "--name", "db"))
	END
	cat >holder.py <<-'END'
		import subprocess, portlease
		pytest = "/usr/bin/python3 -m pytest -qq -s -p no:cacheprovider --no-header --no-summary test_name.py".split()
		with portlease.Lease(3, "--name", "db") as ours, portlease.Lease(3) as other:
		    print(*ours, flush=True)
		    for command in ["node", "node.cjs"], ["bash", "shell.sh"], pytest:
		        subprocess.run(command, check=True)
		    print(*other)
	END
	run -0 ns /usr/bin/python3 holder.py
	[ "$output" = $'20000 20001 20002\n20000 20001 20002\n20000 20002\n20000 20002\n20000 20001 20002\n.\n20003 20004 20005' ]
	wait_until no_leases
}

@test "by name, a test of Go has the block of the run around it, or alone one of its own" {
	skip_missing go
	go_suite
	run -0 ns portfence run --lease 3 --name db -- ./suite -test.run TestName
	[ "${lines[0]}" = '[20000 20001 20002] 20000' ]
	wait_until no_leases
	ns_background portfence lease 2 </dev/null
	wait_until eval '! no_leases'
	run -0 --separate-stderr ns ./suite -test.run TestName
	[ "${lines[0]}" = '[20002 20003 20004] 20002' ]
}

@test "by name, a test of JUnit has the block of the run around it, or alone one of its own" {
	junit_suite
	run -0 ns portfence run --lease 3 --name db -- java "${JUNIT[@]}" NameTest
	grep -qx 'ports: 20000 20001 20002' <<<"$output"
	wait_until no_leases
	ns_background portfence lease 2 </dev/null
	wait_until eval '! no_leases'
	run -0 ns java "${JUNIT[@]}" NameTest
	grep -qx 'ports: 20002 20003 20004' <<<"$output"
}
