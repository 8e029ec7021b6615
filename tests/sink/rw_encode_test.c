/*
 * Requests against bytes that were computed elsewhere: by hand, by a decoder of our own, and (where
 * MUSTER_DATA names a folder with remote-write/ and snappy/) by other writers.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/cleanup.h"
#include "fmt/codec.h"
#include "fmt/json.h"
#include "fmt/snappy.h"
#include "sink/rw_encode.h"
#include "tests/sink/wire_read.h"
#include "tests/support/data.h"

#define BODY ((size_t)16 << 20)

static struct rw_part
whole(const struct cell_data *d)
{
	return (struct rw_part){.row1 = d->n_rows, .from_ms = INT64_MIN, .to_ms = INT64_MAX};
}

static void
assert_hex(const struct buf *b, const char *hex)
{
	struct buf want = BUF_INIT(4096);

	assert_true(hex_decode(&want, sv_of(hex)));
	assert_int_equal(b->n, want.n);
	assert_memory_equal(b->p, want.p, want.n);
	buf_done(&want);
}

static void
test_bytes_by_hand(void **state)
{
	const struct label labels[] = {{"A", "1"}, {"b", "2"}};
	const struct series s = {.name = "up", .labels = labels, .n_labels = 2, .period_ms = 1};
	const double values[] = {1, NAN, 0.0, -0.0, INFINITY};
	struct sample_row row = {&s, -2, values, 5, NULL};
	struct cell_data d = {.rows = &row, .n_rows = 1};
	struct rw_part part = whole(&d);
	struct buf out = BUF_INIT(4096);

	(void)state;
	assert_int_equal(rw_check(&d, NULL), 0);
	assert_int_equal(rw_encode(&d, &part, &out, NULL), 0);
	assert_int_equal(part.n_samples, 3);
	/* A, then __name__, then b; the sample at 0 with value +0 is an empty message; -0 keeps its
	 * bits. */
	assert_hex(&out, "0a45"
			 "0a060a0141120131"
			 "0a0e0a085f5f6e616d655f5f12027570"
			 "0a060a0162120132"
			 "121409000000000000f03f10feffffffffffffffff01"
			 "1200"
			 "120b0900000000000000801001");
	buf_done(&out);
}

static void
test_times_at_the_edge(void **state)
{
	const struct series s = {.name = "x", .period_ms = 10};
	const double v[] = {1, 2, 3};
	struct sample_row row = {&s, 100, v, 3, NULL};
	struct cell_data d = {.rows = &row, .n_rows = 1};
	const struct {
		int64_t from, to;
		uint64_t n;
	} cases[] = {
	    {100, 121, 3}, {100, 120, 2}, {101, 121, 2}, {110, 111, 1}, {111, 120, 0},
	    {0, 100, 0},   {121, 200, 0}, {120, 120, 0}, {120, 100, 0}, {INT64_MIN, INT64_MAX, 3}};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct rw_part part = {.row1 = 1, .from_ms = cases[i].from, .to_ms = cases[i].to};
		struct buf out = BUF_INIT(4096);

		assert_int_equal(rw_count(&d, &part), cases[i].n);
		assert_int_equal(rw_encode(&d, &part, &out, NULL), 0);
		assert_int_equal(part.n_samples, cases[i].n);
		assert_int_equal(out.n > 0, cases[i].n > 0);
		buf_done(&out);
	}
}

static void
test_rows_that_cannot_be(void **state)
{
	const double v[] = {1, 2};
	struct series s = {.name = "x"};
	struct sample_row row = {&s, 5, v, 2, NULL};
	struct cell_data d = {.rows = &row, .n_rows = 1};
	struct err err;

	(void)state;
	assert_int_equal(rw_check(&d, &err), -1);
	assert_int_equal(err.kind, ERR_DATA);
	s.period_ms = -1;
	assert_int_equal(rw_check(&d, &err), -1);
	s.period_ms = INT64_MAX / 2 + 2;
	assert_int_equal(rw_check(&d, &err), -1);
	s.period_ms = 1;
	row.first_ms = INT64_MAX - 1;
	assert_int_equal(rw_check(&d, &err), -1);
	row.first_ms = INT64_MAX - 2;
	assert_int_equal(rw_check(&d, &err), 0);
	row.n = 1;
	s.period_ms = 0;
	row.first_ms = INT64_MAX - 1;
	assert_int_equal(rw_check(&d, &err), 0);
}

