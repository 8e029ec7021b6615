/*
 * The stdout sink: a cell's lines as they are, for people and pipes.
 *
 * A cell is written under a lock, so that the lines of cells published in parallel never mix. A
 * file takes it in large writes. A pipe or terminal gets pieces that are known to fit, so that a
 * reader who has stopped cannot hold up a run that was asked to end. Where the reader is gone there
 * is no use in going on: ERR_LOCAL. (SIGPIPE is ignored by the program, not here.) A terminal,
 * which would obey what tenants have written into their logs, gets the same JSON spelled plainly.
 */
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "fmt/json.h"
#include "sink/sink.h"

struct stdout_sink {
	struct sink base;
	int fd;
	bool may_block; /* not a file */
	bool is_terminal;
	struct clock *clock;
	pthread_mutex_t lock;
};

#define SOME	PIPE_BUF
#define POLL_MS 100 /* how soon it is noticed that the run was cancelled */

static int
wait_writable(struct stdout_sink *o, struct err *err)
{
	struct pollfd p = {.fd = o->fd, .events = POLLOUT};
	int n;

	do {
		if (clock_check(o->clock, err) < 0)
			return -1;
		n = poll(&p, 1, POLL_MS);
		if (n < 0 && errno != EINTR)
			return err_sys(err, errno, "poll");
	} while (n <= 0);
	return 0;
}

static int
write_all(struct stdout_sink *o, struct sv s, uint64_t *requests, struct err *err)
{
	while (s.n > 0) {
		ssize_t n;

		if (o->may_block && wait_writable(o, err) < 0)
			return -1;
		n = write(o->fd, s.p, o->may_block && s.n > PIPE_BUF ? PIPE_BUF : s.n);
		(*requests)++;
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			continue;
		if (n < 0)
			return err_sys(err, errno, "write");
		s.p += n;
		s.n -= (size_t)n;
	}
	return 0;
}

struct writing {
	struct stdout_sink *o;
	struct published *ret;
	char cut[4]; /* the begin of a character that ends in the next piece */
	size_t n_cut;
};

/* Some of a piece: a cell may be large. */
static int
write_plainly(struct writing *w, struct sv some, struct err *err)
{
	CLEANUP(buf_done) struct buf whole = BUF_INIT(2 * SOME), shown = BUF_INIT(16 * SOME);
	struct sv rest;

	buf_add(&whole, w->cut, w->n_cut);
	buf_sv(&whole, some);
	rest = buf_view(&whole);
	rest.p += json_plainly(&shown, buf_view(&whole));
	rest.n -= (size_t)(rest.p - whole.p);
	if (buf_check(&whole, "line", err) || buf_check(&shown, "line", err))
		return -1;
	memcpy(w->cut, rest.p, rest.n);
	w->n_cut = rest.n;
	return write_all(w->o, buf_view(&shown), &w->ret->requests, err);
}

static int
write_piece(void *arg, struct sv piece, struct err *err)
{
	struct writing *w = arg;

	w->ret->bytes += piece.n;
	if (!w->o->is_terminal)
		return write_all(w->o, piece, &w->ret->requests, err);
	while (piece.n) {
		size_t n = piece.n < SOME ? piece.n : SOME;

		if (write_plainly(w, (struct sv){piece.p, n}, err) < 0)
			return -1;
		piece.p += n;
		piece.n -= n;
	}
	return 0;
}

static int
stdout_publish(struct sink *s, const struct publish *p, const struct cell_data *d,
	       struct published *ret, struct err *err)
{
	struct stdout_sink *o = (struct stdout_sink *)s;
	struct writing w = {.o = o, .ret = ret};
	int rc;

	(void)p;
	(void)pthread_mutex_lock(&o->lock);
	rc = cell_lines_each(d, write_piece, &w, err);
	(void)pthread_mutex_unlock(&o->lock);
	if (rc < 0)
		return -1;
	ret->acked = d->n_lines;
	return 0;
}

static void
stdout_free(struct sink *s)
{
	struct stdout_sink *o = (struct stdout_sink *)s;

	(void)pthread_mutex_destroy(&o->lock);
	free(o);
}

static const struct sink_ops stdout_ops = {
    .kind = "stdout",
    .ordered = false,
    .samples = false,
    .publish = stdout_publish,
    .free = stdout_free,
};

int
sink_stdout_open(const struct sink_conf *c, const struct sink_env *env, struct sink **ret,
		 struct err *err)
{
	struct stdout_sink *o = calloc(1, sizeof(*o));
	struct stat st;

	if (!o)
		return err_nomem(err);
	o->base = (struct sink){.ops = &stdout_ops, .conf = c};
	o->fd = env->stdout_fd;
	o->may_block = fstat(o->fd, &st) != 0 || !S_ISREG(st.st_mode);
	o->is_terminal = isatty(o->fd) == 1;
	o->clock = env->clock;
	(void)pthread_mutex_init(&o->lock, NULL);
	*ret = &o->base;
	return 0;
}
