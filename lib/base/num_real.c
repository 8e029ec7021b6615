/*
 * Doubles as text, exactly and fast.
 *
 * A page of metrics is mostly numbers: strtod took 90 ns for each, and finding the shortest text by
 * way of printf and strtod some 600. What really occurs (up to 19 digits, a decimal exponent of at
 * most 27 either way) fits into integers of 128 bits: 5^27 is less than 2^63, so digits times or
 * divided by a power of ten are computed without an error and rounded once, to even, as IEEE 754
 * wants it. Everything else goes the libc's way; the results are the same, to the bit and to the
 * letter.
 */
#include <float.h>
#include <inttypes.h>
#include <locale.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/num.h"

/* No number halfway between two doubles has more than 767 digits. */
#define DIGITS_THAT_MATTER 768
#define DOUBLE_TEXT_MAX	   (DIGITS_THAT_MATTER + 32)
#define EXPONENT_MAX	   100000000 /* more than a text here has digits */
#define POW5_MAX	   27	     /* the largest power of five below 2^63 */
#define POW10_EXACT	   22	     /* the largest power of ten that is a double */
#define DIGITS_MAX	   19	     /* decimal digits that always fit into 64 bits */
#define DOUBLE_INT_MAX	   ((uint64_t)1 << DBL_MANT_DIG)

__extension__ typedef unsigned __int128 u128;

static const uint64_t pow5[POW5_MAX + 1] = {
    1u,
    5u,
    25u,
    125u,
    625u,
    3125u,
    15625u,
    78125u,
    390625u,
    1953125u,
    9765625u,
    48828125u,
    244140625u,
    1220703125u,
    6103515625u,
    30517578125u,
    152587890625u,
    762939453125u,
    3814697265625u,
    19073486328125u,
    95367431640625u,
    476837158203125u,
    2384185791015625u,
    11920928955078125u,
    59604644775390625u,
    298023223876953125u,
    1490116119384765625u,
    7450580596923828125u,
};

static bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static pthread_once_t c_locale_once = PTHREAD_ONCE_INIT;
static locale_t c_locale_value;

static void
c_locale_init(void)
{
	c_locale_value = newlocale(LC_ALL_MASK, "C", (locale_t)0);
}

static locale_t
c_locale(void)
{
	(void)pthread_once(&c_locale_once, c_locale_init);
	return c_locale_value;
}

/* Reading */

static int
bits_of(u128 v)
{
	uint64_t high = (uint64_t)(v >> 64);

	return high	     ? 128 - __builtin_clzll(high)
	       : (uint64_t)v ? 64 - __builtin_clzll((uint64_t)v)
			     : 0;
}

/* v, and a little more if `sticky`, without its lowest `drop` bits, rounded to even. */
static uint64_t
round_off(u128 v, int drop, bool sticky)
{
	u128 half = (u128)1 << (drop - 1), rest = v & ((half << 1) - 1);
	uint64_t kept = (uint64_t)(v >> drop);

	if (rest > half || (rest == half && (sticky || (kept & 1))))
		kept++;
	return kept;
}

/* digits * 10^exp10, for |exp10| <= POW5_MAX. */
static double
from_decimal(uint64_t digits, int exp10)
{
	int exp2 = exp10, drop, shift;
	bool sticky = false;
	u128 v = digits, quotient;

	if (!digits)
		return 0;
	/* Both are doubles without an error: one division, rounded once. */
	if (digits <= DOUBLE_INT_MAX && exp10 <= 0 && exp10 >= -POW10_EXACT)
		return (double)digits / ((double)pow5[-exp10] * (double)(1u << -exp10));
	if (exp10 >= 0) {
		v *= pow5[exp10];
	} else {
		/* As many bits in front as there are: the quotient has 64 at the least. */
		shift = 128 - bits_of(v);
		exp2 -= shift;
		v <<= shift;
		quotient = v / pow5[-exp10];
		sticky = quotient * pow5[-exp10] != v;
		v = quotient;
	}
	drop = bits_of(v) - DBL_MANT_DIG;
	if (drop > 0)
		return ldexp((double)round_off(v, drop, sticky), exp2 + drop);
	return ldexp((double)(uint64_t)v, exp2);
}

/* A decimal number's text taken apart: digits * 10^exp10 unless it is `large`. */
struct decimal {
	bool negative, large;
	uint64_t digits;
	int n_digits; /* those behind leading zeros */
	int64_t exp10;
};

