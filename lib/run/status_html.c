/*
 * How everything stands, as one page; see status.h.
 *
 * It is made for whoever is on call: what is wrong and what to do about it first, then every
 * stream, the worst on top. No script, nothing from elsewhere (its own policy forbids both), light
 * or dark as the reader's system is. All names and words come from outside and are escaped, without
 * exception.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/timefmt.h"
#include "fmt/html.h"
#include "run/status.h"
#include "run/status_plot.h"
#include "run/status_runs.h"

#define IN_GROUP 5   /* streams of one trouble that are seen at once */
#define IN_FOLD	 100 /* and those that can be unfolded */
#define GAPS_MAX 200 /* the newest */
#define LOG_MAX	 50

static const char style[] =
    ":root{color-scheme:light dark;--bg:#fff;--fg:#1b1f24;--mut:#57606a;--line:#d0d7de;"
    "--pan:#f6f8fa;--ok:#1a7f37;--bad:#b3261e;--warn:#8a5a00;--info:#0a5cc2;--okb:#7cc48f;"
    "--badb:#f3c1bd}"
    "@media(prefers-color-scheme:dark){:root{--bg:#0f1318;--fg:#e6edf3;--mut:#a3adb8;"
    "--line:#343b44;--pan:#181d24;--ok:#5bd17a;--bad:#ff8c82;--warn:#e8b649;--info:#83bfff;"
    "--okb:#2f7d46;--badb:#5c2622}}"
    "*{box-sizing:border-box}"
    "body{margin:0;background:var(--bg);color:var(--fg);"
    "font:15px/1.5 system-ui,-apple-system,\"Segoe UI\",Roboto,\"DejaVu Sans\",sans-serif}"
    "header,main,footer{max-width:1280px;margin:0 auto;padding:0 24px}"
    "header{padding-top:24px}h1{font-size:24px;margin:0}h2{font-size:18px;margin:32px 0 8px}"
    "h3{font-size:15px;margin:0}p{margin:4px 0}.muted{color:var(--mut)}"
    "a{color:var(--info)}.skip{position:absolute;left:-9999px}"
    ".skip:focus{left:8px;top:8px;background:var(--bg);padding:8px}"
    ":focus-visible{outline:3px solid var(--info);outline-offset:2px}"
    ".sum{display:flex;flex-wrap:wrap;gap:8px;list-style:none;margin:16px 0 0;padding:0}"
    ".sum li{border:1px solid var(--line);border-radius:8px;padding:6px 14px;"
    "background:var(--pan)}.sum b{font-size:20px;margin-right:4px}"
    ".facts{display:flex;flex-wrap:wrap;gap:4px 32px;margin:12px 0 0}.facts div{display:flex;"
    "gap:8px}.facts dt{color:var(--mut)}.facts dd{margin:0}"
    ".c0,.c1,.c2{color:var(--bad)}.c3,.c4{color:var(--warn)}.c5{color:var(--info)}"
    ".c6{color:var(--ok)}.c7{color:var(--mut)}.st{white-space:nowrap;font-weight:600}"
    ".grp{border:1px solid var(--line);border-left:4px solid var(--bad);border-radius:8px;"
    "padding:12px 16px;margin:12px 0;background:var(--pan)}.grp.w{border-left-color:var(--warn)}"
    ".grp ul{margin:8px 0 0;padding-left:20px}.grp li{overflow-wrap:anywhere}"
    ".grp code{font:13px/1.5 ui-monospace,\"DejaVu Sans Mono\",monospace}"
    ".plots{display:grid;grid-template-columns:repeat(auto-fit,minmax(280px,1fr));gap:16px}"
    "figure{margin:0;border:1px solid var(--line);border-radius:8px;padding:12px 16px;"
    "background:var(--pan)}figcaption{margin-bottom:8px}.plot{width:100%;height:auto;display:block}"
    ".plot text{fill:var(--mut);font-size:11px}.ax{stroke:var(--line)}.dash{stroke-dasharray:3 3}"
    ".bar{fill:var(--info)}.bar.bad{fill:url(#hatch);stroke:var(--bad);stroke-width:.6}"
    ".wrap{overflow-x:auto;border:1px solid var(--line);border-radius:8px}"
    "table{border-collapse:collapse;width:100%;font-size:14px}"
    "caption{text-align:left;padding:8px 12px;color:var(--mut)}"
    "th,td{padding:5px 12px;text-align:left;vertical-align:middle;border-top:1px solid "
    "var(--line);white-space:nowrap}thead th{background:var(--pan);font-weight:600}"
    "td.n,th.n{text-align:right;font-variant-numeric:tabular-nums}"
    "td.t{white-space:normal;overflow-wrap:anywhere;min-width:240px}"
    "tbody th{font-weight:600;max-width:280px;overflow:hidden;text-overflow:ellipsis}"
    "tbody tr:hover{background:var(--pan)}"
    ".defs{position:absolute}.tl{width:288px;height:14px;display:block}.tl .o{fill:var(--line)}"
    ".tl .d{fill:var(--okb)}.tl .p{fill:var(--okb)}.tl .g{fill:url(#hatch);stroke:var(--bad);"
    "stroke-width:.8}.hb{fill:var(--badb)}.hl{fill:var(--bad)}"
    ".key{display:flex;flex-wrap:wrap;gap:4px 24px;margin:8px 0}.key span{display:flex;"
    "align-items:center;gap:8px}.key svg{width:36px;height:14px}"
    "details{margin:12px 0}summary{cursor:pointer}footer{padding:32px 24px;color:var(--mut)}"
    "@media print{.wrap{overflow:visible}}";

