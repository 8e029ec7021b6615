/*
 * Expressions: what is asked for them, and what the answers are.
 *
 * A formula is an expression with a name. Where it uses metrics it is computed once for each set of
 * dimension values that these have (a term); where it is a SEARCH that finds several series, the
 * terms are what the answers bring. A question is one call: as many terms of one formula as fit,
 * over all cells of the pull, or over one cell where values depend on more than their own time:
 * then its bounds are the cell's own, whatever else is pulled with it, and what looks back sees one
 * cell more. So a cell holds the same in every run.
 *
 * The series of a SEARCH are told apart by a label that muster asks for: the account, the metric's
 * name and the values of the dimensions in its braces, with a character between them that no
 * dimension may hold (they are ASCII). Nothing else in an answer is an identity: not the order, and
 * not CloudWatch's own labels, which are only as long as it takes to be different that day.
 */

#include "base/cleanup.h"
#include "base/map.h"
#include "jobs/metrics.h"

#define WORDS_MAX      160
#define AGAIN_FIRST_MS 1000
#define AGAIN_MAX_MS   20000
#define POINT_BYTES    48
#define FLAW_MAX       256
#define TEXT_MAX       ((size_t)64 << 10)
/* U+241F, the picture of the unit separator. */
#define SEPARATOR "\xE2\x90\x9F"
/* Of an account's number. */
#define ACCOUNT_DIGITS 12
/* What a SEARCH finds at most, by different editions of CloudWatch's documentation: so many may be
 * all there are, or not. */
#define SEARCH_SOME 100
#define SEARCH_MOST 500

struct term {
	struct wanted w;
	unsigned page; /* the last one that had it */
};
struct formula {
	const struct metrics_from *from;
	const struct metrics_math *math;
	size_t index;
	struct term **v;
	size_t n, cap;
	struct map by_label; /* of those found by a SEARCH */
	const char *label;   /* what they are to be called; NULL: no SEARCH, or one series of it */
	char *flaw;
	bool failed; /* nothing of it is taken */
};
struct question {
	struct formula *f;
	size_t first, n;	 /* terms; 0, 0: what a SEARCH finds */
	int64_t from_ms;	 /* asked from here on */
	struct wanted_span span; /* and this is kept */
	bool open;
};
struct math {
	const struct job_stream *s;
	const struct metrics_opts *o;
	struct arena *a;
	struct math_span span;
	struct formula *formulas;
	size_t n_formulas;
	struct question *v;
	size_t n, at;
	unsigned round, page;
	uint64_t n_rejected;
	char words[WORDS_MAX];
};

/* Series */

static struct naming_rules
rules_of(const struct math *m)
{
	return (struct naming_rules){(enum naming)m->o->naming,
				     (enum memory_unit)m->o->memory_unit};
}

/* The series of this formula with these labels. */
static int
name_series(const struct math *m, const struct formula *f, const char *ns, const struct label *dims,
	    size_t n_dims, struct series *ret, struct err *err)
{
	const struct naming_rules rules = rules_of(m);
	const struct series_owner owner = metrics_owner(m->s);
	const struct metrics_from *input = f->math->input;
	const struct metric_source source = {
	    .ns = ns,
	    .dims = dims,
	    .n_dims = n_dims,
	    .many_sets = input && metrics_from_sets(input)->n != 1,
	};

	return normalise_named(&rules, &owner, f->from->name, &source, m->o->period_ms, m->a, ret,
			       err);
}

static struct term *
add_term(struct math *m, struct formula *f, struct err *err)
{
	struct term *t = arena_alloc(m->a, sizeof(*t));
	struct term **v = arena_grow(m->a, f->v, f->n, &f->cap, sizeof(struct term *));

	if (!v)
		return err_nomem(err), NULL;
	f->v = v;
	if (t)
		t->w.slots = wanted_slots(m->span.slots, m->a);
	if (!t || !t->w.slots)
		return err_nomem(err), NULL;
	t->w.order = SIZE_MAX / 2 + f->index; /* behind the plain ones */
	f->v[f->n++] = t;
	return t;
}

/* Terms from the metrics that an account has */

static int
cmp_dims(const void *a, const void *b)
{
	struct cw_metric x = **(const struct cw_metric *const *)a;
	struct cw_metric y = **(const struct cw_metric *const *)b;

	x.ns = y.ns = x.name = y.name = "";
	return cw_metric_cmp(&x, &y);
}

