/*
 * Uploads in parts.
 *
 * An upload exists when CompleteMultipartUpload has answered with a whole result that names an
 * ETag; a status of 200 says nothing, for S3 sends it before it knows. After any other answer the
 * key is looked at: the nonce tells whether the object arrived all the same. What fails for good is
 * aborted, for S3 charges for parts that nobody will ever see.
 */
#include <stdio.h>
#include <stdlib.h>

#include "aws/s3_int.h"
#include "base/cleanup.h"
#include "fmt/uri.h"
#include "fmt/xml.h"

#define ID_MAX		 ((size_t)4 << 10)
#define PART_XML	 512 /* bytes of one <Part>, with room */
#define ANSWER_MAX	 ((size_t)64 << 10)
#define COMPLETE_BYTE_MS 120000 /* S3 may think for minutes before the first byte of the answer */
#define COMPLETE_TRIES	 3
#define UPLOAD_TRIES	 2 /* an upload that S3 has dropped is begun again */

struct upload {
	struct s3_write *w;
	struct buf id;
	struct buf parts; /* the body of CompleteMultipartUpload */
};

static void
upload_done(struct upload *u)
{
	buf_done(&u->id);
	buf_done(&u->parts);
}

/* Text at a path of a document whose root has this name, appended to out; false if it is not there.
 */
static bool
read_answer(const struct http_resp *resp, const char *root, const char *path, struct buf *out)
{
	CLEANUP(xml_freep) struct xml_doc *doc = NULL;
	const char *text;

	if (xml_parse(buf_view(&resp->body), root, &doc, NULL) < 0 ||
	    strcmp(xml_root(doc)->name, root) != 0)
		return false;
	text = xml_text(xml_root(doc), path);
	if (!text || !*text)
		return false;
	buf_str(out, text);
	return buf_ok(out);
}

static int
begin(struct upload *u, struct err *err)
{
	CLEANUP(resp_done) struct http_resp resp;
	struct s3_call c = {.method = "POST",
			    .operation = "CreateMultipartUpload",
			    .key = u->w->key,
			    .query = "uploads="};

	resp_init(&resp, ANSWER_MAX);
	if (s3_call_header(&c, "x-amz-checksum-algorithm", "SHA256", err) < 0 ||
	    s3_write_headers(u->w, &c, err) < 0 || s3_send(u->w->s, &c, &resp, err) < 0)
		return -1;
	if (!read_answer(&resp, "InitiateMultipartUploadResult", "UploadId", &u->id))
		return err_set(err, ERR_TRANSIENT,
			       "the answer to CreateMultipartUpload names no upload");
	return 0;
}

static int
add_query(const struct upload *u, unsigned number, struct buf *query, struct err *err)
{
	if (number)
		buf_fmt(query, "partNumber=%u", number);
	form_add(query, "uploadId", buf_view(&u->id));
	return buf_check(query, "query", err);
}

static int
put_part(struct upload *u, unsigned number, struct sv body, struct err *err)
{
	CLEANUP(resp_done) struct http_resp resp;
	CLEANUP(buf_done) struct buf query = BUF_INIT(6 * ID_MAX);
	struct s3_call c = {
	    .method = "PUT", .operation = "UploadPart", .key = u->w->key, .body = body};
	char checksum[S3_SHA256_TEXT], etag[S3_ETAG_MAX];

	resp_init(&resp, ANSWER_MAX);
	s3_sha256(body, checksum);
	if (add_query(u, number, &query, err) < 0 ||
	    s3_call_header(&c, "x-amz-checksum-sha256", checksum, err) < 0)
		return -1;
	c.query = buf_cstr(&query);
	if (s3_send(u->w->s, &c, &resp, err) < 0)
		return -1;
	if (!s3_text(&resp, "etag", etag, sizeof(etag)) || strpbrk(etag, "<>&"))
		return err_set(err, ERR_TRANSIENT, "the answer to UploadPart names no ETag");
	buf_fmt(&u->parts,
		"<Part><PartNumber>%u</PartNumber><ETag>%s</ETag>"
		"<ChecksumSHA256>%s</ChecksumSHA256></Part>",
		number, etag, checksum);
	return buf_check(&u->parts, "list of parts", err);
}

static uint64_t
body_size(const struct s3_write *w)
{
	return w->spool ? spool_size(w->spool) : w->body.n;
}

/* So large that 10,000 are enough, in whole MiB. */
static size_t
part_size(const struct s3_write *w)
{
	size_t usual = w->spool ? w->s->spool_part : w->s->part_bytes;
	size_t mib = (size_t)1 << 20, least = (size_t)(body_size(w) / S3_PARTS_MAX + 1);

	return least <= usual ? usual : (least + mib - 1) / mib * mib;
}

/* Bytes of the body; those of a spool are read into `room`. */
static int
part_at(const struct s3_write *w, uint64_t at, size_t n, struct buf *room, struct sv *ret,
	struct err *err)
{
	if (!w->spool) {
		*ret = (struct sv){w->body.p + at, n};
		return 0;
	}
	buf_reset(room);
	if (!buf_reserve(room, n))
		return err_nomem(err);
	*ret = (struct sv){room->p, n};
	return spool_read(w->spool, at, room->p, n, err);
}

