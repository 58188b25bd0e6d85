#!/usr/bin/env bats
#
# The pure parts: one program of test/unit for each module, one test for each group of its checks.
# What fails says so in a line with the program's file and line.

bats_require_minimum_version 1.5.0
load lib/helpers

UNIT=$BUILD/test/unit

# holds PROGRAM GROUP
holds() {
	run -0 "$UNIT/$1" "$2"
}

@test "every program of test/unit is run here, each group of it by one test" {
	local program
	for program in "$BATS_TEST_DIRNAME"/unit/*.c; do
		program=$(basename "$program" .c)
		"$UNIT/$program" --list | sed "s/^/holds $program /"
	done | sort >listed
	sed -n 's/^	\(holds [a-z_]* [a-z0-9-]*\)$/\1/p' "$BATS_TEST_FILENAME" | sort >run
	diff listed run
}

@test "a group that is not there is an error, not a success" {
	run -2 "$UNIT/range" nosuch
	[ "$output" = "there is no group 'nosuch'" ]
}

# --- text

@test "a number is written as printf writes it, and read back" {
	holds text numbers
}

@test "no sign, no blank and no number that is too large is read as a number" {
	holds text bad-numbers
}

@test "every Unicode character is read from its UTF-8 form, and from no other" {
	holds text characters
}

@test "control characters and what is not UTF-8 are found, and made safe to show" {
	holds text safety
}

# --- siphash

@test "SipHash-2-4 gives the 64 values that its designers published" {
	holds siphash official-vectors
}

@test "SipHash-2-4 agrees with a second implementation on 20,000 keys and messages" {
	holds siphash second-implementation
}

@test "SipHash-2-4 takes a message at any address" {
	holds siphash any-alignment
}

# --- sctp

@test "an array of packed addresses is whole up to the end of one of them" {
	holds sctp whole-arrays
}

@test "of an array nothing beyond its end is read" {
	holds sctp end-of-memory
}

@test "an address takes as much of an array as its family says" {
	holds sctp address-sizes
}

# --- order

@test "order sequential is RFC 6056's traditional algorithm" {
	holds order traditional
}

@test "order random is RFC 6056's Algorithm 1" {
	holds order algorithm-1
}

@test "order random-simple is RFC 6056's Algorithm 2, followed by a sweep" {
	holds order algorithm-2
}

@test "order hash is RFC 6056's Algorithm 3" {
	holds order algorithm-3
}

@test "order double-hash is RFC 6056's Algorithm 4" {
	holds order algorithm-4
}

@test "order random-increments is RFC 6056's Algorithm 5, followed by a sweep" {
	holds order algorithm-5
}

@test "over 2,000 assignments the cursor moves as the RFC's variable does" {
	holds order cursor-keeps-pace
}

@test "every order tries every port before it gives up, those that do not draw each one once" {
	holds order every-port
}

@test "order sequential rolls over at the end of the range, and at the end of its cursor" {
	holds order wrap-around
}

@test "a range of one port is enough for every order" {
	holds order one-port
}

@test "the same seed gives the same sequence, another seed, walk or destination another" {
	holds order seed-decides
}

@test "the hash orders heed every bit of both addresses and of the port" {
	holds order whole-flow-counts
}

@test "first candidates are spread evenly over the range" {
	holds order evenness
}

@test "the increments of random-increments are 1 to 500, each as likely" {
	holds order increments
}

@test "every order tries one half first where it is asked to, and every port before it gives up" {
	holds order halves
}

@test "in rounds, no port comes again before all others have" {
	holds order rounds
}

@test "each order has the name that the manual gives it, and no other" {
	holds order names
}

# --- range and preset

@test "a list of ranges may hold spans, counts, ports and presets in any order" {
	holds range good-lists
}

@test "a list with a mistake is refused with words that fit it" {
	holds range bad-lists
}

@test "a name that cannot be read is told apart from one that is unknown" {
	holds range names-resolved
}

@test "ports and indexes of random sets agree with a plain array" {
	holds range random-sets
}

@test "a set that was cleared is empty" {
	holds range cleared-set
}

@test "the lowest port that two ranges share is found" {
	holds range overlap
}

@test "a range written as text reads back the same, and is cut between items" {
	holds range format
}

@test "a range may have as many gaps as there can be" {
	holds range most-spans
}

@test "each preset has the ports of its table" {
	holds range presets
}

@test "the preset system is the kernel's ephemeral range" {
	holds range system-preset
}

@test "the preset system follows its network namespace" {
	ns sysctl -q net.ipv4.ip_local_port_range='33001 33999'
	run -0 ns "$UNIT/range" system-preset
	ns "$PORTFENCE" run --range system --seed 1 -- python3 -c '
import socket
with socket.socket() as s:
    s.bind(("127.0.0.1", 0))
    print(s.getsockname()[1])' | all_within 33001 33999
}

@test "services excludes the ports that glibc reads from /etc/services" {
	holds range services
}

# --- portmap

@test "a map takes the highest ports of its ranges, and these are nobody else's" {
	holds portmap places
}

@test "a map of a wrong form, or without a place in the range, is refused" {
	holds portmap refuses
}

@test "the real port is found by the asked one, and the asked one by the real one" {
	holds portmap looks-up
}

# --- handover

@test "a rule that run hands over is read back as it was" {
	holds handover round-trips
}

@test "a range with too many gaps is not handed over" {
	holds handover too-many-gaps
}

@test "a rule that was handed over no longer counts once a variable has changed" {
	holds handover variables
}

@test "a damaged handover is ignored" {
	holds handover damage
}

# --- summary

@test "a record's last line says which ports were used, and how many calls there were" {
	holds summary words
}

@test "a record's last line is read back as it was" {
	holds summary round-trips
}

@test "a damaged last line of a record is not read" {
	holds summary damage
}

@test "only a record's lines are counted" {
	holds summary counting
}

# --- policy

@test "a section without match fits the executable of its name" {
	holds policy section-name
}

@test "match takes globs on names and on whole paths" {
	holds policy match-globs
}

@test "args takes globs on the command line" {
	holds policy args-globs
}

@test "a glob may be as long as a line" {
	holds policy long-globs
}

@test "the first section that fits wins, and [*] comes last" {
	holds policy selection
}

@test "a section is found by its whole name" {
	holds policy finding
}

@test "protocols have the names of the keys" {
	holds policy protocol-names
}

@test "a range of privileged ports is a warning, unless this process may bind to them" {
	holds policy privileged-ports
}

@test "ranges that overlap are a warning with sections, lines and port" {
	holds policy overlaps
}

# --- conf

@test "every key of the configuration comes to the rule that it describes" {
	holds conf every-key
}

@test "every value that the manual names is taken" {
	holds conf every-value
}

@test "line ends, indentation, comments and a byte order mark change nothing" {
	holds conf ways-of-writing
}

@test "inih's own limits do not show" {
	holds conf no-surprise-of-inih
}

@test "a protocol's own range goes before the section's" {
	holds conf protocol-overrides
}

@test "what is excluded is taken from each protocol's range" {
	holds conf exclusions
}

@test "a file may have thousands of sections" {
	holds conf many-sections
}

@test "a file without a section is no error" {
	holds conf empty-files
}

@test "all errors of a file are reported at once, and nothing of it is used" {
	holds conf all-errors-at-once
}

@test "errors have the right line number wherever they are" {
	holds conf line-numbers
}

@test "a header that is refused takes its keys with it, and no others" {
	holds conf refused-headers
}

@test "a line of 198 characters is whole, a longer one refused" {
	holds conf long-lines
}

@test "a list goes on in indented lines where a comma says so, and swallows no key" {
	holds conf lists-of-many-lines
}

@test "slips that look right and would do nothing are errors" {
	holds conf slips
}

@test "a line with control characters is refused" {
	holds conf bytes-that-are-no-text
}

@test "a folder, a device and a missing file have different errors" {
	holds conf files-that-are-none
}

@test "reading a configuration leaves no descriptor open" {
	holds conf nothing-stays-open
}

@test "the environment overrides a rule's range, order and seed" {
	holds conf overrides
}

@test "engine = kernel goes with no order and no gap" {
	holds conf contradictions
}

# --- logline

@test "a line of the log says which call of which process got which port" {
	holds logline text-lines
}

@test "a line of the log says why there was no port" {
	holds logline failed-lines
}

@test "a message in the log has its level before it" {
	holds logline messages
}

@test "a line for the journal is a field for each value, and no text can forge one" {
	holds logline journal-fields
}

@test "a JSON line has the same facts under their names" {
	holds logline json-lines
}

@test "IPv4 addresses are written as inet_ntop writes them" {
	holds logline v4-addresses
}

@test "IPv6 addresses are written as inet_ntop writes them" {
	holds logline v6-addresses
}

@test "IPv6 addresses are written as RFC 5952 has them" {
	holds logline known-v6-addresses
}

@test "the date of each day to 2100 is gmtime_r's" {
	holds logline every-day
}

@test "the time of day is gmtime_r's, down to the microsecond" {
	holds logline times-of-day
}

@test "a line of a record has no more than two runs have in common" {
	holds logline record-lines
}

@test "no name and no message can end a line of the log" {
	holds logline control-characters
}

@test "a line that is too long is cut and ends all the same" {
	holds logline small-buffers
}

# --- status_bar

@test "a cell of the strip is empty or full only where all of it is, and thirds between" {
	holds status_bar levels
}

@test "one port of 65,535 is seen in the strip, in use or free" {
	holds status_bar extremes
}

@test "a range of fewer ports than the strip has cells is stretched" {
	holds status_bar stretched
}

@test "every port of every range is drawn, in a cell of every strip" {
	holds status_bar every-port-is-drawn
}

@test "first and last port stand at the ends of the strip, or beside each other" {
	holds status_bar labels
}

# --- port_origin

@test "a port that nobody but the kernel can have chosen is an escape" {
	holds port_origin escapes
}

@test "a port that the program named is no escape if 'bind' allows it" {
	holds port_origin explicit-binds
}

@test "an accepted connection is no escape, whether its listener is there or not" {
	holds port_origin accepted-connections
}

@test "a socket that another process made, or that the section allows, is no escape" {
	holds port_origin allowed-otherwise
}

# --- JSON

# Each line of standard input is one JSON object, in UTF-8. $1 lines at least.
all_json() {
	python3 -c '
import json, sys
count = 0
for line in sys.stdin.buffer:
    record = json.loads(line.decode())
    assert record["pid"] == 4711 and record["time"].endswith("Z"), line
    assert ("port" in record) != ("message" in record), line
    count += 1
assert count >= int(sys.argv[1]), count' "$1"
}

@test "a JSON parser reads every kind of JSON line" {
	"$UNIT/logline" --json | all_json 73
}

@test "a JSON parser reads lines that were cut, and names that are no UTF-8" {
	"$UNIT/logline" --json-rare | all_json 520
}

# --- procfs

@test "the status of a process is read to its end, whatever its name and however many its groups" {
	holds procfs status
}

@test "a process that has ended is gone, whichever word the kernel has for it" {
	holds procfs gone
}

@test "the links of a process tell its sockets apart" {
	holds procfs links
}

@test "files and memory of a process are read as far as they are asked for" {
	holds procfs lines
}
