/*
 * SigV4's canonical request: method, path, query and headers, each up to a NUL. It does not depend
 * on the order of query and headers, has the lines that AWS says it has, among them the path as it
 * is normalised here and each header, and its query is its own canonical form.
 */
#include <ctype.h>

#include "aws/sigv4.h"
#include "tests/fuzz/fuzz.h"

#define HEADERS 8

static bool
is_plain(struct sv s)
{
	for (size_t i = 0; i < s.n; i++)
		if ((unsigned char)s.p[i] <= ' ' || (unsigned char)s.p[i] > '~')
			return false;
	return true;
}

static size_t
lines(struct sv s)
{
	size_t n = 0;

	for (size_t i = 0; i < s.n; i++)
		n += s.p[i] == '\n';
	return n;
}

static void
turned(const struct sigv4_input *in, struct sv expected)
{
	CLEANUP(buf_done) struct buf out = BUF_INIT(FUZZ_MAX), names = BUF_INIT(FUZZ_MAX);
	CLEANUP(buf_done) struct buf query = BUF_INIT(FUZZ_MAX);
	struct http_header headers[HEADERS];
	struct sigv4_input other = *in;
	struct err err = {0};

	for (size_t i = 0; i < in->n_headers; i++)
		headers[i] = in->headers[in->n_headers - 1 - i];
	other.headers = headers;
	/* The last parameter to the front. */
	for (size_t i = in->query.n; i-- > 0;)
		if (in->query.p[i] == '&') {
			buf_add(&query, in->query.p + i + 1, in->query.n - i - 1);
			buf_ch(&query, '&');
			buf_add(&query, in->query.p, i);
			other.query = buf_view(&query);
			break;
		}
	fuzz_must(sigv4_canonical(&other, &out, &names, &err) == 0);
	fuzz_must(sv_eq(buf_view(&out), expected));
}

/* Line n of a text. */
static struct sv
line_of(struct sv text, size_t n)
{
	struct sv line = fuzz_part(&text, '\n');

	while (n--)
		line = fuzz_part(&text, '\n');
	return line;
}

#define SEGMENTS 512

/* Without segments that lead nowhere; false: there are too many. */
static bool
segments(struct sv path, struct sv *to, size_t *n, bool *open)
{
	*n = 0;
	*open = path.n && path.p[path.n - 1] == '/';
	while (path.n) {
		struct sv s = fuzz_part(&path, '/');

		if (*n == SEGMENTS)
			return false;
		if (sv_eq(s, SV("..")))
			*n -= *n > 0;
		else if (s.n && !sv_eq(s, SV(".")))
			to[(*n)++] = s;
	}
	return true;
}

static void
put_encoded(struct buf *out, struct sv s)
{
	for (size_t i = 0; i < s.n; i++)
		if ((s.p[i] && strchr("-._~/", s.p[i])) || isalnum((unsigned char)s.p[i]))
			buf_ch(out, s.p[i]);
		else
			buf_fmt(out, "%%%02X", (unsigned char)s.p[i]);
}

static void
check_path(const struct sigv4_input *s, struct sv is)
{
	CLEANUP(buf_done) struct buf path = BUF_INIT(FUZZ_MAX);
	struct sv parts[SEGMENTS];
	size_t n;
	bool open;

	if (s->s3_rules) {
		buf_sv(&path, s->path);
	} else if (s->no_normalize) {
		put_encoded(&path, s->path);
	} else {
		if (!segments(s->path, parts, &n, &open))
			return;
		for (size_t i = 0; i < n; i++) {
			buf_ch(&path, '/');
			put_encoded(&path, parts[i]);
		}
		if (open && n)
			buf_ch(&path, '/');
	}
	fuzz_must(sv_eq(is, path.n ? buf_view(&path) : SV("/")));
}

/* Its words with one blank between them, on a line of its own. */
static void
check_header(const struct http_header *h, struct sv canonical)
{
	CLEANUP(buf_done) struct buf line = BUF_INIT(FUZZ_MAX);
	CLEANUP(freep) char *value = strdup(h->value);
	char *rest = NULL;

	fuzz_must(value);
	buf_ch(&line, '\n');
	for (const char *p = h->name; *p; p++)
		buf_ch(&line, (char)tolower((unsigned char)*p));
	buf_ch(&line, ':');
	for (char *w = strtok_r(value, " \t\r\n", &rest); w; w = strtok_r(NULL, " \t\r\n", &rest)) {
		if (line.p[line.n - 1] != ':' || w != value + strspn(h->value, " \t\r\n"))
			buf_ch(&line, ' ');
		buf_str(&line, w);
	}
	buf_ch(&line, '\n');
	fuzz_must(memmem(canonical.p, canonical.n, line.p, line.n));
}

/* The query, as it was made, is made into the same. */
static void
check_query(const struct sigv4_input *s, struct sv is)
{
	CLEANUP(buf_done) struct buf out = BUF_INIT(FUZZ_MAX), names = BUF_INIT(FUZZ_MAX);
	struct sigv4_input again = *s;
	struct err err = {0};

	again.query = is;
	fuzz_must(sigv4_canonical(&again, &out, &names, &err) == 0);
	fuzz_must(sv_eq(line_of(buf_view(&out), 2), is));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct sv in = {(const char *)data, n};
	CLEANUP(buf_done) struct buf out = BUF_INIT(FUZZ_MAX), names = BUF_INIT(FUZZ_MAX);
	struct http_header headers[HEADERS] = {{"host", "h"}, {"X-Amz-Date", "20260101T000000Z"}};
	char *text[HEADERS] = {NULL};
	struct sigv4_input s = {.headers = headers,
				.n_headers = 2,
				.payload_hash = "UNSIGNED-PAYLOAD",
				.region = "r",
				.service = "s",
				.amz_date = "20260101T000000Z"};
	struct err err = {0};
	unsigned how = fuzz_choice(&in, 4);
	int rc;

	s.s3_rules = how & 1;
	s.no_normalize = how & 2;
	s.method = SV("GET");
	s.path = fuzz_part(&in, '\0');
	s.query = fuzz_part(&in, '\0');
	/* Each name once, for the order of equal ones counts. */
	while (in.n && s.n_headers < HEADERS) {
		static const char *const known[] = {"a",  "X-B",     "content-type",
						    "Zz", "x-amz-q", "m"};

		headers[s.n_headers].name = known[s.n_headers - 2];
		text[s.n_headers] = sv_dup(fuzz_part(&in, '\0'));
		headers[s.n_headers].value = text[s.n_headers];
		s.n_headers++;
	}
	rc = sigv4_canonical(&s, &out, &names, &err);
	fuzz_answer(rc, &err);
	if (rc == 0 && is_plain(s.path) && is_plain(s.query)) {
		bool one_line = true;

		for (size_t i = 0; i < s.n_headers; i++)
			one_line &= !strchr(headers[i].value, '\n');
		if (one_line)
			fuzz_must(lines(buf_view(&out)) == 5 + s.n_headers);
		check_path(&s, line_of(buf_view(&out), 1));
		check_query(&s, line_of(buf_view(&out), 2));
		for (size_t i = 0; i < s.n_headers; i++)
			check_header(&headers[i], buf_view(&out));
	}
	if (rc == 0)
		turned(&s, buf_view(&out));
	for (size_t i = 0; i < HEADERS; i++)
		free(text[i]);
	return 0;
}
