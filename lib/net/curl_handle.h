/* What the bottom transport keeps for each connection-holding handle, and one exchange on it. Private to lib/net. */
#ifndef MUSTER_NET_CURL_HANDLE_H
#define MUSTER_NET_CURL_HANDLE_H

#include <curl/curl.h>

#include "net/curl_trust.h"
#include "net/transport.h"

/* DNS names have at most 253 characters (RFC 1035). */
#define CURL_HOST_MAX 256

struct curl_handle {
	struct curl_handle *next; /* in the pool */
	CURL *easy;
	CURLM *multi; /* holds the connections; driven by one thread at a time */
	char host[CURL_HOST_MAX]; /* of the last exchange: its connection may still be open */
	char text[CURL_ERROR_SIZE];
};

/* What all exchanges of a transport share. */
struct curl_setup {
	const char *user_agent;
	const char *ca_bundle; /* NULL: libcurl's own */
	struct clock *clock;
};

/* One exchange: 0 when a complete answer came, whatever its status. `trust` NULL: libcurl reads ca_bundle itself. */
int curl_exchange(struct curl_handle *h, const struct curl_setup *setup, struct curl_trust *trust,
    const struct http_req *req, struct sv host, struct http_resp *resp, struct err *err);

#endif
