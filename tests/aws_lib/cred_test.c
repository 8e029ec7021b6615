/* Credentials: from the environment, and kept, shared and renewed by the cache. */
#include "aws/cred.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "base/cleanup.h"

#define MINUTE_MS 60000
#define START_MS  1767225600000

/* ---- the environment ---- */

static int
clean(void **state)
{
	static const char *const names[] = {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY",
					    "AWS_SESSION_TOKEN", "AWS_CREDENTIAL_EXPIRATION",
					    "AWS_ACCOUNT_ID"};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		(void)unsetenv(names[i]);
	return 0;
}

static void
set(const char *name, const char *value)
{
	assert_int_equal(setenv(name, value, 1), 0);
}

static enum err_kind
env_kind(void)
{
	struct cred_source *s = NULL;
	struct err err = {0};

	if (cred_env_new(&s, &err) == 0)
		cred_source_free(s);
	return err.kind;
}

static void
test_env(void **state)
{
	CLEANUP(cred_done) struct cred c = {0};
	struct cred_source *s;
	struct err err;

	(void)state;
	set("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE");
	set("AWS_SECRET_ACCESS_KEY", "secret");
	set("AWS_SESSION_TOKEN", "token");
	set("AWS_CREDENTIAL_EXPIRATION", "2026-01-01T00:00:00Z");
	set("AWS_ACCOUNT_ID", "111122223333");
	assert_int_equal(cred_env_new(&s, &err), 0);
	(void)clean(NULL); /* read once */
	assert_int_equal(cred_get(s, NULL, &c, &err), 0);
	assert_string_equal(c.key_id, "AKIDEXAMPLE");
	assert_string_equal(c.secret.p, "secret");
	assert_string_equal(c.token.p, "token");
	assert_string_equal(c.account, "111122223333");
	assert_int_equal(c.expires_wall_ms, START_MS);
	/* There is nothing newer. */
	assert_int_equal(cred_get(s, "AKIDEXAMPLE", &c, &err), -1);
	assert_int_equal(err.kind, ERR_AUTH);
	assert_int_equal(cred_get(s, "AKIDOTHER", &c, &err), 0);
	cred_source_free(s);
	cred_source_free(NULL);
}

static void
test_env_incomplete(void **state)
{
	char long_id[200];

	(void)state;
	assert_int_equal(env_kind(), ERR_NOTFOUND);
	set("AWS_ACCESS_KEY_ID", "");
	set("AWS_SECRET_ACCESS_KEY", "");
	assert_int_equal(env_kind(), ERR_NOTFOUND);
	set("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE");
	assert_int_equal(env_kind(), ERR_AUTH);
	set("AWS_ACCESS_KEY_ID", "");
	set("AWS_SECRET_ACCESS_KEY", "secret");
	assert_int_equal(env_kind(), ERR_AUTH);
	set("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE");
	assert_int_equal(env_kind(), ERR_NONE);
	set("AWS_CREDENTIAL_EXPIRATION", "tomorrow");
	assert_int_equal(env_kind(), ERR_AUTH);
	(void)unsetenv("AWS_CREDENTIAL_EXPIRATION");
	memset(long_id, 'A', sizeof(long_id) - 1);
	long_id[sizeof(long_id) - 1] = '\0';
	set("AWS_ACCESS_KEY_ID", long_id);
	assert_int_equal(env_kind(), ERR_AUTH);
}

static void
test_copy(void **state)
{
	struct cred a = {.key_id = "A", .expires_wall_ms = 5, .account = "1"};
	struct cred b = {0};

	(void)state;
	assert_int_equal(secret_set(&a.secret, SV("s"), NULL), 0);
	assert_int_equal(cred_copy(&b, &a, NULL), 0);
	assert_int_equal(cred_copy(&b, &a, NULL), 0);
	assert_ptr_not_equal(a.secret.p, b.secret.p);
	cred_done(&a);
	assert_int_equal(a.key_id[0], '\0');
	assert_string_equal(b.secret.p, "s");
	assert_null(b.token.p);
	assert_int_equal(b.expires_wall_ms, 5);
	cred_done(&b);
	cred_done(&b);
}

/* ---- a source to cache ---- */

struct maker {
	struct cred_source base;
	struct clock *clock;
	int64_t life_ms; /* 0: for ever */
	atomic_int calls;
	atomic_bool fail;
	atomic_int slow_ms; /* of real time */
	atomic_bool same_key;
};

