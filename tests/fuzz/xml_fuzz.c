/*
 * Answers in XML, whole calls of them: S3's listings and uploads in parts, STS's GetCallerIdentity.
 * The first byte chooses the call, the second its variant, the rest is one answer up to each NUL.
 * Expat reads the same documents a second time, without namespaces and without our tree, and tells
 * what had to come of them: which keys in which order, which uploads are old, which object is
 * there.
 */
#include <expat.h>

#include "aws/aws_err.h"
#include "aws/s3.h"
#include "aws/sts.h"
#include "base/timefmt.h"
#include "fmt/xml.h"
#include "tests/fuzz/fuzz.h"

#define ANSWERS 16
#define KEYS	2048
#define NOW	"Thu, 01 Jan 2026 12:00:00 GMT"
#define NOW_MS	INT64_C(1767268800000)

/* ---- expat's side ---- */

struct element {
	size_t parent; /* its own number plus one; 0: none */
	struct buf name, text;
};
struct reading {
	struct element *v;
	size_t n, cap;
	size_t open; /* the element that is open, plus one */
};

static void
on_start(void *arg, const XML_Char *name, const XML_Char **atts)
{
	struct reading *r = arg;
	const char *colon = strchr(name, ':');
	struct element *e = &r->v[r->n++];

	(void)atts;
	fuzz_must(r->n <= r->cap);
	*e = (struct element){r->open, BUF_INIT(FUZZ_MAX), BUF_INIT(FUZZ_MAX)};
	buf_str(&e->name, colon ? colon + 1 : name);
	r->open = r->n;
}

static void
on_end(void *arg, const XML_Char *name)
{
	struct reading *r = arg;

	(void)name;
	r->open = r->v[r->open - 1].parent;
}

static void
on_text(void *arg, const XML_Char *s, int n)
{
	struct reading *r = arg;

	if (r->open)
		buf_add(&r->v[r->open - 1].text, s, (size_t)n);
}

/* Empty for what our parser does not take: prefixes that stand for nothing, type declarations. */
static struct reading *
reading_new(struct sv body)
{
	struct reading *r = calloc(1, sizeof(*r));
	XML_Parser p = XML_ParserCreate(NULL);
	struct xml_doc *ours = NULL;
	bool taken = xml_parse(body, "answer", &ours, NULL) == 0;

	fuzz_must(r && p);
	xml_free(ours);
	r->cap = taken ? body.n / 3 : 0; /* <a> */
	r->v = calloc(r->cap + 1, sizeof(*r->v));
	fuzz_must(r->v);
	XML_SetUserData(p, r);
	XML_SetElementHandler(p, on_start, on_end);
	XML_SetCharacterDataHandler(p, on_text);
	if (taken)
		fuzz_must(XML_Parse(p, body.n ? body.p : "", (int)body.n, 1) == XML_STATUS_OK);
	XML_ParserFree(p);
	return r;
}

static void
reading_free(struct reading *r)
{
	for (size_t i = 0; i < r->n; i++) {
		buf_done(&r->v[i].name);
		buf_done(&r->v[i].text);
	}
	free(r->v);
	free(r);
}

/* The first of that name in element `in` (plus one) behind number `after`; plus one, 0: none. */
static size_t
next_in(const struct reading *r, size_t in, const char *name, size_t after)
{
	for (size_t i = after; in && i < r->n; i++)
		if (r->v[i].parent == in && sv_eq(buf_view(&r->v[i].name), sv_of(name)))
			return i + 1;
	return 0;
}

/* Its text; NULL where there is none of that name. */
static const char *
text_in(const struct reading *r, size_t in, const char *name)
{
	size_t at = next_in(r, in, name, 0);

	return at ? buf_cstr((struct buf *)(uintptr_t)&r->v[at - 1].text) : NULL;
}

/* The root, if it has this name. */
static size_t
root_of(const struct reading *r, const char *name)
{
	return r->n && sv_eq(buf_view(&r->v[0].name), sv_of(name)) ? 1 : 0;
}

