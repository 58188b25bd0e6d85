#include "filter.h"

#include "../core/engine_kernel.h"
#include "../core/policy.h"
#include "../core/sctp.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/net.h>
#include <linux/netlink.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <stddef.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

/* include/uapi/linux/seccomp.h, since Linux 5.19 and 6.6 */
#ifndef SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV
#define SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV (1UL << 5)
#endif
#ifndef SECCOMP_IOCTL_NOTIF_SET_FLAGS
#define SECCOMP_IOCTL_NOTIF_SET_FLAGS SECCOMP_IOW(4, __u64)
#define SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP (1UL << 0)
#endif

#ifndef IPPROTO_SMC
#define IPPROTO_SMC 256 /* include/uapi/linux/in.h, since Linux 6.11 */
#endif
#ifndef AF_SMC
#define AF_SMC 43
#endif

#define SOCK_TYPE_MASK 0xf /* include/linux/net.h */

/*
 * Theory of operation
 *
 * A filter sees numbers: which call, and its arguments, but not what pointers
 * point to. Where that is enough it lets a call pass: a null address is no
 * destination. The rest waits for the supervisor.
 *
 * One machine runs programs of several architectures, whose calls have other
 * numbers. Those that are not in the table below cannot make any system call:
 * a call that is not recognised would be a hole.
 */

/* The calls of one architecture: arch/x86/entry/syscalls/, include/uapi/asm-generic/unistd.h */
struct machine {
	uint32_t arch;
	uint32_t beyond; /* system call numbers from here on are another ABI's; 0: no such */
	bool narrow;     /* pointers have 32 bits */
	uint64_t gate;   /* the lowest address of those that gates are drawn from; 0: it has none */
	const struct machine_call {
		uint32_t nr;
		enum filter_call call;
	} * call; /* ends with FILTER_NONE */
};

/* clang-format off */
#define CALLS(...) (const struct machine_call[]){ __VA_ARGS__, { 0, FILTER_NONE } }
/* clang-format on */

static const struct machine machines[] = {
#if defined(__x86_64__)
	{
		.arch = AUDIT_ARCH_X86_64,
		.beyond = 0x40000000, /* __X32_SYSCALL_BIT */
		.gate = 0x200000000000, /* above the heap, below libraries, and no sanitizer's shadow */
		.call = CALLS({ 41, FILTER_SOCKET }, { 42, FILTER_CONNECT }, { 44, FILTER_SENDTO },
			      { 46, FILTER_SENDMSG }, { 49, FILTER_BIND }, { 50, FILTER_LISTEN },
			      { 51, FILTER_GETSOCKNAME }, { 54, FILTER_SETSOCKOPT },
			      { 55, FILTER_GETSOCKOPT }, { 233, FILTER_EPOLL_CTL },
			      { 307, FILTER_SENDMMSG }, { 425, FILTER_IO_URING },
			      { 444, FILTER_LANDLOCK_CREATE }, { 446, FILTER_LANDLOCK_RESTRICT }),
	},
#endif
#if defined(__x86_64__) || defined(__i386__)
	{
		.arch = AUDIT_ARCH_I386,
		.narrow = true,
		.call = CALLS({ 102, FILTER_SOCKETCALL }, { 255, FILTER_EPOLL_CTL },
			      { 345, FILTER_SENDMMSG }, { 359, FILTER_SOCKET },
			      { 361, FILTER_BIND }, { 362, FILTER_CONNECT }, { 363, FILTER_LISTEN },
			      { 365, FILTER_GETSOCKOPT }, { 366, FILTER_SETSOCKOPT },
			      { 367, FILTER_GETSOCKNAME }, { 369, FILTER_SENDTO },
			      { 370, FILTER_SENDMSG }, { 425, FILTER_IO_URING },
			      { 444, FILTER_LANDLOCK_CREATE }, { 446, FILTER_LANDLOCK_RESTRICT }),
	},
#endif
#if defined(__aarch64__)
	{
		.arch = AUDIT_ARCH_AARCH64,
		.gate = 0x1000000000, /* within 39 bits */
		.call = CALLS({ 21, FILTER_EPOLL_CTL }, { 198, FILTER_SOCKET },
			      { 200, FILTER_BIND }, { 201, FILTER_LISTEN }, { 203, FILTER_CONNECT },
			      { 204, FILTER_GETSOCKNAME }, { 206, FILTER_SENDTO },
			      { 208, FILTER_SETSOCKOPT }, { 209, FILTER_GETSOCKOPT },
			      { 211, FILTER_SENDMSG }, { 269, FILTER_SENDMMSG },
			      { 425, FILTER_IO_URING }, { 444, FILTER_LANDLOCK_CREATE },
			      { 446, FILTER_LANDLOCK_RESTRICT }),
	},
#endif
#if defined(__aarch64__) || defined(__arm__)
	{
		.arch = AUDIT_ARCH_ARM,
		.narrow = true,
		.call = CALLS({ 281, FILTER_SOCKET }, { 282, FILTER_BIND }, { 283, FILTER_CONNECT },
			      { 284, FILTER_LISTEN }, { 286, FILTER_GETSOCKNAME },
			      { 251, FILTER_EPOLL_CTL }, { 290, FILTER_SENDTO },
			      { 294, FILTER_SETSOCKOPT }, { 295, FILTER_GETSOCKOPT },
			      { 296, FILTER_SENDMSG }, { 374, FILTER_SENDMMSG },
			      { 425, FILTER_IO_URING }, { 444, FILTER_LANDLOCK_CREATE },
			      { 446, FILTER_LANDLOCK_RESTRICT }),
	},
#endif
};

