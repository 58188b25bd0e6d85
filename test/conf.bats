#!/usr/bin/env bats
#
# Mistakes in the configuration: what an administrator reads, word for word, and what a program
# under the shim meets. Each file of test/fixtures/conf has one mistake, unless its name begins with "good";
# what an editor or git might alter (line ends, NUL bytes, a byte order mark) is made here.

bats_require_minimum_version 1.5.0
load lib/helpers

CONF=$BATS_TEST_DIRNAME/fixtures/conf
export LC_ALL=C

setup() {
	common_setup
	open=
}

teardown() {
	ns_close
	[ -z "$open" ] || rm -rf "$open"
}

# A folder that everybody may enter, with programs to run from it as nobody. Its name is in $open.
open_folder() {
	open=$(mktemp -d /tmp/portfence-conf.XXXXXX)
	chmod 755 "$open"
	cp "$PORTFENCE" "$LIBRARY" "$open"
}

# same WANT: $stderr is just that, and standard output empty
same() {
	diff <(printf '%s\n' "$1") <(printf '%s\n' "$stderr")
	[ -z "$output" ]
}

# A program that says what it could do without a port of its own; each call is made twice, and each
# failure told once.
# shellcheck disable=SC2016 # it is Perl that expands these
callers='
use Socket;
$| = 1;
print "started\n";
for (1 .. 2) {
	socket(my $tcp, AF_INET, SOCK_STREAM, 0);
	connect($tcp, sockaddr_in(9, INADDR_LOOPBACK)) or $seen{"connect: $!"}++;
	socket(my $udp, AF_INET, SOCK_DGRAM, 0);
	defined send($udp, "x", 0, sockaddr_in(9, INADDR_LOOPBACK)) or $seen{"send: $!"}++;
	socket(my $bound, AF_INET, SOCK_STREAM, 0);
	bind($bound, sockaddr_in(0, INADDR_LOOPBACK)) or $seen{"bind to 0: $!"}++;
	socket(my $listener, AF_INET, SOCK_STREAM, 0);
	listen($listener, 1) or $seen{"listen: $!"}++;
	socket(my $named, AF_INET, SOCK_STREAM, 0);
	bind($named, sockaddr_in(23456, INADDR_LOOPBACK)) or $seen{"bind to 23456: $!"}++;
	socketpair(my $one, my $other, AF_UNIX, SOCK_STREAM, 0) or $seen{"socketpair: $!"}++;
}
print "$_\n" for sort keys %seen;
'

# starts_closed FILE PROBLEM [MORE]: under the shim, with this configuration, a program starts, its
# calls that need a port fail, and one line says why; MORE further mistakes are counted in it.
starts_closed() {
	local more='' want
	[ "${3:-0}" = 0 ] || more=" (and $3 more, see 'portfence run')"
	run -0 --separate-stderr ns timeout 120 env LD_PRELOAD="$LIBRARY" PORTFENCE_CONFIG="$1" \
		perl -e "$callers"
	want=$(printf '%s: Permission denied\n' 'bind to 0' connect listen send)
	diff <(printf 'started\n%s\n' "$want") <(printf '%s\n' "$output")
	[[ "$stderr" =~ ^[0-9]{4}-[0-9-]{5}T[0-9:.]{15}Z\ portfence\[[0-9]+\]\ perl:\ error:\  ]]
	want="$2$more; until it is mended, calls that need a port fail"
	diff <(printf '%s\n' "$want") <(printf '%s\n' "${stderr#*: error: }")
}

