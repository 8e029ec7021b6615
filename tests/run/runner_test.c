/*
 * The runner with everything around it replaced: a job kind that invents its points, a transport
 * that does as told, a receiver that keeps the rules of a time-series database, a state store in
 * memory, a lake on disk. What is shown: who gets which cells, in which order, and what is left for
 * the next run.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/log.h"
#include "run/runner.h"

#define MIN	60000LL
#define T0	(1767225600000LL) /* 2026-01-01T00:00:00Z */
#define TENANTS 4
#define REGIONS 2
#define SLOTS	2000 /* minutes that the receiver remembers for each stream */

/* ---- a receiver: takes each stream's minutes in order, once ---- */

struct receiver {
	struct sink base;
	pthread_mutex_t mu;
	bool down;
	bool miscounts; /* its account of a cell does not add up */
	int fail_cells; /* so many cells are taken, then the answer is lost */
	uint64_t refused_order, doubled;
	int64_t newest[TENANTS][REGIONS];
	double values[TENANTS][REGIONS][SLOTS];
	int64_t max_age_ms;
	int64_t bound_ms;	  /* samples before this are out of bounds, be they there or not */
	const struct gate *lines; /* where one worker has the world to itself; else NULL */
	bool in_gate;		  /* something came while it was inside */
};

static size_t
tenant_index(const char *id)
{
	return (size_t)(id[1] - '0');
}

static size_t
region_index(const char *region)
{
	return strcmp(region, "eu-west-1") ? 1 : 0;
}

static void
refuse_order(const struct publish *p, const struct sample_row *row, size_t i, int64_t ts,
	     struct published *ret)
{
	if (p->maybe_sent) {
		ret->already++;
		return;
	}
	ret->rejected++;
	p->reject(p->reject_arg, row->series, ts, row->values[i], 400, "out of bounds");
}

static void
receive(struct receiver *r, const struct publish *p, const struct sample_row *row,
	struct published *ret)
{
	size_t t = tenant_index(p->tenant);
	size_t g = region_index(p->region);

	for (size_t i = 0; i < row->n; i++) {
		int64_t ts = row->first_ms + (int64_t)i * row->series->period_ms;
		double *slot = &r->values[t][g][(ts - T0) / MIN];

		if (r->max_age_ms && ts < p->now_ms - r->max_age_ms) {
			ret->too_old++;
		} else if (ts < r->bound_ms) {
			refuse_order(p, row, i, ts, ret);
		} else if (ts <= r->newest[t][g]) {
			r->refused_order += !p->maybe_sent;
			r->doubled += *slot != row->values[i];
			ret->already++;
		} else {
			r->newest[t][g] = ts;
			*slot = row->values[i];
			ret->acked++;
		}
	}
}

static int
receiver_publish(struct sink *s, const struct publish *p, const struct cell_data *d,
		 struct published *ret, struct err *err)
{
	struct receiver *r = (struct receiver *)s;
	int rc = 0;

	(void)pthread_mutex_lock(&r->mu);
	ret->requests++;
	r->in_gate = r->in_gate || (r->lines && r->lines->used);
	if (r->down) {
		rc = err_set(err, ERR_TRANSIENT, "connection refused");
	} else {
		for (size_t i = 0; i < d->n_rows; i++)
			receive(r, p, &d->rows[i], ret);
		if (r->fail_cells && --r->fail_cells == 0)
			rc = err_set(err, ERR_TRANSIENT, "answer lost");
	}
	ret->acked += r->miscounts;
	(void)pthread_mutex_unlock(&r->mu);
	return rc;
}

static void
receiver_free(struct sink *s)
{
	(void)s;
}

static const struct sink_ops receiver_ops = {
    .kind = "receiver",
    .ordered = true,
    .samples = true,
    .publish = receiver_publish,
    .free = receiver_free,
};

/* ---- a job kind: one series, a point each minute ---- */

struct fake_pull {
	const struct job_stream *s;
	struct cell cells[256];
	size_t n, page;
};
static atomic_int pulls_made;
static size_t pages_of_a_pull = 1;
static size_t guessed_pages = 1; /* that is so much further than the last one: 1 is right */
static bool (*reading)(size_t page, void *arg); /* while a page is read; false: it makes no sense */
static void *reading_arg;
static atomic_bool never_complete; /* whatever is asked */
static struct job_gap lacks;	   /* what each pull says that it could not have; empty: nothing */
static size_t page_bytes;	   /* that an answer takes */
static double revised;		   /* what the service answers now differs from the truth by this */

static double
truth(const char *tenant, const char *region, int64_t ts)
{
	return (double)((ts - T0) / MIN) * 10 + (double)tenant_index(tenant) +
	       (double)region_index(region) / 2;
}

static size_t
fake_span_max(const struct job_stream *s, const json_t *memo)
{
	(void)s;
	(void)memo;
	return 7;
}

static int
fake_open(const struct job_stream *s, const json_t *memo, const struct cell *cells, size_t n,
	  int64_t now_ms, struct pull **ret, struct err *err)
{
	struct fake_pull *p = calloc(1, sizeof(*p));

	(void)memo;
	(void)now_ms;
	if (!p || n > 256)
		return err_nomem(err);
	p->s = s;
	p->n = n;
	memcpy(p->cells, cells, n * sizeof(*cells));
	*ret = (struct pull *)(void *)p;
	return 0;
}

static void
fake_call(size_t page, struct aws_call *call)
{
	call->service = "monitoring";
	call->operation = "GetMetricData";
	call->proto = PROTO_AWS_JSON;
	call->expect = page_bytes;
	buf_fmt(&call->body, "{\"page\":%zu}", page);
}

static int
fake_next(struct pull *pull, struct aws_call *call, struct err *err)
{
	struct fake_pull *p = (struct fake_pull *)(void *)pull;

	(void)err;
	if (p->page >= pages_of_a_pull && !atomic_load(&never_complete))
		return 0;
	fake_call(p->page, call);
	call->wait_ms = p->page >= pages_of_a_pull ? 1000 : 0;
	return 1;
}

static bool
fake_following(struct pull *pull, const struct http_resp *resp, struct aws_call *call)
{
	size_t page = ((struct fake_pull *)(void *)pull)->page;

	(void)resp;
	fake_call(page + guessed_pages, call);
	return page + 1 < pages_of_a_pull;
}
static int
fake_reply(struct pull *pull, const struct http_resp *resp, struct err *err)
{
	struct fake_pull *p = (struct fake_pull *)(void *)pull;

	(void)resp;
	if (reading && !reading(p->page, reading_arg))
		return err_set(err, ERR_DATA, "no sense in it");
	p->page++;
	atomic_fetch_add(&pulls_made, 1);
	return 0;
}

static int
fill_cell(const struct job_stream *s, struct cell_data *d, struct err *err)
{
	const struct line_origin o = {s->tenant, s->account, s->region, s->common->name};
	struct series *series = arena_alloc(&d->arena, sizeof(*series));
	struct label *labels = arena_array(&d->arena, 3, sizeof(*labels));
	size_t n = (size_t)((d->cell.end_ms - d->cell.start_ms) / MIN);
	double *values = arena_array(&d->arena, n, sizeof(*values));

	d->rows = arena_alloc(&d->arena, sizeof(*d->rows));
	if (!series || !labels || !values || !d->rows)
		return err_nomem(err);
	labels[0] = (struct label){"account_id", s->account};
	labels[1] = (struct label){"region", s->region};
	labels[2] = (struct label){"tenant", s->tenant};
	*series = (struct series){
	    .name = "m", .labels = labels, .n_labels = 3, .stat = "Average", .period_ms = MIN};
	for (size_t i = 0; i < n; i++)
		values[i] =
		    truth(s->tenant, s->region, d->cell.start_ms + (int64_t)i * MIN) + revised;
	d->rows[0] = (struct sample_row){
	    .series = series, .first_ms = d->cell.start_ms, .values = values, .n = n};
	d->n_rows = 1;
	return metric_lines_encode(d, &o, err);
}

static int
fake_harvest(struct pull *pull, struct cell_data *cells, size_t n, struct err *err)
{
	struct fake_pull *p = (struct fake_pull *)(void *)pull;

	for (size_t i = 0; i < n; i++)
		if (fill_cell(p->s, &cells[i], err))
			return -1;
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
	const struct line_origin o = {s->tenant, s->account, s->region, s->common->name};

	return metric_lines_decode(d, &o, err);
}

static size_t
fake_gaps(const struct pull *p, const struct job_gap **ret)
{
	(void)p;
	*ret = &lacks;
	return lacks.from_ms < lacks.to_ms;
}

static const struct job_kind fake_kind = {
    .name = "fake",
    .service = "monitoring",
    .span_max = fake_span_max,
    .open = fake_open,
    .next = fake_next,
    .reply = fake_reply,
    .following = fake_following,
    .harvest = fake_harvest,
    .close = fake_close,
    .adopt = fake_adopt,
    .gaps = fake_gaps,
};

/* ---- a transport: by account, as told ---- */

struct told {
	struct transport base;
	enum err_kind kind[TENANTS]; /* ERR_NONE: answers */
	atomic_int left[TENANTS];    /* so many failures; -1: for good */
	int good[TENANTS];	     /* calls that are answered before that */
	atomic_int calls[TENANTS];
	size_t order[16]; /* who was asked, one after the other: the first calls */
	atomic_size_t n_order;
	struct clock *clock;
	int64_t takes_ms; /* how long each call takes */
	size_t comes;	  /* bytes of each answer */
	const struct gate *pages;
	size_t most_inside;	   /* of that gate, while one came */
	void (*meanwhile)(void *); /* what happens during t1's first call */
	void *meanwhile_arg;
};