static int
maker_get(struct cred_source *s, const char *stale, struct cred *ret, struct err *err)
{
	struct maker *m = (struct maker *)s;
	int n = atomic_fetch_add(&m->calls, 1) + 1;

	(void)stale;
	if (atomic_load(&m->slow_ms))
		(void)clock_sleep(clock_real(), atomic_load(&m->slow_ms), NULL);
	if (atomic_load(&m->fail))
		return err_set(err, ERR_AUTH, "no role %d", n);
	(void)snprintf(ret->key_id, sizeof(ret->key_id), "ASIA%d",
		       atomic_load(&m->same_key) ? 0 : n);
	if (m->life_ms)
		ret->expires_wall_ms = clock_wall_ms(m->clock) + m->life_ms;
	if (secret_set(&ret->secret, SV("secret"), err) < 0)
		return -1;
	return secret_set(&ret->token, SV("token"), err);
}

static void
maker_free(struct cred_source *s)
{
	(void)s;
}

static const struct cred_source_ops maker_ops = {"maker", maker_get, maker_free, NULL};

struct fixture {
	struct maker maker;
	struct clock *clock;
	struct cred_source *cache;
	struct err err;
};

static void
begin(struct fixture *f, int64_t life_ms)
{
	memset(f, 0, sizeof(*f));
	f->clock = clock_fake_new(START_MS);
	assert_non_null(f->clock);
	f->maker.base.ops = &maker_ops;
	f->maker.clock = f->clock;
	f->maker.life_ms = life_ms;
	assert_int_equal(cred_cache_new(&f->maker.base, 11, f->clock, &f->cache, NULL), 0);
}

static void
end(struct fixture *f)
{
	cred_source_free(f->cache);
	clock_fake_free(f->clock);
}

/* The number in the key that the cache answers with, -1 for an error. */
static int
get(struct fixture *f, const char *stale)
{
	CLEANUP(cred_done) struct cred c = {0};
	int n = -1;

	if (cred_get(f->cache, stale, &c, &f->err) == 0)
		n = (int)strtol(c.key_id + 4, NULL, 10);
	return n;
}

static void
test_kept(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f, 0);
	assert_int_equal(get(&f, NULL), 1);
	clock_fake_advance(f.clock, (int64_t)10000 * 60 * MINUTE_MS);
	assert_int_equal(get(&f, NULL), 1);
	end(&f);
}

static void
test_refreshed_ahead(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f, 60 * MINUTE_MS);
	assert_int_equal(get(&f, NULL), 1);
	/* Advisory: 15 minutes before the end, up to a minute earlier by jitter. */
	clock_fake_advance(f.clock, 44 * MINUTE_MS - 1);
	assert_int_equal(get(&f, NULL), 1);
	clock_fake_advance(f.clock, MINUTE_MS + 1);
	assert_int_equal(get(&f, NULL), 2);
	assert_int_equal(get(&f, NULL), 2);
	assert_int_equal(atomic_load(&f.maker.calls), 2);
	end(&f);
}

static void
test_advisory_failure_is_ignored(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f, 60 * MINUTE_MS);
	assert_int_equal(get(&f, NULL), 1);
	atomic_store(&f.maker.fail, true);
	clock_fake_advance(f.clock, 45 * MINUTE_MS);
	assert_int_equal(get(&f, NULL), 1);
	assert_int_equal(atomic_load(&f.maker.calls), 2);
	/* Not asked again at once, but soon. */
	assert_int_equal(get(&f, NULL), 1);
	assert_int_equal(atomic_load(&f.maker.calls), 2);
	clock_fake_advance(f.clock, MINUTE_MS);
	assert_int_equal(get(&f, NULL), 1);
	assert_int_equal(atomic_load(&f.maker.calls), 3);
	/* Mandatory from 10 minutes before the end: now it counts. */
	clock_fake_advance(f.clock, 4 * MINUTE_MS);
	assert_int_equal(get(&f, NULL), -1);
	assert_int_equal(f.err.kind, ERR_AUTH);
	assert_string_equal(f.err.msg, "no role 4");
	atomic_store(&f.maker.fail, false);
	assert_int_equal(get(&f, NULL), 5);
	end(&f);
}

static void
test_short_sessions(void **state)
{
	struct fixture f;

	(void)state;
	/* 15 minutes: from half of it on, less at most a tenth. */
	begin(&f, 15 * MINUTE_MS);
	assert_int_equal(get(&f, NULL), 1);
	clock_fake_advance(f.clock, 6 * MINUTE_MS - 1);
	assert_int_equal(get(&f, NULL), 1);
	clock_fake_advance(f.clock, 90001);
	assert_int_equal(get(&f, NULL), 2);
	atomic_store(&f.maker.fail, true);
	clock_fake_advance(f.clock, 10 * MINUTE_MS - 1);
	assert_int_equal(get(&f, NULL), 2);
	clock_fake_advance(f.clock, 1);
	assert_int_equal(get(&f, NULL), -1);
	end(&f);
}

