/*
 * Threads of a simulated world, one at a time: which goes on is drawn from the world's seed at
 * every call of AWS, every lock that is taken and every wait, so that any interleaving may come and
 * the one that failed comes again.
 *
 * The program is linked with the C library's thread functions wrapped (see the Makefile). A thread
 * that this file knows, a task, runs only while it is `running`; all others it has never heard of
 * and leaves alone. Waits with a time limit end when the dice say so, or when nothing else can go
 * on, and the world's clock then moves: no real time passes anywhere. Where no task can go on at
 * all the program has locked itself up, and the sweep aborts. What the program draws at random
 * comes from the seed, too.
 */
#include "tests/sim/sim.h"

#include <errno.h>
#include <stdlib.h>

#include "base/hash.h"

#define MAX_TASKS   128
#define TICK_MS	    100 /* that a wait took which nothing but its time limit could end */
#define MAX_TICKS   (24 * 3600 * 1000 / TICK_MS) /* nobody sleeps longer */
#define LOCK_ODDS   8				 /* one lock in so many lets others go first */
#define EXPIRE_ODDS 16 /* one turn in so many may go to a wait's time limit */

enum state { FREE, READY, ON_LOCK, ON_SIGNAL, ON_SIGNAL_TIMED, ON_CLOCK, ON_END, ENDED };
struct task {
	enum state state;
	int64_t wake_ms;  /* ON_CLOCK: by what has passed in the world */
	bool expired;	  /* its wait ended by the time limit */
	const void *what; /* it waits for: a mutex, a condition, a task */
	struct sim_proc *proc;
	pthread_t thread;
	pthread_cond_t go;
	void *(*fn)(void *arg);
	void *arg;
};

/* The linker's names of what is wrapped, and of what wraps it. */
int __real_pthread_mutex_lock(pthread_mutex_t *m);
int __real_pthread_mutex_unlock(pthread_mutex_t *m);
int __real_pthread_cond_wait(pthread_cond_t *c, pthread_mutex_t *m);
int __real_pthread_cond_timedwait(pthread_cond_t *c, pthread_mutex_t *m,
				  const struct timespec *until);
int __real_pthread_cond_signal(pthread_cond_t *c);
int __real_pthread_cond_broadcast(pthread_cond_t *c);
int __real_pthread_create(pthread_t *t, const pthread_attr_t *attr, void *(*fn)(void *), void *arg);
int __real_pthread_join(pthread_t t, void **ret);
int __real_random_bytes(void *p, size_t n, struct err *err);
int __wrap_random_bytes(void *p, size_t n, struct err *err);
int __wrap_malloc_trim(size_t pad);
int __wrap_pthread_mutex_lock(pthread_mutex_t *m);
int __wrap_pthread_mutex_unlock(pthread_mutex_t *m);
int __wrap_pthread_cond_wait(pthread_cond_t *c, pthread_mutex_t *m);
int __wrap_pthread_cond_timedwait(pthread_cond_t *c, pthread_mutex_t *m,
				  const struct timespec *until);
int __wrap_pthread_cond_signal(pthread_cond_t *c);
int __wrap_pthread_cond_broadcast(pthread_cond_t *c);
int __wrap_pthread_create(pthread_t *t, const pthread_attr_t *attr, void *(*fn)(void *), void *arg);
int __wrap_pthread_join(pthread_t t, void **ret);

static pthread_mutex_t big = PTHREAD_MUTEX_INITIALIZER; /* guards all below */
static struct task tasks[MAX_TASKS];
static struct task *running;
static struct sim *world; /* NULL: no task is known */
static uint64_t dice;
static uint64_t noise; /* what the program takes for chance */
static _Thread_local struct task *self;

static uint64_t
roll(void)
{
	return dice = mix64(dice);
}

/* ---- whose turn it is (big held) ---- */

static bool
may_go(const struct task *t, bool expire)
{
	return t->state == READY || (expire && t->state == ON_SIGNAL_TIMED) ||
	       (t->state == ON_CLOCK && t->wake_ms <= world->passed_ms);
}

