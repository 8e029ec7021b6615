/*
 * What of an exchange may be kept, and what it is known by.
 *
 * Three walls, one behind the other: lists of what may be kept; STS's answers written anew, so that
 * real session keys never reach the cassette; and a last look for the very secrets the request was
 * signed with, because a service may quote them (a SignatureDoesNotMatch does).
 */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "aws/logs.h"
#include "aws/sts_call.h"
#include "aws/tape.h"
#include "base/cleanup.h"
#include "base/hash.h"
#include "base/timefmt.h"
#include "fmt/json.h"
#include "fmt/uri.h"

#define BODY_MAX     CASSETTE_MAX_ENTRY
#define KEY_ID_CHARS 20
#define MIN_SECRET   6 /* shorter texts would be found everywhere */
#define MAX_SECRETS  6
#define SKEW_MS	     240000 /* as the signing transport sees it */

/* Reads of AWS. What is not here is no business of a cassette: receivers, buckets. */
static const char *const services[] = {"sts",		"monitoring", "logs", "xray",
				       "organizations", "oam",	      "ecs"};
static const char *const request_headers[] = {"content-type", "accept", "x-amz-target",
					      "smithy-protocol", "x-amzn-query-mode"};
static const char *const answer_headers[] = {"content-type", "retry-after", "x-amz-retry-after",
					     "x-amzn-errortype", "x-amzn-query-error"};
/* Of a form that goes to STS. */
static const char *const sts_fields[] = {"Action", "Version", "RoleArn", "DurationSeconds"};
static const char *const token_fields[] = {"NextToken", "nextToken", "clientRequestToken"};
static const char *const time_fields[] = {"StartTime", "EndTime", "startTime", "endTime"};

static bool
listed(const char *const *list, size_t n, struct sv name)
{
	for (size_t i = 0; i < n; i++)
		if (strlen(list[i]) == name.n && !strncasecmp(list[i], name.p, name.n))
			return true;
	return false;
}
#define LISTED(list, name) listed((list), ARRAY_LEN(list), (name))

bool
tape_records(const char *service)
{
	return LISTED(services, sv_of(service));
}

/* ---- secrets of this very request ---- */

struct secrets {
	struct sv v[MAX_SECRETS];
	size_t n;
	struct buf external_id; /* decoded */
};

static void
secrets_done(struct secrets *s)
{
	secret_wipe_buf(&s->external_id);
}

static void
secret_add(struct secrets *s, struct sv v)
{
	if (v.n >= MIN_SECRET && s->n < MAX_SECRETS)
		s->v[s->n++] = v;
}

/* The part of an Authorization value behind `name`. */
static struct sv
auth_part(const char *auth, const char *name, const char *ends)
{
	const char *p = auth ? strstr(auth, name) : NULL;

	if (!p)
		return SV("");
	p += strlen(name);
	return (struct sv){p, strcspn(p, ends)};
}

/* A field of a form, decoded; false if there is none. */
static bool
form_field(struct sv form, const char *name, struct buf *out)
{
	while (form.n) {
		const char *amp = memchr(form.p, '&', form.n);
		size_t n = amp ? (size_t)(amp - form.p) : form.n, m = strlen(name);

		if (n > m && form.p[m] == '=' && !memcmp(form.p, name, m))
			return uri_decode(out, (struct sv){form.p + m + 1, n - m - 1}, true);
		form.p += n + (amp ? 1 : 0);
		form.n -= n + (amp ? 1 : 0);
	}
	return false;
}

static void
collect_secrets(const struct http_req *req, struct secrets *s)
{
	for (size_t i = 0; i < req->n_headers; i++)
		if (!strcasecmp(req->headers[i].name, "x-amz-security-token"))
			secret_add(s, sv_of(req->headers[i].value));
	secret_add(s, auth_part(req->auth_header, "Credential=", "/,"));
	secret_add(s, auth_part(req->auth_header, "Signature=", ", "));
	if (!strcmp(req->service, "sts") && form_field(req->body, "ExternalId", &s->external_id))
		secret_add(s, buf_view(&s->external_id));
}

