# What `portfence which` answers, for tests of it.
#
#   load lib/which         after lib/helpers
#
# shellcheck disable=SC2154 # Bats and helpers.bash set them

# answers STATUS COMMAND...: `portfence which` ends so, and says nothing else
answers() {
	local wanted=$1
	shift
	run "-$wanted" --separate-stderr ns "$PORTFENCE" which "$@"
	[ -z "$stderr" ]
}

# line HEAD TEXT: the answer has just that there; all lines without a head belong to the one above
line() {
	diff <(printf '%s' "${2:+$2$'\n'}") <(awk -v head="$1" '
		/^  / { name = substr($0, 3, 8); sub(/ +$/, "", name); if (name != "") now = name
			if (now == head) print substr($0, 12) }' <<<"$output")
}

# field EXPRESSION: of the answer as JSON
field() {
	python3 -c 'import json, sys; answer = json.loads(sys.argv[1]); print(eval(sys.argv[2]))' "$output" "$1"
}

# refuses TEXT [--via WAY] COMMAND...: it cannot be fenced, as TEXT says; `portfence run` says the same
refuses() {
	local text=$1
	shift
	answers 1 --range 20000-20099 "$@"
	[[ "${lines[0]}" = "'${*: -1}' falls under ["*"], but cannot be fenced" ]]
	line preload "does not reach it: $text"
	line via ""
	run -125 --separate-stderr ns "$PORTFENCE" run --range 20000-20099 "$@"
	[ "$stderr" = "portfence: $text" ]
}

# unreached TEXT REMEDY COMMAND: no preload reaches it, as TEXT says, and a supervisor does
unreached() {
	refuses "$1; use '--via supervise', or $2" --via preload "$3"
	answers 0 --range 20000-20099 "$3"
	[[ "${lines[0]}" = "'$3' falls under ["*"], and a supervisor fences it" ]]
	line preload "does not reach it: $1"
	line via "supervise: a supervisor fences every call"
	answers 0 --range 20000-20099 --json "$3"
	[ "$(field "answer['via'], answer['fenced'], answer['preload'], answer['obstacle']")" = \
		"('supervise', True, False, \"$1\")" ]
}
