/*
 * Checkpoints: how they move, that their text is what it was or is called damaged, and that
 * compare-and-swap tells our own writes from others' whatever becomes of the answers.
 */
#include "state/checkpoint.h"

#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/cleanup.h"
#include "base/hash.h"
#include "fmt/json.h"
#include "tests/support/effort.h"

#define EVERY 300000
#define T0    1767312000000 /* 2026-01-02T00:00:00Z */
#define KEY   "tenants/acme/ecs.json"
#define PREV  "tenants/acme/ecs.prev.json"

#define ok(call)                                                                                   \
	do {                                                                                       \
		if ((call) < 0)                                                                    \
			fail_msg("%s: %s", #call, err.msg);                                        \
	} while (0)
#define expect_err(call, k)                                                                        \
	do {                                                                                       \
		assert_int_equal((call), -1);                                                      \
		assert_int_equal(err.kind, (k));                                                   \
	} while (0)

static struct cell
cell_at(int k)
{
	return (struct cell){T0 + (int64_t)k * EVERY, T0 + (int64_t)(k + 1) * EVERY};
}

/* One with something in every field. */
static struct ckpt *
sample(void)
{
	struct ckpt *c = ckpt_new("acme", "ecs");
	struct ckpt_stream *s;
	struct ckpt_sink *k;
	struct err err;

	assert_non_null(c);
	ok(ckpt_set_str(&c->account, "111122223333", &err));
	ok(ckpt_set_str(&c->lease.owner, "run-1", &err));
	ok(ckpt_set_str(&c->lease.host, "host \"x\"\n", &err));
	c->lease.since_ms = T0 + 1;
	c->lease.until_ms = T0 + 60001;
	c->lease.begun_through_ms = T0 + 10 * EVERY;
	assert_non_null(ckpt_stream_add(c, "us-east-1", T0 - EVERY, EVERY, &err));
	s = ckpt_stream_add(c, "eu-west-1", T0, EVERY, &err);
	assert_non_null(s);
	ok(ckpt_set_str(&s->definition, "0123abcd", &err));
	ok(ckpt_set_str(&s->last_error, "AccessDenied: \xc3\xa4 \\ /", &err));
	s->last_success_ms = T0 + 999;
	s->failures = 3;
	s->counters = (struct ckpt_counters){1, 2, 3, 4, INT64_MAX, 5, 0, 0, 6, 7};
	s->memo = json_pack("{s:[i,f,s,n,b], s:{}}", "a", 1, 0.1, "x/y", 1, "b");
	assert_non_null(ckpt_sink_add(s, "lake", T0 + 2 * EVERY, &err));
	k = ckpt_sink_add(s, "amp", T0, &err);
	assert_non_null(k);
	ok(ckpt_done(k, cell_at(2), &err));
	ok(ckpt_done(k, cell_at(5), &err));
	ok(ckpt_done(k, cell_at(6), &err));
	k->acked = 1;
	k->already = 2;
	k->too_old = 3;
	k->rejected = 4;
	k->bytes = 5;
	k->over_limit = 6;
	ok(ckpt_gap_add(s, "amp", cell_at(0), "too old for the receiver", T0 + 7, &err));
	ok(ckpt_gap_add(s, NULL, cell_at(3), "max_catchup", T0 + 8, &err));
	ok(ckpt_event_add(c, T0 + 9, "ann@ops", "skip", "the disk was full", &err));
	tally_add(&c->streams[0].calls, "monitoring", "GetMetricData", "200", 12);
	tally_add(&c->streams[0].calls, "sts", "AssumeRole", "AccessDenied", 1);
	return c;
}

static void
dump(const struct ckpt *c, struct buf *out)
{
	struct err err;

	buf_reset(out);
	ok(ckpt_dump(c, out, &err));
}

/* Cursors and ranges */

static void
check_ranges(const struct ckpt_sink *k)
{
	int64_t after = k->cursor_ms;

	for (size_t i = 0; i < k->beyond.n; i++) {
		assert_true(k->beyond.v[i].start_ms > after);
		assert_true(k->beyond.v[i].end_ms > k->beyond.v[i].start_ms);
		after = k->beyond.v[i].end_ms;
	}
}

static void
try_order(const int *order, int n)
{
	struct ckpt_sink k = {.cursor_ms = T0};
	struct err err;

	for (int i = 0; i < n; i++) {
		ok(ckpt_done(&k, cell_at(order[i]), &err));
		ok(ckpt_done(&k, cell_at(order[i / 2]), &err)); /* again: nothing changes */
		check_ranges(&k);
		for (int j = 0; j < n; j++) {
			bool done = false;

			for (int m = 0; m <= i; m++)
				done = done || order[m] == j;
			assert_int_equal(ckpt_is_done(&k, cell_at(j)), done);
		}
	}
	assert_int_equal(k.cursor_ms, T0 + n * EVERY);
	assert_int_equal(k.beyond.n, 0);
	free(k.beyond.v);
}

static void
permute(int *order, int n, int at, int *count)
{
	if (at == n) {
		try_order(order, n);
		++*count;
		return;
	}
	for (int i = at; i < n; i++) {
		int t = order[at];

		order[at] = order[i];
		order[i] = t;
		permute(order, n, at + 1, count);
		order[i] = order[at];
		order[at] = t;
	}
}

static void
test_done_any_order(void **state)
{
	int order[8] = {0, 1, 2, 3, 4, 5, 6, 7}, count = 0;

	(void)state;
	permute(order, 8, 0, &count);
	assert_int_equal(count, 40320);
}

static uint64_t rng = 88172645463325252u;

static uint64_t
next_random(void)
{
	rng ^= rng << 13;
	rng ^= rng >> 7;
	rng ^= rng << 17;
	return rng;
}

#define CELLS 200

/* The model: a flag a cell, and the cursor is the first that is not set. */
static void
compare(const struct ckpt_sink *k, const bool *set)
{
	int first = 0;

	while (first < CELLS && set[first])
		first++;
	assert_int_equal(k->cursor_ms, T0 + (int64_t)first * EVERY);
	check_ranges(k);
	for (int i = 0; i < CELLS; i++)
		assert_int_equal(ckpt_is_done(k, cell_at(i)), set[i]);
}

static void
test_done_like_a_set(void **state)
{
	struct err err;

	(void)state;
	for (int round = 0; round < 60; round++) {
		struct ckpt_sink k = {.cursor_ms = T0};
		bool set[CELLS] = {false};

		for (int i = 0; i < 250; i++) {
			int at = (int)(next_random() % CELLS), n = 1;
			struct cell c;

			if (next_random() % 8 == 0) /* several cells as one */
				n += (int)(next_random() % 10);
			if (at + n > CELLS)
				n = CELLS - at;
			c = (struct cell){cell_at(at).start_ms, cell_at(at + n - 1).end_ms};
			ok(ckpt_done(&k, c, &err));
			for (int j = at; j < at + n; j++)
				set[j] = true;
			if (i % 10 == 0)
				compare(&k, set);
		}
		compare(&k, set);
		free(k.beyond.v);
	}
}

static void
test_done_bad_cells(void **state)
{
	struct ckpt_sink k = {.cursor_ms = T0};
	struct err err;

	(void)state;
	expect_err(ckpt_done(&k, (struct cell){T0, T0}, &err), ERR_USAGE);
	expect_err(ckpt_done(&k, (struct cell){T0 + 1, T0}, &err), ERR_USAGE);
	expect_err(ckpt_done(&k, (struct cell){-EVERY, 0}, &err), ERR_USAGE);
	expect_err(ckpt_done(&k, (struct cell){T0, INT64_MAX}, &err), ERR_USAGE);
	assert_int_equal(k.cursor_ms, T0);
	assert_int_equal(k.beyond.n, 0);
}

/* Streams, sinks, gaps */

static void
test_streams(void **state)
{
	static const char *const regions[] = {"m", "c", "x", "a", "z", "d", "b"};
	struct ckpt *c = ckpt_new("t", "j");
	struct ckpt_stream *s;
	struct err err;

	(void)state;
	assert_null(ckpt_stream_find(c, "m"));
	for (size_t i = 0; i < ARRAY_LEN(regions); i++) {
		s = ckpt_stream_add(c, regions[i], T0, EVERY, &err);
		assert_non_null(s);
		assert_string_equal(s->region, regions[i]);
		assert_int_equal(ckpt_watermark(s), T0);
	}
	for (size_t i = 1; i < c->n_streams; i++)
		assert_true(strcmp(c->streams[i - 1].region, c->streams[i].region) < 0);
	assert_ptr_equal(ckpt_stream_add(c, "m", 0, EVERY, &err), ckpt_stream_find(c, "m"));
	assert_int_equal(ckpt_stream_find(c, "m")->first_ms, T0);
	assert_int_equal(c->n_streams, ARRAY_LEN(regions));
	assert_null(ckpt_stream_add(c, "n", T0 + 1, EVERY, &err));
	assert_int_equal(err.kind, ERR_USAGE);
	assert_null(ckpt_stream_add(c, "n", T0, 7000, &err));
	assert_null(ckpt_stream_add(c, "n", T0, 0, &err));
	assert_null(ckpt_stream_add(c, "n", -EVERY, EVERY, &err));
	ckpt_free(c);
}

static void
test_sinks(void **state)
{
	struct ckpt *c = ckpt_new("t", "j");
	struct ckpt_stream *s = ckpt_stream_add(c, "r", T0, EVERY, NULL);
	struct err err;
	char name[8];

	(void)state;
	for (int i = 0; i < 9; i++) {
		(void)snprintf(name, sizeof(name), "s%d", (i * 5) % 9);
		assert_non_null(ckpt_sink_add(s, name, T0 + (i + 1) * EVERY, &err));
	}
	for (size_t i = 1; i < s->n_sinks; i++)
		assert_true(strcmp(s->sinks[i - 1].name, s->sinks[i].name) < 0);
	assert_int_equal(ckpt_watermark(s), T0 + EVERY);
	assert_null(ckpt_sink_find(s, "none"));
	assert_int_equal(ckpt_sink_add(s, "s0", T0, &err)->cursor_ms, T0 + EVERY);
	/* There is nothing to do before the stream's first cell. */
	assert_int_equal(ckpt_sink_add(s, "early", T0 - 9 * EVERY, &err)->cursor_ms, T0);
	assert_null(ckpt_sink_add(s, "off", T0 + 1, &err));
	ok(ckpt_check(c, &err));
	ckpt_free(c);
}

static void
test_gaps(void **state)
{
	struct ckpt *c = ckpt_new("t", "j");
	struct ckpt_stream *s = ckpt_stream_add(c, "r", T0, EVERY, NULL);
	struct err err;

	(void)state;
	ok(ckpt_gap_add(s, "amp", cell_at(0), "x", 1, &err));
	ok(ckpt_gap_add(s, "lake", cell_at(1), "x", 2, &err));
	ok(ckpt_gap_add(s, "amp", cell_at(1), "y", 3, &err));
	ok(ckpt_gap_add(s, "amp", cell_at(1), "x", 4, &err)); /* grows the first */
	assert_int_equal(s->n_gaps, 3);
	assert_int_equal(s->gaps[0].start_ms, cell_at(0).start_ms);
	assert_int_equal(s->gaps[0].end_ms, cell_at(1).end_ms);
	assert_int_equal(s->gaps[0].recorded_ms, 4);
	ok(ckpt_gap_add(s, "amp", cell_at(0), "x", 5, &err)); /* already in it */
	assert_int_equal(s->n_gaps, 3);
	assert_int_equal(s->gaps[0].recorded_ms, 4);
	ok(ckpt_gap_add(s, "amp", cell_at(3), "x", 6, &err)); /* does not touch */
	assert_int_equal(s->n_gaps, 4);
	ok(ckpt_gap_add(s, "amp", cell_at(2), "x", 7, &err)); /* only the last one grows */
	assert_int_equal(s->n_gaps, 4);
	assert_int_equal(s->gaps[3].start_ms, cell_at(2).start_ms);
	ok(ckpt_gap_add(s, NULL, cell_at(2), "x", 8, &err));
	assert_string_equal(s->gaps[4].sink, "");
	expect_err(ckpt_gap_add(s, "amp", (struct cell){T0, T0}, "x", 9, &err), ERR_USAGE);
	ckpt_free(c);
}

/* What operators do */

static struct ckpt_sink *
sink_at(struct ckpt_stream *s, int k)
{
	struct ckpt_sink *sink;
	struct err err;

	sink = ckpt_sink_add(s, "lake", T0, &err);
	assert_non_null(sink);
	ok(ckpt_done(sink, (struct cell){T0, cell_at(k).start_ms}, &err));
	return sink;
}

static void
test_rewind(void **state)
{
	struct ckpt *c = ckpt_new("acme", "ecs");
	struct ckpt_stream *s;
	struct ckpt_sink *k;
	struct err err;

	(void)state;
	s = ckpt_stream_add(c, "eu-west-1", T0, EVERY, &err);
	k = sink_at(s, 10);
	ok(ckpt_done(k, cell_at(12), &err));
	ok(ckpt_gap_add(s, "lake", (struct cell){T0, cell_at(2).end_ms}, "a", 1, &err));
	ok(ckpt_gap_add(s, "lake", cell_at(5), "b", 1, &err));
	ok(ckpt_gap_add(s, "amp", cell_at(5), "c", 1, &err));
	expect_err(ckpt_rewind(s, k, cell_at(10).start_ms, &err), ERR_USAGE);
	expect_err(ckpt_rewind(s, k, T0 - EVERY, &err), ERR_USAGE);
	expect_err(ckpt_rewind(s, k, T0 + 1, &err), ERR_USAGE);
	assert_int_equal(k->cursor_ms, cell_at(10).start_ms);

	ok(ckpt_rewind(s, k, cell_at(2).start_ms, &err));
	assert_int_equal(k->cursor_ms, cell_at(2).start_ms);
	assert_int_equal(k->beyond.n, 0);
	/* What will be done again is no gap of this sink any more. */
	assert_int_equal(s->n_gaps, 2);
	assert_int_equal(s->gaps[0].end_ms, cell_at(2).start_ms);
	assert_string_equal(s->gaps[1].reason, "c");
	ok(ckpt_check(c, &err));
	ckpt_free(c);
}

/* A gap that reaches from before the rewound time to after the cursor keeps both its ends. */
static void
test_rewind_inside_a_gap(void **state)
{
	struct ckpt *c = ckpt_new("acme", "ecs");
	struct ckpt_stream *s;
	struct ckpt_sink *k;
	struct err err;

	(void)state;
	s = ckpt_stream_add(c, "eu-west-1", T0, EVERY, &err);
	k = sink_at(s, 4);
	ok(ckpt_gap_add(s, "lake", (struct cell){T0, cell_at(6).end_ms}, "a", 1, &err));
	ok(ckpt_rewind(s, k, cell_at(1).start_ms, &err));
	assert_int_equal(s->n_gaps, 2);
	assert_int_equal(s->gaps[0].start_ms, T0);
	assert_int_equal(s->gaps[0].end_ms, cell_at(1).start_ms);
	assert_int_equal(s->gaps[1].start_ms, cell_at(4).start_ms);
	assert_int_equal(s->gaps[1].end_ms, cell_at(6).end_ms);
	assert_string_equal(s->gaps[1].reason, "a");
	ckpt_free(c);
}

static void
test_skip(void **state)
{
	struct ckpt *c = ckpt_new("acme", "ecs");
	struct ckpt_stream *s;
	struct ckpt_sink *k;
	struct err err;

	(void)state;
	s = ckpt_stream_add(c, "eu-west-1", T0, EVERY, &err);
	k = sink_at(s, 1);
	ok(ckpt_done(k, cell_at(3), &err));
	ok(ckpt_done(k, cell_at(8), &err));
	expect_err(ckpt_skip(s, k, T0 + 1, "x", 5, &err), ERR_USAGE);
	expect_err(ckpt_skip(s, k, cell_at(1).start_ms, "x", 5, &err), ERR_USAGE);

	ok(ckpt_skip(s, k, cell_at(6).start_ms, "x", 5, &err));
	assert_int_equal(k->cursor_ms, cell_at(6).start_ms);
	assert_int_equal(k->beyond.n, 1);
	assert_int_equal(s->n_gaps, 2); /* before and after the cell that was done */
	assert_int_equal(s->gaps[0].start_ms, cell_at(1).start_ms);
	assert_int_equal(s->gaps[0].end_ms, cell_at(3).start_ms);
	assert_int_equal(s->gaps[1].start_ms, cell_at(3).end_ms);
	assert_int_equal(s->gaps[1].end_ms, cell_at(6).start_ms);
	ckpt_free(c);
}

static void
test_history_is_bounded(void **state)
{
	struct ckpt *c = ckpt_new("acme", "ecs");
	struct err err;
	char what[16];

	(void)state;
	for (int i = 0; i < CKPT_HISTORY_MAX + 3; i++) {
		(void)snprintf(what, sizeof(what), "%d", i);
		ok(ckpt_event_add(c, T0 + i, "ann", what, "why", &err));
	}
	assert_int_equal(c->n_history, CKPT_HISTORY_MAX);
	assert_string_equal(c->history[0].what, "3");
	assert_int_equal(c->history[CKPT_HISTORY_MAX - 1].time_ms, T0 + CKPT_HISTORY_MAX + 2);
	ckpt_free(c);
}

/* The text */

static void
test_text(void **state)
{
	static const char want[] = "{\n"
				   "  \"account\": null,\n"
				   "  \"checksum\": \"sha256:"
				   "%s\",\n"
				   "  \"format\": \"muster-checkpoint\",\n"
				   "  \"generation\": 7,\n"
				   "  \"job\": \"ecs\",\n"
				   "  \"lease\": {\n"
				   "    \"begun_through\": null,\n"
				   "    \"host\": null,\n"
				   "    \"owner\": null,\n"
				   "    \"since\": null,\n"
				   "    \"until\": \"2026-01-02T00:00:00.250Z\"\n"
				   "  },\n"
				   "  \"nonce\": \"00112233445566778899aabbccddeeff\",\n"
				   "  \"streams\": {\n"
				   "    \"eu-west-1\": {\n"
				   "      \"counters\": {\n"
				   "        \"cells\": 0,\n"
				   "        \"empty_cells\": 0,\n"
				   "        \"failed_runs\": 0,\n"
				   "        \"rejected_in\": 0,\n"
				   "        \"rows\": 0,\n"
				   "        \"samples_frozen\": 0\n"
				   "      },\n"
				   "      \"definition\": null,\n"
				   "      \"every_ms\": 300000,\n"
				   "      \"failures\": 0,\n"
				   "      \"first\": \"2026-01-02T00:00:00Z\",\n"
				   "      \"gaps\": [],\n"
				   "      \"last_error\": null,\n"
				   "      \"last_success\": null,\n"
				   "      \"memo\": null,\n"
				   "      \"sinks\": {\n"
				   "        \"lake\": {\n"
				   "          \"acked\": 0,\n"
				   "          \"already\": 0,\n"
				   "          \"beyond\": [\n"
				   "            {\n"
				   "              \"end\": \"2026-01-02T00:15:00Z\",\n"
				   "              \"start\": \"2026-01-02T00:10:00Z\"\n"
				   "            }\n"
				   "          ],\n"
				   "          \"bytes\": 0,\n"
				   "          \"cursor\": \"2026-01-02T00:05:00Z\",\n"
				   "          \"rejected\": 0,\n"
				   "          \"too_old\": 0\n"
				   "        }\n"
				   "      }\n"
				   "    }\n"
				   "  },\n"
				   "  \"tenant\": \"acme\",\n"
				   "  \"version\": 3\n"
				   "}\n";
	struct ckpt *c = ckpt_new("acme", "ecs");
	struct buf text = BUF_INIT(CKPT_MAX), bare = BUF_INIT(CKPT_MAX);
	char expected[4000], hex[SHA256_HEX_LEN + 1];
	struct ckpt_sink *k;
	json_t *doc;
	struct err err;

	(void)state;
	c->generation = 7;
	(void)snprintf(c->nonce, sizeof(c->nonce), "00112233445566778899aabbccddeeff");
	c->lease.until_ms = T0 + 250;
	k = ckpt_sink_add(ckpt_stream_add(c, "eu-west-1", T0, EVERY, &err), "lake", T0, &err);
	ok(ckpt_done(k, cell_at(2), &err));
	ok(ckpt_done(k, cell_at(0), &err));
	dump(c, &text);
	/* The checksum is what anybody can compute who leaves it out and writes the rest compactly.
	 */
	ok(json_parse(buf_view(&text), "text", &doc, &err));
	assert_int_equal(json_object_del(doc, "checksum"), 0);
	ok(json_dump(doc, false, &bare, &err));
	sha256_hex(buf_view(&bare), hex);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
	(void)snprintf(expected, sizeof(expected), want, hex);
#pragma GCC diagnostic pop
	assert_string_equal(buf_cstr(&text), expected);
	json_decref(doc);
	buf_done(&bare);
	buf_done(&text);
	ckpt_free(c);
}

static void
test_round_trip(void **state)
{
	struct buf one = BUF_INIT(CKPT_MAX), two = BUF_INIT(CKPT_MAX);
	struct ckpt *c = sample(), *d;
	const struct ckpt_stream *s;
	const struct ckpt_sink *k;
	struct err err;

	(void)state;
	c->generation = 1;
	memset(c->nonce, 'a', 32);
	dump(c, &one);
	ok(ckpt_parse(buf_view(&one), "acme", "ecs", &d, &err));
	dump(d, &two);
	assert_string_equal(buf_cstr(&one), buf_cstr(&two));
	assert_int_equal(d->n_streams, 2);
	s = ckpt_stream_find(d, "eu-west-1");
	assert_int_equal(s->first_ms, T0);
	assert_int_equal(s->every_ms, EVERY);
	assert_string_equal(s->last_error, "AccessDenied: \xc3\xa4 \\ /");
	assert_int_equal(s->counters.rejected_in, INT64_MAX);
	assert_int_equal(s->counters.failed_runs, 5);
	assert_true(json_equal(s->memo, ckpt_stream_find(c, "eu-west-1")->memo));
	k = ckpt_sink_find(s, "amp");
	assert_int_equal(k->cursor_ms, T0);
	assert_int_equal(k->beyond.n, 2);
	assert_int_equal(k->beyond.v[1].start_ms, cell_at(5).start_ms);
	assert_int_equal(k->beyond.v[1].end_ms, cell_at(6).end_ms);
	assert_int_equal(s->n_gaps, 2);
	assert_string_equal(s->gaps[1].reason, "max_catchup");
	assert_int_equal(d->lease.until_ms, c->lease.until_ms);
	/* What was read can be gone on with: arrays have room. */
	for (int i = 0; i < 20; i++) {
		char name[16];

		(void)snprintf(name, sizeof(name), "r%d", i);
		assert_non_null(ckpt_stream_add(d, name, T0, EVERY, &err));
		assert_non_null(ckpt_sink_add(ckpt_stream_find(d, "eu-west-1"), name, T0, &err));
		ok(ckpt_gap_add(ckpt_stream_find(d, "eu-west-1"), name, cell_at(i), "x", 1, &err));
	}
	ok(ckpt_check(d, &err));
	ckpt_free(c);
	ckpt_free(d);
	buf_done(&one);
	buf_done(&two);
}

/* Services say what they like: what is no UTF-8 does not keep a checkpoint from being written. */
static void
test_strange_words(void **state)
{
	struct buf text = BUF_INIT(CKPT_MAX);
	struct ckpt *c = sample(), *d;
	struct err err;

	(void)state;
	c->generation = 1;
	memset(c->nonce, 'b', 32);
	ok(ckpt_set_str(&c->streams[0].last_error, "bad \xff\xc3 \x01 end", &err));
	dump(c, &text);
	ok(ckpt_parse(buf_view(&text), "acme", "ecs", &d, &err));
	assert_string_equal(d->streams[0].last_error, "bad \xef\xbf\xbd\xef\xbf\xbd \x01 end");
	ckpt_free(c);
	ckpt_free(d);
	buf_done(&text);
}

/* What would be called damaged is not written in the first place. */
static void
test_dump_refuses(void **state)
{
	struct buf text = BUF_INIT(CKPT_MAX);
	struct ckpt *c = sample();
	struct ckpt_stream *s = &c->streams[0];
	struct ckpt_sink *k = &s->sinks[0];
	struct err err;

	(void)state;
#define REFUSED(lvalue, bad)                                                                       \
	do {                                                                                       \
		__typeof__(lvalue) was_ = (lvalue);                                                \
		(lvalue) = (bad);                                                                  \
		buf_reset(&text);                                                                  \
		expect_err(ckpt_dump(c, &text, &err), ERR_DATA);                                   \
		(lvalue) = was_;                                                                   \
	} while (0)
	REFUSED(k->cursor_ms, T0 + 1);
	REFUSED(k->cursor_ms, T0 - EVERY);
	REFUSED(k->cursor_ms, T0 + 2 * EVERY); /* touches the range */
	REFUSED(k->beyond.v[0].start_ms, T0 + 2 * EVERY + 1);
	REFUSED(k->beyond.v[0].end_ms, k->beyond.v[0].start_ms);
	REFUSED(k->beyond.v[0].end_ms, k->beyond.v[1].start_ms);
	REFUSED(k->bytes, (uint64_t)INT64_MAX + 1);
	REFUSED(s->counters.rows, UINT64_MAX);
	REFUSED(s->failures, UINT64_MAX);
	REFUSED(s->every_ms, 7);
	REFUSED(s->every_ms, 0);
	REFUSED(s->first_ms, T0 + 1);
	REFUSED(s->last_success_ms, -1);
	REFUSED(s->gaps[0].end_ms, s->gaps[0].start_ms);
	REFUSED(s->gaps[0].recorded_ms, INT64_MAX);
	REFUSED(c->lease.until_ms, -1);
	REFUSED(c->generation, UINT64_MAX);
	REFUSED(c->streams[1].region[0], 'a'); /* order */
	REFUSED(s->sinks[1].name[0], 'a');
	dump(c, &text);
	ckpt_free(c);
	buf_done(&text);
}

/* Damage */

static void
sample_text(struct buf *text)
{
	struct ckpt *c = sample();

	c->generation = 12;
	memset(c->nonce, 'c', 32);
	dump(c, text);
	ckpt_free(c);
}

static void
expect_damaged(const char *p, size_t n)
{
	struct ckpt *c = NULL;
	struct err err;

	if (ckpt_parse((struct sv){p, n}, "acme", "ecs", &c, &err) == 0)
		fail_msg("taken for sound");
	if (err.kind != ERR_DATA)
		fail_msg("kind %s: %s", err_kind_name(err.kind), err.msg);
}

static void
test_every_flip(void **state)
{
	struct buf text = BUF_INIT(CKPT_MAX);

	(void)state;
	sample_text(&text);
	for (size_t i = 0; i < text.n; i += text.n / effort(text.n)) {
		const char was = text.p[i];

		for (int bit = 0; bit < 8; bit++) {
			text.p[i] = (char)(was ^ (1 << bit));
			expect_damaged(text.p, text.n);
		}
		/* Changes that JSON itself would not see. */
		text.p[i] = was == ' ' ? '\t' : was == '\n' ? ' ' : (char)~was;
		expect_damaged(text.p, text.n);
		text.p[i] = was;
	}
	buf_done(&text);
}

static void
test_every_cut(void **state)
{
	struct buf text = BUF_INIT(CKPT_MAX);

	(void)state;
	sample_text(&text);
	for (size_t n = 0; n < text.n; n++)
		expect_damaged(text.p, n);
	for (size_t n = 1; n < text.n; n += 97) /* the beginning is gone */
		expect_damaged(text.p + n, text.n - n);
	for (const char *p = " \n\t}x"; *p; p++) {
		buf_ch(&text, *p);
		expect_damaged(text.p, text.n);
		text.n--;
	}
	buf_done(&text);
}

/* The text of a document, with the checksum that it should have. */
static void
mend(json_t *doc, struct buf *out)
{
	struct buf bare = BUF_INIT(CKPT_MAX);
	char hex[SHA256_HEX_LEN + 1], sum[80];
	struct err err;

	(void)json_object_del(doc, "checksum");
	ok(json_dump(doc, false, &bare, &err));
	sha256_hex(buf_view(&bare), hex);
	(void)snprintf(sum, sizeof(sum), "sha256:%s", hex);
	(void)json_object_set_new(doc, "checksum", json_string(sum));
	buf_reset(out);
	ok(json_dump(doc, true, out, &err));
	buf_ch(out, '\n');
	buf_done(&bare);
}

/* Edited by somebody who also mends the checksum. */
static void
edit(const char *from, const char *to, struct buf *out)
{
	struct buf text = BUF_INIT(CKPT_MAX), all = BUF_INIT(CKPT_MAX);
	const char *at;
	json_t *doc;
	struct err err;

	sample_text(&text);
	at = strstr(buf_cstr(&text), from);
	if (!at)
		fail_msg("no %s", from);
	buf_add(&all, text.p, (size_t)(at - text.p));
	buf_str(&all, to);
	buf_str(&all, at + strlen(from));
	ok(json_parse(buf_view(&all), "edited", &doc, &err));
	mend(doc, out);
	json_decref(doc);
	buf_done(&text);
	buf_done(&all);
}

static void
test_edited(void **state)
{
	static const struct {
		const char *from, *to;
	} rows[] = {
	    {"\"generation\": 12", "\"generation\": -1"},
	    {"\"generation\": 12", "\"generation\": 0"},
	    {"\"generation\": 12", "\"generation\": 12.0"},
	    {"\"generation\": 12", "\"generation\": \"12\""},
	    {"\"generation\": 12", "\"generation\": null"},
	    {"\"generation\": 12", "\"generation\": 12, \"more\": 1"},
	    {"\"format\": \"muster-checkpoint\"", "\"format\": \"other\""},
	    {"\"version\": 3", "\"version\": 0"},
	    {"\"version\": 3", "\"version\": -5"},
	    {"\"nonce\": \"cc", "\"nonce\": \"CC"},
	    {"\"nonce\": \"cc", "\"nonce\": \"c"},
	    {"\"job\": \"ecs\"", "\"job\": \"ec2\""},
	    {"\"tenant\": \"acme\"", "\"tenant\": \"other\""},
	    {"\"tenant\": \"acme\"", "\"tenant\": \"acme\\u0000\""},
	    {"\"cursor\": \"2026-01-02T00:00:00Z\"", "\"cursor\": \"2026-01-02T00:00:01Z\""},
	    {"\"cursor\": \"2026-01-02T00:00:00Z\"", "\"cursor\": \"2026-01-02T00:00:00.000Z\""},
	    {"\"cursor\": \"2026-01-02T00:00:00Z\"", "\"cursor\": \"2026-01-02 00:00:00Z\""},
	    {"\"cursor\": \"2026-01-02T00:00:00Z\"", "\"cursor\": \"2026-01-02T01:00:00+01:00\""},
	    {"\"cursor\": \"2026-01-02T00:00:00Z\"", "\"cursor\": \"1969-01-02T00:00:00Z\""},
	    {"\"cursor\": \"2026-01-02T00:00:00Z\"", "\"cursor\": \"2026-01-03T00:00:00Z\""},
	    {"\"cursor\": \"2026-01-02T00:00:00Z\"", "\"cursor\": null"},
	    {"\"cursor\": \"2026-01-02T00:00:00Z\"", "\"cursor\": 1767312000000"},
	    {"\"end\": \"2026-01-02T00:15:00Z\"", "\"end\": \"2026-01-02T00:10:00Z\""},
	    {"\"end\": \"2026-01-02T00:15:00Z\"", "\"end\": \"2026-01-02T00:25:00Z\""},
	    {"\"beyond\": []", "\"beyond\": {}"},
	    {"\"beyond\": []", "\"beyond\": [1]"},
	    {"\"every_ms\": 300000", "\"every_ms\": 700000"},
	    {"\"every_ms\": 300000", "\"every_ms\": 3600000"},
	    {"\"acked\": 1", "\"acked\": -1"},
	    {"\"acked\": 1", "\"acked\": true"},
	    {"\"acked\": 1", "\"sent\": 1"},
	    {"\"acked\": 1", "\"acked\": 1, \"also\": 1"},
	    {"\"until\":", "\"till\":"},
	    {"\"since\": \"2026-01-02T00:00:00.001Z\"", "\"since\": \"1970-01-01T00:00:00Z\""},
	    {"\"reason\": \"max_catchup\"", "\"reason\": null"},
	    {"\"streams\": {", "\"streams\": {\"\": {},"},
	    {"\"streams\": {", "\"streams\": {\"x\": [],"},
	    {"\"history\": [", "\"history\": [1,"},
	    {"\"who\": \"ann@ops\"", "\"who\": null"},
	    {"\"who\": \"ann@ops\"", "\"whom\": \"ann@ops\""},
	    {"\"metrics_requested\": 6,", "\"metrics_requested\": 0,"},
	    {"\"monitoring GetMetricData 200\": 12", "\"monitoring GetMetricData 200\": 0"},
	    {"\"monitoring GetMetricData 200\": 12", "\"monitoring GetMetricData\": 12"},
	    {"\"monitoring GetMetricData 200\": 12", "\"monitoring GetMetricData 200 1\": 12"},
	    {"\"monitoring GetMetricData 200\": 12", "\"monitoring GetMetricData 200\": \"12\""},
	};
	struct buf text = BUF_INIT(CKPT_MAX);

	(void)state;
	edit("\"acme\"", "\"acme\"", &text); /* the editing itself does no harm */
	{
		struct ckpt *c;
		struct err err;

		ok(ckpt_parse(buf_view(&text), "acme", "ecs", &c, &err));
		ckpt_free(c);
	}
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		edit(rows[i].from, rows[i].to, &text);
		expect_damaged(text.p, text.n);
	}
	buf_done(&text);
}

