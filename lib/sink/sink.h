/*
 * Sinks: where cells go.
 *
 * A sink publishes one cell at a time and says exactly what became of each sample. The runner calls an ordered sink cell by cell in time
 * order for each stream, and never two cells of one stream at once; different streams come in parallel. To add a sink: one file here
 * and a row in sink.c.
 */
#ifndef MUSTER_SINK_SINK_H
#define MUSTER_SINK_SINK_H

#include <stdbool.h>
#include <stdint.h>

#include "aws/cred.h"
#include "fmt/conf.h"
#include "model/series.h"
#include "net/transport.h"
#include "store/store.h"

enum sink_kind { SINK_REMOTE_WRITE, SINK_OBJECTS, SINK_STDOUT, SINK_OPENMETRICS, SINK_ALERTMANAGER, SINK_OTLP };

/* One sink as configured; strings live in the configuration. */
struct sink_conf {
	const char *name;
	enum sink_kind kind;
	const char *url;
	const char *role; /* NULL: the base credentials */
	const char *sigv4_service, *sigv4_region; /* NULL service: not signed */
	const char *basic_user, *basic_password;
	const char *bearer_token_file;
	struct conf_map headers;
	int64_t max_age_ms;      /* 0: none */
	int64_t out_of_order_ms;
	int64_t ends_after_ms;   /* how long an alert lasts that is not sent again */
	int64_t zstd_level;
	const char *kms_key, *expected_owner;
	const struct conf_node *node;
};

/* The receiver is one that is paid for by the sample. */
bool sink_bills_samples(const struct sink_conf *c);

struct publish {
	const char *job, *tenant, *account, *region;
	const char *definition;  /* hash of the job's definition */
	int64_t now_ms;          /* the run's present: ages are measured from it */
	bool maybe_sent;         /* an earlier or another run may have sent this cell: a refusal for order or age means "already there" */
	int64_t deadline_mono_ms;
	/* Called for each sample that the receiver refused for good, in its words; by a publish that returns 0 only, and at its end. May be NULL. */
	void (*reject)(void *arg, const struct series *s, int64_t ts_ms, double value, int status, const char *reason);
	void *reject_arg;
	/* Called once by a sink that has read the cell's lines and needs them no more, before it sends anything: the caller may drop
	 * them. Not by all sinks, and not of a publish that fails before. May be NULL. */
	void (*lines_read)(void *arg);
	void *lines_arg;
};

/* Together these account for every sample of the cell that was handed in (for objects: lines). */
struct published {
	uint64_t acked, already, too_old, rejected;
	uint64_t over_limit; /* the caller's: of series beyond the job's max_series, not handed in */
	uint64_t bytes; /* as sent, compressed */
	uint64_t requests;
	const char *too_old_why; /* the caller's: what to put on record about too_old, NULL: as usual */
};

struct sink;
struct sink_ops {
	const char *kind;
	bool ordered;  /* every cell of a stream in time order */
	bool samples;  /* takes d->rows; otherwise d->ndjson, and a cell's late objects one by one */
	bool leftovers; /* gets only cells that the job's receivers with a max_age were too late for; all if there is none */
	/* 0: every sample is accounted for in *ret (zeroed by the caller). -1: not all could be delivered now; repeating the whole cell is safe. */
	int (*publish)(struct sink *s, const struct publish *p, const struct cell_data *d, struct published *ret, struct err *err);
	/* Only sinks that can freeze: read a cell's object (the late one of number d->late) into d->ndjson. ERR_NOTFOUND: there is none. `definition` gets the
	 * hash stored with it ("" if none). */
	int (*read)(struct sink *s, const struct publish *p, struct cell_data *d, char definition[65], struct err *err);
	/* Only sinks that can freeze: the start of the oldest cell not before from_ms and before to_ms of which there is an object.
	 * ERR_NOTFOUND: there is none. */
	int (*oldest)(struct sink *s, const struct publish *p, int64_t from_ms, int64_t to_ms, int64_t *ret_ms, struct err *err);
	/* Write a cell's refused samples (NDJSON lines) beside it, create-only under the first free number. NULL: cannot. */
	int (*write_rejected)(struct sink *s, const struct publish *p, struct cell c, struct sv ndjson, struct err *err);
	void (*free)(struct sink *s);
};
struct sink {
	const struct sink_ops *ops;
	const struct sink_conf *conf;
};

/* What sinks need from the run; borrowed, outlives them. */
struct sink_env {
	struct transport *transport;
	struct cred_source *base_creds; /* NULL: there are none; sinks that sign then fail to open with ERR_AUTH */
	struct clock *clock;
	const char *region;             /* central */
	const char *sts_endpoint;
	const char *run_id;
	int stdout_fd;
	bool read_only; /* only to look at what lakes have: nothing is made in them */
};
/* Opens by kind (one row each in sink.c). ERR_USAGE for what the configuration got wrong, ERR_LOCAL/ERR_AUTH/... for what the world did. */
int sink_open(const struct sink_conf *c, const struct sink_env *env, struct sink **ret, struct err *err);
void sink_free(struct sink *s);
/* Tries out what publishing there needs, so that nothing stays behind. -1 only if there was nothing to try (as for opening). */
int sink_try(const struct sink_conf *c, const struct sink_env *env, const struct trials *to, struct err *err);

/* Everything but the row in sink.c, for the kinds themselves: */
int sink_remote_write_open(const struct sink_conf *c, const struct sink_env *env, struct sink **ret, struct err *err);
int sink_objects_open(const struct sink_conf *c, const struct sink_env *env, struct sink **ret, struct err *err);
int sink_openmetrics_open(const struct sink_conf *c, const struct sink_env *env, struct sink **ret, struct err *err);
int sink_alertmanager_open(const struct sink_conf *c, const struct sink_env *env, struct sink **ret, struct err *err);
int sink_alertmanager_try(const struct sink_conf *c, const struct sink_env *env, const struct trials *to, struct err *err);
int sink_otlp_open(const struct sink_conf *c, const struct sink_env *env, struct sink **ret, struct err *err);
int sink_otlp_try(const struct sink_conf *c, const struct sink_env *env, const struct trials *to, struct err *err);
int sink_stdout_open(const struct sink_conf *c, const struct sink_env *env, struct sink **ret, struct err *err);
int sink_remote_write_try(const struct sink_conf *c, const struct sink_env *env, const struct trials *to, struct err *err);
int sink_openmetrics_try(const struct sink_conf *c, const struct sink_env *env, const struct trials *to, struct err *err);
int sink_objects_try(const struct sink_conf *c, const struct sink_env *env, const struct trials *to, struct err *err);
/* Where an objects sink keeps its cells, to look at (the sink's own); NULL for other kinds. */
struct store *sink_objects_store(struct sink *s);
/* An objects sink over a store that is there already; takes it over on success. */
int sink_objects_new(const struct sink_conf *c, struct store *store, struct sink **ret, struct err *err);

#endif
