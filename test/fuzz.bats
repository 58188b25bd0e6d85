#!/usr/bin/env bats
#
# What is read from files, from the environment, from the kernel and from other programs, may be of any
# bytes. One program of test/fuzz for each reader, from its seeds on, for so many runs; `make fuzz`
# goes on for longer.

bats_require_minimum_version 1.5.0
load lib/helpers

FUZZ=$BUILD/fuzz/test/fuzz

# holds TARGET
holds() {
	[ ! -e "$BUILD/fuzz/missing" ] ||
		not_installed "clang builds no libFuzzer program: $(head -n 1 "$BUILD/fuzz/missing")"
	FUZZFLAGS="-seed=1 -runs=1000" "$BATS_TEST_DIRNAME/fuzz/run" "$FUZZ" fuzzed 0 "$1" >ran ||
		{ cat ran; return 1; }
	cat ran
	# its seeds are few
	[ "$(awk '{ print $2 }' ran)" -ge 1000 ]
}

@test "every program of test/fuzz is run here" {
	basename -s .c "$BATS_TEST_DIRNAME"/fuzz/*.c | sort >there
	sed -n 's/^	holds \([a-z_]*\)$/\1/p' "$BATS_TEST_FILENAME" | sort >run
	diff there run
}

@test "a finding is kept and reported, with the command that shows it again" {
	mkdir programs
	cat >programs/range <<-'END'
		#!/bin/sh
		echo "what is wrong"
		echo "artifact_prefix='x'; Test unit written to found/range-crash-1" >&2
		exit 77
	END
	chmod +x programs/range
	run -1 "$BATS_TEST_DIRNAME/fuzz/run" programs . 1 range
	[[ "$output" = "what is wrong"*"range has failed; once more: programs/range found/range-crash-1" ]]
}

@test "any text is a configuration, or is refused with words" {
	holds conf
}

@test "any list of ranges is the ports that a second reader finds, or is refused with words" {
	holds range
}

@test "any lists of globs fit the processes that fnmatch says" {
	holds match
}

@test "whatever is handed over makes a sound rule that can be handed on, or is passed over" {
	holds handover
}

@test "whatever /etc/services and the kernel's lists of ports hold, ports come of it" {
	holds preset
}

@test "every order gives every port of every range, and ends" {
	holds order
}

@test "a state file of any bytes is refused, or does no harm" {
	holds state
}

@test "with any state file, whatever the kernel answers, a port outside the range is never bound" {
	holds assign
}

@test "whatever the kernel answers to a question, it is read no further than it goes" {
	holds diag
}

@test "whatever the kernel answers to the command's questions, it can be printed" {
	holds sockets
}

@test "whatever an application is called, its log line is one line, and JSON where it should be" {
	holds logline
}

@test "any environment is passed on whole, and fenced" {
	holds child_environ
}

@test "any file can be fenced as a program, or there are words why not" {
	holds target
}

@test "whatever another process shows of itself, it is judged" {
	holds fenced
}

@test "a range of any size is drawn in the room that there is" {
	holds status_bar
}

@test "any end of a record is taken for what it says, or for none" {
	holds summary
}

@test "any records and locks of others are leases that can be listed and shown" {
	holds lease
}

@test "any name of a lease is refused or taken, whatever the file of names and its locks hold" {
	holds lease_name
}

@test "whatever a program's call says and points to, the supervisor answers once, and keeps to the range" {
	holds trap
}
