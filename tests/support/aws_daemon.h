/*
 * The AWS stand-in (tests/aws/awsd) as a child of a test program, and everything that is needed to talk to it as muster
 * does: transports, credentials, the endpoint in the environment.
 */
#ifndef MUSTER_TESTS_AWS_DAEMON_H
#define MUSTER_TESTS_AWS_DAEMON_H

#include "aws/cred.h"
#include "net/transport.h"

#define AWS_DAEMON_REGION "eu-west-1"

struct aws_daemon {
	int pid;
	char folder[64];
	char url[64];
	struct transport *top; /* retry > sign > curl */
	struct transport *plain;
	struct cred_source *creds; /* of the central account */
};
/* `options` as a NULL-terminated list. False, with a message, where it cannot run: without python3, or not from the root
 * of the source tree. */
bool aws_daemon_start(struct aws_daemon *d, const char *const *options);
void aws_daemon_stop(struct aws_daemon *d);
/* /_standin/<name>: PUT with a body, GET without. The answer's body in out (may be NULL); the test fails if it is no 200. */
void aws_daemon_control(struct aws_daemon *d, const char *name, const char *body, struct buf *out);
void aws_daemon_faults(struct aws_daemon *d, const char *rules); /* NULL: none */

#endif
