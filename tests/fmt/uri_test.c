/* URLs: splitting what is one, refusing what two programs could read differently. */
#include "fmt/uri.h"

#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/cleanup.h"

static void
check_encode(struct sv s, bool keep_slash, const char *expected)
{
	CLEANUP(buf_done) struct buf b = BUF_INIT(1000);

	uri_encode(&b, s, keep_slash);
	assert_string_equal(buf_cstr(&b), expected);
}

static void
test_encode(void **state)
{
	(void)state;
	check_encode(SV("AZaz09-_.~"), false, "AZaz09-_.~");
	check_encode(SV("a b+c/d"), false, "a%20b%2Bc%2Fd");
	check_encode(SV("a b+c/d"), true, "a%20b%2Bc/d");
	check_encode(SV("\0\n\xFF%*'()!"), true, "%00%0A%FF%25%2A%27%28%29%21");
	check_encode(SV(""), true, "");
}

static void
test_decode(void **state)
{
	static const char *const bad[] = {"%",	  "%4",	 "x%",	"%zz", "%4g",
					  "%%41", "%-1", "%+1", "% 1"};
	CLEANUP(buf_done) struct buf b = BUF_INIT(100);

	(void)state;
	assert_true(uri_decode(&b, SV("a%20b%2b+%c3%BC"), false));
	assert_string_equal(buf_cstr(&b), "a b++\xC3\xBC");
	buf_reset(&b);
	assert_true(uri_decode(&b, SV("a+b%2B%00"), true));
	assert_int_equal(b.n, 5);
	assert_memory_equal(b.p, "a b+\0", 5);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		assert_false(uri_decode(&b, sv_of(bad[i]), true));
		assert_int_equal(b.n, 5);
	}
}

static void
test_encode_decode(void **state)
{
	CLEANUP(buf_done) struct buf text = BUF_INIT(1000), back = BUF_INIT(1000);
	char bytes[256];

	(void)state;
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (char)i;
	uri_encode(&text, (struct sv){bytes, sizeof(bytes)}, false);
	assert_true(uri_decode(&back, buf_view(&text), false));
	assert_true(sv_eq(buf_view(&back), (struct sv){bytes, sizeof(bytes)}));
}

struct split {
	const char *text, *scheme, *host, *port, *path, *query, *header;
	int number;
};

static void
check_split(const struct split *s)
{
	CLEANUP(buf_done) struct buf b = BUF_INIT(1000);
	struct uri u;
	struct err err;

	assert_int_equal(uri_split(sv_of(s->text), &u, &err), 0);
	assert_true(sv_eq(u.scheme, sv_of(s->scheme)));
	assert_true(sv_eq(u.host, sv_of(s->host)));
	assert_true(sv_eq(u.port, sv_of(s->port)));
	assert_true(sv_eq(u.path, sv_of(s->path)));
	assert_true(sv_eq(u.query, sv_of(s->query)));
	assert_int_equal(u.port_number, s->number);
	uri_host_header(&b, &u);
	assert_string_equal(buf_cstr(&b), s->header);
}

