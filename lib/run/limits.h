/*
 * What is asked of one account and region at most: `run.limits` of the configuration.
 *
 * The services' quotas belong to an account, a region and an API, and others use them too (consoles,
 * dashboards, other tools): so the defaults stay below what AWS grants (its pages on quotas of
 * CloudWatch, CloudWatch Logs, STS and OAM; of
 * Organizations in the field), and who shares an account with much else sets them lower.
 */
#ifndef MUSTER_RUN_LIMITS_H
#define MUSTER_RUN_LIMITS_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "fmt/conf.h"
#include "net/transport.h"

struct limits {
	/* Calls a second; 0: not limited. */
	double get_metric_data, list_metrics, alarm_history, cloudwatch;
	double start_query, get_query_results, logs, xray;
	double sts, organizations, oam;
	int64_t concurrent_queries; /* of Logs Insights */
};
extern const struct conf_key limits_keys[]; /* of a struct limits */

#define LIMITS_ROWS 12
/* The same as rows for limit_transport_new, with its last row. */
void limits_rows(const struct limits *l, struct rate_row rows[LIMITS_ROWS]);

struct tenant_run;
/* Divides the queries that may run at once in an account and region evenly among the streams that
 * ask for any there at once (at least one each), into their job_stream.queries. */
int limits_divide(const struct limits *l, struct tenant_run *tenants, size_t n,
		  size_t tenant_workers, struct err *err);

#endif
