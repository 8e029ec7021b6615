/*
 * Answers in JSON of Logs, X-Ray, Organizations and OAM, and documents with keys: the first byte
 * chooses the reader, the rest is the body. Whatever comes is read whole or is an error in words;
 * and what is read is what jansson finds in the document, no more and no less.
 */
#include "aws/cred_sources.h"
#include "aws/logs.h"
#include "aws/oam.h"
#include "aws/organizations.h"
#include "aws/xray.h"
#include "base/timefmt.h"
#include "fmt/json.h"
#include "fmt/json_tree.h"
#include "model/insights_rows.h"
#include "tests/fuzz/fuzz.h"

typedef int (*reader)(struct sv body, struct arena *a, struct err *err);

/* ---- jansson's side ---- */

/* Numbers without quotes may be beyond it, and what is no UTF-8; NULL then. */
static json_t *
tree(struct sv body)
{
	return json_loadb(body.p, body.n, JSON_DECODE_ANY | JSON_ALLOW_NUL | JSON_REJECT_DUPLICATES,
			  NULL);
}

static bool
is_text(const json_t *j, const char *s)
{
	return s && j && json_is_string(j) && strcmp(json_string_value(j), s) == 0;
}

/* A member is this text, or is not there and the text is `otherwise`. */
static bool
has(const json_t *obj, const char *key, const char *s, const char *otherwise)
{
	const json_t *j = json_object_get(obj, key);

	if (j && !json_is_null(j))
		return is_text(j, s);
	return s == otherwise || (s && otherwise && strcmp(s, otherwise) == 0);
}

/* The token of a page; an empty one is none. */
static bool
has_token(const json_t *doc, const char *key, const char *token)
{
	const char *s = json_string_value(json_object_get(doc, key));

	return s && *s ? token && strcmp(s, token) == 0 : !token;
}

static bool
has_flag(const json_t *obj, const char *key, bool flag)
{
	return json_is_true(json_object_get(obj, key)) == flag;
}

/* ---- Logs ---- */

static int
groups(struct sv body, struct arena *a, struct err *err)
{
	struct logs_groups_page page = {0};
	CLEANUP(json_decrefp) json_t *doc = tree(body);
	const json_t *list = json_object_get(doc, "logGroups");

	if (logs_groups_read(body, a, &page, err) < 0)
		return -1;
	fuzz_must(page.n == json_array_size(list) && has_token(doc, "nextToken", page.token));
	for (size_t i = 0; i < page.n; i++) {
		const struct logs_group *g = &page.groups[i];
		const json_t *j = json_array_get(list, i);

		fuzz_must(has(j, "logGroupName", g->name, NULL));
		fuzz_must(has(j, "logGroupClass", g->storage, LOGS_CLASS_DEFAULT));
		fuzz_must(json_integer_value(json_object_get(j, "creationTime")) == g->created_ms);
		fuzz_must(json_integer_value(json_object_get(j, "retentionInDays")) ==
			  g->retention_days);
	}
	return 0;
}

static int
start(struct sv body, struct arena *a, struct err *err)
{
	CLEANUP(json_decrefp) json_t *doc = tree(body);
	const char *id = NULL;
	int rc = logs_start_read(body, a, &id, err);

	fuzz_must((rc == 0) == (id != NULL));
	fuzz_must(rc < 0 || (*id && has(doc, "queryId", id, NULL)));
	return rc;
}

/* A word of the service's, or none that is known. */
static bool
has_status(const json_t *obj, enum logs_status is)
{
	const json_t *j = json_object_get(obj, "status");

	if (is != LOGS_UNKNOWN)
		return is_text(j, logs_status_word(is));
	for (int s = 0; s < LOGS_UNKNOWN; s++)
		if (json_string_length(j) ==
			strlen(json_string_value(j) ? json_string_value(j) : "") &&
		    is_text(j, logs_status_word((enum logs_status)s)))
			return false;
	return true;
}

static int
queries(struct sv body, struct arena *a, struct err *err)
{
	struct logs_queries_page page = {0};
	CLEANUP(json_decrefp) json_t *doc = tree(body);
	const json_t *list = json_object_get(doc, "queries");

	if (logs_queries_read(body, a, &page, err) < 0)
		return -1;
	fuzz_must(page.n == json_array_size(list) && has_token(doc, "nextToken", page.token));
	for (size_t i = 0; i < page.n; i++) {
		const json_t *j = json_array_get(list, i);

		fuzz_must(has(j, "queryId", page.queries[i].id, NULL));
		fuzz_must(has(j, "queryString", page.queries[i].text, ""));
		fuzz_must(has_status(j, page.queries[i].status));
	}
	return 0;
}

