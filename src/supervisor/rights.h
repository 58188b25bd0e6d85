/* rights: the supervisor's own capabilities, and whether a caller has one of them; it makes no call for anybody. */
#ifndef PORTFENCE_SUPERVISOR_RIGHTS_H
#define PORTFENCE_SUPERVISOR_RIGHTS_H

#include "caller.h"

#include <linux/capability.h>
#include <stdbool.h>

/*
 * The rule: the supervisor does for a caller only what the caller could do, by the
 * caller's own credentials, at the moment it is done. A call that the supervisor
 * makes is made with no capability that has a say in it. Only after the kernel has
 * refused it for want of one, and if the caller has that one where the kernel asks
 * for it, is the call made once more with it.
 */

/**
 * rights_drop() - Give up all capabilities but those that the supervisor may need, and use none
 * @makes_sockets:	it makes sockets for other users (newsocket)
 * @looks:	it looks into programs. A root without CAP_SYS_PTRACE, as containers have it, then keeps
 *		all capabilities, unused: see rights_look()
 *
 * CAP_SYS_PTRACE stays in use: by it the supervisor looks into programs that have changed their
 * user, and no call on a socket asks for it. Of this thread, and of all that it starts.
 *
 * Return: 0, -errno
 */
int rights_drop(bool makes_sockets, bool looks);

/**
 * rights_are_plain() - Has this process no capability, and one user and one group alone?
 *
 * Then a process that it has been started with, and what that starts, has the same user, group and
 * network namespace for as long as it stays in this user namespace. With other ids than the own ones, only
 * CAP_SETUID, CAP_SETGID and a program that gains them could help (setuid(2)), and with another network
 * namespace only CAP_SYS_ADMIN (setns(2), unshare(2)). A filter that is installed without capabilities
 * needs no_new_privs, and with that no program gains any. Who has left a user namespace never comes back
 * (user_namespaces(7)).
 */
bool rights_are_plain(void);

/**
 * rights_look() - Look into a caller with all that this process has, and as its user, until rights_look_away()
 *
 * Without CAP_SYS_PTRACE, nobody may look at who has more capabilities (security/commoncap.c,
 * cap_ptrace_access_check) or is another user. No call is to be made for anybody meanwhile. Of this
 * thread alone.
 */
void rights_look(const struct caller *caller);
void rights_look_away(void);

/* rights_look_as() - The same, where the caller's user and group are known already */
void rights_look_as(uid_t uid, gid_t gid);

/* rights_read() - caller_read(), with rights_look() where that is needed: /proc/PID/mem is its user's alone */
int rights_read(const struct caller *caller, uint64_t address, void *ret_data, size_t size);

/* rights_write() - caller_write(), with rights_look() */
int rights_write(const struct caller *caller, uint64_t address, const void *data, size_t size);

/* rights_use() - Use a capability that this process has, until rights_leave(). Of this thread alone */
void rights_use(int capability);

/* rights_leave() - Use it no more */
void rights_leave(int capability);

/**
 * rights_become() - Make sockets and look at files as another user, until rights_return(). Of this thread alone
 *
 * Return: false if we may not
 */
bool rights_become(uid_t uid, gid_t gid);

/* rights_return() - Be oneself again */
void rights_return(void);

/**
 * rights_caller_has() - Would the kernel find this capability in the caller, for a call on this socket?
 * @socket:	what asks for it is the socket's network namespace
 *
 * Return: false, too, if it cannot be told
 */
bool rights_caller_has(const struct caller *caller, int socket, int capability);

/**
 * rights_exceed() - Has this process all capabilities in the socket's network namespace, whether it uses them or not?
 *
 * It is so in a user namespace that the same user has made from this process's own: the user who makes
 * one has all capabilities in it (user_namespaces(7)). There, the rule is kept by asking first.
 *
 * Source: net/socket.c, sock_ioctl: SIOCGSKNS asks for CAP_NET_ADMIN
 */
bool rights_exceed(int socket);

#endif
