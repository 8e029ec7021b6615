/*
 * Which series of a cell go to receivers where there are more than a tenant may have.
 *
 * A dimension that holds a request's id makes a series for each of them. Receivers pay for series, and refuse all of a
 * workspace's once there are too many; so one tenant's must not be without end.
 *
 * Names share what there is: the series of a name with few all stay, and who has many loses first. Of one name those
 * with the lowest hashes stay, so that the choice depends on the cell's series alone (the same in every run, process
 * and backfill), and a series that comes or goes changes the fate of at most one other of each name.
 */
#ifndef MUSTER_MODEL_SERIES_CAP_H
#define MUSTER_MODEL_SERIES_CAP_H

#include "model/series.h"

struct series_cap {
	uint64_t *kept; /* hashes, sorted; NULL: all stay */
	size_t n;
	size_t over; /* how many do not */
};

/* Chooses at most `max` (0: without bound) of the series of `whole` and its late objects (whole->later). ERR_LOCAL:
 * no memory. Free with series_cap_done. */
int series_cap_choose(struct series_cap *c, const struct cell_data *whole, size_t max, struct err *err);
void series_cap_done(struct series_cap *c);
/* Into *to (initialised): the rows of d that stay, which point into d's memory, and how many samples they have. */
int series_cap_take(const struct series_cap *c, const struct cell_data *d, struct cell_data *to, struct err *err);

#endif
