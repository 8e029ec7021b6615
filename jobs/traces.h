/*
 * What the parts of the traces kind share: its options, and where an account's spans are.
 */
#ifndef MUSTER_JOBS_TRACES_H
#define MUSTER_JOBS_TRACES_H

#include "jobs/insights.h"

#define TRACES_GROUP "aws/spans" /* where Transaction Search keeps spans */

struct traces_opts {
	const char *filter;	  /* X-Ray's; NULL: all */
	const char *spans_filter; /* of Logs Insights; NULL: all */
	int64_t period_ms;
	const struct conf_node *spans_node, *period_node;
	struct insights_opts spans; /* the query of TRACES_GROUP, by traces_check */
};

/* The insights kind, which pulls that query. */
extern const struct job_kind job_insights;
/* The same stream, as one of that kind. */
struct job_stream traces_as_insights(const struct job_stream *s);

/* jobs/traces_conf.c */

extern const struct conf_key traces_keys[];
void traces_check(const struct job_common *c, void *opts, const struct conf_node *node,
		  struct arena *a, struct conf_faults *f);
void traces_definition(const struct job_common *c, const void *opts, struct buf *out);

/* jobs/traces_probe.c */

extern const struct job_probe traces_probes[];
bool traces_doubt(const struct job_stream *s, const json_t *seen, struct buf *out);

#endif
