/*
 * The openmetrics sink: cells as OpenMetrics text, for samples that no receiver takes any more.
 * What `promtool tsdb create-blocks-from openmetrics` makes of the files, a Prometheus serves.
 *
 * A cell is one file, created once, its key and its text functions of the cell: as in the lake,
 * doing a cell again changes nothing. A family's lines stand together, a series' in time order.
 * Without metadata lines, files joined in the order of their names (with one `# EOF` at the end)
 * are such a file again: the text format wants a family's lines together, promtool only wants each
 * series in time order. See https://prometheus.io/docs/specs/om/open_metrics_spec/
 */
#include <math.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/num.h"
#include "sink/sink.h"
#include "sink/sink_creds.h"

#define TEXT_MAX CELL_NDJSON_MAX

struct openmetrics {
	struct sink base;
	struct sink_creds creds; /* for s3:// */
	struct store *store;
};

/* ABNF escaped-string: backslash, newline and quote. */
static void
add_escaped(struct buf *out, const char *value)
{
	for (size_t n; *value; value += n) {
		n = strcspn(value, "\\\n\"");
		buf_add(out, value, n);
		if (!value[n])
			return;
		buf_ch(out, '\\');
		buf_ch(out, value[n] == '\n' ? 'n' : value[n]);
		n++;
	}
}

static void
add_series(struct buf *out, const struct series *s)
{
	buf_str(out, s->name);
	for (size_t i = 0; i < s->n_labels; i++) {
		buf_ch(out, i ? ',' : '{');
		buf_fmt(out, "%s=\"", s->labels[i].name);
		add_escaped(out, s->labels[i].value);
		buf_ch(out, '"');
	}
	if (s->n_labels)
		buf_ch(out, '}');
}

/* Seconds. Prometheus reads them as a double and cuts what it multiplies by 1,000 off: where that
 * would be a millisecond less, a hundredth of one is added. */
static void
add_time(struct buf *out, int64_t ms)
{
	char text[32];

	if (ms % 1000 == 0) {
		buf_fmt(out, "%lld", (long long)(ms / 1000));
		return;
	}
	(void)snprintf(text, sizeof(text), "%lld.%03lld", (long long)(ms / 1000),
		       (long long)(ms % 1000));
	buf_str(out, text);
	if ((int64_t)(strtod(text, NULL) * 1000) != ms)
		buf_str(out, "01");
}

static int
add_row(struct buf *out, struct buf *head, const struct sample_row *row, uint64_t *n,
	struct err *err)
{
	char value[NUM_DOUBLE_MAX];

	buf_reset(head); /* which forgives what was wrong with the row before */
	add_series(head, row->series);
	if (buf_check(head, "series", err))
		return -1;
	for (size_t i = 0; i < row->n; i++) {
		if (!isfinite(row->values[i]))
			continue;
		buf_sv(out, buf_view(head));
		buf_ch(out, ' ');
		buf_add(out, value, num_format(row->values[i], value));
		buf_ch(out, ' ');
		add_time(out, sample_time(row, i));
		buf_ch(out, '\n');
		++*n;
	}
	return 0;
}

static int
encode(const struct cell_data *d, struct buf *out, uint64_t *ret_n, struct err *err)
{
	CLEANUP(buf_done) struct buf head = BUF_INIT(TEXT_MAX);

	*ret_n = 0;
	for (size_t i = 0; i < d->n_rows; i++)
		if (add_row(out, &head, &d->rows[i], ret_n, err))
			return -1;
	buf_str(out, "# EOF\n");
	return buf_check(out, "cell as OpenMetrics", err);
}

static int
create(struct openmetrics *o, const struct publish *p, const struct cell_data *d, struct sv text,
       struct err *err)
{
	CLEANUP(buf_done) struct buf key = BUF_INIT(1024);
	struct store_put opt = {
	    .cond = STORE_CREATE,
	    .content_type = "application/openmetrics-text; version=1.0.0; charset=utf-8",
	};

	cell_openmetrics_key(&key, p->job, p->tenant, p->region, d->cell);
	if (buf_check(&key, "object key", err))
		return -1;
	if (p->definition && *p->definition)
		opt.meta[opt.n_meta++] = (struct store_meta){"definition", p->definition};
	return store_put(o->store, buf_cstr(&key), text, &opt, NULL, err);
}

static int
openmetrics_publish(struct sink *s, const struct publish *p, const struct cell_data *d,
		    struct published *ret, struct err *err)
{
	CLEANUP(buf_done) struct buf text = BUF_INIT(TEXT_MAX);
	struct err local;
	uint64_t n;

	err = err ? err : &local;
	if (encode(d, &text, &n, err))
		return -1;
	if (!n)
		return 0;
	ret->requests++;
	ret->bytes += text.n;
	if (!create((struct openmetrics *)s, p, d, buf_view(&text), err)) {
		ret->acked = n;
		return 0;
	}
	if (err->kind != ERR_CONFLICT)
		return -1;
	err_clear(err);
	ret->already = n;
	return 0;
}

static void
openmetrics_free(struct sink *s)
{
	struct openmetrics *o = (struct openmetrics *)s;

	if (o->store)
		store_free(o->store);
	sink_creds_done(&o->creds);
	free(o);
}

static const struct sink_ops openmetrics_ops = {
    .kind = "openmetrics",
    .samples = true,
    .leftovers = true,
    .publish = openmetrics_publish,
    .free = openmetrics_free,
};

static int
check_conf(const struct sink_conf *c, struct err *err)
{
	return c->url ? 0 : err_set(err, ERR_USAGE, "needs a url");
}

int
sink_openmetrics_open(const struct sink_conf *c, const struct sink_env *env, struct sink **ret,
		      struct err *err)
{
	struct openmetrics *o;

	if (check_conf(c, err))
		return -1;
	o = calloc(1, sizeof(*o));
	if (!o)
		return err_nomem(err);
	o->base = (struct sink){.ops = &openmetrics_ops, .conf = c};
	if (sink_store_open(c, env, &o->creds, &o->store, err)) {
		openmetrics_free(&o->base);
		return -1;
	}
	*ret = &o->base;
	return 0;
}

int
sink_openmetrics_try(const struct sink_conf *c, const struct sink_env *env, const struct trials *to,
		     struct err *err)
{
	return check_conf(c, err) ? -1 : sink_store_try(c, env, to, err);
}
