/*
 * A receiver for replays. Requests are decoded from their wire form, so that a replay also covers
 * how samples are cut, encoded and compressed; and they are sorted, because the order in which
 * streams come depends on the number of workers.
 */
#include "run/tape_receive.h"

#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/fsx.h"
#include "base/map.h"
#include "base/num.h"
#include "fmt/codec.h"
#include "fmt/json.h"
#include "fmt/snappy.h"
#include "fmt/zst.h"

#define URL	    "http://replay.invalid/"
#define REQUEST_MAX ((size_t)16 << 20)
#define LINES_MAX   ((size_t)1 << 30)
#define LEVEL	    3

struct receiver {
	struct {
		pthread_mutex_t mu;
		struct map sinks; /* of struct buf: lines */
	} locked;
};

int
receiver_new(struct receiver **ret, struct err *err)
{
	struct receiver *r = calloc(1, sizeof(*r));

	if (!r)
		return err_nomem(err);
	(void)pthread_mutex_init(&r->locked.mu, NULL); /* cannot fail without attributes */
	*ret = r;
	return 0;
}

static void
free_lines(void *p)
{
	buf_done(p);
	free(p);
}

void
receiver_free(struct receiver *r)
{
	if (!r)
		return;
	map_done(&r->locked.sinks, free_lines);
	(void)pthread_mutex_destroy(&r->locked.mu);
	free(r);
}

void
receiver_url(struct buf *out, const char *sink)
{
	buf_fmt(out, "%s%s", URL, sink);
}

/* ---- protobuf ---- */

/* One field: for type 2 its bytes, for 0 and 1 its number. */
struct field {
	uint64_t number, value;
	unsigned type;
	struct sv bytes;
};

static bool
read_varint(struct sv *in, uint64_t *ret)
{
	*ret = 0;
	for (unsigned shift = 0; shift < 64 && in->n; shift += 7) {
		unsigned char c = (unsigned char)*in->p++;

		in->n--;
		*ret |= (uint64_t)(c & 0x7f) << shift;
		if (c < 0x80)
			return true;
	}
	return false;
}

static bool
read_field(struct sv *in, struct field *f)
{
	uint64_t tag;

	*f = (struct field){0};
	if (!read_varint(in, &tag))
		return false;
	f->number = tag >> 3;
	f->type = (unsigned)(tag & 7);
	if (f->type == 0)
		return read_varint(in, &f->value);
	if (f->type == 1 && in->n >= 8) {
		for (unsigned i = 0; i < 8; i++)
			f->value |= (uint64_t)(unsigned char)in->p[i] << (8 * i);
		in->p += 8;
		in->n -= 8;
		return true;
	}
	if (f->type != 2 || !read_varint(in, &f->value) || f->value > in->n)
		return false;
	f->bytes = (struct sv){in->p, (size_t)f->value};
	in->p += f->value;
	in->n -= (size_t)f->value;
	return true;
}

/* A label as "name":"value"; labels come sorted. */
static bool
add_label(struct sv in, struct buf *labels)
{
	struct sv name = SV(""), value = SV("");
	struct field f;

	while (in.n) {
		if (!read_field(&in, &f) || f.type != 2)
			return false;
		if (f.number == 1)
			name = f.bytes;
		else
			value = f.bytes;
	}
	if (labels->n)
		buf_ch(labels, ',');
	(void)json_escape(labels, name);
	buf_ch(labels, ':');
	(void)json_escape(labels, value);
	return true;
}

static bool
add_sample(struct sv in, struct sv labels, struct buf *out)
{
	char text[NUM_DOUBLE_MAX];
	int64_t ts = 0;
	double value = 0;
	struct field f;

	while (in.n) {
		if (!read_field(&in, &f))
			return false;
		if (f.number == 1 && f.type == 1)
			memcpy(&value, &f.value, sizeof(value));
		else if (f.number == 2 && f.type == 0)
			ts = (int64_t)f.value;
	}
	(void)num_format(value, text);
	buf_str(out, "{\"labels\":{");
	buf_sv(out, labels);
	buf_fmt(out, "},\"ts\":%" PRId64 ",\"value\":%s}\n", ts, text);
	return true;
}

