/*
 * Traces: the spans of an account, from wherever it keeps them.
 *
 * With Transaction Search on, every span is a log event of aws/spans, and X-Ray's own calls would
 * find only the share of them that is indexed. So the account is asked first
 * (GetTraceSegmentDestination), at each pull, for it may change any day. Where the spans are in
 * Logs, the pull is one of the insights kind, of a query of that group; all that is done here is to
 * make spans of its rows. Elsewhere GetTraceSummaries lists the traces whose ids tell a time in the
 * cell, in windows of at most an hour, and BatchGetTraces fetches them, five at a time. Ids that it
 * leaves unprocessed are asked for again, for as long as the runner has time; a trace that is too
 * large for X-Ray (LimitExceeded) is taken without the segments that are missing, and they are a
 * gap on record.
 *
 * A trace of X-Ray's belongs whole to the cell that its id tells of; a span of aws/spans to the one
 * that its log event is in. next() only builds; what moves the pull on is a reply that could be
 * read whole.
 */
#include <stdlib.h>

#include "aws/paging.h"
#include "aws/xray.h"
#include "base/cleanup.h"
#include "base/grow.h"
#include "base/map.h"
#include "jobs/traces.h"
#include "model/span_cell.h"
#include "model/span_xray.h"

#define CELL_MS	       300000
#define DELAY_MS       600000
#define WINDOW_MS      INT64_C(3600000) /* of one GetTraceSummaries */
#define PAGES_MAX      10000
#define RESTARTS_MAX   3
#define AGAIN_FIRST_MS 1000 /* before what was left unprocessed is asked for again; doubled, */
#define AGAIN_MAX_MS   20000
#define IDS_ARENA_MAX  ((size_t)256 << 20)
#define PAGE_ARENA_MAX ((size_t)256 << 20)
#define NS_PER_MS      1000000u
#define REASON_MAX     160

enum phase { DESTINATION, SUMMARIES, TRACES, LOGS, DONE };

/* A trace that is to be fetched. */
struct wanted {
	const char *id;
	size_t cell;
	bool done;
};

/* What is known of a cell beside its spans. */
struct note {
	struct cell cell;
	uint64_t rejected;
	size_t cut; /* traces that X-Ray left segments out of, */
	int64_t cut_from_ms, cut_to_ms;
	const char *cut_id; /* the first of them */
};

struct pull {
	const struct job_stream *s;
	const struct traces_opts *o;
	struct span_owner owner;
	bool again;	 /* the second asking of a cell */
	json_t *memo_in; /* as the last pull left it */
	int64_t now_ms;
	struct cell *cells;
	struct note *notes;
	size_t n_cells;
	enum phase phase;

	/* SUMMARIES: windows, one after the other, and their pages. */
	size_t cell;
	int64_t from_ms;
	struct paging paging; /* of the list */
	unsigned restarts;
	struct arena ids_mem, page;
	struct map by_id; /* index into wanted, plus one */
	struct wanted *wanted;
	size_t n_wanted, cap_wanted;

	/* TRACES: the present round over what is not done. */
	size_t at; /* the next one to look at */
	size_t batch[XRAY_BATCH_MAX];
	size_t n_batch;
	size_t n_left; /* not done */
	unsigned rounds;
	struct span_rows rows;

	/* LOGS */
	struct job_stream logs_stream;
	struct pull *logs; /* of the insights kind */

	struct job_gap *gaps;
	size_t n_gaps;
};

static void
traces_close(struct pull *p)
{
	if (!p)
		return;
	job_insights.close(p->logs);
	json_decref(p->memo_in);
	map_done(&p->by_id, NULL);
	span_rows_done(&p->rows);
	paging_done(&p->paging);
	arena_done(&p->page);
	arena_done(&p->ids_mem);
	free(p->wanted);
	free(p->gaps);
	free(p->notes);
	free(p->cells);
	free(p);
}
DEFINE_FREEP(struct pull, traces_close)

/* Opening */

