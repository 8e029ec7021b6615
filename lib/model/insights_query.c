/*
 * Insights queries, as far as muster has to understand them; see insights_query.h.
 *
 * The one hard question of the grammar is whether a slash begins a regular expression or divides.
 * It begins one where the language wants a pattern: after like and =~, after '(' and ',', and
 * anywhere in parse; and only if it is closed.
 */
#include "model/insights_query.h"

#include <strings.h>

#include "base/cleanup.h"
#include "base/num.h"
#include "fmt/json.h"

#define STAGES_MAX 64
#define ITEMS_MAX  256
#define BODY_MAX   ((size_t)64 << 10)

#define SECOND_MS INT64_C(1000)
#define MINUTE_MS (60 * SECOND_MS)
#define HOUR_MS	  (60 * MINUTE_MS)
#define DAY_MS	  (24 * HOUR_MS)

enum what {
	FIELDS,
	DISPLAY,
	FILTER,
	PARSE,
	SORT,
	LIMIT,
	DEDUP,
	STATS,
	SOURCE,
	OTHER, /* pattern, diff, anomaly, unnest, join, ...: not looked into */
};
static const struct {
	const char *word;
	enum what what;
} commands[] = {
    {"fields", FIELDS}, {"display", DISPLAY}, {"filter", FILTER}, {"filterindex", FILTER},
    {"parse", PARSE},	{"sort", SORT},	      {"limit", LIMIT},	  {"dedup", DEDUP},
    {"stats", STATS},	{"source", SOURCE},
};

struct stage {
	struct sv text; /* all of it, blanks and comments too */
	struct sv rest; /* behind the command */
	enum what what;
};

struct reader {
	struct arena *a;
	struct insights_query *q;
	struct stage stages[STAGES_MAX];
	size_t n;
	const char *aliases[INSIGHTS_BINS_MAX]; /* columns that hold a bin */
	size_t n_aliases;
};

/* Characters */

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static bool
is_word(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '_' || c == '@' || c == '.' || (unsigned char)c >= 0x80;
}

/* Behind what is closed by `quote`; the end if nothing closes it. */
static const char *
skip_quoted(const char *p, const char *end, char quote)
{
	for (p++; p < end && *p != quote; p++)
		if (*p == '\\' && quote != '`' && p + 1 < end)
			p++;
	return p < end ? p + 1 : end;
}

static const char *
skip_comment(const char *p, const char *end)
{
	while (p < end && *p != '\n')
		p++;
	return p;
}

/* Blanks and comments. */
static const char *
skip_blanks(const char *p, const char *end)
{
	while (p < end && (is_blank(*p) || *p == '#'))
		p = *p == '#' ? skip_comment(p, end) : p + 1;
	return p;
}

static struct sv
take_word(const char *p, const char *end)
{
	const char *start = p;

	while (p < end && is_word(*p))
		p++;
	return (struct sv){start, (size_t)(p - start)};
}

static bool
word_is(struct sv word, const char *lower)
{
	return word.n == strlen(lower) && !strncasecmp(word.p, lower, word.n);
}

/* Tokens: enough of them to tell a pattern from a division. */
struct token {
	struct sv text;
	bool is_name; /* a word; not a quoted thing or a sign */
};

struct lexer {
	const char *p, *end;
	bool in_parse, pattern_next;
};

static bool
pattern_follows(const struct token *t)
{
	if (t->is_name)
		return word_is(t->text, "like");
	return t->text.n == 1 && strchr("~(,", t->text.p[0]);
}

static const char *
token_end(const struct lexer *l, const char *p)
{
	const char *close;

	switch (*p) {
	case '"':
	case '\'':
	case '`':
		return skip_quoted(p, l->end, *p);
	case '/':
		close = l->in_parse || l->pattern_next ? skip_quoted(p, l->end, '/') : p + 1;
		return close > p + 1 && close[-1] == '/' ? close : p + 1;
	default:
		return is_word(*p) ? p + take_word(p, l->end).n : p + 1;
	}
}

