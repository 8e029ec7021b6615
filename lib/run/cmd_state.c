/*
 * muster state: what an operator may do to checkpoints, each with a reason that stays on record.
 */
#include "base/cleanup.h"
#include "base/timefmt.h"
#include "base/utf8.h"
#include "run/command.h"
#include "run/command_line.h"
#include "run/report.h"
#include "run/session.h"
#include "run/state_command.h"

#define OUTPUT_MAX ((size_t)1 << 30)

static const char usage[] =
    "usage: muster state show    [--tenant T] [--job J] [--json]\n"
    "       muster state verify  [--tenant T] [--job J]\n"
    "       muster state rewind  --tenant T --job J [--region R] [--sink S] --to TIME --reason "
    "TEXT\n"
    "       muster state skip    --tenant T --job J [--region R] [--sink S] --to TIME --reason "
    "TEXT\n"
    "       muster state release --tenant T --job J [--force] --reason TEXT\n"
    "       muster state forget  --tenant T --job J --reason TEXT\n\n"
    "show     print checkpoints, as text or (--json) the documents as they are stored\n"
    "verify   look for faults: checksums, versions, cursors, the configuration, and whether the\n"
    "         lake has what is recorded as frozen; writes nothing\n"
    "rewind   move cursors back: cells from TIME on are done again. What is frozen is taken over,\n"
    "         not asked for again; receivers answer \"already there\"\n"
    "skip     move cursors forward: what is skipped is a gap on record, with the reason\n"
    "release  give up the lease of a run that is dead (--force: of one that may not be; it can\n"
    "         then commit nothing any more)\n"
    "forget   remove the checkpoint: the next run goes by what is frozen, as far back as can be\n"
    "         caught up, or begins anew. The lake is not touched, and a copy is kept beside it\n\n"
    "A change is made by compare-and-swap, refused while a run holds the lease, and recorded with\n"
    "who, when and why; `show` and `status` tell of it. TIME is taken down to the start of its\n"
    "cell. Globs, or leaving out --tenant or --job, need --yes for a change.\n\n"
    "Exit status: 0; 1 something was refused or failed (verify: faults were found); 2 usage or\n"
    "configuration, or a region or sink that no checkpoint has; 3 the state cannot be reached.";

static const struct action {
	const char *name;
	enum { SHOW, VERIFY, CHANGE } kind;
	enum state_action change;
	bool needs_to;
} actions[] = {
    {"show", SHOW, 0, false},
    {"verify", VERIFY, 0, false},
    {"rewind", CHANGE, STATE_REWIND, true},
    {"skip", CHANGE, STATE_SKIP, true},
    {"release", CHANGE, STATE_RELEASE, false},
    {"forget", CHANGE, STATE_FORGET, false},
};

/* The command line */

static const struct action *
action_find(const struct options *o, struct err *err)
{
	const char *names[ARRAY_LEN(actions)], *near;

	for (size_t i = 0; i < ARRAY_LEN(actions); i++) {
		names[i] = actions[i].name;
		if (o->n_words && strcmp(o->words[0], names[i]) == 0)
			return &actions[i];
	}
	if (!o->n_words) {
		(void)err_set(err, ERR_USAGE,
			      "state needs one of show, verify, rewind, skip, release, forget");
		return NULL;
	}
	near = conf_nearest(o->words[0], names, ARRAY_LEN(names));
	(void)err_set(err, ERR_USAGE, "unknown action %s%s%s%s (see `muster help state`)",
		      o->words[0], near ? " (did you mean " : "", near ? near : "",
		      near ? "?)" : "");
	return NULL;
}

static bool
is_exact(const char *const *globs, size_t n)
{
	return n == 1 && !strpbrk(globs[0], "*?[\\");
}