static int
open_pull(const struct job_stream *s, bool again, const json_t *memo, const struct cell *cells,
	  size_t n, int64_t now_ms, struct pull **ret, struct err *err)
{
	CLEANUP(traces_closep) struct pull *p = calloc(1, sizeof(*p));

	if (!p)
		return err_nomem(err);
	*p = (struct pull){
	    .s = s,
	    .o = s->opts,
	    .owner = {.origin = {s->tenant, s->account, s->region, s->common->name},
		      .labels = s->labels,
		      .n_labels = s->n_labels},
	    .again = again,
	    .memo_in = memo ? json_deep_copy(memo) : NULL,
	    .now_ms = now_ms,
	    .cells = calloc(n, sizeof(*p->cells)),
	    .notes = calloc(n, sizeof(*p->notes)),
	    .gaps = calloc(n, sizeof(*p->gaps)),
	    .n_cells = n,
	    .from_ms = cells[0].start_ms,
	    .paging = PAGING_INIT("NextToken"),
	    .ids_mem = ARENA_INIT(IDS_ARENA_MAX),
	    .page = ARENA_INIT(PAGE_ARENA_MAX),
	    .by_id = MAP_INIT,
	    .logs_stream = traces_as_insights(s),
	};
	if (!p->cells || !p->notes || !p->gaps)
		return err_nomem(err);
	memcpy(p->cells, cells, n * sizeof(*cells));
	for (size_t i = 0; i < n; i++)
		p->notes[i].cell = cells[i];
	if (span_rows_init(&p->rows, &p->owner, err))
		return -1;
	*ret = STEAL(p);
	return 0;
}

static int
traces_open(const struct job_stream *s, const json_t *memo, const struct cell *cells, size_t n,
	    int64_t now_ms, struct pull **ret, struct err *err)
{
	return open_pull(s, false, memo, cells, n, now_ms, ret, err);
}

static int
traces_open_again(const struct job_stream *s, const json_t *memo, const struct cell *cells,
		  size_t n, int64_t now_ms, struct pull **ret, struct err *err)
{
	return open_pull(s, true, memo, cells, n, now_ms, ret, err);
}

/* Where the spans are */

static int
open_logs(struct pull *p, struct err *err)
{
	p->phase = LOGS;
	return (p->again ? job_insights.open_again : job_insights.open)(
	    &p->logs_stream, p->memo_in, p->cells, p->n_cells, p->now_ms, &p->logs, err);
}

static int
destination_reply(struct pull *p, struct sv body, struct err *err)
{
	enum xray_destination to;

	if (xray_destination_read(body, &to, err))
		return -1;
	if (to == XRAY_TO_LOGS)
		return open_logs(p, err);
	p->phase = SUMMARIES;
	return 0;
}

/* Which traces there were */

static int64_t
window_end_ms(const struct pull *p)
{
	int64_t end_ms = p->cells[p->cell].end_ms;

	return end_ms - p->from_ms > WINDOW_MS ? p->from_ms + WINDOW_MS : end_ms;
}

/* Once, however many pages have it. */
static int
want(struct pull *p, const char *id, struct err *err)
{
	struct wanted *v;

	if (map_get(&p->by_id, sv_of(id)))
		return 0;
	v = array_grow(p->wanted, p->n_wanted, &p->cap_wanted, sizeof(*v), err);
	if (!v)
		return -1;
	p->wanted = v;
	v += p->n_wanted;
	*v = (struct wanted){.id = arena_strdup(&p->ids_mem, sv_of(id)), .cell = p->cell};
	if (!v->id)
		return err_nomem(err);
	p->n_wanted++;
	p->n_left++;
	return map_put(&p->by_id, sv_of(id), (void *)(uintptr_t)p->n_wanted, NULL, err);
}

static void traces_end(struct pull *p);

static void
window_end(struct pull *p)
{
	p->from_ms = window_end_ms(p);
	if (p->from_ms >= p->cells[p->cell].end_ms)
		p->cell++;
	p->restarts = 0;
	paging_begin(&p->paging);
	if (p->cell < p->n_cells)
		return;
	p->phase = TRACES;
	if (!p->n_left)
		traces_end(p);
}

static int
summaries_reply(struct pull *p, struct sv body, struct err *err)
{
	struct xray_summaries page;

	if (xray_summaries_read(body, &p->page, &page, err))
		return -1;
	for (size_t i = 0; i < page.n; i++)
		if (want(p, page.v[i].id, err))
			return -1;
	if (page.token)
		return paging_go_on(&p->paging, page.token, PAGES_MAX, err);
	window_end(p);
	return 0;
}

