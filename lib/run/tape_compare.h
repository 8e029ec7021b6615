/* Two folders of outputs side by side: what was expected, and what came. */
#ifndef MUSTER_RUN_TAPE_COMPARE_H
#define MUSTER_RUN_TAPE_COMPARE_H

#include <stdbool.h>
#include <stdio.h>

#include "base/err.h"

/*
 * Compares every file below both, .zst files by their content unless `bytes`. The first differences go to `out` as a diff
 * does it. *ret_different: how many files differ, are missing or too many.
 */
int tape_compare(const char *expected, const char *found, bool bytes, FILE *out, size_t *ret_different, struct err *err);
/* Makes `expected` hold the files of `found` and no others of its kind (*.zst). */
int tape_update(const char *expected, const char *found, struct err *err);

#endif
