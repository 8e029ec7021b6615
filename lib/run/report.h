/*
 * What a run did: the report (JSON, for machines), the summary (for people), the exit status.
 */
#ifndef MUSTER_RUN_REPORT_H
#define MUSTER_RUN_REPORT_H

#include "run/backfill.h"
#include "run/found.h"
#include "run/runner.h"

enum exit_status { EXIT_OK = 0, EXIT_SOME_FAILED = 1, EXIT_USAGE = 2, EXIT_CENTRAL = 3 };
/* Of a command that could not make or use a file it was told of: is it that file, or this machine? */
static inline int
exit_for_file(const struct err *err)
{
	return errnum_is_trouble(err->errnum) ? EXIT_CENTRAL : EXIT_USAGE;
}

struct report_input {
	const struct runner *runner;
	const struct run_env *env;
	struct call_counts *counts;
	const struct found *found; /* NULL: all tenants are listed */
	const char *command;
	const struct backfill *backfill; /* NULL: the command was none */
	int64_t started_wall_ms, wall_ms, clock_offset_ms;
	int exit_status;
	const struct err *central; /* what failed centrally; NULL: nothing */
};

struct report_totals {
	size_t streams, done, failed, skipped;
	size_t tenants, tenants_failed;
	struct stream_stats sum;
};
void report_totals(const struct runner *r, struct report_totals *ret);
/* The status that run.fail_on asks for, given the totals. */
int report_exit_status(const struct run_conf *conf, const struct report_totals *t);
/* The whole report as indented JSON, into an empty spool. */
int report_json(const struct report_input *in, struct spool *out, struct err *err);
/* Key in the state store: reports/<date>/<run>.json */
void report_key(const struct run_env *env, struct buf *out);

#endif
