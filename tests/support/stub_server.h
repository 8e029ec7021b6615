/*
 * A server that does what its script says, also what no server should: for tests of the HTTP client.
 *
 * Each connection that is accepted plays the next script of the list (the last one again when the list is used up), a
 * thread for each. Listens on 127.0.0.1, a port of the system's choice.
 */
#ifndef MUSTER_TESTS_STUB_SERVER_H
#define MUSTER_TESTS_STUB_SERVER_H

#include <stddef.h>

enum stub_op {
	STUB_END,   /* close */
	STUB_READ,  /* one request: headers and a body of Content-Length, kept for stub_request() */
	STUB_SEND,  /* these bytes */
	STUB_DRIP,  /* these bytes, one each `ms` */
	STUB_WAIT,  /* `ms`, or until the client goes away or the server is stopped */
	STUB_RESET, /* close with RST */
};

struct stub_step {
	enum stub_op op;
	const char *bytes;
	size_t n;
	int ms;
};

#define STUB_STEPS 12
struct stub_script {
	struct stub_step steps[STUB_STEPS];
};

struct stub_server;
/* NULL if there is no socket. The scripts are borrowed. */
struct stub_server *stub_start(const struct stub_script *scripts, size_t n);
void stub_stop(struct stub_server *s);
const char *stub_url(const struct stub_server *s); /* http://127.0.0.1:PORT */
int stub_accepts(struct stub_server *s);
/* The i-th request as it came, NUL-terminated; NULL if there were fewer. Valid until stub_stop. */
const char *stub_request(struct stub_server *s, size_t i);

#endif
