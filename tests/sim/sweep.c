/*
 * The sweep: the program in simulated worlds, with a fault at every call it makes, at every pair of
 * calls, and at random; then run again, later, until it says that all is done; then the verdict.
 *
 *   sweep points            every call of one scenario, each kind of fault
 *   sweep late [SEEDS]      the same where log events come late, and so many random worlds
 *   sweep late-points [SEEDS]  and where points of metrics do
 *   sweep traces [SEEDS]    the same for traces
 *   sweep alarms [SEEDS]    and for alarms
 *   sweep compact [SEEDS]   the same while a day is compacted, then backfilled
 *   sweep allocations [I/N [WAYS]]  each allocation of a run fails, or the I-th of N equal shares
 *                           of them: with every kind of job and store, most sinks, each
 *                           protocol and source of keys; or in one of these ways only
 *   sweep allocation WAYS N    one of these, with what the run says
 *   sweep ways              each kind of fault at every call, with all of these ways
 *   sweep way WAYS KIND@CALL   one of these, with every call shown
 *   sweep pairs [I/N]       all pairs of them, or the I-th of N equal shares
 *   sweep seeds FIRST N     random worlds, workers, faults and delays
 *   sweep races FIRST N     the same with two to five runs at once, in any order
 *   sweep month [SEED]      a month of hourly runs for 100 tenants, with outages
 *   sweep chaos FIRST N [M]  hostile worlds of M tenants, 20 if not said (sim_chaos.c)
 *   sweep days FIRST N [TURNS]  days in which data comes late, with backfills (sim_day.c)
 *   sweep year SEED [DAYS]  a year of 8 tenants, with all that may come in one (sim_year.c)
 *   sweep NAME-plan SEED [KIND@CALL...]  one, with every call shown (what a failure prints), of
 *           plan, late-plan, late-points-plan, traces-plan, alarms-plan, race-plan, compact-plan
 *   sweep chaos-plan SEED [M] | year-plan SEED [DAYS] | day-plan SEED [TURNS]   the same
 *
 * Ends with a line of counts; exit 1 if anything was lost, doubled or wrong.
 */
#include "tests/sim/sim.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/hash.h"
#include "base/sanitized.h"
#if SANITIZED
#include <sanitizer/lsan_interface.h>
#endif

#define CHAOS_TENANTS 20
#define YEAR	      365 /* days */
#define TURNS	      25  /* of a day */
#define MONTH_TENANTS 100
#define MONTH_CALL_MS 10 /* 100 tenants at once, and a simulated world takes calls one by one */
#define MAX_RUNS      13 /* in so many runs a world has to come to rest: each fault may end one */
#define EVERY	      (5 * SIM_MIN)
#define HOUR	      (60 * SIM_MIN)
#define DAY	      (24 * HOUR)
#define SAID_MAX      ((size_t)64 << 10)
#define WINDOW	      (2 * HOUR) /* for which the receiver takes samples */

struct totals {
	uint64_t points, restarts, lost, duplicated, mismatched;
};
struct plan_of_faults {
	bool compact; /* faults come when the day is over, counted from there */
	uint64_t seed;
	size_t tenants;
	enum sim_jobs jobs;
	size_t
	    racers; /* runs that begin at once, each with another `now`; 0: one after the other */
	size_t workers;
	const struct sim_ways *ways; /* NULL: the usual */
	int64_t first_now;
	struct sim_fault faults[SIM_MAX_FAULTS];
	size_t n;
	bool pages;
	bool trace;
};
static struct totals totals;
static const char *const modes[SIM_WORLDS] = {"plan", "late-plan", "traces-plan", "alarms-plan",
					      "late-points-plan"};
static const char *const kinds[SIM_FAULTS] = {"crash-before", "crash-after", "fail", "lost"};

static void
say_plan(const struct plan_of_faults *p, const char *what)
{
	(void)printf("FAIL %s\n     again: sweep ", what);
	if (p->ways)
		(void)printf("way %s", p->ways->name);
	else
		(void)printf("%s %llu",
			     p->compact	 ? "compact-plan"
			     : p->racers ? "race-plan"
					 : modes[p->jobs],
			     (unsigned long long)p->seed);
	for (size_t i = 0; i < p->n; i++)
		(void)printf(" %s@%llu", kinds[p->faults[i].kind],
			     (unsigned long long)p->faults[i].at);
	(void)printf("\n");
}

/*
 * How much later the next run begins: never within the lease of the one before, and all together
 * within the time for which the receiver takes samples. Later than that a refusal may mean either
 * "too old" or "already there" where a cell was begun before, and no sender can tell (such samples
 * are counted apart).
 */
static int64_t
later(uint64_t seed, uint64_t n)
{
	static const int64_t minutes[] = {2, 3, 5};

	return minutes[mix64(seed ^ (n + 17)) % 3] * SIM_MIN;
}

