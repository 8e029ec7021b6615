/* Marks of points; see seen.h. */
#include "model/seen.h"

#include <math.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/grow.h"
#include "base/hash.h"
#include "base/timefmt.h"
#include "fmt/codec.h"
#include "fmt/json.h"

#define SEEN_VERSION 1
#define MARK_BYTES   3
#define KEY_BYTES    8
#define TEXT_MAX     ((size_t)32 << 20)

void
seen_init(struct seen *s, const char *definition)
{
	*s = (struct seen){.newest_ms = INT64_MIN};
	(void)snprintf(s->definition, sizeof(s->definition), "%s", definition ? definition : "");
}

static void
cell_done(struct seen_cell *c)
{
	free(c->keys);
	free(c->marks);
	for (size_t i = 0; i < c->n_owed; i++)
		free(c->owed[i].sink);
	free(c->owed);
}

void
seen_done(struct seen *s)
{
	for (size_t i = 0; i < s->n; i++)
		cell_done(&s->cells[i]);
	free(s->cells);
	s->cells = NULL;
	s->n = s->cap = 0;
}

/* Hashes */

/* Words of eight bytes; the length closes it, so that "ab","c" is not "a","bc". */
static uint64_t
hash_text(uint64_t h, const char *text)
{
	size_t n = strlen(text), left = n;
	uint64_t word;

	for (; left >= sizeof(word); left -= sizeof(word), text += sizeof(word)) {
		memcpy(&word, text, sizeof(word));
		h = mix64(h ^ word);
	}
	word = 0;
	memcpy(&word, text, left);
	return mix64(h ^ word ^ ((uint64_t)n << 56));
}

uint64_t
seen_key(const struct series *s)
{
	uint64_t h;

	if (s->key)
		return s->key;
	h = hash_text(s->n_labels, s->name);
	for (size_t i = 0; i < s->n_labels; i++)
		h = hash_text(hash_text(h, s->labels[i].name), s->labels[i].value);
	return h;
}

void
seen_key_make(struct series *s)
{
	s->key = 0;
	s->key = seen_key(s);
}

static uint32_t
mark_of(double value)
{
	uint64_t bits;
	uint32_t mark;

	memcpy(&bits, &value, sizeof(bits));
	mark = (uint32_t)(mix64(bits + 1) & 0xFFFFFF);
	return mark ? mark : 1;
}

/* Cells */

static size_t
cell_at(const struct seen *s, int64_t start_ms)
{
	size_t i = 0;

	while (i < s->n && s->cells[i].start_ms < start_ms)
		i++;
	return i;
}

struct seen_cell *
seen_find(const struct seen *s, int64_t start_ms)
{
	size_t i = cell_at(s, start_ms);

	return i < s->n && s->cells[i].start_ms == start_ms ? &s->cells[i] : NULL;
}

struct seen_cell *
seen_put(struct seen *s, int64_t start_ms, struct err *err)
{
	size_t at = cell_at(s, start_ms);
	struct seen_cell *v;

	if (at < s->n && s->cells[at].start_ms == start_ms)
		return &s->cells[at];
	if (s->n >= SEEN_CELLS_MAX) {
		(void)err_set(err, ERR_LOCAL, "more than %d cells to be looked at again",
			      SEEN_CELLS_MAX);
		return NULL;
	}
	v = array_grow(s->cells, s->n, &s->cap, sizeof(*v), err);
	if (!v)
		return NULL;
	s->cells = v;
	memmove(s->cells + at + 1, s->cells + at, (s->n++ - at) * sizeof(*s->cells));
	s->cells[at] = (struct seen_cell){.start_ms = start_ms};
	return &s->cells[at];
}

void
seen_drop(struct seen *s, size_t i)
{
	cell_done(&s->cells[i]);
	memmove(s->cells + i, s->cells + i + 1, (--s->n - i) * sizeof(*s->cells));
}

static size_t
marks_total(const struct seen *s)
{
	size_t n = 0;

	for (size_t i = 0; i < s->n; i++)
		n += s->cells[i].n * s->slots;
	return n;
}

/* The marks of a series, NULL if it has none. */
static uint32_t *
marks_of(const struct seen *s, const struct seen_cell *c, uint64_t key)
{
	size_t lo = 0, hi = c->n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (c->keys[mid] < key)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo < c->n && c->keys[lo] == key ? c->marks + lo * s->slots : NULL;
}

