/*
 * Insights rows as lines; see insights_rows.h. A column's text goes from the answer into the line
 * without being stored in between: only its escapes are put into their canonical form.
 */
#include "model/insights_rows.h"

#include <stdlib.h>

#include "base/cleanup.h"
#include "base/timefmt.h"
#include "fmt/json.h"

#define COMMON_MAX ((size_t)16 << 10)

/* Columns with a place of their own. */
enum column { C_TIME, C_LOG, C_STREAM, C_MESSAGE, C_PTR, N_COLUMNS };
_Static_assert(N_COLUMNS == INSIGHTS_COLUMNS_OWN, "a place for each");
static const char *const column_names[] = {"@timestamp", "@log", "@logStream", "@message", "@ptr"};

const char *
insights_common(const struct line_origin *o, struct arena *a)
{
	CLEANUP(buf_done) struct buf out = BUF_INIT(COMMON_MAX);

	json_add_str(&out, "\",\"tenant\":", o->tenant);
	json_add_str(&out, ",\"account_id\":", o->account_id);
	json_add_str(&out, ",\"region\":", o->region);
	json_add_str(&out, ",\"job\":", o->job);
	return buf_ok(&out) ? arena_strdup(a, buf_view(&out)) : NULL;
}

bool
insights_time(struct sv text, int64_t *ret_ms)
{
	char zoned[TIME_TEXT_MAX];
	struct sv s = {zoned, text.n + 1};

	if (text.n + 1 > sizeof(zoned))
		return false;
	memcpy(zoned, text.p, text.n);
	zoned[text.n] = 'Z';
	return time_parse_iso(s, ret_ms);
}

/* As Insights writes it. */
#define USUAL_TIME (sizeof("2026-01-01 00:00:00.000") - 1)

static bool
digits(const char *p, size_t n, int64_t *ret)
{
	*ret = 0;
	for (size_t i = 0; i < n; i++) {
		if (p[i] < '0' || p[i] > '9')
			return false;
		*ret = *ret * 10 + (p[i] - '0');
	}
	return true;
}

/* What stands behind the minute of a time that is usual, and no leap second. */
static bool
rest_of_minute(struct sv text, int64_t *ret_ms)
{
	int64_t s, ms;
	const char *p;

	if (text.n != USUAL_TIME)
		return false;
	p = text.p + INSIGHTS_MINUTE;
	if (!digits(p, 2, &s) || s > 59 || p[2] != '.' || !digits(p + 3, 3, &ms))
		return false;
	*ret_ms = s * 1000 + ms;
	return true;
}

/* An event's time, and as it stands in its line. */
static bool
event_time(struct insights_columns *c, struct sv text, char ts[TIME_TEXT_MAX], int64_t *ret_ms)
{
	int64_t rest_ms;
	bool usual = rest_of_minute(text, &rest_ms);

	if (usual && !memcmp(text.p, c->minute, sizeof(c->minute))) {
		*ret_ms = c->minute_ms + rest_ms;
		memcpy(ts, text.p, USUAL_TIME);
		ts[USUAL_TIME - sizeof("00:00:00.000")] = 'T';
		memcpy(ts + USUAL_TIME, "Z", 2);
		return true;
	}
	if (!insights_time(text, ret_ms))
		return false;
	if (usual) {
		memcpy(c->minute, text.p, sizeof(c->minute));
		c->minute_ms = *ret_ms - rest_ms;
	}
	time_format_ms(*ret_ms, ts);
	return true;
}

static int
cmp_fields(const void *a, const void *b)
{
	const struct json_raw *x = a, *y = b;
	int c = sv_cmp(x->name, y->name);

	/* Columns of one name: in their order. */
	return c ? c : x->name.p < y->name.p ? -1 : 1;
}

/* The first column of that name among sorted ones; n: there is none. */
static size_t
find(const struct json_raw *fields, size_t n, const char *name)
{
	struct sv wanted = sv_of(name);
	size_t i = 0;

	while (i < n && !sv_eq(fields[i].name, wanted))
		i++;
	return i;
}

