/*
 * `series` of the insights kind: the rows of a cell as samples (model/row_samples.h), both of a
 * cell that was just pulled and of one that is read back from the lake.
 */
#include "base/log.h"
#include "base/timefmt.h"
#include "jobs/insights.h"

#define LINE_MAX_BYTES ((size_t)16 << 20) /* of a frozen line; an event has at most 1 MB */

static struct series_owner
owner_of(const struct job_stream *s)
{
	return (struct series_owner){
	    .tenant = s->tenant,
	    .account = s->account,
	    .region = s->region,
	    .labels = s->labels,
	    .n_labels = s->n_labels,
	};
}

int
insights_series_begin(const struct job_stream *s, struct cell_data *d, struct row_samples **ret,
		      struct err *err)
{
	const struct insights_opts *o = s->opts;

	*ret = NULL;
	if (!o->series_node)
		return 0;
	return row_samples_new(&o->rules, owner_of(s), d, ret, err);
}

static void
say_refused(const struct job_stream *s, const struct cell_data *d,
	    const struct row_samples_seen *seen)
{
	char from[TIME_TEXT_MAX];
	uint64_t n = 0;

	for (size_t i = 0; i < ROW_REFUSALS; i++)
		n += seen->refused[i];
	if (!n)
		return;
	time_format_ms(d->cell.start_ms, from);
	log_event(LOG_WARN, "values that are no samples", LOG_S("tenant", s->tenant),
		  LOG_S("job", s->common->name), LOG_S("region", s->region), LOG_S("cell", from),
		  LOG_I("rejected", n), LOG_I("twice", seen->refused[ROW_TWICE]),
		  LOG_S("example", seen->example));
}

int
insights_series_end(const struct job_stream *s, const struct cell_data *d,
		    struct row_samples *samples, struct err *err)
{
	struct row_samples_seen seen;

	if (!samples)
		return 0;
	if (row_samples_end(samples, &seen, err))
		return -1;
	say_refused(s, d, &seen);
	return 0;
}

/* A frozen cell comes in pieces that end anywhere. */
struct reading_back {
	struct row_samples *samples; /* NULL: lines are only counted */
	struct buf rest;	     /* the beginning of a line whose end is in the next piece */
	uint64_t lines;
};

static int
take_line(struct reading_back *b, struct sv text, struct err *err)
{
	b->lines++;
	if (!b->samples)
		return 0;
	if (!b->rest.n)
		return row_samples_add(b->samples, text, err);
	buf_sv(&b->rest, text);
	if (buf_check(&b->rest, "a frozen line", err) ||
	    row_samples_add(b->samples, buf_view(&b->rest), err))
		return -1;
	return 0;
}

static int
take_piece(void *arg, struct sv piece, struct err *err)
{
	const char *end;
	struct reading_back *b = arg;

	while ((end = memchr(piece.p, '\n', piece.n))) {
		size_t n = (size_t)(end - piece.p) + 1;

		if (take_line(b, (struct sv){piece.p, n}, err))
			return -1;
		buf_reset(&b->rest);
		piece = (struct sv){piece.p + n, piece.n - n};
	}
	buf_sv(&b->rest, piece);
	return buf_check(&b->rest, "a frozen line", err);
}

static int
read_back(struct cell_data *d, struct reading_back *b, struct err *err)
{
	if (cell_lines_each(d, take_piece, b, err))
		return -1;
	if (b->rest.n)
		return err_set(err, ERR_DATA, "the last line has no end");
	d->n_lines = b->lines;
	return 0;
}

int
insights_adopt(const struct job_stream *s, struct cell_data *d, struct err *err)
{
	CLEANUP(row_samples_freep) struct row_samples *samples = NULL;
	struct reading_back b = {.rest = BUF_INIT(LINE_MAX_BYTES)};
	int r;

	if (insights_series_begin(s, d, &samples, err))
		return -1;
	b.samples = samples;
	r = read_back(d, &b, err);
	buf_done(&b.rest);
	return r ? -1 : insights_series_end(s, d, samples, err);
}
