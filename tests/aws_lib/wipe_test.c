/*
 * Nothing of a secret stays behind: AssumeRole over a real socket, signed with a session token,
 * keys in the answer; programs and files that hold keys; a configuration's passwords and a
 * receiver's; then every writable byte of this process is searched for them.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <malloc.h>
#include <openssl/crypto.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "aws/aws_err.h"
#include "aws/cred_sources.h"
#include "aws/sigv4.h"
#include "aws/sts.h"
#include "base/cleanup.h"
#include "run/config.h"
#include "sink/sink_http.h"
#include "tests/support/stub_server.h"

#define SECRET_LEN  48
#define MAX_MAPPING ((size_t)256 << 20) /* larger ones are the sanitizers' tables */

enum which { OUR_SECRET, OUR_TOKEN, THEIR_SECRET, THEIR_TOKEN, WITNESS, N_SECRETS };

/* The secrets exist nowhere but where they are used: each letter is computed. */
static char
letter(enum which w, size_t i)
{
	return (char)('a' + mix64(1000 * (uint64_t)w + i) % 26);
}

static void
add_secret(struct buf *b, enum which w)
{
	for (size_t i = 0; i < SECRET_LEN; i++)
		buf_ch(b, letter(w, i));
}

/* Most of the memory is zeros, which memchr() passes quickly. */
static int
count_in(const char *p, const char *end, enum which w)
{
	char first = letter(w, 0);
	int found = 0;

	for (; end - p >= SECRET_LEN; p++) {
		size_t i = 0;

		p = memchr(p, first, (size_t)(end - p - SECRET_LEN + 1));
		if (!p)
			break;
		while (i < SECRET_LEN && p[i] == letter(w, i))
			i++;
		found += i == SECRET_LEN;
	}
	return found;
}

/* Read as a file, no checker of memory accesses has to be asked. */
static int
count_in_mapping(int mem, uintptr_t from, uintptr_t to, enum which w)
{
	static char chunk[64 << 10];
	int found = 0;

	while (from < to) {
		size_t n = to - from < sizeof(chunk) ? to - from : sizeof(chunk);
		ssize_t got = pread(mem, chunk, n, (off_t)from);

		if (got <= 0)
			break;
		found += count_in(chunk, chunk + got, w);
		if ((size_t)got <= SECRET_LEN)
			break;
		from += (size_t)got - SECRET_LEN + 1; /* it may lie across the cut */
	}
	OPENSSL_cleanse(chunk, sizeof(chunk));
	return found;
}

/* In the place of the C library's, for our own code: what is freed is looked at, for the next who
 * gets that memory may write over it; and what grows moves each time. */
static int own_memory = -1; /* while a test wants that */
static int left_behind;

void __real_free(void *p);
void __wrap_free(void *p);
void *__wrap_realloc(void *p, size_t n);

void
__wrap_free(void *p)
{
	uintptr_t at = (uintptr_t)p;

	for (enum which w = OUR_SECRET; p && own_memory >= 0 && w < N_SECRETS; w++)
		left_behind += count_in_mapping(own_memory, at, at + malloc_usable_size(p), w);
	__real_free(p);
}

void *
__wrap_realloc(void *p, size_t n)
{
	size_t had = p ? malloc_usable_size(p) : 0;
	void *to = malloc(n);

	if (!to || !p)
		return to;
	memcpy(to, p, had < n ? had : n);
	__wrap_free(p);
	return to;
}

static int
count_in_process(enum which w)
{
	FILE *maps = fopen("/proc/self/maps", "re");
	int mem = open("/proc/self/mem", O_RDONLY | O_CLOEXEC);
	char line[512];
	int found = 0;

	assert_non_null(maps);
	assert_true(mem >= 0);
	/* "from-to rwxp ..." */
	while (fgets(line, sizeof(line), maps)) {
		char *end;
		uintptr_t from = strtoumax(line, &end, 16);
		uintptr_t to = strtoumax(end + 1, &end, 16);

		if (strncmp(end, " rw", 3) == 0 && to - from <= MAX_MAPPING)
			found += count_in_mapping(mem, from, to, w);
	}
	(void)close(mem);
	(void)fclose(maps);
	return found;
}

static int
own_get(struct cred_source *s, const char *stale, struct cred *ret, struct err *err)
{
	struct buf secret = BUF_INIT(100), token = BUF_INIT(100);
	int r;

	(void)s;
	(void)stale;
	add_secret(&secret, OUR_SECRET);
	add_secret(&token, OUR_TOKEN);
	(void)snprintf(ret->key_id, sizeof(ret->key_id), "ASIAOURS");
	r = secret_set(&ret->secret, buf_view(&secret), err);
	if (r == 0)
		r = secret_set(&ret->token, buf_view(&token), err);
	secret_wipe_buf(&secret);
	secret_wipe_buf(&token);
	return r;
}