static const char *const signs[STATUS_RESULTS] = {
    [STATUS_DAMAGED] = "\xe2\x9c\x96",	  [STATUS_FAILING] = "\xe2\x96\xb2",
    [STATUS_AHEAD] = "\xe2\x96\xb2",	  [STATUS_NEVER] = "\xe2\x97\x8b",
    [STATUS_UNFINISHED] = "\xe2\x97\x90", [STATUS_RUNNING] = "\xe2\x96\xb6",
    [STATUS_OK] = "\xe2\x9c\x94",	  [STATUS_LEFT] = "\xe2\x80\x93",
};

/* Pieces */

static void
text(struct buf *out, const char *s)
{
	html_text(out, sv_of(s));
}

static void
put_time(struct buf *out, int64_t ms)
{
	char t[TIME_TEXT_MAX];

	time_format_s(ms, t);
	buf_fmt(out, "<time datetime=\"%s\">%.10s %.5s</time>", t, t, t + 11);
}

/* The sign is for the eye: the word beside it says the same. */
static void
put_state(struct buf *out, const struct status_stream *s)
{
	buf_fmt(out, "<span class=\"st c%d\"><span aria-hidden=\"true\">%s</span> %s",
		(int)s->result, signs[s->result], status_word(s));
	if (s->result == STATUS_FAILING)
		buf_fmt(out, " %" PRIu64 "\xc3\x97", s->s->failures);
	buf_str(out, "</span>");
}

static void
put_name(struct buf *out, const struct status_stream *s)
{
	buf_str(out, "<b>");
	text(out, s->entry->tenant);
	buf_str(out, "</b> ");
	text(out, s->entry->name);
	buf_ch(out, ' ');
	text(out, s->region);
}

static void
put_count(struct buf *out, uint64_t n)
{
	char t[16];

	status_count(n, t);
	buf_str(out, t);
}

static void
put_dollars(struct buf *out, double v)
{
	buf_fmt(out, v > 0 && v < 0.005 ? "&lt;$0.01" : "$%.2f", v);
}

/* The head of the page */

static void
put_fact(struct buf *out, const char *name, const char *value)
{
	buf_fmt(out, "<div><dt>%s</dt><dd>", name);
	text(out, value);
	buf_str(out, "</dd></div>");
}

static void
put_facts(struct buf *out, const struct status *st)
{
	const struct status_totals *t = &st->totals;
	char a[48], b[48], line[128];

	buf_str(out, "<dl class=\"facts\">");
	if (t->furthest) {
		status_duration(t->furthest->lag_ms, a);
		put_fact(out, "Furthest behind", a);
	}
	status_duration(t->gap_ms, a);
	(void)snprintf(line, sizeof(line), "%zu%s%s%s", t->gaps, t->gaps ? " (" : "",
		       t->gaps ? a : "", t->gaps ? ")" : "");
	put_fact(out, "Gaps", line);
	status_count(t->counters.rows, a);
	status_count(t->counters.samples_frozen, b);
	(void)snprintf(line, sizeof(line), "%s rows, %s samples", a, b);
	put_fact(out, "Since the beginning", line);
	(void)snprintf(line, sizeof(line), "$%.2f", t->dollars);
	put_fact(out, "Estimated cost", line);
	buf_str(out, "</dl>\n");
}

