/*
 * What `make bench` pulls from and pushes to: as much of STS, IAM, CloudWatch, Logs and a
 * remote-write receiver as a client needs that asks the right questions. It checks nothing and
 * keeps nothing but counts, so that the client is what is measured: pages are made once for each
 * question and then sent from memory. A thread for each connection, HTTP/1.1, TLS where a
 * certificate is given.
 *
 *   pages PORT_FILE [--tls CERT KEY] [--series N] [--latency MS[-MS]] [--no-cbor]
 *         [--event-ms N] [--keep FOLDER]
 *
 * GET /stats says what came; GET /results/N is the N-th page of Insights results that was served,
 * for those who move the same bytes by other means; objects that are PUT are taken, and with --keep
 * written to that folder. Not part of the program or of its tests: those have tests/aws.
 */
#include <arpa/inet.h>
#include <inttypes.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/num.h"
#include "base/timefmt.h"
#include "fmt/snappy.h"
#include "store/store_s3.h"
#include "tests/bench/pages_logs.h"

#define REQUEST_MAX ((size_t)256 << 20) /* the bare pipe sends all of its logs as one object */
#define ANSWER_MAX  ((size_t)256 << 20)
#define PAGES_MAX   4096
#define QUERIES_MAX 500
#define POINTS_MAX  100800
#define PERIOD_S    60
#define LOGS_TARGET "Logs_20140328."

enum speech { JSON, QUERY, CBOR };

static struct {
	size_t series;
	long latency_ms, longest_ms; /* each call waits for something between */
	bool cbor;
	const char *keep;
	SSL_CTX *tls;
} options = {.series = 100, .cbor = true};

static struct {
	_Atomic uint64_t calls, asked, served, pushes, samples, pushed, objects, stored;
} counts;

struct connection {
	int fd;
	SSL *ssl;
};

struct request {
	struct buf raw;	      /* what was read; more than one request never is */
	struct sv line, body; /* "POST /path HTTP/1.1" */
	const char *headers;
};

/* ---- pages ---- */

struct page {
	uint64_t key;
	struct buf answer;
};
static struct {
	pthread_mutex_t mu;
	struct page v[PAGES_MAX];
	size_t n;
} pages = {.mu = PTHREAD_MUTEX_INITIALIZER};

/* Of GetMetricData, whose ids are a prefix and a number; of ListMetrics where there is none. */
struct question {
	enum speech speech;
	int64_t start_s, end_s;
	struct sv prefix;
	unsigned ids[QUERIES_MAX];
	size_t n;
	size_t metric; /* of ListMetrics: the name's place in `eight`, from 1; 0: all */
};

/* Half of the values are short, the others are quotients with 16 digits or so. */
static double
value_at(unsigned id, int64_t t)
{
	uint64_t h = ((uint64_t)t / PERIOD_S * 2654435761u) ^ ((uint64_t)id * 40503u);

	h = (h ^ (h >> 15)) * 0x9E3779B97F4A7C15u >> 44;
	return id % 2 ? (double)h / 64 : (double)h / 60;
}

static void
cbor_head(struct buf *out, unsigned major, uint64_t v)
{
	unsigned char b[9];
	size_t n = v < 24 ? 0 : v < 256 ? 1 : v < 65536 ? 2 : v < 4294967296u ? 4 : 8;

	b[0] = (unsigned char)(major << 5 | (n == 0   ? v
					     : n == 1 ? 24
					     : n == 2 ? 25
					     : n == 4 ? 26
						      : 27));
	for (size_t i = 0; i < n; i++)
		b[1 + i] = (unsigned char)(v >> 8 * (n - 1 - i));
	buf_add(out, b, n + 1);
}

static void
cbor_text(struct buf *out, const char *s)
{
	cbor_head(out, 3, strlen(s));
	buf_str(out, s);
}

static void
cbor_double(struct buf *out, double v)
{
	unsigned char b[9] = {0xfb};
	uint64_t bits;

	memcpy(&bits, &v, sizeof(bits));
	for (int i = 0; i < 8; i++)
		b[1 + i] = (unsigned char)(bits >> (56 - 8 * i));
	buf_add(out, b, sizeof(b));
}

