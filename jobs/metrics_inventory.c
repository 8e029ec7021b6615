/*
 * The inventory: which metrics an account has. Listing costs calls and time, so it is done every
 * now and then and kept in the stream's memo between runs. A memo is never trusted: what is not
 * exactly as we write it is as good as none.
 *
 * In a memo the metrics of one namespace and one set of dimensions stand together, as
 * {"namespace", "dimensions": {name: value}, "metrics": {name: when it was seen, ms}}. Memos are in
 * memory as long as their tenants are worked on: an object for each metric took a kilobyte.
 */
#include "base/cleanup.h"
#include "fmt/json.h"
#include "jobs/metrics.h"

#define INVENTORY_VERSION 2

/* An array that has grown leaves its smaller ones in the arena: a page of a listing grows it once.
 * Doubled from small, they took some 100 KB for 500 metrics. */
int
inventory_room(struct inventory *inv, size_t more, struct arena *a, struct err *err)
{
	size_t cap = inv->n + (inv->n > more ? inv->n : more);
	struct inventory_entry *v;

	if (more <= inv->cap - inv->n)
		return 0;
	v = arena_array(a, cap, sizeof(*v));
	if (!v)
		return err_nomem(err);
	if (inv->n)
		memcpy(v, inv->v, inv->n * sizeof(*v));
	inv->v = v;
	inv->cap = cap;
	return 0;
}

/* Most words of a metric are those of the one before it. */
static const char *
copy(struct arena *a, const char *s, const char *before)
{
	return before && !strcmp(s, before) ? before : arena_strdup(a, sv_of(s));
}

static bool
same_dims(const struct cw_metric *a, const struct cw_metric *b)
{
	bool same = a->n_dims == b->n_dims;

	for (size_t i = 0; same && i < a->n_dims; i++)
		same = !strcmp(a->dims[i].name, b->dims[i].name) &&
		       !strcmp(a->dims[i].value, b->dims[i].value);
	return same;
}

/* NULL without memory. */
static const struct cw_dim *
copy_dims(struct arena *a, const struct cw_metric *m, const struct cw_metric *before)
{
	struct cw_dim *dims;

	if (same_dims(m, before))
		return before->dims;
	dims = arena_array(a, m->n_dims, sizeof(*dims));
	for (size_t i = 0; dims && i < m->n_dims; i++) {
		const char *name = i < before->n_dims ? before->dims[i].name : NULL;

		dims[i].name = copy(a, m->dims[i].name, name);
		dims[i].value = copy(a, m->dims[i].value, NULL);
		if (!dims[i].name || !dims[i].value)
			return NULL;
	}
	return dims;
}

int
inventory_add(struct inventory *inv, const struct cw_metric *m, int64_t seen_ms, struct arena *a,
	      struct err *err)
{
	static const struct cw_metric none = {0};
	const struct cw_metric *before;
	struct inventory_entry *e;

	if (inventory_room(inv, 1, a, err))
		return -1;
	e = &inv->v[inv->n];
	before = inv->n ? &e[-1].metric : &none;
	*e = (struct inventory_entry){
	    .metric = {.ns = copy(a, m->ns, before->ns),
		       .name = copy(a, m->name, before->name),
		       .dims = copy_dims(a, m, before),
		       .n_dims = m->n_dims},
	    .seen_ms = seen_ms,
	};
	if (!e->metric.ns || !e->metric.name || (m->n_dims && !e->metric.dims))
		return err_nomem(err);
	inv->n++;
	return 0;
}

/* By metric, the latest sight first. */
static int
cmp_entries(const void *a, const void *b)
{
	const struct inventory_entry *x = a, *y = b;
	int c = cw_metric_cmp(&x->metric, &y->metric);

	return c ? c : (x->seen_ms < y->seen_ms) - (x->seen_ms > y->seen_ms);
}

void
inventory_sort(struct inventory *inv)
{
	size_t n = 0;

	if (inv->n > 1)
		qsort(inv->v, inv->n, sizeof(*inv->v), cmp_entries);
	for (size_t i = 0; i < inv->n; i++)
		if (!n || cw_metric_cmp(&inv->v[n - 1].metric, &inv->v[i].metric) != 0)
			inv->v[n++] = inv->v[i];
	inv->n = n;
}

/* The memo */

static int
load_dims(const json_t *obj, struct cw_dim *dims, size_t *ret_n)
{
	json_t *tree = (json_t *)(uintptr_t)obj; /* jansson iterates over non-const trees */
	const char *name;
	json_t *value;

	json_object_foreach(tree, name, value)
	{
		if (*ret_n == CW_DIMENSIONS_MAX || !json_is_string(value))
			return -1;
		dims[*ret_n].name = name;
		dims[(*ret_n)++].value = json_string_value(value);
	}
	return 0;
}

static int
cmp_dims(const void *a, const void *b)
{
	const struct cw_dim *x = a, *y = b;

	return strcmp(x->name, y->name);
}

