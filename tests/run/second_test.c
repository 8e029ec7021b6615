/*
 * The second asking, through the runner: a job kind whose rows are events that can be found from
 * some moment on, a lake in memory that others write to as well, a second sink that may be down.
 * What is shown: which cells are asked for again and when, that what was frozen meanwhile is taken
 * over, and what becomes of those that were never asked.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>

#include "base/cleanup.h"
#include "base/timefmt.h"
#include "run/runner.h"

#define MIN  60000LL
#define CELL (5 * MIN)
#define T0   1767225600000LL /* 2026-01-01T00:00:00Z */

/* ---- a job kind: events ---- */

struct event {
	int64_t ms, found_ms;
	const char *text;
};
struct fake_pull {
	struct cell cells[64];
	size_t n;
	bool again, asked;
	int64_t now_ms;
};
static struct event events[64];
static size_t n_events;
static struct cell asked_again[256];
static size_t n_again, n_first;
static bool fails_again, fails_first, collects;

static size_t
fake_span_max(const struct job_stream *s, const json_t *memo)
{
	(void)s;
	(void)memo;
	return 5;
}

static int
open_pull(bool again, const struct cell *cells, size_t n, int64_t now_ms, struct pull **ret)
{
	struct fake_pull *p = calloc(1, sizeof(*p));

	assert_non_null(p);
	*p = (struct fake_pull){.n = n, .again = again, .now_ms = now_ms};
	memcpy(p->cells, cells, n * sizeof(*cells));
	for (size_t i = 0; i < n; i++) {
		n_first += !again;
		if (again)
			asked_again[n_again++] = cells[i];
	}
	*ret = (struct pull *)(void *)p;
	return 0;
}

static int
fake_open(const struct job_stream *s, const json_t *memo, const struct cell *cells, size_t n,
	  int64_t now_ms, struct pull **ret, struct err *err)
{
	(void)s;
	(void)memo;
	(void)err;
	return open_pull(false, cells, n, now_ms, ret);
}

static int
fake_open_again(const struct job_stream *s, const json_t *memo, const struct cell *cells, size_t n,
		int64_t now_ms, struct pull **ret, struct err *err)
{
	(void)s;
	(void)memo;
	(void)err;
	return open_pull(true, cells, n, now_ms, ret);
}

static int
fake_next(struct pull *pull, struct aws_call *call, struct err *err)
{
	struct fake_pull *p = (struct fake_pull *)(void *)pull;

	if (p->again ? fails_again : fails_first)
		return err_set(err, ERR_REJECTED, "told to fail");
	if (p->asked)
		return 0;
	call->service = "logs";
	call->operation = "StartQuery";
	call->proto = PROTO_AWS_JSON;
	buf_str(&call->body, "{}");
	return 1;
}

static int
fake_reply(struct pull *pull, const struct http_resp *resp, struct err *err)
{
	(void)err;
	(void)resp;
	((struct fake_pull *)(void *)pull)->asked = true;
	return 0;
}

static void
add_line(struct cell_data *d, int64_t ms, const char *text)
{
	CLEANUP(buf_done) struct buf line = BUF_INIT(4096);
	char when[TIME_TEXT_MAX];
	struct err err;

	time_format_ms(ms, when);
	buf_fmt(&line, "{\"ts\":\"%s\",\"log_group\":\"g\",\"message\":\"%s\",\"fields\":{}}\n",
		when, text);
	assert_int_equal(cell_lines_add(d, buf_view(&line), &err), 0);
	d->n_lines++;
}

static int
fake_harvest(struct pull *pull, struct cell_data *cells, size_t n, struct err *err)
{
	const struct fake_pull *p = (struct fake_pull *)(void *)pull;

	(void)err;
	for (size_t i = 0; i < n; i++) {
		cells[i].asked_before = collects;
		for (size_t k = 0; k < n_events; k++)
			if (events[k].ms >= cells[i].cell.start_ms &&
			    events[k].ms < cells[i].cell.end_ms && events[k].found_ms <= p->now_ms)
				add_line(&cells[i], events[k].ms, events[k].text);
	}
	return 0;
}

static void
fake_close(struct pull *p)
{
	free(p);
}

static int
fake_adopt(const struct job_stream *s, struct cell_data *d, struct err *err)
{
	(void)s;
	if (cell_lines_load(d, err))
		return -1;
	d->n_lines = 0;
	for (size_t i = 0; i < d->ndjson.n; i++)
		d->n_lines += d->ndjson.p[i] == '\n';
	return 0;
}

