/* Signatures against published vectors, at each stage. */
#include "aws/sigv4.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <strings.h>
#include <cmocka.h>

#include "base/cleanup.h"
#include "fmt/codec.h"
#include "fmt/uri.h"
#include "tests/support/data.h"

#define KEY_ID	   "AKIDEXAMPLE"
#define SECRET	   "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
#define EMPTY_HASH "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

struct vector {
	const char *method, *path, *query, *host, *body, *date, *region, *service;
	struct http_header headers[6]; /* beside host and x-amz-date */
	bool s3;
	const char *signature;
};

/* Checked with aws-c-auth's suite (the first two) and botocore (the others). */
static const struct vector vectors[] = {
    {
	.method = "GET",
	.path = "/",
	.host = "example.amazonaws.com",
	.date = "20150830T123600Z",
	.region = "us-east-1",
	.service = "service",
	.signature = "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31",
    },
    {
	.method = "GET",
	.path = "",
	.query = "Param2=value2&Param1=value1",
	.host = "example.amazonaws.com",
	.date = "20150830T123600Z",
	.region = "us-east-1",
	.service = "service",
	.signature = "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500",
    },
    {
	.method = "POST",
	.path = "/",
	.host = "sts.us-east-1.amazonaws.com",
	.body = "Action=GetCallerIdentity&Version=2011-06-15",
	.date = "20260101T000000Z",
	.region = "us-east-1",
	.service = "sts",
	.headers = {{"Content-Type", "application/x-www-form-urlencoded; charset=utf-8"},
		    {"X-Amz-Security-Token", "TESTTOKEN/+="}},
	.signature = "f9d65dc7eb137e3ea43f02c3e7055f9e3030e3f30d54ba1cd746b0aa6b11688e",
    },
    {
	.method = "POST",
	.path = "/",
	.host = "monitoring.eu-west-1.amazonaws.com",
	.body = "{\"Namespace\":\"AWS/ECS\"}",
	.date = "20260101T000000Z",
	.region = "eu-west-1",
	.service = "monitoring",
	.headers = {{"x-amz-target", "GraniteServiceVersion20100801.ListMetrics"},
		    {"content-type", "application/x-amz-json-1.0"}},
	.signature = "30b97ffbd014d580b43f931f0e9c58e6046b0302fbed799f6379a84c29b2dd28",
    },
    {
	.method = "PUT",
	.path = "/b/acct%3D1/a%20b%2Bc.zst",
	.host = "s3.eu-west-1.amazonaws.com",
	.body = "hello",
	.date = "20260101T000000Z",
	.region = "eu-west-1",
	.service = "s3",
	.headers = {{"x-amz-server-side-encryption-aws-kms-key-id", "k1"},
		    {"x-amz-server-side-encryption", "aws:kms"},
		    {"if-none-match", "*"},
		    {"x-amz-content-sha256",
		     "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"}},
	.s3 = true,
	.signature = "bea4e07d8027a9e9d1e7feeb0ac3305c656c782e3054af98bc1ddcc498985b5b",
    },
    {
	.method = "POST",
	.path = "/b/k",
	.query = "uploads",
	.host = "s3.eu-west-1.amazonaws.com",
	.date = "20260101T000000Z",
	.region = "eu-west-1",
	.service = "s3",
	.headers = {{"x-amz-content-sha256", EMPTY_HASH}},
	.s3 = true,
	.signature = "2c3bed6f286945a70a5a399005f265574172848e4e7ec425940c94e1737456dd",
    },
    {
	.method = "GET",
	.path = "/workspaces/ws-1/rulegroupsnamespaces/a%20b",
	.host = "aps.eu-west-1.amazonaws.com",
	.date = "20260101T000000Z",
	.region = "eu-west-1",
	.service = "aps",
	.signature = "7cce78a4758f6e26e1d399817a0e85863d3d358aa627bc9bb49458ec02dfd434",
    },
};

/* What came out at each stage. */
struct stages {
	struct buf canonical, names, to_sign;
	char signature[SHA256_HEX_LEN + 1];
};

static void
stages_done(struct stages *s)
{
	buf_done(&s->canonical);
	buf_done(&s->names);
	buf_done(&s->to_sign);
}

