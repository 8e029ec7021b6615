/*
 * Days in worlds whose data comes late: a run every five minutes or so, with hours without any
 * between them; one in a few is killed, finds no receiver, or takes turns with a backfill, of which
 * there are others in between, killed as well. Two worlds in three have metrics, of whose points a
 * fifth is shown only after its cell was due, up to 25 minutes after its time; the third one has
 * log events.
 *
 * In the end all that was ever shown is in the lake, once, whoever froze its cell and whatever was
 * known of it; and the receiver has all points that came in time, or, where it is known to take
 * what is old, all.
 */
#include "tests/sim/sim.h"

#include "base/cleanup.h"
#include "base/hash.h"

#define EVERY	 (5 * SIM_MIN)
#define HOUR	 (60 * SIM_MIN)
#define CALL_MS	 20
#define CALLS	 40 /* of a run: more or less */
#define SETTLING 6  /* runs in which all has to be done once the trouble is over */

struct life {
	struct sim *s;
	uint64_t r;
	int64_t first_ms; /* what is before is nobody's */
};

static uint64_t
draw(struct life *l)
{
	return l->r = mix64(l->r);
}

/* Mostly the next place in the schedule. */
static int64_t
until_next(struct life *l)
{
	static const int64_t minutes[] = {1, 5, 5, 5, 5, 5, 10, 15, 40, 100};

	return minutes[draw(l) % ARRAY_LEN(minutes)] * SIM_MIN;
}

static void
draw_window(struct life *l)
{
	int64_t delay = l->s->jobs == SIM_POINTS ? SIM_DELAY : SIM_DELAY_LOGS;
	int64_t due = (l->s->now_ms - delay) / EVERY * EVERY;
	int64_t cells = (due - l->first_ms) / EVERY;
	int64_t to = due - (int64_t)(draw(l) % 4) * EVERY;
	int64_t from = to - (int64_t)(1 + draw(l) % 12) * EVERY;

	if (cells < 6) {
		to = due;
		from = due - EVERY;
	}
	l->s->window = (struct cell){from < l->first_ms ? l->first_ms : from, to};
}

/* A run and a backfill at once. */
static void
do_both(struct life *l)
{
	struct sim_proc both[] = {
	    {.command = SIM_RUN, .now_ms = l->s->now_ms, .workers = 1 + draw(l) % 3},
	    {.command = SIM_BACKFILL, .now_ms = l->s->now_ms, .workers = 1 + draw(l) % 3}};

	if (l->s->trace)
		(void)printf("       both\n");
	sim_race(l->s, both, ARRAY_LEN(both));
}

static void
do_one(struct life *l, enum sim_command command)
{
	if (l->s->trace)
		(void)printf("       %s\n", command == SIM_RUN ? "run" : "backfill");
	(void)sim_run(l->s, command, 1 + draw(l) % 3);
}

static void
one_turn(struct life *l)
{
	struct sim *s = l->s;

	draw_window(l);
	s->receiver_down = draw(l) % 6 == 0;
	s->n_faults = draw(l) % 2;
	s->next_fault = 0;
	s->faults[0] = (struct sim_fault){s->calls + 1 + draw(l) % CALLS,
					  (enum sim_fault_kind)(draw(l) % SIM_FAULTS)};
	if (draw(l) % 8 == 0)
		do_both(l);
	else
		do_one(l, draw(l) % 4 ? SIM_RUN : SIM_BACKFILL);
	s->now_ms += s->passed_ms / SIM_MIN * SIM_MIN + until_next(l);
}

/* Two runs that come through: what the first one took over the second looks at, for it has a new
 * cell. */
static bool
settle(struct life *l)
{
	int good = 0;

	l->s->n_faults = l->s->next_fault = 0;
	l->s->receiver_down = false;
	for (int n = 0; n < SETTLING && good < 2; n++) {
		l->s->now_ms += EVERY;
		good += sim_run(l->s, SIM_RUN, 1) == 0;
	}
	return good == 2;
}

void
sim_day(uint64_t seed, unsigned turns, bool trace, struct sim_verdict *v)
{
	struct life l = {.r = mix64(seed ^ 0x1a7e)};
	enum sim_jobs jobs = seed % 3 ? SIM_POINTS : SIM_LATE;

	*v = (struct sim_verdict){0};
	l.s =
	    sim_new(seed, 1 + seed / 2 % 2, EVERY, seed / 4 % 2 ? HABIT_WHOLE : HABIT_KEEPER, jobs);
	l.s->now_ms = SIM_EPOCH + 2 * HOUR;
	l.s->call_ms = CALL_MS;
	l.s->trace = trace;
	l.s->receiver->window_ms = 24 * HOUR;
	l.s->out_of_order = seed / 8 % 2;
	sim_write_config(l.s);
	l.first_ms = l.s->now_ms - (jobs == SIM_POINTS ? 4 : 5) * EVERY; /* its lookback */
	(void)sim_run(l.s, SIM_RUN, 1);
	for (unsigned i = 0; i < turns; i++)
		one_turn(&l);
	if (!settle(&l))
		(void)snprintf(v->what, SIM_WORDS, "no run came to a good end");
	else
		sim_check(l.s, v);
	sim_free(l.s);
}
