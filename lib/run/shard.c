/* Shards; see shard.h. */
#include "run/shard.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/num.h"

int64_t
shard_of(const char *tenant, int64_t n)
{
	uint64_t key = fnv1a64(sv_of(tenant));
	uint64_t best = 0;
	int64_t owner = 0;

	for (int64_t i = 0; i < n; i++) {
		uint64_t weight = mix64(key ^ mix64((uint64_t)i + 1));

		if (i == 0 || weight > best) {
			best = weight;
			owner = i;
		}
	}
	return owner;
}

static bool
read_pair(struct sv index, struct sv count, int64_t *shard, int64_t *shards)
{
	int64_t i, n;

	if (!num_i64(index, &i) || !num_i64(count, &n) || i < 0 || i >= n || n > SHARDS_MAX)
		return false;
	*shard = i;
	*shards = n;
	return true;
}

int
shard_parse(const char *text, int64_t *shard, int64_t *shards, struct err *err)
{
	const char *slash = strchr(text, '/');

	if (slash &&
	    read_pair((struct sv){text, (size_t)(slash - text)}, sv_of(slash + 1), shard, shards))
		return 0;
	return err_set(err, ERR_USAGE, "--shard %s: expected I/N with 0 <= I < N <= %d", text,
		       SHARDS_MAX);
}

int
shard_from_env(int64_t *shard, int64_t *shards, struct err *err)
{
	/* AWS Batch and Kubernetes tell a job its index, but not how many there are. */
	static const char *const pairs[][2] = {
	    {"AWS_BATCH_JOB_ARRAY_INDEX", "MUSTER_SHARDS"},
	    {"JOB_COMPLETION_INDEX", "MUSTER_SHARDS"},
	    {"SLURM_ARRAY_TASK_ID", "SLURM_ARRAY_TASK_COUNT"},
	};

	*shard = 0;
	*shards = 1;
	for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
		const char *index = getenv(pairs[i][0]);
		const char *count = getenv(pairs[i][1]);

		if (!index || !*index)
			continue;
		if (count && read_pair(sv_of(index), sv_of(count), shard, shards))
			return 0;
		return err_set(err, ERR_USAGE,
			       "%s=%s and %s=%s do not name a shard: expected 0 <= index < count "
			       "<= %d, or --shard I/N",
			       pairs[i][0], index, pairs[i][1], count ? count : "(unset)",
			       SHARDS_MAX);
	}
	return 0;
}
