/* What sinks that are HTTP receivers have in common; see sink_http.h. */
#include "sink/sink_http.h"

#include <errno.h>
#include <strings.h>
#include <sys/stat.h>

#include "aws/endpoint.h"
#include "base/cleanup.h"
#include "base/utf8.h"
#include "fmt/codec.h"
#include "fmt/uri.h"

#define TOKEN_MAX  ((size_t)64 << 10)
#define USER_AGENT "muster/" MUSTER_VERSION

/* ---- bearer tokens ---- */

/* "Bearer <token>" from the file's text without the blanks around it. */
static int
set_bearer(struct secret *to, const char *path, struct sv text, struct err *err)
{
	struct buf header = BUF_INIT(TOKEN_MAX + 16);
	int rc;

	while (text.n > 0 && strchr(" \t\r\n", text.p[text.n - 1]))
		text.n--;
	while (text.n > 0 && strchr(" \t\r\n", text.p[0])) {
		text.p++;
		text.n--;
	}
	for (size_t i = 0; i < text.n; i++)
		if (text.p[i] <= ' ' || text.p[i] > '~')
			return err_set(err, ERR_USAGE, "%s: holds more than one token", path);
	if (text.n == 0)
		return err_set(err, ERR_USAGE, "%s: is empty", path);
	buf_str(&header, "Bearer ");
	buf_sv(&header, text);
	rc = buf_check(&header, path, err);
	if (rc == 0)
		rc = secret_set(to, buf_view(&header), err);
	secret_wipe_buf(&header);
	return rc;
}

/* The file's token, for this state of the file: it is read again when that is another. */
static int
read_bearer(struct sink_http *h, const struct stat *st, struct err *err)
{
	const char *path = h->conf->bearer_token_file;
	struct buf text = BUF_INIT(TOKEN_MAX);
	int rc = -1;

	if (!S_ISREG(st->st_mode)) /* a pipe might never be written to */
		return err_set(err, ERR_USAGE, "%s: not a regular file", path);
	if (!secret_read_file(path, &text, err))
		rc = set_bearer(&h->bearer, path, buf_view(&text), err);
	secret_wipe_buf(&text);
	if (rc == 0) {
		h->token_mtime = st->st_mtim;
		h->token_size = st->st_size;
		h->token_inode = st->st_ino;
	}
	return rc;
}

/* The token, read again if the file changed. While it cannot be read the old token stays in use. */
static int
refresh_bearer(struct sink_http *h, struct err *err)
{
	const char *path = h->conf->bearer_token_file;
	bool have = h->bearer.n > 0;
	struct stat st;
	int rc;

	if (stat(path, &st))
		rc = err_sys(err, errno, "open %s", path);
	else if (have && st.st_mtim.tv_sec == h->token_mtime.tv_sec &&
		 st.st_mtim.tv_nsec == h->token_mtime.tv_nsec && st.st_size == h->token_size &&
		 st.st_ino == h->token_inode)
		rc = 0;
	else
		rc = read_bearer(h, &st, err);
	return have ? 0 : rc;
}

/* A copy of the Authorization value for one request; empty if there is none. */
static int
current_auth(struct sink_http *h, struct secret *ret, struct err *err)
{
	int rc;

	if (!h->conf->bearer_token_file)
		return ret->n == 0 && h->basic.n > 0 ? secret_copy(ret, &h->basic, err) : 0;
	(void)pthread_mutex_lock(&h->lock);
	rc = refresh_bearer(h, err);
	if (rc == 0)
		rc = secret_copy(ret, &h->bearer, err);
	(void)pthread_mutex_unlock(&h->lock);
	return rc;
}

/* ---- one request ---- */

static int
fill_headers(const struct sink_conf *c, struct http_req *req, struct err *err)
{
	if (req_header(req, "User-Agent", USER_AGENT, err) < 0)
		return -1;
	for (size_t i = 0; i < c->headers.n; i++)
		if (req_header(req, c->headers.v[i].key, c->headers.v[i].value, err) < 0)
			return -1;
	return 0;
}

int
sink_http_fill(struct sink_http *h, struct http_req *req, struct secret *auth, struct err *err)
{
	const struct sink_conf *c = h->conf;

	req->region = h->region;
	if (c->sigv4_service) {
		req->service = c->sigv4_service;
		req->auth = AUTH_SIGV4;
		req->creds = h->creds.use;
	} else if (current_auth(h, auth, err) < 0) {
		return -1;
	} else if (auth->n > 0) {
		req->auth = AUTH_HEADER;
		req->auth_header = auth->p;
	}
	return fill_headers(c, req, err);
}

int
sink_http_url(struct buf *out, const char *url, const char *path, struct err *err)
{
	struct sv base = sv_of(url);

	while (base.n && base.p[base.n - 1] == '/')
		base.n--;
	buf_sv(out, base);
	if (!sv_ends(base, sv_of(path)))
		buf_str(out, path);
	return buf_check(out, "url", err);
}

