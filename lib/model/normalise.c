/*
 * Names; see normalise.h. What can be said in tables is: the eight metrics, the dimensions with
 * names of their own, and what each naming adds.
 */
#include "model/normalise.h"

#include "base/cleanup.h"

#define NAME_MAX_BYTES                                                                             \
	8192 /* namespace, metric name, statistic and tenant together stay far below */

const char *const naming_words[] = {"muster", "adot", "adot-units", "tenant-prefix", "yace", NULL};
const char *const memory_unit_words[] = {"MiB", "Megabytes", NULL};

/* The eight metrics of ECS tasks: unit is CloudWatch's, suffix the collector's (NULL: the
 * memory unit's word). */
static const struct eight {
	const char *metric, *name, *unit, *suffix;
} eight[ECS_EIGHT] = {
    {"CpuReserved", "ecs_task_cpu_reserved", "None", "None"},
    {"CpuUtilized", "ecs_task_cpu_utilized", "None", "None"},
    {"MemoryReserved", "ecs_task_memory_reserved", "Megabytes", NULL},
    {"MemoryUtilized", "ecs_task_memory_utilized", "Megabytes", NULL},
    {"NetworkRxBytes", "ecs_task_network_rate_rx", "Bytes/Second", "Bytes_per_Second"},
    {"NetworkTxBytes", "ecs_task_network_rate_tx", "Bytes/Second", "Bytes_per_Second"},
    {"StorageReadBytes", "ecs_task_storage_read_bytes", "Bytes", "Bytes"},
    {"StorageWriteBytes", "ecs_task_storage_write_bytes", "Bytes", "Bytes"},
};
const char *const ecs_eight[ECS_EIGHT] = {"CpuReserved",      "CpuUtilized",	  "MemoryReserved",
					  "MemoryUtilized",   "NetworkRxBytes",	  "NetworkTxBytes",
					  "StorageReadBytes", "StorageWriteBytes"};

/* Dimensions of ECS: our label, and the collector's beside it. */
static const struct ecs_dim {
	const char *dimension, *label, *adot;
} ecs_dims[] = {
    {"ClusterName", "cluster", "aws_ecs_cluster_name"},
    {"ContainerName", "container", "container_name"},
    {"ServiceName", "service", "aws_ecs_service_name"},
    {"TaskDefinitionFamily", "task_family", "aws_ecs_task_family"},
    {"TaskId", "task", "aws_ecs_task_id"},
};

/* Only the dimensions of these are known to be what the collector's labels say. */
static bool
is_ecs(const char *ns)
{
	return !strcmp(ns, ECS_INSIGHTS_NAMESPACE) || !strcmp(ns, "AWS/ECS");
}

static const struct eight *
find_eight(const struct metric_source *m)
{
	if (strcmp(m->ns, ECS_INSIGHTS_NAMESPACE) != 0)
		return NULL;
	for (size_t i = 0; i < ECS_EIGHT; i++)
		if (!strcmp(eight[i].metric, m->metric))
			return &eight[i];
	return NULL;
}

/* Spelling */

static bool
is_lower(char c)
{
	return c >= 'a' && c <= 'z';
}

static bool
is_upper(char c)
{
	return c >= 'A' && c <= 'Z';
}

static bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static char
to_lower(char c)
{
	return is_upper(c) ? (char)(c - 'A' + 'a') : c;
}

/* Does a new word begin at s[i], which follows a letter or digit? */
static bool
word_begins(struct sv s, size_t i)
{
	bool lower_next = i + 1 < s.n && is_lower(s.p[i + 1]);

	if (!is_upper(s.p[i]))
		return false;
	return is_lower(s.p[i - 1]) ||
	       (lower_next && (is_upper(s.p[i - 1]) || is_digit(s.p[i - 1])));
}

void
snake_case(struct buf *out, struct sv s)
{
	size_t start = out->n;
	bool gap = false;

	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];
		bool word = is_lower(c) || is_upper(c) || is_digit(c);

		gap = gap || !word || (i && word_begins(s, i));
		if (!word && c != '%')
			continue;
		if (gap && out->n > start)
			buf_ch(out, '_');
		gap = !word;
		if (word)
			buf_ch(out, to_lower(c));
		else
			buf_str(out, "percent");
	}
	if (out->n == start)
		buf_ch(out, 'x');
}

void
yace_case(struct buf *out, struct sv s)
{
	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];

		if (c == '%') {
			buf_str(out, "_percent");
			continue;
		}
		if (i && is_upper(c) && (is_lower(s.p[i - 1]) || is_digit(s.p[i - 1])))
			buf_ch(out, '_');
		buf_ch(out, is_lower(c) || is_upper(c) || is_digit(c) ? to_lower(c) : '_');
	}
}