static void
put_time(struct buf *out, enum speech speech, int64_t t)
{
	char text[TIME_TEXT_MAX];

	if (speech == JSON) {
		buf_fmt(out, "%" PRId64, t);
	} else if (speech == CBOR) {
		buf_ch(out, (char)0xc1);
		cbor_head(out, 0, (uint64_t)t);
	} else {
		time_format_ms(t * 1000, text);
		buf_fmt(out, "<member>%s</member>", text);
	}
}

static void
put_value(struct buf *out, enum speech speech, double v)
{
	char text[NUM_DOUBLE_MAX];

	if (speech == CBOR) {
		cbor_double(out, v);
		return;
	}
	(void)num_format(v, text);
	buf_fmt(out, speech == JSON ? "%s" : "<member>%s</member>", text);
}

/* How each language writes around the lists of a result: before the times, between, behind. */
static void
put_result(struct buf *out, const struct question *q, unsigned id)
{
	size_t n = (size_t)((q->end_s - q->start_s) / PERIOD_S);
	char name[32];

	(void)snprintf(name, sizeof(name), "%.*s%u", (int)q->prefix.n, q->prefix.p, id);
	if (q->speech == JSON) {
		buf_fmt(out, "{\"Id\":\"%s\",\"Label\":\"%s\",\"Timestamps\":[", name, name);
	} else if (q->speech == QUERY) {
		buf_fmt(out, "<member><Id>%s</Id><Label>%s</Label><Timestamps>", name, name);
	} else {
		cbor_head(out, 5, 5);
		cbor_text(out, "Id");
		cbor_text(out, name);
		cbor_text(out, "Label");
		cbor_text(out, name);
		cbor_text(out, "Timestamps");
		cbor_head(out, 4, n);
	}
	for (size_t i = 0; i < n; i++) {
		if (i && q->speech == JSON)
			buf_ch(out, ',');
		put_time(out, q->speech, q->start_s + (int64_t)i * PERIOD_S);
	}
	if (q->speech == JSON) {
		buf_str(out, "],\"Values\":[");
	} else if (q->speech == QUERY) {
		buf_str(out, "</Timestamps><Values>");
	} else {
		cbor_text(out, "Values");
		cbor_head(out, 4, n);
	}
	for (size_t i = 0; i < n; i++) {
		if (i && q->speech == JSON)
			buf_ch(out, ',');
		put_value(out, q->speech, value_at(id, q->start_s + (int64_t)i * PERIOD_S));
	}
	if (q->speech == JSON) {
		buf_str(out, "],\"StatusCode\":\"Complete\"}");
	} else if (q->speech == QUERY) {
		buf_str(out, "</Values><StatusCode>Complete</StatusCode></member>");
	} else {
		cbor_text(out, "StatusCode");
		cbor_text(out, "Complete");
	}
}

static void
make_data(struct buf *out, const struct question *q)
{
	if (q->speech == JSON)
		buf_str(out, "{\"MetricDataResults\":[");
	else if (q->speech == QUERY)
		buf_str(out, "<GetMetricDataResponse "
			     "xmlns=\"http://monitoring.amazonaws.com/doc/2010-08-01/\">"
			     "<GetMetricDataResult><MetricDataResults>");
	else {
		cbor_head(out, 5, 1);
		cbor_text(out, "MetricDataResults");
		cbor_head(out, 4, q->n);
	}
	for (size_t i = 0; i < q->n; i++) {
		if (i && q->speech == JSON)
			buf_ch(out, ',');
		put_result(out, q, q->ids[i]);
	}
	if (q->speech == JSON)
		buf_str(out, "],\"Messages\":[]}");
	else if (q->speech == QUERY)
		buf_str(out, "</MetricDataResults></"
			     "GetMetricDataResult><ResponseMetadata><RequestId>b</RequestId>"
			     "</ResponseMetadata></GetMetricDataResponse>");
}

static const char *const eight[] = {"CpuReserved",	"CpuUtilized",	    "MemoryReserved",
				    "MemoryUtilized",	"NetworkRxBytes",   "NetworkTxBytes",
				    "StorageReadBytes", "StorageWriteBytes"};

