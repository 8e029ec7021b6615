/*
 * Stores: the common suite over folder and memory, then what only a folder has to stand: other
 * processes, crashes, links, full and read-only disks.
 */
#include "store/store.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/below.h"
#include "base/cleanup.h"
#include "tests/support/store_suite.h"

#define PATHS 512

static char top[64]; /* everything is below it */
static char root[80];

static int
remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	(void)st;
	(void)flag;
	(void)ftw;
	return remove(path);
}

static void
remove_tree(const char *path)
{
	(void)nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static struct store *
open_root(void *arg)
{
	struct store *s;
	struct err err;

	(void)arg;
	if (store_file_new(root, &s, &err) < 0) {
		print_error("%s\n", err.msg);
		return NULL;
	}
	return s;
}

static struct store *
open_mem(void *arg)
{
	struct store *s;

	(void)arg;
	return store_mem_new(&s, NULL) < 0 ? NULL : s;
}

static void
fresh_root(struct store_kind *kind)
{
	(void)kind;
	remove_tree(root);
}

static const char *
at(const char *path)
{
	static char text[4][PATHS];
	static unsigned n;
	char *out = text[n++ % 4];

	(void)snprintf(out, PATHS, "%s/%s", root, path);
	return out;
}

static void
write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	(void)close(fd);
}

static bool
exists(const char *path)
{
	struct stat st;

	return lstat(path, &st) == 0;
}

static int
count_entries(const char *dir)
{
	int n = 0;
	DIR *d;

	d = opendir(dir);
	assert_non_null(d);
	while (readdir(d))
		n++;
	(void)closedir(d);
	return n - 2;
}

static int
setup(void **state)
{
	remove_tree(root);
	*state = open_root(NULL);
	return *state ? 0 : -1;
}

static int
teardown(void **state)
{
	below_use_openat2(true);
	store_free(*state);
	return 0;
}

static void
put(struct store *s, const char *key, const char *text, enum store_cond cond)
{
	struct err err;

	if (suite_put(s, key, text, cond, NULL, NULL, &err) < 0)
		fail_msg("%s: %s", key, err.msg);
}

#define expect_err(call, k)                                                                        \
	do {                                                                                       \
		assert_int_equal((call), -1);                                                      \
		assert_int_equal(err.kind, (k));                                                   \
	} while (0)

/* Runs fn in a child; its return value is the exit status. */
static pid_t
spawn(int (*fn)(int id), int id)
{
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0)
		_exit(fn(id));
	return pid;
}

