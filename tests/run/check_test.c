/*
 * muster check's findings: from a refusal to the statement that mends it, how they are printed, and
 * what the exit status makes of them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "fmt/json.h"
#include "run/check.h"

#define CALLER "arn:aws:iam::999900001111:role/muster"
#define ROLE   "arn:aws:iam::111122223333:role/muster-reader"

static void
set_up(struct check *c, struct session *s, const struct config *config, size_t tenants)
{
	*s = (struct session){.config = config};
	*c = (struct check){.s = s, .n_tenants = tenants, .base = true, .state = true};
	findings_init(&c->central);
	findings_init(&c->sinks);
	c->tenants = calloc(tenants ? tenants : 1, sizeof(*c->tenants));
	assert_non_null(c->tenants);
	for (size_t i = 0; i < tenants; i++)
		findings_init(&c->tenants[i]);
}

static struct check_place
tenant_place(struct findings *to)
{
	return (struct check_place){.to = to,
				    .who = "t1",
				    .job = "ecs",
				    .region = "eu-west-1",
				    .holder = ROLE,
				    .caller = CALLER};
}

static struct err
denied(const char *msg)
{
	struct err err = {.kind = ERR_AUTH, .http_status = 403};

	(void)snprintf(err.code, sizeof(err.code), "AccessDenied");
	(void)snprintf(err.request_id, sizeof(err.request_id), "rid-1");
	(void)snprintf(err.msg, sizeof(err.msg), "%s", msg);
	return err;
}

static void
a_denial_brings_its_statement(void **state)
{
	struct findings f;
	struct check_place p = tenant_place(&f);
	struct err err = denied("403 AccessDenied: no");

	(void)state;
	findings_init(&f);
	check_fault(&p, "w", "logs:StartQuery", "\"arn:x\"", &err);
	assert_int_equal(f.n, 1);
	assert_string_equal(f.v[0].action, "logs:StartQuery");
	assert_string_equal(f.v[0].code, "AccessDenied");
	assert_string_equal(f.v[0].request_id, "rid-1");
	assert_int_equal(f.v[0].n_remedies, 1);
	assert_string_equal(f.v[0].remedies[0].to, "the policy of " ROLE);
	assert_string_equal(
	    f.v[0].remedies[0].statement,
	    "{\"Effect\":\"Allow\",\"Action\":\"logs:StartQuery\",\"Resource\":\"arn:x\"}");
	findings_done(&f);
}

/* A put into an encrypted bucket fails for the key: it is the key's permission that is missing. */
static void
the_services_own_words_come_first(void **state)
{
	struct findings f;
	struct check_place p = tenant_place(&f);
	struct err err =
	    denied("User: u is not authorized to perform: kms:GenerateDataKey on resource: "
		   "arn:aws:kms:eu-west-1:1:key/k because no identity-based policy allows it");

	(void)state;
	findings_init(&f);
	check_fault(&p, "write", "s3:PutObject", "\"arn:aws:s3:::b/*\"", &err);
	assert_string_equal(f.v[0].action, "kms:GenerateDataKey");
	assert_string_equal(f.v[0].remedies[0].statement,
			    "{\"Effect\":\"Allow\",\"Action\":\"kms:GenerateDataKey\",\"Resource\":"
			    "\"arn:aws:kms:eu-west-1:1:key/k\"}");
	findings_done(&f);
}

static void
what_is_no_denial_has_no_statement(void **state)
{
	struct findings f;
	struct check_place p = tenant_place(&f);
	struct err err = {.kind = ERR_TRANSIENT, .http_status = 500};

	(void)state;
	findings_init(&f);
	check_fault(&p, "w", "logs:StartQuery", NULL, &err);
	assert_int_equal(f.v[0].level, CHECK_FAULT);
	assert_string_equal(f.v[0].action, "");
	assert_int_equal(f.v[0].n_remedies, 0);
	findings_done(&f);
}

static void
an_explicit_deny_is_said(void **state)
{
	struct findings f;
	struct check_place p = tenant_place(&f);
	struct err err = denied("not authorized to perform: a:B with an explicit deny in a policy");

	(void)state;
	findings_init(&f);
	check_fault(&p, "a:B", "a:B", NULL, &err);
	assert_non_null(strstr(f.v[0].words, "which a statement cannot lift"));
	findings_done(&f);
}

static void
the_principal_of_a_session_is_its_role(void **state)
{
	static const char *const rows[][2] = {
	    {"arn:aws:sts::999900001111:assumed-role/muster/i-123", CALLER},
	    {"arn:aws-cn:sts::9:assumed-role/r/s/x", "arn:aws-cn:iam::9:role/r"},
	    {"arn:aws:iam::9:user/u", "arn:aws:iam::9:user/u"},
	    {"arn:aws:iam::9:root", "arn:aws:iam::9:root"},
	    {"", ""},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		CLEANUP(buf_done) struct buf out = BUF_INIT(256);

		check_principal(rows[i][0], &out);
		assert_string_equal(buf_cstr(&out), rows[i][1]);
	}
}

