#!/usr/bin/env bats
#
# The command's verbs as a user meets them: help, what a mistyped word is answered with, and the
# small verbs `presets` and `env`.

bats_require_minimum_version 1.5.0
load lib/helpers

# fails STATUS TEXT ARGUMENT...: so ends portfence, and it says just that, on standard error; what
# `env` gives to eval fails as well
fails() {
	local wanted=$1 text=$2 printed=
	shift 2
	[ "$1" != env ] || printed=false
	run "-$wanted" --separate-stderr "$PORTFENCE" "$@"
	diff <(printf '%s\n' "$text") <(printf '%s\n' "$stderr")
	[ "$output" = "$printed" ]
}

write_sections() {
	cat >"$1" <<-END
		[alpha]
		match = never-run-under-this-name
		range = 20000-20099

		[python3]
		match = python3*
		range = 20100-20199
	END
}

# A server on port 8000 that keeps the port of each client, one a line, in the file "clients".
serve() {
	ns_background python3 -u -c '
import socket
with socket.create_server(("127.0.0.1", 8000)) as server:
    while True:
        client, peer = server.accept()
        with client, open("clients", "a") as clients:
            clients.write(f"{peer[1]}\n")
            client.recv(4096)
            client.sendall(b"HTTP/1.0 204 No Content\r\n\r\n")'
	wait_tcp 8000
}

served() {
	[ "$(wc -l <clients)" = "$1" ]
}

# --- verbs and options

@test "each verb has a help with its usage, its exit status and an example that names it" {
	[ "$(verbs | wc -l)" -ge 3 ]
	for verb in $(verbs); do
		run -0 --separate-stderr "$PORTFENCE" "$verb" --help
		[ -z "$stderr" ]
		[[ "$output" = "usage: portfence $verb [OPTION]..."* ]]
		[[ "$output" = *$'\n\nexit status: '* ]]
		[[ "$output" = *$'\n\nexample:\n  '*"portfence $verb"* ]]
		help=$output
		[ "$("$PORTFENCE" "$verb" -h)" = "$help" ]
		[ "$("$PORTFENCE" help "$verb")" = "$help" ]
	done
	[ "$("$PORTFENCE" help)" = "$("$PORTFENCE" --help)" ]
	[ "$("$PORTFENCE" -h)" = "$("$PORTFENCE" --help)" ]
}

@test "help fits a terminal of 80 columns" {
	for verb in '' $(verbs); do
		# shellcheck disable=SC2086 # no verb at all is one of them
		run -1 grep -E '^.{81}|[[:blank:]]$' <("$PORTFENCE" $verb --help)
	done
}

@test "a mistyped verb is answered with the nearest one" {
	for typed in rnu rum urn ru runn; do
		fails 2 "portfence: there is no verb '$typed'; did you mean 'run'?" "$typed"
	done
	# two mistakes each
	for typed in prets presetts rpeset preestss; do
		fails 2 "portfence: there is no verb '$typed'; did you mean 'presets'?" "$typed"
	done
	fails 2 "portfence: there is no verb 'rnu'; did you mean 'run'?" help rnu
	fails 2 "portfence: there is no verb 'hlep'; did you mean 'help'?" hlep
	fails 2 "portfence: there is no option '--versoin'; did you mean '--version'?" --versoin
}

@test "no word is suggested that is more than two letters away, or has no letter in common" {
	for typed in walk r x '' presentation $(printf '%0100d' 0); do
		fails 2 "portfence: there is no verb '$typed', see 'portfence --help'" "$typed"
	done
	fails 2 "portfence: there is no option '-v', see 'portfence --help'" -v
}

@test "each option that help shows is read, with a value just where help shows one" {
	for verb in $(verbs); do
		status=2
		[ "$verb" != run ] || status=125
		see="see 'portfence $verb --help'"
		[ "$(options "$verb" | wc -l)" -ge 2 ]
		while read -r name value; do
			if [[ "$name" == *'[='* ]]; then
				# the value may be left out, so it does anything but fail for want of one
				name=${name%%'[='*}
				fails "$status" "portfence: option '--$name' has an empty value, $see" "$verb" "--$name="
			elif [ -n "$value" ]; then
				fails "$status" "portfence: option '--$name' needs a value, $see" "$verb" "--$name"
				fails "$status" "portfence: option '--$name' has an empty value, $see" "$verb" "--$name="
			else
				fails "$status" "portfence: option '--$name' takes no value, $see" "$verb" "--$name=x"
			fi
		done < <(options "$verb")
	done
}

