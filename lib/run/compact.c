/* Compaction; see compact.h. */
#include "run/compact.h"

#include <stdlib.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "base/timefmt.h"
#include "fmt/zst.h"
#include "sink/joined.h"

#define HOUR_MS ((int64_t)3600000)
#define DAY_MS	(24 * HOUR_MS)
/* What is held of an hour: names, checksums, etags. A cell of a second makes 3,600. */
#define HOUR_MEM   ((size_t)32 << 20)
#define PARTS_MAX  20000
#define NUMBER_MAX 10000 /* joined objects of an hour */

/* One object of the hour at hand. */
struct object {
	const char *key, *name;
	struct cell_name is;
	const char *etag; /* of what was read, which is what a manifest says; NULL: not read yet */
	bool named;	  /* by a manifest */
};
struct hour {
	int64_t ms;
	struct object *v;
	size_t n, cap;
	unsigned newest; /* joined object; 0: none */
	struct arena mem;
};
struct compactor {
	const struct compact_stream *s;
	struct compact_counts *counts;
	struct hour hour;
	bool may_delete; /* that was tried */
	bool stop;	 /* nothing more can be done */
	struct err err;
};

int64_t
compact_before_ms(int64_t now_ms, int64_t max_catchup_ms, int64_t reach_ms)
{
	return now_ms - max_catchup_ms - reach_ms - DAY_MS;
}

/* ---- keys ---- */

static struct joined_place
place_of(const struct compactor *c)
{
	return (struct joined_place){c->s->job, c->s->tenant, c->s->region, c->hour.ms};
}

static int
joined_key(const struct compactor *c, unsigned n, struct buf *out, struct err *err)
{
	cell_joined_key(out, c->s->job, c->s->tenant, c->s->region, c->hour.ms, n);
	return buf_check(out, "object key", err);
}

static struct object *
find_object(struct hour *h, const char *name)
{
	for (size_t i = 0; i < h->n; i++)
		if (strcmp(h->v[i].name, name) == 0)
			return &h->v[i];
	return NULL;
}

static int
add_object(struct hour *h, const char *key, const struct cell_name *is, struct err *err)
{
	struct object *o;
	const char *copy;

	if (h->n == PARTS_MAX)
		return err_set(err, ERR_LOCAL, "%s: more than %d objects in an hour", key,
			       PARTS_MAX);
	o = arena_grow(&h->mem, h->v, h->n, &h->cap, sizeof(*o));
	copy = arena_strdup(&h->mem, sv_of(key));
	if (!o || !copy)
		return err_nomem(err);
	h->v = o;
	o = &h->v[h->n++];
	*o = (struct object){.key = copy, .name = strrchr(copy, '/') + 1, .is = *is};
	return 0;
}

/* ---- reading ---- */

static int
ignore_piece(void *arg, struct sv piece, struct err *err)
{
	(void)arg;
	(void)piece;
	(void)err;
	return 0;
}

struct copying {
	struct sha256_run sum;
	struct spool *to;
};

static int
copy_piece(void *arg, struct sv piece, struct err *err)
{
	struct copying *c = arg;

	sha256_add(&c->sum, piece);
	return c->to ? spool_add(c->to, piece, err) : 0;
}

/* The object as a part, its bytes behind those in *to (NULL: nowhere). What is no sequence of whole
 * frames would break all that stands behind it. */
static int
read_object(struct compactor *c, struct object *o, struct spool *to, struct joined_part *ret,
	    struct err *err)
{
	static const char *const want[] = {"format-version", "definition", NULL};
	struct spool body = SPOOL_INIT;
	struct store_info info = {0};
	struct copying copying = {.to = to};
	char sum[SHA256_HEX_LEN + 1] = "";
	int rc = store_get_spool(c->s->lake, o->key, want, &body, &info, err);

	if (rc == 0 && info.meta[0][0] && strcmp(info.meta[0], JOINED_FORMAT) != 0)
		rc = err_set(err, ERR_DATA, "%s: format version %.20s is unknown", o->key,
			     info.meta[0]);
	if (rc == 0 && spool_size(&body) == 0)
		rc = err_set(err, ERR_DATA, "%s: is empty", o->key);
	if (rc == 0 && to && zst_unpack(&body, ignore_piece, NULL, err) < 0)
		rc = err_wrap(err, "%s", o->key);
	sha256_begin(&copying.sum);
	if (rc == 0)
		rc = spool_each(&body, copy_piece, &copying, err);
	sha256_end_hex(&copying.sum, sum);
	*ret = (struct joined_part){
	    .name = o->name,
	    .size = spool_size(&body),
	    .sha256 = arena_strdup(&c->hour.mem, sv_of(sum)),
	    .definition = arena_strdup(&c->hour.mem, sv_of(info.meta[1])),
	};
	o->etag = rc == 0 ? arena_strdup(&c->hour.mem, sv_of(info.etag)) : NULL;
	spool_done(&body);
	return rc == 0 && (!ret->sha256 || !ret->definition || !o->etag) ? err_nomem(err) : rc;
}

