/* suggest: which of the words that there are was meant by one that there is not. */
#ifndef PORTFENCE_CLI_SUGGEST_H
#define PORTFENCE_CLI_SUGGEST_H

/* The nearest word so far. Begin with { .word = what was typed }. */
struct suggest {
	const char *word;
	const char *nearest; /* NULL: none is near enough */
	unsigned distance;
};

/**
 * suggest_offer() - Hold one more candidate against the word
 *
 * Near is a Damerau-Levenshtein distance of at most 2 (letters missing, added,
 * changed, or two neighbours swapped), and of less than the word's length. Of
 * two as near, the first offered stays. The candidate is kept, not copied.
 */
void suggest_offer(struct suggest *suggest, const char *candidate);

#endif
