/* What services did, as series; see span_cell.h. */
#include "model/span_series.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/num.h"
#include "base/utf8.h"
#include "model/span_cell.h"

#define NS_PER_MS   1000000u
#define NS_PER_S    1e9
#define SERVICE_MAX 200 /* bytes of a service's name, which is as long as X-Ray's may be */
#define UNKNOWN	    "unknown"
#define OTHER	    "other"
#define COUNTS_MAX  ((size_t)256 << 20)
#define OWN_LABELS  5 /* account_id, le or status, region, service, tenant */

/* Upper bounds of the buckets, seconds; one more for all. */
static const double bounds[] = {0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60};
#define BUCKETS (ARRAY_LEN(bounds) + 1)

enum outcome { WAS_OK, WAS_ERROR, WAS_FAULT, WAS_THROTTLE, OUTCOMES };
static const char *const outcome_names[OUTCOMES] = {"ok", "error", "fault", "throttle"};

struct period {
	double calls[OUTCOMES], buckets[BUCKETS], sum;
};
struct service {
	const char *name;
	struct period *periods;
};

static size_t
count_periods(const struct span_counts *c)
{
	return (size_t)((c->cell.end_ms - c->cell.start_ms) / c->period_ms);
}

void
span_counts_init(struct span_counts *c, struct cell cell, int64_t period_ms)
{
	*c = (struct span_counts){.services = MAP_INIT,
				  .mem = ARENA_INIT(COUNTS_MAX),
				  .cell = cell,
				  .period_ms = period_ms};
}

void
span_counts_done(struct span_counts *c)
{
	map_done(&c->services, NULL);
	arena_done(&c->mem);
}

/* One span */

static bool
is_call(const struct span *s)
{
	return s->kind == SPAN_SERVER || s->kind == SPAN_CONSUMER || !*s->parent_id;
}

static bool
has_true(const struct span *s, const char *key)
{
	const struct span_attr *v = span_attr_find(&s->attrs, key);

	return v && v->type == SPAN_BOOL && sv_eq(v->text, SV("true"));
}

/* Of HTTP's, by its present or its former name; 0: none. */
static int64_t
status_code(const struct span *s)
{
	const struct span_attr *v = span_attr_find(&s->attrs, "http.response.status_code");
	int64_t code;

	if (!v)
		v = span_attr_find(&s->attrs, "http.status_code");
	return v && v->type == SPAN_INT && num_i64(v->text, &code) ? code : 0;
}

/* As X-Ray says; else by HTTP's status; else what failed is a fault. */
static enum outcome
outcome_of(const struct span *s)
{
	int64_t code = status_code(s);

	if (has_true(s, "aws.xray.throttle") || code == 429)
		return WAS_THROTTLE;
	if (has_true(s, "aws.xray.fault") || code >= 500)
		return WAS_FAULT;
	if (has_true(s, "aws.xray.error") || code >= 400)
		return WAS_ERROR;
	return s->status == SPAN_ERROR ? WAS_FAULT : WAS_OK;
}

/* Cut where a character begins. */
static struct sv
service_of(const struct span *s)
{
	const struct span_attr *v = span_attr_find(&s->resource, "service.name");
	struct sv name = v && v->type == SPAN_STR && v->text.n ? v->text : SV(UNKNOWN);
	size_t n = 0;

	while (n < name.n) {
		uint32_t ignored;
		size_t len = utf8_next((struct sv){name.p + n, name.n - n}, &ignored);

		if (!name.p[n] || n + len > SERVICE_MAX)
			break; /* labels are C strings */
		n += len;
	}
	return n ? (struct sv){name.p, n} : SV(UNKNOWN);
}

static struct service *
find_service(struct span_counts *c, struct sv name, struct err *err)
{
	struct service *v = map_get(&c->services, name);

	if (v)
		return v;
	v = arena_alloc(&c->mem, sizeof(*v));
	if (v) {
		v->name = arena_strdup(&c->mem, name);
		v->periods = arena_array(&c->mem, count_periods(c), sizeof(*v->periods));
	}
	if (!v || !v->name || !v->periods) {
		(void)err_nomem(err);
		return NULL;
	}
	return map_put(&c->services, name, v, NULL, err) ? NULL : v;
}

static size_t
period_of(const struct span_counts *c, const struct span *s)
{
	int64_t at = ((int64_t)(s->start_ns / NS_PER_MS) - c->cell.start_ms) / c->period_ms;
	int64_t last = (int64_t)count_periods(c) - 1;

	return (size_t)(at < 0 ? 0 : at > last ? last : at);
}

int
span_counts_add(struct span_counts *c, const struct span *s, struct err *err)
{
	double seconds = (double)(s->end_ns - s->start_ns) / NS_PER_S;
	struct service *to;
	struct period *p;

	if (!is_call(s))
		return 0;
	to = find_service(c, service_of(s), err);
	if (!to)
		return -1;
	p = &to->periods[period_of(c, s)];
	p->calls[outcome_of(s)]++;
	p->sum += seconds;
	for (size_t i = 0; i < BUCKETS; i++)
		p->buckets[i] += i == BUCKETS - 1 || seconds <= bounds[i];
	return 0;
}

/* Rows */

struct making {
	const struct span_counts *c;
	const struct span_owner *o;
	struct cell_data *d;
	struct err *err;
};

static bool
is_taken(const char *name)
{
	static const char *const taken[] = {"account_id", "le",	    "region",
					    "service",	  "status", "tenant"};

	for (size_t i = 0; i < ARRAY_LEN(taken); i++)
		if (!strcmp(taken[i], name))
			return true;
	return false;
}

