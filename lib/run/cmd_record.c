/*
 * muster record: a command as it would run anyway, with every read of AWS kept on a cassette.
 *
 * The recording never changes what the command does: it looks on from below signing (lib/aws/tape).
 * The one exception is the present, which stands still, so that a replay plans what was planned.
 */
#include <fcntl.h>
#include <getopt.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>

#include "aws/profile.h"
#include "aws/tape.h"
#include "aws/tape_scrub.h"
#include "base/cleanup.h"
#include "base/fsx.h"
#include "fmt/json.h"
#include "run/command.h"
#include "run/session.h"
#include "run/tape_command.h"
#include "run/tape_config.h"

struct recorder {
	struct recording rec;
	bool scrub;
	bool opened;
	json_t *config;
	char config_name[256];
};

static const char usage[] =
    "usage: muster record -o FILE [--scrub] -- run [OPTION]...\n\n"
    "Runs the command, and keeps every read of AWS in FILE (.tar.zst) for muster replay.\n"
    "Credentials, tokens, signatures and external ids are never in it.\n\n"
    "  -o, --output FILE   the cassette\n"
    "      --scrub         replace account ids, names and messages by made-up ones,\n"
    "                      the same everywhere in the cassette\n";

/* ---- hooks ---- */

static int
put_recorder(void *arg, struct transport **t, struct err *err)
{
	struct recorder *r = arg;

	return record_transport_new(*t, &r->rec, t, err);
}

/* A checkpoint the run begins with; a missing one is none. */
static int
keep_checkpoint(struct recorder *r, const struct session *s, const char *tenant, const char *job,
		struct err *err)
{
	CLEANUP(buf_done) struct buf key = BUF_INIT(1024), text = BUF_INIT(CKPT_MAX);

	ckpt_key(&key, s->commit_env.base, tenant, job, "");
	if (buf_check(&key, "key", err))
		return -1;
	if (store_get(s->state, buf_cstr(&key), NULL, &text, NULL, err))
		return err->kind == ERR_NOTFOUND ? 0 : -1;
	if (r->scrub)
		return err_set(
		    err, ERR_USAGE,
		    "--scrub: tenant %s, job %s has a checkpoint already, which cannot be "
		    "scrubbed; record with a `state` that is empty",
		    tenant, job);
	return cassette_add_file(&r->rec.cassette->state, buf_cstr(&key), buf_view(&text), err);
}

static int
keep_state(struct recorder *r, const struct session *s, struct err *err)
{
	for (size_t t = 0; t < s->runner.n_tenants; t++) {
		const struct tenant_run *tr = &s->tenants[t];

		for (size_t j = 0; j < tr->n_jobs; j++)
			if (keep_checkpoint(r, s, tr->tenant->id, tr->jobs[j].doc, err))
				return -1;
	}
	return 0;
}

static int
session_opened(void *arg, struct session *s, struct err *err)
{
	struct recorder *r = arg;
	struct cassette *c = r->rec.cassette;
	const char *attempts = settings_get("AWS_MAX_ATTEMPTS", "max_attempts");

	c->now_ms = s->env.now_ms;
	c->wall_ms = s->started_wall_ms;
	(void)snprintf(r->config_name, sizeof(r->config_name), "%s.yaml",
		       !r->scrub && conf_name_valid(s->config->name) ? s->config->name : "muster");
	r->config = tape_config(s->config, err);
	if (!r->config || tape_config_env(r->config, c, err) || keep_state(r, s, err))
		return -1;
	if (attempts && cassette_add_env(c, "AWS_MAX_ATTEMPTS", attempts, err))
		return -1;
	r->opened = true;
	return 0;
}

/* ---- writing ---- */

static int
scrub_value(struct scrub *s, char **value, struct err *err)
{
	CLEANUP(buf_done) struct buf out = BUF_INIT((size_t)1 << 20);
	char *text;

	scrub_words(s, sv_of(*value), &out);
	text = buf_steal(&out);
	if (!text)
		return err_nomem(err);
	free(*value);
	*value = text;
	return 0;
}

/* The names of tenants on the command line, and what the environment said. */
static int
scrub_words_of(struct cassette *c, struct scrub *s, struct err *err)
{
	for (size_t i = 1; i < c->n_args; i++)
		if (!strcmp(c->args[i - 1], "--tenant") && scrub_value(s, &c->args[i], err))
			return -1;
	for (size_t i = 0; i < c->n_env; i++)
		if (scrub_value(s, &c->env[i].value, err))
			return -1;
	return 0;
}

