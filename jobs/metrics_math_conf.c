/*
 * Expressions among the entries of `from`, checked: ids that can be referred to, what each
 * expression uses, and that its series can be told apart.
 *
 * An expression may use what stands above it. So nothing goes round in circles, and each is read
 * when all that it uses has been.
 *
 * Metrics that it uses are joined by their dimensions: the expression is computed once for each set
 * of values (each service, each DiscoveryName) that any of them has. So all must ask for the same
 * sets.
 */
#include "base/cleanup.h"
#include "jobs/metrics.h"

struct checker {
	struct metrics_opts *o;
	struct metrics_from *from;
	size_t n, at; /* entries, and the one that is checked */
	bool *used;   /* by an expression */
	struct arena *a;
	struct conf_faults *f;
	const struct conf_node *node; /* where faults go that have no better place */
};

static const struct conf_node *
place(const struct checker *c, const struct conf_node *node)
{
	const struct conf_node *expression = c->from[c->at].expression_node;

	return node ? node : expression ? expression : c->node;
}

/* The entry above with this id; SIZE_MAX: none. */
static size_t
find_id(const struct checker *c, struct sv id)
{
	for (size_t i = 0; i < c->at; i++)
		if (c->from[i].id && sv_eq(sv_of(c->from[i].id), id))
			return i;
	return SIZE_MAX;
}

static bool
lookup(void *arg, struct sv id, struct expression_traits *ret)
{
	const struct checker *c = arg;
	size_t i = find_id(c, id);

	if (i == SIZE_MAX)
		return false;
	if (c->from[i].math)
		*ret = c->from[i].math->parsed.traits;
	return true;
}

/* What is used directly or through others, as a mark for each entry. */
struct marks {
	const struct checker *c;
	bool *v;
};

static void
mark(void *arg, struct sv id)
{
	struct marks *m = arg;
	size_t i = find_id(m->c, id);
	const struct metrics_math *math = i == SIZE_MAX ? NULL : m->c->from[i].math;

	if (i == SIZE_MAX)
		return;
	m->v[i] = m->c->used[i] = true;
	for (size_t k = 0; math && k < math->n_uses; k++)
		m->v[math->uses[k]] = true;
}

static bool
collect_uses(struct checker *c, struct metrics_math *math)
{
	struct marks marks = {c, arena_array(c->a, c->n, sizeof(bool))};

	math->uses = arena_array(c->a, c->n, sizeof(*math->uses));
	if (!marks.v || !math->uses)
		return false;
	expression_each_id(&math->parsed, mark, &marks);
	math->searches = math->parsed.searches;
	for (size_t i = 0; i < c->at; i++) {
		if (!marks.v[i])
			continue;
		math->uses[math->n_uses++] = i;
		math->searches = math->searches || (c->from[i].math && c->from[i].math->searches);
		if (!c->from[i].expression && !math->input)
			math->input = &c->from[i];
	}
	return true;
}

static void
check_uses(const struct checker *c, const struct metrics_math *math)
{
	const struct conf_node *at = place(c, NULL);

	if (math->n_uses >= CW_QUERIES_MAX)
		conf_fault(c->f, at, "uses more than the %d entries that go into one call",
			   CW_QUERIES_MAX - 1);
	if (math->parsed.period_s && math->parsed.period_s * 1000 != c->o->period_ms)
		conf_fault(c->f, at, "its SEARCH names a period of %llds, which is not the job's",
			   (long long)math->parsed.period_s);
	if (math->parsed.traits.each && math->input)
		conf_fault(
		    c->f, at,
		    "the several series of a SEARCH do not go together with metrics by id: make "
		    "one series of it with SUM, AVG, MIN, MAX, or SEARCH for both");
	for (size_t i = 0; i < math->n_uses; i++) {
		const struct metrics_from *used = &c->from[math->uses[i]];

		if (!used->expression &&
		    !metrics_same_sets(metrics_from_sets(math->input), metrics_from_sets(used)))
			conf_fault(
			    c->f, at,
			    "%.64s and %.64s are joined by their dimensions: give both the same "
			    "`dimensions`",
			    math->input->id, used->id);
	}
}

