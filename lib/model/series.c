/* Identity and order of series; see series.h. */
#include "model/series.h"

static int
label_cmp(const struct label *a, const struct label *b)
{
	int c = strcmp(a->name, b->name);

	return c ? c : strcmp(a->value, b->value);
}

int
series_cmp(const struct series *a, const struct series *b)
{
	size_t n = a->n_labels < b->n_labels ? a->n_labels : b->n_labels;
	int c = strcmp(a->name, b->name);

	for (size_t i = 0; i < n && !c; i++)
		c = label_cmp(&a->labels[i], &b->labels[i]);
	return c ? c : (a->n_labels > b->n_labels) - (a->n_labels < b->n_labels);
}

static bool
is_letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool
name_valid(const char *name, char also)
{
	if (!is_letter(*name) && (*name != also || !also))
		return false;
	for (; *name; name++)
		if (!is_letter(*name) && !is_digit(*name) && (*name != also || !also))
			return false;
	return true;
}

bool
series_name_valid(const char *name)
{
	return name_valid(name, ':');
}

bool
label_name_valid(const char *name)
{
	return name_valid(name, '\0');
}

void
cell_data_init(struct cell_data *d, struct cell c)
{
	*d = (struct cell_data){
	    .cell = c,
	    .arena = ARENA_INIT(CELL_ARENA_MAX),
	    .ndjson = BUF_INIT(CELL_NDJSON_MAX),
	};
}

void
cell_data_done(struct cell_data *d)
{
	arena_done(&d->arena);
	buf_done(&d->ndjson);
	d->rows = NULL;
	d->n_rows = 0;
}
