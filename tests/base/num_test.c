/* Numbers: what is a number and what is not, and that every double survives its shortest text. */
#include "base/num.h"

#include <float.h>
#include <inttypes.h>
#include <locale.h>
#include <math.h>
#include <setjmp.h>
#include <stddef.h>
#include <cmocka.h>

#include "base/cleanup.h"
#include "tests/support/effort.h"

#define RANDOM_DOUBLES 300000

static uint64_t
next_random(uint64_t *x)
{
	*x ^= *x << 13;
	*x ^= *x >> 7;
	*x ^= *x << 17;
	return *x;
}

static void
test_i64(void **state)
{
	static const struct {
		const char *text;
		int64_t value;
	} good[] = {
	    {"0", 0},
	    {"-0", 0},
	    {"+7", 7},
	    {"-7", -7},
	    {"007", 7},
	    {"9223372036854775807", INT64_MAX},
	    {"-9223372036854775808", INT64_MIN},
	};
	static const char *const bad[] = {
	    "",
	    "-",
	    "+",
	    " 1",
	    "1 ",
	    "1x",
	    "0x10",
	    "1.0",
	    "--1",
	    "+-1",
	    "1e3",
	    "1\n",
	    "\xD9\xA1",
	    "9223372036854775808",
	    "-9223372036854775809",
	    "99999999999999999999999",
	};
	int64_t v;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		assert_true(num_i64(sv_of(good[i].text), &v));
		assert_true(v == good[i].value);
	}
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		v = 42;
		assert_false(num_i64(sv_of(bad[i]), &v));
		assert_int_equal(v, 42);
	}
	assert_false(num_i64(SV("1\0"), &v));
	assert_false(num_i64((struct sv){NULL, 0}, &v));
	/* A view is not read beyond its end. */
	assert_true(num_i64((struct sv){"1234", 2}, &v));
	assert_int_equal(v, 12);
}

static void
test_u64(void **state)
{
	uint64_t v;

	(void)state;
	assert_true(num_u64(SV("18446744073709551615"), &v));
	assert_true(v == UINT64_MAX);
	assert_true(num_u64(SV("+1"), &v));
	assert_false(num_u64(SV("18446744073709551616"), &v));
	assert_false(num_u64(SV("-1"), &v));
	assert_false(num_u64(SV("-0"), &v));
	assert_false(num_u64(SV(""), &v));
	assert_false(num_u64(SV("1 "), &v));
}

static void
test_double(void **state)
{
	static const struct {
		const char *text;
		double value;
	} good[] = {
	    {"0", 0},
	    {"1.5", 1.5},
	    {"-1.5e3", -1500},
	    {"+2", 2},
	    {".5", 0.5},
	    {"5.", 5},
	    {"1E+2", 100},
	    {"1e-400", 0},
	    {"4.9e-324", 4.9406564584124654e-324},
	    {"+Inf", INFINITY},
	    {"-Inf", -INFINITY},
	    {"Infinity", INFINITY},
	    {"-Infinity", -INFINITY},
	};
	static const char *const bad[] = {
	    "",	      " 1",  "1 ",  ".",   "e5",    "1e",    "1e+",    "0x1p3", "inf",	    "nan",
	    "NAN(1)", "1,5", "1_0", "--1", "1.2.3", "1e400", "-1e400", "+NaN",	"INFINITY", "-",
	};
	double v;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		assert_true(num_double(sv_of(good[i].text), &v));
		assert_true(v == good[i].value);
	}
	assert_true(num_double(SV("NaN"), &v));
	assert_true(isnan(v));
	assert_true(num_double(SV("-0"), &v));
	assert_true(v == 0 && signbit(v));
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		v = 42;
		assert_false(num_double(sv_of(bad[i]), &v));
		assert_true(v == 42);
	}
	assert_false(num_double(SV("1\0"), &v));
	assert_true(num_double((struct sv){"1234", 2}, &v));
	assert_true(v == 12);
}

static void
test_long_double_text(void **state)
{
	char text[5000];
	double v;

	(void)state;
	memset(text, '1', sizeof(text));
	text[1] = '.';
	assert_true(num_double((struct sv){text, 1000}, &v));
	assert_true(v > 1.11 && v < 1.12);
	assert_true(num_double((struct sv){text, sizeof(text)}, &v));
	assert_true(v > 1.11 && v < 1.12);
}

