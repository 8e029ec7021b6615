/* What every command begins with; see command_line.h. */
#include "run/command_line.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "aws/profile.h"
#include "base/cleanup.h"
#include "base/fsx.h"
#include "fmt/json.h"
#include "run/report.h"
#include "run/sandbox.h"
#include "run/session.h"

static struct clock *signal_clock;

/* The first signal asks everything to stop; the second one does not wait for it. Async-signal-safe.
 */
static void
on_signal(int sig)
{
	if (clock_cancelled(signal_clock))
		_exit(128 + sig);
	clock_cancel(signal_clock, sig);
}

void
command_catch_signals(struct clock *clock)
{
	struct sigaction stop = {.sa_handler = on_signal};
	struct sigaction ignore = {.sa_handler = SIG_IGN};

	signal_clock = clock;
	(void)sigemptyset(&stop.sa_mask);
	(void)sigemptyset(&ignore.sa_mask);
	(void)sigaction(SIGTERM, &stop, NULL);
	(void)sigaction(SIGINT, &stop, NULL);
	(void)sigaction(SIGPIPE, &ignore, NULL);
	(void)sigaction(SIGHUP, &ignore, NULL);
}

/* Tables are plain already; documents hold words as they are. */
int
command_print(const struct buf *text, const char *what, struct err *err)
{
	CLEANUP(buf_done) struct buf plain = BUF_INIT(6 * text->max);
	const struct buf *shown = text;

	if (isatty(STDOUT_FILENO)) {
		(void)json_plainly(&plain, buf_view(text));
		shown = &plain;
	}
	if (buf_check(text, what, err) || buf_check(shown, what, err))
		return -1;
	if (fwrite(buf_cstr(shown), 1, shown->n, stdout) != shown->n || fflush(stdout))
		return err_sys(err, errno, "write to stdout");
	return 0;
}

/* The one that was named, else the first of the usual ones that is there; NULL: neither is. */
static const char *
config_path(const struct options *o)
{
	static const char *const usual[] = {"muster.yaml", "/etc/muster/muster.yaml"};
	const char *env = getenv("MUSTER_CONFIG");

	if (o->config)
		return o->config;
	if (env && *env)
		return env;
	for (size_t i = 0; i < ARRAY_LEN(usual); i++)
		if (!access(usual[i], F_OK) || errno != ENOENT)
			return usual[i];
	return NULL;
}

static int
read_config(const struct options *o, struct config **ret, struct conf_faults *faults,
	    struct err *err)
{
	const char *path = config_path(o);

	if (!faults)
		return err_nomem(err);
	if (!path)
		return err_set(
		    err, ERR_USAGE,
		    "no configuration: there is neither ./muster.yaml nor "
		    "/etc/muster/muster.yaml; `muster init` writes one, -c names another");
	/* The profile may give the region. */
	if (settings_load(err) || config_load(path, ret, faults, err))
		return -1;
	if (session_configure(*ret, err)) {
		config_free(*ret);
		return -1;
	}
	return 0;
}

/* Says what is wrong with the configuration; or that nothing is known of it, and not what came of
 * that. */
static int
load_config(const struct options *o, struct config **ret, struct err *err)
{
	struct conf_faults *faults = conf_faults_new();
	int r = read_config(o, ret, faults, err);
	size_t n = r && err->kind == ERR_USAGE ? conf_faults_count(faults) : 0;

	for (size_t i = 0; i < n; i++)
		(void)fprintf(stderr, "%s\n", conf_faults_get(faults, i));
	if (r && !n)
		(void)fprintf(stderr, "muster: %s\n", err->msg);
	conf_faults_free(faults);
	return r;
}

static void
print_help(const struct command_line *line)
{
	struct buf text = BUF_INIT(1u << 16);

	buf_fmt(&text, "%s\n\n", line->usage);
	options_help(line->command, &text);
	if (line->more)
		buf_str(&text, line->more);
	(void)fputs(buf_cstr(&text), stdout);
	buf_done(&text);
}

/* What is to be written at the end has a place to go to: else that is said before anything is done.
 */
static int
check_outputs(const struct options *o, struct err *err)
{
	if (o->report && fsx_output_check(o->report, err))
		return err_wrap(err, "--report");
	if (o->html && fsx_output_check(o->html, err))
		return err_wrap(err, "--html");
	return 0;
}

bool
command_begin(const struct command_line *line, int argc, char **argv, struct options *o,
	      struct config **config, int *status)
{
	struct err err = {0};

	*status = EXIT_USAGE;
	if (options_parse(line->command, line->max_words, argc, argv, o, &err)) {
		(void)fprintf(stderr, "muster: %s\n", err.msg);
		return false;
	}
	if (o->help) {
		print_help(line);
		*status = EXIT_OK;
		return false;
	}
	if (check_outputs(o, &err)) {
		(void)fprintf(stderr, "muster: %s\n", err.msg);
		*status = exit_for_file(&err);
		return false;
	}
	log_init(STDERR_FILENO, o->log_format, o->log_level, NULL);
	if (load_config(o, config, &err)) {
		*status = err.kind == ERR_USAGE ? EXIT_USAGE : EXIT_CENTRAL;
		return false;
	}
	sandbox_enter(*config, o, session_hooks());
	return true;
}
