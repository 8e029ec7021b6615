/*
 * A hostile world: to one tenant in twenty AWS answers whatever the seed says, and in some worlds
 * so do S3 and the receiver to all of them, now and then.
 *
 * The same world lives a second time without any of it. After each run of a world where only
 * tenants are in trouble, the others must have the same objects and samples in both, byte for byte;
 * exit status and report must tell who is in trouble and why; and no run may last beyond its
 * deadline. When the trouble is over the next runs must make all good, and the truth decides as
 * everywhere.
 *
 * Some answers cannot be told from the truth by anybody: those with wrong bits, those of another
 * tenant and those of an earlier call, where they still read as an answer to what was asked. What
 * the tenants have that got such is not judged, only that they get on.
 */
#include "tests/sim/sim.h"

#include <jansson.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/hash.h"
#include "fmt/json.h"

#define ONE_IN	      20 /* tenants is in trouble */
#define TROUBLED_RUNS 3	 /* at most */
#define CALM_RUNS     6	 /* in so many all has to be good again */
#define DEADLINE_MS   (8 * SIM_MIN)
#define GRACE_MS      30000	    /* beyond it, for what a run has to bring to its end */
#define LAST_MS	      (5 * SIM_MIN) /* the same where S3 is slow: a checkpoint, the report */
#define DRIP_MS	      70000	    /* that an answer takes which comes drop by drop */
#define PLANTED	      64	    /* series of a tenant, with those that wrong answers make */
#define EACH	      (15 * SIM_MIN)

enum mischief {
	RESET,	 /* no answer, nothing done */
	LOST,	 /* done, no answer */
	STALL,	 /* no byte until the time-out */
	DRIP,	 /* an answer that takes very long */
	CUT,	 /* shorter than its Content-Length says */
	CUT_OFF, /* shorter, and nothing says so */
	FLIP,	 /* a bit is wrong */
	GARBLED, /* a stretch of it is anything */
	STALE, /* what an earlier call of this tenant's was answered: answers in the wrong order */
	PAGE,  /* a proxy's HTML, with 200 */
	TYPE,  /* the right answer under a wrong type */
	OTHER_OP, /* what another operation would say */
	OTHER,	  /* what another tenant would be told */
	STATUS,	  /* any status, with nothing, with HTML, or with the answer */
	THROTTLE,
	DENY,
	EXPIRED,   /* the token */
	ENDLESS,   /* empty pages, each with a token */
	EMPTY_ONE, /* an empty page with a token, and behind it the answer */
	NOT_WHOLE, /* the service says itself that it is not */
	TROUBLES
};

struct victim {
	unsigned kinds; /* of trouble, by bit; 0: none */
	unsigned odds;	/* of 100 calls so many are in trouble */
	uint64_t calls;
	char *last; /* of the true answers; NULL: none yet */
};
struct chaos {
	struct sim *s, *calm; /* the same world without it */
	uint64_t seed;
	bool over;
	unsigned of_all; /* of 1,000 calls to S3 or the receiver so many are in trouble */
	uint64_t central_calls;
	struct victim *victims; /* by tenant */
	struct sim_verdict *v;
};

static void
blame(struct chaos *c, uint64_t *counter, const char *what, const char *of)
{
	if (!c->v->what[0])
		(void)snprintf(c->v->what, SIM_WORDS, "%s: %.120s", what, of);
	++*counter;
}

/* ---- what comes of a call ---- */

/* One call, and what is drawn for it. */
struct call {
	struct chaos *c;
	struct sim_proc *p;
	const struct http_req *req;
	size_t tenant;
	uint64_t r;
};