static bool
uses_metric(const struct math *m, const struct formula *f, const struct cw_metric *metric)
{
	size_t n;
	const struct metrics_from *from = metrics_from_list(m->o, &n);

	for (size_t i = 0; i < f->math->n_uses; i++)
		if (metrics_from_selects(&from[f->math->uses[i]], metric))
			return true;
	return false;
}

static int
add_metric_term(struct math *m, struct formula *f, const struct cw_metric *metric, struct err *err)
{
	struct label *dims = arena_array(m->a, metric->n_dims, sizeof(*dims));
	struct term *t = add_term(m, f, err);

	if (!dims)
		return err_nomem(err);
	if (!t)
		return -1;
	for (size_t i = 0; i < metric->n_dims; i++)
		dims[i] = (struct label){metric->dims[i].name, metric->dims[i].value};
	t->w.metric = metric;
	return name_series(m, f, f->math->input->ns, dims, metric->n_dims, &t->w.series, err);
}

/* One for each set of dimension values that any metric of the formula has. */
static int
add_metric_terms(struct math *m, struct formula *f, const struct inventory *inv, struct err *err)
{
	CLEANUP(freep)
	const struct cw_metric **v = calloc(inv->n + 1, sizeof(*v));
	size_t n = 0;

	if (!v)
		return err_nomem(err);
	for (size_t i = 0; i < inv->n; i++)
		if (uses_metric(m, f, &inv->v[i].metric))
			v[n++] = &inv->v[i].metric;
	if (n > 1)
		qsort(v, n, sizeof(*v), cmp_dims);
	for (size_t i = 0; i < n; i++)
		if ((!i || cmp_dims(&v[i - 1], &v[i]) != 0) && add_metric_term(m, f, v[i], err))
			return -1;
	return 0;
}

static int
add_terms(struct math *m, struct formula *f, const struct inventory *inv, struct err *err)
{
	static const struct cw_metric none = {"", "", NULL, 0};
	struct term *t;

	if (f->label)
		return 0;
	if (f->math->input)
		return add_metric_terms(m, f, inv, err);
	t = add_term(m, f, err);
	if (!t)
		return -1;
	t->w.metric = &none;
	return name_series(m, f, "", NULL, 0, &t->w.series, err);
}

/* Questions */

static size_t
stride(const struct formula *f)
{
	return f->math->n_uses + 1;
}

static int
make_label(struct math *m, struct formula *f, struct err *err)
{
	const struct expression_schema *each = f->math->parsed.traits.each;
	CLEANUP(buf_done) struct buf text = BUF_INIT(TEXT_MAX);

	if (!each)
		return 0;
	buf_str(&text, "${PROP('AccountId')}" SEPARATOR "${PROP('MetricName')}");
	for (size_t i = 0; i < each->n_dims; i++)
		buf_fmt(&text, SEPARATOR "${PROP('Dim.%s')}", each->dims[i]);
	if (buf_check(&text, "label of an expression", err))
		return -1;
	f->label = arena_strdup(m->a, buf_view(&text));
	return f->label ? 0 : err_nomem(err);
}

static bool
windowed(const struct formula *f)
{
	return f->math->parsed.traits.windowed;
}

static size_t
questions_of(const struct math *m, const struct formula *f)
{
	size_t per_call = CW_QUERIES_MAX / stride(f);
	size_t calls = f->label ? 1 : (f->n + per_call - 1) / per_call;
	size_t cells = (size_t)((m->span.end_ms - m->span.start_ms) / m->span.cell_ms);

	return calls * (windowed(f) ? cells : 1);
}

static void
add_questions(struct math *m, struct formula *f, int64_t start_ms, int64_t end_ms)
{
	int64_t back = f->math->parsed.traits.back ? m->span.cell_ms : 0;
	size_t per_call = CW_QUERIES_MAX / stride(f), at = 0;

	do {
		size_t left = f->n - at, n = left < per_call ? left : per_call;

		m->v[m->n++] = (struct question){
		    .f = f,
		    .first = at,
		    .n = n,
		    .from_ms = start_ms - back,
		    .span = {m->span.start_ms, start_ms, end_ms, m->o->period_ms},
		    .open = true,
		};
		at += n;
	} while (at < f->n);
}

