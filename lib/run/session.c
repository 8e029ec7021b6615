/* Opening and closing what a run needs; see session.h. */
#include "run/session.h"

#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "aws/aws_err.h"
#include "aws/endpoint.h"
#include "aws/profile.h"
#include "aws/sigv4.h"
#include "aws/sts.h"
#include "base/cleanup.h"
#include "base/hash.h"
#include "base/num.h"
#include "base/timefmt.h"
#include "run/others.h"
#include "run/shard.h"

#define RETRY_ATTEMPTS 3      /* the SDKs' standard mode */
#define FIND_MS	       300000 /* the longest that accounts may be listed for */
#define STATE_GRACE_MS 3000   /* of the 5 s in which a run has to end after a signal */
/* Large pages that are read at once, in bytes: a few keep a processor busy. */
#define PAGES_AT_ONCE ((size_t)6 << 20)
/* Lines of cells that are written and not compressed yet, in bytes: nobody waits for the network
 * with them. */
#define LINES_AT_ONCE ((size_t)3 << 19)

static const struct session_hooks no_hooks;
static const struct session_hooks *hooks = &no_hooks;

void
session_hook(const struct session_hooks *h)
{
	hooks = h ? h : &no_hooks;
}

const struct session_hooks *
session_hooks(void)
{
	return hooks;
}

struct clock *
session_clock(void)
{
	return hooks->clock ? hooks->clock : clock_real();
}

int
session_configure(struct config *c, struct err *err)
{
	return hooks->configure ? hooks->configure(hooks->arg, c, err) : 0;
}

static int
make_run_id(struct session *s, struct err *err)
{
	char stamp[TIME_TEXT_MAX];
	unsigned char random[4];
	char hex[9];

	if (random_bytes(random, sizeof(random), err))
		return -1;
	hex_lower(random, sizeof(random), hex);
	time_format_basic(s->started_wall_ms, stamp);
	(void)snprintf(s->run_id, sizeof(s->run_id), "%.16s-%s", stamp, hex);
	if (gethostname(s->host, sizeof(s->host) - 1))
		(void)snprintf(s->host, sizeof(s->host), "unknown");
	return 0;
}

static int
max_attempts(struct err *err)
{
	const char *text = settings_get("AWS_MAX_ATTEMPTS", "max_attempts");
	int64_t n = RETRY_ATTEMPTS;

	if (text && (!num_i64(sv_of(text), &n) || n < 1 || n > 100))
		return err_set(err, ERR_USAGE,
			       "AWS_MAX_ATTEMPTS (max_attempts): %s: expected 1 to 100", text);
	return (int)n;
}

static int
open_bottom(struct session *s, const struct curl_options *opt, struct err *err)
{
	if (!hooks->offline && curl_transport_new(opt, &s->top, err))
		return -1;
	return hooks->bottom ? hooks->bottom(hooks->arg, &s->top, err) : 0;
}

/* retry > sign > limit > count > curl */
static int
open_transports(struct session *s, struct err *err)
{
	const struct curl_options opt = {
	    .ca_bundle = settings_get("AWS_CA_BUNDLE", "ca_bundle"),
	    .user_agent = "muster/" MUSTER_VERSION,
	    .clock = s->clock,
	    .classify = aws_classify,
	};
	uint64_t seed = 0;
	int attempts = max_attempts(err);

	if (attempts < 0 || random_bytes(&seed, sizeof(seed), err) ||
	    curl_transport_global_init(err))
		return -1;
	s->counts = call_counts_new();
	if (!s->counts)
		return err_nomem(err);
	limits_rows(&s->config->run.limits, s->rates);
	if (open_bottom(s, &opt, err) || count_transport_new(s->top, s->counts, &s->top, err) ||
	    limit_transport_new(s->top, s->rates, s->clock, &s->top, err) ||
	    sign_transport_new(s->top, s->clock, &s->top, err))
		return -1;
	s->signer = s->top;
	return retry_transport_new(s->top, attempts, seed, s->clock, &s->top, err);
}