/* AKIA..., ASIA...: key ids, wherever they come from (log lines hold them, too). */
static bool
is_key_id(const char *p, size_t n)
{
	if (n < KEY_ID_CHARS || (memcmp(p, "AKIA", 4) != 0 && memcmp(p, "ASIA", 4) != 0))
		return false;
	for (size_t i = 4; i < KEY_ID_CHARS; i++)
		if (!isupper((unsigned char)p[i]) && !isdigit((unsigned char)p[i]))
			return false;
	return true;
}

/* Everything that may not stay becomes a row of X. */
static void
redact(const struct secrets *s, struct buf *b)
{
	for (size_t k = 0; k < s->n; k++) {
		char *p = b->p;

		while (b->n && (p = memmem(p, b->n - (size_t)(p - b->p), s->v[k].p, s->v[k].n))) {
			memset(p, 'X', s->v[k].n);
			p += s->v[k].n;
		}
	}
	for (size_t i = 0; i < b->n; i++)
		if ((b->p[i] == 'A') && is_key_id(b->p + i, b->n - i))
			memset(b->p + i, 'X', KEY_ID_CHARS);
}

/* ---- headers, path ---- */

static void
keep_request(const struct http_req *req, struct exchange *e)
{
	const char *host = strstr(req->url, "://");
	const char *path = host ? strchr(host + 3, '/') : NULL;

	(void)snprintf(e->service, sizeof(e->service), "%s", req->service);
	(void)snprintf(e->operation, sizeof(e->operation), "%s", req->operation);
	(void)snprintf(e->account, sizeof(e->account), "%s", req->account ? req->account : "");
	(void)snprintf(e->region, sizeof(e->region), "%s", req->region ? req->region : "");
	(void)snprintf(e->method, sizeof(e->method), "%s", req->method);
	buf_str(&e->path, path ? path : "/");
	for (size_t i = 0; i < req->n_headers; i++)
		if (LISTED(request_headers, sv_of(req->headers[i].name)))
			buf_fmt(&e->headers, "%s: %s\n", req->headers[i].name,
				req->headers[i].value);
}

static void
keep_answer_headers(const struct http_resp *resp, struct exchange *e)
{
	for (size_t i = 0; i < ARRAY_LEN(answer_headers); i++) {
		struct sv v;

		if (!resp_header(resp, answer_headers[i], &v))
			continue;
		buf_fmt(&e->answer_headers, "%s: ", answer_headers[i]);
		buf_sv(&e->answer_headers, v);
		buf_ch(&e->answer_headers, '\n');
	}
}

/* Whether the service's clock was far from the time of the signature: all that a Date is good for
 * once the run's present is known. */
static bool
is_clock_off(const struct http_req *req, const struct http_resp *resp)
{
	int64_t signed_ms = 0, date_ms = 0;
	struct sv date;

	for (size_t i = 0; i < req->n_headers; i++)
		if (!strcasecmp(req->headers[i].name, "x-amz-date") &&
		    !time_parse_basic(sv_of(req->headers[i].value), &signed_ms))
			return false;
	return signed_ms && resp_header(resp, "date", &date) && time_parse_http(date, &date_ms) &&
	       llabs(date_ms - signed_ms) >= SKEW_MS;
}

/* ---- bodies ---- */

static bool
is_form(struct sv body)
{
	return sv_starts(body, SV("Action="));
}

