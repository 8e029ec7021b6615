/*
 * What a store keeps between runs beside the cursors of checkpoints: memos of metrics and of
 * Insights, marks of points, the list of accounts. The first byte chooses, the rest is JSON, taken
 * as it is and with what would have it refused at once (version, definition, checksum) put right.
 * Whatever is taken keeps the promises that its users rely on, and is written as what is read as
 * the same again; jansson's tree tells what is in it.
 */
#include "base/hash.h"
#include "base/timefmt.h"
#include "fmt/json.h"
#include "jobs/insights_pull.h"
#include "jobs/metrics.h"
#include "model/seen.h"
#include "state/roster.h"
#include "tests/fuzz/fuzz.h"

#define T0	      INT64_C(1767225600000)
#define EVERY_MS      INT64_C(300000)
#define PERIOD_MS     INT64_C(60000)
#define CELLS	      3
#define DEFINITION    "d"
#define ASKS_COMPARED 300 /* each with each: not where there are thousands of parts */

extern const struct job_kind job_metrics;

static void
set(json_t *doc, const char *key, json_t *value)
{
	fuzz_must(value && json_object_set_new(doc, key, value) == 0);
}

/* ---- the inventory of metrics ---- */

static bool
same_metrics(const struct inventory *x, const struct inventory *y)
{
	bool same = x->n == y->n && x->discovered_ms == y->discovered_ms &&
		    x->recent == y->recent && x->pages == y->pages;

	for (size_t i = 0; same && i < x->n; i++)
		same = !cw_metric_cmp(&x->v[i].metric, &y->v[i].metric) &&
		       x->v[i].seen_ms == y->v[i].seen_ms;
	return same;
}

/* The metric of this name, in the list's order. */
static const struct inventory_entry *
metric_in(const struct inventory *inv, const struct cw_metric *m)
{
	for (size_t i = 0; i < inv->n; i++)
		if (!cw_metric_cmp(&inv->v[i].metric, m))
			return &inv->v[i];
	return NULL;
}

static int
by_dim_name(const void *a, const void *b)
{
	return strcmp(((const struct cw_dim *)a)->name, ((const struct cw_dim *)b)->name);
}

/* Each metric of the memo is there, as it was seen last. */
static void
all_listed(const struct inventory *inv, const json_t *memo)
{
	json_t *entries = json_object_get(memo, "entries"), *one, *value;
	struct cw_dim dims[CW_DIMENSIONS_MAX];
	size_t i;
	const char *name;

	json_array_foreach(entries, i, one)
	{
		struct cw_metric m = {.dims = dims};

		m.ns = json_string_value(json_object_get(one, "namespace"));
		json_object_foreach(json_object_get(one, "dimensions"), name, value)
		{
			fuzz_must(m.n_dims < CW_DIMENSIONS_MAX);
			dims[m.n_dims++] = (struct cw_dim){name, json_string_value(value)};
		}
		qsort(dims, m.n_dims, sizeof(*dims), by_dim_name);
		json_object_foreach(json_object_get(one, "metrics"), name, value)
		{
			const struct inventory_entry *e;

			m.name = name;
			e = metric_in(inv, &m);
			fuzz_must(e && e->seen_ms >= json_integer_value(value));
		}
	}
}

static void
inventory(const json_t *memo)
{
	static const struct job_common common = {.every_ms = EVERY_MS};
	static const struct metrics_opts opts = {.period_ms = PERIOD_MS};
	const struct job_stream stream = {.common = &common, .opts = &opts};
	CLEANUP(arena_done) struct arena a = ARENA_INIT(4 * FUZZ_MAX);
	CLEANUP(json_decrefp) json_t *saved = NULL, *twice = NULL;
	struct inventory inv, again;

	fuzz_must(job_metrics.span_max(&stream, memo) >= 1);
	if (!inventory_load(&inv, memo, DEFINITION, &a))
		return;
	fuzz_must(inv.pages >= 0 && inv.n <= inventory_peek(memo));
	for (size_t i = 0; i < inv.n; i++) {
		const struct cw_metric *m = &inv.v[i].metric;

		fuzz_must(!i || cw_metric_cmp(&inv.v[i - 1].metric, m) < 0);
		fuzz_must(m->n_dims <= CW_DIMENSIONS_MAX);
		for (size_t k = 1; k < m->n_dims; k++)
			fuzz_must(strcmp(m->dims[k - 1].name, m->dims[k].name) <= 0);
	}
	all_listed(&inv, memo);
	saved = inventory_save(&inv, DEFINITION);
	fuzz_must(saved && inventory_load(&again, saved, DEFINITION, &a));
	fuzz_must(same_metrics(&inv, &again) && inventory_peek(saved) == again.n);
	twice = inventory_save(&again, DEFINITION);
	fuzz_must(json_equal(saved, twice));
}

