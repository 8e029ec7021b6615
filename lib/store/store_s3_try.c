/*
 * Trying out a bucket so that nothing stays behind.
 *
 * Where a run has left its probe object, that one serves: it is created again, and replaced under
 * another ETag, which S3 answers with 412 to whoever may write, and with 403 to others. Where there
 * is none, one is created and removed again, but only by a role that may remove objects, which
 * muster's needs not. Others send one that arrives damaged: S3 looks at the permission first and
 * refuses the bytes then. What is left out there (If-None-Match) is tried by the first run.
 */
#include <stdio.h>

#include "aws/endpoint.h"
#include "base/cleanup.h"
#include "store/store_s3.h"

#define ARN_MAX 2048

struct attempt {
	const struct s3_store *s;
	const struct trials *to;
	struct buf key;		    /* of the probe object */
	struct buf bucket, objects; /* ARNs, as JSON */
	bool listed;		    /* the bucket could be listed */
};

enum there { ABSENT, THERE, UNSEEN };

static const struct s3_put create = {.create = true, .content_type = "text/plain"};
static const struct s3_put damaged = {
    .create = true, .damaged = true, .content_type = "text/plain"};
static const struct s3_put match = {.match = STORE_S3_PROBE_ETAG, .content_type = "text/plain"};

static void
tell(const struct attempt *a, const char *what, const char *action, const char *note,
     const struct err *err)
{
	const struct trial t = {
	    .result = err ? TRIAL_FAILED : TRIAL_OK,
	    .what = what,
	    .action = action,
	    .resource =
		!strcmp(action, "s3:ListBucket") ? buf_cstr(&a->bucket) : buf_cstr(&a->objects),
	    .note = note,
	    .err = err,
	};

	trial_tell(a->to, &t);
}

static void
tell_unknown(const struct attempt *a, const char *what, const char *note)
{
	const struct trial t = {.result = TRIAL_WARN, .what = what, .note = note};

	trial_tell(a->to, &t);
}

static void
tell_ignored(const struct attempt *a, const char *condition)
{
	struct err err = {0};

	(void)err_set(&err, ERR_LOCAL,
		      "%s ignores the condition %s of a write: two runs could overwrite each "
		      "other's work there; use a store that keeps to it",
		      a->s->url, condition);
	trial_tell(a->to, &(struct trial){
			      .result = TRIAL_FAILED, .what = "conditional write", .err = &err});
}

static int
stop(const char *key, void *arg)
{
	(void)key;
	(void)arg;
	return 1;
}

static void
try_list(struct attempt *a)
{
	struct err err = {0};

	a->listed = s3_list(a->s->s3, a->s->prefix, stop, NULL, &err) == 0;
	tell(a, "list", "s3:ListBucket", NULL, a->listed ? NULL : &err);
}

/* 0: read; -1: not, and told so unless there is none. */
static int
read_probe(const struct attempt *a, struct err *err)
{
	CLEANUP(resp_done) struct http_resp resp;

	resp_init(&resp, 4096);
	return s3_get(a->s->s3, buf_cstr(&a->key), &resp, err);
}

static enum there
try_read(struct attempt *a)
{
	struct err err = {0};

	if (read_probe(a, &err) == 0 || err.kind == ERR_NOTFOUND) {
		tell(a, "read", "s3:GetObject", NULL, NULL);
		return err.kind == ERR_NOTFOUND ? ABSENT : THERE;
	}
	if (trial_denied(&err) && !a->listed)
		tell_unknown(a, "read",
			     "cannot be told: without s3:ListBucket an object that is not there "
			     "looks like one that may not be read");
	else
		tell(a, "read", "s3:GetObject", NULL, &err);
	return UNSEEN;
}

/* 1: refused because of the condition, as it should be; 0: written; -1: failure. */
static int
write_probe(const struct attempt *a, const struct s3_put *how, struct err *err)
{
	if (s3_put(a->s->s3, buf_cstr(&a->key), SV(STORE_S3_PROBE_TEXT), how, NULL, err) == 0)
		return 0;
	return err->kind == ERR_CONFLICT ? 1 : -1;
}

static int
remove_probe(const struct attempt *a)
{
	return s3_delete(a->s->s3, buf_cstr(&a->key), NULL);
}

