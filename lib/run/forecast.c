/* Walking plans without doing them; see forecast.h. */
#include "run/forecast.h"

#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/crew.h"
#include "base/map.h"

#define READERS	     16 /* checkpoints that are read at once: on S3 each takes some tens of ms */
#define STATE_WRITES 3	/* of a checkpoint in a run that has something to do (commit.h) */
#define STORE_TRIES  2	/* writes that each bucket is tried with when a run begins */

void
forecast_calls_add(struct forecast_calls *c, const char *service, const char *operation, uint64_t n)
{
	size_t i = 0;

	while (i < c->n && strcmp(c->v[i].operation, operation) != 0)
		i++;
	if (!n || i == FORECAST_OPS_MAX)
		return;
	if (i == c->n) {
		c->v[i].service = service;
		c->v[i].operation = operation;
		c->v[c->n++].n = 0;
	}
	c->v[i].n += n;
}

uint64_t
forecast_calls_sum(const struct forecast_calls *c)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < c->n; i++)
		sum += c->v[i].n;
	return sum;
}

static bool
is_on_s3(const char *url)
{
	return sv_starts(sv_of(url), SV("s3://"));
}

size_t
forecast_lakes(const struct job *job)
{
	size_t n = 0;

	for (size_t k = 0; k < job->n_to; k++)
		n += job->to[k]->kind == SINK_OBJECTS && is_on_s3(job->to[k]->url);
	return n;
}

size_t
forecast_paid_sinks(const struct job *job)
{
	size_t n = 0;

	for (size_t k = 0; k < job->n_to; k++)
		n += sink_bills_samples(job->to[k]);
	return n;
}

/* ---- all streams ---- */

struct gather {
	struct forecast *f;
	struct forecast_mean *means; /* by job */
	bool second; /* of those that are not on record, by the means of the others */
	atomic_size_t next;
};

static size_t
job_index(const struct forecast *f, const struct job *job)
{
	return (size_t)(job - f->session->config->jobs);
}

static void
reset(struct forecast_stream *s)
{
	const struct forecast_stream clean = {
	    .tenant = s->tenant, .job = s->job, .region = s->region};

	err_forget(&s->why);
	*s = clean;
}

static void *
reader_main(void *arg)
{
	struct gather *g = arg;
	struct err err;
	size_t i;

	while ((i = atomic_fetch_add(&g->next, 1)) < g->f->n_streams) {
		struct forecast_stream *s = &g->f->streams[i];
		size_t job = job_index(g->f, s->job);

		if (g->second && s->basis == BASIS_RECORD)
			continue;
		reset(s);
		err = (struct err){0};
		if (forecast_walk(g->f->session, &g->f->session->plans[job],
				  g->second ? &g->means[job] : NULL, s, &err)) {
			reset(s);
			err_keep(&s->why, &err);
		}
	}
	return NULL;
}

static void
walk_all(struct gather *g)
{
	atomic_store(&g->next, 0);
	crew_work(g->f->n_streams < READERS ? g->f->n_streams : READERS, reader_main, g);
}

/* What the streams on record tell of those that are not. */
static void
take_means(struct gather *g)
{
	for (size_t i = 0; i < g->f->n_streams; i++) {
		const struct forecast_stream *s = &g->f->streams[i];
		struct forecast_mean *m = &g->means[job_index(g->f, s->job)];

		if (s->basis != BASIS_RECORD || s->first || err_kept(&s->why)->kind != ERR_NONE)
			continue;
		m->streams++;
		m->series += s->series;
		m->cell.samples += s->cell.samples;
		m->cell.bytes += s->cell.bytes;
		m->cell.filled += s->cell.filled;
	}
	for (size_t j = 0; j < g->f->session->config->n_jobs; j++) {
		struct forecast_mean *m = &g->means[j];
		double n = m->streams ? (double)m->streams : 1;

		m->series = (uint64_t)llround((double)m->series / n);
		m->cell.samples /= n;
		m->cell.bytes /= n;
		m->cell.filled /= n;
	}
}

/* ---- sums ---- */

