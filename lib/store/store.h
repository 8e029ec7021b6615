/*
 * Stores hold the lake, the checkpoints and the reports alike: a flat space of keys ("a/b/c"),
 * values of bytes, conditional writes.
 *
 * A put counts as done only when it is durable. Keys are relative to the store's prefix.
 * Thread-safe.
 */
#ifndef MUSTER_STORE_STORE_H
#define MUSTER_STORE_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "aws/trial.h"
#include "base/spool.h"

struct cred_source;
struct transport;

#define STORE_ETAG_MAX 96
#define STORE_META_MAX 4

struct store_meta {
	const char *name, *value; /* lower-case [a-z0-9-]; value printable ASCII */
};
enum store_cond { STORE_ANY, STORE_CREATE, STORE_MATCH };
struct store_put {
	enum store_cond cond;
	const char *etag; /* STORE_MATCH */
	struct store_meta meta[STORE_META_MAX];
	size_t n_meta;
	const char *content_type;
};
struct store_info {
	char etag[STORE_ETAG_MAX];
	/* Filled for the names the caller asks in `want` of store_get; "" if absent. */
	char meta[STORE_META_MAX][128];
};

struct store;
struct store_lock;
struct store_ops {
	const char *name;
	/* ERR_NOTFOUND if there is none; out's ceiling holds. info may be NULL. want: metadata
	 * names (NULL-terminated) or NULL. */
	int (*get)(struct store *s, const char *key, const char *const *want, struct buf *out,
		   struct store_info *info, struct err *err);
	/* ERR_CONFLICT: the condition did not hold. ret_etag may be NULL. */
	int (*put)(struct store *s, const char *key, struct sv body, const struct store_put *opt,
		   char ret_etag[STORE_ETAG_MAX], struct err *err);
	/* The same for objects that may not fit in memory; *out is empty before. NULL: by way of memory.
	 * put_spool: STORE_MATCH is ERR_USAGE. */
	int (*get_spool)(struct store *s, const char *key, const char *const *want,
			 struct spool *out, struct store_info *info, struct err *err);
	int (*put_spool)(struct store *s, const char *key, const struct spool *body,
			 const struct store_put *opt, char ret_etag[STORE_ETAG_MAX],
			 struct err *err);
	/* n bytes of the object from `at` on, into *out, which is empty before; ERR_DATA if it has not so many.
	 * NULL: by way of get_spool. */
	int (*get_range)(struct store *s, const char *key, uint64_t at, uint64_t n,
			 struct spool *out, struct err *err);
	/* Calls fn for every key that begins with prefix, sorted bytewise; fn != 0 ends it (which
	 * is no error). fn may call the store. */
	int (*list)(struct store *s, const char *prefix, int (*fn)(const char *key, void *arg),
		    void *arg, struct err *err);
	/* A missing object is fine. */
	int (*del)(struct store *s, const char *key, struct err *err);
	/* The same, of the object with this etag only (ERR_CONFLICT: it is another one). NULL: as del. */
	int (*del_match)(struct store *s, const char *key, const char *etag, struct err *err);
	/* A lock that ends with the process, or NULL if this store has none. ERR_CONFLICT: another
	 * process holds it. */
	int (*lock)(struct store *s, const char *key, struct store_lock **ret, struct err *err);
	void (*unlock)(struct store *s, struct store_lock *l);
	void (*free)(struct store *s);
};
struct store {
	const struct store_ops *ops;
};
static inline int
store_get(struct store *s, const char *key, const char *const *want, struct buf *out,
	  struct store_info *info, struct err *err)
{
	return s->ops->get(s, key, want, out, info, err);
}
static inline int
store_put(struct store *s, const char *key, struct sv body, const struct store_put *opt,
	  char ret_etag[STORE_ETAG_MAX], struct err *err)
{
	return s->ops->put(s, key, body, opt, ret_etag, err);
}
int store_get_spool(struct store *s, const char *key, const char *const *want, struct spool *out,
		    struct store_info *info, struct err *err);