static const struct {
	const char *operation, *list, *token;
	const char *empty; /* of a page: what stands before the token */
} paged[] = {
    {"ListMetrics", "Metrics", "NextToken", "\"Metrics\":[]"},
    {"GetMetricData", "MetricDataResults", "NextToken", "\"MetricDataResults\":[],\"Messages\":[]"},
    {"DescribeLogGroups", "logGroups", "nextToken", "\"logGroups\":[]"},
    {"DescribeAlarms", "MetricAlarms", "NextToken", "\"MetricAlarms\":[],\"CompositeAlarms\":[]"},
    {"DescribeAlarmHistory", "AlarmHistoryItems", "NextToken", "\"AlarmHistoryItems\":[]"},
    {"GetTraceSummaries", "TraceSummaries", "NextToken", "\"TraceSummaries\":[]"},
    {"BatchGetTraces", "Traces", "NextToken", "\"Traces\":[],\"UnprocessedTraceIds\":[]"},
};

static int
sorted(const struct call *k, struct http_resp *resp, struct err *err)
{
	return sim_sort(k->req, resp, err);
}

static int
say(const struct call *k, struct http_resp *resp, int status, const char *body, struct err *err)
{
	resp->status = status;
	buf_str(&resp->body, body);
	return sorted(k, resp, err);
}

static bool
is_ours(const struct http_req *req)
{
	return req->body.n && memmem(req->body.p, req->body.n, "\"chaos-", strlen("\"chaos-"));
}

/* The truth; a token that only this file knows is taken out of the question. */
static int
truth(const struct call *k, const struct http_req *req, struct http_resp *resp, struct err *err)
{
	CLEANUP(json_decrefp) json_t *doc = NULL;
	struct http_req plain = *req;
	char *text;
	int r;

	if (!is_ours(req) || json_parse(req->body, "request", &doc, NULL))
		return sim_answer(k->c->s, req, resp, err);
	(void)json_object_del(doc, "NextToken");
	(void)json_object_del(doc, "nextToken");
	text = json_dumps(doc, JSON_COMPACT);
	if (!text)
		abort();
	plain.body = sv_of(text);
	r = sim_answer(k->c->s, &plain, resp, err);
	free(text);
	return r;
}

/* A wait that the run's end cuts short, as the real transport's does. */
static int
wait(const struct call *k, int64_t ms, struct err *err)
{
	for (; ms > 0; ms -= 200) {
		if (clock_check_grace(&k->p->clock, k->req->grace_ms, err))
			return -1;
		if (k->req->deadline_mono_ms && k->c->s->passed_ms >= k->req->deadline_mono_ms)
			return err_set(err, ERR_TRANSIENT, "timed out");
		sim_sleep(ms < 200 ? ms : 200);
	}
	return 0;
}

static int
stalled(const struct call *k, struct http_resp *resp, struct err *err)
{
	int64_t ms = k->req->limits.first_byte_ms;

	if (wait(k, ms ? ms : HTTP_FIRST_BYTE_MS, err))
		return -1;
	return sim_no_answer(resp, err);
}

static int
dripped(const struct call *k, struct http_resp *resp, struct err *err)
{
	return wait(k, DRIP_MS, err) ? -1 : truth(k, k->req, resp, err);
}

/* What has come of it is there to see, as from the real transport. */
static int
cut(const struct call *k, struct http_resp *resp, bool said, struct err *err)
{
	(void)truth(k, k->req, resp, err);
	if (resp->body.n)
		resp->body.n = k->r % resp->body.n;
	if (resp->body.p)
		resp->body.p[resp->body.n] = '\0';
	err_clear(err);
	return said ? err_set(err, ERR_TRANSIENT, "the answer was cut off") : sorted(k, resp, err);
}

static int
flipped(const struct call *k, struct http_resp *resp, struct err *err)
{
	(void)truth(k, k->req, resp, err);
	if (resp->body.n)
		resp->body.p[k->r % resp->body.n] ^= (char)(1 << (k->r >> 32) % 8);
	err_clear(err);
	return sorted(k, resp, err);
}

