/*
 * Changing a checkpoint by hand; see state_command.h.
 *
 * A change is a run of its own, as far as others can tell: it holds the store's lock where there is
 * one, respects the lease, and moves the checkpoint by compare-and-swap. So a run that was at work
 * all the same finds itself overtaken, and commits nothing any more.
 */
#include "run/state_command.h"

#include <pwd.h>
#include <stdio.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/num.h"
#include "base/timefmt.h"
#include "fmt/json.h"

#define WHAT_MAX      2000
#define FORGOTTEN_MAX (CKPT_MAX + (1u << 20))

struct change {
	const struct state_env *env;
	const struct status_entry *entry;
	struct buf *out;
	struct store_lock *lock;
	struct ckpt *ckpt; /* NULL: it cannot be used (forget only) */
	struct buf what;   /* for the history */
	bool changed;
};

void
state_who(const char *host, char out[256])
{
	struct passwd pw, *found = NULL;
	char room[4096];

	if (getpwuid_r(getuid(), &pw, room, sizeof(room), &found) || !found)
		(void)snprintf(out, 256, "uid %ld@%s", (long)getuid(), host);
	else
		(void)snprintf(out, 256, "%.64s@%s", found->pw_name, host);
}

/* Opening */

static bool
may_break(const struct change *c, enum state_action action)
{
	return action == STATE_RELEASE && c->env->options->force;
}

static int
take_lock(struct change *c, enum state_action action, struct err *err)
{
	CLEANUP(buf_done) struct buf key = BUF_INIT(1024);
	struct store *s = c->env->state;

	if (c->env->options->dry_run || !s->ops->lock)
		return 0;
	ckpt_key(&key, "", c->entry->tenant, c->entry->name, "");
	if (buf_check(&key, "checkpoint key", err))
		return -1;
	if (!s->ops->lock(s, buf_cstr(&key), &c->lock, err))
		return 0;
	if (err->kind != ERR_CONFLICT || may_break(c, action))
		return err->kind == ERR_CONFLICT ? 0 : -1;
	return err_set(err, ERR_CONFLICT, "a run on this machine is at work on it");
}

/* Who has the store's lock knows that no holder of the lease is alive. */
static int
check_lease(const struct change *c, enum state_action action, struct err *err)
{
	const struct ckpt_lease *l = &c->ckpt->lease;
	char until[TIME_TEXT_MAX];

	if (!l->owner || c->lock || l->until_ms <= c->env->wall_ms || may_break(c, action))
		return 0;
	time_format_s(l->until_ms, until);
	return err_set(err, ERR_CONFLICT,
		       "run %s on %s holds the lease until %s: wait for it, or if it is dead: "
		       "muster state release --force",
		       l->owner, l->host ? l->host : "?", until);
}

/* With --dry-run it is only looked at. */
static int
load(struct change *c, struct err *err)
{
	const char *tenant = c->entry->tenant, *job = c->entry->name;
	struct store *s = c->env->state;

	if (!c->env->options->dry_run)
		return ckpt_load(s, "", tenant, job, &c->ckpt, err);
	if (!ckpt_peek(s, "", tenant, job, "", NULL, &c->ckpt, err))
		return 0;
	if (err->kind != ERR_DATA && err->kind != ERR_NOTFOUND)
		return -1;
	return ckpt_peek(s, "", tenant, job, ".prev", NULL, &c->ckpt, err);
}

static int
change_open(struct change *c, enum state_action action, struct err *err)
{
	if (!c->entry->stored && !c->entry->prev_stored)
		return err_set(err, ERR_NOTFOUND, "there is no checkpoint");
	if (take_lock(c, action, err))
		return -1;
	if (load(c, err)) {
		/* What nobody can read can still be forgotten. */
		if (action != STATE_FORGET || (err->kind != ERR_LOCAL && err->kind != ERR_DATA))
			return -1;
		err_clear(err);
		return 0;
	}
	if (!c->ckpt->lost)
		return check_lease(c, action, err);
	if (action != STATE_FORGET)
		return err_set(
		    err, ERR_DATA,
		    "no copy of it can be used (%.200s): the next run goes on from what is "
		    "frozen",
		    c->ckpt->damage);
	ckpt_free(c->ckpt);
	c->ckpt = NULL;
	return 0;
}

