/*
 * The alertmanager sink against an Alertmanager of our own: what an alert looks like, which alarms
 * are worth one, and what each answer means.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/cleanup.h"
#include "fmt/json.h"
#include "model/alarms.h"
#include "sink/sink.h"

#define MINUTE	 INT64_C(60000)
#define START	 INT64_C(1767225600000) /* 2026-01-01T00:00:00Z */
#define NOW	 (START + 60 * MINUTE)
#define ENDS	 (15 * MINUTE)
#define HELD_MAX 1024
#define SIZES	 64

/* ---- the receiver ---- */

/* Takes a request whole, keeps the newest of each alert, and fails on order. */
struct receiver {
	struct transport base;
	const char *bad;  /* 400 for requests with an alertname that contains it */
	bool keeps_good;  /* ... of which it takes the others, as Alertmanager does */
	size_t most;	  /* 413 beyond so many alerts; 0: never */
	unsigned fail_at; /* this request (from 1) ends so, and all after it; 0: none */
	int fail_status;  /* 0: no answer */
	enum err_kind fail_kind;
	const char *fail_body;

	char held[HELD_MAX][64]; /* alertnames */
	size_t n_held;
	json_t *last; /* the body taken last */
	unsigned requests;
	size_t sizes[SIZES];
	struct http_req req; /* strings are borrowed */
	char url[256], headers[512], auth[128], region[64];
};

static void
hold(struct receiver *x, const char *name)
{
	for (size_t i = 0; i < x->n_held; i++)
		if (!strcmp(x->held[i], name))
			return;
	assert_true(x->n_held < HELD_MAX);
	(void)snprintf(x->held[x->n_held++], sizeof(x->held[0]), "%s", name);
}

static int
say(struct http_resp *resp, int status, enum err_kind kind, const char *body, struct err *err)
{
	resp->status = status;
	buf_str(&resp->body, body ? body : "");
	if (kind == ERR_NONE)
		return 0;
	(void)err_set(err, kind, "status %d", status);
	err->http_status = status;
	return -1;
}

static const char *
name_of(const json_t *alert)
{
	return json_string_value(json_object_get(json_object_get(alert, "labels"), "alertname"));
}

static int
take(struct receiver *x, json_t *alerts, struct http_resp *resp, struct err *err)
{
	bool refused = false;

	for (size_t i = 0; i < json_array_size(alerts); i++) {
		const char *name = name_of(json_array_get(alerts, i));

		assert_non_null(name);
		refused = refused || (x->bad && strstr(name, x->bad));
	}
	for (size_t i = 0; i < json_array_size(alerts); i++) {
		const char *name = name_of(json_array_get(alerts, i));

		if (!refused || (x->keeps_good && !strstr(name, x->bad)))
			hold(x, name);
	}
	return refused ? say(resp, 400, ERR_REJECTED, "\"no\n such\tthing\"", err)
		       : say(resp, 200, ERR_NONE, "", err);
}

static void
remember(struct receiver *x, const struct http_req *req)
{
	size_t n = 0;

	x->req = *req;
	(void)snprintf(x->url, sizeof(x->url), "%s", req->url);
	(void)snprintf(x->region, sizeof(x->region), "%s", req->region);
	(void)snprintf(x->auth, sizeof(x->auth), "%s",
		       req->auth == AUTH_HEADER ? req->auth_header : "");
	for (size_t i = 0; i < req->n_headers; i++)
		n += (size_t)snprintf(x->headers + n, sizeof(x->headers) - n, "%s: %s\n",
				      req->headers[i].name, req->headers[i].value);
}

static int
receiver_send(struct transport *t, const struct http_req *req, struct http_resp *resp,
	      struct err *err)
{
	struct receiver *x = (struct receiver *)t;
	json_t *alerts = NULL;

	remember(x, req);
	if (json_parse(req->body, "alerts", &alerts, err))
		fail_msg("%s", err->msg);
	assert_true(json_is_array(alerts));
	if (x->requests < SIZES)
		x->sizes[x->requests] = json_array_size(alerts);
	x->requests++;
	json_decref(x->last);
	x->last = alerts;
	if (x->fail_at && x->requests >= x->fail_at)
		return say(resp, x->fail_status, x->fail_kind, x->fail_body, err);
	if (x->most && json_array_size(alerts) > x->most)
		return say(resp, 413, ERR_REJECTED, "too large", err);
	return take(x, alerts, resp, err);
}

