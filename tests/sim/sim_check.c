/*
 * The verdict on a simulated world: lake, receiver and checkpoints against the truth; see sim.h.
 *
 * Knows the layout of keys and lines from the contract alone and reads JSON with jansson, not with
 * the program's own readers. An object that was found good once is known by its bytes. In a late
 * world it is a cell's objects together that have to be good.
 */
#include "tests/sim/sim.h"

#include <jansson.h>
#include <stdlib.h>
#include <zstd.h>

#include "base/cleanup.h"
#include "base/hash.h"
#include "base/timefmt.h"

#define KNOWN_SLOTS (1u << 20)
#define TEXT_MAX    ((size_t)1 << 20)
#define MAX_LINES   1024

static uint64_t known[KNOWN_SLOTS]; /* hashes of (seed, key, etag) of objects found good */

enum sim_job { JOB_ECS, JOB_APP, JOB_TRACES, JOB_ALARMS, JOBS };
static const char *const job_names[JOBS] = {"ecs", "app", "traces", "alarms"};
static const int64_t job_delay[JOBS] = {SIM_DELAY, SIM_DELAY_LOGS, SIM_DELAY_LOGS,
					SIM_DELAY_ALARMS};
static const size_t job_sinks[JOBS] = {2, 1, 3, 2};

/* What is checked now. */
struct place {
	struct sim *s;
	struct sim_verdict *v;
	enum sim_job job;
	bool some;	    /* of a cell's events are enough: it waits for its second asking */
	const json_t *gaps; /* on record for the stream; NULL: none may be */
	size_t tenant, region;
	char id[16], account[16];
};

static void
wrong(const struct place *p, uint64_t *counter, const char *what, int64_t ms)
{
	char when[TIME_TEXT_MAX];

	if (!p->v->what[0]) {
		time_format_ms(ms, when);
		(void)snprintf(p->v->what, SIM_WORDS, "%s: %s %s %s at %s", what, p->id,
			       job_names[p->job], sim_regions[p->region], when);
	}
	++*counter;
}

static bool
remember(uint64_t h)
{
	size_t at = h % KNOWN_SLOTS;

	if (known[at] == h)
		return true;
	known[at] = h;
	return false;
}

/* ---- gaps ---- */

static bool
read_time(const json_t *doc, const char *key, int64_t *ret)
{
	const char *text = json_string_value(json_object_get(doc, key));

	return text && time_parse_iso(sv_of(text), ret);
}

/* Something of [from, to) is on record as not to be had, for this sink or all of them. */
static bool
in_gap(const struct place *p, const char *sink, int64_t from, int64_t to)
{
	for (size_t i = 0; i < json_array_size(p->gaps); i++) {
		const json_t *g = json_array_get(p->gaps, i);
		const char *of = json_string_value(json_object_get(g, "sink"));
		int64_t start, end;

		if (read_time(g, "start", &start) && read_time(g, "end", &end) && start < to &&
		    from < end && of && (!*of || !strcmp(of, sink)))
			return true;
	}
	return false;
}

/* ---- lines ---- */

static bool
is_str(const json_t *line, const char *key, const char *want)
{
	const char *is = json_string_value(json_object_get(line, key));

	return is && !strcmp(is, want);
}

static bool
common_fields(const struct place *p, const json_t *line, int64_t ts)
{
	char when[TIME_TEXT_MAX];

	time_format_ms(ts, when);
	return is_str(line, "ts", when) && is_str(line, "tenant", p->id) &&
	       is_str(line, "account_id", p->account) &&
	       is_str(line, "region", sim_regions[p->region]) &&
	       is_str(line, "job", job_names[p->job]);
}

static bool
values_match(const struct place *p, const json_t *values, size_t series, int64_t from)
{
	size_t n = (size_t)(p->s->every_ms / SIM_MIN);

	if (json_array_size(values) != n)
		return false;
	for (size_t i = 0; i < n; i++) {
		const json_t *is = json_array_get(values, i);
		double v;
		bool any =
		    sim_value(p->s, p->tenant, p->region, series, from + (int64_t)i * SIM_MIN, &v);

		if (any ? json_number_value(is) != v : !json_is_null(is))
			return false;
	}
	return true;
}

