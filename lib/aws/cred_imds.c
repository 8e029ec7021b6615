/*
 * The role of an EC2 instance, from its metadata service: version 2 only, because a request of
 * version 1 can be had from many a program by a forged URL, and nothing needs it any more.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "aws/cred_sources.h"
#include "base/cleanup.h"
#include "fmt/uri.h"

#define IPV4_URL   "http://169.254.169.254"
#define IPV6_URL   "http://[fd00:ec2::254]"
#define TOKEN_PATH "/latest/api/token"
#define ROLE_PATH  "/latest/meta-data/iam/security-credentials/"
#define TTL_S	   "21600" /* six hours, the longest there is */
#define TTL_MS	   (21600 * 1000LL)
#define URL_BYTES  2048
#define ROLE_BYTES 256

struct cred_imds {
	struct cred_source base;
	struct transport *t;
	struct clock *clock;
	char *endpoint;
	struct {
		pthread_mutex_t mu;
		struct secret token;
		int64_t token_until_ms; /* monotonic */
	} locked;
};

static int
fetch(struct cred_imds *m, const char *method, const char *operation, const char *path,
      struct http_header header, struct http_resp *resp, struct err *err)
{
	CLEANUP(buf_done) struct buf url = BUF_INIT(URL_BYTES);
	struct cred_fetch f = {
	    .service = "imds",
	    .operation = operation,
	    .method = method,
	    .header = header,
	    .proto = PROTO_PLAIN,
	};

	buf_fmt(&url, "%s%s", m->endpoint, path);
	f.url = buf_cstr(&url);
	if (buf_check(&url, "URL", err))
		return -1;
	return cred_fetch(m->t, &f, resp, err);
}

static int
new_token_locked(struct cred_imds *m, struct err *err)
{
	const struct http_header ttl = {"x-aws-ec2-metadata-token-ttl-seconds", TTL_S};
	struct http_resp resp = {0};
	int r = fetch(m, "PUT", "GetToken", TOKEN_PATH, ttl, &resp, err), status = resp.status;

	if (!r && !resp.body.n)
		r = err_set(err, ERR_DATA, "the metadata service gave an empty token");
	if (!r)
		r = secret_set(&m->locked.token, buf_view(&resp.body), err);
	if (!r)
		m->locked.token_until_ms = clock_mono_ms(m->clock) + TTL_MS;
	cred_fetch_done(&resp);
	if (r && !status)
		return err_wrap(err, "no answer (outside EC2 there is none; in a container the "
				     "instance's hop limit must be 2)");
	if (r && (status == 403 || status == 404 || status == 405))
		return err_wrap(err, "no token of IMDSv2, and IMDSv1 is not used");
	return r;
}

/* A GET with the token; a token that is refused is replaced once. */
static int
get_locked(struct cred_imds *m, const char *operation, const char *path, struct http_resp *resp,
	   struct err *err)
{
	int r = -1;

	for (int try = 0; try < 2; try++) {
		if (!m->locked.token.n || clock_mono_ms(m->clock) >= m->locked.token_until_ms) {
			if (new_token_locked(m, err))
				return -1;
		}
		r = fetch(m, "GET", operation, path,
			  (struct http_header){"x-aws-ec2-metadata-token", m->locked.token.p}, resp,
			  err);
		if (!r || resp->status != 401 || try)
			break;
		secret_done(&m->locked.token);
		cred_fetch_done(resp);
	}
	return r;
}

/* The first line; it becomes part of a path, so it may only hold what names of roles do. */
static int
read_role(struct sv body, char out[ROLE_BYTES], struct err *err)
{
	static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
				      "0123456789+=,.@_-";
	size_t n = 0;

	while (n < body.n && body.p[n] && strchr(allowed, body.p[n]))
		n++;
	if (n == 0 || n >= ROLE_BYTES || (n < body.n && body.p[n] != '\n' && body.p[n] != '\r'))
		return err_set(err, ERR_DATA, "the metadata service names no role");
	(void)snprintf(out, ROLE_BYTES, "%.*s", (int)n, body.p);
	return 0;
}

static int
find_role_locked(struct cred_imds *m, char out[ROLE_BYTES], struct err *err)
{
	struct http_resp resp = {0};
	int r = get_locked(m, "GetRole", ROLE_PATH, &resp, err);

	if (r && resp.status == 404)
		r = err_set(err, ERR_AUTH, "this instance has no role");
	else if (!r)
		r = read_role(buf_view(&resp.body), out, err);
	cred_fetch_done(&resp);
	return r;
}

