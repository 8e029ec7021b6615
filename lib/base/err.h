/*
 * Errors are values: what failed, of which kind, and in whose words.
 *
 * Every function that can fail takes `struct err *err` as its last parameter and returns 0, or -1 with
 * *err filled. The text grows outward: the place that knows most sets it, each caller may put its own
 * context in front with err_wrap(). The struct has a fixed size, so reporting never needs memory. A NULL
 * err is allowed everywhere and means that the caller only wants to know whether.
 *
 * The kind says what the runner does next (one switch in lib/run): it is part of a function's contract.
 */
#ifndef MUSTER_BASE_ERR_H
#define MUSTER_BASE_ERR_H

#include <stdarg.h>
#include <stdbool.h>

enum err_kind {
	ERR_NONE = 0,
	ERR_USAGE,     /* command line or configuration: nothing was touched */
	ERR_AUTH,      /* refused credentials, role or permission: repeating does not help */
	ERR_THROTTLED, /* asked to slow down: wait and repeat */
	ERR_TRANSIENT, /* network, 5xx, cut-off answer: repeat */
	ERR_EXPIRED,   /* credentials ran out: get new ones, repeat once */
	ERR_SKEW,      /* our clock is off: correct the offset, repeat once */
	ERR_REJECTED,  /* the service understood and refused this very request: repeating does not help */
	ERR_DATA,      /* the answer cannot be understood */
	ERR_CONFLICT,  /* a conditional write found another generation (412), or a race (409) */
	ERR_NOTFOUND,  /* the thing asked for does not exist */
	ERR_LOCAL,     /* this machine: memory, disk, descriptors */
	ERR_CANCELLED, /* a signal or the deadline asked us to stop */
};

struct err {
	enum err_kind kind;
	int http_status;          /* 0 if no answer came */
	int errnum;               /* the system's, 0 if it was not that */
	unsigned retry_after_ms;  /* what the service asked for, 0 if nothing */
	char code[64];            /* the service's own code, e.g. AccessDenied */
	char request_id[64];
	char msg[640];
};

/* Forget everything. */
void err_clear(struct err *err);

/* Set kind and text (printf style); clears the other fields. Always returns -1: `return err_set(...)`. */
int err_set(struct err *err, enum err_kind kind, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* As err_set(ERR_LOCAL), with errno value `errnum` and its text behind: "open x: Permission denied". */
int err_sys(struct err *err, int errnum, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* Put "text: " in front; the kind stays. Always returns -1. */
int err_wrap(struct err *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Of an errno value: the machine has run out of something, or something of it is broken (descriptors, memory, space, a
 * disk), so that it is not for the one at the keyboard to mend a path or a permission. */
bool errnum_is_trouble(int errnum);

/* "out of memory", ERR_LOCAL, ENOMEM, -1. */
int err_nomem(struct err *err);

/* An error that is kept for long: of the many that there could be most are not, so it takes memory only where it is
 * there. Zeroed: none. */
struct err_kept {
	struct err *e;
};
/* Keeps a copy in place of what was kept; where there is no memory for it, that is the error. */
void err_keep(struct err_kept *k, const struct err *err);
void err_forget(struct err_kept *k);
/* What is kept, ERR_NONE if nothing is; never NULL. Valid until the next change. */
const struct err *err_kept(const struct err_kept *k);

/* The kind as a word, for logs and reports: "auth", "throttled", ... Static storage. */
const char *err_kind_name(enum err_kind kind);

#endif