static const struct job_kind fake_kind = {
    .name = "fake",
    .service = "logs",
    .span_max = fake_span_max,
    .open = fake_open,
    .open_again = fake_open_again,
    .next = fake_next,
    .reply = fake_reply,
    .harvest = fake_harvest,
    .close = fake_close,
    .adopt = fake_adopt,
};

static int
fake_send(struct transport *t, const struct http_req *req, struct http_resp *resp, struct err *err)
{
	(void)t;
	(void)req;
	(void)err;
	resp->status = 200;
	return 0;
}

/* ---- sinks: a lake that a rival writes to, and one that keeps lines ---- */

struct shared_lake {
	struct sink base;
	struct sink *inner;
	const char
	    *rival; /* text of an event that another run freezes just before the next late object */
	int64_t rival_ms;
};
struct keeper {
	struct sink base;
	bool down;
	char got[4096];
};

static int
lake_publish(struct sink *s, const struct publish *p, const struct cell_data *d,
	     struct published *ret, struct err *err)
{
	struct shared_lake *l = (struct shared_lake *)s;

	if (d->late && l->rival) {
		struct published r = {0};
		struct cell_data other;

		cell_data_init(&other, d->cell);
		other.late = d->late;
		add_line(&other, l->rival_ms, l->rival);
		l->rival = NULL;
		assert_int_equal(l->inner->ops->publish(l->inner, p, &other, &r, err), 0);
		cell_data_done(&other);
	}
	return l->inner->ops->publish(l->inner, p, d, ret, err);
}

static int
lake_read(struct sink *s, const struct publish *p, struct cell_data *d, char definition[65],
	  struct err *err)
{
	struct sink *inner = ((struct shared_lake *)s)->inner;

	return inner->ops->read(inner, p, d, definition, err);
}

static int
keeper_publish(struct sink *s, const struct publish *p, const struct cell_data *d,
	       struct published *ret, struct err *err)
{
	struct keeper *k = (struct keeper *)s;
	size_t have = strlen(k->got);

	(void)p;
	if (k->down)
		return err_set(err, ERR_REJECTED, "told to be down");
	assert_true(have + d->ndjson.n < sizeof(k->got));
	if (d->ndjson.n)
		memcpy(k->got + have, d->ndjson.p, d->ndjson.n);
	ret->acked += d->n_lines;
	return 0;
}

static void
not_freed(struct sink *s)
{
	(void)s;
}

static const struct sink_ops lake_ops = {
    .kind = "lake", .publish = lake_publish, .read = lake_read, .free = not_freed};
static const struct sink_ops keeper_ops = {
    .kind = "keeper", .publish = keeper_publish, .free = not_freed};

/* ---- the world: one stream ---- */

struct world {
	struct clock *clock;
	struct transport transport;
	struct store *state, *store;
	struct shared_lake lake;
	struct keeper keeper;
	struct sink_conf confs[2];
	struct sink_conf *to[2];
	struct outlet outlets[2];
	struct plan_sink plan_sinks[2];
	size_t outlet_of[2];
	struct job job;
	struct config config;
	struct tenant tenant;
	int64_t max_catchup_ms;
	const char *run_id;
	/* Of the last run: */
	struct stream_stats stats;
	enum stream_state ended;
};

static const char *region = "eu-west-1";

static void
world_open(struct world *w)
{
	static const struct transport_ops ops = {.name = "fake", .send = fake_send};
	struct err err;

	*w = (struct world){
	    .clock = clock_fake_new(T0), .max_catchup_ms = 1440 * MIN, .run_id = "run"};
	n_events = n_again = n_first = 0;
	fails_again = fails_first = collects = false;
	w->transport.ops = &ops;
	assert_int_equal(store_mem_new(&w->state, &err), 0);
	assert_int_equal(store_mem_new(&w->store, &err), 0);
	w->confs[0] = (struct sink_conf){.name = "lake", .kind = SINK_OBJECTS, .zstd_level = 3};
	w->confs[1] = (struct sink_conf){.name = "keeper", .kind = SINK_STDOUT};
	assert_int_equal(sink_objects_new(&w->confs[0], w->store, &w->lake.inner, &err), 0);
	w->lake.base.ops = &lake_ops;
	w->keeper.base.ops = &keeper_ops;
	for (size_t k = 0; k < 2; k++) {
		w->to[k] = &w->confs[k];
		w->outlet_of[k] = k;
		w->plan_sinks[k] = (struct plan_sink){.name = w->confs[k].name, .lake = !k};
	}
	w->job = (struct job){.name = "app",
			      .kind = &fake_kind,
			      .n_to = 2,
			      .to = w->to,
			      .definition = "one",
			      .common = {.name = "app",
					 .every_ms = CELL,
					 .delay_ms = 10 * MIN,
					 .hold_ms = 20 * MIN,
					 .lookback_ms = 15 * MIN,
					 .once = true}};
	w->tenant = (struct tenant){
	    .id = "acme", .account = "111122223333", .regions = &region, .n_regions = 1};
}

