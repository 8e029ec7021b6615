/* STS: AssumeRole and GetCallerIdentity, what is asked and which answers are believed. */
#include "aws/sts.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "aws/aws_err.h"
#include "aws/sts_call.h"
#include "base/cleanup.h"
#include "base/timefmt.h"
#include "tests/support/data.h"
#include "tests/support/fake_transport.h"

#define START_MS 1767225600000
#define ARN	 "arn:aws:sts::111122223333:assumed-role/reader/muster-acme"
#define KEYS                                                                                       \
	"<Credentials><AccessKeyId>ASIAEXAMPLE</AccessKeyId><SecretAccessKey>sec&amp;ret"          \
	"</SecretAccessKey><SessionToken>to/ken+=</SessionToken><Expiration>"                      \
	"2026-01-01T01:00:00Z</Expiration></Credentials>"
#define ANSWER(arn, keys)                                                                          \
	"<AssumeRoleResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">"                 \
	"<AssumeRoleResult><AssumedRoleUser><AssumedRoleId>AROA:x</AssumedRoleId><Arn>" arn        \
	"</Arn></AssumedRoleUser>" keys "</AssumeRoleResult><ResponseMetadata><RequestId>1"        \
	"</RequestId></ResponseMetadata></AssumeRoleResponse>"
#define DENIED                                                                                     \
	"<ErrorResponse><Error><Type>Sender</Type><Code>AccessDenied</Code><Message>User: x is "   \
	"not authorized to perform: sts:AssumeRole</Message></Error><RequestId>r-1</RequestId>"    \
	"</ErrorResponse>"

static int
no_get(struct cred_source *s, const char *stale, struct cred *ret, struct err *err)
{
	(void)s;
	(void)stale;
	(void)ret;
	return err_set(err, ERR_LOCAL, "nobody signs here");
}

static void
no_free(struct cred_source *s)
{
	(void)s;
}

static struct cred_source nobody = {
    &(const struct cred_source_ops){"nobody", no_get, no_free, NULL},
};

struct fixture {
	struct clock *clock;
	struct transport *fake;
	struct assume_role role;
	struct err err;
};

static void
begin(struct fixture *f, const struct fake_answer *answers, size_t n)
{
	memset(f, 0, sizeof(*f));
	f->clock = clock_fake_new(START_MS);
	assert_non_null(f->clock);
	f->fake = fake_transport_new(answers, n, f->clock);
	assert_non_null(f->fake);
	f->role = (struct assume_role){
	    .endpoint = "https://sts.eu-west-1.amazonaws.com",
	    .region = "eu-west-1",
	    .role_arn = "arn:aws:iam::111122223333:role/reader",
	    .external_id = "id/1=",
	    .session_name = "muster-acme",
	    .expect_account = "111122223333",
	};
}

#define BEGIN(f, answers) begin((f), (answers), ARRAY_LEN(answers))

static void
end(struct fixture *f)
{
	transport_free(f->fake);
	clock_fake_free(f->clock);
}

static int
assume(struct fixture *f, struct cred *c)
{
	struct cred_source *s;
	int r;

	err_clear(&f->err);
	assert_int_equal(cred_sts_new(f->fake, &nobody, &f->role, &s, NULL), 0);
	r = cred_get(s, NULL, c, &f->err);
	cred_source_free(s);
	return r;
}

static void
test_assume_role(void **state)
{
	static const struct fake_answer answers[] = {{.body = ANSWER(ARN, KEYS)}};
	CLEANUP(cred_done) struct cred c = {0};
	struct fixture f;

	(void)state;
	BEGIN(&f, answers);
	assert_int_equal(assume(&f, &c), 0);
	assert_string_equal(c.key_id, "ASIAEXAMPLE");
	assert_string_equal(c.secret.p, "sec&ret");
	assert_string_equal(c.token.p, "to/ken+=");
	assert_string_equal(c.account, "111122223333");
	assert_int_equal(c.expires_wall_ms, START_MS + 3600000);
	assert_string_equal(
	    fake_call(f.fake, 0)->body,
	    "Action=AssumeRole&Version=2011-06-15"
	    "&RoleArn=arn%3Aaws%3Aiam%3A%3A111122223333%3Arole%2Freader"
	    "&RoleSessionName=muster-acme&DurationSeconds=3600&ExternalId=id%2F1%3D");
	assert_string_equal(fake_call(f.fake, 0)->headers,
			    "Content-Type: application/x-www-form-urlencoded; charset=utf-8\n");
	end(&f);
}

