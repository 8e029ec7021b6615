/*
 * One request of a stream and its answer, asked by the worker itself or ahead: while the worker reads the page before.
 *
 * What is asked ahead is what the job's kind takes to follow (`following`, job.h) an answer that nobody has read yet. The
 * answer is taken only if the kind, once it has read, asks for the very same, and then it was a call like any other, made
 * earlier. Else it is dropped: a wrong guess costs a call, and nothing comes of it.
 *
 * Used by the worker that has the stream; only asked.c knows of the thread beside it.
 */
#ifndef MUSTER_RUN_ASKED_H
#define MUSTER_RUN_ASKED_H

#include "aws/aws_call.h"
#include "base/gate.h"
#include "base/tally.h"
#include "run/ahead.h"

#define ASKED_ANSWER_MS 3000 /* healthy services take less for a page, and between two parts of it */
/* A call that takes less is not worth a thread: the hand-over takes some 20 us of two processors. */
#define ASKED_WORTH_MS 5

struct stream;
struct asked {
	struct aws_call call;
	struct http_resp resp;
	int64_t took_ms; /* from the request to the whole answer */
	struct gate_guest guest;
	bool inside; /* the gate for pages, as `guest` */
	const struct stream *stream; /* that asks */
	_Atomic int64_t *away_at_ms; /* its worker's */
	/* Of one that is asked ahead: */
	bool ahead;
	struct ahead_task task;
	int64_t deadline_mono_ms;
	struct tally calls;
	int rc;
	struct err err;
};
/* away_at_ms as in struct worker_mem; borrowed. */
void asked_init(struct asked *a, _Atomic int64_t *away_at_ms);
/* It must not be ahead. */
void asked_done(struct asked *a);

/* Waits until there is room for the answer; ERR_CANCELLED if the run ends first. asked_leave() says that it is not needed
 * any more: buffers are freed, but for small ones. */
int asked_enter(struct asked *a, const struct stream *s, struct err *err);
void asked_leave(struct asked *a, const struct stream *s);
/* Asks, as aws_call_send; expired credentials are worth one more try than the retry layer gave them. */
int asked_send(struct asked *a, const struct stream *s, int64_t deadline_mono_ms, struct err *err);

/* Asks a->call ahead, if there is room for its answer beside that of `now` and a thread that has nothing to do. */
void asked_ahead(struct asked *a, const struct asked *now, const struct stream *s, int64_t deadline_mono_ms);
/* It is ahead, and would be asked like this. */
bool asked_same(const struct asked *a, const struct aws_call *call);
/* Waits for what is ahead: as asked_send. Its calls are the stream's. */
int asked_take(struct asked *a, struct stream *s, struct err *err);
/* Waits for what is ahead, and forgets it. */
void asked_drop(struct asked *a, struct stream *s);

#endif