static size_t
count_values(const struct place *p, size_t series, int64_t from, int64_t to)
{
	size_t n = 0;
	double v;

	for (int64_t ms = from; ms < to; ms += SIM_MIN)
		n += sim_value(p->s, p->tenant, p->region, series, ms, &v);
	return n;
}

/* The lines of one cell of `ecs`: a line a series that has any value, in the order of names. */
static bool
metrics_match(const struct place *p, json_t *const *lines, size_t n, int64_t from)
{
	size_t at = 0;

	for (size_t i = 0; i < SIM_SERIES; i++) {
		if (!count_values(p, i, from, from + p->s->every_ms))
			continue;
		if (at == n || !common_fields(p, lines[at], from) ||
		    !is_str(lines[at], "name", sim_series[i]) ||
		    !values_match(p, json_object_get(lines[at], "values"), i, from))
			return false;
		at++;
	}
	return at == n;
}

struct matching {
	const struct place *p;
	json_t *const *lines;
	size_t n, found;
	bool *used;
};

static void
match_event(void *arg, const struct sim_event *e)
{
	struct matching *m = arg;
	char message[64];

	sim_message(e, message);
	for (size_t i = 0; i < m->n; i++) {
		if (m->used[i] || !common_fields(m->p, m->lines[i], e->ms) ||
		    !is_str(m->lines[i], "log_group", sim_groups[e->group]) ||
		    !is_str(m->lines[i], "message", message))
			continue;
		m->used[i] = true;
		m->found++;
		return;
	}
}

static void
count_event(void *arg, const struct sim_event *e)
{
	(void)e;
	++*(size_t *)arg;
}

/* A line for each minute that has any, with their count. */
static bool
counts_match(const struct place *p, json_t *const *lines, size_t n, int64_t from)
{
	size_t at = 0;

	for (int64_t ms = from; ms < from + p->s->every_ms; ms += SIM_MIN) {
		size_t want = sim_count(p->s, p->tenant, p->region, ms);
		char text[24];

		if (!want)
			continue;
		(void)snprintf(text, sizeof(text), "%zu", want);
		if (at == n || !common_fields(p, lines[at], ms) ||
		    !is_str(json_object_get(lines[at], "fields"), "n", text))
			return false;
		at++;
	}
	return at == n;
}

static bool
rows_match(const struct place *p, json_t *const *lines, size_t n, int64_t from)
{
	struct matching m = {p, lines, n, 0, calloc(n + 1, sizeof(bool))};
	size_t want = 0;

	if (!m.used)
		abort();
	if (p->s->ways.stats) {
		free(m.used);
		return counts_match(p, lines, n, from);
	}
	sim_events(p->s, p->tenant, p->region, from, from + p->s->every_ms, match_event, &m);
	sim_events(p->s, p->tenant, p->region, from, from + p->s->every_ms, count_event, &want);
	free(m.used);
	return m.found == n && (want == n || p->some);
}

/* A line for each span, in order of time. */
static bool
spans_match(const struct place *p, json_t *const *lines, size_t n, int64_t from)
{
	size_t at = 0;

	for (int64_t minute = from; minute < from + p->s->every_ms; minute += SIM_MIN) {
		char id[17];
		int64_t ms;

		if (!sim_span(p->s, p->tenant, p->region, minute, &ms, id))
			continue;
		if (at == n || !common_fields(p, lines[at], ms) ||
		    !is_str(lines[at], "span_id", id))
			return false;
		at++;
	}
	return at == n;
}

/* A line for each change of the alarm. */
static bool
changes_match(const struct place *p, json_t *const *lines, size_t n, int64_t from)
{
	size_t at = 0;

	for (int64_t minute = from; minute < from + p->s->every_ms; minute += SIM_MIN) {
		bool firing;
		int64_t ms;

		if (!sim_change(p->s, p->tenant, p->region, minute, &ms, &firing))
			continue;
		if (at == n || !common_fields(p, lines[at], ms) ||
		    !is_str(lines[at], "state", firing ? "ALARM" : "OK") ||
		    !is_str(lines[at], "previous_state", firing ? "OK" : "ALARM"))
			return false;
		at++;
	}
	return at == n;
}

