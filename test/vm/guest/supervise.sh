# A supervisor where Yama lets a process be looked into by its ancestors alone
# (kernel.yama.ptrace_scope): no child of the program may be left without ports.
#
# programs: curl dash env tcpdump

. /vm/tap.sh

# relates SCOPE RANGE COMMAND...: `run` as nobody, who supervises the command
relates() {
	echo "$1" >/proc/sys/kernel/yama/ptrace_scope
	chmod 1777 . state
	range=$2
	shift 2
	cat >run.sh <<-END
		cd /tmp && PORTFENCE_STATE= exec /build/portfence run --via supervise --range $range -- $*
	END
	status=0
	su -s /bin/sh nobody run.sh </dev/null >output 2>&1 || status=$?
	cat output
	echo "status $status"
}

# restricts SCOPE: the fact of test/platform on which sockets that are born rest
restricts() {
	echo "$1" >/proc/sys/kernel/yama/ptrace_scope
	[ "$(cat /proc/sys/kernel/yama/ptrace_scope)" = "$1" ] || return
	/build/test/platform/yama-restricts-attach-alone
}

# served SCOPE: by a supervisor that may look into nobody, and makes the sockets
served() {
	relates "$1" 20000-20999 sh -c "'/build/test/probes/raw native 9; true'"
	[ "$(grep -cE ' 20[0-9]{3} (0|ECONNREFUSED)$' output)" = 8 ] || return
	relates "$1" 20000-20999 /build/test/probes/unborn zero named late listen option closed fork zero
	[ "$(sed -E 's/ 20[0-9]{3}/ P/g' output | tr '\n' ' ')" = "zero P P named 0 0 late EDESTADDRREQ P listen P option 0 0 closed 0 0 zero P P " ] && [ "$status" = 0 ]
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

# in_range PORT: all packets to that port come from 20000 to 20999, and there are some
in_range() {
	sed -nE "s/^.* IP [^ ]+\.([0-9]+) > [^ ]+\.$1: .*/\1/p" capture |
		awk '{ n++ } $1 < 20000 || $1 > 20999 { print "out of range: " $1; bad = 1 } END { exit bad || !n }'
}

# curl asks libc for a name, as a machine with Yama's default has it; judged from the wire
fetched() {
	echo 'nameserver 127.0.0.1' >/etc/resolv.conf
	echo 'hosts: dns' >/etc/nsswitch.conf
	mkdir page && echo fetched >page/index.html
	/build/test/probes/name_server >/dev/null &
	httpd -p 127.0.0.1:80 -h page
	tcpdump -Z root -i lo -nn -q -l --immediate-mode 'dst port 53 or dst port 80' >capture 2>capture.err &
	until grep -q 'listening on' capture.err; do kill -0 $! || { cat capture.err; return 1; }; done
	lets "$1" '--range 20000-20999' curl -s http://portfence.test/ || return
	[ "$status" = 0 ] && grep -qx fetched output || return
	# the page comes after the name
	until grep -q ' > [0-9.]*\.80: ' capture; do :; done
	cat capture
	in_range 53 && in_range 80
}

# and the same ports each time
leased() {
	for scope in 1 2 3; do
		for turn in 1 2; do
			lets $scope '--via preload --lease 100 --pool 20000-20099 --wait 60 --fresh' \
				/build/test/probes/matrix udp 4 9 || return
			[ "$status" = 0 ] && grep -q 'has a lease of the ports 20000-20099' output || return
			grep ' udp 4 2' output >ports.$turn
		done
		[ -s ports.1 ] && cmp ports.1 ports.2 || return
	done
}

born() {
	relates 1 40000-40999 sh -c "'/build/test/probes/raw native 9; true'"
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
for scope in 0 1 2; do
	try platform - "ptrace_scope $scope restricts what attaches, and not what reads" restricts $scope
done
try platform - 'with Yama, a supervisor serves those that it cannot look into' served 1
case $kernel in
5.10 | 6.1) ;;
*) try platform - 'with Yama, one who makes sockets serves children, too' born ;;
esac
try platform - 'with Yama, the library names the supervisor in every process' named
try platform - 'without Yama, a name and a page are asked for from the range' fetched 0
try platform - 'with Yama, they are, too' fetched 1
try platform - 'where nobody may look, a supervisor serves all' served 2
try platform - 'where nobody may look, a name and a page are asked for from the range' fetched 2
try platform - 'with Yama, one with the right to look serves children, too' as_root
# the last ones: the kernel never lets go of 3
try platform - 'with Yama, a lease is had, and with --fresh the same ports each time' leased
try platform - 'ptrace_scope 3 restricts what attaches, and not what reads' restricts 3
try platform - 'where nobody may ever look, a supervisor serves all' served 3
try platform - 'where nobody may ever look, a name and a page are asked for from the range' fetched 3
plan
