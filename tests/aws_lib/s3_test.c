/* S3 by script: what is sent, and what each answer, right or wrong, is taken for. */
#include "aws/s3.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <strings.h>
#include <cmocka.h>

#include "aws/aws_err.h"
#include "aws/endpoint.h"
#include "aws/sigv4.h"
#include "base/cleanup.h"
#include "tests/support/data.h"
#include "tests/support/fake_transport.h"

#define SCRIPT_MAX 24

/* An answer sorted as on the wire. */
#define A(code, head, text)                                                                        \
	{                                                                                          \
		.status = (code), .headers = (head), .body = (text), .classify = aws_classify      \
	}
/* No answer at all. */
#define LOST                                                                                       \
	{                                                                                          \
		.kind = ERR_TRANSIENT                                                              \
	}
#define ETAG	   "etag: \"e1\"\n"
#define XML_ERR(c) "<Error><Code>" c "</Code><Message>m</Message></Error>"

struct fixture {
	struct clock *clock;
	struct transport *fake, *top;
	struct cred_source *creds;
	struct s3 *s3;
	struct fake_answer script[SCRIPT_MAX];
	struct err err;
	char etag[S3_ETAG_MAX];
};

static int
setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	(void)unsetenv("AWS_ENDPOINT_URL");
	(void)unsetenv("AWS_ENDPOINT_URL_S3");
	(void)setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE", 1);
	(void)setenv("AWS_SECRET_ACCESS_KEY", "secret", 1);
	f->clock = clock_fake_new(1767225600000);
	assert_int_equal(cred_env_new(&f->creds, NULL), 0);
	*state = f;
	return 0;
}

static int
teardown(void **state)
{
	struct fixture *f = *state;

	s3_free(f->s3);
	transport_free(f->top);
	cred_source_free(f->creds);
	clock_fake_free(f->clock);
	free(f);
	return 0;
}

static struct s3_conf
conf_of(const struct fixture *f)
{
	return (struct s3_conf){.transport = f->top,
				.creds = f->creds,
				.bucket = "buck",
				.region = "eu-west-1",
				.multipart_above = 10,
				.part_bytes = 8,
				.spool_part = 8};
}

/* retry > sign > script, and a bucket on it. */
static void
play(struct fixture *f, const struct fake_answer *script, size_t n, const struct s3_conf *conf)
{
	struct transport *sign = NULL;
	struct s3_conf own = conf ? *conf : conf_of(f);

	s3_free(f->s3);
	transport_free(f->top);
	f->s3 = NULL;
	f->top = NULL;
	assert_true(n <= SCRIPT_MAX);
	memcpy(f->script, script, n * sizeof(*script));
	f->fake = fake_transport_new(f->script, n, f->clock);
	assert_non_null(f->fake);
	assert_int_equal(sign_transport_new(f->fake, f->clock, &sign, NULL), 0);
	assert_int_equal(retry_transport_new(sign, 3, 1, f->clock, &f->top, NULL), 0);
	own.transport = f->top;
	own.creds = f->creds;
	assert_int_equal(s3_new(&own, &f->s3, NULL), 0);
	err_clear(&f->err);
}
#define PLAY(f, ...)                                                                               \
	do {                                                                                       \
		const struct fake_answer script_[] = {__VA_ARGS__};                                \
		play((f), script_, ARRAY_LEN(script_), NULL);                                      \
	} while (0)

static const struct s3_put create = {.create = true, .content_type = "application/zstd"};
static const struct s3_put match = {.match = "\"e0\""};
static const struct s3_put any = {0};

static int
put(struct fixture *f, const struct s3_put *opt, const char *text)
{
	return s3_put(f->s3, "a/b", sv_of(text), opt, f->etag, &f->err);
}

static void
expect(struct fixture *f, int result, enum err_kind kind, int calls)
{
	if (result == 0 && kind != ERR_NONE)
		fail_msg("success");
	if (result < 0 && f->err.kind != kind)
		fail_msg("%s: %s", err_kind_name(f->err.kind), f->err.msg);
	assert_int_equal(fake_calls(f->fake), calls);
}

/* The value of a header of the i-th call; NULL if it was not sent. */
static char *
sent(struct fixture *f, size_t i, const char *name)
{
	char *line = fake_call(f->fake, i)->headers;
	size_t n = strlen(name);

	for (; line && *line; line = strchr(line, '\n') + 1)
		if (strncasecmp(line, name, n) == 0 && line[n] == ':')
			return strndup(line + n + 2, strcspn(line + n + 2, "\n"));
	return NULL;
}

static void
assert_sent(struct fixture *f, size_t i, const char *name, const char *value)
{
	char *is = sent(f, i, name);

	if (!value ? is != NULL : !is || strcmp(is, value) != 0)
		fail_msg("%s: %s", name, is ? is : "not sent");
	free(is);
}

/* ---- what is sent ---- */

