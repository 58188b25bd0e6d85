#include "newsocket.h"

#include "../core/assign.h"
#include "../core/engine_kernel.h"
#include "../core/timing.h"
#include "../machine/procfs.h"
#include "rights.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

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
	return taken && !engine_kernel_judge(range, NULL);
}

bool newsocket_mptcp_keeps(const struct rule *rule)
{
	return serves(rule->range[PROTO_TCP], SOCK_STREAM, IPPROTO_MPTCP);
}

bool newsocket_suits(const struct rule *rule)
{
	return rule->bind == BIND_ALLOW && !rule->map && !rule->seeded &&
	       rule->exhausted == EXHAUSTED_FAIL && assign_wants_kernel(rule, true, NULL) &&
	       serves(rule->range[PROTO_TCP], SOCK_STREAM, IPPROTO_TCP) &&
	       newsocket_mptcp_keeps(rule) &&
	       serves(rule->range[PROTO_UDP], SOCK_DGRAM, IPPROTO_UDP) &&
	       serves(rule->range[PROTO_UDP], SOCK_DGRAM, IPPROTO_UDPLITE) &&
	       serves(rule->range[PROTO_SCTP], SOCK_STREAM, IPPROTO_SCTP);
}

/* Return: what keeps us from making a socket for whoever is there, or NULL */
static const char *difference(const struct caller_place *here, const struct caller_place *there)
{
	if (!*there->netns)
		return "the supervisor may not look into this process (see ptrace(2) on access)";
	if (strcmp(here->netns, there->netns) != 0)
		return "this process is in another network namespace than the supervisor";
	if (strcmp(here->cgroup, there->cgroup) != 0)
		return "this process is in another control group than the supervisor";
	if (strcmp(here->label, there->label) != 0)
		return "this process has another security label than the supervisor";
	return NULL;
}

/* Where we are ourselves is read anew once it is a second old, and before it is the reason of a refusal. */
static const char *compare_with_own(const struct caller_place *there)
{
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	static struct caller_place here;
	static time_t seen;
	struct timespec now;
	const char *why;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
	pthread_mutex_lock(&lock);
	why = now.tv_sec == seen ? difference(&here, there) : "";
	if (why) {
		caller_own_place(&here);
		seen = now.tv_sec;
		why = difference(&here, there);
	}
	pthread_mutex_unlock(&lock);
	return why;
}

int newsocket_compare_places(const struct caller *caller, const char **ret_why)
{
	struct caller_place there;
	int rc;

	rights_look(caller);
	rc = caller_place(caller, &there);
	rights_look_away();
	if (rc) {
		*ret_why = "it cannot be told where this process is";
		return rc == -ESRCH ? rc : -EACCES;
	}
	*ret_why = compare_with_own(&there);
	return *ret_why ? -EACCES : 0;
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

static int make_as(uid_t uid, gid_t gid, int domain, int type, int protocol)
{
	int fd, error;

	if (uid == geteuid() && gid == getegid()) {
		fd = socket(domain, type | SOCK_CLOEXEC, protocol);
		return fd < 0 ? -errno : fd;
	}
	if (rights_become(uid, gid)) {
		fd = socket(domain, type | SOCK_CLOEXEC, protocol);
		error = errno;
	} else {
		fd = -1;
		error = EPERM;
	}
	rights_return();
	return fd < 0 ? -error : fd;
}

bool newsocket_keeps(const struct rule *rule, enum proto proto)
{
	static _Atomic time_t judged[PROTO_COUNT];
	const time_t now = (time_t)(timing_ns(CLOCK_MONOTONIC_COARSE) / TIMING_SECOND_NS);

	if (now != judged[proto] && !engine_kernel_judge(rule->range[proto], NULL))
		judged[proto] = now;
	return now == judged[proto];
}

/* Return: as newsocket_make() */
static int make_plain(const struct caller *caller, int domain, int type, int protocol,
		      const char **ret_why)
{
	uid_t uid;
	gid_t gid;
	int fd, rc = newsocket_compare_places(caller, ret_why);

	if (rc)
		return rc;
	*ret_why = "this process's user cannot be taken on";
	rc = caller_user(caller, &uid, &gid);
	if (rc)
		return rc == -ESRCH ? rc : -EACCES;
	fd = make_as(uid, gid, domain, type, protocol);
	return fd == -EPERM ? -EACCES : fd;
}

int newsocket_make_tcp(const struct caller *caller, int domain, int type, const char **ret_why)
{
	return make_plain(caller, domain, type, IPPROTO_TCP, ret_why);
}

/* Return: the descriptor, or -EACCES, and it is closed */
static int set_range(int fd, const struct range *range, const char **ret_why)
{
	const uint32_t value = engine_kernel_value(range);

	if (!setsockopt(fd, IPPROTO_IP, IP_LOCAL_PORT_RANGE, &value, sizeof(value)))
		return fd;
	*ret_why = "the kernel has no IP_LOCAL_PORT_RANGE for this protocol";
	close(fd);
	return -EACCES;
}

int newsocket_make(const struct rule *rule, const struct caller *caller, int domain, int type,
		   int protocol, bool ranged, const char **ret_why)
{
	const enum proto proto =
		find_proto(domain, type & ~(SOCK_NONBLOCK | SOCK_CLOEXEC), protocol);
	int fd;

	if (proto == PROTO_COUNT)
		return -EPROTOTYPE;
	*ret_why = "the system's ephemeral range or its reserved ports were changed";
	if (ranged && !newsocket_keeps(rule, proto))
		return -EACCES;
	fd = make_plain(caller, domain, type, protocol, ret_why);
	return fd < 0 || !ranged ? fd : set_range(fd, rule->range[proto], ret_why);
}

/* Return: a socket's part of the fence, PROTO_COUNT for none of ours */
static enum proto proto_of(int fd)
{
	int domain, type, protocol;
	socklen_t len = sizeof(int);

	if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &len) ||
	    getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) ||
	    getsockopt(fd, SOL_SOCKET, SO_PROTOCOL, &protocol, &len))
		return PROTO_COUNT;
	return find_proto(domain, type, protocol);
}

int newsocket_inherited(int (*found)(int fd, enum proto proto, void *context), void *context)
{
	int fd = procfs_open(PROCFS_SELF, "fd", O_RDONLY | O_DIRECTORY);
	DIR *folder = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *item;
	int rc = fd < 0 ? fd : folder ? 0 : -errno;
	enum proto proto;

	if (fd >= 0 && !folder)
		close(fd);
	/* "." and ".." are 0 here, which stands there as itself, too */
	while (folder && !rc && (item = readdir(folder))) {
		proto = proto_of(atoi(item->d_name));
		if (proto != PROTO_COUNT)
			rc = found(atoi(item->d_name), proto, context);
	}
	if (folder)
		closedir(folder);
	return rc;
}

static int fence_inherited(int fd, enum proto proto, void *context)
{
	const struct rule *rule = context;
	const uint32_t value = engine_kernel_value(rule->range[proto]);

	return setsockopt(fd, IPPROTO_IP, IP_LOCAL_PORT_RANGE, &value, sizeof(value)) ? -errno : 0;
}

int newsocket_fence_inherited(const struct rule *rule)
{
	return newsocket_inherited(fence_inherited, (void *)rule);
}
