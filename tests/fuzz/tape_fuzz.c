/*
 * What gets on a cassette. The first byte chooses: an exchange is masked, in which the secrets that
 * it was signed with stand wherever the input has bytes 1 to 4; or it is scrubbed, a body of a kind
 * that AWS sends with a name in each place for one, in the midst of the input. No secret, no such
 * name and no account id is left then, and what is left is a document of the same form.
 */
#include <ctype.h>
#include <strings.h>

#include "aws/aws_err.h"
#include "aws/tape.h"
#include "aws/tape_scrub.h"
#include "fmt/json.h"
#include "fmt/uri.h"
#include "fmt/xml.h"
#include "tests/fuzz/fuzz.h"

#define ACCOUNT "111122223333"
#define SECRET	"Session0Secret/+=="
#define NAME	"Acme7Secret"

static bool
holds(const struct buf *b, const char *what)
{
	return b->n && memmem(b->p, b->n, what, strlen(what));
}

/* ---- masking ---- */

/* Token, key id, signature, external id. */
static const char *const secrets[] = {"FwoGZXIvYXdzEBAa/+token==", "AKIDEXAMPLE",
				      "5d672d79c15b13162d", "an external id"};

/* The input with secrets in the place of small bytes; a NUL is no part of it. */
static void
plant(struct sv in, struct buf *out)
{
	for (size_t i = 0; i < in.n; i++)
		if (in.p[i] >= 1 && in.p[i] <= (int)ARRAY_LEN(secrets))
			buf_str(out, secrets[in.p[i] - 1]);
		else
			buf_ch(out, in.p[i]);
}

/* Key ids that are somebody's, as long ones are. */
static bool
has_key_id(const struct buf *b)
{
	for (size_t i = 0; i + 20 <= b->n; i++) {
		size_t n = 4;

		if (memcmp(b->p + i, "AKIA", 4) != 0 && memcmp(b->p + i, "ASIA", 4) != 0)
			continue;
		while (n < 20 &&
		       (isupper((unsigned char)b->p[i + n]) || isdigit((unsigned char)b->p[i + n])))
			n++;
		if (n == 20)
			return true;
	}
	return false;
}

/* An external id is one in what goes to STS. */
static void
nothing_secret(const struct buf *b, bool sts)
{
	for (size_t i = 0; i < ARRAY_LEN(secrets) - !sts; i++)
		fuzz_must(!holds(b, secrets[i]));
	fuzz_must(!has_key_id(b));
}

/* Both keys it is known by, the loose one no longer unless times are blanked in it. */
static void
known_by(const struct exchange *e, bool sts)
{
	CLEANUP(buf_done) struct buf strict = BUF_INIT(FUZZ_MAX), loose = BUF_INIT(FUZZ_MAX);
	struct err err = {0};

	fuzz_answer(tape_key(e, false, &strict, &err), &err);
	fuzz_answer(tape_key(e, true, &loose, &err), &err);
	nothing_secret(&strict, sts);
	nothing_secret(&loose, sts);
}

/* Of a form for STS, what is on a list of few. */
static void
form_of_sts(struct sv form)
{
	static const char *const kept[] = {"Action", "Version", "RoleArn", "DurationSeconds"};

	while (form.n) {
		struct sv field = fuzz_part(&form, '&'), name = fuzz_part(&field, '=');
		bool known = false;

		for (size_t i = 0; i < ARRAY_LEN(kept); i++)
			known = known || (name.n == strlen(kept[i]) &&
					  !strncasecmp(name.p, kept[i], name.n));
		fuzz_must(known);
	}
}

/* What STS gave is written anew, as something that can be read, or not at all. */
static void
answer_of_sts(const struct exchange *e)
{
	struct xml_doc *doc = NULL;

	fuzz_must(!holds(&e->answer, SECRET));
	if (e->answer.n && e->answer.p[0] == '<') {
		fuzz_must(xml_parse(buf_view(&e->answer), "masked", &doc, NULL) == 0);
		xml_free(doc);
	}
}

