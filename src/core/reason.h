/* reason: why something is refused, as one line for a person; it prints nothing. */
#ifndef PORTFENCE_CORE_REASON_H
#define PORTFENCE_CORE_REASON_H

/* Without a full stop: the problem first, then what to do. Longer text is cut. */
struct reason {
	char text[384];
};

/* How much of a value a reason quotes, so that it never loses what to do to a long one */
#define REASON_QUOTED "'%.160s'"

/**
 * reason_refuse() - Write a reason
 *
 * Return: -EINVAL, so that a caller can say why and refuse in one statement
 */
__attribute__((format(printf, 2, 3))) int reason_refuse(struct reason *ret_why, const char *format,
							...);

#endif
