/*
 * Times as text. Inside the program a time is an int64_t of milliseconds since the epoch, UTC.
 *
 * No function here looks at the time zone or the locale.
 */
#ifndef MUSTER_BASE_TIMEFMT_H
#define MUSTER_BASE_TIMEFMT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"

#define TIME_TEXT_MAX 40

/* One that others can be counted from: neither before the epoch nor after the last year of four digits. */
bool time_countable(int64_t ms);
/* RFC 3339 / ISO 8601: 2026-01-02T03:04:05Z, fractions (cut to ms), offsets +hh:mm or +hhmm, blank for T. */
bool time_parse_iso(struct sv s, int64_t *ret_ms);
/* What --now, --from and --to take: RFC 3339, YYYY-MM-DD, now, now-6h, now+1h30m. */
bool time_parse_user(struct sv s, int64_t now_ms, int64_t *ret_ms);
/* HTTP Date header, the three forms of RFC 9110 5.6.7. */
bool time_parse_http(struct sv s, int64_t *ret_ms);

/* 2026-01-02T03:04:05.678Z (always milliseconds) */
void time_format_ms(int64_t ms, char out[TIME_TEXT_MAX]);
/* 2026-01-02T03:04:05Z */
void time_format_s(int64_t ms, char out[TIME_TEXT_MAX]);
/* 20260102T030405Z: SigV4's date and the cells' names */
void time_format_basic(int64_t ms, char out[TIME_TEXT_MAX]);
bool time_parse_basic(struct sv s, int64_t *ret_ms);
/* 2026-01-02 */
void time_format_day(int64_t ms, char out[TIME_TEXT_MAX]);
/* Hour of the day, 0-23, UTC. */
int time_hour(int64_t ms);

#endif
