/*
 * Fact: rt_sigprocmask with an impossible `how` answers EINVAL if the eight
 * bytes of the set can be read and EFAULT if they cannot, and changes no mask;
 * a set that runs over into an unreadable page is EFAULT.
 *
 * Source: rt_sigprocmask(), kernel/signal.c: copy_from_user() comes before
 * sigprocmask() looks at `how`.
 *
 * So portfence can ask whether a program's sockaddr can be read before it reads
 * it: a bad pointer must stay the kernel's EFAULT, not become a crash.
 */
#include "platform.h"

#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>

/* The kernel's sigset_t, which is not libc's. */
#define SIGSET_SIZE 8

static int try_read(const void *p)
{
	return syscall(SYS_rt_sigprocmask, ~0, p, NULL, SIGSET_SIZE) < 0 ? -errno : 0;
}

static void *map(size_t size, int prot)
{
	void *p = mmap(NULL, size, prot, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	check(p != MAP_FAILED, "mmap: %s", strerror(errno));
	return p;
}

int main(void)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	unsigned char full[SIGSET_SIZE];
	sigset_t before, after;
	char *two;

	begin();
	memset(full, 0xff, sizeof(full));
	sigemptyset(&before);
	sigaddset(&before, SIGUSR1);
	must(sigprocmask(SIG_SETMASK, &before, NULL), "sigprocmask");

	expect("readable, on the stack", try_read(full), -EINVAL);
	expect("readable, only for reading", try_read(map(page, PROT_READ)), -EINVAL);
	expect("unreadable, PROT_NONE", try_read(map(page, PROT_NONE)), -EFAULT);
	expect("unreadable, page 0", try_read((const void *)(uintptr_t)16), -EFAULT);
	expect("unreadable, the kernel's", try_read((const void *)~(uintptr_t)4095), -EFAULT);

	two = map(2 * page, PROT_READ | PROT_WRITE);
	must(mprotect(two + page, page, PROT_NONE), "mprotect");
	expect("readable, to the edge", try_read(two + page - SIGSET_SIZE), -EINVAL);
	expect("over the edge", try_read(two + page - SIGSET_SIZE + 1), -EFAULT);

	must(sigprocmask(SIG_SETMASK, NULL, &after), "sigprocmask");
	check(sigismember(&after, SIGUSR1) == 1 && sigismember(&after, SIGUSR2) == 0 &&
		      sigismember(&after, SIGTERM) == 0,
	      "expected the signal mask to stay as it was");
	return HOLDS;
}
