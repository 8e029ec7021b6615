/*
 * The shapes of CloudWatch's answers, once for all encodings that have maps, lists and numbers.
 *
 * A page of 90,000 points took 27 MB as a tree. Here its numbers go straight into the page's arena:
 * 16 bytes a point and next to nothing beside.
 */
#include "aws/cloudwatch_doc.h"

#include <math.h>
#include <stddef.h>

#include "aws/cloudwatch_codec.h"
#include "base/cleanup.h"

#define ROWS_GUESS  64	 /* results or metrics of a page, points of the first result */
#define DIMS_GUESS  4	 /* dimensions of a metric */
#define SECONDS_MAX 1e11 /* some three thousand years around 1970 */

struct reader {
	struct cw_doc d;
	const char *start;
	struct arena *a;
	size_t points; /* of the last result: the next one will be alike */
	struct err *err;
};

/* A member of a map that is wanted, and where to put it. All others are passed over. */
struct member {
	const char *name;
	size_t offset;
	bool (*read)(struct reader *r, void *to);
	bool required;
};

/* Says what was wrong, unless somebody who knew more has done so. */
static bool
bad(struct reader *r, const char *expected)
{
	if (r->err->kind == ERR_NONE)
		(void)err_set(r->err, ERR_DATA, "byte %zu: expected %s",
			      (size_t)(r->d.p - r->start), expected);
	return false;
}

static bool
no_memory(struct reader *r)
{
	(void)err_nomem(r->err);
	return false;
}

static bool
read_member(struct reader *r, const struct member *m, size_t n, struct sv key, unsigned *seen,
	    void *to)
{
	size_t i = 0;

	while (i < n && !sv_eq(sv_of(m[i].name), key))
		i++;
	if (i == n)
		return r->d.ops->skip(&r->d) || bad(r, "a value");
	if (*seen & 1u << i)
		return bad(r, "each member once");
	if (r->d.ops->null(&r->d))
		return true;
	*seen |= 1u << i;
	return m[i].read(r, (char *)to + m[i].offset) || bad(r, m[i].name);
}

static bool
read_map(struct reader *r, const struct member *m, size_t n, void *to)
{
	struct cw_walk w;
	unsigned seen = 0;
	bool end = false;
	struct sv key;

	if (!r->d.ops->map(&r->d, &w))
		return bad(r, "a map");
	for (;;) {
		if (!r->d.ops->key(&r->d, &w, &key, &end))
			return bad(r, "a member");
		if (end)
			break;
		if (!read_member(r, m, n, key, &seen, to))
			return false;
	}
	for (size_t i = 0; i < n; i++)
		if (m[i].required && !(seen & 1u << i))
			return bad(r, m[i].name);
	return true;
}

/* A list in the arena that grows: what it leaves behind when it moves is the price for not knowing
 * its length. */
struct rows {
	void *v;
	size_t n, cap, size;
	size_t first; /* how many there is room for at first */
	/* Reads some that need no look, NULL: none. */
	size_t (*some)(struct reader *r, struct cw_walk *w, void *to, size_t room);
};

static void *
add_row(struct reader *r, struct rows *rows)
{
	size_t cap = rows->cap ? rows->cap * 2 : rows->first;
	void *v;

	if (rows->n == rows->cap) {
		v = arena_array(r->a, cap, rows->size);
		if (!v) {
			(void)no_memory(r);
			return NULL;
		}
		if (rows->n)
			memcpy(v, rows->v, rows->n * rows->size);
		rows->v = v;
		rows->cap = cap;
	}
	return (char *)rows->v + rows->n++ * rows->size;
}

