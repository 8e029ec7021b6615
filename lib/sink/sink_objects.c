/*
 * The objects sink: the lake. A cell becomes one compressed object, created once and never changed.
 *
 * The key is a function of the cell, equal lines give equal bytes, and the put is create-only. So
 * doing a cell again is harmless: whoever comes second finds the object and counts its lines as
 * already there. Its content may be another one (services do not answer the same question twice
 * alike); the caller reads it back and goes on with that.
 */
#include "base/cleanup.h"
#include "base/gate.h"
#include "fmt/zst.h"
#include "sink/joined.h"
#include "sink/sink.h"
#include "sink/sink_creds.h"

#define OBJECT_MAX	   ((size_t)1 << 30) /* compressed */
#define REJECTED_MAX	   1000		     /* numbers tried for a cell's refused samples */
#define REJECTED_BYTES_MAX ((size_t)256 << 20)
#define ZSTD_LEVEL	   3
#define DAY_MS		   ((int64_t)86400000)
#define LARGE_AT_ONCE	   ((size_t)4 << 20) /* bytes of cells and of compressors */

struct objects {
	struct sink base;
	struct sink_creds creds; /* for s3:// */
	struct store *store;
	struct clock *clock;
	struct gate large; /* large cells that are compressed, or on their way */
};

static int
level_of(const struct sink *s)
{
	return s->conf->zstd_level ? (int)s->conf->zstd_level : ZSTD_LEVEL;
}

static int
compress(const struct sink *s, struct sv lines, struct buf *out, struct err *err)
{
	return zst_compress(lines, level_of(s), out, err);
}

/* The body, or the spool if that is not NULL. */
static int
create(struct sink *s, const struct publish *p, const char *key, struct sv body,
       const struct spool *spool, struct err *err)
{
	struct objects *o = (struct objects *)s;
	struct store_put opt = {
	    .cond = STORE_CREATE,
	    .content_type = "application/zstd",
	    .meta = {{"format-version", JOINED_FORMAT}},
	    .n_meta = 1,
	};

	if (p->definition && p->definition[0] != '\0')
		opt.meta[opt.n_meta++] = (struct store_meta){"definition", p->definition};
	return spool ? store_put_spool(o->store, key, spool, &opt, NULL, err)
		     : store_put(o->store, key, body, &opt, NULL, err);
}

static int
pack_piece(void *arg, struct sv piece, struct err *err)
{
	return zst_pack_add(arg, piece, err);
}

static int
compress_spool(const struct sink *s, const struct cell_data *d, struct spool *out, struct err *err)
{
	struct zst_pack *z = NULL;
	int rc = zst_pack_new(level_of(s), cell_lines_size(d), out, &z, err);

	if (rc == 0)
		rc = cell_lines_each(d, pack_piece, z, err);
	if (rc == 0)
		rc = zst_pack_end(z, err);
	zst_pack_free(z);
	return rc;
}

/* What becomes of a cell's put. */
static int
put_result(int rc, const struct cell_data *d, struct published *ret, struct err *err)
{
	if (rc == 0)
		ret->acked = d->n_lines;
	if (rc == 0 || err->kind != ERR_CONFLICT)
		return rc;
	err_clear(err);
	ret->already = d->n_lines;
	return 0;
}

static void
lines_read(const struct publish *p)
{
	if (p->lines_read)
		p->lines_read(p->lines_arg);
}

static int
pack_in_turn(struct objects *o, const struct cell_data *d, struct spool *out, struct err *err)
{
	uint64_t size = cell_lines_size(d);
	size_t room = size < LARGE_AT_ONCE / 2 ? 2 * (size_t)size : LARGE_AT_ONCE;
	int rc = gate_enter(&o->large, room, o->clock, err);

	if (rc < 0)
		return -1;
	rc = compress_spool(&o->base, d, out, err);
	if (rc == 0)
		rc = spool_settle(out, err);
	gate_leave(&o->large, room);
	return rc;
}

static int
create_in_turn(struct objects *o, const struct publish *p, const char *key,
	       const struct spool *body, struct err *err)
{
	uint64_t size = spool_size(body);
	size_t room = size < LARGE_AT_ONCE ? (size_t)size : LARGE_AT_ONCE;
	int rc = gate_enter(&o->large, room, o->clock, err);

	if (rc < 0)
		return -1;
	rc = create(&o->base, p, key, SV(""), body, err);
	gate_leave(&o->large, room);
	return rc;
}

/* Large cells take turns, for their compression and then for their way: each needs room for a part
 * of it. */
static int
put_large(struct sink *s, const struct publish *p, const struct cell_data *d, const char *key,
	  struct published *ret, struct err *err)
{
	struct objects *o = (struct objects *)s;
	struct spool body = SPOOL_INIT;
	int rc = pack_in_turn(o, d, &body, err);