static void
run(const struct sigv4_input *in, const char *secret, struct stages *s)
{
	struct secret key = {0};
	struct err err;

	*s = (struct stages){
	    .canonical = BUF_INIT(1u << 20),
	    .names = BUF_INIT(1u << 20),
	    .to_sign = BUF_INIT(1u << 20),
	};
	assert_int_equal(sigv4_canonical(in, &s->canonical, &s->names, &err), 0);
	sigv4_string_to_sign(in, buf_view(&s->canonical), &s->to_sign);
	assert_int_equal(secret_set(&key, sv_of(secret), &err), 0);
	sigv4_signature(in, &key, buf_view(&s->to_sign), s->signature);
	secret_done(&key);
}

static void
check_vector(const struct vector *v)
{
	CLEANUP(stages_done) struct stages s = {0};
	struct http_header headers[8] = {{"Host", v->host}, {"X-Amz-Date", v->date}};
	char hash[SHA256_HEX_LEN + 1];
	struct sigv4_input in = {
	    .method = sv_of(v->method),
	    .path = sv_of(v->path),
	    .query = sv_of(v->query),
	    .headers = headers,
	    .n_headers = 2,
	    .payload_hash = hash,
	    .region = v->region,
	    .service = v->service,
	    .amz_date = v->date,
	    .s3_rules = v->s3,
	};

	sha256_hex(sv_of(v->body), hash);
	for (size_t i = 0; v->headers[i].name; i++)
		headers[in.n_headers++] = v->headers[i];
	run(&in, SECRET, &s);
	assert_string_equal(s.signature, v->signature);
}

static void
test_builtin_vectors(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(vectors); i++)
		check_vector(&vectors[i]);
}

static void
test_authorization(void **state)
{
	CLEANUP(buf_done) struct buf out = BUF_INIT(4096);
	CLEANUP(cred_done) struct cred cred = {.key_id = KEY_ID};
	const struct http_header headers[] = {{"Host", "example.amazonaws.com"},
					      {"X-Amz-Date", "20150830T123600Z"}};
	const struct sigv4_input in = {
	    .method = SV("GET"),
	    .path = SV("/"),
	    .headers = headers,
	    .n_headers = 2,
	    .payload_hash = EMPTY_HASH,
	    .region = "us-east-1",
	    .service = "service",
	    .amz_date = "20150830T123600Z",
	};

	(void)state;
	assert_int_equal(secret_set(&cred.secret, SV(SECRET), NULL), 0);
	assert_int_equal(sigv4_authorization(&in, &cred, &out, NULL), 0);
	assert_string_equal(
	    buf_cstr(&out),
	    "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, "
	    "SignedHeaders=host;x-amz-date, "
	    "Signature=5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31");
}

/* Line `n` (from 0) of the canonical request. */
static void
assert_canonical_line(const struct sigv4_input *in, int n, const char *expected)
{
	CLEANUP(stages_done) struct stages s = {0};
	const char *p, *end;

	run(in, SECRET, &s);
	p = buf_cstr(&s.canonical);
	while (n--)
		p = strchr(p, '\n') + 1;
	end = strchr(p, '\n');
	assert_int_equal(end - p, strlen(expected));
	assert_memory_equal(p, expected, strlen(expected));
}

static void
test_paths_and_queries(void **state)
{
	static const struct {
		const char *path, *query, *canonical_path, *canonical_query;
		bool s3;
	} cases[] = {
	    {"", "", "/", "", false},
	    {"/a//b/", "", "/a/b/", "", false},
	    {"/../..", "", "/", "", false},
	    {"/a/b/..", "", "/a", "", false},
	    {"/a/b/../", "", "/a/", "", false},
	    {"/./a/./", "", "/a/", "", false},
	    {"/a%2Fb", "", "/a%252Fb", "", false},
	    {"/a//b/../c", "", "/a//b/../c", "", true},
	    {"/a%2Fb", "", "/a%2Fb", "", true},
	    /* one spelling for each byte */
	    {"/", "a=%7e&b=%2f&c=a+b&d=%zz", "/", "a=~&b=%2F&c=a%2Bb&d=%25zz", false},
	    {"/", "b=2&a=2&a=1&a", "/", "a=&a=1&a=2&b=2", false},
	    {"/", "&&a=b=c&", "/", "a=b%3Dc", false},
	    /* sorted by the encoded name: '-' is before '=' in the text, but a < a- */
	    {"/", "a-=1&a=2", "/", "a=2&a-=1", false},
	    {"/", "=v", "/", "=v", false},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const struct sigv4_input in = {
		    .method = SV("GET"),
		    .path = sv_of(cases[i].path),
		    .query = sv_of(cases[i].query),
		    .payload_hash = EMPTY_HASH,
		    .region = "r",
		    .service = "s",
		    .amz_date = "20150830T123600Z",
		    .s3_rules = cases[i].s3,
		};

		assert_canonical_line(&in, 1, cases[i].canonical_path);
		assert_canonical_line(&in, 2, cases[i].canonical_query);
	}
}

