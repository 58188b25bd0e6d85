/*
 * injector.so: answers one of libportfence.so's own system calls with an error. It is preloaded
 * behind the library.
 *
 * The program makes many of the same calls, and only the library's are to be hit. All of them go
 * through libc functions that the dynamic linker looks up, and finds here first; and the address
 * that a function returns to says whether the library has called it: it lies in the library's
 * mapping. (What a hook hands on with a jump returns to the program, and is the program's call.)
 * That nothing slips past is held by faults.bats: each function that the library takes from
 * elsewhere is one of these, or known to make no system call. A filter of the kernel's, or strace,
 * sees libc's address only, and costs a stop or two for each call.
 *
 *   FAULTS_TRACE  file; a line for each call of the library's: its key
 *   FAULTS_KEY    the call to be answered
 *   FAULTS_AT     which of them, from 1
 *   FAULTS_MORE   1: and all that follow
 *   FAULTS_ERROR  the error, or one of faults.h
 */
#include "faults.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <link.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <sys/xattr.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))
#define CALLER ((uintptr_t)__builtin_return_address(0))

/* The function that would have been called without us */
#define NEXT(name)                                                                                 \
	({                                                                                         \
		static __typeof__(&name) next_function;                                            \
                                                                                                   \
		if (!next_function)                                                                \
			next_function = (__typeof__(&name))dlsym(RTLD_NEXT, #name);                \
		next_function;                                                                     \
	})

static struct {
	uintptr_t from, to; /* the library's mapping */
	const char *key, *trace;
	int at, more, error, seen;
} plan;

static int find_library(struct dl_phdr_info *info, size_t size, void *context)
{
	const char *name = strrchr(info->dlpi_name, '/');
	int i;

	(void)size;
	(void)context;
	if (!name || strcmp(name, "/libportfence.so") != 0)
		return 0;
	plan.from = info->dlpi_addr;
	for (i = 0; i < info->dlpi_phnum; i++)
		if (info->dlpi_phdr[i].p_type == PT_LOAD)
			plan.to = info->dlpi_addr + info->dlpi_phdr[i].p_vaddr +
				  info->dlpi_phdr[i].p_memsz;
	return 1;
}

static int number(const char *name)
{
	const char *text = getenv(name);

	return text ? (int)strtol(text, NULL, 10) : 0;
}

/* The program may take the variables away later. */
static const char *copy(const char *name)
{
	const char *text = getenv(name);

	return text ? strdup(text) : NULL;
}

static void start(void)
{
	dl_iterate_phdr(find_library, NULL);
	plan.key = copy("FAULTS_KEY");
	plan.trace = copy("FAULTS_TRACE");
	plan.at = number("FAULTS_AT");
	plan.more = number("FAULTS_MORE");
	plan.error = number("FAULTS_ERROR");
}

static void write_trace(const char *key)
{
	char line[128];
	int len = snprintf(line, sizeof(line), "%s\n", key);
	long fd = NEXT(syscall)(SYS_openat, AT_FDCWD, plan.trace, O_WRONLY | O_APPEND, 0);

	NEXT(syscall)(SYS_write, fd, line, len);
	NEXT(syscall)(SYS_close, fd);
}

/* Return: 0, or what the call is to be answered with */
static int fault(uintptr_t caller, const char *name, const char *detail)
{
	int saved = errno, answer = 0;
	char key[96];

	if (!plan.to)
		start();
	if (caller >= plan.from && caller < plan.to) {
		snprintf(key, sizeof(key), detail ? "%s:%s" : "%s", name, detail);
		if (plan.trace)
			write_trace(key);
		if (plan.key && !strcmp(key, plan.key) &&
		    (++plan.seen == plan.at || (plan.more && plan.seen > plan.at)))
			answer = plan.error;
	}
	errno = saved;
	return answer;
}

#define FAIL(with)                                                                                 \
	do {                                                                                       \
		errno = with;                                                                      \
		return -1;                                                                         \
	} while (0)

/* Answers with an error, and else goes on */
#define MAY_FAIL(name, detail)                                                                     \
	do {                                                                                       \
		int may_fail = fault(CALLER, name, detail);                                        \
                                                                                                   \
		if (may_fail)                                                                      \
			FAIL(may_fail);                                                            \
	} while (0)

static const char *option_name(int level, int option)
{
	if (level == SOL_SOCKET)
		switch (option) {
		case SO_TYPE:
			return "SO_TYPE";
		case SO_PROTOCOL:
			return "SO_PROTOCOL";
		case SO_DOMAIN:
			return "SO_DOMAIN";
		case SO_REUSEADDR:
			return "SO_REUSEADDR";
		case SO_REUSEPORT:
			return "SO_REUSEPORT";
		case SO_BINDTODEVICE:
			return "SO_BINDTODEVICE";
		case 62:
			return "SO_BINDTOIFINDEX";
		case 71:
			return "SO_NETNS_COOKIE";
		default:
			return "SOL_SOCKET";
		}
	if (level == IPPROTO_TCP)
		return option == TCP_INFO ? "TCP_INFO" : "IPPROTO_TCP";
	if (level == IPPROTO_IP)
		return option == IP_BIND_ADDRESS_NO_PORT ? "IP_BIND_ADDRESS_NO_PORT"
		       : option == 51                    ? "IP_LOCAL_PORT_RANGE"
							 : "IPPROTO_IP";
	return "other";
}

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

/* ---- sockets ---- */

EXPORT int getsockopt(int fd, int level, int option, void *value, socklen_t *len)
{
	MAY_FAIL("getsockopt", option_name(level, option));
	return NEXT(getsockopt)(fd, level, option, value, len);
}

EXPORT int setsockopt(int fd, int level, int option, const void *value, socklen_t len)
{
	char detail[64];

	/* to clear and to restore are different things */
	snprintf(detail, sizeof(detail), "%s%s", option_name(level, option),
		 level == SOL_SOCKET && len == sizeof(int) ? *(const int *)value ? "=1" : "=0"
							   : "");
	MAY_FAIL("setsockopt", detail);
	return NEXT(setsockopt)(fd, level, option, value, len);
}

EXPORT int getsockname(int fd, struct sockaddr *addr, socklen_t *len)
{
	MAY_FAIL("getsockname", NULL);
	return NEXT(getsockname)(fd, addr, len);
}

EXPORT int getpeername(int fd, struct sockaddr *addr, socklen_t *len)
{
	MAY_FAIL("getpeername", NULL);
	return NEXT(getpeername)(fd, addr, len);
}

EXPORT int bind(int fd, const struct sockaddr *addr, socklen_t len)
{
	MAY_FAIL("bind", NULL);
	return NEXT(bind)(fd, addr, len);
}

EXPORT int connect(int fd, const struct sockaddr *addr, socklen_t len)
{
	MAY_FAIL("connect", addr && addr->sa_family == AF_UNSPEC ? "AF_UNSPEC" : NULL);
	return NEXT(connect)(fd, addr, len);
}

EXPORT int listen(int fd, int backlog)
{
	MAY_FAIL("listen", NULL);
	return NEXT(listen)(fd, backlog);
}

EXPORT ssize_t send(int fd, const void *data, size_t size, int flags)
{
	MAY_FAIL("send", NULL);
	return NEXT(send)(fd, data, size, flags);
}

EXPORT ssize_t sendto(int fd, const void *data, size_t size, int flags, const struct sockaddr *addr,
		      socklen_t len)
{
	MAY_FAIL("sendto", NULL);
	return NEXT(sendto)(fd, data, size, flags, addr, len);
}

EXPORT ssize_t sendmsg(int fd, const struct msghdr *message, int flags)
{
	MAY_FAIL("sendmsg", NULL);
	return NEXT(sendmsg)(fd, message, flags);
}

EXPORT int sendmmsg(int fd, struct mmsghdr *messages, unsigned count, int flags)
{
	MAY_FAIL("sendmmsg", NULL);
	return NEXT(sendmmsg)(fd, messages, count, flags);
}

/* ---- files and folders ---- */

EXPORT int access(const char *path, int mode)
{
	MAY_FAIL("access", NULL);
	return NEXT(access)(path, mode);
}

EXPORT int open(const char *path, int flags, ...)
{
	const char *dot = strrchr(path, '.');

	/* "portfence.ini.d" is part of a configuration */
	MAY_FAIL("open", flags & O_DIRECTORY && (!dot || strcmp(dot, ".d") != 0) ? "folder"
										 : "configuration");
	return NEXT(open)(path, flags);
}

EXPORT int openat(int folder, const char *path, int flags, ...)
{
	va_list list;
	mode_t mode;

	va_start(list, flags);
	mode = va_arg(list, mode_t);
	va_end(list);
	MAY_FAIL("openat", flags & O_CREAT ? "draft" : "state");
	return NEXT(openat)(folder, path, flags, mode);
}

EXPORT int mkdir(const char *path, mode_t mode)
{
	MAY_FAIL("mkdir", NULL);
	return NEXT(mkdir)(path, mode);
}

EXPORT int mkdirat(int folder, const char *path, mode_t mode)
{
	MAY_FAIL("mkdir", NULL);
	return NEXT(mkdirat)(folder, path, mode);
}

EXPORT int linkat(int from_folder, const char *from, int to_folder, const char *to, int flags)
{
	MAY_FAIL("linkat", NULL);
	return NEXT(linkat)(from_folder, from, to_folder, to, flags);
}

EXPORT int unlinkat(int folder, const char *path, int flags)
{
	MAY_FAIL("unlinkat", NULL);
	return NEXT(unlinkat)(folder, path, flags);
}

EXPORT off_t lseek(int fd, off_t at, int from)
{
	MAY_FAIL("lseek", NULL);
	return NEXT(lseek)(fd, at, from);
}

EXPORT int ftruncate(int fd, off_t size)
{
	MAY_FAIL("ftruncate", NULL);
	return NEXT(ftruncate)(fd, size);
}

EXPORT ssize_t readlink(const char *path, char *text, size_t size)
{
	MAY_FAIL("readlink", NULL);
	return NEXT(readlink)(path, text, size);
}

EXPORT ssize_t readlinkat(int folder, const char *path, char *text, size_t size)
{
	MAY_FAIL("readlink", NULL);
	return NEXT(readlinkat)(folder, path, text, size);
}

EXPORT int fstatfs(int fd, struct statfs *ret_system)
{
	MAY_FAIL("fstatfs", NULL);
	return NEXT(fstatfs)(fd, ret_system);
}

EXPORT ssize_t getxattr(const char *path, const char *name, void *value, size_t size)
{
	MAY_FAIL("getxattr", NULL);
	return NEXT(getxattr)(path, name, value, size);
}

EXPORT int statvfs(const char *path, struct statvfs *ret_system)
{
	MAY_FAIL("statvfs", NULL);
	return NEXT(statvfs)(path, ret_system);
}

EXPORT char *getcwd(char *path, size_t size)
{
	int with = fault(CALLER, "getcwd", NULL);

	errno = with ? with : errno;
	return with ? NULL : NEXT(getcwd)(path, size);
}

static ssize_t short_of(int with, ssize_t n)
{
	return with == FAULT_SHORT && n > 1 ? n / 2 : n;
}

EXPORT ssize_t read(int fd, void *data, size_t size)
{
	int with = fault(CALLER, "read", "configuration");

	if (with > 0)
		FAIL(with);
	return with == FAULT_ZERO ? 0 : NEXT(read)(fd, data, (size_t)short_of(with, (ssize_t)size));
}

/* ---- memory, signals, and the rest ---- */

EXPORT void *mmap(void *at, size_t size, int protection, int flags, int fd, off_t offset)
{
	int with = fault(CALLER, "mmap", fd >= 0 ? "file" : "anonymous");

	errno = with ? with : errno;
	return with ? MAP_FAILED : NEXT(mmap)(at, size, protection, flags, fd, offset);
}

EXPORT void *mremap(void *at, size_t size, size_t new_size, int flags, ...)
{
	int with = fault(CALLER, "mremap", NULL);
	va_list more;
	void *to;

	va_start(more, flags);
	to = va_arg(more, void *);
	va_end(more);
	errno = with ? with : errno;
	return with ? MAP_FAILED : NEXT(mremap)(at, size, new_size, flags, to);
}

EXPORT int munmap(void *at, size_t size)
{
	MAY_FAIL("munmap", NULL);
	return NEXT(munmap)(at, size);
}

EXPORT int madvise(void *at, size_t size, int advice)
{
	MAY_FAIL("madvise", NULL);
	return NEXT(madvise)(at, size, advice);
}

EXPORT void *sbrk(intptr_t by)
{
	int with = fault(CALLER, "sbrk", NULL);

	errno = with ? with : errno;
	return with ? (void *)-1 : NEXT(sbrk)(by);
}

EXPORT void *malloc(size_t size)
{
	int with = fault(CALLER, "malloc", NULL);

	errno = with ? with : errno;
	return with ? NULL : NEXT(malloc)(size);
}

EXPORT int asprintf(char **text, const char *format, ...)
{
	va_list list;
	int n;

	MAY_FAIL("asprintf", NULL);
	va_start(list, format);
	n = vasprintf(text, format, list);
	va_end(list);
	return n;
}

EXPORT int putenv(char *text)
{
	MAY_FAIL("putenv", NULL);
	return NEXT(putenv)(text);
}

EXPORT int unsetenv(const char *name)
{
	MAY_FAIL("unsetenv", NULL);
	return NEXT(unsetenv)(name);
}

EXPORT int sigpending(sigset_t *set)
{
	MAY_FAIL("sigpending", NULL);
	return NEXT(sigpending)(set);
}

EXPORT int sigprocmask(int how, const sigset_t *set, sigset_t *before)
{
	MAY_FAIL("sigprocmask", how == SIG_BLOCK ? "block" : "restore");
	return NEXT(sigprocmask)(how, set, before);
}

EXPORT int sched_yield(void)
{
	MAY_FAIL("sched_yield", NULL);
	return NEXT(sched_yield)();
}

static const char *call_name(long call, const long a[6], const char **ret_detail)
{
	*ret_detail = NULL;
	switch (call) {
	case SYS_openat:
		*ret_detail = a[2] & O_CREAT ? "log" : base_name((const char *)a[1]);
		return "openat";
	case SYS_socket:
		*ret_detail = a[0] == AF_INET   ? "AF_INET"
			      : a[0] == AF_UNIX ? "AF_UNIX"
			      : a[2] == 0       ? "NETLINK_ROUTE"
						: "NETLINK_SOCK_DIAG";
		return "socket";
	case SYS_fcntl:
		return "fcntl";
	case SYS_flock:
		return "flock";
	case SYS_nanosleep:
		return "nanosleep";
	case SYS_close:
		return "close";
	case SYS_read:
		return "read";
	case SYS_write:
		return "write";
	case SYS_pwritev2:
		return "pwritev2";
	case SYS_ppoll:
		return "ppoll";
	case SYS_rt_sigtimedwait:
		return "rt_sigtimedwait";
	case SYS_rt_sigprocmask:
		*ret_detail = a[0] == SIG_SETMASK ? "restore" : NULL;
		return "rt_sigprocmask";
	case SYS_sendto:
		*ret_detail = "netlink";
		return "sendto";
	case SYS_recvfrom:
		*ret_detail = "netlink";
		return "recvfrom";
	case SYS_sendmsg:
		*ret_detail = "syslog";
		return "sendmsg";
	case SYS_fstat:
		*ret_detail = a[0] == STDERR_FILENO ? "stderr" : NULL;
		return "fstat";
	case SYS_newfstatat:
		return a[3] & AT_SYMLINK_NOFOLLOW ? "lstat" : "stat";
	case SYS_getrandom:
		return "getrandom";
	case SYS_capget:
		return "capget";
	case SYS_getpid:
		return "getpid";
	case SYS_shutdown:
		return "shutdown";
	default:
		return "unknown";
	}
}

/* What the kernel has received, made worse */
static long spoil(int with, long n, unsigned char *data)
{
	/* length, type and flags of a struct nlmsghdr */
	uint32_t *length = (uint32_t *)data;
	uint16_t *flags = (uint16_t *)(data + 6);
	long i;

	if (n < 16)
		return n;
	if (with == FAULT_GARBAGE)
		for (i = 0; i < n; i++)
			data[i] = (unsigned char)(i * 167 + 41);
	else if (with == FAULT_LENGTH)
		*length = 0;
	else if (with == FAULT_LONG)
		*length = UINT32_MAX - 3;
	else if (with == FAULT_INTERRUPTED)
		*flags |= 0x10; /* NLM_F_DUMP_INTR */
	return n;
}

EXPORT long syscall(long call, ...)
{
	long a[6], n;
	const char *name, *detail;
	va_list list;
	int i, with;

	va_start(list, call);
	for (i = 0; i < 6; i++)
		a[i] = va_arg(list, long);
	va_end(list);
	name = call_name(call, a, &detail);
	with = fault(CALLER, name, detail);
	/* whatever close() says, Linux has closed the descriptor (close(2)) */
	if (with > 0 && call == SYS_close)
		NEXT(syscall)(call, a[0]);
	if (with > 0)
		FAIL(with);
	if (with == FAULT_ZERO)
		return 0;
	if (with == FAULT_SHORT && (call == SYS_read || call == SYS_write))
		a[2] = a[2] > 1 ? a[2] / 2 : a[2];
	n = NEXT(syscall)(call, a[0], a[1], a[2], a[3], a[4], a[5]);
	if (call == SYS_getrandom)
		n = short_of(with, n);
	if (with < 0 && n > 0 && call == SYS_recvfrom)
		n = with == FAULT_SHORT ? n / 2 : spoil(with, n, (unsigned char *)a[1]);
	return n;
}