/* ---- marks ---- */

static void
sound_marks(const struct seen *s)
{
	size_t marks = 0;
	int64_t ms = 0;

	for (size_t i = 0; i < s->n; i++) {
		const struct seen_cell *c = &s->cells[i];

		fuzz_must(!i || s->cells[i - 1].start_ms < c->start_ms);
		fuzz_must(seen_find(s, c->start_ms) == c);
		for (size_t k = 1; k < c->n_owed; k++)
			fuzz_must(strcmp(c->owed[k - 1].sink, c->owed[k].sink) < 0);
		for (size_t k = 0; k < c->n; k++) {
			fuzz_must(!k || c->keys[k - 1] < c->keys[k]);
			fuzz_must(seen_newest(s, c, c->keys[k], EVERY_MS, &ms));
			fuzz_must(ms >= c->start_ms && ms < c->start_ms + EVERY_MS);
		}
		for (size_t k = 0; k < c->n * s->slots; k++)
			fuzz_must(c->marks[k] >> 24 == 0);
		fuzz_must(seen_head(s, c, EVERY_MS, &ms) == (c->n > 0));
		marks += c->n * s->slots;
	}
	fuzz_must(s->n <= SEEN_CELLS_MAX && marks <= SEEN_MARKS_MAX * (s->n + 1));
}

/* The cells of the document in their order, each with a mark for every series and slot, or none. */
static void
as_stored(const struct seen *s, const json_t *doc)
{
	const json_t *cells = json_object_get(doc, "cells"),
		     *series = json_object_get(doc, "series");
	const char *end = json_string_value(series) + json_string_length(series);
	size_t bytes = json_string_length(series) / 4 * 3;

	for (size_t i = 0; i < 2 && bytes; i++)
		bytes -= end[-1 - (int)i] == '=';
	fuzz_must(bytes % 8 == 0 && s->n == json_array_size(cells));
	for (size_t i = 0; i < s->n; i++) {
		const json_t *one = json_array_get(cells, i);
		size_t n = json_string_length(json_object_get(one, "marks"));

		fuzz_must(json_integer_value(json_object_get(one, "start_ms")) ==
			  s->cells[i].start_ms);
		fuzz_must(!n || n == 4 * s->slots * (bytes / 8));
	}
}

/* What is marked is no news, now and when it was stored; what is not is. */
static void
marking(struct seen *s)
{
	static const struct label labels[] = {{"service", "a"}};
	static const struct series series = {.name = "m",
					     .labels = labels,
					     .n_labels = 1,
					     .stat = "Average",
					     .period_ms = PERIOD_MS};
	static const double values[] = {1, 2.5, -3, 0, 1e300};
	struct sample_row row = {&series, T0, values, ARRAY_LEN(values), NULL};
	struct cell_data d, late;
	struct seen_news news = {0};
	CLEANUP(json_decrefp) json_t *saved = NULL;
	struct seen_cell *c = seen_put(s, T0, NULL);
	struct seen again;

	cell_data_init(&d, (struct cell){T0, T0 + EVERY_MS});
	cell_data_init(&late, d.cell);
	d.rows = &row;
	d.n_rows = 1;
	if (c && s->slots <= 5 && seen_mark(s, c, &d, NULL) == 0) {
		uint64_t beyond = s->slots ? ARRAY_LEN(values) - s->slots : 0;

		saved = seen_save(s);
		fuzz_must(beyond < ARRAY_LEN(values) && saved);
		fuzz_must(seen_load(&again, saved, DEFINITION));
		c = seen_find(&again, T0);
		fuzz_must(c && seen_news(&again, c, &d, &late, &news, NULL) == 0);
		/* Points that the cell has no slots for are passed over. */
		fuzz_must(!news.late && !news.revised && !late.n_samples);
		sound_marks(&again);
		seen_done(&again);
	}
	cell_data_done(&late);
	d.rows = NULL;
	d.n_rows = 0;
	cell_data_done(&d);
}

