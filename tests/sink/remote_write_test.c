/*
 * The remote-write sink against receivers of our own: the form of a request, who it says it is,
 * what each answer means, and that a refusal costs few requests.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "sink/rw_bisect.h"
#include "sink/sink.h"
#include "tests/sink/receiver.h"

#define MINUTE INT64_C(60000)
#define START  INT64_C(1767225600000)
#define NOW    (START + 2 * HOUR_MS)

/* ---- a cell of equal rows ---- */

struct plain {
	size_t n_rows, n_vals;
	struct series *series;
	struct label *labels;
	char (*host)[32];
	double *values;
	struct sample_row *rows;
	struct cell_data d;
};

static void
plain_init(struct plain *c, size_t n_rows, size_t n_vals, int64_t period_ms)
{
	*c = (struct plain){.n_rows = n_rows, .n_vals = n_vals};
	c->series = calloc(n_rows, sizeof(*c->series));
	c->labels = calloc(n_rows, sizeof(*c->labels));
	c->host = calloc(n_rows, sizeof(*c->host));
	c->values = calloc(n_rows * n_vals, sizeof(*c->values));
	c->rows = calloc(n_rows, sizeof(*c->rows));
	assert_true(c->series && c->labels && c->host && c->values && c->rows);
	for (size_t r = 0; r < n_rows; r++) {
		(void)snprintf(c->host[r], sizeof(c->host[r]), "h%05zu", r);
		c->labels[r] = (struct label){"host", c->host[r]};
		c->series[r] = (struct series){
		    .name = "up", .labels = &c->labels[r], .n_labels = 1, .period_ms = period_ms};
		for (size_t i = 0; i < n_vals; i++)
			c->values[r * n_vals + i] = (double)i;
		c->rows[r] =
		    (struct sample_row){&c->series[r], START, &c->values[r * n_vals], n_vals, NULL};
	}
	c->d = (struct cell_data){.rows = c->rows, .n_rows = n_rows};
}

static void
plain_done(struct plain *c)
{
	free(c->series);
	free(c->labels);
	free(c->host);
	free(c->values);
	free(c->rows);
}

/* ---- a sink and its world ---- */

struct refusals {
	size_t n;
	int status;
	char reason[RW_REASON_MAX];
	const struct series *series;
	int64_t ts;
};

static void
note(void *arg, const struct series *s, int64_t ts_ms, double value, int status, const char *reason)
{
	struct refusals *r = arg;

	(void)value;
	r->n++;
	r->series = s;
	r->ts = ts_ms;
	r->status = status;
	(void)snprintf(r->reason, sizeof(r->reason), "%s", reason);
}

static int
get_nothing(struct cred_source *s, const char *stale, struct cred *ret, struct err *err)
{
	(void)s;
	(void)stale;
	(void)ret;
	return err_set(err, ERR_AUTH, "no keys");
}
static const struct cred_source_ops base_ops = {.name = "base", .get = get_nothing};
static struct cred_source base_creds = {&base_ops};

struct bench {
	struct receiver *x;
	struct sink_conf conf;
	struct sink_env env;
	struct publish p;
	struct published done;
	struct refusals refusals;
	struct err err;
};

static void
bench_init(struct bench *b, enum receiver_habit habit, enum receiver_words words)
{
	*b = (struct bench){.x = receiver_new(habit, words)};
	assert_non_null(b->x);
	b->conf = (struct sink_conf){
	    .name = "r", .kind = SINK_REMOTE_WRITE, .url = "http://receiver:9090/api/v1/write"};
	b->env = (struct sink_env){.transport = &b->x->base,
				   .base_creds = &base_creds,
				   .clock = clock_real(),
				   .region = "eu-west-1",
				   .sts_endpoint = "http://sts",
				   .run_id = "run-1"};
	b->p = (struct publish){.job = "j",
				.tenant = "t",
				.account = "111122223333",
				.region = "eu-west-1",
				.definition = "",
				.now_ms = NOW,
				.reject = note};
}

static int
bench_publish(struct bench *b, const struct cell_data *d)
{
	struct sink *s;
	int rc;

	b->done = (struct published){0};
	b->refusals = (struct refusals){0};
	b->p.reject_arg = &b->refusals;
	if (sink_open(&b->conf, &b->env, &s, &b->err) < 0)
		fail_msg("%s", b->err.msg);
	rc = s->ops->publish(s, &b->p, d, &b->done, &b->err);
	assert_true(s->ops->ordered && s->ops->samples && !s->ops->read && !s->ops->write_rejected);
	sink_free(s);
	assert_false(b->x->malformed);
	return rc;
}

