/* The contract of store.h as tests; see store_suite.h. */
#include "tests/support/store_suite.h"

#include <pthread.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/cleanup.h"

#define THREADS 8

static struct store_kind *the_kind;
static void (*make_fresh)(struct store_kind *kind);

int
suite_put(struct store *s, const char *key, const char *text, enum store_cond cond,
	  const char *etag, char ret_etag[STORE_ETAG_MAX], struct err *err)
{
	const struct store_put opt = {.cond = cond, .etag = etag};

	return store_put(s, key, sv_of(text), &opt, ret_etag, err);
}

void
suite_expect(struct store *s, const char *key, const char *text)
{
	struct buf out = BUF_INIT(1 << 20);
	struct err err;

	if (store_get(s, key, NULL, &out, NULL, &err) < 0)
		fail_msg("%s: %s", key, err.msg);
	assert_string_equal(buf_cstr(&out), text);
	buf_done(&out);
}

static int
add_line(const char *key, void *arg)
{
	buf_fmt(arg, "%s\n", key);
	return 0;
}

void
suite_list(struct store *s, const char *prefix, struct buf *out)
{
	struct err err;

	buf_reset(out);
	if (s->ops->list(s, prefix, add_line, out, &err) < 0)
		fail_msg("list %s: %s", prefix, err.msg);
}

static int
open_fresh(void **state)
{
	make_fresh(the_kind);
	*state = the_kind->open(the_kind->arg);
	return *state ? 0 : -1;
}

static int
close_store(void **state)
{
	store_free(*state);
	return 0;
}

static void
put(struct store *s, const char *key, const char *text)
{
	struct err err;

	if (suite_put(s, key, text, STORE_ANY, NULL, NULL, &err) < 0)
		fail_msg("%s: %s", key, err.msg);
}

#define expect_err(call, k)                                                                        \
	do {                                                                                       \
		assert_int_equal((call), -1);                                                      \
		assert_int_equal(err.kind, (k));                                                   \
	} while (0)

static void
test_get_put(void **state)
{
	struct store *s = *state;
	struct buf out = BUF_INIT(100);
	char etag[STORE_ETAG_MAX];
	struct store_info info;
	struct store_put opt = {.cond = STORE_ANY};
	struct err err;

	expect_err(store_get(s, "a/b", NULL, &out, NULL, &err), ERR_NOTFOUND);
	assert_int_equal(store_put(s, "a/b", SV("x\0y\n"), &opt, etag, &err), 0);
	assert_int_equal(store_get(s, "a/b", NULL, &out, &info, &err), 0);
	assert_true(sv_eq(buf_view(&out), SV("x\0y\n")));
	assert_string_equal(info.etag, etag);
	assert_true(*etag);
	/* Again, shorter: replaced as a whole, and another etag. */
	assert_int_equal(store_put(s, "a/b", SV(""), &opt, NULL, &err), 0);
	assert_int_equal(store_get(s, "a/b", NULL, &out, &info, &err), 0);
	assert_int_equal(out.n, 0);
	assert_string_not_equal(info.etag, etag);
	/* A part of the way is no object, nor is anything below one. */
	expect_err(store_get(s, "a", NULL, &out, NULL, &err), ERR_NOTFOUND);
	expect_err(store_get(s, "a/b/c", NULL, &out, NULL, &err), ERR_NOTFOUND);
	buf_done(&out);
}

static void
test_ceiling(void **state)
{
	struct store *s = *state;
	struct buf out = BUF_INIT(4);
	struct err err;

	put(s, "k", "12345");
	expect_err(store_get(s, "k", NULL, &out, NULL, &err), ERR_LOCAL);
	buf_done(&out);
}

