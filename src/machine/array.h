/* array: makes room in an array that grows; it knows nothing of what is in it. */
#ifndef PORTFENCE_MACHINE_ARRAY_H
#define PORTFENCE_MACHINE_ARRAY_H

#include <stddef.h>

/**
 * array_grow() - Make room for one more element
 * @array:	NULL, or what the last call returned
 * @count:	elements in it
 * @size:	of an element
 *
 * Call it for each element that is added, as the room doubles where the count is
 * a power of two and is written down nowhere.
 *
 * Return: the array, which may have moved; NULL if there is no memory, @array is as it was then
 */
void *array_grow(void *array, size_t count, size_t size);

#endif
