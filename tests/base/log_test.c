/*
 * The log: the three formats to the byte, text that wants to forge lines, and descriptors that are
 * full, closed or broken.
 */
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "fmt/json.h"

#define TS "2026-11-22T21:30:00.123Z"

static int64_t
fixed_wall_ms(void)
{
	return 1795383000123;
}

static int log_fd = -1;

/* Each test logs into a file in memory. */
static int
open_log(void **state)
{
	(void)state;
	log_fd = memfd_create("log", MFD_CLOEXEC);
	return log_fd < 0 ? -1 : 0;
}

static int
close_log(void **state)
{
	(void)state;
	log_init(STDERR_FILENO, LOG_TEXT, LOG_INFO, NULL);
	return close(log_fd);
}

/* What was logged; the file is empty afterwards. */
static const char *
logged(void)
{
	static char text[1 << 20];
	ssize_t n = pread(log_fd, text, sizeof(text) - 1, 0);

	assert_true(n >= 0);
	text[n] = '\0';
	assert_int_equal(ftruncate(log_fd, 0), 0);
	assert_int_equal(lseek(log_fd, 0, SEEK_SET), 0);
	return text;
}

static void
test_formats(void **state)
{
	const struct log_field fields[] = {LOG_S("stream", "cpu"), LOG_S("note", "two words"),
					   LOG_I("rows", -5), LOG_S("absent", NULL),
					   LOG_S("empty", "")};

	(void)state;
	log_init(log_fd, LOG_TEXT, LOG_INFO, fixed_wall_ms);
	log_write(LOG_INFO, "cell committed", fields, ARRAY_LEN(fields));
	assert_string_equal(
	    logged(),
	    TS " INFO  cell committed  stream=cpu note=\"two words\" rows=-5 empty=\"\"\n");
	log_init(log_fd, LOG_LOGFMT, LOG_INFO, fixed_wall_ms);
	log_write(LOG_WARN, "cell committed", fields, ARRAY_LEN(fields));
	assert_string_equal(logged(), "ts=" TS " level=warn msg=\"cell committed\" stream=cpu "
				      "note=\"two words\" rows=-5 empty=\"\"\n");
	log_init(log_fd, LOG_JSON, LOG_INFO, fixed_wall_ms);
	log_write(LOG_ERROR, "cell committed", fields, ARRAY_LEN(fields));
	assert_string_equal(logged(),
			    "{\"ts\":\"" TS
			    "\",\"level\":\"error\",\"msg\":\"cell committed\",\"stream\":\"cpu\","
			    "\"note\":\"two words\",\"rows\":-5,\"empty\":\"\"}\n");
}

static void
test_without_fields(void **state)
{
	(void)state;
	log_init(log_fd, LOG_TEXT, LOG_DEBUG, fixed_wall_ms);
	log_write(LOG_DEBUG, "start", NULL, 0);
	log_event(LOG_DEBUG, "start", LOG_S("absent", NULL));
	assert_string_equal(logged(), TS " DEBUG start\n" TS " DEBUG start\n");
	log_init(log_fd, LOG_LOGFMT, LOG_DEBUG, fixed_wall_ms);
	log_write(LOG_DEBUG, "start", NULL, 0);
	assert_string_equal(logged(), "ts=" TS " level=debug msg=\"start\"\n");
	log_init(log_fd, LOG_JSON, LOG_DEBUG, fixed_wall_ms);
	log_write(LOG_DEBUG, "start", NULL, 0);
	assert_string_equal(logged(),
			    "{\"ts\":\"" TS "\",\"level\":\"debug\",\"msg\":\"start\"}\n");
}

static void
test_levels(void **state)
{
	(void)state;
	log_init(log_fd, LOG_TEXT, LOG_WARN, fixed_wall_ms);
	assert_true(log_enabled(LOG_ERROR));
	assert_true(log_enabled(LOG_WARN));
	assert_false(log_enabled(LOG_INFO));
	log_event(LOG_INFO, "hidden", LOG_I("n", 1));
	log_write(LOG_DEBUG, "hidden", NULL, 0);
	log_event(LOG_WARN, "shown", LOG_I("n", 1));
	assert_string_equal(logged(), TS " WARN  shown  n=1\n");
}