static void
receiver_free(struct transport *t)
{
	struct receiver *x = (struct receiver *)t;

	json_decref(x->last);
	free(x);
}

/* ---- a sink and its world ---- */

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

struct refusals {
	size_t n;
	int status;
	int64_t ts_ms;
	double value;
	char reason[256], alarm[64];
};

static void
note(void *arg, const struct series *s, int64_t ts_ms, double value, int status, const char *reason)
{
	struct refusals *r = arg;

	r->n++;
	r->status = status;
	r->ts_ms = ts_ms;
	r->value = value;
	(void)snprintf(r->reason, sizeof(r->reason), "%s", reason);
	(void)snprintf(r->alarm, sizeof(r->alarm), "%s", s->labels[1].value);
}

struct bench {
	struct receiver *x;
	struct sink_conf conf;
	struct sink_env env;
	struct publish p;
	struct published done;
	struct refusals refusals;
	struct err err;
	struct cell_data d;
};

static void
bench_init(struct bench *b)
{
	static const struct transport_ops ops = {"receiver", receiver_send, receiver_free};

	*b = (struct bench){.x = calloc(1, sizeof(*b->x))};
	assert_non_null(b->x);
	b->x->base.ops = &ops;
	b->conf = (struct sink_conf){.name = "oncall",
				     .kind = SINK_ALERTMANAGER,
				     .url = "http://alertmanager:9093",
				     .ends_after_ms = ENDS};
	b->env = (struct sink_env){.transport = &b->x->base,
				   .base_creds = &base_creds,
				   .clock = clock_real(),
				   .region = "eu-west-1",
				   .sts_endpoint = "http://sts",
				   .run_id = "run-1"};
	b->p = (struct publish){.job = "alarms",
				.tenant = "acme",
				.account = "111122223333",
				.region = "eu-west-1",
				.definition = "",
				.now_ms = NOW,
				.deadline_mono_ms = INT64_MAX,
				.reject = note};
	cell_data_init(&b->d, (struct cell){NOW - 2 * MINUTE, NOW - MINUTE});
}

/* How the alarms stand, as the newest cell says it. */
static void
bench_alarms(struct bench *b, struct alarm_track *tracks, size_t n)
{
	static const struct label own = {"tier", "gold"};
	static const struct alarm_owner owner = {
	    .origin = {"acme", "111122223333", "eu-west-1", "alarms"},
	    .labels = &own,
	    .n_labels = 1};
	size_t no_changes = 0;

	alarm_tracks_sort(tracks, n, NULL, &no_changes);
	b->d.n_alarms = 0;
	if (alarm_cell_now(&b->d, &owner, tracks, n, MINUTE, &b->err))
		fail_msg("%s", b->err.msg);
}

static int
bench_publish(struct bench *b)
{
	struct sink *s;
	int rc;

	b->done = (struct published){0};
	b->refusals = (struct refusals){0};
	b->p.reject_arg = &b->refusals;
	if (sink_open(&b->conf, &b->env, &s, &b->err) < 0)
		fail_msg("%s", b->err.msg);
	rc = s->ops->publish(s, &b->p, &b->d, &b->done, &b->err);
	assert_true(!s->ops->ordered && !s->ops->samples && !s->ops->read);
	sink_free(s);
	return rc;
}

static void
bench_done(struct bench *b)
{
	cell_data_done(&b->d);
	transport_free(&b->x->base);
}

/* So many alarms in ALARM, called a000, a001, ... */
static void
bench_many(struct bench *b, size_t n)
{
	struct alarm_track *tracks = calloc(n, sizeof(*tracks));
	char(*names)[32] = calloc(n, sizeof(*names));

	assert_true(tracks && names);
	for (size_t i = 0; i < n; i++) {
		(void)snprintf(names[i], sizeof(names[i]), "a%03zu", i);
		tracks[i] = (struct alarm_track){
		    .name = names[i], .arn = "arn", .state = ALARM_FIRING, .since_ms = START};
	}
	bench_alarms(b, tracks, n);
	free(names);
	free(tracks);
}

