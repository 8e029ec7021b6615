/*
 * Remote write has no error codes: what a receiver objects to stands in its words, if anywhere. The
 * phrases here are those of Prometheus, Cortex, Mimir and Amazon's service.
 */
#include "sink/rw_words.h"

#include <stdio.h>
#include <string.h>

#include "base/timefmt.h"
#include "sink/rw_bisect.h"

/* Whether one of the words occurs in front of the label set that some receivers append: labels
 * are the tenant's words. */
static bool
says(const char *reason, const char *const *words)
{
	char text[RW_REASON_MAX];
	const char *brace = reason[0] == '{' ? NULL : strchr(reason, '{');
	size_t n = brace ? (size_t)(brace - reason) : strlen(reason);

	if (n >= sizeof(text))
		n = sizeof(text) - 1;
	memcpy(text, reason, n);
	text[n] = '\0';
	for (; *words; words++)
		if (strcasestr(text, *words))
			return true;
	return false;
}

/* None of these can be part of a metric's name, which some receivers put in. */
static const char *const duplicate_words[] = {
    "duplicate sample",	       "duplicate timestamp",	  "duplicate-timestamp",
    "new-value-for-timestamp", "new value for timestamp", NULL,
};
static const char *const order_words[] = {
    "out of order",
    "out-of-order",
    "out of bounds",
    "too old",
    "too-old",
    "more recent timestamp",
    "greater_than_max_sample_age",
    NULL,
};
static const char *const series_words[] = {
    "series limit", "label name",      "label value",	      "invalid label",	      " labels",
    "metric name",  "err-mimir-label", "err-mimir-max-label", "err-mimir-max-series", NULL,
};

enum rw_reason
rw_words_class(const char *reason)
{
	if (reason[0] == '\0')
		return REASON_NONE;
	if (says(reason, duplicate_words))
		return REASON_DUPLICATE;
	if (says(reason, order_words))
		return REASON_ORDER;
	return says(reason, series_words) ? REASON_SERIES : REASON_OTHER;
}

bool
rw_may_be_stored(enum rw_reason c)
{
	return c == REASON_ORDER || c == REASON_DUPLICATE || c == REASON_NONE;
}

bool
rw_words_of_keeper(const char *reason)
{
	return strstr(reason, "err-mimir-") || strstr(reason, "per-user series limit") ||
	       (strstr(reason, "timestamp=") && strstr(reason, "series={"));
}

bool
rw_words_of_bounds(const char *reason)
{
	static const char *const words[] = {"out of bounds", NULL};

	return !rw_words_of_keeper(reason) && says(reason, words);
}

bool
rw_words_of_series_limit(const char *reason)
{
	return strcasestr(reason, "limit") && strcasestr(reason, "series") &&
	       !strcasestr(reason, "rate");
}

bool
rw_words_time(const char *reason, int64_t *ret_ms)
{
	for (const char *p = reason; (p = strstr(p, "timestamp")) != NULL;) {
		p += strlen("timestamp");
		if (*p != '=' && *p != ' ')
			continue;
		p++;
		if (time_parse_iso((struct sv){p, strcspn(p, ", ;)")}, ret_ms))
			return true;
	}
	return false;
}

bool
rw_words_name(const char *reason, const struct series *s)
{
	char pair[RW_REASON_MAX];

	if (!strstr(reason, s->name))
		return false;
	for (size_t i = 0; i < s->n_labels; i++) {
		int n = snprintf(pair, sizeof(pair), "%s=\"%s\"", s->labels[i].name,
				 s->labels[i].value);

		if (n < 0 || (size_t)n >= sizeof(pair) || !strstr(reason, pair))
			return false;
	}
	return true;
}
