# A root of the test's own, for what would change the machine: an overlay over the real one, in the
# test's network namespace, with a /dev/shm of its own. It is gone when the test ends.
#
#   load lib/root          after lib/helpers
#   root_open [NAME]       make one; skip where the kernel lays none over the root
#   in_root COMMAND...     run a command in it, or in the one that $root and $root_pid were of
#   root_files             its files, as the test can reach them
#   root_changes           what is not as in the real root: one path a line, sorted
#
# shellcheck disable=SC2034 # the tests use them

# shellcheck disable=SC2016 # the inner shell expands it
ROOT_SCRIPT='
	set -e
	mount -t tmpfs tmpfs "$1"
	mkdir "$1/upper" "$1/work" "$1/all"
	mount -t overlay overlay -o "lowerdir=/,upperdir=$1/upper,workdir=$1/work" "$1/all"
	mount --rbind /proc "$1/all/proc"
	mount --rbind /dev "$1/all/dev"
	mount -t tmpfs tmpfs "$1/all/dev/shm"
	chmod 1777 "$1/all/dev/shm"
	exec sleep infinity
'

root_is_there() {
	! kill -0 "$root_pid" 2>/dev/null || [ "$(cat "/proc/$root_pid/comm" 2>/dev/null)" = sleep ]
}

root_open() {
	root=$BATS_TEST_TMPDIR/${1:-root}
	mkdir "$root"
	ns_background unshare -m --propagation private sh -c "$ROOT_SCRIPT" sh "$root" \
		>/dev/null 2>"$BATS_TEST_TMPDIR/root.err"
	root_pid=$pid
	wait_until root_is_there
	kill -0 "$root_pid" 2>/dev/null ||
		skip "no overlay over the root: $(cat "$BATS_TEST_TMPDIR/root.err")"
}

in_root() {
	nsenter -t "$root_pid" -m -n -- chroot "$root/all" "$@"
}

root_files() {
	echo "/proc/$root_pid/root$root/all"
}

root_changes() {
	# a folder is copied up with whatever is made in it, and is no change by itself
	# shellcheck disable=SC2016 # the inner shell expands it
	nsenter -t "$root_pid" -m -- sh -c '
		cd "$1/upper"
		find . -mindepth 1 ! -type d
		find . -mindepth 1 -type d | while read -r folder; do
			[ -d "/$folder" ] || echo "$folder"
		done' sh "$root" | sed 's/^\.//' | LC_ALL=C sort
}