static void
put_metric(struct buf *out, enum speech speech, size_t i)
{
	const char *metric = eight[i % 8], *ns = "ECS/ContainerInsights";
	char service[32];

	(void)snprintf(service, sizeof(service), "service-%zu", i / 8);
	if (speech == JSON) {
		buf_fmt(out,
			"%s{\"Namespace\":\"%s\",\"MetricName\":\"%s\",\"Dimensions\":[{\"Name\":"
			"\"ClusterName\","
			"\"Value\":\"production\"},{\"Name\":\"ServiceName\",\"Value\":\"%s\"}]}",
			i ? "," : "", ns, metric, service);
	} else if (speech == QUERY) {
		buf_fmt(out,
			"<member><Namespace>%s</Namespace><MetricName>%s</"
			"MetricName><Dimensions><member>"
			"<Name>ClusterName</Name><Value>production</Value></"
			"member><member><Name>ServiceName"
			"</Name><Value>%s</Value></member></Dimensions></member>",
			ns, metric, service);
	} else {
		cbor_head(out, 5, 3);
		cbor_text(out, "Namespace");
		cbor_text(out, ns);
		cbor_text(out, "MetricName");
		cbor_text(out, metric);
		cbor_text(out, "Dimensions");
		cbor_head(out, 4, 2);
		for (int k = 0; k < 2; k++) {
			cbor_head(out, 5, 2);
			cbor_text(out, "Name");
			cbor_text(out, k ? "ServiceName" : "ClusterName");
			cbor_text(out, "Value");
			cbor_text(out, k ? service : "production");
		}
	}
}

static void
make_list(struct buf *out, const struct question *q)
{
	enum speech speech = q->speech;

	if (speech == JSON)
		buf_str(out, "{\"Metrics\":[");
	else if (speech == QUERY)
		buf_str(out, "<ListMetricsResponse "
			     "xmlns=\"http://monitoring.amazonaws.com/doc/2010-08-01/\">"
			     "<ListMetricsResult><Metrics>");
	else {
		cbor_head(out, 5, 1);
		cbor_text(out, "Metrics");
		cbor_head(out, 4, options.series);
	}
	for (size_t i = 0; i < options.series; i++)
		if (!q->metric || i % 8 == q->metric - 1)
			put_metric(out, speech, i);
	if (speech == JSON)
		buf_str(out, "]}");
	else if (speech == QUERY)
		buf_str(out, "</Metrics></ListMetricsResult></ListMetricsResponse>");
}

static uint64_t
mix(uint64_t h, uint64_t v)
{
	return (h ^ v) * 1099511628211u;
}

static uint64_t
key_of(const struct question *q)
{
	uint64_t key = mix(mix(14695981039346656037u, q->speech), q->metric);

	key = mix(mix(mix(key, (uint64_t)q->start_s), (uint64_t)q->end_s), q->n);
	for (size_t i = 0; i < q->prefix.n; i++)
		key = mix(key, (unsigned char)q->prefix.p[i]);
	for (size_t i = 0; i < q->n; i++)
		key = mix(key, q->ids[i]);
	return key;
}

/* The answer to a question, made when it is asked first. */
static struct sv
page_for(const struct question *q)
{
	uint64_t key = key_of(q);
	struct page *p = NULL;

	(void)pthread_mutex_lock(&pages.mu);
	for (size_t i = 0; i < pages.n && !p; i++)
		p = pages.v[i].key == key ? &pages.v[i] : NULL;
	if (!p && pages.n == PAGES_MAX)
		abort();
	if (!p) {
		p = &pages.v[pages.n++];
		*p = (struct page){key, BUF_INIT(ANSWER_MAX)};
		if (q->n)
			make_data(&p->answer, q);
		else
			make_list(&p->answer, q);
	}
	(void)pthread_mutex_unlock(&pages.mu);
	return buf_view(&p->answer);
}

/* ---- questions ---- */

static const char *
find(struct sv in, const char *what)
{
	return memmem(in.p, in.n, what, strlen(what));
}

static void
read_ids(struct question *q, struct sv body)
{
	static const char *const marks[] = {[JSON] = "\"Id\":", [QUERY] = ".Id=", [CBOR] = "bId"};
	const char *end = body.p + body.n, *p;

	while (q->n < QUERIES_MAX && (p = find(body, marks[q->speech]))) {
		p += strlen(marks[q->speech]);
		if (q->speech == CBOR)
			p++; /* the head of the text */
		else
			p += strspn(p, " \"");
		q->prefix = (struct sv){p, strcspn(p, "0123456789")};
		q->ids[q->n++] = (unsigned)strtoul(p + q->prefix.n, NULL, 10);
		body = (struct sv){p, (size_t)(end - p)};
	}
}

