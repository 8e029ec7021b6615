/*
 * Metrics as canonical NDJSON lines, both ways.
 *
 * A line has one spelling only: members in a fixed order, labels sorted, shortest numbers, as many
 * values as the cell has periods. Reading builds the row and writes it again: what does not give
 * the same bytes was not written by us, and is an error. So an adopted object is exactly what
 * freezing it again would make.
 */
#include <math.h>

#include "base/cleanup.h"
#include "base/num.h"
#include "base/timefmt.h"
#include "fmt/json.h"
#include "model/series.h"

#define START_MAX 4096

/* Labels that are members of the line itself. */
static bool
is_common(const char *label)
{
	return !strcmp(label, "tenant") || !strcmp(label, "account_id") || !strcmp(label, "region");
}

static void
add_num(struct buf *out, double v)
{
	char text[NUM_DOUBLE_MAX];
	size_t n = num_format(v, text);

	buf_add(out, text, n);
	if (v == 0 && signbit(v))
		buf_str(out, ".0"); /* JSON readers take "-0" for the integer 0 */
}

static void
add_labels(struct buf *out, const struct series *s)
{
	const char *sep = ",\"labels\":{";
	bool any = false;

	for (size_t i = 0; i < s->n_labels; i++) {
		if (is_common(s->labels[i].name))
			continue;
		json_add_str(out, any ? "," : sep, s->labels[i].name);
		json_add_str(out, ":", s->labels[i].value);
		any = true;
	}
	buf_str(out, any ? "}" : ",\"labels\":{}");
}

/* Where the row begins in the cell's grid, or -1 if it does not lie on it. */
static int64_t
row_offset(const struct cell *c, const struct sample_row *row)
{
	int64_t period = row->series->period_ms, n, first = row->first_ms - c->start_ms;

	if (period <= 0 || (c->end_ms - c->start_ms) % period || first < 0 || first % period)
		return -1;
	n = (c->end_ms - c->start_ms) / period;
	return first / period + (int64_t)row->n <= n ? first / period : -1;
}

static uint64_t
add_values(struct buf *out, const struct cell *c, const struct sample_row *row, int64_t offset)
{
	int64_t n = (c->end_ms - c->start_ms) / row->series->period_ms;
	uint64_t samples = 0;

	buf_str(out, ",\"values\":[");
	for (int64_t i = 0; i < n; i++) {
		int64_t at = i - offset;
		bool has = at >= 0 && at < (int64_t)row->n && isfinite(row->values[at]);

		if (i)
			buf_ch(out, ',');
		if (has)
			add_num(out, row->values[at]);
		else
			buf_str(out, "null");
		samples += has;
	}
	buf_str(out, "]}\n");
	return samples;
}

/* What all lines of a cell begin with. */
static void
add_start(struct buf *out, const struct cell *c, const struct line_origin *o)
{
	char ts[TIME_TEXT_MAX];

	time_format_ms(c->start_ms, ts);
	json_add_str(out, "{\"ts\":", ts);
	json_add_str(out, ",\"tenant\":", o->tenant);
	json_add_str(out, ",\"account_id\":", o->account_id);
	json_add_str(out, ",\"region\":", o->region);
	json_add_str(out, ",\"job\":", o->job);
}

static uint64_t
add_line(struct buf *out, const struct buf *start, const struct cell *c,
	 const struct sample_row *row, int64_t offset)
{
	const struct series *s = row->series;

	buf_sv(out, buf_view(start));
	json_add_str(out, ",\"name\":", s->name);
	json_add_str(out, ",\"stat\":", s->stat);
	json_add_str(out, ",\"unit\":", s->unit);
	buf_str(out, ",\"period\":");
	add_num(out, (double)s->period_ms / 1000);
	add_labels(out, s);
	return add_values(out, c, row, offset);
}

static bool
row_empty(const struct sample_row *row)
{
	for (size_t i = 0; i < row->n; i++)
		if (isfinite(row->values[i]))
			return false;
	return true;
}

