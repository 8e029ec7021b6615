/* Keys on demand; see key_endpoints.h. */
#include "tests/support/key_endpoints.h"

#include <stdio.h>
#include <strings.h>

#include "aws/aws_err.h"
#include "aws/cred.h"
#include "base/cleanup.h"
#include "base/timefmt.h"

static void
note_signer(const struct http_req *req, struct key_call *c)
{
	CLEANUP(cred_done) struct cred with = {0};

	if (req->auth == AUTH_HEADER)
		(void)snprintf(c->auth, sizeof(c->auth), "%s", req->auth_header);
	else if (req->auth == AUTH_SIGV4 && !cred_get(req->creds, NULL, &with, NULL))
		(void)snprintf(c->auth, sizeof(c->auth), "Credential=%s", with.key_id);
}

static void
note(const struct http_req *req, struct key_call *c)
{
	*c = (struct key_call){.direct = req->direct, .unrecorded = req->unrecorded};
	(void)snprintf(c->method, sizeof(c->method), "%s", req->method);
	(void)snprintf(c->url, sizeof(c->url), "%s", req->url);
	(void)snprintf(c->service, sizeof(c->service), "%s", req->service);
	(void)snprintf(c->body, sizeof(c->body), "%.*s", (int)req->body.n,
		       req->body.n ? req->body.p : "");
	note_signer(req, c);
	if (req->n_headers)
		(void)snprintf(c->header, sizeof(c->header), "%s: %s", req->headers[0].name,
			       req->headers[0].value);
}

static void
write_xml(const struct key_endpoints *k, bool web, const char *expires, struct buf *out)
{
	const char *which = web ? "WithWebIdentity" : "";

	buf_fmt(out,
		"<AssumeRole%sResponse><AssumeRole%sResult><AssumedRoleUser><Arn>"
		"arn:aws:sts::111122223333:assumed-role/r/s</Arn></AssumedRoleUser><Credentials>"
		"<AccessKeyId>ASIA%s%d</AccessKeyId><SecretAccessKey>secret-%d</SecretAccessKey>"
		"<SessionToken>token-%d</SessionToken><Expiration>%s</Expiration></Credentials>"
		"</AssumeRole%sResult></AssumeRole%sResponse>",
		which, which, web ? "WEB" : "ROLE", k->n, k->n, k->n, expires, which, which);
}

static void
write_json(const struct key_endpoints *k, const char *of, const char *expires, struct buf *out)
{
	buf_fmt(out,
		"{\"Code\": \"Success\", \"AccessKeyId\": \"ASIA%s%d\", \"SecretAccessKey\": "
		"\"secret-%d\",\n \"Token\": \"token-%d\", \"Expiration\": \"%s\"}",
		of, k->n, k->n, k->n, expires);
}

static void
answer(struct key_endpoints *k, const struct http_req *req, struct http_resp *resp)
{
	int64_t life_s = k->life_s ? k->life_s : 3600;
	char expires[TIME_TEXT_MAX];

	time_format_s(clock_wall_ms(k->clock) + life_s * 1000, expires);
	resp->status = 200;
	if (!strcmp(req->service, "sts"))
		write_xml(k, memmem(req->body.p, req->body.n, "WebIdentity", 11) != NULL, expires,
			  &resp->body);
	else if (!strcmp(req->service, "container"))
		write_json(k, "CONTAINER", expires, &resp->body);
	else if (!strcmp(req->method, "PUT"))
		buf_fmt(&resp->body, "imds-token-%d", k->n);
	else if (req->url[strlen(req->url) - 1] == '/')
		buf_str(&resp->body, "the-role\nanother\n");
	else
		write_json(k, "EC2", expires, &resp->body);
}

static int
keys_send(struct transport *t, const struct http_req *req, struct http_resp *resp, struct err *err)
{
	struct key_endpoints *k = (struct key_endpoints *)t;
	struct key_call call, *c = &call;

	resp_reset(resp);
	note(req, c); /* who signs may have to ask for keys first */
	if (k->n < KEY_CALLS)
		k->calls[k->n] = call;
	k->n++;
	if (k->fail_at && k->fail_times &&
	    (strstr(c->url, k->fail_at) || strstr(c->body, k->fail_at))) {
		k->fail_times--;
		resp->status = k->fail_status;
		buf_str(&resp->body, k->fail_body ? k->fail_body : "");
		if (!resp->status)
			return err_set(err, ERR_TRANSIENT, "no answer within 1000 ms");
	} else {
		answer(k, req, resp);
	}
	return aws_classify(req, resp, err);
}

static void
keys_free(struct transport *t)
{
	(void)t;
}

struct transport *
key_endpoints_init(struct key_endpoints *k, struct clock *clock)
{
	static const struct transport_ops ops = {"keys", keys_send, keys_free};

	*k = (struct key_endpoints){.base = {&ops}, .clock = clock};
	return &k->base;
}
