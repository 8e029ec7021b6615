/*
 * One cell, all the way: frozen, or taken over from whoever froze it first, then counted, then
 * published.
 *
 * Freezing is create-only and an existing object wins: what it holds is what everybody gets, be it
 * what this run pulled or not.
 */
#include "run/stream_cell.h"

#include <stdlib.h>

#include "run/late.h"
#include "run/second.h"
#include "run/stream_publish.h"

/* A backfill goes on only from what the same definition made. (A store may have lost the hash: then
 * nobody can tell.) */
static int
check_definition(const struct stream *s, const struct publish *p, const struct cell_data *d,
		 const char *definition, struct err *err)
{
	struct buf key = BUF_INIT(1024);

	if (!s->foreign || !*definition || !strcmp(definition, s->job->definition))
		return 0;
	atomic_store(s->foreign, true);
	cell_lake_key(&key, p->job, p->tenant, p->region, d->cell, d->late);
	(void)err_set(err, ERR_CONFLICT,
		      "sink %s holds %s of another definition of the job (%.12s, now %.12s): "
		      "--into NAME writes beside it",
		      s->plan->sinks[s->lake].name, buf_cstr(&key), definition, s->job->definition);
	buf_done(&key);
	return -1;
}

/* One object of a cell, the one of number d->late. */
static int
read_object(struct stream *s, struct cell_data *d, char definition[65], struct err *err)
{
	struct outlet *o = stream_outlet(s, s->lake);
	struct publish p = stream_publish_args(s);

	if (!o->sink) {
		*err = o->why;
		return -1;
	}
	if (o->sink->ops->read(o->sink, &p, d, definition, err) ||
	    check_definition(s, &p, d, definition, err))
		return -1;
	return s->job->kind->adopt ? s->job->kind->adopt(&s->js, d, err) : 0;
}

/* The late objects behind d, from the first number on to the last. */
static int
read_late(struct stream *s, struct cell_data *d, char definition[65], struct err *err)
{
	struct cell_data **end = &d->later;
	int r = 0;

	for (unsigned n = 1; !r && late_may_exist(s); n++) {
		*end = calloc(1, sizeof(**end));
		if (!*end)
			return err_nomem(err);
		cell_data_init(*end, d->cell);
		(*end)->late = n;
		r = read_object(s, *end, definition, err);
		if (!r)
			end = &(*end)->later;
	}
	if (!r || err->kind != ERR_NOTFOUND)
		return r;
	cell_data_done(*end);
	free(*end);
	*end = NULL;
	return 0;
}

int
stream_read_frozen(struct stream *s, struct cell_data *d, char definition[65], struct err *err)
{
	struct cell cell = d->cell;
	char of_late[65] = "";
	int r;

	cell_data_done(d);
	cell_data_init(d, cell);
	definition[0] = '\0';
	r = read_object(s, d, definition, err);
	if (r && (err->kind != ERR_NOTFOUND || !late_may_exist(s)))
		return -1;
	if (read_late(s, d, r ? definition : of_late, err))
		return -1;
	if (r && !d->later)
		return err_set(err, ERR_NOTFOUND, "nothing is frozen of this cell");
	err_clear(err);
	return 0;
}

/* The frozen content of a cell into d, with what came late. ERR_NOTFOUND: nothing is frozen. */
int
stream_adopt(struct stream *s, struct cell_data *d, struct err *err)
{
	char definition[65];

	if (!s->job->kind->adopt)
		return err_set(err, ERR_NOTFOUND, "cells of this kind are pulled again");
	return stream_read_frozen(s, d, definition, err) || cell_data_merge(d, err) ? -1 : 0;
}

/* What is pulled again only has to be of the definition that the frozen object is of. */
static int
look_at(struct stream *s, struct cell cell, struct err *err)
{
	struct cell_data had;
	char definition[65] = "";
	int r;

	cell_data_init(&had, cell);
	r = read_object(s, &had, definition, err);
	cell_data_done(&had);
	return r;
}

struct frozen {
	struct stream *s;
	struct cell_data *d;
};

/* They are compressed; most jobs have no other use for them. */
static void
lines_read(void *arg)
{
	struct frozen *f = arg;

	if (!stream_wants_lines(f->s, true))
		cell_lines_drop(f->d);
	stream_leave_lines(f->s);
}

/* Create the cell's object, or take over the one that is there: whoever was first wins. */
static int
freeze(struct stream *s, struct cell_data *d, bool *adopted, struct err *err)
{
	const char *name = s->plan->sinks[s->lake].name;
	struct frozen f = {s, d};
	struct publish p = stream_publish_args(s);
	struct published r = {0};

	p.lines_read = lines_read;
	p.lines_arg = &f;
	if (!*adopted && d->n_lines && outlet_publish(stream_outlet(s, s->lake), &p, d, &r, err))
		return -1;
	if (r.already) {
		*adopted = true;
		if (s->job->kind->adopt ? stream_adopt(s, d, err) : look_at(s, d->cell, err))
			return err_wrap(err, "adopt the frozen cell");
	}
	s->stats.bytes += r.bytes;
	if (second_expect(s, d, *adopted || d->asked_before, err))
		return -1;
	return commit_cell_sent(s->commit, s->js.region, name, d->cell, &r, p.now_ms, err);
}

static void
count_cell(struct stream_stats *st, const struct cell_data *d, bool adopted)
{
	st->cells++;
	st->empty_cells += stream_lines_of(d) == 0;
	st->adopted_cells += adopted;
	st->lines += stream_lines_of(d);
	st->samples += d->n_samples;
	st->rejected_in += d->n_rejected;
}

/* Some sink has it: it was counted with the first that took it. */
static bool
counted_before(const struct stream *s, const struct cell_data *d)
{
	for (size_t k = 0; k < s->plan->n_sinks; k++)
		if (commit_sink_done(s->commit, s->js.region, s->plan->sinks[k].name, d->cell))
			return true;
	return false;
}

static int
count_taken(struct stream *s, const struct cell_data *d, bool adopted, struct err *err)
{
	if (commit_cell_frozen(s->commit, s->js.region, d, err))
		return -1;
	count_cell(&s->stats, d, adopted);
	return 0;
}

/* Without a lake a cell counts once the first sink has it: it may be pulled again for the others.
 */
static int
unfrozen_through(struct stream *s, struct cell_data *d, struct err *err)
{
	bool counted = counted_before(s, d);

	if (stream_publish_all(s, d, false, err))
		return -1;
	late_taken(s, d, s->made_do);
	if (counted || !counted_before(s, d))
		return 0;
	return count_taken(s, d, false, err);
}

/* A cell whose content is known, all the way. */
int
stream_cell_through(struct stream *s, struct cell_data *d, bool adopted, struct err *err)
{
	const char *lake = s->plan->sinks[stream_has_lake(s) ? s->lake : 0].name;
	bool counted;

	if (s->env->dry_run) {
		count_cell(&s->stats, d, adopted);
		return 0;
	}
	if (!stream_has_lake(s))
		return unfrozen_through(s, d, err);
	/* Committed before, and pulled again: it was counted then, and what may have been sent of
	 * it is known. Unless its object is gone. */
	counted = commit_sink_done(s->commit, s->js.region, lake, d->cell);
	if (counted && !stream_lines_of(d))
		return stream_publish_all(s, d, adopted, err);
	if (freeze(s, d, &adopted, err))
		return -1;
	counted = counted && adopted;
	if (!counted && count_taken(s, d, adopted, err))
		return -1;
	late_taken(s, d, adopted || s->made_do);
	return stream_publish_all(s, d, adopted && !counted, err);
}
