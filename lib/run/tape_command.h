/* Commands on a cassette: which may be recorded, and what of their command line is kept. */
#ifndef MUSTER_RUN_TAPE_COMMAND_H
#define MUSTER_RUN_TAPE_COMMAND_H

#include "net/cassette.h"

/* The command's name and those options that say what was done, not where or how loudly. ERR_USAGE: it cannot be recorded. */
int tape_command_keep(struct cassette *c, int argc, char **argv, struct err *err);
/* ERR_DATA if the command of a cassette has anything but what tape_command_keep leaves. */
int tape_command_check(const struct cassette *c, struct err *err);
int tape_command_run(int argc, char **argv);

#endif
