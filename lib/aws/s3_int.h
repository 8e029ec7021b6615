/* What the files of s3 share; nobody else includes it. */
#ifndef MUSTER_AWS_S3_INT_H
#define MUSTER_AWS_S3_INT_H

#include <pthread.h>

#include "aws/s3.h"
#include "base/hash.h"

#define S3_REGION_MAX 64
#define S3_BASE_MAX   512
#define S3_ANSWER_MAX ((size_t)16 << 20) /* a page of 1000 keys of 1 kB, written with three characters a byte */

/* Where the bucket is, as far as is known. */
struct s3_place {
	char region[S3_REGION_MAX];
	char base[S3_BASE_MAX]; /* https://bucket.s3.region.amazonaws.com, or https://host/bucket */
};

struct s3 {
	struct transport *transport;
	struct cred_source *creds;
	char *bucket, *expected_owner, *kms_key;
	int64_t grace_ms;
	size_t multipart_above, part_bytes, spool_part;
	pthread_mutex_t mu;
	struct s3_place place; /* guarded by mu */
};

/* One request, but for what all have in common. */
struct s3_call {
	const char *method, *operation;
	const char *key;   /* NULL: about the bucket */
	const char *query; /* encoded; NULL: none */
	struct sv body;
	struct http_header headers[16];
	size_t n_headers;
	int64_t first_byte_ms; /* 0: the default */
};
/* GET, with whatever headers the call has: ERR_NOTFOUND only if there is no such key, ERR_LOCAL for more than resp holds. */
int s3_get_object(struct s3 *s, struct s3_call *c, struct http_resp *resp, struct err *err);
int s3_call_header(struct s3_call *c, const char *name, const char *value, struct err *err);
/* As transport_send; finds the bucket's region and says what went wrong in the operator's words. */
int s3_send(struct s3 *s, const struct s3_call *c, struct http_resp *resp, struct err *err);

/* A header of the answer as text; false if it is absent, empty or too long. */
bool s3_text(const struct http_resp *resp, const char *name, char *out, size_t size);

/* One put on its way, in one piece or in parts. */
#define S3_META_NAME 96
struct s3_write {
	struct s3 *s;
	const char *key;
	struct sv body;
	const struct spool *spool; /* instead of the body; NULL: it is not */
	const struct s3_put *opt;
	char nonce[33];
	char names[S3_META_MAX][S3_META_NAME];
	char sha256[SHA256_HEX_LEN + 1]; /* of the whole body; only for uploads in parts */
};
/* Base64, as the checksum headers want it. */
#define S3_SHA256_TEXT 48
void s3_sha256(struct sv body, char out[S3_SHA256_TEXT]);
/* What is written with the object: metadata, content type, encryption. */
int s3_write_headers(const struct s3_write *w, struct s3_call *c, struct err *err);
int s3_write_conditions(const struct s3_write *w, struct s3_call *c, struct err *err);

enum s3_whose { S3_OURS, S3_THEIRS, S3_NOBODYS, S3_UNKNOWN };
/* Looks whose object is under the key now; *ret_etag if it is ours. err tells why it is unknown. */
enum s3_whose s3_whose(const struct s3_write *w, char ret_etag[S3_ETAG_MAX], struct err *err);
#define S3_SHA256_HEADER S3_META_PREFIX "sha256"
#define S3_ERROR_ROOM	 ((size_t)64 << 10) /* for an <Error>, however small the object may be */
/* Goes up in parts. As s3_put. */
int s3_upload(struct s3_write *w, char ret_etag[S3_ETAG_MAX], struct err *err);

#endif
