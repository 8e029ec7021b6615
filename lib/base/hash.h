/*
 * Digests. SHA-256 and HMAC come from OpenSSL; fnv1a64 is for tables and rendezvous hashing only.
 */
#ifndef MUSTER_BASE_HASH_H
#define MUSTER_BASE_HASH_H

#include <stdint.h>

#include "base/buf.h"

#define SHA256_LEN     32
#define SHA256_HEX_LEN 64

void sha256(struct sv data, unsigned char out[SHA256_LEN]);
/* Of pieces. */
struct sha256_run {
	uint64_t state[16]; /* OpenSSL's */
};
void sha256_begin(struct sha256_run *r);
void sha256_add(struct sha256_run *r, struct sv data);
void sha256_end_hex(struct sha256_run *r, char out[SHA256_HEX_LEN + 1]);
/* Lower-case hex with NUL. */
void sha256_hex(struct sv data, char out[SHA256_HEX_LEN + 1]);
void hmac_sha256(struct sv key, struct sv data, unsigned char out[SHA256_LEN]);
void hex_lower(const unsigned char *p, size_t n, char *out); /* writes 2n + NUL */
uint64_t fnv1a64(struct sv data);
/* A good mix of 64 bits (murmur3's finaliser). */
uint64_t mix64(uint64_t x);
/* Fill with random bytes from the system; -1 if there are none. */
int random_bytes(void *p, size_t n, struct err *err);

#endif
