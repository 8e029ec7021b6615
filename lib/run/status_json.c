/* How everything stands, as JSON; `muster status --help` has its members. See status.h. */
#include "run/status.h"

#include "base/cleanup.h"
#include "base/timefmt.h"
#include "fmt/json.h"

/* NULL never: what is no UTF-8 cannot come out of a checkpoint, but an error's text may have it. */
static json_t *
text_json(const char *text)
{
	struct buf b = BUF_INIT(8192);
	json_t *j = json_string(text);

	if (!j && text) {
		for (const char *p = text; *p; p++)
			buf_ch(&b, (unsigned char)*p < 0x80 ? *p : '?');
		j = json_string(buf_cstr(&b));
		buf_done(&b);
	}
	return j ? j : json_null();
}

static json_t *
time_json(int64_t ms)
{
	char text[TIME_TEXT_MAX];

	if (!ms)
		return json_null();
	time_format_ms(ms, text);
	return json_string(text);
}

static json_t *
u64_json(uint64_t n)
{
	return json_integer((json_int_t)n);
}

static json_t *
seconds_json(int64_t ms)
{
	return ms % 1000 ? json_real((double)ms / 1000) : json_integer(ms / 1000);
}

static json_t *
sinks_json(const struct status *st, const struct ckpt_stream *s)
{
	json_t *o = json_object();

	for (size_t i = 0; i < s->n_sinks; i++) {
		const struct ckpt_sink *k = &s->sinks[i];

		(void)json_object_set_new(
		    o, k->name,
		    json_pack("{s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o}", "cursor",
			      time_json(k->cursor_ms), "lag_seconds",
			      seconds_json(st->now_ms - k->cursor_ms), "acked", u64_json(k->acked),
			      "already_there", u64_json(k->already), "too_old",
			      u64_json(k->too_old), "rejected", u64_json(k->rejected), "bytes",
			      u64_json(k->bytes), "over_limit", u64_json(k->over_limit)));
	}
	return o;
}

static json_t *
gaps_json(const struct ckpt_stream *s)
{
	json_t *list = json_array();

	for (size_t i = 0; i < s->n_gaps; i++) {
		const struct ckpt_gap *g = &s->gaps[i];

		(void)json_array_append_new(
		    list, json_pack("{s:o,s:o,s:o,s:o,s:o}", "start", time_json(g->start_ms), "end",
				    time_json(g->end_ms), "sink",
				    *g->sink ? text_json(g->sink) : json_null(), "reason",
				    text_json(g->reason), "recorded", time_json(g->recorded_ms)));
	}
	return list;
}

static json_t *
lease_json(const struct status_stream *s)
{
	const struct ckpt_lease *l = s->entry->ckpt ? &s->entry->ckpt->lease : NULL;

	if (!l || !l->owner)
		return json_null();
	return json_pack("{s:o,s:o,s:o,s:o,s:b}", "run", text_json(l->owner), "host",
			 text_json(l->host), "since", time_json(l->since_ms), "until",
			 time_json(l->until_ms), "live", s->held);
}

static json_t *
history_json(const struct ckpt *c)
{
	json_t *list = json_array();

	for (size_t i = 0; c && i < c->n_history; i++) {
		const struct ckpt_event *e = &c->history[i];

		(void)json_array_append_new(
		    list, json_pack("{s:o,s:o,s:o,s:o}", "time", time_json(e->time_ms), "who",
				    text_json(e->who), "what", text_json(e->what), "reason",
				    text_json(e->reason)));
	}
	return list;
}

static json_t *
counts_json(const struct ckpt_counters *n, double dollars)
{
	return json_pack("{s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:f}", "cells",
			 u64_json(n->cells), "empty_cells", u64_json(n->empty_cells), "rows",
			 u64_json(n->rows), "samples", u64_json(n->samples_frozen), "rejected_in",
			 u64_json(n->rejected_in), "failed_runs", u64_json(n->failed_runs),
			 "metrics_requested", u64_json(n->metrics_requested), "bytes_scanned",
			 u64_json(n->bytes_scanned), "late", u64_json(n->late), "revised",
			 u64_json(n->revised), "estimated_dollars", dollars);
}

