/*
 * CloudWatch Logs Insights: the log groups are listed every now and then, and each cell's events
 * are asked for in one query, or in as many as it takes (insights_read.c).
 *
 * A query is paid for when it starts. So its id goes into the memo before anything waits for it
 * (memo_urgent), and a pull of the same cells that finds ids in its memo collects their results
 * instead of starting again; results are kept for a week. The memo holds the log groups too: an ask
 * names its groups by their place in that list, so a new list is put behind one that asks still
 * need.
 *
 * Polling goes in rounds: each query that runs is looked at once, then there is a pause, which
 * grows; so it is with a page of a result that is not ready, though those before it were. As soon
 * as one has ended the next is started. A start that finds no free slot waits for
 * the end of the round, and polls go on meanwhile. Where queries may have been started that are not
 * known, the service is asked for them first (insights_lost.c).
 *
 * A second asking of a cell that is done (`revisit: once`) has a part of the memo of its own, so
 * that neither asking makes the other forget what it has paid for. Its queries differ from the
 * first ones by their mark alone.
 *
 * Where a pull begins: insights_open.c and insights_plan.c; what it leaves to the next one:
 * insights_memo.c; what becomes of it: insights_harvest.c.
 *
 * next() only builds; what moves the pull on is a reply that could be read whole. So a request may
 * be sent any number of times.
 */
#include <stdlib.h>

#include "base/cleanup.h"
#include "jobs/insights_pull.h"

#define AGAIN_BUDGET "not asked for a second time: scan_budget is used up for this day"

/* Polling: from POLL_FIRST_MS up; the service allows ten polls a second for all queries. */
#define POLL_MAX_MS 5000
/* How often one is looked at, for what is foreseen: half a second after its start it mostly still
 * runs, a second later it is done. */
#define INSIGHTS_POLLS 2
/* No slot is free, or the service asks for fewer calls. */
#define STARVED_MS 2000
/* 50 groups a page, a million groups in an account (service limit). */
#define LIST_PAGES_MAX 20000
#define RESTARTS_MAX   3
#define ROW_MEMORY     1000		   /* bytes that a row takes, with its line */
#define UNKNOWN_MEMORY ((size_t)3 << 20)   /* where no cell before tells what to expect, */
#define GUESSED_MEMORY ((size_t)512 << 10) /* and where pages do, at least */
#define PAGE_MAX       ((size_t)10 << 20)  /* larger ones are asked for again with fewer rows */
#define PEEK_BYTES     ((size_t)16 << 10)  /* of either end of a page, for its token */

void
insights_close(struct pull *p)
{
	if (!p)
		return;
	lost_done(p);
	json_decref(p->other);
	paging_done(&p->paging);
	buf_done(&p->text);
	buf_done(&p->line);
	asks_done(&p->asks);
	free(p->rd.streams);
	row_merge_free(p->merge);
	row_runs_done(&p->runs);
	free(p->rows);
	free(p->gaps);
	arena_done(&p->lines);
	arena_done(&p->page);
	arena_done(&p->mem);
	free(p);
}

/* The list */

static int
list_next(struct pull *p, struct aws_call *call, struct err *err)
{
	p->doing = LISTING;
	return logs_groups_call(p->prefixes.v[p->prefix_at], p->s->linked_account, p->paging.token,
				call, err)
		   ? -1
		   : 1;
}

static int
list_reply(struct pull *p, struct sv body, struct err *err)
{
	struct logs_groups_page page;

	arena_reset(&p->page);
	if (logs_groups_read(body, &p->page, &page, err))
		return -1;
	if (paging_go_on(&p->paging, page.token, LIST_PAGES_MAX, err))
		return -1;
	if (groups_add(&p->groups, p->o, &page, &p->mem, err))
		return -1;
	if (page.token)
		return 0;
	paging_begin(&p->paging);
	if (++p->prefix_at < p->prefixes.n)
		return 0;
	p->groups.listed_ms = p->now_ms;
	return groups_end(&p->groups, p->o, err) ? -1 : insights_plan(p, err);
}

/* Asking */

static size_t
count_state(const struct pull *p, enum ask_state state)
{
	size_t n = 0;

	for (size_t i = 0; i < p->asks.n; i++)
		n += p->asks.v[i].state == state;
	return n;
}