static bool
read_rows(struct reader *r, struct rows *rows, bool (*read)(struct reader *r, void *to))
{
	struct cw_walk w;
	bool end = false;
	void *to;

	if (!r->d.ops->list(&r->d, &w))
		return bad(r, "a list");
	for (;;) {
		if (rows->some && rows->n < rows->cap)
			rows->n += rows->some(r, &w, (char *)rows->v + rows->n * rows->size,
					      rows->cap - rows->n);
		if (!r->d.ops->item(&r->d, &w, &end))
			return bad(r, "an item");
		if (end)
			return true;
		to = add_row(r, rows);
		if (!to)
			return false;
		if (!read(r, to)) {
			(void)bad(r, "another item");
			(void)err_wrap(r->err, "item %zu", rows->n - 1);
			return false;
		}
	}
}

static bool
read_text(struct reader *r, void *to)
{
	const char **ret = to;

	*ret = r->d.ops->text(&r->d, r->a, r->err);
	return *ret || bad(r, "a text");
}

static bool
read_token(struct reader *r, void *to)
{
	const char **ret = to;

	if (!read_text(r, to))
		return false;
	if (!**ret)
		*ret = NULL;
	return true;
}

/* ListMetrics */

static bool
read_dim(struct reader *r, void *to)
{
	static const struct member members[] = {
	    {"Name", offsetof(struct cw_dim, name), read_text, true},
	    {"Value", offsetof(struct cw_dim, value), read_text, true},
	};

	return read_map(r, members, ARRAY_LEN(members), to);
}

static bool
read_dims(struct reader *r, void *to)
{
	struct rows rows = {.size = sizeof(struct cw_dim), .first = DIMS_GUESS};
	struct cw_metric *m = to;

	if (!read_rows(r, &rows, read_dim))
		return false;
	if (rows.n)
		cw_dims_sort(rows.v, rows.n);
	m->dims = rows.v;
	m->n_dims = rows.n;
	return true;
}

static bool
read_metric(struct reader *r, void *to)
{
	static const struct member members[] = {
	    {"Namespace", offsetof(struct cw_metric, ns), read_text, true},
	    {"MetricName", offsetof(struct cw_metric, name), read_text, true},
	    {"Dimensions", 0, read_dims, false},
	};

	return read_map(r, members, ARRAY_LEN(members), to);
}

static bool
read_metrics(struct reader *r, void *to)
{
	struct rows rows = {.size = sizeof(struct cw_metric), .first = ROWS_GUESS};
	struct cw_list_page *page = to;

	if (!read_rows(r, &rows, read_metric))
		return false;
	page->metrics = rows.v;
	page->n = rows.n;
	return true;
}

/* GetMetricData */

static bool
read_time(struct reader *r, void *to)
{
	return r->d.ops->time(&r->d, to) || bad(r, "a time");
}

static bool
read_value(struct reader *r, void *to)
{
	return r->d.ops->number(&r->d, to) || bad(r, "a number");
}

static size_t
some_times(struct reader *r, struct cw_walk *w, void *to, size_t room)
{
	return r->d.ops->times ? r->d.ops->times(&r->d, w, to, room) : 0;
}

static size_t
some_values(struct reader *r, struct cw_walk *w, void *to, size_t room)
{
	return r->d.ops->numbers ? r->d.ops->numbers(&r->d, w, to, room) : 0;
}

/* A result while it is read. */
struct result {
	const char *id, *status, *label, *message;
	struct rows ts, values;
};

static bool
read_times(struct reader *r, void *to)
{
	return read_rows(r, to, read_time);
}

static bool
read_values(struct reader *r, void *to)
{
	return read_rows(r, to, read_value);
}

struct message {
	const char *code, *text;
};

static bool
read_message(struct reader *r, void *to)
{
	static const struct member members[] = {
	    {"Code", offsetof(struct message, code), read_text, false},
	    {"Value", offsetof(struct message, text), read_text, false},
	};

	return read_map(r, members, ARRAY_LEN(members), to);
}

/* Only the last one is kept. */
static bool
read_messages(struct reader *r, void *to)
{
	struct rows rows = {.size = sizeof(struct message), .first = 1};
	const char **ret = to;
	struct message m;

	if (!read_rows(r, &rows, read_message))
		return false;
	if (!rows.n)
		return true;
	m = ((struct message *)rows.v)[rows.n - 1];
	*ret = cw_message(r->a, m.code ? m.code : "", m.text ? m.text : "");
	return *ret || no_memory(r);
}

