/*
 * Times as text. The C library's calendar functions look at the time zone, share static storage or
 * take a struct tm that is easy to fill wrongly; the proleptic Gregorian calendar in UTC is a page
 * of arithmetic, so it is done here.
 */
#include "base/timefmt.h"

#include <inttypes.h>

#include "base/cleanup.h"
#include "base/num.h"

#define DAY_MS	 86400000
#define FIRST_MS INT64_C(-62167219200000) /* 0000-01-01T00:00:00.000Z */
#define LAST_MS	 INT64_C(253402300799999) /* 9999-12-31T23:59:59.999Z */

struct civil {
	int64_t year;
	int month; /* 1-12 */
	int day;   /* 1-31 */
	int hour, minute, second, milli;
};

/* Days since 1970-01-01. The year is taken to start in March, so that the leap day comes last. */
static int64_t
days_from_civil(int64_t y, int m, int d)
{
	int64_t era, yoe, doy, doe;

	y -= m <= 2;
	era = (y >= 0 ? y : y - 399) / 400;
	yoe = y - era * 400;
	doy = (153 * (m + (m > 2 ? -3 : 9)) + 2) / 5 + d - 1;
	doe = yoe * 365 + yoe / 4 - yoe / 100 + doy;
	return era * 146097 + doe - 719468;
}

static void
civil_from_days(int64_t z, struct civil *c)
{
	int64_t era, doe, yoe, doy, mp;

	z += 719468;
	era = (z >= 0 ? z : z - 146096) / 146097;
	doe = z - era * 146097;
	yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
	doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
	mp = (5 * doy + 2) / 153;
	c->day = (int)(doy - (153 * mp + 2) / 5 + 1);
	c->month = (int)(mp < 10 ? mp + 3 : mp - 9);
	c->year = yoe + era * 400 + (c->month <= 2);
}

static struct civil
civil_of(int64_t ms)
{
	int rest = (int)(ms % DAY_MS);
	struct civil c;

	if (rest < 0)
		rest += DAY_MS;
	civil_from_days(ms / DAY_MS - (ms % DAY_MS < 0), &c);
	c.hour = rest / 3600000;
	c.minute = rest / 60000 % 60;
	c.second = rest / 1000 % 60;
	c.milli = rest % 1000;
	return c;
}

static int
month_days(int64_t year, int month)
{
	static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

	return days[month - 1] + (month == 2 && leap);
}

/* Checks every field; second 60 is a leap second and counts as the second after it. */
static bool
civil_to_ms(const struct civil *c, int64_t *ret_ms)
{
	int64_t days;

	if (c->month < 1 || c->month > 12 || c->day < 1 || c->day > month_days(c->year, c->month) ||
	    c->hour > 23 || c->minute > 59 || c->second > 60)
		return false;
	days = days_from_civil(c->year, c->month, c->day);
	*ret_ms =
	    days * DAY_MS + c->hour * 3600000 + c->minute * 60000 + c->second * 1000 + c->milli;
	return true;
}

/* The parser's helpers take from the front of *s. */

static bool
take_ch(struct sv *s, char c)
{
	if (s->n == 0 || s->p[0] != c)
		return false;
	s->p++;
	s->n--;
	return true;
}

static bool
take_one_of(struct sv *s, const char *set, char *ret)
{
	if (s->n == 0 || s->p[0] == '\0' || !strchr(set, s->p[0]))
		return false;
	*ret = s->p[0];
	s->p++;
	s->n--;
	return true;
}

static bool
take_digits(struct sv *s, size_t n, int *ret)
{
	int v = 0;

	if (s->n < n)
		return false;
	for (size_t i = 0; i < n; i++) {
		if (s->p[i] < '0' || s->p[i] > '9')
			return false;
		v = v * 10 + (s->p[i] - '0');
	}
	s->p += n;
	s->n -= n;
	*ret = v;
	return true;
}

static bool
take_text(struct sv *s, struct sv text)
{
	if (!sv_starts(*s, text))
		return false;
	s->p += text.n;
	s->n -= text.n;
	return true;
}

static bool
take_date(struct sv *s, struct civil *c)
{
	int year;

	if (!take_digits(s, 4, &year) || !take_ch(s, '-') || !take_digits(s, 2, &c->month) ||
	    !take_ch(s, '-') || !take_digits(s, 2, &c->day))
		return false;
	c->year = year;
	return true;
}