/* YACE's spelling of a dimension: as it is, with what no label name may hold replaced. */
static void
yace_label(struct buf *out, struct sv s)
{
	buf_str(out, "dimension_");
	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];

		if (c == '%')
			buf_str(out, "_percent");
		else
			buf_ch(out, is_lower(c) || is_upper(c) || is_digit(c) ? c : '_');
	}
}

static const struct ecs_dim *
find_dim(struct sv name)
{
	for (size_t i = 0; i < ARRAY_LEN(ecs_dims); i++)
		if (sv_eq(sv_of(ecs_dims[i].dimension), name))
			return &ecs_dims[i];
	return NULL;
}

void
dimension_label(struct buf *out, struct sv dimension)
{
	const struct ecs_dim *d = find_dim(dimension);
	size_t start = out->n;

	if (d) {
		buf_str(out, d->label);
		return;
	}
	snake_case(out, dimension);
	if (buf_ok(out) && is_digit(out->p[start])) {
		buf_ch(out, '_');
		memmove(out->p + start + 1, out->p + start, out->n - start - 1);
		out->p[start] = '_';
	}
}

/* Metric names */

static void
add_stat(struct buf *out, const char *stat)
{
	buf_ch(out, '_');
	snake_case(out, sv_of(stat));
}

static void
eight_name(struct buf *out, const struct naming_rules *r, const struct eight *e, const char *stat)
{
	buf_str(out, e->name);
	if (r->naming == NAMING_ADOT_UNITS) {
		buf_ch(out, '_');
		buf_str(out, e->suffix ? e->suffix : memory_unit_words[r->memory_unit]);
	}
	if (strcmp(stat, "Average") != 0)
		add_stat(out, stat);
}

static void
plain_name(struct buf *out, const struct metric_source *m)
{
	CLEANUP(buf_done) struct buf ns = BUF_INIT(NAME_MAX_BYTES);

	snake_case(&ns, sv_of(m->ns));
	if (strcmp(buf_cstr(&ns), "aws") != 0 && !sv_starts(buf_view(&ns), SV("aws_")))
		buf_str(out, "aws_");
	buf_sv(out, buf_view(&ns));
	buf_ch(out, '_');
	snake_case(out, sv_of(m->metric));
	add_stat(out, m->stat);
	out->failed = out->failed || !buf_ok(&ns);
}

/* A part of the namespace that the metric's name repeats at its front is left out. */
static struct sv
yace_trim(struct sv metric, struct sv ns)
{
	while (ns.n) {
		const char *end = memchr(ns.p, '_', ns.n);
		struct sv part = {ns.p, end ? (size_t)(end - ns.p) : ns.n};

		if (part.n && sv_starts(metric, part))
			metric = (struct sv){metric.p + part.n, metric.n - part.n};
		ns.p += part.n + (end != NULL);
		ns.n -= part.n + (end != NULL);
	}
	if (sv_starts(metric, SV("_")))
		metric = (struct sv){metric.p + 1, metric.n - 1};
	return metric;
}

static void
yace_name(struct buf *out, const struct metric_source *m)
{
	CLEANUP(buf_done)
	struct buf ns = BUF_INIT(NAME_MAX_BYTES), metric = BUF_INIT(NAME_MAX_BYTES);
	struct sv v;

	/* The namespace is lower-cased first: no word begins inside it. */
	for (const char *p = m->ns; *p; p++)
		buf_ch(&ns, to_lower(*p));
	v = buf_view(&ns);
	yace_case(&metric, v);
	buf_reset(&ns);
	buf_sv(&ns, buf_view(&metric));
	v = buf_view(&ns);
	if (sv_starts(v, SV("_")))
		v = (struct sv){v.p + 1, v.n - 1};
	buf_reset(&metric);
	yace_case(&metric, sv_of(m->metric));
	if (!sv_starts(v, SV("aws")))
		buf_str(out, "aws_");
	buf_sv(out, v);
	buf_ch(out, '_');
	buf_sv(out, yace_trim(buf_view(&metric), v));
	buf_ch(out, '_');
	yace_case(out, sv_of(m->stat));
	out->failed = out->failed || !buf_ok(&ns) || !buf_ok(&metric);
}

/* The tenant's id as a collector's namespace: what no metric name may hold is '_'. */
static void
tenant_prefix(struct buf *out, const char *tenant)
{
	if (is_digit(*tenant))
		buf_ch(out, '_');
	for (const char *p = tenant; *p; p++)
		buf_ch(out, is_lower(*p) || is_upper(*p) || is_digit(*p) ? *p : '_');
	buf_ch(out, '_');
}

static void
metric_name(struct buf *out, const struct naming_rules *r, const char *tenant,
	    const struct metric_source *m)
{
	const struct eight *e = find_eight(m);

	if (r->naming == NAMING_YACE) {
		yace_name(out, m);
		return;
	}
	if (r->naming == NAMING_TENANT_PREFIX)
		tenant_prefix(out, tenant);
	if (e)
		eight_name(out, r, e, m->stat);
	else
		plain_name(out, m);
}

