/*
 * The log; see log.h.
 *
 * A line never exceeds PIPE_BUF bytes: a pipe takes such a write whole or not at all, so lines of
 * several programs on one pipe do not mix, and a write that poll has announced does not block. What
 * does not fit is cut or left out, and the line says so. A line that cannot be written within a
 * short time is dropped; the next one that gets through tells how many were lost.
 */
#include "base/log.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/live.h"
#include "base/timefmt.h"
#include "base/utf8.h"

#define LINE_MAX_BYTES	PIPE_BUF
#define LINE_TAIL	64 /* kept free for what add_tail writes */
#define VALUE_MAX_BYTES 1024
#define WAIT_MS		100

struct line {
	char p[LINE_MAX_BYTES];
	size_t n;
	bool fields; /* the first one has been written */
	bool full;   /* something did not fit and was left out */
};

static struct {
	pthread_mutex_t lock; /* of what follows level and wall_ms, and of the order of lines */
	int fd;
	enum log_format format;
	enum log_level level;
	int64_t (*wall_ms)(void);
	int64_t dropped;
	bool stuck; /* the last line could not be written: do not wait for the next one */
	bool torn;  /* the last line was written in part */
	struct live live;
} state = {
    .lock = PTHREAD_MUTEX_INITIALIZER,
    .fd = STDERR_FILENO,
    .level = LOG_INFO,
};

static const char *const level_names[] = {
    [LOG_ERROR] = "error",
    [LOG_WARN] = "warn",
    [LOG_INFO] = "info",
    [LOG_DEBUG] = "debug",
};
static const char *const format_names[] = {
    [LOG_TEXT] = "text",
    [LOG_LOGFMT] = "logfmt",
    [LOG_JSON] = "json",
};

void
log_init(int fd, enum log_format format, enum log_level level, int64_t (*wall_ms)(void))
{
	state.fd = fd;
	state.format = format;
	state.level = level;
	state.wall_ms = wall_ms;
	state.dropped = 0;
	state.stuck = false;
	state.torn = false;
	state.live = (struct live){0};
}

bool
log_enabled(enum log_level level)
{
	return level <= state.level;
}

bool
log_format_parse(const char *s, enum log_format *ret)
{
	for (size_t i = 0; i < ARRAY_LEN(format_names); i++)
		if (strcmp(s, format_names[i]) == 0) {
			*ret = (enum log_format)i;
			return true;
		}
	return false;
}

bool
log_level_parse(const char *s, enum log_level *ret)
{
	for (size_t i = 0; i < ARRAY_LEN(level_names); i++)
		if (strcmp(s, level_names[i]) == 0) {
			*ret = (enum log_level)i;
			return true;
		}
	return false;
}

/* Building a line */

/* All of the bytes or none; after the first piece that did not fit, nothing more. */
static void
put_n(struct line *l, const char *p, size_t n)
{
	if (l->full || n + LINE_TAIL > sizeof(l->p) - l->n) {
		l->full = true;
		return;
	}
	memcpy(l->p + l->n, p, n);
	l->n += n;
}

static void
put(struct line *l, const char *s)
{
	put_n(l, s, strlen(s));
}

/* Into the room kept for it: the callers' texts are shorter than LINE_TAIL together. */
static void
put_tail(struct line *l, const char *s)
{
	size_t n = strlen(s);

	memcpy(l->p + l->n, s, n);
	l->n += n;
}

/* One code point as it stands between the quotes of JSON; text and logfmt use the same escapes. */
static size_t
escape(struct sv raw, uint32_t cp, char out[8])
{
	static const char from[] = "\"\\\n\r\t", to[] = "\"\\nrt";
	const char *at = cp && cp < 0x80 ? strchr(from, (int)cp) : NULL;

	if (at) {
		out[0] = '\\';
		out[1] = to[at - from];
		return 2;
	}
	if (cp == UTF8_BAD) {
		memcpy(out, UTF8_REPLACE, sizeof(UTF8_REPLACE) - 1);
		return sizeof(UTF8_REPLACE) - 1;
	}
	if (utf8_deceives(cp))
		return (size_t)snprintf(out, 8, "\\u%04X", (unsigned)(cp & 0xFFFF));
	memcpy(out, raw.p, raw.n);
	return raw.n;
}

