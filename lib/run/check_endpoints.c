/*
 * Do the names of the endpoints lead to private addresses, so that traffic stays on the company's
 * network (interface endpoints)? A warning, for not everybody wants that. S3 is left out: its
 * gateway endpoints are routes and do not show in names.
 */
#include <netdb.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "aws/endpoint.h"
#include "base/cleanup.h"
#include "fmt/uri.h"
#include "run/check.h"

#define HOST_MAX  256
#define HOSTS_MAX 256
#define TEXT_MAX  ((size_t)16 << 10)

struct hosts {
	char (*v)[HOST_MAX];
	size_t n;
};

static void
add_host(struct hosts *h, const char *url)
{
	char name[HOST_MAX];
	struct uri u;

	if (uri_split(sv_of(url), &u, NULL) || u.host.n >= HOST_MAX || h->n == HOSTS_MAX)
		return;
	memcpy(name, u.host.p, u.host.n);
	name[u.host.n] = '\0';
	for (size_t i = 0; i < h->n; i++)
		if (!strcmp(h->v[i], name))
			return;
	memcpy(h->v[h->n++], name, sizeof(name));
}

static void
add_service(struct hosts *h, const char *service, const char *region)
{
	CLEANUP(buf_done) struct buf url = BUF_INIT(4096);

	if (!endpoint_url(service, region, &url, NULL))
		add_host(h, buf_cstr(&url));
}

static void
add_services(struct hosts *h, const struct job_kind *kind, const char *region)
{
	add_service(h, kind->service, region);
	if (kind->also)
		add_service(h, kind->also, region);
}

static void
collect(const struct check *c, struct hosts *h)
{
	const struct config *config = c->s->config;

	add_host(h, buf_cstr(&c->s->sts_endpoint));
	for (size_t i = 0; i < config->n_sinks; i++)
		if (config->sinks[i].url && sv_starts(sv_of(config->sinks[i].url), SV("http")))
			add_host(h, config->sinks[i].url);
	for (size_t t = 0; t < config->n_tenants; t++) {
		const struct tenant *one = &config->tenants[t];

		for (size_t j = 0; session_has_tenant(c->s, one->id) && j < config->n_jobs; j++)
			for (size_t r = 0; r < one->n_regions; r++)
				if (session_has_job(c->s, one, &config->jobs[j]))
					add_services(h, config->jobs[j].kind, one->regions[r]);
	}
}

/* Loopback, link-local, RFC 1918, RFC 6598 (shared, behind carrier NAT). */
static bool
private_v4(uint32_t a)
{
	static const struct {
		uint32_t net, mask;
	} nets[] = {
	    {0x0a000000, 0xff000000}, {0x7f000000, 0xff000000}, {0xa9fe0000, 0xffff0000},
	    {0xac100000, 0xfff00000}, {0xc0a80000, 0xffff0000}, {0x64400000, 0xffc00000},
	};

	for (size_t i = 0; i < ARRAY_LEN(nets); i++)
		if ((a & nets[i].mask) == nets[i].net)
			return true;
	return false;
}

bool
check_is_private(const struct sockaddr *sa)
{
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;

	if (sa->sa_family == AF_INET) {
		memcpy(&v4, sa, sizeof(v4));
		return private_v4(ntohl(v4.sin_addr.s_addr));
	}
	if (sa->sa_family != AF_INET6)
		return false;
	memcpy(&v6, sa, sizeof(v6));
	/* ::1, fe80::/10, fc00::/7 (RFC 4193) */
	return IN6_IS_ADDR_LOOPBACK(&v6.sin6_addr) || IN6_IS_ADDR_LINKLOCAL(&v6.sin6_addr) ||
	       (v6.sin6_addr.s6_addr[0] & 0xfe) == 0xfc;
}

enum leads { PRIVATE, PUBLIC, NOWHERE };

static enum leads
resolve(const char *host)
{
	const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
	struct addrinfo *list = NULL;
	enum leads leads = PRIVATE;

	if (getaddrinfo(host, NULL, &hints, &list))
		return NOWHERE;
	for (const struct addrinfo *a = list; a; a = a->ai_next)
		if (!check_is_private(a->ai_addr))
			leads = PUBLIC;
	freeaddrinfo(list);
	return leads;
}

static void
say_list(struct check *c, struct buf *names, const char *before)
{
	CLEANUP(buf_done) struct buf text = BUF_INIT(TEXT_MAX);
	struct check_place p = {.to = &c->central};

	if (!names->n)
		return;
	buf_fmt(&text, "%s: %s", before, buf_cstr(names));
	check_say(&p, CHECK_WARN, "endpoints", buf_cstr(&text));
}

void
check_endpoints(struct check *c)
{
	CLEANUP(buf_done) struct buf open = BUF_INIT(TEXT_MAX), gone = BUF_INIT(TEXT_MAX);
	struct check_place p = {.to = &c->central};
	struct hosts h = {.v = calloc(HOSTS_MAX, HOST_MAX)};

	if (h.v)
		collect(c, &h);
	for (size_t i = 0; i < h.n && !clock_cancelled(c->s->clock); i++) {
		enum leads leads = resolve(h.v[i]);
		struct buf *to = leads == PUBLIC ? &open : &gone;

		if (leads != PRIVATE)
			buf_fmt(to, "%s%s", to->n ? ", " : "", h.v[i]);
	}
	say_list(c, &open,
		 "these names lead to public addresses (with interface endpoints and private DNS "
		 "they would not)");
	say_list(c, &gone, "these names lead nowhere from here (behind a proxy they need not)");
	if (h.n && !open.n && !gone.n)
		check_say(&p, CHECK_OK, "endpoints", "all names lead to private addresses");
	free(h.v);
}