/* Digits from p on; returns how many. */
static size_t
take_digits(const char *p, const char *end, struct decimal *d)
{
	const char *start = p;

	for (; p < end && is_digit(*p); p++) {
		if (d->n_digits == DIGITS_MAX) {
			d->large = true;
			continue;
		}
		d->digits = d->digits * 10 + (uint64_t)(*p - '0');
		d->n_digits += d->digits != 0;
	}
	return (size_t)(p - start);
}

/* [eE][+-]digits, or nothing. */
static const char *
take_exponent(const char *p, const char *end, struct decimal *d)
{
	const char *at = p + 1, *start;
	bool negative = false;
	int64_t e = 0;

	if (p == end || (*p != 'e' && *p != 'E'))
		return p;
	if (at < end && (*at == '+' || *at == '-'))
		negative = *at++ == '-';
	for (start = at; at < end && is_digit(*at); at++)
		if (e < EXPONENT_MAX)
			e = e * 10 + (*at - '0');
	if (at == start)
		return p;
	d->exp10 += negative ? -e : e;
	return at;
}

/* [+-] digits [. digits] [exponent], with a digit before or after the point; how long it is, or 0.
 */
static size_t
take_decimal(struct sv s, struct decimal *d)
{
	const char *p = s.p, *end = s.p + s.n;
	size_t whole, part = 0;

	*d = (struct decimal){0};
	if (p < end && (*p == '+' || *p == '-'))
		d->negative = *p++ == '-';
	whole = take_digits(p, end, d);
	p += whole;
	if (p < end && *p == '.') {
		part = take_digits(p + 1, end, d);
		if (whole + part)
			p += 1 + part;
		d->exp10 = -(int64_t)part;
	}
	return whole + part ? (size_t)(take_exponent(p, end, d) - s.p) : 0;
}

/* The number in at most so many digits as can matter, and one that says whether others follow. */
static void
shorten(struct sv s, int64_t exp10, char ret[DOUBLE_TEXT_MAX])
{
	bool more = false;
	size_t n = 0;

	for (size_t i = 0; i < s.n && s.p[i] != 'e' && s.p[i] != 'E'; i++) {
		if (!is_digit(s.p[i]) || (!n && s.p[i] == '0'))
			continue;
		if (n < DIGITS_THAT_MATTER) {
			ret[n++] = s.p[i];
			continue;
		}
		exp10++;
		more = more || s.p[i] != '0';
	}
	if (!n || more) {
		ret[n++] = more ? '1' : '0';
		exp10 -= more;
	}
	(void)snprintf(ret + n, DOUBLE_TEXT_MAX - n, "e%" PRId64, exp10);
}

static bool
slow_read(struct sv s, const struct decimal *d, double *ret)
{
	char text[DOUBLE_TEXT_MAX];
	locale_t loc = c_locale();
	double v;

	if (!loc)
		return false;
	shorten(s, d->exp10, text);
	v = strtod_l(text, NULL, loc);
	*ret = d->negative ? -v : v;
	return !isinf(v);
}

size_t
num_scan(struct sv s, double *ret)
{
	struct decimal d;
	size_t n = take_decimal(s, &d);
	double v;

	if (!n)
		return 0;
	if (!d.large && d.exp10 >= -POW5_MAX && d.exp10 <= POW5_MAX) {
		v = from_decimal(d.digits, (int)d.exp10);
		*ret = d.negative ? -v : v;
		return n;
	}
	if (!slow_read((struct sv){s.p, n}, &d, &v))
		return 0;
	*ret = v;
	return n;
}

static bool
read_special(struct sv s, double *ret)
{
	static const struct {
		const char *text;
		double value;
	} special[] = {
	    {"NaN", NAN},	{"Infinity", INFINITY}, {"-Infinity", -INFINITY},
	    {"+Inf", INFINITY}, {"-Inf", -INFINITY},
	};

	for (size_t i = 0; i < ARRAY_LEN(special); i++)
		if (sv_eq(s, sv_of(special[i].text))) {
			*ret = special[i].value;
			return true;
		}
	return false;
}

bool
num_double(struct sv s, double *ret)
{
	double v;
	size_t n = num_scan(s, &v);

	if (!n || n != s.n)
		return read_special(s, ret);
	*ret = v;
	return true;
}

/* Writing */

