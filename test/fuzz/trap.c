/*
 * trap: whatever a program's notification says, wherever its arguments point, whatever stands in its
 * memory and whatever the kernel answers: the supervisor answers once, reads no memory behind what it has
 * copied, binds to no port outside the range unless the program has named it, keeps no right in use, and
 * leaves no descriptor open.
 *
 * Input: the rule; then for each call what it is and its arguments; answers are taken from what follows.
 */
#include "../../src/supervisor/trap.c"

#include "fuzz.h"

#include <linux/audit.h>
#include <stdarg.h>
#include <sys/stat.h>
#include <time.h>

enum { LISTENER = 900, PIDFD, PROGRAM_SOCKET, OWN_SOCKET, OWN_FILE };

static struct fuzz *answers;
static const struct range *allowed;
static bool system_too; /* or any port, if those are in use */
static struct {
	bool caller, socket; /* open */
	unsigned answers;    /* to the notification */
	bool named;          /* the program has named a port in memory that was read */
	uint32_t rights;     /* in use */
} seen;

/* ---- what the kernel answers ---- */

static int draw_error(void)
{
	static const int errors[] = { EADDRINUSE, EACCES,        EINVAL, ENOMEM,
				      EBADF,      EADDRNOTAVAIL, EPERM,  EINTR };
	uint8_t byte = fuzz_byte(answers);

	return byte < 176 ? 0 : errors[byte % (sizeof(errors) / sizeof(errors[0]))];
}

/* Return: 0, or -1 and errno */
static int draw_result(void)
{
	int error = draw_error();

	errno = error ? error : errno;
	return error ? -1 : 0;
}

/* Every byte of what the kernel is told must be ours to read. */
static void read_all(const void *data, size_t size)
{
	static volatile uint8_t sum;
	const uint8_t *at = data;
	size_t i;

	for (i = 0; i < size; i++)
		sum = (uint8_t)(sum + at[i]);
}

static int answer_bind(int fd, const void *addr, socklen_t len)
{
	union addr copy = { .sa.sa_family = AF_UNSPEC };
	uint16_t port;

	CLAIM(fd == PROGRAM_SOCKET || fd == OWN_SOCKET);
	CLAIM(len <= sizeof(struct sockaddr_storage));
	read_all(addr, len);
	memcpy(&copy, addr, len < sizeof(copy) ? len : sizeof(copy));
	port = addr_port(&copy);
	CLAIM(!port || seen.named || system_too || range_has(allowed, port));
	return draw_result();
}

static long answer_sendmsg(const struct msghdr *message)
{
	size_t i, sum = 0;

	CLAIM(message->msg_namelen <= sizeof(struct sockaddr_storage));
	read_all(message->msg_name, message->msg_namelen);
	for (i = 0; i < message->msg_iovlen; i++) {
		read_all(message->msg_iov[i].iov_base, message->msg_iov[i].iov_len);
		sum += message->msg_iov[i].iov_len;
	}
	read_all(message->msg_control, message->msg_controllen);
	return draw_result() ? -1 : (long)sum;
}

static long answer_read(void *ret_data, size_t size, size_t most)
{
	size = size < most ? size : most;
	fuzz_bytes(answers, ret_data, size);
	return (long)size;
}

static long answer_receive(void *ret_data, size_t size)
{
	if (fuzz_left(answers))
		return answer_read(ret_data, size, fuzz_byte(answers) * 4U);
	errno = EAGAIN;
	return -1;
}

static long answer_capget(struct __user_cap_data_struct *ret_data)
{
	memset(ret_data, 0, _LINUX_CAPABILITY_U32S_3 * sizeof(*ret_data));
	ret_data->effective = seen.rights;
	ret_data->permitted = ~0U;
	return 0;
}

long __wrap_syscall(long number, ...);