/* ---- rows of a query ---- */

static bool
stands_for(struct sv raw, const json_t *j)
{
	CLEANUP(buf_done) struct buf text = BUF_INIT(FUZZ_MAX);

	json_unescape(&text, raw);
	return j &&
	       sv_eq(buf_view(&text), (struct sv){json_string_value(j), json_string_length(j)});
}

/* Each field with a value, in its order. */
static void
same_row(const struct json_raw *fields, size_t n, const json_t *row)
{
	size_t k = 0;

	for (size_t i = 0; i < json_array_size(row); i++) {
		const json_t *value = json_object_get(json_array_get(row, i), "value");

		if (!json_is_string(value))
			continue;
		fuzz_must(k < n);
		fuzz_must(
		    stands_for(fields[k].name, json_object_get(json_array_get(row, i), "field")));
		fuzz_must(stands_for(fields[k].value, value));
		k++;
	}
	fuzz_must(k == n);
}

/* The first of that name, as it stands; the row is not sorted yet. */
static struct sv
column(const struct json_raw *fields, size_t n, const char *name)
{
	for (size_t i = 0; i < n; i++)
		if (sv_eq(fields[i].name, sv_of(name)))
			return fields[i].value;
	return (struct sv){NULL, 0};
}

/* A row's line is JSON and one line, of the row's time, with its message. */
static void
check_line(struct sv line, const struct insights_row *row, struct sv message)
{
	CLEANUP(arena_done) struct arena a = ARENA_INIT(FUZZ_MAX);
	CLEANUP(buf_done) struct buf was = BUF_INIT(FUZZ_MAX), is = BUF_INIT(FUZZ_MAX);
	const struct json_node *doc;
	int64_t ms;

	fuzz_must(line.n && line.p[line.n - 1] == '\n');
	fuzz_must(!memchr(line.p, '\n', line.n - 1) && utf8_valid(line));
	doc = json_tree_parse(line, &a);
	fuzz_must(doc && time_parse_iso(json_tree_str(doc, "ts"), &ms) && ms == row->ts_ms);
	fuzz_must((json_tree_get(doc, "message") != NULL) == (message.p != NULL));
	if (!message.p)
		return;
	json_recode(&was, message);
	(void)json_escape(&is, json_tree_str(doc, "message"));
	fuzz_must(sv_eq(buf_view(&was), buf_view(&is)));
}

/* One row; as an event where the input's length is odd. */
static void
one_line(struct insights_lines *l, struct json_raw *fields, size_t n)
{
	struct sv at = column(fields, n, "@timestamp"), message = column(fields, n, "@message");
	CLEANUP(buf_done) struct buf line = BUF_INIT(FUZZ_MAX);
	struct insights_row row = {0};
	struct err why = {0};
	int64_t ms = 0;
	bool timed = at.p && insights_time(at, &ms);
	int rc = insights_line(l, fields, n, &line, &row, &why);

	fuzz_answer(rc, &why);
	fuzz_must((rc == 0) == (!l->events || timed));
	if (rc < 0)
		return;
	fuzz_must(row.ts_ms == (l->events ? ms : l->ts_ms));
	check_line(buf_view(&line), &row, message);
}

/* What is told around the rows. */
static void
same_around(const struct logs_results *r, const json_t *doc)
{
	const json_t *stats = json_object_get(doc, "statistics");
	const json_t *matched = json_object_get(stats, "recordsMatched");
	const json_t *scanned = json_object_get(stats, "bytesScanned");
	const json_t *token = json_object_get(doc, "nextToken");

	fuzz_must(has_status(doc, r->status));
	fuzz_must(r->matched == (matched ? json_number_value(matched) : -1));
	fuzz_must(r->bytes_scanned == (scanned ? json_number_value(scanned) : -1));
	fuzz_must(json_string_length(token) ? stands_for(r->token, token) : !r->token.n);
}

