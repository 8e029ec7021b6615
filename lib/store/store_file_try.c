/*
 * Trying out a folder so that nothing stays behind: all that a store does is done in a small store
 * of its own in a temporary folder below, on the same file system, which is removed again.
 */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/fsx.h"
#include "store/store_file.h"

#define TEXT	   "muster: shows that this folder keeps what is written\n"
#define PATH_BYTES 4200
#define OTHER_ETAG "0000000000000000000000000000000000000000000000000000000000000000"

static void
tell(const struct trials *to, const char *what, const char *note, const struct err *err)
{
	const struct trial t = {
	    .result = err ? TRIAL_FAILED : TRIAL_OK, .what = what, .note = note, .err = err};

	trial_tell(to, &t);
}

/* 0: the write was refused, as it has to be. */
static int
must_conflict(struct store *s, enum store_cond cond, struct err *err)
{
	const struct store_put put = {.cond = cond, .etag = OTHER_ETAG};
	struct err why = {0};

	if (store_put(s, "probe", SV("other"), &put, NULL, &why) == 0)
		return err_set(err, ERR_LOCAL,
			       "the file system let an object be replaced that "
			       "had to stay");
	if (why.kind == ERR_CONFLICT)
		return 0;
	if (err)
		*err = why;
	return -1;
}

static int
read_back(struct store *s, struct err *err)
{
	CLEANUP(buf_done) struct buf text = BUF_INIT(4096);

	if (store_get(s, "probe", NULL, &text, NULL, err) < 0)
		return -1;
	if (!sv_eq(buf_view(&text), SV(TEXT)))
		return err_set(err, ERR_LOCAL,
			       "the file system gives back other bytes than it "
			       "was given");
	return 0;
}

static void
try_store(struct store *s, const struct trials *to)
{
	const struct store_put put = {.cond = STORE_CREATE};
	struct err err = {0};
	int rc = store_put(s, "probe", SV(TEXT), &put, NULL, &err);

	tell(to, "write", NULL, rc < 0 ? &err : NULL);
	if (rc < 0)
		return;
	rc = read_back(s, &err);
	tell(to, "read", NULL, rc < 0 ? &err : NULL);
	if (must_conflict(s, STORE_CREATE, &err) < 0 || must_conflict(s, STORE_MATCH, &err) < 0)
		tell(to, "conditional write", NULL, &err);
	else
		tell(to, "conditional write", NULL, NULL);
}

static int
remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static void
try_below(const char *dir, const struct trials *to)
{
	char path[PATH_BYTES];
	struct store *s = NULL;
	struct err err = {0};

	(void)snprintf(path, sizeof(path), "%s/.muster-check-XXXXXX", dir);
	if (!mkdtemp(path)) {
		(void)err_sys(&err, errno, "make a folder in %s", dir);
		tell(to, "write", NULL, &err);
		return;
	}
	if (store_file_new(path, &s, &err) < 0)
		tell(to, "write", NULL, &err);
	else
		try_store(s, to);
	store_free(s);
	if (nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS) != 0) {
		(void)err_sys(&err, errno, "remove %s", path);
		tell(to, "clean-up", NULL, &err);
	}
}

/* The first run will make the folder: could it? */
static void
try_parent(const char *dir, const struct trials *to)
{
	char path[PATH_BYTES];
	struct err err = {0};

	(void)snprintf(path, sizeof(path), "%s", dir);
	while (access(path, F_OK) != 0 && errno == ENOENT) {
		char *slash = strrchr(path, '/');

		if (!slash)
			break;
		slash[slash == path] = '\0';
	}
	if (faccessat(AT_FDCWD, path, W_OK | X_OK, AT_EACCESS) < 0) {
		(void)err_sys(&err, errno,
			      "%s cannot be made in %s: make it for the user that runs muster, or "
			      "name another",
			      dir, path);
		tell(to, "write", NULL, &err);
		return;
	}
	tell(to, "write", "the folder is not there yet; the first run makes it", NULL);
}

int
store_file_try(const char *dir, const struct trials *to, struct err *err)
{
	struct file_store f = {.root = -1, .tmp = -1, .locks = -1};
	struct err why = {0};
	size_t n = strlen(dir);
	struct stat st;

	while (n > 1 && dir[n - 1] == '/')
		n--;
	f.dir = sv_dup((struct sv){dir, n});
	if (!f.dir)
		return err_nomem(err);
	if (lstat(f.dir, &st) < 0 && errno == ENOENT)
		try_parent(f.dir, to);
	else if (store_file_root(&f, &why) == 0)
		try_below(f.dir, to);
	else
		tell(to, "write", NULL, &why);
	fsx_closep(&f.root);
	free(f.dir);
	return 0;
}
