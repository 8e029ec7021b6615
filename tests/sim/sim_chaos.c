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
 * A world of many tenants lives longer, and the trouble moves on to others every few runs. As many
 * of them as there is use for are of one seed, so that the life without trouble is lived once; what
 * it had after each run is kept as digests, a tenant's in one.
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

#define ONE_IN	      20  /* tenants is in trouble */
#define TROUBLED_RUNS 3	  /* at most */
#define MANY	      100 /* tenants: a world of more is a long one */
#define LONG_RUNS     20  /* of those, in trouble */
#define SPELL	      4	  /* runs after which it moves on to other tenants */
#define SAME_WORLD    25  /* seeds of long worlds that differ in nothing but their trouble */
#define CALM_RUNS     6	  /* in so many all has to be good again */
#define TURNS	      (LONG_RUNS + CALM_RUNS)
#define DEADLINE_MS   (8 * SIM_MIN)
#define GRACE_MS      30000	    /* beyond it, for what a run has to bring to its end */
#define LAST_MS	      (5 * SIM_MIN) /* the same where S3 is slow: a checkpoint, the report */
#define DRIP_MS	      70000	    /* that an answer takes which comes drop by drop */
#define PLANTED	      64	    /* series of a tenant, with those that wrong answers make */
#define EACH	      (15 * SIM_MIN)
#define LAST_MAX      (16 << 20) /* bytes of an answer that is kept */

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

static const char *const trouble_names[TROUBLES] = {
    "reset",	 "answer_lost", "stalled", "dripped", "cut",	    "cut_off",	    "flipped",
    "garbled",	 "stale",	"html",	   "type",    "other_op",   "other_tenant", "status",
    "throttled", "denied",	"expired", "endless", "empty_page", "not_whole",
};

struct victim {
	unsigned kinds; /* of trouble, by bit; 0: none now */
	unsigned odds;	/* of 100 calls so many are in trouble */
	bool was;	/* in trouble, now or before */
	unsigned quiet; /* runs since it was */
	uint64_t calls;
	struct buf last; /* of the true answers; empty: none yet */
};
/* What a tenant has in lake and receiver, whatever the order in which it came. */
struct footprint {
	uint64_t objects, n_objects, series, n_series;
};
/* A world without trouble. */
struct calm {
	struct sim *s;
	size_t turns;			/* so many runs are lived */
	struct footprint *after[TURNS]; /* of each tenant, after each run */
};
struct chaos {
	struct sim *s;
	struct calm *calm; /* the same world without it */
	uint64_t seed;
	bool over;
	unsigned of_all; /* of 1,000 calls to S3 or the receiver so many are in trouble */
	uint64_t central_calls;
	struct victim *victims; /* by tenant */
	struct footprint *is;	/* the same, for comparison */
	size_t turn;
	struct sim_verdict *v;
};

/* Of all worlds. */
static struct {
	uint64_t worlds, runs, hostile, compared, calm, calls;
	uint64_t spoken[CW_N_PROTOS]; /* worlds, by CloudWatch's protocol */
	uint64_t troubles[TROUBLES];
} counts;

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

/* The same in JSON, told in the words of the service's protocol. */
static int
say_doc(const struct call *k, struct http_resp *resp, int status, const char *doc, struct err *err)
{
	resp->status = status;
	buf_str(&resp->body, doc);
	sim_wire_answer(k->req, resp);
	return sorted(k, resp, err);
}

static bool
is_ours(const struct http_req *req)
{
	return req->body.n && memmem(req->body.p, req->body.n, SIM_NO_TOKEN, strlen(SIM_NO_TOKEN));
}

static int
truth(const struct call *k, const struct http_req *req, struct http_resp *resp, struct err *err)
{
	return sim_answer(k->c->s, req, resp, err);
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
	const struct buf *last = &k->c->victims[k->tenant].last;

	if (!last->n)
		return truth(k, k->req, resp, err);
	buf_sv(&resp->body, buf_view(last));
	return say(k, resp, 200, "", err);
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
		return say_doc(k, resp, 200, others[at], err);
	(void)snprintf(page, sizeof(page), "{%s}", paged[at - n].empty);
	return say_doc(k, resp, 200, page, err);
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
	bool doc = k->req->proto == PROTO_AWS_JSON || k->req->proto == PROTO_AWS_CBOR;
	char text[256];

	(void)snprintf(text, sizeof(text),
		       doc ? "{\"__type\":\"%s\",\"message\":\"no\"}"
		       : k->req->proto == PROTO_AWS_QUERY
			   ? "<ErrorResponse><Error><Code>%s</Code><Message>no</Message></Error>"
			     "</ErrorResponse>"
			   : "<Error><Code>%s</Code><Message>no</Message></Error>",
		       code);
	return doc ? say_doc(k, resp, status, text, err) : say(k, resp, status, text, err);
}

