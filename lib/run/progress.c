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

/* Time left, judged by tenants done so far; "" while that says nothing. */
static void
time_left(const struct runner_progress *g, int64_t elapsed_ms, char *out, size_t size)
{
	char text[32];

	out[0] = '\0';
	if (!g->tenants_done || g->tenants_done >= g->tenants)
		return;
	num_duration_format(elapsed_ms * (int64_t)(g->tenants - g->tenants_done) /
				(int64_t)g->tenants_done / 1000 * 1000,
			    text);
	(void)snprintf(out, size, ", about %s left", text);
}

static void
show_live(struct progress *p, const struct runner_progress *g, int64_t elapsed_ms)
{
	char left[64];
	char line[256];
	int n;

	time_left(g, elapsed_ms, left, sizeof(left));
	n = snprintf(
	    line, sizeof(line),
	    "\r%zu/%zu tenants, %llu cells, %llu samples (%llu/s), %zu failed%s", g->tenants_done,
	    g->tenants, (unsigned long long)g->cells, (unsigned long long)g->samples,
	    (unsigned long long)(elapsed_ms ? g->samples * 1000 / (uint64_t)elapsed_ms : 0),
	    g->streams_failed, left);
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

	if (p->off || now - p->shown_mono_ms < (p->live ? LIVE_EVERY_MS : LINE_EVERY_MS))
		return;
	p->shown_mono_ms = now;
	runner_progress(r, &g);
	if (p->live)
		show_live(p, &g, now - p->started_mono_ms);
	else
		log_event(LOG_INFO, "progress", LOG_I("tenants_done", g.tenants_done),
			  LOG_I("tenants", g.tenants), LOG_I("cells", g.cells),
			  LOG_I("samples", g.samples), LOG_I("failed", g.streams_failed));
}

void
progress_end(struct progress *p)
{
	if (p->live && p->width)
		(void)!write(p->fd, "\r\033[K", 4);
}
