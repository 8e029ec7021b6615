/*
 * Remote write's protobuf, written straight into the body.
 *
 * The size of each series is computed before its first byte is written, so nothing is moved
 * afterwards, there is room for all of it at once, and the same arithmetic decides where a request
 * ends.
 *
 * As every proto3 writer does, fields that hold their default are left out: a value of +0.0 (not
 * -0.0, whose bits differ) and a timestamp of 0.
 */
#include "sink/rw_encode.h"

#include <endian.h>
#include <math.h>

#include "fmt/wire.h"

/* Field numbers (prompb/remote.proto, prompb/types.proto). */
enum {
	REQUEST_TIMESERIES = 1,
	SERIES_LABEL = 1,
	LABEL_NAME = 1,
	LABEL_VALUE = 2,
};
/* The same for samples as tags: number << 3 | wire type. */
#define TAG_SAMPLE	 0x12
#define TAG_SAMPLE_VALUE 0x09
#define TAG_SAMPLE_TIME	 0x10

static int
check_times(const struct sample_row *r)
{
	for (size_t i = 1; i < r->n; i++)
		if (r->times[i] <= r->times[i - 1])
			return -1;
	return 0;
}

static int
check_row(const struct sample_row *r)
{
	int64_t step = r->series->period_ms > 0 ? r->series->period_ms : 1, off, end;

	if (r->times)
		return check_times(r);
	if (r->n > 1 && r->series->period_ms <= 0)
		return -1;
	if (r->n > (size_t)INT64_MAX || __builtin_mul_overflow((int64_t)r->n, step, &off))
		return -1;
	return __builtin_add_overflow(r->first_ms, off, &end) ? -1 : 0;
}

int
rw_check(const struct cell_data *d, struct err *err)
{
	for (size_t i = 0; i < d->n_rows; i++)
		if (check_row(&d->rows[i]) < 0)
			return err_set(err, ERR_DATA,
				       "series %.100s: its sample times do not increase",
				       d->rows[i].series->name);
	return 0;
}

