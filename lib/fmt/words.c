/* Words of a command line; the rules are POSIX's (Shell Command Language, 2.2). */
#include "fmt/words.h"

#include <stdlib.h>

struct cut {
	struct sv in;
	char *out;
};

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static bool
next(struct cut *c, char *ret)
{
	if (c->in.n == 0)
		return false;
	*ret = *c->in.p++;
	c->in.n--;
	return true;
}

/* Up to the closing quote. Within "..." a \ quotes only what would else be special there. */
static bool
quoted(struct cut *c, char quote)
{
	char ch, escaped;

	while (next(c, &ch)) {
		if (ch == quote)
			return true;
		if (ch == '\\' && quote == '"') {
			if (!next(c, &escaped))
				return false;
			if (escaped != '"' && escaped != '\\')
				*c->out++ = ch;
			ch = escaped;
		}
		*c->out++ = ch;
	}
	return false;
}

/* One word, NUL behind it. */
static bool
word(struct cut *c)
{
	char ch;

	while (c->in.n && !is_blank(*c->in.p)) {
		(void)next(c, &ch);
		if (ch == '\'' || ch == '"') {
			if (!quoted(c, ch))
				return false;
			continue;
		}
		if (ch == '\\' && !next(c, &ch))
			return false;
		*c->out++ = ch;
	}
	*c->out++ = '\0';
	return true;
}

int
words_split(struct sv line, char ***ret, size_t *ret_n, struct err *err)
{
	/* No more words than every other character, no more text than there is. */
	size_t most = line.n / 2 + 2;
	char **v = malloc(most * sizeof(*v) + line.n + most);
	struct cut c = {.in = line};
	size_t n = 0;

	if (!v)
		return err_nomem(err);
	c.out = (char *)(v + most);
	for (;;) {
		while (c.in.n && is_blank(*c.in.p)) {
			c.in.p++;
			c.in.n--;
		}
		if (c.in.n == 0)
			break;
		v[n++] = c.out;
		if (!word(&c)) {
			free(v);
			return err_set(err, ERR_USAGE, "a quote that is not closed");
		}
	}
	v[n] = NULL;
	*ret = v;
	*ret_n = n;
	return 0;
}
