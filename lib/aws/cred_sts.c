/*
 * A tenant's credentials: AssumeRole, signed with our own.
 *
 * The answer carries keys, so nothing of it may stay behind: its buffer is wiped, and so are the
 * parsed texts. And it is believed only if the role it names is in the tenant's account: a typing
 * error in a role ARN must not read one tenant's data under another's name.
 */
#include <stdio.h>
#include <stdlib.h>

#include "aws/sts.h"
#include "aws/sts_call.h"
#include "base/cleanup.h"
#include "fmt/uri.h"

#define DEFAULT_DURATION_S 3600

struct cred_sts {
	struct cred_source base;
	struct transport *t;
	struct cred_source *creds;
	char *endpoint, *region, *role_arn, *external_id, *session_name, *source_identity;
	char *expect_account;
	int duration_s;
	bool unrecorded;
};

static void
add_form(const struct cred_sts *s, bool with_identity, struct buf *form)
{
	char seconds[16];

	(void)snprintf(seconds, sizeof(seconds), "%d", s->duration_s);
	form_add(form, "Action", SV("AssumeRole"));
	form_add(form, "Version", SV(STS_VERSION));
	form_add(form, "RoleArn", sv_of(s->role_arn));
	form_add(form, "RoleSessionName", sv_of(s->session_name));
	form_add(form, "DurationSeconds", sv_of(seconds));
	if (s->external_id)
		form_add(form, "ExternalId", sv_of(s->external_id));
	if (with_identity && s->source_identity)
		form_add(form, "SourceIdentity", sv_of(s->source_identity));
}

static int
call(const struct cred_sts *s, bool with_identity, struct cred *c, struct err *err)
{
	const struct sts_caller caller = {.t = s->t,
					  .creds = s->creds,
					  .endpoint = s->endpoint,
					  .region = s->region,
					  .unrecorded = s->unrecorded};
	CLEANUP(sts_answer_done) struct sts_answer answer = {0};
	CLEANUP(buf_done) struct buf form = BUF_INIT(STS_MAX_FORM);

	add_form(s, with_identity, &form);
	if (buf_check(&form, "AssumeRole", err) < 0)
		return -1;
	if (sts_call(&caller, "AssumeRole", &form, &answer, err) < 0)
		return -1;
	return sts_read_keys(xml_path(xml_root(answer.doc), "AssumeRoleResult"), s->expect_account,
			     c, err);
}

/* Puts the refusal into words that an operator can act on. */
static int
explain(const struct cred_sts *s, struct err *err)
{
	if (strncmp(err->code, "AccessDenied", 12) == 0)
		return err_wrap(
		    err,
		    "role %s cannot be assumed; STS does not say why, so check that the "
		    "role exists, that its trust policy names this caller, and %s",
		    s->role_arn,
		    s->external_id ? "that its external id is the configured one"
				   : "that it asks for no external id");
	return err_wrap(err, "role %s cannot be assumed", s->role_arn);
}

static int
sts_get(struct cred_source *src, const char *stale, struct cred *ret, struct err *err)
{
	struct cred_sts *s = (struct cred_sts *)src;
	struct cred fresh = {0};
	struct err own = {0};
	int r;

	(void)stale; /* every call brings new keys */
	r = call(s, true, &fresh, &own);
	if (r < 0 && own.kind == ERR_DATA) /* a cut-off answer passes */
		r = call(s, true, &fresh, &own);
	if (r < 0 && s->source_identity && strncmp(own.code, "AccessDenied", 12) == 0)
		r = call(s, false, &fresh, &own);
	if (r == 0) {
		cred_done(ret);
		*ret = fresh;
		return 0;
	}
	cred_done(&fresh);
	(void)explain(s, &own);
	sts_settle(&own);
	if (err)
		*err = own;
	return -1;
}

static void
sts_free(struct cred_source *src)
{
	struct cred_sts *s = (struct cred_sts *)src;

	free(s->endpoint);
	free(s->region);
	free(s->role_arn);
	free(s->external_id);
	free(s->session_name);
	free(s->source_identity);
	free(s->expect_account);
	free(s);
}

/* Copies one string; NULL stays NULL. */
static bool
keep(char **to, const char *from)
{
	if (from)
		*to = sv_dup(sv_of(from));
	return !from || *to;
}

int
cred_sts_new(struct transport *t, struct cred_source *base, const struct assume_role *p,
	     struct cred_source **ret, struct err *err)
{
	static const struct cred_source_ops ops = {"AssumeRole", sts_get, sts_free, NULL};
	struct cred_sts *s = calloc(1, sizeof(*s));

	if (!s)
		return err_nomem(err);
	s->base.ops = &ops;
	s->t = t;
	s->creds = base;
	s->unrecorded = p->unrecorded;
	s->duration_s = p->duration_s ? p->duration_s : DEFAULT_DURATION_S;
	if (!keep(&s->endpoint, p->endpoint) || !keep(&s->region, p->region) ||
	    !keep(&s->role_arn, p->role_arn) || !keep(&s->external_id, p->external_id) ||
	    !keep(&s->session_name, p->session_name) ||
	    !keep(&s->source_identity, p->source_identity) ||
	    !keep(&s->expect_account, p->expect_account)) {
		sts_free(&s->base);
		return err_nomem(err);
	}
	*ret = &s->base;
	return 0;
}

int
sts_assume_role(struct transport *t, struct cred_source *base, const struct assume_role *p,
		struct cred *ret, struct err *err)
{
	struct cred_source *source = NULL;
	struct cred fresh = {0};
	int r;

	if (cred_sts_new(t, base, p, &source, err) < 0)
		return -1;
	r = call((struct cred_sts *)source, true, &fresh, err);
	cred_source_free(source);
	if (r < 0) {
		cred_done(&fresh);
		return -1;
	}
	cred_done(ret);
	*ret = fresh;
	return 0;
}
