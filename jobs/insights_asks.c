/*
 * The asks of a pull: which part of the time, of which groups and streams, one query each. An ask
 * that came back cut off is replaced by smaller ones, so that together they always cover the cells
 * exactly; that is checked when they come back from a memo, where a part that nobody asks for would
 * be a silent loss.
 */
#include <stdlib.h>

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

/* How many groups the list has in which an ask finds its own; 0: it reaches over two. */
static size_t
list_size(const struct groups *g, const struct ask *ask)
{
	if (ask->g1 <= g->base)
		return g->base;
	return ask->g0 >= g->base ? g->n - g->base : 0;
}

/* Milliseconds times groups; a part that several asks share counts once. */
static int64_t
area_of(const struct ask *ask)
{
	int64_t area;

	if (ask->more)
		return 0;
	return __builtin_mul_overflow(ask->used_to_ms - ask->from_ms, (int64_t)(ask->g1 - ask->g0),
				      &area)
		   ? -1
		   : area;
}

static bool
load_cell(struct asks *s, const json_t *list, int64_t start_ms, int64_t end_ms,
	  const struct groups *g)
{
	int64_t covered = 0, area;
	struct ask ask;
	size_t size = 0;

	for (size_t i = 0; i < json_array_size(list); i++) {
		if (!load_one(json_array_get(list, i), s->a, g->n, &ask))
			return false;
		if (ask.used_to_ms <= start_ms || ask.from_ms >= end_ms)
			continue;
		area = area_of(&ask);
		if (ask.from_ms < start_ms || ask.used_to_ms > end_ms || area < 0 ||
		    (size && size != list_size(g, &ask)) ||
		    __builtin_add_overflow(covered, area, &covered) || asks_add(s, &ask, NULL))
			return false;
		size = list_size(g, &ask);
	}
	return size && covered == (end_ms - start_ms) * (int64_t)size;
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
