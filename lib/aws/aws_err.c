/*
 * From an answer to an error kind. Services spell the same trouble in five ways and balancers in
 * front of them in a sixth; the runner acts on kinds only, so all the spelling is known here and
 * nowhere else.
 */
#include "aws/aws_err.h"

#include <openssl/crypto.h>
#include <stdio.h>
#include <strings.h>

#include "aws/cbor_error.h"
#include "base/cleanup.h"
#include "base/num.h"
#include "base/timefmt.h"
#include "base/utf8.h"
#include "fmt/json.h"
#include "fmt/xml.h"

#define MAX_ERROR_BODY	   (256u << 10) /* longer ones are not parsed: no service sends them */
#define MAX_TEXT	   300		/* of a message or an unreadable body */
#define MAX_RETRY_AFTER_MS 3600000

/* What an answer says about its failure; the texts live in the buffers. */
struct story {
	struct buf code, message, request_id;
};

struct code_kind {
	const char *code; /* without "Exception" */
	enum err_kind kind;
};

/* The SDKs' classes (aws-sdk standard retry mode), then what this program tells apart. */
static const struct code_kind code_kinds[] = {
    {"Throttling", ERR_THROTTLED},
    {"Throttled", ERR_THROTTLED},
    {"RequestThrottled", ERR_THROTTLED},
    {"TooManyRequests", ERR_THROTTLED},
    {"ProvisionedThroughputExceeded", ERR_THROTTLED},
    {"TransactionInProgress", ERR_THROTTLED},
    {"RequestLimitExceeded", ERR_THROTTLED},
    {"BandwidthLimitExceeded", ERR_THROTTLED},
    {"LimitExceeded", ERR_THROTTLED},
    {"SlowDown", ERR_THROTTLED},
    {"PriorRequestNotComplete", ERR_THROTTLED},
    {"EC2Throttled", ERR_THROTTLED},
    {"KMS.Throttling", ERR_THROTTLED},
    {"RequestTimeout", ERR_TRANSIENT},
    {"InternalError", ERR_TRANSIENT},
    {"InternalFailure", ERR_TRANSIENT},
    {"InternalServer", ERR_TRANSIENT},
    {"InternalServerError", ERR_TRANSIENT},
    {"ServiceUnavailable", ERR_TRANSIENT},
    {"IDPCommunicationError", ERR_TRANSIENT},
    {"BadDigest", ERR_TRANSIENT}, /* bytes that changed on their way, as the next two */
    {"XAmzContentChecksumMismatch", ERR_TRANSIENT},
    {"IncompleteBody", ERR_TRANSIENT},
    {"OperationAborted", ERR_TRANSIENT},
    {"ConditionalRequestConflict", ERR_TRANSIENT},
    {"ExpiredToken", ERR_EXPIRED},
    {"TokenRefreshRequired", ERR_EXPIRED},
    {"InvalidToken", ERR_EXPIRED},
    {"RequestExpired", ERR_SKEW},
    {"RequestInTheFuture", ERR_SKEW},
    {"RequestTimeTooSkewed", ERR_SKEW},
    {"AccessDenied", ERR_AUTH},
    {"AccountProblem", ERR_AUTH},
    {"AllAccessDisabled", ERR_AUTH},
    {"AuthFailure", ERR_AUTH},
    {"IncompleteSignature", ERR_AUTH},
    {"InvalidAccessKeyId", ERR_AUTH},
    {"InvalidClientTokenId", ERR_AUTH},
    {"InvalidSignature", ERR_AUTH},
    {"MissingAuthenticationToken", ERR_AUTH},
    {"NotAuthorized", ERR_AUTH},
    {"OptInRequired", ERR_AUTH},
    {"RegionDisabled", ERR_AUTH},
    {"SignatureDoesNotMatch", ERR_AUTH},
    {"UnauthorizedOperation", ERR_AUTH},
    {"UnrecognizedClient", ERR_AUTH},
    {"AWSOrganizationsNotInUse", ERR_NOTFOUND},
    {"PreconditionFailed", ERR_CONFLICT},
};