static void
test_options(void **state)
{
	static const struct fake_answer answers[] = {{.body = ANSWER(ARN, KEYS)}};
	CLEANUP(cred_done) struct cred c = {0};
	struct fixture f;

	(void)state;
	BEGIN(&f, answers);
	f.role.external_id = NULL;
	f.role.source_identity = "acme";
	f.role.duration_s = 900;
	f.role.expect_account = NULL;
	assert_int_equal(assume(&f, &c), 0);
	assert_non_null(strstr(fake_call(f.fake, 0)->body, "&DurationSeconds=900"));
	assert_non_null(strstr(fake_call(f.fake, 0)->body, "&SourceIdentity=acme"));
	assert_null(strstr(fake_call(f.fake, 0)->body, "ExternalId"));
	end(&f);
}

static void
assert_refused(const char *body, enum err_kind kind, const char *text)
{
	const struct fake_answer answers[] = {{.body = body, .classify = aws_classify}};
	CLEANUP(cred_done) struct cred c = {0};
	struct fixture f;

	BEGIN(&f, answers);
	assert_int_equal(assume(&f, &c), -1);
	if (f.err.kind != kind || !strstr(f.err.msg, text))
		fail_msg("expected %s with \"%s\", got %s: %s", err_kind_name(kind), text,
			 err_kind_name(f.err.kind), f.err.msg);
	assert_null(strstr(f.err.msg, "sec&ret"));
	assert_null(strstr(f.err.msg, "to/ken"));
	assert_int_equal(c.key_id[0], '\0');
	assert_null(c.secret.p);
	end(&f);
}

static void
test_wrong_account(void **state)
{
	(void)state;
	assert_refused(ANSWER("arn:aws:sts::999988887777:assumed-role/reader/x", KEYS), ERR_AUTH,
		       "account 999988887777 instead of 111122223333");
}

static void
test_answers_that_are_none(void **state)
{
	static const char *const broken[] = {
	    "",
	    "<html>",
	    "{}",
	    "<AssumeRoleResponse/>",
	    ANSWER(ARN, ""),
	    ANSWER("", KEYS),
	    ANSWER("arn:aws:sts::1111:assumed-role/reader/x", KEYS),
	    ANSWER("arn:aws:sts::11112222333x:assumed-role/reader/x", KEYS),
	    ANSWER("arn:aws:sts", KEYS),
	    ANSWER(ARN, "<Credentials><AccessKeyId>A</AccessKeyId><SecretAccessKey>sec&amp;ret"
			"</SecretAccessKey><SessionToken>to/ken+=</SessionToken>"
			"<Expiration>later</Expiration></Credentials>"),
	    ANSWER(ARN, "<Credentials><AccessKeyId>A</AccessKeyId><SecretAccessKey>"
			"</SecretAccessKey><SessionToken>to/ken+=</SessionToken>"
			"<Expiration>2026-01-01T01:00:00Z</Expiration></Credentials>"),
	    "<!DOCTYPE a [<!ENTITY b \"c\">]>" ANSWER(ARN, KEYS),
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(broken); i++)
		assert_refused(broken[i], ERR_DATA, "STS");
}

/* Fails with this status and body, and checks the kind and a part of the text. */
static void
assert_error(int status, const char *body, enum err_kind kind, const char *text)
{
	const struct fake_answer answers[] = {
	    {.status = status, .body = body, .classify = aws_classify}};
	CLEANUP(cred_done) struct cred c = {0};
	struct fixture f;

	BEGIN(&f, answers);
	assert_int_equal(assume(&f, &c), -1);
	if (f.err.kind != kind || !strstr(f.err.msg, text))
		fail_msg("expected %s with \"%s\", got %s: %s", err_kind_name(kind), text,
			 err_kind_name(f.err.kind), f.err.msg);
	assert_non_null(strstr(f.err.msg, "role/reader"));
	end(&f);
}