#define GATE_SIZE 4096U

enum { MACHINES = sizeof(machines) / sizeof(machines[0]) };

static const struct machine *find_machine(uint32_t arch)
{
	size_t i;

	for (i = 0; i < MACHINES; i++)
		if (machines[i].arch == arch)
			return &machines[i];
	return NULL;
}

enum filter_call filter_call(uint32_t arch, int nr)
{
	const struct machine *machine = find_machine(arch);
	size_t i;

	for (i = 0; machine && machine->call[i].call != FILTER_NONE; i++)
		if (machine->call[i].nr == (uint32_t)nr)
			return machine->call[i].call;
	return FILTER_NONE;
}

bool filter_has_32bit_pointers(uint32_t arch)
{
	const struct machine *machine = find_machine(arch);

	return machine && machine->narrow;
}

/* net/socket.c, __sys_socketcall */
enum filter_call filter_socketcall(uint64_t call)
{
	switch (call) {
	case SYS_SOCKET:
		return FILTER_SOCKET;
	case SYS_BIND:
		return FILTER_BIND;
	case SYS_CONNECT:
		return FILTER_CONNECT;
	case SYS_LISTEN:
		return FILTER_LISTEN;
	case SYS_SENDTO:
		return FILTER_SENDTO;
	case SYS_SENDMSG:
		return FILTER_SENDMSG;
	case SYS_SENDMMSG:
		return FILTER_SENDMMSG;
	case SYS_SETSOCKOPT:
		return FILTER_SETSOCKOPT;
	case SYS_GETSOCKOPT:
		return FILTER_GETSOCKOPT;
	case SYS_GETSOCKNAME:
		return FILTER_GETSOCKNAME;
	default:
		return FILTER_NONE;
	}
}

uint64_t filter_draw_gate(void)
{
	/* 16 random bytes of the kernel's (getauxval(3)); it may have no more yet, early at boot */
	const void *random = (const void *)getauxval(AT_RANDOM);
	uint32_t page;

	if (!machines[0].gate || !random)
		return 0;
	if (getrandom(&page, sizeof(page), GRND_NONBLOCK) != sizeof(page))
		memcpy(&page, random, sizeof(page));
	/* so many pages as the range is wide: it ends at twice the lowest address */
	return machines[0].gate + (page * (uint64_t)GATE_SIZE) % machines[0].gate;
}

/* ---- the program ---- */

struct program {
	struct sock_filter code[512];
	unsigned short length;
};

static void add(struct program *program, uint16_t code, uint32_t k)
{
	program->code[program->length++] = (struct sock_filter){ .code = code, .k = k };
}

static void load(struct program *program, size_t offset)
{
	add(program, BPF_LD | BPF_W | BPF_ABS, (uint32_t)offset);
}

/* If what was loaded is (or, for BPF_JGE, is at least) @k, go on, else pass over @count instructions. */
static void unless(struct program *program, uint16_t comparison, uint32_t k, uint8_t count)
{
	program->code[program->length++] =
		(struct sock_filter){ .code = BPF_JMP | comparison | BPF_K, .jf = count, .k = k };
}

/* Offset of the half of an argument, little-endian */
static size_t argument(unsigned index, bool high)
{
	return offsetof(struct seccomp_data, args) + 8 * index + (high ? 4 : 0);
}

static void add_trap(struct program *program)
{
	add(program, BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF);
}