static void
day_add(struct forecast_day *sum, const struct forecast_day *d)
{
	sum->calls += d->calls;
	sum->metrics += d->metrics;
	sum->other_calls += d->other_calls;
	sum->bytes_scanned += d->bytes_scanned;
	sum->samples += d->samples;
	sum->puts += d->puts;
}

double
forecast_day_dollars(const struct prices *p, const struct forecast_day *d)
{
	const struct billed b = {
	    .metrics = (uint64_t)llround(d->metrics),
	    .calls = (uint64_t)llround(d->other_calls),
	    .bytes_scanned = (uint64_t)llround(d->bytes_scanned),
	    .samples = (uint64_t)llround(d->samples),
	    .puts = (uint64_t)llround(d->puts),
	};

	return prices_sum(p, &b);
}

void
forecast_stream_day(const struct forecast_stream *s, int64_t every_ms, struct forecast_day *ret)
{
	const struct job_forecast *jf = &s->steady;
	double runs = (double)FORECAST_DAY_MS / (double)every_ms;
	double cells = (double)FORECAST_DAY_MS / (double)s->job->common.every_ms;
	double asked = s->job->common.once ? 2 : 1;
	bool other = !strcmp(s->job->kind->service, price_service_name(PRICE_MONITORING));

	*ret = (struct forecast_day){0};
	if (jf->list.n && jf->list_every_ms > 0)
		ret->calls =
		    (double)jf->list.n * runs / ceil((double)jf->list_every_ms / (double)every_ms);
	ret->other_calls = other ? ret->calls : 0;
	for (size_t i = 0; i < jf->n_calls; i++) {
		double n = (double)jf->calls[i].n * runs * asked;

		ret->calls += n;
		if (other && strcmp(jf->calls[i].operation, "GetMetricData") != 0)
			ret->other_calls += n;
	}
	ret->metrics = (double)jf->metrics * runs;
	/* However time is cut, there is as much in a day. */
	ret->bytes_scanned = s->cell.bytes * cells * asked;
	ret->samples = s->cell.samples * cells * (double)forecast_paid_sinks(s->job);
	ret->puts = s->cell.filled * runs * (double)forecast_lakes(s->job);
}

static bool
has_role(const struct tenant *t)
{
	return t->assume && !t->linked;
}

/* Whether this stream is its tenant's first, or its tenant and job's. */
static bool
begins(const struct forecast *f, size_t i, bool job)
{
	const struct forecast_stream *s = &f->streams[i];

	return i == 0 || s[-1].tenant != s->tenant || (job && s[-1].job != s->job);
}

/* What a run puts whatever there is to do: its report, what it counts of itself, and tries of its
 * buckets. */
static uint64_t
run_puts(const struct forecast *f)
{
	const struct config *c = f->session->config;
	uint64_t n = is_on_s3(c->state) ? 1 + STORE_TRIES + (c->run.self_metrics ? 2 : 0) : 0;

	for (size_t i = 0; i < c->n_sinks; i++)
		n +=
		    c->sinks[i].kind == SINK_OBJECTS && is_on_s3(c->sinks[i].url) ? STORE_TRIES : 0;
	return n;
}

void
forecast_shared_day(const struct forecast *f, int64_t every_ms, struct forecast_day *sum)
{
	bool s3 = is_on_s3(f->session->config->state);
	int64_t shortest = FORECAST_DAY_MS;
	double roles = 0;
	double runs;

	for (size_t i = 0; i < f->n_streams; i++) {
		int64_t every = every_ms ? every_ms : f->streams[i].job->common.every_ms;

		shortest = every < shortest ? every : shortest;
		roles += begins(f, i, false) && has_role(f->streams[i].tenant);
		if (s3 && begins(f, i, true))
			sum->puts += STATE_WRITES * (double)FORECAST_DAY_MS / (double)every;
	}
	runs = (double)FORECAST_DAY_MS / (double)shortest;
	sum->calls += (roles + 1) * runs;
	sum->puts += (double)run_puts(f) * runs;
}