static void
masked(const struct http_req *req, const struct http_resp *resp, bool sts)
{
	struct exchange *e = NULL;
	struct err why = {0}, err = {0};
	int result = aws_classify(req, resp, &why);
	int rc = tape_mask(req, resp, result, &why, &e, &err);

	fuzz_answer(rc, &err);
	fuzz_must((rc == 0) == (e != NULL));
	if (!e)
		return;
	fuzz_must(e->status == resp->status && e->outcome == (result ? why.kind : ERR_NONE));
	nothing_secret(&e->path, sts);
	nothing_secret(&e->headers, sts);
	nothing_secret(&e->body, sts);
	nothing_secret(&e->answer_headers, sts);
	nothing_secret(&e->answer, sts);
	fuzz_must(!holds(&e->headers, "Signature") && !holds(&e->headers, "Security-Token"));
	if (sts) {
		form_of_sts(buf_view(&e->body));
		answer_of_sts(e);
	}
	known_by(e, sts);
	exchange_free(e);
}

static void
mask(struct sv in)
{
	static const char *const services[] = {"sts", "monitoring", "logs", "organizations",
					       "xray"};
	static const enum http_proto protos[] = {PROTO_AWS_QUERY, PROTO_AWS_CBOR, PROTO_AWS_JSON};
	unsigned service = fuzz_choice(&in, ARRAY_LEN(services)), how = fuzz_choice(&in, 6);
	CLEANUP(buf_done) struct buf url = BUF_INIT(FUZZ_MAX), body = BUF_INIT(FUZZ_MAX);
	CLEANUP(buf_done) struct buf auth = BUF_INIT(FUZZ_MAX);
	struct http_resp resp;
	bool sts = service == 0;
	struct http_req req = {.method = "POST",
			       .service = services[service],
			       .operation = "Op",
			       .account = ACCOUNT,
			       .region = "eu-west-1",
			       .auth = AUTH_SIGV4,
			       .proto = protos[sts ? 0 : how % 3]};

	resp_init(&resp, FUZZ_MAX);
	resp.status = how < 3 ? 200 : 403;
	buf_str(&url, "https://host/");
	plant(fuzz_part(&in, '\0'), &url);
	if (sts)
		buf_str(&body, "Action=AssumeRole&ExternalId=an+external%20id&");
	plant(fuzz_part(&in, '\0'), &body);
	if (sts)
		buf_str(&resp.body, "<AssumeRoleResponse><AssumeRoleResult>");
	if (sts && how == 0)
		buf_str(&resp.body, "<Credentials><SecretAccessKey>" SECRET
				    "</SecretAccessKey><SessionToken>" SECRET
				    "</SessionToken><AccessKeyId>ASIAQQQQQQQQQQQQQQQQ</AccessKeyId>"
				    "</Credentials>");
	if (sts && how % 3)
		buf_reset(&resp.body);
	plant(in, &resp.body);
	buf_fmt(&resp.headers, "content-type: %s\nx-amzn-errortype: %s\n", secrets[0], secrets[1]);
	buf_fmt(&auth,
		"AWS4-HMAC-SHA256 Credential=%s/20260101/eu-west-1/x/aws4_request, "
		"SignedHeaders=host, Signature=%s",
		secrets[1], secrets[2]);
	req.url = buf_cstr(&url);
	req.body = buf_view(&body);
	req.auth_header = buf_cstr(&auth);
	fuzz_must(req_header(&req, "X-Amz-Security-Token", secrets[0], NULL) == 0);
	fuzz_must(req_header(&req, "Content-Type", secrets[2], NULL) == 0);
	if (buf_ok(&url))
		masked(&req, &resp, sts);
	resp_done(&resp);
}

/* ---- scrubbing ---- */

/* Answers as AWS sends them: # is a name in the midst of the input, * a name alone, $ a document.
 */
