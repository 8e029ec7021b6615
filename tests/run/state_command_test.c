/*
 * Changing a checkpoint by hand: what is refused, what is fenced, in which order things go, and
 * that nothing is half changed.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "run/state_command.h"

#define MINUTE INT64_C(60000)
#define HOUR   (60 * MINUTE)
#define T0     INT64_C(1767225600000) /* 2026-01-01T00:00:00Z */
#define EVERY  (5 * MINUTE)
#define NOW    (T0 + 2 * HOUR)
#define KEY    "tenants/acme/ecs.json"

#define ok(call)                                                                                   \
	do {                                                                                       \
		if ((call) < 0)                                                                    \
			fail_msg("%s: %s", #call, err.msg);                                        \
	} while (0)
#define expect_err(call, k)                                                                        \
	do {                                                                                       \
		assert_int_equal((call), -1);                                                      \
		assert_int_equal(err.kind, (k));                                                   \
	} while (0)

/* A store that looks on, and in which another run may come between. */
struct watched {
	struct store base;
	struct store *real;
	bool overtake; /* before the next conditional put */
	char log[2000];
};

static struct watched *
watched_of(struct store *s)
{
	return (struct watched *)s;
}

static void
note(struct watched *w, const char *what, const char *key)
{
	size_t n = strlen(w->log);

	(void)snprintf(w->log + n, sizeof(w->log) - n, "%s %s\n", what, key);
}

static int
w_get(struct store *s, const char *key, const char *const *want, struct buf *out,
      struct store_info *info, struct err *err)
{
	return store_get(watched_of(s)->real, key, want, out, info, err);
}

static void
other_run(struct store *s)
{
	struct ckpt *c = NULL;
	struct err err;

	ok(ckpt_load(s, "", "acme", "ecs", &c, &err));
	ok(ckpt_save(s, "", c, &err));
	ckpt_free(c);
}

static int
w_put(struct store *s, const char *key, struct sv body, const struct store_put *opt,
      char etag[STORE_ETAG_MAX], struct err *err)
{
	struct watched *w = watched_of(s);

	if (w->overtake && opt->cond == STORE_MATCH) {
		w->overtake = false;
		other_run(w->real);
	}
	note(w, "put", key);
	return store_put(w->real, key, body, opt, etag, err);
}

static int
w_list(struct store *s, const char *prefix, int (*fn)(const char *key, void *arg), void *arg,
       struct err *err)
{
	return watched_of(s)->real->ops->list(watched_of(s)->real, prefix, fn, arg, err);
}

static int
w_del(struct store *s, const char *key, struct err *err)
{
	note(watched_of(s), "del", key);
	return watched_of(s)->real->ops->del(watched_of(s)->real, key, err);
}

static const struct store_ops w_ops = {.get = w_get, .put = w_put, .list = w_list, .del = w_del};

struct fixture {
	struct watched store;
	struct config config;
	struct job job;
	struct sink_conf amp, lake, *to[2];
	struct tenant tenant;
	struct options options;
	struct state_env env;
	struct status_entry entry;
	struct buf out;
};

static void
make(struct fixture *f)
{
	struct ckpt *c = ckpt_new("acme", "ecs");
	struct ckpt_stream *s;
	struct err err;

	s = ckpt_stream_add(c, "eu-west-1", T0, EVERY, &err);
	assert_non_null(s);
	assert_non_null(ckpt_sink_add(s, "amp", T0 + HOUR, &err));
	assert_non_null(ckpt_sink_add(s, "lake", T0 + HOUR + EVERY, &err));
	assert_non_null(ckpt_sink_add(s, "old", T0, &err));
	ok(ckpt_save(f->store.real, "", c, &err));
	ckpt_free(c);
}

static int
setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	assert_int_equal(store_mem_new(&f->store.real, NULL), 0);
	f->store.base.ops = &w_ops;
	f->config.run.max_catchup_ms = 24 * HOUR;
	f->amp = (struct sink_conf){.name = "amp", .max_age_ms = HOUR};
	f->lake = (struct sink_conf){.name = "lake"};
	f->to[0] = &f->amp;
	f->to[1] = &f->lake;
	f->job = (struct job){.name = "ecs", .to = f->to, .n_to = 2};
	f->options = (struct options){.reason = "because", .shards = 1};
	f->env = (struct state_env){
	    .config = &f->config,
	    .options = &f->options,
	    .state = &f->store.base,
	    .now_ms = NOW,
	    .wall_ms = NOW,
	    .who = "ann@ops",
	};
	f->entry = (struct status_entry){
	    .tenant = "acme", .name = "ecs", .job = &f->job, .owner = &f->tenant, .stored = true};
	f->out = BUF_INIT(1 << 20);
	make(f);
	*state = f;
	return 0;
}

