/*
 * Fact: of an IP_LOCAL_PORT_RANGE that lies half outside the ephemeral range
 * only the bound that is inside applies; the other is the system's. A bound of
 * 0 is the system's too, and a range of a single port is a range.
 *
 * Source: inet_sk_get_local_port_range(), net/ipv4/inet_connection_sock.c:
 * "if (lo && lo <= sk_lo && sk_lo <= hi)", each bound by itself.
 *
 * So portfence does not use the kernel engine for such a range: ports from
 * outside it would be given out.
 */
#include "platform.h"

/* Takes every port that the kernel gives for the range, and looks at them all. */
static void gives(unsigned int lo, unsigned int hi, unsigned int want_lo, unsigned int want_hi)
{
	unsigned int count = want_hi - want_lo + 1, i;
	char what[64];
	int fds[64];

	snprintf(what, sizeof(what), "range %u-%u", lo, hi);
	for (i = 0; i < count; i++) {
		fds[i] = udp4();
		port_range(fds[i], lo, hi);
		expect(what, try_bind(fds[i], "127.0.0.1", 0), 0);
		expect_port(what, port_of(fds[i]), want_lo, want_hi);
	}
	fds[i] = udp4();
	port_range(fds[i], lo, hi);
	expect("bind to 0 once all are taken", try_bind(fds[i], "127.0.0.1", 0), -EADDRINUSE);
	for (i = 0; i <= count; i++)
		close(fds[i]);
}

int main(void)
{
	begin();
	ephemeral_range(40000, 40019);
	gives(39990, 40004, 40000, 40004);
	gives(40015, 40030, 40015, 40019);
	gives(40010, 0, 40010, 40019);
	gives(0, 40010, 40000, 40010);
	gives(39990, 40030, 40000, 40019);
	gives(40007, 40007, 40007, 40007);
	return HOLDS;
}
