/*
 * A pull of the insights kind begins: with what its memo knows, or with the list of log groups.
 */
#include <stdlib.h>

#include "aws/endpoint.h"
#include "base/cleanup.h"
#include "jobs/insights_pull.h"

#define DEFINITION_MAX ((size_t)1 << 20)
#define TEXT_MAX       ((size_t)4 * LOGS_QUERY_MAX)
#define PULL_ARENA_MAX ((size_t)1 << 30)
#define PAGE_ARENA_MAX ((size_t)64 << 20)
#define LINES_MAX      ((size_t)4 << 30)

DEFINE_FREEP(struct pull, insights_close)

int
insights_arn(const struct job_stream *s, struct buf *out, struct err *err)
{
	if (!s->linked_account)
		return 0;
	buf_fmt(out, "arn:%s:logs:%s:%s:log-group:", endpoint_partition(s->region), s->region,
		s->linked_account);
	return buf_check(out, "ARN", err);
}

static int
name_account(struct pull *p, struct err *err)
{
	CLEANUP(buf_done) struct buf arn = BUF_INIT(INSIGHTS_ARN_MAX);

	if (insights_arn(p->s, &arn, err))
		return -1;
	if (!arn.n)
		return 0;
	p->arn = arena_strdup(&p->mem, buf_view(&arn));
	return p->arn ? 0 : err_nomem(err);
}

static int
pull_begin(struct pull *p, const json_t *memo, struct err *err)
{
	const struct line_origin origin = {p->s->tenant, p->s->account, p->s->region,
					   p->s->common->name};
	CLEANUP(buf_done) struct buf text = BUF_INIT(DEFINITION_MAX);

	insights_definition(p->s->common, p->o, &text);
	if (buf_check(&text, "definition", err) || name_account(p, err))
		return -1;
	sha256_hex(buf_view(&text), p->definition);
	time_format_day(p->now_ms, p->day);
	p->common = insights_common(&origin, &p->mem);
	if (!p->common)
		return err_nomem(err);
	if (insights_memo_load(p, memo)) {
		p->items = p->limit > LOGS_ROWS_MAX ? LOGS_ROWS_MAX : 0;
		return insights_plan(p, err);
	}
	p->items = p->limit > LOGS_ROWS_MAX ? LOGS_ROWS_MAX : 0;
	return groups_prefixes(p->o, &p->mem, &p->prefixes, err);
}

static int
open_pull(const struct job_stream *s, bool again, const json_t *memo, struct cell span,
	  int64_t now_ms, struct pull **ret, struct err *err)
{
	CLEANUP(insights_closep) struct pull *p = calloc(1, sizeof(*p));

	if (!p)
		return err_nomem(err);
	*p = (struct pull){
	    .s = s,
	    .o = s->opts,
	    .again = again,
	    .start_ms = span.start_ms,
	    .end_ms = span.end_ms,
	    .now_ms = now_ms,
	    .mem = ARENA_INIT(PULL_ARENA_MAX),
	    .page = ARENA_INIT(PAGE_ARENA_MAX),
	    .lines = ARENA_INIT(LINES_MAX),
	    .runs = ROW_RUNS_INIT,
	    .paging = PAGING_INIT("nextToken"),
	    .text = BUF_INIT(TEXT_MAX),
	    .line = BUF_INIT(2 * HTTP_MAX_BODY),
	    .started = MAP_INIT,
	    .poll_ms = POLL_FIRST_MS,
	};
	p->asks.a = &p->mem;
	p->limit = (long)p->o->limit;
	if (pull_begin(p, memo, err))
		return -1;
	*ret = STEAL(p);
	return 0;
}

int
insights_open(const struct job_stream *s, const json_t *memo, const struct cell *cells, size_t n,
	      int64_t now_ms, struct pull **ret, struct err *err)
{
	return open_pull(s, false, memo, (struct cell){cells[0].start_ms, cells[n - 1].end_ms},
			 now_ms, ret, err);
}

int
insights_open_again(const struct job_stream *s, const json_t *memo, const struct cell *cells,
		    size_t n, int64_t now_ms, struct pull **ret, struct err *err)
{
	return open_pull(s, true, memo, (struct cell){cells[0].start_ms, cells[n - 1].end_ms},
			 now_ms, ret, err);
}
