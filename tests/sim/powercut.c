/*
 * A library to preload: writes down what a program does to the files below a folder, so that a test
 * can work out what would be on the disk had the power failed; and ends the program before an
 * operation of choice.
 *
 *   POWERCUT_ROOT  the folder       POWERCUT_LOG  where to write       POWERCUT_AT  operation to
 * die at (0: never)
 *
 * A line for each operation that was done, in order, paths as they are on the disk:
 *   create PATH | write PATH HEX | xattr PATH NAME HEX | sync PATH | link OLD NEW | rename OLD NEW
 * | unlink PATH | mkdir PATH
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#define PATH_BYTES 4096

static pthread_mutex_t mu = PTHREAD_MUTEX_INITIALIZER;
static FILE *out;
static const char *root;
static size_t root_len;
static long done, die_at;

#define REAL(name) ((__typeof__(&name))(uintptr_t)dlsym(RTLD_NEXT, #name))

__attribute__((constructor)) static void
begin(void)
{
	const char *log = getenv("POWERCUT_LOG"),
		   *at = getenv("POWERCUT_AT"); /* NOLINT(concurrency-mt-unsafe) */

	root = getenv("POWERCUT_ROOT"); /* NOLINT(concurrency-mt-unsafe) */
	if (!root || !log)
		return;
	root_len = strlen(root);
	die_at = at ? strtol(at, NULL, 10) : 0;
	out = fopen(log, "we");
}

/* The path of an open file below the root, without it; false: not ours. */
static bool
path_of(int fd, char path[PATH_BYTES])
{
	char link[64], full[PATH_BYTES];
	ssize_t n;

	if (!out)
		return false;
	(void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, full, sizeof(full) - 1);
	if (n <= (ssize_t)root_len || strncmp(full, root, root_len) != 0)
		return n == (ssize_t)root_len && !strncmp(full, root, root_len) &&
		       snprintf(path, PATH_BYTES, "/") > 0;
	full[n] = '\0';
	(void)snprintf(path, PATH_BYTES, "%s", full + root_len);
	return true;
}

static bool
path_at(int dir, const char *name, char path[PATH_BYTES])
{
	char base[PATH_BYTES];

	if (*name == '/') {
		if (!out || strncmp(name, root, root_len) != 0)
			return false;
		(void)snprintf(path, PATH_BYTES, "%s", name + root_len);
		return true;
	}
	if (dir == AT_FDCWD || !path_of(dir, base))
		return false;
	return snprintf(path, PATH_BYTES, "%s/%s", strcmp(base, "/") ? base : "", name) <
	       PATH_BYTES;
}

/* Before an operation on our files; the mutex is held until `after`. */
static void
before(void)
{
	(void)pthread_mutex_lock(&mu);
	if (++done == die_at) {
		(void)fflush(out);
		(void)kill(getpid(), SIGKILL);
	}
}

__attribute__((format(printf, 2, 3))) static void
after(bool ok, const char *fmt, ...)
{
	va_list ap;

	if (ok) {
		va_start(ap, fmt);
		(void)vfprintf(out, fmt, ap);
		va_end(ap);
		(void)fflush(out);
	}
	(void)pthread_mutex_unlock(&mu);
}

static void
add_hex(const void *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		(void)fprintf(out, "%02x", ((const unsigned char *)p)[i]);
	(void)fputc('\n', out);
}

int
openat(int dir, const char *name, int flags, ...)
{
	char path[PATH_BYTES];
	mode_t mode = 0;
	va_list ap;
	bool ours, made;
	int fd;

	va_start(ap, flags);
	if (flags & O_CREAT)
		mode = va_arg(ap, mode_t);
	va_end(ap);
	ours = (flags & O_CREAT) && path_at(dir, name, path);
	if (!ours)
		return REAL(openat)(dir, name, flags, mode);
	made = faccessat(dir, name, F_OK, AT_SYMLINK_NOFOLLOW) != 0;
	before();
	fd = REAL(openat)(dir, name, flags, mode);
	after(fd >= 0 && made, "create %s\n", path);
	return fd;
}

ssize_t
write(int fd, const void *p, size_t n)
{
	char path[PATH_BYTES];
	ssize_t r;

	if (!path_of(fd, path))
		return REAL(write)(fd, p, n);
	before();
	r = REAL(write)(fd, p, n);
	if (r > 0) {
		(void)fprintf(out, "write %s ", path);
		add_hex(p, (size_t)r);
	}
	after(false, " ");
	return r;
}

int
fsetxattr(int fd, const char *name, const void *value, size_t n, int flags)
{
	char path[PATH_BYTES];
	int r;

	if (!path_of(fd, path))
		return REAL(fsetxattr)(fd, name, value, n, flags);
	before();
	r = REAL(fsetxattr)(fd, name, value, n, flags);
	if (r == 0) {
		(void)fprintf(out, "xattr %s %s ", path, name);
		add_hex(value, n);
	}
	after(false, " ");
	return r;
}

int
fsync(int fd)
{
	char path[PATH_BYTES];
	int r;

	if (!path_of(fd, path))
		return REAL(fsync)(fd);
	before();
	r = REAL(fsync)(fd);
	after(r == 0, "sync %s\n", path);
	return r;
}

int
linkat(int from_dir, const char *from, int to_dir, const char *to, int flags)
{
	char a[PATH_BYTES], b[PATH_BYTES];
	int r;

	if (!path_at(from_dir, from, a) || !path_at(to_dir, to, b))
		return REAL(linkat)(from_dir, from, to_dir, to, flags);
	before();
	r = REAL(linkat)(from_dir, from, to_dir, to, flags);
	after(r == 0, "link %s %s\n", a, b);
	return r;
}

int
renameat(int from_dir, const char *from, int to_dir, const char *to)
{
	char a[PATH_BYTES], b[PATH_BYTES];
	int r;

	if (!path_at(from_dir, from, a) || !path_at(to_dir, to, b))
		return REAL(renameat)(from_dir, from, to_dir, to);
	before();
	r = REAL(renameat)(from_dir, from, to_dir, to);
	after(r == 0, "rename %s %s\n", a, b);
	return r;
}

int
unlinkat(int dir, const char *name, int flags)
{
	char path[PATH_BYTES];
	int r;

	if (!path_at(dir, name, path))
		return REAL(unlinkat)(dir, name, flags);
	before();
	r = REAL(unlinkat)(dir, name, flags);
	after(r == 0, "unlink %s\n", path);
	return r;
}

int
mkdirat(int dir, const char *name, mode_t mode)
{
	char path[PATH_BYTES];
	int r;

	if (!path_at(dir, name, path))
		return REAL(mkdirat)(dir, name, mode);
	before();
	r = REAL(mkdirat)(dir, name, mode);
	after(r == 0, "mkdir %s\n", path);
	return r;
}
