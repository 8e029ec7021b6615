/*
 * A transport that hands out keys as STS, a container endpoint and EC2 instance metadata do, and remembers what it was asked.
 *
 * Every answer brings a new key: ASIAROLE1, ASIAWEB2, ASIACONTAINER3, ASIAEC24, ..., each with "secret-N" and "token-N".
 */
#ifndef MUSTER_TESTS_KEY_ENDPOINTS_H
#define MUSTER_TESTS_KEY_ENDPOINTS_H

#include "net/transport.h"

#define KEY_CALLS 64
struct key_call {
	char method[8], url[256], service[32];
	char auth[256];   /* Authorization, "" for none; what signs: "Credential=<key id>" */
	char header[128]; /* the first header, "Name: value" */
	char body[2048];
	bool direct, unrecorded;
};

struct key_endpoints {
	struct transport base;
	struct clock *clock;
	int n; /* calls so far */
	struct key_call calls[KEY_CALLS];
	/* Instead of an answer to the calls whose URL or body holds `fail_at`, `fail_times` times: */
	const char *fail_at, *fail_body;
	int fail_times, fail_status;
	int64_t life_s; /* of the keys; 0: an hour */
};
/* Initialises *k; it is freed by nobody. */
struct transport *key_endpoints_init(struct key_endpoints *k, struct clock *clock);

#endif
