/* STS: the call that both users share, the probe of an identity, names of sessions and roles. */
#include "aws/sts.h"

#include <ctype.h>
#include <openssl/crypto.h>
#include <stdio.h>

#include "aws/endpoint.h"
#include "aws/sts_call.h"
#include "base/cleanup.h"
#include "base/timefmt.h"
#include "fmt/uri.h"

#define MAX_ANSWER  (64u << 10)
#define TOTAL_MS    30000
#define SESSION_MAX 64
#define ACCOUNT_LEN 12
#define ARN_MAX	    2048 /* RoleArn: 20-2048 characters */

/* The parsed texts lie on the heap of the document, which is freed but not wiped. */
static void
wipe_texts(const struct xml_node *n)
{
	for (; n; n = n->next) {
		OPENSSL_cleanse((void *)(uintptr_t)n->text, strlen(n->text));
		wipe_texts(n->child);
	}
}

void
sts_answer_done(struct sts_answer *a)
{
	if (a->doc)
		wipe_texts(xml_root(a->doc));
	xml_free(a->doc);
	a->doc = NULL;
	secret_wipe_buf(&a->resp.body);
	resp_done(&a->resp);
}

int
sts_call(const struct sts_caller *c, const char *operation, const struct buf *form,
	 struct sts_answer *answer, struct err *err)
{
	CLEANUP(buf_done) struct buf url = BUF_INIT(4096);
	struct http_req req = {
	    .method = "POST",
	    .body = buf_view(form),
	    .limits = {.total_ms = TOTAL_MS, .max_body = MAX_ANSWER},
	    .service = "sts",
	    .operation = operation,
	    .account = "",
	    .region = c->region,
	    .auth = c->creds ? AUTH_SIGV4 : AUTH_NONE,
	    .creds = c->creds,
	    .proto = PROTO_AWS_QUERY,
	    .unrecorded = c->unrecorded,
	};

	resp_init(&answer->resp, MAX_ANSWER);
	/* All at once: a buffer that grows would leave keys behind in its smaller selves. */
	(void)buf_reserve(&answer->resp.body, MAX_ANSWER / 2);
	buf_fmt(&url, "%s/", c->endpoint);
	req.url = buf_cstr(&url);
	if (buf_check(&url, "URL", err) < 0)
		return -1;
	if (req_header(&req, "Content-Type", "application/x-www-form-urlencoded; charset=utf-8",
		       err) < 0)
		return -1;
	if (transport_send(c->t, &req, &answer->resp, err) < 0)
		return -1;
	if (xml_parse(buf_view(&answer->resp.body), "STS's answer", &answer->doc, err) < 0)
		return -1;
	return 0;
}

bool
sts_arn_account(struct sv arn, struct sv *ret)
{
	const char *p = arn.p, *end = arn.p + arn.n;

	if (!sv_starts(arn, SV("arn:")))
		return false;
	for (int i = 0; i < 4; i++) {
		p = memchr(p, ':', (size_t)(end - p));
		if (!p)
			return false;
		p++;
	}
	if (end - p <= ACCOUNT_LEN || p[ACCOUNT_LEN] != ':')
		return false;
	for (int i = 0; i < ACCOUNT_LEN; i++)
		if (p[i] < '0' || p[i] > '9')
			return false;
	*ret = (struct sv){p, ACCOUNT_LEN};
	return true;
}

static bool
same_account(const char *arn, const char *account)
{
	struct sv part;

	return arn && sts_arn_account(sv_of(arn), &part) && sv_eq(part, sv_of(account));
}

int
sts_read_keys(const struct xml_node *result, const char *expect_account, struct cred *c,
	      struct err *err)
{
	const char *arn = xml_text(result, "AssumedRoleUser/Arn");
	const char *key = xml_text(result, "Credentials/AccessKeyId");
	const char *secret = xml_text(result, "Credentials/SecretAccessKey");
	const char *token = xml_text(result, "Credentials/SessionToken");
	const char *expires = xml_text(result, "Credentials/Expiration");
	struct sv account;

