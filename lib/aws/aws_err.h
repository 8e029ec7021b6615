/*
 * From an answer to an error kind: the one table of codes.
 */
#ifndef MUSTER_AWS_AWS_ERR_H
#define MUSTER_AWS_AWS_ERR_H

#include "net/transport.h"

/* For curl_options.classify: 0 for success (2xx that carries no error; S3's 200 with <Error> is an error), else -1 with kind, status,
 * code, request id, retry_after_ms and a message "403 AccessDenied: text". HTML, empty and cut-off bodies keep the status and the first
 * bytes (escaped). Codes match with and without `Exception`; what stands before '#' and after ':' is dropped. */
int aws_classify(const struct http_req *req, const struct http_resp *resp, struct err *err);
/* The kind of a code and status alone (tests compare it with a catalogue). */
enum err_kind aws_kind_of(enum http_proto proto, int status, const char *code, const char *message);

#endif