static void
test_put_headers(void **state)
{
	struct fixture *f = *state;
	struct s3_conf conf = conf_of(f);
	const struct fake_answer script[] = {A(200, ETAG, "")};
	struct s3_put opt = create;
	char *authorization;

	conf.expected_owner = "111122223333";
	conf.kms_key = "arn:aws:kms:eu-west-1:111122223333:key/k";
	opt.meta[opt.n_meta++] = (struct http_header){"format", "1"};
	play(f, script, 1, &conf);
	expect(f, put(f, &opt, "hello"), ERR_NONE, 1);
	assert_string_equal(f->etag, "\"e1\"");
	assert_string_equal(fake_call(f->fake, 0)->method, "PUT");
	assert_string_equal(fake_call(f->fake, 0)->url,
			    "https://buck.s3.eu-west-1.amazonaws.com/a/b");
	assert_sent(f, 0, "Content-Type", "application/zstd");
	assert_sent(f, 0, "If-None-Match", "*");
	assert_sent(f, 0, "If-Match", NULL);
	assert_sent(f, 0, "x-amz-expected-bucket-owner", "111122223333");
	assert_sent(f, 0, "x-amz-server-side-encryption", "aws:kms");
	assert_sent(f, 0, "x-amz-server-side-encryption-aws-kms-key-id", conf.kms_key);
	assert_sent(f, 0, "x-amz-meta-muster-format", "1");
	assert_sent(f, 0, "x-amz-checksum-sha256", "LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ=");
	authorization = sent(f, 0, "Authorization");
	assert_non_null(authorization);
	assert_non_null(strstr(authorization, "/eu-west-1/s3/aws4_request"));
	for (size_t i = 0; i < 6; i++) {
		static const char *const names[] = {"content-type",
						    "if-none-match",
						    "x-amz-checksum-sha256",
						    "x-amz-expected-bucket-owner",
						    "x-amz-meta-muster-nonce",
						    "x-amz-server-side-encryption-aws-kms-key-id"};
		assert_non_null(strstr(authorization, names[i]));
	}
	free(authorization);
	PLAY(f, A(200, ETAG, ""));
	expect(f, put(f, &match, "x"), ERR_NONE, 1);
	assert_sent(f, 0, "If-Match", "\"e0\"");
	assert_sent(f, 0, "x-amz-server-side-encryption", NULL);
	assert_sent(f, 0, "x-amz-expected-bucket-owner", NULL);
}

static void
test_addresses(void **state)
{
	struct fixture *f = *state;
	struct s3_conf conf = conf_of(f);
	const struct fake_answer script[] = {A(200, ETAG, "x")};
	CLEANUP(resp_done) struct http_resp resp;

	resp_init(&resp, 10);
	conf.bucket = "with.dots";
	play(f, script, 1, &conf);
	assert_int_equal(s3_get(f->s3, "a b/+", &resp, &f->err), 0);
	assert_string_equal(fake_call(f->fake, 0)->url,
			    "https://s3.eu-west-1.amazonaws.com/with.dots/a%20b/%2B");
	(void)setenv("AWS_ENDPOINT_URL", "http://localhost:9000/", 1);
	play(f, script, 1, NULL);
	assert_int_equal(s3_get(f->s3, "k", &resp, &f->err), 0);
	assert_string_equal(fake_call(f->fake, 0)->url, "http://localhost:9000/buck/k");
	(void)setenv("AWS_ENDPOINT_URL_S3", "http://minio:1", 1);
	play(f, script, 1, NULL);
	assert_int_equal(s3_get(f->s3, "k", &resp, &f->err), 0);
	assert_string_equal(fake_call(f->fake, 0)->url, "http://minio:1/buck/k");
	assert_sent(f, 0, "x-amz-checksum-mode", "ENABLED");
}

/* Of the vectors: ordinary buckets in regions, by name or, behind an endpoint of one's own, by
 * path. */
static bool
applies(const json_t *params)
{
	static const char *const flags[] = {"Accelerate",   "UseGlobalEndpoint",
					    "UseS3Express", "UseObjectLambdaEndpoint",
					    "UseArnRegion", "DisableAccessPoints",
					    "UseS3Express", "DisableMultiRegionAccessPoints"};
	const char *bucket = data_str(params, "Bucket");
	bool own = *data_str(params, "Endpoint");

	for (size_t i = 0; i < ARRAY_LEN(flags); i++)
		if (json_is_true(json_object_get(params, flags[i])))
			return false;
	return strlen(bucket) >= 3 && !strstr(bucket, "--") &&
	       strspn(bucket, "abcdefghijklmnopqrstuvwxyz0123456789.-") == strlen(bucket) &&
	       region_valid(sv_of(data_str(params, "Region"))) &&
	       own == json_is_true(json_object_get(params, "ForcePathStyle"));
}

