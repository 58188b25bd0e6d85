#include "rights.h"

#include <errno.h>
#include <linux/nsfs.h>
#include <linux/sockios.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef SIOCGSKNS
#define SIOCGSKNS 0x894C /* include/uapi/linux/sockios.h */
#endif

/*
 * Theory of operation
 *
 * Who could serve a root's tree, part of which has become another user?
 *
 * - One process with root's rights that asks each time whether the caller has the
 *   right: what it forgets to ask, or asks of the wrong thread, it gives away. It
 *   was so, and it gave away ports, packet marks and memory.
 * - A process for each user that has become that user, as sshd's is: the kernel
 *   checks most. But it shares the tree's state, log and listener with the others,
 *   and whoever takes it over answers for all; and the kernel checks neither
 *   Landlock, nor a security label, nor namespaces, as the helper is in its own.
 * - What is here: one process that cannot do anything by itself, and that leaves
 *   to the kernel what the kernel can decide. A bind() to a port that the program
 *   names goes on in the program's own thread as soon as a right has a say in it
 *   (trap.c), so it is decided by all of the caller's credentials. What is left
 *   is to look into memory and descriptors (CAP_SYS_PTRACE; see caller.c for
 *   whose), and three kinds of calls that a caller with a capability makes through
 *   us: a port of the range below the unprivileged ones, a mapped or policed bind
 *   to such a port, and a mapped message with options of root's.
 *
 * Capabilities are a thread's own (capabilities(7)): to use one for a call lends it
 * to no other call that is served at the same time.
 */

struct capabilities {
	struct __user_cap_header_struct head;
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];
};

/* What this process has for good, once it has dropped the rest. Set before there are threads. */
static struct {
	bool nothing;
	bool ptrace;
	bool plain;
} own_rights;

/* Return: 0, -errno */
static int get_capabilities(struct capabilities *ret_own)
{
	memset(ret_own, 0, sizeof(*ret_own));
	ret_own->head.version = _LINUX_CAPABILITY_VERSION_3;
	return syscall(SYS_capget, &ret_own->head, ret_own->data) ? -errno : 0;
}

static int set_capabilities(struct capabilities *own)
{
	return syscall(SYS_capset, &own->head, own->data) ? -errno : 0;
}

static bool has_one_user(void)
{
	uid_t uid[3];
	gid_t gid[3];

	return !getresuid(&uid[0], &uid[1], &uid[2]) && !getresgid(&gid[0], &gid[1], &gid[2]) &&
	       uid[0] == uid[1] && uid[1] == uid[2] && gid[0] == gid[1] && gid[1] == gid[2];
}

int rights_drop(bool makes_sockets, bool looks)
{
	/* DAC_OVERRIDE: the log's file may be another user's, and is named by who has started us */
	const uint32_t kept = 1U << CAP_SYS_PTRACE | 1U << CAP_NET_BIND_SERVICE |
			      1U << CAP_NET_RAW | 1U << CAP_NET_ADMIN | 1U << CAP_DAC_OVERRIDE |
			      (makes_sockets ? 1U << CAP_SETUID | 1U << CAP_SETGID : 0);
	struct capabilities own;
	int rc = get_capabilities(&own);

	if (rc)
		return rc;
	if (!looks || own.data[0].permitted & 1U << CAP_SYS_PTRACE) {
		own.data[0].permitted &= kept;
		own.data[1].permitted = 0;
	}
	own.data[0].effective &= 1U << CAP_SYS_PTRACE;
	own.data[1].effective = 0;
	own.data[0].inheritable = 0;
	own.data[1].inheritable = 0;
	prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	rc = set_capabilities(&own);
	own_rights.nothing = !rc && !own.data[0].permitted && !own.data[1].permitted;
	own_rights.ptrace = own.data[0].permitted & 1U << CAP_SYS_PTRACE;
	own_rights.plain = own_rights.nothing && has_one_user();
	return rc;
}

bool rights_are_plain(void)
{
	return own_rights.plain;
}

