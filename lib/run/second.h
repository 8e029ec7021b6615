/*
 * Rows that come after their cell was frozen: `revisit: once`.
 *
 * What a stream's `seen` holds then is only which cells are still to be asked for a second time. It is written down no
 * later than that the cell is done, so what was on the way when a run died is not forgotten. A cell is due `hold` after
 * its end, and not at all if its first asking was that late. It is asked for by the same query; what it brings is
 * compared with the frozen cell and its late objects (row_news.h), and what these do not hold becomes the next late
 * object: created only if absent, and one that is there already is taken over and the rest tried under the next number.
 * Then the sinks that have the cell get it, and the cell does not wait any more.
 *
 * Each step may be repeated: an asking that was begun is collected (the job kind's memo has its queries), and what it
 * brings is in the late object that was made of it.
 *
 * Not asked for again are the cells of an older definition of the job, and in backfills. Whatever else comes in between
 * is a gap on record.
 */
#ifndef MUSTER_RUN_SECOND_H
#define MUSTER_RUN_SECOND_H

#include "run/stream.h"

/* Once a run: what waited too long is given up. */
int second_begin(struct stream *s, struct err *err);
/* The job was changed: no query that there is now made the cells in s->seen. */
void second_changed(struct stream *s);
/* Just before a cell counts as done: whether it waits for a second asking. `old`: what it holds may have been asked for
 * by an earlier run, so one is due be it ever so long ago. */
int second_expect(struct stream *s, const struct cell_data *d, bool old, struct err *err);
/* The oldest cell that is due. */
bool second_due(const struct stream *s, struct cell *ret);
int second_ask(struct stream *s, struct worker_mem *mem, struct cell cell, struct err *err);

#endif
