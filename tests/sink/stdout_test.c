/*
 * Lines on a pipe: whole, unmixed, and an error when nobody reads any more.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sink/sink.h"

#define LINES	2000
#define WRITERS 4

static const struct publish who = {.job = "j", .tenant = "t"};
static const struct sink_conf conf = {.name = "screen", .kind = SINK_STDOUT};

static struct sink *
open_on(int fd, struct clock *clock)
{
	struct sink_env env = {.clock = clock, .stdout_fd = fd};
	struct sink *s;
	struct err err;

	assert_int_equal(sink_open(&conf, &env, &s, &err), 0);
	assert_false(s->ops->samples);
	return s;
}

struct writer {
	struct sink *sink;
	char letter;
	int rc;
	struct published done;
	struct err err;
};

static void *
write_cell(void *arg)
{
	struct writer *w = arg;
	struct cell_data d;

	cell_data_init(&d, (struct cell){0, 60000});
	for (int i = 0; i < LINES; i++)
		buf_fmt(&d.ndjson, "%c%c%c %d\n", w->letter, w->letter, w->letter, i);
	d.n_lines = LINES;
	w->rc = w->sink->ops->publish(w->sink, &who, &d, &w->done, &w->err);
	cell_data_done(&d);
	return NULL;
}

/* Reads to the end: each letter's lines must come in one piece. */
static void
read_cells(int fd)
{
	FILE *f = fdopen(fd, "r");
	char line[64], last = '\0';
	int n = 0, changes = 0;

	assert_non_null(f);
	while (fgets(line, sizeof(line), f)) {
		int want = line[0] == last ? n + 1 : 0;

		assert_true(line[0] == line[1] && line[1] == line[2]);
		changes += line[0] != last ? 1 : 0;
		last = line[0];
		n = (int)strtol(line + 4, NULL, 10);
		assert_int_equal(n, want);
	}
	assert_int_equal(changes, WRITERS);
	assert_int_equal(fclose(f), 0);
}

static void
cells_in_parallel(int flags)
{
	struct writer w[WRITERS];
	pthread_t threads[WRITERS];
	struct sink *s;
	int fds[2];

	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	assert_int_equal(fcntl(fds[1], F_SETFL, flags), 0);
	/* The reader, made before there are threads. It ends when all writers have closed. */
	if (fork() == 0) {
		(void)close(fds[1]);
		read_cells(fds[0]);
		_exit(0);
	}
	s = open_on(fds[1], clock_real());
	for (int i = 0; i < WRITERS; i++) {
		w[i] = (struct writer){.sink = s, .letter = (char)('a' + i)};
		assert_int_equal(pthread_create(&threads[i], NULL, write_cell, &w[i]), 0);
	}
	for (int i = 0; i < WRITERS; i++) {
		assert_int_equal(pthread_join(threads[i], NULL), 0);
		assert_int_equal(w[i].rc, 0);
		assert_int_equal(w[i].done.acked, LINES);
		assert_int_equal(w[i].done.already + w[i].done.rejected, 0);
	}
	sink_free(s);
	(void)close(fds[1]);
	(void)close(fds[0]);
}

static void
test_file(void **state)
{
	char path[] = "/tmp/muster-test-XXXXXX", text[16];
	struct writer w = {.letter = 'a'};
	int fd = mkstemp(path);

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(unlink(path), 0);
	w.sink = open_on(fd, clock_real());
	(void)write_cell(&w);
	assert_int_equal(w.rc, 0);
	assert_int_equal(w.done.requests, 1);
	assert_int_equal(lseek(fd, 0, SEEK_END), w.done.bytes);
	assert_int_equal(pread(fd, text, 12, 0), 12);
	assert_memory_equal(text, "aaa 0\naaa 1\n", 12);
	sink_free(w.sink);
	(void)close(fd);
}

