/*
 * Pulling Insights results: what is asked for, that every event comes once whatever the cap and
 * whatever goes wrong, and that nothing is paid for twice.
 */
#include "insights_rig.h"
#include "jobs/insights_pull.h"
#include "tests/support/effort.h"

#define ROWS                                                                                       \
	"log_groups: /app/*\n"                                                                     \
	"query: 'fields @timestamp, @logStream, @message'\n"

/* What came */

static bool
in_gap(const struct rig *r, int64_t ms)
{
	const struct job_gap *gaps = NULL;
	size_t n = job_insights.gaps(r->p, &gaps);

	for (size_t i = 0; i < n; i++)
		if (ms >= gaps[i].from_ms && ms < gaps[i].to_ms)
			return true;
	return false;
}

static void
expect_cell(const struct rig *r, size_t cell, int *seen)
{
	char before[TIME_TEXT_MAX] = "";
	const char *p = rig_lines(r, cell);

	for (; (p = strstr(p, "{\"ts\":\"")); p++) {
		const char *ptr = strstr(p, "\"ptr\":\"p");

		assert_true(strncmp(before, p + 7, 24) <= 0);
		memcpy(before, p + 7, 24);
		assert_non_null(ptr);
		seen[strtol(ptr + 8, NULL, 10)]++;
	}
}

/* Every event of the cells once, or in a gap. */
static void
expect_all(const struct rig *r)
{
	int *seen = calloc(MAX_EVENTS + 1, sizeof(*seen));

	assert_non_null(seen);
	for (size_t i = 0; i < r->n_cells; i++)
		expect_cell(r, i, seen);
	for (size_t i = 0; i < r->o->n_events; i++) {
		const struct event *e = &r->o->events[i];
		bool inside = e->ms >= START && e->ms < START + (int64_t)r->n_cells * CELL_MS;

		if (inside && seen[e->id] == 0 && in_gap(r, e->ms))
			continue;
		if (seen[e->id] != inside)
			fail_msg("event %d at %lld came %d times", e->id, (long long)e->ms,
				 seen[e->id]);
	}
	free(seen);
}

static void
fill(struct rig *r, int64_t from_ms, int64_t within_ms, int n, int groups, int streams)
{
	for (int i = 0; i < n; i++)
		oracle_add(r, from_ms + (int64_t)(draw(r->o) % (uint64_t)within_ms),
			   (int)(draw(r->o) % (uint64_t)groups),
			   (int)(draw(r->o) % (uint64_t)streams));
}

/* Nothing that came to something was asked for twice. */
static void
expect_distinct_queries(const struct rig *r)
{
	for (size_t i = 0; i < r->o->n_queries; i++)
		for (size_t j = 0; j < i; j++)
			assert_string_not_equal(r->o->q[i].text, r->o->q[j].text);
}

/* Plain */

static void
test_one_cell(void **state)
{
	struct rig r;
	char *mark;

	(void)state;
	rig_init(&r, ROWS);
	oracle_add(&r, START - 1, 0, 0);
	oracle_add(&r, START, 0, 3);
	oracle_add(&r, START + CELL_MS - 1, 1, 0);
	oracle_add(&r, START + CELL_MS, 0, 0);
	rig_open(&r, 1);
	rig_complete(&r, 1);
	assert_string_equal(
	    rig_lines(&r, 0),
	    "{\"ts\":\"2026-01-01T00:00:00.000Z\",\"tenant\":\"acme\",\"account_id\":"
	    "\"111122223333\",\"region\":\"eu-west-1\",\"job\":\"app\",\"log_group\":\"/app/g000\","
	    "\"log_stream\":\"s3\",\"message\":\"l\xC3\xB6g \\n \\\"2\\\"\",\"ptr\":\"p2\","
	    "\"fields\":{}}\n"
	    "{\"ts\":\"2026-01-01T00:04:59.999Z\",\"tenant\":\"acme\",\"account_id\":"
	    "\"111122223333\",\"region\":\"eu-west-1\",\"job\":\"app\",\"log_group\":\"/app/g001\","
	    "\"log_stream\":\"s0\",\"message\":\"l\xC3\xB6g \\n \\\"3\\\"\",\"ptr\":\"p3\","
	    "\"fields\":{}}\n");
	assert_int_equal(r.data[0].n_lines, 2);
	assert_int_equal(r.data[0].n_rows, 0);
	mark = strstr(r.o->last_start, "\\n# muster ");
	assert_non_null(mark);
	assert_int_equal(strspn(mark + 11, "0123456789"), 13);
	(void)memcpy(mark + 11, "1234567890123", 13);
	assert_string_equal(
	    r.o->last_start,
	    "{\"startTime\":1767225600,\"endTime\":1767225900,\"logGroupNames\":[\"/app/g000\","
	    "\"/app/g001\"],\"queryString\":\"filter toMillis(@timestamp) >= 1767225600000 and "
	    "toMillis(@timestamp) < 1767225900000 | fields @log, @timestamp, @logStream, "
	    "@message\\n| sort @timestamp asc\\n# muster 1234567890123\",\"limit\":100000}");
	assert_int_equal(r.o->started, 1);
	rig_done(&r);
}

