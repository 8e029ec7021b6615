/* Lines below a log; see live.h. */
#include "base/live.h"

#include <stdio.h>
#include <string.h>

void
live_set(struct live *l, const char *text, size_t n)
{
	l->n = 0;
	for (const char *end; n && (end = memchr(text, '\n', n)); text = end + 1) {
		size_t len = (size_t)(end - text);

		if (len + 1 > sizeof(l->text) - l->n)
			return;
		for (size_t i = 0; i < len; i++)
			l->text[l->n++] = text[i] >= ' ' && text[i] <= '~' ? text[i] : '?';
		l->text[l->n++] = '\n';
		n -= len + 1;
	}
}

size_t
live_erase(struct live *l, char out[LIVE_DRAW_MAX])
{
	int n = l->drawn ? snprintf(out, LIVE_DRAW_MAX, "\r\033[%zuA\033[J", l->drawn) : 0;

	l->drawn = 0;
	return n > 0 ? (size_t)n : 0;
}

size_t
live_draw(struct live *l, size_t columns, size_t rows, char out[LIVE_DRAW_MAX])
{
	size_t width = columns ? columns - 1 : 79, most = rows ? rows - 1 : 23, n = 0;
	const char *end;

	l->drawn = 0;
	for (const char *p = l->text; p < l->text + l->n && l->drawn < most; p = end + 1) {
		size_t len;

		end = memchr(p, '\n', (size_t)(l->text + l->n - p));
		if (!end)
			break;
		len = (size_t)(end - p) < width ? (size_t)(end - p) : width;
		memcpy(out + n, p, len);
		n += len;
		out[n++] = '\n';
		l->drawn++;
	}
	return n;
}
