#include "preset.h"

#include "fd.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* A reserved list may name every other port */
#define RESERVED_LONGEST (256 << 10)

const struct preset preset_table[] = {
	{ "iana", 49152, 65535, "IANA's dynamic ports",
	  "RFC 6335, section 6; IANA's port registry" },
	{ "rfc6335", 49152, 65535, "IANA's dynamic ports", "RFC 6335, section 6" },
	{ "freebsd", 49152, 65535, "FreeBSD since 4.6",
	  "FreeBSD ip(4), net.inet.ip.portrange.hifirst" },
	{ "windows", 49152, 65535, "Windows Vista, 7, Server 2008 and later",
	  "Microsoft KB 929851" },
	{ "linux", 32768, 60999, "many Linux kernels", "Linux ip-sysctl.rst, ip_local_port_range" },
	{ "solaris", 32768, 65535, "Solaris", "Solaris Tunable Parameters, smallest_anon_port" },
	{ "aix", 32768, 65535, "AIX", "AIX no(1), tcp_ephemeral_low" },
	{ "rfc6056", 1024, 65535, "what RFC 6056 advises", "RFC 6056, section 3.2" },
	{ "windows-exchange", 1025, 60000, "Windows Server 2008 with Exchange Server 2007",
	  "Microsoft KB 929851" },
	{ "freebsd-legacy", 1024, 5000, "FreeBSD before 4.6",
	  "FreeBSD tuning(7), net.inet.ip.portrange.first" },
	{ "bsd", 1024, 5000, "BSD", "4.4BSD netinet/in.h, IPPORT_USERRESERVED" },
	{ "windows-xp", 1024, 5000, "Windows up to XP", "Microsoft KB 196271, MaxUserPort" },
	{ "windows-2003", 1025, 5000, "Windows Server 2003 before MS08-037",
	  "Microsoft KB 929851" },
	{ NULL, 0, 0, NULL, NULL },
};

int preset_ephemeral(uint16_t *ret_first, uint16_t *ret_last)
{
	unsigned long first, last;
	char text[64], *end;
	long rc;

	rc = fd_read_file("/proc/sys/net/ipv4/ip_local_port_range", text, sizeof(text));
	if (rc < 0)
		return (int)rc;
	first = strtoul(text, &end, 10);
	last = strtoul(end, &end, 10);
	if (first == 0 || first > last || last > 65535)
		return -EINVAL;
	*ret_first = (uint16_t)first;
	*ret_last = (uint16_t)last;
	return 0;
}

int preset_add(const char *name, struct range_set *set)
{
	const struct preset *preset;
	uint16_t first, last;
	int rc;

	for (preset = preset_table; preset->name; preset++) {
		if (!strcmp(name, preset->name)) {
			range_set_add(set, preset->first, preset->last);
			return 0;
		}
	}
	if (strcmp(name, "system"))
		return -ENOENT;
	rc = preset_ephemeral(&first, &last);
	if (!rc)
		range_set_add(set, first, last);
	return rc;
}

/* Lines of /etc/services: name, blanks, port/protocol, aliases, comment (services(5)). */
static void add_services(const char *text, struct range_set *set)
{
	while (*text) {
		size_t line = strcspn(text, "\n");
		size_t field = strspn(text, " \t");

		field += strcspn(text + field, " \t#\n");
		field += strspn(text + field, " \t");
		if (field < line && text[field] >= '0' && text[field] <= '9') {
			unsigned long port = strtoul(text + field, NULL, 10);

			if (port >= 1 && port <= 65535)
				range_set_add(set, (uint16_t)port, (uint16_t)port);
		}
		text += line + (text[line] == '\n');
	}
}

int preset_add_exclusion(const char *name, struct range_set *set)
{
	/* Debian's file is 12 kB, IANA's own in this form 1 MB */
	struct arena arena = { 0 };
	size_t size = (size_t)2 << 20;
	char *text;
	long rc;

	if (strcmp(name, "services"))
		return preset_add(name, set);
	text = arena_alloc(&arena, size);
	if (!text)
		return -ENOMEM;
	rc = fd_read_file("/etc/services", text, size);
	if (rc >= 0)
		add_services(text, set);
	arena_free(&arena);
	return rc < 0 ? (int)rc : 0;
}

int preset_add_reserved(struct range_set *set)
{
	struct arena arena = { 0 };
	struct reason why;
	char *text;
	long n;
	int rc;

	text = arena_alloc(&arena, RESERVED_LONGEST);
	if (!text)
		return -ENOMEM;
	n = fd_read_file("/proc/sys/net/ipv4/ip_local_reserved_ports", text, RESERVED_LONGEST);
	rc = n < 0 ? (int)n : 0;
	if (n > 0 && text[n - 1] == '\n')
		text[--n] = '\0';
	if (n > 0)
		rc = range_parse(text, preset_add, set, &why);
	arena_free(&arena);
	return rc;
}
