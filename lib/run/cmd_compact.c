/*
 * muster compact: a finished day's small lake objects become one for each tenant and hour.
 *
 * The only command that deletes lake objects, and so one that has a permission of its own
 * (s3:DeleteObject). No tenant's account is asked for anything: what there is says the lake, whose
 * tenants there are the configuration and the last runs' lists.
 */
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include "aws/endpoint.h"
#include "aws/trial.h"
#include "base/cleanup.h"
#include "base/crew.h"
#include "base/fsx.h"
#include "base/timefmt.h"
#include "fmt/json.h"
#include "run/command.h"
#include "run/command_line.h"
#include "run/compact.h"
#include "run/report.h"
#include "run/session.h"

#define REPORT_MAX    (64u << 20)
#define PROGRESS_MS   30000
#define STATEMENT_MAX 4096

/* One job of one tenant in one region, in one lake. */
struct item {
	struct compact_stream stream;
	const struct sink_conf *lake;
	const struct err *closed; /* why the lake is; NULL: it is open */
	struct compact_counts counts;
	struct err err;
	bool tried;
};
struct lake {
	struct sink *sink;
	struct err why;
	bool none_yet; /* a folder that no run has made */
};
struct compacting {
	const struct session *s;
	struct lake *lakes; /* one a sink of the configuration */
	struct item *items;
	size_t n;
	pthread_mutex_t mu;
	size_t next, done;
	int64_t shown_mono_ms;
};

/* ---- what there is to do ---- */

/* How long after its end a run may still write to a cell. */
static int64_t
reach_of(const struct tenant *t, const struct job *job, const char *region)
{
	const struct job_stream js = session_job_stream(t, job, region);
	int64_t reach = job->kind->reach_ms ? job->kind->reach_ms(&js) : 0;

	if (job->common.once && job->common.hold_ms > reach)
		reach = job->common.hold_ms;
	return reach > job->common.revisit_ms ? reach : job->common.revisit_ms;
}

static void
add_item(struct compacting *c, const struct tenant *t, const struct job *job, const char *region,
	 const struct sink_conf *conf)
{
	const struct lake *l = &c->lakes[conf - c->s->config->sinks];

	c->items[c->n++] = (struct item){
	    .stream = {.lake = l->sink ? sink_objects_store(l->sink) : NULL,
		       .clock = c->s->clock,
		       .job = job->name,
		       .tenant = t->id,
		       .region = region,
		       .before_ms =
			   compact_before_ms(c->s->env.now_ms, c->s->config->run.max_catchup_ms,
					     reach_of(t, job, region)),
		       .dry_run = c->s->options->dry_run},
	    .lake = conf,
	    .closed = l->sink ? NULL : &l->why,
	};
}

static void
add_tenant(struct compacting *c, const struct tenant *t)
{
	const struct config *config = c->s->config;

	for (size_t j = 0; j < config->n_jobs; j++) {
		const struct job *job = &config->jobs[j];

		if (!tenant_has_job(t, job->name) ||
		    !options_select(c->s->options, t->id, job->name))
			continue;
		for (size_t r = 0; r < t->n_regions; r++)
			for (size_t k = 0; k < job->n_to; k++)
				if (job->to[k]->kind == SINK_OBJECTS &&
				    !c->lakes[job->to[k] - config->sinks].none_yet)
					add_item(c, t, job, t->regions[r], job->to[k]);
	}
}

static int
make_items(struct compacting *c, struct err *err)
{
	const struct config *config = c->s->config;
	size_t most = 1;

	for (size_t i = 0; i < config->n_tenants; i++)
		for (size_t j = 0; j < config->n_jobs; j++)
			most += config->tenants[i].n_regions * config->jobs[j].n_to;
	c->items = calloc(most, sizeof(*c->items));
	if (!c->items)
		return err_nomem(err);
	for (size_t i = 0; i < config->n_tenants; i++)
		add_tenant(c, &config->tenants[i]);
	return 0;
}

/* Before the first run there is nothing to look at, as for `status` and `plan`. */
static bool
is_none_yet(const struct sink_conf *conf, struct lake *l)
{
	if (l->why.kind != ERR_NOTFOUND || !sv_starts(sv_of(conf->url), SV("file://")))
		return false;
	log_event(LOG_WARN, "there is no lake yet: has anything run?", LOG_S("sink", conf->name),
		  LOG_S("url", conf->url));
	l->none_yet = true;
	return true;
}

/* -1: none could be opened, and there are some. */
static int
open_lakes(struct compacting *c, struct err *err)
{
	const struct config *config = c->s->config;
	struct sink_env env;
	size_t lakes = 0, open = 0;

	session_sink_env(c->s, &env);
	env.read_only = c->s->options->dry_run;
	c->lakes = calloc(config->n_sinks + 1, sizeof(*c->lakes));
	if (!c->lakes)
		return err_nomem(err);
	for (size_t i = 0; i < config->n_sinks; i++) {
		struct lake *l = &c->lakes[i];

		if (config->sinks[i].kind != SINK_OBJECTS)
			continue;
		lakes++;
		if (!sink_open(&config->sinks[i], &env, &l->sink, &l->why) ||
		    is_none_yet(&config->sinks[i], l)) {
			open++;
			continue;
		}
		(void)err_wrap(&l->why, "sink %s", config->sinks[i].name);
		*err = l->why;
	}
	return lakes && !open ? -1 : 0;
}

