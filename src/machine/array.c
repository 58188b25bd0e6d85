#include "array.h"

#include <stdlib.h>
#include <string.h>

void *array_add(void *array, size_t *count, size_t size)
{
	void *elements, *grown;

	/* a pointer of any type is copied, not cast (C11 6.5) */
	memcpy(&elements, array, sizeof(elements));
	if (!(*count & (*count - 1))) {
		grown = reallocarray(elements, *count ? 2 * *count : 1, size);
		if (!grown)
			return NULL;
		elements = grown;
		memcpy(array, &elements, sizeof(elements));
	}
	return memset((char *)elements + (*count)++ * size, 0, size);
}

void array_sort(void *elements, size_t count, size_t size,
		int (*compare)(const void *, const void *))
{
	if (count)
		qsort(elements, count, size, compare);
}

size_t array_sort_unique(void *elements, size_t count, size_t size,
			 int (*compare)(const void *, const void *))
{
	char *from = elements, *kept = elements, *const end = from + count * size;

	array_sort(elements, count, size, compare);
	for (; from < end; from += size) {
		if (kept != elements && !compare(from, kept - size))
			continue;
		memmove(kept, from, size);
		kept += size;
	}
	return (size_t)(kept - (char *)elements) / size;
}
