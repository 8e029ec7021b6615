/* Totals, JSON and the exit status of a run; see report.h. */
#include "run/report.h"

#include "base/cleanup.h"
#include "base/timefmt.h"
#include "fmt/json.h"

static void
stats_add(struct stream_stats *sum, const struct stream_stats *s)
{
	sum->cells += s->cells;
	sum->empty_cells += s->empty_cells;
	sum->adopted_cells += s->adopted_cells;
	sum->earlier_cells += s->earlier_cells;
	sum->lines += s->lines;
	sum->samples += s->samples;
	sum->rejected_in += s->rejected_in;
	sum->late += s->late;
	sum->revised += s->revised;
	sum->held += s->held;
	sum->acked += s->acked;
	sum->already += s->already;
	sum->too_old += s->too_old;
	sum->rejected += s->rejected;
	sum->over_limit += s->over_limit;
	sum->series_over_limit += s->series_over_limit;
	sum->bytes += s->bytes;
	sum->metrics_requested += s->metrics_requested;
	sum->bytes_scanned += s->bytes_scanned;
	sum->calls_billed += s->calls_billed;
	sum->puts += s->puts;
	sum->ingested += s->ingested;
}

/* Adds a tenant's streams; true if one of them failed. */
static bool
add_tenant(const struct tenant_run *tr, struct report_totals *t)
{
	size_t failed = 0;

	for (size_t j = 0; j < tr->n_jobs; j++)
		for (size_t i = 0; i < tr->jobs[j].n_streams; i++) {
			const struct stream *s = &tr->jobs[j].streams[i];

			t->streams++;
			t->done += s->state == STREAM_DONE;
			t->skipped += s->state == STREAM_SKIPPED;
			failed += s->state == STREAM_FAILED;
			stats_add(&t->sum, &s->stats);
		}
	t->failed += failed;
	return failed > 0;
}

void
report_totals(const struct runner *r, struct report_totals *ret)
{
	*ret = (struct report_totals){.tenants = r->n_tenants + r->n_refused,
				      .tenants_failed = r->n_refused};
	for (size_t i = 0; i < r->n_tenants; i++)
		ret->tenants_failed += add_tenant(&r->tenants[i], ret);
}

int
report_exit_status(const struct run_conf *conf, const struct report_totals *t)
{
	if (!t->tenants_failed)
		return EXIT_OK;
	switch (conf->fail_on) {
	case FAIL_ON_ALL:
		return t->tenants_failed == t->tenants ? EXIT_SOME_FAILED : EXIT_OK;
	case FAIL_ON_PERCENT:
		return 100.0 * (double)t->tenants_failed >= conf->fail_percent * (double)t->tenants
			   ? EXIT_SOME_FAILED
			   : EXIT_OK;
	case FAIL_ON_ANY:
		break;
	}
	return EXIT_SOME_FAILED;
}

static json_t *
json_time(int64_t ms)
{
	char text[TIME_TEXT_MAX];

	time_format_ms(ms, text);
	return json_string(text);
}

static json_t *
json_u64(uint64_t v)
{
	return json_integer((json_int_t)v);
}

static json_t *
stats_json(const struct stream_stats *s)
{
	return json_pack(
	    "{s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o,"
	    "s:o,s:o,s:o,s:o}",
	    "cells", json_u64(s->cells), "late", json_u64(s->late), "revised", json_u64(s->revised),
	    "held_cells", json_u64(s->held), "empty_cells", json_u64(s->empty_cells),
	    "adopted_cells", json_u64(s->adopted_cells), "earlier_cells",
	    json_u64(s->earlier_cells), "lines", json_u64(s->lines), "samples",
	    json_u64(s->samples), "rejected_in", json_u64(s->rejected_in), "acked",
	    json_u64(s->acked), "already_there", json_u64(s->already), "too_old",
	    json_u64(s->too_old), "rejected", json_u64(s->rejected), "bytes", json_u64(s->bytes),
	    "metrics_requested", json_u64(s->metrics_requested), "bytes_scanned",
	    json_u64(s->bytes_scanned), "calls_billed", json_u64(s->calls_billed), "objects_put",
	    json_u64(s->puts), "samples_ingested", json_u64(s->ingested), "over_limit",
	    json_u64(s->over_limit), "series_over_limit", json_u64(s->series_over_limit));
}

/* A string that came from outside: bytes that are not UTF-8 must not cost us the report. */
static json_t *
json_text(const char *text)
{
	char ascii[sizeof(((struct err *)NULL)->msg)];
	json_t *j = json_string(text);
	size_t i;

	if (j)
		return j;
	for (i = 0; i < sizeof(ascii) - 1 && text[i]; i++)
		ascii[i] = (char)((unsigned char)text[i] < 0x80 ? text[i] : '?');
	ascii[i] = '\0';
	return json_string(ascii);
}

static json_t *
error_json(const struct err *e)
{
	if (e->kind == ERR_NONE)
		return json_null();
	return json_pack("{s:s,s:o,s:o,s:o,s:i}", "kind", err_kind_name(e->kind), "message",
			 json_text(e->msg), "code", json_text(e->code), "request_id",
			 json_text(e->request_id), "http_status", e->http_status);
}

static double
cost_dollars(const struct run_conf *conf, const struct stream_stats *s)
{
	const struct billed u = stream_billed(s);

	return prices_sum(&conf->prices, &u);
}

