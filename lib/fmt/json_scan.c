/*
 * JSON read in place; see json_scan.h. A page of log rows is mostly text that goes out as it came
 * in: it is walked over once, for its end and for whether it can be copied, and never stored in
 * between.
 */
#include "fmt/json_scan.h"

#include <endian.h>

#include "base/cleanup.h"
#include "base/num.h"
#include "base/utf8.h"
#include "fmt/json.h"

/* What a byte of a string is: most of them are looked up and passed over. The last two are of bytes
 * behind a backslash: an escape, and one that is written the same way when it is written again. */
enum { ENDS_RUN = 1, BEYOND_ASCII = 2, ESCAPED = 4, CANONICAL = 8 };
#define ALL_16(k) k, k, k, k, k, k, k, k, k, k, k, k, k, k, k, k
#define ALL_64(k) ALL_16(k), ALL_16(k), ALL_16(k), ALL_16(k)
static const unsigned char kinds[256] = {
    ALL_16(ENDS_RUN),
    ALL_16(ENDS_RUN),
    ['"'] = ENDS_RUN | ESCAPED | CANONICAL,
    ['\\'] = ENDS_RUN | ESCAPED | CANONICAL,
    ['/'] = ESCAPED,
    ['b'] = ESCAPED | CANONICAL,
    ['f'] = ESCAPED | CANONICAL,
    ['n'] = ESCAPED | CANONICAL,
    ['r'] = ESCAPED | CANONICAL,
    ['t'] = ESCAPED | CANONICAL,
    [0x80] = ALL_64(BEYOND_ASCII),
    ALL_64(BEYOND_ASCII),
};

static unsigned
kind_of(char c)
{
	return kinds[(unsigned char)c];
}

/* Bytes of a string that need a look: quotes, escapes, control characters, all beyond ASCII. */
static bool
is_plain(char c)
{
	return !(kind_of(c) & (ENDS_RUN | BEYOND_ASCII));
}

/* Sixteen bytes at a time: a page of rows is some megabytes of strings. */
typedef unsigned char block __attribute__((vector_size(16)));
#define BLOCK	  ((ptrdiff_t)sizeof(block))
#define HIGH_BITS 0x8080808080808080u

static block
block_at(const char *p)
{
	block b;

	memcpy(&b, p, sizeof(b));
	return b;
}

/* One bit for each byte that is 0 or 0xFF. */
#ifdef __SSE2__
static inline unsigned
bits_of(block truth)
{
	return (unsigned)__builtin_ia32_pmovmskb128((char __attribute__((vector_size(16))))truth);
}
#else
/* The factor moves bit 0 of the n-th of eight bytes to bit 56 + n, and no two of the products
 * meet. */
static inline unsigned
bits_of_half(uint64_t half)
{
	return (unsigned)((le64toh(half) & 0x0101010101010101u) * 0x0102040810204080u >> 56);
}

static inline unsigned
bits_of(block truth)
{
	uint64_t half[2];

	memcpy(half, &truth, sizeof(half));
	return bits_of_half(half[0]) | bits_of_half(half[1]) << 8;
}
#endif

static inline block
run_ends(block b)
{
	return (block)((b == '"') | (b == '\\') | (b < 0x20));
}

static inline void
skip_blanks(struct json_scan *s)
{
	while (s->p < s->end && (*s->p == ' ' || *s->p == '\n' || *s->p == '\r' || *s->p == '\t'))
		s->p++;
}

/* Mostly there are none. */
static inline bool
take_ch(struct json_scan *s, char c)
{
	if (s->p == s->end || *s->p != c) {
		skip_blanks(s);
		if (s->p == s->end || *s->p != c)
			return false;
	}
	s->p++;
	return true;
}

bool
json_scan_ch(struct json_scan *s, char c)
{
	return take_ch(s, c);
}

bool
json_scan_end(struct json_scan *s)
{
	skip_blanks(s);
	return s->p == s->end;
}

static bool
is_hex(char c)
{
	return (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'f');
}

