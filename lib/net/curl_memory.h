/* libcurl with memory that is wiped when freed. Private to lib/net. */
#ifndef MUSTER_NET_CURL_MEMORY_H
#define MUSTER_NET_CURL_MEMORY_H

#include "base/err.h"

/* curl_global_init with it. */
int curl_memory_init(struct err *err);

#endif
