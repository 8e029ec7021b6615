/*
 * The commands: one row each in main.c's table, one file each.
 */
#ifndef MUSTER_RUN_COMMAND_H
#define MUSTER_RUN_COMMAND_H

/* argv[0] is the command's name; the result is the exit status. */
int cmd_run(int argc, char **argv);
int cmd_backfill(int argc, char **argv);
int cmd_plan(int argc, char **argv);
int cmd_check(int argc, char **argv);
int cmd_status(int argc, char **argv);
int cmd_state(int argc, char **argv);
int cmd_compact(int argc, char **argv);
int cmd_init(int argc, char **argv);
int cmd_record(int argc, char **argv);
int cmd_replay(int argc, char **argv);
/* `muster help athena [-c FILE]`; argv[0] is "athena". */
int cmd_athena(int argc, char **argv);

#endif
