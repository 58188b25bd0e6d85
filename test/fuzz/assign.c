/*
 * assign: with any state file and any answers of the kernel, a socket is bound only to a port of the
 * range, the search ends, and no call is repeated without need.
 *
 * Input: the rule, the call, the state file's filling and patches, and then the answers to the
 * system calls, in their order.
 */
#include "../../src/core/assign.h"

#include "fuzz.h"

#include <net/if.h>
#include <netinet/tcp.h>
#include <time.h>

#include "kernel.h"

#ifndef IP_LOCAL_PORT_RANGE
#define IP_LOCAL_PORT_RANGE 51
#endif

#define FD 100
#define BINDS_MOST 2000

static struct fuzz *answers;
static const struct range *allowed;
static bool system_too; /* or any port that the kernel chooses, if those are in use */
static bool puts_off;   /* IP_BIND_ADDRESS_NO_PORT */
static struct state_file *file;

/* What was asked of the kernel. */
static unsigned binds;
static bool bound, range_set;
static uint64_t clock_ms;

int __wrap_clock_gettime(clockid_t clock, struct timespec *ret_now);
int __wrap_getsockname(int fd, struct sockaddr *ret_addr, socklen_t *len);
int __wrap_getpeername(int fd, struct sockaddr *ret_addr, socklen_t *len);
int __wrap_getsockopt(int fd, int level, int option, void *ret_value, socklen_t *len);

/* Return: 0, or an errno; most calls succeed */
static int answer(void)
{
	static const int errors[] = { EADDRINUSE, EACCES, EINVAL, ENOMEM, EBADF, EADDRNOTAVAIL };
	uint8_t byte = fuzz_byte(answers);

	return byte < 128 ? 0 : errors[byte % (sizeof(errors) / sizeof(errors[0]))];
}

static int result(int error)
{
	if (!error)
		return 0;
	errno = error;
	return -1;
}

int __wrap_clock_gettime(clockid_t clock, struct timespec *ret_now)
{
	(void)clock;
	clock_ms++;
	ret_now->tv_sec = (time_t)(clock_ms / 1000);
	ret_now->tv_nsec = (long)(clock_ms % 1000) * 1000000;
	return 0;
}

static int fill_name(struct sockaddr *ret_addr, socklen_t *len)
{
	int error = answer();
	union addr addr;

	if (error)
		return result(error);
	*len = addr_wildcard(&addr, fuzz_byte(answers) & 1 ? AF_INET : AF_INET6);
	addr_set_port(&addr, fuzz_word(answers));
	memcpy(ret_addr, &addr, *len);
	return 0;
}

int __wrap_getsockname(int fd, struct sockaddr *ret_addr, socklen_t *len)
{
	CLAIM(fd == FD);
	return fill_name(ret_addr, len);
}

int __wrap_getpeername(int fd, struct sockaddr *ret_addr, socklen_t *len)
{
	CLAIM(fd == FD);
	return fill_name(ret_addr, len);
}

int __wrap_getsockopt(int fd, int level, int option, void *ret_value, socklen_t *len)
{
	static const uint8_t protocols[] = { IPPROTO_TCP, IPPROTO_UDP, IPPROTO_SCTP, IPPROTO_ICMP };
	int error = answer();

	CLAIM(fd == FD || fd == KERNEL_SOCKET);
	if (error)
		return result(error);
	memset(ret_value, 0, *len);
	*(uint8_t *)ret_value = fuzz_byte(answers);
	if (level == SOL_SOCKET && option == SO_PROTOCOL)
		*(uint8_t *)ret_value = protocols[*(uint8_t *)ret_value % 4];
	if (level == SOL_SOCKET && option == SO_DOMAIN)
		*(uint8_t *)ret_value = *(uint8_t *)ret_value & 1 ? AF_INET : AF_INET6;
	return 0;
}

static int on_bind(int fd, const struct sockaddr *sa, socklen_t len)
{
	union addr addr = { .sa.sa_family = AF_UNSPEC };
	int error;

	CLAIM((fd == FD || fd == KERNEL_SOCKET) && len <= sizeof(addr) &&
	      len >= sizeof(sa->sa_family));
	memcpy(&addr, sa, len);
	/* a bind to port 0 that shows whether the socket has a port */
	if (!addr_port(&addr)) {
		CLAIM(puts_off || system_too);
		return result(answer());
	}
	if (system_too && !range_has(allowed, addr_port(&addr)))
		return result(answer());
	CLAIM(allowed && range_has(allowed, addr_port(&addr)));
	/* the guard of an SCTP socket */
	if (fd == KERNEL_SOCKET)
		return result(answer());
	CLAIM(++binds <= BINDS_MOST);
	/* once the input is over, every port is free */
	error = answer();
	CLAIM(!bound || error);
	bound |= !error;
	return result(error);
}

static int on_connect(int fd, const struct sockaddr *sa, socklen_t len)
{
	/* it is only called to dissolve a connection */
	CLAIM(fd == FD && sa->sa_family == AF_UNSPEC && len >= sizeof(sa->sa_family));
	return result(answer());
}

static int on_setsockopt(int fd, int level, int option, const void *value, socklen_t len)
{
	int error = answer();
	uint32_t both;

	CLAIM(fd == FD || fd == KERNEL_SOCKET);
	if (level == IPPROTO_IP && option == IP_BIND_ADDRESS_NO_PORT && !error)
		puts_off = *(const int *)value;
	if (level == IPPROTO_IP && option == IP_LOCAL_PORT_RANGE && !error) {
		CLAIM(len == sizeof(both));
		memcpy(&both, value, sizeof(both));
		/* all of the range, or a part of it */
		CLAIM(!both ||
		      (allowed && allowed->spans == 1 && range_has(allowed, (uint16_t)both) &&
		       range_has(allowed, both >> 16) && (uint16_t)both <= both >> 16));
		range_set = both;
	}
	return result(error);
}