/* Times of their own must increase, and are what counts: the period is nothing to them. */
static void
test_times_of_their_own(void **state)
{
	static const double v[] = {1, 2, 3};
	int64_t times[] = {5, 6, 9};
	struct series s = {.name = "x"};
	struct sample_row row = {&s, 5, v, 3, times};
	struct cell_data d = {.rows = &row, .n_rows = 1};
	struct err err;
	size_t i0, i1;

	(void)state;
	assert_int_equal(rw_check(&d, &err), 0);
	rw_span(&row, 6, 9, &i0, &i1);
	assert_int_equal(i0, 1);
	assert_int_equal(i1, 2);
	rw_span(&row, 7, 10, &i0, &i1);
	assert_int_equal(i0, 2);
	assert_int_equal(i1, 3);
	times[1] = 5;
	assert_int_equal(rw_check(&d, &err), -1);
	times[1] = 10;
	assert_int_equal(rw_check(&d, &err), -1);
}

/* Labels whose words were counted beforehand are the same bytes. */
static void
test_counted_labels(void **state)
{
	static const double v[] = {1, 0, NAN, -0.0};
	char *text = malloc(70000);
	struct arena a = ARENA_INIT(1 << 20);

	(void)state;
	assert_non_null(text);
	memset(text, 'x', 69999);
	text[69999] = '\0';
	for (size_t n = 1; n < 70000; n += n < 300 ? 1 : 32611) {
		const struct label labels[] = {{"A", "b"}, {"_", text + 69999 - n}, {"c", "d"}};
		struct series s = {.name = "m", .labels = labels, .n_labels = 3, .period_ms = 1};
		struct sample_row row = {&s, INT64_MAX / 2, v, 4, NULL};
		struct cell_data d = {.rows = &row, .n_rows = 1};
		struct rw_part part = whole(&d), again = part;
		struct buf one = BUF_INIT(BODY), other = BUF_INIT(BODY);

		assert_int_equal(rw_encode(&d, &part, &one, NULL), 0);
		s.lens = label_count(labels, 3, &a);
		assert_true((s.lens != NULL) == (n <= UINT16_MAX));
		assert_int_equal(rw_encode(&d, &again, &other, NULL), 0);
		assert_int_equal(again.n_samples, 3);
		assert_true(sv_eq(buf_view(&one), buf_view(&other)));
		buf_done(&one);
		buf_done(&other);
	}
	arena_done(&a);
	free(text);
}

/* Times that take more bytes than those before them, one by one. */
static void
test_sizes_of_times(void **state)
{
	static const double v[] = {1, 2, 3, 4};

	(void)state;
	for (int bits = 0; bits < 63; bits++)
		for (int64_t before = -1; before <= 4; before++) {
			struct series s = {.name = "m", .period_ms = 1};
			struct sample_row row = {&s, ((int64_t)1 << bits) - before, v, 4, NULL};
			struct cell_data d = {.rows = &row, .n_rows = 1};
			struct rw_part part = whole(&d);
			struct buf all = BUF_INIT(BODY), one = BUF_INIT(BODY);
			size_t n = 0;

			/* Each alone is in no doubt. */
			for (size_t i = 0; i < 4; i++) {
				row = (struct sample_row){
				    &s, ((int64_t)1 << bits) - before + (int64_t)i, v + i, 1, NULL};
				buf_reset(&one);
				assert_int_equal(rw_encode(&d, &part, &one, NULL), 0);
				n += one.n;
			}
			row = (struct sample_row){&s, ((int64_t)1 << bits) - before, v, 4, NULL};
			assert_int_equal(rw_encode(&d, &part, &all, NULL), 0);
			/* But for three labels and three times the length of a series. */
			assert_int_equal(all.n, n - 3 * (2 + 2 + strlen("__name__") + 2 + 1 + 2));
			buf_done(&all);
			buf_done(&one);
		}
}

