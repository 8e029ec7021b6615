/*
 * A store that looks for its certificates in an index must trust what a store with all of them
 * trusts: each root of the system's bundle, and chains of our own making, and nothing else. Damaged
 * bundles are refused or read, never worse.
 */
#include "net/ca_index.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/cleanup.h"

#define SYSTEM "/etc/ssl/certs/ca-certificates.crt"
#define BUNDLE "bundle.pem"

static void
add_extension(X509 *x, X509 *issuer, int nid, const char *value)
{
	X509V3_CTX c;
	X509_EXTENSION *e;

	X509V3_set_ctx(&c, issuer, x, NULL, NULL, 0);
	e = X509V3_EXT_conf_nid(NULL, &c, nid, value);
	assert_non_null(e);
	assert_int_equal(X509_add_ext(x, e, -1), 1);
	X509_EXTENSION_free(e);
}

static X509 *
make(const char *subject, EVP_PKEY *key, X509 *issuer, EVP_PKEY *issuer_key)
{
	X509 *x = X509_new();
	X509_NAME *name = X509_get_subject_name(x);
	BASIC_CONSTRAINTS *ca = BASIC_CONSTRAINTS_new();

	assert_non_null(x);
	assert_int_equal(X509_set_version(x, X509_VERSION_3), 1);
	assert_int_equal(ASN1_INTEGER_set(X509_get_serialNumber(x), 1), 1);
	assert_non_null(X509_gmtime_adj(X509_getm_notBefore(x), -60));
	assert_non_null(X509_gmtime_adj(X509_getm_notAfter(x), 3600));
	assert_int_equal(X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
						    (const unsigned char *)subject, -1, -1, 0),
			 1);
	assert_int_equal(X509_set_issuer_name(x, X509_get_subject_name(issuer ? issuer : x)), 1);
	assert_int_equal(X509_set_pubkey(x, key), 1);
	ca->ca = 255;
	assert_int_equal(X509_add1_ext_i2d(x, NID_basic_constraints, ca, 1, 0), 1);
	BASIC_CONSTRAINTS_free(ca);
	add_extension(x, issuer ? issuer : x, NID_subject_key_identifier, "hash");
	add_extension(x, issuer ? issuer : x, NID_authority_key_identifier, "keyid:always");
	assert_true(X509_sign(x, issuer_key, EVP_sha256()) > 0);
	return x;
}

/* root <- middle <- leaf, and another root of the first one's name. */
struct chain {
	EVP_PKEY *keys[4];
	X509 *root, *middle, *leaf, *twin;
};

static void
chain_make(struct chain *c)
{
	for (size_t i = 0; i < ARRAY_LEN(c->keys); i++) {
		c->keys[i] = EVP_EC_gen("P-256");
		assert_non_null(c->keys[i]);
	}
	c->root = make("Root", c->keys[0], NULL, c->keys[0]);
	c->middle = make("Middle", c->keys[1], c->root, c->keys[0]);
	c->leaf = make("Leaf", c->keys[2], c->middle, c->keys[1]);
	c->twin = make("Root", c->keys[3], NULL, c->keys[3]);
}

static void
chain_free(struct chain *c)
{
	for (size_t i = 0; i < ARRAY_LEN(c->keys); i++)
		EVP_PKEY_free(c->keys[i]);
	X509_free(c->root);
	X509_free(c->middle);
	X509_free(c->leaf);
	X509_free(c->twin);
}

static void
write_bundle(X509 *const *v, size_t n)
{
	FILE *f = fopen(BUNDLE, "w");

	assert_non_null(f);
	(void)fputs("# a bundle\n", f);
	for (size_t i = 0; i < n; i++) {
		(void)fprintf(f, "\nnumber %zu\n", i);
		assert_int_equal(PEM_write_X509(f, v[i]), 1);
	}
	assert_int_equal(fclose(f), 0);
}

static X509_STORE *
store_of(struct ca_index *ix)
{
	X509_STORE *s = X509_STORE_new();
	struct err err;

	assert_non_null(s);
	assert_int_equal(X509_STORE_set_flags(s, X509_V_FLAG_PARTIAL_CHAIN |
						     X509_V_FLAG_TRUSTED_FIRST |
						     X509_V_FLAG_NO_CHECK_TIME),
			 1);
	if (ix)
		assert_int_equal(ca_index_serve(ix, s, &err), 0);
	return s;
}

static bool
trusts(X509_STORE *s, X509 *x, X509 *between)
{
	X509_STORE_CTX *c = X509_STORE_CTX_new();
	STACK_OF(X509) *more = sk_X509_new_null();
	bool ok;

	assert_non_null(c);
	if (between)
		assert_true(sk_X509_push(more, between) > 0);
	assert_int_equal(X509_STORE_CTX_init(c, s, x, more), 1);
	ok = X509_verify_cert(c) == 1;
	X509_STORE_CTX_free(c);
	sk_X509_free(more);
	return ok;
}

/* What a bundle of these makes of each certificate of the chain: root, twin, middle, leaf, and leaf
 * with the one between. */