static void
test_create(void **state)
{
	struct store *s = *state;
	char etag[STORE_ETAG_MAX] = "untouched";
	struct err err;

	assert_int_equal(suite_put(s, "x/y/z", "one", STORE_CREATE, NULL, NULL, &err), 0);
	expect_err(suite_put(s, "x/y/z", "two", STORE_CREATE, NULL, etag, &err), ERR_CONFLICT);
	assert_string_equal(etag, "untouched");
	/* Not even with the same bytes. */
	expect_err(suite_put(s, "x/y/z", "one", STORE_CREATE, NULL, NULL, &err), ERR_CONFLICT);
	suite_expect(s, "x/y/z", "one");
}

static void
test_match(void **state)
{
	struct store *s = *state;
	char one[STORE_ETAG_MAX], two[STORE_ETAG_MAX];
	struct err err;

	expect_err(suite_put(s, "k", "0", STORE_MATCH, "none", NULL, &err), ERR_CONFLICT);
	expect_err(suite_put(s, "no/k", "0", STORE_MATCH, "none", NULL, &err), ERR_CONFLICT);
	assert_int_equal(suite_put(s, "k", "1", STORE_CREATE, NULL, one, &err), 0);
	assert_int_equal(suite_put(s, "k", "2", STORE_MATCH, one, two, &err), 0);
	expect_err(suite_put(s, "k", "3", STORE_MATCH, one, NULL, &err), ERR_CONFLICT);
	expect_err(suite_put(s, "k", "3", STORE_MATCH, "", NULL, &err), ERR_CONFLICT);
	expect_err(suite_put(s, "k", "3", STORE_MATCH, NULL, NULL, &err), ERR_USAGE);
	suite_expect(s, "k", "2");
	assert_int_equal(suite_put(s, "k", "3", STORE_MATCH, two, NULL, &err), 0);
	suite_expect(s, "k", "3");
	assert_int_equal(s->ops->del(s, "k", &err), 0);
	expect_err(suite_put(s, "k", "4", STORE_MATCH, two, NULL, &err), ERR_CONFLICT);
}

static void
test_meta(void **state)
{
	static const char *const want[] = {"definition", "none", "format", NULL};
	struct store *s = *state;
	struct store_put opt = {
	    .cond = STORE_CREATE,
	    .meta = {{"format", "1"}, {"definition", "ab cd=~"}},
	    .n_meta = 2,
	    .content_type = "application/x-ndjson",
	};
	struct buf out = BUF_INIT(100);
	struct store_info info;
	struct err err;

	assert_int_equal(store_put(s, "m", SV("x"), &opt, NULL, &err), 0);
	memset(&info, 'x', sizeof(info));
	assert_int_equal(store_get(s, "m", want, &out, &info, &err), 0);
	assert_string_equal(info.meta[1], "");
	if (the_kind->has_meta) {
		assert_string_equal(info.meta[0], "ab cd=~");
		assert_string_equal(info.meta[2], "1");
	}
	/* A new object has none of the old one's. */
	put(s, "m", "y");
	assert_int_equal(store_get(s, "m", want, &out, &info, &err), 0);
	assert_string_equal(info.meta[0], "");
	opt.cond = STORE_ANY;
	opt.meta[0].name = "Upper";
	expect_err(store_put(s, "m", SV("x"), &opt, NULL, &err), ERR_USAGE);
	opt.meta[0] = (struct store_meta){"format", "new\nline"};
	expect_err(store_put(s, "m", SV("x"), &opt, NULL, &err), ERR_USAGE);
	suite_expect(s, "m", "y");
	buf_done(&out);
}

static int
stop_at_third(const char *key, void *arg)
{
	(void)key;
	return ++*(int *)arg == 3;
}

