/*
 * diag and source_addr: any answer of the kernel over netlink, even a cut or senseless one, is not read
 * beyond its end, and the reading ends.
 */
#include "../../src/core/diag.h"

#include "../../src/core/source_addr.h"
#include "fuzz.h"
#include "kernel.h"

static void count_port(void *context, uint16_t port)
{
	unsigned *told = context;

	(void)port;
	++*told;
}

static void fill_address(struct fuzz *fuzz, bool v4, union addr *ret_addr)
{
	addr_wildcard(ret_addr, v4 ? AF_INET : AF_INET6);
	if (v4)
		fuzz_bytes(fuzz, &ret_addr->in4.sin_addr, 4);
	else
		fuzz_bytes(fuzz, &ret_addr->in6.sin6_addr, 16);
	addr_set_port(ret_addr, fuzz_word(fuzz));
}

static void look_for_source(const struct diag *diag, const union addr *peer)
{
	static const struct siphash_key key = { { 1, 2 } };
	struct source_addr_cache cache = { 0 };
	union addr source, again;
	uint8_t a[16], b[16];
	int rc = source_addr_find(&cache, &key, diag, peer, &source);

	kernel_show();
	CLAIM(rc <= 0);
	if (rc)
		return;
	CLAIM(addr_port(&source) == 0);
	CLAIM(source.sa.sa_family == AF_INET || source.sa.sa_family == AF_INET6);
	/* it is in the cache, unless its second is just over */
	if (source_addr_find(&cache, &key, diag, peer, &again) == 0) {
		addr_bytes(&source, a);
		addr_bytes(&again, b);
		CLAIM(!memcmp(a, b, sizeof(a)) && addr_port(&again) == 0);
	}
	kernel_show();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz fuzz = { data, data + size };
	struct diag diag = { .tcp = -1 };
	union addr local, peer;
	uint8_t what = fuzz_byte(&fuzz);
	unsigned told = 0;
	int rc;

	fill_address(&fuzz, what & 1, &local);
	fill_address(&fuzz, what & 1, &peer);
	diag.reuse_at_once = what & 16;
	diag.ifindex = what & 2 ? fuzz_byte(&fuzz) : 0;
	kernel_answers = &fuzz;
	switch (what >> 2 & 3) {
	case 0:
		rc = diag_is_free(&diag, &local, &peer);
		CLAIM(rc <= 1);
		break;
	case 1:
		rc = diag_used(&diag, &local, &peer, count_port, &told);
		CLAIM(rc <= 0 && told <= size);
		break;
	case 2:
		rc = diag_only_time_wait(&diag, &local);
		CLAIM(rc <= 1);
		break;
	default:
		look_for_source(&diag, &peer);
		break;
	}
	kernel_show();
	diag_end(&diag);
	CLAIM(diag.tcp == -1);
	return 0;
}
