/* Requests and answers: what may stand in a header, and finding one again. */
#include "net/transport.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "net/header.h"

static void
test_header_injection(void **state)
{
	struct http_req r = {0};
	struct err err;

	(void)state;
	assert_int_equal(req_header(&r, "X-A", "a\r\nX-B: b", &err), -1);
	assert_int_equal(err.kind, ERR_USAGE);
	assert_int_equal(req_header(&r, "X-A", "a\nb", NULL), -1);
	assert_int_equal(req_header(&r, "X-A", "a\rb", NULL), -1);
	assert_int_equal(req_header(&r, "X-A", "a\x7f", NULL), -1);
	assert_int_equal(req_header(&r, "X-A:", "a", NULL), -1);
	assert_int_equal(req_header(&r, "X A", "a", NULL), -1);
	assert_int_equal(req_header(&r, "X-A\r\n", "a", NULL), -1);
	assert_int_equal(req_header(&r, "", "a", NULL), -1);
	assert_int_equal(r.n_headers, 0);
	assert_int_equal(req_header(&r, "X-A", "", &err), 0);
	assert_int_equal(req_header(&r, "X-A", "tab\tand \xc3\xa4", &err), 0);
	assert_int_equal(r.n_headers, 2);
}

static void
test_no_room(void **state)
{
	struct http_req r = {0};
	struct err err;

	(void)state;
	for (int i = 0; i < HTTP_MAX_HEADERS; i++)
		assert_int_equal(req_header(&r, "X", "v", &err), 0);
	assert_int_equal(req_header(&r, "X", "v", &err), -1);
	assert_int_equal(err.kind, ERR_USAGE);
	assert_int_equal(r.n_headers, HTTP_MAX_HEADERS);
}

static bool
header_is(const struct http_resp *r, const char *name, const char *value)
{
	struct sv v;

	return resp_header(r, name, &v) && sv_eq(v, sv_of(value));
}

static void
test_find_header(void **state)
{
	struct http_resp r;
	struct sv v;

	(void)state;
	resp_init(&r, 0);
	assert_int_equal(r.body.max, HTTP_MAX_BODY);
	assert_false(resp_header(&r, "date", &v));
	buf_str(&r.headers, "x-date: no\ndate: one\ndate: two\nempty: \nlast: end\n");
	assert_true(header_is(&r, "date", "one"));
	assert_true(header_is(&r, "x-date", "no"));
	assert_true(header_is(&r, "empty", ""));
	assert_true(header_is(&r, "last", "end"));
	assert_false(resp_header(&r, "dat", &v));
	assert_false(resp_header(&r, "end", &v));
	resp_reset(&r);
	assert_false(resp_header(&r, "date", &v));
	resp_done(&r);
	resp_done(&r);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_header_injection),
	    cmocka_unit_test(test_no_room),
	    cmocka_unit_test(test_find_header),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
