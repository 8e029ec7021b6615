/*
 * muster backfill: what run does, over a window that was given, beside the scheduled checkpoints.
 *
 * It pushes no series about itself: those of streams tell of the scheduled checkpoints, and a
 * backfill that went well is no sign that the schedule does.
 */
#include "base/timefmt.h"
#include "run/command.h"
#include "run/command_line.h"
#include "run/session_run.h"

static void
say(enum log_level level, const char *event, const char *job, struct cell range)
{
	char from[TIME_TEXT_MAX];
	char to[TIME_TEXT_MAX];

	time_format_ms(range.start_ms, from);
	time_format_ms(range.end_ms, to);
	log_event(level, event, LOG_S("job", job), LOG_S("from", from), LOG_S("to", to));
}

/* What will be done is not always what was typed. */
static void
say_window(const struct session *s, const struct job_plan *p)
{
	struct cell asked = s->backfill.asked;
	struct cell whole = window_widen(asked, p->plan.every_ms);
	int64_t due = plan_due_end(&p->plan);

	if (whole.start_ms != asked.start_ms || whole.end_ms != asked.end_ms)
		say(LOG_INFO, "window widened to whole cells", p->job->name, whole);
	if (whole.end_ms > due)
		say(LOG_WARN, "cells that are not due yet are left out", p->job->name,
		    (struct cell){due > whole.start_ms ? due : whole.start_ms, whole.end_ms});
}

static void
say_windows(const struct session *s)
{
	log_event(LOG_INFO, "backfill begins", LOG_S("name", s->backfill.name),
		  LOG_I("cells", s->runner.window_cells), LOG_S("into", s->options->into));
	for (size_t i = 0; i < s->config->n_jobs; i++)
		if (s->plans[i].job)
			say_window(s, &s->plans[i]);
}

int
cmd_backfill(int argc, char **argv)
{
	static const struct session_run how = {.command = "backfill", .opened = say_windows};
	static const struct command_line line = {
	    .command = FOR_BACKFILL,
	    .usage =
		"usage: muster backfill --from TIME --to TIME [OPTION]...\n\n"
		"Does every job for every tenant over the cells of this window, and leaves the\n"
		"checkpoints of scheduled runs alone. Stopped and given again with the same\n"
		"window, it carries on. Cells that are in the lake already are taken from there.",
	};
	struct config *config = NULL;
	struct options o;
	int status;

	if (!command_begin(&line, argc, argv, &o, &config, &status))
		return status;
	status = session_run(&how, &o, config);
	config_free(config);
	return status;
}