static bool
nothing_to_ask(const struct pull *p, const struct ask *a)
{
	for (size_t i = a->g0; i < a->g1; i++)
		if (groups_alive(&p->groups.v[i], a->to_ms, p->now_ms))
			return false;
	return true;
}

/* The first ask that has not been started; p->asks.n: none. */
static size_t
next_new(struct pull *p)
{
	size_t i = 0;

	for (; i < p->asks.n; i++) {
		struct ask *a = &p->asks.v[i];

		if (a->state != ASK_NEW)
			continue;
		if (!nothing_to_ask(p, a))
			break;
		a->state = ASK_DONE;
	}
	return i;
}

static int
compose(struct pull *p, const struct ask *a, struct err *err)
{
	const struct insights_part part = {
	    .from_ms = a->from_ms,
	    .to_ms = a->to_ms,
	    .streams = a->streams,
	    .n_streams = a->n_streams,
	    .sources = p->sources,
	    .n_sources = p->n_sources,
	};

	buf_reset(&p->text);
	if (a->lists)
		insights_query_streams(&part, &p->text);
	else
		insights_query_compose(&p->o->q, &part, &p->text);
	return lost_mark(p, a, &p->text, err);
}

/* It was started already, and what it brings is collected. p->text is its query. */
static bool
adopted(struct pull *p, size_t at)
{
	const char *id = lost_found(p, buf_cstr(&p->text));

	if (!id)
		return false;
	p->asks.v[at].id = id;
	p->asks.v[at].state = ASK_RUNNING;
	p->collected = true;
	p->poll_ms = POLL_FIRST_MS;
	p->changed = p->urgent = true;
	return true;
}

/* With the query in p->text. Seconds around the part: the end second covers only its first
 * millisecond, and the filter in the query is what is exact. */
static int
start_next(struct pull *p, size_t at, struct aws_call *call, struct err *err)
{
	const struct ask *a = &p->asks.v[at];
	const char *names[LOGS_GROUPS_MAX];
	struct logs_start_req q = {
	    .groups = names,
	    .arn = p->arn,
	    .start_s = a->from_ms / 1000,
	    .end_s = (a->to_ms - 1 + 999) / 1000,
	    .limit = p->o->q.limit && !a->lists ? 0 : p->limit,
	};

	p->doing = STARTING;
	p->at = at;
	for (size_t i = a->g0; !p->n_sources && i < a->g1; i++)
		if (groups_alive(&p->groups.v[i], a->to_ms, p->now_ms))
			names[q.n_groups++] = p->groups.v[i].name;
	if (q.end_s <= q.start_s)
		q.end_s = q.start_s + 1;
	q.query = buf_cstr(&p->text);
	return logs_start_call(&q, call, err) ? -1 : 1;
}

/* A page and the lines made of it: as the last one, or as the cell before lets expect. A first run
 * does not know: two of its calls may be under way together, until pages have come that tell. */
static size_t
page_memory(const struct pull *p)
{
	const struct ask *a = &p->asks.v[p->at];
	double rows = insights_expected_rows(p, a->to_ms - a->from_ms);
	double most = (double)(p->items ? p->items : p->limit);

	if (p->in_pages)
		return 2 * p->page_size;
	if (p->ms_before <= 0 && !p->page_size)
		return UNKNOWN_MEMORY;
	if (p->ms_before <= 0)
		return 2 * p->page_size > GUESSED_MEMORY ? 2 * p->page_size : GUESSED_MEMORY;
	return (size_t)((rows < most ? rows : most) * ROW_MEMORY);
}

static int
results_next(struct pull *p, const char *token, struct aws_call *call, struct err *err)
{
	if (p->items > 1)
		call->max_reply = PAGE_MAX;
	call->expect = page_memory(p);
	return logs_results_call(p->asks.v[p->at].id, p->items, token, call, err) ? -1 : 1;
}

static void
pause_poll(struct pull *p, struct aws_call *call)
{
	call->wait_ms = p->poll_ms;
	p->poll_ms = p->poll_ms * 3 / 2 < POLL_MAX_MS ? p->poll_ms * 3 / 2 : POLL_MAX_MS;
}

