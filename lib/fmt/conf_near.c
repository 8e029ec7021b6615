/*
 * "Did you mean ...?": the nearest known word to a mistyped one.
 */
#include "fmt/conf_node.h"

#define WORD_MAX 64

static char
lower(char c)
{
	return (char)(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
}

static size_t
min3(size_t a, size_t b, size_t c)
{
	size_t m = a < b ? a : b;

	return m < c ? m : c;
}

/* Edits (insert, delete, replace, swap of neighbours) between two words, case ignored. */
static size_t
distance(const char *a, size_t na, const char *b, size_t nb)
{
	size_t rows[3][WORD_MAX + 1]; /* the one before the last, the last, this one */
	size_t *before = rows[0], *last = rows[1], *now = rows[2], *free_row;

	for (size_t j = 0; j <= nb; j++)
		last[j] = j;
	memset(before, 0, sizeof(rows[0]));
	for (size_t i = 1; i <= na; i++) {
		now[0] = i;
		for (size_t j = 1; j <= nb; j++) {
			char x = lower(a[i - 1]), y = lower(b[j - 1]);

			now[j] = min3(last[j] + 1, now[j - 1] + 1, last[j - 1] + (x != y));
			if (i > 1 && j > 1 && x == lower(b[j - 2]) && y == lower(a[i - 2]) &&
			    before[j - 2] + 1 < now[j])
				now[j] = before[j - 2] + 1;
		}
		free_row = before;
		before = last;
		last = now;
		now = free_row;
	}
	return last[nb];
}

const char *
conf_nearest(const char *word, const char *const *words, size_t n)
{
	size_t len = strlen(word), limit = len / 3 > 2 ? len / 3 : 2, best = limit + 1;
	const char *ret = NULL;

	if (len == 0 || len > WORD_MAX)
		return NULL;
	for (size_t i = 0; i < n; i++) {
		size_t wlen = strlen(words[i]), d;

		if (wlen > WORD_MAX)
			continue;
		d = distance(word, len, words[i], wlen);
		/* Something must be left that is alike: "to" is not near "id". */
		if (d < best && d < len && d < wlen) {
			best = d;
			ret = words[i];
		}
	}
	return ret;
}