static void
test_adopted_lines_are_counted(void **state)
{
	struct cell_data d;
	struct rig r;

	(void)state;
	rig_init(&r, ROWS);
	cell_data_init(&d, (struct cell){START, START + CELL_MS});
	assert_int_equal(job_insights.adopt(&r.s, &d, &r.err), 0);
	assert_int_equal(d.n_lines, 0);
	buf_str(&d.ndjson, "{}\n{}\n");
	assert_int_equal(job_insights.adopt(&r.s, &d, &r.err), 0);
	assert_int_equal(d.n_lines, 2);
	buf_str(&d.ndjson, "{");
	assert_int_equal(job_insights.adopt(&r.s, &d, &r.err), -1);
	cell_data_done(&d);
	rig_done(&r);
}

static void
test_cells_run_at_once(void **state)
{
	struct rig r;

	(void)state;
	rig_init(&r, ROWS "concurrency: 3\n");
	for (int i = 0; i < 300; i++)
		oracle_add(&r, START + i * 5000, i % 2, i % 3);
	rig_open(&r, 5);
	rig_complete(&r, 5);
	expect_all(&r);
	assert_int_equal(r.o->started, 5);
	assert_int_equal(r.o->list_calls, 1);
	/* With what it knows now it takes several, without listing again. */
	assert_int_equal(job_insights.span_max(&r.s, r.memo), 9);
	rig_open(&r, 5);
	rig_complete(&r, 5);
	assert_int_equal(r.o->list_calls, 1);
	/* As dense as a number can say: one at a time. */
	json_object_set_new(r.memo, "rows", json_integer(INT64_MAX));
	assert_int_equal(job_insights.span_max(&r.s, r.memo), 1);
	rig_done(&r);
}

static void
test_an_account_s_share_of_queries_is_kept(void **state)
{
	struct rig r;

	(void)state;
	rig_init(&r, ROWS "concurrency: 4\n");
	r.s.queries = 2;
	for (int i = 0; i < 100; i++)
		oracle_add(&r, START + i * 15000, i % 2, i % 3);
	rig_open(&r, 5);
	rig_complete(&r, 5);
	expect_all(&r);
	assert_int_equal(r.o->most_running, 2);
	rig_done(&r);
}

/* Lost answers */

static void
some_events(struct rig *r)
{
	for (int i = 0; i < 100; i++)
		oracle_add(r, START + i * 15000, i % 2, i % 3);
}

static void
test_a_query_whose_answer_was_lost_is_not_paid_twice(void **state)
{
	size_t lost = 0;
	struct rig r;

	(void)state;
	for (uint64_t seed = 1; seed <= 20; seed++) {
		rig_init(&r, ROWS "limit: 50\nconcurrency: 3\n");
		r.o->draws = seed * 1000;
		r.o->lose = 300;
		some_events(&r);
		fill(&r, START + 100000, 1000, 120, 2, 9);
		rig_open(&r, 5);
		rig_complete(&r, 5);
		expect_all(&r);
		lost += r.o->lost;
		assert_true(r.o->looks <= r.o->lost);
		expect_distinct_queries(&r);
		rig_done(&r);
	}
	assert_true(lost > 20);
}

static void
test_without_permission_to_look_it_starts_again(void **state)
{
	struct rig r;

	(void)state;
	rig_init(&r, ROWS);
	r.o->lose = 400;
	r.o->draws = 7;
	r.o->denies_lists = true;
	some_events(&r);
	rig_open(&r, 5);
	rig_complete(&r, 5);
	expect_all(&r);
	assert_int_equal(r.o->started, 5 + r.o->lost);
	rig_done(&r);
}

/* The run that started them died before it wrote down their ids. */
static void
test_what_a_dead_run_started_is_collected(void **state)
{
	struct rig r;

	(void)state;
	rig_init(&r, ROWS "concurrency: 3\n");
	some_events(&r);
	rig_open(&r, 5);
	assert_int_equal(rig_run(&r, 4), 1); /* the list of groups, and three queries */
	assert_int_equal(r.o->started, 3);
	json_decref(r.memo);
	r.memo = NULL;
	r.s.begun_before_ms = START + 5 * CELL_MS;
	rig_open(&r, 5);
	rig_complete(&r, 5);
	expect_all(&r);
	assert_int_equal(r.o->started, 5);
	assert_int_equal(r.o->looks, 1);
	/* Cells that nobody has begun are not looked for. */
	rig_close(&r);
	assert_int_equal(rig_try_open(&r, START + 5 * CELL_MS, 1), 0);
	rig_complete(&r, 1);
	assert_int_equal(r.o->looks, 1);
	rig_done(&r);
}