int
metric_lines_encode(struct cell_data *d, const struct line_origin *o, struct err *err)
{
	CLEANUP(buf_done) struct buf start = BUF_INIT(START_MAX);

	add_start(&start, &d->cell, o);
	if (buf_check(&start, "line", err))
		return -1;
	for (size_t i = 0; i < d->n_rows; i++) {
		int64_t offset = row_offset(&d->cell, &d->rows[i]);

		if (offset < 0)
			return err_set(err, ERR_DATA, "series %s does not lie on the cell's grid",
				       d->rows[i].series->name);
		if (row_empty(&d->rows[i]))
			continue;
		d->n_samples += d->rows_only
				    ? sample_points(&d->rows[i])
				    : add_line(&d->ndjson, &start, &d->cell, &d->rows[i], offset);
		d->n_lines++;
	}
	return buf_check(&d->ndjson, "cell", err);
}

/* Reading */

struct decoder {
	struct cell_data *d;
	const struct line_origin *o;
	struct buf start; /* of each line */
	struct buf again; /* the line written back */
	size_t cap;	  /* rows there is room for */
};

static int
dup_str(struct arena *a, const json_t *line, const char *key, bool required, const char **ret,
	struct err *err)
{
	const char *s = NULL;

	if (json_get_str(line, "", key, required, &s, err))
		return -1;
	*ret = s ? arena_strdup(a, sv_of(s)) : NULL;
	return s && !*ret ? err_nomem(err) : 0;
}

static int
dup_label(struct arena *a, struct label *l, struct sv name, struct sv value, struct err *err)
{
	if (memchr(value.p, '\0', value.n))
		return err_set(err, ERR_DATA, "/labels: NUL in a value");
	l->name = arena_strdup(a, name);
	l->value = arena_strdup(a, value);
	return l->name && l->value ? 0 : err_nomem(err);
}

/* The line's own labels and the three that stand outside, sorted. */
static int
read_labels(const struct decoder *dec, json_t *obj, struct series *s, struct err *err)
{
	const struct label common[] = {
	    {"account_id", dec->o->account_id},
	    {"region", dec->o->region},
	    {"tenant", dec->o->tenant},
	};
	struct arena *a = &dec->d->arena;
	struct label *labels =
	    arena_array(a, json_object_size(obj) + ARRAY_LEN(common), sizeof(*labels));
	const char *name;
	json_t *value;

	if (!labels)
		return err_nomem(err);
	for (size_t i = 0; i < ARRAY_LEN(common); i++)
		if (*common[i].value && dup_label(a, &labels[s->n_labels++], sv_of(common[i].name),
						  sv_of(common[i].value), err))
			return -1;
	json_object_foreach(obj, name, value)
	{
		struct sv text = {json_string_value(value), json_string_length(value)};

		if (!json_is_string(value) || !text.n || !label_name_valid(name) || is_common(name))
			return err_set(err, ERR_DATA, "/labels: not a label with a value: %.64s",
				       name);
		if (dup_label(a, &labels[s->n_labels++], sv_of(name), text, err))
			return -1;
	}
	qsort(labels, s->n_labels, sizeof(*labels), label_by_name);
	s->labels = labels;
	return 0;
}

static int
read_values(const struct decoder *dec, const json_t *arr, const struct series *s,
	    struct sample_row *row, struct err *err)
{
	size_t n = json_array_size(arr);
	double *values = arena_array(&dec->d->arena, n, sizeof(*values));

	if (!values)
		return err_nomem(err);
	for (size_t i = 0; i < n; i++) {
		const json_t *v = json_array_get(arr, i);

		if (!json_is_number(v) && !json_is_null(v))
			return err_set(err, ERR_DATA, "/values/%zu: expected a number or null", i);
		values[i] = json_is_null(v) ? NAN : json_number_value(v);
	}
	*row = (struct sample_row){
	    .series = s, .first_ms = dec->d->cell.start_ms, .values = values, .n = n};
	if (row_offset(&dec->d->cell, row) != 0 ||
	    (int64_t)n * s->period_ms != dec->d->cell.end_ms - dec->d->cell.start_ms)
		return err_set(err, ERR_DATA,
			       "/values: period and number of values do not fit the cell");
	return row_empty(row) ? err_set(err, ERR_DATA, "/values: no point") : 0;
}

