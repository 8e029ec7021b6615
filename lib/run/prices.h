/*
 * What AWS asks for, in dollars: the one table of prices that plan, report, status and the run's
 * own series go by.
 *
 * The defaults are the list prices of us-east-1 as AWS's pricing pages had them in April 2026
 * (CloudWatch, Logs, Managed Prometheus, S3, Fargate), first tiers, free allowances left out; other
 * regions ask for up to half as much again. `run.prices` puts others in their place. All is an
 * estimate: nothing here reads a bill.
 */
#ifndef MUSTER_RUN_PRICES_H
#define MUSTER_RUN_PRICES_H

#include <stdint.h>

#include "base/tally.h"
#include "fmt/conf.h"

#define PRICES_SOURCE "AWS list prices of us-east-1, April 2026, or run.prices"

struct prices {
	double get_metric_data_per_1000; /* metrics asked for */
	double cloudwatch_calls_per_1000;
	double insights_per_gb;
	double amp_per_10m_samples;
	double s3_puts_per_1000;
	/* What other ways cost, for the comparison of `muster plan`. */
	double metric_streams_per_1000;
	double container_insights_per_metric; /* and month */
	double fargate_vcpu_hour, fargate_gb_hour;
};
extern const struct conf_key prices_keys[]; /* of a struct prices */

/* What is billed. */
struct billed {
	uint64_t metrics; /* asked for by GetMetricData */
	uint64_t calls;	  /* other calls of CloudWatch metrics and alarms */
	uint64_t bytes_scanned;
	uint64_t samples; /* that Amazon's Prometheus took */
	uint64_t puts;	  /* of S3, with the parts of large ones */
};
void billed_add(struct billed *sum, const struct billed *u);

/* The services that bill, by signing name. */
enum price_service { PRICE_MONITORING, PRICE_LOGS, PRICE_APS, PRICE_S3, PRICE_SERVICES };
const char *price_service_name(enum price_service s);
double prices_of(const struct prices *p, const struct billed *u, enum price_service s);
double prices_sum(const struct prices *p, const struct billed *u);
/* Counts the calls that are billed by themselves: `calls` and `puts`. */
void billed_count_calls(struct billed *u, const struct tally *t);

#endif
