/*
 * launch: what `portfence run -- COMMAND` cannot do without, and no more: a process beside, which stays as long
 * as the command runs, a filter with a listener, and execve(2). It fences nothing.
 */
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

int main(int argc, char *argv[])
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_bind, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog filter = { sizeof(code) / sizeof(code[0]), code };
	struct pollfd end = { .events = POLLIN };
	int channel[2], number;

	/* COMMAND stands behind "run --" */
	if (argc < 4 || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, channel))
		return 1;
	/* fork(2), but no signal announces its end */
	if (!syscall(SYS_clone, 0UL, NULL, NULL, NULL, 0)) {
		close(channel[0]);
		end.fd = channel[1];
		if (read(channel[1], &number, sizeof(number)) == sizeof(number))
			poll(&end, 1, -1);
		_exit(0);
	}
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		return 1;
	number = (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER,
			      SECCOMP_FILTER_FLAG_NEW_LISTENER, &filter);
	if (number < 0 || write(channel[0], &number, sizeof(number)) != sizeof(number))
		return 1;
	execv(argv[3], argv + 3);
	return 1;
}
