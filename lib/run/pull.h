/* The one loop around a job kind: next, send, reply, until the pull is complete or its time is up.
 */
#ifndef MUSTER_RUN_PULL_H
#define MUSTER_RUN_PULL_H

#include "run/stream.h"

/* How the error begins when the time is up and the service has not told everything. */
#define PULL_INCOMPLETE "the answer is still incomplete"

/* Pull cells[0..n) of the stream into data[0..n) (initialised by the caller). The memo is kept even
 * if the pull failed. Errors keep the kind of what stood in the way: ERR_TRANSIENT and
 * ERR_THROTTLED (try the span again later), ERR_AUTH, ERR_DATA, ERR_CANCELLED, ... */
int pull_cells(struct stream *s, struct worker_mem *mem, const struct cell *cells,
	       struct cell_data *data, size_t n, struct err *err);
/* Cells that ended before this are taken as they are when the service goes on telling less than
 * everything, with a gap on record: later cells do not wait for them for ever. 0: none. */
int64_t pull_makes_do_before(const struct stream *s);

#endif
