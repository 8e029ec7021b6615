/*
 * A cell of metrics read back from the lake (an object may have been put there by anyone): rows
 * that are sorted and sound, or an error. They are written as lines again, read as the same rows,
 * and go to a receiver as exactly their samples, whatever the size of a request.
 */
#include <math.h>

#include "fmt/snappy.h"
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

struct told {
	uint64_t n;
	double sum;
};

static bool
count(void *arg, const struct read_series *s)
{
	struct told *t = arg;

	for (size_t i = 0; i < s->n_samples; i++) {
		fuzz_must(i == 0 || s->samples[i - 1].ts < s->samples[i].ts);
		t->sum += s->samples[i].value;
	}
	t->n += s->n_samples;
	return s->n_labels > 0 && sv_eq(s->labels[0].name, SV("__name__"));
}

static void
sent(struct cell_data *d, size_t max_body)
{
	struct told told = {0}, truth = {0};
	struct rw_part part;
	struct err err = {0};
	int64_t next = INT64_MIN;
	size_t row = 0;

	if (rw_check(d, &err) < 0)
		return;
	for (size_t r = 0; r < d->n_rows; r++)
		for (size_t i = 0; i < d->rows[r].n; i++)
			if (isfinite(d->rows[r].values[i]))
				truth.n++;
	while (rw_cut(d, INT64_MIN, INT64_MAX, max_body, &row, &next, &part)) {
		CLEANUP(buf_done) struct buf body = BUF_INIT(FUZZ_MAX);
		CLEANUP(buf_done) struct buf packed = BUF_INIT(FUZZ_MAX);

		fuzz_must(rw_encode(d, &part, &body, &err) == 0 && part.n_samples > 0);
		fuzz_must(read_request(buf_view(&body), count, &told));
		fuzz_must(snappy_block_encode(buf_view(&body), &packed, &err) == 0);
	}
	fuzz_must(told.n == truth.n);
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
	return 0;
}
