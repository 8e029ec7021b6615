/* What other runs may have given to receivers; see others.h. */
#include "run/others.h"

#include <stdlib.h>

#include "base/cleanup.h"
#include "base/grow.h"

#define START_CHARS 16 /* YYYYMMDDTHHMMSSZ */

/* What a sink may have of one run. */
struct share {
	size_t sink;
	struct cell range;
};

struct others {
	struct cell *scheduled; /* by sink, as last looked */
	struct share *backfills;
	size_t n, cap;
	bool looked; /* for backfills */
};

struct others *
others_new(size_t n_sinks)
{
	struct others *o = calloc(1, sizeof(*o));

	if (o)
		o->scheduled = calloc(n_sinks, sizeof(*o->scheduled));
	if (o && !o->scheduled) {
		free(o);
		o = NULL;
	}
	return o;
}

void
others_free(struct others *o)
{
	if (!o)
		return;
	free(o->scheduled);
	free(o->backfills);
	free(o);
}

/* From the stream's first cell up to what was begun or done; empty: the sink has nothing. */
static struct cell
range_of(struct ckpt *ckpt, const char *region, const char *sink)
{
	const struct ckpt_stream *s = ckpt_stream_find(ckpt, region);
	const struct ckpt_sink *k = s ? ckpt_sink_find(s, sink) : NULL;
	int64_t end = ckpt->lease.begun_through_ms;

	if (!k)
		return (struct cell){0, 0};
	if (k->cursor_ms > end)
		end = k->cursor_ms;
	if (k->beyond.n && k->beyond.v[k->beyond.n - 1].end_ms > end)
		end = k->beyond.v[k->beyond.n - 1].end_ms;
	return (struct cell){s->first_ms, end};
}

static int
read_doc(const struct stream *s, const char *key, const char *doc, struct ckpt **ret,
	 struct err *err)
{
	CLEANUP(buf_done) struct buf text = BUF_INIT(CKPT_MAX);

	if (store_get(s->commit->env->state, key, NULL, &text, NULL, err))
		return -1;
	return ckpt_parse(buf_view(&text), s->tenant->id, doc, ret, err);
}

/* ---- scheduled runs ---- */

/* A run that has not begun yet will not begin before its lookback. A checkpoint that cannot be read
 * may say anything. */
static struct cell
look_at_scheduled(const struct stream *s, size_t k)
{
	CLEANUP(buf_done) struct buf key = BUF_INIT(1024);
	CLEANUP(ckpt_freep) struct ckpt *ckpt = NULL;
	int64_t first = s->env->now_ms - s->plan->lookback_ms;
	struct cell range = {0, 0};
	struct err err = {0};

	ckpt_key(&key, "", s->tenant->id, s->job->name, "");
	if (!read_doc(s, buf_cstr(&key), s->job->name, &ckpt, &err))
		range = range_of(ckpt, s->js.region, s->plan->sinks[k].name);
	else if (err.kind != ERR_NOTFOUND)
		return (struct cell){0, INT64_MAX};
	return range.end_ms ? range : (struct cell){first, first};
}

bool
others_scheduled(struct stream *s, size_t k, struct cell c)
{
	struct cell *known = s->others ? &s->others->scheduled[k] : NULL;

	if (!known || !s->plan->sinks[k].ordered)
		return false;
	/* What they have written only grows at its end. */
	if (c.end_ms > known->end_ms)
		*known = look_at_scheduled(s, k);
	return c.start_ms >= known->start_ms && c.end_ms <= known->end_ms;
}

/* ---- other backfills ---- */

static void
add_share(struct others *o, size_t sink, struct cell range)
{
	struct share *v = array_grow(o->backfills, o->n, &o->cap, sizeof(*v), NULL);

	if (!v)
		return; /* one refusal more is told than need be */
	o->backfills = v;
	o->backfills[o->n++] = (struct share){sink, range};
}

/* <base>tenants/<tenant>/<job>.<start>.json of another backfill: the document's name into doc. */
static bool
is_slice(const struct stream *s, const char *key, struct buf *doc)
{
	CLEANUP(buf_done) struct buf head = BUF_INIT(1024);
	const char *in;
	size_t n;

	if (sv_starts(sv_of(key), sv_of(s->commit->env->base)))
		return false;
	buf_fmt(&head, "/tenants/%s/%s.", s->tenant->id, s->job->name);
	in = strstr(key, buf_cstr(&head));
	if (!in)
		return false;
	n = strlen(s->job->name) + 1 + START_CHARS;
	in += head.n - strlen(s->job->name) - 1;
	buf_reset(doc);
	buf_sv(doc, (struct sv){in, strnlen(in, n)});
	return buf_ok(doc) && strlen(in) > n && !strcmp(in + n, ".json");
}

static int
look_at_backfill(const char *key, void *arg)
{
	struct stream *s = arg;
	CLEANUP(buf_done) struct buf doc = BUF_INIT(256);
	CLEANUP(ckpt_freep) struct ckpt *ckpt = NULL;
	struct err ignored = {0};

	if (!is_slice(s, key, &doc) || read_doc(s, key, buf_cstr(&doc), &ckpt, &ignored))
		return 0;
	for (size_t k = 0; k < s->plan->n_sinks; k++) {
		struct cell range = range_of(ckpt, s->js.region, s->plan->sinks[k].name);

		if (range.end_ms)
			add_share(s->others, k, range);
	}
	return 0;
}

bool
others_backfills(struct stream *s, size_t k, struct cell c)
{
	struct store *state = s->commit->env->state;
	struct others *o = s->others;
	struct err ignored = {0};

	if (!o)
		return false;
	if (!o->looked)
		o->looked = !state->ops->list(state, "backfills/", look_at_backfill, s, &ignored);
	for (size_t i = 0; i < o->n; i++)
		if (o->backfills[i].sink == k && c.start_ms >= o->backfills[i].range.start_ms &&
		    c.end_ms <= o->backfills[i].range.end_ms)
			return true;
	return false;
}
