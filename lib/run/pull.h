/* The one loop around a job kind: next, send, reply, until the pull is complete or its time is up.
 */
#ifndef MUSTER_RUN_PULL_H
#define MUSTER_RUN_PULL_H

#include "run/stream.h"

/* How the error begins when the time is up and the service has not told everything. */
#define PULL_INCOMPLETE "the answer is still incomplete"

/* What one pull is asked for: n cells, at least one, contiguous, oldest first. The first `again` of them are done, and only
 * looked at again: no lines are made of them. */
struct pull_span {
	const struct cell *cells;
	size_t n, again;
	bool second; /* all of them are done, and asked for a second time */
};
/* Where the new ones begin: the end of all, if none is new. */
int64_t pull_first_new_ms(const struct pull_span *span);
/* What becomes of a pulled cell; it and all it points to are gone afterwards. 1: the cells after it are not wanted. */
typedef int cell_taker(struct stream *s, const struct pull_span *span, struct cell_data *d, struct err *err);
/* Pull the cells and hand them to `take` one after the other, oldest first, until one of them fails. The memo is kept even
 * if the pull failed. Errors keep the kind of what stood in the way: ERR_TRANSIENT and ERR_THROTTLED (try the span again
 * later), ERR_AUTH, ERR_DATA, ERR_CANCELLED, ... */
int pull_cells(struct stream *s, struct worker_mem *mem, const struct pull_span *span, cell_taker *take,
	       struct err *err);
/* Cells that ended before this are taken as they are when the service goes on telling less than
 * everything, with a gap on record: later cells do not wait for them for ever. 0: none. */
int64_t pull_makes_do_before(const struct stream *s);

#endif
