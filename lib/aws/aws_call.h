/*
 * One AWS API call as data: what a job kind says about the next page, before the runner adds account, credentials, endpoint and bounds.
 */
#ifndef MUSTER_AWS_AWS_CALL_H
#define MUSTER_AWS_AWS_CALL_H

#include "aws/cred.h"
#include "net/transport.h"

struct aws_call {
	const char *service;   /* monitoring, logs, ... */
	const char *operation; /* GetMetricData */
	enum http_proto proto;
	const char *target;    /* X-Amz-Target, NULL for Query and CBOR */
	const char *path;      /* "/" by default (NULL) */
	struct buf body;
	size_t max_reply;      /* 0: HTTP_MAX_BODY */
	size_t expect;         /* about how many bytes the answer and what is read from it take; 0: not many */
	int64_t wait_ms;       /* the runner waits so long before it sends (polling, asking again) */
	int64_t first_byte_ms; /* 0: default */
	bool once;	       /* it is billed each time: as no_retry in struct http_req */
	bool optional;	       /* the kind can do without: it is told when this is not allowed, too */
	int64_t grace_ms;      /* as in struct http_req; set by the runner, */
	void (*arrived)(void *arg, size_t have, size_t all); /* and so are these */
	void *arrived_arg;
};
void aws_call_init(struct aws_call *c, size_t max_body);
void aws_call_reset(struct aws_call *c);
void aws_call_done(struct aws_call *c);

/* Where and as whom. */
struct aws_target {
	struct transport *t;
	struct cred_source *creds;
	const char *endpoint; /* base URL of the service */
	const char *account, *region;
	int64_t deadline_mono_ms;
};
/* Send it: content type and target headers by protocol, signed. As transport_send. */
int aws_call_send(const struct aws_call *c, const struct aws_target *to, struct http_resp *resp, struct err *err);

#endif