@test "a verb that is called wrongly ends with 2, run with 125, and prints nothing else" {
	for verb in $(verbs); do
		status=2
		[ "$verb" != run ] || status=125
		fails "$status" "portfence: there is no option '--helo'; did you mean '--help'?" "$verb" --helo
		fails "$status" "portfence: there is no option '--', see 'portfence $verb --help'" "$verb" --=x
		fails "$status" "portfence: there is no option '-Z', see 'portfence $verb --help'" "$verb" -Z
	done
	fails 2 "portfence: 'second' is one argument too many, see 'portfence presets --help'" \
		presets first second
}

@test "an option may be shortened, stand behind the operand, and be given twice" {
	write_sections first.ini
	[ "$("$PORTFENCE" presets --js)" = "$("$PORTFENCE" presets --json)" ]
	wanted=$("$PORTFENCE" env --config first.ini alpha)
	[ "$("$PORTFENCE" env alpha --config first.ini)" = "$wanted" ]
	[ "$("$PORTFENCE" env alpha --config none.ini --config=first.ini)" = "$wanted" ]
}

@test "a report that cannot be written is a failure" {
	for report in --help --version 'presets' 'presets --json' 'run --help'; do
		# shellcheck disable=SC2086 # a list of words
		run -1 --separate-stderr sh -c '"$@" >/dev/full' sh "$PORTFENCE" $report
		[ "$stderr" = "portfence: cannot write: No space left on device" ]
	done
}

# --- presets

# "name first last" of each preset, from the table and from JSON
of_table() {
	ns "$PORTFENCE" presets | sed -nE '1d; s/^([a-z0-9-]+) +([0-9]+)-([0-9]+) .*/\1 \2 \3/p'
}

of_json() {
	ns "$PORTFENCE" presets --json | python3 -c '
import json, sys
for one in json.load(sys.stdin)["presets"]:
    assert one["ports"] == one["last"] - one["first"] + 1, one
    assert one["whose"] and one["source"], one
    print(one["name"], one["first"], one["last"])'
}

@test "presets lists each name that a range can have, with systems and sources" {
	run -0 --separate-stderr ns "$PORTFENCE" presets
	[ -z "$stderr" ]
	[[ "${lines[0]}" =~ ^PRESET\ +RANGE\ +PORTS\ +WHOSE\ +SOURCE$ ]]
	[[ "$output" =~ "iana "\ +49152-65535\ +16384\ +"IANA's dynamic ports"\ +"RFC 6335, section 6" ]]
	[[ "$output" =~ "rfc6056 "\ +1024-65535\ +64512\ +"what RFC 6056 advises"\ +"RFC 6056, section 3.2" ]]
	[ "$(of_table | wc -l)" = 14 ]
	diff <(of_table) <(of_json)
	# and each is one
	while read -r name first last; do
		[ "$("$PORTFENCE" run --range "$name" --order sequential -- "$PROBES/spawn" child |
			sed -n 's/^port //p')" -ge "$first" ]
		[ "$last" -le 65535 ]
	done < <(of_table)
}

@test "the preset system is what this machine has now" {
	ns sysctl -qw net.ipv4.ip_local_port_range='33001 33999'
	of_table | grep -qx 'system 33001 33999'
	of_json | grep -qx 'system 33001 33999'
}

@test "a range of the system's that cannot be read is a failure, and the others are listed" {
	# shellcheck disable=SC2016 # the inner shell expands it
	for options in '' --json; do
		run -1 --separate-stderr ns unshare -m sh -c '
			mount --bind /dev/null /proc/sys/net/ipv4/ip_local_port_range && "$@"' \
			sh "$PORTFENCE" presets $options
		[[ "$stderr" = "portfence: '/proc/sys/net/ipv4/ip_local_port_range' cannot be read: "* ]]
		grep -q iana <<<"$output"
		run -1 grep -q system <<<"$output"
	done
}

# --- env

