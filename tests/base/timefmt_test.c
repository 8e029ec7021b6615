/* Times as text, checked against the C library's calendar and by hand. */
#include "base/timefmt.h"

#include <setjmp.h>
#include <stddef.h>
#include <cmocka.h>

#include "base/cleanup.h"

#define NOW INT64_C(1767323045678) /* 2026-01-02T03:04:05.678Z */

static void
test_formats(void **state)
{
	char out[TIME_TEXT_MAX];

	(void)state;
	time_format_ms(NOW, out);
	assert_string_equal(out, "2026-01-02T03:04:05.678Z");
	time_format_s(NOW, out);
	assert_string_equal(out, "2026-01-02T03:04:05Z");
	time_format_basic(NOW, out);
	assert_string_equal(out, "20260102T030405Z");
	time_format_day(NOW, out);
	assert_string_equal(out, "2026-01-02");
	assert_int_equal(time_hour(NOW), 3);
	time_format_ms(0, out);
	assert_string_equal(out, "1970-01-01T00:00:00.000Z");
	time_format_ms(-1, out);
	assert_string_equal(out, "1969-12-31T23:59:59.999Z");
	assert_int_equal(time_hour(-1), 23);
	time_format_day(INT64_C(951782400000), out);
	assert_string_equal(out, "2000-02-29");
}

/* Absurd times have a text too. */
static void
test_extremes(void **state)
{
	char out[TIME_TEXT_MAX];

	(void)state;
	time_format_ms(INT64_MAX, out);
	assert_string_equal(out, "292278994-08-17T07:12:55.807Z");
	time_format_ms(INT64_MIN, out);
	assert_string_equal(out, "-292275055-05-16T16:47:04.192Z");
	time_format_basic(INT64_MIN, out);
	assert_string_equal(out, "-2922750550516T164704Z");
}

static void
test_against_libc(void **state)
{
	char out[TIME_TEXT_MAX], expected[TIME_TEXT_MAX];
	uint64_t x = 88172645463325252;
	int64_t ms;

	(void)state;
	for (int i = 0; i < 50000; i++) {
		struct tm tm;
		time_t t;

		x = x * 6364136223846793005 + 1442695040888963407;
		/* Between the years 0001 and 9999. */
		t = (time_t)(x >> 11) % 315537811200 - 62135510400;
		assert_non_null(gmtime_r(&t, &tm));
		(void)snprintf(expected, sizeof(expected), "%04d-%02d-%02dT%02d:%02d:%02dZ",
			       tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min,
			       tm.tm_sec);
		time_format_s((int64_t)t * 1000, out);
		assert_string_equal(out, expected);
		assert_true(time_parse_iso(sv_of(out), &ms));
		assert_true(ms == (int64_t)t * 1000);
		time_format_basic(ms, out);
		assert_true(time_parse_basic(sv_of(out), &ms));
		assert_true(ms == (int64_t)t * 1000);
	}
}

static void
test_parse_iso(void **state)
{
	static const struct {
		const char *text;
		int64_t ms;
	} good[] = {
	    {"2026-01-02T03:04:05.678Z", NOW},
	    {"2026-01-02T03:04:05.6789999Z", NOW},
	    {"2026-01-02 03:04:05.678Z", NOW},
	    {"2026-01-02t03:04:05.678z", NOW},
	    {"2026-01-02T03:04:05Z", NOW - 678},
	    {"2026-01-02T03:04:05.6Z", NOW - 78},
	    {"2026-01-02T05:04:05.678+02:00", NOW},
	    {"2026-01-02T05:04:05.678+0200", NOW},
	    {"2026-01-01T21:34:05.678-05:30", NOW},
	    {"2026-01-02T03:04:05.678-00:00", NOW},
	    {"1970-01-01T00:00:00Z", 0},
	    {"1969-12-31T23:59:59.999Z", -1},
	    {"2000-02-29T00:00:00Z", 951782400000},
	    {"2016-12-31T23:59:60Z", 1483228800000},
	};
	static const char *const bad[] = {
	    "",
	    "2026-01-02",
	    "2026-01-02T03:04:05",
	    "2026-01-02T03:04Z",
	    "2026-01-02T03:04:05.Z",
	    "2026-01-02T03:04:05,5Z",
	    "2026-01-02T03:04:05Z ",
	    " 2026-01-02T03:04:05Z",
	    "2026-01-02T03:04:05ZZ",
	    "2026-1-02T03:04:05Z",
	    "2026-13-02T03:04:05Z",
	    "2026-00-02T03:04:05Z",
	    "2026-02-29T03:04:05Z",
	    "2100-02-29T03:04:05Z",
	    "2026-04-31T03:04:05Z",
	    "2026-01-00T03:04:05Z",
	    "2026-01-02T24:00:00Z",
	    "2026-01-02T03:60:05Z",
	    "2026-01-02T03:04:61Z",
	    "2026-01-02T03:04:05+24:00",
	    "2026-01-02T03:04:05+02:60",
	    "2026-01-02T03:04:05+02",
	    "2026-01-02T03:04:05+2:00",
	    "-2026-01-02T03:04:05Z",
	    "20260102T030405Z",
	};
	int64_t ms;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		assert_true(time_parse_iso(sv_of(good[i].text), &ms));
		assert_int_equal(ms, good[i].ms);
	}
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		ms = 42;
		assert_false(time_parse_iso(sv_of(bad[i]), &ms));
		assert_int_equal(ms, 42);
	}
	assert_false(time_parse_iso(SV("2026-01-02\0"
				       "03:04:05Z"),
				    &ms));
}