static void
assert_done(const struct bench *b, uint64_t acked, uint64_t rejected)
{
	assert_int_equal(b->done.acked, acked);
	assert_int_equal(b->done.rejected, rejected);
	assert_int_equal(b->done.already + b->done.too_old, 0);
	assert_int_equal(b->refusals.n, rejected);
}

static void
assert_body(const struct bench *b, const char *want)
{
	char *got = json_dumps(b->x->last, JSON_COMPACT);

	assert_string_equal(got, want);
	free(got);
}

/* ---- an alert ---- */

#define LABELS(name)                                                                               \
	"{\"labels\":{\"alertname\":\"" name                                                       \
	"\",\"account_id\":\"111122223333\",\"alarm\":\"" name                                     \
	"\",\"region\":\"eu-west-1\",\"tenant\":\"acme\",\"tier\":\"gold\"},"

static void
test_request(void **state)
{
	static struct conf_pair pair = {"X-Scope-OrgID", "acme"};
	struct alarm_track t[] = {{.name = "high",
				   .arn = "arn:high",
				   .reason = "over \"80\"",
				   .description = "of the web",
				   .state = ALARM_FIRING,
				   .since_ms = START + 250}};
	struct bench b;

	(void)state;
	bench_init(&b);
	b.conf.headers = (struct conf_map){&pair, 1};
	bench_alarms(&b, t, 1);
	assert_int_equal(bench_publish(&b), 0);
	assert_done(&b, 1, 0);
	assert_body(&b,
		    "[" LABELS("high") "\"annotations\":{\"state\":\"ALARM\",\"reason\":"
				       "\"over \\\"80\\\"\",\"description\":\"of the web\",\"arn\":"
				       "\"arn:high\"},\"startsAt\":\"2026-01-01T00:00:00.250Z\","
				       "\"endsAt\":\"2026-01-01T01:15:00.000Z\"}]");
	assert_string_equal(b.x->req.method, "POST");
	assert_string_equal(b.x->url, "http://alertmanager:9093/api/v2/alerts");
	assert_string_equal(b.x->headers, "Content-Type: application/json\n"
					  "User-Agent: muster/" MUSTER_VERSION "\n"
					  "X-Scope-OrgID: acme\n");
	assert_int_equal(b.x->req.auth, AUTH_NONE);
	assert_true(b.x->req.retry_429 && !b.x->req.no_retry);
	assert_int_equal(b.x->req.deadline_mono_ms, INT64_MAX);
	assert_int_equal(b.done.requests, 1);
	assert_int_equal(b.done.bytes, b.x->req.body.n);
	bench_done(&b);
}

static void
test_urls(void **state)
{
	static const char *const urls[][2] = {
	    {"http://a:9093", "http://a:9093/api/v2/alerts"},
	    {"http://a:9093//", "http://a:9093/api/v2/alerts"},
	    {"http://a/prefix/", "http://a/prefix/api/v2/alerts"},
	    {"http://a/api/v2/alerts/", "http://a/api/v2/alerts"},
	    {"https://aps-workspaces.eu-west-1.amazonaws.com/workspaces/ws-1/alertmanager",
	     "https://aps-workspaces.eu-west-1.amazonaws.com/workspaces/ws-1/alertmanager/api/v2/"
	     "alerts"}};
	struct bench b;

	(void)state;
	bench_init(&b);
	bench_many(&b, 1);
	for (size_t i = 0; i < ARRAY_LEN(urls); i++) {
		b.conf.url = urls[i][0];
		assert_int_equal(bench_publish(&b), 0);
		assert_string_equal(b.x->url, urls[i][1]);
	}
	bench_done(&b);
}

/* An end is at the moment of the change, and needs no beginning. */
static void
test_any_other_state_is_an_end(void **state)
{
	struct alarm_track t[] = {
	    {.name = "a", .arn = "x", .state = ALARM_OK, .since_ms = NOW - MINUTE},
	    {.name = "b", .arn = "x", .state = ALARM_INSUFFICIENT, .since_ms = NOW - 250},
	    {.name = "c", .arn = "x", .state = ALARM_OK, .since_ms = NOW + MINUTE}};
	struct bench b;

	(void)state;
	bench_init(&b);
	bench_alarms(&b, t, 3);
	assert_int_equal(bench_publish(&b), 0);
	assert_done(&b, 3, 0);
	assert_body(
	    &b, "[" LABELS(
		    "a") "\"annotations\":{\"state\":\"OK\",\"arn\":\"x\"},"
			 "\"endsAt\":\"2026-01-01T00:59:00.000Z\"}," LABELS(
			     "b") "\"annotations\":{\"state\":\"INSUFFICIENT_DATA\",\"arn\":\"x\"},"
				  "\"endsAt\":\"2026-01-01T00:59:59.750Z\"}," LABELS(
				      "c") "\"annotations\":{\"state\":\"OK\",\"arn\":\"x\"},"
					   "\"endsAt\":\"2026-01-01T01:00:00.000Z\"}]");
	bench_done(&b);
}