/* Asked for once before anything is signed with them: then what is wrong with them is said alone,
 * and not repeated. */
int
session_base(struct session *s, struct err *err)
{
	char session_name[65];
	const struct cred_setup setup = {
	    .t = s->top,
	    .clock = s->clock,
	    .region = s->config->region,
	    .session_name = session_name,
	    .seed = fnv1a64(sv_of(s->run_id)),
	};
	CLEANUP(cred_done) struct cred first = {0};
	CLEANUP(buf_done) struct buf from = BUF_INIT(1u << 16);

	sts_session_name(session_name, "base", s->run_id);
	if (cred_chain_new(&setup, &s->base, err) || cred_get(s->base, NULL, &first, err))
		return err_wrap(err, "base credentials");
	cred_describe(s->base, &from);
	log_event(LOG_DEBUG, "base credentials", LOG_S("from", buf_cstr(&from)),
		  LOG_S("key_id", first.key_id));
	return 0;
}

/* The last checkpoints of a run are written after it was told to stop. */
static int
open_state(struct session *s, bool read_only, struct err *err)
{
	const struct store_env env = {
	    .transport = s->top,
	    .creds = s->base,
	    .region = s->config->region,
	    .grace_ms = STATE_GRACE_MS,
	    .read_only = read_only,
	};

	return store_open(s->config->state, &env, &s->state, err);
}

int
session_state(struct session *s, struct err *err)
{
	return open_state(s, false, err);
}

/* The run's present, counted from wall_ms where --now is relative. */
static int
read_now(struct session *s, int64_t wall_ms, struct err *err)
{
	const struct options *o = s->options;

	s->env.now_ms = wall_ms;
	s->env.now_fixed = s->options->now || hooks->fixed_now;
	if (s->options->now && !time_parse_user(sv_of(s->options->now), wall_ms, &s->env.now_ms))
		return err_set(err, ERR_USAGE, "--now %s: expected RFC 3339, YYYY-MM-DD or now-6h",
			       s->options->now);
	if (o->command != FOR_BACKFILL && (o->command != FOR_PLAN || (!o->from && !o->to)))
		return 0;
	return backfill_read(s->options, s->config, s->env.now_ms, &s->backfill, err);
}

/* Who are we, and what time is it there: one call that needs no permission and proves the base
 * credentials. */
int
session_identify(struct session *s, struct err *err)
{

	if (sts_caller_identity(s->top, s->base, buf_cstr(&s->sts_endpoint), s->config->region,
				&s->me, err))
		return err_wrap(err, "base credentials (sts:GetCallerIdentity)");
	s->aws_wall_ms = s->me.server_wall_ms ? s->me.server_wall_ms : clock_wall_ms(s->clock);
	s->clock_behind_ms = s->aws_wall_ms - clock_wall_ms(s->clock);
	if (read_now(s, s->aws_wall_ms, err))
		return -1;
	if (s->options->now && plan_is_ahead(s->env.now_ms, s->aws_wall_ms))
		log_event(
		    LOG_WARN,
		    "--now is yet to come: what has not happened by then is taken for nothing",
		    LOG_S("now", s->options->now));
	return 0;
}

void
session_sink_env(const struct session *s, struct sink_env *ret)
{
	*ret = (struct sink_env){
	    .transport = s->top,
	    .base_creds = s->base,
	    .clock = s->clock,
	    .region = s->config->region,
	    .sts_endpoint = buf_cstr(&s->sts_endpoint),
	    .run_id = s->run_id,
	    .stdout_fd = hooks->stdout_fd ? hooks->stdout_fd : STDOUT_FILENO,
	};
}

static int
open_outlets(struct session *s, struct err *err)
{
	session_sink_env(s, &s->sink_env);
	return outlets_open(s->config->sinks, s->config->n_sinks, &s->sink_env, &s->env.outlets,
			    err);
}

/* A sink that freezes: it keeps what it was given and can give it back. */
static bool
can_freeze(const struct sink_conf *c)
{
	return c->kind == SINK_OBJECTS;
}