# refuses_file FILE PROBLEM...: `portfence run` tells these and nothing else, and runs no command;
# under the shim the first is told. A PROBLEM begins after the file's name: ":LINE: WORDS".
refuses_file() {
	local file=$1 want
	shift
	want=$(printf "portfence: $file%s\n" "$@")
	run -125 --separate-stderr timeout 120 "$PORTFENCE" run --config "$file" -- touch started
	same "$want"
	[ ! -e started ]
	starts_closed "$file" "$file$1" $(($# - 1))
}

# refuses FIXTURE LINE: WORDS...
refuses() {
	local name=$1 problems
	shift
	problems=("${@/#/:}")
	refuses_file "$CONF/$name.ini" "${problems[@]}"
}

# made: the file of the test's own, out of standard input
made() {
	cat >"$BATS_TEST_TMPDIR/made.ini"
}

refuses_made() {
	refuses_file "$BATS_TEST_TMPDIR/made.ini" "${@/#/:}"
}

@test "every file of test/fixtures/conf is used by a test here" {
	local file name
	for file in "$CONF"/*; do
		name=$(basename "$file" .ini)
		case $name in
		good*) grep -q "^	.*conf/$name\.ini\|\$CONF/$name\.ini" "$BATS_TEST_FILENAME" ;;
		*) grep -q "^	refuses $name " "$BATS_TEST_FILENAME" ;;
		esac || {
			echo "nobody uses $name"
			return 1
		}
	done
}

# --- keys

@test "an unknown key is reported with the known ones" {
	refuses unknown-key "3: unknown key 'protocol' in [curl], use one of: match, args, range,\
 tcp.range, udp.range, sctp.range, exclude, order, seed, bind, move, exhausted, engine, via, io-uring, mptcp, map"
	refuses unknown-setting "2: unknown key 'logfile' in [portfence], use one of: log, state, lease-file, pool, lease, warn"
}

@test "a key that is given twice is an error" {
	refuses key-twice "4: 'range' is given twice in this section, keep one"
	refuses setting-twice "3: 'log' is given twice in this section, keep one"
}

@test "a key before any section is an error" {
	refuses key-before-section \
		"1: 'range' stands before the first section, write [application] above it"
}

@test "a line that is neither section nor key is an error" {
	refuses no-equals-sign "2: this is neither '[section]' nor 'key = value'" \
		"1: [curl] has no 'range', give it one such as 'range = 20000-20999'"
	refuses no-key "2: there is no key before '=', write 'key = value'"
}

@test "a key without a value is an error" {
	local or="after '=' or take the line out"
	refuses value-missing "2: 'range' has no value, write ports such as 20000-20999 $or" \
		"3: 'match' has no value, write names or paths of programs $or" \
		"4: 'order' has no value, write an order such as random $or"
	printf '[curl]\nrange = 1\nbind =\nvia =\n' | made
	refuses_made "3: 'bind' has no value, write allow, own, deny or move $or" \
		"4: 'via' has no value, write auto, preload, supervise or both $or"
}

# --- sections

@test "a section that is given twice is reported with the line of the first" {
	refuses section-twice "7: section [curl] is given twice, first in line 1; join the two"
	refuses settings-twice "4: section [portfence] is given twice, first in line 1; join the two"
}

@test "a section's name of a wrong form is an error" {
	refuses section-not-closed "1: the section's name has no ']' at its end, write [name]"
	refuses section-without-name "1: the section has no name, write [name]"
	refuses section-with-blank \
		"1: the section's name ' curl ' begins or ends with a blank, take it out"
	refuses long-section-name \
		"1: the section's name has 52 characters, the longest allowed is 49; shorten it and name the program with 'match'"
	refuses text-after-section "1: there is text after ']', begin a new line"
}

@test "a section without a range is an error" {
	refuses no-range "4: [curl] has no 'range', give it one such as 'range = 20000-20999'"
	refuses no-range-but-udp "1: [curl] has no 'range', give it one for the other protocols\
 ('range = system' leaves them as they are)"
}

# --- ranges

@test "a range of a wrong form is reported with the right forms" {
	refuses range-malformed "2: '20000 to 20999' is not a range, write first-last, first+count or\
 one port, such as 20000-20999"
	refuses range-of-hosts "3: '20000:20999' is not a range, write first-last, first+count or one\
 port, such as 20000-20999"
	refuses comment-with-hash "2: '#' begins no comment behind a value, write ';' instead"
	refuses empty-item "2: an item is empty, write first-last, first+count, one port or a preset"
}

@test "a range outside 1 to 65535 is an error" {
	refuses range-too-high "2: '65000-66000' goes above port 65535, ports are 1 to 65535"
	refuses port-zero "2: '0-1023' holds port 0, ports are 1 to 65535"
}

@test "a range that is reversed or empty is an error" {
	refuses range-reversed "2: '20999-20000' is reversed, write the lower port first"
	refuses range-empty "2: '20000+0' holds no port, the count after '+' starts at 1"
}

@test "an unknown preset is an error" {
	refuses unknown-preset "2: 'linx' is neither a range nor a preset, write first-last,\
 first+count, one port or a preset such as iana, linux or system"
	refuses services-as-range "2: 'services' is neither a range nor a preset, write first-last,\
 first+count, one port or a preset such as iana, linux or system"
}

@test "an exclusion that leaves no port is an error" {
	refuses exclude-leaves-nothing \
		"1: 'exclude' leaves no port of 'range' in [curl], take out less"
	refuses exclude-leaves-no-udp \
		"1: 'exclude' leaves no port of 'udp.range' in [curl], take out less"
}

# --- other values

@test "an unknown order is reported with the known ones" {
	refuses bad-order "3: 'ascending' is no order, use one of: auto, sequential, random,\
 random-simple, hash, double-hash, random-increments"
}

@test "a seed that is not a number of 64 bits is an error" {
	local allowed='write a whole number from 0 to 18446744073709551615'
	refuses bad-seed "3: '-1' is no seed, $allowed" \
		"6: '18446744073709551616' is no seed, $allowed" "9: '0x2a' is no seed, $allowed"
}

@test "a wrong value of bind, exhausted or engine is reported with the right ones" {
	refuses bad-bind "3: 'yes' is no value of 'bind', use allow, own, deny or move"
	refuses bad-exhausted "3: 'wait' is no value of 'exhausted', use fail or system"
	refuses bad-engine "3: 'fast' is no value of 'engine', use auto, kernel or bind"
}

@test "an empty item of a list of globs is an error" {
	refuses empty-glob \
		"2: '/opt/curl/bin/*,' has an empty item, write globs separated by commas"
}

@test "engine = kernel with an order or with gaps is an error" {
	refuses kernel-with-order "1: order 'sequential' cannot go with 'engine = kernel', which keeps\
 to the kernel's own order; use 'engine = auto'"
	refuses kernel-with-gaps "1: 'engine = kernel' takes one unbroken range, and that for tcp has\
 gaps; use 'engine = auto'"
}

@test "a log or a state folder without an absolute path is an error" {
	local allowed="write stderr, syslog, journal, none or an absolute path, with 'json:' before it for JSON\
 lines"
	refuses bad-log "2: 'portfence.log' is no log, $allowed"
	refuses bad-json-log "2: 'json:portfence.log' is no log, $allowed"
	refuses json-journal "2: 'json:journal' is no log, write 'journal', which gets each value as a field of its own"
	refuses bad-state "2: 'run/portfence' is no state folder, write an absolute path"
}

# --- all in one go

@test "all mistakes of a file are reported at once, each with its line" {
	refuses many-errors \
		"2: 'lost' stands before the first section, write [application] above it" \
		"5: 'portfence.log' is no log, write stderr, syslog, journal, none or an absolute path, with\
 'json:' before it for JSON lines" \
		"6: unknown key 'size' in [portfence], use one of: log, state, lease-file, pool, lease, warn" \
		"9: '20999-20000' is reversed, write the lower port first" \
		"10: 'ascending' is no order, use one of: auto, sequential, random, random-simple,\
 hash, double-hash, random-increments" \
		"11: 'x' is no seed, write a whole number from 0 to 18446744073709551615" \
		"12: 'yes' is no value of 'bind', use allow, own, deny or move" \
		"13: this is neither '[section]' nor 'key = value'" \
		"15: [wget] has no 'range', give it one such as 'range = 20000-20999'" \
		"17: section [curl] is given twice, first in line 8; join the two" \
		"21: '0' holds port 0, ports are 1 to 65535" \
		"22: 'range' is given twice in this section, keep one" \
		"23: 'nobody' is neither a range nor a preset, write first-last, first+count, one port\
 or a preset such as iana, linux or system"
}

@test "a mistake in a section that the command does not use is reported, too" {
	made <<-'END'
		[touch]
		range = 20000-20999
		[curl]
		range = 0
	END
	refuses_made "4: '0' holds port 0, ports are 1 to 65535"
}

@test "lines that end in CR LF are counted and quoted without the CR" {
	printf '[curl]\r\nrange = 20000-20999\r\n\r\norder = best\r\nseed = x\r\n' | made
	refuses_made "4: 'best' is no order, use one of: auto, sequential, random, random-simple,\
 hash, double-hash, random-increments" \
		"5: 'x' is no seed, write a whole number from 0 to 18446744073709551615"
}

# --- files that are no text

nul='this is no text file, as it holds a NUL byte; save it as UTF-8'
no_text='this is not text, a configuration holds printable characters only'

@test "a line may be as long as it needs to be, and a list goes on in indented lines" {
	run -0 "$PORTFENCE" which --config "$CONF/good-long-line.ini" true
	[[ "$output" = *"'true' falls under [curl]"*"range    20000-20004, 20006-20997 (997 ports)"* ]]
	printf '[true]\nrange = 20000-20999\nexclude = 20001' >list.ini
	for ((port = 20003; port < 20999; port += 2)); do printf ', %d' "$port"; done >>list.ini
	run -0 --separate-stderr ns "$PORTFENCE" run --config list.ini -- true
	same ''
	run -0 "$PORTFENCE" which --config list.ini true
	[[ "$output" = *'(501 ports)'* ]]
	# the library reads the file by itself, too
	run -0 --separate-stderr ns env LD_PRELOAD="$LIBRARY" PORTFENCE_CONFIG="$PWD/list.ini" true
	same ''
}

@test "an indented line that no comma joins to a list is an error that names the comma" {
	printf '[curl]\nrange = 20000\n  20001\n' | made
	refuses_made "3: this is neither '[section]' nor 'key = value'; to go on with the list of 'range', \
end the line above with a comma"
}

# --- slips that look right

@test "quotes around a value are an error, also in a glob, which would fit no program" {
	printf '[portfence]\nlog = "stderr"\n[curl]\nmatch = "curl"\nrange = '"'20000-20999'"'\n' | made
	local quotes='quotes would be part of the value, write it without them:'
	refuses_made "2: $quotes stderr" "4: $quotes curl" "5: $quotes 20000-20999"
}

@test "separators of thousands are named as such" {
	printf '[curl]\nrange = 20,000-20,999\n' | made
	refuses_made "2: '20,000-20,999' has separators of thousands, write '20000-20999'"
	run -125 --separate-stderr "$PORTFENCE" run --range 20,000-20,999 -- true
	same "portfence: --range: '20,000-20,999' has separators of thousands, write '20000-20999'"
}

@test "a key in the wrong section, or before any, is reported with the right section" {
	printf 'log = stderr\n[curl]\nrange = 20000-20999\nlog = stderr\n[portfence]\nrange = 5\n' | made
	refuses_made "1: 'log' stands before the first section, write [portfence] above it" \
		"4: 'log' is no key of [curl] but of [portfence], write it below a line [portfence]" \
		"6: 'range' is no key of [portfence] but of an application, write it below a line such as [curl]"
}

@test "a section for defaults, as other files have it, is an error" {
	printf '[DEFAULT]\nrange = 20000-20999\n' | made
	refuses_made "1: [DEFAULT] would only be for a program of that name; write [*] for all programs \
without a section of their own, [portfence] for the log, or add 'match = DEFAULT'"
}

@test "a home folder written with '~' is an error, as no shell expands it" {
	printf '[curl]\nrange = 20000-20999\nmatch = ~/bin/curl\n' | made
	refuses_made "3: '~/bin/curl' begins with '~', which nothing expands here; write the whole path, \
such as /home/*/bin/curl"
}

@test "a binary file is an error" {
	printf '\177ELF\002\001\001\000\000\000\000\003\000\076\000\001' | made
	refuses_made "1: $nul"
}

@test "control characters are an error, and are never shown" {
	printf '[curl]\nrange = 20000-20999\nmatch = a\033[31mb\nargs = a\177b\n' | made
	refuses_made "3: $no_text" "4: $no_text"
}

@test "a NUL byte is one error, and what follows is not read" {
	printf '[curl]\nrange = 20000-20999\0\norder\0 = best\norder = worst\n' | made
	refuses_made "2: $nul" "1: [curl] has no 'range', give it one such as 'range = 20000-20999'"
}

@test "a file in UTF-16 is an error" {
	printf '\377\376' >le.ini
	printf '[curl]\nrange = 1\n' | iconv -t UTF-16LE >>le.ini
	refuses_file "$PWD/le.ini" ":1: $nul"
	printf '\376\377' >be.ini
	printf '[curl]\nrange = 1' | iconv -t UTF-16BE >>be.ini
	refuses_file "$PWD/be.ini" ":1: $nul"
}

# --- files that cannot be read

@test "a missing file is an error" {
	refuses_file "$PWD/none.ini" ': cannot be read: No such file or directory'
	refuses_file "$PWD/none/portfence.ini" ': cannot be read: No such file or directory'
}

@test "a folder in a file's place is an error" {
	mkdir folder.ini
	refuses_file "$PWD/folder.ini" ': cannot be read: Is a directory'
}

@test "a FIFO is an error, and no program waits for it" {
	mkfifo fifo.ini
	refuses_file "$PWD/fifo.ini" ': cannot be read: not a regular file'
}

@test "a device or a socket is an error" {
	refuses_file /dev/zero ': cannot be read: not a regular file'
	ns_background socat UNIX-LISTEN:socket.ini,fork PIPE
	wait_until test -S socket.ini
	refuses_file "$PWD/socket.ini" ': cannot be read: No such device or address'
}

@test "a symbolic link to itself is an error, one to a file is followed" {
	ln -s loop.ini loop.ini
	refuses_file "$PWD/loop.ini" ': cannot be read: Too many levels of symbolic links'
	ln -s "$CONF/good.ini" link.ini
	run -0 "$PORTFENCE" run --config link.ini -- true
	[ -z "$output" ]
}

@test "a file beyond 16 MiB is an error" {
	truncate -s 17M large.ini
	refuses_file "$PWD/large.ini" ': cannot be read: larger than 16 MiB, is it a configuration?'
}

@test "a file of 16 MiB is read to its end" {
	{
		printf '[curl]\nrange = 0\n'
		yes ';' | head -n 8000000
		printf '[wget]\nrange = 0\n'
	} | made
	refuses_made "2: '0' holds port 0, ports are 1 to 65535" \
		"8000004: '0' holds port 0, ports are 1 to 65535"
}

@test "a file that this user may not read is an error" {
	open_folder
	install -m 600 "$CONF/good.ini" "$open/secret.ini"
	run -125 --separate-stderr as_nobody "$open/portfence" run --config "$open/secret.ini" -- true
	same "portfence: $open/secret.ini: cannot be read: Permission denied"
	run -0 --separate-stderr as_nobody env LD_PRELOAD="$open/libportfence.so" \
		PORTFENCE_CONFIG="$open/secret.ini" perl -e "$callers"
	[[ "$output" = started*connect:\ Permission\ denied* ]]
	[[ "$stderr" = *"perl: error: $open/secret.ini: cannot be read: Permission denied; until it is mended, calls that need a port fail" ]]
	[ "$(wc -l <<<"$stderr")" = 1 ]
}

@test "a mistake in the user's own file is reported with its path" {
	mkdir -p "$XDG_CONFIG_HOME"
	cp "$CONF/bad-bind.ini" "$XDG_CONFIG_HOME/portfence.ini"
	run -125 --separate-stderr "$PORTFENCE" run -- true
	same "portfence: $XDG_CONFIG_HOME/portfence.ini:3: 'yes' is no value of 'bind', use allow, own, deny or move"
}

@test "a relative path is reported as an absolute one" {
	cp "$CONF/bad-bind.ini" .
	run -125 --separate-stderr "$PORTFENCE" run --config bad-bind.ini -- true
	same "portfence: $PWD/bad-bind.ini:3: 'yes' is no value of 'bind', use allow, own, deny or move"
}

# --- no mistakes

@test "the example of the manual is right" {
	run -0 --separate-stderr "$PORTFENCE" run --config "$CONF/good.ini" -- true
	same ''
	run -3 --separate-stderr "$PORTFENCE" run --config "$CONF/good.ini" --app erp -- sh -c 'exit 3'
	same ''
}

@test "the configuration that ships is right as it stands, and with all that it shows" {
	run -0 --separate-stderr "$PORTFENCE" run --config "$ROOT/conf/portfence.ini" --app curl -- true
	same ''
	# keys and sections in comments, without the explanations behind them
	sed -E 's/^; (\[[a-z*]+\]|[a-z.]+ *= )/\1/' "$ROOT/conf/portfence.ini" >whole.ini
	[ "$(grep -cE '^[a-z.]+ *= ' whole.ini)" = 16 ]
	run -0 --separate-stderr "$PORTFENCE" run --config "$PWD/whole.ini" --app erp -- true
	same ''
}

@test "a file without a section leaves a program alone, and fences no command" {
	run -0 --separate-stderr ns env LD_PRELOAD="$LIBRARY" PORTFENCE_CONFIG="$CONF/good-empty.ini" \
		perl -e "$callers"
	diff <(printf '%s\n' started 'connect: Connection refused') <(printf '%s\n' "$output")
	[ -z "$stderr" ]
	run -125 --separate-stderr "$PORTFENCE" run --config "$CONF/good-empty.ini" -- true
	same "portfence: no section of $CONF/good-empty.ini fits 'true' and there is no [*]; add one, or\
 use --app or --range"
}

@test "ranges that overlap are a warning, and the command runs" {
	local warning="portfence: warning: $CONF/good-overlap.ini:1:"
	run -0 --separate-stderr "$PORTFENCE" run --config "$CONF/good-overlap.ini" -- true
	same "$warning the udp range of 'true' overlaps that of 'curl' (line 4), both hold port 20500
$warning the tcp range of 'true' overlaps that of 'wget' (line 8), both hold port 20900"
	run -3 --separate-stderr "$PORTFENCE" run --config "$CONF/good-overlap.ini" --app true -- \
		sh -c 'exit 3'
	[ "$(wc -l <<<"$stderr")" = 2 ]
	# nobody is told of a section that is not his
	run -0 --separate-stderr "$PORTFENCE" run --config "$CONF/good-privileged.ini" -- true
	same ''
}

@test "privileged ports are a warning for users who may not bind to them, and the command runs" {
	open_folder
	cp "$CONF/good-privileged.ini" "$open"
	run -0 --separate-stderr as_nobody "$open/portfence" run --config "$open/good-privileged.ini" -- \
		true
	same "portfence: warning: the tcp range of 'true' starts at port 1000, ports below 1024 need\
 CAP_NET_BIND_SERVICE and will be passed over"
	ns sysctl -q net.ipv4.ip_unprivileged_port_start=1000
	run -0 --separate-stderr as_nobody "$open/portfence" run --config "$open/good-privileged.ini" -- \
		true
	same ''
}

@test "a mistake in an option or a variable is reported with its name" {
	run -125 --separate-stderr "$PORTFENCE" run --range 5-4 --order best --seed x -- true
	same "portfence: --range: '5-4' is reversed, write the lower port first
portfence: --order: 'best' is no order, use one of: auto, sequential, random, random-simple, hash, double-hash, random-increments
portfence: --seed: 'x' is no seed, write a whole number from 0 to 18446744073709551615"
	run -125 --separate-stderr "$PORTFENCE" run --config "$CONF/good.ini" --app nobody -- true
	same "portfence: there is no section [nobody] in $CONF/good.ini"
	run -125 --separate-stderr env PORTFENCE_APP=nobody PORTFENCE_SEED=x "$PORTFENCE" run \
		--config "$CONF/good.ini" --order best -- curl
	same "portfence: --order: 'best' is no order, use one of: auto, sequential, random, random-simple, hash, double-hash, random-increments"
	run -125 --separate-stderr env PORTFENCE_RANGE=5-4 PORTFENCE_SEED=x "$PORTFENCE" run --order best -- true
	same "portfence: PORTFENCE_RANGE: '5-4' is reversed, write the lower port first
portfence: --order: 'best' is no order, use one of: auto, sequential, random, random-simple, hash, double-hash, random-increments
portfence: PORTFENCE_SEED: 'x' is no seed, write a whole number from 0 to 18446744073709551615"
	run -125 --separate-stderr env PORTFENCE_LOG=log.txt "$PORTFENCE" run --range 5 -- true
	same "portfence: PORTFENCE_LOG: 'log.txt' is no log, write stderr, syslog, journal, none or an absolute\
 path, with 'json:' before it for JSON lines"
}

@test "a comment behind a value begins with ';', and '#' there is an error" {
	printf '[curl]\nrange = 20000 # first\nmatch = a #b\nargs = a#b\n' | made
	refuses_made "2: '#' begins no comment behind a value, write ';' instead" \
		"3: '#' begins no comment behind a value, write ';' instead"
}

@test "a section whose name no program can have, without a match, is an error" {
	printf '[/usr/bin/curl]\nrange = 1025\n[cu*]\nrange = 1026\n[a*]\nrange = 1027\nmatch = a*\n' | made
	refuses_made "1: [/usr/bin/curl] would have to be a program's name, which it can not be; write\
 another name and 'match = /usr/bin/curl'" \
		"3: [cu*] would have to be a program's name, which it can not be; write another name and\
 'match = cu*'"
}

@test "a home folder that cannot be entered holds no configuration" {
	open_folder
	mkdir -p "$open/home/.config"
	chmod 700 "$open/home"
	run --separate-stderr as_nobody env -u XDG_CONFIG_HOME HOME="$open/home" \
		"$open/portfence" run --range 20000 -- true
	[ "$status" = 0 ]
	[ -z "$stderr" ]
}

# ---- drop-ins

# A configuration of three files, each with a section of its own
make_drop_ins() {
	mkdir all.ini.d
	printf '[first]\nrange = 20000-20099\n' >all.ini
	printf '[second]\nrange = 21000-21099\n' >all.ini.d/10-second.ini
	printf '[third]\nmatch = spawn\nrange = 22000-22099\n[portfence]\nlog = stderr\n' >all.ini.d/20-third.ini
	# none of these is read
	printf 'no ini\n' | tee all.ini.d/x.ini~ all.ini.d/.x.ini all.ini.d/x.conf >all.ini.d/README
}

# sections FILE: in the order in which they are asked
sections() {
	"$PORTFENCE" rules --json --config "$1" | sed -n 's/ *"name": "\(.*\)",/\1/p' | xargs
}

@test "drop-ins are read after the file, in sorted order, and fence as the file does" {
	make_drop_ins
	[ "$(sections all.ini)" = 'first second third' ]
	mv all.ini.d/20-third.ini all.ini.d/05-third.ini
	[ "$(sections all.ini)" = 'first third second' ]
	run -0 ns env LD_PRELOAD="$LIBRARY" PORTFENCE_CONFIG="$PWD/all.ini" "$PROBES/spawn" child
	sed -n 's/^port //p' <<<"$output" | all_within 22000 22099
	run -0 --separate-stderr ns "$PORTFENCE" run --config all.ini -- "$PROBES/spawn" child
	sed -n 's/^port //p' <<<"$output" | all_within 22000 22099
	# a setting of theirs, too
	[[ $stderr == *' third: bind udp4 127.0.0.1:220'* ]]
	# the first section that fits counts
	printf '[other]\nmatch = spawn\nrange = 23000-23099\n' >all.ini.d/00-other.ini
	run -0 ns "$PORTFENCE" run --config all.ini --log none -- "$PROBES/spawn" child
	sed -n 's/^port //p' <<<"$output" | all_within 23000 23099
}

@test "drop-ins alone are a configuration, a user's as well, and so is a folder" {
	make_drop_ins
	rm all.ini
	[ "$(sections all.ini)" = 'second third' ]
	[ "$(sections all.ini.d)" = 'second third' ]
	mkdir -p "$XDG_CONFIG_HOME"
	mv all.ini.d "$XDG_CONFIG_HOME/portfence.ini.d"
	run -0 ns env LD_PRELOAD="$LIBRARY" "$PROBES/spawn" child
	sed -n 's/^port //p' <<<"$output" | all_within 22000 22099
	run -0 ns "$PORTFENCE" check --config "$XDG_CONFIG_HOME/portfence.ini.d"
	[[ $output == *'2 applications, 0 errors'* ]]
	# from the system's folder
	mv "$XDG_CONFIG_HOME" none
}

@test "a mistake is told with the file and line that it stands in" {
	make_drop_ins
	printf '[first]\nrange = 24000\n[portfence]\n' >all.ini.d/30.ini
	printf 'range = 1\n' >all.ini.d/40.ini
	want="portfence: all.ini.d/30.ini:1: section [first] is given twice, first in all.ini:1; join the two
portfence: all.ini.d/30.ini:3: section [portfence] is given twice, first in all.ini.d/20-third.ini:4; join the two
portfence: all.ini.d/40.ini:1: 'range' stands before the first section, write [application] above it"
	run -125 --separate-stderr "$PORTFENCE" run --config all.ini -- true
	diff <(echo "${stderr//"$PWD/"/}") - <<<"$want"
	run -1 "$PORTFENCE" check all.ini
	diff <(echo "${output//"$PWD/"/}" | head -n -1) <(sed 's/^portfence: //; s/\(:[0-9]\): /\1: error: /' <<<"$want")
	starts_closed "$PWD/all.ini" "$PWD/all.ini.d/30.ini:1: section [first] is given twice, first in $PWD/all.ini:1; join the two" 2
	rm all.ini.d/[34]0.ini
	# warnings, too
	printf '[fourth]\nrange = 20050-20149\n' >all.ini.d/30.ini
	run ns "$PORTFENCE" check all.ini
	[[ $output == *"all.ini.d/30.ini:2: warning: 'range' of [fourth] overlaps 'range' of [first] (all.ini:2) in 50 ports"* ]]
	run -0 ns "$PORTFENCE" which --config all.ini --app fourth -- true
	[[ $output == *"[fourth] in "*"all.ini.d/30.ini:1"* ]]
	run -0 --separate-stderr ns "$PORTFENCE" run --config all.ini --app fourth -- true
	[[ $stderr == *"all.ini.d/30.ini:1: the tcp range of 'fourth' overlaps that of 'first' ("*"all.ini:1), both hold port 20050"* ]]
}

@test "a drop-in that cannot be read is an error, and nothing is open" {
	make_drop_ins
	mkdir all.ini.d/30.ini
	refuses_drop_in() {
		run -125 --separate-stderr timeout 120 "$PORTFENCE" run --config all.ini -- touch started
		[ "${stderr#"portfence: $PWD/"}" = "$1" ]
		[ ! -e started ]
		starts_closed "$PWD/all.ini" "$PWD/$1"
	}
	refuses_drop_in 'all.ini.d/30.ini: cannot be read: Is a directory'
	rmdir all.ini.d/30.ini
	ln -s nowhere all.ini.d/30.ini
	refuses_drop_in 'all.ini.d/30.ini: cannot be read: No such file or directory'
	rm all.ini.d/30.ini
	mkfifo all.ini.d/30.ini
	refuses_drop_in 'all.ini.d/30.ini: cannot be read: not a regular file'
	rm all.ini.d/30.ini
	truncate -s 17M all.ini.d/30.ini
	refuses_drop_in 'all.ini.d/30.ini: cannot be read: larger than 16 MiB, is it a configuration?'
	rm all.ini.d/30.ini
	(cd all.ini.d && seq -f '%04g.ini' 1 1023 | xargs touch)
	refuses_drop_in 'all.ini.d: cannot be read: more than 1024 files'
}

@test "a folder of drop-ins that may not be listed is an error" {
	open_folder
	cd "$open"
	make_drop_ins
	chmod 711 all.ini.d
	run -125 "${AS_NOBODY[@]}" "$open/portfence" run --config all.ini -- true
	[[ $output == *"all.ini.d: cannot be read: Permission denied"* ]]
}
