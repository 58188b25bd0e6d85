# Cases in the virtual machine, told as TAP. A script sources this first:
#
#   . /vm/tap.sh
#   sends() { ... }                        # a case: a function; its status is the verdict
#   if [ "$1" = run ]; then shift; "$@"; exit; fi
#   try udp bind 'a send has a port' sends 20000-20099
#   plan
#
# Each case is a shell of its own that runs the same script, in namespaces of its own (network, mounts,
# processes), with loopback up, in an empty /tmp and with a state folder there. What it prints is shown
# where it fails; what it leaves running ends with it. It may take TAP_SECONDS (600). There are no skips: a
# script is told the kernel, and asks of it what it has to be able to do.

tap_count=0
tap_failed=0

# alone FUNCTION [ARGUMENT...]
alone() {
	# the shell, its namespace's first process, outlives the case, as no signal would end a case there
	# shellcheck disable=SC2016 # the inner shell expands it
	unshare -n -m -p -f sh -c '
		mount -t proc proc /proc && mount -t tmpfs tmpfs /tmp && mount -t tmpfs tmpfs /dev/shm &&
			ip link set lo up && cd /tmp && mkdir -m 700 state && export PORTFENCE_STATE=/tmp/state &&
			timeout "${TAP_SECONDS:-600}" sh "$0" run "$@"
		exit $?' \
		"$0" "$@"
}

# try PROTOCOL ENGINE TITLE FUNCTION [ARGUMENT...]: the first two are what the host's table counts by
try() {
	tap_title="$1 $2: $3"
	shift 3
	tap_count=$((tap_count + 1))
	if alone "$@" >/run/tap.output 2>&1; then
		echo "ok $tap_count - $tap_title"
	else
		echo "not ok $tap_count - $tap_title"
		tap_failed=$((tap_failed + 1))
		sed 's/^/# /' /run/tap.output
	fi
}

plan() {
	echo "1..$tap_count"
	[ "$tap_failed" = 0 ]
	exit
}

# Asks again until it is so, and gives up after a minute.
wait_until() {
	read -r wait_end _ </proc/uptime
	wait_end=$((${wait_end%.*} + 60))
	until "$@"; do
		read -r wait_now _ </proc/uptime
		if [ "${wait_now%.*}" -gt "$wait_end" ]; then
			echo "waited in vain for: $*"
			return 1
		fi
	done
}