static bool
same(const struct joined_part *a, const struct joined_part *b)
{
	return a->size == b->size && strcmp(a->sha256, b->sha256) == 0 &&
	       strcmp(a->definition, b->definition) == 0;
}

/* All objects that no manifest names: into the plan of a new one, and their bytes behind each
 * other. */
static int
gather(struct compactor *c, struct joined *j, struct spool *body, struct err *err)
{
	uint64_t at = 0;

	j->v = arena_array(&c->hour.mem, c->hour.n, sizeof(*j->v));
	if (!j->v)
		return err_nomem(err);
	for (size_t i = 0; i < c->hour.n; i++) {
		struct object *o = &c->hour.v[i];

		if (o->named)
			continue;
		if (read_object(c, o, body, &j->v[j->n], err))
			return -1;
		j->v[j->n].at = at;
		at += j->v[j->n++].size;
	}
	return 0;
}

/* One that a manifest names and that was not there yet when the hour was listed. */
static int
add_named(struct compactor *c, const struct joined_part *part, struct err *err)
{
	CLEANUP(buf_done) struct buf key = BUF_INIT(1024);
	struct cell_name is;

	if (!cell_name_parse(part->name, &is) || is.joined)
		return err_set(err, ERR_DATA, "%s: is no cell's name", part->name);
	cell_lake_key(&key, c->s->job, c->s->tenant, c->s->region, is.cell, is.late);
	return buf_check(&key, "object key", err) || add_object(&c->hour, buf_cstr(&key), &is, err)
		   ? -1
		   : 0;
}

/* The same for one that was planned by somebody who did not come to make it: its objects are all
 * there still. */
static int
gather_again(struct compactor *c, const struct joined *j, struct spool *body, struct err *err)
{
	for (size_t i = 0; i < j->n; i++) {
		struct joined_part is;
		struct object *o;

		if (!find_object(&c->hour, j->v[i].name) && add_named(c, &j->v[i], err))
			return -1;
		o = find_object(&c->hour, j->v[i].name);
		o->named = true;
		if (read_object(c, o, body, &is, err))
			return -1;
		if (!same(&is, &j->v[i]))
			return err_set(err, ERR_DATA,
				       "%s: is not what the manifest says was to be joined",
				       o->key);
	}
	return 0;
}

/* ---- the joined object ---- */

static const char *
common_definition(const struct joined *j)
{
	for (size_t i = 1; i < j->n; i++)
		if (strcmp(j->v[i].definition, j->v[0].definition) != 0)
			return "";
	return j->v[0].definition;
}

/* One that is there already has the same bytes, or verify() will say that it has not. */
static int
put_joined(struct compactor *c, const struct joined *j, unsigned n, const struct spool *body,
	   struct err *err)
{
	CLEANUP(buf_done) struct buf key = BUF_INIT(1024);
	struct store_put put = {
	    .cond = STORE_CREATE,
	    .content_type = "application/zstd",
	    .meta = {{"format-version", JOINED_FORMAT}, {"definition", common_definition(j)}},
	    .n_meta = *common_definition(j) ? 2 : 1,
	};

	if (joined_key(c, n, &key, err))
		return -1;
	if (!store_put_spool(c->s->lake, buf_cstr(&key), body, &put, NULL, err)) {
		c->counts->joined++;
		return 0;
	}
	if (err->kind != ERR_CONFLICT)
		return -1;
	err_clear(err);
	return 0;
}

struct verifying {
	const struct joined *j;
	size_t part; /* at hand */
	uint64_t at; /* of the whole, behind what was seen */
	struct sha256_run sum;
};

static int
end_part(struct verifying *v, struct err *err)
{
	const struct joined_part *p = &v->j->v[v->part++];
	char is[SHA256_HEX_LEN + 1];

	sha256_end_hex(&v->sum, is);
	sha256_begin(&v->sum);
	return strcmp(is, p->sha256) == 0
		   ? 0
		   : err_set(err, ERR_DATA, "%s: its bytes there are not its own", p->name);
}