#define ALLOW	  "{\"Effect\":\"Allow\","
#define BY_CALLER ALLOW "\"Principal\":{\"AWS\":\"" CALLER "\"},"

static void
both_sides_of_a_role(void **state)
{
	static const char *const wanted[][2] = {
	    {"the policy of " CALLER,
	     ALLOW "\"Action\":[\"sts:AssumeRole\",\"sts:SetSourceIdentity\"],\"Resource\":\"" ROLE
		   "\"}"},
	    {"the trust policy of " ROLE,
	     BY_CALLER "\"Action\":\"sts:AssumeRole\",\"Condition\":{\"StringEquals\":{"
		       "\"sts:ExternalId\":\"x-\\\"1\\\"\"}}}"},
	    {"the trust policy of " ROLE, BY_CALLER "\"Action\":\"sts:SetSourceIdentity\"}"},
	};
	struct findings f;
	struct check_place p = tenant_place(&f);
	struct finding one = {0};

	(void)state;
	findings_init(&f);
	check_role_remedies(&p, SIDE_CALLER | SIDE_TRUST | SIDE_IDENTITY, ROLE, "x-\"1\"", &one);
	assert_int_equal(one.n_remedies, 3);
	for (size_t i = 0; i < 3; i++) {
		assert_string_equal(one.remedies[i].to, wanted[i][0]);
		assert_string_equal(one.remedies[i].statement, wanted[i][1]);
	}
	findings_done(&f);
}

static void
one_side_of_a_role(void **state)
{
	struct findings f;
	struct check_place p = tenant_place(&f);
	struct finding trust = {0}, identity = {0};

	(void)state;
	findings_init(&f);
	check_role_remedies(&p, SIDE_TRUST, ROLE, NULL, &trust);
	assert_int_equal(trust.n_remedies, 1);
	assert_string_equal(trust.remedies[0].statement,
			    BY_CALLER "\"Action\":\"sts:AssumeRole\"}");
	check_role_remedies(&p, SIDE_IDENTITY, ROLE, "x", &identity);
	assert_int_equal(identity.n_remedies, 2);
	assert_string_equal(identity.remedies[0].statement, ALLOW
			    "\"Action\":\"sts:SetSourceIdentity\",\"Resource\":\"" ROLE "\"}");
	findings_done(&f);
}

static bool
is_private(const char *text)
{
	struct sockaddr_in v4 = {.sin_family = AF_INET};
	struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};

	if (inet_pton(AF_INET, text, &v4.sin_addr) == 1)
		return check_is_private((const struct sockaddr *)&v4);
	assert_int_equal(inet_pton(AF_INET6, text, &v6.sin6_addr), 1);
	return check_is_private((const struct sockaddr *)&v6);
}

static void
private_addresses(void **state)
{
	static const char *const inside[] = {
	    "127.0.0.1",   "10.0.0.1",	  "10.255.255.255", "172.16.0.1", "172.31.255.255",
	    "192.168.1.1", "169.254.1.1", "100.64.0.1",	    "::1",	  "fe80::1",
	    "fd00::1",	   "fc00::1",
	};
	static const char *const outside[] = {
	    "9.255.255.255",  "11.0.0.1",     "172.15.255.255", "172.32.0.1",
	    "192.167.0.1",    "192.169.0.1",  "52.94.5.1",	"100.128.0.1",
	    "100.63.255.255", "2600:1f18::1", "fe00::1",	"2001:db8::1",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(inside); i++)
		assert_true(is_private(inside[i]));
	for (size_t i = 0; i < ARRAY_LEN(outside); i++)
		assert_false(is_private(outside[i]));
}

static void
print(const struct check *c, enum log_level level, struct buf *out)
{
	check_print(c, false, level, out);
	assert_true(buf_ok(out));
}