static int
garbled(const struct call *k, struct http_resp *resp, struct err *err)
{
	uint64_t r = k->r;
	size_t from, n;

	(void)truth(k, k->req, resp, err);
	n = resp->body.n ? 1 + (r >> 32) % resp->body.n : 0;
	from = resp->body.n ? r % resp->body.n : 0;
	for (size_t i = from; i < resp->body.n && i < from + n; i++) {
		r = mix64(r);
		resp->body.p[i] = (char)(r >> 56);
	}
	err_clear(err);
	return sorted(k, resp, err);
}

static int
stale(const struct call *k, struct http_resp *resp, struct err *err)
{
	const char *last = k->c->victims[k->tenant].last;

	return last ? say(k, resp, 200, last, err) : truth(k, k->req, resp, err);
}

static int
mistyped(const struct call *k, struct http_resp *resp, struct err *err)
{
	buf_str(&resp->headers, "content-type: text/html\n");
	return truth(k, k->req, resp, err);
}

static int
of_other_operation(const struct call *k, struct http_resp *resp, struct err *err)
{
	static const char results[] =
	    "{\"results\":[],\"statistics\":{\"recordsMatched\":0.0,\"recordsScanned\":0.0,"
	    "\"bytesScanned\":0.0},\"status\":\"Complete\"}";
	static const char *const others[] = {
	    "{\"queryId\":\"q-0\"}", "{\"success\":true}", "{}", "[]", "null", results,
	};
	size_t n = sizeof(others) / sizeof(others[0]), m = sizeof(paged) / sizeof(paged[0]);
	size_t at = k->r % (n + m);
	char page[128];

	if (!strcmp(k->req->operation, "StartQuery") && at == 0)
		at++;
	if (!strcmp(k->req->operation, "GetQueryResults") && at == n - 1)
		at--;
	if (at >= n && !strcmp(paged[at - n].operation, k->req->operation))
		at = 2;
	if (at < n)
		return say(k, resp, 200, others[at], err);
	(void)snprintf(page, sizeof(page), "{%s}", paged[at - n].empty);
	return say(k, resp, 200, page, err);
}

static int
of_other_tenant(const struct call *k, struct http_resp *resp, struct err *err)
{
	struct sim *s = k->c->s;
	struct http_req req = *k->req;
	char id[16], account[16], query[64], *body, *at;
	int r;

	sim_tenant((k->tenant + 1 + k->r % s->tenants) % s->tenants, id, account);
	if (!strcmp(req.operation, "GetQueryResults") && s->n_queries) {
		(void)snprintf(query, sizeof(query), "{\"queryId\":\"q-%llu\"}",
			       (unsigned long long)(k->r >> 16) % s->n_queries);
		req.body = sv_of(query);
		return truth(k, &req, resp, err);
	}
	if (strcmp(req.operation, "AssumeRole") != 0) {
		req.account = account;
		return truth(k, &req, resp, err);
	}
	body = strndup(req.body.p, req.body.n);
	at = body ? strstr(body, "iam%3A%3A") : NULL;
	if (!at)
		abort();
	memcpy(at + strlen("iam%3A%3A"), account, 12);
	req.body = sv_of(body);
	r = truth(k, &req, resp, err);
	free(body);
	return r;
}

static int
any_status(const struct call *k, struct http_resp *resp, struct err *err)
{
	static const int statuses[] = {
	    202, 204, 206, 301, 302, 304, 400, 401, 402, 403, 404, 405, 406, 407, 408, 409, 410,
	    411, 412, 413, 414, 415, 416, 417, 418, 421, 422, 423, 425, 426, 428, 429, 431, 451,
	    499, 500, 501, 502, 503, 504, 505, 507, 508, 509, 511, 520, 522, 529, 598, 599};
	int status = statuses[k->r % (sizeof(statuses) / sizeof(statuses[0]))];

	if (status < 300 || (k->r >> 20) % 3 == 0)
		return say(k, resp, status, "", err);
	if ((k->r >> 20) % 3 == 1)
		return say(k, resp, status, "<html><body>Sorry</body></html>", err);
	(void)truth(k, k->req, resp, err);
	err_clear(err);
	resp->status = status;
	return sorted(k, resp, err);
}