/* most calls hand over fewer arguments than are fetched here */
__attribute__((no_sanitize("address"))) long __wrap_syscall(long number, ...)
{
	long a[6];
	va_list list;
	int i;

	va_start(list, number);
	for (i = 0; i < 6; i++)
		a[i] = va_arg(list, long);
	va_end(list);
	switch (number) {
	case SYS_bind:
	case SYS_connect:
		return number == SYS_bind
			       ? answer_bind((int)a[0], (void *)a[1], (socklen_t)a[2])
			       : (read_all((void *)a[1], (socklen_t)a[2]), draw_result());
	case SYS_listen:
		return draw_result();
	case SYS_sendmsg:
		return answer_sendmsg((void *)a[1]);
	case SYS_sendto:
		read_all((void *)a[1], (size_t)a[2]);
		return a[2];
	case SYS_socket:
		return draw_result() ? -1 : OWN_SOCKET;
	case SYS_openat:
		return draw_result() ? -1 : OWN_FILE;
	case SYS_read:
		return answer_read((void *)a[1], (size_t)a[2], fuzz_byte(answers));
	case SYS_recvfrom:
		return answer_receive((void *)a[1], (size_t)a[2]);
	case SYS_fstat:
		memset((void *)a[1], 0, sizeof(struct stat));
		return draw_result();
	case SYS_capget:
		return answer_capget((void *)a[1]);
	case SYS_capset:
		seen.rights = ((const struct __user_cap_data_struct *)a[1])->effective;
		return 0;
	case SYS_getrandom:
		return answer_read((void *)a[0], (size_t)a[1], (size_t)a[1]);
	case SYS_landlock_create_ruleset:
		/* binds and connects over TCP; asked once, so no input says so */
		errno = EINVAL;
		return ((const uint64_t *)a[0])[1] < 4 ? OWN_FILE : -1;
	case SYS_close:
	case SYS_rt_sigprocmask:
	case SYS_rt_sigtimedwait:
	case SYS_fcntl:
	case SYS_ppoll:
	case SYS_pwritev2:
	case SYS_write:
	case SYS_nanosleep:
	case SYS_clock_nanosleep:
		return 0;
	default:
		fprintf(stderr, "system call %ld\n", number);
		abort();
	}
}

int __wrap_ioctl(int fd, unsigned long request, ...);

int __wrap_ioctl(int fd, unsigned long request, ...)
{
	const struct seccomp_notif_resp *answer;
	const void *argument;
	va_list list;

	va_start(list, request);
	argument = va_arg(list, const void *);
	va_end(list);
	answer = argument;
	if (request == SECCOMP_IOCTL_NOTIF_ADDFD) {
		int rc = draw_result();

		/* the descriptor is the answer */
		seen.answers += !rc && (((const struct seccomp_notif_addfd *)argument)->flags &
					SECCOMP_ADDFD_FLAG_SEND);
		return rc ? -1 : 7;
	}
	if (request != SECCOMP_IOCTL_NOTIF_SEND)
		return draw_result() ? -1 : OWN_FILE;
	CLAIM(fd == LISTENER);
	CLAIM(!answer->flags || (answer->flags == SECCOMP_USER_NOTIF_FLAG_CONTINUE &&
				 !answer->error && !answer->val));
	CLAIM(answer->error <= 0 && answer->error > -4096);
	CLAIM(!seen.rights);
	seen.answers++;
	errno = ENOENT;
	return draw_error() ? -1 : 0;
}

static int answer_getsockopt(int fd, int level, int option, void *ret_value, socklen_t *len)
{
	static const int protocols[] = { IPPROTO_TCP, IPPROTO_UDP, IPPROTO_SCTP,
					 262,         136,         IPPROTO_ICMP };
	uint8_t byte;
	int value;

	(void)fd;
	if (draw_result())
		return -1;
	memset(ret_value, 0, *len);
	byte = fuzz_byte(answers);
	value = byte;
	if (level == SOL_SOCKET && option == SO_PROTOCOL)
		value = protocols[byte % 6];
	else if (level == SOL_SOCKET && option == SO_DOMAIN)
		value = byte < 120 ? AF_INET : byte < 240 ? AF_INET6 : AF_UNIX;
	else if (level == SOL_SOCKET && option == SO_TYPE)
		value = 1 + byte % 3;
	memcpy(ret_value, &value, *len < sizeof(value) ? *len : sizeof(value));
	return 0;
}

static int answer_setsockopt(int fd, int level, int option, const void *value, socklen_t len)
{
	(void)fd, (void)level, (void)option;
	read_all(value, len);
	return draw_result();
}

static int answer_name(int fd, struct sockaddr *ret_addr, socklen_t *len)
{
	union addr addr;
	socklen_t size;

	(void)fd;
	if (draw_result())
		return -1;
	size = addr_wildcard(&addr, fuzz_byte(answers) & 1 ? AF_INET : AF_INET6);
	addr_set_port(&addr, fuzz_word(answers));
	memcpy(ret_addr, &addr, size < *len ? size : *len);
	*len = size;
	return 0;
}

static int answer_connect(int fd, const struct sockaddr *addr, socklen_t len)
{
	(void)fd;
	read_all(addr, len);
	return draw_result();
}

static int answer_plain_bind(int fd, const struct sockaddr *addr, socklen_t len)
{
	return answer_bind(fd, addr, len);
}