static int
poll_next(struct pull *p, struct aws_call *call, struct err *err)
{
	size_t i = p->poll_at;

	while (i < p->asks.n && p->asks.v[i].state != ASK_RUNNING)
		i++;
	if (i == p->asks.n) { /* a new round */
		p->round_begun = p->starved = false;
		for (i = 0; p->asks.v[i].state != ASK_RUNNING;)
			i++;
	}
	if (!p->round_begun)
		pause_poll(p, call);
	p->round_begun = true;
	p->doing = POLLING;
	p->at = i;
	p->poll_at = i;
	return results_next(p, NULL, call, err);
}

static bool
budget_gone(const struct pull *p)
{
	return p->o->scan_budget && p->spent + p->elsewhere >= p->o->scan_budget;
}

/* What has not been started is not started any more. */
static int
give_up_rest(struct pull *p, struct err *err)
{
	for (size_t i = 0; i < p->asks.n; i++) {
		struct ask *a = &p->asks.v[i];

		if (a->state != ASK_NEW)
			continue;
		if (pull_gap(p, a->from_ms, a->to_ms,
			     p->again ? AGAIN_BUDGET : "scan_budget is used up for this day", err))
			return -1;
		p->gaps[p->n_gaps - 1].passes = true;
		a->state = ASK_LOST;
	}
	return 0;
}

/* What the job may have running, and what the account leaves it. */
static size_t
slots(const struct pull *p)
{
	int64_t share = p->s->queries;

	return (size_t)(share && share < p->o->concurrency ? share : p->o->concurrency);
}

static bool
may_start(const struct pull *p)
{
	size_t running = count_state(p, ASK_RUNNING);

	return running < slots(p) && !(p->starved && running);
}

/* 1: *call starts a query; 0: none can be started now. */
static int
try_start(struct pull *p, struct aws_call *call, struct err *err)
{
	for (;;) {
		size_t at = next_new(p);

		if (at == p->asks.n || !may_start(p))
			return 0;
		if (compose(p, &p->asks.v[at], err))
			return -1;
		if (!adopted(p, at))
			return start_next(p, at, call, err);
	}
}

static int
ask_next(struct pull *p, struct aws_call *call, struct err *err)
{
	int more;

	if (p->in_pages) {
		p->doing = POLLING;
		if (p->unready)
			pause_poll(p, call);
		return results_next(p, p->paging.token, call, err);
	}
	if (p->looking)
		return lost_next(p, call, err);
	if (budget_gone(p) && give_up_rest(p, err))
		return -1;
	more = try_start(p, call, err);
	if (more)
		return more;
	if (count_state(p, ASK_RUNNING))
		return poll_next(p, call, err);
	p->phase = DONE;
	return 0;
}

static int
insights_next(struct pull *p, struct aws_call *call, struct err *err)
{
	int more = 0;

	if (p->phase == LIST)
		more = list_next(p, call, err);
	else if (p->phase == ASK)
		more = ask_next(p, call, err);
	if (more > 0 && p->pause_ms > call->wait_ms)
		call->wait_ms = p->pause_ms;
	return more;
}

/* Answers */

static int
start_reply(struct pull *p, struct sv body, struct err *err)
{
	struct ask *a = &p->asks.v[p->at];

	if (logs_start_read(body, p->asks.a, &a->id, err))
		return -1;
	a->state = ASK_RUNNING;
	p->losses = 0;
	p->poll_ms = POLL_FIRST_MS;
	p->changed = p->urgent = true;
	(void)next_new(p); /* is there any? */
	return 0;
}

static int
poll_reply(struct pull *p, struct sv body, struct err *err)
{
	if (reading_page(p, body, err))
		return -1;
	if (!p->unready)
		p->poll_ms = POLL_FIRST_MS;
	if (p->in_pages)
		return 0;
	if (p->asks.v[p->at].state != ASK_RUNNING)
		p->starved = false;
	p->poll_at = p->at + 1;
	return 0;
}

/* The token of the next page, in a page of any size: it stands in front of the rows or behind them.
 */
static bool
peek_token(struct sv body, struct buf *token)
{
	size_t tail = body.n < PEEK_BYTES ? body.n : PEEK_BYTES;
	struct err ignored = {0};
	const struct sv ends[] = {{body.p + body.n - tail, tail}, {body.p, tail}};

	for (size_t i = 0; i < ARRAY_LEN(ends); i++)
		if (page_token_peek(PROTO_AWS_JSON, ends[i], "nextToken", token) == PAGE_TOKEN)
			return !buf_check(token, "nextToken", &ignored);
	return false;
}