/* In the words of the service's protocol. */
static int
refused(const struct call *k, struct http_resp *resp, int status, const char *code, struct err *err)
{
	char text[256];

	(void)snprintf(text, sizeof(text),
		       k->req->proto == PROTO_AWS_JSON ? "{\"__type\":\"%s\",\"message\":\"no\"}"
		       : k->req->proto == PROTO_AWS_QUERY
			   ? "<ErrorResponse><Error><Code>%s</Code><Message>no</Message></Error>"
			     "</ErrorResponse>"
			   : "<Error><Code>%s</Code><Message>no</Message></Error>",
		       code);
	return say(k, resp, status, text, err);
}

static int
empty_page(const struct call *k, struct http_resp *resp, struct err *err)
{
	char page[256];

	for (size_t i = 0; i < sizeof(paged) / sizeof(paged[0]); i++) {
		if (strcmp(paged[i].operation, k->req->operation) != 0)
			continue;
		(void)snprintf(page, sizeof(page), "{%s,\"%s\":\"chaos-%llu\"}", paged[i].empty,
			       paged[i].token, (unsigned long long)k->r);
		return say(k, resp, 200, page, err);
	}
	return truth(k, k->req, resp, err);
}

static int
empty_once(const struct call *k, struct http_resp *resp, struct err *err)
{
	return is_ours(k->req) ? truth(k, k->req, resp, err) : empty_page(k, resp, err);
}

static int
not_whole(const struct call *k, struct http_resp *resp, struct err *err)
{
	static const char *const metric[] = {"Internal", "PartialD"}; /* as long as "Complete" */
	static const char *const query[] = {"Failed  ", "Timeout ", "Unknown ", "Running "};
	bool of_query = !strcmp(k->req->operation, "GetQueryResults");
	char *at;
	int r = truth(k, k->req, resp, err);

	at = resp->body.p ? strstr(resp->body.p, "\"Complete\"") : NULL;
	if (at)
		memcpy(at + 1, of_query ? query[k->r % 4] : metric[k->r % 2], 8);
	at = at ? strchr(at + 1, ' ') : NULL;
	for (; at && *at == ' '; at++)
		*at = at[-1] == '"' ? ' ' : '"';
	return r;
}

static int
troubled(const struct call *k, enum mischief what, struct http_resp *resp, struct err *err)
{
	switch (what) {
	case RESET:
		return sim_no_answer(resp, err);
	case LOST:
		(void)truth(k, k->req, resp, err);
		return sim_no_answer(resp, err);
	case STALL:
		return stalled(k, resp, err);
	case DRIP:
		return dripped(k, resp, err);
	case CUT:
	case CUT_OFF:
		return cut(k, resp, what == CUT, err);
	case FLIP:
		return flipped(k, resp, err);
	case GARBLED:
		return garbled(k, resp, err);
	case STALE:
		return stale(k, resp, err);
	case PAGE:
		buf_str(&resp->headers, "content-type: text/html\n");
		return say(k, resp, 200, "<html><body>Welcome</body></html>", err);
	case TYPE:
		return mistyped(k, resp, err);
	case OTHER_OP:
		return of_other_operation(k, resp, err);
	case OTHER:
		return of_other_tenant(k, resp, err);
	case STATUS:
		return any_status(k, resp, err);
	case THROTTLE:
		return refused(k, resp, 400, "ThrottlingException", err);
	case DENY:
		return refused(k, resp, 403, "AccessDeniedException", err);
	case EXPIRED:
		return refused(k, resp, 403, "ExpiredTokenException", err);
	case ENDLESS:
		return empty_page(k, resp, err);
	case EMPTY_ONE:
		return empty_once(k, resp, err);
	case NOT_WHOLE:
		return not_whole(k, resp, err);
	case TROUBLES:
		break;
	}
	abort();
}

