/*
 * siphash compared with its designers' vectors, and with a second implementation that
 * was written from the figures of the paper, not from siphash.c.
 */
#include "../../src/core/siphash.h"
#include "unit.h"

/* vectors_sip64 of the reference code: key 00 01 .. 0f, message 00 01 .. (length - 1) */
static const uint64_t vectors[] = {
	0x726fdb47dd0e0e31, 0x74f839c593dc67fd, 0x0d6c8009d9a94f5a, 0x85676696d7fb7e2d,
	0xcf2794e0277187b7, 0x18765564cd99a68d, 0xcbc9466e58fee3ce, 0xab0200f58b01d137,
	0x93f5f5799a932462, 0x9e0082df0ba9e4b0, 0x7a5dbbc594ddb9f3, 0xf4b32f46226bada7,
	0x751e8fbc860ee5fb, 0x14ea5627c0843d90, 0xf723ca908e7af2ee, 0xa129ca6149be45e5,
	0x3f2acc7f57c29bdb, 0x699ae9f52cbe4794, 0x4bc1b3f0968dd39c, 0xbb6dc91da77961bd,
	0xbed65cf21aa2ee98, 0xd0f2cbb02e3b67c7, 0x93536795e3a33e88, 0xa80c038ccd5ccec8,
	0xb8ad50c6f649af94, 0xbce192de8a85b8ea, 0x17d835b85bbb15f3, 0x2f2e6163076bcfad,
	0xde4daaaca71dc9a5, 0xa6a2506687956571, 0xad87a3535c49ef28, 0x32d892fad841c342,
	0x7127512f72f27cce, 0xa7f32346f95978e3, 0x12e0b01abb051238, 0x15e034d40fa197ae,
	0x314dffbe0815a3b4, 0x027990f029623981, 0xcadcd4e59ef40c4d, 0x9abfd8766a33735c,
	0x0e3ea96b5304a7d0, 0xad0c42d6fc585992, 0x187306c89bc215a9, 0xd4a60abcf3792b95,
	0xf935451de4f21df2, 0xa9538f0419755787, 0xdb9acddff56ca510, 0xd06c98cd5c0975eb,
	0xe612a3cb9ecba951, 0xc766e62cfcadaf96, 0xee64435a9752fe72, 0xa192d576b245165a,
	0x0a8787bf8ecb74b2, 0x81b3e73d20b49b6f, 0x7fa8220ba3b2ecea, 0x245731c13ca42499,
	0xb78dbfaf3a8d83bd, 0xea1ad565322a1a0b, 0x60e61c23a3795013, 0x6606d7e446282b93,
	0x6ca4ecb15c5f91e1, 0x9f626da15c9625f3, 0xe51b38608ef25f57, 0x958a324ceb064572,
};

#define VECTORS (sizeof(vectors) / sizeof(vectors[0]))

static const struct siphash_key reference_key = { { 0x0706050403020100, 0x0f0e0d0c0b0a0908 } };

/* ---- a second implementation: the message is padded first, then eaten word by word ---- */

struct state {
	uint64_t v0, v1, v2, v3;
};

static uint64_t left(uint64_t x, unsigned by)
{
	return (x << by) | (x >> (64 - by));
}

/* Figure 2.1 of the paper, column by column. */
static void sip_round(struct state *s)
{
	s->v0 += s->v1;
	s->v1 = left(s->v1, 13);
	s->v1 ^= s->v0;
	s->v0 = left(s->v0, 32);
	s->v2 += s->v3;
	s->v3 = left(s->v3, 16);
	s->v3 ^= s->v2;
	s->v0 += s->v3;
	s->v3 = left(s->v3, 21);
	s->v3 ^= s->v0;
	s->v2 += s->v1;
	s->v1 = left(s->v1, 17);
	s->v1 ^= s->v2;
	s->v2 = left(s->v2, 32);
}

static uint64_t second(const struct siphash_key *key, const uint8_t *message, size_t len)
{
	struct state s = {
		key->k[0] ^ 0x736f6d6570736575,
		key->k[1] ^ 0x646f72616e646f6d,
		key->k[0] ^ 0x6c7967656e657261,
		key->k[1] ^ 0x7465646279746573,
	};
	uint8_t padded[1024 + 8] = { 0 };
	size_t words = len / 8 + 1, w;

	memcpy(padded, message, len);
	padded[8 * words - 1] = (uint8_t)len;
	for (w = 0; w < words; w++) {
		uint64_t m = 0;
		int byte;

		for (byte = 7; byte >= 0; byte--)
			m = m << 8 | padded[8 * w + (size_t)byte];
		s.v3 ^= m;
		sip_round(&s);
		sip_round(&s);
		s.v0 ^= m;
	}
	s.v2 ^= 0xff;
	sip_round(&s);
	sip_round(&s);
	sip_round(&s);
	sip_round(&s);
	return s.v0 ^ s.v1 ^ s.v2 ^ s.v3;
}

/* ---- groups ---- */

static void official_vectors(void)
{
	uint8_t message[VECTORS];
	size_t len;

	for (len = 0; len < VECTORS; len++) {
		uint64_t got = siphash(&reference_key, message, len);

		CHECK(got == vectors[len], "%zu bytes: got %016llx, want %016llx", len,
		      (unsigned long long)got, (unsigned long long)vectors[len]);
		got = second(&reference_key, message, len);
		CHECK(got == vectors[len], "the test's own, %zu bytes: got %016llx", len,
		      (unsigned long long)got);
		message[len] = (uint8_t)len;
	}
}

static void second_implementation(void)
{
	uint64_t random = 1;
	int i;

	for (i = 0; i < 20000; i++) {
		struct siphash_key key = { { unit_random(&random), unit_random(&random) } };
		size_t len = (size_t)(unit_random(&random) % 700), k;
		uint8_t message[700];
		uint64_t got, want;

		for (k = 0; k < len; k++)
			message[k] = (uint8_t)unit_random(&random);
		got = siphash(&key, message, len);
		want = second(&key, message, len);
		CHECK(got == want, "message %d of %zu bytes: got %016llx, want %016llx", i, len,
		      (unsigned long long)got, (unsigned long long)want);
	}
}

static void any_alignment(void)
{
	uint8_t room[64 + 8];
	size_t shift, k;

	for (shift = 0; shift < 8; shift++) {
		uint64_t got;

		for (k = 0; k < 63; k++)
			room[shift + k] = (uint8_t)k;
		got = siphash(&reference_key, room + shift, 63);
		CHECK(got == vectors[63], "%zu bytes past alignment: got %016llx", shift,
		      (unsigned long long)got);
	}
}

int main(int argc, char *argv[])
{
	static const struct unit_group groups[] = {
		{ "official-vectors", official_vectors },
		{ "second-implementation", second_implementation },
		{ "any-alignment", any_alignment },
		{ NULL, NULL },
	};

	return unit_main(argc, argv, groups);
}