/* Calls that are not of a stream, and writes of the state. */
static void
add_shared(struct forecast *f)
{
	bool s3 = is_on_s3(f->session->config->state);
	unsigned asked = 0;
	bool moved = false;

	for (size_t i = f->n_streams; i-- > 0;) {
		const struct forecast_stream *s = &f->streams[i];

		asked |= s->passes;
		moved = moved || s->pulls || s->from_lake;
		if (begins(f, i, true)) {
			f->billed.puts += s3 && moved ? STATE_WRITES : 0;
			moved = false;
		}
		if (begins(f, i, false)) {
			if (has_role(s->tenant))
				forecast_calls_add(&f->calls, "sts", "AssumeRole",
						   (uint64_t)__builtin_popcount(asked));
			asked = 0;
		}
	}
	forecast_calls_add(&f->calls, "sts", "GetCallerIdentity", 1);
	f->billed.puts += run_puts(f);
}

static void
add_up(struct forecast *f)
{
	const struct prices *prices = &f->session->config->run.prices;

	for (size_t i = 0; i < f->n_streams; i++) {
		struct forecast_stream *s = &f->streams[i];

		f->tenants += begins(f, i, false);
		f->cells += s->cells;
		f->from_lake += s->from_lake;
		f->series += s->series;
		f->samples += s->samples;
		f->firsts += s->first;
		f->failed += err_kept(&s->why)->kind != ERR_NONE;
		f->assumed += s->basis == BASIS_ASSUMED;
		f->likened += s->basis == BASIS_OTHERS;
		for (size_t k = 0; k < s->calls.n; k++)
			forecast_calls_add(&f->calls, s->calls.v[k].service,
					   s->calls.v[k].operation, s->calls.v[k].n);
		billed_add(&f->billed, &s->billed);
		forecast_stream_day(s, s->job->common.every_ms, &s->day);
		day_add(&f->day, &s->day);
	}
	add_shared(f);
	forecast_shared_day(f, 0, &f->day);
	f->run_dollars = prices_sum(prices, &f->billed);
	f->day_dollars = forecast_day_dollars(prices, &f->day);
}

/* ---- time ---- */

struct quotas {
	struct forecast *f;
	struct rate_row rates[LIMITS_ROWS];
	struct map sums; /* of uint64_t, by account, region and operation */
	int r;
};

static double
rate_of(const struct quotas *q, const char *service, const char *operation)
{
	const struct rate_row *r = q->rates;

	while (r->service && (strcmp(r->service, service) != 0 ||
			      (r->operation && strcmp(r->operation, operation) != 0)))
		r++;
	return r->service ? r->per_second : 0;
}

static void
quota_add(struct quotas *q, const char *account, const char *region, const char *service,
	  const char *operation, uint64_t n)
{
	CLEANUP(buf_done) struct buf key = BUF_INIT(1024);
	double rate = rate_of(q, service, operation);
	uint64_t *sum;
	int64_t ms;

	buf_fmt(&key, "%s %s %s", account, region, operation);
	if (rate <= 0 || !n || !buf_ok(&key))
		return;
	sum = map_get(&q->sums, buf_view(&key));
	if (!sum) {
		sum = calloc(1, sizeof(*sum));
		if (!sum || map_put(&q->sums, buf_view(&key), sum, NULL, NULL)) {
			free(sum);
			q->r = -1;
			return;
		}
	}
	*sum += n;
	ms = (int64_t)((double)*sum * 1000 / rate);
	if (q->f->quota.operation && ms <= q->f->quota_ms)
		return;
	q->f->quota_ms = ms;
	q->f->quota.account = account;
	q->f->quota.region = region;
	q->f->quota.service = service;
	q->f->quota.operation = operation;
	q->f->quota.calls = *sum;
	q->f->quota.per_second = rate;
}

static int
find_quota(struct forecast *f, struct err *err)
{
	const struct config *c = f->session->config;
	struct quotas q = {.f = f, .sums = MAP_INIT};

	limits_rows(&c->run.limits, q.rates);
	for (size_t i = 0; i < f->n_streams; i++) {
		const struct forecast_stream *s = &f->streams[i];
		/* Linked accounts are read at the quotas of the one account they are linked to. */
		const char *account = s->tenant->linked ? "monitoring" : s->tenant->account;

		for (size_t k = 0; k < s->calls.n; k++)
			quota_add(&q, account, s->region, s->calls.v[k].service,
				  s->calls.v[k].operation, s->calls.v[k].n);
	}
	for (size_t k = 0; k < f->calls.n; k++)
		if (!strcmp(f->calls.v[k].service, "sts"))
			quota_add(&q, "central", c->region, "sts", f->calls.v[k].operation,
				  f->calls.v[k].n);
	map_done(&q.sums, free);
	return q.r ? err_nomem(err) : 0;
}