static int
told_send(struct transport *t, const struct http_req *req, struct http_resp *resp, struct err *err)
{
	struct told *told = (struct told *)t;
	size_t i = (size_t)(req->account[11] - '0');
	size_t n = atomic_fetch_add(&told->n_order, 1);

	tally_add(tally_used(), "monitoring", "ListMetrics", "200", 1); /* a call that is billed */
	if (n < sizeof(told->order) / sizeof(told->order[0]))
		told->order[n] = i;
	if (atomic_fetch_add(&told->calls[i], 1) == 0 && i == 1 && told->meanwhile)
		told->meanwhile(told->meanwhile_arg);
	clock_fake_advance(told->clock, told->takes_ms);
	if (req->deadline_mono_ms && clock_mono_ms(told->clock) >= req->deadline_mono_ms)
		return err_set(err, ERR_TRANSIENT, "timed out");
	if (told->kind[i] != ERR_NONE && told->calls[i] > told->good[i] &&
	    atomic_load(&told->left[i]) != 0) {
		atomic_fetch_sub(&told->left[i], 1);
		return err_set(err, told->kind[i], "told to fail");
	}
	if (told->comes && req->arrived) {
		req->arrived(req->arrived_arg, told->comes, told->comes);
		told->most_inside = told->pages->used;
	}
	resp->status = 200;
	return 0;
}

static const struct transport_ops told_ops = {.name = "told", .send = told_send};

/* ---- the world ---- */

struct world {
	struct clock *clock;
	struct told transport;
	struct receiver receiver;
	struct store *state;
	char dir[64];
	struct sink_conf confs[2];
	struct sink_conf *to[2];
	struct outlet *outlets;
	struct job job;
	struct config config;
	struct tenant tenants[TENANTS];
	struct plan_sink plan_sinks[2];
	struct plan plan;
	size_t outlet_of[2];
	size_t first_sink; /* 1: the job has no lake */
	size_t n_sinks;	   /* 0: all that follow */
	bool lake_closed;  /* it could not be opened */
	size_t workers;	   /* 0: three */
	bool clock_stands; /* else it moves while the runner waits */
	bool alone;	   /* there is one worker, and nobody waits */
	char url[96];
	struct run_env env;
	struct gate lines, pages;
	struct ahead ahead;
	size_t ahead_threads; /* that the last run had */
	struct commit_env commit_env, other_env;
	bool real_time; /* no --now was given */
	struct tenant_run runs[TENANTS];
	struct runner runner;
	struct err_kept errors[TENANTS][REGIONS]; /* of the last run's streams */
};

static const char *region_names[] = {"eu-west-1", "us-east-1"};
static const char *tenant_names[] = {"t0", "t1", "t2", "t3"};
static const char *accounts[] = {"000000000000", "000000000001", "000000000002", "000000000003"};

static void
world_open(struct world *w)
{
	struct err err = {0};
	memset(w, 0, sizeof(*w));
	w->clock = clock_fake_new(T0);
	(void)snprintf(w->dir, sizeof(w->dir), "/tmp/runner_test.XXXXXX");
	assert_non_null(mkdtemp(w->dir));
	(void)snprintf(w->url, sizeof(w->url), "file://%s/lake", w->dir);
	assert_int_equal(store_mem_new(&w->state, &err), 0);
	w->transport.base.ops = &told_ops;
	w->transport.clock = w->clock;
	(void)pthread_mutex_init(&w->receiver.mu, NULL);
	w->receiver.base.ops = &receiver_ops;
	for (size_t i = 0; i < TENANTS; i++)
		atomic_store(&w->transport.left[i], -1);
	w->confs[0] = (struct sink_conf){
	    .name = "lake", .kind = SINK_OBJECTS, .url = w->url, .zstd_level = 3};
	w->confs[1] = (struct sink_conf){.name = "prom", .kind = SINK_REMOTE_WRITE};
	w->job = (struct job){.name = "ecs", .kind = &fake_kind, .n_to = 2, .to = w->to};
	w->job.common = (struct job_common){
	    .name = "ecs", .every_ms = 5 * MIN, .delay_ms = 5 * MIN, .lookback_ms = 30 * MIN};
	for (size_t k = 0; k < 2; k++) {
		w->to[k] = &w->confs[k];
		w->outlet_of[k] = k;
		w->plan_sinks[k] =
		    (struct plan_sink){.name = w->confs[k].name, .ordered = k == 1, .lake = k == 0};
	}
	for (size_t i = 0; i < TENANTS; i++)
		w->tenants[i] = (struct tenant){.id = tenant_names[i],
						.account = accounts[i],
						.regions = region_names,
						.n_regions = REGIONS};
}

static void
forget_errors(struct world *w)
{
	for (size_t i = 0; i < TENANTS; i++)
		for (size_t g = 0; g < REGIONS; g++)
			err_forget(&w->errors[i][g]);
}

static void
world_close(struct world *w)
{
	char cmd[128];

	forget_errors(w);
	store_free(w->state);
	clock_fake_free(w->clock);
	(void)snprintf(cmd, sizeof(cmd), "rm -rf %s", w->dir);
	assert_int_equal(system(cmd), 0);
}

static void
make_streams(struct world *w, struct stream streams[TENANTS][REGIONS],
	     struct tenant_job jobs[TENANTS])
{
	for (size_t i = 0; i < TENANTS; i++) {
		for (size_t g = 0; g < REGIONS; g++) {
			streams[i][g] = (struct stream){.env = &w->env,
							.job = &w->job,
							.tenant = &w->tenants[i],
							.plan = &w->plan,
							.outlet_of = w->outlet_of + w->first_sink,
							.lake = w->first_sink};
			streams[i][g].endpoint = "http://nowhere";
			streams[i][g].js = (struct job_stream){.common = &w->job.common,
							       .tenant = w->tenants[i].id,
							       .account = w->tenants[i].account,
							       .region = region_names[g]};
		}
		jobs[i] = (struct tenant_job){.owner = &w->runs[i],
					      .job = &w->job,
					      .streams = streams[i],
					      .n_streams = REGIONS};
		(void)pthread_mutex_init(&jobs[i].mu, NULL);
		w->runs[i] =
		    (struct tenant_run){.tenant = &w->tenants[i], .jobs = &jobs[i], .n_jobs = 1};
	}
}

static void
pass_time(const struct runner *r, void *arg)
{
	(void)r;
	clock_fake_advance(arg, 5000);
}

/* One run at `now`; the streams show how it went. */
static int
run_at(struct world *w, int64_t now, int64_t max_age, struct stream streams[TENANTS][REGIONS])
{
	const struct sink_env env = {.clock = w->clock, .stdout_fd = -1};
	struct tenant_job jobs[TENANTS];
	struct err err = {0};
	int r;

	assert_int_equal(outlets_open(w->confs, 1, &env, &w->outlets, &err), 0);
	w->outlets = realloc(w->outlets, 2 * sizeof(*w->outlets));
	assert_non_null(w->outlets);
	if (w->lake_closed) {
		sink_free(w->outlets[0].sink);
		w->outlets[0].sink = NULL;
		(void)err_set(&w->outlets[0].why, ERR_TRANSIENT, "sink lake: could not be opened");
	}
	w->outlets[1] =
	    (struct outlet){.conf = &w->confs[1], .sink = &w->receiver.base, .clock = w->clock};
	(void)pthread_mutex_init(&w->outlets[1].locked.mu, NULL);
	w->receiver.max_age_ms = w->plan_sinks[1].max_age_ms = max_age;
	w->plan = (struct plan){.now_ms = now,
				.every_ms = 5 * MIN,
				.delay_ms = 5 * MIN,
				.lookback_ms = 30 * MIN,
				.max_catchup_ms = 1440 * MIN,
				.sinks = w->plan_sinks + w->first_sink,
				.n_sinks = w->n_sinks ? w->n_sinks : 2 - w->first_sink};
	gate_init(&w->lines, 1);
	w->receiver.lines = w->alone ? &w->lines : NULL;
	w->env = (struct run_env){.config = &w->config,
				  .clock = w->clock,
				  .run_id = "run",
				  .now_ms = now,
				  .now_fixed = !w->real_time,
				  .cell_deadline_ms = 3 * MIN,
				  .transport = &w->transport.base,
				  .outlets = w->outlets,
				  .lines = &w->lines,
				  .pages = page_bytes ? &w->pages : NULL,
				  .ahead = &w->ahead};
	ahead_init(&w->ahead);
	gate_init(&w->pages, page_bytes);
	w->commit_env = (struct commit_env){
	    .state = w->state, .base = "", .clock = w->clock, .run_id = "run", .host = "here"};
	w->runner = (struct runner){.env = &w->env,
				    .commit_env = &w->commit_env,
				    .tenants = w->runs,
				    .n_tenants = TENANTS,
				    .workers = w->workers ? w->workers : 3,
				    .tenant_workers = 2,
				    .tick = w->clock_stands ? NULL : pass_time,
				    .tick_arg = w->clock};
	forget_errors(w);
	make_streams(w, streams, jobs);
	r = runner_run(&w->runner, &err);
	assert_int_equal(w->ahead.taken, 0);
	w->ahead_threads = w->ahead.n_threads;
	ahead_done(&w->ahead);
	for (size_t i = 0; i < TENANTS; i++) {
		err_forget(&jobs[i].why);
		for (size_t g = 0; g < REGIONS; g++) {
			w->errors[i][g] = streams[i][g].error;
			free(streams[i][g].sink_bytes);
			streams[i][g].sink_bytes = NULL;
		}
	}
	assert_int_equal(w->lines.used, 0); /* whatever became of the cells */
	gate_done(&w->lines);
	assert_int_equal(w->pages.used, 0);
	gate_done(&w->pages);
	outlets_free(w->outlets, 2);
	return r;
}

