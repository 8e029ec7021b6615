/*
 * The log: one line an event, on stderr, as text, logfmt or JSON.
 *
 * An event has a level, a short message and typed fields. Only the runner and the commands log; libraries
 * return errors. Values are escaped (control characters, quotes, newlines, invalid UTF-8), so that what a
 * service or a tenant says can never forge a line. A struct secret cannot be logged: there is no field
 * type for it. Each line is written with one write(2); a closed or full stderr never stops the run.
 */
#ifndef MUSTER_BASE_LOG_H
#define MUSTER_BASE_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };
enum log_format { LOG_TEXT, LOG_LOGFMT, LOG_JSON };

struct log_field {
	const char *key;
	enum { LOG_F_STR, LOG_F_INT, LOG_F_ERR } type;
	union {
		const char *s; /* NULL: the field is left out */
		int64_t i;
		const struct err *err; /* becomes error=, kind=, code=, request_id=, http_status= */
	} v;
};
#define LOG_S(k, val)   ((struct log_field){ .key = (k), .type = LOG_F_STR, .v.s = (val) })
#define LOG_I(k, val)   ((struct log_field){ .key = (k), .type = LOG_F_INT, .v.i = (int64_t)(val) })
#define LOG_E(errp)     ((struct log_field){ .key = "error", .type = LOG_F_ERR, .v.err = (errp) })

/* Once, before the first thread. fd is not closed. wall_ms may be NULL (the real clock); for tests. */
void log_init(int fd, enum log_format format, enum log_level level, int64_t (*wall_ms)(void));
bool log_enabled(enum log_level level);
bool log_format_parse(const char *s, enum log_format *ret);
bool log_level_parse(const char *s, enum log_level *ret);

/* Thread-safe. `event` is a short fixed text ("cell committed"). */
void log_write(enum log_level level, const char *event, const struct log_field *fields, size_t n);
/* As log_write, whatever level is enabled: for what was asked for by name. */
void log_anyway(enum log_level level, const char *event, const struct log_field *fields, size_t n);
#define log_event(level, event, ...)                                                               \
	do {                                                                                       \
		const struct log_field fields_[] = { __VA_ARGS__ };                                \
		if (log_enabled(level))                                                            \
			log_write((level), (event), fields_, sizeof(fields_) / sizeof(fields_[0])); \
	} while (0)

/* Lines that stand below the log from here on, in place of those before; n = 0 takes them away. Only for a log on a
 * terminal, whose size is asked for each time they are drawn. Lines of the log go above them. Thread-safe. */
void log_live(const char *text, size_t n);

#endif
