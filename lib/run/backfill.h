/*
 * What makes a session one of a backfill: its window, its name, where its checkpoints are, and the
 * slices that each job's window is cut into.
 *
 * The name is a function of what was asked: the window, the jobs with their definitions, the folder
 * written to. So the same window given again finds its checkpoints, and another definition does not.
 */
#ifndef MUSTER_RUN_BACKFILL_H
#define MUSTER_RUN_BACKFILL_H

#include "run/config.h"
#include "run/plan.h"
#include "run/window.h"

struct backfill {
	struct cell asked;
	char name[64];
	char base[80]; /* for commit_env: "backfills/<name>/" */
};

/* What one checkpoint is about: all of a job, or a slice of a backfill's window. */
struct job_slice {
	struct plan plan;
	char doc[96]; /* the checkpoint's name: "<job>" or "<job>.<start>" */
};

/* The window, told from now_ms where it is relative. ERR_USAGE: it cannot be understood, or --into
 * does not fit. */
int backfill_read(const struct options *o, const struct config *c, int64_t now_ms,
		  struct backfill *ret, struct err *err);
/* Cuts a job's window into slices (one, where the job cannot be pulled in several places at once),
 * oldest first, those left out of which nothing is due. `whole` is
 * the job's plan without a window. The caller frees *ret. */
int backfill_cut(const struct backfill *b, const struct job *job, const struct plan *whole,
		 struct job_slice **ret, size_t *ret_n, struct err *err);
/* How many slices, the newest, hold cells that a sink with a maximum age still takes. */
size_t backfill_fresh(const struct job_slice *slices, size_t n);

#endif
