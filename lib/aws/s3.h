/*
 * S3: the objects of one bucket.
 *
 * What matters to those above: a put has happened, has not, or nobody knows, and each is told apart. A put that is
 * answered 412 may have met itself, its own first attempt whose answer was lost; so every put carries a nonce, and the
 * object is looked at before a conflict is reported. A large body goes up in parts, and counts as stored only when S3 has
 * named its ETag.
 *
 * Buckets are addressed as virtual hosts, path-style where that cannot be: with an endpoint of one's own and for names
 * with dots. A bucket in another region is found through S3's answer. Keys are not checked here. Thread-safe.
 */
#ifndef MUSTER_AWS_S3_H
#define MUSTER_AWS_S3_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "aws/cred.h"
#include "base/spool.h"
#include "net/transport.h"

#define S3_KEY_MAX  1024 /* bytes of UTF-8, S3's limit */
#define S3_ETAG_MAX 96
#define S3_META_MAX 6

/* Larger bodies go up in parts: a failed attempt then costs one part. */
#define S3_MULTIPART_ABOVE ((size_t)64 << 20)
/* The size of a part; larger where 10,000 of them, S3's limit, would not be enough. */
#define S3_PART_BYTES ((size_t)16 << 20)
#define S3_PARTS_MAX  10000
#define S3_SPOOL_PART ((size_t)5 << 20) /* the least that S3 takes, but for the last one */
/* Uploads that were left unfinished are aborted when they are so old: none takes that long. */
#define S3_UPLOAD_AGE_MS ((int64_t)24 * 3600 * 1000)

/* Strings are copied; the rest is borrowed. */
struct s3_conf {
	struct transport *transport;
	struct cred_source *creds;
	const char *bucket;
	const char *region;	    /* where it is looked for first */
	const char *expected_owner; /* NULL: whoever owns it */
	const char *kms_key;	    /* NULL: as the bucket says; else SSE-KMS with this key */
	int64_t grace_ms;	    /* of every request; see struct http_req */
	size_t multipart_above, part_bytes, spool_part; /* 0: the above */
};

struct s3;
int s3_new(const struct s3_conf *conf, struct s3 **ret, struct err *err);
void s3_free(struct s3 *s);

struct s3_put {
	bool create;	   /* only if there is none */
	const char *match; /* only in place of the object with this ETag; NULL: whatever there is */
	const char *content_type;
	bool damaged; /* for trials: with a checksum that is not its own, so that it is refused and nothing stored */
	/* "format" goes as x-amz-meta-muster-format; lower case, printable. */
	struct http_header meta[S3_META_MAX];
	size_t n_meta;
};
#define S3_META_PREFIX "x-amz-meta-muster-"

/* ERR_CONFLICT: the condition did not hold. ERR_TRANSIENT: it may have been stored or not. */
int s3_put(struct s3 *s, const char *key, struct sv body, const struct s3_put *opt,
	   char ret_etag[S3_ETAG_MAX], struct err *err);
/* The same for a body that may not fit in memory: one put, or parts of S3_SPOOL_PART. */
int s3_put_spool(struct s3 *s, const char *key, const struct spool *body, const struct s3_put *opt,
		 char ret_etag[S3_ETAG_MAX], struct err *err);
/* The object, in requests of S3_SPOOL_PART, all of one and the same object; its headers in *resp, whose ceiling is set
 * here. Length and, for one that went up in parts, checksum are compared. ERR_NOTFOUND as s3_get. */
int s3_get_spool(struct s3 *s, const char *key, struct spool *out, struct http_resp *resp, struct err *err);
/* n bytes of the object (more than 0) from `at` on, in the same way; their checksum is the caller's to know. */
int s3_get_range(struct s3 *s, const char *key, uint64_t at, uint64_t n, struct spool *out, struct err *err);
/* The object in resp->body (its ceiling holds: ERR_LOCAL), length and checksum compared with what S3 says of it. ERR_NOTFOUND
 * only if S3 says that there is no such key. */
int s3_get(struct s3 *s, const char *key, struct http_resp *resp, struct err *err);
/* Its headers only. ERR_NOTFOUND also without a bucket: the answer has no words. */
int s3_head(struct s3 *s, const char *key, struct http_resp *resp, struct err *err);
/* A missing object is fine. */
int s3_delete(struct s3 *s, const char *key, struct err *err);
/* Only the object with this ETag; ERR_CONFLICT: it is another one. (A service that does not know conditional
 * deletes takes away what is there.) */
int s3_delete_match(struct s3 *s, const char *key, const char *etag, struct err *err);
/* Calls fn for each key that begins with prefix, in order; fn != 0 ends it (which is no error). fn may call s3. */
int s3_list(struct s3 *s, const char *prefix, int (*fn)(const char *key, void *arg), void *arg,
	    struct err *err);
/* Aborts unfinished uploads of keys that begin with prefix and are older than S3_UPLOAD_AGE_MS by S3's clock. */
int s3_abort_old(struct s3 *s, const char *prefix, size_t *ret_aborted, struct err *err);

#endif
