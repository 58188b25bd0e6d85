#!/usr/bin/env bats
#
# The manual pages: well-formed, and with the verbs, options, variables and functions that there are.
# (Keys and values of the configuration: words.bats.)

bats_require_minimum_version 1.5.0
load lib/helpers

MAN=$ROOT/src/man

# part FILE SECTION [SUBSECTION]: of a page, with plain hyphens
part() {
	sed 's/\\-/-/g' "$MAN/$1" | awk -v section=".SH $2" -v sub_="${3:+.SS $3}" '
		/^\.SH / { inside = $0 == section || $0 == ".SH \"" substr(section, 5) "\""; deep = sub_ == "" }
		/^\.SS / && sub_ != "" { deep = $0 == sub_ }
		inside && deep'
}

# entries FILE SECTION [SUBSECTION]: the words that its entries begin with, one a line
entries() {
	part "$@" | awk '/^\.TP/ { head = 1; next } head { print; head = 0 }' |
		sed -E 's/^\.[A-Z]+ //; s/"//g; s/, +/\n/g' | sed 's/[ [].*//' | sort
}

verbs() {
	"$PORTFENCE" --help | sed -nE '/^verbs:/,/^$/ s/^  ([a-z]+) .*/\1/p' | sort
}

# The long options of a verb, as its help has them.
verb_options() {
	"$PORTFENCE" "$1" --help | sed -nE 's/^  (-., )?(--[a-z-]+).*/\2/p' | sort
}

synopsis_options() {
	part portfence.1 SYNOPSIS | awk -v verb=".SY \"portfence $1\"" '/^\.SY/ { inside = $0 == verb } inside' |
		grep -oE -- '--[a-z-]+' | sort
}

@test "mandoc and groff find nothing wrong in the pages" {
	skip_missing mandoc groff
	run -0 mandoc -T lint -W warning "$MAN"/*
	[ -z "$output" ]
	run -0 groff -ww -t -man -Tutf8 -z "$MAN"/*
	[ -z "$output" ]
}

@test "the installed pages name paths and version, and have no placeholder left" {
	make -s -C "$ROOT" BUILD="$PWD/own" PREFIX=/opt/fence own="$PWD/own" \
		"$PWD"/own/man/{portfence.1,portfence.7,portfence.ini.5,libportfence.8} >/dev/null
	run -1 grep -E '@[A-Z]+@' own/man/*
	grep -q 'LD_PRELOAD=/opt/fence/lib/libportfence.so' own/man/libportfence.8
	grep -q '/opt/fence/share/doc/portfence/examples' own/man/portfence.ini.5
	grep -q "^\.TH.* \"$("$PORTFENCE" --version)\" " own/man/portfence.1
}

@test "the manual has each verb, and no other" {
	diff <(verbs) <(part portfence.1 VERBS | sed -n 's/^\.SS //p' | sort)
	for verb in $(verbs); do
		part portfence.1 SYNOPSIS | grep -q "^\.SY \"portfence $verb\""
	done
}

@test "the manual's synopsis of each verb has the options that its help has" {
	for verb in $(verbs); do
		diff <(verb_options "$verb" | grep -vx -- --help) <(synopsis_options "$verb")
	done
}

@test "each option of each verb has its entry in the manual, and each entry its option" {
	for verb in $(verbs); do
		verb_options "$verb" | tee -a all >options
		entries portfence.1 VERBS "$verb" >own
		diff /dev/null <(comm -23 options <(sort -u own <(entries portfence.1 OPTIONS)))
		# of one letter: run.bats
		diff /dev/null <(comm -13 options <(grep -- ^-- own))
	done
	diff /dev/null <(comm -13 <(sort -u all) <(entries portfence.1 OPTIONS | grep -vx -- -h))
}

@test "the manual has each variable that is read, and no other" {
	# no other file knows a variable by its name
	run -1 grep -rE '"PORTFENCE_[A-Z]+"' "$ROOT/src" --include '*.[ch]'
	for page in portfence.1 libportfence.8; do
		diff <(sed -nE 's/^	X\(([A-Z]+), .*/PORTFENCE_\1/p' "$ROOT/src/core/variables.h" | sort) \
			<(entries "$page" ENVIRONMENT | grep ^PORTFENCE_)
	done
}

@test "the manual names each function that is hooked" {
	# __connect and __send are glibc's other names for two of them
	part libportfence.8 'WHAT IS FENCED' | tr -d '"' >text
	while read -r name; do
		grep -qE "^\.B(R (.* )?$name \(| $name\$)" text || {
			echo "nothing of $name"
			return 1
		}
	done < <(sed -nE 's/^	([a-z]\w+);/\1/p' "$ROOT/src/shim/libportfence.map")
}

@test "the manual's example of a configuration is right as it stands" {
	part portfence.ini.5 DESCRIPTION | sed -n '/^\.EX/,/^\.EE/ { /^\./d; p }' >example.ini
	grep -q '^\[\*\]' example.ini
	run -0 --separate-stderr "$PORTFENCE" run --config example.ini --log none -- true
	[ -z "$stderr" ]
}

# examples SECTION: a file for each example in the entries of the page
examples() {
	part portfence.ini.5 "$1" | sed -n '/^\.EX/,/^\.EE/p' |
		awk -v name="$1" '/^\.EX/ { file = name "." n++; next } /^\.EE/ { next } { print >file }'
}

@test "the manual's example of each key is right" {
	examples SETTINGS
	examples KEYS
	[ "$(cat SETTINGS.* KEYS.* | wc -l)" -ge 12 ]
	for file in SETTINGS.*; do
		printf '[portfence]\n%s\n[x]\nrange = iana\n' "$(cat "$file")" >one.ini
		run -0 "$PORTFENCE" run --config one.ini --app x --log none -- true
	done
	for file in KEYS.*; do
		printf '[x]\n%s\n' "$(cat "$file")" >one.ini
		grep -q '^range ' one.ini || echo 'range = iana, 21000-21999' >>one.ini
		run -0 "$PORTFENCE" run --config one.ini --app x --log none -- true
	done
}

@test "the exit statuses of the manual are those of the help" {
	for status in 125 126 127; do
		entries portfence.1 'EXIT STATUS' | grep -qx "$status"
		"$PORTFENCE" run --help | tr '\n' ' ' | grep -q "$status if"
	done
}
