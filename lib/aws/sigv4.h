/*
 * Signature Version 4 as a pure function (AWS: "Create a signed AWS API request").
 */
#ifndef MUSTER_AWS_SIGV4_H
#define MUSTER_AWS_SIGV4_H

#include <stdbool.h>

#include "aws/cred.h"
#include "base/hash.h"
#include "net/transport.h"

struct sigv4_input {
	struct sv method;
	struct sv path;  /* as on the wire, before '?'; "" counts as "/" */
	struct sv query; /* as on the wire, after '?', "" if none */
	const struct http_header *headers; /* all to be signed, host and x-amz-date among them; any order and case */
	size_t n_headers;
	const char *payload_hash; /* hex, UNSIGNED-PAYLOAD, ... */
	const char *region, *service;
	const char *amz_date; /* YYYYMMDDTHHMMSSZ */
	bool s3_rules;        /* neither normalise nor encode the path again */
	bool no_normalize;    /* not S3, but leave dot segments and double slashes alone (test vectors) */
};

/* Each stage for itself, so that every published vector can be compared at every stage. */
int sigv4_canonical(const struct sigv4_input *in, struct buf *canonical, struct buf *signed_names, struct err *err);
void sigv4_string_to_sign(const struct sigv4_input *in, struct sv canonical, struct buf *out);
void sigv4_signature(const struct sigv4_input *in, const struct secret *key, struct sv string_to_sign, char hex[SHA256_HEX_LEN + 1]);
/* The whole Authorization value. */
int sigv4_authorization(const struct sigv4_input *in, const struct cred *cred, struct buf *out, struct err *err);

/*
 * The signing transport: gets credentials from req->creds at each attempt, adds host, x-amz-date, the session token,
 * x-amz-content-sha256 (S3), signs, sends. Learns the clock offset of each host from Date headers and
 * signs with it. When the answer is ERR_EXPIRED it tells the credential source (stale) so that the next attempt has new
 * ones; ERR_SKEW likewise moves the offset (and becomes ERR_AUTH when the offset did not change).
 */
int sign_transport_new(struct transport *next, struct clock *clock, struct transport **ret, struct err *err);
/* The newest known offset (server - local, ms) of any host, for reports; 0 if none. */
int64_t sign_transport_offset(const struct transport *t);

#endif
