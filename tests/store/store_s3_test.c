/* The S3 store against the stand-in: the contract of every store, then what only a network brings.
 */
#include "store/store.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "aws/s3.h"
#include "base/cleanup.h"
#include "fmt/json.h"
#include "tests/support/aws_daemon.h"
#include "tests/support/store_suite.h"

#define MIB ((size_t)1 << 20)

static struct aws_daemon daemon_;
static unsigned prefix; /* of the present test */

static struct store_env
env_of(void)
{
	return (struct store_env){
	    .transport = daemon_.top, .creds = daemon_.creds, .region = AWS_DAEMON_REGION};
}

static int
open_at(const char *bucket, struct store **ret, struct err *err)
{
	struct store_env env = env_of();
	char url[128];

	(void)snprintf(url, sizeof(url), "s3://%s/t%u", bucket, prefix);
	return store_open(url, &env, ret, err);
}

static struct store *
open_lake(void *arg)
{
	struct store *s = NULL;
	struct err err = {0};

	(void)arg;
	if (open_at("lake", &s, &err) < 0)
		print_message("%s\n", err.msg);
	return s;
}

static void
fresh(struct store_kind *kind)
{
	(void)kind;
	prefix++;
}

static int
setup(void **state)
{
	aws_daemon_faults(&daemon_, NULL);
	prefix++;
	*state = open_lake(NULL);
	return *state ? 0 : -1;
}

static int
teardown(void **state)
{
	aws_daemon_faults(&daemon_, NULL);
	store_free(*state);
	return 0;
}

/* A counter of the bucket, by the stand-in's books. */
static int64_t
counted(const char *bucket, const char *name)
{
	CLEANUP(buf_done) struct buf text = BUF_INIT(MIB);
	CLEANUP(json_decrefp) json_t *j = NULL;

	aws_daemon_control(&daemon_, "s3/stats", NULL, &text);
	assert_int_equal(json_parse(buf_view(&text), "stats", &j, NULL), 0);
	return json_integer_value(
	    json_object_get(json_object_get(json_object_get(j, "buckets"), bucket), name));
}

#define expect_err(call, k)                                                                        \
	do {                                                                                       \
		struct err why = {0};                                                              \
		assert_int_equal((call), -1);                                                      \
		if (why.kind != (k))                                                               \
			fail_msg("%s: %s", err_kind_name(why.kind), why.msg);                      \
	} while (0)

#define PUT_RULE(more) "[{\"match\":{\"service\":\"s3\",\"operation\":\"PutObject\"}," more "}]"

static void
test_lost_replies(void **state)
{
	static const char *const kinds[] = {
	    PUT_RULE("\"nth\":1,\"kind\":\"reset-after\""),
	    PUT_RULE("\"nth\":1,\"kind\":\"http503\",\"effect\":true"),
	    PUT_RULE("\"nth\":1,\"kind\":\"reset-before\""),
	    PUT_RULE("\"nth\":1,\"kind\":\"http500\""),
	    PUT_RULE("\"nth\":[1,2],\"kind\":\"s3-conflict\""),
	};
	char one[STORE_ETAG_MAX], two[STORE_ETAG_MAX], key[32];
	struct err err = {0};

	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		(void)snprintf(key, sizeof(key), "lost/%zu", i);
		aws_daemon_faults(&daemon_, kinds[i]);
		if (suite_put(*state, key, "1", STORE_CREATE, NULL, one, &err) < 0)
			fail_msg("create, %s: %s", kinds[i], err.msg);
		aws_daemon_faults(&daemon_, kinds[i]);
		if (suite_put(*state, key, "2", STORE_MATCH, one, two, &err) < 0)
			fail_msg("match, %s: %s", kinds[i], err.msg);
		aws_daemon_faults(&daemon_, kinds[i]);
		expect_err(suite_put(*state, key, "x", STORE_CREATE, NULL, NULL, &why),
			   ERR_CONFLICT);
		aws_daemon_faults(&daemon_, kinds[i]);
		expect_err(suite_put(*state, key, "x", STORE_MATCH, one, NULL, &why), ERR_CONFLICT);
		aws_daemon_faults(&daemon_, NULL);
		suite_expect(*state, key, "2");
	}
}

