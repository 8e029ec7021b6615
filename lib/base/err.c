/* Errors as values; see err.h. */
#include "base/err.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void
err_clear(struct err *err)
{
	if (err)
		memset(err, 0, sizeof(*err));
}

/* A text that had to be cut does not end within a character (UTF-8). */
static void
end_whole(char *msg, size_t size)
{
	size_t n = strlen(msg), back = 0;
	unsigned char lead;

	if (n + 1 < size)
		return;
	while (back < 3 && back < n && ((unsigned char)msg[n - 1 - back] & 0xc0) == 0x80)
		back++;
	lead = back < n ? (unsigned char)msg[n - 1 - back] : 0;
	if ((lead >= 0xc0 && back < 1) || (lead >= 0xe0 && back < 2) || (lead >= 0xf0 && back < 3))
		msg[n - 1 - back] = '\0';
}

static void __attribute__((format(printf, 3, 0)))
err_vset(struct err *err, enum err_kind kind, const char *fmt, va_list ap)
{
	err_clear(err);
	err->kind = kind;
	(void)vsnprintf(err->msg, sizeof(err->msg), fmt, ap);
	end_whole(err->msg, sizeof(err->msg));
}

int
err_set(struct err *err, enum err_kind kind, const char *fmt, ...)
{
	va_list ap;

	if (!err)
		return -1;
	va_start(ap, fmt);
	err_vset(err, kind, fmt, ap);
	va_end(ap);
	return -1;
}

int
err_sys(struct err *err, int errnum, const char *fmt, ...)
{
	const char *why = strerrordesc_np(errnum);
	va_list ap;
	size_t n;

	if (!err)
		return -1;
	va_start(ap, fmt);
	err_vset(err, ERR_LOCAL, fmt, ap);
	va_end(ap);
	n = strlen(err->msg);
	(void)snprintf(err->msg + n, sizeof(err->msg) - n, ": %s", why ? why : "unknown error");
	err->errnum = errnum;
	return -1;
}

bool
errnum_is_trouble(int errnum)
{
	static const int troubles[] = {EMFILE, ENFILE, ENOMEM, ENOBUFS, EAGAIN, ENOSPC,	  EDQUOT,
				       EIO,    ENXIO,  ENODEV, ESTALE,	EROFS,	ETIMEDOUT};

	for (size_t i = 0; i < sizeof(troubles) / sizeof(troubles[0]); i++)
		if (errnum == troubles[i])
			return true;
	return false;
}

int
err_wrap(struct err *err, const char *fmt, ...)
{
	char inner[sizeof(err->msg)];
	va_list ap;
	size_t n;

	if (!err)
		return -1;
	memcpy(inner, err->msg, sizeof(inner));
	va_start(ap, fmt);
	(void)vsnprintf(err->msg, sizeof(err->msg), fmt, ap);
	va_end(ap);
	n = strlen(err->msg);
	(void)snprintf(err->msg + n, sizeof(err->msg) - n, ": %s", inner);
	end_whole(err->msg, sizeof(err->msg));
	return -1;
}

int
err_nomem(struct err *err)
{
	(void)err_set(err, ERR_LOCAL, "out of memory");
	if (err)
		err->errnum = ENOMEM;
	return -1;
}

static struct err no_room = {.kind = ERR_LOCAL, .errnum = ENOMEM, .msg = "out of memory"};

void
err_keep(struct err_kept *k, const struct err *err)
{
	struct err copy = *err; /* it may be the one that is kept */

	err_forget(k);
	if (copy.kind == ERR_NONE)
		return;
	k->e = malloc(sizeof(*k->e));
	if (k->e)
		*k->e = copy;
	else
		k->e = &no_room;
}

void
err_forget(struct err_kept *k)
{
	if (k->e != &no_room)
		free(k->e);
	k->e = NULL;
}

const struct err *
err_kept(const struct err_kept *k)
{
	static const struct err none;

	return k->e ? k->e : &none;
}

const char *
err_kind_name(enum err_kind kind)
{
	static const char *const names[] = {
	    [ERR_NONE] = "none",	   [ERR_USAGE] = "usage",	  [ERR_AUTH] = "auth",
	    [ERR_THROTTLED] = "throttled", [ERR_TRANSIENT] = "transient", [ERR_EXPIRED] = "expired",
	    [ERR_SKEW] = "skew",	   [ERR_REJECTED] = "rejected",	  [ERR_DATA] = "data",
	    [ERR_CONFLICT] = "conflict",   [ERR_NOTFOUND] = "notfound",	  [ERR_LOCAL] = "local",
	    [ERR_CANCELLED] = "cancelled",
	};

	return (size_t)kind < sizeof(names) / sizeof(names[0]) ? names[kind] : "unknown";
}
