/* Searches, and parses nothing: a page takes a hundred times as long to read; see page_token.h. */
#include "aws/page_token.h"

#define NAME_MAX  23 /* bytes of a CBOR text whose length is in its first byte, RFC 8949 3.1 */
#define CBOR_TEXT 0x60
#define CBOR_NULL 0xf6

/* What stands behind the needle; it begins with NULL where there is none. */
static struct sv
behind(struct sv body, struct sv needle)
{
	const char *at = body.n ? memmem(body.p, body.n, needle.p, needle.n) : NULL;

	if (!at)
		return (struct sv){NULL, 0};
	at += needle.n;
	return (struct sv){at, (size_t)(body.p + body.n - at)};
}

static struct sv
skip_space(struct sv s)
{
	while (s.n && (*s.p == ' ' || *s.p == '\n' || *s.p == '\r' || *s.p == '\t')) {
		s.p++;
		s.n--;
	}
	return s;
}

static enum page_token
take(const char *p, size_t n, struct buf *ret)
{
	buf_sv(ret, (struct sv){p, n});
	return n ? PAGE_TOKEN : PAGE_TOKEN_NONE;
}

/* Behind a member's name. Any other text is a value that happens to be the name. */
static bool
json_value(struct sv rest, enum page_token *found, struct buf *ret)
{
	const char *end;

	rest = skip_space(rest);
	if (!rest.n || *rest.p != ':')
		return false;
	rest = skip_space((struct sv){rest.p + 1, rest.n - 1});
	*found = rest.n >= 4 && !memcmp(rest.p, "null", 4) ? PAGE_TOKEN_NONE : PAGE_TOKEN_UNSURE;
	if (!rest.n || *rest.p != '"')
		return true;
	end = memchr(rest.p + 1, '"', rest.n - 1);
	if (end && !memchr(rest.p + 1, '\\', (size_t)(end - rest.p - 1)))
		*found = take(rest.p + 1, (size_t)(end - rest.p - 1), ret);
	return true;
}

/* Texts of up to 65,535 bytes. */
static bool
cbor_value(struct sv rest, enum page_token *found, struct buf *ret)
{
	const unsigned char *p = (const unsigned char *)rest.p;
	size_t head = 1, n;

	*found = PAGE_TOKEN_UNSURE;
	if (!rest.n)
		return true;
	n = (size_t)(p[0] & 0x1f);
	if (p[0] == CBOR_NULL)
		*found = PAGE_TOKEN_NONE;
	if ((p[0] & 0xe0) != CBOR_TEXT)
		return true;
	if (n >= 24)
		head += n == 24 ? 1 : 2;
	if (n > 25 || rest.n < head)
		return true;
	if (n == 24)
		n = p[1];
	else if (n == 25)
		n = (size_t)p[1] << 8 | p[2];
	if (rest.n - head >= n)
		*found = take(rest.p + head, n, ret);
	return true;
}

enum page_token
page_token_peek(enum http_proto proto, struct sv body, const char *name, struct buf *ret)
{
	bool (*value)(struct sv rest, enum page_token * found, struct buf * ret) =
	    proto == PROTO_AWS_CBOR ? cbor_value : json_value;
	char needle[NAME_MAX + 2];
	size_t n = strlen(name);
	enum page_token found = PAGE_TOKEN_NONE;
	struct sv rest = body;

	if (n > NAME_MAX || (proto != PROTO_AWS_CBOR && proto != PROTO_AWS_JSON))
		return PAGE_TOKEN_UNSURE;
	needle[0] = proto == PROTO_AWS_CBOR ? (char)(CBOR_TEXT | n) : '"';
	memcpy(needle + 1, name, n);
	needle[n + 1] = '"';
	n += proto == PROTO_AWS_CBOR ? 1 : 2;
	do
		rest = behind(rest, (struct sv){needle, n});
	while (rest.p && !value(rest, &found, ret));
	return found;
}
