/*
 * Resolving paths below a folder; see below.h.
 *
 * Linux 5.6 and later resolve a path in one call under the rules wanted here. Older kernels, and
 * sandboxes that do not know the call, get the same answer from a walk that opens one part at a
 * time, each relative to the one before, none through a link. The walk is also what makes missing
 * folders, for each of them has to be on disk before something is put into it.
 */
#include "base/below.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fsx_int.h"

#define NAME_LONGEST 255
#define FOLDER	     (O_RDONLY | O_DIRECTORY)
#define TRIES	     16

static atomic_bool no_openat2;

void
below_use_openat2(bool yes)
{
	atomic_store(&no_openat2, !yes);
}

/* A way out of the folder can only be a link. */
static int
fail(struct err *err, int errnum, const char *path)
{
	return fsx_fail(err, errnum == EXDEV ? ELOOP : errnum, "open", path);
}

/* The next part of *rest, and *rest behind it; false at the end. */
static bool
next_part(const char **rest, char part[NAME_LONGEST + 1])
{
	size_t n = strcspn(*rest, "/");

	if (n == 0)
		return false;
	(void)snprintf(part, NAME_LONGEST + 1, "%.*s", (int)n, *rest);
	*rest += n;
	if (**rest == '/')
		(*rest)++;
	return true;
}

/* The rules that the kernel would hold for us, for both ways alike. */
static int
check_path(const char *path, struct err *err)
{
	const char *p = path;

	if (strcmp(path, ".") == 0)
		return 0;
	do {
		size_t n = strcspn(p, "/");

		if (n == 0 || n > NAME_LONGEST || (n == 1 && p[0] == '.') ||
		    (n == 2 && p[0] == '.' && p[1] == '.'))
			return err_set(err, ERR_LOCAL, "not a path below a folder: \"%.200s\"",
				       path);
		p += n;
	} while (*p++ == '/');
	return 0;
}

/* One part that must not be a link. A link in place of a folder answers ENOTDIR: said as what it
 * is. */
static int
open_part(int at, const char *part, int flags)
{
	int fd = openat(at, part, flags | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
	int errnum = errno;
	struct stat st;

	if (fd >= 0)
		return fd;
	if (errnum == ENOTDIR && fstatat(at, part, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	    S_ISLNK(st.st_mode))
		errnum = ELOOP;
	errno = errnum;
	return -1;
}

static int
walk(int dirfd, const char *path, int flags)
{
	CLEANUP(fsx_closep) int at = -1;
	char part[NAME_LONGEST + 1];
	const char *rest = path;
	int fd;

	while (next_part(&rest, part)) {
		fd = open_part(at >= 0 ? at : dirfd, part, *rest ? FOLDER : flags);
		if (fd < 0)
			return -1;
		fsx_closep(&at);
		at = fd;
	}
	fd = at;
	at = -1;
	return fd;
}

static int
open_below(int dirfd, const char *path, int flags)
{
	struct open_how how = {
	    /* O_NOFOLLOW with O_DIRECTORY would say ENOTDIR of a link. */
	    .flags = (uint64_t)(unsigned)(flags | O_CLOEXEC | O_NONBLOCK),
	    .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS,
	};
	int tries = atomic_load_explicit(&no_openat2, memory_order_relaxed) ? 0 : TRIES;
	long fd;

	while (tries-- > 0) {
		fd = syscall(SYS_openat2, dirfd, path, &how, sizeof(how));
		/* A sandbox older than the call says EPERM. */
		if (fd < 0 && (errno == ENOSYS || errno == EPERM))
			break;
		/* EAGAIN: something on the way was renamed meanwhile. */
		if (fd >= 0 || (errno != EINTR && errno != EAGAIN))
			return (int)fd;
	}
	return walk(dirfd, path, flags);
}

int
below_open(int dirfd, const char *path, int flags, int *ret_fd, struct err *err)
{
	int fd;

	if (check_path(path, err) < 0)
		return -1;
	fd = open_below(dirfd, path, flags);
	/* Below a file there is nothing either. */
	if (fd < 0)
		return fail(err, errno == ENOTDIR ? ENOENT : errno, path);
	*ret_fd = fd;
	return 0;
}

/* One folder of the way, made if it is missing. */
static int
enter(int at, const char *part, const char *path, int *ret_fd, struct err *err)
{
	int fd = open_part(at, part, FOLDER);

	if (fd < 0 && errno == ENOENT) {
		/* EEXIST: another process was faster. */
		if (mkdirat(at, part, 0700) < 0 && errno != EEXIST)
			return err_sys(err, errno, "mkdir %s of %s", part, path);
		if (fsx_sync_folder(at, path, err) < 0)
			return -1;
		fd = open_part(at, part, FOLDER);
	}
	if (fd < 0)
		return fail(err, errno, path);
	*ret_fd = fd;
	return 0;
}

int
below_mkdirs(int dirfd, const char *path, int *ret_fd, struct err *err)
{
	CLEANUP(fsx_closep) int at = -1;
	char part[NAME_LONGEST + 1];
	const char *rest = path;
	int fd = -1;

	if (check_path(path, err) < 0)
		return -1;
	*ret_fd = open_below(dirfd, path, FOLDER);
	if (*ret_fd >= 0)
		return 0;
	if (errno != ENOENT)
		return fail(err, errno, path);
	while (next_part(&rest, part)) {
		if (enter(at >= 0 ? at : dirfd, part, path, &fd, err) < 0)
			return -1;
		fsx_closep(&at);
		at = fd;
	}
	*ret_fd = at;
	at = -1;
	return 0;
}
