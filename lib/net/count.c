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

struct call_counts {
	struct {
		pthread_mutex_t mu;
		struct map
		    map; /* of struct call_count, keyed by service, operation, account, code */
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

void
call_counts_free(struct call_counts *c)
{
	if (!c)
		return;
	map_done(&c->locked.map, free);
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
copy_one(struct sv key, void *value, void *arg)
{
	struct copy *c = arg;

	(void)key;
	c->rows[c->n++] = *(struct call_count *)value;
}

int
call_counts_get(struct call_counts *c, struct call_count **ret, size_t *ret_n, struct err *err)
{
	struct copy copy = {0};

	(void)pthread_mutex_lock(&c->locked.mu);
	/* One more, so that an empty table is no NULL. */
	copy.rows = calloc(map_count(&c->locked.map) + 1, sizeof(*copy.rows));
	if (copy.rows)
		map_each(&c->locked.map, copy_one, &copy);
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

/* The row of this key, made if need be; NULL without memory. */
static struct call_count *
row_locked(struct call_counts *c, const struct call_count *key)
{
	char text[sizeof(*key)];
	struct call_count *row;
	int n;

	n = snprintf(text, sizeof(text), "%s\n%s\n%s\n%s", key->service, key->operation,
		     key->account, key->code);
	if (n < 0)
		return NULL;
	row = map_get(&c->locked.map, (struct sv){text, (size_t)n});
	if (row)
		return row;
	row = malloc(sizeof(*row));
	if (!row)
		return NULL;
	*row = *key;
	if (map_put(&c->locked.map, (struct sv){text, (size_t)n}, row, NULL, NULL) < 0) {
		free(row);
		return NULL;
	}
	return row;
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
	struct call_count key = {0}, *row;

	put(key.service, sizeof(key.service), req->service);
	put(key.operation, sizeof(key.operation), req->operation);
	put(key.account, sizeof(key.account), req->account);
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
	row = row_locked(c, &key); /* without memory this call goes uncounted */
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
