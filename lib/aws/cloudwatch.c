/*
 * The calls of CloudWatch metrics without their spelling: picks the protocol's row, remembers per
 * region which protocol the endpoint understands, and holds what all readers share.
 */
#include "aws/cloudwatch.h"

#include <stdatomic.h>

#include "aws/cloudwatch_codec.h"
#include "base/cleanup.h"
#include "base/hash.h"
#include "base/num.h"

static const struct cw_codec *const codecs[CW_N_PROTOS] = {
    [CW_CBOR] = &cw_codec_cbor,
    [CW_JSON] = &cw_codec_json,
    [CW_QUERY] = &cw_codec_query,
};

static void
call_fill(struct aws_call *call, enum cw_proto p, const char *operation)
{
	call->service = "monitoring";
	call->operation = operation;
	call->proto = codecs[p]->proto;
}

int
cw_list_call(enum cw_proto p, const struct cw_list_req *q, struct aws_call *call, struct err *err)
{
	call_fill(call, p, "ListMetrics");
	call->target = codecs[p]->list_target;
	call->path = codecs[p]->list_path;
	codecs[p]->build_list(q, &call->body);
	return buf_check(&call->body, "ListMetrics request", err);
}

int
cw_data_call(enum cw_proto p, const struct cw_data_req *q, struct aws_call *call, struct err *err)
{
	call_fill(call, p, "GetMetricData");
	call->target = codecs[p]->data_target;
	call->path = codecs[p]->data_path;
	codecs[p]->build_data(q, codecs[p]->max_datapoints, &call->body);
	return buf_check(&call->body, "GetMetricData request", err);
}

enum page_token
cw_token_peek(enum cw_proto p, struct sv body, struct buf *ret)
{
	return page_token_peek(codecs[p]->proto, body, "NextToken", ret);
}

int
cw_list_read(enum cw_proto p, struct sv body, struct arena *a, struct cw_list_page *ret,
	     struct err *err)
{
	*ret = (struct cw_list_page){0};
	return codecs[p]->read_list(body, a, ret, err);
}

int
cw_data_read(enum cw_proto p, struct sv body, struct arena *a, struct cw_data_page *ret,
	     struct err *err)
{
	*ret = (struct cw_data_page){0};
	return codecs[p]->read_data(body, a, ret, err);
}

int
cw_metric_cmp(const struct cw_metric *a, const struct cw_metric *b)
{
	size_t n = a->n_dims < b->n_dims ? a->n_dims : b->n_dims;
	int c = strcmp(a->ns, b->ns);

	if (!c)
		c = strcmp(a->name, b->name);
	for (size_t i = 0; i < n && !c; i++) {
		c = strcmp(a->dims[i].name, b->dims[i].name);
		if (!c)
			c = strcmp(a->dims[i].value, b->dims[i].value);
	}
	return c ? c : (a->n_dims > b->n_dims) - (a->n_dims < b->n_dims);
}

/* Protocols learnt */

/* Hashes of regions, one column for each protocol that may turn out unknown. Regions number some
 * forty; when all slots are taken, nothing more is remembered and each pull finds out for itself.
 */
#define LEARNT_SLOTS 64
static _Atomic uint64_t learnt[CW_N_PROTOS][LEARNT_SLOTS];
static _Atomic unsigned first_proto;

static uint64_t
region_hash(const char *region)
{
	uint64_t h = fnv1a64(sv_of(region));

	return h ? h : 1; /* 0 means an empty slot */
}

static bool
known_bad(enum cw_proto p, uint64_t h)
{
	for (size_t i = 0; i < LEARNT_SLOTS; i++) {
		uint64_t v = atomic_load_explicit(&learnt[p][i], memory_order_relaxed);

		if (v == h)
			return true;
		if (!v)
			break;
	}
	return false;
}

enum cw_proto
cw_proto_of(const char *region)
{
	uint64_t h = region_hash(region);

	for (unsigned p = atomic_load(&first_proto); p < CW_N_PROTOS; p++)
		if (!known_bad((enum cw_proto)p, h))
			return (enum cw_proto)p;
	return CW_JSON;
}

enum cw_proto
cw_proto_of_call(const struct aws_call *call)
{
	unsigned p = 0;

	while (p + 1 < CW_N_PROTOS && codecs[p]->proto != call->proto)
		p++;
	return (enum cw_proto)p;
}

