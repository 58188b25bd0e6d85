/* arena: memory for what is read at start-up and then never changes; it is freed only as a whole. */
#ifndef PORTFENCE_CORE_ARENA_H
#define PORTFENCE_CORE_ARENA_H

#include <stddef.h>

/*
 * The pages come straight from the kernel: the fenced program may have a malloc() of
 * its own, which may not be ready yet, or may be the caller. One thread at a time may
 * use an arena. Zeroed memory is an empty arena.
 */
struct arena {
	struct arena_chunk *chunks;
	size_t used;
};

/**
 * arena_start() - Begin an empty arena with memory that needs no system call
 * @memory:	zeroed, aligned for any object; it belongs to the arena for good, which must not be freed
 */
void arena_start(struct arena *arena, void *memory, size_t size);

/**
 * arena_alloc() - Get zeroed memory, aligned for any object
 *
 * Return: NULL if the kernel has none left
 */
void *arena_alloc(struct arena *arena, size_t size);

/* arena_copy() - Copy the first @len bytes of @text and add a NUL. Return: NULL if there is no memory */
char *arena_copy(struct arena *arena, const char *text, size_t len);

/* arena_free() - Free all memory of the arena */
void arena_free(struct arena *arena);

#endif
