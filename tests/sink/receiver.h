/*
 * A remote-write receiver as a transport: a small time-series database with the rules of the real
 * ones, three habits about requests that hold something bad, and faults on
 * order.
 */
#ifndef MUSTER_TESTS_SINK_RECEIVER_H
#define MUSTER_TESTS_SINK_RECEIVER_H

#include <math.h>
#include <stdio.h>

#include "base/map.h"
#include "base/timefmt.h"
#include "fmt/snappy.h"
#include "net/transport.h"
#include "tests/sink/wire_read.h"

#define RECEIVER_SERIES 512 /* that it has room for, if not said otherwise */
#define HOUR_MS		INT64_C(3600000)

/* Values that this database does not take, for no reason of order. */
#define VALUE_FUTURE 6661.0 /* "too far in the future" */
#define VALUE_BAD    6662.0 /* "value not allowed" */
#define LABEL_BAD    "poison"

enum receiver_habit {
	HABIT_WHOLE,  /* Prometheus: one bad sample rolls the request back */
	HABIT_KEEPER, /* Cortex: the good ones stay */
	HABIT_ANY,    /* VictoriaMetrics: takes everything */
};
enum receiver_words {
	WORDS_BARE,   /* "out of order sample" */
	WORDS_CORTEX, /* with timestamp and series */
	WORDS_EMPTY,
};
enum receiver_fault {
	FAULT_NONE,
	FAULT_BEFORE, /* no answer, nothing arrived */
	FAULT_AFTER,  /* no answer, but it arrived */
	FAULT_STATUS, /* `fault_status` with `fault_body`, nothing taken */
	FAULT_TWICE,  /* the reply was lost and the transport sent it again: what counts is the
			 second answer */
};

struct db_series {
	char *key;
	char *text; /* as Cortex writes it */
	struct read_sample *samples;
	size_t n, cap;
};
struct receiver {
	struct transport base;
	enum receiver_habit habit;
	enum receiver_words words;
	int64_t window_ms;   /* out-of-order window */
	size_t max_raw;	     /* 413 beyond, 0: none */
	unsigned max_series; /* refuses new ones beyond it, 0: none */
	int series_limit_status;

	/* Fault at this request (1 is the first, 0: never); with `fault_for_good` at all later ones
	 * too. */
	unsigned fault_at;
	bool fault_for_good;
	enum receiver_fault fault;
	int fault_status;
	const char *fault_body;

	struct db_series *db;
	size_t n_series, room;
	struct map index; /* key -> its series */
	int64_t head_ms;
	unsigned requests, refusals;
	size_t largest_raw;
	uint64_t samples_in;
	bool malformed;
	struct http_req last; /* strings are borrowed */
	char last_auth[256], last_region[64];
	char headers[1024];

	/* While a request is taken in. */
	struct undo {
		struct db_series *s;
		size_t i;
	} * undo;
	size_t n_undo;
	int64_t undo_head_ms;
	int status;
	char text[1024];
};

static inline struct db_series *
db_find(const struct receiver *r, const char *key)
{
	return map_get(&r->index, sv_of(key));
}

static inline struct db_series *
db_add(struct receiver *r, const char *key, const char *text)
{
	struct db_series *s = db_find(r, key);

	if (s || r->n_series == r->room)
		return s;
	s = &r->db[r->n_series++];
	free(s->key);
	free(s->text);
	s->n = 0;
	s->key = strdup(key);
	s->text = strdup(text);
	if (!s->key || !s->text || map_put(&r->index, sv_of(key), s, NULL, NULL))
		abort();
	return s;
}

/* The index of ts, or where it would have to stand. */
static inline size_t
db_place(const struct db_series *s, int64_t ts)
{
	size_t i = s->n;

	while (i > 0 && s->samples[i - 1].ts >= ts)
		i--;
	return i;
}

static inline bool
db_has(const struct db_series *s, int64_t ts)
{
	size_t i = db_place(s, ts);

	return i < s->n && s->samples[i].ts == ts;
}

static inline void
db_insert(struct receiver *r, struct db_series *s, struct read_sample sample)
{
	size_t i = db_place(s, sample.ts);

	if (s->n == s->cap) {
		s->cap = s->cap ? 2 * s->cap : 16;
		s->samples = reallocarray(s->samples, s->cap, sizeof(*s->samples));
		if (!s->samples)
			abort();
	}
	memmove(&s->samples[i + 1], &s->samples[i], (s->n - i) * sizeof(*s->samples));
	s->samples[i] = sample;
	s->n++;
	if (r->undo)
		r->undo[r->n_undo++] = (struct undo){s, i};
	if (sample.ts > r->head_ms)
		r->head_ms = sample.ts;
}

