/*
 * A command that this machine keeps from beginning ends with 3; one that is told of a file which is
 * not there, or not for it, with 2.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/cleanup.h"
#include "run/command.h"
#include "run/report.h"

#define WORDS 8

static char folder[] = "/tmp/exit_status_test.XXXXXX", config[64], missing[64], nowhere[64];

struct call {
	int (*command)(int argc, char **argv);
	const char *words[WORDS];
};

static const struct call with_file[] = {
    {cmd_run, {"run", "-c", config}},
    {cmd_backfill, {"backfill", "-c", config, "--from", "2026-01-01", "--to", "2026-01-02"}},
    {cmd_plan, {"plan", "-c", config}},
    {cmd_check, {"check", "-c", config}},
    {cmd_status, {"status", "-c", config}},
    {cmd_record, {"record", "-o", nowhere, "--", "run", "-c", config}},
    {cmd_replay, {"replay", config}},
    {cmd_init, {"init", "-c", missing}},
};
static const struct call without_file[] = {
    {cmd_run, {"run", "-c", missing}},
    {cmd_plan, {"plan", "-c", folder}},
    {cmd_record, {"record", "-o", nowhere, "--", "run", "-c", missing}},
    {cmd_replay, {"replay", missing}},
    {cmd_init, {"init", "-c", config}},
};

/* In a process of its own, which commands lock in. Returns its exit status, and what it said on
 * stderr. */
static int
status_of(const struct call *c, bool no_descriptors, char said[4096])
{
	int fd = memfd_create("said", MFD_CLOEXEC), status = 0, argc = 0;
	struct rlimit none;
	char *argv[WORDS + 1] = {NULL};
	ssize_t n;
	pid_t pid;

	for (; argc < WORDS && c->words[argc]; argc++)
		argv[argc] = (char *)(uintptr_t)c->words[argc];
	assert_true(fd >= 0);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &none), 0);
	none.rlim_cur = 3; /* valgrind lets the other one be */
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		if (dup2(fd, STDERR_FILENO) < 0 || !freopen("/dev/null", "w", stdout) ||
		    (no_descriptors && setrlimit(RLIMIT_NOFILE, &none)))
			abort();
		_exit(c->command(argc, argv));
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	n = pread(fd, said, 4095, 0);
	said[n > 0 ? n : 0] = '\0';
	assert_int_equal(close(fd), 0);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void
test_no_descriptors(void **state)
{
	char said[4096];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(with_file); i++) {
		int status = status_of(&with_file[i], true, said);

		if (status != EXIT_CENTRAL || !strstr(said, "Too many open files"))
			fail_msg("%s: %d: %s", with_file[i].words[0], status, said);
		assert_ptr_equal(strchr(said, '\n'), said + strlen(said) - 1); /* one line */
	}
}

static void
test_wrong_file(void **state)
{
	char said[4096];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(without_file); i++) {
		int status = status_of(&without_file[i], false, said);

		if (status != EXIT_USAGE || !*said)
			fail_msg("%s: %d: %s", without_file[i].words[0], status, said);
	}
}

static int
make_files(void **state)
{
	FILE *f;

	(void)state;
	assert_non_null(mkdtemp(folder));
	(void)snprintf(config, sizeof(config), "%s/muster.yaml", folder);
	(void)snprintf(missing, sizeof(missing), "%s/missing", folder);
	(void)snprintf(nowhere, sizeof(nowhere), "%s/cassette", folder);
	f = fopen(config, "we");
	assert_non_null(f);
	return fclose(f);
}

static int
remove_files(void **state)
{
	(void)state;
	return unlink(config) || rmdir(folder);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_no_descriptors),
	    cmocka_unit_test(test_wrong_file),
	};

	return cmocka_run_group_tests(tests, make_files, remove_files);
}
