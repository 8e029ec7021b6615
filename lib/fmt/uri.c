/*
 * URLs. Everything that two programs could read differently (user information, blanks,
 * back-slashes, escapes in the host) is refused instead of interpreted; the errors never repeat the
 * text, which may hold a password or a signature.
 */
#include "fmt/uri.h"

#include <arpa/inet.h>

#include "base/cleanup.h"
#include "base/num.h"
#include "fmt/codec.h"

static bool
is_alnum(char c)
{
	return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

static bool
is_unreserved(char c)
{
	return is_alnum(c) || c == '-' || c == '_' || c == '.' || c == '~';
}

void
uri_encode(struct buf *out, struct sv s, bool keep_slash)
{
	static const char digits[] = "0123456789ABCDEF";

	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];

		if (is_unreserved(s.p[i]) || (keep_slash && c == '/'))
			buf_ch(out, s.p[i]);
		else
			buf_add(out, (char[]){'%', digits[c >> 4], digits[c & 15]}, 3);
	}
}

/* On failure out is as before. */
bool
uri_decode(struct buf *out, struct sv s, bool plus_is_space)
{
	size_t before = out->n;

	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] == '%') {
			if (s.n - i < 3 || !hex_decode(out, (struct sv){s.p + i + 1, 2})) {
				out->n = before;
				return false;
			}
			i += 2;
		} else {
			buf_ch(out, plus_is_space && s.p[i] == '+' ? ' ' : s.p[i]);
		}
	}
	return buf_ok(out);
}

static int
bad(struct err *err, const char *why)
{
	return err_set(err, ERR_USAGE, "URL: %s", why);
}

/* Takes what is before the first of `stops` off the front of *s. */
static struct sv
take_until(struct sv *s, const char *stops)
{
	struct sv head = {s->p, 0};

	while (head.n < s->n && !strchr(stops, s->p[head.n]))
		head.n++;
	s->p += head.n;
	s->n -= head.n;
	return head;
}

static int
check_bytes(struct sv text, struct err *err)
{
	for (size_t i = 0; i < text.n; i++) {
		unsigned char c = (unsigned char)text.p[i];

		if (c <= ' ' || c >= 0x7F)
			return bad(err, "blanks, control characters and bytes beyond ASCII must be "
					"percent-encoded");
		if (c == '\\')
			return bad(err, "back-slashes are not allowed");
		if (c == '#')
			return bad(err, "a fragment is not allowed");
	}
	return 0;
}

static int
take_scheme(struct sv *s, struct uri *u, struct err *err)
{
	static const struct {
		const char *name;
		int port;
	} schemes[] = {{"http", 80}, {"https", 443}};
	struct sv rest = *s;

	u->scheme = take_until(&rest, ":");
	if (!sv_starts(rest, SV("://")))
		return bad(err, "must start with http:// or https://");
	for (size_t i = 0; i < ARRAY_LEN(schemes); i++)
		if (sv_eq(u->scheme, sv_of(schemes[i].name))) {
			u->port_number = schemes[i].port;
			*s = (struct sv){rest.p + 3, rest.n - 3};
			return 0;
		}
	return bad(err, "must start with http:// or https://");
}

static int
check_name(struct sv host, struct err *err)
{
	if (host.n == 0)
		return bad(err, "the host is missing");
	for (size_t i = 0; i < host.n; i++)
		if (!is_alnum(host.p[i]) && host.p[i] != '-' && host.p[i] != '.' &&
		    host.p[i] != '_')
			return bad(err, "a character in the host is not allowed");
	return 0;
}

/* "[::1]" at the front of *s. */
static int
take_ipv6(struct sv *s, struct uri *u, struct err *err)
{
	struct in6_addr addr;
	char text[INET6_ADDRSTRLEN];

	*s = (struct sv){s->p + 1, s->n - 1};
	u->host = take_until(s, "]");
	if (s->n == 0 || u->host.n >= sizeof(text))
		return bad(err, "broken IPv6 address");
	memcpy(text, u->host.p, u->host.n);
	text[u->host.n] = '\0';
	if (inet_pton(AF_INET6, text, &addr) != 1)
		return bad(err, "broken IPv6 address");
	*s = (struct sv){s->p + 1, s->n - 1};
	return 0;
}

static int
split_authority(struct sv s, struct uri *u, struct err *err)
{
	uint64_t port;

	if (s.n && memchr(s.p, '@', s.n))
		return bad(err, "user information is not allowed");
	if (s.n && s.p[0] == '[') {
		if (take_ipv6(&s, u, err) < 0)
			return -1;
	} else {
		u->host = take_until(&s, ":");
		if (check_name(u->host, err) < 0)
			return -1;
	}
	if (s.n == 0)
		return 0;
	if (s.p[0] != ':')
		return bad(err, "unexpected text behind the host");
	u->port = (struct sv){s.p + 1, s.n - 1};
	if (u->port.n == 0 || u->port.p[0] == '+' || !num_u64(u->port, &port) || port == 0 ||
	    port > 65535)
		return bad(err, "the port is not a number from 1 to 65535");
	u->port_number = (int)port;
	return 0;
}

int
uri_split(struct sv text, struct uri *ret, struct err *err)
{
	struct uri u = {.port = SV(""), .query = SV("")};

	if (check_bytes(text, err) < 0 || take_scheme(&text, &u, err) < 0 ||
	    split_authority(take_until(&text, "/?"), &u, err) < 0)
		return -1;
	u.path = take_until(&text, "?");
	if (text.n)
		u.query = (struct sv){text.p + 1, text.n - 1};
	*ret = u;
	return 0;
}

void
uri_host_header(struct buf *out, const struct uri *u)
{
	bool ipv6 = u->host.n && memchr(u->host.p, ':', u->host.n);

	if (ipv6)
		buf_ch(out, '[');
	buf_sv(out, u->host);
	if (ipv6)
		buf_ch(out, ']');
	if (u->port_number != (sv_eq(u->scheme, SV("https")) ? 443 : 80))
		buf_fmt(out, ":%d", u->port_number);
}

bool
uri_is_loopback(struct sv host)
{
	char text[INET6_ADDRSTRLEN];
	struct in6_addr a6;
	struct in_addr a4;

	if (host.n >= sizeof(text))
		return false;
	memcpy(text, host.p, host.n);
	text[host.n] = '\0';
	if (inet_pton(AF_INET, text, &a4) == 1)
		return ntohl(a4.s_addr) >> 24 == 127;
	if (inet_pton(AF_INET6, text, &a6) == 1)
		return IN6_IS_ADDR_LOOPBACK(&a6) ||
		       (IN6_IS_ADDR_V4MAPPED(&a6) && a6.s6_addr[12] == 127);
	return !strcasecmp(text, "localhost");
}

void
form_add(struct buf *out, const char *name, struct sv value)
{
	if (out->n)
		buf_ch(out, '&');
	uri_encode(out, sv_of(name), false);
	buf_ch(out, '=');
	uri_encode(out, value, false);
}
