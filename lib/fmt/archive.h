/*
 * Small archives, .tar.zst: a bundle of named files that anybody can open with tar.
 *
 * Equal content gives equal bytes: entries carry one fixed time, mode and owner. What is read may come from anywhere: nothing
 * is unpacked to disk, only plain files count, and names, counts and sizes are checked before a byte is handed on.
 */
#ifndef MUSTER_FMT_ARCHIVE_H
#define MUSTER_FMT_ARCHIVE_H

#include <stdbool.h>

#include "base/buf.h"

struct archive_limits {
	size_t max_entries;
	size_t max_entry; /* bytes of one file */
	size_t max_total; /* bytes of all files together */
};

/* 1-240 bytes of [A-Za-z0-9._=-] and '/'; no empty, "." or ".." part. */
bool archive_path_valid(const char *path);

struct archive_out;
int archive_out_new(const struct archive_limits *limits, struct archive_out **ret, struct err *err);
/* The order of calls is the order in the archive. */
int archive_out_add(struct archive_out *a, const char *path, struct sv body, struct err *err);
/* The whole archive, appended to out. */
int archive_out_finish(struct archive_out *a, struct buf *out, struct err *err);
void archive_out_free(struct archive_out *a);

/* Calls fn for each file in turn; fn's -1 ends it. ERR_DATA for anything but a sound archive within the limits. */
int archive_in_each(struct sv bytes, const struct archive_limits *limits,
    int (*fn)(void *arg, const char *path, struct sv body, struct err *err), void *arg, struct err *err);

#endif
