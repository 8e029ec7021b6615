/*
 * Counting exchanges. Bills and reports need every attempt, not every success, so this sits right
 * above the bottom transport, where retries have already become single calls.
 */
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>

#include "base/cleanup.h"
#include "base/map.h"
#include "base/tally.h"
#include "net/transport.h"

/* Few for all accounts. */
struct name {
	char service[32], operation[48], code[48];
};
struct row {
	const struct name *name;
	uint64_t calls, bytes_out, bytes_in;
};
/* There may be ten thousand of them: each has room for its rows, some four, and no more. */
struct account {
	struct row *v;
	size_t n;
	char name[16];
};
struct call_counts {
	struct {
		pthread_mutex_t mu;
		struct map names;    /* of struct name */
		struct map accounts; /* of struct account */
		size_t n_rows;
		struct tally nobodys;
	} locked;
};

struct call_counts *
call_counts_new(void)
{
	struct call_counts *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	if (pthread_mutex_init(&c->locked.mu, NULL)) {
		free(c);
		return NULL;
	}
	return c;
}

static void
account_free(void *p)
{
	struct account *a = p;

	free(a->v);
	free(a);
}

void
call_counts_free(struct call_counts *c)
{
	if (!c)
		return;
	map_done(&c->locked.accounts, account_free);
	map_done(&c->locked.names, free);
	tally_done(&c->locked.nobodys);
	(void)pthread_mutex_destroy(&c->locked.mu);
	free(c);
}

static int
compare(const void *pa, const void *pb)
{
	const struct call_count *a = pa, *b = pb;
	int r = strcmp(a->service, b->service);

	r = r ? r : strcmp(a->operation, b->operation);
	r = r ? r : strcmp(a->account, b->account);
	return r ? r : strcmp(a->code, b->code);
}

struct copy {
	struct call_count *rows;
	size_t n;
};

static void
copy_account(struct sv key, void *value, void *arg)
{
	const struct account *a = value;
	struct copy *c = arg;

	(void)key;
	for (const struct row *r = a->v; r < a->v + a->n; r++)
		c->rows[c->n++] = (struct call_count){
		    .service = r->name->service,
		    .operation = r->name->operation,
		    .account = a->name,
		    .code = r->name->code,
		    .calls = r->calls,
		    .bytes_out = r->bytes_out,
		    .bytes_in = r->bytes_in,
		};
}

int
call_counts_get(struct call_counts *c, struct call_count **ret, size_t *ret_n, struct err *err)
{
	struct copy copy = {0};

	(void)pthread_mutex_lock(&c->locked.mu);
	/* One more, so that an empty table is no NULL. */
	copy.rows = calloc(c->locked.n_rows + 1, sizeof(*copy.rows));
	if (copy.rows)
		map_each(&c->locked.accounts, copy_account, &copy);
	(void)pthread_mutex_unlock(&c->locked.mu);
	if (!copy.rows)
		return err_nomem(err);
	qsort(copy.rows, copy.n, sizeof(*copy.rows), compare);
	*ret = copy.rows;
	*ret_n = copy.n;
	return 0;
}

/* A copy, cut to fit. */
static void
put(char *to, size_t size, const char *s)
{
	size_t n = s ? strlen(s) : 0;

	n = n < size ? n : size - 1;
	if (n)
		memcpy(to, s, n);
	to[n] = '\0';
}

/* What is there under the key, or `size` bytes of `fresh` put there; NULL without memory. */
static void *
find_or_add(struct map *m, struct sv key, const void *fresh, size_t size)
{
	void *p = map_get(m, key);

	if (p)
		return p;
	p = malloc(size);
	if (!p)
		return NULL;
	memcpy(p, fresh, size);
	if (map_put(m, key, p, NULL, NULL) < 0) {
		free(p);
		return NULL;
	}
	return p;
}

/* The row of an account and a name, made if need be; NULL without memory. */
static struct row *
row_locked(struct call_counts *c, const char *account_name, const struct name *name)
{
	struct account fresh = {0}, *account;
	char text[sizeof(*name)];
	const struct name *known;
	struct row *v;
	int n;

	n = snprintf(text, sizeof(text), "%s\n%s\n%s", name->service, name->operation, name->code);
	if (n < 0)
		return NULL;
	put(fresh.name, sizeof(fresh.name), account_name);
	known = find_or_add(&c->locked.names, (struct sv){text, (size_t)n}, name, sizeof(*name));
	account = find_or_add(&c->locked.accounts, sv_of(fresh.name), &fresh, sizeof(fresh));
	if (!known || !account)
		return NULL;
	for (v = account->v; v < account->v + account->n; v++)
		if (v->name == known)
			return v;
	v = reallocarray(account->v, account->n + 1, sizeof(*v));
	if (!v)
		return NULL;
	account->v = v;
	v += account->n++;
	*v = (struct row){.name = known};
	c->locked.n_rows++;
	return v;
}

void
call_counts_take(struct call_counts *c, struct tally *to)
{
	(void)pthread_mutex_lock(&c->locked.mu);
	tally_add_all(to, &c->locked.nobodys);
	tally_done(&c->locked.nobodys);
	(void)pthread_mutex_unlock(&c->locked.mu);
}

struct count_transport {
	struct transport base;
	struct transport *next;
	struct call_counts *counts;
};

static void
count(struct call_counts *c, const struct http_req *req, const struct http_resp *resp, int result,
      const struct err *err)
{
	struct name key = {0};
	struct row *row;

	put(key.service, sizeof(key.service), req->service);
	put(key.operation, sizeof(key.operation), req->operation);
	if (result == 0)
		put(key.code, sizeof(key.code), "200");
	else if (err->code[0])
		put(key.code, sizeof(key.code), err->code);
	else if (resp->status)
		(void)snprintf(key.code, sizeof(key.code), "%d", resp->status);
	else
		put(key.code, sizeof(key.code), err_kind_name(err->kind));
	if (tally_used() && req->auth == AUTH_SIGV4)
		tally_add(tally_used(), key.service, key.operation, key.code, 1);
	(void)pthread_mutex_lock(&c->locked.mu);
	if (!tally_used() && req->auth == AUTH_SIGV4)
		tally_add(&c->locked.nobodys, key.service, key.operation, key.code, 1);
	row = row_locked(c, req->account, &key); /* without memory this call goes uncounted */
	if (row) {
		row->calls++;
		row->bytes_out += req->body.n;
		row->bytes_in += resp->body.n;
	}
	(void)pthread_mutex_unlock(&c->locked.mu);
}

static int
count_send(struct transport *t, const struct http_req *req, struct http_resp *resp, struct err *err)
{
	struct count_transport *c = (struct count_transport *)t;
	struct err own = {0};
	int r = transport_send(c->next, req, resp, &own);

	count(c->counts, req, resp, r, &own);
	if (r < 0 && err)
		*err = own;
	return r;
}

static void
count_free(struct transport *t)
{
	struct count_transport *c = (struct count_transport *)t;

	transport_free(c->next);
	free(c);
}

int
count_transport_new(struct transport *next, struct call_counts *counts, struct transport **ret,
		    struct err *err)
{
	static const struct transport_ops ops = {"count", count_send, count_free};
	struct count_transport *c = calloc(1, sizeof(*c));

	if (!c)
		return err_nomem(err);
	c->base.ops = &ops;
	c->next = next;
	c->counts = counts;
	*ret = &c->base;
	return 0;
}