static void
assert_received(const struct world *w, size_t tenant, int64_t from, int64_t to)
{
	for (size_t g = 0; g < REGIONS; g++)
		for (int64_t ts = from; ts < to; ts += MIN)
			assert_float_equal(w->receiver.values[tenant][g][(ts - T0) / MIN],
					   truth(tenant_names[tenant], region_names[g], ts), 0);
}

static void
all_due_cells_arrive_once(void **state)
{
	struct stream s[TENANTS][REGIONS];
	struct world w;

	(void)state;
	world_open(&w);
	assert_int_equal(run_at(&w, T0 + 65 * MIN, 0, s), 0);
	for (size_t i = 0; i < TENANTS; i++) {
		assert_received(&w, i, T0 + 35 * MIN, T0 + 60 * MIN);
		for (size_t g = 0; g < REGIONS; g++) {
			assert_int_equal(s[i][g].state, STREAM_DONE);
			assert_int_equal(s[i][g].stats.cells, 5);
			assert_int_equal(s[i][g].stats.acked, 25);
		}
	}
	/* Again at once: nothing is due, nothing is asked. */
	atomic_store(&pulls_made, 0);
	assert_int_equal(run_at(&w, T0 + 65 * MIN, 0, s), 0);
	assert_int_equal(atomic_load(&pulls_made), 0);
	assert_int_equal(s[0][0].state, STREAM_DONE);
	/* Later: only what is new. */
	assert_int_equal(run_at(&w, T0 + 80 * MIN, 0, s), 0);
	assert_int_equal(s[0][0].stats.cells, 3);
	assert_int_equal(s[0][0].stats.acked, 15);
	assert_received(&w, 0, T0 + 35 * MIN, T0 + 75 * MIN);
	assert_int_equal(w.receiver.refused_order + w.receiver.doubled, 0);
	world_close(&w);
}

static void
one_denied_tenant_fails_alone(void **state)
{
	struct stream s[TENANTS][REGIONS];
	struct world w;

	(void)state;
	world_open(&w);
	w.transport.kind[2] = ERR_AUTH;
	assert_int_equal(run_at(&w, T0 + 65 * MIN, 0, s), 0);
	for (size_t i = 0; i < TENANTS; i++)
		assert_int_equal(s[i][0].state, i == 2 ? STREAM_FAILED : STREAM_DONE);
	assert_int_equal(err_kept(&s[2][0].error)->kind, ERR_AUTH);
	assert_int_equal(atomic_load(&w.transport.calls[2]), REGIONS); /* no second try */
	/* Healed: the next run, later, loses nothing. */
	w.transport.kind[2] = ERR_NONE;
	assert_int_equal(run_at(&w, T0 + 70 * MIN, 0, s), 0);
	assert_received(&w, 2, T0 + 35 * MIN, T0 + 65 * MIN);
	world_close(&w);
}

static void
a_passing_trouble_is_tried_again_in_the_same_run(void **state)
{
	struct stream s[TENANTS][REGIONS];
	struct world w;

	(void)state;
	world_open(&w);
	w.transport.kind[1] = ERR_THROTTLED;
	atomic_store(&w.transport.left[1], 0);
	w.transport.kind[3] = ERR_DATA;
	assert_int_equal(run_at(&w, T0 + 65 * MIN, 0, s), 0);
	assert_int_equal(s[1][0].state, STREAM_DONE);
	assert_int_equal(s[3][0].state, STREAM_FAILED);
	world_close(&w);
}

static void
a_receiver_that_is_down_holds_up_only_itself(void **state)
{
	struct stream s[TENANTS][REGIONS];
	struct world w;

	(void)state;
	world_open(&w);
	w.receiver.down = true;
	atomic_store(&pulls_made, 0);
	assert_int_equal(run_at(&w, T0 + 65 * MIN, 0, s), 0);
	for (size_t i = 0; i < TENANTS; i++)
		for (size_t g = 0; g < REGIONS; g++) {
			assert_int_equal(s[i][g].state, STREAM_FAILED);
			assert_int_equal(s[i][g].stats.cells, 5); /* frozen all the same */
		}
	w.receiver.down = false;
	atomic_store(&pulls_made, 0);
	assert_int_equal(run_at(&w, T0 + 66 * MIN, 0, s), 0);
	assert_int_equal(atomic_load(&pulls_made), 0); /* from the lake, not asked again */
	for (size_t i = 0; i < TENANTS; i++)
		assert_received(&w, i, T0 + 35 * MIN, T0 + 60 * MIN);
	assert_int_equal(w.receiver.refused_order + w.receiver.doubled, 0);
	world_close(&w);
}

/* Others would wait for the network with it. */
static void
no_cell_is_in_the_gate_for_lines_while_it_is_sent(void **state)
{
	struct stream s[TENANTS][REGIONS];
	struct world w;

	(void)state;
	world_open(&w);
	w.workers = 1;
	w.alone = true;
	for (w.first_sink = 0; w.first_sink < 2; w.first_sink++) {
		assert_int_equal(run_at(&w, T0 + (65 + 15 * (int64_t)w.first_sink) * MIN, 0, s), 0);
		assert_true(s[0][0].stats.acked > 0);
		assert_false(w.receiver.in_gate);
	}
	world_close(&w);
}

struct stalled {
	struct world *w;
	bool passed; /* others have had answers meanwhile */
};

static int
calls_of_others(const struct world *w)
{
	return w->transport.calls[0] + w->transport.calls[2] + w->transport.calls[3];
}

static void
stall(void *arg)
{
	struct stalled *s = arg;
	int before = calls_of_others(s->w);

	clock_fake_advance(s->w->clock, GATE_PATIENCE_MS);
	for (int i = 0; i < 5000 && calls_of_others(s->w) == before; i++)
		(void)usleep(1000);
	s->passed = calls_of_others(s->w) > before;
}

static void
who_gets_no_answer_keeps_nobody_from_theirs(void **state)
{
	struct stream s[TENANTS][REGIONS];
	struct stalled stalled = {0};
	struct world w;

	(void)state;
	world_open(&w);
	stalled.w = &w;
	w.transport.meanwhile = stall;
	w.transport.meanwhile_arg = &stalled;
	page_bytes = (size_t)1 << 20;
	assert_int_equal(run_at(&w, T0 + 65 * MIN, 0, s), 0);
	page_bytes = 0;
	assert_true(stalled.passed);
	assert_int_equal(s[1][0].state, STREAM_DONE);
	world_close(&w);
}

/* There is only one, and another takes its place. */
static void
a_worker_that_gets_no_answer_leaves_its_place(void **state)
{
	struct stream s[TENANTS][REGIONS];
	struct stalled stalled = {0};
	struct world w;

	(void)state;
	world_open(&w);
	w.workers = 1;
	stalled.w = &w;
	w.transport.meanwhile = stall;
	w.transport.meanwhile_arg = &stalled;
	assert_int_equal(run_at(&w, T0 + 65 * MIN, 0, s), 0);
	assert_true(stalled.passed);
	for (size_t i = 0; i < TENANTS; i++)
		assert_int_equal(s[i][0].state, STREAM_DONE);
	world_close(&w);
}

/* t1's first call: until the others were all asked for what they have. */
static void
stall_for_all(void *arg)
{
	struct stalled *s = arg;

	for (int i = 0; i < 5000 && calls_of_others(s->w) < (TENANTS - 1) * REGIONS; i++)
		(void)usleep(1000);
}

/* A second worker would wait there, too, while others have had nothing. */
static void
of_a_tenant_that_was_not_heard_of_one_stream_is_asked(void **state)
{
	struct stream s[TENANTS][REGIONS];
	struct stalled stalled = {0};
	struct world w;

	(void)state;
	world_open(&w);
	w.workers = 2;
	w.clock_stands = true; /* or a third would come */
	stalled.w = &w;
	w.transport.meanwhile = stall_for_all;
	w.transport.meanwhile_arg = &stalled;
	assert_int_equal(run_at(&w, T0 + 65 * MIN, 0, s), 0);
	assert_int_equal(w.transport.calls[1], REGIONS);
	assert_int_equal(w.transport.order[TENANTS * REGIONS - 1], 1);
	world_close(&w);
}

/* Neither is its stream tried again nor the other one asked before all others were. */
static void
what_is_in_trouble_comes_after_the_others(void **state)
{
	struct stream s[TENANTS][REGIONS];
	struct world w;

	(void)state;
	world_open(&w);
	w.workers = 1;
	w.transport.kind[0] = ERR_TRANSIENT;
	w.transport.left[0] = 2;
	w.transport.takes_ms = 2 * 1000; /* so that its pause is over at once */
	assert_int_equal(run_at(&w, T0 + 65 * MIN, 0, s), 0);
	assert_int_equal(w.transport.order[0], 0);
	for (size_t i = 1; i <= (TENANTS - 1) * REGIONS; i++)
		assert_int_not_equal(w.transport.order[i], 0);
	assert_int_equal(s[0][0].state, STREAM_DONE);
	assert_int_equal(s[0][1].state, STREAM_DONE);
	world_close(&w);
}