/* Where the number at the start ends. */
static void
test_scan(void **state)
{
	static const struct {
		const char *text;
		size_t n;
		double value;
	} rows[] = {
	    {"1,2", 1, 1},
	    {"-2.5e3]", 6, -2500},
	    {"1e", 1, 1},
	    {"1e+x", 1, 1},
	    {"1.", 2, 1},
	    {"1.e1", 4, 10},
	    {"0012", 4, 12},
	    {"1e400", 0, 0},
	    {"x", 0, 0},
	    {"", 0, 0},
	    {".", 0, 0},
	    {"-", 0, 0},
	    {"NaN", 0, 0},
	    {"1.5.5", 3, 1.5},
	    {"--1", 0, 0},
	    {"1e-99999999999", 14, 0},
	    {"0e99999999999", 13, 0},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		double v = 0;

		assert_int_equal(num_scan(sv_of(rows[i].text), &v), rows[i].n);
		assert_true(v == rows[i].value);
	}
}

static void
check_read(const char *text)
{
	double v, want = strtod(text, NULL);

	if (!num_double(sv_of(text), &v) || memcmp(&v, &want, sizeof(v)) != 0)
		fail_msg("%s", text);
}

/* The fast way and the libc's come to the same bits: at the edges between the two, and half-way
 * between two doubles. */
static void
test_like_strtod(void **state)
{
	const int n_random = (int)effort(RANDOM_DOUBLES);
	uint64_t x = 0x9E3779B97F4A7C15;
	char text[64];

	(void)state;
	for (int i = 0; i < n_random; i++) {
		uint64_t digits = next_random(&x) >> (next_random(&x) % 64);
		int e = (int)(next_random(&x) % 64) - 32;

		(void)snprintf(text, sizeof(text), "%llue%d", (unsigned long long)digits, e);
		check_read(text);
		(void)snprintf(text, sizeof(text), "0.%020llu", (unsigned long long)digits);
		check_read(text);
		(void)snprintf(text, sizeof(text), "%llu.5",
			       (unsigned long long)((1ULL << 53) | (digits >> (i % 12 + 11))));
		check_read(text);
		(void)snprintf(text, sizeof(text), "-%.17g", (double)digits / (double)(i + 1));
		check_read(text);
	}
}

/* `digit` so many times. */
static void
repeat(struct buf *to, char digit, size_t n)
{
	while (n--)
		buf_ch(to, digit);
}

/* However many digits there are, and wherever the point is. */
static void
test_long_numbers(void **state)
{
	static const size_t lengths[] = {760, 767, 768, 769, 1100, 1199, 1200, 5000};
	static const char *const ends[] = {"",	     "1",     "5",	"e5",
					   "1e-300", "1e300", "1e1200", "9e-1200"};
	static const char *const starts[] = {
	    "0.", "1.", "-9007199254740993", "9007199254740993.", "17976931348623157", "0"};
	CLEANUP(buf_done) struct buf text = BUF_INIT(1 << 16);

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(lengths) * ARRAY_LEN(ends) * ARRAY_LEN(starts); i++) {
		const char *end = ends[i / ARRAY_LEN(lengths) % ARRAY_LEN(ends)];

		buf_reset(&text);
		buf_str(&text, starts[i / ARRAY_LEN(lengths) / ARRAY_LEN(ends)]);
		repeat(&text, '0', lengths[i % ARRAY_LEN(lengths)]);
		buf_str(&text, end);
		if (!isinf(strtod(buf_cstr(&text), NULL)))
			check_read(buf_cstr(&text));
	}
	/* One that is halfway between two doubles, and a digit more at its end. */
	for (int more = 0; more < 2; more++) {
		buf_reset(&text);
		buf_fmt(&text, "%.1080f", 0x1.0000000000001p-1022 + 0);
		buf_fmt(&text, "%s", more ? "1" : "");
		check_read(buf_cstr(&text));
		buf_reset(&text);
		buf_str(&text, "9007199254740993.");
		repeat(&text, '0', 1500);
		buf_str(&text, more ? "1" : "");
		check_read(buf_cstr(&text));
	}
}

static void
check_text(double v, const char *expected)
{
	char out[NUM_DOUBLE_MAX];

	assert_int_equal(num_format(v, out), strlen(expected));
	assert_string_equal(out, expected);
}

