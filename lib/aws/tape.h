/*
 * Recording AWS's answers and giving them again: two transports that stand in curl's place, below signing, so that a recorded
 * and a replayed run execute the same code down to the last layer.
 *
 * Nothing gets on a cassette because nobody thought of it: services, headers and the fields of STS's requests are lists of what
 * may. STS's answers are written anew with made-up keys, and whatever the request was signed with is looked for in all that is
 * kept. Only reads of AWS are recorded; what goes to receivers and buckets passes by.
 */
#ifndef MUSTER_AWS_TAPE_H
#define MUSTER_AWS_TAPE_H

#include <stdatomic.h>

#include "net/cassette.h"
#include "net/transport.h"

/* ---- what may be kept ---- */

bool tape_records(const char *service);
/* The exchange as it may be kept. */
int tape_mask(const struct http_req *req, const struct http_resp *resp, int result, const struct err *why,
    struct exchange **ret, struct err *err);
/*
 * What a request is known by. Strict: service, operation, account, region, path and body, without what differs from run to run
 * (session names). Loose: without the times and page tokens in the body, too.
 */
int tape_key(const struct exchange *e, bool loose, struct buf *out, struct err *err);

/* ---- recording ---- */

struct recording {
	struct cassette *cassette;
	struct err failed; /* why the first exchange that is missing is missing */
};
/* Around `next` (owned); the recording is borrowed. What cannot be kept is remembered in it, the run goes on. */
int record_transport_new(struct transport *next, struct recording *r, struct transport **ret, struct err *err);

/* ---- replaying ---- */

/* Takes what is no read of AWS: 0 with *resp filled as a success, -1 with *err. */
struct tape_outlet {
	int (*take)(void *arg, const struct http_req *req, struct http_resp *resp, struct err *err);
	void *arg;
};
struct tape_report {
	atomic_uint_least64_t served; /* calls so far */
	/* When the transport was freed: */
	size_t unmatched; /* calls without an answer */
	size_t unused;	  /* exchanges that nobody asked for */
	struct err first; /* the first call without an answer */
};
/*
 * Answers each call with the next unused exchange of its strict key, else of its loose key. When all of a key were used, a
 * failure that was the last one goes on, and STS answers again (how often it is asked depends on workers). A call without an
 * answer is ERR_REJECTED and names the nearest exchange. All is borrowed but the transport.
 */
int replay_transport_new(const struct cassette *c, const struct tape_outlet *outlet, struct tape_report *report,
    struct clock *clock, struct transport **ret, struct err *err);

#endif
