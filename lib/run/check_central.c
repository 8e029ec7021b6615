/*
 * What is looked at once: the configuration, the base credentials, the clock, the state store; and
 * the sinks.
 */
#include <inttypes.h>
#include <stdio.h>

#include "base/cleanup.h"
#include "run/check.h"
#include "run/plain_http.h"
#include "run/sandbox.h"

/* AWS refuses signatures that are 5 minutes off (SigV4), muster corrects its own; whatever else
 * goes by this clock is wrong all the same. */
#define CLOCK_FAULT_MS (5 * 60000)
#define CLOCK_WARN_MS  30000
#define TEXT_MAX       ((size_t)8 << 10)

static struct check_place
place_of(struct check *c)
{
	return (struct check_place){.to = &c->central, .holder = c->caller, .caller = c->caller};
}

static void
advise(void *arg, const char *text)
{
	check_say(arg, CHECK_WARN, "configuration", text);
}

static bool
job_is_chosen(const struct check *c, const struct job *job)
{
	const struct config *config = c->s->config;

	for (size_t i = 0; i < config->n_tenants; i++)
		if (session_has_tenant(c->s, config->tenants[i].id) &&
		    session_has_job(c->s, &config->tenants[i], job))
			return true;
	return false;
}

static void
check_config(struct check *c)
{
	const struct config *config = c->s->config;
	CLEANUP(buf_done) struct buf text = BUF_INIT(TEXT_MAX);
	struct check_place p = place_of(c);

	buf_fmt(&text, "%s: tenants %zu, jobs %zu, sinks %zu", config->path, config->n_tenants,
		config->n_jobs, config->n_sinks);
	check_say(&p, CHECK_OK, "configuration", buf_cstr(&text));
	for (size_t i = 0; i < config->n_unused_sinks; i++) {
		buf_reset(&text);
		buf_fmt(&text, "no job uses the sink %s", config->unused_sinks[i]);
		check_say(&p, CHECK_WARN, "configuration", buf_cstr(&text));
	}
}

static void
check_plain_http(struct check *c)
{
	CLEANUP(buf_done) struct buf list = BUF_INIT(TEXT_MAX), text = BUF_INIT(2 * TEXT_MAX);
	struct check_place p = place_of(c);

	plain_http_list(c->s->config, &list);
	if (!list.n)
		return;
	buf_fmt(&text,
		"credentials or signed requests go over plain http, for all on the way to read: "
		"%s; use https",
		buf_cstr(&list));
	check_say(&p, CHECK_WARN, "plain http", buf_cstr(&text));
}

static void
check_sandbox(struct check *c)
{
	struct check_place p = place_of(c);

	if (*sandbox_lacks())
		check_say(&p, CHECK_WARN, "sandbox", sandbox_lacks());
}

static bool
one_tenant_has_both(const struct check *c, const struct job *a, const struct job *b)
{
	const struct config *config = c->s->config;

	for (size_t i = 0; i < config->n_tenants; i++)
		if (session_has_tenant(c->s, config->tenants[i].id) &&
		    session_has_job(c->s, &config->tenants[i], a) &&
		    session_has_job(c->s, &config->tenants[i], b))
			return true;
	return false;
}

/* A sink in which the series of two jobs meet: objects of the lake are each job's own. */
static const struct sink_conf *
meet_in(const struct job *a, const struct job *b)
{
	for (size_t i = 0; i < a->n_to; i++)
		for (size_t k = 0; k < b->n_to; k++)
			if (a->to[i] == b->to[k] && a->to[i]->kind != SINK_OBJECTS &&
			    a->to[i]->kind != SINK_STDOUT)
				return a->to[i];
	return NULL;
}

static void
compare_jobs(struct check *c, const struct job *a, const struct job *b)
{
	CLEANUP(buf_done) struct buf what = BUF_INIT(TEXT_MAX), text = BUF_INIT(TEXT_MAX);
	const struct sink_conf *sink = meet_in(a, b);
	struct check_place p = place_of(c);

	if (!sink || a->kind != b->kind || !a->kind->shares || !one_tenant_has_both(c, a, b) ||
	    !a->kind->shares(a->opts, b->opts, &what))
		return;
	p.job = b->name;
	buf_fmt(&text,
		"%s is asked for by job %s too, and %s gets it from both: what is the same is "
		"refused or counted twice; ask for it in one job, or send one of them elsewhere",
		buf_cstr(&what), a->name, sink->name);
	check_say(&p, CHECK_WARN, "configuration", buf_cstr(&text));
}

