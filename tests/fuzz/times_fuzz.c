/*
 * Times, durations, sizes and numbers: what is read is written and read again as the same; doubles
 * beside strtod().
 */
#include <ctype.h>
#include <math.h>

#include "base/num.h"
#include "base/timefmt.h"
#include "model/insights_rows.h"
#include "model/span.h"
#include "tests/fuzz/fuzz.h"

static void
iso_again(int64_t ms)
{
	char text[TIME_TEXT_MAX];
	int64_t again;

	time_format_ms(ms, text);
	fuzz_must(time_parse_iso(sv_of(text), &again) && again == ms);
	time_format_s(ms, text);
	fuzz_must(time_parse_iso(sv_of(text), &again) && again <= ms && ms - again < 1000);
}

static void
times(struct sv in)
{
	char text[TIME_TEXT_MAX];
	int64_t ms, again;

	if (time_parse_iso(in, &ms))
		iso_again(ms);
	if (time_parse_http(in, &ms))
		iso_again(ms);
	if (time_parse_user(in, INT64_C(1767225600000), &ms))
		iso_again(ms);
	/* Insights has no zone: the same text with a Z is the same time. */
	if (insights_time(in, &ms)) {
		CLEANUP(buf_done) struct buf zulu = BUF_INIT(FUZZ_MAX);

		buf_sv(&zulu, in);
		buf_ch(&zulu, 'Z');
		iso_again(ms);
		fuzz_must(time_parse_iso(buf_view(&zulu), &again) && again == ms);
	}
	if (time_parse_basic(in, &ms)) {
		time_format_basic(ms, text);
		fuzz_must(sv_eq(sv_of(text), in));
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
	(void)num_bytes(in, &u);
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
