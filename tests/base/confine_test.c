/*
 * What a confined process can no longer do, tried by children that are confined: each child does
 * one thing and ends with the errno of it, 0 if it could.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/confine.h"
#include "base/sanitized.h"

#define UNSAID 255

static char root[64];

/* ---- a child ---- */

struct fence {
	bool files, programs;
};

static void
put_up(const struct fence *f, struct confined *got)
{
	struct confine c;
	char path[128];

	confine_memory();
	confine_begin(&c, f->files);
	confine_allow(&c, "/usr", CONFINE_READ);
	confine_allow(&c, "/lib", CONFINE_READ);
	confine_allow(&c, "/lib64", CONFINE_READ);
	confine_allow(&c, "/nowhere/at/all", CONFINE_READ);
	confine_allow(&c, NULL, CONFINE_STORE);
	confine_allow(&c, "/dev/null", CONFINE_DEVICE);
	(void)snprintf(path, sizeof(path), "%s/read", root);
	confine_allow(&c, path, CONFINE_READ);
	(void)snprintf(path, sizeof(path), "%s/scratch", root);
	confine_allow(&c, path, CONFINE_SCRATCH);
	/* Not there yet: the folder above it is. */
	(void)snprintf(path, sizeof(path), "%s/store/new//folder/", root);
	confine_allow(&c, path, CONFINE_STORE);
	confine_end(&c, f->programs, got);
}

/* What the thing ends with inside the fence. */
static int
inside(const struct fence *f, int (*thing)(void))
{
	int status = 0;
	pid_t pid = fork();

	if (pid == 0) {
		struct confined got;

		put_up(f, &got);
		_exit(thing());
	}
	assert_true(pid > 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : UNSAID;
}

static struct confined
had(void)
{
	static struct confined got;
	int pair[2];
	pid_t pid;

	assert_int_equal(pipe(pair), 0);
	pid = fork();
	if (pid == 0) {
		put_up(&(struct fence){.files = true}, &got);
		_exit(write(pair[1], &got, sizeof(got)) != sizeof(got));
	}
	assert_int_equal(read(pair[0], &got, sizeof(got)), sizeof(got));
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	(void)close(pair[0]);
	(void)close(pair[1]);
	return got;
}

static int
result(long rc)
{
	return rc < 0 ? errno : 0;
}

/* ---- files ---- */

static int
open_below(const char *name, int flags)
{
	char path[128];

	(void)snprintf(path, sizeof(path), "%s/%s", root, name);
	return open(path, flags | O_CLOEXEC, 0600);
}

static int
read_outside(void)
{
	return result(open_below("shut/file", O_RDONLY));
}
static int
write_outside(void)
{
	return result(open_below("shut/file", O_WRONLY));
}
static int
make_outside(void)
{
	return result(open_below("shut/new", O_WRONLY | O_CREAT));
}
static int
list_outside(void)
{
	return result(open_below("shut", O_RDONLY | O_DIRECTORY));
}
static int
through_a_link(void)
{
	return result(open_below("scratch/link", O_RDONLY));
}
static int
passwords(void)
{
	return result(open("/etc/passwd", O_RDONLY | O_CLOEXEC));
}
static int
read_inside(void)
{
	return result(open_below("read/file", O_RDONLY));
}
static int
write_where_read(void)
{
	return result(open_below("read/file", O_WRONLY));
}
static int
make_where_read(void)
{
	return result(open_below("read/new", O_WRONLY | O_CREAT));
}
static int
make_scratch(void)
{
	return result(open_below("scratch/new", O_RDWR | O_CREAT | O_TRUNC));
}
static int
make_nameless(void)
{
	return result(open_below("scratch", O_RDWR | O_TMPFILE));
}
static int
use_null(void)
{
	return result(open("/dev/null", O_RDWR | O_CLOEXEC));
}
static int
use_zero(void)
{
	return result(open("/dev/zero", O_RDONLY | O_CLOEXEC));
}

static int
folder_in_scratch(void)
{
	char path[128];

	(void)snprintf(path, sizeof(path), "%s/scratch/folder", root);
	return result(mkdir(path, 0700));
}

/* As the store of files does it: folders, a file under another name, and then its own. */
static int
store_a_file(void)
{
	char folder[128], other[128], from[160], to[160];

	(void)snprintf(folder, sizeof(folder), "%s/store/new", root);
	(void)snprintf(other, sizeof(other), "%s/store/.tmp", root);
	(void)snprintf(from, sizeof(from), "%s/file", other);
	(void)snprintf(to, sizeof(to), "%s/file", folder);
	if (mkdir(folder, 0700) || mkdir(other, 0700) ||
	    open(from, O_WRONLY | O_CREAT | O_CLOEXEC, 0600) < 0 || link(from, to) || unlink(from))
		return errno;
	return unlink(to) || rmdir(folder) || rmdir(other) ? errno : 0;
}

/* Out of the store: what is linked elsewhere would be another's to read. */
static int
link_outside(void)
{
	char from[128], to[128];

	(void)snprintf(from, sizeof(from), "%s/store/file", root);
	(void)snprintf(to, sizeof(to), "%s/shut/stolen", root);
	return result(link(from, to));
}

static void
test_files_outside_are_shut(void **state)
{
	const struct fence f = {.files = true};

	(void)state;
	if (had().landlock_abi == 0)
		skip();
	assert_int_equal(inside(&f, read_outside), EACCES);
	assert_int_equal(inside(&f, write_outside), EACCES);
	assert_int_equal(inside(&f, make_outside), EACCES);
	assert_int_equal(inside(&f, list_outside), EACCES);
	assert_int_equal(inside(&f, through_a_link), EACCES);
	assert_int_equal(inside(&f, passwords), EACCES);
	assert_int_equal(inside(&f, write_where_read), EACCES);
	assert_int_equal(inside(&f, make_where_read), EACCES);
	assert_int_equal(inside(&f, folder_in_scratch), EACCES);
	assert_int_equal(inside(&f, use_zero), EACCES);
	assert_int_not_equal(inside(&f, link_outside), 0);
}

static void
test_files_inside_are_open(void **state)
{
	const struct fence f = {.files = true};

	(void)state;
	assert_int_equal(inside(&f, read_inside), 0);
	assert_int_equal(inside(&f, make_scratch), 0);
	assert_int_equal(inside(&f, make_nameless), 0);
	assert_int_equal(inside(&f, store_a_file), 0);
	assert_int_equal(inside(&f, use_null), 0);
}

static void
test_files_may_be_left_alone(void **state)
{
	const struct fence f = {.files = false};

	(void)state;
	assert_int_equal(inside(&f, read_outside), 0);
	assert_int_equal(inside(&f, passwords), 0);
}

/* ---- calls ---- */

static int
trace(void)
{
	return result(ptrace(PTRACE_TRACEME, 0, NULL, NULL));
}
static int
read_parent(void)
{
	return result(syscall(SYS_process_vm_readv, getppid(), NULL, 0, NULL, 0, 0));
}
static int
leave_namespace(void)
{
	return result(unshare(CLONE_NEWUSER));
}
static int
mount_something(void)
{
	return result(mount("none", "/nowhere/at/all", "tmpfs", 0, NULL));
}
static int
program_the_kernel(void)
{
	return result(syscall(SYS_bpf, 0, NULL, 0));
}
static int
look_for_keys(void)
{
	return result(syscall(SYS_keyctl, 0, 0));
}
static int
load_module(void)
{
	return result(syscall(SYS_finit_module, -1, "", 0));
}
static int
other_kernel(void)
{
	return result(syscall(SYS_kexec_load, 0, 0, NULL, ~0ul));
}
static int
become_another(void)
{
	return result(syscall(SYS_setuid, getuid()));
}
static int
new_clone(void)
{
	return result(syscall(SYS_clone3, NULL, 0));
}
static int
raw_packets(void)
{
	return result(socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
}

static int
child_in_a_namespace(void)
{
	long pid = syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, NULL, NULL, NULL, NULL);

	if (pid == 0)
		_exit(0);
	return result(pid);
}

static int
type_into_terminal(void)
{
	char c = 'x';

	return result(ioctl(STDIN_FILENO, TIOCSTI, &c));
}

static int
await_callers(void)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	return fd < 0 ? UNSAID : result(listen(fd, 1));
}