static void
test_jitter_differs(void **state)
{
	struct fixture f[8];
	int refreshed = 0;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(f); i++) {
		begin(&f[i], 60 * MINUTE_MS);
		cred_source_free(f[i].cache);
		assert_int_equal(cred_cache_new(&f[i].maker.base, i, f[i].clock, &f[i].cache, NULL),
				 0);
		assert_int_equal(get(&f[i], NULL), 1);
		clock_fake_advance(f[i].clock, 44 * MINUTE_MS + MINUTE_MS / 2);
		refreshed += get(&f[i], NULL) == 2;
		end(&f[i]);
	}
	assert_in_range(refreshed, 1, 7);
}

static void
test_looks_expired_on_arrival(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f, -5 * MINUTE_MS);
	assert_int_equal(get(&f, NULL), 1);
	assert_int_equal(get(&f, NULL), 1);
	clock_fake_advance(f.clock, MINUTE_MS);
	assert_int_equal(get(&f, NULL), 2);
	end(&f);
}

static void
test_stale(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f, 60 * MINUTE_MS);
	assert_int_equal(get(&f, NULL), 1);
	assert_int_equal(get(&f, "ASIA1"), 2);
	/* The second caller with the same complaint finds newer ones already. */
	assert_int_equal(get(&f, "ASIA1"), 2);
	assert_int_equal(atomic_load(&f.maker.calls), 2);
	atomic_store(&f.maker.same_key, true);
	assert_int_equal(get(&f, "ASIA2"), 0);
	assert_int_equal(get(&f, "ASIA0"), -1);
	assert_int_equal(f.err.kind, ERR_AUTH);
	end(&f);
}

enum { WORKERS = 8 };

static void *
work(void *arg)
{
	return (void *)(intptr_t)get(&(struct fixture){.cache = arg}, NULL);
}

/* What WORKERS callers get who come at once. */
static int
get_at_once(struct fixture *f)
{
	pthread_t threads[WORKERS];
	void *n = NULL, *first = NULL;

	for (size_t i = 0; i < WORKERS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, work, f->cache), 0);
	for (size_t i = 0; i < WORKERS; i++) {
		(void)pthread_join(threads[i], &n);
		if (i == 0)
			first = n;
		assert_ptr_equal(n, first);
	}
	return (int)(intptr_t)n;
}

static void
test_one_flight(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f, 60 * MINUTE_MS);
	atomic_store(&f.maker.slow_ms, 200);
	assert_int_equal(get_at_once(&f), 1);
	assert_int_equal(atomic_load(&f.maker.calls), 1);
	end(&f);
}

static void
test_one_failure_for_all(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f, 60 * MINUTE_MS);
	atomic_store(&f.maker.slow_ms, 500);
	atomic_store(&f.maker.fail, true);
	assert_int_equal(get_at_once(&f), -1);
	assert_int_equal(atomic_load(&f.maker.calls), 1);
	end(&f);
}

/* While one renews ahead of time, the others go on with what there is. */
static void
test_others_go_on(void **state)
{
	struct fixture f;
	pthread_t thread;
	void *n;

	(void)state;
	begin(&f, 60 * MINUTE_MS);
	assert_int_equal(get(&f, NULL), 1);
	clock_fake_advance(f.clock, 46 * MINUTE_MS);
	atomic_store(&f.maker.slow_ms, 400);
	assert_int_equal(pthread_create(&thread, NULL, work, f.cache), 0);
	while (atomic_load(&f.maker.calls) < 2)
		(void)clock_sleep(clock_real(), 1, NULL);
	assert_int_equal(get(&f, NULL), 1);
	(void)pthread_join(thread, &n);
	assert_int_equal((intptr_t)n, 2);
	assert_int_equal(atomic_load(&f.maker.calls), 2);
	end(&f);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_env, clean, clean),
	    cmocka_unit_test_setup_teardown(test_env_incomplete, clean, clean),
	    cmocka_unit_test(test_copy),
	    cmocka_unit_test(test_kept),
	    cmocka_unit_test(test_refreshed_ahead),
	    cmocka_unit_test(test_advisory_failure_is_ignored),
	    cmocka_unit_test(test_short_sessions),
	    cmocka_unit_test(test_jitter_differs),
	    cmocka_unit_test(test_looks_expired_on_arrival),
	    cmocka_unit_test(test_stale),
	    cmocka_unit_test(test_one_flight),
	    cmocka_unit_test(test_one_failure_for_all),
	    cmocka_unit_test(test_others_go_on),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
