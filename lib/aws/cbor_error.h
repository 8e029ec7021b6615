/* The two fields of an error of the RPC v2 CBOR protocol; private to lib/aws. */
#ifndef MUSTER_AWS_CBOR_ERROR_H
#define MUSTER_AWS_CBOR_ERROR_H

#include <stdbool.h>

#include "base/buf.h"

/* Views into body, empty where absent. False if body is not one map of that kind. */
bool cbor_error(struct sv body, struct sv *ret_type, struct sv *ret_message);

#endif
