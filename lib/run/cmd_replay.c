/*
 * muster replay: the run on a cassette once more, by the same code, without network, credentials or
 * clock; and what came of it, compared with what should.
 *
 * Time is a counter that moves when somebody waits: then nobody has to, and a slow machine meets no
 * deadline. Everything written lands below one folder, the state in a scratch folder that is
 * removed.
 */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "aws/tape.h"
#include "base/cleanup.h"
#include "base/fsx.h"
#include "base/timefmt.h"
#include "fmt/conf_node.h"
#include "fmt/uri.h"
#include "run/command.h"
#include "run/session.h"
#include "run/tape_command.h"
#include "run/tape_config.h"
#include "run/tape_compare.h"
#include "run/tape_receive.h"

#define PATH_BYTES 4096
#define MAX_ARGS   256

struct replay {
	const char *file, *config, *now, *output, *expect, *state_dir;
	bool bytes, update, help;
	const char *forwarded[MAX_ARGS]; /* options for the command */
	size_t n_forwarded;

	struct cassette *cassette;
	char scratch[PATH_BYTES]; /* "" before it is made */
	char outputs[PATH_BYTES], state[PATH_BYTES], config_path[PATH_BYTES];
	int stdout_fd;
	struct clock *clock;
	struct receiver *receiver;
	struct tape_report report;
};

static const char usage[] =
    "usage: muster replay FILE [OPTION]...\n\n"
    "Runs what FILE (of muster record) holds, with no network, credentials or clock.\n\n"
    "  -o, --output DIR    keep the outputs here: each lake as files in a folder of its\n"
    "                      sink's name, what each receiver got in <sink>.ndjson.zst\n"
    "      --expect DIR    compare the outputs with these; exit 1 on a difference\n"
    "      --bytes         compare compressed bytes, not contents\n"
    "      --update        make DIR what came out\n"
    "      --state DIR     keep the state here (default: a scratch folder)\n"
    "  -c, --config FILE   this configuration (default: the one on the cassette)\n"
    "      --now TIME      take this as the present (default: the recorded one)\n"
    "      --job, --tenant, --workers, --shard, --log-format, --log-level, --progress,\n"
    "      --report, -v, -q    as for run\n";

/* ---- the command line ---- */

enum { OPT_EXPECT = 256, OPT_BYTES, OPT_UPDATE, OPT_STATE, OPT_NOW, OPT_FORWARD };

static const struct option longs[] = {
    {"output", required_argument, NULL, 'o'},
    {"expect", required_argument, NULL, OPT_EXPECT},
    {"bytes", no_argument, NULL, OPT_BYTES},
    {"update", no_argument, NULL, OPT_UPDATE},
    {"state", required_argument, NULL, OPT_STATE},
    {"config", required_argument, NULL, 'c'},
    {"now", required_argument, NULL, OPT_NOW},
    {"help", no_argument, NULL, 'h'},
    {"job", required_argument, NULL, OPT_FORWARD},
    {"tenant", required_argument, NULL, OPT_FORWARD},
    {"workers", required_argument, NULL, OPT_FORWARD},
    {"shard", required_argument, NULL, OPT_FORWARD},
    {"log-format", required_argument, NULL, OPT_FORWARD},
    {"log-level", required_argument, NULL, OPT_FORWARD},
    {"progress", required_argument, NULL, OPT_FORWARD},
    {"report", required_argument, NULL, OPT_FORWARD},
    {"verbose", no_argument, NULL, 'v'},
    {"quiet", no_argument, NULL, 'q'},
    {NULL, 0, NULL, 0},
};

/* Static storage: the same words are there whenever they are asked for. */
static const char *
spelled(int index)
{
	static const char *const words[] = {"--job",	  "--tenant",	  "--workers",
					    "--shard",	  "--log-format", "--log-level",
					    "--progress", "--report"};

	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		if (!strcmp(words[i] + 2, longs[index].name))
			return words[i];
	return "--help";
}

