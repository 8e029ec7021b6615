/*
 * CloudWatch metrics: the account's metrics are listed every now and then, and all points of all
 * cells of a span are read in as few GetMetricData calls as there can be.
 *
 * A pull goes through the list (phase LIST, left out when the memo's inventory is young enough),
 * then through rounds of data (phase DATA), then through expressions (phase MATH, metrics_math.c).
 * The first round asks for everything, 500 at a time, each with all its pages. What the service did
 * not answer completely (PartialData without a further page, InternalError, Forbidden, or not at
 * all) is asked for again in the next round, after a growing pause, until all is complete or the
 * runner gives up. It is never taken for "no data".
 *
 * next() only builds; what moves the pull on is a reply that could be read whole. So a request may
 * be sent any number of times.
 *
 * Where a pull begins: metrics_open.c; what becomes of it: metrics_harvest.c.
 */
#include <stdlib.h>

#include "base/cleanup.h"
#include "jobs/metrics_pull.h"

#define MINUTE_MS 60000LL
#define HOUR_MS	  (60 * MINUTE_MS)

/* A metric that a listing left out may have been between two points: it is asked for this much
 * longer. */
#define KEEP_UNLISTED_MS HOUR_MS
/* 500 metrics a page: a million metrics of one namespace. */
#define LIST_PAGES_MAX 2000
/* A call's points come in one page by design; a service that cuts pages to a few points still ends.
 */
#define DATA_PAGES_MAX 2000
/* How often an expired token lets a listing or a chunk start again. */
#define RESTARTS_MAX 3
/* Asking again: the pause before a round. */
#define AGAIN_FIRST_MS 1000
#define AGAIN_MAX_MS   20000
/* A point on its way: 16 bytes decoded, some 30 before that in JSON. */
#define POINT_BYTES 48

void
metrics_close(struct pull *p)
{
	if (!p)
		return;
	paging_done(&p->paging);
	math_done(p->math);
	metrics_plan_done(&p->plan);
	arena_done(&p->page);
	arena_done(&p->mem);
	free(p);
}

/* Data */

static size_t
chunk_size_at(const struct pull *p, size_t at)
{
	size_t left = p->n_todo - at;

	return left < CW_QUERIES_MAX ? left : CW_QUERIES_MAX;
}

static size_t
chunk_size(const struct pull *p)
{
	return chunk_size_at(p, p->todo_at);
}

/* Whatever an earlier try of these left is forgotten: the new answer is the answer. */
static void
chunk_begin(struct pull *p)
{
	for (size_t i = 0; i < chunk_size(p); i++) {
		const struct wanted_span all = {p->start_ms, p->start_ms, p->end_ms,
						p->o->period_ms};

		wanted_reset(&p->plan.v[p->todo[p->todo_at + i]], &all);
	}
	paging_begin(&p->paging);
}

/* Nothing more is asked for: what there is no way to get becomes a gap. */
static void
finish(struct pull *p)
{
	p->phase = DONE;
	for (size_t i = 0; p->math && i < math_count(p->math); i++)
		if (math_flaw(p->math, i))
			p->gaps[p->n_gaps++] =
			    (struct job_gap){p->start_ms, p->end_ms, math_flaw(p->math, i), false};
}

int
metrics_math_new(const struct pull *p, struct arena *a, struct math **ret, struct err *err)
{
	const struct math_span span = {p->start_ms, p->end_ms, p->s->common->every_ms, p->slots};

	return math_begin(p->s, &p->inv, &span, a, ret, err);
}

/* All that is listed has been had: on to the expressions. */
static int
math_start(struct pull *p, struct err *err)
{
	if (metrics_math_new(p, &p->mem, &p->math, err))
		return -1;
	p->restarts = 0;
	paging_begin(&p->paging);
	if (math_open(p->math))
		p->phase = MATH;
	else
		finish(p);
	return 0;
}

/* The next round holds what this one left open. */
static int
round_end(struct pull *p, struct err *err)
{
	size_t n = 0;

	for (size_t i = 0; i < p->n_todo; i++)
		if (wanted_incomplete(&p->plan.v[p->todo[i]]))
			p->todo[n++] = p->todo[i];
	p->n_todo = n;
	p->todo_at = 0;
	p->round++;
	if (!n)
		return math_start(p, err);
	chunk_begin(p);
	return 0;
}

static int
chunk_end(struct pull *p, struct err *err)
{
	p->restarts = 0;
	p->todo_at += chunk_size(p);
	if (p->todo_at >= p->n_todo)
		return round_end(p, err);
	chunk_begin(p);
	return 0;
}

