/*
 * Cassettes: the bytes as they are, or packed soundly from what they describe ("name" up to a
 * newline, content up to a NUL, and so on). What is unpacked is packed into the same bytes twice.
 */
#include "net/cassette.h"
#include "fmt/archive.h"
#include "tests/fuzz/fuzz.h"

static const struct archive_limits roomy = {64, (size_t)1 << 20, (size_t)4 << 20};

static void
unpack(struct sv bytes)
{
	CLEANUP(buf_done) struct buf once = BUF_INIT(FUZZ_MAX), twice = BUF_INIT(FUZZ_MAX);
	struct cassette *c = NULL, *again = NULL;
	struct err err = {0};
	int rc = cassette_unpack(bytes, &c, &err);

	fuzz_answer(rc, &err);
	fuzz_must((rc == 0) == (c != NULL));
	if (rc < 0)
		return;
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

	unpack(in);
	if (pack(in, &packed))
		unpack(buf_view(&packed));
	return 0;
}