/* As the first version wrote it: without a history, what was billed, and the calls. */
static void
test_version_1(void **state)
{
	struct buf text = BUF_INIT(CKPT_MAX);
	struct ckpt *c = NULL;
	json_t *doc, *stream;
	const char *region;
	struct err err;

	(void)state;
	sample_text(&text);
	ok(json_parse(buf_view(&text), "sample", &doc, &err));
	ok(json_object_del(doc, "history"));
	ok(json_object_set_new(doc, "version", json_integer(1)));
	json_object_foreach(json_object_get(doc, "streams"), region, stream)
	{
		(void)json_object_del(json_object_get(stream, "counters"), "metrics_requested");
		(void)json_object_del(json_object_get(stream, "counters"), "bytes_scanned");
		(void)json_object_del(stream, "calls");
	}
	mend(doc, &text);
	ok(ckpt_parse(buf_view(&text), "acme", "ecs", &c, &err));
	assert_int_equal(c->n_history, 0);
	assert_int_equal(ckpt_stream_find(c, "eu-west-1")->counters.failed_runs, 5);
	assert_int_equal(ckpt_stream_find(c, "eu-west-1")->counters.bytes_scanned, 0);
	assert_int_equal(ckpt_stream_find(c, "eu-west-1")->calls.n, 0);
	ckpt_free(c);
	/* What it never had is not missed, but what it had is. */
	ok(json_object_del(doc, "lease"));
	mend(doc, &text);
	expect_damaged(text.p, text.n);
	json_decref(doc);
	buf_done(&text);
}

