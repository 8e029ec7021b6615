/* Tables for terminals; see columns.h. */
#include "run/columns.h"

void
columns_put(struct buf *out, const char *text, size_t width, bool right)
{
	size_t n = strlen(text), tail = (width - 1) / 2;

	if (n > width) {
		buf_fmt(out, "%.*s~%s", (int)(width - 1 - tail), text, text + n - tail);
		return;
	}
	buf_fmt(out, "%*s%s%*s", right ? (int)(width - n) : 0, "", text,
		right ? 0 : (int)(width - n), "");
}

void
columns_end(struct buf *out)
{
	while (out->n && out->p[out->n - 1] == ' ')
		out->n--;
	buf_ch(out, '\n');
}