static void
check_address(struct fixture *f, const json_t *j)
{
	const struct fake_answer script[] = {A(200, ETAG, "x")};
	const json_t *params = json_object_get(j, "params");
	const char *expected =
	    data_str(json_object_get(json_object_get(j, "expect"), "endpoint"), "url");
	struct s3_conf conf = conf_of(f);
	CLEANUP(buf_done) struct buf url = BUF_INIT(2000);
	CLEANUP(resp_done) struct http_resp resp;
	struct s3 *refused = NULL;

	resp_init(&resp, 10);
	conf.bucket = data_str(params, "Bucket");
	conf.region = data_str(params, "Region");
	(void)setenv("AWS_ENDPOINT_URL", data_str(params, "Endpoint"), 1);
	(void)setenv("AWS_USE_FIPS_ENDPOINT",
		     json_is_true(json_object_get(params, "UseFIPS")) ? "true" : "", 1);
	(void)setenv("AWS_USE_DUALSTACK_ENDPOINT",
		     json_is_true(json_object_get(params, "UseDualStack")) ? "true" : "", 1);
	if (!*expected) {
		if (!s3_new(&conf, &refused, NULL))
			fail_msg("%s: no error", data_str(j, "documentation"));
		return;
	}
	play(f, script, 1, &conf);
	assert_int_equal(s3_get(f->s3, "k", &resp, &f->err), 0);
	buf_fmt(&url, "%s/k", expected);
	if (strcmp(fake_call(f->fake, 0)->url, buf_cstr(&url)) != 0)
		fail_msg("%s: %s instead of %s", data_str(j, "documentation"),
			 fake_call(f->fake, 0)->url, buf_cstr(&url));
}

static void
test_address_vectors(void **state)
{
	CLEANUP(json_decrefp) json_t *doc = NULL;
	const json_t *j;
	int n = 0;
	size_t i;

	data_or_skip();
	doc = data_json("endpoints/s3.json");
	json_array_foreach(json_object_get(doc, "testCases"), i, j)
	{
		if (!applies(json_object_get(j, "params")))
			continue;
		check_address(*state, j);
		n++;
	}
	(void)unsetenv("AWS_ENDPOINT_URL");
	(void)unsetenv("AWS_USE_FIPS_ENDPOINT");
	(void)unsetenv("AWS_USE_DUALSTACK_ENDPOINT");
	print_message("%d addresses\n", n);
	assert_true(n >= 13);
}

/* ---- conditions and lost replies ---- */

/* The nonce is random: an echo answers HEAD with what the first call brought. */
static char echo[256];

static int
classify_echo(const struct http_req *req, const struct http_resp *resp, struct err *err)
{
	for (size_t i = 0; i < req->n_headers; i++)
		if (strcmp(req->headers[i].name, "x-amz-meta-muster-nonce") == 0)
			(void)snprintf(echo, sizeof(echo), "etag: \"mine\"\n%s: %s\n",
				       "x-amz-meta-muster-nonce", req->headers[i].value);
	return aws_classify(req, resp, err);
}
#define E(code, head, text)                                                                        \
	{                                                                                          \
		.status = (code), .headers = (head), .body = (text), .classify = classify_echo     \
	}

static void
test_conflicts(void **state)
{
	struct fixture *f = *state;
	const struct s3_put *both[] = {&create, &match};

	for (size_t i = 0; i < 2; i++) {
		/* Somebody else's; nobody's; ours. */
		PLAY(f, E(412, "", XML_ERR("PreconditionFailed")),
		     A(200, ETAG "x-amz-meta-muster-nonce: 00\n", ""));
		expect(f, put(f, both[i], "x"), ERR_CONFLICT, 2);
		assert_string_equal(fake_call(f->fake, 1)->method, "HEAD");
		PLAY(f, E(412, "", XML_ERR("PreconditionFailed")), A(404, "", ""));
		expect(f, put(f, both[i], "x"), ERR_CONFLICT, 2);
		PLAY(f, LOST, E(412, "", XML_ERR("PreconditionFailed")), A(200, echo, ""));
		expect(f, put(f, both[i], "x"), ERR_NONE, 3);
		assert_string_equal(f->etag, "\"mine\"");
		/* It cannot be seen whose. */
		PLAY(f, E(412, "", XML_ERR("PreconditionFailed")), A(403, "", ""));
		expect(f, put(f, both[i], "x"), ERR_TRANSIENT, 2);
		PLAY(f, E(412, "", XML_ERR("PreconditionFailed")), LOST);
		expect(f, put(f, both[i], "x"), ERR_TRANSIENT, 4);
		/* A race is tried again, but not for ever. */
		PLAY(f, A(409, "", XML_ERR("ConditionalRequestConflict")), A(200, ETAG, ""));
		expect(f, put(f, both[i], "x"), ERR_NONE, 2);
		PLAY(f, A(409, "", XML_ERR("ConditionalRequestConflict")));
		expect(f, put(f, both[i], "x"), ERR_TRANSIENT, 3);
	}
	PLAY(f, A(404, "", XML_ERR("NoSuchKey")));
	expect(f, put(f, &match, "x"), ERR_CONFLICT, 1);
	/* A 409 without words, or with others, is no word about the condition. */
	PLAY(f, A(409, "", "<html>"));
	expect(f, put(f, &create, "x"), ERR_TRANSIENT, 1);
	/* A 200 that is no answer of S3: looked at. */
	PLAY(f, E(200, "", "<html>welcome</html>"), A(404, "", ""));
	expect(f, put(f, &create, "x"), ERR_TRANSIENT, 2);
	PLAY(f, E(200, "", ""), A(200, echo, ""));
	expect(f, put(f, &create, "x"), ERR_NONE, 2);
}