/* Behind a backslash; returns how many bytes belong to it, 0 if it is no escape. */
static size_t
escape_length(const char *p, const char *end)
{
	if (p == end || !*p)
		return 0;
	if (kind_of(*p) & ESCAPED)
		return 1;
	if (*p != 'u' || end - p < 5)
		return 0;
	for (int i = 1; i <= 4; i++)
		if (!is_hex(p[i]))
			return 0;
	return 5;
}

static inline bool
is_canonical(const char *p, const char *end)
{
	return *p == '\\' && end - p >= 2 && kind_of(p[1]) & CANONICAL;
}

/* What is known of a string whose end is looked for. */
struct text_scan {
	const char *p, *end;
	uint64_t beyond; /* a high bit: some byte so far, or soon behind the end, is no ASCII */
	bool canonical;	 /* all escapes so far */
};

/* Passes an escape; false: there is none. */
static inline bool
pass_escape(struct text_scan *s)
{
	size_t n;

	if (is_canonical(s->p, s->end)) {
		s->p += 2;
		return true;
	}
	n = *s->p == '\\' ? escape_length(s->p + 1, s->end) : 0;
	s->p += n ? 1 + n : 0;
	s->canonical = false;
	return n > 0;
}

/* Of a block's bytes that need a look those that are left when escaped quotes are passed, all at
 * once: text that is JSON itself is full of them. Where there are other escapes, all are left. */
static inline unsigned
pass_quotes(block b, unsigned ends)
{
	unsigned backslashes = bits_of((block)(b == '\\')), escaped = backslashes << 1;

	if (escaped & ~bits_of((block)(b == '"')))
		return ends;
	return ends & ~(backslashes | escaped);
}

/* All of a block, whose escapes may reach beyond it. False: s->p is at a quote, or at what cannot
 * be in a string. */
static inline bool
scan_block(struct text_scan *s)
{
	const char *start = s->p;
	block b = block_at(start);
	unsigned ends = bits_of(run_ends(b));
	uint64_t half[2];

	memcpy(half, start, sizeof(half));
	s->beyond |= half[0] | half[1];
	if (ends)
		ends = pass_quotes(b, ends);
	while (ends) {
		unsigned next;

		s->p = start + __builtin_ctz(ends);
		if (*s->p == '"' || !pass_escape(s))
			return false;
		next = (unsigned)(s->p - start);
		ends = next < BLOCK ? ends >> next << next : 0;
	}
	if (s->p < start + BLOCK)
		s->p = start + BLOCK;
	return true;
}

/* To the byte that ends the string, or to one that cannot be in it. */
static void
scan_text(struct text_scan *s)
{
	while (s->end - s->p >= BLOCK)
		if (!scan_block(s))
			return;
	while (s->p < s->end) {
		if (!(kind_of(*s->p) & ENDS_RUN)) {
			s->beyond |= (unsigned char)*s->p++;
		} else if (*s->p == '"' || !pass_escape(s)) {
			return;
		}
	}
}

bool
json_scan_text(struct json_scan *s, struct sv *ret_raw, bool *ret_as_is)
{
	struct text_scan t;
	const char *start;

	if (!take_ch(s, '"'))
		return false;
	start = s->p;
	t = (struct text_scan){start, s->end, 0, true};
	scan_text(&t);
	s->p = t.p;
	if (t.p == t.end || *t.p != '"')
		return false;
	*ret_raw = (struct sv){start, (size_t)(t.p - start)};
	*ret_as_is = t.canonical && !(t.beyond & HIGH_BITS);
	s->p++;
	return true;
}

bool
json_scan_str(struct json_scan *s, struct sv *ret_raw)
{
	bool ignored;

	return json_scan_text(s, ret_raw, &ignored);
}

static bool
is_digit(const char *p, const char *end)
{
	return p < end && *p >= '0' && *p <= '9';
}

/* Of what strtod() takes JSON does not have +1, 01, .5 and 1. (RFC 8259, section 6). */
static bool
is_number(struct sv s)
{
	const char *p = s.p + (s.p[0] == '-'), *end = s.p + s.n, *dot;

	if (!is_digit(p, end) || (*p == '0' && is_digit(p + 1, end)))
		return false;
	dot = memchr(p, '.', (size_t)(end - p));
	return !dot || is_digit(dot + 1, end);
}