/* Traces */

/* What is not done from `at` on, and round again. */
static void
choose_batch(struct pull *p)
{
	p->n_batch = 0;
	if (p->at >= p->n_wanted) {
		p->at = 0;
		p->rounds++;
	}
	for (size_t i = p->at; i < p->n_wanted && p->n_batch < XRAY_BATCH_MAX; i++)
		if (!p->wanted[i].done)
			p->batch[p->n_batch++] = i;
	if (!p->n_batch) { /* the rest of this round is done */
		p->at = p->n_wanted;
		choose_batch(p);
	}
}

static int64_t
again_ms(unsigned rounds)
{
	int64_t ms = AGAIN_FIRST_MS << (rounds < 6 ? rounds - 1 : 5);

	return ms < AGAIN_MAX_MS ? ms : AGAIN_MAX_MS;
}

static int
traces_call(struct pull *p, struct aws_call *call, struct err *err)
{
	const char *ids[XRAY_BATCH_MAX];
	unsigned before = p->rounds;

	choose_batch(p);
	if (p->rounds > before)
		call->wait_ms = again_ms(p->rounds);
	for (size_t i = 0; i < p->n_batch; i++)
		ids[i] = p->wanted[p->batch[i]].id;
	return xray_traces_call(ids, p->n_batch, call, err);
}

static void
note_cut(struct note *n, const struct wanted *w, const struct span *spans, size_t n_spans)
{
	int64_t from_ms = n->cell.end_ms - 1, to_ms = n->cell.start_ms;

	for (size_t i = 0; i < n_spans; i++) {
		int64_t start_ms = (int64_t)(spans[i].start_ns / NS_PER_MS);
		int64_t end_ms = (int64_t)(spans[i].end_ns / NS_PER_MS) + 1;

		from_ms = start_ms < from_ms ? start_ms : from_ms;
		to_ms = end_ms > to_ms ? end_ms : to_ms;
	}
	from_ms = from_ms < n->cell.start_ms ? n->cell.start_ms : from_ms;
	to_ms = to_ms > n->cell.end_ms ? n->cell.end_ms : to_ms;
	to_ms = to_ms <= from_ms ? from_ms + 1 : to_ms;
	if (!n->cut || from_ms < n->cut_from_ms)
		n->cut_from_ms = from_ms;
	if (!n->cut || to_ms > n->cut_to_ms)
		n->cut_to_ms = to_ms;
	if (!n->cut)
		n->cut_id = w->id;
	n->cut++;
}

static int
take_trace(struct pull *p, const struct xray_trace *t, struct wanted *w, struct err *err)
{
	const struct span_trace trace = {
	    .id = t->id, .documents = t->documents, .n = t->n, .cut = t->limit_exceeded};
	struct note *note = &p->notes[w->cell];
	struct spans spans = SPANS_INIT;
	int rc = span_xray(&trace, &p->page, &spans, &note->rejected, err);

	for (size_t i = 0; !rc && i < spans.n; i++)
		rc = span_rows_add(&p->rows, &spans.v[i], note->cell.start_ms, err);
	if (!rc && t->limit_exceeded)
		note_cut(note, w, spans.v, spans.n);
	spans_done(&spans);
	if (rc)
		return -1;
	w->done = true;
	p->n_left--;
	return 0;
}

static bool
in_batch(const struct pull *p, size_t at)
{
	for (size_t i = 0; i < p->n_batch; i++)
		if (p->batch[i] == at)
			return true;
	return false;
}

static bool
is_unprocessed(const struct xray_traces *t, const char *id)
{
	for (size_t i = 0; i < t->n_unprocessed; i++)
		if (!strcmp(t->unprocessed[i], id))
			return true;
	return false;
}

/* Whatever is not there is asked for again, whether the service says so or not. */
static int
traces_reply_page(struct pull *p, struct sv body, struct err *err)
{
	struct xray_traces page;

	if (xray_traces_read(body, &p->page, &page, err))
		return -1;
	for (size_t i = 0; i < page.n; i++) {
		uintptr_t at = (uintptr_t)map_get(&p->by_id, sv_of(page.v[i].id));

		if (!at || !in_batch(p, at - 1))
			return err_set(err, ERR_DATA, "trace %.64s was not asked for",
				       page.v[i].id);
		if (p->wanted[at - 1].done || is_unprocessed(&page, page.v[i].id))
			continue;
		if (take_trace(p, &page.v[i], &p->wanted[at - 1], err))
			return -1;
	}
	p->at = p->batch[p->n_batch - 1] + 1;
	if (!p->n_left)
		traces_end(p);
	return 0;
}