static void
test_refusals(void **state)
{
	static const struct {
		int status;
		const char *body, *words;
		enum err_kind kind;
		int calls;
	} cases[] = {
	    {403, XML_ERR("AccessDenied"), "PutObject on bucket buck is denied", ERR_AUTH, 1},
	    {404, XML_ERR("NoSuchBucket"), "bucket buck does not exist", ERR_AUTH, 1},
	    {400, XML_ERR("KMS.DisabledException"), "its KMS key cannot be used", ERR_AUTH, 1},
	    {400, XML_ERR("KMS.ThrottlingException"), "", ERR_THROTTLED, 3},
	    {503, XML_ERR("SlowDown"), "", ERR_THROTTLED, 3},
	    {400, XML_ERR("RequestTimeout"), "", ERR_TRANSIENT, 3},
	    {400, XML_ERR("BadDigest"), "", ERR_TRANSIENT, 3},
	    {409, XML_ERR("OperationAborted"), "", ERR_TRANSIENT, 3},
	    {501, XML_ERR("NotImplemented"), "cannot do", ERR_REJECTED, 1},
	    {200, XML_ERR("InternalError"), "", ERR_TRANSIENT, 3},
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		PLAY(f, A(cases[i].status, "", cases[i].body));
		expect(f, put(f, &any, "x"), cases[i].kind, cases[i].calls);
		assert_non_null(strstr(f->err.msg, cases[i].words));
	}
}

static void
test_get(void **state)
{
	struct fixture *f = *state;
	CLEANUP(resp_done) struct http_resp resp;
	const char *good = ETAG "content-length: 5\n"
				"x-amz-checksum-sha256: "
				"LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ=\n";
	const char *parts = ETAG "x-amz-checksum-sha256: "
				 "LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ=-2\n";
	const char *meta =
	    ETAG "x-amz-meta-muster-sha256: "
		 "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824\n";

	resp_init(&resp, 5);
#define GET() (resp_reset(&resp), err_clear(&f->err), s3_get(f->s3, "a/b", &resp, &f->err))
	PLAY(f, A(200, good, "hello"));
	expect(f, GET(), ERR_NONE, 1);
	assert_string_equal(buf_cstr(&resp.body), "hello");
	/* Once more, then it is believed that they are damaged. */
	PLAY(f, A(200, good, "hellO"), A(200, good, "hello"));
	expect(f, GET(), ERR_NONE, 2);
	PLAY(f, A(200, good, "hellO"));
	expect(f, GET(), ERR_DATA, 2);
	PLAY(f, A(200, good, "hell"));
	expect(f, GET(), ERR_TRANSIENT, 2);
	/* The checksum of parts is another thing; the one beside it tells. */
	PLAY(f, A(200, parts, "other"));
	expect(f, GET(), ERR_NONE, 1);
	PLAY(f, A(200, meta, "hello"));
	expect(f, GET(), ERR_NONE, 1);
	PLAY(f, A(200, meta, "other"));
	expect(f, GET(), ERR_DATA, 2);
	PLAY(f, A(200, ETAG, "longer"));
	expect(f, GET(), ERR_LOCAL, 1);
	assert_int_equal(resp.body.max, 5);
	/* Only S3's own word is that there is none. */
	PLAY(f, A(404, "", XML_ERR("NoSuchKey")));
	expect(f, GET(), ERR_NOTFOUND, 1);
	PLAY(f, A(404, "", XML_ERR("NoSuchBucket")));
	expect(f, GET(), ERR_AUTH, 1);
	PLAY(f, A(404, "", "<html>not found</html>"));
	expect(f, GET(), ERR_DATA, 1);
	PLAY(f, A(404, "", ""));
	expect(f, GET(), ERR_DATA, 1);
	PLAY(f, A(403, "", XML_ERR("AccessDenied")));
	expect(f, GET(), ERR_AUTH, 1);
	assert_non_null(strstr(f->err.msg, "s3:ListBucket"));
}

static void
test_head_and_delete(void **state)
{
	struct fixture *f = *state;
	CLEANUP(resp_done) struct http_resp resp;

	resp_init(&resp, 100);
	PLAY(f, A(403, "", ""));
	expect(f, s3_head(f->s3, "k", &resp, &f->err), ERR_AUTH, 1);
	assert_non_null(strstr(f->err.msg, "HeadObject on bucket buck is denied"));
	PLAY(f, A(404, "", ""));
	expect(f, s3_head(f->s3, "k", &resp, &f->err), ERR_NOTFOUND, 1);
	PLAY(f, A(204, "", ""));
	expect(f, s3_delete(f->s3, "k", &f->err), ERR_NONE, 1);
	PLAY(f, A(404, "", XML_ERR("NoSuchKey")));
	expect(f, s3_delete(f->s3, "k", &f->err), ERR_NONE, 1);
	PLAY(f, A(404, "", ""));
	expect(f, s3_delete(f->s3, "k", &f->err), ERR_DATA, 1);
	PLAY(f, A(404, "", XML_ERR("NoSuchBucket")));
	expect(f, s3_delete(f->s3, "k", &f->err), ERR_AUTH, 1);
}

/* ---- regions ---- */

#define TO_OHIO "x-amz-bucket-region: us-east-2\n"

static void
assert_ohio(struct fixture *f, size_t i)
{
	char *authorization = sent(f, i, "Authorization");

	assert_string_equal(fake_call(f->fake, i)->url,
			    "https://buck.s3.us-east-2.amazonaws.com/a/b");
	assert_non_null(strstr(authorization, "/us-east-2/s3/"));
	free(authorization);
}

