/* The configuration as a cassette carries it. */
#ifndef MUSTER_RUN_TAPE_CONFIG_H
#define MUSTER_RUN_TAPE_CONFIG_H

#include "aws/tape_scrub.h"
#include "run/config.h"

/*
 * The configuration as a tree that can be written as JSON and read again: the tenants there were, wherever they came from; the
 * jobs as they were written; of the sinks only what decides what goes to them. No external id, password, header, address or
 * key is in it. NULL with *err.
 */
json_t *tape_config(const struct config *c, struct err *err);
/* Whether a text has no other keys than tape_config writes: what a configuration could do beside (read files, list accounts,
 * sign in, leave the sandbox out) is not for a cassette to say. ERR_DATA with the key's place. */
int tape_config_check(struct sv text, struct err *err);
/* What ${NAME} in the tree stands for, so far as it is no secret, into the cassette. */
int tape_config_env(const json_t *config, struct cassette *to, struct err *err);
/* Once to collect, once to replace (see struct scrub). */
int tape_config_scrub(struct scrub *s, json_t *config, struct err *err);

#endif
