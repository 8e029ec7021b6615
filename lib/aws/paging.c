/* Tokens that were seen; see paging.h. */
#include "aws/paging.h"

void
paging_done(struct paging *p)
{
	map_done(&p->seen, NULL);
	buf_done(&p->text);
}

void
paging_begin(struct paging *p)
{
	map_done(&p->seen, NULL);
	p->seen = MAP_INIT;
	p->token = NULL;
	p->pages = 0;
}

int
paging_check(const struct paging *p, const char *token, unsigned max, struct err *err)
{
	if (!token)
		return 0;
	if (map_get(&p->seen, sv_of(token)))
		return err_set(err, ERR_DATA, "the same %s came twice (page %u)", p->name,
			       p->pages + 1);
	return p->pages < max ? 0 : err_set(err, ERR_DATA, "more than %u pages", max);
}

int
paging_go_on(struct paging *p, const char *token, unsigned max, struct err *err)
{
	if (paging_check(p, token, max, err))
		return -1;
	p->token = NULL;
	if (!token)
		return 0;
	buf_reset(&p->text);
	buf_str(&p->text, token);
	if (buf_check(&p->text, p->name, err) || map_put(&p->seen, sv_of(token), p, NULL, err))
		return -1;
	p->token = buf_cstr(&p->text);
	p->pages++;
	return 0;
}