static void
own_free(struct cred_source *s)
{
	(void)s;
}

static const struct cred_source_ops own_ops = {"own", own_get, own_free, NULL};
static struct cred_source own = {&own_ops};

static void
make_answer(struct buf *out)
{
	struct buf xml = BUF_INIT(4000);

	(void)buf_reserve(&xml, 2000);
	(void)buf_reserve(out, 3000);
	buf_str(&xml, "<AssumeRoleResponse><AssumeRoleResult><AssumedRoleUser><Arn>"
		      "arn:aws:sts::111122223333:assumed-role/reader/x</Arn></AssumedRoleUser>"
		      "<Credentials><AccessKeyId>ASIATHEIRS</AccessKeyId><SecretAccessKey>");
	add_secret(&xml, THEIR_SECRET);
	buf_str(&xml, "</SecretAccessKey><SessionToken>");
	add_secret(&xml, THEIR_TOKEN);
	buf_str(&xml, "</SessionToken><Expiration>2030-01-01T00:00:00Z</Expiration></Credentials>"
		      "</AssumeRoleResult></AssumeRoleResponse>");
	buf_fmt(out, "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n", xml.n);
	buf_sv(out, buf_view(&xml));
	secret_wipe_buf(&xml);
}

static void
assume_role(struct transport *t, const char *endpoint)
{
	const struct assume_role role = {
	    .endpoint = endpoint,
	    .region = "eu-west-1",
	    .role_arn = "arn:aws:iam::111122223333:role/reader",
	    .session_name = "muster-test",
	    .expect_account = "111122223333",
	};
	struct cred_source *sts, *cache;
	struct cred c = {0};
	struct err err = {0};

	assert_int_equal(cred_sts_new(t, &own, &role, &sts, NULL), 0);
	assert_int_equal(cred_cache_new(sts, 1, clock_real(), &cache, NULL), 0);
	if (cred_get(cache, NULL, &c, &err) < 0)
		fail_msg("%s", err.msg);
	assert_string_equal(c.key_id, "ASIATHEIRS");
	assert_int_equal(c.token.n, SECRET_LEN);
	assert_true(count_in_process(THEIR_TOKEN) > 0);
	cred_done(&c);
	cred_source_free(cache);
}

/* Registers that copied a secret may be spilled on the stack by whoever runs next, also by the
 * dynamic loader; nobody can see to that, and the next calls write over it. */
__attribute__((noinline)) static void
scrub_stack(void)
{
	char room[64 << 10];

	OPENSSL_cleanse(room, sizeof(room));
}

/* STS is another process, and its memory no concern here. */
struct sts_process {
	pid_t pid;
	int to_parent[2], to_child[2];
	char url[64];
};

static void
serve_sts(struct sts_process *p)
{
	struct stub_script script = {{{.op = STUB_READ}, {.op = STUB_SEND}}};
	struct buf answer = BUF_INIT(4000);
	struct stub_server *server;
	char end;

	make_answer(&answer);
	script.steps[1].bytes = answer.p;
	script.steps[1].n = answer.n;
	server = stub_start(&script, 1);
	if (server && write(p->to_parent[1], stub_url(server), strlen(stub_url(server))) > 0)
		(void)!read(p->to_child[0], &end, 1); /* until the parent closes it */
	stub_stop(server);
	buf_done(&answer);
	_exit(0);
}

static void
start_sts(struct sts_process *p)
{
	*p = (struct sts_process){0};
	assert_int_equal(pipe(p->to_parent), 0);
	assert_int_equal(pipe(p->to_child), 0);
	p->pid = fork();
	assert_true(p->pid >= 0);
	if (p->pid == 0) {
		(void)close(p->to_child[1]);
		serve_sts(p);
	}
	assert_true(read(p->to_parent[0], p->url, sizeof(p->url) - 1) > 0);
}

static void
stop_sts(struct sts_process *p)
{
	(void)close(p->to_child[1]);
	(void)waitpid(p->pid, NULL, 0);
	(void)close(p->to_child[0]);
	(void)close(p->to_parent[0]);
	(void)close(p->to_parent[1]);
}