static int
load_metrics(struct inventory *inv, const json_t *obj, struct cw_metric *m, struct arena *a)
{
	json_t *tree = (json_t *)(uintptr_t)obj;
	const char *name;
	json_t *seen_ms;

	json_object_foreach(tree, name, seen_ms)
	{
		m->name = name;
		if (!json_is_integer(seen_ms) ||
		    inventory_add(inv, m, json_integer_value(seen_ms), a, NULL))
			return -1;
	}
	return 0;
}

static int
load_entry(struct inventory *inv, const json_t *j, struct arena *a)
{
	struct cw_dim dims[CW_DIMENSIONS_MAX];
	struct cw_metric m = {.dims = dims};
	json_t *obj, *metrics;

	if (json_get_str(j, "", "namespace", true, &m.ns, NULL) ||
	    json_get_obj(j, "", "dimensions", true, &obj, NULL) ||
	    json_get_obj(j, "", "metrics", true, &metrics, NULL) || load_dims(obj, dims, &m.n_dims))
		return -1;
	if (m.n_dims > 1)
		qsort(dims, m.n_dims, sizeof(*dims), cmp_dims);
	return load_metrics(inv, metrics, &m, a);
}

bool
inventory_load(struct inventory *inv, const json_t *memo, const char *definition, struct arena *a)
{
	const char *of = "";
	int64_t version = 0;
	json_t *entries;

	*inv = (struct inventory){0};
	if (!memo || json_get_i64(memo, "", "version", true, &version, NULL) ||
	    version != INVENTORY_VERSION || json_get_str(memo, "", "definition", true, &of, NULL) ||
	    strcmp(of, definition) != 0 ||
	    json_get_i64(memo, "", "discovered_ms", true, &inv->discovered_ms, NULL) ||
	    json_get_bool(memo, "", "recent", true, &inv->recent, NULL) ||
	    json_get_arr(memo, "", "entries", true, &entries, NULL))
		return false;
	if (inventory_room(inv, inventory_peek(memo), a, NULL))
		return false;
	for (size_t i = 0; i < json_array_size(entries); i++)
		if (load_entry(inv, json_array_get(entries, i), a))
			return false;
	if (json_get_i64(memo, "", "pages", false, &inv->pages, NULL) || inv->pages < 0)
		inv->pages = 0;
	inventory_sort(inv);
	return true;
}

static int
cmp_places(const struct cw_metric *a, const struct cw_metric *b)
{
	struct cw_metric x = *a, y = *b;

	x.name = y.name = "";
	return cw_metric_cmp(&x, &y);
}

/* By namespace and dimensions, then by name. */
static int
cmp_grouped(const void *a, const void *b)
{
	const struct inventory_entry *x = *(const struct inventory_entry *const *)a;
	const struct inventory_entry *y = *(const struct inventory_entry *const *)b;
	int c = cmp_places(&x->metric, &y->metric);

	return c ? c : strcmp(x->metric.name, y->metric.name);
}

/* A new entry for the place of this metric; its `metrics` in *ret, borrowed. */
static json_t *
save_place(const struct cw_metric *m, json_t **ret)
{
	json_t *dims = json_object();

	*ret = json_object();
	for (size_t i = 0; dims && i < m->n_dims; i++)
		if (json_object_set_new(dims, m->dims[i].name, json_string(m->dims[i].value))) {
			json_decref(dims);
			dims = NULL;
		}
	return json_pack("{s:s, s:o, s:o}", "namespace", m->ns, "dimensions", dims, "metrics",
			 *ret);
}

static json_t *
save_entries(const struct inventory_entry **v, size_t n)
{
	json_t *entries = json_array(), *metrics = NULL, *seen = NULL;
	int r = entries ? 0 : -1;

	for (size_t i = 0; !r && i < n; i++) {
		if (!i || cmp_places(&v[i - 1]->metric, &v[i]->metric) != 0)
			r = json_array_append_new(entries, save_place(&v[i]->metric, &metrics));
		/* Mostly one number, which need not be there 500 times. */
		if (!r && (!seen || json_integer_value(seen) != v[i]->seen_ms)) {
			json_decref(seen);
			seen = json_integer(v[i]->seen_ms);
		}
		if (!r)
			r = json_object_set(metrics, v[i]->metric.name, seen);
	}
	json_decref(seen);
	if (!r)
		return entries;
	json_decref(entries);
	return NULL;
}

json_t *
inventory_save(const struct inventory *inv, const char *definition)
{
	CLEANUP(freep)
	const struct inventory_entry **v = calloc(inv->n + 1, sizeof(*v));

	if (!v)
		return NULL;
	for (size_t i = 0; i < inv->n; i++)
		v[i] = &inv->v[i];
	qsort(v, inv->n, sizeof(*v), cmp_grouped);
	return json_pack("{s:i, s:s, s:I, s:b, s:I, s:o}", "version", INVENTORY_VERSION,
			 "definition", definition, "discovered_ms", (json_int_t)inv->discovered_ms,
			 "recent", inv->recent, "pages", (json_int_t)inv->pages, "entries",
			 save_entries(v, inv->n));
}

size_t
inventory_peek(const json_t *memo)
{
	const json_t *entries = json_object_get(memo, "entries");
	size_t n = 0;

	for (size_t i = 0; i < json_array_size(entries); i++)
		n += json_object_size(json_object_get(json_array_get(entries, i), "metrics"));
	return n;
}
