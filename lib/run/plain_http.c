/* Endpoints and sinks without TLS; see plain_http.h. */
#include "run/plain_http.h"

#include "aws/endpoint.h"
#include "base/cleanup.h"
#include "fmt/uri.h"
#include "run/tape_config.h"

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
sink_calls(const struct sink_conf *s, const char *service)
{
	if (!strcmp(service, "s3"))
		return is_on_s3(s->url);
	return s->sigv4_service && !strcmp(service, "aps") && !strcmp(s->sigv4_service, "aps");
}

static bool
source_calls(const struct tenant_source *s, const char *service)
{
	return !strcmp(service, s->kind == SOURCE_LINKED ? "oam" : "organizations");
}

static bool
is_used(const struct config *c, const char *service)
{
	bool used = !strcmp(service, "sts") || (!strcmp(service, "s3") && is_on_s3(c->state));

	for (size_t i = 0; !used && i < c->n_jobs; i++)
		used = kind_calls(c->jobs[i].kind, service);
	for (size_t i = 0; !used && i < c->n_sinks; i++)
		used = sink_calls(&c->sinks[i], service);
	for (size_t i = 0; !used && i < c->n_sources; i++)
		used = source_calls(&c->sources[i], service);
	return used;
}

static bool
sends_credentials(const struct sink_conf *s)
{
	bool sends = s->sigv4_service || s->basic_user || s->bearer_token_file;

	for (size_t i = 0; !sends && i < s->headers.n; i++)
		sends = tape_config_may_be_secret(s->headers.v[i].key);
	return sends;
}

void
plain_http_list(const struct config *c, struct buf *out)
{
	static const char *const services[] = {"sts", "monitoring",    "logs", "xray",
					       "s3",  "organizations", "oam",  "aps"};

	for (size_t i = 0; i < ARRAY_LEN(services); i++) {
		CLEANUP(buf_done) struct buf url = BUF_INIT(URL_MAX);

		/* One that is no URL is said where it is used. */
		if (is_used(c, services[i]) && !endpoint_override(services[i], &url, NULL) && url.n)
			weigh("", services[i], buf_cstr(&url), out);
	}
	for (size_t i = 0; i < c->n_sinks; i++)
		if (c->sinks[i].url && sends_credentials(&c->sinks[i]))
			weigh("sink ", c->sinks[i].name, c->sinks[i].url, out);
}
