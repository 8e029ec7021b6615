/* Names, values and events of the simulated world: a pure function of its seed; see sim.h. */
#include "tests/sim/sim.h"

#include <stdlib.h>

#include "base/hash.h"

const char *const sim_regions[SIM_REGIONS] = {"eu-west-1", "us-east-1"};
const char *const sim_metrics[SIM_SERIES] = {"CpuUtilized", "MemoryUtilized"};
const char *const sim_series[SIM_SERIES] = {"ecs_task_cpu_utilized", "ecs_task_memory_utilized"};
const char *const sim_groups[SIM_GROUPS] = {"/app/a", "/app/b"};

void
sim_tenant(size_t tenant, char id[16], char account[16])
{
	(void)snprintf(id, 16, "t%03zu", tenant);
	(void)snprintf(account, 16, "1%011zu", tenant);
}

size_t
sim_tenant_of(const struct sim *s, const char *text)
{
	size_t n = strtoul(text + (*text != '\0'), NULL, 10);

	return *text == 't' || *text == '1' ? (n < s->tenants ? n : s->tenants) : s->tenants;
}

static uint64_t
draw(const struct sim *s, size_t tenant, size_t region, uint64_t what, int64_t ms)
{
	uint64_t place = (uint64_t)tenant * SIM_REGIONS + region;

	return mix64(mix64(s->seed ^ mix64(place * 64 + what + 1)) ^ (uint64_t)(ms / SIM_MIN));
}

bool
sim_value(const struct sim *s, size_t tenant, size_t region, size_t series, int64_t ms, double *ret)
{
	uint64_t r = draw(s, tenant, region, series, ms);

	if (r % 16 == 0)
		return false;
	*ret = ((double)(r >> 40) + 0.5) / 64; /* never one that the receiver calls bad */
	return true;
}

/* A fifth of them comes up to 25 minutes after its time, which is within the time in which each
 * cell is looked at again. */
int64_t
sim_shown_ms(const struct sim *s, size_t tenant, size_t region, size_t series, int64_t ms)
{
	uint64_t r;

	if (s->jobs != SIM_POINTS)
		return ms;
	r = draw(s, tenant, region, 48 + series, ms);
	return r % 5 ? ms : ms + SIM_DELAY + (int64_t)(r >> 32) % (20 * SIM_MIN);
}

/* In a late world a quarter of the events come after the first asking of their cell, or some of
 * them, and before the second. */
static int64_t
found_ms(const struct sim *s, const struct sim_event *e, uint64_t r)
{
	uint64_t late = mix64(r ^ (uint64_t)(e->ms * 4 + e->n) ^ e->group << 60);

	if (s->jobs != SIM_LATE || late % 4)
		return e->ms;
	return e->ms + SIM_DELAY_LOGS + (int64_t)(late >> 32) % (SIM_HOLD - SIM_DELAY_LOGS);
}

/* Up to two events a minute and group; some share a millisecond, some lie at the edge of a cell. */
void
sim_events(const struct sim *s, size_t tenant, size_t region, int64_t from_ms, int64_t to_ms,
	   void (*fn)(void *arg, const struct sim_event *e), void *arg)
{
	for (int64_t minute = from_ms / SIM_MIN * SIM_MIN; minute < to_ms; minute += SIM_MIN) {
		uint64_t r = draw(s, tenant, region, 32, minute);
		const int64_t at[] = {0, (int64_t)(r >> 32) % SIM_MIN, SIM_MIN - 1};

		for (int n = 0; n < 3; n++)
			for (size_t g = 0; g < SIM_GROUPS; g++) {
				struct sim_event e = {minute + at[n], g, n, 0};

				e.found_ms = found_ms(s, &e, r);
				if ((r >> (n * 4 + (int)g)) % 4 == 0 && e.ms >= from_ms &&
				    e.ms < to_ms)
					fn(arg, &e);
			}
	}
}

void
sim_message(const struct sim_event *e, char out[64])
{
	(void)snprintf(out, 64, "event %d of %lld\n\"%s\"", e->n, (long long)e->ms,
		       sim_groups[e->group]);
}

static void
count_one(void *arg, const struct sim_event *e)
{
	(void)e;
	++*(size_t *)arg;
}

size_t
sim_count(const struct sim *s, size_t tenant, size_t region, int64_t minute_ms)
{
	size_t n = 0;

	sim_events(s, tenant, region, minute_ms, minute_ms + SIM_MIN, count_one, &n);
	return n;
}
