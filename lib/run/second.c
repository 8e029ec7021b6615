/* The second asking; see second.h. */
#include "run/second.h"

#include "base/log.h"
#include "model/row_news.h"
#include "run/late.h"
#include "run/pull.h"
#include "run/stream_cell.h"

#define TOO_LATE "not asked for a second time within max_catchup"
#define CHANGED	 "not asked for a second time: the job was changed"
#define TOO_MANY "not asked for a second time: too many cells wait for it"

/* Waiting */

static bool
is_used(const struct stream *s)
{
	return s->js.common->once && s->seen_loaded && late_is_used(s);
}

static unsigned
count_late(const struct cell_data *d)
{
	unsigned n = 0;

	for (; d; d = d->later)
		n = d->late;
	return n;
}

/* Those that no run came to ask for in time. */
int
second_begin(struct stream *s, struct err *err)
{
	int64_t every = s->plan->every_ms;
	int64_t oldest = late_oldest_ms(s);

	for (size_t i = 0; is_used(s) && i < s->seen.n && s->seen.cells[i].start_ms < oldest; i++) {
		struct seen_cell *c = &s->seen.cells[i];
		struct cell cell = {c->start_ms, c->start_ms + every};

		if (!c->asked && !c->foreign && late_is_frozen(s, cell) &&
		    commit_gap(s->commit, s->js.region, "", cell, TOO_LATE, s->env->now_ms, err))
			return -1;
		c->asked = true;
	}
	return 0;
}

/* Where a gap finds no memory the run does not get far, and the next one says it. */
void
second_changed(struct stream *s)
{
	struct err ignored = {0};

	for (size_t i = 0; s->js.common->once && i < s->seen.n; i++) {
		const struct seen_cell *c = &s->seen.cells[i];
		struct cell cell = late_cell(s, c->start_ms);

		if (!c->asked && !c->foreign && late_is_frozen(s, cell))
			(void)commit_gap(s->commit, s->js.region, "", cell, CHANGED, s->env->now_ms,
					 &ignored);
	}
}

int
second_expect(struct stream *s, const struct cell_data *d, bool old, struct err *err)
{
	struct err full = {0};
	struct seen_cell *c;

	if (!is_used(s))
		return 0;
	c = seen_find(&s->seen, d->cell.start_ms);
	if (late_is_settled(s, d->cell.start_ms) && !old) {
		if (c)
			c->asked = true;
		late_keep(s);
		return 0;
	}
	c = seen_put(&s->seen, d->cell.start_ms, &full);
	if (!c && s->seen.n < SEEN_CELLS_MAX) { /* memory is short now; a gap would be for ever */
		*err = full;
		return -1;
	}
	if (!c) {
		late_warn_full(s, &full);
		return commit_gap(s->commit, s->js.region, "", d->cell, TOO_MANY, s->env->now_ms,
				  err);
	}
	c->asked = false;
	c->late = count_late(d);
	late_keep(s);
	return 0;
}

bool
second_due(const struct stream *s, struct cell *ret)
{
	if (!is_used(s))
		return false;
	for (size_t i = 0; i < s->seen.n; i++) {
		const struct seen_cell *c = &s->seen.cells[i];

		*ret = (struct cell){c->start_ms, c->start_ms + s->plan->every_ms};
		if (!c->asked && !c->foreign && late_is_settled(s, c->start_ms) &&
		    late_is_frozen(s, *ret))
			return true;
	}
	return false;
}

/* Asking */

/* A late object that is frozen, for the sinks, the counters and the mark. */
static int
account(struct stream *s, const struct cell_data *late, struct err *err)
{
	struct seen_cell *c = seen_find(&s->seen, late->cell.start_ms);
	bool all;

	if (late->late <= c->late)
		return 0;
	if (late_send(s, late, late, &all, err))
		return -1;
	c->late = late->late;
	s->stats.late += late->n_lines;
	s->stats.lines += late->n_lines;
	late_keep(s);
	return commit_late_frozen(s->commit, s->js.region, late, late->n_lines, 0, err);
}

/* What is frozen of the cell; *foreign: under another definition. */
static int
read_known(struct stream *s, struct cell_data *known, bool *foreign, struct err *err)
{
	char definition[65];
	int r = stream_read_frozen(s, known, definition, err);

	*foreign = !r && *definition && strcmp(definition, s->job->definition) != 0;
	if (r && err->kind != ERR_NOTFOUND)
		return err_wrap(err, "read what is frozen");
	err_clear(err);
	for (const struct cell_data *d = known->later; !*foreign && d; d = d->later)
		if (account(s, d, err))
			return -1;
	return 0;
}

/* Created, and accounted for; *taken: another run was first with this number. */
static int
freeze(struct stream *s, const struct cell_data *late, bool *taken, struct err *err)
{
	struct publish p = stream_publish_args(s);
	struct published r = {0};

	if (outlet_publish(stream_outlet(s, s->lake), &p, late, &r, err))
		return -1;
	s->stats.bytes += r.bytes;
	*taken = r.already;
	return *taken ? 0 : account(s, late, err);
}

/* One late object; *more: what is frozen has changed meanwhile. */
static int
compare_once(struct stream *s, const struct cell_data *d, bool *more, struct err *err)
{
	struct cell_data known, late;
	bool foreign;
	int r;

	*more = false;
	cell_data_init(&known, d->cell);
	cell_data_init(&late, d->cell);
	r = read_known(s, &known, &foreign, err);
	if (!r && !foreign)
		r = row_news(&known, d, &late, err);
	late.late = count_late(&known) + 1;
	cell_data_done(&known);
	if (!r && late.n_lines)
		r = freeze(s, &late, more, err);
	cell_data_done(&late);
	return r;
}

static int
take_second(struct stream *s, const struct pull_span *span, struct cell_data *d, struct err *err)
{
	bool more = true;

	(void)span;
	for (int i = 0; more; i++) {
		if (i >= LATE_MAX)
			return err_set(err, ERR_DATA, "more than %d late objects of one cell",
				       LATE_MAX);
		if (compare_once(s, d, &more, err))
			return err_wrap(err, "late rows");
	}
	seen_find(&s->seen, d->cell.start_ms)->asked = true;
	return 0;
}

int
second_ask(struct stream *s, struct worker_mem *mem, struct cell cell, struct err *err)
{
	const struct pull_span span = {.cells = &cell, .n = 1, .second = true};

	if (pull_cells(s, mem, &span, take_second, err))
		return err_wrap(err, "second asking");
	return 0;
}