static int
empty_page(const struct call *k, struct http_resp *resp, struct err *err)
{
	char page[256];

	for (size_t i = 0; i < sizeof(paged) / sizeof(paged[0]); i++) {
		if (strcmp(paged[i].operation, k->req->operation) != 0)
			continue;
		(void)snprintf(page, sizeof(page), "{%s,\"%s\":\"" SIM_NO_TOKEN "%llu\"}",
			       paged[i].empty, paged[i].token, (unsigned long long)k->r);
		return say_doc(k, resp, 200, page, err);
	}
	return truth(k, k->req, resp, err);
}

static int
empty_once(const struct call *k, struct http_resp *resp, struct err *err)
{
	return is_ours(k->req) ? truth(k, k->req, resp, err) : empty_page(k, resp, err);
}

/* Where a status stands that says "Complete"; NULL: nowhere. */
static char *
complete_in(const struct http_resp *resp)
{
	static const char *const as_told[] = {"\"Complete", "hComplete", ">Complete<"};

	for (size_t i = 0; i < sizeof(as_told) / sizeof(as_told[0]); i++) {
		char *at = resp->body.n ? memmem(resp->body.p, resp->body.n, as_told[i],
						 strlen("Complete") + 1)
					: NULL;

		if (at)
			return at + 1;
	}
	return NULL;
}

static int
not_whole(const struct call *k, struct http_resp *resp, struct err *err)
{
	static const char *const metric[] = {"Internal", "PartialD"}; /* as long as "Complete" */
	static const char *const query[] = {"Failed  ", "Timeout ", "Unknown ", "Running "};
	bool of_query = !strcmp(k->req->operation, "GetQueryResults");
	int r = truth(k, k->req, resp, err);
	char *at = complete_in(resp);

	if (!at)
		return r;
	memcpy(at, of_query ? query[k->r % 4] : metric[k->r % 2], strlen("Complete"));
	for (at = of_query ? strchr(at, ' ') : NULL; at && *at == ' '; at++)
		*at = at[-1] == '"' ? ' ' : '"';
	return r;
}

