/*
 * What a checkpoint knows and how it moves; see checkpoint.h.
 *
 * Everything that must hold of a checkpoint is written down once, in ckpt_check. It is asked before
 * a document is written and after one was read, so that no mistake of ours can produce a document
 * that the next run would have to take for damaged.
 */
#include "state/checkpoint.h"

#include <inttypes.h>

#include "base/cleanup.h"
#include "base/timefmt.h"
#include "state/ckpt_json.h"

int
ckpt_set_str(char **field, const char *v, struct err *err)
{
	char *copy = NULL;

	if (v) {
		copy = sv_dup(sv_of(v));
		if (!copy)
			return err_nomem(err);
	}
	free(*field);
	*field = copy;
	return 0;
}

struct ckpt *
ckpt_new(const char *tenant, const char *job)
{
	CLEANUP(ckpt_freep) struct ckpt *c = calloc(1, sizeof(*c));

	if (!c || ckpt_set_str(&c->tenant, tenant, NULL) < 0 ||
	    ckpt_set_str(&c->job, job, NULL) < 0)
		return NULL;
	return STEAL(c);
}

static void
stream_done(struct ckpt_stream *s)
{
	for (size_t i = 0; i < s->n_sinks; i++) {
		free(s->sinks[i].name);
		free(s->sinks[i].beyond.v);
	}
	for (size_t i = 0; i < s->n_gaps; i++) {
		free(s->gaps[i].sink);
		free(s->gaps[i].reason);
	}
	free(s->sinks);
	free(s->gaps);
	free(s->region);
	free(s->definition);
	free(s->last_error);
	json_decref(s->memo);
	json_decref(s->seen);
	tally_done(&s->calls);
}

static void
event_done(struct ckpt_event *e)
{
	free(e->who);
	free(e->what);
	free(e->reason);
}

void
ckpt_free(struct ckpt *c)
{
	if (!c)
		return;
	for (size_t i = 0; i < c->n_streams; i++)
		stream_done(&c->streams[i]);
	free(c->streams);
	for (size_t i = 0; i < c->n_history; i++)
		event_done(&c->history[i]);
	free(c->history);
	free(c->tenant);
	free(c->job);
	free(c->account);
	free(c->lease.owner);
	free(c->lease.host);
	free(c);
}

/* The array with room for one more element: it has room for the next power of two. */
static void *
array_grow(void *v, size_t n, size_t size)
{
	return (n & (n - 1)) == 0 ? reallocarray(v, n ? n * 2 : 1, size) : v;
}

void *
ckpt_array_new(size_t n, size_t size)
{
	size_t cap = 1;

	while (cap < n)
		cap *= 2;
	return calloc(cap, size);
}

/* Streams and sinks */

struct ckpt_stream *
ckpt_stream_find(struct ckpt *c, const char *region)
{
	for (size_t i = 0; i < c->n_streams; i++)
		if (strcmp(c->streams[i].region, region) == 0)
			return &c->streams[i];
	return NULL;
}

static bool
on_grid(int64_t ms, int64_t every_ms)
{
	return time_countable(ms) && ms % every_ms == 0;
}

struct ckpt_stream *
ckpt_stream_add(struct ckpt *c, const char *region, int64_t first_ms, int64_t every_ms,
		struct err *err)
{
	struct ckpt_stream *s = ckpt_stream_find(c, region);
	size_t at = 0;
	char *name;

	if (s)
		return s;
	if (!cell_every_valid(every_ms, 0) || !on_grid(first_ms, every_ms)) {
		(void)err_set(err, ERR_USAGE,
			      "stream %s: first cell at %" PRId64 " is not on a grid of %" PRId64
			      " ms",
			      region, first_ms, every_ms);
		return NULL;
	}
	name = sv_dup(sv_of(region));
	s = name ? array_grow(c->streams, c->n_streams, sizeof(*s)) : NULL;
	if (!s) {
		free(name);
		(void)err_nomem(err);
		return NULL;
	}
	c->streams = s;
	while (at < c->n_streams && strcmp(s[at].region, region) < 0)
		at++;
	memmove(s + at + 1, s + at, (c->n_streams++ - at) * sizeof(*s));
	s[at] = (struct ckpt_stream){.region = name, .first_ms = first_ms, .every_ms = every_ms};
	return &s[at];
}

