/*
 * Queries that were started and are not known: StartQuery was never answered, or its answer died
 * with the run that got it. Each is paid for, and its result is kept for a week.
 *
 * So every query carries a mark that makes its text its own (the same for who asks the same again),
 * and where something may have been started, the service is asked once for the queries it has. What
 * is on that list is collected instead of started.
 */
#include <stdlib.h>

#include "base/cleanup.h"
#include "jobs/insights_pull.h"

/* A query is on the list a moment after it was started. */
#define SETTLE_MS      1500
#define LIST_PAGES_MAX 200 /* of 100 queries */
/* Answers lost one after another: the service is not well, its cells are tried again later. */
#define LOSSES_MAX 3

/* 13 digits, as times in milliseconds have them: a number that says nothing. */
#define MARK_MODULO UINT64_C(10000000000000)

int
lost_mark(const struct pull *p, const struct ask *a, struct buf *text, struct err *err)
{
	uint64_t mark = mix64(fnv1a64(sv_of(p->definition)) + a->tries);

	/* What the first asking brought is not asked for. */
	if (p->again)
		mark = mix64(mark + 1);
	/* Linked accounts are asked through one. */
	mark = mix64(mark ^ fnv1a64(sv_of(p->s->account)));
	for (size_t i = a->g0; i < a->g1; i++)
		mark = mix64(mark ^ fnv1a64(sv_of(p->groups.v[i].name)));
	buf_fmt(text, LOGS_QUERY_MARK "%013llu", (unsigned long long)(mark % MARK_MODULO));
	return buf_check(text, "query", err);
}

static void
forget(struct pull *p)
{
	map_done(&p->started, NULL);
	p->started = MAP_INIT;
}

void
lost_done(struct pull *p)
{
	forget(p);
}

void
lost_look(struct pull *p, bool just_now)
{
	forget(p);
	paging_begin(&p->paging);
	p->looking = true;
	if (just_now)
		p->pause_ms = SETTLE_MS;
}

int
lost_answer(struct pull *p)
{
	p->changed = p->lost = true;
	if (++p->losses > LOSSES_MAX)
		return -1;
	lost_look(p, true);
	return 0;
}

int
lost_next(struct pull *p, struct aws_call *call, struct err *err)
{
	p->doing = LOOKING;
	return logs_queries_call(p->paging.token, call, err) ? -1 : 1;
}

static void
look_ends(struct pull *p)
{
	paging_begin(&p->paging);
	p->looking = p->lost = false;
}

/* Those that came to something or still may. */
static int
remember(struct pull *p, const struct logs_query *q, struct err *err)
{
	char key[SHA256_HEX_LEN + 1], *id;

	if (q->status > LOGS_COMPLETE || !strstr(q->text, LOGS_QUERY_MARK))
		return 0;
	id = arena_strdup(&p->mem, sv_of(q->id));
	if (!id)
		return err_nomem(err);
	sha256_hex(sv_of(q->text), key);
	return map_put(&p->started, sv_of(key), id, NULL, err);
}

int
lost_reply(struct pull *p, struct sv body, struct err *err)
{
	struct logs_queries_page page;

	arena_reset(&p->page);
	if (logs_queries_read(body, &p->page, &page, err))
		return -1;
	for (size_t i = 0; i < page.n; i++)
		if (remember(p, &page.queries[i], err))
			return -1;
	if (page.token && p->paging.pages < LIST_PAGES_MAX)
		return paging_go_on(&p->paging, page.token, LIST_PAGES_MAX, err);
	look_ends(p);
	return 0;
}

int
lost_refused(struct pull *p, const struct err *err)
{
	if (err->kind == ERR_THROTTLED)
		p->pause_ms = SETTLE_MS;
	else
		look_ends(p); /* not allowed: then a query may be paid for twice, but not missed */
	return 0;
}

const char *
lost_found(const struct pull *p, const char *text)
{
	char key[SHA256_HEX_LEN + 1];

	if (!map_count(&p->started))
		return NULL;
	sha256_hex(sv_of(text), key);
	return map_get(&p->started, sv_of(key));
}
