/* A session from its opening to its exit status; see session_run.h. */
#include "run/session_run.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "aws/sigv4.h"
#include "base/cleanup.h"
#include "base/fsx.h"
#include "run/command_line.h"
#include "run/plain_http.h"
#include "run/progress.h"
#include "run/run_calls.h"
#include "run/sandbox.h"
#include "run/selfmetrics.h"
#include "run/status_page.h"

#define PLAIN_MAX ((size_t)8 << 10)

static void
log_summary(const struct session *s, const char *command, const struct report_totals *t,
	    int64_t wall_ms)
{
	char event[32];

	(void)snprintf(event, sizeof(event), "%s finished", command);
	log_event(LOG_INFO, event, LOG_S("run", s->run_id), LOG_I("tenants", t->tenants),
		  LOG_I("tenants_failed", t->tenants_failed), LOG_I("streams_done", t->done),
		  LOG_I("streams_failed", t->failed), LOG_I("streams_skipped", t->skipped),
		  LOG_I("cells", t->sum.cells), LOG_I("rows", t->sum.lines),
		  LOG_I("samples", t->sum.samples), LOG_I("acked", t->sum.acked),
		  LOG_I("already_there", t->sum.already), LOG_I("too_old", t->sum.too_old),
		  LOG_I("rejected", t->sum.rejected), LOG_I("over_limit", t->sum.over_limit),
		  LOG_I("duration_ms", wall_ms));
}

/* Into the state store always, and to --report FILE. A report that cannot be written is said, and
 * changes nothing else. */
static void
write_report(const struct session *s, const struct report_input *in)
{
	const struct store_put put = {.cond = STORE_ANY, .content_type = "application/json"};
	struct spool text = SPOOL_INIT;
	struct buf key = BUF_INIT(256);
	struct err err = {0};

	report_key(&s->env, &key);
	if (report_json(in, &text, &err))
		log_event(LOG_ERROR, "no report", LOG_E(&err));
	else if (s->options->report &&
		 fsx_output(s->options->report, "the report", SV(""), &text, &err))
		log_event(LOG_ERROR, "report not written", LOG_E(&err));
	else if (!s->options->dry_run &&
		 store_put_spool(s->state, buf_cstr(&key), &text, &put, NULL, &err))
		log_event(LOG_ERROR, "report not kept in the state store", LOG_E(&err));
	buf_done(&key);
	spool_done(&text);
}

/* After a signal there is no time for it. */
static bool
tells_about_itself(const struct session *s, const struct session_run *how)
{
	return how->self_metrics && s->config->run.self_metrics && !s->options->dry_run &&
	       !clock_cancelled(s->clock);
}

static void
keep_run_calls(struct run_calls *calls)
{
	struct err err = {0};

	if (run_calls_keep(calls, &err))
		log_event(LOG_WARN, "calls not counted yet", LOG_E(&err));
}

static void
push_self_metrics(const struct session *s, const struct report_input *in, struct run_calls *calls)
{
	struct self_metrics m = {
	    .run_calls = &calls->total,
	    .runner = &s->runner,
	    .env = &s->env,
	    .shard = s->options->shard,
	    .shards = s->options->shards,
	    .duration_ms = in->wall_ms,
	    .success = in->exit_status == EXIT_OK,
	};
	struct err err = {0};

	for (size_t i = 0; i < s->config->n_sinks; i++)
		if (!strcmp(s->config->sinks[i].name, s->config->run.self_metrics))
			m.outlet = &s->env.outlets[i];
	keep_run_calls(calls);
	if (self_metrics_push(&m, &err))
		log_event(LOG_WARN, "self metrics not pushed", LOG_E(&err));
}

/* If no sink took anything although there was something to give, nothing more could be done. */
static bool
every_sink_dead(const struct session *s)
{
	for (size_t i = 0; i < s->config->n_sinks; i++)
		if (!outlet_dead(&s->env.outlets[i]))
			return false;
	return s->config->n_sinks > 0;
}

static int
exit_status(const struct session *s, const struct report_totals *t, int run_result)
{
	int why = clock_cancelled(s->clock);

	if (why && why != CLOCK_DEADLINE)
		return 128 + why;
	if (run_result || (t->failed && every_sink_dead(s)))
		return EXIT_CENTRAL;
	return report_exit_status(&s->config->run, t);
}

/* Whether a sink writes to the terminal that progress would be shown on. */
static bool
terminal_is_shared(const struct session *s)
{
	for (size_t i = 0; i < s->config->n_sinks; i++)
		if (s->config->sinks[i].kind == SINK_STDOUT && isatty(s->sink_env.stdout_fd))
			return true;
	return false;
}

static int
work(struct session *s, const struct session_run *how)
{
	struct err err = {0};
	struct progress progress;
	struct run_calls calls;
	struct report_totals totals;
	struct report_input in = {
	    .runner = &s->runner,
	    .env = &s->env,
	    .counts = s->counts,
	    .found = s->found,
	    .command = how->command,
	    .backfill = *s->backfill.name ? &s->backfill : NULL,
	};
	int r;

	progress_init(&progress, s->options->progress, terminal_is_shared(s), s->clock);
	s->runner.tick = progress_tick;
	s->runner.tick_arg = &progress;
	r = runner_run(&s->runner, &err);
	progress_end(&progress);
	if (r)
		log_event(LOG_ERROR, "run stopped", LOG_E(&err));
	report_totals(&s->runner, &totals);
	in.started_wall_ms = s->started_wall_ms;
	in.wall_ms = clock_mono_ms(s->clock) - s->env.started_mono_ms;
	in.clock_offset_ms = sign_transport_offset(s->signer);
	in.exit_status = exit_status(s, &totals, r);
	in.central = r ? &err : NULL;
	log_summary(s, how->command, &totals, in.wall_ms);
	run_calls_init(&calls, s->state, s->counts, s->run_id, s->config->name, s->options->shard,
		       s->options->shards);
	if (tells_about_itself(s, how))
		push_self_metrics(s, &in, &calls);
	write_report(s, &in);
	if (how->status_page)
		status_page_after_run(s);
	/* What came since, for the next run to tell. */
	if (tells_about_itself(s, how))
		keep_run_calls(&calls);
	run_calls_done(&calls);
	return in.exit_status;
}

/* What is worth knowing before anything is done. */
static void
warn(const struct config *config)
{
	CLEANUP(buf_done) struct buf plain = BUF_INIT(PLAIN_MAX);

	for (size_t i = 0; i < config->n_unused_sinks; i++)
		log_event(LOG_WARN, "no job uses this sink",
			  LOG_S("sink", config->unused_sinks[i]));
	if (*sandbox_lacks())
		log_event(LOG_INFO, "sandbox not complete", LOG_S("lacks", sandbox_lacks()));
	if (!session_hooks()->offline)
		plain_http_list(config, &plain);
	if (plain.n)
		log_event(LOG_WARN, "credentials go over plain http",
			  LOG_S("to", buf_cstr(&plain)));
}

int
session_run(const struct session_run *how, const struct options *o, const struct config *config)
{
	struct session s;
	struct err err = {0};
	int status;

	command_catch_signals(session_clock());
	warn(config);
	if (!session_open(&s, config, o, session_clock(), &err)) {
		if (how->opened)
			how->opened(&s);
		status = work(&s, how);
	} else {
		int why = clock_cancelled(session_clock());

		status = why ? 128 + why : err.kind == ERR_USAGE ? EXIT_USAGE : EXIT_CENTRAL;
		log_event(LOG_ERROR, "cannot start", LOG_E(&err));
	}
	session_close(&s);
	return status;
}
