/*
 * Reading folders: what a killed process left behind, and lists of files.
 *
 * A temporary file is stale if the process that its name tells is gone and nobody holds its lock.
 * The lock alone would do, but for the moment between making a file and locking it; the id alone
 * would do, but for processes of other containers, whose ids mean nothing here.
 */
#include "base/fsx_int.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/grow.h"
#include "base/num.h"

#define DEPTH_MAX 32

static void
closedirp(DIR **d)
{
	if (*d)
		(void)closedir(*d);
}

static int
fd_of(DIR *d)
{
	return dirfd(d);
}

static int
open_folder(int dirfd, const char *path, DIR **ret)
{
	int fd = openat(dirfd, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0)
		return -1;
	*ret = fdopendir(fd);
	if (*ret)
		return 0;
	(void)close(fd);
	return -1;
}

/* The next entry that is not "." or ".."; NULL at the end (errno 0) or on an error. */
static const struct dirent *
next_entry(DIR *d)
{
	const struct dirent *e;

	do {
		errno = 0;
		e = readdir(d);
	} while (e && (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0));
	return e;
}

/* Takes ".<number>" off the end of s. */
static bool
cut_number(struct sv *s, uint64_t *ret)
{
	const char *dot = memrchr(s->p, '.', s->n);
	struct sv digits;

	if (!dot)
		return false;
	digits = (struct sv){dot + 1, (size_t)(s->p + s->n - dot) - 1};
	s->n = (size_t)(dot - s->p);
	return digits.n && digits.p[0] != '+' && num_u64(digits, ret);
}

static bool
parse_tmp(const char *name, uint64_t *ret_pid, uint64_t *ret_counter)
{
	struct sv s = sv_of(name);

	if (!sv_starts(s, SV(".")) || !sv_ends(s, SV(".tmp")))
		return false;
	s.n -= 4;
	return cut_number(&s, ret_counter) && cut_number(&s, ret_pid) && s.n > 1;
}

/* Whether nobody writes this temporary file any more. One with our own id and a number that was not
 * given out yet is from a process that had our id before, as happens in containers. */
static bool
is_stale(const char *name)
{
	uint64_t pid, counter;

	if (!parse_tmp(name, &pid, &counter) || pid == 0 || pid > INT_MAX)
		return false;
	if ((pid_t)pid == getpid())
		return !fsx_tmp_given_out(counter);
	return kill((pid_t)pid, 0) < 0 && errno == ESRCH;
}

/* Whether it went away. Who can lock it is not disturbing anybody. */
static bool
sweep(int dir, const char *name)
{
	CLEANUP(fsx_closep)
	int fd = openat(dir, name, O_WRONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);

	if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB) < 0)
		return false;
	return unlinkat(dir, name, 0) == 0;
}

int
fsx_sweep_tmp(int dirfd, const char *dir, struct err *err)
{
	CLEANUP(closedirp) DIR *d = NULL;
	const struct dirent *e;
	bool removed = false;

	if (open_folder(dirfd, dir, &d) < 0)
		return fsx_fail(err, errno, "open", dir);
	while ((e = next_entry(d))) {
		if (is_stale(e->d_name) && sweep(fd_of(d), e->d_name))
			removed = true;
	}
	if (errno)
		return err_sys(err, errno, "read %s", dir);
	return removed ? fsx_sync_folder(fd_of(d), dir, err) : 0;
}

struct names {
	char **p;
	size_t n, cap;
};

static void
names_done(struct names *l)
{
	for (size_t i = 0; i < l->n; i++)
		free(l->p[i]);
	free(l->p);
}

static int
names_add(struct names *l, const char *name, struct err *err)
{
	char **p = array_grow(l->p, l->n, &l->cap, sizeof(*p), err);

	if (!p)
		return -1;
	l->p = p;
	l->p[l->n] = sv_dup(sv_of(name));
	if (!l->p[l->n])
		return err_nomem(err);
	l->n++;
	return 0;
}

static int
cmp_names(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

enum entry_type { ENTRY_OTHER, ENTRY_FILE, ENTRY_FOLDER };

static enum entry_type
entry_type(int dir, const struct dirent *e)
{
	struct stat st;

	if (e->d_type == DT_REG)
		return ENTRY_FILE;
	if (e->d_type == DT_DIR)
		return ENTRY_FOLDER;
	if (e->d_type != DT_UNKNOWN || fstatat(dir, e->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return ENTRY_OTHER;
	return S_ISREG(st.st_mode) ? ENTRY_FILE : S_ISDIR(st.st_mode) ? ENTRY_FOLDER : ENTRY_OTHER;
}

static int walk(int at, const char *name, struct buf *path, int depth, struct names *l,
		struct err *err);

/* One entry of the open folder `dir`, whose path with its slash is in `path`. */
static int
walk_entry(int dir, const struct dirent *e, struct buf *path, int depth, struct names *l,
	   struct err *err)
{
	enum entry_type type = entry_type(dir, e);
	size_t before = path->n;
	uint64_t pid, counter;
	int rc;

	if (type == ENTRY_OTHER || (type == ENTRY_FILE && parse_tmp(e->d_name, &pid, &counter)))
		return 0;
	buf_str(path, e->d_name);
	if (type == ENTRY_FOLDER)
		buf_ch(path, '/');
	if (buf_check(path, "path", err) < 0)
		return -1;
	rc = type == ENTRY_FILE ? names_add(l, buf_cstr(path), err)
				: walk(dir, e->d_name, path, depth + 1, l, err);
	path->n = before;
	path->p[before] = '\0';
	return rc;
}

static int
walk(int at, const char *name, struct buf *path, int depth, struct names *l, struct err *err)
{
	CLEANUP(closedirp) DIR *d = NULL;
	const struct dirent *e;

	if (depth > DEPTH_MAX)
		return err_set(err, ERR_LOCAL, "%s: folders nested deeper than %d", name,
			       DEPTH_MAX);
	if (open_folder(at, name, &d) < 0) {
		/* A folder below the first may go away meanwhile. */
		return depth > 0 && errno == ENOENT ? 0 : fsx_fail(err, errno, "open", name);
	}
	while ((e = next_entry(d)))
		if (walk_entry(fd_of(d), e, path, depth, l, err) < 0)
			return -1;
	return errno ? err_sys(err, errno, "read %s", name) : 0;
}

int
fsx_list(int dirfd, const char *dir, char ***ret, size_t *ret_n, struct err *err)
{
	CLEANUP(buf_done) struct buf path = BUF_INIT(PATH_MAX);
	CLEANUP(names_done) struct names l = {0};

	if (walk(dirfd, dir, &path, 0, &l, err) < 0)
		return -1;
	if (l.n)
		qsort(l.p, l.n, sizeof(*l.p), cmp_names);
	*ret_n = l.n;
	*ret = STEAL(l.p);
	l.n = 0;
	return 0;
}
