/*
 * The section `jobs`: the keys that all kinds share, the kind's own through its table, and the hash
 * of what a job's data are.
 */
#include "run/config_read.h"

#include "base/cleanup.h"
#include "base/hash.h"
#include "base/num.h"
#include "model/seen.h"
#include "state/checkpoint.h"

#define HOUR_MS	       INT64_C(3600000)
#define DAY_MS	       (24 * HOUR_MS)
#define DEFINITION_MAX ((size_t)1 << 20)
#define ONCE_CELLS_MAX (SEEN_CELLS_MAX / 2)

struct job_read {
	struct job_common common;
	const char *kind;
	struct conf_strings to;
	const struct conf_node *every_node, *to_node, *revisit_node;
};

#define TIME(member) offsetof(struct job_read, common.member)

const struct conf_key config_job_keys[] = {
    {.name = "kind",
     .type = CONF_STRING,
     .offset = offsetof(struct job_read, kind),
     .flags = CONF_REQUIRED,
     .help = "What is fetched; each kind has keys of its own, below."},
    {.name = "every",
     .type = CONF_DURATION,
     .offset = TIME(every_ms),
     .min = 1000,
     .max = DAY_MS,
     .node_offset = offsetof(struct job_read, every_node),
     .help = "Length of a cell: a multiple of the period that divides an hour, or whole hours that "
	     "divide a day. Default: by kind."},
    {.name = "delay",
     .type = CONF_DURATION,
     .offset = TIME(delay_ms),
     .flags = CONF_OFF,
     .min = 0,
     .max = 7 * DAY_MS,
     .help = "How long the service is given to settle before a cell is due. Default: by kind."},
    {.name = "hold",
     .type = CONF_DURATION,
     .offset = TIME(hold_ms),
     .flags = CONF_OFF,
     .min = 0,
     .max = 7 * DAY_MS,
     .deflt = "20m",
     .help =
	 "metrics: how long a cell with less than half the series of the one before waits for the "
	 "rest. insights and traces: how long after its end a cell is asked for again (`revisit: "
	 "once`)."},
    {.name = "revisit",
     .type = CONF_DURATION,
     .offset = TIME(revisit_ms),
     .flags = CONF_OFF | CONF_OR_ONCE,
     .min = 0,
     .max = 14 * DAY_MS,
     .node_offset = offsetof(struct job_read, revisit_node),
     .help = "metrics: how far back late points are looked for, in the same requests; 0s: not at "
	     "all, and "
	     "what is born between two listings begins late. insights and traces: `once` asks for "
	     "each cell a "
	     "second "
	     "time, `hold` after its end (which scans, and costs, as much again), for log events "
	     "that were "
	     "not there at first; not for queries such as stats, dedup or limit, whose rows change "
	     "with "
	     "each event instead of becoming more. Default: by kind."},
    {.name = "lookback",
     .type = CONF_DURATION,
     .offset = TIME(lookback_ms),
     .flags = CONF_OFF,
     .min = 0,
     .max = 455 * DAY_MS,
     .deflt = "30m",
     .help = "How far back a stream without a checkpoint begins."},
    {.name = "max_series",
     .type = CONF_INT,
     .offset = offsetof(struct job_read, common.max_series),
     .min = 0,
     .max = 10000000,
     .deflt = "100000",
     .help =
	 "How many series of a tenant's region receivers get of a cell at most; 0: all. Names "
	 "with few series keep theirs, of the others the same ones stay each time. What is left "
	 "out is in the lake, counted and warned of."},
    {.name = "to",
     .type = CONF_STRINGS,
     .offset = offsetof(struct job_read, to),
     .flags = CONF_REQUIRED,
     .node_offset = offsetof(struct job_read, to_node),
     .help = "Names of the sinks that get the data."},
    CONF_END,
};