/* Nor is one adopted that failed, nor one of other groups. */
static void
test_only_the_same_query_is_collected(void **state)
{
	struct rig r;

	(void)state;
	rig_init(&r, ROWS);
	some_events(&r);
	rig_open(&r, 1);
	rig_complete(&r, 1);
	r.o->q[0].end = "Failed";
	json_decref(r.memo);
	r.memo = NULL;
	r.s.begun_before_ms = START + CELL_MS;
	rig_open(&r, 1);
	rig_complete(&r, 1);
	assert_int_equal(r.o->started, 2);
	r.o->n_groups = 3;
	json_decref(r.memo);
	r.memo = NULL;
	rig_open(&r, 1);
	rig_complete(&r, 1);
	assert_int_equal(r.o->started, 3);
	assert_int_equal(r.o->looks, 2);
	rig_done(&r);
}

/* After losses in a row the pull fails, and the next one looks before it starts anything. */
static void
test_a_service_that_never_answers(void **state)
{
	struct rig r;

	(void)state;
	rig_init(&r, ROWS);
	some_events(&r);
	rig_open(&r, 1);
	r.o->lose = 1000;
	r.o->denies_lists = true;
	assert_int_equal(rig_run(&r, 1000), -1);
	assert_int_equal(r.err.kind, ERR_TRANSIENT);
	assert_int_equal(r.o->started, 4);
	rig_keep(&r);
	r.o->lose = 0;
	r.o->denies_lists = false;
	rig_open(&r, 1);
	rig_complete(&r, 1);
	assert_int_equal(r.o->started, 4);
	assert_int_equal(r.o->looks, 1);
	rig_done(&r);
}

static void
test_the_budget_counts_what_other_regions_scan(void **state)
{
	const struct job_gap *gaps;
	struct rig r;

	(void)state;
	rig_init(&r, ROWS "scan_budget: 5000\nconcurrency: 1\n");
	some_events(&r); /* 20 in each cell, at 100 bytes */
	rig_open(&r, 5);
	job_insights.scanned_elsewhere(r.p, 1500);
	rig_complete(&r, 5);
	assert_int_equal(r.o->started, 2);
	assert_int_equal(job_insights.gaps(r.p, &gaps), 1);
	assert_int_equal(gaps[0].from_ms, START + 2 * CELL_MS);
	assert_int_equal(gaps[0].to_ms, START + 5 * CELL_MS);
	assert_int_equal(job_insights.scanned(r.memo, NOW), 4000);
	assert_int_equal(job_insights.scanned(r.memo, NOW + 86400000), 0);
	assert_int_equal(job_insights.scanned(json_null(), NOW), 0);
	rig_done(&r);
}

/* Dense */

static void
test_dense(void **state)
{
	const struct job_gap *gaps;
	struct rig r;

	(void)state;
	for (uint64_t seed = 1; seed <= 12; seed++) {
		rig_init(&r, ROWS "limit: 50\n");
		r.o->draws = seed * 1000;
		r.o->page = seed % 2 ? 0 : 7;
		r.o->no_matched = seed % 3 == 0;
		fill(&r, START, CELL_MS, 500, 2, 9);
		fill(&r, START + 100000, 1000, 300, 2, 9);
		fill(&r, START + 200000, 1, 180, 2, 9);
		rig_open(&r, 1);
		rig_complete(&r, 1);
		assert_int_equal(job_insights.gaps(r.p, &gaps), 0);
		expect_all(&r);
		rig_done(&r);
	}
}

static void
test_what_groups_keep_no_longer_is_a_gap(void **state)
{
	const int64_t kept_from = NOW - INT64_C(86400000);
	const struct job_gap *gaps;
	struct rig r;

	(void)state;
	rig_init(&r, ROWS);
	r.o->retention_days = 1;
	oracle_add(&r, kept_from + 1000, 0, 0);
	assert_int_equal(rig_try_open(&r, kept_from - 2 * CELL_MS, 3), 0);
	rig_complete(&r, 3);
	assert_int_equal(r.o->started, 1);
	assert_int_equal(r.data[2].n_lines, 1);
	assert_int_equal(job_insights.gaps(r.p, &gaps), 1);
	assert_int_equal(gaps[0].from_ms, kept_from - 2 * CELL_MS);
	assert_int_equal(gaps[0].to_ms, kept_from);
	assert_string_equal(gaps[0].reason, "older than a log group's retention");
	rig_done(&r);
}

