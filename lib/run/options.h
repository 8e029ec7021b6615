/*
 * The command line: one table of options for all commands.
 */
#ifndef MUSTER_RUN_OPTIONS_H
#define MUSTER_RUN_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/log.h"

#define OPTIONS_MAX_GLOBS 64

enum progress_mode { PROGRESS_AUTO, PROGRESS_ALWAYS, PROGRESS_NEVER };

struct options {
	const char *config;
	const char *jobs[OPTIONS_MAX_GLOBS], *tenants[OPTIONS_MAX_GLOBS];
	size_t n_jobs, n_tenants;
	int64_t workers; /* 0: as configured */
	int64_t shard, shards;
	const char *now; /* text, read later: it may be relative */
	enum log_format log_format;
	enum log_level log_level;
	enum progress_mode progress;
	const char *report;
	bool dry_run, help;
};

/* argv[0] is the command's name. -1: one clear error in err (ERR_USAGE). */
int options_parse(int argc, char **argv, struct options *ret, struct err *err);
/* The options as help text. */
void options_help(struct buf *out);

#endif