/* False at the end. */
static bool
next_token(struct lexer *l, struct token *t)
{
	const char *p = skip_blanks(l->p, l->end);

	l->p = p;
	if (p == l->end)
		return false;
	l->p = token_end(l, p);
	t->text = (struct sv){p, (size_t)(l->p - p)};
	t->is_name = is_word(*p);
	l->pattern_next = pattern_follows(t);
	return true;
}

static bool
is_sign(const struct token *t, char c)
{
	return t->text.n == 1 && t->text.p[0] == c;
}

/* Stages */

static enum what
command_of(struct sv word)
{
	for (size_t i = 0; i < ARRAY_LEN(commands); i++)
		if (word_is(word, commands[i].word))
			return commands[i].what;
	return OTHER;
}

/* One stage from l->p on, up to its '|' or the end. */
static void
read_stage(struct lexer *l, struct stage *s)
{
	const char *start = l->p, *at = skip_blanks(l->p, l->end);
	struct sv word = take_word(at, l->end);
	struct token t;

	s->what = command_of(word);
	l->in_parse = s->what == PARSE;
	l->pattern_next = false;
	l->p = at + word.n;
	while (next_token(l, &t)) {
		if (!is_sign(&t, '|'))
			continue;
		s->text = (struct sv){start, (size_t)(t.text.p - start)};
		s->rest = (struct sv){at + word.n, (size_t)(t.text.p - at) - word.n};
		return;
	}
	s->text = (struct sv){start, (size_t)(l->end - start)};
	s->rest = (struct sv){at + word.n, (size_t)(l->end - at) - word.n};
}

static int
read_stages(struct reader *r, struct sv text, struct err *err)
{
	struct lexer l = {.p = text.p, .end = text.p + text.n};

	if (skip_blanks(l.p, l.end) == l.end)
		return err_set(err, ERR_USAGE, "the query is empty");
	do {
		if (r->n == STAGES_MAX)
			return err_set(err, ERR_USAGE, "more than %d commands", STAGES_MAX);
		read_stage(&l, &r->stages[r->n++]);
	} while (l.p < l.end);
	return 0;
}

/* Lists: `a, f(b, c) as d, e` */

static size_t
split_items(struct sv text, struct sv *items, size_t max)
{
	struct lexer l = {.p = text.p, .end = text.p + text.n, .pattern_next = true};
	const char *start = text.p;
	struct token t;
	int depth = 0;
	size_t n = 0;

	while (next_token(&l, &t)) {
		depth += is_sign(&t, '(') || is_sign(&t, '[');
		depth -= is_sign(&t, ')') || is_sign(&t, ']');
		if (depth || !is_sign(&t, ',') || n == max)
			continue;
		items[n++] = (struct sv){start, (size_t)(t.text.p - start)};
		start = l.p;
	}
	if (n < max)
		items[n++] = (struct sv){start, (size_t)(text.p + text.n - start)};
	return n;
}

/* Without the blanks and comments around it. */
static struct sv
trimmed(struct sv s)
{
	struct lexer l = {.p = s.p, .end = s.p + s.n, .in_parse = true};
	struct sv all = {skip_blanks(s.p, s.p + s.n), 0};
	struct token t;

	while (next_token(&l, &t))
		all.n = (size_t)(t.text.p + t.text.n - all.p);
	return all;
}

static struct sv
unquoted(struct sv name)
{
	if (name.n >= 2 && name.p[0] == '`' && name.p[name.n - 1] == '`')
		return (struct sv){name.p + 1, name.n - 2};
	return name;
}

static bool
lists_field(const struct stage *s, const char *name)
{
	struct sv items[ITEMS_MAX];
	size_t n = split_items(s->rest, items, ITEMS_MAX);

	for (size_t i = 0; i < n; i++)
		if (sv_eq(unquoted(trimmed(items[i])), sv_of(name)))
			return true;
	return false;
}

/* Bins */

/* Units of bin() and datefloor(), and how many of one the service takes at most (beyond, it takes
 * that many without a word). Months and longer are of no fixed length. */