/* A small answer is expected, and a large one comes. */
static void
what_comes_takes_part_in_the_memory_of_pages(void **state)
{
	struct stream s[TENANTS][REGIONS];
	struct world w;

	(void)state;
	world_open(&w);
	w.workers = 1;
	page_bytes = 1;
	w.transport.comes = 2 * GATE_FEW_BYTES;
	w.transport.pages = &w.pages;
	assert_int_equal(run_at(&w, T0 + 65 * MIN, 0, s), 0);
	page_bytes = 0;
	assert_true(w.transport.most_inside >= 3 * GATE_FEW_BYTES);
	world_close(&w);
}

/* All others are asked meanwhile, which takes longer than a span may be tried. */
static void
waiting_for_its_turn_takes_nothing_of_a_span_s_time(void **state)
{
	struct stream s[TENANTS][REGIONS];
	struct world w;

	(void)state;
	world_open(&w);
	w.workers = 1;
	w.clock_stands = true;
	w.transport.kind[0] = ERR_TRANSIENT;
	w.transport.left[0] = 1;
	w.transport.takes_ms = 2 * MIN / 3;
	clock_fake_advance(w.clock, 1); /* at 0 nothing was tried yet */
	assert_int_equal(run_at(&w, T0 + 65 * MIN, 0, s), 0);
	assert_true((TENANTS - 1) * REGIONS * w.transport.takes_ms > w.env.cell_deadline_ms);
	for (size_t i = 1; i <= (TENANTS - 1) * REGIONS; i++)
		assert_int_not_equal(w.transport.order[i], 0);
	assert_int_equal(s[0][0].state, STREAM_DONE);
	assert_int_equal(s[0][1].state, STREAM_DONE);
	world_close(&w);
}

/* ---- the next page ---- */

struct reader {
	const struct world *w;
	size_t begun, overlapped; /* pages; of these how many while the next was asked for */
	bool waited_in_vain;
	int refuse; /* so many are taken to make no sense */
};

/* With one worker, whose calls are all taken up: there are as many as pages were begun to be read.
 */
static bool
wait_for_next(size_t page, void *arg)
{
	struct reader *r = arg;
	size_t calls = 0;

	r->begun++;
	if (page == 1 && r->refuse && r->refuse--)
		return false;
	if (r->waited_in_vain || page + 1 == pages_of_a_pull)
		return true;
	for (int i = 0; i < 5000 && calls <= r->begun; i++) {
		calls = r->w->transport.n_order;
		(void)usleep(calls <= r->begun ? 1000 : 0);
	}
	r->overlapped += calls > r->begun;
	r->waited_in_vain = calls <= r->begun;
	return true;
}

static void
read_pages(struct world *w, struct reader *r, struct stream s[TENANTS][REGIONS])
{
	*r = (struct reader){.w = w, .refuse = r->refuse};
	pages_of_a_pull = 3;
	reading = wait_for_next;
	reading_arg = r;
	w->workers = 1;
	w->clock_stands = true;
	assert_int_equal(run_at(w, T0 + 65 * MIN, 0, s), 0);
	pages_of_a_pull = guessed_pages = 1;
	reading = NULL;
	for (size_t i = 0; i < TENANTS; i++) {
		assert_received(w, i, T0 + 35 * MIN, T0 + 60 * MIN);
		for (size_t g = 0; g < REGIONS; g++)
			assert_int_equal(s[i][g].state, STREAM_DONE);
	}
	assert_int_equal(w->receiver.refused_order + w->receiver.doubled, 0);
}

static void
the_next_page_is_on_its_way_while_one_is_read(void **state)
{
	struct stream s[TENANTS][REGIONS];
	struct reader r = {0};
	struct world w;

	(void)state;
	world_open(&w);
	w.transport.takes_ms = ASKED_WORTH_MS;
	read_pages(&w, &r, s);
	assert_int_equal(r.begun, (size_t)3 * TENANTS * REGIONS);
	assert_int_equal(r.overlapped, (size_t)2 * TENANTS * REGIONS);
	assert_int_equal(w.transport.n_order, r.begun); /* and nothing was asked twice */
	for (size_t i = 0; i < TENANTS; i++)
		for (size_t g = 0; g < REGIONS; g++)
			assert_int_equal(s[i][g].stats.calls_billed, 3);
	world_close(&w);
}

/* What was asked ahead and is not what is asked then is not looked at. */
static void
a_wrong_guess_costs_a_call(void **state)
{
	struct stream s[TENANTS][REGIONS];
	struct reader r = {0};
	struct world w;

	(void)state;
	world_open(&w);
	w.transport.takes_ms = ASKED_WORTH_MS;
	guessed_pages = 2;
	read_pages(&w, &r, s);
	assert_int_equal(r.begun, (size_t)3 * TENANTS * REGIONS);
	assert_int_equal(w.transport.n_order, r.begun + (size_t)2 * TENANTS * REGIONS);
	for (size_t i = 0; i < TENANTS; i++)
		for (size_t g = 0; g < REGIONS; g++)
			assert_int_equal(s[i][g].stats.calls_billed, 5); /* that too */
	world_close(&w);
}

/* A quick one is had before a thread would have taken it, and a large one has no room beside this.
 */
static void
nothing_is_asked_ahead_that_is_not_worth_it(void **state)
{
	struct stream s[TENANTS][REGIONS];
	struct world w;

	(void)state;
	world_open(&w);
	pages_of_a_pull = 3;
	w.clock_stands = true;
	w.transport.takes_ms = ASKED_WORTH_MS - 1;
	w.workers = 1; /* each call moves the clock of all */
	assert_int_equal(run_at(&w, T0 + 65 * MIN, 0, s), 0);
	assert_int_equal(w.ahead_threads, 0);
	page_bytes = GATE_ALONE_MAX + 1;
	w.transport.takes_ms = ASKED_WORTH_MS;
	assert_int_equal(run_at(&w, T0 + 80 * MIN, 0, s), 0);
	assert_int_equal(w.ahead_threads, 0);
	page_bytes = 0;
	assert_int_equal(run_at(&w, T0 + 95 * MIN, 0, s), 0);
	assert_int_equal(w.ahead_threads, 1);
	pages_of_a_pull = 1;
	world_close(&w);
}

/* It is the error of the call that was made earlier: the span is tried again. */
static void
a_failure_of_what_was_asked_ahead_is_one_of_the_call(void **state)
{
	struct stream s[TENANTS][REGIONS];
	struct world w;

	(void)state;
	world_open(&w);
	pages_of_a_pull = 3;
	w.transport.takes_ms = ASKED_WORTH_MS;
	w.transport.kind[2] = ERR_TRANSIENT;
	w.transport.good[2] = 1;
	w.transport.left[2] = 1;
	assert_int_equal(run_at(&w, T0 + 65 * MIN, 0, s), 0);
	pages_of_a_pull = 1;
	for (size_t i = 0; i < TENANTS; i++)
		assert_received(&w, i, T0 + 35 * MIN, T0 + 60 * MIN);
	assert_int_equal(w.transport.left[2], 0);
	assert_int_equal(w.receiver.refused_order + w.receiver.doubled, 0);
	world_close(&w);
}

/* A page that makes no sense is asked for once more, and what follows it is known already. */
static void
what_follows_a_page_that_is_asked_for_again_is_kept(void **state)
{
	struct stream s[TENANTS][REGIONS];
	struct reader r = {.refuse = 1};
	struct world w;

	(void)state;
	world_open(&w);
	w.transport.takes_ms = ASKED_WORTH_MS;
	read_pages(&w, &r, s);
	assert_int_equal(w.transport.n_order, (size_t)3 * TENANTS * REGIONS + 1);
	world_close(&w);
}

/* The pull is over with its second page, and whoever began the third is waited for. */
static void
a_pull_that_fails_leaves_nothing_on_its_way(void **state)
{
	struct stream s[TENANTS][REGIONS];
	struct reader r = {.refuse = 2};
	struct world w;

	(void)state;
	world_open(&w);
	r.w = &w;
	w.transport.takes_ms = ASKED_WORTH_MS;
	w.workers = 1;
	w.clock_stands = true;
	pages_of_a_pull = 3;
	reading = wait_for_next;
	reading_arg = &r;
	assert_int_equal(run_at(&w, T0 + 65 * MIN, 0, s), 0);
	reading = NULL;
	pages_of_a_pull = 1;
	assert_int_equal(s[0][0].state, STREAM_FAILED);
	assert_int_equal(s[0][1].state, STREAM_DONE);
	world_close(&w);
}

