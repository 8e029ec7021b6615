/* What may stand in a header line (RFC 9110 5.5, 5.6.2): no control characters, so no second line. */
#ifndef MUSTER_NET_HEADER_H
#define MUSTER_NET_HEADER_H

#include <stdbool.h>

bool header_name_ok(const char *name);
bool header_value_ok(const char *value);

#endif