static void
test_one_stream_too_dense_is_a_gap(void **state)
{
	const struct job_gap *gaps;
	struct rig r;

	(void)state;
	rig_init(&r, ROWS "limit: 50\n");
	fill(&r, START, CELL_MS, 100, 2, 9);
	for (int i = 0; i < 80; i++)
		oracle_add(&r, START + 7000, 0, 4);
	fill(&r, START + 7000, 1, 120, 1, 4);
	rig_open(&r, 1);
	rig_complete(&r, 1);
	expect_all(&r);
	assert_int_equal(job_insights.gaps(r.p, &gaps), 1);
	assert_int_equal(gaps[0].from_ms, START + 7000);
	assert_int_equal(gaps[0].to_ms, START + 7001);
	assert_string_equal(gaps[0].reason,
			    "log stream s4 of /app/g000 has more events in this millisecond than "
			    "one query can bring: 50 of 80");
	/* What could be had is there. */
	assert_int_equal(r.data[0].n_lines, 100 + 50 + 120);
	rig_done(&r);
}

/* The next cell is asked for in parts from the beginning. */
static void
test_parts_by_the_density_before(void **state)
{
	size_t first;
	struct rig r;

	(void)state;
	rig_init(&r, ROWS "limit: 50\n");
	fill(&r, START, 2 * CELL_MS, 800, 2, 9);
	rig_open(&r, 1);
	rig_complete(&r, 1);
	first = r.o->started;
	if (rig_try_open(&r, START + CELL_MS, 1))
		fail_msg("%s", r.err.msg);
	assert_int_equal(rig_run(&r, 1), 1);
	assert_non_null(strstr(r.o->last_query, "< 1767225918"));
	rig_complete(&r, 1);
	assert_true(r.o->started - first < 2 * 400 / 25);
	rig_done(&r);
}

/* Without an order of time in the rows, halves do it. */
static void
test_where_rows_are_more_than_an_answer_may_be(void **state)
{
	struct rig r;
	int more;

	(void)state;
	rig_init(&r, ROWS "limit: 5000\n");
	fill(&r, START, CELL_MS, 400, 2, 9);
	rig_open(&r, 1);
	do {
		aws_call_reset(&r.call);
		more = job_insights.next(r.p, &r.call, &r.err);
		if (more <= 0)
			break;
		(void)oracle_answer(&r);
		if (r.resp.body.n > 20000) {
			buf_reset(&r.resp.body);
			(void)err_set(&r.err, ERR_DATA, "the answer is larger than 20000 bytes");
			r.err.http_status = 200;
		}
		if (job_insights.reply(r.p, &r.resp, &r.err))
			fail_msg("%s", r.err.msg);
	} while (more > 0);
	assert_int_equal(more, 0);
	rig_harvest(&r, 1);
	expect_all(&r);
	rig_done(&r);
}

static void
test_no_pages_there(void **state)
{
	struct rig r;

	(void)state;
	rig_init(&r, ROWS);
	r.o->most = 10000;
	fill(&r, START, CELL_MS, 100, 2, 3);
	rig_open(&r, 1);
	rig_complete(&r, 1);
	expect_all(&r);
	assert_int_equal(r.o->refused, 1);
	assert_non_null(strstr(r.o->last_start, "\"limit\":10000}"));
	/* That is remembered. */
	rig_open(&r, 1);
	json_object_del(r.memo, "asks");
	rig_open(&r, 1);
	rig_complete(&r, 1);
	assert_int_equal(r.o->refused, 1);
	rig_done(&r);
}

/* Whatever goes wrong */

static void
random_events(struct rig *r)
{
	int bursts = (int)(draw(r->o) % 4);

	fill(r, START - CELL_MS, 5 * CELL_MS, 300, r->o->n_groups, 6);
	for (int i = 0; i < bursts; i++)
		fill(r, START + (int64_t)(draw(r->o) % (3 * CELL_MS)),
		     (int64_t)(1 + draw(r->o) % 50 * (draw(r->o) % 2)), (int)(draw(r->o) % 200),
		     r->o->n_groups, 6);
}

static void
test_random_worlds(void **state)
{
	struct rig r;

	(void)state;
	for (uint64_t seed = 1; seed <= effort(120); seed++) {
		rig_init(&r, ROWS "limit: 40\n");
		r.o->draws = seed * 7919;
		r.o->n_groups = 1 + (int)(draw(r.o) % 5);
		r.o->page = draw(r.o) % 2 ? 0 : 1 + draw(r.o) % 20;
		r.o->slots = (int)(draw(r.o) % 3);
		r.o->fail = (int)(draw(r.o) % 2 * 60);
		r.o->short_rows = (int)(draw(r.o) % 2 * 60);
		r.o->forget = (int)(draw(r.o) % 2 * 40);
		random_events(&r);
		/* What has failed too often is left to the next run, and goes on there. */
		for (int run = 0; run < 10; run++) {
			rig_open(&r, 3);
			if (!rig_run(&r, 100000))
				break;
			rig_keep(&r);
		}
		rig_complete(&r, 3);
		expect_all(&r);
		rig_done(&r);
	}
}

