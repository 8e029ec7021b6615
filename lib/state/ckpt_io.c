/*
 * Checkpoints in a store: loading the newest sound one, moving it by compare-and-swap.
 *
 * The store's condition is what keeps two runs apart; the nonce is what tells a run its own write
 * from another's when the answer was lost. Nothing is ever removed here, and a damaged document is
 * copied before it can be replaced.
 */
#include "state/checkpoint.h"

#include "base/cleanup.h"
#include "base/hash.h"

#define KEY_MAX 1024

void
ckpt_key(struct buf *out, const char *base, const char *tenant, const char *job, const char *suffix)
{
	buf_fmt(out, "%stenants/%s/%s%s.json", base ? base : "", tenant, job, suffix ? suffix : "");
}

/* Loading */

enum found { FOUND, MISSING, DAMAGED };

/* One of the two documents, and in what state it is. */
struct doc {
	struct buf key, text;
	struct store_info info;
	enum found found;
	struct ckpt *ckpt; /* FOUND */
	struct err why;	   /* DAMAGED */
};

static void
doc_done(struct doc *d)
{
	buf_done(&d->key);
	buf_done(&d->text);
	ckpt_free(d->ckpt);
}

static struct doc
doc_init(const char *base, const char *tenant, const char *job, const char *suffix)
{
	struct doc d = {.key = BUF_INIT(KEY_MAX), .text = BUF_INIT(CKPT_MAX)};

	ckpt_key(&d.key, base, tenant, job, suffix);
	return d;
}

static int
err_move(struct err *to, const struct err *from)
{
	if (to)
		*to = *from;
	return -1;
}

/* Reads and judges d; -1 only if it cannot be read, or is not ours to judge. */
static int
doc_read(struct store *s, struct doc *d, const char *tenant, const char *job, struct err *err)
{
	const char *key = buf_cstr(&d->key);

	if (buf_check(&d->key, "the checkpoint's key", err) < 0)
		return -1;
	d->found = MISSING;
	if (store_get(s, key, NULL, &d->text, &d->info, &d->why) < 0) {
		if (d->why.kind == ERR_NOTFOUND)
			return 0;
		return err_move(err, &d->why);
	}
	d->found = FOUND;
	if (ckpt_parse(buf_view(&d->text), tenant, job, &d->ckpt, &d->why) == 0)
		return 0;
	d->found = DAMAGED;
	if (d->why.kind == ERR_DATA)
		return 0;
	(void)err_move(err, &d->why);
	return err_wrap(err, "%s", key);
}

/* Damage has consequences, so it is looked at twice: a bad read or a moment without memory is none.
 */
static int
doc_load(struct store *s, struct doc *d, const char *tenant, const char *job, struct err *err)
{
	if (doc_read(s, d, tenant, job, err) < 0)
		return -1;
	return d->found == DAMAGED ? doc_read(s, d, tenant, job, err) : 0;
}

/* Keeps the damaged text under a name of its own; it may be there since an earlier run. */
static int
set_aside(struct store *s, const char *base, const char *tenant, const char *job,
	  const struct doc *d, char out[256], struct err *err)
{
	const struct store_put opt = {.cond = STORE_CREATE, .content_type = "application/json"};
	CLEANUP(buf_done) struct buf key = BUF_INIT(KEY_MAX);
	char hex[SHA256_HEX_LEN + 1], suffix[32];
	struct err why;

	sha256_hex(buf_view(&d->text), hex);
	(void)snprintf(suffix, sizeof(suffix), ".damaged-%.16s", hex);
	ckpt_key(&key, base, tenant, job, suffix);
	if (store_put(s, buf_cstr(&key), buf_view(&d->text), &opt, NULL, &why) < 0 &&
	    why.kind != ERR_CONFLICT) {
		(void)err_move(err, &why);
		return err_wrap(err, "set the damaged checkpoint aside");
	}
	(void)snprintf(out, 256, "%s", buf_cstr(&key));
	return 0;
}

