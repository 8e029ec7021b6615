/*
 * What sinks that are HTTP receivers have in common: the way they are signed in to (SigV4, basic, a bearer token from a file), the
 * headers of the configuration, the region of an AMP address, and a receiver's words as one line. For the kinds themselves.
 */
#ifndef MUSTER_SINK_SINK_HTTP_H
#define MUSTER_SINK_SINK_HTTP_H

#include <pthread.h>
#include <sys/types.h>
#include <time.h>

#include "base/secret.h"
#include "sink/sink.h"
#include "sink/sink_creds.h"

#define SINK_REASON_MAX 256
#define SINK_REGION_MAX 64

struct sink_http {
	const struct sink_conf *conf;
	const struct sink_env *env;
	struct sink_creds creds; /* for sigv4 */
	char region[SINK_REGION_MAX];
	bool amp;             /* an address of Amazon Managed Prometheus, which is built on Cortex */
	struct secret basic;  /* the Authorization value */
	pthread_mutex_t lock; /* guards what follows */
	struct secret bearer; /* the Authorization value */
	struct timespec token_mtime;
	off_t token_size;
	ino_t token_inode;
};
/* Talks to nobody: a role is assumed with the first request. Close it whatever came; all zero is closed. */
int sink_http_open(struct sink_http *h, const struct sink_conf *c, const struct sink_env *env, struct err *err);
void sink_http_done(struct sink_http *h);
/* Region, authentication and the headers of all requests onto one that says the rest (`service`: its name where it is not signed). `auth`
 * is the caller's, empty at first; it holds the Authorization value while the request lasts. Thread-safe. */
int sink_http_fill(struct sink_http *h, struct http_req *req, struct secret *auth, struct err *err);
/* An API's path behind what is configured, unless it stands there already. */
int sink_http_url(struct buf *out, const char *url, const char *path, struct err *err);
/* The receiver's words as one line: control characters and broken UTF-8 become blanks, of which one is enough. */
void sink_http_reason(struct sv body, char out[SINK_REASON_MAX]);

#endif