/* Page tokens are long and opaque; who knows what is in them. A mark of the token does as well. */
static int
mask_tokens(json_t *root, struct err *err)
{
	for (size_t i = 0; i < ARRAY_LEN(token_fields); i++) {
		const char *text = json_string_value(json_object_get(root, token_fields[i]));
		char hex[SHA256_HEX_LEN + 1], mark[32];

		if (!text || (strlen(text) == 21 && !strncmp(text, "page-", 5)))
			continue;
		sha256_hex(sv_of(text), hex);
		(void)snprintf(mark, sizeof(mark), "page-%.16s", hex);
		if (json_object_set_new(root, token_fields[i], json_string(mark)))
			return err_nomem(err);
	}
	return 0;
}

/* Tags of an account may hold its external id, and nothing that a replay does looks at them: it has
 * the tenants that were found. Nor does it need anybody's address. */
static int
mask_directory(json_t *root, struct err *err)
{
	static const struct {
		const char *list, *member;
	} rows[] = {{"Tags", "Value"}, {"Accounts", "Email"}};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		json_t *list = json_object_get(root, rows[i].list);

		for (size_t k = 0; k < json_array_size(list); k++) {
			json_t *one = json_array_get(list, k);

			if (json_object_get(one, rows[i].member) &&
			    json_object_set_new(one, rows[i].member, json_string("not-kept")))
				return err_nomem(err);
		}
	}
	return 0;
}

/* The mark of a query is made of names, so it is not kept; and a query is known without it. */
static int
drop_mark(json_t *root, struct err *err)
{
	const char *text = json_string_value(json_object_get(root, "queryString"));
	const char *mark = text ? strstr(text, LOGS_QUERY_MARK) : NULL;

	if (mark &&
	    json_object_set_new(root, "queryString", json_stringn(text, (size_t)(mark - text))))
		return err_nomem(err);
	return 0;
}

/* Fields of a form as they came, those of STS only if they are on the list. */
static void
mask_form(const char *service, struct sv form, struct buf *out)
{
	bool sts = !strcmp(service, "sts");

	while (form.n) {
		const char *amp = memchr(form.p, '&', form.n);
		size_t n = amp ? (size_t)(amp - form.p) : form.n;
		const char *eq = memchr(form.p, '=', n);
		struct sv name = {form.p, eq ? (size_t)(eq - form.p) : n};

		if (!sts || LISTED(sts_fields, name)) {
			if (out->n)
				buf_ch(out, '&');
			buf_add(out, form.p, n);
		}
		form.p += n + (amp ? 1 : 0);
		form.n -= n + (amp ? 1 : 0);
	}
}

static int
end_line(struct buf *out)
{
	buf_ch(out, '\n');
	return 0;
}

/* JSON comes out indented, forms masked, all else as it is. */
static int
mask_body(const char *service, struct sv in, struct buf *out, struct err *err)
{
	json_t *root = NULL;
	int r = 0;

	if (sv_starts(in, SV("{")) && !json_parse(in, "body", &root, NULL))
		r = drop_mark(root, err) || mask_tokens(root, err) ||
			    (!strcmp(service, "organizations") && mask_directory(root, err)) ||
			    json_dump(root, true, out, err)
			? -1
			: end_line(out);
	else if (is_form(in))
		mask_form(service, in, out);
	else if (strcmp(service, "sts") != 0)
		buf_sv(out, in);
	json_decref(root);
	return r ? r : buf_check(out, "body", err);
}

/* ---- STS's answers ---- */

/* An ARN without the session's name at its end. */
static struct sv
sessionless(const char *arn)
{
	const char *slash = strstr(arn, ":assumed-role/") ? strrchr(arn, '/') : NULL;

	return slash ? (struct sv){arn, (size_t)(slash - arn)} : sv_of(arn);
}

static void
write_assumed(const struct xml_node *root, struct buf *out)
{
	struct sv arn = sessionless(xml_text(root, "AssumeRoleResult/AssumedRoleUser/Arn"));

	buf_fmt(out,
		"<AssumeRoleResponse><AssumeRoleResult>\n"
		"<AssumedRoleUser><Arn>%.*s/replay</Arn></AssumedRoleUser>\n"
		"<Credentials><AccessKeyId>REPLAY</AccessKeyId>"
		"<SecretAccessKey>opens-nothing</SecretAccessKey>"
		"<SessionToken>opens-nothing</SessionToken>"
		"<Expiration>2099-12-31T23:59:59Z</Expiration></Credentials>\n"
		"</AssumeRoleResult></AssumeRoleResponse>\n",
		(int)arn.n, arn.p);
}