/* One for all of the job; of a backfill, those of its window. */
static int
make_slices(const struct session *s, struct job_plan *p, struct err *err)
{
	if (*s->backfill.name)
		return backfill_cut(&s->backfill, p->job, &p->plan, &p->slices, &p->n_slices, err);
	p->slices = calloc(1, sizeof(*p->slices));
	if (!p->slices)
		return err_nomem(err);
	p->n_slices = 1;
	p->slices[0].plan = p->plan;
	(void)snprintf(p->slices[0].doc, sizeof(p->slices[0].doc), "%s", p->job->name);
	return 0;
}

/* One that takes how things stand, and no history. */
static bool
takes_newest(const struct sink_conf *c)
{
	return c->kind == SINK_ALERTMANAGER;
}

static int
make_plan(const struct session *s, const struct job *job, struct job_plan *p, struct err *err)
{
	p->job = job;
	p->sinks = calloc(job->n_to, sizeof(*p->sinks));
	p->outlet_of = calloc(job->n_to, sizeof(*p->outlet_of));
	if (!p->sinks || !p->outlet_of)
		return err_nomem(err);
	p->lake = job->n_to;
	for (size_t k = 0; k < job->n_to; k++) {
		const struct sink_conf *c = job->to[k];
		const struct outlet *o = &s->env.outlets[c - s->config->sinks];
		bool lake = can_freeze(c) && p->lake == job->n_to;

		if (lake)
			p->lake = k;
		p->outlet_of[k] = (size_t)(c - s->config->sinks);
		p->sinks[k] = (struct plan_sink){
		    .name = c->name,
		    .ordered = !takes_newest(c) && (!o->sink || o->sink->ops->ordered),
		    .newest_only = takes_newest(c),
		    .lake = lake,
		    .leftovers = o->sink && o->sink->ops->leftovers,
		    .max_age_ms = c->max_age_ms,
		};
	}
	p->plan = (struct plan){
	    .now_ms = s->env.now_ms,
	    .every_ms = job->common.every_ms,
	    .delay_ms = job->common.delay_ms,
	    .lookback_ms = job->common.lookback_ms,
	    .max_catchup_ms = s->config->run.max_catchup_ms,
	    .again_ms = job->common.once ? job->common.hold_ms : 0,
	    .sinks = p->sinks,
	    .n_sinks = job->n_to,
	};
	return make_slices(s, p, err);
}

static int
make_plans(struct session *s, struct err *err)
{
	size_t slices = 0;

	s->plans = calloc(s->config->n_jobs, sizeof(*s->plans));
	if (!s->plans)
		return err_nomem(err);
	for (size_t i = 0; i < s->config->n_jobs; i++) {
		if (!options_match(s->options->jobs, s->options->n_jobs, s->config->jobs[i].name))
			continue;
		if (make_plan(s, &s->config->jobs[i], &s->plans[i], err))
			return -1;
		slices += s->plans[i].n_slices;
	}
	if (!slices && *s->backfill.name)
		return err_set(err, ERR_USAGE, "--from %s --to %s: nothing of it is due yet",
			       s->options->from, s->options->to);
	return 0;
}

bool
tenant_has_job(const struct tenant *t, const char *job)
{
	for (size_t i = 0; i < t->n_jobs; i++)
		if (!strcmp(t->jobs[i], job))
			return true;
	return t->n_jobs == 0;
}

bool
session_has_job(const struct session *s, const struct tenant *t, const struct job *job)
{
	return tenant_has_job(t, job->name) &&
	       options_match(s->options->jobs, s->options->n_jobs, job->name);
}

bool
session_has_tenant(const struct session *s, const char *tenant)
{
	return options_match(s->options->tenants, s->options->n_tenants, tenant) &&
	       shard_of(tenant, s->options->shards) == s->options->shard;
}

bool
options_select(const struct options *o, const char *tenant, const char *job)
{
	return options_match(o->tenants, o->n_tenants, tenant) &&
	       options_match(o->jobs, o->n_jobs, job) && shard_of(tenant, o->shards) == o->shard;
}

