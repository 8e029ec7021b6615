/*
 * Runs a program and kills it as it enters its N-th system call that has an effect outside of it,
 * or lets one of its system calls fail.
 *
 *   killer COUNT|N PROGRAM [ARGUMENT]...
 *   killer FAULTS|NAME:N=ERRNO|NAME:N=short|NAME:N=byte PROGRAM [ARGUMENT]...
 *
 * COUNT: only counts; writes "calls: C" and a line "  NAME: C" for each call to the file
 * KILLER_REPORT names, or to stderr. N: kills all of the process, by SIGKILL, before the N-th of
 * them is carried out, and ends with 137; if there were fewer, ends as the program did. Calls of
 * all threads are counted together, in the order they are made.
 *
 * FAULTS counts all calls that can fail, from main() on. NAME:N=ERRNO: the N-th of that name is not
 * carried out (but for close) and returns that error (a number); "short": it is for half of its
 * bytes; "byte": for one. N of 0: so it goes with each of them. The report then says "failed: 1"
 * or, if there were fewer, "failed: 0"; and "file: PATH" where it was a file's. The program ends as
 * it likes.
 */
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"

#define KILLED 137

/* What changes files, or speaks to others; then what else may fail. */
static const struct {
	long number;
	const char *name;
	bool effect, sized; /* sized: the third argument is how many bytes */
} known[] = {
    {SYS_write, "write", true, true},
    {SYS_pwrite64, "pwrite64", true, true},
    {SYS_writev, "writev", true, false},
    {SYS_openat, "openat", true, false},
    {SYS_mkdirat, "mkdirat", true, false},
    {SYS_unlinkat, "unlinkat", true, false},
    {SYS_linkat, "linkat", true, false},
    {SYS_renameat, "renameat", true, false},
    {SYS_renameat2, "renameat2", true, false},
    {SYS_fsync, "fsync", true, false},
    {SYS_fdatasync, "fdatasync", true, false},
    {SYS_fsetxattr, "fsetxattr", true, false},
    {SYS_ftruncate, "ftruncate", true, false},
    {SYS_fchmod, "fchmod", true, false},
    {SYS_flock, "flock", true, false},
    {SYS_connect, "connect", true, false},
    {SYS_sendto, "sendto", true, true},
    {SYS_sendmsg, "sendmsg", true, false},
    {SYS_recvfrom, "recvfrom", true, true},
    {SYS_recvmsg, "recvmsg", true, false},
    {SYS_close, "close", true, false},
    {SYS_read, "read", false, true},
    {SYS_pread64, "pread64", false, true},
    {SYS_openat2, "openat2", false, false},
    {SYS_getdents64, "getdents64", false, false},
    {SYS_newfstatat, "newfstatat", false, false},
    {SYS_faccessat, "faccessat", false, false},
    {SYS_fgetxattr, "fgetxattr", false, false},
    {SYS_socket, "socket", false, false},
    {SYS_socketpair, "socketpair", false, false},
    {SYS_setsockopt, "setsockopt", false, false},
    {SYS_poll, "poll", false, false},
    {SYS_pipe2, "pipe2", false, false},
    {SYS_eventfd2, "eventfd2", false, false},
    {SYS_clone3, "clone3", false, false},
    {SYS_clone, "clone", false, false},
    {SYS_wait4, "wait4", false, false},
    {SYS_mmap, "mmap", false, false},
    {SYS_mprotect, "mprotect", false, false},
    {SYS_mremap, "mremap", false, false},
    {SYS_munmap, "munmap", false, false},
    {SYS_getrandom, "getrandom", false, false},
    {SYS_fcntl, "fcntl", false, false},
    {SYS_faccessat2, "faccessat2", false, false},
    {SYS_chmod, "chmod", true, false},
    {SYS_readlink, "readlink", false, false},
    {SYS_getsockopt, "getsockopt", false, false},
    {SYS_getsockname, "getsockname", false, false},
    {SYS_getpeername, "getpeername", false, false},
    {SYS_prctl, "prctl", false, false},
    {SYS_prlimit64, "prlimit64", false, false},
    {SYS_seccomp, "seccomp", false, false},
    {SYS_landlock_create_ruleset, "landlock_create_ruleset", false, false},
    {SYS_landlock_add_rule, "landlock_add_rule", false, false},
    {SYS_landlock_restrict_self, "landlock_restrict_self", false, false},
};
static uint64_t made[ARRAY_LEN(known)];
static uint64_t calls;
static bool counts_all, begun; /* FAULTS, and main() was reached */

