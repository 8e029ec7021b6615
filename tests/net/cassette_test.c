/* Cassettes: what was put in comes out, and one that somebody tampered with is refused in words. */
#include "net/cassette.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "fmt/archive.h"

static const struct archive_limits roomy = {100, 1u << 20, 1u << 22};

static struct exchange *
an_exchange(const char *body, const char *answer)
{
	struct exchange *e = exchange_new();

	assert_non_null(e);
	(void)snprintf(e->service, sizeof(e->service), "monitoring");
	(void)snprintf(e->operation, sizeof(e->operation), "ListMetrics");
	(void)snprintf(e->account, sizeof(e->account), "111122223333");
	(void)snprintf(e->region, sizeof(e->region), "eu-west-1");
	(void)snprintf(e->method, sizeof(e->method), "POST");
	buf_str(&e->path, "/");
	buf_str(&e->headers, "Content-Type: text/plain\n");
	buf_str(&e->answer_headers, "date: today\nempty: \n");
	buf_str(&e->body, body);
	buf_str(&e->answer, answer);
	e->status = 200;
	return e;
}

static struct cassette *
a_cassette(void)
{
	struct cassette *c = cassette_new();
	struct exchange *lost;

	assert_non_null(c);
	c->now_ms = 1767240000000;
	c->wall_ms = 1767240000123;
	assert_int_equal(cassette_add_arg(c, "run", NULL), 0);
	assert_int_equal(cassette_add_arg(c, "--job", NULL), 0);
	assert_int_equal(cassette_add_env(c, "NAME", "value", NULL), 0);
	assert_int_equal(cassette_add_file(&c->config, "muster.yaml", SV("{}\n"), NULL), 0);
	assert_int_equal(cassette_add_file(&c->state, "tenants/a/b.json", SV("{}"), NULL), 0);
	assert_int_equal(cassette_add(c, an_exchange("{\"a\": 1}\n", "<x/>"), NULL), 0);
	assert_int_equal(cassette_add(c, an_exchange("Action=A&B=c%20d", "\xff\x00"), NULL), 0);
	assert_int_equal(cassette_add(c, an_exchange("", "line\nline"), NULL), 0);
	lost = an_exchange("x", "");
	lost->status = 0;
	lost->outcome = ERR_TRANSIENT;
	(void)snprintf(lost->code, sizeof(lost->code), "Gone");
	assert_int_equal(cassette_add(c, lost, NULL), 0);
	return c;
}

static void
test_round_trip(void **state)
{
	struct buf one = BUF_INIT(1u << 20), two = BUF_INIT(1u << 20);
	struct cassette *c = a_cassette(), *d = NULL;
	struct err err = {0};

	(void)state;
	assert_int_equal(cassette_pack(c, &one, &err), 0);
	assert_int_equal(cassette_unpack(buf_view(&one), &d, &err), 0);
	assert_int_equal(d->n, 4);
	assert_int_equal(d->now_ms, c->now_ms);
	assert_int_equal(d->wall_ms, c->wall_ms);
	assert_string_equal(d->args[1], "--job");
	assert_string_equal(d->env[0].value, "value");
	assert_string_equal(d->state.v[0].name, "tenants/a/b.json");
	for (size_t i = 0; i < d->n; i++) {
		assert_true(
		    sv_eq(buf_view(&c->exchanges[i]->body), buf_view(&d->exchanges[i]->body)));
		assert_true(
		    sv_eq(buf_view(&c->exchanges[i]->answer), buf_view(&d->exchanges[i]->answer)));
		assert_true(sv_eq(buf_view(&c->exchanges[i]->answer_headers),
				  buf_view(&d->exchanges[i]->answer_headers)));
	}
	assert_string_equal(d->exchanges[0]->name, "000001-monitoring-ListMetrics");
	assert_int_equal(d->exchanges[3]->outcome, ERR_TRANSIENT);
	assert_string_equal(d->exchanges[3]->code, "Gone");
	assert_int_equal(cassette_pack(d, &two, &err), 0);
	assert_true(sv_eq(buf_view(&one), buf_view(&two)));
	cassette_free(c);
	cassette_free(d);
	buf_done(&one);
	buf_done(&two);
}