static void
write_identity(const struct xml_node *root, struct buf *out)
{
	struct sv arn = sessionless(xml_text(root, "GetCallerIdentityResult/Arn"));

	buf_fmt(out,
		"<GetCallerIdentityResponse><GetCallerIdentityResult>\n"
		"<Arn>%.*s</Arn><UserId>REPLAY</UserId><Account>%s</Account>\n"
		"</GetCallerIdentityResult></GetCallerIdentityResponse>\n",
		(int)arn.n, arn.p, xml_text(root, "GetCallerIdentityResult/Account"));
}

static void
write_refusal(const struct xml_node *root, struct buf *out)
{
	CLEANUP(buf_done) struct buf message = BUF_INIT(BODY_MAX);

	for (const char *p = xml_text(root, "Error/Message"); p && *p; p++)
		if (*p == '<' || *p == '>' || *p == '&')
			buf_ch(&message, ' ');
		else
			buf_ch(&message, *p);
	buf_fmt(out,
		"<ErrorResponse><Error><Type>Sender</Type><Code>%s</Code>"
		"<Message>%s</Message></Error></ErrorResponse>\n",
		xml_text(root, "Error/Code"), buf_cstr(&message));
}

/* The texts that an answer must have to be written anew; `write` gets them for sure. */
static const struct {
	const char *root;
	const char *must[2];
	void (*write)(const struct xml_node *root, struct buf *out);
} sts_answers[] = {
    {"AssumeRoleResponse",
     {"AssumeRoleResult/AssumedRoleUser/Arn", "AssumeRoleResult/Credentials/AccessKeyId"},
     write_assumed},
    {"GetCallerIdentityResponse",
     {"GetCallerIdentityResult/Arn", "GetCallerIdentityResult/Account"},
     write_identity},
    {"ErrorResponse", {"Error/Code", "Error/Message"}, write_refusal},
};

/* Codes and ARNs go back into XML: only texts that need no escaping. */
static bool
plain_texts(const struct xml_node *root, const char *const must[2], bool message)
{
	for (size_t i = 0; i < 2; i++) {
		const char *text = xml_text(root, must[i]);

		if (!text || (!(message && i) && strpbrk(text, "<>&")))
			return false;
	}
	return true;
}

/* Never the answer itself: it holds keys. What is not understood leaves a text without meaning,
 * which fails a replay as a broken answer failed the run. */
static void
mask_sts_answer(struct sv in, struct buf *out)
{
	struct sts_answer a = {0};

	resp_init(&a.resp, in.n + 1);
	buf_sv(&a.resp.body, in);
	if (!xml_parse(buf_view(&a.resp.body), "answer", &a.doc, NULL)) {
		const struct xml_node *root = xml_root(a.doc);

		for (size_t i = 0; i < ARRAY_LEN(sts_answers); i++)
			if (!strcmp(root->name, sts_answers[i].root) &&
			    plain_texts(root, sts_answers[i].must, i == 2))
				sts_answers[i].write(root, out);
	}
	if (out->n == 0)
		buf_str(out, "(an answer that is not kept)\n");
	sts_answer_done(&a);
}

/* ---- the whole ---- */

static int
fill(const struct http_req *req, const struct http_resp *resp, struct exchange *e, struct err *err)
{
	keep_request(req, e);
	keep_answer_headers(resp, e);
	if (mask_body(e->service, req->body, &e->body, err))
		return -1;
	if (!resp->status || !resp->body.n)
		return 0;
	if (strcmp(e->service, "sts") != 0)
		return mask_body(e->service, buf_view(&resp->body), &e->answer, err);
	mask_sts_answer(buf_view(&resp->body), &e->answer);
	return buf_check(&e->answer, "answer", err);
}