/* It stays so for all of the run: what is asked for would be lost, and paid for. */
static void
nothing_is_asked_for_while_the_lake_is_closed(void **state)
{
	struct stream s[TENANTS][REGIONS];
	struct world w;
	int64_t begun_ms;

	(void)state;
	world_open(&w);
	assert_int_equal(run_at(&w, T0 + 65 * MIN, 0, s), 0);
	for (size_t i = 0; i < TENANTS; i++)
		atomic_store(&w.transport.calls[i], 0);
	begun_ms = clock_mono_ms(w.clock);
	w.lake_closed = true;
	assert_int_equal(run_at(&w, T0 + 80 * MIN, 0, s), 0);
	for (size_t i = 0; i < TENANTS; i++) {
		assert_int_equal(atomic_load(&w.transport.calls[i]), 0);
		for (size_t g = 0; g < REGIONS; g++) {
			assert_int_equal(s[i][g].state, STREAM_FAILED);
			assert_string_equal(err_kept(&w.errors[i][g])->msg,
					    "sink lake: could not be opened");
		}
	}
	assert_true(clock_mono_ms(w.clock) < begun_ms + MIN);
	w.lake_closed = false;
	assert_int_equal(run_at(&w, T0 + 80 * MIN, 0, s), 0);
	for (size_t i = 0; i < TENANTS; i++)
		for (size_t g = 0; g < REGIONS; g++)
			assert_int_equal(s[i][g].state, STREAM_DONE);
	world_close(&w);
}

static void
a_lost_answer_is_not_a_refused_sample(void **state)
{
	struct stream s[TENANTS][REGIONS];
	struct world w;

	(void)state;
	world_open(&w);
	w.receiver.fail_cells = 3;
	assert_int_equal(run_at(&w, T0 + 65 * MIN, 0, s), 0);
	assert_int_equal(run_at(&w, T0 + 80 * MIN, 0, s), 0);
	for (size_t i = 0; i < TENANTS; i++) {
		assert_received(&w, i, T0 + 35 * MIN, T0 + 75 * MIN);
		assert_int_equal(s[i][0].state, STREAM_DONE);
	}
	assert_int_equal(w.receiver.refused_order, 0); /* each resend said that it may be one */
	assert_int_equal(w.receiver.doubled, 0);
	world_close(&w);
}

/* Only what was sent and not answered may be there already; what waited in the lake was lost. */
static void
what_a_receiver_was_never_sent_is_refused_not_there_already(void **state)
{
	struct stream s[TENANTS][REGIONS];
	struct world w;

	(void)state;
	world_open(&w);
	w.receiver.down = true;
	assert_int_equal(run_at(&w, T0 + 65 * MIN, 0, s), 0);
	w.receiver.down = false;
	w.receiver.bound_ms = T0 + 60 * MIN;
	assert_int_equal(run_at(&w, T0 + 75 * MIN, 0, s), 0);
	for (size_t i = 0; i < TENANTS; i++)
		for (size_t g = 0; g < REGIONS; g++) {
			assert_int_equal(s[i][g].state, STREAM_DONE);
			assert_in_range(s[i][g].stats.rejected, 20, 25); /* but the first cell */
			assert_int_equal(s[i][g].stats.rejected + s[i][g].stats.already, 25);
			assert_int_equal(s[i][g].stats.acked, 10);
		}
	world_close(&w);
}

static void
after_an_outage_the_receiver_is_current_first(void **state)
{
	struct stream s[TENANTS][REGIONS];
	struct world w;

	(void)state;
	world_open(&w);
	assert_int_equal(run_at(&w, T0 + 35 * MIN, 60 * MIN, s), 0);
	assert_int_equal(run_at(&w, T0 + 335 * MIN, 60 * MIN, s), 0);
	for (size_t i = 0; i < TENANTS; i++) {
		assert_received(&w, i, T0 + 275 * MIN, T0 + 330 * MIN);
		for (size_t g = 0; g < REGIONS; g++) {
			assert_int_equal(s[i][g].state, STREAM_DONE);
			assert_int_equal(s[i][g].stats.cells, 60); /* 30..330, all in the lake */
			assert_int_equal(s[i][g].stats.acked, 55);
			assert_int_equal(s[i][g].stats.too_old, 245);
		}
	}
	assert_int_equal(w.receiver.refused_order + w.receiver.doubled, 0);
	world_close(&w);
}

/* Many tenants make the first pass long; the time for a cell of the second begins with the second.
 */
static void
a_long_first_pass_leaves_the_second_its_time(void **state)
{
	struct stream s[TENANTS][REGIONS];
	struct world w;

	(void)state;
	world_open(&w);
	assert_int_equal(run_at(&w, T0 + 35 * MIN, 60 * MIN, s), 0);
	w.transport.takes_ms = MIN / 3;
	w.workers = 1; /* each call moves the clock of all */
	assert_int_equal(run_at(&w, T0 + 335 * MIN, 60 * MIN, s), 0);
	for (size_t i = 0; i < TENANTS; i++)
		for (size_t g = 0; g < REGIONS; g++) {
			assert_int_equal(s[i][g].state, STREAM_DONE);
			assert_int_equal(s[i][g].stats.cells, 60);
		}
	world_close(&w);
}

static void
a_frozen_cell_is_adopted_when_the_checkpoint_is_gone(void **state)
{
	struct stream s[TENANTS][REGIONS];
	struct err err = {0};
	struct world w;

	(void)state;
	world_open(&w);
	assert_int_equal(run_at(&w, T0 + 65 * MIN, 0, s), 0);
	store_free(w.state);
	assert_int_equal(store_mem_new(&w.state, &err), 0);
	atomic_store(&pulls_made, 0);
	assert_int_equal(run_at(&w, T0 + 65 * MIN, 0, s), 0);
	assert_int_equal(atomic_load(&pulls_made), 0);
	assert_int_equal(s[0][0].stats.adopted_cells, 5);
	assert_int_equal(s[0][0].stats.already, 25);
	assert_int_equal(w.receiver.doubled, 0);
	world_close(&w);
}

static size_t
count_objects(const struct world *w, const char *lake)
{
	char cmd[160];
	char text[32] = "";
	FILE *f;

	(void)snprintf(cmd, sizeof(cmd), "find %s/%s -name '*.zst' | wc -l", w->dir, lake);
	f = popen(cmd, "r"); /* NOLINT(cert-env33-c): a fixed command */
	assert_non_null(f);
	assert_non_null(fgets(text, sizeof(text), f));
	(void)pclose(f);
	return (size_t)strtoul(text, NULL, 10);
}

static void
use_lake(struct world *w, const char *name, const char *dir)
{
	w->first_sink = 0;
	w->confs[0].name = w->plan_sinks[0].name = name;
	(void)snprintf(w->url, sizeof(w->url), "file://%s/%s", w->dir, dir);
}

/* Cells that wait for a receiver are not taken for empty because the new lake does not have them.
 */
static void
a_lake_that_is_added_or_moved_loses_nothing_that_waits(void **state)
{
	const struct {
		bool before;
		const char *name;
	} cases[] = {{false, "lake"}, {true, "lake"}, {true, "other"}};
	struct stream s[TENANTS][REGIONS];
	struct world w;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		world_open(&w);
		w.first_sink = !cases[i].before;
		w.receiver.down = true;
		assert_int_equal(run_at(&w, T0 + 65 * MIN, 0, s), 0);
		w.receiver.down = false;
		use_lake(&w, cases[i].name, "moved");
		assert_int_equal(run_at(&w, T0 + 75 * MIN, 0, s), 0);
		for (size_t t = 0; t < TENANTS; t++)
			assert_received(&w, t, T0 + 35 * MIN, T0 + 70 * MIN);
		assert_int_equal(s[0][0].stats.acked, 35);
		assert_int_equal(count_objects(&w, "moved"), TENANTS * REGIONS * 7);
		world_close(&w);
	}
}

static void
a_new_sink_gets_the_cells_of_the_run_that_first_knows_it(void **state)
{
	struct stream s[TENANTS][REGIONS];
	struct world w;

	(void)state;
	world_open(&w);
	w.n_sinks = 1; /* the lake alone */
	assert_int_equal(run_at(&w, T0 + 65 * MIN, 0, s), 0);
	w.n_sinks = 0;
	use_lake(&w, "other", "moved");
	assert_int_equal(run_at(&w, T0 + 75 * MIN, 0, s), 0);
	assert_int_equal(count_objects(&w, "moved"), TENANTS * REGIONS * 2);
	for (size_t t = 0; t < TENANTS; t++)
		assert_received(&w, t, T0 + 60 * MIN, T0 + 70 * MIN);
	assert_int_equal(s[0][0].stats.acked, 10);
	world_close(&w);
}

static void
a_signal_stops_it_and_the_next_run_carries_on(void **state)
{
	struct stream s[TENANTS][REGIONS];
	struct world w;

	(void)state;
	world_open(&w);
	clock_cancel(w.clock, 15);
	assert_int_equal(run_at(&w, T0 + 65 * MIN, 0, s), 0);
	assert_int_equal(s[0][0].state, STREAM_FAILED);
	assert_int_equal(err_kept(&s[0][0].error)->kind, ERR_CANCELLED);
	atomic_store(&w.clock->cancelled, 0);
	assert_int_equal(run_at(&w, T0 + 65 * MIN, 0, s), 0);
	assert_received(&w, 0, T0 + 35 * MIN, T0 + 60 * MIN);
	world_close(&w);
}

static void
what_is_too_long_ago_is_a_gap_on_record(void **state)
{
	struct stream s[TENANTS][REGIONS];
	struct ckpt *c = NULL;
	struct err err = {0};
	struct world w;

	(void)state;
	world_open(&w);
	assert_int_equal(run_at(&w, T0 + 40 * MIN, 0, s), 0);
	assert_int_equal(run_at(&w, T0 + 40 * MIN + 1440 * MIN, 0, s), 0);
	assert_int_equal(ckpt_load(w.state, "", "t0", "ecs", &c, &err), 0);
	assert_int_equal(c->streams[0].n_gaps, 2); /* one for each sink */
	assert_int_equal(c->streams[0].gaps[0].start_ms, T0 + 35 * MIN);
	assert_int_equal(c->streams[0].gaps[0].end_ms, T0 + 40 * MIN);
	assert_string_equal(c->streams[0].gaps[0].reason, "max_catchup");
	assert_int_equal(ckpt_watermark(&c->streams[0]), T0 + 1475 * MIN);
	ckpt_free(c);
	world_close(&w);
}

