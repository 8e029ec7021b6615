/* How often tests repeat themselves; see effort.h. */
#include "tests/support/effort.h"

#include <stdlib.h>

uint64_t
effort(uint64_t full)
{
	const char *percent = getenv("MUSTER_EFFORT"); /* NOLINT(concurrency-mt-unsafe) */
	uint64_t part = percent ? full * strtoull(percent, NULL, 10) / 100 : full;

	return part > 0 ? part : 1;
}