/* ---- cutting ---- */

#define ROWS 40
#define VALS 50
struct grid {
	struct series series[ROWS];
	struct label labels[ROWS][3];
	char text[ROWS][64];
	double values[ROWS][VALS];
	int64_t times[ROWS][VALS];
	struct sample_row rows[ROWS];
	struct cell_data d;
};

static void
fill_grid(struct grid *g, unsigned seed)
{
	for (size_t r = 0; r < ROWS; r++) {
		(void)snprintf(g->text[r], sizeof(g->text[r]), "%0*u",
			       (int)(1 + (seed * 7 + r * 13) % 60), 1u);
		g->labels[r][0] = (struct label){"a", g->text[r]};
		g->series[r] = (struct series){
		    .name = "m", .labels = g->labels[r], .n_labels = 1, .period_ms = 7};
		for (size_t i = 0; i < VALS; i++)
			g->values[r][i] =
			    (i * 31 + r * 17 + seed) % 5 == 0 || r % 9 == 3 ? NAN : (double)(i % 3);
		g->rows[r] = (struct sample_row){&g->series[r], (int64_t)(r * 3), g->values[r],
						 (r * 5 + seed) % VALS, NULL};
		/* A third of the rows has times of their own. */
		for (size_t i = 0; i < VALS; i++)
			g->times[r][i] = (int64_t)(r * 3 + i * 7 + (i * i + seed) % 6);
		if (r % 3 == 1)
			g->rows[r].times = g->times[r];
	}
	g->d = (struct cell_data){.rows = g->rows, .n_rows = ROWS};
}

static size_t
encoded_size(const struct cell_data *d, struct rw_part *part)
{
	struct buf out = BUF_INIT(BODY);
	size_t n;

	assert_int_equal(rw_encode(d, part, &out, NULL), 0);
	n = out.n;
	buf_done(&out);
	return n;
}

/* Each sample in range in exactly one part, in order, no part too large, none that could have taken
 * the next row as well. */
static void
check_cut(const struct cell_data *d, int64_t from, int64_t to, size_t max)
{
	struct rw_part part, all = {.row1 = d->n_rows, .from_ms = from, .to_ms = to};
	int64_t next = from, last_to = from;
	size_t row = 0, last_row = 0;
	uint64_t n = 0;

	while (rw_cut(d, from, to, max, &row, &next, &part)) {
		uint64_t said = part.n_samples;
		size_t size = encoded_size(d, &part);

		assert_int_equal(part.n_samples, said);
		assert_true(said > 0);
		assert_true(size <= max || said == 1);
		assert_true(part.row0 >= last_row);
		assert_true(part.from_ms == from ||
			    (part.row0 == last_row && part.from_ms == last_to));
		if (part.to_ms == to && part.from_ms == from && row < d->n_rows && size <= max) {
			struct rw_part more = part;

			more.row1 = row + 1;
			assert_true(rw_count(d, &more) > said && encoded_size(d, &more) > max);
		}
		last_row = part.to_ms < to ? part.row0 : part.row1;
		last_to = part.to_ms < to ? part.to_ms : from;
		n += said;
	}
	assert_int_equal(n, rw_count(d, &all));
	assert_int_equal(row, d->n_rows);
}

static void
test_cut(void **state)
{
	static const size_t limits[] = {1, 60, 100, 128, 200, 300, 1000, 5000, 1000000};
	struct grid *g = calloc(1, sizeof(*g));

	(void)state;
	assert_non_null(g);
	for (unsigned seed = 0; seed < 20; seed++) {
		fill_grid(g, seed);
		assert_int_equal(rw_check(&g->d, NULL), 0);
		for (size_t i = 0; i < ARRAY_LEN(limits); i++) {
			check_cut(&g->d, INT64_MIN, INT64_MAX, limits[i]);
			check_cut(&g->d, 50, 220, limits[i]);
		}
	}
	free(g);
}

