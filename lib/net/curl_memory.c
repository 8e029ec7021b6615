/*
 * Memory for libcurl that is wiped before it is given back. libcurl copies headers and request
 * lines into buffers of its own, session tokens among them, and frees them as they are; a core dump
 * or a later bug would find them on the heap for the rest of the run.
 */
#include "net/curl_memory.h"

#include <curl/curl.h>
#include <malloc.h>
#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

static void
wipe_and_free(void *p)
{
	if (p)
		OPENSSL_cleanse(p, malloc_usable_size(p));
	free(p);
}

/* realloc would leave the old bytes where they were whenever it moves them. */
static void *
move(void *p, size_t n)
{
	size_t had = p ? malloc_usable_size(p) : 0;
	void *q;

	if (n && n <= had && had - n < had / 2)
		return p;
	q = malloc(n ? n : 1);
	if (!q)
		return NULL;
	if (p)
		memcpy(q, p, had < n ? had : n);
	wipe_and_free(p);
	return q;
}

int
curl_memory_init(struct err *err)
{
	CURLcode rc;

	/* Where it is set libcurl writes what decrypts the traffic into a file that all may read.
	 * NOLINTNEXTLINE(concurrency-mt-unsafe): there are no threads yet */
	(void)unsetenv("SSLKEYLOGFILE");
	rc = curl_global_init_mem(CURL_GLOBAL_DEFAULT, malloc, wipe_and_free, move, strdup, calloc);
	return rc ? err_set(err, ERR_LOCAL, "libcurl: %s", curl_easy_strerror(rc)) : 0;
}