static void
test_errors(void **state)
{
	struct err err;

	(void)state;
	(void)err_set(&err, ERR_AUTH, "refused: \"no\"");
	err.http_status = 403;
	memcpy(err.code, "AccessDenied", sizeof("AccessDenied"));
	memcpy(err.request_id, "r-1", sizeof("r-1"));
	log_init(log_fd, LOG_TEXT, LOG_INFO, fixed_wall_ms);
	log_event(LOG_ERROR, "failed", LOG_E(&err), LOG_I("try", 2));
	assert_string_equal(logged(), TS " ERROR failed  error=\"refused: \\\"no\\\"\" kind=auth "
					 "code=AccessDenied request_id=r-1 http_status=403 "
					 "try=2\n");
	log_init(log_fd, LOG_JSON, LOG_INFO, fixed_wall_ms);
	log_event(LOG_ERROR, "failed", LOG_E(&err));
	assert_non_null(strstr(logged(), ",\"error\":\"refused: \\\"no\\\"\",\"kind\":\"auth\","
					 "\"code\":\"AccessDenied\",\"request_id\":\"r-1\","
					 "\"http_status\":403}\n"));
	(void)err_set(&err, ERR_DATA, "short");
	log_init(log_fd, LOG_LOGFMT, LOG_INFO, fixed_wall_ms);
	log_event(LOG_ERROR, "failed", LOG_E(&err));
	assert_non_null(strstr(logged(), " msg=\"failed\" error=short kind=data\n"));
	err_clear(&err);
	log_event(LOG_ERROR, "failed", LOG_E(&err), LOG_E(NULL));
	assert_non_null(strstr(logged(), " msg=\"failed\"\n"));
}

/* What each value becomes between quotes, the same in all three formats. */
static const struct {
	const char *raw, *escaped;
} hostile[] = {
    {"a\nb", "a\\nb"},
    {"a\r\n" TS " ERROR forged  k=v", "a\\r\\n" TS " ERROR forged  k=v"},
    {"tab\there", "tab\\there"},
    {"\x1B[2J\x1B[1;31m", "\\u001B[2J\\u001B[1;31m"},
    {"\x01\x7F", "\\u0001\\u007F"},
    {"quote\" end", "quote\\\" end"},
    {"back\\slash", "back\\\\slash"},
    {"\" level=error x=\"", "\\\" level=error x=\\\""},
    {"bad \xFF\xC0\xAF\xE2\x82", "bad \xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD"},
    {"C1 \xC2\x9B"
     "31m \xC2\x85",
     "C1 \\u009B31m \\u0085"},
    {"line \xE2\x80\xA8 par \xE2\x80\xA9", "line \\u2028 par \\u2029"},
    {"bidi \xE2\x80\xAE \xE2\x81\xA6 \xD8\x9C", "bidi \\u202E \\u2066 \\u061C"},
    {"\xEF\xBB\xBF"
     "bom \xE2\x80\x8F",
     "\\uFEFFbom \\u200F"},
    {"gr\xC3\xBC\xC3\x9F \xF0\x9F\x98\x80", "gr\xC3\xBC\xC3\x9F \xF0\x9F\x98\x80"},
    {"a=b", "a=b"},
};

static void
check_one_line(const char *text)
{
	const char *newline = strchr(text, '\n');

	assert_non_null(newline);
	assert_string_equal(newline, "\n");
	for (const char *c = text; c < newline; c++)
		assert_true((unsigned char)*c >= 0x20 && *c != 0x7F);
}

static void
test_hostile_values(void **state)
{
	static const char *const before[] = {
	    [LOG_TEXT] = TS " INFO  event  v=\"",
	    [LOG_LOGFMT] = "ts=" TS " level=info msg=\"event\" v=\"",
	    [LOG_JSON] = "{\"ts\":\"" TS "\",\"level\":\"info\",\"msg\":\"event\",\"v\":\"",
	};
	char expected[1000];

	(void)state;
	for (int f = LOG_TEXT; f <= LOG_JSON; f++)
		for (size_t i = 0; i < ARRAY_LEN(hostile); i++) {
			const char *text;

			log_init(log_fd, (enum log_format)f, LOG_INFO, fixed_wall_ms);
			log_event(LOG_INFO, "event", LOG_S("v", hostile[i].raw));
			text = logged();
			(void)snprintf(expected, sizeof(expected), "%s%s\"%s\n", before[f],
				       hostile[i].escaped, f == LOG_JSON ? "}" : "");
			assert_string_equal(text, expected);
			check_one_line(text);
		}
}

static void
test_hostile_event_and_error(void **state)
{
	struct err err;

	(void)state;
	(void)err_set(&err, ERR_DATA, "x\ny\x1B");
	for (int f = LOG_TEXT; f <= LOG_JSON; f++) {
		log_init(log_fd, (enum log_format)f, LOG_INFO, fixed_wall_ms);
		log_event(LOG_INFO, "two\nlines", LOG_E(&err));
		check_one_line(logged());
	}
}

