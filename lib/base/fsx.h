/*
 * Files that survive a power cut.
 *
 * All names are relative to an open directory `dirfd` (or AT_FDCWD) and are opened with O_NOFOLLOW on the
 * last part. Files are created 0600, folders 0700. A write counts as done only when data and folder entry
 * are on disk: write, fsync, rename or link, fsync of the folder. A failed fsync is never tried again
 * (the kernel may have dropped the pages): the call fails.
 */
#ifndef MUSTER_BASE_FSX_H
#define MUSTER_BASE_FSX_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"

/* Whole file into out (its ceiling holds). A missing file is ERR_NOTFOUND. */
int fsx_read(int dirfd, const char *path, struct buf *out, struct err *err);
/* mkdir -p, each new entry fsynced. */
int fsx_mkdirs(int dirfd, const char *path, struct err *err);
/* Replace or create atomically (temporary file beside it, rename). Parents must exist. */
int fsx_replace(int dirfd, const char *path, struct sv data, struct err *err);
/* Create only (temporary file, linkat). ERR_CONFLICT if it exists already. */
int fsx_create(int dirfd, const char *path, struct sv data, struct err *err);
/* Remove; a missing file is fine. The folder is fsynced. */
int fsx_unlink(int dirfd, const char *path, struct err *err);
/* Exclusive advisory lock (flock) on a file that is created if need be and stays. Without waiting:
 * ERR_CONFLICT if another process holds it. *ret_fd is closed to give it up. */
int fsx_lock(int dirfd, const char *path, int *ret_fd, struct err *err);
/* Temporary files of dead processes (name pattern of fsx_replace/fsx_create) in this one folder are removed. */
int fsx_sweep_tmp(int dirfd, const char *dir, struct err *err);
/* Names of regular files below dir (recursive, relative to dir, sorted bytewise), without
 * temporary files. Symbolic links are not followed. The caller frees each and the array. */
int fsx_list(int dirfd, const char *dir, char ***ret, size_t *ret_n, struct err *err);

#endif