static int
verify_piece(void *arg, struct sv piece, struct err *err)
{
	struct verifying *v = arg;

	while (piece.n > 0 && v->part < v->j->n) {
		const struct joined_part *p = &v->j->v[v->part];
		uint64_t left = p->at + p->size - v->at;
		size_t take = piece.n < left ? piece.n : (size_t)left;

		sha256_add(&v->sum, (struct sv){piece.p, take});
		v->at += take;
		piece = (struct sv){piece.p + take, piece.n - take};
		if (take == left && end_part(v, err))
			return -1;
	}
	return 0;
}

/* The joined object as the store gives it back. ERR_NOTFOUND: there is none. */
static int
verify(const struct compactor *c, const struct joined *j, unsigned n, struct err *err)
{
	CLEANUP(buf_done) struct buf key = BUF_INIT(1024);
	struct verifying v = {.j = j};
	struct spool body = SPOOL_INIT;
	int rc = joined_key(c, n, &key, err);

	sha256_begin(&v.sum);
	if (rc == 0)
		rc = store_get_spool(c->s->lake, buf_cstr(&key), NULL, &body, NULL, err);
	if (rc == 0 && spool_size(&body) != joined_size(j))
		rc = err_set(err, ERR_DATA, "it has %llu bytes, and should have %llu",
			     (unsigned long long)spool_size(&body),
			     (unsigned long long)joined_size(j));
	if (rc == 0)
		rc = spool_each(&body, verify_piece, &v, err);
	spool_done(&body);
	return rc < 0 ? err_wrap(err, "%s", buf_cstr(&key)) : 0;
}

/* ---- deleting ---- */

/* An object whose bytes the joined one has. One of the same name and other bytes came after it was
 * joined, by who looked for it just then: what it holds is nowhere else, so it stays, and is said.
 */
static int
delete_object(struct compactor *c, struct object *o, const struct joined_part *part,
	      struct err *err)
{
	struct joined_part is;

	if (!o->etag) {
		if (read_object(c, o, NULL, &is, err)) {
			if (err->kind != ERR_NOTFOUND)
				return -1;
			err_clear(err); /* by another compaction */
			return 0;
		}
		if (!same(&is, part))
			return err_set(err, ERR_CONFLICT,
				       "%s: is not what was joined under this name: it was left",
				       o->key);
	}
	if (store_del_match(c->s->lake, o->key, o->etag, err))
		return -1;
	c->counts->objects++;
	c->counts->bytes += part->size;
	return 0;
}

/* A key that never is there: whether objects may be deleted is known before anything is made that
 * would double them. */
static int
try_delete(struct compactor *c, struct err *err)
{
	CLEANUP(buf_done) struct buf key = BUF_INIT(1024);

	if (c->may_delete)
		return 0;
	if (joined_key(c, 0, &key, err) || c->s->lake->ops->del(c->s->lake, buf_cstr(&key), err))
		return -1;
	c->may_delete = true;
	return 0;
}

/* ---- an hour ---- */

/* Each that the manifest names; one that has to stay keeps none of the others. */
static int
delete_objects(struct compactor *c, const struct joined *j, struct err *err)
{
	struct err stays = {0};

	for (size_t i = 0; i < j->n; i++) {
		struct object *o = find_object(&c->hour, j->v[i].name);

		if (!o || !delete_object(c, o, &j->v[i], err))
			continue;
		if (err->kind != ERR_CONFLICT)
			return -1;
		stays = *err;
	}
	if (stays.kind == ERR_NONE)
		return 0;
	*err = stays;
	return -1;
}

static int
put_verified(struct compactor *c, const struct joined *j, unsigned n, const struct spool *body,
	     struct err *err)
{
	return put_joined(c, j, n, body, err) || verify(c, j, n, err) ? -1 : 0;
}

/* What a manifest says, where there is no joined object yet. */
static int
make_again(struct compactor *c, const struct joined *j, unsigned n, struct err *err)
{
	struct spool body = SPOOL_INIT;
	int rc = gather_again(c, j, &body, err);

	if (rc == 0) {
		rc = put_verified(c, j, n, &body, err);
	} else if (err->kind == ERR_NOTFOUND) {
		/* Another compaction has come so far meanwhile, or it is lost. */
		err_clear(err);
		rc = verify(c, j, n, err);
		if (rc < 0 && err->kind == ERR_NOTFOUND)
			rc = err_set(err, ERR_DATA,
				     "objects that a manifest names are neither there nor joined");
	}
	spool_done(&body);
	return rc;
}

