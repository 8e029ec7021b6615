/*
 * Requests to S3 and what their answers mean; see s3.h.
 *
 * S3 says little that can be taken at its word: 412 may speak of one's own first attempt, 404 of a
 * gateway that has never heard of the bucket, 403 of a key that does not exist. Those readings are
 * made here, once, so that a store above can act on kinds of errors alone.
 */
#include <stdio.h>
#include <stdlib.h>

#include "aws/endpoint.h"
#include "aws/s3_int.h"
#include "base/cleanup.h"
#include "base/num.h"
#include "fmt/codec.h"
#include "fmt/uri.h"
#include "fmt/xml.h"

#define NONCE_HEADER	 S3_META_PREFIX "nonce"
#define BYTES_PER_MS_MIN 256 /* slower than 256 kB/s is not worth waiting for */
#define GET_TRIES	 2   /* a damaged answer is asked for once more */
#define URL_MAX		 8192

/* ---- where the bucket is ---- */

static int
place_in(const struct s3 *s, const char *region, struct s3_place *ret, struct err *err)
{
	CLEANUP(buf_done) struct buf url = BUF_INIT(S3_BASE_MAX), own = BUF_INIT(S3_BASE_MAX);
	struct sv scheme = SV("https://"), rest;
	int n;

	if (endpoint_override("s3", &own, err) < 0 || endpoint_url("s3", region, &url, err) < 0)
		return -1;
	if (own.n || strchr(s->bucket, '.')) {
		n = snprintf(ret->base, sizeof(ret->base), "%s/%s", buf_cstr(&url), s->bucket);
	} else {
		rest = (struct sv){url.p + scheme.n, url.n - scheme.n};
		n = snprintf(ret->base, sizeof(ret->base), "%.*s%s.%.*s", (int)scheme.n, scheme.p,
			     s->bucket, (int)rest.n, rest.p);
	}
	if (n < 0 || (size_t)n >= sizeof(ret->base) || strlen(region) >= sizeof(ret->region))
		return err_set(err, ERR_USAGE, "bucket %s: its address is too long", s->bucket);
	(void)snprintf(ret->region, sizeof(ret->region), "%s", region);
	return 0;
}

static struct s3_place
place_now(struct s3 *s)
{
	struct s3_place p;

	(void)pthread_mutex_lock(&s->mu);
	p = s->place;
	(void)pthread_mutex_unlock(&s->mu);
	return p;
}

static void
place_remember(struct s3 *s, const struct s3_place *p)
{
	(void)pthread_mutex_lock(&s->mu);
	s->place = *p;
	(void)pthread_mutex_unlock(&s->mu);
}

static bool
take_region(struct sv text, const char *present, char out[S3_REGION_MAX])
{
	if (text.n >= S3_REGION_MAX || !region_valid(text) || sv_eq(text, sv_of(present)))
		return false;
	memcpy(out, text.p, text.n);
	out[text.n] = '\0';
	return true;
}

/* Whether the answer says that the bucket is in another region. Nothing else of a redirect is ever
 * followed: a host that an answer names gets no signature of ours. */
static bool
elsewhere(const struct http_resp *resp, const char *present, char out[S3_REGION_MAX])
{
	CLEANUP(xml_freep) struct xml_doc *doc = NULL;
	struct sv header;
	const char *text;

	if (resp->status != 301 && resp->status != 307 && resp->status != 400 &&
	    resp->status != 403)
		return false;
	if (resp_header(resp, "x-amz-bucket-region", &header))
		return take_region(header, present, out);
	if (resp->status == 403 || xml_parse(buf_view(&resp->body), "error", &doc, NULL) < 0)
		return false;
	text = xml_text(xml_root(doc), "Region");
	return text && take_region(sv_of(text), present, out);
}

/* ---- one request ---- */

int
s3_call_header(struct s3_call *c, const char *name, const char *value, struct err *err)
{
	if (c->n_headers == ARRAY_LEN(c->headers))
		return err_set(err, ERR_USAGE, "header %s: no room", name);
	c->headers[c->n_headers++] = (struct http_header){name, value};
	return 0;
}

