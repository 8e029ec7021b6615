/*
 * Timelines and bars; see status_plot.h.
 *
 * Nothing is told by colour alone: what is done is a full bar, what only some sinks have a half
 * one, a gap is hatched and framed, as is the bar of a run that failed;
 * what is open is a thin line. Classes are styled in the page's
 * head.
 */
#include "run/status_plot.h"

#include <stdio.h>

#include "base/timefmt.h"

#define WIDTH  288.0 /* five minutes a unit */
#define HEIGHT 14

void
status_plot_defs(struct buf *out)
{
	buf_str(out,
		"<svg width=\"0\" height=\"0\" aria-hidden=\"true\" class=\"defs\"><defs>"
		"<pattern id=\"hatch\" width=\"4\" height=\"4\" patternUnits=\"userSpaceOnUse\" "
		"patternTransform=\"rotate(45)\"><rect width=\"4\" height=\"4\" class=\"hb\"/>"
		"<rect width=\"1.6\" height=\"4\" class=\"hl\"/></pattern></defs></svg>\n");
}

/* Where a time stands; outside it is cut to the edge. */
static double
place(const struct status *st, int64_t ms)
{
	double x = WIDTH - (double)(st->now_ms - ms) * WIDTH / (double)STATUS_TIMELINE_MS;

	return x < 0 ? 0 : x > WIDTH ? WIDTH : x;
}

static void
range(const struct status *st, int64_t from_ms, int64_t to_ms, const char *class, int y, int h,
      struct buf *out)
{
	double x = place(st, from_ms), w = place(st, to_ms) - x;

	if (w > 0)
		buf_fmt(out,
			"<rect class=\"%s\" x=\"%.1f\" y=\"%d\" width=\"%.1f\" height=\"%d\"/>",
			class, x, y, w < 1 ? 1 : w, h);
}

/* The furthest that any sink is. */
static int64_t
furthest(const struct status_stream *s)
{
	int64_t max = s->watermark_ms;

	for (size_t i = 0; i < s->s->n_sinks; i++) {
		const struct ckpt_sink *k = &s->s->sinks[i];
		int64_t end = k->beyond.n ? k->beyond.v[k->beyond.n - 1].end_ms : k->cursor_ms;

		if (end > max)
			max = end;
	}
	return max;
}

static void
timeline_words(const struct status *st, const struct status_stream *s, struct buf *out)
{
	int64_t begin = st->now_ms - STATUS_TIMELINE_MS, gap = 0;
	char time[TIME_TEXT_MAX], text[48];

	for (size_t i = 0; i < s->s->n_gaps; i++) {
		const struct ckpt_gap *g = &s->s->gaps[i];
		int64_t from = g->start_ms > begin ? g->start_ms : begin;

		if (g->end_ms > from)
			gap += g->end_ms - from;
	}
	time_format_s(s->watermark_ms, time);
	buf_fmt(out, "done through %.16s", time);
	if (gap) {
		status_duration(gap, text);
		buf_fmt(out, ", gaps of %s in the last day", text);
	}
}

void
status_timeline(const struct status *st, const struct status_stream *s, struct buf *out)
{
	if (!s->s) {
		buf_str(out, "<span class=\"muted\">nothing yet</span>");
		return;
	}
	buf_fmt(out, "<svg class=\"tl\" viewBox=\"0 0 %g %d\" role=\"img\" aria-label=\"", WIDTH,
		HEIGHT);
	timeline_words(st, s, out);
	buf_str(out, "\"><title>");
	timeline_words(st, s, out);
	buf_str(out, "</title>");
	range(st, s->s->first_ms, st->now_ms, "o", HEIGHT / 2 - 1, 2, out);
	range(st, s->s->first_ms, s->watermark_ms, "d", 1, HEIGHT - 2, out);
	range(st, s->watermark_ms, furthest(s), "p", HEIGHT / 2, HEIGHT / 2 - 1, out);
	for (size_t i = 0; i < s->s->n_gaps; i++)
		range(st, s->s->gaps[i].start_ms, s->s->gaps[i].end_ms, "g", 1, HEIGHT - 2, out);
	buf_str(out, "</svg>");
}

/* Bars */

#define PLOT_W	 260.0
#define PLOT_H	 80.0
#define PLOT_TOP 18.0

static void
bars_axis(const struct status_runs *runs, const char *top, struct buf *out)
{
	char first[TIME_TEXT_MAX], last[TIME_TEXT_MAX];

	time_format_s(runs->v[0].now_ms, first);
	time_format_s(runs->v[runs->n - 1].now_ms, last);
	buf_fmt(out,
		"<line class=\"ax\" x1=\"0\" x2=\"%g\" y1=\"%g\" y2=\"%g\"/>"
		"<line class=\"ax dash\" x1=\"0\" x2=\"%g\" y1=\"%g\" y2=\"%g\"/>"
		"<text x=\"0\" y=\"%g\">%s</text><text x=\"0\" y=\"%g\">%.5s %.5s</text>"
		"<text x=\"%g\" y=\"%g\" text-anchor=\"end\">%.5s %.5s</text>",
		PLOT_W, PLOT_TOP + PLOT_H, PLOT_TOP + PLOT_H, PLOT_W, PLOT_TOP, PLOT_TOP,
		PLOT_TOP - 5, top, PLOT_TOP + PLOT_H + 14, first + 5, first + 11, PLOT_W,
		PLOT_TOP + PLOT_H + 14, last + 5, last + 11);
}

void
status_bars(const struct status_runs *runs, const char *id, const char *title,
	    double (*value)(const struct status_run *r), void (*unit)(double v, char out[48]),
	    struct buf *out)
{
	double step = PLOT_W / (double)(runs->n ? runs->n : 1), max = 0;
	char top[48], last[48];

	for (size_t i = 0; i < runs->n; i++)
		if (value(&runs->v[i]) > max)
			max = value(&runs->v[i]);
	if (!runs->n)
		return;
	unit(max, top);
	unit(value(&runs->v[runs->n - 1]), last);
	buf_fmt(
	    out,
	    "<figure><figcaption id=\"%s\">%s: <b>%s</b> in the last run, %s at most</figcaption>"
	    "<svg class=\"plot\" viewBox=\"0 0 %g %g\" role=\"img\" aria-labelledby=\"%s\">",
	    id, title, last, top, PLOT_W, PLOT_TOP + PLOT_H + 18, id);
	bars_axis(runs, top, out);
	for (size_t i = 0; i < runs->n; i++) {
		double v = value(&runs->v[i]), h = max > 0 ? v / max * PLOT_H : 0;
		char time[TIME_TEXT_MAX], text[48];

		time_format_s(runs->v[i].now_ms, time);
		unit(v, text);
		buf_fmt(
		    out,
		    "<rect class=\"bar%s\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\">"
		    "<title>%.16s: %s</title></rect>",
		    runs->v[i].exit_status ? " bad" : "", (double)i * step + step * 0.1,
		    PLOT_TOP + PLOT_H - h, step * 0.8 > 40 ? 40 : step * 0.8, h, time, text);
	}
	buf_str(out, "</svg></figure>\n");
}