/* From a manifest that is written to the end. `body`: what is to be joined; NULL: somebody may have
 * come further already. */
static int
finish(struct compactor *c, const struct joined *j, unsigned n, const struct spool *body,
       struct err *err)
{
	int rc = body ? put_verified(c, j, n, body, err) : verify(c, j, n, err);

	if (rc < 0 && !body && err->kind == ERR_NOTFOUND) {
		err_clear(err);
		rc = make_again(c, j, n, err);
	}
	return rc < 0 ? -1 : delete_objects(c, j, err);
}

/* Somebody was first with this number: what that manifest names is done for it, the rest the next
 * time. */
static int
finish_theirs(struct compactor *c, unsigned n, struct err *err)
{
	const struct joined_place place = place_of(c);
	struct joined j;
	int rc;

	for (size_t i = 0; i < c->hour.n; i++)
		c->hour.v[i].etag = NULL;
	joined_init(&j);
	rc = joined_read(c->s->lake, &place, n, &j, err);
	if (rc == 0)
		rc = finish(c, &j, n, NULL, err);
	joined_done(&j);
	return rc;
}

static int
put_manifest(struct compactor *c, const struct joined *j, unsigned n, struct err *err)
{
	const struct store_put put = {.cond = STORE_CREATE, .content_type = "application/json"};
	CLEANUP(buf_done) struct buf key = BUF_INIT(1024);
	CLEANUP(buf_done) struct buf text = BUF_INIT(HOUR_MEM);

	cell_manifest_key(&key, c->s->job, c->s->tenant, c->s->region, c->hour.ms, n);
	if (buf_check(&key, "manifest's key", err) || joined_write(j, &text, err))
		return -1;
	return store_put(c->s->lake, buf_cstr(&key), buf_view(&text), &put, NULL, err);
}

/* What no manifest names yet. */
static int
join(struct compactor *c, unsigned n, struct err *err)
{
	struct joined j = {0};
	struct spool body = SPOOL_INIT;
	int rc = gather(c, &j, &body, err);

	/* Gone since it was listed: another compaction is at it. */
	if (rc < 0 && err->kind == ERR_NOTFOUND) {
		err_clear(err);
		spool_done(&body);
		return 0;
	}
	if (rc == 0) {
		rc = put_manifest(c, &j, n, err);
		if (rc < 0 && err->kind == ERR_CONFLICT) {
			err_clear(err);
			rc = finish_theirs(c, n, err);
		} else if (rc == 0) {
			rc = finish(c, &j, n, &body, err);
		}
	}
	spool_done(&body);
	return rc;
}

static size_t
mark_named(struct hour *h, const struct joined *j)
{
	size_t named = 0;

	for (size_t i = 0; i < j->n; i++) {
		struct object *o = find_object(h, j->v[i].name);

		if (o) {
			o->named = true;
			named++;
		}
	}
	return named;
}

/* Ends what was begun, and tells the next free number. */
static int
end_begun(struct compactor *c, unsigned *next, struct err *err)
{
	const struct joined_place place = place_of(c);
	struct joined j;
	int rc = 0;

	joined_init(&j);
	for (*next = 1; rc == 0 && *next < NUMBER_MAX; ++*next) {
		rc = joined_read(c->s->lake, &place, *next, &j, err);
		if (rc < 0)
			break;
		if (mark_named(&c->hour, &j) && !c->s->dry_run)
			rc = try_delete(c, err) || finish(c, &j, *next, NULL, err) ? -1 : 0;
	}
	joined_done(&j);
	if (rc == 0 || err->kind != ERR_NOTFOUND)
		return rc;
	err_clear(err);
	return 0;
}

static size_t
count_unnamed(const struct hour *h)
{
	size_t n = 0;

	for (size_t i = 0; i < h->n; i++)
		n += !h->v[i].named;
	return n;
}

static void
foresee(struct compactor *c, size_t fresh)
{
	c->counts->joined += fresh > 1;
	c->counts->objects += c->hour.n - (fresh == 1);
}

