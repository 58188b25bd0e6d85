#!/usr/bin/env bats
#
# What the README and portfence(7) show is what a new user gets: their sessions are typed again, on
# loopback, by a user without rights, and their files are checked.
#
# A block that follows a line <!-- try: NAME --> is a session: the user types what is behind '$ ', root
# types what is behind '# '. A block that follows <!-- file: PATH --> is a file in that user's home. In
# the manual page, such a line is a comment, and the block is an example.

bats_require_minimum_version 1.5.0
load lib/helpers
load lib/root

README=$ROOT/README.md
PAGE=$ROOT/src/man/portfence.7
ANN=(setpriv --reuid 4711 --regid 4711 --clear-groups
	env -i HOME=/home/ann PATH=/usr/local/bin:/usr/bin:/bin LC_ALL=C.UTF-8 COLUMNS=72
	sh -c 'cd && exec "$@"' sh)
export LC_ALL=C.UTF-8

setup() {
	common_setup
	root_open
	ns sysctl -qw net.ipv4.ip_local_port_range='32768 60999'
	home=$(root_files)/home/ann
	mkdir -p "$home/.config"
	chown 4711:4711 "$home"
	echo 'ann:x:4711:4711::/home/ann:/bin/sh' >>"$(root_files)/etc/passwd"
	: >"$(root_files)/etc/services"
	in_root make --no-print-directory -C "$ROOT" BUILD="$BUILD" install >install.log
	put .config/portfence.ini
}

as_ann() {
	in_root "${ANN[@]}" "$@"
}

# The page as the README writes it
page() {
	# shellcheck disable=SC2016 # the backquotes are the README's
	sed -E 's/^\.\\" (try|file): (.*)$/<!-- \1: \2 -->/; s/^\.EX$/```console/; s/^\.EE$/```/; s/\\-/-/g; s/\\e/\\/g' "$PAGE"
}

# block MARK: what the block after <!-- MARK --> holds
block() {
	awk -v mark="<!-- $1 -->" '
		inside && /^```$/ { exit }
		inside { print }
		marked && /^```/ { inside = 1 }
		{ marked = $0 == mark }' "$README" <(page)
}

# The names in all marks of a kind
marks() {
	sed -nE "s/^<!-- $1: (.*) -->\$/\\1/p" "$README" <(page)
}

# put PATH: the README's file of that name
put() {
	block "file: $1" >"$home/$1"
	[ -s "$home/$1" ]
}

# What differs from run to run: times, process ids, ports, and how far the transfers have come.
mask() {
	sed -E '
		s/[0-9-]{10}T[0-9:.]{15}Z portfence\[[0-9]+\]/TIME portfence[PID]/
		s/ 127\.0\.0\.1:(20|40)[0-9]{3} -/ 127.0.0.1:\1nnn -/
		s/^20[0-9]{3}$/20nnn/
		s/^[3-6][0-9]{4}$/EPHEMERAL/
		s/pid [0-9]+/pid PID/
		s/[·░▒▓█]{68}/STRIP/
		s/^ +[0-9]+  (curl|in TIME_WAIT)/N  \1/
		s/[0-9]+ of (1000 ports in use|them only)/N of \1/g
		s/: [0-9]+ \([0-9]+ %\)$/: N/
		s/\([0-9]+ %\)/(N %)/
		s/packets [0-9]+ bytes [0-9]+/packets N bytes N/
		s/among [0-9]+ sockets/among N sockets/
		s/note: [0-9]+ processes/note: N processes/'
}

has_no_lease() {
	as_ann portfence leases | grep -q '^0 leases'
}

# replay NAME: fails unless the session goes as the README shows it. A lease ends some moments after its
# command, so each line waits for that, as a person would who types.
replay() {
	local line
	block "try: $1" >shown
	grep -q '^[$#] ' shown
	grep '^[$#] ' shown | while IFS= read -r line; do
		echo "$line"
		wait_until has_no_lease
		case $line in
		'$ '*) as_ann bash -c "${line#* }" ;;
		'# '*) in_root sh -c "${line#* }" ;;
		esac </dev/null 2>&1 || true
	done >got
	diff <(mask <shown) <(mask <got)
}

# A web server at each of the ports. Its folder has a small page, and a large one to be slow with.
serve() {
	local port
	mkdir www
	chmod a+rx . "$BATS_RUN_TMPDIR" "$BATS_RUN_TMPDIR/test"
	echo hello >www/index.html
	truncate -s 5M www/large
	for port; do
		ns_background python3 -m http.server -b 127.0.0.1 -d www "$port" >/dev/null 2>&1
		wait_tcp "$port"
	done
}