static void
test_nonsense(void **state)
{
	static const char *const texts[] = {"",
					    " ",
					    "null",
					    "[]",
					    "{}",
					    "1",
					    "\"x\"",
					    "{\"a\":1}",
					    "\xef\xbb\xbf{}",
					    "{\"format\":\"muster-checkpoint\"}"};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		expect_damaged(texts[i], strlen(texts[i]));
}

/* In a store */

static int
setup(void **state)
{
	struct store *s;

	if (store_mem_new(&s, NULL) < 0)
		return -1;
	*state = s;
	return 0;
}

static int
teardown(void **state)
{
	store_free(*state);
	return 0;
}

static struct ckpt *
load(struct store *s)
{
	struct ckpt *c = NULL;
	struct err err;

	ok(ckpt_load(s, NULL, "acme", "ecs", &c, &err));
	return c;
}

static void
put_text(struct store *s, const char *key, struct sv text)
{
	const struct store_put opt = {.cond = STORE_ANY};
	struct err err;

	ok(store_put(s, key, text, &opt, NULL, &err));
}

static bool
get_text(struct store *s, const char *key, struct buf *out)
{
	struct err err;

	if (store_get(s, key, NULL, out, NULL, &err) == 0)
		return true;
	assert_int_equal(err.kind, ERR_NOTFOUND);
	return false;
}