bool
json_scan_num(struct json_scan *s, double *ret)
{
	size_t n;

	skip_blanks(s);
	n = num_scan((struct sv){s->p, (size_t)(s->end - s->p)}, ret);
	if (!n || !is_number((struct sv){s->p, n}))
		return false;
	s->p += n;
	return true;
}

static bool
take_word(struct json_scan *s, struct sv word)
{
	bool ok;

	skip_blanks(s);
	ok = sv_starts((struct sv){s->p, (size_t)(s->end - s->p)}, word);
	s->p += ok ? word.n : 0;
	return ok;
}

bool
json_scan_null(struct json_scan *s)
{
	return take_word(s, SV("null"));
}

static bool
skip_word(struct json_scan *s)
{
	double number;

	return take_word(s, SV("true")) || take_word(s, SV("false")) || json_scan_null(s) ||
	       json_scan_num(s, &number);
}

static bool
skip_value(struct json_scan *s, int depth)
{
	struct sv raw;
	bool end = false;

	if (depth > JSON_SCAN_DEPTH)
		return false;
	if (json_scan_ch(s, '{')) {
		for (bool first = true; !end; first = false)
			if (!json_scan_member(s, first, &raw, &end) ||
			    (!end && !skip_value(s, depth + 1)))
				return false;
		return true;
	}
	if (json_scan_ch(s, '[')) {
		for (bool first = true; !end; first = false)
			if (!json_scan_item(s, first, &end) || (!end && !skip_value(s, depth + 1)))
				return false;
		return true;
	}
	if (s->p < s->end && *s->p == '"')
		return json_scan_str(s, &raw);
	return skip_word(s);
}

bool
json_scan_skip(struct json_scan *s)
{
	return skip_value(s, 0);
}

bool
json_scan_member(struct json_scan *s, bool first, struct sv *ret_raw, bool *ret_end)
{
	*ret_end = take_ch(s, '}');
	if (*ret_end)
		return true;
	if (!first && !take_ch(s, ','))
		return false;
	return json_scan_str(s, ret_raw) && take_ch(s, ':');
}

bool
json_scan_item(struct json_scan *s, bool first, bool *ret_end)
{
	*ret_end = take_ch(s, ']');
	return *ret_end || first || take_ch(s, ',');
}

/* Decoding */

static uint32_t
hex4(const char *p)
{
	uint32_t v = 0;

	for (int i = 0; i < 4; i++)
		v = v << 4 | (uint32_t)(p[i] <= '9' ? p[i] - '0' : (p[i] | 0x20) - 'a' + 10);
	return v;
}

static size_t
utf8_put(uint32_t cp, char out[4])
{
	if (cp < 0x80) {
		out[0] = (char)cp;
		return 1;
	}
	if (cp < 0x800) {
		out[0] = (char)(0xC0 | cp >> 6);
		out[1] = (char)(0x80 | (cp & 0x3F));
		return 2;
	}
	if (cp < 0x10000) {
		out[0] = (char)(0xE0 | cp >> 12);
		out[1] = (char)(0x80 | (cp >> 6 & 0x3F));
		out[2] = (char)(0x80 | (cp & 0x3F));
		return 3;
	}
	out[0] = (char)(0xF0 | cp >> 18);
	out[1] = (char)(0x80 | (cp >> 12 & 0x3F));
	out[2] = (char)(0x80 | (cp >> 6 & 0x3F));
	out[3] = (char)(0x80 | (cp & 0x3F));
	return 4;
}

/* \uXXXX at p, with the second half of a pair if there is one; returns the bytes it takes. */
static size_t
unicode_escape(const char *p, const char *end, char out[4], size_t *ret_n)
{
	uint32_t cp = hex4(p + 2), low;
	size_t taken = 6;

	if (cp >= 0xD800 && cp < 0xDC00 && end - p >= 12 && p[6] == '\\' && p[7] == 'u') {
		low = hex4(p + 8);
		if (low >= 0xDC00 && low < 0xE000) {
			cp = 0x10000 + ((cp - 0xD800) << 10) + (low - 0xDC00);
			taken = 12;
		}
	}
	if (cp >= 0xD800 && cp < 0xE000)
		cp = 0xFFFD;
	*ret_n = utf8_put(cp, out);
	return taken;
}