int
metrics_data_begin(struct pull *p, struct err *err)
{
	if (metrics_plan_make(&p->plan, p->s, &p->inv, &p->mem, err))
		return -1;
	p->todo = arena_array(&p->mem, p->plan.n, sizeof(*p->todo));
	if (!p->todo)
		return err_nomem(err);
	for (size_t i = 0; i < p->plan.n; i++)
		p->todo[i] = i;
	p->n_todo = p->plan.n;
	p->restarts = 0;
	if (!p->n_todo)
		return math_start(p, err);
	p->phase = DATA;
	chunk_begin(p);
	return 0;
}

static int64_t
round_pause_ms(const struct pull *p)
{
	int64_t ms = AGAIN_FIRST_MS;

	for (unsigned i = 1; i < p->round && ms < AGAIN_MAX_MS; i++)
		ms *= 2;
	return ms < AGAIN_MAX_MS ? ms : AGAIN_MAX_MS;
}

/* The chunk that begins at `at`; `token` of its page, NULL: the first. */
static int
data_call(struct pull *p, size_t at, const char *token, struct aws_call *call, struct err *err)
{
	size_t n = chunk_size_at(p, at);
	struct cw_query *queries = arena_array(&p->page, n, sizeof(*queries));
	struct cw_data_req q = {
	    .queries = queries,
	    .n = n,
	    .start_ms = p->start_ms,
	    .end_ms = p->end_ms,
	    .period_ms = p->o->period_ms,
	    .account = p->s->linked_account,
	    .token = token,
	};
	int r;

	if (!queries)
		return err_nomem(err);
	for (size_t i = 0; i < n; i++) {
		size_t id = p->todo[at + i];

		queries[i] = (struct cw_query){
		    .id = id, .metric = p->plan.v[id].metric, .stat = p->plan.v[id].stat};
	}
	call->expect = n * p->slots * POINT_BYTES;
	r = cw_data_call(p->proto, &q, call, err);
	arena_done(&p->page);
	return r;
}

static int
data_next(struct pull *p, struct aws_call *call, struct err *err)
{
	if (p->round && !p->todo_at && !p->paging.token)
		call->wait_ms = round_pause_ms(p);
	return data_call(p, p->todo_at, p->paging.token, call, err);
}

static bool
is_asked(const struct pull *p, size_t id)
{
	for (size_t i = 0; i < chunk_size(p); i++)
		if (p->todo[p->todo_at + i] == id)
			return true;
	return false;
}

static void
take_result(struct pull *p, const struct cw_result *r)
{
	const struct wanted_span all = {p->start_ms, p->start_ms, p->end_ms, p->o->period_ms};
	struct wanted *w = &p->plan.v[r->id];

	for (size_t i = 0; i < r->n; i++)
		p->n_outside += !wanted_take(w, &all, r->ts_ms[i], r->values[i]);
	wanted_answer(w, r, &p->mem);
}

static int
make_room(struct pull *p, struct err *err)
{
	int64_t every_ms = p->s->common->every_ms;

	return metrics_plan_room(&p->plan, (size_t)((p->end_ms - p->start_ms) / every_ms),
				 (size_t)(every_ms / p->o->period_ms), &p->mem, err);
}

static int
data_reply(struct pull *p, struct sv body, struct err *err)
{
	struct cw_data_page page;

	if (cw_data_read(p->proto, body, &p->page, &page, err) ||
	    paging_check(&p->paging, page.token, DATA_PAGES_MAX, err) || make_room(p, err))
		return -1;
	for (size_t i = 0; i < page.n; i++)
		if (page.results[i].id == CW_NO_ID || !is_asked(p, page.results[i].id))
			return err_set(err, ERR_DATA,
				       "a result that was not asked for (number %zu)", i);
	for (size_t i = 0; i < page.n; i++)
		take_result(p, &page.results[i]);
	if (page.message)
		(void)snprintf(p->words, sizeof(p->words), "%s", page.message);
	p->billed += chunk_size(p);
	if (page.token)
		return paging_go_on(&p->paging, page.token, DATA_PAGES_MAX, err);
	return chunk_end(p, err);
}

/* Expressions */

static int
math_next(struct pull *p, struct aws_call *call, struct err *err)
{
	return math_call(p->math, p->proto, p->paging.token, call, err);
}

static int
math_reply(struct pull *p, struct sv body, struct err *err)
{
	struct cw_data_page page;

	if (cw_data_read(p->proto, body, &p->page, &page, err) ||
	    paging_check(&p->paging, page.token, DATA_PAGES_MAX, err) ||
	    math_answer(p->math, &page, &p->billed, err))
		return -1;
	if (page.token)
		return paging_go_on(&p->paging, page.token, DATA_PAGES_MAX, err);
	paging_begin(&p->paging);
	p->restarts = 0;
	if (!math_open(p->math))
		finish(p);
	return 0;
}

/* The list */

