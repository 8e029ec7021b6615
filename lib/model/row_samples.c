/*
 * Rows as samples; see row_samples.h.
 *
 * A line is read in place. The label columns of a row, as they stand in the line, are the key by
 * which its series are found; they are made once for each such set. Points are collected and put in
 * order at the end.
 */
#include "model/row_samples.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/map.h"
#include "base/num.h"
#include "base/timefmt.h"
#include "fmt/json.h"
#include "model/insights_rows.h"

#define TEXT_MAX_BYTES ((size_t)4 << 20) /* of one row's labels; an event has 1 MB */
#define TIME_MAX_MS    1e14 /* some three thousand years: what is more is no time in ms */

const char *const row_refusal_words[ROW_REFUSALS] = {
    [ROW_NO_TIME] = "no readable time",
    [ROW_OUTSIDE] = "a time outside of its cell",
    [ROW_NO_NUMBER] = "no finite number",
    [ROW_TWICE] = "labels and time of a row before",
};

/* Columns that have a place of their own in a line. */
static const struct place {
	const char *column, *member;
} places[] = {
    {"@log", "log_group"},
    {"@logStream", "log_stream"},
    {"@message", "message"},
    {"@ptr", "ptr"},
};

/* A series of some set of labels. */
struct known {
	struct series series;
	size_t rank;
};
struct point {
	struct known *of;
	int64_t ms;
	double value;
	size_t seq; /* the line's place among the others */
};

/* A column that is looked for in each line. */
struct slot {
	const char *raw;    /* its name as it stands in a line */
	const char *member; /* or where else it may be; NULL: nowhere */
	struct sv value;    /* of the present line, raw; p NULL: it has none */
};

struct row_samples {
	const struct row_rules *rules;
	struct series_owner owner;
	struct cell_data *d;
	struct slot *slots; /* of the values, of the labels, of the time */
	size_t n_slots;
	struct sv ts; /* of the present line */
	size_t n_lines;
	struct map sets;      /* by their labels: an array of n_values series */
	struct known **known; /* all of them */
	size_t n_known, cap_known;
	struct point *points;
	size_t n_points, cap_points;
	struct buf key, text;
	struct row_samples_seen seen;
};

void
row_samples_free(struct row_samples *s)
{
	if (!s)
		return;
	map_done(&s->sets, NULL);
	buf_done(&s->key);
	buf_done(&s->text);
	free(s->slots);
	free(s->known);
	free(s->points);
	free(s);
}

/* Beginning */

static int
slot_init(struct row_samples *s, struct slot *slot, const char *column, struct err *err)
{
	struct sv raw;

	buf_reset(&s->text);
	(void)json_escape(&s->text, sv_of(column));
	if (buf_check(&s->text, "name of a column", err))
		return -1;
	raw = (struct sv){s->text.p + 1, s->text.n - 2};
	slot->raw = arena_strdup(&s->d->arena, raw);
	for (size_t i = 0; i < ARRAY_LEN(places); i++)
		if (!strcmp(places[i].column, column))
			slot->member = places[i].member;
	return slot->raw ? 0 : err_nomem(err);
}

static int
slots_init(struct row_samples *s, struct err *err)
{
	const struct row_rules *r = s->rules;
	struct slot *slot;

	s->n_slots = r->n_values + r->n_labels + (r->time != NULL);
	s->slots = calloc(s->n_slots + 1, sizeof(*s->slots));
	if (!s->slots)
		return err_nomem(err);
	slot = s->slots;
	for (size_t i = 0; i < r->n_values; i++)
		if (slot_init(s, slot++, r->values[i].column, err))
			return -1;
	for (size_t i = 0; i < r->n_labels; i++)
		if (slot_init(s, slot++, r->labels[i].column, err))
			return -1;
	return r->time ? slot_init(s, slot, r->time, err) : 0;
}