static void
put_escaped(struct line *l, struct sv s)
{
	size_t start = l->n, len, n;
	char text[8];
	uint32_t cp;

	for (; s.n; s.p += n, s.n -= n) {
		n = utf8_next(s, &cp);
		len = escape((struct sv){s.p, n}, cp, text);
		if (l->n - start + len > VALUE_MAX_BYTES) {
			put(l, "...");
			return;
		}
		put_n(l, text, len);
	}
}

static void
put_quoted(struct line *l, const char *s)
{
	put(l, "\"");
	put_escaped(l, sv_of(s));
	put(l, "\"");
}

/* Whether a value can stand without quotes in text and logfmt. */
static bool
is_bare(const char *s)
{
	struct sv v = sv_of(s);
	uint32_t cp;
	size_t n;

	if (v.n == 0)
		return false;
	for (; v.n; v.p += n, v.n -= n) {
		n = utf8_next(v, &cp);
		if (cp == UTF8_BAD || utf8_deceives(cp) || cp == ' ' || cp == '=' || cp == '"' ||
		    cp == '\\')
			return false;
	}
	return true;
}

static void
put_key(struct line *l, const char *key)
{
	if (state.format == LOG_JSON) {
		put(l, ",");
		put_quoted(l, key);
		put(l, ":");
	} else {
		put(l, state.format == LOG_TEXT && !l->fields ? "  " : " ");
		put_escaped(l, sv_of(key));
		put(l, "=");
	}
	l->fields = true;
}

/* A field that does not fit as a whole is left out, and so are those behind it. */
static void
add_text(struct line *l, const char *key, const char *value)
{
	size_t before = l->n;

	if (!value)
		return;
	put_key(l, key);
	if (state.format != LOG_JSON && is_bare(value))
		put_escaped(l, sv_of(value));
	else
		put_quoted(l, value);
	if (l->full)
		l->n = before;
}

static void
add_int(struct line *l, const char *key, int64_t value)
{
	size_t before = l->n;
	char digits[24];

	(void)snprintf(digits, sizeof(digits), "%" PRId64, value);
	put_key(l, key);
	put(l, digits);
	if (l->full)
		l->n = before;
}

static void
add_err(struct line *l, const char *key, const struct err *err)
{
	if (!err || err->kind == ERR_NONE)
		return;
	add_text(l, key, err->msg);
	add_text(l, "kind", err_kind_name(err->kind));
	if (err->code[0])
		add_text(l, "code", err->code);
	if (err->request_id[0])
		add_text(l, "request_id", err->request_id);
	if (err->http_status)
		add_int(l, "http_status", err->http_status);
}

static void
add_field(struct line *l, const struct log_field *f)
{
	switch (f->type) {
	case LOG_F_STR:
		add_text(l, f->key, f->v.s);
		break;
	case LOG_F_INT:
		add_int(l, f->key, f->v.i);
		break;
	case LOG_F_ERR:
		add_err(l, f->key, f->v.err);
		break;
	}
}

static void
add_head(struct line *l, enum log_level level, const char *event)
{
	static const char *const upper[] = {
	    [LOG_ERROR] = "ERROR ",
	    [LOG_WARN] = "WARN  ",
	    [LOG_INFO] = "INFO  ",
	    [LOG_DEBUG] = "DEBUG ",
	};
	char ts[TIME_TEXT_MAX];

	time_format_ms(state.wall_ms ? state.wall_ms() : clock_wall_ms(clock_real()), ts);
	if (state.format == LOG_TEXT) {
		put(l, ts);
		put(l, " ");
		put(l, upper[level]);
		put_escaped(l, sv_of(event));
		return;
	}
	put(l, state.format == LOG_JSON ? "{\"ts\":\"" : "ts=");
	put(l, ts);
	put(l, state.format == LOG_JSON ? "\",\"level\":\"" : " level=");
	put(l, level_names[level]);
	put(l, state.format == LOG_JSON ? "\",\"msg\":" : " msg=");
	put_quoted(l, event);
}

static void
add_tail(struct line *l, int64_t dropped)
{
	bool json = state.format == LOG_JSON;
	char text[LINE_TAIL / 2];

	if (l->full)
		put_tail(l, json ? ",\"truncated\":1" : " truncated=1");
	if (dropped) {
		(void)snprintf(text, sizeof(text), "%s%" PRId64,
			       json ? ",\"dropped\":" : " dropped=", dropped);
		put_tail(l, text);
	}
	put_tail(l, json ? "}\n" : "\n");
}

