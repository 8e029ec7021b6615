/* The certificates of a CA bundle, found by their subject. Private to lib/net. */
#ifndef MUSTER_NET_CA_INDEX_H
#define MUSTER_NET_CA_INDEX_H

#include <openssl/x509.h>

#include "base/err.h"

struct ca_index;
/* Reads a PEM file. ERR_USAGE if it cannot be read or holds no certificate. */
int ca_index_new(const char *path, struct ca_index **ret, struct err *err);
void ca_index_free(struct ca_index *ix);
/* Lets the store have whatever it looks for; an index serves one store, and has to live longer. The store may be used by many threads. */
int ca_index_serve(struct ca_index *ix, X509_STORE *store, struct err *err);

#endif
