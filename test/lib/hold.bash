# For tests that look at sockets which others hold.
#
#   hold ACTION...          test/programs/holder in the background, ready when it returns; $pid
#   hold_fenced OPTION... -- ACTION...   likewise, under `portfence run OPTION...`, by a preload, past which
#                                        the holder makes calls
#
# shellcheck disable=SC2034,SC2154 # the tests use them; helpers.bash sets them

is_ready() {
	grep -q '^ready$' "$held"
}

# Nothing but an exec stands between $pid and the holder.
hold_by() {
	held=$(mktemp -p "$BATS_TEST_TMPDIR" held.XXXXXX)
	ns_background "$@" >"$held"
	wait_until is_ready
}

hold() {
	hold_by "$HOLDER" "$@"
}

hold_fenced() {
	local options=()
	while [ "$1" != -- ]; do
		options+=("$1")
		shift
	done
	shift
	hold_by "$PORTFENCE" run --via "${via:-preload}" "${options[@]}" -- "$HOLDER" "$@"
}

# Other users can reach all that these tests run.
hold_setup() {
	common_setup
	install_for_all
	cp "$BATS_TEST_DIRNAME/programs/holder" "$install"
	HOLDER=$install/holder
	chmod 1777 "$PORTFENCE_STATE"
}
