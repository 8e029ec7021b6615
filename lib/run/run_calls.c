/* Calls of the run as a whole; see run_calls.h. */
#include "run/run_calls.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/hash.h"
#include "fmt/json.h"
#include "state/calls.h"

#define DOCUMENT_MAX 65536
#define VERSION	     1
#define TRIES	     8 /* runs of one shard that end at once */

struct document {
	struct tally calls;
	struct store_info info; /* without an etag: there is none */
	bool ours;		/* exactly what was written last */
};

void
run_calls_init(struct run_calls *c, struct store *state, struct call_counts *counts,
	       const char *run_id, const char *schedule, int64_t shard, int64_t shards)
{
	*c = (struct run_calls){.state = state, .counts = counts, .run_id = run_id};
	/* A configuration may have any name. */
	(void)snprintf(c->key, sizeof(c->key),
		       "calls/%016" PRIx64 "-%" PRId64 "-of-%" PRId64 ".json",
		       fnv1a64(sv_of(schedule)), shard, shards);
}

void
run_calls_done(struct run_calls *c)
{
	tally_done(&c->pending);
	tally_done(&c->later);
	tally_done(&c->total);
}

static int
parse(const struct run_calls *c, struct sv text, struct document *d, struct err *err)
{
	CLEANUP(json_decrefp) json_t *o = NULL;
	const char *run;

	if (json_parse(text, c->key, &o, err))
		return -1;
	run = json_string_value(json_object_get(o, "run"));
	if (json_integer_value(json_object_get(o, "version")) != VERSION || !run)
		return err_set(err, ERR_DATA, "%s is no count of calls of version %d", c->key,
			       VERSION);
	d->ours = c->written && !strcmp(run, c->run_id) &&
		  json_integer_value(json_object_get(o, "written")) == (json_int_t)c->written;
	return calls_read(json_object_get(o, "calls"), c->key, &d->calls, err);
}

static int
load(const struct run_calls *c, struct document *d, struct err *err)
{
	struct buf text = BUF_INIT(DOCUMENT_MAX);
	int r = store_get(c->state, c->key, NULL, &text, &d->info, err);

	if (!r)
		r = parse(c, buf_view(&text), d, err);
	else if (err->kind == ERR_NOTFOUND) {
		err_clear(err);
		r = 0;
	}
	buf_done(&text);
	return r;
}

static int
render(const struct run_calls *c, const struct tally *calls, struct buf *out, struct err *err)
{
	CLEANUP(json_decrefp)
	json_t *o = json_pack("{s:i,s:s,s:i}", "version", VERSION, "run", c->run_id, "written",
			      (int)c->written);

	if (!o || (calls->n && json_object_set_new(o, "calls", calls_json(calls)) < 0))
		return err_nomem(err);
	return json_dump(o, true, out, err);
}

/* What fails of its own calls is for the next time; the one that succeeds is in what it writes. */
static int
save(struct run_calls *c, const struct document *d, struct err *err)
{
	const bool there = d->info.etag[0];
	const struct store_put put = {.cond = there ? STORE_MATCH : STORE_CREATE,
				      .etag = there ? d->info.etag : NULL,
				      .content_type = "application/json"};
	CLEANUP(buf_done) struct buf text = BUF_INIT(DOCUMENT_MAX);
	struct tally own = {0}, *before;
	int r;

	if (render(c, &d->calls, &text, err))
		return -1;
	before = tally_use(&own);
	r = store_put(c->state, c->key, buf_view(&text), &put, NULL, err);
	(void)tally_use(before);
	for (size_t i = 0; i < own.n; i++)
		if (strcmp(own.v[i].code, "200") != 0)
			tally_add(&c->later, own.v[i].service, own.v[i].operation, own.v[i].code,
				  own.v[i].calls);
	tally_done(&own);
	return r;
}

/* All that was counted since is in *d, and with it what is about to be written. */
static void
count_in(struct run_calls *c, struct document *d)
{
	if (c->unsure && d->ours) /* it was written, only the answer was lost */
		tally_done(&c->pending);
	c->unsure = false;
	call_counts_take(c->counts, &c->later);
	tally_add_all(&c->pending, &c->later);
	tally_done(&c->later);
	tally_add_all(&d->calls, &c->pending);
	if (!strcmp(c->state->ops->name, "s3"))
		tally_add(&d->calls, "s3", "PutObject", "200", 1);
}

static int
try_keep(struct run_calls *c, struct err *err)
{
	struct document d = {0};
	int r = load(c, &d, err);

	if (!r) {
		count_in(c, &d);
		c->written++;
		r = save(c, &d, err);
		c->unsure = r != 0;
	}
	if (r) {
		tally_done(&d.calls);
		return -1;
	}
	tally_done(&c->pending);
	tally_done(&c->total);
	c->total = d.calls;
	return 0;
}

int
run_calls_keep(struct run_calls *c, struct err *err)
{
	for (unsigned tries = 1; try_keep(c, err); tries++) {
		if (err->kind != ERR_CONFLICT || tries == TRIES)
			return err_wrap(err, "calls of the run as a whole");
		err_clear(err);
	}
	return 0;
}
