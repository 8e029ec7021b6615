/* Rates and slots of one account and region; see limits.h. */
#include "run/limits.h"

#include "base/cleanup.h"
#include "base/map.h"
#include "run/runner.h"

#define RATE(key, member, value, text)                                                             \
	{                                                                                          \
		.name = key, .type = CONF_NUMBER, .offset = offsetof(struct limits, member),       \
		.flags = CONF_PER_SECOND, .deflt = value, .help = text                             \
	}

const struct conf_key limits_keys[] = {
    RATE("cloudwatch_get_metric_data", get_metric_data, "50/s", "GetMetricData."),
    RATE("cloudwatch_list_metrics", list_metrics, "20/s", "ListMetrics."),
    RATE("cloudwatch_describe_alarm_history", alarm_history, "16/s", "DescribeAlarmHistory."),
    RATE("cloudwatch", cloudwatch, "8/s", "Each other call of CloudWatch."),
    RATE("logs_start_query", start_query, "5/s", "StartQuery."),
    RATE("logs_get_query_results", get_query_results, "8/s", "GetQueryResults."),
    RATE("logs", logs, "8/s", "Each other call of CloudWatch Logs."),
    RATE("xray", xray, "10/s", "Each call of X-Ray."),
    RATE("sts", sts, "300/s", "Each call of STS."),
    RATE("organizations", organizations, "15/s", "Each call of Organizations."),
    RATE("oam", oam, "8/s", "Each call of OAM."),
    {.name = "logs_concurrent_queries",
     .type = CONF_INT,
     .offset = offsetof(struct limits, concurrent_queries),
     .deflt = "20",
     .min = 1,
     .max = 100,
     .help = "Insights queries that run at once, of all jobs together. Where AWS says that there "
	     "are too many (LimitExceeded) they wait."},
    CONF_END,
};

void
limits_rows(const struct limits *l, struct rate_row rows[LIMITS_ROWS])
{
	const struct rate_row all[LIMITS_ROWS] = {
	    {"monitoring", "GetMetricData", l->get_metric_data},
	    {"monitoring", "ListMetrics", l->list_metrics},
	    {"monitoring", "DescribeAlarmHistory", l->alarm_history},
	    {"monitoring", NULL, l->cloudwatch},
	    {"logs", "StartQuery", l->start_query},
	    {"logs", "GetQueryResults", l->get_query_results},
	    {"logs", NULL, l->logs},
	    {"xray", NULL, l->xray},
	    {"sts", NULL, l->sts},
	    {"organizations", NULL, l->organizations},
	    {"oam", NULL, l->oam},
	    {NULL, NULL, 0},
	};

	for (size_t i = 0; i < LIMITS_ROWS; i++)
		rows[i] = all[i];
}

struct division {
	const struct limits *l;
	struct map
	    counts;   /* of int64_t: the streams that ask for queries in an account and region */
	bool counted; /* the second time round, shares are handed out */
	size_t tenant_workers;
};

/* A linked account's calls are its monitoring account's. */
static const char *
asked_account(const struct stream *s)
{
	return s->js.linked_account ? s->env->account : s->js.account;
}

static int64_t *
count_of(struct division *d, const struct stream *s, struct err *err)
{
	CLEANUP(buf_done) struct buf key = BUF_INIT(256);
	int64_t *n;

	buf_fmt(&key, "%s\n%s", asked_account(s), s->js.region);
	if (buf_check(&key, "account and region", err))
		return NULL;
	n = map_get(&d->counts, buf_view(&key));
	if (n)
		return n;
	n = calloc(1, sizeof(*n));
	if (!n) {
		(void)err_nomem(err);
	} else if (map_put(&d->counts, buf_view(&key), n, NULL, err)) {
		free(n);
		n = NULL;
	}
	return n;
}

static int
each_stream(struct division *d, struct stream *s, struct err *err)
{
	int64_t *n = count_of(d, s, err);

	if (!n)
		return -1;
	if (!d->counted)
		(*n)++;
	else
		s->js.queries = d->l->concurrent_queries > *n ? d->l->concurrent_queries / *n : 1;
	return 0;
}

/* Of a backfill's slices no more ask at once than the tenant has workers. */
static bool
counts(const struct division *d, const struct tenant_job *tj)
{
	size_t in_front = 0;

	for (; tj->after; tj = tj->after)
		in_front++;
	return in_front < d->tenant_workers;
}

static bool
asks_queries(const struct job_kind *kind)
{
	return !strcmp(kind->service, "logs") || (kind->also && !strcmp(kind->also, "logs"));
}

static int
each_tenant(struct division *d, struct tenant_run *t, struct err *err)
{
	for (size_t j = 0; j < t->n_jobs; j++)
		for (size_t i = 0; i < t->jobs[j].n_streams; i++) {
			struct stream *s = &t->jobs[j].streams[i];

			if (asks_queries(s->job->kind) && (d->counted || counts(d, &t->jobs[j])) &&
			    each_stream(d, s, err))
				return -1;
		}
	return 0;
}

int
limits_divide(const struct limits *l, struct tenant_run *tenants, size_t n, size_t tenant_workers,
	      struct err *err)
{
	struct division d = {.l = l, .counts = MAP_INIT, .tenant_workers = tenant_workers};
	int rc = 0;

	for (size_t i = 0; !rc && i < n; i++)
		rc = each_tenant(&d, &tenants[i], err);
	d.counted = true;
	for (size_t i = 0; !rc && i < n; i++)
		rc = each_tenant(&d, &tenants[i], err);
	map_done(&d.counts, free);
	return rc;
}
