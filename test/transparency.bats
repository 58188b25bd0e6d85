#!/usr/bin/env bats
#
# A program cannot tell that it is fenced, but by its ports: each of many thousand cases is run plain
# and fenced, and says the same. What differs on purpose is listed in transparent/compare, and in the
# manual's WHAT CHANGES.
#
# One in TRANSPARENT_EACH of the cases is run (default: 4); TRANSPARENT_ALL=1 adds those that differ
# from others in little.

load lib/helpers

COMPARE=$ROOT/test/transparent/compare
EACH=${TRANSPARENT_EACH:-4}
# for other users and threads, where less can differ
FEW=$((EACH * 4))
BIND=20000-20999
KERNEL=40000-40999

# A namespace of its own for each run, as they are under way at the same time
apart() {
	unshare -n bash -c '
		ip link set lo up
		ip route add prohibit 203.0.113.0/24
		ip route add unreachable 192.0.2.0/24
		ip route add blackhole 198.51.100.0/24
		ip route add prohibit 2001:db8:1::/48
		ip route add unreachable 2001:db8:2::/48
		ip route add blackhole 2001:db8:3::/48
		exec "$@"' - "$@"
}

as_built() {
	probe=$BUILD/test/transparent/transparent
	library=$BUILD/libportfence.so
	user=()
}

# cases_of OUTPUT PATTERN COMMAND...: what the cases say that PATTERN matches, and how to ask one of them again
cases_of() {
	local output=$1 pattern=$2
	shift 2
	printf '%q ' apart "$@" >"$output.again"
	apart "$@" "$pattern" >"$output" 3>&-
}

# plain OUTPUT N PATTERN [OPTION...]: one in N of the cases that PATTERN matches
plain() {
	local output=$1 n=$2 pattern=$3
	shift 3
	cases_of "$output" "$pattern" "${user[@]}" "$probe" ${TRANSPARENT_ALL:+-a} -n "$n" -r "$@" 32768 60999
}

