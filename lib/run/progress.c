/* The progress line; see progress.h. */
#include "run/progress.h"

#include <stdio.h>
#include <unistd.h>

#include "base/log.h"
#include "base/num.h"

#define LIVE_EVERY_MS 500
#define LINE_EVERY_MS 30000

void
progress_init(struct progress *p, enum progress_mode mode, int fd, struct clock *clock)
{
	int64_t now = clock_mono_ms(clock);

	*p = (struct progress){
	    .fd = fd, .clock = clock, .started_mono_ms = now, .shown_mono_ms = now};
	p->live = mode != PROGRESS_NEVER && isatty(fd);
	p->off = mode == PROGRESS_NEVER;
}

/* Time left, judged by what was done so far: of a backfill cells, else tenants; "" while that says
 * nothing. */
static void
time_left(const struct runner_progress *g, int64_t elapsed_ms, char out[32])
{
	uint64_t done = g->cells_all ? g->cells : g->tenants_done;
	uint64_t all = g->cells_all ? g->cells_all - g->cells_earlier : g->tenants;

	out[0] = '\0';
	if (done && done < all)
		num_duration_format(
		    (int64_t)((double)elapsed_ms * (double)(all - done) / (double)done / 1000) *
			1000,
		    out);
}

static void
show_live(struct progress *p, const struct runner_progress *g, int64_t elapsed_ms)
{
	unsigned long long cells = g->cells_earlier + g->cells;
	char of[32] = "";
	char left[32];
	char line[256];
	int n;

	time_left(g, elapsed_ms, left);
	if (g->cells_all)
		(void)snprintf(of, sizeof(of), "/%llu", (unsigned long long)g->cells_all);
	n = snprintf(
	    line, sizeof(line),
	    "\r%zu/%zu tenants, %llu%s cells, %llu samples (%llu/s), %zu failed%s%s%s",
	    g->tenants_done, g->tenants, cells, of, (unsigned long long)g->samples,
	    (unsigned long long)(elapsed_ms ? g->samples * 1000 / (uint64_t)elapsed_ms : 0),
	    g->streams_failed, *left ? ", about " : "", left, *left ? " left" : "");
	if (n < 0 || (size_t)n >= sizeof(line) - 1)
		return;
	for (; (size_t)n < p->width && (size_t)n < sizeof(line) - 1; n++)
		line[n] = ' ';
	p->width = (size_t)n;
	if (write(p->fd, line, (size_t)n) < 0)
		p->off = true;
}

void
progress_tick(const struct runner *r, void *arg)
{
	struct progress *p = arg;
	int64_t now = clock_mono_ms(p->clock);
	struct runner_progress g;
	char left[32];
	char all[32];

	if (p->off || now - p->shown_mono_ms < (p->live ? LIVE_EVERY_MS : LINE_EVERY_MS))
		return;
	p->shown_mono_ms = now;
	runner_progress(r, &g);
	if (p->live) {
		show_live(p, &g, now - p->started_mono_ms);
		return;
	}
	time_left(&g, now - p->started_mono_ms, left);
	(void)snprintf(all, sizeof(all), "%llu", (unsigned long long)g.cells_all);
	log_event(LOG_INFO, "progress", LOG_I("tenants_done", g.tenants_done),
		  LOG_I("tenants", g.tenants), LOG_I("cells", g.cells_earlier + g.cells),
		  LOG_S("of", g.cells_all ? all : NULL), LOG_I("samples", g.samples),
		  LOG_I("failed", g.streams_failed), LOG_S("left", *left ? left : NULL));
}

void
progress_end(struct progress *p)
{
	if (p->live && p->width)
		(void)!write(p->fd, "\r\033[K", 4);
}