	if (rc == 0) {
		lines_read(p);
		ret->requests++;
		ret->bytes += spool_size(&body);
		rc = put_result(create_in_turn(o, p, key, &body, err), d, ret, err);
	}
	spool_done(&body);
	return rc;
}

/* Days that are not over yet are nobody's to join: `muster compact` keeps off a day longer than any
 * run can reach back. */
static bool
may_be_joined(const struct publish *p, struct cell c)
{
	return p->now_ms == 0 || p->now_ms - c.start_ms > DAY_MS;
}

/* The cell's object is within a joined one: *n is the number of that, and of *j, initialised,
 * *part. */
static int
search_joined(struct objects *o, const struct publish *p, const struct cell_data *d,
	      const char *key, struct joined *j, const struct joined_part **part, unsigned *n,
	      struct err *err)
{
	const struct joined_place place = {p->job, p->tenant, p->region, d->cell.start_ms};
	const char *name = strrchr(key, '/') + 1;

	if (!may_be_joined(p, d->cell))
		return err_set(err, ERR_NOTFOUND, "%s: is not old enough to be joined", key);
	if (joined_search(o->store, &place, name, j, n, err))
		return -1;
	*part = joined_find(j, name);
	return 0;
}

/* Whether it is there already although there is no object of its own. */
static int
is_joined(struct objects *o, const struct publish *p, const struct cell_data *d, const char *key,
	  bool *ret, struct err *err)
{
	const struct joined_part *part;
	struct joined j;
	struct err local;
	unsigned n;
	int rc;

	err = err ? err : &local;
	joined_init(&j);
	rc = search_joined(o, p, d, key, &j, &part, &n, err);
	joined_done(&j);
	*ret = rc == 0;
	if (rc == 0 || err->kind != ERR_NOTFOUND)
		return rc;
	err_clear(err);
	return 0;
}

static int
publish_large(struct sink *s, const struct publish *p, const struct cell_data *d, const char *key,
	      struct published *ret, struct err *err)
{
	bool joined = false;

	if (is_joined((struct objects *)s, p, d, key, &joined, err) < 0)
		return -1;
	if (!joined)
		return put_large(s, p, d, key, ret, err);
	ret->already = d->n_lines;
	return 0;
}

/* Compressed before anything is waited for: a tenth of it is in memory then. */
static int
publish_small(struct sink *s, const struct publish *p, const struct cell_data *d, const char *key,
	      struct published *ret, struct err *err)
{
	struct buf body = BUF_INIT(OBJECT_MAX);
	bool joined = false;
	int rc = compress(s, buf_view(&d->ndjson), &body, err);

	if (rc == 0) {
		lines_read(p);
		rc = is_joined((struct objects *)s, p, d, key, &joined, err);
	}
	if (joined) {
		ret->already = d->n_lines;
	} else if (rc == 0) {
		ret->requests++;
		ret->bytes += body.n;
		rc = put_result(create(s, p, key, buf_view(&body), NULL, err), d, ret, err);
	}
	buf_done(&body);
	return rc;
}

static int
objects_publish(struct sink *s, const struct publish *p, const struct cell_data *d,
		struct published *ret, struct err *err)
{
	struct buf key = BUF_INIT(1024);
	struct err local;
	int rc;

	err = err ? err : &local;
	if (buf_check(&d->ndjson, "cell", err) < 0)
		return -1;
	if (cell_lines_size(d) == 0)
		return 0;
	cell_lake_key(&key, p->job, p->tenant, p->region, d->cell, d->late);
	rc = buf_check(&key, "object key", err);
	if (rc == 0)
		rc = (d->spool ? publish_large : publish_small)(s, p, d, buf_cstr(&key), ret, err);
	buf_done(&key);
	return rc;
}

static int
add_lines(void *arg, struct sv piece, struct err *err)
{
	return cell_lines_add(arg, piece, err);
}

static int
check_meta(const char *key, const struct store_info *info, char definition[65], struct err *err)
{
	if (info->meta[0][0] != '\0' && strcmp(info->meta[0], JOINED_FORMAT) != 0)
		return err_set(err, ERR_DATA, "%s: format version %.20s is unknown", key,
			       info->meta[0]);
	if (strlen(info->meta[1]) > 64)
		return err_set(err, ERR_DATA, "%s: its definition's hash is too long", key);
	memcpy(definition, info->meta[1], strlen(info->meta[1]) + 1);
	return 0;
}

static int
read_cell(struct objects *o, const char *key, struct cell_data *d, char definition[65],
	  struct err *err)
{
	static const char *const want[] = {"format-version", "definition", NULL};
	struct spool body = SPOOL_INIT;
	struct store_info info = {0};
	int rc = store_get_spool(o->store, key, want, &body, &info, err);