static void
change_done(struct change *c)
{
	if (c->lock)
		c->env->state->ops->unlock(c->env->state, c->lock);
	ckpt_free(c->ckpt);
	buf_done(&c->what);
}

/* Into the history and the store. */
static int
change_save(struct change *c, struct err *err)
{
	const struct state_env *env = c->env;

	if (env->options->dry_run || !c->changed)
		return 0;
	if (buf_check(&c->what, "what was changed", err) ||
	    ckpt_event_add(c->ckpt, env->wall_ms, env->who, buf_cstr(&c->what),
			   env->options->reason, err) ||
	    ckpt_keep_prev(env->state, "", c->ckpt, err))
		return -1;
	return ckpt_save(env->state, "", c->ckpt, err);
}

/* Cursors */

static void
say(struct change *c, const struct ckpt_stream *s, const struct ckpt_sink *k, int64_t from_ms,
    const char *cells)
{
	char from[TIME_TEXT_MAX], to[TIME_TEXT_MAX];
	int64_t low = k->cursor_ms < from_ms ? k->cursor_ms : from_ms;
	int64_t high = k->cursor_ms < from_ms ? from_ms : k->cursor_ms;
	int64_t present = cell_floor(c->env->now_ms, s->every_ms), n;

	/* Cells that are yet to come are not to be done again. */
	if (high > present)
		high = present;
	n = high > low ? (high - low) / s->every_ms : 0;
	time_format_s(from_ms, from);
	time_format_s(k->cursor_ms, to);
	buf_fmt(c->out, "%s %s %s %s: %s -> %s, %lld cell%s %s\n", c->entry->tenant, c->entry->name,
		s->region, k->name, from, to, (long long)n, n == 1 ? "" : "s", cells);
	buf_fmt(&c->what, "%s %s %s from %s to %s", c->changed ? "," : "", s->region, k->name, from,
		to);
	c->changed = true;
}

static const struct sink_conf *
sink_of(const struct status_entry *e, const char *name)
{
	for (size_t i = 0; e->job && i < e->job->n_to; i++)
		if (strcmp(e->job->to[i]->name, name) == 0)
			return e->job->to[i];
	return NULL;
}

/* --sink, or all that the job has. */
static bool
wants_sink(const struct change *c, const struct ckpt_sink *k)
{
	const char *only = c->env->options->sink;

	if (only)
		return strcmp(only, k->name) == 0;
	return !c->entry->job || sink_of(c->entry, k->name);
}

/* What a later run would at once give up again must not be taken back. */
static int
check_rewind(const struct change *c, int64_t to_ms, int64_t every_ms, struct err *err)
{
	int64_t reach = c->env->now_ms - c->env->config->run.max_catchup_ms;
	char text[32];

	if (to_ms >= cell_floor(reach, every_ms))
		return 0;
	num_duration_format(c->env->config->run.max_catchup_ms, text);
	return err_set(
	    err, ERR_USAGE,
	    "further back than run.max_catchup (%s): the next run would give these cells "
	    "up; raise it, or use backfill",
	    text);
}

static void
note_age(const struct change *c, const struct ckpt_sink *k)
{
	const struct sink_conf *conf = sink_of(c->entry, k->name);
	char text[32];

	if (!conf || !conf->max_age_ms || k->cursor_ms >= c->env->now_ms - conf->max_age_ms)
		return;
	num_duration_format(conf->max_age_ms, text);
	buf_fmt(c->out,
		"note: %s takes nothing older than %s: what is will be counted as too old\n",
		k->name, text);
}

static int
rewind_sink(struct change *c, struct ckpt_stream *s, struct ckpt_sink *k, struct err *err)
{
	struct ckpt_lease *l = &c->ckpt->lease;
	int64_t to = cell_floor(c->env->to_ms, s->every_ms), from = k->cursor_ms;
	int64_t end = k->beyond.n ? k->beyond.v[k->beyond.n - 1].end_ms : from;

	if (to >= from)
		return 0;
	if (check_rewind(c, to, s->every_ms, err) || ckpt_rewind(s, k, to, err))
		return -1;
	/* The sink has these cells: what it refuses for order or age is there already, and what is
	 * frozen is taken over and not asked for again. */
	if (l->begun_through_ms < end)
		l->begun_through_ms = end;
	say(c, s, k, from, "to do again");
	note_age(c, k);
	return 0;
}