struct job_stream
session_job_stream(const struct tenant *t, const struct job *job, const char *region)
{
	return (struct job_stream){
	    .common = &job->common,
	    .opts = job->opts,
	    .tenant = t->id,
	    .account = t->account,
	    .linked_account = t->linked ? t->account : NULL,
	    .region = region,
	    .labels = t->labels,
	    .n_labels = t->n_labels,
	};
}

/* One string for all streams of a service and region; NULL for no service. */
static int
make_endpoint(struct session *s, const char *service, const char *region, const char **ret,
	      struct err *err)
{
	CLEANUP(buf_done) struct buf key = BUF_INIT(4096);
	CLEANUP(buf_done) struct buf url = BUF_INIT(4096);
	char *kept;

	if (!service)
		return 0;
	buf_fmt(&key, "%s\n%s", service, region);
	if (buf_check(&key, "endpoint", err))
		return -1;
	*ret = map_get(&s->endpoints, buf_view(&key));
	if (*ret)
		return 0;
	if (endpoint_url(service, region, &url, err) || buf_check(&url, "endpoint", err))
		return -1;
	kept = buf_steal(&url);
	if (!kept || map_put(&s->endpoints, buf_view(&key), kept, NULL, err)) {
		free(kept);
		return err_nomem(err);
	}
	*ret = kept;
	return 0;
}

static int
make_stream(struct session *s, struct stream *st, const struct tenant *t, struct job_plan *p,
	    const struct plan *plan, const char *region, struct err *err)
{
	*st = (struct stream){
	    .env = &s->env,
	    .job = p->job,
	    .tenant = t,
	    .plan = plan,
	    .outlet_of = p->outlet_of,
	    .lake = p->lake,
	    .js = session_job_stream(t, p->job, region),
	};
	if (make_endpoint(s, p->job->kind->service, region, &st->endpoint, err))
		return -1;
	return make_endpoint(s, p->job->kind->also, region, &st->endpoint_also, err);
}

static int
make_tenant_job(struct session *s, struct tenant_run *tr, struct tenant_job *tj, struct job_plan *p,
		struct job_slice *slice, struct err *err)
{
	tj->owner = tr;
	tj->job = p->job;
	tj->doc = slice->doc;
	tj->streams = calloc(tr->tenant->n_regions, sizeof(*tj->streams));
	if (!tj->streams)
		return err_nomem(err);
	(void)pthread_mutex_init(&tj->mu, NULL);
	for (; tj->n_streams < tr->tenant->n_regions; tj->n_streams++)
		if (make_stream(s, &tj->streams[tj->n_streams], tr->tenant, p, &slice->plan,
				tr->tenant->regions[tj->n_streams], err))
			return -1;
	return 0;
}

/* Without a lake to take them from, cells that have to come in order are not even pulled before it
 * is their turn. */
static bool
waits_from_the_start(const struct job_plan *p, const struct plan *slice)
{
	for (size_t k = 0; k < p->plan.n_sinks; k++)
		if (p->lake == p->plan.n_sinks && plan_needs_before(slice, k))
			return true;
	return false;
}

/* A slice of a backfill among those of its tenant and job. */
static void
chain_slice(struct session *s, struct tenant_job *tj, const struct job_plan *p,
	    const struct plan *slice, struct tenant_job *first, struct tenant_job *before)
{
	tj->after = before;
	for (size_t i = 0; i < tj->n_streams; i++) {
		tj->streams[i].foreign = &first->foreign;
		tj->streams[i].gated = before && waits_from_the_start(p, slice);
		tj->streams[i].parked = tj->streams[i].gated;
		s->runner.window_cells += plan_window_cells(slice);
	}
}