static void
test_key(void **state)
{
	struct buf b = BUF_INIT(1000);

	(void)state;
	ckpt_key(&b, "", "acme", "ecs", "");
	assert_string_equal(buf_cstr(&b), KEY);
	buf_reset(&b);
	ckpt_key(&b, NULL, "acme", "ecs", ".prev");
	assert_string_equal(buf_cstr(&b), PREV);
	buf_reset(&b);
	ckpt_key(&b, "backfills/march/", "acme", "ecs", NULL);
	assert_string_equal(buf_cstr(&b), "backfills/march/tenants/acme/ecs.json");
	buf_done(&b);
}

/* That is no other run's doing: the tenant has failed, and is not skipped. */
static void
test_damaged_since_it_was_loaded(void **state)
{
	struct buf text = BUF_INIT(CKPT_MAX);
	struct ckpt *c = load(*state);
	struct err err;

	ok(ckpt_save(*state, "", c, &err));
	assert_true(get_text(*state, KEY, &text));
	text.p[text.n / 2] ^= 4;
	put_text(*state, KEY, buf_view(&text));
	expect_err(ckpt_keep_prev(*state, "", c, &err), ERR_DATA);
	ckpt_free(c);
	buf_done(&text);
}

/* Marks go, what is owed does not. */
static void
test_shed(void **state)
{
	struct ckpt *c = sample();
	struct ckpt_stream *s = &c->streams[0];

	(void)state;
	json_decref(s->memo);
	s->memo = NULL;
	json_decref(s->seen);
	s->seen = json_pack("{s:i, s:s, s:i, s:s, s:I, s:i, s:[{s:I, s:i, s:b, s:{s:i}, s:s}]}",
			    "version", 1, "definition", "def", "slots", 1, "series",
			    "AAAAAAAAAAE=", "newest_ms", (json_int_t)T0, "newest_series", 1,
			    "cells", "start_ms", (json_int_t)T0, "late", 2, "foreign", 0, "owed",
			    "prom", 1, "marks", "AAAB");
	assert_non_null(s->seen);
	assert_true(ckpt_shed(c));
	assert_non_null(s->seen);
	assert_string_equal(json_string_value(json_object_get(s->seen, "series")), "");
	assert_int_equal(
	    json_integer_value(json_object_get(
		json_object_get(json_array_get(json_object_get(s->seen, "cells"), 0), "owed"),
		"prom")),
	    1);
	for (size_t i = 0; i < c->n_streams; i++)
		while (c->streams[i].memo)
			assert_true(ckpt_shed(c));
	assert_false(ckpt_shed(c));
	assert_non_null(s->seen);
	ckpt_free(c);
}