static void
put_head(struct buf *out, const struct status *st)
{
	const struct status_totals *t = &st->totals;

	buf_str(out, "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
		     "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">"
		     "<meta name=\"color-scheme\" content=\"light dark\">"
		     "<meta name=\"referrer\" content=\"no-referrer\">"
		     "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; "
		     "style-src 'unsafe-inline'\"><title>muster status: ");
	text(out, st->config->name);
	buf_fmt(out,
		"</title>\n<style>%s</style></head>\n<body><a class=\"skip\" href=\"#streams\">To "
		"the streams</a>\n<header><h1>muster status: ",
		style);
	text(out, st->config->name);
	buf_fmt(out, "</h1><p class=\"muted\">%zu tenant%s, %zu stream%s, as of ", t->tenants,
		t->tenants == 1 ? "" : "s", t->streams, t->streams == 1 ? "" : "s");
	put_time(out, st->now_ms);
	buf_str(out, " UTC</p>\n<ul class=\"sum\" aria-label=\"Streams by state\">");
	for (size_t r = 0; r < STATUS_RESULTS; r++)
		if (t->of[r])
			buf_fmt(out,
				"<li><b>%zu</b><span class=\"st c%zu\"><span "
				"aria-hidden=\"true\">%s</span> %s</span></li>",
				t->of[r], r, signs[r], status_result_word((enum status_result)r));
	buf_str(out, "</ul>\n");
	put_facts(out, st);
	status_plot_defs(out);
	buf_str(out, "</header>\n<main>\n");
}

/* What is wrong */

static void
put_trouble(struct buf *out, const struct status_stream *s)
{
	buf_str(out, "<li>");
	put_name(out, s);
	if (*status_trouble(s)) {
		buf_str(out, ": <code>");
		text(out, status_trouble(s));
		buf_str(out, "</code>");
	}
	buf_str(out, "</li>\n");
}

static bool
same_trouble(const struct status_stream *a, const struct status_stream *b)
{
	return a->result == b->result && status_advice(a) == status_advice(b);
}

/* The first few at once, the others folded; what was dealt with is marked. */
static void
put_members(struct buf *out, const struct status *st, size_t i, bool *shown)
{
	const struct status_stream *first = &st->streams[i];
	size_t n = 0;

	buf_str(out, "<ul>\n");
	for (size_t k = i; k < st->n_streams; k++) {
		if (!same_trouble(first, &st->streams[k]))
			continue;
		shown[k] = true;
		if (n == IN_GROUP)
			buf_str(out, "</ul><details><summary>The others</summary><ul>\n");
		if (n++ < IN_GROUP + IN_FOLD)
			put_trouble(out, &st->streams[k]);
	}
	if (n > IN_GROUP + IN_FOLD)
		buf_fmt(out, "<li>and %zu more, in the table below</li>", n - IN_GROUP - IN_FOLD);
	buf_str(out, n > IN_GROUP ? "</ul></details>" : "</ul>");
}

/* Streams that the same thing is to be done about, from the i-th on. */
static void
put_group(struct buf *out, const struct status *st, size_t i, bool *shown)
{
	const struct status_stream *first = &st->streams[i];
	size_t n = 0;

	for (size_t k = i; k < st->n_streams; k++)
		n += same_trouble(first, &st->streams[k]);
	buf_fmt(out,
		"<section class=\"grp%s\"><h3><span class=\"c%d\"><span aria-hidden=\"true\">%s"
		"</span> %zu stream%s %s</span></h3><p>",
		first->result >= STATUS_NEVER ? " w" : "", (int)first->result, signs[first->result],
		n, n == 1 ? "" : "s", status_word(first));
	text(out, status_advice(first));
	buf_str(out, "</p>");
	put_members(out, st, i, shown);
	buf_str(out, "</section>\n");
}

/* Runs that do not come at all leave no error behind: so how old it all is is said, too. */
static void
put_nothing(struct buf *out, const struct status *st)
{
	char lag[48];

	buf_str(out, "<p>Nothing: every stream's last run was complete");
	if (st->totals.furthest) {
		status_duration(st->totals.furthest->lag_ms, lag);
		buf_fmt(out, "; the furthest behind is so by %s", lag);
	}
	buf_str(out, ".</p>");
}