static void
tenants_that_are_well_are_folded(void **state)
{
	static const char *const ids[] = {"a", "b", "c"};
	const struct config config = {.n_sinks = 1};
	CLEANUP(buf_done) struct buf out = BUF_INIT(1 << 20);
	struct session s;
	struct check c;

	(void)state;
	set_up(&c, &s, &config, 24);
	for (size_t i = 0; i < 24; i++) {
		struct check_place p = {.to = &c.tenants[i], .who = i < 3 ? ids[i] : "z"};

		check_say(&p, CHECK_OK, "role", NULL);
		if (i == 1)
			check_say(&p, CHECK_FAULT, "broken", "very");
	}
	print(&c, LOG_INFO, &out);
	assert_non_null(strstr(buf_cstr(&out), "  FAIL  b: broken: very\n"));
	assert_non_null(strstr(buf_cstr(&out), "23 of 24 tenants: all is well"));
	assert_null(strstr(buf_cstr(&out), "a: role"));
	assert_non_null(strstr(buf_cstr(&out), "24 well, 0 warnings, 1 fault\n"));
	buf_reset(&out);
	print(&c, LOG_DEBUG, &out);
	assert_non_null(strstr(buf_cstr(&out), "  ok    a: role\n"));
	buf_reset(&out);
	print(&c, LOG_ERROR, &out);
	assert_string_equal(buf_cstr(&out), "  FAIL  b: broken: very\n");
	check_done(&c);
}

/* What services and file names say does not act on a terminal, and stays in its line. */
static void
a_finding_stays_in_its_line(void **state)
{
	const struct config config = {.n_sinks = 1};
	CLEANUP(buf_done) struct buf out = BUF_INIT(1 << 20);
	struct session s;
	struct check c;
	struct check_place p = {.to = &c.central};

	(void)state;
	set_up(&c, &s, &config, 0);
	check_say(&p, CHECK_WARN, "x", "a\nb\033[31mc");
	print(&c, LOG_INFO, &out);
	assert_non_null(strstr(buf_cstr(&out), "  warn  x: a?b?[31mc\n"));
	check_done(&c);
}

static void
json_is_complete(void **state)
{
	const struct config config = {.n_sinks = 1};
	CLEANUP(buf_done) struct buf out = BUF_INIT(1 << 20);
	CLEANUP(json_decrefp) json_t *root = NULL;
	const json_t *one, *add;
	struct err err = denied("403 AccessDenied: no");
	struct check_place p;
	struct session s;
	struct check c;

	(void)state;
	set_up(&c, &s, &config, 1);
	p = tenant_place(&c.tenants[0]);
	check_say(&p, CHECK_OK, "role", NULL);
	check_fault(&p, "a:B", "a:B", NULL, &err);
	assert_int_equal(check_json(&c, &out, NULL), 0);
	assert_int_equal(json_parse(buf_view(&out), "out", &root, NULL), 0);
	assert_int_equal(json_integer_value(json_object_get(root, "exit_status")), 1);
	assert_int_equal(json_integer_value(json_object_get(root, "faults")), 1);
	assert_int_equal(json_array_size(json_object_get(root, "findings")), 2);
	one = json_array_get(json_object_get(root, "findings"), 1);
	assert_string_equal(json_string_value(json_object_get(one, "tenant")), "t1");
	assert_string_equal(json_string_value(json_object_get(one, "level")), "fail");
	add = json_array_get(json_object_get(one, "add"), 0);
	assert_string_equal(
	    json_string_value(json_object_get(json_object_get(add, "statement"), "Action")), "a:B");
	check_done(&c);
}

static void
the_exit_status(void **state)
{
	const struct config config = {.n_sinks = 2};
	struct check_place p;
	struct session s;
	struct check c;

	(void)state;
	set_up(&c, &s, &config, 1);
	p = tenant_place(&c.tenants[0]);
	assert_int_equal(check_status(&c), EXIT_OK);
	check_say(&p, CHECK_WARN, "x", NULL);
	assert_int_equal(check_status(&c), EXIT_OK);
	check_say(&p, CHECK_FAULT, "x", NULL);
	assert_int_equal(check_status(&c), EXIT_SOME_FAILED);
	c.n_sinks_dead = 1;
	assert_int_equal(check_status(&c), EXIT_SOME_FAILED);
	c.n_sinks_dead = 2;
	assert_int_equal(check_status(&c), EXIT_CENTRAL);
	c.n_sinks_dead = 0;
	c.state = false;
	assert_int_equal(check_status(&c), EXIT_CENTRAL);
	c.state = true;
	c.base = false;
	assert_int_equal(check_status(&c), EXIT_CENTRAL);
	check_done(&c);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_denial_brings_its_statement),
	    cmocka_unit_test(the_services_own_words_come_first),
	    cmocka_unit_test(what_is_no_denial_has_no_statement),
	    cmocka_unit_test(an_explicit_deny_is_said),
	    cmocka_unit_test(the_principal_of_a_session_is_its_role),
	    cmocka_unit_test(both_sides_of_a_role),
	    cmocka_unit_test(one_side_of_a_role),
	    cmocka_unit_test(private_addresses),
	    cmocka_unit_test(tenants_that_are_well_are_folded),
	    cmocka_unit_test(a_finding_stays_in_its_line),
	    cmocka_unit_test(json_is_complete),
	    cmocka_unit_test(the_exit_status),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