static void
bench_done(struct bench *b)
{
	transport_free(&b->x->base);
}

static void
assert_done(const struct bench *b, uint64_t acked, uint64_t already, uint64_t too_old,
	    uint64_t rejected)
{
	assert_int_equal(b->done.acked, acked);
	assert_int_equal(b->done.already, already);
	assert_int_equal(b->done.too_old, too_old);
	assert_int_equal(b->done.rejected, rejected);
	assert_int_equal(b->refusals.n, rejected);
}

/* ---- the form of a request ---- */

static void
test_request(void **state)
{
	static struct conf_pair pair = {"X-Scope-OrgID", "acme"};
	struct bench b;
	struct plain c;

	(void)state;
	bench_init(&b, HABIT_WHOLE, WORDS_BARE);
	b.conf.headers = (struct conf_map){&pair, 1};
	b.p.deadline_mono_ms = INT64_MAX;
	plain_init(&c, 3, 5, MINUTE);
	assert_int_equal(bench_publish(&b, &c.d), 0);
	assert_done(&b, 15, 0, 0, 0);
	assert_int_equal(b.x->requests, 1);
	assert_int_equal(b.done.requests, 1);
	assert_int_equal(b.done.bytes, b.x->last.body.n);
	assert_string_equal(b.x->last.method, "POST");
	assert_string_equal(b.x->last.url, b.conf.url);
	assert_string_equal(b.x->headers, "Content-Encoding: snappy\n"
					  "Content-Type: application/x-protobuf\n"
					  "X-Prometheus-Remote-Write-Version: 0.1.0\n"
					  "User-Agent: muster/" MUSTER_VERSION "\n"
					  "X-Scope-OrgID: acme\n");
	assert_int_equal(b.x->last.auth, AUTH_NONE);
	assert_int_equal(b.x->last.proto, PROTO_PLAIN);
	assert_true(b.x->last.retry_429);
	assert_int_equal(b.x->last.deadline_mono_ms, INT64_MAX);
	assert_string_equal(b.x->last.operation, "RemoteWrite");
	plain_done(&c);
	bench_done(&b);
}

static void
test_empty_cell(void **state)
{
	struct bench b;
	struct plain c;

	(void)state;
	bench_init(&b, HABIT_WHOLE, WORDS_BARE);
	plain_init(&c, 2, 2, MINUTE);
	for (size_t i = 0; i < 4; i++)
		c.values[i] = NAN;
	assert_int_equal(bench_publish(&b, &c.d), 0);
	c.d.n_rows = 0;
	assert_int_equal(bench_publish(&b, &c.d), 0);
	assert_int_equal(b.x->requests, 0);
	plain_done(&c);
	bench_done(&b);
}

static void
test_max_age_is_exact(void **state)
{
	struct bench b;
	struct plain c;

	(void)state;
	bench_init(&b, HABIT_WHOLE, WORDS_BARE);
	plain_init(&c, 2, 10, MINUTE);
	b.conf.max_age_ms = HOUR_MS;
	b.p.now_ms = START + HOUR_MS + 3 * MINUTE; /* the fourth sample is as old as may be */
	assert_int_equal(bench_publish(&b, &c.d), 0);
	assert_done(&b, 14, 0, 6, 0);
	b.p.now_ms += 1;
	b.p.maybe_sent = true;
	assert_int_equal(bench_publish(&b, &c.d), 0);
	assert_int_equal(b.done.too_old, 8);
	assert_int_equal(b.done.acked + b.done.already, 12);
	plain_done(&c);
	bench_done(&b);
}

/* A database without an out-of-order window takes nothing an hour behind its newest sample: all
 * series have to advance together. */
static void
test_a_day_goes_out_in_slabs(void **state)
{
	struct bench b;
	struct plain c;

	(void)state;
	bench_init(&b, HABIT_WHOLE, WORDS_BARE);
	plain_init(&c, 5, 24 * 60, MINUTE);
	assert_int_equal(bench_publish(&b, &c.d), 0);
	assert_done(&b, 5 * 24 * 60, 0, 0, 0);
	assert_int_equal(b.x->requests, 48);
	plain_done(&c);
	bench_done(&b);
}