static int
scrub_all(struct recorder *r, struct scrub *s, struct err *err)
{
	struct cassette *c = r->rec.cassette;

	if (scrub_words_of(c, s, err))
		return -1;
	for (size_t i = 0; i < c->n; i++)
		if (scrub_exchange(s, c->exchanges[i], err))
			return -1;
	return tape_config_scrub(s, r->config, err);
}

/* Twice through everything: once to see the words, once to replace them. */
static int
scrub_cassette(struct recorder *r, struct err *err)
{
	struct scrub *s = NULL;
	int rc;

	if (scrub_new(&s, err))
		return -1;
	rc = scrub_all(r, s, err);
	if (!rc)
		rc = scrub_seal(s, err);
	if (!rc)
		rc = scrub_all(r, s, err);
	scrub_free(s);
	return rc;
}

static int
write_cassette(struct recorder *r, const char *path, struct err *err)
{
	CLEANUP(buf_done) struct buf text = BUF_INIT(CASSETTE_MAX_ENTRY);
	CLEANUP(buf_done) struct buf bytes = BUF_INIT(CASSETTE_MAX_PACKED);
	struct cassette *c = r->rec.cassette;

	if (r->rec.failed.kind != ERR_NONE) {
		*err = r->rec.failed;
		return err_wrap(err, "an exchange could not be kept");
	}
	if (r->scrub && scrub_cassette(r, err))
		return -1;
	if (json_dump(r->config, true, &text, err))
		return -1;
	buf_ch(&text, '\n');
	if (cassette_add_file(&c->config, r->config_name, buf_view(&text), err) ||
	    cassette_pack(c, &bytes, err) || fsx_replace(AT_FDCWD, path, buf_view(&bytes), err))
		return -1;
	log_event(LOG_INFO, "cassette written", LOG_S("file", path), LOG_I("exchanges", c->n),
		  LOG_I("bytes", bytes.n));
	return 0;
}

/* ---- the command ---- */

static int
record(struct recorder *r, const char *path, int argc, char **argv)
{
	CLEANUP(freep) char *copy = sv_dup(sv_of(path));
	const struct session_hooks hooks = {
	    .fixed_now = true,
	    .one_by_one = true,
	    .folders = {copy ? dirname(copy) : NULL},
	    .bottom = put_recorder,
	    .opened = session_opened,
	    .arg = r,
	};
	struct err err = {0};
	int status;

	if (tape_command_keep(r->rec.cassette, argc, argv, &err)) {
		(void)fprintf(stderr, "muster: %s\n", err.msg);
		return exit_for_file(&err);
	}
	session_hook(&hooks);
	status = tape_command_run(argc, argv);
	session_hook(NULL);
	if (!r->opened) /* it has said why */
		return status;
	if (write_cassette(r, path, &err)) {
		(void)fprintf(stderr, "muster: no cassette: %s\n", err.msg);
		return status == EXIT_OK ? EXIT_CENTRAL : status;
	}
	return status;
}

static int
parse(int argc, char **argv, struct recorder *r, const char **path, bool *help)
{
	static const struct option longs[] = {{"output", required_argument, NULL, 'o'},
					      {"scrub", no_argument, NULL, 's'},
					      {"help", no_argument, NULL, 'h'},
					      {NULL, 0, NULL, 0}};
	int c;

	opterr = 0;
	optind = 1;
	/* NOLINTNEXTLINE(concurrency-mt-unsafe): there are no threads yet */
	while ((c = getopt_long(argc, argv, "+o:h", longs, NULL)) != -1) {
		if (c == '?') {
			(void)fprintf(stderr,
				      "muster: %s: unknown option, or it needs a value (see "
				      "`muster help record`)\n",
				      argv[optind - 1]);
			return -1;
		}
		*path = c == 'o' ? optarg : *path;
		r->scrub = r->scrub || c == 's';
		*help = *help || c == 'h';
	}
	if (*help || (*path && optind < argc))
		return 0;
	(void)fprintf(stderr, "muster: record needs %s (see `muster help record`)\n",
		      *path ? "a command behind --" : "-o FILE");
	return -1;
}

int
cmd_record(int argc, char **argv)
{
	struct recorder r = {0};
	const char *path = NULL;
	bool help = false;
	int status;

	if (parse(argc, argv, &r, &path, &help))
		return EXIT_USAGE;
	if (help) {
		(void)fputs(usage, stdout);
		return EXIT_OK;
	}
	r.rec.cassette = cassette_new();
	if (!r.rec.cassette)
		return EXIT_CENTRAL;
	status = record(&r, path, argc - optind, argv + optind);
	json_decref(r.config);
	cassette_free(r.rec.cassette);
	return status;
}
