/* The window of a backfill; see window.h. */
#include "run/window.h"

#include "base/cleanup.h"
#include "base/timefmt.h"

#define HOUR_MS INT64_C(3600000)

static int
read_time(const char *name, const char *text, int64_t now_ms, int64_t *ret, struct err *err)
{
	if (!text)
		return err_set(err, ERR_USAGE, "%s is missing: expected --from TIME --to TIME",
			       name);
	if (!time_parse_user(sv_of(text), now_ms, ret))
		return err_set(err, ERR_USAGE, "%s %s: expected RFC 3339, YYYY-MM-DD or now-6h",
			       name, text);
	if (*ret < 0)
		return err_set(err, ERR_USAGE, "%s %s: before 1970", name, text);
	return 0;
}

int
window_read(const struct options *o, int64_t now_ms, struct cell *ret, struct err *err)
{
	if (read_time("--from", o->from, now_ms, &ret->start_ms, err) ||
	    read_time("--to", o->to, now_ms, &ret->end_ms, err))
		return -1;
	if (ret->start_ms < ret->end_ms)
		return 0;
	return err_set(err, ERR_USAGE, "--from %s is not before --to %s", o->from, o->to);
}

struct cell
window_widen(struct cell asked, int64_t every_ms)
{
	struct cell whole = {cell_floor(asked.start_ms, every_ms),
			     cell_floor(asked.end_ms, every_ms)};

	if (whole.end_ms < asked.end_ms)
		whole.end_ms += every_ms;
	return whole;
}

size_t
window_slices(struct cell whole, int64_t slice_ms)
{
	int64_t first = cell_floor(whole.start_ms, slice_ms);

	return (size_t)((whole.end_ms - first + slice_ms - 1) / slice_ms);
}

/* Hours that divide a day, then days: any cell fits in whole. */
int64_t
window_slice_ms(struct cell whole, int64_t every_ms, int64_t shortest_ms)
{
	static const int64_t hours[] = {1, 3, 6, 12, 24};
	int64_t slice = 0;

	for (size_t i = 0; i < ARRAY_LEN(hours); i++) {
		slice = hours[i] * HOUR_MS;
		if (slice >= shortest_ms && slice % every_ms == 0 &&
		    window_slices(whole, slice) <= WINDOW_SLICES_MAX)
			return slice;
	}
	while (slice < shortest_ms || window_slices(whole, slice) > WINDOW_SLICES_MAX)
		slice *= 2;
	return slice;
}

struct cell
window_slice(struct cell whole, int64_t slice_ms, size_t i)
{
	int64_t first = cell_floor(whole.start_ms, slice_ms) + (int64_t)i * slice_ms;
	struct cell slice = {first, first + slice_ms};

	if (slice.start_ms < whole.start_ms)
		slice.start_ms = whole.start_ms;
	if (slice.end_ms > whole.end_ms)
		slice.end_ms = whole.end_ms;
	return slice;
}
