/* Sinks behind a breaker; see outlet.h. */
#include "run/outlet.h"

#include <stdlib.h>

#include "base/log.h"

#define OPENING_WAIT_MS 1000
#define OPENING_MAX_MS	15000 /* since the first: silence takes long */

int
outlets_closed(const struct sink_conf *confs, size_t n, struct clock *clock, struct outlet **ret,
	       struct err *err)
{
	struct outlet *o = calloc(n ? n : 1, sizeof(*o));

	if (!o)
		return err_nomem(err);
	for (size_t i = 0; i < n; i++) {
		o[i].conf = &confs[i];
		o[i].clock = clock;
		(void)pthread_mutex_init(&o[i].locked.mu, NULL);
	}
	*ret = o;
	return 0;
}

static bool
may_pass(enum err_kind kind)
{
	return kind == ERR_TRANSIENT || kind == ERR_THROTTLED;
}

static void
open_one(struct outlet *o, const struct sink_env *env, int64_t until_mono_ms)
{
	struct err cancelled;
	int64_t wait = OPENING_WAIT_MS;

	for (int i = 1; sink_open(o->conf, env, &o->sink, &o->why); i++, wait *= 2) {
		(void)err_wrap(&o->why, "sink %s", o->conf->name);
		if (!may_pass(o->why.kind) || i == OUTLET_OPENINGS ||
		    clock_mono_ms(env->clock) + wait > until_mono_ms)
			return;
		log_event(LOG_WARN, "sink is opened again", LOG_S("sink", o->conf->name),
			  LOG_I("wait_ms", wait), LOG_E(&o->why));
		if (clock_sleep(env->clock, wait, &cancelled))
			return;
	}
	err_clear(&o->why);
}

int
outlets_open(const struct sink_conf *confs, size_t n, const struct sink_env *env,
	     struct outlet **ret, struct err *err)
{
	int64_t until_mono_ms = clock_mono_ms(env->clock) + OPENING_MAX_MS;

	if (outlets_closed(confs, n, env->clock, ret, err))
		return -1;
	for (size_t i = 0; i < n; i++)
		open_one(&(*ret)[i], env, until_mono_ms);
	return 0;
}

void
outlets_free(struct outlet *o, size_t n)
{
	if (!o)
		return;
	for (size_t i = 0; i < n; i++) {
		sink_free(o[i].sink);
		(void)pthread_mutex_destroy(&o[i].locked.mu);
	}
	free(o);
}

/* Why this sink is not to be tried now, or nothing. */
static int
check_up(struct outlet *o, struct err *err)
{
	int r = 0;

	if (!o->sink) {
		*err = o->why;
		return -1;
	}
	(void)pthread_mutex_lock(&o->locked.mu);
	if (clock_mono_ms(o->clock) < o->locked.down_until_mono_ms) {
		*err = o->locked.last;
		r = -1;
	}
	(void)pthread_mutex_unlock(&o->locked.mu);
	return r;
}

/* Then a disk that is full is full for all cells. A sink elsewhere knows nothing of a cell that
 * found no room for its own temporary files. */
static bool
is_on_this_machine(const struct sink_conf *c)
{
	return c->kind == SINK_STDOUT || (c->url && !strncmp(c->url, "file:", strlen("file:")));
}

static bool
says_sink_is_down(const struct outlet *o, enum err_kind kind)
{
	return kind == ERR_TRANSIENT || kind == ERR_THROTTLED || kind == ERR_AUTH ||
	       (kind == ERR_LOCAL && is_on_this_machine(o->conf));
}

static void
note_result(struct outlet *o, int result, const struct err *err)
{
	(void)pthread_mutex_lock(&o->locked.mu);
	if (!result) {
		o->locked.failures = 0;
		o->locked.cells_ok++;
	} else {
		o->locked.cells_failed++;
		if (says_sink_is_down(o, err->kind) && ++o->locked.failures >= OUTLET_FAILURES) {
			o->locked.last = *err;
			o->locked.down_until_mono_ms = clock_mono_ms(o->clock) + OUTLET_DOWN_MS;
		}
	}
	(void)pthread_mutex_unlock(&o->locked.mu);
}

int
outlet_publish(struct outlet *o, const struct publish *p, const struct cell_data *d,
	       struct published *ret, struct err *err)
{
	struct err local;
	int r;

	err = err ? err : &local;
	if (check_up(o, err))
		return -1;
	r = o->sink->ops->publish(o->sink, p, d, ret, err);
	if (r)
		(void)err_wrap(err, "sink %s", o->conf->name);
	if (!r || err->kind != ERR_CANCELLED)
		note_result(o, r, err);
	return r;
}

bool
outlet_dead(struct outlet *o)
{
	bool dead;

	(void)pthread_mutex_lock(&o->locked.mu);
	dead = !o->sink || (o->locked.cells_failed && !o->locked.cells_ok);
	(void)pthread_mutex_unlock(&o->locked.mu);
	return dead;
}
