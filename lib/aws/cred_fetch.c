/* Requests to the endpoints that hand out keys to this machine or container. */
#include "aws/cred_sources.h"

/* The SDKs wait a second or two: what is on this machine's link answers at once or not at all. */
#define CONNECT_MS    1000
#define FIRST_BYTE_MS 2000
#define TOTAL_MS      5000
#define ANSWER_MAX    (64u << 10)

int
cred_fetch(struct transport *t, const struct cred_fetch *f, struct http_resp *resp, struct err *err)
{
	struct http_req req = {
	    .method = f->method,
	    .url = f->url,
	    .limits = {.connect_ms = CONNECT_MS,
		       .first_byte_ms = FIRST_BYTE_MS,
		       .stall_ms = FIRST_BYTE_MS,
		       .total_ms = TOTAL_MS,
		       .max_body = ANSWER_MAX},
	    .service = f->service,
	    .operation = f->operation,
	    .account = "",
	    .region = "",
	    .auth = f->authorization ? AUTH_HEADER : AUTH_NONE,
	    .auth_header = f->authorization,
	    .proto = f->proto,
	    .direct = true,
	    .unrecorded = true,
	};

	resp_init(resp, ANSWER_MAX);
	/* All at once: a buffer that grows would leave keys behind in its smaller selves. */
	(void)buf_reserve(&resp->body, ANSWER_MAX / 2);
	if (req_header(&req, f->header.name, f->header.value, err) < 0)
		return -1;
	return transport_send(t, &req, resp, err);
}

void
cred_fetch_done(struct http_resp *resp)
{
	secret_wipe_buf(&resp->body);
	resp_done(resp);
}