static struct sim *
open_world(const struct plan_of_faults *p)
{
	struct sim *s =
	    sim_new(p->seed, p->tenants, EVERY, p->seed % 2 ? HABIT_WHOLE : HABIT_KEEPER, p->jobs);

	if (p->ways)
		sim_take_ways(s, p->ways);
	s->now_ms = p->first_now;
	s->receiver->window_ms = WINDOW;
	s->pages = p->pages;
	s->trace = p->trace;
	memcpy(s->faults, p->faults, sizeof(s->faults));
	s->n_faults = p->n;
	return s;
}

/* Runs until one says that all is done, after the last fault. */
static bool
come_to_rest(struct sim *s, const struct plan_of_faults *p)
{
	for (uint64_t n = 0; n < MAX_RUNS; n++) {
		int status = sim_run(s, SIM_RUN, p->workers);

		totals.restarts += n > 0;
		if (s->trace)
			(void)printf("       status %d\n", status);
		if (status == 0)
			return true;
		s->now_ms += s->passed_ms + later(p->seed, n);
	}
	return false;
}

/* Several runs at once, of which none knows how many minutes the others' clocks are behind. */
static void
race(struct sim *s, const struct plan_of_faults *p)
{
	struct sim_proc procs[SIM_MAX_RUNS] = {0};

	for (size_t i = 0; i < p->racers; i++) {
		uint64_t r = mix64(p->seed ^ mix64(i + 77));

		procs[i].now_ms = s->now_ms - (int64_t)(r % 12) * SIM_MIN;
		procs[i].workers = 1 + (r >> 32) % 4;
	}
	sim_race(s, procs, p->racers);
	for (size_t i = 0; s->trace && i < p->racers; i++)
		(void)printf("       status %d\n", procs[i].status);
	totals.restarts += p->racers - 1;
	s->now_ms += s->passed_ms + later(p->seed, MAX_RUNS);
}

static bool
settle(struct sim *s, const struct plan_of_faults *p)
{
	if (p->racers)
		race(s, p);
	return come_to_rest(s, p);
}

/* All there is to a world: a late one once more, when the cells of its first run are due to be
 * asked for again, or there are new ones. */
static bool
live(struct sim *s, const struct plan_of_faults *p)
{
	if (!settle(s, p))
		return false;
	if (p->jobs != SIM_LATE && p->jobs != SIM_POINTS)
		return true;
	s->now_ms += p->jobs == SIM_LATE ? SIM_HOLD - SIM_DELAY_LOGS : 3 * EVERY;
	if (p->jobs == SIM_LATE)
		return settle(s, p);
	if (!settle(s, p))
		return false;
	/* What the last run took over is looked at with the next new cell. */
	s->n_faults = s->next_fault = 0;
	s->now_ms += EVERY;
	return come_to_rest(s, p);
}

static bool
run_plan(const struct plan_of_faults *p)
{
	struct sim *s = open_world(p);
	struct sim_verdict v = {0};

	totals.points++;
	if (!live(s, p))
		(void)snprintf(v.what, SIM_WORDS, "no run came to a good end");
	else
		sim_check(s, &v);
	if (v.what[0]) {
		say_plan(p, v.what);
		totals.lost += v.lost + (v.lost + v.duplicated + v.mismatched == 0);
		totals.duplicated += v.duplicated;
		totals.mismatched += v.mismatched;
	}
	sim_free(s);
	return !v.what[0];
}

/* ---- modes ---- */

static const struct plan_of_faults scenario = {
    .seed = 1, .tenants = 2, .workers = 1, .first_now = SIM_EPOCH + 60 * SIM_MIN};

/* The same with one tenant, in another world. */
static struct plan_of_faults
scenario_of(enum sim_jobs jobs)
{
	struct plan_of_faults p = scenario;

	p.jobs = jobs;
	p.tenants = jobs == SIM_USUAL ? scenario.tenants : 1;
	return p;
}

/* How many calls an undisturbed scenario makes. */
static uint64_t
count_calls(const struct plan_of_faults *p)
{
	struct sim *s = open_world(p);
	uint64_t n;

	if (!live(s, p))
		abort();
	n = s->calls;
	sim_free(s);
	return n;
}

static void
sweep_points(const struct plan_of_faults *at_all)
{
	uint64_t calls = count_calls(at_all);

	for (uint64_t at = 1; at <= calls; at++)
		for (int kind = 0; kind < SIM_FAULTS; kind++) {
			struct plan_of_faults p = *at_all;

			p.faults[0] = (struct sim_fault){at, (enum sim_fault_kind)kind};
			p.n = 1;
			(void)run_plan(&p);
		}
}

/* ---- memory that runs out ---- */

/* Together they have every kind of job and of sink, files and S3, every protocol of CloudWatch and
 * every source of keys. */