	if (!arn || !key || !secret || !token || !expires || !*key || !*secret || !*token)
		return err_set(err, ERR_DATA, "STS's answer lacks a part of the credentials");
	if (strlen(key) >= sizeof(c->key_id) || !sts_arn_account(sv_of(arn), &account))
		return err_set(err, ERR_DATA,
			       "STS's answer has a key id or ARN of an unknown form");
	if (expect_account && !same_account(arn, expect_account))
		return err_set(err, ERR_AUTH, "STS answered for account %.*s instead of %s",
			       (int)account.n, account.p, expect_account);
	if (!time_parse_iso(sv_of(expires), &c->expires_wall_ms))
		return err_set(err, ERR_DATA, "STS's answer has an expiry that is no time");
	(void)snprintf(c->key_id, sizeof(c->key_id), "%s", key);
	(void)snprintf(c->account, sizeof(c->account), "%.*s", (int)account.n, account.p);
	if (secret_set(&c->secret, sv_of(secret), err) < 0)
		return -1;
	return secret_set(&c->token, sv_of(token), err);
}

void
sts_settle(struct err *err)
{
	if (err->kind == ERR_REJECTED || err->kind == ERR_EXPIRED || err->kind == ERR_NOTFOUND)
		err->kind = ERR_AUTH;
}

int
sts_caller_identity(struct transport *t, struct cred_source *creds, const char *endpoint,
		    const char *region, struct caller_identity *ret, struct err *err)
{
	const struct sts_caller caller = {
	    .t = t, .creds = creds, .endpoint = endpoint, .region = region};
	CLEANUP(sts_answer_done) struct sts_answer answer = {0};
	CLEANUP(buf_done) struct buf form = BUF_INIT(STS_MAX_FORM);
	struct caller_identity id = {0};
	const char *account, *arn;
	struct sv date;

	form_add(&form, "Action", SV("GetCallerIdentity"));
	form_add(&form, "Version", SV(STS_VERSION));
	if (buf_check(&form, "GetCallerIdentity", err) < 0)
		return -1;
	if (sts_call(&caller, "GetCallerIdentity", &form, &answer, err) < 0)
		return -1;
	account = xml_text(xml_root(answer.doc), "GetCallerIdentityResult/Account");
	arn = xml_text(xml_root(answer.doc), "GetCallerIdentityResult/Arn");
	if (!account || !arn || strlen(account) >= sizeof(id.account))
		return err_set(err, ERR_DATA, "STS's answer lacks the account or the ARN");
	(void)snprintf(id.account, sizeof(id.account), "%s", account);
	(void)snprintf(id.arn, sizeof(id.arn), "%s", arn); /* cut: it is shown, not used */
	if (resp_header(&answer.resp, "date", &date))
		(void)time_parse_http(date, &id.server_wall_ms);
	*ret = id;
	return 0;
}

void
sts_session_name(char out[65], const char *tenant, const char *run)
{
	(void)snprintf(out, SESSION_MAX + 1, "muster-%s-%s", tenant, run);
	for (char *p = out; *p; p++)
		if (!isalnum((unsigned char)*p) && !strchr("_+=,.@-", *p))
			*p = '-';
}

int
sts_role_arn(const char *role, const char *account, const char *region, struct buf *out,
	     struct err *err)
{
	struct sv of;

	if (!sv_starts(sv_of(role), SV("arn:"))) {
		buf_fmt(out, "arn:%s:iam::%s:role/%s", endpoint_partition(region), account, role);
	} else if (!sts_arn_account(sv_of(role), &of) || !strstr(role, ":role/")) {
		return err_set(err, ERR_USAGE, "\"%s\" is not the ARN of a role", role);
	} else {
		buf_str(out, role);
	}
	if (out->n > ARN_MAX)
		return err_set(err, ERR_USAGE, "a role ARN of more than %d characters", ARN_MAX);
	return buf_check(out, "role ARN", err);
}