/* What receivers still take comes first, the rest behind it; both the oldest first. */
static int
make_tenant_slices(struct session *s, struct tenant_run *tr, struct job_plan *p, struct err *err)
{
	size_t old = p->n_slices - backfill_fresh(p->slices, p->n_slices);
	struct tenant_job *first = &tr->jobs[tr->n_jobs];
	struct tenant_job *before = NULL;

	tr->n_jobs += p->n_slices;
	for (size_t i = 0; i < p->n_slices; i++) {
		struct tenant_job *tj = &first[i < old ? i + p->n_slices - old : i - old];

		if (make_tenant_job(s, tr, tj, p, &p->slices[i], err))
			return -1;
		if (*s->backfill.name)
			chain_slice(s, tj, p, &p->slices[i].plan, first, before);
		before = tj;
	}
	return 0;
}

static int
make_tenant(struct session *s, struct tenant_run *tr, const struct tenant *t, struct err *err)
{
	size_t n = 0;

	for (size_t j = 0; j < s->config->n_jobs; j++)
		n += s->plans[j].n_slices;
	tr->tenant = t;
	tr->jobs = calloc(n ? n : 1, sizeof(*tr->jobs));
	if (!tr->jobs)
		return err_nomem(err);
	for (size_t j = 0; j < s->config->n_jobs; j++) {
		const struct job *job = &s->config->jobs[j];

		if (!session_has_job(s, t, job))
			continue;
		if (t->linked && !job->kind->linked) {
			log_event(LOG_WARN, "jobs of this kind cannot read linked accounts",
				  LOG_S("tenant", t->id), LOG_S("job", job->name));
			continue;
		}
		if (make_tenant_slices(s, tr, &s->plans[j], err))
			return -1;
	}
	return 0;
}

static bool
any_tenant(const struct session *s, const char *glob)
{
	const struct found_refused *refused = NULL;
	size_t n = s->found ? found_refused(s->found, &refused) : 0;

	for (size_t i = 0; i < s->config->n_tenants; i++)
		if (!fnmatch(glob, s->config->tenants[i].id, 0))
			return true;
	for (size_t i = 0; i < n; i++)
		if (!fnmatch(glob, refused[i].id, 0))
			return true;
	return false;
}

static int
check_tenant_globs(const struct session *s, struct err *err)
{
	const struct options *o = s->options;

	for (size_t i = 0; i < o->n_tenants; i++)
		if (!any_tenant(s, o->tenants[i]))
			return err_set(err, ERR_USAGE,
				       "--tenant %s: no tenant of that name in %s%s", o->tenants[i],
				       s->config->path, s->found ? ", and none was found" : "");
	return 0;
}

/* Tenants that are yet to be found are judged when they are (find_tenants). */
static int
check_globs(const struct session *s, struct err *err)
{
	const struct options *o = s->options;

	for (size_t i = 0; i < o->n_jobs; i++) {
		bool found = false;

		for (size_t j = 0; !found && j < s->config->n_jobs; j++)
			found = !fnmatch(o->jobs[i], s->config->jobs[j].name, 0);
		if (!found)
			return err_set(err, ERR_USAGE, "--job %s: no job of that name in %s",
				       o->jobs[i], s->config->path);
	}
	return s->config->n_sources ? 0 : check_tenant_globs(s, err);
}

/* Is this tenant this process's, by the command line? */
/* Those that cannot be tenants have failed before the run began. */
static void
count_refused(struct session *s)
{
	const struct found_refused *refused;
	size_t n = found_refused(s->found, &refused);

	for (size_t i = 0; i < n; i++) {
		if (!session_has_tenant(s, refused[i].id))
			continue;
		s->runner.n_refused++;
		log_event(LOG_ERROR, "this account cannot be a tenant",
			  LOG_S("tenant", refused[i].id), LOG_S("account", refused[i].account),
			  LOG_E(&refused[i].why));
	}
}

int
session_find(struct session *s, bool keep, struct err *err)
{
	int64_t by = clock_mono_ms(s->clock) + FIND_MS;
	const struct found_env env = {
	    .transport = s->top,
	    .base = s->base,
	    .clock = s->clock,
	    .account = s->me.account,
	    .region = s->config->region,
	    .sts_endpoint = buf_cstr(&s->sts_endpoint),
	    .run_id = s->run_id,
	    .wall_ms = s->aws_wall_ms,
	    .deadline_mono_ms = s->env.deadline_mono_ms && s->env.deadline_mono_ms < by
				    ? s->env.deadline_mono_ms
				    : by,
	    .state = s->state,
	    .keep = keep,
	};

	if (!s->config->n_sources)
		return 0;
	if (found_open(s->config, &env, &s->found, err))
		return -1;
	s->config = found_config(s->found);
	s->env.config = s->config;
	if (check_tenant_globs(s, err))
		return -1;
	count_refused(s);
	return 0;
}

