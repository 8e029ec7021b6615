/*
 * The file store when the system says no, or when the process ends, at each single call it makes.
 *
 * The calls that change anything are replaced in this program by ones that count, note their order,
 * and at the chosen number fail with a chosen errno or end the process. Every number up to the last
 * is tried. After a failure an object is what it was or what it was to become, and after a success
 * what it was to become.
 */
#include "store/store.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/below.h"
#include "base/cleanup.h"

#define MODE_OFF  0
#define MODE_FAIL 1
#define MODE_EXIT 2

/* What the replaced calls do; `hit` says which of them was struck. */
static struct {
	int mode, calls, at, errnum;
	char hit;
	char order[200];
	size_t n;
} plan;

/* One letter a call; true if it has to fail. */
static bool
strike(char letter)
{
	if (plan.mode == MODE_OFF)
		return false;
	/* Opening changes nothing that has to be in order. */
	if (letter != 'o' && plan.n + 1 < sizeof(plan.order)) {
		plan.order[plan.n++] = letter;
		plan.order[plan.n] = '\0';
	}
	if (++plan.calls != plan.at)
		return false;
	plan.hit = letter;
	if (plan.mode == MODE_EXIT)
		_exit(99);
	errno = plan.errnum;
	return true;
}

ssize_t
write(int fd, const void *p, size_t n)
{
	return strike('w') ? -1 : syscall(SYS_write, fd, p, n);
}

int
fsync(int fd)
{
	struct stat st;
	bool folder = fstat(fd, &st) == 0 && S_ISDIR(st.st_mode);

	return strike(folder ? 'S' : 's') ? -1 : (int)syscall(SYS_fsync, fd);
}

int
linkat(int from, const char *old, int to, const char *new, int flags)
{
	return strike('l') ? -1 : (int)syscall(SYS_linkat, from, old, to, new, flags);
}

int
renameat(int from, const char *old, int to, const char *new)
{
	return strike('r') ? -1 : (int)syscall(SYS_renameat2, from, old, to, new, 0);
}

int
unlinkat(int dir, const char *name, int flags)
{
	return strike('u') ? -1 : (int)syscall(SYS_unlinkat, dir, name, flags);
}

int
mkdirat(int dir, const char *name, mode_t mode)
{
	return strike('m') ? -1 : (int)syscall(SYS_mkdirat, dir, name, mode);
}

int
flock(int fd, int how)
{
	return strike('f') ? -1 : (int)syscall(SYS_flock, fd, how);
}

int
fsetxattr(int fd, const char *name, const void *value, size_t size, int flags)
{
	return strike('x') ? -1 : (int)syscall(SYS_fsetxattr, fd, name, value, size, flags);
}

int
openat(int dir, const char *path, int flags, ...)
{
	mode_t mode = 0;
	va_list ap;

	if (flags & O_CREAT) {
		va_start(ap, flags);
		mode = va_arg(ap, mode_t);
		va_end(ap);
	}
	return strike('o') ? -1 : (int)syscall(SYS_openat, dir, path, flags, mode);
}

/* The scene */

static char root[64];

/* What a child knows is read by the parent after its end. */
enum state { NONE, ONE, TWO, THREE };
static struct {
	enum state before, after; /* of a/b, around the step at hand */
	bool finished;
	int calls;
	char hit;
} * seen;

static const char *const texts[] = {"", "the first text", "the second, longer text", "3"};

static void
remove_tree(const char *path)
{
	DIR *d = opendir(path);
	const struct dirent *e;
	char sub[600];

	while (d && (e = readdir(d))) {
		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
			continue;
		(void)snprintf(sub, sizeof(sub), "%.300s/%.255s", path, e->d_name);
		if (e->d_type == DT_DIR)
			remove_tree(sub);
		else
			(void)unlink(sub);
	}
	if (d)
		(void)closedir(d);
	(void)rmdir(path);
}

