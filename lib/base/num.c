/*
 * Integers, durations and sizes as text, strictly. strtol and its kin take blanks, hexadecimal and
 * trailing text, and look at the locale; what comes from a configuration or a service must be
 * exactly a number.
 */
#include "base/num.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/cleanup.h"

static bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* Digits at the start of s: their value and how many; false for none or an overflow. */
static bool
read_digits(struct sv s, uint64_t *ret, size_t *ret_n)
{
	uint64_t v = 0;
	size_t i = 0;

	for (; i < s.n && is_digit(s.p[i]); i++)
		if (__builtin_mul_overflow(v, (uint64_t)10, &v) ||
		    __builtin_add_overflow(v, (uint64_t)(s.p[i] - '0'), &v))
			return false;
	*ret = v;
	*ret_n = i;
	return i > 0;
}

static struct sv
skip(struct sv s, size_t n)
{
	return (struct sv){s.p + n, s.n - n};
}

bool
num_u64(struct sv s, uint64_t *ret)
{
	uint64_t v;
	size_t n;

	if (s.n && s.p[0] == '+')
		s = skip(s, 1);
	if (!read_digits(s, &v, &n) || n != s.n)
		return false;
	*ret = v;
	return true;
}

bool
num_i64(struct sv s, int64_t *ret)
{
	bool neg = s.n && s.p[0] == '-';
	uint64_t v, limit = neg ? (uint64_t)INT64_MAX + 1 : INT64_MAX;
	size_t n;

	if (neg || (s.n && s.p[0] == '+'))
		s = skip(s, 1);
	if (!read_digits(s, &v, &n) || n != s.n || v > limit)
		return false;
	*ret = neg ? (int64_t)(0 - v) : (int64_t)v;
	return true;
}

/* Longest first: "ms" must be tried before "m". */
static const struct {
	const char *name;
	int64_t ms;
	int rank; /* falls from year to millisecond */
} duration_units[] = {
    {"ms", 1, 1},	{"s", 1000, 2},	     {"m", 60000, 3},	    {"h", 3600000, 4},
    {"d", 86400000, 5}, {"w", 604800000, 6}, {"y", 31536000000, 7},
};

/* The unit at the start of s; -1 for none. */
static int
duration_unit(struct sv s)
{
	for (size_t i = 0; i < ARRAY_LEN(duration_units); i++)
		if (sv_starts(s, sv_of(duration_units[i].name)))
			return (int)i;
	return -1;
}

bool
num_duration(struct sv s, int64_t *ret_ms)
{
	int64_t sum = 0, part;
	int rank = INT32_MAX;
	uint64_t v;
	size_t n;
	int unit;

	if (sv_eq(s, SV("0"))) {
		*ret_ms = 0;
		return true;
	}
	if (s.n == 0)
		return false;
	while (s.n) {
		if (!read_digits(s, &v, &n))
			return false;
		s = skip(s, n);
		unit = duration_unit(s);
		if (unit < 0 || duration_units[unit].rank >= rank)
			return false;
		if (__builtin_mul_overflow(v, duration_units[unit].ms, &part) ||
		    __builtin_add_overflow(sum, part, &sum))
			return false;
		rank = duration_units[unit].rank;
		s = skip(s, strlen(duration_units[unit].name));
	}
	*ret_ms = sum;
	return true;
}

void
num_duration_format(int64_t ms, char out[32])
{
	static const struct {
		const char *name;
		uint64_t ms;
	} units[] = {{"d", 86400000}, {"h", 3600000}, {"m", 60000}, {"s", 1000}, {"ms", 1}};
	uint64_t rest = ms < 0 ? 0 - (uint64_t)ms : (uint64_t)ms;
	size_t n = 0;

	if (ms == 0) {
		(void)snprintf(out, 32, "0s");
		return;
	}
	if (ms < 0)
		out[n++] = '-';
	for (size_t i = 0; i < ARRAY_LEN(units); i++) {
		if (rest >= units[i].ms)
			n += (size_t)snprintf(out + n, 32 - n, "%" PRIu64 "%s", rest / units[i].ms,
					      units[i].name);
		rest %= units[i].ms;
	}
}

bool
num_bytes(struct sv s, uint64_t *ret)
{
	static const struct {
		const char *name;
		uint64_t factor;
	} units[] = {
	    {"", 1},
	    {"kB", 1000},
	    {"MB", 1000000},
	    {"GB", 1000000000},
	    {"TB", 1000000000000},
	    {"KiB", (uint64_t)1 << 10},
	    {"MiB", (uint64_t)1 << 20},
	    {"GiB", (uint64_t)1 << 30},
	    {"TiB", (uint64_t)1 << 40},
	};
	uint64_t v;
	size_t n;

	if (!read_digits(s, &v, &n))
		return false;
	s = skip(s, n);
	for (size_t i = 0; i < ARRAY_LEN(units); i++)
		if (sv_eq(s, sv_of(units[i].name)))
			return !__builtin_mul_overflow(v, units[i].factor, ret);
	return false;
}