/* A 200 can be a refusal all the same. */
static int
check_code(struct sv doc, struct err *err)
{
	CLEANUP(buf_done) struct buf code = BUF_INIT(256), message = BUF_INIT(4096);

	if (!cred_json_str(doc, "Code", &code))
		return code.no_memory ? err_nomem(err) : 0;
	if (!strcmp(buf_cstr(&code), "Success"))
		return 0;
	(void)cred_json_str(doc, "Message", &message);
	return err_set(err, ERR_AUTH, "the metadata service: %s: %.200s", buf_cstr(&code),
		       buf_cstr(&message));
}

static int
get_keys_locked(struct cred_imds *m, struct cred *c, struct err *err)
{
	char role[ROLE_BYTES], path[sizeof(ROLE_PATH) + ROLE_BYTES];
	struct http_resp resp = {0};
	int r;

	if (find_role_locked(m, role, err))
		return -1;
	(void)snprintf(path, sizeof(path), "%s%s", ROLE_PATH, role);
	r = get_locked(m, "GetCredentials", path, &resp, err);
	if (!r)
		r = check_code(buf_view(&resp.body), err);
	if (!r)
		r = cred_json_keys(buf_view(&resp.body), "Token", c, err);
	cred_fetch_done(&resp);
	return r;
}

static int
imds_get(struct cred_source *s, const char *stale, struct cred *ret, struct err *err)
{
	struct cred_imds *m = (struct cred_imds *)s;
	struct cred fresh = {0};
	int r;

	(void)stale;
	(void)pthread_mutex_lock(&m->locked.mu);
	r = get_keys_locked(m, &fresh, err);
	(void)pthread_mutex_unlock(&m->locked.mu);
	if (r) {
		cred_done(&fresh);
		return err_wrap(err, "EC2 instance metadata");
	}
	cred_done(ret);
	*ret = fresh;
	return 0;
}

static void
imds_free(struct cred_source *s)
{
	struct cred_imds *m = (struct cred_imds *)s;

	free(m->endpoint);
	secret_done(&m->locked.token);
	(void)pthread_mutex_destroy(&m->locked.mu);
	free(m);
}

static int
set_endpoint(struct cred_imds *m, struct err *err)
{
	const char *url =
	    settings_get("AWS_EC2_METADATA_SERVICE_ENDPOINT", "ec2_metadata_service_endpoint");
	const char *mode = settings_get("AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE",
					"ec2_metadata_service_endpoint_mode");
	struct sv text;
	struct uri uri;

	if (mode && strcasecmp(mode, "IPv4") != 0 && strcasecmp(mode, "IPv6") != 0)
		return err_set(err, ERR_AUTH,
			       "AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE: expected IPv4 or IPv6");
	if (!url)
		url = mode && !strcasecmp(mode, "IPv6") ? IPV6_URL : IPV4_URL;
	text = sv_of(url);
	while (text.n && text.p[text.n - 1] == '/')
		text.n--;
	if (uri_split(text, &uri, NULL) || uri.query.n)
		return err_set(err, ERR_AUTH, "AWS_EC2_METADATA_SERVICE_ENDPOINT: is no URL");
	m->endpoint = sv_dup(text);
	return m->endpoint ? 0 : err_nomem(err);
}

int
cred_imds_new(const struct cred_setup *setup, struct cred_source **ret, struct err *err)
{
	static const struct cred_source_ops ops = {"EC2 instance metadata", imds_get, imds_free,
						   NULL};
	struct cred_imds *m;

	if (settings_true("AWS_EC2_METADATA_DISABLED", NULL))
		return err_set(err, ERR_NOTFOUND, "AWS_EC2_METADATA_DISABLED is true");
	m = calloc(1, sizeof(*m));
	if (!m)
		return err_nomem(err);
	m->base.ops = &ops;
	m->t = setup->t;
	m->clock = setup->clock;
	(void)pthread_mutex_init(&m->locked.mu, NULL); /* cannot fail without attributes */
	if (set_endpoint(m, err)) {
		imds_free(&m->base);
		return -1;
	}
	*ret = &m->base;
	return 0;
}
