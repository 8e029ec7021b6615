/*
 * Reading the checkpoint's text, and telling a sound one from a damaged one.
 *
 * A text that is not byte for byte what would be written for what it says is damaged, be it only by
 * a blank: there is one text for one checkpoint, and nothing in between. Only a document that is
 * whole may say that it is of a newer version, so that a flipped bit in the version is damage too.
 */
#include "state/calls.h"
#include "state/ckpt_json.h"

#include <inttypes.h>

#include "base/cleanup.h"
#include "fmt/json.h"

#define PATH_LEN 512

static int
read_text(const json_t *o, const char *path, const struct member *m, char **field, struct err *err)
{
	const char *text = NULL;

	if (json_get_str(o, path, m->name, m->type == STR, &text, err) < 0)
		return -1;
	return ckpt_set_str(field, text, err);
}

static int
read_time(const json_t *o, const char *path, const struct member *m, int64_t *field,
	  struct err *err)
{
	char canonical[TIME_TEXT_MAX];
	const char *text = NULL;

	if (json_get_str(o, path, m->name, m->type == TIME, &text, err) < 0)
		return -1;
	*field = 0;
	if (!text)
		return 0;
	if (time_parse_iso(sv_of(text), field)) {
		ckpt_time_text(*field, canonical);
		if (strcmp(canonical, text) == 0 && (*field != 0 || m->type == TIME))
			return 0;
	}
	return err_set(err, ERR_DATA, "%s/%s: not a time as it is written here", path, m->name);
}

static int
read_int(const json_t *o, const char *path, const struct member *m, int64_t *field, struct err *err)
{
	if (json_get_i64(o, path, m->name, true, field, err) < 0)
		return -1;
	if (*field < 0)
		return err_set(err, ERR_DATA, "%s/%s: negative", path, m->name);
	return 0;
}

static int
read_int_if(const json_t *o, const char *path, const struct member *m, int64_t *field,
	    struct err *err)
{
	if (!json_object_get(o, m->name))
		return 0;
	if (read_int(o, path, m, field, err) < 0)
		return -1;
	return *field ? 0 : err_set(err, ERR_DATA, "%s/%s: 0 is not written", path, m->name);
}

static int
read_nonce(const json_t *o, const char *path, const struct member *m, char field[33],
	   struct err *err)
{
	const char *text;

	if (json_get_str(o, path, m->name, true, &text, err) < 0)
		return -1;
	if (strlen(text) != 32 || strspn(text, "0123456789abcdef") != 32)
		return err_set(err, ERR_DATA, "%s/%s: not 32 hexadecimal digits", path, m->name);
	memcpy(field, text, 33);
	return 0;
}

static int
read_member(const json_t *o, const char *path, const struct member *m, void *base, struct err *err)
{
	void *p = (char *)base + m->offset;

	switch (m->type) {
	case STR:
	case OPT_STR:
		return read_text(o, path, m, p, err);
	case TIME:
	case OPT_TIME:
		return read_time(o, path, m, p, err);
	case U64:
	case I64:
		return read_int(o, path, m, p, err);
	case U64_IF:
		return read_int_if(o, path, m, p, err);
	case NONCE:
		return read_nonce(o, path, m, p, err);
	case ELSEWHERE:
	case OPTIONAL:
		break;
	}
	return 0;
}

/* An object has all members of its table and no others. */
static int
read_object(json_t *o, const char *path, const struct member *table, void *base, struct err *err)
{
	const struct member *m;
	const char *key;
	json_t *value;

	if (!json_is_object(o))
		return err_set(err, ERR_DATA, "%s: not an object", path);
	for (m = table; m->name; m++) {
		if (!json_object_get(o, m->name) && m->type != U64_IF && m->type != OPTIONAL)
			return err_set(err, ERR_DATA, "%s/%s: missing", path, m->name);
		if (read_member(o, path, m, base, err) < 0)
			return -1;
	}
	json_object_foreach(o, key, value)
	{
		for (m = table; m->name && strcmp(m->name, key) != 0; m++)
			;
		if (!m->name)
			return err_set(err, ERR_DATA, "%s: unknown member \"%.64s\"", path, key);
	}
	return 0;
}

