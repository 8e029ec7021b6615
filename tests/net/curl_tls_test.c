/* Which certificates are believed. The server is the openssl program's; without it the tests are
 * skipped. */
#include <dlfcn.h>
#include <fcntl.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/cleanup.h"
#include "net/transport.h"
#include "tests/support/stub_server.h"

extern char **environ;

/* In the place of libssl's, which is called: what options were asked for. */
static _Atomic uint64_t options;

uint64_t
SSL_CTX_set_options(SSL_CTX *ctx, uint64_t op)
{
	uint64_t (*real)(SSL_CTX *, uint64_t);

	*(void **)&real = dlsym(RTLD_NEXT, "SSL_CTX_set_options");
	assert_non_null(real);
	options |= op;
	return real(ctx, op);
}

static char folder[] = "/tmp/muster-tls-XXXXXX";

struct server {
	pid_t pid;
	int port;
	FILE *out;
};

/* Runs openssl with stdout into a pipe (if ret_out) and stderr nowhere. */
static pid_t
run_openssl(char *const argv[], int *ret_out)
{
	posix_spawn_file_actions_t actions;
	int pipe_fds[2] = {-1, -1};
	pid_t pid = -1;

	assert_int_equal(pipe2(pipe_fds, O_CLOEXEC), 0);
	(void)posix_spawn_file_actions_init(&actions);
	(void)posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
	(void)posix_spawn_file_actions_adddup2(&actions, pipe_fds[1], 1);
	(void)posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0);
	if (posix_spawnp(&pid, "openssl", &actions, NULL, argv, environ))
		pid = -1;
	(void)posix_spawn_file_actions_destroy(&actions);
	(void)close(pipe_fds[1]);
	if (ret_out)
		*ret_out = pipe_fds[0];
	else
		(void)close(pipe_fds[0]);
	return pid;
}

#define OPENSSL(...) ((char *const[]){(char[]){"openssl"}, __VA_ARGS__, NULL})
#define ARG(s)	     ((char[]){s})

/* Else Debian's OpenSSL would refuse old versions by itself, whatever the program asks for. */
static int
allow_all(void)
{
	static const char text[] = "openssl_conf = a\n[a]\nssl_conf = b\n[b]\nsystem_default = c\n"
				   "[c]\nMinProtocol = TLSv1\nCipherString = ALL:@SECLEVEL=0\n"
				   "[req]\ndistinguished_name = d\n[d]\n";
	FILE *f = fopen("openssl.cnf", "we");

	if (!f || fputs(text, f) == EOF)
		return -1;
	return fclose(f) || setenv("OPENSSL_CONF", "openssl.cnf", 1) ? -1 : 0;
}

static int
make_certificate(void **state)
{
	int status = -1;
	pid_t pid;

	(void)state;
	if (!mkdtemp(folder) || chdir(folder) < 0 || allow_all())
		return -1;
	pid =
	    run_openssl(OPENSSL(ARG("req"), ARG("-x509"), ARG("-newkey"), ARG("ec"),
				ARG("-pkeyopt"), ARG("ec_paramgen_curve:prime256v1"), ARG("-nodes"),
				ARG("-keyout"), ARG("key.pem"), ARG("-out"), ARG("cert.pem"),
				ARG("-subj"), ARG("/CN=localhost"), ARG("-addext"),
				ARG("subjectAltName=DNS:localhost"), ARG("-days"), ARG("2")),
			NULL);
	if (pid < 0 || waitpid(pid, &status, 0) != pid || status != 0)
		print_message("no openssl program: skipped\n");
	/* Where libcurl is told to write down what decrypts the traffic: once, at its start.
	 * NOLINTNEXTLINE(concurrency-mt-unsafe): there are no threads yet */
	if (setenv("SSLKEYLOGFILE", "keys.log", 1))
		return -1;
	return curl_transport_global_init(NULL);
}

static int
remove_certificate(void **state)
{
	(void)state;
	(void)unlink("key.pem");
	(void)unlink("cert.pem");
	(void)unlink("openssl.cnf");
	curl_transport_global_done();
	return chdir("/") < 0 || rmdir(folder) < 0 ? -1 : 0;
}

static void
start_with(struct server *s, char *certificate, char *version)
{
	char line[256];
	int fd;

	*s = (struct server){.pid = -1};
	if (access(certificate, R_OK) < 0)
		skip();
	s->pid = run_openssl(OPENSSL(ARG("s_server"), ARG("-accept"), ARG("127.0.0.1:0"),
				     ARG("-www"), ARG("-key"), ARG("key.pem"), ARG("-cert"),
				     certificate, ARG("-cipher"), ARG("ALL:@SECLEVEL=0"), version),
			     &fd);
	assert_true(s->pid > 0);
	s->out = fdopen(fd, "r");
	assert_non_null(s->out);
	while (s->port == 0 && fgets(line, sizeof(line), s->out))
		if (strncmp(line, "ACCEPT 127.0.0.1:", 17) == 0)
			s->port = (int)strtol(line + 17, NULL, 10);
	assert_int_not_equal(s->port, 0);
}

