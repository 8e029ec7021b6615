/*
 * From a call as data to an HTTP request. Which headers a protocol wants is a row of a table, so
 * that no job kind spells one.
 */
#include "aws/aws_call.h"

#include "base/cleanup.h"

/* Content types of the JSON services (aws-json 1.0, 1.1, REST); what is not here speaks 1.1. */
static const struct {
	const char *service, *content_type;
} json_types[] = {
    {"monitoring", "application/x-amz-json-1.0"},
    {"xray", "application/json"},
    {"oam", "application/json"},
};
#define JSON_TYPE_DEFAULT "application/x-amz-json-1.1"

static const char *
json_type(const struct aws_call *c)
{
	for (size_t i = 0; i < ARRAY_LEN(json_types); i++)
		if (!strcmp(json_types[i].service, c->service))
			return json_types[i].content_type;
	return JSON_TYPE_DEFAULT;
}

/* Headers that say which protocol this is. Values of "" are filled in by the call. */
#define PROTO_HEADERS 3
static const struct http_header proto_headers[][PROTO_HEADERS] = {
    [PROTO_PLAIN] = {{NULL, NULL}},
    [PROTO_AWS_JSON] = {{"Content-Type", ""}},
    [PROTO_AWS_QUERY] = {{"Content-Type", "application/x-www-form-urlencoded; charset=utf-8"}},
    [PROTO_AWS_REST_XML] = {{"Content-Type", "application/xml"}},
    [PROTO_AWS_CBOR] = {{"Content-Type", "application/cbor"},
			{"Accept", "application/cbor"},
			{"smithy-protocol", "rpc-v2-cbor"}},
};

void
aws_call_init(struct aws_call *c, size_t max_body)
{
	*c = (struct aws_call){.body = BUF_INIT(max_body)};
}

void
aws_call_reset(struct aws_call *c)
{
	struct buf body = c->body;

	buf_reset(&body);
	*c = (struct aws_call){.body = body};
}

void
aws_call_done(struct aws_call *c)
{
	buf_done(&c->body);
	*c = (struct aws_call){.body = c->body};
}

/* CloudWatch answers its modelled errors under their old names when asked to (query compatibility).
 */
static bool
query_mode(const struct aws_call *c)
{
	return !strcmp(c->service, "monitoring") &&
	       (c->proto == PROTO_AWS_JSON || c->proto == PROTO_AWS_CBOR);
}

static int
add_headers(const struct aws_call *c, struct http_req *req, struct err *err)
{
	for (size_t i = 0; i < PROTO_HEADERS; i++) {
		const struct http_header *h = &proto_headers[c->proto][i];

		if (!h->name)
			break;
		if (req_header(req, h->name, h->value[0] ? h->value : json_type(c), err))
			return -1;
	}
	if (c->target && req_header(req, "X-Amz-Target", c->target, err))
		return -1;
	return query_mode(c) ? req_header(req, "x-amzn-query-mode", "true", err) : 0;
}

int
aws_call_send(const struct aws_call *c, const struct aws_target *to, struct http_resp *resp,
	      struct err *err)
{
	CLEANUP(buf_done) struct buf url = BUF_INIT(8192);
	struct http_req req = {
	    .method = "POST",
	    .body = buf_view(&c->body),
	    .limits = {.first_byte_ms = c->first_byte_ms, .max_body = c->max_reply},
	    .service = c->service,
	    .operation = c->operation,
	    .account = to->account,
	    .region = to->region,
	    .auth = AUTH_SIGV4,
	    .creds = to->creds,
	    .proto = c->proto,
	    .no_retry = c->once,
	    .deadline_mono_ms = to->deadline_mono_ms,
	    .grace_ms = c->grace_ms,
	    .arrived = c->arrived,
	    .arrived_arg = c->arrived_arg,
	};

	if (buf_check(&c->body, "request", err))
		return -1;
	buf_str(&url, to->endpoint);
	buf_str(&url, c->path ? c->path : "/");
	if (buf_check(&url, "URL", err) || add_headers(c, &req, err))
		return -1;
	req.url = buf_cstr(&url);
	return transport_send(to->t, &req, resp, err);
}