/* By status alone: all that is left of an answer of a balancer, or without a body. */
static enum err_kind
kind_of_status(int status)
{
	switch (status) {
	case 401:
	case 403:
		return ERR_AUTH;
	case 404:
		return ERR_NOTFOUND;
	case 408:
	case 500:
	case 502:
	case 503:
	case 504:
		return ERR_TRANSIENT;
	case 409:
	case 412:
		return ERR_CONFLICT;
	case 429:
		return ERR_THROTTLED;
	default:
		/* An S3 error inside a 200 with an unknown code is the service's fault. */
		return status >= 200 && status < 300 ? ERR_TRANSIENT : ERR_REJECTED;
	}
}

static bool
mentions_time(const char *message)
{
	return message && (strstr(message, "Signature expired") ||
			   strstr(message, "Signature not yet current") ||
			   strstr(message, "signature expired") ||
			   strstr(message, "signature not yet current"));
}

static enum err_kind
kind_of_plain(int status)
{
	if (status == 429)
		return ERR_THROTTLED;
	if (status >= 500)
		return ERR_TRANSIENT;
	return status == 401 || status == 403 ? ERR_AUTH : ERR_REJECTED;
}

enum err_kind
aws_kind_of(enum http_proto proto, int status, const char *code, const char *message)
{
	struct sv c = sv_of(code);

	if (proto == PROTO_PLAIN)
		return status >= 200 && status < 300 ? ERR_NONE : kind_of_plain(status);
	if (c.n == 0 && status >= 200 && status < 300)
		return ERR_NONE;
	if (sv_ends(c, SV("Exception")))
		c.n -= strlen("Exception");
	if ((sv_eq(c, SV("InvalidSignature")) || sv_eq(c, SV("SignatureDoesNotMatch"))) &&
	    mentions_time(message))
		return ERR_SKEW;
	for (size_t i = 0; i < ARRAY_LEN(code_kinds); i++)
		if (sv_eq(c, sv_of(code_kinds[i].code)))
			return code_kinds[i].kind;
	if (status < 500 && (sv_starts(c, SV("NoSuch")) || sv_ends(c, SV("NotFound"))))
		return ERR_NOTFOUND;
	if (status < 500 && sv_starts(c, SV("KMS.")))
		return ERR_AUTH;
	return kind_of_status(status);
}

/* "com.amazon.coral.service#Throttling:http://..." is called Throttling. */
static struct sv
bare_code(struct sv s)
{
	const char *p = s.n ? memchr(s.p, '#', s.n) : NULL;

	if (p) {
		s.n -= (size_t)(p + 1 - s.p);
		s.p = p + 1;
	}
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] == ':' || s.p[i] == ';')
			s.n = i;
	return s;
}

static void
set_text(struct buf *b, struct sv s)
{
	if (b->n == 0)
		buf_sv(b, s);
}

static void
read_headers(const struct http_resp *resp, struct story *st)
{
	static const char *const ids[] = {"x-amzn-requestid", "x-amz-request-id"};
	struct sv v;

	for (size_t i = 0; i < ARRAY_LEN(ids); i++)
		if (resp_header(resp, ids[i], &v))
			set_text(&st->request_id, v);
	if (resp_header(resp, "x-amzn-query-error", &v))
		set_text(&st->code, bare_code(v));
	if (resp_header(resp, "x-amzn-errortype", &v))
		set_text(&st->code, bare_code(v));
}

