/*
 * Reading how everything stands; see status.h.
 *
 * The state is listed once, so that what is not there costs no call, and what is there but in no
 * configuration is seen as well. The checkpoints are then read by a few threads at once: from S3
 * each takes some tens of milliseconds, and there may be thousands.
 */
#include "run/status.h"

#include <fnmatch.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/crew.h"
#include "base/grow.h"
#include "run/plan.h"
#include "run/report.h"
#include "run/session.h"

#define READERS	  16
#define ARENA_MAX ((size_t)512 << 20)

DEFINE_FREEP(struct status, status_free)

/* Entries: what is configured, and what is stored */

struct gather {
	struct status *st;
	struct store *state;
	const struct options *select;
	size_t cap;
	bool nomem;
	atomic_size_t next; /* of the entries, for the readers */
};

static struct status_entry *
entry_add(struct gather *g, const char *tenant, const char *job)
{
	struct status *st = g->st;
	struct status_entry *v = array_grow(st->entries, st->n_entries, &g->cap, sizeof(*v), NULL);

	if (!v) {
		g->nomem = true;
		return NULL;
	}
	st->entries = v;
	v += st->n_entries++;
	*v = (struct status_entry){.tenant = tenant, .name = job};
	return v;
}

static void
add_configured(struct gather *g)
{
	const struct config *c = g->st->config;

	for (size_t t = 0; t < c->n_tenants && !g->nomem; t++)
		for (size_t j = 0; j < c->n_jobs && !g->nomem; j++) {
			struct status_entry *e;

			if (!tenant_has_job(&c->tenants[t], c->jobs[j].name))
				continue;
			e = entry_add(g, c->tenants[t].id, c->jobs[j].name);
			if (!e)
				return;
			e->owner = &c->tenants[t];
			e->account = c->tenants[t].account;
			e->job = &c->jobs[j];
		}
}

static int
add_stored(const char *tenant, const char *job, enum ckpt_part part, void *arg)
{
	struct gather *g = arg;
	const char *t = arena_strdup(&g->st->arena, sv_of(tenant));
	const char *name = arena_strdup(&g->st->arena, sv_of(job));
	struct status_entry *e;

	if (part == CKPT_FORGOTTEN_COPY)
		return 0;
	e = t && name ? entry_add(g, t, name) : NULL;
	if (!e) {
		g->nomem = true;
		return 1;
	}
	e->stored = part == CKPT_NEWEST;
	e->prev_stored = part == CKPT_PREV;
	e->set_aside = part == CKPT_DAMAGED_COPY;
	return 0;
}

static int
by_name(const void *a, const void *b)
{
	const struct status_entry *x = a, *y = b;
	int c = strcmp(x->tenant, y->tenant);

	return c ? c : strcmp(x->name, y->name);
}

static void
entry_join(struct status_entry *to, const struct status_entry *from)
{
	if (from->job) {
		to->owner = from->owner;
		to->job = from->job;
		to->account = from->account;
	}
	to->stored = to->stored || from->stored;
	to->prev_stored = to->prev_stored || from->prev_stored;
	to->set_aside += from->set_aside;
}

/* Equal ones become one; what was not asked for goes. */
static void
join_entries(struct gather *g)
{
	struct status *st = g->st;
	size_t n = 0;

	if (st->n_entries)
		qsort(st->entries, st->n_entries, sizeof(*st->entries), by_name);
	for (size_t i = 0; i < st->n_entries; i++) {
		const struct status_entry *e = &st->entries[i];

		if (n && by_name(&st->entries[n - 1], e) == 0)
			entry_join(&st->entries[n - 1], e);
		else
			st->entries[n++] = *e;
	}
	st->n_entries = n;
}

static int
check_globs(const struct status *st, const char *option, const char *const *globs, size_t n,
	    struct err *err)
{
	bool tenants = strcmp(option, "tenant") == 0;

	for (size_t i = 0; i < n; i++) {
		bool found = false;

		for (size_t k = 0; k < st->n_entries && !found; k++)
			found = !fnmatch(globs[i],
					 tenants ? st->entries[k].tenant : st->entries[k].name, 0);
		if (!found)
			return err_set(err, ERR_USAGE,
				       "--%s %s: no %s of that name in %s or in the state", option,
				       globs[i], option, st->config->path);
	}
	return 0;
}

static int
select_entries(struct gather *g, struct err *err)
{
	struct status *st = g->st;
	const struct options *o = g->select;
	size_t n = 0;

	if (!o)
		return 0;
	if (check_globs(st, "tenant", o->tenants, o->n_tenants, err) ||
	    check_globs(st, "job", o->jobs, o->n_jobs, err))
		return -1;
	for (size_t i = 0; i < st->n_entries; i++)
		if (options_select(o, st->entries[i].tenant, st->entries[i].name))
			st->entries[n++] = st->entries[i];
	st->n_entries = n;
	return 0;
}

