/*
 * Times, durations, sizes and numbers: what is read is written and read again as the same. Times
 * are what the C library makes of their fields, read by column; doubles what strtod() does.
 */
#include <ctype.h>
#include <math.h>
#include <time.h>

#include "base/num.h"
#include "base/timefmt.h"
#include "model/insights_rows.h"
#include "model/span.h"
#include "tests/fuzz/fuzz.h"

/* A number of so many digits. */
static int
digits(const char *p, size_t n)
{
	char text[8] = "";

	memcpy(text, p, n);
	return (int)strtol(text, NULL, 10);
}

/* What is behind the whole seconds of a time that is sound: a fraction, then the zone. */
static int64_t
behind_seconds(const char *p)
{
	int64_t ms = 0, zone;

	if (*p == '.') {
		size_t n = strspn(p + 1, "0123456789");

		ms = n == 1   ? 100 * digits(p + 1, 1)
		     : n == 2 ? 10 * digits(p + 1, 2)
			      : digits(p + 1, 3);
		p += 1 + n;
	}
	if (*p == 'Z' || *p == 'z')
		return ms;
	zone = digits(p + 1, 2) * 60 + digits(p + strlen(p) - 2, 2);
	return *p == '-' ? ms + zone * 60000 : ms - zone * 60000;
}

/* "2026-01-02T03:04:05", and whatever is behind it. */
static int64_t
iso_by_columns(struct sv in)
{
	CLEANUP(freep) char *text = sv_dup(in);
	struct tm tm = {0};

	fuzz_must(text && in.n > 19);
	tm.tm_year = digits(text, 4) - 1900;
	tm.tm_mon = digits(text + 5, 2) - 1;
	tm.tm_mday = digits(text + 8, 2);
	tm.tm_hour = digits(text + 11, 2);
	tm.tm_min = digits(text + 14, 2);
	tm.tm_sec = digits(text + 17, 2);
	return (int64_t)timegm(&tm) * 1000 + behind_seconds(text + 19);
}

static int64_t
basic_by_columns(struct sv in)
{
	struct tm tm = {0};

	tm.tm_year = digits(in.p, 4) - 1900;
	tm.tm_mon = digits(in.p + 4, 2) - 1;
	tm.tm_mday = digits(in.p + 6, 2);
	tm.tm_hour = digits(in.p + 9, 2);
	tm.tm_min = digits(in.p + 11, 2);
	tm.tm_sec = digits(in.p + 13, 2);
	return (int64_t)timegm(&tm) * 1000;
}

static int64_t
http_by_library(struct sv in)
{
	static const char *const forms[] = {"%a, %d %b %Y %H:%M:%S GMT",
					    "%A, %d-%b-%y %H:%M:%S GMT", "%a %b %e %H:%M:%S %Y"};
	CLEANUP(freep) char *text = sv_dup(in);

	fuzz_must(text);
	for (size_t i = 0; i < ARRAY_LEN(forms); i++) {
		struct tm tm = {0};
		const char *end = strptime(text, forms[i], &tm);

		if (i == 1 && tm.tm_year == 69)
			tm.tm_year += 100; /* which it takes for 1969 */
		if (end && !*end)
			return (int64_t)timegm(&tm) * 1000;
	}
	return INT64_MIN; /* no form of HTTP's */
}

/* Written as the C library's fields say, and read again. */
static void
iso_again(int64_t ms)
{
	char text[TIME_TEXT_MAX], theirs[2 * TIME_TEXT_MAX];
	time_t s = (time_t)(ms / 1000 - (ms % 1000 < 0));
	struct tm tm;
	int64_t again;

	time_format_ms(ms, text);
	fuzz_must(gmtime_r(&s, &tm));
	(void)snprintf(theirs, sizeof(theirs), "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ",
		       tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min,
		       tm.tm_sec, (int)(ms - (int64_t)s * 1000));
	fuzz_must(strcmp(text, theirs) == 0);
	fuzz_must(time_parse_iso(sv_of(text), &again) && again == ms);
	time_format_s(ms, text);
	fuzz_must(time_parse_iso(sv_of(text), &again) && again <= ms && ms - again < 1000);
}