static int
send_to(struct s3 *s, const struct s3_place *p, const struct s3_call *c, struct http_resp *resp,
	struct err *err)
{
	CLEANUP(buf_done) struct buf url = BUF_INIT(URL_MAX);
	struct http_req req = {
	    .method = c->method,
	    .body = c->body,
	    .limits =
		{
		    .first_byte_ms = c->first_byte_ms,
		    .total_ms =
			HTTP_TOTAL_MS + (int64_t)((c->body.n + resp->body.max) / BYTES_PER_MS_MIN),
		    .max_body = resp->body.max,
		},
	    .service = "s3",
	    .operation = c->operation,
	    .account = "",
	    .region = p->region,
	    .auth = AUTH_SIGV4,
	    .creds = s->creds,
	    .proto = PROTO_AWS_REST_XML,
	    .s3_rules = true,
	    .grace_ms = s->grace_ms,
	};

	buf_str(&url, p->base);
	buf_ch(&url, '/');
	if (c->key)
		uri_encode(&url, sv_of(c->key), true);
	if (c->query)
		buf_fmt(&url, "?%s", c->query);
	if (buf_check(&url, "URL", err) < 0)
		return -1;
	req.url = buf_cstr(&url);
	for (size_t i = 0; i < c->n_headers; i++)
		if (req_header(&req, c->headers[i].name, c->headers[i].value, err) < 0)
			return -1;
	if (s->expected_owner &&
	    req_header(&req, "x-amz-expected-bucket-owner", s->expected_owner, err) < 0)
		return -1;
	return transport_send(s->transport, &req, resp, err);
}

/* What the operator can do about it, for the refusals that are meant for him. */
static int
explain(const struct s3 *s, const struct s3_call *c, struct err *err)
{
	if (strcmp(err->code, "NoSuchBucket") == 0)
		return err_wrap(err, "bucket %s does not exist", s->bucket);
	if (strncmp(err->code, "KMS.", 4) == 0)
		return err_wrap(err, "bucket %s: its KMS key%s%s cannot be used", s->bucket,
				s->kms_key ? " " : "", s->kms_key ? s->kms_key : "");
	if (err->kind == ERR_AUTH && err->http_status == 403 &&
	    (err->code[0] == '\0' || strcmp(err->code, "AccessDenied") == 0))
		return err_wrap(err,
				"%s on bucket %s is denied%s; check the policies of role, bucket "
				"and KMS key%s%s",
				c->operation, s->bucket,
				c->key && strcmp(c->method, "PUT") != 0
				    ? " (or the object is missing, and s3:ListBucket is denied)"
				    : "",
				s->expected_owner ? ", and that the bucket is owned by " : "",
				s->expected_owner ? s->expected_owner : "");
	if (err->http_status == 501)
		return err_wrap(err, "the store of bucket %s cannot do this %s", s->bucket,
				c->operation);
	return err_wrap(err, "%s", c->operation);
}

int
s3_send(struct s3 *s, const struct s3_call *c, struct http_resp *resp, struct err *err)
{
	struct s3_place p = place_now(s);
	char region[S3_REGION_MAX];
	struct err own = {0};
	int r = send_to(s, &p, c, resp, &own);

	if (r < 0 && elsewhere(resp, p.region, region)) {
		int status = resp->status;

		if (place_in(s, region, &p, err) < 0)
			return -1;
		if (status != 307)
			place_remember(s, &p);
		err_clear(&own);
		r = send_to(s, &p, c, resp, &own);
	}
	if (r == 0)
		return 0;
	/* Of several 409s none says that a condition did not hold; those who were in a race may try
	 * again. */
	if (own.kind == ERR_CONFLICT && own.http_status == 409)
		own.kind = ERR_TRANSIENT;
	/* Not "nothing is stored": for the operator to put right, like a permission. */
	if (strcmp(own.code, "NoSuchBucket") == 0)
		own.kind = ERR_AUTH;
	(void)explain(s, c, &own);
	if (err)
		*err = own;
	return -1;
}

bool
s3_text(const struct http_resp *resp, const char *name, char *out, size_t size)
{
	struct sv v;

	if (!resp_header(resp, name, &v) || v.n == 0 || v.n >= size)
		return false;
	memcpy(out, v.p, v.n);
	out[v.n] = '\0';
	return true;
}

/* ---- putting ---- */

