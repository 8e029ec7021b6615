/*
 * Small answers: errors of every protocol, STS's and S3's XML, and what receivers say when they
 * refuse. The first byte chooses the protocol and the status, the rest is the body. A code of AWS's
 * has its kind in each protocol, however it is dressed up.
 */
#include "aws/aws_err.h"
#include "aws/sts_call.h"
#include "fmt/cbor.h"
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

/* One code for each of the kinds there are, and then some. */
static const struct {
	const char *code;
	enum err_kind kind;
} codes[] = {
    {"Throttling", ERR_THROTTLED},
    {"LimitExceeded", ERR_THROTTLED},
    {"SlowDown", ERR_THROTTLED},
    {"RequestTimeout", ERR_TRANSIENT},
    {"InternalFailure", ERR_TRANSIENT},
    {"ServiceUnavailable", ERR_TRANSIENT},
    {"ExpiredToken", ERR_EXPIRED},
    {"RequestTimeTooSkewed", ERR_SKEW},
    {"RequestExpired", ERR_SKEW},
    {"AccessDenied", ERR_AUTH},
    {"UnrecognizedClient", ERR_AUTH},
    {"OptInRequired", ERR_AUTH},
    {"AWSOrganizationsNotInUse", ERR_NOTFOUND},
    {"PreconditionFailed", ERR_CONFLICT},
};

static void
put_answer(enum http_proto proto, const char *code, struct buf *out)
{
	if (proto == PROTO_AWS_JSON) {
		buf_fmt(out, "{\"__type\":\"com.amazon#%s\"}", code);
	} else if (proto == PROTO_AWS_CBOR) {
		cbor_put_head(out, CBOR_MAP, 1);
		cbor_put_text(out, SV("__type"));
		cbor_put_text(out, sv_of(code));
	} else if (proto == PROTO_AWS_QUERY) {
		buf_fmt(out, "<ErrorResponse><Error><Code>%s</Code></Error></ErrorResponse>", code);
	} else {
		buf_fmt(out, "<Error><Code>%s</Code></Error>", code);
	}
}

/* `how` chooses code and dress. */
static void
coded(enum http_proto proto, int status, unsigned how)
{
	struct http_req req = {.method = "POST",
			       .url = "",
			       .service = "s",
			       .operation = "Get",
			       .account = "",
			       .region = "x",
			       .proto = proto};
	CLEANUP(buf_done) struct buf code = BUF_INIT(FUZZ_MAX);
	size_t which = how / 4 % ARRAY_LEN(codes);
	struct http_resp resp;
	struct err err = {0};

	buf_str(&code, codes[which].code);
	buf_str(&code, how & 1 ? "Exception" : "");
	buf_str(&code, how & 2 ? ":http://x" : "");
	resp_init(&resp, FUZZ_MAX);
	resp.status = status;
	put_answer(proto, buf_cstr(&code), &resp.body);
	fuzz_must(aws_classify(&req, &resp, &err) < 0 && err.kind == codes[which].kind);
	resp_done(&resp);
}

/* Every node knows where it is, and has a name and a text. */
static void
check_nodes(const struct xml_node *n)
{
	fuzz_must(n->name[0] && n->text && utf8_valid(sv_of(n->text)));
	for (const struct xml_node *c = n->child; c; c = c->next) {
		fuzz_must(c->parent == n);
		check_nodes(c);
	}
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
	check_nodes(xml_root(doc));
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
	if (in.n && which % (PROTO_AWS_CBOR + 1) != PROTO_PLAIN &&
	    statuses[which / (PROTO_AWS_CBOR + 1)] >= 300)
		coded((enum http_proto)(which % (PROTO_AWS_CBOR + 1)),
		      statuses[which / (PROTO_AWS_CBOR + 1)], (unsigned char)in.p[0]);
	xml(in);
	refusal(in);
	return 0;
}