/* A state store without locks, as those on a network are, that may fail in the end. */
struct balky {
	struct store base;
	struct store *inner;
	bool refuses_last; /* the write that gives up t1's lease */
	bool refuses_done; /* each that says that cells of t1 are done */
	bool forgets;	   /* what came of the next write, and then cannot look */
	bool blind;
};

static int
balky_get(struct store *s, const char *key, const char *const *want, struct buf *out,
	  struct store_info *info, struct err *err)
{
	struct balky *b = (struct balky *)s;

	if (b->blind) {
		b->blind = false;
		return err_sys(err, EMFILE, "socket");
	}
	return store_get(b->inner, key, want, out, info, err);
}

static int
balky_put(struct store *s, const char *key, struct sv body, const struct store_put *opt,
	  char etag[STORE_ETAG_MAX], struct err *err)
{
	struct balky *b = (struct balky *)s;

	if (b->refuses_last && strstr(key, "/t1/ecs.json") &&
	    memmem(body.p, body.n, "\"owner\": null", strlen("\"owner\": null")))
		return err_set(err, ERR_TRANSIENT, "503 Slow Down");
	if (b->refuses_done && strstr(key, "/t1/ecs.json") &&
	    memmem(body.p, body.n, "\"acked\": 5", strlen("\"acked\": 5")))
		return err_set(err, ERR_TRANSIENT, "503 Slow Down");
	if (b->forgets) {
		b->forgets = false;
		b->blind = true;
		if (store_put(b->inner, key, body, opt, NULL, err))
			return -1;
		return err_sys(err, EMFILE, "read the answer");
	}
	return store_put(b->inner, key, body, opt, etag, err);
}

static void
use_balky(struct world *w, struct balky *b)
{
	static const struct store_ops ops = {.name = "balky", .get = balky_get, .put = balky_put};

	*b = (struct balky){.base = {.ops = &ops}, .inner = w->state};
	w->state = &b->base;
}

/* A run that was paused for longer than its lease, and another one that took over. */
struct takeover {
	struct commit_env env;
	struct commit *commit;
};

static void
take_over(void *arg)
{
	struct takeover *t = arg;
	struct err err = {0};

	do /* the other region's worker may have renewed it just now */
		clock_fake_advance(t->env.clock, LEASE_MS + 1);
	while (commit_open(&t->env, "t1", "ecs", accounts[1], T0, NULL, 0, &t->commit, &err) !=
	       COMMIT_OPENED);
}

static void
a_run_that_was_overtaken_leaves_all_streams_of_it_alone(void **state)
{
	struct stream s[TENANTS][REGIONS];
	struct takeover t = {0};
	struct err err = {0};
	struct balky b;
	struct world w;

	(void)state;
	world_open(&w);
	use_balky(&w, &b);
	t.env = (struct commit_env){
	    .state = w.state, .base = "", .clock = w.clock, .run_id = "other", .host = "there"};
	w.transport.meanwhile = take_over;
	w.transport.meanwhile_arg = &t;
	assert_int_equal(run_at(&w, T0 + 65 * MIN, 0, s), 0);
	assert_int_equal(s[0][0].state, STREAM_DONE);
	assert_int_equal(s[1][0].state, STREAM_SKIPPED);
	assert_int_equal(s[1][1].state, STREAM_SKIPPED);
	assert_int_equal(commit_close(t.commit, &err), 0);
	w.transport.meanwhile = NULL;
	assert_int_equal(run_at(&w, T0 + 65 * MIN, 0, s), 0);
	assert_int_equal(s[1][0].state, STREAM_DONE);
	assert_received(&w, 1, T0 + 35 * MIN, T0 + 60 * MIN);
	assert_int_equal(w.receiver.refused_order + w.receiver.doubled, 0);
	w.state = b.inner;
	world_close(&w);
}

static void
what_is_not_written_down_is_not_done(void **state)
{
	struct stream s[TENANTS][REGIONS];
	struct balky b;
	struct world w;

	(void)state;
	world_open(&w);
	use_balky(&w, &b);
	b.refuses_last = true;
	assert_int_equal(run_at(&w, T0 + 65 * MIN, 0, s), 0);
	for (size_t i = 0; i < TENANTS; i++)
		for (size_t g = 0; g < REGIONS; g++)
			assert_int_equal(s[i][g].state, i == 1 ? STREAM_FAILED : STREAM_DONE);
	assert_int_equal(err_kept(&s[1][0].error)->kind, ERR_TRANSIENT);
	b.refuses_last = false;
	clock_fake_advance(w.clock, LEASE_MS + 1);
	assert_int_equal(run_at(&w, T0 + 75 * MIN, 0, s), 0);
	assert_int_equal(s[1][0].state, STREAM_DONE);
	assert_received(&w, 1, T0 + 35 * MIN, T0 + 70 * MIN);
	assert_int_equal(w.receiver.refused_order + w.receiver.doubled, 0);
	w.state = b.inner;
	world_close(&w);
}

/* Nobody asks for a frozen cell again: what it lacks would be known to nobody. */
static void
a_gap_is_on_record_before_its_cell_is_frozen(void **state)
{
	struct stream s[TENANTS][REGIONS];
	struct ckpt *c = NULL;
	struct err err = {0};
	struct balky b;
	struct world w;
	size_t adopted = 0;

	(void)state;
	world_open(&w);
	use_balky(&w, &b);
	lacks = (struct job_gap){T0 + 40 * MIN, T0 + 45 * MIN, "the day's budget", false};
	b.refuses_last = b.refuses_done = true;
	assert_int_equal(run_at(&w, T0 + 65 * MIN, 0, s), 0);
	assert_int_equal(s[1][0].state, STREAM_FAILED);
	lacks = (struct job_gap){0};
	b.refuses_last = b.refuses_done = false;
	clock_fake_advance(w.clock, LEASE_MS + 1);
	assert_int_equal(run_at(&w, T0 + 65 * MIN, 0, s), 0);
	assert_int_equal(s[1][0].state, STREAM_DONE);
	assert_int_equal(ckpt_load(w.state, "", "t1", "ecs", &c, &err), 0);
	for (size_t g = 0; g < REGIONS; g++) {
		if (!s[1][g].stats.adopted_cells)
			continue;
		adopted++;
		assert_int_equal(c->streams[g].n_gaps, 1);
		assert_int_equal(c->streams[g].gaps[0].start_ms, T0 + 40 * MIN);
		assert_int_equal(c->streams[g].gaps[0].end_ms, T0 + 45 * MIN);
		assert_string_equal(c->streams[g].gaps[0].reason, "the day's budget");
	}
	assert_int_not_equal(adopted, 0);
	ckpt_free(c);
	w.state = b.inner;
	world_close(&w);
}

/* Another run need not wait for it. */
static void
a_lease_that_may_have_been_taken_is_given_back(void **state)
{
	struct commit *c = NULL;
	struct commit_env env;
	struct err err = {0};
	struct balky b;
	struct world w;

	(void)state;
	world_open(&w);
	use_balky(&w, &b);
	env = (struct commit_env){
	    .state = w.state, .base = "", .clock = w.clock, .run_id = "one", .host = "here"};
	b.forgets = true;
	assert_int_equal(commit_open(&env, "t1", "ecs", accounts[1], T0, NULL, 0, &c, &err),
			 COMMIT_BROKEN);
	assert_non_null(strstr(err.msg, "read the answer"));
	env.run_id = "other";
	assert_int_equal(commit_open(&env, "t1", "ecs", accounts[1], T0, NULL, 0, &c, &err),
			 COMMIT_OPENED);
	assert_int_equal(c->begun_before_ms, 0); /* nothing was begun under it */
	assert_int_equal(commit_close(c, &err), 0);
	w.state = b.inner;
	world_close(&w);
}

static void
a_sink_that_was_removed_holds_nothing_up(void **state)
{
	struct stream s[TENANTS][REGIONS];
	struct ckpt *c = NULL;
	struct err err = {0};
	struct world w;

	(void)state;
	world_open(&w);
	assert_int_equal(run_at(&w, T0 + 40 * MIN, 0, s), 0);
	w.n_sinks = 1; /* the lake alone */
	for (int64_t later = 1000; later <= 3000; later += 1000)
		assert_int_equal(run_at(&w, T0 + (40 + later) * MIN, 0, s), 0);
	assert_int_equal(s[0][0].state, STREAM_DONE);
	assert_int_equal(s[0][0].standing.watermark_ms, T0 + 3035 * MIN);
	assert_int_equal(ckpt_load(w.state, "", "t0", "ecs", &c, &err), 0);
	assert_int_equal(c->streams[0].n_gaps, 0);
	ckpt_free(c);
	world_close(&w);
}

/* What a run says, from warnings on. */
static const char *
warnings_of_run_at(struct world *w, int64_t now, char said[1 << 14])
{
	struct stream s[TENANTS][REGIONS];
	int fd = memfd_create("log", 0);
	ssize_t n;

	assert_true(fd >= 0);
	log_init(fd, LOG_TEXT, LOG_WARN, NULL);
	assert_int_equal(run_at(w, now, 0, s), 0);
	log_init(STDERR_FILENO, LOG_TEXT, LOG_INFO, NULL);
	assert_int_equal(s[0][0].state, STREAM_DONE);
	n = pread(fd, said, (1 << 14) - 1, 0);
	assert_true(n >= 0);
	said[n] = '\0';
	(void)close(fd);
	return said;
}

