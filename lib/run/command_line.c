/* What every command begins with; see command_line.h. */
#include "run/command_line.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "aws/profile.h"
#include "base/cleanup.h"
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
load_config(const struct options *o, struct config **ret)
{
	const char *path = config_path(o);
	struct conf_faults *faults = conf_faults_new();
	struct err err = {0};
	int r;

	if (!faults) {
		(void)fputs("muster: out of memory\n", stderr);
		return -1;
	}
	if (!path) {
		(void)fputs("muster: no configuration: there is neither ./muster.yaml nor "
			    "/etc/muster/muster.yaml; `muster init` writes one, -c names another\n",
			    stderr);
		conf_faults_free(faults);
		return -1;
	}
	/* The profile may give the region. */
	r = settings_load(&err);
	if (!r)
		r = config_load(path, ret, faults, &err);
	if (!r && session_configure(*ret, &err)) {
		config_free(*ret);
		r = -1;
	}
	for (size_t i = 0; i < conf_faults_count(faults); i++)
		(void)fprintf(stderr, "%s\n", conf_faults_get(faults, i));
	if (r && !conf_faults_count(faults))
		(void)fprintf(stderr, "muster: %s\n", err.msg);
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
	log_init(STDERR_FILENO, o->log_format, o->log_level, NULL);
	if (load_config(o, config))
		return false;
	sandbox_enter(*config, o, session_hooks());
	return true;
}
