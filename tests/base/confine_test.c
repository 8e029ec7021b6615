/*
 * What a confined process can no longer do, tried by children that are confined: each child does
 * one thing and ends with the errno of it, 0 if it could.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
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
#include <sys/un.h>
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
make_empty_where_read(void)
{
	return result(open_below("read/empty", O_RDONLY | O_CREAT));
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

static int
remove_where_read(void)
{
	char path[128];

	(void)snprintf(path, sizeof(path), "%s/read/file", root);
	return result(unlink(path));
}
static int
truncate_where_read(void)
{
	char path[128];

	(void)snprintf(path, sizeof(path), "%s/read/file", root);
	return result(truncate(path, 0));
}
static int
link_in_store(void)
{
	char path[128];

	(void)snprintf(path, sizeof(path), "%s/store/link", root);
	return result(symlink("/etc/passwd", path));
}
static int
socket_in_store(void)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	(void)snprintf(at.sun_path, sizeof(at.sun_path), "%s/store/socket", root);
	return fd < 0 ? UNSAID : result(bind(fd, (const struct sockaddr *)&at, sizeof(at)));
}
static int
ask_device(void)
{
	struct winsize size;
	int fd = open("/dev/null", O_RDWR | O_CLOEXEC);

	return fd < 0 ? UNSAID : result(ioctl(fd, TIOCGWINSZ, &size));
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
	assert_int_equal(inside(&f, make_empty_where_read), EACCES);
	assert_int_equal(inside(&f, folder_in_scratch), EACCES);
	assert_int_equal(inside(&f, use_zero), EACCES);
	assert_int_not_equal(inside(&f, link_outside), 0);
	assert_int_equal(inside(&f, remove_where_read), EACCES);
	assert_int_equal(inside(&f, link_in_store), EACCES);
	assert_int_equal(inside(&f, socket_in_store), EACCES);
	if (had().filter) /* even where Landlock knows nothing of it */
		assert_int_equal(inside(&f, truncate_where_read), EPERM);
	if (had().landlock_abi >= 5)
		assert_int_equal(inside(&f, ask_device), EACCES);
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

/*
 * Every call of the list, without making it: a filter from before answers TRACE, which is ENOSYS
 * where nobody traces, and gives way to a refusal.
 */
#define CALL(name)                                                                                 \
	{                                                                                          \
		name, #name                                                                        \
	}
static const struct call {
	unsigned nr;
	const char *name;
} refused_calls[] = {
    CALL(SYS_ptrace),
    CALL(SYS_process_vm_readv),
    CALL(SYS_process_vm_writev),
    CALL(SYS_kcmp),
    CALL(SYS_perf_event_open),
#ifdef SYS_pidfd_getfd
    CALL(SYS_pidfd_getfd),
#endif
#ifdef SYS_process_madvise
    CALL(SYS_process_madvise),
#endif
    CALL(SYS_mount),
    CALL(SYS_umount2),
    CALL(SYS_pivot_root),
    CALL(SYS_chroot),
    CALL(SYS_swapon),
    CALL(SYS_swapoff),
    CALL(SYS_quotactl),
    CALL(SYS_acct),
    CALL(SYS_open_by_handle_at),
    CALL(SYS_name_to_handle_at),
    CALL(SYS_mknodat),
    CALL(SYS_fanotify_init),
#ifdef SYS_mknod
    CALL(SYS_mknod),
#endif
#ifdef SYS_move_mount
    CALL(SYS_move_mount),
    CALL(SYS_open_tree),
    CALL(SYS_fsopen),
    CALL(SYS_fsconfig),
    CALL(SYS_fsmount),
    CALL(SYS_fspick),
#endif
#ifdef SYS_mount_setattr
    CALL(SYS_mount_setattr),
#endif
    CALL(SYS_unshare),
    CALL(SYS_setns),
    CALL(SYS_bpf),
    CALL(SYS_init_module),
    CALL(SYS_finit_module),
    CALL(SYS_delete_module),
    CALL(SYS_kexec_load),
    CALL(SYS_reboot),
    CALL(SYS_userfaultfd),
    CALL(SYS_syslog),
    CALL(SYS_add_key),
    CALL(SYS_request_key),
    CALL(SYS_keyctl),
    CALL(SYS_personality),
    CALL(SYS_vhangup),
#ifdef SYS_kexec_file_load
    CALL(SYS_kexec_file_load),
#endif
#ifdef SYS_io_uring_setup
    CALL(SYS_io_uring_setup),
    CALL(SYS_io_uring_enter),
    CALL(SYS_io_uring_register),
#endif
#ifdef SYS_iopl
    CALL(SYS_iopl),
    CALL(SYS_ioperm),
    CALL(SYS_modify_ldt),
#endif
    CALL(SYS_setuid),
    CALL(SYS_setgid),
    CALL(SYS_setreuid),
    CALL(SYS_setregid),
    CALL(SYS_setresuid),
    CALL(SYS_setresgid),
    CALL(SYS_setfsuid),
    CALL(SYS_setfsgid),
    CALL(SYS_setgroups),
    CALL(SYS_capset),
    CALL(SYS_sethostname),
    CALL(SYS_setdomainname),
#ifdef SYS_setrlimit
    CALL(SYS_setrlimit),
#endif
    CALL(SYS_settimeofday),
    CALL(SYS_clock_settime),
    CALL(SYS_clock_adjtime),
    CALL(SYS_adjtimex),
    CALL(SYS_listen),
    CALL(SYS_accept),
    CALL(SYS_accept4),
    CALL(SYS_execve),
    CALL(SYS_execveat),
};
static const struct {
	unsigned long flag;
	const char *name;
} namespaces[] = {
    CALL(CLONE_NEWNS),	CALL(CLONE_NEWUSER), CALL(CLONE_NEWPID),    CALL(CLONE_NEWNET),
    CALL(CLONE_NEWIPC), CALL(CLONE_NEWUTS),  CALL(CLONE_NEWCGROUP),
};

