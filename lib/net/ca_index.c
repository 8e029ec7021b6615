/*
 * The certificates of a CA bundle, found by their subject.
 *
 * A bundle holds some 150 certificates, of which a run needs two or three. Reading them all took
 * OpenSSL 3.0 some 40 ms, more than everything else before the first request, and a megabyte. So
 * only their subjects are read, and whenever a chain asks the store for certificates of a name, the
 * store is given what the bundle has of that name before it looks.
 */
#include "net/ca_index.h"

#include <openssl/asn1.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/grow.h"

struct ca {
	X509_NAME *subject;
	unsigned char *der; /* OpenSSL's */
	long n;
	bool given; /* to the store */
};

struct ca_index {
	struct ca *v;
	size_t n, cap;
	pthread_mutex_t mu; /* guards `given` */
};

/* Where a store keeps its index. */
static pthread_once_t slot_once = PTHREAD_ONCE_INIT;
static int slot = -1;

static void
make_slot(void)
{
	slot = X509_STORE_get_ex_new_index(0, NULL, NULL, NULL, NULL);
}

/* Passes the head of an element; its content is at *p then, *ret_end behind it. */
static bool
enter(const unsigned char **p, const unsigned char *end, int want_tag, int want_class,
      const unsigned char **ret_end)
{
	int tag, class;
	long n;
	int r = ASN1_get_object(p, &n, &tag, &class, end - *p);

	if (r & 0x80 || tag != want_tag || class != want_class || n > end - *p)
		return false;
	*ret_end = *p + n;
	return true;
}

static bool
pass(const unsigned char **p, const unsigned char *end, int tag, int class)
{
	const unsigned char *behind;

	if (!enter(p, end, tag, class, &behind))
		return false;
	*p = behind;
	return true;
}

/* TBSCertificate of RFC 5280: [0] version, serial, signature, issuer, validity, subject, ... */
static X509_NAME *
subject_of(const unsigned char *p, long n)
{
	const unsigned char *end = p + n, *at;

	if (!enter(&p, end, V_ASN1_SEQUENCE, V_ASN1_UNIVERSAL, &end) ||
	    !enter(&p, end, V_ASN1_SEQUENCE, V_ASN1_UNIVERSAL, &end))
		return NULL;
	at = p;
	if (pass(&at, end, 0, V_ASN1_CONTEXT_SPECIFIC))
		p = at;
	if (!pass(&p, end, V_ASN1_INTEGER, V_ASN1_UNIVERSAL) ||
	    !pass(&p, end, V_ASN1_SEQUENCE, V_ASN1_UNIVERSAL) ||
	    !pass(&p, end, V_ASN1_SEQUENCE, V_ASN1_UNIVERSAL) ||
	    !pass(&p, end, V_ASN1_SEQUENCE, V_ASN1_UNIVERSAL))
		return NULL;
	return d2i_X509_NAME(NULL, &p, end - p);
}

/* Takes the bytes. What is no certificate is left out, as OpenSSL would find nothing in it. */
static int
add(struct ca_index *ix, unsigned char *der, long n, struct err *err)
{
	struct ca c = {.subject = subject_of(der, n), .der = der, .n = n};
	struct ca *v = ix->v;

	if (!c.subject) {
		OPENSSL_free(der);
		return 0;
	}
	v = array_grow(ix->v, ix->n, &ix->cap, sizeof(*v), err);
	if (!v) {
		X509_NAME_free(c.subject);
		OPENSSL_free(der);
		return -1;
	}
	ix->v = v;
	ix->v[ix->n++] = c;
	return 0;
}

static bool
is_certificate(const char *name)
{
	return !strcmp(name, PEM_STRING_X509) || !strcmp(name, PEM_STRING_X509_OLD) ||
	       !strcmp(name, PEM_STRING_X509_TRUSTED);
}

static int
read_all(struct ca_index *ix, BIO *in, const char *path, struct err *err)
{
	char *name, *header;
	unsigned char *der;
	int r = 0;
	long n;

	while (!r && PEM_read_bio(in, &name, &header, &der, &n) == 1) {
		if (is_certificate(name))
			r = add(ix, der, n, err);
		else
			OPENSSL_free(der);
		OPENSSL_free(name);
		OPENSSL_free(header);
	}
	/* Text without any further certificate is how a bundle ends; all else is damage. */
	if (!r && (!ix->n || ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE))
		r = err_set(err, ERR_USAGE, "%s: no file of CA certificates in PEM form", path);
	return r;
}

/* The store gets all certificates of this subject that it has not got yet. */
static void
give(const X509_STORE_CTX *ctx, const X509_NAME *subject)
{
	X509_STORE *store = X509_STORE_CTX_get0_store(ctx);
	struct ca_index *ix = X509_STORE_get_ex_data(store, slot);

	(void)pthread_mutex_lock(&ix->mu);
	for (size_t i = 0; i < ix->n; i++) {
		struct ca *c = &ix->v[i];
		const unsigned char *p = c->der;
		X509 *x;

		if (c->given || X509_NAME_cmp(c->subject, subject) != 0)
			continue;
		x = d2i_X509(NULL, &p, c->n);
		c->given = x && X509_STORE_add_cert(store, x) == 1;
		X509_free(x);
	}
	(void)pthread_mutex_unlock(&ix->mu);
}

static int
get_issuer(X509 **issuer, X509_STORE_CTX *ctx, X509 *x)
{
	give(ctx, X509_get_issuer_name(x));
	return X509_STORE_CTX_get1_issuer(issuer, ctx, x);
}

static STACK_OF(X509) * lookup_certs(X509_STORE_CTX *ctx, const X509_NAME *subject)
{
	give(ctx, subject);
	return X509_STORE_CTX_get1_certs(ctx, subject);
}

int
ca_index_new(const char *path, struct ca_index **ret, struct err *err)
{
	struct ca_index *ix = calloc(1, sizeof(*ix));
	BIO *in = BIO_new_file(path, "r");
	int r;

	ERR_clear_error();
	if (!ix) {
		BIO_free(in);
		return err_nomem(err);
	}
	(void)pthread_mutex_init(&ix->mu, NULL);
	r = in ? read_all(ix, in, path, err)
	       : err_set(err, ERR_USAGE, "%s: no file of CA certificates in PEM form", path);
	BIO_free(in);
	ERR_clear_error();
	if (r) {
		ca_index_free(ix);
		return -1;
	}
	*ret = ix;
	return 0;
}

void
ca_index_free(struct ca_index *ix)
{
	if (!ix)
		return;
	for (size_t i = 0; i < ix->n; i++) {
		X509_NAME_free(ix->v[i].subject);
		OPENSSL_free(ix->v[i].der);
	}
	(void)pthread_mutex_destroy(&ix->mu);
	free(ix->v);
	free(ix);
}

int
ca_index_serve(struct ca_index *ix, X509_STORE *store, struct err *err)
{
	(void)pthread_once(&slot_once, make_slot);
	if (slot < 0 || !X509_STORE_set_ex_data(store, slot, ix))
		return err_nomem(err);
	X509_STORE_set_get_issuer(store, get_issuer);
	X509_STORE_set_lookup_certs(store, lookup_certs);
	return 0;
}
