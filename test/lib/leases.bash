# The leases that `portfence leases` lists, and what a refused command says.
#
#   load lib/leases         after lib/helpers
#
# shellcheck disable=SC2154 # Bats and helpers.bash set them

# see struct holding in lease_file.c: the size of a record, and where the last one ends
export LEASE_RECORD=1416
export LEASE_END=$((65536 + 65536 * LEASE_RECORD))

# The blocks that are leased, one a line, as they are listed
blocks() {
	ns "$PORTFENCE" leases | awk '/^[0-9]+-[0-9]+ / { print $1 }'
}

# are_leased BLOCK...: these and no others
are_leased() {
	[ "$(blocks | xargs)" = "$*" ]
}

# field EXPRESSION [OPTION...]: of `portfence leases --json`, as `answer`
field() {
	ns "$PORTFENCE" leases --json "${@:2}" | python3 -c "import json, sys; answer = json.load(sys.stdin); print($1)"
}

# says STATUS TEXT COMMAND...: it ends so, and with these first words on standard error
says() {
	run --separate-stderr "${@:3}"
	[ "$status" = "$1" ]
	if [ "${stderr_lines[0]}" != "$2" ]; then
		printf "wanted '%s'\ngot    '%s'\n" "$2" "${stderr_lines[0]}"
		return 1
	fi
}