static int
teardown(void **state)
{
	struct fixture *f = *state;

	store_free(f->store.real);
	buf_done(&f->out);
	free(f);
	return 0;
}

static struct ckpt *
stored(struct fixture *f)
{
	struct ckpt *c = NULL;
	struct err err;

	ok(ckpt_peek(f->store.real, "", "acme", "ecs", "", NULL, &c, &err));
	return c;
}

static int64_t
cursor(struct fixture *f, const char *sink)
{
	struct ckpt *c = stored(f);
	int64_t r = ckpt_sink_find(&c->streams[0], sink)->cursor_ms;

	ckpt_free(c);
	return r;
}

static void
hold(struct fixture *f, int64_t until)
{
	struct ckpt *c = NULL;
	struct err err;

	ok(ckpt_load(f->store.real, "", "acme", "ecs", &c, &err));
	ok(ckpt_set_str(&c->lease.owner, "run-1", &err));
	c->lease.until_ms = until;
	c->lease.begun_through_ms = T0 + 3 * HOUR;
	ok(ckpt_save(f->store.real, "", c, &err));
	ckpt_free(c);
}

static void
test_rewind(void **state)
{
	struct fixture *f = *state;
	struct ckpt *c;
	struct err err;

	f->env.to_ms = T0 + 31 * MINUTE;
	ok(state_change(&f->env, STATE_REWIND, &f->entry, &f->out, &err));
	assert_int_equal(cursor(f, "amp"), T0 + 30 * MINUTE);
	assert_int_equal(cursor(f, "lake"), T0 + 30 * MINUTE);
	assert_int_equal(cursor(f, "old"), T0); /* no sink of the job any more */
	c = stored(f);
	/* What was done may be met again: up to the furthest. */
	assert_int_equal(c->lease.begun_through_ms, T0 + HOUR + EVERY);
	assert_int_equal(c->n_history, 1);
	assert_string_equal(c->history[0].who, "ann@ops");
	assert_string_equal(c->history[0].reason, "because");
	assert_int_equal(c->history[0].time_ms, NOW);
	assert_non_null(strstr(c->history[0].what, "eu-west-1 amp from 2026-01-01T01:00:00Z to "
						   "2026-01-01T00:30:00Z"));
	ckpt_free(c);
	assert_non_null(strstr(buf_cstr(&f->out), "note: amp takes nothing older than 1h"));
	assert_non_null(strstr(f->store.log, "put tenants/acme/ecs.prev.json"));
}

static void
test_only_one_sink(void **state)
{
	struct fixture *f = *state;
	struct err err;

	f->options.sink = "lake";
	f->env.to_ms = T0;
	ok(state_change(&f->env, STATE_REWIND, &f->entry, &f->out, &err));
	assert_int_equal(cursor(f, "amp"), T0 + HOUR);
	assert_int_equal(cursor(f, "lake"), T0);
	f->options.sink = "nobody";
	expect_err(state_change(&f->env, STATE_REWIND, &f->entry, &f->out, &err), ERR_NOTFOUND);
	assert_string_equal(err.msg, "it has no sink nobody: there is eu-west-1 (amp, lake, old)");
	f->options.region = "eu-west-1";
	f->job.n_to = 0;
	f->options.sink = NULL;
	expect_err(state_change(&f->env, STATE_REWIND, &f->entry, &f->out, &err), ERR_NOTFOUND);
	assert_non_null(strstr(err.msg, "it has no sink of its job in eu-west-1: there is"));
}

