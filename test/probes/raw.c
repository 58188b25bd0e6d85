/*
 * raw: system calls that no library sees, each in a way that the machine has.
 *
 *   raw ABI PORT    a line for each call: "CALL LOCAL-PORT ERRNO"; destination is PORT of this host,
 *                   where TCP is listened to; then wait for the end of standard input, so that the
 *                   sockets can be looked at
 *   raw uring       what io_uring_setup says: "io_uring ERRNO"
 *   raw kinds       a line for each kind of socket made by 32-bit x86's socketcall: "KIND ERRNO"
 *
 * ABI:	native		the machine's own
 *	i386		those of 32-bit x86, from a 64-bit program (int $0x80)
 *	socketcall	likewise, all by the one of that name
 *	x32		those of x86-64 with 32-bit pointers: "socket ERRNO" is all that it says
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/net.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { SOCKET, BIND, CONNECT, LISTEN, SENDTO, SENDMSG, SENDMMSG, CALLS };

static const struct {
	const char *name;
	long native, i386, socketcall;
} calls[CALLS] = {
	[SOCKET] = { "socket", SYS_socket, 359, SYS_SOCKET },
	[BIND] = { "bind", SYS_bind, 361, SYS_BIND },
	[CONNECT] = { "connect", SYS_connect, 362, SYS_CONNECT },
	[LISTEN] = { "listen", SYS_listen, 363, SYS_LISTEN },
	[SENDTO] = { "sendto", SYS_sendto, 369, SYS_SENDTO },
	[SENDMSG] = { "sendmsg", SYS_sendmsg, 370, SYS_SENDMSG },
	[SENDMMSG] = { "sendmmsg", SYS_sendmmsg, 345, SYS_SENDMMSG },
};

/* What the calls point to: where 32-bit pointers reach it. */
struct caller_memory {
	struct sockaddr_in any, peer;
	char byte;
	uint32_t arguments[6];
	struct {
		uint32_t base, len;
	} narrow_data;
	struct {
		uint32_t name, namelen, iov, iovlen, control, controllen, flags, len;
	} narrow;
	struct iovec data;
	struct mmsghdr message;
};

static struct caller_memory *memory;
static const char *abi;

#if defined(__x86_64__)
static long invoke(long nr, long a, long b, long c, long d, long e, long f)
{
	register long r10 __asm__("r10") = d, r8 __asm__("r8") = e, r9 __asm__("r9") = f;
	long result;

	__asm__ volatile("syscall"
			 : "=a"(result)
			 : "a"(nr), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
			 : "rcx", "r11", "memory");
	return result;
}

static long invoke32(long nr, long a, long b, long c, long d, long e, long f)
{
	int result;

	/* the sixth argument is in ebp */
	__asm__ volatile("push %%rbp\n"
			 "mov %[f], %%ebp\n"
			 "int $0x80\n"
			 "pop %%rbp\n"
			 : "=a"(result)
			 : "a"((int)nr), "b"((int)a), "c"((int)b), "d"((int)c), "S"((int)d),
			   "D"((int)e), [f] "r"((int)f)
			 : "r8", "r9", "r10", "r11", "memory");
	return result;
}
#else
static long invoke(long nr, long a, long b, long c, long d, long e, long f)
{
	long result = syscall(nr, a, b, c, d, e, f);

	return result < 0 ? -errno : result;
}

static long invoke32(long nr, long a, long b, long c, long d, long e, long f)
{
	(void)nr, (void)a, (void)b, (void)c, (void)d, (void)e, (void)f;
	return -ENOSYS;
}
#endif

static long make(int call, long a, long b, long c, long d, long e, long f)
{
	const long arguments[6] = { a, b, c, d, e, f };
	int i;

	if (!strcmp(abi, "native"))
		return invoke(calls[call].native, a, b, c, d, e, f);
	if (!strcmp(abi, "i386"))
		return invoke32(calls[call].i386, a, b, c, d, e, f);
	for (i = 0; i < 6; i++)
		memory->arguments[i] = (uint32_t)arguments[i];
	return invoke32(102, calls[call].socketcall, (long)memory->arguments, 0, 0, 0, 0);
}

static int new_socket(int type)
{
	long fd = make(SOCKET, AF_INET, type, 0, 0, 0, 0);

	if (fd < 0) {
		printf("socket %s\n", strerrorname_np((int)-fd));
		exit(2);
	}
	return (int)fd;
}