/* What cannot be written once could never be: the tenant would stand still. */
static void
test_too_large(void **state)
{
	struct ckpt *c = sample(), *again = NULL;
	struct ckpt_stream *s = &c->streams[0];
	char *text = calloc(1, CKPT_MAX + 1);
	struct err err;

	assert_non_null(text);
	memset(text, 'x', CKPT_MAX);
	json_decref(s->memo);
	json_decref(s->seen);
	s->seen = json_pack("{s:s}", "small", "one");
	s->memo = json_pack("{s:s}", "large", text);
	assert_non_null(s->memo);
	free(text);
	ok(ckpt_save(*state, "", c, &err));
	assert_null(s->memo);
	ok(ckpt_load(*state, "", "acme", "ecs", &again, &err));
	assert_null(again->streams[0].memo);
	assert_true(json_equal(again->streams[0].seen, s->seen));
	ckpt_free(c);
	ckpt_free(again);
}

static void
test_save_load(void **state)
{
	struct buf text = BUF_INIT(CKPT_MAX), prev = BUF_INIT(CKPT_MAX);
	struct ckpt *c = load(*state), *d;
	char nonce[33];
	struct err err;

	assert_int_equal(c->generation, 0);
	assert_string_equal(c->etag, "");
	assert_false(c->recovered);
	ok(ckpt_keep_prev(*state, "", c, &err)); /* nothing to keep */
	assert_false(get_text(*state, PREV, &prev));
	ok(ckpt_save(*state, "", c, &err));
	assert_int_equal(c->generation, 1);
	assert_int_equal(strlen(c->nonce), 32);
	memcpy(nonce, c->nonce, sizeof(nonce));
	assert_true(get_text(*state, KEY, &text));
	d = load(*state);
	assert_string_equal(d->nonce, nonce);
	assert_string_equal(d->etag, c->etag);
	ok(ckpt_keep_prev(*state, "", d, &err));
	assert_true(get_text(*state, PREV, &prev));
	assert_true(sv_eq(buf_view(&text), buf_view(&prev)));
	assert_non_null(ckpt_stream_add(d, "eu-west-1", T0, EVERY, &err));
	ok(ckpt_save(*state, "", d, &err));
	ok(ckpt_save(*state, "", d, &err));
	assert_int_equal(d->generation, 3);
	assert_string_not_equal(d->nonce, nonce);
	ckpt_free(c);
	c = load(*state);
	assert_int_equal(c->n_streams, 1);
	assert_int_equal(c->generation, 3);
	assert_true(get_text(*state, PREV, &prev)); /* still that of the run's start */
	assert_true(sv_eq(buf_view(&text), buf_view(&prev)));
	ckpt_free(c);
	ckpt_free(d);
	buf_done(&text);
	buf_done(&prev);
}

