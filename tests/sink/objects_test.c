/*
 * The lake: created once, adopted by whoever comes second, refused samples under the first free
 * number.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fsx.h"
#include "fmt/zst.h"
#include "sink/sink.h"

#define START INT64_C(1767225600000)
#define CELL  ((struct cell){START, START + 300000})
#define KEY                                                                                        \
	"ecs/tenant=acme/region=eu-west-1/dt=2026-01-01/hh=00/"                                    \
	"20260101T000000Z-20260101T000500Z.ndjson.zst"
#define HASH "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static const struct publish who = {.job = "ecs",
				   .tenant = "acme",
				   .account = "111122223333",
				   .region = "eu-west-1",
				   .definition = HASH};
static const struct sink_conf conf = {.name = "lake", .kind = SINK_OBJECTS, .zstd_level = 3};

struct lake {
	struct sink *sink;
	struct store *store; /* the sink's, to look behind it */
	char dir[32];	     /* of a file store */
};

static void
lake_mem(struct lake *l)
{
	struct err err;

	*l = (struct lake){0};
	assert_int_equal(store_mem_new(&l->store, &err), 0);
	assert_int_equal(sink_objects_new(&conf, l->store, &l->sink, &err), 0);
}

static void
lake_file(struct lake *l)
{
	struct err err;

	*l = (struct lake){.dir = "/tmp/muster-test-XXXXXX"};
	assert_non_null(mkdtemp(l->dir));
	assert_int_equal(store_file_new(l->dir, &l->store, &err), 0);
	assert_int_equal(sink_objects_new(&conf, l->store, &l->sink, &err), 0);
}

static void
lake_done(struct lake *l)
{
	char command[64];

	sink_free(l->sink);
	if (l->dir[0] == '\0')
		return;
	(void)snprintf(command, sizeof(command), "rm -rf %s", l->dir);
	assert_int_equal(system(command), 0);
}

static void
fill(struct cell_data *d, const char *lines, uint64_t n)
{
	cell_data_init(d, CELL);
	buf_str(&d->ndjson, lines);
	d->n_lines = n;
}

static void
check_publish(struct lake *l, const char *lines, uint64_t n, uint64_t acked, uint64_t already)
{
	struct published done = {0};
	struct cell_data d;
	struct err err;

	fill(&d, lines, n);
	assert_int_equal(l->sink->ops->publish(l->sink, &who, &d, &done, &err), 0);
	assert_int_equal(done.acked, acked);
	assert_int_equal(done.already, already);
	assert_int_equal(done.rejected + done.too_old, 0);
	assert_int_equal(done.requests, n > 0);
	assert_int_equal(done.bytes > 0, n > 0);
	cell_data_done(&d);
}

static void
check_read(struct lake *l, const char *lines)
{
	char definition[65];
	struct cell_data d;
	struct err err;

	fill(&d, "left over", 1);
	assert_int_equal(l->sink->ops->read(l->sink, &who, &d, definition, &err), 0);
	assert_string_equal(buf_cstr(&d.ndjson), lines);
	assert_string_equal(definition, HASH);
	cell_data_done(&d);
}

static void
first_wins(struct lake *l)
{
	char definition[65];
	struct cell_data d;
	struct err err;

	fill(&d, "", 0);
	assert_int_equal(l->sink->ops->read(l->sink, &who, &d, definition, &err), -1);
	assert_int_equal(err.kind, ERR_NOTFOUND);
	cell_data_done(&d);
	check_publish(l, "", 0, 0, 0); /* an empty cell leaves no object */
	check_publish(l, "{\"a\":1}\n{\"a\":2}\n", 2, 2, 0);
	check_read(l, "{\"a\":1}\n{\"a\":2}\n");
	check_publish(l, "{\"a\":1}\n{\"a\":2}\n", 2, 0, 2);
	check_publish(l, "{\"a\":9}\n", 1, 0, 1);
	check_read(l, "{\"a\":1}\n{\"a\":2}\n");
}

static void
test_first_wins(void **state)
{
	struct lake l;

	(void)state;
	lake_mem(&l);
	first_wins(&l);
	lake_done(&l);
	lake_file(&l);
	first_wins(&l);
	lake_done(&l);
}

