/*
 * The parts of an exchange that every transport shares: filling requests, reading answers. The
 * check of header values stands here because it is the only wall between a tenant's text and the
 * wire: whatever would start a new line never gets into a request.
 */
#include "net/transport.h"

#include <strings.h>

#include "net/header.h"

/* curl itself stops at 100 KiB for one line; no service sends more than a few kB together. */
#define MAX_HEADER_BYTES (128u << 10)

void
resp_init(struct http_resp *r, size_t max_body)
{
	*r = (struct http_resp){
	    .body = BUF_INIT(max_body ? max_body : HTTP_MAX_BODY),
	    .headers = BUF_INIT(MAX_HEADER_BYTES),
	};
}

void
resp_reset(struct http_resp *r)
{
	r->status = 0;
	r->attempts = 0;
	buf_reset(&r->body);
	buf_reset(&r->headers);
}

void
resp_done(struct http_resp *r)
{
	buf_done(&r->body);
	buf_done(&r->headers);
	r->status = 0;
	r->attempts = 0;
}

bool
resp_header(const struct http_resp *r, const char *name, struct sv *ret)
{
	const char *p = r->headers.p, *end = p ? p + r->headers.n : p;
	size_t n = strlen(name);

	while (p < end) {
		const char *nl = memchr(p, '\n', (size_t)(end - p));
		const char *stop = nl ? nl : end;

		if ((size_t)(stop - p) >= n + 2 && memcmp(p, name, n) == 0 && p[n] == ':') {
			*ret = (struct sv){p + n + 2, (size_t)(stop - p) - n - 2};
			return true;
		}
		p = nl ? nl + 1 : end;
	}
	return false;
}

bool
header_name_ok(const char *name)
{
	/* RFC 9110 5.6.2, token */
	static const char token[] = "!#$%&'*+-.^_`|~0123456789"
				    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

	return name[0] != '\0' && name[strspn(name, token)] == '\0';
}

bool
header_value_ok(const char *value)
{
	for (; *value; value++)
		if (((unsigned char)*value < 0x20 && *value != '\t') || *value == 0x7f)
			return false;
	return true;
}

int
req_header(struct http_req *r, const char *name, const char *value, struct err *err)
{
	if (!header_name_ok(name))
		return err_set(err, ERR_USAGE, "a header name that is not a token");
	if (!header_value_ok(value))
		return err_set(err, ERR_USAGE, "header %s: control characters in its value", name);
	if (r->n_headers >= HTTP_MAX_HEADERS)
		return err_set(err, ERR_USAGE, "header %s: more than %d headers", name,
			       HTTP_MAX_HEADERS);
	r->headers[r->n_headers++] = (struct http_header){name, value};
	return 0;
}

void
transport_free(struct transport *t)
{
	if (t)
		t->ops->free(t);
}
