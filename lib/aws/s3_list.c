/*
 * S3's listings: keys, and uploads that nobody finished.
 *
 * Both come in pages, and a page is believed only as far as it makes sense: keys in order, a new
 * token where there is more. So a listing ends, whatever is at the other end.
 */
#include <stdio.h>
#include <stdlib.h>

#include "aws/s3_int.h"
#include "base/cleanup.h"
#include "base/timefmt.h"
#include "fmt/uri.h"
#include "fmt/xml.h"

#define TOKEN_MAX ((size_t)8 << 10)
#define PAGES_MAX 1000000 /* of a thousand keys each */

struct page {
	struct xml_doc *doc;
	const struct xml_node *root;
	int64_t server_wall_ms; /* 0: not told */
};

static void
page_done(struct page *p)
{
	xml_free(p->doc);
}

static int
get_page(struct s3 *s, const char *operation, const char *query, const char *root, struct page *ret,
	 struct err *err)
{
	CLEANUP(resp_done) struct http_resp resp;
	struct s3_call c = {.method = "GET", .operation = operation, .query = query};
	struct sv date;

	resp_init(&resp, S3_ANSWER_MAX);
	if (s3_send(s, &c, &resp, err) < 0)
		return -1;
	if (xml_parse(buf_view(&resp.body), operation, &ret->doc, err) < 0)
		return -1;
	ret->root = xml_root(ret->doc);
	if (strcmp(ret->root->name, root) != 0)
		return err_set(err, ERR_DATA, "%s: the answer is a <%.40s>", operation,
			       ret->root->name);
	if (resp_header(&resp, "date", &date))
		(void)time_parse_http(date, &ret->server_wall_ms);
	return 0;
}

static bool
is_true(const struct xml_node *n, const char *name)
{
	const char *text = xml_text(n, name);

	return text && strcmp(text, "true") == 0;
}

/* The text of a key, decoded where the page says that it is encoded. */
static int
decode_key(const struct page *p, const char *text, struct buf *out, struct err *err)
{
	const char *how = xml_text(p->root, "EncodingType");

	buf_reset(out);
	if (!how || strcmp(how, "url") != 0)
		buf_str(out, text);
	else if (!uri_decode(out, sv_of(text), true))
		return err_set(err, ERR_DATA, "a listed key is wrongly encoded: %.100s", text);
	if (buf_check(out, "a listed key", err) < 0)
		return -1;
	if (out->n == 0 || memchr(out->p, '\0', out->n))
		return err_set(err, ERR_DATA, "a listed key is empty or holds a NUL");
	return 0;
}

/* ---- keys ---- */

struct listing {
	struct s3 *s;
	const char *prefix;
	int (*fn)(const char *key, void *arg);
	void *arg;
	struct buf key, last, token;
	bool ended; /* fn has had enough, or this was the last page */
};

static int
each_key(struct listing *l, const struct page *p, struct err *err)
{
	for (const struct xml_node *n = xml_child(p->root, "Contents"); n && !l->ended;
	     n = xml_next(n, "Contents")) {
		const char *text = xml_text(n, "Key");

		if (!text)
			return err_set(err, ERR_DATA, "a listed object has no key");
		if (decode_key(p, text, &l->key, err) < 0)
			return -1;
		if (l->last.n && sv_cmp(buf_view(&l->key), buf_view(&l->last)) <= 0)
			return err_set(err, ERR_DATA, "the listing is out of order at %.100s",
				       buf_cstr(&l->key));
		buf_reset(&l->last);
		buf_sv(&l->last, buf_view(&l->key));
		if (!sv_starts(buf_view(&l->key), sv_of(l->prefix)))
			return err_set(err, ERR_DATA, "%.100s was listed, which was not asked for",
				       buf_cstr(&l->key));
		l->ended = l->fn(buf_cstr(&l->key), l->arg) != 0;
	}
	return 0;
}

