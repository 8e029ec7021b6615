/*
 * zstd frames. Small inputs are compressed in one call. A streaming compressor may cut its blocks
 * where its input or its output buffer ends, and then equal input would not always give equal
 * bytes: so larger ones are always fed in the same way, with the size of the whole, then piece by
 * piece of one fixed size, with room for all that comes of a piece.
 *
 * A compressor is a megabyte or more of tables: a few are shared by all threads, and who finds none
 * free waits, for there are not many processors either. Made anew for each cell of 2,500 samples
 * they cost a tenth of the whole work, most of it for pages that the kernel has to clear.
 */
#include "fmt/zst.h"

#include <pthread.h>
#include <sched.h>
#include <zstd.h>

#include "base/cleanup.h"

#define SMALL	    ((size_t)2 << 20) /* up to this, in one call */
#define PIECE	    ((size_t)128 << 10)
#define ROOM	    ZSTD_COMPRESSBOUND(PIECE)
#define COMPRESSORS 4
#define KEPT_MAX    ((size_t)4 << 20) /* larger ones, of high levels, are not kept */

static struct {
	pthread_mutex_t mu;
	pthread_cond_t given_back;
	unsigned most, in_use; /* most 0: not known yet */
	unsigned n_idle;
	ZSTD_CCtx *idle[COMPRESSORS];
} pool = {.mu = PTHREAD_MUTEX_INITIALIZER, .given_back = PTHREAD_COND_INITIALIZER};

/* More than there are processors would only take turns. */
static unsigned
most_compressors(void)
{
	cpu_set_t set;
	int n = sched_getaffinity(0, sizeof(set), &set) ? COMPRESSORS : CPU_COUNT(&set);

	return n >= 1 && n < COMPRESSORS ? (unsigned)n : COMPRESSORS;
}

static ZSTD_CCtx *
take_compressor(void)
{
	ZSTD_CCtx *c = NULL;

	(void)pthread_mutex_lock(&pool.mu);
	if (!pool.most)
		pool.most = most_compressors();
	while (pool.in_use == pool.most)
		(void)pthread_cond_wait(&pool.given_back, &pool.mu);
	pool.in_use++;
	if (pool.n_idle)
		c = pool.idle[--pool.n_idle];
	(void)pthread_mutex_unlock(&pool.mu);
	return c ? c : ZSTD_createCCtx();
}

static void
give_compressor(ZSTD_CCtx **c)
{
	bool keep = *c && ZSTD_sizeof_CCtx(*c) <= KEPT_MAX &&
		    !ZSTD_isError(ZSTD_CCtx_reset(*c, ZSTD_reset_session_and_parameters));

	if (!keep)
		(void)ZSTD_freeCCtx(*c);
	(void)pthread_mutex_lock(&pool.mu);
	if (keep)
		pool.idle[pool.n_idle++] = *c;
	pool.in_use--;
	(void)pthread_cond_signal(&pool.given_back);
	(void)pthread_mutex_unlock(&pool.mu);
}

static void
free_dctx(ZSTD_DCtx **d)
{
	(void)ZSTD_freeDCtx(*d);
}

/* Compressing */

static int
zst_fail(size_t code, struct err *err)
{
	return err_set(err, ERR_LOCAL, "zstd: %s", ZSTD_getErrorName(code));
}

static int
set_up(ZSTD_CCtx *c, int level, struct err *err)
{
	size_t n;

	if (!c)
		return err_nomem(err);
	n = ZSTD_CCtx_setParameter(c, ZSTD_c_compressionLevel, level);
	if (!ZSTD_isError(n))
		n = ZSTD_CCtx_setParameter(c, ZSTD_c_checksumFlag, 1);
	return ZSTD_isError(n) ? zst_fail(n, err) : 0;
}

static int
compress_small(struct sv in, int level, struct buf *out, struct err *err)
{
	CLEANUP(give_compressor) ZSTD_CCtx *c = take_compressor();
	size_t bound = ZSTD_compressBound(in.n), n;
	CLEANUP(freep) char *tmp = malloc(bound);

	if (!tmp)
		return err_nomem(err);
	if (set_up(c, level, err))
		return -1;
	n = ZSTD_compress2(c, tmp, bound, in.p, in.n);
	if (ZSTD_isError(n))
		return zst_fail(n, err);
	buf_add(out, tmp, n);
	return buf_check(out, "zstd", err);
}

struct zst_pack {
	ZSTD_CCtx *c; /* NULL: a small one */
	int level;
	struct spool *spool; /* one of them gets the frame */
	struct buf *buf;
	struct buf stage; /* all of a small one; else less than a piece, or the last one */
	uint64_t left;
	char room[ROOM];
};

void
zst_pack_free(struct zst_pack *z)
{
	if (!z)
		return;
	if (z->c)
		give_compressor(&z->c);
	buf_done(&z->stage);
	free(z);
}
DEFINE_FREEP(struct zst_pack, zst_pack_free)

static int
pack_new(int level, uint64_t size, struct zst_pack **ret, struct err *err)
{
	CLEANUP(zst_pack_freep) struct zst_pack *z = calloc(1, sizeof(*z));
	size_t n;

	if (!z)
		return err_nomem(err);
	z->level = level;
	z->stage = BUF_INIT(size > SMALL ? PIECE : SMALL);
	z->left = size;
	if (size > SMALL) {
		z->c = take_compressor();
		if (set_up(z->c, level, err))
			return -1;
		n = ZSTD_CCtx_setPledgedSrcSize(z->c, size);
		if (ZSTD_isError(n))
			return zst_fail(n, err);
	}
	*ret = STEAL(z);
	return 0;
}

