/*
 * One bad sample costs one sample: splitting a refused request until it is known which samples
 * were meant.
 *
 * Receivers differ in what a 400 leaves behind, and none of them says. Prometheus rolls the whole
 * request back. Cortex, Mimir and Amazon's service keep what was good and name one of the bad.
 * Either way the same bytes must not simply be given up. So a refused part is split, by series
 * first and then by time, oldest first, and the halves are sent again. If everything was rolled
 * back, good halves are now taken, and a sample refused alone was never stored: it is poison. If
 * the good ones were kept, sending them again is refused for order (out of order, duplicate, too
 * old), for all but the newest of each series: an identical copy of the newest is taken as a
 * matter of course. A stored sample and one that is poison for its order then look alike.
 *
 * Hence the rule. A sample that is refused is `rejected`
 *
 *   1. if the reason is not order or age (but a label, a limit, a time in the future, another
 *      value at its very time): no stored sample is refused for that;
 *   2. if it was alone in its request and in no refused one before: it cannot have been stored;
 *   3. if the first refusal of its request names it by timestamp and series: a first arrival is
 *      not refused for having been stored;
 *   4. if neither it nor a newer sample of its series out of the same request was taken when sent
 *      again: the newest that was stored would have been. (Unless somebody else's is newer
 *      still, and ours had been stored out of order. So where there is a window for that, those
 *      are left out that it may have covered: no more than the window older than the newest of
 *      them that was refused for order.)
 *   5. if the receiver took a sample of the same request again that was not its series' newest.
 *      Where that one is older than the out-of-order window, nothing had been kept. Inside the
 *      window second copies are dropped without a word, so that a refusal of anything as new is
 *      about that sample itself.
 *
 * Otherwise it is counted `already`. What this cannot decide: older samples of a series whose
 * newest was taken, at a receiver that keeps the good ones and does not name the bad, refused for
 * order in their own right (another writer was faster). They count as `already`: the receiver
 * holds something newer, and only a query could tell more. A refusal without words may mean
 * anything and counts as one for order.
 *
 * Where an earlier run (maybe_sent) or a lost reply that the transport repeated (answer.repeated)
 * may have brought the sample, a refusal for order or age is always `already`, never poison.
 *
 * At a receiver that keeps the good ones, splitting down to single samples would cost two requests
 * for every good sample. So when address or wording point to one, the oldest samples of a few
 * series are sent alone first. That is safe in any case: each is the next in order if nothing was
 * stored. If one is taken, the suspicion was wrong and the halving goes its way. If all are refused
 * for order, the good ones were kept, and it is enough to send the newest sample of each series,
 * all in one request: taken, the series was stored when the request came first; refused, the few
 * series that are meant are found by halving.
 *
 * A large request that an earlier run may have brought is dealt with in the same way at any
 * receiver: halving would ask twice for every sample that is there, in each run anew.
 *
 * Splitting is bounded by RW_MAX_BISECT requests a cell. Beyond that the publish fails as
 * transient: nothing is given up, the cell stays where it is. Refusals are reported only when the
 * whole cell has been dealt with.
 */
#include "sink/rw_bisect.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/grow.h"
#include "sink/rw_words.h"

#define REASONS_MAX ((size_t)8 << 20)
#define PROBES_MAX  8 /* single samples sent to find out what the receiver keeps */
#define PROBES_MIN  3 /* refusals that convince */

/* A request of the plan and what is known since it was refused. */
struct rw_top {
	struct rw_part part;
	size_t mark; /* v->refused from here on belong to it */
	bool maybe;  /* some copy of it may have arrived before */
	bool named;  /* the first refusal names this sample */
	size_t named_row, named_i;
	int named_status;
	const char *named_reason;
	bool kept;  /* dealt with as by a receiver that keeps the good ones */
	bool again; /* rule 5: the oldest sample taken again that was not its series' newest */
	int64_t again_ms;
	bool bounds; /* refused "out of bounds" alone: samples this old are, of all series */
	int64_t bounds_ms;
	const char *bounds_reason;
	int bounds_status;
};