/* By a present that was wrong a cursor can be ahead. */
static void
test_what_is_yet_to_come_is_not_done_again(void **state)
{
	struct fixture *f = *state;
	struct err err;

	f->options.dry_run = true;
	f->env.now_ms = T0 + 31 * MINUTE;
	f->env.to_ms = T0 + 10 * MINUTE;
	ok(state_change(&f->env, STATE_REWIND, &f->entry, &f->out, &err));
	assert_non_null(strstr(buf_cstr(&f->out), "amp: 2026-01-01T01:00:00Z -> "
						  "2026-01-01T00:10:00Z, 4 cells to do again\n"));
	buf_reset(&f->out);
	f->env.to_ms = T0 + 45 * MINUTE;
	ok(state_change(&f->env, STATE_REWIND, &f->entry, &f->out, &err));
	assert_non_null(strstr(buf_cstr(&f->out), ", 0 cells to do again\n"));
}

/* Cells that the next run would give up at once are not taken back, nor those before the first. */
static void
test_too_far_back(void **state)
{
	struct fixture *f = *state;
	struct err err;

	f->config.run.max_catchup_ms = HOUR;
	f->env.to_ms = T0 + 55 * MINUTE;
	expect_err(state_change(&f->env, STATE_REWIND, &f->entry, &f->out, &err), ERR_USAGE);
	assert_non_null(strstr(err.msg, "max_catchup"));
	assert_int_equal(f->out.n, 0);
	f->config.run.max_catchup_ms = 48 * HOUR;
	f->env.to_ms = T0 - HOUR;
	expect_err(state_change(&f->env, STATE_REWIND, &f->entry, &f->out, &err), ERR_USAGE);
	assert_string_equal(f->store.log, "");
}

static void
test_skip(void **state)
{
	struct fixture *f = *state;
	struct ckpt *c;
	struct err err;

	f->env.to_ms = T0 + HOUR + EVERY;
	ok(state_change(&f->env, STATE_SKIP, &f->entry, &f->out, &err));
	c = stored(f);
	assert_int_equal(c->streams[0].n_gaps, 1); /* the lake was there already */
	assert_string_equal(c->streams[0].gaps[0].sink, "amp");
	assert_string_equal(c->streams[0].gaps[0].reason, "skipped: because");
	ckpt_free(c);
	expect_err(state_change(&f->env, STATE_SKIP, &f->entry, &f->out, &err), ERR_USAGE);
}

static void
test_a_live_lease(void **state)
{
	static const enum state_action all[] = {STATE_REWIND, STATE_SKIP, STATE_RELEASE,
						STATE_FORGET};
	struct fixture *f = *state;
	struct ckpt *c;
	struct err err;

	hold(f, NOW + 1);
	f->env.to_ms = T0;
	for (size_t i = 0; i < ARRAY_LEN(all); i++) {
		f->options.force = all[i] != STATE_RELEASE; /* helps nobody else */
		expect_err(state_change(&f->env, all[i], &f->entry, &f->out, &err), ERR_CONFLICT);
		assert_non_null(strstr(err.msg, "run-1"));
	}
	assert_string_equal(f->store.log, "");
	f->options.force = true;
	ok(state_change(&f->env, STATE_RELEASE, &f->entry, &f->out, &err));
	c = stored(f);
	assert_null(c->lease.owner);
	assert_int_equal(c->lease.begun_through_ms, T0 + 3 * HOUR); /* what it may have begun */
	ckpt_free(c);
}

static void
test_a_lease_that_is_over(void **state)
{
	struct fixture *f = *state;
	struct ckpt *c;
	struct err err;

	hold(f, NOW);
	ok(state_change(&f->env, STATE_RELEASE, &f->entry, &f->out, &err));
	c = stored(f);
	assert_null(c->lease.owner);
	assert_int_equal(c->n_history, 1);
	ckpt_free(c);
	/* Once more there is nothing to do, and nothing to record. */
	f->store.log[0] = '\0';
	ok(state_change(&f->env, STATE_RELEASE, &f->entry, &f->out, &err));
	assert_string_equal(f->store.log, "");
}

