/*
 * Fact: Landlock's rules for TCP ports hold bind() to those that a rule names, and nothing else:
 *
 *  - another port is EACCES, also where IP_BIND_ADDRESS_NO_PORT is set or the socket was made before;
 *  - port 0 is a port like any other, but listen() and connect() on an unbound socket are not asked;
 *  - UDP is not judged, nor are MPTCP and SCTP on kernels with "landlock: Fix non-TCP sockets
 *    restriction" (6.14, and older ones to which it was carried back);
 *  - an address of the other family is EINVAL before the socket says EAFNOSUPPORT;
 *  - a file moves to another folder, and a process outside can be signalled;
 *  - a process outside cannot be looked into, but can look in.
 *
 * Source: security/landlock/net.c, current_check_access_socket; security/landlock/task.c.
 *
 * So `portfence run` gives the kernel its range and port 0, its supervisor stands outside, and the
 * manual tells of the rest.
 */
#include "platform.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#define IN 20001
#define OUT 20002

enum { CREATE_RULESET = 444, ADD_RULE = 445, RESTRICT_SELF = 446, RULE_NET_PORT = 2, BIND_TCP = 1 };

static int try_bind_to(int fd, int family, int port)
{
	struct sockaddr_in in4 = { .sin_family = AF_INET, .sin_port = htons((in_port_t)port) };
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6, .sin6_port = htons((in_port_t)port) };
	int rc = family == AF_INET ? bind(fd, (struct sockaddr *)&in4, sizeof(in4))
				   : bind(fd, (struct sockaddr *)&in6, sizeof(in6));

	return rc ? -errno : 0;
}

static void expect_rc(int found, int expected, const char *what)
{
	check(found == expected, "%s: expected %d, found %d", what, expected, found);
}

static void expect_bind(int protocol, int family, int port, int expected, const char *what)
{
	int type = protocol == IPPROTO_UDP ? SOCK_DGRAM : SOCK_STREAM;
	int fd = socket(family, type, protocol);

	if (fd < 0)
		return;
	expect_rc(try_bind_to(fd, family, port), expected, what);
	close(fd);
}

static void restrict_self(const uint64_t *ports, size_t count)
{
	const uint64_t attr[2] = { 0, BIND_TCP };
	int rules = (int)syscall(CREATE_RULESET, attr, sizeof(attr), 0);
	size_t i;

	if (rules < 0)
		skip("no Landlock rules for ports: %s", strerror(errno));
	for (i = 0; i < count; i++) {
		const uint64_t rule[2] = { BIND_TCP, ports[i] };

		must((int)syscall(ADD_RULE, rules, RULE_NET_PORT, rule, 0), "landlock_add_rule");
	}
	must(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "prctl");
	must((int)syscall(RESTRICT_SELF, rules, 0), "landlock_restrict_self");
	close(rules);
}

/* Not by /proc/ID/environ, which CAP_PERFMON is enough for (kernel/fork.c, may_access_mm) */
static bool can_look(pid_t pid)
{
	char path[64], text[4096];

	snprintf(path, sizeof(path), "/proc/%d/exe", (int)pid);
	return readlink(path, text, sizeof(text)) >= 0;
}

static void look_at_files(void)
{
	char folder[] = "/tmp/landlock.XXXXXX";
	int fd;

	check(mkdtemp(folder) != NULL, "mkdtemp: %s", strerror(errno));
	must(chdir(folder), "chdir");
	must(mkdir("one", 0700), "mkdir");
	must(mkdir("two", 0700), "mkdir");
	fd = open("one/file", O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	must(fd, "open");
	close(fd);
	expect_rc(rename("one/file", "two/file") ? -errno : 0, 0, "rename to another folder");
	unlink("two/file");
	rmdir("one");
	rmdir("two");
	rmdir(folder);
}

static void look_without_zero(void)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	expect_bind(0, AF_INET, 0, -EACCES, "port 0 without a rule");
	expect_rc(listen(fd, 1) ? -errno : 0, 0, "listen on an unbound socket");
}

int main(void)
{
	static const uint64_t ports[] = { IN, 0 };
	int before = socket(AF_INET, SOCK_STREAM, 0), no_port = socket(AF_INET, SOCK_STREAM, 0),
	    one = 1;
	int v6 = socket(AF_INET6, SOCK_STREAM, 0), mptcp, status;
	pid_t child, outside = fork();

	if (!outside) {
		pause();
		_exit(0);
	}
	child = fork();
	if (child) {
		waitpid(child, &status, 0);
		kill(outside, SIGKILL);
		return WEXITSTATUS(status);
	}
	must(setsockopt(no_port, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof(one)),
	     "setsockopt");
	check(can_look(outside), "expected to look at a process before the rules");
	restrict_self(ports, 2);
	expect_bind(0, AF_INET, IN, 0, "a port that a rule names");
	expect_bind(0, AF_INET, 0, 0, "port 0");
	expect_bind(0, AF_INET, OUT, -EACCES, "another port");
	expect_bind(0, AF_INET6, OUT, -EACCES, "another port over IPv6");
	expect_rc(try_bind_to(before, AF_INET, OUT), -EACCES, "a socket that was made before");
	expect_rc(try_bind_to(no_port, AF_INET, OUT), -EACCES,
		  "a socket with IP_BIND_ADDRESS_NO_PORT");
	expect_rc(try_bind_to(no_port, AF_INET, 0), 0, "port 0 with IP_BIND_ADDRESS_NO_PORT");
	expect_bind(IPPROTO_UDP, AF_INET, OUT, 0, "UDP");
	if (v6 >= 0)
		expect_rc(try_bind_to(v6, AF_INET, IN), -EINVAL, "an address of the other family");
	mptcp = socket(AF_INET, SOCK_STREAM, IPPROTO_MPTCP);
	if (mptcp >= 0) {
		status = try_bind_to(mptcp, AF_INET, OUT);
		check(!status || status == -EACCES, "MPTCP: found %d", status);
	}
	look_at_files();
	expect_rc(kill(outside, 0) ? -errno : 0, 0, "a signal to a process outside");
	check(!can_look(outside), "expected that a process outside cannot be looked into");
	check(can_look(getpid()), "expected to look at a process inside");
	restrict_self(ports, 1);
	look_without_zero();
	return HOLDS;
}
