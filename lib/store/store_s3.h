/* What the files of the S3 store share; nobody else includes it. */
#ifndef MUSTER_STORE_STORE_S3_H
#define MUSTER_STORE_STORE_S3_H

#include "aws/s3.h"
#include "store/store.h"

#define STORE_S3_PROBE_NAME ".muster-probe" /* no key of a store begins with a dot */
#define STORE_S3_PROBE_TEXT "muster: shows that this store keeps to the conditions of a write\n"
#define STORE_S3_PROBE_ETAG "\"00000000000000000000000000000000\""

struct s3_store {
	struct store base;
	struct s3 *s3;
	char *url;    /* for messages */
	char *bucket; /* its name */
	char *prefix; /* "" or with '/' at the end */
};

/* Where it is, and nothing more: nobody is asked. */
int store_s3_place(struct sv bucket_and_prefix, const struct store_env *env, struct s3_store **ret,
		   struct err *err);

#endif
