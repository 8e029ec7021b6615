/*
 * Digests. The low-level SHA-256 of OpenSSL is used on purpose: unlike EVP it allocates nothing and
 * cannot fail, so a signature or a digest never depends on whether there was memory at that moment.
 */
#define OPENSSL_SUPPRESS_DEPRECATED
#include "base/hash.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/sha.h>
#include <sys/random.h>

#define SHA256_BLOCK 64

void
sha256(struct sv data, unsigned char out[SHA256_LEN])
{
	SHA256_CTX ctx;

	(void)SHA256_Init(&ctx);
	(void)SHA256_Update(&ctx, data.p, data.n);
	(void)SHA256_Final(out, &ctx);
}

_Static_assert(sizeof(SHA256_CTX) <= sizeof(struct sha256_run), "room for OpenSSL's state");

void
sha256_begin(struct sha256_run *r)
{
	(void)SHA256_Init((SHA256_CTX *)r->state);
}

void
sha256_add(struct sha256_run *r, struct sv data)
{
	(void)SHA256_Update((SHA256_CTX *)r->state, data.p, data.n);
}

void
sha256_end_hex(struct sha256_run *r, char out[SHA256_HEX_LEN + 1])
{
	unsigned char d[SHA256_LEN];

	(void)SHA256_Final(d, (SHA256_CTX *)r->state);
	hex_lower(d, sizeof(d), out);
}

void
hex_lower(const unsigned char *p, size_t n, char *out)
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < n; i++) {
		*out++ = digits[p[i] >> 4];
		*out++ = digits[p[i] & 15];
	}
	*out = '\0';
}

void
sha256_hex(struct sv data, char out[SHA256_HEX_LEN + 1])
{
	unsigned char d[SHA256_LEN];

	sha256(data, d);
	hex_lower(d, sizeof(d), out);
}

/* One of HMAC's two passes: the digest of (key xor pad) and data. */
static void
hmac_pass(const unsigned char key[SHA256_BLOCK], unsigned char pad, struct sv data,
	  unsigned char out[SHA256_LEN])
{
	unsigned char block[SHA256_BLOCK];
	SHA256_CTX ctx;

	for (size_t i = 0; i < sizeof(block); i++)
		block[i] = key[i] ^ pad;
	(void)SHA256_Init(&ctx);
	(void)SHA256_Update(&ctx, block, sizeof(block));
	(void)SHA256_Update(&ctx, data.p, data.n);
	(void)SHA256_Final(out, &ctx);
	OPENSSL_cleanse(block, sizeof(block));
	OPENSSL_cleanse(&ctx, sizeof(ctx));
}

void
hmac_sha256(struct sv key, struct sv data, unsigned char out[SHA256_LEN])
{
	unsigned char k[SHA256_BLOCK] = {0}, inner[SHA256_LEN];

	if (key.n > sizeof(k))
		sha256(key, k);
	else if (key.n)
		memcpy(k, key.p, key.n);
	hmac_pass(k, 0x36, data, inner);
	hmac_pass(k, 0x5c, (struct sv){(const char *)inner, sizeof(inner)}, out);
	OPENSSL_cleanse(k, sizeof(k));
	OPENSSL_cleanse(inner, sizeof(inner));
}

uint64_t
fnv1a64(struct sv data)
{
	uint64_t h = 0xcbf29ce484222325;

	for (size_t i = 0; i < data.n; i++) {
		h ^= (unsigned char)data.p[i];
		h *= 0x100000001b3;
	}
	return h;
}

uint64_t
mix64(uint64_t x)
{
	x ^= x >> 33;
	x *= 0xff51afd7ed558ccd;
	x ^= x >> 33;
	x *= 0xc4ceb9fe1a85ec53;
	x ^= x >> 33;
	return x;
}

int
random_bytes(void *p, size_t n, struct err *err)
{
	unsigned char *at = p;

	while (n) {
		ssize_t got = getrandom(at, n, 0);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return err_sys(err, errno, "random bytes");
		at += got;
		n -= (size_t)got;
	}
	return 0;
}