static enum state
look(struct store *s)
{
	struct buf out = BUF_INIT(1000);
	int mode = plan.mode, found = -1;
	struct err err;

	plan.mode = MODE_OFF;
	if (store_get(s, "a/b", NULL, &out, NULL, &err) < 0)
		found = err.kind == ERR_NOTFOUND ? NONE : -1;
	for (int i = ONE; i <= THREE && found < 0; i++)
		if (sv_eq(buf_view(&out), sv_of(texts[i])))
			found = i;
	buf_done(&out);
	plan.mode = mode;
	return (enum state)found;
}

/* Whether the step's answer and what is stored now agree. */
static bool
judge(struct store *s, int rc, const struct err *err)
{
	enum state now = look(s);

	if (rc == 0)
		return now == seen->after;
	if (err->kind == ERR_CONFLICT) /* only where there is one */
		return now == seen->before && seen->after == seen->before;
	return now == seen->before || now == seen->after;
}

static bool
put_step(struct store *s, enum state want, enum store_cond cond, const char *etag)
{
	const struct store_put opt = {
	    .cond = cond, .etag = etag, .meta = {{"format", "1"}}, .n_meta = 1};
	struct err err;
	int rc;

	seen->before = look(s);
	seen->after = cond == STORE_CREATE && seen->before != NONE ? seen->before : want;
	rc = store_put(s, "a/b", sv_of(texts[want]), &opt, NULL, &err);
	if (rc == 0 && cond == STORE_CREATE && seen->before != NONE)
		return false;
	return judge(s, rc, &err);
}

static bool
match_step(struct store *s, enum state want)
{
	struct buf out = BUF_INIT(1000);
	struct store_info info;
	int mode = plan.mode;
	bool found;

	plan.mode = MODE_OFF;
	found = store_get(s, "a/b", NULL, &out, &info, NULL) == 0;
	plan.mode = mode;
	buf_done(&out);
	return !found || put_step(s, want, STORE_MATCH, info.etag);
}

static bool
del_step(struct store *s)
{
	struct err err;
	int rc;

	seen->before = look(s);
	seen->after = NONE;
	rc = s->ops->del(s, "a/b", &err);
	return judge(s, rc, &err);
}

/* 0: all as promised, 1: not, 2: the store did not open. Ends by itself at the end of a child. */
static int
play(void)
{
	struct store *s = NULL;
	struct err err;
	bool good;

	if (store_file_new(root, &s, &err) < 0)
		return err.kind == ERR_LOCAL ? 2 : 1;
	good = put_step(s, ONE, STORE_CREATE, NULL) && put_step(s, TWO, STORE_CREATE, NULL) &&
	       match_step(s, THREE) && put_step(s, TWO, STORE_ANY, NULL) && del_step(s) &&
	       put_step(s, ONE, STORE_CREATE, NULL);
	store_free(s);
	return good ? 0 : 1;
}

static int
play_in_child(int mode, int at, int errnum)
{
	int status = 0;
	pid_t pid;

	remove_tree(root);
	memset(seen, 0, sizeof(*seen));
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		int rc;

		plan.mode = mode;
		plan.at = at;
		plan.errnum = errnum;
		plan.calls = 0;
		rc = play();
		seen->finished = true;
		seen->calls = plan.calls;
		seen->hit = plan.hit;
		_exit(rc);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

/* The next process finds an object whole, as it was before or after, and cleans up. */
static void
check_after(int at)
{
	struct store *s = NULL;
	const struct dirent *e;
	enum state now;
	char tmp[80];
	struct err err;
	DIR *d;

	if (store_file_new(root, &s, &err) < 0)
		fail_msg("call %d: %s", at, err.msg);
	now = look(s);
	if (now != seen->before && now != seen->after)
		fail_msg("call %d: state %d, not %d or %d", at, (int)now, (int)seen->before,
			 (int)seen->after);
	store_free(s);
	(void)snprintf(tmp, sizeof(tmp), "%s/.tmp", root);
	d = opendir(tmp);
	assert_non_null(d);
	while ((e = readdir(d)))
		if (strstr(e->d_name, ".tmp"))
			fail_msg("call %d: %s is left", at, e->d_name);
	(void)closedir(d);
}

static int
count_calls(void)
{
	assert_int_equal(play_in_child(MODE_FAIL, 0, 0), 0);
	assert_true(seen->finished);
	assert_true(seen->calls > 40);
	return seen->calls;
}

static void
test_each_call_fails(void **state)
{
	static const int errnums[] = {EIO, ENOSPC, EACCES, EMFILE};
	int calls = count_calls();

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(errnums); i++)
		for (int at = 1; at <= calls; at++) {
			int rc = play_in_child(MODE_FAIL, at, errnums[i]);

			if (rc == 1 || !seen->finished)
				fail_msg("call %d (%c) with %s", at, seen->hit,
					 strerrorname_np(errnums[i]));
			if (rc == 0)
				check_after(at);
		}
}

