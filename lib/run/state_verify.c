/*
 * Looking for what is wrong with a checkpoint and the lake it speaks of; see state_command.h.
 *
 * A checkpoint does not say which of its cells were empty, only how many. So what the lake lacks is
 * told by number: more cells without an object than were ever counted as empty means that objects
 * are missing, and the cells without one are where to look.
 */
#include "run/state_command.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/cleanup.h"
#include "base/timefmt.h"
#include "sink/joined.h"
#include "sink/sink.h"

#define SHOWN	  5	    /* cells named at most */
#define CELLS_MAX 10000000u /* a century of five minutes */

struct verify {
	const struct state_env *env;
	const struct status_entry *entry;
	struct buf *out;
	size_t faults;
};

__attribute__((format(printf, 4, 5))) static void
say(struct verify *v, bool fault, const char *region, const char *fmt, ...)
{
	char text[1024];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	buf_fmt(v->out, "%s %s%s%s: %s%s\n", v->entry->tenant, v->entry->name, *region ? " " : "",
		region, fault ? "FAULT: " : "", text);
	v->faults += fault;
}

/* The documents */

static struct ckpt *
look(struct verify *v, const char *suffix, const char *what)
{
	const struct status_entry *e = v->entry;
	struct ckpt *c = NULL;
	struct err err = {0};

	if (!ckpt_peek(v->env->state, "", e->tenant, e->name, suffix, NULL, &c, &err)) {
		say(v, false, "", "the %s is sound, generation %" PRIu64, what, c->generation);
		return c;
	}
	if (err.kind != ERR_NOTFOUND)
		say(v, true, "", "the %s cannot be used: %s", what, err.msg);
	else if (!*suffix)
		say(v, true, "", "there is no %s", what);
	return NULL;
}

static bool
tenant_has_region(const struct tenant *t, const char *region)
{
	for (size_t i = 0; i < t->n_regions; i++)
		if (strcmp(t->regions[i], region) == 0)
			return true;
	return false;
}

static bool
job_has_sink(const struct job *j, const char *name)
{
	for (size_t i = 0; i < j->n_to; i++)
		if (strcmp(j->to[i]->name, name) == 0)
			return true;
	return false;
}

/* What the configuration says otherwise. */
static void
check_config(struct verify *v, const struct ckpt *c)
{
	const struct status_entry *e = v->entry;

	if (!e->job) {
		say(v, false, "", "it is not in the configuration");
		return;
	}
	if (c->account && strcmp(c->account, e->owner->account) != 0)
		say(v, true, "", "it is of account %s, and the tenant's is %s", c->account,
		    e->owner->account);
	for (size_t i = 0; i < c->n_streams; i++) {
		const struct ckpt_stream *s = &c->streams[i];

		if (!tenant_has_region(e->owner, s->region))
			say(v, false, s->region, "the tenant no longer has this region");
		if (s->every_ms != e->job->common.every_ms)
			say(v, false, s->region, "`every` is %lld s here, and %lld s is configured",
			    (long long)(s->every_ms / 1000),
			    (long long)(e->job->common.every_ms / 1000));
		for (size_t k = 0; k < s->n_sinks; k++) {
			if (!job_has_sink(e->job, s->sinks[k].name))
				say(v, false, s->region, "the job no longer has sink %s",
				    s->sinks[k].name);
			if (s->sinks[k].cursor_ms > v->env->now_ms)
				say(v, true, s->region, "the cursor of %s is in the future",
				    s->sinks[k].name);
		}
	}
}

static void
check_prev(struct verify *v, const struct ckpt *c, const struct ckpt *prev)
{
	if (prev && c && prev->generation > c->generation)
		say(v, true, "",
		    "the one before has generation %" PRIu64 ", the newest only %" PRIu64,
		    prev->generation, c->generation);
}

/* The lake */

struct lake {
	const struct ckpt_stream *s;
	const struct ckpt_sink *k;
	size_t prefix;	    /* of the stream, in its keys */
	unsigned char *has; /* a bit a cell, from the first on */
	size_t n;	    /* cells up to the end of what is done */
	size_t before, after, strange;
	struct store *store; /* where they are listed; the job's and tenant's names in it: */
	const char *job, *tenant;
	struct err unread; /* a manifest of joined objects */
};

static bool
bit(const unsigned char *v, size_t i)
{
	return v[i / 8] >> (i % 8) & 1;
}