static bool
take_clock(struct sv *s, struct civil *c)
{
	return take_digits(s, 2, &c->hour) && take_ch(s, ':') && take_digits(s, 2, &c->minute) &&
	       take_ch(s, ':') && take_digits(s, 2, &c->second);
}

/* ".25": what is finer than a millisecond is cut off. */
static bool
take_fraction(struct sv *s, struct civil *c)
{
	int digit, weight = 100;

	if (!take_ch(s, '.'))
		return true;
	if (!take_digits(s, 1, &digit))
		return false;
	do {
		c->milli += digit * weight;
		weight /= 10;
	} while (take_digits(s, 1, &digit));
	return true;
}

/* Z, +hh:mm or +hhmm. */
static bool
take_offset(struct sv *s, int64_t *ret_ms)
{
	int h, m;
	char c;

	if (!take_one_of(s, "Zz+-", &c))
		return false;
	*ret_ms = 0;
	if (c == 'Z' || c == 'z')
		return true;
	if (!take_digits(s, 2, &h))
		return false;
	(void)take_ch(s, ':');
	if (!take_digits(s, 2, &m) || h > 23 || m > 59)
		return false;
	*ret_ms = (c == '-' ? -1 : 1) * (h * 3600000 + m * 60000);
	return true;
}

/* Years have four digits: what cannot be written is not read either. */
static bool
has_text(int64_t ms)
{
	return ms >= FIRST_MS && ms <= LAST_MS;
}

bool
time_countable(int64_t ms)
{
	return ms >= 0 && ms <= LAST_MS;
}

bool
time_parse_iso(struct sv s, int64_t *ret_ms)
{
	struct civil c = {0};
	int64_t ms, offset;
	char t;

	if (!take_date(&s, &c) || !take_one_of(&s, "Tt ", &t) || !take_clock(&s, &c) ||
	    !take_fraction(&s, &c) || !take_offset(&s, &offset) || s.n != 0)
		return false;
	if (!civil_to_ms(&c, &ms))
		return false;
	*ret_ms = ms - offset;
	return has_text(*ret_ms);
}

static bool
parse_day(struct sv s, int64_t *ret_ms)
{
	struct civil c = {0};

	return take_date(&s, &c) && s.n == 0 && civil_to_ms(&c, ret_ms);
}

bool
time_parse_user(struct sv s, int64_t now_ms, int64_t *ret_ms)
{
	int64_t d;
	char sign;

	if (!take_text(&s, SV("now")))
		return parse_day(s, ret_ms) || time_parse_iso(s, ret_ms);
	if (s.n == 0) {
		*ret_ms = now_ms;
		return true;
	}
	if (!take_one_of(&s, "+-", &sign) || !num_duration(s, &d))
		return false;
	if (sign == '-' ? __builtin_sub_overflow(now_ms, d, ret_ms)
			: __builtin_add_overflow(now_ms, d, ret_ms))
		return false;
	return has_text(*ret_ms);
}

static bool
take_month(struct sv *s, int *ret)
{
	static const char names[] = "JanFebMarAprMayJunJulAugSepOctNovDec";

	for (int i = 0; i < 12; i++)
		if (take_text(s, (struct sv){names + 3 * i, 3})) {
			*ret = i + 1;
			return true;
		}
	return false;
}

/* "Sunday" if `full`, else "Sun". The day of the week is not compared with the date. */
static bool
take_weekday(struct sv *s, bool full)
{
	static const char *const names[] = {"Sunday",	"Monday", "Tuesday", "Wednesday",
					    "Thursday", "Friday", "Saturday"};

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (take_text(s, (struct sv){names[i], full ? strlen(names[i]) : 3}))
			return true;
	return false;
}

/* Sun, 06 Nov 1994 08:49:37 GMT */
static bool
parse_imf(struct sv s, struct civil *c)
{
	int year;

	if (!take_weekday(&s, false) || !take_text(&s, SV(", ")) || !take_digits(&s, 2, &c->day) ||
	    !take_ch(&s, ' ') || !take_month(&s, &c->month) || !take_ch(&s, ' ') ||
	    !take_digits(&s, 4, &year) || !take_ch(&s, ' ') || !take_clock(&s, c))
		return false;
	c->year = year;
	return sv_eq(s, SV(" GMT"));
}