#define INDEX                                                                                      \
	"{\"cassette\": 1, \"exchanges\": 1, \"now\": \"2026-01-01T00:00:00Z\","                   \
	" \"clock\": \"2026-01-01T00:00:00Z\", \"command\": [\"run\"]}"
#define REQUEST                                                                                    \
	"{\"request\": {\"service\": \"s\", \"operation\": \"o\", \"account\": \"\","              \
	" \"region\": \"r\", \"method\": \"POST\", \"path\": \"/\"}, "
#define GOOD REQUEST "\"response\": {\"status\": 200, \"outcome\": \"none\"}}"

/* Pairs of name and text, and what is said of it (NULL: it is fine). */
static const struct {
	const char *files[6];
	const char *error;
} cases[] = {
    {{"index.json", INDEX, "exchanges/1/exchange.json", GOOD}, NULL},
    {{"exchanges/1/exchange.json", GOOD}, "it does not begin with index.json"},
    {{"index.json", INDEX}, "index.json tells of 1 exchanges, there are 0"},
    {{"index.json", "{}"}, "cassette"},
    {{"index.json", "{\"cassette\": 2}"}, "a cassette of format 2; this version reads 1"},
    {{"index.json", INDEX, "bin/sh", "x"}, "bin/sh: no part of a cassette"},
    {{"index.json", INDEX, "exchanges/x", "x"}, "exchanges/x: not a file of an exchange"},
    {{"index.json", INDEX, "exchanges/1/response.txt", "x"},
     "exchanges/1/response.txt: stands alone"},
    {{"index.json", INDEX, "exchanges/1/exchange.json", GOOD, "exchanges/1/more", "x"},
     "more: belongs to no exchange"},
    {{"index.json", INDEX, "exchanges/1/exchange.json", "{"}, "exchange.json"},
    {{"index.json", INDEX, "exchanges/1/exchange.json", "{}"}, "request"},
    {{"index.json", INDEX, "exchanges/1/exchange.json",
      REQUEST "\"response\": {\"status\": 0, \"outcome\": \"none\"}}"},
     "/response: a success without an answer"},
    {{"index.json", INDEX, "exchanges/1/exchange.json",
      REQUEST "\"response\": {\"status\": 200, \"outcome\": \"fine\"}}"},
     "/response/outcome: unknown word"},
    {{"index.json", INDEX, "exchanges/1/exchange.json",
      REQUEST "\"response\": {\"status\": 200, \"outcome\": \"none\","
	      " \"headers\": {\"a\": \"b\\r\\nc: d\"}}}"},
     "/response/headers: not a header"},
    {{"index.json", INDEX, "exchanges/1/exchange.json",
      REQUEST "\"response\": {\"status\": 200, \"outcome\": \"none\", \"body\": \"x\"}}"},
     "exchanges/1: x is missing"},
};

static void
test_tampered(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct buf bytes = BUF_INIT(1u << 20);
		struct archive_out *a = NULL;
		struct cassette *c = NULL;
		struct err err = {0};
		int r;

		assert_int_equal(archive_out_new(&roomy, &a, &err), 0);
		for (size_t k = 0; k < 6 && cases[i].files[k]; k += 2)
			assert_int_equal(archive_out_add(a, cases[i].files[k],
							 sv_of(cases[i].files[k + 1]), &err),
					 0);
		assert_int_equal(archive_out_finish(a, &bytes, &err), 0);
		archive_out_free(a);
		r = cassette_unpack(buf_view(&bytes), &c, &err);
		assert_int_equal(r, cases[i].error ? -1 : 0);
		if (cases[i].error && !strstr(err.msg, cases[i].error))
			assert_string_equal(err.msg, cases[i].error);
		if (!r)
			cassette_free(c);
		buf_done(&bytes);
	}
}

static void
test_outcomes(void **state)
{
	enum err_kind k;

	(void)state;
	assert_true(exchange_outcome_parse("throttled", &k));
	assert_int_equal(k, ERR_THROTTLED);
	assert_false(exchange_outcome_parse("", &k));
	assert_false(exchange_outcome_parse("unknown", &k));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_round_trip),
	    cmocka_unit_test(test_tampered),
	    cmocka_unit_test(test_outcomes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