static void
test_conflict(void **state)
{
	struct ckpt *one, *two, before;
	struct err err;

	/* Both new. */
	one = load(*state);
	two = load(*state);
	ok(ckpt_save(*state, "", one, &err));
	before = *two;
	expect_err(ckpt_save(*state, "", two, &err), ERR_CONFLICT);
	assert_memory_equal(two, &before, sizeof(before));
	ckpt_free(two);
	/* Both of the same generation. */
	two = load(*state);
	ok(ckpt_save(*state, "", one, &err));
	before = *two;
	expect_err(ckpt_save(*state, "", two, &err), ERR_CONFLICT);
	assert_memory_equal(two, &before, sizeof(before));
	ok(ckpt_save(*state, "", one, &err));
	ckpt_free(one);
	ckpt_free(two);
}

/* A stored pair: prev with generation 1, the document with 2. */
static void
store_two(struct store *s)
{
	struct ckpt *c = sample();
	struct err err;

	ok(ckpt_save(s, "", c, &err));
	ok(ckpt_keep_prev(s, "", c, &err));
	ok(ckpt_save(s, "", c, &err));
	ckpt_free(c);
}

static void
test_damaged_uses_prev(void **state)
{
	struct buf text = BUF_INIT(CKPT_MAX), got = BUF_INIT(CKPT_MAX);
	struct ckpt *c;
	struct err err;

	store_two(*state);
	assert_true(get_text(*state, KEY, &text));
	text.p[text.n / 2] ^= 4;
	put_text(*state, KEY, buf_view(&text));
	for (int i = 0; i < 2; i++) { /* a run that saves nothing changes nothing */
		c = load(*state);
		assert_true(c->recovered);
		assert_int_equal(c->generation, 1);
		assert_non_null(strstr(c->damage, "checkpoint"));
		assert_true(sv_starts(sv_of(c->aside), SV("tenants/acme/ecs.damaged-")));
		assert_true(get_text(*state, c->aside, &got));
		assert_true(sv_eq(buf_view(&text), buf_view(&got)));
		ok(ckpt_keep_prev(*state, "", c, &err)); /* must not keep the damaged one */
		if (i == 0)
			ckpt_free(c);
	}
	ok(ckpt_save(*state, "", c, &err));
	ckpt_free(c);
	c = load(*state);
	assert_false(c->recovered);
	assert_int_equal(c->generation, 2);
	ckpt_free(c);
	buf_done(&text);
	buf_done(&got);
}

static void
test_flips_use_prev(void **state)
{
	struct buf text = BUF_INIT(CKPT_MAX);

	store_two(*state);
	assert_true(get_text(*state, KEY, &text));
	for (size_t i = 0; i < text.n; i += 37) {
		struct ckpt *c;

		text.p[i] ^= 1;
		put_text(*state, KEY, buf_view(&text));
		text.p[i] ^= 1;
		c = load(*state);
		assert_true(c->recovered);
		assert_int_equal(c->generation, 1);
		ckpt_free(c);
		put_text(*state, KEY, (struct sv){text.p, i});
		c = load(*state);
		assert_true(c->recovered);
		ckpt_free(c);
	}
	buf_done(&text);
}

static void
test_missing_uses_prev(void **state)
{
	struct store *s = *state;
	struct ckpt *c;
	struct err err;

	store_two(s);
	ok(s->ops->del(s, KEY, &err));
	c = load(s);
	assert_true(c->recovered);
	assert_string_equal(c->aside, "");
	assert_int_equal(c->generation, 1);
	ok(ckpt_save(s, "", c, &err)); /* created */
	ckpt_free(c);
	c = load(s);
	assert_int_equal(c->generation, 2);
	ckpt_free(c);
}

/* Another length of cells: from the first boundary of both on, once everybody is there. */
static void
test_regrid(void **state)
{
	static const char *const sinks[] = {"amp", "lake"};
	struct ckpt *c = ckpt_new("acme", "ecs");
	struct ckpt_stream *s;
	struct err err;

	(void)state;
	assert_non_null(c);
	s = ckpt_stream_add(c, "eu-west-1", T0, EVERY, &err);
	assert_non_null(s);
	for (size_t i = 0; i < 2; i++)
		assert_non_null(ckpt_sink_add(s, sinks[i], T0, &err));
	assert_non_null(ckpt_sink_add(s, "old", T0, &err));
	s->seen = json_object();
	ok(ckpt_done(ckpt_sink_find(s, "lake"), (struct cell){T0, T0 + 2 * EVERY}, &err));
	assert_int_equal(ckpt_regrid(s, 3 * EVERY, sinks, 2, T0, &err), T0 + 3 * EVERY);
	ok(ckpt_done(ckpt_sink_find(s, "lake"), cell_at(2), &err));
	assert_int_equal(ckpt_regrid(s, 3 * EVERY, sinks, 2, T0, &err), T0 + 3 * EVERY);
	assert_int_equal(s->every_ms, EVERY);
	ok(ckpt_done(ckpt_sink_find(s, "amp"), (struct cell){T0, T0 + 3 * EVERY}, &err));
	assert_int_equal(ckpt_regrid(s, 3 * EVERY, sinks, 2, T0, &err), 0);
	assert_int_equal(s->every_ms, 3 * EVERY);
	assert_int_equal(s->first_ms, T0 + 3 * EVERY);
	assert_null(s->seen);
	/* Nobody uses this one any more; what it lacks is on record. */
	assert_int_equal(s->n_gaps, 1);
	assert_string_equal(s->gaps[0].sink, "old");
	assert_int_equal(s->gaps[0].end_ms, T0 + 3 * EVERY);
	ok(ckpt_check(c, &err));
	ckpt_free(c);
}