static int
put_attention(struct buf *out, const struct status *st, struct err *err)
{
	bool *shown = calloc(st->n_streams + 1, sizeof(*shown));
	bool any = false;

	if (!shown)
		return err_nomem(err);
	buf_str(out, "<section aria-labelledby=\"att\"><h2 id=\"att\">What needs attention</h2>\n");
	for (size_t i = 0; i < st->n_streams; i++) {
		if (shown[i] || st->streams[i].result > STATUS_UNFINISHED)
			continue;
		any = true;
		put_group(out, st, i, shown);
	}
	if (!any)
		put_nothing(out, st);
	buf_str(out, "</section>\n");
	free(shown);
	return 0;
}

/* Plots */

static double
run_samples(const struct status_run *r)
{
	return r->samples;
}

static double
run_rows(const struct status_run *r)
{
	return r->rows;
}

static double
run_dollars(const struct status_run *r)
{
	return r->dollars;
}

static double
run_seconds(const struct status_run *r)
{
	return (double)r->duration_ms / 1000;
}

static void
unit_count(double v, char out[48])
{
	status_count(v > 0 ? (uint64_t)v : 0, out);
}

static void
unit_dollars(double v, char out[48])
{
	(void)snprintf(out, 48, v < 0.1 ? "$%.4f" : "$%.2f", v);
}

static void
unit_seconds(double v, char out[48])
{
	if (v < 10)
		(void)snprintf(out, 48, "%.1fs", v);
	else
		status_duration((int64_t)(v * 1000), out);
}

static const struct plot {
	const char *id, *title, *column;
	double (*value)(const struct status_run *r);
	void (*unit)(double v, char out[48]);
} plots[] = {
    {"p1", "Samples", "Samples", run_samples, unit_count},
    {"p2", "Rows", "Rows", run_rows, unit_count},
    {"p3", "Estimated cost", "Estimated cost", run_dollars, unit_dollars},
    {"p4", "Duration", "Duration", run_seconds, unit_seconds},
};

static void
put_runs_table(struct buf *out, const struct status_runs *runs)
{
	char v[48];

	buf_str(out, "<details><summary>The runs as a table</summary><div class=\"wrap\" "
		     "role=\"region\" aria-label=\"Runs\" tabindex=\"0\"><table><caption>The last "
		     "day's runs, newest first</caption><thead><tr><th scope=\"col\">Present (UTC)"
		     "</th>");
	for (size_t p = 0; p < ARRAY_LEN(plots); p++)
		buf_fmt(out, "<th scope=\"col\" class=\"n\">%s</th>", plots[p].column);
	buf_str(out, "<th scope=\"col\" class=\"n\">Failed streams</th><th scope=\"col\" "
		     "class=\"n\">Exit</th></tr></thead><tbody>\n");
	for (size_t i = runs->n; i-- > 0;) {
		buf_str(out, "<tr><th scope=\"row\">");
		put_time(out, runs->v[i].now_ms);
		buf_str(out, "</th>");
		for (size_t p = 0; p < ARRAY_LEN(plots); p++) {
			plots[p].unit(plots[p].value(&runs->v[i]), v);
			buf_fmt(out, "<td class=\"n\">%s</td>", v);
		}
		buf_fmt(out, "<td class=\"n\">%.0f</td><td class=\"n\">%d</td></tr>\n",
			runs->v[i].failed, runs->v[i].exit_status);
	}
	buf_str(out, "</tbody></table></div></details>\n");
}

static void
put_plots(struct buf *out, const struct status_runs *runs)
{
	buf_str(out, "<section aria-labelledby=\"runs\"><h2 id=\"runs\">Throughput and cost by run"
		     "</h2>\n");
	if (!runs->n) {
		buf_str(out, "<p class=\"muted\">No reports of the last day.</p></section>\n");
		return;
	}
	buf_fmt(out,
		"<p class=\"muted\">%zu of the last day's %zu runs; a run that did not end with "
		"status 0 is hatched.</p><div class=\"plots\">\n",
		runs->n, runs->of);
	for (size_t p = 0; p < ARRAY_LEN(plots); p++)
		status_bars(runs, plots[p].id, plots[p].title, plots[p].value, plots[p].unit, out);
	buf_str(out, "</div>\n");
	put_runs_table(out, runs);
	buf_str(out, "</section>\n");
}

/* Tables */

