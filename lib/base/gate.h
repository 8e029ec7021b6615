/*
 * Memory that workers share: who is about to fill a lot of it enters first, and leaves when it is free again.
 *
 * Small requests need no gate. Large ones take turns, in the order in which they came; one that is larger than all there
 * is enters when nobody else is inside. Whoever is inside waits for nobody at this gate, but for some guests:
 *
 * Who waits for the network inside is a guest: after a while it has no more room than what has come takes, or a few that get
 * no answer would keep everybody out. Small guests enter at once. Where more comes than was expected, a guest waits with the
 * first of it until there is room for all; one at a time goes on without, so that there will be.
 */
#ifndef MUSTER_BASE_GATE_H
#define MUSTER_BASE_GATE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"

#define GATE_PATIENCE_MS 3000 /* so long a guest has all of its room */
#define GATE_ALONE_MAX	 ((size_t)24 << 20) /* two of the largest pages of Logs Insights */
#define GATE_FEW_BYTES	 ((size_t)64 << 10) /* what is small */
#define GATE_STEP	 ((size_t)512 << 10) /* so much more is asked for, where nobody says how much will come */
#define GATE_GROW_MS	 10000 /* after so long a guest goes on without room, to its end */

struct gate_guest {
	atomic_size_t arrived; /* bytes */
	size_t bytes, counted; /* what it has room for, and how much of that in the gate */
	bool hurried;	       /* it has waited for more, and waits no longer */
	int64_t since_ms;
	struct gate_guest *next;
};

struct gate {
	pthread_mutex_t mu;
	pthread_cond_t changed;
	size_t max, used;
	uint64_t next, serving; /* numbers drawn, and the one whose turn it is */
	struct gate_guest *guests, *beyond; /* all; the one that went on without room, NULL: none */
};

void gate_init(struct gate *g, size_t max);
void gate_done(struct gate *g);
/* Waits for room; ERR_CANCELLED if the run ends first. Thread-safe. */
int gate_enter(struct gate *g, size_t bytes, struct clock *clock, struct err *err);
void gate_leave(struct gate *g, size_t bytes);
/* The same for a guest, which stays where it is until it leaves. What it makes of what has come is taken to need as much
 * memory again. */
int gate_enter_guest(struct gate *g, struct gate_guest *guest, size_t bytes, struct clock *clock, struct err *err);
/* Waits for nobody: false if there is no room now, or others wait for it. Who is alone inside, as `beside` (NULL: it is
 * not), may have as much as GATE_ALONE_MAX again. */
bool gate_try_guest(struct gate *g, struct gate_guest *guest, const struct gate_guest *beside, size_t bytes,
		    struct clock *clock);
void gate_leave_guest(struct gate *g, struct gate_guest *guest);
/* `have` bytes have come for it, of `all` (as many, where that is not known). Waits where that is more than it has room for,
 * but not in a run that was told to end. For the thread that receives. */
void gate_arrived(struct gate *g, struct gate_guest *guest, size_t have, size_t all, struct clock *clock);

#endif