static int
results(struct sv body, struct arena *a, struct err *err)
{
	static const struct line_origin who = {"acme", "111122223333", "eu-west-1", "app"};
	struct json_raw *fields = arena_array(a, LOGS_ROW_FIELDS, sizeof(*fields));
	CLEANUP(json_decrefp) json_t *doc = tree(body);
	const json_t *rows = json_object_get(doc, "results");
	struct insights_columns columns = {0};
	struct insights_lines l = {.common = insights_common(&who, a),
				   .columns = &columns,
				   .events = body.n % 2,
				   .ts_ms = INT64_C(1767225600000)};
	struct logs_results r;
	size_t n, at = 0;
	int rc;

	fuzz_must(fields && l.common);
	if (logs_results_open(body, &r, err) < 0)
		return -1;
	for (; (rc = logs_results_row(&r, fields, &n, err)) == 1; at++) {
		fuzz_must(n <= LOGS_ROW_FIELDS);
		if (doc && utf8_valid(body) && !memchr(body.p, '\\', body.n))
			same_row(fields, n, json_array_get(rows, at));
		one_line(&l, fields, n);
	}
	if (rc == 0 && doc && !memchr(body.p, '\\', body.n)) {
		fuzz_must(at == json_array_size(rows));
		same_around(&r, doc);
	}
	return rc;
}

/* ---- X-Ray ---- */

static int
destination(struct sv body, struct arena *a, struct err *err)
{
	CLEANUP(json_decrefp) json_t *doc = tree(body);
	enum xray_destination d;

	(void)a;
	if (xray_destination_read(body, &d, err) < 0)
		return -1;
	fuzz_must(has(doc, "Destination", d == XRAY_TO_XRAY ? "XRay" : "CloudWatchLogs", NULL));
	return 0;
}

static int
summaries(struct sv body, struct arena *a, struct err *err)
{
	struct xray_summaries page = {0};
	CLEANUP(json_decrefp) json_t *doc = tree(body);
	const json_t *list = json_object_get(doc, "TraceSummaries");

	if (xray_summaries_read(body, a, &page, err) < 0)
		return -1;
	fuzz_must(page.n == json_array_size(list) && has_token(doc, "NextToken", page.token));
	for (size_t i = 0; i < page.n; i++) {
		fuzz_must(has(json_array_get(list, i), "Id", page.v[i].id, NULL));
		fuzz_must(has_flag(json_array_get(list, i), "IsPartial", page.v[i].partial));
	}
	return 0;
}

static void
same_trace(const struct xray_trace *t, const json_t *j)
{
	const json_t *list = json_object_get(j, "Segments");

	fuzz_must(has(j, "Id", t->id, NULL) && has_flag(j, "LimitExceeded", t->limit_exceeded));
	fuzz_must(t->n == json_array_size(list));
	for (size_t k = 0; k < t->n; k++) {
		const json_t *text = json_object_get(json_array_get(list, k), "Document");

		fuzz_must(sv_eq(t->documents[k],
				(struct sv){json_string_value(text), json_string_length(text)}));
	}
}

static int
traces(struct sv body, struct arena *a, struct err *err)
{
	struct xray_traces page = {0};
	CLEANUP(json_decrefp) json_t *doc = tree(body);
	const json_t *list = json_object_get(doc, "Traces");
	const json_t *left = json_object_get(doc, "UnprocessedTraceIds");

	if (xray_traces_read(body, a, &page, err) < 0)
		return -1;
	fuzz_must(page.n == json_array_size(list) && page.n_unprocessed == json_array_size(left));
	for (size_t i = 0; i < page.n; i++)
		same_trace(&page.v[i], json_array_get(list, i));
	for (size_t i = 0; i < page.n_unprocessed; i++)
		fuzz_must(is_text(json_array_get(left, i), page.unprocessed[i]));
	return 0;
}

/* ---- accounts ---- */

static void
same_account(const struct org_account *x, const json_t *j)
{
	const json_t *state = json_object_get(j, "State"), *paths = json_object_get(j, "Paths");

	if (!state || json_is_null(state))
		state = json_object_get(j, "Status");
	fuzz_must(has(j, "Id", x->id, NULL) && strlen(x->id) == 12 && has(j, "Name", x->name, ""));
	fuzz_must(is_text(state, "ACTIVE") == x->active && x->n_paths == json_array_size(paths));
	for (size_t k = 0; k < x->n_paths; k++)
		fuzz_must(is_text(json_array_get(paths, k), x->paths[k]));
}

static int
accounts(struct sv body, struct arena *a, struct err *err)
{
	struct org_accounts page = {0};
	CLEANUP(json_decrefp) json_t *doc = tree(body);
	const json_t *list = json_object_get(doc, "Accounts");

	if (org_accounts_read(body, a, &page, err) < 0)
		return -1;
	fuzz_must(page.n == json_array_size(list) && has_token(doc, "NextToken", page.token));
	for (size_t i = 0; i < page.n; i++)
		same_account(&page.v[i], json_array_get(list, i));
	return 0;
}