static int
list_call(const struct pull *p, const char *token, struct aws_call *call, struct err *err)
{
	const struct cw_list_req q = {
	    .ns = p->namespaces[p->namespace_at],
	    .account = p->s->linked_account,
	    .recent = p->recent,
	    .token = token,
	};

	return cw_list_call(p->proto, &q, call, err);
}

static int
list_next(struct pull *p, struct aws_call *call, struct err *err)
{
	return list_call(p, p->paging.token, call, err);
}

static bool
selected(const struct pull *p, const struct cw_metric *m)
{
	size_t n;
	const struct metrics_from *from = metrics_from_list(p->o, &n);

	for (size_t i = 1; i < m->n_dims; i++)
		if (!strcmp(m->dims[i - 1].name, m->dims[i].name))
			return false; /* no such metric can be asked for */
	for (size_t i = 0; i < n && m->n_dims <= CW_DIMENSIONS_MAX; i++)
		if (metrics_from_selects(&from[i], m))
			return true;
	return false;
}

static int
list_end(struct pull *p, struct err *err)
{
	for (size_t i = 0; i < p->inv.n; i++) {
		const struct inventory_entry *e = &p->inv.v[i];
		bool young = e->seen_ms > p->now_ms - KEEP_UNLISTED_MS && e->seen_ms <= p->now_ms;

		if (young && inventory_add(&p->fresh, &e->metric, e->seen_ms, &p->mem, err))
			return -1;
	}
	inventory_sort(&p->fresh);
	p->inv = p->fresh;
	p->inv.discovered_ms = p->now_ms;
	p->inv.recent = p->recent;
	p->inv.pages = p->list_pages;
	p->listed = true;
	return metrics_data_begin(p, err);
}

static int
list_reply(struct pull *p, struct sv body, struct err *err)
{
	struct cw_list_page page;

	if (cw_list_read(p->proto, body, &p->page, &page, err) ||
	    paging_check(&p->paging, page.token, LIST_PAGES_MAX, err) ||
	    inventory_room(&p->fresh, page.n, &p->mem, err))
		return -1;
	for (size_t i = 0; i < page.n; i++)
		if (selected(p, &page.metrics[i]) &&
		    inventory_add(&p->fresh, &page.metrics[i], p->now_ms, &p->mem, err))
			return -1;
	p->list_pages++;
	if (page.token)
		return paging_go_on(&p->paging, page.token, LIST_PAGES_MAX, err);
	paging_begin(&p->paging);
	p->restarts = 0;
	return ++p->namespace_at < p->n_namespaces ? 0 : list_end(p, err);
}

static int
metrics_next(struct pull *p, struct aws_call *call, struct err *err)
{
	static int (*const next[])(struct pull * p, struct aws_call * call, struct err * err) = {
	    [LIST] = list_next, [DATA] = data_next, [MATH] = math_next};

	if (p->phase == DONE)
		return 0;
	return next[p->phase](p, call, err) ? -1 : 1;
}

/* A page's successor, or where it has none the next chunk of this round. */
static bool
metrics_following(struct pull *p, const struct http_resp *resp, struct aws_call *call)
{
	CLEANUP(buf_done) struct buf token = BUF_INIT(PAGE_TOKEN_MAX);
	enum page_token found;
	struct err ignored = {0};
	size_t at = p->todo_at;

	if (p->phase != LIST && p->phase != DATA)
		return false;
	found = cw_token_peek(p->proto, buf_view(&resp->body), &token);
	if (found == PAGE_TOKEN_UNSURE || buf_check(&token, "NextToken", &ignored) ||
	    map_get(&p->paging.seen, buf_view(&token)))
		return false;
	if (p->phase == LIST)
		return found == PAGE_TOKEN && !list_call(p, buf_cstr(&token), call, &ignored);
	if (found == PAGE_TOKEN)
		return !data_call(p, at, buf_cstr(&token), call, &ignored);
	at += chunk_size(p);
	return at < p->n_todo && !data_call(p, at, NULL, call, &ignored);
}

/* Refusals */

/* A token that ran out: the same list or chunk from its beginning. */
static bool
restart(struct pull *p)
{
	if (!p->paging.token || p->restarts >= RESTARTS_MAX)
		return false;
	p->restarts++;
	if (p->phase == DATA)
		chunk_begin(p);
	else
		paging_begin(&p->paging);
	if (p->phase == MATH)
		math_again(p->math);
	return true;
}

/* An endpoint that does not know this protocol says so at once, or never. */
static bool
other_protocol(struct pull *p, const struct http_resp *resp, const struct err *err)
{
	enum cw_proto next;

	if (p->spoken || !cw_proto_unknown(p->proto, resp, err))
		return false;
	next = (enum cw_proto)(p->proto + 1);
	if (next == CW_N_PROTOS)
		return false;
	p->proto = next;
	return true;
}