/* A run was told of a present that is yet to come; those after it have nothing to do, and say why.
 */
static void
who_is_ahead_of_the_present_is_told(void **state)
{
	struct stream s[TENANTS][REGIONS];
	char said[1 << 14];
	struct world w;

	(void)state;
	world_open(&w);
	assert_int_equal(run_at(&w, T0 + 65 * MIN, 0, s), 0);
	w.real_time = true;
	assert_string_equal(warnings_of_run_at(&w, T0 + 45 * MIN, said), "");
	assert_non_null(strstr(warnings_of_run_at(&w, T0 + 45 * MIN - 1, said),
			       "ahead of the present: nothing is due"));
	w.real_time = false; /* who gives --now knows what he does */
	assert_string_equal(warnings_of_run_at(&w, T0 + 45 * MIN - 1, said), "");
	world_close(&w);
}

/* Another run takes t1's lease, by a clock that is ahead by so much. */
static struct commit *
take_lease(struct world *w, int64_t ahead_ms)
{
	struct commit *other = NULL;
	struct err err = {0};

	w->other_env = (struct commit_env){.state = w->state,
					   .base = "",
					   .clock = w->clock,
					   .clock_offset_ms = ahead_ms,
					   .run_id = "other",
					   .host = "there"};
	assert_int_equal(
	    commit_open(&w->other_env, "t1", "ecs", accounts[1], T0, NULL, 0, &other, &err),
	    COMMIT_OPENED);
	return other;
}

static void
a_run_that_holds_the_lease_is_left_alone(void **state)
{
	struct stream s[TENANTS][REGIONS];
	struct commit *other;
	struct err err = {0};
	struct world w;

	(void)state;
	world_open(&w);
	other = take_lease(&w, 0);
	assert_int_equal(run_at(&w, T0 + 65 * MIN, 0, s), 0);
	assert_int_equal(s[0][0].state, STREAM_DONE);
	assert_int_equal(s[1][0].state, STREAM_SKIPPED);
	assert_int_equal(s[1][1].state, STREAM_SKIPPED);
	assert_int_equal(commit_close(other, &err), 0);
	assert_int_equal(run_at(&w, T0 + 65 * MIN, 0, s), 0);
	assert_int_equal(s[1][0].state, STREAM_DONE);
	world_close(&w);
}

/* Where nothing is unlocked when a process ends, the lease's time is what counts. */
static void
a_lease_is_left_alone_until_its_time_is_up(void **state)
{
	struct stream s[TENANTS][REGIONS];
	struct commit *other;
	struct err err = {0};
	struct balky b;
	struct world w;

	(void)state;
	world_open(&w);
	use_balky(&w, &b);
	other = take_lease(&w, 14 * MIN);
	assert_int_equal(run_at(&w, T0 + 65 * MIN, 0, s), 0);
	assert_int_equal(s[0][0].state, STREAM_DONE);
	assert_int_equal(s[1][0].state, STREAM_SKIPPED);
	assert_int_equal(s[1][1].state, STREAM_SKIPPED);
	clock_fake_advance(w.clock, 14 * MIN + LEASE_MS + 1);
	assert_int_equal(run_at(&w, T0 + 65 * MIN, 0, s), 0);
	assert_int_equal(s[1][0].state, STREAM_DONE);
	assert_int_equal(commit_close(other, &err), -1);
	assert_int_equal(err.kind, ERR_CONFLICT);
	w.state = b.inner;
	world_close(&w);
}

/* It only saves work: to wait for it would leave the tenant alone for as long as the clock was off.
 */
static void
a_lease_of_a_clock_that_was_wrong_holds_nobody_up(void **state)
{
	struct stream s[TENANTS][REGIONS];
	struct commit *other;
	struct err err = {0};
	struct balky b;
	struct world w;

	(void)state;
	world_open(&w);
	use_balky(&w, &b);
	other = take_lease(&w, 16 * MIN);
	assert_int_equal(run_at(&w, T0 + 65 * MIN, 0, s), 0);
	assert_int_equal(s[1][0].state, STREAM_DONE);
	assert_int_equal(commit_close(other, &err), -1); /* if it was alive after all */
	assert_int_equal(err.kind, ERR_CONFLICT);
	w.state = b.inner;
	world_close(&w);
}

/* t1's receiver has a cell of which the checkpoint knows only that the lake has it. */
static void
leave_sent_cell(struct world *w, struct cell cell)
{
	struct ckpt *c = NULL;
	struct err err = {0};

	assert_int_equal(ckpt_load(w->state, "", "t1", "ecs", &c, &err), 0);
	for (size_t g = 0; g < REGIONS; g++) {
		struct ckpt_stream *s = ckpt_stream_find(c, region_names[g]);

		assert_int_equal(ckpt_done(ckpt_sink_find(s, "lake"), cell, &err), 0);
		for (int64_t ts = cell.start_ms; ts < cell.end_ms; ts += MIN) {
			w->receiver.newest[1][g] = ts;
			w->receiver.values[1][g][(ts - T0) / MIN] =
			    truth("t1", region_names[g], ts);
		}
	}
	assert_int_equal(ckpt_save(w->state, "", c, &err), 0);
	ckpt_free(c);
}

/* It died before it could say so, but it had said up to where it might. */
static void
what_a_dead_run_may_have_sent_is_no_refused_sample(void **state)
{
	struct stream s[TENANTS][REGIONS];
	struct commit *other = NULL;
	struct err err = {0};
	struct commit_env env;
	struct balky b;
	struct world w;

	(void)state;
	world_open(&w);
	use_balky(&w, &b);
	assert_int_equal(run_at(&w, T0 + 40 * MIN, 0, s), 0);
	env = (struct commit_env){
	    .state = w.state, .base = "", .clock = w.clock, .run_id = "other", .host = "there"};
	assert_int_equal(
	    commit_open(&env, "t1", "ecs", accounts[1], T0 + 60 * MIN, NULL, 0, &other, &err),
	    COMMIT_OPENED);
	b.refuses_last = true;
	assert_int_equal(commit_close(other, &err), -1);
	b.refuses_last = false;
	leave_sent_cell(&w, (struct cell){T0 + 35 * MIN, T0 + 40 * MIN});
	clock_fake_advance(w.clock, LEASE_MS + 1);
	assert_int_equal(run_at(&w, T0 + 65 * MIN, 0, s), 0);
	for (size_t g = 0; g < REGIONS; g++) {
		assert_int_equal(s[1][g].state, STREAM_DONE);
		assert_int_equal(s[1][g].stats.already, 5);
		assert_int_equal(s[1][g].stats.acked, 20);
	}
	assert_received(&w, 1, T0 + 35 * MIN, T0 + 60 * MIN);
	assert_int_equal(w.receiver.refused_order + w.receiver.doubled, 0);
	w.state = b.inner;
	world_close(&w);
}

/* What is still not complete when a cell's time is up is left to the next run. */
static void
an_answer_that_is_never_complete_has_an_end(void **state)
{
	struct stream s[TENANTS][REGIONS];
	struct world w;

	(void)state;
	world_open(&w);
	atomic_store(&never_complete, true);
	assert_int_equal(run_at(&w, T0 + 65 * MIN, 0, s), 0);
	atomic_store(&never_complete, false);
	for (size_t i = 0; i < TENANTS; i++) {
		const char *why = err_kept(&s[i][0].error)->msg;

		assert_int_equal(s[i][0].state, STREAM_FAILED);
		/* Whichever comes first: the workers share a clock. */
		assert_true(strstr(why, "still incomplete after") || strstr(why, "timed out"));
	}
	assert_int_equal(run_at(&w, T0 + 65 * MIN, 0, s), 0);
	assert_received(&w, 0, T0 + 35 * MIN, T0 + 60 * MIN);
	world_close(&w);
}

/* Another run froze the cells in between; the service has changed its mind since. */
static void
who_freezes_first_wins(void **state)
{
	struct stream s[TENANTS][REGIONS];
	struct err err = {0};
	struct store *own;
	struct world w;

	(void)state;
	world_open(&w);
	assert_int_equal(run_at(&w, T0 + 40 * MIN, 0, s), 0);
	own = w.state;
	assert_int_equal(store_mem_new(&w.state, &err), 0);
	w.receiver.down = true;
	assert_int_equal(run_at(&w, T0 + 65 * MIN, 0, s), 0);
	store_free(w.state);
	w.state = own;
	w.receiver.down = false;
	revised = 1000;
	assert_int_equal(run_at(&w, T0 + 65 * MIN, 0, s), 0);
	revised = 0;
	for (size_t i = 0; i < TENANTS; i++) {
		assert_int_equal(s[i][0].state, STREAM_DONE);
		assert_int_equal(s[i][0].stats.adopted_cells, 5);
		assert_received(&w, i, T0 + 35 * MIN, T0 + 60 * MIN);
	}
	world_close(&w);
}

