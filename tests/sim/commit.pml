/*
 * The commit protocol as a model for spin: every interleaving of runs that overlap, crash at any step and come again
 * later, against a service that never answers the same question twice alike, a lake that is create-once, and a receiver
 * that takes a stream's cells in order and keeps the first value it gets. No lease: it must not be needed.
 *
 *   make model      checks it, with a lake and without; then breaks it in six ways (MUTANT), each of which must be found
 *
 * How to read it. A run begins by writing down, by compare-and-swap, up to where it may begin cells (`begun`): whoever
 * comes after a crash must know that a refusal there may mean "already there". Then, cell by cell in time order:
 *
 *   freeze    pull() invents what the service says this time; the lake takes it only if it has nothing for the cell, and
 *             what it has wins. A job without a lake (NO_LAKE) sends what it pulled.
 *   publish   the receiver takes a cell newer than its newest, says yes to the same value of its newest again, and
 *             refuses all else. Its answer may be lost with the run.
 *   commit    both cursors move, by compare-and-swap of the generation the run has seen. One that finds another
 *             generation writes nothing more, and ends.
 *
 * A cell may be empty (nothing is frozen or sent, only recorded). While the receiver is down its cursor stays behind and
 * the lake's goes on. `due` moves between runs (now drifts). A late point of a frozen cell goes into its late object,
 * create-once too, by whoever sees it first.
 */
#ifndef CELLS
#define CELLS 2
#endif
#ifndef RUNS
#define RUNS 2 /* of which two overlap at any time; then a last one, undisturbed */
#endif
#ifndef MUTANT
#define MUTANT 0
#endif

byte lake[CELLS];	/* 0: none; else what was frozen */
byte late[CELLS];	/* late object: 0: none */
bool nothing[CELLS];
byte received[CELLS];	/* 0: none; else the value kept */
byte newest;		/* the receiver's: cells below it are in the past */
byte generation, begun, cur_lake, cur_rw;
byte due = 1;
bool down;
bool rejected, calm;
byte running, started;

inline pull(v) {
	if
	:: v = 1
	:: v = 2
	fi
}

/* What must hold after every step, whoever crashed where. */
#ifdef NO_LAKE
#define FROZEN(i) true
#define SAME(i)	  true
#else
#define FROZEN(i) (i >= cur_lake || nothing[i] || lake[i])
#define SAME(i)	  (received[i] == 0 || received[i] == lake[i])
#endif
#define SENT(i)	 (i >= cur_rw || nothing[i] || received[i])
#define HOLDS(i) (FROZEN(i) && SAME(i) && SENT(i))
#define CHECK	 assert(!rejected && cur_rw <= due && cur_lake <= due && HOLDS(0) && HOLDS(1) && HOLDS(CELLS - 1))

/* Anywhere: the process is gone, with all it had in memory. */
#define CRASH	if :: !calm -> goto gone :: skip fi

proctype worker()
{
	byte seen, mine, c, v, through, k_lake, k_rw;
	bool maybe;

	/* Load. */
	d_step {
		seen = generation;
		through = begun;
		k_lake = cur_lake;
		k_rw = cur_rw;
		mine = due;
	}
	CRASH;
	/* Lease and `begun`, in one write. */
	atomic {
		if
		:: generation == seen || MUTANT == 1 ->
			generation = (generation + 1) % 64;
			seen = generation;
			if
			:: mine > begun -> begun = mine
			:: else
			fi
		:: else -> goto gone
		fi
	}
	CRASH;
	c = (k_rw < k_lake -> k_rw : k_lake);
	do
	:: c < mine ->
		v = 0;
		if
		:: nothing[c] -> skip
		:: !nothing[c] ->
			/* Freeze. */
			pull(v);
#ifndef NO_LAKE
			CRASH;
			atomic {
				if
				:: MUTANT == 2 -> lake[c] = v		/* overwrites */
				:: MUTANT == 3 && lake[c] -> skip	/* sends its own bytes */
				:: else ->
					if
					:: lake[c] == 0 -> lake[c] = v
					:: else -> v = lake[c]
					fi
				fi;
				CHECK
			}
#endif
			CRASH;
			/* Publish, unless the receiver is down: its cursor waits, and so do all later cells for it. */
			if
			:: c == k_rw && !down ->
				maybe = (c < through);
				atomic {
					if
					:: c >= newest && received[c] == 0 ->
						received[c] = v;
						newest = c + 1
					:: received[c] == v && newest == c + 1 -> skip
					:: else ->
						if
						:: maybe || generation != seen -> skip	/* already there */
						:: else -> rejected = true
						fi
					fi;
					CHECK
				}
				k_rw = c + 1
			:: MUTANT == 4 && !down ->	/* does not wait for the cell before */
				atomic {
					if
					:: c >= newest -> received[c] = v; newest = c + 1
					:: else
					fi;
					CHECK
				}
				k_rw = c + 1
			:: MUTANT == 6 && down -> k_rw = c + 1	/* counts what nobody took */
			:: else -> skip
			fi
		fi;
		if
		:: nothing[c] && c == k_rw -> k_rw = c + 1
		:: else
		fi;
		if
		:: c >= k_lake -> k_lake = c + 1
		:: else
		fi;
		CRASH;
		/* Commit. */
		atomic {
			if
			:: MUTANT == 5 || generation == seen ->
				generation = (generation + 1) % 64;
				seen = generation;
				assert(k_lake >= cur_lake && k_rw >= cur_rw);
				cur_lake = k_lake;
				cur_rw = k_rw
			:: else -> goto gone
			fi;
			CHECK
		}
		CRASH;
		c++
	:: else -> break
	od;
	/* Revisit: a late point of the last cell, seen by whoever looks. */
	if
	:: k_lake > 0 && !nothing[k_lake - 1] ->
		pull(v);
		CRASH;
		atomic {
			if
			:: late[k_lake - 1] == 0 -> late[k_lake - 1] = v
			:: else	/* somebody was first: what it has is taken for seen */
			fi
		}
	:: skip
	fi;
gone:
	running--
}

/* Schedules runs, two at once where it likes; the last one is alone, meets no trouble, and must finish the work. */
init {
	byte i;

	atomic {
		i = 0;
		do
		:: i < CELLS ->
			if
			:: nothing[i] = true
			:: skip
			fi;
			i++
		:: else -> break
		od
	}
	do
	:: started < RUNS && running < 2 ->
		atomic {
			if
			:: due < CELLS -> due++
			:: skip
			fi;
			if
			:: down = true
			:: down = false
			fi;
			started++;
			running++;
			run worker()
		}
	:: started == RUNS && running == 0 -> break
	od;
	/* Trouble has passed: one more run, and everything due is done. */
	calm = true;
	down = false;
	running++;
	run worker();
	running == 0;
	assert(cur_rw == due && cur_lake == due)
}