static const struct {
	const char *word;
	int64_t ms, most;
} units[] = {
    {"ms", 1, 1000},	      {"msec", 1, 1000},	  {"millisecond", 1, 1000},
    {"s", SECOND_MS, 60},     {"sec", SECOND_MS, 60},	  {"second", SECOND_MS, 60},
    {"m", MINUTE_MS, 60},     {"min", MINUTE_MS, 60},	  {"minute", MINUTE_MS, 60},
    {"h", HOUR_MS, 24},	      {"hr", HOUR_MS, 24},	  {"hour", HOUR_MS, 24},
    {"d", DAY_MS, INT32_MAX}, {"day", DAY_MS, INT32_MAX},
};

static void
parse_period(struct sv text, struct insights_bin *bin)
{
	size_t digits = 0;
	struct sv unit;
	int64_t n;

	while (digits < text.n && text.p[digits] >= '0' && text.p[digits] <= '9')
		digits++;
	unit = trimmed((struct sv){text.p + digits, text.n - digits});
	if (!num_i64((struct sv){text.p, digits}, &n) || n <= 0 || n > INT32_MAX)
		return;
	for (size_t i = 0; i < ARRAY_LEN(units); i++) {
		struct sv singular = unit;

		if (singular.n > 3 && (singular.p[singular.n - 1] | 0x20) == 's')
			singular.n--; /* minutes */
		if (!word_is(unit, units[i].word) && !word_is(singular, units[i].word))
			continue;
		bin->ms = n * units[i].ms;
		bin->capped = n > units[i].most;
	}
}

/* `bin(` or `datefloor(@timestamp`, whose name was just read: other times are no time of a cell. */
static bool
starts_bin(struct lexer l, struct sv name)
{
	struct token t;

	if (word_is(name, "bin"))
		return next_token(&l, &t) && is_sign(&t, '(');
	return word_is(name, "datefloor") && next_token(&l, &t) && is_sign(&t, '(') &&
	       next_token(&l, &t) && sv_eq(t.text, SV("@timestamp"));
}

/* Is the item `bin(5m)` or `datefloor(@timestamp, 5m)`, maybe with an alias? */
static bool
item_is_bin(struct sv item, struct sv *ret_call, struct sv *ret_alias)
{
	struct lexer l = {.p = item.p, .end = item.p + item.n};
	struct token t = {{item.p, 0}, false};
	int depth = 0;

	if (!next_token(&l, &t) || !starts_bin(l, t.text))
		return false;
	ret_call->p = t.text.p;
	do {
		if (!next_token(&l, &t))
			return false;
		depth += is_sign(&t, '(');
		depth -= is_sign(&t, ')');
	} while (depth > 0);
	ret_call->n = (size_t)(t.text.p + t.text.n - ret_call->p);
	*ret_alias = *ret_call;
	if (!next_token(&l, &t))
		return true;
	if (!word_is(t.text, "as") || !next_token(&l, &t))
		return false;
	*ret_alias = unquoted(t.text);
	return !next_token(&l, &t);
}

static int
keep_alias(struct reader *r, struct sv name, struct err *err)
{
	if (r->n_aliases == INSIGHTS_BINS_MAX)
		return err_set(err, ERR_USAGE, "more than %d bins", INSIGHTS_BINS_MAX);
	r->aliases[r->n_aliases] = arena_strdup(r->a, name);
	return r->aliases[r->n_aliases++] ? 0 : err_nomem(err);
}

/* Columns that hold a bin, from one list. `grouping`: it is what stats groups by. */
static int
read_list(struct reader *r, struct sv list, bool grouping, struct err *err)
{
	struct sv items[ITEMS_MAX], call, alias;
	size_t n = split_items(list, items, ITEMS_MAX);

	for (size_t i = 0; i < n; i++) {
		struct sv item = trimmed(items[i]);
		bool is_bin = item_is_bin(item, &call, &alias);

		if (is_bin && keep_alias(r, alias, err))
			return -1;
		for (size_t k = 0; grouping && k < r->n_aliases; k++)
			if (sv_eq(is_bin ? alias : unquoted(item), sv_of(r->aliases[k])))
				r->q->time_column = r->aliases[k];
	}
	return 0;
}