static void
test_never_ending_conflict(void **state)
{
	struct buf out = BUF_INIT(10);

	aws_daemon_faults(&daemon_, PUT_RULE("\"kind\":\"s3-conflict\""));
	expect_err(suite_put(*state, "k", "1", STORE_CREATE, NULL, NULL, &why), ERR_TRANSIENT);
	aws_daemon_faults(&daemon_, NULL);
	expect_err(store_get(*state, "k", NULL, &out, NULL, &why), ERR_NOTFOUND);
	buf_done(&out);
}

static void
test_damaged_answers(void **state)
{
	struct buf out = BUF_INIT(100);
	struct err err = {0};

	assert_int_equal(suite_put(*state, "k", "0123456789", STORE_CREATE, NULL, NULL, &err), 0);
	aws_daemon_faults(&daemon_, "[{\"match\":{\"operation\":\"GetObject\"},\"nth\":1,"
				    "\"kind\":\"truncate\"}]");
	suite_expect(*state, "k", "0123456789");
	/* A proxy's 404 is no word of the object. */
	aws_daemon_faults(&daemon_, "[{\"match\":{\"operation\":\"GetObject\"},\"kind\":\"html\","
				    "\"status\":404}]");
	expect_err(store_get(*state, "k", NULL, &out, NULL, &why), ERR_DATA);
	buf_done(&out);
}

/* One that was replaced meanwhile is another one, and stays. */
static void
test_deleted_if_it_is_the_same(void **state)
{
	char etag[STORE_ETAG_MAX];
	struct buf out = BUF_INIT(10);
	struct err err = {0};

	assert_int_equal(suite_put(*state, "k", "1", STORE_CREATE, NULL, etag, &err), 0);
	assert_int_equal(suite_put(*state, "k", "2", STORE_MATCH, etag, NULL, &err), 0);
	expect_err(store_del_match(*state, "k", etag, &why), ERR_CONFLICT);
	suite_expect(*state, "k", "2");
	assert_int_equal(suite_put(*state, "other", "1", STORE_CREATE, NULL, etag, &err), 0);
	assert_int_equal(store_del_match(*state, "other", etag, &err), 0);
	expect_err(store_get(*state, "other", NULL, &out, NULL, &why), ERR_NOTFOUND);
	assert_int_equal(store_del_match(*state, "other", etag, &err), 0); /* it is gone */
	buf_done(&out);
}

static void
test_range(void **state)
{
	struct spool part = SPOOL_INIT;
	struct buf text = BUF_INIT(10);
	struct err err = {0};

	assert_int_equal(suite_put(*state, "k", "0123456789", STORE_CREATE, NULL, NULL, &err), 0);
	assert_int_equal(store_get_range(*state, "k", 3, 4, &part, &err), 0);
	assert_int_equal(spool_load(&part, &text, &err), 0);
	assert_string_equal(buf_cstr(&text), "3456");
	spool_done(&part);
	assert_int_equal(store_get_range(*state, "k", 8, 4, &part, &err), -1);
	spool_done(&part);
	expect_err(store_get_range(*state, "none", 0, 1, &part, &why), ERR_NOTFOUND);
	spool_done(&part);
	buf_done(&text);
}

static void
test_other_region(void **state)
{
	struct store *far = NULL;
	int64_t errors;
	struct err err = {0};

	(void)state;
	if (open_at("far", &far, &err) < 0)
		fail_msg("%s", err.msg);
	errors = counted("far", "puts");
	assert_int_equal(suite_put(far, "k", "1", STORE_CREATE, NULL, NULL, &err), 0);
	suite_expect(far, "k", "1");
	assert_int_equal(counted("far", "puts"), errors + 1);
	store_free(far);
}

static void
test_refused(void **state)
{
	static const struct {
		const char *bucket, *owner, *words;
		enum err_kind kind;
	} cases[] = {
	    {"nosuch", NULL, "bucket nosuch does not exist", ERR_AUTH},
	    {"lake", "999999999999", "owned by 999999999999", ERR_AUTH},
	    {"BAD", NULL, "not a bucket's name", ERR_USAGE},
	    {"lake/a b", NULL, "a prefix is made of", ERR_USAGE},
	    {"lake//", NULL, "a prefix is made of", ERR_USAGE},
	};
	struct store *s = NULL;
	struct err err = {0};

	(void)state;
	aws_daemon_faults(&daemon_, PUT_RULE("\"kind\":\"denied\""));
	assert_int_equal(open_at("lake", &s, &err), -1);
	assert_int_equal(err.kind, ERR_AUTH);
	assert_non_null(strstr(err.msg, "PutObject on bucket lake is denied"));
	aws_daemon_faults(&daemon_, NULL);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct store_env env = env_of();
		char url[64];

		err_clear(&err);
		env.expected_owner = cases[i].owner;
		(void)snprintf(url, sizeof(url), "s3://%s/x", cases[i].bucket);
		assert_int_equal(store_open(url, &env, &s, &err), -1);
		if (err.kind != cases[i].kind || !strstr(err.msg, cases[i].words))
			fail_msg("%s: %s: %s", url, err_kind_name(err.kind), err.msg);
	}
}

