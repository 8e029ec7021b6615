/*
 * What `muster state` does to one checkpoint; cmd_state.c says to which.
 *
 * Every change goes by compare-and-swap under the same locks and leases as a run's, is refused while
 * a run holds the lease, and is written into the checkpoint's history with who did it and why.
 */
#ifndef MUSTER_RUN_STATE_COMMAND_H
#define MUSTER_RUN_STATE_COMMAND_H

#include "run/config.h"
#include "run/options.h"
#include "run/status.h"
#include "sink/sink.h"
#include "store/store.h"

enum state_action { STATE_REWIND, STATE_SKIP, STATE_RELEASE, STATE_FORGET };

struct state_env {
	const struct config *config;
	const struct options *options;
	struct store *state;
	int64_t now_ms;	 /* of cells: --now, or the clock */
	int64_t wall_ms; /* of leases and the history: the clock */
	int64_t to_ms;	 /* --to */
	const char *who;
	const struct sink_env *sinks; /* to look into lakes; NULL: only those on disk */
};

/* "user@host"; never empty. */
void state_who(const char *host, char out[256]);

/*
 * One change to one checkpoint. What was changed (with --dry-run: what would be) goes to out, a line
 * each. ERR_CONFLICT: a run holds it, or moved it meanwhile; ERR_USAGE: not possible as asked;
 * ERR_NOTFOUND: there is no such checkpoint, or in it no such region or sink. Nothing was changed in all of these.
 */
int state_change(const struct state_env *env, enum state_action action,
		 const struct status_entry *e, struct buf *out, struct err *err);

/* A checkpoint as text for people. */
void state_show(const struct ckpt *c, int64_t now_ms, struct buf *out);

/* Looks for faults, a line each in out; returns how many. What is only worth knowing is said, too. */
size_t state_verify(const struct state_env *env, const struct status_entry *e, struct buf *out);

#endif
