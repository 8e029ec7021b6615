/*
 * The table of sinks: one row a kind.
 */
#include "sink/sink.h"

#include "base/cleanup.h"

static const struct sink_row {
	enum sink_kind kind;
	int (*open)(const struct sink_conf *c, const struct sink_env *env, struct sink **ret,
		    struct err *err);
} rows[] = {
    {SINK_REMOTE_WRITE, sink_remote_write_open},
    {SINK_OBJECTS, sink_objects_open},
    {SINK_STDOUT, sink_stdout_open},
};

int
sink_open(const struct sink_conf *c, const struct sink_env *env, struct sink **ret, struct err *err)
{
	*ret = NULL;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		if (rows[i].kind == c->kind)
			return rows[i].open(c, env, ret, err);
	return err_set(err, ERR_USAGE, "unknown kind %d", (int)c->kind);
}

void
sink_free(struct sink *s)
{
	if (s)
		s->ops->free(s);
}