void
s3_sha256(struct sv body, char out[S3_SHA256_TEXT])
{
	CLEANUP(buf_done) struct buf text = BUF_INIT(S3_SHA256_TEXT);
	unsigned char digest[SHA256_LEN];

	sha256(body, digest);
	base64_encode(&text, (struct sv){(const char *)digest, sizeof(digest)});
	(void)snprintf(out, S3_SHA256_TEXT, "%s", buf_cstr(&text));
}

int
s3_write_headers(const struct s3_write *w, struct s3_call *c, struct err *err)
{
	const struct s3 *s = w->s;
	const struct s3_put *o = w->opt;

	if (s3_call_header(c, "Content-Type",
			   o->content_type ? o->content_type : "application/octet-stream", err) < 0)
		return -1;
	if (s->kms_key &&
	    (s3_call_header(c, "x-amz-server-side-encryption", "aws:kms", err) < 0 ||
	     s3_call_header(c, "x-amz-server-side-encryption-aws-kms-key-id", s->kms_key, err) <
		 0 ||
	     s3_call_header(c, "x-amz-server-side-encryption-bucket-key-enabled", "true", err) < 0))
		return -1;
	for (size_t i = 0; i < o->n_meta; i++)
		if (s3_call_header(c, w->names[i], o->meta[i].value, err) < 0)
			return -1;
	if (w->sha256[0] && s3_call_header(c, S3_SHA256_HEADER, w->sha256, err) < 0)
		return -1;
	return s3_call_header(c, NONCE_HEADER, w->nonce, err);
}

int
s3_write_conditions(const struct s3_write *w, struct s3_call *c, struct err *err)
{
	if (w->opt->create)
		return s3_call_header(c, "If-None-Match", "*", err);
	return w->opt->match ? s3_call_header(c, "If-Match", w->opt->match, err) : 0;
}

enum s3_whose
s3_whose(const struct s3_write *w, char ret_etag[S3_ETAG_MAX], struct err *err)
{
	CLEANUP(resp_done) struct http_resp resp;
	char nonce[sizeof(w->nonce)];
	struct err own = {0};

	resp_init(&resp, S3_ERROR_ROOM);
	if (s3_head(w->s, w->key, &resp, &own) < 0) {
		if (own.kind == ERR_NOTFOUND)
			return S3_NOBODYS;
		if (err)
			*err = own;
		return S3_UNKNOWN;
	}
	if (!s3_text(&resp, NONCE_HEADER, nonce, sizeof(nonce)) || strcmp(nonce, w->nonce) != 0)
		return S3_THEIRS;
	if (s3_text(&resp, "etag", ret_etag, S3_ETAG_MAX))
		return S3_OURS;
	(void)err_set(err, ERR_DATA, "the object has no ETag");
	return S3_UNKNOWN;
}

/* After an answer that is none, or a 412 that may be the echo of our own attempt. */
static int
find_out(const struct s3_write *w, char ret_etag[S3_ETAG_MAX], struct err *err)
{
	struct err why = {0};

	switch (s3_whose(w, ret_etag, &why)) {
	case S3_OURS:
		err_clear(err);
		return 0;
	case S3_UNKNOWN:
		*err = why;
		err->kind = why.kind == ERR_CANCELLED ? ERR_CANCELLED : ERR_TRANSIENT;
		return err_wrap(err, "whether it was stored is unknown");
	case S3_THEIRS:
	case S3_NOBODYS:
		break;
	}
	return -1;
}

static int
put_once(const struct s3_write *w, char ret_etag[S3_ETAG_MAX], struct err *err)
{
	CLEANUP(resp_done) struct http_resp resp;
	struct s3_call c = {
	    .method = "PUT", .operation = "PutObject", .key = w->key, .body = w->body};
	char checksum[S3_SHA256_TEXT];

	resp_init(&resp, S3_ERROR_ROOM);
	s3_sha256(w->opt->damaged ? SV("") : w->body, checksum);
	if (s3_call_header(&c, "x-amz-checksum-sha256", checksum, err) < 0 ||
	    s3_write_headers(w, &c, err) < 0 || s3_write_conditions(w, &c, err) < 0)
		return -1;
	if (s3_send(w->s, &c, &resp, err) == 0) {
		if (s3_text(&resp, "etag", ret_etag, S3_ETAG_MAX))
			return 0;
		(void)err_set(err, ERR_TRANSIENT, "the answer to PutObject names no ETag");
		return find_out(w, ret_etag, err);
	}
	return err->kind == ERR_CONFLICT ? find_out(w, ret_etag, err) : -1;
}

