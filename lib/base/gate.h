/*
 * Memory that workers share: who is about to fill a lot of it enters first, and leaves when it is free again.
 *
 * Small requests need no gate. Large ones take turns, in the order in which they came; one that is larger than all there
 * is enters when nobody else is inside. Whoever is inside waits for nobody at this gate.
 */
#ifndef MUSTER_BASE_GATE_H
#define MUSTER_BASE_GATE_H

#include <pthread.h>
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"

struct gate {
	pthread_mutex_t mu;
	pthread_cond_t changed;
	size_t max, used;
	uint64_t next, serving; /* numbers drawn, and the one whose turn it is */
};

void gate_init(struct gate *g, size_t max);
void gate_done(struct gate *g);
/* Waits for room; ERR_CANCELLED if the run ends first. Thread-safe. */
int gate_enter(struct gate *g, size_t bytes, struct clock *clock, struct err *err);
void gate_leave(struct gate *g, size_t bytes);

#endif
