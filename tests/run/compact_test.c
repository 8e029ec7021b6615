/*
 * Compaction of a stream: what is joined, in which order, what is left alone, and that nothing goes
 * before the joined object was read back.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "fmt/zst.h"
#include "run/compact.h"
#include "sink/joined.h"
#include "sink/sink.h"

#define START INT64_C(1767225600000) /* 2026-01-01T00:00:00Z */
#define MIN5  INT64_C(300000)
#define HOUR  (12 * MIN5)
#define DAY   (24 * HOUR)
#define DIR   "ecs/tenant=acme/region=eu-west-1/dt=2026-01-01/hh=00/"
#define FIRST DIR "20260101T000000Z-20260101T000500Z.ndjson.zst"
#define JOIN1 DIR "20260101T000000Z-20260101T010000Z.joined-1.ndjson.zst"
#define JOIN2 DIR "20260101T000000Z-20260101T010000Z.joined-2.ndjson.zst"
#define PLAN1 "_compact/" DIR "20260101T000000Z-20260101T010000Z.joined-1.json"

static const struct sink_conf conf = {.name = "lake", .kind = SINK_OBJECTS, .zstd_level = 3};

struct world {
	struct store store; /* what the program sees */
	struct store_ops ops;
	struct store *real;
	struct sink *sink;
	struct clock *clock;
	bool lies; /* about joined objects */
	struct compact_counts counts;
};

static struct world *
world_of(struct store *s)
{
	return (struct world *)s;
}

static int
w_get(struct store *s, const char *key, const char *const *want, struct buf *out,
      struct store_info *info, struct err *err)
{
	int rc = store_get(world_of(s)->real, key, want, out, info, err);

	if (rc == 0 && world_of(s)->lies && strstr(key, ".joined-") && strstr(key, ".zst"))
		out->p[out->n / 2] ^= 1;
	return rc;
}

static int
w_put(struct store *s, const char *key, struct sv body, const struct store_put *opt,
      char ret_etag[STORE_ETAG_MAX], struct err *err)
{
	return store_put(world_of(s)->real, key, body, opt, ret_etag, err);
}

static int
w_list(struct store *s, const char *prefix, int (*fn)(const char *key, void *arg), void *arg,
       struct err *err)
{
	return world_of(s)->real->ops->list(world_of(s)->real, prefix, fn, arg, err);
}

static int
w_del(struct store *s, const char *key, struct err *err)
{
	return world_of(s)->real->ops->del(world_of(s)->real, key, err);
}

static void
w_free(struct store *s)
{
	store_free(world_of(s)->real);
}

static void
world_init(struct world *w)
{
	struct err err;

	*w = (struct world){.ops = {.name = "watched",
				    .get = w_get,
				    .put = w_put,
				    .list = w_list,
				    .del = w_del,
				    .free = w_free},
			    .clock = clock_real()};
	w->store.ops = &w->ops;
	assert_int_equal(store_mem_new(&w->real, &err), 0);
	assert_int_equal(sink_objects_new(&conf, &w->store, &w->sink, &err), 0);
}

static void
world_done(struct world *w)
{
	sink_free(w->sink);
}

static struct publish
who(const char *definition)
{
	return (struct publish){.job = "ecs",
				.tenant = "acme",
				.account = "111122223333",
				.region = "eu-west-1",
				.definition = definition};
}

/* The how many-th cell of the day gets this line. */
static void
freeze(struct world *w, int64_t at, unsigned late, const char *line, const char *definition)
{
	struct publish p = who(definition);
	struct published done = {0};
	struct cell_data d;
	struct err err;

	cell_data_init(&d, (struct cell){START + at * MIN5, START + (at + 1) * MIN5});
	d.late = late;
	d.n_lines = 1;
	buf_str(&d.ndjson, line);
	assert_int_equal(w->sink->ops->publish(w->sink, &p, &d, &done, &err), 0);
	cell_data_done(&d);
}

static void
check_frozen(struct world *w, int64_t at, unsigned late, const char *line, const char *definition)
{
	struct publish p = who("now");
	char is[65];
	struct cell_data d;
	struct err err;

	cell_data_init(&d, (struct cell){START + at * MIN5, START + (at + 1) * MIN5});
	d.late = late;
	assert_int_equal(w->sink->ops->read(w->sink, &p, &d, is, &err), 0);
	assert_string_equal(buf_cstr(&d.ndjson), line);
	assert_string_equal(is, definition);
	cell_data_done(&d);
}

static int
add_key(const char *key, void *arg)
{
	buf_fmt(arg, "%s\n", key);
	return 0;
}

