/* X-Ray in REST-JSON; see xray.h. */
#include "aws/xray.h"

#include "base/cleanup.h"
#include "fmt/json.h"

#define ID_MAX 64 /* 1-8 hex-24 hex is 35; none is trusted to be that */

/* Requests */

static int
finish(const char *operation, const char *path, struct aws_call *call, struct err *err)
{
	call->service = "xray";
	call->operation = operation;
	call->path = path;
	call->proto = PROTO_AWS_JSON;
	buf_ch(&call->body, '}');
	return buf_check(&call->body, operation, err);
}

int
xray_destination_call(struct aws_call *call, struct err *err)
{
	buf_ch(&call->body, '{');
	return finish("GetTraceSegmentDestination", "/GetTraceSegmentDestination", call, err);
}

/* Seconds since the epoch, as X-Ray has all its times. */
static void
add_time(struct buf *out, const char *before, int64_t ms)
{
	buf_fmt(out, "%s%lld", before, (long long)(ms / 1000));
	if (ms % 1000)
		buf_fmt(out, ".%03lld", (long long)(ms % 1000));
}

int
xray_summaries_call(int64_t start_ms, int64_t end_ms, const char *filter, const char *token,
		    struct aws_call *call, struct err *err)
{
	struct buf *out = &call->body;

	add_time(out, "{\"StartTime\":", start_ms);
	add_time(out, ",\"EndTime\":", end_ms);
	buf_str(out, ",\"TimeRangeType\":\"TraceId\",\"Sampling\":false");
	if (filter)
		json_add_str(out, ",\"FilterExpression\":", filter);
	if (token)
		json_add_str(out, ",\"NextToken\":", token);
	return finish("GetTraceSummaries", "/TraceSummaries", call, err);
}

int
xray_traces_call(const char *const *ids, size_t n, struct aws_call *call, struct err *err)
{
	for (size_t i = 0; i < n; i++)
		json_add_str(&call->body, i ? "," : "{\"TraceIds\":[", ids[i]);
	buf_ch(&call->body, ']');
	return finish("BatchGetTraces", "/Traces", call, err);
}

/* Answers */

static int
copy(const char *s, struct arena *a, const char **ret, struct err *err)
{
	*ret = arena_strdup(a, sv_of(s));
	return *ret ? 0 : err_nomem(err);
}

static int
copy_id(const json_t *obj, const char *path, struct arena *a, const char **ret, struct err *err)
{
	const char *id = "";

	if (json_get_str(obj, path, "Id", true, &id, err))
		return -1;
	if (!*id || strlen(id) > ID_MAX)
		return err_set(err, ERR_DATA, "%s/Id: '%.80s' is no id of a trace", path, id);
	return copy(id, a, ret, err);
}

/* A list of the answer, and room for as many items of `size`. */
static int
open_list(const json_t *doc, const char *path, const char *key, bool required, size_t size,
	  struct arena *a, json_t **ret, void **room, struct err *err)
{
	*ret = NULL;
	if (json_get_arr(doc, path, key, required, ret, err))
		return -1;
	*room = arena_array(a, json_array_size(*ret), size);
	return *room ? 0 : err_nomem(err);
}

int
xray_destination_read(struct sv body, enum xray_destination *ret, struct err *err)
{
	CLEANUP(json_decrefp) json_t *doc = NULL;
	const char *where = "";

	if (json_parse(body, "GetTraceSegmentDestination answer", &doc, err) ||
	    json_get_str(doc, "", "Destination", true, &where, err))
		return -1;
	if (strcmp(where, "XRay") != 0 && strcmp(where, "CloudWatchLogs") != 0)
		return err_set(err, ERR_DATA,
			       "/Destination: '%.80s' is neither XRay nor "
			       "CloudWatchLogs",
			       where);
	*ret = strcmp(where, "XRay") != 0 ? XRAY_TO_LOGS : XRAY_TO_XRAY;
	return 0;
}

int
xray_summaries_read(struct sv body, struct arena *a, struct xray_summaries *ret, struct err *err)
{
	CLEANUP(json_decrefp) json_t *doc = NULL;
	const char *token = NULL;
	json_t *list;
	void *room;

	*ret = (struct xray_summaries){0};
	if (json_parse(body, "GetTraceSummaries answer", &doc, err) ||
	    json_get_str(doc, "", "NextToken", false, &token, err) ||
	    open_list(doc, "", "TraceSummaries", true, sizeof(*ret->v), a, &list, &room, err))
		return -1;
	ret->v = room;
	for (; ret->n < json_array_size(list); ret->n++) {
		const json_t *item = json_array_get(list, ret->n);
		char path[48];

		(void)snprintf(path, sizeof(path), "/TraceSummaries/%zu", ret->n);
		if (copy_id(item, path, a, &ret->v[ret->n].id, err) ||
		    json_get_bool(item, path, "IsPartial", false, &ret->v[ret->n].partial, err))
			return -1;
	}
	return token && *token ? copy(token, a, &ret->token, err) : 0;
}

static int
read_documents(const json_t *item, const char *path, struct arena *a, struct xray_trace *to,
	       struct err *err)
{
	json_t *list;
	void *room;

	if (open_list(item, path, "Segments", false, sizeof(*to->documents), a, &list, &room, err))
		return -1;
	to->documents = room;
	for (; to->n < json_array_size(list); to->n++) {
		const json_t *text = json_object_get(json_array_get(list, to->n), "Document");
		struct sv doc = {json_string_value(text), json_string_length(text)};

		if (!doc.p)
			return err_set(err, ERR_DATA, "%s/Segments/%zu/Document: expected a text",
				       path, to->n);
		doc.p = arena_strdup(a, doc);
		if (!doc.p)
			return err_nomem(err);
		to->documents[to->n] = doc;
	}
	return 0;
}

static int
read_unprocessed(const json_t *doc, struct arena *a, struct xray_traces *ret, struct err *err)
{
	static const char key[] = "UnprocessedTraceIds";
	json_t *list;
	void *room;

	if (open_list(doc, "", key, false, sizeof(*ret->unprocessed), a, &list, &room, err))
		return -1;
	ret->unprocessed = room;
	for (size_t i = 0; i < json_array_size(list); i++) {
		const char *id = json_string_value(json_array_get(list, i));

		if (!id)
			return err_set(err, ERR_DATA, "/%s/%zu: expected a text", key, i);
		if (copy(id, a, &ret->unprocessed[i], err))
			return -1;
		ret->n_unprocessed++;
	}
	return 0;
}

int
xray_traces_read(struct sv body, struct arena *a, struct xray_traces *ret, struct err *err)
{
	CLEANUP(json_decrefp) json_t *doc = NULL;
	json_t *list;
	void *room;

	*ret = (struct xray_traces){0};
	if (json_parse(body, "BatchGetTraces answer", &doc, err) ||
	    open_list(doc, "", "Traces", true, sizeof(*ret->v), a, &list, &room, err))
		return -1;
	ret->v = room;
	for (; ret->n < json_array_size(list); ret->n++) {
		const json_t *item = json_array_get(list, ret->n);
		struct xray_trace *to = &ret->v[ret->n];
		char path[48];

		(void)snprintf(path, sizeof(path), "/Traces/%zu", ret->n);
		if (copy_id(item, path, a, &to->id, err) ||
		    json_get_bool(item, path, "LimitExceeded", false, &to->limit_exceeded, err) ||
		    read_documents(item, path, a, to, err))
			return -1;
	}
	return read_unprocessed(doc, a, ret, err);
}