static int
troubled(const struct call *k, enum mischief what, struct http_resp *resp, struct err *err)
{
	counts.troubles[what]++;
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

/* What the receiver and S3 may come to; a refusal of theirs would be the truth. S3 may say what it
 * does not mean, for its answers can be checked: what is read has checksums of its own, and what
 * was written has an ETag. */
static unsigned
central_kinds(const struct http_req *req)
{
	const unsigned any =
	    1u << RESET | 1u << LOST | 1u << STALL | 1u << DRIP | 1u << CUT | 1u << STATUS;
	const unsigned of_writing = any | 1u << PAGE;

	if (strcmp(req->service, "s3") != 0)
		return any;
	if (!strcmp(req->operation, "GetObject"))
		return of_writing | 1u << TYPE | 1u << CUT_OFF | 1u << FLIP | 1u << GARBLED;
	return !strcmp(req->operation, "PutObject") ? of_writing : any;
}

static int
central_trouble(struct call *k, struct http_resp *resp, struct err *err)
{
	static const int statuses[] = {500, 502, 503, 504};
	enum mischief what = draw_kind(central_kinds(k->req), k->r);

	if (what == STATUS) {
		counts.troubles[STATUS]++;
		return say(k, resp, statuses[k->r >> 8 & 3], "", err);
	}
	return troubled(k, what, resp, err);
}

static void
keep(struct victim *v, const struct http_resp *resp)
{
	if (resp->status != 200 || !resp->body.n)
		return;
	buf_reset(&v->last);
	buf_sv(&v->last, buf_view(&resp->body));
	if (!buf_ok(&v->last))
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
choose_victims(struct chaos *c, uint64_t seed)
{
	static const unsigned odds[] = {100, 60, 20, 5};
	size_t n = c->s->tenants / ONE_IN;

	for (size_t i = 0; i < c->s->tenants; i++)
		c->victims[i].kinds = 0;
	for (size_t i = 0; i < (n ? n : 1); i++) {
		uint64_t r = mix64(seed ^ mix64(i + 0xbad));
		struct victim *v = &c->victims[r % c->s->tenants];

		v->odds = odds[(r >> 32) % 4];
		v->was = true;
		v->quiet = 0;
		v->kinds |= 1u << (r >> 36) % TROUBLES;
		for (; (r >> 48) % 3 == 0; r = mix64(r))
			v->kinds |= 1u << mix64(r) % TROUBLES;
	}
	for (size_t i = 0; c->s->trace && i < c->s->tenants; i++)
		if (c->victims[i].kinds)
			(void)printf("t%03zu: kinds %06x, %u %%\n", i, c->victims[i].kinds,
				     c->victims[i].odds);
}

/* ---- what has to hold ---- */

struct footprints {
	const struct sim *s;
	struct footprint *of; /* each tenant's, and one that is nobody's */
};

static struct footprint *
footprint_of(const struct footprints *f, const char *mark, const char *in)
{
	const char *of = strstr(in, mark);

	return &f->of[of ? sim_tenant_of(f->s, of + strlen(mark)) : f->s->tenants];
}

static void
add_object(struct sv key, void *value, void *arg)
{
	const struct sim_object *o = value;
	struct footprint *of;

	if (!sv_starts(key, SV("sim/lake/")))
		return;
	of = footprint_of(arg, "/tenant=", o->key);
	of->objects += mix64(fnv1a64(key) ^ mix64(fnv1a64(sv_of(o->etag))));
	of->n_objects++;
}

static uint64_t
digest(const struct db_series *db)
{
	uint64_t h = fnv1a64(sv_of(db->key));

	for (size_t i = 0; i < db->n; i++) {
		uint64_t bits;

		memcpy(&bits, &db->samples[i].value, sizeof(bits));
		h = mix64(mix64(h ^ (uint64_t)db->samples[i].ts) ^ bits);
	}
	return h;
}

/* `of` has room for each tenant and one more. */
static void
take_footprints(const struct sim *s, struct footprint *of)
{
	struct footprints f = {s, of};

	memset(of, 0, (s->tenants + 1) * sizeof(*of));
	map_each(&s->objects, add_object, &f);
	for (size_t i = 0; i < s->receiver->n_series; i++) {
		const struct db_series *db = &s->receiver->db[i];
		struct footprint *to = footprint_of(&f, ";tenant=", db->key);

		to->series += digest(db);
		to->n_series++;
	}
}

static struct footprint *
new_footprints(size_t tenants)
{
	struct footprint *f = calloc(tenants + 1, sizeof(*f));

	if (!f)
		abort();
	return f;
}

/* Who was in no trouble has the same as in the calm world. */
static void
compare(struct chaos *c)
{
	const struct footprint *want = c->calm->after[c->turn];
	char words[64];

	counts.compared++;
	take_footprints(c->s, c->is);
	for (size_t i = 0; i < c->s->tenants; i++) {
		const struct footprint *is = &c->is[i];

		if (c->victims[i].was)
			continue;
		(void)snprintf(words, sizeof(words), "t%03zu after run %zu", i, c->turn + 1);
		if (is->n_objects < want[i].n_objects || is->n_series < want[i].n_series)
			blame(c, &c->v->lost, "a healthy tenant lacks something", words);
		else if (is->objects != want[i].objects || is->n_objects != want[i].n_objects)
			blame(c, &c->v->mismatched, "a healthy tenant's objects differ", words);
		else if (is->series != want[i].series || is->n_series != want[i].n_series)
			blame(c, &c->v->mismatched, "a healthy tenant's series differ", words);
	}
}

static const char *
text_of(const json_t *doc, const char *key)
{
	const char *text = json_string_value(json_object_get(doc, key));

	return text ? text : "";
}

/* It is in trouble, or was a few runs ago. */
static bool
may_fail(const struct victim *v)
{
	return v->was && v->quiet < CALM_RUNS;
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
		if (!may_fail(&c->victims[tenant]) && !c->of_all)
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

/* So many runs of the calm world. */
static void
live_calm(struct calm *w, size_t turns, int64_t each_ms)
{
	for (; w->turns < turns; w->turns++) {
		counts.calm++;
		(void)sim_run(w->s, SIM_RUN, 16);
		json_decref(sim_take_report(w->s));
		w->after[w->turns] = new_footprints(w->s->tenants);
		take_footprints(w->s, w->after[w->turns]);
		w->s->now_ms += each_ms;
	}
}

static int
run_once(struct chaos *c, size_t workers)
{
	int status;

	if (!c->of_all)
		live_calm(c->calm, c->turn + 1, EACH);
	status = sim_run(c->s, SIM_RUN, workers);
	counts.runs++;
	counts.hostile += !c->over;
	check_run(c, status);
	for (size_t i = 0; i < c->s->tenants; i++)
		c->victims[i].quiet = c->victims[i].kinds && !c->over ? 0 : c->victims[i].quiet + 1;
	c->s->now_ms += EACH;
	c->turn++;
	return status;
}

static void
live(struct chaos *c)
{
	uint64_t r = mix64(c->seed ^ 0x11fe);
	size_t workers = 8 + r % 25; /* so that a few that stall leave some to the others */
	size_t runs = c->s->tenants > MANY ? LONG_RUNS : 1 + (r >> 8) % TROUBLED_RUNS;
	int status = 1;

	for (size_t n = 0; n < runs && !c->v->what[0]; n++) {
		if (n % SPELL == 0)
			choose_victims(c, c->seed ^ mix64(n));
		(void)run_once(c, workers);
	}
	c->over = true;
	for (int n = 0; n < CALM_RUNS && status && !c->v->what[0]; n++)
		status = run_once(c, workers);
	c->s->now_ms -= EACH;
	if (status)
		blame(c, &c->v->lost, "no run came to a good end", "");
	if (!c->v->what[0])
		sim_check(c->s, c->v);
}

/* A long one has one new cell a run, and a short one three. */
static struct sim *
open_world(uint64_t seed, size_t tenants)
{
	static const enum sim_jobs jobs[] = {SIM_USUAL, SIM_USUAL, SIM_TRACES, SIM_ALARMS};
	bool many = tenants > MANY;
	struct sim *s = sim_new(seed, tenants, many ? EACH : 5 * SIM_MIN,
				seed % 2 ? HABIT_WHOLE : HABIT_KEEPER, jobs[mix64(seed) % 4]);

	s->now_ms = SIM_EPOCH + 60 * SIM_MIN + (int64_t)(mix64(seed ^ 7) % 4096) * SIM_MIN;
	s->call_ms = many ? 1 : 10; /* one after the other here, and many at once there */
	s->receiver->window_ms = 24 * 60 * SIM_MIN;
	receiver_make_room(s->receiver, tenants * PLANTED + RECEIVER_SERIES);
	s->run_conf = ", deadline: 8m";
	s->ways.proto = (enum cw_proto)(mix64(seed ^ 0x9207) % CW_N_PROTOS);
	sim_write_config(s);
	return s;
}

/* The same one again, as long as it is the same that is asked for; with 0 tenants none any more. */
static struct calm *
calm_world(uint64_t seed, size_t tenants)
{
	static struct calm w;

	if (w.s && w.s->seed == seed && w.s->tenants == tenants)
		return &w;
	for (size_t i = 0; i < w.turns; i++)
		free(w.after[i]);
	if (w.s)
		sim_free(w.s);
	w = (struct calm){.s = tenants ? open_world(seed, tenants) : NULL};
	return &w;
}

void
sim_chaos(uint64_t seed, size_t tenants, bool trace, struct sim_verdict *v)
{
	uint64_t world = tenants > MANY ? seed / SAME_WORLD : seed;
	struct chaos c = {
	    .s = open_world(world, tenants),
	    .calm = calm_world(world, tenants),
	    .seed = mix64(seed ^ 0xc4a05),
	    .victims = calloc(tenants + 1, sizeof(*c.victims)),
	    .is = new_footprints(tenants),
	    .v = v,
	};

	if (!c.victims)
		abort();
	for (size_t i = 0; i < tenants; i++)
		c.victims[i].last = BUF_INIT(LAST_MAX);
	*v = (struct sim_verdict){0};
	c.of_all = seed % (tenants > MANY ? 8 : 4) == 3 ? 1 + (unsigned)(c.seed % 100) : 0;
	c.s->trace = trace;
	c.s->gaps = true;
	c.s->meddle = meddle;
	c.s->meddle_arg = &c;
	live(&c);
	counts.worlds++;
	counts.spoken[c.s->ways.proto]++;
	counts.calls += c.s->calls;
	sim_free(c.s);
	for (size_t i = 0; i < tenants; i++)
		buf_done(&c.victims[i].last);
	free(c.victims);
	free(c.is);
}

void
sim_chaos_end(void)
{
	(void)calm_world(0, 0);
}

void
sim_chaos_say(size_t tenants)
{
	(void)printf("tenants=%zu worlds=%llu runs=%llu hostile=%llu compared=%llu calm=%llu "
		     "calls=%llu\n",
		     tenants, (unsigned long long)counts.worlds, (unsigned long long)counts.runs,
		     (unsigned long long)counts.hostile, (unsigned long long)counts.compared,
		     (unsigned long long)counts.calm, (unsigned long long)counts.calls);
	(void)printf("worlds that speak: cbor=%llu json=%llu query=%llu\n",
		     (unsigned long long)counts.spoken[CW_CBOR],
		     (unsigned long long)counts.spoken[CW_JSON],
		     (unsigned long long)counts.spoken[CW_QUERY]);
	for (size_t i = 0; i < TROUBLES; i++)
		(void)printf("%s%s=%llu", i ? " " : "troubles: ", trouble_names[i],
			     (unsigned long long)counts.troubles[i]);
	(void)printf("\n");
	(void)fflush(stdout);
}