/* Which metrics alone a ListMetrics asks for; only those who speak QUERY ask so. */
static size_t
read_metric(enum speech speech, struct sv body)
{
	const char *p = speech == QUERY ? find(body, "&MetricName=") : NULL;
	size_t n = p ? strcspn(p + 12, "&") : 0;

	for (size_t k = 0; p && k < 8; k++)
		if (n == strlen(eight[k]) && !memcmp(p + 12, eight[k], n))
			return k + 1;
	return 0;
}

static int64_t
read_time(enum speech speech, struct sv body, const char *name)
{
	const char *p = find(body, name);
	int64_t ms = 0;
	uint64_t bits = 0;
	char text[64];
	double v;

	if (!p)
		return 0;
	p += strlen(name);
	if (speech == JSON)
		return strtoll(p + (*p == '"') + 1, NULL, 10);
	if (speech == QUERY) {
		size_t n = 0;

		for (p++; *p && *p != '&' && n + 1 < sizeof(text); p++) {
			bool colon = !strncasecmp(p, "%3A", 3);

			text[n++] = colon ? ':' : *p;
			p += colon ? 2 : 0;
		}
		return time_parse_iso((struct sv){text, n}, &ms) ? ms / 1000 : 0;
	}
	p++; /* the tag */
	for (int i = 1; i <= (*p == 0x1a ? 4 : 8); i++)
		bits = bits << 8 | (unsigned char)p[i];
	memcpy(&v, &bits, sizeof(v));
	return (unsigned char)*p == 0xfb ? (int64_t)v : (int64_t)bits;
}

/* ---- connections ---- */

static bool
send_all(const struct connection *c, const char *p, size_t n)
{
	while (n) {
		ssize_t done = c->ssl ? SSL_write(c->ssl, p, n < INT32_MAX ? (int)n : INT32_MAX)
				      : send(c->fd, p, n, MSG_NOSIGNAL);

		if (done <= 0)
			return false;
		p += done;
		n -= (size_t)done;
	}
	return true;
}

static bool
receive_more(const struct connection *c, struct buf *b)
{
	ssize_t n;

	if (!buf_reserve(b, 65536))
		return false;
	n = c->ssl ? SSL_read(c->ssl, b->p + b->n, 65536) : recv(c->fd, b->p + b->n, 65536, 0);
	if (n <= 0)
		return false;
	b->n += (size_t)n;
	b->p[b->n] = '\0';
	return true;
}

static size_t
content_length(const char *headers)
{
	const char *p = strcasestr(headers, "\r\ncontent-length:");

	return p ? strtoul(p + 17, NULL, 10) : 0;
}

static bool
receive(const struct connection *c, struct request *r)
{
	const char *end = NULL;
	size_t head, length;

	buf_reset(&r->raw);
	while (!end) {
		if (!receive_more(c, &r->raw))
			return false;
		end = strstr(r->raw.p, "\r\n\r\n");
	}
	head = (size_t)(end + 4 - r->raw.p);
	r->raw.p[head - 1] = '\0';
	length = content_length(r->raw.p);
	if (strcasestr(r->raw.p, "\r\nexpect:") &&
	    !send_all(c, "HTTP/1.1 100 Continue\r\n\r\n", 25))
		return false;
	while (r->raw.n < head + length)
		if (!receive_more(c, &r->raw))
			return false;
	r->headers = r->raw.p;
	r->line = (struct sv){r->raw.p, strcspn(r->raw.p, "\r")};
	r->body = (struct sv){r->raw.p + head, length};
	return true;
}

static bool
answer(const struct connection *c, const char *status, const char *type, struct sv body)
{
	char head[256];
	int n = snprintf(head, sizeof(head),
			 "HTTP/1.1 %s\r\nContent-Type: %s\r\nContent-Length: "
			 "%zu\r\nx-amzn-RequestId: bench\r\n%s\r\n",
			 status, type, body.n,
			 type[12] == 'c' ? "smithy-protocol: rpc-v2-cbor\r\n" : "");

	counts.served += body.n;
	return send_all(c, head, (size_t)n) && send_all(c, body.p, body.n);
}

