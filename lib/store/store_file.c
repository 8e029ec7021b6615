/*
 * A store in a folder: one file an object, for machines that keep their own state and for tests.
 *
 * What the contract of store.h asks for is what a local file system gives when it is asked in the
 * right order. An object is written under another name in `.tmp`, synced, and then takes its name
 * in one step: by a link if it must not exist yet (the file system lets exactly one process win),
 * by a rename otherwise. STORE_MATCH has no such step in the file system; there, and wherever else
 * an existing object is replaced or removed, a lock in `.locks` keeps the comparison true until the
 * rename. Neither folder can be named by a key.
 *
 * Nothing is remembered between calls but three descriptors, so that other processes may use the
 * same folder at any time. Every way below the root is resolved by base/below.h.
 */
#include "store/store_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/below.h"
#include "base/cleanup.h"
#include "base/fsx.h"
#include "base/hash.h"

#define ATTR_PREFIX   "user.muster."
#define LOCK_WAIT_MS  4000 /* a comparison and a rename take milliseconds; a run has 5 s to stop */
#define LOCK_STRIPES  4096 /* so many files at most for the locks of writing */
#define SETTLED_AFTER 60   /* seconds */
#define OBJECT_MAX    ((size_t)1 << 40)

struct store_lock {
	int fd;
};

static struct file_store *
file_of(struct store *s)
{
	return (struct file_store *)s;
}

/* The folder part of a key, "." if it has none, and the name in it. */
static const char *
split_key(const char *key, char dir[PATH_MAX])
{
	const char *slash = strrchr(key, '/');

	(void)snprintf(dir, PATH_MAX, "%.*s", slash ? (int)(slash - key) : 1, slash ? key : ".");
	return slash ? slash + 1 : key;
}

static int
wrap(const struct file_store *f, const char *key, struct err *err)
{
	return err_wrap(err, "store %s: %s", f->dir, key);
}

/* Reading */

static int
open_object(int dir, const char *name, int *ret_fd, struct stat *st, struct err *err)
{
	CLEANUP(fsx_closep) int fd = -1;

	if (below_open(dir, name, O_RDONLY, &fd, err) < 0)
		return -1;
	if (fstat(fd, st) < 0)
		return err_sys(err, errno, "stat");
	/* A folder: keys below this one exist, but not the key itself. */
	if (S_ISDIR(st->st_mode))
		return err_set(err, ERR_NOTFOUND, "no such object");
	if (!S_ISREG(st->st_mode))
		return err_set(err, ERR_LOCAL, "not a regular file");
	*ret_fd = fd;
	fd = -1;
	return 0;
}

/*
 * An object can be seen as soon as it is linked, a moment before the link is on disk. Whoever finds
 * one so young makes sure itself: what is built on it must not outlive it in a power cut. A minute
 * later any file system has written it.
 */
static int
settle(const struct file_store *f, const char *key, const struct stat *st, struct err *err)
{
	CLEANUP(fsx_closep) int dir = -1;
	struct timespec now;
	char path[PATH_MAX];

	if (clock_gettime(CLOCK_REALTIME, &now) == 0 && st->st_ctim.tv_sec <= now.tv_sec &&
	    now.tv_sec - st->st_ctim.tv_sec > SETTLED_AFTER)
		return 0;
	(void)split_key(key, path);
	if (below_open(f->root, path, O_RDONLY | O_DIRECTORY, &dir, err) < 0)
		return -1;
	return fsx_sync_folder(dir, key, err);
}

static void
read_attrs(int fd, const char *const *want, struct store_info *info)
{
	memset(info, 0, sizeof(*info));
	for (size_t i = 0; want && want[i] && i < STORE_META_MAX; i++) {
		char name[128];

		(void)snprintf(name, sizeof(name), ATTR_PREFIX "%s", want[i]);
		fsx_attr_read(fd, name, info->meta[i], sizeof(info->meta[i]));
	}
}

static int
read_object(const struct file_store *f, const char *key, const char *const *want, struct buf *out,
	    struct store_info *info, struct err *err)
{
	CLEANUP(fsx_closep) int fd = -1;
	struct stat st;

