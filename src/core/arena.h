/* arena: memory for what is read once at start-up and then never changes; nothing is freed singly. */
#ifndef PORTFENCE_CORE_ARENA_H
#define PORTFENCE_CORE_ARENA_H

#include <stddef.h>

/*
 * The program under the fence may have a malloc of its own, may not have
 * started it yet, or may be in it. So start-up takes its pages straight from
 * the kernel. Used by one thread at a time; zeroed memory is an empty arena.
 */
struct arena {
	struct arena_chunk *chunks;
	size_t used;
};

/**
 * arena_alloc() - Zeroed memory, aligned for any object
 *
 * Return: NULL if the kernel has none left
 */
void *arena_alloc(struct arena *arena, size_t size);

/* arena_copy() - Copy of the first @len bytes of @text, with a terminating NUL; NULL as above */
char *arena_copy(struct arena *arena, const char *text, size_t len);

/* arena_free() - Give everything back */
void arena_free(struct arena *arena);

#endif
