/*
 * machine: finds out by running it what this machine cannot do.
 *
 *   machine FEATURE   exits with 0 where the machine has it; else says what is wrong and exits with 1
 *   machine user      the effective user, as a number: a setuid program becomes its owner, or not
 *
 * FEATURE: 32bit (system calls of 32-bit x86), ipv6, landlock (rules for TCP ports), mptcp, sctp.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef IPPROTO_MPTCP
#define IPPROTO_MPTCP 262
#endif

#if defined(__x86_64__) || defined(__i386__)
static int number_32bit(void)
{
	enum { GETPID = 20 };
	int result;

	__asm__ volatile("int $0x80" : "=a"(result) : "a"(GETPID) : "memory");
	return result;
}

/* A kernel may be built for them, and what it runs on may still not have them. */
static int look_32bit(void)
{
	pid_t child = fork();
	int status;

	if (!child) {
		signal(SIGSEGV, SIG_DFL);
		_exit(number_32bit() != getpid());
	}
	if (child < 0 || waitpid(child, &status, 0) != child) {
		perror("fork");
		return 1;
	}
	if (WIFSIGNALED(status))
		printf("this machine runs no 32-bit system calls: int $0x80 ends with %s\n",
		       strsignal(WTERMSIG(status)));
	else if (WEXITSTATUS(status))
		puts("this kernel has no 32-bit system calls");
	return status != 0;
}
#else
static int look_32bit(void)
{
	puts("this processor has no 32-bit system calls of another architecture");
	return 1;
}
#endif

static int look_socket(const char *what, int protocol)
{
	int fd = socket(AF_INET, SOCK_STREAM, protocol);

	if (fd < 0)
		printf("this kernel has no %s: %s\n", what, strerror(errno));
	else
		close(fd);
	return fd < 0;
}

static int look_mptcp(void)
{
	return look_socket("MPTCP", IPPROTO_MPTCP);
}

static int look_sctp(void)
{
	return look_socket("SCTP", IPPROTO_SCTP);
}

static int look_ipv6(void)
{
	const struct sockaddr_in6 loopback = { .sin6_family = AF_INET6,
					       .sin6_addr = IN6ADDR_LOOPBACK_INIT };
	int fd = socket(AF_INET6, SOCK_DGRAM, 0);
	int failed = fd < 0 || bind(fd, (const struct sockaddr *)&loopback, sizeof(loopback));

	if (failed)
		printf("this machine has no IPv6: ::1: %s\n", strerror(errno));
	if (fd >= 0)
		close(fd);
	return failed;
}

static int look_landlock(void)
{
	enum { CREATE_RULESET = 444, GET_VERSION = 1, WITH_PORTS = 4 };
	long abi = syscall(CREATE_RULESET, NULL, 0, GET_VERSION);

	if (abi < 0)
		printf("this machine has no Landlock: %s\n", strerror(errno));
	else if (abi < WITH_PORTS)
		puts("this kernel's Landlock has no rules for ports");
	return abi < WITH_PORTS;
}

static int look_user(void)
{
	printf("%u\n", (unsigned int)geteuid());
	return 0;
}

int main(int argc, char *argv[])
{
	static const struct {
		const char *name;
		int (*look)(void);
	} features[] = { { "32bit", look_32bit },       { "ipv6", look_ipv6 },
			 { "landlock", look_landlock }, { "mptcp", look_mptcp },
			 { "sctp", look_sctp },         { "user", look_user } };
	size_t i;

	for (i = 0; argc == 2 && i < sizeof(features) / sizeof(features[0]); i++) {
		if (!strcmp(argv[1], features[i].name))
			return features[i].look();
	}
	fputs("usage: machine FEATURE\n", stderr);
	return 2;
}
