/*
 * Files that survive a power cut; see fsx.h.
 *
 * Every function works on the open folder that holds the file: the folder is what has to be fsynced
 * after the entry changed, and holding it open keeps all steps of one call in the same place.
 * Temporary names carry the process id, and temporary files are locked while they are written, so
 * that what a killed process left behind can be told from what is being written, also by a process
 * of another container.
 */
#include "base/fsx_int.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdatomic.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/cleanup.h"

#define CHUNK	 65536
#define NAME_CUT 200 /* leaves room for the rest of a temporary name */

int
fsx_fail(struct err *err, int errnum, const char *doing, const char *path)
{
	if (errnum == ELOOP)
		return err_set(err, ERR_LOCAL, "%s %s: symbolic links are not followed", doing,
			       path);
	(void)err_sys(err, errnum, "%s %s", doing, path);
	if (err && errnum == ENOENT)
		err->kind = ERR_NOTFOUND;
	return -1;
}

/* The last part of a path, which has to be a name. */
static int
last_part(const char *path, const char **ret, struct err *err)
{
	const char *slash = strrchr(path, '/');
	const char *name = slash ? slash + 1 : path;

	if (!*name || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
		return err_set(err, ERR_LOCAL, "not a file name: \"%s\"", path);
	*ret = name;
	return 0;
}

/* Opens the folder that holds `path`, and gives the name in it. */
static int
open_parent(int dirfd, const char *path, int *ret_fd, const char **ret_name, struct err *err)
{
	char dir[PATH_MAX];
	size_t n;

	if (last_part(path, ret_name, err) < 0)
		return -1;
	n = (size_t)(*ret_name - path);
	if (n >= sizeof(dir))
		return fsx_fail(err, ENAMETOOLONG, "open the folder of", path);
	memcpy(dir, n ? path : ".", n ? n : 1);
	dir[n ? n : 1] = '\0';
	*ret_fd = openat(dirfd, dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (*ret_fd < 0)
		return fsx_fail(err, errno, "open the folder of", path);
	return 0;
}

static int
sync_fd(int fd, const char *path, struct err *err)
{
	if (fsync(fd) < 0)
		return err_sys(err, errno, "fsync %s", path);
	return 0;
}

int
fsx_sync_folder(int fd, const char *path, struct err *err)
{
	if (fsync(fd) < 0 && errno != EINVAL)
		return err_sys(err, errno, "fsync the folder of %s", path);
	return 0;
}

static ssize_t
read_some(int fd, char *p, size_t n)
{
	ssize_t got;

	do
		got = read(fd, p, n);
	while (got < 0 && errno == EINTR);
	return got;
}

/* The chunk is no array here: each worker's stack would keep its pages. */
int
fsx_read_fd(int fd, const char *path, struct buf *out, struct err *err)
{
	CLEANUP(freep) char *chunk = malloc(CHUNK);
	ssize_t got;

	if (!chunk)
		return err_nomem(err);
	buf_reset(out);
	while ((got = read_some(fd, chunk, CHUNK)) > 0) {
		buf_add(out, chunk, (size_t)got);
		if (!buf_ok(out))
			return buf_check(out, path, err);
	}
	if (got < 0)
		return err_sys(err, errno, "read %s", path);
	return 0;
}

int
fsx_read(int dirfd, const char *path, struct buf *out, struct err *err)
{
	/* O_NONBLOCK: a FIFO must not hang the program; regular files do not care. */
	CLEANUP(fsx_closep)
	int fd = openat(dirfd, path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
	struct stat st;

	if (fd < 0)
		return fsx_fail(err, errno, "open", path);
	if (fstat(fd, &st) < 0)
		return err_sys(err, errno, "stat %s", path);
	if (!S_ISREG(st.st_mode))
		return err_set(err, ERR_LOCAL, "%s: not a regular file", path);
	return fsx_read_fd(fd, path, out, err);
}

static bool
is_folder(int dirfd, const char *path)
{
	struct stat st;

	return fstatat(dirfd, path, &st, 0) == 0 && S_ISDIR(st.st_mode);
}

static int
make_dir(int dirfd, const char *path, struct err *err)
{
	CLEANUP(fsx_closep) int parent = -1;
	const char *name;
	struct stat st;
	int errnum;

	if (fstatat(dirfd, path, &st, 0) == 0) {
		if (S_ISDIR(st.st_mode))
			return 0;
	} else if (errno == EIO || errno == ENOMEM) { /* of what else is wrong mkdir tells */
		return err_sys(err, errno, "stat %s", path);
	}
	if (open_parent(dirfd, path, &parent, &name, err) < 0)
		return -1;
	if (mkdirat(parent, name, 0700) < 0) {
		errnum = errno;
		/* Another process may have been faster. */
		return is_folder(dirfd, path) ? 0 : err_sys(err, errnum, "mkdir %s", path);
	}
	return fsx_sync_folder(parent, path, err);
}

int
fsx_mkdirs(int dirfd, const char *path, struct err *err)
{
	size_t len = strlen(path);
	char part[PATH_MAX];

	if (len == 0 || len >= sizeof(part))
		return fsx_fail(err, len ? ENAMETOOLONG : ENOENT, "mkdir", path);
	while (len > 1 && path[len - 1] == '/')
		len--;
	for (size_t i = 0; i <= len; i++) {
		if (i > 0 && (i == len || path[i] == '/') && path[i - 1] != '/') {
			part[i] = '\0';
			if (make_dir(dirfd, part, err) < 0)
				return -1;
		}
		part[i] = path[i];
	}
	return 0;
}

/* ".<name>.<pid>.<counter>.tmp" */
static atomic_uint_least64_t tmp_counter;

bool
fsx_tmp_given_out(uint64_t counter)
{
	return counter < atomic_load(&tmp_counter);
}

/* Locks the new file. A sweep may have found it in the moment before; where the file system has no
 * locks there is none that could refuse. */
static bool
swept_already(int fd)
{
	struct stat st;

	if (flock(fd, LOCK_EX | LOCK_NB) < 0 && errno == EWOULDBLOCK)
		return true;
	return fstat(fd, &st) == 0 && st.st_nlink == 0;
}

static int
create_tmp(int dir, const char *name, char tmp[PATH_MAX], int *ret_fd)
{
	/* A name may be taken by a dead process that had our id. */
	for (int tries = 0; tries < 1000; tries++) {
		(void)snprintf(tmp, PATH_MAX, ".%.*s.%ld.%llu.tmp", NAME_CUT, name, (long)getpid(),
			       (unsigned long long)atomic_fetch_add(&tmp_counter, 1));
		*ret_fd =
		    openat(dir, tmp, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
		if (*ret_fd < 0 && errno == EEXIST)
			continue;
		if (*ret_fd < 0)
			return -1;
		if (!swept_already(*ret_fd))
			return 0;
		(void)close(*ret_fd);
	}
	errno = EEXIST;
	return -1;
}

int
fsx_write_fd(int fd, const char *path, struct sv data, struct err *err)
{
	while (data.n) {
		ssize_t w = write(fd, data.p, data.n);

		if (w < 0 && errno == EINTR)
			continue;
		if (w < 0)
			return err_sys(err, errno, "write %s", path);
		data.p += w;
		data.n -= (size_t)w;
	}
	return 0;
}

static int
set_attrs(int fd, const char *path, const struct fsx_how *how, struct err *err)
{
	for (size_t i = 0; i < how->n_attrs; i++) {
		const struct fsx_attr *a = &how->attrs[i];

		if (fsetxattr(fd, a->name, a->value, strlen(a->value), 0) == 0)
			continue;
		if (errno == ENOTSUP || errno == EPERM)
			return 0;
		return err_sys(err, errno, "set %s of %s", a->name, path);
	}
	return 0;
}

void
fsx_attr_read(int fd, const char *name, char *out, size_t size)
{
	ssize_t n = fgetxattr(fd, name, out, size - 1);

	out[n > 0 ? n : 0] = '\0';
}

struct to_fd {
	int fd;
	const char *path;
};

static int
write_piece(void *arg, struct sv piece, struct err *err)
{
	const struct to_fd *to = arg;

	return fsx_write_fd(to->fd, to->path, piece, err);
}

/* The temporary file's place and, as long as it is open, its lock. */
struct tmp_file {
	int dir, fd;
	char name[PATH_MAX];
};

static void
tmp_drop(struct tmp_file *t)
{
	if (t->fd < 0)
		return;
	(void)unlinkat(t->dir, t->name, 0);
	(void)close(t->fd);
	t->fd = -1;
}

/* A temporary file with the data on disk. */
static int
tmp_write(struct tmp_file *t, const char *name, const char *path, struct sv data,
	  const struct fsx_how *how, struct err *err)
{
	struct to_fd to;

	if (create_tmp(t->dir, name, t->name, &t->fd) < 0)
		return err_sys(err, errno, "create a temporary file for %s", path);
	to = (struct to_fd){t->fd, path};
	if (fsx_write_fd(t->fd, path, data, err) < 0 ||
	    (how->more && spool_each(how->more, write_piece, &to, err) < 0) ||
	    set_attrs(t->fd, path, how, err) < 0)
		return -1;
	return sync_fd(t->fd, path, err);
}

/* Gives the temporary file its name. */
static int
tmp_place(struct tmp_file *t, int dir, const char *name, const char *path, bool create,
	  struct err *err)
{
	bool exists;

	if (!create) {
		if (renameat(t->dir, t->name, dir, name) < 0)
			return err_sys(err, errno, "replace %s", path);
		(void)close(t->fd);
		t->fd = -1;
		return fsx_sync_folder(dir, path, err);
	}
	exists = linkat(t->dir, t->name, dir, name, 0) < 0;
	if (exists && errno != EEXIST)
		return err_sys(err, errno, "create %s", path);
	tmp_drop(t);
	/* Also for a file of somebody else's: who relies on it may not outlive it in a power cut.
	 */
	if (fsx_sync_folder(dir, path, err) < 0)
		return -1;
	if (exists)
		return err_set(err, ERR_CONFLICT, "create %s: it exists already", path);
	return 0;
}

int
fsx_write(int dirfd, const char *path, struct sv data, const struct fsx_how *how, struct err *err)
{
	/* In this order: the cleanup goes backwards and needs the folder for the temporary file. */
	CLEANUP(fsx_closep) int dir = -1;
	CLEANUP(tmp_drop) struct tmp_file tmp = {.fd = -1};
	const char *name;

	if (open_parent(dirfd, path, &dir, &name, err) < 0)
		return -1;
	tmp.dir = how->tmp_dirfd >= 0 ? how->tmp_dirfd : dir;
	if (tmp_write(&tmp, name, path, data, how, err) < 0)
		return -1;
	return tmp_place(&tmp, dir, name, path, how->create, err);
}

int
fsx_output(const char *path, const char *what, struct sv data, const struct spool *more,
	   struct err *err)
{
	const struct fsx_how how = {.tmp_dirfd = -1, .more = more};
	struct to_fd to = {STDOUT_FILENO, what};

	if (strcmp(path, "-") != 0)
		return fsx_write(AT_FDCWD, path, data, &how, err);
	if (fsx_write_fd(to.fd, what, data, err))
		return -1;
	return more ? spool_each(more, write_piece, &to, err) : 0;
}

int
fsx_output_check(const char *path, struct err *err)
{
	CLEANUP(fsx_closep) int dir = -1;
	const char *name;

	if (strcmp(path, "-") == 0)
		return 0;
	if (open_parent(AT_FDCWD, path, &dir, &name, err) < 0)
		return -1;
	if (faccessat(dir, ".", W_OK | X_OK, AT_EACCESS) < 0)
		return fsx_fail(err, errno, "write to the folder of", path);
	return is_folder(dir, name) ? fsx_fail(err, EISDIR, "write", path) : 0;
}

int
fsx_replace(int dirfd, const char *path, struct sv data, struct err *err)
{
	const struct fsx_how how = {.tmp_dirfd = -1};

	return fsx_write(dirfd, path, data, &how, err);
}

int
fsx_create(int dirfd, const char *path, struct sv data, struct err *err)
{
	const struct fsx_how how = {.create = true, .tmp_dirfd = -1};

	return fsx_write(dirfd, path, data, &how, err);
}

int
fsx_unlink(int dirfd, const char *path, struct err *err)
{
	CLEANUP(fsx_closep) int dir = -1;
	struct err open_err;
	const char *name;

	if (open_parent(dirfd, path, &dir, &name, &open_err) < 0) {
		if (open_err.kind == ERR_NOTFOUND)
			return 0;
		if (err)
			*err = open_err;
		return -1;
	}
	if (unlinkat(dir, name, 0) < 0 && errno != ENOENT)
		return err_sys(err, errno, "remove %s", path);
	return fsx_sync_folder(dir, path, err);
}

int
fsx_lock(int dirfd, const char *path, int *ret_fd, struct err *err)
{
	const int flags = O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK;
	CLEANUP(fsx_closep) int fd = openat(dirfd, path, flags, 0600);
	int rc;

	if (fd < 0)
		return fsx_fail(err, errno, "open", path);
	do
		rc = flock(fd, LOCK_EX | LOCK_NB);
	while (rc < 0 && errno == EINTR);
	if (rc < 0 && errno == EWOULDBLOCK)
		return err_set(err, ERR_CONFLICT, "lock %s: another process holds it", path);
	if (rc < 0)
		return err_sys(err, errno, "lock %s", path);
	*ret_fd = fd;
	fd = -1;
	return 0;
}
