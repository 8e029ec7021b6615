/* How far a run has come, on stderr: live on a terminal, a line each 30 s elsewhere. */
#ifndef MUSTER_RUN_PROGRESS_H
#define MUSTER_RUN_PROGRESS_H

#include "run/options.h"
#include "run/runner.h"

struct progress {
	bool live; /* a terminal: one line, rewritten */
	bool off;
	int fd;
	struct clock *clock;
	int64_t started_mono_ms, shown_mono_ms;
	size_t width; /* of the live line that stands there now */
};
void progress_init(struct progress *p, enum progress_mode mode, int fd, struct clock *clock);
/* For struct runner.tick; arg is the struct progress. */
void progress_tick(const struct runner *r, void *arg);
/* Clears a live line. */
void progress_end(struct progress *p);

#endif