static void
check_names(const struct checker *c)
{
	const struct metrics_from *from = &c->from[c->at];

	if (!from->name && !from->id)
		conf_fault(
		    c->f, place(c, NULL),
		    "an expression needs a name for its series, or an id by which others use it");
	if (from->name && !series_name_valid(from->name))
		conf_fault(
		    c->f, place(c, from->name_node),
		    "\"%.64s\" cannot be the name of a series: letters, digits, '_' and ':', no "
		    "digit first",
		    from->name);
	for (size_t i = 0; from->name && i < c->at; i++)
		if (c->from[i].name && !strcmp(c->from[i].name, from->name))
			conf_fault(c->f, place(c, from->name_node),
				   "two expressions give series of the name %.64s", from->name);
	if (from->ns || from->metrics.n || from->dimensions.n || from->where.n ||
	    from->statistics_node)
		conf_fault(
		    c->f, place(c, NULL),
		    "an expression has no namespace, metrics, dimensions, where or statistics: "
		    "give those to an entry with an id");
}

static void
check_expression(struct checker *c)
{
	struct metrics_from *from = &c->from[c->at];
	struct metrics_math *math = arena_alloc(c->a, sizeof(*math));
	struct err err;

	check_names(c);
	if (!math) {
		conf_nomem(c->f);
		return;
	}
	if (expression_parse(from->expression, lookup, c, c->a, &math->parsed, &err)) {
		conf_fault_err(c->f, place(c, NULL), &err);
		return;
	}
	if (!collect_uses(c, math)) {
		conf_nomem(c->f);
		return;
	}
	from->math = math;
	check_uses(c, math);
}

static void
check_id(const struct checker *c)
{
	const struct metrics_from *from = &c->from[c->at];

	if (!expression_id_valid(from->id))
		conf_fault(c->f, place(c, from->id_node),
			   "\"%.64s\" is no id: letters, digits and '_', a small letter first",
			   from->id);
	else if (find_id(c, sv_of(from->id)) != SIZE_MAX)
		conf_fault(c->f, place(c, from->id_node), "two entries have the id %.64s",
			   from->id);
}

/* A metric that expressions use. */
static void
check_input(const struct checker *c)
{
	const struct metrics_from *from = &c->from[c->at];

	if (from->metrics.n != 1 || strpbrk(from->metrics.v[0], "*?[\\"))
		conf_fault(c->f, place(c, from->id_node),
			   "an entry with an id names one metric, without wildcards");
	if (metrics_from_stats(from)->n != 1)
		conf_fault(c->f, place(c, from->id_node), "an entry with an id has one statistic");
}

static void
check_entry(struct checker *c)
{
	const struct metrics_from *from = &c->from[c->at];

	if (from->id)
		check_id(c);
	if (from->expression)
		check_expression(c);
	else if (from->name)
		conf_fault(c->f, place(c, from->name_node),
			   "a name goes with an expression; metrics have names of their own");
	else if (from->id && from->ns)
		check_input(c);
}

void
metrics_math_check(struct metrics_opts *o, const struct conf_node *at, struct arena *a,
		   struct conf_faults *f)
{
	struct checker c = {.o = o, .from = o->from.v, .n = o->from.n, .a = a, .f = f, .node = at};

	c.used = arena_array(a, c.n, sizeof(*c.used));
	if (!c.used) {
		conf_nomem(f);
		return;
	}
	for (c.at = 0; c.at < c.n; c.at++)
		check_entry(&c);
	for (c.at = 0; !conf_faults_count(f) && c.at < c.n; c.at++)
		if (c.from[c.at].id && !c.from[c.at].name && !c.used[c.at])
			conf_fault(f, place(&c, c.from[c.at].id_node),
				   "no expression uses %.64s, and without it no series comes of it",
				   c.from[c.at].id);
}