static int
find_entries(struct gather *g, struct err *err)
{
	add_configured(g);
	if (g->state && ckpt_list(g->state, "", add_stored, g, err))
		return err_wrap(err, "the state");
	if (g->nomem)
		return err_nomem(err);
	join_entries(g);
	return select_entries(g, err);
}

/* Checkpoints */

/* Inventories and marks are larger than all the rest, and nobody shows them. */
static void
drop_bulk(struct ckpt *c)
{
	for (size_t i = 0; c && i < c->n_streams; i++) {
		json_decref(c->streams[i].memo);
		json_decref(c->streams[i].seen);
		c->streams[i].memo = c->streams[i].seen = NULL;
	}
}

static void
read_entry(struct store *state, struct status_entry *e)
{
	if (e->stored)
		(void)ckpt_peek(state, "", e->tenant, e->name, "", NULL, &e->ckpt, &e->why);
	else if (e->prev_stored)
		(void)err_set(&e->why, ERR_DATA, "the checkpoint is missing");
	if (!e->ckpt && e->prev_stored && (e->why.kind == ERR_DATA || e->why.kind == ERR_NOTFOUND))
		e->from_prev =
		    !ckpt_peek(state, "", e->tenant, e->name, ".prev", NULL, &e->ckpt, NULL);
	drop_bulk(e->ckpt);
	if (e->ckpt && !e->account && e->ckpt->account)
		e->account = e->ckpt->account;
}

static void *
reader_main(void *arg)
{
	struct gather *g = arg;
	size_t i;

	while ((i = atomic_fetch_add(&g->next, 1)) < g->st->n_entries)
		if (g->state)
			read_entry(g->state, &g->st->entries[i]);
	return NULL;
}

/* One checkpoint that cannot be read is its own trouble; none that can is the store's. */
static int
check_store(const struct status *st, struct err *err)
{
	const struct status_entry *bad = NULL;

	for (size_t i = 0; i < st->n_entries; i++) {
		const struct status_entry *e = &st->entries[i];

		if (!e->stored)
			continue;
		if (e->why.kind == ERR_NONE || e->why.kind == ERR_DATA || e->why.kind == ERR_LOCAL)
			return 0;
		bad = e;
	}
	if (!bad)
		return 0;
	*err = bad->why;
	return -1;
}

/* Streams */

static bool
lease_is_live(const struct ckpt *c, int64_t wall_ms)
{
	return c && c->lease.owner && c->lease.until_ms > wall_ms;
}

static bool
has_region(const struct tenant *t, const char *region)
{
	for (size_t i = 0; t && i < t->n_regions; i++)
		if (strcmp(t->regions[i], region) == 0)
			return true;
	return false;
}

/* By the sinks that the job has now. */
static int64_t
watermark(const struct status_entry *e, const struct ckpt_stream *s)
{
	struct plan_sink sinks[64];
	struct plan p = {.sinks = sinks};

	if (!e->job)
		return ckpt_watermark(s);
	for (; p.n_sinks < e->job->n_to && p.n_sinks < ARRAY_LEN(sinks); p.n_sinks++)
		sinks[p.n_sinks] = (struct plan_sink){.name = e->job->to[p.n_sinks]->name};
	return plan_watermark(&p, s);
}

static bool
is_billed_sink(const struct status_entry *e, const char *name)
{
	for (size_t i = 0; e->job && i < e->job->n_to; i++)
		if (!strcmp(e->job->to[i]->name, name))
			return sink_bills_samples(e->job->to[i]);
	return false;
}

/* Since the beginning. */
static double
dollars(const struct status *st, const struct status_entry *e, const struct ckpt_stream *s)
{
	struct billed u = {.metrics = s->counters.metrics_requested,
			   .bytes_scanned = s->counters.bytes_scanned};

	billed_count_calls(&u, &s->calls);
	for (size_t i = 0; i < s->n_sinks; i++)
		if (is_billed_sink(e, s->sinks[i].name))
			u.samples += s->sinks[i].acked;
	return prices_sum(&st->config->run.prices, &u);
}

static enum status_result
result_of(const struct status_stream *s, int64_t now_ms)
{
	if (s->entry->why.kind != ERR_NONE)
		return STATUS_DAMAGED;
	if (!s->configured)
		return STATUS_LEFT;
	if (!s->s)
		return STATUS_NEVER;
	if (s->s->failures)
		return STATUS_FAILING;
	if (plan_is_ahead(s->watermark_ms, now_ms))
		return STATUS_AHEAD;
	if (s->held)
		return STATUS_RUNNING;
	return s->s->last_success_ms ? STATUS_OK : STATUS_UNFINISHED;
}

