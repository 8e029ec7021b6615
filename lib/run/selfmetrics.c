/* The run about itself; see selfmetrics.h. */
#include "run/selfmetrics.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/arena.h"
#include "base/cleanup.h"

#define ROWS_MAX   2000 /* in one push: some 0.8 MB */
#define ARENA_MAX  (64u << 20)
#define LABELS_MAX 8

struct push {
	const struct self_metrics *m;
	struct cell_data d;
	int64_t now_ms;
	bool nomem;
};

static void
push_begin(struct push *p)
{
	const struct cell whole = {p->now_ms, p->now_ms + 1};

	cell_data_init(&p->d, whole);
	p->d.arena.max = ARENA_MAX;
	p->d.rows = arena_array(&p->d.arena, ROWS_MAX, sizeof(*p->d.rows));
	p->nomem = !p->d.rows;
}

/* Labels come sorted by name; those with an empty value are left out. */
static void
add(struct push *p, const char *name, const struct label *labels, size_t n, double value)
{
	struct series *s = arena_alloc(&p->d.arena, sizeof(*s));
	struct label *kept = arena_array(&p->d.arena, LABELS_MAX, sizeof(*kept));
	double *v = arena_alloc(&p->d.arena, sizeof(*v));

	if (p->nomem || !s || !kept || !v || p->d.n_rows == ROWS_MAX) {
		p->nomem = true;
		return;
	}
	*s = (struct series){.name = name, .labels = kept, .period_ms = 1000};
	for (size_t i = 0; i < n; i++)
		if (labels[i].value && *labels[i].value)
			kept[s->n_labels++] = labels[i];
	*v = value;
	p->d.rows[p->d.n_rows++] =
	    (struct sample_row){.series = s, .first_ms = p->now_ms, .values = v, .n = 1};
	p->d.n_samples++;
}

static int
by_series(const void *a, const void *b)
{
	return series_cmp(((const struct sample_row *)a)->series,
			  ((const struct sample_row *)b)->series);
}

static int
push_end(struct push *p, struct err *err)
{
	const struct publish args = {.job = "muster",
				     .tenant = "",
				     .account = "",
				     .region = "",
				     .definition = "",
				     .now_ms = p->now_ms,
				     .maybe_sent = true};
	struct published done = {0};
	int r = p->nomem ? err_nomem(err) : 0;

	if (!r && p->d.n_rows) {
		qsort(p->d.rows, p->d.n_rows, sizeof(*p->d.rows), by_series);
		r = outlet_publish(p->m->outlet, &args, &p->d, &done, err);
	}
	cell_data_done(&p->d);
	return r;
}

static void
add_calls(struct push *p, const struct stream *s)
{
	for (size_t i = 0; i < s->standing.calls.n; i++) {
		const struct tally_row *r = &s->standing.calls.v[i];
		const struct label l[] = {
		    {"account_id", s->tenant->account},
		    {"code", r->code},
		    {"job", s->job->name},
		    {"operation", r->operation},
		    {"region", s->js.region},
		    {"service", r->service},
		    {"tenant", s->tenant->id},
		};

		add(p, "muster_aws_calls_total", l, ARRAY_LEN(l), (double)r->calls);
	}
}

/* A service that has cost nothing yet has no series. */
static void
add_dollars(struct push *p, const struct stream *s)
{
	const struct prices *prices = &p->m->env->config->run.prices;
	struct billed u = {.metrics = s->standing.counters.metrics_requested,
			   .bytes_scanned = s->standing.counters.bytes_scanned,
			   .samples = s->samples_ingested};

	billed_count_calls(&u, &s->standing.calls);
	for (int i = 0; i < PRICE_SERVICES; i++) {
		const struct label l[] = {
		    {"account_id", s->tenant->account},
		    {"job", s->job->name},
		    {"region", s->js.region},
		    {"service", price_service_name((enum price_service)i)},
		    {"tenant", s->tenant->id},
		};
		double dollars = prices_of(prices, &u, (enum price_service)i);

		if (dollars > 0)
			add(p, "muster_aws_cost_dollars_total", l, ARRAY_LEN(l), dollars);
	}
}