static void
test_last_only(void **state)
{
	const struct series s = {.name = "x", .period_ms = 10};
	const double v[] = {1, 2, 3, NAN};
	struct sample_row row = {&s, 0, v, 4, NULL};
	struct cell_data d = {.rows = &row, .n_rows = 1};
	struct rw_part part = whole(&d);
	struct buf out = BUF_INIT(4096);

	(void)state;
	part.last_only = true;
	assert_int_equal(rw_count(&d, &part), 1);
	assert_int_equal(rw_encode(&d, &part, &out, NULL), 0);
	assert_int_equal(part.n_samples, 1);
	assert_hex(&out, "0a1c0a0d0a085f5f6e616d655f5f120178120b0900000000000008401014");
	buf_done(&out);
}

/* ---- other writers' requests ---- */

static struct buf
data_file(const char *name)
{
	struct buf b = BUF_INIT(BODY);

	data_read(name, &b);
	return b;
}

struct replay {
	struct sv lines; /* decoded, one series each */
	struct buf again;
	bool all_legal;
	size_t n, illegal;
};

static json_t *
next_line(struct replay *r)
{
	const char *nl = memchr(r->lines.p, '\n', r->lines.n);
	size_t n = nl ? (size_t)(nl - r->lines.p) : r->lines.n;
	json_t *j = NULL;

	assert_int_equal(json_parse((struct sv){r->lines.p, n}, "line", &j, NULL), 0);
	n += nl ? 1 : 0;
	r->lines.p += n;
	r->lines.n -= n;
	return j;
}

/* The line's series as a row: name apart, labels as they come. True if their order is legal. */
static bool
line_series(const json_t *line, struct series *s, struct label *labels, double *value, int64_t *ts)
{
	const json_t *list = json_object_get(line, "labels");
	const json_t *sample = json_array_get(json_object_get(line, "samples"), 0);
	const char *last = "";
	bool legal = true;

	*s = (struct series){.labels = labels, .period_ms = 1};
	for (size_t i = 0; i < json_array_size(list); i++) {
		const char *name = json_string_value(json_array_get(json_array_get(list, i), 0));
		const char *text = json_string_value(json_array_get(json_array_get(list, i), 1));

		legal = legal && strcmp(last, name) < 0 && text[0] != '\0';
		last = name;
		if (strcmp(name, "__name__") == 0)
			s->name = text;
		else
			labels[s->n_labels++] = (struct label){name, text};
	}
	assert_int_equal(json_array_size(json_object_get(line, "samples")), 1);
	*ts = json_integer_value(json_array_get(sample, 0));
	*value = json_number_value(json_array_get(sample, 1));
	return legal && s->name;
}

static bool
compare_series(void *arg, const struct read_series *got)
{
	struct replay *r = arg;
	json_t *line = next_line(r);
	struct label labels[READ_LABELS];
	struct series s;
	double value;
	int64_t ts;
	struct sample_row row = {&s, 0, &value, 1, NULL};
	struct cell_data d = {.rows = &row, .n_rows = 1};
	struct rw_part part = whole(&d);
	size_t before = r->again.n;

	r->n++;
	if (line_series(line, &s, labels, &value, &ts)) {
		row.first_ms = ts;
		assert_int_equal(rw_encode(&d, &part, &r->again, NULL), 0);
		assert_int_equal(r->again.n - before, got->raw.n);
		assert_memory_equal(r->again.p + before, got->raw.p, got->raw.n);
	} else {
		r->illegal++;
	}
	json_decref(line);
	return true;
}

static void
replay_file(const char *name, size_t n, size_t illegal)
{
	char path[96];
	struct buf pb, lines, packed, raw = BUF_INIT(BODY);
	struct replay r = {.again = BUF_INIT(BODY)};

	(void)snprintf(path, sizeof(path), "remote-write/%s.pb", name);
	pb = data_file(path);
	(void)snprintf(path, sizeof(path), "remote-write/%s.decoded.ndjson", name);
	lines = data_file(path);
	(void)snprintf(path, sizeof(path), "remote-write/%s.pb.snappy", name);
	packed = data_file(path);
	assert_int_equal(snappy_block_decode(buf_view(&packed), &raw, NULL), 0);
	assert_true(sv_eq(buf_view(&raw), buf_view(&pb)));
	r.lines = buf_view(&lines);
	assert_true(read_request(buf_view(&pb), compare_series, &r));
	assert_int_equal(r.lines.n, 0);
	assert_int_equal(r.n, n);
	assert_int_equal(r.illegal, illegal);
	if (illegal == 0)
		assert_true(sv_eq(buf_view(&r.again), buf_view(&pb)));
	buf_done(&r.again);
	buf_done(&pb);
	buf_done(&lines);
	buf_done(&packed);
	buf_done(&raw);
}

