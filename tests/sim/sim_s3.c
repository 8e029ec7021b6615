/* S3 of the simulated world: objects in memory, conditional writes, metadata; see sim.h. */
#include "tests/sim/sim.h"

#include <stdlib.h>
#include <strings.h>

#include "base/hash.h"
#include "fmt/uri.h"

#define META   "x-amz-meta-"
#define FOLDER 5 /* parts of a key: bucket, lake, job, tenant and region */

static const char *
header(const struct http_req *req, const char *name)
{
	for (size_t i = 0; i < req->n_headers; i++)
		if (!strcasecmp(req->headers[i].name, name))
			return req->headers[i].value;
	return NULL;
}

const struct sim_object *
sim_object(const struct sim *s, const char *key)
{
	return map_get(&s->objects, sv_of(key));
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

/* "": what it begins with may be in any folder. */
static struct sv
folder_of(const char *key)
{
	const char *end = key;

	for (int i = 0; end && i < FOLDER; i++) {
		end = strchr(end, '/');
		end += end != NULL;
	}
	return (struct sv){key, end ? (size_t)(end - key) : 0};
}

static struct sim_object *
insert(struct sim *s, const char *key)
{
	struct sim_object *o = calloc(1, sizeof(*o));
	void *others;

	if (!o || map_put(&s->objects, sv_of(key), o, NULL, NULL) ||
	    map_put(&s->folders, folder_of(key), o, &others, NULL))
		abort();
	o->key = copy(key, strlen(key));
	o->next = others;
	return o;
}

void
sim_object_free(void *object)
{
	struct sim_object *o = object;

	if (!o)
		return;
	free(o->key);
	free(o->bytes);
	free(o->meta);
	free(o);
}

void
sim_object_remove(struct sim *s, const char *key)
{
	struct sim_object *o = map_del(&s->objects, sv_of(key));
	struct sv folder = folder_of(key);
	struct sim_object *first = map_get(&s->folders, folder), **at = &first;

	while (*at && *at != o)
		at = &(*at)->next;
	if (*at)
		*at = o->next;
	if (map_put(&s->folders, folder, first, NULL, NULL))
		abort();
	sim_object_free(o);
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
	struct sim_object *o = map_get(&s->objects, sv_of(key));

	if (o && header(req, "If-None-Match")) {
		error(resp, 412, "PreconditionFailed");
		return;
	}
	if (match && (!o || strcmp(match, o->etag) != 0)) {
		error(resp, o ? 412 : 404, o ? "PreconditionFailed" : "NoSuchKey");
		return;
	}
	s->lake_overwrites += o && !strncmp(key, "sim/lake/", strlen("sim/lake/"));
	o = o ? o : insert(s, key);
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

struct listing {
	const struct sim_object **v;
	size_t n;
	struct sv prefix;
};

static void
add_listed(struct sv key, void *value, void *arg)
{
	struct listing *l = arg;

	if (sv_starts(key, l->prefix))
		l->v[l->n++] = value;
}

static int
by_key(const void *a, const void *b)
{
	const struct sim_object *const *x = a, *const *y = b;

	return strcmp((*x)->key, (*y)->key);
}

static void
find_listed(const struct sim *s, struct listing *l)
{
	struct sv folder = folder_of(l->prefix.p);
	const struct sim_object *o = map_get(&s->folders, folder);

	if (!folder.n)
		map_each(&s->objects, add_listed, l);
	for (; folder.n && o; o = o->next)
		if (sv_starts(sv_of(o->key), l->prefix))
			l->v[l->n++] = o;
}

/* All in one page. */
static void
list(const struct sim *s, const char *query, struct http_resp *resp)
{
	struct listing l = {.v = calloc(map_count(&s->objects) + 1, sizeof(*l.v))};
	const char *at = strstr(query, "prefix=");
	struct buf prefix = BUF_INIT(2048);

	if (!at || !l.v)
		abort();
	at += strlen("prefix=");
	buf_str(&prefix, "sim/");
	if (!uri_decode(&prefix, (struct sv){at, strcspn(at, "&")}, true))
		abort();
	l.prefix = (struct sv){buf_cstr(&prefix), prefix.n};
	find_listed(s, &l);
	qsort(l.v, l.n, sizeof(*l.v), by_key);
	resp->status = 200;
	buf_str(&resp->body, "<ListBucketResult><EncodingType>url</EncodingType>"
			     "<IsTruncated>false</IsTruncated>");
	for (size_t i = 0; i < l.n; i++) {
		buf_str(&resp->body, "<Contents><Key>");
		uri_encode(&resp->body, sv_of(l.v[i]->key + strlen("sim/")), true);
		buf_fmt(&resp->body, "</Key><Size>%zu</Size></Contents>", l.v[i]->n);
	}
	buf_str(&resp->body, "</ListBucketResult>");
	buf_done(&prefix);
	free(l.v);
}

static void
no_uploads(struct http_resp *resp)
{
	resp->status = 200;
	buf_str(&resp->body, "<ListMultipartUploadsResult><IsTruncated>false</IsTruncated>"
			     "</ListMultipartUploadsResult>");
}

static void
remove_object(struct sim *s, const struct http_req *req, const char *key, struct http_resp *resp)
{
	const char *match = header(req, "If-Match");
	const struct sim_object *o = sim_object(s, key);

	if (o && match && strcmp(match, o->etag) != 0) {
		error(resp, 412, "PreconditionFailed");
		return;
	}
	resp->status = 204;
	sim_object_remove(s, key);
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
		remove_object(s, req, buf_cstr(&key), resp);
	buf_done(&key);
}
