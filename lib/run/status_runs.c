/*
 * Reading reports; see status_runs.h.
 *
 * A report has a few kilobytes for each hundred streams, nearly all of it about single streams. So
 * no tree is made of it: only its totals are picked out, and as many reports are read as the first
 * one's size lets expect to be cheap.
 */
#include "run/status_runs.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/grow.h"
#include "base/timefmt.h"
#include "fmt/json.h"
#include "fmt/json_scan.h"

#define DAY_MS	   INT64_C(86400000)
#define KEYS_MAX   20000
#define REPORT_MAX ((size_t)16 << 20)

struct keys {
	char **v;
	size_t n, cap;
	int64_t now_ms;
};

static void
keys_done(struct keys *k)
{
	for (size_t i = 0; i < k->n; i++)
		free(k->v[i]);
	free(k->v);
}

static int
add_key(const char *key, void *arg)
{
	struct keys *k = arg;
	const char *name = strrchr(key, '/') + 1;
	char **v = k->v;
	int64_t began;

	/* A report's name begins with the time when its run did. */
	if (strlen(name) < 16 || !time_parse_basic((struct sv){name, 16}, &began) ||
	    began < k->now_ms - STATUS_RUNS_WITHIN)
		return 0;
	if (k->n == KEYS_MAX)
		return 1;
	v = array_grow(k->v, k->n, &k->cap, sizeof(*v), NULL);
	if (!v)
		return 1;
	k->v = v;
	v[k->n] = sv_dup(sv_of(key));
	return v[k->n] ? (k->n++, 0) : 1;
}

static void
list_keys(struct store *state, int64_t now_ms, struct keys *k)
{
	for (int64_t day = now_ms - STATUS_RUNS_WITHIN; day <= now_ms; day += DAY_MS) {
		char text[TIME_TEXT_MAX], prefix[64];

		time_format_day(day, text);
		(void)snprintf(prefix, sizeof(prefix), "reports/%s/", text);
		(void)state->ops->list(state, prefix, add_key, k, NULL);
	}
}

static bool
take_time(struct json_scan *s, int64_t *ret)
{
	struct sv text;

	return json_scan_str(s, &text) && time_parse_iso(text, ret);
}

static double
number(const json_t *o, const char *key)
{
	return json_number_value(json_object_get(o, key));
}

static bool
take_totals(struct json_scan *s, struct status_run *r)
{
	const char *from = s->p;
	json_t *o = NULL;
	const json_t *stats;

	if (!json_scan_skip(s) ||
	    json_parse((struct sv){from, (size_t)(s->p - from)}, "totals", &o, NULL))
		return false;
	stats = json_object_get(o, "stats");
	r->cells = number(stats, "cells");
	r->rows = number(stats, "lines");
	r->samples = number(stats, "samples");
	r->dollars = number(o, "estimated_dollars");
	r->failed = number(o, "failed");
	json_decref(o);
	return true;
}

static bool
take_member(struct json_scan *s, struct sv name, struct status_run *r)
{
	double n = 0;

	if (sv_eq(name, SV("now")))
		return take_time(s, &r->now_ms);
	if (sv_eq(name, SV("totals")))
		return take_totals(s, r);
	if (sv_eq(name, SV("duration_ms"))) {
		if (!json_scan_num(s, &n) || !(n >= 0 && n < 1e12))
			return false;
		r->duration_ms = (int64_t)n;
		return true;
	}
	if (sv_eq(name, SV("exit_status"))) {
		if (!json_scan_num(s, &n) || !(n >= 0 && n < 256))
			return false;
		r->exit_status = (int)n;
		return true;
	}
	return json_scan_skip(s);
}

static bool
report_read(struct sv text, struct status_run *r)
{
	struct json_scan s = JSON_SCAN_INIT(text);
	struct sv name;
	bool end = false;

	*r = (struct status_run){0};
	if (!json_scan_ch(&s, '{'))
		return false;
	for (bool first = true; !end; first = false)
		if (!json_scan_member(&s, first, &name, &end) ||
		    (!end && !take_member(&s, name, r)))
			return false;
	return r->now_ms > 0;
}

/* The i-th of n, evenly spread over `of`, the last one the newest. */
static size_t
spread(size_t i, size_t n, size_t of)
{
	return n > 1 ? i * (of - 1) / (n - 1) : of - 1;
}

static size_t
how_many(size_t size, size_t of)
{
	size_t n = size ? STATUS_RUNS_BYTES / size : STATUS_RUNS_MAX;

	n = n < 2 ? 2 : n > STATUS_RUNS_MAX ? STATUS_RUNS_MAX : n;
	return n < of ? n : of;
}

static int
by_time(const void *a, const void *b)
{
	const struct status_run *x = a, *y = b;

	return (x->now_ms > y->now_ms) - (x->now_ms < y->now_ms);
}

void
status_runs_read(struct store *state, int64_t now_ms, struct status_runs *ret)
{
	CLEANUP(buf_done) struct buf text = BUF_INIT(REPORT_MAX);
	CLEANUP(keys_done) struct keys keys = {.now_ms = now_ms};
	size_t n;

	*ret = (struct status_runs){0};
	if (state)
		list_keys(state, now_ms, &keys);
	if (!keys.n || store_get(state, keys.v[keys.n - 1], NULL, &text, NULL, NULL))
		return;
	ret->of = keys.n;
	n = how_many(text.n, keys.n);
	for (size_t i = 0; i < n; i++) {
		struct status_run *r = &ret->v[ret->n];

		buf_reset(&text);
		if (!store_get(state, keys.v[spread(i, n, keys.n)], NULL, &text, NULL, NULL) &&
		    report_read(buf_view(&text), r) && r->now_ms > now_ms - STATUS_RUNS_WITHIN &&
		    r->now_ms <= now_ms)
			ret->n++;
	}
	qsort(ret->v, ret->n, sizeof(*ret->v), by_time);
}