static int
make_questions(struct math *m, struct err *err)
{
	size_t n = 0;

	for (size_t i = 0; i < m->n_formulas; i++)
		n += questions_of(m, &m->formulas[i]);
	m->v = arena_array(m->a, n, sizeof(*m->v));
	if (!m->v)
		return err_nomem(err);
	for (size_t i = 0; i < m->n_formulas; i++) {
		struct formula *f = &m->formulas[i];
		int64_t step = windowed(f) ? m->span.cell_ms : m->span.end_ms - m->span.start_ms;

		if (!f->label && !f->n)
			continue;
		for (int64_t t = m->span.start_ms; t < m->span.end_ms; t += step)
			add_questions(m, f, t, t + step);
	}
	return 0;
}

/* A formula whose series are left out by name is not asked for. */
static int
add_formula(struct math *m, const struct metrics_from *from, const struct inventory *inv,
	    struct err *err)
{
	struct formula *f = &m->formulas[m->n_formulas];
	struct series named;
	bool keeps;

	*f = (struct formula){
	    .from = from, .math = from->math, .index = m->n_formulas, .by_label = MAP_INIT};
	if (name_series(m, f, "", NULL, 0, &named, err) ||
	    metrics_keeps(m->o, named.name, &keeps, err))
		return -1;
	if (!keeps)
		return 0;
	m->n_formulas++;
	return make_label(m, f, err) || add_terms(m, f, inv, err) ? -1 : 0;
}

int
math_begin(const struct job_stream *s, const struct inventory *inv, const struct math_span *span,
	   struct arena *a, struct math **ret, struct err *err)
{
	struct math *m = arena_alloc(a, sizeof(*m));
	size_t n;
	const struct metrics_from *from = metrics_from_list(s->opts, &n);

	*ret = m;
	if (!m)
		return err_nomem(err);
	*m = (struct math){.s = s, .o = s->opts, .a = a, .span = *span};
	m->formulas = arena_array(a, n, sizeof(*m->formulas));
	if (!m->formulas)
		return err_nomem(err);
	for (size_t i = 0; i < n; i++)
		if (from[i].math && from[i].name && add_formula(m, &from[i], inv, err))
			return -1;
	return make_questions(m, err);
}

void
math_done(struct math *m)
{
	for (size_t i = 0; m && i < m->n_formulas; i++)
		map_done(&m->formulas[i].by_label, NULL);
}

bool
math_open(const struct math *m)
{
	return m->at < m->n;
}

void
math_again(struct math *m)
{
	struct question *q = &m->v[m->at];
	size_t n = q->f->label ? q->f->n : q->n;

	for (size_t i = 0; i < n; i++)
		wanted_reset(&q->f->v[q->first + i]->w, &q->span);
}

/* To the next one that is open, in another round if need be. */
static void
go_on(struct math *m)
{
	bool any = false;

	for (size_t i = 0; i < m->n; i++)
		any = any || m->v[i].open;
	if (!any) {
		m->at = m->n;
		return;
	}
	do {
		m->at++;
		if (m->at == m->n)
			m->round++;
		m->at %= m->n;
	} while (!m->v[m->at].open);
	math_again(m);
}

/* Requests */

struct renaming {
	const struct math *m;
	const struct formula *f;
	size_t base;
};

/* An id as the query of this call that has it. */
static void
rename_id(void *arg, struct sv id, struct buf *out)
{
	const struct renaming *r = arg;
	size_t n;
	const struct metrics_from *from = metrics_from_list(r->m->o, &n);

	for (size_t i = 0; i < r->f->math->n_uses; i++)
		if (sv_eq(sv_of(from[r->f->math->uses[i]].id), id))
			buf_fmt(out, "m%zu", r->base + i);
}

struct asking {
	struct math *m;
	struct cw_query queries[CW_QUERIES_MAX];
	struct cw_metric metrics[CW_QUERIES_MAX];
	struct arena texts;
	size_t n;
};

static int
ask_expression(struct asking *to, const struct formula *f, const struct metrics_math *math,
	       size_t base, struct err *err)
{
	struct renaming names = {to->m, f, base};
	const struct expression_sent how = {
	    .rename = rename_id,
	    .arg = &names,
	    .period_s = to->m->o->period_ms / 1000,
	    .account = to->m->s->linked_account,
	};
	CLEANUP(buf_done) struct buf text = BUF_INIT(TEXT_MAX);

	expression_write(&math->parsed, &how, &text);
	if (buf_check(&text, "expression", err))
		return -1;
	to->queries[to->n] = (struct cw_query){
	    .id = to->n,
	    .expression = arena_strdup(&to->texts, buf_view(&text)),
	    .label = math == f->math ? f->label : NULL,
	    .hidden = math != f->math,
	};
	return to->queries[to->n++].expression ? 0 : err_nomem(err);
}

