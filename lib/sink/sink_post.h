/*
 * Sinks that post whole requests to one address and are told only whether a request was taken: Alertmanager's and OTLP's.
 * For the kinds themselves.
 */
#ifndef MUSTER_SINK_SINK_POST_H
#define MUSTER_SINK_SINK_POST_H

#include "sink/sink_http.h"

#define POST_ANSWER_MAX ((size_t)1 << 20)

struct post_sink {
	struct sink base;
	struct sink_http http;
	struct buf url;
};
/* `path`: the API's, added to what is configured unless it stands there already. */
int post_sink_open(const struct sink_ops *ops, const char *path, const struct sink_conf *c, const struct sink_env *env,
		   struct sink **ret, struct err *err);
void post_sink_free(struct sink *s); /* for sink_ops */

/* What is said of a kind's requests. */
struct post_kind {
	const char *service, *operation; /* as reports and limits call them */
	const char *type;                /* Content-Type */
	const char *what;                /* "alerts": what does not fit, in words */
};
/* Thread-safe. 0: taken. 1: the request itself is refused, see *resp and err. -1: the receiver cannot be used. Requests and bytes
 * are counted in `count` (NULL: not). */
int post_sink_send(struct post_sink *s, const struct post_kind *kind, const struct buf *body, const struct publish *p,
		   struct published *count, struct http_resp *resp, struct err *err);

/* Sends the items [from, from + n) in one request. 0: they are dealt with, refused ones on record; 1: they were refused and are more
 * than one; -1: the receiver cannot be used. */
typedef int (*post_part_fn)(void *arg, size_t from, size_t n, struct err *err);
/* A refusal names no item, and the good ones of a refused request may have been taken: halves are sent until the one is found. For
 * receivers to which an item sent again changes nothing. 0 or -1. */
int post_in_halves(post_part_fn send, void *arg, size_t from, size_t n, struct err *err);

/* Whether a request that asks for nothing is taken; `t` has the words for it. */
void post_sink_try(struct post_sink *s, const struct post_kind *kind, const struct buf *empty, struct trial t,
		   const struct trials *to);

#endif