static void
test_the_object(void **state)
{
	static const char *const want[] = {"format-version", "definition", NULL};
	struct buf body = BUF_INIT(4096), text = BUF_INIT(4096);
	struct store_info info;
	struct lake l;
	struct err err;

	(void)state;
	lake_mem(&l);
	check_publish(&l, "{}\n", 1, 1, 0);
	assert_int_equal(store_get(l.store, KEY, want, &body, &info, &err), 0);
	assert_string_equal(info.meta[0], "1");
	assert_string_equal(info.meta[1], HASH);
	assert_int_equal(zst_decompress(buf_view(&body), &text, &err), 0);
	assert_string_equal(buf_cstr(&text), "{}\n");
	buf_done(&body);
	buf_done(&text);
	lake_done(&l);
}

/* What another version wrote, or what is damaged, is never taken for lines. */
static void
test_foreign_objects(void **state)
{
	static const struct {
		const char *body, *version, *definition;
	} cases[] = {
	    {"not zstd", "1", HASH}, {"", "1", HASH},	    {"(\xb5/\xfd", "1", HASH},
	    {NULL, "2", HASH},	     {NULL, "1", HASH "0"},
	};
	struct buf frame = BUF_INIT(4096);
	struct err err;

	(void)state;
	assert_int_equal(zst_compress(SV("{}\n"), 3, &frame, &err), 0);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct sv body = cases[i].body ? sv_of(cases[i].body) : buf_view(&frame);
		struct store_put put = {.cond = STORE_CREATE,
					.meta = {{"format-version", cases[i].version},
						 {"definition", cases[i].definition}},
					.n_meta = 2};
		char definition[65];
		struct cell_data d;
		struct lake l;

		lake_mem(&l);
		assert_int_equal(store_put(l.store, KEY, body, &put, NULL, &err), 0);
		fill(&d, "", 0);
		assert_int_equal(l.sink->ops->read(l.sink, &who, &d, definition, &err), -1);
		assert_int_equal(err.kind, ERR_DATA);
		assert_non_null(strstr(err.msg, KEY));
		cell_data_done(&d);
		lake_done(&l);
	}
	buf_done(&frame);
}

/* An object without metadata (a file system that keeps none) is read all the same. */
static void
test_no_metadata(void **state)
{
	struct store_put put = {.cond = STORE_CREATE};
	struct buf frame = BUF_INIT(4096);
	char definition[65] = "?";
	struct cell_data d;
	struct lake l;
	struct err err;

	(void)state;
	lake_mem(&l);
	assert_int_equal(zst_compress(SV("{}\n"), 3, &frame, &err), 0);
	assert_int_equal(store_put(l.store, KEY, buf_view(&frame), &put, NULL, &err), 0);
	fill(&d, "", 0);
	assert_int_equal(l.sink->ops->read(l.sink, &who, &d, definition, &err), 0);
	assert_string_equal(definition, "");
	assert_string_equal(buf_cstr(&d.ndjson), "{}\n");
	cell_data_done(&d);
	buf_done(&frame);
	lake_done(&l);
}

static int
count_key(const char *key, void *arg)
{
	unsigned *n = arg;

	(void)key;
	(*n)++;
	return 0;
}

static void
check_rejected(struct lake *l, const char *lines, unsigned objects)
{
	unsigned n = 0;
	struct err err;

	assert_int_equal(l->sink->ops->write_rejected(l->sink, &who, CELL, sv_of(lines), &err), 0);
	assert_int_equal(l->store->ops->list(l->store, "rejected/", count_key, &n, &err), 0);
	assert_int_equal(n, objects);
}

static void
rejected_numbers(struct lake *l)
{
	struct store_put put = {.cond = STORE_CREATE};
	struct buf key = BUF_INIT(1024);
	struct err err;

	check_rejected(l, "", 0);
	check_rejected(l, "{\"a\":1}\n", 1);
	check_rejected(l, "{\"a\":1}\n", 1); /* the same again */
	check_rejected(l, "{\"a\":2}\n", 2);
	check_rejected(l, "{\"a\":1}\n", 2);
	check_rejected(l, "{\"a\":2}\n", 2);
	cell_rejected_key(&key, who.job, who.tenant, who.region, CELL, 2);
	assert_int_equal(store_put(l->store, buf_cstr(&key), SV("broken"), &put, NULL, &err), 0);
	check_rejected(l, "{\"a\":3}\n", 4); /* passes by what it cannot read */
	check_rejected(l, "{\"a\":3}\n", 4);
	buf_done(&key);
}

static void
test_rejected_numbers(void **state)
{
	struct lake l;

	(void)state;
	lake_mem(&l);
	rejected_numbers(&l);
	lake_done(&l);
	lake_file(&l);
	rejected_numbers(&l);
	lake_done(&l);
}

/* ---- a store in trouble ---- */

struct broken_store {
	struct store base;
	enum err_kind kind;
};