static void
marks(const json_t *doc)
{
	CLEANUP(json_decrefp) json_t *saved = NULL, *twice = NULL;
	struct seen s, again;
	bool other = seen_load_other(&s, doc), taken;

	if (other)
		sound_marks(&s);
	seen_done(&s);
	taken = seen_load(&s, doc, DEFINITION);
	fuzz_must(!taken || other);
	(void)seen_waits(doc, DEFINITION, T0);
	if (taken) {
		as_stored(&s, doc);
		sound_marks(&s);
		saved = seen_save(&s);
		fuzz_must(saved && seen_load(&again, saved, DEFINITION));
		twice = seen_save(&again);
		fuzz_must(json_equal(saved, twice) && again.n == s.n);
		seen_done(&again);
		marking(&s);
	} else {
		fuzz_must(!s.n && !s.slots && s.newest_ms == INT64_MIN);
	}
	seen_done(&s);
}

/* ---- what Insights was asked ---- */

/* No part of the time is asked for twice, of any group. */
static void
disjoint(const struct asks *s)
{
	for (size_t i = 0; i < s->n && s->n < ASKS_COMPARED; i++)
		for (size_t k = 0; k < i; k++) {
			const struct ask *a = &s->v[i], *b = &s->v[k];

			fuzz_must(a->more || b->more || a->used_to_ms <= b->from_ms ||
				  b->used_to_ms <= a->from_ms || a->g1 <= b->g0 || b->g1 <= a->g0);
		}
}

/* Each millisecond of each group is asked for, in all cells: of no other group or time. */
static void
covered(const struct pull *p, int64_t start_ms)
{
	size_t from = SIZE_MAX, to = 0;

	for (size_t i = 0; i < p->asks.n; i++) {
		const struct ask *a = &p->asks.v[i];

		fuzz_must(a->g0 < a->g1 && a->g1 <= p->groups.n);
		fuzz_must(a->from_ms < a->used_to_ms && a->used_to_ms <= a->to_ms);
		if (a->from_ms < start_ms || a->from_ms >= start_ms + EVERY_MS)
			continue;
		fuzz_must(a->used_to_ms <= start_ms + EVERY_MS);
		from = a->g0 < p->groups.base ? 0 : p->groups.base;
		to = a->g0 < p->groups.base ? p->groups.base : p->groups.n;
	}
	for (size_t g = from; g < to; g++) {
		int64_t sum = 0;

		for (size_t i = 0; i < p->asks.n; i++) {
			const struct ask *a = &p->asks.v[i];

			if (!a->more && a->g0 <= g && g < a->g1 && a->from_ms >= start_ms &&
			    a->from_ms < start_ms + EVERY_MS)
				sum += a->used_to_ms - a->from_ms;
		}
		fuzz_must(sum == EVERY_MS);
	}
	fuzz_must(to > 0 || p->groups.n == p->groups.base);
}

static const char *all_groups[] = {"*"};
static const struct insights_opts insights_opts = {
    .log_groups = {.n = 1, .v = all_groups},
    .query = "fields @message",
    .limit = 10000,
    .concurrency = 4,
    .discover_every_ms = 600000,
    .q = {.splits = true},
};
static const struct job_common insights_job = {.name = "app", .every_ms = EVERY_MS, .once = true};
static const struct job_stream insights_stream = {.common = &insights_job,
						  .opts = &insights_opts,
						  .tenant = "acme",
						  .account = "111122223333",
						  .region = "eu-west-1"};

