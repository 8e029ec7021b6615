/*
 * A checkpoint that would be larger than one may be.
 *
 * What could not be written once could never be written again, and a tenant with very many series
 * would stand still. So what can be found again goes, the largest first: an inventory is listed
 * anew, marks are read from what is frozen. What is owed to receivers stays, unless all of that is
 * too large itself.
 */
#include <jansson.h>

#include "base/log.h"
#include "model/seen.h"
#include "state/checkpoint.h"

bool
ckpt_shed(struct ckpt *c)
{
	struct ckpt_stream *of = NULL;
	json_t **largest = NULL;
	size_t most = 0;

	for (size_t i = 0; i < 2 * c->n_streams; i++) {
		struct ckpt_stream *s = &c->streams[i / 2];
		json_t **part = i % 2 ? &s->seen : &s->memo;
		size_t n = *part ? json_dumpb(*part, NULL, 0, JSON_COMPACT) : 0;

		if (n <= most)
			continue;
		most = n;
		largest = part;
		of = s;
	}
	if (!largest)
		return false;
	log_event(LOG_WARN, "checkpoint too large: it goes on without what can be found again",
		  LOG_S("tenant", c->tenant), LOG_S("job", c->job), LOG_S("region", of->region),
		  LOG_S("without", largest == &of->memo ? "inventory" : "marks"),
		  LOG_I("bytes", most));
	if (largest == &of->seen && seen_shed(largest))
		return true;
	json_decref(*largest);
	*largest = NULL;
	return true;
}