/* The next page of the same result. */
static bool
insights_following(struct pull *p, const struct http_resp *resp, struct aws_call *call)
{
	CLEANUP(buf_done) struct buf token = BUF_INIT(PAGE_TOKEN_MAX);
	struct err ignored = {0};

	return p->phase == ASK && p->doing == POLLING &&
	       peek_token(buf_view(&resp->body), &token) &&
	       results_next(p, buf_cstr(&token), call, &ignored) > 0;
}

/* Refusals */

static bool
code_is(const struct err *err, const char *code)
{
	return !strncmp(err->code, code, strlen(code));
}

static bool
is_invalid(const struct err *err)
{
	return code_is(err, "InvalidParameter") || code_is(err, "Validation") ||
	       code_is(err, "Serialization");
}

/* Rows in pages are newer than the service, or stand-in, that is asked. */
static bool
without_pages(struct pull *p)
{
	if (p->limit <= LOGS_ROWS_MAX)
		return false;
	p->limit = LOGS_ROWS_MAX;
	p->items = 0;
	p->changed = true;
	return true;
}

static int
start_refused(struct pull *p, const struct err *err)
{
	if (err->kind == ERR_THROTTLED) { /* LimitExceeded: all slots are taken */
		p->starved = true;
		if (!count_state(p, ASK_RUNNING))
			p->pause_ms = STARVED_MS;
		return 0;
	}
	if (code_is(err, "ResourceNotFound")) { /* a group has gone: list them anew next time */
		p->groups.listed_ms = INT64_MIN;
		p->changed = true;
		return -1;
	}
	return is_invalid(err) && without_pages(p) ? 0 : -1;
}

static int
poll_refused(struct pull *p, struct err *err)
{
	struct err own = {0};

	if (err->kind == ERR_THROTTLED) {
		p->pause_ms = STARVED_MS;
		return 0;
	}
	/* Results are kept for a week, and tokens for an hour. */
	if (code_is(err, "ResourceNotFound")) {
		reading_drop(p, INT64_MIN);
		reading_begin(p);
		return reading_again(p, false, "it is not known any more", &own);
	}
	if (is_invalid(err) && p->in_pages && p->restarts++ < RESTARTS_MAX) {
		reading_drop(p, INT64_MIN);
		reading_begin(p);
		return 0;
	}
	return is_invalid(err) && p->items && without_pages(p) ? 0 : -1;
}

static int
list_refused(struct pull *p, const struct err *err)
{
	if (err->kind == ERR_THROTTLED) {
		p->pause_ms = STARVED_MS;
		return 0;
	}
	if (!is_invalid(err) || !p->paging.token || p->restarts++ >= RESTARTS_MAX)
		return -1;
	paging_begin(&p->paging);
	return 0;
}

static int
refused(struct pull *p, struct err *err)
{
	if (p->doing == LISTING)
		return list_refused(p, err);
	if (p->doing == LOOKING)
		return lost_refused(p, err);
	return p->doing == STARTING ? start_refused(p, err) : poll_refused(p, err);
}

static bool
is_success(int status)
{
	return status >= 200 && status < 300;
}

static int
insights_reply(struct pull *p, const struct http_resp *resp, struct err *err)
{
	struct sv body = buf_view(&resp->body);

	p->pause_ms = 0;
	if (!is_success(resp->status))
		return refused(p, err);
	/* A 2xx that the transport calls unusable is larger than it may be. */
	if (p->doing == POLLING && err->kind == ERR_DATA && is_success(err->http_status))
		return reading_too_large(p, err);
	if (p->doing == LISTING)
		return list_reply(p, body, err);
	if (p->doing == LOOKING)
		return lost_reply(p, body, err);
	return p->doing == STARTING ? start_reply(p, body, err) : poll_reply(p, body, err);
}