static int
take_a_port(void)
{
	struct sockaddr_in any = {.sin_family = AF_INET};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	return fd < 0 ? UNSAID : result(bind(fd, (const struct sockaddr *)&any, sizeof(any)));
}

static int
start_program(void)
{
	char *const argv[] = {(char[]){"true"}, NULL}, *const none[] = {NULL};
	int status = UNSAID;
	pid_t pid;
	int rc = posix_spawn(&pid, "/bin/true", NULL, NULL, argv, none);

	if (rc)
		return rc;
	return waitpid(pid, &status, 0) == pid && WIFEXITED(status) ? WEXITSTATUS(status) : UNSAID;
}

static void *
nothing(void *arg)
{
	return arg;
}

/* What every run does: threads, sockets of the usual kinds, addresses. */
static int
usual_things(void)
{
	static const int families[] = {AF_UNIX, AF_INET, AF_INET6, AF_NETLINK};
	pthread_t t;
	int pair[2];

	if (pthread_create(&t, NULL, nothing, NULL) || pthread_join(t, NULL))
		return UNSAID;
	for (size_t i = 0; i < ARRAY_LEN(families); i++)
		if (socket(families[i], SOCK_DGRAM | SOCK_CLOEXEC, 0) < 0 && errno != EAFNOSUPPORT)
			return errno;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair))
		return errno;
	return result(ioctl(STDIN_FILENO, FIONBIO, &(int){0}) < 0 && errno == EPERM ? -1 : 0);
}