/* ---- objects ---- */

static void
cell_key(const struct place *p, int64_t from, unsigned late, char out[SIM_WORDS])
{
	char a[TIME_TEXT_MAX], b[TIME_TEXT_MAX], when[TIME_TEXT_MAX], mark[24] = "";

	if (late)
		(void)snprintf(mark, sizeof(mark), ".late-%u", late);

	time_format_basic(from, a);
	time_format_basic(from + p->s->every_ms, b);
	time_format_ms(from, when);
	(void)snprintf(
	    out, SIM_WORDS, "sim/lake/%s/tenant=%s/region=%s/dt=%.10s/hh=%.2s/%s-%s%s.ndjson.zst",
	    job_names[p->job], p->id, sim_regions[p->region], when, when + 11, a, b, mark);
}

/* The lines of a text as documents; false if one is none, or has no end. */
static bool
parse_lines(char *text, json_t *lines[MAX_LINES], size_t *n)
{
	bool ok = true;

	*n = 0;
	for (char *at = text, *end; *at && *n < MAX_LINES; at = end + 1) {
		end = strchr(at, '\n');
		lines[*n] =
		    end ? json_loadb(at, (size_t)(end - at), JSON_REJECT_DUPLICATES, NULL) : NULL;
		ok = ok && lines[*n];
		*n += lines[*n] != NULL;
		if (!end)
			break;
	}
	return ok;
}

static void
free_lines(json_t *lines[MAX_LINES], size_t n)
{
	for (size_t i = 0; i < n; i++)
		json_decref(lines[i]);
}

static bool
lines_match(const struct place *p, char *text, int64_t from)
{
	static bool (*const match[JOBS])(const struct place *p, json_t *const *lines, size_t n,
					 int64_t from) = {metrics_match, rows_match, spans_match,
							  changes_match};
	json_t *lines[MAX_LINES];
	size_t n;
	bool ok = parse_lines(text, lines, &n) && match[p->job](p, lines, n, from);

	free_lines(lines, n);
	return ok;
}

/* The object's text, to be freed; NULL if it is none. */
static char *
unpack(const struct sim_object *o)
{
	char *text = malloc(TEXT_MAX);
	size_t n;

	if (!text)
		abort();
	n = ZSTD_decompress(text, TEXT_MAX - 1, o->bytes, o->n);
	if (ZSTD_isError(n) || memchr(text, 0, n)) {
		free(text);
		return NULL;
	}
	text[n] = '\0';
	return text;
}

static bool
object_is_good(const struct place *p, const struct sim_object *o, int64_t from)
{
	char *text = unpack(o);
	bool ok = text && lines_match(p, text, from);

	free(text);
	return ok;
}

/* One of a cell's objects in a late world, 0 the cell's own, its text to be freed. false: there is
 * none. */
static bool
take_object(struct place *p, int64_t from, unsigned late, char **text)
{
	const struct sim_object *o;
	char key[SIM_WORDS];

	cell_key(p, from, late, key);
	o = sim_object(p->s, key);
	if (!o)
		return false;
	*text = unpack(o);
	if (!*text)
		wrong(p, &p->v->mismatched, "object that cannot be read", from);
	if (o->writes != 1)
		wrong(p, &p->v->duplicated, "object written again", from);
	return true;
}

/* How often each point of a cell is in its objects. */
struct points {
	const struct place *p;
	int64_t from;
	unsigned *times; /* of series i and minute k at i * minutes + k */
	size_t minutes;
	unsigned late; /* the number of the object that is read */
};

static size_t
series_of(const json_t *line)
{
	size_t i = 0;

	while (i < SIM_SERIES && !is_str(line, "name", sim_series[i]))
		i++;
	return i;
}

/* No cell is frozen before it is due: what is shown by then is in its own object. */
static bool
is_place_of(const struct points *c, size_t series, int64_t ms)
{
	int64_t due_ms = c->from + c->p->s->every_ms + SIM_DELAY;

	return !c->late || sim_shown_ms(c->p->s, c->p->tenant, c->p->region, series, ms) > due_ms;
}

