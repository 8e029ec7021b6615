/* Keys that never change: from the environment, or from a profile. */
#include <stdlib.h>

#include "aws/cred_sources.h"
#include "base/cleanup.h"

struct cred_fixed {
	struct cred_source base;
	struct cred cred;
	char *what;
};

static int
fixed_get(struct cred_source *s, const char *stale, struct cred *ret, struct err *err)
{
	struct cred_fixed *f = (struct cred_fixed *)s;

	if (stale && strcmp(stale, f->cred.key_id) == 0)
		return err_set(err, ERR_AUTH, "%s: the keys have expired", f->what);
	return cred_copy(ret, &f->cred, err);
}

static void
fixed_describe(const struct cred_source *s, struct buf *out)
{
	buf_str(out, ((const struct cred_fixed *)s)->what);
}

static void
fixed_free(struct cred_source *s)
{
	struct cred_fixed *f = (struct cred_fixed *)s;

	cred_done(&f->cred);
	free(f->what);
	free(f);
}

int
cred_fixed_new(struct cred *c, const char *what, struct cred_source **ret, struct err *err)
{
	static const struct cred_source_ops ops = {"fixed keys", fixed_get, fixed_free,
						   fixed_describe};
	struct cred_fixed *f = calloc(1, sizeof(*f));

	if (f)
		f->what = sv_dup(sv_of(what));
	if (!f || !f->what) {
		free(f);
		cred_done(c);
		return err_nomem(err);
	}
	f->base.ops = &ops;
	f->cred = *c;
	*c = (struct cred){0};
	*ret = &f->base;
	return 0;
}