static void set_used(int capability, bool used)
{
	const uint32_t bit = 1U << capability;
	struct capabilities own;

	if (own_rights.nothing || get_capabilities(&own))
		return;
	if (used)
		own.data[0].effective |= bit & own.data[0].permitted;
	else
		own.data[0].effective &= ~bit;
	set_capabilities(&own);
}

void rights_use(int capability)
{
	set_used(capability, true);
}

void rights_leave(int capability)
{
	set_used(capability, false);
}

bool rights_become(uid_t uid, gid_t gid)
{
	rights_use(CAP_SETUID);
	rights_use(CAP_SETGID);
	/* each says who it was before, not whether it went well */
	setfsgid(gid);
	setfsuid(uid);
	return (uid_t)setfsuid((uid_t)-1) == uid && (gid_t)setfsgid((gid_t)-1) == gid;
}

/*
 * Whoever becomes root's again in the file system uses all of its rights to files that it has, unasked
 * (capabilities(7), on changes of user ids).
 */
void rights_return(void)
{
	struct capabilities own;

	setfsuid(geteuid());
	setfsgid(getegid());
	if (get_capabilities(&own))
		return;
	own.data[0].effective &= 1U << CAP_SYS_PTRACE;
	own.data[1].effective = 0;
	set_capabilities(&own);
}

void rights_look_as(uid_t uid, gid_t gid)
{
	struct capabilities own;

	/* the folder of descriptors is its user's alone */
	if (own_rights.ptrace)
		rights_use(CAP_DAC_OVERRIDE);
	if (own_rights.nothing || own_rights.ptrace || get_capabilities(&own))
		return;
	own.data[0].effective = own.data[0].permitted;
	own.data[1].effective = own.data[1].permitted;
	set_capabilities(&own);
	if (uid != geteuid() || gid != getegid()) {
		setfsgid(gid);
		setfsuid(uid);
	}
}

void rights_look(const struct caller *caller)
{
	uid_t uid;
	gid_t gid;

	/* most have nothing to gain */
	if (own_rights.nothing)
		return;
	if (own_rights.ptrace || caller_user(caller, &uid, &gid)) {
		uid = geteuid();
		gid = getegid();
	}
	rights_look_as(uid, gid);
}

void rights_look_away(void)
{
	if (!own_rights.nothing)
		rights_return();
}

int rights_read(const struct caller *caller, uint64_t address, void *ret_data, size_t size)
{
	int rc = caller_read(caller, address, ret_data, size);

	if (rc == -EPERM && !own_rights.nothing) {
		rights_look(caller);
		rc = caller_read(caller, address, ret_data, size);
		rights_look_away();
	}
	return rc;
}

int rights_write(const struct caller *caller, uint64_t address, const void *data, size_t size)
{
	int rc;

	rights_look(caller);
	rc = caller_write(caller, address, data, size);
	rights_look_away();
	return rc;
}

/* Return: number of the user namespace that owns a socket's network namespace; 0 if we may not know */
static uint64_t find_owner(int socket)
{
	int netns = ioctl(socket, SIOCGSKNS), owner;
	struct stat st;
	uint64_t number = 0;

	if (netns < 0)
		return 0;
	owner = ioctl(netns, NS_GET_USERNS);
	close(netns);
	if (owner < 0)
		return 0;
	if (!fstat(owner, &st))
		number = st.st_ino;
	close(owner);
	return number;
}

bool rights_caller_has(const struct caller *caller, int socket, int capability)
{
	uint64_t set, userns, owner;

	if (caller_capabilities(caller, &set, &userns) || !(set >> capability & 1))
		return false;
	/* then what the kernel finds in us, once we use it, is what it would find in the caller */
	if (userns == caller_own_userns())
		return true;
	rights_use(CAP_NET_ADMIN);
	owner = find_owner(socket);
	rights_leave(CAP_NET_ADMIN);
	return owner == userns;
}

bool rights_exceed(int socket)
{
	int netns = ioctl(socket, SIOCGSKNS);

	if (netns < 0)
		return false;
	close(netns);
	return true;
}