static int
recover(struct store *s, const char *base, const char *tenant, const char *job,
	const struct doc *newest, struct ckpt **ret, struct err *err)
{
	CLEANUP(doc_done) struct doc prev = doc_init(base, tenant, job, ".prev");
	const char *what = newest->found == MISSING ? "missing" : newest->why.msg;
	char aside[256] = "", prev_aside[256] = "";

	if (newest->found == DAMAGED && set_aside(s, base, tenant, job, newest, aside, err) < 0)
		return -1;
	if (doc_load(s, &prev, tenant, job, err) < 0)
		return -1;
	if (prev.found == MISSING && newest->found == MISSING) {
		*ret = ckpt_new(tenant, job);
		return *ret ? 0 : err_nomem(err);
	}
	if (prev.found == DAMAGED) {
		what = newest->found == MISSING ? prev.why.msg : what;
		if (set_aside(s, base, tenant, job, &prev, prev_aside, err) < 0)
			return -1;
	}
	if (prev.found != FOUND)
		prev.ckpt = ckpt_new(tenant, job);
	if (!prev.ckpt)
		return err_nomem(err);
	*ret = STEAL(prev.ckpt);
	(*ret)->recovered = true;
	(*ret)->lost = prev.found != FOUND;
	(void)snprintf((*ret)->aside, sizeof((*ret)->aside), "%s", *aside ? aside : prev_aside);
	(void)snprintf((*ret)->damage, sizeof((*ret)->damage), "%.300s", what);
	/* What the next save replaces is the damaged one. */
	(void)snprintf((*ret)->etag, sizeof((*ret)->etag), "%s", newest->info.etag);
	return 0;
}

int
ckpt_load(struct store *s, const char *base, const char *tenant, const char *job, struct ckpt **ret,
	  struct err *err)
{
	CLEANUP(doc_done) struct doc d = doc_init(base, tenant, job, "");

	if (doc_load(s, &d, tenant, job, err) < 0)
		return -1;
	if (d.found != FOUND)
		return recover(s, base, tenant, job, &d, ret, err);
	*ret = STEAL(d.ckpt);
	(void)snprintf((*ret)->etag, sizeof((*ret)->etag), "%s", d.info.etag);
	return 0;
}

int
ckpt_peek(struct store *s, const char *base, const char *tenant, const char *job,
	  const char *suffix, struct buf *text, struct ckpt **ret, struct err *err)
{
	CLEANUP(doc_done) struct doc d = doc_init(base, tenant, job, suffix);

	if (doc_load(s, &d, tenant, job, err) < 0)
		return -1;
	if (text)
		buf_sv(text, buf_view(&d.text));
	if (d.found != FOUND)
		return err_move(err, &d.why);
	*ret = STEAL(d.ckpt);
	return 0;
}

int
ckpt_keep_prev(struct store *s, const char *base, const struct ckpt *c, struct err *err)
{
	const struct store_put opt = {.cond = STORE_ANY, .content_type = "application/json"};
	CLEANUP(doc_done) struct doc d = doc_init(base, c->tenant, c->job, "");
	CLEANUP(buf_done) struct buf prev = BUF_INIT(KEY_MAX);

	if (c->recovered || !*c->etag)
		return 0;
	if (doc_load(s, &d, c->tenant, c->job, err) < 0)
		return -1;
	if (d.found == MISSING)
		return err_set(err, ERR_CONFLICT, "%s is gone since it was loaded",
			       buf_cstr(&d.key));
	if (d.found != FOUND) /* nobody else is at work: that would be a sound one */
		return err_set(err, ERR_DATA, "%s is damaged since it was loaded: %s",
			       buf_cstr(&d.key), d.why.msg);
	ckpt_key(&prev, base, c->tenant, c->job, ".prev");
	return store_put(s, buf_cstr(&prev), buf_view(&d.text), &opt, NULL, err);
}