static void
test_a_deleted_alarm_ends(void **state)
{
	struct alarm_change gone = {.alarm = "a",
				    .reason = "",
				    .ts_ms = NOW - MINUTE,
				    .from = ALARM_UNKNOWN,
				    .to = ALARM_ABSENT};
	struct alarm_track t[] = {{.name = "a", .arn = "x", .state = ALARM_ABSENT}};
	struct alarm_owner owner = {.origin = {"acme", "111122223333", "eu-west-1", "alarms"}};
	struct bench b;
	size_t n = 1;

	(void)state;
	bench_init(&b);
	alarm_tracks_sort(t, 1, &gone, &n);
	assert_int_equal(alarm_cell_now(&b.d, &owner, t, 1, MINUTE, &b.err), 0);
	assert_int_equal(bench_publish(&b), 0);
	assert_body(&b, "[{\"labels\":{\"alertname\":\"a\",\"account_id\":\"111122223333\","
			"\"alarm\":\"a\",\"region\":\"eu-west-1\",\"tenant\":\"acme\"},"
			"\"annotations\":{\"state\":\"DELETED\",\"arn\":\"x\"},"
			"\"endsAt\":\"2026-01-01T00:59:00.000Z\"}]");
	bench_done(&b);
}

/* A beginning that nobody knows, or that is still to come by this run's clock, is not told. */
static void
test_when_it_began(void **state)
{
	struct alarm_track t[] = {
	    {.name = "a", .arn = "x", .state = ALARM_FIRING},
	    {.name = "b", .arn = "x", .state = ALARM_FIRING, .since_ms = NOW},
	    {.name = "c", .arn = "x", .state = ALARM_FIRING, .since_ms = NOW - 1}};
	struct bench b;

	(void)state;
	bench_init(&b);
	bench_alarms(&b, t, 3);
	assert_int_equal(bench_publish(&b), 0);
	for (size_t i = 0; i < 3; i++) {
		const json_t *alert = json_array_get(b.x->last, i);
		const char *starts = json_string_value(json_object_get(alert, "startsAt"));

		if (i < 2)
			assert_null(starts);
		else
			assert_string_equal(starts, "2026-01-01T00:59:59.999Z");
		assert_string_equal(json_string_value(json_object_get(alert, "endsAt")),
				    "2026-01-01T01:15:00.000Z");
	}
	bench_done(&b);
}

/* The labels are the identity: what changes stands beside them. */
static void
test_a_change_is_the_same_alert(void **state)
{
	struct alarm_track t[] = {{.name = "a", .arn = "x", .since_ms = NOW - MINUTE}};
	json_t *before = NULL;
	struct bench b;

	(void)state;
	bench_init(&b);
	for (int s = ALARM_OK; s <= ALARM_INSUFFICIENT; s++) {
		json_t *labels;

		t[0].state = (enum alarm_state)s;
		t[0].reason = s == ALARM_OK ? "fine" : "not fine";
		bench_alarms(&b, t, 1);
		assert_int_equal(bench_publish(&b), 0);
		labels = json_object_get(json_array_get(b.x->last, 0), "labels");
		assert_true(!before || json_equal(before, labels));
		json_decref(before);
		before = json_deep_copy(labels);
	}
	json_decref(before);
	bench_done(&b);
}

/* ---- which are told ---- */