static void
judge(struct chain *c, X509 *const *bundle, size_t n, bool verdict[5])
{
	struct ca_index *ix = NULL;
	X509_STORE *s, *all = store_of(NULL);
	struct err err;

	write_bundle(bundle, n);
	assert_int_equal(ca_index_new(BUNDLE, &ix, &err), 0);
	assert_int_equal(X509_STORE_load_file(all, BUNDLE), 1);
	s = store_of(ix);
	for (int again = 0; again < 2; again++) { /* what was found stays */
		verdict[0] = trusts(s, c->root, NULL);
		verdict[1] = trusts(s, c->twin, NULL);
		verdict[2] = trusts(s, c->middle, NULL);
		verdict[3] = trusts(s, c->leaf, NULL);
		verdict[4] = trusts(s, c->leaf, c->middle);
		assert_int_equal(verdict[0], trusts(all, c->root, NULL));
		assert_int_equal(verdict[1], trusts(all, c->twin, NULL));
		assert_int_equal(verdict[2], trusts(all, c->middle, NULL));
		assert_int_equal(verdict[3], trusts(all, c->leaf, NULL));
		assert_int_equal(verdict[4], trusts(all, c->leaf, c->middle));
	}
	X509_STORE_free(s);
	X509_STORE_free(all);
	ca_index_free(ix);
}

static void
test_chains(void **state)
{
	static const bool by_root[] = {true, false, true, false, true};
	static const bool by_twin[] = {false, true, false, false, false};
	static const bool by_leaf[] = {false, false, false, true, true};
	struct chain c;
	bool v[5];

	(void)state;
	chain_make(&c);
	judge(&c, (X509 *[]){c.root}, 1, v);
	assert_memory_equal(v, by_root, sizeof(v));
	judge(&c, (X509 *[]){c.twin}, 1, v); /* of the right name, with another key */
	assert_memory_equal(v, by_twin, sizeof(v));
	judge(&c, (X509 *[]){c.leaf}, 1, v); /* a bundle may hold the server's own */
	assert_memory_equal(v, by_leaf, sizeof(v));
	judge(&c, (X509 *[]){c.twin, c.root}, 2, v);
	assert_true(v[0] && v[1]);
	judge(&c, (X509 *[]){c.middle, c.twin}, 2, v);
	assert_true(v[2] && v[3]);
	chain_free(&c);
}

/* Each certificate of the system's bundle, judged alike by both kinds of stores. */
static void
test_system_bundle(void **state)
{
	struct ca_index *ix = NULL;
	X509_STORE *ours, *all;
	FILE *f = fopen(SYSTEM, "r");
	struct err err;
	size_t n = 0;
	X509 *x;

	(void)state;
	if (!f)
		skip();
	if (ca_index_new(SYSTEM, &ix, &err))
		fail_msg("%s", err.msg);
	ours = store_of(ix);
	all = store_of(NULL);
	assert_int_equal(X509_STORE_load_file(all, SYSTEM), 1);
	while ((x = PEM_read_X509(f, NULL, NULL, NULL))) {
		assert_int_equal(trusts(ours, x, NULL), trusts(all, x, NULL));
		n += trusts(ours, x, NULL) ? 1 : 0;
		X509_free(x);
	}
	assert_true(n > 10);
	ERR_clear_error();
	X509_STORE_free(ours);
	X509_STORE_free(all);
	ca_index_free(ix);
	(void)fclose(f);
}

static int
read_bytes(const char *p, size_t n)
{
	struct ca_index *ix = NULL;
	FILE *f = fopen(BUNDLE, "w");
	X509_STORE *s;
	struct err err;
	int r;

	assert_non_null(f);
	assert_int_equal(fwrite(p, 1, n, f), n);
	assert_int_equal(fclose(f), 0);
	r = ca_index_new(BUNDLE, &ix, &err);
	if (r) {
		assert_int_equal(err.kind, ERR_USAGE);
		return r;
	}
	s = store_of(ix);
	X509_STORE_free(s);
	ca_index_free(ix);
	return r;
}

static void
test_damage(void **state)
{
	struct chain c;
	char text[8192];
	size_t n;
	FILE *f;
	uint64_t seed = 3;

	(void)state;
	chain_make(&c);
	write_bundle((X509 *[]){c.root, c.middle}, 2);
	f = fopen(BUNDLE, "r");
	assert_non_null(f);
	n = fread(text, 1, sizeof(text), f);
	assert_true(n > 500 && n < sizeof(text) && feof(f));
	(void)fclose(f);
	assert_int_equal(read_bytes(text, n), 0);
	assert_int_equal(read_bytes("", 0), -1);
	assert_int_equal(read_bytes("no certificate\n", 15), -1);
	assert_int_equal(read_bytes(text, n - 40), -1); /* cut off inside the second */
	for (unsigned round = 0; round < 1500; round++) {
		char copy[sizeof(text)];

		memcpy(copy, text, n);
		for (unsigned i = 0; i < 1 + round % 3; i++) {
			seed = seed * 6364136223846793005u + 1442695040888963407u;
			copy[(seed >> 33) % n] = (char)(32 + (seed >> 20) % 95);
		}
		(void)read_bytes(copy, n);
	}
	chain_free(&c);
}

static int
enter_folder(void **state)
{
	static char folder[] = "/tmp/muster-ca-index.XXXXXX";

	*state = folder;
	return mkdtemp(folder) && !chdir(folder) ? 0 : -1;
}

static int
leave_folder(void **state)
{
	(void)unlink(BUNDLE);
	return chdir("/") || rmdir(*state);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_chains),
	    cmocka_unit_test(test_system_bundle),
	    cmocka_unit_test(test_damage),
	};

	return cmocka_run_group_tests(tests, enter_folder, leave_folder);
}
