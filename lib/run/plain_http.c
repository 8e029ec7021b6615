/* Endpoints and sinks without TLS; see plain_http.h. */
#include "run/plain_http.h"

#include <strings.h>

#include "aws/endpoint.h"
#include "base/cleanup.h"
#include "fmt/uri.h"

#define URL_MAX 4096

/* What is at the url, unless it is https, this machine, or no url of the network. */
static void
weigh(const char *what, const char *name, const char *url, struct buf *out)
{
	struct uri u;

	if (uri_split(sv_of(url), &u, NULL) || sv_eq(u.scheme, SV("https")) ||
	    uri_is_loopback(u.host))
		return;
	buf_fmt(out, "%s%s%s at %.*s", out->n ? ", " : "", what, name, (int)u.host.n, u.host.p);
}

static bool
kind_calls(const struct job_kind *kind, const char *service)
{
	return !strcmp(kind->service, service) || (kind->also && !strcmp(kind->also, service));
}

static bool
is_on_s3(const char *url)
{
	return url && sv_starts(sv_of(url), SV("s3://"));
}

static bool
source_calls(const struct tenant_source *s, const char *service)
{
	return !strcmp(service, s->kind == SOURCE_LINKED ? "oam" : "organizations");
}

static bool
is_used(const struct config *c, const char *service)
{
	bool used =
	    !strcmp(service, "sts") ||
	    (!strcmp(service, "s3") && (is_on_s3(c->state) || is_on_s3(c->run.status_page)));

	for (size_t i = 0; !used && i < c->n_jobs; i++)
		used = kind_calls(c->jobs[i].kind, service);
	for (size_t i = 0; !used && i < c->n_sinks; i++)
		used = !strcmp(service, "s3") && is_on_s3(c->sinks[i].url);
	for (size_t i = 0; !used && i < c->n_sources; i++)
		used = source_calls(&c->sources[i], service);
	return used;
}

static bool
sends_credentials(const struct sink_conf *s)
{
	bool sends = s->sigv4_service || s->basic_user || s->bearer_token_file;

	/* What a header is for nobody knows, but of the one that names a tenant of Mimir's. */
	for (size_t i = 0; !sends && i < s->headers.n; i++)
		sends = strcasecmp(s->headers.v[i].key, "X-Scope-OrgID") != 0;
	return sends;
}

static bool
is_unused(const struct config *c, const struct sink_conf *s)
{
	for (size_t i = 0; i < c->n_unused_sinks; i++)
		if (!strcmp(c->unused_sinks[i], s->name))
			return true;
	return false;
}

void
plain_http_list(const struct config *c, struct buf *out)
{
	static const char *const services[] = {"sts", "monitoring",    "logs", "xray",
					       "s3",  "organizations", "oam"};

	for (size_t i = 0; i < ARRAY_LEN(services); i++) {
		CLEANUP(buf_done) struct buf url = BUF_INIT(URL_MAX);

		/* One that is no URL is said where it is used. */
		if (is_used(c, services[i]) && !endpoint_override(services[i], &url, NULL) && url.n)
			weigh("", services[i], buf_cstr(&url), out);
	}
	for (size_t i = 0; i < c->n_sinks; i++)
		if (c->sinks[i].url && sends_credentials(&c->sinks[i]) &&
		    !is_unused(c, &c->sinks[i]))
			weigh("sink ", c->sinks[i].name, c->sinks[i].url, out);
}