static int answer_socket(int domain, int type, int protocol)
{
	return (int)__wrap_syscall(SYS_socket, domain, type, protocol);
}

static const struct socket_calls calls = { answer_socket,     answer_plain_bind, answer_connect,
					   answer_setsockopt, answer_getsockopt, answer_name,
					   answer_name };

int __wrap_getsockopt(int fd, int level, int option, void *ret_value, socklen_t *len);
int __wrap_setsockopt(int fd, int level, int option, const void *value, socklen_t len);
int __wrap_getsockname(int fd, struct sockaddr *ret_addr, socklen_t *len);
ssize_t __wrap_sendto(int fd, const void *data, size_t size, int flags, const struct sockaddr *addr,
		      socklen_t len);
int __wrap_close(int fd);
int __wrap_fcntl64(int fd, int command, ...);
int __wrap_clock_gettime(clockid_t clock, struct timespec *ret_now);
int __wrap_nanosleep(const struct timespec *time, struct timespec *ret_rest);
int __wrap_poll(struct pollfd *fds, nfds_t count, int timeout);

int __wrap_getsockopt(int fd, int level, int option, void *ret_value, socklen_t *len)
{
	return answer_getsockopt(fd, level, option, ret_value, len);
}

int __wrap_setsockopt(int fd, int level, int option, const void *value, socklen_t len)
{
	return answer_setsockopt(fd, level, option, value, len);
}

int __wrap_getsockname(int fd, struct sockaddr *ret_addr, socklen_t *len)
{
	return answer_name(fd, ret_addr, len);
}

ssize_t __wrap_sendto(int fd, const void *data, size_t size, int flags, const struct sockaddr *addr,
		      socklen_t len)
{
	(void)fd, (void)flags;
	read_all(data, size);
	read_all(addr, len);
	return draw_result() ? -1 : (ssize_t)size;
}

int __wrap_close(int fd)
{
	if (fd == PROGRAM_SOCKET)
		seen.socket = false;
	return 0;
}

int __wrap_fcntl64(int fd, int command, ...)
{
	(void)fd, (void)command;
	return fuzz_byte(answers) & 1 ? O_NONBLOCK : 0;
}

static uint64_t clock_ns;

/* Time passes with each look, so that nothing waits for ever. */
int __wrap_clock_gettime(clockid_t clock, struct timespec *ret_now)
{
	(void)clock;
	clock_ns += 997000;
	ret_now->tv_sec = (time_t)(clock_ns / 1000000000);
	ret_now->tv_nsec = (long)(clock_ns % 1000000000);
	return 0;
}

int __wrap_nanosleep(const struct timespec *time, struct timespec *ret_rest)
{
	(void)time, (void)ret_rest;
	return 0;
}

int __wrap_poll(struct pollfd *fds, nfds_t count, int timeout)
{
	(void)fds, (void)count, (void)timeout;
	return fuzz_byte(answers) & 1;
}

/* ---- the caller ---- */

/* at once, by this thread */
void run_log_write(struct run_log *run, const struct run_log_line *line)
{
	run->log->pid = line->pid;
	run->log->stderr_fd = line->errors;
	line->write(run->log, line);
	if (line->errors >= 0)
		close(line->errors);
}

void run_log_start(struct run_log *run, struct log *log)
{
	run->log = log;
}

void run_log_finish(struct run_log *run)
{
	(void)run;
}

int caller_open(int listener, uint64_t id, pid_t thread, struct caller *ret_caller)
{
	if (draw_result())
		return -ESRCH;
	*ret_caller = (struct caller){ .listener = listener, .id = id, .thread = thread };
	ret_caller->pidfd = PIDFD;
	seen.caller = true;
	return 0;
}

void caller_close(struct caller *caller)
{
	(void)caller;
	CLAIM(seen.caller);
	seen.caller = false;
}

int caller_unopened(int listener, uint64_t id, pid_t thread, struct caller *ret_caller)
{
	if (draw_result())
		return -ESRCH;
	*ret_caller = (struct caller){ .listener = listener, .id = id, .thread = thread };
	ret_caller->pidfd = -1;
	return 0;
}

int caller_read(const struct caller *caller, uint64_t address, void *ret_data, size_t size)
{
	uint8_t how = fuzz_byte(answers);
	uint16_t family = how & 2 ? AF_INET : AF_INET6;

	(void)caller, (void)address;
	if (how > 240)
		return how & 1 ? -EFAULT : -EPERM;
	/* what is large is not taken from the input */
	if (size > 256)
		memset(ret_data, how, size);
	else
		fuzz_bytes(answers, ret_data, size);
	if (how & 1 && size >= sizeof(family))
		memcpy(ret_data, &family, sizeof(family));
	seen.named = true;
	return 0;
}

