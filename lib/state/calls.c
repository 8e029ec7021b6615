/* Calls to AWS as JSON; see calls.h. */
#include "state/calls.h"

#include <stdio.h>

/* None of the three words has a blank. */
json_t *
calls_json(const struct tally *t)
{
	char key[sizeof(struct tally_row)];
	json_t *o = json_object();

	for (size_t i = 0; o && i < t->n; i++) {
		const struct tally_row *r = &t->v[i];

		(void)snprintf(key, sizeof(key), "%s %s %s", r->service, r->operation, r->code);
		if (json_object_set_new(o, key, json_integer((json_int_t)r->calls)) < 0) {
			json_decref(o);
			return NULL;
		}
	}
	return o;
}

static int
read_call(struct tally *t, const char *path, const char *key, const json_t *value, struct err *err)
{
	char word[3][sizeof(((struct tally_row *)NULL)->code)];
	int used = 0;

	/* The widths are those of struct tally_row. */
	if (sscanf(key, "%15[!-~] %39[!-~] %39[!-~]%n", word[0], word[1], word[2], &used) != 3 ||
	    key[used] || !json_is_integer(value) || json_integer_value(value) <= 0 ||
	    !tally_restore(t, word[0], word[1], word[2], (uint64_t)json_integer_value(value)))
		return err_set(err, ERR_DATA, "%s/calls: \"%.64s\" is no number of calls", path,
			       key);
	return 0;
}

int
calls_read(json_t *calls, const char *path, struct tally *t, struct err *err)
{
	const char *key;
	json_t *value;

	if (calls && json_object_size(calls) == 0)
		return err_set(err, ERR_DATA, "%s/calls: empty", path);
	json_object_foreach(calls, key, value)
	{
		if (read_call(t, path, key, value, err) < 0)
			return -1;
	}
	return 0;
}
