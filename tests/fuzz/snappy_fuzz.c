/*
 * Snappy blocks: any bytes survive the round trip; a block that somebody else made is taken just
 * where libsnappy takes it, and never beyond the ceiling, whatever size it declares.
 */
#include "fmt/snappy.h"
#include "tests/fuzz/fuzz.h"

#include <snappy-c.h>

#define CEILING ((size_t)1 << 20)

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct sv in = {(const char *)data, n};
	CLEANUP(buf_done) struct buf packed = BUF_INIT(FUZZ_MAX), plain = BUF_INIT(CEILING);
	struct err err = {0};
	size_t size;
	int rc;

	fuzz_must(snappy_block_encode(in, &packed, &err) == 0);
	fuzz_must(snappy_validate_compressed_buffer(packed.p, packed.n) == SNAPPY_OK);
	fuzz_must(snappy_block_decode(buf_view(&packed), &plain, &err) == 0);
	fuzz_must(sv_eq(buf_view(&plain), in));
	buf_reset(&plain);
	rc = snappy_block_decode(in, &plain, &err);
	fuzz_answer(rc, &err);
	fuzz_must(plain.n <= CEILING && (rc == 0 || plain.n == 0));
	fuzz_must((rc == 0) ==
		  (snappy_validate_compressed_buffer(in.p, in.n) == SNAPPY_OK &&
		   snappy_uncompressed_length(in.p, in.n, &size) == SNAPPY_OK && size <= CEILING));
	return 0;
}
