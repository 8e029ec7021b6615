/* S3 of the simulated world: objects in memory, conditional writes, metadata; see sim.h. */
#include "tests/sim/sim.h"

#include <stdlib.h>
#include <strings.h>

#include "base/hash.h"
#include "fmt/uri.h"

#define META "x-amz-meta-"

static const char *
header(const struct http_req *req, const char *name)
{
	for (size_t i = 0; i < req->n_headers; i++)
		if (!strcasecmp(req->headers[i].name, name))
			return req->headers[i].value;
	return NULL;
}

/* Where the key is (true) or would be. */
static bool
find(const struct sim *s, const char *key, size_t *at)
{
	size_t lo = 0, hi = s->n_objects;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		int c = strcmp(s->objects[mid].key, key);

		if (c == 0) {
			*at = mid;
			return true;
		}
		if (c < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	*at = lo;
	return false;
}

const struct sim_object *
sim_object(const struct sim *s, const char *key)
{
	size_t at;

	return find(s, key, &at) ? &s->objects[at] : NULL;
}

static void
error(struct http_resp *resp, int status, const char *code)
{
	resp->status = status;
	buf_fmt(&resp->body, "<Error><Code>%s</Code><Message>no</Message></Error>", code);
}

static char *
copy(const void *p, size_t n)
{
	char *c = malloc(n + 1);

	if (!c)
		abort();
	memcpy(c, p, n);
	c[n] = '\0';
	return c;
}

static struct sim_object *
insert(struct sim *s, size_t at, const char *key)
{
	if (s->n_objects == s->cap_objects) {
		s->cap_objects = s->cap_objects ? 2 * s->cap_objects : 64;
		s->objects = reallocarray(s->objects, s->cap_objects, sizeof(*s->objects));
		if (!s->objects)
			abort();
	}
	memmove(&s->objects[at + 1], &s->objects[at], (s->n_objects - at) * sizeof(*s->objects));
	s->n_objects++;
	s->objects[at] = (struct sim_object){.key = copy(key, strlen(key))};
	return &s->objects[at];
}

static char *
read_meta(const struct http_req *req)
{
	struct buf lines = BUF_INIT(4096);
	char *text;

	for (size_t i = 0; i < req->n_headers; i++)
		if (!strncasecmp(req->headers[i].name, META, strlen(META)))
			buf_fmt(&lines, "%s: %s\n", req->headers[i].name, req->headers[i].value);
	text = copy(lines.n ? lines.p : "", lines.n);
	buf_done(&lines);
	for (char *p = text; *p; p++) /* names come back in lower case */
		*p = *p >= 'A' && *p <= 'Z' ? (char)(*p + 32) : *p;
	return text;
}

static void
put(struct sim *s, const struct http_req *req, const char *key, struct http_resp *resp)
{
	const char *match = header(req, "If-Match");
	struct sim_object *o;
	size_t at;
	bool there = find(s, key, &at);

	if (there && header(req, "If-None-Match")) {
		error(resp, 412, "PreconditionFailed");
		return;
	}
	if (match && (!there || strcmp(match, s->objects[at].etag) != 0)) {
		error(resp, there ? 412 : 404, there ? "PreconditionFailed" : "NoSuchKey");
		return;
	}
	o = there ? &s->objects[at] : insert(s, at, key);
	s->lake_overwrites += there && !strncmp(key, "sim/lake/", 9);
	free(o->bytes);
	free(o->meta);
	o->bytes = copy(req->body.p, req->body.n);
	o->n = req->body.n;
	o->meta = read_meta(req);
	o->writes++;
	o->etag[0] = '"';
	sha256_hex(req->body, o->etag + 1);
	(void)snprintf(o->etag + 33, 2, "\"");
	resp->status = 200;
	buf_fmt(&resp->headers, "etag: %s\n", o->etag);
}

static void
read_object(const struct sim *s, const char *key, bool body, struct http_resp *resp)
{
	const struct sim_object *o = sim_object(s, key);

	if (!o) {
		error(resp, 404, "NoSuchKey");
		return;
	}
	resp->status = 200;
	buf_fmt(&resp->headers, "etag: %s\ncontent-length: %zu\n%s", o->etag, o->n, o->meta);
	if (body)
		buf_sv(&resp->body, (struct sv){o->bytes, o->n});
}

static void
list(const struct sim *s, const char *query, struct http_resp *resp)
{
	const char *at = strstr(query, "prefix=");
	struct buf prefix = BUF_INIT(2048);

	if (!at)
		abort();
	at += strlen("prefix=");
	buf_str(&prefix, "sim/");
	if (!uri_decode(&prefix, (struct sv){at, strcspn(at, "&")}, true))
		abort();
	resp->status = 200;
	buf_str(&resp->body, "<ListBucketResult><EncodingType>url</EncodingType>"
			     "<IsTruncated>false</IsTruncated>");
	for (size_t i = 0; i < s->n_objects; i++)
		if (!strncmp(s->objects[i].key, buf_cstr(&prefix), prefix.n)) {
			buf_str(&resp->body, "<Contents><Key>");
			uri_encode(&resp->body, sv_of(s->objects[i].key + 4), true);
			buf_fmt(&resp->body, "</Key><Size>%zu</Size></Contents>", s->objects[i].n);
		}
	buf_str(&resp->body, "</ListBucketResult>");
	buf_done(&prefix);
}

static void
no_uploads(struct http_resp *resp)
{
	resp->status = 200;
	buf_str(&resp->body, "<ListMultipartUploadsResult><IsTruncated>false</IsTruncated>"
			     "</ListMultipartUploadsResult>");
}

static void delete (struct sim *s, const char *key, struct http_resp *resp)
{
	size_t at;

	resp->status = 204;
	if (!find(s, key, &at))
		return;
	free(s->objects[at].key);
	free(s->objects[at].bytes);
	free(s->objects[at].meta);
	memmove(&s->objects[at], &s->objects[at + 1], (--s->n_objects - at) * sizeof(*s->objects));
}

/* The bucket and key of a path-style URL: http://sim/BUCKET/KEY?query */
static void
read_key(const char *url, struct buf *out, const char **query)
{
	const char *path = url + strlen("http://sim/");
	size_t n = strcspn(path, "?");

	*query = path[n] ? path + n + 1 : "";
	if (!uri_decode(out, (struct sv){path, n}, false))
		abort();
}

void
sim_s3(struct sim *s, const struct http_req *req, struct http_resp *resp)
{
	struct buf key = BUF_INIT(2048);
	const char *query, *op = req->operation;

	read_key(req->url, &key, &query);
	if (!strcmp(op, "PutObject"))
		put(s, req, buf_cstr(&key), resp);
	else if (!strcmp(op, "GetObject") || !strcmp(op, "HeadObject"))
		read_object(s, buf_cstr(&key), *op == 'G', resp);
	else if (!strcmp(op, "ListObjectsV2"))
		list(s, query, resp);
	else if (!strcmp(op, "ListMultipartUploads"))
		no_uploads(resp);
	else if (!strcmp(op, "DeleteObject"))
		remove_object(s, buf_cstr(&key), resp);
	buf_done(&key);
}
