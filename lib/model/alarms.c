/* States of alarms; see alarms.h. */
#include "model/alarms.h"

#include <math.h>

#include "base/cleanup.h"
#include "base/timefmt.h"
#include "fmt/json.h"

#define SERIES_NAME "aws_cloudwatch_alarm_state"
#define OWN_LABELS  5 /* account_id, alarm, region, state, tenant */

static const char *const words[ALARM_STATES] = {
    [ALARM_OK] = "OK",
    [ALARM_FIRING] = "ALARM",
    [ALARM_INSUFFICIENT] = "INSUFFICIENT_DATA",
};

enum alarm_state
alarm_state_of(const char *word)
{
	for (unsigned s = 0; s < ALARM_STATES; s++)
		if (!strcmp(words[s], word))
			return (enum alarm_state)s;
	return ALARM_UNKNOWN;
}

const char *
alarm_state_word(enum alarm_state s)
{
	return s < ALARM_STATES ? words[s] : NULL;
}

/* Tracks */

static int
cmp_tracks(const void *a, const void *b)
{
	const struct alarm_track *x = a, *y = b;

	return strcmp(x->name, y->name);
}

static int
cmp_changes(const void *a, const void *b)
{
	const struct alarm_change *x = a, *y = b;
	int c = strcmp(x->alarm, y->alarm);

	if (!c)
		c = (x->ts_ms > y->ts_ms) - (x->ts_ms < y->ts_ms);
	return c ? c : (x->seq > y->seq) - (x->seq < y->seq);
}

/* No alarm makes the same change twice in one millisecond. */
static bool
same_change(const struct alarm_change *a, const struct alarm_change *b)
{
	return a->ts_ms == b->ts_ms && a->from == b->from && a->to == b->to &&
	       !strcmp(a->alarm, b->alarm);
}

void
alarm_tracks_sort(struct alarm_track *tracks, size_t n, struct alarm_change *changes,
		  size_t *n_changes)
{
	size_t kept = 0, at = 0;

	if (n > 1)
		qsort(tracks, n, sizeof(*tracks), cmp_tracks);
	if (*n_changes > 1)
		qsort(changes, *n_changes, sizeof(*changes), cmp_changes);
	for (size_t i = 0; i < *n_changes; i++)
		if (!kept || !same_change(&changes[kept - 1], &changes[i]))
			changes[kept++] = changes[i];
	*n_changes = kept;
	for (size_t i = 0; i < n; i++) {
		tracks[i].changes = at < kept ? changes + at : NULL;
		tracks[i].n_changes = 0;
		for (; at < kept && !strcmp(changes[at].alarm, tracks[i].name); at++)
			tracks[i].n_changes++;
	}
}

enum alarm_state
alarm_state_at(const struct alarm_track *t, int64_t ts_ms)
{
	size_t i = 0;

	while (i < t->n_changes && t->changes[i].ts_ms <= ts_ms)
		i++;
	if (i > 0)
		return t->changes[i - 1].to;
	return t->n_changes ? t->changes[0].from : t->state;
}

/* Series */

static bool
is_taken(const char *name)
{
	static const char *const taken[] = {"account_id", "alarm", "alertname",
					    "region",	  "state", "tenant"};

	for (size_t i = 0; i < ARRAY_LEN(taken); i++)
		if (!strcmp(taken[i], name))
			return true;
	return false;
}

/* Of an alarm in a state, in the arena; NULL without memory. */
static const struct series *
make_series(const struct alarm_owner *o, const char *alarm, const char *state, int64_t period_ms,
	    struct arena *a)
{
	const struct label own[OWN_LABELS] = {
	    {"account_id", o->origin.account_id}, {"alarm", arena_strdup(a, sv_of(alarm))},
	    {"region", o->origin.region},	  {"state", state},
	    {"tenant", o->origin.tenant},
	};
	struct label *labels = arena_array(a, o->n_labels + OWN_LABELS, sizeof(*labels));
	struct series *s = arena_alloc(a, sizeof(*s));
	size_t n = OWN_LABELS;

