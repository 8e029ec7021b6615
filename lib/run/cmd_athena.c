/*
 * muster help athena: the lake as tables, for the jobs of the configuration and the tenants that
 * are listed there or were found last. Nothing is written, and AWS is asked only where tenants are
 * found and the state lies there.
 */

#include "base/cleanup.h"
#include "base/log.h"
#include "run/athena.h"
#include "run/command.h"
#include "run/command_line.h"
#include "run/report.h"
#include "run/session.h"

#define OUTPUT_MAX ((size_t)256 << 20)

static int
print(const struct config *c, struct err *err)
{
	CLEANUP(buf_done) struct buf text = BUF_INIT(OUTPUT_MAX);

	athena_text(c, &text);
	return command_print(&text, "tables", err);
}

/* With the tenants that the last runs found, which the state knows. */
static int
print_found(const struct config *c, const struct options *o, struct err *err)
{
	struct session s;
	int r;

	command_catch_signals(session_clock());
	r = session_open_state(&s, c, o, session_clock(), STATE_LOOK, err);
	if (!r)
		r = print(s.config, err);
	session_close(&s);
	return r;
}

int
cmd_athena(int argc, char **argv)
{
	static const struct command_line line = {
	    .command = FOR_ATHENA,
	    .usage =
		"usage: muster help athena [-c FILE]\n\n"
		"Prints tables of Athena over the lake, for the jobs and the present tenants of "
		"the\n"
		"configuration, and examples of what to ask of them: for one tenant, and across "
		"all.",
	};
	struct config *config = NULL;
	struct err err = {0};
	struct options o;
	int status, r;

	if (!command_begin(&line, argc, argv, &o, &config, &status))
		return status;
	r = config->n_sources ? print_found(config, &o, &err) : print(config, &err);
	status = !r ? EXIT_OK : err.kind == ERR_USAGE ? EXIT_USAGE : EXIT_CENTRAL;
	if (r)
		log_event(LOG_ERROR, "no tables", LOG_E(&err));
	if (clock_cancelled(session_clock()))
		status = 128 + clock_cancelled(session_clock());
	config_free(config);
	return status;
}