/* ---- who answers ---- */

struct answer {
	struct sv body;
	bool taken; /* sent, and no refusal */
	char *url;
};
struct net {
	struct transport base;
	struct sv left;
	int first_status; /* of the first answer; those behind it are 200 */
	unsigned head;	  /* what HEAD says */
	char nonce[64];
	struct answer v[ANSWERS];
	size_t n;
	size_t aborted, completed;
	char *aborted_url, *completed_url; /* the last of them */
};

/* A host that an answer names gets nothing of ours: only a region may be taken from it. */
static void
check_url(const char *url)
{
	static const char *const partitions[] = {
	    ".amazonaws.com", ".amazonaws.com.cn", ".amazonaws.eu",  ".c2s.ic.gov",
	    ".sc2s.sgov.gov", ".cloud.adc-e.uk",   ".csp.hci.ic.gov"};
	struct sv host = {url, strcspn(url + strlen("https://"), "/") + strlen("https://")};
	bool known = false;

	fuzz_must(sv_starts(host, SV("https://buck.s3.")) || sv_starts(host, SV("https://sts.")));
	for (size_t i = 0; i < ARRAY_LEN(partitions); i++)
		known = known || sv_ends(host, sv_of(partitions[i]));
	fuzz_must(known && !memchr(host.p, '@', host.n) && !memchr(host.p, '?', host.n));
}

static const char *
header_of(const struct http_req *req, const char *name)
{
	for (size_t i = 0; i < req->n_headers; i++)
		if (!strcasecmp(req->headers[i].name, name))
			return req->headers[i].value;
	return NULL;
}

static void
keep(char **to, const char *s)
{
	free(*to);
	*to = sv_dup(sv_of(s));
	fuzz_must(*to);
}

/* What is no document: parts are taken, uploads are aborted, HEAD says whose the object is. */
static int
plain_answer(struct net *n, const struct http_req *req, struct http_resp *resp, struct err *err)
{
	resp->status = 200;
	buf_str(&resp->headers, "etag: \"e1\"\n");
	if (!strcmp(req->method, "DELETE")) {
		n->aborted++;
		keep(&n->aborted_url, req->url);
	} else if (!strcmp(req->method, "HEAD") && n->head == 0) {
		resp->status = 404;
	} else if (!strcmp(req->method, "HEAD") && n->head == 1) {
		buf_fmt(&resp->headers, "x-amz-meta-muster-nonce: %s\n", n->nonce);
	} else if (!strcmp(req->method, "HEAD") && n->head == 2) {
		buf_str(&resp->headers, "x-amz-meta-muster-nonce: another\n");
	} else if (!strcmp(req->method, "HEAD")) {
		resp->status = 503;
	}
	return aws_classify(req, resp, err);
}

static int
net_send(struct transport *t, const struct http_req *req, struct http_resp *resp, struct err *err)
{
	struct net *n = (struct net *)t;
	const char *nonce = header_of(req, "x-amz-meta-muster-nonce");
	struct answer *a = &n->v[n->n];
	int rc;

	resp_reset(resp);
	check_url(req->url);
	if (nonce)
		(void)snprintf(n->nonce, sizeof(n->nonce), "%s", nonce);
	if (!strcmp(req->method, "DELETE") || !strcmp(req->method, "HEAD") ||
	    !strcmp(req->method, "PUT"))
		return plain_answer(n, req, resp, err);
	if (!n->left.n || n->n == ANSWERS)
		return err_set(err, ERR_REJECTED, "nobody answers");
	if (strstr(req->operation, "Complete")) {
		n->completed++;
		keep(&n->completed_url, req->url);
	}
	a->body = fuzz_part(&n->left, '\0');
	keep(&a->url, req->url);
	resp->status = n->n++ ? 200 : n->first_status;
	buf_str(&resp->headers, "date: " NOW "\n");
	buf_sv(&resp->body, a->body);
	rc = aws_classify(req, resp, err);
	a->taken = rc == 0;
	return rc;
}

