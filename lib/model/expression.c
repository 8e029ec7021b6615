/*
 * Metric math, read as far as it matters; see expression.h. A descent through
 *
 *   expression  operand { operator operand }
 *   operand     [ - | ! ] ( number | id | WORD | ( expression ) | [ list ] | FUNCTION ( list ) |
 * SEARCH (...) )
 *
 * in which precedence plays no part: only what kinds of values meet.
 */
#include "model/expression.h"

#include "base/cleanup.h"
#include "base/num.h"
#include "model/statistic.h"

#define DEPTH_MAX 32
#define PARTS_MAX 100
#define DIMS_MAX  30

enum part_kind { PART_ID, PART_SEARCH };
struct expression_part {
	enum part_kind kind;
	size_t from, to;   /* in the text */
	struct sv what;	   /* of a SEARCH: schema and terms, without quotes */
	size_t schema_len; /* the leading part of `what` up to the terms */
	struct sv stat;
	bool has_period;
};

/* What a part of an expression is. */
struct value {
	const struct expression_schema *each; /* an array of series, as a SEARCH found them */
	bool list;			      /* an array of others: [a, b] */
	struct sv word;			      /* a bare word in capitals: LINEAR */
};

struct parser {
	const char *text, *p;
	unsigned depth;
	expression_lookup *find;
	void *arg;
	struct arena *a;
	struct expression *e;
	struct err *err;
};

static bool read_expression(struct parser *p, struct value *ret);

__attribute__((format(printf, 2, 3))) static bool
wrong(const struct parser *p, const char *fmt, ...)
{
	char what[256];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(what, sizeof(what), fmt, ap);
	va_end(ap);
	(void)err_set(p->err, ERR_USAGE, "column %zu of the expression: %s",
		      (size_t)(p->p - p->text) + 1, what);
	return false;
}

static bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool
is_small(char c)
{
	return c >= 'a' && c <= 'z';
}

static bool
is_word(char c)
{
	return is_small(c) || (c >= 'A' && c <= 'Z') || is_digit(c) || c == '_';
}

static char
peek(struct parser *p)
{
	while (*p->p == ' ' || *p->p == '\t' || *p->p == '\n' || *p->p == '\r')
		p->p++;
	return *p->p;
}

static bool
take(struct parser *p, char c)
{
	if (peek(p) != c)
		return false;
	p->p++;
	return true;
}

static bool
expect(struct parser *p, char c)
{
	return take(p, c) || wrong(p, "'%c' is missing", c);
}

static struct sv
take_word(struct parser *p)
{
	const char *from = p->p;

	while (is_word(*p->p))
		p->p++;
	return (struct sv){from, (size_t)(p->p - from)};
}

static struct expression_part *
add_part(struct parser *p, enum part_kind kind, const char *from)
{
	struct expression_part *part = &p->e->parts[p->e->n_parts];

	if (p->e->n_parts == PARTS_MAX) {
		(void)wrong(p, "more than %d ids and SEARCHes", PARTS_MAX);
		return NULL;
	}
	p->e->n_parts++;
	*part = (struct expression_part){
	    .kind = kind,
	    .from = (size_t)(from - p->text),
	    .to = (size_t)(p->p - p->text),
	};
	return part;
}

/* SEARCH */

static bool
take_quoted(struct parser *p, struct sv *ret)
{
	const char *from, *end;

	if (!expect(p, '\''))
		return false;
	from = p->p;
	end = strchr(from, '\'');
	if (!end)
		return wrong(p, "a quoted text has no end");
	*ret = (struct sv){from, (size_t)(end - from)};
	p->p = end + 1;
	return true;
}

