/*
 * Base URLs. The rule sets of the SDKs are large because they cover every service; for the handful
 * that is called here the names follow one pattern, and the exceptions stand in a table.
 */
#include "aws/endpoint.h"

#include <ctype.h>

#include "aws/profile.h"
#include "base/cleanup.h"
#include "fmt/uri.h"

struct partition {
	const char *region_prefix;
	const char *name;
	const char *suffix;
	const char *dual_stack_suffix; /* NULL: has none */
	const char *global_region;     /* where Organizations lives */
};

/* botocore data/partitions.json; the last row is the default. */
static const struct partition partitions[] = {
    {"cn-", "aws-cn", "amazonaws.com.cn", "api.amazonwebservices.com.cn", "cn-northwest-1"},
    {"us-gov-", "aws-us-gov", "amazonaws.com", "api.aws", "us-gov-west-1"},
    {"us-iso-", "aws-iso", "c2s.ic.gov", NULL, "us-iso-east-1"},
    {"us-isob-", "aws-iso-b", "sc2s.sgov.gov", NULL, "us-isob-east-1"},
    {"eu-isoe-", "aws-iso-e", "cloud.adc-e.uk", NULL, "eu-isoe-west-1"},
    {"us-isof-", "aws-iso-f", "csp.hci.ic.gov", NULL, "us-isof-south-1"},
    {"eusc-", "aws-eusc", "amazonaws.eu", NULL, "eusc-de-east-1"},
    {"", "aws", "amazonaws.com", "api.aws", "us-east-1"},
};

/* Signing name and the suffix of AWS_ENDPOINT_URL_. */
static const struct {
	const char *service, *suffix;
} env_suffixes[] = {
    {"sts", "STS"},
    {"monitoring", "CLOUDWATCH"},
    {"logs", "CLOUDWATCH_LOGS"},
    {"s3", "S3"},
    {"xray", "XRAY"},
    {"organizations", "ORGANIZATIONS"},
    {"ecs", "ECS"},
    {"aps", "AMP"},
    {"oam", "OAM"},
};

static const struct partition *
partition_of(const char *region)
{
	const struct partition *p = partitions;

	while (!sv_starts(sv_of(region), sv_of(p->region_prefix)))
		p++;
	return p; /* the last prefix fits all */
}

const char *
endpoint_partition(const char *region)
{
	return partition_of(region)->name;
}

const char *
endpoint_global_region(const char *region)
{
	return partition_of(region)->global_region;
}

/* Of a service or of all (`suffix` ""): in the environment, or in the active profile. */
static const char *
override_in_environment(const char *suffix)
{
	char variable[64];

	(void)snprintf(variable, sizeof(variable), "AWS_ENDPOINT_URL%s%s", *suffix ? "_" : "",
		       suffix);
	return settings_get(variable, NULL);
}

static const char *
override_in_profile(const char *suffix)
{
	const struct profiles *p = settings_profiles();
	char service[64];
	size_t n = 0;

	if (!p)
		return NULL;
	if (!*suffix)
		return profiles_get(p, profile_name(NULL), "endpoint_url", PROFILE_EITHER);
	for (; suffix[n] && n + 1 < sizeof(service); n++)
		service[n] = (char)tolower((unsigned char)suffix[n]);
	service[n] = '\0';
	return profiles_get_service(p, profile_name(NULL), service, "endpoint_url");
}