static int
skip_sink(struct change *c, struct ckpt_stream *s, struct ckpt_sink *k, struct err *err)
{
	CLEANUP(buf_done) struct buf reason = BUF_INIT(CKPT_REASON_MAX + 64);
	int64_t to = cell_floor(c->env->to_ms, s->every_ms), from = k->cursor_ms;

	if (to <= from)
		return 0;
	buf_fmt(&reason, "skipped: %s", c->env->options->reason);
	if (ckpt_skip(s, k, to, buf_cstr(&reason), c->env->now_ms, err))
		return -1;
	say(c, s, k, from, "given up");
	return 0;
}

/* What was asked for, and what there is instead. */
static int
none_met(const struct change *c, struct err *err)
{
	CLEANUP(buf_done) struct buf there = BUF_INIT(CKPT_MAX);
	const struct options *o = c->env->options;
	bool placed = false;

	for (size_t i = 0; i < c->ckpt->n_streams; i++) {
		const struct ckpt_stream *s = &c->ckpt->streams[i];

		placed = placed || (o->region && strcmp(o->region, s->region) == 0);
		buf_fmt(&there, "%s%s (", i ? ", " : "", s->region);
		for (size_t k = 0; k < s->n_sinks; k++)
			buf_fmt(&there, "%s%s", k ? ", " : "", s->sinks[k].name);
		buf_ch(&there, ')');
	}
	if (buf_check(&there, "regions and sinks", err))
		return -1;
	if (o->region && !placed)
		return err_set(err, ERR_NOTFOUND, "it has no region %s: there is %s", o->region,
			       buf_cstr(&there));
	return err_set(err, ERR_NOTFOUND, "it has no sink %s%s%s: there is %s",
		       o->sink ? o->sink : "of its job", placed ? " in " : "",
		       placed ? o->region : "", buf_cstr(&there));
}

/* Every cursor that --region and --sink name. */
static int
move_cursors(struct change *c, enum state_action action, struct err *err)
{
	const struct options *o = c->env->options;
	size_t met = 0;

	buf_str(&c->what, action == STATE_REWIND ? "rewind" : "skip");
	for (size_t i = 0; i < c->ckpt->n_streams; i++) {
		struct ckpt_stream *s = &c->ckpt->streams[i];

		if (o->region && strcmp(o->region, s->region) != 0)
			continue;
		for (size_t k = 0; k < s->n_sinks; k++) {
			if (!wants_sink(c, &s->sinks[k]))
				continue;
			met++;
			if (action == STATE_REWIND ? rewind_sink(c, s, &s->sinks[k], err)
						   : skip_sink(c, s, &s->sinks[k], err))
				return err_wrap(err, "%s %s", s->region, s->sinks[k].name);
		}
	}
	if (!met)
		return none_met(c, err);
	if (!c->changed)
		return err_set(err, ERR_USAGE,
			       action == STATE_REWIND
				   ? "no cursor is after that time: there is nothing to rewind"
				   : "no cursor is before that time: there is nothing to skip");
	return 0;
}

/* The lease */

static int
release(struct change *c, struct err *err)
{
	struct ckpt_lease *l = &c->ckpt->lease;

	if (!l->owner) {
		buf_fmt(c->out, "%s %s: no run has the lease\n", c->entry->tenant, c->entry->name);
		return 0;
	}
	buf_fmt(&c->what, "release the lease of run %s on %s", l->owner, l->host ? l->host : "?");
	buf_fmt(c->out, "%s %s: %s\n", c->entry->tenant, c->entry->name, buf_cstr(&c->what));
	c->changed = true;
	/* What that run may have begun stays on record. */
	l->until_ms = c->env->wall_ms;
	return ckpt_set_str(&l->owner, NULL, err) || ckpt_set_str(&l->host, NULL, err) ? -1 : 0;
}

