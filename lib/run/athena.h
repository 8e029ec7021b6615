/*
 * Tables over the lake for Athena, and for whatever else reads Hive's definitions.
 */
#ifndef MUSTER_RUN_ATHENA_H
#define MUSTER_RUN_ATHENA_H

#include "run/config.h"

/* `muster help athena`: for each job that writes to a lake, the statement that makes its table and questions to ask of it. `c`: with
 * the tenants that were found. SQL, with comments; a failure is in `out`. */
void athena_text(const struct config *c, struct buf *out);

#endif
