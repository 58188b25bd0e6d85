# Why a test is skipped. What a machine cannot do is found by running it, here alone, and is a skip
# everywhere. What is not installed is a failure where PORTFENCE_NO_SKIP=1, as there all packages are.
#
#   needs_32bit            system calls of 32-bit x86
#   needs_ipv6, needs_mptcp, needs_sctp
#   needs_landlock         the kernel has rules for TCP ports
#   needs_suid             setuid programs become their owner in the test's folder
#   needs_file_capabilities           and programs have capabilities there
#   needs_user_namespaces  another user makes one, and has rights in it
#   needs_no FILE          the machine has none of its own
#   skip_missing COMMAND...           skip where a program is not installed
#   not_installed WORDS    likewise, for what is no program
#
# What else a test finds out for itself, it says by Bats' own `skip`.
#
# shellcheck disable=SC2154 # helpers.bash sets them

NO_SKIP=${PORTFENCE_NO_SKIP:-${NO_SKIP:-0}}
export NO_SKIP

not_installed() {
	if [ "$NO_SKIP" = 1 ]; then
		echo "$1 (a failure here, as PORTFENCE_NO_SKIP is set)" >&2
		return 1
	fi
	skip "$1"
}

skip_missing() {
	local command
	for command in "$@"; do
		command -v "$command" >/dev/null || not_installed "$command is not installed"
	done
}

# needs_feature FEATURE: one of test/probes/machine
needs_feature() {
	local lack status=0
	lack=$(ns "$BUILD/test/probes/machine" "$1") || status=$?
	case $status in
	0) ;;
	1) skip "$lack" ;;
	*) return 1 ;;
	esac
}

needs_32bit() {
	needs_feature 32bit
}

needs_ipv6() {
	needs_feature ipv6
}

needs_landlock() {
	needs_feature landlock
}

needs_mptcp() {
	needs_feature mptcp
}

needs_sctp() {
	needs_feature sctp
}

# rights_program: a program that other users can run, in $program
rights_program() {
	program=$(mktemp -p "$BATS_TEST_TMPDIR" rights.XXXXXX)
	cp "$BUILD/test/probes/machine" "$program"
	chmod a+x "$BATS_RUN_TMPDIR" "$BATS_RUN_TMPDIR/test" "$BATS_TEST_TMPDIR"
}

needs_suid() {
	local program
	rights_program
	chmod 4755 "$program"
	[ "$("${AS_NOBODY[@]}" "$program" user)" = 0 ] || skip "setuid programs do not become their owner here"
	rm "$program"
}

needs_file_capabilities() {
	local program
	skip_missing setcap
	rights_program
	setcap cap_net_bind_service+ep "$program" || skip "programs can have no capabilities here"
	rm "$program"
}

needs_user_namespaces() {
	"${AS_NOBODY[@]}" unshare -Urn ip link set lo up ||
		skip "users who are not root have no user namespaces here"
}

needs_no() {
	[ ! -e "$1" ] || skip "this machine has a file '$1' of its own"
}
