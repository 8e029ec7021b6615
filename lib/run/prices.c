/* Prices and what they make of what is billed; see prices.h. */
#include "run/prices.h"

#include <string.h>

#include "base/cleanup.h"

#define PRICE(member, value, text)                                                                 \
	{                                                                                          \
		.name = #member, .type = CONF_NUMBER, .offset = offsetof(struct prices, member),   \
		.deflt = value, .help = text                                                       \
	}

const struct conf_key prices_keys[] = {
    PRICE(get_metric_data_per_1000, "0.01", "For 1,000 metrics asked for."),
    PRICE(cloudwatch_calls_per_1000, "0.01",
	  "For 1,000 calls of ListMetrics, DescribeAlarms and DescribeAlarmHistory (AWS asks for "
	  "nothing up to a million a month and account)."),
    PRICE(insights_per_gb, "0.005", "For a gigabyte scanned."),
    PRICE(amp_per_10m_samples, "0.90", "For 10 million samples that Amazon's Prometheus takes."),
    PRICE(s3_puts_per_1000, "0.005", "For 1,000 objects, or parts of large ones, put on S3."),
    PRICE(metric_streams_per_1000, "0.003", "Only compared with: a metric stream's 1,000 updates."),
    PRICE(container_insights_per_metric, "0.30",
	  "Only told: a metric of Container Insights, a month."),
    PRICE(fargate_vcpu_hour, "0.04048", "Only compared with: what a sidecar runs on."),
    PRICE(fargate_gb_hour, "0.004445", "Only compared with: what a sidecar runs on."),
    CONF_END,
};

void
billed_add(struct billed *sum, const struct billed *u)
{
	sum->metrics += u->metrics;
	sum->calls += u->calls;
	sum->bytes_scanned += u->bytes_scanned;
	sum->samples += u->samples;
	sum->puts += u->puts;
}

const char *
price_service_name(enum price_service s)
{
	static const char *const names[PRICE_SERVICES] = {
	    [PRICE_MONITORING] = "monitoring",
	    [PRICE_LOGS] = "logs",
	    [PRICE_APS] = "aps",
	    [PRICE_S3] = "s3",
	};

	return names[s];
}

double
prices_of(const struct prices *p, const struct billed *u, enum price_service s)
{
	switch (s) {
	case PRICE_MONITORING:
		return (double)u->metrics / 1000 * p->get_metric_data_per_1000 +
		       (double)u->calls / 1000 * p->cloudwatch_calls_per_1000;
	case PRICE_LOGS:
		return (double)u->bytes_scanned / 1e9 * p->insights_per_gb;
	case PRICE_APS:
		return (double)u->samples / 1e7 * p->amp_per_10m_samples;
	case PRICE_S3:
		return (double)u->puts / 1000 * p->s3_puts_per_1000;
	case PRICE_SERVICES:
		break;
	}
	return 0;
}

double
prices_sum(const struct prices *p, const struct billed *u)
{
	double sum = 0;

	for (int s = 0; s < PRICE_SERVICES; s++)
		sum += prices_of(p, u, (enum price_service)s);
	return sum;
}

static bool
is_put(const struct tally_row *r)
{
	/* S3's reads cost a twelfth, and are few. */
	static const char *const puts[] = {"PutObject", "CreateMultipartUpload", "UploadPart",
					   "CompleteMultipartUpload"};

	for (size_t i = 0; i < ARRAY_LEN(puts); i++)
		if (!strcmp(r->service, "s3") && !strcmp(r->operation, puts[i]))
			return true;
	return false;
}

void
billed_count_calls(struct billed *u, const struct tally *t)
{
	for (size_t i = 0; i < t->n; i++) {
		const struct tally_row *r = &t->v[i];

		if (!strcmp(r->service, "monitoring") && strcmp(r->operation, "GetMetricData") != 0)
			u->calls += r->calls;
		if (is_put(r))
			u->puts += r->calls;
	}
}