static const struct sim_ways ways[] = {
    {.name = "metrics-json", .jobs = SIM_USUAL, .proto = CW_JSON, .text = true},
    {.name = "metrics-cbor", .jobs = SIM_USUAL, .proto = CW_CBOR, .files = true, .text = true},
    {.name = "metrics-query", .jobs = SIM_USUAL, .proto = CW_QUERY, .keys = SIM_KEYS_PROFILE},
    {.name = "late", .jobs = SIM_LATE, .proto = CW_CBOR, .keys = SIM_KEYS_ROLES},
    {.name = "stats", .jobs = SIM_LATE, .proto = CW_CBOR, .keys = SIM_KEYS_WEB, .stats = true},
    {.name = "alarms", .jobs = SIM_ALARMS, .proto = CW_CBOR, .keys = SIM_KEYS_CONTAINER},
    {.name = "alarms-query", .jobs = SIM_ALARMS, .proto = CW_QUERY, .files = true, .oncall = true},
    {.name = "traces", .jobs = SIM_TRACES, .proto = CW_CBOR, .keys = SIM_KEYS_INSTANCE},
    {.name = "spans",
     .jobs = SIM_TRACES,
     .proto = CW_CBOR,
     .keys = SIM_KEYS_PROGRAM,
     .files = true,
     .spans = true},
};

#define POINT_SECONDS 120 /* in which any of these worlds has come to rest */

/* What a process of its own found out about one allocation. */
struct found {
	uint64_t asked; /* allocations of the first run */
	uint64_t restarts;
	struct sim_verdict v;
	bool told; /* it came to its end */
};

/* What a run said on stderr, which is this file; then it is empty again. */
static void
take_said(int fd, char said[SAID_MAX])
{
	ssize_t n = pread(fd, said, SAID_MAX - 1, 0);

	said[n > 0 ? n : 0] = '\0';
	if (ftruncate(fd, 0) || lseek(fd, 0, SEEK_SET))
		abort();
}

static int
open_said(void)
{
	int fd = memfd_create("said", MFD_CLOEXEC);

	if (fd < 0 || dup2(fd, STDERR_FILENO) < 0)
		abort();
	return fd;
}

/* Whether memory was lost, as far as this build can tell. */
static bool
leaks(void)
{
#if SANITIZED && !defined(__SANITIZE_THREAD__)
	return __lsan_do_recoverable_leak_check() != 0;
#else
	return false;
#endif
}

static struct plan_of_faults
plan_without(const struct sim_ways *w)
{
	struct plan_of_faults p = scenario;

	p.jobs = w->jobs;
	p.tenants = 1;
	p.ways = w;
	return p;
}

/* A bad end has to have the reason in words. */
static void
judge_end(int status, const char *said, struct sim_verdict *v)
{
	if (status < 0 || status > 3)
		(void)snprintf(v->what, SIM_WORDS, "the run ended with %d", status);
	else if (status == EXIT_USAGE)
		(void)snprintf(v->what, SIM_WORDS,
			       "the run found fault with its configuration: %.150s", said);
	else if (status > 0 && !strstr(said, "out of memory") &&
		 !strstr(said, "Cannot allocate memory"))
		(void)snprintf(v->what, SIM_WORDS,
			       "the run ended with %d and did not say why: %.150s", status, said);
}

/* A run that does not get its `at`-th allocation (0: it gets all), then others. */
static void
run_without(const struct plan_of_faults *p, uint64_t at, struct found *ret)
{
	static char said[SAID_MAX];
	struct sim *s = open_world(p);
	struct sim_verdict *v = &ret->v;
	int status, fd = open_said();

	sim_alloc_begin(at);
	status = sim_run(s, SIM_RUN, p->workers);
	ret->asked = sim_alloc_end();
	take_said(fd, said);
	if (p->trace)
		(void)printf("status %d\n%s", status, said);
	judge_end(status, said, v);
	s->now_ms += s->passed_ms + later(p->seed, at);
	if (!v->what[0] && !come_to_rest(s, p))
		(void)snprintf(v->what, SIM_WORDS, "no run came to a good end");
	else if (!v->what[0])
		sim_check(s, v);
	sim_free(s);
	take_said(fd, said);
	if (leaks() && !v->what[0])
		(void)snprintf(v->what, SIM_WORDS, "memory is lost");
	take_said(fd, said);
	if (p->trace)
		(void)printf("%s", said);
	(void)close(fd);
	ret->restarts = totals.restarts;
	ret->told = true;
}

/* Each in a process of its own, so that one that crashes or hangs is no more than a point. */
static void
in_a_process(const struct plan_of_faults *p, uint64_t at, struct found *ret)
{
	int status;
	pid_t pid;

	*ret = (struct found){0};
	totals.restarts = 0;
	(void)fflush(stdout);
	pid = fork();
	if (pid < 0)
		abort();
	if (!pid) {
		(void)alarm(POINT_SECONDS);
		run_without(p, at, ret);
		(void)fflush(stdout);
		_exit(0);
	}
	if (waitpid(pid, &status, 0) != pid)
		abort();
	if (!ret->told && WIFSIGNALED(status))
		(void)snprintf(ret->v.what, SIM_WORDS, "the process ended by signal %d",
			       WTERMSIG(status));
	else if (!ret->told)
		(void)snprintf(ret->v.what, SIM_WORDS, "the process ended with %d",
			       WEXITSTATUS(status));
}

