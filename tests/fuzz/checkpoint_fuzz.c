/*
 * Checkpoints: as they are (nearly always refused by their checksum), and with the checksum put
 * right, so that what is behind it is reached. What is taken is written again byte for byte.
 */
#include "state/checkpoint.h"
#include "fmt/json.h"
#include "state/ckpt_json.h"
#include "tests/fuzz/fuzz.h"

static void
parse(struct sv text)
{
	CLEANUP(buf_done) struct buf again = BUF_INIT(FUZZ_MAX);
	CLEANUP(ckpt_freep) struct ckpt *c = NULL;
	struct err err = {0};
	int rc = ckpt_parse(text, "acme", "ecs", &c, &err);

	fuzz_answer(rc, &err);
	fuzz_must((rc == 0) == (c != NULL));
	if (rc < 0) {
		fuzz_must(err.kind == ERR_DATA || err.kind == ERR_LOCAL);
		return;
	}
	fuzz_must(ckpt_check(c, &err) == 0);
	for (size_t i = 0; i < c->n_streams; i++)
		(void)ckpt_watermark(&c->streams[i]);
	fuzz_must(ckpt_dump(c, &again, &err) == 0);
	/* A document of an older version comes out as one of this version. */
	{
		CLEANUP(ckpt_freep) struct ckpt *twice = NULL;
		CLEANUP(buf_done) struct buf last = BUF_INIT(FUZZ_MAX);

		fuzz_must(ckpt_parse(buf_view(&again), "acme", "ecs", &twice, &err) == 0);
		fuzz_must(ckpt_dump(twice, &last, &err) == 0);
		fuzz_must(sv_eq(buf_view(&again), buf_view(&last)));
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct sv in = {(const char *)data, n};
	CLEANUP(buf_done) struct buf text = BUF_INIT(FUZZ_MAX);
	json_t *doc = NULL;
	char sum[CHECKSUM_MAX];

	parse(in);
	if (json_parse(in, "input", &doc, NULL) == 0 && json_is_object(doc)) {
		(void)json_object_del(doc, "checksum");
		if (ckpt_checksum(doc, sum, NULL) == 0) {
			(void)json_object_set_new(doc, "checksum", json_string(sum));
			fuzz_must(ckpt_text(doc, &text, NULL) == 0);
			parse(buf_view(&text));
		}
	}
	json_decref(doc);
	return 0;
}
