/*
 * Fact: for a socket in TIME_WAIT sock_diag reports idiag_timer 3 and, in
 * idiag_expires, the milliseconds that are left of its 60 seconds; the user is
 * always reported as 0.
 *
 * Source: inet_twsk_diag_fill(), net/ipv4/inet_diag.c; TCP_TIMEWAIT_LEN,
 * include/net/tcp.h.
 *
 * So portfence can tell how old a TIME_WAIT is, without a clock of its own.
 */
#include "platform.h"

#include <time.h>

#include "diag.h"

enum { TIME_WAIT = 6, TIMER_TIME_WAIT = 3, TIMEWAIT_LEN_MS = 60000, JIFFIES_MS = 20 };

static long now_ms(void)
{
	struct timespec ts;

	must(clock_gettime(CLOCK_MONOTONIC, &ts), "clock_gettime");
	return ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static long left(const union addr *src, const union addr *dst)
{
	struct inet_diag_msg msg;

	expect("sock_diag", try_diag(src, dst, &msg), 0);
	check(msg.idiag_state == TIME_WAIT, "expected TIME_WAIT, found state %d", msg.idiag_state);
	check(msg.idiag_timer == TIMER_TIME_WAIT, "expected timer %d, found %d", TIMER_TIME_WAIT,
	      msg.idiag_timer);
	check(msg.idiag_uid == 0, "expected uid 0, found %u", msg.idiag_uid);
	return msg.idiag_expires;
}

struct pair {
	int server;
	unsigned int port;
};

static void connect_and_close(void *arg)
{
	const struct pair *pair = arg;
	int fd = tcp4();

	expect("bind", try_bind(fd, "127.0.0.1", pair->port), 0);
	expect("connect", try_connect(fd, "127.0.0.1", 30000), 0);
	close_in_order(fd, accept_one(pair->server));
}

/*
 * The kernel counts in jiffies, which are late where its processor is taken away
 * meanwhile. So one of many has to have had its 60 seconds.
 *
 * Return: what was left of it; its port is in @ret_pair
 */
static long expect_60_seconds(int server, const union addr *dst, struct pair *ret_pair)
{
	long before, elapsed, found;

	*ret_pair = (struct pair){ server, 20000 };
	for (;; ret_pair->port++) {
		union addr src = addr("127.0.0.1", ret_pair->port);

		before = now_ms();
		as_nobody(connect_and_close, ret_pair);
		found = left(&src, dst);
		elapsed = now_ms() - before;
		check(found <= TIMEWAIT_LEN_MS, "expected at most %d ms, found %ld",
		      TIMEWAIT_LEN_MS, found);
		if (found >= TIMEWAIT_LEN_MS - elapsed - JIFFIES_MS)
			return found;
		check(ret_pair->port < 20999,
		      "expected %d ms less at most the %ld elapsed, found %ld", TIMEWAIT_LEN_MS,
		      elapsed, found);
	}
}

int main(void)
{
	union addr src, dst = addr("127.0.0.1", 30000);
	struct pair pair;
	long after, first;
	int server;

	begin();
	server = open_server("127.0.0.1", 30000);
	first = expect_60_seconds(server, &dst, &pair);
	src = addr("127.0.0.1", pair.port);

	/* It counts down: ask until it says less than at first. */
	do
		after = left(&src, &dst);
	while (after == first);
	check(after < first, "expected less than %ld ms, found %ld", first, after);
	close(server);
	return HOLDS;
}