/* Everything behind the stage's own `by`. */
static struct sv
grouping_of(const struct stage *s)
{
	struct lexer l = {.p = s->rest.p, .end = s->rest.p + s->rest.n};
	struct token t;
	int depth = 0;

	while (next_token(&l, &t)) {
		depth += is_sign(&t, '(') - is_sign(&t, ')');
		if (!depth && t.is_name && word_is(t.text, "by"))
			return (struct sv){l.p, (size_t)(l.end - l.p)};
	}
	return (struct sv){l.end, 0};
}

/* The period is the last argument. */
static int
keep_bin(struct reader *r, struct sv call, struct sv period, struct err *err)
{
	struct insights_bin *b = &r->q->bins[r->q->n_bins];

	if (r->q->n_bins == INSIGHTS_BINS_MAX)
		return err_set(err, ERR_USAGE, "more than %d bins", INSIGHTS_BINS_MAX);
	*b = (struct insights_bin){.text = arena_strdup(r->a, call)};
	if (!b->text)
		return err_nomem(err);
	parse_period(trimmed(period), b);
	r->q->n_bins++;
	return 0;
}

/* One call of bin or datefloor whose name was just read. */
static int
read_bin(struct reader *r, struct lexer *l, struct sv name, struct err *err)
{
	struct token t = {name, true};
	struct sv items[ITEMS_MAX];
	const char *open;
	int depth = 0;
	size_t n;

	(void)next_token(l, &t); /* the bracket */
	open = l->p;
	for (depth = 1; depth && next_token(l, &t);)
		depth += is_sign(&t, '(') - is_sign(&t, ')');
	if (depth)
		return 0;
	n = split_items((struct sv){open, (size_t)(t.text.p - open)}, items, ITEMS_MAX);
	return keep_bin(r, (struct sv){name.p, (size_t)(l->p - name.p)}, items[n - 1], err);
}

static int
read_bins(struct reader *r, const struct stage *s, struct err *err)
{
	struct lexer l = {
	    .p = s->rest.p, .end = s->rest.p + s->rest.n, .in_parse = s->what == PARSE};
	struct token t;

	while (next_token(&l, &t))
		if (t.is_name && starts_bin(l, t.text) && read_bin(r, &l, t.text, err))
			return -1;
	return 0;
}

/* What it all means */

static int
read_limit(struct reader *r, const struct stage *s, struct err *err)
{
	int64_t n;

	if (!num_i64(trimmed(s->rest), &n) || n <= 0)
		return err_set(err, ERR_USAGE, "limit wants a whole number above 0");
	if (!r->q->limit || n < r->q->limit)
		r->q->limit = n;
	return 0;
}

static int
look_at(struct reader *r, const struct stage *s, struct err *err)
{
	struct insights_query *q = r->q;

	switch (s->what) {
	case SOURCE:
		return err_set(err, ERR_USAGE,
			       "SOURCE is for muster to write: name the groups in log_groups");
	case STATS:
		q->events = q->splits = q->plain = false;
		q->time_column = NULL;
		return read_bins(r, s, err) || read_list(r, grouping_of(s), true, err) ? -1 : 0;
	case FIELDS:
	case DISPLAY:
		return read_bins(r, s, err) || read_list(r, s->rest, false, err) ? -1 : 0;
	case LIMIT:
		q->splits = q->plain = false;
		return read_limit(r, s, err);
	case DEDUP:
		q->splits = q->plain = false;
		return 0;
	case PARSE:
		q->plain = false;
		return 0;
	case OTHER:
		q->events = q->splits = q->plain = false;
		return 0;
	default:
		return 0;
	}
}

/* The stage that says what is shown: the last display, else the first fields; r->n: none. */
static size_t
showing_stage(const struct reader *r)
{
	size_t at = r->n;

	for (size_t i = 0; i < r->n; i++)
		if (r->stages[i].what == FIELDS && at == r->n)
			at = i;
	for (size_t i = 0; i < r->n; i++)
		if (r->stages[i].what == DISPLAY)
			at = i;
	return at;
}