static void
start(struct server *s)
{
	start_with(s, ARG("cert.pem"), NULL);
}

static void
stop(struct server *s)
{
	(void)kill(s->pid, SIGKILL);
	(void)waitpid(s->pid, NULL, 0);
	(void)fclose(s->out);
}

static int
ask(struct transport *t, const char *host, int port, struct err *err)
{
	struct http_resp resp;
	char url[100];
	struct http_req req = {
	    .method = "GET",
	    .url = url,
	    .service = "test",
	    .operation = "Test",
	    .account = "",
	    .region = "",
	    .limits = {.connect_ms = 4000, .total_ms = 10000},
	};
	int r;

	(void)snprintf(url, sizeof(url), "https://%s:%d/", host, port);
	resp_init(&resp, 1u << 20);
	r = transport_send(t, &req, &resp, err);
	resp_done(&resp);
	return r;
}

static struct transport *
new_transport(const char *ca_bundle)
{
	const struct curl_options opt = {.ca_bundle = ca_bundle};
	struct transport *t;

	assert_int_equal(curl_transport_new(&opt, &t, NULL), 0);
	return t;
}

static void
ask_well(int times)
{
	struct transport *t;
	struct server s;
	struct err err;

	start(&s);
	t = new_transport("cert.pem");
	while (times-- > 0)
		assert_int_equal(ask(t, "localhost", s.port, &err), 0);
	transport_free(t);
	stop(&s);
}

static void
test_trusted(void **state)
{
	(void)state;
	ask_well(3);
}

static void
test_keys_are_not_logged(void **state)
{
	(void)state;
	ask_well(1);
	assert_int_equal(access("keys.log", F_OK), -1);
}

/* What was decrypted is told not to stay in OpenSSL's buffers. */
static void
test_plaintext_is_wiped(void **state)
{
	struct transport *t;
	struct server s;

	(void)state;
	start(&s);
	options = 0;
	t = new_transport("cert.pem");
	assert_int_equal(ask(t, "localhost", s.port, NULL), 0);
	assert_true(options & SSL_OP_CLEANSE_PLAINTEXT);
	transport_free(t);
	stop(&s);
}

static void
test_unknown_issuer(void **state)
{
	struct transport *t;
	struct server s;
	struct err err;

	(void)state;
	start(&s);
	t = new_transport(NULL);
	assert_int_equal(ask(t, "localhost", s.port, &err), -1);
	assert_int_equal(err.kind, ERR_REJECTED);
	assert_non_null(strstr(err.msg, "certificate of host localhost not trusted"));
	transport_free(t);
	stop(&s);
}

static void
test_other_host(void **state)
{
	struct transport *t;
	struct server s;
	struct err err;

	(void)state;
	start(&s);
	t = new_transport("cert.pem");
	assert_int_equal(ask(t, "127.0.0.1", s.port, &err), -1);
	assert_int_equal(err.kind, ERR_REJECTED);
	assert_non_null(strstr(err.msg, "certificate of host 127.0.0.1 not trusted"));
	transport_free(t);
	stop(&s);
}

/* The same certificate, but it ended an hour ago. */
static void
make_expired(void)
{
	FILE *in = fopen("cert.pem", "re"), *key_in = fopen("key.pem", "re");
	FILE *out = fopen("old.pem", "we");
	EVP_PKEY *key;
	X509 *cert;

	assert_true(in && key_in && out);
	cert = PEM_read_X509(in, NULL, NULL, NULL);
	key = PEM_read_PrivateKey(key_in, NULL, NULL, NULL);
	assert_true(cert && key);
	assert_non_null(X509_gmtime_adj(X509_getm_notBefore(cert), -7200));
	assert_non_null(X509_gmtime_adj(X509_getm_notAfter(cert), -3600));
	assert_true(X509_sign(cert, key, EVP_sha256()) > 0);
	assert_int_equal(PEM_write_X509(out, cert), 1);
	X509_free(cert);
	EVP_PKEY_free(key);
	(void)fclose(in);
	(void)fclose(key_in);
	assert_int_equal(fclose(out), 0);
}

static void
test_expired(void **state)
{
	struct transport *t;
	struct server s;
	struct err err;

	(void)state;
	if (access("cert.pem", R_OK) < 0)
		skip();
	make_expired();
	start_with(&s, ARG("old.pem"), NULL);
	t = new_transport("old.pem");
	assert_int_equal(ask(t, "localhost", s.port, &err), -1);
	assert_int_equal(err.kind, ERR_REJECTED);
	assert_non_null(strstr(err.msg, "certificate of host localhost not trusted"));
	transport_free(t);
	stop(&s);
	(void)unlink("old.pem");
}