static void
test_large_cells_are_cut(void **state)
{
	struct bench b;
	struct plain c;

	(void)state;
	bench_init(&b, HABIT_WHOLE, WORDS_BARE);
	plain_init(&c, 40, 3000, 500);
	assert_int_equal(bench_publish(&b, &c.d), 0);
	assert_done(&b, 120000, 0, 0, 0);
	assert_true(b.x->requests >= 2 && b.x->requests <= 4);
	assert_true(b.x->largest_raw <= RW_MAX_BODY && b.x->largest_raw > RW_MAX_BODY / 10 * 9);
	plain_done(&c);
	bench_done(&b);
}

static void
test_hostile_rows(void **state)
{
	struct bench b;
	struct plain c;

	(void)state;
	bench_init(&b, HABIT_WHOLE, WORDS_BARE);
	plain_init(&c, 1, 2, 0);
	assert_int_equal(bench_publish(&b, &c.d), -1);
	assert_int_equal(b.err.kind, ERR_DATA);
	plain_done(&c);
	plain_init(&c, 2, 2, MINUTE);
	c.rows[0].first_ms = INT64_MAX - 3 * MINUTE;
	c.rows[1].first_ms = INT64_MIN;
	assert_int_equal(bench_publish(&b, &c.d), 0);
	assert_int_equal(b.done.acked + b.done.rejected, 4);
	plain_done(&c);
	bench_done(&b);
}

/* ---- who it says it is ---- */

static void
test_basic(void **state)
{
	struct bench b;
	struct plain c;

	(void)state;
	bench_init(&b, HABIT_WHOLE, WORDS_BARE);
	plain_init(&c, 1, 1, MINUTE);
	b.conf.basic_user = "Aladdin";
	b.conf.basic_password = "open sesame";
	assert_int_equal(bench_publish(&b, &c.d), 0);
	assert_int_equal(b.x->last.auth, AUTH_HEADER);
	assert_string_equal(b.x->last_auth, "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
	b.x->fault_at = b.x->requests + 1;
	b.x->fault = FAULT_STATUS;
	b.x->fault_status = 401;
	assert_int_equal(bench_publish(&b, &c.d), -1);
	assert_int_equal(b.err.kind, ERR_AUTH);
	assert_null(strstr(b.err.msg, "sesame"));
	assert_null(strstr(b.err.msg, "QWxh"));
	plain_done(&c);
	bench_done(&b);
}

static void
write_token(const char *path, const char *text, int seconds)
{
	struct timespec times[2] = {{.tv_sec = 1000 + seconds}, {.tv_sec = 1000 + seconds}};
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
	assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
}

static void
test_bearer(void **state)
{
	char dir[] = "/tmp/muster-test-XXXXXX", path[64];
	struct bench b;
	struct plain c;
	struct sink *s;

	(void)state;
	assert_non_null(mkdtemp(dir));
	(void)snprintf(path, sizeof(path), "%s/token", dir);
	bench_init(&b, HABIT_ANY, WORDS_BARE);
	plain_init(&c, 1, 1, MINUTE);
	b.conf.bearer_token_file = path;
	assert_int_equal(sink_open(&b.conf, &b.env, &s, &b.err), -1);
	assert_int_equal(b.err.kind, ERR_LOCAL);
	write_token(path, " \n", 0);
	assert_int_equal(sink_open(&b.conf, &b.env, &s, &b.err), -1);
	write_token(path, "geheim zwei\n", 0);
	assert_int_equal(sink_open(&b.conf, &b.env, &s, &b.err), -1);
	assert_int_equal(b.err.kind, ERR_USAGE);
	assert_null(strstr(b.err.msg, "geheim"));

	write_token(path, "  first-token\n", 1);
	assert_int_equal(sink_open(&b.conf, &b.env, &s, &b.err), 0);
	b.done = (struct published){0};
	assert_int_equal(s->ops->publish(s, &b.p, &c.d, &b.done, &b.err), 0);
	assert_int_equal(b.x->last.auth, AUTH_HEADER);
	assert_string_equal(b.x->last_auth, "Bearer first-token");
	write_token(path, "second-token", 2);
	b.done = (struct published){0};
	assert_int_equal(s->ops->publish(s, &b.p, &c.d, &b.done, &b.err), 0);
	assert_string_equal(b.x->last_auth, "Bearer second-token");
	write_token(path, "bad\x01token", 3); /* half written, gone: the old one is used on */
	b.done = (struct published){0};
	assert_int_equal(s->ops->publish(s, &b.p, &c.d, &b.done, &b.err), 0);
	assert_string_equal(b.x->last_auth, "Bearer second-token");
	assert_int_equal(unlink(path), 0);
	b.done = (struct published){0};
	assert_int_equal(s->ops->publish(s, &b.p, &c.d, &b.done, &b.err), 0);
	assert_string_equal(b.x->last_auth, "Bearer second-token");
	sink_free(s);
	assert_int_equal(rmdir(dir), 0);
	plain_done(&c);
	bench_done(&b);
}

static void
test_regions(void **state)
{
	static const struct {
		const char *url, *conf, *want;
	} cases[] = {
	    {"https://aps-workspaces.ap-southeast-2.amazonaws.com/workspaces/ws-1/api/v1/"
	     "remote_write",
	     NULL, "ap-southeast-2"},
	    {"https://vpce-0a.aps-workspaces.us-east-1.vpce.amazonaws.com/workspaces/ws-1/api/v1/"
	     "remote_write",
	     NULL, "us-east-1"},
	    {"https://aps-workspaces-fips.us-gov-west-1.amazonaws.com/x", NULL, "us-gov-west-1"},
	    {"https://aps-workspaces.ap-southeast-2.amazonaws.com/x", "eu-north-1", "eu-north-1"},
	    {"http://localhost:9000/x", NULL, "eu-west-1"},
	    {"https://aps-workspaces.example.com/x", NULL, "eu-west-1"},
	};
	struct plain c;

	(void)state;
	plain_init(&c, 1, 1, MINUTE);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct bench b;

		bench_init(&b, HABIT_WHOLE, WORDS_BARE);
		b.conf.url = cases[i].url;
		b.conf.sigv4_service = "aps";
		b.conf.sigv4_region = cases[i].conf;
		b.conf.role = i % 2 ? NULL : "arn:aws:iam::444455556666:role/amp-writer";
		assert_int_equal(bench_publish(&b, &c.d), 0);
		assert_int_equal(b.x->last.auth, AUTH_SIGV4);
		assert_string_equal(b.x->last.service, "aps");
		assert_string_equal(b.x->last_region, cases[i].want);
		assert_true(i % 2 ? b.x->last.creds == &base_creds
				  : b.x->last.creds != &base_creds);
		bench_done(&b);
	}
	plain_done(&c);
}

