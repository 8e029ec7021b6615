/*
 * What the commands that pull have in common: a session is opened, its runner works, progress is
 * shown, and what came of it becomes a summary, a report, series about the run and an exit status.
 */
#ifndef MUSTER_RUN_SESSION_RUN_H
#define MUSTER_RUN_SESSION_RUN_H

#include "run/session.h"

struct session_run {
	const char *command;
	bool self_metrics;			 /* push series about this run */
	bool status_page;			 /* write the page that run.status_page names */
	void (*opened)(const struct session *s); /* before anything is done; NULL: nothing */
};
/* Returns the exit status. */
int session_run(const struct session_run *how, const struct options *o,
		const struct config *config);

#endif