void
rw_delivery_init(struct rw_delivery *v, const struct cell_data *d, struct published *count)
{
	uint64_t samples = 0;

	for (size_t r = 0; r < d->n_rows; r++)
		samples += d->rows[r].n;
	*v = (struct rw_delivery){.d = d,
				  .count = count,
				  .reasons = ARENA_INIT(REASONS_MAX),
				  .max_extra = RW_MAX_BISECT(samples)};
}

void
rw_delivery_done(struct rw_delivery *v)
{
	free(v->refused);
	arena_done(&v->reasons);
	v->refused = NULL;
}

/* Finds the sample that the words name. Of several series that fit, the one with the most labels
 * is meant; a tie is none. */
static void
find_named(const struct cell_data *d, struct rw_top *top, const char *reason)
{
	int64_t ts;
	size_t best = 0, i0, i1;

	if (!rw_words_time(reason, &ts) || ts < top->part.from_ms || ts >= top->part.to_ms)
		return;
	for (size_t r = top->part.row0; r < top->part.row1; r++) {
		const struct sample_row *row = &d->rows[r];

		rw_span(row, ts, ts + 1, &i0, &i1);
		if (i0 == i1 || !isfinite(row->values[i0]) || row->series->n_labels + 1 < best ||
		    !rw_words_name(reason, row->series))
			continue;
		top->named = row->series->n_labels + 1 > best;
		top->named_row = r;
		top->named_i = i0;
		best = row->series->n_labels + 1;
	}
}

/* ---- book-keeping ---- */

static int
keep_reason(struct rw_delivery *v, const char *reason, const char **ret, struct err *err)
{
	if (!v->last_reason || strcmp(v->last_reason, reason) != 0) {
		v->last_reason = arena_strdup(&v->reasons, sv_of(reason));
		if (!v->last_reason)
			return err_set(err, ERR_LOCAL, "no memory for refusals");
	}
	*ret = v->last_reason;
	return 0;
}

static int
push_refusal(struct rw_delivery *v, const struct rw_refusal *r, struct err *err)
{
	struct rw_refusal *p =
	    array_grow(v->refused, v->n_refused, &v->cap_refused, sizeof(*p), err);

	if (!p)
		return -1;
	v->refused = p;
	v->refused[v->n_refused++] = *r;
	return 0;
}

/* All samples of a part were refused in these words. */
static int
refuse(struct rw_delivery *v, const struct rw_part *part, int status, const char *reason,
       enum rw_reason c, struct err *err)
{
	struct rw_refusal r = {.status = status, .open = c == REASON_ORDER || c == REASON_NONE};
	size_t i0, i1;

	if (v->top->maybe && rw_may_be_stored(c)) {
		v->count->already += rw_count(v->d, part);
		return 0;
	}
	if (keep_reason(v, reason, &r.reason, err) < 0)
		return -1;
	for (r.row = part->row0; r.row < part->row1; r.row++) {
		rw_span(&v->d->rows[r.row], part->from_ms, part->to_ms, &i0, &i1);
		for (r.i = i0; r.i < i1; r.i++)
			if (isfinite(v->d->rows[r.row].values[r.i]) && push_refusal(v, &r, err) < 0)
				return -1;
	}
	return 0;
}

/* The last finite sample of a row inside a part; false if there is none. */
static bool
newest_of(const struct cell_data *d, const struct rw_part *part, size_t row, size_t *ret)
{
	const struct sample_row *r = &d->rows[row];
	size_t i0, i1;

	rw_span(r, part->from_ms, part->to_ms, &i0, &i1);
	while (i1 > i0 && !isfinite(r->values[i1 - 1]))
		i1--;
	*ret = i1 > i0 ? i1 - 1 : 0;
	return i1 > i0;
}

static bool
oldest_of(const struct cell_data *d, const struct rw_part *part, size_t row, size_t *ret)
{
	const struct sample_row *r = &d->rows[row];
	size_t i0, i1;

	rw_span(r, part->from_ms, part->to_ms, &i0, &i1);
	while (i0 < i1 && !isfinite(r->values[i0]))
		i0++;
	*ret = i0;
	return i0 < i1;
}

/* The receiver took a part: its newest time is a lower bound of the receiver's head. */
static void
taken(struct rw_delivery *v, const struct rw_part *part)
{
	size_t i;

	v->count->acked += part->n_samples;
	for (size_t r = part->row0; r < part->row1; r++) {
		if (!newest_of(v->d, part, r, &i))
			continue;
		if (!v->any_head || sample_time(&v->d->rows[r], i) > v->head_ms)
			v->head_ms = sample_time(&v->d->rows[r], i);
		v->any_head = true;
	}
}

