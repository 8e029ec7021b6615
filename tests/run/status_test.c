/*
 * How everything stands: what is gathered from configuration and checkpoints, and what is said of
 * it, with hostile names and words among them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/hash.h"
#include "base/utf8.h"
#include "fmt/json.h"
#include "run/status.h"

#define MINUTE INT64_C(60000)
#define HOUR   (60 * MINUTE)
#define T0     INT64_C(1767225600000) /* 2026-01-01T00:00:00Z */
#define EVERY  (5 * MINUTE)

#define ok(call)                                                                                   \
	do {                                                                                       \
		if ((call) < 0)                                                                    \
			fail_msg("%s: %s", #call, err.msg);                                        \
	} while (0)

/* Three tenants with two jobs, of which globex has one only. */
static const char three[] =
    "region: eu-west-1\n"
    "state: file:///nowhere\n"
    "defaults: {role: r, external_id: none}\n"
    "tenants:\n"
    "  - {id: acme, account: \"111122223333\"}\n"
    "  - {id: globex, account: \"222233334444\", jobs: [ecs]}\n"
    "  - {id: initech, account: \"333344445555\", regions: [eu-west-1, us-east-1]}\n"
    "jobs:\n"
    "  ecs: {kind: metrics, to: [amp, lake]}\n"
    "  logs: {kind: insights, log_groups: [\"/x\"], query: \"fields @message\", to: [lake]}\n"
    "sinks:\n"
    "  amp: {kind: remote_write, url: \"http://127.0.0.1:9/w\"}\n"
    "  lake: {kind: objects, url: \"file:///nowhere/lake\"}\n";

struct fixture {
	struct config *config;
	struct store *store;
	struct status *st;
};

static struct config *
config_of(const char *text)
{
	char path[] = "/tmp/status_test.XXXXXX";
	struct conf_faults *f = conf_faults_new();
	struct config *c = NULL;
	struct err err = {0};
	int fd = mkstemp(path);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	(void)close(fd);
	if (config_load(path, &c, f, &err))
		fail_msg("%s %s", err.msg, conf_faults_count(f) ? conf_faults_get(f, 0) : "");
	conf_faults_free(f);
	(void)unlink(path);
	return c;
}

static void
setup(struct fixture *f, const char *text)
{
	*f = (struct fixture){.config = config_of(text)};
	assert_int_equal(store_mem_new(&f->store, NULL), 0);
}

static void
teardown(struct fixture *f)
{
	status_free(f->st);
	store_free(f->store);
	config_free(f->config);
}

static void
gather(struct fixture *f, const struct options *select, int64_t now)
{
	struct err err = {0};

	status_free(f->st);
	f->st = NULL;
	ok(status_gather(f->config, f->store, select, now, now, &f->st, &err));
}

/* A checkpoint whose cursors of amp and lake are so many cells after T0. */
static struct ckpt *
make(const char *tenant, const char *job, const char *region, int amp, int lake)
{
	struct ckpt *c = ckpt_new(tenant, job);
	struct ckpt_stream *s;
	struct err err = {0};

	s = ckpt_stream_add(c, region, T0, EVERY, &err);
	assert_non_null(s);
	assert_non_null(ckpt_sink_add(s, "lake", T0 + lake * EVERY, &err));
	if (amp >= 0)
		assert_non_null(ckpt_sink_add(s, "amp", T0 + amp * EVERY, &err));
	s->last_success_ms = T0 + HOUR;
	return c;
}

static void
save(struct fixture *f, struct ckpt *c)
{
	struct err err = {0};

	ok(ckpt_save(f->store, "", c, &err));
	ckpt_free(c);
}

static void
put(struct fixture *f, const char *key, const char *text)
{
	const struct store_put opt = {.cond = STORE_ANY};
	struct err err = {0};

	ok(store_put(f->store, key, sv_of(text), &opt, NULL, &err));
}

static int
count_key(const char *key, void *arg)
{
	(void)key;
	++*(size_t *)arg;
	return 0;
}

static size_t
count_keys(struct fixture *f)
{
	struct err err = {0};
	size_t n = 0;

	ok(f->store->ops->list(f->store, "", count_key, &n, &err));
	return n;
}

static const struct status_stream *
find(const struct fixture *f, const char *tenant, const char *job, const char *region)
{
	for (size_t i = 0; i < f->st->n_streams; i++) {
		const struct status_stream *s = &f->st->streams[i];

		if (!strcmp(s->entry->tenant, tenant) && !strcmp(s->entry->name, job) &&
		    !strcmp(s->region, region))
			return s;
	}
	fail_msg("no stream %s %s %s", tenant, job, region);
	return NULL;
}

static void
expect_table(const struct fixture *f, const char *want)
{
	struct buf text = BUF_INIT(1 << 20);

	status_table(f->st, &text);
	assert_string_equal(buf_cstr(&text), want);
	buf_done(&text);
}

static void
test_nothing_has_run(void **state)
{
	struct fixture f;

	(void)state;
	setup(&f, three);
	gather(&f, NULL, T0);
	assert_int_equal(f.st->n_streams, 7); /* acme 2, globex 1, initech 2 x 2 */
	assert_int_equal(f.st->totals.tenants, 3);
	for (size_t i = 0; i < f.st->n_streams; i++) {
		assert_int_equal(f.st->streams[i].result, STATUS_NEVER);
		assert_true(status_lags(&f.st->streams[i], INT64_MAX));
	}
	teardown(&f);

	/* Without any state at all it is the same. */
	setup(&f, three);
	store_free(f.store);
	f.store = NULL;
	{
		struct err err = {0};

		ok(status_gather(f.config, NULL, NULL, T0, T0, &f.st, &err));
	}
	assert_int_equal(f.st->n_streams, 7);
	status_free(f.st);
	config_free(f.config);
}

/* Each kind of trouble, in its place and in words. */
static void
test_table(void **state)
{
	struct fixture f;
	struct ckpt *c;
	struct err err = {0};

	(void)state;
	setup(&f, three);
	c = make("acme", "ecs", "eu-west-1", 10, 12);
	c->streams[0].failures = 3;
	ok(ckpt_set_str(&c->streams[0].last_error,
			"GetMetricData: AccessDenied: not authorized to perform", &err));
	c->streams[0].counters = (struct ckpt_counters){
	    .cells = 12, .rows = 1234, .samples_frozen = 56789000, .metrics_requested = 100000};
	ok(ckpt_gap_add(&c->streams[0], "amp", (struct cell){T0, T0 + HOUR}, "max_catchup", T0,
			&err));
	save(&f, c);
	c = make("acme", "logs", "eu-west-1", -1, 11);
	c->streams[0].counters.bytes_scanned = 50000000000;
	ok(ckpt_set_str(&c->lease.owner, "run-7", &err));
	ok(ckpt_set_str(&c->lease.host, "box", &err));
	c->lease.since_ms = T0 + HOUR;
	c->lease.until_ms = T0 + 2 * HOUR;
	ok(ckpt_event_add(c, T0 + 30 * MINUTE, "ann@ops", "skip eu-west-1 lake", "disk full",
			  &err));
	save(&f, c);
	save(&f, make("globex", "ecs", "eu-west-1", 12, 12));
	save(&f, make("initech", "ecs", "eu-west-1", 12, 12));
	put(&f, "tenants/initech/logs.json", "{}");
	save(&f, make("gone", "ecs", "eu-west-1", 1, 1));

	gather(&f, NULL, T0 + HOUR + 5 * MINUTE);
	expect_table(
	    &f,
	    "TENANT  JOB  REGION    WATERMARK   LAG LAST      GAPS CELLS ROWS SAMPLES  COST\n"
	    "initech logs eu-west-1 -             - damaged\n"
	    "    damage: checkpoint: /format: missing, expected a string\n"
	    "    do: Nothing: the next run keeps what there is and goes on from what is frozen in "
	    "the lake\n"
	    "        (without a lake, as far back as can be caught up).\n"
	    "initech logs us-east-1 -             - damaged\n"
	    "    damage: checkpoint: /format: missing, expected a string\n"
	    "    do: Nothing: the next run keeps what there is and goes on from what is frozen in "
	    "the lake\n"
	    "        (without a lake, as far back as can be caught up).\n"
	    "acme    ecs  eu-west-1 01-01 00:50 15m failing 3   1h    12 1.2k   56.8M $1.00\n"
	    "    error: GetMetricData: AccessDenied: not authorized to perform\n"
	    "    do: Give the role the permission that the message names.\n"
	    "    sink: amp is at 01-01 00:50, 15m behind\n"
	    "    sink: lake is at 01-01 01:00, 5m behind\n"
	    "    gap: 1h from 01-01 00:00 for amp: max_catchup\n"
	    "initech ecs  us-east-1 -             - never ran\n"
	    "acme    logs eu-west-1 01-01 00:55 10m running            0    0       0 $0.25\n"
	    "    lease: run run-7 on box since 01-01 01:00\n"
	    "    changed: 01-01 00:30 by ann@ops: skip eu-west-1 lake (disk full)\n"
	    "globex  ecs  eu-west-1 01-01 01:00  5m ok                 0    0       0 $0.00\n"
	    "initech ecs  eu-west-1 01-01 01:00  5m ok                 0    0       0 $0.00\n"
	    "gone    ecs  eu-west-1 01-01 00:05  1h left               0    0       0 $0.00\n"
	    "    do: If it is gone for good: muster state forget (the lake is not touched).\n"
	    "\n"
	    "total: 4 tenants, 8 streams: 2 damaged, 1 failing, 1 never ran, 1 running, 2 ok, 1 "
	    "left\n"
	    "since the beginning: 1.2k rows, 56.8M samples, $1.25 estimated\n"
	    "gaps: 1, 1h together\n"
	    "furthest behind: acme ecs eu-west-1, 15m\n");
	teardown(&f);
}

/* Looking changes nothing, whatever there is to see. */
static void
test_writes_nothing(void **state)
{
	struct fixture f;
	const struct status_stream *s;

	(void)state;
	setup(&f, three);
	save(&f, make("acme", "ecs", "eu-west-1", 3, 3));
	put(&f, "tenants/acme/ecs.damaged-0123456789abcdef.json", "x");
	put(&f, "tenants/acme/logs.json", "torn");
	put(&f, "tenants/stray", "x");
	put(&f, "tenants/acme/deeper/x.json", "x");
	put(&f, "tenants/acme/notes.txt", "x");
	gather(&f, NULL, T0 + HOUR);
	assert_int_equal(count_keys(&f), 6);
	assert_int_equal(f.st->totals.streams, 7); /* strays are no streams */
	s = find(&f, "acme", "ecs", "eu-west-1");
	assert_int_equal(s->result, STATUS_OK);
	assert_int_equal(s->entry->set_aside, 1);
	assert_int_equal(find(&f, "acme", "logs", "eu-west-1")->result, STATUS_DAMAGED);
	teardown(&f);
}

/* The one before is told from, and said to be. */
static void
test_damaged_with_prev(void **state)
{
	struct buf text = BUF_INIT(CKPT_MAX);
	const struct status_stream *s;
	struct err err = {0};
	struct fixture f;
	struct ckpt *c;

	(void)state;
	setup(&f, three);
	c = make("acme", "ecs", "eu-west-1", 3, 3);
	ok(ckpt_save(f.store, "", c, &err));
	ok(ckpt_keep_prev(f.store, "", c, &err));
	ckpt_free(c);
	put(&f, "tenants/acme/ecs.json", "torn");
	gather(&f, NULL, T0 + HOUR);
	s = find(&f, "acme", "ecs", "eu-west-1");
	assert_int_equal(s->result, STATUS_DAMAGED);
	assert_true(s->entry->from_prev);
	assert_int_equal(s->lag_ms, 45 * MINUTE);
	assert_true(status_lags(s, 44 * MINUTE));
	assert_false(status_lags(s, 45 * MINUTE));

	ok(f.store->ops->del(f.store, "tenants/acme/ecs.json", &err));
	gather(&f, NULL, T0 + HOUR);
	s = find(&f, "acme", "ecs", "eu-west-1");
	assert_string_equal(status_trouble(s), "the checkpoint is missing");

	put(&f, "tenants/acme/ecs.prev.json", "torn too");
	gather(&f, NULL, T0 + HOUR);
	s = find(&f, "acme", "ecs", "eu-west-1");
	assert_int_equal(s->result, STATUS_DAMAGED);
	assert_null(s->s);
	assert_true(status_lags(s, 100 * HOUR));
	buf_done(&text);
	teardown(&f);
}

/* It is whole, and not for us to read; with a wrong checksum it would be damage. */
static void
test_newer_version_is_not_damage(void **state)
{
	static const char bare[] = "{\"format\":\"muster-checkpoint\",\"version\":999}";
	char hex[SHA256_HEX_LEN + 1], text[256];
	struct fixture f;

	(void)state;
	setup(&f, three);
	sha256_hex(sv_of(bare), hex);
	(void)snprintf(text, sizeof(text), "%.*s,\"checksum\":\"sha256:%s\"}",
		       (int)strlen(bare) - 1, bare, hex);
	put(&f, "tenants/acme/ecs.json", text);
	gather(&f, NULL, T0 + HOUR);
	assert_string_equal(status_word(find(&f, "acme", "ecs", "eu-west-1")), "unreadable");
	assert_non_null(strstr(status_advice(find(&f, "acme", "ecs", "eu-west-1")), "newer"));
	text[strlen(text) - 3] ^= 1;
	put(&f, "tenants/acme/ecs.json", text);
	gather(&f, NULL, T0 + HOUR);
	assert_string_equal(status_word(find(&f, "acme", "ecs", "eu-west-1")), "damaged");
	teardown(&f);
}

/* A sink, a region and a job that the configuration no longer has hold nothing back. */
static void
test_what_was_taken_out(void **state)
{
	const struct status_stream *s;
	struct fixture f;
	struct ckpt *c;
	struct err err = {0};

	(void)state;
	setup(&f, three);
	c = make("acme", "ecs", "eu-west-1", 12, 12);
	assert_non_null(ckpt_sink_add(&c->streams[0], "old", T0, &err));
	assert_non_null(ckpt_stream_add(c, "us-west-2", T0, EVERY, &err));
	save(&f, c);
	save(&f, make("globex", "logs", "eu-west-1", -1, 1));
	gather(&f, NULL, T0 + 2 * HOUR);
	s = find(&f, "acme", "ecs", "eu-west-1");
	assert_int_equal(s->lag_ms, HOUR);
	assert_int_equal(find(&f, "acme", "ecs", "us-west-2")->result, STATUS_LEFT);
	assert_int_equal(find(&f, "globex", "logs", "eu-west-1")->result, STATUS_LEFT);
	assert_false(status_lags(find(&f, "globex", "logs", "eu-west-1"), 0));
	assert_int_equal(f.st->totals.furthest->lag_ms, HOUR);
	teardown(&f);
}

static void
test_unfinished(void **state)
{
	const struct status_stream *s;
	struct fixture f;
	struct ckpt *c;
	struct err err = {0};

	(void)state;
	setup(&f, three);
	c = make("acme", "ecs", "eu-west-1", 0, 0);
	c->streams[0].last_success_ms = 0;
	ok(ckpt_set_str(&c->lease.owner, "dead", &err));
	c->lease.until_ms = T0 + HOUR;
	save(&f, c);
	gather(&f, NULL, T0 + HOUR - 1);
	assert_int_equal(find(&f, "acme", "ecs", "eu-west-1")->result, STATUS_RUNNING);
	gather(&f, NULL, T0 + HOUR);
	s = find(&f, "acme", "ecs", "eu-west-1");
	assert_int_equal(s->result, STATUS_UNFINISHED);
	assert_false(s->held);
	teardown(&f);
}

/* A run was told a wrong present: health checks must not be green until that has come. */
static void
test_ahead(void **state)
{
	const struct status_stream *s;
	struct fixture f;

	(void)state;
	setup(&f, three);
	save(&f, make("acme", "ecs", "eu-west-1", 12, 12));
	gather(&f, NULL, T0 + 12 * EVERY - 15 * MINUTE);
	s = find(&f, "acme", "ecs", "eu-west-1");
	assert_int_equal(s->result, STATUS_OK);
	assert_false(status_lags(s, 0));
	gather(&f, NULL, T0 + 12 * EVERY - 15 * MINUTE - 1);
	s = find(&f, "acme", "ecs", "eu-west-1");
	assert_int_equal(s->result, STATUS_AHEAD);
	assert_string_equal(status_word(s), "ahead");
	assert_non_null(strstr(status_advice(s), "muster state rewind"));
	assert_true(status_lags(s, INT64_MAX));
	teardown(&f);
}

static void
test_selection(void **state)
{
	struct options o = {.shards = 1, .tenants = {"a*", "g*"}, .n_tenants = 2};
	struct err err = {0};
	struct fixture f;

	(void)state;
	setup(&f, three);
	save(&f, make("gone", "ecs", "eu-west-1", 1, 1));
	gather(&f, &o, T0 + HOUR);
	assert_int_equal(f.st->totals.tenants, 3); /* acme, globex and gone */
	o.jobs[0] = "logs";
	o.n_jobs = 1;
	gather(&f, &o, T0 + HOUR);
	assert_int_equal(f.st->n_streams, 1);
	o.tenants[1] = "nobody";
	status_free(f.st);
	f.st = NULL;
	assert_int_equal(status_gather(f.config, f.store, &o, T0, T0, &f.st, &err), -1);
	assert_int_equal(err.kind, ERR_USAGE);
	assert_non_null(strstr(err.msg, "--tenant nobody"));
	teardown(&f);
}

/* A store that answers nothing. */
static int
no_list(struct store *s, const char *prefix, int (*fn)(const char *key, void *arg), void *arg,
	struct err *err)
{
	(void)s;
	(void)prefix;
	(void)fn;
	(void)arg;
	return err_set(err, ERR_AUTH, "AccessDenied");
}

static int
one_key(struct store *s, const char *prefix, int (*fn)(const char *key, void *arg), void *arg,
	struct err *err)
{
	(void)s;
	(void)prefix;
	(void)err;
	(void)fn("tenants/acme/ecs.json", arg);
	return 0;
}

static int
no_get(struct store *s, const char *key, const char *const *want, struct buf *out,
       struct store_info *info, struct err *err)
{
	(void)s;
	(void)key;
	(void)want;
	(void)out;
	(void)info;
	return err_set(err, ERR_AUTH, "AccessDenied");
}

static void
test_a_store_that_refuses(void **state)
{
	const struct store_ops deaf = {.list = no_list}, blind = {.list = one_key, .get = no_get};
	struct store store = {.ops = &deaf};
	struct config *c = config_of(three);
	struct status *st = NULL;
	struct err err = {0};

	(void)state;
	assert_int_equal(status_gather(c, &store, NULL, T0, T0, &st, &err), -1);
	assert_int_equal(err.kind, ERR_AUTH);
	store.ops = &blind;
	assert_int_equal(status_gather(c, &store, NULL, T0, T0, &st, &err), -1);
	assert_int_equal(err.kind, ERR_AUTH);
	config_free(c);
}

static void
test_json(void **state)
{
	struct buf text = BUF_INIT(1 << 20);
	json_t *doc, *streams, *s;
	struct err err = {0};
	struct fixture f;
	struct ckpt *c;

	(void)state;
	setup(&f, three);
	c = make("acme", "ecs", "eu-west-1", 10, 12);
	c->streams[0].counters.samples_frozen = 5;
	c->streams[0].sinks[0].acked = 7;
	ok(ckpt_gap_add(&c->streams[0], "", (struct cell){T0, T0 + EVERY}, "why", T0 + 1, &err));
	save(&f, c);
	gather(&f, NULL, T0 + HOUR);
	ok(status_json(f.st, 9 * MINUTE, &text, &err));
	ok(json_parse(buf_view(&text), "status", &doc, &err));
	assert_string_equal(json_string_value(json_object_get(doc, "now")),
			    "2026-01-01T01:00:00.000Z");
	streams = json_object_get(doc, "streams");
	assert_int_equal(json_array_size(streams), 7);
	s = json_array_get(streams, 6); /* what is well comes last */
	assert_string_equal(json_string_value(json_object_get(s, "result")), "ok");
	assert_true(json_is_true(json_object_get(s, "lagging")));
	assert_int_equal(json_integer_value(json_object_get(s, "lag_seconds")), 600);
	assert_true(json_is_null(json_object_get(s, "error")));
	assert_int_equal(
	    json_integer_value(json_object_get(json_object_get(s, "totals"), "samples")), 5);
	assert_int_equal(json_integer_value(json_object_get(
			     json_object_get(json_object_get(s, "sinks"), "amp"), "acked")),
			 7);
	s = json_array_get(json_object_get(s, "gaps"), 0);
	assert_true(json_is_null(json_object_get(s, "sink")));
	assert_string_equal(json_string_value(json_object_get(s, "reason")), "why");
	assert_int_equal(
	    json_integer_value(json_object_get(
		json_object_get(json_object_get(doc, "totals"), "results"), "never ran")),
	    6);
	json_decref(doc);
	buf_done(&text);
	teardown(&f);
}

/* No line is wider than it may be, and nothing that a service said moves the cursor. */
static void
check_lines(struct sv text)
{
	size_t width = 0;
	uint32_t cp;

	while (text.n) {
		size_t n = utf8_next(text, &cp);

		assert_true(cp == '\n' || (cp >= 0x20 && cp != 0x7f && cp != 0x9b && cp != 0x202e));
		width = cp == '\n' ? 0 : width + 1;
		assert_true(width <= STATUS_COLUMNS);
		text.p += n;
		text.n -= n;
	}
}

static void
test_hostile_and_wide(void **state)
{
	static const char word[] =
	    "x\x1b[31m \r\n\xc2\x9b \xe2\x80\xae \xff tail "
	    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	    "aaaa"
	    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa \xc3\xa4\xc3\xa4";
	struct buf text = BUF_INIT(1 << 22);
	struct err err = {0};
	struct fixture f;
	char name[64];

	(void)state;
	setup(&f, three);
	for (int i = 0; i < 50; i++) {
		struct ckpt *c;

		memset(name, 'a' + i % 26, 62);
		name[60] = (char)('0' + i / 10);
		name[61] = (char)('0' + i % 10);
		name[62] = '\0';
		c = make(name, name, "ap-southeast-2", i % 12, 12);
		c->streams[0].failures = 1000000;
		c->streams[0].first_ms = 0;
		c->streams[0].counters = (struct ckpt_counters){
		    INT64_MAX, 1, INT64_MAX, INT64_MAX, 1, 1, 1, 1, INT64_MAX, 1};
		ok(ckpt_set_str(&c->streams[0].last_error, word, &err));
		ok(ckpt_gap_add(&c->streams[0], "amp", (struct cell){T0, T0 + EVERY}, word, 1,
				&err));
		ok(ckpt_event_add(c, 0, word, word, word, &err));
		save(&f, c);
	}
	put(&f, "tenants/acme/ecs.json", "\x1b[2J");
	gather(&f, NULL, T0 + 400 * 24 * HOUR);
	status_table(f.st, &text);
	assert_true(buf_ok(&text));
	check_lines(buf_view(&text));
	assert_non_null(strstr(buf_cstr(&text), "a26 ")); /* the ends of names that were cut */
	buf_reset(&text);
	ok(status_json(f.st, -1, &text, &err));
	buf_done(&text);
	teardown(&f);
}

static void
test_words(void **state)
{
	static const struct {
		int64_t ms;
		const char *want;
	} durations[] = {{0, "0s"},	      {999, "0s"},
			 {59999, "59s"},      {MINUTE, "1m"},
			 {HOUR, "1h"},	      {3 * HOUR + 5 * MINUTE + 9000, "3h5m"},
			 {51 * HOUR, "2d3h"}, {48 * HOUR + 59 * MINUTE, "2d"},
			 {-5 * MINUTE, "-5m"}};
	static const struct {
		uint64_t n;
		const char *want;
	} counts[] = {{0, "0"},		 {999, "999"},	     {1000, "1.0k"},   {12345, "12.3k"},
		      {99949, "99.9k"},	 {99950, "100k"},    {999499, "999k"}, {999960, "1.0M"},
		      {1000000, "1.0M"}, {INT64_MAX, "9.2E"}};
	char text[48];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(durations); i++) {
		status_duration(durations[i].ms, text);
		assert_string_equal(text, durations[i].want);
	}
	for (size_t i = 0; i < ARRAY_LEN(counts); i++) {
		status_count(counts[i].n, text);
		assert_string_equal(text, counts[i].want);
	}
}

