/*
 * What readers make of a text when memory runs out at any of their allocations: the whole of it, or
 * "out of memory"; never less of it, and never a complaint about the text. (The sweep of
 * allocations does so with whole runs; here is what it has found.)
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "aws/cred_sources.h"
#include "aws/profile.h"
#include "base/cleanup.h"
#include "model/insights_rows.h"
#include "tests/sim/sim.h"

#define MANY 100 /* more allocations than any of these asks for */

/* Reads and appends what it understood. */
typedef int (*reader)(struct buf *out, struct err *err);

/* Returns how many allocations there were. */
static uint64_t
assert_reads(reader read, const char *expected, uint64_t without)
{
	CLEANUP(buf_done) struct buf out = BUF_INIT(1u << 16);
	struct err err = {0};
	uint64_t n;
	int r;

	assert_true(buf_reserve(&out, 4096));
	sim_alloc_begin(without);
	r = read(&out, &err);
	n = sim_alloc_end();
	if (r) {
		assert_true(without > 0 && without <= n);
		assert_non_null(strstr(err.msg, "out of memory"));
	} else {
		assert_string_equal(buf_cstr(&out), expected);
	}
	return n;
}

static void
assert_all_or_nothing(reader read, const char *expected)
{
	uint64_t n = assert_reads(read, expected, 0);

	assert_in_range(n, 1, MANY);
	for (uint64_t at = 1; at <= n; at++)
		(void)assert_reads(read, expected, at);
}

static int
read_profiles(struct buf *out, struct err *err)
{
	static const char config[] = "[profile 'a b']\nregion = r\ns3 =\n  style = path\n";
	struct profiles *p = NULL;

	if (profiles_parse(sv_of(config), SV(""), &p, err))
		return -1;
	buf_fmt(out, "%d %s", profiles_have(p, "a b"),
		profiles_get(p, "a b", "region", PROFILE_EITHER));
	profiles_free(p);
	return 0;
}

static void
test_profiles(void **state)
{
	(void)state;
	assert_all_or_nothing(read_profiles, "1 r");
}

static int
read_keys(struct buf *out, struct err *err)
{
	static const char doc[] =
	    "{\"AccessKeyId\":\"A\",\"SecretAccessKey\":\"S\",\"Token\":\"T\","
	    "\"Expiration\":\"1970-01-01T00:00:01Z\",\"AccountId\":\"1\"}";
	struct cred c = {0};
	int r = cred_json_keys(sv_of(doc), "Token", &c, err);

	if (!r)
		buf_fmt(out, "%s %s %s %lld %s", c.key_id, c.secret.p, c.token.p,
			(long long)c.expires_wall_ms, c.account);
	cred_done(&c);
	return r;
}

/* Without their expiry keys would be used for ever, without their token they are none. */
static void
test_keys(void **state)
{
	(void)state;
	assert_all_or_nothing(read_keys, "A S T 1000 1");
}

static int
read_row(struct buf *out, struct err *err)
{
	struct json_raw fields[] = {
	    {.name = SV("n"), .value = SV("3")},
	    {.name = SV("bin(1m)"), .value = SV("1970-01-01 00:01:00.000")}};
	struct insights_columns columns = {0};
	const struct insights_lines l = {
	    .common = "\"", .time_column = "bin(1m)", .ts_ms = 7, .columns = &columns};
	struct insights_row row = {0};
	CLEANUP(buf_done) struct buf line = BUF_INIT(4096);
	int r = insights_line(&l, fields, ARRAY_LEN(fields), &line, &row, err);

	if (!r)
		buf_fmt(out, "%lld", (long long)row.ts_ms);
	return r;
}

/* Else it would be frozen at another time. */
static void
test_row(void **state)
{
	(void)state;
	assert_all_or_nothing(read_row, "60000");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_profiles),
	    cmocka_unit_test(test_keys),
	    cmocka_unit_test(test_row),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