/* The end */

static void
add_gap(struct pull *p, struct note *n)
{
	char *reason = arena_alloc(&p->ids_mem, REASON_MAX);

	if (reason)
		(void)snprintf(reason, REASON_MAX,
			       "X-Ray leaves segments out of traces that are too large "
			       "(LimitExceeded): %zu, such as %s",
			       n->cut, n->cut_id);
	p->gaps[p->n_gaps++] = (struct job_gap){
	    .from_ms = n->cut_from_ms,
	    .to_ms = n->cut_to_ms,
	    .reason = reason ? reason : "X-Ray leaves segments out of traces (LimitExceeded)",
	};
}

static void
traces_end(struct pull *p)
{
	p->phase = DONE;
	span_rows_sort(&p->rows);
	for (size_t i = 0; i < p->n_cells; i++)
		if (p->notes[i].cut)
			add_gap(p, &p->notes[i]);
}

/* The loop's */

static int
traces_next(struct pull *p, struct aws_call *call, struct err *err)
{
	int rc = -1;

	switch (p->phase) {
	case DESTINATION:
		rc = xray_destination_call(call, err);
		break;
	case SUMMARIES:
		rc = xray_summaries_call(p->from_ms, window_end_ms(p), p->o->filter,
					 p->paging.token, call, err);
		break;
	case TRACES:
		rc = traces_call(p, call, err);
		break;
	case LOGS:
		return job_insights.next(p->logs, call, err);
	case DONE:
		return 0;
	}
	return rc ? -1 : 1;
}

/* A place that has only X-Ray does not know the question; a token that ran out means the same
 * window from its beginning. */
static int
refused(struct pull *p, const struct err *err)
{
	if (p->phase == DESTINATION && strstr(err->code, "UnknownOperation")) {
		p->phase = SUMMARIES;
		return 0;
	}
	if (p->phase != SUMMARIES || !p->paging.token || p->restarts >= RESTARTS_MAX ||
	    err->kind == ERR_THROTTLED)
		return -1;
	p->restarts++;
	paging_begin(&p->paging);
	return 0;
}

static int
traces_reply(struct pull *p, const struct http_resp *resp, struct err *err)
{
	struct sv body = buf_view(&resp->body);

	if (p->phase == LOGS)
		return job_insights.reply(p->logs, resp, err);
	if (resp->status < 200 || resp->status > 299)
		return refused(p, err);
	arena_reset(&p->page);
	if (p->phase == DESTINATION)
		return destination_reply(p, body, err);
	return (p->phase == SUMMARIES ? summaries_reply : traces_reply_page)(p, body, err);
}

static int
traces_lost(struct pull *p)
{
	return p->logs ? job_insights.lost(p->logs) : -1;
}

static void
traces_missing(const struct pull *p, char *out, size_t size)
{
	const char *id = "";

	if (p->logs) {
		job_insights.missing(p->logs, out, size);
		return;
	}
	for (size_t i = 0; !*id && i < p->n_wanted; i++)
		id = p->wanted[i].done ? "" : p->wanted[i].id;
	if (p->phase == TRACES)
		(void)snprintf(out, size, "%zu of %zu traces are still unprocessed, such as %s",
			       p->n_left, p->n_wanted, id);
	else
		(void)snprintf(out, size, "the list of traces is at page %u", p->paging.pages + 1);
}

/* Traces that X-Ray has listed and does not give. */
static bool
traces_make_do(struct pull *p)
{
	if (p->phase != TRACES)
		return false;
	traces_end(p);
	return true;
}

static size_t
traces_gaps(const struct pull *p, const struct job_gap **ret)
{
	if (p->logs)
		return job_insights.gaps(p->logs, ret);
	*ret = p->gaps;
	return p->n_gaps;
}

/* Harvest */