/* Why a sample is not taken, or NULL. Stores it. */
static inline const char *
db_append(struct receiver *r, struct db_series *s, struct read_sample x)
{
	int64_t newest = s->n > 0 ? s->samples[s->n - 1].ts : INT64_MIN;

	if (x.value == VALUE_FUTURE)
		return "sample is too far in the future";
	if (x.value == VALUE_BAD)
		return "value not allowed";
	if (s->n > 0 && x.ts == newest)
		return memcmp(&s->samples[s->n - 1].value, &x.value, sizeof(x.value)) == 0
			   ? NULL
			   : "duplicate sample for timestamp";
	if (r->window_ms == 0 && x.ts < r->head_ms - HOUR_MS)
		return "out of bounds";
	if (x.ts < newest && r->window_ms == 0)
		return "out of order sample";
	if (x.ts < newest && x.ts < r->head_ms - r->window_ms)
		return "too old sample";
	if (!db_has(s, x.ts))
		db_insert(r, s, x);
	return NULL;
}

static inline void
db_overwrite(struct receiver *r, struct db_series *s, struct read_sample x)
{
	size_t i = db_place(s, x.ts);

	if (db_has(s, x.ts))
		s->samples[i] = x;
	else
		db_insert(r, s, x);
}

static inline void
receiver_complain(struct receiver *r, int status, const char *why, const char *text, int64_t ts)
{
	char when[TIME_TEXT_MAX];

	if (r->status != 0)
		return;
	r->status = status;
	time_format_ms(ts, when);
	if (r->words == WORDS_CORTEX)
		(void)snprintf(r->text, sizeof(r->text),
			       "user=u1: err: %s. timestamp=%s, series=%s\n", why, when, text);
	else
		(void)snprintf(r->text, sizeof(r->text), "%s\n", r->words == WORDS_BARE ? why : "");
}

/* Key of a series, checking what every receiver may expect of its labels. */
static inline bool
receiver_key(const struct read_series *s, char key[512], char text[512])
{
	size_t k = 0, t = 0;
	struct sv last = {"", 0};
	bool name = false;

	t += (size_t)snprintf(text, 512, "{");
	for (size_t i = 0; i < s->n_labels; i++) {
		const struct read_label *l = &s->labels[i];

		if (sv_cmp(last, l->name) >= 0 || l->value.n == 0 ||
		    k + l->name.n + l->value.n + 16 > 512)
			return false;
		last = l->name;
		name = name || sv_eq(l->name, SV("__name__"));
		k += (size_t)snprintf(key + k, 512 - k, "%.*s=%.*s;", (int)l->name.n, l->name.p,
				      (int)l->value.n, l->value.p);
		t += (size_t)snprintf(text + t, 512 - t, "%s%.*s=\"%.*s\"", i ? ", " : "",
				      (int)l->name.n, l->name.p, (int)l->value.n, l->value.p);
	}
	(void)snprintf(text + t, 512 - t, "}");
	return name && t < 500;
}

static inline bool
receiver_takes_series(struct receiver *r, const struct read_series *s, const char *key,
		      const char *text)
{
	for (size_t i = 0; i < s->n_labels; i++)
		if (sv_eq(s->labels[i].value, SV(LABEL_BAD))) {
			receiver_complain(r, 400, "label value too long", text, s->samples[0].ts);
			return false;
		}
	if (!db_find(r, key) && r->max_series > 0 && r->n_series >= r->max_series) {
		receiver_complain(r, r->series_limit_status, "per-user series limit of 7 exceeded",
				  text, s->samples[0].ts);
		return false;
	}
	return true;
}

static inline bool
receiver_series(void *arg, const struct read_series *s)
{
	struct receiver *r = arg;
	char key[512], text[512];
	struct db_series *db;

	if (r->status != 0 && r->habit == HABIT_WHOLE)
		return true;
	for (size_t i = 1; i < s->n_samples; i++)
		if (s->samples[i].ts <= s->samples[i - 1].ts)
			return false;
	if (s->n_samples == 0 || !receiver_key(s, key, text))
		return false;
	r->samples_in += s->n_samples;
	if (r->habit != HABIT_ANY && !receiver_takes_series(r, s, key, text))
		return true;
	db = db_add(r, key, text);
	if (!db)
		return false;
	for (size_t i = 0; i < s->n_samples; i++) {
		const char *why = NULL;

		if (r->habit == HABIT_ANY)
			db_overwrite(r, db, s->samples[i]);
		else
			why = db_append(r, db, s->samples[i]);
		if (why)
			receiver_complain(r, 400, why, text, s->samples[i].ts);
		if (why && r->habit == HABIT_WHOLE)
			return true;
	}
	return true;
}