static void
test_list(void **state)
{
	static const char *const keys[] = {"b",	  "a/x",   "a.b", "a/b/c", "a-b",     "a/b.c",
					   "a=1", "a/b-c", "a0",  "Z",	   "a/b/c2/d"};
	static const char all[] = "Z\na-b\na.b\na/b-c\na/b.c\na/b/c\na/b/c2/d\na/x\na0\na=1\nb\n";
	struct store *s = *state;
	struct buf out = BUF_INIT(4000);
	struct err err;
	int n = 0;

	suite_list(s, "", &out);
	assert_string_equal(buf_cstr(&out), "");
	for (size_t i = 0; i < ARRAY_LEN(keys); i++)
		put(s, keys[i], "");
	suite_list(s, "", &out);
	assert_string_equal(buf_cstr(&out), all);
	suite_list(s, "a/", &out);
	assert_string_equal(buf_cstr(&out), "a/b-c\na/b.c\na/b/c\na/b/c2/d\na/x\n");
	suite_list(s, "a/b", &out);
	assert_string_equal(buf_cstr(&out), "a/b-c\na/b.c\na/b/c\na/b/c2/d\n");
	suite_list(s, "a/b/", &out);
	assert_string_equal(buf_cstr(&out), "a/b/c\na/b/c2/d\n");
	suite_list(s, "a/b/c2/d", &out);
	assert_string_equal(buf_cstr(&out), "a/b/c2/d\n");
	suite_list(s, "none/", &out);
	assert_string_equal(buf_cstr(&out), "");
	suite_list(s, "a/x/", &out); /* below an object */
	assert_string_equal(buf_cstr(&out), "");
	assert_int_equal(s->ops->list(s, "", stop_at_third, &n, &err), 0);
	assert_int_equal(n, 3);
	expect_err(s->ops->list(s, "../", stop_at_third, &n, &err), ERR_USAGE);
	expect_err(s->ops->list(s, "/", stop_at_third, &n, &err), ERR_USAGE);
	expect_err(s->ops->list(s, "a//", stop_at_third, &n, &err), ERR_USAGE);
	buf_done(&out);
}

struct deleter {
	struct store *s;
	int n;
};

static int
delete_it(const char *key, void *arg)
{
	struct deleter *d = arg;

	d->n++;
	return d->s->ops->del(d->s, key, NULL);
}

static void
test_list_and_delete(void **state)
{
	struct deleter d = {.s = *state};
	struct buf out = BUF_INIT(4000);
	struct err err;
	char key[32];

	for (int i = 0; i < 100; i++) {
		(void)snprintf(key, sizeof(key), "f%d/o%d", i % 7, i);
		put(d.s, key, "x");
	}
	assert_int_equal(d.s->ops->list(d.s, "", delete_it, &d, &err), 0);
	assert_int_equal(d.n, 100);
	suite_list(d.s, "", &out);
	assert_string_equal(buf_cstr(&out), "");
	buf_done(&out);
}

static void
test_del(void **state)
{
	struct store *s = *state;
	struct buf out = BUF_INIT(100);
	struct err err;

	assert_int_equal(s->ops->del(s, "no/such", &err), 0);
	put(s, "d/e", "1");
	assert_int_equal(s->ops->del(s, "d/e", &err), 0);
	expect_err(store_get(s, "d/e", NULL, &out, NULL, &err), ERR_NOTFOUND);
	assert_int_equal(s->ops->del(s, "d/e", &err), 0);
	assert_int_equal(suite_put(s, "d/e", "2", STORE_CREATE, NULL, NULL, &err), 0);
	suite_expect(s, "d/e", "2");
	buf_done(&out);
}

