/* The grid: floors on both sides of the epoch, which grids there are, what is due, and the names.
 */
#include "model/cell.h"

#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "store/store.h"

#define MIN  60000
#define HOUR 3600000
#define DAY  86400000

static void
test_floor(void **state)
{
	(void)state;
	assert_int_equal(cell_floor(0, 5 * MIN), 0);
	assert_int_equal(cell_floor(1, 5 * MIN), 0);
	assert_int_equal(cell_floor(5 * MIN - 1, 5 * MIN), 0);
	assert_int_equal(cell_floor(5 * MIN, 5 * MIN), 5 * MIN);
	assert_int_equal(cell_floor(-1, 5 * MIN), -5 * MIN);
	assert_int_equal(cell_floor(-5 * MIN, 5 * MIN), -5 * MIN);
	assert_int_equal(cell_floor(-5 * MIN - 1, 5 * MIN), -10 * MIN);
	/* At the ends of the numbers: on the grid, and no overflow. */
	assert_int_equal(cell_floor(INT64_MAX, HOUR) % HOUR, 0);
	assert_true(cell_floor(INT64_MAX, HOUR) > INT64_MAX - HOUR);
	assert_int_equal(cell_floor(INT64_MIN, HOUR) % HOUR, 0);
}

static void
test_floor_holds(void **state)
{
	static const int64_t grids[] = {1000, MIN, 5 * MIN, HOUR, 6 * (int64_t)HOUR, DAY};
	uint64_t x = 88172645463325252u;

	(void)state;
	for (int i = 0; i < 100000; i++) {
		int64_t every = grids[i % 6], ts, floor;

		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		ts = (int64_t)x / 1000;
		floor = cell_floor(ts, every);
		assert_int_equal(floor % every, 0);
		assert_true(floor <= ts && ts - floor < every);
	}
}

static void
test_every(void **state)
{
	static const struct {
		int64_t every, period;
		bool valid;
	} rows[] = {
	    {5 * MIN, MIN, true},
	    {5 * MIN, 0, true},
	    {MIN, MIN, true},
	    {1000, 1000, true},
	    {HOUR, MIN, true},
	    {2 * HOUR, MIN, true},
	    {6 * HOUR, HOUR, true},
	    {DAY, HOUR, true},
	    {0, 0, false},
	    {-MIN, 0, false},
	    {MIN, -1, false},
	    {5 * MIN, 2 * MIN, false},
	    {7 * MIN, MIN, false},  /* does not divide an hour */
	    {90 * MIN, MIN, false}, /* nor is it whole hours */
	    {5 * HOUR, MIN, false}, /* does not divide a day */
	    {2 * (int64_t)DAY, MIN, false},
	    {MIN, 5 * MIN, false}, /* less than a period */
	    {500, 0, false},	   /* names say seconds */
	    {1500, 0, false},
	    {INT64_MAX, 0, false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (cell_every_valid(rows[i].every, rows[i].period) != rows[i].valid)
			fail_msg("every %lld, period %lld", (long long)rows[i].every,
				 (long long)rows[i].period);
}

static void
test_due(void **state)
{
	const int64_t k = 100 * (int64_t)HOUR;

	(void)state;
	assert_int_equal(cell_due_end(k, 5 * MIN, 0), k);
	assert_int_equal(cell_due_end(k + 5 * MIN - 1, 5 * MIN, 0), k);
	assert_int_equal(cell_due_end(k + 5 * MIN - 1, 5 * MIN, 5 * MIN), k - 5 * MIN);
	assert_int_equal(cell_due_end(k + 5 * MIN, 5 * MIN, 5 * MIN), k);
	assert_int_equal(cell_due_end(k + 7 * MIN, 5 * MIN, 5 * MIN), k);
	assert_int_equal(cell_due_end(0, 5 * MIN, 1), -5 * MIN);
	/* Far out it stays on the grid. */
	assert_int_equal(cell_due_end(INT64_MIN, HOUR, INT64_MAX) % HOUR, 0);
	assert_int_equal(cell_due_end(INT64_MAX, HOUR, INT64_MIN) % HOUR, 0);
}

static void
expect_key(struct buf *b, const char *key)
{
	assert_true(buf_ok(b));
	assert_string_equal(buf_cstr(b), key);
	assert_true(store_key_valid(key));
	buf_reset(b);
}

static void
test_keys(void **state)
{
	/* 2026-01-02T23:55:00Z to midnight */
	const struct cell c = {1767398100000, 1767398400000};
	struct buf b = BUF_INIT(1000);

	(void)state;
	cell_lake_key(&b, "ecs", "acme", "eu-west-1", c, 0);
	expect_key(&b, "ecs/tenant=acme/region=eu-west-1/dt=2026-01-02/hh=23/"
		       "20260102T235500Z-20260103T000000Z.ndjson.zst");
	cell_lake_key(&b, "ecs", "acme", "eu-west-1", c, 12);
	expect_key(&b, "ecs/tenant=acme/region=eu-west-1/dt=2026-01-02/hh=23/"
		       "20260102T235500Z-20260103T000000Z.late-12.ndjson.zst");
	cell_rejected_key(&b, "ecs", "acme", "eu-west-1", c, 0);
	expect_key(&b, "rejected/ecs/tenant=acme/region=eu-west-1/dt=2026-01-02/hh=23/"
		       "20260102T235500Z-20260103T000000Z.ndjson.zst");
	cell_rejected_key(&b, "ecs", "acme", "eu-west-1", c, 3);
	expect_key(&b, "rejected/ecs/tenant=acme/region=eu-west-1/dt=2026-01-02/hh=23/"
		       "20260102T235500Z-20260103T000000Z-3.ndjson.zst");
	buf_done(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_floor), cmocka_unit_test(test_floor_holds),
	    cmocka_unit_test(test_every), cmocka_unit_test(test_due),
	    cmocka_unit_test(test_keys),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