/* ---- whom it befalls ---- */

/* s->tenants: it is about none. */
static size_t
tenant_of(const struct sim *s, const struct http_req *req)
{
	const char *arn;

	if (strcmp(req->operation, "AssumeRole") != 0)
		return sim_tenant_of(s, req->account);
	arn = memmem(req->body.p, req->body.n, "iam%3A%3A", strlen("iam%3A%3A"));
	return arn ? sim_tenant_of(s, arn + strlen("iam%3A%3A")) : s->tenants;
}

static bool
is_central(const struct http_req *req)
{
	return !strcmp(req->service, "s3") || !strcmp(req->service, "remote_write") ||
	       !strcmp(req->service, "otlp");
}

/* Of the kinds that the bits name, one. */
static enum mischief
draw_kind(unsigned kinds, uint64_t r)
{
	size_t n = (size_t)__builtin_popcount(kinds), nth = r % n;

	for (unsigned kind = 0;; kind++)
		if (kinds >> kind & 1 && nth-- == 0)
			return (enum mischief)kind;
}

/* What the receiver and S3 may come to; a refusal of theirs would be the truth. */
static int
central_trouble(struct call *k, struct http_resp *resp, struct err *err)
{
	static const int statuses[] = {500, 502, 503, 504};
	static const enum mischief kinds[] = {RESET, LOST, STALL, DRIP, CUT, STATUS};
	enum mischief what = kinds[k->r % (sizeof(kinds) / sizeof(kinds[0]))];

	if (what == STATUS)
		return say(k, resp, statuses[k->r >> 8 & 3], "", err);
	return troubled(k, what, resp, err);
}

static void
keep(struct victim *v, const struct http_resp *resp)
{
	if (resp->status != 200 || !resp->body.n)
		return;
	free(v->last);
	v->last = strndup(resp->body.p, resp->body.n);
	if (!v->last)
		abort();
}

static int
meddle(struct sim_proc *p, const struct http_req *req, struct http_resp *resp, struct err *err)
{
	struct chaos *c = p->world->meddle_arg;
	struct call k = {c, p, req, tenant_of(p->world, req), 0};
	struct victim *v = k.tenant < p->world->tenants ? &c->victims[k.tenant] : NULL;
	enum mischief what;
	int r;

	if (c->over)
		return truth(&k, req, resp, err);
	if (is_central(req)) {
		k.r = mix64(c->seed ^ mix64(++c->central_calls + 0xce17a1));
		return c->of_all && (k.r >> 40) % 1000 < c->of_all ? central_trouble(&k, resp, err)
								   : truth(&k, req, resp, err);
	}
	if (!v || !v->kinds)
		return truth(&k, req, resp, err);
	k.r = mix64(c->seed ^ mix64(k.tenant << 32 ^ ++v->calls));
	if ((k.r >> 40) % 100 >= v->odds) {
		r = truth(&k, req, resp, err);
		keep(v, resp);
		return r;
	}
	what = draw_kind(v->kinds, k.r >> 50);
	if (p->world->trace)
		(void)printf("       trouble %d at %lld s\n", (int)what,
			     (long long)p->world->passed_ms / 1000);
	/* Nobody could tell. */
	if (what == FLIP || what == OTHER || what == GARBLED || what == STALE)
		p->world->of[k.tenant].unjudged = true;
	return troubled(&k, what, resp, err);
}

/* Most are in one kind of trouble, some in several, at each call or at some. */
static void
choose_victims(struct chaos *c)
{
	static const unsigned odds[] = {100, 60, 20, 5};
	size_t n = c->s->tenants / ONE_IN;

	for (size_t i = 0; i < (n ? n : 1); i++) {
		uint64_t r = mix64(c->seed ^ mix64(i + 0xbad));
		struct victim *v = &c->victims[r % c->s->tenants];

		v->odds = odds[(r >> 32) % 4];
		v->kinds |= 1u << (r >> 36) % TROUBLES;
		for (; (r >> 48) % 3 == 0; r = mix64(r))
			v->kinds |= 1u << mix64(r) % TROUBLES;
	}
}