static const char *const bodies[] = {
    "{\"logGroups\":[{\"logGroupName\":\"#\",\"creationTime\":1767225600000,"
    "\"arn\":\"arn:aws:logs:eu-west-1:" ACCOUNT ":log-group:*:*\"}]}",
    "{\"results\":[[{\"field\":\"@message\",\"value\":\"#\"},{\"field\":\"@timestamp\",\"value\":"
    "\"2026-01-01 00:00:00.000\"}]],\"status\":\"Complete\"}",
    "{\"MetricDataResults\":[{\"Id\":\"m0\",\"Label\":\"#\",\"Values\":[1.5]}],"
    "\"Messages\":[{\"Code\":\"x\",\"Value\":\"#\"}]}",
    "{\"Metrics\":[{\"Namespace\":\"AWS/ECS\",\"MetricName\":\"CPU\",\"Dimensions\":[{\"Name\":"
    "\"ServiceName\",\"Value\":\"#\"}]}],\"OwningAccounts\":[\"" ACCOUNT "\"]}",
    "{\"Accounts\":[{\"Id\":\"" ACCOUNT "\",\"Arn\":\"arn:aws:organizations::" ACCOUNT
    ":account/o-*/" ACCOUNT "\",\"Name\":\"#\",\"Email\":\"#\"}]}",
    "{\"Traces\":[{\"Id\":\"1-5f84c7a1-0123456789abcdef01234567\",\"Segments\":[{\"Id\":"
    "\"0123456789abcdef\",\"Document\":\"$\"}]}]}",
    "{\"AlarmHistoryItems\":[{\"AlarmName\":\"#\",\"HistorySummary\":\"Alarm \\\"*\\\" updated "
    "from OK to ALARM\",\"HistoryData\":\"$\"}]}",
    "{\"MetricAlarms\":[{\"AlarmName\":\"#\",\"AlarmArn\":\"arn:aws:cloudwatch:eu-west-1:" ACCOUNT
    ":alarm:*\",\"AlarmDescription\":\"#\",\"StateReason\":\"#\",\"StateReasonData\":\"$\"}]}",
    "{\"__type\":\"AccessDenied\",\"Message\":\"User: arn:aws:sts::" ACCOUNT
    ":assumed-role/*/* is not authorized, #\"}",
};
static const char document[] =
    "{\"id\":\"0123456789abcdef\",\"name\":\"#\",\"start_time\":1767225600.5,\"http\":{\"request\":"
    "{\"url\":\"#\",\"method\":\"GET\"}},\"annotations\":{\"id\":\"#\",\"a\":[\"#\"]},"
    "\"metadata\":{\"default\":{\"id\":\"#\",\"n\":" ACCOUNT ",\"type\":\"#\"}},"
    "\"aws\":{\"account_id\":\"" ACCOUNT "\"},\"subsegments\":[{\"name\":\"#\",\"cause\":"
    "{\"exceptions\":[{\"message\":\"#\"}]}}]}";
static const char *const elements[] = {"Label", "Value", "AlarmName", "StateReason", "Message"};

static json_t *filled(const json_t *j, struct sv name, bool cut);

/* In the place of $: whole, or without its last byte, so that it is no document any more. */
static void
put_document(struct sv name, bool cut, struct buf *out)
{
	CLEANUP(json_decrefp) json_t *doc = NULL, *full = NULL;

	fuzz_must(json_parse(sv_of(document), "template", &doc, NULL) == 0);
	full = filled(doc, name, cut);
	fuzz_must(json_dump(full, false, out, NULL) == 0);
	out->n -= cut;
}

static json_t *
filled_text(const char *s, struct sv name, bool cut)
{
	CLEANUP(buf_done) struct buf text = BUF_INIT(FUZZ_MAX);
	json_t *ret;

	for (; *s; s++)
		if (*s == '#')
			buf_sv(&text, name);
		else if (*s == '*')
			buf_str(&text, NAME);
		else if (*s == '$')
			put_document(name, cut, &text);
		else
			buf_ch(&text, *s);
	ret = json_stringn(buf_cstr(&text), text.n);
	fuzz_must(ret);
	return ret;
}