/* A row with so many letters before the others, and what of it arrives. */
static void
assert_shown(struct sink *s, int leader, int letters)
{
	static const char *const was = "\xC2\x9B"
				       "31m\x7F gr\xC3\xBC\xE2\x80\xAE\xF0\x9F\x98\x80\"}",
				 *const is =
				     "\\u009b31m\\u007f gr\xC3\xBC\\u202e\xF0\x9F\x98\x80\"}";
	struct published done = {0};
	struct cell_data d;
	char want[8000], got[8000];
	size_t n = 0;

	cell_data_init(&d, (struct cell){0, 60000});
	buf_fmt(&d.ndjson, "{\"m\":\"%0*d%s\n", letters, 0, was);
	d.n_lines = 1;
	assert_int_equal(s->ops->publish(s, &who, &d, &done, NULL), 0);
	assert_int_equal(done.bytes, d.ndjson.n);
	while (n == 0 || got[n - 1] != '\n') {
		ssize_t some = read(leader, got + n, sizeof(got) - 1 - n);

		assert_true(some > 0);
		n += (size_t)some;
	}
	got[n] = '\0';
	(void)snprintf(want, sizeof(want), "{\"m\":\"%0*d%s\r\n", letters, 0, is);
	assert_string_equal(got, want);
	cell_data_done(&d);
}

/* On a terminal: the same rows, in characters that it does not obey, wherever a piece is cut. */
static void
test_terminal(void **state)
{
	int leader = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC), follower;
	struct sink *s;

	(void)state;
	assert_true(leader >= 0 && grantpt(leader) == 0 && unlockpt(leader) == 0);
	follower = open(ptsname(leader), O_RDWR | O_NOCTTY | O_CLOEXEC);
	assert_true(follower >= 0);
	s = open_on(follower, clock_real());
	for (int before = 0; before < 40; before++)
		assert_shown(s, leader, PIPE_BUF - before);
	sink_free(s);
	(void)close(follower);
	(void)close(leader);
}

static void
test_parallel(void **state)
{
	static const int flags[] = {0, O_NONBLOCK};

	(void)state;
	for (int i = 0; i < 2; i++) {
		int status;

		cells_in_parallel(flags[i]);
		assert_true(wait(&status) > 0);
		assert_int_equal(status, 0);
	}
}

static void
test_nobody_reads(void **state)
{
	struct writer w = {.letter = 'x'};
	int fds[2];

	(void)state;
	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	w.sink = open_on(fds[1], clock_real());
	(void)close(fds[0]);
	(void)write_cell(&w);
	assert_int_equal(w.rc, -1);
	assert_int_equal(w.err.kind, ERR_LOCAL);
	assert_int_equal(w.done.acked, 0);
	(void)close(fds[1]);
	(void)write_cell(&w); /* closed altogether */
	assert_int_equal(w.rc, -1);
	assert_int_equal(w.err.kind, ERR_LOCAL);
	sink_free(w.sink);
}

/* A reader that has stopped does not hold up a cancelled run. */
static void
test_cancelled(void **state)
{
	struct clock *clock = clock_fake_new(0);
	struct writer w = {.letter = 'x'};
	pthread_t thread;
	int fds[2];

	(void)state;
	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	assert_int_equal(fcntl(fds[1], F_SETPIPE_SZ, 4096), 4096);
	w.sink = open_on(fds[1], clock);
	assert_int_equal(pthread_create(&thread, NULL, write_cell, &w), 0);
	(void)usleep(
	    20000); /* it is in the middle of the cell by then; if not, so much the better */
	clock_cancel(clock, SIGTERM);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_int_equal(w.rc, -1);
	assert_int_equal(w.err.kind, ERR_CANCELLED);
	sink_free(w.sink);
	clock_fake_free(clock);
	(void)close(fds[0]);
	(void)close(fds[1]);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_file),      cmocka_unit_test(test_terminal),
	    cmocka_unit_test(test_parallel),  cmocka_unit_test(test_nobody_reads),
	    cmocka_unit_test(test_cancelled),
	};

	(void)signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
