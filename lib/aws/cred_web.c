/*
 * Web identity: a token in a file, which Kubernetes or a CI system puts there and replaces, against
 * the keys of a role. The token is all that is asked for, so it is treated like a key.
 */
#include <stdlib.h>

#include "aws/cred_sources.h"
#include "aws/endpoint.h"
#include "aws/sts_call.h"
#include "base/cleanup.h"
#include "fmt/uri.h"

#define TOKEN_MAX 20000 /* of the API: WebIdentityToken has 4-20000 characters */
#define FORM_MAX  (3 * TOKEN_MAX + STS_MAX_FORM)

struct cred_web {
	struct cred_source base;
	struct transport *t;
	char *endpoint, *region, *token_file, *role_arn, *session_name;
};

static struct sv
trim(struct sv s)
{
	while (s.n && strchr(" \t\r\n", s.p[s.n - 1]))
		s.n--;
	return s;
}

static int
add_token(const struct cred_web *w, struct buf *form, struct err *err)
{
	struct buf token = BUF_INIT(TOKEN_MAX + 2);
	int r = secret_read_file(w->token_file, &token, err);

	if (!r && trim(buf_view(&token)).n == 0)
		r = err_set(err, ERR_AUTH, "%s: there is no token in it", w->token_file);
	if (!r)
		form_add(form, "WebIdentityToken", trim(buf_view(&token)));
	secret_wipe_buf(&token);
	return r;
}

static int
add_form(const struct cred_web *w, struct buf *form, struct err *err)
{
	/* At once: a buffer that grows would leave the token behind in its smaller selves. */
	(void)buf_reserve(form, FORM_MAX / 2);
	form_add(form, "Action", SV("AssumeRoleWithWebIdentity"));
	form_add(form, "Version", SV(STS_VERSION));
	form_add(form, "RoleArn", sv_of(w->role_arn));
	form_add(form, "RoleSessionName", sv_of(w->session_name));
	if (add_token(w, form, err))
		return -1;
	return buf_check(form, "AssumeRoleWithWebIdentity", err);
}

static int
call(const struct cred_web *w, struct cred *c, struct err *err)
{
	const struct sts_caller caller = {
	    .t = w->t, .endpoint = w->endpoint, .region = w->region, .unrecorded = true};
	CLEANUP(sts_answer_done) struct sts_answer answer = {0};
	CLEANUP(secret_wipe_buf) struct buf form = BUF_INIT(FORM_MAX);

	if (add_form(w, &form, err) ||
	    sts_call(&caller, "AssumeRoleWithWebIdentity", &form, &answer, err))
		return -1;
	return sts_read_keys(xml_path(xml_root(answer.doc), "AssumeRoleWithWebIdentityResult"),
			     NULL, c, err);
}

static int
web_get(struct cred_source *s, const char *stale, struct cred *ret, struct err *err)
{
	struct cred_web *w = (struct cred_web *)s;
	struct cred fresh = {0};
	struct err own = {0};
	int r;

	(void)stale; /* every call brings new keys */
	r = call(w, &fresh, &own);
	/* A cut-off answer passes; and the file may hold a newer token by now. */
	if (r && (own.kind == ERR_DATA || own.kind == ERR_EXPIRED))
		r = call(w, &fresh, &own);
	if (!r) {
		cred_done(ret);
		*ret = fresh;
		return 0;
	}
	cred_done(&fresh);
	sts_settle(&own);
	(void)err_wrap(&own, "role %s cannot be assumed with the token in %s", w->role_arn,
		       w->token_file);
	if (err)
		*err = own;
	return -1;
}

static void
web_describe(const struct cred_source *s, struct buf *out)
{
	buf_fmt(out, "web identity token file %s", ((const struct cred_web *)s)->token_file);
}

static void
web_free(struct cred_source *s)
{
	struct cred_web *w = (struct cred_web *)s;

	free(w->endpoint);
	free(w->region);
	free(w->token_file);
	free(w->role_arn);
	free(w->session_name);
	free(w);
}

int
cred_web_new(const struct cred_setup *setup, const struct web_identity *id,
	     struct cred_source **ret, struct err *err)
{
	static const struct cred_source_ops ops = {"web identity", web_get, web_free, web_describe};
	CLEANUP(buf_done) struct buf endpoint = BUF_INIT(4096);
	struct cred_web *w;

	if (endpoint_url("sts", setup->region, &endpoint, err))
		return -1;
	w = calloc(1, sizeof(*w));
	if (!w)
		return err_nomem(err);
	w->base.ops = &ops;
	w->t = setup->t;
	w->endpoint = buf_steal(&endpoint);
	w->region = sv_dup(sv_of(setup->region));
	w->token_file = profile_path(id->token_file);
	w->role_arn = sv_dup(sv_of(id->role_arn));
	w->session_name = sv_dup(sv_of(id->session_name ? id->session_name : setup->session_name));
	if (!w->endpoint || !w->region || !w->token_file || !w->role_arn || !w->session_name) {
		web_free(&w->base);
		return err_nomem(err);
	}
	*ret = &w->base;
	return 0;
}

int
cred_web_env_new(const struct cred_setup *setup, struct cred_source **ret, struct err *err)
{
	const struct web_identity id = {
	    .token_file = settings_get("AWS_WEB_IDENTITY_TOKEN_FILE", NULL),
	    .role_arn = settings_get("AWS_ROLE_ARN", NULL),
	    .session_name = settings_get("AWS_ROLE_SESSION_NAME", NULL),
	};

	if (!id.token_file)
		return err_set(err, ERR_NOTFOUND, "AWS_WEB_IDENTITY_TOKEN_FILE is not set");
	if (!id.role_arn)
		return err_set(err, ERR_AUTH,
			       "AWS_WEB_IDENTITY_TOKEN_FILE is set, AWS_ROLE_ARN is not");
	return cred_web_new(setup, &id, ret, err);
}