static bool
put_result(struct reader *r, const struct result *in, struct cw_result *to)
{
	if (in->ts.n != in->values.n) {
		(void)err_set(r->err, ERR_DATA, "%zu timestamps but %zu values", in->ts.n,
			      in->values.n);
		return false;
	}
	*to = (struct cw_result){
	    .id = cw_id_parse(in->id),
	    .status = cw_status_parse(in->status ? in->status : ""),
	    .status_text = in->status ? in->status : "",
	    .label = in->label,
	    .ts_ms = in->ts.v,
	    .values = in->values.v,
	    .n = in->ts.n,
	    .message = in->message,
	};
	r->points = in->ts.n;
	return true;
}

static bool
read_result(struct reader *r, void *to)
{
	static const struct member members[] = {
	    {"Id", offsetof(struct result, id), read_text, true},
	    {"Label", offsetof(struct result, label), read_text, false},
	    {"Timestamps", offsetof(struct result, ts), read_times, false},
	    {"Values", offsetof(struct result, values), read_values, false},
	    {"StatusCode", offsetof(struct result, status), read_text, false},
	    {"Messages", offsetof(struct result, message), read_messages, false},
	};
	size_t first = r->points ? r->points : ROWS_GUESS;
	struct result in = {
	    .ts = {.size = sizeof(int64_t), .first = first, .some = some_times},
	    .values = {.size = sizeof(double), .first = first, .some = some_values},
	};

	return read_map(r, members, ARRAY_LEN(members), &in) && put_result(r, &in, to);
}

static bool
read_results(struct reader *r, void *to)
{
	struct rows rows = {.size = sizeof(struct cw_result), .first = ROWS_GUESS};
	struct cw_data_page *page = to;

	if (!read_rows(r, &rows, read_result))
		return false;
	page->results = rows.v;
	page->n = rows.n;
	return true;
}

/* Whole answers */

static int
read_answer(const struct cw_doc_ops *ops, struct sv body, struct arena *a, const char *what,
	    const struct member *m, size_t n, void *to, struct err *err)
{
	struct reader r = {
	    .d = {.ops = ops, .p = body.p, .end = body.p + body.n},
	    .start = body.p,
	    .a = a,
	    .err = err,
	};

	err_clear(err);
	if (read_map(&r, m, n, to) && (ops->end(&r.d) || bad(&r, "nothing more")))
		return 0;
	return err_wrap(err, "%s answer", what);
}

int
cw_doc_list(const struct cw_doc_ops *ops, struct sv body, struct arena *a, struct cw_list_page *ret,
	    struct err *err)
{
	static const struct member members[] = {
	    {"Metrics", 0, read_metrics, true},
	    {"NextToken", offsetof(struct cw_list_page, token), read_token, false},
	};

	return read_answer(ops, body, a, "ListMetrics", members, ARRAY_LEN(members), ret, err);
}

int
cw_doc_data(const struct cw_doc_ops *ops, struct sv body, struct arena *a, struct cw_data_page *ret,
	    struct err *err)
{
	static const struct member members[] = {
	    {"MetricDataResults", 0, read_results, true},
	    {"Messages", offsetof(struct cw_data_page, message), read_messages, false},
	    {"NextToken", offsetof(struct cw_data_page, token), read_token, false},
	};

	return read_answer(ops, body, a, "GetMetricData", members, ARRAY_LEN(members), ret, err);
}

bool
cw_seconds(double s, int64_t *ret_ms)
{
	if (!(fabs(s) < SECONDS_MAX))
		return false;
	/* Cut as ISO times are; the quarter is for what the double lost. */
	*ret_ms = (int64_t)floor(s * 1000 + 0.25);
	return true;
}