/* Nothing can go on now: to the next moment at which something can, but no further than a tick. */
static void
pass_time(void)
{
	int64_t to = world->passed_ms + TICK_MS;

	for (size_t i = 0; i < MAX_TASKS; i++)
		if (tasks[i].state == ON_CLOCK && tasks[i].wake_ms < to)
			to = tasks[i].wake_ms;
	world->passed_ms = to;
}

static size_t
count_able(bool expire)
{
	size_t n = 0;

	for (size_t i = 0; i < MAX_TASKS; i++)
		n += may_go(&tasks[i], expire);
	return n;
}

static bool
any_sleeps(void)
{
	for (size_t i = 0; i < MAX_TASKS; i++)
		if (tasks[i].state == ON_CLOCK)
			return true;
	return false;
}

static struct task *
draw_task(void)
{
	bool expire = roll() % EXPIRE_ODDS == 0;
	size_t n = count_able(expire), nth;

	if (!n) {
		expire = true;
		pass_time();
		n = count_able(expire);
		for (int ticks = 0; !n && any_sleeps() && ticks < MAX_TICKS; ticks++) {
			pass_time();
			n = count_able(expire);
		}
	}
	if (!n)
		abort(); /* all wait for each other */
	nth = roll() % n;
	for (struct task *t = tasks;; t++)
		if (may_go(t, expire) && nth-- == 0)
			return t;
}

static void
hand_over(struct task *to)
{
	to->expired = to->state == ON_SIGNAL_TIMED;
	to->state = READY;
	running = to;
	session_hook(&to->proc->hooks);
	if (to != self)
		(void)__real_pthread_cond_signal(&to->go);
}

/* Lets another go on until it is this one's turn again. */
static void
switch_away(void)
{
	hand_over(draw_task());
	while (running != self)
		(void)__real_pthread_cond_wait(&self->go, &big);
}

static void
wake(const void *what, enum state from, bool all)
{
	size_t n = 0, nth;

	for (size_t i = 0; i < MAX_TASKS; i++)
		n += tasks[i].state == from && tasks[i].what == what;
	if (!n)
		return;
	nth = roll() % n;
	for (size_t i = 0; i < MAX_TASKS; i++)
		if (tasks[i].state == from && tasks[i].what == what && (all || nth-- == 0)) {
			tasks[i].state = READY;
			tasks[i].expired = false;
		}
}

static bool
wait_for(enum state state, const void *what)
{
	bool expired;

	(void)__real_pthread_mutex_lock(&big);
	self->state = state;
	self->what = what;
	self->expired = false;
	switch_away();
	expired = self->expired;
	(void)__real_pthread_mutex_unlock(&big);
	return expired;
}

void
sim_yield(void)
{
	if (!self)
		return;
	(void)__real_pthread_mutex_lock(&big);
	switch_away();
	(void)__real_pthread_mutex_unlock(&big);
}

void
sim_sleep(int64_t ms)
{
	if (!self)
		return;
	self->wake_ms = world->passed_ms + ms;
	(void)wait_for(ON_CLOCK, NULL);
}

/* ---- tasks ---- */

static struct task *
new_task(struct sim_proc *proc)
{
	for (struct task *t = tasks; t < tasks + MAX_TASKS; t++)
		if (t->state == FREE) {
			*t = (struct task){.state = READY, .proc = proc};
			(void)pthread_cond_init(&t->go, NULL);
			return t;
		}
	abort();
}

void
sim_threads_begin(struct sim *s, struct sim_proc *proc)
{
	(void)__real_pthread_mutex_lock(&big);
	world = s;
	dice = mix64(s->seed ^ 0x7412ead ^ s->calls);
	noise = mix64(dice);
	self = new_task(proc);
	self->thread = pthread_self();
	running = self;
	session_hook(&proc->hooks);
	(void)__real_pthread_mutex_unlock(&big);
}

void
sim_threads_end(void)
{
	(void)pthread_cond_destroy(&self->go);
	self->state = FREE;
	self = running = NULL;
	world = NULL;
	session_hook(NULL);
}