static int
cmp_keys(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

/* Sorted, each once; returns how many are left. */
static size_t
sort_keys(uint64_t *keys, size_t n)
{
	size_t kept = 0;

	qsort(keys, n, sizeof(*keys), cmp_keys);
	for (size_t i = 0; i < n; i++)
		if (!kept || keys[kept - 1] != keys[i])
			keys[kept++] = keys[i];
	return kept;
}

/* Are these the keys of that cell's series, as they are of most cells if they are of one? Then they
 * need no sorting. */
static bool
are_keys_of(const struct seen *s, const struct seen_cell *c, const uint64_t *keys, size_t n)
{
	if (c->n != n)
		return false;
	for (size_t i = 0; i < n; i++)
		if (!marks_of(s, c, keys[i]))
			return false;
	return true;
}

/* The cell's series and those of d, sorted and unique, in *ret (the caller frees it). */
static int
all_keys(const struct seen *s, const struct seen_cell *c, const struct cell_data *d, uint64_t **ret,
	 size_t *ret_n, struct err *err)
{
	const struct seen_cell *before = c > s->cells ? c - 1 : NULL;
	size_t n = c->n + d->n_rows;
	uint64_t *keys = calloc(n + 1, sizeof(*keys));

	if (!keys)
		return err_nomem(err);
	for (size_t i = 0; i < d->n_rows; i++)
		keys[i] = seen_key(d->rows[i].series);
	if (c->n)
		memcpy(keys + d->n_rows, c->keys, c->n * sizeof(*keys));
	if (before && n && !c->n && are_keys_of(s, before, keys, n))
		memcpy(keys, before->keys, n * sizeof(*keys));
	else
		n = sort_keys(keys, n);
	*ret = keys;
	*ret_n = n;
	return 0;
}

bool
seen_has_room(const struct seen *s)
{
	return marks_total(s) + s->newest_series * s->slots <= SEEN_MARKS_MAX;
}

/* Room for all series of d. */
static int
cell_grow(const struct seen *s, struct seen_cell *c, const struct cell_data *d, struct err *err)
{
	struct seen_cell wider = *c;

	if (all_keys(s, c, d, &wider.keys, &wider.n, err))
		return -1;
	if (marks_total(s) + (wider.n - c->n) * s->slots > SEEN_MARKS_MAX) {
		free(wider.keys);
		return err_set(err, ERR_LOCAL, "more than %zu points to be looked at again",
			       SEEN_MARKS_MAX);
	}
	wider.marks = calloc(wider.n * s->slots + 1, sizeof(*wider.marks));
	if (!wider.marks) {
		free(wider.keys);
		return err_nomem(err);
	}
	for (size_t i = 0; i < c->n; i++)
		memcpy(marks_of(s, &wider, c->keys[i]), c->marks + i * s->slots,
		       s->slots * sizeof(*c->marks));
	free(c->keys);
	free(c->marks);
	*c = wider;
	return 0;
}

/* The slot of a row's i-th value; false if the cell has none. */
static bool
slot_of(const struct seen *s, const struct cell_data *d, const struct sample_row *row, size_t i,
	size_t *ret)
{
	int64_t at = row->first_ms - d->cell.start_ms + (int64_t)i * row->series->period_ms;

	*ret = (size_t)(at / row->series->period_ms);
	return at >= 0 && *ret < s->slots;
}

int
seen_mark(struct seen *s, struct seen_cell *c, const struct cell_data *d, struct err *err)
{
	size_t slot;

	if (!s->slots && d->n_rows)
		s->slots =
		    (size_t)((d->cell.end_ms - d->cell.start_ms) / d->rows[0].series->period_ms);
	if (cell_grow(s, c, d, err))
		return -1;
	for (size_t r = 0; r < d->n_rows; r++) {
		const struct sample_row *row = &d->rows[r];
		uint32_t *marks = marks_of(s, c, seen_key(row->series));

		for (size_t i = 0; i < row->n; i++)
			if (isfinite(row->values[i]) && slot_of(s, d, row, i, &slot))
				marks[slot] = mark_of(row->values[i]);
	}
	return 0;
}

bool
seen_newest(const struct seen *s, const struct seen_cell *c, uint64_t key, int64_t every_ms,
	    int64_t *ret_ms)
{
	const uint32_t *marks = marks_of(s, c, key);

	for (size_t i = marks ? s->slots : 0; i-- > 0;)
		if (marks[i]) {
			*ret_ms = c->start_ms + (int64_t)i * (every_ms / (int64_t)s->slots);
			return true;
		}
	return false;
}

bool
seen_head(const struct seen *s, const struct seen_cell *c, int64_t every_ms, int64_t *ret_ms)
{
	size_t newest = 0;

	for (size_t i = 0; i < c->n; i++)
		for (size_t k = s->slots; k > newest; k--)
			if (c->marks[i * s->slots + k - 1])
				newest = k;
	if (newest)
		*ret_ms = c->start_ms + (int64_t)(newest - 1) * (every_ms / (int64_t)s->slots);
	return newest > 0;
}

/* Debts */

struct seen_owed *
seen_owes(const struct seen_cell *c, const char *sink)
{
	for (size_t i = 0; i < c->n_owed; i++)
		if (!strcmp(c->owed[i].sink, sink))
			return &c->owed[i];
	return NULL;
}

int
seen_owe(struct seen_cell *c, const char *sink, unsigned sent, struct err *err)
{
	struct seen_owed *v;
	size_t at = 0;
	char *name;

	if (seen_owes(c, sink))
		return 0;
	v = reallocarray(c->owed, c->n_owed + 1, sizeof(*v));
	name = v ? sv_dup(sv_of(sink)) : NULL;
	if (v)
		c->owed = v;
	if (!name)
		return err_nomem(err);
	while (at < c->n_owed && strcmp(v[at].sink, sink) < 0)
		at++;
	memmove(v + at + 1, v + at, (c->n_owed++ - at) * sizeof(*v));
	v[at] = (struct seen_owed){name, sent};
	return 0;
}

void
seen_paid(struct seen_cell *c, const char *sink)
{
	struct seen_owed *o = seen_owes(c, sink);

	if (!o)
		return;
	free(o->sink);
	c->n_owed--;
	memmove(o, o + 1, (size_t)(c->owed + c->n_owed - o) * sizeof(*o));
}

/* News */

/* A row with only those points that are news; n is 0 if there are none. */
static int
news_of_row(const struct seen *s, const struct seen_cell *c, const struct cell_data *d,
	    const struct sample_row *row, struct sample_row *ret, struct cell_data *late,
	    struct seen_news *news, struct err *err)
{
	const uint32_t *marks = marks_of(s, c, seen_key(row->series));
	double *values = NULL;
	size_t slot = 0;

	*ret = *row;
	ret->n = 0;
	for (size_t i = 0; i < row->n; i++) {
		uint32_t known;

		if (!isfinite(row->values[i]) || (s->slots && !slot_of(s, d, row, i, &slot)))
			continue;
		known = marks ? marks[slot] : 0;
		if (known == mark_of(row->values[i]))
			continue;
		if (!values) {
			values = arena_array(&late->arena, row->n, sizeof(*values));
			if (!values)
				return err_nomem(err);
			for (size_t k = 0; k < row->n; k++)
				values[k] = NAN;
			ret->n = row->n;
		}
		values[i] = row->values[i];
		late->n_samples++;
		news->revised += known != 0;
		news->late += known == 0;
	}
	ret->values = values;
	return 0;
}

int
seen_news(const struct seen *s, const struct seen_cell *c, const struct cell_data *d,
	  struct cell_data *late, struct seen_news *ret, struct err *err)
{
	late->rows = arena_array(&late->arena, d->n_rows, sizeof(*late->rows));
	late->n_rows = 0;
	late->n_samples = 0;
	*ret = (struct seen_news){0};
	if (!late->rows)
		return err_nomem(err);
	for (size_t i = 0; i < d->n_rows; i++) {
		if (news_of_row(s, c, d, &d->rows[i], &late->rows[late->n_rows], late, ret, err))
			return -1;
		late->n_rows += late->rows[late->n_rows].n > 0;
	}
	return 0;
}

/* Storing */

static void
put_be(struct buf *out, uint64_t v, int bytes)
{
	char text[sizeof(v)];

	for (int i = 0; i < bytes; i++)
		text[i] = (char)(v >> (8 * (bytes - 1 - i)) & 0xFF);
	buf_add(out, text, (size_t)bytes);
}

static uint64_t
get_be(const char *p, int bytes)
{
	uint64_t v = 0;

	while (bytes-- > 0)
		v = v << 8 | (unsigned char)*p++;
	return v;
}

static json_t *
packed(const struct buf *raw)
{
	CLEANUP(buf_done) struct buf text = BUF_INIT(TEXT_MAX);

	base64_encode(&text, buf_view(raw));
	return buf_ok(raw) && buf_ok(&text) ? json_stringn(buf_cstr(&text), text.n) : NULL;
}

static bool
unpacked(const json_t *j, struct buf *raw)
{
	return json_is_string(j) &&
	       base64_decode(raw, (struct sv){json_string_value(j), json_string_length(j)}) &&
	       buf_ok(raw);
}

/* The series of all cells: one list for all of them. */
static int
union_keys(const struct seen *s, struct seen_cell *all)
{
	for (size_t i = 0; i < s->n; i++) {
		const struct seen_cell *c = &s->cells[i];
		uint64_t *keys;

		if (!c->n || (c->n == all->n && !memcmp(c->keys, all->keys, c->n * sizeof(*keys))))
			continue;
		keys = reallocarray(all->keys, all->n + c->n, sizeof(*keys));
		if (!keys)
			return -1;
		memcpy(keys + all->n, c->keys, c->n * sizeof(*keys));
		all->keys = keys;
		all->n = sort_keys(keys, all->n + c->n);
	}
	return 0;
}

static json_t *
save_owed(const struct seen_cell *c)
{
	json_t *o = json_object();

	for (size_t i = 0; o && i < c->n_owed; i++)
		if (json_object_set_new(o, c->owed[i].sink, json_integer(c->owed[i].sent))) {
			json_decref(o);
			return NULL;
		}
	return o;
}

static json_t *
save_cell(const struct seen *s, const struct seen_cell *c, const struct seen_cell *all)
{
	CLEANUP(buf_done) struct buf raw = BUF_INIT(TEXT_MAX);
	json_t *j;

	for (size_t i = 0; c->n && i < all->n; i++) {
		const uint32_t *marks = marks_of(s, c, all->keys[i]);

		for (size_t k = 0; k < s->slots; k++)
			put_be(&raw, marks ? marks[k] : 0, MARK_BYTES);
	}
	j = json_pack("{s:I, s:i, s:b, s:o, s:o}", "start_ms", (json_int_t)c->start_ms, "late",
		      (int)c->late, "foreign", c->foreign, "owed", save_owed(c), "marks",
		      packed(&raw));
	if (j && ((c->asked && json_object_set_new(j, "asked", json_true())) ||
		  (c->unread && json_object_set_new(j, "unread", json_true())))) {
		json_decref(j);
		return NULL;
	}
	return j;
}

static json_t *
save_cells(const struct seen *s, const struct seen_cell *all)
{
	json_t *cells = json_array();

	for (size_t i = 0; cells && i < s->n; i++)
		if (json_array_append_new(cells, save_cell(s, &s->cells[i], all))) {
			json_decref(cells);
			return NULL;
		}
	return cells;
}

json_t *
seen_save(const struct seen *s)
{
	CLEANUP(buf_done) struct buf raw = BUF_INIT(TEXT_MAX);
	struct seen_cell all = {0};
	json_t *j = NULL;

	if (!union_keys(s, &all)) {
		for (size_t i = 0; i < all.n; i++)
			put_be(&raw, all.keys[i], KEY_BYTES);
		j = json_pack("{s:i, s:s, s:I, s:o, s:o, s:I, s:I}", "version", SEEN_VERSION,
			      "definition", s->definition, "slots", (json_int_t)s->slots, "series",
			      packed(&raw), "cells", save_cells(s, &all), "newest_ms",
			      (json_int_t)s->newest_ms, "newest_series",
			      (json_int_t)s->newest_series);
	}
	free(all.keys);
	return j;
}

/* A series without a mark in this cell is not one of it. */
static bool
load_marks(struct seen *s, struct seen_cell *c, struct sv keys, struct sv marks)
{
	size_t n = keys.n / KEY_BYTES, width = s->slots * MARK_BYTES;

	if (!marks.n)
		return true;
	if (!s->slots || marks.n != n * width || n > SEEN_MARKS_MAX / s->slots)
		return false;
	c->keys = calloc(n + 1, sizeof(*c->keys));
	c->marks = calloc(n * s->slots + 1, sizeof(*c->marks));
	if (!c->keys || !c->marks)
		return false;
	for (size_t i = 0; i < n; i++) {
		uint32_t any = 0;

		for (size_t k = 0; k < s->slots; k++)
			any |= c->marks[c->n * s->slots + k] =
			    (uint32_t)get_be(marks.p + i * width + k * MARK_BYTES, MARK_BYTES);
		c->keys[c->n] = get_be(keys.p + i * KEY_BYTES, KEY_BYTES);
		c->n += any != 0;
	}
	return true;
}

static bool
load_owed(struct seen_cell *c, json_t *owed)
{
	const char *sink;
	json_t *sent;

	json_object_foreach(owed, sink, sent)
	{
		json_int_t n = json_integer_value(sent);

		if (!json_is_integer(sent) || n < 0 || n > INT32_MAX ||
		    seen_owe(c, sink, (unsigned)n, NULL))
			return false;
	}
	return true;
}

static bool
load_cell(struct seen *s, const json_t *j, struct sv keys)
{
	CLEANUP(buf_done) struct buf marks = BUF_INIT(TEXT_MAX);
	int64_t start_ms, late;
	struct seen_cell *c;
	bool foreign, asked = false, unread = false;
	json_t *owed;

	if (json_get_i64(j, "", "start_ms", true, &start_ms, NULL) || !time_countable(start_ms) ||
	    json_get_i64(j, "", "late", true, &late, NULL) || late < 0 || late > INT32_MAX ||
	    json_get_bool(j, "", "foreign", true, &foreign, NULL) ||
	    json_get_bool(j, "", "asked", false, &asked, NULL) ||
	    json_get_bool(j, "", "unread", false, &unread, NULL) ||
	    json_get_obj(j, "", "owed", true, &owed, NULL) ||
	    !unpacked(json_object_get(j, "marks"), &marks) ||
	    (s->n && s->cells[s->n - 1].start_ms >= start_ms))
		return false;
	c = seen_put(s, start_ms, NULL);
	if (!c)
		return false;
	c->late = (unsigned)late;
	c->foreign = foreign;
	c->asked = asked;
	c->unread = unread;
	return load_owed(c, owed) && load_marks(s, c, keys, buf_view(&marks));
}

static bool
keys_sorted(struct sv keys)
{
	if (keys.n % KEY_BYTES)
		return false;
	for (size_t i = KEY_BYTES; i < keys.n; i += KEY_BYTES)
		if (memcmp(keys.p + i - KEY_BYTES, keys.p + i, KEY_BYTES) >= 0)
			return false;
	return true;
}

/* definition NULL: of whichever. */
static bool
load(struct seen *s, const json_t *j, const char *definition)
{
	CLEANUP(buf_done) struct buf keys = BUF_INIT(TEXT_MAX);
	int64_t version = 0, slots, newest_series;
	const char *of;
	json_t *cells;

	if (json_get_i64(j, "", "version", true, &version, NULL) || version != SEEN_VERSION ||
	    json_get_str(j, "", "definition", true, &of, NULL) ||
	    (definition && strcmp(of, definition) != 0) ||
	    json_get_i64(j, "", "slots", true, &slots, NULL) || slots < 0 ||
	    slots > (int64_t)SEEN_MARKS_MAX ||
	    json_get_i64(j, "", "newest_ms", true, &s->newest_ms, NULL) ||
	    !(time_countable(s->newest_ms) || s->newest_ms == INT64_MIN) ||
	    json_get_i64(j, "", "newest_series", true, &newest_series, NULL) || newest_series < 0 ||
	    json_get_arr(j, "", "cells", true, &cells, NULL) ||
	    !unpacked(json_object_get(j, "series"), &keys) || !keys_sorted(buf_view(&keys)))
		return false;
	s->slots = (size_t)slots;
	s->newest_series = (size_t)newest_series;
	for (size_t i = 0; i < json_array_size(cells); i++)
		if (!load_cell(s, json_array_get(cells, i), buf_view(&keys)))
			return false;
	return true;
}

bool
seen_load(struct seen *s, const json_t *j, const char *definition)
{
	seen_init(s, definition);
	if (j && load(s, j, s->definition))
		return true;
	seen_done(s);
	seen_init(s, definition);
	return false;
}

bool
seen_load_other(struct seen *s, const json_t *j)
{
	seen_init(s, "");
	if (j && load(s, j, NULL))
		return true;
	seen_done(s);
	return false;
}

bool
seen_waits(const json_t *j, const char *definition, int64_t start_ms)
{
	struct seen s;
	bool r = false;

	if (seen_load(&s, j, definition))
		for (size_t i = 0; i < s.n && s.cells[i].start_ms <= start_ms; i++)
			r = r || (!s.cells[i].asked && !s.cells[i].foreign);
	seen_done(&s);
	return r;
}

/* A cell without marks is one that is known to be empty. */
static bool
forget_marks(struct seen *s)
{
	bool any = false;

	for (size_t i = 0; i < s->n; i++)
		if (s->cells[i].n) {
			s->cells[i].n = 0;
			s->cells[i].unread = any = true;
		}
	return any;
}

bool
seen_has_marks(const json_t *j)
{
	const char *series = json_string_value(json_object_get(j, "series"));

	return series && *series;
}

bool
seen_shed(json_t **j)
{
	const char *definition = json_string_value(json_object_get(*j, "definition"));
	json_t *shed = NULL;
	struct seen s;

	if (!definition)
		return false;
	if (seen_load(&s, *j, definition) && forget_marks(&s))
		shed = seen_save(&s);
	seen_done(&s);
	if (!shed)
		return false;
	json_decref(*j);
	*j = shed;
	return true;
}