static void report(const char *name, int fd, long result)
{
	struct sockaddr_in local;
	socklen_t len = sizeof(local);

	if (getsockname(fd, (struct sockaddr *)&local, &len))
		exit(2);
	printf("%s %d %s\n", name, ntohs(local.sin_port),
	       result < 0 ? strerrorname_np((int)-result) : "0");
}

static void prepare(int port)
{
	memory->any.sin_family = memory->peer.sin_family = AF_INET;
	memory->peer.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	memory->peer.sin_port = htons((in_port_t)port);
	memory->byte = 'x';
	memory->data.iov_base = &memory->byte;
	memory->data.iov_len = 1;
	memory->message.msg_hdr.msg_name = &memory->peer;
	memory->message.msg_hdr.msg_namelen = sizeof(memory->peer);
	memory->message.msg_hdr.msg_iov = &memory->data;
	memory->message.msg_hdr.msg_iovlen = 1;
	memory->narrow_data.base = (uint32_t)(uintptr_t)&memory->byte;
	memory->narrow_data.len = 1;
	memory->narrow.name = (uint32_t)(uintptr_t)&memory->peer;
	memory->narrow.namelen = sizeof(memory->peer);
	memory->narrow.iov = (uint32_t)(uintptr_t)&memory->narrow_data;
	memory->narrow.iovlen = 1;
}

static void make_all(void)
{
	long any = (long)&memory->any, peer = (long)&memory->peer, len = sizeof(memory->peer);
	long message = strcmp(abi, "native") ? (long)&memory->narrow : (long)&memory->message;
	int fd;

	fd = new_socket(SOCK_STREAM);
	report("bind", fd, make(BIND, fd, any, len, 0, 0, 0));
	fd = new_socket(SOCK_DGRAM);
	report("bind-udp", fd, make(BIND, fd, any, len, 0, 0, 0));
	fd = new_socket(SOCK_STREAM);
	report("connect", fd, make(CONNECT, fd, peer, len, 0, 0, 0));
	fd = new_socket(SOCK_DGRAM);
	report("connect-udp", fd, make(CONNECT, fd, peer, len, 0, 0, 0));
	fd = new_socket(SOCK_STREAM);
	report("listen", fd, make(LISTEN, fd, 5, 0, 0, 0, 0));
	fd = new_socket(SOCK_DGRAM);
	report("sendto", fd, make(SENDTO, fd, (long)&memory->byte, 1, 0, peer, len));
	fd = new_socket(SOCK_DGRAM);
	report("sendmsg", fd, make(SENDMSG, fd, message, 0, 0, 0, 0));
	fd = new_socket(SOCK_DGRAM);
	report("sendmmsg", fd, make(SENDMMSG, fd, message, 1, 0, 0, 0));
}

static void report_error(const char *name, long result)
{
	printf("%s %s\n", name, result < 0 ? strerrorname_np((int)-result) : "0");
}

static void make_kinds(void)
{
	static const struct {
		const char *name;
		int domain, type, protocol;
	} kinds[] = {
		{ "unix", AF_UNIX, SOCK_STREAM, 0 },       { "netlink", AF_NETLINK, SOCK_DGRAM, 0 },
		{ "raw", AF_INET, SOCK_RAW, IPPROTO_UDP }, { "packet", AF_INET, SOCK_PACKET, 0 },
		{ "tcp", AF_INET, SOCK_STREAM, 0 },
	};
	size_t i;

	abi = "socketcall";
	for (i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		report_error(kinds[i].name, make(SOCKET, kinds[i].domain, kinds[i].type,
						 kinds[i].protocol, 0, 0, 0));
}

int main(int argc, char *argv[])
{
	char byte;

	if (argc < 2 || argc > 3)
		return 2;
	if (!strcmp(argv[1], "uring")) {
		static char parameters[256];

		report_error("io_uring",
			     invoke(SYS_io_uring_setup, 4, (long)parameters, 0, 0, 0, 0));
		return 0;
	}
	abi = argv[1];
	if (!strcmp(abi, "x32")) {
		report_error("socket",
			     invoke(0x40000000 + SYS_socket, AF_INET, SOCK_STREAM, 0, 0, 0, 0));
		return 0;
	}
	memory = mmap((void *)0x10000000, sizeof(*memory), PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
	if (memory == MAP_FAILED) {
		perror("mmap");
		return 2;
	}
	if (!strcmp(argv[1], "kinds")) {
		make_kinds();
		return 0;
	}
	if (argc != 3)
		return 2;
	prepare(atoi(argv[2]));
	make_all();
	puts("end");
	fflush(stdout);
	while (read(0, &byte, 1) > 0)
		;
	return 0;
}