static int
count_damaged(const char *key, void *arg)
{
	*(int *)arg += strstr(key, ".damaged-") != NULL;
	return 0;
}

static int
damaged_kept(struct store *s)
{
	struct err err;
	int n = 0;

	ok(s->ops->list(s, "", count_damaged, &n, &err));
	return n;
}

/* Neither can be used: one that is empty and says why, and can be written over the damaged one. */
static void
load_lost(struct store *s, const char *tenant, const char *job, const char *damage)
{
	struct err err;
	struct ckpt *c;

	ok(ckpt_load(s, "", tenant, job, &c, &err));
	assert_true(c->recovered);
	assert_true(c->lost);
	assert_int_equal(c->n_streams, 0);
	assert_non_null(strstr(c->damage, damage));
	assert_non_null(strstr(c->aside, ".damaged-"));
	ok(ckpt_keep_prev(s, "", c, &err));
	ok(ckpt_save(s, "", c, &err));
	ckpt_free(c);
	ok(ckpt_load(s, "", tenant, job, &c, &err));
	assert_false(c->lost);
	assert_int_equal(c->generation, 1);
	ckpt_free(c);
}

static void
test_both_damaged(void **state)
{
	put_text(*state, KEY, SV("{\"half\":"));
	load_lost(*state, "acme", "ecs", "checkpoint");
	assert_int_equal(damaged_kept(*state), 1);
	put_text(*state, KEY, SV("{\"half\":"));
	put_text(*state, PREV, SV("x"));
	load_lost(*state, "acme", "ecs", "checkpoint");
	assert_int_equal(damaged_kept(*state), 2);
}

static void
test_missing_and_prev_damaged(void **state)
{
	put_text(*state, PREV, SV(""));
	load_lost(*state, "acme", "ecs", "empty");
	assert_int_equal(damaged_kept(*state), 1);
}

static void
test_other_tenants(void **state)
{
	struct buf text = BUF_INIT(CKPT_MAX);

	store_two(*state);
	assert_true(get_text(*state, KEY, &text));
	put_text(*state, "tenants/zoo/ecs.json", buf_view(&text));
	put_text(*state, "tenants/acme/logs.json", buf_view(&text));
	load_lost(*state, "zoo", "ecs", "acme");
	load_lost(*state, "acme", "logs", "ecs");
	buf_done(&text);
}

static int
count_key(const char *key, void *arg)
{
	(void)key;
	++*(int *)arg;
	return 0;
}

static void
test_newer_version(void **state)
{
	struct buf text = BUF_INIT(CKPT_MAX), got = BUF_INIT(CKPT_MAX);
	struct store *s = *state;
	struct ckpt *c = NULL;
	struct err err;
	int n = 0;

	store_two(s);
	edit("\"version\": 3", "\"version\": 4, \"what_it_has\": []", &text);
	put_text(s, KEY, buf_view(&text));
	expect_err(ckpt_load(s, "", "acme", "ecs", &c, &err), ERR_LOCAL);
	assert_non_null(strstr(err.msg, "version 4"));
	assert_true(get_text(s, KEY, &got));
	assert_true(sv_eq(buf_view(&text), buf_view(&got)));
	ok(s->ops->list(s, "", count_key, &n, &err));
	assert_int_equal(n, 2);
	buf_done(&text);
	buf_done(&got);
}

/* Whoever only looks leaves everything where it is. */
static void
test_peek(void **state)
{
	struct buf text = BUF_INIT(CKPT_MAX);
	struct store *s = *state;
	struct ckpt *c = NULL;
	struct err err;
	int n = 0;

	expect_err(ckpt_peek(s, "", "acme", "ecs", "", NULL, &c, &err), ERR_NOTFOUND);
	store_two(s);
	ok(ckpt_peek(s, "", "acme", "ecs", "", &text, &c, &err));
	assert_int_equal(text.p[0], '{');
	ckpt_free(c);
	put_text(s, KEY, SV("{}"));
	buf_reset(&text);
	expect_err(ckpt_peek(s, "", "acme", "ecs", "", &text, &c, &err), ERR_DATA);
	assert_string_equal(buf_cstr(&text), "{}");
	ok(ckpt_peek(s, "", "acme", "ecs", ".prev", NULL, &c, &err));
	ckpt_free(c);
	ok(s->ops->list(s, "", count_key, &n, &err));
	assert_int_equal(n, 2);
	buf_done(&text);
}

/* Lost answers */

/* A store that goes wrong at the nth put or get from now on, before or after the effect. */
struct flaky {
	struct store base;
	struct store *real;
	int put_in, get_in; /* 1: the next one; 0: none */
	int puts_fail;	    /* so many in a row */
	bool effect;
	enum err_kind kind;
	struct ckpt *(*meanwhile)(
	    struct store *real); /* what another run does right after the effect */
};

static bool
strikes(int *in)
{
	return *in > 0 && --*in == 0;
}

static int
flaky_get(struct store *s, const char *key, const char *const *want, struct buf *out,
	  struct store_info *info, struct err *err)
{
	struct flaky *f = (struct flaky *)s;

	if (strikes(&f->get_in))
		return err_set(err, ERR_TRANSIENT, "no answer");
	return store_get(f->real, key, want, out, info, err);
}

static int
flaky_put(struct store *s, const char *key, struct sv body, const struct store_put *opt,
	  char etag[STORE_ETAG_MAX], struct err *err)
{
	struct flaky *f = (struct flaky *)s;

	if (!strikes(&f->put_in))
		return store_put(f->real, key, body, opt, etag, err);
	if (--f->puts_fail > 0)
		f->put_in = 1;
	if (f->effect && store_put(f->real, key, body, opt, NULL, err) < 0)
		return -1;
	if (f->meanwhile)
		ckpt_free(f->meanwhile(f->real));
	return err_set(err, f->kind, "no answer");
}

static const struct store_ops flaky_ops = {.name = "flaky", .get = flaky_get, .put = flaky_put};

static struct flaky
flaky_on(struct store *real, enum err_kind kind, bool effect)
{
	return (struct flaky){
	    .base.ops = &flaky_ops, .real = real, .put_in = 1, .effect = effect, .kind = kind};
}

static struct ckpt *
save_as_other(struct store *real)
{
	struct ckpt *c = load(real);
	struct err err;

	ok(ckpt_save(real, "", c, &err));
	return c;
}

/* Written, but the answer was lost, or a repetition below us found our own write: it counts. */
static void
test_lost_reply(void **state)
{
	static const enum err_kind kinds[] = {ERR_TRANSIENT, ERR_CONFLICT, ERR_LOCAL};
	struct ckpt *c = load(*state), *d;
	struct err err;

	for (int i = 0; i < 6; i++) { /* creating, then replacing */
		struct flaky f = flaky_on(*state, kinds[i % 3], true);

		ok(ckpt_save(&f.base, "", c, &err));
		assert_int_equal(c->generation, i + 1);
		d = load(*state);
		assert_string_equal(c->nonce, d->nonce);
		assert_string_equal(c->etag, d->etag);
		ckpt_free(d);
	}
	ckpt_free(c);
}

/* Not written: said so, and repeating works. */
static void
test_lost_request(void **state)
{
	struct ckpt *c = load(*state);
	struct err err;

	for (int i = 0; i < 2; i++) {
		struct flaky f = flaky_on(*state, ERR_TRANSIENT, false);

		expect_err(ckpt_save(&f.base, "", c, &err), ERR_TRANSIENT);
		assert_int_equal(c->generation, i);
		ok(ckpt_save(&f.base, "", c, &err));
	}
	ckpt_free(c);
}