/* One name of a schema, quoted or not; *at moves behind it and the separator. */
static struct sv
schema_name(struct sv in, size_t *at)
{
	size_t from, to;

	while (*at < in.n && in.p[*at] == ' ')
		(*at)++;
	from = *at;
	if (from < in.n && in.p[from] == '"') {
		to = ++from;
		while (to < in.n && in.p[to] != '"')
			to++;
		*at = to < in.n ? to + 1 : to;
		while (*at < in.n && in.p[*at] != ',')
			(*at)++;
	} else {
		while (*at < in.n && in.p[*at] != ',')
			(*at)++;
		to = *at;
		while (to > from && in.p[to - 1] == ' ')
			to--;
	}
	*at += *at < in.n;
	return (struct sv){in.p + from, to - from};
}

static int
cmp_names(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static bool
schema_names(struct parser *p, struct sv inside, struct expression_schema *to)
{
	const char **dims = arena_array(p->a, DIMS_MAX, sizeof(*dims));
	size_t at = 0;
	struct sv ns = schema_name(inside, &at);

	to->ns = arena_strdup(p->a, ns);
	to->dims = dims;
	if (!dims || !to->ns)
		return err_nomem(p->err), false;
	if (!ns.n)
		return wrong(p, "the braces of a SEARCH name no namespace");
	while (at < inside.n) {
		struct sv name = schema_name(inside, &at);

		if (!name.n || to->n_dims == DIMS_MAX)
			return wrong(p, "the braces of a SEARCH name no dimension, or too many");
		dims[to->n_dims] = arena_strdup(p->a, name);
		if (!dims[to->n_dims++])
			return err_nomem(p->err), false;
	}
	if (to->n_dims > 1)
		qsort(dims, to->n_dims, sizeof(*dims), cmp_names);
	for (size_t i = 1; i < to->n_dims; i++)
		if (!strcmp(dims[i - 1], dims[i]))
			return wrong(p, "the braces of a SEARCH name %.64s twice", dims[i]);
	return true;
}

/* {Namespace, Dimension, ...} in front of the terms; without it *ret stays NULL. */
static bool
read_schema(struct parser *p, struct expression_part *part, const struct expression_schema **ret)
{
	struct sv what = part->what;
	struct expression_schema *schema;
	const char *end;
	size_t at = 0;

	while (at < what.n && what.p[at] == ' ')
		at++;
	if (at == what.n || what.p[at] != '{')
		return true;
	end = memchr(what.p, '}', what.n);
	if (!end)
		return wrong(p, "a brace of a SEARCH has no end");
	part->schema_len = (size_t)(end - what.p) + 1;
	schema = arena_alloc(p->a, sizeof(*schema));
	if (!schema)
		return err_nomem(p->err), false;
	*ret = schema;
	return schema_names(p, (struct sv){what.p + at + 1, part->schema_len - at - 2}, schema);
}

static bool
read_period(struct parser *p)
{
	struct sv digits;
	uint64_t s;

	(void)peek(p);
	digits = take_word(p);
	if (!num_u64(digits, &s) || !s || s > 86400 ||
	    (p->e->period_s && p->e->period_s != (int64_t)s))
		return wrong(p, "the third argument of SEARCH is no period, or another one");
	p->e->period_s = (int64_t)s;
	return true;
}

/* Behind "SEARCH(". */
static bool
read_search(struct parser *p, const char *from, struct value *ret)
{
	static const struct expression_schema unknown = {0};
	struct expression_part *part = add_part(p, PART_SEARCH, from);

	if (!part || !take_quoted(p, &part->what))
		return false;
	if (part->what.n > EXPRESSION_SEARCH_MAX)
		return wrong(p, "what a SEARCH looks for is longer than %d characters",
			     EXPRESSION_SEARCH_MAX);
	ret->each = &unknown;
	if (!read_schema(p, part, &ret->each) || !expect(p, ',') || !take_quoted(p, &part->stat))
		return false;
	if (!statistic_valid(part->stat))
		return wrong(p, "\"%.*s\" is not a statistic of CloudWatch's",
			     (int)(part->stat.n < 64 ? part->stat.n : 64), part->stat.p);
	part->has_period = take(p, ',');
	if ((part->has_period && !read_period(p)) || !expect(p, ')'))
		return false;
	part->to = (size_t)(p->p - p->text);
	p->e->searches = true;
	return true;
}

/* Functions */

/* What a function makes of series, and what its value at a time depends on. */
enum function_kind {
	OF_ONE_TIME,  /* on the operands at that time; of many series it makes as many */
	FILLING,      /* the same, unless it fills from neighbours */
	TOGETHER,     /* one of many, at each time; of one a number for all of what is asked for */
	OF_ALL_TIMES, /* on all of what is asked for; as many as there were */
	FROM_BEFORE,  /* on earlier points */
	FROM_START,   /* on everything from the beginning of what is asked for */
	PICKING,      /* one of many, by all of what is asked for */
};
static const struct function {
	struct sv name;
	enum function_kind kind;
} functions[] = {
    {{"ABS", 3}, OF_ONE_TIME},
    {{"AVG", 3}, TOGETHER},
    {{"CEIL", 4}, OF_ONE_TIME},
    {{"DATAPOINT_COUNT", 15}, PICKING},
    {{"DATE", 4}, OF_ONE_TIME},
    {{"DAY", 3}, OF_ONE_TIME},
    {{"DIFF", 4}, FROM_BEFORE},
    {{"DIFF_TIME", 9}, FROM_BEFORE},
    {{"EPOCH", 5}, OF_ONE_TIME},
    {{"FILL", 4}, FILLING},
    {{"FIRST", 5}, PICKING},
    {{"FLOOR", 5}, OF_ONE_TIME},
    {{"HOUR", 4}, OF_ONE_TIME},
    {{"IF", 2}, OF_ONE_TIME},
    {{"LAST", 4}, PICKING},
    {{"LOG", 3}, OF_ONE_TIME},
    {{"LOG10", 5}, OF_ONE_TIME},
    {{"MAX", 3}, TOGETHER},
    {{"METRIC_COUNT", 12}, PICKING},
    {{"MIN", 3}, TOGETHER},
    {{"MINUTE", 6}, OF_ONE_TIME},
    {{"MONTH", 5}, OF_ONE_TIME},
    {{"PERIOD", 6}, OF_ONE_TIME},
    {{"RATE", 4}, FROM_BEFORE},
    {{"REMOVE_EMPTY", 12}, OF_ONE_TIME},
    {{"RUNNING_SUM", 11}, FROM_START},
    {{"SLICE", 5}, OF_ALL_TIMES},
    {{"SORT", 4}, OF_ALL_TIMES},
    {{"STDDEV", 6}, TOGETHER},
    {{"SUM", 3}, TOGETHER},
    {{"TIME_SERIES", 11}, OF_ONE_TIME},
    {{"YEAR", 4}, OF_ONE_TIME},
};

static const struct function *
find_function(struct sv name)
{
	for (size_t i = 0; i < ARRAY_LEN(functions); i++)
		if (sv_eq(functions[i].name, name))
			return &functions[i];
	return NULL;
}

/* Two values meet, as operands or as arguments. */
static bool
meet(const struct parser *p, struct value *to, const struct value *v)
{
	if (to->each && v->each && to->each != v->each)
		return wrong(p, "the series of two SEARCHes meet: they cannot be told apart; give "
				"each an entry, or make one series of it with SUM, AVG, MIN, MAX");
	to->each = to->each ? to->each : v->each;
	to->list = to->list || v->list;
	return true;
}

/* Up to the closing bracket, which is taken. */
static bool
read_list(struct parser *p, char close, struct value *ret, size_t *ret_n, bool apart)
{
	*ret_n = 0;
	if (take(p, close))
		return true;
	do {
		struct value v = {0};

		if (!read_expression(p, &v))
			return false;
		if (v.word.n)
			ret->word = v.word;
		if (apart)
			ret->list = true;
		else if (!meet(p, ret, &v))
			return false;
		(*ret_n)++;
	} while (take(p, ','));
	return expect(p, close);
}

static void
apply(const struct parser *p, enum function_kind kind, struct value *v)
{
	struct expression_traits *t = &p->e->traits;
	bool many = v->each || v->list;

	if (kind == FILLING && v->word.n)
		kind = FROM_BEFORE;
	t->windowed = t->windowed || (kind == TOGETHER ? !many : kind > TOGETHER);
	t->back = t->back || kind == FROM_BEFORE;
	if (kind == TOGETHER || kind == PICKING)
		*v = (struct value){0};
	v->word = (struct sv){0};
}

static bool
read_call(struct parser *p, struct sv name, struct value *ret)
{
	const struct function *f = find_function(name);
	size_t n;

	if (!f)
		return wrong(p, "the function %.*s is not one that muster asks for",
			     (int)(name.n < 64 ? name.n : 64), name.p);
	p->p++; /* the bracket */
	if (!read_list(p, ')', ret, &n, false))
		return false;
	if (!n)
		return wrong(p, "%.*s is given nothing", (int)name.n, name.p);
	apply(p, f->kind, ret);
	return true;
}

/* Operands */

static bool
read_id(struct parser *p, struct sv name, struct value *ret)
{
	struct expression_traits t = {0};
	struct expression_traits *all = &p->e->traits;

	if (!add_part(p, PART_ID, name.p))
		return false;
	if (!p->find(p->arg, name, &t))
		return wrong(p, "no entry above it has the id %.*s",
			     (int)(name.n < 64 ? name.n : 64), name.p);
	all->windowed = all->windowed || t.windowed;
	all->back = all->back || t.back;
	ret->each = t.each;
	return true;
}

static bool
read_name(struct parser *p, struct value *ret)
{
	struct sv name = take_word(p);

	if (is_small(name.p[0]))
		return read_id(p, name, ret);
	if (peek(p) != '(') {
		ret->word = name;
		return true;
	}
	if (!sv_eq(name, SV("SEARCH")))
		return read_call(p, name, ret);
	p->p++;
	return read_search(p, name.p, ret);
}

static bool
read_number(struct parser *p)
{
	const char *from = p->p;
	double v;

	while (
	    is_digit(*p->p) || *p->p == '.' || ((*p->p == 'e' || *p->p == 'E') && p->p > from) ||
	    ((*p->p == '-' || *p->p == '+') && p->p > from && (p->p[-1] == 'e' || p->p[-1] == 'E')))
		p->p++;
	return num_double((struct sv){from, (size_t)(p->p - from)}, &v) || wrong(p, "no number");
}

static bool
read_operand(struct parser *p, struct value *ret)
{
	char c;
	size_t n;

	while (take(p, '-') || take(p, '!') || take(p, '+'))
		;
	c = peek(p);
	if (is_digit(c) || c == '.')
		return read_number(p);
	if (is_word(c) && c != '_')
		return read_name(p, ret);
	if (take(p, '('))
		return read_expression(p, ret) && expect(p, ')');
	if (take(p, '['))
		return read_list(p, ']', ret, &n, true);
	return wrong(p, c ? "nothing that can stand here begins with '%c'" : "it ends too early",
		     c);
}

static bool
take_operator(struct parser *p)
{
	static const struct sv all[] = {{"==", 2}, {"!=", 2},  {"<=", 2}, {">=", 2}, {"&&", 2},
					{"||", 2}, {"AND", 3}, {"OR", 2}, {"+", 1},  {"-", 1},
					{"*", 1},  {"/", 1},   {"^", 1},  {"<", 1},  {">", 1}};

	(void)peek(p);
	for (size_t i = 0; i < ARRAY_LEN(all); i++)
		if (!strncmp(p->p, all[i].p, all[i].n) &&
		    !(is_word(all[i].p[0]) && is_word(p->p[all[i].n]))) {
			p->p += all[i].n;
			return true;
		}
	return false;
}

static bool
read_expression(struct parser *p, struct value *ret)
{
	bool ok = p->depth < DEPTH_MAX || wrong(p, "brackets are nested too deeply");

	p->depth++;
	do {
		struct value v = {0};

		ok = ok && read_operand(p, &v) && meet(p, ret, &v);
		ret->word = v.word;
	} while (ok && take_operator(p));
	p->depth--;
	return ok;
}

/* What the whole may be. */
static bool
check(const struct parser *p, const struct value *v)
{
	if (*p->p)
		return wrong(p, "an operator is missing, or a bracket too many");
	if (v->word.n)
		return wrong(p, "%.*s alone is no expression",
			     (int)(v->word.n < 64 ? v->word.n : 64), v->word.p);
	if (v->list)
		return wrong(p,
			     "several series of which nothing is made: give each an entry, or make "
			     "one of them with SUM, AVG, MIN, MAX");
	if (v->each && !v->each->ns)
		return wrong(p,
			     "a SEARCH that gives several series has to name their namespace and "
			     "dimensions in braces, for these tell the series apart: "
			     "SEARCH('{Namespace,Dimension} ...')");
	return true;
}

int
expression_parse(const char *text, expression_lookup *find, void *arg, struct arena *a,
		 struct expression *ret, struct err *err)
{
	struct parser p = {
	    .text = text, .p = text, .find = find, .arg = arg, .a = a, .e = ret, .err = err};
	struct value v = {0};

	*ret = (struct expression){.text = text};
	if (strlen(text) > EXPRESSION_MAX)
		return err_set(err, ERR_USAGE, "an expression may have %d characters",
			       EXPRESSION_MAX);
	ret->parts = arena_array(a, PARTS_MAX, sizeof(*ret->parts));
	if (!ret->parts)
		return err_nomem(err);
	if (sv_starts(sv_of(text), SV("SELECT")))
		return err_set(err, ERR_USAGE,
			       "queries of Metrics Insights (SELECT) are not supported by this "
			       "version");
	if (!read_expression(&p, &v) || !check(&p, &v))
		return -1;
	ret->traits.each = v.each;
	return 0;
}

bool
expression_id_valid(const char *id)
{
	size_t n = 0;

	while (is_word(id[n]))
		n++;
	return is_small(id[0]) && !id[n] && n <= EXPRESSION_ID_MAX;
}

void
expression_each_id(const struct expression *e, void (*fn)(void *arg, struct sv id), void *arg)
{
	for (size_t i = 0; i < e->n_parts; i++) {
		const struct expression_part *part = &e->parts[i];

		if (part->kind == PART_ID)
			fn(arg, (struct sv){e->text + part->from, part->to - part->from});
	}
}

/* Terms are put in brackets, for an OR in them must not reach past the account. */
static void
write_search(const struct expression_part *part, const struct expression_sent *how, struct buf *out)
{
	struct sv terms = {part->what.p + part->schema_len, part->what.n - part->schema_len};

	while (terms.n && terms.p[0] == ' ')
		terms = (struct sv){terms.p + 1, terms.n - 1};
	buf_str(out, "SEARCH('");
	if (how->account) {
		buf_sv(out, (struct sv){part->what.p, part->schema_len});
		buf_fmt(out, " :aws.AccountId=\"%s\"", how->account);
		if (terms.n)
			buf_str(out, " (");
		buf_sv(out, terms);
		if (terms.n)
			buf_ch(out, ')');
	} else {
		buf_sv(out, part->what);
	}
	buf_str(out, "', '");
	buf_sv(out, part->stat);
	buf_fmt(out, "', %lld)", (long long)how->period_s);
}

void
expression_write(const struct expression *e, const struct expression_sent *how, struct buf *out)
{
	size_t at = 0;

	for (size_t i = 0; i < e->n_parts; i++) {
		const struct expression_part *part = &e->parts[i];

		buf_sv(out, (struct sv){e->text + at, part->from - at});
		if (part->kind == PART_ID)
			how->rename(how->arg,
				    (struct sv){e->text + part->from, part->to - part->from}, out);
		else
			write_search(part, how, out);
		at = part->to;
	}
	buf_str(out, e->text + at);
}