/* What a line of any of them has is true, and is counted. */
static bool
count_points(const struct points *c, const json_t *line)
{
	const json_t *values = json_object_get(line, "values");
	size_t series = series_of(line);
	bool any = false;

	if (series == SIM_SERIES || !common_fields(c->p, line, c->from) ||
	    json_array_size(values) != c->minutes)
		return false;
	for (size_t k = 0; k < c->minutes; k++) {
		const json_t *is = json_array_get(values, k);
		int64_t ms = c->from + (int64_t)k * SIM_MIN;
		double v;

		if (json_is_null(is))
			continue;
		if (!sim_value(c->p->s, c->p->tenant, c->p->region, series, ms, &v) ||
		    json_number_value(is) != v || !is_place_of(c, series, ms))
			return false;
		c->times[series * c->minutes + k]++;
		any = true;
	}
	return any;
}

static bool
count_lines(const struct points *c, char *text)
{
	json_t *lines[MAX_LINES];
	size_t n;
	bool ok = parse_lines(text, lines, &n);

	for (size_t i = 0; ok && i < n; i++)
		ok = count_points(c, lines[i]);
	free_lines(lines, n);
	return ok;
}

/* Each point that is shown by now is there, once. */
static void
check_times(const struct points *c)
{
	const struct place *p = c->p;
	double v;

	for (size_t i = 0; i < SIM_SERIES * c->minutes; i++) {
		size_t series = i / c->minutes;
		int64_t ms = c->from + (int64_t)(i % c->minutes) * SIM_MIN;

		if (c->times[i] > 1)
			wrong(p, &p->v->duplicated, "point twice in the lake", ms);
		if (!c->times[i] && sim_value(p->s, p->tenant, p->region, series, ms, &v) &&
		    sim_shown_ms(p->s, p->tenant, p->region, series, ms) <= p->s->now_ms)
			wrong(p, &p->v->lost, "late point not found", ms);
	}
}

/* The objects of a cell in a world of late points, numbered without a gap; returns how many there
 * are. */
static size_t
check_points_cell(struct place *p, int64_t from)
{
	struct points c = {.p = p, .from = from, .minutes = (size_t)(p->s->every_ms / SIM_MIN)};
	size_t n = 0;
	char *text;

	c.times = calloc(SIM_SERIES * c.minutes, sizeof(*c.times));
	if (!c.times)
		abort();
	for (bool more = true; more; c.late++) {
		bool any = take_object(p, from, c.late, &text);

		more = any || !c.late;
		if (!any)
			continue;
		n++;
		if (text && !count_lines(&c, text))
			wrong(p, &p->v->mismatched, "object differs", from);
		free(text);
	}
	check_times(&c);
	free(c.times);
	return n;
}

static size_t
wanted_lines(const struct place *p, int64_t from)
{
	size_t n = 0;
	char id[17];
	bool firing;
	int64_t ms;

	for (int64_t at = from; p->job == JOB_TRACES && at < from + p->s->every_ms; at += SIM_MIN)
		n += sim_span(p->s, p->tenant, p->region, at, &ms, id);
	for (int64_t at = from; p->job == JOB_ALARMS && at < from + p->s->every_ms; at += SIM_MIN)
		n += sim_change(p->s, p->tenant, p->region, at, &ms, &firing);
	if (p->job == JOB_APP)
		sim_events(p->s, p->tenant, p->region, from, from + p->s->every_ms, count_event,
			   &n);
	for (size_t i = 0; p->job == JOB_ECS && i < SIM_SERIES; i++)
		n += count_values(p, i, from, from + p->s->every_ms) > 0;
	return n;
}

/* The objects of a cell of log events in a late world; returns how many there are. */
static size_t
check_late_cell(struct place *p, int64_t from)
{
	CLEANUP(buf_done) struct buf all = BUF_INIT(TEXT_MAX);
	size_t n = 0;
	char *text;

	for (unsigned late = 0; late <= n + 1; late++) {
		if (!take_object(p, from, late, &text))
			continue;
		n++;
		buf_str(&all, text ? text : "");
		free(text);
	}
	p->some = from + p->s->every_ms + SIM_HOLD > p->s->now_ms;
	buf_ch(&all, '\0');
	if (!buf_ok(&all) || !lines_match(p, all.p, from))
		wrong(p, &p->v->mismatched, "objects together differ", from);
	return n;
}

