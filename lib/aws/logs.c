/*
 * CloudWatch Logs in AWS JSON 1.1; see logs.h. GetQueryResults tells its status behind its rows,
 * and rows count only when the query is complete: so an answer is looked through for its status
 * first, and its rows are read afterwards or not at all.
 */
#include "aws/logs.h"

#include "base/cleanup.h"
#include "fmt/json.h"

#define TARGET(op)     "Logs_20140328." op
#define NAME_MAX_BYTES 4096 /* of a group's ARN; its name has at most 512 */
#define QUERIES_PAGE   100  /* of 1,000 that it may be (API reference): their texts can be long */

static int
begin(struct aws_call *call, const char *operation, const char *target)
{
	call->service = "logs";
	call->operation = operation;
	call->target = target;
	call->proto = PROTO_AWS_JSON;
	return 0;
}

/* Requests */

int
logs_groups_call(const char *prefix, const char *account, const char *token, struct aws_call *call,
		 struct err *err)
{
	(void)begin(call, "DescribeLogGroups", TARGET("DescribeLogGroups"));
	buf_fmt(&call->body, "{\"limit\":%d", LOGS_GROUPS_MAX);
	if (*prefix)
		json_add_str(&call->body, ",\"logGroupNamePrefix\":", prefix);
	if (account) {
		json_add_str(&call->body,
			     ",\"includeLinkedAccounts\":true,\"accountIdentifiers\":[", account);
		buf_ch(&call->body, ']');
	}
	if (token)
		json_add_str(&call->body, ",\"nextToken\":", token);
	buf_ch(&call->body, '}');
	return buf_check(&call->body, "DescribeLogGroups", err);
}

static void
add_groups(const struct logs_start_req *q, struct buf *out)
{
	buf_str(out, q->arn ? ",\"logGroupIdentifiers\":[" : ",\"logGroupNames\":[");
	for (size_t i = 0; i < q->n_groups; i++) {
		CLEANUP(buf_done) struct buf name = BUF_INIT(NAME_MAX_BYTES);

		buf_fmt(&name, "%s%s", q->arn ? q->arn : "", q->groups[i]);
		json_add_str(out, i ? "," : "", buf_cstr(&name));
	}
	buf_ch(out, ']');
}

int
logs_start_call(const struct logs_start_req *q, struct aws_call *call, struct err *err)
{
	(void)begin(call, "StartQuery", TARGET("StartQuery"));
	call->once = true;
	buf_fmt(&call->body, "{\"startTime\":%lld,\"endTime\":%lld", (long long)q->start_s,
		(long long)q->end_s);
	if (q->n_groups)
		add_groups(q, &call->body);
	json_add_str(&call->body, ",\"queryString\":", q->query);
	if (q->limit)
		buf_fmt(&call->body, ",\"limit\":%ld", q->limit);
	buf_ch(&call->body, '}');
	return buf_check(&call->body, "StartQuery", err);
}

int
logs_results_call(const char *id, long items, const char *token, struct aws_call *call,
		  struct err *err)
{
	(void)begin(call, "GetQueryResults", TARGET("GetQueryResults"));
	json_add_str(&call->body, "{\"queryId\":", id);
	if (items)
		buf_fmt(&call->body, ",\"maxItems\":%ld", items);
	if (token)
		json_add_str(&call->body, ",\"nextToken\":", token);
	buf_ch(&call->body, '}');
	return buf_check(&call->body, "GetQueryResults", err);
}

int
logs_stop_call(const char *id, struct aws_call *call, struct err *err)
{
	(void)begin(call, "StopQuery", TARGET("StopQuery"));
	json_add_str(&call->body, "{\"queryId\":", id);
	buf_ch(&call->body, '}');
	return buf_check(&call->body, "StopQuery", err);
}

int
logs_queries_call(const char *token, struct aws_call *call, struct err *err)
{
	(void)begin(call, "DescribeQueries", TARGET("DescribeQueries"));
	call->optional = true;
	buf_fmt(&call->body, "{\"maxResults\":%d", QUERIES_PAGE);
	if (token)
		json_add_str(&call->body, ",\"nextToken\":", token);
	buf_ch(&call->body, '}');
	return buf_check(&call->body, "DescribeQueries", err);
}

/* Small answers */

static int
copy(const char *s, struct arena *a, const char **ret, struct err *err)
{
	*ret = arena_strdup(a, sv_of(s));
	return *ret ? 0 : err_nomem(err);
}

static int
read_group(const json_t *j, size_t at, struct arena *a, struct logs_group *g, struct err *err)
{
	const char *name = "", *storage = LOGS_CLASS_DEFAULT;
	char path[48];

	(void)snprintf(path, sizeof(path), "/logGroups/%zu", at);
	if (json_get_str(j, path, "logGroupName", true, &name, err) ||
	    json_get_str(j, path, "logGroupClass", false, &storage, err) ||
	    json_get_i64(j, path, "creationTime", false, &g->created_ms, err) ||
	    json_get_i64(j, path, "retentionInDays", false, &g->retention_days, err))
		return -1;
	return copy(name, a, &g->name, err) || copy(storage, a, &g->storage, err) ? -1 : 0;
}