static void
test_regions(void **state)
{
	static const struct {
		struct fake_answer first;
		bool kept;
	} cases[] = {
	    {A(301, TO_OHIO, XML_ERR("PermanentRedirect")), true},
	    {A(301, "", "<Error><Code>PermanentRedirect</Code><Region>us-east-2</Region></Error>"),
	     true},
	    {A(400, "",
	       "<Error><Code>AuthorizationHeaderMalformed</Code>"
	       "<Region>us-east-2</Region></Error>"),
	     true},
	    {A(400, TO_OHIO, ""), true},
	    {A(403, TO_OHIO, ""), true},
	    {A(307, TO_OHIO, XML_ERR("TemporaryRedirect")), false},
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		PLAY(f, cases[i].first, A(200, ETAG, ""));
		expect(f, put(f, &create, "x"), ERR_NONE, 2);
		assert_ohio(f, 1);
		(void)put(f, &create, "x");
		assert_string_equal(fake_call(f->fake, 2)->url,
				    cases[i].kept ? "https://buck.s3.us-east-2.amazonaws.com/a/b"
						  : "https://buck.s3.eu-west-1.amazonaws.com/a/b");
	}
}

/* Once only, and never to where an answer would like. */
static void
test_bad_redirects(void **state)
{
	static const struct fake_answer bad[] = {
	    A(301, "x-amz-bucket-region: evil.example/\n", ""),
	    A(301, "x-amz-bucket-region: eu-west-1\n", ""),
	    A(301, "location: http://169.254.169.254/\n", ""),
	    A(301, "",
	      "<Error><Code>PermanentRedirect</Code><Endpoint>evil.example</Endpoint></Error>"),
	    A(302, TO_OHIO, ""),
	    A(400, "", "<Error><Region>../../x</Region></Error>"),
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		PLAY(f, bad[i]);
		expect(f, put(f, &create, "x"), ERR_REJECTED, 1);
	}
	PLAY(f, A(301, TO_OHIO, ""), A(301, "x-amz-bucket-region: us-west-1\n", ""));
	expect(f, put(f, &create, "x"), ERR_REJECTED, 2);
}

/* ---- in parts ---- */

#define BODY "0123456789abcdefghij" /* three parts of at most eight */
#define BEGUN                                                                                      \
	A(200, "",                                                                                 \
	  "<InitiateMultipartUploadResult><UploadId>u/1</UploadId></"                              \
	  "InitiateMultipartUploadResult>")
#define BEGUN_E                                                                                    \
	E(200, "",                                                                                 \
	  "<InitiateMultipartUploadResult><UploadId>u/1</UploadId></"                              \
	  "InitiateMultipartUploadResult>")
#define PARTS                                                                                      \
	A(200, "etag: \"p1\"\n", ""), A(200, "etag: \"p2\"\n", ""), A(200, "etag: \"p3\"\n", "")
#define RESULT                                                                                     \
	"<?xml version=\"1.0\"?>\n<CompleteMultipartUploadResult>"                                 \
	"<ETag>&quot;all-3&quot;</ETag><Key>a/b</Key></CompleteMultipartUploadResult>"
#define ABORTED A(204, "", "")