# fenced OUTPUT N PATTERN MODE [OPTION...]
fenced() {
	# a page that others change at the same time can be waited for, so each has a state of its own
	local output=$1 n=$2 pattern=$3 mode=$4 range=$KERNEL state=$PORTFENCE_STATE/$1
	shift 4
	[ "$mode" != bind ] || range=$BIND
	# what is compared is MPTCP, not the TCP that stands in for it
	printf '[transparent]\nengine = %s\nrange = %s\nmptcp = allow\n' "$mode" "$range" >"$output.ini"
	# shellcheck disable=SC2174 # the folder above is there
	mkdir -p -m 700 "$state"
	[ ${#user[@]} = 0 ] || chmod 1777 "$state"
	# where the library has a sanitizer, cases end as they do without it
	cases_of "$output" "$pattern" "${user[@]}" env ASAN_OPTIONS="${ASAN_OPTIONS:-}:handle_segv=0" \
		LD_PRELOAD="$library" PORTFENCE_CONFIG="$PWD/$output.ini" PORTFENCE_LOG=none \
		PORTFENCE_STATE="$state" "$probe" ${TRANSPARENT_ALL:+-a} -n "$n" "$@" "${range%-*}" "${range#*-}"
}

# waits_again OUTPUT NAME: whatever makes a machine slow can make a call wait, but not each time
waits_again() {
	local turn line
	for turn in 1 2 3 4 5; do
		grep -qF "$2 " <(grep -E ' waited( |$)' "$1") || return 0
		line=$(eval "$(cat "$1.again") $(printf %q "$2")" 3>&- | grep -F "$2 " | head -n 1)
		echo "$turn: $1: $line"
		[ -n "$line" ] || continue
		awk -v name="$2" -v line="$line" '$1 == name { $0 = line } { print }' "$1" >"$1.new"
		mv "$1.new" "$1"
	done
}

# settle_waits PLAIN FENCED: whether a call waits is asked again where one of two runs says so
settle_waits() {
	local name
	for name in $(diff <(awk '/ waited( |$)/ { print $1 }' "$1" | sort) <(awk '/ waited( |$)/ { print $1 }' "$2" | sort) |
		sed -n 's/^[<>] //p' | grep -v '^waits/'); do
		waits_again "$1" "$name"
		waits_again "$2" "$name"
	done
}

# All but those that wait
MOST='[!w]*'

setup_file() {
	as_built
	# in memory, as it is by default: a page of a disk's file can be waited for
	PORTFENCE_STATE=$(mktemp -d /dev/shm/transparency.XXXXXX)
	export PORTFENCE_STATE
	cd "$BATS_FILE_TMPDIR" || return
	# they wait: side by side
	plain waits.plain 1 'waits/*' &
	fenced waits.bind 1 'waits/*' bind &
	fenced waits.auto 1 'waits/*' auto &
	plain plain "$EACH" "$MOST" &
	fenced bind "$EACH" "$MOST" bind
	fenced kernel "$EACH" "$MOST" kernel &
	fenced auto "$EACH" "$MOST" auto
	wait
}

teardown_file() {
	rm -r "$PORTFENCE_STATE"
}

# same PLAIN FENCED MODE [CASES]: at least so many cases were run, and say the same
same() {
	local range=$KERNEL
	[ "$3" != bind ] || range=$BIND
	wc -l "$1" "$2"
	tail -n 1 "$1" | grep '^cases '
	settle_waits "$1" "$2"
	[ "$(sed -n 's/^cases //p' "$1")" -ge $((${4:-1})) ]
	# with a sanitizer in the library, a program starts only with its options in the environment
	[ -z "${ASAN_OPTIONS:-}" ] || sed -i -E '/^(f?exec|posix_spawn)/d' "$1" "$2"
	run "$COMPARE" "$1" "$2" "$3" "$range" "$BATS_FILE_TMPDIR/used.$3"
	head -n 40 <<<"$output"
	[ "$status" = 0 ]
}

@test "without the fence, two runs do the same" {
	as_built
	plain one "$FEW" "$MOST"
	plain two "$FEW" "$MOST"
	[ "$(wc -l <one)" -gt $((30000 / FEW)) ]
	settle_waits one two
	diff one two
}

@test "bind engine: a fenced program's calls return, change and leave what a plain one's do" {
	same "$BATS_FILE_TMPDIR/plain" "$BATS_FILE_TMPDIR/bind" bind 35000/EACH
}

@test "both engines, as they come: a fenced program's calls return, change and leave what a plain one's do" {
	same "$BATS_FILE_TMPDIR/plain" "$BATS_FILE_TMPDIR/auto" auto 35000/EACH
}

@test "kernel engine for all: a fenced program's calls return, change and leave what a plain one's do" {
	same "$BATS_FILE_TMPDIR/plain" "$BATS_FILE_TMPDIR/kernel" kernel 35000/EACH
}

@test "calls that wait or are interrupted do so fenced, too" {
	same "$BATS_FILE_TMPDIR/waits.plain" "$BATS_FILE_TMPDIR/waits.bind" bind 31
	same "$BATS_FILE_TMPDIR/waits.plain" "$BATS_FILE_TMPDIR/waits.auto" auto 31
	grep -q ' waited ' "$BATS_FILE_TMPDIR/waits.plain"
}

@test "calls in another thread do the same" {
	as_built
	plain plain "$FEW" "$MOST" -t &
	plain_run=$!
	fenced bind "$FEW" "$MOST" bind -t
	fenced auto "$FEW" "$MOST" auto -t
	wait "$plain_run"
	same plain bind bind 35000/FEW
	same plain auto auto 35000/FEW
}

@test "calls of a user without rights do the same" {
	install_for_all
	cp "$BUILD/test/transparent/transparent" "$install"
	probe=$install/transparent library=$install/libportfence.so user=("${AS_NOBODY[@]}")
	chmod 1777 "$PORTFENCE_STATE"
	plain plain "$FEW" "$MOST" &
	plain_run=$!
	fenced bind "$FEW" "$MOST" bind
	fenced auto "$FEW" "$MOST" auto
	wait "$plain_run"
	same plain bind bind 35000/FEW
	same plain auto auto 35000/FEW
}

@test "each difference that is expected is there" {
	for mode in bind auto kernel; do
		echo $mode
		diff <("$COMPARE" expected $mode | sort) <(sort -u "$BATS_FILE_TMPDIR/used.$mode")
	done
}

# A case that ends by a signal is the probe's own fault or the fence's: the kernel says EFAULT.
@test "no bad pointer ends a fenced program that would not end anyway" {
	for file in plain bind auto kernel; do
		sed -n '/ died=/p' "$BATS_FILE_TMPDIR/$file" | cut -d ' ' -f 1 | sort >"$file.died"
	done
	diff plain.died bind.died
	diff plain.died auto.died
	diff plain.died kernel.died
	# libc itself reads what these are given
	run grep -vE '^(posix_spawn|exec)' plain.died
	[ "$status" = 1 ]
	grep -c '/null \|/none \|/straddle ' "$BATS_FILE_TMPDIR/bind"
}
