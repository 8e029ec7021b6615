/*
 * One trust store for all connections. libcurl reads the CA bundle anew for each connection and
 * keeps the result as long as that lives: 1.2 MiB and some milliseconds each time, for what never
 * changes during a run. OpenSSL's stores are counted and safe to share between threads.
 */
#include "net/curl_trust.h"

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "net/ca_index.h"

/* Of libssl, which libcurl brings along if it was built with OpenSSL, and not otherwise. */
#pragma weak SSL_CTX_set1_cert_store
#pragma weak SSL_CTX_set_options

struct curl_trust {
	X509_STORE *store;
	struct ca_index *bundle;
};

static bool
curl_has_openssl(void)
{
	const curl_version_info_data *v = curl_version_info(CURLVERSION_NOW);

	return v->ssl_version && strncmp(v->ssl_version, "OpenSSL/", 8) == 0 &&
	       SSL_CTX_set1_cert_store != NULL && SSL_CTX_set_options != NULL;
}

static int
load(struct curl_trust *t, const char *path, struct err *err)
{
	/* What libcurl sets on the stores that it fills. */
	unsigned long flags = X509_V_FLAG_TRUSTED_FIRST | X509_V_FLAG_PARTIAL_CHAIN;

	t->store = X509_STORE_new();
	if (!t->store || X509_STORE_set_flags(t->store, flags) != 1)
		return err_nomem(err);
	if (ca_index_new(path, &t->bundle, err))
		return -1;
	return ca_index_serve(t->bundle, t->store, err);
}

int
curl_trust_new(const char *ca_bundle, struct curl_trust **ret, struct err *err)
{
	const curl_version_info_data *v = curl_version_info(CURLVERSION_NOW);
	struct curl_trust *t;

	*ret = NULL;
	if (!ca_bundle)
		ca_bundle = v->cainfo;
	if (!curl_has_openssl() || !ca_bundle)
		return 0;
	t = calloc(1, sizeof(*t));
	if (!t)
		return err_nomem(err);
	if (load(t, ca_bundle, err) < 0) {
		curl_trust_free(t);
		return -1;
	}
	*ret = t;
	return 0;
}

void
curl_trust_free(struct curl_trust *t)
{
	if (!t)
		return;
	X509_STORE_free(t->store);
	ca_index_free(t->bundle);
	free(t);
}

static CURLcode
on_ssl_ctx(CURL *easy, void *ssl_ctx, void *arg)
{
	struct curl_trust *t = arg;

	(void)easy;
	SSL_CTX_set1_cert_store(ssl_ctx, t->store);
	(void)SSL_CTX_set_options(ssl_ctx, SSL_OP_CLEANSE_PLAINTEXT); /* keys come in answers */
	return CURLE_OK;
}

CURLcode
curl_trust_use(struct curl_trust *t, CURL *easy)
{
	CURLcode rc = curl_easy_setopt(easy, CURLOPT_CAINFO, NULL);

	if (!rc)
		rc = curl_easy_setopt(easy, CURLOPT_CAPATH, NULL);
	if (!rc)
		rc = curl_easy_setopt(easy, CURLOPT_CA_CACHE_TIMEOUT, 0L);
	if (!rc)
		rc = curl_easy_setopt(easy, CURLOPT_SSL_CTX_FUNCTION, on_ssl_ctx);
	if (!rc)
		rc = curl_easy_setopt(easy, CURLOPT_SSL_CTX_DATA, t);
	return rc;
}