static void *
task_main(void *arg)
{
	struct task *t = arg;
	void *ret;

	(void)__real_pthread_mutex_lock(&big);
	self = t;
	while (running != self)
		(void)__real_pthread_cond_wait(&self->go, &big);
	(void)__real_pthread_mutex_unlock(&big);
	ret = t->fn(t->arg);
	(void)__real_pthread_mutex_lock(&big);
	t->state = ENDED;
	wake(t, ON_END, true);
	hand_over(draw_task());
	self = NULL;
	(void)__real_pthread_mutex_unlock(&big);
	return ret;
}

int
sim_thread_create(pthread_t *ret, const pthread_attr_t *attr, struct sim_proc *proc,
		  void *(*fn)(void *), void *arg)
{
	struct task *t;

	(void)__real_pthread_mutex_lock(&big);
	t = new_task(proc);
	t->fn = fn;
	t->arg = arg;
	if (__real_pthread_create(ret, attr, task_main, t))
		abort();
	t->thread = *ret;
	(void)__real_pthread_mutex_unlock(&big);
	return 0;
}

/* ---- the wrapped functions ---- */

int
__wrap_random_bytes(void *p, size_t n, struct err *err)
{
	unsigned char *out = p;

	if (!self)
		return __real_random_bytes(p, n, err);
	for (size_t i = 0; i < n; i++) {
		noise = mix64(noise);
		out[i] = (unsigned char)noise;
	}
	return 0;
}

/* The world is in the same heap: the program would take it for its own, and trim again and again.
 */
int
__wrap_malloc_trim(size_t pad)
{
	(void)pad;
	return 0;
}

int
__wrap_pthread_create(pthread_t *t, const pthread_attr_t *attr, void *(*fn)(void *), void *arg)
{
	if (!self)
		return __real_pthread_create(t, attr, fn, arg);
	return sim_thread_create(t, attr, self->proc, fn, arg);
}

int
__wrap_pthread_join(pthread_t thread, void **ret)
{
	struct task *t = tasks;

	if (!self)
		return __real_pthread_join(thread, ret);
	while (t->state == FREE || !pthread_equal(t->thread, thread))
		t++;
	while (t->state != ENDED)
		(void)wait_for(ON_END, t);
	(void)pthread_cond_destroy(&t->go);
	t->state = FREE;
	return __real_pthread_join(thread, ret);
}

int
__wrap_pthread_mutex_lock(pthread_mutex_t *m)
{
	if (!self)
		return __real_pthread_mutex_lock(m);
	if (roll() % LOCK_ODDS == 0)
		sim_yield();
	while (pthread_mutex_trylock(m))
		(void)wait_for(ON_LOCK, m);
	return 0;
}

int
__wrap_pthread_mutex_unlock(pthread_mutex_t *m)
{
	int r = __real_pthread_mutex_unlock(m);

	if (self)
		wake(m, ON_LOCK, true);
	return r;
}

static int
wait_on(pthread_cond_t *c, pthread_mutex_t *m, enum state state)
{
	bool expired;

	(void)__wrap_pthread_mutex_unlock(m);
	expired = wait_for(state, c);
	(void)__wrap_pthread_mutex_lock(m);
	return expired ? ETIMEDOUT : 0;
}

int
__wrap_pthread_cond_wait(pthread_cond_t *c, pthread_mutex_t *m)
{
	return self ? wait_on(c, m, ON_SIGNAL) : __real_pthread_cond_wait(c, m);
}

int
__wrap_pthread_cond_timedwait(pthread_cond_t *c, pthread_mutex_t *m, const struct timespec *until)
{
	return self ? wait_on(c, m, ON_SIGNAL_TIMED) : __real_pthread_cond_timedwait(c, m, until);
}

int
__wrap_pthread_cond_signal(pthread_cond_t *c)
{
	if (!self)
		return __real_pthread_cond_signal(c);
	wake(c, ON_SIGNAL, false);
	wake(c, ON_SIGNAL_TIMED, false);
	return 0;
}

int
__wrap_pthread_cond_broadcast(pthread_cond_t *c)
{
	if (!self)
		return __real_pthread_cond_broadcast(c);
	wake(c, ON_SIGNAL, true);
	wake(c, ON_SIGNAL_TIMED, true);
	return 0;
}