static void
bits_set(unsigned char *v, size_t from, size_t to)
{
	for (size_t i = from; i < to; i++)
		v[i / 8] |= (unsigned char)(1u << (i % 8));
}

static void
mark_cell(struct lake *l, int64_t start, int64_t end)
{
	int64_t every = l->s->every_ms;

	/* Before it, cells may have had another length. */
	if (start < l->s->first_ms)
		l->before++;
	else if (start % every != 0 || end != start + every)
		l->strange++;
	else if ((size_t)((start - l->s->first_ms) / every) >= l->n)
		l->after++;
	else
		bits_set(l->has, (size_t)((start - l->s->first_ms) / every),
			 (size_t)((start - l->s->first_ms) / every) + 1);
}

/* The cells that a joined object has. */
static int
mark_joined(struct lake *l, const struct cell_name *is)
{
	const struct joined_place place = {l->job, l->tenant, l->s->region, is->cell.start_ms};
	struct joined j;
	int rc;

	joined_init(&j);
	rc = joined_read(l->store, &place, is->joined, &j, &l->unread);
	for (size_t i = 0; rc == 0 && i < j.n; i++) {
		struct cell_name part;

		if (cell_name_parse(j.v[i].name, &part) && !part.late)
			mark_cell(l, part.cell.start_ms, part.cell.end_ms);
	}
	joined_done(&j);
	return rc;
}

/* "dt=2026-01-02/hh=03/20260102T030000Z-20260102T030500Z[-<part>][.late-<n>].ndjson.zst" */
static int
mark_key(const char *key, void *arg)
{
	struct lake *l = arg;
	const char *name = strrchr(key, '/');
	struct cell_name is;
	int64_t start, end;
	struct sv text;

	text = sv_of(name ? name + 1 : key);
	if (cell_name_parse(text.p, &is) && is.joined)
		return mark_joined(l, &is);
	if (text.n < 33 || text.p[16] != '-' ||
	    !time_parse_basic((struct sv){text.p, 16}, &start) ||
	    !time_parse_basic((struct sv){text.p + 17, 16}, &end)) {
		l->strange++;
		return 0;
	}
	if (text.n > 33 && text.p[33] == '.' &&
	    !sv_starts((struct sv){text.p + 33, text.n - 33}, SV(".ndjson")))
		return 0; /* what came late says nothing about the cell */
	mark_cell(l, start, end);
	return 0;
}

/* Cells in a gap are done in the sense that nobody does them: none of these is expected. */
static bool
in_gap(const struct lake *l, struct cell c)
{
	for (size_t i = 0; i < l->s->n_gaps; i++) {
		const struct ckpt_gap *g = &l->s->gaps[i];

		if ((!*g->sink || strcmp(g->sink, l->k->name) == 0) && c.start_ms < g->end_ms &&
		    c.end_ms > g->start_ms)
			return true;
	}
	return false;
}

static void
judge(struct verify *v, const struct lake *l)
{
	uint64_t lacking = 0, has = 0, uncommitted = l->after;
	const char *region = l->s->region;
	char first[SHOWN][TIME_TEXT_MAX];

	for (size_t i = 0; i < l->n; i++) {
		int64_t start = l->s->first_ms + (int64_t)i * l->s->every_ms;
		struct cell c = {start, start + l->s->every_ms};

		if (!ckpt_is_done(l->k, c) || in_gap(l, c)) {
			uncommitted += bit(l->has, i);
			continue;
		}
		has += bit(l->has, i);
		if (!bit(l->has, i) && lacking++ < SHOWN)
			time_format_s(start, first[lacking - 1]);
	}
	say(v, false, region,
	    "lake %s: %" PRIu64 " done cells have an object, %" PRIu64 " have none; %" PRIu64
	    " were counted as empty",
	    l->k->name, has, lacking, l->s->counters.empty_cells);
	if (lacking > l->s->counters.empty_cells)
		say(v, true, region, "lake %s: at least %" PRIu64 " objects are missing",
		    l->k->name, lacking - l->s->counters.empty_cells);
	for (uint64_t i = 0; lacking > l->s->counters.empty_cells && i < lacking && i < SHOWN; i++)
		say(v, false, region, "lake %s: no object for the cell of %s%s", l->k->name,
		    first[i], i + 1 == SHOWN && lacking > SHOWN ? ", and more" : "");
	if (uncommitted)
		say(v, false, region,
		    "lake %s: %" PRIu64
		    " objects of cells that are not done, frozen before a rewind "
		    "or by a run that did not end: they will be taken over",
		    l->k->name, uncommitted);
	if (l->before)
		say(v, false, region, "lake %s: %zu objects from before the first cell", l->k->name,
		    l->before);
	if (l->strange)
		say(v, true, region, "lake %s: %zu objects that are no cell of this stream",
		    l->k->name, l->strange);
}