static void
test_bad_configurations(void **state)
{
	static struct conf_pair pairs[] = {{"user-agent", "x"}, {"X-A", "a\nb"}};
	const struct sink_conf good = {
	    .name = "r", .kind = SINK_REMOTE_WRITE, .url = "http://x/y", .sigv4_service = "aps"};
	struct bench b;
	struct sink *s = NULL;

	(void)state;
	bench_init(&b, HABIT_WHOLE, WORDS_BARE);
	for (int i = 0; i < 8; i++) {
		b.conf = good;
		switch (i) {
		case 0:
			b.conf.url = NULL;
			break;
		case 1:
			b.conf.url = "ftp://x";
			break;
		case 2:
			b.conf.basic_user = "u";
			break;
		case 3:
			b.conf.role = "amp-writer";
			break;
		case 4:
			b.conf.sigv4_service = NULL;
			b.conf.role = "arn:aws:iam::444455556666:role/x";
			break;
		case 5:
		case 6:
			b.conf.headers = (struct conf_map){&pairs[i - 5], 1};
			break;
		default:
			b.env.region = "";
		}
		assert_int_equal(sink_open(&b.conf, &b.env, &s, &b.err), -1);
		assert_int_equal(b.err.kind, ERR_USAGE);
		assert_null(s);
	}
	b.conf = good;
	b.env.base_creds = NULL;
	b.env.region = "eu-west-1";
	assert_int_equal(sink_open(&b.conf, &b.env, &s, &b.err), -1);
	assert_int_equal(b.err.kind, ERR_AUTH);
	bench_done(&b);
}

/* ---- what an answer means ---- */