/* When all tenants are known. */
static void
check_jobs(struct check *c)
{
	const struct config *config = c->s->config;
	struct check_place p = place_of(c);

	for (size_t i = 0; i < config->n_jobs; i++) {
		const struct job *job = &config->jobs[i];

		p.job = job->name;
		if (job->kind->advise && job_is_chosen(c, job))
			job->kind->advise(job->opts, advise, &p);
		for (size_t k = 0; k < i; k++)
			compare_jobs(c, &config->jobs[k], job);
	}
}

static void
check_clock(struct check *c)
{
	int64_t off_ms = c->s->clock_behind_ms, by = off_ms < 0 ? -off_ms : off_ms;
	CLEANUP(buf_done) struct buf text = BUF_INIT(TEXT_MAX);
	struct check_place p = place_of(c);
	enum check_level level = by >= CLOCK_FAULT_MS  ? CHECK_FAULT
				 : by >= CLOCK_WARN_MS ? CHECK_WARN
						       : CHECK_OK;

	if (!c->s->me.server_wall_ms) {
		check_say(&p, CHECK_WARN, "clock", "STS did not tell the time");
		return;
	}
	if (level == CHECK_OK)
		buf_str(&text, "as AWS's");
	else
		buf_fmt(&text,
			"%" PRId64 " s %s AWS's: set this machine's clock (muster corrects its "
			"signatures, other programs do not)",
			by / 1000, off_ms > 0 ? "behind" : "ahead of");
	check_say(&p, level, "clock", buf_cstr(&text));
}

/* What the finding is about is said by the finding. */
static void
drop_prefix(struct err *err, const char *prefix)
{
	size_t n = strlen(prefix);

	if (!strncmp(err->msg, prefix, n))
		memmove(err->msg, err->msg + n, strlen(err->msg + n) + 1);
}

static void
check_base(struct check *c)
{
	CLEANUP(buf_done) struct buf caller = BUF_INIT(sizeof(c->caller) - 1);
	CLEANUP(buf_done) struct buf text = BUF_INIT(1u << 16);
	struct check_place p = place_of(c);
	struct err err = {0};

	if (session_base(c->s, &err) || session_identify(c->s, &err)) {
		drop_prefix(&err, "base credentials: ");
		check_fault(&p, "base credentials", NULL, NULL, &err);
		return;
	}
	c->base = true;
	check_principal(c->s->me.arn, &caller);
	(void)snprintf(c->caller, sizeof(c->caller), "%s", buf_cstr(&caller));
	buf_fmt(&text, "%s, from ", c->s->me.arn);
	cred_describe(c->s->base, &text);
	check_say(&p, CHECK_OK, "base credentials", buf_cstr(&text));
	check_clock(c);
}

static void
check_state(struct check *c)
{
	const struct store_env env = {
	    .transport = c->s->top,
	    .creds = c->s->base,
	    .region = c->s->config->region,
	};
	struct check_place p = place_of(c);
	struct trials to = check_trials(&p);
	size_t faults = c->central.count[CHECK_FAULT];
	struct err err = {0};

	p.who = "state";
	if (!c->base && sv_starts(sv_of(c->s->config->state), SV("s3://"))) {
		check_say(&p, CHECK_WARN, "write", "not tried: there are no base credentials");
		return;
	}
	if (store_try(c->s->config->state, &env, &to, &err))
		check_fault(&p, "write", NULL, NULL, &err);
	c->state = c->central.count[CHECK_FAULT] == faults;
}

/* The action of the listing's call that failed, by the name it has in the error: Organizations does
 * not say what was missing. NULL: it was another. */
static const char *
listing_action(const struct err *err)
{
	static const char *const actions[] = {
	    "organizations:ListAccountsForParent",
	    "organizations:ListOrganizationalUnitsForParent",
	    "organizations:ListTagsForResource",
	    "organizations:ListAccounts",
	    "oam:ListSinks",
	    "oam:ListAttachedLinks",
	};

	for (size_t i = 0; i < ARRAY_LEN(actions); i++)
		if (strstr(err->msg, strchr(actions[i], ':') + 1))
			return actions[i];
	return NULL;
}