/* Returns how many allocations the run asked for. */
static uint64_t
try_without(const struct plan_of_faults *p, uint64_t at, struct found *f)
{
	uint64_t restarts = totals.restarts;

	in_a_process(p, at, f);
	totals.restarts = restarts + f->restarts;
	totals.points += at > 0;
	if (f->v.what[0]) {
		(void)printf("FAIL %s\n     again: sweep allocation %s %llu\n", f->v.what,
			     p->ways->name, (unsigned long long)at);
		totals.lost += f->v.lost + (f->v.lost + f->v.duplicated + f->v.mismatched == 0);
		totals.duplicated += f->v.duplicated;
		totals.mismatched += f->v.mismatched;
	}
	return f->asked;
}

/* To be shared with processes. */
static struct found *
new_found(void)
{
	struct found *f =
	    mmap(NULL, sizeof(*f), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (f == MAP_FAILED)
		abort();
	return f;
}

static void
sweep_allocations(uint64_t share, uint64_t shares, const char *only)
{
	struct found *f = new_found();

	for (size_t i = 0; i < ARRAY_LEN(ways); i++) {
		struct plan_of_faults p = plan_without(&ways[i]);
		uint64_t n;

		if (only && strcmp(only, ways[i].name) != 0)
			continue;
		n = try_without(&p, 0, f);
		for (uint64_t at = 1; at <= n; at++)
			if (mix64(at + i) % shares == share)
				(void)try_without(&p, at, f);
	}
	(void)munmap(f, sizeof(*f));
}

static bool
show_allocation(const char *name, uint64_t at)
{
	struct found f = {0};

	for (size_t i = 0; i < ARRAY_LEN(ways); i++) {
		struct plan_of_faults p = plan_without(&ways[i]);

		if (strcmp(name, ways[i].name) != 0)
			continue;
		p.trace = true;
		run_without(&p, at, &f);
		(void)printf("%llu allocations: %s\n", (unsigned long long)f.asked,
			     f.v.what[0] ? f.v.what : "good");
		(void)fflush(stdout); /* a sanitizer may end us before */
		return f.v.what[0];
	}
	return true;
}

/* The second fault may come long after the first: in the run that follows a crash. */
static void
sweep_pairs(uint64_t share, uint64_t shares)
{
	uint64_t calls = count_calls(&scenario), n = 0;

	for (uint64_t a = 1; a <= calls; a++)
		for (uint64_t b = a + 1; b <= 2 * calls; b++)
			for (int kind = 0; kind < SIM_FAULTS * SIM_FAULTS; kind++) {
				struct plan_of_faults p = scenario;

				if (mix64(n++) % shares != share)
					continue;
				p.faults[0] =
				    (struct sim_fault){a, (enum sim_fault_kind)(kind % SIM_FAULTS)};
				p.faults[1] =
				    (struct sim_fault){b, (enum sim_fault_kind)(kind / SIM_FAULTS)};
				p.n = 2;
				(void)run_plan(&p);
			}
}

static int
by_call(const void *a, const void *b)
{
	const struct sim_fault *x = a, *y = b;

	return x->at < y->at ? -1 : x->at > y->at;
}

static void
random_plan(uint64_t seed, struct plan_of_faults *p)
{
	uint64_t r = mix64(seed ^ 0x5eed);

	*p = (struct plan_of_faults){
	    .seed = seed, .tenants = 1 + r % 3, .workers = 1 + (r >> 24) % 4, .pages = r >> 60 & 1};
	p->first_now = SIM_EPOCH + (int64_t)(r >> 8 & 0xfff) * SIM_MIN;
	p->n = 1 + (r >> 32) % 12;
	for (size_t i = 0; i < p->n; i++) {
		r = mix64(r);
		p->faults[i] = (struct sim_fault){1 + r % 400, (r >> 32) % SIM_FAULTS};
		/* Now and then a fault that outlasts the retries. */
		if ((r >> 40) % 3 == 0)
			for (size_t k = 1; k < 3 && i + 1 < p->n; k++, i++)
				p->faults[i + 1] =
				    (struct sim_fault){p->faults[i].at + 1, p->faults[i].kind};
	}
	qsort(p->faults, p->n, sizeof(p->faults[0]), by_call);
}

/* A third of the races has no other fault than themselves; some are in late worlds, where there are
 * two. */
static void
random_race(uint64_t seed, struct plan_of_faults *p)
{
	random_plan(seed, p);
	p->racers = 2 + mix64(seed) % (SIM_MAX_RUNS - 1);
	p->jobs = seed % 4 == 1 ? SIM_LATE : SIM_USUAL;
	if (seed % 3 == 0)
		p->n = 0;
}

static void
sweep_seeds(uint64_t first, uint64_t n)
{
	for (uint64_t seed = first; seed < first + n; seed++) {
		struct plan_of_faults p;

		random_plan(seed, &p);
		(void)run_plan(&p);
	}
}

static void
sweep_races(uint64_t first, uint64_t n)
{
	for (uint64_t seed = first; seed < first + n; seed++) {
		struct plan_of_faults p;

		random_race(seed, &p);
		(void)run_plan(&p);
	}
}

static void
sweep_world(enum sim_jobs jobs, uint64_t seeds)
{
	const struct plan_of_faults at_all = scenario_of(jobs);

	sweep_points(&at_all);
	for (uint64_t seed = 2; seed < 2 + seeds; seed++) {
		struct plan_of_faults p;

		random_plan(seed, &p);
		p.jobs = jobs;
		(void)run_plan(&p);
	}
}

/* *w gets one of the ways, but for files: nobody sees their calls. */
static struct plan_of_faults
plan_with(const struct sim_ways *way, struct sim_ways *w)
{
	*w = *way;
	w->files = false;
	return plan_without(w);
}

/* Each fault at every call, once for each kind of job, protocol, store and source of keys. */
static void
sweep_ways(void)
{
	for (size_t i = 0; i < ARRAY_LEN(ways); i++) {
		struct sim_ways w;
		struct plan_of_faults p = plan_with(&ways[i], &w);

		sweep_points(&p);
	}
}

/* ---- a day that is over ---- */

#define LONG_AFTER (4 * DAY) /* a day, max_catchup, hold, and a day */

struct over {
	struct sim *s;
	const struct plan_of_faults *p;
	struct sim_verdict *v;
	struct buf lines; /* when the day was over */
	uint64_t calls;	  /* up to then */
	size_t queries, objects;
};

static void
say_wrong(struct over *o, uint64_t *counter, const char *what)
{
	if (!o->v->what[0])
		(void)snprintf(o->v->what, SIM_WORDS, "%s", what);
	++*counter;
}

/* The next of the sorted lines, and how often it is there. */
static struct sv
next_line(struct sv *rest, size_t *n)
{
	struct sv line = {rest->p, 0};

	for (*n = 0; rest->n; ++*n) {
		const char *end = memchr(rest->p, '\n', rest->n);
		size_t len = (size_t)(end - rest->p) + 1;

		if (*n && !(len == line.n && !memcmp(rest->p, line.p, len)))
			break;
		line.n = len;
		*rest = (struct sv){rest->p + len, rest->n - len};
	}
	return line;
}

/* What a reader sees now: each line as often as it was frozen, or, on the way, once more. */
static void
look(struct over *o, bool on_the_way)
{
	struct buf now = BUF_INIT((size_t)64 << 20);
	struct sv is, want = buf_view(&o->lines);

	sim_lake_lines(o->s, &now);
	is = buf_view(&now);
	while (want.n || is.n) {
		size_t n_want, n_is;
		struct sv wanted = next_line(&want, &n_want), found = next_line(&is, &n_is);

		if (!sv_eq(wanted, found) || n_is < n_want) {
			say_wrong(o, &o->v->lost, "lines are missing");
			break;
		}
		if (n_is > (on_the_way ? 2 * n_want : n_want)) {
			say_wrong(o, &o->v->duplicated, "lines are there twice");
			break;
		}
	}
	buf_done(&now);
}

/* As many runs of the command as it takes, each time in another minute. */
static void
until_done(struct over *o, enum sim_command command)
{
	int status = -1;

	for (uint64_t n = 0; n < MAX_RUNS && status; n++) {
		status = sim_run(o->s, command, o->p->workers);
		totals.restarts += n > 0;
		if (o->s->trace)
			(void)printf("       status %d\n", status);
		look(o, true);
		o->s->now_ms += o->s->passed_ms + later(o->p->seed, n);
	}
	if (status)
		say_wrong(o, &o->v->lost, "no run came to a good end");
}

/* Some compact, some backfill, at once. */
static void
race_over(struct over *o)
{
	struct sim_proc procs[SIM_MAX_RUNS] = {0};

	for (size_t i = 0; i < o->p->racers; i++) {
		uint64_t r = mix64(o->p->seed ^ mix64(i + 99));

		procs[i].command = i == 0 || r % 3 ? SIM_COMPACT : SIM_BACKFILL;
		procs[i].now_ms = o->s->now_ms;
		procs[i].workers = 1 + (r >> 32) % 3;
	}
	sim_race(o->s, procs, o->p->racers);
	look(o, true);
	o->s->now_ms += o->s->passed_ms + later(o->p->seed, MAX_RUNS);
}

/* A world whose day is over, undisturbed so far. */
static void
day_is_over(struct over *o)
{
	struct plan_of_faults calm = *o->p;

	calm.racers = 0;
	calm.n = 0;
	o->s = open_world(&calm);
	o->lines = BUF_INIT((size_t)64 << 20);
	if (!live(o->s, &calm))
		abort();
	/* The cells of the first run: what none had, a backfill would add. */
	o->s->window = (struct cell){o->p->first_now - 5 * EVERY, o->p->first_now - SIM_DELAY_LOGS};
	o->s->now_ms += LONG_AFTER;
	sim_lake_lines(o->s, &o->lines);
	o->calls = o->s->calls;
	o->queries = o->s->n_queries;
	o->objects = sim_lake_objects(o->s);
}

/* How many queries a backfill of the window takes: of cells that nothing is frozen of. */
static size_t
queries_of_backfill(const struct plan_of_faults *p)
{
	struct sim_verdict ignored = {0};
	struct over o = {.p = p, .v = &ignored};
	size_t n;

	day_is_over(&o);
	until_done(&o, SIM_BACKFILL);
	n = o.s->n_queries - o.queries;
	buf_done(&o.lines);
	sim_free(o.s);
	return n;
}

static void
set_faults(struct over *o)
{
	memcpy(o->s->faults, o->p->faults, sizeof(o->s->faults));
	o->s->n_faults = o->p->n;
	for (size_t i = 0; i < o->p->n; i++)
		o->s->faults[i].at += o->calls;
}

/* Two hours of each region, in one object each. */
static void
check_over(struct over *o, size_t queries)
{
	look(o, false);
	if (sim_lake_objects(o->s) >= o->objects)
		say_wrong(o, &o->v->mismatched, "nothing was joined");
	o->s->n_faults = 0;
	until_done(o, SIM_BACKFILL);
	look(o, false);
	if (o->s->n_queries - o->queries != queries && !o->p->racers)
		say_wrong(o, &o->v->mismatched, "what is frozen was asked for again");
	if (o->s->lake_overwrites)
		say_wrong(o, &o->v->duplicated, "lake objects were overwritten");
}

/* Returns how many calls that took up to the first compaction's end. */
static uint64_t
run_over(const struct plan_of_faults *p, size_t queries)
{
	struct sim_verdict v = {0};
	struct over o = {.p = p, .v = &v};
	uint64_t calls;

	totals.points++;
	day_is_over(&o);
	set_faults(&o);
	o.s->trace = p->trace;
	if (p->racers)
		race_over(&o);
	until_done(&o, SIM_COMPACT);
	calls = o.s->calls - o.calls;
	check_over(&o, queries);
	if (v.what[0])
		say_plan(p, v.what);
	totals.lost += v.lost;
	totals.duplicated += v.duplicated;
	totals.mismatched += v.mismatched;
	buf_done(&o.lines);
	sim_free(o.s);
	return calls;
}

static const struct plan_of_faults over_scenario = {.compact = true,
						    .seed = 1,
						    .tenants = 1,
						    .workers = 1,
						    .jobs = SIM_LATE,
						    .first_now = SIM_EPOCH + 75 * SIM_MIN};

/* Every other one is a race. */
static void
random_over(uint64_t seed, struct plan_of_faults *p)
{
	random_plan(seed, p);
	p->compact = true;
	p->tenants = 1 + seed % 2;
	p->jobs = SIM_LATE;
	p->first_now = over_scenario.first_now;
	p->racers = seed % 2 ? 2 + mix64(seed) % 3 : 0;
	if (seed % 4 == 1)
		p->n = 0;
	for (size_t i = 0; i < p->n; i++)
		p->faults[i].at = 1 + p->faults[i].at % 150;
	qsort(p->faults, p->n, sizeof(p->faults[0]), by_call);
}

static void
sweep_over(uint64_t seeds)
{
	size_t queries = queries_of_backfill(&over_scenario);
	uint64_t calls = run_over(&over_scenario, queries);

	for (uint64_t at = 1; at <= calls; at++)
		for (int kind = 0; kind < SIM_FAULTS; kind++) {
			struct plan_of_faults p = over_scenario;

			p.faults[0] = (struct sim_fault){at, (enum sim_fault_kind)kind};
			p.n = 1;
			(void)run_over(&p, queries);
		}
	for (uint64_t seed = 2; seed < 2 + seeds; seed++) {
		struct plan_of_faults p;

		random_over(seed, &p);
		(void)run_over(&p, queries_of_backfill(&p));
	}
}

/* Hourly runs; now and then one is killed, or never started, or the receiver is down for hours. */
static void
month(uint64_t seed)
{
	struct sim *s = sim_new(seed, MONTH_TENANTS, HOUR, HABIT_KEEPER, SIM_USUAL);
	struct sim_verdict v = {0};
	uint64_t r = mix64(seed);
	int status = 0;

	s->call_ms = MONTH_CALL_MS;
	s->receiver->window_ms = 7 * DAY;
	for (s->now_ms = SIM_EPOCH + DAY; s->now_ms < SIM_EPOCH + 31 * DAY; s->now_ms += HOUR) {
		r = mix64(r);
		s->receiver_down = r % 64 < 2 || (s->receiver_down && r % 4);
		if ((r >> 8) % 32 == 0)
			continue;
		s->n_faults = (r >> 16) % 8 == 0;
		s->next_fault = 0;
		s->faults[0] =
		    (struct sim_fault){s->calls + 1 + (r >> 24) % 4000, (r >> 40) % SIM_FAULTS};
		(void)sim_run(s, SIM_RUN, 1);
		totals.points++;
	}
	s->n_faults = 0;
	s->receiver_down = false;
	for (int n = 0; n < 3; n++, s->now_ms += HOUR)
		if ((status = sim_run(s, SIM_RUN, 1)) == 0)
			break;
	if (status)
		(void)snprintf(v.what, SIM_WORDS, "the last run ended with %d", status);
	else
		sim_check(s, &v);
	if (v.what[0])
		(void)printf("FAIL %s (seed %llu)\n", v.what, (unsigned long long)seed);
	totals.lost += v.lost + (status != 0);
	totals.duplicated += v.duplicated;
	totals.mismatched += v.mismatched;
	(void)printf("tenants=%d runs=%llu calls=%llu objects=%zu\n", MONTH_TENANTS,
		     (unsigned long long)totals.points, (unsigned long long)s->calls,
		     map_count(&s->objects));
	sim_free(s);
}

static void
judge(const struct sim_verdict *v, const char *again)
{
	totals.points++;
	if (!v->what[0])
		return;
	(void)printf("FAIL %s\n     again: sweep %s\n", v->what, again);
	totals.lost += v->lost + (v->lost + v->duplicated + v->mismatched == 0);
	totals.duplicated += v->duplicated;
	totals.mismatched += v->mismatched;
	(void)fflush(stdout);
}

static void
sweep_chaos(uint64_t first, uint64_t n, size_t tenants)
{
	for (uint64_t seed = first; seed < first + n; seed++) {
		struct sim_verdict v;
		char again[64];

		sim_chaos(seed, tenants, false, &v);
		(void)snprintf(again, sizeof(again), "chaos-plan %llu %zu",
			       (unsigned long long)seed, tenants);
		judge(&v, again);
		/* Such a one takes minutes. */
		if (tenants > CHAOS_TENANTS || seed + 1 == first + n)
			sim_chaos_say(tenants);
	}
	sim_chaos_end();
}

static void
sweep_days(uint64_t first, uint64_t n, unsigned turns)
{
	for (uint64_t seed = first; seed < first + n; seed++) {
		struct sim_verdict v;
		char again[64];

		sim_day(seed, turns, false, &v);
		(void)snprintf(again, sizeof(again), "day-plan %llu %u", (unsigned long long)seed,
			       turns);
		judge(&v, again);
	}
}

static void
sweep_year(uint64_t seed, unsigned days)
{
	struct sim_verdict v;
	char again[64];

	sim_year(seed, days, false, &v);
	(void)snprintf(again, sizeof(again), "year-plan %llu %u", (unsigned long long)seed, days);
	judge(&v, again);
}

/* ---- the command line ---- */

static bool
read_fault(const char *text, struct sim_fault *f)
{
	for (int k = 0; k < SIM_FAULTS; k++) {
		size_t n = strlen(kinds[k]);

		if (strncmp(text, kinds[k], n) != 0 || text[n] != '@')
			continue;
		*f = (struct sim_fault){strtoull(text + n + 1, NULL, 10), (enum sim_fault_kind)k};
		return f->at > 0;
	}
	return false;
}

/* Worlds with seed 1 are the scenario, all others are random ones. */
static int
show_plan(const char *mode, int argc, char **argv)
{
	struct plan_of_faults p = scenario;
	uint64_t seed = strtoull(argv[0], NULL, 10);
	struct sim_verdict v = {0};
	unsigned jobs = 0;

	if (!strcmp(mode, "chaos-plan")) {
		sim_chaos(seed, argc > 1 ? strtoull(argv[1], NULL, 10) : CHAOS_TENANTS, true, &v);
		sim_chaos_end();
	}
	if (!strcmp(mode, "year-plan"))
		sim_year(seed, argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : YEAR, true, &v);
	if (!strcmp(mode, "day-plan"))
		sim_day(seed, argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : TURNS, true, &v);
	if (!strcmp(mode, "chaos-plan") || !strcmp(mode, "year-plan") || !strcmp(mode, "day-plan"))
		return printf("%s\n", v.what[0] ? v.what : "good") < 0 || v.what[0];
	while (jobs < SIM_WORLDS && strcmp(modes[jobs], mode) != 0)
		jobs++;
	if (jobs == SIM_WORLDS)
		random_race(seed, &p); /* or a day that is over, see below */
	else if (seed == scenario.seed)
		p = scenario_of(jobs);
	else
		random_plan(seed, &p);
	if (jobs < SIM_WORLDS)
		p.jobs = jobs;
	if (!strcmp(mode, "compact-plan")) {
		p = over_scenario;
		if (seed != over_scenario.seed)
			random_over(seed, &p);
	}
	p.n = 0;
	p.trace = true;
	for (int i = 1; i < argc && p.n < SIM_MAX_FAULTS; i++)
		if (!read_fault(argv[i], &p.faults[p.n++]))
			return 2;
	if (p.compact)
		(void)run_over(&p, queries_of_backfill(&p));
	else
		(void)run_plan(&p);
	return totals.lost + totals.duplicated + totals.mismatched ? 1 : 0;
}

static int
show_way(const char *name, const char *fault)
{
	for (size_t i = 0; i < ARRAY_LEN(ways); i++) {
		struct sim_ways w;
		struct plan_of_faults p = plan_with(&ways[i], &w);

		if (strcmp(name, w.name) != 0)
			continue;
		p.n = 1;
		p.trace = true;
		return read_fault(fault, &p.faults[0]) && run_plan(&p) ? 0 : 1;
	}
	return 2;
}

/* The world that goes by this name, but for the usual one; SIM_WORLDS: none. */
static enum sim_jobs
world_of(const char *word)
{
	unsigned jobs = SIM_LATE;

	while (jobs < SIM_WORLDS && (strncmp(modes[jobs], word, strlen(word)) != 0 ||
				     strcmp(modes[jobs] + strlen(word), "-plan") != 0))
		jobs++;
	return jobs;
}

static int
sweep(int argc, char **argv)
{
	enum sim_jobs jobs = world_of(argv[1]);
	unsigned long long share = 0, shares = 1;

	if (!strcmp(argv[1], "ways"))
		sweep_ways();
	else if (!strcmp(argv[1], "points"))
		sweep_points(&scenario);
	else if (jobs != SIM_WORLDS)
		sweep_world(jobs, argc > 2 ? strtoull(argv[2], NULL, 10) : 0);
	else if (!strcmp(argv[1], "compact"))
		sweep_over(argc > 2 ? strtoull(argv[2], NULL, 10) : 0);
	else if (!strcmp(argv[1], "allocations") &&
		 (argc == 2 || (sscanf(argv[2], "%llu/%llu", &share, &shares) == 2 && shares)))
		sweep_allocations(share, shares, argc > 3 ? argv[3] : NULL);
	else if (!strcmp(argv[1], "pairs") &&
		 (argc == 2 || (sscanf(argv[2], "%llu/%llu", &share, &shares) == 2 && shares)))
		sweep_pairs(share, shares);
	else if (!strcmp(argv[1], "seeds") && argc == 4)
		sweep_seeds(strtoull(argv[2], NULL, 10), strtoull(argv[3], NULL, 10));
	else if (!strcmp(argv[1], "races") && argc == 4)
		sweep_races(strtoull(argv[2], NULL, 10), strtoull(argv[3], NULL, 10));
	else if (!strcmp(argv[1], "chaos") && argc >= 4)
		sweep_chaos(strtoull(argv[2], NULL, 10), strtoull(argv[3], NULL, 10),
			    argc > 4 ? strtoull(argv[4], NULL, 10) : CHAOS_TENANTS);
	else if (!strcmp(argv[1], "days") && argc >= 4)
		sweep_days(strtoull(argv[2], NULL, 10), strtoull(argv[3], NULL, 10),
			   argc > 4 ? (unsigned)strtoul(argv[4], NULL, 10) : TURNS);
	else if (!strcmp(argv[1], "year") && argc >= 3)
		sweep_year(strtoull(argv[2], NULL, 10),
			   argc > 3 ? (unsigned)strtoul(argv[3], NULL, 10) : YEAR);
	else if (!strcmp(argv[1], "month"))
		month(argc > 2 ? strtoull(argv[2], NULL, 10) : 1);
	else
		return 2;
	(void)printf("points=%llu restarts=%llu lost=%llu duplicated=%llu mismatched=%llu\n",
		     (unsigned long long)totals.points, (unsigned long long)totals.restarts,
		     (unsigned long long)totals.lost, (unsigned long long)totals.duplicated,
		     (unsigned long long)totals.mismatched);
	return totals.lost + totals.duplicated + totals.mismatched ? 1 : 0;
}

int
main(int argc, char **argv)
{
	int null = open("/dev/null", O_WRONLY | O_CLOEXEC);

	if (argc < 2)
		return 2;
	if (argc > 2 && strstr(argv[1], "plan"))
		return show_plan(argv[1], argc - 2, argv + 2);
	if (argc == 4 && !strcmp(argv[1], "allocation"))
		return show_allocation(argv[2], strtoull(argv[3], NULL, 10)) ? 1 : 0;
	if (argc == 4 && !strcmp(argv[1], "way"))
		return show_way(argv[2], argv[3]);
	/* What runs say when they are killed is of no interest. */
	if (null < 0 || dup2(null, STDERR_FILENO) < 0)
		return 2;
	return sweep(argc, argv);
}
