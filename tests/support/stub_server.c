/* A scripted HTTP server; see stub_server.h. */
#include "tests/support/stub_server.h"

#include <arpa/inet.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#define MAX_CONNECTIONS 64
#define MAX_REQUESTS	64
#define MAX_REQUEST	(4u << 20)

struct connection {
	struct stub_server *server;
	const struct stub_script *script;
	pthread_t thread;
	int fd;
};

struct stub_server {
	int listen_fd, stop_fd;
	char url[64];
	const struct stub_script *scripts;
	size_t n_scripts;
	pthread_t acceptor;
	struct connection connections[MAX_CONNECTIONS];
	struct {
		pthread_mutex_t mu;
		size_t accepts;
		char *requests[MAX_REQUESTS];
		size_t n_requests;
	} locked;
};

/* True when fd can be read; false when the server is stopped or `ms` (-1: any) have passed. */
static bool
readable(struct stub_server *s, int fd, int ms)
{
	struct pollfd p[] = {{.fd = fd, .events = POLLIN}, {.fd = s->stop_fd, .events = POLLIN}};

	return poll(p, 2, ms) > 0 && !p[1].revents;
}

/* How long the whole request is, 0 while its headers are not complete. */
static size_t
whole_length(const char *text)
{
	const char *end = strstr(text, "\r\n\r\n");
	const char *length;

	if (!end)
		return 0;
	length = strcasestr(text, "\r\ncontent-length:");
	return (size_t)(end + 4 - text) +
	       (length && length < end ? strtoul(length + 17, NULL, 10) : 0);
}

static void
keep(struct stub_server *s, char *text)
{
	(void)pthread_mutex_lock(&s->locked.mu);
	if (s->locked.n_requests < MAX_REQUESTS) {
		s->locked.requests[s->locked.n_requests++] = text;
		text = NULL;
	}
	(void)pthread_mutex_unlock(&s->locked.mu);
	free(text);
}

static bool
read_request(struct connection *c)
{
	char *text = calloc(1, MAX_REQUEST);
	size_t n = 0, want = 0;

	while (text && (want == 0 || n < want)) {
		ssize_t got = -1;

		if (readable(c->server, c->fd, -1) && n < MAX_REQUEST - 1)
			got = recv(c->fd, text + n, MAX_REQUEST - 1 - n, 0);
		if (got <= 0) {
			free(text);
			return false;
		}
		n += (size_t)got;
		want = whole_length(text);
	}
	if (text)
		keep(c->server, text);
	return text != NULL;
}

static bool
send_all(int fd, const char *p, size_t n)
{
	while (n) {
		ssize_t sent = send(fd, p, n, MSG_NOSIGNAL);

		if (sent <= 0)
			return false;
		p += sent;
		n -= (size_t)sent;
	}
	return true;
}

static bool
drip(struct connection *c, const struct stub_step *step)
{
	for (size_t i = 0; i < step->n; i++) {
		if (!send_all(c->fd, step->bytes + i, 1))
			return false;
		if (readable(c->server, c->server->stop_fd, step->ms))
			return false;
	}
	return true;
}

static void
reset(struct connection *c)
{
	struct linger now = {.l_onoff = 1};

	(void)setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
}

static bool
play(struct connection *c, const struct stub_step *step)
{
	switch (step->op) {
	case STUB_READ:
		return read_request(c);
	case STUB_SEND:
		return send_all(c->fd, step->bytes, step->n);
	case STUB_DRIP:
		return drip(c, step);
	case STUB_WAIT:
		(void)readable(c->server, c->fd, step->ms);
		return true;
	case STUB_RESET:
		reset(c);
		return false;
	case STUB_END:
		break;
	}
	return false;
}

static void *
serve(void *arg)
{
	struct connection *c = arg;

	for (size_t i = 0; i < STUB_STEPS; i++)
		if (!play(c, &c->script->steps[i]))
			break;
	(void)close(c->fd);
	return NULL;
}

static void *
accept_all(void *arg)
{
	struct stub_server *s = arg;

	while (readable(s, s->listen_fd, -1)) {
		struct connection *c;
		int fd = accept4(s->listen_fd, NULL, NULL, SOCK_CLOEXEC);

		if (fd < 0)
			continue;
		if (s->locked.accepts == MAX_CONNECTIONS) {
			(void)close(fd);
			break;
		}
		(void)pthread_mutex_lock(&s->locked.mu);
		c = &s->connections[s->locked.accepts];
		*c = (struct connection){.server = s, .fd = fd};
		c->script = &s->scripts[s->locked.accepts < s->n_scripts ? s->locked.accepts
									 : s->n_scripts - 1];
		s->locked.accepts++;
		(void)pthread_create(&c->thread, NULL, serve, c);
		(void)pthread_mutex_unlock(&s->locked.mu);
	}
	return NULL;
}

static int
listen_somewhere(struct stub_server *s)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t n = sizeof(a);

	s->listen_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	s->stop_fd = eventfd(0, EFD_CLOEXEC);
	if (s->listen_fd < 0 || s->stop_fd < 0 ||
	    bind(s->listen_fd, (struct sockaddr *)&a, sizeof(a)) < 0 ||
	    listen(s->listen_fd, MAX_CONNECTIONS) < 0 ||
	    getsockname(s->listen_fd, (struct sockaddr *)&a, &n) < 0)
		return -1;
	(void)snprintf(s->url, sizeof(s->url), "http://127.0.0.1:%d", ntohs(a.sin_port));
	return 0;
}

struct stub_server *
stub_start(const struct stub_script *scripts, size_t n)
{
	struct stub_server *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->scripts = scripts;
	s->n_scripts = n;
	(void)pthread_mutex_init(&s->locked.mu, NULL);
	if (listen_somewhere(s) < 0 || pthread_create(&s->acceptor, NULL, accept_all, s)) {
		free(s);
		return NULL;
	}
	return s;
}

void
stub_stop(struct stub_server *s)
{
	if (!s)
		return;
	(void)eventfd_write(s->stop_fd, 1);
	(void)pthread_join(s->acceptor, NULL);
	for (size_t i = 0; i < s->locked.accepts; i++)
		(void)pthread_join(s->connections[i].thread, NULL);
	for (size_t i = 0; i < s->locked.n_requests; i++) {
		/* They may hold what a test looks for later. */
		explicit_bzero(s->locked.requests[i], strlen(s->locked.requests[i]));
		free(s->locked.requests[i]);
	}
	(void)close(s->listen_fd);
	(void)close(s->stop_fd);
	(void)pthread_mutex_destroy(&s->locked.mu);
	free(s);
}

const char *
stub_url(const struct stub_server *s)
{
	return s->url;
}

int
stub_accepts(struct stub_server *s)
{
	int n;

	(void)pthread_mutex_lock(&s->locked.mu);
	n = (int)s->locked.accepts;
	(void)pthread_mutex_unlock(&s->locked.mu);
	return n;
}

const char *
stub_request(struct stub_server *s, size_t i)
{
	const char *text = NULL;

	(void)pthread_mutex_lock(&s->locked.mu);
	if (i < s->locked.n_requests)
		text = s->locked.requests[i];
	(void)pthread_mutex_unlock(&s->locked.mu);
	return text;
}