/* Sunday, 06-Nov-94 08:49:37 GMT: two digits of the year mean 1970 to 2069. */
static bool
parse_rfc850(struct sv s, struct civil *c)
{
	int year;

	if (!take_weekday(&s, true) || !take_text(&s, SV(", ")) || !take_digits(&s, 2, &c->day) ||
	    !take_ch(&s, '-') || !take_month(&s, &c->month) || !take_ch(&s, '-') ||
	    !take_digits(&s, 2, &year) || !take_ch(&s, ' ') || !take_clock(&s, c))
		return false;
	c->year = year < 70 ? 2000 + year : 1900 + year;
	return sv_eq(s, SV(" GMT"));
}

/* Sun Nov  6 08:49:37 1994 */
static bool
parse_asctime(struct sv s, struct civil *c)
{
	int year;

	if (!take_weekday(&s, false) || !take_ch(&s, ' ') || !take_month(&s, &c->month) ||
	    !take_ch(&s, ' ') || !take_digits(&s, take_ch(&s, ' ') ? 1 : 2, &c->day) ||
	    !take_ch(&s, ' ') || !take_clock(&s, c) || !take_ch(&s, ' ') ||
	    !take_digits(&s, 4, &year))
		return false;
	c->year = year;
	return s.n == 0;
}

bool
time_parse_http(struct sv s, int64_t *ret_ms)
{
	struct civil c = {0};

	if (!parse_imf(s, &c) && !parse_rfc850(s, &c) && !parse_asctime(s, &c))
		return false;
	return civil_to_ms(&c, ret_ms);
}

bool
time_parse_basic(struct sv s, int64_t *ret_ms)
{
	struct civil c = {0};
	int year;

	if (!take_digits(&s, 4, &year) || !take_digits(&s, 2, &c.month) ||
	    !take_digits(&s, 2, &c.day) || !take_ch(&s, 'T') || !take_digits(&s, 2, &c.hour) ||
	    !take_digits(&s, 2, &c.minute) || !take_digits(&s, 2, &c.second) || !take_ch(&s, 'Z') ||
	    s.n != 0)
		return false;
	c.year = year;
	return civil_to_ms(&c, ret_ms);
}

/* The last `digits` digits of v; returns what is behind them. */
static char *
put_digits(char *p, int v, int digits)
{
	for (int i = digits - 1; i >= 0; i--, v /= 10)
		p[i] = (char)('0' + v % 10);
	return p + digits;
}

/* As below, for years of four digits: it is done for each line of a lake. */
static void
put_ms(char *p, const struct civil *c)
{
	p = put_digits(p, (int)c->year, 4);
	*p++ = '-';
	p = put_digits(p, c->month, 2);
	*p++ = '-';
	p = put_digits(p, c->day, 2);
	*p++ = 'T';
	p = put_digits(p, c->hour, 2);
	*p++ = ':';
	p = put_digits(p, c->minute, 2);
	*p++ = ':';
	p = put_digits(p, c->second, 2);
	*p++ = '.';
	p = put_digits(p, c->milli, 3);
	memcpy(p, "Z", 2);
}

void
time_format_ms(int64_t ms, char out[TIME_TEXT_MAX])
{
	struct civil c = civil_of(ms);

	if (c.year >= 0 && c.year <= 9999) {
		put_ms(out, &c);
		return;
	}
	(void)snprintf(out, TIME_TEXT_MAX, "%04" PRId64 "-%02d-%02dT%02d:%02d:%02d.%03dZ", c.year,
		       c.month, c.day, c.hour, c.minute, c.second, c.milli);
}

void
time_format_s(int64_t ms, char out[TIME_TEXT_MAX])
{
	struct civil c = civil_of(ms);

	(void)snprintf(out, TIME_TEXT_MAX, "%04" PRId64 "-%02d-%02dT%02d:%02d:%02dZ", c.year,
		       c.month, c.day, c.hour, c.minute, c.second);
}

void
time_format_basic(int64_t ms, char out[TIME_TEXT_MAX])
{
	struct civil c = civil_of(ms);

	(void)snprintf(out, TIME_TEXT_MAX, "%04" PRId64 "%02d%02dT%02d%02d%02dZ", c.year, c.month,
		       c.day, c.hour, c.minute, c.second);
}

void
time_format_day(int64_t ms, char out[TIME_TEXT_MAX])
{
	struct civil c = civil_of(ms);

	(void)snprintf(out, TIME_TEXT_MAX, "%04" PRId64 "-%02d-%02d", c.year, c.month, c.day);
}

int
time_hour(int64_t ms)
{
	return civil_of(ms).hour;
}
