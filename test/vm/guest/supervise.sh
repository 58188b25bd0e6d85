# A supervisor where Yama lets a process be looked into by its ancestors alone
# (kernel.yama.ptrace_scope): no child of the program may be left without ports.
#
# programs: dash env

. /vm/tap.sh

# relates RANGE COMMAND...: `run` as nobody, who supervises the command
relates() {
	echo 1 >/proc/sys/kernel/yama/ptrace_scope
	chmod 1777 . state
	range=$1
	shift
	cat >run.sh <<-END
		cd /tmp && PORTFENCE_STATE= exec /build/portfence run --via supervise --range $range -- $*
	END
	status=0
	su -s /bin/sh nobody run.sh </dev/null >output 2>&1 || status=$?
	cat output
	echo "status $status"
}

refused() {
	relates 20000-20999 sh -c "'/build/test/probes/raw native 9; true'"
	[ "$status" = 125 ] && grep -q ptrace_scope output
}

# lets SCOPE OPTIONS COMMAND...: `run` as nobody, in the way that it chooses
lets() {
	echo "$1" >/proc/sys/kernel/yama/ptrace_scope
	chmod 1777 . state
	options=$2
	shift 2
	cat >run.sh <<-END
		cd /tmp && PORTFENCE_STATE= exec /build/portfence run -v $options -- $*
	END
	status=0
	su -s /bin/sh nobody run.sh </dev/null >output 2>&1 || status=$?
	cat output
	echo "status $status"
}

# by the library in the command, in children of vfork and fork, and in a daemon
named() {
	for command in "/build/test/probes/raw native 9" "dash -c '/build/test/probes/raw native 9; true'" \
		"dash -c '(env /build/test/probes/raw native 9; true) | cat'" \
		"dash -c '(dash -c \"exec /build/test/probes/raw native 9\" &) | cat'"; do
		lets 1 '--range 20000-20999' "$command" || return
		grep -q 'preload and supervisor' output || return
		[ "$(grep -cE ' 2[0-9]{4} (0|ECONNREFUSED)$' output)" = 8 ] || return
	done
}

leased() {
	for scope in 1 2; do
		lets $scope '--via preload --lease 100 --pool 20000-20099' /build/test/probes/matrix udp 4 9 || return
		[ "$status" = 0 ] && grep -q 'has a lease of the ports 20000-20099' output || return
	done
}

born() {
	relates 40000-40999 sh -c "'/build/test/probes/raw native 9; true'"
	[ "$(grep -cE ' 4[0-9]{4} (0|ECONNREFUSED)$' output)" = 8 ]
}

as_root() {
	echo 1 >/proc/sys/kernel/yama/ptrace_scope
	/build/portfence run --via supervise --range 20000-20999 -- \
		sh -c '/build/test/probes/raw native 9; true' </dev/null >output 2>&1
	cat output
	[ "$(grep -cE ' 2[0-9]{4} (0|ECONNREFUSED)$' output)" = 8 ]
}

if [ "$1" = run ]; then
	shift
	"$@"
	exit
fi
kernel=$1
try platform - 'with Yama, a supervisor who cannot look into children is refused' refused
case $kernel in
5.10 | 6.1) ;;
*) try platform - 'with Yama, one who makes sockets serves children, too' born ;;
esac
try platform - 'with Yama, the library names the supervisor in every process' named
try platform - 'with Yama, a lease is had' leased
try platform - 'with Yama, one with the right to look serves children, too' as_root
plan
