#!/usr/bin/env bats
#
# What stands around the tests: test/lib/need, which installs packages and changes nothing else of the
# machine, and test/lib/suite, which runs the files of a tier. Both are tried with stand-ins: a package
# manager and Bats files that the test writes itself.

# shellcheck disable=SC2016 # what a stand-in or an inner shell expands
# shellcheck disable=SC2030,SC2031 # each test is a process of its own, and what it sets is its own
bats_require_minimum_version 1.5.0
load lib/helpers
load lib/root

POLICY=/usr/sbin/policy-rc.d

# ---- packages, on Debian ----

# debian: a root whose apt-get installs a server, which asks whether it may start and comes back at each
# boot. What apt-get has done is in the root's file /log.
debian() {
	root_open
	files=$(root_files)
	mkdir -p "$files/stand-ins" "$files/etc/systemd/system/multi-user.target.wants"
	rm -f "$files$POLICY" "$files"/etc/systemd/system/*.wants/*.service
	cp "$ROOT"/test/lib/{need,packages} "$files/stand-ins"
	cat >"$files/stand-ins/dpkg-query" <<-'END'
		#!/bin/sh
		case "$*" in *there*) printf installed ;; *) exit 1 ;; esac
	END
	cat >"$files/stand-ins/apt-get" <<-'END'
		#!/bin/sh
		case "$*" in
		*--assume-no*) printf 'Need to get 12.3 MB of archives.\nAfter this operation, 45.6 MB of additional disk space will be used.\n'; exit 1 ;;
		install*) ;;
		*) exit 0 ;;
		esac
		echo "$*" >>/log
		[ ! -e /usr/sbin/policy-rc.d ] || /usr/sbin/policy-rc.d nginx start
		echo "may start: $?" >>/log
		ln -sf /lib/systemd/system/nginx.service /etc/systemd/system/multi-user.target.wants
		[ ! -e /hang ] || { mkfifo /hangs; cat /hangs; }
		[ ! -e /fail ] || exit 100
	END
	chmod +x "$files"/stand-ins/*
}

need() {
	in_root env PATH="/stand-ins:$PATH" /stand-ins/need "$@"
}

at_boot() {
	find "$files/etc/systemd/system/multi-user.target.wants" -name '*.service' -printf '%f\n'
}

@test "before anything is installed, the list shows what, how much, and what for" {
	debian
	touch "$files/fail"
	run -100 need 'make test' bats is-there strace
	echo "$output"
	[ "${lines[0]}" = 'make test needs packages that are not installed: bats strace' ]
	[ "${lines[1]}" = '  Need to get 12.3 MB of archives.' ]
	[ "${lines[2]}" = '  After this operation, 45.6 MB of additional disk space will be used.' ]
	[ "${lines[3]}" = '  No server among them starts, neither now nor at the next boot.' ]
	[ "$(head -n 1 "$files/log")" = 'install -q -y --no-remove --no-install-recommends bats strace' ]
}

@test "if everything is installed, it prints and does nothing" {
	debian
	root_changes >before
	run -0 need 'make test' is-there there-too
	[ -z "$output" ]
	diff before <(root_changes)
}

@test "a server that is installed starts neither at once nor at the next boot" {
	debian
	ln -s /lib/systemd/system/mine.service "$files/etc/systemd/system/multi-user.target.wants"
	run -0 need 'make test-all' nginx-light
	grep -qx 'may start: 101' "$files/log"
	[ ! -e "$files$POLICY" ]
	[ "$(at_boot)" = mine.service ]
	[ "${lines[-1]}" = '  not started at boot: nginx.service' ]
}

@test "a server that was there before is still started at boot" {
	debian
	ln -s /lib/systemd/system/nginx.service "$files/etc/systemd/system/multi-user.target.wants"
	run -0 need 'make test-all' redis-server
	[ "$(at_boot)" = nginx.service ]
	[[ $output != *'not started at boot'* ]]
}

@test "a policy-rc.d of the administrator's decides instead, stays as it is, and is mentioned" {
	debian
	printf '#!/bin/sh\nexit 104\n' >"$files$POLICY"
	chmod +x "$files$POLICY"
	run -0 need 'make test-all' nginx-light
	[[ $output == *"$POLICY is there already, so it decides which servers start now, and it stays."* ]]
	grep -qx 'may start: 104' "$files/log"
	[ "$(cat "$files$POLICY")" = $'#!/bin/sh\nexit 104' ]
	rm "$files$POLICY"
	ln -s /nowhere "$files$POLICY"
	run -0 need 'make test-all' nginx-light
	[ -L "$files$POLICY" ]
}

@test "if the installation fails or is interrupted, nothing of it stays" {
	local signal
	debian
	touch "$files/fail"
	run -100 need 'make test-all' nginx-light
	[ ! -e "$files$POLICY" ]
	[ -z "$(at_boot)" ]
	rm "$files/fail"
	touch "$files/hang"
	for signal in INT TERM HUP; do
		rm -f "$files/hangs"
		# as a terminal has it, the signal is for all of them
		ns_background setsid env --default-signal=INT nsenter -t "$root_pid" -m -n -- chroot "$root/all" \
			env PATH="/stand-ins:$PATH" /stand-ins/need 'make test-all' nginx-light
		wait_until [ -p "$files/hangs" ]
		# opens once cat reads from it: a shell forgets a SIGINT that comes while another child of its ends well
		exec 5>"$files/hangs"
		[ -e "$files$POLICY" ]
		kill -"$signal" -- "-$pid"
		wait "$pid" || true
		exec 5>&-
		[ ! -e "$files$POLICY" ]
		[ -z "$(at_boot)" ]
	done
}

@test "with --ask it asks on a terminal, and installs nothing without a yes" {
	debian
	run in_root env PATH="/stand-ins:$PATH" \
		script -qec "/stand-ins/need --ask 'make test-all' nginx-light" /dev/null < <(echo n)
	echo "$output"
	[[ $output == *'Install them? [Y/n]'* ]]
	[ ! -e "$files/log" ]
	run in_root env PATH="/stand-ins:$PATH" \
		script -qec "/stand-ins/need --ask 'make test-all' nginx-light" /dev/null < <(echo)
	grep -q 'install .* nginx-light' "$files/log"
	# where nobody can answer, it does not wait
	rm "$files/log"
	run -0 need --ask 'make test-all' nginx-light </dev/null
	[[ $output != *'[Y/n]'* ]]
	grep -q 'install .* nginx-light' "$files/log"
}

# ---- packages, elsewhere ----

# elsewhere MANAGER QUERY PACKAGE...: what it says where MANAGER is the only one, and QUERY ("rpm -q") knows
# no package but bats
elsewhere() {
	local tool
	rm -rf tools
	mkdir tools
	for tool in sh awk grep sort xargs echo; do
		ln -s "$(type -P "$tool")" tools
	done
	printf '#!/bin/sh\nexit 1\n' >"tools/$1"
	printf '#!/bin/sh\ncase "$*" in *bats) ;; *) exit 1 ;; esac\n' >"tools/${2%% *}"
	chmod +x "tools/$1" "tools/${2%% *}"
	run -0 env PATH="$PWD/tools" "$ROOT/test/lib/need" 'make test' "${@:3}"
	echo "$output"
}

SOME='gcc libc6-dev libinih-dev libjansson-dev bats iproute2 libcap2-bin procps python3'

@test "Fedora, Arch, Alpine and openSUSE get the packages' own names there" {
	local said='make test needs packages that are not installed; this installs them:'
	# shellcheck disable=SC2086 # a list of words
	{
		elsewhere dnf 'rpm -q' $SOME
		[ "$output" = "$said
  dnf install gcc glibc-devel glibc-static inih-devel iproute jansson-devel libcap procps-ng python3" ]
		elsewhere pacman 'pacman -Q' $SOME
		[ "$output" = "$said
  pacman -S --needed gcc glibc iproute2 jansson libcap libinih procps-ng python" ]
		elsewhere apk 'apk info -e' $SOME
		[ "$output" = "$said
  apk add gcc inih-dev iproute2 jansson-dev libcap-utils linux-headers musl-dev procps-ng python3" ]
		elsewhere zypper 'rpm -q' $SOME
		[ "$output" = "$said
  zypper install gcc glibc-devel glibc-devel-static inih-devel iproute2 libcap-progs libjansson-devel procps python3" ]
	}
}

@test "on other systems, packages that are installed or do not exist are not named" {
	elsewhere dnf 'rpm -q' bats lintian
	[ -z "$output" ]
}

@test "without a known package manager, Debian's names are shown" {
	elsewhere none none gcc bats
	[ "$output" = "make test needs what these packages of Debian's hold; if anything is missing below, install it:
  gcc bats" ]
}

@test "the table of names has a name, or a dash, for each system, and only packages that something needs" {
	awk '!/^#/ && NF != 5 { print "not 5 columns: " $0; bad = 1 } END { exit bad }' "$ROOT/test/lib/packages"
	grep -ohE '[^[:space:]]+' "$ROOT/Makefile" "$ROOT"/test/*.mk | sort -u >words
	run comm -23 <(awk '!/^#/ { print $1 }' "$ROOT/test/lib/packages" | sort) words
	[ -z "$output" ]
}

# ---- files side by side ----

# file NAME LINE...: a Bats file
file() {
	printf '%s\n' "${@:2}" >"$1.bats"
}

suite() {
	run env -u BATS_RUN_TMPDIR BATSFLAGS="${flags:-}" FILE_SECONDS="${limit:-60}" JOBS=2 "$ROOT/test/lib/suite" "$@"
	echo "$output"
}

@test "files run side by side, and those after --alone when the others have ended" {
	mkfifo there back
	# each of these ends only beside the other
	file one '@test "one" { echo >"$BATS_TEST_DIRNAME/there"; read -r _ <"$BATS_TEST_DIRNAME/back"; }'
	file two '@test "two" { read -r _ <"$BATS_TEST_DIRNAME/there"; echo >"$BATS_TEST_DIRNAME/back"; }' \
		'teardown_file() { touch "$BATS_TEST_DIRNAME/two.ended"; }'
	file last '@test "last" { [ -e "$BATS_TEST_DIRNAME/two.ended" ]; }'
	suite one.bats two.bats --alone last.bats
	[ "$status" = 0 ]
	[[ ${lines[-1]} == '# 3 passed, 0 failed, 0 skipped in '* ]]
}

@test "a test that fails, a file that has none and one that does not end make the suite fail, and are named" {
	file good '@test "good" { true; }' '@test "left out" { skip "why"; }'
	file bad '@test "bad" { false; }'
	file none '}'
	file endless '@test "first" { true; }' '@test "endless" { sleep infinity; }'
	suite good.bats
	[ "$status" = 0 ]
	[[ ${lines[-1]} == '# 1 passed, 0 failed, 1 skipped in '* ]]
	suite good.bats --alone bad.bats
	[ "$status" = 1 ]
	[ "${lines[-1]}" = '# not ok 1 bad' ]
	suite none.bats good.bats
	[ "$status" = 1 ]
	[ "${lines[-1]}" = '# not ok - none.bats has run no test' ]
	limit=2 suite endless.bats
	[ "$status" = 1 ]
	[ "${lines[-1]}" = '# not ok - endless.bats has not ended after 2 s' ]
	# no test at all
	flags='-f "no such test"' suite good.bats
	[ "$status" = 1 ]
	suite
	[ "$status" = 1 ]
}

@test "BATSFLAGS are words as a shell has them" {
	file some '@test "the first one" { true; }' '@test "the second one" { true; }'
	flags='-f "the second"' suite some.bats
	[ "$status" = 0 ]
	[[ ${lines[-1]} == '# 1 passed, 0 failed, 0 skipped in '* ]]
	grep -q '^ok 1 the second one' <<<"$output"
}

# ---- what is where ----

@test "test/README has a line for each file and folder here, and for those of lib and probes" {
	diff <(cd "$ROOT/test" && printf '%s\n' * lib/* probes/*.c | grep -vxE 'README|.*/.*\.h' | LC_ALL=C sort) \
		<(sed -nE 's|^([^ #]+\.?[^ ]*) +[^ ].*|\1|p' "$ROOT/test/README" | grep -vxE 'The|A' | LC_ALL=C sort)
}
