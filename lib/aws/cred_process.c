/*
 * credential_process: a program that prints keys. Its standard output is read into memory that is
 * wiped and is never shown; what it complains about on standard error is, without what looks like
 * keys.
 */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "aws/cred_sources.h"
#include "base/cleanup.h"
#include "base/fsx.h"
#include "fmt/words.h"

#define OUTPUT_MAX   (64u << 10)
#define COMPLAINT    300 /* characters of standard error that are shown */
#define POLL_MS	     50
#define SECRET_CHARS 16 /* a run of what keys are made of, of this length, may be one */
#define VERSION	     1

struct cred_process {
	struct cred_source base;
	char **argv; /* one allocation */
	int64_t limit_ms;
	struct clock *clock;
};

struct running {
	pid_t pid;
	int out, err; /* our ends of the pipes; -1: closed */
	struct buf output, complaint;
	int64_t until_ms; /* of the real clock: programs know no other */
};

extern char **environ;

/* ---- starting ---- */

/* Signals as a program expects to find them, and a group of its own, to be killed as one. */
static int
set_attributes(posix_spawnattr_t *a)
{
	sigset_t usual, none;
	int rc;

	(void)sigemptyset(&none);
	(void)sigemptyset(&usual);
	(void)sigaddset(&usual, SIGPIPE);
	(void)sigaddset(&usual, SIGHUP);
	(void)sigaddset(&usual, SIGINT);
	(void)sigaddset(&usual, SIGTERM);
	rc = posix_spawnattr_setsigmask(a, &none);
	if (!rc)
		rc = posix_spawnattr_setsigdefault(a, &usual);
	if (!rc)
		rc = posix_spawnattr_setpgroup(a, 0);
	if (!rc)
		rc = posix_spawnattr_setflags(a, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF |
						     POSIX_SPAWN_SETPGROUP);
	return rc;
}

static int
set_files(posix_spawn_file_actions_t *f, int out, int err)
{
	int rc = posix_spawn_file_actions_addopen(f, STDIN_FILENO, "/dev/null", O_RDONLY, 0);

	if (!rc)
		rc = posix_spawn_file_actions_adddup2(f, out, STDOUT_FILENO);
	if (!rc)
		rc = posix_spawn_file_actions_adddup2(f, err, STDERR_FILENO);
	return rc;
}

static int
spawn(char **argv, int out, int err, pid_t *ret)
{
	posix_spawn_file_actions_t files;
	posix_spawnattr_t attributes;
	int rc = posix_spawn_file_actions_init(&files);

	if (rc)
		return rc;
	rc = posix_spawnattr_init(&attributes);
	if (!rc) {
		rc = set_attributes(&attributes);
		if (!rc)
			rc = set_files(&files, out, err);
		if (!rc)
			rc = posix_spawnp(ret, argv[0], &files, &attributes, argv, environ);
		(void)posix_spawnattr_destroy(&attributes);
	}
	(void)posix_spawn_file_actions_destroy(&files);
	return rc;
}

static int
start(const struct cred_process *p, struct running *r, struct err *err)
{
	CLEANUP(fsx_closep) int out = -1;
	CLEANUP(fsx_closep) int complaint = -1;
	int pair[2], rc;

	if (pipe2(pair, O_CLOEXEC))
		return err_sys(err, errno, "pipe");
	r->out = pair[0];
	out = pair[1];
	if (pipe2(pair, O_CLOEXEC))
		return err_sys(err, errno, "pipe");
	r->err = pair[0];
	complaint = pair[1];
	rc = spawn(p->argv, out, complaint, &r->pid);
	if (rc) {
		r->pid = 0;
		(void)err_sys(err, rc, "%s", p->argv[0]);
		if (err)
			err->kind = ERR_AUTH;
		return -1;
	}
	return 0;
}

/* ---- reading ---- */

static void
hang_up(int *fd)
{
	fsx_closep(fd);
	*fd = -1;
}

/* More than the room there is, is read and forgotten; the output's NUL stays. An error is an end,
 * too: returns its errno. */
static int
read_some(int *fd, struct buf *to, bool *too_much)
{
	char rest[512];
	bool full = to->n + 1 >= OUTPUT_MAX;
	ssize_t got =
	    full ? read(*fd, rest, sizeof(rest)) : read(*fd, to->p + to->n, OUTPUT_MAX - 1 - to->n);
	int errnum = got < 0 && errno != EINTR ? errno : 0;

	if (got > 0 && full)
		*too_much = true;
	else if (got > 0)
		to->n += (size_t)got;
	else if (got == 0 || errnum)
		hang_up(fd);
	to->p[to->n] = '\0';
	return errnum;
}

static int
read_output(const struct cred_process *p, struct running *r, struct err *err)
{
	bool too_much = false, ignored = false;
	int errnum = 0;

	while (r->out >= 0 || r->err >= 0) {
		struct pollfd fds[] = {{.fd = r->out, .events = POLLIN},
				       {.fd = r->err, .events = POLLIN}};

		if (clock_check(p->clock, err))
			return -1;
		if (clock_mono_ms(clock_real()) >= r->until_ms)
			return err_set(err, ERR_AUTH, "not done after %" PRId64 " ms", p->limit_ms);
		if (poll(fds, ARRAY_LEN(fds), POLL_MS) <= 0)
			continue;
		if (fds[0].revents)
			errnum = read_some(&r->out, &r->output, &too_much);
		if (errnum)
			return err_sys(err, errnum, "read its output");
		if (fds[1].revents)
			(void)read_some(&r->err, &r->complaint, &ignored);
	}
	return too_much ? err_set(err, ERR_AUTH, "it printed more than %u bytes", OUTPUT_MAX - 1)
			: 0;
}

/* ---- what it complained about ---- */

