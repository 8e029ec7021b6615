/* Threads that share one piece of work, and how a thread is started here. Thread-safe. */
#ifndef MUSTER_BASE_CREW_H
#define MUSTER_BASE_CREW_H

#include <pthread.h>
#include <stddef.h>

/* A thread with 512 KiB of stack, not the 8 MiB that a limit of this machine may ask for. Returns 0 or the number of
 * the error; the thread is to be joined. */
int crew_start(pthread_t *thread, void *(*work)(void *), void *arg);

/* Runs `work(arg)` in up to `hands` threads at once and returns when the last has come back. The calling thread is one of
 * them: without any other, for want of memory or threads, it only takes longer. What `work` returns is not looked at. */
void crew_work(size_t hands, void *(*work)(void *), void *arg);

#endif