static int
harvest_logs(struct pull *p, struct cell_data *d, struct err *err)
{
	struct span_rows rows;
	struct cell_data logs;
	int rc;

	cell_data_init(&logs, d->cell);
	rc = span_rows_init(&rows, &p->owner, err);
	if (!rc)
		rc = job_insights.harvest(p->logs, &logs, 1, err);
	if (!rc)
		rc = span_rows_take(&rows, &logs, d->cell.start_ms, &d->n_rejected, err);
	d->asked_before = logs.asked_before;
	d->n_rejected += logs.n_rejected;
	cell_data_done(&logs);
	if (!rc) {
		span_rows_sort(&rows);
		rc = span_rows_fill(&rows, d, p->o->period_ms, err);
	}
	span_rows_done(&rows);
	return rc;
}

static int
traces_harvest(struct pull *p, struct cell_data *cells, size_t n, struct err *err)
{
	for (size_t i = 0; i < n; i++) {
		if (p->logs) {
			if (harvest_logs(p, &cells[i], err))
				return -1;
			continue;
		}
		for (size_t k = 0; k < p->n_cells; k++)
			if (p->notes[k].cell.start_ms == cells[i].cell.start_ms)
				cells[i].n_rejected += p->notes[k].rejected;
		if (span_rows_fill(&p->rows, &cells[i], p->o->period_ms, err))
			return -1;
	}
	return 0;
}

static int
traces_adopt(const struct job_stream *s, struct cell_data *d, struct err *err)
{
	const struct traces_opts *o = s->opts;
	const struct span_owner owner = {
	    .origin = {s->tenant, s->account, s->region, s->common->name},
	    .labels = s->labels,
	    .n_labels = s->n_labels,
	};

	return span_cell_adopt(d, &owner, o->period_ms, err);
}

/* Of the insights kind, where there is such a pull. The memo is its memo. */

static size_t
traces_span_max(const struct job_stream *s, const json_t *memo)
{
	const struct job_stream of = traces_as_insights(s);

	return job_insights.span_max(&of, memo);
}

static bool
traces_alone(const struct job_stream *s)
{
	const struct job_stream of = traces_as_insights(s);

	return job_insights.alone(&of);
}

static json_t *
traces_memo(struct pull *p)
{
	return p->logs ? job_insights.memo(p->logs) : NULL;
}

static bool
traces_memo_urgent(const struct pull *p)
{
	return p->logs && job_insights.memo_urgent(p->logs);
}

static int
traces_leave(struct pull *p, struct aws_call *call)
{
	return p->logs ? job_insights.leave(p->logs, call) : 0;
}

static uint64_t
traces_scanned(const json_t *memo, int64_t now_ms)
{
	return job_insights.scanned(memo, now_ms);
}

static void
traces_scanned_elsewhere(struct pull *p, uint64_t bytes)
{
	if (p->logs)
		job_insights.scanned_elsewhere(p->logs, bytes);
}

static void
traces_billed(const struct pull *p, uint64_t *metrics, uint64_t *bytes_scanned)
{
	*metrics = *bytes_scanned = 0;
	if (p->logs)
		job_insights.billed(p->logs, metrics, bytes_scanned);
}

/* The first page of each window. How many traces there will be nobody knows, nor how many calls it
 * takes to fetch them. */
static int
traces_foresee(const struct pull *p, uint64_t assumed, struct job_forecast *f, struct err *err)
{
	uint64_t windows = 0;

	(void)assumed;
	(void)err;
	for (size_t i = 0; i < p->n_cells; i++)
		windows += (uint64_t)((p->cells[i].end_ms - p->cells[i].start_ms + WINDOW_MS - 1) /
				      WINDOW_MS);
	*f = (struct job_forecast){.n_calls = 2};
	f->calls[0] = (struct job_calls){"GetTraceSegmentDestination", 1};
	f->calls[1] = (struct job_calls){"GetTraceSummaries", windows};
	return 0;
}

/* A service's calls are counted once. */
static bool
traces_shares(const void *opts, const void *other, struct buf *what)
{
	(void)opts;
	(void)other;
	buf_str(what, "trace_calls");
	return true;
}

/* trace_id and span_id are there under OTLP's names as well. A value of an attribute is one of
 * several types, so it stays JSON text. */