static const struct transport_ops net_ops = {.name = "fuzz", .send = net_send};

/* Is this what a parameter of the URL stands for? */
static bool
asks(const char *url, const char *name, const char *value)
{
	CLEANUP(buf_done) struct buf want = BUF_INIT(FUZZ_MAX);
	const char *at;
	size_t n;

	buf_fmt(&want, "%s=", name);
	for (; *value; value++)
		if (strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.~",
			   *value))
			buf_ch(&want, *value);
		else
			buf_fmt(&want, "%%%02X", (unsigned char)*value);
	at = strstr(url, buf_cstr(&want));
	n = at ? want.n : 0;
	return at && (at[-1] == '?' || at[-1] == '&') && (at[n] == '\0' || at[n] == '&');
}

/* ---- keys ---- */

static int
hex_of(char c)
{
	const char *digits = "0123456789abcdef", *at;

	at = c ? strchr(digits, c >= 'A' && c <= 'F' ? c + 'a' - 'A' : c) : NULL;
	return at ? (int)(at - digits) : -1;
}

/* A key as it is listed; false: it is none. */
static bool
plain_key(const struct reading *r, const char *text, struct buf *out)
{
	const char *how = text_in(r, 1, "EncodingType");
	bool encoded = how && !strcmp(how, "url");

	buf_reset(out);
	for (; text && *text; text++) {
		int c = (unsigned char)*text;

		if (encoded && c == '+')
			c = ' ';
		if (encoded && c == '%') {
			int high = hex_of(text[1]), low = high < 0 ? -1 : hex_of(text[2]);

			if (low < 0)
				return false;
			c = high * 16 + low;
			text += 2;
		}
		if (!c)
			return false;
		buf_ch(out, (char)c);
	}
	return out->n && out->n <= S3_KEY_MAX;
}

struct keys {
	struct buf v[KEYS];
	size_t n, enough; /* 0: never */
};

static int
take_key(const char *key, void *arg)
{
	struct keys *k = arg;

	fuzz_must(k->n < KEYS);
	k->v[k->n] = BUF_INIT(FUZZ_MAX);
	buf_str(&k->v[k->n++], key);
	return k->enough && k->n == k->enough;
}

/* The listing as it has to be: the keys that were given, and whether it went to its end. */
struct expected {
	const struct keys *given;
	const char *prefix;
	size_t at;
	bool sound, ended;
	struct buf last, token;
};

static void
expect_key(struct expected *x, struct sv key)
{
	x->sound =
	    sv_starts(key, sv_of(x->prefix)) && (!x->last.n || sv_cmp(key, buf_view(&x->last)) > 0);
	buf_reset(&x->last);
	buf_sv(&x->last, key);
	if (!x->sound)
		return;
	fuzz_must(x->at < x->given->n && sv_eq(buf_view(&x->given->v[x->at]), key));
	x->at++;
	x->ended = x->given->enough == x->at;
}

static void
expect_page(struct expected *x, const struct answer *a)
{
	CLEANUP(buf_done) struct buf key = BUF_INIT(FUZZ_MAX);
	struct reading *r = reading_new(a->body);
	size_t root = root_of(r, "ListBucketResult");
	const char *more = text_in(r, root, "IsTruncated");
	const char *token = text_in(r, root, "NextContinuationToken");

	fuzz_must(asks(a->url, "prefix", x->prefix));
	fuzz_must(!x->token.n || asks(a->url, "continuation-token", buf_cstr(&x->token)));
	x->sound = root;
	for (size_t i = next_in(r, root, "Contents", 0); i && x->sound && !x->ended;
	     i = next_in(r, root, "Contents", i)) {
		x->sound = plain_key(r, text_in(r, i, "Key"), &key);
		if (x->sound)
			expect_key(x, buf_view(&key));
	}
	if (x->sound && !x->ended) {
		x->ended = !more || strcmp(more, "true") != 0;
		x->sound = x->ended || (token && *token && strlen(token) <= 8192 &&
					!sv_eq(sv_of(token), buf_view(&x->token)));
	}
	buf_reset(&x->token);
	buf_str(&x->token, token ? token : "");
	reading_free(r);
}

