/* The command line; see options.h. */
#include "run/options.h"

#include <fnmatch.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/num.h"
#include "run/shard.h"

enum {
	OPT_JOB = 256,
	OPT_TENANT,
	OPT_WORKERS,
	OPT_SHARD,
	OPT_NOW,
	OPT_FORMAT,
	OPT_LEVEL,
	OPT_PROGRESS,
	OPT_REPORT,
	OPT_DRY,
	OPT_JSON,
	OPT_EVERY,
	OPT_AUDIT,
	OPT_FROM,
	OPT_TO,
	OPT_INTO,
	OPT_MAX_LAG,
	OPT_HTML,
	OPT_REGION,
	OPT_SINK,
	OPT_REASON,
	OPT_YES,
	OPT_FORCE
};

#define FOR_PULLING  (FOR_RUN | FOR_BACKFILL)
#define FOR_CHOOSING (FOR_PULLING | FOR_PLAN | FOR_CHECK | FOR_STATUS | FOR_STATE | FOR_COMPACT)
#define FOR_ALL	     (FOR_CHOOSING | FOR_INIT | FOR_ATHENA)

static const struct row {
	unsigned commands; /* enum options_for */
	struct option opt;
	const char *arg, *help;
} rows[] = {
    {FOR_ALL,
     {"config", required_argument, NULL, 'c'},
     "FILE",
     "the configuration (default: $MUSTER_CONFIG, ./muster.yaml, /etc/muster/muster.yaml)"},
    {FOR_BACKFILL | FOR_PLAN,
     {"from", required_argument, NULL, OPT_FROM},
     "TIME",
     "the window: RFC 3339, YYYY-MM-DD, or relative (now-7d)"},
    {FOR_BACKFILL | FOR_PLAN,
     {"to", required_argument, NULL, OPT_TO},
     "TIME",
     "its end, not included"},
    {FOR_BACKFILL | FOR_PLAN,
     {"into", required_argument, NULL, OPT_INTO},
     "NAME",
     "write to this folder instead of the job's (with one --job)"},
    {FOR_CHOOSING,
     {"job", required_argument, NULL, OPT_JOB},
     "NAME",
     "only these jobs (repeatable, globs allowed)"},
    {FOR_CHOOSING,
     {"tenant", required_argument, NULL, OPT_TENANT},
     "ID",
     "only these tenants (repeatable, globs allowed)"},
    {FOR_PULLING | FOR_CHECK | FOR_PLAN | FOR_COMPACT,
     {"workers", required_argument, NULL, OPT_WORKERS},
     "N",
     "cells in flight (default: run.workers)"},
    {FOR_CHOOSING,
     {"shard", required_argument, NULL, OPT_SHARD},
     "I/N",
     "this process is number I (from 0) of N"},
    {FOR_CHOOSING,
     {"now", required_argument, NULL, OPT_NOW},
     "TIME",
     "take this as the present (default: AWS's clock)"},
    {FOR_CHOOSING,
     {"log-format", required_argument, NULL, OPT_FORMAT},
     "text|logfmt|json",
     "the log on stderr"},
    {FOR_CHOOSING,
     {"log-level", required_argument, NULL, OPT_LEVEL},
     "LEVEL",
     "error, warn, info or debug (default: info)"},
    {FOR_CHOOSING, {"verbose", no_argument, NULL, 'v'}, NULL, "the same as --log-level debug"},
    {FOR_CHOOSING, {"quiet", no_argument, NULL, 'q'}, NULL, "the same as --log-level error"},
    {FOR_PULLING | FOR_COMPACT,
     {"progress", required_argument, NULL, OPT_PROGRESS},
     "auto|always|never",
     "how far the run has come, on stderr"},
    {FOR_PULLING | FOR_COMPACT,
     {"report", required_argument, NULL, OPT_REPORT},
     "FILE",
     "the run report as JSON (- is stdout)"},
    {FOR_PULLING,
     {"dry-run", no_argument, NULL, OPT_DRY},
     NULL,
     "pull and normalise, write nothing"},
    {FOR_COMPACT,
     {"dry-run", no_argument, NULL, OPT_DRY},
     NULL,
     "count what would be joined, change nothing"},
    {FOR_CHECK | FOR_STATUS | FOR_STATE | FOR_PLAN,
     {"json", no_argument, NULL, OPT_JSON},
     NULL,
     "as JSON, on stdout"},
    {FOR_PLAN,
     {"every", required_argument, NULL, OPT_EVERY},
     "LIST",
     "compare cells, and runs, of these lengths: 1m,5m,15m,1h"},
    {FOR_CHECK,
     {"audit-trust", no_argument, NULL, OPT_AUDIT},
     NULL,
     "try whether roles can be assumed without their external id, too"},
    {FOR_STATUS,
     {"max-lag", required_argument, NULL, OPT_MAX_LAG},
     "DURATION",
     "exit 1 if a stream is further behind than this (15m, 2h)"},
    {FOR_STATUS,
     {"html", required_argument, NULL, OPT_HTML},
     "FILE",
     "write a page instead of the table (- is stdout)"},
    {FOR_STATE,
     {"region", required_argument, NULL, OPT_REGION},
     "NAME",
     "only the stream of this region"},
    {FOR_STATE,
     {"sink", required_argument, NULL, OPT_SINK},
     "NAME",
     "only the cursor of this sink"},
    {FOR_STATE,
     {"to", required_argument, NULL, OPT_TO},
     "TIME",
     "where cursors go: RFC 3339, YYYY-MM-DD or now-6h"},
    {FOR_STATE,
     {"reason", required_argument, NULL, OPT_REASON},
     "TEXT",
     "why: needed for every change, and recorded"},
    {FOR_STATE,
     {"dry-run", no_argument, NULL, OPT_DRY},
     NULL,
     "say what would be changed, change nothing"},
    {FOR_STATE,
     {"yes", no_argument, NULL, OPT_YES},
     NULL,
     "change more than one checkpoint at once"},
    {FOR_STATE,
     {"force", no_argument, NULL, OPT_FORCE},
     NULL,
     "release: also a lease that is not over yet"},
    {FOR_ALL, {"help", no_argument, NULL, 'h'}, NULL, "this text"},
};
#define N_ROWS (sizeof(rows) / sizeof(rows[0]))

