/*
 * Runs a program and kills it as it enters its N-th system call that has an effect outside of it.
 *
 *   killer COUNT|N PROGRAM [ARGUMENT]...
 *
 * COUNT: only counts; writes "calls: C" and a line "  NAME: C" for each call to the file
 * KILLER_REPORT names, or to stderr. N: kills all of the process, by SIGKILL, before the N-th of
 * them is carried out, and ends with 137; if there were fewer, ends as the program did. Calls of
 * all threads are counted together, in the order they are made.
 */
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"

#define KILLED 137

/* What changes files, or speaks to others. */
static const struct {
	long number;
	const char *name;
} effects[] = {
    {SYS_write, "write"},	  {SYS_pwrite64, "pwrite64"},	{SYS_writev, "writev"},
    {SYS_openat, "openat"},	  {SYS_mkdirat, "mkdirat"},	{SYS_unlinkat, "unlinkat"},
    {SYS_linkat, "linkat"},	  {SYS_renameat, "renameat"},	{SYS_renameat2, "renameat2"},
    {SYS_fsync, "fsync"},	  {SYS_fdatasync, "fdatasync"}, {SYS_fsetxattr, "fsetxattr"},
    {SYS_ftruncate, "ftruncate"}, {SYS_fchmod, "fchmod"},	{SYS_flock, "flock"},
    {SYS_connect, "connect"},	  {SYS_sendto, "sendto"},	{SYS_sendmsg, "sendmsg"},
    {SYS_recvfrom, "recvfrom"},	  {SYS_recvmsg, "recvmsg"},	{SYS_close, "close"},
};
static uint64_t made[ARRAY_LEN(effects)];
static uint64_t calls;

static bool
has_effect(long number)
{
	for (size_t i = 0; i < ARRAY_LEN(effects); i++)
		if (effects[i].number == number) {
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

/* The system call a stopped thread is entering; -1: it is leaving one. */
static long
entering(pid_t thread)
{
	struct __ptrace_syscall_info info;

	if (ptrace(PTRACE_GET_SYSCALL_INFO, thread, (void *)sizeof(info), &info) <= 0 ||
	    info.op != PTRACE_SYSCALL_INFO_ENTRY)
		return -1;
	return (long)info.entry.nr;
}

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
		*now = has_effect(entering(thread)) && calls == kill_at;
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
	(void)fprintf(out, "calls: %llu\n", (unsigned long long)calls);
	for (size_t i = 0; i < ARRAY_LEN(effects); i++)
		if (made[i])
			(void)fprintf(out, "  %s: %llu\n", effects[i].name,
				      (unsigned long long)made[i]);
	if (out != stderr && fclose(out))
		die(path);
}

int
main(int argc, char **argv)
{
	bool counts = argc > 2 && !strcmp(argv[1], "COUNT");
	uint64_t kill_at = argc > 2 && !counts ? strtoull(argv[1], NULL, 10) : 0;
	int status, result;
	pid_t child;

	if (argc < 3 || (!counts && !kill_at)) {
		(void)fprintf(stderr, "usage: killer COUNT|N PROGRAM [ARGUMENT]...\n");
		return 2;
	}
	child = start(argv + 2);
	if (waitpid(child, &status, 0) != child || !WIFSTOPPED(status) ||
	    ptrace(PTRACE_SETOPTIONS, child, NULL,
		   (void *)(PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACECLONE | PTRACE_O_EXITKILL)))
		die("ptrace");
	go_on(child, 0);
	result = watch(child, kill_at);
	if (counts)
		report();
	return result == 128 + SIGKILL ? KILLED : result;
}
