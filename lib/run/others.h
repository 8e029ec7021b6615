/*
 * What other runs may have given to the receivers of a backfill: scheduled ones, and backfills of
 * other windows. Receivers refuse a sample that they have; it must not be called refused then.
 *
 * All is read from the checkpoints of these runs; none of them is touched. One struct for each
 * stream of a backfill, used by the thread that has the stream.
 */
#ifndef MUSTER_RUN_OTHERS_H
#define MUSTER_RUN_OTHERS_H

#include "run/stream.h"

struct others;
/* NULL without memory. */
struct others *others_new(size_t n_sinks);
void others_free(struct others *o);

/* May a scheduled run have given the cell to sink k? False for sinks without order: they refuse
 * nothing. */
bool others_scheduled(struct stream *s, size_t k, struct cell c);
/* May another backfill? They are all looked through, once: so this is asked only after a refusal. */
bool others_backfills(struct stream *s, size_t k, struct cell c);

#endif
