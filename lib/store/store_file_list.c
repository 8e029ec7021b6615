/*
 * Listing the keys of a file store in the order of their bytes.
 *
 * A folder's entries are sorted as they appear in keys, folders with their slash: "a.b" comes
 * before "a/x", for
 * '.' is less than '/'. Going down in that order gives the order of whole keys, and only the names
 * of the folders on the way are in memory at any time. No descriptor is held while the caller's
 * function runs, so depth costs none and the function may use the store.
 */
#include "store/store_file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/below.h"
#include "base/cleanup.h"
#include "base/grow.h"

#define KEY_ROOM 2048

struct names {
	char **v;
	size_t n, cap;
};

struct listing {
	const struct file_store *store;
	struct sv prefix;
	struct buf path; /* of the folder at hand, with its slash; "" for the root */
	int (*fn)(const char *key, void *arg);
	void *arg;
	bool ended;
};

static void
names_done(struct names *l)
{
	for (size_t i = 0; i < l->n; i++)
		free(l->v[i]);
	free(l->v);
}

static int
names_add(struct names *l, const char *name, bool folder, struct err *err)
{
	CLEANUP(buf_done) struct buf b = BUF_INIT(KEY_ROOM);
	char **v = array_grow(l->v, l->n, &l->cap, sizeof(*v), err);

	if (!v)
		return -1;
	l->v = v;
	buf_str(&b, name);
	if (folder)
		buf_ch(&b, '/');
	l->v[l->n] = buf_steal(&b);
	if (!l->v[l->n])
		return err_nomem(err);
	l->n++;
	return 0;
}

static int
cmp_names(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static void
closedirp(DIR **d)
{
	if (*d)
		(void)closedir(*d);
}

/* Only files and folders that a key can name: not what is hidden, a link or anything special. */
static int
add_entry(struct names *l, DIR *d, const struct dirent *e, struct err *err)
{
	unsigned char type = e->d_type;
	struct stat st;

	if (!store_key_valid(e->d_name))
		return 0;
	if (type == DT_UNKNOWN) {
		if (fstatat(dirfd(d), e->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
			return errno == ENOENT ? 0 : err_sys(err, errno, "stat %s", e->d_name);
		type = S_ISREG(st.st_mode) ? DT_REG : S_ISDIR(st.st_mode) ? DT_DIR : DT_LNK;
	}
	if (type != DT_REG && type != DT_DIR)
		return 0;
	return names_add(l, e->d_name, type == DT_DIR, err);
}

static int
read_folder(const struct listing *w, struct names *l, struct err *err)
{
	CLEANUP(closedirp) DIR *d = NULL;
	char path[KEY_ROOM];
	const struct dirent *e;
	struct err why;
	int fd;

	(void)snprintf(path, sizeof(path), "%.*s", w->path.n ? (int)w->path.n - 1 : 1,
		       w->path.n ? w->path.p : ".");
	if (below_open(w->store->root, path, O_RDONLY | O_DIRECTORY, &fd, &why) < 0) {
		/* None at all, or gone since its name was read. */
		if (why.kind == ERR_NOTFOUND)
			return 0;
		if (err)
			*err = why;
		return -1;
	}
	d = fdopendir(fd);
	if (!d) {
		(void)close(fd);
		return err_nomem(err);
	}
	while (errno = 0, (e = readdir(d)))
		if (add_entry(l, d, e, err) < 0)
			return -1;
	if (errno)
		return err_sys(err, errno, "read %s", path);
	if (l->n)
		qsort(l->v, l->n, sizeof(*l->v), cmp_names);
	return 0;
}

static int
walk(struct listing *w, struct err *err)
{
	CLEANUP(names_done) struct names l = {0};
	size_t before = w->path.n;

	if (read_folder(w, &l, err) < 0)
		return -1;
	for (size_t i = 0; i < l.n && !w->ended; i++) {
		struct sv at;
		int rc = 0;

		buf_str(&w->path, l.v[i]);
		at = buf_view(&w->path);
		if (sv_ends(at, SV("/"))) {
			/* A folder whose keys would be too long holds none. */
			if (at.n < 1000 && (sv_starts(at, w->prefix) || sv_starts(w->prefix, at)))
				rc = walk(w, err);
		} else if (sv_starts(at, w->prefix) && store_key_valid(buf_cstr(&w->path))) {
			w->ended = w->fn(buf_cstr(&w->path), w->arg) != 0;
		}
		if (rc < 0)
			return -1;
		w->path.n = before;
		w->path.p[before] = '\0';
	}
	return 0;
}

int
store_file_list(struct store *s, const char *prefix, int (*fn)(const char *key, void *arg),
		void *arg, struct err *err)
{
	const char *slash = strrchr(prefix, '/');
	struct listing w = {
	    .store = (const struct file_store *)s,
	    .prefix = sv_of(prefix),
	    .path = BUF_INIT(KEY_ROOM),
	    .fn = fn,
	    .arg = arg,
	};
	int rc;

	if (!store_prefix_valid(prefix))
		return err_set(err, ERR_USAGE, "not a valid prefix: \"%.200s\"", prefix);
	if (slash)
		buf_add(&w.path, prefix, (size_t)(slash - prefix) + 1);
	rc = buf_check(&w.path, "a folder's path", err);
	if (rc == 0)
		rc = walk(&w, err);
	buf_done(&w.path);
	return rc < 0 ? err_wrap(err, "store %s: list %s", w.store->dir, prefix) : 0;
}
