/*
 * What is looked at for each tenant, several at once: its role, and each permission that its jobs
 * take, as their kinds declare them. One tenant's fault is its own.
 */
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "aws/endpoint.h"
#include "aws/sts.h"
#include "base/cleanup.h"
#include "base/crew.h"
#include "run/check.h"

#define CALL_MS	      60000 /* for one call with its retries */
#define REQUEST_MAX   ((size_t)64 << 10)
#define REPLY_MAX     ((size_t)16 << 20)
#define ASK_AGAIN_MAX 4 /* ways to ask: no service has more protocols */
#define TEXT_MAX      ((size_t)8 << 10)
#define NO_EXTERNAL   "muster-check-none-of-yours"

/* One tenant while it is looked at. */
struct visit {
	struct session *s;
	const struct tenant *t;
	struct check_place place;
	struct buf role_arn;
	struct cred_source *creds;
	/* What was tried already, "action region resource": jobs of a kind need the same. */
	const char **tried;
	size_t n_tried;
	struct arena mem;
};

/* ---- the role ---- */

/* The session that the trial of the role has got, as a source. */
struct held {
	struct cred_source base;
	struct cred cred;
};

static int
held_get(struct cred_source *src, const char *stale, struct cred *ret, struct err *err)
{
	(void)stale;
	return cred_copy(ret, &((struct held *)src)->cred, err);
}

static void
held_free(struct cred_source *src)
{
	struct held *h = (struct held *)src;

	cred_done(&h->cred);
	free(h);
}

static const struct cred_source_ops held_ops = {"session", held_get, held_free, NULL};

static struct assume_role
role_of(const struct visit *v, const char *session_name)
{
	return (struct assume_role){
	    .endpoint = buf_cstr(&v->s->sts_endpoint),
	    .region = v->s->config->region,
	    .role_arn = buf_cstr(&v->role_arn),
	    .external_id = v->t->external_id,
	    .session_name = session_name,
	    .source_identity = session_name,
	    .expect_account = v->t->account,
	};
}

static void
role_fault(struct visit *v, const struct err *err)
{
	CLEANUP(buf_done) struct buf words = BUF_INIT(TEXT_MAX);
	struct finding f = {
	    .level = CHECK_FAULT,
	    .who = v->t->id,
	    .what = "role",
	    .code = err->code,
	    .request_id = err->request_id,
	};

	buf_fmt(&words, "%s cannot be assumed: %s", buf_cstr(&v->role_arn), err->msg);
	if (trial_denied(err)) {
		buf_fmt(&words,
			"; STS does not say why: check that the role exists (the template "
			"schedules/tenant-role.yaml makes it), that both policies allow it, and %s",
			v->t->external_id ? "that its external id is the configured one"
					  : "that it asks for no external id");
		f.action = "sts:AssumeRole";
		check_role_remedies(&v->place, SIDE_CALLER | SIDE_TRUST | SIDE_IDENTITY,
				    buf_cstr(&v->role_arn), v->t->external_id, &f);
	}
	f.words = buf_cstr(&words);
	findings_add(v->place.to, &f);
}

static void
no_identity(struct visit *v, const struct err *err)
{
	struct finding f = {
	    .level = CHECK_WARN,
	    .who = v->t->id,
	    .what = "role",
	    .words = "the source identity is refused: the tenant's CloudTrail does not show which "
		     "run it was, and each run asks twice",
	    .action = "sts:SetSourceIdentity",
	    .code = err->code,
	    .request_id = err->request_id,
	};

	check_role_remedies(&v->place, SIDE_IDENTITY, buf_cstr(&v->role_arn), v->t->external_id,
			    &f);
	findings_add(v->place.to, &f);
}

/* As a run does it: with the source identity, and if that is refused, without. */
static int
assume(struct visit *v, struct assume_role *role, struct cred *ret)
{
	struct err with = {0}, without = {0};

	if (!sts_assume_role(v->s->top, v->s->base, role, ret, &with))
		return 0;
	role->source_identity = NULL;
	if (trial_denied(&with) && !sts_assume_role(v->s->top, v->s->base, role, ret, &without)) {
		no_identity(v, &with);
		return 0;
	}
	role_fault(v, trial_denied(&with) && without.kind != ERR_NONE ? &without : &with);
	return -1;
}

/* Does STS give a session to one who does not know the external id? */
static void
audit_one(struct visit *v, const struct assume_role *role, const char *external_id,
	  const char *words)
{
	struct finding f = {.who = v->t->id, .what = "trust"};
	struct assume_role other = *role;
	struct cred got = {0};
	struct err err = {0};

	other.external_id = external_id;
	if (!sts_assume_role(v->s->top, v->s->base, &other, &got, &err)) {
		f.level = CHECK_WARN;
		f.words = words;
		check_role_remedies(&v->place, SIDE_TRUST, buf_cstr(&v->role_arn),
				    v->t->external_id, &f);
	} else if (!trial_denied(&err)) {
		f.level = CHECK_WARN;
		f.words = err.msg;
		f.code = err.code;
		f.request_id = err.request_id;
	}
	cred_done(&got);
	if (f.level != CHECK_OK)
		findings_add(v->place.to, &f);
}

