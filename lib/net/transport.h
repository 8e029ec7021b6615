/*
 * One HTTP exchange behind a table.
 *
 * Transports stack: retry > sign > limit > count > curl. Each holds the next one down and adds one duty; a replayed
 * run puts another one at the bottom and runs the same code above it. All transports are thread-safe: any
 * number of workers may be inside send() at once.
 *
 * send() returns 0 when a complete answer with a 2xx status came, -1 otherwise with *err telling kind, status,
 * the service's code and its request id. *resp holds whatever answer came in both cases (status 0: none). The
 * caller owns *resp before and after the call (resp_init, resp_done) and may use it again.
 */
#ifndef MUSTER_NET_TRANSPORT_H
#define MUSTER_NET_TRANSPORT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/clock.h"

struct cred_source; /* lib/aws/cred.h; only the signing transport looks inside */

enum http_auth {
	AUTH_NONE,
	AUTH_SIGV4,  /* with creds, service, region below */
	AUTH_HEADER, /* the header in `auth_header` (basic, bearer), never logged or recorded */
};

/* How answers of this API spell their errors: picks the classifier in lib/aws/aws_err.h. */
enum http_proto {
	PROTO_PLAIN,        /* status only (remote write, Prometheus API) */
	PROTO_AWS_JSON,     /* __type, message */
	PROTO_AWS_QUERY,    /* ErrorResponse/Error/Code */
	PROTO_AWS_REST_XML, /* Error/Code (S3) */
	PROTO_AWS_CBOR,
};

#define HTTP_MAX_HEADERS 24

struct http_header {
	const char *name;  /* as it goes on the wire; compared without case */
	const char *value; /* without CR or LF */
};

struct http_limits {
	int64_t connect_ms;    /* 0: the default below, for each */
	int64_t first_byte_ms; /* from request sent to first byte of the answer */
	int64_t stall_ms;      /* no byte for this long ends the transfer */
	int64_t total_ms;
	size_t max_body; /* ceiling of the answer's body */
};
#define HTTP_CONNECT_MS    5000
#define HTTP_FIRST_BYTE_MS 30000
#define HTTP_STALL_MS      15000
#define HTTP_TOTAL_MS      120000
#define HTTP_MAX_BODY      (64u << 20)

struct http_req {
	const char *method; /* GET, POST, PUT, ... */
	const char *url;    /* complete and already percent-encoded: what is signed is what is sent */
	struct http_header headers[HTTP_MAX_HEADERS]; /* without Host, Authorization, Content-Length, x-amz-date */
	size_t n_headers;
	struct sv body;
	struct http_limits limits;

	/* Who is asked for what: keys of rate limits, counters, cassettes and log lines. Never NULL. */
	const char *service;   /* sts, monitoring, logs, s3, aps, ... ; also SigV4's service name */
	const char *operation; /* AssumeRole, GetMetricData, RemoteWrite, ... */
	const char *account;   /* account whose quota is used; "" for none */
	const char *region;    /* SigV4's region */

	enum http_auth auth;
	struct cred_source *creds; /* AUTH_SIGV4 */
	const char *auth_header;   /* the Authorization value; for AUTH_SIGV4 the signing transport sets it */
	enum http_proto proto;
	bool s3_rules;    /* SigV4: path taken as it is, x-amz-content-sha256 sent */
	/* For calls that bill twice: not sent again where the first may have been done (ERR_TRANSIENT), and on a connection
	 * of its own, where libcurl sends nothing again. */
	bool no_retry;
	bool direct;      /* never through a proxy: metadata and container endpoints */
	bool unrecorded;  /* no cassette keeps it: it is about our own credentials */
	bool retry_429;   /* PROTO_PLAIN: 429 is throttling (always so for AWS protocols) */
	int64_t deadline_mono_ms; /* 0: none; no attempt and no wait goes beyond it */
	/* So long after a cancellation it still goes on, with its retries: for the last words of a run, which has to end
	 * by then. 0: it ends at once. */
	int64_t grace_ms;
	/* Called by the thread that sends, as the answer's body comes: how many bytes have come, and how many there will be
	 * (as many, if nobody says). May take its time: the peer waits. NULL: nobody asks. */
	void (*arrived)(void *arg, size_t have, size_t all);
	void *arrived_arg;
};

struct http_resp {
	int status;         /* 0: no answer */
	struct buf body;    /* decoded (gzip) bytes */
	struct buf headers; /* "name: value\n" lines, names in lower case */
	int attempts;       /* filled by the retry layer, 1 = first try worked */
};

void resp_init(struct http_resp *r, size_t max_body);
void resp_reset(struct http_resp *r); /* keeps memory */
void resp_done(struct http_resp *r);
/* The first value of a header (lower-case name), or false. */
bool resp_header(const struct http_resp *r, const char *name, struct sv *ret);
/* Append a header to a request; ERR_USAGE when there is no room or the value holds CR, LF or NUL. */
int req_header(struct http_req *r, const char *name, const char *value, struct err *err);

