/* The program, once or several times at once, in a simulated world; see sim.h. */
#include "tests/sim/sim.h"

#include <stddef.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/timefmt.h"
#include "run/command.h"

#define NAP_MS 1000

/* ---- what a run has instead of a network and a clock ---- */

static int
put_world(void *arg, struct transport **t, struct err *err)
{
	struct sim_proc *p = arg;

	(void)err;
	*t = &p->base;
	return 0;
}

/* The run frees its transports; the world outlives it. */
static void
keep(struct transport *t)
{
	(void)t;
}

static struct sim_proc *
proc_of(struct clock *c)
{
	return (struct sim_proc *)(void *)((char *)c - offsetof(struct sim_proc, clock));
}

static int64_t
proc_wall_ms(struct clock *c)
{
	return sim_wall_ms(proc_of(c)->world) + proc_of(c)->world->skew_ms;
}

static int64_t
proc_mono_ms(struct clock *c)
{
	return proc_of(c)->world->passed_ms;
}

static int
proc_sleep(struct clock *c, int64_t ms, int64_t grace_ms, struct err *err)
{
	if (clock_check_grace(c, grace_ms, err) < 0)
		return -1;
	/* A cancelled run's clock wakes who sleeps. */
	for (int64_t left = ms; left > 0 && (grace_ms || !clock_cancelled(c)); left -= NAP_MS)
		sim_sleep(left < NAP_MS ? left : NAP_MS);
	if (ms <= 0)
		sim_yield();
	return clock_check_grace(c, grace_ms, err);
}

static void
proc_init(struct sim_proc *p, struct sim *s)
{
	static const struct transport_ops transport_ops = {"sim", sim_send, keep};
	static const struct clock_ops clock_ops = {proc_wall_ms, proc_mono_ms, proc_sleep};

	p->base.ops = &transport_ops;
	p->clock.ops = &clock_ops;
	p->world = s;
	p->hooks = (struct session_hooks){.offline = true,
					  .fixed_now = true,
					  .clock = &p->clock,
					  .stdout_fd = s->screen,
					  .bottom = put_world,
					  .arg = p};
}

/* ---- runs ---- */

static void *
proc_main(void *arg)
{
	struct sim_proc *p = arg;
	static int (*const commands[])(int, char **) = {cmd_run, cmd_compact, cmd_backfill};
	static const char *const names[] = {"run", "compact", "backfill"};
	char now[TIME_TEXT_MAX], from[TIME_TEXT_MAX], to[TIME_TEXT_MAX], workers[24];
	const char *argv[] = {names[p->command],
			      "-c",
			      p->world->config,
			      "--now",
			      now,
			      "-q",
			      "--progress",
			      "never",
			      "--workers",
			      workers,
			      "--from",
			      from,
			      "--to",
			      to,
			      NULL};
	int argc = (int)ARRAY_LEN(argv) - (p->command == SIM_BACKFILL ? 1 : 5);

	time_format_ms(p->now_ms, now);
	time_format_ms(p->world->window.start_ms, from);
	time_format_ms(p->world->window.end_ms, to);
	(void)snprintf(workers, sizeof(workers), "%zu", p->workers);
	argv[argc] = NULL;
	p->status = commands[p->command](argc, (char **)(uintptr_t)argv);
	if (p->dead)
		p->status = -1;
	return NULL;
}

static void
world_begin(struct sim *s)
{
	sim_set_ways(s);
	cw_proto_begin(s->ways.proto); /* this CloudWatch speaks nothing else */
	s->passed_ms = 0;
}

int
sim_run(struct sim *s, enum sim_command command, size_t workers)
{
	struct sim_proc p = {.command = command, .now_ms = s->now_ms, .workers = workers};

	world_begin(s);
	proc_init(&p, s);
	sim_threads_begin(s, &p);
	(void)proc_main(&p);
	sim_threads_end();
	return p.status;
}

void
sim_race(struct sim *s, struct sim_proc *procs, size_t n)
{
	pthread_t threads[SIM_MAX_RUNS];

	world_begin(s);
	for (size_t i = 0; i < n; i++)
		proc_init(&procs[i], s);
	sim_threads_begin(s, &procs[0]);
	for (size_t i = 1; i < n; i++)
		(void)sim_thread_create(&threads[i], NULL, &procs[i], proc_main, &procs[i]);
	(void)proc_main(&procs[0]);
	for (size_t i = 1; i < n; i++)
		(void)pthread_join(threads[i], NULL);
	sim_threads_end();
}