static void
audit(struct visit *v, const struct assume_role *role)
{
	size_t warnings = v->place.to->count[CHECK_WARN];

	if (!v->t->external_id) {
		check_say(&v->place, CHECK_WARN, "trust",
			  "the role can be assumed without an external id, as configured: whoever "
			  "makes this program read an account that is not theirs is not stopped");
		return;
	}
	audit_one(v, role, NULL,
		  "the role can be assumed without the external id: its trust policy does not ask "
		  "for it; let it");
	audit_one(v, role, NO_EXTERNAL,
		  "the role can be assumed with any external id: its trust policy does not "
		  "compare it; let it");
	if (v->place.to->count[CHECK_WARN] == warnings)
		check_say(&v->place, CHECK_OK, "trust", NULL);
}

static int
open_role(struct visit *v)
{
	struct held *h = calloc(1, sizeof(*h));
	struct assume_role role;
	struct err err = {0};
	char session[65];

	sts_session_name(session, v->t->id, v->s->run_id);
	if (!h)
		(void)err_nomem(&err);
	if (!h ||
	    sts_role_arn(v->t->role, v->t->account, v->s->config->region, &v->role_arn, &err)) {
		role_fault(v, &err);
		free(h);
		return -1;
	}
	h->base.ops = &held_ops;
	role = role_of(v, session);
	v->place.holder = buf_cstr(&v->role_arn);
	if (assume(v, &role, &h->cred)) {
		held_free(&h->base);
		return -1;
	}
	v->creds = &h->base;
	check_say(&v->place, CHECK_OK, "role", NULL);
	if (v->s->options->audit_trust)
		audit(v, &role);
	return 0;
}

static int
open_creds(struct visit *v)
{
	char words[256];

	if (v->t->assume)
		return open_role(v);
	if (v->t->linked || !strcmp(v->t->account, v->s->me.account)) {
		v->creds = v->s->base;
		return 0;
	}
	(void)snprintf(
	    words, sizeof(words),
	    "no role is assumed (assume: false), and the base credentials are of account "
	    "%s instead of %s",
	    v->s->me.account, v->t->account);
	check_say(&v->place, CHECK_FAULT, "account", words);
	return -1;
}

/* ---- permissions ---- */

static bool
tried_before(struct visit *v, const char *text)
{
	for (size_t i = 0; i < v->n_tried; i++)
		if (!strcmp(v->tried[i], text))
			return true;
	return false;
}

static void
remember(struct visit *v, const char *text)
{
	const char **list = realloc(v->tried, (v->n_tried + 1) * sizeof(*list));
	char *copy = arena_strdup(&v->mem, sv_of(text));

	if (list)
		v->tried = list;
	if (list && copy)
		v->tried[v->n_tried++] = copy;
}

/*
 * Did it come so far that the permission was looked at? A service refuses for it first; a refusal
 * of what was asked, in the service's own words, comes after it. What does not know the operation
 * is not the service.
 */
static bool
permitted(const struct err *err)
{
	static const char *const strangers[] = {"UnknownOperation", "InvalidAction",
						"Serialization"};

	if (err->kind == ERR_NONE)
		return true;
	for (size_t i = 0; i < ARRAY_LEN(strangers); i++)
		if (!strncmp(err->code, strangers[i], strlen(strangers[i])))
			return false;
	/* As many queries as may be run already. */
	if (!strncmp(err->code, "LimitExceeded", strlen("LimitExceeded")))
		return true;
	return err->code[0] && err->http_status >= 400 && err->http_status < 500 &&
	       (err->kind == ERR_REJECTED || err->kind == ERR_NOTFOUND ||
		err->kind == ERR_CONFLICT);
}

struct asking {
	struct visit *v;
	const struct job_stream *stream;
	struct aws_target to;
	struct aws_call call;
	struct http_resp resp;
	struct buf url; /* of the call's service */
	json_t *seen;
};

static void
ask(struct asking *a, const struct job_probe *probe, struct err *err)
{
	struct session *s = a->v->s;
	bool again = true;

	for (int i = 0; again && i < ASK_AGAIN_MAX; i++) {
		err_clear(err);
		aws_call_reset(&a->call);
		resp_reset(&a->resp);
		buf_reset(&a->url);
		if (probe->ask(a->stream, a->seen, s->env.now_ms, &a->call, err) ||
		    endpoint_url(a->call.service, a->to.region, &a->url, err))
			return;
		a->to.endpoint = buf_cstr(&a->url);
		a->to.deadline_mono_ms = clock_mono_ms(s->clock) + CALL_MS;
		a->call.max_reply = REPLY_MAX;
		(void)aws_call_send(&a->call, &a->to, &a->resp, err);
		again = probe->heard && probe->heard(a->stream, a->seen, &a->call, &a->resp, err);
	}
}

