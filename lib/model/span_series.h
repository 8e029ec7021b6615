/* Calls and durations of one cell, for span_cell.c. */
#ifndef MUSTER_MODEL_SPAN_SERIES_H
#define MUSTER_MODEL_SPAN_SERIES_H

#include "base/map.h"
#include "model/span.h"

struct span_counts {
	struct map services; /* of struct service */
	struct arena mem;
	struct cell cell;
	int64_t period_ms;
};
void span_counts_init(struct span_counts *c, struct cell cell, int64_t period_ms);
void span_counts_done(struct span_counts *c);
int span_counts_add(struct span_counts *c, const struct span *s, struct err *err);
/* Into d->rows and d->n_samples. */
int span_counts_rows(struct span_counts *c, const struct span_owner *o, struct cell_data *d, struct err *err);

#endif
