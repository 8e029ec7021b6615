/*
 * Test data outside the source tree: vectors that may not be distributed with it. The environment variable MUSTER_DATA
 * names the folder; without it the tests that need it are skipped.
 */
#ifndef MUSTER_TESTS_DATA_H
#define MUSTER_TESTS_DATA_H

#include <jansson.h>

#include "base/buf.h"

/* Says so and skips the running cmocka test if there is no MUSTER_DATA. */
void data_or_skip(void);
/* The whole file below MUSTER_DATA; the test fails if it cannot be read. The caller frees *out. */
void data_read(const char *path, struct buf *out);
/* The same as JSON; the caller calls json_decref. */
json_t *data_json(const char *path);
/* A string member, or "" if it is absent or null. */
const char *data_str(const json_t *obj, const char *key);

#endif