static void
check_keys(struct world *w, const char *prefix, const char *want)
{
	struct buf keys = BUF_INIT(1u << 16);
	struct err err;

	assert_int_equal(w_list(&w->store, prefix, add_key, &keys, &err), 0);
	assert_string_equal(buf_cstr(&keys), want);
	buf_done(&keys);
}

static void
check_lines(struct world *w, const char *key, const char *want)
{
	struct buf body = BUF_INIT(1u << 16), text = BUF_INIT(1u << 16);
	struct err err;

	assert_int_equal(store_get(w->real, key, NULL, &body, NULL, &err), 0);
	assert_int_equal(zst_decompress(buf_view(&body), &text, &err), 0);
	assert_string_equal(buf_cstr(&text), want);
	buf_done(&body);
	buf_done(&text);
}

static int
compact_at(struct world *w, int64_t before_ms, bool dry_run, struct err *err)
{
	const struct compact_stream s = {.lake = &w->store,
					 .clock = w->clock,
					 .job = "ecs",
					 .tenant = "acme",
					 .region = "eu-west-1",
					 .before_ms = before_ms,
					 .dry_run = dry_run};

	w->counts = (struct compact_counts){0};
	*err = (struct err){0};
	return compact_stream(&s, &w->counts, err);
}

static void
compact(struct world *w)
{
	struct err err;

	assert_int_equal(compact_at(w, START + DAY, false, &err), 0);
}

/* The order of time and not of keys, in which ".late-" comes before ".ndjson"; and each cell is
 * read as before. */
static void
test_joined_in_order(void **state)
{
	struct world w;

	(void)state;
	world_init(&w);
	freeze(&w, 1, 0, "b\n", "one");
	freeze(&w, 0, 2, "a2\n", "one");
	freeze(&w, 0, 1, "a1\n", "one");
	freeze(&w, 0, 0, "a\n", "two");
	freeze(&w, 11, 0, "c\n", "one");
	compact(&w);
	check_keys(&w, "ecs/", JOIN1 "\n");
	check_lines(&w, JOIN1, "a\na1\na2\nb\nc\n");
	assert_int_equal(w.counts.hours, 1);
	assert_int_equal(w.counts.objects, 5);
	assert_int_equal(w.counts.joined, 1);
	check_frozen(&w, 0, 0, "a\n", "two");
	check_frozen(&w, 0, 1, "a1\n", "one");
	check_frozen(&w, 0, 2, "a2\n", "one");
	check_frozen(&w, 11, 0, "c\n", "one");
	/* Nor is one of them made again. */
	freeze(&w, 0, 0, "other\n", "one");
	check_keys(&w, "ecs/", JOIN1 "\n");
	compact(&w);
	assert_int_equal(w.counts.hours, 0);
	world_done(&w);
}

static void
test_what_comes_later(void **state)
{
	struct world w;

	(void)state;
	world_init(&w);
	freeze(&w, 0, 0, "a\n", "one");
	compact(&w);
	check_keys(&w, "ecs/", FIRST "\n"); /* one is one already */
	freeze(&w, 1, 0, "b\n", "one");
	compact(&w);
	freeze(&w, 2, 0, "c\n", "one");
	freeze(&w, 3, 0, "d\n", "one");
	compact(&w);
	check_keys(&w, "ecs/", JOIN1 "\n" JOIN2 "\n");
	check_lines(&w, JOIN2, "c\nd\n");
	check_frozen(&w, 3, 0, "d\n", "one");
	world_done(&w);
}

static void
test_only_what_is_its_own(void **state)
{
	static const char *const others[] = {
	    DIR "20260101T000000Z-20260101T000500Z.parquet", DIR "notes.ndjson.zst",
	    "ecs/tenant=acme/region=eu-west-1/20260101T000000Z-20260101T000500Z.ndjson.zst",
	    "rejected/" FIRST};
	const struct store_put put = {.cond = STORE_CREATE};
	struct world w;
	struct err err;

	(void)state;
	world_init(&w);
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		assert_int_equal(store_put(w.real, others[i], SV("x"), &put, NULL, &err), 0);
	freeze(&w, 0, 0, "a\n", "one");
	freeze(&w, 1, 0, "b\n", "one");
	freeze(&w, 12 * 24, 0, "the next day\n", "one");
	freeze(&w, 12 * 24 + 1, 0, "the next day\n", "one");
	assert_int_equal(compact_at(&w, START + DAY - 1, false, &err), 0);
	assert_int_equal(w.counts.hours, 0);
	assert_int_equal(compact_at(&w, START + DAY, true, &err), 0);
	assert_int_equal(w.counts.hours, 1);
	assert_int_equal(w.counts.objects, 2);
	check_keys(&w, "_compact/", "");
	compact(&w);
	assert_int_equal(w.counts.hours, 1);
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		struct buf body = BUF_INIT(64);

		assert_int_equal(store_get(w.real, others[i], NULL, &body, NULL, &err), 0);
		buf_done(&body);
	}
	world_done(&w);
}

