/*
 * A pull begins: without the cells that CloudWatch keeps no points of any more, and with the list
 * of metrics, unless the memo's is young enough.
 */
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/num.h"
#include "jobs/metrics_pull.h"

#define MINUTE_MS 60000LL
#define HOUR_MS	  (60 * MINUTE_MS)
#define DAY_MS	  (24 * HOUR_MS)

/* RecentlyActive means three hours with up to 50 minutes of slack; half an hour is kept for clocks
 * and delays. */
#define RECENT_MS      (150 * MINUTE_MS)
#define DEFINITION_MAX ((size_t)1 << 20)
#define PAGE_ARENA_MAX ((size_t)512 << 20)

DEFINE_FREEP(struct pull, metrics_close)

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
		return metrics_data_begin(p, err);
	if (!p->n_namespaces)
		return metrics_data_begin(p, err); /* expressions that SEARCH, and nothing else */
	p->phase = LIST;
	return 0;
}

int
metrics_open(const struct job_stream *s, const json_t *memo, const struct cell *cells, size_t n,
	     int64_t now_ms, struct pull **ret, struct err *err)
{
	CLEANUP(metrics_closep) struct pull *p = calloc(1, sizeof(*p));
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
	    .paging = PAGING_INIT("NextToken"),
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
