/*
 * A year of eight tenants, every three hours a run: with runs that are killed or never started,
 * roles renamed for days, tenants taken away and given back, S3, AWS or the receiver gone for hours
 * up to days, throttling, a `now` that jumps back by hours or forward by a day, and a machine's
 * clock that is wrong.
 *
 * At the end of each month all trouble ends; then the truth decides, less what is on record as a
 * gap. And of each gap must hold that nothing in it was done before, and that its cells were older
 * than `max_catchup` when it was recorded: what could still be had is none. What was judged is then
 * taken out of the world, for a year of it is more than there is memory for.
 */
#include "tests/sim/sim.h"

#include <jansson.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/hash.h"
#include "base/timefmt.h"

#define TENANTS	 8
#define HOUR	 (60 * SIM_MIN)
#define DAY	 (24 * HOUR)
#define EVERY	 (3 * HOUR)
#define CATCHUP	 DAY
#define MONTH	 (30 * DAY)
#define KEPT	 (3 * DAY) /* of what was judged: a run may look at it again */
#define SETTLING 5	   /* runs in which all has to be done once the trouble is over */
#define CALL_MS	 20
#define JOBS	 2

enum outage { NO_S3, NO_AWS, NO_RECEIVER, NO_RUNS, THROTTLED, OUTAGES };

struct year {
	struct sim *s;
	struct sim_verdict *v;
	uint64_t r;
	uint64_t runs, killed, gaps;
	int64_t until_ms[OUTAGES]; /* each outage's end */
	int64_t denied_ms[TENANTS], absent_ms[TENANTS];
	int64_t skew_ms;
	int64_t
	    checked_ms; /* gaps recorded before were looked at, if no run was ahead of its time */
	/* All cells that end by then were done, or on record as a gap; and the end of the newest
	 * gap. */
	int64_t done_ms[TENANTS][JOBS][SIM_REGIONS];
	int64_t gap_ms[TENANTS][JOBS][SIM_REGIONS];
};

static const char *const jobs[JOBS] = {"ecs", "app"};
static const int64_t delays[JOBS] = {SIM_DELAY, SIM_DELAY_LOGS};

static uint64_t
draw(struct year *y)
{
	return y->r = mix64(y->r);
}

static bool
goes_on(const struct year *y, enum outage what)
{
	return y->until_ms[what] > y->s->now_ms;
}

/* ---- what comes of a call ---- */

static int
refuse(const struct http_req *req, struct http_resp *resp, const char *code, struct err *err)
{
	resp->status = 400;
	if (req->proto == PROTO_AWS_JSON)
		buf_fmt(&resp->body, "{\"__type\":\"%s\",\"message\":\"no\"}", code);
	else
		buf_fmt(&resp->body,
			"<ErrorResponse><Error><Code>%s</Code><Message>no</Message></Error>"
			"</ErrorResponse>",
			code);
	return sim_sort(req, resp, err);
}

static bool
is_denied(const struct year *y, const struct http_req *req)
{
	const char *arn = strcmp(req->operation, "AssumeRole") == 0
			      ? memmem(req->body.p, req->body.n, "iam%3A%3A", strlen("iam%3A%3A"))
			      : NULL;
	size_t tenant = arn ? sim_tenant_of(y->s, arn + strlen("iam%3A%3A")) : TENANTS;

	return tenant < TENANTS && y->denied_ms[tenant] > y->s->now_ms;
}

static int
meddle(struct sim_proc *p, const struct http_req *req, struct http_resp *resp, struct err *err)
{
	struct year *y = p->world->meddle_arg;
	bool s3 = !strcmp(req->service, "s3"), sink = !strcmp(req->service, "remote_write");

	if ((s3 && goes_on(y, NO_S3)) || (!s3 && !sink && goes_on(y, NO_AWS)))
		return sim_no_answer(resp, err);
	if (!s3 && !sink && goes_on(y, THROTTLED) && draw(y) % 4)
		return refuse(req, resp, "ThrottlingException", err);
	if (is_denied(y, req))
		return refuse(req, resp, "AccessDenied", err);
	y->s->receiver_down = goes_on(y, NO_RECEIVER);
	return sim_answer(y->s, req, resp, err);
}

/* ---- gaps ---- */

static void
blame(struct year *y, const char *what, size_t tenant, size_t job, int64_t ms)
{
	char when[TIME_TEXT_MAX];

	time_format_ms(ms, when);
	if (!y->v->what[0])
		(void)snprintf(y->v->what, SIM_WORDS, "%s: t%03zu %s at %s", what, tenant,
			       jobs[job], when);
	y->v->mismatched++;
}

static int64_t
time_of(const json_t *doc, const char *key)
{
	const char *text = json_string_value(json_object_get(doc, key));
	int64_t ms = 0;

	return text && time_parse_iso(sv_of(text), &ms) ? ms : 0;
}