/* Labels */

/* Never given to a dimension, even where the series has none of that name. */
static const char *const reserved[] = {"tenant", "account_id", "region", "dimension_set"};

bool
label_is_reserved(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(reserved); i++)
		if (!strcmp(reserved[i], name))
			return true;
	return false;
}

struct label_set {
	struct arena *a;
	const struct series *like; /* see struct series_owner */
	struct label *v;
	size_t n;
	bool failed;
};

static bool
taken(const struct label_set *set, const char *name)
{
	if (label_is_reserved(name))
		return true;
	for (size_t i = 0; i < set->n; i++)
		if (!strcmp(set->v[i].name, name))
			return true;
	return false;
}

/* Both live as long as the series. */
static void
put(struct label_set *set, const char *name, const char *value)
{
	if (*value && !set->failed)
		set->v[set->n++] = (struct label){name, value};
}

static const char *
keep(struct label_set *set, const struct buf *text)
{
	const char *kept;

	for (size_t i = 0; set->like && buf_ok(text) && i < set->like->n_labels; i++)
		if (!strcmp(set->like->labels[i].name, buf_cstr(text)))
			return set->like->labels[i].name;
	kept = buf_ok(text) ? arena_strdup(set->a, buf_view(text)) : NULL;
	set->failed = set->failed || !kept;
	return kept ? kept : "";
}

/* Labels of ours beside the reserved ones: the tenant's labels, which are there already, win. */
static void
put_ours(struct label_set *set, const char *name, const char *value)
{
	if (!taken(set, name))
		put(set, name, value);
}

static void
put_dimension(struct label_set *set, struct buf *name, const struct label *dim)
{
	CLEANUP(buf_done) struct buf prefixed = BUF_INIT(NAME_MAX_BYTES);

	while (buf_ok(name) && taken(set, buf_cstr(name))) {
		buf_reset(&prefixed);
		buf_str(&prefixed, "dim_");
		buf_sv(&prefixed, buf_view(name));
		buf_reset(name);
		buf_sv(name, buf_view(&prefixed));
	}
	put(set, *dim->value ? keep(set, name) : "", dim->value);
}

static void
put_dimensions(struct label_set *set, const struct naming_rules *r, const struct metric_source *m)
{
	CLEANUP(buf_done) struct buf name = BUF_INIT(NAME_MAX_BYTES);

	for (size_t i = 0; i < m->n_dims; i++) {
		struct sv dim = sv_of(m->dims[i].name);

		buf_reset(&name);
		if (r->naming == NAMING_YACE)
			yace_label(&name, dim);
		else
			dimension_label(&name, dim);
		put_dimension(set, &name, &m->dims[i]);
	}
}