static void
test_unusable(void **state)
{
	static const struct {
		int status;
		const char *body;
		enum err_kind kind;
	} cases[] = {
	    {401, "", ERR_AUTH},
	    {403, "{\"message\":\"no\"}", ERR_AUTH},
	    {404, "404 page not found", ERR_REJECTED},
	    {405, "", ERR_REJECTED},
	    {415, "", ERR_REJECTED},
	    {301, "", ERR_REJECTED},
	    {408, "", ERR_TRANSIENT},
	    {429, "{\"message\":\"Rate exceeded\"}", ERR_THROTTLED},
	    {429, "ingestion rate limit (100) exceeded while adding 5 samples", ERR_THROTTLED},
	    {429, "", ERR_THROTTLED},
	    {500, "", ERR_TRANSIENT},
	    {503, "out of order sample", ERR_TRANSIENT},
	    {400, "no such tenant", ERR_REJECTED}, /* even for an empty request */
	    {422, "", ERR_REJECTED},
	};
	struct plain c;

	(void)state;
	plain_init(&c, 3, 3, MINUTE);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct bench b;

		bench_init(&b, HABIT_WHOLE, WORDS_BARE);
		b.x->fault = FAULT_STATUS;
		b.x->fault_at = 1;
		b.x->fault_for_good = true;
		b.x->fault_status = cases[i].status;
		b.x->fault_body = cases[i].body;
		assert_int_equal(bench_publish(&b, &c.d), -1);
		assert_int_equal(b.err.kind, cases[i].kind);
		assert_int_equal(b.refusals.n, 0);
		assert_int_equal(b.done.rejected, 0);
		assert_true(b.x->requests <= 2);
		bench_done(&b);
	}
	plain_done(&c);
}

static void
test_words_are_passed_on(void **state)
{
	struct bench b;
	struct plain c;

	(void)state;
	bench_init(&b, HABIT_WHOLE, WORDS_BARE);
	plain_init(&c, 1, 1, MINUTE);
	b.x->fault = FAULT_STATUS;
	b.x->fault_at = 1;
	b.x->fault_status = 400;
	b.x->fault_body = "\n  no\x1b[31m \xff thanks:\t\xc3\xa9 \n\n";
	assert_int_equal(bench_publish(&b, &c.d), 0);
	assert_done(&b, 0, 0, 0, 1);
	assert_int_equal(b.refusals.status, 400);
	assert_string_equal(b.refusals.reason, "no [31m thanks: \xc3\xa9");
	assert_ptr_equal(b.refusals.series, &c.series[0]);
	assert_int_equal(b.refusals.ts, START);
	plain_done(&c);
	bench_done(&b);
}

/* A fresh sample refused for its order, alone in its request: nothing can have stored it. On a cell
 * sent before it is there. */
static void
test_alone(void **state)
{
	struct bench b;
	struct plain c;
	char key[] = "__name__=up;host=h00000;";

	(void)state;
	bench_init(&b, HABIT_KEEPER, WORDS_EMPTY);
	plain_init(&c, 1, 1, MINUTE);
	b.conf.out_of_order_ms = MINUTE;
	db_insert(b.x, db_add(b.x, key, key), (struct read_sample){5, START + MINUTE});
	assert_int_equal(bench_publish(&b, &c.d), 0);
	assert_done(&b, 0, 0, 0, 1);
	b.p.maybe_sent = true;
	assert_int_equal(bench_publish(&b, &c.d), 0);
	assert_done(&b, 0, 1, 0, 0);
	plain_done(&c);
	bench_done(&b);
}

/* Somebody else was faster by one sample, in these series. */
static void
foreign(struct bench *b, size_t row0, size_t row1, int64_t ts)
{
	char key[64], text[64];

	for (size_t r = row0; r < row1; r++) {
		(void)snprintf(key, sizeof(key), "__name__=up;host=h%05zu;", r);
		(void)snprintf(text, sizeof(text), "{__name__=\"up\", host=\"h%05zu\"}", r);
		db_insert(b->x, db_add(b->x, key, text), (struct read_sample){77, ts});
	}
}

/* What the first refusal names was refused for itself; all else that a keeper refuses later may be
 * its own copy. */
static void
test_named(void **state)
{
	static const size_t rows[] = {2, 300};
	struct plain c;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct bench b;

		bench_init(&b, HABIT_KEEPER, WORDS_CORTEX);
		plain_init(&c, rows[i], 5, MINUTE);
		foreign(&b, 1, 2, START);
		assert_int_equal(bench_publish(&b, &c.d), 0);
		assert_int_equal(b.done.rejected, 1);
		assert_ptr_equal(b.refusals.series, &c.series[1]);
		assert_int_equal(b.refusals.ts, START);
		plain_done(&c);
		bench_done(&b);
	}
}