#define NOW_MS INT64_C(1767225600000)

/* now, now-6h, 2026-01-02, or as above. */
static int64_t
user_time(struct sv in)
{
	CLEANUP(buf_done) struct buf day = BUF_INIT(FUZZ_MAX);
	int64_t ms = 0;

	if (in.n < 10 || in.p[0] == 'n') {
		fuzz_must(in.n == 3 || num_duration((struct sv){in.p + 4, in.n - 4}, &ms));
		return in.n > 3 && in.p[3] == '-' ? NOW_MS - ms : NOW_MS + ms;
	}
	buf_sv(&day, in);
	if (in.n == 10)
		buf_str(&day, "T00:00:00Z");
	return iso_by_columns(buf_view(&day));
}

static void
times(struct sv in)
{
	char text[TIME_TEXT_MAX];
	int64_t ms;

	if (time_parse_iso(in, &ms)) {
		fuzz_must(ms == iso_by_columns(in));
		iso_again(ms);
	}
	if (time_parse_http(in, &ms)) {
		fuzz_must(ms == http_by_library(in));
		iso_again(ms);
	}
	if (time_parse_user(in, NOW_MS, &ms)) {
		fuzz_must(ms == user_time(in));
		iso_again(ms);
	}
	/* Insights has no zone: it is UTC. */
	if (insights_time(in, &ms)) {
		CLEANUP(buf_done) struct buf zulu = BUF_INIT(FUZZ_MAX);

		buf_sv(&zulu, in);
		buf_ch(&zulu, 'Z');
		iso_again(ms);
		fuzz_must(ms == iso_by_columns(buf_view(&zulu)));
	}
	if (time_parse_basic(in, &ms)) {
		fuzz_must(ms == basic_by_columns(in));
		time_format_basic(ms, text);
		/* A leap second is the second behind it. */
		fuzz_must(sv_eq(sv_of(text), in) || digits(in.p + 13, 2) == 60);
	}
}

static void
numbers(struct sv in)
{
	CLEANUP(freep) char *text = sv_dup(in);
	char out[NUM_DOUBLE_MAX];
	uint64_t u;
	int64_t i, j;
	double d, again;
	char *end;

	fuzz_must(text);
	if (num_double(in, &d)) {
		fuzz_must(strlen(text) == in.n);
		again = strtod(text, &end);
		fuzz_must(*end == '\0');
		fuzz_must(again == d || (isnan(again) && isnan(d)));
		fuzz_must(num_format(d, out) == strlen(out));
		fuzz_must(num_double(sv_of(out), &again));
		fuzz_must(again == d || (isnan(again) && isnan(d)));
	}
	if (num_i64(in, &i))
		fuzz_must(strtoll(text, NULL, 10) == i);
	if (num_u64(in, &u))
		fuzz_must(strtoull(text, NULL, 10) == u);
	if (num_duration(in, &i)) {
		num_duration_format(i, out);
		fuzz_must(i >= 0 && num_duration(sv_of(out), &j) && i == j);
	}
	if (num_bytes(in, &u)) /* so many of some unit */
		fuzz_must(strtoull(text, NULL, 10) ? u % strtoull(text, NULL, 10) == 0 : u == 0);
	/* Digits times a thousand are the digits and three noughts. */
	if (in.n < 12 && span_decimal(in, 0, &u) && strspn(text, "0123456789") == in.n) {
		uint64_t thousand;

		fuzz_must(span_decimal(in, 3, &thousand) && thousand == 1000 * u);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct sv in = {(const char *)data, n};
	double d;
	char out[NUM_DOUBLE_MAX];

	times(in);
	numbers(in);
	if (n == sizeof(d)) { /* the bits of a double */
		double again;

		memcpy(&d, data, n);
		(void)num_format(d, out);
		fuzz_must(num_double(sv_of(out), &again));
		fuzz_must(again == d || (isnan(again) && isnan(d)));
	}
	return 0;
}
