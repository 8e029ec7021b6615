/*
 * Cells: the fixed grid of time.
 *
 * A cell is [start, end) in milliseconds since the epoch; start is a multiple of `every`. Nothing
 * about a cell depends on when the program ran: bounds, names and keys are pure functions of (job,
 * tenant, region, every, k).
 */
#ifndef MUSTER_MODEL_CELL_H
#define MUSTER_MODEL_CELL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"

struct cell {
	int64_t start_ms, end_ms;
};

/* The start of the cell that holds ts (floor, also before the epoch). */
int64_t cell_floor(int64_t ts_ms, int64_t every_ms);
/* `every` is valid if it is a positive multiple of `period` (0: no period), in whole seconds (names
 * tell no less), and divides an hour, or is whole hours dividing a day. */
bool cell_every_valid(int64_t every_ms, int64_t period_ms);
/* End of the newest due cell: the largest k * every with end + delay <= now. */
int64_t cell_due_end(int64_t now_ms, int64_t every_ms, int64_t delay_ms);

/* What stands behind the lake's URL:
 * <job>/tenant=<id>/region=<region>/dt=YYYY-MM-DD/hh=HH/<start>-<end>[.late-<n>].ndjson.zst (late
 * 0: the base object). */
void cell_lake_key(struct buf *out, const char *job, const char *tenant, const char *region,
		   struct cell c, unsigned late);
/* The beginning of all keys of a day: .../dt=YYYY-MM-DD/ */
void cell_lake_day(struct buf *out, const char *job, const char *tenant, const char *region,
		   int64_t day_ms);
/* The start of the cell that a key's last part is named after. */
bool cell_of_key(const char *key, int64_t *ret_start_ms);
/*
 * What `muster compact` makes: the objects of an hour, joined, in the hour's own folder; and what they are made of, outside of
 * the folders that tables are over:
 * <job>/tenant=.../hh=HH/<start>-<end of the hour>.joined-<n>.ndjson.zst
 * _compact/<job>/tenant=.../hh=HH/<start>-<end of the hour>.joined-<n>.json
 */
void cell_joined_key(struct buf *out, const char *job, const char *tenant, const char *region,
		     int64_t ms, unsigned n);
void cell_manifest_key(struct buf *out, const char *job, const char *tenant, const char *region,
		       int64_t ms, unsigned n);
/* What a lake object's name says of it (the key's last part). False: none of muster's. */
struct cell_name {
	struct cell cell;
	unsigned late;	 /* 0: the base object */
	unsigned joined; /* 0: it is one cell's */
};
bool cell_name_parse(const char *name, struct cell_name *ret);
/* <job>/tenant=.../<start>-<end>.om, as in the lake */
void cell_openmetrics_key(struct buf *out, const char *job, const char *tenant, const char *region,
			  struct cell c);
/* rejected/<job>/tenant=.../<start>-<end>[-<n>].ndjson.zst */
void cell_rejected_key(struct buf *out, const char *job, const char *tenant, const char *region,
		       struct cell c, unsigned n);

#endif
