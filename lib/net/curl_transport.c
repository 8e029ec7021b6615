/*
 * The bottom transport: a pool of libcurl handles.
 *
 * Connections belong to a handle, so a handle that has just spoken to the same host is taken first,
 * else the one used last: the pool stays as small as the work and its connections stay warm. Names
 * and TLS sessions are shared between handles by a CURLSH with a lock for each kind of data.
 */
#include <pthread.h>
#include <stdio.h>

#include "base/cleanup.h"
#include "fmt/uri.h"
#include "net/curl_handle.h"
#include "net/curl_memory.h"
#include "net/transport.h"

#ifndef MUSTER_VERSION
#define MUSTER_VERSION "dev"
#endif

struct curl_transport {
	struct transport base;
	struct curl_setup setup;
	char *ca_bundle, *user_agent;
	int (*classify)(const struct http_req *req, const struct http_resp *resp, struct err *err);
	CURLSH *share;
	pthread_mutex_t share_mu[CURL_LOCK_DATA_LAST];
	struct {
		pthread_mutex_t mu;
		struct curl_handle *idle;
		struct curl_trust *trust; /* read when the first https URL comes */
		bool trust_read;
	} locked;
};

int
curl_transport_global_init(struct err *err)
{
	return curl_memory_init(err);
}

void
curl_transport_global_done(void)
{
	curl_global_cleanup();
}

static void
share_lock(CURL *easy, curl_lock_data data, curl_lock_access access, void *arg)
{
	struct curl_transport *c = arg;

	(void)easy;
	(void)access;
	(void)pthread_mutex_lock(&c->share_mu[data]);
}

static void
share_unlock(CURL *easy, curl_lock_data data, void *arg)
{
	struct curl_transport *c = arg;

	(void)easy;
	(void)pthread_mutex_unlock(&c->share_mu[data]);
}

static int
share_init(struct curl_transport *c, struct err *err)
{
	CURLSHcode rc;

	c->share = curl_share_init();
	if (!c->share)
		return err_nomem(err);
	rc = curl_share_setopt(c->share, CURLSHOPT_LOCKFUNC, share_lock);
	if (!rc)
		rc = curl_share_setopt(c->share, CURLSHOPT_UNLOCKFUNC, share_unlock);
	if (!rc)
		rc = curl_share_setopt(c->share, CURLSHOPT_USERDATA, c);
	if (!rc)
		rc = curl_share_setopt(c->share, CURLSHOPT_SHARE, CURL_LOCK_DATA_DNS);
	if (!rc)
		rc = curl_share_setopt(c->share, CURLSHOPT_SHARE, CURL_LOCK_DATA_SSL_SESSION);
	return rc ? err_set(err, ERR_LOCAL, "libcurl: %s", curl_share_strerror(rc)) : 0;
}

static void
handle_free(struct curl_handle *h)
{
	if (!h)
		return;
	curl_easy_cleanup(h->easy);
	(void)curl_multi_cleanup(h->multi);
	free(h);
}

static struct curl_handle *
handle_new(struct curl_transport *c, struct err *err)
{
	struct curl_handle *h = calloc(1, sizeof(*h));

	if (h)
		h->easy = curl_easy_init();
	if (h && h->easy)
		h->multi = curl_multi_init();
	if (!h || !h->multi || curl_easy_setopt(h->easy, CURLOPT_SHARE, c->share)) {
		handle_free(h);
		(void)err_nomem(err);
		return NULL;
	}
	return h;
}

/* An idle handle that last spoke to this host, else the one used last, else a new one. */
static struct curl_handle *
handle_take(struct curl_transport *c, struct sv host, struct err *err)
{
	struct curl_handle **at, *h;

	(void)pthread_mutex_lock(&c->locked.mu);
	at = &c->locked.idle;
	while (*at && !sv_eq(sv_of((*at)->host), host))
		at = &(*at)->next;
	if (!*at)
		at = &c->locked.idle;
	h = *at;
	if (h)
		*at = h->next;
	(void)pthread_mutex_unlock(&c->locked.mu);
	return h ? h : handle_new(c, err);
}

static void
handle_give(struct curl_transport *c, struct curl_handle *h, struct sv host)
{
	(void)snprintf(h->host, sizeof(h->host), "%.*s", (int)host.n, host.p);
	(void)pthread_mutex_lock(&c->locked.mu);
	h->next = c->locked.idle;
	c->locked.idle = h;
	(void)pthread_mutex_unlock(&c->locked.mu);
}