static int
add_glob(const char **list, size_t *n, const char *value, struct err *err)
{
	if (*n == OPTIONS_MAX_GLOBS)
		return err_set(err, ERR_USAGE, "more than %d of one option", OPTIONS_MAX_GLOBS);
	list[(*n)++] = value;
	return 0;
}

static int
parse_progress(const char *text, struct options *o, struct err *err)
{
	static const char *const words[] = {"auto", "always", "never"};

	for (size_t i = 0; i < 3; i++)
		if (!strcmp(text, words[i])) {
			o->progress = (enum progress_mode)i;
			return 0;
		}
	return err_set(err, ERR_USAGE, "--progress %s: expected auto, always or never", text);
}

/* Flags, and the texts that only `status`, `state` and `plan` take. */
static void
parse_rest(int c, const char *arg, struct options *o)
{
	const char **text = c == OPT_REGION   ? &o->region
			    : c == OPT_EVERY  ? &o->every
			    : c == OPT_HTML   ? &o->html
			    : c == OPT_SINK   ? &o->sink
			    : c == OPT_REASON ? &o->reason
					      : NULL;

	if (text)
		*text = arg;
	o->yes = o->yes || c == OPT_YES;
	o->force = o->force || c == OPT_FORCE;
	o->log_level = c == 'v' ? LOG_DEBUG : c == 'q' ? LOG_ERROR : o->log_level;
	o->dry_run = o->dry_run || c == OPT_DRY;
	o->json = o->json || c == OPT_JSON;
	o->audit_trust = o->audit_trust || c == OPT_AUDIT;
	o->help = o->help || c == 'h';
}