/* Looks at one that was recorded since the last look, or grew: what was on record before may have
 * been called done by a run that believed it an earlier time. */
static void
check_gap(struct year *y, const json_t *gap, size_t tenant, size_t job, size_t region)
{
	int64_t start = time_of(gap, "start"), end = time_of(gap, "end"),
		recorded = time_of(gap, "recorded");
	const char *why = json_string_value(json_object_get(gap, "reason"));
	int64_t *known = &y->gap_ms[tenant][job][region];

	if (recorded <= y->checked_ms && end <= *known)
		return;
	y->gaps++;
	if (!why || strcmp(why, "max_catchup") != 0)
		blame(y, "a gap without need", tenant, job, start);
	if (start % EVERY || end % EVERY || start >= end)
		blame(y, "a gap off the grid", tenant, job, start);
	if (end != (recorded - CATCHUP) / EVERY * EVERY)
		blame(y, "a gap of what could be had", tenant, job, end);
	if ((start < *known && *known <= end ? *known : start) < y->done_ms[tenant][job][region])
		blame(y, "a gap of what was done", tenant, job, start);
	if (end > *known)
		*known = end;
}

static void
check_gaps(struct year *y, size_t tenant, size_t job)
{
	char id[16], account[16], key[64];
	const struct sim_object *o;
	json_t *doc;

	sim_tenant(tenant, id, account);
	(void)snprintf(key, sizeof(key), "sim/state/tenants/%s/%s.json", id, jobs[job]);
	o = sim_object(y->s, key);
	doc = o ? json_loadb(o->bytes, o->n, 0, NULL) : NULL;
	for (size_t region = 0; region < SIM_REGIONS; region++) {
		const json_t *gaps = json_object_get(
		    json_object_get(json_object_get(doc, "streams"), sim_regions[region]), "gaps");

		for (size_t i = 0; i < json_array_size(gaps); i++)
			check_gap(y, json_array_get(gaps, i), tenant, job, region);
	}
	json_decref(doc);
}

/* What a run says is done for good. */
static void
note_done(struct year *y, const json_t *streams)
{
	for (size_t i = 0; i < json_array_size(streams); i++) {
		const json_t *st = json_array_get(streams, i);
		const char *tenant = json_string_value(json_object_get(st, "tenant")),
			   *job = json_string_value(json_object_get(st, "job")),
			   *region = json_string_value(json_object_get(st, "region")),
			   *state = json_string_value(json_object_get(st, "state"));
		size_t j, r;
		int64_t *done;

		if (!tenant || !job || !region || !state || strcmp(state, "done") != 0)
			continue;
		j = strcmp(job, jobs[0]) != 0;
		r = strcmp(region, sim_regions[0]) != 0;
		done = &y->done_ms[sim_tenant_of(y->s, tenant)][j][r];
		if ((y->s->now_ms - delays[j]) / EVERY * EVERY > *done)
			*done = (y->s->now_ms - delays[j]) / EVERY * EVERY;
	}
}

static int
run(struct year *y)
{
	json_t *report;
	int status;

	y->s->skew_ms = y->skew_ms;
	status = sim_run(y->s, SIM_RUN, 1 + y->runs % 4);
	y->runs++;
	y->killed += status == -1;
	if (y->s->trace)
		(void)printf("       status %d\n", status);
	report = sim_take_report(y->s);
	for (size_t t = 0; t < TENANTS; t++)
		for (size_t j = 0; j < JOBS; j++)
			check_gaps(y, t, j);
	if (y->s->now_ms > y->checked_ms)
		y->checked_ms = y->s->now_ms;
	if (report)
		note_done(y, json_object_get(report, "streams"));
	json_decref(report);
	return status;
}

/* ---- the months ---- */

struct drop {
	const struct sim *s;
	struct sim_object **v;
	size_t n;
};

static void
drop_old(struct sv key, void *value, void *arg)
{
	struct sim_object *o = value;
	struct drop *d = arg;
	const char *day = strstr(o->key, "/dt=");
	int64_t ms;

	(void)key;
	if (!day)
		return;
	if (!time_parse_user((struct sv){day + 4, 10}, 0, &ms))
		abort();
	if (ms + DAY > d->s->judge_from_ms)
		return;
	d->v = reallocarray(d->v, d->n + 1, sizeof(struct sim_object *));
	if (!d->v)
		abort();
	d->v[d->n++] = o;
}

/* What was judged goes. */
static void
forget(struct sim *s)
{
	struct receiver *r = s->receiver;
	struct drop old = {.s = s};

	s->judge_from_ms = (s->now_ms - KEPT) / DAY * DAY;
	map_each(&s->objects, drop_old, &old);
	for (size_t i = 0; i < old.n; i++)
		sim_object_remove(s, old.v[i]->key);
	free(old.v);
	for (size_t i = 0; i < r->n_series; i++) {
		struct db_series *db = &r->db[i];
		size_t n = db_place(db, s->judge_from_ms);

		db->n -= n;
		memmove(db->samples, db->samples + n, db->n * sizeof(*db->samples));
	}
}

