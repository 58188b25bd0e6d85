#include "newsocket.h"

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
 * we make none.
 */

bool newsocket_mptcp_keeps(const struct rule *rule)
{
	const uint32_t value = engine_kernel_value(rule->range[PROTO_TCP]);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, IPPROTO_MPTCP);
	bool taken;

	/* where there is no such protocol, no socket will be made */
	if (fd < 0)
		return true;
	taken = !setsockopt(fd, IPPROTO_IP, IP_LOCAL_PORT_RANGE, &value, sizeof(value));
	close(fd);
	return taken && !engine_kernel_judge(rule->range[PROTO_TCP], NULL);
}

static bool is_same(const struct caller_place *here, const struct caller_place *there)
{
	return (there->at_home || (*there->netns && !strcmp(here->netns, there->netns))) &&
	       !strcmp(here->cgroup, there->cgroup) && !strcmp(here->label, there->label);
}

/* Where we are ourselves is read anew once it is a second old, and before we make no socket for it. */
static bool is_own(const struct caller_place *there)
{
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	static struct caller_place here;
	static time_t seen;
	struct timespec now;
	bool same;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
	pthread_mutex_lock(&lock);
	same = now.tv_sec == seen && is_same(&here, there);
	if (!same) {
		caller_own_place(&here);
		seen = now.tv_sec;
		same = is_same(&here, there);
	}
	pthread_mutex_unlock(&lock);
	return same;
}

/* A caller's user; @is_own: it is this process's */
struct user {
	bool is_own;
	uid_t uid;
	gid_t gid;
};

/* To ask for the user is dear: a thread's status is a long text. Return: as newsocket_compare_places() */
static int compare(const struct caller *caller, struct user *ret_user)
{
	const char *home = rights_are_plain() ? caller_own_userns_link() : NULL;
	struct user user = { .is_own = false };
	struct caller_place there;
	int rc = home ? 0 : caller_user(caller, &user.uid, &user.gid);

	if (!rc) {
		rights_look_as(user.uid, user.gid);
		rc = caller_place(caller, home, &there);
		rights_look_away();
	}
	if (!rc) {
		user.is_own = there.at_home;
		rc = is_own(&there) ? 0 : -EACCES;
	}
	if (!rc && home && !user.is_own)
		rc = caller_user(caller, &user.uid, &user.gid);
	*ret_user = user;
	return rc && rc != -ESRCH ? -EACCES : rc;
}

int newsocket_compare_places(const struct caller *caller)
{
	struct user user;

	return compare(caller, &user);
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

static int make_as(const struct user *user, int domain, int type, int protocol)
{
	int fd, error;

	if (user->is_own || (user->uid == geteuid() && user->gid == getegid())) {
		fd = socket(domain, type | SOCK_CLOEXEC, protocol);
		return fd < 0 ? -errno : fd;
	}
	if (rights_become(user->uid, user->gid)) {
		fd = socket(domain, type | SOCK_CLOEXEC, protocol);
		error = errno;
	} else {
		fd = -1;
		error = EPERM;
	}
	rights_return();
	return fd < 0 ? -error : fd;
}

bool newsocket_keeps(const struct fence *fence, enum proto proto)
{
	const uint32_t now = (uint32_t)(timing_ns(CLOCK_MONOTONIC_COARSE) / TIMING_SECOND_NS);
	_Atomic uint32_t *at = &fence->kernel[proto].judged_at;

	if (now != *at && !engine_kernel_judge(fence->rule->range[proto], NULL))
		*at = now;
	return now == *at;
}

int newsocket_make(const struct caller *caller, int domain, int type, int protocol)
{
	struct user user;
	int fd, rc;

	if (find_proto(domain, type & ~(SOCK_NONBLOCK | SOCK_CLOEXEC), protocol) == PROTO_COUNT)
		return -EPROTOTYPE;
	rc = compare(caller, &user);
	if (rc)
		return rc;
	fd = make_as(&user, domain, type, protocol);
	return fd == -EPERM ? -EACCES : fd;
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

void newsocket_inherited(void (*found)(int fd, void *context), void *context)
{
	int fd = procfs_open(PROCFS_SELF, "fd", O_RDONLY | O_DIRECTORY);
	DIR *folder = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *item;

	if (fd >= 0 && !folder)
		close(fd);
	/* "." and ".." are 0 here, which stands there as itself, too */
	while (folder && (item = readdir(folder)))
		if (proto_of(atoi(item->d_name)) != PROTO_COUNT)
			found(atoi(item->d_name), context);
	if (folder)
		closedir(folder);
}