/* A copy with names in it. */
static json_t *
filled(const json_t *j, struct sv name, bool cut)
{
	json_t *tree = json_copy((json_t *)(uintptr_t)j), *part;
	const char *key;
	size_t i;

	if (json_is_string(j)) {
		json_decref(tree);
		return filled_text(json_string_value(j), name, cut);
	}
	json_array_foreach(tree, i, part)
	{
		fuzz_must(json_array_set_new(tree, i, filled(part, name, cut)) == 0);
	}
	json_object_foreach(tree, key, part)
	{
		fuzz_must(json_object_set_new(tree, key, filled(part, name, cut)) == 0);
	}
	return tree;
}

static void
put_xml(const char *element, struct sv name, struct buf *out)
{
	buf_fmt(out, "<R><A>arn:aws:iam::" ACCOUNT ":role/" NAME "</A><%s>", element);
	for (size_t i = 0; i < name.n; i++)
		if (name.p[i] == '<')
			buf_str(out, "&lt;");
		else if (name.p[i] == '&')
			buf_str(out, "&amp;");
		else
			buf_ch(out, name.p[i]);
	buf_fmt(out, "</%s></R>", element);
}

/* What was there is there, but for texts: the same members, items and numbers. */
static bool
same_shape(const json_t *x, const json_t *y)
{
	json_t *tree = (json_t *)(uintptr_t)x, *part;
	bool same = y && json_typeof(x) == json_typeof(y) &&
		    json_array_size(x) == json_array_size(y) &&
		    json_object_size(x) == json_object_size(y);
	const char *key;
	size_t i;

	if (json_is_number(x))
		return same && json_equal(x, y); /* outside of documents they stay */
	json_array_foreach(tree, i, part)
	{
		same = same && same_shape(part, json_array_get(y, i));
	}
	json_object_foreach(tree, key, part)
	{
		same = same && same_shape(part, json_object_get(y, key));
	}
	return same;
}

/* The account's number as a word of its own. */
static bool
has_account(const struct buf *b)
{
	const size_t n = strlen(ACCOUNT);

	for (size_t i = 0; i + n <= b->n; i++)
		if (!memcmp(b->p + i, ACCOUNT, n) && (!i || !isalnum((unsigned char)b->p[i - 1])) &&
		    (i + n == b->n || !isalnum((unsigned char)b->p[i + n])))
			return true;
	return false;
}

static void
no_names(const struct exchange *e)
{
	const struct buf *all[] = {&e->path, &e->body, &e->answer};

	fuzz_must(strcmp(e->account, ACCOUNT) != 0 && strlen(e->account) == strlen(ACCOUNT));
	for (size_t i = 0; i < ARRAY_LEN(all); i++)
		fuzz_must(!holds(all[i], NAME) && !has_account(all[i]));
}

static struct exchange *
exchange_of(struct sv body, struct sv answer)
{
	struct exchange *e = exchange_new();

	fuzz_must(e);
	(void)snprintf(e->account, sizeof(e->account), "%s", ACCOUNT);
	buf_str(&e->path, "/?arn=arn:aws:iam::" ACCOUNT ":role/" NAME);
	buf_sv(&e->body, body);
	buf_sv(&e->answer, answer);
	return e;
}

/* The next run of letters and digits that is no number; empty: there is none. */
static struct sv
next_word(struct sv *in)
{
	struct sv word = {in->p, 0};
	bool number = true;

	while (in->n && (!word.n || number)) {
		number = true;
		while (in->n && !isalnum((unsigned char)*in->p))
			*in = (struct sv){in->p + 1, in->n - 1};
		word = (struct sv){in->p, 0};
		while (in->n && isalnum((unsigned char)*in->p)) {
			number = number && isdigit((unsigned char)*in->p);
			*in = (struct sv){in->p + 1, in->n - 1};
			word.n++;
		}
	}
	return number ? (struct sv){"", 0} : word;
}