static void add_allow(struct program *program)
{
	add(program, BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
}

static void add_error(struct program *program, uint32_t error)
{
	add(program, BPF_RET | BPF_K, SECCOMP_RET_ERRNO | error);
}

/*
 * A call with an address, and behind it its length. A null pointer passes: there is no address. So that netlink
 * works even where nobody may look into the program, and at full speed, an address of netlink's length passes, too.
 *
 * For a call with an address that is shorter than IPv4's, the kernel chooses no port, but for a UDP socket: that
 * gets one by connect() and sendto(), as it does by a send without a destination
 * (test/platform/short-addresses-choose-no-port.c).
 */
static void add_address(struct program *program, enum filter_call call, unsigned index, bool narrow)
{
	load(program, argument(index + 1, false));
	if (call == FILTER_BIND) {
		unless(program, BPF_JGE, sizeof(struct sockaddr_in), 1);
		add(program, BPF_JMP | BPF_JA, 1);
	} else {
		unless(program, BPF_JEQ, sizeof(struct sockaddr_nl), 1);
	}
	add_allow(program);
	if (!narrow) {
		load(program, argument(index, true));
		unless(program, BPF_JEQ, 0, 3);
	}
	load(program, argument(index, false));
	unless(program, BPF_JEQ, 0, 1);
	add_allow(program);
	add_trap(program);
}

/*
 * SMC is refused as a kernel without it refuses it: it makes TCP sockets of its own,
 * which nobody else can give a port (net/smc/af_smc.c, smc_create_clcsk). Where sockets are
 * made by the supervisor, those of IPv4 and IPv6 are trapped, but no raw ones. Else
 * those of MPTCP alone are trapped, where the rule has a say in them.
 */
static void add_socket(struct program *program, const struct filter *filter)
{
	load(program, argument(0, false));
	unless(program, BPF_JEQ, AF_SMC, 1);
	add_error(program, EAFNOSUPPORT);
	unless(program, BPF_JEQ, AF_INET, 1);
	add(program, BPF_JMP | BPF_JA, 1);
	unless(program, BPF_JEQ, AF_INET6, filter->born ? 6 : 5);
	load(program, argument(2, false));
	unless(program, BPF_JEQ, IPPROTO_SMC, 1);
	add_error(program, EPROTONOSUPPORT);
	if (filter->born) {
		load(program, argument(1, false));
		add(program, BPF_ALU | BPF_AND | BPF_K, SOCK_TYPE_MASK);
		unless(program, BPF_JEQ, SOCK_RAW, 1);
		add_allow(program);
		add_trap(program);
		return;
	}
	unless(program, BPF_JEQ, filter->any_mptcp ? UINT32_MAX : IPPROTO_MPTCP, 1);
	add_trap(program);
	add_allow(program);
}

/* sctp_bindx() and sctp_connectx() stop. */
static void add_option(struct program *program, bool set)
{
	static const uint8_t choosers[] = { SCTP_OPTION_BINDX_ADD, SCTP_OPTION_CONNECTX,
					    SCTP_OPTION_CONNECTX_OLD };
	size_t i;

	load(program, argument(1, false));
	unless(program, BPF_JEQ, IPPROTO_SCTP, (uint8_t)(1 + 2 * (set ? sizeof(choosers) : 1)));
	load(program, argument(2, false));
	for (i = 0; set && i < sizeof(choosers); i++) {
		unless(program, BPF_JEQ, choosers[i], 1);
		add_trap(program);
	}
	if (!set) {
		unless(program, BPF_JEQ, SCTP_OPTION_CONNECTX3, 1);
		add_trap(program);
	}
	add_allow(program);
}

static bool stops(const struct filter *filter, enum filter_call call)
{
	switch (call) {
	case FILTER_GETSOCKNAME:
	case FILTER_EPOLL_CTL:
		return filter->born;
	default:
		return call != FILTER_NONE;
	}
}

static void add_socketcall(struct program *program, const struct filter *filter)
{
	uint32_t call;

	load(program, argument(0, false));
	for (call = 1; call <= SYS_SENDMMSG; call++) {
		/* what socket() is asked for stands in memory */
		if (call == SYS_SOCKET ? !filter->born : !stops(filter, filter_socketcall(call)))
			continue;
		unless(program, BPF_JEQ, call, 1);
		add_trap(program);
	}
	add_allow(program);
}

static void add_call(struct program *program, enum filter_call call, const struct machine *machine,
		     const struct filter *filter)
{
	switch (call) {
	case FILTER_BIND:
	case FILTER_CONNECT:
		add_address(program, call, 1, machine->narrow);
		break;
	case FILTER_SENDTO:
		add_address(program, call, 4, machine->narrow);
		break;
	case FILTER_SOCKET:
		add_socket(program, filter);
		break;
	case FILTER_SETSOCKOPT:
	case FILTER_GETSOCKOPT:
		add_option(program, call == FILTER_SETSOCKOPT);
		break;
	case FILTER_SOCKETCALL:
		add_socketcall(program, filter);
		break;
	case FILTER_EPOLL_CTL:
		load(program, argument(1, false));
		unless(program, BPF_JEQ, EPOLL_CTL_ADD, 1);
		add_trap(program);
		add_allow(program);
		break;
	case FILTER_IO_URING:
		if (filter->io_uring)
			add_allow(program);
		else
			add_error(program, ENOSYS);
		break;
	default:
		add_trap(program);
	}
}

/*
 * What the filter never stops passes before anything but its number is looked at. For such a call the kernel finds
 * out once that it passes, and then runs no filter (kernel/seccomp.c, seccomp_cache_prepare).
 */
static void add_unstopped(struct program *program, const struct machine *machine,
			  const struct filter *filter)
{
	const struct machine_call *call;
	uint8_t left = 1;

	for (call = machine->call; call->call != FILTER_NONE; call++)
		left += stops(filter, call->call);
	for (call = machine->call; call->call != FILTER_NONE; call++)
		if (stops(filter, call->call))
			program->code[program->length++] = (struct sock_filter){
				.code = BPF_JMP | BPF_JEQ | BPF_K, .jt = --left, .k = call->nr
			};
	add_allow(program);
}

/* What comes from the gate passes. */
static void add_gate(struct program *program, uint64_t gate)
{
	const size_t pointer = offsetof(struct seccomp_data, instruction_pointer);

	load(program, pointer + 4);
	unless(program, BPF_JEQ, (uint32_t)(gate >> 32), 4);
	load(program, pointer);
	add(program, BPF_ALU | BPF_AND | BPF_K, ~(GATE_SIZE - 1));
	unless(program, BPF_JEQ, (uint32_t)gate, 1);
	add_allow(program);
	/* as it was before */
	load(program, offsetof(struct seccomp_data, nr));
}

static void add_machine(struct program *program, const struct machine *machine,
			const struct filter *filter)
{
	unsigned short test, start;
	size_t i;

	load(program, offsetof(struct seccomp_data, arch));
	test = program->length;
	unless(program, BPF_JEQ, machine->arch, 0);
	load(program, offsetof(struct seccomp_data, nr));
	if (machine->beyond) {
		unless(program, BPF_JGE, machine->beyond, 1);
		add_error(program, ENOSYS);
	}
	if (filter->gate && machine->gate) {
		add_unstopped(program, machine, filter);
		add_gate(program, filter->gate);
	}
	for (i = 0; machine->call[i].call != FILTER_NONE; i++) {
		if (!stops(filter, machine->call[i].call))
			continue;
		start = program->length;
		unless(program, BPF_JEQ, machine->call[i].nr, 0);
		add_call(program, machine->call[i].call, machine, filter);
		program->code[start].jf = (uint8_t)(program->length - start - 1);
	}
	add_allow(program);
	program->code[test].jf = (uint8_t)(program->length - test - 1);
}

static int set_filter(const struct sock_fprog *code, bool exact)
{
	const unsigned flags = SECCOMP_FILTER_FLAG_NEW_LISTENER;
	int fd;

	/* once the supervisor has begun with a call, only a fatal signal ends it: nothing is done twice */
	fd = (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER,
			  flags | SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV, code);
	if (fd < 0 && errno == EINVAL && !exact)
		fd = (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, code);
	return fd < 0 ? -errno : fd;
}

bool filter_knows_exact(void)
{
	/* with no filter to read, the kernel looks at the flags first */
	return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER,
		       SECCOMP_FILTER_FLAG_NEW_LISTENER | SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV,
		       NULL) &&
	       errno == EFAULT;
}

int filter_install(const struct filter *filter)
{
	struct program program = { .length = 0 };
	struct sock_fprog code = { .filter = program.code };
	__u64 wake = SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP;
	size_t i;
	int fd;

	for (i = 0; i < MACHINES; i++)
		add_machine(&program, &machines[i], filter);
	add_error(&program, ENOSYS);
	code.len = program.length;
	fd = set_filter(&code, filter->exact);
	if (fd == -EACCES && !prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		fd = set_filter(&code, filter->exact);
	if (fd < 0)
		return fd;
	/* the supervisor runs where the program waits, as if it were a function call */
	ioctl(fd, SECCOMP_IOCTL_NOTIF_SET_FLAGS, wake);
	return fd;
}
