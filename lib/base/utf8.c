/* UTF-8 after table 3-7 of the Unicode standard: no overlong forms, no surrogates, nothing above
 * U+10FFFF. */
#include "base/utf8.h"

/* How many bytes follow the lead byte, and the range of the first of them; -1 for no lead byte. */
static int
follow(unsigned char lead, unsigned char *lo, unsigned char *hi)
{
	*lo = lead == 0xE0 ? 0xA0 : lead == 0xF0 ? 0x90 : 0x80;
	*hi = lead == 0xED ? 0x9F : lead == 0xF4 ? 0x8F : 0xBF;
	if (lead < 0x80)
		return 0;
	if (lead >= 0xC2 && lead <= 0xDF)
		return 1;
	if (lead >= 0xE0 && lead <= 0xEF)
		return 2;
	if (lead >= 0xF0 && lead <= 0xF4)
		return 3;
	return -1;
}

size_t
utf8_next(struct sv s, uint32_t *ret_cp)
{
	static const unsigned char lead_bits[] = {0x7F, 0x1F, 0x0F, 0x07};
	unsigned char c = (unsigned char)s.p[0], lo, hi;
	int more = follow(c, &lo, &hi);
	uint32_t cp;
	size_t i;

	*ret_cp = UTF8_BAD;
	if (more < 0)
		return 1;
	cp = c & lead_bits[more];
	for (i = 1; i <= (size_t)more; i++) {
		if (i == s.n)
			return i;
		c = (unsigned char)s.p[i];
		if (c < lo || c > hi)
			return i;
		cp = cp << 6 | (c & 0x3F);
		lo = 0x80;
		hi = 0xBF;
	}
	*ret_cp = cp;
	return i;
}

/* Eight bytes at once, without their highest bits. */
static bool
ascii_word(const char *p)
{
	uint64_t word;

	memcpy(&word, p, sizeof(word));
	return !(word & 0x8080808080808080u);
}

bool
utf8_valid(struct sv s)
{
	uint32_t cp;
	size_t n;

	for (; s.n; s.p += n, s.n -= n) {
		n = 8;
		if (s.n >= n && ascii_word(s.p))
			continue;
		n = utf8_next(s, &cp);
		if (cp == UTF8_BAD)
			return false;
	}
	return true;
}

bool
utf8_deceives(uint32_t cp)
{
	return cp < 0x20 || (cp >= 0x7f && cp < 0xa0) || cp == 0x061c || cp == 0x200e ||
	       cp == 0x200f || (cp >= 0x2028 && cp <= 0x202e) || (cp >= 0x2066 && cp <= 0x2069) ||
	       cp == 0xfeff;
}

void
utf8_plain(struct buf *out, struct sv s)
{
	uint32_t cp;
	size_t n;

	for (; s.n; s.p += n, s.n -= n) {
		n = utf8_next(s, &cp);
		if (cp == UTF8_BAD || utf8_deceives(cp))
			buf_ch(out, '?');
		else
			buf_add(out, s.p, n);
	}
}
