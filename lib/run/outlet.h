/*
 * A sink as the runner sees it: opened or not, up or down.
 *
 * A sink that keeps failing is left alone for a while, so that a receiver that is down costs each
 * tenant a moment and not a chain of time-outs: its cursors wait, freezing goes on. Thread-safe.
 */
#ifndef MUSTER_RUN_OUTLET_H
#define MUSTER_RUN_OUTLET_H

#include <pthread.h>

#include "sink/sink.h"

#define OUTLET_FAILURES 3     /* in a row, by whatever tenant, before a sink counts as down */
#define OUTLET_DOWN_MS	10000 /* for so long it is not tried again */
#define OUTLET_OPENINGS 4     /* of one sink, after 1, 2 and 4 s: it stays closed for all of the run */

struct outlet {
	const struct sink_conf *conf;
	struct sink *sink; /* NULL: could not be opened, see why */
	struct clock *clock;
	struct err why;
	struct {
		pthread_mutex_t mu;
		unsigned failures; /* in a row */
		int64_t down_until_mono_ms;
		struct err last;
		uint64_t cells_ok, cells_failed;
	} locked;
};

/* Opens every sink, more than once if what is wrong may pass, but none again 15 s after the first; one that cannot be opened keeps its error
 * and fails its cells. -1 only without memory. */
int outlets_open(const struct sink_conf *confs, size_t n, const struct sink_env *env,
		 struct outlet **ret, struct err *err);
/* The same without opening any: only what they are called and how they are configured is known. */
int outlets_closed(const struct sink_conf *confs, size_t n, struct clock *clock,
		   struct outlet **ret, struct err *err);
void outlets_free(struct outlet *o, size_t n);
/* sink->ops->publish behind the breaker. */
int outlet_publish(struct outlet *o, const struct publish *p, const struct cell_data *d,
		   struct published *ret, struct err *err);
/* True if something was tried and nothing ever worked. */
bool outlet_dead(struct outlet *o);

#endif