static void
test_calls_are_refused_and_kill_nobody(void **state)
{
	const struct fence f = {.files = false};

	(void)state;
	if (!had().filter)
		skip();
	if (!SANITIZED)
		assert_int_equal(inside(&f, trace), EPERM);
	assert_int_equal(inside(&f, read_parent), EPERM);
	assert_int_equal(inside(&f, leave_namespace), EPERM);
	assert_int_equal(inside(&f, child_in_a_namespace), EPERM);
	assert_int_equal(inside(&f, new_clone), ENOSYS);
	assert_int_equal(inside(&f, mount_something), EPERM);
	assert_int_equal(inside(&f, program_the_kernel), EPERM);
	assert_int_equal(inside(&f, look_for_keys), EPERM);
	assert_int_equal(inside(&f, load_module), EPERM);
	assert_int_equal(inside(&f, other_kernel), EPERM);
	assert_int_equal(inside(&f, become_another), EPERM);
	assert_int_equal(inside(&f, type_into_terminal), EPERM);
	assert_int_equal(inside(&f, await_callers), EPERM);
	assert_int_equal(inside(&f, raw_packets), EAFNOSUPPORT);
	assert_int_equal(inside(&f, start_program), EPERM);
}

static void
test_what_runs_do_goes_on(void **state)
{
	(void)state;
	assert_int_equal(inside(&(struct fence){.files = true}, usual_things), 0);
	assert_int_equal(inside(&(struct fence){.programs = true}, start_program), 0);
}

static void
test_no_port_is_taken(void **state)
{
	(void)state;
	if (had().landlock_abi < 4)
		skip();
	assert_int_equal(inside(&(struct fence){.files = true}, take_a_port), EACCES);
}

/* ---- memory and privileges ---- */

static int
no_core(void)
{
	struct rlimit core;

	if (getrlimit(RLIMIT_CORE, &core) || core.rlim_cur || core.rlim_max)
		return 1;
	if (!SANITIZED && prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) != 0)
		return 2;
	return 0;
}

static int
no_new_privileges(void)
{
	return prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1 ? 0 : 1;
}

static void
test_no_core_and_no_new_privileges(void **state)
{
	const struct fence f = {.files = true};

	(void)state;
	assert_int_equal(inside(&f, no_core), 0);
	assert_int_equal(inside(&f, no_new_privileges), 0);
}

/* The kernel has both, as every test machine should: that a fence is missing must not look like
 * success. (Valgrind is a kernel that has neither.) */
static void
test_all_there_is_is_used(void **state)
{
	uint32_t with_error = SECCOMP_RET_ERRNO;
	bool seccomp = !syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &with_error);
	long abi = syscall(444, NULL, 0, 1u); /* landlock_create_ruleset: which version? */
	struct confined got = had();

	(void)state;
	assert_int_equal(got.landlock_abi, abi >= 2 ? abi : 0);
#if defined(__x86_64__) || defined(__aarch64__)
	assert_int_equal(got.filter, seccomp);
	assert_int_equal(got.no_programs, seccomp);
#endif
}

/* ---- the folder ---- */

static void
put_file(const char *name)
{
	int fd = open_below(name, O_WRONLY | O_CREAT);

	assert_true(fd >= 0);
	(void)close(fd);
}

static int
make_root(void **state)
{
	static const char *const folders[] = {"read", "scratch", "store", "shut"};
	char path[128], target[128];

	(void)state;
	(void)snprintf(root, sizeof(root), "/tmp/confine.XXXXXX");
	assert_non_null(mkdtemp(root));
	for (size_t i = 0; i < ARRAY_LEN(folders); i++) {
		(void)snprintf(path, sizeof(path), "%s/%s", root, folders[i]);
		assert_int_equal(mkdir(path, 0700), 0);
	}
	put_file("read/file");
	put_file("shut/file");
	put_file("store/file");
	(void)snprintf(path, sizeof(path), "%s/scratch/link", root);
	(void)snprintf(target, sizeof(target), "%s/shut/file", root);
	return symlink(target, path);
}

static int
remove_root(void **state)
{
	static const char *const all[] = {"read/file",	    "read/new",
					  "shut/file",	    "shut/new",
					  "shut/stolen",    "store/file",
					  "scratch/link",   "scratch/new",
					  "scratch/folder", "read",
					  "shut",	    "store",
					  "scratch",	    ""};
	char path[128];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(all); i++) {
		(void)snprintf(path, sizeof(path), "%s/%s", root, all[i]);
		(void)remove(path);
	}
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_files_outside_are_shut),
	    cmocka_unit_test(test_files_inside_are_open),
	    cmocka_unit_test(test_files_may_be_left_alone),
	    cmocka_unit_test(test_calls_are_refused_and_kill_nobody),
	    cmocka_unit_test(test_what_runs_do_goes_on),
	    cmocka_unit_test(test_no_port_is_taken),
	    cmocka_unit_test(test_no_core_and_no_new_privileges),
	    cmocka_unit_test(test_all_there_is_is_used),
	};

	return cmocka_run_group_tests(tests, make_root, remove_root);
}