/* An end is told for as long as an alert of an earlier run may still stand, twice over. */
static void
test_what_is_worth_telling(void **state)
{
	struct alarm_track t[] = {
	    {.name = "fires", .arn = "x", .state = ALARM_FIRING, .since_ms = 1},
	    {.name = "just", .arn = "x", .state = ALARM_OK, .since_ms = NOW - 2 * ENDS + 1},
	    {.name = "over", .arn = "x", .state = ALARM_OK, .since_ms = NOW - 2 * ENDS},
	    {.name = "somewhen", .arn = "x", .state = ALARM_OK},
	    {.name = "unknown", .arn = "x", .state = ALARM_UNKNOWN, .since_ms = NOW - 1}};
	struct bench b;

	(void)state;
	bench_init(&b);
	bench_alarms(&b, t, ARRAY_LEN(t));
	assert_int_equal(b.d.n_alarms, 4);
	assert_int_equal(bench_publish(&b), 0);
	assert_done(&b, 4, 0); /* all are accounted for */
	assert_int_equal(b.x->n_held, 2);
	assert_string_equal(b.x->held[0], "fires");
	assert_string_equal(b.x->held[1], "just");
	bench_done(&b);
}

/* An older cell has no alarms in it, whatever its rows and lines. */
static void
test_a_cell_without_alarms_asks_nobody(void **state)
{
	struct bench b;

	(void)state;
	bench_init(&b);
	buf_str(&b.d.ndjson, "{}\n");
	b.d.n_lines = 1;
	assert_int_equal(bench_publish(&b), 0);
	assert_done(&b, 0, 0);
	assert_int_equal(b.x->requests, 0);
	bench_done(&b);
}

static void
test_batches(void **state)
{
	struct bench b;

	(void)state;
	bench_init(&b);
	bench_many(&b, 450);
	assert_int_equal(bench_publish(&b), 0);
	assert_done(&b, 450, 0);
	assert_int_equal(b.x->n_held, 450);
	assert_int_equal(b.x->requests, 3);
	assert_int_equal(b.x->sizes[0], 200);
	assert_int_equal(b.x->sizes[1], 200);
	assert_int_equal(b.x->sizes[2], 50);
	assert_int_equal(b.done.requests, 3);
	bench_done(&b);
}

/* ---- answers ---- */

static void
test_one_refused_alert_costs_one(void **state)
{
	struct bench b;

	(void)state;
	for (int keeps = 0; keeps < 2; keeps++) {
		bench_init(&b);
		b.x->bad = "a123";
		b.x->keeps_good = keeps;
		bench_many(&b, 450);
		assert_int_equal(bench_publish(&b), 0);
		assert_done(&b, 449, 1);
		assert_int_equal(b.x->n_held, 449);
		assert_string_equal(b.refusals.alarm, "a123");
		assert_int_equal(b.refusals.status, 400);
		assert_int_equal(b.refusals.ts_ms, NOW);
		assert_true(b.refusals.value == 1);
		assert_string_equal(b.refusals.reason, "\"no such thing\"");
		assert_true(b.x->requests <= 3 + 2 * 8); /* halving 200 takes eight rounds */
		bench_done(&b);
	}
}

static void
test_all_refused(void **state)
{
	struct bench b;

	(void)state;
	bench_init(&b);
	b.x->bad = "a";
	bench_many(&b, 5);
	assert_int_equal(bench_publish(&b), 0);
	assert_done(&b, 0, 5);
	assert_int_equal(b.x->n_held, 0);
	bench_done(&b);
}

static void
test_requests_that_are_too_large_are_halved(void **state)
{
	struct bench b;

	(void)state;
	bench_init(&b);
	b.x->most = 60;
	bench_many(&b, 200);
	assert_int_equal(bench_publish(&b), 0);
	assert_done(&b, 200, 0);
	assert_int_equal(b.x->n_held, 200);
	assert_int_equal(b.x->requests, 7); /* 200, 2 x (100, 2 x 50) */
	bench_done(&b);
}

/* What may pass, and what is about the receiver and not about the alerts: nothing is given up. */
static void
test_other_failures_refuse_nothing(void **state)
{
	static const struct {
		int status;
		enum err_kind kind;
	} t[] = {{0, ERR_TRANSIENT},   {500, ERR_TRANSIENT}, {503, ERR_TRANSIENT},
		 {429, ERR_THROTTLED}, {401, ERR_AUTH},	     {403, ERR_AUTH},
		 {404, ERR_NOTFOUND},  {405, ERR_REJECTED},  {0, ERR_CANCELLED}};
	struct bench b;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(t); i++) {
		bench_init(&b);
		b.x->fail_at = 2;
		b.x->fail_status = t[i].status;
		b.x->fail_kind = t[i].kind;
		bench_many(&b, 450);
		assert_int_equal(bench_publish(&b), -1);
		assert_int_equal(b.err.kind, t[i].kind);
		assert_int_equal(b.x->requests, 2); /* none after it */
		assert_done(&b, 0, 0);
		/* All of it once more. */
		b.x->fail_at = 0;
		assert_int_equal(bench_publish(&b), 0);
		assert_done(&b, 450, 0);
		assert_int_equal(b.x->n_held, 450);
		bench_done(&b);
	}
}

