/*
 * Hex and base64. Decoding is strict (padding, no blanks, no stray bits), so that one value has one
 * text and nothing can be smuggled past a comparison.
 */
#include "fmt/codec.h"

#include <stdint.h>

static const char base64_digits[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static void
put_quad(char *p, uint32_t v)
{
	for (int k = 0; k < 4; k++)
		p[k] = base64_digits[v >> (18 - 6 * k) & 63];
}

void
base64_encode(struct buf *out, struct sv s)
{
	const unsigned char *in = (const unsigned char *)s.p;
	size_t i = 0, left = s.n % 3;
	char *p;

	if (!s.n || !buf_reserve(out, (s.n + 2) / 3 * 4))
		return;
	p = out->p + out->n;
	for (; i + 3 <= s.n; i += 3, p += 4)
		put_quad(p, (uint32_t)in[i] << 16 | (uint32_t)in[i + 1] << 8 | in[i + 2]);
	if (left) {
		put_quad(p, (uint32_t)in[i] << 16 | (left > 1 ? (uint32_t)in[i + 1] << 8 : 0));
		memset(p + 1 + left, '=', 3 - left);
	}
	out->n += (s.n + 2) / 3 * 4;
	out->p[out->n] = '\0';
}

/* The value of a digit, -1 for anything else. */
static int
base64_value(char c)
{
	const char *at = c ? strchr(base64_digits, c) : NULL;

	return at ? (int)(at - base64_digits) : -1;
}

/* Four characters with `pad` '=' at the end make 3 - pad bytes. */
static bool
decode_quad(struct buf *out, const char *p, size_t pad)
{
	uint32_t v = 0;
	char bytes[3];

	for (size_t k = 0; k < 4; k++) {
		int digit = k < 4 - pad ? base64_value(p[k]) : 0;

		if (digit < 0)
			return false;
		v = v << 6 | (uint32_t)digit;
	}
	for (int k = 0; k < 3; k++)
		bytes[k] = (char)(v >> (16 - 8 * k) & 0xFF);
	for (size_t k = 3 - pad; k < 3; k++)
		if (bytes[k] != 0)
			return false;
	buf_add(out, bytes, 3 - pad);
	return true;
}

/* On failure out is as before. */
bool
base64_decode(struct buf *out, struct sv s)
{
	size_t before = out->n, pad = 0;

	if (s.n % 4 != 0)
		return false;
	if (s.n && s.p[s.n - 1] == '=')
		pad = s.p[s.n - 2] == '=' ? 2 : 1;
	for (size_t i = 0; i < s.n; i += 4)
		if (!decode_quad(out, s.p + i, i + 4 == s.n ? pad : 0)) {
			out->n = before;
			return false;
		}
	return buf_ok(out);
}

static int
hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

bool
hex_decode(struct buf *out, struct sv s)
{
	if (s.n % 2 != 0)
		return false;
	for (size_t i = 0; i < s.n; i++)
		if (hex_value(s.p[i]) < 0)
			return false;
	for (size_t i = 0; i < s.n; i += 2)
		buf_ch(out, (char)(hex_value(s.p[i]) << 4 | hex_value(s.p[i + 1])));
	return buf_ok(out);
}