/* ---- doing it ---- */

/* What is denied is mended by the statement that allows it. */
static void
advise(struct item *it, const char *region)
{
	CLEANUP(buf_done) struct buf arn = BUF_INIT(STATEMENT_MAX);
	CLEANUP(buf_done) struct buf statement = BUF_INIT(STATEMENT_MAX);
	struct sv url = sv_of(it->lake->url);

	if (it->err.kind != ERR_AUTH || !sv_starts(url, SV("s3://")))
		return;
	while (url.n && url.p[url.n - 1] == '/')
		url.n--;
	buf_fmt(&arn, "\"arn:%s:s3:::%.*s/*\"", endpoint_partition(region), (int)url.n - 5,
		url.p + 5);
	trial_statement("s3:DeleteObject", buf_cstr(&arn), &statement);
	if (buf_ok(&statement))
		(void)err_wrap(&it->err,
			       "compact takes a permission that no other command does, %s",
			       buf_cstr(&statement));
}

static void
do_item(const struct compacting *c, struct item *it)
{
	const struct compact_stream *s = &it->stream;
	const struct compact_counts *n = &it->counts;

	it->tried = true;
	if (it->closed)
		it->err = *it->closed;
	else
		(void)compact_stream(s, &it->counts, &it->err);
	advise(it, c->s->config->region);
	if (it->err.kind != ERR_NONE && it->err.kind != ERR_CANCELLED)
		log_event(LOG_ERROR, "stream not compacted", LOG_S("tenant", s->tenant),
			  LOG_S("job", s->job), LOG_S("region", s->region),
			  LOG_S("sink", it->lake->name), LOG_E(&it->err));
	if (n->hours)
		log_event(LOG_INFO, s->dry_run ? "stream would be compacted" : "stream compacted",
			  LOG_S("tenant", s->tenant), LOG_S("job", s->job),
			  LOG_S("region", s->region), LOG_S("sink", it->lake->name),
			  LOG_I("hours", n->hours), LOG_I("objects", n->objects),
			  LOG_I("joined", n->joined), LOG_I("bytes", n->bytes));
}

static struct item *
take_next(struct compacting *c)
{
	int64_t now = clock_mono_ms(c->s->clock);
	struct item *it = NULL;

	(void)pthread_mutex_lock(&c->mu);
	if (c->next < c->n && !clock_cancelled(c->s->clock))
		it = &c->items[c->next++];
	if (c->s->options->progress != PROGRESS_NEVER && now - c->shown_mono_ms >= PROGRESS_MS) {
		c->shown_mono_ms = now;
		log_event(LOG_INFO, "progress", LOG_I("streams_done", c->done),
			  LOG_I("streams", c->n));
	}
	(void)pthread_mutex_unlock(&c->mu);
	return it;
}

static void *
worker_main(void *arg)
{
	struct compacting *c = arg;

	for (struct item *it; (it = take_next(c)) != NULL;) {
		do_item(c, it);
		(void)pthread_mutex_lock(&c->mu);
		c->done++;
		(void)pthread_mutex_unlock(&c->mu);
	}
	return NULL;
}

static void
do_items(struct compacting *c)
{
	const struct options *o = c->s->options;
	size_t workers = (size_t)(o->workers ? o->workers : c->s->config->run.workers);

	(void)pthread_mutex_init(&c->mu, NULL);
	c->shown_mono_ms = clock_mono_ms(c->s->clock);
	crew_work(workers < c->n ? workers : c->n, worker_main, c);
	(void)pthread_mutex_destroy(&c->mu);
}

/* ---- what came of it ---- */

static json_t *
counts_json(const struct compact_counts *n)
{
	return json_pack("{s:I,s:I,s:I,s:I,s:I}", "hours", (json_int_t)n->hours, "objects",
			 (json_int_t)n->objects, "joined", (json_int_t)n->joined, "bytes",
			 (json_int_t)n->bytes, "hours_failed", (json_int_t)n->failed);
}

static json_t *
item_json(const struct item *it)
{
	json_t *j = json_pack("{s:s,s:s,s:s,s:s,s:o}", "tenant", it->stream.tenant, "job",
			      it->stream.job, "region", it->stream.region, "sink", it->lake->name,
			      "stats", counts_json(&it->counts));

	if (it->err.kind != ERR_NONE)
		(void)json_object_set_new(j, "error",
					  json_pack("{s:s,s:s%}", "kind",
						    err_kind_name(it->err.kind), "message",
						    it->err.msg, strlen(it->err.msg)));
	return j;
}