static const struct job_kind *
find_kind(struct config_read *r, const struct conf_node *at, const char *name)
{
	const struct job_kind *k = job_kind_find(name);
	const char *names[64];
	size_t n = 0;

	if (k)
		return k;
	for (; n < ARRAY_LEN(names) && job_kinds[n]; n++)
		names[n] = job_kinds[n]->name;
	config_unknown(r, at, "kind", name, names, n);
	return NULL;
}

static struct sink_conf *
find_sink(const struct config *c, const char *name)
{
	for (size_t i = 0; i < c->n_sinks; i++)
		if (!strcmp(c->sinks[i].name, name))
			return &c->sinks[i];
	return NULL;
}

static void
unknown_sink(struct config_read *r, const struct conf_node *at, const char *name)
{
	const char **names = config_array(r, r->c->n_sinks, sizeof(*names));

	for (size_t i = 0; names && i < r->c->n_sinks; i++)
		names[i] = r->c->sinks[i].name;
	if (names)
		config_unknown(r, at, "sink", name, names, r->c->n_sinks);
}

static void
resolve_to(struct config_read *r, const struct job_read *in, struct job *job)
{
	job->to = config_array(r, in->to.n, sizeof(*job->to));
	for (size_t i = 0; job->to && i < in->to.n; i++) {
		const struct conf_node *at = config_word_node(in->to_node, &in->to, i);
		struct sink_conf *sink = find_sink(r->c, in->to.v[i]);
		bool twice = false;

		for (size_t k = 0; k < job->n_to; k++)
			twice = twice || job->to[k] == sink;
		if (!sink)
			unknown_sink(r, at, in->to.v[i]);
		else if (twice)
			conf_fault(r->f, at, "sink %s is named twice", sink->name);
		else if (sink->kind == SINK_ALERTMANAGER && !job->kind->states)
			conf_fault(r->f, at, "sink %s takes alarms only", sink->name);
		else if (sink->kind == SINK_OTLP && !job->kind->spans)
			conf_fault(r->f, at, "sink %s takes traces only", sink->name);
		else
			job->to[job->n_to++] = sink;
	}
}

/* Keys of an unknown kind are not known either: only what all kinds share is looked at. */
static void
check_every(struct config_read *r, const struct job_read *in, const struct conf_node *node)
{
	char text[32];

	if (cell_every_valid(in->common.every_ms, 0))
		return;
	num_duration_format(in->common.every_ms, text);
	conf_fault(r->f, in->every_node ? in->every_node : node,
		   "%s should divide an hour, or be whole hours that divide a day", text);
}

static bool
has_lake(const struct job *job)
{
	for (size_t i = 0; i < job->n_to; i++)
		if (job->to[i]->kind == SINK_OBJECTS)
			return true;
	return false;
}

/* A second asking can find something only if it is later than the first, and only where what the
 * first one brought can be read. */
static void
check_once(struct config_read *r, const struct job_read *in, const struct job *job)
{
	const struct job_common *c = &job->common;
	char hold[32], delay[32];

	num_duration_format(c->hold_ms, hold);
	num_duration_format(c->delay_ms, delay);
	if (!job->kind->open_again)
		conf_fault(r->f, in->revisit_node,
			   "`once` is for cells that are paid for with each asking (kinds insights "
			   "and traces): "
			   "expected a duration such as 90s, 5m or 1h30m");
	else if (c->hold_ms <= c->delay_ms)
		conf_fault(
		    r->f, in->revisit_node,
		    "`once` asks again `hold` (%s) after a cell's end: that should be more than "
		    "delay (%s)",
		    hold, delay);
	else if (c->hold_ms / c->every_ms > ONCE_CELLS_MAX)
		conf_fault(r->f, in->revisit_node,
			   "`once`: over %d cells would wait for their second asking: make `every` "
			   "longer or `hold` (%s) shorter",
			   ONCE_CELLS_MAX, hold);
	else if (job->n_to && !has_lake(job))
		conf_fault(
		    r->f, in->revisit_node,
		    "`once` needs a sink of kind objects: what is new is told by what is frozen "
		    "there");
}