static int
by_time(const void *a, const void *b)
{
	const struct cell_name *x = &((const struct object *)a)->is;
	const struct cell_name *y = &((const struct object *)b)->is;

	if (x->cell.start_ms != y->cell.start_ms)
		return x->cell.start_ms < y->cell.start_ms ? -1 : 1;
	if (x->cell.end_ms != y->cell.end_ms)
		return x->cell.end_ms < y->cell.end_ms ? -1 : 1;
	return x->late < y->late ? -1 : x->late > y->late;
}

/* A single object is one already. */
static int
compact_hour(struct compactor *c, struct err *err)
{
	struct hour *h = &c->hour;
	unsigned next;
	size_t fresh;

	if (h->n == 0 || (h->n == 1 && !h->newest))
		return 0;
	qsort(h->v, h->n, sizeof(*h->v), by_time);
	if (end_begun(c, &next, err))
		return -1;
	fresh = count_unnamed(h);
	c->counts->hours += fresh > 1 || fresh < h->n;
	if (c->s->dry_run)
		foresee(c, fresh);
	if (fresh < 2 || c->s->dry_run)
		return 0;
	return try_delete(c, err) || join(c, next, err) ? -1 : 0;
}

/* An hour that is damaged is left as it is; a store that fails ends it. */
static bool
goes_on(enum err_kind kind)
{
	return kind == ERR_DATA || kind == ERR_CONFLICT || kind == ERR_NOTFOUND;
}

static void
end_hour(struct compactor *c)
{
	struct err err = {0};
	char hour[TIME_TEXT_MAX];

	if (clock_check(c->s->clock, &err) || compact_hour(c, &err)) {
		c->counts->failed++;
		c->stop = !goes_on(err.kind);
		c->err = err;
		time_format_s(c->hour.ms, hour);
		if (!c->stop)
			log_event(LOG_ERROR, "hour left as it is", LOG_S("tenant", c->s->tenant),
				  LOG_S("job", c->s->job), LOG_S("region", c->s->region),
				  LOG_S("hour", hour), LOG_E(&err));
	}
	arena_done(&c->hour.mem);
	c->hour = (struct hour){.ms = -1, .mem = ARENA_INIT(HOUR_MEM)};
}

/* ---- a stream ---- */

/* Whether the key is the one that this name has: what lies elsewhere was put there by somebody
 * else. */
static bool
in_its_place(const struct compactor *c, const char *key, const struct cell_name *is)
{
	CLEANUP(buf_done) struct buf own = BUF_INIT(1024);

	if (is->joined)
		cell_joined_key(&own, c->s->job, c->s->tenant, c->s->region, is->cell.start_ms,
				is->joined);
	else
		cell_lake_key(&own, c->s->job, c->s->tenant, c->s->region, is->cell, is->late);
	return buf_ok(&own) && strcmp(buf_cstr(&own), key) == 0;
}

/* Keys come hour by hour. */
static int
take_key(const char *key, void *arg)
{
	struct compactor *c = arg;
	const char *slash = strrchr(key, '/');
	struct cell_name is;
	int64_t hour;

	if (!slash || !cell_name_parse(slash + 1, &is) || !in_its_place(c, key, &is))
		return 0;
	if (cell_floor(is.cell.start_ms, DAY_MS) + DAY_MS > c->s->before_ms)
		return 1;
	hour = cell_floor(is.cell.start_ms, HOUR_MS);
	if (hour != c->hour.ms)
		end_hour(c);
	if (c->stop)
		return 1;
	c->hour.ms = hour;
	if (is.joined)
		c->hour.newest = is.joined > c->hour.newest ? is.joined : c->hour.newest;
	else if (add_object(&c->hour, key, &is, &c->err))
		c->stop = true;
	return c->stop;
}

int
compact_stream(const struct compact_stream *s, struct compact_counts *ret, struct err *err)
{
	CLEANUP(buf_done) struct buf prefix = BUF_INIT(1024);
	struct compactor c = {
	    .s = s, .counts = ret, .hour = {.ms = -1, .mem = ARENA_INIT(HOUR_MEM)}};
	struct err listing = {0};
	int rc;

	buf_fmt(&prefix, "%s/tenant=%s/region=%s/", s->job, s->tenant, s->region);
	rc = buf_check(&prefix, "prefix", &listing);
	if (rc == 0)
		rc = s->lake->ops->list(s->lake, buf_cstr(&prefix), take_key, &c, &listing);
	if (rc == 0 && !c.stop)
		end_hour(&c);
	arena_done(&c.hour.mem);
	if (rc == 0 && c.err.kind == ERR_NONE)
		return 0;
	if (err)
		*err = rc ? listing : c.err;
	return -1;
}
