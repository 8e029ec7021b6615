/* Tenants in trouble; see trouble.h. */
#include "run/trouble.h"

#include <stdio.h>
#include <string.h>

static bool
in_trouble(const struct trouble_of *of)
{
	return of->failed || of->waiting;
}

static void
remove_row(struct trouble *t, size_t i)
{
	memmove(&t->rows[i], &t->rows[i + 1], (t->n_rows - i - 1) * sizeof(t->rows[0]));
	t->n_rows--;
}

static void
forget(struct trouble *t, const struct trouble_of *of)
{
	for (size_t i = t->n_rows; i-- > 0;)
		if (t->rows[i].of == of)
			remove_row(t, i);
}

/* The newest is the last; the oldest makes room. */
static void
tell(struct trouble *t, const struct trouble_of *of, const char *tenant, const char *why)
{
	struct trouble_row *row;

	forget(t, of);
	if (t->n_rows == TROUBLE_ROWS)
		remove_row(t, 0);
	row = &t->rows[t->n_rows++];
	row->of = of;
	row->tenant = tenant;
	(void)snprintf(row->why, sizeof(row->why), "%s", why);
}

void
trouble_failed(struct trouble *t, struct trouble_of *of, const char *tenant, const struct err *err)
{
	t->tenants += !in_trouble(of);
	of->failed = true;
	tell(t, of, tenant, err->code[0] ? err->code : err_kind_name(err->kind));
}

void
trouble_waits(struct trouble *t, struct trouble_of *of, const char *tenant, enum err_kind before,
	      enum err_kind now)
{
	bool was = in_trouble(of);

	of->waiting -= before != ERR_NONE;
	of->waiting += now != ERR_NONE;
	t->tenants += in_trouble(of);
	t->tenants -= was;
	if (!in_trouble(of))
		forget(t, of);
	else if (now != ERR_NONE && !of->failed)
		tell(t, of, tenant, err_kind_name(now));
}
