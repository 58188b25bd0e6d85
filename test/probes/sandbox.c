/*
 * sandbox: runs a command behind a seccomp filter that refuses what a sandbox refuses by default, of
 * the calls that a supervisor depends on.
 *
 *   sandbox NAME COMMAND [ARGUMENT]...    exit status 2 if that cannot be done
 *
 * NAME:	docker		moby/profiles, seccomp/default.json, without capabilities; containerd's, too
 *		docker-old	the same before 2021: it knows no calls that came with Linux 5.3 and later
 *		podman		containers/common, pkg/seccomp/seccomp.json; CRI-O's, too
 *		systemd		SystemCallFilter=@system-service (src/shared/seccomp-util.c)
 *		systemd-old	the same before systemd 252, which added @sandbox: no seccomp(2)
 *		yama		what kernel.yama.ptrace_scope refuses from 2 on: descriptors, and memory but for the
 *				lowest 4 GiB, where programs with fixed addresses have their data
 *		old		a kernel before 5.19: no SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV
 *		gvisor		no SECCOMP_FILTER_FLAG_NEW_LISTENER (google/gvisor issue 14627)
 *		wsl		networkingMode=mirrored: every process has a listener already (microsoft/WSL issue 9548)
 *
 * It knows this machine's own system calls alone.
 */
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV
#define SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV (1UL << 5)
#endif

#define CLONE_NAMESPACES                                                                           \
	(CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER |             \
	 CLONE_NEWPID | CLONE_NEWNET)

enum {
	DOCKER = 1,
	PODMAN = 2,
	SYSTEMD = 4,
	SYSTEMD_OLD = 8,
	OLD = 16,
	GVISOR = 32,
	YAMA = 64,
	DOCKER_OLD = 128,
	WSL = 256
};

static const struct {
	const char *name;
	unsigned bit;
} sandboxes[] = {
	{ "docker", DOCKER },
	{ "docker-old", DOCKER | DOCKER_OLD },
	{ "podman", PODMAN },
	{ "systemd", SYSTEMD },
	{ "systemd-old", SYSTEMD | SYSTEMD_OLD },
	{ "old", OLD },
	{ "gvisor", GVISOR },
	{ "yama", YAMA },
	{ "wsl", WSL },
};

/* A call that a sandbox refuses; where there are flags, only if its argument has one of them. */
static const struct refusal {
	unsigned sandboxes;
	long call;
	uint32_t error;
	unsigned argument;
	uint32_t flags;
	bool high; /* in the upper half of the argument */
} refusals[] = {
	{ DOCKER | SYSTEMD | YAMA, SYS_pidfd_getfd, EPERM, 0, 0, false },
	{ PODMAN | YAMA, SYS_process_vm_readv, EPERM, 0, 0, false },
	{ PODMAN, SYS_process_vm_writev, EPERM, 0, 0, false },
	{ PODMAN | SYSTEMD | YAMA, SYS_ptrace, EPERM, 0, 0, false },
	/* of a file, such offsets are rare; of /proc/PID/mem they are addresses */
	{ YAMA, SYS_pread64, EPERM, 3, ~0U, true },
	{ DOCKER | PODMAN, SYS_kcmp, EPERM, 0, 0, false },
	{ DOCKER | PODMAN, SYS_io_uring_setup, EPERM, 0, 0, false },
	{ DOCKER, SYS_unshare, EPERM, 0, 0, false },
	{ DOCKER, SYS_setns, EPERM, 0, 0, false },
	{ DOCKER | SYSTEMD, SYS_mount, EPERM, 0, 0, false },
	/* what comes in a structure cannot be filtered */
	{ DOCKER, SYS_clone3, ENOSYS, 0, 0, false },
	{ DOCKER, SYS_clone, EPERM, 0, CLONE_NAMESPACES, false },
	{ DOCKER_OLD, SYS_pidfd_open, EPERM, 0, 0, false },
	{ DOCKER_OLD, SYS_close_range, EPERM, 0, 0, false },
	{ SYSTEMD_OLD, SYS_seccomp, EPERM, 0, 0, false },
	{ OLD, SYS_seccomp, EINVAL, 1, SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV, false },
	{ GVISOR, SYS_seccomp, EINVAL, 1, SECCOMP_FILTER_FLAG_NEW_LISTENER, false },
	{ WSL, SYS_seccomp, EBUSY, 1, SECCOMP_FILTER_FLAG_NEW_LISTENER, false },
};

enum { REFUSALS = sizeof(refusals) / sizeof(refusals[0]) };

static struct sock_filter code[5 * REFUSALS + 2];
static unsigned short length;

static void add(struct sock_filter instruction)
{
	code[length++] = instruction;
}

static void load(size_t offset)
{
	add((struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (uint32_t)offset));
}

static void add_refusal(const struct refusal *refusal)
{
	const uint8_t more = refusal->flags ? 3 : 1;

	load(offsetof(struct seccomp_data, nr));
	add((struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)refusal->call, 0,
					 more));
	if (refusal->flags) {
		load(offsetof(struct seccomp_data, args) + 8UL * refusal->argument +
		     (refusal->high ? 4 : 0));
		add((struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, refusal->flags, 0, 1));
	}
	add((struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | refusal->error));
}

int main(int argc, char *argv[])
{
	struct sock_fprog program = { .filter = code };
	unsigned bits = 0;
	size_t i;

	for (i = 0; argc > 2 && i < sizeof(sandboxes) / sizeof(sandboxes[0]); i++)
		if (!strcmp(argv[1], sandboxes[i].name))
			bits = sandboxes[i].bit;
	if (!bits)
		return 2;
	for (i = 0; i < REFUSALS; i++)
		if (refusals[i].sandboxes & bits)
			add_refusal(&refusals[i]);
	add((struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
	program.len = length;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
	    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program)) {
		perror("sandbox");
		return 2;
	}
	execvp(argv[2], argv + 2);
	perror(argv[2]);
	return 2;
}