static int
send_extra(struct rw_delivery *v, struct rw_part *part, struct rw_answer *a, struct err *err)
{
	if (v->extra_requests++ >= v->max_extra)
		return err_set(err, ERR_TRANSIENT,
			       "more than %" PRIu64
			       " requests to find out which samples are refused",
			       v->max_extra);
	*a = (struct rw_answer){0};
	return v->send(v->arg, part, a, err);
}

/* ---- halving ---- */

static enum rw_reason
class_of(const struct rw_answer *a)
{
	return a->verdict == RW_REFUSED ? rw_words_class(a->reason) : REASON_SERIES;
}

/* Two parts that together are this one; the second is to be sent after the first. */
static void
split(const struct cell_data *d, const struct rw_part *part, struct rw_part half[2])
{
	half[0] = half[1] = *part;
	if (part->row1 - part->row0 > 1) {
		half[0].row1 = half[1].row0 = part->row0 + (part->row1 - part->row0) / 2;
	} else {
		const struct sample_row *r = &d->rows[part->row0];
		uint64_t left = rw_count(d, part) / 2;
		size_t i, i1;

		rw_span(r, part->from_ms, part->to_ms, &i, &i1);
		for (; i < i1 && (left > 0 || !isfinite(r->values[i])); i++)
			left -= isfinite(r->values[i]) ? 1 : 0;
		half[0].to_ms = half[1].from_ms = sample_time(r, i);
	}
	half[0].n_samples = rw_count(d, &half[0]);
	half[1].n_samples = rw_count(d, &half[1]);
}

/* What is as old as a sample refused as out of bounds needs not be sent: the bound is the
 * database's, not the series'. */
static int
drop_out_of_bounds(struct rw_delivery *v, struct rw_part *part, struct err *err)
{
	struct rw_part old = *part;

	if (!v->top->bounds || part->from_ms > v->top->bounds_ms)
		return 0;
	if (old.to_ms > v->top->bounds_ms + 1)
		old.to_ms = v->top->bounds_ms + 1;
	part->from_ms = old.to_ms;
	part->n_samples = rw_count(v->d, part);
	return refuse(v, &old, v->top->bounds_status, v->top->bounds_reason, REASON_ORDER, err);
}

/* A single sample, or samples of one series that share their fate. */
static int
refuse_alone(struct rw_delivery *v, const struct rw_part *part, const struct rw_answer *a,
	     struct err *err)
{
	struct rw_top *top = v->top;
	size_t newest;

	if (refuse(v, part, a->status, a->reason, class_of(a), err) < 0)
		return -1;
	if (!rw_words_of_bounds(a->reason) || v->keeps_good ||
	    !newest_of(v->d, part, part->row0, &newest))
		return 0;
	if (keep_reason(v, a->reason, &top->bounds_reason, err) < 0)
		return -1;
	top->bounds = true;
	top->bounds_ms = sample_time(&v->d->rows[part->row0], newest);
	top->bounds_status = a->status;
	return 0;
}

static int halve(struct rw_delivery *v, const struct rw_part *part, struct err *err);

/* One half of a refused part. */
static int
resend(struct rw_delivery *v, struct rw_part *part, struct err *err)
{
	struct rw_answer a;

	if (drop_out_of_bounds(v, part, err) < 0)
		return -1;
	if (part->n_samples == 0)
		return 0;
	if (send_extra(v, part, &a, err) < 0)
		return -1;
	if (a.verdict == RW_TAKEN) {
		taken(v, part);
		return 0;
	}
	if (a.verdict == RW_REFUSED && a.repeated)
		v->top->maybe = true;
	if (part->n_samples == 1 || (a.verdict == RW_REFUSED && part->row1 - part->row0 == 1 &&
				     rw_words_class(a.reason) == REASON_SERIES))
		return refuse_alone(v, part, &a, err);
	return halve(v, part, err);
}

static int
halve(struct rw_delivery *v, const struct rw_part *part, struct err *err)
{
	struct rw_part half[2];

	split(v->d, part, half);
	if (resend(v, &half[0], err) < 0)
		return -1;
	return resend(v, &half[1], err);
}