/* What only a stream with a state has. */
static void
add_standing(const struct status *st, const struct status_stream *s, json_t *o)
{
	const struct ckpt_stream *c = s->s;

	(void)json_object_set_new(o, "first", time_json(c->first_ms));
	(void)json_object_set_new(o, "every_seconds", seconds_json(c->every_ms));
	(void)json_object_set_new(o, "watermark", time_json(s->watermark_ms));
	(void)json_object_set_new(o, "lag_seconds", seconds_json(s->lag_ms));
	(void)json_object_set_new(o, "last_success", time_json(c->last_success_ms));
	(void)json_object_set_new(o, "failing_runs", u64_json(c->failures));
	(void)json_object_set_new(o, "gap_seconds", seconds_json(s->gap_ms));
	(void)json_object_set_new(o, "gaps", gaps_json(c));
	(void)json_object_set_new(o, "sinks", sinks_json(st, c));
	(void)json_object_set_new(o, "totals", counts_json(&c->counters, s->dollars));
}

static json_t *
stream_json(const struct status *st, const struct status_stream *s, int64_t max_lag_ms)
{
	const struct status_entry *e = s->entry;
	json_t *o = json_pack(
	    "{s:o,s:o,s:o,s:o,s:s,s:b,s:o,s:o,s:o,s:o}", "tenant", text_json(e->tenant), "job",
	    text_json(e->name), "region", *s->region ? text_json(s->region) : json_null(),
	    "account", text_json(e->account), "result", status_word(s), "configured", s->configured,
	    "error", *status_trouble(s) ? text_json(status_trouble(s)) : json_null(), "advice",
	    *status_advice(s) ? text_json(status_advice(s)) : json_null(), "lease", lease_json(s),
	    "history", history_json(e->ckpt));

	if (!o)
		return NULL;
	if (max_lag_ms >= 0)
		(void)json_object_set_new(o, "lagging", json_boolean(status_lags(s, max_lag_ms)));
	if (e->from_prev)
		(void)json_object_set_new(o, "from_previous", json_true());
	if (e->set_aside)
		(void)json_object_set_new(o, "damaged_kept", u64_json(e->set_aside));
	if (s->s)
		add_standing(st, s, o);
	return o;
}

static json_t *
totals_json(const struct status_totals *t)
{
	json_t *o = counts_json(&t->counters, t->dollars), *results = json_object();

	for (size_t r = 0; r < STATUS_RESULTS; r++)
		(void)json_object_set_new(results, status_result_word((enum status_result)r),
					  u64_json(t->of[r]));
	(void)json_object_set_new(o, "tenants", u64_json(t->tenants));
	(void)json_object_set_new(o, "streams", u64_json(t->streams));
	(void)json_object_set_new(o, "results", results);
	(void)json_object_set_new(o, "gaps", u64_json(t->gaps));
	(void)json_object_set_new(o, "gap_seconds", seconds_json(t->gap_ms));
	(void)json_object_set_new(o, "greatest_lag_seconds",
				  t->furthest ? seconds_json(t->furthest->lag_ms) : json_null());
	return o;
}

int
status_json(const struct status *st, int64_t max_lag_ms, struct buf *out, struct err *err)
{
	CLEANUP(json_decrefp) json_t *doc = NULL;
	json_t *list = json_array();

	for (size_t i = 0; i < st->n_streams; i++)
		if (json_array_append_new(list, stream_json(st, &st->streams[i], max_lag_ms)) < 0) {
			json_decref(list);
			return err_nomem(err);
		}
	doc = json_pack("{s:s,s:s,s:o,s:o,s:o,s:o,s:o}", "format", "muster-status", "version",
			MUSTER_VERSION, "now", time_json(st->now_ms), "config",
			text_json(st->config->path), "state", text_json(st->config->state),
			"totals", totals_json(&st->totals), "streams", list);
	if (!doc)
		return err_nomem(err);
	if (json_dump(doc, true, out, err) < 0)
		return -1;
	buf_ch(out, '\n');
	return buf_check(out, "status", err);
}
