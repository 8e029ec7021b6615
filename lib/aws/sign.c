/*
 * The signing transport.
 *
 * It stands below the retries, so that every attempt is signed at its own time with the credentials
 * of that moment. It also repairs what makes a signature bad: it renews credentials that a service
 * calls expired, and it learns how far the machine's clock is off from the Date of every answer.
 */
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <strings.h>

#include "aws/sigv4.h"
#include "base/cleanup.h"
#include "base/map.h"
#include "base/timefmt.h"
#include "fmt/uri.h"

/* The SDKs' bound: services allow 5 minutes, less than 4 is never worth a second try. */
#define SKEW_MS	      240000
#define SLOW_ROUND_MS (15 * 60000) /* a Date that travelled longer says nothing */
#define MAX_HOSTS     1024

struct host_offset {
	int64_t ms; /* server minus local */
};

struct sign_transport {
	struct transport base;
	struct transport *next;
	struct clock *clock;
	atomic_int_least64_t newest_ms;
	struct {
		pthread_mutex_t mu;
		struct map hosts; /* of struct host_offset */
	} locked;
};

/* All that one signed attempt needs to stay alive until it was sent. */
struct attempt {
	struct http_req req; /* the copy that is sent */
	struct cred cred;
	struct buf host, authorization;
	struct uri uri;
	char date[TIME_TEXT_MAX];
	char payload[SHA256_HEX_LEN + 1];
	int64_t offset_ms; /* signed with */
	int64_t sent_ms;   /* monotonic */
};

static void
attempt_done(struct attempt *a)
{
	cred_done(&a->cred);
	buf_done(&a->host);
	secret_wipe_buf(&a->authorization);
}

static int64_t
offset_of(struct sign_transport *s, struct sv host)
{
	struct host_offset *o;
	int64_t ms;

	(void)pthread_mutex_lock(&s->locked.mu);
	o = map_get(&s->locked.hosts, host);
	ms = o ? o->ms : 0;
	(void)pthread_mutex_unlock(&s->locked.mu);
	return ms;
}

static void
remember(struct sign_transport *s, struct sv host, int64_t ms)
{
	struct host_offset *o;

	atomic_store(&s->newest_ms, ms);
	(void)pthread_mutex_lock(&s->locked.mu);
	o = map_get(&s->locked.hosts, host);
	if (!o && map_count(&s->locked.hosts) < MAX_HOSTS) {
		o = calloc(1, sizeof(*o));
		if (o && map_put(&s->locked.hosts, host, o, NULL, NULL) < 0) {
			free(o);
			o = NULL;
		}
	}
	if (o)
		o->ms = ms;
	(void)pthread_mutex_unlock(&s->locked.mu);
}

/* What proxies leave alone, and all that AWS wants signed (S3: content-type and x-amz-*). */
static bool
worth_signing(const char *name)
{
	static const char *const names[] = {"host", "content-type", "content-md5", "range"};

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (strcasecmp(name, names[i]) == 0)
			return true;
	return strncasecmp(name, "x-amz-", 6) == 0 || strncasecmp(name, "if-", 3) == 0;
}

static int
authorize(struct attempt *a, struct err *err)
{
	struct http_header signed_headers[HTTP_MAX_HEADERS];
	struct sigv4_input in = {
	    .method = sv_of(a->req.method),
	    .path = a->uri.path,
	    .query = a->uri.query,
	    .headers = signed_headers,
	    .payload_hash = a->payload,
	    .region = a->req.region,
	    .service = a->req.service,
	    .amz_date = a->date,
	    .s3_rules = a->req.s3_rules,
	};

	for (size_t i = 0; i < a->req.n_headers; i++)
		if (worth_signing(a->req.headers[i].name))
			signed_headers[in.n_headers++] = a->req.headers[i];
	if (sigv4_authorization(&in, &a->cred, &a->authorization, err) < 0)
		return -1;
	a->req.auth_header = a->authorization.p;
	return 0;
}

static int
prepare(struct sign_transport *s, struct attempt *a, struct err *err)
{
	if (uri_split(sv_of(a->req.url), &a->uri, err) < 0)
		return -1;
	uri_host_header(&a->host, &a->uri);
	if (buf_check(&a->host, "host", err) < 0)
		return -1;
	if (cred_get(a->req.creds, NULL, &a->cred, err) < 0)
		return -1;
	a->offset_ms = offset_of(s, buf_view(&a->host));
	time_format_basic(clock_wall_ms(s->clock) + a->offset_ms, a->date);
	sha256_hex(a->req.body, a->payload);
	if (req_header(&a->req, "Host", buf_cstr(&a->host), err) < 0 ||
	    req_header(&a->req, "X-Amz-Date", a->date, err) < 0)
		return -1;
	if (a->cred.token.n &&
	    req_header(&a->req, "X-Amz-Security-Token", a->cred.token.p, err) < 0)
		return -1;
	if (a->req.s3_rules && req_header(&a->req, "x-amz-content-sha256", a->payload, err) < 0)
		return -1;
	return authorize(a, err);
}