/* The first that is set: for the service and for all in the environment, then in the profile. */
static const char *
configured(const char *service)
{
	const char *suffix = "", *url = NULL;

	if (settings_true("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "ignore_configured_endpoint_urls"))
		return NULL;
	for (size_t i = 0; i < ARRAY_LEN(env_suffixes); i++)
		if (strcmp(env_suffixes[i].service, service) == 0)
			suffix = env_suffixes[i].suffix;
	if (*suffix)
		url = override_in_environment(suffix);
	if (!url)
		url = override_in_environment("");
	if (!url && *suffix)
		url = override_in_profile(suffix);
	return url ? url : override_in_profile("");
}

int
endpoint_override(const char *service, struct buf *out, struct err *err)
{
	const char *text = configured(service);
	struct sv url = sv_of(text);
	struct uri uri;

	if (!text)
		return 0;
	if (uri_split(url, &uri, err) < 0)
		return err_wrap(err, "endpoint of %s in the environment or profile", service);
	if (uri.query.n)
		return err_set(
		    err, ERR_USAGE,
		    "endpoint of %s in the environment or profile: it may not have a query",
		    service);
	while (url.n && url.p[url.n - 1] == '/')
		url.n--;
	buf_sv(out, url);
	return buf_check(out, "endpoint", err);
}

bool
region_valid(struct sv region)
{
	size_t i = 0, parts = 0, start;

	while (i < region.n && region.p[i] >= 'a' && region.p[i] <= 'z')
		i++;
	if (i < 2)
		return false;
	while (i < region.n && region.p[i] == '-') {
		start = ++i;
		while (i < region.n && region.p[i] >= 'a' && region.p[i] <= 'z')
			i++;
		if (i == start)
			break;
		parts++;
	}
	start = i;
	while (i < region.n && region.p[i] >= '0' && region.p[i] <= '9')
		i++;
	return parts > 0 && i > start && i == region.n && region.p[start - 1] == '-';
}

struct variant {
	bool fips, dual;
};

static void
add_host(const char *service, const char *region, const struct partition *p, struct variant v,
	 struct buf *out)
{
	const char *fips = v.fips ? "-fips" : "";

	if (strcmp(service, "s3") == 0) {
		/* S3 keeps its own dual-stack spelling. */
		buf_fmt(out, "s3%s.%s%s.%s", fips, v.dual ? "dualstack." : "", region, p->suffix);
		return;
	}
	if (strcmp(service, "organizations") == 0 && !v.dual) {
		region = p->global_region;
		if (strcmp(p->name, "aws-us-gov") == 0)
			fips = "";
	}
	/* GovCloud's ordinary names are FIPS already. */
	if (strncmp(region, "us-gov-", 7) == 0 && !v.dual &&
	    (strcmp(service, "logs") == 0 || strcmp(service, "sts") == 0))
		fips = "";
	buf_fmt(out, "%s%s.%s.%s", service, fips, region,
		v.dual ? p->dual_stack_suffix : p->suffix);
}

int
endpoint_url(const char *service, const char *region, struct buf *out, struct err *err)
{
	struct variant v = {
	    .fips = settings_true("AWS_USE_FIPS_ENDPOINT", "use_fips_endpoint"),
	    .dual = settings_true("AWS_USE_DUALSTACK_ENDPOINT", "use_dualstack_endpoint"),
	};
	const struct partition *p;
	size_t before = out->n;

	if (endpoint_override(service, out, err) < 0)
		return -1;
	if (out->n > before && (v.fips || v.dual))
		return err_set(err, ERR_USAGE,
			       "endpoint of %s: %s cannot go with an endpoint of your own", service,
			       v.fips ? "AWS_USE_FIPS_ENDPOINT" : "AWS_USE_DUALSTACK_ENDPOINT");
	if (out->n > before)
		return 0;
	if (!region_valid(sv_of(region)))
		return err_set(err, ERR_USAGE, "endpoint of %s: \"%s\" is not a region", service,
			       region);
	p = partition_of(region);
	if (v.dual && !p->dual_stack_suffix)
		return err_set(err, ERR_USAGE, "endpoint of %s: %s has no dual-stack names",
			       service, p->name);
	if (v.fips && strcmp(service, "s3") == 0 && strcmp(p->name, "aws-cn") == 0)
		return err_set(err, ERR_USAGE, "endpoint of s3: aws-cn has no FIPS names");
	buf_str(out, "https://");
	add_host(service, region, p, v, out);
	return buf_check(out, "endpoint", err);
}