static void
a_cell_whose_samples_are_not_all_accounted_for_is_not_done(void **state)
{
	struct stream s[TENANTS][REGIONS];
	struct ckpt *c = NULL;
	struct err err = {0};
	struct world w;

	(void)state;
	world_open(&w);
	w.receiver.miscounts = true;
	assert_int_equal(run_at(&w, T0 + 65 * MIN, 0, s), 0);
	assert_int_equal(s[0][0].state, STREAM_FAILED);
	assert_non_null(strstr(err_kept(&s[0][0].error)->msg, "accounts for 6 of 5 samples"));
	assert_int_equal(ckpt_load(w.state, "", "t0", "ecs", &c, &err), 0);
	assert_int_equal(ckpt_sink_find(&c->streams[0], "prom")->cursor_ms, T0 + 35 * MIN);
	ckpt_free(c);
	world_close(&w);
}

/* ---- a store whose next writes fail ---- */

struct failing {
	struct store base;
	struct store *below;
	int failures;
};

static int
failing_get(struct store *s, const char *key, const char *const *want, struct buf *out,
	    struct store_info *info, struct err *err)
{
	return store_get(((struct failing *)s)->below, key, want, out, info, err);
}

static int
failing_put(struct store *s, const char *key, struct sv body, const struct store_put *opt,
	    char *etag, struct err *err)
{
	struct failing *f = (struct failing *)s;

	if (f->failures && f->failures--)
		return err_set(err, ERR_TRANSIENT, "no answer");
	return store_put(f->below, key, body, opt, etag, err);
}

static const struct store_ops failing_ops = {
    .name = "failing", .get = failing_get, .put = failing_put};

static void
the_first_cell_is_written_down_before_anything_is_begun(void **state)
{
	struct failing f = {.base.ops = &failing_ops};
	struct commit *c = NULL;
	struct ckpt *k = NULL;
	struct err err = {0};
	struct commit_env env;
	struct world w;
	bool is_new;

	(void)state;
	world_open(&w);
	f.below = w.state;
	env = (struct commit_env){
	    .state = &f.base, .base = "", .clock = w.clock, .run_id = "run", .host = "here"};
	w.plan = (struct plan){.now_ms = T0 + 65 * MIN,
			       .every_ms = 5 * MIN,
			       .delay_ms = 5 * MIN,
			       .lookback_ms = 30 * MIN,
			       .max_catchup_ms = 1440 * MIN,
			       .sinks = w.plan_sinks,
			       .n_sinks = 2};
	assert_int_equal(commit_open(&env, "t0", "ecs", accounts[0], T0, NULL, 0, &c, &err),
			 COMMIT_OPENED);
	f.failures = 1;
	assert_int_equal(commit_stream_begin(c, &w.plan, "eu-west-1", plan_first_ms(&w.plan), "d",
					     &is_new, &err),
			 -1);
	assert_int_equal(commit_stream_begin(c, &w.plan, "eu-west-1", plan_first_ms(&w.plan), "d",
					     &is_new, &err),
			 0);
	/* As a run would find it that is started after a kill. */
	assert_int_equal(ckpt_load(w.state, "", "t0", "ecs", &k, &err), 0);
	assert_int_equal(k->n_streams, 1);
	assert_int_equal(k->streams[0].first_ms, T0 + 35 * MIN);
	ckpt_free(k);
	assert_int_equal(commit_close(c, &err), 0);
	world_close(&w);
}

static uint64_t
generation(struct world *w)
{
	struct ckpt *c = NULL;
	struct err err = {0};
	uint64_t n;

	assert_int_equal(ckpt_load(w->state, "", "t0", "ecs", &c, &err), 0);
	n = c->generation;
	assert_null(c->lease.owner);
	ckpt_free(c);
	return n;
}

static void
a_run_with_nothing_to_do_writes_nothing(void **state)
{
	struct stream s[TENANTS][REGIONS];
	struct world w;
	uint64_t first;

	(void)state;
	world_open(&w);
	assert_int_equal(run_at(&w, T0 + 65 * MIN, 0, s), 0);
	first = generation(&w);
	assert_int_equal(run_at(&w, T0 + 66 * MIN, 0, s), 0);
	assert_int_equal(s[0][0].state, STREAM_DONE);
	assert_int_equal(s[0][0].standing.watermark_ms, T0 + 60 * MIN);
	assert_int_equal(generation(&w), first);
	assert_int_equal(run_at(&w, T0 + 70 * MIN, 0, s), 0);
	assert_true(generation(&w) >= first + 2);
	world_close(&w);
}

static void
a_gap_leaves_out_what_was_delivered(void **state)
{
	struct stream s[TENANTS][REGIONS];
	struct ckpt *c = NULL;
	struct err err = {0};
	struct world w;

	(void)state;
	world_open(&w);
	assert_int_equal(run_at(&w, T0 + 40 * MIN, 0, s), 0);
	assert_int_equal(ckpt_load(w.state, "", "t0", "ecs", &c, &err), 0);
	assert_int_equal(ckpt_done(ckpt_sink_find(&c->streams[0], "prom"),
				   (struct cell){T0 + 45 * MIN, T0 + 50 * MIN}, &err),
			 0);
	assert_int_equal(ckpt_save(w.state, "", c, &err), 0);
	ckpt_free(c);
	assert_int_equal(run_at(&w, T0 + 55 * MIN + 1440 * MIN, 0, s), 0);
	assert_int_equal(ckpt_load(w.state, "", "t0", "ecs", &c, &err), 0);
	for (size_t i = 0; i < c->streams[0].n_gaps; i++)
		if (!strcmp(c->streams[0].gaps[i].sink, "prom"))
			assert_false(c->streams[0].gaps[i].start_ms < T0 + 50 * MIN &&
				     c->streams[0].gaps[i].end_ms > T0 + 45 * MIN);
	assert_int_equal(c->streams[0].n_gaps, 3); /* the lake one, the receiver two */
	ckpt_free(c);
	world_close(&w);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(all_due_cells_arrive_once),
	    cmocka_unit_test(one_denied_tenant_fails_alone),
	    cmocka_unit_test(a_passing_trouble_is_tried_again_in_the_same_run),
	    cmocka_unit_test(a_receiver_that_is_down_holds_up_only_itself),
	    cmocka_unit_test(no_cell_is_in_the_gate_for_lines_while_it_is_sent),
	    cmocka_unit_test(who_gets_no_answer_keeps_nobody_from_theirs),
	    cmocka_unit_test(a_worker_that_gets_no_answer_leaves_its_place),
	    cmocka_unit_test(of_a_tenant_that_was_not_heard_of_one_stream_is_asked),
	    cmocka_unit_test(what_is_in_trouble_comes_after_the_others),
	    cmocka_unit_test(waiting_for_its_turn_takes_nothing_of_a_span_s_time),
	    cmocka_unit_test(what_comes_takes_part_in_the_memory_of_pages),
	    cmocka_unit_test(the_next_page_is_on_its_way_while_one_is_read),
	    cmocka_unit_test(a_wrong_guess_costs_a_call),
	    cmocka_unit_test(nothing_is_asked_ahead_that_is_not_worth_it),
	    cmocka_unit_test(a_failure_of_what_was_asked_ahead_is_one_of_the_call),
	    cmocka_unit_test(what_follows_a_page_that_is_asked_for_again_is_kept),
	    cmocka_unit_test(a_pull_that_fails_leaves_nothing_on_its_way),
	    cmocka_unit_test(nothing_is_asked_for_while_the_lake_is_closed),
	    cmocka_unit_test(a_lost_answer_is_not_a_refused_sample),
	    cmocka_unit_test(what_a_receiver_was_never_sent_is_refused_not_there_already),
	    cmocka_unit_test(after_an_outage_the_receiver_is_current_first),
	    cmocka_unit_test(a_long_first_pass_leaves_the_second_its_time),
	    cmocka_unit_test(a_frozen_cell_is_adopted_when_the_checkpoint_is_gone),
	    cmocka_unit_test(a_lake_that_is_added_or_moved_loses_nothing_that_waits),
	    cmocka_unit_test(a_new_sink_gets_the_cells_of_the_run_that_first_knows_it),
	    cmocka_unit_test(a_signal_stops_it_and_the_next_run_carries_on),
	    cmocka_unit_test(what_is_too_long_ago_is_a_gap_on_record),
	    cmocka_unit_test(a_run_that_was_overtaken_leaves_all_streams_of_it_alone),
	    cmocka_unit_test(what_is_not_written_down_is_not_done),
	    cmocka_unit_test(a_gap_is_on_record_before_its_cell_is_frozen),
	    cmocka_unit_test(a_lease_that_may_have_been_taken_is_given_back),
	    cmocka_unit_test(a_sink_that_was_removed_holds_nothing_up),
	    cmocka_unit_test(who_freezes_first_wins),
	    cmocka_unit_test(a_cell_whose_samples_are_not_all_accounted_for_is_not_done),
	    cmocka_unit_test(the_first_cell_is_written_down_before_anything_is_begun),
	    cmocka_unit_test(a_run_with_nothing_to_do_writes_nothing),
	    cmocka_unit_test(a_gap_leaves_out_what_was_delivered),
	    cmocka_unit_test(who_is_ahead_of_the_present_is_told),
	    cmocka_unit_test(a_run_that_holds_the_lease_is_left_alone),
	    cmocka_unit_test(a_lease_is_left_alone_until_its_time_is_up),
	    cmocka_unit_test(a_lease_of_a_clock_that_was_wrong_holds_nobody_up),
	    cmocka_unit_test(what_a_dead_run_may_have_sent_is_no_refused_sample),
	    cmocka_unit_test(an_answer_that_is_never_complete_has_an_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
