/*
 * The states of alarms through time, and what a cell holds of them.
 *
 * An alarm's track is what the account's snapshot says of it now and the changes that its history
 * tells, oldest first. The state at a moment is where the last change before it led to, or where
 * the first change after it came from, or, without any, the state now. It depends on nothing but
 * the history, so a run, a second run and a backfill see the same.
 *
 * A cell has a line for each transition in it (lake) and three series for each alarm (receivers):
 * aws_cloudwatch_alarm_state{alarm,state="ok|alarm|insufficient_data"}, 1 or 0 at the start of each
 * period as the state was at that moment; no point where there was no alarm or nobody knows its
 * state. The labels of an alarm are tenant, account_id, region, the tenant's own and `alarm`;
 * nothing that a change of its state or its definition would change. A label of the tenant's own
 * that is called alarm, alertname or state is left out.
 */
#ifndef MUSTER_MODEL_ALARMS_H
#define MUSTER_MODEL_ALARMS_H

#include "model/series.h"

enum alarm_state {
	ALARM_OK,
	ALARM_FIRING,
	ALARM_INSUFFICIENT,
	ALARM_UNKNOWN, /* it is there, in some state */
	ALARM_ABSENT,  /* not made yet, or deleted */
};
#define ALARM_STATES 3 /* those that have a name */
/* Of CloudWatch's word (OK, ALARM, INSUFFICIENT_DATA); ALARM_UNKNOWN for any other. */
enum alarm_state alarm_state_of(const char *word);
/* CloudWatch's word; NULL for what has none. */
const char *alarm_state_word(enum alarm_state s);

struct alarm_change {
	const char *alarm, *reason;
	int64_t ts_ms;
	enum alarm_state from, to;
	size_t seq; /* order among those of one moment */
};
struct alarm_track {
	const char *name, *arn;
	const char *reason, *description; /* as the snapshot has them */
	enum alarm_state state;		  /* now; ALARM_ABSENT: not in the snapshot */
	int64_t since_ms;		  /* of that state; 0: unknown */
	const struct alarm_change *changes;
	size_t n_changes;
};
/* Order both (tracks by name, changes by alarm and time), leave out what a second page told once
 * more, and give each track its changes. Every change's alarm must have a track. */
void alarm_tracks_sort(struct alarm_track *tracks, size_t n, struct alarm_change *changes,
		       size_t *n_changes);
enum alarm_state alarm_state_at(const struct alarm_track *t, int64_t ts_ms);

/* Whose they are. */
struct alarm_owner {
	struct line_origin origin;
	const struct label *labels; /* the tenant's own */
	size_t n_labels;
};
/* Lines, rows and counts of one cell from sorted tracks. A change that could not be read counts as
 * rejected. */
int alarm_cell_fill(struct cell_data *d, const struct alarm_owner *o,
		    const struct alarm_track *tracks, size_t n, int64_t period_ms, struct err *err);

/* An alarm as it is now, for receivers that take states and no history. */
struct alarm_now {
	const char *name, *arn, *reason, *description;
	const char *state;	     /* CloudWatch's word; DELETED for one that is gone */
	const struct series *series; /* of its state "alarm": labels and identity */
	bool firing;
	int64_t since_ms; /* 0: unknown */
};
/* Fill d->alarms: the tracks of alarms that are there, or were when their history began. */
int alarm_cell_now(struct cell_data *d, const struct alarm_owner *o,
		   const struct alarm_track *tracks, size_t n, int64_t period_ms, struct err *err);

#endif
