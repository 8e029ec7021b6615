/*
 * Events for Insights queries: one each `step` milliseconds, with a message as an application
 * writes it, never twice the same. A query's rows are those that the filter on toMillis(@timestamp)
 * asks for, the oldest first, at most as many as its limit says.
 */
#include "tests/bench/pages_logs.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/timefmt.h"

#define LIST_MAX   65536
#define RESULT_MAX ((size_t)64 << 20)
#define ROWS_MAX   10000 /* of a page whose size is not asked for */

struct query {
	int64_t from_ms, to_ms;
	int64_t limit;
};

/* A part of a query's rows, made when it is asked for first. */
struct page {
	struct query q;
	int64_t skip, rows; /* those before it, and at most so many */
	struct buf text;
	const struct page *same; /* which has the text; NULL: this one has */
};

static struct {
	pthread_mutex_t mu;
	int64_t step_ms;
	struct query q[LIST_MAX];
	size_t n_q;
	struct page v[LIST_MAX];
	size_t n; /* as they were served */
} logs = {.mu = PTHREAD_MUTEX_INITIALIZER, .step_ms = 50};

void
logs_every(long ms)
{
	logs.step_ms = ms;
}

static uint64_t
scramble(uint64_t v)
{
	v = (v ^ (v >> 31)) * 0x9E3779B97F4A7C15u;
	v = (v ^ (v >> 29)) * 0xBF58476D1CE4E5B9u;
	return v ^ (v >> 32);
}

static void
put_row(struct buf *out, int64_t ms)
{
	static const char *const paths[] = {"/api/v1/orders", "/api/v1/carts/items",
					    "/healthz",	      "/api/v2/search",
					    "/login",	      "/assets/app.js"};
	uint64_t h = scramble((uint64_t)ms);
	char time[TIME_TEXT_MAX];

	time_format_ms(ms, time);
	time[10] = ' '; /* as Insights writes it: no T, no Z */
	time[23] = '\0';
	buf_fmt(out, "[{\"field\":\"@timestamp\",\"value\":\"%s\"},", time);
	buf_fmt(out, "{\"field\":\"@logStream\",\"value\":\"app/web/%016" PRIx64 "\"},",
		h % 8 * 0x1234567u);
	buf_str(out, "{\"field\":\"@log\",\"value\":\"200000000000:/ecs/app\"},");
	buf_fmt(
	    out,
	    "{\"field\":\"@message\",\"value\":\"{\\\"level\\\":\\\"error\\\",\\\"method\\\":"
	    "\\\"GET\\\","
	    "\\\"path\\\":\\\"%s\\\",\\\"status\\\":%d,\\\"duration_ms\\\":%d,\\\"request_id\\\":"
	    "\\\"%016" PRIx64
	    "\\\",\\\"user\\\":\\\"u%05d\\\",\\\"message\\\":\\\"upstream took too long\\\"}\"},",
	    paths[h % 6], h % 7 ? 502 : 504, (int)(h >> 8 & 4095), h, (int)(h >> 20 & 16383));
	buf_str(out, "{\"field\":\"level\",\"value\":\"error\"},");
	buf_fmt(out, "{\"field\":\"@ptr\",\"value\":\"CmAK%016" PRIx64 "%016" PRIx64 "GAA=\"}]",
		(uint64_t)ms, h);
}

static int64_t
number_after(struct sv body, const char *what)
{
	const char *p = memmem(body.p, body.n, what, strlen(what));

	return p ? strtoll(p + strlen(what), NULL, 10) : 0;
}

static int64_t
first_event(const struct query *q)
{
	return (q->from_ms + logs.step_ms - 1) / logs.step_ms * logs.step_ms;
}

static int64_t
matched_by(const struct query *q)
{
	int64_t first = first_event(q);

	return q->to_ms > first ? (q->to_ms - first + logs.step_ms - 1) / logs.step_ms : 0;
}