/* A receiver that rolls back, though it speaks like one that does not: one good sample taken gives
 * it away. */
static void
test_wrong_suspicion(void **state)
{
	struct bench b;
	struct plain c;

	(void)state;
	bench_init(&b, HABIT_WHOLE, WORDS_CORTEX);
	plain_init(&c, 8, 5, MINUTE);
	foreign(&b, 1, 7, START);
	assert_int_equal(bench_publish(&b, &c.d), 0);
	assert_done(&b, 34, 0, 0, 6);
	plain_done(&c);
	bench_done(&b);
}

static void
test_series_limit(void **state)
{
	struct plain c;

	(void)state;
	plain_init(&c, 20, 5, MINUTE);
	for (int i = 0; i < 6; i++) {
		struct bench b;

		bench_init(&b, i % 2 ? HABIT_WHOLE : HABIT_KEEPER,
			   (enum receiver_words)(i / 2 ? WORDS_CORTEX : WORDS_BARE));
		b.x->max_series = 7;
		b.x->series_limit_status = i > 3 ? 400 : 429;
		assert_int_equal(bench_publish(&b, &c.d), 0);
		assert_done(&b, b.done.acked, b.done.already, 0, 13 * 5);
		assert_int_equal(b.done.acked + b.done.already, 7 * 5);
		assert_int_equal(b.refusals.status, b.x->series_limit_status);
		assert_int_equal(b.x->last.retry_429, b.x->series_limit_status == 400);
		assert_true(b.x->requests < 150);
		bench_done(&b);
	}
	plain_done(&c);
}

static void
test_too_large(void **state)
{
	struct bench b;
	struct plain c;

	(void)state;
	bench_init(&b, HABIT_WHOLE, WORDS_BARE);
	plain_init(&c, 10, 20, MINUTE);
	b.x->max_raw = 300;
	assert_int_equal(bench_publish(&b, &c.d), 0);
	assert_done(&b, 200, 0, 0, 0);
	b.x->max_raw = 10; /* not even one sample */
	c.d.n_rows = 1;
	c.rows[0].n = 4;
	b.p.maybe_sent = true;
	assert_int_equal(bench_publish(&b, &c.d), 0);
	assert_done(&b, 0, 0, 0, 4);
	assert_int_equal(b.refusals.status, 413);
	plain_done(&c);
	bench_done(&b);
}

/* ---- what a refusal costs ---- */

static void
test_one_bad_series_among_many(void **state)
{
	static const enum receiver_habit habits[] = {HABIT_WHOLE, HABIT_KEEPER, HABIT_KEEPER};
	static const enum receiver_words words[] = {WORDS_BARE, WORDS_CORTEX, WORDS_EMPTY};
	struct plain c;

	(void)state;
	plain_init(&c, 400, 10, MINUTE);
	c.labels[123].value = LABEL_BAD;
	for (size_t i = 0; i < ARRAY_LEN(habits); i++) {
		struct bench b;

		bench_init(&b, habits[i], words[i]);
		b.conf.sigv4_service = i == 2 ? "aps" : NULL;
		assert_int_equal(bench_publish(&b, &c.d), 0);
		assert_int_equal(b.done.rejected, 10);
		assert_int_equal(b.refusals.n, 10);
		assert_int_equal(b.done.acked + b.done.already, 3990);
		assert_ptr_equal(b.refusals.series, &c.series[123]);
		assert_true(b.x->requests < 50);
		bench_done(&b);
	}
	plain_done(&c);
}

/* The whole cell is older than a database without a window takes. Known after one series. */
static void
test_out_of_bounds(void **state)
{
	struct bench b;
	struct plain c;

	(void)state;
	bench_init(&b, HABIT_WHOLE, WORDS_BARE);
	plain_init(&c, 300, 15, MINUTE);
	db_insert(b.x, db_add(b.x, "other", "other"), (struct read_sample){1, START + 5 * HOUR_MS});
	assert_int_equal(bench_publish(&b, &c.d), 0);
	assert_done(&b, 0, 0, 0, 4500);
	assert_string_equal(b.refusals.reason, "out of bounds");
	assert_true(b.x->requests < 100);
	plain_done(&c);
	bench_done(&b);
}

