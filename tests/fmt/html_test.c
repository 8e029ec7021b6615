/* Text that comes from anywhere stays text in HTML. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/utf8.h"
#include "fmt/html.h"

#define R UTF8_REPLACE

static void
test_text(void **state)
{
	static const struct {
		const char *from, *want;
	} rows[] = {
	    {"", ""},
	    {"plain, \xc3\xa4 \xf0\x9f\x98\x80\n\tend", "plain, \xc3\xa4 \xf0\x9f\x98\x80\n\tend"},
	    {"<script>alert(1)</script>", "&lt;script&gt;alert(1)&lt;/script&gt;"},
	    {"\" onclick='x' &amp;", "&quot; onclick=&#39;x&#39; &amp;amp;"},
	    {"a\x01\x1b[31m\x7f\r", "a" R R "[31m" R R},
	    {"\xc2\x85 \xc2\x9b", R " " R},
	    {"\xff<\xc3<\xe2\x82<", R "&lt;" R "&lt;" R "&lt;"},
	    {"\xe2\x80\xae|\xe2\x81\xa6|\xd8\x9c|\xe2\x80\x8f", R "|" R "|" R "|" R},
	    {"\xef\xbf\xbe|\xef\xb7\x90|\xf0\x9f\xbf\xbf", R "|" R "|" R},
	    {"\xc0\xbc|\xed\xa0\x80", R R "|" R R R},
	};
	struct buf out = BUF_INIT(1000);

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		buf_reset(&out);
		html_text(&out, sv_of(rows[i].from));
		assert_string_equal(buf_cstr(&out), rows[i].want);
	}
	buf_reset(&out);
	html_text(&out, (struct sv){"a\0b", 3});
	assert_string_equal(buf_cstr(&out), "a" R "b");
	buf_done(&out);
}

/* Whatever the bytes are, none of those that HTML reads is left. */
static void
test_every_byte(void **state)
{
	struct buf out = BUF_INIT(1000);

	(void)state;
	for (unsigned a = 0; a < 256; a++)
		for (unsigned b = 0; b < 256; b++) {
			char two[2] = {(char)a, (char)b};

			buf_reset(&out);
			html_text(&out, (struct sv){two, 2});
			assert_true(utf8_valid(buf_view(&out)));
			assert_null(strpbrk(buf_cstr(&out), "<>\"'"));
			assert_int_equal(strlen(buf_cstr(&out)), out.n);
		}
	buf_done(&out);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_text),
	    cmocka_unit_test(test_every_byte),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
