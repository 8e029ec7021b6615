/* Shards: who owns a tenant, what moves when their number changes, and how a process learns which
 * it is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "run/options.h"
#include "run/shard.h"

#define TENANTS 10000

static const char *const variables[] = {"AWS_BATCH_JOB_ARRAY_INDEX", "JOB_COMPLETION_INDEX",
					"SLURM_ARRAY_TASK_ID", "SLURM_ARRAY_TASK_COUNT",
					"MUSTER_SHARDS"};
#define N_VARIABLES (sizeof(variables) / sizeof(variables[0]))

static int
no_engine(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_VARIABLES; i++)
		assert_int_equal(unsetenv(variables[i]), 0);
	return 0;
}

static void
set(const char *name, const char *value)
{
	assert_int_equal(setenv(name, value, 1), 0);
}

static int64_t
owner(int tenant, int64_t shards)
{
	char id[16];

	(void)snprintf(id, sizeof(id), "t%05d", tenant);
	return shard_of(id, shards);
}

static void
all_shards_get_their_part(void **state)
{
	static const int64_t counts[] = {1, 2, 7, 64};

	(void)state;
	for (size_t c = 0; c < 4; c++) {
		int64_t n = counts[c], even = TENANTS / n;
		int64_t got[64] = {0};

		for (int t = 0; t < TENANTS; t++) {
			int64_t i = owner(t, n);

			assert_in_range(i, 0, n - 1);
			got[i]++;
		}
		/* Five standard deviations of a fair choice among 64 are 62 of 156. */
		for (int64_t i = 0; i < n; i++)
			assert_in_range(got[i], even * 6 / 10, even * 14 / 10 + 1);
	}
}

static void
a_new_shard_takes_its_part_and_nothing_else_moves(void **state)
{
	(void)state;
	for (int64_t n = 1; n < 64; n += 7) {
		int64_t moved = 0, fair = TENANTS / (n + 1);

		for (int t = 0; t < TENANTS; t++) {
			int64_t before = owner(t, n), after = owner(t, n + 1);

			if (before == after)
				continue;
			assert_int_equal(after, n);
			moved++;
		}
		assert_in_range(moved, fair * 6 / 10, fair * 14 / 10);
	}
}

static void
what_is_typed_is_read(void **state)
{
	static const char *const wrong[] = {"",
					    "1",
					    "/",
					    "1/",
					    "/2",
					    "2/2",
					    "-1/2",
					    "0/0",
					    "0/-1",
					    "0/100001",
					    "1/2/3",
					    "a/b",
					    "0/9223372036854775808",
					    "0/ 2",
					    "auto"};
	struct err err = {0};
	int64_t shard, shards;

	(void)state;
	assert_int_equal(shard_parse("63/64", &shard, &shards, &err), 0);
	assert_int_equal(shard, 63);
	assert_int_equal(shards, 64);
	assert_int_equal(shard_parse("99999/100000", &shard, &shards, &err), 0);
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		shard = shards = 77;
		assert_int_equal(shard_parse(wrong[i], &shard, &shards, &err), -1);
		assert_int_equal(err.kind, ERR_USAGE);
		assert_int_equal(shard, 77);
		assert_int_equal(shards, 77);
		err = (struct err){0};
	}
}

static int
parse(enum options_for command, const char *word, const char *value, struct options *o,
      struct err *err)
{
	char name[] = "test";
	char *argv[] = {name, (char *)(uintptr_t)word, (char *)(uintptr_t)value, NULL};

	return options_parse(command, 0, word ? value ? 3 : 2 : 1, argv, o, err);
}

static void
engines_say_which_it_is(void **state)
{
	static const char *const pairs[][2] = {{"AWS_BATCH_JOB_ARRAY_INDEX", "MUSTER_SHARDS"},
					       {"JOB_COMPLETION_INDEX", "MUSTER_SHARDS"},
					       {"SLURM_ARRAY_TASK_ID", "SLURM_ARRAY_TASK_COUNT"}};
	static const char *const wrong[][2] = {{"4", "4"}, {"-1", "4"}, {"1", ""},
					       {"x", "4"}, {"0", "0"},	{"1", "4x"}};
	struct options o;
	struct err err = {0};

	for (size_t i = 0; i < 3; i++) {
		no_engine(state);
		assert_int_equal(parse(FOR_RUN, NULL, NULL, &o, &err), 0);
		assert_int_equal(o.shard, 0);
		assert_int_equal(o.shards, 1);
		set(pairs[i][0], "2");
		assert_int_equal(parse(FOR_RUN, NULL, NULL, &o, &err), -1);
		assert_int_equal(err.kind, ERR_USAGE);
		assert_non_null(strstr(err.msg, pairs[i][1]));
		set(pairs[i][1], "4");
		err = (struct err){0};
		assert_int_equal(parse(FOR_RUN, NULL, NULL, &o, &err), 0);
		assert_int_equal(o.shard, 2);
		assert_int_equal(o.shards, 4);
		for (size_t k = 0; k < sizeof(wrong) / sizeof(wrong[0]); k++) {
			set(pairs[i][0], wrong[k][0]);
			set(pairs[i][1], wrong[k][1]);
			assert_int_equal(parse(FOR_RUN, NULL, NULL, &o, &err), -1);
			assert_int_equal(err.kind, ERR_USAGE);
			err = (struct err){0};
		}
	}
}

/* So that one index can be given again by hand, from within an array too. */
static void
what_is_typed_goes_before(void **state)
{
	struct options o;
	struct err err = {0};

	(void)state;
	set("SLURM_ARRAY_TASK_ID", "2");
	set("SLURM_ARRAY_TASK_COUNT", "1"); /* as --array=2 has it */
	assert_int_equal(parse(FOR_RUN, "--shard", "2/4", &o, &err), 0);
	assert_int_equal(o.shard, 2);
	assert_int_equal(o.shards, 4);
	assert_int_equal(parse(FOR_RUN, "--shard", "4/4", &o, &err), -1);
}

static void
what_takes_no_shard_does_not_ask(void **state)
{
	struct options o;
	struct err err = {0};

	(void)state;
	set("JOB_COMPLETION_INDEX", "2");
	assert_int_equal(parse(FOR_INIT, NULL, NULL, &o, &err), 0);
	assert_int_equal(parse(FOR_RUN, "--help", NULL, &o, &err), 0);
	assert_true(o.help);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(all_shards_get_their_part),
	    cmocka_unit_test(a_new_shard_takes_its_part_and_nothing_else_moves),
	    cmocka_unit_test(what_is_typed_is_read),
	    cmocka_unit_test_setup(engines_say_which_it_is, no_engine),
	    cmocka_unit_test_setup(what_is_typed_goes_before, no_engine),
	    cmocka_unit_test_setup(what_takes_no_shard_does_not_ask, no_engine),
	};

	return cmocka_run_group_tests(tests, NULL, no_engine);
}