static int
put_parts(struct upload *u, struct err *err)
{
	size_t size = part_size(u->w);
	uint64_t at = 0, all = body_size(u->w);
	CLEANUP(buf_done) struct buf room = BUF_INIT(size);

	buf_str(&u->parts,
		"<CompleteMultipartUpload xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">");
	for (unsigned number = 1; at < all; number++) {
		size_t n = all - at < size ? (size_t)(all - at) : size;
		struct sv part = {NULL, 0};

		if (part_at(u->w, at, n, &room, &part, err) < 0 ||
		    put_part(u, number, part, err) < 0)
			return err_wrap(err, "part %u", number);
		at += n;
	}
	buf_str(&u->parts, "</CompleteMultipartUpload>");
	return buf_check(&u->parts, "list of parts", err);
}

static int
complete_once(struct upload *u, char ret_etag[S3_ETAG_MAX], struct err *err)
{
	CLEANUP(resp_done) struct http_resp resp;
	CLEANUP(buf_done)
	struct buf query = BUF_INIT(6 * ID_MAX), etag = BUF_INIT(S3_ETAG_MAX - 1);
	struct s3_call c = {.method = "POST",
			    .operation = "CompleteMultipartUpload",
			    .key = u->w->key,
			    .body = buf_view(&u->parts),
			    .first_byte_ms = COMPLETE_BYTE_MS};

	resp_init(&resp, ANSWER_MAX);
	if (add_query(u, 0, &query, err) < 0 || s3_write_conditions(u->w, &c, err) < 0 ||
	    s3_call_header(&c, "Content-Type", "application/xml", err) < 0)
		return -1;
	c.query = buf_cstr(&query);
	if (s3_send(u->w->s, &c, &resp, err) < 0)
		return -1;
	if (!read_answer(&resp, "CompleteMultipartUploadResult", "ETag", &etag))
		return err_set(err, ERR_TRANSIENT,
			       "CompleteMultipartUpload: status %d without a whole result",
			       resp.status);
	(void)snprintf(ret_etag, S3_ETAG_MAX, "%s", buf_cstr(&etag));
	return 0;
}

/* Whether after this answer the object may be there nevertheless. */
static bool
may_be_done(const struct err *err)
{
	return err->kind == ERR_TRANSIENT || err->kind == ERR_THROTTLED ||
	       err->kind == ERR_CONFLICT || err->kind == ERR_NOTFOUND || err->kind == ERR_DATA;
}

static int
complete(struct upload *u, char ret_etag[S3_ETAG_MAX], struct err *err)
{
	struct err why = {0};

	for (int i = 0; i < COMPLETE_TRIES; i++) {
		err_clear(err);
		if (complete_once(u, ret_etag, err) == 0)
			return 0;
		if (!may_be_done(err))
			return -1;
		switch (s3_whose(u->w, ret_etag, &why)) {
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
		if (err->kind != ERR_TRANSIENT || *err->code)
			return -1;
	}
	return -1;
}

/* S3 no longer knows it: it was void after a race (409), or somebody aborted it. */
static bool
is_gone(const struct err *err)
{
	return strcmp(err->code, "NoSuchUpload") == 0 ||
	       strcmp(err->code, "ConditionalRequestConflict") == 0;
}

static void
give_up(struct upload *u)
{
	CLEANUP(resp_done) struct http_resp resp;
	CLEANUP(buf_done) struct buf query = BUF_INIT(6 * ID_MAX);
	struct s3_call c = {
	    .method = "DELETE", .operation = "AbortMultipartUpload", .key = u->w->key};

	resp_init(&resp, ANSWER_MAX);
	if (u->id.n == 0 || add_query(u, 0, &query, NULL) < 0)
		return;
	c.query = buf_cstr(&query);
	/* If that fails too, a later run finds it: s3_abort_old. */
	(void)s3_send(u->w->s, &c, &resp, NULL);
}

static int
upload_once(struct s3_write *w, char ret_etag[S3_ETAG_MAX], struct err *err)
{
	CLEANUP(upload_done)
	struct upload u = {
	    .w = w,
	    .id = BUF_INIT(ID_MAX),
	    .parts = BUF_INIT((size_t)PART_XML * (S3_PARTS_MAX + 1)),
	};

	if (begin(&u, err) == 0 && put_parts(&u, err) == 0 && complete(&u, ret_etag, err) == 0)
		return 0;
	if (!is_gone(err))
		give_up(&u);
	return -1;
}

static int
sum_body(struct s3_write *w, struct err *err)
{
	if (w->spool)
		return spool_sha256(w->spool, w->sha256, err);
	sha256_hex(w->body, w->sha256);
	return 0;
}

int
s3_upload(struct s3_write *w, char ret_etag[S3_ETAG_MAX], struct err *err)
{
	if (sum_body(w, err) < 0)
		return -1;
	for (int i = 1;; i++) {
		err_clear(err);
		if (upload_once(w, ret_etag, err) == 0)
			return 0;
		if (!is_gone(err))
			return -1;
		if (i == UPLOAD_TRIES) {
			err->kind = ERR_TRANSIENT;
			return -1;
		}
	}
}