/* Writing it */

static bool
wait_writable(int fd, int ms)
{
	struct pollfd p = {.fd = fd, .events = POLLOUT};
	int n;

	do
		n = poll(&p, 1, ms);
	while (n < 0 && errno == EINTR);
	return n > 0;
}

/* How many of the bytes were written before the time was up or fd failed. */
static size_t
write_bounded(int fd, const char *p, size_t n, int wait_ms)
{
	size_t done = 0;
	int idle = 0;

	while (done < n && idle < 3 && wait_writable(fd, wait_ms)) {
		ssize_t w = write(fd, p + done, n - done);

		if (w < 0 && errno != EINTR && errno != EAGAIN)
			break;
		idle = w > 0 ? 0 : idle + 1;
		done += w > 0 ? (size_t)w : 0;
	}
	return done;
}

/* As write_bounded; a reader that went away is an error here and no SIGPIPE, whatever the program
 * has made of that signal. */
static size_t
write_quietly(int fd, const char *p, size_t n, int wait_ms)
{
	const struct timespec now = {0};
	sigset_t pipe_set, old, pending;
	size_t done;

	(void)sigemptyset(&pipe_set);
	(void)sigaddset(&pipe_set, SIGPIPE);
	(void)sigpending(&pending);
	(void)pthread_sigmask(SIG_BLOCK, &pipe_set, &old);
	done = write_bounded(fd, p, n, wait_ms);
	if (done < n && !sigismember(&pending, SIGPIPE))
		(void)sigtimedwait(&pipe_set, NULL, &now);
	(void)pthread_sigmask(SIG_SETMASK, &old, NULL);
	return done;
}

/* All that follow: with the lock held. */

/* A terminal that does not take it has nothing to erase the next time. */
static void
write_live(const char *p, size_t n)
{
	if (write_quietly(state.fd, p, n, state.stuck ? 0 : WAIT_MS) < n)
		state.live.drawn = 0;
}

static void
erase_live(void)
{
	char text[LIVE_DRAW_MAX];
	size_t n = live_erase(&state.live, text);

	if (n)
		write_live(text, n);
}

static void
draw_live(void)
{
	char text[2 * LIVE_DRAW_MAX];
	struct winsize size = {0};
	size_t n;

	if (!state.live.n)
		return;
	if (ioctl(state.fd, TIOCGWINSZ, &size))
		size = (struct winsize){0};
	n = live_erase(&state.live, text);
	n += live_draw(&state.live, size.ws_col, size.ws_row, text + n);
	write_live(text, n);
}

static void
write_line(const struct line *l)
{
	int wait_ms = state.stuck ? 0 : WAIT_MS;
	size_t done;

	erase_live();
	if (state.torn && write_quietly(state.fd, "\n", 1, wait_ms) == 1)
		state.torn = false;
	done = state.torn ? 0 : write_quietly(state.fd, l->p, l->n, wait_ms);
	state.stuck = done < l->n;
	state.torn = state.torn || (done > 0 && done < l->n);
	state.dropped = state.stuck ? state.dropped + 1 : 0;
	if (!state.stuck)
		draw_live();
}

void
log_live(const char *text, size_t n)
{
	(void)pthread_mutex_lock(&state.lock);
	live_set(&state.live, text, n);
	if (state.live.n)
		draw_live();
	else
		erase_live();
	(void)pthread_mutex_unlock(&state.lock);
}

void
log_anyway(enum log_level level, const char *event, const struct log_field *fields, size_t n)
{
	int saved_errno = errno;
	struct line l;

	l.n = 0;
	l.fields = false;
	l.full = false;
	add_head(&l, level, event);
	for (size_t i = 0; i < n; i++)
		add_field(&l, &fields[i]);
	(void)pthread_mutex_lock(&state.lock);
	add_tail(&l, state.dropped);
	write_line(&l);
	(void)pthread_mutex_unlock(&state.lock);
	errno = saved_errno;
}

void
log_write(enum log_level level, const char *event, const struct log_field *fields, size_t n)
{
	if (log_enabled(level))
		log_anyway(level, event, fields, n);
}
