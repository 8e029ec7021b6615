/* What is found in a page that nobody has read: the token as the readers of the protocols find it,
 * or a doubt. */
#include "aws/page_token.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>

#include "aws/cloudwatch.h"
#include "base/cleanup.h"

#define CBOR(text)                                                                                 \
	PROTO_AWS_CBOR, (struct sv)                                                                \
	{                                                                                          \
		text, sizeof(text) - 1                                                             \
	}
#define JSON(text)                                                                                 \
	PROTO_AWS_JSON, (struct sv)                                                                \
	{                                                                                          \
		text, sizeof(text) - 1                                                             \
	}

static void
expect(enum http_proto proto, struct sv body, enum page_token want, const char *token)
{
	CLEANUP(buf_done) struct buf found = BUF_INIT(PAGE_TOKEN_MAX);
	/* Of exactly its size, so that a byte too many is seen. */
	CLEANUP(freep) char *copy = malloc(body.n ? body.n : 1);

	assert_non_null(copy);
	memcpy(copy, body.p, body.n);
	assert_int_equal(page_token_peek(proto, (struct sv){copy, body.n}, "NextToken", &found),
			 want);
	assert_string_equal(buf_cstr(&found), token);
}

static void
a_token_in_json_is_found_wherever_it_stands(void **state)
{
	(void)state;
	expect(JSON("{\"NextToken\":\"abc==\",\"MetricDataResults\":[]}"), PAGE_TOKEN, "abc==");
	expect(JSON("{\"Metrics\":[],\"NextToken\" :\n \"a/b\"}"), PAGE_TOKEN, "a/b");
	expect(JSON("{\"Label\":\"NextToken\",\"NextToken\":\"x\"}"), PAGE_TOKEN, "x");
	expect(JSON("{\"Label\":\"\\\"NextToken\\\":\\\"no\\\"\"}"), PAGE_TOKEN_NONE, "");
	expect(JSON("{\"Metrics\":[]}"), PAGE_TOKEN_NONE, "");
	expect(JSON("{\"NextToken\":null}"), PAGE_TOKEN_NONE, "");
	expect(JSON("{\"NextToken\":\"\"}"), PAGE_TOKEN_NONE, "");
	expect(JSON(""), PAGE_TOKEN_NONE, "");
}

static void
what_is_no_plain_text_is_doubted(void **state)
{
	(void)state;
	expect(JSON("{\"NextToken\":\"a\\u0041\"}"), PAGE_TOKEN_UNSURE, "");
	expect(JSON("{\"NextToken\":7}"), PAGE_TOKEN_UNSURE, "");
	expect(JSON("{\"NextToken\":\"cut o"), PAGE_TOKEN_UNSURE, "");
	expect(JSON("{\"NextToken\":"), PAGE_TOKEN_UNSURE, "");
	expect(CBOR("\xa1\x69NextToken\x07"), PAGE_TOKEN_UNSURE, "");
	expect(CBOR("\xa1\x69NextToken\x63"
		    "ab"),
	       PAGE_TOKEN_UNSURE, "");
	expect(CBOR("\xa1\x69NextToken\x79\x01"), PAGE_TOKEN_UNSURE, "");
	expect(CBOR("\xa1\x69NextToken\x7f\x61"
		    "a\xff"),
	       PAGE_TOKEN_UNSURE, "");
	expect(CBOR("\xa1\x69NextToken"), PAGE_TOKEN_UNSURE, "");
	expect(PROTO_AWS_QUERY, SV("<NextToken>a</NextToken>"), PAGE_TOKEN_UNSURE, "");
}

static void
a_token_in_cbor_is_found_by_its_length(void **state)
{
	char body[400] = "\xa1\x69NextToken\x79\x01\x2c";
	char token[301];

	(void)state;
	memset(token, 't', 300);
	token[300] = '\0';
	memcpy(body + 14, token, 300);
	expect(PROTO_AWS_CBOR, (struct sv){body, 314}, PAGE_TOKEN, token);
	expect(CBOR("\xa2\x69NextToken\x63"
		    "abc\x67Metrics\x80"),
	       PAGE_TOKEN, "abc");
	expect(CBOR("\xa1\x69NextToken\x78\x1a"
		    "abcdefghijklmnopqrstuvwxyz"),
	       PAGE_TOKEN, "abcdefghijklmnopqrstuvwxyz");
	expect(CBOR("\xa1\x69NextToken\xf6"), PAGE_TOKEN_NONE, "");
	expect(CBOR("\xa1\x69NextToken\x60"), PAGE_TOKEN_NONE, "");
	expect(CBOR("\xa1\x67Metrics\x80"), PAGE_TOKEN_NONE, "");
}

/* The reader of the page decides what the token is, so both must say the same. */
static void
it_is_what_the_reader_finds(void **state)
{
	const struct {
		enum cw_proto proto;
		struct sv body;
	} pages[] = {
	    {CW_JSON, SV("{\"MetricDataResults\":[],\"NextToken\":\"t1\"}")},
	    {CW_CBOR, SV("\xa2\x71MetricDataResults\x80\x69NextToken\x62t2")},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(pages); i++) {
		CLEANUP(buf_done) struct buf found = BUF_INIT(PAGE_TOKEN_MAX);
		struct arena a = ARENA_INIT(1 << 20);
		struct cw_data_page page;
		struct err err = {0};

		assert_int_equal(cw_data_read(pages[i].proto, pages[i].body, &a, &page, &err), 0);
		assert_int_equal(cw_token_peek(pages[i].proto, pages[i].body, &found), PAGE_TOKEN);
		assert_string_equal(buf_cstr(&found), page.token);
		arena_done(&a);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_token_in_json_is_found_wherever_it_stands),
	    cmocka_unit_test(what_is_no_plain_text_is_doubted),
	    cmocka_unit_test(a_token_in_cbor_is_found_by_its_length),
	    cmocka_unit_test(it_is_what_the_reader_finds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
