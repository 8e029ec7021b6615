/*
 * Signature Version 4, each stage a function of its input alone, so that every published vector can
 * be compared at every stage. libcurl has a signer of its own; the releases in use get the order of
 * headers, the query and S3's payload hash wrong, so it is not used.
 */
#include "aws/sigv4.h"

#include <ctype.h>
#include <openssl/crypto.h>
#include <stdlib.h>
#include <strings.h>

#include "base/cleanup.h"
#include "fmt/uri.h"

#define ALGORITHM     "AWS4-HMAC-SHA256"
#define TERMINATOR    "aws4_request"
#define MAX_CANONICAL (1u << 20)
#define MAX_NAMES     4096
#define DATE_LEN      8 /* of YYYYMMDD */

/* Path: dot segments and empty segments go, a slash at the end stays. */
static void
normalize(struct buf *out, struct sv path)
{
	const char *p = path.p, *end = path.p + path.n;
	bool slash_at_end = false;

	while (p < end) {
		const char *slash = memchr(p, '/', (size_t)(end - p));
		struct sv seg = {p, (size_t)((slash ? slash : end) - p)};

		slash_at_end = slash != NULL;
		p = slash ? slash + 1 : end;
		if (seg.n == 0 || sv_eq(seg, SV(".")))
			continue;
		if (!sv_eq(seg, SV(".."))) {
			buf_ch(out, '/');
			buf_sv(out, seg);
			continue;
		}
		while (out->n && out->p[--out->n] != '/')
			;
	}
	if (out->n == 0 || slash_at_end)
		buf_ch(out, '/');
}

static void
canonical_path(const struct sigv4_input *in, struct buf *out)
{
	CLEANUP(buf_done) struct buf clean = BUF_INIT(MAX_CANONICAL);

	if (in->path.n == 0) {
		buf_ch(out, '/');
	} else if (in->s3_rules) {
		buf_sv(out, in->path);
	} else if (in->no_normalize) {
		uri_encode(out, in->path, true);
	} else {
		normalize(&clean, in->path);
		uri_encode(out, buf_view(&clean), true);
		out->failed |= clean.failed;
		out->no_memory |= clean.no_memory;
	}
}

struct param {
	size_t at, name_n, value_n; /* in the buffer of encoded texts */
	const char *text;
};

/* The wire may spell a byte in several ways; what is signed has one spelling. */
static size_t
encode_again(struct buf *out, struct sv wire)
{
	CLEANUP(buf_done) struct buf plain = BUF_INIT(MAX_CANONICAL);
	size_t before = out->n;

	if (!uri_decode(&plain, wire, false)) {
		buf_reset(&plain);
		buf_sv(&plain, wire);
	}
	uri_encode(out, buf_view(&plain), false);
	out->failed |= plain.failed;
	out->no_memory |= plain.no_memory;
	return out->n - before;
}

static size_t
count_params(struct sv query)
{
	size_t n = 1;

	for (size_t i = 0; i < query.n; i++)
		n += query.p[i] == '&';
	return n;
}

static size_t
split_query(struct sv query, struct param *params, struct buf *texts)
{
	const char *p = query.p, *end = query.p + query.n;
	size_t n = 0;

	while (p < end) {
		const char *amp = memchr(p, '&', (size_t)(end - p));
		const char *stop = amp ? amp : end;
		const char *eq = memchr(p, '=', (size_t)(stop - p));
		const char *name_end = eq ? eq : stop;

		if (stop > p) {
			struct param *q = &params[n++];

			q->at = texts->n;
			q->name_n = encode_again(texts, (struct sv){p, (size_t)(name_end - p)});
			p = eq ? eq + 1 : stop;
			q->value_n = encode_again(texts, (struct sv){p, (size_t)(stop - p)});
		}
		p = amp ? amp + 1 : end;
	}
	return n;
}

static int
compare_params(const void *pa, const void *pb)
{
	const struct param *a = pa, *b = pb;
	int r = sv_cmp((struct sv){a->text + a->at, a->name_n},
		       (struct sv){b->text + b->at, b->name_n});

	if (r)
		return r;
	return sv_cmp((struct sv){a->text + a->at + a->name_n, a->value_n},
		      (struct sv){b->text + b->at + b->name_n, b->value_n});
}

static int
canonical_query(struct sv query, struct buf *out, struct err *err)
{
	CLEANUP(buf_done) struct buf texts = BUF_INIT(MAX_CANONICAL);
	CLEANUP(freep) struct param *params = NULL;
	size_t n;

	if (query.n == 0)
		return 0;
	params = calloc(count_params(query), sizeof(*params));
	if (!params)
		return err_nomem(err);
	n = split_query(query, params, &texts);
	for (size_t i = 0; i < n; i++)
		params[i].text = buf_cstr(&texts);
	qsort(params, n, sizeof(*params), compare_params);
	for (size_t i = 0; i < n; i++) {
		const char *name = params[i].text + params[i].at;

		if (i)
			buf_ch(out, '&');
		buf_add(out, name, params[i].name_n);
		buf_ch(out, '=');
		buf_add(out, name + params[i].name_n, params[i].value_n);
	}
	return buf_check(&texts, "canonical query", err);
}

/* Headers are sorted by name; equal names keep the order in which they are sent. */
static int
compare_headers(const void *pa, const void *pb)
{
	const struct http_header *const *a = pa, *const *b = pb;
	int r = strcasecmp((*a)->name, (*b)->name);

	return r ? r : (*a > *b) - (*a < *b);
}

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/* Without blanks at the ends, inner runs of them as one. */
static void
fold_value(struct buf *out, const char *v)
{
	bool pending = false, started = false;

	for (; *v; v++) {
		if (is_blank(*v)) {
			pending = started;
			continue;
		}
		if (pending)
			buf_ch(out, ' ');
		pending = false;
		started = true;
		buf_ch(out, *v);
	}
}

