/*
 * The SDKs agree on this dialect in all but corners: a line is taken as most of them take it, and
 * what none of them takes is an error that says where.
 */
#include "fmt/ini.h"

#include <ctype.h>

#include "base/cleanup.h"
#include "base/secret.h"

#define KEY_MAX	  1024
#define VALUE_MAX (64u << 10)

struct ini {
	const char *name;
	int (*each)(void *arg, const struct ini_item *item, struct err *err);
	void *arg;
	size_t line;
	bool in_section;
	struct sv section;
	struct buf key, sub, value;
	size_t key_line;
	bool pending; /* a key whose value may go on */
	bool nested;  /* ... and has pairs below it */
};

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

static struct sv
trim(struct sv s)
{
	while (s.n && is_blank(s.p[0])) {
		s.p++;
		s.n--;
	}
	while (s.n && is_blank(s.p[s.n - 1]))
		s.n--;
	return s;
}

static struct sv
without_comment(struct sv s)
{
	for (size_t i = 0; i < s.n; i++)
		if ((s.p[i] == '#' || s.p[i] == ';') && (i == 0 || is_blank(s.p[i - 1])))
			s.n = i;
	return s;
}

static int
fault(const struct ini *in, const char *what, struct err *err)
{
	return err_set(err, ERR_USAGE, "%s:%zu: %s", in->name, in->line, what);
}

static int
emit(struct ini *in, struct sv sub, struct err *err)
{
	const struct ini_item item = {
	    .section = in->section,
	    .key = buf_view(&in->key),
	    .sub = sub,
	    .value = buf_view(&in->value),
	    .line = in->key_line,
	};

	if (in->key.no_memory || in->sub.no_memory || in->value.no_memory)
		return err_nomem(err);
	if (!buf_ok(&in->key) || !buf_ok(&in->sub) || !buf_ok(&in->value))
		return fault(in, "the line is too long", err);
	return in->each(in->arg, &item, err);
}

static int
flush(struct ini *in, struct err *err)
{
	bool pending = in->pending;

	in->pending = false;
	return pending && !in->nested ? emit(in, SV(""), err) : 0;
}

static void
lower(struct buf *out, struct sv s)
{
	buf_reset(out);
	for (size_t i = 0; i < s.n; i++)
		buf_ch(out, (char)tolower((unsigned char)s.p[i]));
}

/* Key before and value behind the first of the delimiters. */
static bool
split(struct sv line, const char *delimiters, struct sv *key, struct sv *value)
{
	size_t n = 0;

	while (n < line.n && !strchr(delimiters, line.p[n]))
		n++;
	*key = trim((struct sv){line.p, n});
	if (n == line.n || key->n == 0)
		return false;
	*value = trim((struct sv){line.p + n + 1, line.n - n - 1});
	return true;
}

static int
begin_section(struct ini *in, struct sv line, struct err *err)
{
	const char *close = memchr(line.p, ']', line.n);
	struct ini_item item;
	struct sv rest;

	if (flush(in, err))
		return -1;
	if (!close)
		return fault(in, "a section without ]", err);
	rest = (struct sv){close + 1, (size_t)(line.p + line.n - close) - 1};
	if (trim(without_comment(rest)).n)
		return fault(in, "text behind ]", err);
	in->section = trim((struct sv){line.p + 1, (size_t)(close - line.p) - 1});
	in->in_section = true;
	item = (struct ini_item){.section = in->section, .line = in->line};
	return in->each(in->arg, &item, err);
}

static int
begin_key(struct ini *in, struct sv line, struct err *err)
{
	struct sv key, value;

	if (flush(in, err))
		return -1;
	if (!in->in_section)
		return fault(in, "a key before the first [section]", err);
	if (!split(line, "=:", &key, &value))
		return fault(in, "expected key = value", err);
	lower(&in->key, key);
	buf_reset(&in->value);
	buf_sv(&in->value, value);
	in->key_line = in->line;
	in->pending = true;
	in->nested = false;
	return 0;
}

static int
go_on(struct ini *in, struct sv line, struct err *err)
{
	struct sv key, value;

	if (!in->pending)
		return fault(in, "an indented line that continues nothing", err);
	if (in->value.n && !in->nested) {
		buf_ch(&in->value, '\n');
		buf_sv(&in->value, line);
		return 0;
	}
	if (!split(line, "=", &key, &value))
		return fault(in, "expected key = value", err);
	in->nested = true;
	lower(&in->sub, key);
	buf_reset(&in->value);
	buf_sv(&in->value, value);
	return emit(in, buf_view(&in->sub), err);
}

static int
take_line(struct ini *in, struct sv line, struct err *err)
{
	bool indented = line.n && is_blank(line.p[0]);

	in->line++;
	if (memchr(line.p, '\0', line.n))
		return fault(in, "a NUL byte", err);
	if (!indented && line.n && line.p[0] == '[')
		return begin_section(in, line, err);
	line = trim(without_comment(line));
	if (line.n == 0)
		return 0;
	return indented ? go_on(in, line, err) : begin_key(in, line, err);
}

int
ini_parse(struct sv text, const char *name,
	  int (*each)(void *arg, const struct ini_item *item, struct err *err), void *arg,
	  struct err *err)
{
	struct ini in = {
	    .name = name,
	    .each = each,
	    .arg = arg,
	    .key = BUF_INIT(KEY_MAX),
	    .sub = BUF_INIT(KEY_MAX),
	    .value = BUF_INIT(VALUE_MAX),
	};
	int r = 0;

	if (sv_starts(text, SV("\xef\xbb\xbf"))) { /* some editors' byte order mark */
		text.p += 3;
		text.n -= 3;
	}
	/* At once: a buffer that grows would leave secrets behind in its smaller selves. */
	(void)buf_reserve(&in.value, VALUE_MAX / 2);
	while (text.n && !r) {
		const char *nl = memchr(text.p, '\n', text.n);
		size_t n = nl ? (size_t)(nl - text.p) : text.n;

		r = take_line(&in, (struct sv){text.p, n}, err);
		text.p += n + (nl ? 1 : 0);
		text.n -= n + (nl ? 1 : 0);
	}
	if (!r)
		r = flush(&in, err);
	buf_done(&in.key);
	buf_done(&in.sub);
	secret_wipe_buf(&in.value);
	return r;
}
