/*
 * Fact: a seccomp filter can let a system call pass from one page at a fixed
 * address and stop it elsewhere, for an unprivileged process with no_new_privs;
 * the filter stays over an exec, after which the page can be mapped again.
 *
 * Source: instruction_pointer in struct seccomp_data, seccomp(2).
 *
 * So preload and supervisor together cost the preload's price: what the shim
 * has fenced calls from the page, only what bypasses the shim is trapped.
 */
#include "platform.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#if defined(__x86_64__)
/* mov %edi,%eax; mov %rsi,%rdi; mov %rdx,%rsi; mov %rcx,%rdx; syscall; ret */
static const unsigned char gate_code[] = { 0x89, 0xf8, 0x48, 0x89, 0xf7, 0x48, 0x89,
					   0xd6, 0x48, 0x89, 0xca, 0x0f, 0x05, 0xc3 };
#else
/* It has not been written for this machine. */
static const unsigned char gate_code[] = { 0 };
#endif

/* An address where no program is loaded and no sanitizer has its shadow memory. */
#define GATE_HIGH 0x2000U
#define GATE_LOW 0x10000000U
#define GATE_SIZE 4096U

/* An error that connect itself never returns. */
#define STOPPED EXDEV

typedef long gate_fn(int nr, long a, const void *b, long c);

static gate_fn *map_gate(void)
{
	void *want = (void *)((uintptr_t)GATE_HIGH << 32 | GATE_LOW);
	void *page = mmap(want, GATE_SIZE, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
	union {
		void *data;
		gate_fn *code;
	} gate = { .data = page };

	check(page == want, "expected the page at %p, found %p", want, page);
	memcpy(page, gate_code, sizeof(gate_code));
	must(mprotect(page, GATE_SIZE, PROT_READ | PROT_EXEC), "mprotect");
	return gate.code;
}

static void install_filter(void)
{
	const unsigned int ip = offsetof(struct seccomp_data, instruction_pointer);
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_connect, 0, 5),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, ip + 4),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, GATE_HIGH, 0, 4),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, ip),
		BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, GATE_LOW, 0, 2),
		BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, GATE_LOW + GATE_SIZE, 1, 0),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | STOPPED),
	};
	struct sock_fprog prog = { .len = sizeof(code) / sizeof(code[0]), .filter = code };

	must(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "PR_SET_NO_NEW_PRIVS");
	if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &prog) < 0)
		skip("the kernel has no seccomp filters: %s", strerror(errno));
}

static void connect_both_ways(gate_fn *gate, unsigned int dport)
{
	union addr to = addr("127.0.0.1", dport);
	int fd = udp4();

	expect("connect from libc", try_connect(fd, "127.0.0.1", dport), -STOPPED);
	expect_port("connect from libc", port_of(fd), 0, 0);
	check(gate(SYS_connect, fd, &to, (long)addr_len(&to)) == 0,
	      "expected connect from the page to pass");
	expect_port("connect from the page", port_of(fd), 32768, 60999);
	close(fd);
}

static void filtered(void *arg)
{
	char *const argv[] = { (char[]){ "seccomp-sees-the-call-site" }, (char[]){ "after-exec" },
			       NULL };

	(void)arg;
	install_filter();
	connect_both_ways(map_gate(), 30000);
	execv("/proc/self/exe", argv);
	fail("execv: %s", strerror(errno));
}

int main(int argc, char **argv)
{
	if (sizeof(gate_code) == 1)
		skip("not written for this machine's instructions");
	if (argc == 2 && strcmp(argv[1], "after-exec") == 0) {
		connect_both_ways(map_gate(), 30000);
		return HOLDS;
	}
	begin();
	ephemeral_range(32768, 60999);
	as_nobody(filtered, NULL);
	return HOLDS;
}