	if (rc == 0)
		rc = check_meta(key, &info, definition, err);
	if (rc == 0) {
		buf_reset(&d->ndjson);
		rc = zst_unpack(&body, add_lines, d, err);
		if (rc < 0)
			(void)err_wrap(err, "%s", key);
	}
	spool_done(&body);
	return rc;
}

static int
check_part(const struct spool *body, const struct joined_part *part, struct err *err)
{
	char is[SHA256_HEX_LEN + 1];

	if (spool_sha256(body, is, err))
		return -1;
	return strcmp(is, part->sha256) == 0
		   ? 0
		   : err_set(err, ERR_DATA, "%s: its bytes there are not those that were joined",
			     part->name);
}

/* A cell's own frames out of the joined object that has them. */
static int
read_part(struct objects *o, const struct publish *p, const struct joined_part *part, unsigned n,
	  struct cell_data *d, struct err *err)
{
	struct buf key = BUF_INIT(1024);
	struct spool body = SPOOL_INIT;
	int rc;

	cell_joined_key(&key, p->job, p->tenant, p->region, d->cell.start_ms, n);
	rc = buf_check(&key, "object key", err);
	if (rc == 0)
		rc = store_get_range(o->store, buf_cstr(&key), part->at, part->size, &body, err);
	/* It is named, and is nowhere: that is no cell that was never frozen. */
	if (rc < 0 && err->kind == ERR_NOTFOUND)
		rc =
		    err_set(err, ERR_DATA, "%s: is gone, and with it what a manifest says it holds",
			    buf_cstr(&key));
	if (rc == 0)
		rc = check_part(&body, part, err);
	buf_reset(&d->ndjson);
	if (rc == 0)
		rc = zst_unpack(&body, add_lines, d, err);
	if (rc < 0)
		(void)err_wrap(err, "%s", buf_cstr(&key));
	spool_done(&body);
	buf_done(&key);
	return rc;
}

static int
read_joined(struct objects *o, const struct publish *p, const char *key, struct cell_data *d,
	    char definition[65], struct err *err)
{
	const struct joined_part *part;
	struct joined j;
	unsigned n;
	int rc;

	joined_init(&j);
	rc = search_joined(o, p, d, key, &j, &part, &n, err);
	if (rc == 0) {
		memcpy(definition, part->definition, strlen(part->definition) + 1);
		rc = read_part(o, p, part, n, d, err);
	}
	joined_done(&j);
	return rc;
}

static int
objects_read(struct sink *s, const struct publish *p, struct cell_data *d, char definition[65],
	     struct err *err)
{
	struct objects *o = (struct objects *)s;
	struct buf key = BUF_INIT(1024);
	struct err local;
	int rc;

	err = err ? err : &local;
	definition[0] = '\0';
	cell_lake_key(&key, p->job, p->tenant, p->region, d->cell, d->late);
	rc = buf_check(&key, "object key", err);
	if (rc == 0)
		rc = read_cell(o, buf_cstr(&key), d, definition, err);
	if (rc < 0 && err->kind == ERR_NOTFOUND)
		rc = read_joined(o, p, buf_cstr(&key), d, definition, err);
	buf_done(&key);
	return rc < 0 ? err_wrap(err, "sink %s", s->conf->name) : 0;
}

struct search {
	int64_t from_ms, to_ms, found_ms;
	bool found;
};

/* Keys come in the order of time. */
static int
search_key(const char *key, void *arg)
{
	struct search *search = arg;
	int64_t ms;

	if (!cell_of_key(key, &ms) || ms < search->from_ms || ms >= search->to_ms)
		return 0;
	search->found = true;
	search->found_ms = ms;
	return 1;
}

/* Day by day: a stream may have years of objects. */
static int
objects_oldest(struct sink *s, const struct publish *p, int64_t from_ms, int64_t to_ms,
	       int64_t *ret_ms, struct err *err)
{
	struct objects *o = (struct objects *)s;
	struct search search = {.from_ms = from_ms, .to_ms = to_ms};
	struct buf prefix = BUF_INIT(1024);
	int rc = 0;

	for (int64_t day = cell_floor(from_ms, DAY_MS); rc == 0 && day < to_ms && !search.found;
	     day += DAY_MS) {
		buf_reset(&prefix);
		cell_lake_day(&prefix, p->job, p->tenant, p->region, day);
		rc = buf_check(&prefix, "prefix", err);
		if (rc == 0)
			rc = o->store->ops->list(o->store, buf_cstr(&prefix), search_key, &search,
						 err);
	}
	buf_done(&prefix);
	*ret_ms = search.found_ms;
	if (rc == 0 && !search.found)
		rc = err_set(err, ERR_NOTFOUND, "there is no object");
	return rc < 0 ? err_wrap(err, "sink %s", s->conf->name) : 0;
}

