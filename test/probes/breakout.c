/*
 * breakout: a hostile program that binds to a port by ways past the library and the supervisor.
 *
 *   breakout WAY PROTOCOL PORT   "bind ERRNO"; then wait for the end of standard input, so that the
 *                                socket can be looked at
 *
 * WAY:		call	the plain system call, which the filter stops
 *		gate	the same from the library's gate, whose address is in the environment
 *		uring	io_uring, where the section allows that; a kernel without it: exit status 77
 * PROTOCOL:	tcp, mptcp, udp
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/io_uring.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef IPPROTO_MPTCP
#define IPPROTO_MPTCP 262
#endif

#define OP_BIND 56 /* IORING_OP_BIND, since Linux 6.11 */

static struct sockaddr_in address = { .sin_family = AF_INET };

/* ---- the gate ---- */

#if defined(__x86_64__)
/* mov %edi,%eax; mov %rsi,%rdi; mov %rdx,%rsi; mov %rcx,%rdx; syscall; ret */
static const unsigned char code[] = { 0x89, 0xf8, 0x48, 0x89, 0xf7, 0x48, 0x89,
				      0xd6, 0x48, 0x89, 0xca, 0x0f, 0x05, 0xc3 };
#else
/* not written for this machine */
static const unsigned char code[1];
#endif

typedef long gate_fn(int nr, long fd, const void *addr, long len);

/* Puts its own code where the library's gate is, or would be. */
static long bind_by_gate(int fd)
{
	const char *rule = getenv("PORTFENCE_RULE"), *word = rule ? strstr(rule, " gate=") : NULL;
	union {
		void *page;
		gate_fn *code;
	} gate;

	if (!word || sizeof(code) == 1) {
		puts("no gate");
		exit(77);
	}
	gate.page = (void *)(uintptr_t)strtoull(word + strlen(" gate="), NULL, 0);
	if (mmap(gate.page, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED,
		 -1, 0) != gate.page)
		return -errno;
	memcpy(gate.page, code, sizeof(code));
	mprotect(gate.page, 4096, PROT_READ | PROT_EXEC);
	return gate.code(SYS_bind, fd, &address, sizeof(address));
}

/* ---- io_uring ---- */

static long bind_by_uring(int fd)
{
	struct io_uring_params parameters = { .flags = 0 };
	int ring = (int)syscall(SYS_io_uring_setup, 1, &parameters);
	char *submit, *complete;
	struct io_uring_sqe *entry;
	const struct io_uring_cqe *answer;

	if (ring < 0) {
		printf("no io_uring: %s\n", strerror(errno));
		exit(77);
	}
	submit = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, ring, IORING_OFF_SQ_RING);
	complete = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, ring, IORING_OFF_CQ_RING);
	entry = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, ring, IORING_OFF_SQES);
	if (submit == MAP_FAILED || complete == MAP_FAILED || (void *)entry == MAP_FAILED)
		return -errno;
	memset(entry, 0, sizeof(*entry));
	entry->opcode = OP_BIND;
	entry->fd = fd;
	entry->addr = (uintptr_t)&address;
	entry->off = sizeof(address);
	((uint32_t *)(submit + parameters.sq_off.array))[0] = 0;
	__atomic_store_n((uint32_t *)(submit + parameters.sq_off.tail), 1, __ATOMIC_RELEASE);
	if (syscall(SYS_io_uring_enter, ring, 1, 1, IORING_ENTER_GETEVENTS, NULL, 0) != 1)
		return -errno;
	answer = (const void *)(complete + parameters.cq_off.cqes);
	return answer->res;
}

/* ---- all ---- */

static long bind_by(const char *way, int fd)
{
	if (!strcmp(way, "gate"))
		return bind_by_gate(fd);
	if (!strcmp(way, "uring"))
		return bind_by_uring(fd);
	return syscall(SYS_bind, fd, &address, sizeof(address)) ? -errno : 0;
}

int main(int argc, char *argv[])
{
	const char *protocol = argc == 4 ? argv[2] : "";
	int is_udp = !strcmp(protocol, "udp"), fd;
	long result;
	char c;

	if (argc != 4)
		return 2;
	address.sin_port = htons((in_port_t)atoi(argv[3]));
	fd = socket(AF_INET, is_udp ? SOCK_DGRAM : SOCK_STREAM,
		    !strcmp(protocol, "mptcp") ? IPPROTO_MPTCP : 0);
	if (fd < 0) {
		perror(protocol);
		return 77;
	}
	result = bind_by(argv[1], fd);
	printf("bind %s\n", result < 0 ? strerrorname_np((int)-result) : "0");
	if (!result && !is_udp && syscall(SYS_listen, fd, 1))
		perror("listen");
	fflush(stdout);
	while (read(0, &c, 1) > 0)
		;
	return 0;
}
