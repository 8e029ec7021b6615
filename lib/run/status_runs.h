/*
 * The last day's runs, from their reports in the state: what a page draws its plots from.
 */
#ifndef MUSTER_RUN_STATUS_RUNS_H
#define MUSTER_RUN_STATUS_RUNS_H

#include <stddef.h>
#include <stdint.h>

#include "store/store.h"

#define STATUS_RUNS_MAX	    48		       /* reports that are read, evenly spread */
#define STATUS_RUNS_BYTES   ((size_t)16 << 20) /* of them together, about */
#define STATUS_RUNS_WITHIN  INT64_C(86400000)  /* before now */

struct status_run {
	int64_t now_ms, duration_ms;
	double cells, rows, samples, dollars, failed; /* failed: streams */
	int exit_status;
};
struct status_runs {
	struct status_run v[STATUS_RUNS_MAX]; /* oldest first */
	size_t n;
	size_t of; /* so many reports there are */
};

/* What cannot be read is left out; there may be none at all. state NULL: none. */
void status_runs_read(struct store *state, int64_t now_ms, struct status_runs *ret);

#endif
