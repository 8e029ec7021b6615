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
 */
#include <math.h>

#include "base/cleanup.h"
#include "base/hash.h"
#include "base/map.h"
#include "base/num.h"
#include "jobs/metrics.h"
#include "model/seen.h"

#define MINUTE_MS 60000LL
#define HOUR_MS	  (60 * MINUTE_MS)
#define DAY_MS	  (24 * HOUR_MS)

/* RecentlyActive means three hours with up to 50 minutes of slack; half an hour is kept for clocks
 * and delays. */
#define RECENT_MS (150 * MINUTE_MS)
/* A metric that a listing left out may have been between two points: it is asked for this much
 * longer. */
#define KEEP_UNLISTED_MS HOUR_MS
/* From a metric's first point to the end of the pull that finds it listed: 15 minutes until it is,
 * and some for the runs' pace. */
#define LISTED_AFTER_MS (20 * MINUTE_MS)
#define BIRTH_MAX_MS	(3 * HOUR_MS)
/* Points younger than this are read from the fastest store; spans are kept inside it. */
#define SPAN_MAX_MS (3 * HOUR_MS)
/* And few enough that 32 workers may have as many points in memory: in one call half of what a page
 * may hold, which is 500 series for an hour and a half; in all calls of a span so many. */
#define SPAN_CALL_POINTS (CW_DATAPOINTS_MAX / 2)
#define SPAN_POINTS	 (CW_DATAPOINTS_MAX * 4)
#define SERIES_MAX	 ((size_t)1 << 30)
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
#define POINT_BYTES    48
#define DEFINITION_MAX ((size_t)1 << 20)
#define TOKEN_MAX      ((size_t)64 << 10)
#define PULL_ARENA_MAX ((size_t)1 << 30)
#define PAGE_ARENA_MAX ((size_t)512 << 20)

enum phase { LIST, DATA, MATH, DONE };

struct pull {
	const struct job_stream *s;
	const struct metrics_opts *o;
	int64_t start_ms, end_ms, now_ms; /* what is asked for: the span without cells too old */
	size_t slots;			  /* points a series may have in it */
	char definition[SHA256_HEX_LEN + 1];
	struct arena mem, page;
	enum cw_proto proto;
	bool spoken; /* the endpoint has answered in this protocol */

	enum phase phase;
	/* Paging, in both phases. */
	const char *token; /* in token_buf, or NULL */
	struct buf token_buf;
	struct map tokens; /* those seen */
	unsigned pages, restarts;

	/* LIST */
	bool recent, listed;
	int64_t list_pages;
	const char **namespaces;
	size_t n_namespaces, namespace_at;
	struct inventory inv, fresh;

	/* DATA */
	struct metrics_plan plan;
	size_t *todo; /* indices into plan.v */
	size_t n_todo, todo_at;
	unsigned round;
	char words[256]; /* the last message of a whole call */
	uint64_t n_outside, billed;
	char gap_reason[96]; /* of what is too old */

	struct math *math;
	struct wanted **rows; /* all series, as wanted_sort has them; NULL: not yet */
	size_t n_rows;
	struct job_gap *gaps; /* one of what is too old, and one an expression */
	size_t n_gaps;
};

static void
pull_free(struct pull *p)
{
	if (!p)
		return;
	map_done(&p->tokens, NULL);
	buf_done(&p->token_buf);
	math_done(p->math);
	metrics_plan_done(&p->plan);
	arena_done(&p->page);
	arena_done(&p->mem);
	free(p);
}
DEFINE_FREEP(struct pull, pull_free)

/* Paging */

static void
pages_begin(struct pull *p)
{
	map_done(&p->tokens, NULL);
	p->tokens = MAP_INIT;
	p->token = NULL;
	p->pages = 0;
}

/* Is this page's token one that leads on? Must be asked before the page counts. */
static int
pages_check(const struct pull *p, const char *token, unsigned max, struct err *err)
{
	if (!token)
		return 0;
	if (map_get(&p->tokens, sv_of(token)))
		return err_set(err, ERR_DATA, "the same NextToken came twice (page %u)",
			       p->pages + 1);
	return p->pages < max ? 0 : err_set(err, ERR_DATA, "more than %u pages", max);
}