static int
list_lake(const struct verify *v, struct lake *l, struct sink *sink, struct err *err)
{
	CLEANUP(buf_done) struct buf prefix = BUF_INIT(1024);
	struct store *store = sink_objects_store(sink);

	buf_fmt(&prefix, "%s/tenant=%s/region=%s/", v->entry->name, v->entry->tenant, l->s->region);
	if (buf_check(&prefix, "the lake's folder", err))
		return -1;
	l->store = store;
	l->job = v->entry->name;
	l->tenant = v->entry->tenant;
	if (store->ops->list(store, buf_cstr(&prefix), mark_key, l, err))
		return -1;
	if (l->unread.kind == ERR_NONE)
		return 0;
	*err = l->unread;
	return -1;
}

static void
check_stream_lake(struct verify *v, const struct ckpt_stream *s, const struct ckpt_sink *k,
		  struct sink *sink)
{
	int64_t end = k->beyond.n ? k->beyond.v[k->beyond.n - 1].end_ms : k->cursor_ms;
	struct lake l = {.s = s, .k = k, .n = (size_t)((end - s->first_ms) / s->every_ms)};
	struct err err = {0};

	if (l.n > CELLS_MAX) {
		say(v, true, s->region, "it says that %zu cells are done: too many to look at",
		    l.n);
		return;
	}
	l.has = calloc(l.n / 8 + 1, 1);
	if (!l.has)
		(void)err_nomem(&err);
	if (!l.has || list_lake(v, &l, sink, &err))
		say(v, true, s->region, "lake %s: cannot be listed: %s", k->name, err.msg);
	else
		judge(v, &l);
	free(l.has);
}

/* NULL: it cannot be looked into, which was said. */
static struct sink *
open_lake(struct verify *v, const struct sink_conf *conf)
{
	const struct sink_env local = {.read_only = true};
	bool remote = !sv_starts(sv_of(conf->url), SV("file://"));
	struct sink *sink = NULL;
	struct err err = {0};

	if (remote && !v->env->sinks) {
		say(v, false, "", "lake %s: not looked at, for there are no credentials",
		    conf->name);
		return NULL;
	}
	if (!sink_open(conf, v->env->sinks ? v->env->sinks : &local, &sink, &err))
		return sink;
	say(v, true, "", "lake %s: %s", conf->name, err.msg);
	return NULL;
}

/* The job's first sink that keeps cells is the one that freezes. */
static const struct sink_conf *
lake_of(const struct job *j)
{
	for (size_t i = 0; j && i < j->n_to; i++)
		if (j->to[i]->kind == SINK_OBJECTS)
			return j->to[i];
	return NULL;
}

static void
check_lake(struct verify *v, const struct ckpt *c)
{
	const struct sink_conf *conf = lake_of(v->entry->job);
	struct sink *sink = conf ? open_lake(v, conf) : NULL;

	for (size_t i = 0; sink && i < c->n_streams; i++) {
		const struct ckpt_sink *k = ckpt_sink_find(&c->streams[i], conf->name);

		if (k)
			check_stream_lake(v, &c->streams[i], k, sink);
	}
	sink_free(sink);
}

size_t
state_verify(const struct state_env *env, const struct status_entry *e, struct buf *out)
{
	struct verify v = {.env = env, .entry = e, .out = out};
	struct ckpt *c, *prev;

	if (!e->stored && !e->prev_stored) {
		say(&v, false, "", "never ran");
		return 0;
	}
	c = look(&v, "", "checkpoint");
	prev = look(&v, ".prev", "one before");
	check_prev(&v, c, prev);
	if (e->set_aside)
		say(&v, false, "", "%zu damaged documents are kept beside it", e->set_aside);
	if (c) {
		check_config(&v, c);
		check_lake(&v, c);
	}
	ckpt_free(c);
	ckpt_free(prev);
	return v.faults;
}