static void
test_nothing_stays(void **state)
{
	static const enum which gone[] = {OUR_SECRET, OUR_TOKEN, THEIR_SECRET, THEIR_TOKEN,
					  WITNESS};
	const struct curl_options opt = {.classify = aws_classify};
	struct buf witness = BUF_INIT(100);
	struct transport *t, *signing;
	struct sts_process sts;

	(void)state;
	start_sts(&sts);
	assert_int_equal(curl_transport_new(&opt, &t, NULL), 0);
	assert_int_equal(sign_transport_new(t, clock_real(), &signing, NULL), 0);
	assume_role(signing, sts.url);
	stop_sts(&sts);
	transport_free(signing);
	/* The search finds what is there, */
	add_secret(&witness, WITNESS);
	assert_true(count_in_process(WITNESS) > 0);
	secret_wipe_buf(&witness);
	/* and nothing else is. */
	scrub_stack();
	for (size_t i = 0; i < ARRAY_LEN(gone); i++)
		assert_int_equal(count_in_process(gone[i]), 0);
}

/* ---- keys from programs and files ---- */

/* A file with both secrets, the texts before, between and behind them given. Written by a child,
 * whose memory is its own. */
static void
write_keys(const char *path, const char *before, const char *between, const char *behind)
{
	int status = 1;
	pid_t pid = fork();

	if (pid == 0) {
		struct buf text = BUF_INIT(16000);
		FILE *f = fopen(path, "we");

		buf_str(&text, before);
		add_secret(&text, THEIR_SECRET);
		buf_str(&text, between);
		add_secret(&text, THEIR_TOKEN);
		buf_str(&text, behind);
		_exit(!f || fputs(buf_cstr(&text), f) < 0 || fclose(f));
	}
	assert_true(waitpid(pid, &status, 0) == pid && status == 0);
}

/* They are there while the source is, and nowhere afterwards. */
static void
assert_comes_and_goes(struct cred_source *s)
{
	struct cred c = {0};
	struct err err = {0};

	if (cred_get(s, NULL, &c, &err))
		fail_msg("%s", err.msg);
	assert_int_equal(c.token.n, SECRET_LEN);
	assert_true(count_in_process(THEIR_SECRET) > 0);
	cred_done(&c);
	cred_source_free(s);
	settings_done();
	scrub_stack();
	assert_int_equal(count_in_process(THEIR_SECRET), 0);
	assert_int_equal(count_in_process(THEIR_TOKEN), 0);
}

static void
test_profiles_and_programs(void **state)
{
	const struct cred_setup setup = {
	    .clock = clock_real(), .region = "eu-west-1", .session_name = "muster-test"};
	char file[] = "/tmp/muster-wipe-XXXXXX", command[64];
	struct cred_source *s = NULL;

	(void)state;
	assert_true(close(mkstemp(file)) == 0);
	write_keys(file, "[a]\naws_access_key_id = AKIDPROFILE\naws_secret_access_key = ",
		   "\naws_session_token = ", "\n[b]\nx = y\n");
	assert_int_equal(setenv("AWS_SHARED_CREDENTIALS_FILE", file, 1), 0);
	assert_int_equal(setenv("AWS_CONFIG_FILE", "/dev/null", 1), 0);
	assert_int_equal(settings_load(NULL), 0);
	assert_int_equal(cred_profile_new(&setup, settings_profiles(), "a", &s, NULL), 0);
	assert_comes_and_goes(s);
	write_keys(file,
		   "{\"Version\": 1, \"AccessKeyId\": \"AKIDPROCESS\", \"SecretAccessKey\": \"",
		   "\", \"SessionToken\": \"", "\"}");
	(void)snprintf(command, sizeof(command), "cat %s", file);
	assert_int_equal(cred_process_new(command, CRED_PROCESS_MS, clock_real(), &s, NULL), 0);
	assert_comes_and_goes(s);
	assert_int_equal(unlink(file), 0);
}

/* ---- a configuration's ---- */

/* NAME=<secret><behind> in the environment, whose text is `ret`: to be wiped. */
static void
set_variable(struct buf *ret, const char *name, enum which w, const char *behind)
{
	(void)buf_reserve(ret, 2000);
	buf_fmt(ret, "%s=", name);
	add_secret(ret, w);
	buf_str(ret, behind);
	assert_int_equal(putenv(ret->p), 0);
}

static void
begin_looking(void)
{
	left_behind = 0;
	own_memory = open("/proc/self/mem", O_RDONLY | O_CLOEXEC);
	assert_true(own_memory >= 0);
}

static void
end_looking(void)
{
	(void)close(own_memory);
	own_memory = -1;
}

static void
assert_gone(enum which w)
{
	scrub_stack();
	assert_int_equal(count_in_process(w), 0);
	assert_int_equal(left_behind, 0);
}

