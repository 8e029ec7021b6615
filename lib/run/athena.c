/*
 * Tables over the lake; see athena.h.
 *
 * Partitions are projected: Athena works out the folders that a query needs from its conditions and
 * from what the table says of the folders' names, so there is nothing to crawl or to repair, and a
 * new hour is there as soon as its first object. In return the tenants have to be said.
 */
#include "run/athena.h"

#include <ctype.h>
#include <string.h>

#include "base/arena.h"
#include "base/cleanup.h"
#include "model/normalise.h"
#include "run/session.h"

#define NAMES_MAX ((size_t)16 << 20)
/* A statement may have 262,144 bytes (Service Quotas of Athena). With more tenants than fit, each
 * query has to name those it wants. */
#define VALUES_MAX 200000

struct tables {
	const struct config *c;
	struct buf *out;
	struct arena mem;
	const char **names; /* of the tables so far */
	size_t n_names;
};

/* What every line has beside tenant and region, which are partitions. */
static const struct job_column common[] = {
    {"ts", "string"}, {"account_id", "string"}, {"job", "string"}, {NULL, NULL}};
/* A line of a refused sample, behind the common ones (rejects.c). */
static const struct job_column refused[] = {
    {"name", "string"},	 {"labels", "map<string,string>"},
    {"value", "double"}, {"sink", "string"},
    {"status", "int"},	 {"reason", "string"},
    {NULL, NULL},
};
static const struct job_example refused_examples[] = {
    {"what receivers refused of each tenant, and why",
     "SELECT tenant, sink, status, reason, count(*) AS samples, max(ts) AS newest\n"
     "FROM \"{table}\"\n"
     "WHERE {week}\n"
     "GROUP BY tenant, sink, status, reason ORDER BY samples DESC"},
    {NULL, NULL},
};

/* Names. A table's has letters, digits and underscores only; two jobs' may become one. */

static bool
taken(const struct tables *t, const char *name)
{
	for (size_t i = 0; i < t->n_names; i++)
		if (!strcmp(t->names[i], name))
			return true;
	return false;
}

static const char *
table_name(struct tables *t, const char *job, const char *suffix)
{
	struct buf b = BUF_INIT(1024);
	const char *name;

	buf_fmt(&b, "%s%s", job, suffix);
	for (size_t i = 0; i < b.n; i++)
		if (!isalnum((unsigned char)b.p[i]))
			b.p[i] = '_';
	while (buf_ok(&b) && taken(t, buf_cstr(&b)))
		buf_ch(&b, '_');
	name = buf_ok(&b) ? arena_strdup(&t->mem, buf_view(&b)) : NULL;
	buf_done(&b);
	if (name)
		t->names[t->n_names++] = name;
	else
		t->out->failed = true;
	return name;
}

/* Text of a literal of Hive's. */
static void
add_escaped(struct buf *out, const char *text)
{
	for (; *text; text++) {
		if (*text == '\'' || *text == '\\')
			buf_ch(out, '\\');
		buf_ch(out, *text);
	}
}

/* Partitions */

static bool
has_region(const struct tenant *t, const char *region)
{
	for (size_t i = 0; i < t->n_regions; i++)
		if (!strcmp(t->regions[i], region))
			return true;
	return false;
}

/* Whether a tenant before this one has the job there too. */
static bool
region_seen(const struct config *c, const struct job *job, const struct tenant *before,
	    const char *region)
{
	for (const struct tenant *t = c->tenants; t < before; t++)
		if (tenant_has_job(t, job->name) && has_region(t, region))
			return true;
	return false;
}

static void
list_regions(const struct config *c, const struct job *job, struct buf *out)
{
	for (size_t i = 0; i < c->n_tenants; i++) {
		const struct tenant *t = &c->tenants[i];

		if (!tenant_has_job(t, job->name))
			continue;
		for (size_t k = 0; k < t->n_regions; k++)
			if (!region_seen(c, job, t, t->regions[k]))
				buf_fmt(out, "%s%s", out->n ? "," : "", t->regions[k]);
	}
}

static void
list_tenants(const struct config *c, const struct job *job, struct buf *out)
{
	for (size_t i = 0; i < c->n_tenants; i++)
		if (tenant_has_job(&c->tenants[i], job->name))
			buf_fmt(out, "%s%s", out->n ? "," : "", c->tenants[i].id);
}

