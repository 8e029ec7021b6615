/*
 * P2 and P7 as properties: whatever a receiver does with a request that holds bad samples, and
 * wherever a run is cut off, in the end it holds exactly the samples that it would have taken one
 * by one, no good sample is reported as refused, and everything adds up.
 *
 * Cells, poison and faults are random (seeded; see effort.h). The oracle is the same
 * database asked sample by sample.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/cleanup.h"
#include "base/hash.h"
#include "sink/sink.h"
#include "tests/sink/receiver.h"
#include "tests/support/effort.h"

#define ROWS	12
#define VALS	12
#define MINUTE	INT64_C(60000)
#define START	INT64_C(1767225600000) /* 2026-01-01, on the grid of slabs */
#define FOREIGN 7.75		       /* written by somebody else */

static unsigned current_seed; /* of the world that a failure is about */

enum fate { FATE_NONE, FATE_GOOD, FATE_ORDER, FATE_OTHER };

struct world {
	uint64_t rnd;
	enum receiver_habit habit;
	enum receiver_words words;
	bool aps;
	int64_t window_ms;
	size_t n_rows, order_rows;
	struct series series[ROWS];
	struct label labels[ROWS][1];
	char host[ROWS][32];
	double values[ROWS][VALS];
	int64_t times[ROWS][VALS];
	struct sample_row rows[ROWS];
	struct cell_data d;
	enum fate fate[ROWS][VALS];
	bool rejected[ROWS][VALS];
	uint64_t n_rejected;
	uint64_t n_finite, n_good;
	struct receiver *oracle; /* what the receiver has to hold in the end */
};

static uint64_t
rnd(struct world *w, uint64_t below)
{
	w->rnd += 0x9e3779b97f4a7c15;
	return mix64(w->rnd) % below;
}

static bool
one_in(struct world *w, uint64_t n)
{
	return rnd(w, n) == 0;
}

/* ---- a random cell ---- */

static void
random_row(struct world *w, size_t r)
{
	struct sample_row *row = &w->rows[r];
	bool bad = one_in(w, 8), future = one_in(w, 8);

	(void)snprintf(w->host[r], sizeof(w->host[r]), "h%zu", r);
	w->labels[r][0] = (struct label){"host", bad ? LABEL_BAD : w->host[r]};
	/* Two rows may have poison for a label: the names tell them apart. */
	w->series[r] = (struct series){.name = r % 2 ? "m_b" : "m_a",
				       .labels = w->labels[r],
				       .n_labels = 1,
				       .period_ms = MINUTE};
	if (bad) {
		static const char *const names[ROWS] = {"p0", "p1", "p2", "p3", "p4", "p5",
							"p6", "p7", "p8", "p9", "pa", "pb"};
		w->series[r].name = names[r];
	}
	*row = (struct sample_row){&w->series[r], START + (int64_t)rnd(w, 3) * MINUTE, w->values[r],
				   1 + rnd(w, VALS), NULL};
	if (one_in(w, 3))
		row->n = 1;
	for (size_t i = 0; i < row->n; i++)
		w->times[r][i] = row->first_ms + (int64_t)i * MINUTE + (int64_t)(i * 7919 % 60000);
	if (r % 3 == 2) /* such rows have times of their own */
		row->times = w->times[r];
	for (size_t i = 0; i < row->n; i++) {
		w->values[r][i] = one_in(w, 6) ? NAN : (double)(1 + rnd(w, 3));
		if (w->words == WORDS_BARE && !w->aps && one_in(w, 25))
			w->values[r][i] = VALUE_BAD;
	}
	if (future)
		for (size_t i = row->n - rnd(w, row->n); i < row->n; i++)
			w->values[r][i] = VALUE_FUTURE;
}

static void
key_of(const struct world *w, size_t r, char key[512], char text[512])
{
	(void)snprintf(key, 512, "__name__=%s;host=%s;", w->series[r].name, w->labels[r][0].value);
	(void)snprintf(text, 512, "{__name__=\"%s\", host=\"%s\"}", w->series[r].name,
		       w->labels[r][0].value);
}

static struct receiver *
fresh(const struct world *w)
{
	struct receiver *x = receiver_new(w->habit, w->words);

	assert_non_null(x);
	x->window_ms = w->window_ms;
	return x;
}

