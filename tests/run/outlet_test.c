/*
 * Opening sinks: a store that is in trouble for a moment is asked again, one that refuses is not.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/cleanup.h"
#include "run/outlet.h"

/* A bucket that is in trouble at first, and then holds a probe object and keeps to conditions. */
struct bucket {
	struct transport base;
	enum err_kind trouble;
	int left;	  /* of it */
	int64_t takes_ms; /* to say so */
	int creates;	  /* how often somebody tried to open */
	struct clock *clock;
	int64_t begun_ms[OUTLET_OPENINGS + 1];
};

static int
bucket_send(struct transport *t, const struct http_req *req, struct http_resp *resp,
	    struct err *err)
{
	struct bucket *b = (struct bucket *)t;
	bool create = false;

	for (size_t i = 0; i < req->n_headers; i++)
		create = create || !strcmp(req->headers[i].name, "If-None-Match");
	if (create) {
		assert_true(b->creates <= OUTLET_OPENINGS);
		b->begun_ms[b->creates++] = clock_mono_ms(b->clock);
	}
	if (b->left) {
		b->left--;
		clock_fake_advance(b->clock, b->takes_ms);
		return err_set(err, b->trouble, "told to fail");
	}
	resp->status = 200;
	if (!strcmp(req->method, "PUT")) {
		resp->status = 412;
		return err_set(err, ERR_CONFLICT, "PreconditionFailed");
	}
	buf_str(&resp->headers, "etag: \"e\"\n");
	return 0;
}

/* Nothing here signs. */
static int
get_nothing(struct cred_source *s, const char *stale, struct cred *ret, struct err *err)
{
	(void)s;
	(void)stale;
	(void)ret;
	return err_set(err, ERR_AUTH, "no keys");
}

static void
bucket_open(struct bucket *b, struct outlet **ret)
{
	static const struct transport_ops ops = {.name = "bucket", .send = bucket_send};
	static const struct sink_conf conf = {
	    .name = "lake", .kind = SINK_OBJECTS, .url = "s3://bucket"};
	static const struct cred_source_ops no_ops = {.name = "none", .get = get_nothing};
	static struct cred_source none = {&no_ops};
	const struct sink_env env = {.transport = &b->base,
				     .base_creds = &none,
				     .clock = b->clock,
				     .region = "eu-west-1",
				     .stdout_fd = -1};
	struct err err = {0};

	b->base.ops = &ops;
	assert_int_equal(outlets_open(&conf, 1, &env, ret, &err), 0);
}

static void
assert_opened_after(enum err_kind trouble, int failures, int creates)
{
	struct bucket b = {.trouble = trouble, .left = failures, .clock = clock_fake_new(0)};
	struct outlet *o = NULL;
	int64_t wait = 1000;

	bucket_open(&b, &o);
	assert_int_equal(b.creates, creates);
	for (int i = 1; i < creates; i++, wait *= 2)
		assert_int_equal(b.begun_ms[i] - b.begun_ms[i - 1], wait);
	assert_int_equal(o->sink != NULL, creates > failures);
	assert_int_equal(o->why.kind, o->sink ? ERR_NONE : trouble);
	if (!o->sink)
		assert_string_equal(o->why.msg,
				    "sink lake: store s3://bucket: PutObject: told to fail");
	outlets_free(o, 1);
	clock_fake_free(b.clock);
}

static void
a_moment_of_trouble_closes_no_sink(void **state)
{
	(void)state;
	assert_opened_after(ERR_NONE, 0, 1);
	assert_opened_after(ERR_TRANSIENT, 1, 2);
	assert_opened_after(ERR_THROTTLED, OUTLET_OPENINGS - 1, OUTLET_OPENINGS);
}

static void
trouble_has_an_end(void **state)
{
	(void)state;
	assert_opened_after(ERR_TRANSIENT, OUTLET_OPENINGS, OUTLET_OPENINGS);
}

static void
silence_is_not_listened_to_for_ever(void **state)
{
	struct bucket b = {
	    .trouble = ERR_TRANSIENT, .left = 9, .takes_ms = 8000, .clock = clock_fake_new(0)};
	struct outlet *o = NULL;

	(void)state;
	bucket_open(&b, &o);
	assert_int_equal(b.creates, 2);
	assert_null(o->sink);
	outlets_free(o, 1);
	clock_fake_free(b.clock);
}