static int
ask_term(struct asking *to, const struct formula *f, const struct cw_metric *metric,
	 struct err *err)
{
	size_t n, base = to->n;
	const struct metrics_from *from = metrics_from_list(to->m->o, &n);

	for (size_t i = 0; i < f->math->n_uses; i++) {
		const struct metrics_from *used = &from[f->math->uses[i]];

		if (used->math) {
			if (ask_expression(to, f, used->math, base, err))
				return -1;
			continue;
		}
		to->metrics[to->n] =
		    (struct cw_metric){used->ns, used->metrics.v[0], metric->dims, metric->n_dims};
		to->queries[to->n] = (struct cw_query){
		    .id = to->n,
		    .metric = &to->metrics[to->n],
		    .stat = metrics_from_stats(used)->v[0],
		    .hidden = true,
		};
		to->n++;
	}
	return ask_expression(to, f, f->math, base, err);
}

static int64_t
pause_ms(const struct math *m)
{
	int64_t ms = AGAIN_FIRST_MS;

	for (unsigned i = 1; i < m->round && ms < AGAIN_MAX_MS; i++)
		ms *= 2;
	return ms < AGAIN_MAX_MS ? ms : AGAIN_MAX_MS;
}

static bool
first_of_round(const struct math *m)
{
	for (size_t i = 0; i < m->at; i++)
		if (m->v[i].open)
			return false;
	return true;
}

static int
build(struct asking *to, const char *token, enum cw_proto proto, struct aws_call *call,
      struct err *err)
{
	static const struct cw_metric none = {"", "", NULL, 0};
	const struct math *m = to->m;
	const struct question *q = &m->v[m->at];
	struct cw_data_req req = {
	    .queries = to->queries,
	    .start_ms = q->from_ms,
	    .end_ms = q->span.end_ms,
	    .period_ms = m->o->period_ms,
	    .account = m->s->linked_account,
	    .token = token,
	};

	if (q->f->label && ask_term(to, q->f, &none, err))
		return -1;
	for (size_t i = 0; !q->f->label && i < q->n; i++)
		if (ask_term(to, q->f, q->f->v[q->first + i]->w.metric, err))
			return -1;
	req.n = to->n;
	return cw_data_call(proto, &req, call, err);
}

int
math_call(struct math *m, enum cw_proto proto, const char *token, struct aws_call *call,
	  struct err *err)
{
	const struct question *q = &m->v[m->at];
	CLEANUP(freep) struct asking *to = calloc(1, sizeof(*to));
	size_t series = q->f->label ? SEARCH_MOST : q->n;
	int r;

	if (!to)
		return err_nomem(err);
	to->m = m;
	to->texts.max = TEXT_MAX * CW_QUERIES_MAX;
	r = build(to, token, proto, call, err);
	arena_done(&to->texts);
	call->expect = series * m->span.slots * POINT_BYTES;
	if (m->round && !token && first_of_round(m))
		call->wait_ms = pause_ms(m);
	return r;
}

/* Answers */

__attribute__((format(printf, 3, 4))) static void
set_flaw(const struct math *m, struct formula *f, const char *fmt, ...)
{
	va_list ap;
	int n;

	if (!f->flaw)
		f->flaw = arena_alloc(m->a, FLAW_MAX);
	if (!f->flaw)
		return;
	n = snprintf(f->flaw, FLAW_MAX, "expression %s: ", f->from->name);
	va_start(ap, fmt);
	if (n > 0 && n < FLAW_MAX)
		(void)vsnprintf(f->flaw + n, (size_t)(FLAW_MAX - n), fmt, ap);
	va_end(ap);
}

/* Given up: none of its questions is asked any more, and none of its series is taken. */
static void
fail(const struct math *m, struct formula *f)
{
	f->failed = true;
	for (size_t i = 0; i < m->n; i++)
		m->v[i].open = m->v[i].open && m->v[i].f != f;
}