static void
test_parse_user(void **state)
{
	static const struct {
		const char *text;
		int64_t ms;
	} good[] = {
	    {"now", NOW},   {"now-6h", NOW - 21600000},	   {"now+1h30m", NOW + 5400000},
	    {"now-0", NOW}, {"2026-01-02", 1767312000000}, {"2026-01-02T03:04:05.678Z", NOW},
	};
	static const char *const bad[] = {
	    "",		  "now-",	 "now+",     "now 6h",	       "now--6h",
	    "now-6",	  "Now",	 "nowadays", "now-6h ",	       "yesterday",
	    "2026-01-32", "2026-01-02 ", "6h",	     "now+300000000y",
	};
	int64_t ms;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		assert_true(time_parse_user(sv_of(good[i].text), NOW, &ms));
		assert_int_equal(ms, good[i].ms);
	}
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_false(time_parse_user(sv_of(bad[i]), NOW, &ms));
	assert_false(time_parse_user(SV("now+1ms"), INT64_MAX, &ms));
	assert_false(time_parse_user(SV("now-2ms"), INT64_MIN + 1, &ms));
	assert_false(time_parse_user(SV("now-2600y"), NOW, &ms));
	assert_false(time_parse_user(SV("now+8000y"), NOW, &ms));
	assert_false(time_parse_iso(SV("0000-01-01T00:00:00+01:00"), &ms));
	assert_false(time_parse_iso(SV("9999-12-31T23:59:59-01:00"), &ms));
	assert_true(time_parse_iso(SV("9999-12-31T23:59:59Z"), &ms));
}

static void
test_parse_http(void **state)
{
	static const struct {
		const char *text;
		int64_t ms;
	} good[] = {
	    {"Sun, 06 Nov 1994 08:49:37 GMT", 784111777000},
	    {"Sunday, 06-Nov-94 08:49:37 GMT", 784111777000},
	    {"Sun Nov  6 08:49:37 1994", 784111777000},
	    {"Wed Nov 16 08:49:37 1994", 784975777000},
	    {"Thursday, 01-Jan-26 00:00:00 GMT", 1767225600000},
	};
	static const char *const bad[] = {
	    "",
	    "Sun, 06 Nov 1994 08:49:37",
	    "Sun, 06 Nov 1994 08:49:37 UTC",
	    "Sun, 06 Nov 1994 08:49:37 GMT ",
	    "Sun, 6 Nov 1994 08:49:37 GMT",
	    "Son, 06 Nov 1994 08:49:37 GMT",
	    "Sun, 06 Now 1994 08:49:37 GMT",
	    "Sun, 31 Nov 1994 08:49:37 GMT",
	    "Sun, 06-Nov-94 08:49:37 GMT",
	    "Sunday, 06 Nov 1994 08:49:37 GMT",
	    "Sun Nov 6 08:49:37 1994",
	    "Sun Nov  6 08:49:37 1994 GMT",
	    "1994-11-06T08:49:37Z",
	};
	int64_t ms;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		assert_true(time_parse_http(sv_of(good[i].text), &ms));
		assert_int_equal(ms, good[i].ms);
	}
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_false(time_parse_http(sv_of(bad[i]), &ms));
}

static void
test_parse_basic(void **state)
{
	int64_t ms;

	(void)state;
	assert_true(time_parse_basic(SV("20260102T030405Z"), &ms));
	assert_int_equal(ms, NOW - 678);
	assert_false(time_parse_basic(SV("20260102T030405"), &ms));
	assert_false(time_parse_basic(SV("20260102T030405ZZ"), &ms));
	assert_false(time_parse_basic(SV("20260102 030405Z"), &ms));
	assert_false(time_parse_basic(SV("20261302T030405Z"), &ms));
	assert_false(time_parse_basic(SV("2026-01-02T03:04:05Z"), &ms));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_formats),	 cmocka_unit_test(test_extremes),
	    cmocka_unit_test(test_against_libc), cmocka_unit_test(test_parse_iso),
	    cmocka_unit_test(test_parse_user),	 cmocka_unit_test(test_parse_http),
	    cmocka_unit_test(test_parse_basic),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