/* Take a request in: sets status and text. */
static inline void
receiver_take(struct receiver *r, struct sv raw)
{
	size_t n_series = r->n_series;

	r->status = 0;
	r->text[0] = '\0';
	r->n_undo = 0;
	r->undo_head_ms = r->head_ms;
	r->undo = calloc(raw.n / 2 + 1, sizeof(*r->undo));
	if (!r->undo || !read_request(raw, receiver_series, r))
		r->malformed = true;
	if (r->status != 0 && r->habit == HABIT_WHOLE) {
		while (r->n_undo-- > 0) {
			struct undo *u = &r->undo[r->n_undo];

			u->s->n--;
			memmove(&u->s->samples[u->i], &u->s->samples[u->i + 1],
				(u->s->n - u->i) * sizeof(*u->s->samples));
		}
		r->head_ms = r->undo_head_ms;
		while (r->n_series > n_series)
			(void)map_del(&r->index, sv_of(r->db[--r->n_series].key));
	}
	r->refusals += r->status != 0 ? 1 : 0;
	free(r->undo);
	r->undo = NULL;
}

static inline int
receiver_answer(struct http_resp *resp, int status, const char *body, struct err *err)
{
	resp->status = status;
	buf_str(&resp->body, body);
	if (status >= 200 && status < 300)
		return 0;
	(void)err_set(err,
		      status == 429		       ? ERR_THROTTLED
		      : status >= 500		       ? ERR_TRANSIENT
		      : status == 401 || status == 403 ? ERR_AUTH
						       : ERR_REJECTED,
		      "%d: %s", status, body);
	err->http_status = status;
	return -1;
}

static inline void
receiver_remember(struct receiver *r, const struct http_req *req)
{
	size_t n = 0;

	r->last = *req;
	(void)snprintf(r->last_auth, sizeof(r->last_auth), "%s",
		       req->auth == AUTH_HEADER ? req->auth_header : "");
	(void)snprintf(r->last_region, sizeof(r->last_region), "%s", req->region);
	r->headers[0] = '\0';
	for (size_t i = 0; i < req->n_headers; i++)
		n += (size_t)snprintf(r->headers + n, sizeof(r->headers) - n, "%s: %s\n",
				      req->headers[i].name, req->headers[i].value);
}

static inline int
receiver_send(struct transport *t, const struct http_req *req, struct http_resp *resp,
	      struct err *err)
{
	struct receiver *r = (struct receiver *)t;
	struct buf raw = BUF_INIT((size_t)8 << 20);
	enum receiver_fault fault = FAULT_NONE;
	bool large;
	int rc;

	receiver_remember(r, req);
	resp->attempts = 1;
	r->requests++;
	if (r->fault_at > 0 &&
	    (r->requests == r->fault_at || (r->fault_for_good && r->requests > r->fault_at)))
		fault = r->fault;
	if (fault == FAULT_BEFORE)
		return err_set(err, ERR_TRANSIENT, "connection refused");
	if (fault == FAULT_STATUS)
		return receiver_answer(resp, r->fault_status, r->fault_body ? r->fault_body : "",
				       err);
	if (snappy_block_decode(req->body, &raw, err) < 0)
		r->malformed = true;
	if (raw.n > r->largest_raw)
		r->largest_raw = raw.n;
	large = r->max_raw > 0 && raw.n > r->max_raw;
	if (!large)
		receiver_take(r, buf_view(&raw));
	if (fault == FAULT_TWICE && !large) {
		receiver_take(r, buf_view(&raw));
		resp->attempts = 2;
	}
	buf_done(&raw);
	if (fault == FAULT_AFTER)
		return err_set(err, ERR_TRANSIENT, "connection reset");
	rc = large ? receiver_answer(resp, 413, "too large", err)
		   : receiver_answer(resp, r->status ? r->status : 200, r->text, err);
	return rc;
}

static inline void
receiver_free(struct transport *t)
{
	struct receiver *r = (struct receiver *)t;

	map_done(&r->index, NULL);
	for (size_t i = 0; i < r->room; i++) {
		free(r->db[i].key);
		free(r->db[i].text);
		free(r->db[i].samples);
	}
	free(r->db);
	free(r);
}

/* For so many series; before it has any. */
static inline void
receiver_make_room(struct receiver *r, size_t series)
{
	free(r->db);
	r->room = series;
	r->db = calloc(series, sizeof(*r->db));
	if (!r->db)
		abort();
}

static inline struct receiver *
receiver_new(enum receiver_habit habit, enum receiver_words words)
{
	static const struct transport_ops ops = {"receiver", receiver_send, receiver_free};
	struct receiver *r = calloc(1, sizeof(*r));

	if (!r)
		return NULL;
	r->base.ops = &ops;
	r->habit = habit;
	r->words = words;
	r->series_limit_status = 400;
	r->head_ms = INT64_MIN / 2;
	receiver_make_room(r, RECEIVER_SERIES);
	return r;
}

#endif
