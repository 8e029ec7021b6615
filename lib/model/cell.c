/*
 * The grid and the names that hang on it; see cell.h.
 *
 * Everything here is arithmetic on its arguments alone. Two runs that never heard of each other
 * must come to the same bounds and the same key for a cell, for that is what makes a frozen object
 * the only one of its kind.
 */
#include "model/cell.h"

#include <stdio.h>

#include "base/timefmt.h"

#define SECOND_MS 1000
#define HOUR_MS	  3600000
#define DAY_MS	  86400000

int64_t
cell_floor(int64_t ts_ms, int64_t every_ms)
{
	int64_t rest = ts_ms % every_ms, floor;

	if (rest < 0)
		rest += every_ms;
	/* Only within one cell of INT64_MIN is there no floor to give. */
	if (__builtin_sub_overflow(ts_ms, rest, &floor))
		floor = INT64_MIN - INT64_MIN % every_ms;
	return floor;
}

bool
cell_every_valid(int64_t every_ms, int64_t period_ms)
{
	if (every_ms <= 0 || period_ms < 0 || every_ms % SECOND_MS != 0)
		return false;
	if (period_ms > 0 && every_ms % period_ms != 0)
		return false;
	if (HOUR_MS % every_ms == 0)
		return true;
	return every_ms % HOUR_MS == 0 && DAY_MS % every_ms == 0;
}

int64_t
cell_due_end(int64_t now_ms, int64_t every_ms, int64_t delay_ms)
{
	int64_t newest;

	if (__builtin_sub_overflow(now_ms, delay_ms, &newest))
		newest = delay_ms > 0 ? INT64_MIN : INT64_MAX;
	return cell_floor(newest, every_ms);
}

/* <job>/tenant=<id>/region=<region>/dt=YYYY-MM-DD/hh=HH/<start>-<end> */
static void
add_cell(struct buf *out, const char *job, const char *tenant, const char *region, struct cell c)
{
	char day[TIME_TEXT_MAX], start[TIME_TEXT_MAX], end[TIME_TEXT_MAX];

	time_format_day(c.start_ms, day);
	time_format_basic(c.start_ms, start);
	time_format_basic(c.end_ms, end);
	buf_fmt(out, "%s/tenant=%s/region=%s/dt=%s/hh=%02d/%s-%s", job, tenant, region, day,
		time_hour(c.start_ms), start, end);
}

void
cell_lake_key(struct buf *out, const char *job, const char *tenant, const char *region,
	      struct cell c, unsigned late)
{
	add_cell(out, job, tenant, region, c);
	if (late > 0)
		buf_fmt(out, ".late-%u", late);
	buf_str(out, ".ndjson.zst");
}

void
cell_lake_day(struct buf *out, const char *job, const char *tenant, const char *region,
	      int64_t day_ms)
{
	char day[TIME_TEXT_MAX];

	time_format_day(day_ms, day);
	buf_fmt(out, "%s/tenant=%s/region=%s/dt=%s/", job, tenant, region, day);
}

bool
cell_of_key(const char *key, int64_t *ret_start_ms)
{
	const char *name = strrchr(key, '/');
	const char *end;
	char iso[32];

	name = name ? name + 1 : key;
	end = strchr(name, '-');
	if (!end || end - name != sizeof("YYYYMMDDTHHMMSSZ") - 1)
		return false;
	(void)snprintf(iso, sizeof(iso), "%.4s-%.2s-%.2sT%.2s:%.2s:%.2sZ", name, name + 4, name + 6,
		       name + 9, name + 11, name + 13);
	return time_parse_iso(sv_of(iso), ret_start_ms);
}

static void
add_joined(struct buf *out, const char *job, const char *tenant, const char *region, int64_t ms,
	   unsigned n)
{
	int64_t hour = cell_floor(ms, HOUR_MS);

	add_cell(out, job, tenant, region, (struct cell){hour, hour + HOUR_MS});
	buf_fmt(out, ".joined-%u", n);
}

void
cell_joined_key(struct buf *out, const char *job, const char *tenant, const char *region,
		int64_t ms, unsigned n)
{
	add_joined(out, job, tenant, region, ms, n);
	buf_str(out, ".ndjson.zst");
}

void
cell_manifest_key(struct buf *out, const char *job, const char *tenant, const char *region,
		  int64_t ms, unsigned n)
{
	buf_str(out, "_compact/");
	add_joined(out, job, tenant, region, ms, n);
	buf_str(out, ".json");
}

/* The word and a number from 1 on, taken off the front of *rest; nothing is if the word is not
 * there. */
static bool
take_number(struct sv *rest, struct sv word, unsigned *ret)
{
	size_t at = word.n;
	unsigned n = 0;

	if (!sv_starts(*rest, word))
		return true;
	for (; at < rest->n && rest->p[at] >= '0' && rest->p[at] <= '9' && n < 100000; at++)
		n = n * 10 + (unsigned)(rest->p[at] - '0');
	if (n == 0 || rest->p[word.n] == '0')
		return false;
	*ret = n;
	*rest = (struct sv){rest->p + at, rest->n - at};
	return true;
}

bool
cell_name_parse(const char *name, struct cell_name *ret)
{
	struct sv text = sv_of(name), rest;

	*ret = (struct cell_name){0};
	if (text.n < 33 || text.p[16] != '-' ||
	    !time_parse_basic((struct sv){text.p, 16}, &ret->cell.start_ms) ||
	    !time_parse_basic((struct sv){text.p + 17, 16}, &ret->cell.end_ms) ||
	    ret->cell.start_ms >= ret->cell.end_ms)
		return false;
	rest = (struct sv){text.p + 33, text.n - 33};
	return take_number(&rest, SV(".late-"), &ret->late) &&
	       (ret->late || take_number(&rest, SV(".joined-"), &ret->joined)) &&
	       sv_eq(rest, SV(".ndjson.zst"));
}

void
cell_openmetrics_key(struct buf *out, const char *job, const char *tenant, const char *region,
		     struct cell c)
{
	add_cell(out, job, tenant, region, c);
	buf_str(out, ".om");
}

void
cell_rejected_key(struct buf *out, const char *job, const char *tenant, const char *region,
		  struct cell c, unsigned n)
{
	buf_str(out, "rejected/");
	add_cell(out, job, tenant, region, c);
	if (n > 0)
		buf_fmt(out, "-%u", n);
	buf_str(out, ".ndjson.zst");
}
