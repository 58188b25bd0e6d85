#!/usr/bin/env bats
#
# The platform's facts and the core cases on other kernels, in virtual machines: test/vm has them.

load lib/helpers

KERNELS='5.10 6.1 6.12'

# All boots, side by side, before the first test.
setup_file() {
	export BUILD RESULTS=$BATS_FILE_TMPDIR/results
	command -v qemu-system-x86_64 >/dev/null || return 0
	[ "$(uname -m)" = x86_64 ] || return 0
	"$BATS_TEST_DIRNAME/vm/all" >"$BATS_FILE_TMPDIR/all" 2>&1 || true
}

# needs KERNEL: skips where it could not be had. One that the archive no longer has fails nowhere.
needs() {
	skip_missing qemu-system-x86_64
	[ "$(uname -m)" = x86_64 ] || skip 'the kernels are built for x86-64'
	[ -e "$RESULTS/$1.missing" ] || return 0
	if grep -q 'no longer has' "$RESULTS/$1.missing"; then
		skip "$(cat "$RESULTS/$1.missing")"
	fi
	not_installed "$(cat "$RESULTS/$1.missing")"
}

# passes KERNEL: no case fails, and there are some
passes() {
	needs "$1"
	# failures with what they say
	awk '/^not ok/ { show = 1 } /^ok/ { show = 0 } show' "$RESULTS/$1.tap"
	run grep -c '^not ok' "$RESULTS/$1.tap"
	[ "$output" = 0 ]
	[ "$(grep -c '^ok' "$RESULTS/$1.tap")" -ge 90 ]
}

# Any of the kernels that are there.
some_kernel() {
	local kernel
	for kernel in $KERNELS; do
		if [ -e "$RESULTS/$kernel.tap" ]; then
			echo "$kernel"
			return
		fi
	done
}

@test "Linux 5.10, without IP_LOCAL_PORT_RANGE: every case passes" {
	passes 5.10
}

@test "Linux 6.1, whose MPTCP refuses IP_LOCAL_PORT_RANGE: every case passes" {
	passes 6.1
}

@test "Linux 6.12: every case passes" {
	passes 6.12
}

@test "the table has each kernel that was run, each protocol and both engines" {
	needs 6.12
	for proto in tcp mptcp udp udplite; do
		grep -qE "^6\.12 +$proto +bind +[1-9]" "$RESULTS/table"
		grep -qE "^6\.12 +$proto +kernel +[1-9]" "$RESULTS/table"
	done
	grep -qE '^6\.12 +platform +- +[1-9]' "$RESULTS/table"
}

@test "a script that fails, never ends or crashes the kernel is a failure" {
	needs 6.12
	kernel=$(some_kernel)
	echo 'echo "status 3"; exit 3' >fails
	echo 'echo c >/proc/sysrq-trigger; sleep 60' >crashes
	echo 'echo b >/proc/sysrq-trigger; sleep 60' >reboots
	echo 'cat /dev/zero >/dev/null' >endless
	run "$BATS_TEST_DIRNAME/vm/boot" "$kernel" fails
	[ "$status" = 3 ]
	[ "$output" = 'status 3' ]
	run "$BATS_TEST_DIRNAME/vm/boot" "$kernel" crashes
	echo "$output"
	[ "$status" = 125 ]
	[[ "$output" = *'Kernel panic'* ]]
	run "$BATS_TEST_DIRNAME/vm/boot" "$kernel" reboots
	[ "$status" = 125 ]
	VM_SECONDS=5 run "$BATS_TEST_DIRNAME/vm/boot" "$kernel" endless
	[ "$status" = 124 ]
}
