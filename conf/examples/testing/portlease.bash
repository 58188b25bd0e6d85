# Ports for tests that nobody else has meanwhile, for Bats and any POSIX shell.
#
# Bats: copy this file beside your tests, and change them so that they take their ports from it:
#
#	load portlease
#	setup() { portlease 1; }         # $PORT, for each test; or as a line of the test itself
#	setup_file() { portlease 10; }   # $PORT to $LAST_PORT, for all tests of the file
#
# A shell: `. ./portlease.bash`, and `portlease 10`. The ports are yours until portlease_free, or until
# the process that has called portlease ends, however it ends. So call it neither in (...) nor in $(...).
# In a shell without `disown`, write `wait $!` rather than `wait`, which would wait for the lease, too.
#
# It needs nothing but the command portfence. Where that is not installed, portlease fails; or, with
# PORTLEASE_PROBE=1 in the environment, it warns and tells ports that were free a moment ago.

# portlease [N [OPTION...]]: takes N consecutive ports (default: 1). Exports PORT and LAST_PORT, the
# first and the last one. Options are those of `portfence lease`, such as --pool 30000-30999; with --name db,
# all processes that give this name have the same ports. If none are free, it waits for a minute.
portlease() {
	if ! command -v portfence >/dev/null; then
		portlease_probe "${1:-1}"
		return
	fi
	portlease_folder=$(mktemp -d) && mkfifo "$portlease_folder/block" || return
	# the lease ends with this process, whose child it is; its standard input does not count
	portfence lease --wait 60 "$@" </dev/null >"$portlease_folder/block" &
	portlease_held="${portlease_held-} $!"
	# bash: `wait` does not wait for it
	# shellcheck disable=SC3044
	! command -v disown >/dev/null || disown $!
	read -r PORT <"$portlease_folder/block" || PORT=
	rm -r "$portlease_folder"
	export LAST_PORT="${PORT#*-}" PORT="${PORT%-*}"
	[ -n "$PORT" ]
}

# portlease_free: gives back all ports that this process has taken. End first what listens there.
portlease_free() {
	for portlease_one in ${portlease_held-}; do
		kill "$portlease_one"
		wait "$portlease_one" || :
		# bash does not wait for what it has disowned
		while kill -0 "$portlease_one"; do sleep 0.01; done
	done 2>/dev/null
	unset portlease_held PORT LAST_PORT
}

# Ports that nothing listens on now, though another program may take them the moment after.
portlease_probe() {
	if [ "${PORTLEASE_PROBE-}" != 1 ]; then
		echo "the command 'portfence' is not installed, so no port can be leased; install it, or set" \
			"PORTLEASE_PROBE=1 to look for ports that are free just now" >&2
		return 1
	fi
	echo "warning: portfence is not installed: other programs may take the same ports" >&2
	PORT=$((20000 + $(od -An -N2 -tu2 /dev/urandom) % 9000))
	# shellcheck disable=SC2016 # the inner shell expands it
	while LAST_PORT=$((PORT + $1 - 1)) && bash -c 'for ((i = $1; i <= $2; i++)); do
			(: </dev/tcp/127.0.0.1/$i) && exit; done; exit 1' - "$PORT" "$LAST_PORT" 2>/dev/null; do
		PORT=$((LAST_PORT + 1))
	done
	export PORT LAST_PORT
}
