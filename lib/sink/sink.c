/*
 * The table of sinks: one row a kind.
 */
#include "sink/sink.h"

#include "base/cleanup.h"

static const struct sink_row {
	enum sink_kind kind;
	int (*open)(const struct sink_conf *c, const struct sink_env *env, struct sink **ret,
		    struct err *err);
	/* NULL: there is nothing to try. */
	int (*attempt)(const struct sink_conf *c, const struct sink_env *env,
		       const struct trials *to, struct err *err);
} rows[] = {
    {SINK_REMOTE_WRITE, sink_remote_write_open, sink_remote_write_try},
    {SINK_OBJECTS, sink_objects_open, sink_objects_try},
    {SINK_STDOUT, sink_stdout_open, NULL},
    {SINK_OPENMETRICS, sink_openmetrics_open, sink_openmetrics_try},
    {SINK_ALERTMANAGER, sink_alertmanager_open, sink_alertmanager_try},
    {SINK_OTLP, sink_otlp_open, sink_otlp_try},
};

static const struct sink_row *
row_of(enum sink_kind kind, struct err *err)
{
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		if (rows[i].kind == kind)
			return &rows[i];
	(void)err_set(err, ERR_USAGE, "unknown kind %d", (int)kind);
	return NULL;
}

bool
sink_bills_samples(const struct sink_conf *c)
{
	return c->kind == SINK_REMOTE_WRITE && c->sigv4_service && !strcmp(c->sigv4_service, "aps");
}

int
sink_open(const struct sink_conf *c, const struct sink_env *env, struct sink **ret, struct err *err)
{
	const struct sink_row *row = row_of(c->kind, err);

	*ret = NULL;
	return row ? row->open(c, env, ret, err) : -1;
}

int
sink_try(const struct sink_conf *c, const struct sink_env *env, const struct trials *to,
	 struct err *err)
{
	const struct sink_row *row = row_of(c->kind, err);

	if (!row)
		return -1;
	return row->attempt ? row->attempt(c, env, to, err) : 0;
}

void
sink_free(struct sink *s)
{
	if (s)
		s->ops->free(s);
}