static void
test_errors(void **state)
{
	(void)state;
	assert_error(403, DENIED, ERR_AUTH, "trust policy");
	assert_error(403, DENIED, ERR_AUTH, "external id is the configured one");
	assert_error(
	    400,
	    "<ErrorResponse><Error><Code>ValidationError</Code><Message>The requested "
	    "DurationSeconds exceeds the MaxSessionDuration</Message></Error></ErrorResponse>",
	    ERR_AUTH, "DurationSeconds");
	assert_error(403,
		     "<ErrorResponse><Error><Code>RegionDisabledException</Code></Error>"
		     "</ErrorResponse>",
		     ERR_AUTH, "RegionDisabledException");
	assert_error(403, "<ErrorResponse><Error><Code>ExpiredToken</Code></Error></ErrorResponse>",
		     ERR_AUTH, "ExpiredToken");
	assert_error(400, "<ErrorResponse><Error><Code>Throttling</Code></Error></ErrorResponse>",
		     ERR_THROTTLED, "Throttling");
	assert_error(503, "", ERR_TRANSIENT, "503");
}

/* A trust policy without sts:SetSourceIdentity refuses in the same words. */
static void
test_source_identity_is_given_up(void **state)
{
	static const struct fake_answer answers[] = {
	    {.status = 403, .body = DENIED, .classify = aws_classify},
	    {.body = ANSWER(ARN, KEYS)},
	};
	static const struct fake_answer never[] = {
	    {.status = 403, .body = DENIED, .classify = aws_classify}};
	CLEANUP(cred_done) struct cred c = {0};
	struct fixture f;

	(void)state;
	BEGIN(&f, answers);
	f.role.source_identity = "acme";
	assert_int_equal(assume(&f, &c), 0);
	assert_non_null(strstr(fake_call(f.fake, 0)->body, "SourceIdentity"));
	assert_null(strstr(fake_call(f.fake, 1)->body, "SourceIdentity"));
	end(&f);
	BEGIN(&f, never);
	f.role.source_identity = "acme";
	assert_int_equal(assume(&f, &c), -1);
	assert_int_equal(fake_calls(f.fake), 2);
	end(&f);
}

static void
test_caller_identity(void **state)
{
	static const struct fake_answer answers[] = {
	    {.headers = "date: Thu, 01 Jan 2026 00:00:07 GMT\n",
	     .body = "<GetCallerIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/"
		     "\"><GetCallerIdentityResult><Arn>arn:aws:iam::111122223333:user/batch</Arn>"
		     "<UserId>AIDA</UserId><Account>111122223333</Account>"
		     "</GetCallerIdentityResult></GetCallerIdentityResponse>"},
	    {.body = "<GetCallerIdentityResponse/>"},
	};
	struct caller_identity id = {0};
	struct fixture f;

	(void)state;
	BEGIN(&f, answers);
	assert_int_equal(
	    sts_caller_identity(f.fake, &nobody, f.role.endpoint, "eu-west-1", &id, &f.err), 0);
	assert_string_equal(id.account, "111122223333");
	assert_string_equal(id.arn, "arn:aws:iam::111122223333:user/batch");
	assert_int_equal(id.server_wall_ms, START_MS + 7000);
	assert_string_equal(fake_call(f.fake, 0)->body,
			    "Action=GetCallerIdentity&Version=2011-06-15");
	assert_int_equal(
	    sts_caller_identity(f.fake, &nobody, f.role.endpoint, "eu-west-1", &id, &f.err), -1);
	assert_int_equal(f.err.kind, ERR_DATA);
	end(&f);
}

static void
test_session_names(void **state)
{
	char out[65], tenant[100];

	(void)state;
	sts_session_name(out, "acme", "20260101T000000Z");
	assert_string_equal(out, "muster-acme-20260101T000000Z");
	sts_session_name(out, "a b/\xc3\xa4:c", "r");
	assert_string_equal(out, "muster-a-b----c-r");
	memset(tenant, 'x', sizeof(tenant) - 1);
	tenant[sizeof(tenant) - 1] = '\0';
	sts_session_name(out, tenant, "r");
	assert_int_equal(strlen(out), 64);
}

static void
assert_arn(const char *role, const char *region, const char *expected)
{
	CLEANUP(buf_done) struct buf out = BUF_INIT(4096);
	int r = sts_role_arn(role, "111122223333", region, &out, NULL);

	assert_int_equal(r, expected ? 0 : -1);
	if (expected)
		assert_string_equal(buf_cstr(&out), expected);
}

