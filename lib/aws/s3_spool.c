/*
 * Reading an object that may not fit in memory: one range after the other, each only of the object
 * that the first one was of.
 */
#include <inttypes.h>
#include <stdio.h>

#include "aws/s3_int.h"
#include "base/cleanup.h"
#include "base/num.h"

#define RANGE_TEXT 64

/* "bytes 0-8388607/12345678"; a whole answer says how long it is by itself. */
static bool
total_size(const struct http_resp *resp, uint64_t at, uint64_t *ret)
{
	char text[128], begins[RANGE_TEXT];
	const char *slash;
	int64_t n;

	if (resp->status != 206) {
		*ret = resp->body.n;
		return at == 0;
	}
	(void)snprintf(begins, sizeof(begins), "bytes %" PRIu64 "-%" PRIu64 "/", at,
		       at + resp->body.n - 1);
	if (!s3_text(resp, "content-range", text, sizeof(text)) ||
	    !sv_starts(sv_of(text), sv_of(begins)))
		return false;
	slash = strchr(text, '/');
	if (!num_i64(sv_of(slash + 1), &n) || n < 0)
		return false;
	*ret = (uint64_t)n;
	return true;
}

static int
get_range(struct s3 *s, const char *key, uint64_t at, uint64_t n, const char *etag,
	  struct http_resp *resp, struct err *err)
{
	struct s3_call c = {.key = key};
	char range[RANGE_TEXT];

	(void)snprintf(range, sizeof(range), "bytes=%" PRIu64 "-%" PRIu64, at, at + n - 1);
	if (s3_call_header(&c, "Range", range, err) < 0 ||
	    (*etag && s3_call_header(&c, "If-Match", etag, err) < 0))
		return -1;
	resp_reset(resp);
	if (s3_get_object(s, &c, resp, err) == 0)
		return 0;
	if (err->kind == ERR_CONFLICT)
		return err_set(err, ERR_TRANSIENT, "it was replaced while it was read");
	return -1;
}

static int
verify(const struct spool *out, const char *told, struct err *err)
{
	char is[SHA256_HEX_LEN + 1];

	if (!*told)
		return 0;
	if (spool_sha256(out, is, err))
		return -1;
	if (strcmp(told, is) != 0)
		return err_set(err, ERR_DATA, "its bytes have another checksum (%s)", told);
	return 0;
}

int
s3_get_spool(struct s3 *s, const char *key, struct spool *out, struct http_resp *resp,
	     struct err *err)
{
	char etag[S3_ETAG_MAX] = "", told[128] = "";
	uint64_t total = 0;

	resp->body.max = s->spool_part > S3_ERROR_ROOM ? s->spool_part : S3_ERROR_ROOM;
	do {
		uint64_t size;

		if (get_range(s, key, spool_size(out), s->spool_part, etag, resp, err) < 0)
			return -1;
		if (!total_size(resp, spool_size(out), &size) || (total && size != total) ||
		    (size && !resp->body.n))
			return err_set(err, ERR_TRANSIENT, "an answer of another range came");
		total = size;
		if (!*etag && !s3_text(resp, "etag", etag, sizeof(etag)))
			return err_set(err, ERR_DATA, "the answer names no ETag");
		(void)s3_text(resp, S3_SHA256_HEADER, told, sizeof(told));
		if (spool_add(out, buf_view(&resp->body), err) < 0)
			return -1;
	} while (spool_size(out) < total);
	return verify(out, told, err);
}

/* What of an answer lies in the range: a service without ranges sends the whole. */
static struct sv
part_of(const struct http_resp *resp, uint64_t at, uint64_t n)
{
	struct sv all = buf_view(&resp->body);

	if (resp->status != 206) {
		if (at >= all.n)
			return SV("");
		all = (struct sv){all.p + at, all.n - at};
	}
	return all.n > n ? (struct sv){all.p, n} : all;
}

int
s3_get_range(struct s3 *s, const char *key, uint64_t at, uint64_t n, struct spool *out,
	     struct err *err)
{
	CLEANUP(resp_done) struct http_resp resp;
	char etag[S3_ETAG_MAX] = "";

	resp_init(&resp, s->spool_part > S3_ERROR_ROOM ? s->spool_part : S3_ERROR_ROOM);
	while (n > 0) {
		uint64_t total, take = n < s->spool_part ? n : s->spool_part;
		struct sv part;

		if (get_range(s, key, at, take, etag, &resp, err) < 0)
			return -1;
		part = part_of(&resp, at, take);
		if (part.n != take || (resp.status == 206 && !total_size(&resp, at, &total)))
			return err_set(err, ERR_TRANSIENT, "an answer of another range came");
		if (!*etag && !s3_text(&resp, "etag", etag, sizeof(etag)))
			return err_set(err, ERR_DATA, "the answer names no ETag");
		if (spool_add(out, part, err) < 0)
			return -1;
		at += take;
		n -= take;
	}
	return 0;
}