/* Saving */

/* One save: the document to be, and what came of it. */
struct save {
	struct store *store;
	const char *base;
	struct ckpt *c;
	struct buf key, text;
	char nonce[33];
	char etag[STORE_ETAG_MAX]; /* what is expected in the store, then what was written */
};

static int
save_prepare(struct save *v, struct err *err)
{
	struct ckpt next = *v->c;
	unsigned char random[16];

	buf_reset(&v->key);
	buf_reset(&v->text);
	ckpt_key(&v->key, v->base, v->c->tenant, v->c->job, "");
	if (buf_check(&v->key, "the checkpoint's key", err) < 0 ||
	    random_bytes(random, sizeof(random), err) < 0)
		return -1;
	hex_lower(random, sizeof(random), v->nonce);
	next.generation++;
	memcpy(next.nonce, v->nonce, sizeof(next.nonce));
	memcpy(v->etag, v->c->etag, sizeof(v->etag));
	return ckpt_dump(&next, &v->text, err);
}

static int
save_put(struct save *v, struct err *err)
{
	struct store_put opt = {.cond = STORE_CREATE, .content_type = "application/json"};
	char written[STORE_ETAG_MAX];

	if (*v->etag) {
		opt.cond = STORE_MATCH;
		opt.etag = v->etag;
	}
	if (store_put(v->store, buf_cstr(&v->key), buf_view(&v->text), &opt, written, err) < 0)
		return -1;
	memcpy(v->etag, written, sizeof(v->etag));
	return 0;
}

static void
remember_tried(struct ckpt *c, const char nonce[33])
{
	memmove(c->tried[1], c->tried[0], sizeof(c->tried) - sizeof(c->tried[0]));
	memcpy(c->tried[0], nonce, sizeof(c->tried[0]));
}

static bool
was_tried(const struct ckpt *c, const char *nonce)
{
	for (size_t i = 0; i < CKPT_TRIED && *c->tried[i]; i++)
		if (!strcmp(c->tried[i], nonce))
			return true;
	return false;
}

enum outcome { WRITTEN, NOT_WRITTEN, OVERTAKEN, OURS_BEFORE, UNKNOWN };

/* Looks into the store for what became of a put without a clear answer. */
static enum outcome
save_read_back(struct save *v)
{
	CLEANUP(doc_done) struct doc d = doc_init(v->base, v->c->tenant, v->c->job, "");

	if (doc_load(v->store, &d, v->c->tenant, v->c->job, NULL) < 0)
		return UNKNOWN;
	if (d.found == MISSING)
		return *v->etag ? OVERTAKEN : NOT_WRITTEN;
	if (*v->etag && strcmp(d.info.etag, v->etag) == 0)
		return NOT_WRITTEN;
	if (d.found != FOUND)
		return OVERTAKEN;
	memcpy(v->etag, d.info.etag, sizeof(v->etag));
	if (strcmp(d.ckpt->nonce, v->nonce) == 0)
		return WRITTEN;
	return was_tried(v->c, d.ckpt->nonce) ? OURS_BEFORE : OVERTAKEN;
}

static int
save_write(struct save *v, struct err *err)
{
	const char *key = buf_cstr(&v->key);
	struct err why;

	/* Twice at most: an earlier save of ours may have arrived after all, or two met in the
	 * store and neither was taken. */
	for (int tries = 0; tries < 2; tries++) {
		enum outcome o;

		if (save_put(v, &why) == 0)
			return 0;
		if (why.kind != ERR_CONFLICT && why.kind != ERR_TRANSIENT && why.kind != ERR_LOCAL)
			return err_move(err, &why);
		o = save_read_back(v);
		if (o == WRITTEN)
			return 0;
		if (o == OVERTAKEN)
			return err_set(err, ERR_CONFLICT, "%s: another run has moved it", key);
		if (o == UNKNOWN || (o == NOT_WRITTEN && why.kind != ERR_CONFLICT))
			break;
	}
	if (why.kind == ERR_CONFLICT)
		why.kind = ERR_TRANSIENT;
	(void)err_move(err, &why);
	return err_wrap(err, "%s: it could not be written for certain", key);
}