/* More than the readers can take at once, and all of them read. */
static void
test_thousand(void **state)
{
	struct fixture f;
	char name[16];

	(void)state;
	setup(&f, three);
	for (int i = 0; i < 1000; i++) {
		(void)snprintf(name, sizeof(name), "t%04d", i);
		save(&f, make(name, "ecs", "eu-west-1", i % 12, 12));
	}
	gather(&f, NULL, T0 + HOUR);
	assert_int_equal(f.st->totals.of[STATUS_LEFT], 1000);
	for (size_t i = 0; i < 1000; i++) {
		(void)snprintf(name, sizeof(name), "t%04zu", i);
		assert_int_equal(find(&f, name, "ecs", "eu-west-1")->lag_ms,
				 HOUR - (int64_t)(i % 12) * EVERY);
	}
	teardown(&f);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_nothing_has_run),
	    cmocka_unit_test(test_table),
	    cmocka_unit_test(test_writes_nothing),
	    cmocka_unit_test(test_damaged_with_prev),
	    cmocka_unit_test(test_newer_version_is_not_damage),
	    cmocka_unit_test(test_what_was_taken_out),
	    cmocka_unit_test(test_unfinished),
	    cmocka_unit_test(test_ahead),
	    cmocka_unit_test(test_selection),
	    cmocka_unit_test(test_a_store_that_refuses),
	    cmocka_unit_test(test_json),
	    cmocka_unit_test(test_hostile_and_wide),
	    cmocka_unit_test(test_words),
	    cmocka_unit_test(test_thousand),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