static void
list(struct net *n, struct s3 *s, unsigned how)
{
	static struct keys k;
	const char *prefix = how & 4 ? "p/" : "";
	struct expected x = {.given = &k,
			     .prefix = prefix,
			     .sound = true,
			     .last = BUF_INIT(FUZZ_MAX),
			     .token = BUF_INIT(FUZZ_MAX)};
	struct err err = {0};
	bool refused = false;
	int rc;

	k.n = 0;
	k.enough = how & 8 ? 2 : 0;
	rc = s3_list(s, prefix, take_key, &k, &err);
	fuzz_answer(rc, &err);
	for (size_t i = 0; i < n->n; i++) {
		refused = !n->v[i].taken;
		if (refused)
			continue;
		/* Nothing is asked for behind what makes no sense, or behind the end. */
		fuzz_must(x.sound && !x.ended);
		expect_page(&x, &n->v[i]);
	}
	fuzz_must(x.at == k.n);
	fuzz_must((rc == 0) == (x.sound && x.ended && !refused));
	for (size_t i = 0; i < k.n; i++)
		buf_done(&k.v[i]);
	buf_done(&x.last);
	buf_done(&x.token);
}

/* ---- uploads that nobody finished ---- */

static void
old_uploads(struct net *n, struct s3 *s)
{
	CLEANUP(buf_done) struct buf key = BUF_INIT(FUZZ_MAX);
	struct err err = {0};
	size_t aborted, want = 0, root;
	struct reading *r;
	bool sound;
	int rc = s3_abort_old(s, "p/", &aborted, &err);

	fuzz_answer(rc, &err);
	fuzz_must(aborted == n->aborted);
	if (!n->n || !n->v[n->n - 1].taken) {
		fuzz_must(rc < 0 && !aborted);
		return;
	}
	r = reading_new(n->v[n->n - 1].body);
	root = root_of(r, "ListMultipartUploadsResult");
	sound = root;
	for (size_t i = next_in(r, root, "Upload", 0); i && sound;
	     i = next_in(r, root, "Upload", i)) {
		const char *id = text_in(r, i, "UploadId"), *when = text_in(r, i, "Initiated");
		int64_t ms;

		sound = id && when && time_parse_iso(sv_of(when), &ms) &&
			plain_key(r, text_in(r, i, "Key"), &key);
		if (sound && sv_starts(buf_view(&key), SV("p/")) &&
		    NOW_MS - ms >= S3_UPLOAD_AGE_MS) {
			want++;
			fuzz_must(n->aborted != want || asks(n->aborted_url, "uploadId", id));
		}
	}
	/* An id may be longer than a URL; what comes before it is aborted. */
	fuzz_must(rc < 0 ? !sound || aborted < want : sound && aborted == want);
	reading_free(r);
}

/* ---- uploads ---- */

/* A text of an answer, *ret_n its length; NULL: none. Good until the reading is freed. */
static const char *
told(const struct reading *r, const char *root, const char *name)
{
	const char *s = text_in(r, root_of(r, root), name);

	return s && *s ? s : NULL;
}

/* S3 knows the upload no more. */
static bool
is_gone(const char *code)
{
	return !strcmp(code, "NoSuchUpload") || !strcmp(code, "ConditionalRequestConflict");
}