static void
world_close(struct world *w)
{
	sink_free(w->lake.inner);
	store_free(w->state);
	clock_fake_free(w->clock);
}

static void
open_outlets(struct world *w)
{
	struct sink *sinks[] = {&w->lake.base, &w->keeper.base};

	for (size_t k = 0; k < 2; k++) {
		w->outlets[k] =
		    (struct outlet){.conf = &w->confs[k], .sink = sinks[k], .clock = w->clock};
		(void)pthread_mutex_init(&w->outlets[k].locked.mu, NULL);
	}
}

/* The fake clock moves while the runner waits. */
static void
pass_time(const struct runner *r, void *arg)
{
	(void)r;
	clock_fake_advance(arg, 5000);
}

static void
run_at(struct world *w, int64_t now)
{
	const struct plan plan = {.now_ms = now,
				  .every_ms = CELL,
				  .delay_ms = 10 * MIN,
				  .lookback_ms = 15 * MIN,
				  .max_catchup_ms = w->max_catchup_ms,
				  .again_ms = 20 * MIN,
				  .sinks = w->plan_sinks,
				  .n_sinks = 2};
	struct run_env env = {.config = &w->config,
			      .clock = w->clock,
			      .run_id = w->run_id,
			      .now_ms = now,
			      .now_fixed = true,
			      .cell_deadline_ms = 3 * MIN,
			      .transport = &w->transport,
			      .outlets = w->outlets};
	struct commit_env commit_env = {
	    .state = w->state, .base = "", .clock = w->clock, .run_id = w->run_id, .host = "here"};
	struct stream s = {.env = &env,
			   .job = &w->job,
			   .tenant = &w->tenant,
			   .plan = &plan,
			   .outlet_of = w->outlet_of,
			   .endpoint = "http://nowhere",
			   .js = {.common = &w->job.common,
				  .tenant = "acme",
				  .account = "111122223333",
				  .region = region}};
	struct tenant_job job = {.job = &w->job, .streams = &s, .n_streams = 1};
	struct tenant_run run = {.tenant = &w->tenant, .jobs = &job, .n_jobs = 1};
	struct runner runner = {.env = &env,
				.commit_env = &commit_env,
				.tenants = &run,
				.n_tenants = 1,
				.workers = 1,
				.tenant_workers = 1,
				.tick = pass_time,
				.tick_arg = w->clock};
	struct err err;

	open_outlets(w);
	job.owner = &run;
	(void)pthread_mutex_init(&job.mu, NULL);
	if (runner_run(&runner, &err))
		fail_msg("%s", err.msg);
	w->stats = s.stats;
	w->ended = s.state;
	err_forget(&s.error);
	err_forget(&job.why);
	free(s.sink_bytes);
}

static void
add_event(int64_t ms, int64_t found_ms, const char *text)
{
	events[n_events++] = (struct event){ms, found_ms, text};
}

/* The messages of an object, each with a comma; "-": there is none. */
static void
expect_object(struct world *w, int64_t start_ms, unsigned late, const char *want)
{
	const struct publish p = {.job = "app", .tenant = "acme", .region = region};
	CLEANUP(buf_done) struct buf got = BUF_INIT(4096);
	struct cell_data d;
	char definition[65];
	struct err err;

	cell_data_init(&d, (struct cell){start_ms, start_ms + CELL});
	d.late = late;
	if (w->lake.inner->ops->read(w->lake.inner, &p, &d, definition, &err)) {
		assert_int_equal(err.kind, ERR_NOTFOUND);
		buf_ch(&got, '-');
	}
	for (const char *at = d.ndjson.n ? buf_cstr(&d.ndjson) : "";
	     (at = strstr(at, "\"message\":\"")); at++)
		buf_fmt(&got, "%.*s,", (int)strcspn(at + 11, "\""), at + 11);
	assert_string_equal(buf_cstr(&got), want);
	cell_data_done(&d);
}

