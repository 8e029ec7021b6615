/*
 * Reading `__type` and `message` out of a map and skipping everything else. Errors are rare and
 * small: one pass, nothing allocated.
 */
#include "aws/cbor_error.h"

#include "base/cleanup.h"
#include "fmt/cbor.h"

/* The value behind a key: taken if it is text and wanted, else skipped. */
static bool
take_value(struct cbor_scan *s, struct sv *wanted)
{
	struct cbor_scan before = *s;

	if (wanted && cbor_text(s, wanted))
		return true;
	*s = before;
	return cbor_skip(s);
}

bool
cbor_error(struct sv body, struct sv *ret_type, struct sv *ret_message)
{
	struct cbor_scan s = CBOR_SCAN_INIT(body);
	struct cbor_walk w;
	bool end = false;

	*ret_type = *ret_message = SV("");
	if (!cbor_open(&s, CBOR_MAP, &w))
		return false;
	for (;;) {
		struct sv key, *wanted = NULL;

		if (!cbor_next(&s, &w, &end))
			return false;
		if (end)
			return true;
		if (!cbor_text(&s, &key))
			return false;
		if (sv_eq(key, SV("__type")))
			wanted = ret_type;
		else if (sv_eq(key, SV("message")) || sv_eq(key, SV("Message")))
			wanted = ret_message;
		if (!take_value(&s, wanted))
			return false;
	}
}