int caller_write(const struct caller *caller, uint64_t address, const void *data, size_t size)
{
	(void)caller, (void)address;
	read_all(data, size);
	return -draw_error();
}

int caller_descriptor(const struct caller *caller, int fd)
{
	int error = draw_error();

	if (error)
		return -error;
	/* standard error is another matter */
	if (caller->listener != LISTENER || (fd == STDERR_FILENO && seen.socket))
		return OWN_FILE;
	seen.socket = true;
	return PROGRAM_SOCKET;
}

int caller_stderr_path(const struct caller *caller)
{
	(void)caller;
	return draw_result() ? -EBADF : OWN_FILE;
}

int caller_socket(const struct caller *caller, int fd, uint32_t *ret_inode)
{
	(void)caller, (void)fd;
	*ret_inode = fuzz_word(answers);
	return -draw_error();
}

int caller_each(int (*each)(const struct caller *process, void *context), void *context)
{
	(void)each, (void)context;
	return draw_error();
}

int caller_each_thread(const struct caller *caller,
		       int (*each)(const struct caller *thread, void *context), void *context)
{
	return each(caller, context);
}

bool caller_waits(const struct caller *caller)
{
	(void)caller;
	return fuzz_byte(answers) < 224;
}

int caller_sockets(const struct caller *caller, int (*found)(uint32_t inode, void *context),
		   void *context)
{
	(void)caller, (void)found, (void)context;
	return 0;
}

int caller_protocol(const struct caller *caller, int fd, char *ret_name, size_t size)
{
	(void)caller, (void)fd;
	snprintf(ret_name, size, "%s", fuzz_byte(answers) & 1 ? "TCP" : "UDPv6");
	return -draw_error();
}

uint16_t caller_shown_port(const struct caller *caller, uint32_t inode)
{
	(void)caller, (void)inode;
	return (uint16_t)fuzz_word(answers);
}

pid_t caller_process(const struct caller *caller)
{
	return fuzz_byte(answers) & 1 ? caller->thread : 0;
}

int caller_user(const struct caller *caller, uid_t *ret_uid, gid_t *ret_gid)
{
	(void)caller;
	*ret_uid = *ret_gid = fuzz_byte(answers);
	return -draw_error();
}

int caller_started(const struct caller *caller, uint64_t *ret_ticks)
{
	(void)caller;
	*ret_ticks = fuzz_word(answers);
	return -draw_error();
}

int caller_mark(const struct caller *caller, uint64_t *ret_mark)
{
	(void)caller;
	*ret_mark = 0;
	return 0;
}

int caller_label(const struct caller *caller, char *ret_label, size_t size)
{
	(void)caller;
	snprintf(ret_label, size, "%u", fuzz_byte(answers) & 1U);
	return -draw_error();
}

void caller_own_place(struct caller_place *ret_place)
{
	memset(ret_place, 0, sizeof(*ret_place));
}

int caller_capabilities(const struct caller *caller, uint64_t *ret_set, uint64_t *ret_userns)
{
	(void)caller;
	*ret_set = fuzz_number(answers);
	*ret_userns = fuzz_byte(answers) & 1;
	return -draw_error();
}

int caller_rights(const struct caller *caller, struct caller_rights *ret_rights)
{
	(void)caller;
	memset(ret_rights, 0, sizeof(*ret_rights));
	return -draw_error();
}

uint64_t caller_own_userns(void)
{
	return 1;
}

bool caller_runs(pid_t thread)
{
	(void)thread;
	return fuzz_byte(answers) & 1;
}

/* ---- what else serves a call, and is not judged here ---- */

bool newsocket_keeps(const struct fence *fence, enum proto proto)
{
	(void)fence, (void)proto;
	return fuzz_byte(answers) & 1;
}

bool newsocket_mptcp_keeps(const struct rule *rule)
{
	(void)rule;
	return newsocket_keeps(NULL, PROTO_TCP);
}

int newsocket_compare_places(const struct caller *caller)
{
	(void)caller;
	return draw_error() ? -EACCES : 0;
}

int newsocket_make(const struct caller *caller, int domain, int type, int protocol)
{
	int error = draw_error();

	(void)caller, (void)domain, (void)type, (void)protocol;
	return error ? -error : OWN_SOCKET;
}

