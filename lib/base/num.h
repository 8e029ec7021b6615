/*
 * Strict numbers: the whole text must be the number, in range, or it is an error.
 */
#ifndef MUSTER_BASE_NUM_H
#define MUSTER_BASE_NUM_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"

/* Decimal integer with optional sign; false for blanks, trailing text, overflow. */
bool num_i64(struct sv s, int64_t *ret);
bool num_u64(struct sv s, uint64_t *ret);
/* Decimal floating point as strtod in the C locale reads it; also NaN, Infinity, -Infinity, +Inf, -Inf. */
bool num_double(struct sv s, double *ret);

/* The decimal number at the start of s; returns how long it is, 0 if there is none or it is too large. */
size_t num_scan(struct sv s, double *ret);

/* Digits, without NUL: at most NUM_DIGITS_MAX. Returns how many. */
#define NUM_DIGITS_MAX 20
size_t num_put_digits(char *out, uint64_t v);

/* The shortest decimal text that reads back as the same double, JSON compatible for finite values
 * (integers up to 2^53 without exponent or fraction: "5", else %.17g shortened). NaN, +Inf and -Inf for the rest.
 * Writes at most 32 bytes with NUL, returns the length. */
#define NUM_DOUBLE_MAX 32
size_t num_format(double v, char out[NUM_DOUBLE_MAX]);

/* Prometheus-style duration: 90s, 5m, 1h30m, 7d, 250ms, "0"; units ms s m h d w y in falling order.
 * The result is in milliseconds. */
bool num_duration(struct sv s, int64_t *ret_ms);
/* "1h30m"; writes at most 32 bytes. */
void num_duration_format(int64_t ms, char out[32]);

/* Bytes: 50GB, 1MiB, 500kB, 1024 (decimal units for kB MB GB TB, binary for KiB MiB GiB TiB). */
bool num_bytes(struct sv s, uint64_t *ret);

#endif