/* As codes of S3's are. */
static bool
is_word(const char *s)
{
	size_t n = strspn(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz");

	return n && n < 40 && !s[n];
}

static void
upload(struct net *n, struct s3 *s, unsigned how)
{
	const struct s3_put opt = {.create = how & 16};
	char etag[S3_ETAG_MAX] = "";
	struct err err = {0};
	struct reading *first, *last;
	const char *id, *said, *code;
	int rc;

	n->head = how / 4 % 4;
	rc = s3_put(s, "a key", SV("five."), &opt, etag, &err);
	fuzz_answer(rc, &err);
	if (!n->n) {
		fuzz_must(rc < 0 && !n->completed && !n->aborted);
		return;
	}
	last = reading_new(n->v[n->n - 1].body);
	said = n->v[n->n - 1].taken ? told(last, "CompleteMultipartUploadResult", "ETag") : NULL;
	/* It is there when a whole result names it, or when it was found with our own nonce. */
	if (rc == 0)
		fuzz_must((said && n->completed && !strcmp(said, etag)) ||
			  (n->head == 1 && n->completed && !strcmp(etag, "\"e1\"")));
	else
		fuzz_must(!(n->head == 1 && n->completed && err.kind != ERR_AUTH &&
			    err.kind != ERR_REJECTED && err.kind != ERR_EXPIRED &&
			    err.kind != ERR_SKEW));
	/* One upload, not begun again: it is the one that is completed, or aborted. */
	first = reading_new(n->v[0].body);
	id = n->v[0].taken ? told(first, "InitiateMultipartUploadResult", "UploadId") : NULL;
	fuzz_must(id || n->first_status != 200 || !n->completed);
	if (id && n->completed == 1)
		fuzz_must(asks(n->completed_url, "uploadId", id));
	/* No part is left to be paid for, unless S3 has dropped them itself. */
	if (rc < 0 && id && strlen(id) < 100 && n->n == 1 + n->completed && n->completed < 2 &&
	    !is_gone(err.code))
		fuzz_must(n->aborted && asks(n->aborted_url, "uploadId", id));
	/* An error that came with a 200 is one, and its word is not lost. */
	code = told(last, "Error", "Code");
	if (code && sv_starts(n->v[n->n - 1].body, SV("<Error>")) && n->n == 1 + n->completed &&
	    n->head % 2 == 0 && is_word(code) && !is_gone(code))
		fuzz_must(rc < 0 && !strcmp(err.code, code));
	reading_free(first);
	reading_free(last);
}

/* ---- whose keys they are ---- */

static void
identity(struct net *n)
{
	struct caller_identity who = {0};
	struct err err = {0};
	const char *account, *arn;
	struct reading *r;
	size_t result;
	int rc = sts_caller_identity(&n->base, NULL, "https://sts.eu-west-1.amazonaws.com",
				     "eu-west-1", &who, &err);

	fuzz_answer(rc, &err);
	if (!n->n || !n->v[0].taken) {
		fuzz_must(rc < 0);
		return;
	}
	r = reading_new(n->v[0].body);
	result = next_in(r, 1, "GetCallerIdentityResult", 0);
	account = text_in(r, result, "Account");
	arn = text_in(r, result, "Arn");
	fuzz_must((rc == 0) == (account && arn && strlen(account) < sizeof(who.account)));
	if (rc == 0)
		fuzz_must(!strcmp(account, who.account) &&
			  !strncmp(arn, who.arn, sizeof(who.arn) - 1) &&
			  who.server_wall_ms == NOW_MS);
	reading_free(r);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const int statuses[] = {200, 200, 301, 307, 400, 403, 404, 500};
	struct sv in = {(const char *)data, size};
	unsigned call = fuzz_choice(&in, 4), how = fuzz_choice(&in, 256);
	static struct net n;
	const struct s3_conf conf = {.transport = &n.base,
				     .bucket = "buck",
				     .region = "eu-west-1",
				     .multipart_above = 1,
				     .part_bytes = 2};
	struct s3 *s = NULL;

	n = (struct net){.base = {&net_ops}, .left = in, .first_status = statuses[how / 32]};
	fuzz_must(s3_new(&conf, &s, NULL) == 0);
	if (call == 0)
		list(&n, s, how);
	else if (call == 1)
		old_uploads(&n, s);
	else if (call == 2)
		upload(&n, s, how);
	else
		identity(&n);
	s3_free(s);
	for (size_t i = 0; i < n.n; i++)
		free(n.v[i].url);
	free(n.aborted_url);
	free(n.completed_url);
	return 0;
}
