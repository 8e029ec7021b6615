/*
 * The metrics kind without a runner: a test hands it a configuration, reads its requests and
 * answers them.
 */
#ifndef MUSTER_TESTS_METRICS_RIG_H
#define MUSTER_TESTS_METRICS_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/cleanup.h"
#include "fmt/json.h"
#include "jobs/metrics.h"

#define START	      1767225600000LL /* 2026-01-01T00:00:00Z */
#define CELL_MS	      300000LL
#define NOW	      (START + 20 * 60000)
#define MAX_RIG_CELLS 64

extern const struct job_kind job_metrics;

struct rig {
	struct arena a;
	struct metrics_opts opts;
	struct job_common common;
	struct job_stream s;
	struct label labels[2];
	struct cell cells[MAX_RIG_CELLS];
	size_t n_cells;
	struct pull *p;
	struct aws_call call;
	struct http_resp resp;
	struct cell_data data[MAX_RIG_CELLS];
	struct err err;
	unsigned calls;
};

static inline void
rig_init(struct rig *r, const char *yaml)
{
	const struct conf_key *tables[] = {job_metrics.keys, NULL};
	void *outs[] = {&r->opts};
	struct conf_faults *f = conf_faults_new();
	const struct conf_node *node;

	*r = (struct rig){.a = ARENA_INIT((size_t)16 << 20)};
	r->common = (struct job_common){.name = "ecs", .every_ms = CELL_MS};
	r->labels[0] = (struct label){"tier", "gold"};
	r->s = (struct job_stream){.common = &r->common,
				   .opts = &r->opts,
				   .tenant = "acme",
				   .account = "111122223333",
				   .region = "eu-west-1",
				   .labels = r->labels,
				   .n_labels = 1};
	node = conf_parse("rig", sv_of(yaml), &r->a, f);
	assert_non_null(node);
	conf_read(node, tables, outs, &r->a, f);
	job_metrics.check(&r->common, &r->opts, node, &r->a, f);
	if (conf_faults_count(f))
		fail_msg("%s", conf_faults_get(f, 0));
	conf_faults_free(f);
	aws_call_init(&r->call, (size_t)1 << 20);
	r->resp.body = BUF_INIT((size_t)16 << 20);
	cw_proto_forget();
	cw_proto_begin(CW_JSON); /* what the tests speak */
}

static inline void
rig_close(struct rig *r)
{
	job_metrics.close(r->p);
	r->p = NULL;
	for (size_t i = 0; i < r->n_cells; i++)
		cell_data_done(&r->data[i]);
	r->n_cells = 0;
}

static inline void
rig_done(struct rig *r)
{
	rig_close(r);
	buf_done(&r->resp.body);
	aws_call_done(&r->call);
	arena_done(&r->a);
}

static inline int
rig_try_open(struct rig *r, const json_t *memo, int64_t start_ms, size_t n, int64_t now_ms)
{
	rig_close(r);
	for (size_t i = 0; i < n; i++)
		r->cells[i] = (struct cell){start_ms + (int64_t)i * r->common.every_ms,
					    start_ms + (int64_t)(i + 1) * r->common.every_ms};
	r->calls = 0;
	return job_metrics.open(&r->s, memo, r->cells, n, now_ms, &r->p, &r->err);
}

static inline void
rig_open_at(struct rig *r, const json_t *memo, int64_t start_ms, size_t n, int64_t now_ms)
{
	if (rig_try_open(r, memo, start_ms, n, now_ms))
		fail_msg("%s", r->err.msg);
}

static inline void
rig_open(struct rig *r, const json_t *memo, size_t n)
{
	rig_open_at(r, memo, START, n, NOW);
}

/* The next request's body; NULL when the pull is complete. */
static inline const char *
rig_next(struct rig *r)
{
	int more;

	aws_call_reset(&r->call);
	more = job_metrics.next(r->p, &r->call, &r->err);
	if (more < 0)
		fail_msg("%s", r->err.msg);
	r->calls += (unsigned)more;
	return more ? buf_cstr(&r->call.body) : NULL;
}

static inline int
rig_reply_n(struct rig *r, int status, struct sv body)
{
	r->resp.status = status;
	buf_reset(&r->resp.body);
	buf_sv(&r->resp.body, body);
	return job_metrics.reply(r->p, &r->resp, &r->err);
}

/* Answer the last request. */
static inline void
rig_answer(struct rig *r, const char *body)
{
	err_clear(&r->err);
	if (rig_reply_n(r, 200, sv_of(body)))
		fail_msg("%s", r->err.msg);
}

/* Answer it with something that must not be understood. */
static inline void
rig_garbage(struct rig *r, const char *body)
{
	err_clear(&r->err);
	if (!rig_reply_n(r, 200, sv_of(body)))
		fail_msg("was read: %s", body);
	assert_int_equal(r->err.kind, ERR_DATA);
}

/* Refuse it; returns what the kind makes of that. */
static inline int
rig_refuse(struct rig *r, int status, const char *code, const char *body)
{
	(void)err_set(&r->err, ERR_REJECTED, "refused");
	r->err.http_status = status;
	(void)snprintf(r->err.code, sizeof(r->err.code), "%s", code);
	return rig_reply_n(r, status, sv_of(body));
}

/* Ask, look for a text in the request, answer. */
static inline void
rig_say(struct rig *r, const char *asked, const char *answer)
{
	const char *body = rig_next(r);

	if (!body || !strstr(body, asked))
		fail_msg("expected %s in %s", asked, body ? body : "nothing");
	rig_answer(r, answer);
}

static inline void
rig_complete(struct rig *r, size_t n)
{
	const char *body = rig_next(r);

	if (body)
		fail_msg("not complete: %s", body);
	for (size_t i = 0; i < n; i++)
		cell_data_init(&r->data[i], r->cells[i]);
	r->n_cells = n;
	if (job_metrics.harvest(r->p, r->data, n, &r->err))
		fail_msg("%s", r->err.msg);
}

static inline const char *
rig_lines(const struct rig *r, size_t cell)
{
	return buf_cstr(&r->data[cell].ndjson);
}

static inline const char *
rig_missing(const struct rig *r)
{
	static char text[256];

	job_metrics.missing(r->p, text, sizeof(text));
	return text;
}

/* The list of a service's metrics; `more` are further objects. */
#define DIM(name, value) "{\"Name\":\"" name "\",\"Value\":\"" value "\"}"
#define METRIC(ns, name, dims)                                                                     \
	"{\"Namespace\":\"" ns "\",\"MetricName\":\"" name "\",\"Dimensions\":[" dims "]}"
#define SERVICE(name, service)                                                                     \
	METRIC("ECS/ContainerInsights", name,                                                      \
	       DIM("ClusterName", "c") "," DIM("ServiceName", service))
#define LIST_OF(metrics) "{\"Metrics\":[" metrics "]}"
#define RESULT(id, ts, values, status)                                                             \
	"{\"Id\":\"" id "\",\"Timestamps\":[" ts "],\"Values\":[" values                           \
	"],\"StatusCode\":\"" status "\"}"
#define DATA_OF(results) "{\"MetricDataResults\":[" results "]}"

#endif