/* Killed after any number of calls, again and again, also before the ids of started queries were
 * written down: no query is paid for twice. */
static void
test_kills(void **state)
{
	size_t golden, kills;
	struct rig r;

	(void)state;
	for (uint64_t seed = 1; seed <= effort(60); seed++) {
		rig_init(&r, ROWS "limit: 40\n");
		r.o->draws = seed * 104729;
		random_events(&r);
		rig_open(&r, 3);
		rig_complete(&r, 3);
		golden = r.o->started;
		json_decref(r.memo);
		r.memo = NULL;
		r.o->started = kills = 0;
		oracle_forget(r.o);
		do {
			rig_open(&r, 3);
			kills++;
			r.s.begun_before_ms = START + 3 * CELL_MS; /* for the next one */
		} while (rig_run(&r, 1 + draw(r.o) % (kills + 20)) > 0);
		rig_complete(&r, 3);
		expect_all(&r);
		if (r.o->started > golden)
			fail_msg("seed %d: %zu queries for %zu, %zu kills", (int)seed, r.o->started,
				 golden, kills);
		rig_done(&r);
	}
}

static void
test_a_query_that_always_fails(void **state)
{
	struct rig r;

	(void)state;
	rig_init(&r, ROWS);
	r.o->fail = 1000;
	fill(&r, START, CELL_MS, 10, 1, 1);
	rig_open(&r, 1);
	assert_int_equal(rig_run(&r, 10000), -1);
	assert_int_equal(r.err.kind, ERR_REJECTED);
	assert_non_null(strstr(r.err.msg, "a query came to nothing 5 times"));
	rig_done(&r);
}

static void
test_no_slot_waits(void **state)
{
	char words[256];
	struct rig r;

	(void)state;
	rig_init(&r, ROWS);
	r.o->slots = 1;
	r.o->n_queries = 1; /* somebody else's */
	r.o->q[0].polls = 1000;
	fill(&r, START, CELL_MS, 10, 1, 1);
	rig_open(&r, 1);
	assert_int_equal(rig_run(&r, 3), 1);
	job_insights.missing(r.p, words, sizeof(words));
	assert_string_equal(words, "0 queries run, 1 waiting for a free slot (LimitExceeded)");
	rig_complete(&r, 1);
	expect_all(&r);
	assert_true(r.waited_ms >= 2000);
	rig_done(&r);
}

/* Leaving */

static void
test_leaving_stops_what_runs(void **state)
{
	size_t started;
	struct rig r;

	(void)state;
	rig_init(&r, ROWS);
	fill(&r, START, 3 * CELL_MS, 30, 1, 1);
	rig_open(&r, 3);
	assert_int_equal(rig_run(&r, 4), 1);
	started = r.o->started;
	assert_int_equal(started, 3);
	for (aws_call_reset(&r.call); job_insights.leave(r.p, &r.call); aws_call_reset(&r.call))
		(void)oracle_answer(&r);
	assert_int_equal(r.o->stopped, 3);
	rig_keep(&r);
	/* The next one finds them cancelled and asks anew. */
	rig_open(&r, 3);
	rig_complete(&r, 3);
	expect_all(&r);
	assert_int_equal(r.o->started, 6);
	rig_done(&r);
}

/* The bill is written once, though results are read twice. */
static void
test_bill(void **state)
{
	uint64_t metrics, bytes;
	struct rig r;

	(void)state;
	rig_init(&r, ROWS);
	fill(&r, START, CELL_MS, 10, 1, 1);
	rig_open(&r, 1);
	rig_complete(&r, 1);
	job_insights.billed(r.p, &metrics, &bytes);
	assert_int_equal(bytes, 1000);
	rig_open(&r, 1);
	rig_complete(&r, 1);
	expect_all(&r);
	job_insights.billed(r.p, &metrics, &bytes);
	assert_int_equal(bytes, 0);
	assert_int_equal(r.o->started, 1);
	rig_done(&r);
}

static void
test_scan_budget(void **state)
{
	const struct job_gap *gaps;
	struct rig r;

	(void)state;
	rig_init(&r, ROWS "scan_budget: 1500/d\nconcurrency: 1\n");
	for (int i = 0; i < 30; i++)
		oracle_add(&r, START + i * 30000, 0, 0);
	rig_open(&r, 3);
	rig_complete(&r, 3);
	assert_int_equal(job_insights.gaps(r.p, &gaps), 1);
	assert_int_equal(gaps[0].from_ms, START + 2 * CELL_MS);
	assert_int_equal(gaps[0].to_ms, START + 3 * CELL_MS);
	assert_string_equal(gaps[0].reason, "scan_budget is used up for this day");
	assert_int_equal(r.data[0].n_lines, 10);
	assert_int_equal(r.data[2].n_lines, 0);
	assert_int_equal(rig_try_open(&r, START + 3 * CELL_MS, 1), 0);
	rig_complete(&r, 1);
	assert_int_equal(r.o->started, 2);
	assert_int_equal(job_insights.gaps(r.p, &gaps), 1);
	rig_done(&r);
}