/* ---- receivers that keep the good ones ---- */

/* A row with two samples or more in the part, at or below `row`; false if there is none left. */
static bool
probe_row(const struct cell_data *d, const struct rw_part *part, size_t *row, struct rw_part *ret)
{
	size_t oldest, newest;

	for (;; (*row)--) {
		if (oldest_of(d, part, *row, &oldest) && newest_of(d, part, *row, &newest) &&
		    oldest != newest)
			break;
		if (*row == part->row0)
			return false;
	}
	*ret = *part;
	ret->row0 = *row;
	ret->row1 = *row + 1;
	ret->from_ms = sample_time(&d->rows[*row], oldest);
	ret->to_ms = ret->from_ms + 1;
	ret->n_samples = 1;
	return true;
}

/*
 * Whether the receiver kept the good samples of this refused part. The last series come first: if
 * an earlier run was cut off inside it, those are the ones that are not there.
 */
static int
shows_partial(struct rw_delivery *v, const struct rw_part *part, bool *ret, struct err *err)
{
	size_t step = (part->row1 - part->row0) / PROBES_MAX + 1, row = part->row1 - 1;
	unsigned refusals = 0, probes = 0;
	struct rw_answer a;
	struct rw_part one;

	*ret = false;
	while (probes < PROBES_MAX && refusals < PROBES_MIN && probe_row(v->d, part, &row, &one)) {
		if (send_extra(v, &one, &a, err) < 0)
			return -1;
		if (a.verdict == RW_TAKEN)
			return 0;
		refusals += rw_may_be_stored(class_of(&a)) ? 1 : 0;
		probes++;
		if (row < part->row0 + step)
			break;
		row -= step;
	}
	*ret = refusals >= PROBES_MIN; /* with fewer series the halving is cheap enough */
	return 0;
}

/* Samples that were stored when the request came first, but for the one that was named then. With
 * `but_newest` the newest of each series is not meant: it was taken again and is counted. */
static int
stored_before(struct rw_delivery *v, const struct rw_part *part, bool but_newest, struct err *err)
{
	struct rw_top *top = v->top;
	struct rw_part last = *part, one = *part;
	size_t newest;

	last.last_only = true;
	v->count->already += rw_count(v->d, part) - (but_newest ? rw_count(v->d, &last) : 0);
	if (!top->named || top->maybe || top->named_row < part->row0 ||
	    top->named_row >= part->row1)
		return 0;
	one.row0 = top->named_row;
	one.row1 = one.row0 + 1;
	one.from_ms = sample_time(&v->d->rows[one.row0], top->named_i);
	one.to_ms = one.from_ms + 1;
	if (one.from_ms < part->from_ms || one.from_ms >= part->to_ms ||
	    (but_newest && newest_of(v->d, part, one.row0, &newest) && newest == top->named_i))
		return 0;
	v->count->already--;
	return refuse(v, &one, top->named_status, top->named_reason, REASON_OTHER, err);
}

/*
 * The samples of one series, from the newest down to the first that is taken again. One that is not
 * taken was not stored. If that was for its order, something newer was there before, and older
 * ones were refused alike. (A duplicate says nothing about older ones: inside the out-of-order
 * window these were taken.)
 */
static int
keep_row(struct rw_delivery *v, const struct rw_part *part, struct err *err)
{
	const struct sample_row *r = &v->d->rows[part->row0];
	struct rw_part rest = *part;
	size_t newest;

	while (newest_of(v->d, &rest, part->row0, &newest)) {
		struct rw_part one = rest;
		struct rw_answer a;
		enum rw_reason c;

		one.from_ms = sample_time(r, newest);
		if (send_extra(v, &one, &a, err) < 0)
			return -1;
		if (a.verdict == RW_TAKEN) {
			taken(v, &one);
			rest.to_ms = one.from_ms;
			return stored_before(v, &rest, false, err);
		}
		c = class_of(&a);
		if (c == REASON_ORDER || c == REASON_SERIES)
			return refuse(v, &rest, a.status, a.reason, c, err);
		if (refuse(v, &one, a.status, a.reason, c, err) < 0)
			return -1;
		rest.to_ms = one.from_ms;
	}
	return 0;
}

