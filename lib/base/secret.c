/* Secrets are wiped through OPENSSL_cleanse, which the compiler may not leave out as a dead store.
 */
#include "base/secret.h"

#include <openssl/crypto.h>

int
secret_set(struct secret *s, struct sv v, struct err *err)
{
	char *p = NULL;

	if (v.n) {
		p = sv_dup(v);
		if (!p)
			return err_nomem(err);
	}
	secret_done(s);
	s->p = p;
	s->n = v.n;
	return 0;
}

int
secret_copy(struct secret *to, const struct secret *from, struct err *err)
{
	return secret_set(to, (struct sv){from->p, from->n}, err);
}

void
secret_done(struct secret *s)
{
	if (s->p)
		OPENSSL_cleanse(s->p, s->n);
	free(s->p);
	s->p = NULL;
	s->n = 0;
}

void
secret_wipe_buf(struct buf *b)
{
	if (b->p)
		OPENSSL_cleanse(b->p, b->cap);
	buf_done(b);
}