#define ATTRIBUTES "array<map<string,string>>"
static const struct job_column traces_columns[] = {
    {"trace_id", "string"},
    {"span_id", "string"},
    {"parentSpanId", "string"},
    {"traceState", "string"},
    {"flags", "bigint"},
    {"service", "string"},
    {"name", "string"},
    {"kind", "int"},
    {"startTimeUnixNano", "string"},
    {"endTimeUnixNano", "string"},
    {"attributes", ATTRIBUTES},
    {"droppedAttributesCount", "bigint"},
    {"events", ATTRIBUTES},
    {"links", ATTRIBUTES},
    {"status", "struct<code:int,message:string>"},
    {"resource", "struct<attributes:" ATTRIBUTES ">"},
    {"scope", "struct<name:string,version:string>"},
    {NULL, NULL},
};
#undef ATTRIBUTES

#define NANOSECONDS "(CAST(end_time_unix_nano AS bigint) - CAST(start_time_unix_nano AS bigint))"
static const struct job_example traces_examples[] = {
    {"{tenant}: the slowest requests",
     "SELECT ts, service, name, trace_id, " NANOSECONDS " / 1e9 AS seconds\n"
     "FROM \"{table}\"\n"
     "WHERE tenant = '{tenant}' AND {day} AND parent_span_id IS NULL\n"
     "ORDER BY seconds DESC LIMIT 50"},
    {"all tenants: what each service was asked, how often it failed, and how long it took",
     "SELECT tenant, service, count(*) AS calls, sum(CASE WHEN status.code = 2 THEN 1 ELSE 0 END) "
     "AS failed,\n"
     "  avg(" NANOSECONDS " / 1e9) AS mean_seconds\n"
     "FROM \"{table}\"\n"
     "WHERE {day} AND (kind = 2 OR parent_span_id IS NULL)\n"
     "GROUP BY tenant, service ORDER BY failed DESC, calls DESC"},
    {"all tenants: which service calls which",
     "SELECT a.tenant, a.service AS caller, b.service AS called, count(*) AS calls\n"
     "FROM (SELECT tenant, trace_id, span_id, service FROM \"{table}\" WHERE {day}) a\n"
     "JOIN (SELECT tenant, trace_id, parent_span_id, service FROM \"{table}\" WHERE {day}) b\n"
     "  ON a.tenant = b.tenant AND a.trace_id = b.trace_id AND a.span_id = b.parent_span_id\n"
     "WHERE a.service <> b.service\n"
     "GROUP BY 1, 2, 3 ORDER BY calls DESC"},
    {"{tenant}: spans by an attribute (here `http.request.method`)",
     "SELECT service, json_extract_scalar(element_at(attribute, 'value'), '$.stringValue') AS "
     "value,\n"
     "  count(*) AS spans\n"
     "FROM \"{table}\" CROSS JOIN UNNEST(attributes) AS a (attribute)\n"
     "WHERE tenant = '{tenant}' AND {day} AND element_at(attribute, 'key') = "
     "'http.request.method'\n"
     "GROUP BY 1, 2 ORDER BY spans DESC"},
    {NULL, NULL},
};
#undef NANOSECONDS

const struct job_kind job_traces = {
    .name = "traces",
    .summary = "spans of X-Ray and of Transaction Search, with calls and durations as series",
    .keys = traces_keys,
    .opts_size = sizeof(struct traces_opts),
    .every_ms = CELL_MS,
    .delay_ms = DELAY_MS,
    .service = "xray",
    .also = "logs",
    .spans = true,
    .check = traces_check,
    .definition = traces_definition,
    .span_max = traces_span_max,
    .alone = traces_alone,
    .open = traces_open,
    .open_again = traces_open_again,
    .next = traces_next,
    .reply = traces_reply,
    .lost = traces_lost,
    .missing = traces_missing,
    .make_do = traces_make_do,
    .harvest = traces_harvest,
    .memo = traces_memo,
    .memo_urgent = traces_memo_urgent,
    .leave = traces_leave,
    .gaps = traces_gaps,
    .foresee = traces_foresee,
    .scanned = traces_scanned,
    .scanned_elsewhere = traces_scanned_elsewhere,
    .billed = traces_billed,
    .close = traces_close,
    .adopt = traces_adopt,
    .columns = traces_columns,
    .examples = traces_examples,
    .probes = traces_probes,
    .doubt = traces_doubt,
    .shares = traces_shares,
};