static void
test_ignored_conditions(void **state)
{
	struct store *s = NULL;
	struct err err = {0};

	(void)state;
	aws_daemon_control(&daemon_, "s3/mode", "{\"ignore_conditions\": true}", NULL);
	assert_int_equal(open_at("lake", &s, &err), -1);
	assert_int_equal(err.kind, ERR_LOCAL);
	assert_non_null(strstr(err.msg, "ignores conditional writes"));
	prefix++; /* where there is no probe yet */
	assert_int_equal(open_at("lake", &s, &err), -1);
	assert_int_equal(err.kind, ERR_LOCAL);
	aws_daemon_control(&daemon_, "s3/mode", "{\"ignore_conditions\": false}", NULL);
}

/* A policy may forbid to replace anything; but who may not even create is of no use. */
static void
test_strict_policies(void **state)
{
	struct store *s = NULL;
	struct err err = {0};

	(void)state;
	prefix++;
	aws_daemon_faults(&daemon_, PUT_RULE("\"nth\":3,\"kind\":\"denied\""));
	if (open_at("lake", &s, &err) < 0)
		fail_msg("%s", err.msg);
	store_free(s);
	prefix++;
	aws_daemon_faults(&daemon_, PUT_RULE("\"nth\":2,\"kind\":\"denied\""));
	assert_int_equal(open_at("lake", &s, &err), -1);
	assert_int_equal(err.kind, ERR_AUTH);
}

/* Probes and strangers' objects are no keys. */
static void
test_strangers(void **state)
{
	struct buf out = BUF_INIT(1000);
	struct err err = {0};
	char name[96];

	(void)snprintf(name, sizeof(name), "s3/object?bucket=lake&key=t%u/a%%20b%%2Bc%%26d",
		       prefix);
	aws_daemon_control(&daemon_, name, "x", NULL);
	(void)snprintf(name, sizeof(name), "s3/object?bucket=lake&key=t%u/%%C3%%A9/x", prefix);
	aws_daemon_control(&daemon_, name, "x", NULL);
	(void)snprintf(name, sizeof(name), "s3/object?bucket=lake&key=t%u/z//", prefix);
	aws_daemon_control(&daemon_, name, "x", NULL);
	assert_int_equal(suite_put(*state, "k", "1", STORE_CREATE, NULL, NULL, &err), 0);
	suite_list(*state, "", &out);
	assert_string_equal(buf_cstr(&out), "k\n");
	buf_done(&out);
}

static int
count_keys(const char *key, void *arg)
{
	(void)key;
	++*(int *)arg;
	return 0;
}

static void
test_many_pages(void **state)
{
	struct store *s = *state;
	char name[96];
	struct err err = {0};
	int n = 0;

	for (int i = 0; i < 2100; i++) {
		(void)snprintf(name, sizeof(name), "s3/object?bucket=lake&key=t%u/n/%d", prefix, i);
		aws_daemon_control(&daemon_, name, "x", NULL);
	}
	assert_int_equal(s->ops->list(s, "n/", count_keys, &n, &err), 0);
	assert_int_equal(n, 2100);
}

/* ---- in parts ---- */

static struct s3 *
open_s3(const char *kms_key)
{
	const struct s3_conf conf = {
	    .transport = daemon_.top,
	    .creds = daemon_.creds,
	    .bucket = "lake",
	    .region = AWS_DAEMON_REGION,
	    .kms_key = kms_key,
	    .multipart_above = 6 * MIB,
	    .part_bytes = 5 * MIB,
	};
	struct s3 *s = NULL;

	assert_int_equal(s3_new(&conf, &s, NULL), 0);
	return s;
}

static void
fill(struct buf *b, size_t n)
{
	uint64_t x = 1;

	for (size_t i = 0; i < n / 8; i++) {
		x = x * 6364136223846793005u + 1442695040888963407u;
		buf_add(b, &x, sizeof(x));
	}
	buf_add(b, "tail", 4);
	assert_true(buf_ok(b));
}