static bool
same_columns(const struct insights_columns *c, const struct json_raw *fields, size_t n)
{
	if (n != c->n)
		return false;
	for (size_t i = 0; i < n; i++)
		if (!sv_eq(fields[i].name, c->names[i]))
			return false;
	return true;
}

static void
learn_columns(struct insights_columns *c, struct json_raw *fields, size_t n)
{
	bool few = n <= INSIGHTS_COLUMNS_KEPT;

	for (size_t i = 0; few && i < n; i++)
		c->names[i] = fields[i].name;
	qsort(fields, n, sizeof(*fields), cmp_fields);
	for (size_t i = 0; few && i < n; i++)
		for (size_t k = 0; k < n; k++)
			if (c->names[k].p == fields[i].name.p)
				c->from[i] = (unsigned char)k;
	for (size_t k = 0; k < N_COLUMNS; k++)
		c->own[k] = find(fields, n, column_names[k]);
	c->n = few ? n : 0;
}

/* Sorted by name, as if for the first time or as the last row was. */
static void
sort_fields(struct insights_columns *c, struct json_raw *fields, size_t n)
{
	struct json_raw moved[INSIGHTS_COLUMNS_KEPT];

	if (!n || !same_columns(c, fields, n)) {
		learn_columns(c, fields, n);
		return;
	}
	memcpy(moved, fields, n * sizeof(*moved));
	for (size_t i = 0; i < n; i++)
		fields[i] = moved[c->from[i]];
}

/* As json_recode(), which most strings do not need. */
static void
add_text(struct buf *out, struct sv raw, bool as_is)
{
	char *p;

	if (!as_is) {
		json_recode(out, raw);
		return;
	}
	if (!buf_reserve(out, raw.n + 2))
		return;
	p = out->p + out->n;
	p[0] = '"';
	memcpy(p + 1, raw.p, raw.n);
	memcpy(p + 1 + raw.n, "\"", 2);
	out->n += raw.n + 2;
}

static void
add_raw(struct buf *out, const char *key, const struct json_raw *f)
{
	if (!f)
		return;
	buf_str(out, key);
	add_text(out, f->value, f->value_as_is);
}

/* "111122223333:/ecs/app": the name is what the lake is asked by. */
static void
add_group(const struct insights_lines *l, struct buf *out, const struct json_raw *log)
{
	const char *colon;
	struct sv name;

	buf_str(out, ",\"log_group\":");
	if (!log && l->log_group) {
		(void)json_escape(out, sv_of(l->log_group));
	} else if (!log) {
		buf_str(out, "null");
	} else {
		name = log->value;
		colon = memchr(name.p, ':', name.n);
		if (colon)
			name = (struct sv){colon + 1, (size_t)(name.p + name.n - colon) - 1};
		add_text(out, name, log->value_as_is);
	}
}

static void
add_others(struct buf *out, const struct json_raw *fields, size_t n,
	   const struct json_raw *const own[N_COLUMNS])
{
	const struct json_raw *before = NULL;

	buf_str(out, ",\"fields\":{");
	for (size_t i = 0; i < n; i++) {
		bool is_own = before && sv_eq(before->name, fields[i].name);

		for (size_t k = 0; k < N_COLUMNS; k++)
			is_own = is_own || own[k] == &fields[i];
		if (is_own)
			continue;
		if (before)
			buf_ch(out, ',');
		add_text(out, fields[i].name, fields[i].name_as_is);
		buf_ch(out, ':');
		add_text(out, fields[i].value, fields[i].value_as_is);
		before = &fields[i];
	}
	buf_str(out, "}}\n");
}

/* A column may be named after an expression: bin(5m), or with quotes in it. *ret is NULL if there
 * is none. */