static void
test_parts(void **state)
{
	struct fixture *f = *state;
	CLEANUP(buf_done) struct buf want = BUF_INIT(4096);

	PLAY(f, BEGUN, PARTS, A(200, "", RESULT));
	expect(f, put(f, &create, BODY), ERR_NONE, 5);
	assert_string_equal(f->etag, "\"all-3\"");
	assert_true(sv_ends(sv_of(fake_call(f->fake, 0)->url), SV("/a/b?uploads=")));
	assert_sent(f, 0, "x-amz-checksum-algorithm", "SHA256");
	assert_sent(f, 0, "If-None-Match", NULL);
	assert_true(sv_ends(sv_of(fake_call(f->fake, 2)->url), SV("?partNumber=2&uploadId=u%2F1")));
	assert_string_equal(fake_call(f->fake, 2)->body, "89abcdef");
	assert_string_equal(fake_call(f->fake, 3)->body, "ghij");
	assert_true(sv_ends(sv_of(fake_call(f->fake, 4)->url), SV("?uploadId=u%2F1")));
	assert_sent(f, 4, "If-None-Match", "*");
	buf_str(&want, "<CompleteMultipartUpload "
		       "xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">");
	for (int i = 1; i <= 3; i++) {
		char *sum = sent(f, (size_t)i, "x-amz-checksum-sha256");

		buf_fmt(&want,
			"<Part><PartNumber>%d</PartNumber><ETag>\"p%d\"</ETag>"
			"<ChecksumSHA256>%s</ChecksumSHA256></Part>",
			i, i, sum);
		free(sum);
	}
	buf_str(&want, "</CompleteMultipartUpload>");
	assert_string_equal(fake_call(f->fake, 4)->body, buf_cstr(&want));
}

static int
put_spool(struct fixture *f, const struct s3_put *opt, const char *text)
{
	struct spool body = SPOOL_INIT;
	int r;

	assert_int_equal(spool_add(&body, sv_of(text), NULL), 0);
	r = s3_put_spool(f->s3, "a/b", &body, opt, f->etag, &f->err);
	spool_done(&body);
	return r;
}

static void
test_spool_in_parts(void **state)
{
	struct fixture *f = *state;
	char sum[SHA256_HEX_LEN + 1];

	PLAY(f, BEGUN, PARTS, A(200, "", RESULT));
	expect(f, put_spool(f, &create, BODY), ERR_NONE, 5);
	assert_string_equal(f->etag, "\"all-3\"");
	assert_string_equal(fake_call(f->fake, 1)->body, "01234567");
	assert_string_equal(fake_call(f->fake, 2)->body, "89abcdef");
	assert_string_equal(fake_call(f->fake, 3)->body, "ghij");
	sha256_hex(SV(BODY), sum);
	assert_sent(f, 0, "x-amz-meta-muster-sha256", sum);
	assert_sent(f, 4, "If-None-Match", "*");
	/* One that fits in a part goes up in one piece. */
	PLAY(f, A(200, ETAG, ""));
	expect(f, put_spool(f, &create, "01234567"), ERR_NONE, 1);
	assert_string_equal(fake_call(f->fake, 0)->method, "PUT");
	/* What cannot be completed is aborted. */
	PLAY(f, BEGUN, A(200, "etag: \"p1\"\n", ""), A(403, "", XML_ERR("AccessDenied")), ABORTED);
	expect(f, put_spool(f, &create, BODY), ERR_AUTH, 4);
	assert_string_equal(fake_call(f->fake, 3)->method, "DELETE");
}

static int
get_spool(struct fixture *f, const char *want)
{
	CLEANUP(buf_done) struct buf all = BUF_INIT(1000);
	CLEANUP(resp_done) struct http_resp resp;
	struct spool out = SPOOL_INIT;
	int r;

	resp_init(&resp, 0);
	r = s3_get_spool(f->s3, "a/b", &out, &resp, &f->err);
	if (!r) {
		assert_int_equal(spool_load(&out, &all, NULL), 0);
		assert_string_equal(buf_cstr(&all), want);
	}
	spool_done(&out);
	return r;
}

#define RANGE(span) ETAG "content-range: bytes " span "/20\n"

static void
test_get_in_ranges(void **state)
{
	struct fixture *f = *state;
	char sum[SHA256_HEX_LEN + 1], told[256];

	sha256_hex(SV(BODY), sum);
	(void)snprintf(told, sizeof(told), RANGE("16-19") "x-amz-meta-muster-sha256: %s\n", sum);
#define FIRST  A(206, RANGE("0-7"), "01234567")
#define SECOND A(206, RANGE("8-15"), "89abcdef")
	PLAY(f, FIRST, SECOND, A(206, told, "ghij"));
	expect(f, get_spool(f, BODY), ERR_NONE, 3);
	assert_sent(f, 0, "Range", "bytes=0-7");
	assert_sent(f, 0, "If-Match", NULL);
	assert_sent(f, 2, "Range", "bytes=16-23");
	assert_sent(f, 2, "If-Match", "\"e1\"");
	/* Damaged on the way. */
	PLAY(f, FIRST, A(206, RANGE("8-15"), "89abcdeX"), A(206, told, "ghij"));
	expect(f, get_spool(f, BODY), ERR_DATA, 3);
	/* A store that knows no ranges, and an object that is smaller than one. */
	PLAY(f, A(200, ETAG, BODY));
	expect(f, get_spool(f, BODY), ERR_NONE, 1);
	PLAY(f, A(206, ETAG "content-range: bytes 0-2/3\n", "abc"));
	expect(f, get_spool(f, "abc"), ERR_NONE, 1);
	/* Not what was asked for. */
	PLAY(f, FIRST, A(206, RANGE("0-7"), "01234567"));
	expect(f, get_spool(f, ""), ERR_TRANSIENT, 2);
	PLAY(f, FIRST, A(206, ETAG "content-range: bytes 8-15/21\n", "89abcdef"));
	expect(f, get_spool(f, ""), ERR_TRANSIENT, 2);
	PLAY(f, FIRST, A(200, ETAG, BODY));
	expect(f, get_spool(f, ""), ERR_TRANSIENT, 2);
	PLAY(f, FIRST, A(206, RANGE("8-15"), "89"));
	expect(f, get_spool(f, ""), ERR_TRANSIENT, 2);
	PLAY(f, FIRST, A(206, RANGE("8-7"), ""));
	expect(f, get_spool(f, ""), ERR_TRANSIENT, 2);
	PLAY(f, FIRST, A(412, "", XML_ERR("PreconditionFailed")));
	expect(f, get_spool(f, ""), ERR_TRANSIENT, 2);
	PLAY(f, A(404, "", XML_ERR("NoSuchKey")));
	expect(f, get_spool(f, ""), ERR_NOTFOUND, 1);
	PLAY(f, FIRST, A(404, "", ""));
	expect(f, get_spool(f, ""), ERR_DATA, 2);
}

/* However much of the answer came: without all of it nothing is stored, unless a look says so. */
static void
test_complete_cut_off(void **state)
{
	struct fixture *f = *state;

	for (size_t n = 0; n < strlen(RESULT); n++) {
		char cut[sizeof(RESULT)];

		(void)snprintf(cut, sizeof(cut), "%.*s", (int)n, RESULT);
		PLAY(f, BEGUN, PARTS, A(200, "", cut), A(404, "", ""), A(200, "", cut),
		     A(404, "", ""), A(200, "", cut), A(404, "", ""), ABORTED);
		expect(f, put(f, &create, BODY), ERR_TRANSIENT, 11);
		assert_string_equal(fake_call(f->fake, 10)->method, "DELETE");
		PLAY(f, BEGUN_E, PARTS, A(200, "", cut), A(200, echo, ""));
		expect(f, put(f, &create, BODY), ERR_NONE, 6);
		assert_string_equal(f->etag, "\"mine\"");
	}
}

static void
test_complete_other_answers(void **state)
{
	static const char *const bad[] = {
	    "   \n", "<CompleteMultipartUploadResult/>",
	    "<CompleteMultipartUploadResult><ETag></ETag></CompleteMultipartUploadResult>",
	    "<html><ETag>x</ETag></html>"};
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		PLAY(f, BEGUN, PARTS, A(200, "", bad[i]), A(404, "", ""), A(200, "", RESULT));
		expect(f, put(f, &create, BODY), ERR_NONE, 7);
	}
	/* An error in a 200, also behind blanks: three times, a look, the end. */
	PLAY(f, BEGUN, PARTS, A(200, "", "\n\n " XML_ERR("InternalError")),
	     A(200, "", "<?xml version=\"1.0\"?>" XML_ERR("InternalError")),
	     A(200, "", XML_ERR("InternalError")), A(404, "", ""), ABORTED);
	expect(f, put(f, &create, BODY), ERR_TRANSIENT, 9);
	/* Refused for good: no look, no second time. */
	PLAY(f, BEGUN, PARTS, A(400, "", XML_ERR("InvalidPart")), ABORTED);
	expect(f, put(f, &create, BODY), ERR_REJECTED, 6);
	/* Another was first. */
	PLAY(f, BEGUN, PARTS, A(412, "", XML_ERR("PreconditionFailed")),
	     A(200, ETAG "x-amz-meta-muster-nonce: 00\n", ""), ABORTED);
	expect(f, put(f, &create, BODY), ERR_CONFLICT, 7);
	/* The answer was lost, and S3 no longer knows the upload: it was completed. */
	PLAY(f, BEGUN_E, PARTS, LOST, A(404, "", XML_ERR("NoSuchUpload")), A(200, echo, ""));
	expect(f, put(f, &create, BODY), ERR_NONE, 7);
	/* It does not know it, and there is nothing: once more from the start. */
	PLAY(f, BEGUN, PARTS, A(404, "", XML_ERR("NoSuchUpload")), A(404, "", ""), BEGUN, PARTS,
	     A(200, "", RESULT));
	expect(f, put(f, &create, BODY), ERR_NONE, 11);
	/* A part that cannot be had. */
	PLAY(f, BEGUN, A(403, "", XML_ERR("AccessDenied")), ABORTED);
	expect(f, put(f, &create, BODY), ERR_AUTH, 3);
	PLAY(f, A(200, "", "<InitiateMultipartUploadResult/>"));
	expect(f, put(f, &create, BODY), ERR_TRANSIENT, 1);
}

