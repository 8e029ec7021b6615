/*
 * What every command begins with: its command line, its help, the configuration, signals; and how one prints.
 */
#ifndef MUSTER_RUN_COMMAND_LINE_H
#define MUSTER_RUN_COMMAND_LINE_H

#include "run/config.h"
#include "run/options.h"

struct clock;

struct command_line {
	enum options_for command;
	size_t max_words;  /* what may stand beside options */
	const char *usage; /* the head of its help, without a newline at the end */
	const char *more;  /* what stands behind the options; NULL: nothing */
};

/* Reads the command line and the configuration and sets up the log. False: there is nothing more to
 * do (help was asked for, or faults were found and said on stderr), end with *status. Free *config
 * with config_free. */
bool command_begin(const struct command_line *line, int argc, char **argv, struct options *o,
		   struct config **config, int *status);
/* SIGTERM and SIGINT cancel the clock, and with it every wait; a second one ends the process. */
void command_catch_signals(struct clock *clock);
/* A table or a document (`what`, for errors) on standard output: on a terminal without what one would obey, a document as the
 * same JSON. */
int command_print(const struct buf *text, const char *what, struct err *err);

#endif