int store_put_spool(struct store *s, const char *key, const struct spool *body,
		    const struct store_put *opt, char ret_etag[STORE_ETAG_MAX], struct err *err);
int store_get_range(struct store *s, const char *key, uint64_t at, uint64_t n, struct spool *out,
		    struct err *err);
int store_del_match(struct store *s, const char *key, const char *etag, struct err *err);
void store_free(struct store *s);
/* Keys: 1-1000 bytes of [A-Za-z0-9._=-] and '/', no empty, "." or ".." part, no part beginning with
 * '.' or longer than 255. */
bool store_key_valid(const char *key);
/* What list takes: nothing, a key, the beginning of one up to any byte that leaves a valid key, or
 * a key with a '/' behind it. */
bool store_prefix_valid(const char *prefix);
/* For the stores themselves: ERR_USAGE for a bad key, metadata or condition. */
int store_key_check(const char *key, struct err *err);
int store_put_check(const char *key, const struct store_put *opt, struct err *err);
/* put and del of a store that was opened to be read: ERR_USAGE. */
int store_refuse_put(struct store *s, const char *key, struct sv body, const struct store_put *opt,
		     char ret_etag[STORE_ETAG_MAX], struct err *err);
int store_refuse_del(struct store *s, const char *key, struct err *err);

/* file:///dir. The folder is made if need be; every operation works below its descriptor and
 * follows no symbolic link. Refused (ERR_LOCAL) if the folder cannot be written, is itself a
 * symbolic link, or is writable for everybody. Hidden folders of its own: `.tmp` for what is being
 * written, `.locks`. An object's etag is the SHA-256 of its bytes; metadata are extended
 * attributes user.muster.<name>, set before the object appears (left out where the file system has
 * none). STORE_MATCH is a read-compare-replace under a lock file. */
int store_file_new(const char *dir, struct store **ret, struct err *err);
/* The same to be read only: nothing is made, not even the folder (ERR_NOTFOUND if there is none). It
 * may be writable for nobody. Has no locks. */
int store_file_look(const char *dir, struct store **ret, struct err *err);
/* In memory, for tests. */
int store_mem_new(struct store **ret, struct err *err);

/* What a store on the network needs; borrowed, outlives it. */
struct store_env {
	struct transport *transport;
	struct cred_source *creds;
	const char *region;	    /* where a bucket is looked for first */
	const char *expected_owner; /* 12 digits, NULL: not checked */
	const char *kms_key;	    /* NULL: as the bucket says */
	/* To look at what is there: nothing is written, not even the probe, and puts and deletes are
	 * refused. A folder that does not exist is ERR_NOTFOUND. */
	bool read_only;
	bool unconditional; /* no put will have a condition: whether they are kept to is not tried */
	int64_t grace_ms; /* so long after a cancellation it can still be used; see struct http_req */
};
/* s3://bucket/prefix, given without the scheme. Nothing is written but the object `.muster-probe` below the prefix, create-only, to see
 * that the store keeps to conditions: ERR_LOCAL if it does not. Metadata are x-amz-meta-muster-<name>. Has no locks. */
int store_s3_new(struct sv bucket_and_prefix, const struct store_env *env, struct store **ret,
		 struct err *err);

/* By URL: file:///dir or s3://bucket/prefix. One row a scheme in store.c. env may be NULL for file://. */
int store_open(const char *url, const struct store_env *env, struct store **ret, struct err *err);

/* Tries out what whoever opens this URL will do with it (read, write, conditional writes), so that nothing stays behind and
 * nothing that is there changes. -1 only if there was nothing to try: a bad URL, no credentials. */
int store_try(const char *url, const struct store_env *env, const struct trials *to, struct err *err);
/* One row a scheme, as for opening: */
int store_file_try(const char *dir, const struct trials *to, struct err *err);
int store_s3_try(struct sv bucket_and_prefix, const struct store_env *env, const struct trials *to,
		 struct err *err);

#endif
