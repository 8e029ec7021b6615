/*
 * A transport without a network: answers each call with the next line of a script and remembers what it was asked.
 */
#ifndef MUSTER_TESTS_FAKE_TRANSPORT_H
#define MUSTER_TESTS_FAKE_TRANSPORT_H

#include "net/transport.h"

struct fake_answer {
	enum err_kind kind; /* ERR_NONE: success */
	int status;
	const char *code;
	unsigned retry_after_ms;
	const char *headers; /* "name: value\n" lines */
	const char *body;
	/* Set: sorts the answer instead of the fields above (which then only give status, headers and body). */
	int (*classify)(const struct http_req *req, const struct http_resp *resp, struct err *err);
};

#define FAKE_CALLS 256
struct fake_call {
	int64_t mono_ms; /* when it was sent */
	char *method, *url;
	char *headers;	 /* "Name: value\n" lines, Authorization too */
	char *body;
};

struct fake_transport;
/* After the last answer, all further calls get the last one again. Both are borrowed. */
struct transport *fake_transport_new(const struct fake_answer *answers, size_t n, struct clock *clock);
int fake_calls(struct transport *t);
const struct fake_call *fake_call(struct transport *t, size_t i);

#endif