static void
add_stream(struct status *st, const struct status_entry *e, const char *region,
	   const struct ckpt_stream *s)
{
	struct status_stream *v = &st->streams[st->n_streams++];

	*v = (struct status_stream){
	    .entry = e,
	    .region = region,
	    .s = s,
	    .configured = e->job && (!*region || has_region(e->owner, region)),
	    .held = lease_is_live(e->ckpt, st->wall_ms),
	};
	if (s) {
		v->watermark_ms = watermark(e, s);
		v->lag_ms = st->now_ms - v->watermark_ms;
		for (size_t i = 0; i < s->n_gaps; i++)
			v->gap_ms += s->gaps[i].end_ms - s->gaps[i].start_ms;
		v->dollars = dollars(st, e, s);
	}
	v->result = result_of(v, st->now_ms);
}

/* The stored ones, and those that were never begun. */
static void
add_streams(struct status *st, const struct status_entry *e)
{
	size_t before = st->n_streams;

	for (size_t i = 0; e->ckpt && i < e->ckpt->n_streams; i++)
		add_stream(st, e, e->ckpt->streams[i].region, &e->ckpt->streams[i]);
	for (size_t i = 0; e->job && i < e->owner->n_regions; i++)
		if (!e->ckpt || !ckpt_stream_find(e->ckpt, e->owner->regions[i]))
			add_stream(st, e, e->owner->regions[i], NULL);
	if (st->n_streams == before)
		add_stream(st, e, "", NULL);
}

static int
by_trouble(const void *a, const void *b)
{
	const struct status_stream *x = a, *y = b;
	int c;

	if (x->result != y->result)
		return x->result < y->result ? -1 : 1;
	if (x->lag_ms != y->lag_ms)
		return x->lag_ms > y->lag_ms ? -1 : 1;
	c = by_name(x->entry, y->entry);
	return c ? c : strcmp(x->region, y->region);
}

static int
make_streams(struct status *st, struct err *err)
{
	size_t n = 1;

	for (size_t i = 0; i < st->n_entries; i++) {
		const struct status_entry *e = &st->entries[i];

		n += 1 + (e->ckpt ? e->ckpt->n_streams : 0) + (e->job ? e->owner->n_regions : 0);
	}
	st->streams = calloc(n, sizeof(*st->streams));
	if (!st->streams)
		return err_nomem(err);
	for (size_t i = 0; i < st->n_entries; i++)
		add_streams(st, &st->entries[i]);
	qsort(st->streams, st->n_streams, sizeof(*st->streams), by_trouble);
	return 0;
}

static void
counters_add(struct ckpt_counters *sum, const struct ckpt_counters *c)
{
	sum->cells += c->cells;
	sum->empty_cells += c->empty_cells;
	sum->rows += c->rows;
	sum->samples_frozen += c->samples_frozen;
	sum->rejected_in += c->rejected_in;
	sum->failed_runs += c->failed_runs;
	sum->metrics_requested += c->metrics_requested;
	sum->bytes_scanned += c->bytes_scanned;
	sum->late += c->late;
	sum->revised += c->revised;
}

static void
add_up(struct status *st)
{
	struct status_totals *t = &st->totals;

	for (size_t i = 0; i < st->n_entries; i++)
		t->tenants +=
		    i == 0 || strcmp(st->entries[i - 1].tenant, st->entries[i].tenant) != 0;
	t->streams = st->n_streams;
	for (size_t i = 0; i < st->n_streams; i++) {
		const struct status_stream *s = &st->streams[i];

		t->of[s->result]++;
		if (!s->s)
			continue;
		t->gaps += s->s->n_gaps;
		t->gap_ms += s->gap_ms;
		t->dollars += s->dollars;
		counters_add(&t->counters, &s->s->counters);
		if (s->configured && (!t->furthest || s->lag_ms > t->furthest->lag_ms))
			t->furthest = s;
	}
}

int
status_gather(const struct config *config, struct store *state, const struct options *select,
	      int64_t now_ms, int64_t wall_ms, struct status **ret, struct err *err)
{
	CLEANUP(status_freep) struct status *st = calloc(1, sizeof(*st));
	struct gather g = {.st = st, .state = state, .select = select};

	if (!st)
		return err_nomem(err);
	*st = (struct status){
	    .config = config, .now_ms = now_ms, .wall_ms = wall_ms, .arena = ARENA_INIT(ARENA_MAX)};
	if (find_entries(&g, err))
		return -1;
	crew_work(st->n_entries < READERS ? st->n_entries : READERS, reader_main, &g);
	if (check_store(st, err) || make_streams(st, err))
		return -1;
	add_up(st);
	*ret = STEAL(st);
	return 0;
}

void
status_free(struct status *st)
{
	if (!st)
		return;
	for (size_t i = 0; i < st->n_entries; i++)
		ckpt_free(st->entries[i].ckpt);
	free(st->entries);
	free(st->streams);
	arena_done(&st->arena);
	free(st);
}