static int
read_sink(json_t *o, const char *path, struct ckpt_sink *k, struct err *err)
{
	char at[PATH_LEN];
	json_t *beyond;

	if (read_object(o, path, sink_members, k, err) < 0 ||
	    json_get_arr(o, path, "beyond", true, &beyond, err) < 0)
		return -1;
	k->beyond.v = ckpt_array_new(json_array_size(beyond), sizeof(*k->beyond.v));
	if (!k->beyond.v)
		return err_nomem(err);
	k->beyond.n = json_array_size(beyond);
	for (size_t i = 0; i < k->beyond.n; i++) {
		(void)snprintf(at, sizeof(at), "%.480s/beyond/%zu", path, i);
		if (read_object(json_array_get(beyond, i), at, range_members, &k->beyond.v[i],
				err) < 0)
			return -1;
	}
	return 0;
}

static int
read_sinks(const json_t *o, const char *path, struct ckpt_stream *s, struct err *err)
{
	json_t *sinks, *value;
	char at[PATH_LEN];
	const char *name;

	if (json_get_obj(o, path, "sinks", true, &sinks, err) < 0)
		return -1;
	s->sinks = ckpt_array_new(json_object_size(sinks), sizeof(*s->sinks));
	if (!s->sinks)
		return err_nomem(err);
	json_object_foreach(sinks, name, value)
	{
		struct ckpt_sink *k = &s->sinks[s->n_sinks++];

		(void)snprintf(at, sizeof(at), "%.400s/sinks/%.64s", path, name);
		if (ckpt_set_str(&k->name, name, err) < 0 || read_sink(value, at, k, err) < 0)
			return -1;
	}
	return 0;
}

static int
read_gaps(const json_t *o, const char *path, struct ckpt_stream *s, struct err *err)
{
	char at[PATH_LEN];
	json_t *gaps;

	if (json_get_arr(o, path, "gaps", true, &gaps, err) < 0)
		return -1;
	s->gaps = ckpt_array_new(json_array_size(gaps), sizeof(*s->gaps));
	if (!s->gaps)
		return err_nomem(err);
	s->n_gaps = json_array_size(gaps);
	for (size_t i = 0; i < s->n_gaps; i++) {
		(void)snprintf(at, sizeof(at), "%.480s/gaps/%zu", path, i);
		if (read_object(json_array_get(gaps, i), at, gap_members, &s->gaps[i], err) < 0)
			return -1;
	}
	return 0;
}

static int
read_stream(json_t *o, const char *region, struct ckpt_stream *s, struct err *err)
{
	char path[PATH_LEN], at[PATH_LEN + 16];
	json_t *memo;

	(void)snprintf(path, sizeof(path), "/streams/%.64s", region);
	(void)snprintf(at, sizeof(at), "%s/counters", path);
	if (ckpt_set_str(&s->region, region, err) < 0 ||
	    read_object(o, path, stream_members, s, err) < 0 ||
	    read_object(json_object_get(o, "counters"), at, counter_members, &s->counters, err) <
		0 ||
	    read_sinks(o, path, s, err) < 0 || read_gaps(o, path, s, err) < 0 ||
	    calls_read(json_object_get(o, "calls"), path, &s->calls, err) < 0)
		return -1;
	memo = json_object_get(o, "memo");
	if (!json_is_null(memo))
		s->memo = json_incref(memo);
	s->seen = json_incref(json_object_get(o, "seen"));
	return 0;
}

static int
read_history(const json_t *doc, struct ckpt *c, struct err *err)
{
	char at[PATH_LEN];
	json_t *events = NULL;

	if (json_get_arr(doc, "", "history", false, &events, err) < 0)
		return -1;
	if (json_object_get(doc, "history") && json_array_size(events) == 0)
		return err_set(err, ERR_DATA, "/history: an empty one is not written");
	c->history = ckpt_array_new(json_array_size(events), sizeof(*c->history));
	if (!c->history)
		return err_nomem(err);
	c->n_history = json_array_size(events);
	for (size_t i = 0; i < c->n_history; i++) {
		(void)snprintf(at, sizeof(at), "/history/%zu", i);
		if (read_object(json_array_get(events, i), at, event_members, &c->history[i], err) <
		    0)
			return -1;
	}
	return 0;
}