static void
add_enum(struct buf *out, const char *column, const struct buf *values)
{
	if (!buf_ok(values))
		out->failed = true;
	if (values->n > VALUES_MAX)
		buf_fmt(out, "  'projection.%s.type' = 'injected',\n", column);
	else
		buf_fmt(out, "  'projection.%s.type' = 'enum',\n  'projection.%s.values' = '%s',\n",
			column, column, buf_cstr(values));
}

static void
add_partitions(const struct tables *t, const struct job *job, const char *location)
{
	struct buf tenants = BUF_INIT(NAMES_MAX), regions = BUF_INIT(NAMES_MAX);

	list_tenants(t->c, job, &tenants);
	list_regions(t->c, job, &regions);
	buf_str(t->out, "TBLPROPERTIES (\n  'projection.enabled' = 'true',\n");
	add_enum(t->out, "tenant", &tenants);
	add_enum(t->out, "region", &regions);
	buf_str(t->out, "  'projection.dt.type' = 'date',\n"
			"  'projection.dt.format' = 'yyyy-MM-dd',\n"
			"  'projection.dt.range' = '2020-01-01,NOW',\n"
			"  'projection.hh.type' = 'integer',\n"
			"  'projection.hh.range' = '0,23',\n"
			"  'projection.hh.digits' = '2',\n"
			"  'storage.location.template' = '");
	add_escaped(t->out, location);
	buf_str(t->out, "tenant=${tenant}/region=${region}/dt=${dt}/hh=${hh}/'\n);\n");
	if (tenants.n > VALUES_MAX)
		buf_str(t->out,
			"\n-- These tenants are too many to be listed: each query has to name "
			"those it wants.\n");
	buf_done(&tenants);
	buf_done(&regions);
}

/* A table */

static void
add_columns(struct buf *out, const struct job_column *columns, bool *any)
{
	for (; columns->name; columns++) {
		buf_str(out, *any ? ",\n  `" : "  `");
		snake_case(out, sv_of(columns->name));
		buf_fmt(out, "` %s", columns->type);
		*any = true;
	}
}

/* Keys of maps keep their capitals only if nothing is folded. Columns have none, so those of keys
 * that do say which it is. */
static void
add_serde(struct buf *out, const struct job_column *columns)
{
	buf_str(out, "ROW FORMAT SERDE 'org.openx.data.jsonserde.JsonSerDe'\n"
		     "WITH SERDEPROPERTIES ('case.insensitive' = 'false'");
	for (; columns->name; columns++) {
		if (!columns->name[strcspn(columns->name, "ABCDEFGHIJKLMNOPQRSTUVWXYZ")])
			continue;
		buf_str(out, ",\n  'mapping.");
		snake_case(out, sv_of(columns->name));
		buf_fmt(out, "' = '%s'", columns->name);
	}
	buf_str(out, ")\n");
}

static void
add_table(const struct tables *t, const struct job *job, const char *name,
	  const struct job_column *columns, const char *location)
{
	bool any = false;

	buf_fmt(t->out, "\nCREATE EXTERNAL TABLE `%s` (\n", name);
	add_columns(t->out, common, &any);
	add_columns(t->out, columns, &any);
	buf_str(t->out,
		"\n)\n"
		"PARTITIONED BY (`tenant` string, `region` string, `dt` string, `hh` string)\n");
	add_serde(t->out, columns);
	buf_str(t->out, "LOCATION '");
	add_escaped(t->out, location);
	buf_str(t->out, "'\n");
	add_partitions(t, job, location);
}

/* What job.h says is filled in. Days are counted back in UTC, as the folders' names are. */
static void
add_filled(struct buf *out, const char *text, const char *table, const char *tenant)
{
	const struct {
		const char *name, *value;
	} fills[] = {
	    {"{table}", table},
	    {"{tenant}", tenant},
	    {"{day}", "dt >= date_format(current_date - interval '1' day, '%Y-%m-%d')"},
	    {"{week}", "dt >= date_format(current_date - interval '7' day, '%Y-%m-%d')"},
	};

	while (*text) {
		size_t i = 0, n = strcspn(text, "{");

		buf_add(out, text, n);
		text += n;
		while (i < ARRAY_LEN(fills) &&
		       strncmp(text, fills[i].name, strlen(fills[i].name)) != 0)
			i++;
		if (i < ARRAY_LEN(fills)) {
			buf_str(out, fills[i].value);
			text += strlen(fills[i].name);
		} else if (*text) {
			buf_ch(out, *text++);
		}
	}
}

