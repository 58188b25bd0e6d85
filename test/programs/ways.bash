# What the tests of real programs in all ways share.
#
#   load lib/helpers
#   load programs/fences        in this order
#   load programs/ways
#   in_ways FUNCTION [PORT...]  run FUNCTION once in each way, each time in a network namespace of its own; judge the wire
#   under COMMAND...            run a command in the way at hand (under_background: in the background)
#   configured KEY=VALUE...     from now on, the section of the ways has these keys, too
#   ranged RANGE                from now on, the range in all ways
#   never_in WAY                from now on, not in this way
#   as_user                     from now on, commands under a way run as another user
#
# The ways: `plain` is no fence, and the measure of the others; `auto` is `portfence run` as it is;
# `preload` and `supervise` are its `--via`; `environment` is LD_PRELOAD and variables alone.
#
# In each way FUNCTION has to do its work. Each port on the wire is then one of the range, or one of the PORTs (which may
# be ranges), which the test's programs name. At least one is none of the PORTs, in each way and without a fence.

# shellcheck shell=bash
# shellcheck disable=SC2034 # the variables that the tests use
# shellcheck disable=SC2154 # and those that the helpers set

# The first ranges are outside of the system's, so the bind engine serves; the last one is inside, for the kernel engine.
declare -gA RANGE_OF=([plain]=none [auto]=20000-20999 [supervise]=20000-20999 [environment]=20000-20999 [preload]=40000-40999)
WAYS=(plain auto preload supervise environment)

setup() {
	common_setup
	export HOME=$BATS_TEST_TMPDIR
	unset http_proxy https_proxy ftp_proxy all_proxy HTTP_PROXY HTTPS_PROXY FTP_PROXY ALL_PROXY
	PATH=$PATH:/usr/sbin:/sbin
	install_for_all
	chmod 1777 "$PORTFENCE_STATE"
	SECTION=()
	AS=()
	ADDRESSES=(127.0.0.1)
	ANY=0.0.0.0
}

teardown() {
	end_all
	ns_close
}

# Servers leave their parents and forget them; whoever is in the test's namespace is the test's.
end_all() {
	local home pid left=1
	home=$(readlink "/proc/$NS_PID/ns/net") || return 0
	while [ "$left" = 1 ]; do
		left=0
		for pid in $(find /proc -maxdepth 3 -path '*/ns/net' -lname "$home" 2>/dev/null | cut -d / -f 3); do
			[ "$pid" != "$NS_PID" ] || continue
			[ "$(readlink "/proc/$pid/ns/net")" = "$home" ] || continue
			[ "$(sed 's/.*) //; s/ .*//' "/proc/$pid/stat" 2>/dev/null)" != Z ] || continue
			kill -KILL "$pid" 2>/dev/null || true
			left=1
		done
	done
}

ranged() {
	local one
	for one in "${WAYS[@]:1}"; do RANGE_OF["$one"]=$1; done
}

configured() {
	SECTION=("$@")
}

never_in() {
	local all=("${WAYS[@]}") one
	WAYS=()
	for one in "${all[@]}"; do [ "$one" = "$1" ] || WAYS+=("$one"); done
}

as_user() {
	AS=("${AS_NOBODY[@]}")
	chmod 777 "$BATS_TEST_TMPDIR"
}

# end_server PID: asks it to end, and waits until all that is under a way has ended
end_server() {
	kill "$1"
	wait "$1" || true
}

# what stands before a command in the way at hand, in UNDER
enter_way() {
	way=$1
	range=${RANGE_OF[$way]}
	printf '%s\n' '[app]' "range = $range" "${SECTION[@]}" >app.ini
	case $way in
	plain) UNDER=("${AS[@]}") ;;
	environment) UNDER=("${AS[@]}" env "LD_PRELOAD=$LIBRARY" "PORTFENCE_CONFIG=$PWD/app.ini" PORTFENCE_APP=app) ;;
	auto) UNDER=("${AS[@]}" "$PORTFENCE" run --config "$PWD/app.ini" --app app --) ;;
	*) UNDER=("${AS[@]}" "$PORTFENCE" run --config "$PWD/app.ini" --app app --via "$way" --) ;;
	esac
}

under() {
	ns "${UNDER[@]}" "$@"
}

under_background() {
	ns_background "${UNDER[@]}" "$@"
}

# ports_but SET...: the ports that were seen on the wire, but in none of the sets (a port, or a range)
ports_but() {
	sed -nE 's/^.* IP6? [^ ]+\.([0-9]+) > [^ ]+\.([0-9]+): .*/\1\n\2/p' "$capture" | sort -nu |
		awk -v sets="$*" '
			BEGIN {
				n = split(sets, set, " ")
				for (i = 1; i <= n; i++) {
					split(set[i] "-" set[i], ends, "-")
					low[i] = ends[1] + 0
					high[i] = ends[2] + 0
				}
			}
			{
				for (i = 1; i <= n; i++)
					if ($1 >= low[i] && $1 <= high[i])
						next
				print
			}'
}

in_ways() {
	local function=$1 one
	shift
	for one in "${WAYS[@]}"; do
		enter_way "$one"
		echo "$way:"
		end_all
		ns_close
		ns_open
		capture_start 'not port 53'
		"$function"
		capture_stop
		ports_but "$@" >others
		if [ "$way" = plain ]; then
			[ -s others ] || {
				echo 'without a fence, no port is seen but those that are named'
				return 1
			}
		else
			# shellcheck disable=SC2086 # a list
			ports_but "$@" ${range//,/ } >strays
			[ ! -s strays ] || {
				echo "seen on the wire, but in none of $range $*:" "$(xargs <strays)"
				return 1
			}
			[ -s others ]
		fi
	done
}