static int
write_init(struct s3_write *w, struct err *err)
{
	unsigned char random[16];

	if (strlen(w->key) > S3_KEY_MAX)
		return err_set(err, ERR_USAGE, "a key of more than %d bytes", S3_KEY_MAX);
	if (w->opt->n_meta > S3_META_MAX)
		return err_set(err, ERR_USAGE, "more than %d metadata", S3_META_MAX);
	for (size_t i = 0; i < w->opt->n_meta; i++) {
		int n =
		    snprintf(w->names[i], S3_META_NAME, S3_META_PREFIX "%s", w->opt->meta[i].name);

		if (n < 0 || n >= S3_META_NAME)
			return err_set(err, ERR_USAGE, "metadata %.64s: the name is too long",
				       w->opt->meta[i].name);
	}
	if (random_bytes(random, sizeof(random), err) < 0)
		return -1;
	hex_lower(random, sizeof(random), w->nonce);
	return 0;
}

static int
put_begin(struct s3_write *w, bool parts, char ret_etag[S3_ETAG_MAX], struct err *err)
{
	char etag[S3_ETAG_MAX];
	struct err own = {0};
	int r;

	if (write_init(w, err) < 0)
		return -1;
	r = parts ? s3_upload(w, etag, &own) : put_once(w, etag, &own);
	if (r == 0) {
		if (ret_etag)
			memcpy(ret_etag, etag, sizeof(etag));
		return 0;
	}
	/* What was to be replaced is gone. */
	if (w->opt->match && own.kind == ERR_NOTFOUND)
		own.kind = ERR_CONFLICT;
	if (err)
		*err = own;
	return -1;
}

int
s3_put(struct s3 *s, const char *key, struct sv body, const struct s3_put *opt,
       char ret_etag[S3_ETAG_MAX], struct err *err)
{
	struct s3_write w = {.s = s, .key = key, .body = body, .opt = opt};

	return put_begin(&w, body.n > s->multipart_above, ret_etag, err);
}

int
s3_put_spool(struct s3 *s, const char *key, const struct spool *body, const struct s3_put *opt,
	     char ret_etag[S3_ETAG_MAX], struct err *err)
{
	CLEANUP(buf_done) struct buf all = BUF_INIT(s->spool_part);
	struct s3_write w = {.s = s, .key = key, .opt = opt};

	if (spool_size(body) > s->spool_part) {
		w.spool = body;
		return put_begin(&w, true, ret_etag, err);
	}
	if (spool_load(body, &all, err) < 0)
		return -1;
	w.body = buf_view(&all);
	return put_begin(&w, false, ret_etag, err);
}

/* ---- reading ---- */

/* Against what S3 says of the object: its length, its checksum, and for one in parts, whose
 * checksum is made of those of the parts, the one that was written beside it. */
static int
verify(const struct http_resp *resp, struct err *err)
{
	char told[128], is[SHA256_HEX_LEN + 1];
	int64_t length;
	struct sv v;

	if (resp_header(resp, "content-length", &v) &&
	    (!num_i64(v, &length) || length < 0 || (uint64_t)length != resp->body.n))
		return err_set(err, ERR_TRANSIENT, "%zu bytes came of %.*s", resp->body.n, (int)v.n,
			       v.p);
	if (s3_text(resp, "x-amz-checksum-sha256", told, sizeof(told)) && !strchr(told, '-')) {
		s3_sha256(buf_view(&resp->body), is);
		if (strcmp(told, is) != 0)
			return err_set(err, ERR_DATA, "its bytes have another checksum (%s)", told);
	}
	if (s3_text(resp, S3_SHA256_HEADER, told, sizeof(told))) {
		sha256_hex(buf_view(&resp->body), is);
		if (strcmp(told, is) != 0)
			return err_set(err, ERR_DATA, "its bytes have another checksum (%s)", told);
	}
	return 0;
}

