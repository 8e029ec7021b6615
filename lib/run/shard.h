/*
 * Which of several processes does a tenant. Each of them works it out alone, from the tenant's id and how many
 * they are: nobody hands out work, so there is nobody to ask and nobody to fail.
 *
 * Nothing rests on it: processes that disagree (a count that was changed while some were at work, an index that
 * runs twice) meet at the leases and at the checkpoints, as any two runs do.
 */
#ifndef MUSTER_RUN_SHARD_H
#define MUSTER_RUN_SHARD_H

#include <stdint.h>

#include "base/err.h"

/* As many as the largest array of the engines below: Kubernetes takes 100,000 indexed completions, AWS Batch
 * 10,000. A process weighs each tenant against each of them. */
#define SHARDS_MAX 100000

/* Rendezvous hashing: which of n shards owns a tenant. Adding a shard moves 1/n of the tenants, all of them to it. */
int64_t shard_of(const char *tenant, int64_t n);

/* Of "I/N". ERR_USAGE unless 0 <= I < N <= SHARDS_MAX; then the outputs are as they were. */
int shard_parse(const char *text, int64_t *shard, int64_t *shards, struct err *err);

/* As the engine of an array job says by its variables; 0 of 1 where there is none. An index without a count that
 * goes with it is ERR_USAGE: doing all of it, or none, in each of a thousand processes would be worse. */
int shard_from_env(int64_t *shard, int64_t *shards, struct err *err);

#endif