static int
units(struct sv body, struct arena *a, struct err *err)
{
	struct org_units page = {0};
	CLEANUP(json_decrefp) json_t *doc = tree(body);
	const json_t *list = json_object_get(doc, "OrganizationalUnits");

	if (org_units_read(body, a, &page, err) < 0)
		return -1;
	fuzz_must(page.n == json_array_size(list) && has_token(doc, "NextToken", page.token));
	for (size_t i = 0; i < page.n; i++)
		fuzz_must(has(json_array_get(list, i), "Id", page.v[i], NULL));
	return 0;
}

static int
tags(struct sv body, struct arena *a, struct err *err)
{
	struct org_tags page = {0};
	CLEANUP(json_decrefp) json_t *doc = tree(body);
	const json_t *list = json_object_get(doc, "Tags");

	if (org_tags_read(body, a, &page, err) < 0)
		return -1;
	fuzz_must(page.n == json_array_size(list) && has_token(doc, "NextToken", page.token));
	for (size_t i = 0; i < page.n; i++) {
		fuzz_must(has(json_array_get(list, i), "Key", page.v[i].key, NULL));
		fuzz_must(has(json_array_get(list, i), "Value", page.v[i].value, NULL));
	}
	return 0;
}

static int
sinks(struct sv body, struct arena *a, struct err *err)
{
	struct oam_sinks page = {0};
	CLEANUP(json_decrefp) json_t *doc = tree(body);
	const json_t *list = json_object_get(doc, "Items");

	if (oam_sinks_read(body, a, &page, err) < 0)
		return -1;
	fuzz_must(page.n == json_array_size(list) && has_token(doc, "NextToken", page.token));
	for (size_t i = 0; i < page.n; i++)
		fuzz_must(has(json_array_get(list, i), "Arn", page.arns[i], NULL));
	return 0;
}

static bool
lists(const json_t *types, const char *type)
{
	bool there = false;

	for (size_t i = 0; i < json_array_size(types); i++)
		there = there || is_text(json_array_get(types, i), type);
	return there;
}

static int
links(struct sv body, struct arena *a, struct err *err)
{
	struct oam_links page = {0};
	CLEANUP(json_decrefp) json_t *doc = tree(body);
	const json_t *list = json_object_get(doc, "Items");

	if (oam_links_read(body, a, &page, err) < 0)
		return -1;
	fuzz_must(page.n == json_array_size(list) && has_token(doc, "NextToken", page.token));
	for (size_t i = 0; i < page.n; i++) {
		const struct oam_link *l = &page.v[i];
		const json_t *j = json_array_get(list, i),
			     *types = json_object_get(j, "ResourceTypes");
		const char *arn = json_string_value(json_object_get(j, "LinkArn"));

		fuzz_must(strlen(l->account) == 12 && arn && strstr(arn, l->account));
		fuzz_must(has(j, "Label", l->label, ""));
		fuzz_must(l->metrics == lists(types, "AWS::CloudWatch::Metric"));
		fuzz_must(l->logs == lists(types, "AWS::Logs::LogGroup"));
	}
	return 0;
}

/* ---- keys ---- */

static void
same_keys(const struct cred *c, const json_t *doc)
{
	const json_t *secret = json_object_get(doc, "SecretAccessKey");
	const json_t *token = json_object_get(doc, "Token");
	const char *expires = json_string_value(json_object_get(doc, "Expiration"));
	int64_t ms = 0;

	fuzz_must(has(doc, "AccessKeyId", c->key_id, NULL));
	fuzz_must(sv_eq((struct sv){c->secret.p, c->secret.n},
			(struct sv){json_string_value(secret), json_string_length(secret)}));
	fuzz_must(c->token.n == json_string_length(token));
	fuzz_must(!c->token.n || !memcmp(c->token.p, json_string_value(token), c->token.n));
	fuzz_must(!expires || !*expires || time_parse_iso(sv_of(expires), &ms));
	fuzz_must(c->expires_wall_ms == ms);
}

/* No error quotes the document. */
static int
keys(struct sv body, struct arena *a, struct err *err)
{
	CLEANUP(json_decrefp) json_t *doc = tree(body);
	CLEANUP(cred_done) struct cred c = {0};
	int rc = cred_json_keys(body, "Token", &c, err);

	(void)a;
	fuzz_must(rc == 0 || !strstr(err->msg, "SECRET"));
	/* A name with an escape in it is none of ours. */
	if (rc == 0 && doc && utf8_valid(body) && !memchr(body.p, '\\', body.n))
		same_keys(&c, doc);
	return rc;
}

/* Their letters in the order of the table; seeds begin with them. */
static const reader readers[] = {
    groups, start,    queries, results, destination, summaries, traces,
    keys,   accounts, units,   tags,	sinks,	     links,
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