int
logs_groups_read(struct sv body, struct arena *a, struct logs_groups_page *ret, struct err *err)
{
	CLEANUP(json_decrefp) json_t *doc = NULL;
	const char *token = NULL;
	json_t *arr;

	*ret = (struct logs_groups_page){0};
	if (json_parse(body, "DescribeLogGroups answer", &doc, err) ||
	    json_get_arr(doc, "", "logGroups", true, &arr, err) ||
	    json_get_str(doc, "", "nextToken", false, &token, err))
		return -1;
	ret->groups = arena_array(a, json_array_size(arr), sizeof(*ret->groups));
	if (!ret->groups)
		return err_nomem(err);
	for (; ret->n < json_array_size(arr); ret->n++)
		if (read_group(json_array_get(arr, ret->n), ret->n, a, &ret->groups[ret->n], err))
			return -1;
	return token && *token ? copy(token, a, &ret->token, err) : 0;
}

int
logs_start_read(struct sv body, struct arena *a, const char **ret_id, struct err *err)
{
	CLEANUP(json_decrefp) json_t *doc = NULL;
	const char *id = "";

	if (json_parse(body, "StartQuery answer", &doc, err) ||
	    json_get_str(doc, "", "queryId", true, &id, err))
		return -1;
	if (!*id)
		return err_set(err, ERR_DATA, "StartQuery answer: an empty queryId");
	return copy(id, a, ret_id, err);
}

/* Results */

static const char *const status_words[] = {
    [LOGS_SCHEDULED] = "Scheduled", [LOGS_RUNNING] = "Running", [LOGS_COMPLETE] = "Complete",
    [LOGS_FAILED] = "Failed",	    [LOGS_TIMEOUT] = "Timeout", [LOGS_CANCELLED] = "Cancelled",
    [LOGS_UNKNOWN] = "Unknown",
};

const char *
logs_status_word(enum logs_status s)
{
	return status_words[s];
}

static enum logs_status
status_of(struct sv word)
{
	for (size_t i = 0; i < ARRAY_LEN(status_words); i++)
		if (sv_eq(word, sv_of(status_words[i])))
			return (enum logs_status)i;
	return LOGS_UNKNOWN;
}

static int
read_query(const json_t *j, size_t at, struct arena *a, struct logs_query *q, struct err *err)
{
	const char *id = "", *text = "", *status = "";
	char path[48];

	(void)snprintf(path, sizeof(path), "/queries/%zu", at);
	if (json_get_str(j, path, "queryId", true, &id, err) ||
	    json_get_str(j, path, "queryString", false, &text, err) ||
	    json_get_str(j, path, "status", false, &status, err))
		return -1;
	q->status = status_of(sv_of(status));
	return copy(id, a, &q->id, err) || copy(text, a, &q->text, err) ? -1 : 0;
}

int
logs_queries_read(struct sv body, struct arena *a, struct logs_queries_page *ret, struct err *err)
{
	CLEANUP(json_decrefp) json_t *doc = NULL;
	const char *token = NULL;
	json_t *arr;

	*ret = (struct logs_queries_page){0};
	if (json_parse(body, "DescribeQueries answer", &doc, err) ||
	    json_get_arr(doc, "", "queries", true, &arr, err) ||
	    json_get_str(doc, "", "nextToken", false, &token, err))
		return -1;
	ret->queries = arena_array(a, json_array_size(arr), sizeof(*ret->queries));
	if (!ret->queries)
		return err_nomem(err);
	for (; ret->n < json_array_size(arr); ret->n++)
		if (read_query(json_array_get(arr, ret->n), ret->n, a, &ret->queries[ret->n], err))
			return -1;
	return token && *token ? copy(token, a, &ret->token, err) : 0;
}

static int
bad(struct sv body, const struct json_scan *s, const char *expected, struct err *err)
{
	return err_set(err, ERR_DATA, "GetQueryResults answer: byte %zu: expected %s",
		       (size_t)(s->p - body.p), expected);
}

static bool
read_status(struct json_scan *s, struct logs_results *r)
{
	struct sv raw;

	if (!json_scan_str(s, &raw))
		return false;
	r->status = status_of(raw);
	return r->has_status = true;
}

static bool
read_statistics(struct json_scan *s, struct logs_results *r)
{
	struct sv name;
	bool end = false, ok;

	if (json_scan_null(s))
		return true;
	if (!json_scan_ch(s, '{'))
		return false;
	for (bool first = true; !end; first = false) {
		if (!json_scan_member(s, first, &name, &end))
			return false;
		if (end)
			break;
		if (sv_eq(name, SV("recordsMatched")))
			ok = json_scan_num(s, &r->matched);
		else if (sv_eq(name, SV("bytesScanned")))
			ok = json_scan_num(s, &r->bytes_scanned);
		else
			ok = json_scan_skip(s);
		if (!ok)
			return false;
	}
	return true;
}

