#include "arena.h"

#include <stdalign.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>

#define CHUNK_SIZE ((size_t)64 << 10)

struct arena_chunk {
	alignas(max_align_t) struct arena_chunk *next;
	size_t size;
	alignas(max_align_t) unsigned char data[];
};

void arena_start(struct arena *arena, void *memory, size_t size)
{
	arena->chunks = memory;
	arena->chunks->size = size - sizeof(*arena->chunks);
}

void *arena_alloc(struct arena *arena, size_t size)
{
	struct arena_chunk *chunk = arena->chunks;

	if (size > SIZE_MAX / 2)
		return NULL;
	size = (size + alignof(max_align_t) - 1) & ~(alignof(max_align_t) - 1);
	if (!chunk || chunk->size - arena->used < size) {
		size_t whole = size + sizeof(*chunk);

		whole = (whole + CHUNK_SIZE - 1) & ~(CHUNK_SIZE - 1);
		chunk = mmap(NULL, whole, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
			     0);
		if (chunk == MAP_FAILED)
			return NULL;
		chunk->size = whole - sizeof(*chunk);
		/* the current chunk stays in use for small objects, so that fewer pages are touched */
		if (arena->chunks && whole > CHUNK_SIZE) {
			chunk->next = arena->chunks->next;
			arena->chunks->next = chunk;
			return chunk->data;
		}
		chunk->next = arena->chunks;
		arena->chunks = chunk;
		arena->used = 0;
	}
	arena->used += size;
	return chunk->data + arena->used - size;
}

char *arena_copy(struct arena *arena, const char *text, size_t len)
{
	char *copy = arena_alloc(arena, len + 1);

	if (copy)
		memcpy(copy, text, len);
	return copy;
}

void arena_free(struct arena *arena)
{
	while (arena->chunks) {
		struct arena_chunk *chunk = arena->chunks;

		arena->chunks = chunk->next;
		munmap(chunk, chunk->size + sizeof(*chunk));
	}
	arena->used = 0;
}
