/*
 * The fence around a command: the files that its configuration and options name, and the system calls it makes.
 */
#ifndef MUSTER_RUN_SANDBOX_H
#define MUSTER_RUN_SANDBOX_H

#include "run/config.h"
#include "run/options.h"
#include "run/session.h"

/* For the whole process, before its first thread; cannot be undone. What could be had of the kernel is in the log (debug);
 * that something could not is no error. */
void sandbox_enter(const struct config *c, const struct options *o, const struct session_hooks *h);
/* What was asked of the kernel by sandbox_enter and could not be had, in words; "": nothing. Static storage. */
const char *sandbox_lacks(void);

#endif
