/* A plan for machines; `muster plan --help` has its members. See forecast.h. */
#include "base/cleanup.h"
#include "base/timefmt.h"
#include "fmt/json.h"
#include "run/forecast.h"

static json_t *
u64_json(uint64_t n)
{
	return json_integer((json_int_t)n);
}

static json_t *
time_json(int64_t ms)
{
	char text[TIME_TEXT_MAX];

	time_format_ms(ms, text);
	return json_string(text);
}

/* {service: {operation: calls}} */
static json_t *
calls_json(const struct forecast_calls *c)
{
	json_t *all = json_object();

	for (size_t i = 0; all && i < c->n; i++) {
		json_t *service = json_object_get(all, c->v[i].service);

		if (!service) {
			service = json_object();
			(void)json_object_set_new(all, c->v[i].service, service);
		}
		(void)json_object_set_new(service, c->v[i].operation, u64_json(c->v[i].n));
	}
	return all;
}

static json_t *
billed_json(const struct billed *b)
{
	return json_pack("{s:o,s:o,s:o,s:o,s:o}", "metrics_requested", u64_json(b->metrics),
			 "calls_billed", u64_json(b->calls), "bytes_scanned",
			 u64_json(b->bytes_scanned), "samples_ingested", u64_json(b->samples),
			 "objects_put", u64_json(b->puts));
}

static json_t *
day_json(const struct prices *p, const struct forecast_day *d)
{
	return json_pack("{s:f,s:f,s:f,s:f,s:f,s:f,s:f}", "calls", d->calls, "metrics_requested",
			 d->metrics, "calls_billed", d->other_calls, "bytes_scanned",
			 d->bytes_scanned, "samples_ingested", d->samples, "objects_put", d->puts,
			 "estimated_dollars", forecast_day_dollars(p, d));
}

static json_t *
dollars_json(double run, double day)
{
	return json_pack("{s:f,s:f,s:f}", "run", run, "day", day, "month", day * FORECAST_MONTH);
}

/* What cannot be told has its reason, and no numbers. */
static json_t *
stream_json(const struct prices *p, const struct forecast_stream *s)
{
	static const char *const bases[] = {"record", "others", "assumed"};
	const struct err *why = err_kept(&s->why);
	json_t *o = json_pack("{s:s,s:s,s:s,s:s}", "tenant", s->tenant->id, "account",
			      s->tenant->account, "job", s->job->name, "region", s->region);
	json_t *text;

	if (!o)
		return NULL;
	if (why->kind != ERR_NONE) {
		text = json_string(why->msg);
		(void)json_object_set_new(o, "error",
					  text ? text : json_string(err_kind_name(why->kind)));
		return o;
	}
	(void)json_object_update_new(
	    o,
	    json_pack("{s:b,s:s,s:o,s:o,s:o,s:o,s:f,s:o,s:o,s:o,s:o}", "first_run", s->first,
		      "basis", bases[s->basis], "series", u64_json(s->series), "cells",
		      u64_json(s->cells), "pulls", u64_json(s->pulls), "cells_from_lake",
		      u64_json(s->from_lake), "given_up_seconds", (double)s->given_up_ms / 1000,
		      "samples", u64_json(s->samples), "calls", calls_json(&s->calls), "billed",
		      billed_json(&s->billed), "estimated_dollars",
		      dollars_json(prices_sum(p, &s->billed), forecast_day_dollars(p, &s->day))));
	return o;
}

static json_t *
streams_json(const struct forecast *f)
{
	json_t *list = json_array();

	for (size_t i = 0; list && i < f->n_streams; i++)
		if (json_array_append_new(
			list, stream_json(&f->session->config->run.prices, &f->streams[i]))) {
			json_decref(list);
			return NULL;
		}
	return list;
}

static json_t *
prices_json(const struct prices *p)
{
	json_t *o = json_pack("{s:s}", "source", PRICES_SOURCE);

	for (const struct conf_key *k = prices_keys; o && k->name; k++) {
		double v;

		memcpy(&v, (const char *)p + k->offset, sizeof(v));
		(void)json_object_set_new(o, k->name, json_real(v));
	}
	return o;
}