static int
read_streams(const json_t *doc, struct ckpt *c, struct err *err)
{
	json_t *streams, *value;
	const char *region;

	if (json_get_obj(doc, "", "streams", true, &streams, err) < 0)
		return -1;
	c->streams = ckpt_array_new(json_object_size(streams), sizeof(*c->streams));
	if (!c->streams)
		return err_nomem(err);
	json_object_foreach(
	    streams, region,
	    value) if (read_stream(value, region, &c->streams[c->n_streams++], err) < 0) return -1;
	return 0;
}

static int
read_ckpt(json_t *doc, const char *tenant, const char *job, struct ckpt **ret, struct err *err)
{
	CLEANUP(ckpt_freep) struct ckpt *c = calloc(1, sizeof(*c));

	if (!c)
		return err_nomem(err);
	if (read_object(doc, "", ckpt_members, c, err) < 0 ||
	    read_object(json_object_get(doc, "lease"), "/lease", lease_members, &c->lease, err) <
		0 ||
	    read_streams(doc, c, err) < 0 || read_history(doc, c, err) < 0 ||
	    ckpt_check(c, err) < 0)
		return -1;
	if (strcmp(c->tenant, tenant) != 0 || strcmp(c->job, job) != 0)
		return err_set(err, ERR_DATA, "it is the checkpoint of tenant %.64s, job %.64s",
			       c->tenant, c->job);
	if (c->generation == 0)
		return err_set(err, ERR_DATA, "/generation: 0 is never stored");
	*ret = STEAL(c);
	return 0;
}

/* What every version has: format, version and a checksum that holds. */
static int
check_envelope(json_t *doc, int64_t *ret_version, struct err *err)
{
	CLEANUP(json_decrefp) json_t *bare = json_copy(doc);
	const char *format, *stored;
	char sum[CHECKSUM_MAX];

	if (json_get_str(doc, "", "format", true, &format, err) < 0 ||
	    json_get_i64(doc, "", "version", true, ret_version, err) < 0 ||
	    json_get_str(doc, "", "checksum", true, &stored, err) < 0)
		return -1;
	if (strcmp(format, CKPT_FORMAT) != 0)
		return err_set(err, ERR_DATA, "/format: not a checkpoint");
	if (!bare || json_object_del(bare, "checksum") < 0)
		return err_nomem(err);
	if (ckpt_checksum(bare, sum, err) < 0)
		return -1;
	if (strcmp(sum, stored) != 0)
		return err_set(err, ERR_DATA, "the checksum does not match");
	if (*ret_version < 1)
		return err_set(err, ERR_DATA, "/version: out of range");
	return 0;
}

static int
check_text(struct sv text, const json_t *doc, struct err *err)
{
	CLEANUP(buf_done) struct buf again = BUF_INIT(CKPT_MAX);

	if (ckpt_text(doc, &again, err) < 0)
		return -1;
	if (!sv_eq(text, buf_view(&again)))
		return err_set(err, ERR_DATA, "not the text as it was written");
	return 0;
}

int
ckpt_parse(struct sv text, const char *tenant, const char *job, struct ckpt **ret, struct err *err)
{
	CLEANUP(json_decrefp) json_t *doc = NULL;
	int64_t version;

	if (text.n == 0)
		return err_set(err, ERR_DATA, "checkpoint: empty");
	if (json_parse(text, "checkpoint", &doc, err) < 0)
		return -1;
	if (check_envelope(doc, &version, err) < 0)
		return err_wrap(err, "checkpoint");
	if (version > CKPT_VERSION)
		return err_set(err, ERR_LOCAL,
			       "checkpoint: of version %" PRId64
			       ", this program knows up to %d: use a newer one",
			       version, CKPT_VERSION);
	if (check_text(text, doc, err) < 0 || read_ckpt(doc, tenant, job, ret, err) < 0)
		return err_wrap(err, "checkpoint");
	return 0;
}
