/* XML replies: finding one's way in the tree, and documents that are not one or want too much. */
#include "fmt/xml.h"

#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/cleanup.h"

static void
test_tree(void **state)
{
	CLEANUP(xml_freep) struct xml_doc *d = NULL;
	const struct xml_node *root, *n;
	struct err err;

	(void)state;
	assert_int_equal(
	    xml_parse(SV("<?xml version=\"1.0\"?>\n"
			 "<R xmlns=\"urn:x\"><A><B>one</B><C/><B>two</B></A>"
			 "<A><B>three</B></A><!-- note --><D>a&amp;b<![CDATA[<c>]]></D></R>"),
		      "reply", &d, &err),
	    0);
	root = xml_root(d);
	assert_string_equal(root->name, "R");
	assert_null(root->parent);
	assert_null(root->next);
	assert_string_equal(xml_text(root, "A/B"), "one");
	assert_string_equal(xml_text(root, "A/C"), "");
	assert_string_equal(xml_text(root, "D"), "a&b<c>");
	assert_null(xml_text(root, "A/X"));
	assert_null(xml_text(root, "X/B"));
	assert_null(xml_text(NULL, "A"));
	assert_ptr_equal(xml_path(root, ""), root);
	n = xml_next(xml_path(root, "A/B"), "B");
	assert_string_equal(n->text, "two");
	assert_string_equal(n->parent->name, "A");
	assert_null(xml_next(n, "B"));
	n = xml_next(xml_child(root, "A"), "A");
	assert_string_equal(xml_text(n, "B"), "three");
	assert_null(xml_child(NULL, "A"));
	assert_null(xml_next(NULL, "A"));
	assert_null(xml_child(root, "a"));
}

static void
test_local_names(void **state)
{
	CLEANUP(xml_freep) struct xml_doc *d = NULL;
	struct err err;

	(void)state;
	assert_int_equal(
	    xml_parse(SV("<s:R xmlns:s=\"urn:a\" xmlns=\"urn:c\"><s:A/><B s:x='1'>t</B></s:R>"),
		      "reply", &d, &err),
	    0);
	assert_string_equal(xml_root(d)->name, "R");
	assert_non_null(xml_child(xml_root(d), "A"));
	assert_string_equal(xml_text(xml_root(d), "B"), "t");
}

static void
test_text(void **state)
{
	CLEANUP(xml_freep) struct xml_doc *d = NULL;
	struct err err;

	(void)state;
	assert_int_equal(
	    xml_parse(SV("<R>one<A>inner</A>two&#10;&#x20AC;&lt;</R>"), "reply", &d, &err), 0);
	assert_string_equal(xml_root(d)->text, "onetwo\n\xE2\x82\xAC<");
	assert_string_equal(xml_text(xml_root(d), "A"), "inner");
}

static void
check_bad(struct sv text, const char *msg)
{
	struct xml_doc *d = NULL;
	struct err err;

	assert_int_equal(xml_parse(text, "reply", &d, &err), -1);
	assert_null(d);
	assert_int_equal(err.kind, ERR_DATA);
	assert_string_equal(err.msg, msg);
}

static void
test_broken(void **state)
{
	(void)state;
	check_bad(SV(""), "reply: line 1, column 1: no element found");
	check_bad(SV("text"), "reply: line 1, column 1: syntax error");
	check_bad(SV("<a>\n <b></a>"), "reply: line 2, column 7: mismatched tag");
	check_bad(SV("<a>"), "reply: line 1, column 4: no element found");
	check_bad(SV("<a/><b/>"), "reply: line 1, column 5: junk after document element");
	check_bad(SV("<a>&nbsp;</a>"), "reply: line 1, column 4: undefined entity");
	check_bad(SV("<a>\xFF</a>"), "reply: line 1, column 4: not well-formed (invalid token)");
	check_bad(SV("<a>\0</a>"), "reply: line 1, column 4: not well-formed (invalid token)");
	check_bad(SV("<a>&#0;</a>"),
		  "reply: line 1, column 4: reference to invalid character number");
	check_bad(SV("<x:a/>"), "reply: line 1, column 1: unbound prefix");
	assert_int_equal(xml_parse(SV("<"), "reply", &(struct xml_doc *){NULL}, NULL), -1);
}

static void
test_doctype(void **state)
{
	struct xml_doc *d = NULL;
	struct err err;

	(void)state;
	assert_int_equal(xml_parse(SV("<!DOCTYPE r [<!ENTITY a \"aaaaaaaaaa\">"
				      "<!ENTITY b \"&a;&a;&a;&a;&a;&a;&a;&a;\">]><r>&b;</r>"),
				   "reply", &d, &err),
			 -1);
	assert_non_null(strstr(err.msg, "document type declarations are not allowed"));
	assert_int_equal(
	    xml_parse(SV("<!DOCTYPE r SYSTEM \"file:///etc/passwd\"><r/>"), "reply", &d, &err), -1);
	assert_int_equal(err.kind, ERR_DATA);
	assert_non_null(strstr(err.msg, "document type declarations are not allowed"));
}

static void
nest(struct buf *b, size_t depth)
{
	buf_reset(b);
	for (size_t i = 0; i < depth; i++)
		buf_str(b, "<a>");
	for (size_t i = 0; i < depth; i++)
		buf_str(b, "</a>");
}

static void
test_depth(void **state)
{
	CLEANUP(buf_done) struct buf b = BUF_INIT((size_t)1 << 20);
	CLEANUP(xml_freep) struct xml_doc *d = NULL;

	(void)state;
	nest(&b, 64);
	assert_int_equal(xml_parse(buf_view(&b), "reply", &d, NULL), 0);
	nest(&b, 65);
	check_bad(buf_view(&b), "reply: line 1, column 193: elements nested too deep");
	nest(&b, 50000);
	check_bad(buf_view(&b), "reply: line 1, column 193: elements nested too deep");
}

static void
test_size(void **state)
{
	const size_t n = (size_t)17 << 20;
	CLEANUP(freep) char *big = malloc(n);
	struct xml_doc *d = NULL;
	struct err err;

	(void)state;
	assert_non_null(big);
	memset(big, ' ', n);
	check_bad((struct sv){big, n}, "reply: larger than 16777216 bytes");
	/* As many empty elements as fit. */
	memcpy(big, "<r>", 3);
	for (size_t i = 3; i + 4 <= n / 2; i += 4)
		memcpy(big + i, "<a/>", 4);
	assert_int_equal(xml_parse((struct sv){big, n / 2}, "reply", &d, &err), -1);
	assert_int_equal(err.kind, ERR_DATA);
	assert_non_null(strstr(err.msg, "too many elements"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_tree),    cmocka_unit_test(test_local_names),
	    cmocka_unit_test(test_text),    cmocka_unit_test(test_broken),
	    cmocka_unit_test(test_doctype), cmocka_unit_test(test_depth),
	    cmocka_unit_test(test_size),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
