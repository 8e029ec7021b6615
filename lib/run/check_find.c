/*
 * Findings, and how a refusal becomes the statement that mends it. See check.h.
 */
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/grow.h"
#include "fmt/json.h"
#include "run/check.h"

#define ARENA_BYTES ((size_t)256 << 20)
#define TEXT_MAX    ((size_t)16 << 10)

void
findings_init(struct findings *f)
{
	*f = (struct findings){.mem = ARENA_INIT(ARENA_BYTES)};
}

void
findings_done(struct findings *f)
{
	free(f->v);
	arena_done(&f->mem);
	*f = (struct findings){0};
}

const char *
findings_text(struct findings *f, const char *text)
{
	char *copy = text && *text ? arena_strdup(&f->mem, sv_of(text)) : NULL;

	f->lost = f->lost || (text && *text && !copy);
	return copy ? copy : "";
}

static void
copy_in(struct findings *f, const struct finding *from, struct finding *to)
{
	*to = (struct finding){.level = from->level, .n_remedies = from->n_remedies};
	to->who = findings_text(f, from->who);
	to->job = findings_text(f, from->job);
	to->region = findings_text(f, from->region);
	to->what = findings_text(f, from->what);
	to->words = findings_text(f, from->words);
	to->action = findings_text(f, from->action);
	to->code = findings_text(f, from->code);
	to->request_id = findings_text(f, from->request_id);
	for (size_t i = 0; i < from->n_remedies; i++)
		to->remedies[i] = (struct remedy){findings_text(f, from->remedies[i].to),
						  findings_text(f, from->remedies[i].statement)};
}

void
findings_add(struct findings *f, const struct finding *one)
{
	struct finding *v = array_grow(f->v, f->n, &f->cap, sizeof(*v), NULL);

	if (!v) {
		f->lost = true;
		return;
	}
	f->v = v;
	copy_in(f, one, &f->v[f->n++]);
	f->count[one->level]++;
}

static struct finding
finding_at(const struct check_place *p, enum check_level level, const char *what)
{
	return (struct finding){
	    .level = level, .who = p->who, .job = p->job, .region = p->region, .what = what};
}

void
check_say(const struct check_place *p, enum check_level level, const char *what, const char *words)
{
	struct finding f = finding_at(p, level, what);

	f.words = words;
	findings_add(p->to, &f);
}

/* ---- statements ---- */

/* The session's name at the end is dropped; IAM's paths of roles are not in the ARN of a session.
 */
void
check_principal(const char *caller_arn, struct buf *out)
{
	const char *mark = strstr(caller_arn, ":assumed-role/");
	const char *sts = strstr(caller_arn, ":sts::");
	size_t name;

	if (!mark || !sts || sts > mark) {
		buf_str(out, caller_arn);
		return;
	}
	buf_add(out, caller_arn, (size_t)(sts - caller_arn));
	buf_str(out, ":iam::");
	buf_add(out, sts + strlen(":sts::"), (size_t)(mark - sts) - strlen(":sts::"));
	mark += strlen(":assumed-role/");
	name = strcspn(mark, "/");
	buf_str(out, ":role/");
	buf_add(out, mark, name);
}

static void
trust_statement(const char *caller, const char *action, const char *external_id, struct buf *out)
{
	buf_str(out, "{\"Effect\":\"Allow\",\"Principal\":{\"AWS\":");
	(void)json_escape(out, sv_of(caller[0] ? caller : "the ARN of the base credentials"));
	buf_fmt(out, "},\"Action\":\"%s\"", action);
	if (external_id) {
		buf_str(out, ",\"Condition\":{\"StringEquals\":{\"sts:ExternalId\":");
		(void)json_escape(out, sv_of(external_id));
		buf_str(out, "}}");
	}
	buf_ch(out, '}');
}

static void
caller_statement(unsigned sides, const char *role_arn, struct buf *out)
{
	buf_str(out, "{\"Effect\":\"Allow\",\"Action\":");
	buf_str(out, !(sides & SIDE_CALLER)	? "\"sts:SetSourceIdentity\""
		     : !(sides & SIDE_IDENTITY) ? "\"sts:AssumeRole\""
						: "[\"sts:AssumeRole\",\"sts:SetSourceIdentity\"]");
	buf_str(out, ",\"Resource\":");
	(void)json_escape(out, sv_of(role_arn));
	buf_ch(out, '}');
}

