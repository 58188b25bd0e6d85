#include "arena.h"

#include <stdalign.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>

#define BLOCK_SIZE ((size_t)64 << 10)

struct arena_block {
	alignas(max_align_t) struct arena_block *next;
	size_t size;
	alignas(max_align_t) unsigned char data[];
};

void *arena_alloc(struct arena *arena, size_t size)
{
	struct arena_block *block = arena->blocks;

	if (size > SIZE_MAX / 2)
		return NULL;
	size = (size + alignof(max_align_t) - 1) & ~(alignof(max_align_t) - 1);
	if (!block || block->size - arena->used < size) {
		size_t whole = size + sizeof(*block);

		whole = (whole + BLOCK_SIZE - 1) & ~(BLOCK_SIZE - 1);
		block = mmap(NULL, whole, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
			     0);
		if (block == MAP_FAILED)
			return NULL;
		block->size = whole - sizeof(*block);
		/* behind what is large, small things go on where they were: on fewer pages */
		if (arena->blocks && whole > BLOCK_SIZE) {
			block->next = arena->blocks->next;
			arena->blocks->next = block;
			return block->data;
		}
		block->next = arena->blocks;
		arena->blocks = block;
		arena->used = 0;
	}
	arena->used += size;
	return block->data + arena->used - size;
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
	while (arena->blocks) {
		struct arena_block *block = arena->blocks;

		arena->blocks = block->next;
		munmap(block, block->size + sizeof(*block));
	}
	arena->used = 0;
}
