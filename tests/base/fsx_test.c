/*
 * Files that survive: what a write leaves behind when it works and when it fails, links, locks, and
 * the remains of dead processes.
 */
#include "base/fsx.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stddef.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/cleanup.h"

static char root[PATH_MAX];
static int root_fd = -1;

static int
make_root(void **state)
{
	const char *tmp = getenv("TMPDIR");

	(void)state;
	(void)snprintf(root, sizeof(root), "%s/fsx_test.XXXXXX", tmp ? tmp : "/tmp");
	if (!mkdtemp(root))
		return -1;
	root_fd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return root_fd < 0 ? -1 : 0;
}

static int
remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static int
remove_root(void **state)
{
	(void)state;
	(void)close(root_fd);
	return nftw(root, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
}

/* How many entries there are, temporary ones too. */
static size_t
count_entries(const char *dir)
{
	int fd = openat(root_fd, dir, O_RDONLY | O_DIRECTORY);
	DIR *d = fdopendir(fd);
	size_t n = 0;

	assert_non_null(d);
	while (readdir(d))
		n++;
	assert_int_equal(closedir(d), 0);
	return n - 2;
}

static void
check_content(const char *path, const char *expected)
{
	CLEANUP(buf_done) struct buf b = BUF_INIT(1000);
	struct err err;

	assert_int_equal(fsx_read(root_fd, path, &b, &err), 0);
	assert_string_equal(buf_cstr(&b), expected);
}

static bool
exists(const char *path)
{
	return faccessat(root_fd, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

static void
touch(const char *path)
{
	int fd = openat(root_fd, path, O_CREAT | O_WRONLY | O_EXCL, 0600);

	assert_true(fd >= 0);
	assert_int_equal(close(fd), 0);
}

static void
test_replace(void **state)
{
	struct err err;
	struct stat st;

	(void)state;
	assert_int_equal(fsx_replace(root_fd, "a", SV("one"), &err), 0);
	check_content("a", "one");
	assert_int_equal(fsx_replace(root_fd, "a", SV("two"), &err), 0);
	check_content("a", "two");
	assert_int_equal(fsx_replace(root_fd, "a", SV(""), &err), 0);
	check_content("a", "");
	assert_int_equal(fstatat(root_fd, "a", &st, 0), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(count_entries("."), 1);
}

static void
test_replace_failures(void **state)
{
	struct err err;
	char name[300];

	(void)state;
	assert_int_equal(mkdirat(root_fd, "dir", 0700), 0);
	assert_int_equal(fsx_replace(root_fd, "dir", SV("x"), &err), -1);
	assert_int_equal(err.kind, ERR_LOCAL);
	assert_string_equal(err.msg, "replace dir: Is a directory");
	assert_int_equal(fsx_replace(root_fd, "no/a", SV("x"), &err), -1);
	assert_int_equal(err.kind, ERR_NOTFOUND);
	assert_string_equal(err.msg, "open the folder of no/a: No such file or directory");
	assert_int_equal(fsx_replace(root_fd, "", SV("x"), &err), -1);
	assert_string_equal(err.msg, "not a file name: \"\"");
	assert_int_equal(fsx_replace(root_fd, "dir/", SV("x"), &err), -1);
	assert_int_equal(fsx_replace(root_fd, "dir/..", SV("x"), &err), -1);
	assert_int_equal(fsx_replace(root_fd, ".", SV("x"), NULL), -1);
	memset(name, 'n', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	assert_int_equal(fsx_replace(root_fd, name, SV("x"), &err), -1);
	assert_int_equal(count_entries("."), 1);
	assert_int_equal(count_entries("dir"), 0);
}

/* No room for the new file: the old one stays, and nothing is left beside it. */
static void
test_write_error(void **state)
{
	const struct rlimit small = {4, RLIM_INFINITY};
	void (*old_handler)(int);
	struct rlimit old;
	struct err err;
	int replaced, created;

	(void)state;
	assert_int_equal(fsx_replace(root_fd, "a", SV("old"), &err), 0);
	old_handler = signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	replaced = fsx_replace(root_fd, "a", SV("much longer"), &err);
	created = fsx_create(root_fd, "b", SV("much longer"), NULL);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
	(void)signal(SIGXFSZ, old_handler);
	assert_int_equal(replaced, -1);
	assert_string_equal(err.msg, "write a: File too large");
	assert_int_equal(created, -1);
	check_content("a", "old");
	assert_int_equal(count_entries("."), 1);
}

static void
test_create(void **state)
{
	struct err err;

	(void)state;
	assert_int_equal(fsx_create(root_fd, "a", SV("one"), &err), 0);
	assert_int_equal(fsx_create(root_fd, "a", SV("two"), &err), -1);
	assert_int_equal(err.kind, ERR_CONFLICT);
	assert_string_equal(err.msg, "create a: it exists already");
	check_content("a", "one");
	assert_int_equal(symlinkat("nowhere", root_fd, "link"), 0);
	assert_int_equal(fsx_create(root_fd, "link", SV("x"), &err), -1);
	assert_int_equal(err.kind, ERR_CONFLICT);
	assert_int_equal(fsx_create(root_fd, "no/a", SV("x"), &err), -1);
	assert_int_equal(err.kind, ERR_NOTFOUND);
	assert_int_equal(count_entries("."), 2);
}

/* The temporary file in a folder of its own, attributes where the file system has them. */
static void
test_write_with_attributes(void **state)
{
	const struct fsx_attr attrs[] = {{"user.one", "1"}, {"user.two", "a longer value"}};
	struct fsx_how how = {.create = true, .attrs = attrs, .n_attrs = ARRAY_LEN(attrs)};
	char value[32], small[4];
	struct err err;
	int fd;

	(void)state;
	assert_int_equal(mkdirat(root_fd, "tmp", 0700), 0);
	how.tmp_dirfd = openat(root_fd, "tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(how.tmp_dirfd >= 0);
	assert_int_equal(fsx_write(root_fd, "a", SV("one"), &how, &err), 0);
	assert_int_equal(fsx_write(root_fd, "a", SV("two"), &how, &err), -1);
	assert_int_equal(err.kind, ERR_CONFLICT);
	check_content("a", "one");
	how.create = false;
	assert_int_equal(fsx_write(root_fd, "a", SV("two"), &how, &err), 0);
	check_content("a", "two");
	assert_int_equal(count_entries("tmp"), 0);
	assert_int_equal(count_entries("."), 2);
	assert_int_equal(close(how.tmp_dirfd), 0);

	fd = openat(root_fd, "a", O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	fsx_attr_read(fd, "user.none", value, sizeof(value));
	assert_string_equal(value, "");
	fsx_attr_read(fd, "user.two", small, sizeof(small));
	assert_string_equal(small, "");
	fsx_attr_read(fd, "user.two", value, sizeof(value));
	assert_true(value[0] == '\0' || strcmp(value, "a longer value") == 0);
	assert_int_equal(close(fd), 0);
}

#define RACERS 8

static void *
race(void *arg)
{
	int *wins = arg;

	for (int i = 0; i < 50; i++) {
		char name[16];
		struct err err;

		(void)snprintf(name, sizeof(name), "r%d", i);
		if (fsx_create(root_fd, name, SV("x"), &err) == 0)
			(*wins)++;
		else
			assert_int_equal(err.kind, ERR_CONFLICT);
	}
	return NULL;
}

/* Of all that create the same file, one wins. */
static void
test_create_race(void **state)
{
	pthread_t t[RACERS];
	int wins[RACERS] = {0}, sum = 0;

	(void)state;
	for (size_t i = 0; i < RACERS; i++)
		assert_int_equal(pthread_create(&t[i], NULL, race, &wins[i]), 0);
	for (size_t i = 0; i < RACERS; i++) {
		assert_int_equal(pthread_join(t[i], NULL), 0);
		sum += wins[i];
	}
	assert_int_equal(sum, 50);
	assert_int_equal(count_entries("."), 50);
}

static void
test_nested_and_absolute(void **state)
{
	CLEANUP(buf_done) struct buf b = BUF_INIT(100);
	char path[PATH_MAX + 16];
	struct err err;

	(void)state;
	assert_int_equal(fsx_mkdirs(root_fd, "x/y", &err), 0);
	assert_int_equal(fsx_replace(root_fd, "x/y/a", SV("deep"), &err), 0);
	check_content("x/y/a", "deep");
	(void)snprintf(path, sizeof(path), "%s/x/y/b", root);
	assert_int_equal(fsx_create(AT_FDCWD, path, SV("abs"), &err), 0);
	check_content("x/y/b", "abs");
	assert_int_equal(fsx_read(AT_FDCWD, path, &b, &err), 0);
	assert_string_equal(buf_cstr(&b), "abs");
}

static void
test_read(void **state)
{
	CLEANUP(buf_done) struct buf b = BUF_INIT(8);
	struct err err;

	(void)state;
	assert_int_equal(fsx_read(root_fd, "none", &b, &err), -1);
	assert_int_equal(err.kind, ERR_NOTFOUND);
	assert_string_equal(err.msg, "open none: No such file or directory");
	assert_int_equal(fsx_replace(root_fd, "eight", SV("12345678"), &err), 0);
	assert_int_equal(fsx_replace(root_fd, "nine", SV("123456789"), &err), 0);
	buf_str(&b, "before");
	assert_int_equal(fsx_read(root_fd, "eight", &b, &err), 0);
	assert_string_equal(buf_cstr(&b), "12345678");
	assert_int_equal(fsx_read(root_fd, "nine", &b, &err), -1);
	assert_int_equal(err.kind, ERR_LOCAL);
	assert_non_null(strstr(err.msg, "nine: larger than 8 bytes"));
	assert_int_equal(fsx_read(root_fd, "eight", &b, &err), 0);
	assert_int_equal(fsx_read(root_fd, ".", &b, &err), -1);
	assert_string_equal(err.msg, ".: not a regular file");
	assert_int_equal(mkfifoat(root_fd, "fifo", 0600), 0);
	assert_int_equal(fsx_read(root_fd, "fifo", &b, &err), -1);
	assert_string_equal(err.msg, "fifo: not a regular file");
}

static void
test_large(void **state)
{
	const size_t n = (size_t)3 << 20;
	CLEANUP(buf_done) struct buf b = BUF_INIT(n);
	CLEANUP(freep) char *data = malloc(n);

	(void)state;
	assert_non_null(data);
	for (size_t i = 0; i < n; i++)
		data[i] = (char)(i * 2654435761u >> 24);
	assert_int_equal(fsx_replace(root_fd, "large", (struct sv){data, n}, NULL), 0);
	assert_int_equal(fsx_read(root_fd, "large", &b, NULL), 0);
	assert_true(sv_eq(buf_view(&b), (struct sv){data, n}));
}

static void
test_symlinks(void **state)
{
	CLEANUP(buf_done) struct buf b = BUF_INIT(100);
	struct err err;
	int fd = -1;

	(void)state;
	assert_int_equal(fsx_replace(root_fd, "target", SV("data"), &err), 0);
	assert_int_equal(symlinkat("target", root_fd, "link"), 0);
	assert_int_equal(fsx_read(root_fd, "link", &b, &err), -1);
	assert_int_equal(err.kind, ERR_LOCAL);
	assert_string_equal(err.msg, "open link: symbolic links are not followed");
	assert_int_equal(fsx_lock(root_fd, "link", &fd, &err), -1);
	assert_string_equal(err.msg, "open link: symbolic links are not followed");
	/* The link itself is replaced, and what it points to stays. */
	assert_int_equal(fsx_replace(root_fd, "link", SV("new"), &err), 0);
	check_content("target", "data");
	check_content("link", "new");
}

static void
test_mkdirs(void **state)
{
	struct err err;
	struct stat st;

	(void)state;
	assert_int_equal(fsx_mkdirs(root_fd, "a/b/c", &err), 0);
	assert_int_equal(fsx_mkdirs(root_fd, "a/b/c", &err), 0);
	assert_int_equal(fsx_mkdirs(root_fd, "a//d///", &err), 0);
	assert_int_equal(fsx_mkdirs(root_fd, "a", &err), 0);
	assert_int_equal(fsx_mkdirs(root_fd, ".", &err), 0);
	assert_int_equal(fsx_mkdirs(root_fd, "/", &err), 0);
	assert_int_equal(fstatat(root_fd, "a/b/c", &st, 0), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	assert_true(exists("a/d"));
	touch("a/file");
	assert_int_equal(fsx_mkdirs(root_fd, "a/file/x", &err), -1);
	assert_string_equal(err.msg, "mkdir a/file: File exists");
	assert_int_equal(fsx_mkdirs(root_fd, "a/file", &err), -1);
	assert_int_equal(fsx_mkdirs(root_fd, "", &err), -1);
	assert_int_equal(fsx_mkdirs(root_fd, "", NULL), -1);
}

static void
test_unlink(void **state)
{
	struct err err;

	(void)state;
	touch("a");
	assert_int_equal(fsx_unlink(root_fd, "a", &err), 0);
	assert_false(exists("a"));
	assert_int_equal(fsx_unlink(root_fd, "a", &err), 0);
	assert_int_equal(fsx_unlink(root_fd, "no/such/folder", &err), 0);
	assert_int_equal(fsx_unlink(root_fd, "no/such/folder", NULL), 0);
	assert_int_equal(mkdirat(root_fd, "dir", 0700), 0);
	assert_int_equal(fsx_unlink(root_fd, "dir", &err), -1);
	assert_string_equal(err.msg, "remove dir: Is a directory");
	touch("file");
	assert_int_equal(fsx_unlink(root_fd, "file/x", &err), -1);
	assert_int_equal(fsx_unlink(root_fd, "file/x", NULL), -1);
}

/* In another process: the kind of error of taking the lock. */
static int
lock_elsewhere(const char *path)
{
	int status = 0;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		struct err err = {0};
		int fd = -1;

		(void)fsx_lock(root_fd, path, &fd, &err);
		_exit((int)err.kind);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void
test_lock(void **state)
{
	int fd = -1, second = -1;
	struct err err;

	(void)state;
	assert_int_equal(fsx_lock(root_fd, "lock", &fd, &err), 0);
	assert_int_equal(lock_elsewhere("lock"), ERR_CONFLICT);
	assert_int_equal(fsx_lock(root_fd, "lock", &second, &err), -1);
	assert_int_equal(err.kind, ERR_CONFLICT);
	assert_string_equal(err.msg, "lock lock: another process holds it");
	assert_int_equal(second, -1);
	assert_int_equal(close(fd), 0);
	assert_true(exists("lock"));
	assert_int_equal(lock_elsewhere("lock"), ERR_NONE);
	assert_int_equal(fsx_lock(root_fd, "lock", &fd, &err), 0);
	assert_int_equal(close(fd), 0);
	assert_int_equal(fsx_lock(root_fd, "no/lock", &fd, &err), -1);
	assert_int_equal(err.kind, ERR_NOTFOUND);
}

/* A process that dies gives its lock up. */
static void
test_lock_of_a_killed_process(void **state)
{
	int ready[2], status = 0;
	pid_t pid;
	char c;

	(void)state;
	assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		int fd = -1;

		(void)fsx_lock(root_fd, "lock", &fd, NULL);
		if (write(ready[1], "x", 1) != 1)
			_exit(1);
		for (;;)
			(void)pause();
	}
	assert_int_equal(read(ready[0], &c, 1), 1);
	assert_int_equal(lock_elsewhere("lock"), ERR_CONFLICT);
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(lock_elsewhere("lock"), ERR_NONE);
	assert_int_equal(close(ready[0]), 0);
	assert_int_equal(close(ready[1]), 0);
}

/* The id of a process that is no more. */
static pid_t
dead_pid(void)
{
	pid_t pid = fork();
	int status;

	assert_true(pid >= 0);
	if (pid == 0)
		_exit(0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return pid;
}

static void
test_sweep(void **state)
{
	char dead[64], reused[64], mine[64], deep[64];
	static const char *const kept[] = {
	    ".x.1.0.tmp",	    "plain",	 "plain.tmp", ".x.abc.0.tmp", ".x.0.0.tmp",
	    ".x.99999999999.0.tmp", ".x..0.tmp", ".1.2.tmp",  ".tmp",	      ".x.-1.0.tmp"};
	pid_t pid = dead_pid();
	struct err err;

	(void)state;
	assert_int_equal(fsx_replace(root_fd, "used", SV("x"), NULL), 0);
	assert_int_equal(mkdirat(root_fd, "sub", 0700), 0);
	(void)snprintf(dead, sizeof(dead), ".a.b.%d.17.tmp", (int)pid);
	(void)snprintf(deep, sizeof(deep), "sub/.a.%d.17.tmp", (int)pid);
	(void)snprintf(reused, sizeof(reused), ".x.%d.4000000000.tmp", (int)getpid());
	(void)snprintf(mine, sizeof(mine), ".x.%d.0.tmp", (int)getpid());
	touch(dead);
	touch(deep);
	touch(reused);
	touch(mine);
	for (size_t i = 0; i < ARRAY_LEN(kept); i++)
		touch(kept[i]);
	assert_int_equal(fsx_sweep_tmp(root_fd, ".", &err), 0);
	assert_false(exists(dead));
	assert_false(exists(reused));
	assert_true(exists(mine));
	assert_true(exists(deep));
	assert_true(exists("used"));
	for (size_t i = 0; i < ARRAY_LEN(kept); i++)
		assert_true(exists(kept[i]));
	assert_int_equal(fsx_sweep_tmp(root_fd, ".", &err), 0);
	assert_int_equal(fsx_sweep_tmp(root_fd, "none", &err), -1);
	assert_int_equal(err.kind, ERR_NOTFOUND);
}

/* The id of a writer in another container means nothing here, but its lock does. */
static void
test_sweep_spares_locked(void **state)
{
	char name[64];
	int fd;

	(void)state;
	(void)snprintf(name, sizeof(name), ".a.%d.17.tmp", (int)dead_pid());
	assert_int_equal(fsx_lock(root_fd, name, &fd, NULL), 0);
	assert_int_equal(fsx_sweep_tmp(root_fd, ".", NULL), 0);
	assert_true(exists(name));
	assert_int_equal(close(fd), 0);
	assert_int_equal(fsx_sweep_tmp(root_fd, ".", NULL), 0);
	assert_false(exists(name));
}

/* A killed writer's file carries our process id, as it happens in containers: its name is passed
 * over. */
static void
test_tmp_name_taken(void **state)
{
	char name[64];

	(void)state;
	for (int i = 0; i < 200; i++) {
		(void)snprintf(name, sizeof(name), ".a.%d.%d.tmp", (int)getpid(), i);
		touch(name);
	}
	assert_int_equal(fsx_replace(root_fd, "a", SV("x"), NULL), 0);
	check_content("a", "x");
	assert_int_equal(count_entries("."), 201);
}

static void
check_list(const char *dir, const char *expected)
{
	CLEANUP(buf_done) struct buf b = BUF_INIT(1000);
	char **names = NULL;
	size_t n = 0;
	struct err err;

	assert_int_equal(fsx_list(root_fd, dir, &names, &n, &err), 0);
	for (size_t i = 0; i < n; i++) {
		buf_fmt(&b, "%s ", names[i]);
		free(names[i]);
	}
	free(names);
	assert_string_equal(buf_cstr(&b), expected);
}

static void
test_list(void **state)
{
	char **names = NULL;
	struct err err;
	size_t n;

	(void)state;
	assert_int_equal(fsx_mkdirs(root_fd, "d/b/c", NULL), 0);
	assert_int_equal(fsx_mkdirs(root_fd, "d/empty", NULL), 0);
	check_list("d", "");
	touch("d/b/c/3");
	touch("d/b/2");
	touch("d/b-1");
	touch("d/B");
	touch("d/.hidden");
	touch("d/.x.1.0.tmp");
	assert_int_equal(symlinkat("b", root_fd, "d/link"), 0);
	assert_int_equal(symlinkat("B", root_fd, "d/link2"), 0);
	assert_int_equal(mkfifoat(root_fd, "d/fifo", 0600), 0);
	check_list("d", ".hidden B b-1 b/2 b/c/3 ");
	check_list("d/b", "2 c/3 ");
	check_list("d/empty", "");
	assert_int_equal(fsx_list(root_fd, "none", &names, &n, &err), -1);
	assert_int_equal(err.kind, ERR_NOTFOUND);
	assert_int_equal(fsx_list(root_fd, "d/link", &names, &n, &err), -1);
	assert_int_equal(fsx_list(root_fd, "d/B", &names, &n, &err), -1);
	assert_string_equal(err.msg, "open d/B: Not a directory");
}

static void
test_list_too_deep(void **state)
{
	CLEANUP(buf_done) struct buf path = BUF_INIT(1000);
	char **names = NULL;
	struct err err;
	size_t n;

	(void)state;
	for (int i = 0; i < 40; i++)
		buf_str(&path, "d/");
	assert_int_equal(fsx_mkdirs(root_fd, buf_cstr(&path), NULL), 0);
	assert_int_equal(fsx_list(root_fd, "d", &names, &n, &err), -1);
	assert_string_equal(err.msg, "d: folders nested deeper than 32");
}

/* Of a pipe that takes what was written to it in pieces, and then is closed by its reader. */
static void
test_write_fd(void **state)
{
	static char text[200000];
	char piece[1000];
	struct err err;
	size_t got = 0;
	ssize_t n;
	int fds[2], status;
	pid_t pid;

	(void)state;
	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		(void)close(fds[1]);
		while ((n = read(fds[0], piece, sizeof(piece))) > 0)
			got += (size_t)n;
		_exit(got == sizeof(text) ? 0 : 1);
	}
	(void)close(fds[0]);
	assert_int_equal(fsx_write_fd(fds[1], "it", (struct sv){text, sizeof(text)}, &err), 0);
	(void)close(fds[1]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);

	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	(void)close(fds[0]);
	assert_true(signal(SIGPIPE, SIG_IGN) != SIG_ERR);
	assert_int_equal(fsx_write_fd(fds[1], "it", sv_of("text"), &err), -1);
	assert_string_equal(err.msg, "write it: Broken pipe");
	(void)close(fds[1]);
}

#define FSX_TEST(fn) cmocka_unit_test_setup_teardown(fn, make_root, remove_root)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    FSX_TEST(test_replace),
	    FSX_TEST(test_replace_failures),
	    FSX_TEST(test_write_error),
	    FSX_TEST(test_create),
	    FSX_TEST(test_write_with_attributes),
	    FSX_TEST(test_create_race),
	    FSX_TEST(test_nested_and_absolute),
	    FSX_TEST(test_read),
	    FSX_TEST(test_large),
	    FSX_TEST(test_symlinks),
	    FSX_TEST(test_mkdirs),
	    FSX_TEST(test_unlink),
	    FSX_TEST(test_lock),
	    FSX_TEST(test_lock_of_a_killed_process),
	    FSX_TEST(test_sweep),
	    FSX_TEST(test_sweep_spares_locked),
	    FSX_TEST(test_tmp_name_taken),
	    FSX_TEST(test_list),
	    FSX_TEST(test_list_too_deep),
	    FSX_TEST(test_write_fd),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