static void
what_will_not_pass_is_not_waited_for(void **state)
{
	(void)state;
	assert_opened_after(ERR_AUTH, 1, 1);
	assert_opened_after(ERR_LOCAL, 1, 1);
}

static void
a_run_that_is_told_to_end_waits_for_nothing(void **state)
{
	struct bucket b = {.trouble = ERR_TRANSIENT, .left = 1, .clock = clock_fake_new(0)};
	struct outlet *o = NULL;

	(void)state;
	clock_cancel(b.clock, SIGTERM);
	bucket_open(&b, &o);
	assert_int_equal(b.creates, 1);
	assert_null(o->sink);
	outlets_free(o, 1);
	clock_fake_free(b.clock);
}

/* ---- cells that fail ---- */

struct failing {
	struct sink base;
	enum err_kind kind;
	unsigned tried;
};

static int
fail_publish(struct sink *s, const struct publish *p, const struct cell_data *d,
	     struct published *ret, struct err *err)
{
	struct failing *f = (struct failing *)s;

	(void)p;
	(void)d;
	(void)ret;
	f->tried++;
	return err_set(err, f->kind, "told to fail");
}

static void
free_nothing(struct sink *s)
{
	(void)s;
}

/* How many of the cells are tried that come after as many failures as make a sink count as down. */
static unsigned
tried_after_failures(const struct sink_conf *conf, enum err_kind kind)
{
	static const struct sink_ops ops = {.publish = fail_publish, .free = free_nothing};
	struct failing sink = {.base = {.ops = &ops}, .kind = kind};
	struct outlet o = {.conf = conf, .sink = &sink.base, .clock = clock_fake_new(0)};
	struct publish p = {0};
	struct cell_data d = {.n_lines = 0};
	struct published ret;
	struct err err = {0};

	(void)pthread_mutex_init(&o.locked.mu, NULL);
	for (int i = 0; i < OUTLET_FAILURES + 2; i++) {
		assert_int_equal(outlet_publish(&o, &p, &d, &ret, &err), -1);
		assert_int_equal(err.kind, kind);
		err_clear(&err);
	}
	(void)pthread_mutex_destroy(&o.locked.mu);
	clock_fake_free(o.clock);
	return sink.tried - OUTLET_FAILURES;
}

/* What one cell has no room for here, others may: unless it is here that all of them go. */
static void
trouble_of_this_machine_is_not_the_bucket_s(void **state)
{
	static const struct {
		struct sink_conf conf;
		enum err_kind kind;
		unsigned tried;
	} cases[] = {
	    {{.name = "s3", .kind = SINK_OBJECTS, .url = "s3://bucket"}, ERR_LOCAL, 2},
	    {{.name = "s3", .kind = SINK_OBJECTS, .url = "s3://bucket"}, ERR_TRANSIENT, 0},
	    {{.name = "amp", .kind = SINK_REMOTE_WRITE, .url = "https://a"}, ERR_LOCAL, 2},
	    {{.name = "amp", .kind = SINK_REMOTE_WRITE, .url = "https://a"}, ERR_DATA, 2},
	    {{.name = "disk", .kind = SINK_OBJECTS, .url = "file:///lake"}, ERR_LOCAL, 0},
	    {{.name = "out", .kind = SINK_STDOUT}, ERR_LOCAL, 0},
	    {{.name = "text", .kind = SINK_OPENMETRICS, .url = "s3://b/t"}, ERR_LOCAL, 2},
	    {{.name = "text", .kind = SINK_OPENMETRICS, .url = "file:///t"}, ERR_LOCAL, 0},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		assert_int_equal(tried_after_failures(&cases[i].conf, cases[i].kind),
				 cases[i].tried);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_moment_of_trouble_closes_no_sink),
	    cmocka_unit_test(trouble_has_an_end),
	    cmocka_unit_test(silence_is_not_listened_to_for_ever),
	    cmocka_unit_test(what_will_not_pass_is_not_waited_for),
	    cmocka_unit_test(a_run_that_is_told_to_end_waits_for_nothing),
	    cmocka_unit_test(trouble_of_this_machine_is_not_the_bucket_s),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
