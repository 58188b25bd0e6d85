#!/usr/bin/env bats
#
# One list of words: what the parsers take is what help, manual and README tell of, no more and no
# less. (That parser and completions know the options that help shows: cli.bats, completion.bats.)

bats_require_minimum_version 1.5.0
load lib/helpers

PAGE=$ROOT/src/man/portfence.ini.5

# What the parser allows in place of a wrong line, one a line: allowed SECTION LINE
allowed() {
	printf '[%s]\n%s\n' "$1" "$2" >wrong.ini
	"$PORTFENCE" run --config wrong.ini --app x -- true 2>&1 |
		sed -nE 's/.*wrong.ini:2: .*, use (one of: )?//p' | sed 's/ or /, /' | tr -d ' ' | tr ',' '\n'
}

# A section of the page as plain text: the heads of its entries, one a line; or the entry of a head
heads() {
	section "$1" | awk '/^\.TP/ { head = 1; next } head { print; head = 0 }' |
		sed -E 's/^\.[A-Z]+ //; s/"//g; s/, /\n/g' | tr ' ' '\n' | grep .
}

section() {
	awk -v head=".SH $1" '/^\.SH / { inside = $0 == head } inside' "$PAGE" | sed 's/\\-/-/g'
}

entry() {
	section "$1" | awk -v key="$2" '/^\.TP/ { inside = 0; head = 1; next }
		head { head = 0; inside = ($0 ~ "[ \"]" key "([ \",]|$)") } inside'
}

@test "the manual has an entry for each key that the parser takes" {
	diff <(allowed x 'colour = red' | sort) <(heads KEYS | sort)
	diff <(allowed portfence 'colour = red' | sort) <(heads SETTINGS | sort)
}

@test "each key's entry has its type, its default and an example" {
	for key in $(heads KEYS); do
		# tcp.range, udp.range and sctp.range share an entry
		for line in '^\.I Type:' '^\.I Default:' '^\.EX' "^([a-z]+\.)?${key#*.} *= "; do
			grep -qE "$line" <(entry KEYS "$key")
		done
	done
}

@test "the manual names each value of a key that has a list of them" {
	for key in bind exhausted engine via io-uring mptcp order; do
		[ "$(allowed x "$key = x" | wc -l)" -ge 2 ]
		while read -r value; do
			[ "$key" = order ] || grep -qE "(^\.[BI]+|[ \"])$value( |\"|$)" <(entry KEYS "$key")
		done < <(allowed x "$key = x")
	done
	diff <(allowed x 'order = x' | sort) <(heads ORDERS | sort)
}

@test "the manual's table of presets is the command's" {
	diff <("$PORTFENCE" presets | sed -nE '1d; s/^([^ ]+) +([^ ]+) .*/\1 \2/p' | grep -v ^system) \
		<(sed 's/\\-/-/g' "$PAGE" | sed -nE 's/^([a-z0-9-]+)\|([0-9]+-[0-9]+)\|.*/\1 \2/p')
}

@test "help names the orders that the parser takes" {
	for verb in run env which; do
		help=$("$PORTFENCE" "$verb" --help)
		while read -r order; do
			grep -qE "[ ,]$order( |,|$)" <<<"$help"
		done < <(allowed x 'order = x')
	done
}

@test "each option that sets a variable is named in the variable's entry" {
	# --via is none: a plain preload has nothing to choose; nor is what a lease takes
	diff <(options run | sed -n 's/ .*//p' | grep -vxE 'lease|pool|via|wait|name' | sort) \
		<(sed 's/\\-/-/g' "$ROOT/src/man/portfence.1" | sed -n '/^\.SH ENVIRONMENT/,/^\.SH FILES/p' |
			awk '/^\.TP/ { head = 1; next } head { head = 0; next } !seen[NR-1] && /^\.BR? --/ { print }' |
			sed -nE 's/^\.BR? --([a-z]+).*/\1/p' | sort)
}
