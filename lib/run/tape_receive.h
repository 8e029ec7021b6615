/*
 * A receiver for replays: takes what sinks send, and writes what a receiver would hold afterwards as
 * sorted NDJSON, one sample a line, in <folder>/<sink>.ndjson.zst. A sink is known by its URL
 * (receiver_url). Thread-safe.
 */
#ifndef MUSTER_RUN_TAPE_RECEIVE_H
#define MUSTER_RUN_TAPE_RECEIVE_H

#include "net/transport.h"

struct receiver;
int receiver_new(struct receiver **ret, struct err *err);
void receiver_free(struct receiver *r);
/* "http://replay.invalid/<sink>" */
void receiver_url(struct buf *out, const char *sink);
/* As struct tape_outlet wants it; arg is the receiver. */
int receiver_take(void *arg, const struct http_req *req, struct http_resp *resp, struct err *err);
int receiver_write(struct receiver *r, const char *folder, struct err *err);

/* Lines sorted bytewise, each once, compressed into <folder>/<name>.ndjson.zst; nothing if there are none. */
int receiver_write_lines(struct sv lines, const char *folder, const char *name, struct err *err);

#endif
