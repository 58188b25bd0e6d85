#include "netlink.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

/*
 * Theory of operation
 *
 * The kernel answers inside the send, and fills in more answers inside each
 * receive, so that no receive ever waits. System calls rather than libc's
 * functions: sendto is our own hook, and both are cancellation points, which
 * would leak the descriptor.
 */

#define ERROR_MOST 4095 /* MAX_ERRNO of include/linux/err.h */

static int send_question(int fd, const struct nlmsghdr *question)
{
	struct sockaddr_nl kernel = { .nl_family = AF_NETLINK };
	long n;

	do
		n = syscall(SYS_sendto, fd, question, (size_t)question->nlmsg_len, 0, &kernel,
			    sizeof(kernel));
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : 0;
}

/*
 * Receives what comes next from the kernel. With the right CAP_NET_ADMIN, others
 * may send to the socket, too.
 *
 * Return: its length, or -errno
 */
static long receive(int fd, void *ret_data, size_t size)
{
	struct sockaddr_nl from;
	socklen_t len;
	long n;

	do {
		len = sizeof(from);
		memset(&from, 0, sizeof(from));
		n = syscall(SYS_recvfrom, fd, ret_data, size, MSG_DONTWAIT | MSG_TRUNC, &from,
			    &len);
	} while ((n < 0 && errno == EINTR) || (n >= 0 && from.nl_pid));
	if (n < 0)
		return -errno;
	return (size_t)n > size ? -EMSGSIZE : n;
}

static bool is_whole(const struct nlmsghdr *head, long left)
{
	return left >= (long)sizeof(*head) && head->nlmsg_len >= sizeof(*head) &&
	       head->nlmsg_len <= (unsigned long)left;
}

/* What an answer says of failure, in its first number. Return: 0 or -errno */
static int read_error(const struct nlmsghdr *head)
{
	int error = 0;

	if (head->nlmsg_len >= NLMSG_LENGTH(sizeof(error)))
		memcpy(&error, NLMSG_DATA(head), sizeof(error));
	if (error >= 0)
		return 0;
	return error < -ERROR_MOST ? -EBADMSG : error;
}

long netlink_ask(int fd, const struct nlmsghdr *question, void *ret_answer, size_t size)
{
	const struct nlmsghdr *head = ret_answer;
	long n = send_question(fd, question);

	n = n ? n : receive(fd, ret_answer, size);
	if (n < 0)
		return n;
	if (!is_whole(head, n))
		return -EBADMSG;
	if (head->nlmsg_type != NLMSG_ERROR)
		return n;
	return read_error(head) ? read_error(head) : -EBADMSG;
}

struct dump {
	const struct nlmsghdr *question;
	size_t least;
	netlink_on_answer *on_answer;
	void *context;
	bool interrupted;
};

/* Return: 1 if it was the last answer; 0; -errno */
static int read_answer(struct dump *dump, const struct nlmsghdr *head)
{
	int rc;

	dump->interrupted |= !!(head->nlmsg_flags & NLM_F_DUMP_INTR);
	if (head->nlmsg_type == NLMSG_DONE) {
		rc = read_error(head);
		return rc ? rc : 1;
	}
	if (head->nlmsg_type == NLMSG_ERROR && read_error(head))
		return read_error(head);
	if (head->nlmsg_type != dump->question->nlmsg_type ||
	    head->nlmsg_len < NLMSG_LENGTH(dump->least))
		return -EBADMSG;
	return dump->on_answer(head, dump->context);
}

int netlink_dump(int fd, const struct nlmsghdr *question, void *buffer, size_t least,
		 netlink_on_answer *on_answer, void *context)
{
	struct dump dump = {
		.question = question, .least = least, .on_answer = on_answer, .context = context
	};
	int rc = send_question(fd, question);

	while (!rc) {
		const struct nlmsghdr *head = buffer;
		long left = receive(fd, buffer, NETLINK_BUFFER);

		if (left < 0)
			/* answers were lost */
			return left == -ENOBUFS ? -EINTR : (int)left;
		do {
			long length;

			if (!is_whole(head, left))
				return -EBADMSG;
			rc = read_answer(&dump, head);
			length = (long)NLMSG_ALIGN(head->nlmsg_len);
			left -= length;
			head = (const struct nlmsghdr *)((const char *)head + length);
		} while (!rc && left > 0);
	}
	if (rc < 0)
		return rc;
	return dump.interrupted ? -EINTR : 0;
}
