/* Text in HTML; see html.h. */
#include "fmt/html.h"

#include "base/utf8.h"

static bool
has_no_place(uint32_t cp)
{
	return cp == UTF8_BAD || (utf8_deceives(cp) && cp != '\t' && cp != '\n') ||
	       (cp >= 0xfdd0 && cp <= 0xfdef) || (cp & 0xfffe) == 0xfffe;
}

static const char *
reference(uint32_t cp)
{
	switch (cp) {
	case '&':
		return "&amp;";
	case '<':
		return "&lt;";
	case '>':
		return "&gt;";
	case '"':
		return "&quot;";
	case '\'':
		return "&#39;";
	default:
		return NULL;
	}
}

void
html_text(struct buf *out, struct sv s)
{
	while (s.n) {
		uint32_t cp;
		size_t n = utf8_next(s, &cp);

		if (has_no_place(cp))
			buf_str(out, UTF8_REPLACE);
		else if (reference(cp))
			buf_str(out, reference(cp));
		else
			buf_add(out, s.p, n);
		s.p += n;
		s.n -= n;
	}
}