int
row_samples_new(const struct row_rules *rules, struct series_owner owner, struct cell_data *d,
		struct row_samples **ret, struct err *err)
{
	CLEANUP(row_samples_freep) struct row_samples *s = calloc(1, sizeof(*s));

	if (!s)
		return err_nomem(err);
	*s = (struct row_samples){
	    .rules = rules,
	    .owner = owner,
	    .d = d,
	    .sets = MAP_INIT,
	    .key = BUF_INIT(TEXT_MAX_BYTES),
	    .text = BUF_INIT(TEXT_MAX_BYTES),
	};
	if (slots_init(s, err))
		return -1;
	*ret = STEAL(s);
	return 0;
}

/* Reading a line */

static bool
take_value(struct json_scan *in, struct sv *ret)
{
	*ret = (struct sv){NULL, 0};
	return json_scan_null(in) || json_scan_str(in, ret);
}

/* A member of `fields`. */
static bool
read_field(struct row_samples *s, struct json_scan *in, struct sv name)
{
	struct sv value;

	if (!take_value(in, &value))
		return false;
	for (size_t i = 0; i < s->n_slots; i++)
		if (sv_eq(name, sv_of(s->slots[i].raw)))
			s->slots[i].value = value;
	return true;
}

static bool
read_fields(struct row_samples *s, struct json_scan *in)
{
	bool end = false;
	struct sv name;

	if (!json_scan_ch(in, '{'))
		return false;
	for (bool first = true;; first = false) {
		if (!json_scan_member(in, first, &name, &end))
			return false;
		if (end)
			return true;
		if (!read_field(s, in, name))
			return false;
	}
}

/* A member beside `fields`, which stands last: a field of the same name goes before it. */
static bool
read_member(struct row_samples *s, struct json_scan *in, struct sv name)
{
	struct sv value;

	if (sv_eq(name, SV("fields")))
		return read_fields(s, in);
	if (!take_value(in, &value))
		return false;
	if (sv_eq(name, SV("ts")))
		s->ts = value;
	for (size_t i = 0; i < s->n_slots; i++)
		if (s->slots[i].member && sv_eq(name, sv_of(s->slots[i].member)))
			s->slots[i].value = value;
	return true;
}

static int
read_line(struct row_samples *s, struct sv line, struct err *err)
{
	struct json_scan in = JSON_SCAN_INIT(line);
	bool end = false, good = json_scan_ch(&in, '{');
	struct sv name;

	s->ts = (struct sv){NULL, 0};
	for (size_t i = 0; i < s->n_slots; i++)
		s->slots[i].value = (struct sv){NULL, 0};
	for (bool first = true; good && !end; first = false) {
		good = json_scan_member(&in, first, &name, &end);
		if (good && !end)
			good = read_member(s, &in, name);
	}
	if (good && json_scan_end(&in) && s->ts.p)
		return 0;
	return err_set(err, ERR_DATA, "line %zu of the cell is no row", s->n_lines + 1);
}

/* Refusing */

static void
refuse(struct row_samples *s, enum row_refusal why, const char *what, struct sv value)
{
	s->d->n_rejected++;
	s->seen.refused[why]++;
	if (!*s->seen.example)
		(void)snprintf(s->seen.example, sizeof(s->seen.example), "%s: %s: \"%.*s\"", what,
			       row_refusal_words[why], (int)(value.n < 60 ? value.n : 60),
			       value.p ? value.p : "");
}

/* Of a row that has no place in time: each value that it has. */
static void
refuse_row(struct row_samples *s, enum row_refusal why, struct sv time)
{
	for (size_t i = 0; i < s->rules->n_values; i++)
		if (s->slots[i].value.p)
			refuse(s, why, s->rules->values[i].column, time);
}

/* Times */

static bool
epoch_ms(struct sv text, int64_t *ret_ms)
{
	double v;

	if (!num_double(text, &v) || !(v >= 0 && v <= TIME_MAX_MS) || v != floor(v))
		return false;
	*ret_ms = (int64_t)v;
	return true;
}

