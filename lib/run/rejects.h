/* Samples that a receiver refused for good, as NDJSON lines for the lake.
 */
#ifndef MUSTER_RUN_REJECTS_H
#define MUSTER_RUN_REJECTS_H

#include "sink/sink.h"

#define REJECTS_MAX (256u << 20)

struct rejects {
	struct buf lines;
	const char *sink;
	const struct publish *p;
	uint64_t n;
};
void rejects_init(struct rejects *r, const char *sink, const struct publish *p);
void rejects_done(struct rejects *r);
/* For struct publish: arg is the struct rejects. */
void rejects_add(void *arg, const struct series *s, int64_t ts_ms, double value, int status,
		 const char *reason);

#endif
