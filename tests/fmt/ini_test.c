/* The SDKs' INI dialect: what becomes of each kind of line. */
#include "fmt/ini.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "base/cleanup.h"

/* [section] and section.key[.sub]=value, each with its line. */
static int
note(void *arg, const struct ini_item *i, struct err *err)
{
	struct buf *out = arg;

	(void)err;
	if (i->key.n == 0)
		buf_fmt(out, "%zu[%.*s] ", i->line, (int)i->section.n, i->section.p);
	else
		buf_fmt(out, "%zu%.*s%s%.*s=%.*s ", i->line, (int)i->key.n, i->key.p,
			i->sub.n ? "." : "", (int)i->sub.n, i->sub.p, (int)i->value.n, i->value.p);
	return 0;
}

static void
assert_items(const char *text, const char *expected)
{
	CLEANUP(buf_done) struct buf got = BUF_INIT(1u << 20);
	struct err err = {0};

	if (ini_parse(sv_of(text), "f", note, &got, &err)) {
		assert_int_equal(err.kind, ERR_USAGE);
		buf_fmt(&got, "! %s", err.msg);
	}
	assert_string_equal(buf_cstr(&got), expected);
}

static void
test_lines(void **state)
{
	(void)state;
	assert_items("", "");
	assert_items("\n# a\n ; b\n\t\n", "");
	assert_items("[a]\nk = v\n[ b c ]\nK2=\n", "1[a] 2k=v 3[b c] 4k2= ");
	assert_items("\xef\xbb\xbf[a]\r\nk =  v w \r\n", "1[a] 2k=v w ");
	assert_items("[a] ; what\nk: v=w\n", "1[a] 2k=v=w ");
	assert_items("[a]\nk = v:w=x", "1[a] 2k=v:w=x ");
	/* A comment needs a blank before it. */
	assert_items("[a]\nk = v#w;x # y\nl = ; z\n#m = 1\n", "1[a] 2k=v#w;x 3l= ");
	/* Sections and keys may come twice; who reads them decides. */
	assert_items("[a]\nk=1\nk=2\n[a]\nk=3\n", "1[a] 2k=1 3k=2 4[a] 5k=3 ");
}

static void
test_indented(void **state)
{
	(void)state;
	assert_items("[a]\nk = v\n  w\n\n# c\n\tx = y\nl = 1\n", "1[a] 2k=v\nw\nx = y 7l=1 ");
	assert_items("[a]\ns3 =\n  Max = 1\n\n  min=\n  url = a=b\nl = 1\n",
		     "1[a] 2s3.max=1 2s3.min= 2s3.url=a=b 7l=1 ");
}

static void
test_errors(void **state)
{
	char *text = malloc(100000);

	(void)state;
	assert_items("k = v\n", "! f:1: a key before the first [section]");
	assert_items("[a\n", "! f:1: a section without ]");
	assert_items("[a] b\n", "! f:1: text behind ]");
	assert_items("[a]\n\nAKIDSECRET\n", "1[a] ! f:3: expected key = value");
	assert_items("[a]\n= v\n", "1[a] ! f:2: expected key = value");
	assert_items("[a]\n  k = v\n", "1[a] ! f:2: an indented line that continues nothing");
	assert_items("[a]\nk =\n  nothing\n", "1[a] ! f:3: expected key = value");
	assert_non_null(text);
	memset(text, 'x', 99999);
	memcpy(text, "[a]\nk=", 6);
	text[99999] = '\0';
	assert_items(text, "1[a] ! f:2: the line is too long");
	free(text);
}

static int
refuse(void *arg, const struct ini_item *item, struct err *err)
{
	(void)item;
	++*(int *)arg;
	return err_set(err, ERR_DATA, "no");
}

static void
test_the_first_refusal_ends_it(void **state)
{
	struct err err;
	int calls = 0;

	(void)state;
	assert_int_equal(ini_parse(SV("[a]\nk=1\n[b]\n"), "f", refuse, &calls, &err), -1);
	assert_int_equal(err.kind, ERR_DATA);
	assert_int_equal(calls, 1);
}

static void
test_nul(void **state)
{
	CLEANUP(buf_done) struct buf got = BUF_INIT(100);
	struct err err;

	(void)state;
	assert_int_equal(ini_parse(SV("[a]\nk=1\0\n"), "f", note, &got, &err), -1);
	assert_string_equal(err.msg, "f:2: a NUL byte");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_lines),  cmocka_unit_test(test_indented),
	    cmocka_unit_test(test_errors), cmocka_unit_test(test_the_first_refusal_ends_it),
	    cmocka_unit_test(test_nul),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