/* Whether the object under this key holds these very lines (its bytes may be another version's). */
static int
holds(struct objects *o, const char *key, struct sv lines, bool *ret, struct err *err)
{
	struct buf body = BUF_INIT(REJECTED_BYTES_MAX), text = BUF_INIT(REJECTED_BYTES_MAX);
	struct err local;
	int rc;

	err = err ? err : &local;
	*ret = false;
	rc = store_get(o->store, key, NULL, &body, NULL, err);
	if (rc == 0) {
		rc = zst_decompress(buf_view(&body), &text, err);
		if (rc == 0)
			*ret = sv_eq(buf_view(&text), lines);
		else if (err->kind == ERR_DATA) /* broken: not ours, its number is taken */
			rc = 0;
	}
	buf_done(&body);
	buf_done(&text);
	return rc;
}

/* The first number that is free, or that holds the same lines already. */
static int
put_rejected(struct sink *s, const struct publish *p, struct cell c, struct sv lines,
	     struct sv body, struct err *err)
{
	struct objects *o = (struct objects *)s;
	struct buf key = BUF_INIT(1024);
	struct err local;
	bool same = false;
	int rc = -1;

	err = err ? err : &local;
	err_clear(err);
	for (unsigned n = 0; n < REJECTED_MAX && !same; n++) {
		buf_reset(&key);
		cell_rejected_key(&key, p->job, p->tenant, p->region, c, n);
		if ((rc = buf_check(&key, "object key", err)) < 0)
			break;
		rc = create(s, p, buf_cstr(&key), body, NULL, err);
		if (rc == 0 || err->kind != ERR_CONFLICT)
			break;
		if (holds(o, buf_cstr(&key), lines, &same, err) < 0)
			break;
	}
	if (same) {
		err_clear(err);
		rc = 0;
	}
	buf_done(&key);
	return rc;
}

static int
objects_write_rejected(struct sink *s, const struct publish *p, struct cell c, struct sv ndjson,
		       struct err *err)
{
	struct buf body = BUF_INIT(REJECTED_BYTES_MAX);
	int rc;

	if (ndjson.n == 0)
		return 0;
	if (ndjson.n > REJECTED_BYTES_MAX)
		return err_set(err, ERR_LOCAL, "sink %s: refused samples take more than %zu bytes",
			       s->conf->name, REJECTED_BYTES_MAX);
	rc = compress(s, ndjson, &body, err);
	if (rc == 0)
		rc = put_rejected(s, p, c, ndjson, buf_view(&body), err);
	buf_done(&body);
	return rc < 0 ? err_wrap(err, "sink %s", s->conf->name) : 0;
}

static void
objects_free(struct sink *s)
{
	struct objects *o = (struct objects *)s;

	store_free(o->store);
	sink_creds_done(&o->creds);
	gate_done(&o->large);
	free(o);
}

static const struct sink_ops objects_ops = {
    .kind = "objects",
    .ordered = false,
    .samples = false,
    .publish = objects_publish,
    .read = objects_read,
    .oldest = objects_oldest,
    .write_rejected = objects_write_rejected,
    .free = objects_free,
};

struct store *
sink_objects_store(struct sink *s)
{
	return s->ops == &objects_ops ? ((struct objects *)s)->store : NULL;
}

static struct objects *
objects_alloc(const struct sink_conf *c, struct clock *clock)
{
	struct objects *o = calloc(1, sizeof(*o));

	if (!o)
		return NULL;
	o->base = (struct sink){.ops = &objects_ops, .conf = c};
	o->clock = clock;
	gate_init(&o->large, LARGE_AT_ONCE);
	return o;
}

int
sink_objects_new(const struct sink_conf *c, struct store *store, struct sink **ret, struct err *err)
{
	struct objects *o = objects_alloc(c, clock_real());

	if (!o)
		return err_nomem(err);
	o->store = store;
	*ret = &o->base;
	return 0;
}

static int
check_conf(const struct sink_conf *c, struct err *err)
{
	if (!c->url)
		return err_set(err, ERR_USAGE, "needs a url");
	if (c->zstd_level < 0 || c->zstd_level > 19)
		return err_set(err, ERR_USAGE, "zstd level has to be 1-19");
	return 0;
}

int
sink_objects_open(const struct sink_conf *c, const struct sink_env *env, struct sink **ret,
		  struct err *err)
{
	struct objects *o;

	if (check_conf(c, err) < 0)
		return -1;
	o = objects_alloc(c, env->clock);
	if (!o)
		return err_nomem(err);
	if (sink_store_open(c, env, &o->creds, &o->store, err) < 0) {
		objects_free(&o->base);
		return -1;
	}
	*ret = &o->base;
	return 0;
}

int
sink_objects_try(const struct sink_conf *c, const struct sink_env *env, const struct trials *to,
		 struct err *err)
{
	return check_conf(c, err) < 0 ? -1 : sink_store_try(c, env, to, err);
}