/* Two writers met and neither was taken: tried once more. */
static void
test_refused_for_nothing(void **state)
{
	struct ckpt *c = load(*state);
	struct err err;

	for (int i = 0; i < 2; i++) {
		struct flaky f = flaky_on(*state, ERR_CONFLICT, false);

		ok(ckpt_save(&f.base, "", c, &err));
		assert_int_equal(c->generation, i + 1);
		f.put_in = 1;
		f.puts_fail = 2;
		expect_err(ckpt_save(&f.base, "", c, &err), ERR_TRANSIENT);
		assert_int_equal(c->generation, i + 1);
	}
	ckpt_free(c);
}

/* One arrived; the next is refused for that, and nobody can look what is there. */
static void
test_unknown_more_than_once(void **state)
{
	struct ckpt *c = load(*state);
	struct err err;
	struct flaky f;

	ok(ckpt_save(*state, "", c, &err));
	f = flaky_on(*state, ERR_TRANSIENT, true);
	f.get_in = 1;
	expect_err(ckpt_save(&f.base, "", c, &err), ERR_TRANSIENT);
	for (int i = 0; i < CKPT_TRIED - 1; i++) {
		f = flaky_on(*state, ERR_CONFLICT, false);
		f.get_in = 1;
		expect_err(ckpt_save(&f.base, "", c, &err), ERR_TRANSIENT);
	}
	ok(ckpt_save(*state, "", c, &err));
	ckpt_free(c);
}

/* Written or not, the answer and the question after it are lost too. */
static void
test_unknown(void **state)
{
	struct ckpt *c = load(*state), *d;
	struct err err;

	for (int written = 0; written < 2; written++)
		for (int i = 0; i < 2; i++) {
			struct flaky f = flaky_on(*state, ERR_TRANSIENT, written);
			uint64_t before = c->generation;

			f.get_in = 1;
			expect_err(ckpt_save(&f.base, "", c, &err), ERR_TRANSIENT);
			assert_int_equal(c->generation, before);
			/* The next save finds its own earlier one in the way, and goes on from it.
			 */
			ok(ckpt_save(&f.base, "", c, &err));
			d = load(*state);
			assert_string_equal(c->nonce, d->nonce);
			assert_string_equal(c->etag, d->etag);
			ckpt_free(d);
		}
	ckpt_free(c);
}

/* Our lost write was overtaken at once, or came too late: another run's is not taken for ours. */
static void
test_overtaken(void **state)
{
	struct ckpt *c = load(*state), *d;
	struct err err;

	for (int effect = 0; effect < 2; effect++) {
		struct flaky f = flaky_on(*state, ERR_TRANSIENT, effect);

		f.meanwhile = save_as_other;
		expect_err(ckpt_save(&f.base, "", c, &err), ERR_CONFLICT);
		expect_err(ckpt_save(*state, "", c, &err), ERR_CONFLICT);
		d = load(*state);
		assert_string_not_equal(c->nonce, d->nonce);
		ckpt_free(c);
		c = d;
	}
	ckpt_free(c);
}

/* Unknown, then another run moved it: the earlier nonce does not open the door. */
static void
test_unknown_then_overtaken(void **state)
{
	struct ckpt *c = load(*state);
	struct flaky f = flaky_on(*state, ERR_TRANSIENT, true);
	struct err err;

	f.get_in = 1;
	expect_err(ckpt_save(&f.base, "", c, &err), ERR_TRANSIENT);
	ckpt_free(save_as_other(*state));
	expect_err(ckpt_save(*state, "", c, &err), ERR_CONFLICT);
	ckpt_free(c);
}

/* Other errors come back as they are. */
static void
test_plain_errors(void **state)
{
	struct ckpt *c = load(*state), *d = NULL;
	struct flaky f = flaky_on(*state, ERR_LOCAL, false);
	struct err err;

	expect_err(ckpt_save(&f.base, "", c, &err), ERR_LOCAL);
	f = flaky_on(*state, ERR_AUTH, false);
	expect_err(ckpt_save(&f.base, "", c, &err), ERR_AUTH);
	f = flaky_on(*state, ERR_NONE, false);
	f.get_in = 1;
	expect_err(ckpt_load(&f.base, "", "acme", "ecs", &d, &err), ERR_TRANSIENT);
	assert_null(d);
	ckpt_free(c);
}

/* A read that went wrong once is no damage: it is looked at twice. */
struct liar {
	struct store base;
	struct store *real;
	int lies;
};

static int
liar_get(struct store *s, const char *key, const char *const *want, struct buf *out,
	 struct store_info *info, struct err *err)
{
	struct liar *l = (struct liar *)s;

	if (store_get(l->real, key, want, out, info, err) < 0)
		return -1;
	if (l->lies-- > 0)
		out->p[out->n / 3] ^= 1;
	return 0;
}

static void
test_bad_read(void **state)
{
	static const struct store_ops ops = {.name = "liar", .get = liar_get};
	struct liar l = {.base.ops = &ops, .real = *state, .lies = 1};
	struct ckpt *c = NULL;
	struct err err;

	store_two(*state);
	ok(ckpt_load(&l.base, "", "acme", "ecs", &c, &err));
	assert_false(c->recovered);
	assert_int_equal(c->generation, 2);
	ckpt_free(c);
}

/* Memory that runs out once, at every place: never taken for damage. */
static int allocations, fail_at;

static void *
failing_malloc(size_t n)
{
	return ++allocations == fail_at ? NULL : malloc(n);
}

static void
test_no_memory(void **state)
{
	struct buf text = BUF_INIT(CKPT_MAX);
	int done = 0;

	store_two(*state);
	json_set_alloc_funcs(failing_malloc, free);
	for (fail_at = 1; !done; fail_at++) {
		struct ckpt *c = NULL;
		struct err err;

		allocations = 0;
		if (ckpt_load(*state, "", "acme", "ecs", &c, &err) < 0) {
			assert_int_equal(err.kind, ERR_LOCAL);
			continue;
		}
		assert_false(c->recovered);
		assert_int_equal(c->generation, 2);
		done = allocations < fail_at;
		allocations = 0;
		buf_reset(&text);
		if (ckpt_dump(c, &text, &err) < 0)
			assert_int_equal(err.kind, ERR_LOCAL);
		else
			done = done && allocations < fail_at;
		ckpt_free(c);
	}
	json_set_alloc_funcs(malloc, free);
	assert_true(fail_at > 100);
	buf_done(&text);
}

int
main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_done_any_order),
	    cmocka_unit_test(test_done_like_a_set),
	    cmocka_unit_test(test_done_bad_cells),
	    cmocka_unit_test(test_streams),
	    cmocka_unit_test(test_sinks),
	    cmocka_unit_test(test_gaps),
	    cmocka_unit_test(test_rewind),
	    cmocka_unit_test(test_rewind_inside_a_gap),
	    cmocka_unit_test(test_skip),
	    cmocka_unit_test(test_history_is_bounded),
	    cmocka_unit_test(test_text),
	    cmocka_unit_test(test_round_trip),
	    cmocka_unit_test(test_strange_words),
	    cmocka_unit_test(test_dump_refuses),
	    cmocka_unit_test(test_every_flip),
	    cmocka_unit_test(test_every_cut),
	    cmocka_unit_test(test_edited),
	    cmocka_unit_test(test_version_1),
	    cmocka_unit_test(test_nonsense),
	    cmocka_unit_test(test_key),
	    T(test_damaged_since_it_was_loaded),
	    T(test_shed),
	    T(test_too_large),
	    T(test_save_load),
	    T(test_conflict),
	    T(test_damaged_uses_prev),
	    T(test_flips_use_prev),
	    T(test_missing_uses_prev),
	    T(test_regrid),
	    T(test_both_damaged),
	    T(test_missing_and_prev_damaged),
	    T(test_other_tenants),
	    T(test_newer_version),
	    T(test_peek),
	    T(test_lost_reply),
	    T(test_lost_request),
	    T(test_refused_for_nothing),
	    T(test_unknown_more_than_once),
	    T(test_unknown),
	    T(test_overtaken),
	    T(test_unknown_then_overtaken),
	    T(test_plain_errors),
	    T(test_bad_read),
	    T(test_no_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
