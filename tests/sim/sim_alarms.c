/* Alarms of the simulated world, one in each tenant's region: how it stands and how it came to; see
 * sim.h. */
#include "tests/sim/sim.h"

#include <jansson.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/hash.h"
#include "base/timefmt.h"
#include "fmt/json.h"

#define PAGE 3

/* What is drawn for a minute: an instant, and the state from then on. */
static bool
draw(const struct sim *s, size_t tenant, size_t region, int64_t minute_ms, int64_t *at_ms)
{
	uint64_t place = (uint64_t)tenant * SIM_REGIONS + region;
	uint64_t r = mix64(mix64(s->seed ^ mix64(place + 815)) ^ (uint64_t)(minute_ms / SIM_MIN));

	*at_ms = minute_ms + (r % 8 ? (int64_t)(r >> 32) % SIM_MIN : 0);
	return (r >> 8) % 2;
}

bool
sim_change(const struct sim *s, size_t tenant, size_t region, int64_t minute_ms, int64_t *ret_ms,
	   bool *firing)
{
	int64_t before;

	*firing = draw(s, tenant, region, minute_ms, ret_ms);
	return *firing != draw(s, tenant, region, minute_ms - SIM_MIN, &before);
}

bool
sim_firing(const struct sim *s, size_t tenant, size_t region, int64_t ms)
{
	int64_t minute = ms / SIM_MIN * SIM_MIN, at;
	bool firing = draw(s, tenant, region, minute, &at);

	return at <= ms ? firing : draw(s, tenant, region, minute - SIM_MIN, &at);
}

static const char *
word(bool firing)
{
	return firing ? "ALARM" : "OK";
}

static void
put_time(struct buf *out, int64_t ms)
{
	buf_fmt(out, "%lld.%03lld", (long long)(ms / 1000), (long long)(ms % 1000));
}

static void
alarms(struct sim *s, size_t tenant, size_t region, struct buf *out)
{
	int64_t now = sim_wall_ms(s), minute = now / SIM_MIN * SIM_MIN, since;
	bool firing;

	while (!sim_change(s, tenant, region, minute, &since, &firing) || since > now)
		minute -= SIM_MIN;
	s->alerts[tenant][region].seen = firing;
	buf_fmt(
	    out,
	    "{\"MetricAlarms\":[{\"AlarmName\":\"a\",\"StateValue\":\"%s\",\"StateReason\":\"r\","
	    "\"StateTransitionedTimestamp\":",
	    word(firing));
	put_time(out, since);
	buf_str(out, "}],\"CompositeAlarms\":[]}");
}

/* A few a page, from the oldest on; a page's token is where it begins. */
static void
history(const struct sim *s, const json_t *doc, size_t tenant, size_t region, struct buf *out)
{
	const char *token = json_string_value(json_object_get(doc, "NextToken"));
	int64_t from = (int64_t)(json_number_value(json_object_get(doc, "StartDate")) * 1000 + 0.5);
	int64_t minute = token ? strtoll(token, NULL, 10) : from / SIM_MIN * SIM_MIN;
	int64_t now = sim_wall_ms(s), at;
	size_t n = 0;
	bool firing;

	buf_str(out, "{\"AlarmHistoryItems\":[");
	for (; minute <= now && n < PAGE; minute += SIM_MIN) {
		if (!sim_change(s, tenant, region, minute, &at, &firing) || at < from || at > now)
			continue;
		buf_fmt(out, "%s{\"AlarmName\":\"a\",\"Timestamp\":", n++ ? "," : "");
		put_time(out, at);
		buf_fmt(out,
			",\"HistoryItemType\":\"StateUpdate\",\"HistoryData\":\"{\\\"oldState\\\":"
			"{\\\"stateValue\\\":\\\"%s\\\"},\\\"newState\\\":{\\\"stateValue\\\":\\\"%"
			"s\\\"}}\"}",
			word(!firing), word(firing));
	}
	buf_ch(out, ']');
	if (minute <= now)
		buf_fmt(out, ",\"NextToken\":\"%lld\"", (long long)minute);
	buf_ch(out, '}');
}

void
sim_alarms(struct sim *s, const struct http_req *req, struct http_resp *resp)
{
	CLEANUP(json_decrefp) json_t *doc = sim_wire_read(req);
	size_t tenant, region;

	if (!doc || !sim_place(s, req, &tenant, &region))
		abort();
	resp->status = 200;
	if (!strcmp(req->operation, "DescribeAlarms"))
		alarms(s, tenant, region, &resp->body);
	else
		history(s, doc, tenant, region, &resp->body);
}

/* ---- the Alertmanager ---- */

static void
hear(struct sim *s, const json_t *alert)
{
	const json_t *labels = json_object_get(alert, "labels");
	const char *of = json_string_value(json_object_get(labels, "tenant"));
	const char *where = json_string_value(json_object_get(labels, "region"));
	const char *ends = json_string_value(json_object_get(alert, "endsAt"));
	size_t tenant = of ? sim_tenant_of(s, of) : s->tenants, region = 0;
	int64_t ends_ms;

	while (where && region < s->regions && strcmp(where, sim_regions[region]) != 0)
		region++;
	if (tenant >= s->tenants || !where || region >= s->regions || !ends ||
	    !time_parse_iso(sv_of(ends), &ends_ms))
		abort();
	s->alerts[tenant][region].told = ends_ms > sim_wall_ms(s);
}

void
sim_oncall(struct sim *s, const struct http_req *req, struct http_resp *resp)
{
	CLEANUP(json_decrefp) json_t *doc = NULL;
	const json_t *alert;
	size_t i;

	if (json_parse(req->body, "request", &doc, NULL) || !json_is_array(doc))
		abort();
	resp->status = 200;
	json_array_foreach((json_t *)(uintptr_t)doc, i, alert) hear(s, alert);
}