static void
insights_missing(const struct pull *p, char *out, size_t size)
{
	size_t running = count_state(p, ASK_RUNNING), waiting = count_state(p, ASK_NEW);
	const char *id = "";

	if (p->phase == LIST) {
		(void)snprintf(out, size, "the list of log groups is at page %u",
			       p->paging.pages + 1);
		return;
	}
	for (size_t i = 0; i < p->asks.n && !*id; i++)
		if (p->asks.v[i].state == ASK_RUNNING)
			id = p->asks.v[i].id;
	(void)snprintf(out, size, "%zu queries run%s%s, %zu waiting%s", running,
		       *id ? ", one is " : "", id, waiting,
		       p->starved ? " for a free slot (LimitExceeded)" : "");
}

/* Before anything waits for it. One write does for all that are started in a row: those of a run
 * that dies before it are looked for. */
static bool
insights_memo_urgent(const struct pull *p)
{
	return p->urgent && !(count_state(p, ASK_NEW) && may_start(p) && !p->looking);
}

static void
insights_scanned_elsewhere(struct pull *p, uint64_t bytes)
{
	p->elsewhere = bytes;
}

static size_t
insights_gaps(const struct pull *p, const struct job_gap **ret)
{
	*ret = p->gaps;
	return p->n_gaps;
}

static void
insights_billed(const struct pull *p, uint64_t *metrics, uint64_t *bytes_scanned)
{
	*metrics = 0;
	*bytes_scanned = p->billed;
}

/* Before the groups are listed, one query a cell. */
static int
insights_foresee(const struct pull *p, uint64_t assumed, struct job_forecast *f, struct err *err)
{
	size_t prefixes = p->phase == LIST ? p->prefixes.n : 1;
	uint64_t starts = 0;

	(void)assumed;
	(void)err;
	*f = (struct job_forecast){.known = p->phase != LIST || p->groups.listed_ms};
	f->list = (struct job_calls){"DescribeLogGroups", prefixes};
	f->list_every_ms = p->o->discover_every_ms;
	f->list_now = p->phase == LIST;
	f->queries = p->asks.n;
	for (size_t i = 0; i < p->asks.n; i++)
		starts += p->asks.v[i].state == ASK_NEW;
	if (p->phase == LIST)
		f->queries = starts =
		    (uint64_t)((p->end_ms - p->start_ms) / p->s->common->every_ms);
	f->n_calls = 3;
	f->calls[0] = (struct job_calls){"StartQuery", starts};
	f->calls[1] = (struct job_calls){"GetQueryResults", INSIGHTS_POLLS * f->queries};
	f->calls[2] = (struct job_calls){"DescribeQueries", p->looking};
	return 0;
}

/* What still runs is stopped. Its id stays in the memo: it may have been complete by then. */
static int
insights_leave(struct pull *p, struct aws_call *call)
{
	while (p->leave_at < p->asks.n && p->asks.v[p->leave_at].state != ASK_RUNNING)
		p->leave_at++;
	if (p->leave_at == p->asks.n)
		return 0;
	return logs_stop_call(p->asks.v[p->leave_at++].id, call, NULL) ? -1 : 1;
}

static bool
insights_alone(const struct job_stream *s)
{
	return ((const struct insights_opts *)s->opts)->scan_budget != 0;
}

const struct job_kind job_insights = {
    .name = "insights",
    .summary = "results of Logs Insights queries",
    .keys = insights_keys,
    .opts_size = sizeof(struct insights_opts),
    .every_ms = 300000,
    .delay_ms = 600000,
    .revisit_ms = 0,
    .service = "logs",
    .linked = true,
    .check = insights_check,
    .definition = insights_definition,
    .span_max = insights_span_max,
    .alone = insights_alone,
    .open = insights_open,
    .open_again = insights_open_again,
    .next = insights_next,
    .reply = insights_reply,
    .following = insights_following,
    .missing = insights_missing,
    .harvest = insights_harvest,
    .memo = insights_memo,
    .memo_urgent = insights_memo_urgent,
    .leave = insights_leave,
    .gaps = insights_gaps,
    .lost = lost_answer,
    .scanned = insights_scanned,
    .scanned_elsewhere = insights_scanned_elsewhere,
    .foresee = insights_foresee,
    .billed = insights_billed,
    .close = insights_close,
    .adopt = insights_adopt,
    .columns = insights_columns,
    .examples = insights_examples,
    .probes = insights_probes,
    .doubt = insights_doubt,
};
