#include "newsocket.h"

#include "../core/assign.h"
#include "../core/engine_kernel.h"
#include "../core/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#ifndef IPPROTO_MPTCP
#define IPPROTO_MPTCP 262
#endif

/*
 * Theory of operation
 *
 * A socket is of the network namespace, the control group, the user and the
 * security label of the thread that makes it. We are of the program's own, as we
 * were started by it, but it may have moved on since. The user can be taken on
 * for a moment; for the others there is no way that needs no privilege, and then
 * no socket is made: a socket that is not fenced would be worse.
 *
 * What decides whether the kernel keeps to the range may change at any time. It
 * is looked at again once it is a second old; sockets made before keep their
 * range, and the kernel may not keep to it any more.
 */

static bool serves(const struct range *range, int type, int protocol)
{
	uint32_t value = engine_kernel_value(range);
	int fd = socket(AF_INET, type | SOCK_CLOEXEC, protocol);
	bool taken;

	/* where there is no such protocol, no socket will be made */
	if (fd < 0)
		return true;
	taken = !setsockopt(fd, IPPROTO_IP, IP_LOCAL_PORT_RANGE, &value, sizeof(value));
	close(fd);
	return taken && !engine_kernel_judge(range, NULL, 0);
}

bool newsocket_suits(const struct rule *rule)
{
	return rule->bind == BIND_ALLOW && !rule->map && !rule->seeded &&
	       rule->exhausted == EXHAUSTED_FAIL && assign_wants_kernel(rule, true, NULL, 0) &&
	       serves(rule->range[PROTO_TCP], SOCK_STREAM, IPPROTO_TCP) &&
	       serves(rule->range[PROTO_TCP], SOCK_STREAM, IPPROTO_MPTCP) &&
	       serves(rule->range[PROTO_UDP], SOCK_DGRAM, IPPROTO_UDP) &&
	       serves(rule->range[PROTO_UDP], SOCK_DGRAM, IPPROTO_UDPLITE) &&
	       serves(rule->range[PROTO_SCTP], SOCK_STREAM, IPPROTO_SCTP);
}

void newsocket_look(pid_t thread, struct newsocket_place *ret_place)
{
	char path[64];
	ssize_t n;

	memset(ret_place, 0, sizeof(*ret_place));
	snprintf(path, sizeof(path), "/proc/%d/ns/net", (int)thread);
	n = readlink(path, ret_place->netns, sizeof(ret_place->netns) - 1);
	ret_place->netns[n > 0 ? n : 0] = '\0';
	snprintf(path, sizeof(path), "/proc/%d/cgroup", (int)thread);
	fd_read_file(path, ret_place->cgroup, sizeof(ret_place->cgroup));
	snprintf(path, sizeof(path), "/proc/%d/attr/current", (int)thread);
	fd_read_file(path, ret_place->label, sizeof(ret_place->label));
}

static const char *difference(const struct newsocket_place *here,
			      const struct newsocket_place *there)
{
	if (!*there->netns || strcmp(here->netns, there->netns) != 0)
		return "this process is in another network namespace than the supervisor";
	if (strcmp(here->cgroup, there->cgroup) != 0)
		return "this process is in another control group than the supervisor";
	if (strcmp(here->label, there->label) != 0)
		return "this process has another security label than the supervisor";
	return NULL;
}

/*
 * Of socketcall(2), all kinds come here: raw sockets, too, which are not for
 * everybody, and the right to one is ours, but perhaps not the program's any more.
 *
 * Return: the protocol's part of the fence, PROTO_COUNT for none of ours
 */
static enum proto find_proto(int domain, int type, int protocol)
{
	if (domain != AF_INET && domain != AF_INET6)
		return PROTO_COUNT;
	/* 0 is the type's first protocol (net/ipv4/af_inet.c, inet_create) */
	if (type == SOCK_STREAM)
		protocol = protocol ? protocol : IPPROTO_TCP;
	else if (type == SOCK_DGRAM)
		protocol = protocol ? protocol : IPPROTO_UDP;
	else if (type == SOCK_SEQPACKET)
		protocol = protocol ? protocol : IPPROTO_SCTP;
	else
		return PROTO_COUNT;
	return policy_proto(protocol);
}

/* The file system's user of a thread (proc_pid_status(5)). Return: false if it cannot be told */
static bool find_user(pid_t thread, uid_t *ret_uid, gid_t *ret_gid)
{
	char path[64], text[2048];
	unsigned uid, gid;
	const char *line;

	snprintf(path, sizeof(path), "/proc/%d/status", (int)thread);
	if (fd_read_file(path, text, sizeof(text)) <= 0)
		return false;
	line = strstr(text, "\nUid:");
	if (!line || sscanf(line, "\nUid: %*u %*u %*u %u", &uid) != 1)
		return false;
	line = strstr(text, "\nGid:");
	if (!line || sscanf(line, "\nGid: %*u %*u %*u %u", &gid) != 1)
		return false;
	*ret_uid = uid;
	*ret_gid = gid;
	return true;
}

static int make_as(uid_t uid, gid_t gid, int domain, int type, int protocol)
{
	int fd, error;

	if (uid == geteuid() && gid == getegid()) {
		fd = socket(domain, type | SOCK_CLOEXEC, protocol);
		return fd < 0 ? -errno : fd;
	}
	/* of this thread alone; each says who it was before, not whether it went well */
	setfsgid(gid);
	setfsuid(uid);
	if ((uid_t)setfsuid((uid_t)-1) != uid || (gid_t)setfsgid((gid_t)-1) != gid) {
		fd = -1;
		error = EPERM;
	} else {
		fd = socket(domain, type | SOCK_CLOEXEC, protocol);
		error = errno;
	}
	setfsuid(geteuid());
	setfsgid(getegid());
	return fd < 0 ? -error : fd;
}

bool newsocket_keeps(const struct rule *rule, enum proto proto)
{
	static time_t judged[PROTO_COUNT];
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
	if (now.tv_sec != judged[proto] && !engine_kernel_judge(rule->range[proto], NULL, 0))
		judged[proto] = now.tv_sec;
	return now.tv_sec == judged[proto];
}

int newsocket_make(const struct rule *rule, struct newsocket_place *here, pid_t thread, int domain,
		   int type, int protocol, const char **ret_why)
{
	const enum proto proto =
		find_proto(domain, type & ~(SOCK_NONBLOCK | SOCK_CLOEXEC), protocol);
	struct newsocket_place there;
	uint32_t value;
	uid_t uid;
	gid_t gid;
	int fd;

	if (proto == PROTO_COUNT)
		return -EPROTOTYPE;
	newsocket_look(thread, &there);
	*ret_why = difference(here, &there);
	/* we may have been moved together */
	if (*ret_why) {
		newsocket_look(getpid(), here);
		*ret_why = difference(here, &there);
	}
	if (*ret_why)
		return -EACCES;
	*ret_why = "the system's ephemeral range or its reserved ports were changed";
	if (!newsocket_keeps(rule, proto))
		return -EACCES;
	*ret_why = "this process's user cannot be taken on";
	if (!find_user(thread, &uid, &gid))
		return -EACCES;
	fd = make_as(uid, gid, domain, type, protocol);
	if (fd == -EPERM)
		return -EACCES;
	if (fd < 0)
		return fd;
	value = engine_kernel_value(rule->range[proto]);
	*ret_why = "the kernel has no IP_LOCAL_PORT_RANGE for this protocol";
	if (!setsockopt(fd, IPPROTO_IP, IP_LOCAL_PORT_RANGE, &value, sizeof(value)))
		return fd;
	close(fd);
	return -EACCES;
}
