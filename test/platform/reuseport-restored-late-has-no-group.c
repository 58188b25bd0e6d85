/*
 * Fact: a UDP socket that did not have SO_REUSEPORT while it was bound has no
 * reuseport group: SO_ATTACH_REUSEPORT_CBPF is EINVAL, until a second socket
 * joins the port. Bound with the option it works at once. On TCP it works in
 * either case, before listen and after. A program attached *before* bind keeps
 * the group, whatever the option was at bind.
 *
 * Source: reuseport_attach_prog(), net/core/sock_reuseport.c: "The socket
 * wasn't bound with SO_REUSEPORT"; reuseport_add_sock() makes the group of both.
 *
 * So clearing SO_REUSEPORT while choosing a UDP port can be noticed: where the
 * kernel engine serves, it needs no clearing (bind to 0 never shares).
 */
#include "platform.h"

#include <linux/filter.h>

static int try_attach(int fd)
{
	/* Always the first socket of the group. */
	struct sock_filter code[] = { { BPF_RET | BPF_K, 0, 0, 0 } };
	struct sock_fprog prog = { .len = 1, .filter = code };
	int ret = setsockopt(fd, SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, &prog, sizeof(prog));

	if (ret < 0 && errno == ENOPROTOOPT)
		skip("the kernel has no SO_ATTACH_REUSEPORT_CBPF");
	return ret < 0 ? -errno : 0;
}

static int with_reuseport(int type)
{
	int fd = open_socket(AF_INET, type, 0);

	set_option(fd, SOL_SOCKET, SO_REUSEPORT, 1);
	return fd;
}

static void restored_late(int type, unsigned int port, int want)
{
	int first = with_reuseport(type), second = with_reuseport(type);

	set_option(first, SOL_SOCKET, SO_REUSEPORT, 0);
	expect("bind", try_bind(first, "127.0.0.1", port), 0);
	set_option(first, SOL_SOCKET, SO_REUSEPORT, 1);
	expect("attach, alone", try_attach(first), want);
	expect("second bind", try_bind(second, "127.0.0.1", port), 0);
	expect("attach, joined", try_attach(first), 0);
	expect("attach, the second", try_attach(second), 0);
	close(second);
	close(first);
}

static void never_away(int type, unsigned int port)
{
	int fd = with_reuseport(type);

	expect("bind", try_bind(fd, "127.0.0.1", port), 0);
	expect("attach, never away", try_attach(fd), 0);
	close(fd);
}

static void attached_before(int type, unsigned int port)
{
	int fd = with_reuseport(type);

	expect("attach before bind", try_attach(fd), 0);
	set_option(fd, SOL_SOCKET, SO_REUSEPORT, 0);
	expect("bind", try_bind(fd, "127.0.0.1", port), 0);
	set_option(fd, SOL_SOCKET, SO_REUSEPORT, 1);
	expect("attach again", try_attach(fd), 0);
	close(fd);
}

int main(void)
{
	begin();
	restored_late(SOCK_STREAM, 20000, 0);
	restored_late(SOCK_DGRAM, 20000, -EINVAL);
	never_away(SOCK_STREAM, 20001);
	never_away(SOCK_DGRAM, 20001);
	attached_before(SOCK_STREAM, 20002);
	attached_before(SOCK_DGRAM, 20002);
	return HOLDS;
}
