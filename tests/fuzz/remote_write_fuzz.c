/*
 * Remote-write requests: whatever names, labels, values and times a cell has, and wherever it is
 * cut, protobuf-c reads of all requests together each sample once, in its order, bit for bit.
 */
#include <math.h>
#include <remote_write.pb-c.h>

#include "sink/rw_encode.h"
#include "tests/fuzz/fuzz.h"

#define ROWS   8
#define VALUES 40
#define LABELS 4

struct made {
	struct cell_data d;
	struct series series[ROWS];
	struct label labels[ROWS][LABELS];
	double values[ROWS][VALUES];
	int64_t times[ROWS][VALUES];
	struct sample_row rows[ROWS];
};

/* The next n bytes, zeros where there are none. */
static void
take(struct sv *in, void *to, size_t n)
{
	size_t have = in->n < n ? in->n : n;

	memset(to, 0, n);
	memcpy(to, in->p, have);
	*in = (struct sv){in->p + have, in->n - have};
}

/* A text of the input's, or another where that is empty. */
static const char *
text(struct sv *in, struct arena *a, const char *otherwise)
{
	struct sv part = fuzz_part(in, '\n');
	char *s = arena_strdup(a, part);

	fuzz_must(s != NULL);
	return *s ? s : otherwise;
}

static void
read_labels(struct sv *in, struct made *c, size_t i)
{
	static const char *const names[LABELS] = {"account_id", "region", "tenant", "z"};
	unsigned which = fuzz_choice(in, 1u << LABELS);
	struct series *s = &c->series[i];

	s->labels = c->labels[i];
	for (size_t k = 0; k < LABELS; k++)
		if (which >> k & 1)
			c->labels[i][s->n_labels++] =
			    (struct label){names[k], text(in, &c->d.arena, "v")};
	if (fuzz_choice(in, 2))
		s->lens = label_count(s->labels, s->n_labels, &c->d.arena);
}

static void
read_values(struct sv *in, struct made *c, size_t i)
{
	struct sample_row *row = &c->rows[i];
	bool own_times = fuzz_choice(in, 2);

	take(in, &row->first_ms, sizeof(row->first_ms));
	row->values = c->values[i];
	row->n = fuzz_choice(in, VALUES);
	for (size_t k = 0; k < row->n; k++)
		take(in, &c->values[i][k], sizeof(c->values[i][k]));
	for (size_t k = 0; own_times && k < row->n; k++)
		take(in, &c->times[i][k], sizeof(c->times[i][k]));
	if (own_times)
		row->times = c->times[i];
}

static void
read_cell(struct sv *in, struct made *c)
{
	c->d.rows = c->rows;
	c->d.n_rows = fuzz_choice(in, ROWS + 1);
	for (size_t i = 0; i < c->d.n_rows; i++) {
		uint32_t period;

		c->series[i].name = text(in, &c->d.arena, "m");
		read_labels(in, c, i);
		take(in, &period, sizeof(period));
		c->series[i].period_ms = period;
		c->rows[i].series = &c->series[i];
		read_values(in, c, i);
	}
}

static void
same_labels(const Oracle__TimeSeries *is, const struct series *s)
{
	fuzz_must(is->n_labels == s->n_labels + 1);
	fuzz_must(!strcmp(is->labels[0]->name, "__name__"));
	fuzz_must(!strcmp(is->labels[0]->value, s->name));
	for (size_t i = 0; i < s->n_labels; i++) {
		fuzz_must(!strcmp(is->labels[i + 1]->name, s->labels[i].name));
		fuzz_must(!strcmp(is->labels[i + 1]->value, s->labels[i].value));
	}
}

/* Those of a part that are points, against the samples of a series; returns how many. */
static size_t
same_samples(const Oracle__TimeSeries *is, const struct sample_row *row, const struct rw_part *part)
{
	size_t n = 0;

	for (size_t i = 0; i < row->n; i++) {
		int64_t ts = sample_time(row, i);

		if (!isfinite(row->values[i]) || ts < part->from_ms || ts >= part->to_ms)
			continue;
		if (is) {
			fuzz_must(n < is->n_samples && is->samples[n]->timestamp == ts);
			fuzz_must(!memcmp(&is->samples[n]->value, &row->values[i], sizeof(double)));
		}
		n++;
	}
	fuzz_must(!is || is->n_samples == n);
	return n;
}

static uint64_t
same(const struct cell_data *d, const struct rw_part *part, struct sv body)
{
	Oracle__WriteRequest *is =
	    oracle__write_request__unpack(NULL, body.n, (const uint8_t *)body.p);
	uint64_t samples = 0;
	size_t series = 0;

	fuzz_must(is && !is->base.n_unknown_fields);
	for (size_t i = part->row0; i < part->row1; i++) {
		size_t n = same_samples(NULL, &d->rows[i], part);

		if (!n)
			continue;
		fuzz_must(series < is->n_timeseries);
		fuzz_must(!is->timeseries[series]->base.n_unknown_fields);
		same_labels(is->timeseries[series], d->rows[i].series);
		samples += same_samples(is->timeseries[series++], &d->rows[i], part);
	}
	fuzz_must(series == is->n_timeseries);
	oracle__write_request__free_unpacked(is, NULL);
	return samples;
}

/* All parts of a cell, up to the last moment but one that there is. */
static void
send(const struct cell_data *d, size_t max_body)
{
	const struct rw_part all = {.row1 = d->n_rows, .from_ms = INT64_MIN, .to_ms = INT64_MAX};
	CLEANUP(buf_done) struct buf body = BUF_INIT(FUZZ_MAX);
	int64_t next_ms = INT64_MIN;
	uint64_t samples = 0;
	struct rw_part part;
	size_t row = 0;

	while (rw_cut(d, INT64_MIN, INT64_MAX, max_body, &row, &next_ms, &part)) {
		struct err err = {0};

		buf_reset(&body);
		fuzz_must(rw_encode(d, &part, &body, &err) == 0);
		fuzz_must(part.n_samples && part.n_samples == same(d, &part, buf_view(&body)));
		fuzz_must(!part.size || body.n <= part.size);
		fuzz_must(body.n <= max_body || part.n_samples == 1);
		samples += part.n_samples;
	}
	fuzz_must(samples == rw_count(d, &all));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct sv in = {(const char *)data, n};
	struct made *c = calloc(1, sizeof(*c));
	struct err err = {0};
	uint16_t max_body;
	int rc;

	fuzz_must(c != NULL);
	cell_data_init(&c->d, (struct cell){0, 1});
	take(&in, &max_body, sizeof(max_body));
	read_cell(&in, c);
	rc = rw_check(&c->d, &err);
	fuzz_answer(rc, &err);
	if (!rc)
		send(&c->d, max_body);
	c->d.rows = NULL;
	cell_data_done(&c->d);
	free(c);
	return 0;
}