static void
add_examples(const struct tables *t, const struct job_example *examples, const char *table,
	     const char *tenant)
{
	for (; examples->what; examples++) {
		buf_str(t->out, "\n-- ");
		add_filled(t->out, examples->what, table, tenant);
		buf_ch(t->out, '\n');
		add_filled(t->out, examples->sql, table, tenant);
		buf_str(t->out, ";\n");
	}
}

static const char *
first_tenant(const struct config *c, const struct job *job)
{
	for (size_t i = 0; i < c->n_tenants; i++)
		if (tenant_has_job(&c->tenants[i], job->name))
			return c->tenants[i].id;
	return NULL;
}

static void
add_location(struct buf *out, const char *url, const char *folder, const char *job)
{
	size_t n = strlen(url);

	while (n && url[n - 1] == '/')
		n--;
	buf_add(out, url, n);
	buf_fmt(out, "/%s%s/", folder, job);
}

/* The job's lines in one lake, and what was refused of them. */
static void
add_lake(struct tables *t, const struct job *job, const char *url, bool refuses)
{
	const char *tenant = first_tenant(t->c, job), *name = table_name(t, job->name, "");
	struct buf location = BUF_INIT(4096);

	if (!tenant || !name)
		return;
	add_location(&location, url, "", job->name);
	add_table(t, job, name, job->kind->columns, buf_cstr(&location));
	add_examples(t, job->kind->examples, name, tenant);
	buf_reset(&location);
	name = refuses ? table_name(t, job->name, "_rejected") : NULL;
	if (name) {
		add_location(&location, url, "rejected/", job->name);
		add_table(t, job, name, refused, buf_cstr(&location));
		add_examples(t, refused_examples, name, tenant);
	}
	if (!buf_ok(&location))
		t->out->failed = true;
	buf_done(&location);
}

static void
add_job(struct tables *t, const struct job *job)
{
	bool refuses = false;

	for (size_t i = 0; i < job->n_to; i++)
		refuses |= job->to[i]->kind == SINK_REMOTE_WRITE;
	for (size_t i = 0; i < job->n_to; i++) {
		if (job->to[i]->kind != SINK_OBJECTS)
			continue;
		buf_fmt(t->out, "\n-- Job %s (%s), in the lake %s.\n", job->name, job->kind->name,
			job->to[i]->name);
		if (!job->kind->columns)
			buf_str(t->out, "-- There is no table for jobs of this kind.\n");
		else if (!first_tenant(t->c, job))
			buf_str(t->out, "-- No tenant has this job: there is nothing to make a "
					"table of.\n");
		else
			add_lake(t, job, job->to[i]->url, refuses);
	}
}

void
athena_text(const struct config *c, struct buf *out)
{
	struct tables t = {.c = c, .out = out, .mem = ARENA_INIT(NAMES_MAX)};
	size_t most = 0;

	buf_fmt(
	    out,
	    "-- The lake as tables of Athena, for %zu tenants and the jobs of %s.\n"
	    "--\n"
	    "-- Partitions are projected: nothing has to be crawled or repaired. When tenants come "
	    "or go,\n"
	    "-- drop the tables and make them anew, which touches no data. A query should say "
	    "`dt`:\n"
	    "-- without it every hour since 2020 is looked for. What came late lies beside its "
	    "cell, in\n"
	    "-- objects whose \"$path\" LIKE '%%.late-%%'.\n",
	    c->n_tenants, c->path);
	for (size_t i = 0; i < c->n_jobs; i++)
		most += 2 * c->jobs[i].n_to;
	t.names = arena_array(&t.mem, most + 1, sizeof(*t.names));
	if (!t.names)
		out->failed = true;
	for (size_t i = 0; t.names && i < c->n_jobs; i++)
		add_job(&t, &c->jobs[i]);
	arena_done(&t.mem);
}