static bool
would_trace(unsigned nr)
{
	struct sock_filter v[] = {
	    {BPF_LD | BPF_W | BPF_ABS, 0, 0, offsetof(struct seccomp_data, nr)},
	    {BPF_JMP | BPF_JEQ | BPF_K, 0, 1, nr},
	    {BPF_RET | BPF_K, 0, 0, SECCOMP_RET_TRACE},
	    {BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW},
	};
	struct sock_fprog prog = {.len = ARRAY_LEN(v), .filter = v};

	return !prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) &&
	       !syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &prog);
}

/* What a child ends with that makes this call inside the fence; ENOSYS: it would have been made. */
static int
answer_to(unsigned nr, unsigned long arg)
{
	const struct fence f = {.files = false};
	int status = 0;
	pid_t pid = fork();

	if (pid == 0) {
		struct confined got;

		if (!would_trace(nr))
			_exit(UNSAID);
		put_up(&f, &got);
		_exit(result(syscall(nr, arg, 0, 0, 0, 0)));
	}
	assert_true(pid > 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : UNSAID;
}

static void
test_each_call_is_refused(void **state)
{
	(void)state;
	if (!had().filter || SANITIZED)
		skip();
	assert_int_equal(answer_to(SYS_getppid, 0), ENOSYS); /* that is how it shows */
	for (size_t i = 0; i < ARRAY_LEN(refused_calls); i++)
		if (answer_to(refused_calls[i].nr, 0) != EPERM)
			fail_msg("%s is made", refused_calls[i].name);
	for (size_t i = 0; i < ARRAY_LEN(namespaces); i++)
		if (answer_to(SYS_clone, namespaces[i].flag | SIGCHLD) != EPERM)
			fail_msg("clone with %s is made", namespaces[i].name);
}

#ifdef __x86_64__
/* getpid by the way and the number of 32-bit programs. */
static int
call_as_i386(void)
{
	long rc = 20;

	__asm__ volatile("int $0x80" : "+a"(rc) : : "memory", "r8", "r9", "r10", "r11");
	return rc < 0 ? (int)-rc : 0;
}

static int
call_as_x32(void)
{
	return result(syscall(0x40000000 | SYS_getppid));
}

static bool
has_i386(void)
{
	int status = 0;
	pid_t pid = fork();

	if (pid == 0)
		_exit(call_as_i386());
	return waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/* Their numbers mean other calls: none of them is looked up in the list. */
static void
test_calls_of_other_kinds_are_refused(void **state)
{
	const struct fence f = {.files = false};

	(void)state;
	if (!had().filter)
		skip();
	assert_int_equal(inside(&f, call_as_x32), EPERM);
	if (has_i386())
		assert_int_equal(inside(&f, call_as_i386), EPERM);
}
#endif

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

static int
signal_parent(void)
{
	return result(kill(getppid(), 0));
}

/* A socket without a file: its name begins with a NUL. */
static struct sockaddr_un
nowhere(void)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX};

	(void)snprintf(at.sun_path + 1, sizeof(at.sun_path) - 1, "%s", root);
	return at;
}

static int
call_abstract(void)
{
	struct sockaddr_un at = nowhere();
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	return fd < 0 ? UNSAID : result(connect(fd, (const struct sockaddr *)&at, sizeof(at)));
}

static void
test_other_processes_are_not_reached(void **state)
{
	const struct fence f = {.files = true};
	struct sockaddr_un at = nowhere();
	int fd;

	(void)state;
	if (had().landlock_abi < 6)
		skip();
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (const struct sockaddr *)&at, sizeof(at)), 0);
	assert_int_equal(listen(fd, 1), 0);
	assert_int_equal(inside(&f, call_abstract), EPERM);
	assert_int_equal(inside(&f, signal_parent), EPERM);
	(void)close(fd);
}

/* No program at all, which is seen only where it may be run (ENOEXEC). */
static int
run_from_store(void)
{
	char path[128], *const argv[] = {path, NULL}, *const none[] = {NULL};

	(void)snprintf(path, sizeof(path), "%s/store/file", root);
	return chmod(path, 0700) ? UNSAID : result(execve(path, argv, none));
}