/* Words become others, each the same one everywhere, in the order in which they were. */
static void
in_order(struct scrub *s, struct sv text)
{
	CLEANUP(buf_done) struct buf was = BUF_INIT(FUZZ_MAX), is = BUF_INIT(FUZZ_MAX);
	struct sv word, last = {"", 0};

	while ((word = next_word(&text)).n) {
		int order = sv_cmp(last, word), now;

		buf_reset(&is);
		scrub_words(s, word, &is);
		fuzz_must(is.n == 10 || is.n == 18 || is.n == 32);
		now = sv_cmp(buf_view(&was), buf_view(&is));
		fuzz_must(last.n == 0 || (order > 0) - (order < 0) == (now > 0) - (now < 0));
		buf_reset(&was);
		buf_sv(&was, buf_view(&is));
		last = word;
	}
}

static void
scrubbed(struct sv name, struct sv body, struct sv answer)
{
	struct exchange *e = exchange_of(body, answer), *twin = exchange_of(body, answer);
	CLEANUP(json_decrefp) json_t *was = NULL, *is = NULL;
	struct scrub *s = NULL;
	CLEANUP(buf_done) struct buf words = BUF_INIT(FUZZ_MAX);

	fuzz_must(scrub_new(&s, NULL) == 0);
	scrub_words(s, name, &words);
	fuzz_must(scrub_exchange(s, e, NULL) == 0);
	/* Nothing is replaced before all words are known. */
	fuzz_must(sv_eq(buf_view(&words), name) && sv_eq(buf_view(&e->body), body));
	fuzz_must(scrub_seal(s, NULL) == 0);
	fuzz_must(scrub_exchange(s, e, NULL) == 0 && scrub_exchange(s, twin, NULL) == 0);
	no_names(e);
	fuzz_must(sv_eq(buf_view(&e->body), buf_view(&twin->body)));
	fuzz_must(sv_eq(buf_view(&e->answer), buf_view(&twin->answer)));
	if (answer.p[0] == '{') {
		fuzz_must(json_parse(answer, "answer", &was, NULL) == 0);
		fuzz_must(json_parse(buf_view(&e->answer), "answer", &is, NULL) == 0);
		fuzz_must(same_shape(was, is));
	}
	in_order(s, name);
	scrub_free(s);
	exchange_free(e);
	exchange_free(twin);
}

static void
scrub(struct sv in)
{
	unsigned which = fuzz_choice(&in, ARRAY_LEN(bodies) + ARRAY_LEN(elements) + 1);
	unsigned cut = fuzz_choice(&in, 2);
	CLEANUP(buf_done) struct buf name = BUF_INIT(FUZZ_MAX), body = BUF_INIT(FUZZ_MAX);
	CLEANUP(buf_done) struct buf answer = BUF_INIT(FUZZ_MAX);
	CLEANUP(json_decrefp) json_t *doc = NULL, *full = NULL;
	struct sv before = fuzz_part(&in, '\0');
	bool text = utf8_valid(before) && utf8_valid(in);

	buf_sv(&name, text ? before : SV(""));
	buf_str(&name, NAME);
	buf_sv(&name, text ? in : SV(""));
	buf_str(&body, "Action=GetMetricData&A.member.1.Dimensions.member.1.Value=");
	uri_encode(&body, buf_view(&name), false);
	buf_str(&body, "&RoleArn=arn%3Aaws%3Aiam%3A%3A" ACCOUNT "%3Arole%2F" NAME);
	if (which < ARRAY_LEN(bodies)) {
		fuzz_must(json_parse(sv_of(bodies[which]), "template", &doc, NULL) == 0);
		full = filled(doc, buf_view(&name), cut);
		fuzz_must(json_dump(full, true, &answer, NULL) == 0);
	} else if (which < ARRAY_LEN(bodies) + ARRAY_LEN(elements)) {
		put_xml(elements[which - ARRAY_LEN(bodies)], buf_view(&name), &answer);
	} else {
		buf_str(&answer, "no document: ");
		buf_sv(&answer, buf_view(&name));
	}
	scrubbed(buf_view(&name), buf_view(&body), buf_view(&answer));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct sv in = {(const char *)data, n};

	if (fuzz_choice(&in, 2))
		scrub(in);
	else
		mask(in);
	return 0;
}
