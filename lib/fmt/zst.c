/*
 * zstd frames. Compressing is done in one call over the whole input: a streaming compressor may cut
 * its blocks by the size of the output buffer, and then equal input would not always give equal
 * bytes.
 *
 * A compressor is a megabyte or more of tables: a few are shared by all threads, and who finds none
 * free waits, for there are not many processors either. Made anew for each cell of 2,500 samples
 * they cost a tenth of the whole work, most of it for pages that the kernel has to clear.
 */
#include "fmt/zst.h"

#include <pthread.h>
#include <zstd.h>

#include "base/cleanup.h"

#define CHUNK	    ((size_t)128 << 10)
#define COMPRESSORS 4
#define KEPT_MAX    ((size_t)4 << 20) /* larger ones, of high levels, are not kept */

static struct {
	pthread_mutex_t mu;
	pthread_cond_t given_back;
	unsigned in_use;
	unsigned n_idle;
	ZSTD_CCtx *idle[COMPRESSORS];
} pool = {.mu = PTHREAD_MUTEX_INITIALIZER, .given_back = PTHREAD_COND_INITIALIZER};

static ZSTD_CCtx *
take_compressor(void)
{
	ZSTD_CCtx *c = NULL;

	(void)pthread_mutex_lock(&pool.mu);
	while (pool.in_use == COMPRESSORS)
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

int
zst_compress(struct sv in, int level, struct buf *out, struct err *err)
{
	CLEANUP(give_compressor) ZSTD_CCtx *c = take_compressor();
	size_t bound = ZSTD_compressBound(in.n), n;
	CLEANUP(freep) char *tmp = ZSTD_isError(bound) ? NULL : malloc(bound);

	if (!c || !tmp)
		return err_nomem(err);
	n = ZSTD_CCtx_setParameter(c, ZSTD_c_compressionLevel, level);
	if (!ZSTD_isError(n))
		n = ZSTD_CCtx_setParameter(c, ZSTD_c_checksumFlag, 1);
	if (!ZSTD_isError(n))
		n = ZSTD_compress2(c, tmp, bound, in.p, in.n);
	if (ZSTD_isError(n))
		return err_set(err, ERR_LOCAL, "zstd: %s", ZSTD_getErrorName(n));
	buf_add(out, tmp, n);
	return buf_check(out, "zstd", err);
}

/* Decodes until the input is used up; 0 in *ret_left means that the last frame is complete. */
static int
decode(ZSTD_DCtx *d, struct sv in, char *chunk, struct buf *out, size_t *ret_left, struct err *err)
{
	ZSTD_inBuffer src = {in.p, in.n, 0};
	ZSTD_outBuffer dst;

	do {
		dst = (ZSTD_outBuffer){chunk, CHUNK, 0};
		*ret_left = ZSTD_decompressStream(d, &dst, &src);
		if (ZSTD_isError(*ret_left))
			return err_set(err, ERR_DATA, "zstd: %s", ZSTD_getErrorName(*ret_left));
		buf_add(out, chunk, dst.pos);
		if (!buf_ok(out))
			return buf_check(out, "zstd", err);
	} while (src.pos < src.size || (dst.pos == dst.size && *ret_left != 0));
	return 0;
}

int
zst_decompress(struct sv in, struct buf *out, struct err *err)
{
	CLEANUP(free_dctx) ZSTD_DCtx *d = ZSTD_createDCtx();
	CLEANUP(freep) char *chunk = malloc(CHUNK);
	size_t left = 1;

	if (!d || !chunk)
		return err_nomem(err);
	if (in.n && decode(d, in, chunk, out, &left, err) < 0)
		return -1;
	if (left != 0)
		return err_set(err, ERR_DATA, "zstd: the data is cut off");
	return 0;
}
