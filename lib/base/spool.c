/* Bytes in memory, then in a file without a name; see spool.h. */
#include "base/spool.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/grow.h"

const char *
spool_folder(void)
{
	const char *dir = getenv("TMPDIR");

	if (dir && *dir)
		return dir;
	return access("/var/tmp", W_OK | X_OK) ? "/tmp" : "/var/tmp";
}

/* File systems without O_TMPFILE get a name for a moment. */
static int
open_file(struct spool *s, struct err *err)
{
	const char *dir = spool_folder();
	char name[4096];

	s->fd = open(dir, O_TMPFILE | O_RDWR | O_EXCL | O_CLOEXEC, 0600);
	if (s->fd >= 0)
		return 0;
	(void)snprintf(name, sizeof(name), "%s/muster-XXXXXX", dir);
	s->fd = mkostemp(name, O_CLOEXEC);
	if (s->fd < 0)
		return err_sys(err, errno, "a temporary file in %s", dir);
	(void)unlink(name);
	return 0;
}

static int
to_file(struct spool *s, struct sv data, struct err *err)
{
	if (s->fd < 0 && open_file(s, err))
		return -1;
	while (data.n) {
		ssize_t n = pwrite(s->fd, data.p, data.n, (off_t)s->filed);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(err, errno, "write to a temporary file in %s",
				       spool_folder());
		s->filed += (uint64_t)n;
		data.p += n;
		data.n -= (size_t)n;
	}
	return 0;
}

void
spool_done(struct spool *s)
{
	if (s->fd >= 0)
		(void)close(s->fd);
	buf_done(&s->tail);
	free(s->parts);
	*s = SPOOL_INIT;
}

/* The tail, which gives up the room that it had while there was no file. */
static int
flush(struct spool *s, struct err *err)
{
	if (to_file(s, buf_view(&s->tail), err))
		return -1;
	if (s->tail.cap > 2 * SPOOL_TAIL)
		buf_done(&s->tail);
	buf_reset(&s->tail);
	return 0;
}

int
spool_add(struct spool *s, struct sv data, struct err *err)
{
	size_t room = s->fd < 0 ? SPOOL_MEMORY : SPOOL_TAIL;

	if (s->of)
		return err_set(err, ERR_LOCAL, "a view of a spool cannot be written to");
	if (s->tail.n + data.n > room) {
		if (flush(s, err))
			return -1;
		if (data.n > SPOOL_TAIL)
			return to_file(s, data, err);
	}
	buf_sv(&s->tail, data);
	return buf_check(&s->tail, "spool", err);
}

int
spool_settle(struct spool *s, struct err *err)
{
	if (s->fd < 0)
		return 0;
	if (flush(s, err))
		return -1;
	buf_done(&s->tail);
	return 0;
}

int
spool_add_part(struct spool *s, const struct spool *of, uint64_t at, uint64_t n, struct err *err)
{
	struct spool_part *v;

	if ((s->of && s->of != of) || (!s->of && spool_size(s)))
		return err_set(err, ERR_LOCAL, "a view of two spools");
	v = array_grow(s->parts, s->n_parts, &s->cap_parts, sizeof(*v), err);
	if (!v)
		return -1;
	s->parts = v;
	s->of = of;
	s->filed += n;
	v[s->n_parts++] = (struct spool_part){.end = s->filed, .at = at};
	return 0;
}

/* What lies in [at, at + n) of the view, part by part. */
static int
from_parts(const struct spool *s, uint64_t at, char *p, size_t n, struct err *err)
{
	uint64_t start = 0;

	for (size_t i = 0; n && i < s->n_parts; start = s->parts[i++].end) {
		uint64_t left = s->parts[i].end > at ? s->parts[i].end - at : 0;
		size_t own = left < n ? (size_t)left : n;

		if (own && spool_read(s->of, s->parts[i].at + (at - start), p, own, err))
			return -1;
		p += own;
		at += own;
		n -= own;
	}
	return 0;
}

static int
from_file(const struct spool *s, uint64_t at, char *p, size_t n, struct err *err)
{
	while (n) {
		ssize_t got = pread(s->fd, p, n, (off_t)at);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return err_sys(err, errno, "read a temporary file");
		if (got == 0)
			return err_set(err, ERR_LOCAL, "a temporary file has become shorter");
		p += got;
		at += (uint64_t)got;
		n -= (size_t)got;
	}
	return 0;
}

int
spool_read(const struct spool *s, uint64_t at, char *p, size_t n, struct err *err)
{
	size_t first = 0;

	if (at > spool_size(s) || n > spool_size(s) - at)
		return err_set(err, ERR_LOCAL, "beyond the end of a spool");
	if (at < s->filed) {
		first = n < s->filed - at ? n : (size_t)(s->filed - at);
		if ((s->of ? from_parts : from_file)(s, at, p, first, err))
			return -1;
	}
	if (n > first)
		memcpy(p + first, s->tail.p + (at + first - s->filed), n - first);
	return 0;
}

int
spool_load(const struct spool *s, struct buf *out, struct err *err)
{
	uint64_t size = spool_size(s);

	if (size > SIZE_MAX || !buf_reserve(out, (size_t)size))
		return buf_check(out, "spool", err) ? -1 : err_nomem(err);
	if (size && spool_read(s, 0, out->p + out->n, (size_t)size, err))
		return -1;
	out->n += (size_t)size;
	if (out->p)
		out->p[out->n] = '\0';
	return 0;
}

int
spool_each(const struct spool *s, int (*fn)(void *arg, struct sv piece, struct err *err), void *arg,
	   struct err *err)
{
	CLEANUP(freep) char *piece = malloc(SPOOL_PIECE);
	uint64_t size = spool_size(s);

	if (!piece)
		return err_nomem(err);
	for (uint64_t at = 0; at < size;) {
		size_t n = size - at < SPOOL_PIECE ? (size_t)(size - at) : SPOOL_PIECE;

		if (spool_read(s, at, piece, n, err) || fn(arg, (struct sv){piece, n}, err))
			return -1;
		at += n;
	}
	return 0;
}

static int
sum_piece(void *arg, struct sv piece, struct err *err)
{
	(void)err;
	sha256_add(arg, piece);
	return 0;
}

int
spool_sha256(const struct spool *s, char out[SHA256_HEX_LEN + 1], struct err *err)
{
	struct sha256_run sum;

	sha256_begin(&sum);
	if (spool_each(s, sum_piece, &sum, err))
		return -1;
	sha256_end_hex(&sum, out);
	return 0;
}