static void
test_big_object(void **state)
{
	static const char *const rules[] = {
	    "[]",
	    "[{\"match\":{\"operation\":\"UploadPart\"},\"nth\":2,\"kind\":\"reset-after\"}]",
	    "[{\"match\":{\"operation\":\"CompleteMultipartUpload\"},\"nth\":1,"
	    "\"kind\":\"reset-after\"}]",
	    "[{\"match\":{\"operation\":\"CompleteMultipartUpload\"},\"nth\":1,"
	    "\"kind\":\"s3-late-error\"}]",
	    "[{\"match\":{\"operation\":\"CompleteMultipartUpload\"},\"nth\":1,"
	    "\"kind\":\"s3-late-error\",\"effect\":true}]",
	    "[{\"match\":{\"operation\":\"CompleteMultipartUpload\"},\"nth\":1,"
	    "\"kind\":\"s3-conflict\"}]",
	    "[{\"match\":{\"operation\":\"CompleteMultipartUpload\"},\"nth\":1,"
	    "\"kind\":\"truncate\"}]",
	};
	struct buf body = BUF_INIT(20 * MIB);
	struct s3_put put = {.create = true, .meta = {{"format", "1"}}, .n_meta = 1};
	struct s3 *s = open_s3("key-1");
	struct http_resp resp;

	(void)state;
	fill(&body, 12 * MIB);
	resp_init(&resp, 20 * MIB);
	for (size_t i = 0; i < ARRAY_LEN(rules); i++) {
		char key[32], etag[S3_ETAG_MAX];
		struct err err = {0};
		struct sv v;

		(void)snprintf(key, sizeof(key), "t%u/big%zu", prefix, i);
		aws_daemon_faults(&daemon_, rules[i]);
		if (s3_put(s, key, buf_view(&body), &put, etag, &err) < 0)
			fail_msg("%s: %s", rules[i], err.msg);
		aws_daemon_faults(&daemon_, NULL);
		resp_reset(&resp);
		if (s3_get(s, key, &resp, &err) < 0)
			fail_msg("%s: %s", rules[i], err.msg);
		assert_true(sv_eq(buf_view(&resp.body), buf_view(&body)));
		assert_true(resp_header(&resp, "etag", &v) && sv_eq(v, sv_of(etag)));
		assert_true(resp_header(&resp, "x-amz-meta-muster-format", &v));
		assert_true(resp_header(&resp, "x-amz-server-side-encryption-aws-kms-key-id", &v));
		expect_err(s3_put(s, key, buf_view(&body), &put, etag, &why), ERR_CONFLICT);
	}
	assert_int_equal(counted("lake", "open_uploads"), 0);
	buf_done(&body);
	resp_done(&resp);
	s3_free(s);
}

static void
test_failed_uploads_are_aborted(void **state)
{
	static const char *const rules[] = {
	    "[{\"match\":{\"operation\":\"UploadPart\"},\"after\":1,\"kind\":\"http503\"}]",
	    "[{\"match\":{\"operation\":\"CompleteMultipartUpload\"},\"kind\":\"denied\"}]",
	    "[{\"match\":{\"operation\":\"CompleteMultipartUpload\"},\"kind\":\"s3-late-error\"}]",
	    "[{\"match\":{\"operation\":\"CompleteMultipartUpload\"},\"kind\":\"s3-conflict\"}]",
	};
	struct buf body = BUF_INIT(20 * MIB), out = BUF_INIT(MIB);
	struct s3_put put = {.create = true};
	struct s3 *s = open_s3(NULL);

	fill(&body, 12 * MIB);
	for (size_t i = 0; i < ARRAY_LEN(rules); i++) {
		char key[32];

		(void)snprintf(key, sizeof(key), "t%u/f%zu", prefix, i);
		aws_daemon_faults(&daemon_, rules[i]);
		assert_int_equal(s3_put(s, key, buf_view(&body), &put, NULL, NULL), -1);
		aws_daemon_faults(&daemon_, NULL);
		assert_int_equal(counted("lake", "open_uploads"), 0);
	}
	suite_list(*state, "", &out);
	assert_string_equal(buf_cstr(&out), "");
	buf_done(&body);
	buf_done(&out);
	s3_free(s);
}

