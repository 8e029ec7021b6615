/*
 * The asks of a pull: which part of the time, of which groups and streams, one query each. An ask
 * that came back cut off is replaced by smaller ones, so that together they always cover the cells
 * exactly; that is checked when they come back from a memo, where a part that nobody asks for would
 * be a silent loss.
 */
#include <stdlib.h>

#include "base/hash.h"
#include "jobs/insights.h"

#define ASKS_MAX 100000

enum { F_MORE = 1, F_LISTS = 2, F_COUNTED = 4, F_ALL = 7 };

int
asks_add(struct asks *s, const struct ask *ask, struct err *err)
{
	if (s->n == s->cap) {
		size_t cap = s->cap ? 2 * s->cap : 16;
		struct ask *v = cap <= ASKS_MAX ? realloc(s->v, cap * sizeof(*v)) : NULL;

		if (!v)
			return cap > ASKS_MAX
				   ? err_set(err, ERR_REJECTED, "more than %d queries for one span",
					     ASKS_MAX / 2)
				   : err_nomem(err);
		s->v = v;
		s->cap = cap;
	}
	s->v[s->n++] = *ask;
	return 0;
}

int
asks_add_pieces(struct asks *s, const struct ask *of, int64_t from_ms, int64_t pieces,
		struct err *err)
{
	struct ask one = *of;
	int64_t to_ms = of->to_ms, length = to_ms - from_ms;

	one.state = ASK_NEW;
	one.id = NULL;
	one.counted = false;
	if (pieces > length)
		pieces = length;
	for (int64_t i = 0; i < pieces; i++) {
		one.from_ms = from_ms + length / pieces * i + length % pieces * i / pieces;
		one.to_ms =
		    from_ms + length / pieces * (i + 1) + length % pieces * (i + 1) / pieces;
		one.used_to_ms = one.to_ms;
		if (asks_add(s, &one, err))
			return -1;
	}
	return 0;
}

void
asks_done(struct asks *s)
{
	free(s->v);
	s->v = NULL;
	s->n = s->cap = 0;
}

/* In the memo: [id, from, to, used_to, first group, last group, flags, [streams]] */

static json_t *
save_one(const struct ask *ask)
{
	int flags =
	    (ask->more ? F_MORE : 0) | (ask->lists ? F_LISTS : 0) | (ask->counted ? F_COUNTED : 0);
	json_t *streams = json_array();

	for (size_t i = 0; streams && i < ask->n_streams; i++)
		(void)json_array_append_new(streams, json_string(ask->streams[i]));
	if (json_array_size(streams) != ask->n_streams) {
		json_decref(streams);
		return NULL;
	}
	return json_pack("[s?, I, I, I, I, I, i, o]", ask->id, (json_int_t)ask->from_ms,
			 (json_int_t)ask->to_ms, (json_int_t)ask->used_to_ms, (json_int_t)ask->g0,
			 (json_int_t)ask->g1, flags, streams);
}

json_t *
asks_save(const struct asks *s)
{
	json_t *list = json_array();

	for (size_t i = 0; list && i < s->n; i++) {
		if (s->v[i].state == ASK_GONE)
			continue;
		if (json_array_append_new(list, save_one(&s->v[i]))) {
			json_decref(list);
			return NULL;
		}
	}
	return list;
}

static bool
load_streams(const json_t *list, struct arena *a, struct ask *ask)
{
	const char **v;

	ask->n_streams = json_array_size(list);
	v = arena_array(a, ask->n_streams, sizeof(*v));
	for (size_t i = 0; v && i < ask->n_streams; i++) {
		const char *name = json_string_value(json_array_get(list, i));

		v[i] = name ? arena_strdup(a, sv_of(name)) : NULL;
		if (!v[i])
			return false;
	}
	ask->streams = v;
	return v && json_is_array(list);
}