static void
add_stream(struct push *p, const struct stream *s)
{
	const struct commit_standing *st = &s->standing;
	struct label l[] = {
	    {"account_id", s->tenant->account}, {"job", s->job->name},
	    {"region", s->js.region},		{"sink", ""},
	    {"tenant", s->tenant->id},
	};
	const struct {
		const char *name;
		double value;
	} rows[] = {
	    {"muster_gap_seconds_total", (double)st->gap_ms / 1000},
	    {"muster_rows_written_total", (double)st->counters.rows},
	    {"muster_samples_over_limit_total", (double)s->samples_over},
	    {"muster_samples_written_total", (double)s->samples_acked},
	    {"muster_stream_failures_total", (double)st->counters.failed_runs},
	    {"muster_stream_lag_seconds", (double)(p->now_ms - st->watermark_ms) / 1000},
	    {"muster_stream_watermark_timestamp_seconds", (double)st->watermark_ms / 1000},
	};

	if (!st->watermark_ms)
		return;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		add(p, rows[i].name, l, sizeof(l) / sizeof(l[0]), rows[i].value);
	add_calls(p, s);
	add_dollars(p, s);
	for (size_t k = 0; s->sink_bytes && k < s->plan->n_sinks; k++) {
		l[3].value = s->plan->sinks[k].name;
		add(p, "muster_bytes_written_total", l, sizeof(l) / sizeof(l[0]),
		    (double)s->sink_bytes[k]);
	}
}

static size_t
rows_of(const struct stream *s)
{
	return 7 + s->plan->n_sinks + s->standing.calls.n + PRICE_SERVICES;
}

static void
add_process(struct push *p, const char *shard)
{
	const struct label l[] = {{"schedule", p->m->env->config->name}, {"shard", shard}};

	add(p, "muster_run_duration_seconds", l, 2, (double)p->m->duration_ms / 1000);
	if (p->m->success)
		add(p, "muster_run_last_success_timestamp_seconds", l, 2, (double)p->now_ms / 1000);
	for (size_t i = 0; i < p->m->run_calls->n; i++) {
		const struct tally_row *r = &p->m->run_calls->v[i];
		const struct label of[] = {
		    {"code", r->code},
		    {"operation", r->operation},
		    {"schedule", p->m->env->config->name},
		    {"service", r->service},
		    {"shard", shard},
		};

		add(p, "muster_aws_calls_total", of, ARRAY_LEN(of), (double)r->calls);
	}
}

/* One tenant's streams; a full push goes out before they are added. */
static int
add_tenant(struct push *p, const struct tenant_run *t, struct err *err)
{
	for (size_t j = 0; j < t->n_jobs; j++)
		for (size_t i = 0; i < t->jobs[j].n_streams; i++) {
			const struct stream *s = &t->jobs[j].streams[i];

			if (p->d.n_rows + rows_of(s) > ROWS_MAX) {
				if (push_end(p, err))
					return -1;
				push_begin(p);
			}
			add_stream(p, s);
		}
	return 0;
}

int
self_metrics_push(const struct self_metrics *m, struct err *err)
{
	struct push p = {.m = m, .now_ms = run_now_ms(m->env)};
	char shard[48];

	(void)snprintf(shard, sizeof(shard), "%lld/%lld", (long long)m->shard,
		       (long long)m->shards);
	push_begin(&p);
	add_process(&p, shard);
	for (size_t i = 0; i < m->runner->n_tenants; i++)
		if (add_tenant(&p, &m->runner->tenants[i], err)) {
			cell_data_done(&p.d);
			return -1;
		}
	return push_end(&p, err);
}