static void
make_page(struct page *p)
{
	int64_t matched = matched_by(&p->q), first = first_event(&p->q);
	int64_t last = matched < p->q.limit ? matched : p->q.limit;

	p->text = BUF_INIT(RESULT_MAX);
	if (p->rows > last - p->skip)
		p->rows = last > p->skip ? last - p->skip : 0;
	buf_str(&p->text, "{\"queryLanguage\":\"CWLI\",\"results\":[");
	for (int64_t i = 0; i < p->rows; i++) {
		if (i)
			buf_ch(&p->text, ',');
		put_row(&p->text, first + (p->skip + i) * logs.step_ms);
	}
	buf_str(&p->text, "],");
	if (p->skip + p->rows < last)
		buf_fmt(&p->text, "\"nextToken\":\"from-%" PRId64 "\",", p->skip + p->rows);
	buf_fmt(&p->text, "\"statistics\":{\"recordsMatched\":%" PRId64 ".0,", matched);
	buf_fmt(&p->text, "\"recordsScanned\":%" PRId64 ".0,\"bytesScanned\":%" PRId64 ".0},",
		matched, matched * 260);
	buf_str(&p->text, "\"status\":\"Complete\"}");
	if (!buf_ok(&p->text))
		abort();
}

static const struct page *
owner(const struct page *p)
{
	return p->same ? p->same : p;
}

static bool
is_same(const struct page *a, const struct page *b)
{
	return a->q.from_ms == b->q.from_ms && a->q.to_ms == b->q.to_ms &&
	       a->q.limit == b->q.limit && a->skip == b->skip;
}

static struct sv
get_results(struct sv body)
{
	int64_t n = number_after(body, "\"queryId\":\"q"),
		items = number_after(body, "\"maxItems\":");
	struct page *p;

	(void)pthread_mutex_lock(&logs.mu);
	if (n < 0 || (size_t)n >= logs.n_q || logs.n == LIST_MAX)
		abort();
	p = &logs.v[logs.n];
	*p = (struct page){.q = logs.q[n],
			   .skip = number_after(body, "\"nextToken\":\"from-"),
			   .rows = items ? items : ROWS_MAX};
	for (size_t i = 0; i < logs.n && !p->same; i++)
		if (is_same(&logs.v[i], p))
			p->same = owner(&logs.v[i]);
	if (p->same)
		p->rows = p->same->rows;
	else
		make_page(p);
	logs.n++;
	(void)pthread_mutex_unlock(&logs.mu);
	return buf_view(&owner(p)->text);
}

static struct sv
start_query(struct sv body, struct buf *text)
{
	struct query q = {.from_ms = number_after(body, "toMillis(@timestamp) >= "),
			  .to_ms = number_after(body, "toMillis(@timestamp) < "),
			  .limit = number_after(body, "\"limit\":")};

	(void)pthread_mutex_lock(&logs.mu);
	if (logs.n_q == LIST_MAX)
		abort();
	buf_fmt(text, "{\"queryId\":\"q%zu\"}", logs.n_q);
	logs.q[logs.n_q++] = q;
	(void)pthread_mutex_unlock(&logs.mu);
	return buf_view(text);
}

struct sv
logs_page(size_t n)
{
	const struct page *p = NULL;

	(void)pthread_mutex_lock(&logs.mu);
	if (n < logs.n)
		p = owner(&logs.v[n]);
	(void)pthread_mutex_unlock(&logs.mu);
	return p ? buf_view(&p->text) : SV("");
}

struct sv
logs_answer(const char *operation, struct sv body, struct buf *text)
{
	if (!strncmp(operation, "StartQuery", 10))
		return start_query(body, text);
	if (!strncmp(operation, "GetQueryResults", 15))
		return get_results(body);
	if (!strncmp(operation, "DescribeQueries", 15))
		return SV("{\"queries\":[]}");
	return SV(
	    "{\"logGroups\":[{\"logGroupName\":\"/ecs/app\",\"creationTime\":1,\"storedBytes\":1,"
	    "\"logGroupClass\":\"STANDARD\"}]}");
}

void
logs_counts(struct buf *out)
{
	uint64_t bytes = 0, rows = 0;

	(void)pthread_mutex_lock(&logs.mu);
	for (size_t i = 0; i < logs.n; i++) {
		bytes += owner(&logs.v[i])->text.n;
		rows += (uint64_t)logs.v[i].rows;
	}
	buf_fmt(out, "\"queries\":%zu,\"pages\":%zu,\"page_bytes\":%" PRIu64 ",\"rows\":%" PRIu64,
		logs.n_q, logs.n, bytes, rows);
	(void)pthread_mutex_unlock(&logs.mu);
}