static int
check_reason(const char *reason, struct err *err)
{
	struct sv text = sv_of(reason);

	if (!reason || !text.n)
		return err_set(err, ERR_USAGE, "a change needs --reason TEXT: it is recorded");
	if (text.n > CKPT_REASON_MAX)
		return err_set(err, ERR_USAGE, "--reason: more than %d bytes", CKPT_REASON_MAX);
	if (!utf8_valid(text))
		return err_set(err, ERR_USAGE, "--reason: not UTF-8");
	for (size_t i = 0; i < text.n; i++)
		if ((unsigned char)text.p[i] < 0x20 || text.p[i] == 0x7f)
			return err_set(err, ERR_USAGE, "--reason: has control characters");
	return 0;
}

static int
check_options(const struct action *a, const struct options *o, struct err *err)
{
	if (a->kind != CHANGE &&
	    (o->to || o->reason || o->sink || o->region || o->force || o->dry_run))
		return err_set(err, ERR_USAGE,
			       "state %s changes nothing: it takes no --to, "
			       "--region, --sink, --reason, --force or --dry-run",
			       a->name);
	if (a->kind != CHANGE)
		return 0;
	if (!a->needs_to && (o->to || o->sink || o->region))
		return err_set(
		    err, ERR_USAGE,
		    "state %s is for the whole checkpoint: it takes no --to, --region or "
		    "--sink",
		    a->name);
	if (o->force && a->change != STATE_RELEASE)
		return err_set(err, ERR_USAGE, "--force is for release only");
	if (a->needs_to && !o->to)
		return err_set(err, ERR_USAGE, "state %s needs --to TIME", a->name);
	if (check_reason(o->reason, err))
		return -1;
	if (!o->yes && !o->dry_run &&
	    !(is_exact(o->tenants, o->n_tenants) && is_exact(o->jobs, o->n_jobs)))
		return err_set(err, ERR_USAGE,
			       "state %s changes every checkpoint that --tenant and --job take in: "
			       "name one of each, or say --yes (--dry-run shows which)",
			       a->name);
	return 0;
}

static int
read_to(const struct action *a, const struct options *o, struct state_env *env, struct err *err)
{
	char text[TIME_TEXT_MAX];

	if (!a->needs_to)
		return 0;
	if (!time_parse_user(sv_of(o->to), env->now_ms, &env->to_ms))
		return err_set(err, ERR_USAGE, "--to %s: expected RFC 3339, YYYY-MM-DD or now-6h",
			       o->to);
	if (a->change != STATE_SKIP || env->to_ms <= env->now_ms)
		return 0;
	time_format_s(env->now_ms, text);
	return err_set(err, ERR_USAGE,
		       "--to %s: after the present (%s): what is to come cannot be "
		       "skipped",
		       o->to, text);
}

/* Doing it */

/* The document as stored, or as text; a damaged one is told of on stderr. */
static int
show(const struct state_env *env, const struct status_entry *e, struct buf *out)
{
	CLEANUP(buf_done) struct buf text = BUF_INIT(CKPT_MAX);
	struct ckpt *c = NULL;
	struct err err = {0};
	int r;

	if (!e->stored && !e->prev_stored)
		return 0;
	r = ckpt_peek(env->state, "", e->tenant, e->name, "", &text, &c, &err);
	if (r)
		log_event(LOG_ERROR, "checkpoint not usable", LOG_S("tenant", e->tenant),
			  LOG_S("job", e->name), LOG_E(&err));
	else if (env->options->json)
		buf_sv(out, buf_view(&text));
	else
		state_show(c, env->wall_ms, out);
	ckpt_free(c);
	return r;
}

enum outcome { WELL, ILL, NOT_THERE };

/* NOT_THERE: the checkpoint is, but it has no region or sink of the name that was typed. */
static enum outcome
act(const struct action *a, const struct state_env *env, const struct status_entry *e,
    struct buf *out)
{
	struct err err = {0};

	if (a->kind == SHOW)
		return show(env, e, out) ? ILL : WELL;
	if (a->kind == VERIFY)
		return state_verify(env, e, out) ? ILL : WELL;
	if (!state_change(env, a->change, e, out, &err))
		return WELL;
	log_event(LOG_ERROR, "not changed", LOG_S("tenant", e->tenant), LOG_S("job", e->name),
		  LOG_E(&err));
	return err.kind == ERR_NOTFOUND && (e->stored || e->prev_stored) ? NOT_THERE : ILL;
}