static void
test_bad_keys(void **state)
{
	static const char *const bad[] = {"",	      "/",	  "/a",	      "a/",   "a//b",
					  ".",	      "..",	  "a/..",     "../a", "a/./b",
					  ".a",	      "a/.tmp/x", ".locks/x", "a b",  "a\nb",
					  "\xc3\xa9", "a%2e",	  "a\\b",     "a*"};
	struct store *s = *state;
	struct buf out = BUF_INIT(100);
	struct store_lock *l;
	struct err err;

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		assert_false(store_key_valid(bad[i]));
		expect_err(store_get(s, bad[i], NULL, &out, NULL, &err), ERR_USAGE);
		expect_err(suite_put(s, bad[i], "x", STORE_ANY, NULL, NULL, &err), ERR_USAGE);
		expect_err(suite_put(s, bad[i], "x", STORE_CREATE, NULL, NULL, &err), ERR_USAGE);
		expect_err(s->ops->del(s, bad[i], &err), ERR_USAGE);
		if (s->ops->lock)
			expect_err(s->ops->lock(s, bad[i], &l, &err), ERR_USAGE);
	}
	suite_list(s, "", &out);
	assert_string_equal(buf_cstr(&out), "");
	buf_done(&out);
}

/* The longest keys there may be work too. */
static void
test_long_keys(void **state)
{
	struct store *s = *state;
	struct buf out = BUF_INIT(4000);
	char key[1002];
	struct err err;

	memset(key, 'k', sizeof(key));
	key[1001] = '\0';
	assert_false(store_key_valid(key)); /* one part */
	for (size_t i = 255; i < 1001; i += 256)
		key[i] = '/';
	assert_false(store_key_valid(key)); /* too long */
	expect_err(suite_put(s, key, "x", STORE_ANY, NULL, NULL, &err), ERR_USAGE);
	key[1000] = '\0';
	assert_true(store_key_valid(key));
	put(s, key, "long");
	suite_expect(s, key, "long");
	suite_list(s, "", &out);
	assert_int_equal(out.n, 1001);
	buf_done(&out);
}

static void
test_lock(void **state)
{
	struct store *s = *state, *other;
	struct store_lock *l, *m;
	struct err err;

	if (!s->ops->lock)
		skip();
	other = the_kind->many ? the_kind->open(the_kind->arg) : s;
	assert_non_null(other);
	assert_int_equal(s->ops->lock(s, "a/lease", &l, &err), 0);
	expect_err(other->ops->lock(other, "a/lease", &m, &err), ERR_CONFLICT);
	expect_err(s->ops->lock(s, "a/lease", &m, &err), ERR_CONFLICT);
	/* Others are free, and the object itself can be written meanwhile. */
	assert_int_equal(other->ops->lock(other, "b/lease", &m, &err), 0);
	put(s, "a/lease", "1");
	put(other, "a/lease", "2");
	s->ops->unlock(s, l);
	other->ops->unlock(other, m);
	assert_int_equal(other->ops->lock(other, "a/lease", &l, &err), 0);
	other->ops->unlock(other, l);
	if (other != s)
		store_free(other);
}

/* Threads */

struct racer {
	struct store *s;
	int id, won;
};

static void *
race_create(void *arg)
{
	struct racer *r = arg;
	char key[32], text[32];
	struct err err;

	(void)snprintf(text, sizeof(text), "%d", r->id);
	for (int i = 0; i < 20; i++) {
		(void)snprintf(key, sizeof(key), "race/%d", i);
		if (suite_put(r->s, key, text, STORE_CREATE, NULL, NULL, &err) == 0)
			r->won++;
		else if (err.kind != ERR_CONFLICT)
			r->won = -1000;
	}
	return NULL;
}

/* Counts up to 10 by compare-and-swap; how often it took somebody else's number is of no interest.
 */
static void *
race_match(void *arg)
{
	struct racer *r = arg;
	struct buf out = BUF_INIT(100);
	struct store_info info;
	struct err err;
	char text[32];

	while (r->won < 10) {
		if (store_get(r->s, "count", NULL, &out, &info, &err) < 0)
			break;
		(void)snprintf(text, sizeof(text), "%d", (int)strtol(buf_cstr(&out), NULL, 10) + 1);
		if (suite_put(r->s, "count", text, STORE_MATCH, info.etag, NULL, &err) == 0)
			r->won++;
		else if (err.kind != ERR_CONFLICT)
			break;
	}
	buf_done(&out);
	return NULL;
}