static const struct ckpt_stream *
stream_of(struct world *w, struct ckpt **c)
{
	struct err err;

	assert_int_equal(ckpt_load(w->state, "", "acme", "app", c, &err), 0);
	return &(*c)->streams[0];
}

/* ---- tests ---- */

static void
what_came_late_is_in_one_more_object(void **state)
{
	struct world w;

	(void)state;
	world_open(&w);
	add_event(T0 + 2 * MIN, 0, "a");
	add_event(T0 + 2 * MIN, T0 + 16 * MIN, "a");
	add_event(T0 + 2 * MIN, 0, "b");
	add_event(T0 + 3 * MIN, T0 + 20 * MIN, "c");
	add_event(T0 + 3 * MIN, T0 + 26 * MIN, "never");
	run_at(&w, T0 + 15 * MIN);
	expect_object(&w, T0, 0, "a,b,");
	run_at(&w, T0 + 24 * MIN);
	assert_int_equal(n_again, 0);
	run_at(&w, T0 + 25 * MIN);
	assert_int_equal(n_again, 1);
	assert_int_equal(asked_again[0].start_ms, T0);
	expect_object(&w, T0, 0, "a,b,");
	expect_object(&w, T0, 1, "a,c,");
	assert_int_equal(w.stats.late, 2);
	assert_int_equal(w.stats.revised, 0);
	/* Once. */
	run_at(&w, T0 + 29 * MIN);
	assert_int_equal(n_again, 1);
	expect_object(&w, T0, 2, "-");
	world_close(&w);
}

static void
nothing_new_makes_no_object(void **state)
{
	struct world w;

	(void)state;
	world_open(&w);
	add_event(T0 + MIN, 0, "a");
	run_at(&w, T0 + 15 * MIN);
	run_at(&w, T0 + 30 * MIN);
	assert_int_equal(w.ended, STREAM_DONE);
	expect_object(&w, T0, 1, "-");
	assert_int_equal(w.stats.late, 0);
	assert_string_not_equal(w.keeper.got, "");
	assert_null(strstr(strstr(w.keeper.got, "\"a\"") + 1, "\"a\""));
	world_close(&w);
}

/* All of a cell came late: there is no base. */
static void
a_cell_that_was_empty(void **state)
{
	struct world w;

	(void)state;
	world_open(&w);
	add_event(T0 + MIN, T0 + 21 * MIN, "a");
	run_at(&w, T0 + 15 * MIN);
	run_at(&w, T0 + 30 * MIN);
	expect_object(&w, T0, 0, "-");
	expect_object(&w, T0, 1, "a,");
	assert_non_null(strstr(w.keeper.got, "\"a\""));
	world_close(&w);
}

/* First asked for that late, a cell needs no second asking; unless the answer is an older one. */
static void
which_cells_are_asked_for_again(void **state)
{
	struct world w;

	(void)state;
	world_open(&w);
	run_at(&w, T0 + 30 * MIN); /* 15 to 20 */
	assert_int_equal(n_first, 1);
	run_at(&w, T0 + 120 * MIN); /* 20 to 110, of which two end after 100 */
	assert_int_equal(n_first, 19);
	assert_int_equal(n_again, 1);
	run_at(&w, T0 + 121 * MIN);
	assert_int_equal(n_again, 1);
	run_at(&w, T0 + 130 * MIN); /* 110 to 120 */
	assert_int_equal(n_again, 3);
	assert_int_equal(asked_again[1].start_ms, T0 + 100 * MIN);
	assert_int_equal(asked_again[2].start_ms, T0 + 105 * MIN);
	collects = true;
	run_at(&w, T0 + 200 * MIN); /* 120 to 190, twelve of which end by 180 */
	assert_int_equal(n_first, 35);
	assert_int_equal(n_again, 3 + 2 + 12);
	world_close(&w);
}