static void
test_format(void **state)
{
	(void)state;
	check_text(0, "0");
	check_text(-0.0, "-0");
	check_text(5, "5");
	check_text(-5, "-5");
	check_text(0.1, "0.1");
	check_text(1.0 / 3, "0.3333333333333333");
	check_text(0.1 + 0.2, "0.30000000000000004");
	check_text(1e15, "1000000000000000");
	check_text(9007199254740991, "9007199254740991");
	check_text(-9007199254740992, "-9007199254740992");
	check_text(1e22, "1e+22");
	check_text(1e100, "1e+100");
	check_text(1.5e-7, "1.5e-07");
	check_text(123456789.125, "123456789.125");
	check_text(DBL_MAX, "1.7976931348623157e+308");
	check_text(-DBL_MAX, "-1.7976931348623157e+308");
	check_text(DBL_MIN, "2.2250738585072014e-308");
	check_text(DBL_TRUE_MIN, "5e-324");
	check_text(NAN, "NaN");
	check_text(INFINITY, "+Inf");
	check_text(-INFINITY, "-Inf");
}

static bool
same_bits(double a, double b)
{
	return memcmp(&a, &b, sizeof(a)) == 0;
}

/* -?digits(.digits)?(e[+-]digits)?, no leading zeros: what JSON takes. */
static bool
is_json_number(const char *s)
{
	size_t n;

	s += *s == '-';
	n = strspn(s, "0123456789");
	if (n == 0 || (n > 1 && *s == '0'))
		return false;
	s += n;
	if (*s == '.') {
		n = strspn(s + 1, "0123456789");
		if (n == 0)
			return false;
		s += 1 + n;
	}
	if (*s == 'e') {
		s += 1 + (s[1] == '+' || s[1] == '-');
		n = strspn(s, "0123456789");
		if (n == 0)
			return false;
		s += n;
	}
	return *s == '\0';
}

static int
count_significant(const char *s)
{
	int n = 0, zeros = 0;

	for (; *s && *s != 'e'; s++) {
		if (*s < '0' || *s > '9' || (*s == '0' && n == 0))
			continue;
		n++;
		zeros = *s == '0' ? zeros + 1 : 0;
	}
	return n - zeros;
}

/* No text with one digit less reads back. */
static bool
is_shortest(double v, const char *text)
{
	int digits = count_significant(text);
	char less[64];

	if (digits < 2)
		return true;
	(void)snprintf(less, sizeof(less), "%.*e", digits - 2, v);
	return strtod(less, NULL) != v;
}

static void
check_round_trip(double v)
{
	char out[NUM_DOUBLE_MAX];
	size_t n = num_format(v, out);
	double back;

	assert_true(n < sizeof(out) && out[n] == '\0' && strlen(out) == n);
	assert_true(is_json_number(out));
	assert_true(num_double(sv_of(out), &back));
	if (!same_bits(back, v) || !is_shortest(v, out))
		fail_msg("%a became %s", v, out);
}

static void
test_round_trip(void **state)
{
	const int n_random = (int)effort(RANDOM_DOUBLES);
	uint64_t x = 88172645463325252, bits;
	double v;

	(void)state;
	for (int i = 0; i < n_random; i++) {
		bits = next_random(&x);
		memcpy(&v, &bits, sizeof(v));
		if (isfinite(v))
			check_round_trip(v);
	}
}

static void
test_round_trip_subnormal(void **state)
{
	uint64_t x = 4101842887655102017, bits;
	double v;

	(void)state;
	for (int i = 0; i < 3000; i++) {
		/* All sizes, down to a single bit. */
		bits = (next_random(&x) >> 12 >> (i % 52)) | (x & (uint64_t)1 << 63);
		memcpy(&v, &bits, sizeof(v));
		check_round_trip(v);
	}
}

static void
test_round_trip_ordinary(void **state)
{
	const int n_random = (int)effort(RANDOM_DOUBLES);
	uint64_t x = 2685821657736338717;

	(void)state;
	for (int i = 0; i < n_random; i++) {
		int64_t n = (int64_t)(next_random(&x) >> (i % 64));

		check_round_trip((double)n);
		check_round_trip((double)(n % 1000000) / 100);
		check_round_trip(1 / (double)(n % 100000 + 100001));
	}
	for (int e = -1074; e < 1024; e++) {
		check_round_trip(ldexp(1, e));
		check_round_trip(nextafter(ldexp(1, e), 0));
	}
}