/* The columns that every row needs and the query does not ask for. */
static void
add_missing(const struct reader *r, const struct stage *shown, struct buf *out)
{
	static const char *const needed[] = {"@timestamp", "@log"};

	for (size_t i = 0; i < ARRAY_LEN(needed); i++) {
		bool there = lists_field(shown, needed[i]);

		for (size_t k = 0; shown->what == FIELDS && k < r->n; k++)
			if (r->stages[k].what == FIELDS)
				there = there || lists_field(&r->stages[k], needed[i]);
		if (!there)
			buf_fmt(out, " %s,", needed[i]);
	}
}

static void
add_stage(const struct stage *s, struct buf *out)
{
	if (out->n)
		buf_str(out, "| ");
	buf_sv(out, trimmed(s->text));
	buf_ch(out, '\n');
}

/* The command, the columns that are added, what it asked for. */
static void
add_showing(const struct reader *r, const struct stage *s, struct buf *out)
{
	const char *word = skip_blanks(s->text.p, s->text.p + s->text.n);

	if (out->n)
		buf_str(out, "| ");
	buf_add(out, word, (size_t)(s->rest.p - word));
	add_missing(r, s, out);
	buf_ch(out, ' ');
	buf_sv(out, trimmed(s->rest));
	buf_ch(out, '\n');
}

/* The query as it goes behind the filter. Where rows are put in order anyway, an order of the
 * query's own is left out in favour of time's: what was cut off is then the end. */
static int
write_body(struct reader *r, struct err *err)
{
	CLEANUP(buf_done) struct buf out = BUF_INIT(BODY_MAX);
	size_t showing = r->q->events ? showing_stage(r) : r->n;

	if (r->q->events && showing == r->n)
		buf_str(&out, "fields @timestamp, @message, @log\n");
	for (size_t i = 0; i < r->n; i++) {
		const struct stage *s = &r->stages[i];

		if (i == showing)
			add_showing(r, s, &out);
		else if (!r->q->splits || s->what != SORT)
			add_stage(s, &out);
	}
	if (r->q->splits)
		buf_str(&out, "| sort @timestamp asc\n");
	if (buf_check(&out, "query", err))
		return -1;
	r->q->body = arena_strdup(r->a, (struct sv){out.p, out.n - 1});
	return r->q->body ? 0 : err_nomem(err);
}

int
insights_query_parse(const char *text, struct arena *a, struct insights_query *ret, struct err *err)
{
	CLEANUP(freep) struct reader *r = calloc(1, sizeof(*r));

	if (!r)
		return err_nomem(err);
	*ret = (struct insights_query){.events = true, .splits = true, .plain = true};
	r->a = a;
	r->q = ret;
	if (read_stages(r, sv_of(text), err))
		return -1;
	for (size_t i = 0; i < r->n; i++)
		if (look_at(r, &r->stages[i], err))
			return -1;
	return write_body(r, err);
}

/* Composing */

static void
add_strings(struct buf *out, const char *const *v, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		buf_str(out, i ? ", \"" : "\"");
		for (const char *p = v[i]; *p; p++) {
			if (*p == '"' || *p == '\\')
				buf_ch(out, '\\');
			buf_ch(out, *p);
		}
		buf_ch(out, '"');
	}
}

/* The filter comes first: whatever stands behind it sees nothing but the part's events. */
static void
add_part(const struct insights_part *part, struct buf *out)
{
	if (part->n_sources) {
		buf_str(out, "SOURCE logGroups(namePrefix: [");
		add_strings(out, part->sources, part->n_sources);
		buf_str(out, "]) | ");
	}
	buf_fmt(out, "filter toMillis(@timestamp) >= %lld and toMillis(@timestamp) < %lld",
		(long long)part->from_ms, (long long)part->to_ms);
	if (part->n_streams) {
		buf_str(out, " | filter @logStream in [");
		add_strings(out, part->streams, part->n_streams);
		buf_ch(out, ']');
	}
	buf_str(out, " | ");
}

void
insights_query_compose(const struct insights_query *q, const struct insights_part *part,
		       struct buf *out)
{
	add_part(part, out);
	buf_str(out, q->body);
}

void
insights_query_streams(const struct insights_part *part, struct buf *out)
{
	add_part(part, out);
	buf_str(out, "stats count(*) as " INSIGHTS_COUNT " by @logStream");
}