static int
broken_get(struct store *s, const char *key, const char *const *want, struct buf *out,
	   struct store_info *info, struct err *err)
{
	(void)key;
	(void)want;
	(void)out;
	(void)info;
	return err_set(err, ((struct broken_store *)s)->kind, "broken");
}

static int
broken_put(struct store *s, const char *key, struct sv body, const struct store_put *opt,
	   char *ret_etag, struct err *err)
{
	(void)key;
	(void)body;
	(void)opt;
	(void)ret_etag;
	return err_set(err, ((struct broken_store *)s)->kind, "broken");
}

static void
broken_free(struct store *s)
{
	(void)s;
}

static void
test_store_in_trouble(void **state)
{
	static const struct store_ops ops = {
	    .name = "broken", .get = broken_get, .put = broken_put, .free = broken_free};
	static const enum err_kind kinds[] = {ERR_TRANSIENT, ERR_AUTH, ERR_LOCAL, ERR_CANCELLED};
	struct broken_store store = {.base = {&ops}};
	char definition[65];
	struct cell_data d;
	struct sink *s;
	struct err err;

	(void)state;
	fill(&d, "{}\n", 1);
	assert_int_equal(sink_objects_new(&conf, &store.base, &s, &err), 0);
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		struct published done = {0};

		store.kind = kinds[i];
		assert_int_equal(s->ops->publish(s, &who, &d, &done, &err), -1);
		assert_int_equal(err.kind, kinds[i]);
		assert_int_equal(done.acked + done.already, 0);
		assert_int_equal(s->ops->read(s, &who, &d, definition, &err), -1);
		assert_int_equal(err.kind, kinds[i]);
		assert_int_equal(s->ops->write_rejected(s, &who, CELL, SV("{}\n"), &err), -1);
		assert_int_equal(err.kind, kinds[i]);
	}
	store.kind = ERR_CONFLICT; /* all numbers taken, and none can be read */
	assert_int_equal(s->ops->write_rejected(s, &who, CELL, SV("{}\n"), &err), -1);
	sink_free(s);
	cell_data_done(&d);
}

/* A buffer that failed must not become an object. */
static void
test_failed_buffer(void **state)
{
	struct published done = {0};
	struct cell_data d;
	struct lake l;
	struct err err;

	(void)state;
	lake_mem(&l);
	fill(&d, "{}\n", 1);
	d.ndjson.failed = true;
	assert_int_equal(l.sink->ops->publish(l.sink, &who, &d, &done, &err), -1);
	assert_int_equal(err.kind, ERR_LOCAL);
	cell_data_done(&d);
	lake_done(&l);
}

static void
test_open(void **state)
{
	char dir[] = "/tmp/muster-test-XXXXXX", url[64];
	struct sink_conf c = conf;
	struct sink_env env = {.clock = NULL};
	struct sink *s;
	struct err err;

	(void)state;
	assert_int_equal(sink_open(&c, &env, &s, &err), -1);
	assert_int_equal(err.kind, ERR_USAGE);
	c.url = "gopher://x";
	assert_int_equal(sink_open(&c, &env, &s, &err), -1);
	assert_int_equal(err.kind, ERR_USAGE);
	assert_non_null(mkdtemp(dir));
	(void)snprintf(url, sizeof(url), "file://%s/lake", dir);
	c.url = url;
	c.zstd_level = 77;
	assert_int_equal(sink_open(&c, &env, &s, &err), -1);
	assert_int_equal(err.kind, ERR_USAGE);
	c.zstd_level = 0;
	assert_int_equal(sink_open(&c, &env, &s, &err), 0);
	assert_string_equal(s->ops->kind, "objects");
	assert_false(s->ops->samples);
	sink_free(s);
	sink_free(NULL);
	c.kind = (enum sink_kind)99;
	assert_int_equal(sink_open(&c, &env, &s, &err), -1);
	(void)snprintf(url, sizeof(url), "rm -rf %s", dir);
	assert_int_equal(system(url), 0);
}

static void
add_lines(struct cell_data *d, struct buf *all, size_t n)
{
	struct err err;

	for (size_t i = 0; i < n; i++) {
		struct buf line = BUF_INIT(1000);

		buf_fmt(&line, "{\"ts\":%zu,\"message\":\"%zu and %zu\"}\n", i, i * i,
			i * 7919 % 1000);
		buf_sv(all, buf_view(&line));
		assert_int_equal(cell_lines_add(d, buf_view(&line), &err), 0);
		d->n_lines++;
		buf_done(&line);
	}
}

