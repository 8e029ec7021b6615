/*
 * muster plan: what run (or, with a window, backfill) would do, ask for and cost, from the
 * configuration and the checkpoints alone.
 *
 * It writes nothing; with the state on disk it takes no credentials and no network.
 */
#include "base/cleanup.h"
#include "base/num.h"
#include "run/command.h"
#include "run/command_line.h"
#include "run/forecast.h"
#include "run/report.h"

#define OUTPUT_MAX    ((size_t)1 << 30)
#define SCHEDULES_MAX 16

static const char usage[] =
    "usage: muster plan [OPTION]...\n\n"
    "What a run would do now: cells, calls to AWS, what is billed, and what that costs by\n"
    "run.prices: this run, a day, a month; how long it takes against run.limits; and what\n"
    "other ways to the same metrics would cost. With --from and --to, what a backfill would\n"
    "do. Nothing is written, and AWS is asked only if the state lies there.\n\n"
    "How many series a stream has, and what its cells hold, is in its checkpoint. What has\n"
    "none is taken to be as the job's other tenants (~), or assumed (*), and said so.\n"
    "Calls are those for data and credentials; not those to receivers and S3, and not what is\n"
    "asked again. Accounts of tenants_from are those that the last run found.\n\n"
    "Exit status: 0; 2 usage or configuration; 3 the state cannot be read.";

static const char more[] =
    "\n--json: one object: format, version, now, config, command (run or backfill), totals,\n"
    "duration, streams, schedules (of --every), other_ways, prices. A stream has tenant, account,\n"
    "job, region, and error or first_run, basis (record, others, assumed), series, cells, pulls,\n"
    "cells_from_lake, given_up_seconds, samples, calls (by service and operation), billed\n"
    "(metrics_requested, calls_billed, bytes_scanned, samples_ingested, objects_put) and\n"
    "estimated_dollars (run, day, month).\n";

/* "1m,5m,1h" */
static int
read_schedules(const struct forecast *f, const char *text, struct forecast_schedule *v, size_t *n,
	       struct err *err)
{
	struct sv rest = sv_of(text);
	bool left = true;

	for (*n = 0; left; (*n)++) {
		const char *comma = memchr(rest.p, ',', rest.n);
		struct sv one = {rest.p, comma ? (size_t)(comma - rest.p) : rest.n};
		int64_t ms;

		if (*n == SCHEDULES_MAX)
			return err_set(err, ERR_USAGE, "--every: more than %d lengths",
				       SCHEDULES_MAX);
		if (!num_duration(one, &ms) || !cell_every_valid(ms, 0))
			return err_set(
			    err, ERR_USAGE,
			    "--every %.*s: expected lengths like 1m,5m,15m,1h, which divide "
			    "an hour or, in whole hours, a day",
			    (int)(one.n < 40 ? one.n : 40), one.p);
		if (forecast_schedule(f, ms, &v[*n], err))
			return -1;
		left = comma != NULL;
		rest.p += one.n + left;
		rest.n -= one.n + left;
	}
	return 0;
}

static void
say_failed(const struct forecast *f)
{
	for (size_t i = 0; i < f->n_streams; i++) {
		const struct forecast_stream *s = &f->streams[i];

		if (err_kept(&s->why)->kind != ERR_NONE)
			log_event(LOG_ERROR, "cannot be foreseen", LOG_S("tenant", s->tenant->id),
				  LOG_S("job", s->job->name), LOG_S("region", s->region),
				  LOG_E(err_kept(&s->why)));
	}
}

static int
show(const struct forecast *f, const struct options *o, struct err *err)
{
	CLEANUP(buf_done) struct buf text = BUF_INIT(OUTPUT_MAX);
	struct forecast_schedule schedules[SCHEDULES_MAX];
	struct forecast_shown shown = {.f = f, .schedules = schedules};

	if (o->every && read_schedules(f, o->every, schedules, &shown.n_schedules, err))
		return -1;
	say_failed(f);
	if (!o->json)
		forecast_table(&shown, &text);
	else if (forecast_json(&shown, &text, err))
		return -1;
	return command_print(&text, "plan", err);
}

static int
with_session(struct session *s, struct err *err)
{
	struct forecast f = {0};
	int r;

	if (!s->state)
		log_event(LOG_WARN, "there is no state yet: all is assumed",
			  LOG_S("state", s->config->state));
	r = forecast_make(s, &f, err);
	if (!r)
		r = show(&f, s->options, err);
	forecast_done(&f);
	return r;
}

int
cmd_plan(int argc, char **argv)
{
	static const struct command_line line = {.command = FOR_PLAN, .usage = usage, .more = more};
	struct config *config = NULL;
	struct err err = {0};
	struct options o;
	struct session s;
	int status;

	if (!command_begin(&line, argc, argv, &o, &config, &status))
		return status;
	command_catch_signals(session_clock());
	status = EXIT_OK;
	if (session_open_plan(&s, config, &o, session_clock(), &err) || with_session(&s, &err)) {
		status = err.kind == ERR_USAGE ? EXIT_USAGE : EXIT_CENTRAL;
		log_event(LOG_ERROR, "no plan", LOG_E(&err));
	}
	if (clock_cancelled(session_clock()))
		status = 128 + clock_cancelled(session_clock());
	session_close(&s);
	config_free(config);
	return status;
}