/* What could not be had when a cell was frozen, and came later. */
static size_t
late_objects(const struct place *p, int64_t from)
{
	char key[SIM_WORDS];
	unsigned n = 0;

	for (cell_key(p, from, 1, key); sim_object(p->s, key); n++)
		cell_key(p, from, n + 2, key);
	return n;
}

/* Returns how many objects there are. */
static size_t
check_cell(const struct place *p, int64_t from)
{
	const struct sim_object *o;
	char key[SIM_WORDS];
	uint64_t h;

	cell_key(p, from, 0, key);
	o = sim_object(p->s, key);
	if (in_gap(p, "lake", from, from + p->s->every_ms))
		return late_objects(p, from) + (o != NULL);
	if (!o) {
		if (wanted_lines(p, from))
			wrong(p, &p->v->lost, "no object", from);
		return 0;
	}
	h = mix64(fnv1a64(sv_of(key)) ^ fnv1a64(sv_of(o->etag)) ^ mix64(p->s->seed)) | 1;
	if (!remember(h) && !object_is_good(p, o, from)) {
		known[h % KNOWN_SLOTS] = 0;
		wrong(p, &p->v->mismatched, "object differs", from);
	}
	if (o->writes != 1)
		wrong(p, &p->v->duplicated, "object written again", from);
	return 1;
}

/* ---- receiver ---- */

/* A series of the receiver, of which samples up to `at` are accounted for. */
struct walk {
	const struct place *p;
	const struct db_series *db; /* NULL: there is none */
	size_t at;
};

/* The next sample that there must be. */
static void
check_sample(struct walk *w, int64_t ms, double v)
{
	const struct place *p = w->p;
	const struct db_series *db = w->db;
	bool none = !db || w->at == db->n || db->samples[w->at].ts > ms;

	if (none && in_gap(p, "prom", ms, ms + 1))
		return;
	if (none) {
		wrong(p, &p->v->lost, "no sample", ms);
		return;
	}
	for (; w->at < db->n && db->samples[w->at].ts < ms; w->at++)
		wrong(p, &p->v->mismatched, "sample from nowhere", db->samples[w->at].ts);
	if (w->at < db->n && db->samples[w->at].ts == ms && db->samples[w->at].value != v)
		wrong(p, &p->v->mismatched, "sample differs", ms);
	w->at++;
}

static void
check_end(struct walk *w)
{
	for (; w->db && w->at < w->db->n; w->at++)
		wrong(w->p, &w->p->v->mismatched, "sample from nowhere", w->db->samples[w->at].ts);
}

/* What came in time is there; what came late is if its receiver is known to take it, and may be if
 * not; nothing else is. */
static void
check_sample_of(struct walk *w, size_t series, int64_t ms)
{
	const struct place *p = w->p;
	int64_t shown = sim_shown_ms(p->s, p->tenant, p->region, series, ms);
	bool may_lack = shown > (p->s->out_of_order ? p->s->now_ms : ms);
	double v;

	if (!sim_value(p->s, p->tenant, p->region, series, ms, &v) ||
	    (may_lack && (!w->db || w->at == w->db->n || w->db->samples[w->at].ts > ms)))
		return;
	check_sample(w, ms, v);
}

static void
check_series(const struct place *p, size_t series, int64_t from, int64_t to)
{
	struct walk w = {.p = p};
	char key[512];

	(void)snprintf(key, sizeof(key),
		       "__name__=%s;account_id=%s;cluster=c;region=%s;service=web;tenant=%s;",
		       sim_series[series], p->account, sim_regions[p->region], p->id);
	w.db = db_find(p->s->receiver, key);
	for (int64_t ms = from; ms < to; ms += SIM_MIN)
		check_sample_of(&w, series, ms);
	check_end(&w);
}

/* The samples of one group's events. */
struct event_walk {
	struct walk w;
	size_t group;
	int64_t last_ms;
};