static void
forward(struct replay *r, const char *word, const char *value)
{
	if (r->n_forwarded + 2 > MAX_ARGS)
		return;
	r->forwarded[r->n_forwarded++] = word;
	if (value)
		r->forwarded[r->n_forwarded++] = value;
}

static void
take_option(struct replay *r, int c, int index, const char *arg)
{
	const struct {
		int c;
		const char **to;
	} values[] = {{'o', &r->output},
		      {OPT_EXPECT, &r->expect},
		      {'c', &r->config},
		      {OPT_STATE, &r->state_dir},
		      {OPT_NOW, &r->now}};

	for (size_t i = 0; i < ARRAY_LEN(values); i++)
		if (values[i].c == c)
			*values[i].to = arg;
	r->bytes = r->bytes || c == OPT_BYTES;
	r->update = r->update || c == OPT_UPDATE;
	r->help = r->help || c == 'h';
	if (c == OPT_FORWARD)
		forward(r, spelled(index), arg);
	if (c == 'v' || c == 'q')
		forward(r, c == 'v' ? "-v" : "-q", NULL);
}

static int
parse(int argc, char **argv, struct replay *r, struct err *err)
{
	int c, index = 0;

	opterr = 0;
	optind = 1;
	/* NOLINTNEXTLINE(concurrency-mt-unsafe): there are no threads yet */
	while ((c = getopt_long(argc, argv, ":o:c:vqh", longs, &index)) != -1) {
		if (c == '?' || c == ':')
			return err_set(err, ERR_USAGE, "%s: %s (see `muster help replay`)",
				       argv[optind - 1],
				       c == ':' ? "needs a value" : "unknown option");
		take_option(r, c, index, optarg);
	}
	if (r->help)
		return 0;
	if (optind + 1 != argc)
		return err_set(err, ERR_USAGE,
			       "replay needs one cassette (see `muster help "
			       "replay`)");
	if ((r->update || r->bytes) && !r->expect)
		return err_set(err, ERR_USAGE, "--update and --bytes go with --expect DIR");
	r->file = argv[optind];
	return 0;
}

/* ---- folders ---- */

static int
remove_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
	(void)st;
	(void)type;
	(void)at;
	(void)remove(path); /* what cannot be removed stays in the temporary folder */
	return 0;
}

static int
make_scratch(struct replay *r, struct err *err)
{
	const char *tmp = getenv("TMPDIR");
	char path[PATH_BYTES];

	if (snprintf(path, sizeof(path), "%s/muster-replay.XXXXXX", tmp && *tmp ? tmp : "/tmp") >=
		(int)sizeof(path) - 300 ||
	    !mkdtemp(path))
		return err_sys(err, errno, "a folder in %s", tmp && *tmp ? tmp : "/tmp");
	(void)snprintf(r->scratch, sizeof(r->scratch), "%s", path);
	return 0;
}

/* An absolute path of a folder, made if need be. */
static int
folder(const char *path, char out[PATH_BYTES], struct err *err)
{
	CLEANUP(freep) char *real = NULL;

	if (fsx_mkdirs(AT_FDCWD, path, err))
		return -1;
	real = realpath(path, NULL);
	if (!real)
		return err_sys(err, errno, "%s", path);
	if (snprintf(out, PATH_BYTES, "%s", real) >= PATH_BYTES)
		return err_set(err, ERR_USAGE, "%s: the path is too long", path);
	return 0;
}

static int
below(const struct replay *r, const char *name, char out[PATH_BYTES], struct err *err)
{
	CLEANUP(buf_done) struct buf path = BUF_INIT(PATH_BYTES);

	buf_fmt(&path, "%s/%s", r->scratch, name);
	if (buf_check(&path, "path", err))
		return -1;
	return folder(buf_cstr(&path), out, err);
}

/* An object that is there already would be taken for one of this run's. */
static int
check_empty(const char *path, struct err *err)
{
	char **names = NULL;
	size_t n = 0;

	if (fsx_list(AT_FDCWD, path, &names, &n, err))
		return -1;
	for (size_t i = 0; i < n; i++)
		free(names[i]);
	free(names);
	return n ? err_set(err, ERR_USAGE, "%s: not empty; give a folder for this run alone", path)
		 : 0;
}

