/* reason: why something is refused, as one line for a person; it prints nothing. */
#ifndef PORTFENCE_CORE_REASON_H
#define PORTFENCE_CORE_REASON_H

/* Without a full stop: the problem first, then what to do. Longer text is cut. */
struct reason {
	char text[512];
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

/**
 * reason_fail() - Write why something fails with another error
 * @ret_why:	may be NULL, if nobody wants to know
 *
 * Return: @error
 */
__attribute__((format(printf, 3, 4))) int reason_fail(int error, struct reason *ret_why,
						      const char *format, ...);

#endif