static struct compact_counts
add_up(const struct compacting *c, size_t *failed)
{
	struct compact_counts sum = {0};

	*failed = 0;
	for (size_t i = 0; i < c->n; i++) {
		const struct compact_counts *n = &c->items[i].counts;

		sum.hours += n->hours;
		sum.objects += n->objects;
		sum.joined += n->joined;
		sum.bytes += n->bytes;
		sum.failed += n->failed;
		*failed += c->items[i].err.kind != ERR_NONE;
	}
	return sum;
}

static int
write_report(const struct compacting *c, const struct compact_counts *sum, int status,
	     struct err *err)
{
	CLEANUP(buf_done) struct buf text = BUF_INIT(REPORT_MAX);
	CLEANUP(json_decrefp) json_t *doc = NULL;
	char started[TIME_TEXT_MAX], now[TIME_TEXT_MAX];
	json_t *streams = json_array();

	time_format_ms(c->s->started_wall_ms, started);
	time_format_ms(c->s->env.now_ms, now);
	for (size_t i = 0; i < c->n; i++)
		if (c->items[i].tried)
			(void)json_array_append_new(streams, item_json(&c->items[i]));
	doc = json_pack("{s:s,s:s,s:s,s:s,s:b,s:i,s:o,s:o}", "command", "compact", "run",
			c->s->run_id, "started", started, "now", now, "dry_run",
			(int)c->s->options->dry_run, "exit_status", status, "totals",
			counts_json(sum), "streams", streams);
	if (!doc)
		return err_nomem(err);
	if (json_dump(doc, true, &text, err) || buf_check(&text, "report", err))
		return -1;
	return fsx_output(c->s->options->report, "the report", buf_view(&text), NULL, err);
}

static int
conclude(const struct compacting *c)
{
	size_t failed;
	struct compact_counts sum = add_up(c, &failed);
	int why = clock_cancelled(c->s->clock);
	int status = why ? 128 + why : failed ? EXIT_SOME_FAILED : EXIT_OK;
	struct err err = {0};

	log_event(LOG_INFO, "compact finished", LOG_S("run", c->s->run_id), LOG_I("streams", c->n),
		  LOG_I("streams_failed", failed), LOG_I("hours", sum.hours),
		  LOG_I("objects", sum.objects), LOG_I("joined", sum.joined),
		  LOG_I("bytes", sum.bytes));
	if (c->s->options->report && write_report(c, &sum, status, &err))
		log_event(LOG_ERROR, "report not written", LOG_E(&err));
	return status;
}

/* ---- the command ---- */

static void
compacting_done(struct compacting *c)
{
	for (size_t i = 0; c->lakes && i < c->s->config->n_sinks; i++)
		sink_free(c->lakes[i].sink);
	free(c->lakes);
	free(c->items);
}

static bool
needs_aws(const struct config *c)
{
	for (size_t i = 0; i < c->n_sinks; i++)
		if (c->sinks[i].kind == SINK_OBJECTS &&
		    !sv_starts(sv_of(c->sinks[i].url), SV("file://")))
			return true;
	return false;
}

static int
with_config(const struct options *o, const struct config *config, struct err *err)
{
	unsigned how = STATE_LOOK | (needs_aws(config) ? STATE_AWS : 0);
	struct compacting c = {0};
	struct session s;
	int status = EXIT_CENTRAL;

	command_catch_signals(session_clock());
	c.s = &s;
	if (!session_open_state(&s, config, o, session_clock(), how, err) &&
	    !session_check_choice(&s, err) && !open_lakes(&c, err) && !make_items(&c, err)) {
		do_items(&c);
		status = conclude(&c);
	} else if (err->kind == ERR_USAGE) {
		status = EXIT_USAGE;
	}
	if (status == EXIT_CENTRAL && clock_cancelled(session_clock()))
		status = 128 + clock_cancelled(session_clock());
	compacting_done(&c);
	session_close(&s);
	return status;
}

int
cmd_compact(int argc, char **argv)
{
	static const struct command_line line = {
	    .command = FOR_COMPACT,
	    .usage = "usage: muster compact [OPTION]...\n\n"
		     "Joins the small lake objects of each tenant, job and hour into one, of days "
		     "that no\n"
		     "run reaches back to any more: older than run.max_catchup, revisit and a day. "
		     "What\n"
		     "reads the lake goes on as before, and so does backfill: a manifest says "
		     "which cells\n"
		     "are in which object. Killed and given again, it carries on. The objects that "
		     "were\n"
		     "joined are deleted when the new one has been read back: on S3 that takes\n"
		     "s3:DeleteObject, which no other command does.",
	};
	struct config *config = NULL;
	struct err err = {0};
	struct options o;
	int status;

	if (!command_begin(&line, argc, argv, &o, &config, &status))
		return status;
	status = with_config(&o, config, &err);
	if (err.kind != ERR_NONE)
		log_event(LOG_ERROR, "compact", LOG_E(&err));
	config_free(config);
	return status;
}
