/* array: an array that grows and can be sorted; it knows nothing of what is in it. */
#ifndef PORTFENCE_MACHINE_ARRAY_H
#define PORTFENCE_MACHINE_ARRAY_H

#include <stddef.h>

/**
 * array_add() - Add one element, all zeros
 * @array:	where the pointer to the elements is; that is NULL as long as there are none
 * @count:	how many there are, this one included afterwards
 * @size:	of an element
 *
 * The room doubles where the count is a power of two, and is written down nowhere. So an array grows
 * by this function alone; elements may be taken off its end.
 *
 * Return: the element; NULL if there is no memory, and nothing has changed. The others may have moved.
 */
void *array_add(void *array, size_t *count, size_t size);

/* array_sort() - As qsort(3); the pointer to the elements may be NULL if there are none */
void array_sort(void *elements, size_t count, size_t size,
		int (*compare)(const void *, const void *));

/* array_sort_unique() - Sort, and keep one element of equal ones. Return: how many are left */
size_t array_sort_unique(void *elements, size_t count, size_t size,
			 int (*compare)(const void *, const void *));

#endif
