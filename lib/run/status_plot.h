/* Drawings of the status page, as inline SVG: each with its words for those who do not see it. */
#ifndef MUSTER_RUN_STATUS_PLOT_H
#define MUSTER_RUN_STATUS_PLOT_H

#include "run/status.h"
#include "run/status_runs.h"

#define STATUS_TIMELINE_MS INT64_C(86400000) /* what a timeline shows, up to now */

/* Once in a page, before the first timeline: the hatching of gaps. */
void status_plot_defs(struct buf *out);
/* What is done, partly done, given up and open of the last day. */
void status_timeline(const struct status *st, const struct status_stream *s, struct buf *out);
/* One bar a run. `value` picks it, `unit` writes it. */
void status_bars(const struct status_runs *runs, const char *id, const char *title,
		 double (*value)(const struct status_run *r),
		 void (*unit)(double v, char out[48]), struct buf *out);

#endif
