/* A checkpoint as text for people; see state_command.h. The document itself is --json. */
#include <inttypes.h>

#include "base/num.h"
#include "base/timefmt.h"
#include "base/utf8.h"
#include "fmt/json.h"
#include "run/state_command.h"

static void
put_time(struct buf *out, const char *label, int64_t ms)
{
	char text[TIME_TEXT_MAX];

	if (!ms)
		return;
	time_format_s(ms, text);
	buf_fmt(out, "%s%s", label, text);
}

/* Words of services and operators: control characters as JSON has them, what else would deceive
 * left out. */
static void
put_words(struct buf *out, const char *text)
{
	struct buf quoted = BUF_INIT(1u << 20);

	(void)json_escape(&quoted, sv_of(text));
	if (quoted.n >= 2)
		utf8_plain(out, (struct sv){quoted.p + 1, quoted.n - 2});
	buf_done(&quoted);
}

static void
show_lease(const struct ckpt *c, int64_t now_ms, struct buf *out)
{
	const struct ckpt_lease *l = &c->lease;

	buf_str(out, "  lease: ");
	if (l->owner) {
		buf_str(out, "run ");
		put_words(out, l->owner);
		buf_str(out, " on ");
		put_words(out, l->host ? l->host : "?");
		put_time(out, " since ", l->since_ms);
		put_time(out, l->until_ms > now_ms ? ", until " : ", over since ", l->until_ms);
	} else {
		buf_str(out, "free");
	}
	put_time(out, "; cells may have been begun through ", l->begun_through_ms);
	buf_ch(out, '\n');
}

static void
show_sink(const struct ckpt_sink *k, struct buf *out)
{
	buf_str(out, "    sink ");
	put_words(out, k->name);
	put_time(out, ": cursor ", k->cursor_ms);
	buf_fmt(out,
		"; acked %" PRIu64 ", already there %" PRIu64 ", too old %" PRIu64
		", rejected %" PRIu64 ", over the limit %" PRIu64 ", %" PRIu64 " bytes\n",
		k->acked, k->already, k->too_old, k->rejected, k->over_limit, k->bytes);
	for (size_t i = 0; i < k->beyond.n; i++) {
		put_time(out, "      and ", k->beyond.v[i].start_ms);
		put_time(out, " to ", k->beyond.v[i].end_ms);
		buf_ch(out, '\n');
	}
}

static void
show_gap(const struct ckpt_gap *g, struct buf *out)
{
	put_time(out, "    gap ", g->start_ms);
	put_time(out, " to ", g->end_ms);
	buf_str(out, *g->sink ? ", sink " : ", all sinks");
	put_words(out, g->sink);
	buf_str(out, ": ");
	put_words(out, g->reason);
	put_time(out, " (recorded ", g->recorded_ms);
	buf_str(out, ")\n");
}

static void
show_counters(const struct ckpt_counters *n, struct buf *out)
{
	buf_fmt(out,
		"    since the beginning: %" PRIu64 " cells (%" PRIu64 " empty), %" PRIu64
		" rows, %" PRIu64 " samples, %" PRIu64 " rejected on the way in, %" PRIu64
		" failed runs, %" PRIu64 " metrics requested, %" PRIu64 " bytes scanned, %" PRIu64
		" late points, %" PRIu64 " revised\n",
		n->cells, n->empty_cells, n->rows, n->samples_frozen, n->rejected_in,
		n->failed_runs, n->metrics_requested, n->bytes_scanned, n->late, n->revised);
}

static void
show_stream(const struct ckpt_stream *s, struct buf *out)
{
	char every[32];

	num_duration_format(s->every_ms, every);
	buf_str(out, "  ");
	put_words(out, s->region);
	buf_fmt(out, ": every %s", every);
	put_time(out, ", first cell ", s->first_ms);
	put_time(out, ", watermark ", ckpt_watermark(s));
	buf_str(out, ", definition ");
	put_words(out, s->definition ? s->definition : "unknown");
	buf_ch(out, '\n');
	put_time(out, "    last success ", s->last_success_ms);
	if (s->last_success_ms)
		buf_ch(out, '\n');
	if (s->failures)
		buf_fmt(out, "    failing since %" PRIu64 " run%s: ", s->failures,
			s->failures == 1 ? "" : "s");
	if (s->failures) {
		put_words(out, s->last_error ? s->last_error : "");
		buf_ch(out, '\n');
	}
	for (size_t i = 0; i < s->n_sinks; i++)
		show_sink(&s->sinks[i], out);
	for (size_t i = 0; i < s->n_gaps; i++)
		show_gap(&s->gaps[i], out);
	show_counters(&s->counters, out);
}

static void
show_event(const struct ckpt_event *e, struct buf *out)
{
	put_time(out, "  changed ", e->time_ms);
	buf_str(out, " by ");
	put_words(out, e->who);
	buf_str(out, ": ");
	put_words(out, e->what);
	buf_str(out, " (");
	put_words(out, e->reason);
	buf_str(out, ")\n");
}

void
state_show(const struct ckpt *c, int64_t now_ms, struct buf *out)
{
	put_words(out, c->tenant);
	buf_ch(out, ' ');
	put_words(out, c->job);
	buf_fmt(out, ": account %s, generation %" PRIu64 "\n", c->account ? c->account : "unknown",
		c->generation);
	show_lease(c, now_ms, out);
	for (size_t i = 0; i < c->n_streams; i++)
		show_stream(&c->streams[i], out);
	for (size_t i = 0; i < c->n_history; i++)
		show_event(&c->history[i], out);
}
