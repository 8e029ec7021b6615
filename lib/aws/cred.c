/* Snapshots of credentials: copying and wiping them in one place. */
#include "aws/cred.h"

#include <openssl/crypto.h>

void
cred_done(struct cred *c)
{
	secret_done(&c->secret);
	secret_done(&c->token);
	OPENSSL_cleanse(c, sizeof(*c));
}

int
cred_copy(struct cred *to, const struct cred *from, struct err *err)
{
	struct cred tmp = *from;

	tmp.secret = (struct secret){0};
	tmp.token = (struct secret){0};
	if (secret_copy(&tmp.secret, &from->secret, err) < 0 ||
	    secret_copy(&tmp.token, &from->token, err) < 0) {
		cred_done(&tmp);
		return -1;
	}
	cred_done(to);
	*to = tmp;
	return 0;
}

void
cred_source_free(struct cred_source *s)
{
	if (s)
		s->ops->free(s);
}

void
cred_describe(const struct cred_source *s, struct buf *out)
{
	if (s->ops->describe)
		s->ops->describe(s, out);
	else
		buf_str(out, s->ops->name);
}