static bool
answer_query(const struct connection *c, const char *operation, const char *inner)
{
	char text[2048];
	int n =
	    snprintf(text, sizeof(text),
		     "<%sResponse "
		     "xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><%sResult>%s</%sResult>"
		     "<ResponseMetadata><RequestId>b</RequestId></ResponseMetadata></%sResponse>",
		     operation, operation, inner, operation, operation);

	return answer(c, "200 OK", "text/xml", (struct sv){text, (size_t)n});
}

#define KEY_START "ASIABENC" /* and the account's 12 digits: 20, as real ones have */

static bool
assume_role(const struct connection *c, struct sv body)
{
	const char *arn = find(body, "%3A%3A");
	char inner[1024], account[13] = "000000000000", expires[TIME_TEXT_MAX];

	if (arn)
		memcpy(account, arn + 6, 12);
	time_format_ms(((int64_t)time(NULL) + 3600) * 1000, expires);
	(void)snprintf(
	    inner, sizeof(inner),
	    "<Credentials><AccessKeyId>" KEY_START "%s</AccessKeyId><SecretAccessKey>secret"
	    "</SecretAccessKey><SessionToken>token</SessionToken><Expiration>%s</Expiration></"
	    "Credentials>"
	    "<AssumedRoleUser><Arn>arn:aws:sts::%s:assumed-role/muster/s</Arn><AssumedRoleId>A:s"
	    "</AssumedRoleId></AssumedRoleUser>",
	    account, expires, account);
	return answer_query(c, "AssumeRole", inner);
}

static bool
caller_identity(const struct connection *c, const char *headers)
{
	const char *key = strstr(headers, "Credential=" KEY_START);
	const char *account = key ? key + strlen("Credential=" KEY_START) : "999999999999";
	char inner[256];

	(void)snprintf(inner, sizeof(inner),
		       "<Arn>arn:aws:iam::%.12s:user/b</Arn><UserId>B</UserId><Account>%.12s"
		       "</Account>",
		       account, account);
	return answer_query(c, "GetCallerIdentity", inner);
}

static bool
metric_call(const struct connection *c, enum speech speech, bool data, struct sv body)
{
	static const char *const types[] = {[JSON] = "application/x-amz-json-1.0",
					    [QUERY] = "text/xml",
					    [CBOR] = "application/cbor"};
	struct question q = {.speech = speech};

	if (data) {
		read_ids(&q, body);
		q.start_s = read_time(speech, body, "StartTime");
		q.end_s = read_time(speech, body, "EndTime");
		counts.asked += q.n;
	} else {
		q.metric = read_metric(speech, body);
	}
	return answer(c, "200 OK", types[speech], page_for(&q));
}

static uint64_t
varint(const unsigned char **p, const unsigned char *end)
{
	uint64_t v = 0;

	for (unsigned shift = 0; *p < end && shift < 64; shift += 7) {
		unsigned char c = *(*p)++;

		v |= (uint64_t)(c & 0x7f) << shift;
		if (!(c & 0x80))
			break;
	}
	return v;
}

/* Fields of a message whose fields are all length-delimited: how many have this tag, and those
 * inside them. */
static uint64_t
count_fields(const unsigned char *p, const unsigned char *end, unsigned tag, unsigned inner)
{
	uint64_t n = 0, len;
	unsigned char seen;

	while (p < end) {
		seen = *p++;
		len = varint(&p, end);
		if (len > (uint64_t)(end - p))
			return 0;
		if (seen == tag)
			n += inner ? count_fields(p, p + len, inner, 0) : 1;
		p += len;
	}
	return n;
}

/* Samples (field 2) of each TimeSeries (field 1) of a WriteRequest. */
static uint64_t
count_samples(struct sv packed)
{
	struct buf raw = BUF_INIT(REQUEST_MAX);
	struct err err;
	uint64_t n = 0;

	if (!snappy_block_decode(packed, &raw, &err))
		n = count_fields((unsigned char *)raw.p, (unsigned char *)raw.p + raw.n, 0x0a,
				 0x12);
	buf_done(&raw);
	return n;
}

