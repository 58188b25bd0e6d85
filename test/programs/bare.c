/*
 * bare: a 32-bit program that needs no library at all: cc -m32 -static -nostdlib -ffreestanding. It
 * connects to port 7000 of this host, sends there and listens, all by socketcall(2), then connects and
 * listens by the calls of those names; says "end", and waits for the end of standard input. The wire
 * and ss tell the ports.
 */
#include <linux/net.h>
#include <stdint.h>

enum { EXIT = 1, READ = 3, WRITE = 4, SOCKETCALL = 102, SOCKET = 359, CONNECT = 362, LISTEN = 363 };
enum { AF_INET = 2, STREAM = 1, DGRAM = 2 };

/* port and address are big-endian */
static const uint32_t peer[4] = { AF_INET | 0x581bU << 16, 0x0100007f };

static long invoke(long nr, long a, long b, long c)
{
	long result;

	__asm__ volatile("int $0x80" : "=a"(result) : "a"(nr), "b"(a), "c"(b), "d"(c) : "memory");
	return result;
}

static long socketcall(long call, long a, long b, long c, long d, long e, long f)
{
	const long arguments[] = { a, b, c, d, e, f };

	return invoke(SOCKETCALL, call, (long)arguments, 0);
}

static long by_socketcall(void)
{
	long tcp = socketcall(SYS_SOCKET, AF_INET, STREAM, 0, 0, 0, 0);
	long udp = socketcall(SYS_SOCKET, AF_INET, DGRAM, 0, 0, 0, 0);
	long server = socketcall(SYS_SOCKET, AF_INET, STREAM, 0, 0, 0, 0);

	return socketcall(SYS_CONNECT, tcp, (long)peer, sizeof(peer), 0, 0, 0) ||
	       socketcall(SYS_SENDTO, udp, (long)"x", 1, 0, (long)peer, sizeof(peer)) != 1 ||
	       socketcall(SYS_LISTEN, server, 5, 0, 0, 0, 0);
}

static long by_name(void)
{
	long tcp = invoke(SOCKET, AF_INET, STREAM, 0);

	return invoke(CONNECT, tcp, (long)peer, sizeof(peer)) ||
	       invoke(LISTEN, invoke(SOCKET, AF_INET, STREAM, 0), 5, 0);
}

__attribute__((noreturn)) void _start(void);

void _start(void)
{
	long failed = by_socketcall() || by_name();
	char byte;

	invoke(WRITE, 1, (long)"end\n", 4);
	while (invoke(READ, 0, (long)&byte, 1) > 0)
		;
	for (;;)
		invoke(EXIT, failed, 0, 0);
}