struct ckpt_sink *
ckpt_sink_find(const struct ckpt_stream *s, const char *name)
{
	for (size_t i = 0; i < s->n_sinks; i++)
		if (strcmp(s->sinks[i].name, name) == 0)
			return &s->sinks[i];
	return NULL;
}

struct ckpt_sink *
ckpt_sink_add(struct ckpt_stream *s, const char *name, int64_t cursor_ms, struct err *err)
{
	struct ckpt_sink *k = ckpt_sink_find(s, name);
	size_t at = 0;
	char *copy;

	if (k)
		return k;
	if (cursor_ms < s->first_ms)
		cursor_ms = s->first_ms;
	if (!on_grid(cursor_ms, s->every_ms)) {
		(void)err_set(err, ERR_USAGE,
			      "sink %s: cursor %" PRId64 " is not on a grid of %" PRId64 " ms",
			      name, cursor_ms, s->every_ms);
		return NULL;
	}
	copy = sv_dup(sv_of(name));
	k = copy ? array_grow(s->sinks, s->n_sinks, sizeof(*k)) : NULL;
	if (!k) {
		free(copy);
		(void)err_nomem(err);
		return NULL;
	}
	s->sinks = k;
	while (at < s->n_sinks && strcmp(k[at].name, name) < 0)
		at++;
	memmove(k + at + 1, k + at, (s->n_sinks++ - at) * sizeof(*k));
	k[at] = (struct ckpt_sink){.name = copy, .cursor_ms = cursor_ms};
	return &k[at];
}

/* What is done */