/* ---- vectors from files ---- */

enum { MAX_HEADERS = 32 };

struct file_case {
	struct http_header headers[MAX_HEADERS];
	size_t n_headers;
	struct buf path; /* as on the wire */
	struct buf token;
	char hash[SHA256_HEX_LEN + 1];
	struct sigv4_input in;
};

static void
file_case_done(struct file_case *c)
{
	buf_done(&c->path);
	buf_done(&c->token);
}

static void
add_header(struct file_case *c, const char *name, const char *value)
{
	assert_true(c->n_headers < MAX_HEADERS);
	for (size_t i = 0; i < c->n_headers; i++)
		if (strcasecmp(name, "x-amz-date") == 0 &&
		    strcasecmp(c->headers[i].name, name) == 0)
			return; /* the older cases bring it along */
	c->headers[c->n_headers++] = (struct http_header){name, value};
}

static bool
flag(const json_t *context, const char *key, bool absent)
{
	const json_t *j = json_object_get(context, key);

	return j ? json_is_true(j) : absent;
}

static void
set_target(struct file_case *c, const char *target, bool s3)
{
	const char *q = strchr(target, '?');
	struct sv path = {target, q ? (size_t)(q - target) : strlen(target)};

	c->path = BUF_INIT(4096);
	/* The published S3 cases give keys, not what is on the wire. */
	if (s3)
		uri_encode(&c->path, path, true);
	else
		buf_sv(&c->path, path);
	c->in.path = buf_view(&c->path);
	c->in.query = q ? sv_of(q + 1) : SV("");
}

/* One of the older cases shows its token nowhere but in the canonical request. */
static void
find_token(const json_t *j, struct file_case *c)
{
	static const char name[] = "\nx-amz-security-token:";
	const json_t *context = json_object_get(j, "context");
	const char *given = data_str(json_object_get(context, "credentials"), "token");
	const char *line = strstr(data_str(j, "canonical_request"), name);

	c->token = BUF_INIT(4096);
	for (size_t i = 0; i < c->n_headers; i++)
		if (strcasecmp(c->headers[i].name, "x-amz-security-token") == 0)
			return;
	if (*given && !flag(context, "omit_session_token", false))
		buf_str(&c->token, given);
	else if (line)
		buf_add(&c->token, line + strlen(name), strcspn(line + strlen(name), "\n"));
}

static void
load_case(const json_t *j, struct file_case *c)
{
	const json_t *request = json_object_get(j, "request");
	const json_t *context = json_object_get(j, "context");
	bool s3 = !flag(context, "double_encode_path", true);
	const json_t *pair;
	size_t i;

	set_target(c, data_str(request, "target"), s3);
	sha256_hex(sv_of(data_str(request, "body")), c->hash);
	json_array_foreach(json_object_get(request, "headers"), i, pair)
	    add_header(c, json_string_value(json_array_get(pair, 0)),
		       json_string_value(json_array_get(pair, 1)));
	add_header(c, "X-Amz-Date", data_str(context, "amz_date"));
	find_token(j, c);
	if (c->token.n)
		add_header(c, "X-Amz-Security-Token", buf_cstr(&c->token));
	if (flag(context, "sign_body", false))
		add_header(c, "x-amz-content-sha256", c->hash);
	c->in.method = sv_of(data_str(request, "method"));
	c->in.headers = c->headers;
	c->in.n_headers = c->n_headers;
	c->in.payload_hash = c->hash;
	c->in.region = data_str(context, "region");
	c->in.service = data_str(context, "service");
	c->in.amz_date = data_str(context, "amz_date");
	c->in.s3_rules = s3;
	c->in.no_normalize = !flag(context, "normalize", true);
}

