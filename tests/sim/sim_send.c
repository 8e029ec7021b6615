/*
 * The transport: counts calls, lets the plan's faults happen, and hands the rest to a service.
 */
#include "tests/sim/sim.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "aws/aws_err.h"
#include "base/hash.h"

static void
need(const void *p)
{
	if (!p)
		abort();
}

bool
sim_place(const struct sim *s, const struct http_req *req, size_t *tenant, size_t *region)
{
	for (*region = 0; *region < s->regions; ++*region)
		if (!strcmp(req->region, sim_regions[*region]))
			break;
	*tenant = sim_tenant_of(s, req->account);
	return *region < s->regions && *tenant < s->tenants;
}

static void
serve(struct sim *s, const struct http_req *req, struct http_resp *resp)
{
	static const struct {
		const char *name;
		void (*answer)(struct sim *s, const struct http_req *req, struct http_resp *resp);
	} services[] = {
	    {"sts", sim_sts},	{"monitoring", sim_monitoring}, {"logs", sim_logs},
	    {"s3", sim_s3},	{"remote_write", sim_receive},	{"xray", sim_xray},
	    {"otlp", sim_otlp}, {"alertmanager", sim_oncall},	{"container", sim_container},
	    {"imds", sim_imds},
	};

	resp->status = 501;
	for (size_t i = 0; i < sizeof(services) / sizeof(services[0]); i++)
		if (!strcmp(services[i].name, req->service))
			services[i].answer(s, req, resp);
	if (resp->status == 501) {
		(void)fprintf(stderr, "sim: no answer to %s %s\n", req->service, req->operation);
		abort();
	}
}

int
sim_answer(struct sim *s, const struct http_req *req, struct http_resp *resp, struct err *err)
{
	serve(s, req, resp);
	return sim_sort(req, resp, err);
}

int
sim_sort(const struct http_req *req, struct http_resp *resp, struct err *err)
{
	return aws_classify(req, resp, err);
}

static const struct sim_fault *
fault_now(struct sim *s)
{
	while (s->next_fault < s->n_faults && s->faults[s->next_fault].at < s->calls)
		s->next_fault++;
	if (s->next_fault == s->n_faults || s->faults[s->next_fault].at != s->calls)
		return NULL;
	return &s->faults[s->next_fault++];
}

int
sim_no_answer(struct http_resp *resp, struct err *err)
{
	resp->status = 0;
	buf_reset(&resp->body);
	buf_reset(&resp->headers);
	return err_set(err, ERR_TRANSIENT, "connection reset");
}

int64_t
sim_wall_ms(const struct sim *s)
{
	return s->now_ms + s->passed_ms;
}

/* By which a machine whose clock is wrong knows the time that all share. */
static void
put_date(const struct sim *s, struct http_resp *resp)
{
	time_t now = (time_t)(sim_wall_ms(s) / 1000);
	struct tm tm;
	char text[40];

	if (!s->skew_ms || !resp->status || !gmtime_r(&now, &tm))
		return;
	(void)strftime(text, sizeof(text), "%a, %d %b %Y %H:%M:%S GMT", &tm);
	buf_fmt(&resp->headers, "date: %s\n", text);
}

static int
send_now(struct sim_proc *p, const struct http_req *req, struct http_resp *resp, struct err *err)
{
	static const char *const names[] = {"crash before", "crash after", "fail before", "lost"};
	struct sim *s = p->world;
	const struct sim_fault *f;
	int r;

	if (p->dead)
		return sim_no_answer(resp, err);
	s->calls++;
	s->passed_ms += s->call_ms;
	f = fault_now(s);
	if (s->trace)
		(void)printf("%6llu %+4lld s %6lld ms %-10s %-16s %s %.90s%s%s\n",
			     (unsigned long long)s->calls,
			     (long long)(p->now_ms - s->now_ms) / 1000, (long long)s->passed_ms,
			     req->service, req->operation, req->account, req->url, f ? " ! " : "",
			     f ? names[f->kind] : "");
	if (f && (f->kind == SIM_CRASH_BEFORE || f->kind == SIM_FAIL_BEFORE)) {
		p->dead = f->kind == SIM_CRASH_BEFORE;
		return sim_no_answer(resp, err);
	}
	r = s->meddle ? s->meddle(p, req, resp, err) : sim_answer(s, req, resp, err);
	if (f) {
		p->dead = f->kind == SIM_CRASH_AFTER;
		return sim_no_answer(resp, err);
	}
	put_date(s, resp);
	return r;
}

/* Others may go first, and others may go on before the answer is looked at. */
int
sim_send(struct transport *t, const struct http_req *req, struct http_resp *resp, struct err *err)
{
	struct sim_proc *p = (struct sim_proc *)t;
	int r;

	sim_yield();
	sim_alloc_outside(true);
	r = send_now(p, req, resp, err);
	sim_alloc_outside(false);
	if (p->dead)
		clock_cancel(&p->clock, 9);
	sim_yield();
	return r;
}

/* In every other world the last metric comes as an expression over it: all else stays the same. */
static const char by_expression[] =
    ", from: [{namespace: ECS/ContainerInsights, metrics: [CpuUtilized]},\n"
    "        {id: m, namespace: ECS/ContainerInsights, metrics: [MemoryUtilized]},\n"
    "        {expression: m, name: ecs_task_memory_utilized}]";

