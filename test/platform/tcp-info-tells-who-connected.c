/*
 * Fact: tcp_info tells which end of a TCP connection sent the first SYN. There,
 * tcpi_bytes_acked counts the SYN, so it is one more than the data sent and
 * acknowledged (tcpi_bytes_sent); at the end that accepted, it is not.
 *
 * Source: tcp_snd_una_update(), net/ipv4/tcp_input.c, counts from snd_una,
 * which tcp_create_openreq_child(), net/ipv4/tcp_minisocks.c, sets to what
 * follows the SYN already.
 *
 * So an accepted connection can be told from an outgoing one when the listener
 * is gone: `portfence audit` calls only the second an escape.
 */
#include "platform.h"

/* include/uapi/linux/tcp.h; <netinet/tcp.h> has neither, and clashes with it */
enum { BYTES_ACKED = 120, BYTES_SENT = 200, INFO_SIZE = 256 };

static uint64_t count(const unsigned char *info, size_t offset)
{
	uint64_t value;

	memcpy(&value, info + offset, sizeof(value));
	return value;
}

static void expect_counts(const char *what, int fd, unsigned int sent, unsigned int acked)
{
	unsigned char info[INFO_SIZE];
	socklen_t len = sizeof(info);

	must(getsockopt(fd, IPPROTO_TCP, TCP_INFO, info, &len), "getsockopt(TCP_INFO)");
	if (len < BYTES_SENT + sizeof(uint64_t))
		skip("the kernel's tcp_info has no tcpi_bytes_sent");
	check(count(info, BYTES_SENT) == sent && count(info, BYTES_ACKED) == acked,
	      "%s: expected %u sent, %u acknowledged, found %llu, %llu", what, sent, acked,
	      (unsigned long long)count(info, BYTES_SENT),
	      (unsigned long long)count(info, BYTES_ACKED));
}

static void pass(int from, int to)
{
	char data[1000] = "";

	must((int)write(from, data, sizeof(data)), "write");
	check(recv(to, data, sizeof(data), MSG_WAITALL) == sizeof(data), "expected the data");
}

static void tell(int family)
{
	const char *here = loopback(family);
	int server = open_server(here, 30000), peer, client;

	client = open_socket(family, SOCK_STREAM, 0);
	expect("connect", try_connect(client, here, 30000), 0);
	peer = accept_one(server);
	close(server);
	expect_counts("the end that connected", client, 0, 1);
	expect_counts("the end that accepted", peer, 0, 0);
	pass(client, peer);
	pass(peer, client);
	/* on loopback, the answer also acknowledges what was sent before */
	expect_counts("the end that connected, after data", client, 1000, 1001);
	pass(client, peer);
	expect_counts("the end that accepted, after data", peer, 1000, 1000);
	close_in_order(client, peer);
}

int main(void)
{
	begin();
	tell(AF_INET);
	tell(AF_INET6);
	return HOLDS;
}