	if (open_object(f->root, key, &fd, &st, err) < 0)
		return -1;
	if (fsx_read_fd(fd, key, out, err) < 0)
		return -1;
	if (settle(f, key, &st, err) < 0)
		return -1;
	if (!info)
		return 0;
	read_attrs(fd, want, info);
	sha256_hex(buf_view(out), info->etag);
	return 0;
}

/* An object never changes once it can be seen: what is open stays whole. */
static int
copy_object(const struct file_store *f, const char *key, const char *const *want, struct spool *out,
	    struct store_info *info, struct err *err)
{
	CLEANUP(fsx_closep) int fd = -1;
	CLEANUP(freep) char *piece = malloc(SPOOL_PIECE);
	struct sha256_run sum;
	struct stat st;
	ssize_t n;

	if (!piece)
		return err_nomem(err);
	if (open_object(f->root, key, &fd, &st, err) < 0)
		return -1;
	sha256_begin(&sum);
	while ((n = read(fd, piece, SPOOL_PIECE)) != 0) {
		struct sv data = {piece, n > 0 ? (size_t)n : 0};

		if (n < 0 && errno != EINTR)
			return err_sys(err, errno, "read");
		sha256_add(&sum, data);
		if (spool_add(out, data, err) < 0)
			return -1;
	}
	if (info) {
		read_attrs(fd, want, info);
		sha256_end_hex(&sum, info->etag);
	}
	return settle(f, key, &st, err);
}

static int
file_get_spool(struct store *s, const char *key, const char *const *want, struct spool *out,
	       struct store_info *info, struct err *err)
{
	struct file_store *f = file_of(s);

	if (store_key_check(key, err) < 0)
		return -1;
	return copy_object(f, key, want, out, info, err) < 0 ? wrap(f, key, err) : 0;
}

static int
file_get(struct store *s, const char *key, const char *const *want, struct buf *out,
	 struct store_info *info, struct err *err)
{
	struct file_store *f = file_of(s);

	if (store_key_check(key, err) < 0)
		return -1;
	return read_object(f, key, want, out, info, err) < 0 ? wrap(f, key, err) : 0;
}

/* Writing */

/* The lock under which objects of this key are replaced; it waits, but not for ever. */
static int
write_lock(const struct file_store *f, const char *key, int *ret_fd, struct err *err)
{
	struct timespec pause = {.tv_nsec = 1000000};
	int64_t waited_ms = 0;
	struct err why;
	char name[32];

	(void)snprintf(name, sizeof(name), "write-%03x",
		       (unsigned)(mix64(fnv1a64(sv_of(key))) % LOCK_STRIPES));
	while (fsx_lock(f->locks, name, ret_fd, &why) < 0) {
		if (why.kind != ERR_CONFLICT) {
			if (err)
				*err = why;
			return -1;
		}
		if (waited_ms >= LOCK_WAIT_MS)
			return err_set(err, ERR_TRANSIENT,
				       "another process held %s/.locks/%s for %d s", f->dir, name,
				       LOCK_WAIT_MS / 1000);
		(void)nanosleep(&pause, NULL);
		waited_ms += pause.tv_nsec / 1000000;
		if (pause.tv_nsec < 32000000)
			pause.tv_nsec *= 2;
	}
	return 0;
}

/* Whether the stored object is the one the caller read; the lock is held. */
static int
check_match(int dir, const char *name, const char *etag, struct err *err)
{
	CLEANUP(buf_done) struct buf now = BUF_INIT(OBJECT_MAX);
	CLEANUP(fsx_closep) int fd = -1;
	char hex[SHA256_HEX_LEN + 1];
	struct err why;
	struct stat st;

	if (open_object(dir, name, &fd, &st, &why) < 0) {
		if (why.kind == ERR_NOTFOUND)
			return err_set(err, ERR_CONFLICT, "nothing is stored");
		if (err)
			*err = why;
		return -1;
	}
	if (fsx_read_fd(fd, name, &now, err) < 0)
		return -1;
	sha256_hex(buf_view(&now), hex);
	if (strcmp(hex, etag) != 0)
		return err_set(err, ERR_CONFLICT, "another generation is stored");
	return 0;
}

