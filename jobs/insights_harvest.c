/*
 * From the rows that were pulled to the lines and samples of the cells, and what these lines are
 * for who reads the lake: its columns, and queries to begin with.
 */
#include <stdlib.h>

#include "base/cleanup.h"
#include "jobs/insights_pull.h"

static int
harvest_row(struct cell_data *d, struct row_samples *samples, const struct insights_row *row,
	    struct err *err)
{
	struct sv line = {row->line, row->n};

	d->n_lines++;
	if (!d->rows_only && cell_lines_add(d, line, err))
		return -1;
	return samples ? row_samples_add(samples, line, err) : 0;
}

/* The lines of a large cell stay where they are, if they lie there in their order. 1: they do. */
static int
harvest_whole(struct pull *p, struct cell_data *d, struct err *err)
{
	CLEANUP(spool_done) struct spool view = SPOOL_INIT;
	int rc =
	    row_merge_whole(p->merge, d->cell.end_ms, CELL_MEMORY_MAX + 1, &view, &d->n_lines, err);

	if (rc <= 0)
		return rc;
	d->spool = malloc(sizeof(*d->spool));
	if (!d->spool)
		return err_nomem(err);
	*d->spool = view;
	view = SPOOL_INIT;
	return 1;
}

static int
harvest_cell(struct pull *p, struct cell_data *d, struct row_samples *samples, struct err *err)
{
	uint64_t doubles = row_merge_doubles(p->merge);
	int more = samples || d->rows_only ? 0 : harvest_whole(p, d, err);
	struct insights_row row;

	if (more)
		return more < 0 ? -1 : 0;
	while ((more = row_merge_next(p->merge, d->cell.end_ms, &row, err)) > 0)
		if (harvest_row(d, samples, &row, err))
			return -1;
	d->n_rejected += row_merge_doubles(p->merge) - doubles;
	return more;
}

/* Behind the last cell. */
static int
harvest_end(struct pull *p, struct err *err)
{
	struct insights_row row;
	int more = row_merge_next(p->merge, INT64_MAX, &row, err);

	return more > 0 ? err_set(err, ERR_LOCAL, "a cell that was not pulled") : more;
}

static int
harvest_one(struct pull *p, struct cell_data *d, struct err *err)
{
	CLEANUP(row_samples_freep) struct row_samples *samples = NULL;

	if (insights_series_begin(p->s, d, &samples, err) || harvest_cell(p, d, samples, err))
		return -1;
	return insights_series_end(p->s, d, samples, err);
}

/* Where others have been put away, the last rows are, too. */
static int
harvest_begin(struct pull *p, struct err *err)
{
	if (p->runs.n && row_runs_add(&p->runs, p->rows, p->n_rows, err))
		return -1;
	return row_merge_new(&p->runs, p->rows, p->runs.n ? 0 : p->n_rows, &p->merge, err);
}

int
insights_harvest(struct pull *p, struct cell_data *cells, size_t n, struct err *err)
{
	if (!p->merge && harvest_begin(p, err))
		return -1;
	for (size_t i = 0; i < n; i++) {
		cells[i].asked_before = p->collected;
		cells[i].n_rejected += p->n_outside;
		p->n_outside = 0;
		if (harvest_one(p, &cells[i], err))
			return -1;
		if (cells[i].cell.end_ms == p->end_ms && harvest_end(p, err))
			return -1;
	}
	return 0;
}

const struct job_column insights_columns[] = {
    {"log_group", "string"}, {"log_stream", "string"},	       {"message", "string"},
    {"ptr", "string"},	     {"fields", "map<string,string>"}, {NULL, NULL},
};

const struct job_example insights_examples[] = {
    {"{tenant}: the newest rows", "SELECT ts, log_group, log_stream, message, fields\n"
				  "FROM \"{table}\"\n"
				  "WHERE tenant = '{tenant}' AND {day}\n"
				  "ORDER BY ts DESC LIMIT 100"},
    {"all tenants: rows hour by hour", "SELECT tenant, dt, hh, count(*) AS found\n"
				       "FROM \"{table}\"\n"
				       "WHERE {day}\n"
				       "GROUP BY tenant, dt, hh ORDER BY tenant, dt, hh"},
    {"all tenants: rows by a field of the query (here `level`)",
     "SELECT tenant, log_group, element_at(fields, 'level') AS level, count(*) AS found\n"
     "FROM \"{table}\"\n"
     "WHERE {day}\n"
     "GROUP BY 1, 2, 3 ORDER BY found DESC"},
    {NULL, NULL},
};
