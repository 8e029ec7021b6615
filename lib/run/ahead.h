/*
 * A run's threads for what is asked ahead (asked.h): they do one task after the other, and there is no queue. Who finds
 * none of them free does without.
 *
 * They are started when they are first wanted. All functions are thread-safe but ahead_init and ahead_done.
 */
#ifndef MUSTER_RUN_AHEAD_H
#define MUSTER_RUN_AHEAD_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

#define AHEAD_THREADS 2 /* while one reads two can be on their way: there are two processors, and a connection each */

struct ahead_task {
	void (*run)(void *arg);
	void *arg;
	bool done;
	struct ahead_task *next;
};

struct ahead {
	pthread_mutex_t mu;
	pthread_cond_t changed;
	pthread_t threads[AHEAD_THREADS];
	size_t n_threads;
	size_t taken; /* tasks that are to be done or being done */
	struct ahead_task *todo;
	bool over;
};

void ahead_init(struct ahead *a);
/* Every task must have been waited for. */
void ahead_done(struct ahead *a);
/* Has task->run called by another thread, soon; the task stays where it is until it was waited for. False: it was not
 * taken. */
bool ahead_begin(struct ahead *a, struct ahead_task *task);
/* Until the task is done. Needed for each that was taken. */
void ahead_wait(struct ahead *a, struct ahead_task *task);

#endif