/* The one call that is to fail. */
static struct {
	size_t what; /* an index into known */
	uint64_t at; /* 0: each */
	long error;  /* 0: short */
	bool byte;   /* as short as can be */
	bool wanted, done;
	pid_t leaving;	     /* the thread that is in it */
	char file[PATH_MAX]; /* its first argument, if that is one */
} fault;

static bool
counted(long number)
{
	for (size_t i = 0; i < ARRAY_LEN(known); i++)
		if (known[i].number == number && (known[i].effect || counts_all)) {
			made[i]++;
			calls++;
			return true;
		}
	return false;
}

static void
die(const char *what)
{
	(void)fprintf(stderr, "killer: %s: %s\n", what, strerror(errno));
	exit(2);
}

static pid_t
start(char **argv)
{
	pid_t child = fork();

	if (child < 0)
		die("fork");
	if (child == 0) {
		(void)ptrace(PTRACE_TRACEME, 0, NULL, NULL);
		(void)raise(SIGSTOP);
		(void)execv(argv[0], argv);
		_exit(127);
	}
	return child;
}

/* The system call a stopped thread is entering; -1: it is leaving one. main() begins with its own
 * limit for core files. */
static long
entering(pid_t thread)
{
	struct __ptrace_syscall_info info;

	if (ptrace(PTRACE_GET_SYSCALL_INFO, thread, (void *)sizeof(info), &info) <= 0 ||
	    info.op != PTRACE_SYSCALL_INFO_ENTRY)
		return -1;
	if (info.entry.nr == SYS_prlimit64 && info.entry.args[1] == RLIMIT_CORE)
		begun = true;
	return (long)info.entry.nr;
}

#ifdef __x86_64__
static void
with_registers(pid_t thread, void (*change)(struct user_regs_struct *r))
{
	struct user_regs_struct r;

	if (ptrace(PTRACE_GETREGS, thread, NULL, &r) < 0)
		return;
	change(&r);
	(void)ptrace(PTRACE_SETREGS, thread, NULL, &r);
}

static void
deny(struct user_regs_struct *r)
{
	r->orig_rax = (unsigned long long)-1;
}

static void
answer(struct user_regs_struct *r)
{
	r->rax = (unsigned long long)-fault.error;
}

static void
note_file(struct user_regs_struct *r)
{
	char link[64];
	ssize_t n;

	(void)snprintf(link, sizeof(link), "/proc/%d/fd/%llu", fault.leaving, r->rdi);
	n = readlink(link, fault.file, sizeof(fault.file) - 1);
	fault.file[n > 0 ? n : 0] = '\0';
}

/* An eventfd takes eight bytes or none. */
static void
shorten(struct user_regs_struct *r)
{
	if (r->rdx <= sizeof(uint64_t))
		return;
	r->rdx = fault.byte ? 1 : r->rdx / 2;
	fault.done = true;
}

static bool
is_due(long number)
{
	if (number != known[fault.what].number || !begun)
		return false;
	return !fault.at || (made[fault.what] == fault.at && !fault.done);
}

static void
may_fail(pid_t thread, long number)
{
	if (thread == fault.leaving) {
		with_registers(thread, answer);
		fault.leaving = 0;
	} else if (is_due(number) && fault.error) {
		fault.done = true;
		fault.leaving = thread;
		with_registers(thread, note_file);
		if (number != SYS_close) /* which frees the descriptor whatever it answers */
			with_registers(thread, deny);
	} else if (is_due(number)) {
		with_registers(thread, shorten);
	}
}
#else
static void
may_fail(pid_t thread, long number)
{
	(void)thread;
	(void)number;
}
#endif

static void
go_on(pid_t thread, int signal)
{
	(void)ptrace(PTRACE_SYSCALL, thread, NULL, (void *)(intptr_t)signal);
}