/* ---- who it says it is ---- */

static void
test_who_it_says_it_is(void **state)
{
	struct bench b;

	(void)state;
	bench_init(&b);
	bench_many(&b, 1);
	b.conf.basic_user = "Aladdin";
	b.conf.basic_password = "open sesame";
	assert_int_equal(bench_publish(&b), 0);
	assert_string_equal(b.x->auth, "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
	b.conf.basic_user = b.conf.basic_password = NULL;
	b.conf.sigv4_service = "aps";
	b.conf.url = "https://aps-workspaces.us-east-1.amazonaws.com/workspaces/ws-1/alertmanager";
	assert_int_equal(bench_publish(&b), 0);
	assert_int_equal(b.x->req.auth, AUTH_SIGV4);
	assert_ptr_equal(b.x->req.creds, &base_creds);
	assert_string_equal(b.x->req.service, "aps");
	assert_string_equal(b.x->region, "us-east-1");
	bench_done(&b);
}

/* ---- trying out ---- */

struct tried {
	size_t n;
	enum trial_result result;
	char action[TRIAL_ACTION_MAX], resource[256];
	enum err_kind kind;
};

static void
take_trial(void *arg, const struct trial *t)
{
	struct tried *to = arg;

	to->n++;
	to->result = t->result;
	to->kind = t->err ? t->err->kind : ERR_NONE;
	(void)snprintf(to->action, sizeof(to->action), "%s", t->action ? t->action : "");
	(void)snprintf(to->resource, sizeof(to->resource), "%s", t->resource ? t->resource : "");
}

static void
test_trying_sends_no_alert(void **state)
{
	struct tried tried = {0};
	struct trials to = {take_trial, &tried};
	struct bench b;

	(void)state;
	bench_init(&b);
	assert_int_equal(sink_try(&b.conf, &b.env, &to, &b.err), 0);
	assert_int_equal(tried.n, 1);
	assert_int_equal(tried.result, TRIAL_OK);
	assert_string_equal(tried.action, "");
	assert_body(&b, "[]");
	b.conf.sigv4_service = "aps";
	b.conf.url = "https://aps-workspaces.us-east-1.amazonaws.com/workspaces/ws-1/alertmanager";
	b.x->fail_at = 1;
	b.x->fail_status = 403;
	b.x->fail_kind = ERR_AUTH;
	assert_int_equal(sink_try(&b.conf, &b.env, &to, &b.err), 0);
	assert_int_equal(tried.result, TRIAL_FAILED);
	assert_int_equal(tried.kind, ERR_AUTH);
	assert_string_equal(tried.action, "aps:CreateAlertManagerAlerts");
	assert_string_equal(tried.resource, "\"arn:aws:aps:us-east-1:*:workspace/ws-1\"");
	bench_done(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_request),
	    cmocka_unit_test(test_urls),
	    cmocka_unit_test(test_any_other_state_is_an_end),
	    cmocka_unit_test(test_a_deleted_alarm_ends),
	    cmocka_unit_test(test_when_it_began),
	    cmocka_unit_test(test_a_change_is_the_same_alert),
	    cmocka_unit_test(test_what_is_worth_telling),
	    cmocka_unit_test(test_a_cell_without_alarms_asks_nobody),
	    cmocka_unit_test(test_batches),
	    cmocka_unit_test(test_one_refused_alert_costs_one),
	    cmocka_unit_test(test_all_refused),
	    cmocka_unit_test(test_requests_that_are_too_large_are_halved),
	    cmocka_unit_test(test_other_failures_refuse_nothing),
	    cmocka_unit_test(test_who_it_says_it_is),
	    cmocka_unit_test(test_trying_sends_no_alert),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
