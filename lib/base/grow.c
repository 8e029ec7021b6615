/* Arrays that double when they are full; see grow.h. */
#include "base/grow.h"

#include <stdlib.h>

#define FIRST 64

void *
array_grow(void *v, size_t n, size_t *cap, size_t size, struct err *err)
{
	size_t want = *cap ? *cap * 2 : FIRST;
	void *p;

	if (n < *cap)
		return v;
	p = reallocarray(v, want, size);
	if (!p)
		(void)err_nomem(err);
	else
		*cap = want;
	return p;
}