/* Somebody else wrote into a series already, so that its first samples come too late. */
static void
foreign_writes(const struct world *w, struct receiver *x)
{
	struct world dice = {.rnd = w->rnd};
	char key[512], text[512];
	size_t done = 0;

	for (size_t r = 0; r < w->n_rows; r++) {
		const struct sample_row *row = &w->rows[r];
		int64_t ts = sample_time(row, rnd(&dice, row->n));

		if (!one_in(&dice, 5) || done == w->order_rows ||
		    strcmp(w->labels[r][0].value, LABEL_BAD) == 0)
			continue;
		key_of(w, r, key, text);
		db_insert(x, db_add(x, key, text), (struct read_sample){FOREIGN, ts});
		done++;
	}
	if (w->order_rows == ROWS && one_in(&dice, 10)) /* or the whole database is ahead */
		db_insert(
		    x, db_add(x, "other", "other"),
		    (struct read_sample){1, START + HOUR_MS + (int64_t)rnd(&dice, VALS) * MINUTE});
}

/* Sample by sample, in the order of the plan (all cells here lie within one slab). */
static void
ask_oracle(struct world *w)
{
	struct receiver *x = w->oracle = fresh(w);
	char key[512], text[512];

	foreign_writes(w, x);
	for (size_t r = 0; r < w->n_rows; r++) {
		bool bad = strcmp(w->labels[r][0].value, LABEL_BAD) == 0;

		key_of(w, r, key, text);
		for (size_t i = 0; i < w->rows[r].n; i++) {
			struct read_sample s = {w->values[r][i], sample_time(&w->rows[r], i)};

			if (!isfinite(s.value))
				continue;
			w->n_finite++;
			w->fate[r][i] = FATE_GOOD;
			if (w->habit == HABIT_ANY)
				db_overwrite(x, db_add(x, key, text), s);
			else if (bad || s.value == VALUE_FUTURE || s.value == VALUE_BAD)
				w->fate[r][i] = FATE_OTHER;
			else if (db_append(x, db_add(x, key, text), s))
				w->fate[r][i] = FATE_ORDER;
			w->n_good += w->fate[r][i] == FATE_GOOD ? 1 : 0;
		}
	}
}

static void
random_world(struct world *w, uint64_t seed)
{
	memset(w, 0, sizeof(*w));
	w->rnd = seed;
	w->habit = one_in(w, 10) ? HABIT_ANY : one_in(w, 2) ? HABIT_WHOLE : HABIT_KEEPER;
	w->words = (enum receiver_words)rnd(w, 3);
	w->aps = w->habit == HABIT_KEEPER && one_in(w, 2);
	w->window_ms = one_in(w, 3) ? (int64_t)(1 + rnd(w, 4)) * MINUTE : 0;
	w->order_rows = ROWS;
	/* Nobody rolls back and speaks like Cortex. If one did, a wrong guess may be led on by
	 * more. */
	if (w->habit == HABIT_WHOLE && w->words == WORDS_CORTEX) {
		w->order_rows = 2;
		w->window_ms = 0;
	}
	w->n_rows = 1 + rnd(w, ROWS);
	for (size_t r = 0; r < w->n_rows; r++)
		random_row(w, r);
	w->d = (struct cell_data){.rows = w->rows, .n_rows = w->n_rows};
	ask_oracle(w);
}

/* ---- publishing ---- */

static int
no_credentials(struct cred_source *s, const char *stale, struct cred *ret, struct err *err)
{
	(void)s;
	(void)stale;
	(void)ret;
	return err_set(err, ERR_AUTH, "not asked for here");
}

static const struct cred_source_ops creds_ops = {.name = "none", .get = no_credentials};
static struct cred_source creds = {&creds_ops};

static void
note_reject(void *arg, const struct series *s, int64_t ts_ms, double value, int status,
	    const char *reason)
{
	struct world *w = arg;
	size_t r = (size_t)(s - w->series), i = (size_t)((ts_ms - w->rows[r].first_ms) / MINUTE);

	(void)reason;
	assert_true(r < w->n_rows && i < w->rows[r].n);
	assert_true(value == w->values[r][i]);
	assert_true(status == 400 || status == 413);
	assert_false(w->rejected[r][i]);
	w->rejected[r][i] = true;
	w->n_rejected++;
}

