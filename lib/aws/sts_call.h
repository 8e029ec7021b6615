/* One call of STS's Query API; private to lib/aws. */
#ifndef MUSTER_AWS_STS_CALL_H
#define MUSTER_AWS_STS_CALL_H

#include "aws/cred.h"
#include "fmt/xml.h"
#include "net/transport.h"

#define STS_VERSION  "2011-06-15"
#define STS_MAX_FORM 16384

/* Answers can carry keys: sts_answer_done wipes the bytes and the parsed texts. */
struct sts_answer {
	struct http_resp resp;
	struct xml_doc *doc;
};
void sts_answer_done(struct sts_answer *a);

/* Where, and as whom. */
struct sts_caller {
	struct transport *t;
	struct cred_source *creds; /* NULL: the call is not signed */
	const char *endpoint, *region;
	bool unrecorded; /* as in struct http_req */
};
/* *answer is zeroed before; the caller calls sts_answer_done in any case. */
int sts_call(const struct sts_caller *c, const char *operation, const struct buf *form, struct sts_answer *answer, struct err *err);

/* What an <AssumeRole...Result> holds. `expect_account`: the role must be in it; NULL: in any. */
int sts_read_keys(const struct xml_node *result, const char *expect_account, struct cred *c, struct err *err);
/* To who wants to use keys, a refusal of any kind means: there are none, and asking again is no use. */
void sts_settle(struct err *err);

/* The account in arn:partition:service:region:ACCOUNT:rest, 12 digits. */
bool sts_arn_account(struct sv arn, struct sv *ret);

#endif
