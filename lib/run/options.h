/*
 * The command line: one table of options for all commands; each row says which commands take it.
 */
#ifndef MUSTER_RUN_OPTIONS_H
#define MUSTER_RUN_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/log.h"

#define OPTIONS_MAX_GLOBS 64
#define OPTIONS_MAX_WORDS 8

/* Commands, as bits: a row of the table belongs to some of them. */
enum options_for {
	FOR_RUN = 1,
	FOR_BACKFILL = 2,
	FOR_PLAN = 4,
	FOR_CHECK = 8,
	FOR_STATUS = 16,
	FOR_STATE = 32,
	FOR_COMPACT = 64,
	FOR_INIT = 128,
	FOR_ATHENA = 256,
};

enum progress_mode { PROGRESS_AUTO, PROGRESS_ALWAYS, PROGRESS_NEVER };

struct options {
	enum options_for command;
	const char *config;
	const char *jobs[OPTIONS_MAX_GLOBS], *tenants[OPTIONS_MAX_GLOBS];
	size_t n_jobs, n_tenants;
	int64_t workers; /* 0: as configured */
	int64_t shard, shards;
	const char *now; /* text, read later: it may be relative */
	const char *from, *to, *into; /* texts of times; `to` also of state */
	enum log_format log_format;
	enum log_level log_level;
	enum progress_mode progress;
	const char *report;
	bool dry_run, json, help, audit_trust;
	const char *every; /* plan: lengths to compare */
	/* status */
	int64_t max_lag_ms; /* -1: not given */
	const char *html;
	/* state */
	const char *region, *sink, *reason;
	bool yes, force;
	/* What stands beside options, in order; only commands that say so take any. */
	const char *words[OPTIONS_MAX_WORDS];
	size_t n_words;
};

/* argv[0] is the command's name. Takes the options of `command` and at most max_words other words.
 * -1: one clear error in err (ERR_USAGE). Strings are those of argv. */
int options_parse(enum options_for command, size_t max_words, int argc, char **argv,
		  struct options *ret, struct err *err);
/* Is the name one that --job or --tenant chose? All are, where nothing was chosen. */
bool options_match(const char *const *globs, size_t n, const char *name);
/* The options of `command` as help text. */
void options_help(enum options_for command, struct buf *out);

#endif
