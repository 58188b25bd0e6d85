/*
 * sockets: whatever the kernel answers to the command's dumps, cut short or nonsense, is read no further
 * than it goes, and what came of it can be printed. Input: answers, as kernel.h has them.
 */
#include "../../src/machine/sockets.h"

#include "fuzz.h"
#include "kernel.h"

#include <libmnl/libmnl.h>

struct mnl_socket *__wrap_mnl_socket_open2(int bus, int flags);
int __wrap_mnl_socket_close(struct mnl_socket *socket);
int __wrap_mnl_socket_bind(struct mnl_socket *socket, unsigned groups, pid_t pid);
unsigned __wrap_mnl_socket_get_portid(const struct mnl_socket *socket);
ssize_t __wrap_mnl_socket_sendto(const struct mnl_socket *socket, const void *data, size_t size);
ssize_t __wrap_mnl_socket_recvfrom(const struct mnl_socket *socket, void *ret_data, size_t size);

struct mnl_socket *__wrap_mnl_socket_open2(int bus, int flags)
{
	static char anything;

	(void)bus;
	(void)flags;
	return (struct mnl_socket *)&anything;
}

int __wrap_mnl_socket_close(struct mnl_socket *socket)
{
	(void)socket;
	kernel_show();
	return 0;
}

int __wrap_mnl_socket_bind(struct mnl_socket *socket, unsigned groups, pid_t pid)
{
	(void)socket;
	(void)groups;
	(void)pid;
	return 0;
}

unsigned __wrap_mnl_socket_get_portid(const struct mnl_socket *socket)
{
	(void)socket;
	return 0;
}

ssize_t __wrap_mnl_socket_sendto(const struct mnl_socket *socket, const void *data, size_t size)
{
	(void)socket;
	return kernel_ask(data, size);
}

/* libmnl 1.0.4 takes a length of 2 GiB and more for a good one, which is not for us to find. */
static void keep_lengths_positive(void *data, long left)
{
	struct nlmsghdr *head = data;

	while (left >= (long)sizeof(*head)) {
		head->nlmsg_len &= INT32_MAX;
		left -= NLMSG_ALIGN((long)head->nlmsg_len);
		if (head->nlmsg_len < sizeof(*head) || left < 0)
			break;
		head = (struct nlmsghdr *)((char *)head + NLMSG_ALIGN(head->nlmsg_len));
	}
}

ssize_t __wrap_mnl_socket_recvfrom(const struct mnl_socket *socket, void *ret_data, size_t size)
{
	long n = kernel_answer(ret_data, size);

	(void)socket;
	keep_lengths_positive(ret_data, n);
	return n;
}

static void print(const struct sockets_entry *entry)
{
	char text[SOCKETS_TEXT];

	CLAIM(entry->local_port && entry->side <= SOCKETS_ACCEPTED);
	CLAIM(sockets_proto(entry) < PROTO_COUNT);
	CLAIM(*sockets_protocol_name(entry) && *sockets_state_name(entry));
	sockets_format(entry, false, text);
	CLAIM(strrchr(text, ':'));
	sockets_format(entry, true, text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz fuzz = { data, data + size };
	struct sockets sockets;
	size_t i;

	kernel_answers = &fuzz;
	CLAIM(sockets_read(SOCKETS_SIDES, &sockets) <= 0);
	for (i = 0; i < sockets.count; i++)
		print(&sockets.entry[i]);
	sockets_free(&sockets);
	return 0;
}