/* The newest sample of each series at once; what is refused is halved down to the series. */
static int
keep(struct rw_delivery *v, const struct rw_part *part, struct err *err)
{
	struct rw_part newest = *part, half[2];
	struct rw_answer a;

	if (part->row1 - part->row0 == 1)
		return keep_row(v, part, err);
	newest.last_only = true;
	if (send_extra(v, &newest, &a, err) < 0)
		return -1;
	if (a.verdict == RW_TAKEN) {
		taken(v, &newest);
		return stored_before(v, part, true, err);
	}
	split(v->d, part, half);
	for (int i = 0; i < 2; i++)
		if (half[i].n_samples > 0 && keep(v, &half[i], err) < 0)
			return -1;
	return 0;
}

/* ---- a whole request ---- */

static int
by_place(const void *a, const void *b)
{
	const struct rw_refusal *x = a, *y = b;

	if (x->row != y->row)
		return x->row < y->row ? -1 : 1;
	return x->i < y->i ? -1 : x->i > y->i;
}

/* The times of a row's first and last sample in the request that are not among the refused, which
 * begin at list[*k]. False if these are the same sample, or none. */
static bool
taken_of_row(const struct rw_delivery *v, size_t row, size_t *k, int64_t *ret_ms)
{
	const struct sample_row *r = &v->d->rows[row];
	const struct rw_part *part = &v->top->part;
	size_t i, i1, n = 0;

	rw_span(r, part->from_ms, part->to_ms, &i, &i1);
	for (; i < i1; i++) {
		if (!isfinite(r->values[i]))
			continue;
		if (*k < v->n_refused && v->refused[*k].row == row && v->refused[*k].i == i)
			(*k)++;
		else if (n++ == 0)
			*ret_ms = sample_time(r, i);
	}
	return n > 1;
}

/* Rule 5's evidence: what is not refused was taken when sent again. */
static void
find_again(struct rw_delivery *v)
{
	struct rw_top *top = v->top;
	size_t k = top->mark;
	int64_t ms = 0;

	if (top->maybe || top->kept)
		return;
	for (size_t r = top->part.row0; r < top->part.row1; r++) {
		if (!taken_of_row(v, r, &k, &ms) || (top->again && ms >= top->again_ms))
			continue;
		top->again = true;
		top->again_ms = ms;
	}
}

/* Rule 4: whether this is too old to have been kept beside a newest one that was not (`newest_ms`).
 */
static bool
beyond_window(const struct rw_delivery *v, int64_t ts, int64_t newest_ms)
{
	return v->out_of_order_ms <= 0 || (newest_ms > ts && (uint64_t)newest_ms - (uint64_t)ts >
								 (uint64_t)v->out_of_order_ms);
}

/* Rules 3 and 5. */
static bool
is_poison(const struct rw_delivery *v, const struct rw_refusal *r)
{
	const struct rw_top *top = v->top;

	if (top->named && r->row == top->named_row && r->i == top->named_i)
		return true;
	if (!top->again)
		return false;
	return sample_time(&v->d->rows[r->row], r->i) >= top->again_ms ||
	       (v->head_ms > top->again_ms && beyond_window(v, top->again_ms, v->head_ms));
}

/* Decide about one row's refusals, list[0..n). Walks down from the newest, as long as none was
 * taken. */
static void
settle_row(struct rw_delivery *v, struct rw_refusal *list, size_t n)
{
	const struct sample_row *row = &v->d->rows[list->row];
	bool none_taken, order = v->out_of_order_ms <= 0;
	int64_t newest_ms = 0;
	size_t expect;

	none_taken = newest_of(v->d, &v->top->part, list->row, &expect);
	while (n-- > 0) {
		struct rw_refusal *r = &list[n];
		int64_t ts = sample_time(row, r->i);

		none_taken = none_taken && r->i == expect;
		while (expect > 0 && !isfinite(row->values[--expect]))
			;
		if (!r->open)
			continue;
		if (!order && r->reason[0] != '\0') {
			newest_ms = ts;
			order = true;
		}
		r->open =
		    !is_poison(v, r) && !(none_taken && order && beyond_window(v, ts, newest_ms));
	}
}

/* Decide what is open among the refusals of this request. What turns out to be there already
 * leaves the list. */