static int
parse_one(int c, const char *arg, struct options *o, struct err *err)
{
	switch (c) {
	case 'c':
		o->config = arg;
		return 0;
	case OPT_JOB:
		return add_glob(o->jobs, &o->n_jobs, arg, err);
	case OPT_TENANT:
		return add_glob(o->tenants, &o->n_tenants, arg, err);
	case OPT_WORKERS:
		if (num_i64(sv_of(arg), &o->workers) && o->workers >= 1 && o->workers <= 1024)
			return 0;
		return err_set(err, ERR_USAGE, "--workers %s: expected 1 to 1024", arg);
	case OPT_SHARD:
		return shard_parse(arg, &o->shard, &o->shards, err);
	case OPT_NOW:
		o->now = arg;
		return 0;
	case OPT_FROM:
		o->from = arg;
		return 0;
	case OPT_TO:
		o->to = arg;
		return 0;
	case OPT_INTO:
		o->into = arg;
		return 0;
	case OPT_FORMAT:
		if (log_format_parse(arg, &o->log_format))
			return 0;
		return err_set(err, ERR_USAGE, "--log-format %s: expected text, logfmt or json",
			       arg);
	case OPT_LEVEL:
		if (log_level_parse(arg, &o->log_level))
			return 0;
		return err_set(err, ERR_USAGE,
			       "--log-level %s: expected error, warn, info or debug", arg);
	case OPT_PROGRESS:
		return parse_progress(arg, o, err);
	case OPT_REPORT:
		o->report = arg;
		return 0;
	case OPT_MAX_LAG:
		if (num_duration(sv_of(arg), &o->max_lag_ms))
			return 0;
		return err_set(err, ERR_USAGE, "--max-lag %s: expected a duration like 15m or 2h",
			       arg);
	default:
		parse_rest(c, arg, o);
		return 0;
	}
}

/* The rows of a command, as getopt wants them. */
static void
pick_rows(enum options_for command, struct option longs[N_ROWS + 1])
{
	size_t n = 0;

	for (size_t i = 0; i < N_ROWS; i++)
		if (rows[i].commands & command)
			longs[n++] = rows[i].opt;
	longs[n] = (struct option){0};
}

/* getopt knows the short ones of all commands. */
static bool
takes(enum options_for command, int c)
{
	for (size_t i = 0; i < N_ROWS; i++)
		if (rows[i].opt.val == c && rows[i].commands & command)
			return true;
	return false;
}

/* What was typed goes before what the engine of an array job says. */
static int
place(struct options *o, struct err *err)
{
	if (o->shards)
		return 0;
	if (takes(o->command, OPT_SHARD) && !o->help)
		return shard_from_env(&o->shard, &o->shards, err);
	o->shards = 1;
	return 0;
}

int
options_parse(enum options_for command, size_t max_words, int argc, char **argv,
	      struct options *ret, struct err *err)
{
	struct option longs[N_ROWS + 1];
	int c;

	*ret = (struct options){.command = command, .log_level = LOG_INFO, .max_lag_ms = -1};
	ret->log_format = isatty(STDERR_FILENO) ? LOG_TEXT : LOG_LOGFMT;
	pick_rows(command, longs);
	opterr = 0;
	optind = 1;
	/* NOLINTNEXTLINE(concurrency-mt-unsafe): there are no threads yet */
	while ((c = getopt_long(argc, argv, ":c:vqh", longs, NULL)) != -1) {
		if (c == '?' || c == ':' || !takes(command, c))
			return err_set(err, ERR_USAGE, "%s: %s (see `muster help %s`)",
				       argv[optind - 1],
				       c == ':' ? "needs a value" : "unknown option", argv[0]);
		if (parse_one(c, optarg, ret, err))
			return -1;
	}
	for (; optind < argc; optind++) {
		if (ret->n_words == max_words || ret->n_words == OPTIONS_MAX_WORDS)
			return err_set(err, ERR_USAGE, "unexpected argument: %s", argv[optind]);
		ret->words[ret->n_words++] = argv[optind];
	}
	if (ret->json && ret->html)
		return err_set(err, ERR_USAGE, "--html and --json: choose one");
	return place(ret, err);
}

bool
options_match(const char *const *globs, size_t n, const char *name)
{
	for (size_t i = 0; i < n; i++)
		if (!fnmatch(globs[i], name, 0))
			return true;
	return n == 0;
}

static void
help_row(const struct row *r, struct buf *out)
{
	size_t start = out->n;

	if (r->opt.val < 256)
		buf_fmt(out, "  -%c, ", r->opt.val);
	else
		buf_str(out, "      ");
	buf_fmt(out, "--%s%s%s", r->opt.name, r->arg ? " " : "", r->arg ? r->arg : "");
	while (out->n - start < 38 && buf_ok(out))
		buf_ch(out, ' ');
	buf_fmt(out, " %s\n", r->help);
}

void
options_help(enum options_for command, struct buf *out)
{
	for (size_t i = 0; i < N_ROWS; i++)
		if (rows[i].commands & command)
			help_row(&rows[i], out);
}