void
sink_http_reason(struct sv body, char out[SINK_REASON_MAX])
{
	size_t n = 0, len;
	uint32_t cp;

	for (; body.n > 0; body.p += len, body.n -= len) {
		bool blank;

		len = utf8_next(body, &cp);
		blank = cp == UTF8_BAD || cp <= ' ' || cp == 0x7f;
		if (blank && (n == 0 || out[n - 1] == ' '))
			continue;
		if (n + (blank ? 1 : len) >= SINK_REASON_MAX)
			break;
		if (blank)
			out[n++] = ' ';
		else
			for (size_t i = 0; i < len; i++)
				out[n++] = body.p[i];
	}
	while (n > 0 && out[n - 1] == ' ')
		n--;
	out[n] = '\0';
}

/* ---- open ---- */

/* The part behind "aps-workspaces" in the host's name; a VPC endpoint's name may stand in front. */
static bool
aps_region(struct sv host, struct sv *ret)
{
	struct sv last = {"", 0};

	while (host.n > 0) {
		const char *dot = memchr(host.p, '.', host.n);
		struct sv part = {host.p, dot ? (size_t)(dot - host.p) : host.n};

		if (sv_eq(last, SV("aps-workspaces")) || sv_eq(last, SV("aps-workspaces-fips"))) {
			*ret = part;
			return region_valid(part);
		}
		last = part;
		host.p += part.n + (dot ? 1 : 0);
		host.n -= part.n + (dot ? 1 : 0);
	}
	return false;
}

static int
set_region(struct sink_http *h, const struct sink_conf *c, struct err *err)
{
	struct sv region = sv_of(c->sigv4_region ? c->sigv4_region : h->env->region);
	struct uri u;
	struct sv found;

	if (uri_split(sv_of(c->url), &u, err) < 0)
		return -1;
	h->amp = c->sigv4_service && strcmp(c->sigv4_service, "aps") == 0;
	if (aps_region(u.host, &found)) {
		h->amp = true;
		if (!c->sigv4_region)
			region = found;
	}
	if (c->sigv4_service && (region.n == 0 || region.n >= SINK_REGION_MAX))
		return err_set(err, ERR_USAGE, "no region to sign for: set sigv4.region");
	if (region.n < SINK_REGION_MAX && region.n > 0)
		memcpy(h->region, region.p, region.n);
	return 0;
}

static int
set_basic(struct sink_http *h, const struct sink_conf *c, struct err *err)
{
	struct buf plain = BUF_INIT(TOKEN_MAX), header = BUF_INIT(TOKEN_MAX * 2);
	int rc;

	buf_str(&plain, c->basic_user);
	buf_ch(&plain, ':');
	buf_str(&plain, c->basic_password ? c->basic_password : "");
	buf_str(&header, "Basic ");
	base64_encode(&header, buf_view(&plain));
	rc = buf_check(&plain, "basic_auth", err);
	if (rc == 0)
		rc = buf_check(&header, "basic_auth", err);
	if (rc == 0)
		rc = secret_set(&h->basic, buf_view(&header), err);
	secret_wipe_buf(&plain);
	secret_wipe_buf(&header);
	return rc;
}

static int
check_conf(const struct sink_conf *c, struct err *err)
{
	static const char *const own[] = {
	    "content-encoding", "content-type",	 "x-prometheus-remote-write-version",
	    "user-agent",	"authorization", "host",
	    "content-length"};
	int ways =
	    (c->sigv4_service ? 1 : 0) + (c->basic_user ? 1 : 0) + (c->bearer_token_file ? 1 : 0);

	if (!c->url)
		return err_set(err, ERR_USAGE, "needs a url");
	if (ways > 1)
		return err_set(err, ERR_USAGE,
			       "only one of sigv4, basic_auth and bearer_token_file can be used");
	if (c->role && !c->sigv4_service)
		return err_set(err, ERR_USAGE, "role is of use only with sigv4");
	if (c->role && strncmp(c->role, "arn:", 4) != 0)
		return err_set(err, ERR_USAGE, "role has to be a complete ARN");
	for (size_t i = 0; i < c->headers.n; i++)
		for (size_t k = 0; k < ARRAY_LEN(own); k++)
			if (strcasecmp(c->headers.v[i].key, own[k]) == 0)
				return err_set(err, ERR_USAGE, "header %s is set by muster itself",
					       c->headers.v[i].key);
	return 0;
}

/* Nothing here talks to the network: the role is assumed with the first request. */
static int
open_auth(struct sink_http *h, const struct sink_conf *c, struct err *err)
{
	if (c->sigv4_service)
		return sink_creds_open(c, h->env, &h->creds, err);
	if (c->basic_user)
		return set_basic(h, c, err);
	return c->bearer_token_file ? refresh_bearer(h, err) : 0;
}

int
sink_http_open(struct sink_http *h, const struct sink_conf *c, const struct sink_env *env,
	       struct err *err)
{
	struct http_req probe = {0};

	*h = (struct sink_http){.conf = c, .env = env};
	(void)pthread_mutex_init(&h->lock, NULL);
	return check_conf(c, err) < 0 || fill_headers(c, &probe, err) < 0 ||
		       set_region(h, c, err) < 0 || open_auth(h, c, err) < 0
		   ? -1
		   : 0;
}

void
sink_http_done(struct sink_http *h)
{
	if (!h->conf)
		return;
	sink_creds_done(&h->creds);
	secret_done(&h->basic);
	secret_done(&h->bearer);
	(void)pthread_mutex_destroy(&h->lock);
}
