/*
 * From service and region to a base URL.
 */
#ifndef MUSTER_AWS_ENDPOINT_H
#define MUSTER_AWS_ENDPOINT_H

#include <stdbool.h>

#include "base/buf.h"

/* Which override is set for a service: AWS_ENDPOINT_URL_<SERVICE> beats AWS_ENDPOINT_URL beats the `endpoint_url` of the service in the
 * active profile's `services` section beats the profile's own; AWS_IGNORE_CONFIGURED_ENDPOINT_URLS (or the profile) turns all off. `service` is the signing name (sts, monitoring, logs, s3, xray, organizations, ecs, aps, oam). The environment is read at each
 * call: make the URLs once, before the threads. Appends "https://sts.eu-west-1.amazonaws.com" (no slash at the end). FIPS and dual stack by
 * AWS_USE_FIPS_ENDPOINT and AWS_USE_DUALSTACK_ENDPOINT (or the profile's keys); either one beside an override is ERR_USAGE. */
int endpoint_url(const char *service, const char *region, struct buf *out, struct err *err);
/* Only the override ("" if none): S3 is then addressed path-style. */
int endpoint_override(const char *service, struct buf *out, struct err *err);
/* aws, aws-cn, aws-us-gov, ... by the region's prefix; "aws" if unknown. Static storage. */
const char *endpoint_partition(const char *region);
/* Where the partition's global services (Organizations) live, and what they are signed for. Static storage. */
const char *endpoint_global_region(const char *region);
/* [a-z]{2,}(-[a-z]+)+-[0-9]+ */
bool region_valid(struct sv region);

#endif
