/*
 * Memory that runs out: the program is linked with malloc and its kin wrapped (see the Makefile),
 * and gets none at an allocation of choice. Libraries keep theirs: the reader of jansson 2.14
 * writes beyond a buffer that could not grow. What the simulated world needs for itself never
 * fails.
 */
#include "tests/sim/sim.h"

#include <limits.h>
#include <stdatomic.h>
#include <stdlib.h>

/* The linker's names of what is wrapped, and of what wraps it. */
void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t n);
void *__real_reallocarray(void *p, size_t n, size_t size);
char *__real_strdup(const char *s);
char *__real_strndup(const char *s, size_t n);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t n);
void *__wrap_reallocarray(void *p, size_t n, size_t size);
char *__wrap_strdup(const char *s);
char *__wrap_strndup(const char *s, size_t n);

static atomic_bool counting;
static atomic_uint_least64_t count, fail_at;
static _Thread_local unsigned outside; /* in the world, not in the program */

void
sim_alloc_begin(uint64_t at)
{
	count = 0;
	fail_at = at;
	counting = true;
}

uint64_t
sim_alloc_end(void)
{
	counting = false;
	return count;
}

void
sim_alloc_outside(bool yes)
{
	outside += yes ? 1 : UINT_MAX;
}

static bool
none_left(void)
{
	return counting && !outside && ++count == fail_at;
}

void *
__wrap_malloc(size_t n)
{
	return none_left() ? NULL : __real_malloc(n);
}

void *
__wrap_calloc(size_t n, size_t size)
{
	return none_left() ? NULL : __real_calloc(n, size);
}

void *
__wrap_realloc(void *p, size_t n)
{
	return none_left() ? NULL : __real_realloc(p, n);
}

void *
__wrap_reallocarray(void *p, size_t n, size_t size)
{
	return none_left() ? NULL : __real_reallocarray(p, n, size);
}

char *
__wrap_strdup(const char *s)
{
	return none_left() ? NULL : __real_strdup(s);
}

char *
__wrap_strndup(const char *s, size_t n)
{
	return none_left() ? NULL : __real_strndup(s, n);
}