/* Groups */

static void
test_many_groups(void **state)
{
	struct rig r;

	(void)state;
	rig_init(&r, ROWS);
	r.o->n_groups = 60;
	fill(&r, START, CELL_MS, 200, 60, 3);
	rig_open(&r, 1);
	rig_complete(&r, 1);
	expect_all(&r);
	assert_int_equal(r.o->started, 2);
	assert_int_equal(r.o->list_calls, 3);
	rig_done(&r);
}

static void
test_stats_of_many_groups(void **state)
{
	struct rig r;

	(void)state;
	rig_init(&r, "log_groups: [/app/*]\nquery: stats count(*) as n by bin(5m)\n");
	r.o->n_groups = 60;
	rig_open(&r, 1);
	rig_complete(&r, 1);
	assert_int_equal(r.o->started, 1);
	assert_null(strstr(r.o->last_start, "logGroupNames"));
	assert_ptr_equal(
	    strstr(r.o->last_query, "SOURCE logGroups(namePrefix: [\"/app/\"]) | filter toMillis("),
	    r.o->last_query);
	rig_done(&r);
	rig_init(&r, "log_groups: ['/app/*0*', '/app/g0*']\nquery: stats count(*) as n\n");
	r.o->n_groups = 60;
	rig_open(&r, 1);
	assert_int_equal(rig_run(&r, 10), -1);
	assert_int_equal(r.err.kind, ERR_REJECTED);
	assert_non_null(strstr(r.err.msg, "60 log groups in a query that cannot be divided"));
	rig_done(&r);
}

static void
test_a_group_that_is_not_there(void **state)
{
	struct rig r;

	(void)state;
	rig_init(&r, "log_groups: [/app/g000, /app/none]\nquery: fields @message\n");
	rig_open(&r, 1);
	assert_int_equal(rig_run(&r, 10), -1);
	assert_int_equal(r.err.kind, ERR_NOTFOUND);
	assert_non_null(strstr(r.err.msg, "log group /app/none does not exist"));
	rig_done(&r);
	/* A pattern may match none: there is nothing to ask. */
	rig_init(&r, "log_groups: /none/*\nquery: fields @message\n");
	rig_open(&r, 1);
	rig_complete(&r, 1);
	assert_int_equal(r.o->started, 0);
	assert_int_equal(r.data[0].n_lines, 0);
	rig_done(&r);
}

/* Stats */

static void
test_stats_are_not_divided(void **state)
{
	struct rig r;

	(void)state;
	rig_init(&r,
		 "log_groups: /app/g000\nlimit: 10\nquery: stats count(*) as n by @logStream\n");
	for (int i = 0; i < 10; i++)
		oracle_add(&r, START + i, 0, i);
	rig_open(&r, 1);
	assert_int_equal(rig_run(&r, 100), -1);
	assert_int_equal(r.err.kind, ERR_REJECTED);
	assert_non_null(strstr(r.err.msg, "cut off at 10 rows and cannot be divided"));
	rig_done(&r);
}

static void
test_stats_without_a_bin(void **state)
{
	struct rig r;

	(void)state;
	rig_init(&r, "log_groups: /app/g000\nquery: stats count(*) as n by @logStream\n");
	oracle_add(&r, START + 5, 0, 3);
	rig_open(&r, 2);
	rig_complete(&r, 2);
	assert_int_equal(r.o->started, 2);
	assert_int_equal(r.data[0].n_lines, 1);
	assert_string_equal(
	    rig_lines(&r, 0),
	    "{\"ts\":\"2026-01-01T00:00:00.000Z\",\"tenant\":\"acme\",\"account_id\":"
	    "\"111122223333\",\"region\":\"eu-west-1\",\"job\":\"app\",\"log_group\":\"/app/g000\","
	    "\"log_stream\":\"s3\",\"fields\":{\"muster_events\":\"1\"}}\n");
	rig_done(&r);
}

/* The next run has more cells to do, and a group that is new: what was asked for keeps the list it
 * was asked of. */
