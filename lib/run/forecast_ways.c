/* Other schedules, and the ways that muster does not use; see forecast.h. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "run/forecast.h"

#define CHECK_ARENA_MAX ((size_t)16 << 20)
#define MONTH_MINUTES	(FORECAST_MONTH * 24 * 60)
#define MONTH_HOURS	(FORECAST_MONTH * 24)
/* A service's tasks, and what a collector beside each of them is given. */
#define SERVICE_METRICS 8
#define SERVICE_TASKS	2
#define SIDECAR_VCPU	0.05
#define SIDECAR_GB	0.0625

/* Would the kind take cells of this length? Its faults can be about nothing else: the rest of the
 * configuration has passed. */
static int
check_every(const struct job *job, int64_t every_ms, bool *fits, struct err *err)
{
	CLEANUP(arena_done) struct arena mem = ARENA_INIT(CHECK_ARENA_MAX);
	struct conf_faults *faults = conf_faults_new();
	struct job_common common = job->common;
	void *opts = arena_alloc(&mem, job->kind->opts_size);

	common.every_ms = every_ms;
	if (faults && opts) {
		memcpy(opts, job->opts, job->kind->opts_size);
		job->kind->check(&common, opts, job->node, &mem, faults);
		*fits = conf_faults_count(faults) == 0 && cell_every_valid(every_ms, 0);
	}
	conf_faults_free(faults);
	return faults && opts ? 0 : err_nomem(err);
}

/* The first point of a cell is this old when the cell is due. */
static const char *
too_old_for(const struct job *job, int64_t every_ms)
{
	for (size_t k = 0; k < job->n_to; k++)
		if (job->to[k]->max_age_ms &&
		    every_ms + job->common.delay_ms > job->to[k]->max_age_ms)
			return job->to[k]->name;
	return NULL;
}

static void
add_stream(const struct forecast_stream *s, struct forecast_schedule *to)
{
	struct forecast_day d;

	forecast_stream_day(s, to->every_ms, &d);
	to->day.calls += d.calls;
	to->day.metrics += d.metrics;
	to->day.other_calls += d.other_calls;
	to->day.bytes_scanned += d.bytes_scanned;
	to->day.samples += d.samples;
	to->day.puts += d.puts;
}

int
forecast_schedule(const struct forecast *f, int64_t every_ms, struct forecast_schedule *ret,
		  struct err *err)
{
	const struct config *c = f->session->config;
	CLEANUP(freep) bool *fits = calloc(c->n_jobs + 1, sizeof(*fits));

	if (!fits)
		return err_nomem(err);
	*ret = (struct forecast_schedule){.every_ms = every_ms};
	for (size_t j = 0; j < c->n_jobs; j++) {
		if (!f->session->plans[j].n_slices)
			continue;
		if (check_every(&c->jobs[j], every_ms, &fits[j], err))
			return -1;
		if (!fits[j] && !ret->cannot)
			ret->cannot = &c->jobs[j];
		if (fits[j] && !ret->too_old)
			ret->too_old = too_old_for(&c->jobs[j], every_ms);
	}
	for (size_t i = 0; i < f->n_streams; i++)
		if (fits[f->streams[i].job - c->jobs])
			add_stream(&f->streams[i], ret);
	forecast_shared_day(f, every_ms, &ret->day);
	return 0;
}

/* Series of jobs that ask for metrics. */
static double
metric_series(const struct forecast *f)
{
	uint64_t n = 0;

	for (size_t i = 0; i < f->n_streams; i++)
		n += f->streams[i].steady.metrics;
	return (double)n;
}

void
forecast_others(const struct forecast *f, struct forecast_other ret[FORECAST_OTHERS])
{
	const struct prices *p = &f->session->config->run.prices;
	double series = metric_series(f);
	double tasks = ceil(series / SERVICE_METRICS) * SERVICE_TASKS;
	double hour = SIDECAR_VCPU * p->fargate_vcpu_hour + SIDECAR_GB * p->fargate_gb_hour;

	ret[0] = (struct forecast_other){
	    .name = "a scraper each minute",
	    .dollars = series * MONTH_MINUTES / 1000 * p->get_metric_data_per_1000,
	    .assumption = "asks for each series each minute by GetMetricData, and is always up",
	    .wins = "where points have to be there a minute after CloudWatch has them",
	};
	(void)snprintf(ret[0].sum, sizeof(ret[0].sum), "%.0f series x %d minutes x $%g / 1,000",
		       series, MONTH_MINUTES, p->get_metric_data_per_1000);
	ret[1] = (struct forecast_other){
	    .name = "metric streams",
	    .dollars = series * MONTH_MINUTES / 1000 * p->metric_streams_per_1000,
	    .assumption = "one update a series and minute of just these; Firehose and what "
			  "receives it come on top",
	    .wins = "where most metrics of an account are wanted, or within two minutes; no window "
		    "can be asked for again",
	};
	(void)snprintf(ret[1].sum, sizeof(ret[1].sum), "%.0f series x %d minutes x $%g / 1,000",
		       series, MONTH_MINUTES, p->metric_streams_per_1000);
	ret[2] = (struct forecast_other){
	    .name = "a collector beside each task",
	    .dollars = tasks * MONTH_HOURS * hour,
	    .assumption =
		"a service for each 8 series, 2 tasks a service, and 0.05 vCPU and 64 MiB "
		"of Fargate for a collector",
	    .wins = "where points of 20 s or the application's own are wanted; it runs in the "
		    "tenants' tasks",
	};
	(void)snprintf(ret[2].sum, sizeof(ret[2].sum),
		       "%.0f tasks x %d hours x ($%g x %g vCPU + $%g x %g GB)", tasks, MONTH_HOURS,
		       p->fargate_vcpu_hour, SIDECAR_VCPU, p->fargate_gb_hour, SIDECAR_GB);
	ret[3] = (struct forecast_other){
	    .name = "Container Insights itself",
	    .dollars = series * p->container_insights_per_metric,
	    .assumption =
		"every series asked for is one of it, and none is there that is not asked "
		"for",
	    .wins = "not another way: the tenants pay it for as long as it is on, whoever reads it",
	};
	(void)snprintf(ret[3].sum, sizeof(ret[3].sum), "%.0f series x $%g", series,
		       p->container_insights_per_metric);
}