static void
read_json_object(const json_t *root, struct story *st)
{
	static const char *const codes[] = {"__type", "code", "Code"};
	static const char *const messages[] = {"message", "Message", "errorMessage"};

	for (size_t i = 0; i < ARRAY_LEN(codes); i++) {
		const json_t *j = json_object_get(root, codes[i]);

		if (json_is_string(j))
			set_text(&st->code, bare_code((struct sv){json_string_value(j),
								  json_string_length(j)}));
	}
	for (size_t i = 0; i < ARRAY_LEN(messages); i++) {
		const json_t *j = json_object_get(root, messages[i]);

		if (json_is_string(j))
			set_text(&st->message,
				 (struct sv){json_string_value(j), json_string_length(j)});
	}
}

static bool
read_json(struct sv body, struct story *st)
{
	CLEANUP(json_decrefp) json_t *root = NULL;

	if (json_parse(body, "error", &root, NULL) < 0)
		return false;
	read_json_object(root, st);
	/* Old front ends wrap it. */
	read_json_object(json_object_get(root, "Output"), st);
	return true;
}

/* S3 keeps long operations alive with blanks, also before the XML declaration. */
static struct sv
skip_blanks(struct sv s)
{
	while (s.n && (s.p[0] == ' ' || s.p[0] == '\t' || s.p[0] == '\r' || s.p[0] == '\n')) {
		s.p++;
		s.n--;
	}
	return s;
}

static bool
read_xml(struct sv body, struct story *st)
{
	CLEANUP(xml_freep) struct xml_doc *doc = NULL;
	const struct xml_node *root, *error;
	const char *id;

	if (xml_parse(skip_blanks(body), "error", &doc, NULL) < 0)
		return false;
	root = xml_root(doc);
	error = strcmp(root->name, "Error") == 0 ? root : xml_child(root, "Error");
	/* EC2's and some older services' form. */
	if (!error)
		error = xml_path(root, "Errors/Error");
	if (!error)
		return false;
	id = xml_text(error, "RequestId");
	if (!id)
		id = xml_text(root, "RequestId");
	if (!id)
		id = xml_text(root, "RequestID");
	set_text(&st->code, bare_code(sv_of(xml_text(error, "Code"))));
	set_text(&st->message, sv_of(xml_text(error, "Message")));
	set_text(&st->request_id, sv_of(id));
	return true;
}

static bool
read_body(enum http_proto proto, struct sv body, struct story *st)
{
	struct sv code, message;

	if (body.n == 0 || body.n > MAX_ERROR_BODY)
		return false;
	switch (proto) {
	case PROTO_AWS_JSON:
		return read_json(body, st);
	case PROTO_AWS_QUERY:
	case PROTO_AWS_REST_XML:
		return read_xml(body, st);
	case PROTO_AWS_CBOR:
		if (!cbor_error(body, &code, &message))
			return false;
		set_text(&st->code, bare_code(code));
		set_text(&st->message, message);
		return true;
	case PROTO_PLAIN:
		break;
	}
	return false;
}

/* One line of at most MAX_TEXT bytes of input, with nothing in it that acts on a terminal. */
static void
add_escaped(struct buf *out, struct sv s)
{
	size_t left = MAX_TEXT;

	while (s.n && (s.p[s.n - 1] == '\n' || s.p[s.n - 1] == '\r' || s.p[s.n - 1] == ' '))
		s.n--;
	while (s.n && left) {
		uint32_t cp;
		size_t n = utf8_next(s, &cp);

		if (n > left)
			break;
		if (cp == '\n')
			buf_str(out, "\\n");
		else if (cp == UTF8_BAD || cp < 0x20 || (cp >= 0x7f && cp < 0xa0))
			for (size_t i = 0; i < n; i++)
				buf_fmt(out, "\\x%02x", (unsigned char)s.p[i]);
		else
			buf_add(out, s.p, n);
		s.p += n;
		s.n -= n;
		left -= n;
	}
	if (s.n)
		buf_str(out, "...");
}

