/* Two threads and a list that is never longer than they are many; see ahead.h. */
#include "run/ahead.h"

#include "base/crew.h"

void
ahead_init(struct ahead *a)
{
	*a = (struct ahead){0};
	(void)pthread_mutex_init(&a->mu, NULL);
	(void)pthread_cond_init(&a->changed, NULL);
}

void
ahead_done(struct ahead *a)
{
	(void)pthread_mutex_lock(&a->mu);
	a->over = true;
	(void)pthread_cond_broadcast(&a->changed);
	(void)pthread_mutex_unlock(&a->mu);
	for (size_t i = 0; i < a->n_threads; i++)
		(void)pthread_join(a->threads[i], NULL);
	(void)pthread_cond_destroy(&a->changed);
	(void)pthread_mutex_destroy(&a->mu);
}

static void *
thread_main(void *arg)
{
	struct ahead *a = arg;

	(void)pthread_mutex_lock(&a->mu);
	while (!a->over) {
		struct ahead_task *task = a->todo;

		if (!task) {
			(void)pthread_cond_wait(&a->changed, &a->mu);
			continue;
		}
		a->todo = task->next;
		(void)pthread_mutex_unlock(&a->mu);
		task->run(task->arg);
		(void)pthread_mutex_lock(&a->mu);
		task->done = true;
		a->taken--;
		(void)pthread_cond_broadcast(&a->changed);
	}
	(void)pthread_mutex_unlock(&a->mu);
	return NULL;
}

static bool
start_thread_locked(struct ahead *a)
{
	bool ok = !crew_start(&a->threads[a->n_threads], thread_main, a);

	a->n_threads += ok;
	return ok;
}

bool
ahead_begin(struct ahead *a, struct ahead_task *task)
{
	bool ok;

	(void)pthread_mutex_lock(&a->mu);
	ok = a->taken < a->n_threads || (a->taken < AHEAD_THREADS && start_thread_locked(a));
	if (ok) {
		task->done = false;
		task->next = a->todo;
		a->todo = task;
		a->taken++;
		(void)pthread_cond_broadcast(&a->changed);
	}
	(void)pthread_mutex_unlock(&a->mu);
	return ok;
}

void
ahead_wait(struct ahead *a, struct ahead_task *task)
{
	(void)pthread_mutex_lock(&a->mu);
	while (!task->done)
		(void)pthread_cond_wait(&a->changed, &a->mu);
	(void)pthread_mutex_unlock(&a->mu);
}
