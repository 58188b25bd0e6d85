#include "holder.h"

#include "place.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define EPHEMERAL "/proc/sys/net/ipv4/ip_local_port_range"

static int held[65536];
static size_t held_count;

static uint16_t candidates[65536];

static int bind_port(int fd, uint16_t port)
{
	const struct sockaddr_in addr = { .sin_family = AF_INET, .sin_port = htons(port) };

	return bind(fd, (const struct sockaddr *)&addr, sizeof(addr));
}

static int connect_port(int fd, uint16_t port)
{
	const struct sockaddr_in addr = {
		.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
		.sin_port = htons(port),
	};

	return connect(fd, (const struct sockaddr *)&addr, sizeof(addr));
}

static int set_ephemeral(int sysctl, const char *text)
{
	ssize_t len = (ssize_t)strlen(text);

	return pwrite(sysctl, text, (size_t)len, 0) == len ? 0 : -1;
}

static int connect_chosen(int fd, int sysctl, uint16_t port, uint16_t to)
{
	struct sockaddr_in local = { .sin_port = 0 };
	socklen_t len = sizeof(local);
	char text[32];

	snprintf(text, sizeof(text), "%u %u\n", port, port);
	if (set_ephemeral(sysctl, text) || connect_port(fd, to) ||
	    getsockname(fd, (struct sockaddr *)&local, &len))
		return -1;
	if (ntohs(local.sin_port) == port)
		return 0;
	errno = EADDRNOTAVAIL;
	return -1;
}

/* @to: the destination's port, 0 for bound sockets. Return: 0 or -errno */
static int hold_one(uint16_t port, bool datagram, bool chosen, uint16_t to, int sysctl)
{
	static const struct linger reset = { .l_onoff = 1 };
	int fd = socket(AF_INET, (datagram ? SOCK_DGRAM : SOCK_STREAM) | SOCK_CLOEXEC, 0);
	int one = 1, rc;

	if (fd < 0)
		return -errno;
	if (to && chosen)
		rc = connect_chosen(fd, sysctl, port, to);
	else
		rc = bind_port(fd, port);
	if (!rc && to && !chosen)
		rc = setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) ||
		     connect_port(fd, to);
	if (!rc && to)
		rc = setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
	if (rc) {
		rc = -errno;
		close(fd);
		return rc;
	}
	held[held_count++] = fd;
	return 0;
}

static void scatter(unsigned size)
{
	uint32_t x = 2463534242U;
	unsigned i;

	for (i = size; i > 1; i--) {
		unsigned j;
		uint16_t swap;

		/* Marsaglia's xorshift32: the same order in every run and every world */
		x ^= x << 13;
		x ^= x >> 17;
		x ^= x << 5;
		j = x % i;
		swap = candidates[i - 1];
		candidates[i - 1] = candidates[j];
		candidates[j] = swap;
	}
}

static void list_candidates(const char *shape, unsigned first, unsigned size)
{
	unsigned parity = !strcmp(shape, "odd"), i, n = 0;

	if (!strcmp(shape, "even") || !strcmp(shape, "odd")) {
		for (i = parity; i < size; i += 2)
			candidates[n++] = (uint16_t)(first + i);
		for (i = !parity; i < size; i += 2)
			candidates[n++] = (uint16_t)(first + i);
		return;
	}
	for (i = 0; i < size; i++)
		candidates[i] = (uint16_t)(first + i);
	if (!strcmp(shape, "scatter"))
		scatter(size);
}

static int hold(const char *how, const char *shape, unsigned first, unsigned size, unsigned from,
		unsigned to)
{
	bool datagram = !strcmp(how, "udp"), chosen = !strncmp(how, "chosen-", 7);
	const char *dash = strchr(how, '-');
	uint16_t destination = dash ? (uint16_t)strtoul(dash + 1, NULL, 10) : 0;
	int sysctl = -1, rc = 0;
	char before[64] = "";
	ssize_t n;

	if (first + size > 65536 || to > size || held_count + (to - from) > 65536)
		return -ERANGE;
	if (chosen) {
		sysctl = open(EPHEMERAL, O_RDWR | O_CLOEXEC);
		n = sysctl < 0 ? -1 : pread(sysctl, before, sizeof(before) - 1, 0);
		if (n < 0)
			return -errno;
	}
	list_candidates(shape, first, size);
	while (from < to && !rc)
		rc = hold_one(candidates[from++], datagram, chosen, destination, sysctl);
	if (sysctl >= 0) {
		if (set_ephemeral(sysctl, before) && !rc)
			rc = -errno;
		close(sysctl);
	}
	return rc;
}

int holder_main(void)
{
	char line[PLACE_LINE], how[32], shape[32];
	unsigned first, size, from, to;

	while (fgets(line, sizeof(line), stdin)) {
		int rc = 0;

		if (!strcmp(line, "release\n")) {
			while (held_count)
				close(held[--held_count]);
		} else if (sscanf(line, "hold %31s %31s %u %u %u %u", how, shape, &first, &size,
				  &from, &to) == 6) {
			rc = hold(how, shape, first, size, from, to);
		} else {
			rc = -EINVAL;
		}
		if (rc)
			printf("failed %s\n", strerror(-rc));
		else
			printf("ok %zu\n", held_count);
		fflush(stdout);
	}
	return 0;
}