static int
find_decoded(const struct json_raw *fields, size_t n, const char *name, const struct json_raw **ret,
	     struct err *err)
{
	for (size_t i = 0; i < n && !*ret; i++) {
		CLEANUP(buf_done) struct buf text = BUF_INIT(COMMON_MAX);

		json_unescape(&text, fields[i].name);
		if (text.no_memory) /* else the row would be of another time */
			return err_nomem(err);
		if (buf_ok(&text) && sv_eq(buf_view(&text), sv_of(name)))
			*ret = &fields[i];
	}
	return 0;
}

/* Of a row that is no event. */
static int
time_of_other(const struct insights_lines *l, const struct json_raw *fields, size_t n,
	      int64_t *ret_ms, struct err *err)
{
	const struct json_raw *bin = NULL;

	if (l->time_column && find_decoded(fields, n, l->time_column, &bin, err))
		return -1;
	if (!bin || !insights_time(bin->value, ret_ms))
		*ret_ms = l->ts_ms;
	return 0;
}

static int
time_of_row(const struct insights_lines *l, const struct json_raw *fields, size_t n,
	    const struct json_raw *at, char ts[TIME_TEXT_MAX], int64_t *ret_ms, struct err *err)
{
	if (!l->events) {
		if (time_of_other(l, fields, n, ret_ms, err))
			return -1;
		time_format_ms(*ret_ms, ts);
		return 0;
	}
	if (!at)
		return err_set(err, ERR_DATA, "a row without @timestamp");
	if (!event_time(l->columns, at->value, ts, ret_ms))
		return err_set(err, ERR_DATA, "a row's @timestamp is \"%.*s\"",
			       (int)(at->value.n < 40 ? at->value.n : 40), at->value.p);
	return 0;
}

int
insights_line(const struct insights_lines *l, struct json_raw *fields, size_t n, struct buf *out,
	      struct insights_row *ret, struct err *err)
{
	const struct json_raw *own[N_COLUMNS] = {NULL};
	char ts[TIME_TEXT_MAX];

	sort_fields(l->columns, fields, n);
	for (size_t k = 0; k < N_COLUMNS; k++)
		own[k] = l->columns->own[k] < n ? &fields[l->columns->own[k]] : NULL;
	if (time_of_row(l, fields, n, own[C_TIME], ts, &ret->ts_ms, err))
		return -1;
	ret->pointed = own[C_PTR];
	buf_str(out, "{\"ts\":\"");
	buf_str(out, ts);
	buf_str(out, l->common);
	add_group(l, out, own[C_LOG]);
	add_raw(out, ",\"log_stream\":", own[C_STREAM]);
	add_raw(out, ",\"message\":", own[C_MESSAGE]);
	add_raw(out, ",\"ptr\":", own[C_PTR]);
	if (!l->events)
		own[C_TIME] = NULL; /* some time of the query's own */
	add_others(out, fields, n, own);
	return buf_check(out, "a row", err);
}

/* Order */

static int
cmp_lines(const struct insights_row *x, const struct insights_row *y)
{
	int c;

	if (x->ts_ms != y->ts_ms)
		return x->ts_ms < y->ts_ms ? -1 : 1;
	c = memcmp(x->line, y->line, x->n < y->n ? x->n : y->n);
	if (c || x->n == y->n)
		return c;
	return x->n < y->n ? -1 : 1;
}

int
insights_rows_cmp(const struct insights_row *x, const struct insights_row *y)
{
	int c = cmp_lines(x, y);

	return c ? c : (x->source > y->source) - (x->source < y->source);
}

static int
cmp_rows(const void *a, const void *b)
{
	return insights_rows_cmp(a, b);
}

/* A query's rows mostly come in their order. */
static bool
are_sorted(const struct insights_row *rows, size_t n)
{
	size_t i = 1;

	while (i < n && insights_rows_cmp(&rows[i - 1], &rows[i]) <= 0)
		i++;
	return i >= n;
}

void
insights_rows_sort(struct insights_row *rows, size_t n)
{
	if (!are_sorted(rows, n))
		qsort(rows, n, sizeof(*rows), cmp_rows);
}