/* An ask that was under way goes on as what is left of it. */
static bool
load_one(const json_t *j, struct arena *a, size_t n_groups, struct ask *ask)
{
	const json_t *id = json_array_get(j, 0);
	json_int_t v[6];

	for (size_t i = 0; i < 6; i++) {
		if (!json_is_integer(json_array_get(j, i + 1)))
			return false;
		v[i] = json_integer_value(json_array_get(j, i + 1));
	}
	if (v[0] >= v[2] || v[2] > v[1] || v[3] < 0 || v[3] >= v[4] ||
	    v[4] > (json_int_t)n_groups || (v[5] & ~F_ALL) ||
	    !(json_is_string(id) || json_is_null(id)))
		return false;
	*ask = (struct ask){
	    .from_ms = v[0],
	    .to_ms = v[1],
	    .used_to_ms = v[2],
	    .g0 = (size_t)v[3],
	    .g1 = (size_t)v[4],
	    .more = v[5] & F_MORE,
	    .lists = v[5] & F_LISTS,
	    .counted = v[5] & F_COUNTED,
	};
	if (json_is_string(id)) {
		ask->id = arena_strdup(a, sv_of(json_string_value(id)));
		ask->state = ASK_RUNNING;
		if (!ask->id)
			return false;
	}
	return load_streams(json_array_get(j, 7), a, ask);
}

/* The groups of the list in which an ask finds its own: [*g0, *g1). False: it reaches over two. */
static bool
list_of(const struct groups *g, const struct ask *ask, size_t *g0, size_t *g1)
{
	*g0 = ask->g1 <= g->base ? 0 : g->base;
	*g1 = ask->g1 <= g->base ? g->base : g->n;
	return ask->g0 >= *g0;
}

/* What asks take of the plane of time and groups; parts that several asks share count once. */
struct cover {
	int64_t area;	  /* milliseconds times groups */
	uint64_t corners; /* their hashes; two in the same place cancel out */
};

static uint64_t
corner(int64_t ms, size_t g)
{
	return mix64(mix64((uint64_t)ms) + g);
}

static uint64_t
corners(int64_t from_ms, int64_t to_ms, size_t g0, size_t g1)
{
	return corner(from_ms, g0) ^ corner(from_ms, g1) ^ corner(to_ms, g0) ^ corner(to_ms, g1);
}

static bool
cover_add(struct cover *c, const struct ask *ask)
{
	int64_t area;

	if (ask->more)
		return true;
	c->corners ^= corners(ask->from_ms, ask->used_to_ms, ask->g0, ask->g1);
	return !__builtin_mul_overflow(ask->used_to_ms - ask->from_ms, (int64_t)(ask->g1 - ask->g0),
				       &area) &&
	       !__builtin_add_overflow(c->area, area, &c->area);
}

/* All of it, and nothing twice: with the corners of the whole alone, each place is in an odd number
 * of parts, and with its area in one. */
static bool
cover_is(const struct cover *c, int64_t start_ms, int64_t end_ms, size_t g0, size_t g1)
{
	return g1 > g0 && c->area == (end_ms - start_ms) * (int64_t)(g1 - g0) &&
	       c->corners == corners(start_ms, end_ms, g0, g1);
}

static bool
load_cell(struct asks *s, const json_t *list, int64_t start_ms, int64_t end_ms,
	  const struct groups *g)
{
	struct cover cover = {0};
	size_t g0 = 0, g1 = 0;
	struct ask ask;

	for (size_t i = 0; i < json_array_size(list); i++) {
		if (!load_one(json_array_get(list, i), s->a, g->n, &ask))
			return false;
		if (ask.used_to_ms <= start_ms || ask.from_ms >= end_ms)
			continue;
		if (ask.from_ms < start_ms || ask.used_to_ms > end_ms ||
		    !list_of(g, &ask, &g0, &g1) || !cover_add(&cover, &ask) ||
		    asks_add(s, &ask, NULL))
			return false;
	}
	return cover_is(&cover, start_ms, end_ms, g0, g1);
}

bool
asks_load(struct asks *s, const json_t *list, int64_t start_ms, int64_t end_ms,
	  const struct groups *g)
{
	size_t before = s->n;

	if (load_cell(s, list, start_ms, end_ms, g))
		return true;
	s->n = before;
	return false;
}

bool
asks_have(const struct asks *s, int64_t start_ms, int64_t end_ms)
{
	for (size_t i = 0; i < s->n; i++)
		if (s->v[i].from_ms >= start_ms && s->v[i].from_ms < end_ms)
			return true;
	return false;
}

void
asks_trim(struct asks *s, struct groups *g)
{
	if (!g->base) /* perhaps there are no groups at all */
		return;
	for (size_t i = 0; i < s->n; i++)
		if (s->v[i].g0 < g->base)
			return;
	for (size_t i = 0; i < s->n; i++) {
		s->v[i].g0 -= g->base;
		s->v[i].g1 -= g->base;
	}
	g->v += g->base;
	g->n -= g->base;
	g->cap -= g->base;
	g->base = 0;
}
