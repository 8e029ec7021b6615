/*
 * Whom keys, tokens or signed requests would go to by plain http, for all on the way to read: what an endpoint of the
 * environment or the profile, or a sink's url, asks for. It is allowed, for inside one machine or a test it is well; anywhere
 * else somebody should hear of it.
 */
#ifndef MUSTER_RUN_PLAIN_HTTP_H
#define MUSTER_RUN_PLAIN_HTTP_H

#include "run/config.h"

/* Appends each with its host, ", " between them: "sts at sts.internal, sink prom at 10.0.0.5"; nothing where there is none.
 * Of what the configuration uses: services whose endpoints were overridden, and sinks that are sent credentials. This machine
 * is no other; endpoints that hand out credentials have rules of their own (cred_imds.c, cred_container.c). Reads the
 * environment: before the threads. */
void plain_http_list(const struct config *c, struct buf *out);

#endif