static int
publish(struct world *w, struct receiver *x, bool maybe_sent, struct published *ret)
{
	const struct sink_conf conf = {
	    .name = "r",
	    .kind = SINK_REMOTE_WRITE,
	    .url = "http://receiver/api/v1/write",
	    .sigv4_service = w->aps ? "aps" : NULL,
	    .out_of_order_ms = w->window_ms,
	};
	const struct sink_env env = {.transport = &x->base,
				     .base_creds = &creds,
				     .clock = clock_real(),
				     .region = "eu-west-1"};
	const struct publish p = {.job = "j",
				  .tenant = "t",
				  .account = "1",
				  .region = "eu-west-1",
				  .definition = "",
				  .now_ms = START + 2 * HOUR_MS,
				  .maybe_sent = maybe_sent,
				  .reject = note_reject,
				  .reject_arg = w};
	struct sink *sink;
	struct err err;
	int rc;

	memset(w->rejected, 0, sizeof(w->rejected));
	w->n_rejected = 0;
	*ret = (struct published){0};
	if (sink_open(&conf, &env, &sink, &err) < 0)
		fail_msg("%s", err.msg);
	rc = sink->ops->publish(sink, &p, &w->d, ret, &err);
	if (rc < 0) {
		if (err.kind != ERR_TRANSIENT)
			print_message("seed %u: %s\n", current_seed, err.msg);
		assert_int_equal(err.kind, ERR_TRANSIENT);
		assert_int_equal(w->n_rejected, 0);
	}
	sink_free(sink);
	return rc;
}

/* ---- what has to hold ---- */

static void
describe(const struct world *w, const struct published *p)
{
	print_message(
	    "seed %u: habit %d words %d aps %d window %d min: acked %u already %u rejected %u\n",
	    current_seed, (int)w->habit, (int)w->words, w->aps, (int)(w->window_ms / MINUTE),
	    (unsigned)p->acked, (unsigned)p->already, (unsigned)p->rejected);
	for (size_t r = 0; r < w->n_rows; r++) {
		print_message("  %s{%s} from minute %d:", w->series[r].name, w->labels[r][0].value,
			      (int)((w->rows[r].first_ms - START) / MINUTE));
		for (size_t i = 0; i < w->rows[r].n; i++)
			print_message(
			    " %g%s%s", w->values[r][i],
			    w->fate[r][i] == FATE_ORDER || w->fate[r][i] == FATE_OTHER ? "!" : "",
			    w->rejected[r][i] ? "R" : "");
		print_message("\n");
	}
}

/* The receiver holds what it would have taken one by one. */
static bool
same_content(const struct world *w, const struct receiver *x)
{
	if (x->malformed)
		return false;
	for (size_t a = 0; a < w->oracle->n_series; a++) {
		const struct db_series *want = &w->oracle->db[a];
		const struct db_series *got = db_find(x, want->key);

		if ((got ? got->n : 0) != want->n)
			return false;
		if (want->n > 0 &&
		    memcmp(got->samples, want->samples, want->n * sizeof(*want->samples)) != 0)
			return false;
	}
	return true;
}

static void
check_content(const struct world *w, const struct receiver *x, const struct published *p)
{
	bool same = same_content(w, x);

	if (!same)
		describe(w, p);
	assert_true(same);
}

/* Everything is accounted for. */
static bool
adds_up(const struct world *w, const struct published *p)
{
	return p->acked + p->already + p->too_old + p->rejected == w->n_finite &&
	       p->rejected == w->n_rejected && p->acked + p->already >= w->n_good;
}

/* Never a good sample among the refused. */
static bool
rejects_only_poison(const struct world *w)
{
	for (size_t r = 0; r < w->n_rows; r++)
		for (size_t i = 0; i < w->rows[r].n; i++)
			if (w->rejected[r][i] && w->fate[r][i] == FATE_GOOD)
				return false;
	return true;
}

static void
check_sound(const struct world *w, const struct published *p)
{
	if (!adds_up(w, p) || !rejects_only_poison(w))
		describe(w, p);
	assert_true(adds_up(w, p));
	assert_true(rejects_only_poison(w));
}

/* What is refused for a reason of its own is found. */
static bool
found_other(const struct world *w)
{
	if (db_find(w->oracle, "other")) /* then what is too old is not even sent */
		return true;
	for (size_t r = 0; r < w->n_rows; r++)
		for (size_t i = 0; i < w->rows[r].n; i++)
			if (w->fate[r][i] == FATE_OTHER && !w->rejected[r][i])
				return false;
	return true;
}

/* Whether some good sample is followed by a good one of its series: sent again, it tells what kind
 * of receiver this is. */