int
zst_pack_new(int level, uint64_t size, struct spool *out, struct zst_pack **ret, struct err *err)
{
	if (pack_new(level, size, ret, err))
		return -1;
	(*ret)->spool = out;
	return 0;
}

static int
put_out(struct zst_pack *z, struct sv data, struct err *err)
{
	if (z->spool)
		return spool_add(z->spool, data, err);
	buf_sv(z->buf, data);
	return buf_check(z->buf, "zstd", err);
}

static int
feed(struct zst_pack *z, struct sv piece, ZSTD_EndDirective how, struct err *err)
{
	ZSTD_inBuffer src = {piece.p, piece.n, 0};
	size_t left;

	do {
		ZSTD_outBuffer dst = {z->room, ROOM, 0};

		left = ZSTD_compressStream2(z->c, &dst, &src, how);
		if (ZSTD_isError(left))
			return zst_fail(left, err);
		if (dst.pos && put_out(z, (struct sv){z->room, dst.pos}, err))
			return -1;
	} while (how == ZSTD_e_end ? left != 0 : src.pos < src.size);
	return 0;
}

/* One that needs no copy: it is not the last one, and nothing is in front of it. */
static bool
is_whole_piece(const struct zst_pack *z, struct sv left)
{
	return z->c && !z->stage.n && left.n >= PIECE && (left.n > PIECE || z->left);
}

int
zst_pack_add(struct zst_pack *z, struct sv piece, struct err *err)
{
	if (piece.n > z->left)
		return err_set(err, ERR_LOCAL, "zstd: more than was announced");
	z->left -= piece.n;
	while (piece.n) {
		size_t free = z->stage.max - z->stage.n, n = free < piece.n ? free : piece.n;

		if (is_whole_piece(z, piece)) {
			if (feed(z, (struct sv){piece.p, PIECE}, ZSTD_e_continue, err))
				return -1;
			piece.p += PIECE;
			piece.n -= PIECE;
			continue;
		}
		if (!free) {
			if (feed(z, buf_view(&z->stage), ZSTD_e_continue, err))
				return -1;
			buf_reset(&z->stage);
			continue;
		}
		buf_add(&z->stage, piece.p, n);
		piece.p += n;
		piece.n -= n;
	}
	return buf_check(&z->stage, "zstd", err);
}

int
zst_pack_end(struct zst_pack *z, struct err *err)
{
	CLEANUP(buf_done) struct buf out = BUF_INIT(2 * SMALL);

	if (z->left)
		return err_set(err, ERR_LOCAL, "zstd: less than was announced");
	if (z->c)
		return feed(z, buf_view(&z->stage), ZSTD_e_end, err);
	if (compress_small(buf_view(&z->stage), z->level, &out, err))
		return -1;
	return put_out(z, buf_view(&out), err);
}

/* The same pieces without copying them first. */
int
zst_compress(struct sv in, int level, struct buf *out, struct err *err)
{
	CLEANUP(zst_pack_freep) struct zst_pack *z = NULL;

	if (in.n <= SMALL)
		return compress_small(in, level, out, err);
	if (pack_new(level, in.n, &z, err))
		return -1;
	z->buf = out;
	while (in.n > PIECE) {
		if (feed(z, (struct sv){in.p, PIECE}, ZSTD_e_continue, err))
			return -1;
		in.p += PIECE;
		in.n -= PIECE;
	}
	return feed(z, in, ZSTD_e_end, err);
}

/* Decompressing */

struct unpack {
	ZSTD_DCtx *d;
	char *room;
	size_t left; /* 0: the last frame is complete */
	int (*fn)(void *arg, struct sv piece, struct err *err);
	void *arg;
};

/* Decodes until the input is used up. */
static int
decode(void *arg, struct sv in, struct err *err)
{
	struct unpack *u = arg;
	ZSTD_inBuffer src = {in.p, in.n, 0};
	ZSTD_outBuffer dst;

	do {
		dst = (ZSTD_outBuffer){u->room, PIECE, 0};
		u->left = ZSTD_decompressStream(u->d, &dst, &src);
		if (ZSTD_isError(u->left))
			return err_set(err, ERR_DATA, "zstd: %s", ZSTD_getErrorName(u->left));
		if (dst.pos && u->fn(u->arg, (struct sv){u->room, dst.pos}, err))
			return -1;
	} while (src.pos < src.size || (dst.pos == dst.size && u->left != 0));
	return 0;
}

static int
add_piece(void *arg, struct sv piece, struct err *err)
{
	struct buf *out = arg;

	buf_sv(out, piece);
	return buf_check(out, "zstd", err);
}

static int
unpack(struct unpack *u, struct sv in, const struct spool *from, struct err *err)
{
	CLEANUP(free_dctx) ZSTD_DCtx *d = ZSTD_createDCtx();
	CLEANUP(freep) char *room = malloc(PIECE);

	if (!d || !room)
		return err_nomem(err);
	u->d = d;
	u->room = room;
	u->left = 1;
	if (from ? spool_each(from, decode, u, err) : in.n && decode(u, in, err))
		return -1;
	if (u->left != 0)
		return err_set(err, ERR_DATA, "zstd: the data is cut off");
	return 0;
}

int
zst_decompress(struct sv in, struct buf *out, struct err *err)
{
	struct unpack u = {.fn = add_piece, .arg = out};

	return unpack(&u, in, NULL, err);
}

int
zst_unpack(const struct spool *in, int (*fn)(void *arg, struct sv piece, struct err *err),
	   void *arg, struct err *err)
{
	struct unpack u = {.fn = fn, .arg = arg};

	return unpack(&u, SV(""), in, err);
}
