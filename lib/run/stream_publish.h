/*
 * How what a cell holds gets to the stream's sinks; for the other parts of the stream alone.
 *
 * One thread at a time, as for the stream. Errors that concern one sink are kept in the stream
 * (stream_block); what is returned concerns the whole of it.
 */
#ifndef MUSTER_RUN_STREAM_PUBLISH_H
#define MUSTER_RUN_STREAM_PUBLISH_H

#include "run/stream.h"

/* To every sink that may have it now; what is left over shows when the others have it. `adopted`: others froze it, and
 * may have sent it, too. ERR_CANCELLED, or what keeps all sinks from it. */
int stream_publish_all(struct stream *s, const struct cell_data *d, bool adopted, struct err *err);
/* Of an older cell there is nothing to tell a sink (the plan's k-th) that takes how things stand: it is done. */
bool stream_has_nothing_for(const struct stream *s, size_t k, struct cell cell);
/* Lines of a cell with what came late. */
uint64_t stream_lines_of(const struct cell_data *d);
/* Into *to (initialised): what of d, which is `whole` or a part of it that came late, a sink of samples gets: no more
 * series than max_series. */
int stream_most_series(struct stream *s, const struct cell_data *whole, const struct cell_data *d,
		       struct cell_data *to, struct err *err);
/* What a sink refused, to the lake, if there is one. */
int stream_write_rejects(struct stream *s, const struct publish *p, const struct rejects *rej,
			 struct cell cell, struct err *err);
/* What became of samples (r), into the statistics; `samples`: the sink takes these, and not lines. */
void stream_count_published(struct stream *s, size_t k, const struct published *r, bool samples);
/* This sink gets no further cells of the stream before the failed one. */
void stream_block(struct stream *s, size_t k, const struct err *err);
/* Waiting a little may help against this kind of error. */
bool stream_may_pass(enum err_kind kind);

#endif
