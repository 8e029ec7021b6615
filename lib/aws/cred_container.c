/*
 * The credentials endpoint of ECS tasks and EKS pods.
 *
 * Whoever can set our environment could have the token sent anywhere, so without TLS only the
 * addresses are asked that the two services use, and this machine's own.
 */
#include <arpa/inet.h>
#include <stdlib.h>

#include "aws/cred_sources.h"
#include "base/cleanup.h"
#include "fmt/uri.h"

#define ECS_HOST     "http://169.254.170.2"
#define TOKEN_MAX    (32u << 10)
#define RELATIVE_URI "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"
#define FULL_URI     "AWS_CONTAINER_CREDENTIALS_FULL_URI"
#define TOKEN	     "AWS_CONTAINER_AUTHORIZATION_TOKEN"
#define TOKEN_FILE   "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"

struct cred_container {
	struct cred_source base;
	struct transport *t;
	char *url;
	char *token_file; /* NULL: none */
	struct secret token;
};

static const char *
env(const char *name)
{
	const char *v = getenv(name);

	return v && *v ? v : NULL;
}

/* What goes verbatim into a header must not begin another one. */
static int
check_token(struct sv token, const char *from, struct err *err)
{
	if (memchr(token.p, '\r', token.n) || memchr(token.p, '\n', token.n) ||
	    memchr(token.p, '\0', token.n))
		return err_set(err, ERR_AUTH, "%s: the token holds a line break or a NUL", from);
	return 0;
}

static int
read_token(const struct cred_container *c, struct buf *out, struct err *err)
{
	if (c->token_file) {
		if (secret_read_file(c->token_file, out, err) < 0)
			return err_wrap(err, TOKEN_FILE);
		return check_token(buf_view(out), TOKEN_FILE, err);
	}
	(void)buf_reserve(out, c->token.n);
	buf_add(out, c->token.p, c->token.n);
	return buf_check(out, TOKEN, err);
}

static int
container_get(struct cred_source *s, const char *stale, struct cred *ret, struct err *err)
{
	struct cred_container *c = (struct cred_container *)s;
	struct buf token = BUF_INIT(TOKEN_MAX);
	struct http_resp resp = {0};
	struct cred fresh = {0};
	int r;

	(void)stale;
	r = read_token(c, &token, err);
	if (!r) {
		const struct cred_fetch f = {
		    .service = "container",
		    .operation = "GetCredentials",
		    .method = "GET",
		    .url = c->url,
		    .header = {"Accept", "application/json"},
		    .authorization = token.n ? buf_cstr(&token) : NULL,
		    .proto = PROTO_AWS_JSON, /* refusals say code and message */
		};

		r = cred_fetch(c->t, &f, &resp, err);
		if (!r)
			r = cred_json_keys(buf_view(&resp.body), "Token", &fresh, err);
		cred_fetch_done(&resp);
	}
	secret_wipe_buf(&token);
	if (r) {
		cred_done(&fresh);
		return err_wrap(err, "container credentials");
	}
	cred_done(ret);
	*ret = fresh;
	return 0;
}

static void
container_free(struct cred_source *s)
{
	struct cred_container *c = (struct cred_container *)s;

	free(c->url);
	free(c->token_file);
	secret_done(&c->token);
	free(c);
}

/* This machine, and the addresses of ECS and EKS. */
static bool
may_be_plain(struct sv host)
{
	char text[INET6_ADDRSTRLEN];
	struct in6_addr a6, eks;

	if (uri_is_loopback(host) || sv_eq(host, SV("169.254.170.2")) ||
	    sv_eq(host, SV("169.254.170.23")))
		return true;
	if (host.n >= sizeof(text))
		return false;
	memcpy(text, host.p, host.n);
	text[host.n] = '\0';
	return inet_pton(AF_INET6, text, &a6) == 1 &&
	       inet_pton(AF_INET6, "fd00:ec2::23", &eks) == 1 && !memcmp(&a6, &eks, sizeof(eks));
}

static int
set_url(struct cred_container *c, struct err *err)
{
	CLEANUP(buf_done) struct buf url = BUF_INIT(4096);
	const char *relative = env(RELATIVE_URI), *full = env(FULL_URI);
	const char *from = relative ? RELATIVE_URI : FULL_URI;
	struct uri uri;

	if (!relative && !full)
		return err_set(err, ERR_NOTFOUND, RELATIVE_URI " and _FULL_URI are not set");
	if (relative && relative[0] != '/')
		return err_set(err, ERR_AUTH, RELATIVE_URI ": does not begin with /");
	buf_fmt(&url, "%s%s", relative ? ECS_HOST : "", relative ? relative : full);
	if (buf_check(&url, from, err))
		return -1;
	if (uri_split(buf_view(&url), &uri, err)) {
		err_clear(err);
		return err_set(err, ERR_AUTH, "%s: is no URL", from);
	}
	if (!sv_eq(uri.scheme, SV("https")) && !may_be_plain(uri.host))
		return err_set(err, ERR_AUTH,
			       FULL_URI
			       ": host %.*s is refused; without https only loopback addresses, "
			       "169.254.170.2, 169.254.170.23 and fd00:ec2::23 are asked",
			       (int)uri.host.n, uri.host.p);
	c->url = buf_steal(&url);
	return c->url ? 0 : err_nomem(err);
}

static int
set_token(struct cred_container *c, struct err *err)
{
	const char *file = env(TOKEN_FILE), *token = env(TOKEN);

	if (file) {
		c->token_file = profile_path(file);
		return c->token_file ? 0 : err_nomem(err);
	}
	if (!token)
		return 0;
	return check_token(sv_of(token), TOKEN, err) ? -1
						     : secret_set(&c->token, sv_of(token), err);
}

int
cred_container_new(const struct cred_setup *setup, struct cred_source **ret, struct err *err)
{
	static const struct cred_source_ops ops = {"container credentials", container_get,
						   container_free, NULL};
	struct cred_container *c = calloc(1, sizeof(*c));

	if (!c)
		return err_nomem(err);
	c->base.ops = &ops;
	c->t = setup->t;
	if (set_url(c, err) || set_token(c, err)) {
		container_free(&c->base);
		return -1;
	}
	*ret = &c->base;
	return 0;
}