/* Where programs may be started for keys, files are not confined: if they were, none of them could
 * be run. */
static void
test_nothing_is_run_from_where_files_are_read(void **state)
{
	const struct fence f = {.files = true, .programs = true};

	(void)state;
	if (had().landlock_abi == 0)
		skip();
	assert_int_equal(inside(&f, start_program), EACCES);
	assert_int_equal(inside(&f, run_from_store), EACCES);
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

/* ---- limits ---- */

/* Each as low as it stands, and none left of what is never used. (Valgrind has a limit of files of
 * its own, which cannot be lowered.) */
static int
limits_are_held(void)
{
	static const unsigned unused[] = {RLIMIT_MEMLOCK, RLIMIT_MSGQUEUE, RLIMIT_NICE,
					  RLIMIT_RTPRIO};
	bool valgrind = syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, NULL) && errno == ENOSYS;
	struct rlimit now;

	for (unsigned i = 0; i < RLIM_NLIMITS; i++)
		if (getrlimit(i, &now) ||
		    (now.rlim_max != now.rlim_cur && !(valgrind && i == RLIMIT_NOFILE)))
			return 1 + (int)i;
	for (size_t i = 0; i < ARRAY_LEN(unused); i++)
		if (getrlimit(unused[i], &now) || now.rlim_max)
			return 100 + (int)unused[i];
	return 0;
}

/* As anybody may. */
static int
raise_files(void)
{
	struct rlimit now;

	if (getrlimit(RLIMIT_NOFILE, &now))
		return UNSAID;
	now.rlim_cur = now.rlim_max;
	return result(setrlimit(RLIMIT_NOFILE, &now));
}

static int
limit_parent(void)
{
	struct rlimit now;

	if (prlimit(getppid(), RLIMIT_NOFILE, NULL, &now))
		return UNSAID;
	return result(prlimit(getppid(), RLIMIT_NOFILE, &now, NULL));
}

/* Where the pointer's low half is all zeroes. */
static int
limit_by_a_high_pointer(void)
{
	return result(syscall(SYS_prlimit64, 0, RLIMIT_NOFILE, (uint64_t)1 << 32, NULL));
}

static int
soft_limit_is_below(void)
{
	struct rlimit now;

	return getrlimit(RLIMIT_NOFILE, &now) || now.rlim_cur >= now.rlim_max;
}

static int
make_room_to_raise(void **state)
{
	struct rlimit now;

	(void)state;
	if (getrlimit(RLIMIT_NOFILE, &now) || now.rlim_max < 200)
		return -1;
	now.rlim_cur = now.rlim_max > 512 ? 512 : now.rlim_max - 1;
	return setrlimit(RLIMIT_NOFILE, &now);
}

static void
test_limits_are_held(void **state)
{
	const struct fence f = {.files = true};

	(void)state;
	assert_int_equal(soft_limit_is_below(), 0);
	assert_int_equal(inside(&f, limits_are_held), 0);
	if (!had().filter)
		skip();
	assert_int_equal(inside(&f, raise_files), EPERM);
	assert_int_equal(inside(&f, limit_parent), EPERM);
	assert_int_equal(inside(&f, limit_by_a_high_pointer), EPERM);
}

/* What brings credentials may keep them in locked memory, and raises what it likes to. */
static void
test_limits_are_left_to_programs(void **state)
{
	const struct fence f = {.programs = true};

	(void)state;
	assert_int_equal(inside(&f, soft_limit_is_below), 0);
	assert_int_equal(inside(&f, raise_files), 0);
	assert_int_not_equal(inside(&f, limits_are_held), 0);
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
	assert_int_equal(got.files_open, abi < 2);
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
	static const char *const all[] = {"read/empty",
					  "read/file",
					  "read/new",
					  "shut/file",
					  "shut/new",
					  "shut/stolen",
					  "store/file",
					  "store/link",
					  "store/socket",
					  "scratch/link",
					  "scratch/new",
					  "scratch/folder",
					  "read",
					  "shut",
					  "store",
					  "scratch",
					  ""};
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
	    cmocka_unit_test(test_each_call_is_refused),
#ifdef __x86_64__
	    cmocka_unit_test(test_calls_of_other_kinds_are_refused),
#endif
	    cmocka_unit_test(test_what_runs_do_goes_on),
	    cmocka_unit_test(test_no_port_is_taken),
	    cmocka_unit_test(test_other_processes_are_not_reached),
	    cmocka_unit_test(test_nothing_is_run_from_where_files_are_read),
	    cmocka_unit_test(test_no_core_and_no_new_privileges),
	    cmocka_unit_test_setup(test_limits_are_held, make_room_to_raise),
	    cmocka_unit_test_setup(test_limits_are_left_to_programs, make_room_to_raise),
	    cmocka_unit_test(test_all_there_is_is_used),
	};

	return cmocka_run_group_tests(tests, make_root, remove_root);
}
