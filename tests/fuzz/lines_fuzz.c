/*
 * A cell of metrics read back from the lake (an object may have been put there by anyone): rows
 * that are sorted and sound, or an error. They are written as lines again, read as the same rows,
 * and go to a receiver as exactly their samples, whatever the size of a request. And the lines of a
 * cell that was asked for again beside those that are frozen (a part up to each NUL: the cell, a
 * late object of it, what came now): what is news does not depend on where lines lie.
 */
#include <math.h>

#include "fmt/snappy.h"
#include "model/row_news.h"
#include "sink/rw_encode.h"
#include "tests/fuzz/fuzz.h"
#include "tests/sink/wire_read.h"

static const struct line_origin who = {"acme", "111122223333", "eu-west-1", "ecs"};
static const struct cell cell = {INT64_C(1767225600000), INT64_C(1767225900000)};

static int
decode(struct sv text, struct cell_data *d, struct err *err)
{
	cell_data_init(d, cell);
	d->ndjson.max = FUZZ_MAX;
	d->arena.max = FUZZ_MAX;
	buf_sv(&d->ndjson, text);
	return metric_lines_decode(d, &who, err);
}

static void
again(struct cell_data *d)
{
	struct cell_data twice;
	CLEANUP(buf_done) struct buf text = BUF_INIT(FUZZ_MAX);
	struct err err = {0};

	buf_reset(&d->ndjson);
	d->n_lines = d->n_samples = 0;
	fuzz_must(metric_lines_encode(d, &who, &err) == 0);
	buf_sv(&text, buf_view(&d->ndjson));
	fuzz_must(decode(buf_view(&text), &twice, &err) == 0);
	fuzz_must(twice.n_samples == d->n_samples && twice.n_lines == d->n_lines);
	buf_reset(&twice.ndjson);
	twice.n_lines = twice.n_samples = 0;
	fuzz_must(metric_lines_encode(&twice, &who, &err) == 0);
	fuzz_must(sv_eq(buf_view(&text), buf_view(&twice.ndjson)));
	cell_data_done(&twice);
}

/* A request while it is read: whose samples come next. */
struct told {
	const struct cell_data *d;
	const struct rw_part *part;
	size_t row;
	uint64_t n;
};

static bool
is_told(const struct told *t, size_t row, size_t i)
{
	int64_t ts = sample_time(&t->d->rows[row], i);

	return isfinite(t->d->rows[row].values[i]) && ts >= t->part->from_ms && ts < t->part->to_ms;
}

static size_t
points(const struct told *t, size_t row)
{
	size_t n = 0;

	for (size_t i = 0; i < t->d->rows[row].n; i++)
		n += is_told(t, row, i);
	return n;
}

/* The series' labels and its name among them, sorted by bytes: capitals come before `__name__`. */
static void
same_labels(const struct series *series, const struct read_series *s)
{
	size_t at = 0;

	fuzz_must(s->n_labels == series->n_labels + 1);
	for (size_t i = 0; i < s->n_labels; i++) {
		fuzz_must(!i || sv_cmp(s->labels[i - 1].name, s->labels[i].name) < 0);
		if (sv_eq(s->labels[i].name, SV("__name__"))) {
			fuzz_must(sv_eq(s->labels[i].value, sv_of(series->name)));
			continue;
		}
		fuzz_must(at < series->n_labels);
		fuzz_must(sv_eq(s->labels[i].name, sv_of(series->labels[at].name)));
		fuzz_must(sv_eq(s->labels[i].value, sv_of(series->labels[at++].value)));
	}
	fuzz_must(at == series->n_labels);
}

/* The next row that has any point in this request: each of them, at its time. */
static bool
same_series(void *arg, const struct read_series *s)
{
	struct told *t = arg;
	const struct sample_row *row;
	size_t k = 0;

	while (t->row < t->part->row1 && !points(t, t->row))
		t->row++;
	fuzz_must(t->row < t->part->row1 && s->n_samples == points(t, t->row));
	row = &t->d->rows[t->row];
	for (size_t i = 0; i < row->n; i++)
		if (is_told(t, t->row, i)) {
			fuzz_must(s->samples[k].ts == sample_time(row, i));
			fuzz_must(s->samples[k++].value == row->values[i]);
		}
	same_labels(row->series, s);
	t->row++;
	t->n += k;
	return true;
}

static uint64_t
all_points(const struct cell_data *d)
{
	uint64_t n = 0;

	for (size_t r = 0; r < d->n_rows; r++)
		for (size_t i = 0; i < d->rows[r].n; i++)
			n += isfinite(d->rows[r].values[i]) != 0;
	return n;
}