static bool
in_a_key(char c)
{
	return isalnum((unsigned char)c) || (c && strchr("-_.~+/=", c));
}

/* Keys, tokens, digests and passwords have digits, or letters of both cases for long; words and
 * paths seldom have. Of a host's name or a path with a digit in it nothing is seen: better so. */
static bool
looks_secret(const char *p, size_t n)
{
	bool upper = false, lower = false, digit = false;

	for (size_t i = 0; i < n; i++) {
		upper = upper || isupper((unsigned char)p[i]);
		lower = lower || islower((unsigned char)p[i]);
		digit = digit || isdigit((unsigned char)p[i]);
	}
	return n >= SECRET_CHARS && (digit || (upper && lower && n >= 2 * SECRET_CHARS));
}

static void
quote_complaint(struct sv s, struct buf *out)
{
	while (s.n && isspace((unsigned char)s.p[s.n - 1]))
		s.n--;
	while (s.n && out->n < COMPLAINT) {
		size_t n = 0;

		while (n < s.n && in_a_key(s.p[n]))
			n++;
		if (n == 0)
			buf_ch(out, isprint((unsigned char)s.p[n++]) ? s.p[0] : ' ');
		else if (looks_secret(s.p, n))
			buf_str(out, "(left out)");
		else
			buf_add(out, s.p, n);
		s.p += n;
		s.n -= n;
	}
}

static int
failed(const struct running *r, int status, struct err *err)
{
	CLEANUP(buf_done) struct buf text = BUF_INIT(2 * OUTPUT_MAX);

	quote_complaint(buf_view(&r->complaint), &text);
	if (WIFSIGNALED(status))
		(void)err_set(err, ERR_AUTH, "ended by signal %d", WTERMSIG(status));
	else
		(void)err_set(err, ERR_AUTH, "exit status %d%s%.*s", WEXITSTATUS(status),
			      text.n ? ": " : "", COMPLAINT, buf_cstr(&text));
	return -1;
}

/* ---- the whole ---- */

/* It has closed its outputs, so it is about to end; who does not is killed. */
static int
await_end(struct running *r)
{
	int status = 0;
	pid_t ended;

	while ((ended = waitpid(r->pid, &status, WNOHANG)) == 0 || (ended < 0 && errno == EINTR)) {
		if (clock_mono_ms(clock_real()) >= r->until_ms)
			(void)kill(-r->pid, SIGKILL);
		(void)poll(NULL, 0, 1);
	}
	r->pid = 0;
	return status;
}

static int
check_version(struct sv doc, struct err *err)
{
	double version = 0;

	if (!cred_json_num(doc, "Version", &version))
		return err_set(err, ERR_AUTH, "its output is no JSON object with a Version");
	if (version < VERSION || version > VERSION)
		return err_set(err, ERR_AUTH, "its output is of Version %g, expected %d", version,
			       VERSION);
	return 0;
}

static int
run(const struct cred_process *p, struct running *r, struct cred *c, struct err *err)
{
	int status;

	/* At once: buffers that grow would leave keys behind in their smaller selves. */
	if (!buf_reserve(&r->output, OUTPUT_MAX) || !buf_reserve(&r->complaint, OUTPUT_MAX))
		return err_nomem(err);
	r->until_ms = clock_mono_ms(clock_real()) + p->limit_ms;
	if (start(p, r, err) || read_output(p, r, err))
		return -1;
	status = await_end(r);
	if (status)
		return failed(r, status, err);
	if (check_version(buf_view(&r->output), err))
		return -1;
	if (!cred_json_keys(buf_view(&r->output), "SessionToken", c, err))
		return 0;
	if (err && err->kind == ERR_DATA)
		err->kind = ERR_AUTH; /* asking it again is no use */
	return -1;
}

static int
process_get(struct cred_source *s, const char *stale, struct cred *ret, struct err *err)
{
	const struct cred_process *p = (const struct cred_process *)s;
	struct running r = {.out = -1,
			    .err = -1,
			    .output = BUF_INIT(2 * OUTPUT_MAX),
			    .complaint = BUF_INIT(2 * OUTPUT_MAX)};
	struct cred fresh = {0};
	int rc;

	(void)stale; /* every run may bring new keys */
	rc = run(p, &r, &fresh, err);
	hang_up(&r.out);
	hang_up(&r.err);
	if (r.pid) {
		(void)kill(-r.pid, SIGKILL);
		(void)waitpid(r.pid, NULL, 0);
	}
	secret_wipe_buf(&r.output);
	secret_wipe_buf(&r.complaint);
	if (rc) {
		cred_done(&fresh);
		return err_wrap(err, "credential_process");
	}
	cred_done(ret);
	*ret = fresh;
	return 0;
}

static void
process_free(struct cred_source *s)
{
	struct cred_process *p = (struct cred_process *)s;

	free(p->argv);
	free(p);
}

int
cred_process_new(const char *command, int64_t limit_ms, struct clock *clock,
		 struct cred_source **ret, struct err *err)
{
	static const struct cred_source_ops ops = {"credential_process", process_get, process_free,
						   NULL};
	struct cred_process *p = calloc(1, sizeof(*p));
	struct err why = {0};
	size_t n = 0;

	if (!p)
		return err_nomem(err);
	p->base.ops = &ops;
	p->limit_ms = limit_ms;
	p->clock = clock;
	if (words_split(sv_of(command), &p->argv, &n, &why)) {
		process_free(&p->base);
		return err_set(err, why.kind == ERR_USAGE ? ERR_AUTH : why.kind,
			       "credential_process: %s", why.msg);
	}
	if (n == 0 || !p->argv[0][0]) {
		process_free(&p->base);
		return err_set(err, ERR_AUTH, "credential_process: names no program");
	}
	*ret = &p->base;
	return 0;
}