static json_t *
standing_json(const struct run_env *env, const struct stream *s)
{
	const struct commit_standing *st = &s->standing;

	if (!st->watermark_ms)
		return json_null();
	return json_pack("{s:o,s:f,s:o,s:f,s:o,s:o}", "watermark", json_time(st->watermark_ms),
			 "lag_seconds", (double)(env->now_ms - st->watermark_ms) / 1000, "gaps",
			 json_u64(st->gaps), "gap_seconds", (double)st->gap_ms / 1000,
			 "samples_acked", json_u64(s->samples_acked), "failed_runs",
			 json_u64(st->counters.failed_runs));
}

static json_t *
window_json(struct cell window)
{
	if (window.start_ms == window.end_ms)
		return json_null();
	return json_pack("{s:o,s:o}", "from", json_time(window.start_ms), "to",
			 json_time(window.end_ms));
}

static json_t *
backfill_json(const struct backfill *b, const struct run_env *env)
{
	if (!b)
		return json_null();
	return json_pack("{s:s,s:o,s:s?}", "name", b->name, "window", window_json(b->asked), "into",
			 env->into);
}

static json_t *
stream_json(const struct run_env *env, const struct stream *s)
{
	static const char *const states[] = {"waiting", "done", "failed", "skipped"};

	return json_pack("{s:s,s:s,s:s,s:o,s:s,s:o,s:o,s:o,s:f}", "tenant", s->tenant->id, "job",
			 s->job->name, "region", s->js.region, "window",
			 window_json(s->plan->window), "state", states[s->state], "error",
			 error_json(err_kept(&s->error)), "stats", stats_json(&s->stats),
			 "standing", standing_json(env, s), "estimated_dollars",
			 cost_dollars(&env->config->run, &s->stats));
}

/* All streams, one after the other: with thousands of tenants their tree, or its text, would be
 * larger than everything else in memory. */
struct streams_at {
	const struct run_env *env;
	const struct runner *r;
	size_t tenant, job, stream;
};

static json_t *
next_stream_json(void *arg)
{
	struct streams_at *at = arg;

	for (; at->tenant < at->r->n_tenants; at->tenant++, at->job = 0) {
		const struct tenant_run *t = &at->r->tenants[at->tenant];

		for (; at->job < t->n_jobs; at->job++, at->stream = 0) {
			const struct tenant_job *tj = &t->jobs[at->job];

			if (at->stream < tj->n_streams)
				return stream_json(at->env, &tj->streams[at->stream++]);
		}
	}
	return NULL;
}

struct calls_at {
	const struct call_count *v;
	size_t n, i;
};

static json_t *
next_call_json(void *arg)
{
	struct calls_at *at = arg;
	const struct call_count *c;

	if (at->i == at->n)
		return NULL;
	c = &at->v[at->i++];
	return json_pack("{s:s,s:s,s:s,s:s,s:o,s:o,s:o}", "service", c->service, "operation",
			 c->operation, "account", c->account, "code", c->code, "calls",
			 json_u64(c->calls), "bytes_out", json_u64(c->bytes_out), "bytes_in",
			 json_u64(c->bytes_in));
}

static int
dump_report(const struct report_input *in, const json_t *j, struct spool *out, struct err *err)
{
	CLEANUP(freep) struct call_count *v = NULL;
	struct streams_at streams = {.env = in->env, .r = in->runner};
	struct calls_at calls = {0};
	const struct json_list lists[] = {
	    {"streams", next_stream_json, &streams},
	    {"calls", next_call_json, &calls},
	};
	struct err ignored;

	if (!call_counts_get(in->counts, &v, &calls.n, &ignored))
		calls.v = v;
	else
		calls.n = 0;
	return json_dump_lists(j, lists, ARRAY_LEN(lists), out, err);
}

static json_t *
totals_json(const struct run_env *env, const struct report_totals *t)
{
	return json_pack(
	    "{s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:f}", "tenants", json_u64(t->tenants), "tenants_failed",
	    json_u64(t->tenants_failed), "streams", json_u64(t->streams), "done", json_u64(t->done),
	    "failed", json_u64(t->failed), "skipped", json_u64(t->skipped), "stats",
	    stats_json(&t->sum), "estimated_dollars", cost_dollars(&env->config->run, &t->sum));
}

int
report_json(const struct report_input *in, struct spool *out, struct err *err)
{
	const struct run_env *env = in->env;
	struct report_totals t;
	json_t *j;
	int r;

	report_totals(in->runner, &t);
	j = json_pack(
	    "{s:s,s:s,s:s,s:s,s:o,s:o,s:o,s:o,s:o,s:i,s:b,s:o,s:o,s:o,s:o,s:o}", "format",
	    "muster-report", "version", MUSTER_VERSION, "run", env->run_id, "command", in->command,
	    "backfill", backfill_json(in->backfill, env), "started", json_time(in->started_wall_ms),
	    "now", json_time(env->now_ms), "duration_ms", json_integer(in->wall_ms),
	    "clock_offset_ms", json_integer(in->clock_offset_ms), "exit_status", in->exit_status,
	    "dry_run", env->dry_run, "central_error",
	    in->central ? error_json(in->central) : json_null(), "totals", totals_json(env, &t),
	    "tenants_found", in->found ? found_json(in->found) : json_null(), "streams",
	    json_null(), "calls", json_null());
	if (!j)
		return err_nomem(err);
	r = dump_report(in, j, out, err);
	json_decref(j);
	return r;
}

void
report_key(const struct run_env *env, struct buf *out)
{
	char day[TIME_TEXT_MAX];

	time_format_day(env->now_ms, day);
	buf_fmt(out, "reports/%s/%s.json", day, env->run_id);
}