/* Interrupted writes and locks are gone on with: nothing is to be seen of it. */
static void
test_interrupted(void **state)
{
	int calls = count_calls();

	(void)state;
	for (int at = 1; at <= calls; at++) {
		int rc = play_in_child(MODE_FAIL, at, EINTR);

		assert_int_not_equal(rc, 1);
		if (seen->hit == 'w')
			assert_int_equal(rc, 0);
		if (rc == 0)
			check_after(at);
	}
}

static void
test_ends_at_each_call(void **state)
{
	int calls = count_calls();

	(void)state;
	for (int at = 1; at <= calls; at++) {
		assert_int_equal(play_in_child(MODE_EXIT, at, 0), 99);
		check_after(at);
	}
}

/* A file system that cannot sync folders has no need to. */
static void
test_no_folder_sync(void **state)
{
	int calls = count_calls();

	(void)state;
	for (int at = 1; at <= calls; at++) {
		int rc = play_in_child(MODE_FAIL, at, EINVAL);

		if (seen->hit == 'S')
			assert_int_equal(rc, 0);
		if (seen->hit == 's') /* contents are another matter, but play() has judged it */
			assert_int_not_equal(rc, 1);
	}
}

/* A file system without extended attributes loses the metadata only. */
static void
test_no_attributes(void **state)
{
	int calls = count_calls();

	(void)state;
	for (int at = 1; at <= calls; at++) {
		int rc = play_in_child(MODE_FAIL, at, ENOTSUP);

		if (seen->hit == 'x')
			assert_int_equal(rc, 0);
	}
}

/* The order that survives a power cut: contents, then the name, then its folder, each synced. */
static void
expect_order(struct store *s, enum state want, enum store_cond cond, const char *order)
{
	seen->before = NONE;
	plan.mode = MODE_FAIL;
	plan.at = 0;
	plan.n = 0;
	(void)put_step(s, want, cond, NULL);
	plan.mode = MODE_OFF;
	assert_string_equal(plan.order, order);
}

static void
test_order(void **state)
{
	struct store *s;
	struct err err;

	(void)state;
	remove_tree(root);
	assert_int_equal(store_file_new(root, &s, &err), 0);
	/* The folder is made, then as below; f: locked. */
	expect_order(s, ONE, STORE_CREATE, "mSfwxsluS");
	/* It exists: that this is so is synced too. */
	expect_order(s, TWO, STORE_CREATE, "fwxsluS");
	expect_order(s, THREE, STORE_ANY, "ffwxsrS");
	store_free(s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_order),	   cmocka_unit_test(test_each_call_fails),
	    cmocka_unit_test(test_interrupted),	   cmocka_unit_test(test_ends_at_each_call),
	    cmocka_unit_test(test_no_folder_sync), cmocka_unit_test(test_no_attributes),
	};
	int failed;

	seen = mmap(NULL, sizeof(*seen), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	(void)snprintf(root, sizeof(root), "/tmp/muster-fault-XXXXXX");
	if (seen == MAP_FAILED || !mkdtemp(root))
		return 1;
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	remove_tree(root);
	return failed;
}