/* How far the answer's Date is from our clock; false if it tells nothing. */
static bool
observed_offset(struct sign_transport *s, const struct attempt *a, const struct http_resp *resp,
		int64_t *ret_ms)
{
	int64_t date_ms;
	struct sv v;

	if (clock_mono_ms(s->clock) - a->sent_ms > SLOW_ROUND_MS || resp_header(resp, "age", &v))
		return false;
	if (!resp_header(resp, "date", &v) || !time_parse_http(v, &date_ms))
		return false;
	*ret_ms = date_ms - clock_wall_ms(s->clock);
	return true;
}

static bool
may_be_skew(const struct err *err)
{
	/* Codes under which services report a wrong time, with and without a word of it. */
	static const char *const codes[] = {
	    "AccessDeniedException", "AuthFailure",	   "InvalidSignatureException",
	    "RequestExpired",	     "RequestInTheFuture", "RequestTimeTooSkewed",
	    "SignatureDoesNotMatch",
	};

	if (err->kind == ERR_SKEW)
		return true;
	for (size_t i = 0; i < ARRAY_LEN(codes); i++)
		if (strcmp(err->code, codes[i]) == 0)
			return true;
	return false;
}

/* New keys for the next attempt; the error stays ERR_EXPIRED only if there are some. */
static void
renew(struct attempt *a, struct err *err)
{
	struct cred fresh = {0};
	struct err why = {0};

	if (cred_get(a->req.creds, a->cred.key_id, &fresh, &why) < 0) {
		(void)err_wrap(&why, "credentials expired (%s), and there are no new ones",
			       err->code);
		/* Never twice round: whoever asks again gets the same answer. */
		if (why.kind == ERR_EXPIRED || why.kind == ERR_SKEW)
			why.kind = ERR_AUTH;
		why.http_status = err->http_status;
		*err = why;
	}
	cred_done(&fresh);
}

static void
learn(struct sign_transport *s, struct attempt *a, const struct http_resp *resp, int result,
      struct err *err)
{
	bool known, moved, suspicious = result < 0 && may_be_skew(err);
	int64_t now_ms = a->offset_ms;

	known = observed_offset(s, a, resp, &now_ms);
	moved = known && llabs(now_ms - a->offset_ms) >= SKEW_MS;
	/* A broken gateway's clock is no reason to sign with another time. */
	if (known && (result == 0 || (suspicious && moved)))
		remember(s, buf_view(&a->host), now_ms);
	if (!suspicious)
		return;
	if (moved) {
		err->kind = ERR_SKEW;
		(void)err_wrap(err, "this machine's clock is off by %" PRId64 " s", now_ms / 1000);
	} else if (err->kind == ERR_SKEW && strcmp(err->code, "RequestExpired") == 0) {
		err->kind = ERR_EXPIRED; /* the other meaning of the code */
	} else if (err->kind == ERR_SKEW) {
		err->kind = ERR_AUTH;
		(void)err_wrap(err, "the service finds the time of the signature wrong, but its "
				    "own Date agrees with it");
	}
}

static int
send_signed(struct sign_transport *s, const struct http_req *req, struct http_resp *resp,
	    struct err *err)
{
	CLEANUP(attempt_done)
	struct attempt a = {
	    .req = *req,
	    .host = BUF_INIT(1024),
	    .authorization = BUF_INIT(8192),
	};
	int r;

	if (!req->creds || !req->region)
		return err_set(err, ERR_USAGE, "%s %s: nothing to sign with", req->service,
			       req->operation);
	if (prepare(s, &a, err) < 0)
		return -1;
	a.sent_ms = clock_mono_ms(s->clock);
	r = transport_send(s->next, &a.req, resp, err);
	learn(s, &a, resp, r, err);
	if (r < 0 && err->kind == ERR_EXPIRED)
		renew(&a, err);
	return r;
}

static int
sign_send(struct transport *t, const struct http_req *req, struct http_resp *resp, struct err *err)
{
	struct sign_transport *s = (struct sign_transport *)t;
	struct err own = {0};
	int r;

	if (req->auth != AUTH_SIGV4)
		return transport_send(s->next, req, resp, err);
	resp_reset(resp);
	r = send_signed(s, req, resp, &own);
	if (r < 0 && err)
		*err = own;
	return r;
}

static void
sign_free(struct transport *t)
{
	struct sign_transport *s = (struct sign_transport *)t;

	transport_free(s->next);
	map_done(&s->locked.hosts, free);
	(void)pthread_mutex_destroy(&s->locked.mu);
	free(s);
}

int
sign_transport_new(struct transport *next, struct clock *clock, struct transport **ret,
		   struct err *err)
{
	static const struct transport_ops ops = {"sign", sign_send, sign_free};
	struct sign_transport *s = calloc(1, sizeof(*s));

	if (!s)
		return err_nomem(err);
	s->base.ops = &ops;
	s->next = next;
	s->clock = clock;
	(void)pthread_mutex_init(&s->locked.mu, NULL); /* cannot fail without attributes */
	*ret = &s->base;
	return 0;
}

int64_t
sign_transport_offset(const struct transport *t)
{
	const struct sign_transport *s = (const struct sign_transport *)t;

	return atomic_load(&s->newest_ms);
}