/* A field of a label, and what is behind it; false: there is none. */
static bool
next_field(struct sv *rest, struct sv *ret)
{
	const size_t n = sizeof(SEPARATOR) - 1;
	const char *end;

	if (!rest->p)
		return false;
	end = memmem(rest->p, rest->n, SEPARATOR, n);
	*ret = (struct sv){rest->p, end ? (size_t)(end - rest->p) : rest->n};
	*rest = end ? (struct sv){end + n, rest->n - ret->n - n} : (struct sv){NULL, 0};
	return true;
}

/* The label's metric and dimension values as labels of a series. False: it does not tell them. */
static bool
read_label(const struct math *m, const struct formula *f, const char *label, struct label *dims,
	   struct sv *account)
{
	const struct expression_schema *each = f->math->parsed.traits.each;
	struct sv rest = sv_of(label), field;

	if (!next_field(&rest, account))
		return false;
	for (size_t i = 0; i < each->n_dims + 1; i++) {
		if (!next_field(&rest, &field) || !field.n || sv_starts(field, SV("${PROP(")))
			return false;
		dims[i].name = i ? each->dims[i - 1] : "metric";
		dims[i].value = arena_strdup(m->a, field);
		if (!dims[i].value)
			return false;
	}
	return !rest.p;
}

static bool
foreign(const struct math *m, struct sv account)
{
	for (size_t i = 0; i < account.n; i++)
		if (account.p[i] < '0' || account.p[i] > '9')
			return false;
	return account.n == ACCOUNT_DIGITS && !sv_eq(account, sv_of(m->s->account));
}

/* The term that a result of a SEARCH is of; *ret NULL: of another account, or the formula failed.
 */
static int
find_term(struct math *m, struct formula *f, const struct cw_result *r, struct term **ret,
	  struct err *err)
{
	static const struct cw_metric none = {"", "", NULL, 0};
	const struct expression_schema *each = f->math->parsed.traits.each;
	const char *label = r->label ? r->label : "";
	struct label *dims = arena_array(m->a, each->n_dims + 1, sizeof(*dims));
	struct sv account;

	*ret = map_get(&f->by_label, sv_of(label));
	if (*ret)
		return 0;
	if (!dims)
		return err_nomem(err);
	if (!read_label(m, f, label, dims, &account)) {
		set_flaw(m, f, "its series cannot be told apart by the label \"%.100s\"", label);
		fail(m, f);
		return 0;
	}
	if (foreign(m, account)) {
		m->n_rejected += r->n;
		return 0;
	}
	*ret = add_term(m, f, err);
	if (!*ret || map_put(&f->by_label, sv_of(label), *ret, NULL, err))
		return -1;
	(*ret)->w.metric = &none;
	return name_series(m, f, each->ns, dims, each->n_dims + 1, &(*ret)->w.series, err);
}

static void
take_points(struct math *m, const struct question *q, struct term *t, const struct cw_result *r)
{
	for (size_t i = 0; i < r->n; i++)
		if (!wanted_take(&t->w, &q->span, r->ts_ms[i], r->values[i]) &&
		    (r->ts_ms[i] < q->from_ms || r->ts_ms[i] >= q->span.end_ms))
			m->n_rejected++;
	wanted_answer(&t->w, r, m->a);
}

static int
take_result(struct math *m, const struct question *q, const struct cw_result *r, struct err *err)
{
	struct formula *f = q->f;
	struct term *t = NULL;

	if (!f->label)
		t = f->v[q->first + r->id / stride(f)];
	else if (find_term(m, f, r, &t, err))
		return -1;
	if (!t || f->failed)
		return 0;
	if (t->page == m->page) {
		set_flaw(m, f, "several series where one was expected%s%.100s",
			 f->label ? ", of the label " : "", f->label ? r->label : "");
		fail(m, f);
		return 0;
	}
	t->page = m->page;
	take_points(m, q, t, r);
	return 0;
}

static bool
asked_for(const struct question *q, size_t id)
{
	size_t n = q->f->label ? 1 : q->n, s = stride(q->f);

	return id != CW_NO_ID && id % s == s - 1 && id / s < n;
}

/* Of a SEARCH that finds nothing there is no result; of anything else there has to be. */
static bool
incomplete(const struct question *q)
{
	const struct formula *f = q->f;
	size_t n = f->label ? f->n : q->n;

	for (size_t i = 0; i < n; i++) {
		const struct wanted *w = &f->v[q->first + i]->w;

		if (w->answered ? wanted_incomplete(w) : !f->math->searches)
			return true;
	}
	return false;
}