static json_t *
totals_json(const struct forecast *f)
{
	return json_pack("{s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o}", "tenants",
			 u64_json(f->tenants), "streams", u64_json(f->n_streams), "first_runs",
			 u64_json(f->firsts), "as_others", u64_json(f->likened), "assumed",
			 u64_json(f->assumed), "failed", u64_json(f->failed), "series",
			 u64_json(f->series), "cells", u64_json(f->cells), "cells_from_lake",
			 u64_json(f->from_lake), "samples", u64_json(f->samples), "calls",
			 calls_json(&f->calls), "billed", billed_json(&f->billed), "day",
			 day_json(&f->session->config->run.prices, &f->day), "estimated_dollars",
			 dollars_json(f->run_dollars, f->day_dollars));
}

static json_t *
duration_json(const struct forecast *f)
{
	json_t *quota = json_null();

	if (f->quota.operation)
		quota = json_pack("{s:s,s:s,s:s,s:s,s:o,s:f}", "account", f->quota.account,
				  "region", f->quota.region, "service", f->quota.service,
				  "operation", f->quota.operation, "calls",
				  u64_json(f->quota.calls), "per_second", f->quota.per_second);
	return json_pack("{s:f,s:f,s:f,s:f,s:i,s:o}", "seconds",
			 (double)forecast_duration_ms(f) / 1000, "all_calls_seconds",
			 (double)f->latency_ms / 1000, "busiest_tenant_seconds",
			 (double)f->tenant_ms / 1000, "quota_seconds", (double)f->quota_ms / 1000,
			 "call_ms", FORECAST_CALL_MS, "quota", quota);
}

static json_t *
schedules_json(const struct forecast_shown *s)
{
	const struct prices *p = &s->f->session->config->run.prices;
	json_t *list = json_array();

	for (size_t i = 0; i < s->n_schedules; i++) {
		const struct forecast_schedule *v = &s->schedules[i];

		(void)json_array_append_new(
		    list, json_pack("{s:f,s:o,s:s?,s:s?,s:o}", "every_seconds",
				    (double)v->every_ms / 1000, "day", day_json(p, &v->day),
				    "without_job", v->cannot ? v->cannot->name : NULL,
				    "too_old_for", v->too_old, "estimated_dollars",
				    json_pack("{s:f,s:f}", "day", forecast_day_dollars(p, &v->day),
					      "month",
					      forecast_day_dollars(p, &v->day) * FORECAST_MONTH)));
	}
	return list;
}

static json_t *
others_json(const struct forecast *f)
{
	struct forecast_other others[FORECAST_OTHERS];
	json_t *list = json_array();

	forecast_others(f, others);
	for (size_t i = 0; i < FORECAST_OTHERS; i++)
		(void)json_array_append_new(
		    list, json_pack("{s:s,s:b,s:f,s:s,s:s,s:s}", "name", others[i].name, "estimate",
				    1, "dollars_a_month", others[i].dollars, "sum", others[i].sum,
				    "assumption", others[i].assumption, "wins", others[i].wins));
	return list;
}

int
forecast_json(const struct forecast_shown *s, struct buf *out, struct err *err)
{
	const struct session *session = s->f->session;
	CLEANUP(json_decrefp)
	json_t *doc = json_pack(
	    "{s:s,s:s,s:o,s:s,s:s,s:o,s:o,s:o,s:o,s:o,s:o}", "format", "muster-plan", "version",
	    MUSTER_VERSION, "now", time_json(session->env.now_ms), "config", session->config->path,
	    "command", *session->backfill.name ? "backfill" : "run", "totals", totals_json(s->f),
	    "duration", duration_json(s->f), "streams", streams_json(s->f), "schedules",
	    schedules_json(s), "other_ways", others_json(s->f), "prices",
	    prices_json(&session->config->run.prices));

	if (!doc)
		return err_nomem(err);
	if (json_dump(doc, true, out, err) < 0)
		return -1;
	buf_ch(out, '\n');
	return buf_check(out, "plan", err);
}
