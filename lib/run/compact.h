/*
 * Compaction: the lake objects of an hour become one.
 *
 * Of days that no run can reach any more, and hour by hour, for an hour's folder is what tables have as a
 * partition. For each hour, in this order, of which anyone may repeat each step at any time, also two at once:
 *
 *   1. The manifest: which objects, their checksums, where they will lie; create-only. From here on it is decided what the joined
 *      object of this number holds.
 *   2. The joined object: these objects behind each other; create-only.
 *   3. It is read back, and each object's bytes in it compared with the manifest.
 *   4. The objects go, each only if it is still what was joined.
 *
 * Who comes after a crash finds the manifest and goes on from there. Who reads a cell meanwhile finds its object, or then the
 * manifest that names it (sink/joined.h). A table sees the hour's rows twice between the steps 2 and 4, and at no time less than
 * once. What comes to an hour later (a backfill) is joined under the next number.
 */
#ifndef MUSTER_RUN_COMPACT_H
#define MUSTER_RUN_COMPACT_H

#include "base/clock.h"
#include "store/store.h"

struct compact_stream {
	struct store *lake;
	struct clock *clock;
	const char *job, *tenant, *region;
	int64_t before_ms; /* only days that end at or before this */
	bool dry_run;
};
struct compact_counts {
	uint64_t hours;	  /* in which something was joined, or what was begun was ended */
	uint64_t joined;  /* objects made */
	uint64_t objects; /* that are within them now, and gone */
	uint64_t bytes;	  /* of these */
	uint64_t failed;  /* hours that were left, the last one's error in err */
};
/* The days that may be compacted end here: a run reaches back max_catchup, and looks for what came late as long before that
 * as `reach_ms` says; a day is left between. */
int64_t compact_before_ms(int64_t now_ms, int64_t max_catchup_ms, int64_t reach_ms);
/* 0: all hours are done. -1: some are not, the others are. What was done is counted in any case. */
int compact_stream(const struct compact_stream *s, struct compact_counts *ret, struct err *err);

#endif
