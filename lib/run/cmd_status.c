/*
 * muster status: how everything stands, from the configuration and the checkpoints alone.
 *
 * With the state on disk it needs no credentials and no network, and it writes nothing, so that
 * whoever can read the state may ask at any time, also while runs are at work.
 */
#include "base/cleanup.h"
#include "run/command.h"
#include "run/command_line.h"
#include "run/report.h"
#include "run/session.h"
#include "run/status.h"
#include "run/status_page.h"

#define OUTPUT_MAX ((size_t)1 << 30)

static const char usage[] =
    "usage: muster status [OPTION]...\n\n"
    "Per tenant, job and region: how far everything is done (the watermark), how far that is\n"
    "behind the present (the lag), what became of the last run, gaps, work and estimated cost "
    "since\n"
    "the beginning; trouble first. Read from the configuration and the checkpoints; nothing is\n"
    "written, and AWS is asked only if the state lies there.\n\n"
    "LAST is ok, running (a run has the lease), failing N (so many runs in a row), ahead (of the\n"
    "present, by a --now that was wrong: nothing is due until it has come), never ran, unfinished\n"
    "(begun, no run has ended yet), damaged or unreadable (the checkpoint), left (no longer in "
    "the\n"
    "configuration).\n\n"
    "Exit status: 0; 1 with --max-lag if a configured stream is further behind than that, ahead, "
    "or\n"
    "never ran (each is named on stderr); 2 usage or configuration; 3 the state cannot be read.";

static const char more[] =
    "\n--json: one object: format, version, now, config, state, totals, streams. A stream has "
    "tenant,\n"
    "job, region, account, configured, result (LAST's words), error and advice (null: none),\n"
    "lagging (with --max-lag), lease (null, or run, host, since, until, live), history (of what\n"
    "operators changed: time, who, what, reason), damaged_kept (how many damaged checkpoints were\n"
    "set aside) and from_previous (true: told from the checkpoint before). One that was begun "
    "also\n"
    "has first, every_seconds, watermark, lag_seconds, last_success, failing_runs, gap_seconds,\n"
    "gaps (start, end, sink or null for all, reason, recorded), sinks (by name: cursor, "
    "lag_seconds,\n"
    "acked, already_there, too_old, rejected, bytes, over_limit) and totals (cells, empty_cells, "
    "rows, "
    "samples,\n"
    "rejected_in, failed_runs, metrics_requested, bytes_scanned, late,\n"
    "revised, estimated_dollars). The\n"
    "document's totals have these, and tenants, streams, results (how many of each), gaps,\n"
    "gap_seconds, greatest_lag_seconds.\n";

/* Each stream that is too far behind, on stderr. */
static bool
say_lagging(const struct status *st, int64_t max_lag_ms)
{
	char lag[48], max[48];
	bool any = false;

	status_duration(max_lag_ms, max);
	for (size_t i = 0; i < st->n_streams; i++) {
		const struct status_stream *s = &st->streams[i];

		if (!status_lags(s, max_lag_ms))
			continue;
		any = true;
		status_duration(s->lag_ms, lag);
		if (s->s)
			log_event(LOG_ERROR,
				  s->result == STATUS_AHEAD ? "ahead of the present"
							    : "too far behind",
				  LOG_S("tenant", s->entry->tenant), LOG_S("job", s->entry->name),
				  LOG_S("region", s->region), LOG_S("lag", lag),
				  LOG_S("max_lag", max), LOG_S("last", status_word(s)),
				  LOG_S("error", *status_trouble(s) ? status_trouble(s) : NULL));
		else
			log_event(LOG_ERROR, "no watermark", LOG_S("tenant", s->entry->tenant),
				  LOG_S("job", s->entry->name), LOG_S("region", s->region),
				  LOG_S("last", status_word(s)),
				  LOG_S("error", *status_trouble(s) ? status_trouble(s) : NULL));
	}
	return any;
}

static int
show(const struct status *st, struct store *state, const struct options *o, struct err *err)
{
	CLEANUP(buf_done) struct buf text = BUF_INIT(OUTPUT_MAX);

	if (o->html) {
		if (status_page_text(st, state, &text, err))
			return -1;
		return status_page_save(o->html, buf_view(&text), err);
	}
	if (o->json) {
		if (status_json(st, o->max_lag_ms, &text, err))
			return -1;
	} else {
		status_table(st, &text);
	}
	return command_print(&text, "status", err);
}

/* The present that lags are counted to. */
static int64_t
now(const struct session *s)
{
	return s->env.now_fixed ? s->env.now_ms : session_shared_now(s);
}

static int
with_session(struct session *s, struct err *err)
{
	struct status *st = NULL;
	int status = EXIT_OK;

	if (!s->state)
		log_event(LOG_WARN, "there is no state yet: has anything run?",
			  LOG_S("state", s->config->state));
	if (status_gather(s->config, s->state, s->options, now(s), session_shared_now(s), &st, err))
		return err->kind == ERR_USAGE ? EXIT_USAGE : EXIT_CENTRAL;
	if (show(st, s->state, s->options, err))
		status = EXIT_CENTRAL;
	else if (s->options->max_lag_ms >= 0 && say_lagging(st, s->options->max_lag_ms))
		status = EXIT_SOME_FAILED;
	status_free(st);
	return status;
}

int
cmd_status(int argc, char **argv)
{
	static const struct command_line line = {
	    .command = FOR_STATUS, .usage = usage, .more = more};
	struct config *config = NULL;
	struct err err = {0};
	struct options o;
	struct session s;
	int status;

	if (!command_begin(&line, argc, argv, &o, &config, &status))
		return status;
	command_catch_signals(session_clock());
	if (session_open_state(&s, config, &o, session_clock(), STATE_LOOK, &err))
		status = err.kind == ERR_USAGE ? EXIT_USAGE : EXIT_CENTRAL;
	else
		status = with_session(&s, &err);
	if (err.kind != ERR_NONE)
		log_event(LOG_ERROR, "no status", LOG_E(&err));
	if (clock_cancelled(session_clock()))
		status = 128 + clock_cancelled(session_clock());
	session_close(&s);
	config_free(config);
	return status;
}