static void
sent(struct cell_data *d, size_t max_body)
{
	struct rw_part part;
	struct told told = {.d = d, .part = &part};
	struct err err = {0};
	int64_t next = INT64_MIN;
	size_t row = 0;

	if (rw_check(d, &err) < 0)
		return;
	while (rw_cut(d, INT64_MIN, INT64_MAX, max_body, &row, &next, &part)) {
		CLEANUP(buf_done) struct buf body = BUF_INIT(FUZZ_MAX);
		CLEANUP(buf_done) struct buf packed = BUF_INIT(FUZZ_MAX);

		fuzz_must(rw_encode(d, &part, &body, &err) == 0 && part.n_samples > 0);
		told.row = part.row0;
		fuzz_must(read_request(buf_view(&body), same_series, &told));
		fuzz_must(snappy_block_encode(buf_view(&body), &packed, &err) == 0);
	}
	fuzz_must(told.n == all_points(d));
}

/* ---- rows that are new ---- */

/* What is behind it lies across the end of a piece. */
#define LONG_LINE (((size_t)64 << 10) - 150)

/* The text, sometimes behind a long line of before all others; all of it in a spool, or none. */
static void
lines_init(struct cell_data *d, struct sv text, bool moved, bool filed)
{
	CLEANUP(buf_done) struct buf all = BUF_INIT(FUZZ_MAX);

	cell_data_init(d, cell);
	if (moved)
		buf_fmt(&all, "{\"ts\":\"0000-01-01T00:00:00.000Z\",\"message\":\"%0*d\"}\n",
			(int)LONG_LINE, 0);
	buf_sv(&all, text);
	d->spool = filed ? calloc(1, sizeof(*d->spool)) : NULL;
	fuzz_must(!filed || d->spool);
	if (filed)
		*d->spool = SPOOL_INIT;
	fuzz_must(cell_lines_add(d, buf_view(&all), NULL) == 0);
}

static int
news(struct cell_data *known, struct cell_data *d, struct buf *out, struct err *err)
{
	struct cell_data late;
	uint64_t n = 0;
	int rc;

	cell_data_init(&late, cell);
	rc = row_news(known, d, &late, err);
	fuzz_answer(rc, err);
	buf_reset(out);
	buf_sv(out, buf_view(&late.ndjson));
	for (size_t i = 0; i < out->n; i++)
		n += out->p[i] == '\n';
	fuzz_must(n == late.n_lines && (rc == 0 || err->kind == ERR_DATA));
	cell_data_done(&late);
	return rc;
}

/* Each line of `some` is one of `all`, in their order. */
static void
are_lines_of(struct sv some, struct sv all)
{
	while (some.n) {
		struct sv line = fuzz_part(&some, '\n');
		bool found = false;

		while (!found && all.n)
			found = sv_eq(fuzz_part(&all, '\n'), line);
		fuzz_must(found);
	}
}

static void
rows_again(struct sv in)
{
	struct sv first = fuzz_part(&in, '\0'), later = fuzz_part(&in, '\0');
	CLEANUP(buf_done) struct buf once = BUF_INIT(FUZZ_MAX), twice = BUF_INIT(FUZZ_MAX);
	struct cell_data known[2], *late, d[2];
	struct err err[2] = {0};
	bool moved = in.n % 16 == 0;
	int rc[2];

	for (int filed = 0; filed < 2; filed++) {
		lines_init(&known[filed], first, moved, filed);
		late = calloc(1, sizeof(*late));
		fuzz_must(late);
		lines_init(late, later, moved, filed);
		known[filed].later = late;
		lines_init(&d[filed], in, false, filed);
		rc[filed] = news(&known[filed], &d[filed], filed ? &twice : &once, &err[filed]);
	}
	fuzz_must(rc[0] == rc[1] && !strcmp(err[0].msg, err[1].msg));
	fuzz_must(sv_eq(buf_view(&once), buf_view(&twice)));
	are_lines_of(buf_view(&once), in);
	/* What is frozen is no news, however often it is there. */
	if (rc[0] == 0)
		fuzz_must(news(&d[1], &d[0], &once, &err[0]) == 0 && !once.n);
	for (int filed = 0; filed < 2; filed++) {
		cell_data_done(&known[filed]);
		cell_data_done(&d[filed]);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct sv in = {(const char *)data, n};
	struct cell_data d;
	struct err err = {0};
	int rc = decode(in, &d, &err);

	fuzz_answer(rc, &err);
	if (rc == 0) {
		for (size_t i = 1; i < d.n_rows; i++)
			fuzz_must(series_cmp(d.rows[i - 1].series, d.rows[i].series) < 0);
		sent(&d, RW_MAX_BODY);
		sent(&d, 200);
		again(&d);
	}
	cell_data_done(&d);
	rows_again(in);
	return 0;
}
