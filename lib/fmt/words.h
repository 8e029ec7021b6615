/*
 * A command line cut into words as a POSIX shell would, and nothing more: blanks separate, '...' and "..." and \ quote.
 * No variables, globs, pipes or substitutions: what a shell would act on is an ordinary character here.
 */
#ifndef MUSTER_FMT_WORDS_H
#define MUSTER_FMT_WORDS_H

#include "base/buf.h"

/* *ret is a NULL-terminated list in one allocation, which the caller frees. A quote that is not closed, or a \ at the end,
 * is ERR_USAGE. */
int words_split(struct sv line, char ***ret, size_t *ret_n, struct err *err);

#endif