static void
test_split(void **state)
{
	static const struct split rows[] = {
	    {"https://example.com", "https", "example.com", "", "", "", "example.com", 443},
	    {"http://example.com/", "http", "example.com", "", "/", "", "example.com", 80},
	    {"https://a-b.c_d:8443/x/y?q=1&r=?/", "https", "a-b.c_d", "8443", "/x/y", "q=1&r=?/",
	     "a-b.c_d:8443", 8443},
	    {"https://h:443/", "https", "h", "443", "/", "", "h", 443},
	    {"http://h:443/", "http", "h", "443", "/", "", "h:443", 443},
	    {"http://h?q", "http", "h", "", "", "q", "h", 80},
	    {"http://h/?", "http", "h", "", "/", "", "h", 80},
	    {"http://[::1]:9090/api", "http", "::1", "9090", "/api", "", "[::1]:9090", 9090},
	    {"https://[2001:db8::2]", "https", "2001:db8::2", "", "", "", "[2001:db8::2]", 443},
	    {"http://h/a@b:c", "http", "h", "", "/a@b:c", "", "h", 80},
	    {"http://h/%2e%2E", "http", "h", "", "/%2e%2E", "", "h", 80},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		check_split(&rows[i]);
}

static void
test_split_bad(void **state)
{
	static const struct {
		const char *text, *msg;
	} rows[] = {
	    {"", "URL: must start with http:// or https://"},
	    {"example.com", "URL: must start with http:// or https://"},
	    {"ftp://h/", "URL: must start with http:// or https://"},
	    {"HTTP://h/", "URL: must start with http:// or https://"},
	    {"http:/h/", "URL: must start with http:// or https://"},
	    {"https:", "URL: must start with http:// or https://"},
	    {"http://", "URL: the host is missing"},
	    {"http:///path", "URL: the host is missing"},
	    {"http://:80/", "URL: the host is missing"},
	    {"http://user:hunter2@h/", "URL: user information is not allowed"},
	    {"http://@h/", "URL: user information is not allowed"},
	    {"http://h/#top", "URL: a fragment is not allowed"},
	    {"http://h\\@evil/", "URL: back-slashes are not allowed"},
	    {"http://%68/", "URL: a character in the host is not allowed"},
	    {"http://h;x/", "URL: a character in the host is not allowed"},
	    {"http://::1/", "URL: the host is missing"},
	    {"http://[::1/", "URL: broken IPv6 address"},
	    {"http://[]/", "URL: broken IPv6 address"},
	    {"http://[::g]/", "URL: broken IPv6 address"},
	    {"http://[fe80::1%25eth0]/", "URL: broken IPv6 address"},
	    {"http://[1.2.3.4]/", "URL: broken IPv6 address"},
	    {"http://[::1]x/", "URL: unexpected text behind the host"},
	    {"http://h:/", "URL: the port is not a number from 1 to 65535"},
	    {"http://h:0/", "URL: the port is not a number from 1 to 65535"},
	    {"http://h:65536/", "URL: the port is not a number from 1 to 65535"},
	    {"http://h:+80/", "URL: the port is not a number from 1 to 65535"},
	    {"http://h:80:80/", "URL: the port is not a number from 1 to 65535"},
	};
	static const char *const blank[] = {
	    " http://h/",	 "http://h/ ",	  "http://h/a b",
	    "http://h/\r\nX: y", "http://h/\x7F", "http://gr\xC3\xBC\xC3\x9F.example/",
	};
	struct uri u;
	struct err err;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		assert_int_equal(uri_split(sv_of(rows[i].text), &u, &err), -1);
		assert_int_equal(err.kind, ERR_USAGE);
		assert_string_equal(err.msg, rows[i].msg);
	}
	for (size_t i = 0; i < ARRAY_LEN(blank); i++) {
		assert_int_equal(uri_split(sv_of(blank[i]), &u, &err), -1);
		assert_non_null(strstr(err.msg, "must be percent-encoded"));
	}
	assert_int_equal(uri_split(SV("http://h/\0"), &u, &err), -1);
	assert_int_equal(uri_split(SV("nothing"), &u, NULL), -1);
}

static void
test_form(void **state)
{
	CLEANUP(buf_done) struct buf b = BUF_INIT(100);

	(void)state;
	form_add(&b, "Action", SV("Assume Role"));
	form_add(&b, "a&b", SV("c=d+\xC3\xBC"));
	form_add(&b, "empty", SV(""));
	assert_string_equal(buf_cstr(&b), "Action=Assume%20Role&a%26b=c%3Dd%2B%C3%BC&empty=");
}

static void
test_loopback(void **state)
{
	static const char *const here[] = {
	    "localhost",       "LocalHost", "127.0.0.1",       "127.0.0.2",
	    "127.255.255.255", "::1",	    "0:0:0:0:0:0:0:1", "::ffff:127.0.0.1",
	};
	static const char *const elsewhere[] = {
	    "127.example.com",
	    "127.0.0.1.example.com",
	    "127.",
	    "127.1",
	    "0177.0.0.1",
	    "0x7f000001",
	    "127.0.0.256",
	    "127.0.0.1 ",
	    "127.0.0.1 10.0.0.1",
	    "0127.0.0.1",
	    "::ffff:10.0.0.1",
	    "128.0.0.1",
	    "126.255.255.255",
	    "10.0.0.127",
	    "0.0.0.0",
	    "169.254.169.254",
	    "localhost.example.com",
	    "localhos",
	    "::",
	    "::2",
	    "1::1",
	    "",
	    "127.0.0.1................................................................",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(here); i++)
		if (!uri_is_loopback(sv_of(here[i])))
			fail_msg("%s is this machine", here[i]);
	for (size_t i = 0; i < ARRAY_LEN(elsewhere); i++)
		if (uri_is_loopback(sv_of(elsewhere[i])))
			fail_msg("%s is not this machine", elsewhere[i]);
	assert_true(uri_is_loopback((struct sv){"127.0.0.1.example.com", 9}));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_encode),	  cmocka_unit_test(test_decode),
	    cmocka_unit_test(test_encode_decode), cmocka_unit_test(test_split),
	    cmocka_unit_test(test_split_bad),	  cmocka_unit_test(test_form),
	    cmocka_unit_test(test_loopback),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
