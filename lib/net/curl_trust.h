/* One trust store for all connections. Private to lib/net. */
#ifndef MUSTER_NET_CURL_TRUST_H
#define MUSTER_NET_CURL_TRUST_H

#include <curl/curl.h>

#include "base/err.h"

struct curl_trust;
/* Reads the PEM file, or libcurl's default one (NULL). *ret NULL without an error: this libcurl does its TLS with
 * something else than OpenSSL and has to read its own. */
int curl_trust_new(const char *ca_bundle, struct curl_trust **ret, struct err *err);
void curl_trust_free(struct curl_trust *t);
/* Makes the handle's next connections use it, and read no file. */
CURLcode curl_trust_use(struct curl_trust *t, CURL *easy);

#endif