static bool
has_evidence(const struct world *w)
{
	for (size_t r = 0; r < w->n_rows; r++) {
		size_t good = 0;

		for (size_t i = 0; i < w->rows[r].n; i++)
			good += w->fate[r][i] == FATE_GOOD ? 1 : 0;
		if (good > 1)
			return true;
	}
	return false;
}

/* A receiver that rolls back: exactly the poison, by name. */
static void
check_exact(const struct world *w, const struct published *p)
{
	assert_int_equal(p->rejected, w->n_finite - w->n_good);
	assert_int_equal(p->acked, w->n_good);
	assert_int_equal(p->already, 0);
}

static struct world *
world_new(uint64_t seed)
{
	struct world *w = malloc(sizeof(*w));

	assert_non_null(w);
	current_seed = (unsigned)seed;
	random_world(w, seed);
	return w;
}

static void
world_free(struct world *w)
{
	transport_free(&w->oracle->base);
	free(w);
}

/* A first publish, undisturbed. */
static void
test_fresh(void **state)
{
	struct published p;

	(void)state;
	for (unsigned seed = 0; seed < effort(3000); seed++) {
		struct world *w = world_new(seed);
		struct receiver *x = fresh(w);

		foreign_writes(w, x);
		if (one_in(w, 3))
			x->max_raw = 100 + rnd(w, 600);
		assert_int_equal(publish(w, x, false, &p), 0);
		if (x->max_raw == 0 || w->habit == HABIT_WHOLE)
			check_content(w, x, &p);
		check_sound(w, &p);
		if (w->words != WORDS_EMPTY && !found_other(w))
			describe(w, &p);
		assert_true(w->words == WORDS_EMPTY || found_other(w));
		if (w->habit == HABIT_WHOLE && w->window_ms == 0 && x->max_raw == 0 &&
		    has_evidence(w))
			check_exact(w, &p);
		transport_free(&x->base);
		world_free(w);
	}
}

/* Cut off at request k, for every k, and published again; with other limits, and more than once. */
static void
test_cut_off_and_again(void **state)
{
	static const enum receiver_fault faults[] = {FAULT_BEFORE, FAULT_AFTER, FAULT_STATUS};
	struct published p;

	(void)state;
	for (unsigned seed = 0; seed < effort(400); seed++) {
		unsigned k = 0;
		bool done = false;

		while (!done) {
			struct world *w = world_new(seed);
			struct receiver *x = fresh(w);
			bool guess = w->habit == HABIT_WHOLE && w->words == WORDS_CORTEX;

			foreign_writes(w, x);
			w->rnd ^= ++k;
			for (unsigned round = 0; round < 3 && !guess; round++) {
				x->max_raw = one_in(w, 2) ? 100 + rnd(w, 600) : 0;
				x->fault = faults[rnd(w, ARRAY_LEN(faults))];
				x->fault_status = 503;
				x->fault_at =
				    x->requests + (round == 0 ? k : 1 + (unsigned)rnd(w, 30));
				x->fault_for_good = true;
				if (publish(w, x, round > 0, &p) == 0) {
					done = done || round == 0;
					check_sound(w, &p);
				}
			}
			x->fault_at = 0;
			x->max_raw = 0;
			assert_int_equal(publish(w, x, !guess, &p), 0);
			check_content(w, x, &p);
			check_sound(w, &p);
			done = done || guess;
			transport_free(&x->base);
			world_free(w);
		}
	}
}

/* The transport repeated request k, whose first copy had arrived. */
static void
test_repeated_by_the_transport(void **state)
{
	struct published p;

	(void)state;
	for (unsigned seed = 0; seed < effort(400); seed++)
		for (unsigned k = 1; k < 40; k++) {
			struct world *w = world_new(seed);
			struct receiver *x = fresh(w);
			unsigned requests;

			foreign_writes(w, x);
			x->fault = FAULT_TWICE;
			x->fault_at = k;
			if (w->habit != HABIT_WHOLE || w->words != WORDS_CORTEX) {
				assert_int_equal(publish(w, x, false, &p), 0);
				check_content(w, x, &p);
				check_sound(w, &p);
			}
			requests = x->requests;
			transport_free(&x->base);
			world_free(w);
			if (requests < k)
				break;
		}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_fresh),
	    cmocka_unit_test(test_cut_off_and_again),
	    cmocka_unit_test(test_repeated_by_the_transport),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