int relay_wait_connect(struct trapped_call *trapped, const union addr *to, socklen_t len)
{
	(void)trapped;
	read_all(to, len);
	if (draw_result())
		return -ENOBUFS;
	seen.answers++;
	return CALL_ANSWERED;
}

void workers_begin(void)
{
}

void workers_run(bool (*serve)(void *context), void *context)
{
	(void)serve, (void)context;
}

/* ---- the target ---- */

static void make_rule(struct fuzz *fuzz, struct arena *arena, struct portmap *map,
		      struct rule *ret_rule)
{
	struct range_set *set = arena_alloc(arena, sizeof(*set));
	uint8_t flags = fuzz_byte(fuzz), more = fuzz_byte(fuzz);
	int proto;

	range_set_add(set, 20000, (uint16_t)(20000 + fuzz_byte(fuzz) % 32));
	if (range_build(set, arena, &ret_rule->range[0]))
		abort();
	for (proto = 1; proto < PROTO_COUNT; proto++)
		ret_rule->range[proto] = ret_rule->range[0];
	map->count = 1;
	map->entry[0].asked = 8000;
	map->entry[0].real = 20032;
	ret_rule->name = "fuzz";
	ret_rule->map = flags & 64 ? map : NULL;
	ret_rule->order = (enum order)(flags % ORDER_COUNT);
	ret_rule->bind = (enum bind_policy)(more % (BIND_MOVE + 1));
	ret_rule->exhausted = more & 16 ? EXHAUSTED_SYSTEM : EXHAUSTED_FAIL;
	ret_rule->engine = ENGINE_BIND;
}

static void serve_one(struct fuzz *fuzz, struct tree *tree, uint64_t id)
{
	static const uint32_t archs[] = { AUDIT_ARCH_X86_64, AUDIT_ARCH_I386 };
	static const int numbers[] = { 41, 42, 44, 46, 49, 50, 54, 55, 307, 444, 446 };
	static const int narrow[] = { 102, 345, 359, 361, 362, 363, 365, 366, 369, 370, 444 };
	uint8_t how = fuzz_byte(fuzz);
	struct seccomp_notif notif = { .id = id, .pid = 4711 + (uint32_t)id % 2 };
	int i;

	notif.data.arch = archs[how & 1];
	notif.data.nr = how & 1 ? narrow[how / 2 % 11] : numbers[how / 2 % 11];
	for (i = 0; i < 6; i++)
		notif.data.args[i] = how & 128 ? fuzz_number(fuzz) : fuzz_word(fuzz);
	memset(&seen, 0, sizeof(seen));
	serve_notification(tree, &notif);
	CLAIM(seen.answers == 1);
	CLAIM(!seen.rights && !seen.caller && !seen.socket);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct state_file *file;
	struct fuzz fuzz = { data, data + size };
	struct engine_kernel kernel[PROTO_COUNT] = { { 0 } };
	struct source_addr_cache sources = { 0 };
	struct arena arena = { 0 };
	struct portmap map = { 0 };
	struct rule rule = { .name = "fuzz" };
	struct fence fence = {
		.calls = &calls, .rule = &rule, .kernel = kernel, .sources = &sources
	};
	struct log log = { .calls = &calls, .application = "fuzz", .stderr_fd = -1 };
	struct tree *tree = calloc(1, sizeof(*tree));
	unsigned rounds;

	if (!file)
		file = malloc(sizeof(*file));
	memset(file, 0, sizeof(*file));
	make_rule(&fuzz, &arena, &map, &rule);
	allowed = rule.range[0];
	system_too = rule.exhausted == EXHAUSTED_SYSTEM;
	fence.state.file = file;
	fence.state.sequence = &file->sequence;
	answers = &fuzz;
	clock_ns = 5000000000ULL;
	/* it has all capabilities, and keeps what a supervisor keeps */
	rights_drop(true, true);
	tree->listener = LISTENER;
	tree->program = tree->errors = -1;
	tree->fence = &fence;
	tree->log.log = &log;
	tree->port_start = fuzz_byte(&fuzz) & 1 ? 1024 : 30000;
	pthread_mutex_init(&tree->log.lock, NULL);
	claims_start(&tree->claims, LISTENER);
	confinement_start(&tree->confinement, -1);
	for (rounds = 1 + fuzz_byte(&fuzz) % 4; rounds; rounds--)
		serve_one(&fuzz, tree, 1 + rounds);
	claims_end(&tree->claims, NULL);
	CLAIM(!tree->claims.own.count);
	free(tree);
	arena_free(&arena);
	return 0;
}