	if (!labels || !s || !own[1].value)
		return NULL;
	memcpy(labels, own, sizeof(own));
	for (size_t i = 0; i < o->n_labels; i++)
		if (!is_taken(o->labels[i].name) && *o->labels[i].value)
			labels[n++] = o->labels[i];
	qsort(labels, n, sizeof(*labels), label_by_name);
	*s = (struct series){
	    .name = SERIES_NAME, .labels = labels, .n_labels = n, .period_ms = period_ms};
	return s;
}

/* The states' labels in the order of series. */
static const struct {
	enum alarm_state state;
	const char *label;
} series_states[ALARM_STATES] = {
    {ALARM_FIRING, "alarm"},
    {ALARM_INSUFFICIENT, "insufficient_data"},
    {ALARM_OK, "ok"},
};

static int
add_rows(struct cell_data *d, const struct alarm_owner *o, const struct alarm_track *t,
	 int64_t period_ms, struct err *err)
{
	size_t n = (size_t)((d->cell.end_ms - d->cell.start_ms) / period_ms), points = 0;
	double *values = arena_array(&d->arena, n * ALARM_STATES, sizeof(*values));

	if (!values)
		return err_nomem(err);
	for (size_t i = 0; i < n; i++) {
		enum alarm_state s = alarm_state_at(t, d->cell.start_ms + (int64_t)i * period_ms);

		points += s < ALARM_STATES;
		for (size_t k = 0; k < ALARM_STATES; k++)
			values[k * n + i] =
			    s < ALARM_STATES ? (double)(s == series_states[k].state) : NAN;
	}
	for (size_t k = 0; points && k < ALARM_STATES; k++) {
		const struct series *s =
		    make_series(o, t->name, series_states[k].label, period_ms, &d->arena);

		if (!s)
			return err_nomem(err);
		d->rows[d->n_rows++] = (struct sample_row){
		    .series = s, .first_ms = d->cell.start_ms, .values = values + k * n, .n = n};
		d->n_samples += points;
	}
	return 0;
}

/* Lines */

/* Those of the series without the common fields and without what changes. */
static void
add_labels(struct buf *out, const struct series *s)
{
	const char *sep = ",\"labels\":{";

	for (size_t i = 0; i < s->n_labels; i++) {
		const char *name = s->labels[i].name;

		if (is_taken(name) && strcmp(name, "alarm") != 0)
			continue;
		json_add_str(out, sep, name);
		json_add_str(out, ":", s->labels[i].value);
		sep = ",";
	}
	buf_ch(out, '}');
}

static int
add_line(struct cell_data *d, const struct alarm_owner *o, const struct alarm_track *t,
	 const struct alarm_change *c, struct err *err)
{
	const struct series *s = make_series(o, t->name, "alarm", 0, &d->arena);
	struct buf *out = &d->ndjson;
	char ts[TIME_TEXT_MAX];

	if (!s)
		return err_nomem(err);
	time_format_ms(c->ts_ms, ts);
	json_add_str(out, "{\"ts\":", ts);
	json_add_str(out, ",\"tenant\":", o->origin.tenant);
	json_add_str(out, ",\"account_id\":", o->origin.account_id);
	json_add_str(out, ",\"region\":", o->origin.region);
	json_add_str(out, ",\"job\":", o->origin.job);
	json_add_str(out, ",\"alarm\":", t->name);
	json_add_str(out, ",\"arn\":", t->arn);
	json_add_str(out, ",\"state\":", alarm_state_word(c->to));
	json_add_str(out, ",\"previous_state\":", alarm_state_word(c->from));
	json_add_str(out, ",\"reason\":", c->reason);
	add_labels(out, s);
	buf_str(out, "}\n");
	d->n_lines++;
	return 0;
}

/* A transition, as one of a cell's. */
struct moment {
	const struct alarm_track *track;
	const struct alarm_change *change;
};

