/* What the files of fsx and below.c share; nobody else includes it. */
#ifndef MUSTER_BASE_FSX_INT_H
#define MUSTER_BASE_FSX_INT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/fsx.h"

/* errno as an error; a missing file has its own kind, and O_NOFOLLOW's ELOOP its own words. */
int fsx_fail(struct err *err, int errnum, const char *doing, const char *path);
/* Whether a temporary file of this process had that number already. */
bool fsx_tmp_given_out(uint64_t counter);

#endif
