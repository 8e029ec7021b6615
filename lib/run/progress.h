/*
 * How far a run has come, on stderr: a few lines below the log, redrawn in place, where that is a terminal; a line of the log
 * each 30 s elsewhere. All that pulls (run, backfill, record, replay) shows it by this module. It costs the
 * workers nothing: the main thread, which waits for them, looks at sums that the runner keeps anyway.
 */
#ifndef MUSTER_RUN_PROGRESS_H
#define MUSTER_RUN_PROGRESS_H

#include "run/options.h"
#include "run/runner.h"

struct progress {
	bool live, off;
	bool anyway; /* asked for by name: whatever the log's level */
	struct clock *clock;
	int64_t started_mono_ms, shown_mono_ms;
};
/* `shared`: something else writes to the terminal while the run goes on, so nothing can be redrawn there. */
void progress_init(struct progress *p, enum progress_mode mode, bool shared, struct clock *clock);
/* For struct runner.tick; arg is the struct progress. */
void progress_tick(const struct runner *r, void *arg);
/* Takes away what is live. */
void progress_end(struct progress *p);

/* What stands on a terminal of so many columns after so many milliseconds: two lines, three where there is trouble. What
 * does not fit is left out from the end, as whole parts. */
void progress_view(const struct runner_progress *g, int64_t elapsed_ms, size_t columns, struct buf *out);
/* Time left in milliseconds, judged by the cells that were done so far, or by tenants where they are not known; 0: that says
 * nothing yet. */
int64_t progress_left_ms(const struct runner_progress *g, int64_t elapsed_ms);

#endif
