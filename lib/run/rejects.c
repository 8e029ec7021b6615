/* Refused samples as lines; see rejects.h. */
#include "run/rejects.h"

#include "base/num.h"
#include "base/timefmt.h"
#include "fmt/json.h"

void
rejects_init(struct rejects *r, const char *sink, const struct publish *p)
{
	*r = (struct rejects){.lines = BUF_INIT(REJECTS_MAX), .sink = sink, .p = p};
}

void
rejects_done(struct rejects *r)
{
	buf_done(&r->lines);
}

static void
member(struct buf *b, const char *key, const char *value)
{
	buf_fmt(b, "\"%s\":", key);
	(void)json_escape(b, sv_of(value));
	buf_ch(b, ',');
}

static void
labels(struct buf *b, const struct series *s)
{
	buf_str(b, "\"labels\":{");
	for (size_t i = 0; i < s->n_labels; i++) {
		if (i)
			buf_ch(b, ',');
		(void)json_escape(b, sv_of(s->labels[i].name));
		buf_ch(b, ':');
		(void)json_escape(b, sv_of(s->labels[i].value));
	}
	buf_str(b, "},");
}

void
rejects_add(void *arg, const struct series *s, int64_t ts_ms, double value, int status,
	    const char *reason)
{
	struct rejects *r = arg;
	struct buf *b = &r->lines;
	char ts[TIME_TEXT_MAX];
	char number[NUM_DOUBLE_MAX];

	time_format_ms(ts_ms, ts);
	(void)num_format(value, number);
	buf_ch(b, '{');
	member(b, "ts", ts);
	member(b, "tenant", r->p->tenant);
	member(b, "account_id", r->p->account);
	member(b, "region", r->p->region);
	member(b, "job", r->p->job);
	member(b, "name", s->name);
	labels(b, s);
	buf_fmt(b, "\"value\":%s,", number);
	member(b, "sink", r->sink);
	buf_fmt(b, "\"status\":%d,\"reason\":", status);
	(void)json_escape(b, sv_of(reason));
	buf_str(b, "}\n");
	r->n++;
}