static int
file_url(struct buf *out, const char *path, const char *name, struct err *err)
{
	buf_str(out, "file://");
	uri_encode(out, sv_of(path), true);
	buf_fmt(out, "%s%s", name ? "/" : "", name ? name : "");
	return buf_check(out, "path", err);
}

static int
make_folders(struct replay *r, struct err *err)
{
	if (make_scratch(r, err) ||
	    (r->output ? folder(r->output, r->outputs, err)
		       : below(r, "outputs", r->outputs, err)) ||
	    check_empty(r->outputs, err))
		return -1;
	return r->state_dir ? folder(r->state_dir, r->state, err)
			    : below(r, "state", r->state, err);
}

/* ---- what the cassette brings ---- */

static int
load(struct replay *r, struct err *err)
{
	CLEANUP(buf_done) struct buf bytes = BUF_INIT(CASSETTE_MAX_PACKED);
	CLEANUP(fsx_closep) int fd = open(r->file, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return err_sys(err, errno, "%s", r->file);
	if (fsx_read_fd(fd, r->file, &bytes, err) ||
	    cassette_unpack(buf_view(&bytes), &r->cassette, err) ||
	    tape_command_check(r->cassette, err))
		return err_wrap(err, "%s", r->file);
	if (r->cassette->config.n != 1)
		return err_set(err, ERR_DATA, "%s: holds no configuration", r->file);
	return 0;
}

static int
write_config(struct replay *r, struct err *err)
{
	const struct cassette_file *f = &r->cassette->config.v[0];
	CLEANUP(buf_done) struct buf path = BUF_INIT(PATH_BYTES - 1);

	if (strchr(f->name, '/'))
		return err_set(err, ERR_DATA, "%s: config/%s: not a name", r->file, f->name);
	if (!r->config && tape_config_check(buf_view(&f->text), err))
		return err_wrap(err, "%s: config/%s", r->file, f->name);
	buf_fmt(&path, "%s/%s", r->scratch, f->name);
	if (buf_check(&path, "path", err))
		return -1;
	(void)snprintf(r->config_path, sizeof(r->config_path), "%s", buf_cstr(&path));
	return fsx_replace(AT_FDCWD, r->config_path, buf_view(&f->text), err);
}

static int
write_state(struct replay *r, struct err *err)
{
	const struct store_put put = {.cond = STORE_ANY, .content_type = "application/json"};
	struct store *s = NULL;
	int rc;

	if (r->state_dir || r->cassette->state.n == 0)
		return 0;
	if (store_file_new(r->state, &s, err))
		return -1;
	rc = 0;
	for (size_t i = 0; !rc && i < r->cassette->state.n; i++) {
		const struct cassette_file *f = &r->cassette->state.v[i];

		rc = store_put(s, f->name, buf_view(&f->text), &put, NULL, err);
	}
	store_free(s);
	return rc;
}

/* References find what they found. To a cassette's own configuration nothing else of this machine
 * is shown; and what a cassette says is in no case part of the environment, where libraries take
 * orders from it. */
static const char *
find_reference(const char *name, void *arg)
{
	const struct replay *r = arg;
	const char *own = r->config ? getenv(name) : NULL; /* NOLINT(concurrency-mt-unsafe) */

	for (size_t i = 0; !own && i < r->cassette->n_env; i++)
		if (!strcmp(r->cassette->env[i].name, name))
			return r->cassette->env[i].value;
	return own;
}

extern char **environ;

/* NOLINTBEGIN(concurrency-mt-unsafe): there are no threads yet */
/* Nothing of AWS's may come from outside. */
static int
set_environment(struct replay *r, struct err *err)
{
	for (char **e = environ; e && *e;) {
		char name[256];
		size_t n = strcspn(*e, "=");

		if (strncmp(*e, "AWS_", 4) != 0 || n >= sizeof(name)) {
			e++;
			continue;
		}
		memcpy(name, *e, n);
		name[n] = '\0';
		if (unsetenv(name))
			return err_sys(err, errno, "environment");
		e = environ; /* it was moved */
	}
	(void)unsetenv("ECS_CONTAINER_METADATA_URI_V4");
	conf_env_use(find_reference, r);
	if (setenv("AWS_CONFIG_FILE", "/dev/null", 1) ||
	    setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null", 1) ||
	    setenv("AWS_ACCESS_KEY_ID", "REPLAY", 1) ||
	    setenv("AWS_SECRET_ACCESS_KEY", "opens-nothing", 1))
		return err_sys(err, errno, "environment");
	return 0;
}
/* NOLINTEND(concurrency-mt-unsafe) */

/* ---- hooks ---- */

static const char *
keep_url(struct config *c, struct buf *url, struct err *err)
{
	const char *copy =
	    buf_check(url, "URL", err) ? NULL : arena_strdup(&c->arena, buf_view(url));

	buf_done(url);
	if (!copy && err->kind == ERR_NONE)
		(void)err_nomem(err);
	return copy;
}

/* Each sink writes below the outputs' folder, or to the receiver; nobody signs in anywhere. */
static int
redirect_sink(struct replay *r, struct config *c, struct sink_conf *s, struct err *err)
{
	struct buf url = BUF_INIT(3 * PATH_BYTES);

	s->role = s->kms_key = s->expected_owner = NULL;
	s->basic_user = s->basic_password = s->bearer_token_file = NULL;
	s->headers = (struct conf_map){NULL, 0};
	if (s->kind == SINK_OBJECTS || s->kind == SINK_OPENMETRICS)
		(void)file_url(&url, r->outputs, s->name, err);
	else
		receiver_url(&url, s->name);
	s->url = keep_url(c, &url, err);
	return s->url ? 0 : -1;
}

static int
redirect(void *arg, struct config *c, struct err *err)
{
	struct replay *r = arg;
	struct buf url = BUF_INIT(3 * PATH_BYTES);

	(void)file_url(&url, r->state, NULL, err);
	c->state = keep_url(c, &url, err);
	c->run.self_metrics = c->run.status_page =
	    NULL; /* they tell of this run, not of the data */
	c->run.deadline_ms = 0;
	for (size_t i = 0; c->state && i < c->n_sinks; i++)
		if (redirect_sink(r, c, &c->sinks[i], err))
			return -1;
	return c->state ? 0 : -1;
}

static int
put_player(void *arg, struct transport **t, struct err *err)
{
	struct replay *r = arg;
	const struct tape_outlet outlet = {receiver_take, r->receiver};

	return replay_transport_new(r->cassette, &outlet, &r->report, r->clock, t, err);
}

/* ---- the run ---- */

static int
run_command(struct replay *r)
{
	const struct session_hooks hooks = {
	    .clock = r->clock,
	    .offline = true,
	    .fixed_now = true,
	    .one_by_one = true,
	    .stdout_fd = r->stdout_fd,
	    .folders = {r->scratch, r->outputs, r->expect},
	    .configure = redirect,
	    .bottom = put_player,
	    .arg = r,
	};
	const char *argv[2 * MAX_ARGS + 8];
	char now[TIME_TEXT_MAX];
	size_t n = 0;
	int status;

	time_format_ms(r->cassette->now_ms, now);
	for (size_t i = 0; i < r->cassette->n_args && i < MAX_ARGS; i++)
		argv[n++] = r->cassette->args[i];
	argv[n++] = "-c";
	argv[n++] = r->config ? r->config : r->config_path;
	argv[n++] = "--now";
	argv[n++] = r->now ? r->now : now;
	for (size_t i = 0; i < r->n_forwarded; i++)
		argv[n++] = r->forwarded[i];
	argv[n] = NULL;
	session_hook(&hooks);
	status = tape_command_run((int)n, (char **)(uintptr_t)argv);
	session_hook(NULL);
	return status;
}

/* What stdout sinks wrote, sorted like everything else. */
static int
finish_stdout(struct replay *r, struct err *err)
{
	CLEANUP(buf_done) struct buf lines = BUF_INIT((size_t)1 << 30);

	if (lseek(r->stdout_fd, 0, SEEK_SET) < 0)
		return err_sys(err, errno, "stdout sinks");
	if (fsx_read_fd(r->stdout_fd, "stdout sinks", &lines, err))
		return -1;
	return receiver_write_lines(buf_view(&lines), r->outputs, "stdout", err);
}

/* A wrong path would agree with a run that put nothing out. */
static int
find_expected(const struct replay *r, struct err *err)
{
	struct stat st;

	if (!r->expect || r->update || !stat(r->expect, &st))
		return 0;
	if (errno != ENOENT)
		return err_sys(err, errno, "--expect %s", r->expect);
	return err_set(err, ERR_USAGE, "--expect %s: it is not there; --update makes it",
		       r->expect);
}

static int
prepare(struct replay *r, struct err *err)
{
	CLEANUP(buf_done) struct buf path = BUF_INIT(PATH_BYTES);

	if (load(r, err) || find_expected(r, err) || make_folders(r, err) || write_config(r, err) ||
	    write_state(r, err) || set_environment(r, err) || receiver_new(&r->receiver, err))
		return -1;
	buf_fmt(&path, "%s/stdout", r->scratch);
	r->stdout_fd = open(buf_cstr(&path), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (r->stdout_fd < 0)
		return err_sys(err, errno, "%s", buf_cstr(&path));
	r->clock = clock_fake_new(r->cassette->wall_ms);
	return r->clock ? 0 : err_nomem(err);
}

static int
compare(const struct replay *r, struct err *err)
{
	size_t different = 0;

	if (r->update)
		return tape_update(r->expect, r->outputs, err) ? EXIT_CENTRAL : EXIT_OK;
	if (tape_compare(r->expect, r->outputs, r->bytes, stdout, &different, err))
		return EXIT_CENTRAL;
	if (different)
		(void)printf("%zu files differ from %s\n", different, r->expect);
	else
		(void)printf("no difference from %s\n", r->expect);
	return different ? EXIT_SOME_FAILED : EXIT_OK;
}

/* A run that failed as it failed when it was recorded is a faithful replay. */
static int
verdict(struct replay *r, int status, struct err *err)
{
	int compared = r->expect ? compare(r, err) : status;

	if (r->report.unused)
		(void)fprintf(stderr,
			      "muster: note: %zu of %zu recorded exchanges were not asked "
			      "for\n",
			      r->report.unused, r->cassette->n);
	if (!r->report.unmatched)
		return compared;
	(void)fprintf(stderr, "muster: %zu calls without a recorded answer; the first: %s\n",
		      r->report.unmatched, r->report.first.msg);
	return compared == EXIT_OK ? EXIT_SOME_FAILED : compared;
}

static int
replay(struct replay *r)
{
	struct err err = {0};
	int status;

	if (prepare(r, &err)) {
		(void)fprintf(stderr, "muster: %s\n", err.msg);
		return exit_for_file(&err);
	}
	status = run_command(r);
	if (status > EXIT_SOME_FAILED && status != EXIT_CENTRAL)
		return status;
	if (receiver_write(r->receiver, r->outputs, &err) || finish_stdout(r, &err))
		status = EXIT_CENTRAL;
	else
		status = verdict(r, status, &err);
	if (err.kind != ERR_NONE)
		(void)fprintf(stderr, "muster: %s\n", err.msg);
	return status;
}

static void
finish(struct replay *r)
{
	cassette_free(r->cassette);
	receiver_free(r->receiver);
	clock_fake_free(r->clock);
	fsx_closep(&r->stdout_fd);
	if (r->scratch[0])
		(void)nftw(r->scratch, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

int
cmd_replay(int argc, char **argv)
{
	struct replay r = {.stdout_fd = -1};
	struct err err = {0};
	int status;

	if (parse(argc, argv, &r, &err)) {
		(void)fprintf(stderr, "muster: %s\n", err.msg);
		return EXIT_USAGE;
	}
	if (r.help) {
		(void)fputs(usage, stdout);
		return EXIT_OK;
	}
	status = replay(&r);
	finish(&r);
	return status;
}
