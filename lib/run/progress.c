/* Progress; see progress.h. */
#include "run/progress.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/live.h"
#include "base/log.h"
#include "base/num.h"

#define LIVE_EVERY_MS 500
#define LINE_EVERY_MS 30000
#define MORE_MAX      16 /* columns kept for how many are not shown */

static bool
has_live(void)
{
	const char *term = getenv("TERM");

	return isatty(STDERR_FILENO) && term && *term && strcmp(term, "dumb") != 0;
}

void
progress_init(struct progress *p, enum progress_mode mode, bool shared, struct clock *clock)
{
	int64_t now = clock_mono_ms(clock);

	*p = (struct progress){.clock = clock, .started_mono_ms = now, .shown_mono_ms = now};
	p->anyway = mode == PROGRESS_ALWAYS;
	p->off = mode == PROGRESS_NEVER || (!p->anyway && !log_enabled(LOG_INFO));
	p->live = !p->off && !shared && has_live();
}

int64_t
progress_left_ms(const struct runner_progress *g, int64_t elapsed_ms)
{
	uint64_t all = g->cells_all > g->cells_earlier ? g->cells_all - g->cells_earlier : 0;
	uint64_t done = all ? g->cells : g->tenants_done;

	if (!all)
		all = g->tenants;
	if (!done || done >= all)
		return 0;
	return (int64_t)((double)elapsed_ms * (double)(all - done) / (double)done);
}

static uint64_t
a_second(uint64_t n, int64_t elapsed_ms)
{
	return elapsed_ms > 0 ? n * 1000 / (uint64_t)elapsed_ms : 0;
}

/* "1m30s": whole seconds, at least one. */
static void
duration(int64_t ms, char out[32])
{
	num_duration_format(ms > 1000 ? ms / 1000 * 1000 : 1000, out);
}

/* A part of a line, if it fits as a whole in the columns from where the line begins; the first one
 * always. */
__attribute__((format(printf, 4, 5))) static bool
part(struct buf *out, size_t line, size_t columns, const char *fmt, ...)
{
	char text[256];
	va_list args;
	size_t n;

	va_start(args, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	n = strlen(text);
	if (out->n > line && out->n - line + 2 + n > columns)
		return false;
	if (out->n > line)
		buf_str(out, ", ");
	buf_add(out, text, n);
	return true;
}

static void
add_cells(const struct runner_progress *g, int64_t elapsed_ms, size_t columns, struct buf *out)
{
	uint64_t cells = g->cells_earlier + g->cells;
	int64_t left_ms = progress_left_ms(g, elapsed_ms);
	size_t line = out->n;
	char text[32];

	if (g->cells_all)
		(void)part(out, line, columns, "%" PRIu64 "/%s%" PRIu64 " cells", cells,
			   g->cells_guessed ? "~" : "", g->cells_all);
	else
		(void)part(out, line, columns, "%" PRIu64 " cells", cells);
	duration(left_ms, text);
	if (left_ms)
		(void)part(out, line, columns, "about %s left", text);
	(void)part(out, line, columns, "%" PRIu64 " samples (%" PRIu64 "/s)", g->samples,
		   a_second(g->samples, elapsed_ms));
	(void)part(out, line, columns, "%" PRIu64 " rows (%" PRIu64 "/s)", g->lines,
		   a_second(g->lines, elapsed_ms));
	duration(elapsed_ms, text);
	(void)part(out, line, columns, "%s so far", text);
	buf_ch(out, '\n');
}

static void
add_tenants(const struct runner_progress *g, size_t columns, struct buf *out)
{
	size_t line = out->n;

	(void)part(out, line, columns, "%zu/%zu tenants", g->tenants_done, g->tenants);
	if (g->trouble.tenants)
		(void)part(out, line, columns, "%zu in trouble", g->trouble.tenants);
	if (g->streams_failed)
		(void)part(out, line, columns, "failed streams: %zu", g->streams_failed);
	(void)part(out, line, columns, "%zu streams at work", g->busy);
	buf_ch(out, '\n');
}

/* The newest first. */
static void
add_trouble(const struct trouble *t, size_t columns, struct buf *out)
{
	size_t line = out->n, shown = 0;
	size_t room = columns > MORE_MAX ? columns - MORE_MAX : 1;

	for (size_t i = t->n_rows; i-- > 0; shown++)
		if (!part(out, line, room, "%s: %s", t->rows[i].tenant, t->rows[i].why))
			break;
	if (shown < t->tenants)
		(void)part(out, line, columns, "%zu more", t->tenants - shown);
	buf_ch(out, '\n');
}

void
progress_view(const struct runner_progress *g, int64_t elapsed_ms, size_t columns, struct buf *out)
{
	add_cells(g, elapsed_ms, columns, out);
	add_tenants(g, columns, out);
	if (g->trouble.n_rows)
		add_trouble(&g->trouble, columns, out);
}

static void
show_live(const struct runner_progress *g, int64_t elapsed_ms)
{
	struct buf text = BUF_INIT(LIVE_TEXT_MAX);
	struct winsize size = {0};

	if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) || !size.ws_col)
		size.ws_col = 80;
	progress_view(g, elapsed_ms, size.ws_col - 1U, &text);
	if (buf_ok(&text))
		log_live(text.p, text.n);
	buf_done(&text);
}

static void
show_line(const struct progress *p, const struct runner_progress *g, int64_t elapsed_ms)
{
	const struct trouble *t = &g->trouble;
	const struct trouble_row *newest = t->n_rows ? &t->rows[t->n_rows - 1] : NULL;
	int64_t left_ms = progress_left_ms(g, elapsed_ms);
	char left[32], all[32];
	const struct log_field fields[] = {
	    LOG_I("tenants_done", g->tenants_done),
	    LOG_I("tenants", g->tenants),
	    LOG_I("cells", g->cells_earlier + g->cells),
	    LOG_S("of", g->cells_all ? all : NULL),
	    LOG_I("rows", g->lines),
	    LOG_I("samples", g->samples),
	    LOG_I("samples_per_second", a_second(g->samples, elapsed_ms)),
	    LOG_I("failed", g->streams_failed),
	    LOG_I("in_trouble", t->tenants),
	    LOG_S("newest_trouble", newest ? newest->tenant : NULL),
	    LOG_S("why", newest ? newest->why : NULL),
	    LOG_S("left", left_ms ? left : NULL),
	};

	duration(left_ms, left);
	(void)snprintf(all, sizeof(all), "%s%" PRIu64, g->cells_guessed ? "~" : "", g->cells_all);
	if (p->anyway)
		log_anyway(LOG_INFO, "progress", fields, ARRAY_LEN(fields));
	else
		log_write(LOG_INFO, "progress", fields, ARRAY_LEN(fields));
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
		show_live(&g, now - p->started_mono_ms);
	else
		show_line(p, &g, now - p->started_mono_ms);
}

void
progress_end(struct progress *p)
{
	if (p->live)
		log_live("", 0);
}