static unsigned
retry_after_ms(const struct http_resp *resp)
{
	int64_t ms = 0, when, date;
	struct sv v, d;

	if (resp_header(resp, "x-amz-retry-after", &v) && num_i64(v, &ms)) {
		/* milliseconds as they are */
	} else if (!resp_header(resp, "retry-after", &v)) {
		return 0;
	} else if (num_i64(v, &ms)) {
		ms = ms > 0 && ms <= MAX_RETRY_AFTER_MS ? ms * 1000 : ms;
	} else if (time_parse_http(v, &when) && resp_header(resp, "date", &d) &&
		   time_parse_http(d, &date)) {
		ms = when - date;
	}
	if (ms < 0)
		return 0;
	return ms > MAX_RETRY_AFTER_MS ? MAX_RETRY_AFTER_MS : (unsigned)ms;
}

static void
copy_text(char *to, size_t size, struct sv s)
{
	size_t n = 0;

	for (size_t i = 0; i < s.n && n + 1 < size; i++)
		if ((unsigned char)s.p[i] > ' ' && (unsigned char)s.p[i] < 0x7f)
			to[n++] = s.p[i];
	to[n] = '\0';
}

static int
report(enum err_kind kind, const struct http_resp *resp, const struct story *st, bool understood,
       struct err *err)
{
	CLEANUP(buf_done) struct buf text = BUF_INIT(8 * MAX_TEXT);

	if (!err)
		return -1;
	buf_fmt(&text, "%d", resp->status);
	if (st->code.n) {
		buf_ch(&text, ' ');
		add_escaped(&text, buf_view(&st->code));
	}
	if (st->message.n || (!understood && resp->body.n)) {
		buf_str(&text, ": ");
		add_escaped(&text, st->message.n ? buf_view(&st->message) : buf_view(&resp->body));
	}
	(void)err_set(err, kind, "%s", buf_cstr(&text));
	err->http_status = resp->status;
	err->retry_after_ms = retry_after_ms(resp);
	copy_text(err->code, sizeof(err->code), buf_view(&st->code));
	copy_text(err->request_id, sizeof(err->request_id), buf_view(&st->request_id));
	return -1;
}

/* S3 sends the headers of a long operation before it knows how that ends. */
static bool
is_error_document(const struct http_req *req, struct sv body)
{
	const char *end;

	if (req->proto != PROTO_AWS_REST_XML ||
	    (strcmp(req->method, "POST") != 0 && strcmp(req->method, "PUT") != 0))
		return false;
	body = skip_blanks(body);
	if (sv_starts(body, SV("<?xml"))) {
		end = memchr(body.p, '>', body.n);
		if (!end)
			return false;
		body.n -= (size_t)(end + 1 - body.p);
		body.p = end + 1;
		body = skip_blanks(body);
	}
	return sv_starts(body, SV("<Error>")) || sv_starts(body, SV("<Error "));
}

int
aws_classify(const struct http_req *req, const struct http_resp *resp, struct err *err)
{
	struct story st = {
	    .code = BUF_INIT(MAX_ERROR_BODY),
	    .message = BUF_INIT(MAX_ERROR_BODY),
	    .request_id = BUF_INIT(MAX_ERROR_BODY),
	};
	bool ok = resp->status >= 200 && resp->status < 300, understood;
	enum err_kind kind;

	if (ok && !is_error_document(req, buf_view(&resp->body)))
		return 0;
	if (req->proto != PROTO_PLAIN)
		read_headers(resp, &st);
	understood = read_body(req->proto, buf_view(&resp->body), &st);
	kind = aws_kind_of(req->proto, resp->status, buf_cstr(&st.code), buf_cstr(&st.message));
	if (kind == ERR_NONE)
		kind = ERR_TRANSIENT; /* an error in a 200 that names no code */
	if (req->proto == PROTO_PLAIN && kind == ERR_THROTTLED && !req->retry_429)
		kind = ERR_REJECTED;
	(void)report(kind, resp, &st, understood, err);
	buf_done(&st.code);
	buf_done(&st.message);
	buf_done(&st.request_id);
	return -1;
}