void
cw_proto_begin(enum cw_proto first)
{
	atomic_store(&first_proto, (unsigned)first);
}

enum cw_proto
cw_proto_avoid(const char *region, enum cw_proto p)
{
	uint64_t h = region_hash(region);

	if (p + 1 >= CW_N_PROTOS)
		return CW_N_PROTOS; /* the last one is never written off */
	for (size_t i = 0; i < LEARNT_SLOTS; i++) {
		uint64_t empty = 0;

		if (atomic_compare_exchange_strong(&learnt[p][i], &empty, h) || empty == h)
			break;
	}
	return (enum cw_proto)(p + 1);
}

void
cw_proto_answered(const char *region, enum cw_proto p)
{
	for (enum cw_proto q = cw_proto_of(region); q < p; q = cw_proto_of(region))
		if (cw_proto_avoid(region, q) == CW_N_PROTOS || cw_proto_of(region) == q)
			return; /* no slot is left */
}

void
cw_proto_forget(void)
{
	for (size_t p = 0; p < CW_N_PROTOS; p++)
		for (size_t i = 0; i < LEARNT_SLOTS; i++)
			atomic_store(&learnt[p][i], 0);
	cw_proto_begin(CW_CBOR);
}

/* How endpoints that never heard of a protocol say so. */
static const char *const unknown_codes[] = {
    "UnknownOperation",
    "UnknownOperationException",
    "InvalidAction",
    "MissingAction",
    "UnsupportedMediaType",
    "UnsupportedProtocol",
    "UnsupportedProtocolException",
};
static const int unknown_statuses[] = {404, 405, 415, 501};

/* Another question answered in the Query protocol's error form. */
static bool
foreign_error(enum cw_proto p, struct sv body)
{
	static const char sign[] = "<ErrorResponse";

	return p != CW_QUERY && body.n &&
	       memmem(body.p, body.n < 512 ? body.n : 512, sign, sizeof(sign) - 1);
}

bool
cw_proto_unknown(enum cw_proto p, const struct http_resp *resp, const struct err *err)
{
	for (size_t i = 0; i < ARRAY_LEN(unknown_codes); i++)
		if (!strcmp(err->code, unknown_codes[i]))
			return true;
	for (size_t i = 0; i < ARRAY_LEN(unknown_statuses); i++)
		if (resp->status == unknown_statuses[i])
			return true;
	return resp->status == 400 && foreign_error(p, buf_view(&resp->body));
}

/* For the readers */

size_t
cw_id_parse(const char *id)
{
	uint64_t v;

	if (id[0] != 'm' || id[1] < '0' || id[1] > '9' || (id[1] == '0' && id[2]))
		return CW_NO_ID;
	return num_u64(sv_of(id + 1), &v) && v < CW_NO_ID ? (size_t)v : CW_NO_ID;
}

enum cw_status
cw_status_parse(const char *text)
{
	static const char *const names[CW_OTHER] = {
	    [CW_COMPLETE] = "Complete",
	    [CW_PARTIAL] = "PartialData",
	    [CW_INTERNAL] = "InternalError",
	    [CW_FORBIDDEN] = "Forbidden",
	};

	for (unsigned i = 0; i < CW_OTHER; i++)
		if (!strcmp(names[i], text))
			return (enum cw_status)i;
	return CW_OTHER;
}

static int
cmp_dims(const void *a, const void *b)
{
	const struct cw_dim *x = a, *y = b;
	int c = strcmp(x->name, y->name);

	return c ? c : strcmp(x->value, y->value);
}

void
cw_dims_sort(struct cw_dim *dims, size_t n)
{
	if (n > 1)
		qsort(dims, n, sizeof(*dims), cmp_dims);
}

const char *
cw_strdup(struct arena *a, const char *s)
{
	return arena_strdup(a, sv_of(s));
}

const char *
cw_message(struct arena *a, const char *code, const char *text)
{
	size_t n = strlen(code) + strlen(text) + 3;
	char *m = arena_alloc(a, n);

	if (m)
		(void)snprintf(m, n, "%s%s%s", code, *code && *text ? ": " : "", text);
	return m;
}

int
cw_token_copy(struct arena *a, const char *token, const char **ret, struct err *err)
{
	*ret = NULL;
	if (!token || !*token)
		return 0;
	*ret = cw_strdup(a, token);
	return *ret ? 0 : err_nomem(err);
}
