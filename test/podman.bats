#!/usr/bin/env bats
#
# `portfence run` in a container of a real engine, where one is installed: Podman, which needs no daemon, and no image
# if the root of the machine is the container's. Nothing is fetched, and nothing is left behind.

# shellcheck disable=SC2016 # inner shells expand it
bats_require_minimum_version 1.5.0
load lib/helpers
load lib/supervise

setup_file() {
	build_static raw
}

setup() {
	# no test installs a container engine
	command -v podman >/dev/null || skip 'podman is not installed'
	supervise_setup
	cp "$BATS_FILE_TMPDIR/raw-static" "$install"
	mkdir engine
	in_container 0 true >/dev/null 2>error || skip "podman starts no container here: $(tail -n 1 error)"
}

# What is on overlayfs cannot be above an overlay, so what the container writes is on a tmpfs. crun knows no machine with
# both versions of control groups. A limit that Podman raises by itself would need CAP_SYS_RESOURCE.
CONTAINER='
	mount -t tmpfs tmpfs engine
	[ -e /sys/fs/cgroup/cgroup.controllers ] ||
		{ umount -R /sys/fs/cgroup && mount -t cgroup2 cgroup2 /sys/fs/cgroup; } || exit
	user=$1
	shift
	exec podman --root "$PWD/engine/root" --runroot "$PWD/engine/run" --tmpdir "$PWD/engine/tmp" --events-backend none \
		run --rm --cgroups disabled --network host --ulimit nofile=1024:1024 --ulimit nproc=1024:1024 --user "$user" \
		--volume "$PWD:$PWD" --workdir "$PWD" --env PORTFENCE_STATE --rootfs /:O "$@"'

# in_container USER COMMAND...: in the test's network namespace, behind all that Podman puts around a container
in_container() {
	ns unshare -m --propagation private sh -c "$CONTAINER" - "$@"
}

@test "in a container of Podman's, static and dynamic programs and a lease have ports of the range" {
	local user
	chmod 1777 . "$PORTFENCE_STATE"
	for user in 65534 0; do
		anew
		serve
		capture_start
		in_container "$user" sh -c 'for program in "$2/raw-static" "$2/raw"; do
				"$1" run -v --range 20000-20999 -- "$program" native 7000 </dev/null || exit
			done
			"$1" run -v --lease 100 --pool 20000-20099 --fresh -- "$2/matrix" udp 4 7000 </dev/null' \
			- "$PORTFENCE" "$install" >said 2>errors
		capture_stop
		cat said errors
		# each by a supervisor, in the way that the container allows
		[ "$(grep -c 'preload and supervisor$' errors)" = 2 ]
		grep -q 'by a supervisor alone' errors
		grep -q 'has a lease of the ports 20000-20099' errors
		[ "$(grep -cE '^[a-z-]+ 20[0-9]{3} 0$' said)" = 16 ]
		ports_to 7000 | all_within 20000 20999
		rm -rf "${PORTFENCE_STATE:?}"/*
	done
}

@test "what Podman's filter refuses, the filter of the tests refuses, too" {
	cat >refused.py <<-'END'
		import ctypes, os, platform
		# pidfd_getfd, process_vm_readv, process_vm_writev, kcmp, io_uring_setup, ptrace, unshare, seccomp
		NUMBERS = dict(x86_64=(438, 310, 311, 312, 425, 101, 272, 317), aarch64=(438, 270, 271, 272, 425, 117, 97, 277))
		libc = ctypes.CDLL(None, use_errno=True)
		me = os.getpid()
		ARGUMENTS = ((os.pidfd_open(me), 0, 0), (me, 0, 0, 0, 0, 0), (me, 0, 0, 0, 0, 0), (me, me, 0, 0, 0), (0, 0), (0, 0, 0, 0),
		             (0,), (2, 0, 0))
		for number, arguments in zip(NUMBERS[platform.machine()], ARGUMENTS):
		    if libc.syscall(number, *arguments) < 0 and ctypes.get_errno() in (1, 38): print(number)
	END
	in_container 65534 /usr/bin/python3 refused.py >engine.said
	as_nobody "$install/sandbox" podman /usr/bin/python3 refused.py >said
	cat engine.said
	[ -s engine.said ]
	run ! grep -vxFf said engine.said
}