static bool
add_series(struct sv in, struct buf *out)
{
	CLEANUP(buf_done) struct buf labels = BUF_INIT(REQUEST_MAX);
	struct field f;
	bool ok = true;

	while (ok && in.n) {
		ok = read_field(&in, &f) && f.type == 2;
		if (ok && f.number == 1)
			ok = add_label(f.bytes, &labels);
		else if (ok && f.number == 2)
			ok = add_sample(f.bytes, buf_view(&labels), out);
	}
	return ok && buf_ok(&labels);
}

static int
decode_remote_write(struct sv body, struct buf *out, struct err *err)
{
	CLEANUP(buf_done) struct buf raw = BUF_INIT(REQUEST_MAX);
	struct sv in;
	struct field f;

	if (snappy_block_decode(body, &raw, err))
		return err_wrap(err, "remote write");
	for (in = buf_view(&raw); in.n;)
		if (!read_field(&in, &f) || (f.number == 1 && !add_series(f.bytes, out)))
			return err_set(err, ERR_DATA, "remote write: a broken request");
	return buf_check(out, "samples", err);
}

/* ---- alerts ---- */

static int
decode_alerts(struct sv body, struct buf *out, struct err *err)
{
	CLEANUP(json_decrefp) json_t *doc = NULL;
	int rc = json_parse(body, "alerts", &doc, err);

	if (!rc && !json_is_array(doc))
		rc = err_set(err, ERR_DATA, "alerts: expected an array");
	for (size_t i = 0; !rc && i < json_array_size(doc); i++) {
		rc = json_dump(json_array_get(doc, i), false, out, err);
		buf_ch(out, '\n');
	}
	return rc ? rc : buf_check(out, "alerts", err);
}

/* ---- spans ---- */

static void
add_hex(struct buf *out, const char *before, struct sv bytes)
{
	buf_str(out, before);
	for (size_t i = 0; i < bytes.n; i++)
		buf_fmt(out, "%02x", (unsigned char)bytes.p[i]);
	buf_ch(out, '"');
}

static void
add_base64(struct buf *out, const char *before, struct sv bytes)
{
	buf_str(out, before);
	base64_encode(out, bytes);
	buf_ch(out, '"');
}

/* A line for each span: its ids and name to look at, and all of it, with its resource. */
static bool
add_span(struct sv span, struct sv resource, struct buf *out)
{
	struct sv trace = SV(""), id = SV(""), name = SV("");
	struct field f = {0};

	for (struct sv in = span; in.n && f.number < 5;) {
		if (!read_field(&in, &f) || f.type != 2)
			return false;
		if (f.number == 1)
			trace = f.bytes;
		else if (f.number == 2)
			id = f.bytes;
		else if (f.number == 5)
			name = f.bytes;
	}
	add_hex(out, "{\"trace_id\":\"", trace);
	add_hex(out, ",\"span_id\":\"", id);
	buf_str(out, ",\"name\":");
	(void)json_escape(out, name);
	add_base64(out, ",\"span\":\"", span);
	add_base64(out, ",\"resource\":\"", resource);
	buf_str(out, "}\n");
	return true;
}

/* Resource first, then scopes with their spans. */
static bool
add_resource_spans(struct sv in, struct buf *out)
{
	struct sv resource = SV("");
	struct field f, g;

	while (in.n) {
		if (!read_field(&in, &f) || f.type != 2)
			return false;
		if (f.number == 1)
			resource = f.bytes;
		for (struct sv scope = f.bytes; f.number == 2 && scope.n;)
			if (!read_field(&scope, &g) || g.type != 2 ||
			    (g.number == 2 && !add_span(g.bytes, resource, out)))
				return false;
	}
	return true;
}

static int
decode_spans(struct sv body, struct buf *out, struct err *err)
{
	struct field f;

	while (body.n)
		if (!read_field(&body, &f) || f.type != 2 || !add_resource_spans(f.bytes, out))
			return err_set(err, ERR_DATA, "spans: a broken request");
	return buf_check(out, "spans", err);
}

/* ---- taking ---- */

static const struct {
	const char *operation;
	int (*decode)(struct sv body, struct buf *out, struct err *err);
} decoders[] = {
    {"RemoteWrite", decode_remote_write},
    {"PostAlerts", decode_alerts},
    {"ExportTraces", decode_spans},
};