/* `from`: the source that could not be listed. */
static void
found_fault(struct check *c, const struct tenant_source *from, struct err *err)
{
	const char *action = listing_action(err);
	struct check_place p = place_of(c);

	if (action && from->role_for_listing)
		p.holder = from->role_for_listing;
	drop_prefix(err, "tenants_from: ");
	check_fault(&p, "tenants_from", action, NULL, err);
}

/* The source that an error is about, as far as it tells: the first of its kind. */
static const struct tenant_source *
source_of(const struct config *config, const struct err *err)
{
	const char *action = listing_action(err);
	bool linked = action && !strncmp(action, "oam:", 4);

	for (size_t i = 0; i < config->n_sources; i++)
		if ((config->sources[i].kind == SOURCE_LINKED) == linked)
			return &config->sources[i];
	return &config->sources[0];
}

/* Those found in an organization or through links, for the looks that follow; the list is not kept.
 */
static void
check_found(struct check *c)
{
	const struct config *config = c->s->config;
	size_t faults = c->central.count[CHECK_FAULT];
	size_t listed = c->s->config->n_tenants;
	CLEANUP(buf_done) struct buf text = BUF_INIT(TEXT_MAX);
	struct check_place p = place_of(c);
	struct err err = {0};

	if (!c->s->config->n_sources)
		return;
	if (!c->base || !c->state) {
		check_say(&p, CHECK_WARN, "tenants_from",
			  "not tried: it takes base credentials and the state store");
		return;
	}
	if (session_state(c->s, &err) || session_find(c->s, false, &err)) {
		found_fault(c, source_of(config, &err), &err);
		return;
	}
	for (size_t i = 0; i < config->n_sources; i++) {
		const struct err *why = found_trouble(c->s->found, i);

		if (why) {
			err = *why;
			found_fault(c, &config->sources[i], &err);
		}
	}
	if (c->central.count[CHECK_FAULT] != faults)
		return;
	buf_fmt(&text, "%zu tenants found beside those listed", c->s->config->n_tenants - listed);
	check_say(&p, CHECK_OK, "tenants_from", buf_cstr(&text));
}

void
check_central(struct check *c)
{
	check_config(c);
	check_sandbox(c);
	check_plain_http(c);
	check_base(c);
	check_state(c);
	check_found(c);
	check_jobs(c);
}

/* ---- sinks ---- */

static bool
needs_base(const struct sink_conf *sink)
{
	return sink->sigv4_service || (sink->url && sv_starts(sv_of(sink->url), SV("s3://")));
}

static void
check_sink(struct check *c, const struct sink_conf *sink, const struct sink_env *env)
{
	struct check_place p = {
	    .to = &c->sinks,
	    .who = sink->name,
	    .holder = sink->role ? sink->role : c->caller,
	    .caller = c->caller,
	};
	struct trials to = check_trials(&p);
	size_t found = c->sinks.n;
	struct err err = {0};

	if (!c->base && needs_base(sink)) {
		check_say(&p, CHECK_WARN, "sink", "not tried: there are no base credentials");
		return;
	}
	if (sink_try(sink, env, &to, &err))
		check_fault(&p, "sink", NULL, NULL, &err);
	if (c->sinks.n == found)
		check_say(&p, CHECK_OK, "sink", "nothing to try");
}

void
check_sinks(struct check *c)
{
	const struct config *config = c->s->config;
	struct sink_env env;

	session_sink_env(c->s, &env);
	if (!c->base)
		env.base_creds = NULL;
	for (size_t i = 0; i < config->n_sinks && !clock_cancelled(c->s->clock); i++) {
		size_t faults = c->sinks.count[CHECK_FAULT];

		check_sink(c, &config->sinks[i], &env);
		c->n_sinks_dead += c->sinks.count[CHECK_FAULT] > faults;
	}
}

enum exit_status
check_status(const struct check *c)
{
	size_t faults = c->central.count[CHECK_FAULT] + c->sinks.count[CHECK_FAULT];

	for (size_t i = 0; i < c->n_tenants; i++)
		faults += c->tenants[i].count[CHECK_FAULT];
	if (!c->base || !c->state || (c->n_sinks_dead && c->n_sinks_dead == c->s->config->n_sinks))
		return EXIT_CENTRAL;
	return faults ? EXIT_SOME_FAILED : EXIT_OK;
}