/* What a service really sent. */
static void
test_complete_recorded(void **state)
{
	struct fixture *f = *state;
	struct buf body;

	data_read("aws/recorded/s3.CompleteMultipartUpload/test_s3_multipart_file__1/body.xml",
		  &body);
	PLAY(f, BEGUN, PARTS, A(200, "", body.p));
	expect(f, put(f, &create, BODY), ERR_NONE, 5);
	assert_string_equal(f->etag, "\"62fab0c89818028866ed731aa8278264-4\"");
	buf_done(&body);
}

/* ---- listings ---- */

static int
add_key(const char *key, void *arg)
{
	buf_fmt(arg, "[%s]", key);
	return 0;
}

static int
enough(const char *key, void *arg)
{
	(void)key;
	++*(int *)arg;
	return 1;
}

#define PAGE(more, token, keys)                                                                    \
	A(200, "",                                                                                 \
	  "<ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">"                   \
	  "<EncodingType>url</EncodingType><IsTruncated>" more "</IsTruncated>" token keys         \
	  "</ListBucketResult>")
#define TOKEN(t) "<NextContinuationToken>" t "</NextContinuationToken>"
#define KEY(k)	 "<Contents><Key>" k "</Key><Size>1</Size></Contents>"

static void
test_list(void **state)
{
	struct fixture *f = *state;
	CLEANUP(buf_done) struct buf out = BUF_INIT(10000);
	int n = 0;

	PLAY(f, PAGE("true", TOKEN("a+/="), KEY("p/a+b%2Bc")), PAGE("true", TOKEN("t2"), ""),
	     PAGE("false", "", KEY("p/%C3%A9%0A") KEY("p/%F0%9F%98%80")));
	expect(f, s3_list(f->s3, "p/", add_key, &out, &f->err), ERR_NONE, 3);
	assert_string_equal(buf_cstr(&out), "[p/a b+c][p/\xC3\xA9\n][p/\xF0\x9F\x98\x80]");
	assert_string_equal(fake_call(f->fake, 1)->url,
			    "https://buck.s3.eu-west-1.amazonaws.com/"
			    "?list-type=2&encoding-type=url&continuation-token=a%2B%2F%3D"
			    "&prefix=p%2F");
	PLAY(f, PAGE("true", TOKEN("t"), KEY("p/a") KEY("p/b")));
	expect(f, s3_list(f->s3, "p/", enough, &n, &f->err), ERR_NONE, 1);
	assert_int_equal(n, 1);
}

static void
test_bad_lists(void **state)
{
	static const struct {
		struct fake_answer first, second;
		int calls;
	} cases[] = {
	    {PAGE("true", TOKEN("t"), KEY("p/a")), PAGE("true", TOKEN("t"), KEY("p/b")), 2},
	    {PAGE("true", "", KEY("p/a")), A(500, "", ""), 1},
	    {PAGE("true", TOKEN(""), KEY("p/a")), A(500, "", ""), 1},
	    {PAGE("true", TOKEN("t"), KEY("p/b")), PAGE("false", "", KEY("p/a")), 2},
	    {PAGE("true", TOKEN("t"), KEY("p/b")), PAGE("false", "", KEY("p/b")), 2},
	    {PAGE("false", "", KEY("q/a")), A(500, "", ""), 1},
	    {PAGE("false", "", KEY("p/%zz")), A(500, "", ""), 1},
	    {PAGE("false", "", KEY("p/%00")), A(500, "", ""), 1},
	    {PAGE("false", "", "<Contents/>"), A(500, "", ""), 1},
	    {A(200, "", "<ListBucketResult><Contents>"), A(500, "", ""), 1},
	    {A(200, "", ""), A(500, "", ""), 1},
	    {A(200, "", "<html/>"), A(500, "", ""), 1},
	};
	struct fixture *f = *state;
	CLEANUP(buf_done) struct buf out = BUF_INIT(10000);

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		PLAY(f, cases[i].first, cases[i].second);
		expect(f, s3_list(f->s3, "p/", add_key, &out, &f->err), ERR_DATA, cases[i].calls);
	}
	PLAY(f, A(403, "", XML_ERR("AccessDenied")));
	expect(f, s3_list(f->s3, "p/", add_key, &out, &f->err), ERR_AUTH, 1);
}

