/*
 * Calls to AWS that are no stream's: who the run is, which tenants there are, whether stores work, checkpoints, reports. They
 * are counted for the schedule and the shard, in a document of the state beside the checkpoints, so that these totals, too,
 * only grow; whichever run writes it last adds what it alone knows. A call is in it once: as soon as it is next kept, or never
 * if the run is killed before.
 */
#ifndef MUSTER_RUN_RUN_CALLS_H
#define MUSTER_RUN_RUN_CALLS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/tally.h"
#include "net/transport.h"
#include "store/store.h"

struct run_calls {
	struct store *state;
	struct call_counts *counts;
	const char *run_id;
	char key[64];
	struct tally pending; /* to be written, or written without an answer */
	struct tally later;   /* made while that was written */
	struct tally total;   /* as the document had it when it was last kept */
	unsigned written;
	bool unsure; /* whether the last writing was done */
};
/* Borrows everything. */
void run_calls_init(struct run_calls *c, struct store *state, struct call_counts *counts, const char *run_id,
		    const char *schedule, int64_t shard, int64_t shards);
void run_calls_done(struct run_calls *c);
/* Adds what was counted since to the document, and this writing with it. -1: what was counted stays for the next time. */
int run_calls_keep(struct run_calls *c, struct err *err);

#endif
