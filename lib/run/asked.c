/* Asking, now or ahead; see asked.h. */
#include "run/asked.h"

#include "run/stream.h"

#define CALL_BODY_MAX (4u << 20)
#define KEPT_MAX      ((size_t)8 << 10) /* of buffers, from call to call */

void
asked_init(struct asked *a, _Atomic int64_t *away_at_ms)
{
	*a = (struct asked){.away_at_ms = away_at_ms};
	aws_call_init(&a->call, CALL_BODY_MAX);
	resp_init(&a->resp, HTTP_MAX_BODY);
}

void
asked_done(struct asked *a)
{
	aws_call_done(&a->call);
	resp_done(&a->resp);
	tally_done(&a->calls);
}

/* Its worker does not wait for the peer now: it waits for room, or for what comes next. */
static void
on_arrived(void *arg, size_t have, size_t all)
{
	struct asked *a = arg;
	struct clock *clock = a->stream->env->clock;
	int64_t away_at = atomic_exchange(a->away_at_ms, 0);

	gate_arrived(a->stream->env->pages, &a->guest, have, all, clock);
	if (away_at)
		atomic_store(a->away_at_ms, clock_mono_ms(clock) + ASKED_ANSWER_MS);
}

static void
entered(struct asked *a)
{
	a->inside = true;
	a->call.arrived = on_arrived;
	a->call.arrived_arg = a;
}

int
asked_enter(struct asked *a, const struct stream *s, struct err *err)
{
	if (!s->env->pages)
		return 0;
	if (gate_enter_guest(s->env->pages, &a->guest, a->call.expect, s->env->clock, err))
		return -1;
	a->stream = s;
	entered(a);
	return 0;
}

/* Large bodies are not kept from call to call: each worker would hold one of the largest there was.
 */
void
asked_leave(struct asked *a, const struct stream *s)
{
	if (a->resp.body.cap > KEPT_MAX)
		buf_done(&a->resp.body);
	if (a->call.body.cap > KEPT_MAX)
		buf_done(&a->call.body);
	if (a->inside)
		gate_leave_guest(s->env->pages, &a->guest);
	a->inside = false;
}

static const char *
endpoint_of(const struct stream *s, const struct aws_call *call)
{
	const char *also = s->job->kind->also;

	return also && !strcmp(also, call->service) ? s->endpoint_also : s->endpoint;
}

int
asked_send(struct asked *a, const struct stream *s, int64_t deadline_mono_ms, struct err *err)
{
	const struct aws_target to = {
	    .t = s->env->transport,
	    .creds = s->creds,
	    .endpoint = endpoint_of(s, &a->call),
	    /* Calls about a linked account are this one's, and so are their quotas. */
	    .account = s->js.linked_account ? s->env->account : s->tenant->account,
	    .region = s->js.region,
	    .deadline_mono_ms = deadline_mono_ms,
	};
	int64_t began_ms = clock_mono_ms(s->env->clock);
	int r;

	resp_reset(&a->resp);
	r = aws_call_send(&a->call, &to, &a->resp, err);
	if (r && err->kind == ERR_EXPIRED) {
		resp_reset(&a->resp);
		r = aws_call_send(&a->call, &to, &a->resp, err);
	}
	a->took_ms = clock_mono_ms(s->env->clock) - began_ms;
	return r ? err_wrap(err, "%s", a->call.operation) : 0;
}

/* ---- ahead ---- */

static void
run(void *arg)
{
	struct asked *a = arg;
	struct tally *before = tally_use(&a->calls);

	a->err = (struct err){0};
	a->rc = asked_send(a, a->stream, a->deadline_mono_ms, &a->err);
	(void)tally_use(before);
}

void
asked_ahead(struct asked *a, const struct asked *now, const struct stream *s,
	    int64_t deadline_mono_ms)
{
	struct gate *gate = s->env->pages;

	if (gate && !gate_try_guest(gate, &a->guest, now->inside ? &now->guest : NULL,
				    a->call.expect, s->env->clock))
		return;
	a->stream = s;
	if (gate)
		entered(a);
	a->deadline_mono_ms = deadline_mono_ms;
	a->task = (struct ahead_task){.run = run, .arg = a};
	a->ahead = ahead_begin(s->env->ahead, &a->task);
	if (!a->ahead)
		asked_leave(a, s);
}

static bool
same_text(const char *a, const char *b)
{
	return a == b || (a && b && !strcmp(a, b));
}

bool
asked_same(const struct asked *a, const struct aws_call *call)
{
	const struct aws_call *c = &a->call;

	return a->ahead && !call->wait_ms && !call->once && c->proto == call->proto &&
	       same_text(c->service, call->service) && same_text(c->operation, call->operation) &&
	       same_text(c->target, call->target) && same_text(c->path, call->path) &&
	       c->max_reply == call->max_reply && c->first_byte_ms == call->first_byte_ms &&
	       c->optional == call->optional && sv_eq(buf_view(&c->body), buf_view(&call->body));
}

int
asked_take(struct asked *a, struct stream *s, struct err *err)
{
	ahead_wait(s->env->ahead, &a->task);
	a->ahead = false;
	tally_add_all(&s->calls, &a->calls);
	tally_done(&a->calls);
	if (a->rc)
		*err = a->err;
	return a->rc;
}

void
asked_drop(struct asked *a, struct stream *s)
{
	struct err ignored;

	(void)asked_take(a, s, &ignored);
	asked_leave(a, s);
}