static bool
time_of_row(const struct row_samples *s, struct sv *ret_text, int64_t *ret_ms)
{
	if (!s->rules->time) {
		*ret_text = s->ts;
		return time_parse_iso(s->ts, ret_ms);
	}
	*ret_text = s->slots[s->n_slots - 1].value;
	return ret_text->p && (insights_time(*ret_text, ret_ms) || epoch_ms(*ret_text, ret_ms));
}

/* Series */

static const struct slot *
label_slots(const struct row_samples *s)
{
	return s->slots + s->rules->n_values;
}

/* What tells one set of labels from another: none is like an empty one. */
static int
make_key(struct row_samples *s, struct err *err)
{
	const struct slot *slots = label_slots(s);

	buf_reset(&s->key);
	for (size_t i = 0; i < s->rules->n_labels; i++) {
		buf_sv(&s->key, slots[i].value);
		buf_ch(&s->key, '"'); /* no raw text has one that is not escaped */
	}
	return buf_check(&s->key, "labels of a row", err);
}

/* A label's value ends at no NUL that the row has: it is not a text that receivers could keep. */
static const char *
label_value(struct row_samples *s, struct sv raw)
{
	buf_reset(&s->text);
	json_unescape(&s->text, raw);
	for (size_t i = 0; i < s->text.n; i++)
		if (!s->text.p[i])
			s->text.p[i] = '?';
	return buf_ok(&s->text) ? arena_strdup(&s->d->arena, buf_view(&s->text)) : NULL;
}

static int
make_labels(struct row_samples *s, struct series *ret, struct err *err)
{
	const struct row_rules *r = s->rules;
	CLEANUP(freep) struct label *labels = calloc(r->n_labels + 1, sizeof(*labels));

	if (!labels)
		return err_nomem(err);
	for (size_t i = 0; i < r->n_labels; i++) {
		labels[i].name = r->labels[i].name;
		labels[i].value = label_value(s, label_slots(s)[i].value);
		if (!labels[i].value)
			return err_nomem(err);
	}
	return normalise_labels(&s->owner, labels, r->n_labels, &s->d->arena, ret, err);
}

static int
keep_known(struct row_samples *s, struct known *set, struct err *err)
{
	size_t n = s->rules->n_values;

	if (s->n_known + n > s->cap_known) {
		size_t cap = 2 * (s->cap_known + n);
		struct known **v = reallocarray(s->known, cap, sizeof(*v));

		if (!v)
			return err_nomem(err);
		s->known = v;
		s->cap_known = cap;
	}
	for (size_t i = 0; i < n; i++)
		s->known[s->n_known++] = &set[i];
	return 0;
}

/* The series of the present row's labels, one for each value column; NULL: *err. */
static struct known *
set_of_row(struct row_samples *s, struct err *err)
{
	struct series labels = {.period_ms = 1};
	struct known *set;

	if (make_key(s, err))
		return NULL;
	set = map_get(&s->sets, buf_view(&s->key));
	if (set)
		return set;
	set = arena_array(&s->d->arena, s->rules->n_values, sizeof(*set));
	if (!set) {
		(void)err_nomem(err);
		return NULL;
	}
	if (make_labels(s, &labels, err))
		return NULL;
	for (size_t i = 0; i < s->rules->n_values; i++) {
		set[i].series = labels;
		set[i].series.name = s->rules->values[i].name;
	}
	return map_put(&s->sets, buf_view(&s->key), set, NULL, err) || keep_known(s, set, err)
		   ? NULL
		   : set;
}

/* Points */

static int
add_point(struct row_samples *s, struct known *of, int64_t ms, double value, struct err *err)
{
	if (s->n_points == s->cap_points) {
		size_t cap = s->cap_points ? 2 * s->cap_points : 256;
		struct point *v = reallocarray(s->points, cap, sizeof(*v));

		if (!v)
			return err_nomem(err);
		s->points = v;
		s->cap_points = cap;
	}
	s->points[s->n_points++] = (struct point){of, ms, value, s->n_lines};
	return 0;
}

