/* A part of a configuration as JSON, which is YAML as well: as it was written, references to the environment and all. */
#ifndef MUSTER_FMT_CONF_JSON_H
#define MUSTER_FMT_CONF_JSON_H

#include <jansson.h>

#include "fmt/conf.h"

/* A new reference; scalars are strings. NULL without memory. */
json_t *conf_json(const struct conf_node *node);

#endif
