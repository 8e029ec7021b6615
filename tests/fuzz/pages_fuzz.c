/*
 * Answers of AWS: the first byte chooses the reader, the rest is the body. Whatever comes is read
 * whole or is an error in words. GetMetricData and ListMetrics in JSON say the same as in CBOR,
 * into which they are translated here.
 */
#include <math.h>

#include "aws/cloudwatch_alarms.h"
#include "aws/logs.h"
#include "aws/xray.h"
#include "fmt/cbor.h"
#include "fmt/json_tree.h"
#include "model/insights_rows.h"
#include "tests/fuzz/fuzz.h"

typedef int (*reader)(struct sv body, struct arena *a, struct err *err);

static int
list_cbor(struct sv body, struct arena *a, struct err *err)
{
	struct cw_list_page page = {0};
	return cw_list_read(CW_CBOR, body, a, &page, err);
}

static int
list_json(struct sv body, struct arena *a, struct err *err)
{
	struct cw_list_page page = {0};
	int rc = cw_list_read(CW_JSON, body, a, &page, err);

	for (size_t i = 0; rc == 0 && i + 1 < page.n; i++)
		fuzz_must(cw_metric_cmp(&page.metrics[i], &page.metrics[i]) == 0 &&
			  (cw_metric_cmp(&page.metrics[i], &page.metrics[i + 1]) < 0) ==
			      (cw_metric_cmp(&page.metrics[i + 1], &page.metrics[i]) > 0));
	return rc;
}

static int
list_query(struct sv body, struct arena *a, struct err *err)
{
	struct cw_list_page page = {0};
	return cw_list_read(CW_QUERY, body, a, &page, err);
}

static int
data_cbor(struct sv body, struct arena *a, struct err *err)
{
	struct cw_data_page page = {0};
	return cw_data_read(CW_CBOR, body, a, &page, err);
}

static int
data_query(struct sv body, struct arena *a, struct err *err)
{
	struct cw_data_page page = {0};
	return cw_data_read(CW_QUERY, body, a, &page, err);
}

/* ---- the same in CBOR ---- */

/* The times of a result have a tag there. false: it cannot be said in CBOR. */
static bool
translate(const struct json_node *j, bool times, struct buf *out)
{
	struct json_scan s = JSON_SCAN_INIT(j->text);
	size_t n = 0;
	double v;

	for (const struct json_node *c = j->first; c; c = c->next)
		n++;
	switch (j->type) {
	case JSON_T_NULL:
		buf_ch(out, (char)0xf6);
		return true;
	case JSON_T_TRUE:
		cbor_put_true(out);
		return true;
	case JSON_T_FALSE:
		cbor_put_false(out);
		return true;
	case JSON_T_STRING:
		cbor_put_text(out, j->text);
		return true;
	case JSON_T_NUMBER:
		if (times)
			cbor_put_head(out, CBOR_TAG, 1);
		if (!json_scan_num(&s, &v))
			return false;
		cbor_put_double(out, v);
		return true;
	case JSON_T_ARRAY:
		cbor_put_head(out, CBOR_LIST, n);
		for (const struct json_node *c = j->first; c; c = c->next)
			if (!translate(c, times, out))
				return false;
		return true;
	case JSON_T_OBJECT:
		cbor_put_head(out, CBOR_MAP, n);
		for (const struct json_node *c = j->first; c; c = c->next) {
			cbor_put_text(out, c->name);
			if (!translate(c, sv_eq(c->name, SV("Timestamps")), out))
				return false;
		}
		return true;
	}
	return false;
}

static bool
same_text(const char *a, const char *b)
{
	return a == b || (a && b && strcmp(a, b) == 0);
}

static void
same_page(const struct cw_data_page *x, const struct cw_data_page *y)
{
	fuzz_must(x->n == y->n && same_text(x->token, y->token) &&
		  same_text(x->message, y->message));
	for (size_t i = 0; i < x->n; i++) {
		const struct cw_result *p = &x->results[i], *q = &y->results[i];

		fuzz_must(p->id == q->id && p->status == q->status && p->n == q->n);
		fuzz_must(same_text(p->label, q->label) && same_text(p->message, q->message));
		for (size_t k = 0; k < p->n; k++)
			fuzz_must(p->ts_ms[k] == q->ts_ms[k] &&
				  (p->values[k] == q->values[k] ||
				   (isnan(p->values[k]) && isnan(q->values[k]))));
	}
}