/* A key may have 1,024 bytes, and not one more. */
static void
test_long_keys(void **state)
{
	struct fixture *f = *state;

	for (size_t n = S3_KEY_MAX; n <= S3_KEY_MAX + 1; n++) {
		CLEANUP(buf_done) struct buf out = BUF_INIT(10000), page = BUF_INIT(10000);
		bool fits = n == S3_KEY_MAX;

		buf_fmt(&page,
			"<ListBucketResult><Contents><Key>%0*d</Key></Contents>"
			"</ListBucketResult>",
			(int)n, 0);
		PLAY(f, A(200, "", buf_cstr(&page)));
		expect(f, s3_list(f->s3, "", add_key, &out, &f->err), fits ? ERR_NONE : ERR_LOCAL,
		       1);
		assert_int_equal(out.n, fits ? n + 2 : 0);
	}
}

static void
test_old_uploads(void **state)
{
#define UPLOAD(k, id, when)                                                                        \
	"<Upload><Key>" k "</Key><UploadId>" id "</UploadId><Initiated>" when                      \
	"</Initiated></Upload>"
	struct fixture *f = *state;
	size_t aborted = 0;

	PLAY(f,
	     A(200, "date: Fri, 02 Jan 2026 12:00:00 GMT\n",
	       "<ListMultipartUploadsResult>" UPLOAD("p/a", "1", "2026-01-01T11:59:59.000Z")
		   UPLOAD("p/b", "2", "2026-01-01T12:00:01.000Z") UPLOAD(
		       "q/c", "3", "2025-01-01T00:00:00.000Z") "</ListMultipartUploadsResult>"),
	     ABORTED);
	expect(f, s3_abort_old(f->s3, "p/", &aborted, &f->err), ERR_NONE, 2);
	assert_int_equal(aborted, 1);
	assert_true(sv_ends(sv_of(fake_call(f->fake, 1)->url), SV("/p/a?uploadId=1")));
	/* Without a date nothing is known to be old. */
	PLAY(f, A(200, "",
		  "<ListMultipartUploadsResult>" UPLOAD(
		      "p/a", "1", "2026-01-01T11:59:59.000Z") "</ListMultipartUploadsResult>"));
	expect(f, s3_abort_old(f->s3, "p/", &aborted, &f->err), ERR_NONE, 1);
	assert_int_equal(aborted, 0);
}

int
main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
	    T(test_put_headers),       T(test_addresses),
	    T(test_address_vectors),   T(test_conflicts),
	    T(test_refusals),	       T(test_get),
	    T(test_head_and_delete),   T(test_regions),
	    T(test_bad_redirects),     T(test_parts),
	    T(test_spool_in_parts),    T(test_get_in_ranges),
	    T(test_complete_cut_off),  T(test_complete_other_answers),
	    T(test_complete_recorded), T(test_list),
	    T(test_bad_lists),	       T(test_old_uploads),
	    T(test_long_keys),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