static int
make_tenants(struct session *s, struct err *err)
{
	s->tenants = calloc(s->config->n_tenants ? s->config->n_tenants : 1, sizeof(*s->tenants));
	if (!s->tenants)
		return err_nomem(err);
	s->runner.tenants = s->tenants;
	for (size_t i = 0; i < s->config->n_tenants; i++) {
		const struct tenant *t = &s->config->tenants[i];

		if (!session_has_tenant(s, t->id))
			continue;
		if (make_tenant(s, &s->tenants[s->runner.n_tenants++], t, err))
			return -1;
	}
	return 0;
}

static void
fill_env(struct session *s)
{
	const struct run_conf *run = &s->config->run;

	s->env.config = s->config;
	s->env.account = s->me.account;
	s->env.clock = s->clock;
	s->env.run_id = s->run_id;
	s->env.started_mono_ms = clock_mono_ms(s->clock);
	s->env.deadline_mono_ms = run->deadline_ms ? s->env.started_mono_ms + run->deadline_ms : 0;
	s->env.cell_deadline_ms = run->cell_deadline_ms;
	s->env.dry_run = s->options->dry_run;
	s->env.backfill = *s->backfill.name;
	s->env.into = s->options->into;
	s->env.transport = s->top;
	s->env.pages = &s->pages;
	s->env.lines = &s->lines;
	s->env.ahead = session_hooks()->one_by_one ? NULL : &s->ahead;
	s->commit_env = (struct commit_env){
	    .state = s->state,
	    .base = s->backfill.base,
	    .clock = s->clock,
	    .run_id = s->run_id,
	    .host = s->host,
	    .dry_run = s->options->dry_run,
	};
	s->runner.env = &s->env;
	s->runner.commit_env = &s->commit_env;
	s->runner.base = s->base;
	s->runner.sts_endpoint = buf_cstr(&s->sts_endpoint);
	s->runner.workers = (size_t)(s->options->workers ? s->options->workers : run->workers);
	s->runner.tenant_workers = (size_t)run->tenant_workers;
}

int
session_begin(struct session *s, const struct config *config, const struct options *options,
	      struct clock *clock, struct err *err)
{
	*s = (struct session){
	    .config = config, .options = options, .clock = clock, .sts_endpoint = BUF_INIT(4096)};
	s->started_wall_ms = clock_wall_ms(clock);
	gate_init(&s->pages, PAGES_AT_ONCE);
	gate_init(&s->lines, LINES_AT_ONCE);
	ahead_init(&s->ahead);
	/* What was typed is judged before anything is touched. */
	if (check_globs(s, err) || read_now(s, s->started_wall_ms, err) || make_run_id(s, err) ||
	    open_transports(s, err))
		return -1;
	return endpoint_url("sts", config->region, &s->sts_endpoint, err);
}

int
session_open(struct session *s, const struct config *config, const struct options *options,
	     struct clock *clock, struct err *err)
{
	/* Who we are first, which needs no permission: then a store's refusal is one of the store.
	 */
	if (session_begin(s, config, options, clock, err) || session_base(s, err) ||
	    session_identify(s, err))
		return -1;
	if (session_state(s, err))
		return err_wrap(err, "state %s", config->state);
	fill_env(s);
	s->commit_env.clock_offset_ms = sign_transport_offset(s->signer);
	if (session_find(s, !s->options->dry_run, err) || open_outlets(s, err) ||
	    make_plans(s, err))
		return -1;
	if (make_tenants(s, err) ||
	    limits_divide(&config->run.limits, s->runner.tenants, s->runner.n_tenants,
			  s->runner.tenant_workers, err))
		return -1;
	return hooks->opened ? hooks->opened(hooks->arg, s, err) : 0;
}