static void
test_other_writers(void **state)
{
	(void)state;
	data_or_skip();
	replay_file("node-exporter", 2000, 0);
	replay_file("workload-a", 10000, 0);
	replay_file("small-unsorted-labels", 30, 15); /* 10 out of order, 5 with an empty value */
}

/* ---- snappy, as remote write needs it ---- */

static void
test_snappy_edges(void **state)
{
	json_t *cases, *c;
	size_t i;

	(void)state;
	data_or_skip();
	cases = data_json("snappy/edge-cases.json");
	json_array_foreach(cases, i, c)
	{
		struct buf packed = BUF_INIT(BODY), want = BUF_INIT(BODY),
			   got = BUF_INIT((size_t)1 << 20);
		const char *raw = json_string_value(json_object_get(c, "raw_hex"));
		bool valid = json_is_true(json_object_get(c, "valid"));
		struct err err;

		assert_true(hex_decode(
		    &packed, sv_of(json_string_value(json_object_get(c, "compressed_hex")))));
		assert_int_equal(snappy_block_decode(buf_view(&packed), &got, &err),
				 valid ? 0 : -1);
		if (valid && raw) {
			assert_true(hex_decode(&want, sv_of(raw)));
			assert_true(sv_eq(buf_view(&got), buf_view(&want)));
		}
		buf_done(&packed);
		buf_done(&want);
		buf_done(&got);
	}
	json_decref(cases);
}

static void
test_snappy_files(void **state)
{
	static const char *const names[] = {"asyoulik.txt", "geo.protodata", "opticks.txt"};
	struct buf bad, out = BUF_INIT(BODY);
	char path[64];

	(void)state;
	data_or_skip();
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		struct buf raw, packed, again = BUF_INIT(BODY), back = BUF_INIT(BODY);

		(void)snprintf(path, sizeof(path), "snappy/%s", names[i]);
		raw = data_file(path);
		(void)snprintf(path, sizeof(path), "snappy/%s.snappy", names[i]);
		packed = data_file(path);
		assert_int_equal(snappy_block_decode(buf_view(&packed), &back, NULL), 0);
		assert_true(sv_eq(buf_view(&back), buf_view(&raw)));
		buf_reset(&back);
		assert_int_equal(snappy_block_encode(buf_view(&raw), &again, NULL), 0);
		assert_int_equal(snappy_block_decode(buf_view(&again), &back, NULL), 0);
		assert_true(sv_eq(buf_view(&back), buf_view(&raw)));
		buf_done(&raw);
		buf_done(&packed);
		buf_done(&again);
		buf_done(&back);
	}
	for (int i = 1; i <= 2; i++) {
		(void)snprintf(path, sizeof(path), "snappy/baddata%d.snappy", i);
		bad = data_file(path);
		assert_int_equal(snappy_block_decode(buf_view(&bad), &out, NULL), -1);
		buf_done(&bad);
		buf_reset(&out);
	}
	buf_done(&out);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_bytes_by_hand),
	    cmocka_unit_test(test_times_at_the_edge),
	    cmocka_unit_test(test_rows_that_cannot_be),
	    cmocka_unit_test(test_times_of_their_own),
	    cmocka_unit_test(test_counted_labels),
	    cmocka_unit_test(test_sizes_of_times),
	    cmocka_unit_test(test_cut),
	    cmocka_unit_test(test_last_only),
	    cmocka_unit_test(test_other_writers),
	    cmocka_unit_test(test_snappy_edges),
	    cmocka_unit_test(test_snappy_files),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