static size_t
put(char out[NUM_DOUBLE_MAX], const char *s)
{
	size_t n = strlen(s);

	memcpy(out, s, n + 1);
	return n;
}

size_t
num_put_digits(char *out, uint64_t v)
{
	char text[NUM_DIGITS_MAX];
	size_t n = sizeof(text);

	do {
		text[--n] = (char)('0' + v % 10);
		v /= 10;
	} while (v);
	memcpy(out, text + n, sizeof(text) - n);
	return sizeof(text) - n;
}

static size_t
format_integer(double v, char out[NUM_DOUBLE_MAX])
{
	size_t n = 0;

	if (v < 0)
		out[n++] = '-';
	n += num_put_digits(out + n, (uint64_t)fabs(v));
	out[n] = '\0';
	return n;
}

/* Every decimal of up to DBL_DIG digits survives the way through a normal double and back, so a
 * shorter text than that of %.15g exists only for subnormal numbers. */
static size_t
format_by_libc(double v, char out[NUM_DOUBLE_MAX])
{
	locale_t loc = c_locale(), old = loc ? uselocale(loc) : (locale_t)0;
	int first = fabs(v) < DBL_MIN ? 1 : DBL_DIG;
	int n = 0;

	for (int digits = first; digits <= DBL_DECIMAL_DIG; digits++) {
		n = snprintf(out, NUM_DOUBLE_MAX, "%.*g", digits, v);
		if (strtod(out, NULL) == v)
			break;
	}
	if (old)
		(void)uselocale(old);
	return (size_t)n;
}

/* v * 10^exp10 to the nearest integer, ties to even; v below 2^53, the result below 2^63. */
static uint64_t
scaled(double v, int exp10)
{
	int exp2;
	uint64_t mantissa = (uint64_t)ldexp(frexp(v, &exp2), DBL_MANT_DIG);
	u128 product = (u128)mantissa * pow5[exp10];
	int drop = DBL_MANT_DIG - exp2 - exp10;

	return drop > 0 ? round_off(product, drop, false) : (uint64_t)(product << -drop);
}

/* Plain notation: n * 10^-decimals without the zeros at its end. */
static size_t
put_decimal(char out[NUM_DOUBLE_MAX], bool negative, uint64_t n, int decimals)
{
	char text[DIGITS_MAX + 1];
	size_t len, at = 0, whole;

	while (decimals > 0 && n % 10 == 0) {
		n /= 10;
		decimals--;
	}
	len = num_put_digits(text, n);
	if (negative)
		out[at++] = '-';
	whole = len > (size_t)decimals ? len - (size_t)decimals : 0;
	memcpy(out + at, text, whole);
	at += whole;
	if (!whole)
		out[at++] = '0';
	if (decimals)
		out[at++] = '.';
	for (size_t i = len - whole; i < (size_t)decimals; i++)
		out[at++] = '0';
	memcpy(out + at, text + whole, len - whole);
	at += len - whole;
	out[at] = '\0';
	return at;
}

/* Numbers that %g writes without an exponent and that `scaled` can do. */
#define PLAIN_MIN 1e-3
#define PLAIN_MAX 1e15

/* Digits before the point; negative: zeros behind it. */
static int
count_whole(double size)
{
	int n = size < 0.1 ? (size < 0.01 ? -2 : -1) : 0;

	for (uint64_t limit = 1; size >= (double)limit; limit *= 10)
		n++;
	return n;
}

static size_t
format_plain(double v, char out[NUM_DOUBLE_MAX])
{
	double size = fabs(v);
	int whole = count_whole(size);
	uint64_t n = 0;
	int decimals = 0;

	for (int digits = DBL_DIG; digits <= DBL_DECIMAL_DIG; digits++) {
		decimals = digits - whole;
		n = scaled(size, decimals);
		if (from_decimal(n, -decimals) == size)
			break;
	}
	return put_decimal(out, v < 0, n, decimals);
}

size_t
num_format(double v, char out[NUM_DOUBLE_MAX])
{
	if (isnan(v))
		return put(out, "NaN");
	if (isinf(v))
		return put(out, v > 0 ? "+Inf" : "-Inf");
	if (v == 0 && signbit(v))
		return put(out, "-0");
	if (fabs(v) <= 0x1p53 && v == trunc(v))
		return format_integer(v, out);
	if (fabs(v) >= PLAIN_MIN && fabs(v) < PLAIN_MAX)
		return format_plain(v, out);
	return format_by_libc(v, out);
}