static void
settle(struct rw_delivery *v)
{
	size_t end, kept = v->top->mark;

	if (v->n_refused == kept)
		return;
	qsort(v->refused + kept, v->n_refused - kept, sizeof(*v->refused), by_place);
	find_again(v);
	for (size_t k = kept; k < v->n_refused; k = end) {
		for (end = k; end < v->n_refused && v->refused[end].row == v->refused[k].row;)
			end++;
		settle_row(v, &v->refused[k], end - k);
	}
	for (size_t k = kept; k < v->n_refused; k++)
		if (!v->refused[k].open)
			v->refused[kept++] = v->refused[k];
	v->count->already += v->n_refused - kept;
	v->n_refused = kept;
}

/* Before the first refused content is split: a receiver that refuses even an empty request
 * cannot be used at all. */
static int
check_usable(struct rw_delivery *v, const struct rw_answer *refusal, struct err *err)
{
	enum rw_reason c = class_of(refusal);
	struct rw_part none = {0};
	struct rw_answer a;

	if (v->empty_taken || c == REASON_ORDER || c == REASON_DUPLICATE)
		return 0;
	if (send_extra(v, &none, &a, err) < 0)
		return -1;
	if (a.verdict != RW_TAKEN)
		return err_set(err, ERR_REJECTED, "refuses every request, even an empty one: %d %s",
			       a.status, a.reason);
	v->empty_taken = true;
	return 0;
}

/* All of it may be stored, and it is too much to ask for sample by sample. */
static bool
is_large_copy(const struct rw_top *top, const struct rw_answer *a)
{
	return top->maybe && rw_may_be_stored(class_of(a)) && top->part.n_samples > RW_HALVE_MAX;
}

static int
refused_top(struct rw_delivery *v, const struct rw_answer *a, struct err *err)
{
	struct rw_top *top = v->top;

	if (check_usable(v, a, err) < 0)
		return -1;
	if (top->part.n_samples == 1) /* rule 2 */
		return refuse(v, &top->part, a->status, a->reason,
			      top->maybe ? class_of(a) : REASON_OTHER, err);
	find_named(v->d, top, a->reason);
	top->named_status = a->status;
	if (keep_reason(v, a->reason, &top->named_reason, err) < 0)
		return -1;
	if (!v->partial && (v->keeps_good || rw_words_of_keeper(a->reason)) &&
	    shows_partial(v, &top->part, &v->partial, err) < 0)
		return -1;
	top->kept = v->partial;
	if (!top->kept && is_large_copy(top, a) &&
	    shows_partial(v, &top->part, &top->kept, err) < 0)
		return -1;
	return top->kept ? keep(v, &top->part, err) : halve(v, &top->part, err);
}

int
rw_deliver(struct rw_delivery *v, const struct rw_part *part, struct err *err)
{
	struct rw_top top = {.part = *part, .mark = v->n_refused, .maybe = v->maybe_sent};
	struct rw_part half[2];
	struct rw_answer a = {0};

	v->top = &top;
	if (v->send(v->arg, &top.part, &a, err) < 0)
		return -1;
	if (a.verdict == RW_TAKEN) {
		taken(v, &top.part);
		return 0;
	}
	top.maybe = top.maybe || a.repeated;
	if (a.verdict == RW_REFUSED) {
		if (refused_top(v, &a, err) < 0)
			return -1;
		settle(v);
		return 0;
	}
	if (top.part.n_samples == 1)
		return refuse(v, &top.part, a.status, a.reason, REASON_OTHER, err);
	split(v->d, &top.part, half);
	for (int i = 0; i < 2; i++)
		if (half[i].n_samples > 0 && rw_deliver(v, &half[i], err) < 0)
			return -1;
	return 0;
}

void
rw_delivery_report(struct rw_delivery *v, const struct publish *p)
{
	v->count->rejected += v->n_refused;
	if (!p->reject || v->n_refused == 0)
		return;
	qsort(v->refused, v->n_refused, sizeof(*v->refused), by_place);
	for (size_t k = 0; k < v->n_refused; k++) {
		const struct rw_refusal *r = &v->refused[k];
		const struct sample_row *row = &v->d->rows[r->row];

		p->reject(p->reject_arg, row->series, sample_time(row, r->i), row->values[r->i],
			  r->status, r->reason);
	}
}