/* One escape of a string that json_scan_str() let through; returns the bytes it takes. */
static size_t
one_escape(const char *p, const char *end, char out[4], size_t *ret_n)
{
	static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";

	if (end - p >= 6 && p[1] == 'u')
		return unicode_escape(p, end, out, ret_n);
	*ret_n = 0;
	if (end - p < 2)
		return (size_t)(end - p);
	for (size_t i = 0; i < sizeof(from) - 1; i++) {
		if (p[1] == from[i]) {
			out[0] = to[i];
			*ret_n = 1;
		}
	}
	return 2;
}

/* The first byte from p on that ends a run or is beyond ASCII. */
static const char *
ascii_end(const char *p, const char *end)
{
	for (; end - p >= BLOCK; p += BLOCK) {
		block b = block_at(p);
		unsigned stops = bits_of(run_ends(b) | (block)(b >= 0x80));

		if (stops)
			return p + __builtin_ctz(stops);
	}
	while (p < end && is_plain(*p))
		p++;
	return p;
}

size_t
json_plain_run(struct sv s)
{
	return (size_t)(ascii_end(s.p, s.p + s.n) - s.p);
}

/* Bytes from p on that stand for themselves. */
static size_t
plain_run(const char *p, const char *end)
{
	const char *start = p;
	uint32_t cp;
	size_t n;

	for (;;) {
		p = ascii_end(p, end);
		if (p == end || (unsigned char)*p < 0x80)
			break;
		n = utf8_next((struct sv){p, (size_t)(end - p)}, &cp);
		if (cp == UTF8_BAD)
			break;
		p += n;
	}
	return (size_t)(p - start);
}

/* A byte that is no part of a plain run, and no canonical escape: decode it. Returns the bytes it
 * takes. */
static size_t
decode_one(const char *p, const char *end, char out[4], size_t *ret_n)
{
	uint32_t cp;

	if (*p == '\\')
		return one_escape(p, end, out, ret_n);
	if ((unsigned char)*p < 0x80) {
		out[0] = *p;
		*ret_n = 1;
		return 1;
	}
	*ret_n = utf8_put(0xFFFD, out);
	return utf8_next((struct sv){p, (size_t)(end - p)}, &cp);
}

/* As a part of a string: what json_escape() writes, without its quotes. */
static void
add_escaped(struct buf *out, struct sv s)
{
	size_t at = out->n;

	if (s.n != 1 || is_plain(s.p[0])) {
		buf_sv(out, s);
		return;
	}
	(void)json_escape(out, s);
	if (!buf_ok(out))
		return;
	memmove(out->p + at, out->p + at + 1, out->n - at - 2);
	out->n -= 2;
	out->p[out->n] = '\0';
}

void
json_recode(struct buf *out, struct sv raw)
{
	const char *p = raw.p, *end = raw.p + raw.n;
	char decoded[4];
	size_t n;

	buf_ch(out, '"');
	while (p < end) {
		n = plain_run(p, end);
		while (p + n < end && is_canonical(p + n, end)) {
			n += 2;
			n += plain_run(p + n, end);
		}
		buf_add(out, p, n);
		p += n;
		if (p == end)
			break;
		p += decode_one(p, end, decoded, &n);
		add_escaped(out, (struct sv){decoded, n});
	}
	buf_ch(out, '"');
}

void
json_unescape(struct buf *out, struct sv raw)
{
	const char *p = raw.p, *end = raw.p + raw.n;
	char decoded[4];
	size_t n;

	while (p < end) {
		n = plain_run(p, end);
		buf_add(out, p, n);
		p += n;
		if (p == end)
			break;
		p += decode_one(p, end, decoded, &n);
		buf_add(out, decoded, n);
	}
}