static int on_socket(int domain, int type, int protocol)
{
	return (int)__wrap_syscall(SYS_socket, domain, type, protocol);
}

static const struct socket_calls calls = {
	on_socket,          on_bind,           on_connect,
	on_setsockopt,      __wrap_getsockopt, __wrap_getsockname,
	__wrap_getpeername,
};

static const struct range *make_range(struct fuzz *fuzz, struct arena *arena)
{
	struct range_set *set = arena_alloc(arena, sizeof(*set));
	unsigned spans = 1 + fuzz_byte(fuzz) % 3;
	const struct range *range;

	if (!set)
		abort();
	while (spans--) {
		uint16_t first = fuzz_word(fuzz), count = 1 + fuzz_byte(fuzz) % 32;

		first = first ? first : 1;
		range_set_add(set, first, first > 65535 - count ? 65535 : first + count - 1);
	}
	if (range_build(set, arena, &range))
		abort();
	return range;
}

static void fill_state(struct fuzz *fuzz)
{
	uint8_t patches = fuzz_byte(fuzz) % 8;

	if (!file)
		file = malloc(sizeof(*file));
	memset(file, fuzz_byte(fuzz), sizeof(*file));
	for (; patches; patches--)
		fuzz_bytes(fuzz, (char *)file + fuzz_word(fuzz) * 8U % sizeof(*file), 8);
}

static void fill_call(struct fuzz *fuzz, struct assign *assign)
{
	uint8_t flags = fuzz_byte(fuzz);

	assign->fd = FD;
	assign->call = (enum assign_call)(flags & 3);
	assign->fresh = flags & 4;
	assign->same_netns = flags & 8;
	assign->fast_open = flags & 16 && assign->call == ASSIGN_SEND;
	assign->at_once = flags & 32;
	assign->family = flags & 64 ? AF_INET : AF_INET6;
	assign->proto = flags & 128 ? PROTO_TCP : PROTO_UDP;
	assign->len = fuzz_byte(fuzz) % (sizeof(assign->addr) + 1);
	fuzz_bytes(fuzz, &assign->addr, assign->len);
	/* mostly a family that is fenced */
	flags = fuzz_byte(fuzz);
	if (flags < 250 && assign->len >= sizeof(assign->addr.sa.sa_family))
		assign->addr.sa.sa_family = flags & 1 ? AF_INET : AF_INET6;
}

static void call(const struct fence *fence, struct assign *assign)
{
	unsigned rounds = 0;
	int rc, error;

	rc = assign_begin(fence, assign);
	kernel_show();
	CLAIM(rc == ASSIGN_GO_ON || rc == ASSIGN_MADE || rc < 0);
	CLAIM(rc != ASSIGN_MADE || (assign->call == ASSIGN_BIND && bound));
	if (rc == ASSIGN_GO_ON && assign->engine == ENGINE_BIND)
		CLAIM(bound && range_has(allowed, assign->port));
	if (rc == ASSIGN_GO_ON && assign->engine == ENGINE_KERNEL)
		CLAIM(range_set);
	CLAIM(rc == ASSIGN_GO_ON || assign->outcome != OUTCOME_CLOSED || rc == -EACCES);
	if (rc != ASSIGN_GO_ON)
		return;
	do {
		error = answer();
		CLAIM(++rounds <= 2);
		rc = assign_end(fence, assign, &error);
		kernel_show();
		CLAIM(assign->outcome != OUTCOME_ESCAPED || error);
	} while (rc == ASSIGN_AGAIN);
	assign_undo(fence, FD);
	kernel_show();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz fuzz = { data, data + size };
	struct engine_kernel kernel[PROTO_COUNT] = { { 0 } };
	struct source_addr_cache sources = { 0 };
	struct arena arena = { 0 };
	struct assign assign = { 0 };
	struct rule rule = { .name = "fuzz" };
	struct fence fence = { .calls = &calls, .kernel = kernel, .sources = &sources };
	uint8_t flags = fuzz_byte(&fuzz), more = fuzz_byte(&fuzz);
	int proto;

	rule.order = (enum order)(flags % ORDER_COUNT);
	rule.bind = (enum bind_policy)(more % (BIND_DENY + 1));
	rule.exhausted = more & 16 ? EXHAUSTED_SYSTEM : EXHAUSTED_FAIL;
	rule.engine = (enum engine)(more / 32 % (ENGINE_BIND + 1));
	rule.seeded = flags & 128;
	rule.range[0] = make_range(&fuzz, &arena);
	for (proto = 1; proto < PROTO_COUNT; proto++)
		rule.range[proto] = rule.range[0];
	fence.rule = flags & 64 ? NULL : &rule;
	allowed = fence.rule ? rule.range[0] : NULL;
	system_too = fence.rule && rule.exhausted == EXHAUSTED_SYSTEM;
	fill_state(&fuzz);
	fence.state.file = file;
	fence.state.sequence = &file->sequence;
	fill_call(&fuzz, &assign);
	kernel_answers = answers = &fuzz;
	binds = 0;
	bound = range_set = puts_off = false;
	clock_ms = 1ULL << 24;
	call(&fence, &assign);
	arena_free(&arena);
	return 0;
}
