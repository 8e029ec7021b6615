/* The one loop around a job kind: next, send, reply, until the pull is complete or its time is up.
 */
#ifndef MUSTER_RUN_PULL_H
#define MUSTER_RUN_PULL_H

#include "run/stream.h"

/* What becomes of a pulled cell; it and all it points to are gone afterwards. */
typedef int cell_taker(struct stream *s, struct cell_data *d, struct err *err);
/* Pull cells[0..n) of the stream and hand them to `take` one after the other, oldest first, until
 * one of them fails. The memo is kept even if the pull failed. Errors keep the kind of what stood
 * in the way: ERR_TRANSIENT and ERR_THROTTLED (try the span again later), ERR_AUTH, ERR_DATA,
 * ERR_CANCELLED, ... */
int pull_cells(struct stream *s, struct worker_mem *mem, const struct cell *cells, size_t n,
	       cell_taker *take, struct err *err);

#endif