static bool
take_push(const struct connection *c, struct sv body)
{
	counts.pushes++;
	counts.pushed += body.n;
	counts.samples += count_samples(body);
	return send_all(c, "HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n", 46);
}

static bool
keep_object(uint64_t nth, struct sv body)
{
	char path[512];
	FILE *f;
	bool ok;

	if (!options.keep)
		return true;
	(void)snprintf(path, sizeof(path), "%s/%" PRIu64 ".zst", options.keep, nth);
	f = fopen(path, "w");
	ok = f && fwrite(body.p, 1, body.n, f) == body.n;
	return f && !fclose(f) && ok;
}

/* As a bucket that never holds a key, but keeps to conditions where that is tried. */
static bool
take_object(const struct connection *c, struct sv line, struct sv body)
{
	if (find(line, STORE_S3_PROBE_NAME))
		return answer(c, "412 Precondition Failed", "application/xml",
			      SV("<Error><Code>PreconditionFailed</Code></Error>"));
	counts.stored += body.n;
	if (!keep_object(counts.objects++, body))
		return answer(c, "500 Internal Server Error", "text/plain", SV(""));
	return send_all(c, "HTTP/1.1 200 OK\r\nETag: \"0\"\r\nContent-Length: 0\r\n\r\n", 49);
}

static bool
say_stats(const struct connection *c)
{
	CLEANUP(buf_done) struct buf text = BUF_INIT(4096);

	buf_fmt(&text, "{\"calls\":%" PRIu64 ",\"asked\":%" PRIu64 ",\"served\":%" PRIu64,
		counts.calls, counts.asked, counts.served);
	buf_fmt(&text, ",\"pushes\":%" PRIu64, counts.pushes);
	buf_fmt(&text, ",\"pushed\":%" PRIu64 ",\"samples\":%" PRIu64 ",\"objects\":%" PRIu64,
		counts.pushed, counts.samples, counts.objects);
	buf_fmt(&text, ",\"stored\":%" PRIu64 ",", counts.stored);
	logs_counts(&text);
	buf_ch(&text, '}');
	counts.calls = counts.served = counts.pushes = counts.pushed = counts.samples = 0;
	counts.objects = counts.stored = counts.asked = 0;
	return answer(c, "200 OK", "application/json", buf_view(&text));
}

static bool
logs_call(const struct connection *c, const char *operation, struct sv body)
{
	CLEANUP(buf_done) struct buf text = BUF_INIT(4096);

	return answer(c, "200 OK", "application/x-amz-json-1.1",
		      logs_answer(operation, body, &text));
}

/* Of so many calls each wait comes equally often; the sequence is the same each time. */
static void
wait_for(uint64_t nth)
{
	uint64_t span = (uint64_t)(options.longest_ms - options.latency_ms) + 1;
	uint64_t ms = (uint64_t)options.latency_ms + (nth * 0x9E3779B97F4A7C15u >> 32) % span;

	if (ms)
		(void)usleep((useconds_t)ms * 1000);
}

static bool
serve_one(const struct connection *c, const struct request *r)
{
	const char *target = strcasestr(r->headers, "\r\nx-amz-target:");
	const char *logs = target ? strstr(target, LOGS_TARGET) : NULL, *results;

	if (find(r->line, " /stats "))
		return say_stats(c);
	if ((results = find(r->line, "GET /results/")))
		return answer(c, "200 OK", "application/json",
			      logs_page(strtoul(results + 13, NULL, 10)));
	wait_for(counts.calls++);
	if (find(r->line, "PUT /"))
		return take_object(c, r->line, r->body);
	if (find(r->line, "GET /"))
		return answer(c, "404 Not Found", "application/xml",
			      SV("<Error><Code>NoSuchKey</Code></Error>"));
	if (logs)
		return logs_call(c, logs + strlen(LOGS_TARGET), r->body);
	if (find(r->line, "/api/v1/write"))
		return take_push(c, r->body);
	if (find(r->line, "/operation/") && options.cbor)
		return metric_call(c, CBOR, find(r->line, "/GetMetricData ") != NULL, r->body);
	if (find(r->line, "/operation/"))
		return answer(c, "404 Not Found", "text/html", SV("<html>"));
	if (target)
		return metric_call(c, JSON, strstr(target, "GetMetricData") != NULL, r->body);
	if (find(r->body, "Action=AssumeRole"))
		return assume_role(c, r->body);
	if (find(r->body, "Action=GetCallerIdentity"))
		return caller_identity(c, r->headers);
	if (find(r->body, "Action=ListAccountAliases"))
		return answer_query(
		    c, "ListAccountAliases",
		    "<IsTruncated>false</IsTruncated><AccountAliases></AccountAliases>");
	return metric_call(c, QUERY, find(r->body, "Action=GetMetricData") != NULL, r->body);
}