# transfer PORT COUNT: so many at once by one curl, slow enough to be looked at while they stand
transfer() {
	ns_background nsenter -t "$root_pid" -m -n -- chroot "$root/all" "${ANN[@]}" portfence run -- \
		curl -sZ --no-progress-meter --limit-rate 1k --parallel-immediate --parallel-max "$2" \
		-o /dev/null "http://127.0.0.1:$1/large?[1-$2]"
	wait_until has_connections "$1" "$2"
}

has_connections() {
	[ "$(ns ss -Htn "dport = :$1" | grep -vc ^TIME-WAIT)" = "$2" ]
}

@test "each session of the README and of portfence(7) is replayed here" {
	[ "$(grep -c '^```console$' "$README")" = "$(grep -A1 '^<!-- try: ' "$README" | grep -c '^```console$')" ]
	marks try | while read -r name; do
		grep -qE "^	replay '?$name'?$" "$BATS_TEST_FILENAME"
	done
}

@test "the README's first example, run and env" {
	serve 8000
	replay run
	replay env
	rm "$home/.config/portfence.ini"
	replay 'ten seconds'
}

@test "what the README shows of rules: what begins in the range leaves, what begins elsewhere does not" {
	skip_missing nft
	serve 8000
	capture_start 'tcp dst port 8000'
	replay rules
	capture_stop
	ports_to 8000 | all_within 20000 20999
}

@test "what the README shows testers: a map, the same ports each time" {
	skip_missing nc
	serve 8000
	replay map
	replay record
}

@test "what the README shows of check and which" {
	put new.ini
	replay check
	replay which
}

@test "what the README shows of status and audit" {
	serve 8000 8001
	# whoever closes first has its port in TIME_WAIT
	as_ann portfence run --app curl -- python3 -c '
import socket
for i in range(20):
    socket.create_connection(("127.0.0.1", 8000)).close()'
	transfer 8000 40
	transfer 8001 20
	replay status
	replay audit
}

@test "portfence(7)'s way to reserve a range: no other program gets a port of it, and a fenced one does" {
	serve 8000
	put inside.ini
	replay isolation
	# with as good as no other port left, nobody else is given one
	ns sysctl -qw net.ipv4.ip_local_port_range='40000 41009'
	for _ in 1 2 3; do
		as_ann curl -so /dev/null -w '%{local_port}\n' http://127.0.0.1:8000/
	done | all_within 41000 41009
	as_ann portfence run --config inside.ini -- curl -so /dev/null -w '%{local_port}\n' \
		http://127.0.0.1:8000/ | all_within 40000 40999
}

@test "the files of the README and of portfence(7) are right" {
	marks file >names
	[ "$(grep -c '^```ini$' "$README")" = "$(sed -nE '/^<!-- file: /p' "$README" | wc -l)" ]
	while read -r name; do
		put "$name"
		as_ann portfence check "$name" </dev/null
	done <names
}

@test "the README's targets, files and headings are there" {
	while read -r target; do
		cat "$ROOT/Makefile" "$ROOT"/test/*.mk "$ROOT/test/bench/bench.mk" | grep -q "^$target:"
	done < <(grep -oE '(`|&& |^)make [a-z]+' "$README" | sed 's/.* //')
	while read -r file; do
		[ -e "$ROOT/$file" ]
	done < <(grep -oE '\]\([^)#]+\)' "$README" | tr -d ']()')
	while read -r heading; do
		grep -qixE "#+ ${heading//-/ }" "$README"
	done < <(grep -oE '\]\(#[^)]+\)' "$README" | tr -d ']()#')
}

@test "each function that the README names is there" {
	# shellcheck disable=SC2016 # the backquotes are the README's
	sed -n '/^## The house/,$p' "$README" | grep '^- ' | grep -oE '`[a-z_0-9]+`' | tr -d '`' >names
	[ "$(wc -l <names)" -ge 10 ]
	while read -r name; do
		case $name in
		connect) grep -q "^	$name;" "$ROOT/src/shim/libportfence.map" ;;
		*) grep -qE "^[a-z].*\b$name\(" "$ROOT"/src/*/*.c || [ -e "$ROOT/src/shim/$name.c" ] ;;
		esac || { echo "no $name"; return 1; }
	done <names
}