static int
compare_piece(void *arg, struct sv piece, struct err *err)
{
	struct sv *rest = arg;

	(void)err;
	assert_true(sv_starts(*rest, piece));
	rest->p += piece.n;
	rest->n -= piece.n;
	return 0;
}

/* A cell that does not stay in memory gives the same object as if it did, and is read back like it.
 */
static void
large_cells(struct lake *l)
{
	CLEANUP(buf_done) struct buf all = BUF_INIT(32u << 20), want = BUF_INIT(32u << 20);
	CLEANUP(buf_done) struct buf is = BUF_INIT(32u << 20);
	struct published done = {0};
	char definition[65];
	struct cell_data d;
	struct sv rest;
	struct err err;

	cell_data_init(&d, CELL);
	add_lines(&d, &all, 100000);
	assert_non_null(d.spool);
	assert_int_equal(cell_lines_size(&d), all.n);
	assert_int_equal(l->sink->ops->publish(l->sink, &who, &d, &done, &err), 0);
	assert_int_equal(done.acked, 100000);
	assert_int_equal(zst_compress(buf_view(&all), 3, &want, &err), 0);
	assert_int_equal(done.bytes, want.n);
	assert_int_equal(store_get(l->store, KEY, NULL, &is, NULL, &err), 0);
	assert_true(sv_eq(buf_view(&is), buf_view(&want)));
	done = (struct published){0};
	assert_int_equal(l->sink->ops->publish(l->sink, &who, &d, &done, &err), 0);
	assert_int_equal(done.already, 100000);
	cell_data_done(&d);
	cell_data_init(&d, CELL);
	assert_int_equal(l->sink->ops->read(l->sink, &who, &d, definition, &err), 0);
	assert_string_equal(definition, HASH);
	assert_non_null(d.spool);
	rest = buf_view(&all);
	assert_int_equal(cell_lines_each(&d, compare_piece, &rest, &err), 0);
	assert_int_equal(rest.n, 0);
	assert_int_equal(cell_lines_load(&d, &err), 0);
	assert_null(d.spool);
	assert_true(sv_eq(buf_view(&d.ndjson), buf_view(&all)));
	cell_data_done(&d);
}

static void
test_large_cells(void **state)
{
	struct lake l;

	(void)state;
	lake_mem(&l);
	large_cells(&l);
	lake_done(&l);
	lake_file(&l);
	large_cells(&l);
	lake_done(&l);
}

struct reader {
	struct store *store;
	struct cell_data *d;
	unsigned times;
};

/* Nothing is sent yet. */
static void
drop_lines(void *arg)
{
	struct reader *r = arg;
	CLEANUP(buf_done) struct buf is = BUF_INIT(32u << 20);
	struct err err;

	r->times++;
	assert_int_equal(store_get(r->store, KEY, NULL, &is, NULL, &err), -1);
	assert_int_equal(err.kind, ERR_NOTFOUND);
	cell_lines_drop(r->d);
}

/* The lines may go as soon as they are compressed, and are counted all the same. */
static void
test_lines_are_needed_once(void **state)
{
	static const size_t sizes[] = {10, 100000};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		CLEANUP(buf_done) struct buf all = BUF_INIT(32u << 20);
		struct published done = {0};
		struct publish p = who;
		char definition[65];
		struct reader r = {0};
		struct cell_data d;
		struct lake l;
		struct err err;

		lake_mem(&l);
		cell_data_init(&d, CELL);
		add_lines(&d, &all, sizes[i]);
		r = (struct reader){.store = l.store, .d = &d};
		p.lines_read = drop_lines;
		p.lines_arg = &r;
		assert_int_equal(l.sink->ops->publish(l.sink, &p, &d, &done, &err), 0);
		assert_int_equal(r.times, 1);
		assert_int_equal(cell_lines_size(&d), 0);
		assert_int_equal(done.acked, sizes[i]);
		assert_int_equal(l.sink->ops->read(l.sink, &who, &d, definition, &err), 0);
		assert_int_equal(cell_lines_load(&d, &err), 0);
		assert_true(sv_eq(buf_view(&d.ndjson), buf_view(&all)));
		cell_data_done(&d);
		lake_done(&l);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_large_cells),	     cmocka_unit_test(test_lines_are_needed_once),
	    cmocka_unit_test(test_first_wins),	     cmocka_unit_test(test_the_object),
	    cmocka_unit_test(test_foreign_objects),  cmocka_unit_test(test_no_metadata),
	    cmocka_unit_test(test_rejected_numbers), cmocka_unit_test(test_store_in_trouble),
	    cmocka_unit_test(test_failed_buffer),    cmocka_unit_test(test_open),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