/* Every byte, in JSON: the line parses and the value is the same or has U+FFFD. */
static void
test_json_is_json(void **state)
{
	CLEANUP(json_decrefp) json_t *j = NULL;
	const char *value = NULL;
	char raw[256];
	struct err err;

	(void)state;
	for (size_t i = 0; i < 255; i++)
		raw[i] = (char)(i + 1);
	raw[255] = '\0';
	log_init(log_fd, LOG_JSON, LOG_INFO, fixed_wall_ms);
	log_event(LOG_INFO, "event", LOG_S("v", raw));
	assert_int_equal(json_parse(sv_of(logged()), "line", &j, &err), 0);
	assert_int_equal(json_get_str(j, "", "v", true, &value, &err), 0);
	assert_memory_equal(value, raw, 127);
	assert_memory_equal(value + 127, "\xEF\xBF\xBD", 3);
}

static void
check_cut(enum log_format format, const char *text)
{
	CLEANUP(json_decrefp) json_t *j = NULL;

	check_one_line(text);
	assert_true(strlen(text) <= PIPE_BUF);
	if (format == LOG_JSON)
		assert_int_equal(json_parse(sv_of(text), "line", &j, NULL), 0);
}

static void
test_long_values(void **state)
{
	char value[5000];

	(void)state;
	memset(value, '\x01', sizeof(value) - 1);
	value[sizeof(value) - 1] = '\0';
	for (int f = LOG_TEXT; f <= LOG_JSON; f++) {
		const char *text;

		log_init(log_fd, (enum log_format)f, LOG_INFO, fixed_wall_ms);
		log_event(LOG_INFO, "event", LOG_S("a", value), LOG_I("b", 1));
		text = logged();
		check_cut((enum log_format)f, text);
		assert_non_null(strstr(text, "\\u0001...\""));
		assert_null(strstr(text, "truncated"));
		/* What does not fit into the line is left out, and the line says so. */
		log_event(LOG_INFO, "event", LOG_S("a", value), LOG_S("b", value),
			  LOG_S("c", value), LOG_S("d", value), LOG_I("e", 1));
		text = logged();
		check_cut((enum log_format)f, text);
		assert_non_null(strstr(text, f == LOG_JSON ? ",\"truncated\":1}" : " truncated=1"));
		assert_null(strstr(text, f == LOG_JSON ? "\"e\":" : " e="));
	}
}

static void
test_parse_names(void **state)
{
	enum log_format f = LOG_TEXT;
	enum log_level l = LOG_ERROR;

	(void)state;
	assert_true(log_format_parse("json", &f));
	assert_int_equal(f, LOG_JSON);
	assert_true(log_format_parse("logfmt", &f));
	assert_true(log_format_parse("text", &f));
	assert_false(log_format_parse("JSON", &f));
	assert_false(log_format_parse("", &f));
	assert_true(log_level_parse("debug", &l));
	assert_int_equal(l, LOG_DEBUG);
	assert_true(log_level_parse("warn", &l));
	assert_false(log_level_parse("warning", &l));
}

static void
test_real_time(void **state)
{
	(void)state;
	log_init(log_fd, LOG_TEXT, LOG_INFO, NULL);
	log_write(LOG_INFO, "event", NULL, 0);
	assert_memory_equal(logged(), "20", 2);
}

static void
read_pipe(int fd, char *text, size_t cap)
{
	ssize_t got = 0;
	size_t n = 0;

	while (n < cap - 1 && (got = read(fd, text + n, cap - 1 - n)) > 0)
		n += (size_t)got;
	text[n] = '\0';
}

static void
count_lines(const char *text, size_t *ret_n)
{
	for (*ret_n = 0; (text = strchr(text, '\n')); text++)
		(*ret_n)++;
}

/* A full pipe, set to O_NONBLOCK or not: nothing hangs, and the first line that gets through says
 * how many were lost. */
