/*
 * Files that survive a power cut.
 *
 * All names are relative to an open directory `dirfd` (or AT_FDCWD) and are opened with O_NOFOLLOW
 * on the last part. Files are created 0600, folders 0700. A write counts as done only when data and
 * folder entry are on disk: write, fsync, rename or link, fsync of the folder. A failed fsync is
 * never tried again (the kernel may have dropped the pages): the call fails.
 */
#ifndef MUSTER_BASE_FSX_H
#define MUSTER_BASE_FSX_H

#include <stdbool.h>
#include <stdint.h>
#include <unistd.h>

#include "base/spool.h"

/* For CLEANUP: closes a descriptor unless it is -1. */
static inline void
fsx_closep(int *fd)
{
	if (*fd >= 0)
		(void)close(*fd);
}

/* Whole file into out (its ceiling holds). A missing file is ERR_NOTFOUND. */
int fsx_read(int dirfd, const char *path, struct buf *out, struct err *err);
/* mkdir -p, each new entry fsynced. */
int fsx_mkdirs(int dirfd, const char *path, struct err *err);
/* Replace or create atomically (temporary file beside it, rename). Parents must exist. */
int fsx_replace(int dirfd, const char *path, struct sv data, struct err *err);
/* Create only (temporary file, linkat). ERR_CONFLICT if it exists already. */
int fsx_create(int dirfd, const char *path, struct sv data, struct err *err);

/* What else there may be to a write. */
struct fsx_attr {
	const char *name, *value; /* extended attribute, "user.x" */
};
struct fsx_how {
	bool create;   /* only create: ERR_CONFLICT if it exists already */
	int tmp_dirfd; /* folder for the temporary file, on the same file system; -1: beside the
			  file */
	/* Set before the file appears under its name; left out where the file system has none or
	 * forbids them. */
	const struct fsx_attr *attrs;
	size_t n_attrs;
	const struct spool *more; /* behind the data; NULL: nothing */
};
/* fsx_replace and fsx_create with all of it. That a file exists already is answered only when its
 * entry is on disk. */
int fsx_write(int dirfd, const char *path, struct sv data, const struct fsx_how *how,
	      struct err *err);
/* The data and what is in `more` (NULL: nothing) to the file of that path, in place of what was there, or, "-", to
 * stdout; `what` it is, in errors. */
int fsx_output(const char *path, const char *what, struct sv data, const struct spool *more, struct err *err);
/* Whether fsx_output could write there: its folder is there and may be written to, and the path is not a folder itself.
 * For who has much to do before. Nothing is touched. */
int fsx_output_check(const char *path, struct err *err);
/* All of it, to an open file, pipe or terminal; `path` is its name in errors. */
int fsx_write_fd(int fd, const char *path, struct sv data, struct err *err);
/* The rest of an open file into out. */
int fsx_read_fd(int fd, const char *name, struct buf *out, struct err *err);
/* An extended attribute as text; "" if it is missing or longer than `size` - 1. */
void fsx_attr_read(int fd, const char *name, char *out, size_t size);

/* What makes an entry of an open folder last. File systems that keep folders elsewhere and cannot
 * be asked (EINVAL: network and shared ones) have done so already. */
int fsx_sync_folder(int fd, const char *path, struct err *err);
/* Remove; a missing file is fine. The folder is fsynced. */
int fsx_unlink(int dirfd, const char *path, struct err *err);
/* Exclusive advisory lock (flock) on a file that is created if need be and stays. Without waiting:
 * ERR_CONFLICT if another process holds it. *ret_fd is closed to give it up. */
int fsx_lock(int dirfd, const char *path, int *ret_fd, struct err *err);
/* Temporary files of dead processes (name pattern of the writing calls) in this one folder are
 * removed. A file that is being written is locked, which also tells processes of other containers
 * apart. */
int fsx_sweep_tmp(int dirfd, const char *dir, struct err *err);
/* Names of regular files below dir (recursive, relative to dir, sorted bytewise), without
 * temporary files. Symbolic links are not followed. The caller frees each and the array. */
int fsx_list(int dirfd, const char *dir, char ***ret, size_t *ret_n, struct err *err);

#endif
