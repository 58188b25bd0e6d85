/* sctp: which arrays of packed addresses are whole. */
#include "../../src/core/sctp.h"
#include "unit.h"

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* Packs addresses of these families ('4', '6', or another) at the end of @room. Return: their begin */
static char *pack(char *room, size_t size, const char *families, size_t *ret_used)
{
	size_t used = 0, n = strlen(families);
	char *at;

	while (n--) {
		sa_family_t family = families[n] == '4'   ? AF_INET
				     : families[n] == '6' ? AF_INET6
							  : AF_UNIX;

		used += family == AF_INET ? 16 : family == AF_INET6 ? 28 : 16;
		at = room + size - used;
		memset(at, 0, 16);
		memcpy(at, &family, sizeof(family));
	}
	*ret_used = used;
	return room + size - used;
}

static void whole_arrays(void)
{
	static const char *const good[] = { "4", "6", "44", "46", "64", "6464646", NULL };
	char room[512];
	size_t used, i, cut;
	const char *addrs;

	for (i = 0; good[i]; i++) {
		addrs = pack(room, sizeof(room), good[i], &used);
		CHECK(sctp_is_packed(addrs, used), "%s", good[i]);
	}
	/* cut at each byte, except between two addresses */
	addrs = pack(room, sizeof(room), "464", &used);
	for (cut = 0; cut < used; cut++)
		CHECK(sctp_is_packed(addrs, cut) == (cut == 16 || cut == 44), "%zu bytes", cut);
	addrs = pack(room, sizeof(room), "4?4", &used);
	CHECK(!sctp_is_packed(addrs, used), "a UNIX address");
	CHECK(sctp_is_packed(addrs, 16), "what comes before it");
}

/* Nothing is read beyond the end: the memory there cannot be read. */
static void end_of_memory(void)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE), used, cut;
	char *room =
		mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char *addrs;

	munmap(room + page, page);
	addrs = pack(room, page, "646", &used);
	for (cut = 1; cut <= used; cut++) {
		char *moved = room + page - cut;

		memmove(moved, addrs, cut);
		CHECK(sctp_is_packed(moved, cut) == (cut == 28 || cut == 44 || cut == used),
		      "%zu bytes", cut);
		addrs = pack(room, page, "646", &used);
	}
}

static void address_sizes(void)
{
	CHECK(sctp_addr_size(AF_INET) == 16, "IPv4");
	CHECK(sctp_addr_size(AF_INET6) == 28, "IPv6");
	CHECK(sctp_addr_size(AF_UNSPEC) == 0, "none");
	CHECK(sctp_addr_size(AF_UNIX) == 0, "UNIX");
}

int main(int argc, char *argv[])
{
	static const struct unit_group groups[] = {
		{ "whole-arrays", whole_arrays },
		{ "end-of-memory", end_of_memory },
		{ "address-sizes", address_sizes },
		{ NULL, NULL },
	};

	return unit_main(argc, argv, groups);
}