/* Forgetting */

/* Both documents as they are, with who and why: the history goes with the checkpoint. */
static int
forgotten_text(const struct change *c, struct buf *out, struct err *err)
{
	static const char *const parts[] = {"", ".prev"};
	CLEANUP(json_decrefp) json_t *doc = NULL;
	char time[TIME_TEXT_MAX];

	time_format_s(c->env->wall_ms, time);
	doc = json_pack("{s:s,s:s,s:s,s:s}", "format", "muster-forgotten", "time", time, "who",
			c->env->who, "reason", c->env->options->reason);
	for (size_t i = 0; doc && i < ARRAY_LEN(parts); i++) {
		CLEANUP(buf_done) struct buf key = BUF_INIT(1024), text = BUF_INIT(CKPT_MAX);

		ckpt_key(&key, "", c->entry->tenant, c->entry->name, parts[i]);
		if (store_get(c->env->state, buf_cstr(&key), NULL, &text, NULL, err)) {
			if (err->kind != ERR_NOTFOUND)
				return -1;
			err_clear(err);
			continue;
		}
		/* Damaged ones have bytes that are no text: then only that they were there. */
		(void)json_object_set_new(doc, i ? "previous" : "checkpoint",
					  json_stringn_nocheck(buf_cstr(&text), text.n));
	}
	return doc ? json_dump(doc, true, out, err) : err_nomem(err);
}

static int
keep_forgotten(const struct change *c, char key_out[256], struct err *err)
{
	const struct store_put opt = {.cond = STORE_CREATE, .content_type = "application/json"};
	CLEANUP(buf_done) struct buf key = BUF_INIT(1024), text = BUF_INIT(FORGOTTEN_MAX);
	char time[TIME_TEXT_MAX], suffix[64];

	time_format_basic(c->env->wall_ms, time);
	(void)snprintf(suffix, sizeof(suffix), ".forgotten-%s", time);
	ckpt_key(&key, "", c->entry->tenant, c->entry->name, suffix);
	if (forgotten_text(c, &text, err))
		return -1;
	(void)snprintf(key_out, 256, "%s", buf_cstr(&key));
	return store_put(c->env->state, buf_cstr(&key), buf_view(&text), &opt, NULL, err);
}

static int
remove_doc(const struct change *c, const char *suffix, struct err *err)
{
	CLEANUP(buf_done) struct buf key = BUF_INIT(1024);

	ckpt_key(&key, "", c->entry->tenant, c->entry->name, suffix);
	return c->env->state->ops->del(c->env->state, buf_cstr(&key), err);
}

/* First the swap, which tells whether somebody else is at it; then the one before, or a run that
 * came between would go on from it. */
static int
forget(struct change *c, struct err *err)
{
	char kept[256] = "";

	buf_fmt(c->out,
		"%s %s: forgotten; the next run goes by what is frozen, the lake is not touched\n",
		c->entry->tenant, c->entry->name);
	if (c->env->options->dry_run)
		return 0;
	if (keep_forgotten(c, kept, err))
		return -1;
	buf_str(&c->what, "forget");
	c->changed = c->ckpt != NULL;
	if (c->ckpt && change_save(c, err))
		return -1;
	c->changed = false;
	if (remove_doc(c, ".prev", err) || remove_doc(c, "", err))
		return -1;
	buf_fmt(c->out, "what it was is kept as %s\n", kept);
	return 0;
}

int
state_change(const struct state_env *env, enum state_action action, const struct status_entry *e,
	     struct buf *out, struct err *err)
{
	CLEANUP(change_done)
	struct change c = {.env = env, .entry = e, .out = out, .what = BUF_INIT(WHAT_MAX)};
	size_t before = out->n;
	int r = change_open(&c, action, err);

	if (!r && action == STATE_FORGET)
		r = forget(&c, err);
	else if (!r && action == STATE_RELEASE)
		r = release(&c, err);
	else if (!r)
		r = move_cursors(&c, action, err);
	if (!r)
		r = change_save(&c, err);
	if (r)
		out->n = before;
	return r;
}