static void *
serve(void *arg)
{
	struct connection c = {.fd = (int)(intptr_t)arg};
	struct request r = {.raw = BUF_INIT(REQUEST_MAX)};
	bool ok = !setsockopt(c.fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));

	if (ok && options.tls) {
		c.ssl = SSL_new(options.tls);
		ok = c.ssl && SSL_set_fd(c.ssl, c.fd) == 1 && SSL_accept(c.ssl) == 1;
	}
	while (ok && receive(&c, &r))
		ok = serve_one(&c, &r);
	buf_done(&r.raw);
	SSL_free(c.ssl);
	(void)close(c.fd);
	return NULL;
}

/* ---- the program ---- */

static int
listen_on(const char *port_file)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t n = sizeof(at);
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	FILE *f;

	if (fd < 0 || bind(fd, (struct sockaddr *)&at, n) || listen(fd, 512) ||
	    getsockname(fd, (struct sockaddr *)&at, &n))
		return -1;
	f = fopen(port_file, "w");
	if (!f || fprintf(f, "%d\n", ntohs(at.sin_port)) < 0 || fclose(f))
		return -1;
	return fd;
}

static bool
read_options(int argc, char **argv)
{
	for (int i = 2; i < argc; i++) {
		if (!strcmp(argv[i], "--tls") && i + 2 < argc) {
			options.tls = SSL_CTX_new(TLS_server_method());
			if (!options.tls ||
			    SSL_CTX_use_certificate_chain_file(options.tls, argv[i + 1]) != 1 ||
			    SSL_CTX_use_PrivateKey_file(options.tls, argv[i + 2],
							SSL_FILETYPE_PEM) != 1)
				return false;
			i += 2;
		} else if (!strcmp(argv[i], "--series") && i + 1 < argc) {
			options.series = strtoul(argv[++i], NULL, 10);
		} else if (!strcmp(argv[i], "--latency") && i + 1 < argc) {
			char *end;

			options.latency_ms = strtol(argv[++i], &end, 10);
			options.longest_ms =
			    *end == '-' ? strtol(end + 1, NULL, 10) : options.latency_ms;
		} else if (!strcmp(argv[i], "--event-ms") && i + 1 < argc) {
			logs_every(strtol(argv[++i], NULL, 10));
		} else if (!strcmp(argv[i], "--keep") && i + 1 < argc) {
			options.keep = argv[++i];
		} else if (!strcmp(argv[i], "--no-cbor")) {
			options.cbor = false;
		} else {
			return false;
		}
	}
	return argc > 1 && options.series <= QUERIES_MAX && options.latency_ms >= 0 &&
	       options.longest_ms >= options.latency_ms;
}

int
main(int argc, char **argv)
{
	pthread_attr_t detached;
	pthread_t thread;
	int fd, one;

	(void)signal(SIGPIPE, SIG_IGN);
	if (!read_options(argc, argv) || (fd = listen_on(argv[1])) < 0) {
		(void)fprintf(
		    stderr,
		    "usage: pages PORT_FILE [--tls CERT KEY] [--series N] [--latency MS[-MS]] "
		    "[--no-cbor] [--event-ms N] [--keep FOLDER]\n");
		return 2;
	}
	(void)pthread_attr_init(&detached);
	(void)pthread_attr_setdetachstate(&detached, PTHREAD_CREATE_DETACHED);
	while ((one = accept(fd, NULL, NULL)) >= 0)
		if (pthread_create(&thread, &detached, serve, (void *)(intptr_t)one))
			(void)close(one);
	return 1;
}
