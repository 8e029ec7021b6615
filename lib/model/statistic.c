/* The grammar of statistics; see statistic.h. */
#include "model/statistic.h"

#include "base/cleanup.h"

#define DECIMALS_MAX 10

static struct sv
rest_of(struct sv s, size_t n)
{
	return (struct sv){s.p + n, s.n - n};
}

/* Digits, and perhaps a point with some more; how many bytes of it, 0: none. */
static size_t
number_len(struct sv s)
{
	size_t n = 0, point;

	while (n < s.n && s.p[n] >= '0' && s.p[n] <= '9')
		n++;
	if (!n || n == s.n || s.p[n] != '.')
		return n;
	point = n++;
	while (n < s.n && s.p[n] >= '0' && s.p[n] <= '9')
		n++;
	return n == point + 1 || n - point - 1 > DECIMALS_MAX ? 0 : n;
}

/* 0 to 100. */
static bool
is_percentage(struct sv s)
{
	size_t n = number_len(s), whole = 0;

	if (!n || n != s.n)
		return false;
	while (whole < n && s.p[whole] != '.')
		whole++;
	if (whole < 3)
		return true;
	for (size_t i = whole + 1; i < n; i++)
		if (s.p[i] != '0')
			return false;
	return whole == 3 && sv_starts(s, SV("100"));
}

/* One side of a range: nothing, a value, or a percentage with its sign. */
static bool
is_bound(struct sv s, bool *ret_percent)
{
	size_t n = number_len(s);

	*ret_percent = s.n && s.p[s.n - 1] == '%';
	return *ret_percent ? is_percentage((struct sv){s.p, s.n - 1}) : n == s.n;
}

/* (a:b) */
static bool
is_range(struct sv s, bool percent_too)
{
	const char *colon = memchr(s.p, ':', s.n);
	bool low_percent, high_percent;
	struct sv low, high;

	if (s.n < 4 || s.p[0] != '(' || s.p[s.n - 1] != ')' || !colon)
		return false;
	low = (struct sv){s.p + 1, (size_t)(colon - s.p) - 1};
	high = (struct sv){colon + 1, s.n - low.n - 3};
	if (!is_bound(low, &low_percent) || !is_bound(high, &high_percent))
		return false;
	if (low.n && high.n && low_percent != high_percent)
		return false;
	return percent_too || (!low_percent && !high_percent);
}

bool
statistic_valid(struct sv name)
{
	static const struct sv words[] = {{"Average", 7}, {"Sum", 3},	       {"Minimum", 7},
					  {"Maximum", 7}, {"SampleCount", 11}, {"IQM", 3}};
	static const struct sv of_percent[] = {
	    {"tm", 2}, {"wm", 2}, {"tc", 2}, {"ts", 2}, {"p", 1}};
	static const struct sv of_range[] = {{"TM", 2}, {"WM", 2}, {"TC", 2}, {"TS", 2}, {"PR", 2}};

	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		if (sv_eq(name, words[i]))
			return true;
	for (size_t i = 0; i < ARRAY_LEN(of_percent); i++)
		if (sv_starts(name, of_percent[i]))
			return is_percentage(rest_of(name, of_percent[i].n));
	for (size_t i = 0; i < ARRAY_LEN(of_range); i++)
		if (sv_starts(name, of_range[i]))
			return is_range(rest_of(name, 2), !sv_eq(of_range[i], SV("PR")));
	return false;
}