static int
add_lines(struct receiver *r, const char *sink, struct sv lines, struct err *err)
{
	struct sv name = {sink, strcspn(sink, "/")}; /* an API's path may stand behind it */
	struct buf *b;
	int rc = 0;

	(void)pthread_mutex_lock(&r->locked.mu);
	b = map_get(&r->locked.sinks, name);
	if (!b) {
		b = calloc(1, sizeof(*b));
		if (b)
			*b = BUF_INIT(LINES_MAX);
		if (!b || map_put(&r->locked.sinks, name, b, NULL, err)) {
			free(b);
			rc = err_nomem(err);
		}
	}
	if (!rc) {
		buf_sv(b, lines);
		rc = buf_check(b, "what a sink was sent", err);
	}
	(void)pthread_mutex_unlock(&r->locked.mu);
	return rc;
}

int
receiver_take(void *arg, const struct http_req *req, struct http_resp *resp, struct err *err)
{
	CLEANUP(buf_done) struct buf lines = BUF_INIT(LINES_MAX);

	if (!sv_starts(sv_of(req->url), SV(URL)))
		return err_set(err, ERR_REJECTED, "a replay has no network: %s %s", req->service,
			       req->operation);
	for (size_t i = 0; i < ARRAY_LEN(decoders); i++) {
		if (strcmp(decoders[i].operation, req->operation) != 0)
			continue;
		if (decoders[i].decode(req->body, &lines, err) ||
		    add_lines(arg, req->url + strlen(URL), buf_view(&lines), err))
			return -1;
		resp->status = 200;
		return 0;
	}
	return err_set(err, ERR_REJECTED, "%s cannot be replayed by this version", req->operation);
}

/* ---- writing ---- */

static int
by_bytes(const void *a, const void *b)
{
	return sv_cmp(*(const struct sv *)a, *(const struct sv *)b);
}

/* The lines of a text, sorted; the caller frees *ret. */
static int
sort_lines(struct sv text, struct sv **ret, size_t *ret_n, struct err *err)
{
	size_t n = 0, max = 1;

	for (size_t i = 0; i < text.n; i++)
		max += text.p[i] == '\n';
	*ret = calloc(max, sizeof(**ret));
	if (!*ret)
		return err_nomem(err);
	while (text.n) {
		const char *nl = memchr(text.p, '\n', text.n);
		size_t len = nl ? (size_t)(nl - text.p) + 1 : text.n;

		(*ret)[n++] = (struct sv){text.p, len};
		text.p += len;
		text.n -= len;
	}
	qsort(*ret, n, sizeof(**ret), by_bytes);
	*ret_n = n;
	return 0;
}

int
receiver_write_lines(struct sv text, const char *folder, const char *name, struct err *err)
{
	CLEANUP(buf_done) struct buf sorted = BUF_INIT(LINES_MAX), packed = BUF_INIT(LINES_MAX);
	CLEANUP(buf_done) struct buf path = BUF_INIT(4096);
	CLEANUP(freep) struct sv *lines = NULL;
	size_t n = 0;

	if (sort_lines(text, &lines, &n, err))
		return -1;
	for (size_t i = 0; i < n; i++)
		if (i == 0 || !sv_eq(lines[i - 1], lines[i]))
			buf_sv(&sorted, lines[i]);
	buf_fmt(&path, "%s/%s.ndjson.zst", folder, name);
	if (n == 0)
		return 0;
	if (buf_check(&sorted, name, err) || buf_check(&path, name, err) ||
	    zst_compress(buf_view(&sorted), LEVEL, &packed, err))
		return -1;
	return fsx_replace(AT_FDCWD, buf_cstr(&path), buf_view(&packed), err);
}

struct writing {
	const char *folder;
	struct err *err;
	int result;
};

static void
write_sink(struct sv sink, void *value, void *arg)
{
	CLEANUP(freep) char *name = sv_dup(sink);
	const struct buf *lines = value;
	struct writing *w = arg;

	if (w->result)
		return;
	w->result = name ? receiver_write_lines(buf_view(lines), w->folder, name, w->err)
			 : err_nomem(w->err);
}

int
receiver_write(struct receiver *r, const char *folder, struct err *err)
{
	struct writing w = {.folder = folder, .err = err};

	map_each(&r->locked.sinks, write_sink, &w);
	return w.result;
}