static void
write_logs_job(const struct sim *s, FILE *f)
{
	long long every = s->every_ms / SIM_MIN;

	if (s->ways.stats)
		(void)fprintf(
		    f,
		    "  app: {kind: insights, every: %lldm, lookback: %lldm,\n"
		    "        log_groups: [\"/app/*\"], query: \"stats count(*) as n by "
		    "bin(1m) as t\",\n"
		    "        to: [prom, lake], series: {time: t, values: {n: app_events}}}\n",
		    every, 5 * every);
	else
		(void)fprintf(f,
			      "  app: {kind: insights, every: %lldm, lookback: %lldm, %s,\n"
			      "        log_groups: [\"/app/*\"], query: \"fields @timestamp, "
			      "@message, n\"}\n",
			      every, 5 * every,
			      s->jobs == SIM_LATE ? "to: [lake], revisit: once, hold: 15m"
			      : s->numbers ? "to: [prom, lake], series: {values: {n: app_event}, "
					     "labels: {\"@log\": group}}"
					   : "to: [lake]");
}

static void
write_jobs(const struct sim *s, FILE *f)
{
	long long every = s->every_ms / SIM_MIN;

	(void)fprintf(f, "jobs:\n");
	if (s->jobs == SIM_USUAL || s->jobs == SIM_POINTS)
		(void)fprintf(
		    f,
		    "  ecs: {kind: metrics, every: %lldm, lookback: %lldm, to: [prom, lake%s]%s}\n",
		    every, 4 * every, s->ways.text ? ", old, screen" : "",
		    s->seed % 2 ? by_expression : "");
	if (s->jobs == SIM_TRACES || s->jobs == SIM_ALARMS)
		(void)fprintf(
		    f, "  %s: {kind: %s, every: %lldm, lookback: %lldm, to: [prom, lake%s]}\n",
		    s->jobs == SIM_TRACES ? "traces" : "alarms",
		    s->jobs == SIM_TRACES ? "traces" : "alarms", every, 5 * every,
		    s->jobs == SIM_TRACES ? ", jaeger"
		    : s->ways.oncall	  ? ", oncall"
					  : "");
	if (s->jobs == SIM_USUAL || s->jobs == SIM_LATE)
		write_logs_job(s, f);
}

void
sim_write_config(struct sim *s)
{
	FILE *f = fopen(s->config, "we");
	char root[96];

	need(f);
	(void)snprintf(root, sizeof(root), s->ways.files ? "file://%s" : "s3://sim", s->folder);
	(void)fprintf(
	    f,
	    "region: eu-west-1\nstate: %s/state\n"
	    "defaults: {role: reader, external_id: simulated, regions: [eu-west-1, us-east-1]}\n"
	    "tenants:\n",
	    root);
	for (size_t i = 0; i < s->tenants; i++) {
		char id[16], account[16];

		if (s->of[i].absent)
			continue;
		sim_tenant(i, id, account);
		(void)fprintf(f, "  - {id: %s, account: \"%s\"}\n", id, account);
	}
	write_jobs(s, f);
	(void)fprintf(f,
		      "sinks:\n"
		      "  prom: {kind: remote_write, url: \"http://sim/api/v1/write\"%s}\n"
		      "  lake: {kind: objects, url: \"%s/lake\"}\n"
		      "  jaeger: {kind: otlp, url: \"http://sim:4318\"}\n"
		      "  oncall: {kind: alertmanager, url: \"http://sim:9093\"}\n"
		      "  old: {kind: openmetrics, url: \"%s/old\"}\n"
		      "  screen: {kind: stdout}\n"
		      "run: {max_catchup: 1d, sandbox: off%s}\n",
		      s->out_of_order ? ", out_of_order: 1d" : "", root, root,
		      s->run_conf ? s->run_conf : "");
	if (fclose(f))
		abort();
}

struct sim *
sim_new(uint64_t seed, size_t tenants, int64_t every_ms, enum receiver_habit habit,
	enum sim_jobs jobs)
{
	struct sim *s = calloc(1, sizeof(*s));

	need(s);
	s->of = calloc(tenants + 1, sizeof(*s->of));
	need(s->of);
	s->alerts = calloc(tenants + 1, sizeof(*s->alerts));
	need(s->alerts);
	s->ways = (struct sim_ways){.jobs = jobs, .proto = CW_JSON};
	s->seed = seed;
	s->tenants = tenants;
	s->regions = SIM_REGIONS;
	s->every_ms = every_ms;
	s->call_ms = SIM_CALL_MS;
	s->jobs = jobs;
	s->numbers = jobs == SIM_USUAL && seed / 2 % 2 == 0;
	s->receiver = receiver_new(habit, WORDS_BARE);
	need(s->receiver);
	if (tenants * SIM_REGIONS * (SIM_SERIES + SIM_GROUPS) > RECEIVER_SERIES)
		receiver_make_room(s->receiver, tenants * SIM_REGIONS * (SIM_SERIES + SIM_GROUPS));
	/* In memory, if there is such a place. */
	(void)snprintf(s->folder, sizeof(s->folder), "%s/muster-sim.XXXXXX",
		       access("/dev/shm", W_OK) ? "/tmp" : "/dev/shm");
	need(mkdtemp(s->folder));
	(void)snprintf(s->config, sizeof(s->config), "%s/muster.yaml", s->folder);
	sim_write_config(s);
	return s;
}

void
sim_take_ways(struct sim *s, const struct sim_ways *w)
{
	s->ways = *w;
	s->numbers = s->numbers || w->stats;
	s->screen = w->text ? memfd_create("screen", MFD_CLOEXEC) : 0;
	if (s->screen < 0)
		abort();
	sim_write_config(s);
}

void
sim_free(struct sim *s)
{
	map_done(&s->objects, sim_object_free);
	map_done(&s->folders, NULL);
	map_done(&s->spans, NULL);
	free(s->queries);
	transport_free(&s->receiver->base);
	sim_remove_files(s);
	if (s->screen)
		(void)close(s->screen);
	free(s->of);
	free(s->alerts);
	free(s);
}
