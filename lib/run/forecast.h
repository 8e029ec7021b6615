/*
 * What a run or a backfill would do, and cost: the plan of each stream (plan.h) walked on a copy of
 * its checkpoint, each span opened by its job kind, which says what it would ask for.
 *
 * Nothing is written and nobody is asked but the state store. What no checkpoint tells is taken to
 * be as with the job's other tenants; if none of them tells either, it is assumed, and said so.
 */
#ifndef MUSTER_RUN_FORECAST_H
#define MUSTER_RUN_FORECAST_H

#include "run/session.h"

#define FORECAST_SERIES	 80  /* of a stream of which nothing is known: 10 services of 8 metrics */
#define FORECAST_CALL_MS 100 /* that a call takes */
#define FORECAST_DAY_MS	 INT64_C(86400000)
#define FORECAST_MONTH	 30 /* days */
#define FORECAST_OPS_MAX 12

/* Calls by operation. */
struct forecast_calls {
	struct {
		const char *service, *operation; /* static, or of the job kind */
		uint64_t n;
	} v[FORECAST_OPS_MAX];
	size_t n;
};
void forecast_calls_add(struct forecast_calls *c, const char *service, const char *operation,
			uint64_t n);
uint64_t forecast_calls_sum(const struct forecast_calls *c);

/* What a day of runs, one each `every`, asks for. */
struct forecast_day {
	double calls;
	double metrics, other_calls, bytes_scanned, samples, puts; /* see struct billed */
};
double forecast_day_dollars(const struct prices *p, const struct forecast_day *d);

enum forecast_basis {
	BASIS_RECORD,  /* the stream's own checkpoint */
	BASIS_OTHERS,  /* the mean of the job's other streams */
	BASIS_ASSUMED, /* FORECAST_SERIES; what is scanned is not known at all */
};

/* What a cell brings. */
struct forecast_cell {
	double samples, bytes, filled; /* the share of cells that leave an object */
};
struct forecast_mean {
	size_t streams; /* that are on record; 0: the rest says nothing */
	uint64_t series;
	struct forecast_cell cell;
};

struct forecast_stream {
	const struct tenant *tenant;
	const struct job *job;
	const char *region;
	struct err_kept why; /* it cannot be foreseen; ERR_NONE: it is */
	bool first;	     /* no run has begun it */
	enum forecast_basis basis;
	uint64_t series;
	/* Now: */
	uint64_t pulls, cells, samples;
	unsigned passes; /* those with calls, by bit: a tenant is opened for each */
	uint64_t from_lake;  /* cells that are frozen, and only sent */
	int64_t given_up_ms; /* older than max_catchup */
	struct forecast_calls calls;
	struct billed billed;
	/* And from then on: what a run asks for, what a cell brings, and what that makes of a day. */
	struct job_forecast steady;
	struct forecast_cell cell;
	struct forecast_day day;
};

struct forecast {
	const struct session *session;
	struct forecast_stream *streams; /* by tenant, job, region */
	size_t n_streams;
	/* Sums; calls with those for credentials, billed with those for the state. */
	uint64_t tenants, cells, from_lake, series, samples;
	uint64_t firsts, likened, assumed, failed; /* streams */
	struct forecast_calls calls;
	struct billed billed;
	struct forecast_day day;
	double run_dollars, day_dollars;
	/* How long it will take: the longest of these. */
	int64_t latency_ms; /* all calls, FORECAST_CALL_MS each, by all workers */
	int64_t tenant_ms;  /* the busiest tenant's, by tenant_workers */
	int64_t quota_ms;   /* calls of one account, region and operation at run.limits */
	struct {
		const char *account, *region, *service, *operation;
		uint64_t calls;
		double per_second;
	} quota; /* the tightest one; operation NULL: none is limited */
};

/* For its other parts. */
/* One stream, by the mean of the others (NULL: not known yet) where its own record says nothing. */
int forecast_walk(const struct session *s, const struct job_plan *jp,
		  const struct forecast_mean *mean, struct forecast_stream *to, struct err *err);
/* The job's sinks that put objects on S3; that are paid for by the sample. */
size_t forecast_lakes(const struct job *job);
size_t forecast_paid_sinks(const struct job *job);
/* A day with a run each every_ms; what all streams share is added to *sum (0: as configured). */
void forecast_stream_day(const struct forecast_stream *s, int64_t every_ms,
			 struct forecast_day *ret);
void forecast_shared_day(const struct forecast *f, int64_t every_ms, struct forecast_day *sum);

/* The session is one of session_open_plan. ERR_USAGE, ERR_LOCAL, or the state store's. A tenant
 * whose checkpoint cannot be used has its reason, and is no error. */
int forecast_make(struct session *s, struct forecast *ret, struct err *err);
void forecast_done(struct forecast *f);
int64_t forecast_duration_ms(const struct forecast *f);

/* What a day would be with cells of this length, and a run each so often. */
struct forecast_schedule {
	int64_t every_ms;
	struct forecast_day day;
	const struct job *cannot; /* a job that cannot have such cells, left out; NULL: none */
	const char *too_old; /* a sink that would be too late for the first points of such cells; NULL: none */
};
int forecast_schedule(const struct forecast *f, int64_t every_ms, struct forecast_schedule *ret,
		      struct err *err);

/* Other ways to have the same metrics, a month. */
struct forecast_other {
	const char *name;
	double dollars;
	char sum[160];		/* how the number comes about */
	const char *assumption; /* static */
	const char *wins;	/* where it is the better way */
};
#define FORECAST_OTHERS 4
void forecast_others(const struct forecast *f, struct forecast_other ret[FORECAST_OTHERS]);

/* A plan for terminals, and for machines. */
struct forecast_shown {
	const struct forecast *f;
	const struct forecast_schedule *schedules;
	size_t n_schedules;
};
void forecast_table(const struct forecast_shown *s, struct buf *out);
int forecast_json(const struct forecast_shown *s, struct buf *out, struct err *err);

#endif