static size_t
index_of_times(const struct sample_row *r, int64_t ms)
{
	size_t lo = 0, hi = r->n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (r->times[mid] < ms)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

/* The first index whose time is >= ms, at most n. */
static size_t
index_at(const struct sample_row *r, int64_t ms)
{
	int64_t period = r->series->period_ms;
	uint64_t off;

	if (r->times)
		return index_of_times(r, ms);
	if (ms <= r->first_ms)
		return 0;
	if (r->n <= 1)
		return r->n;
	off = (uint64_t)ms - (uint64_t)r->first_ms; /* cannot overflow: ms is larger */
	if (off > (uint64_t)period * (r->n - 1)) /* mostly: what is wanted has no end within it */
		return r->n;
	return (size_t)(off / (uint64_t)period + (off % (uint64_t)period != 0));
}

void
rw_span(const struct sample_row *r, int64_t from_ms, int64_t to_ms, size_t *i0, size_t *i1)
{
	*i0 = index_at(r, from_ms);
	*i1 = index_at(r, to_ms);
	if (*i1 < *i0)
		*i1 = *i0;
}

/* As rw_span, but cut to the last sample if only that is wanted. */
static void
part_span(const struct sample_row *r, const struct rw_part *part, size_t *i0, size_t *i1)
{
	rw_span(r, part->from_ms, part->to_ms, i0, i1);
	if (!part->last_only)
		return;
	while (*i1 > *i0 && !isfinite(r->values[*i1 - 1]))
		(*i1)--;
	if (*i1 > *i0)
		*i0 = *i1 - 1;
}

static uint64_t
count_finite(const struct sample_row *r, size_t i0, size_t i1)
{
	uint64_t n = 0;

	for (size_t i = i0; i < i1; i++)
		n += isfinite(r->values[i]) ? 1 : 0;
	return n;
}

uint64_t
rw_count(const struct cell_data *d, const struct rw_part *part)
{
	uint64_t n = 0;
	size_t i0, i1;

	for (size_t r = part->row0; r < part->row1; r++) {
		part_span(&d->rows[r], part, &i0, &i1);
		n += count_finite(&d->rows[r], i0, i1);
	}
	return n;
}

bool
rw_oldest(const struct cell_data *d, int64_t from_ms, int64_t *ret_ms)
{
	bool found = false;

	for (size_t r = 0; r < d->n_rows; r++) {
		const struct sample_row *row = &d->rows[r];
		size_t i = index_at(row, from_ms);

		while (i < row->n && !isfinite(row->values[i]))
			i++;
		if (i < row->n && (!found || sample_time(row, i) < *ret_ms)) {
			*ret_ms = sample_time(row, i);
			found = true;
		}
	}
	return found;
}

static uint64_t
bits_of(double v)
{
	uint64_t bits;

	memcpy(&bits, &v, sizeof(bits));
	return bits;
}

/* A Sample message without its tag and length, when its time takes `n_time` bytes. */
static size_t
sample_size(double v, size_t n_time)
{
	return (bits_of(v) ? 9 : 0) + n_time;
}

static size_t
time_size(int64_t ts)
{
	return ts == 0 ? 0 : 1 + wire_varint_len((uint64_t)ts);
}

/* Never more than 20 bytes, so the length takes one. */
static unsigned char *
put_sample(unsigned char *p, double v, int64_t ts)
{
	uint64_t bits = bits_of(v), little = htole64(bits);
	unsigned char *length = p + 1;

	p[0] = TAG_SAMPLE;
	p += 2;
	if (bits) {
		*p++ = TAG_SAMPLE_VALUE;
		memcpy(p, &little, sizeof(little));
		p += sizeof(little);
	}
	if (ts != 0) {
		*p++ = TAG_SAMPLE_TIME;
		p += wire_time_put(p, (uint64_t)ts);
	}
	*length = (unsigned char)(p - length - 1);
	return p;
}

/* A length-delimited field with a tag of one byte. */
static inline size_t
field_size(size_t len)
{
	return 1 + wire_varint_len(len) + len;
}

/* A Label message without its tag and length. */
static inline size_t
label_size(size_t n_name, size_t n_value)
{
	return field_size(n_name) + field_size(n_value);
}

static inline unsigned char *
put_label(unsigned char *p, struct sv name, struct sv value)
{
	p = wire_len(p, SERIES_LABEL, label_size(name.n, value.n));
	p = wire_bytes(p, LABEL_NAME, name);
	return wire_bytes(p, LABEL_VALUE, value);
}

static inline struct sv
name_of(const struct series *s, size_t i)
{
	return s->lens ? (struct sv){s->labels[i].name, s->lens[i].name} : sv_of(s->labels[i].name);
}

static inline struct sv
value_of(const struct series *s, size_t i)
{
	return s->lens ? (struct sv){s->labels[i].value, s->lens[i].value}
		       : sv_of(s->labels[i].value);
}

static size_t
labels_size(const struct series *s)
{
	size_t n = field_size(label_size(strlen("__name__"), strlen(s->name)));

	for (size_t i = 0; i < s->n_labels; i++)
		n += field_size(label_size(name_of(s, i).n, value_of(s, i).n));
	return n;
}

/* Sorted bytewise: names that begin with a capital letter stand before __name__. */
static unsigned char *
put_labels(unsigned char *p, const struct series *s)
{
	size_t i = 0;

	for (; i < s->n_labels && strcmp(s->labels[i].name, "__name__") < 0; i++)
		p = put_label(p, name_of(s, i), value_of(s, i));
	p = put_label(p, SV("__name__"), sv_of(s->name));
	for (; i < s->n_labels; i++)
		p = put_label(p, name_of(s, i), value_of(s, i));
	return p;
}

/* Times increase: where the first and the last one take as many bytes, so do those between. 0: they
 * do not. */
static size_t
common_time_size(const struct sample_row *r, size_t i0, size_t i1)
{
	int64_t first = sample_time(r, i0);
	size_t n = time_size(first);

	return first > 0 && n == time_size(sample_time(r, i1 - 1)) ? n : 0;
}

static size_t
samples_size(const struct sample_row *r, size_t i0, size_t i1, uint64_t *n_samples)
{
	size_t n = 0, common = i0 < i1 ? common_time_size(r, i0, i1) : 0;

	for (size_t i = i0; i < i1; i++) {
		if (!isfinite(r->values[i]))
			continue;
		n += 2 + sample_size(r->values[i], common ? common : time_size(sample_time(r, i)));
		(*n_samples)++;
	}
	return n;
}

/* The samples [i0, i1) of a row, `size` bytes of them, with the labels. */
static void
add_series(struct buf *out, const struct sample_row *r, size_t i0, size_t i1, size_t size)
{
	unsigned char *p;

	size += labels_size(r->series);
	if (!buf_reserve(out, field_size(size)))
		return;
	p = (unsigned char *)out->p + out->n;
	p = wire_len(p, REQUEST_TIMESERIES, size);
	p = put_labels(p, r->series);
	for (size_t i = i0; i < i1; i++)
		if (isfinite(r->values[i]))
			p = put_sample(p, r->values[i], sample_time(r, i));
	out->n += field_size(size);
	out->p[out->n] = '\0';
}

int
rw_encode(const struct cell_data *d, struct rw_part *part, struct buf *out, struct err *err)
{
	part->n_samples = 0;
	if (!buf_reserve(out, part->size))
		return buf_check(out, "remote-write request", err);
	for (size_t n = part->row0; n < part->row1; n++) {
		const struct sample_row *r = &d->rows[n];
		uint64_t count = 0;
		size_t i0, i1, size;

		part_span(r, part, &i0, &i1);
		size = samples_size(r, i0, i1, &count);
		if (count == 0)
			continue;
		add_series(out, r, i0, i1, size);
		part->n_samples += count;
	}
	return buf_check(out, "remote-write request", err);
}

/* A row too large for one request: its samples up to the limit, but one at the least. */
static void
cut_row(const struct sample_row *r, int64_t to_ms, size_t max_body, struct rw_part *part)
{
	size_t i0, i1, i, size = labels_size(r->series);

	rw_span(r, part->from_ms, to_ms, &i0, &i1);
	part->n_samples = 0;
	for (i = i0; i < i1; i++) {
		size_t more = isfinite(r->values[i])
				  ? 2 + sample_size(r->values[i], time_size(sample_time(r, i)))
				  : 0;

		if (part->n_samples > 0 && field_size(size + more) > max_body)
			break;
		size += more;
		part->n_samples += more > 0 ? 1 : 0;
	}
	part->to_ms = i < i1 ? sample_time(r, i) : to_ms;
}

/* The bytes of a row in the request, 0 if it has no sample in the range. */
static size_t
row_size(const struct sample_row *r, int64_t from_ms, int64_t to_ms, uint64_t *n_samples)
{
	size_t i0, i1, size;

	*n_samples = 0;
	rw_span(r, from_ms, to_ms, &i0, &i1);
	size = samples_size(r, i0, i1, n_samples);
	return *n_samples > 0 ? field_size(labels_size(r->series) + size) : 0;
}

/* The rest of a row that was begun, or the beginning of one that is too large. */
static bool
cut_one(const struct cell_data *d, int64_t from_ms, int64_t to_ms, size_t max_body, size_t *row,
	int64_t *next_ms, struct rw_part *part)
{
	*part = (struct rw_part){.row0 = *row, .row1 = *row + 1, .from_ms = *next_ms};
	cut_row(&d->rows[*row], to_ms, max_body, part);
	*next_ms = part->to_ms;
	if (part->to_ms >= to_ms) {
		(*row)++;
		*next_ms = from_ms;
	}
	return part->n_samples > 0;
}

bool
rw_cut(const struct cell_data *d, int64_t from_ms, int64_t to_ms, size_t max_body, size_t *row,
       int64_t *next_ms, struct rw_part *part)
{
	size_t total = 0, size;
	uint64_t count;

	while (*row<d->n_rows && * next_ms> from_ms)
		if (cut_one(d, from_ms, to_ms, max_body, row, next_ms, part))
			return true;
	*part = (struct rw_part){.row0 = *row, .row1 = *row, .from_ms = from_ms, .to_ms = to_ms};
	for (; *row < d->n_rows; (*row)++) {
		size = row_size(&d->rows[*row], from_ms, to_ms, &count);
		if (total + size > max_body)
			break;
		total += size;
		part->n_samples += count;
		part->row1 = *row + 1;
	}
	part->size = total;
	if (part->n_samples > 0)
		return true;
	return *row < d->n_rows && cut_one(d, from_ms, to_ms, max_body, row, next_ms, part);
}