/* Of two in a millisecond the first one's counts. */
static void
check_event(void *arg, const struct sim_event *e)
{
	struct event_walk *ew = arg;

	if (e->group != ew->group || e->ms == ew->last_ms)
		return;
	ew->last_ms = e->ms;
	check_sample(&ew->w, e->ms, e->n + 0.5);
}

static void
check_events(const struct place *p, size_t group, int64_t from, int64_t to)
{
	struct event_walk ew = {.w = {.p = p}, .group = group, .last_ms = INT64_MIN};
	char key[512];

	(void)snprintf(key, sizeof(key),
		       "__name__=app_event;account_id=%s;group=%s;region=%s;tenant=%s;", p->account,
		       sim_groups[group], sim_regions[p->region], p->id);
	ew.w.db = db_find(p->s->receiver, key);
	sim_events(p->s, p->tenant, p->region, from, to, check_event, &ew);
	check_end(&ew.w);
}

static void
check_counts(const struct place *p, int64_t from, int64_t to)
{
	struct walk w = {.p = p};
	char key[512];

	(void)snprintf(key, sizeof(key), "__name__=app_events;account_id=%s;region=%s;tenant=%s;",
		       p->account, sim_regions[p->region], p->id);
	w.db = db_find(p->s->receiver, key);
	for (int64_t ms = from; ms < to; ms += SIM_MIN) {
		size_t n = sim_count(p->s, p->tenant, p->region, ms);

		if (n)
			check_sample(&w, ms, (double)n);
	}
	check_end(&w);
}

/* Each span has arrived, once or again, and is one call of its minute. */
static void
check_spans(const struct place *p, int64_t from, int64_t to)
{
	const struct db_series *db;
	char key[512], id[17];
	size_t at = 0;
	int64_t ms;

	(void)snprintf(key, sizeof(key),
		       "__name__=trace_calls;account_id=%s;region=%s;service=web;status=ok;"
		       "tenant=%s;",
		       p->account, sim_regions[p->region], p->id);
	db = db_find(p->s->receiver, key);
	for (int64_t minute = from; minute < to; minute += SIM_MIN) {
		if (!sim_span(p->s, p->tenant, p->region, minute, &ms, id))
			continue;
		if (!map_get(&p->s->spans, sv_of(id)))
			wrong(p, &p->v->lost, "no span", ms);
		if (!db || at == db->n || db->samples[at].ts > minute)
			wrong(p, &p->v->lost, "no sample", minute);
		else if (db->samples[at].ts != minute || db->samples[at++].value != 1)
			wrong(p, &p->v->mismatched, "sample differs", minute);
	}
	if (db && at < db->n)
		wrong(p, &p->v->mismatched, "sample from nowhere", db->samples[at].ts);
}

/* Whether it fires, as it stood at the start of each minute. */
static void
check_states(const struct place *p, int64_t from, int64_t to)
{
	const struct db_series *db;
	char key[512];
	size_t at = 0;

	(void)snprintf(key, sizeof(key),
		       "__name__=aws_cloudwatch_alarm_state;account_id=%s;alarm=a;region=%s;"
		       "state=alarm;tenant=%s;",
		       p->account, sim_regions[p->region], p->id);
	db = db_find(p->s->receiver, key);
	for (int64_t ms = from; ms < to; ms += SIM_MIN, at++) {
		if (!db || at >= db->n)
			wrong(p, &p->v->lost, "no sample", ms);
		else if (db->samples[at].ts != ms ||
			 db->samples[at].value !=
			     (double)sim_firing(p->s, p->tenant, p->region, ms))
			wrong(p, &p->v->mismatched, "sample differs", ms);
	}
	if (db && at < db->n)
		wrong(p, &p->v->mismatched, "sample from nowhere", db->samples[at].ts);
}

/* ---- checkpoints ---- */