static int
read_row(const struct decoder *dec, const json_t *line, struct sample_row *row, struct err *err)
{
	struct series *s = arena_alloc(&dec->d->arena, sizeof(*s));
	json_t *labels, *values;
	double period;

	if (!s)
		return err_nomem(err);
	if (dup_str(&dec->d->arena, line, "name", true, &s->name, err) ||
	    dup_str(&dec->d->arena, line, "stat", false, &s->stat, err) ||
	    dup_str(&dec->d->arena, line, "unit", false, &s->unit, err) ||
	    json_get_num(line, "", "period", true, &period, err) ||
	    json_get_obj(line, "", "labels", true, &labels, err) ||
	    json_get_arr(line, "", "values", true, &values, err))
		return -1;
	if (!series_name_valid(s->name))
		return err_set(err, ERR_DATA, "/name: not a metric's name");
	if (!(period > 0 && period <= 86400))
		return err_set(err, ERR_DATA, "/period: not between 0 and a day");
	s->period_ms = (int64_t)(period * 1000);
	return read_labels(dec, labels, s, err) || read_values(dec, values, s, row, err) ? -1 : 0;
}

static int
read_line(struct decoder *dec, struct sv text, struct sample_row *row, struct err *err)
{
	CLEANUP(json_decrefp) json_t *line = NULL;

	if (json_parse(text, "line", &line, err) || read_row(dec, line, row, err))
		return -1;
	buf_reset(&dec->again);
	dec->d->n_samples += add_line(&dec->again, &dec->start, &dec->d->cell, row, 0);
	if (buf_check(&dec->again, "line", err))
		return -1;
	if (!sv_eq(buf_view(&dec->again), (struct sv){text.p, text.n + 1}))
		return err_set(err, ERR_DATA, "not a line of this cell in its canonical form");
	return 0;
}

static int
grow_rows(struct decoder *dec, struct err *err)
{
	struct cell_data *d = dec->d;
	struct sample_row *rows =
	    arena_grow(&d->arena, d->rows, d->n_rows, &dec->cap, sizeof(*rows));

	if (!rows)
		return err_nomem(err);
	d->rows = rows;
	return 0;
}

static int
add_row(struct decoder *dec, struct sv text, struct err *err)
{
	struct cell_data *d = dec->d;

	if (grow_rows(dec, err) || read_line(dec, text, &d->rows[d->n_rows], err))
		return -1;
	if (d->n_rows && series_cmp(d->rows[d->n_rows - 1].series, d->rows[d->n_rows].series) >= 0)
		return err_set(err, ERR_DATA, "not in the order of series");
	d->n_rows++;
	d->n_lines++;
	return 0;
}

int
metric_lines_decode(struct cell_data *d, const struct line_origin *o, struct err *err)
{
	struct decoder dec = {
	    .d = d, .o = o, .start = BUF_INIT(START_MAX), .again = BUF_INIT(CELL_NDJSON_MAX)};
	struct sv rest;
	int r;

	if (cell_lines_load(d, err))
		return -1;
	rest = buf_view(&d->ndjson);
	add_start(&dec.start, &d->cell, o);
	r = buf_check(&dec.start, "line", err);
	d->rows = NULL;
	d->n_rows = 0;
	d->n_lines = d->n_samples = 0;
	while (rest.n && !r) {
		const char *nl = memchr(rest.p, '\n', rest.n);
		struct sv text = {rest.p, nl ? (size_t)(nl - rest.p) : rest.n};

		r = nl ? add_row(&dec, text, err)
		       : err_set(err, ERR_DATA, "the last line is cut off");
		if (r)
			(void)err_wrap(err, "line %zu", d->n_rows + 1);
		rest.p += text.n + (nl != NULL);
		rest.n -= text.n + (nl != NULL);
	}
	buf_done(&dec.start);
	buf_done(&dec.again);
	return r;
}