@test "eval of env fences what a shell starts, as real curl and Python show from outside" {
	skip_missing curl python3
	write_sections sections.ini
	serve
	for shell in sh bash; do
		# shellcheck disable=SC2016 # the inner shell expands it
		ns "$shell" -c 'eval "$("$1" env alpha --config sections.ini)" && cd / && "$2" -s http://127.0.0.1:8000/' \
			"$shell" "$PORTFENCE" "$(command -v curl)"
		# shellcheck disable=SC2016 # the inner shell expands it
		ns "$shell" -c 'eval "$("$1" env alpha --config sections.ini)" && cd / && python3 -c "
import socket
socket.create_connection((\"127.0.0.1\", 8000)).close()"' "$shell" "$PORTFENCE"
	done
	wait_until served 4
	all_within 20000 20099 <clients
}

@test "without APP, each program gets its ports by its own section" {
	write_sections sections.ini
	printf '[*]\nrange = 1\n[spawn]\nrange = 20200-20299\n' >>sections.ini
	# shellcheck disable=SC2016 # the inner shell expands it
	ns bash -c 'eval "$("$1" env --config sections.ini)"
		"$2" child
		python3 -c "
import socket
with socket.socket() as s:
    s.bind((\"127.0.0.1\", 0))
    print(\"port\", s.getsockname()[1])"' bash "$PORTFENCE" "$PROBES/spawn" >said
	sed -n 's/^port //p' said >ports
	head -n 1 ports | all_within 20200 20299
	tail -n 1 ports | all_within 20100 20199
	grep -qx "variable PORTFENCE_CONFIG=$PWD/sections.ini" said
	for options in --config=sections.ini --range=iana; do
		run -1 grep -q PORTFENCE_APP <("$PORTFENCE" env "$options")
	done
}

@test "the shell that evals is not fenced itself" {
	skip_missing python3
	serve
	# shellcheck disable=SC2016 # the inner shell expands it
	ns bash -c 'eval "$("$1" env --range 20000-20099)"
		exec 5<>/dev/tcp/127.0.0.1/8000
		bash -c "exec 5<>/dev/tcp/127.0.0.1/8000"' bash "$PORTFENCE"
	wait_until served 2
	head -n 1 clients | all_within 32768 60999
	tail -n 1 clients | all_within 20000 20099
}

@test "every option of env is what the variables say" {
	write_sections sections.ini
	run -0 --separate-stderr "$PORTFENCE" env alpha --config sections.ini --range '20000-20009, 21000' \
		--order random --seed 7 --log json:calls.log
	[ -z "$stderr" ]
	diff - <(echo "$output") <<-END
		export LD_PRELOAD='$LIBRARY'
		export PORTFENCE_CONFIG='$PWD/sections.ini'
		export PORTFENCE_APP='alpha'
		export PORTFENCE_RANGE='20000-20009, 21000'
		export PORTFENCE_ORDER='random'
		export PORTFENCE_SEED='7'
		export PORTFENCE_LOG='json:$PWD/calls.log'
	END
}

@test "paths with blanks, quotes, dollars and newlines come through eval unharmed" {
	for shell in sh bash; do
		comes_through_eval "$shell"
	done
}

@test "what is preloaded already stays behind the library, and --unset takes only ours away" {
	# shellcheck disable=SC2016 # the inner shell expands it
	run -0 bash -c '
		before=$(export -p | grep -v " _=")
		eval "$("$1" env --range iana)"
		echo "$LD_PRELOAD $PORTFENCE_RANGE"
		eval "$("$1" env --unset)"
		[ "$(export -p | grep -v " _=")" = "$before" ] && echo as before
		LD_PRELOAD="/lib/one.so /lib/two.so:$3"
		eval "$("$1" env --range iana 2>/dev/null)" 2>/dev/null
		echo "$LD_PRELOAD"
		export LD_PRELOAD=/lib/one.so
		eval "$("$1" env --range iana 2>/dev/null)"
		echo "$LD_PRELOAD"
		eval "$("$1" env --unset 2>/dev/null)"
		echo "$LD_PRELOAD ${PORTFENCE_RANGE-none}"' bash "$PORTFENCE" _ "$LIBRARY" 2>/dev/null
	diff - <(echo "$output") <<-END
		$LIBRARY iana
		as before
		$LIBRARY
		$LIBRARY:/lib/one.so
		/lib/one.so none
	END
}

@test "what an env around it has set of section, range, order and seed no longer counts" {
	write_sections sections.ini
	# shellcheck disable=SC2016 # the inner shell expands it
	run -0 sh -c 'eval "$("$1" env --range iana --order random --seed 3)"
		eval "$("$1" env alpha --config sections.ini)"
		echo "${PORTFENCE_RANGE-none} ${PORTFENCE_ORDER-none} ${PORTFENCE_SEED-none} $PORTFENCE_APP"
		eval "$("$1" env)"
		echo "$PORTFENCE_APP"
		eval "$("$1" env --config sections.ini)"
		echo "${PORTFENCE_APP-none}"' sh "$PORTFENCE"
	[ "$output" = "none none none alpha
alpha
none" ]
}

@test "env prints a map, and --unset forgets it" {
	run -0 "$PORTFENCE" env --range 20000-20099 --map 8080
	[[ "$output" = *"export PORTFENCE_MAP='8080'"* ]]
	# shellcheck disable=SC2016 # the inner shell expands it
	run -0 bash -c '
		before=$(export -p | grep -v " _=")
		eval "$("$1" env app --range 20000-20099 --map 8080)"
		echo "$PORTFENCE_MAP $PORTFENCE_MAP_8080"
		eval "$("$1" env app --range 20000-20099 --map 9090)"
		echo "$PORTFENCE_MAP ${PORTFENCE_MAP_8080-none} $PORTFENCE_MAP_9090"
		eval "$("$1" env --unset)"
		[ "$(export -p | grep -v " _=")" = "$before" ] && echo as before' bash "$PORTFENCE"
	diff - <(echo "$output") <<-END
		8080=20099 20099
		9090=20099 none 20099
		as before
	END
}

@test "env copies no shell code from a variable that looks like one of a map" {
	# shellcheck disable=SC2016 # no shell may expand it
	PORTFENCE_MAP_8080='$(touch pwned)' run -0 "$PORTFENCE" env --range 20000-20099
	[[ "$output" = *"unset PORTFENCE_MAP_8080"* ]]
	[[ "$output" != *touch* ]]
}

@test "env checks what run checks, in the same words, and then the eval fails" {
	write_sections sections.ini
	printf '[alpha]\nrange = 2-1\norder = fast\n' >bad.ini
	needs_no /etc/portfence.ini
	fails 1 "portfence: there is no configuration file; write /etc/portfence.ini, or use --config or \
--range" env
	fails 1 "portfence: there is no section [nobody] in $PWD/sections.ini" \
		env nobody --config sections.ini
	fails 1 "portfence: $PWD/none.ini: cannot be read: No such file or directory" env --config none.ini
	fails 1 "portfence: $PWD/bad.ini:2: '2-1' is reversed, write the lower port first
portfence: $PWD/bad.ini:3: 'fast' is no order, use one of: auto, sequential, random, random-simple, \
hash, double-hash, random-increments" env alpha --config bad.ini
	fails 1 "portfence: --range: '5-1' is reversed, write the lower port first" env --range 5-1
	fails 2 "portfence: there is no option '--rage'; did you mean '--range'?" env --rage 1-2
	fails 2 "portfence: 'b' is one argument too many, see 'portfence env --help'" env a b
	fails 2 "portfence: the section's name is empty, see 'portfence env --help'" env ''
	printf '[a]\nrange = 20000-20009\nengine = kernel\n' >kernel.ini
	ns sysctl -qw net.ipv4.ip_local_port_range='32768 60999'
	fails 1 "portfence: 'engine = kernel' cannot serve 'a' for tcp: 20000-20009 is not within the \
system's ephemeral range 32768-60999; use 'engine = auto'" env a --config kernel.ini
	# shellcheck disable=SC2016 # the inner shell expands it
	run -1 --separate-stderr sh -ec 'eval "$("$1" env nobody --config sections.ini)"; echo went on' \
		sh "$PORTFENCE"
	[ -z "$output" ]
}

@test "env warns of what is doubtful in the section that it names" {
	printf '[a]\nrange = 20000-20009\n[b]\nrange = 20009\n' >overlap.ini
	run -0 --separate-stderr "$PORTFENCE" env a --config overlap.ini
	[ "$stderr" = "portfence: warning: $PWD/overlap.ini:1: the tcp range of 'a' overlaps that of 'b' (line \
3), both hold port 20009" ]
	run -0 --separate-stderr "$PORTFENCE" env --config overlap.ini
	[ -z "$stderr" ]
}

@test "env needs the library, and a path that LD_PRELOAD can hold" {
	needs_no /usr/local/lib/libportfence.so
	mkdir alone 'a blank'
	cp "$PORTFENCE" alone
	cp "$PORTFENCE" "$LIBRARY" 'a blank'
	PORTFENCE=alone/portfence fails 1 "portfence: the library '/usr/local/lib/libportfence.so' cannot be \
read: No such file or directory" env --range iana
	PORTFENCE='a blank/portfence' fails 1 "portfence: the library's path '$PWD/a \
blank/libportfence.so' has a blank, a colon or a dollar sign, which LD_PRELOAD cannot hold; install \
portfence elsewhere" env --range iana
}