/* The stream's first cell, if all its sinks are through up to `due`. */
static bool
stream_is_done(const struct place *p, const json_t *stream, int64_t due, int64_t *first)
{
	const json_t *sinks = json_object_get(stream, "sinks");
	const char *name;
	json_t *sink;
	int64_t cursor;

	if (!read_time(stream, "first", first) ||
	    (!p->s->gaps && json_array_size(json_object_get(stream, "gaps"))))
		return false;
	json_object_foreach((json_t *)(uintptr_t)sinks, name,
			    sink) if (!read_time(sink, "cursor", &cursor) ||
				      cursor != due) return false;
	return json_object_size(sinks) == job_sinks[p->job] + (p->job == JOB_APP && p->s->numbers) +
					      (p->job == JOB_ALARMS && p->s->ways.oncall) +
					      (p->job == JOB_ECS && p->s->ways.text ? 2 : 0);
}

/* Returns how many objects its cells have. */
static size_t
check_stream(struct place *p, const json_t *checkpoint)
{
	int64_t due = (p->s->now_ms - job_delay[p->job]) / p->s->every_ms * p->s->every_ms,
		first = 0;
	const json_t *stream =
	    json_object_get(json_object_get(checkpoint, "streams"), sim_regions[p->region]);
	size_t n = 0;

	if (!stream_is_done(p, stream, due, &first)) {
		wrong(p, &p->v->lost, "the checkpoint is behind or has gaps", due);
		return 0;
	}
	p->gaps = p->s->gaps ? json_object_get(stream, "gaps") : NULL;
	if (p->s->of[p->tenant].unjudged)
		return 0;
	if (first < p->s->judge_from_ms)
		first = p->s->judge_from_ms;
	for (int64_t from = first; from < due; from += p->s->every_ms)
		n += p->s->jobs == SIM_LATE	? check_late_cell(p, from)
		     : p->s->jobs == SIM_POINTS ? check_points_cell(p, from)
						: check_cell(p, from);
	for (size_t i = 0; p->job == JOB_ECS && i < SIM_SERIES; i++)
		check_series(p, i, first, due);
	for (int64_t from = first; p->job == JOB_ECS && p->s->ways.text && from < due;
	     from += p->s->every_ms)
		if (!sim_openmetrics_match(p->s, p->tenant, p->region, from))
			wrong(p, &p->v->mismatched, "OpenMetrics file differs", from);
	if (p->s->ways.stats)
		check_counts(p, first, due);
	for (size_t i = 0;
	     p->job == JOB_APP && p->s->numbers && !p->s->ways.stats && i < SIM_GROUPS; i++)
		check_events(p, i, first, due);
	if (p->job == JOB_TRACES)
		check_spans(p, first, due);
	if (p->job == JOB_ALARMS)
		check_states(p, first, due);
	if (p->s->ways.oncall &&
	    p->s->alerts[p->tenant][p->region].seen != p->s->alerts[p->tenant][p->region].told)
		wrong(p, &p->v->lost, "the Alertmanager was not told", due);
	return n;
}

static size_t
check_checkpoint(struct place *p)
{
	const struct sim_object *o;
	char key[SIM_WORDS];
	json_t *doc;
	size_t n = 0;

	(void)snprintf(key, sizeof(key), "sim/state/tenants/%s/%s.json", p->id, job_names[p->job]);
	o = sim_object(p->s, key);
	doc = o ? json_loadb(o->bytes, o->n, 0, NULL) : NULL;
	for (p->region = 0; p->region < p->s->regions; p->region++)
		n += check_stream(p, doc);
	json_decref(doc);
	return n;
}

struct object_count {
	const struct sim *s;
	size_t n;
};

/* Of tenants that are judged. */
static void
count_object(struct sv key, void *value, void *arg)
{
	const char *of = strstr(((const struct sim_object *)value)->key, "/tenant=");
	struct object_count *c = arg;

	if (!sv_starts(key, SV("sim/lake/")) || sv_starts(key, SV("sim/lake/.muster-probe")))
		return;
	c->n += !of || !c->s->of[sim_tenant_of(c->s, of + strlen("/tenant="))].unjudged;
}

static size_t
lake_objects(const struct sim *s)
{
	struct object_count c = {s, 0};

	map_each(&s->objects, count_object, &c);
	return c.n;
}