struct transport;
struct transport_ops {
	const char *name;
	int (*send)(struct transport *t, const struct http_req *req, struct http_resp *resp, struct err *err);
	void (*free)(struct transport *t); /* frees this one and all below */
};
struct transport {
	const struct transport_ops *ops;
};
static inline int
transport_send(struct transport *t, const struct http_req *req, struct http_resp *resp, struct err *err)
{
	return t->ops->send(t, req, resp, err);
}
void transport_free(struct transport *t);

/*
 * The bottom: libcurl. Keeps a pool of handles with their connections (the one that last spoke to the host first, else the
 * most recently used); names, TLS sessions and one trust store (read when the first https URL comes) are shared. Follows no
 * redirect, verifies TLS, reads proxies from the environment, never uses one for loopback or link-local addresses. Asks for
 * plain bytes unless the request has an Accept-Encoding of its own, and decodes what comes compressed (not with s3_rules); what
 * max_body bounds are the decoded bytes.
 *
 * Without a complete answer: ERR_TRANSIENT for whatever may pass (names, connections, time-outs, cut-off answers), ERR_DATA for
 * an answer larger than allowed, ERR_REJECTED for a certificate that is not trusted, ERR_USAGE for a request that must not leave
 * (control characters, other schemes, unsigned). Time-outs of transfers go by the machine's clock; `clock` (NULL: the real one)
 * gives the deadline and cancels: a cancelled clock ends a transfer within 200 ms.
 *
 * The process should ignore SIGPIPE.
 */
struct curl_options {
	const char *ca_bundle;  /* PEM file, NULL: the system's */
	const char *user_agent; /* NULL: muster/VERSION */
	struct clock *clock;
	/* Called for every exchange with its answer to sort it: returns 0 for success, else -1 with *err filled.
	 * NULL: only the status counts (2xx). lib/aws/aws_err.h has the one for AWS. */
	int (*classify)(const struct http_req *req, const struct http_resp *resp, struct err *err);
};
int curl_transport_new(const struct curl_options *opt, struct transport **ret, struct err *err);
/* Before the first thread and after the last. Gives libcurl memory that is wiped when freed. */
int curl_transport_global_init(struct err *err);
void curl_transport_global_done(void);

/*
 * Rate limits: one token bucket for each (account, region, service, operation), made at first use with the rates of
 * `rates` (first match; NULL operation matches all; ends with a row whose service is NULL). A full bucket holds one
 * second's worth, at least 1. On ERR_THROTTLED from below, the bucket's rate falls to 0.7 of itself and grows back
 * (the SDKs' adaptive mode), so one tenant's throttling slows only that tenant. What is not in `rates` (borrowed) is not limited.
 * Waits end at req->deadline_mono_ms (ERR_THROTTLED) or when the clock is cancelled.
 */
struct rate_row {
	const char *service, *operation;
	double per_second;
};
int limit_transport_new(struct transport *next, const struct rate_row *rates, struct clock *clock,
    struct transport **ret, struct err *err);

/*
 * Retries as the SDKs' standard mode: `max_attempts` (3 with the first), delay random(0,1) * min(base * 2^i, 20 s), base 50 ms
 * for transient and 1 s for throttling, a bucket of 500 tokens for each (account, service): a retry costs 14 (throttled 5), success
 * pays back; empty: no retry. Retry-After and x-amz-retry-after are honoured, clamped to [computed, computed + 5 s]
 * (Retry-After of PROTO_PLAIN receivers up to 30 s). ERR_EXPIRED and ERR_SKEW are tried again once at once, not
 * counted (the signing layer below has repaired their cause). All waits end at the deadline or cancellation.
 */
int retry_transport_new(struct transport *next, int max_attempts, uint64_t seed, struct clock *clock, struct transport **ret,
    struct err *err);

/* Counters by (account, service, operation, code) for report and self metrics; sits above curl so that every attempt counts. */
struct call_count {
	const char *service, *operation, *account, *code; /* "200", or the service's code, HTTP status or kind of error; cut to fit */
	uint64_t calls, bytes_out, bytes_in;
};
struct tally;
struct call_counts; /* thread-safe table */
struct call_counts *call_counts_new(void);
void call_counts_free(struct call_counts *c);
/* A sorted copy (service, operation, account, code); the caller frees *ret. Its strings are those of c. */
int call_counts_get(struct call_counts *c, struct call_count **ret, size_t *ret_n, struct err *err);
/* Signed calls that were for no tally (tally.h), since this was last called: added to *to. */
void call_counts_take(struct call_counts *c, struct tally *to);
int count_transport_new(struct transport *next, struct call_counts *counts, struct transport **ret, struct err *err);

#endif