/* What a stop of a thread asks for: the signal to hand on, and whether it is time to kill. */
static int
at_stop(pid_t thread, int status, uint64_t kill_at, bool *now)
{
	int signal = WSTOPSIG(status);

	*now = false;
	if (signal == (SIGTRAP | 0x80)) {
		long number = entering(thread);

		*now = (begun || !counts_all) && counted(number) && calls == kill_at;
		if (fault.wanted)
			may_fail(thread, number);
		return 0;
	}
	/* Threads begin with a stop of their own; the rest is the tracer's news. */
	return signal == SIGTRAP || signal == SIGSTOP ? 0 : signal;
}

static int
watch(pid_t child, uint64_t kill_at)
{
	int status, result = 0;
	bool now;

	for (;;) {
		pid_t thread = waitpid(-1, &status, __WALL);

		if (thread < 0)
			return result;
		if (WIFSTOPPED(status)) {
			int signal = at_stop(thread, status, kill_at, &now);

			if (now)
				(void)kill(child, SIGKILL);
			else
				go_on(thread, signal);
		} else if (thread == child) {
			result = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
		}
	}
}

static void
report(void)
{
	const char *path = getenv("KILLER_REPORT"); /* NOLINT(concurrency-mt-unsafe) */
	FILE *out = path ? fopen(path, "we") : stderr;

	if (!out)
		die(path);
	if (fault.wanted)
		(void)fprintf(out, "failed: %d\n", fault.done);
	if (*fault.file)
		(void)fprintf(out, "file: %s\n", fault.file);
	(void)fprintf(out, "calls: %llu\n", (unsigned long long)calls);
	for (size_t i = 0; i < ARRAY_LEN(known); i++)
		if (made[i])
			(void)fprintf(out, "  %s: %llu\n", known[i].name,
				      (unsigned long long)made[i]);
	if (out != stderr && fclose(out))
		die(path);
}

/* NAME:N=ERRNO, NAME:N=short, NAME:N=byte */
static bool
read_fault(const char *text)
{
	const char *colon = strchr(text, ':');
	char *end;

	if (!colon)
		return false;
	for (size_t i = 0; i < ARRAY_LEN(known); i++)
		if (!strncmp(known[i].name, text, (size_t)(colon - text)) &&
		    known[i].name[colon - text] == '\0')
			fault.what = i, fault.wanted = true;
	fault.at = strtoull(colon + 1, &end, 10);
	if (!fault.wanted || *end != '=')
		return false;
	fault.byte = !strcmp(end + 1, "byte");
	if (fault.byte || !strcmp(end + 1, "short"))
		return known[fault.what].sized;
	fault.error = strtol(end + 1, &end, 10);
	return fault.error > 0 && fault.at > 0 && *end == '\0';
}

/* What is to be done; false: nobody can. */
static bool
read_order(const char *text, uint64_t *ret_kill_at)
{
	*ret_kill_at = 0;
	if (!strcmp(text, "COUNT"))
		return true;
	counts_all = !strcmp(text, "FAULTS") || read_fault(text);
	if (!counts_all)
		*ret_kill_at = strtoull(text, NULL, 10);
	return counts_all || *ret_kill_at;
}

int
main(int argc, char **argv)
{
	uint64_t kill_at;
	int status, result;
	pid_t child;

	if (argc < 3 || !read_order(argv[1], &kill_at)) {
		(void)fprintf(stderr, "usage: killer COUNT|N|FAULTS|NAME:N=ERRNO|NAME:N=short|"
				      "NAME:N=byte PROGRAM [ARGUMENT]...\n");
		return 2;
	}
	child = start(argv + 2);
	if (waitpid(child, &status, 0) != child || !WIFSTOPPED(status) ||
	    ptrace(PTRACE_SETOPTIONS, child, NULL,
		   (void *)(PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACECLONE | PTRACE_O_EXITKILL)))
		die("ptrace");
	go_on(child, 0);
	result = watch(child, kill_at);
	if (!kill_at)
		report();
	return result == 128 + SIGKILL ? KILLED : result;
}
