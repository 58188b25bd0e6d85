/* netlink: one question to the kernel, and its answer or answers; it does not know what they mean. */
#ifndef PORTFENCE_CORE_NETLINK_H
#define PORTFENCE_CORE_NETLINK_H

#include <linux/netlink.h>
#include <stddef.h>

/* Room for as much as the kernel sends at once (net/netlink/af_netlink.c, netlink_recvmsg) */
#define NETLINK_BUFFER 32768

/* How often to ask again for answers that were interrupted, before it is an error */
#define NETLINK_TRIES 8

/**
 * netlink_ask() - Ask a question that has one answer
 * @fd:		netlink socket with no answers left in it
 * @size:	of @ret_answer
 *
 * Return: length of the answer, or -errno, the kernel's own included
 */
long netlink_ask(int fd, const struct nlmsghdr *question, void *ret_answer, size_t size);

/* One of many answers, whole, with at least @least bytes behind its head. Return: 0, or a -errno to stop with */
typedef int netlink_on_answer(const struct nlmsghdr *answer, void *context);

/**
 * netlink_dump() - Ask for everything that fits a question
 * @fd:		netlink socket with no answers left in it; after a failure there may be some, so
 *		close it
 * @question:	with NLM_F_DUMP; answers are to be of its type, as sock_diag(7) has it
 * @buffer:	NETLINK_BUFFER bytes, aligned as a struct nlmsghdr
 * @least:	size of what is to stand behind each answer's head
 *
 * Return: 0; -EINTR if the kernel says that the answers do not fit together, so that they are to
 * be asked for anew; -EBADMSG; another -errno, the kernel's own or what @on_answer returned
 */
int netlink_dump(int fd, const struct nlmsghdr *question, void *buffer, size_t least,
		 netlink_on_answer *on_answer, void *context);

#endif