static void
put_stream(struct buf *out, const struct status *st, const struct status_stream *s)
{
	char lag[48] = "\xe2\x80\x93", gap[48] = "";

	if (s->s)
		status_duration(s->lag_ms, lag);
	if (s->s && s->s->n_gaps)
		status_duration(s->gap_ms, gap);
	buf_str(out, "<tr><td>");
	put_state(out, s);
	buf_str(out, "</td><th scope=\"row\">");
	text(out, s->entry->tenant);
	buf_str(out, "</th><td>");
	text(out, s->entry->name);
	buf_str(out, "</td><td>");
	text(out, s->region);
	buf_fmt(out, "</td><td class=\"n\">%s</td><td>", lag);
	status_timeline(st, s, out);
	buf_fmt(out, "</td><td class=\"n\">%s</td>", gap);
	if (s->s) {
		buf_str(out, "<td class=\"n\">");
		put_count(out, s->s->counters.rows);
		buf_str(out, "</td><td class=\"n\">");
		put_count(out, s->s->counters.samples_frozen);
		buf_str(out, "</td><td class=\"n\">");
		put_dollars(out, s->dollars);
		buf_str(out, "</td></tr>\n");
	} else {
		buf_str(out, "<td></td><td></td><td></td></tr>\n");
	}
}

static void
put_key(struct buf *out)
{
	buf_str(
	    out,
	    "<div class=\"key muted\"><span>Last 24 hours, now at the right:</span>"
	    "<span><svg class=\"tl\" viewBox=\"0 0 36 14\" aria-hidden=\"true\"><rect class=\"d\" "
	    "y=\"1\" width=\"36\" height=\"12\"/></svg>done</span>"
	    "<span><svg class=\"tl\" viewBox=\"0 0 36 14\" aria-hidden=\"true\"><rect class=\"p\" "
	    "y=\"7\" width=\"36\" height=\"6\"/></svg>done by some sinks</span>"
	    "<span><svg class=\"tl\" viewBox=\"0 0 36 14\" aria-hidden=\"true\"><rect class=\"g\" "
	    "x=\"1\" y=\"1\" width=\"34\" height=\"12\"/></svg>gap</span>"
	    "<span><svg class=\"tl\" viewBox=\"0 0 36 14\" aria-hidden=\"true\"><rect class=\"o\" "
	    "y=\"6\" width=\"36\" height=\"2\"/></svg>to do</span></div>\n");
}

static void
put_streams(struct buf *out, const struct status *st)
{
	buf_str(out, "<section aria-labelledby=\"streams\"><h2 id=\"streams\">Streams</h2>\n");
	put_key(out);
	buf_str(out,
		"<div class=\"wrap\" role=\"region\" aria-label=\"Streams\" tabindex=\"0\">"
		"<table><caption>Every tenant, job and region; trouble first</caption><thead><tr>"
		"<th scope=\"col\">State</th><th scope=\"col\">Tenant</th><th scope=\"col\">Job"
		"</th><th scope=\"col\">Region</th><th scope=\"col\" class=\"n\">Lag</th>"
		"<th scope=\"col\">Last 24 hours</th><th scope=\"col\" class=\"n\">Gaps</th>"
		"<th scope=\"col\" class=\"n\">Rows</th><th scope=\"col\" class=\"n\">Samples"
		"</th><th scope=\"col\" class=\"n\">Cost</th></tr></thead><tbody>\n");
	for (size_t i = 0; i < st->n_streams; i++)
		put_stream(out, st, &st->streams[i]);
	buf_str(out, "</tbody></table></div></section>\n");
}

static void
put_gap(struct buf *out, const struct status_stream *s, const struct ckpt_gap *g)
{
	char length[48];

	status_duration(g->end_ms - g->start_ms, length);
	buf_str(out, "<tr><td>");
	put_time(out, g->start_ms);
	buf_fmt(out, "</td><td class=\"n\">%s</td><th scope=\"row\">", length);
	text(out, s->entry->tenant);
	buf_str(out, "</th><td>");
	text(out, s->entry->name);
	buf_str(out, "</td><td>");
	text(out, s->region);
	buf_str(out, "</td><td>");
	text(out, *g->sink ? g->sink : "all");
	buf_str(out, "</td><td class=\"t\">");
	text(out, g->reason);
	buf_str(out, "</td></tr>\n");
}

