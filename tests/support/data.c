/* Finding test data; see data.h. */
#include "tests/support/data.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/cleanup.h"
#include "base/fsx.h"

#define MAX_FILE ((size_t)64 << 20)

void
data_or_skip(void)
{
	const char *folder = getenv("MUSTER_DATA");

	if (folder && *folder)
		return;
	print_message("MUSTER_DATA is not set: skipped\n");
	skip();
}

void
data_read(const char *path, struct buf *out)
{
	CLEANUP(buf_done) struct buf full = BUF_INIT(4096);
	struct err err = {0};

	data_or_skip();
	buf_fmt(&full, "%s/%s", getenv("MUSTER_DATA"), path);
	*out = BUF_INIT(MAX_FILE);
	if (fsx_read(AT_FDCWD, buf_cstr(&full), out, &err) < 0)
		fail_msg("%s", err.msg);
}

json_t *
data_json(const char *path)
{
	CLEANUP(buf_done) struct buf text = BUF_INIT(0);
	json_error_t error;
	json_t *j;

	data_read(path, &text);
	j = json_loadb(buf_cstr(&text), text.n, 0, &error);
	if (!j)
		fail_msg("%s: %s in line %d", path, error.text, error.line);
	return j;
}

const char *
data_str(const json_t *obj, const char *key)
{
	const char *s = json_string_value(json_object_get(obj, key));

	return s ? s : "";
}