static int
data_json(struct sv body, struct arena *a, struct err *err)
{
	struct cw_data_page json = {0}, cbor = {0};
	CLEANUP(buf_done) struct buf out = BUF_INIT(FUZZ_MAX);
	const struct json_node *doc;
	struct err why = {0};

	if (cw_data_read(CW_JSON, body, a, &json, err) < 0)
		return -1;
	doc = json_tree_parse(body, a);
	/* Broken UTF-8 is mended in JSON's texts and refused in CBOR's. */
	if (!doc || !utf8_valid(body) || !translate(doc, false, &out) || !utf8_valid(doc->text))
		return 0;
	if (cw_data_read(CW_CBOR, buf_view(&out), a, &cbor, &why) < 0) {
		fuzz_must(memmem(body.p, body.n, "\\", 1)); /* lone surrogates, escaped keys */
		return 0;
	}
	same_page(&json, &cbor);
	return 0;
}

/* ---- Logs ---- */

static int
groups(struct sv body, struct arena *a, struct err *err)
{
	struct logs_groups_page page = {0};
	return logs_groups_read(body, a, &page, err);
}

static int
start(struct sv body, struct arena *a, struct err *err)
{
	const char *id = NULL;
	int rc = logs_start_read(body, a, &id, err);

	fuzz_must((rc == 0) == (id != NULL));
	return rc;
}

static int
queries(struct sv body, struct arena *a, struct err *err)
{
	struct logs_queries_page page = {0};
	return logs_queries_read(body, a, &page, err);
}

/* A row's line is JSON, and one line. */
static void
check_line(const struct buf *line, size_t from)
{
	struct sv text = {line->p + from, line->n - from};
	CLEANUP(arena_done) struct arena a = ARENA_INIT(FUZZ_MAX);

	fuzz_must(buf_ok(line) && text.n && text.p[text.n - 1] == '\n');
	fuzz_must(!memchr(text.p, '\n', text.n - 1) && utf8_valid(text));
	fuzz_must(json_tree_parse(text, &a));
}

static int
results(struct sv body, struct arena *a, struct err *err)
{
	static const struct line_origin who = {"acme", "111122223333", "eu-west-1", "app"};
	struct json_raw *fields = arena_array(a, LOGS_ROW_FIELDS, sizeof(*fields));
	CLEANUP(buf_done) struct buf lines = BUF_INIT(FUZZ_MAX);
	struct insights_columns columns = {0};
	struct insights_lines l = {.common = insights_common(&who, a), .columns = &columns};
	struct logs_results r;
	size_t n;
	int rc;

	fuzz_must(fields && l.common);
	if (logs_results_open(body, &r, err) < 0)
		return -1;
	while ((rc = logs_results_row(&r, fields, &n, err)) == 1) {
		struct insights_row row = {0};
		struct err why = {0};
		size_t from = lines.n;

		l.events = n % 2;
		fuzz_must(n <= LOGS_ROW_FIELDS);
		rc = insights_line(&l, fields, n, &lines, &row, &why);
		fuzz_answer(rc, &why);
		if (rc == 0)
			check_line(&lines, from);
	}
	return rc;
}

/* ---- alarms, X-Ray ---- */

static int
alarms_json(struct sv body, struct arena *a, struct err *err)
{
	struct cw_alarms_page page = {0};
	return cw_alarms_read(CW_JSON, body, a, &page, err);
}

static int
alarms_query(struct sv body, struct arena *a, struct err *err)
{
	struct cw_alarms_page page = {0};
	return cw_alarms_read(CW_QUERY, body, a, &page, err);
}

static int
history_json(struct sv body, struct arena *a, struct err *err)
{
	struct cw_alarm_history page = {0};
	return cw_alarm_history_read(CW_JSON, body, a, &page, err);
}

static int
history_query(struct sv body, struct arena *a, struct err *err)
{
	struct cw_alarm_history page = {0};
	return cw_alarm_history_read(CW_QUERY, body, a, &page, err);
}

static int
destination(struct sv body, struct arena *a, struct err *err)
{
	enum xray_destination d;

	(void)a;
	return xray_destination_read(body, &d, err);
}

static int
summaries(struct sv body, struct arena *a, struct err *err)
{
	struct xray_summaries page = {0};
	return xray_summaries_read(body, a, &page, err);
}

static int
traces(struct sv body, struct arena *a, struct err *err)
{
	struct xray_traces page = {0};
	return xray_traces_read(body, a, &page, err);
}

/* Their letters in the order of the table; seeds begin with them. */
static const reader readers[] = {
    list_cbor,	  list_json,	 list_query,  data_cbor, data_json,   data_query,
    groups,	  start,	 queries,     results,	 alarms_json, alarms_query,
    history_json, history_query, destination, summaries, traces,
};

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct sv in = {(const char *)data, n};
	CLEANUP(arena_done) struct arena a = ARENA_INIT(FUZZ_MAX);
	unsigned which = fuzz_choice(&in, ARRAY_LEN(readers));
	struct err err = {0};

	fuzz_answer(readers[which](in, &a, &err), &err);
	return 0;
}