static void
test_role_arns(void **state)
{
	(void)state;
	assert_arn("reader", "eu-west-1", "arn:aws:iam::111122223333:role/reader");
	assert_arn("path/reader", "cn-north-1", "arn:aws-cn:iam::111122223333:role/path/reader");
	assert_arn("reader", "us-gov-west-1", "arn:aws-us-gov:iam::111122223333:role/reader");
	assert_arn("arn:aws:iam::444455556666:role/other", "eu-west-1",
		   "arn:aws:iam::444455556666:role/other");
	assert_arn("arn:aws:iam::4444:role/other", "eu-west-1", NULL);
	assert_arn("arn:aws:iam::444455556666:user/other", "eu-west-1", NULL);
	assert_arn("arn:", "eu-west-1", NULL);
}

/* ---- recorded answers ---- */

static void
read_case(const char *operation, const char *id, struct buf *xml, json_t **parsed)
{
	char path[200];

	(void)snprintf(path, sizeof(path), "aws/recorded/sts.%s/%s/body.query.xml", operation, id);
	data_read(path, xml);
	(void)snprintf(path, sizeof(path), "aws/recorded/sts.%s/%s/parsed.json", operation, id);
	*parsed = data_json(path);
}

static void
check_assume_role(const char *id)
{
	CLEANUP(buf_done) struct buf xml = BUF_INIT(0);
	CLEANUP(json_decrefp) json_t *parsed = NULL;
	CLEANUP(cred_done) struct cred c = {0};
	struct fake_answer answers[1] = {{0}};
	const json_t *keys;
	struct sv account;
	struct fixture f;
	int64_t expires;

	read_case("AssumeRole", id, &xml, &parsed);
	answers[0].body = buf_cstr(&xml);
	keys = json_object_get(parsed, "Credentials");
	BEGIN(&f, answers);
	f.role.expect_account = NULL;
	assert_int_equal(assume(&f, &c), 0);
	assert_string_equal(c.key_id, data_str(keys, "AccessKeyId"));
	assert_string_equal(c.secret.p, data_str(keys, "SecretAccessKey"));
	assert_string_equal(c.token.p, data_str(keys, "SessionToken"));
	assert_true(time_parse_iso(sv_of(data_str(keys, "Expiration")), &expires));
	assert_int_equal(c.expires_wall_ms, expires);
	assert_true(sts_arn_account(
	    sv_of(data_str(json_object_get(parsed, "AssumedRoleUser"), "Arn")), &account));
	assert_true(sv_eq(sv_of(c.account), account));
	end(&f);
}

static void
check_identity(const char *id)
{
	CLEANUP(buf_done) struct buf xml = BUF_INIT(0);
	CLEANUP(json_decrefp) json_t *parsed = NULL;
	struct caller_identity got = {0};
	struct fake_answer answers[1] = {{0}};
	struct fixture f;

	read_case("GetCallerIdentity", id, &xml, &parsed);
	answers[0].body = buf_cstr(&xml);
	BEGIN(&f, answers);
	assert_int_equal(
	    sts_caller_identity(f.fake, &nobody, f.role.endpoint, "eu-west-1", &got, &f.err), 0);
	assert_string_equal(got.account, data_str(parsed, "Account"));
	assert_string_equal(got.arn, data_str(parsed, "Arn"));
	end(&f);
}

static void
test_recorded(void **state)
{
	CLEANUP(json_decrefp) json_t *index = NULL;
	int roles = 0, identities = 0;
	const json_t *j;
	size_t i;

	(void)state;
	index = data_json("aws/recorded/index.json");
	json_array_foreach(index, i, j)
	{
		const char *folder = data_str(j, "case"), *id = strrchr(folder, '/');

		if (id && strncmp(folder, "sts.AssumeRole/", 15) == 0) {
			check_assume_role(id + 1);
			roles++;
		} else if (id && strncmp(folder, "sts.GetCallerIdentity/", 22) == 0) {
			check_identity(id + 1);
			identities++;
		}
	}
	assert_int_equal(roles, 4);
	assert_int_equal(identities, 7);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_assume_role),
	    cmocka_unit_test(test_options),
	    cmocka_unit_test(test_wrong_account),
	    cmocka_unit_test(test_answers_that_are_none),
	    cmocka_unit_test(test_errors),
	    cmocka_unit_test(test_source_identity_is_given_up),
	    cmocka_unit_test(test_caller_identity),
	    cmocka_unit_test(test_session_names),
	    cmocka_unit_test(test_role_arns),
	    cmocka_unit_test(test_recorded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