/* Only where a locale with a decimal comma is installed. */
static void
test_locale(void **state)
{
	static const char *const names[] = {"de_DE.UTF-8", "de_DE.utf8", "fr_FR.UTF-8", "de_DE"};
	const char *set = NULL;
	double v;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(names) && !set; i++)
		set = setlocale(LC_ALL, names[i]);
	if (!set)
		skip();
	assert_true(num_double(SV("1.5"), &v));
	assert_true(v == 1.5);
	check_text(0.25, "0.25");
	assert_non_null(setlocale(LC_ALL, "C"));
}

static void
test_duration(void **state)
{
	static const struct {
		const char *text;
		int64_t ms;
	} good[] = {
	    {"0", 0},
	    {"0s", 0},
	    {"90s", 90000},
	    {"5m", 300000},
	    {"1h30m", 5400000},
	    {"7d", 604800000},
	    {"250ms", 250},
	    {"1w", 604800000},
	    {"1y", 31536000000},
	    {"1y2w3d4h5m6s7ms", 33019506007},
	    {"1m1ms", 60001},
	};
	static const char *const bad[] = {
	    "",
	    "1",
	    "s",
	    "m5",
	    "5 m",
	    "-5m",
	    "+5m",
	    "1.5h",
	    "5m1h",
	    "5m5m",
	    "1h30",
	    "5M",
	    "5min",
	    "00",
	    "1s1m",
	    "5m ",
	    "1us",
	    "99999999999999999999s",
	    "9223372036854775807s",
	    "300000000y",
	};
	int64_t ms;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		assert_true(num_duration(sv_of(good[i].text), &ms));
		assert_int_equal(ms, good[i].ms);
	}
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		ms = 42;
		assert_false(num_duration(sv_of(bad[i]), &ms));
		assert_int_equal(ms, 42);
	}
}

static void
test_duration_format(void **state)
{
	static const struct {
		int64_t ms;
		const char *text;
	} rows[] = {
	    {0, "0s"},
	    {250, "250ms"},
	    {90000, "1m30s"},
	    {5400000, "1h30m"},
	    {604800000, "7d"},
	    {86400001, "1d1ms"},
	    {-60000, "-1m"},
	    {INT64_MAX, "106751991167d7h12m55s807ms"},
	    {INT64_MIN, "-106751991167d7h12m55s808ms"},
	};
	char out[32];
	int64_t back;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		num_duration_format(rows[i].ms, out);
		assert_string_equal(out, rows[i].text);
		if (rows[i].ms >= 0) {
			assert_true(num_duration(sv_of(out), &back));
			assert_true(back == rows[i].ms);
		}
	}
}

static void
test_bytes(void **state)
{
	static const struct {
		const char *text;
		uint64_t bytes;
	} good[] = {
	    {"0", 0},
	    {"1024", 1024},
	    {"500kB", 500000},
	    {"1MB", 1000000},
	    {"50GB", 50000000000},
	    {"2TB", 2000000000000},
	    {"1KiB", 1024},
	    {"1MiB", 1048576},
	    {"3GiB", 3221225472},
	    {"1TiB", 1099511627776},
	    {"18446744073709551615", UINT64_MAX},
	};
	static const char *const bad[] = {
	    "",
	    "kB",
	    "1 kB",
	    "1KB",
	    "1k",
	    "1.5GB",
	    "-1",
	    "+1",
	    "1mb",
	    "1PiB",
	    "1kB ",
	    "18446744073709551616",
	    "16777216TiB",
	};
	uint64_t v;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		assert_true(num_bytes(sv_of(good[i].text), &v));
		assert_true(v == good[i].bytes);
	}
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_false(num_bytes(sv_of(bad[i]), &v));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_i64),
	    cmocka_unit_test(test_u64),
	    cmocka_unit_test(test_double),
	    cmocka_unit_test(test_long_double_text),
	    cmocka_unit_test(test_scan),
	    cmocka_unit_test(test_like_strtod),
	    cmocka_unit_test(test_long_numbers),
	    cmocka_unit_test(test_format),
	    cmocka_unit_test(test_round_trip),
	    cmocka_unit_test(test_round_trip_subnormal),
	    cmocka_unit_test(test_round_trip_ordinary),
	    cmocka_unit_test(test_locale),
	    cmocka_unit_test(test_duration),
	    cmocka_unit_test(test_duration_format),
	    cmocka_unit_test(test_bytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