static int
write_object(const struct file_store *f, int dir, const char *name, struct sv body,
	     const struct spool *more, const struct store_put *opt, struct err *err)
{
	struct fsx_attr attrs[STORE_META_MAX];
	char names[STORE_META_MAX][128];
	struct fsx_how how = {
	    .create = opt->cond == STORE_CREATE,
	    .tmp_dirfd = f->tmp,
	    .attrs = attrs,
	    .n_attrs = opt->n_meta,
	    .more = more,
	};

	for (size_t i = 0; i < opt->n_meta; i++) {
		(void)snprintf(names[i], sizeof(names[i]), ATTR_PREFIX "%s", opt->meta[i].name);
		attrs[i] = (struct fsx_attr){names[i], opt->meta[i].value};
	}
	return fsx_write(dir, name, body, &how, err);
}

static int
put_object(const struct file_store *f, const char *key, struct sv body, const struct spool *more,
	   const struct store_put *opt, struct err *err)
{
	CLEANUP(fsx_closep) int lock = -1;
	CLEANUP(fsx_closep) int dir = -1;
	char path[PATH_MAX];
	const char *name = split_key(key, path);

	if (below_mkdirs(f->root, path, &dir, err) < 0)
		return -1;
	/* A link needs no lock: it cannot take an object's place. */
	if (opt->cond != STORE_CREATE && write_lock(f, key, &lock, err) < 0)
		return -1;
	if (opt->cond == STORE_MATCH && check_match(dir, name, opt->etag, err) < 0)
		return -1;
	return write_object(f, dir, name, body, more, opt, err);
}

static int
file_put(struct store *s, const char *key, struct sv body, const struct store_put *opt,
	 char ret_etag[STORE_ETAG_MAX], struct err *err)
{
	struct file_store *f = file_of(s);

	if (store_put_check(key, opt, err) < 0)
		return -1;
	if (put_object(f, key, body, NULL, opt, err) < 0)
		return wrap(f, key, err);
	if (ret_etag)
		sha256_hex(body, ret_etag);
	return 0;
}

static int
file_put_spool(struct store *s, const char *key, const struct spool *body,
	       const struct store_put *opt, char ret_etag[STORE_ETAG_MAX], struct err *err)
{
	struct file_store *f = file_of(s);

	if (store_put_check(key, opt, err) < 0)
		return -1;
	if (opt->cond == STORE_MATCH)
		return err_set(err, ERR_USAGE, "%s: a spool replaces nothing that is compared",
			       key);
	if (put_object(f, key, SV(""), body, opt, err) < 0)
		return wrap(f, key, err);
	return ret_etag ? spool_sha256(body, ret_etag, err) : 0;
}

static int
del_object(const struct file_store *f, const char *key, struct err *err)
{
	CLEANUP(fsx_closep) int lock = -1;
	CLEANUP(fsx_closep) int dir = -1;
	char path[PATH_MAX];
	const char *name = split_key(key, path);
	struct err why;

	if (below_open(f->root, path, O_RDONLY | O_DIRECTORY, &dir, &why) < 0) {
		if (why.kind == ERR_NOTFOUND)
			return 0;
		if (err)
			*err = why;
		return -1;
	}
	if (write_lock(f, key, &lock, err) < 0)
		return -1;
	return fsx_unlink(dir, name, err);
}

static int
file_del(struct store *s, const char *key, struct err *err)
{
	struct file_store *f = file_of(s);

	if (store_key_check(key, err) < 0)
		return -1;
	return del_object(f, key, err) < 0 ? wrap(f, key, err) : 0;
}

/* Locks that outlast a call: on a file of their own, for puts to the same key go on meanwhile. */

static int
file_lock(struct store *s, const char *key, struct store_lock **ret, struct err *err)
{
	struct file_store *f = file_of(s);
	CLEANUP(freep) struct store_lock *l = NULL;
	char hex[SHA256_HEX_LEN + 1], name[64];

	if (store_key_check(key, err) < 0)
		return -1;
	l = malloc(sizeof(*l));
	if (!l)
		return err_nomem(err);
	sha256_hex(sv_of(key), hex);
	(void)snprintf(name, sizeof(name), "held-%.32s", hex);
	if (fsx_lock(f->locks, name, &l->fd, err) < 0)
		return wrap(f, key, err);
	*ret = STEAL(l);
	return 0;
}