/* The one store, NULL where none is needed or possible. */
static int
trust_for(struct curl_transport *c, struct sv scheme, struct curl_trust **ret, struct err *err)
{
	int r = 0;

	*ret = NULL;
	if (sv_eq(scheme, SV("http")))
		return 0;
	(void)pthread_mutex_lock(&c->locked.mu);
	if (!c->locked.trust_read)
		r = curl_trust_new(c->ca_bundle, &c->locked.trust, err);
	if (r == 0)
		c->locked.trust_read = true;
	*ret = c->locked.trust;
	(void)pthread_mutex_unlock(&c->locked.mu);
	return r;
}

static int
by_status(const struct http_resp *resp, struct err *err)
{
	if (resp->status >= 200 && resp->status < 300)
		return 0;
	(void)err_set(err, ERR_REJECTED, "HTTP status %d", resp->status);
	if (err)
		err->http_status = resp->status;
	return -1;
}

static int
curl_send(struct transport *t, const struct http_req *req, struct http_resp *resp, struct err *err)
{
	struct curl_transport *c = (struct curl_transport *)t;
	struct curl_trust *trust;
	struct curl_handle *h;
	struct uri uri;
	int r;

	resp_reset(resp);
	if (uri_split(sv_of(req->url), &uri, err) < 0)
		return -1;
	if (uri.host.n >= CURL_HOST_MAX)
		return err_set(err, ERR_USAGE, "a host name of more than %d characters",
			       CURL_HOST_MAX - 1);
	if (trust_for(c, uri.scheme, &trust, err) < 0)
		return -1;
	h = handle_take(c, uri.host, err);
	if (!h)
		return -1;
	r = curl_exchange(h, &c->setup, trust, req, uri.host, resp, err);
	handle_give(c, h, uri.host);
	if (r < 0)
		return err_wrap(err, "%.*s", (int)uri.host.n, uri.host.p);
	return c->classify ? c->classify(req, resp, err) : by_status(resp, err);
}

static void
curl_free_(struct transport *t)
{
	struct curl_transport *c = (struct curl_transport *)t;
	struct curl_handle *next;

	for (struct curl_handle *h = c->locked.idle; h; h = next) {
		next = h->next;
		handle_free(h);
	}
	if (c->share)
		(void)curl_share_cleanup(c->share);
	curl_trust_free(c->locked.trust);
	for (size_t i = 0; i < ARRAY_LEN(c->share_mu); i++)
		(void)pthread_mutex_destroy(&c->share_mu[i]);
	(void)pthread_mutex_destroy(&c->locked.mu);
	free(c->ca_bundle);
	free(c->user_agent);
	free(c);
}

/* A mutex without attributes cannot fail to be made on Linux. */
static void
init_locks(struct curl_transport *c)
{
	for (size_t i = 0; i < ARRAY_LEN(c->share_mu); i++)
		(void)pthread_mutex_init(&c->share_mu[i], NULL);
	(void)pthread_mutex_init(&c->locked.mu, NULL);
}

int
curl_transport_new(const struct curl_options *opt, struct transport **ret, struct err *err)
{
	static const struct transport_ops ops = {"curl", curl_send, curl_free_};
	struct curl_transport *c = calloc(1, sizeof(*c));
	const char *agent = opt->user_agent ? opt->user_agent : "muster/" MUSTER_VERSION;

	if (!c)
		return err_nomem(err);
	c->base.ops = &ops;
	init_locks(c);
	c->user_agent = sv_dup(sv_of(agent));
	if (opt->ca_bundle)
		c->ca_bundle = sv_dup(sv_of(opt->ca_bundle));
	if (!c->user_agent || (opt->ca_bundle && !c->ca_bundle)) {
		curl_free_(&c->base);
		return err_nomem(err);
	}
	c->setup = (struct curl_setup){
	    .user_agent = c->user_agent,
	    .ca_bundle = c->ca_bundle,
	    .clock = opt->clock ? opt->clock : clock_real(),
	};
	c->classify = opt->classify;
	if (share_init(c, err) < 0) {
		curl_free_(&c->base);
		return -1;
	}
	*ret = &c->base;
	return 0;
}