static void
another_run_was_first(void **state)
{
	struct ckpt *c = NULL;
	struct world w;

	(void)state;
	world_open(&w);
	add_event(T0 + MIN, 0, "a");
	add_event(T0 + 2 * MIN, T0 + 20 * MIN, "b");
	add_event(T0 + 3 * MIN, T0 + 20 * MIN, "c");
	run_at(&w, T0 + 15 * MIN);
	w.lake.rival = "b";
	w.lake.rival_ms = T0 + 2 * MIN;
	run_at(&w, T0 + 25 * MIN);
	expect_object(&w, T0, 1, "b,");
	expect_object(&w, T0, 2, "c,");
	expect_object(&w, T0, 3, "-");
	assert_int_equal(n_again, 1);
	assert_int_equal(w.stats.late, 2);
	assert_int_equal(stream_of(&w, &c)->counters.late, 2);
	assert_int_equal(c->streams[0].counters.rows, 3);
	assert_non_null(strstr(w.keeper.got, "\"b\""));
	assert_non_null(strstr(w.keeper.got, "\"c\""));
	ckpt_free(c);
	world_close(&w);
}

/* It is owed them, and the service is not asked again for it. */
static void
a_sink_that_was_down_gets_them_later(void **state)
{
	struct world w;

	(void)state;
	world_open(&w);
	add_event(T0 + MIN, 0, "a");
	add_event(T0 + 2 * MIN, T0 + 20 * MIN, "b");
	run_at(&w, T0 + 15 * MIN);
	w.keeper.down = true;
	run_at(&w, T0 + 25 * MIN);
	expect_object(&w, T0, 1, "b,");
	assert_null(strstr(w.keeper.got, "\"b\""));
	w.keeper.down = false;
	run_at(&w, T0 + 30 * MIN);
	assert_non_null(strstr(w.keeper.got, "\"b\""));
	for (size_t i = 1; i < n_again; i++)
		assert_int_not_equal(asked_again[i].start_ms, T0);
	world_close(&w);
}

/* It has the cell, but never what came late of it. */
static void
what_a_sink_is_owed_for_too_long_is_a_gap(void **state)
{
	const struct ckpt_stream *st;
	struct ckpt *c = NULL;
	size_t found = 0;
	struct world w;

	(void)state;
	world_open(&w);
	w.max_catchup_ms = 60 * MIN;
	add_event(T0 + MIN, 0, "a");
	add_event(T0 + 2 * MIN, T0 + 20 * MIN, "b");
	run_at(&w, T0 + 15 * MIN);
	w.keeper.down = true;
	run_at(&w, T0 + 25 * MIN);
	expect_object(&w, T0, 1, "b,");
	run_at(&w, T0 + 120 * MIN);
	w.keeper.down = false;
	run_at(&w, T0 + 180 * MIN);
	assert_null(strstr(w.keeper.got, "\"b\""));
	st = stream_of(&w, &c);
	for (size_t i = 0; i < st->n_gaps; i++) {
		const struct ckpt_gap *g = &st->gaps[i];

		found += strncmp(g->reason, "late points", strlen("late points")) == 0 &&
			 strcmp(g->sink, w.plan_sinks[1].name) == 0 && g->start_ms == T0 &&
			 g->end_ms == T0 + CELL;
	}
	assert_int_equal(found, 1);
	ckpt_free(c);
	world_close(&w);
}

static void
an_asking_that_fails_comes_after_what_is_new_and_is_tried_again(void **state)
{
	struct world w;

	(void)state;
	world_open(&w);
	add_event(T0 + MIN, T0 + 20 * MIN, "late");
	add_event(T0 + 16 * MIN, 0, "new");
	run_at(&w, T0 + 15 * MIN);
	fails_again = true;
	run_at(&w, T0 + 30 * MIN);
	assert_int_equal(w.ended, STREAM_FAILED);
	expect_object(&w, T0 + 15 * MIN, 0, "new,");
	fails_again = false;
	run_at(&w, T0 + 31 * MIN);
	assert_int_equal(w.ended, STREAM_DONE);
	expect_object(&w, T0, 1, "late,");
	world_close(&w);
}

static void
what_was_never_asked_for_again_is_a_gap(void **state)
{
	const struct ckpt_stream *st;
	struct ckpt *c = NULL;
	bool found = false;
	struct world w;

	(void)state;
	world_open(&w);
	w.max_catchup_ms = 60 * MIN;
	add_event(T0 + MIN, 0, "a");
	run_at(&w, T0 + 15 * MIN);
	fails_again = true;
	run_at(&w, T0 + 25 * MIN);
	run_at(&w, T0 + 180 * MIN);
	st = stream_of(&w, &c);
	for (size_t i = 0; i < st->n_gaps; i++) {
		const struct ckpt_gap *g = &st->gaps[i];

		found = found ||
			(strcmp(g->reason, "not asked for a second time within max_catchup") == 0 &&
			 !*g->sink && g->start_ms <= T0 && g->end_ms >= T0 + CELL);
	}
	assert_true(found);
	ckpt_free(c);
	world_close(&w);
}