static struct config *
load_config(const char *path)
{
	struct conf_faults *f = conf_faults_new();
	struct config *c = NULL;

	(void)config_load(path, &c, f, NULL);
	if (!c)
		fail_msg("%s", conf_faults_count(f) ? conf_faults_get(f, 0) : "no memory");
	conf_faults_free(f);
	return c;
}

/* As a value, in a file, from the environment, with more behind it: while the configuration is
 * there, and not afterwards. */
static void
test_a_configuration(void **state)
{
	static const enum which all[] = {OUR_SECRET, OUR_TOKEN, THEIR_SECRET, THEIR_TOKEN};
	char file[] = "/tmp/muster-wipe-XXXXXX", conf[] = "/tmp/muster-wipe-XXXXXX";
	char before[9000];
	struct buf password = BUF_INIT(4000), external = BUF_INIT(4000);
	struct config *c;

	(void)state;
	begin_looking();
	assert_true(close(mkstemp(file)) == 0 && close(mkstemp(conf)) == 0);
	(void)snprintf(
	    before, sizeof(before),
	    "# %07000d\nregion: eu-west-1\nstate: file:///tmp/none\njobs: {a: {kind: alarms, to: "
	    "[x, y]}}\n"
	    "tenants: [{id: a, account: '111122223333', role: r, external_id: "
	    "'x/${WIPE_EXTERNAL}'}]\n"
	    "sinks:\n  x: {kind: alertmanager, url: 'http://127.0.0.1:1', basic_auth: "
	    "{username: me, password: '${WIPE_PASSWORD}${WIPE_TAIL:-%0150d}'}}\n"
	    "  y: {kind: alertmanager, url: 'http://127.0.0.1:1', basic_auth: {username: me, "
	    "password_file: '%s'}, headers: {X-Api-Key: '",
	    0, 0, file);
	write_keys(file, "", "", "");
	write_keys(conf, before, "', X-Other: '", "'}}\n");
	set_variable(&password, "WIPE_PASSWORD", OUR_SECRET, "");
	set_variable(&external, "WIPE_EXTERNAL", OUR_TOKEN, "");
	c = load_config(conf);
	assert_int_equal(unsetenv("WIPE_PASSWORD") | unsetenv("WIPE_EXTERNAL"), 0);
	secret_wipe_buf(&password);
	secret_wipe_buf(&external);
	scrub_stack();
	for (size_t i = 0; i < ARRAY_LEN(all); i++)
		assert_true(count_in_process(all[i]) > 0);
	config_free(c);
	for (size_t i = 0; i < ARRAY_LEN(all); i++)
		assert_gone(all[i]);
	end_looking();
	assert_int_equal(unlink(file) | unlink(conf), 0);
}

/* ---- a receiver's ---- */

/* A token's file of some length, and a name and password. */
static void
test_a_receiver(void **state)
{
	char file[] = "/tmp/muster-wipe-XXXXXX", behind[6000];
	struct sink_env env = {.clock = clock_real(), .region = "eu-west-1"};
	struct sink_conf conf = {.name = "x", .url = "http://127.0.0.1:1"};
	struct buf password = BUF_INIT(4000);
	struct sink_http h;

	(void)state;
	begin_looking();
	assert_true(close(mkstemp(file)) == 0);
	(void)snprintf(behind, sizeof(behind), "%05999d", 0);
	write_keys(file, "", "", behind);
	conf.bearer_token_file = file;
	assert_int_equal(sink_http_open(&h, &conf, &env, NULL), 0);
	assert_true(count_in_process(THEIR_SECRET) > 0);
	sink_http_done(&h);
	assert_gone(THEIR_SECRET);
	assert_int_equal(unlink(file), 0);
	(void)buf_reserve(&password, 2000);
	add_secret(&password, OUR_SECRET);
	conf.bearer_token_file = NULL;
	conf.basic_user = "me";
	conf.basic_password = password.p;
	assert_int_equal(sink_http_open(&h, &conf, &env, NULL), 0);
	secret_wipe_buf(&password);
	assert_int_equal(h.basic.n, strlen("Basic ") + (strlen("me:") + SECRET_LEN) / 3 * 4);
	sink_http_done(&h);
	assert_gone(OUR_SECRET);
	end_looking();
}

static int
global_init(void **state)
{
	(void)state;
	return curl_transport_global_init(NULL);
}

static int
global_done(void **state)
{
	(void)state;
	curl_transport_global_done();
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_nothing_stays),
	    cmocka_unit_test(test_profiles_and_programs),
	    cmocka_unit_test(test_a_configuration),
	    cmocka_unit_test(test_a_receiver),
	};

	return cmocka_run_group_tests(tests, global_init, global_done);
}