/* A store that gives back other bytes than it was given: nothing is deleted. */
static void
test_read_back_first(void **state)
{
	struct world w;
	struct err err;

	(void)state;
	world_init(&w);
	freeze(&w, 0, 0, "a\n", "one");
	freeze(&w, 1, 0, "b\n", "one");
	w.lies = true;
	assert_int_equal(compact_at(&w, START + DAY, false, &err), -1);
	assert_int_equal(err.kind, ERR_DATA);
	assert_int_equal(w.counts.objects, 0);
	assert_int_equal(w.counts.failed, 1);
	check_lines(&w, FIRST, "a\n");
	w.lies = false;
	compact(&w);
	check_keys(&w, "ecs/", JOIN1 "\n");
	world_done(&w);
}

/* What somebody made under the name of an object that is joined: the same goes, another stays and
 * is said. */
static void
test_made_again(void **state)
{
	const struct store_put put = {
	    .cond = STORE_CREATE, .meta = {{"definition", "one"}}, .n_meta = 1};
	struct buf same = BUF_INIT(1u << 16);
	struct world w;
	struct err err;

	(void)state;
	world_init(&w);
	freeze(&w, 0, 0, "a\n", "one");
	freeze(&w, 1, 0, "b\n", "one");
	assert_int_equal(store_get(w.real, FIRST, NULL, &same, NULL, &err), 0);
	compact(&w);
	assert_int_equal(store_put(w.real, FIRST, buf_view(&same), &put, NULL, &err), 0);
	compact(&w);
	check_keys(&w, "ecs/", JOIN1 "\n");
	assert_int_equal(store_put(w.real, FIRST, SV("other"), &put, NULL, &err), 0);
	assert_int_equal(compact_at(&w, START + DAY, false, &err), -1);
	assert_int_equal(err.kind, ERR_CONFLICT);
	check_keys(&w, "ecs/", FIRST "\n" JOIN1 "\n");
	buf_done(&same);
	world_done(&w);
}

/* Bytes that are no whole frames would break all that stands behind them. */
static void
test_damage(void **state)
{
	const struct store_put put = {.cond = STORE_CREATE};
	struct world w;
	struct err err;

	(void)state;
	world_init(&w);
	assert_int_equal(store_put(w.real, FIRST, SV("no frame"), &put, NULL, &err), 0);
	freeze(&w, 1, 0, "b\n", "one");
	freeze(&w, 12, 0, "c\n", "one");
	freeze(&w, 13, 0, "d\n", "one");
	assert_int_equal(compact_at(&w, START + DAY, false, &err), -1);
	assert_int_equal(err.kind, ERR_DATA);
	assert_int_equal(w.counts.hours, 2);
	assert_int_equal(w.counts.joined, 1); /* the next hour's */
	check_keys(&w, "_compact/" DIR, "");
	world_done(&w);
}

/* A manifest that lies beside nothing: a cell that it names is lost, and not one that never was. */
static void
test_lost_is_said(void **state)
{
	struct publish p = who("one");
	struct cell_data d;
	char is[65];
	struct world w;
	struct err err;

	(void)state;
	world_init(&w);
	freeze(&w, 0, 0, "a\n", "one");
	freeze(&w, 1, 0, "b\n", "one");
	compact(&w);
	check_keys(&w, "_compact/", PLAN1 "\n");
	assert_int_equal(w.real->ops->del(w.real, JOIN1, &err), 0);
	cell_data_init(&d, (struct cell){START, START + MIN5});
	assert_int_equal(w.sink->ops->read(w.sink, &p, &d, is, &err), -1);
	assert_int_equal(err.kind, ERR_DATA);
	cell_data_done(&d);
	world_done(&w);
}

static void
test_how_old(void **state)
{
	(void)state;
	assert_int_equal(compact_before_ms(START + 3 * DAY + HOUR, DAY, HOUR), START + DAY);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_joined_in_order),	 cmocka_unit_test(test_what_comes_later),
	    cmocka_unit_test(test_only_what_is_its_own), cmocka_unit_test(test_read_back_first),
	    cmocka_unit_test(test_made_again),		 cmocka_unit_test(test_damage),
	    cmocka_unit_test(test_lost_is_said),	 cmocka_unit_test(test_how_old),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