static int
run_race(struct store *s, void *(*fn)(void *))
{
	struct racer r[THREADS];
	pthread_t t[THREADS];
	int won = 0;

	for (int i = 0; i < THREADS; i++) {
		r[i] = (struct racer){.s = s, .id = i};
		assert_int_equal(pthread_create(&t[i], NULL, fn, &r[i]), 0);
	}
	for (int i = 0; i < THREADS; i++) {
		assert_int_equal(pthread_join(t[i], NULL), 0);
		won += r[i].won;
	}
	return won;
}

static void
test_threads(void **state)
{
	struct store *s = *state;

	assert_int_equal(run_race(s, race_create), 20);
	put(s, "count", "0");
	assert_int_equal(run_race(s, race_match), 10 * THREADS);
	suite_expect(s, "count", "80");
}

static void
fill_spool(struct spool *s, size_t n)
{
	struct err err;

	for (uint64_t i = 0; spool_size(s) < n; i++) {
		uint64_t x = i * 6364136223846793005u;
		size_t left = n - (size_t)spool_size(s);

		assert_int_equal(
		    spool_add(s, (struct sv){(const char *)&x, left < 8 ? left : 8}, &err), 0);
	}
}

static void
expect_spool(const struct spool *is, const struct spool *want)
{
	CLEANUP(buf_done) struct buf a = BUF_INIT(32u << 20), b = BUF_INIT(32u << 20);

	assert_int_equal(spool_load(is, &a, NULL), 0);
	assert_int_equal(spool_load(want, &b, NULL), 0);
	assert_true(sv_eq(buf_view(&a), buf_view(&b)));
}

/* What is small, what makes a file, and what is more than one request to a service. */
static void
test_spools(void **state)
{
	static const size_t sizes[] = {5, 400000, (9u << 20) + 3};
	static const char *const want[] = {"kind", "absent", NULL};
	const struct store_put opt = {.cond = STORE_CREATE, .meta = {{"kind", "x"}}, .n_meta = 1};
	struct store *s = *state;
	struct err err;

	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		struct spool body = SPOOL_INIT, out = SPOOL_INIT;
		char etag[STORE_ETAG_MAX], key[16];
		struct store_info info;

		(void)snprintf(key, sizeof(key), "spool/%zu", i);
		fill_spool(&body, sizes[i]);
		assert_int_equal(store_get_spool(s, key, NULL, &out, NULL, &err), -1);
		assert_int_equal(err.kind, ERR_NOTFOUND);
		if (store_put_spool(s, key, &body, &opt, etag, &err) < 0)
			fail_msg("%s", err.msg);
		assert_int_equal(store_put_spool(s, key, &body, &opt, NULL, &err), -1);
		assert_int_equal(err.kind, ERR_CONFLICT);
		if (store_get_spool(s, key, want, &out, &info, &err) < 0)
			fail_msg("%s", err.msg);
		assert_string_equal(info.etag, etag);
		assert_string_equal(info.meta[0], the_kind->has_meta ? "x" : "");
		assert_string_equal(info.meta[1], "");
		expect_spool(&out, &body);
		spool_done(&out);
		spool_done(&body);
	}
}

int
store_suite_run(struct store_kind *kind, void (*fresh)(struct store_kind *kind))
{
#define T(f) cmocka_unit_test_setup_teardown(f, open_fresh, close_store)
	const struct CMUnitTest tests[] = {
	    T(test_get_put),	     T(test_ceiling), T(test_create),
	    T(test_match),	     T(test_meta),    T(test_list),
	    T(test_list_and_delete), T(test_del),     T(test_bad_keys),
	    T(test_long_keys),	     T(test_lock),    T(test_threads),
	    T(test_spools),
	};

	the_kind = kind;
	make_fresh = fresh;
	return cmocka_run_group_tests_name(kind->name, tests, NULL, NULL);
}
