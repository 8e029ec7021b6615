/*
 * The log groups of an account that a job asks: listed by prefix, chosen by name or pattern, put
 * into chunks that one query takes. Groups that had ended or did not exist yet at a cell's time are
 * left out of its queries: the service refuses a query of nothing but such groups.
 */
#include <stdlib.h>

#include "jobs/insights.h"

#define DAY_MS	      INT64_C(86400000)
#define RETENTION_MAX INT64_C(100000) /* days; the longest there is are 3653 */

static size_t
literal_length(const char *pattern)
{
	return strcspn(pattern, "*");
}

/* '*' stands for anything, all else for itself. */
static bool
matches(const char *pattern, const char *name)
{
	const char *star = NULL, *back = NULL;

	while (*name) {
		if (*pattern == '*') {
			star = ++pattern;
			back = name;
		} else if (*pattern == *name) {
			pattern++;
			name++;
		} else if (star) {
			pattern = star;
			name = ++back;
		} else {
			return false;
		}
	}
	while (*pattern == '*')
		pattern++;
	return !*pattern;
}

static bool
is_wanted(const struct insights_opts *o, const char *name)
{
	for (size_t i = 0; i < o->log_groups.n; i++)
		if (matches(o->log_groups.v[i], name))
			return true;
	return false;
}

static int
cmp_strings(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

bool
groups_wanted(const struct insights_opts *o, const struct logs_group *g)
{
	return strcmp(g->storage, LOGS_CLASS_NEVER) != 0 && is_wanted(o, g->name);
}

int
groups_prefixes(const struct insights_opts *o, struct arena *a, struct conf_strings *ret,
		struct err *err)
{
	const char **v = arena_array(a, o->log_groups.n, sizeof(*v));

	ret->n = 0;
	ret->v = v;
	if (!v)
		return err_nomem(err);
	for (size_t i = 0; i < o->log_groups.n; i++) {
		const char *p = o->log_groups.v[i];

		v[i] = arena_strdup(a, (struct sv){p, literal_length(p)});
		if (!v[i])
			return err_nomem(err);
	}
	qsort(v, o->log_groups.n, sizeof(*v), cmp_strings);
	for (size_t i = 0; i < o->log_groups.n; i++)
		if (!ret->n || !sv_starts(sv_of(v[i]), sv_of(v[ret->n - 1])))
			v[ret->n++] = v[i];
	return 0;
}

static int
add_one(struct groups *g, const struct logs_group *one, struct arena *a, struct err *err)
{
	struct logs_group *to;

	to = arena_grow(a, g->v, g->n, &g->cap, sizeof(*to));
	if (!to)
		return err_nomem(err);
	g->v = to;
	to = &g->v[g->n];
	*to = *one;
	to->name = arena_strdup(a, sv_of(one->name));
	to->storage = arena_strdup(a, sv_of(one->storage));
	if (!to->name || !to->storage)
		return err_nomem(err);
	g->n++;
	return 0;
}

int
groups_add(struct groups *g, const struct insights_opts *o, const struct logs_groups_page *page,
	   struct arena *a, struct err *err)
{
	for (size_t i = 0; i < page->n; i++)
		if (groups_wanted(o, &page->groups[i]) && add_one(g, &page->groups[i], a, err))
			return -1;
	return 0;
}

static int
cmp_groups(const void *a, const void *b)
{
	const struct logs_group *x = a, *y = b;
	int c = strcmp(x->storage, y->storage);

	return c ? c : strcmp(x->name, y->name);
}

static bool
is_there(const struct groups *g, const char *name)
{
	for (size_t i = g->base; i < g->n; i++)
		if (!strcmp(g->v[i].name, name))
			return true;
	return false;
}

int
groups_end(struct groups *g, const struct insights_opts *o, struct err *err)
{
	size_t n = g->base;

	if (g->n > g->base)
		qsort(g->v + g->base, g->n - g->base, sizeof(*g->v), cmp_groups);
	for (size_t i = g->base; i < g->n; i++)
		if (n == g->base || cmp_groups(&g->v[n - 1], &g->v[i]) != 0)
			g->v[n++] = g->v[i];
	g->n = n;
	for (size_t i = 0; i < o->log_groups.n; i++)
		if (!strchr(o->log_groups.v[i], '*') && !is_there(g, o->log_groups.v[i]))
			return err_set(err, ERR_NOTFOUND,
				       "log group %s does not exist here (or cannot be queried): "
				       "correct log_groups, or write a pattern (%s*) if not every "
				       "tenant has it",
				       o->log_groups.v[i], o->log_groups.v[i]);
	return 0;
}

size_t
groups_chunk(const struct groups *g, size_t i)
{
	size_t end = i;

	while (end < g->n && end - i < LOGS_GROUPS_MAX &&
	       !strcmp(g->v[end].storage, g->v[i].storage))
		end++;
	return end;
}

int64_t
groups_kept_from(const struct logs_group *g, int64_t now_ms)
{
	if (g->retention_days <= 0 || g->retention_days > RETENTION_MAX)
		return INT64_MIN;
	return now_ms - g->retention_days * DAY_MS;
}

bool
groups_alive(const struct logs_group *g, int64_t to_ms, int64_t now_ms)
{
	return g->created_ms < to_ms && groups_kept_from(g, now_ms) < to_ms;
}

bool
groups_sources(const struct groups *g, const struct insights_opts *o,
	       const char *sources[INSIGHTS_SOURCES_MAX], size_t *ret_n, struct arena *a)
{
	*ret_n = 0;
	if (o->log_groups.n > INSIGHTS_SOURCES_MAX)
		return false;
	for (size_t i = 0; i < o->log_groups.n; i++) {
		const char *p = o->log_groups.v[i];
		size_t n = literal_length(p);

		if (!n || strcmp(p + n, "*") != 0)
			return false;
		sources[i] = arena_strdup(a, (struct sv){p, n});
		if (!sources[i])
			return false;
	}
	for (size_t i = g->base; i < g->n; i++)
		if (strcmp(g->v[i].storage, LOGS_CLASS_DEFAULT) != 0)
			return false;
	*ret_n = o->log_groups.n;
	return true;
}

/* In the memo */

json_t *
groups_save(const struct groups *g)
{
	json_t *list = json_array();

	for (size_t i = 0; list && i < g->n; i++) {
		json_t *one =
		    json_pack("[s, s, I, I]", g->v[i].name, g->v[i].storage,
			      (json_int_t)g->v[i].created_ms, (json_int_t)g->v[i].retention_days);

		if (!one || json_array_append_new(list, one)) {
			json_decref(list);
			return NULL;
		}
	}
	return list;
}

bool
groups_load(struct groups *g, const json_t *list, struct arena *a)
{
	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *one = json_array_get(list, i);
		const json_t *name = json_array_get(one, 0), *storage = json_array_get(one, 1);
		struct logs_group group = {
		    .name = json_string_value(name),
		    .storage = json_string_value(storage),
		    .created_ms = json_integer_value(json_array_get(one, 2)),
		    .retention_days = json_integer_value(json_array_get(one, 3)),
		};

		if (!group.name || !group.storage || add_one(g, &group, a, NULL))
			return false;
	}
	return json_is_array(list);
}