static int
act_on_all(const struct action *a, const struct state_env *env, const struct status *st,
	   struct err *err)
{
	CLEANUP(buf_done) struct buf out = BUF_INIT(OUTPUT_MAX);
	size_t n[NOT_THERE + 1] = {0};

	if (env->options->dry_run)
		buf_str(&out, "dry run: nothing is changed\n");
	for (size_t i = 0; i < st->n_entries && !clock_cancelled(session_clock()); i++) {
		const struct status_entry *e = &st->entries[i];

		/* Of many, those that never ran are no failure. */
		if (a->kind == CHANGE && st->n_entries > 1 && !e->stored && !e->prev_stored)
			continue;
		n[act(a, env, e, &out)]++;
		if (command_print(&out, "output", err))
			return EXIT_CENTRAL;
		buf_reset(&out);
	}
	if (n[NOT_THERE] && !n[WELL] && !n[ILL])
		return EXIT_USAGE;
	return n[ILL] || n[NOT_THERE] ? EXIT_SOME_FAILED : EXIT_OK;
}

static int
with_session(const struct action *a, struct session *s, struct err *err)
{
	struct sink_env sinks;
	struct state_env env = {
	    .config = s->config,
	    .options = s->options,
	    .state = s->state,
	    .now_ms = s->env.now_ms,
	    .wall_ms = session_shared_now(s),
	    .sinks = s->base ? &sinks : NULL,
	};
	struct status *st = NULL;
	char who[256];
	int status;

	session_sink_env(s, &sinks);
	sinks.read_only = true;
	if (read_to(a, s->options, &env, err))
		return EXIT_USAGE;
	if (status_gather(s->config, s->state, s->options, env.now_ms, env.wall_ms, &st, err))
		return err->kind == ERR_USAGE ? EXIT_USAGE : EXIT_CENTRAL;
	state_who(s->host, who);
	env.who = who;
	status = act_on_all(a, &env, st, err);
	status_free(st);
	return status;
}

static bool
lake_is_remote(const struct config *c)
{
	for (size_t i = 0; i < c->n_sinks; i++)
		if (c->sinks[i].kind == SINK_OBJECTS &&
		    sv_starts(sv_of(c->sinks[i].url), SV("s3://")))
			return true;
	return false;
}

/* A lake in AWS is looked at where there are credentials; a checkpoint on disk needs none. */
static int
open_session(const struct action *a, struct session *s, const struct config *config,
	     const struct options *o, struct err *err)
{
	unsigned how = a->kind != CHANGE || o->dry_run ? STATE_LOOK : 0;
	bool aws = a->kind == VERIFY && lake_is_remote(config);

	if (aws && !session_open_state(s, config, o, session_clock(), how | STATE_AWS, err))
		return 0;
	if (aws) {
		session_close(s);
		err_clear(err);
	}
	return session_open_state(s, config, o, session_clock(), how, err);
}

static int
with_config(const struct action *a, const struct options *o, const struct config *config,
	    struct err *err)
{
	struct session s;
	int status;

	command_catch_signals(session_clock());
	if (open_session(a, &s, config, o, err))
		status = err->kind == ERR_USAGE ? EXIT_USAGE : EXIT_CENTRAL;
	else
		status = with_session(a, &s, err);
	session_close(&s);
	if (clock_cancelled(session_clock()))
		status = 128 + clock_cancelled(session_clock());
	return status;
}

int
cmd_state(int argc, char **argv)
{
	static const struct command_line line = {
	    .command = FOR_STATE, .max_words = 1, .usage = usage};
	const struct action *a;
	struct config *config = NULL;
	struct err err = {0};
	struct options o;
	int status;

	if (!command_begin(&line, argc, argv, &o, &config, &status))
		return status;
	a = action_find(&o, &err);
	if (!a || check_options(a, &o, &err))
		status = EXIT_USAGE;
	else
		status = with_config(a, &o, config, &err);
	if (err.kind != ERR_NONE)
		log_event(LOG_ERROR, "state", LOG_E(&err));
	config_free(config);
	return status;
}