static bool
has_job(const struct sim *s, enum sim_job job)
{
	static const bool has[SIM_WORLDS][JOBS] = {
	    [SIM_USUAL] = {[JOB_ECS] = true, [JOB_APP] = true},
	    [SIM_LATE] = {[JOB_APP] = true},
	    [SIM_TRACES] = {[JOB_TRACES] = true},
	    [SIM_ALARMS] = {[JOB_ALARMS] = true},
	    [SIM_POINTS] = {[JOB_ECS] = true},
	};

	return has[s->jobs][job];
}

void
sim_check(struct sim *s, struct sim_verdict *v)
{
	struct place p = {.s = s, .v = v};
	size_t n = 0;

	*v = (struct sim_verdict){0};
	sim_load_files(s);
	for (p.tenant = 0; p.tenant < s->tenants; p.tenant++) {
		sim_tenant(p.tenant, p.id, p.account);
		for (p.job = 0; p.job < JOBS; p.job++)
			if (has_job(s, p.job))
				n += check_checkpoint(&p);
	}
	if (n != lake_objects(s) && !v->what[0]) {
		v->mismatched++;
		(void)snprintf(v->what, SIM_WORDS, "%zu objects in the lake that are of no cell",
			       lake_objects(s) - n);
	}
	if (s->ways.text && !sim_screen_matches(s)) {
		v->mismatched++;
		if (!v->what[0])
			(void)snprintf(v->what, SIM_WORDS, "the standard output differs");
	}
	if (s->lake_overwrites && !v->what[0])
		(void)snprintf(v->what, SIM_WORDS, "lake objects were overwritten");
	v->duplicated += s->lake_overwrites;
}

struct lines {
	char **v;
	size_t n, cap;
};

static void
split_lines(struct lines *l, char *text)
{
	char *rest = NULL;

	for (char *at = strtok_r(text, "\n", &rest); at; at = strtok_r(NULL, "\n", &rest)) {
		if (l->n == l->cap) {
			l->cap = l->cap ? 2 * l->cap : 256;
			l->v = realloc(l->v, l->cap * sizeof(*l->v));
			if (!l->v)
				abort();
		}
		l->v[l->n++] = strdup(at);
	}
}

/* Below a job's folder. */
static bool
is_shown(struct sv key)
{
	return sv_starts(key, SV("sim/lake/")) && sv_ends(key, SV(".ndjson.zst")) &&
	       !sv_starts(key, SV("sim/lake/rejected/"));
}

static void
add_lines(struct sv key, void *value, void *arg)
{
	const struct sim_object *o = value;
	char *text = is_shown(key) ? malloc(TEXT_MAX + 1) : NULL;
	size_t n;

	if (!text)
		return;
	n = ZSTD_decompress(text, TEXT_MAX, o->bytes, o->n); /* of all frames */
	text[ZSTD_isError(n) ? 0 : n] = '\0';
	split_lines(arg, text);
	free(text);
}

static int
by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

void
sim_lake_lines(const struct sim *s, struct buf *out)
{
	struct lines l = {0};

	map_each(&s->objects, add_lines, &l);
	if (l.n)
		qsort(l.v, l.n, sizeof(*l.v), by_text);
	for (size_t i = 0; i < l.n; i++) {
		buf_fmt(out, "%s\n", l.v[i]);
		free(l.v[i]);
	}
	free(l.v);
}

static void
count_shown(struct sv key, void *value, void *arg)
{
	(void)value;
	*(size_t *)arg += is_shown(key);
}

size_t
sim_lake_objects(const struct sim *s)
{
	size_t n = 0;

	map_each(&s->objects, count_shown, &n);
	return n;
}

/* ---- reports ---- */

static void
find_report(struct sv key, void *value, void *arg)
{
	if (sv_starts(key, SV("sim/state/reports/")))
		*(struct sim_object **)arg = value;
}

json_t *
sim_take_report(struct sim *s)
{
	struct sim_object *o = NULL;
	json_t *doc;

	map_each(&s->objects, find_report, &o);
	if (!o)
		return NULL;
	doc = json_loadb(o->bytes, o->n, JSON_REJECT_DUPLICATES, NULL);
	sim_object_remove(s, o->key);
	return doc;
}