static int
refused(struct pull *p, const struct http_resp *resp, const struct err *err)
{
	bool expired = !strncmp(err->code, CW_EXPIRED_TOKEN, sizeof(CW_EXPIRED_TOKEN) - 1);

	if ((expired && restart(p)) || other_protocol(p, resp, err))
		return 0;
	if (p->phase != MATH || !math_refused(p->math, err))
		return -1;
	paging_begin(&p->paging);
	if (!math_open(p->math))
		finish(p);
	return 0;
}

static int
metrics_reply(struct pull *p, const struct http_resp *resp, struct err *err)
{
	static int (*const read[])(struct pull * p, struct sv body, struct err * err) = {
	    [LIST] = list_reply, [DATA] = data_reply, [MATH] = math_reply};
	int r;

	if (resp->status < 200 || resp->status > 299)
		return refused(p, resp, err);
	r = read[p->phase](p, buf_view(&resp->body), err);
	arena_done(&p->page);
	if (r)
		return -1;
	p->spoken = true;
	cw_proto_answered(p->s->region, p->proto);
	return 0;
}

static void
metrics_missing(const struct pull *p, char *out, size_t size)
{
	const struct wanted *example = NULL;
	size_t n = 0;

	if (p->phase == LIST) {
		(void)snprintf(out, size, "the list of metrics of %s is at page %u",
			       p->namespaces[p->namespace_at], p->paging.pages + 1);
		return;
	}
	if (p->phase == MATH) {
		math_missing(p->math, out, size);
		return;
	}
	for (size_t i = 0; p->phase == DATA && i < p->n_todo; i++) {
		const struct wanted *w = &p->plan.v[p->todo[i]];

		n += wanted_incomplete(w);
		if (!example && wanted_incomplete(w) && w->words)
			example = w;
	}
	(void)snprintf(out, size, "%zu of %zu metrics not complete%s%s%s%s%s", n, p->plan.n,
		       example ? ", for one " : "", example ? example->metric->name : "",
		       example ? " " : "", example ? example->words : "", p->words[0] ? "; " : "");
	if (p->words[0] && strlen(out) < size)
		(void)snprintf(out + strlen(out), size - strlen(out), "%s", p->words);
}

/* What was answered completely stays; of the other series nothing is taken. */
static bool
metrics_make_do(struct pull *p)
{
	const struct wanted_span all = {p->start_ms, p->start_ms, p->end_ms, p->o->period_ms};

	if (p->phase != DATA && p->phase != MATH)
		return false;
	for (size_t i = 0; i < p->n_todo; i++)
		if (wanted_incomplete(&p->plan.v[p->todo[i]]))
			wanted_reset(&p->plan.v[p->todo[i]], &all);
	if (p->phase == DATA && metrics_asks_expressions(p->o))
		p->gaps[p->n_gaps++] = (struct job_gap){
		    p->start_ms, p->end_ms,
		    "expressions were not asked for: metrics were not complete", false};
	finish(p);
	return true;
}

static size_t
metrics_gaps(const struct pull *p, const struct job_gap **ret)
{
	*ret = p->gaps;
	return p->n_gaps;
}

static json_t *
metrics_memo(struct pull *p)
{
	return p->listed ? inventory_save(&p->inv, p->definition) : NULL;
}

static void
metrics_billed(const struct pull *p, uint64_t *metrics, uint64_t *bytes_scanned)
{
	*metrics = p->billed;
	*bytes_scanned = 0;
}

const struct job_kind job_metrics = {
    .name = "metrics",
    .summary = "ECS, Container Insights and any other CloudWatch metrics",
    .keys = metrics_keys,
    .opts_size = sizeof(struct metrics_opts),
    .every_ms = 5 * MINUTE_MS,
    .delay_ms = 5 * MINUTE_MS,
    .revisit_ms = 30 * MINUTE_MS,
    .service = "monitoring",
    .linked = true,
    .check = metrics_check,
    .definition = metrics_definition,
    .span_max = metrics_span_max,
    .reach_ms = metrics_reach_ms,
    .open = metrics_open,
    .next = metrics_next,
    .reply = metrics_reply,
    .following = metrics_following,
    .missing = metrics_missing,
    .make_do = metrics_make_do,
    .harvest = metrics_harvest,
    .memo = metrics_memo,
    .gaps = metrics_gaps,
    .foresee = metrics_foresee,
    .billed = metrics_billed,
    .close = metrics_close,
    .adopt = metrics_adopt,
    .columns = metrics_columns,
    .examples = metrics_examples,
    .probes = metrics_probes,
    .advise = metrics_advise,
    .shares = metrics_shares,
};