/* The trouble is over: a few runs later all is done. */
static void
settle(struct year *y)
{
	struct sim_verdict v;
	int status = 1;

	memset(y->until_ms, 0, sizeof(y->until_ms));
	memset(y->denied_ms, 0, sizeof(y->denied_ms));
	memset(y->absent_ms, 0, sizeof(y->absent_ms));
	for (size_t t = 0; t < TENANTS; t++)
		y->s->of[t].absent = false;
	sim_write_config(y->s);
	y->s->n_faults = 0;
	y->skew_ms = 0;
	if (y->s->now_ms < y->checked_ms) /* it was ahead */
		y->s->now_ms = y->checked_ms;
	for (int n = 0; n < SETTLING && status; n++) {
		y->s->now_ms += 10 * SIM_MIN;
		status = run(y);
	}
	if (status && !y->v->what[0])
		(void)snprintf(y->v->what, SIM_WORDS, "no run came to a good end");
	if (y->v->what[0])
		return;
	sim_check(y->s, &v);
	if (v.what[0])
		*y->v = v;
	forget(y->s);
}

/* Each is once in some weeks, and lasts from an hour to three days. */
static void
draw_outages(struct year *y)
{
	for (int i = 0; i < OUTAGES; i++)
		if (!goes_on(y, (enum outage)i) && draw(y) % 250 == 0)
			y->until_ms[i] = y->s->now_ms + HOUR +
					 (int64_t)(draw(y) % (draw(y) % 2 ? 12 : 72)) * HOUR;
}

static void
draw_tenants(struct year *y)
{
	bool changed = false;

	for (size_t t = 0; t < TENANTS; t++) {
		bool absent;

		if (draw(y) % 500 == 0)
			y->denied_ms[t] = y->s->now_ms + (int64_t)(1 + draw(y) % 72) * HOUR;
		if (draw(y) % 700 == 0)
			y->absent_ms[t] = y->s->now_ms + (int64_t)(1 + draw(y) % 240) * HOUR;
		absent = y->absent_ms[t] > y->s->now_ms;
		changed = changed || absent != y->s->of[t].absent;
		y->s->of[t].absent = absent;
	}
	if (changed)
		sim_write_config(y->s);
}

/* One place in the schedule: a run, perhaps killed, or none; now and then one that believes it is
 * another time. */
static void
one_turn(struct year *y)
{
	int64_t jump = 0, on_time = y->s->now_ms;

	draw_outages(y);
	draw_tenants(y);
	if (goes_on(y, NO_RUNS) || draw(y) % 24 == 0)
		return;
	if (draw(y) % 100 == 0)
		jump = draw(y) % 2 ? DAY : -(int64_t)(1 + draw(y) % 30) * HOUR;
	if (draw(y) % 60 == 0)
		y->skew_ms = (int64_t)(draw(y) % (2 * DAY)) - DAY;
	y->s->n_faults = draw(y) % 8 == 0;
	y->s->next_fault = 0;
	y->s->faults[0] = (struct sim_fault){y->s->calls + 1 + draw(y) % 300,
					     (enum sim_fault_kind)(draw(y) % SIM_FAULTS)};
	y->s->now_ms += jump;
	(void)run(y);
	y->s->now_ms = on_time;
}

void
sim_year(uint64_t seed, unsigned days, bool trace, struct sim_verdict *v)
{
	struct year y = {.v = v, .r = mix64(seed ^ 0x9ea5)};
	int64_t end, month;

	*v = (struct sim_verdict){0};
	y.s = sim_new(seed, TENANTS, EVERY, seed % 2 ? HABIT_WHOLE : HABIT_KEEPER, SIM_USUAL);
	y.s->now_ms = SIM_EPOCH + DAY;
	y.s->call_ms = CALL_MS;
	y.s->trace = trace;
	y.s->gaps = true;
	y.s->meddle = meddle;
	y.s->meddle_arg = &y;
	y.s->receiver->window_ms = 7 * DAY;
	end = y.s->now_ms + (int64_t)days * DAY;
	for (month = y.s->now_ms + MONTH; y.s->now_ms < end && !v->what[0]; y.s->now_ms += EVERY) {
		one_turn(&y);
		if (y.s->now_ms < month)
			continue;
		settle(&y);
		month += MONTH;
	}
	if (!v->what[0])
		settle(&y);
	(void)printf("runs=%llu killed=%llu gaps=%llu calls=%llu\n", (unsigned long long)y.runs,
		     (unsigned long long)y.killed, (unsigned long long)y.gaps,
		     (unsigned long long)y.s->calls);
	sim_free(y.s);
}
