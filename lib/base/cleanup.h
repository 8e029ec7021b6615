/*
 * Freeing by scope.
 *
 * CLEANUP(fn) on a local calls fn(&local) when the scope ends; STEAL(p) hands the pointer on and leaves
 * NULL behind, so that the cleanup finds nothing. DEFINE_FREEP(type, fn) writes the small adapter that
 * CLEANUP needs for a `fn(type *)`.
 */
#ifndef MUSTER_BASE_CLEANUP_H
#define MUSTER_BASE_CLEANUP_H

#include <stdlib.h>

#define CLEANUP(fn) __attribute__((cleanup(fn)))
#define STEAL(p)                                                                                   \
	__extension__({                                                                            \
		__typeof__(p) steal_tmp_ = (p);                                                    \
		(p) = NULL;                                                                        \
		steal_tmp_;                                                                        \
	})
#define DEFINE_FREEP(type, fn)                                                                     \
	static inline void fn##p(type **p)                                                         \
	{                                                                                          \
		fn(*p);                                                                            \
	}

static inline void
freep(void *p)
{
	free(*(void **)p);
}

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

#endif