static void
end_question(struct math *m, const struct cw_data_page *page)
{
	struct question *q = &m->v[m->at];

	if (q->f->label && (page->n == SEARCH_SOME || page->n >= SEARCH_MOST))
		set_flaw(m, q->f, "%zu series, which may not be all that its SEARCH finds",
			 page->n);
	if (page->message) {
		(void)snprintf(m->words, sizeof(m->words), "%s", page->message);
		set_flaw(m, q->f, "%.150s", page->message);
	}
	q->open = !q->f->failed && incomplete(q);
	go_on(m);
}

/* Each metric is billed, and those that a SEARCH finds. */
static uint64_t
bill(const struct math *m, const struct question *q, size_t found)
{
	size_t n, metrics = 0;
	const struct metrics_from *from = metrics_from_list(m->o, &n);

	for (size_t i = 0; i < q->f->math->n_uses; i++)
		metrics += !from[q->f->math->uses[i]].expression;
	metrics *= q->f->label ? 1 : q->n;
	if (q->f->math->searches)
		metrics += found ? found : 1;
	return metrics;
}

int
math_answer(struct math *m, const struct cw_data_page *page, uint64_t *billed, struct err *err)
{
	struct question *q = &m->v[m->at];

	for (size_t i = 0; i < page->n; i++)
		if (!asked_for(q, page->results[i].id))
			return err_set(err, ERR_DATA,
				       "a result that was not asked for (number %zu)", i);
	m->page++;
	for (size_t i = 0; i < page->n; i++)
		if (take_result(m, q, &page->results[i], err))
			return -1;
	*billed += bill(m, q, page->n);
	if (!page->token)
		end_question(m, page);
	return 0;
}

void
math_foresee(const struct math *m, struct math_forecast *ret)
{
	*ret = (struct math_forecast){.calls = m->n};
	for (size_t i = 0; i < m->n; i++)
		ret->metrics += bill(m, &m->v[i], 0);
	for (size_t i = 0; i < m->n_formulas; i++)
		ret->series += m->formulas[i].label ? 1 : m->formulas[i].n;
}

bool
math_refused(struct math *m, const struct err *err)
{
	static const char *const codes[] = {"ValidationError", "ValidationException",
					    "InvalidParameter", "MissingParameter"};
	struct question *q = &m->v[m->at];

	for (size_t i = 0; i < ARRAY_LEN(codes); i++)
		if (!strncmp(err->code, codes[i], strlen(codes[i]))) {
			set_flaw(m, q->f, "%.190s", err->msg);
			fail(m, q->f);
			go_on(m);
			return true;
		}
	return false;
}

void
math_missing(const struct math *m, char *out, size_t size)
{
	size_t open = 0;
	const char *words = "";

	for (size_t i = 0; i < m->n; i++)
		open += m->v[i].open;
	for (size_t i = 0; i < m->n && !*words; i++)
		for (size_t k = 0; m->v[i].open && k < m->v[i].f->n; k++)
			if (wanted_incomplete(&m->v[i].f->v[k]->w) && m->v[i].f->v[k]->w.words)
				words = m->v[i].f->v[k]->w.words;
	(void)snprintf(out, size,
		       "%zu of %zu questions about expressions not complete, for one %s %s", open,
		       m->n, math_open(m) ? m->v[m->at].f->from->name : "", words);
}

struct wanted **
math_series(struct math *m, size_t *ret_n)
{
	size_t n = 0;
	struct wanted **v;

	for (size_t i = 0; i < m->n; i++) {
		const struct question *q = &m->v[i];

		for (size_t k = 0; q->open && k < (q->f->label ? q->f->n : q->n); k++)
			wanted_reset(&q->f->v[q->first + k]->w, &q->span);
	}
	for (size_t i = 0; i < m->n_formulas; i++)
		n += m->formulas[i].n;
	v = arena_array(m->a, n, sizeof(struct wanted *));
	*ret_n = 0;
	for (size_t i = 0; v && i < m->n_formulas; i++)
		for (size_t k = 0; !m->formulas[i].failed && k < m->formulas[i].n; k++)
			v[(*ret_n)++] = &m->formulas[i].v[k]->w;
	return v;
}

uint64_t
math_rejected(struct math *m)
{
	uint64_t n = m->n_rejected;

	m->n_rejected = 0;
	return n;
}

size_t
math_count(const struct math *m)
{
	return m->n_formulas;
}

const char *
math_flaw(const struct math *m, size_t i)
{
	return m->formulas[i].flaw;
}
