/*
 * The memo of the insights kind: what a later pull of the same cells goes on from (the queries that
 * are paid for, the log groups they name by their place, each asking in its own part), what was
 * scanned on this day, and how dense the last cell was.
 */
#include "jobs/insights_pull.h"

#define MEMO_VERSION 1
/* Cells of one span: while few rows are expected, several queries may run at once. */
#define SPAN_MAX_CELLS 12
#define SPAN_MAX_ROWS  50000

static uint64_t
rows_since(const struct pull *p, int64_t ms)
{
	uint64_t n = row_runs_count(&p->runs, 0, ms);

	for (size_t i = 0; i < p->n_rows; i++)
		n += p->rows[i].ts_ms >= ms;
	return n;
}

/* What a pull of the same cells goes on from. */
static json_t *
save_asking(const struct pull *p)
{
	json_t *groups = groups_save(&p->groups);
	json_t *asks = asks_save(&p->asks);

	return json_pack("{s:I, s:I, s:o, s:o, s:i, s:b}", "listed_ms",
			 (json_int_t)p->groups.listed_ms, "base", (json_int_t)p->groups.base,
			 "groups", groups, "asks", asks, "limit", (int)p->limit, "lost",
			 (int)p->lost);
}

/* Takes `more`. NULL if either is, or without memory. */
static json_t *
with(json_t *memo, json_t *more)
{
	bool failed = !memo || !more || json_object_update(memo, more);

	json_decref(more);
	if (!failed)
		return memo;
	json_decref(memo);
	return NULL;
}

/* Of a first asking: with what there is of a second one. */
static json_t *
save_first(const struct pull *p)
{
	int64_t last_ms = p->end_ms - p->s->common->every_ms;
	bool done = p->phase == DONE;
	json_t *more = json_pack(
	    "{s:I, s:I}", "rows", (json_int_t)(done ? rows_since(p, last_ms) : p->rows_before),
	    "rows_ms", (json_int_t)(done ? p->s->common->every_ms : p->ms_before));

	if (more && p->other && json_object_set(more, "again", p->other)) {
		json_decref(more);
		return NULL;
	}
	return with(save_asking(p), more);
}

/* Of a second one: in the memo of the first. */
static json_t *
save_again(const struct pull *p)
{
	json_t *asking = save_asking(p);

	return with(p->other ? json_copy(p->other) : json_object(),
		    asking ? json_pack("{s:o}", "again", asking) : NULL);
}

json_t *
insights_memo(struct pull *p)
{
	if (!p->changed || p->phase == LIST)
		return NULL;
	p->urgent = false;
	return with(p->again ? save_again(p) : save_first(p),
		    json_pack("{s:i, s:s, s:s, s:I}", "version", MEMO_VERSION, "definition",
			      p->definition, "day", p->day, "scanned", (json_int_t)p->spent));
}

static int64_t
memo_int(const json_t *memo, const char *key)
{
	return json_integer_value(json_object_get(memo, key));
}

static bool
memo_is(const json_t *memo, const char *key, const char *value)
{
	const char *s = json_string_value(json_object_get(memo, key));

	return s && !strcmp(s, value);
}

/* The asks of an earlier pull of these cells. False: not of all of them. */
static bool
load_asks(struct pull *p, const json_t *list)
{
	int64_t every_ms = p->s->common->every_ms;
	bool all = true;

	for (int64_t ms = p->start_ms; ms < p->end_ms; ms += every_ms)
		all = asks_load(&p->asks, list, ms, ms + every_ms, &p->groups) && all;
	asks_trim(&p->asks, &p->groups);
	for (size_t i = 0; i < p->asks.n; i++)
		p->collected = p->collected || p->asks.v[i].id;
	return all;
}

/* The groups that an asking named. False: none are known. */
static bool
load_list(struct pull *p, const json_t *asking)
{
	int64_t base = memo_int(asking, "base");

	p->groups = (struct groups){.listed_ms = memo_int(asking, "listed_ms")};
	if (!groups_load(&p->groups, json_object_get(asking, "groups"), &p->mem) || base < 0 ||
	    base > (int64_t)p->groups.n) {
		p->groups = (struct groups){0};
		return false;
	}
	p->groups.base = (size_t)base;
	return true;
}

static bool
list_is_young(const struct pull *p)
{
	return p->groups.listed_ms <= p->now_ms &&
	       p->groups.listed_ms > p->now_ms - p->o->discover_every_ms;
}

/* False: the groups have to be listed. */
static bool
load_first(struct pull *p, const json_t *memo)
{
	bool young;

	if (!load_list(p, memo))
		return false;
	young = list_is_young(p);
	if (load_asks(p, json_object_get(memo, "asks")) || young)
		return true;
	/* The new list comes behind the one that asks name. */
	p->groups.base = p->groups.n;
	if (!p->asks.n)
		p->groups = (struct groups){0};
	return false;
}

/* The same for a second asking, which is of one cell: all of its asks are there, or none. One that
 * begins goes by the list of the first ones. */
static bool
load_again(struct pull *p, const json_t *memo)
{
	const json_t *again = json_object_get(memo, "again");

	if (load_list(p, again) && load_asks(p, json_object_get(again, "asks")))
		return true;
	if (load_list(p, memo) && list_is_young(p)) {
		asks_trim(&p->asks, &p->groups);
		return true;
	}
	p->groups = (struct groups){0};
	return false;
}

uint64_t
insights_scanned(const json_t *memo, int64_t now_ms)
{
	int64_t bytes = memo_int(memo, "scanned");
	char day[TIME_TEXT_MAX];

	time_format_day(now_ms, day);
	return memo_is(memo, "day", day) && bytes > 0 ? (uint64_t)bytes : 0;
}

static void
load_limit(struct pull *p, const json_t *asking)
{
	int64_t limit = memo_int(asking, "limit");

	if (limit >= 1 && limit < p->limit)
		p->limit = (long)limit;
}

bool
insights_memo_load(struct pull *p, const json_t *memo)
{
	json_t *again = json_object_get(memo, "again");
	int64_t rows = memo_int(memo, "rows");

	if (memo_int(memo, "version") != MEMO_VERSION)
		return false;
	p->spent = insights_scanned(memo, p->now_ms);
	if (!memo_is(memo, "definition", p->definition))
		return false;
	p->other = json_deep_copy(p->again ? memo : again);
	p->lost = json_is_true(json_object_get(p->again ? again : memo, "lost"));
	load_limit(p, memo);
	if (p->again)
		load_limit(p, again);
	if (rows >= 0 && memo_int(memo, "rows_ms") > 0) {
		p->rows_before = (uint64_t)rows;
		p->ms_before = memo_int(memo, "rows_ms");
	}
	return p->again ? load_again(p, memo) : load_first(p, memo);
}

size_t
insights_span_max(const struct job_stream *s, const json_t *memo)
{
	const struct insights_opts *o = s->opts;
	int64_t rows = memo_int(memo, "rows"), ms = memo_int(memo, "rows_ms");
	int64_t n;

	if (memo_int(memo, "version") != MEMO_VERSION || rows < 0 || ms != s->common->every_ms)
		return 1; /* how dense the first one is will be seen */
	n = rows < SPAN_MAX_ROWS ? SPAN_MAX_ROWS / (rows + 1) : 1;
	n = n < SPAN_MAX_CELLS ? n : SPAN_MAX_CELLS;
	n = n < o->concurrency * 3 ? n : o->concurrency * 3;
	return n > 0 ? (size_t)n : 1;
}