static int
pages_go_on(struct pull *p, const char *token, struct err *err)
{
	buf_reset(&p->token_buf);
	buf_str(&p->token_buf, token);
	if (buf_check(&p->token_buf, "NextToken", err) ||
	    map_put(&p->tokens, sv_of(token), p, NULL, err))
		return -1;
	p->token = buf_cstr(&p->token_buf);
	p->pages++;
	return 0;
}

/* Data */

static size_t
chunk_size(const struct pull *p)
{
	size_t left = p->n_todo - p->todo_at;

	return left < CW_QUERIES_MAX ? left : CW_QUERIES_MAX;
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
	pages_begin(p);
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

static int
math_new(const struct pull *p, struct arena *a, struct math **ret, struct err *err)
{
	const struct math_span span = {p->start_ms, p->end_ms, p->s->common->every_ms, p->slots};

	return math_begin(p->s, &p->inv, &span, a, ret, err);
}

/* All that is listed has been had: on to the expressions. */
static int
math_start(struct pull *p, struct err *err)
{
	if (math_new(p, &p->mem, &p->math, err))
		return -1;
	p->restarts = 0;
	pages_begin(p);
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

static int
data_begin(struct pull *p, struct err *err)
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

static int
data_next(struct pull *p, struct aws_call *call, struct err *err)
{
	size_t n = chunk_size(p);
	struct cw_query *queries = arena_array(&p->page, n, sizeof(*queries));
	struct cw_data_req q = {
	    .queries = queries,
	    .n = n,
	    .start_ms = p->start_ms,
	    .end_ms = p->end_ms,
	    .period_ms = p->o->period_ms,
	    .account = p->s->linked_account,
	    .token = p->token,
	};
	int r;

	if (!queries)
		return err_nomem(err);
	for (size_t i = 0; i < n; i++) {
		size_t id = p->todo[p->todo_at + i];

		queries[i] = (struct cw_query){
		    .id = id, .metric = p->plan.v[id].metric, .stat = p->plan.v[id].stat};
	}
	call->expect = n * p->slots * POINT_BYTES;
	if (p->round && !p->todo_at && !p->token)
		call->wait_ms = round_pause_ms(p);
	r = cw_data_call(p->proto, &q, call, err);
	arena_done(&p->page);
	return r;
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
	    pages_check(p, page.token, DATA_PAGES_MAX, err) || make_room(p, err))
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
		return pages_go_on(p, page.token, err);
	return chunk_end(p, err);
}

/* Expressions */

static int
math_next(struct pull *p, struct aws_call *call, struct err *err)
{
	return math_call(p->math, p->proto, p->token, call, err);
}

static int
math_reply(struct pull *p, struct sv body, struct err *err)
{
	struct cw_data_page page;

	if (cw_data_read(p->proto, body, &p->page, &page, err) ||
	    pages_check(p, page.token, DATA_PAGES_MAX, err) ||
	    math_answer(p->math, &page, &p->billed, err))
		return -1;
	if (page.token)
		return pages_go_on(p, page.token, err);
	pages_begin(p);
	p->restarts = 0;
	if (!math_open(p->math))
		finish(p);
	return 0;
}

/* The list */

static int
list_next(struct pull *p, struct aws_call *call, struct err *err)
{
	const struct cw_list_req q = {
	    .ns = p->namespaces[p->namespace_at],
	    .account = p->s->linked_account,
	    .recent = p->recent,
	    .token = p->token,
	};

	return cw_list_call(p->proto, &q, call, err);
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
	return data_begin(p, err);
}

static int
list_reply(struct pull *p, struct sv body, struct err *err)
{
	struct cw_list_page page;

	if (cw_list_read(p->proto, body, &p->page, &page, err) ||
	    pages_check(p, page.token, LIST_PAGES_MAX, err) ||
	    inventory_room(&p->fresh, page.n, &p->mem, err))
		return -1;
	for (size_t i = 0; i < page.n; i++)
		if (selected(p, &page.metrics[i]) &&
		    inventory_add(&p->fresh, &page.metrics[i], p->now_ms, &p->mem, err))
			return -1;
	p->list_pages++;
	if (page.token)
		return pages_go_on(p, page.token, err);
	pages_begin(p);
	p->restarts = 0;
	return ++p->namespace_at < p->n_namespaces ? 0 : list_end(p, err);
}

/* Opening */

static int
cmp_strings(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* One listing a namespace, whatever number of entries name it. */
static int
collect_namespaces(struct pull *p, struct err *err)
{
	size_t n, named = 0;
	const struct metrics_from *from = metrics_from_list(p->o, &n);

	p->namespaces = arena_array(&p->mem, n, sizeof(*p->namespaces));
	if (!p->namespaces)
		return err_nomem(err);
	for (size_t i = 0; i < n; i++)
		if (!from[i].expression)
			p->namespaces[named++] = from[i].ns;
	if (named > 1)
		qsort(p->namespaces, named, sizeof(*p->namespaces), cmp_strings);
	for (size_t i = 0; i < named; i++)
		if (!i || strcmp(p->namespaces[p->n_namespaces - 1], p->namespaces[i]) != 0)
			p->namespaces[p->n_namespaces++] = p->namespaces[i];
	return 0;
}

/* How long CloudWatch keeps points of a period (GetMetricData API reference). Beyond, it answers
 * with nothing instead of an error, so it must not even be asked. */
static const struct {
	int64_t period_ms; /* below this period ... */
	int64_t kept_ms;
	const char *kept;
} retention[] = {
    {60000, 3 * HOUR_MS, "3 hours"},
    {300000, 15 * DAY_MS, "15 days"},
    {3600000, 63 * DAY_MS, "63 days"},
    {INT64_MAX, 455 * DAY_MS, "455 days"},
};

/* Cells that are too old become a gap; the pull is of the others. */
static void
leave_out_old(struct pull *p, const struct cell *cells, size_t n)
{
	int64_t oldest;
	char period[32];
	size_t i = 0, old = 0;

	while (p->o->period_ms >= retention[i].period_ms)
		i++;
	oldest = p->now_ms - retention[i].kept_ms;
	while (old < n && cells[old].start_ms < oldest)
		old++;
	p->start_ms = old < n ? cells[old].start_ms : cells[n - 1].end_ms;
	p->end_ms = cells[n - 1].end_ms;
	p->slots = (size_t)((p->end_ms - p->start_ms) / p->o->period_ms);
	if (!old)
		return;
	num_duration_format(p->o->period_ms, period);
	(void)snprintf(p->gap_reason, sizeof(p->gap_reason),
		       "CloudWatch keeps points of a period of %s only for %s", period,
		       retention[i].kept);
	p->gaps[p->n_gaps++] =
	    (struct job_gap){cells[0].start_ms, p->start_ms, p->gap_reason, false};
}

/* Compared, not subtracted: the memo's time may be anything. */
static bool
inventory_young(const struct pull *p)
{
	bool young = p->inv.discovered_ms <= p->now_ms &&
		     p->inv.discovered_ms > p->now_ms - p->o->discover_every_ms;

	return young && (p->recent || !p->inv.recent);
}

static int
pull_begin(struct pull *p, const json_t *memo, struct err *err)
{
	CLEANUP(buf_done) struct buf text = BUF_INIT(DEFINITION_MAX);

	metrics_definition(p->s->common, p->o, &text);
	if (buf_check(&text, "definition", err) || collect_namespaces(p, err))
		return -1;
	sha256_hex(buf_view(&text), p->definition);
	if (p->start_ms == p->end_ms) {
		p->phase = DONE;
		return 0;
	}
	p->recent = p->start_ms > p->now_ms - RECENT_MS;
	if (!inventory_load(&p->inv, memo, p->definition, &p->mem))
		p->inv = (struct inventory){0};
	else if (inventory_young(p))
		return data_begin(p, err);
	if (!p->n_namespaces)
		return data_begin(p, err); /* expressions that SEARCH, and nothing else */
	p->phase = LIST;
	return 0;
}

static int
metrics_open(const struct job_stream *s, const json_t *memo, const struct cell *cells, size_t n,
	     int64_t now_ms, struct pull **ret, struct err *err)
{
	CLEANUP(pull_freep) struct pull *p = calloc(1, sizeof(*p));
	size_t n_from;

	if (!p)
		return err_nomem(err);
	if (s->common->every_ms % ((const struct metrics_opts *)s->opts)->period_ms)
		return err_set(err, ERR_USAGE,
			       "cells of %lld s are not finished yet, of which the period is no "
			       "part: give the job a new name",
			       (long long)(s->common->every_ms / 1000));
	*p = (struct pull){
	    .s = s,
	    .o = s->opts,
	    .now_ms = now_ms,
	    .mem = ARENA_INIT(PULL_ARENA_MAX),
	    .page = ARENA_INIT(PAGE_ARENA_MAX),
	    .proto = cw_proto_of(s->region),
	    .token_buf = BUF_INIT(TOKEN_MAX),
	    .tokens = MAP_INIT,
	};
	(void)metrics_from_list(p->o, &n_from);
	p->gaps = arena_array(&p->mem, n_from + 2, sizeof(*p->gaps));
	if (!p->gaps)
		return err_nomem(err);
	leave_out_old(p, cells, n);
	if (pull_begin(p, memo, err))
		return -1;
	*ret = STEAL(p);
	return 0;
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

/* Refusals */

/* A token that ran out: the same list or chunk from its beginning. */
static bool
restart(struct pull *p)
{
	if (!p->token || p->restarts >= RESTARTS_MAX)
		return false;
	p->restarts++;
	if (p->phase == DATA)
		chunk_begin(p);
	else
		pages_begin(p);
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
	pages_begin(p);
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
			       p->namespaces[p->namespace_at], p->pages + 1);
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

static bool
asks_expressions(const struct metrics_opts *o)
{
	size_t n;
	const struct metrics_from *from = metrics_from_list(o, &n);

	for (size_t i = 0; i < n; i++)
		if (from[i].expression && from[i].name)
			return true;
	return false;
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
	if (p->phase == DATA && asks_expressions(p->o))
		p->gaps[p->n_gaps++] = (struct job_gap){
		    p->start_ms, p->end_ms,
		    "expressions were not asked for: metrics were not complete", false};
	finish(p);
	return true;
}

/* Harvest */

/* The row points into the plan: a slot without a number counts as none for whoever reads it. */
static void
harvest_series(const struct wanted *w, const double *values, size_t n, struct cell_data *d)
{
	size_t points = 0, rejected = 0;

	for (size_t i = 0; i < n; i++) {
		points += isfinite(values[i]) != 0;
		rejected += isinf(values[i]) != 0;
	}
	d->n_rejected += rejected + (w->collides ? points : 0);
	if (!points || w->collides)
		return;
	d->rows[d->n_rows++] = (struct sample_row){
	    .series = &w->series,
	    .first_ms = d->cell.start_ms,
	    .values = values,
	    .n = n,
	};
}

/* Those of metrics and those of expressions, which come behind where both would be one. */
static int
collect_rows(struct pull *p, struct err *err)
{
	size_t n = 0;
	struct wanted **more = p->math ? math_series(p->math, &n) : NULL;

	if (p->math && !more)
		return err_nomem(err);
	p->rows = p->plan.by_series;
	p->n_rows = p->plan.n;
	if (!n)
		return 0;
	p->rows = arena_array(&p->mem, p->plan.n + n, sizeof(struct wanted *));
	if (!p->rows)
		return err_nomem(err);
	for (size_t i = 0; i < p->plan.n; i++)
		p->rows[i] = p->plan.by_series[i];
	for (size_t i = 0; i < n; i++)
		p->rows[p->n_rows++] = more[i];
	(void)wanted_sort(p->rows, p->n_rows);
	return 0;
}

static int
harvest_cell(const struct pull *p, struct cell_data *d, struct err *err)
{
	const struct line_origin origin = {p->s->tenant, p->s->account, p->s->region,
					   p->s->common->name};
	size_t first = (size_t)((d->cell.start_ms - p->start_ms) / p->o->period_ms);
	size_t n = (size_t)((d->cell.end_ms - d->cell.start_ms) / p->o->period_ms);

	d->rows = arena_array(&d->arena, p->n_rows, sizeof(*d->rows));
	if (!d->rows)
		return err_nomem(err);
	for (size_t i = 0; i < p->n_rows; i++)
		harvest_series(p->rows[i], wanted_values(p->rows[i], first), n, d);
	return metric_lines_encode(d, &origin, err);
}

/* They are in every cell. */
static int
harvest_begin(struct pull *p, struct err *err)
{
	if (collect_rows(p, err))
		return -1;
	for (size_t i = 0; i < p->n_rows; i++)
		seen_key_make(&p->rows[i]->series);
	return 0;
}

static int
metrics_harvest(struct pull *p, struct cell_data *cells, size_t n, struct err *err)
{
	if (!p->rows && harvest_begin(p, err))
		return -1;
	if (n && cells[0].cell.start_ms > p->start_ms)
		metrics_plan_forget(&p->plan, (size_t)((cells[0].cell.start_ms - p->start_ms) /
						       p->s->common->every_ms));
	for (size_t i = 0; i < n; i++) {
		if (cells[i].cell.start_ms < p->start_ms)
			continue; /* too old: left empty */
		if (cells[i].cell.end_ms > p->end_ms)
			return err_set(err, ERR_LOCAL, "a cell that was not pulled");
		if (harvest_cell(p, &cells[i], err))
			return -1;
	}
	if (n) /* of no cell: the first one counts them */
		cells[0].n_rejected += p->n_outside + (p->math ? math_rejected(p->math) : 0);
	p->n_outside = 0;
	return 0;
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

/* Series of the inventory as it is, for want of the list that comes first. */
static int
count_series(const struct pull *p, size_t *ret, struct err *err)
{
	CLEANUP(arena_done) struct arena mem = ARENA_INIT(PULL_ARENA_MAX);
	struct metrics_plan plan;

	if (metrics_plan_make(&plan, p->s, &p->inv, &mem, err))
		return -1;
	*ret = plan.n;
	return 0;
}

/* Of the inventory as it is, too. */
static int
foresee_math(const struct pull *p, struct math_forecast *ret, struct err *err)
{
	CLEANUP(arena_done) struct arena mem = ARENA_INIT(PULL_ARENA_MAX);
	struct math *math = NULL;
	int r = math_new(p, &mem, &math, err);

	if (!r)
		math_foresee(math, ret);
	math_done(math);
	return r;
}

static int
metrics_foresee(const struct pull *p, uint64_t assumed, struct job_forecast *f, struct err *err)
{
	struct math_forecast math;
	size_t n = p->plan.n;

	*f = (struct job_forecast){.known = p->phase != LIST || p->inv.discovered_ms};
	f->list = (struct job_calls){"ListMetrics",
				     p->inv.pages ? (uint64_t)p->inv.pages : p->n_namespaces};
	f->list_every_ms = p->o->discover_every_ms;
	if (p->phase == LIST) {
		f->list_now = p->recent ? 1 : 2;
		if (count_series(p, &n, err))
			return -1;
	}
	if (foresee_math(p, &math, err))
		return -1;
	n = f->known ? n : assumed;
	f->series = n + math.series;
	f->metrics = n + math.metrics;
	f->samples = f->series * (uint64_t)(p->s->common->every_ms / p->o->period_ms);
	f->n_calls = 1;
	f->calls[0] = (struct job_calls){"GetMetricData",
					 (n + CW_QUERIES_MAX - 1) / CW_QUERIES_MAX + math.calls};
	return 0;
}

/* How many series this memo's metrics have, at most; 0: not known. */
static int64_t
series_of(const struct metrics_opts *o, const json_t *memo)
{
	size_t metrics = inventory_peek(memo), stats = 1, n;
	const struct metrics_from *from = metrics_from_list(o, &n);

	for (size_t i = 0; i < n; i++)
		if (metrics_from_stats(&from[i])->n > stats)
			stats = metrics_from_stats(&from[i])->n;
	return (int64_t)(metrics < SERIES_MAX / stats ? metrics * stats : SERIES_MAX);
}

static int64_t
smaller(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

/* One page should hold all points of a call, the span be young enough to be read fast, and all of
 * it small enough to be kept in memory. */
static size_t
metrics_span_max(const struct job_stream *s, const json_t *memo)
{
	const struct metrics_opts *o = s->opts;
	int64_t per_cell = s->common->every_ms / o->period_ms;
	int64_t series = series_of(o, memo);
	bool few = series && series < CW_QUERIES_MAX && !asks_expressions(o);
	int64_t of_call = few ? series : CW_QUERIES_MAX;
	int64_t cells = SPAN_MAX_MS / s->common->every_ms;

	if (per_cell < 1)
		per_cell = 1;
	cells = smaller(cells, SPAN_CALL_POINTS / (of_call * per_cell));
	if (series)
		cells = smaller(cells, SPAN_POINTS / (series * per_cell));
	return cells > 1 ? (size_t)cells : 1;
}

/* A metric is listed up to 15 minutes after its first point, and found with the first listing after
 * that. So that nothing of a service is lost that was born between two listings, cells are looked
 * at long enough for both, whatever `revisit` says, unless that is off. */
static int64_t
metrics_reach_ms(const struct job_stream *s)
{
	const struct metrics_opts *o = s->opts;
	int64_t birth = o->discover_every_ms + LISTED_AFTER_MS;

	if (!s->common->revisit_ms)
		return 0;
	if (birth > BIRTH_MAX_MS)
		birth = BIRTH_MAX_MS;
	return s->common->revisit_ms > birth ? s->common->revisit_ms : birth;
}

static int
metrics_adopt(const struct job_stream *s, struct cell_data *d, struct err *err)
{
	const struct line_origin origin = {s->tenant, s->account, s->region, s->common->name};

	return metric_lines_decode(d, &origin, err);
}

static const struct job_column metrics_columns[] = {
    {"name", "string"},
    {"stat", "string"},
    {"unit", "string"},
    {"period", "bigint"},
    {"labels", "map<string,string>"},
    {"values", "array<double>"},
    {NULL, NULL},
};

static const struct job_example metrics_examples[] = {
    {"{tenant}: samples of a series, each at its time",
     "SELECT date_add('second', (nth - 1) * period, from_iso8601_timestamp(ts)) AS moment,\n"
     "  labels, value\n"
     "FROM \"{table}\" CROSS JOIN UNNEST(\"values\") WITH ORDINALITY AS sample (value, nth)\n"
     "WHERE tenant = '{tenant}' AND {day} AND name = 'ecs_task_cpu_utilized' AND value IS NOT "
     "NULL\n"
     "ORDER BY moment"},
    {"{tenant}: the most memory of each service, hour by hour",
     "SELECT dt, hh, element_at(labels, 'cluster') AS cluster,\n"
     "  element_at(labels, 'service') AS service, max(value) AS highest\n"
     "FROM \"{table}\" CROSS JOIN UNNEST(\"values\") AS sample (value)\n"
     "WHERE tenant = '{tenant}' AND {day} AND name = 'ecs_task_memory_utilized'\n"
     "GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4"},
    {"all tenants: how much of the CPU reserved for a task it uses on average",
     "SELECT tenant,\n"
     "  sum(value) FILTER (WHERE name = 'ecs_task_cpu_utilized') AS used,\n"
     "  sum(value) FILTER (WHERE name = 'ecs_task_cpu_reserved') AS reserved,\n"
     "  sum(value) FILTER (WHERE name = 'ecs_task_cpu_utilized')\n"
     "    / nullif(sum(value) FILTER (WHERE name = 'ecs_task_cpu_reserved'), 0) AS share\n"
     "FROM \"{table}\" CROSS JOIN UNNEST(\"values\") AS sample (value)\n"
     "WHERE {day} AND name IN ('ecs_task_cpu_utilized', 'ecs_task_cpu_reserved')\n"
     "GROUP BY tenant ORDER BY share DESC"},
    {"all tenants: which series there are",
     "SELECT name, stat, unit, count(DISTINCT tenant) AS tenants, count(*) AS cells\n"
     "FROM \"{table}\"\n"
     "WHERE {day}\n"
     "GROUP BY name, stat, unit ORDER BY name"},
    {NULL, NULL},
};

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
    .missing = metrics_missing,
    .make_do = metrics_make_do,
    .harvest = metrics_harvest,
    .memo = metrics_memo,
    .gaps = metrics_gaps,
    .foresee = metrics_foresee,
    .billed = metrics_billed,
    .close = pull_free,
    .adopt = metrics_adopt,
    .columns = metrics_columns,
    .examples = metrics_examples,
    .probes = metrics_probes,
    .advise = metrics_advise,
    .shares = metrics_shares,
};