static int
cmp_strings(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The dimensions' label names, sorted and joined: the same for every naming. */
static void
put_dimension_set(struct label_set *set, const struct metric_source *m)
{
	CLEANUP(buf_done) struct buf text = BUF_INIT(NAME_MAX_BYTES);
	const char **names = arena_array(set->a, m->n_dims, sizeof(*names));

	if (!names) {
		set->failed = true;
		return;
	}
	for (size_t i = 0; i < m->n_dims; i++) {
		buf_reset(&text);
		dimension_label(&text, sv_of(m->dims[i].name));
		names[i] = arena_strdup(set->a, buf_view(&text));
		if (!names[i] || !buf_ok(&text)) {
			set->failed = true;
			return;
		}
	}
	if (m->n_dims > 1)
		qsort(names, m->n_dims, sizeof(*names), cmp_strings);
	buf_reset(&text);
	for (size_t i = 0; i < m->n_dims; i++) {
		if (i)
			buf_ch(&text, '_');
		buf_str(&text, names[i]);
	}
	put(set, "dimension_set", keep(set, &text));
}

static const char *
dim_value(const struct metric_source *m, const char *name)
{
	for (size_t i = 0; i < m->n_dims; i++)
		if (!strcmp(m->dims[i].name, name))
			return m->dims[i].value;
	return NULL;
}

static void
put_adot(struct label_set *set, const struct series_owner *o, const struct metric_source *m)
{
	put_ours(set, "cloud_account_id", o->account);
	put_ours(set, "cloud_region", o->region);
	for (size_t i = 0; is_ecs(m->ns) && i < ARRAY_LEN(ecs_dims); i++) {
		const char *value = dim_value(m, ecs_dims[i].dimension);

		if (value)
			put_ours(set, ecs_dims[i].adot, value);
	}
}

/* YACE's `name` is the resource's ARN where it knows one, else "global". */
static void
put_yace(struct label_set *set, const struct series_owner *o, const struct metric_source *m)
{
	const char *cluster = is_ecs(m->ns) ? dim_value(m, "ClusterName") : NULL;
	const char *service = dim_value(m, "ServiceName");
	CLEANUP(buf_done) struct buf arn = BUF_INIT(NAME_MAX_BYTES);

	if (!cluster) {
		put_ours(set, "name", "global");
		return;
	}
	buf_fmt(&arn, "arn:%s:ecs:%s:%s:", o->partition, o->region, o->account);
	buf_fmt(&arn, "%s/%s", service ? "service" : "cluster", cluster);
	if (service)
		buf_fmt(&arn, "/%s", service);
	put_ours(set, "name", keep(set, &arn));
}

static void
put_owner(struct label_set *set, const struct series_owner *o)
{
	put(set, "tenant", o->tenant);
	put(set, "account_id", o->account);
	put(set, "region", o->region);
	for (size_t i = 0; i < o->n_labels; i++)
		put_ours(set, o->labels[i].name, o->labels[i].value);
}

static int
keep_labels(struct label_set *set, struct series *s, struct err *err)
{
	struct label *kept;

	if (set->failed)
		return err_nomem(err);
	qsort(set->v, set->n, sizeof(*set->v), label_by_name);
	kept = arena_array(set->a, set->n, sizeof(*kept));
	if (!kept)
		return err_nomem(err);
	memcpy(kept, set->v, set->n * sizeof(*kept));
	s->labels = kept;
	s->lens = label_count(kept, set->n, set->a);
	s->n_labels = set->n;
	return 0;
}

int
normalise_labels(const struct series_owner *o, const struct label *more, size_t n_more,
		 struct arena *a, struct series *s, struct err *err)
{
	CLEANUP(buf_done) struct buf name = BUF_INIT(NAME_MAX_BYTES);
	/* tenant, account_id, region */
	CLEANUP(freep) struct label *v = calloc(3 + o->n_labels + n_more, sizeof(*v));
	struct label_set set = {.a = a, .v = v};

	if (!v)
		return err_nomem(err);
	put_owner(&set, o);
	for (size_t i = 0; i < n_more; i++) {
		buf_reset(&name);
		buf_str(&name, more[i].name);
		put_dimension(&set, &name, &more[i]);
	}
	return keep_labels(&set, s, err);
}

static int
make_labels(const struct naming_rules *r, const struct series_owner *o,
	    const struct metric_source *m, struct arena *a, struct series *s, struct err *err)
{
	/* tenant, account_id, region, dimension_set, name, cloud_account_id, cloud_region */
	size_t ours = 7 + ARRAY_LEN(ecs_dims);
	CLEANUP(freep)
	struct label *v = calloc(ours + o->n_labels + m->n_dims, sizeof(*v));
	struct label_set set = {.a = a, .like = o->like, .v = v};

	if (!v)
		return err_nomem(err);
	put_owner(&set, o);
	if (m->many_sets)
		put_dimension_set(&set, m);
	if (r->naming == NAMING_YACE)
		put_yace(&set, o, m);
	else if (r->naming != NAMING_MUSTER)
		put_adot(&set, o, m);
	put_dimensions(&set, r, m);
	return keep_labels(&set, s, err);
}

int
normalise_series(const struct naming_rules *r, const struct series_owner *o,
		 const struct metric_source *m, int64_t period_ms, struct arena *a,
		 struct series *ret, struct err *err)
{
	CLEANUP(buf_done) struct buf name = BUF_INIT(NAME_MAX_BYTES);
	const struct eight *e = find_eight(m);

	metric_name(&name, r, o->tenant, m);
	if (buf_check(&name, "name of a metric", err))
		return -1;
	*ret = (struct series){
	    .name = o->like && !strcmp(o->like->name, buf_cstr(&name))
			? o->like->name
			: arena_strdup(a, buf_view(&name)),
	    .stat = m->stat,
	    .unit = e ? e->unit : NULL,
	    .period_ms = period_ms,
	};
	if (!ret->name)
		return err_nomem(err);
	return make_labels(r, o, m, a, ret, err);
}

int
normalise_named(const struct naming_rules *r, const struct series_owner *o, const char *name,
		const struct metric_source *m, int64_t period_ms, struct arena *a,
		struct series *ret, struct err *err)
{
	CLEANUP(buf_done) struct buf text = BUF_INIT(NAME_MAX_BYTES);

	if (r->naming == NAMING_TENANT_PREFIX)
		tenant_prefix(&text, o->tenant);
	buf_str(&text, name);
	if (buf_check(&text, "name of a series", err))
		return -1;
	*ret = (struct series){.name = arena_strdup(a, buf_view(&text)), .period_ms = period_ms};
	if (!ret->name)
		return err_nomem(err);
	return make_labels(r, o, m, a, ret, err);
}