/* Those that the last runs found. */
static int
remember_tenants(struct session *s, struct err *err)
{
	const struct found_env env = {
	    .clock = s->clock,
	    .region = s->config->region,
	    .wall_ms = s->started_wall_ms,
	    .state = s->state,
	};

	if (!s->config->n_sources || !s->state)
		return 0;
	if (found_open(s->config, &env, &s->found, err))
		return -1;
	s->config = found_config(s->found);
	return 0;
}

int
session_open_state(struct session *s, const struct config *config, const struct options *options,
		   struct clock *clock, unsigned how, struct err *err)
{
	bool remote = (how & STATE_AWS) || !sv_starts(sv_of(config->state), SV("file://"));
	bool read_only = how & STATE_LOOK;

	*s = (struct session){
	    .config = config, .options = options, .clock = clock, .sts_endpoint = BUF_INIT(4096)};
	s->started_wall_ms = clock_wall_ms(clock);
	if (read_now(s, s->started_wall_ms, err) || make_run_id(s, err))
		return -1;
	if (remote &&
	    (open_transports(s, err) ||
	     endpoint_url("sts", config->region, &s->sts_endpoint, err) || session_base(s, err)))
		return -1;
	if (open_state(s, read_only, err)) {
		if (!read_only || err->kind != ERR_NOTFOUND)
			return err_wrap(err, "state %s", config->state);
		err_clear(err);
	}
	return remember_tenants(s, err);
}

int
session_check_choice(const struct session *s, struct err *err)
{
	return check_globs(s, err) || check_tenant_globs(s, err) ? -1 : 0;
}

int
session_open_plan(struct session *s, const struct config *config, const struct options *options,
		  struct clock *clock, struct err *err)
{
	if (session_open_state(s, config, options, clock, STATE_LOOK, err) ||
	    session_check_choice(s, err) ||
	    outlets_closed(s->config->sinks, s->config->n_sinks, clock, &s->env.outlets, err))
		return -1;
	s->env.config = s->config;
	return make_plans(s, err);
}

int64_t
session_shared_now(const struct session *s)
{
	return clock_wall_ms(s->clock) + (s->signer ? sign_transport_offset(s->signer) : 0);
}

static void
free_tenants(struct session *s)
{
	for (size_t i = 0; s->tenants && i < s->config->n_tenants; i++) {
		struct tenant_run *tr = &s->tenants[i];

		for (size_t j = 0; j < tr->n_jobs; j++) {
			for (size_t k = 0; k < tr->jobs[j].n_streams; k++) {
				free(tr->jobs[j].streams[k].old);
				free(tr->jobs[j].streams[k].sink_bytes);
				others_free(tr->jobs[j].streams[k].others);
				err_forget(&tr->jobs[j].streams[k].error);
				tally_done(&tr->jobs[j].streams[k].calls);
				tally_done(&tr->jobs[j].streams[k].standing.calls);
			}
			err_forget(&tr->jobs[j].why);
			free(tr->jobs[j].streams);
			(void)pthread_mutex_destroy(&tr->jobs[j].mu);
		}
		free(tr->jobs);
	}
	free(s->tenants);
}

void
session_close(struct session *s)
{
	ahead_done(&s->ahead);
	free_tenants(s);
	map_done(&s->endpoints, free);
	for (size_t i = 0; s->plans && i < s->config->n_jobs; i++) {
		free(s->plans[i].slices);
		free(s->plans[i].sinks);
		free(s->plans[i].outlet_of);
	}
	free(s->plans);
	outlets_free(s->env.outlets, s->config->n_sinks);
	if (s->state)
		store_free(s->state);
	cred_source_free(s->base);
	transport_free(s->top);
	call_counts_free(s->counts);
	gate_done(&s->lines);
	gate_done(&s->pages);
	buf_done(&s->sts_endpoint);
	found_free(s->found);
	settings_done();
	curl_transport_global_done();
}
