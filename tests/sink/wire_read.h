/*
 * A reader of remote-write 1.0 requests for tests: knows nothing of the code that writes them.
 */
#ifndef MUSTER_TESTS_SINK_WIRE_READ_H
#define MUSTER_TESTS_SINK_WIRE_READ_H

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"

#define READ_LABELS 64

struct read_label {
	struct sv name, value;
};
struct read_sample {
	double value;
	int64_t ts;
};
struct read_series {
	struct sv raw; /* with its tag and length */
	struct read_label labels[READ_LABELS];
	size_t n_labels;
	struct read_sample *samples;
	size_t n_samples;
};
struct reader {
	const unsigned char *p, *end;
};

static inline bool
read_varint(struct reader *r, uint64_t *ret)
{
	*ret = 0;
	for (unsigned shift = 0; shift < 64 && r->p < r->end; shift += 7) {
		*ret |= (uint64_t)(*r->p & 0x7f) << shift;
		if (*r->p++ < 0x80)
			return true;
	}
	return false;
}

/* The next field: its number, wire type, and for type 2 its bytes, for 0 and 1 its number. */
static inline bool
read_field(struct reader *r, unsigned *field, unsigned *type, uint64_t *v, struct reader *sub)
{
	uint64_t tag;

	if (!read_varint(r, &tag))
		return false;
	*field = (unsigned)(tag >> 3);
	*type = (unsigned)(tag & 7);
	if (*type == 0)
		return read_varint(r, v);
	if (*type == 1) {
		if (r->end - r->p < 8)
			return false;
		*v = 0;
		for (int i = 0; i < 8; i++)
			*v |= (uint64_t)r->p[i] << (8 * i);
		r->p += 8;
		return true;
	}
	if (*type != 2 || !read_varint(r, v) || (uint64_t)(r->end - r->p) < *v)
		return false;
	*sub = (struct reader){r->p, r->p + *v};
	r->p += *v;
	return true;
}

static inline struct sv
read_view(struct reader r)
{
	return (struct sv){(const char *)r.p, (size_t)(r.end - r.p)};
}

static inline bool
read_label(struct reader r, struct read_label *l)
{
	unsigned field, type;
	struct reader sub;
	uint64_t v;

	*l = (struct read_label){{"", 0}, {"", 0}};
	while (r.p < r.end) {
		if (!read_field(&r, &field, &type, &v, &sub) || type != 2 || field > 2)
			return false;
		*(field == 1 ? &l->name : &l->value) = read_view(sub);
	}
	return true;
}

static inline bool
read_sample(struct reader r, struct read_sample *s)
{
	unsigned field, type;
	struct reader sub;
	uint64_t v;

	*s = (struct read_sample){0};
	while (r.p < r.end) {
		if (!read_field(&r, &field, &type, &v, &sub))
			return false;
		if (field == 1 && type == 1)
			memcpy(&s->value, &v, sizeof(v));
		else if (field == 2 && type == 0)
			s->ts = (int64_t)v;
		else
			return false;
	}
	return true;
}

/* The caller frees s->samples. */
static inline bool
read_series(struct reader r, struct read_series *s)
{
	unsigned field, type;
	struct reader sub;
	uint64_t v;

	while (r.p < r.end) {
		if (!read_field(&r, &field, &type, &v, &sub) || type != 2)
			return false;
		if (field == 1) {
			if (s->n_labels == READ_LABELS || s->n_samples > 0 ||
			    !read_label(sub, &s->labels[s->n_labels++]))
				return false;
		} else if (field == 2) {
			s->samples =
			    reallocarray(s->samples, s->n_samples + 1, sizeof(*s->samples));
			if (!s->samples || !read_sample(sub, &s->samples[s->n_samples++]))
				return false;
		} else {
			return false;
		}
	}
	return true;
}

/* Calls fn for each series of a WriteRequest. False if it is malformed or fn says so. */
static inline bool
read_request(struct sv body, bool (*fn)(void *arg, const struct read_series *s), void *arg)
{
	struct reader r = {(const unsigned char *)body.p, (const unsigned char *)body.p + body.n};
	unsigned field, type;
	struct reader sub;
	uint64_t v;
	bool ok = true;

	while (ok && r.p < r.end) {
		struct read_series s = {.raw = {(const char *)r.p, 0}};

		if (!read_field(&r, &field, &type, &v, &sub) || field != 1 || type != 2)
			return false;
		s.raw.n = (size_t)((const char *)r.p - s.raw.p);
		ok = read_series(sub, &s) && fn(arg, &s);
		free(s.samples);
	}
	return ok;
}

#endif
