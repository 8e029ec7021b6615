/*
 * From what was pulled to the rows of the cells, and what these rows are for who reads the lake:
 * its columns, and queries to begin with.
 */
#include <math.h>

#include "jobs/metrics_pull.h"
#include "model/seen.h"

/* The row points into the plan: a slot without a number counts as none for whoever reads it. */
static void
harvest_series(const struct wanted *w, const double *values, size_t n, struct cell_data *d)
{
	size_t points = 0, rejected = 0;

	for (size_t i = 0; i < n; i++) {
		points += isfinite(values[i]) != 0;
		rejected += isinf(values[i]) != 0;
	}
	d->n_rejected += rejected + (w->collides ? points : 0);
	if (!points || w->collides)
		return;
	d->rows[d->n_rows++] = (struct sample_row){
	    .series = &w->series,
	    .first_ms = d->cell.start_ms,
	    .values = values,
	    .n = n,
	};
}

/* Those of metrics and those of expressions, which come behind where both would be one. */
static int
collect_rows(struct pull *p, struct err *err)
{
	size_t n = 0;
	struct wanted **more = p->math ? math_series(p->math, &n) : NULL;

	if (p->math && !more)
		return err_nomem(err);
	p->rows = p->plan.by_series;
	p->n_rows = p->plan.n;
	if (!n)
		return 0;
	p->rows = arena_array(&p->mem, p->plan.n + n, sizeof(struct wanted *));
	if (!p->rows)
		return err_nomem(err);
	for (size_t i = 0; i < p->plan.n; i++)
		p->rows[i] = p->plan.by_series[i];
	for (size_t i = 0; i < n; i++)
		p->rows[p->n_rows++] = more[i];
	(void)wanted_sort(p->rows, p->n_rows);
	return 0;
}

static int
harvest_cell(const struct pull *p, struct cell_data *d, struct err *err)
{
	const struct line_origin origin = {p->s->tenant, p->s->account, p->s->region,
					   p->s->common->name};
	size_t first = (size_t)((d->cell.start_ms - p->start_ms) / p->o->period_ms);
	size_t n = (size_t)((d->cell.end_ms - d->cell.start_ms) / p->o->period_ms);

	d->rows = arena_array(&d->arena, p->n_rows, sizeof(*d->rows));
	if (!d->rows)
		return err_nomem(err);
	for (size_t i = 0; i < p->n_rows; i++)
		harvest_series(p->rows[i], wanted_values(p->rows[i], first), n, d);
	return metric_lines_encode(d, &origin, err);
}

/* They are in every cell. */
static int
harvest_begin(struct pull *p, struct err *err)
{
	if (collect_rows(p, err))
		return -1;
	for (size_t i = 0; i < p->n_rows; i++)
		seen_key_make(&p->rows[i]->series);
	return 0;
}

int
metrics_harvest(struct pull *p, struct cell_data *cells, size_t n, struct err *err)
{
	if (!p->rows && harvest_begin(p, err))
		return -1;
	if (n && cells[0].cell.start_ms > p->start_ms)
		metrics_plan_forget(&p->plan, (size_t)((cells[0].cell.start_ms - p->start_ms) /
						       p->s->common->every_ms));
	for (size_t i = 0; i < n; i++) {
		if (cells[i].cell.start_ms < p->start_ms)
			continue; /* too old: left empty */
		if (cells[i].cell.end_ms > p->end_ms)
			return err_set(err, ERR_LOCAL, "a cell that was not pulled");
		if (harvest_cell(p, &cells[i], err))
			return -1;
	}
	if (n) /* of no cell: the first one counts them */
		cells[0].n_rejected += p->n_outside + (p->math ? math_rejected(p->math) : 0);
	p->n_outside = 0;
	return 0;
}

int
metrics_adopt(const struct job_stream *s, struct cell_data *d, struct err *err)
{
	const struct line_origin origin = {s->tenant, s->account, s->region, s->common->name};

	return metric_lines_decode(d, &origin, err);
}

const struct job_column metrics_columns[] = {
    {"name", "string"},
    {"stat", "string"},
    {"unit", "string"},
    {"period", "bigint"},
    {"labels", "map<string,string>"},
    {"values", "array<double>"},
    {NULL, NULL},
};

const struct job_example metrics_examples[] = {
    {"{tenant}: samples of a series, each at its time",
     "SELECT date_add('second', (nth - 1) * period, from_iso8601_timestamp(ts)) AS moment,\n"
     "  labels, value\n"
     "FROM \"{table}\" CROSS JOIN UNNEST(\"values\") WITH ORDINALITY AS sample (value, nth)\n"
     "WHERE tenant = '{tenant}' AND {day} AND name = 'ecs_task_cpu_utilized' AND value IS NOT "
     "NULL\n"
     "ORDER BY moment"},
    {"{tenant}: the most memory of each service, hour by hour",
     "SELECT dt, hh, element_at(labels, 'cluster') AS cluster,\n"
     "  element_at(labels, 'service') AS service, max(value) AS highest\n"
     "FROM \"{table}\" CROSS JOIN UNNEST(\"values\") AS sample (value)\n"
     "WHERE tenant = '{tenant}' AND {day} AND name = 'ecs_task_memory_utilized'\n"
     "GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4"},
    {"all tenants: how much of the CPU reserved for a task it uses on average",
     "SELECT tenant,\n"
     "  sum(value) FILTER (WHERE name = 'ecs_task_cpu_utilized') AS used,\n"
     "  sum(value) FILTER (WHERE name = 'ecs_task_cpu_reserved') AS reserved,\n"
     "  sum(value) FILTER (WHERE name = 'ecs_task_cpu_utilized')\n"
     "    / nullif(sum(value) FILTER (WHERE name = 'ecs_task_cpu_reserved'), 0) AS share\n"
     "FROM \"{table}\" CROSS JOIN UNNEST(\"values\") AS sample (value)\n"
     "WHERE {day} AND name IN ('ecs_task_cpu_utilized', 'ecs_task_cpu_reserved')\n"
     "GROUP BY tenant ORDER BY share DESC"},
    {"all tenants: which series there are",
     "SELECT name, stat, unit, count(DISTINCT tenant) AS tenants, count(*) AS cells\n"
     "FROM \"{table}\"\n"
     "WHERE {day}\n"
     "GROUP BY name, stat, unit ORDER BY name"},
    {NULL, NULL},
};
