/*
 * A checkpoint that would be larger than one may be.
 *
 * What could not be written once could never be written again, and a tenant with very many series
 * would stand still. So what can be found again goes, the largest first: an inventory is listed
 * anew, marks are read from what is frozen. What is owed to receivers or waits to be asked for a
 * second time stays: of that there is never so much.
 */
#include <jansson.h>

#include "base/log.h"
#include "model/seen.h"
#include "state/checkpoint.h"

static size_t
size_of(const json_t *j)
{
	return j ? json_dumpb(j, NULL, 0, JSON_COMPACT) : 0;
}

bool
ckpt_shed(struct ckpt *c)
{
	struct ckpt_stream *of = NULL;
	bool marks = false;
	size_t most = 0;

	for (size_t i = 0; i < c->n_streams; i++) {
		struct ckpt_stream *s = &c->streams[i];
		size_t memo = size_of(s->memo),
		       seen = seen_has_marks(s->seen) ? size_of(s->seen) : 0;
		size_t larger = memo > seen ? memo : seen;

		if (larger <= most)
			continue;
		most = larger;
		marks = seen > memo;
		of = s;
	}
	if (!of || (marks && !seen_shed(&of->seen)))
		return false;
	log_event(LOG_WARN, "checkpoint too large: it goes on without what can be found again",
		  LOG_S("tenant", c->tenant), LOG_S("job", c->job), LOG_S("region", of->region),
		  LOG_S("without", marks ? "marks" : "inventory"), LOG_I("bytes", most));
	if (!marks) {
		json_decref(of->memo);
		of->memo = NULL;
	}
	return true;
}
