/* Calls to AWS as state holds them: {"monitoring GetMetricData 200": 12}. */
#ifndef MUSTER_STATE_CALLS_H
#define MUSTER_STATE_CALLS_H

#include <jansson.h>

#include "base/err.h"
#include "base/tally.h"

/* NULL without memory. */
json_t *calls_json(const struct tally *t);
/* Into the empty *t; `path` is for errors (ERR_DATA). NULL: none. An empty object is refused, for none is written. */
int calls_read(json_t *calls, const char *path, struct tally *t, struct err *err);

#endif
