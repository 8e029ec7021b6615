/*
 * What happens to a request after the receiver refused it (see the head of rw_bisect.c for the
 * argument).
 *
 * Internal to the remote-write sink: it brings a function that sends a part and says what the
 * receiver answered.
 */
#ifndef MUSTER_SINK_RW_BISECT_H
#define MUSTER_SINK_RW_BISECT_H

#include "sink/rw_encode.h"
#include "sink/sink.h"
#include "sink/sink_http.h"

#define RW_REASON_MAX SINK_REASON_MAX
/* Requests that one cell may cost beyond its plan: what halving down to every single sample takes,
 * and some for probes. Past it the publish fails as transient; nothing is given up. */
#define RW_MAX_BISECT(samples) (2 * (samples) + 1000)
/* A request with more samples than this that may have come before is not halved but probed first.
 */
#define RW_HALVE_MAX 2000u

enum rw_verdict {
	RW_TAKEN,
	RW_REFUSED,   /* for what it holds: 400, 409, 422, or 429 for a limit on series */
	RW_TOO_LARGE, /* 413 */
};
struct rw_answer {
	enum rw_verdict verdict;
	int status;
	bool repeated; /* the transport sent it more than once: an earlier copy may have arrived */
	char reason[RW_REASON_MAX]; /* the receiver's words, one line of printable text; may be
				       empty */
};

struct rw_refusal {
	size_t row, i; /* d->rows[row].values[i] */
	int status;
	const char *reason;
	bool open; /* not yet decided between rejected and already there */
};

struct rw_delivery {
	/* Set by the caller; the rest zero. */
	const struct cell_data *d;
	/* 0 with the answer; -1: the receiver cannot be used now. A part without rows is an empty
	 * request. Counts part->n_samples. */
	int (*send)(void *arg, struct rw_part *part, struct rw_answer *ret, struct err *err);
	void *arg;
	bool maybe_sent;
	bool keeps_good; /* the address says that this receiver keeps a refused request's good
			    samples */
	int64_t out_of_order_ms; /* its out-of-order window */
	struct published *count;

	/* Own. */
	struct rw_refusal *refused;
	size_t n_refused, cap_refused;
	struct arena reasons;
	const char *last_reason;
	uint64_t extra_requests, max_extra;
	bool empty_taken; /* an empty request was taken: refusals are about content */
	bool partial;	  /* has shown that it keeps good samples */
	int64_t head_ms;  /* newest sample known to be taken; valid if any_head */
	bool any_head;
	struct rw_top *top;
};

void rw_delivery_init(struct rw_delivery *v, const struct cell_data *d, struct published *count);
void rw_delivery_done(struct rw_delivery *v);
/* Sends one part and does not rest until each of its samples is taken, there already or refused for
 * good. */
int rw_deliver(struct rw_delivery *v, const struct rw_part *part, struct err *err);
/* Counts the refused samples and calls p->reject for each, in the cell's order. Once, after all
 * parts. */
void rw_delivery_report(struct rw_delivery *v, const struct publish *p);

#endif