static void
check_full_pipe(int flags)
{
	static char text[1 << 20];
	int64_t logged_lines = 4000;
	char expected[64];
	size_t n;
	int p[2];

	assert_int_equal(pipe2(p, O_CLOEXEC), 0);
	assert_int_equal(fcntl(p[0], F_SETFL, O_NONBLOCK), 0);
	assert_int_equal(fcntl(p[1], F_SETFL, flags), 0);
	log_init(p[1], LOG_LOGFMT, LOG_INFO, fixed_wall_ms);
	for (int64_t i = 0; i < logged_lines; i++)
		log_event(LOG_INFO, "filling the pipe", LOG_I("n", i));
	read_pipe(p[0], text, sizeof(text));
	count_lines(text, &n);
	assert_true(n > 100 && n < (size_t)logged_lines);
	log_write(LOG_INFO, "free again", NULL, 0);
	log_write(LOG_INFO, "and again", NULL, 0);
	read_pipe(p[0], text, sizeof(text));
	(void)snprintf(expected, sizeof(expected), " msg=\"free again\" dropped=%lld\n",
		       (long long)logged_lines - (long long)n);
	assert_non_null(strstr(text, expected));
	assert_non_null(strstr(text, " msg=\"and again\"\n"));
	assert_int_equal(close(p[0]), 0);
	assert_int_equal(close(p[1]), 0);
}

static void
test_full_pipe(void **state)
{
	(void)state;
	check_full_pipe(O_NONBLOCK);
	check_full_pipe(0);
}

/* SIGPIPE has its default action here, which would end the test. */
static void
test_reader_gone(void **state)
{
	int p[2];

	(void)state;
	assert_int_equal(pipe2(p, O_CLOEXEC), 0);
	assert_int_equal(close(p[0]), 0);
	log_init(p[1], LOG_TEXT, LOG_INFO, fixed_wall_ms);
	errno = 42;
	log_write(LOG_INFO, "to nobody", NULL, 0);
	assert_int_equal(errno, 42);
	assert_int_equal(close(p[1]), 0);
	log_write(LOG_INFO, "to a closed descriptor", NULL, 0);
	assert_int_equal(errno, 42);
}

/* A line cut off by a full disk: the next one starts a new line. */
static void
test_torn_line(void **state)
{
	const struct rlimit small = {40, RLIM_INFINITY};
	struct rlimit old;
	void (*old_handler)(int);

	(void)state;
	log_init(log_fd, LOG_TEXT, LOG_INFO, fixed_wall_ms);
	old_handler = signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	log_write(LOG_INFO, "a line that does not fit", NULL, 0);
	log_write(LOG_INFO, "lost as well", NULL, 0);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
	(void)signal(SIGXFSZ, old_handler);
	log_write(LOG_INFO, "free again", NULL, 0);
	log_write(LOG_INFO, "and again", NULL, 0);
	assert_string_equal(logged(), TS " INFO  a line th\n" TS " INFO  free again dropped=2\n" TS
					 " INFO  and again\n");
}

#define WRITERS 8
#define LINES	500

static void *
write_lines(void *arg)
{
	for (int i = 0; i < LINES; i++)
		log_event(LOG_INFO, "line", LOG_S("who", arg), LOG_I("n", i),
			  LOG_S("pad", "0123456789012345678901234567890123456789"));
	return NULL;
}

static void
test_threads(void **state)
{
	static char names[WRITERS][8];
	pthread_t t[WRITERS];
	const char *text, *line;
	size_t n;

	(void)state;
	log_init(log_fd, LOG_JSON, LOG_INFO, fixed_wall_ms);
	for (size_t i = 0; i < WRITERS; i++) {
		(void)snprintf(names[i], sizeof(names[i]), "t%zu", i);
		assert_int_equal(pthread_create(&t[i], NULL, write_lines, names[i]), 0);
	}
	for (size_t i = 0; i < WRITERS; i++)
		assert_int_equal(pthread_join(t[i], NULL), 0);
	text = logged();
	count_lines(text, &n);
	assert_int_equal(n, WRITERS * LINES);
	for (line = text; *line; line = strchr(line, '\n') + 1) {
		CLEANUP(json_decrefp) json_t *j = NULL;
		struct sv v = {line, strcspn(line, "\n")};

		assert_int_equal(json_parse(v, "line", &j, NULL), 0);
	}
}

#define LOG_TEST(fn) cmocka_unit_test_setup_teardown(fn, open_log, close_log)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    LOG_TEST(test_formats),	   LOG_TEST(test_without_fields),
	    LOG_TEST(test_levels),	   LOG_TEST(test_errors),
	    LOG_TEST(test_hostile_values), LOG_TEST(test_hostile_event_and_error),
	    LOG_TEST(test_json_is_json),   LOG_TEST(test_long_values),
	    LOG_TEST(test_parse_names),	   LOG_TEST(test_real_time),
	    LOG_TEST(test_full_pipe),	   LOG_TEST(test_reader_gone),
	    LOG_TEST(test_torn_line),	   LOG_TEST(test_threads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
