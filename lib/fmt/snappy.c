/* Snappy's block form over libsnappy, with our ceilings and errors. */
#include "fmt/snappy.h"

#include <snappy-c.h>
#include <stdint.h>

#include "base/cleanup.h"

int
snappy_block_encode(struct sv in, struct buf *out, struct err *err)
{
	size_t n = snappy_max_compressed_length(in.n);
	CLEANUP(freep) char *tmp = NULL;

	if (in.n > UINT32_MAX)
		return err_set(err, ERR_LOCAL, "snappy: a block cannot hold %zu bytes", in.n);
	tmp = malloc(n);
	if (!tmp)
		return err_nomem(err);
	if (snappy_compress(in.n ? in.p : "", in.n, tmp, &n) != SNAPPY_OK)
		return err_set(err, ERR_LOCAL, "snappy: compressing failed");
	buf_add(out, tmp, n);
	return buf_check(out, "snappy", err);
}

int
snappy_block_decode(struct sv in, struct buf *out, struct err *err)
{
	size_t n;

	if (snappy_uncompressed_length(in.n ? in.p : "", in.n, &n) != SNAPPY_OK)
		return err_set(err, ERR_DATA, "snappy: broken length");
	if (n > out->max - out->n)
		return err_set(err, ERR_DATA,
			       "snappy: the block declares %zu bytes, at most %zu are "
			       "allowed",
			       n, out->max - out->n);
	if (!buf_reserve(out, n))
		return buf_check(out, "snappy", err);
	if (snappy_uncompress(in.p, in.n, out->p + out->n, &n) != SNAPPY_OK)
		return err_set(err, ERR_DATA, "snappy: broken block");
	out->n += n;
	out->p[out->n] = '\0';
	return 0;
}