static void
test_sent_before_at_a_keeper(void **state)
{
	struct bench b;
	struct plain c;

	(void)state;
	bench_init(&b, HABIT_KEEPER, WORDS_CORTEX);
	plain_init(&c, 400, 15, MINUTE);
	assert_int_equal(bench_publish(&b, &c.d), 0);
	b.x->requests = 0;
	b.p.maybe_sent = true;
	assert_int_equal(bench_publish(&b, &c.d), 0);
	assert_done(&b, 400, 400 * 14, 0, 0);
	assert_true(b.x->requests < 10);
	plain_done(&c);
	bench_done(&b);
}

/* A large cell that is there already: it is not asked for sample by sample. */
static void
test_sent_before_in_full(void **state)
{
	struct bench b;
	struct plain c;

	(void)state;
	bench_init(&b, HABIT_WHOLE, WORDS_BARE);
	plain_init(&c, 500, 25, MINUTE);
	assert_int_equal(bench_publish(&b, &c.d), 0);
	b.x->requests = 0;
	b.p.maybe_sent = true;
	assert_int_equal(bench_publish(&b, &c.d), 0);
	assert_done(&b, 500, 500 * 24, 0, 0);
	assert_int_equal(b.refusals.n, 0);
	assert_true(b.x->requests < 20);
	plain_done(&c);
	bench_done(&b);
}

/* Each sample refused for itself: however large the cell, it ends, and each is reported. */
static void
test_all_refused(void **state)
{
	struct bench b;
	struct plain c;

	(void)state;
	bench_init(&b, HABIT_WHOLE, WORDS_BARE);
	plain_init(&c, 500, 25, MINUTE);
	foreign(&b, 0, 500, START + HOUR_MS);
	assert_int_equal(bench_publish(&b, &c.d), 0);
	assert_done(&b, 0, 0, 0, 12500);
	assert_true(b.x->requests <= RW_MAX_BISECT(12500) + 1);
	plain_done(&c);
	bench_done(&b);
}

/* ---- time ---- */

static void
test_deadline_and_cancel(void **state)
{
	struct clock *clock = clock_fake_new(START);
	struct bench b;
	struct plain c;

	(void)state;
	assert_non_null(clock);
	bench_init(&b, HABIT_WHOLE, WORDS_BARE);
	plain_init(&c, 1, 1, MINUTE);
	b.env.clock = clock;
	b.p.deadline_mono_ms = 1000;
	clock_fake_advance(clock, 1000);
	assert_int_equal(bench_publish(&b, &c.d), -1);
	assert_int_equal(b.err.kind, ERR_TRANSIENT);
	b.p.deadline_mono_ms = 1001;
	assert_int_equal(bench_publish(&b, &c.d), 0);
	clock_cancel(clock, 15);
	assert_int_equal(bench_publish(&b, &c.d), -1);
	assert_int_equal(b.err.kind, ERR_CANCELLED);
	assert_int_equal(b.x->requests, 1);
	plain_done(&c);
	bench_done(&b);
	clock_fake_free(clock);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_request),
	    cmocka_unit_test(test_empty_cell),
	    cmocka_unit_test(test_max_age_is_exact),
	    cmocka_unit_test(test_a_day_goes_out_in_slabs),
	    cmocka_unit_test(test_large_cells_are_cut),
	    cmocka_unit_test(test_hostile_rows),
	    cmocka_unit_test(test_basic),
	    cmocka_unit_test(test_bearer),
	    cmocka_unit_test(test_regions),
	    cmocka_unit_test(test_bad_configurations),
	    cmocka_unit_test(test_unusable),
	    cmocka_unit_test(test_words_are_passed_on),
	    cmocka_unit_test(test_alone),
	    cmocka_unit_test(test_named),
	    cmocka_unit_test(test_wrong_suspicion),
	    cmocka_unit_test(test_series_limit),
	    cmocka_unit_test(test_too_large),
	    cmocka_unit_test(test_one_bad_series_among_many),
	    cmocka_unit_test(test_out_of_bounds),
	    cmocka_unit_test(test_sent_before_at_a_keeper),
	    cmocka_unit_test(test_sent_before_in_full),
	    cmocka_unit_test(test_all_refused),
	    cmocka_unit_test(test_deadline_and_cancel),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
