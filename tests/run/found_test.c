/* The list of accounts in its store, damaged and raced; and how ids are made. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/cleanup.h"
#include "run/found.h"

#define DAY INT64_C(86400000)
#define NOW INT64_C(1767225600000) /* 2026-01-01T00:00:00Z */

static struct label tags[] = {{"team", "red"}, {"tier", "gold"}};
static const char *regions[] = {"eu-west-1", "us-east-1"};
static struct roster_account accounts[] = {
    {"111122223333", "Acme \"Ltd\"", "acme", tags, 2, NOW - 5, regions, 2},
    {"444455556666", "", "globex", NULL, 0, 0, NULL, 0},
};

static struct roster_list
list_of(const char *key, int64_t made_ms, size_t n)
{
	return (struct roster_list){key, "organization", made_ms, accounts, n};
}

static void
keep(struct store *s, const char *key, int64_t made_ms, size_t n)
{
	const struct roster_list list = list_of(key, made_ms, n);

	assert_int_equal(roster_keep(s, &list, NULL), 0);
}

static void
test_kept_and_read(void **state)
{
	struct arena a = ARENA_INIT(1 << 20);
	const struct roster_list *list;
	struct store *s = NULL;
	struct roster r;

	(void)state;
	assert_int_equal(store_mem_new(&s, NULL), 0);
	assert_int_equal(roster_load(s, &a, &r, NULL), 0);
	assert_int_equal(r.n, 0);
	keep(s, "one", NOW - 91 * DAY, 1);
	keep(s, "two", NOW - DAY, 2);
	keep(s, "three", NOW - DAY, 0);
	assert_int_equal(roster_load(s, &a, &r, NULL), 0);
	assert_int_equal(r.n, 2); /* one is too old to be of anybody's use */
	assert_null(roster_find(&r, "one"));
	keep(s, "two", NOW, 1);
	keep(s, "two", NOW, 2);
	assert_int_equal(roster_load(s, &a, &r, NULL), 0);
	assert_int_equal(r.n, 2);
	list = roster_find(&r, "two");
	assert_non_null(list);
	assert_int_equal(list->made_ms, NOW);
	assert_int_equal(list->n, 2);
	assert_string_equal(list->v[0].name, "Acme \"Ltd\"");
	assert_string_equal(list->v[0].id, "acme");
	assert_int_equal(list->v[0].n_tags, 2);
	assert_string_equal(list->v[0].tags[1].value, "gold");
	assert_int_equal(list->v[0].tags_ms, NOW - 5);
	assert_string_equal(list->v[0].regions[1], "us-east-1");
	assert_int_equal(list->v[1].tags_ms, 0);
	assert_int_equal(list->v[1].n_regions, 0);
	store_free(s);
	arena_done(&a);
}

/* Whatever byte is another one: it is seen, and the next list takes its place. */
static void
test_damage_is_seen(void **state)
{
	CLEANUP(buf_done) struct buf text = BUF_INIT(1 << 20);
	CLEANUP(buf_done) struct buf longer = BUF_INIT(1 << 20);
	const struct store_put any = {.cond = STORE_ANY};
	struct arena a = ARENA_INIT(16 << 20);
	struct store *s = NULL;
	size_t seen = 0, end;
	const char *at;
	struct roster r;
	struct err err;

	(void)state;
	assert_int_equal(store_mem_new(&s, NULL), 0);
	keep(s, "two", NOW, 2);
	assert_int_equal(store_get(s, ROSTER_KEY, NULL, &text, NULL, NULL), 0);
	for (size_t i = 0; i < text.n; i++) {
		char was = text.p[i];

		if (was == ' ' || was == '\n')
			continue;
		text.p[i] = (char)(was ^ 1);
		assert_int_equal(store_put(s, ROSTER_KEY, buf_view(&text), &any, NULL, NULL), 0);
		text.p[i] = was;
		arena_reset(&a);
		assert_int_equal(roster_load(s, &a, &r, &err), -1);
		assert_int_equal(err.kind, ERR_DATA);
		assert_int_equal(r.n, 0);
		seen++;
	}
	assert_true(seen > 300);
	/* Nor is a checksum right that goes on. */
	at = memmem(text.p, text.n, "\"sha256:", 8);
	assert_non_null(at);
	end = (size_t)(at - text.p) + 8 + 64;
	buf_add(&longer, text.p, end);
	buf_ch(&longer, 'x');
	buf_add(&longer, text.p + end, text.n - end);
	assert_int_equal(store_put(s, ROSTER_KEY, buf_view(&longer), &any, NULL, NULL), 0);
	assert_int_equal(roster_load(s, &a, &r, &err), -1);
	assert_int_equal(err.kind, ERR_DATA);
	keep(s, "two", NOW, 1);
	assert_int_equal(roster_load(s, &a, &r, NULL), 0);
	assert_int_equal(r.n, 1);
	store_free(s);
	arena_done(&a);
}

/* A store in which somebody else always was there first. */
struct raced {
	struct store store, *inner;
	int races;
};

static int
raced_get(struct store *s, const char *key, const char *const *want, struct buf *out,
	  struct store_info *info, struct err *err)
{
	return store_get(((struct raced *)s)->inner, key, want, out, info, err);
}

static int
raced_put(struct store *s, const char *key, struct sv body, const struct store_put *opt,
	  char ret_etag[STORE_ETAG_MAX], struct err *err)
{
	struct raced *r = (struct raced *)s;

	if (r->races-- > 0)
		keep(r->inner, r->races % 2 ? "theirs" : "others", NOW, 1);
	return store_put(r->inner, key, body, opt, ret_etag, err);
}

static void
test_others_lists_are_kept(void **state)
{
	static const struct store_ops ops = {.name = "raced", .get = raced_get, .put = raced_put};
	struct raced s = {.store = {&ops}, .races = 3};
	const struct roster_list ours = list_of("ours", NOW, 2);
	struct arena a = ARENA_INIT(1 << 20);
	struct roster r;
	struct err err;

	(void)state;
	assert_int_equal(store_mem_new(&s.inner, NULL), 0);
	assert_int_equal(roster_keep(&s.store, &ours, &err), 0);
	assert_int_equal(roster_load(s.inner, &a, &r, NULL), 0);
	assert_int_equal(r.n, 3);
	assert_non_null(roster_find(&r, "theirs"));
	assert_int_equal(roster_find(&r, "ours")->n, 2);
	s.races = 1000;
	assert_int_equal(roster_keep(&s.store, &ours, &err), -1);
	assert_int_equal(err.kind, ERR_CONFLICT);
	store_free(s.inner);
	arena_done(&a);
}

static void
test_ids(void **state)
{
	static const char *const cases[][2] = {
	    {"acme", "acme"},
	    {"Acme Corp. (EU)", "acme-corp.-eu"},
	    {"  --__Acme__ ", "acme__"},
	    {"M\xC3\xBCller & S\xC3\xB6hne", "m-ller-s-hne"},
	    {"../../etc/passwd", "etc-passwd"},
	    {"\xE6\xA0\xAA", ""},
	    {"", ""},
	    {"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa bcdef",
	     "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"},
	};
	char id[64];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		found_id(cases[i][0], id);
		assert_string_equal(id, cases[i][1]);
		assert_true(!*id || conf_name_valid(id));
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_kept_and_read),
	    cmocka_unit_test(test_damage_is_seen),
	    cmocka_unit_test(test_others_lists_are_kept),
	    cmocka_unit_test(test_ids),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