static struct pull *
insights_pull(const json_t *memo, bool again)
{
	struct cell cells[CELLS];
	struct pull *p = NULL;
	struct err err = {0};
	size_t n = again ? 1 : CELLS;
	int rc;

	for (int i = 0; i < CELLS; i++)
		cells[i] = (struct cell){T0 + i * EVERY_MS, T0 + (i + 1) * EVERY_MS};
	rc = (again ? insights_open_again : insights_open)(&insights_stream, memo, cells, n,
							   T0 + 12 * EVERY_MS, &p, &err);
	fuzz_answer(rc, &err);
	fuzz_must((rc == 0) == (p != NULL));
	return p;
}

/* The memo that a pull leaves which goes on from this one: with as many asks, and none of them new.
 */
static json_t *
insights_again(const json_t *memo, bool again, size_t n)
{
	struct pull *p = insights_pull(memo, again);
	json_t *left;

	fuzz_must(p && p->phase == ASK && p->asks.n == n);
	left = insights_memo(p);
	fuzz_must(left);
	insights_close(p);
	return left;
}

static void
insights(const json_t *memo, bool again)
{
	struct pull *p = insights_pull(memo, again);
	CLEANUP(json_decrefp) json_t *once = NULL, *twice = NULL, *thrice = NULL;

	fuzz_must(insights_span_max(&insights_stream, memo) >= 1);
	(void)insights_scanned(memo, T0);
	if (!p)
		return;
	fuzz_must(p->groups.base <= p->groups.n && (p->phase == LIST || p->phase == ASK));
	for (int64_t ms = p->start_ms; p->phase == ASK && ms < p->end_ms; ms += EVERY_MS)
		covered(p, ms);
	disjoint(&p->asks);
	once = insights_memo(p);
	fuzz_must((once != NULL) == (p->phase == ASK));
	if (once) {
		/* Asks come back in the order of their cells. */
		twice = insights_again(once, again, p->asks.n);
		thrice = insights_again(twice, again, p->asks.n);
		fuzz_must(json_equal(twice, thrice));
	}
	insights_close(p);
}

/* ---- accounts ---- */

static bool
same_text(const char *x, const char *y)
{
	return x && y && strcmp(x, y) == 0;
}

static bool
same_accounts(const struct roster_list *x, const struct roster_list *y)
{
	bool same = same_text(x->key, y->key) && same_text(x->kind, y->kind) &&
		    x->made_ms == y->made_ms && x->n == y->n;

	for (size_t i = 0; same && i < x->n; i++) {
		const struct roster_account *a = &x->v[i], *b = &y->v[i];

		same = same_text(a->account, b->account) && same_text(a->name, b->name) &&
		       same_text(a->id, b->id) && a->tags_ms == b->tags_ms &&
		       a->n_regions == b->n_regions;
		for (size_t k = 0; same && k < a->n_regions; k++)
			same = same_text(a->regions[k], b->regions[k]);
		/* A name that is there twice, but for what is behind a NUL, is written once. */
		same = same && b->n_tags <= a->n_tags;
	}
	return same;
}

static void
put_text(struct store *s, struct sv text)
{
	const struct store_put opt = {.cond = STORE_ANY};

	fuzz_must(store_put(s, ROSTER_KEY, text, &opt, NULL, NULL) == 0);
}

static void
get_text(struct store *s, struct buf *text)
{
	buf_reset(text);
	fuzz_must(store_get(s, ROSTER_KEY, NULL, text, NULL, NULL) == 0);
}

/* Another list is put beside them: what is young enough stays, the same document comes of the same.
 */
static void
keep(struct store *s, const struct roster *was, bool taken, struct arena *a)
{
	const int64_t kept_ms = INT64_C(90) * 86400 * 1000;
	const struct roster_list list = {.key = "new", .kind = "organization", .made_ms = T0};
	CLEANUP(buf_done) struct buf once = BUF_INIT(FUZZ_MAX), twice = BUF_INIT(FUZZ_MAX);
	const struct roster_list *found;
	struct roster is;

	fuzz_must(roster_keep(s, &list, NULL) == 0);
	get_text(s, &once);
	fuzz_must(roster_load(s, a, &is, NULL) == 0 && is.n >= 1 && *is.etag);
	found = roster_find(&is, "new");
	fuzz_must(found && found->made_ms == T0 && !found->n);
	for (size_t i = 0, at = 0; taken && i < was->n; i++) {
		if (!strcmp(was->lists[i].key, "new") || was->lists[i].made_ms <= T0 - kept_ms)
			continue;
		fuzz_must(at < is.n && same_accounts(&was->lists[i], &is.lists[at++]));
	}
	fuzz_must(taken || is.n == 1);
	fuzz_must(roster_keep(s, &list, NULL) == 0);
	get_text(s, &twice);
	fuzz_must(sv_eq(buf_view(&once), buf_view(&twice)));
}