static int
reap(pid_t pid)
{
	int status = 0;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

/* Opening */

static void
test_urls(void **state)
{
	struct store *s = NULL;
	char url[PATHS];
	struct err err;

	(void)state;
	(void)snprintf(url, sizeof(url), "file://%s/a%%20b/c/", root);
	assert_int_equal(store_open(url, NULL, &s, &err), 0);
	assert_string_equal(s->ops->name, "file");
	put(s, "k", "v", STORE_CREATE);
	store_free(s);
	assert_true(exists(at("a b/c/k")));
	expect_err(store_open("s3://bucket/prefix", NULL, &s, &err), ERR_AUTH);
	assert_non_null(strstr(err.msg, "s3"));
	expect_err(store_open("http://x/", NULL, &s, &err), ERR_USAGE);
	expect_err(store_open("/plain/path", NULL, &s, &err), ERR_USAGE);
	expect_err(store_open("file://host/x", NULL, &s, &err), ERR_USAGE);
	expect_err(store_open("file:///x?y", NULL, &s, &err), ERR_USAGE);
	expect_err(store_open("file:///x%zz", NULL, &s, &err), ERR_USAGE);
	expect_err(store_open("file:///x%00", NULL, &s, &err), ERR_USAGE);
	expect_err(store_open("", NULL, &s, &err), ERR_USAGE);
}

static void
test_modes(void **state)
{
	struct stat st;

	put(*state, "a/b", "x", STORE_CREATE);
	assert_int_equal(stat(root, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	assert_int_equal(stat(at("a"), &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	assert_int_equal(stat(at("a/b"), &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(st.st_nlink, 1);
}

static void
test_root_refused(void **state)
{
	char link[96], slash[100];
	struct store *s;
	struct err err;

	(void)state;
	(void)snprintf(link, sizeof(link), "%s/link", top);
	(void)snprintf(slash, sizeof(slash), "%s//", link);
	assert_int_equal(symlink(root, link), 0);
	expect_err(store_file_new(link, &s, &err), ERR_LOCAL);
	assert_non_null(strstr(err.msg, "symbolic link"));
	expect_err(store_file_new(slash, &s, &err), ERR_LOCAL);
	assert_int_equal(unlink(link), 0);
	assert_int_equal(chmod(root, 0777), 0);
	expect_err(store_file_new(root, &s, &err), ERR_LOCAL);
	assert_non_null(strstr(err.msg, "0777"));
	assert_int_equal(chmod(root, 01777), 0);
	expect_err(store_file_new(root, &s, &err), ERR_LOCAL);
	assert_int_equal(chmod(root, 0700), 0);
	write_file(at("file"), "x");
	expect_err(store_file_new(at("file"), &s, &err), ERR_LOCAL);
	expect_err(store_file_new(at("file/below"), &s, &err), ERR_LOCAL);
	assert_non_null(strstr(err.msg, "make it for the user that runs muster"));
	expect_err(store_file_new("", &s, &err), ERR_USAGE);
}

/* Exits 0 if a folder that cannot be written is refused, as somebody whom modes concern. */
static int
open_read_only(int id)
{
	struct store *s;
	struct err err;

	(void)id;
	if (geteuid() == 0 && (setgid(65534) < 0 || setuid(65534) < 0))
		return 77;
	if (access(root, R_OK | X_OK) < 0)
		return 77; /* somebody else cannot even come here: a closed folder above */
	if (store_file_new(root, &s, &err) == 0)
		return 1;
	return err.kind == ERR_LOCAL && strstr(err.msg, "written") ? 0 : 2;
}

static void
test_read_only_folder(void **state)
{
	int status;

	(void)state;
	assert_int_equal(chmod(top, 0755), 0);
	assert_int_equal(chmod(root, 0555), 0);
	status = reap(spawn(open_read_only, 0));
	assert_int_equal(chmod(root, 0700), 0);
	if (status == 77)
		skip();
	assert_int_equal(status, 0);
}

/* Other processes */

static int
race_create(int id)
{
	struct store *s = open_root(NULL);
	struct err err;
	char key[32], text[4000];
	int won = 0;

	memset(text, 'a' + id, sizeof(text));
	text[sizeof(text) - 1] = '\0';
	for (int i = 0; s && i < 30; i++) {
		(void)snprintf(key, sizeof(key), "d%d/race", i);
		if (suite_put(s, key, text, STORE_CREATE, NULL, NULL, &err) == 0)
			won++;
		else if (err.kind != ERR_CONFLICT)
			return 200;
	}
	store_free(s);
	return won;
}

static void
test_processes_create(void **state)
{
	struct buf out = BUF_INIT(5000);
	pid_t pid[4];
	char key[32];
	int won = 0;

	for (int i = 0; i < 4; i++)
		pid[i] = spawn(race_create, i);
	for (int i = 0; i < 4; i++)
		won += reap(pid[i]);
	assert_int_equal(won, 30);
	for (int i = 0; i < 30; i++) {
		(void)snprintf(key, sizeof(key), "d%d/race", i);
		assert_int_equal(store_get(*state, key, NULL, &out, NULL, NULL), 0);
		assert_int_equal(out.n, 3999);
		for (size_t k = 0; k < out.n; k++)
			assert_true(out.p[k] == out.p[0]);
	}
	assert_int_equal(count_entries(at(".tmp")), 0);
	buf_done(&out);
}

static int
count_up(struct store *s, struct buf *out, struct err *err)
{
	struct store_info info;
	char text[32];

	if (store_get(s, "count", NULL, out, &info, err) < 0)
		return -1;
	(void)snprintf(text, sizeof(text), "%ld", strtol(buf_cstr(out), NULL, 10) + 1);
	return suite_put(s, "count", text, STORE_MATCH, info.etag, NULL, err);
}

static int
race_match(int id)
{
	struct store *s = open_root(NULL);
	struct buf out = BUF_INIT(100);
	struct err err;
	int won = 0;

	(void)id;
	while (s && won < 25) {
		if (count_up(s, &out, &err) == 0)
			won++;
		else if (err.kind != ERR_CONFLICT)
			return 200;
	}
	buf_done(&out);
	store_free(s);
	return won;
}

static void
test_processes_match(void **state)
{
	pid_t pid[4];

	put(*state, "count", "0", STORE_CREATE);
	for (int i = 0; i < 4; i++)
		pid[i] = spawn(race_match, i);
	for (int i = 0; i < 4; i++)
		assert_int_equal(reap(pid[i]), 25);
	suite_expect(*state, "count", "100");
}

/* Two who read the same generation: one wins, at every try. */
static char shared_etag[STORE_ETAG_MAX];

static int
match_once(int id)
{
	struct store *s = open_root(NULL);
	struct err err;
	char text[32];
	int rc;

	(void)snprintf(text, sizeof(text), "by %d", id);
	rc = s ? suite_put(s, "pair", text, STORE_MATCH, shared_etag, NULL, &err) : -1;
	store_free(s);
	return rc == 0 ? 1 : err.kind == ERR_CONFLICT ? 0 : 200;
}

static void
test_processes_pair(void **state)
{
	char text[32];

	for (int round = 0; round < 20; round++) {
		struct store_put any = {.cond = STORE_ANY};
		pid_t a, b;
		int a_won, b_won;

		assert_int_equal(store_put(*state, "pair", SV("0"), &any, shared_etag, NULL), 0);
		a = spawn(match_once, 1);
		b = spawn(match_once, 2);
		a_won = reap(a);
		b_won = reap(b);
		assert_int_equal(a_won + b_won, 1);
		(void)snprintf(text, sizeof(text), "by %d", a_won ? 1 : 2);
		suite_expect(*state, "pair", text);
	}
}

static int go[2];

static int
hold_lock(int id)
{
	struct store *s = open_root(NULL);
	struct store_lock *l;

	(void)id;
	if (!s || s->ops->lock(s, "acme/ecs.json", &l, NULL) < 0 || write(go[1], "x", 1) != 1)
		return 1;
	for (;;)
		(void)pause();
}

/* A lock ends with its process, however that ends. */
static void
test_lock_ends(void **state)
{
	struct store *s = *state;
	struct store_lock *l;
	struct err err;
	pid_t pid;
	char c;

	assert_int_equal(pipe(go), 0);
	pid = spawn(hold_lock, 0);
	assert_int_equal(read(go[0], &c, 1), 1);
	expect_err(s->ops->lock(s, "acme/ecs.json", &l, &err), ERR_CONFLICT);
	put(s, "acme/ecs.json", "written meanwhile", STORE_ANY);
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(reap(pid), 1000 + SIGKILL);
	assert_int_equal(s->ops->lock(s, "acme/ecs.json", &l, &err), 0);
	s->ops->unlock(s, l);
	(void)close(go[0]);
	(void)close(go[1]);
}

/* Holds all locks of writing for a moment. */
static int
hold_writing(int id)
{
	struct timespec t = {.tv_nsec = 200000000};
	char name[32];

	for (int i = 0; i < 4096 && id == 0; i++) {
		int fd;

		(void)snprintf(name, sizeof(name), ".locks/write-%03x", (unsigned)i);
		fd = open(at(name), O_RDWR | O_CREAT, 0600);
		if (fd < 0)
			break; /* of descriptors there may be fewer; the key's is among the first */
		(void)flock(fd, LOCK_EX | LOCK_NB);
	}
	if (write(go[1], "x", 1) != 1)
		return 1;
	(void)nanosleep(&t, NULL);
	return 0;
}

/* A put waits for one who is just replacing the same object, and does not call that a conflict. */
static void
test_put_waits(void **state)
{
	struct rlimit lim;
	pid_t pid;
	char c;

	assert_int_equal(getrlimit(RLIMIT_NOFILE, &lim), 0);
	lim.rlim_cur = lim.rlim_max;
	(void)setrlimit(RLIMIT_NOFILE, &lim);
	assert_int_equal(pipe(go), 0);
	pid = spawn(hold_writing, 0);
	assert_int_equal(read(go[0], &c, 1), 1);
	put(*state, "k", "v", STORE_ANY);
	assert_int_equal(reap(pid), 0);
	suite_expect(*state, "k", "v");
	(void)close(go[0]);
	(void)close(go[1]);
}

/* Crashes */

static int
end_at_once(int id)
{
	return id;
}

static void
test_leftovers(void **state)
{
	char dead[64], own[64], live[64], foreign[64];
	struct store *again;
	pid_t pid;
	int fd;

	put(*state, "a/b", "whole", STORE_CREATE);
	/* Killed between link and unlink: two names of one file. */
	pid = spawn(end_at_once, 0);
	(void)reap(pid);
	(void)snprintf(dead, sizeof(dead), ".tmp/.b.%d.0.tmp", (int)pid);
	assert_int_equal(link(at("a/b"), at(dead)), 0);
	/* Killed while writing, by one who had our id. */
	(void)snprintf(own, sizeof(own), ".tmp/.c.%d.987654321.tmp", (int)getpid());
	write_file(at(own), "tor");
	/* Still being written, by somebody whose id says nothing here. */
	write_file(at(".tmp/.d.4000000.1.tmp"), "half");
	fd = open(at(".tmp/.d.4000000.1.tmp"), O_RDONLY | O_CLOEXEC);
	assert_int_equal(flock(fd, LOCK_EX | LOCK_NB), 0);
	(void)snprintf(live, sizeof(live), ".tmp/.e.%d.0.tmp", (int)getppid());
	write_file(at(live), "half");
	/* None of ours. */
	(void)snprintf(foreign, sizeof(foreign), ".tmp/notes");
	write_file(at(foreign), "x");

	again = open_root(NULL);
	assert_non_null(again);
	assert_false(exists(at(dead)));
	assert_false(exists(at(own)));
	assert_true(exists(at(".tmp/.d.4000000.1.tmp")));
	assert_true(exists(at(live)));
	assert_true(exists(at(foreign)));
	suite_expect(again, "a/b", "whole");
	store_free(again);
	(void)close(fd);
	again = open_root(NULL);
	assert_false(exists(at(".tmp/.d.4000000.1.tmp")));
	store_free(again);
}

/* Writes objects without end; the content says which key it is. */
static int
write_on(int id)
{
	struct store *s = open_root(NULL);
	char key[64], text[8192];

	if (!s)
		return 1;
	for (int i = 0;; i++) {
		(void)snprintf(key, sizeof(key), "t%d/dt=%d/o%d", id, i / 10, i);
		memset(text, '.', sizeof(text));
		(void)snprintf(text + 8000, 100, "%s", key);
		(void)suite_put(s, key, text, STORE_CREATE, NULL, NULL, NULL);
		(void)snprintf(key, sizeof(key), "t%d/moved", id);
		(void)snprintf(text + 8000, 100, "%s", key);
		(void)suite_put(s, key, text, STORE_ANY, NULL, NULL, NULL);
	}
}

static int
check_whole(const char *key, void *arg)
{
	struct buf out = BUF_INIT(10000);
	struct err err;

	if (store_get(arg, key, NULL, &out, NULL, &err) < 0)
		fail_msg("%s: %s", key, err.msg);
	assert_true(out.n > 8000);
	assert_string_equal(out.p + 8000, key);
	buf_done(&out);
	return 0;
}

/* Killed at any moment, what can be seen is whole, and the next one to open cleans up. */
static void
test_kill(void **state)
{
	struct store *s;
	struct err err;

	for (int i = 0; i < 40; i++) {
		struct timespec t = {.tv_nsec = 1000000 + 330000 * i};
		pid_t pid = spawn(write_on, i);

		(void)nanosleep(&t, NULL);
		assert_int_equal(kill(pid, SIGKILL), 0);
		(void)reap(pid);
		assert_int_equal(
		    (*(struct store **)state)->ops->list(*state, "", check_whole, *state, &err), 0);
	}
	s = open_root(NULL);
	assert_int_equal(count_entries(at(".tmp")), 0);
	store_free(s);
}

/* Links and other things that are no objects */

static void
attack(struct store *s)
{
	struct buf out = BUF_INIT(1000);
	char outside[96];
	struct err err;

	(void)snprintf(outside, sizeof(outside), "%s/outside", top);
	remove_tree(outside);
	assert_int_equal(mkdir(outside, 0700), 0);
	(void)snprintf(outside, sizeof(outside), "%s/outside/secret", top);
	write_file(outside, "secret");
	assert_int_equal(symlink("../outside", at("dir")), 0);
	assert_int_equal(symlink("../outside/secret", at("obj")), 0);
	put(s, "real/x", "x", STORE_CREATE);
	assert_int_equal(symlink("real", at("inner")), 0);
	assert_int_equal(symlink("../../outside", at("real/dir")), 0);

	/* A link in any part, even one that stays inside. */
	expect_err(store_get(s, "dir/secret", NULL, &out, NULL, &err), ERR_LOCAL);
	assert_non_null(strstr(err.msg, "symbolic link"));
	expect_err(store_get(s, "real/dir/secret", NULL, &out, NULL, &err), ERR_LOCAL);
	expect_err(store_get(s, "inner/x", NULL, &out, NULL, &err), ERR_LOCAL);
	expect_err(store_get(s, "obj", NULL, &out, NULL, &err), ERR_LOCAL);
	expect_err(suite_put(s, "dir/new", "x", STORE_CREATE, NULL, NULL, &err), ERR_LOCAL);
	expect_err(suite_put(s, "dir/deep/new", "x", STORE_CREATE, NULL, NULL, &err), ERR_LOCAL);
	expect_err(suite_put(s, "real/dir/secret", "x", STORE_ANY, NULL, NULL, &err), ERR_LOCAL);
	expect_err(suite_put(s, "obj", "x", STORE_CREATE, NULL, NULL, &err), ERR_CONFLICT);
	expect_err(suite_put(s, "obj", "x", STORE_MATCH, "e", NULL, &err), ERR_LOCAL);
	expect_err(s->ops->del(s, "dir/secret", &err), ERR_LOCAL);
	suite_list(s, "", &out);
	assert_string_equal(buf_cstr(&out), "real/x\n");
	expect_err(s->ops->list(s, "dir/", NULL, NULL, &err), ERR_LOCAL);
	/* Replacing puts a file in the link's place, not behind it. */
	put(s, "obj", "mine", STORE_ANY);
	suite_expect(s, "obj", "mine");
	buf_reset(&out);
	assert_int_equal(count_entries(at("../outside")), 1);
	write_file(at("check"), "");
	suite_expect(s, "obj", "mine");
	buf_done(&out);
}

static void
test_links(void **state)
{
	attack(*state);
}

static void
test_links_old_kernel(void **state)
{
	below_use_openat2(false);
	attack(*state);
}

static void
test_not_objects(void **state)
{
	struct store *s = *state;
	struct buf out = BUF_INIT(1000);
	struct err err;

	put(s, "a/x", "x", STORE_CREATE);
	assert_int_equal(mkfifo(at("fifo"), 0600), 0);
	assert_int_equal(mkfifo(at("a/fifo"), 0600), 0);
	write_file(at(".hidden"), "");
	write_file(at("a/.x.1.2.tmp"), "");
	write_file(at("a/not a key"), "");
	assert_int_equal(mkdir(at("a/.git"), 0700), 0);
	write_file(at("a/.git/config"), "");
	assert_int_equal(mkdir(at("empty"), 0700), 0);
	expect_err(store_get(s, "fifo", NULL, &out, NULL, &err), ERR_LOCAL);
	expect_err(store_get(s, "empty", NULL, &out, NULL, &err), ERR_NOTFOUND);
	expect_err(suite_put(s, "empty", "x", STORE_ANY, NULL, NULL, &err), ERR_LOCAL);
	expect_err(suite_put(s, "a/x/y", "x", STORE_CREATE, NULL, NULL, &err), ERR_LOCAL);
	suite_list(s, "", &out);
	assert_string_equal(buf_cstr(&out), "a/x\n");
	assert_int_equal(count_entries(at(".tmp")), 0);
	buf_done(&out);
}

/* The common suite again, going part by part. */
static void
test_walk_like_kernel(void **state)
{
	struct store *s = *state;
	struct buf out = BUF_INIT(1000);
	struct err err;

	below_use_openat2(false);
	put(s, "a/b/c", "1", STORE_CREATE);
	put(s, "top", "2", STORE_CREATE);
	expect_err(suite_put(s, "a/b/c", "x", STORE_CREATE, NULL, NULL, &err), ERR_CONFLICT);
	suite_expect(s, "a/b/c", "1");
	suite_expect(s, "top", "2");
	expect_err(store_get(s, "a/none/c", NULL, &out, NULL, &err), ERR_NOTFOUND);
	expect_err(store_get(s, "top/c", NULL, &out, NULL, &err), ERR_NOTFOUND);
	suite_list(s, "", &out);
	assert_string_equal(buf_cstr(&out), "a/b/c\ntop\n");
	assert_int_equal(s->ops->del(s, "a/b/c", &err), 0);
	suite_list(s, "", &out);
	assert_string_equal(buf_cstr(&out), "top\n");
	buf_done(&out);
}

/* Full disks */

/* Puts what does not fit; exits 0 if that fails cleanly and what was there stays. */
static int
put_too_much(struct store *s)
{
	struct buf big = BUF_INIT(1 << 20), out = BUF_INIT(1 << 20);
	struct store_put opt = {.cond = STORE_CREATE};
	struct err err;

	while (big.n < 1 << 19)
		buf_str(&big, "more than there is room for; ");
	if (store_put(s, "new", buf_view(&big), &opt, NULL, &err) == 0 || err.kind != ERR_LOCAL)
		return 2;
	opt.cond = STORE_ANY;
	if (store_put(s, "old", buf_view(&big), &opt, NULL, &err) == 0 || err.kind != ERR_LOCAL)
		return 3;
	if (store_get(s, "new", NULL, &out, NULL, &err) == 0 || err.kind != ERR_NOTFOUND)
		return 4;
	if (store_get(s, "old", NULL, &out, NULL, &err) < 0 || !sv_eq(buf_view(&out), SV("kept")))
		return 5;
	buf_done(&big);
	buf_done(&out);
	store_free(s);
	return count_entries(at(".tmp")) == 0 ? 0 : 6;
}

static int
limit_file_size(int id)
{
	struct rlimit lim = {10000, 10000};
	struct store *s = open_root(NULL);

	(void)id;
	if (signal(SIGXFSZ, SIG_IGN) == SIG_ERR || setrlimit(RLIMIT_FSIZE, &lim) < 0 || !s)
		return 1;
	return put_too_much(s);
}

static int
fill_disk(int id)
{
	struct store *s;

	(void)id;
	if (unshare(CLONE_NEWNS) < 0 || mount("none", "/", "none", MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("none", root, "tmpfs", 0, "size=128k,mode=0700") < 0)
		return 77;
	s = open_root(NULL);
	if (!s || suite_put(s, "old", "kept", STORE_CREATE, NULL, NULL, NULL) < 0)
		return 1;
	return put_too_much(s);
}

static void
test_file_too_large(void **state)
{
	put(*state, "old", "kept", STORE_CREATE);
	assert_int_equal(reap(spawn(limit_file_size, 0)), 0);
	suite_expect(*state, "old", "kept");
}

static void
test_disk_full(void **state)
{
	int status;

	(void)state;
	status = reap(spawn(fill_disk, 0));
	if (status == 77)
		skip();
	assert_int_equal(status, 0);
}

static int
everything_fails(struct store *s)
{
	struct buf out = BUF_INIT(100);
	struct err err;

	if (store_get(s, "old", NULL, &out, NULL, &err) == 0 || err.kind != ERR_LOCAL)
		return 2;
	if (suite_put(s, "old", "x", STORE_ANY, NULL, NULL, &err) == 0 || err.kind != ERR_LOCAL)
		return 3;
	if (s->ops->list(s, "", check_whole, s, &err) == 0 || err.kind != ERR_LOCAL)
		return 4;
	return 0;
}

static int
no_descriptors(int id)
{
	struct rlimit lim = {3, 3};
	struct store *s = open_root(NULL);
	int status = 1;

	(void)id;
	if (s) /* valgrind keeps the limit for itself */
		status = setrlimit(RLIMIT_NOFILE, &lim) < 0 ? 77 : everything_fails(s);
	store_free(s);
	return status;
}

static void
test_no_descriptors(void **state)
{
	int status;

	put(*state, "old", "kept", STORE_CREATE);
	status = reap(spawn(no_descriptors, 0));
	if (status == 77)
		skip();
	assert_int_equal(status, 0);
	suite_expect(*state, "old", "kept");
}

static int
count_key(const char *key, void *arg)
{
	(void)key;
	++*(int *)arg;
	return 0;
}

/* Opened to be read, nothing is made and nothing can be. */
static void
test_look(void **state)
{
	const struct store_put opt = {.cond = STORE_ANY};
	const struct store_env look = {.read_only = true};
	CLEANUP(buf_done) struct buf got = BUF_INIT(100);
	char url[PATHS];
	struct store *s;
	struct err err;
	int n = 0;

	assert_int_equal(store_put(*state, "a/b", SV("x"), &opt, NULL, NULL), 0);
	(void)snprintf(url, sizeof(url), "file://%s/missing", root);
	assert_int_equal(store_open(url, &look, &s, &err), -1);
	assert_int_equal(err.kind, ERR_NOTFOUND);
	assert_false(exists(at("missing")));
	(void)snprintf(url, sizeof(url), "file://%s/a", root);
	assert_int_equal(store_open(url, &look, &s, &err), 0);
	assert_int_equal(store_get(s, "b", NULL, &got, NULL, &err), 0);
	assert_string_equal(buf_cstr(&got), "x");
	assert_int_equal(s->ops->list(s, "", count_key, &n, &err), 0);
	assert_int_equal(n, 1);
	assert_int_equal(store_put(s, "c", SV("x"), &opt, NULL, &err), -1);
	assert_int_equal(err.kind, ERR_USAGE);
	assert_int_equal(s->ops->del(s, "b", &err), -1);
	assert_null(s->ops->lock);
	assert_int_equal(count_entries(at("a")), 1);
	store_free(s);
}

/* Whether extended attributes work where the tests run. */
static bool
have_xattr(void)
{
	return mkdir(root, 0700) == 0 && setxattr(root, "user.muster.test", "1", 1, 0) == 0;
}

int
main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
	    T(test_urls),
	    T(test_modes),
	    T(test_root_refused),
	    T(test_read_only_folder),
	    T(test_processes_create),
	    T(test_processes_match),
	    T(test_processes_pair),
	    T(test_lock_ends),
	    T(test_put_waits),
	    T(test_leftovers),
	    T(test_kill),
	    T(test_links),
	    T(test_links_old_kernel),
	    T(test_not_objects),
	    T(test_walk_like_kernel),
	    T(test_file_too_large),
	    T(test_disk_full),
	    T(test_look),
	    T(test_no_descriptors),
	};
	struct store_kind mem = {.name = "mem", .open = open_mem, .has_meta = true};
	struct store_kind file = {.name = "file", .open = open_root, .many = true};
	int failed;

	(void)snprintf(top, sizeof(top), "/tmp/muster-store-XXXXXX");
	if (!mkdtemp(top))
		return 1;
	(void)snprintf(root, sizeof(root), "%s/root", top);
	file.has_meta = have_xattr();
	failed = store_suite_run(&mem, fresh_root) + store_suite_run(&file, fresh_root) +
		 cmocka_run_group_tests_name("folder", tests, NULL, NULL);
	remove_tree(top);
	return failed;
}