/* Another run, while this one has given up the checkpoint between its passes; what it does not get
 * to is left to it. */
static struct visitor {
	struct store_ops ops;
	const struct store_ops *own;
	struct world *w;
	int64_t now_ms;
	unsigned inside, left[2]; /* locks given up, by this run and by the other */
} visitor;

static void
visit_between(struct store *s, struct store_lock *l)
{
	unsigned inside = visitor.inside;

	visitor.own->unlock(s, l);
	if (visitor.left[inside]++)
		return;
	if (inside) {
		fails_first = true;
		return;
	}
	visitor.inside = 1;
	visitor.w->run_id = "other";
	run_at(visitor.w, visitor.now_ms);
	assert_int_equal(visitor.w->ended, STREAM_FAILED);
	fails_first = false;
	visitor.w->run_id = "run";
	visitor.inside = 0;
}

static void
a_run_between_the_passes_of_another_keeps_its_marks(void **state)
{
	const int64_t now = T0 + 240 * MIN;
	const struct store_ops *own;
	struct world w;

	(void)state;
	world_open(&w);
	w.plan_sinks[1].max_age_ms = w.confs[1].max_age_ms = 60 * MIN; /* so there are two */
	run_at(&w, T0 + 60 * MIN);
	add_event(now - 3 * MIN, now + 18 * MIN, "late");
	own = w.state->ops;
	visitor = (struct visitor){.ops = *own, .own = own, .w = &w, .now_ms = now + 15 * MIN};
	visitor.ops.unlock = visit_between;
	w.state->ops = &visitor.ops;
	run_at(&w, now);
	assert_int_equal(visitor.left[1], 2);
	assert_int_equal(w.ended, STREAM_DONE);
	w.state->ops = own;
	run_at(&w, now + 45 * MIN);
	expect_object(&w, now - CELL, 1, "late,");
	world_close(&w);
}

/* Its cells were made by another query. */
static void
a_job_that_was_changed_asks_only_for_what_it_made(void **state)
{
	const struct ckpt_stream *st;
	struct ckpt *c = NULL;
	struct world w;

	(void)state;
	world_open(&w);
	add_event(T0 + MIN, 0, "a");
	add_event(T0 + 2 * MIN, T0 + 20 * MIN, "b");
	run_at(&w, T0 + 15 * MIN);
	(void)snprintf(w.job.definition, sizeof(w.job.definition), "two");
	run_at(&w, T0 + 30 * MIN);
	assert_int_equal(n_again, 0);
	st = stream_of(&w, &c);
	assert_int_equal(st->n_gaps, 1);
	assert_string_equal(st->gaps[0].reason, "not asked for a second time: the job was changed");
	assert_true(st->gaps[0].start_ms <= T0 && st->gaps[0].end_ms >= T0 + CELL &&
		    st->gaps[0].end_ms <= T0 + 15 * MIN);
	ckpt_free(c);
	expect_object(&w, T0, 1, "-");
	run_at(&w, T0 + 40 * MIN);
	assert_int_equal(n_again, 2);
	world_close(&w);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(what_came_late_is_in_one_more_object),
	    cmocka_unit_test(nothing_new_makes_no_object),
	    cmocka_unit_test(a_cell_that_was_empty),
	    cmocka_unit_test(which_cells_are_asked_for_again),
	    cmocka_unit_test(another_run_was_first),
	    cmocka_unit_test(a_sink_that_was_down_gets_them_later),
	    cmocka_unit_test(what_a_sink_is_owed_for_too_long_is_a_gap),
	    cmocka_unit_test(an_asking_that_fails_comes_after_what_is_new_and_is_tried_again),
	    cmocka_unit_test(what_was_never_asked_for_again_is_a_gap),
	    cmocka_unit_test(a_run_between_the_passes_of_another_keeps_its_marks),
	    cmocka_unit_test(a_job_that_was_changed_asks_only_for_what_it_made),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