static int
add_values(struct row_samples *s, int64_t ms, struct err *err)
{
	struct known *set = NULL;
	double value;

	for (size_t i = 0; i < s->rules->n_values; i++) {
		struct sv text = s->slots[i].value;

		if (!text.p)
			continue;
		if (!num_double(text, &value) || !isfinite(value)) {
			refuse(s, ROW_NO_NUMBER, s->rules->values[i].column, text);
			continue;
		}
		set = set ? set : set_of_row(s, err);
		if (!set || add_point(s, &set[i], ms, value, err))
			return -1;
	}
	return 0;
}

int
row_samples_add(struct row_samples *s, struct sv line, struct err *err)
{
	struct sv text = {NULL, 0};
	int64_t ms = 0;
	int r = 0;

	if (read_line(s, line, err))
		return -1;
	if (!time_of_row(s, &text, &ms))
		refuse_row(s, ROW_NO_TIME, text);
	else if (ms < s->d->cell.start_ms || ms >= s->d->cell.end_ms)
		refuse_row(s, ROW_OUTSIDE, text);
	else
		r = add_values(s, ms, err);
	s->n_lines++;
	return r;
}

/* The end */

static int
cmp_known(const void *a, const void *b)
{
	const struct known *const *x = a, *const *y = b;

	return series_cmp(&(*x)->series, &(*y)->series);
}

static int
cmp_points(const void *a, const void *b)
{
	const struct point *x = a, *y = b;

	if (x->of != y->of)
		return x->of->rank < y->of->rank ? -1 : 1;
	if (x->ms != y->ms)
		return x->ms < y->ms ? -1 : 1;
	return (x->seq > y->seq) - (x->seq < y->seq);
}

static void
put_in_order(struct row_samples *s)
{
	if (s->n_known > 1)
		qsort(s->known, s->n_known, sizeof(*s->known), cmp_known);
	for (size_t i = 0; i < s->n_known; i++)
		s->known[i]->rank = i;
	if (s->n_points > 1)
		qsort(s->points, s->n_points, sizeof(*s->points), cmp_points);
}

static size_t
series_end(const struct row_samples *s, size_t from)
{
	size_t i = from;

	while (i < s->n_points && s->points[i].of == s->points[from].of)
		i++;
	return i;
}

/* The points [from, to) of one series as a row: of several at one time the first. */
static int
make_row(struct row_samples *s, size_t from, size_t to, struct sample_row *ret, struct err *err)
{
	double *values = arena_array(&s->d->arena, to - from, sizeof(*values));
	int64_t *times = arena_array(&s->d->arena, to - from, sizeof(*times));
	const struct series *series = &s->points[from].of->series;
	char at[TIME_TEXT_MAX];
	size_t n = 0;

	if (!values || !times)
		return err_nomem(err);
	for (size_t i = from; i < to; i++) {
		if (n && times[n - 1] == s->points[i].ms) {
			time_format_ms(s->points[i].ms, at);
			refuse(s, ROW_TWICE, series->name, sv_of(at));
			continue;
		}
		times[n] = s->points[i].ms;
		values[n++] = s->points[i].value;
	}
	*ret = (struct sample_row){series, times[0], values, n, times};
	s->d->n_samples += n;
	return 0;
}

int
row_samples_end(struct row_samples *s, struct row_samples_seen *seen, struct err *err)
{
	struct cell_data *d = s->d;

	put_in_order(s);
	d->rows = arena_array(&d->arena, s->n_known + 1, sizeof(*d->rows));
	if (!d->rows)
		return err_nomem(err);
	for (size_t i = 0, end; i < s->n_points; i = end) {
		end = series_end(s, i);
		if (make_row(s, i, end, &d->rows[d->n_rows++], err))
			return -1;
	}
	*seen = s->seen;
	return 0;
}