static void
file_unlock(struct store *s, struct store_lock *l)
{
	(void)s;
	if (!l)
		return;
	(void)close(l->fd);
	free(l);
}

/* Opening */

static void
file_free(struct store *s)
{
	struct file_store *f = file_of(s);

	fsx_closep(&f->locks);
	fsx_closep(&f->tmp);
	fsx_closep(&f->root);
	free(f->dir);
	free(f);
}

static const struct store_ops file_ops = {
    .name = "file",
    .get = file_get,
    .put = file_put,
    .get_spool = file_get_spool,
    .put_spool = file_put_spool,
    .list = store_file_list,
    .del = file_del,
    .lock = file_lock,
    .unlock = file_unlock,
    .free = file_free,
};

static const struct store_ops look_ops = {
    .name = "file",
    .get = file_get,
    .put = store_refuse_put,
    .list = store_file_list,
    .del = store_refuse_del,
    .free = file_free,
};

/* Whose folder it is, and whether it can be written at all: better said now than after the first
 * pull. */
static int
check_root(const struct file_store *f, struct err *err)
{
	struct stat st;

	if (fstat(f->root, &st) < 0)
		return err_sys(err, errno, "stat %s", f->dir);
	if (st.st_mode & S_IWOTH)
		return err_set(err, ERR_LOCAL,
			       "%s can be written by everybody (mode %04o): give a folder below "
			       "it, or chmod o-w",
			       f->dir, (unsigned)st.st_mode & 07777);
	if (faccessat(f->root, ".", R_OK | W_OK | X_OK, AT_EACCESS) < 0)
		return err_sys(err, errno, "%s cannot be written", f->dir);
	return 0;
}

static int
open_folder(struct file_store *f, struct err *err)
{
	f->root = open(f->dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (f->root >= 0)
		return 0;
	if (errno == ELOOP || errno == ENOTDIR)
		return err_set(err, ERR_LOCAL, "%s is a symbolic link: give the folder itself",
			       f->dir);
	if (errno == ENOENT)
		return err_set(err, ERR_NOTFOUND, "there is no folder %s", f->dir);
	return err_sys(err, errno, "open %s", f->dir);
}

int
store_file_root(struct file_store *f, struct err *err)
{
	return open_folder(f, err) < 0 ? -1 : check_root(f, err);
}

static int
open_root(struct file_store *f, struct err *err)
{
	if (fsx_mkdirs(AT_FDCWD, f->dir, err) < 0)
		return err_wrap(
		    err,
		    "it cannot be made: make it for the user that runs muster, or name another");
	if (store_file_root(f, err) < 0)
		return -1;
	if (below_mkdirs(f->root, ".tmp", &f->tmp, err) < 0 ||
	    below_mkdirs(f->root, ".locks", &f->locks, err) < 0 ||
	    fsx_sweep_tmp(f->tmp, ".", err) < 0)
		return err_wrap(err, "store %s", f->dir);
	return 0;
}

static int
file_new(const char *dir, const struct store_ops *ops,
	 int (*open_it)(struct file_store *f, struct err *err), struct store **ret, struct err *err)
{
	struct file_store *f = malloc(sizeof(*f));
	size_t n = strlen(dir);

	if (!f)
		return err_nomem(err);
	*f = (struct file_store){.base.ops = ops, .root = -1, .tmp = -1, .locks = -1};
	/* With a slash behind it a link would be followed. */
	while (n > 1 && dir[n - 1] == '/')
		n--;
	f->dir = sv_dup((struct sv){dir, n});
	if (!f->dir || n == 0) {
		file_free(&f->base);
		return n ? err_nomem(err) : err_set(err, ERR_USAGE, "a file store needs a folder");
	}
	if (open_it(f, err) < 0) {
		file_free(&f->base);
		return -1;
	}
	*ret = &f->base;
	return 0;
}

int
store_file_new(const char *dir, struct store **ret, struct err *err)
{
	return file_new(dir, &file_ops, open_root, ret, err);
}

int
store_file_look(const char *dir, struct store **ret, struct err *err)
{
	return file_new(dir, &look_ops, open_folder, ret, err);
}