static void
define(struct config_read *r, struct job *job)
{
	CLEANUP(buf_done)
	struct buf own = BUF_INIT(DEFINITION_MAX), text = BUF_INIT(DEFINITION_MAX);
	char hex[SHA256_HEX_LEN + 1];

	job->kind->definition(&job->common, job->opts, &own);
	buf_fmt(&text, "{\"kind\":\"%s\",\"every_ms\":%lld,\"definition\":", job->kind->name,
		(long long)job->common.every_ms);
	buf_sv(&text, buf_view(&own));
	buf_ch(&text, '}');
	if (own.no_memory || text.no_memory) {
		conf_nomem(r->f);
		return;
	}
	if (!buf_ok(&own) || !buf_ok(&text)) {
		conf_fault(r->f, job->node, "too large: its definition is over 1 MiB");
		return;
	}
	sha256_hex(buf_view(&text), hex);
	memcpy(job->definition, hex, sizeof(job->definition) - 1);
}

static void
read_of_kind(struct config_read *r, const struct conf_node *node, struct job *job)
{
	struct job_read in = {.common = {.name = job->name,
					 .every_ms = job->kind->every_ms,
					 .delay_ms = job->kind->delay_ms,
					 .revisit_ms = job->kind->revisit_ms}};
	size_t before = conf_faults_count(r->f);

	job->opts = config_array(r, 1, job->kind->opts_size);
	if (!job->opts)
		return;
	conf_read(node, (const struct conf_key *const[]){config_job_keys, job->kind->keys, NULL},
		  (void *const[]){&in, job->opts}, r->a, r->f);
	job->common = in.common;
	job->common.once = in.common.revisit_ms == CONF_ONCE_MS;
	if (job->common.once)
		job->common.revisit_ms = 0;
	check_every(r, &in, node);
	resolve_to(r, &in, job);
	if (job->common.once)
		check_once(r, &in, job);
	if (job->kind->check)
		job->kind->check(&job->common, job->opts, node, r->a, r->f);
	if (conf_faults_count(r->f) == before)
		define(r, job);
}

static void
read_job(struct config_read *r, const struct conf_node *node, struct job *job)
{
	const struct conf_node *kind = conf_child(node, "kind");

	job->name = conf_name(node);
	job->node = node;
	if (!conf_is_map(node) && !conf_is_null(node)) {
		if (!conf_is_bad(node))
			conf_fault(r->f, node, "should be a mapping of keys");
	} else if (conf_is_null(kind)) {
		conf_fault_missing(r->f, node, "kind", "missing");
	} else if (!conf_peek(node, "kind")) {
		if (!conf_is_bad(kind))
			conf_fault(r->f, kind, "should be a string");
	} else {
		job->kind = find_kind(r, kind, conf_peek(node, "kind"));
		if (job->kind)
			read_of_kind(r, node, job);
	}
}

/* Beside the rule for all names: what is kept under a job's name is not another's. */
static void
check_name(struct config_read *r, const struct conf_node *node)
{
	const char *name = conf_name(node);

	if (!conf_name_valid(name))
		conf_fault_key(r->f, node, CONF_NAME_RULE);
	else if (!ckpt_job_valid(name))
		conf_fault_key(
		    r->f, node,
		    "its checkpoint would be taken for an earlier one of another job: give it a "
		    "name that does not end in .prev or hold .damaged- or .forgotten-");
	else if (!strcmp(name, "rejected"))
		conf_fault_key(r->f, node,
			       "refused samples are kept under this name: give the job another");
}

void
config_read_jobs(struct config_read *r, const struct conf_node *node)
{
	size_t n = 0;

	for (const struct conf_node *j = conf_first(node); j; j = conf_next(node, j))
		n++;
	r->c->jobs = config_array(r, n, sizeof(*r->c->jobs));
	if (!r->c->jobs || !conf_is_map(node))
		return;
	for (const struct conf_node *j = conf_first(node); j; j = conf_next(node, j)) {
		check_name(r, j);
		read_job(r, j, &r->c->jobs[r->c->n_jobs++]);
	}
}
