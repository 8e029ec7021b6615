/*
 * Reading a refusal's text.
 */
#ifndef MUSTER_SINK_RW_WORDS_H
#define MUSTER_SINK_RW_WORDS_H

#include <stdbool.h>
#include <stdint.h>

#include "model/series.h"

enum rw_reason {
	REASON_NONE,	  /* no words at all */
	REASON_ORDER,	  /* order or age: older samples of the series are refused as well */
	REASON_DUPLICATE, /* another value is there */
	REASON_SERIES,	  /* about labels or limits: all samples of the series alike */
	REASON_OTHER,
};
enum rw_reason rw_words_class(const char *reason);
/* Whether a sample that an earlier run sent may be refused for this. */
bool rw_may_be_stored(enum rw_reason c);
/* The words of receivers that are known to keep a refused request's good samples (Cortex and its descendants). */
bool rw_words_of_keeper(const char *reason);
/* Too old for the whole database, whatever the series (Prometheus; a keeper has several databases). */
bool rw_words_of_bounds(const char *reason);
/* A 429 that speaks of how many series there may be, not of how many requests or samples a second. */
bool rw_words_of_series_limit(const char *reason);
/* The time they name: "timestamp=2026-01-02T03:04:05Z, series=..." or "timestamp 2026-...". */
bool rw_words_time(const char *reason, int64_t *ret_ms);
/* Whether the name and each label of the series are in the text. */
bool rw_words_name(const char *reason, const struct series *s);

#endif