/* One page, and the token of the next. */
static int
list_page(struct listing *l, struct err *err)
{
	CLEANUP(buf_done) struct buf query = BUF_INIT(6 * TOKEN_MAX);
	CLEANUP(page_done) struct page p = {0};
	const char *token;

	buf_str(&query, "list-type=2&encoding-type=url");
	if (l->token.n)
		form_add(&query, "continuation-token", buf_view(&l->token));
	form_add(&query, "prefix", sv_of(l->prefix));
	if (buf_check(&query, "query", err) < 0)
		return -1;
	if (get_page(l->s, "ListObjectsV2", buf_cstr(&query), "ListBucketResult", &p, err) < 0 ||
	    each_key(l, &p, err) < 0)
		return -1;
	if (l->ended)
		return 0;
	l->ended = !is_true(p.root, "IsTruncated");
	if (l->ended)
		return 0;
	token = xml_text(p.root, "NextContinuationToken");
	if (!token || !*token)
		return err_set(err, ERR_DATA, "the listing has more, and no token for it");
	if (sv_eq(sv_of(token), buf_view(&l->token)))
		return err_set(err, ERR_DATA, "the listing gave the same token twice");
	buf_reset(&l->token);
	buf_str(&l->token, token);
	return buf_check(&l->token, "token", err);
}

int
s3_list(struct s3 *s, const char *prefix, int (*fn)(const char *key, void *arg), void *arg,
	struct err *err)
{
	struct listing l = {
	    .s = s,
	    .prefix = prefix,
	    .fn = fn,
	    .arg = arg,
	    .key = BUF_INIT(S3_KEY_MAX),
	    .last = BUF_INIT(S3_KEY_MAX),
	    .token = BUF_INIT(TOKEN_MAX),
	};
	int r = 0;

	for (int i = 0; i < PAGES_MAX && r == 0 && !l.ended; i++)
		r = list_page(&l, err);
	if (r == 0 && !l.ended)
		r = err_set(err, ERR_DATA, "the listing does not end");
	buf_done(&l.key);
	buf_done(&l.last);
	buf_done(&l.token);
	return r;
}

/* ---- uploads ---- */

static int
abort_one(struct s3 *s, const char *key, const char *id, struct err *err)
{
	CLEANUP(resp_done) struct http_resp resp;
	CLEANUP(buf_done) struct buf query = BUF_INIT(6 * TOKEN_MAX);
	struct s3_call c = {.method = "DELETE", .operation = "AbortMultipartUpload", .key = key};

	resp_init(&resp, S3_ANSWER_MAX);
	form_add(&query, "uploadId", sv_of(id));
	if (buf_check(&query, "query", err) < 0)
		return -1;
	c.query = buf_cstr(&query);
	return s3_send(s, &c, &resp, err);
}

static int
abort_on_page(struct s3 *s, const struct page *p, const char *prefix, size_t *aborted,
	      struct err *err)
{
	CLEANUP(buf_done) struct buf key = BUF_INIT(S3_KEY_MAX);
	int64_t begun;

	for (const struct xml_node *n = xml_child(p->root, "Upload"); n;
	     n = xml_next(n, "Upload")) {
		const char *text = xml_text(n, "Key"), *id = xml_text(n, "UploadId");
		const char *when = xml_text(n, "Initiated");

		if (!text || !id || !when || !time_parse_iso(sv_of(when), &begun))
			return err_set(err, ERR_DATA, "a listed upload lacks key, id or time");
		if (decode_key(p, text, &key, err) < 0)
			return -1;
		if (!sv_starts(buf_view(&key), sv_of(prefix)) ||
		    p->server_wall_ms - begun < S3_UPLOAD_AGE_MS)
			continue;
		if (abort_one(s, buf_cstr(&key), id, err) < 0)
			return -1;
		(*aborted)++;
	}
	return 0;
}

int
s3_abort_old(struct s3 *s, const char *prefix, size_t *ret_aborted, struct err *err)
{
	CLEANUP(buf_done) struct buf query = BUF_INIT(6 * TOKEN_MAX);
	CLEANUP(page_done) struct page p = {0};

	/* One page: a thousand of them are not the leftovers of a few runs, and more go the next
	 * time. */
	*ret_aborted = 0;
	buf_str(&query, "uploads=&encoding-type=url");
	form_add(&query, "prefix", sv_of(prefix));
	if (buf_check(&query, "query", err) < 0)
		return -1;
	if (get_page(s, "ListMultipartUploads", buf_cstr(&query), "ListMultipartUploadsResult", &p,
		     err) < 0)
		return -1;
	return abort_on_page(s, &p, prefix, ret_aborted, err);
}
