/* options: how sockets are made, and what is set on them. */
#include "transparent.h"

#include <net/if.h>
#include <string.h>

/* ---- socket ---- */

struct newsocket {
	int domain, type, protocol;
};

static void run_birth(const void *context)
{
	const struct newsocket *birth = context;
	struct snapshot look;
	int fd = (int)CALL(socket(birth->domain, birth->type, birth->protocol));

	if (fd < 0)
		return;
	look_at(fd, &look);
	look_say(NULL, &look);
}

static void births_run(void)
{
	static const int domains[] = {
		AF_INET, AF_INET6, AF_UNIX, AF_NETLINK, AF_PACKET, 0, 99, -1
	};
	static const int types[] = { SOCK_STREAM,
				     SOCK_DGRAM,
				     SOCK_RAW,
				     SOCK_SEQPACKET,
				     SOCK_STREAM | SOCK_NONBLOCK,
				     SOCK_DGRAM | SOCK_CLOEXEC,
				     SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC,
				     0,
				     77,
				     -1 };
	static const int protocols[] = {
		0, IPPROTO_TCP, IPPROTO_UDP, IPPROTO_UDPLITE, IPPROTO_MPTCP, IPPROTO_ICMP, 9999, -1
	};
	struct newsocket birth;
	size_t i, j, k;

	for (i = 0; i < COUNT(domains); i++)
		for (j = 0; j < COUNT(types); j++)
			for (k = 0; k < COUNT(protocols); k++) {
				birth = (struct newsocket){ domains[i], types[j], protocols[k] };
				transparent_case(run_birth, &birth, "socket/%d/%d/%d", birth.domain,
						 birth.type, birth.protocol);
			}
}

/* ---- setsockopt ---- */

static const struct {
	const char *name;
	int level, option;
} options[] = {
	{ "reuseaddr", SOL_SOCKET, SO_REUSEADDR },
	{ "reuseport", SOL_SOCKET, SO_REUSEPORT },
	{ "device", SOL_SOCKET, SO_BINDTODEVICE },
	{ "ifindex", SOL_SOCKET, 62 },
	{ "keepalive", SOL_SOCKET, SO_KEEPALIVE },
	{ "broadcast", SOL_SOCKET, SO_BROADCAST },
	{ "linger", SOL_SOCKET, SO_LINGER },
	{ "rcvtimeo", SOL_SOCKET, SO_RCVTIMEO },
	{ "filter", SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF },
	{ "no-port", IPPROTO_IP, 24 },
	{ "range", IPPROTO_IP, IP_LOCAL_PORT_RANGE },
	{ "freebind", IPPROTO_IP, IP_FREEBIND },
	{ "transparent", IPPROTO_IP, IP_TRANSPARENT },
	{ "pktinfo", IPPROTO_IP, IP_PKTINFO },
	{ "ttl", IPPROTO_IP, IP_TTL },
	{ "v6only", IPPROTO_IPV6, IPV6_V6ONLY },
	{ "addrform", IPPROTO_IPV6, IPV6_ADDRFORM },
	{ "nodelay", IPPROTO_TCP, TCP_NODELAY },
	{ "fastopen", IPPROTO_TCP, TCP_FASTOPEN },
	{ "fastopen-connect", IPPROTO_TCP, 30 },
	{ "defer-accept", IPPROTO_TCP, TCP_DEFER_ACCEPT },
	{ "ulp", IPPROTO_TCP, 31 },
	{ "nonsense", 99, 99 },
	{ "minus", -1, -1 },
};

/* Most are numbers; 0x706f0000 and the like make ranges that are wrong. */
static const struct {
	const char *name;
	int value;
	bool bad;
	socklen_t len;
} values[] = {
	{ "1", 1, false, 4 },      { "0", 0, false, 4 },
	{ "minus", -1, false, 4 }, { "short", 1, false, 1 },
	{ "none", 1, false, 0 },   { "long", 1, false, 64 },
	{ "bad", 1, true, 4 },     { "huge", 1, false, (socklen_t)-1 },
};

/* What is done with the socket then, so that what was remembered of it shows */
static const char *const uses[] = { "connect", "bind", "listen", "sendto" };

struct setting {
	const struct kind *kind;
	size_t option, value, use;
};

static void run_setting(const void *context)
{
	const struct setting *setting = context;
	struct {
		int value;
		char room[124];
	} data = { .value = values[setting->value].value };
	const void *at = values[setting->value].bad ? address_place("none")->put(NULL, 0) : &data;
	struct snapshot before, after;
	struct scene scene;
	union address address;
	socklen_t len;

	scene_open(&scene, setting->kind, scene_state("fresh"));
	look_at(scene.fd, &before);
	CALL(setsockopt(scene.fd, options[setting->option].level, options[setting->option].option,
			at, values[setting->value].len));
	look_at(scene.fd, &after);
	look_say(&before, &after);
	len = address_value(setting->use == 1 ? "zero" : "peer")->fill(setting->kind, &address);
	if (setting->use == 0)
		CALL(connect(scene.fd, &address.sa, len));
	else if (setting->use == 1)
		CALL(bind(scene.fd, &address.sa, len));
	else if (setting->use == 2)
		CALL(listen(scene.fd, 1));
	else
		CALL(sendto(scene.fd, "x", 1, MSG_NOSIGNAL, &address.sa, len));
	look_at(scene.fd, &before);
	look_say(&after, &before);
	scene_close(&scene);
}

void options_run(void)
{
	static const char *const kinds[] = { "tcp4",  "tcp6", "tcpm", "mptcp4",      "udp4",
					     "lite6", "udpm", "raw4", "unix-stream", "closed" };
	struct setting setting;
	size_t i;

	births_run();
	for (i = 0; i < COUNT(kinds); i++)
		for (setting.option = 0; setting.option < COUNT(options); setting.option++)
			for (setting.value = 0; setting.value < COUNT(values); setting.value++) {
				/* each use for what is set well */
				size_t last = setting.value < 2 ? COUNT(uses) : 1;

				if (setting.value > 1 && i > 5 && !transparent_all)
					continue;

				for (setting.use = 0; setting.use < last; setting.use++) {
					setting.kind = scene_kind(kinds[i]);
					transparent_case(run_setting, &setting,
							 "setsockopt/%s/%s/%s/%s", kinds[i],
							 options[setting.option].name,
							 values[setting.value].name,
							 uses[setting.use]);
				}
			}
}