int
s3_get_object(struct s3 *s, struct s3_call *c, struct http_resp *resp, struct err *err)
{
	c->method = "GET";
	c->operation = "GetObject";
	if (s3_call_header(c, "x-amz-checksum-mode", "ENABLED", err) < 0)
		return -1;
	if (s3_send(s, c, resp, err) == 0)
		return 0;
	/* The transport's word for an answer that does not fit. */
	if (err->kind == ERR_DATA && resp->status == 200)
		err->kind = ERR_LOCAL;
	/* Whoever else says 404 knows nothing of keys. */
	if (err->kind == ERR_NOTFOUND && strcmp(err->code, "NoSuchKey") != 0)
		err->kind = ERR_DATA;
	return -1;
}

static int
get_once(struct s3 *s, const char *key, struct http_resp *resp, size_t most, struct err *err)
{
	struct s3_call c = {.key = key};

	if (s3_get_object(s, &c, resp, err) < 0)
		return -1;
	if (resp->body.n > most)
		return err_set(err, ERR_LOCAL, "larger than %zu bytes", most);
	return verify(resp, err);
}

int
s3_get(struct s3 *s, const char *key, struct http_resp *resp, struct err *err)
{
	size_t most = resp->body.max;
	struct err own = {0};
	int r = -1;

	if (resp->body.max < S3_ERROR_ROOM)
		resp->body.max = S3_ERROR_ROOM;
	for (int i = 0; i < GET_TRIES && r < 0; i++) {
		err_clear(&own);
		r = get_once(s, key, resp, most, &own);
		if (r < 0 && (resp->status != 200 || own.kind == ERR_LOCAL))
			break;
	}
	resp->body.max = most;
	if (r < 0 && err)
		*err = own;
	return r;
}

int
s3_head(struct s3 *s, const char *key, struct http_resp *resp, struct err *err)
{
	struct s3_call c = {.method = "HEAD", .operation = "HeadObject", .key = key};

	return s3_send(s, &c, resp, err);
}

int
s3_delete_match(struct s3 *s, const char *key, const char *etag, struct err *err)
{
	CLEANUP(resp_done) struct http_resp resp;
	struct s3_call c = {.method = "DELETE", .operation = "DeleteObject", .key = key};
	struct err own = {0};

	if (etag && s3_call_header(&c, "If-Match", etag, err) < 0)
		return -1;
	resp_init(&resp, S3_ERROR_ROOM);
	if (s3_send(s, &c, &resp, &own) == 0 || strcmp(own.code, "NoSuchKey") == 0)
		return 0;
	if (own.kind == ERR_NOTFOUND)
		own.kind = ERR_DATA;
	if (err)
		*err = own;
	return -1;
}

int
s3_delete(struct s3 *s, const char *key, struct err *err)
{
	return s3_delete_match(s, key, NULL, err);
}

/* ---- opening ---- */

void
s3_free(struct s3 *s)
{
	if (!s)
		return;
	(void)pthread_mutex_destroy(&s->mu);
	free(s->bucket);
	free(s->expected_owner);
	free(s->kms_key);
	free(s);
}
DEFINE_FREEP(struct s3, s3_free)

/* Copies one string; NULL stays NULL. */
static bool
keep(char **to, const char *from)
{
	if (from)
		*to = sv_dup(sv_of(from));
	return !from || *to;
}

int
s3_new(const struct s3_conf *conf, struct s3 **ret, struct err *err)
{
	CLEANUP(s3_freep) struct s3 *s = calloc(1, sizeof(*s));

	if (!s)
		return err_nomem(err);
	(void)pthread_mutex_init(&s->mu, NULL); /* cannot fail without attributes */
	s->transport = conf->transport;
	s->creds = conf->creds;
	s->grace_ms = conf->grace_ms;
	s->multipart_above = conf->multipart_above ? conf->multipart_above : S3_MULTIPART_ABOVE;
	s->part_bytes = conf->part_bytes ? conf->part_bytes : S3_PART_BYTES;
	s->spool_part = conf->spool_part ? conf->spool_part : S3_SPOOL_PART;
	if (!keep(&s->bucket, conf->bucket) || !keep(&s->expected_owner, conf->expected_owner) ||
	    !keep(&s->kms_key, conf->kms_key))
		return err_nomem(err);
	if (place_in(s, conf->region, &s->place, err) < 0)
		return -1;
	*ret = STEAL(s);
	return 0;
}
