/*
 * How everything stands, in words: what all of table, JSON and page say alike; see status.h.
 *
 * What to do about an error is a table of what errors have in them, in AWS's words and ours. The
 * first row that fits is taken, so the more telling ones come first.
 */
#include "run/status.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/cleanup.h"

const char *
status_result_word(enum status_result r)
{
	static const char *const words[] = {
	    [STATUS_DAMAGED] = "damaged",
	    [STATUS_FAILING] = "failing",
	    [STATUS_AHEAD] = "ahead",
	    [STATUS_NEVER] = "never ran",
	    [STATUS_UNFINISHED] = "unfinished",
	    [STATUS_RUNNING] = "running",
	    [STATUS_OK] = "ok",
	    [STATUS_LEFT] = "left",
	};

	return r < STATUS_RESULTS ? words[r] : "";
}

const char *
status_word(const struct status_stream *s)
{
	if (s->result == STATUS_DAMAGED && s->entry->why.kind != ERR_DATA)
		return "unreadable";
	return status_result_word(s->result);
}

const char *
status_trouble(const struct status_stream *s)
{
	if (s->result == STATUS_DAMAGED)
		return s->entry->why.msg;
	if (s->s && s->s->last_error)
		return s->s->last_error;
	return "";
}

/* Needles are looked for in the error's text; the first row that has one gives the advice. */
static const struct advice {
	const char *needles[6];
	const char *text;
} advices[] = {
    {{"AssumeRole", NULL},
     "Check that the role exists in that account, trusts the central role and asks for this "
     "external id."},
    {{"AccessDenied", "UnauthorizedOperation", "not authorized", "Forbidden", NULL},
     "Give the role the permission that the message names."},
    {{"InvalidClientTokenId", "SignatureDoesNotMatch", "ExpiredToken", "base credentials", NULL},
     "Renew the central account's credentials."},
    {{"Throttling", "TooManyRequests", "SlowDown", "LimitExceeded", "Rate exceeded", NULL},
     "The account's quota is used up: lengthen `every`, lower run.tenant_workers, or ask AWS for "
     "more."},
    {{"scan_budget", NULL}, "Raise scan_budget, or narrow the query and its log groups."},
    {{"ResourceNotFound", "does not exist", "NoSuchBucket", NULL},
     "Correct the name in the configuration, or create what it names."},
    {{"`every` was", NULL}, "Give the job a new name, or set `every` back."},
    {{"definition", NULL}, "The job was changed: give it a new name, or set it back."},
    {{"out of order", "too old", "out of bounds", "duplicate sample", NULL},
     "Set the sink's max_age and out_of_order to what the receiver takes."},
    {{"certificate", "SSL", "TLS", NULL},
     "Check AWS_CA_BUNDLE, the machine's trust store and any proxy between."},
    {{"resolve", "connect", "timed out", "time-out", "timeout", "Timeout"},
     "Check the network, DNS, proxy and endpoint from this machine; the next run tries again."},
    {{"No space left", "disk", "Permission denied", "Read-only file system", NULL},
     "Make room on this machine's disk, or mend its permissions."},
};

static bool
has_needle(const struct advice *a, const char *text)
{
	for (size_t i = 0; i < ARRAY_LEN(a->needles) && a->needles[i]; i++)
		if (strstr(text, a->needles[i]))
			return true;
	return false;
}

static const char *
advice_for_error(const char *text)
{
	for (size_t i = 0; i < ARRAY_LEN(advices); i++)
		if (has_needle(&advices[i], text))
			return advices[i].text;
	return "Run it alone to see more: muster run -v, with --tenant and --job.";
}

static const char *
advice_for_damage(const struct status_entry *e)
{
	if (e->why.kind == ERR_LOCAL)
		return "Use the muster that wrote it, or a newer one.";
	if (e->why.kind != ERR_DATA)
		return "Give the base credentials read access to the state.";
	if (e->from_prev)
		return "Nothing: the next run keeps a copy and goes on from the checkpoint before.";
	return "Nothing: the next run keeps what there is and goes on from what is frozen in the "
	       "lake "
	       "(without a lake, as far back as can be caught up).";
}

const char *
status_advice(const struct status_stream *s)
{
	switch (s->result) {
	case STATUS_DAMAGED:
		return advice_for_damage(s->entry);
	case STATUS_FAILING:
		return advice_for_error(status_trouble(s));
	case STATUS_AHEAD:
		return "A run was given a --now that is yet to come: go back with muster state "
		       "rewind.";
	case STATUS_NEVER:
		return "Put muster run on its schedule, or start one now.";
	case STATUS_UNFINISHED:
		return "Nothing while a run is at it; else the run died: start another, it carries "
		       "on.";
	case STATUS_LEFT:
		return "If it is gone for good: muster state forget (the lake is not touched).";
	case STATUS_RUNNING:
	case STATUS_OK:
	case STATUS_RESULTS:
		break;
	}
	return "";
}

bool
status_lags(const struct status_stream *s, int64_t max_lag_ms)
{
	return s->configured && (!s->s || s->lag_ms > max_lag_ms || s->result == STATUS_AHEAD);
}

bool
status_cursors_differ(const struct status_stream *s)
{
	for (size_t i = 1; s->s && i < s->s->n_sinks; i++)
		if (s->s->sinks[i].cursor_ms != s->s->sinks[0].cursor_ms)
			return true;
	return false;
}

void
status_duration(int64_t ms, char out[48])
{
	static const struct {
		int64_t ms;
		char name;
	} units[] = {{86400000, 'd'}, {3600000, 'h'}, {60000, 'm'}, {1000, 's'}};
	const char *sign = ms < 0 ? "-" : "";
	int64_t abs = ms < 0 ? -ms : ms;
	size_t u = 0;

	while (u < ARRAY_LEN(units) - 1 && abs < units[u].ms)
		u++;
	if (u == ARRAY_LEN(units) - 1 || abs % units[u].ms < units[u + 1].ms)
		(void)snprintf(out, 48, "%s%" PRId64 "%c", sign, abs / units[u].ms, units[u].name);
	else
		(void)snprintf(out, 48, "%s%" PRId64 "%c%" PRId64 "%c", sign, abs / units[u].ms,
			       units[u].name, abs % units[u].ms / units[u + 1].ms,
			       units[u + 1].name);
}

void
status_count(uint64_t n, char out[16])
{
	static const char units[] = " kMGTPE";
	double v = (double)n;
	size_t u = 0;

	/* 999.95 would be written as 1000.0 */
	while (v >= (u ? 999.95 : 1000) && u + 2 < sizeof(units)) {
		v /= 1000;
		u++;
	}
	if (u == 0)
		(void)snprintf(out, 16, "%" PRIu64, n);
	else
		(void)snprintf(out, 16, "%.*f%c", v < 99.95 ? 1 : 0, v, units[u]);
}
