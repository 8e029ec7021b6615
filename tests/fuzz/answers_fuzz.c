/*
 * Small answers: errors of every protocol, STS's and S3's XML, and what receivers say when they
 * refuse. The first byte chooses the protocol and the status, the rest is the body.
 */
#include "aws/aws_err.h"
#include "aws/sts_call.h"
#include "fmt/xml.h"
#include "net/transport.h"
#include "sink/rw_words.h"
#include "sink/sink_http.h"
#include "tests/fuzz/fuzz.h"

static const int statuses[] = {200, 400, 403, 404, 412, 413, 429, 500, 503};

static bool
printable(const char *s)
{
	if (!utf8_valid(sv_of(s)))
		return false;
	for (; *s; s++)
		if ((unsigned char)*s < ' ' || *s == 0x7f)
			return false;
	return true;
}

static void
classified(enum http_proto proto, int status, struct sv body)
{
	struct http_req req = {.method = "PUT",
			       .url = "",
			       .service = "s3",
			       .operation = "Get",
			       .account = "",
			       .region = "x",
			       .proto = proto};
	struct http_resp resp;
	struct err err = {0};
	int rc;

	resp_init(&resp, FUZZ_MAX);
	resp.status = status;
	buf_sv(&resp.body, body);
	rc = aws_classify(&req, &resp, &err);
	fuzz_answer(rc, &err);
	fuzz_must(rc < 0 || (status >= 200 && status < 300));
	fuzz_must(rc == 0 || (err.http_status == status && printable(err.msg)));
	fuzz_must(printable(err.code) && printable(err.request_id));
	resp_done(&resp);
}

/* A document as STS's: keys whole, or an error; and its nodes hang together. */
static void
xml(struct sv body)
{
	struct xml_doc *doc = NULL;
	struct err err = {0};
	struct cred cred = {0};
	int rc = xml_parse(body, "answer", &doc, &err);

	fuzz_answer(rc, &err);
	fuzz_must((rc == 0) == (doc != NULL));
	if (!doc)
		return;
	for (const struct xml_node *n = xml_root(doc); n; n = n->child)
		for (const struct xml_node *c = n->child; c; c = c->next)
			fuzz_must(c->parent == n && c->name[0] && c->text);
	rc =
	    sts_read_keys(xml_path(xml_root(doc), "AssumeRoleResult"), "111122223333", &cred, &err);
	fuzz_answer(rc, &err);
	fuzz_must(rc < 0 || cred.key_id[0]);
	cred_done(&cred);
	xml_free(doc);
}

static void
refusal(struct sv body)
{
	char reason[SINK_REASON_MAX];
	struct label labels[] = {{"host", "a"}};
	struct series s = {.name = "m", .labels = labels, .n_labels = 1};
	int64_t ms;

	sink_http_reason(body, reason);
	fuzz_must(printable(reason));
	(void)rw_may_be_stored(rw_words_class(reason));
	(void)rw_words_of_keeper(reason);
	(void)rw_words_of_bounds(reason);
	(void)rw_words_of_series_limit(reason);
	(void)rw_words_name(reason, &s);
	if (rw_words_time(reason, &ms))
		fuzz_must(ms > INT64_MIN);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct sv in = {(const char *)data, n};
	unsigned which = fuzz_choice(&in, (PROTO_AWS_CBOR + 1) * ARRAY_LEN(statuses));

	classified((enum http_proto)(which % (PROTO_AWS_CBOR + 1)),
		   statuses[which / (PROTO_AWS_CBOR + 1)], in);
	xml(in);
	refusal(in);
	return 0;
}
