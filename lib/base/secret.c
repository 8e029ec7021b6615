/* Secrets are wiped through OPENSSL_cleanse, which the compiler may not leave out as a dead store.
 */
#include "base/secret.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <sys/stat.h>
#include <unistd.h>

#define PIPE_ROOM (64u << 10) /* for what does not say how long it is */

int
secret_set(struct secret *s, struct sv v, struct err *err)
{
	char *p = NULL;

	if (v.n) {
		p = sv_dup(v);
		if (!p)
			return err_nomem(err);
	}
	secret_done(s);
	s->p = p;
	s->n = v.n;
	return 0;
}

int
secret_copy(struct secret *to, const struct secret *from, struct err *err)
{
	return secret_set(to, (struct sv){from->p, from->n}, err);
}

void
secret_done(struct secret *s)
{
	if (s->p)
		OPENSSL_cleanse(s->p, s->n);
	free(s->p);
	s->p = NULL;
	s->n = 0;
}

bool
secret_reserve(struct buf *b, size_t more)
{
	struct buf to = BUF_INIT(b->max);
	size_t want;

	if (!b->p || b->failed || more > b->max || b->n > b->max - more || b->n + more < b->cap)
		return buf_reserve(b, more);
	want = b->n + more;
	if (want < 2 * b->cap && b->cap <= b->max / 2)
		want = 2 * b->cap;
	if (!buf_reserve(&to, want)) {
		b->failed = b->no_memory = true;
		return false;
	}
	buf_sv(&to, buf_view(b));
	secret_wipe_buf(b);
	*b = to;
	return true;
}

void
secret_wipe_buf(struct buf *b)
{
	if (b->p)
		OPENSSL_cleanse(b->p, b->cap);
	buf_done(b);
}

/* Straight into the buffer, which has its final size from the start: what grows leaves its smaller
 * selves behind. */
static int
read_all(int fd, const char *path, struct buf *out, struct err *err)
{
	ssize_t got = 1;

	while (got) {
		if (out->n + 1 >= out->cap || out->n > out->max)
			return err_set(err, ERR_LOCAL, "%s: too large", path);
		got = read(fd, out->p + out->n, out->cap - out->n - 1);
		if (got < 0 && errno == EINTR)
			got = 1;
		else if (got < 0)
			return err_sys(err, errno, "read %s", path);
		else
			out->n += (size_t)got;
	}
	out->p[out->n] = '\0';
	return 0;
}

int
secret_read_file(const char *path, struct buf *out, struct err *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY), r, why = errno;
	size_t room = PIPE_ROOM;
	struct stat st;

	buf_reset(out);
	if (fd < 0) {
		(void)err_sys(err, why, "%s", path);
		if (err && (why == ENOENT || why == ENOTDIR))
			err->kind = ERR_NOTFOUND;
		return -1;
	}
	if (fstat(fd, &st) == 0 && st.st_size > 0)
		room = (size_t)st.st_size + 2;
	if (room > out->max)
		room = out->max;
	r = buf_reserve(out, room) ? read_all(fd, path, out, err) : buf_check(out, path, err);
	(void)close(fd);
	return r;
}