static void
save_done(struct save *v)
{
	buf_done(&v->key);
	buf_done(&v->text);
}

int
ckpt_save(struct store *s, const char *base, struct ckpt *c, struct err *err)
{
	CLEANUP(save_done)
	struct save v = {
	    .store = s, .base = base, .c = c, .key = BUF_INIT(KEY_MAX), .text = BUF_INIT(CKPT_MAX)};
	struct err why;

	while (save_prepare(&v, err) < 0)
		if (!v.text.failed || v.text.no_memory || !ckpt_shed(c))
			return -1;
	if (save_write(&v, &why) < 0) {
		if (why.kind != ERR_CONFLICT)
			remember_tried(c, v.nonce);
		return err_move(err, &why);
	}
	c->generation++;
	memcpy(c->nonce, v.nonce, sizeof(c->nonce));
	memcpy(c->etag, v.etag, sizeof(c->etag));
	memset(c->tried, 0, sizeof(c->tried));
	return 0;
}

/* Listing */

struct lister {
	size_t skip; /* up to the tenant's name */
	int (*fn)(const char *tenant, const char *job, enum ckpt_part part, void *arg);
	void *arg;
};

/* "<job>.json", "<job>.prev.json", "<job>.damaged-<hash>.json": which job, and which of them. */
static bool
name_parse(const char *name, char job[256], enum ckpt_part *part)
{
	size_t n = strlen(name);
	const char *at;

	if (n < 6 || n > 255 || strcmp(name + n - 5, ".json") != 0)
		return false;
	(void)snprintf(job, 256, "%.*s", (int)(n - 5), name);
	n -= 5;
	*part = CKPT_NEWEST;
	at = strstr(job, ".damaged-");
	if (at) {
		*part = CKPT_DAMAGED_COPY;
	} else if ((at = strstr(job, ".forgotten-"))) {
		*part = CKPT_FORGOTTEN_COPY;
	} else if (n > 5 && strcmp(job + n - 5, ".prev") == 0) {
		at = job + n - 5;
		*part = CKPT_PREV;
	}
	if (at)
		job[at - job] = '\0';
	return job[0] != '\0';
}

bool
ckpt_job_valid(const char *job)
{
	char name[256], parsed[256];
	enum ckpt_part part;

	(void)snprintf(name, sizeof(name), "%s.json", job);
	return name_parse(name, parsed, &part) && part == CKPT_NEWEST && !strcmp(parsed, job);
}

static int
list_key(const char *key, void *arg)
{
	const struct lister *l = arg;
	const char *name = key + l->skip, *slash = strchr(name, '/');
	char tenant[256], job[256];
	enum ckpt_part part;

	if (!slash || slash - name > 255 || strchr(slash + 1, '/') ||
	    !name_parse(slash + 1, job, &part))
		return 0;
	(void)snprintf(tenant, sizeof(tenant), "%.*s", (int)(slash - name), name);
	return l->fn(tenant, job, part, l->arg);
}

int
ckpt_list(struct store *s, const char *base,
	  int (*fn)(const char *tenant, const char *job, enum ckpt_part part, void *arg), void *arg,
	  struct err *err)
{
	CLEANUP(buf_done) struct buf folder = BUF_INIT(KEY_MAX);
	struct lister l = {.fn = fn, .arg = arg};

	buf_fmt(&folder, "%stenants/", base ? base : "");
	if (buf_check(&folder, "the state's folder", err) < 0)
		return -1;
	l.skip = folder.n;
	return s->ops->list(s, buf_cstr(&folder), list_key, &l, err);
}
