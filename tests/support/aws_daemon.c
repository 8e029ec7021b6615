/* Starting the stand-in; see aws_daemon.h. */
#include "tests/support/aws_daemon.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "aws/aws_err.h"
#include "aws/sigv4.h"
#include "base/cleanup.h"
#include "base/fsx.h"
#include "fmt/json.h"

#define PYTHON	    "/usr/bin/python3"
#define PROGRAM	    "tests/aws/awsd"
#define START_MS    20000
#define ANSWER_MAX  ((size_t)16 << 20)
#define OPTIONS_MAX 24

static void
become(const struct aws_daemon *d, const char *port_file, const char *const *options)
{
	const char *argv[OPTIONS_MAX + 8] = {PYTHON,	PROGRAM,  "--port-file",
					     port_file, "--seed", "7"};
	size_t n = 6;
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	(void)d;
	for (size_t i = 0; options[i] && i < OPTIONS_MAX; i++)
		argv[n++] = options[i];
	argv[n] = NULL;
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	(void)dup2(null, STDIN_FILENO);
	(void)dup2(null, STDOUT_FILENO);
	(void)execv(PYTHON, (char *const *)(uintptr_t)argv);
	_exit(127);
}

static bool
wait_for_port(struct aws_daemon *d, const char *port_file)
{
	CLEANUP(buf_done) struct buf port = BUF_INIT(64);
	int status;

	for (int waited = 0; waited < START_MS; waited += 20) {
		if (fsx_read(AT_FDCWD, port_file, &port, NULL) == 0 && port.n &&
		    port.p[port.n - 1] == '\n') {
			(void)snprintf(d->url, sizeof(d->url), "http://127.0.0.1:%.*s",
				       (int)port.n - 1, port.p);
			return true;
		}
		if (waitpid(d->pid, &status, WNOHANG) == d->pid) {
			d->pid = 0;
			return false;
		}
		(void)clock_sleep(clock_real(), 20, NULL);
	}
	return false;
}

static void
open_transports(struct aws_daemon *d)
{
	const struct curl_options opt = {.clock = clock_real(), .classify = aws_classify};
	struct transport *curl = NULL, *sign = NULL;
	struct err err = {0};

	assert_int_equal(curl_transport_global_init(&err), 0);
	assert_int_equal(
	    curl_transport_new(&(struct curl_options){.clock = clock_real()}, &d->plain, &err), 0);
	assert_int_equal(curl_transport_new(&opt, &curl, &err), 0);
	assert_int_equal(sign_transport_new(curl, clock_real(), &sign, &err), 0);
	assert_int_equal(retry_transport_new(sign, 3, 1, clock_real(), &d->top, &err), 0);
}

static void
open_creds(struct aws_daemon *d)
{
	CLEANUP(buf_done) struct buf text = BUF_INIT(ANSWER_MAX);
	CLEANUP(json_decrefp) json_t *world = NULL;
	const char *key = NULL, *secret = NULL;
	json_t *central = NULL;
	struct err err = {0};

	aws_daemon_control(d, "world", NULL, &text);
	assert_int_equal(json_parse(buf_view(&text), "world", &world, &err), 0);
	assert_int_equal(json_get_obj(world, "", "central", true, &central, &err), 0);
	assert_int_equal(json_get_str(central, "", "access_key", true, &key, &err), 0);
	assert_int_equal(json_get_str(central, "", "secret_key", true, &secret, &err), 0);
	assert_int_equal(setenv("AWS_ACCESS_KEY_ID", key, 1), 0);
	assert_int_equal(setenv("AWS_SECRET_ACCESS_KEY", secret, 1), 0);
	(void)unsetenv("AWS_SESSION_TOKEN");
	assert_int_equal(setenv("AWS_ENDPOINT_URL", d->url, 1), 0);
	assert_int_equal(cred_env_new(&d->creds, &err), 0);
}

bool
aws_daemon_start(struct aws_daemon *d, const char *const *options)
{
	char port_file[96];

	*d = (struct aws_daemon){.folder = "/tmp/muster-awsd-XXXXXX"};
	if (access(PYTHON, X_OK) || access(PROGRAM, R_OK)) {
		print_message("no %s or no %s here: skipped\n", PYTHON, PROGRAM);
		return false;
	}
	if (!mkdtemp(d->folder))
		return false;
	(void)snprintf(port_file, sizeof(port_file), "%s/port", d->folder);
	d->pid = fork();
	if (d->pid == 0)
		become(d, port_file, options);
	if (d->pid < 0 || !wait_for_port(d, port_file)) {
		print_message("%s did not start: skipped\n", PROGRAM);
		aws_daemon_stop(d);
		return false;
	}
	open_transports(d);
	open_creds(d);
	return true;
}

void
aws_daemon_stop(struct aws_daemon *d)
{
	int dir;

	if (d->pid > 0) {
		(void)kill(d->pid, SIGKILL);
		(void)waitpid(d->pid, NULL, 0);
	}
	if (d->top) {
		cred_source_free(d->creds);
		transport_free(d->top);
		transport_free(d->plain);
		curl_transport_global_done();
	}
	dir = open(d->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir >= 0) {
		(void)unlinkat(dir, "port", 0);
		(void)close(dir);
		(void)rmdir(d->folder);
	}
	*d = (struct aws_daemon){0};
}

void
aws_daemon_control(struct aws_daemon *d, const char *name, const char *body, struct buf *out)
{
	CLEANUP(buf_done) struct buf url = BUF_INIT(2048);
	CLEANUP(resp_done) struct http_resp resp;
	struct http_req req = {.method = body ? "PUT" : "GET",
			       .service = "",
			       .operation = "",
			       .account = "",
			       .grace_ms = 60000}; /* also while the run under test is cancelled */
	struct err err = {0};

	resp_init(&resp, ANSWER_MAX);
	buf_fmt(&url, "%s/_standin/%s", d->url, name);
	req.url = buf_cstr(&url);
	req.body = sv_of(body ? body : "");
	if (transport_send(d->plain, &req, &resp, &err) < 0)
		fail_msg("%s: %s", name, err.msg);
	if (out) {
		buf_reset(out);
		buf_sv(out, buf_view(&resp.body));
	}
}

void
aws_daemon_faults(struct aws_daemon *d, const char *rules)
{
	aws_daemon_control(d, "faults", rules ? rules : "[]", NULL);
}