/* Both conditions on the object that a run has left. */
static void
try_writes_there(const struct attempt *a)
{
	struct err err = {0};
	int kept = write_probe(a, &create, &err);

	if (kept == 0) {
		tell_ignored(a, "If-None-Match");
		return;
	}
	tell(a, "write", "s3:PutObject", NULL, kept < 0 ? &err : NULL);
	if (kept < 0)
		return;
	err_clear(&err);
	kept = write_probe(a, &match, &err);
	if (kept == 0)
		tell_ignored(a, "If-Match");
	else if (kept < 0 && err.kind == ERR_AUTH)
		tell(a, "conditional write", "s3:PutObject",
		     "nothing may be replaced there, whatever the condition", NULL);
	else
		tell(a, "conditional write", "s3:PutObject", NULL, kept < 0 ? &err : NULL);
}

/* An object of our own: created, read, treated like one that a run has left, removed. */
static void
try_create(const struct attempt *a)
{
	struct err err = {0};
	int kept = write_probe(a, &create, &err);

	if (kept < 0) {
		tell(a, "write", "s3:PutObject", NULL, &err);
		return;
	}
	if (kept == 1) { /* a run has left its own meanwhile */
		try_writes_there(a);
		return;
	}
	if (read_probe(a, &err) < 0)
		tell(a, "read", "s3:GetObject", NULL, &err);
	try_writes_there(a);
	if (remove_probe(a) < 0)
		tell_unknown(a, "clean-up",
			     "the object " STORE_S3_PROBE_NAME
			     " could not be removed; it is small, and runs leave it too");
}

/* May one write? Nothing is stored. False: no, or who knows. */
static bool
try_damaged(const struct attempt *a)
{
	struct err err = {0};
	int kept = write_probe(a, &damaged, &err);

	if (kept == 0)
		tell_unknown(a, "write",
			     "the store takes bytes under a checksum that is not theirs; the "
			     "object " STORE_S3_PROBE_NAME " is left there, as runs leave it too");
	else if (kept == 1 || !strcmp(err.code, "BadDigest"))
		tell(a, "write", "s3:PutObject", NULL, NULL);
	else
		tell(a, "write", "s3:PutObject", NULL, &err);
	return kept == 1 || !strcmp(err.code, "BadDigest");
}

/* If-Match on what is not there: 404, or 412. Policies that allow creation only shut it out. */
static void
try_match_absent(const struct attempt *a)
{
	struct err err = {0};
	int kept = write_probe(a, &match, &err);

	if (kept == 0) {
		(void)remove_probe(a);
		tell_ignored(a, "If-Match");
		return;
	}
	if (kept < 0 && !trial_denied(&err)) {
		tell(a, "conditional write", "s3:PutObject", NULL, &err);
		return;
	}
	tell(a, "conditional write", "s3:PutObject",
	     "If-None-Match is tried by the first run, which leaves the object " STORE_S3_PROBE_NAME
	     ": this role may not remove one, and need not",
	     NULL);
}

static void
try_all(struct attempt *a)
{
	enum there there;

	try_list(a);
	there = try_read(a);
	if (there == THERE)
		try_writes_there(a);
	/* Removing what is not there shows whether one may. */
	else if (there == ABSENT && remove_probe(a) == 0)
		try_create(a);
	else if (try_damaged(a) && there == ABSENT)
		try_match_absent(a);
}

int
store_s3_try(struct sv bucket_and_prefix, const struct store_env *env, const struct trials *to,
	     struct err *err)
{
	struct s3_store *s;
	struct attempt a = {
	    .to = to,
	    .key = BUF_INIT(S3_KEY_MAX),
	    .bucket = BUF_INIT(ARN_MAX),
	    .objects = BUF_INIT(ARN_MAX),
	};
	int rc;

	if (store_s3_place(bucket_and_prefix, env, &s, err) < 0)
		return -1;
	a.s = s;
	buf_fmt(&a.key, "%s%s", s->prefix, STORE_S3_PROBE_NAME);
	buf_fmt(&a.bucket, "\"arn:%s:s3:::%s\"", endpoint_partition(env->region), s->bucket);
	buf_fmt(&a.objects, "\"arn:%s:s3:::%s/%s*\"", endpoint_partition(env->region), s->bucket,
		s->prefix);
	rc = buf_check(&a.key, "object key", err);
	if (rc == 0)
		rc = buf_check(&a.objects, "ARN", err);
	if (rc == 0)
		try_all(&a);
	buf_done(&a.key);
	buf_done(&a.bucket);
	buf_done(&a.objects);
	store_free(&s->base);
	return rc;
}