static void
test_overtaken(void **state)
{
	static const enum state_action all[] = {STATE_REWIND, STATE_SKIP, STATE_FORGET};
	struct fixture *f = *state;
	struct err err;

	for (size_t i = 0; i < ARRAY_LEN(all); i++) {
		struct ckpt *c;
		uint64_t generation;

		c = stored(f);
		generation = c->generation;
		ckpt_free(c);
		f->env.to_ms = all[i] == STATE_SKIP ? T0 + 2 * HOUR : T0;
		f->env.wall_ms += 1000;
		f->store.overtake = true;
		expect_err(state_change(&f->env, all[i], &f->entry, &f->out, &err), ERR_CONFLICT);
		assert_int_equal(f->out.n, 0);
		c = stored(f);
		assert_int_equal(c->generation, generation + 1); /* the other's */
		assert_int_equal(c->n_history, 0);
		ckpt_free(c);
	}
	assert_null(strstr(f->store.log, "del "));
}

static void
test_dry_run(void **state)
{
	static const enum state_action all[] = {STATE_REWIND, STATE_SKIP, STATE_RELEASE,
						STATE_FORGET};
	struct fixture *f = *state;
	struct err err;

	f->options.dry_run = true;
	for (size_t i = 0; i < ARRAY_LEN(all); i++) {
		f->env.to_ms = all[i] == STATE_SKIP ? T0 + 2 * HOUR : T0;
		buf_reset(&f->out);
		ok(state_change(&f->env, all[i], &f->entry, &f->out, &err));
		assert_true(f->out.n > 0);
	}
	assert_string_equal(f->store.log, "");
}

/* The copy, the swap, the one before, the newest: stopped at any place, nothing comes back. */
static void
test_forget(void **state)
{
	struct fixture *f = *state;
	struct ckpt *c = NULL;
	struct err err;

	ok(state_change(&f->env, STATE_FORGET, &f->entry, &f->out, &err));
	assert_string_equal(f->store.log, "put tenants/acme/ecs.forgotten-20260101T020000Z.json\n"
					  "put tenants/acme/ecs.prev.json\n"
					  "put tenants/acme/ecs.json\n"
					  "del tenants/acme/ecs.prev.json\n"
					  "del tenants/acme/ecs.json\n");
	ok(ckpt_load(f->store.real, "", "acme", "ecs", &c, &err));
	assert_int_equal(c->generation, 0);
	ckpt_free(c);
}

static void
test_there_is_none(void **state)
{
	struct fixture *f = *state;
	struct err err;

	f->entry.stored = false;
	expect_err(state_change(&f->env, STATE_FORGET, &f->entry, &f->out, &err), ERR_NOTFOUND);
}

static void
test_show_escapes(void **state)
{
	struct fixture *f = *state;
	struct ckpt *c = stored(f);
	struct err err;

	c->streams[0].failures = 2;
	ok(ckpt_set_str(&c->streams[0].last_error, "a\nb\x1b[31m", &err));
	ok(ckpt_event_add(c, T0, "x", "y", "z\r\n", &err));
	state_show(c, NOW, &f->out);
	assert_non_null(strstr(buf_cstr(&f->out), "failing since 2 runs: a\\nb\\u001b[31m\n"));
	assert_null(strchr(buf_cstr(&f->out), '\x1b'));
	assert_null(strchr(buf_cstr(&f->out), '\r'));
	ckpt_free(c);
}

int
main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
	    T(test_rewind),
	    T(test_only_one_sink),
	    T(test_what_is_yet_to_come_is_not_done_again),
	    T(test_too_far_back),
	    T(test_skip),
	    T(test_a_live_lease),
	    T(test_a_lease_that_is_over),
	    T(test_overtaken),
	    T(test_dry_run),
	    T(test_forget),
	    T(test_there_is_none),
	    T(test_show_escapes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
