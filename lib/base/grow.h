/* Arrays that double when they are full. */
#ifndef MUSTER_BASE_GROW_H
#define MUSTER_BASE_GROW_H

#include <stddef.h>

#include "base/err.h"

/* Room in the array v (NULL: none yet) for one more than its n elements of that size: v itself, or what took its place, with *cap set
 * anew. NULL without memory, and v is as it was. */
void *array_grow(void *v, size_t n, size_t *cap, size_t size, struct err *err);

#endif