/* What a killed run left is aborted by a later one, but not what may still be under way. */
static void
test_orphans(void **state)
{
	struct buf body = BUF_INIT(20 * MIB);
	struct s3_put put = {.create = true};
	struct s3 *s = open_s3(NULL);
	struct store *again;
	char key[32];

	(void)state;
	fill(&body, 12 * MIB);
	(void)snprintf(key, sizeof(key), "t%u/left", prefix);
	aws_daemon_faults(
	    &daemon_, "[{\"match\":{\"operation\":\"UploadPart\"},\"kind\":\"denied\"},"
		      "{\"match\":{\"operation\":\"AbortMultipartUpload\"},\"kind\":\"denied\"}]");
	assert_int_equal(s3_put(s, key, buf_view(&body), &put, NULL, NULL), -1);
	aws_daemon_faults(&daemon_, NULL);
	assert_int_equal(counted("lake", "open_uploads"), 1);
	again = open_lake(NULL);
	assert_non_null(again);
	store_free(again);
	assert_int_equal(counted("lake", "open_uploads"), 1);
	/* A day and an hour later. */
	aws_daemon_control(&daemon_, "skew", "{\"seconds\": 90000}", NULL);
	again = open_lake(NULL);
	aws_daemon_control(&daemon_, "skew", "{\"seconds\": 0}", NULL);
	assert_non_null(again);
	store_free(again);
	assert_int_equal(counted("lake", "open_uploads"), 0);
	buf_done(&body);
	s3_free(s);
}

/* ---- a run that was told to stop ---- */

static void
test_grace(void **state)
{
	struct store_env env = env_of();
	struct store *patient = NULL;
	struct buf out = BUF_INIT(10);
	struct err err = {0};
	int64_t began;
	char url[64];

	env.grace_ms = 700;
	(void)snprintf(url, sizeof(url), "s3://lake/t%u", prefix);
	assert_int_equal(store_open(url, &env, &patient, &err), 0);
	aws_daemon_faults(&daemon_, PUT_RULE("\"nth\":2,\"kind\":\"reset-after\""));
	began = clock_mono_ms(clock_real());
	clock_cancel(clock_real(), 15);
	expect_err(suite_put(*state, "a", "1", STORE_CREATE, NULL, NULL, &why), ERR_CANCELLED);
	assert_int_equal(suite_put(patient, "b", "1", STORE_CREATE, NULL, NULL, &err), 0);
	assert_int_equal(suite_put(patient, "c", "1", STORE_CREATE, NULL, NULL, &err), 0);
	aws_daemon_faults(&daemon_, PUT_RULE("\"kind\":\"hang\",\"ms\":20000,\"drop\":true"));
	expect_err(suite_put(patient, "d", "1", STORE_CREATE, NULL, NULL, &why), ERR_CANCELLED);
	assert_in_range(clock_mono_ms(clock_real()) - began, 600, 1500);
	expect_err(suite_put(patient, "e", "1", STORE_CREATE, NULL, NULL, &why), ERR_CANCELLED);
	atomic_store(&clock_real()->cancelled, 0);
	atomic_store(&clock_real()->cancelled_mono_ms, 0);
	aws_daemon_faults(&daemon_, NULL);
	suite_expect(patient, "b", "1");
	expect_err(store_get(patient, "e", NULL, &out, NULL, &why), ERR_NOTFOUND);
	store_free(patient);
	buf_done(&out);
}

int
main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	static const char *const options[] = {"--tenants",	"1", "--bucket", "lake", "--bucket",
					      "far::us-west-2", NULL};
	const struct CMUnitTest tests[] = {
	    T(test_lost_replies),
	    T(test_never_ending_conflict),
	    T(test_damaged_answers),
	    T(test_deleted_if_it_is_the_same),
	    T(test_range),
	    T(test_other_region),
	    T(test_refused),
	    T(test_ignored_conditions),
	    T(test_strict_policies),
	    T(test_strangers),
	    T(test_many_pages),
	    T(test_big_object),
	    T(test_failed_uploads_are_aborted),
	    T(test_orphans),
	    T(test_grace),
	};
	struct store_kind s3 = {.name = "s3", .open = open_lake, .many = true, .has_meta = true};
	int failed;

	if (!aws_daemon_start(&daemon_, options))
		return 0;
	failed =
	    store_suite_run(&s3, fresh) + cmocka_run_group_tests_name("bucket", tests, NULL, NULL);
	aws_daemon_stop(&daemon_);
	return failed;
}
