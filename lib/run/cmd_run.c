/*
 * muster run: every job for every tenant, from each one's checkpoint up to now; then exit.
 */
#include "run/command.h"
#include "run/command_line.h"
#include "run/session_run.h"

int
cmd_run(int argc, char **argv)
{
	static const struct session_run how = {
	    .command = "run", .self_metrics = true, .status_page = true};
	static const struct command_line line = {
	    .command = FOR_RUN,
	    .usage = "usage: muster run [OPTION]...",
	};
	struct config *config = NULL;
	struct options o;
	int status;

	if (!command_begin(&line, argc, argv, &o, &config, &status))
		return status;
	status = session_run(&how, &o, config);
	config_free(config);
	return status;
}