static void
lower(struct buf *out, const char *name)
{
	for (; *name; name++)
		buf_ch(out, (char)tolower((unsigned char)*name));
}

static int
canonical_headers(const struct sigv4_input *in, struct buf *out, struct buf *names, struct err *err)
{
	CLEANUP(freep) const struct http_header **sorted = NULL;

	sorted = calloc(in->n_headers + 1, sizeof(*sorted));
	if (!sorted)
		return err_nomem(err);
	for (size_t i = 0; i < in->n_headers; i++)
		sorted[i] = &in->headers[i];
	qsort(sorted, in->n_headers, sizeof(*sorted), compare_headers);
	for (size_t i = 0; i < in->n_headers; i++) {
		bool again = i && strcasecmp(sorted[i - 1]->name, sorted[i]->name) == 0;

		if (again) {
			out->n--; /* the line goes on */
			buf_ch(out, ',');
		} else {
			if (i)
				buf_ch(names, ';');
			lower(names, sorted[i]->name);
			lower(out, sorted[i]->name);
			buf_ch(out, ':');
		}
		fold_value(out, sorted[i]->value);
		buf_ch(out, '\n');
		if (!buf_ok(out) || !buf_ok(names))
			break;
	}
	return buf_check(names, "signed header names", err);
}

int
sigv4_canonical(const struct sigv4_input *in, struct buf *canonical, struct buf *signed_names,
		struct err *err)
{
	buf_sv(canonical, in->method);
	buf_ch(canonical, '\n');
	canonical_path(in, canonical);
	buf_ch(canonical, '\n');
	if (canonical_query(in->query, canonical, err) < 0)
		return -1;
	buf_ch(canonical, '\n');
	if (canonical_headers(in, canonical, signed_names, err) < 0)
		return -1;
	buf_ch(canonical, '\n');
	buf_sv(canonical, buf_view(signed_names));
	buf_ch(canonical, '\n');
	buf_str(canonical, in->payload_hash);
	return buf_check(canonical, "canonical request", err);
}

static void
add_scope(const struct sigv4_input *in, struct buf *out)
{
	buf_add(out, in->amz_date, strnlen(in->amz_date, DATE_LEN));
	buf_fmt(out, "/%s/%s/" TERMINATOR, in->region, in->service);
}

void
sigv4_string_to_sign(const struct sigv4_input *in, struct sv canonical, struct buf *out)
{
	char hex[SHA256_HEX_LEN + 1];

	sha256_hex(canonical, hex);
	buf_fmt(out, ALGORITHM "\n%s\n", in->amz_date);
	add_scope(in, out);
	buf_fmt(out, "\n%s", hex);
}

/* One link of the key's chain: k = HMAC(k, text). */
static void
chain(unsigned char k[SHA256_LEN], struct sv text)
{
	unsigned char next[SHA256_LEN];

	hmac_sha256((struct sv){(const char *)k, SHA256_LEN}, text, next);
	memcpy(k, next, SHA256_LEN);
	OPENSSL_cleanse(next, sizeof(next));
}

void
sigv4_signature(const struct sigv4_input *in, const struct secret *key, struct sv string_to_sign,
		char hex[SHA256_HEX_LEN + 1])
{
	struct buf first = BUF_INIT(64u << 10);
	unsigned char k[SHA256_LEN];

	/* One allocation: a buffer that grows leaves the key behind where it was. */
	(void)buf_reserve(&first, sizeof("AWS4") + key->n);
	buf_str(&first, "AWS4");
	buf_add(&first, key->p, key->n);
	hmac_sha256(buf_view(&first), (struct sv){in->amz_date, strnlen(in->amz_date, DATE_LEN)},
		    k);
	secret_wipe_buf(&first);
	chain(k, sv_of(in->region));
	chain(k, sv_of(in->service));
	chain(k, SV(TERMINATOR));
	chain(k, string_to_sign);
	hex_lower(k, sizeof(k), hex);
	OPENSSL_cleanse(k, sizeof(k));
}

/* More than the canonical request can need: every byte of path and query encoded. */
static size_t
canonical_bound(const struct sigv4_input *in)
{
	size_t n = in->method.n + 3 * in->path.n + 4 * in->query.n + strlen(in->payload_hash) + 64;

	for (size_t i = 0; i < in->n_headers; i++)
		n += 2 * strlen(in->headers[i].name) + strlen(in->headers[i].value) + 4;
	return n;
}

int
sigv4_authorization(const struct sigv4_input *in, const struct cred *cred, struct buf *out,
		    struct err *err)
{
	struct buf canonical = BUF_INIT(MAX_CANONICAL), names = BUF_INIT(MAX_NAMES);
	CLEANUP(buf_done) struct buf to_sign = BUF_INIT(MAX_NAMES);
	char hex[SHA256_HEX_LEN + 1];
	int r;

	/* It holds the session token: a buffer that grows would leave copies of it behind. */
	(void)buf_reserve(&canonical, canonical_bound(in));
	r = sigv4_canonical(in, &canonical, &names, err);
	if (r == 0) {
		sigv4_string_to_sign(in, buf_view(&canonical), &to_sign);
		r = buf_check(&to_sign, "string to sign", err);
	}
	if (r == 0) {
		sigv4_signature(in, &cred->secret, buf_view(&to_sign), hex);
		buf_fmt(out, ALGORITHM " Credential=%s/", cred->key_id);
		add_scope(in, out);
		buf_fmt(out, ", SignedHeaders=%s, Signature=%s", buf_cstr(&names), hex);
		r = buf_check(out, "Authorization", err);
	}
	secret_wipe_buf(&canonical);
	buf_done(&names);
	return r;
}