static void
find_latency(struct forecast *f)
{
	const struct config *c = f->session->config;
	const struct options *o = f->session->options;
	uint64_t workers = (uint64_t)(o->workers ? o->workers : c->run.workers);
	uint64_t calls = 0, streams = 0, all = 0, busy = 0;

	for (size_t i = 0; i < f->n_streams; i++) {
		uint64_t n = forecast_calls_sum(&f->streams[i].calls);
		uint64_t at_once;
		int64_t ms;

		if (begins(f, i, false))
			calls = streams = 0;
		calls += n;
		streams += n > 0;
		all += n;
		busy += n > 0;
		at_once = streams < (uint64_t)c->run.tenant_workers
			      ? streams
			      : (uint64_t)c->run.tenant_workers;
		ms = at_once ? (int64_t)((calls + has_role(f->streams[i].tenant)) *
					 FORECAST_CALL_MS / at_once)
			     : 0;
		if (ms > f->tenant_ms)
			f->tenant_ms = ms;
	}
	all = forecast_calls_sum(&f->calls);
	workers = busy < workers ? busy : workers;
	f->latency_ms = workers ? (int64_t)(all * FORECAST_CALL_MS / workers) : 0;
}

int64_t
forecast_duration_ms(const struct forecast *f)
{
	int64_t ms = f->latency_ms > f->tenant_ms ? f->latency_ms : f->tenant_ms;

	return ms > f->quota_ms ? ms : f->quota_ms;
}

/* ---- making ---- */

static int
list_streams(struct forecast *f, struct err *err)
{
	const struct session *s = f->session;
	const struct config *c = s->config;
	size_t n = 0;

	for (size_t t = 0; t < c->n_tenants; t++)
		n += c->n_jobs * c->tenants[t].n_regions;
	f->streams = calloc(n ? n : 1, sizeof(*f->streams));
	if (!f->streams)
		return err_nomem(err);
	for (size_t t = 0; t < c->n_tenants; t++)
		for (size_t j = 0; j < c->n_jobs; j++) {
			const struct tenant *tenant = &c->tenants[t];

			if (!session_has_tenant(s, tenant->id) || !s->plans[j].n_slices ||
			    !session_has_job(s, tenant, &c->jobs[j]) ||
			    (tenant->linked && !c->jobs[j].kind->linked))
				continue;
			for (size_t r = 0; r < tenant->n_regions; r++)
				f->streams[f->n_streams++] =
				    (struct forecast_stream){.tenant = tenant,
							     .job = &c->jobs[j],
							     .region = tenant->regions[r]};
		}
	return 0;
}

/* None that can be read is the store's trouble, one that cannot is its own. */
static int
check_store(const struct forecast *f, struct err *err)
{
	const struct err *bad = NULL;

	for (size_t i = 0; i < f->n_streams; i++) {
		const struct err *why = err_kept(&f->streams[i].why);

		if (why->kind == ERR_NONE || why->kind == ERR_DATA || why->kind == ERR_USAGE)
			return 0;
		bad = why;
	}
	if (!bad)
		return 0;
	*err = *bad;
	return -1;
}

int
forecast_make(struct session *s, struct forecast *ret, struct err *err)
{
	struct gather g = {.f = ret};
	int r;

	*ret = (struct forecast){.session = s};
	if (list_streams(ret, err))
		return -1;
	g.means = calloc(s->config->n_jobs + 1, sizeof(*g.means));
	if (!g.means)
		return err_nomem(err);
	walk_all(&g);
	take_means(&g);
	g.second = true;
	walk_all(&g);
	free(g.means);
	r = check_store(ret, err);
	if (r)
		return -1;
	add_up(ret);
	find_latency(ret);
	return find_quota(ret, err);
}

void
forecast_done(struct forecast *f)
{
	for (size_t i = 0; i < f->n_streams; i++)
		err_forget(&f->streams[i].why);
	free(f->streams);
	*f = (struct forecast){0};
}