static void
test_more_cells_and_groups_than_before(void **state)
{
	struct rig r;

	(void)state;
	rig_init(&r, ROWS "discover_every: 0\n");
	fill(&r, START, CELL_MS, 20, 2, 3);
	fill(&r, START + CELL_MS, CELL_MS, 40, 3, 3);
	rig_open(&r, 1);
	assert_int_equal(rig_run(&r, 2), 1);
	assert_int_equal(r.o->started, 1);
	r.o->n_groups = 3;
	for (int i = 0; i < 3; i++) { /* the list is behind the other one's, and stays there */
		rig_open(&r, 2);
		assert_int_equal(rig_run(&r, 2), 1);
	}
	rig_complete(&r, 2);
	expect_all(&r);
	assert_int_equal(r.o->started, 2);
	assert_int_equal(json_integer_value(json_object_get(r.memo, "base")), 2);
	/* Done with: the older list is forgotten. */
	assert_int_equal(rig_try_open(&r, START + CELL_MS, 2), 0);
	rig_complete(&r, 2);
	assert_int_equal(r.o->started, 3);
	assert_int_equal(json_integer_value(json_object_get(r.memo, "base")), 3);
	assert_int_equal(json_array_size(json_object_get(r.memo, "groups")), 6);
	rig_done(&r);
}

/* A memo of another definition, a damaged one, one that leaves a part out. */
static void
test_memos_that_do_not_fit(void **state)
{
	static const char *const memos[] = {
	    "{}",
	    "[]",
	    "{\"version\":1,\"definition\":\"x\",\"asks\":[]}",
	    "{\"version\":2}",
	};
	struct rig r;
	json_t *asks;

	(void)state;
	rig_init(&r, ROWS);
	fill(&r, START, CELL_MS, 10, 1, 1);
	for (size_t i = 0; i < ARRAY_LEN(memos); i++) {
		json_decref(r.memo);
		r.memo = json_loads(memos[i], 0, NULL);
		rig_open(&r, 1);
		rig_complete(&r, 1);
		expect_all(&r);
	}
	assert_int_equal(r.o->started, ARRAY_LEN(memos));
	asks = json_object_get(r.memo, "asks");
	json_array_set_new(json_array_get(asks, 0), 1, json_integer(START + 1));
	rig_open(&r, 1);
	rig_complete(&r, 1);
	expect_all(&r);
	assert_int_equal(r.o->started, ARRAY_LEN(memos) + 1);
	/* One half twice is as much as the whole, and not the whole. */
	asks = json_object_get(r.memo, "asks");
	for (int i = 1; i < 4; i++)
		json_array_set_new(json_array_get(asks, 0), (size_t)i,
				   json_integer(START + (i > 1 ? CELL_MS / 2 : 0)));
	json_array_append_new(asks, json_deep_copy(json_array_get(asks, 0)));
	rig_open(&r, 1);
	rig_complete(&r, 1);
	expect_all(&r);
	assert_int_equal(r.o->started, ARRAY_LEN(memos) + 2);
	/* A time of which there is none before it. */
	asks = json_object_get(r.memo, "asks");
	json_array_set_new(json_array_get(asks, 0), 1, json_integer(INT64_MIN));
	rig_open(&r, 1);
	rig_complete(&r, 1);
	expect_all(&r);
	assert_int_equal(r.o->started, ARRAY_LEN(memos) + 3);
	rig_done(&r);
}

/* What a query shows of its rows while it runs does not stay in memory, however often it is looked
 * at while rows of another are held. */
static void
test_rows_of_running_queries_are_not_kept(void **state)
{
	struct rig r;
	int looks = 0, more = 1;

	(void)state;
	rig_init(&r, ROWS);
	fill(&r, START, CELL_MS, 8000, 1, 1);
	fill(&r, START + CELL_MS, CELL_MS, 5, 1, 1);
	rig_open(&r, 2);
	while (more > 0) {
		more = rig_run(&r, 1);
		assert_true(r.p->lines.used < (size_t)4 << 20);
		for (size_t i = 0; i < r.o->n_queries && looks < 60; i++)
			if (r.o->q[i].from_ms == START) {
				r.o->q[i].polls = 1;
				looks++;
			}
	}
	assert_int_equal(more, 0);
	assert_true(looks >= 60);
	rig_harvest(&r, 2);
	expect_all(&r);
	assert_true(r.lay_there[0]);
	assert_false(r.lay_there[1]);
	rig_done(&r);
}

/* Up to the first question about a result: the memory that it may take. */
static size_t
first_look(struct rig *r)
{
	do {
		assert_int_equal(rig_run(r, 1), 1);
	} while (strcmp(r->call.operation, "GetQueryResults") != 0);
	return r->call.expect;
}