struct gap_ref {
	const struct status_stream *s;
	const struct ckpt_gap *g;
};

static int
newest_gap(const void *a, const void *b)
{
	const struct gap_ref *x = a, *y = b;

	return (x->g->start_ms < y->g->start_ms) - (x->g->start_ms > y->g->start_ms);
}

static int
put_gaps(struct buf *out, const struct status *st, struct err *err)
{
	struct gap_ref *v = calloc(st->totals.gaps + 1, sizeof(*v));
	size_t n = 0;

	if (!v)
		return err_nomem(err);
	for (size_t i = 0; i < st->n_streams; i++)
		for (size_t k = 0; st->streams[i].s && k < st->streams[i].s->n_gaps; k++)
			v[n++] = (struct gap_ref){&st->streams[i], &st->streams[i].s->gaps[k]};
	qsort(v, n, sizeof(*v), newest_gap);
	buf_str(out, "<section aria-labelledby=\"gaps\"><h2 id=\"gaps\">Gaps</h2>\n");
	if (n)
		buf_fmt(
		    out,
		    "<div class=\"wrap\" role=\"region\" aria-label=\"Gaps\" tabindex=\"0\"><table>"
		    "<caption>What nobody will do: %zu of %zu, newest first</caption><thead><tr>"
		    "<th scope=\"col\">From (UTC)</th><th scope=\"col\" class=\"n\">Length</th>"
		    "<th scope=\"col\">Tenant</th><th scope=\"col\">Job</th><th scope=\"col\">"
		    "Region</th><th scope=\"col\">Sink</th><th scope=\"col\">Reason</th></tr>"
		    "</thead><tbody>\n",
		    n < GAPS_MAX ? n : GAPS_MAX, n);
	else
		buf_str(out, "<p>None on record.</p>");
	for (size_t i = 0; i < n && i < GAPS_MAX; i++)
		put_gap(out, v[i].s, v[i].g);
	buf_str(out, n ? "</tbody></table></div></section>\n" : "</section>\n");
	free(v);
	return 0;
}

static void
put_event(struct buf *out, const struct status_entry *e, const struct ckpt_event *v)
{
	buf_str(out, "<tr><td>");
	put_time(out, v->time_ms);
	buf_str(out, "</td><th scope=\"row\">");
	text(out, e->tenant);
	buf_str(out, "</th><td>");
	text(out, e->name);
	buf_str(out, "</td><td>");
	text(out, v->who);
	buf_str(out, "</td><td class=\"t\">");
	text(out, v->what);
	buf_str(out, "</td><td class=\"t\">");
	text(out, v->reason);
	buf_str(out, "</td></tr>\n");
}

/* The last change of each checkpoint; all of them are in `muster state show`. */
static void
put_changes(struct buf *out, const struct status *st)
{
	size_t n = 0;

	for (size_t i = 0; i < st->n_entries && n < LOG_MAX; i++) {
		const struct status_entry *e = &st->entries[i];

		if (!e->ckpt || !e->ckpt->n_history)
			continue;
		if (n++ == 0)
			buf_str(
			    out,
			    "<section aria-labelledby=\"ops\"><h2 id=\"ops\">Changed by hand"
			    "</h2>\n<div class=\"wrap\" role=\"region\" aria-label=\"Changes\" "
			    "tabindex=\"0\"><table><caption>The last change of each checkpoint"
			    "</caption><thead><tr><th scope=\"col\">When (UTC)</th>"
			    "<th scope=\"col\">Tenant</th><th scope=\"col\">Job</th><th "
			    "scope=\"col\">Who</th><th scope=\"col\">What</th><th scope=\"col\">"
			    "Why</th></tr></thead><tbody>\n");
		put_event(out, e, &e->ckpt->history[e->ckpt->n_history - 1]);
	}
	if (n)
		buf_str(out, "</tbody></table></div></section>\n");
}

int
status_html(const struct status *st, const struct status_runs *runs, struct buf *out,
	    struct err *err)
{
	put_head(out, st);
	if (put_attention(out, st, err))
		return -1;
	put_plots(out, runs);
	put_streams(out, st);
	if (put_gaps(out, st, err))
		return -1;
	put_changes(out, st);
	buf_str(out, "</main>\n<footer>Written by muster " MUSTER_VERSION
		     " from the configuration, the checkpoints and the last reports.</footer>\n"
		     "</body></html>\n");
	return buf_check(out, "page", err);
}
