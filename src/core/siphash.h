/* siphash: the keyed hash SipHash-2-4; it keeps no state. */
#ifndef PORTFENCE_CORE_SIPHASH_H
#define PORTFENCE_CORE_SIPHASH_H

#include <stddef.h>
#include <stdint.h>

struct siphash_key {
	uint64_t k[2];
};

/**
 * siphash() - SipHash-2-4 of a short message
 *
 * Return: the 64-bit hash, which does not depend on the byte order of the machine
 *
 * Source: Aumasson and Bernstein, "SipHash: a fast short-input PRF", 2012.
 */
uint64_t siphash(const struct siphash_key *key, const void *data, size_t len);

#endif