/* ---- what has to hold ---- */

static bool
is_victim(const struct chaos *c, const char *mark, const char *in)
{
	const char *of = strstr(in, mark);
	size_t tenant = of ? sim_tenant_of(c->s, of + strlen(mark)) : c->s->tenants;

	return tenant == c->s->tenants || c->victims[tenant].kinds;
}

struct comparison {
	struct chaos *c;
	const struct sim *with;
	size_t n;
};

static void
compare_object(struct sv key, void *value, void *arg)
{
	struct comparison *m = arg;
	const struct sim_object *is = value, *other;

	if (!sv_starts(key, SV("sim/lake/")) || is_victim(m->c, "/tenant=", is->key))
		return;
	m->n++;
	other = sim_object(m->with, is->key);
	if (!other)
		blame(m->c, &m->c->v->lost, "a healthy tenant lacks an object", is->key);
	else if (strcmp(is->etag, other->etag) != 0)
		blame(m->c, &m->c->v->mismatched, "a healthy tenant's object differs", is->key);
}

static size_t
compare_series(struct chaos *c, const struct receiver *a, const struct receiver *b)
{
	size_t n = 0;

	for (size_t i = 0; i < a->n_series; i++) {
		const struct db_series *x = &a->db[i], *y;

		if (is_victim(c, ";tenant=", x->key))
			continue;
		n++;
		y = db_find(b, x->key);
		if (!y || y->n != x->n ||
		    memcmp(x->samples, y->samples, x->n * sizeof(*x->samples)) != 0)
			blame(c, &c->v->mismatched, "a healthy tenant's series differs", x->key);
	}
	return n;
}

/* Who is in no trouble has the same as in the calm world. */
static void
compare(struct chaos *c)
{
	struct comparison all = {c, c->s, 0}, back = {c, c->calm, 0};

	map_each(&c->calm->objects, compare_object, &all);
	map_each(&c->s->objects, compare_object, &back);
	if (compare_series(c, c->calm->receiver, c->s->receiver) !=
		compare_series(c, c->s->receiver, c->calm->receiver) ||
	    all.n != back.n)
		blame(c, &c->v->mismatched, "healthy tenants have more than without trouble", "");
}

static const char *
text_of(const json_t *doc, const char *key)
{
	const char *text = json_string_value(json_object_get(doc, key));

	return text ? text : "";
}

/* Each stream that failed is one of a tenant in trouble, and says why. Returns how many there are.
 */
static size_t
check_streams(struct chaos *c, const json_t *streams)
{
	size_t failed = 0;

	for (size_t i = 0; i < json_array_size(streams); i++) {
		const json_t *st = json_array_get(streams, i);
		size_t tenant = sim_tenant_of(c->s, text_of(st, "tenant"));
		const char *state = text_of(st, "state");
		const char *why = text_of(json_object_get(st, "error"), "message");

		if (!strcmp(state, "done"))
			continue;
		failed++;
		if (!c->victims[tenant].kinds && !c->of_all)
			blame(c, &c->v->lost, "a healthy tenant failed", why);
		if (strcmp(state, "failed") != 0 || !*why)
			blame(c, &c->v->mismatched, "no cause in the report", state);
	}
	return failed;
}