/* The first range that ends at or after ts: the only one that can hold, touch or follow it. */
static size_t
range_at(const struct ckpt_ranges *r, int64_t ts)
{
	size_t lo = 0, hi = r->n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (r->v[mid].end_ms < ts)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

static void
ranges_remove(struct ckpt_ranges *r, size_t at, size_t n)
{
	if (n == 0)
		return;
	memmove(r->v + at, r->v + at + n, (r->n - at - n) * sizeof(*r->v));
	r->n -= n;
}

/* Adds [start, end), merged with all it overlaps or touches. */
static int
ranges_add(struct ckpt_ranges *r, int64_t start, int64_t end, struct err *err)
{
	size_t at = range_at(r, start), last = at;
	struct ckpt_range *v;

	for (; last < r->n && r->v[last].start_ms <= end; last++) {
		if (r->v[last].start_ms < start)
			start = r->v[last].start_ms;
		if (r->v[last].end_ms > end)
			end = r->v[last].end_ms;
	}
	if (last == at) {
		v = reallocarray(r->v, r->n + 1, sizeof(*v));
		if (!v)
			return err_nomem(err);
		r->v = v;
		memmove(v + at + 1, v + at, (r->n - at) * sizeof(*v));
		r->n++;
	} else {
		ranges_remove(r, at + 1, last - at - 1);
	}
	r->v[at] = (struct ckpt_range){start, end};
	return 0;
}

int
ckpt_done(struct ckpt_sink *k, struct cell c, struct err *err)
{
	size_t n = 0;

	if (c.start_ms >= c.end_ms || !time_countable(c.start_ms) || !time_countable(c.end_ms))
		return err_set(err, ERR_USAGE, "not a cell: %" PRId64 " to %" PRId64, c.start_ms,
			       c.end_ms);
	if (c.start_ms > k->cursor_ms)
		return ranges_add(&k->beyond, c.start_ms, c.end_ms, err);
	if (c.end_ms > k->cursor_ms)
		k->cursor_ms = c.end_ms;
	for (; n < k->beyond.n && k->beyond.v[n].start_ms <= k->cursor_ms; n++)
		if (k->beyond.v[n].end_ms > k->cursor_ms)
			k->cursor_ms = k->beyond.v[n].end_ms;
	ranges_remove(&k->beyond, 0, n);
	return 0;
}

bool
ckpt_is_done(const struct ckpt_sink *k, struct cell c)
{
	size_t at;

	if (c.end_ms <= k->cursor_ms)
		return true;
	at = range_at(&k->beyond, c.end_ms);
	return at < k->beyond.n && k->beyond.v[at].start_ms <= c.start_ms;
}

static int64_t
common_grid(int64_t a, int64_t b)
{
	int64_t x = a, y = b;

	while (y) {
		int64_t rest = x % y;

		x = y;
		y = rest;
	}
	return a / x * b;
}

/* The newest end of anything that is done. */
static int64_t
newest_done(const struct ckpt_stream *s)
{
	int64_t newest = s->first_ms;

	for (size_t i = 0; i < s->n_sinks; i++) {
		const struct ckpt_sink *k = &s->sinks[i];
		int64_t end = k->beyond.n ? k->beyond.v[k->beyond.n - 1].end_ms : k->cursor_ms;

		newest = end > newest ? end : newest;
	}
	return newest;
}

int64_t
ckpt_regrid(struct ckpt_stream *s, int64_t every_ms, const char *const *sinks, size_t n,
	    int64_t now_ms, struct err *err)
{
	int64_t grid = common_grid(s->every_ms, every_ms), done = newest_done(s);
	int64_t at = cell_floor(done + grid - 1, grid);

	for (size_t i = 0; i < n; i++) {
		const struct ckpt_sink *k = ckpt_sink_find(s, sinks[i]);

		if (k && k->cursor_ms != at)
			return at;
	}
	if (done != at)
		return at;
	for (size_t i = 0; i < s->n_sinks; i++) {
		struct ckpt_sink *k = &s->sinks[i];
		struct cell lacks = {k->cursor_ms, at};

		if (lacks.start_ms < at &&
		    (ckpt_gap_add(s, k->name, lacks, "`every` was changed", now_ms, err) < 0 ||
		     ckpt_done(k, lacks, err) < 0))
			return -1;
	}
	s->first_ms = at;
	s->every_ms = every_ms;
	json_decref(s->seen);
	s->seen = NULL;
	return 0;
}

int64_t
ckpt_watermark(const struct ckpt_stream *s)
{
	int64_t oldest = s->n_sinks ? s->sinks[0].cursor_ms : s->first_ms;

	for (size_t i = 1; i < s->n_sinks; i++)
		if (s->sinks[i].cursor_ms < oldest)
			oldest = s->sinks[i].cursor_ms;
	return oldest;
}

/* Gaps */

/* The last gap of that sink and reason. */
static struct ckpt_gap *
gap_last(struct ckpt_stream *s, const char *sink, const char *reason)
{
	for (size_t i = s->n_gaps; i-- > 0;)
		if (strcmp(s->gaps[i].sink, sink) == 0 && strcmp(s->gaps[i].reason, reason) == 0)
			return &s->gaps[i];
	return NULL;
}

/* Grows g over c if they touch; false if they do not. */
static bool
gap_grow(struct ckpt_gap *g, struct cell c, int64_t now_ms)
{
	if (c.start_ms > g->end_ms || c.end_ms < g->start_ms)
		return false;
	if (c.start_ms >= g->start_ms && c.end_ms <= g->end_ms)
		return true;
	if (c.start_ms < g->start_ms)
		g->start_ms = c.start_ms;
	if (c.end_ms > g->end_ms)
		g->end_ms = c.end_ms;
	g->recorded_ms = now_ms;
	return true;
}

int
ckpt_gap_add(struct ckpt_stream *s, const char *sink, struct cell c, const char *reason,
	     int64_t now_ms, struct err *err)
{
	CLEANUP(freep) char *name = NULL;
	CLEANUP(freep) char *why = NULL;
	struct ckpt_gap *g;

	sink = sink ? sink : "";
	if (c.start_ms >= c.end_ms || !time_countable(c.start_ms) || !time_countable(c.end_ms))
		return err_set(err, ERR_USAGE, "not a gap: %" PRId64 " to %" PRId64, c.start_ms,
			       c.end_ms);
	g = gap_last(s, sink, reason);
	if (g && gap_grow(g, c, now_ms))
		return 0;
	name = sv_dup(sv_of(sink));
	why = sv_dup(sv_of(reason));
	if (!name || !why)
		return err_nomem(err);
	g = array_grow(s->gaps, s->n_gaps, sizeof(*g));
	if (!g)
		return err_nomem(err);
	s->gaps = g;
	g[s->n_gaps++] = (struct ckpt_gap){c.start_ms, c.end_ms, STEAL(name), STEAL(why), now_ms};
	return 0;
}

/* What operators do */

static int
gap_off(struct ckpt_stream *s, size_t *i, int64_t from_ms, int64_t to_ms, struct err *err)
{
	struct ckpt_gap *g = &s->gaps[*i];
	const struct cell after = {to_ms, g->end_ms};

	if (g->end_ms > to_ms && g->start_ms < from_ms) {
		/* Both ends stay: the later one is a gap of its own. */
		struct ckpt_gap copy = *g;

		g->end_ms = from_ms;
		return ckpt_gap_add(s, copy.sink, after, copy.reason, copy.recorded_ms, err);
	}
	if (g->end_ms > to_ms) {
		g->start_ms = to_ms;
	} else if (g->start_ms < from_ms) {
		g->end_ms = from_ms;
	} else {
		free(g->sink);
		free(g->reason);
		memmove(g, g + 1, (--s->n_gaps - *i) * sizeof(*g));
		--*i;
	}
	return 0;
}

/* Takes [from, to) off the record of one sink. */
static int
gaps_off(struct ckpt_stream *s, const char *sink, int64_t from_ms, int64_t to_ms, struct err *err)
{
	for (size_t i = 0; i < s->n_gaps; i++) {
		const struct ckpt_gap *g = &s->gaps[i];

		if (strcmp(g->sink, sink) == 0 && g->start_ms < to_ms && g->end_ms > from_ms &&
		    gap_off(s, &i, from_ms, to_ms, err) < 0)
			return -1;
	}
	return 0;
}

int
ckpt_rewind(struct ckpt_stream *s, struct ckpt_sink *k, int64_t to_ms, struct err *err)
{
	int64_t end = k->beyond.n ? k->beyond.v[k->beyond.n - 1].end_ms : k->cursor_ms;

	if (!on_grid(to_ms, s->every_ms))
		return err_set(err, ERR_USAGE, "%" PRId64 " is not the start of a cell", to_ms);
	if (to_ms < s->first_ms)
		return err_set(err, ERR_USAGE, "before the stream's first cell");
	if (to_ms >= k->cursor_ms)
		return err_set(err, ERR_USAGE, "not before the cursor");
	if (gaps_off(s, k->name, to_ms, end, err) < 0)
		return -1;
	k->cursor_ms = to_ms;
	k->beyond.n = 0;
	return 0;
}

int
ckpt_skip(struct ckpt_stream *s, struct ckpt_sink *k, int64_t to_ms, const char *reason,
	  int64_t now_ms, struct err *err)
{
	const struct cell all = {k->cursor_ms, to_ms};
	struct cell missed = all;

	if (!on_grid(to_ms, s->every_ms))
		return err_set(err, ERR_USAGE, "%" PRId64 " is not the start of a cell", to_ms);
	for (size_t i = 0; i <= k->beyond.n && missed.start_ms < to_ms; i++) {
		bool last = i == k->beyond.n || k->beyond.v[i].start_ms >= to_ms;

		missed.end_ms = last ? to_ms : k->beyond.v[i].start_ms;
		if (missed.start_ms < missed.end_ms &&
		    ckpt_gap_add(s, k->name, missed, reason, now_ms, err) < 0)
			return -1;
		missed.start_ms = last ? to_ms : k->beyond.v[i].end_ms;
	}
	return ckpt_done(k, all, err);
}

static void
history_trim(struct ckpt *c)
{
	while (c->n_history >= CKPT_HISTORY_MAX) {
		event_done(&c->history[0]);
		memmove(c->history, c->history + 1, --c->n_history * sizeof(*c->history));
	}
}

int
ckpt_event_add(struct ckpt *c, int64_t now_ms, const char *who, const char *what,
	       const char *reason, struct err *err)
{
	struct ckpt_event e = {.time_ms = now_ms}, *v;

	if (ckpt_set_str(&e.who, who, err) == 0 && ckpt_set_str(&e.what, what, err) == 0 &&
	    ckpt_set_str(&e.reason, reason, err) == 0) {
		history_trim(c);
		v = reallocarray(c->history, c->n_history + 1, sizeof(*v));
		if (v) {
			c->history = v;
			v[c->n_history++] = e;
			return 0;
		}
		(void)err_nomem(err);
	}
	event_done(&e);
	return -1;
}

/* What must hold */

/* JSON readers have signed numbers. */
static bool
count_valid(uint64_t n)
{
	return n <= INT64_MAX;
}

static int
check_sink(const struct ckpt_stream *s, const struct ckpt_sink *k, struct err *err)
{
	int64_t after = k->cursor_ms;

	if (!k->name || !*k->name)
		return err_set(err, ERR_DATA, "a sink without a name");
	if (!on_grid(k->cursor_ms, s->every_ms) || k->cursor_ms < s->first_ms)
		return err_set(err, ERR_DATA, "sink %s: cursor %" PRId64 " is not on the grid",
			       k->name, k->cursor_ms);
	if (!count_valid(k->acked) || !count_valid(k->already) || !count_valid(k->too_old) ||
	    !count_valid(k->rejected) || !count_valid(k->bytes) || !count_valid(k->over_limit))
		return err_set(err, ERR_DATA, "sink %s: counter out of range", k->name);
	for (size_t i = 0; i < k->beyond.n; i++) {
		const struct ckpt_range *r = &k->beyond.v[i];

		if (!on_grid(r->start_ms, s->every_ms) || !on_grid(r->end_ms, s->every_ms))
			return err_set(err, ERR_DATA, "sink %s: range %zu is not on the grid",
				       k->name, i);
		if (r->start_ms <= after || r->end_ms <= r->start_ms)
			return err_set(err, ERR_DATA, "sink %s: range %zu is out of order", k->name,
				       i);
		after = r->end_ms;
	}
	return 0;
}

static int
check_gaps(const struct ckpt_stream *s, struct err *err)
{
	for (size_t i = 0; i < s->n_gaps; i++) {
		const struct ckpt_gap *g = &s->gaps[i];

		if (!g->sink || !g->reason)
			return err_set(err, ERR_DATA, "gap %zu has no sink or reason", i);
		if (!time_countable(g->start_ms) || !time_countable(g->end_ms) ||
		    g->end_ms <= g->start_ms || !time_countable(g->recorded_ms))
			return err_set(err, ERR_DATA, "gap %zu: times out of range or order", i);
	}
	return 0;
}

static int
check_stream(const struct ckpt_stream *s, struct err *err)
{
	const struct ckpt_counters *n = &s->counters;

	if (!s->region || !*s->region)
		return err_set(err, ERR_DATA, "a stream without a region");
	if (!cell_every_valid(s->every_ms, 0) || !on_grid(s->first_ms, s->every_ms))
		return err_set(err, ERR_DATA,
			       "first cell at %" PRId64 " is not on a grid of %" PRId64 " ms",
			       s->first_ms, s->every_ms);
	if (!count_valid(n->cells) || !count_valid(n->empty_cells) || !count_valid(n->rows) ||
	    !count_valid(n->samples_frozen) || !count_valid(n->rejected_in) ||
	    !count_valid(n->failed_runs) || !count_valid(n->late) || !count_valid(n->revised) ||
	    !count_valid(n->metrics_requested) || !count_valid(n->bytes_scanned) ||
	    !count_valid(s->failures))
		return err_set(err, ERR_DATA, "counter out of range");
	if (!time_countable(s->last_success_ms))
		return err_set(err, ERR_DATA, "last success out of range");
	for (size_t i = 0; i < s->n_sinks; i++) {
		if (check_sink(s, &s->sinks[i], err) < 0)
			return -1;
		if (i > 0 && strcmp(s->sinks[i - 1].name, s->sinks[i].name) >= 0)
			return err_set(err, ERR_DATA, "sinks out of order");
	}
	return check_gaps(s, err);
}

int
ckpt_check(const struct ckpt *c, struct err *err)
{
	const struct ckpt_lease *l = &c->lease;

	if (!c->tenant || !*c->tenant || !c->job || !*c->job)
		return err_set(err, ERR_DATA, "no tenant or job");
	if (!count_valid(c->generation))
		return err_set(err, ERR_DATA, "generation out of range");
	if (!time_countable(l->since_ms) || !time_countable(l->until_ms) ||
	    !time_countable(l->begun_through_ms))
		return err_set(err, ERR_DATA, "lease: times out of range");
	for (size_t i = 0; i < c->n_streams; i++) {
		if (check_stream(&c->streams[i], err) < 0)
			return err_wrap(err, "stream %s",
					c->streams[i].region ? c->streams[i].region : "");
		if (i > 0 && strcmp(c->streams[i - 1].region, c->streams[i].region) >= 0)
			return err_set(err, ERR_DATA, "streams out of order");
	}
	for (size_t i = 0; i < c->n_history; i++)
		if (!time_countable(c->history[i].time_ms) || !c->history[i].who ||
		    !c->history[i].what || !c->history[i].reason)
			return err_set(err, ERR_DATA, "history entry %zu is incomplete", i);
	return 0;
}
