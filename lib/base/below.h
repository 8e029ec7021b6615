/*
 * Paths that must stay below a folder, whatever lies there.
 *
 * fsx follows symbolic links in all parts of a path but the last, as befits paths that an operator
 * wrote. Where the parts are made of names that come from elsewhere, or where others may have put
 * things, a path is resolved here first: no symbolic link in any part, no "..", never out of the
 * folder. Work then goes on with the descriptor, which no later renaming can lead astray.
 *
 * Paths are relative, without empty, "." or ".." parts; the path "." is the folder itself.
 * Thread-safe.
 */
#ifndef MUSTER_BASE_BELOW_H
#define MUSTER_BASE_BELOW_H

#include <stdbool.h>

#include "base/err.h"

/* Open (never create) a file or folder; O_NOFOLLOW, O_CLOEXEC and O_NONBLOCK are added.
 * ERR_NOTFOUND if it or a part of its way is missing. */
int below_open(int dirfd, const char *path, int flags, int *ret_fd, struct err *err);
/* Open a folder and make what is missing on the way, 0700, each new entry fsynced. */
int below_mkdirs(int dirfd, const char *path, int *ret_fd, struct err *err);
/* For tests: go part by part, as on a kernel without openat2. */
void below_use_openat2(bool yes);

#endif