static void
try_version(char *version, int expected)
{
	struct transport *t;
	struct server s;

	start_with(&s, ARG("cert.pem"), version);
	t = new_transport("cert.pem");
	assert_int_equal(ask(t, "localhost", s.port, NULL), expected);
	transport_free(t);
	stop(&s);
}

/* TLS 1.2 at the least, though OpenSSL was told to take anything (allow_all). */
static void
test_old_tls(void **state)
{
	(void)state;
	try_version(ARG("-tls1_3"), 0);
	try_version(ARG("-tls1_2"), 0);
	try_version(ARG("-tls1_1"), -1);
	try_version(ARG("-tls1"), -1);
}

/* `spoken`: it comes to a CONNECT, to which this proxy has no answer. */
static void
try_proxy(char *version, bool spoken)
{
	struct transport *t;
	char proxy[64];
	struct server s;
	struct err err;

	start_with(&s, ARG("cert.pem"), version);
	(void)snprintf(proxy, sizeof(proxy), "https://localhost:%d", s.port);
	/* NOLINTNEXTLINE(concurrency-mt-unsafe): this is the only thread */
	assert_int_equal(setenv("https_proxy", proxy, 1), 0);
	t = new_transport("cert.pem");
	assert_int_equal(ask(t, "behind-it.invalid", 443, &err), -1);
	assert_true(!strstr(err.msg, "protocol version") == spoken);
	transport_free(t);
	(void)unsetenv("https_proxy"); /* NOLINT(concurrency-mt-unsafe) */
	stop(&s);
}

static void
test_old_tls_of_a_proxy(void **state)
{
	(void)state;
	try_proxy(ARG("-tls1_2"), true);
	try_proxy(ARG("-tls1_1"), false);
}

static void
test_bundle_that_is_none(void **state)
{
	struct transport *t;
	struct err err;

	(void)state;
	if (access("key.pem", R_OK) < 0)
		skip();
	t = new_transport("no-such-file.pem");
	assert_int_equal(ask(t, "localhost", 1, &err), -1);
	assert_int_equal(err.kind, ERR_USAGE);
	assert_non_null(strstr(err.msg, "no-such-file.pem"));
	transport_free(t);
	t = new_transport("key.pem");
	assert_int_equal(ask(t, "localhost", 1, &err), -1);
	assert_int_equal(err.kind, ERR_USAGE);
	transport_free(t);
}

static void
test_no_tls_at_all(void **state)
{
	static const struct stub_script scripts[] = {
	    {{{.op = STUB_SEND, .bytes = "HTTP/1.1 200 OK\r\n\r\n", .n = 19}}}};
	struct stub_server *server = stub_start(scripts, 1);
	struct transport *t;
	struct err err;

	(void)state;
	assert_non_null(server);
	t = new_transport(NULL);
	assert_int_equal(
	    ask(t, "127.0.0.1", (int)strtol(strrchr(stub_url(server), ':') + 1, NULL, 10), &err),
	    -1);
	assert_int_equal(err.kind, ERR_TRANSIENT);
	transport_free(t);
	stub_stop(server);
}

enum { WORKERS = 4 };

struct job {
	struct transport *t;
	int port;
};

static void *
work(void *arg)
{
	struct job *j = arg;
	uintptr_t bad = 0;

	for (int i = 0; i < 4; i++)
		bad += ask(j->t, "localhost", j->port, NULL) < 0;
	return (void *)bad;
}

/* The trust store and the TLS sessions are shared by all. */
static void
test_threads(void **state)
{
	pthread_t threads[WORKERS];
	struct server s;
	struct job j;

	(void)state;
	start(&s);
	j = (struct job){new_transport("cert.pem"), s.port};
	for (size_t i = 0; i < WORKERS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, work, &j), 0);
	for (size_t i = 0; i < WORKERS; i++) {
		void *bad;

		(void)pthread_join(threads[i], &bad);
		assert_null(bad);
	}
	transport_free(j.t);
	stop(&s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_keys_are_not_logged),
	    cmocka_unit_test(test_trusted),
	    cmocka_unit_test(test_unknown_issuer),
	    cmocka_unit_test(test_other_host),
	    cmocka_unit_test(test_bundle_that_is_none),
	    cmocka_unit_test(test_expired),
	    cmocka_unit_test(test_old_tls),
	    cmocka_unit_test(test_old_tls_of_a_proxy),
	    cmocka_unit_test(test_no_tls_at_all),
	    cmocka_unit_test(test_threads),
	    cmocka_unit_test(test_plaintext_is_wiped),
	};

	return cmocka_run_group_tests(tests, make_certificate, remove_certificate);
}