static void
add_remedy(const struct check_place *p, struct finding *f, const char *kind, const char *whose,
	   const struct buf *statement)
{
	CLEANUP(buf_done) struct buf to = BUF_INIT(TEXT_MAX);

	buf_fmt(&to, "%s of %s", kind, whose[0] ? whose : "the base credentials");
	if (buf_ok(statement) && f->n_remedies < CHECK_REMEDIES)
		f->remedies[f->n_remedies++] = (struct remedy){
		    findings_text(p->to, buf_cstr(&to)), findings_text(p->to, buf_cstr(statement))};
}

/* The identity has a statement of its own in the trust policy: the external id is a condition of
 * AssumeRole. */
void
check_role_remedies(const struct check_place *p, unsigned sides, const char *role_arn,
		    const char *external_id, struct finding *f)
{
	CLEANUP(buf_done) struct buf own = BUF_INIT(TEXT_MAX), trust = BUF_INIT(TEXT_MAX);
	CLEANUP(buf_done) struct buf identity = BUF_INIT(TEXT_MAX);

	caller_statement(sides, role_arn, &own);
	trust_statement(p->caller, "sts:AssumeRole", external_id, &trust);
	trust_statement(p->caller, "sts:SetSourceIdentity", NULL, &identity);
	if (sides & (SIDE_CALLER | SIDE_IDENTITY))
		add_remedy(p, f, "the policy", p->caller, &own);
	if (sides & SIDE_TRUST)
		add_remedy(p, f, "the trust policy", role_arn, &trust);
	if (sides & SIDE_IDENTITY)
		add_remedy(p, f, "the trust policy", role_arn, &identity);
}

/* What AWS names itself comes first: a call may need a permission of another service (KMS). */
static void
mend(const struct check_place *p, const char *action, const char *resource, const struct err *err,
     struct finding *f)
{
	char named[TRIAL_ACTION_MAX], on[TRIAL_RESOURCE_MAX];
	CLEANUP(buf_done) struct buf arn = BUF_INIT(TEXT_MAX), statement = BUF_INIT(TEXT_MAX);

	if (trial_denied_what(err, named, on) && (!action || strcmp(action, named) != 0)) {
		action = named;
		if (on[0])
			(void)json_escape(&arn, sv_of(on));
		resource = on[0] ? buf_cstr(&arn) : NULL;
	}
	if (!action)
		return;
	f->action = findings_text(p->to, action);
	trial_statement(action, resource, &statement);
	add_remedy(p, f, "the policy", p->holder, &statement);
}

/* The role of a sink: its ARN stands in the trial as JSON. */
static void
mend_role(const struct check_place *p, const char *resource, struct finding *f)
{
	char arn[TRIAL_RESOURCE_MAX];
	size_t n = strlen(resource);

	if (n < 2 || n - 2 >= sizeof(arn))
		return;
	memcpy(arn, resource + 1, n - 2);
	arn[n - 2] = '\0';
	f->action = "sts:AssumeRole";
	check_role_remedies(p, SIDE_CALLER | SIDE_TRUST, arn, NULL, f);
}

void
check_fault(const struct check_place *p, const char *what, const char *action, const char *resource,
	    const struct err *err)
{
	CLEANUP(buf_done) struct buf words = BUF_INIT(TEXT_MAX);
	struct finding f = finding_at(p, CHECK_FAULT, what);

	buf_str(&words, err->msg);
	if (trial_denied_explicitly(err))
		buf_str(&words,
			"; an explicit deny stands against it, which a statement cannot lift");
	f.words = buf_cstr(&words);
	f.code = err->code;
	f.request_id = err->request_id;
	if (trial_denied(err) && action && resource && !strcmp(action, "sts:AssumeRole"))
		mend_role(p, resource, &f);
	else if (trial_denied(err))
		mend(p, action, resource, err, &f);
	findings_add(p->to, &f);
}

static void
take_trial(void *arg, const struct trial *t)
{
	const struct check_place *p = arg;

	if (t->result == TRIAL_FAILED && t->err)
		check_fault(p, t->what, t->action, t->resource, t->err);
	else
		check_say(p,
			  t->result == TRIAL_OK	    ? CHECK_OK
			  : t->result == TRIAL_WARN ? CHECK_WARN
						    : CHECK_FAULT,
			  t->what, t->note);
}

struct trials
check_trials(struct check_place *p)
{
	return (struct trials){.take = take_trial, .arg = p};
}