static void
check_run(struct chaos *c, int status)
{
	CLEANUP(json_decrefp) json_t *report = sim_take_report(c->s);
	const json_t *streams = json_object_get(report, "streams");
	size_t per_tenant = c->s->jobs == SIM_USUAL ? 4 : 2, failed;
	char text[48];

	(void)snprintf(text, sizeof(text), "status %d after %lld s", status,
		       (long long)c->s->passed_ms / 1000);
	if (c->s->trace)
		(void)printf("       %s\n", text);
	if (c->s->passed_ms > DEADLINE_MS + (c->of_all ? LAST_MS : GRACE_MS))
		blame(c, &c->v->mismatched, "beyond its deadline", text);
	if (c->of_all && (status == 3 || !report))
		return;
	if (json_array_size(streams) != per_tenant * c->s->tenants) {
		blame(c, &c->v->mismatched, "the report lacks streams", text);
		return;
	}
	failed = check_streams(c, streams);
	if (status != (failed > 0))
		blame(c, &c->v->mismatched, "exit status", text);
	if (!c->of_all)
		compare(c);
}

static int
run_both(struct chaos *c, size_t workers)
{
	int status;

	(void)sim_run(c->calm, SIM_RUN, workers);
	status = sim_run(c->s, SIM_RUN, workers);
	check_run(c, status);
	c->s->now_ms += EACH;
	c->calm->now_ms = c->s->now_ms;
	return status;
}

static void
live(struct chaos *c)
{
	uint64_t r = mix64(c->seed ^ 0x11fe);
	size_t workers = 8 + r % 25; /* so that a few that stall leave some to the others */
	int status = 1;

	for (uint64_t n = 0; n < 1 + (r >> 8) % TROUBLED_RUNS; n++)
		(void)run_both(c, workers);
	c->over = true;
	for (int n = 0; n < CALM_RUNS && status; n++)
		status = run_both(c, workers);
	c->s->now_ms -= EACH;
	if (status) {
		blame(c, &c->v->lost, "no run came to a good end", "");
		return;
	}
	if (!c->v->what[0])
		sim_check(c->s, c->v);
}

static struct sim *
open_world(uint64_t seed, size_t tenants)
{
	static const enum sim_jobs jobs[] = {SIM_USUAL, SIM_USUAL, SIM_TRACES, SIM_ALARMS};
	struct sim *s = sim_new(seed, tenants, 5 * SIM_MIN, seed % 2 ? HABIT_WHOLE : HABIT_KEEPER,
				jobs[mix64(seed) % 4]);

	s->now_ms = SIM_EPOCH + 60 * SIM_MIN + (int64_t)(mix64(seed ^ 7) % 4096) * SIM_MIN;
	s->call_ms = tenants > 100 ? 1 : 10; /* one after the other here, and many at once there */
	s->receiver->window_ms = 24 * 60 * SIM_MIN;
	receiver_make_room(s->receiver, tenants * PLANTED + RECEIVER_SERIES);
	s->run_conf = ", deadline: 8m";
	sim_write_config(s);
	return s;
}

void
sim_chaos(uint64_t seed, size_t tenants, bool trace, struct sim_verdict *v)
{
	struct chaos c = {
	    .s = open_world(seed, tenants),
	    .calm = open_world(seed, tenants),
	    .seed = mix64(seed ^ 0xc4a05),
	    .victims = calloc(tenants, sizeof(*c.victims)),
	    .v = v,
	};

	if (!c.victims)
		abort();
	*v = (struct sim_verdict){0};
	c.of_all = seed % 4 == 3 ? 1 + (unsigned)(c.seed % 100) : 0;
	choose_victims(&c);
	c.s->trace = trace;
	c.s->gaps = true;
	c.s->meddle = meddle;
	c.s->meddle_arg = &c;
	for (size_t i = 0; trace && i < tenants; i++)
		if (c.victims[i].kinds)
			(void)printf("t%03zu: kinds %06x, %u %%\n", i, c.victims[i].kinds,
				     c.victims[i].odds);
	live(&c);
	sim_free(c.s);
	sim_free(c.calm);
	for (size_t i = 0; i < tenants; i++)
		free(c.victims[i].last);
	free(c.victims);
}