/* Over the compact text without it. */
static void
put_checksum(json_t *doc)
{
	CLEANUP(buf_done) struct buf text = BUF_INIT(FUZZ_MAX);
	char hex[SHA256_HEX_LEN + 1], sum[SHA256_HEX_LEN + 8];

	(void)json_object_del(doc, "checksum");
	fuzz_must(json_dump(doc, false, &text, NULL) == 0);
	sha256_hex(buf_view(&text), hex);
	(void)snprintf(sum, sizeof(sum), "sha256:%s", hex);
	set(doc, "checksum", json_string(sum));
}

static bool
has_checksum(const json_t *doc)
{
	CLEANUP(json_decrefp) json_t *right = json_deep_copy(doc);

	put_checksum(right);
	return json_equal(doc, right);
}

static void
accounts(struct sv text, json_t *doc)
{
	CLEANUP(arena_done) struct arena a = ARENA_INIT(4 * FUZZ_MAX);
	json_t *lists = json_object_get(doc, "lists");
	struct store *s = NULL;
	struct roster r;
	struct err err = {0};
	int rc;

	fuzz_must(store_mem_new(&s, &err) == 0);
	put_text(s, text);
	rc = roster_load(s, &a, &r, &err);
	fuzz_answer(rc, &err);
	fuzz_must(*r.etag && (rc == 0 || (err.kind == ERR_DATA && !r.n)));
	fuzz_must(rc < 0 || (r.n == json_array_size(lists) && has_checksum(doc)));
	for (size_t i = 0; i < r.n; i++) {
		const json_t *list =
		    json_array_get(json_object_get(json_array_get(lists, i), "accounts"), 0);

		fuzz_must(roster_find(&r, r.lists[i].key));
		if (r.lists[i].n)
			fuzz_must(same_text(json_string_value(json_object_get(list, "account")),
					    r.lists[i].v[0].account));
	}
	keep(s, &r, rc == 0, &a);
	store_free(s);
}

/* With format, version and checksum as they have to be. */
static void
accounts_right(json_t *doc)
{
	CLEANUP(buf_done) struct buf text = BUF_INIT(FUZZ_MAX);

	set(doc, "format", json_string("muster-tenants-found"));
	set(doc, "version", json_integer(1));
	put_checksum(doc);
	fuzz_must(json_dump(doc, false, &text, NULL) == 0);
	accounts(buf_view(&text), doc);
}

/* ---- the whole ---- */

static void
as_it_is(unsigned which, struct sv text, json_t *doc)
{
	switch (which) {
	case 0:
		inventory(doc);
		break;
	case 1:
		marks(doc);
		break;
	case 2:
	case 3:
		insights(doc, which == 3);
		break;
	default:
		accounts(text, doc);
	}
}

static void
put_right(unsigned which, json_t *doc)
{
	static const int versions[] = {2, 1, 1, 1};
	CLEANUP(buf_done) struct buf text = BUF_INIT(FUZZ_MAX);
	char hex[SHA256_HEX_LEN + 1];

	if (which == 4) {
		accounts_right(doc);
		return;
	}
	insights_definition(&insights_job, &insights_opts, &text);
	sha256_hex(buf_view(&text), hex);
	set(doc, "version", json_integer(versions[which]));
	set(doc, "definition", json_string(which < 2 ? DEFINITION : hex));
	as_it_is(which, (struct sv){"", 0}, doc);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct sv in = {(const char *)data, n};
	unsigned which = fuzz_choice(&in, 5);
	CLEANUP(json_decrefp) json_t *doc = NULL;

	if (json_parse(in, "input", &doc, NULL) < 0)
		doc = json_null();
	as_it_is(which, in, doc);
	if (json_is_object(doc))
		put_right(which, doc);
	return 0;
}