static void
try_probe(struct asking *a, const struct job_probe *probe)
{
	CLEANUP(buf_done) struct buf resource = BUF_INIT(TEXT_MAX), key = BUF_INIT(TEXT_MAX);
	struct visit *v = a->v;
	struct err err = {0};

	if (probe->needed && !probe->needed(a->seen))
		return;
	if (probe->resource)
		probe->resource(a->stream, &resource);
	buf_fmt(&key, "%s %s %s", probe->action, a->stream->region, buf_cstr(&resource));
	if (tried_before(v, buf_cstr(&key)))
		return;
	remember(v, buf_cstr(&key));
	ask(a, probe, &err);
	if (permitted(&err))
		check_say(&v->place, CHECK_OK, probe->action, NULL);
	else
		check_fault(&v->place, probe->action, probe->action,
			    resource.n && buf_ok(&resource) ? buf_cstr(&resource) : NULL, &err);
}

static void
try_stream(struct visit *v, const struct job *job, const char *region)
{
	CLEANUP(buf_done) struct buf doubt = BUF_INIT(TEXT_MAX);
	const struct job_stream stream = {
	    .common = &job->common,
	    .opts = job->opts,
	    .tenant = v->t->id,
	    .account = v->t->account,
	    .linked_account = v->t->linked ? v->t->account : NULL,
	    .region = region,
	};
	struct asking a = {
	    .v = v,
	    .stream = &stream,
	    .to = {.t = v->s->top, .creds = v->creds, .account = v->t->account, .region = region},
	    .url = BUF_INIT(4096),
	    .seen = json_object(),
	};
	struct err err = {0};

	v->place.job = job->name;
	v->place.region = region;
	aws_call_init(&a.call, REQUEST_MAX);
	resp_init(&a.resp, REPLY_MAX);
	if (endpoint_url(job->kind->service, region, &a.url, &err))
		check_fault(&v->place, "endpoint", NULL, NULL, &err);
	for (const struct job_probe *p = job->kind->probes; p && p->action; p++)
		if (err.kind == ERR_NONE && !clock_cancelled(v->s->clock))
			try_probe(&a, p);
	if (job->kind->doubt && job->kind->doubt(&stream, a.seen, &doubt))
		check_say(&v->place, CHECK_WARN, job->kind->name, buf_cstr(&doubt));
	resp_done(&a.resp);
	aws_call_done(&a.call);
	buf_done(&a.url);
	json_decref(a.seen);
}

static void
visit(struct check *c, struct findings *to, const struct tenant *t)
{
	struct visit v = {
	    .s = c->s,
	    .t = t,
	    .place = {.to = to, .who = t->id, .holder = c->caller, .caller = c->caller},
	    .role_arn = BUF_INIT(4096),
	    .mem = ARENA_INIT((size_t)1 << 20),
	};

	if (!open_creds(&v))
		for (size_t j = 0; j < c->s->config->n_jobs; j++)
			for (size_t r = 0; r < t->n_regions; r++)
				if (session_has_job(c->s, t, &c->s->config->jobs[j]) &&
				    (!t->linked || c->s->config->jobs[j].kind->linked))
					try_stream(&v, &c->s->config->jobs[j], t->regions[r]);
	if (t->assume)
		cred_source_free(v.creds);
	free(v.tried);
	arena_done(&v.mem);
	buf_done(&v.role_arn);
}

/* ---- all of them ---- */

struct round {
	struct check *c;
	const struct tenant **chosen;
	atomic_size_t next;
};

static void *
worker_main(void *arg)
{
	struct round *r = arg;
	size_t i;

	while (!clock_cancelled(r->c->s->clock) &&
	       (i = atomic_fetch_add(&r->next, 1)) < r->c->n_tenants)
		visit(r->c, &r->c->tenants[i], r->chosen[i]);
	return NULL;
}

static size_t
choose(const struct check *c, const struct tenant **chosen)
{
	const struct config *config = c->s->config;
	size_t n = 0;

	for (size_t i = 0; i < config->n_tenants; i++)
		if (session_has_tenant(c->s, config->tenants[i].id))
			chosen[n++] = &config->tenants[i];
	return n;
}

void
check_tenants(struct check *c)
{
	const struct config *config = c->s->config;
	int64_t asked = c->s->options->workers ? c->s->options->workers : config->run.workers;
	struct check_place p = {.to = &c->central};
	struct round r = {.c = c};
	size_t n = config->n_tenants ? config->n_tenants : 1;

	if (!c->base) {
		check_say(&p, CHECK_WARN, "tenants", "not tried: there are no base credentials");
		return;
	}
	r.chosen = calloc(n, sizeof(const struct tenant *));
	c->tenants = calloc(n, sizeof(*c->tenants));
	if (!r.chosen || !c->tenants) {
		c->central.lost = true;
	} else {
		c->n_tenants = choose(c, r.chosen);
		for (size_t i = 0; i < c->n_tenants; i++)
			findings_init(&c->tenants[i]);
		crew_work((size_t)asked < c->n_tenants ? (size_t)asked : c->n_tenants, worker_main,
			  &r);
	}
	free(r.chosen);
}