static void
compare(const json_t *j, const struct sigv4_input *in, const char *secret)
{
	CLEANUP(stages_done) struct stages s = {0};

	run(in, secret, &s);
	if (strcmp(buf_cstr(&s.canonical), data_str(j, "canonical_request")) != 0 ||
	    strcmp(buf_cstr(&s.to_sign), data_str(j, "string_to_sign")) != 0 ||
	    strcmp(s.signature, data_str(j, "signature")) != 0)
		fail_msg("%s:\n%s\n-- expected\n%s", data_str(j, "name"), buf_cstr(&s.canonical),
			 data_str(j, "canonical_request"));
}

static void
check_file_case(const json_t *j)
{
	CLEANUP(file_case_done) struct file_case c = {0};
	const json_t *credentials = json_object_get(json_object_get(j, "context"), "credentials");

	load_case(j, &c);
	compare(j, &c.in, data_str(credentials, "secret_access_key"));
}

/* Returns how many cases were compared. */
static int
check_file(const char *path)
{
	CLEANUP(json_decrefp) json_t *cases = data_json(path);
	const json_t *j;
	int n = 0;
	size_t i;

	json_array_foreach(cases, i, j)
	{
		if (flag(json_object_get(j, "context"), "presign", false))
			continue; /* no requests are signed in the query here */
		check_file_case(j);
		n++;
	}
	return n;
}

static void
test_suite_header_cases(void **state)
{
	(void)state;
	assert_int_equal(check_file("sigv4/header-cases.json"), 38);
}

static void
test_suite_legacy_cases(void **state)
{
	(void)state;
	assert_int_equal(check_file("sigv4/legacy-header-cases.json"), 34);
}

static void
test_s3_documentation_cases(void **state)
{
	(void)state;
	assert_int_equal(check_file("sigv4/s3-documentation-cases.json"), 4);
}

static void
test_path_encoding(void **state)
{
	(void)state;
	assert_int_equal(check_file("sigv4/path-encoding-case.json"), 1);
}

/* The body of a request, as it is or from base64. */
static void
request_body(const json_t *request, struct buf *out)
{
	const json_t *base64 = json_object_get(request, "body_base64");

	if (base64)
		assert_true(base64_decode(out, sv_of(json_string_value(base64))));
	else
		buf_str(out, data_str(request, "body"));
}

static void
check_signed_request(const json_t *j)
{
	CLEANUP(file_case_done) struct file_case c = {0};
	CLEANUP(buf_done) struct buf body = BUF_INIT(1u << 20);
	const json_t *request = json_object_get(j, "request");
	const json_t *signing = json_object_get(j, "signing");
	const char *name;
	json_t *value;

	request_body(request, &body);
	sha256_hex(buf_view(&body), c.hash);
	set_target(&c, data_str(request, "path"), false);
	add_header(&c, "Host", data_str(request, "host"));
	json_object_foreach(json_object_get((json_t *)(uintptr_t)request, "headers"), name,
			    value) if (strcasecmp(name, "authorization") != 0 &&
				       strcasecmp(name, "user-agent") != 0)
	    add_header(&c, name, json_string_value(value));
	c.in.method = sv_of(data_str(request, "method"));
	c.in.headers = c.headers;
	c.in.n_headers = c.n_headers;
	c.in.payload_hash = c.hash;
	c.in.region = data_str(signing, "region");
	c.in.service = data_str(signing, "service");
	c.in.amz_date = data_str(signing, "amz_date");
	c.in.s3_rules = strcmp(c.in.service, "s3") == 0;
	compare(j, &c.in, data_str(signing, "secret_access_key"));
}

static void
test_signed_requests(void **state)
{
	CLEANUP(json_decrefp) json_t *cases = data_json("requests/signed-requests.json");
	const json_t *j;
	size_t i;

	(void)state;
	assert_int_equal(json_array_size(cases), 34);
	json_array_foreach(cases, i, j) check_signed_request(j);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_builtin_vectors),
	    cmocka_unit_test(test_authorization),
	    cmocka_unit_test(test_paths_and_queries),
	    cmocka_unit_test(test_suite_header_cases),
	    cmocka_unit_test(test_suite_legacy_cases),
	    cmocka_unit_test(test_s3_documentation_cases),
	    cmocka_unit_test(test_path_encoding),
	    cmocka_unit_test(test_signed_requests),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