/* Up to the first row. */
static bool
open_rows(struct json_scan *s, struct logs_results *r)
{
	if (json_scan_null(s))
		return true;
	r->in_rows = r->first = json_scan_ch(s, '[');
	return r->in_rows;
}

static bool
read_member(struct json_scan *s, struct sv name, struct logs_results *r)
{
	static const char *const names[] = {"status", "results", "statistics", "nextToken"};
	size_t i = 0;

	while (i < ARRAY_LEN(names) && !sv_eq(name, sv_of(names[i])))
		i++;
	if (i < ARRAY_LEN(names)) {
		if (r->seen & 1u << i)
			return false; /* twice: which one is meant? */
		r->seen |= 1u << i;
	}
	switch (i) {
	case 0:
		return read_status(s, r);
	case 1:
		return open_rows(s, r);
	case 2:
		return read_statistics(s, r);
	case 3:
		return json_scan_null(s) || json_scan_str(s, &r->token);
	default:
		return json_scan_skip(s);
	}
}

/* Members up to the rows, or to the end. */
static int
read_members(struct logs_results *r, bool first, struct err *err)
{
	struct json_scan *s = &r->s;
	struct sv name;
	bool end = false;

	for (; !end && !r->in_rows; first = false) {
		if (!json_scan_member(s, first, &name, &end))
			return bad(r->body, s, "a member or }", err);
		if (!end && !read_member(s, name, r))
			return bad(r->body, s, "a value of its member's type, once", err);
	}
	if (r->in_rows)
		return 0;
	if (!json_scan_end(s))
		return bad(r->body, s, "the end", err);
	return r->has_status ? 0 : err_set(err, ERR_DATA, "GetQueryResults answer: no status");
}

int
logs_results_open(struct sv body, struct logs_results *ret, struct err *err)
{
	*ret = (struct logs_results){
	    .status = LOGS_UNKNOWN,
	    .matched = -1,
	    .bytes_scanned = -1,
	    .body = body,
	    .s = JSON_SCAN_INIT(body),
	};
	if (!json_scan_ch(&ret->s, '{'))
		return bad(body, &ret->s, "an object", err);
	return read_members(ret, true, err);
}

/* Passes this text, or nothing. Inline, so that its length is known where it is compared. */
static inline bool
take_token(struct json_scan *s, struct sv token)
{
	if ((size_t)(s->end - s->p) < token.n || memcmp(s->p, token.p, token.n) != 0)
		return false;
	s->p += token.n;
	return true;
}

/* {"field":"...","value":"..."}, as the service writes it: or nothing is passed. */
static bool
read_field_as_usual(struct json_scan *s, struct json_raw *f)
{
	const char *start = s->p;

	if (take_token(s, SV("{\"field\":")) && json_scan_text(s, &f->name, &f->name_as_is) &&
	    take_token(s, SV(",\"value\":")) && json_scan_text(s, &f->value, &f->value_as_is) &&
	    take_token(s, SV("}")))
		return true;
	s->p = start;
	return false;
}

/* {"field": ..., "value": ...}; a field without a value is one the row does not have. */
static bool
read_field(struct json_scan *s, struct json_raw *f, bool *has_value)
{
	struct sv name;
	bool end = false, has_name = false;

	*has_value = read_field_as_usual(s, f);
	if (*has_value)
		return true;
	if (!json_scan_ch(s, '{'))
		return false;
	for (bool first = true; !end; first = false) {
		if (!json_scan_member(s, first, &name, &end))
			return false;
		if (end)
			break;
		if (json_scan_null(s))
			continue;
		if (sv_eq(name, SV("field"))) {
			if (has_name || !json_scan_text(s, &f->name, &f->name_as_is))
				return false;
			has_name = true;
		} else if (sv_eq(name, SV("value"))) {
			if (*has_value || !json_scan_text(s, &f->value, &f->value_as_is))
				return false;
			*has_value = true;
		} else if (!json_scan_skip(s)) {
			return false;
		}
	}
	return has_name;
}

static bool
read_row(struct json_scan *s, struct json_raw *fields, size_t *n)
{
	bool end = false, has_value;

	*n = 0;
	if (!json_scan_ch(s, '['))
		return false;
	for (bool first = true; !end; first = false) {
		if (!json_scan_item(s, first, &end))
			return false;
		if (end)
			break;
		if (*n == LOGS_ROW_FIELDS || !read_field(s, &fields[*n], &has_value))
			return false;
		*n += has_value;
	}
	return true;
}

int
logs_results_row(struct logs_results *r, struct json_raw *fields, size_t *ret_n, struct err *err)
{
	bool end = true;

	if (!r->in_rows)
		return 0;
	if (!json_scan_item(&r->s, r->first, &end) || (!end && !read_row(&r->s, fields, ret_n)))
		return err_set(err, ERR_DATA,
			       "GetQueryResults answer: byte %zu: a row that is no list of fields "
			       "with text",
			       (size_t)(r->s.p - r->body.p));
	r->first = false;
	if (!end)
		return 1;
	r->in_rows = false;
	return read_members(r, false, err);
}