int
tape_mask(const struct http_req *req, const struct http_resp *resp, int result,
	  const struct err *why, struct exchange **ret, struct err *err)
{
	CLEANUP(secrets_done) struct secrets secrets = {.external_id = BUF_INIT(4096)};
	struct exchange *e = exchange_new();

	if (!e)
		return err_nomem(err);
	e->status = resp->status;
	e->outcome = result < 0 ? why->kind : ERR_NONE;
	(void)snprintf(e->code, sizeof(e->code), "%s", result < 0 ? why->code : "");
	e->clock_off = result < 0 && is_clock_off(req, resp);
	collect_secrets(req, &secrets);
	if (fill(req, resp, e, err)) {
		exchange_free(e);
		return -1;
	}
	redact(&secrets, &e->path);
	redact(&secrets, &e->headers);
	redact(&secrets, &e->body);
	redact(&secrets, &e->answer_headers);
	redact(&secrets, &e->answer);
	*ret = e;
	return 0;
}

/* ---- keys ---- */

/* Numbers of 13 digits are milliseconds: queries hold them in their text. */
static void
blank_times(struct sv in, struct buf *out)
{
	while (in.n) {
		size_t n = 0;

		while (n < in.n && isdigit((unsigned char)in.p[n]))
			n++;
		if (n == 13)
			buf_str(out, "TIME");
		else
			buf_add(out, in.p, n ? n : 1);
		in.p += n ? n : 1;
		in.n -= n ? n : 1;
	}
}

static int
key_json(json_t *root, bool loose, struct buf *out, struct err *err)
{
	CLEANUP(buf_done) struct buf text = BUF_INIT(BODY_MAX);

	for (size_t i = 0; loose && i < ARRAY_LEN(time_fields); i++)
		(void)json_object_del(root, time_fields[i]);
	for (size_t i = 0; loose && i < ARRAY_LEN(token_fields); i++)
		(void)json_object_del(root, token_fields[i]);
	if (mask_tokens(root, err) || json_dump(root, false, &text, err))
		return -1;
	if (loose)
		blank_times(buf_view(&text), out);
	else
		buf_sv(out, buf_view(&text));
	return 0;
}

static void
key_form(const char *service, struct sv form, bool loose, struct buf *out)
{
	CLEANUP(buf_done) struct buf masked = BUF_INIT(BODY_MAX);

	mask_form(service, form, &masked);
	form = buf_view(&masked);
	while (form.n) {
		const char *amp = memchr(form.p, '&', form.n);
		size_t n = amp ? (size_t)(amp - form.p) : form.n;
		const char *eq = memchr(form.p, '=', n);
		struct sv name = {form.p, eq ? (size_t)(eq - form.p) : n};

		if (!loose || (!LISTED(time_fields, name) && !LISTED(token_fields, name))) {
			buf_add(out, form.p, n);
			buf_ch(out, '&');
		}
		form.p += n + (amp ? 1 : 0);
		form.n -= n + (amp ? 1 : 0);
	}
}

int
tape_key(const struct exchange *e, bool loose, struct buf *out, struct err *err)
{
	struct sv body = buf_view(&e->body);
	json_t *root = NULL;
	int r = 0;

	buf_fmt(out, "%s %s account %s region %s %s ", e->service, e->operation,
		e->account[0] ? e->account : "-", e->region, buf_cstr(&e->path));
	if (sv_starts(body, SV("{")) && !json_parse(body, "body", &root, NULL))
		r = key_json(root, loose, out, err);
	else if (is_form(body))
		key_form(e->service, body, loose, out);
	else
		buf_sv(out, body);
	json_decref(root);
	return r ? r : buf_check(out, "key", err);
}
