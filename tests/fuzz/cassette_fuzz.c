/*
 * Cassettes: the bytes as they are, or packed soundly from what they describe ("name" up to a
 * newline, content up to a NUL, and so on). What is unpacked is packed into the same bytes twice,
 * and of what was packed here each file is found again, whole.
 */
#include "net/cassette.h"
#include "fmt/archive.h"
#include "tests/fuzz/fuzz.h"

static const struct archive_limits roomy = {64, (size_t)1 << 20, (size_t)4 << 20};

static bool
among(const struct cassette_files *f, const char *name, struct sv body)
{
	bool found = false;

	for (size_t i = 0; i < f->n; i++)
		found =
		    found || (!strcmp(f->v[i].name, name) && sv_eq(buf_view(&f->v[i].text), body));
	return found;
}

/* A body of an exchange of this folder's name. A form stands in lines. */
static bool
a_body(const struct cassette *c, struct sv folder, bool form, struct sv body)
{
	CLEANUP(buf_done) struct buf text = BUF_INIT(FUZZ_MAX);
	bool found = false;

	body.n -= form && sv_ends(body, SV("\n"));
	buf_sv(&text, body);
	for (size_t i = 0; form && i < text.n; i++)
		text.p[i] = (char)(text.p[i] == '\n' ? '&' : text.p[i]);
	for (size_t i = 0; i < c->n; i++) {
		const struct exchange *e = c->exchanges[i];

		found = found || (sv_eq(folder, sv_of(e->name)) &&
				  (sv_eq(buf_view(&e->body), buf_view(&text)) ||
				   sv_eq(buf_view(&e->answer), buf_view(&text))));
	}
	return found;
}

static void
holds(const struct cassette *c, const char *path, struct sv body)
{
	const char *name = strchr(path, '/'), *file = name ? strchr(name + 1, '/') : NULL;

	if (!strncmp(path, "config/", 7))
		fuzz_must(among(&c->config, name + 1, body));
	else if (!strncmp(path, "state/", 6))
		fuzz_must(among(&c->state, name + 1, body));
	else if (!strncmp(path, "exchanges/", 10) && strcmp(file, "/exchange.json") != 0)
		fuzz_must(a_body(c, (struct sv){name + 1, (size_t)(file - name) - 1},
				 sv_ends(sv_of(file), SV(".form")), body));
}

/* Each file that was described. */
static void
holds_all(const struct cassette *c, struct sv in)
{
	size_t n = 0;

	while (in.n) {
		struct sv body = fuzz_part(&in, '\0'), name = fuzz_part(&body, '\n');
		CLEANUP(freep) char *path = sv_dup(name);

		holds(c, path, body);
		n += sv_starts(name, SV("exchanges/")) && sv_ends(name, SV("/exchange.json"));
	}
	fuzz_must(n == c->n);
}

/* `in` describes what is in it; empty: nobody knows. */
static void
unpack(struct sv bytes, struct sv in)
{
	CLEANUP(buf_done) struct buf once = BUF_INIT(FUZZ_MAX), twice = BUF_INIT(FUZZ_MAX);
	struct cassette *c = NULL, *again = NULL;
	struct err err = {0};
	int rc = cassette_unpack(bytes, &c, &err);

	fuzz_answer(rc, &err);
	fuzz_must((rc == 0) == (c != NULL));
	if (rc < 0)
		return;
	if (in.n)
		holds_all(c, in);
	fuzz_must(cassette_pack(c, &once, &err) == 0);
	fuzz_must(cassette_unpack(buf_view(&once), &again, &err) == 0);
	fuzz_must(again->n == c->n && again->now_ms == c->now_ms && again->n_args == c->n_args);
	fuzz_must(cassette_pack(again, &twice, &err) == 0);
	fuzz_must(sv_eq(buf_view(&once), buf_view(&twice)));
	cassette_free(c);
	cassette_free(again);
}

static bool
pack(struct sv in, struct buf *out)
{
	struct archive_out *a;
	bool ok = archive_out_new(&roomy, &a, NULL) == 0;

	fuzz_must(ok);
	while (ok && in.n) {
		struct sv body = fuzz_part(&in, '\0'), name = fuzz_part(&body, '\n');
		CLEANUP(freep) char *path = sv_dup(name);

		ok = archive_path_valid(path) && archive_out_add(a, path, body, NULL) == 0;
	}
	ok = ok && archive_out_finish(a, out, NULL) == 0;
	archive_out_free(a);
	return ok;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct sv in = {(const char *)data, n};
	CLEANUP(buf_done) struct buf packed = BUF_INIT(FUZZ_MAX);

	unpack(in, (struct sv){"", 0});
	if (pack(in, &packed))
		unpack(buf_view(&packed), in);
	return 0;
}