/* In the cell's arena; NULL without memory. */
static const struct series *
make_series(const struct making *m, const char *name, const char *service, const char *key,
	    const char *value)
{
	const struct label own[OWN_LABELS] = {{"account_id", m->o->origin.account_id},
					      {"region", m->o->origin.region},
					      {"service", service},
					      {"tenant", m->o->origin.tenant},
					      {key, value}};
	struct arena *a = &m->d->arena;
	struct label *labels = arena_array(a, m->o->n_labels + OWN_LABELS, sizeof(*labels));
	struct series *s = arena_alloc(a, sizeof(*s));
	size_t n = 0;

	if (!labels || !s)
		return NULL;
	for (size_t i = 0; i < OWN_LABELS; i++)
		if (own[i].name)
			labels[n++] = own[i];
	for (size_t i = 0; i < m->o->n_labels; i++)
		if (!is_taken(m->o->labels[i].name) && *m->o->labels[i].value)
			labels[n++] = m->o->labels[i];
	qsort(labels, n, sizeof(*labels), label_by_name);
	*s = (struct series){
	    .name = name, .labels = labels, .n_labels = n, .period_ms = m->c->period_ms};
	return s;
}

/* One number of each period of a service that had calls. */
static int
add_row(struct making *m, const struct service *v, const struct series *s, size_t offset)
{
	size_t n = count_periods(m->c);
	double *values = arena_array(&m->d->arena, n, sizeof(*values));

	if (!s || !values)
		return err_nomem(m->err);
	for (size_t i = 0; i < n; i++) {
		const char *at = (const char *)&v->periods[i];

		values[i] = NAN;
		if (v->periods[i].buckets[BUCKETS - 1] <= 0)
			continue;
		memcpy(&values[i], at + offset, sizeof(*values));
		m->d->n_samples++;
	}
	m->d->rows[m->d->n_rows++] = (struct sample_row){
	    .series = s, .first_ms = m->c->cell.start_ms, .values = values, .n = n};
	return 0;
}

static int
add_service(struct making *m, const struct service *v)
{
	const char *name = arena_strdup(&m->d->arena, sv_of(v->name));
	char le[NUM_DOUBLE_MAX];

	if (!name)
		return err_nomem(m->err);
	for (size_t i = 0; i < OUTCOMES; i++)
		if (add_row(m, v, make_series(m, "trace_calls", name, "status", outcome_names[i]),
			    offsetof(struct period, calls) + i * sizeof(double)))
			return -1;
	for (size_t i = 0; i < BUCKETS; i++) {
		const char *text;

		(void)num_format(i < ARRAY_LEN(bounds) ? bounds[i] : INFINITY, le);
		text = arena_strdup(&m->d->arena, sv_of(le));
		if (!text ||
		    add_row(m, v, make_series(m, "trace_duration_seconds_bucket", name, "le", text),
			    offsetof(struct period, buckets) + i * sizeof(double)))
			return text ? -1 : err_nomem(m->err);
	}
	if (add_row(m, v, make_series(m, "trace_duration_seconds_sum", name, NULL, NULL),
		    offsetof(struct period, sum)))
		return -1;
	return add_row(m, v, make_series(m, "trace_duration_seconds_count", name, NULL, NULL),
		       offsetof(struct period, buckets) + (BUCKETS - 1) * sizeof(double));
}

struct collecting {
	struct service *v;
	size_t n;
};

static void
collect(struct sv key, void *value, void *arg)
{
	struct collecting *to = arg;

	(void)key;
	to->v[to->n++] = *(const struct service *)value;
}

static int
cmp_services(const void *a, const void *b)
{
	const struct service *x = a, *y = b;

	return strcmp(x->name, y->name);
}

static int
cmp_rows(const void *a, const void *b)
{
	const struct sample_row *x = a, *y = b;

	return series_cmp(x->series, y->series);
}

/* All behind the most that there may be become one. */
static size_t
merge_others(const struct span_counts *c, struct service *v, size_t n)
{
	if (n <= SPAN_SERVICES_MAX)
		return n;
	for (size_t i = SPAN_SERVICES_MAX; i < n; i++)
		for (size_t k = 0; k < count_periods(c); k++) {
			struct period *to = &v[SPAN_SERVICES_MAX - 1].periods[k];
			const struct period *p = &v[i].periods[k];

			for (size_t o = 0; o < OUTCOMES; o++)
				to->calls[o] += p->calls[o];
			for (size_t b = 0; b < BUCKETS; b++)
				to->buckets[b] += p->buckets[b];
			to->sum += p->sum;
		}
	v[SPAN_SERVICES_MAX - 1].name = OTHER;
	for (size_t i = 0; i < SPAN_SERVICES_MAX - 1; i++)
		if (!strcmp(v[i].name, OTHER)) /* one of that name has to be one series, too */
			v[SPAN_SERVICES_MAX - 1].name = OTHER "_services";
	return SPAN_SERVICES_MAX;
}

int
span_counts_rows(struct span_counts *c, const struct span_owner *o, struct cell_data *d,
		 struct err *err)
{
	struct making m = {.c = c, .o = o, .d = d, .err = err};
	size_t n = map_count(&c->services);
	struct collecting all = {.v = arena_array(&c->mem, n, sizeof(*all.v))};

	if (!all.v)
		return err_nomem(err);
	map_each(&c->services, collect, &all);
	if (n > 1)
		qsort(all.v, n, sizeof(*all.v), cmp_services);
	n = merge_others(c, all.v, n);
	d->rows = arena_array(&d->arena, n * (OUTCOMES + BUCKETS + 2), sizeof(*d->rows));
	if (!d->rows)
		return err_nomem(err);
	for (size_t i = 0; i < n; i++)
		if (add_service(&m, &all.v[i]))
			return -1;
	if (d->n_rows > 1)
		qsort(d->rows, d->n_rows, sizeof(*d->rows), cmp_rows);
	return 0;
}