/* Else a first run's workers would all fill it at once. */
static void
test_what_is_not_known_is_not_taken_for_little(void **state)
{
	struct rig r;

	(void)state;
	rig_init(&r, ROWS);
	fill(&r, START, CELL_MS, 10, 1, 1);
	rig_open(&r, 1);
	assert_true(first_look(&r) >= (size_t)1 << 20);
	rig_complete(&r, 1);
	if (rig_try_open(&r, START + CELL_MS, 1))
		fail_msg("%s", r.err.msg);
	assert_true(first_look(&r) < (size_t)64 << 10);
	rig_done(&r);
}

/* What pages have told counts before a cell is done. */
static void
test_pages_tell_what_to_expect(void **state)
{
	size_t first;
	struct rig r;

	(void)state;
	rig_init(&r, ROWS "concurrency: 1\n");
	fill(&r, START, 2 * CELL_MS, 20, 1, 1);
	rig_open(&r, 2);
	first = first_look(&r);
	while (r.o->started < 2)
		assert_int_equal(rig_run(&r, 1), 1);
	assert_true(first_look(&r) < first / 2);
	rig_complete(&r, 2);
	expect_all(&r);
	rig_done(&r);
}

static void
test_a_later_page_that_fails(void **state)
{
	struct rig r;

	(void)state;
	rig_init(&r, ROWS);
	r.o->page = 7;
	r.o->fail_later = true;
	fill(&r, START, CELL_MS, 100, 2, 3);
	rig_open(&r, 1);
	rig_complete(&r, 1);
	expect_all(&r);
	assert_true(r.o->q[0].failed);
	rig_done(&r);
}

/* A page that is not ready is looked at as a query is that runs, not as fast as can be. */
static void
test_a_later_page_that_is_not_ready(void **state)
{
	const int64_t waits[] = {500, 750, 1125};
	struct rig r;
	size_t asked = 0;
	int more = 1;

	(void)state;
	rig_init(&r, ROWS);
	r.o->page = 7;
	r.o->run_later = ARRAY_LEN(waits);
	fill(&r, START, CELL_MS, 100, 2, 3);
	rig_open(&r, 1);
	while (more > 0) {
		bool unready = asked && asked <= ARRAY_LEN(waits);

		more = rig_run(&r, 1);
		if (more <= 0 || !strstr(buf_cstr(&r.call.body), "nextToken"))
			continue;
		assert_int_equal(r.call.wait_ms, unready ? waits[asked - 1] : 0);
		asked++;
	}
	assert_int_equal(more, 0);
	assert_int_equal(r.o->run_later, 0);
	assert_true(asked > ARRAY_LEN(waits) + 2);
	rig_harvest(&r, 1);
	expect_all(&r);
	rig_done(&r);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_one_cell),
	    cmocka_unit_test(test_rows_of_running_queries_are_not_kept),
	    cmocka_unit_test(test_a_later_page_that_fails),
	    cmocka_unit_test(test_a_later_page_that_is_not_ready),
	    cmocka_unit_test(test_pages_tell_what_to_expect),
	    cmocka_unit_test(test_what_is_not_known_is_not_taken_for_little),
	    cmocka_unit_test(test_adopted_lines_are_counted),
	    cmocka_unit_test(test_cells_run_at_once),
	    cmocka_unit_test(test_an_account_s_share_of_queries_is_kept),
	    cmocka_unit_test(test_a_query_whose_answer_was_lost_is_not_paid_twice),
	    cmocka_unit_test(test_without_permission_to_look_it_starts_again),
	    cmocka_unit_test(test_what_a_dead_run_started_is_collected),
	    cmocka_unit_test(test_only_the_same_query_is_collected),
	    cmocka_unit_test(test_a_service_that_never_answers),
	    cmocka_unit_test(test_the_budget_counts_what_other_regions_scan),
	    cmocka_unit_test(test_dense),
	    cmocka_unit_test(test_what_groups_keep_no_longer_is_a_gap),
	    cmocka_unit_test(test_one_stream_too_dense_is_a_gap),
	    cmocka_unit_test(test_parts_by_the_density_before),
	    cmocka_unit_test(test_where_rows_are_more_than_an_answer_may_be),
	    cmocka_unit_test(test_no_pages_there),
	    cmocka_unit_test(test_random_worlds),
	    cmocka_unit_test(test_kills),
	    cmocka_unit_test(test_a_query_that_always_fails),
	    cmocka_unit_test(test_no_slot_waits),
	    cmocka_unit_test(test_leaving_stops_what_runs),
	    cmocka_unit_test(test_bill),
	    cmocka_unit_test(test_scan_budget),
	    cmocka_unit_test(test_many_groups),
	    cmocka_unit_test(test_stats_of_many_groups),
	    cmocka_unit_test(test_a_group_that_is_not_there),
	    cmocka_unit_test(test_stats_are_not_divided),
	    cmocka_unit_test(test_stats_without_a_bin),
	    cmocka_unit_test(test_more_cells_and_groups_than_before),
	    cmocka_unit_test(test_memos_that_do_not_fit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