/* Changes lie in one array, by alarm and time: their order breaks ties. */
static int
cmp_moments(const void *a, const void *b)
{
	const struct alarm_change *x = ((const struct moment *)a)->change;
	const struct alarm_change *y = ((const struct moment *)b)->change;

	if (x->ts_ms != y->ts_ms)
		return x->ts_ms < y->ts_ms ? -1 : 1;
	return (x > y) - (x < y);
}

static bool
is_in(const struct cell *c, int64_t ts_ms)
{
	return ts_ms >= c->start_ms && ts_ms < c->end_ms;
}

/* The transitions of a cell in their order; counts what could not be read. */
static size_t
collect(struct cell_data *d, const struct alarm_track *tracks, size_t n, struct moment *to)
{
	size_t found = 0;

	for (size_t i = 0; i < n; i++) {
		for (size_t k = 0; k < tracks[i].n_changes; k++) {
			const struct alarm_change *c = &tracks[i].changes[k];

			if (!is_in(&d->cell, c->ts_ms))
				continue;
			d->n_rejected += c->to == ALARM_UNKNOWN;
			if (c->to < ALARM_STATES && c->from != ALARM_ABSENT && c->from != c->to)
				to[found++] = (struct moment){&tracks[i], c};
		}
	}
	if (found > 1)
		qsort(to, found, sizeof(*to), cmp_moments);
	return found;
}

int
alarm_cell_fill(struct cell_data *d, const struct alarm_owner *o, const struct alarm_track *tracks,
		size_t n, int64_t period_ms, struct err *err)
{
	CLEANUP(freep) struct moment *moments = NULL;
	size_t changes = 0, found;

	for (size_t i = 0; i < n; i++)
		changes += tracks[i].n_changes;
	moments = calloc(changes + 1, sizeof(*moments));
	d->rows = arena_array(&d->arena, n * ALARM_STATES, sizeof(*d->rows));
	if (!moments || !d->rows)
		return err_nomem(err);
	found = collect(d, tracks, n, moments);
	for (size_t i = 0; i < found; i++)
		if (add_line(d, o, moments[i].track, moments[i].change, err))
			return -1;
	for (size_t i = 0; i < n; i++)
		if (add_rows(d, o, &tracks[i], period_ms, err))
			return -1;
	return buf_check(&d->ndjson, "transitions of alarms", err);
}

/* Now */

static const char *
copy(struct arena *a, const char *s)
{
	return arena_strdup(a, sv_of(s ? s : ""));
}

static int
fill_now(struct alarm_now *to, const struct alarm_owner *o, const struct alarm_track *t,
	 int64_t period_ms, struct arena *a, struct err *err)
{
	const struct alarm_change *last = t->n_changes ? &t->changes[t->n_changes - 1] : NULL;
	const char *word = alarm_state_word(t->state);

	*to = (struct alarm_now){
	    .name = copy(a, t->name),
	    .arn = copy(a, t->arn),
	    .reason = copy(a, t->reason),
	    .description = copy(a, t->description),
	    .state = t->state == ALARM_ABSENT ? "DELETED"
		     : word		      ? word
					      : "UNKNOWN",
	    .series = make_series(o, t->name, "alarm", period_ms, a),
	    .firing = t->state == ALARM_FIRING,
	    .since_ms = t->since_ms ? t->since_ms
			: last	    ? last->ts_ms
				    : 0,
	};
	return to->name && to->arn && to->reason && to->description && to->series ? 0
										  : err_nomem(err);
}

int
alarm_cell_now(struct cell_data *d, const struct alarm_owner *o, const struct alarm_track *tracks,
	       size_t n, int64_t period_ms, struct err *err)
{
	struct alarm_now *v = arena_array(&d->arena, n, sizeof(*v));

	if (!v)
		return err_nomem(err);
	for (size_t i = 0; i < n; i++) {
		if (tracks[i].state == ALARM_UNKNOWN)
			continue; /* nothing is known, so nothing is told */
		if (fill_now(&v[d->n_alarms], o, &tracks[i], period_ms, &d->arena, err))
			return -1;
		d->n_alarms++;
	}
	d->alarms = v;
	return 0;
}
