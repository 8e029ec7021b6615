/*
 * One HTTP exchange on a libcurl handle.
 *
 * The handle is driven through its own multi handle instead of curl_easy_perform, which sleeps up
 * to a second at a time: here the loop wakes every POLL_MS to see whether the run was cancelled or
 * one of the bounds was reached. So every wait ends, and it ends in words that say which bound it
 * was.
 */
#include "net/curl_handle.h"

#include <errno.h>
#include <inttypes.h>
#include <openssl/crypto.h>
#include <strings.h>
#include <sys/socket.h>

#include "base/cleanup.h"
#include "base/num.h"
#include "base/secret.h"
#include "fmt/uri.h"
#include "net/header.h"

#define POLL_MS	      100
#define POLL_AGAIN_MS 20	  /* where the system had no memory for it, */
#define POLL_FAILURES 50	  /* so often in a row */
#define BUFFER_BYTES  (16L << 10) /* a handle's buffers each way: the size of a TLS record */
#define MAX_HEADER_TOTAL                                                                           \
	(256u << 10)	   /* all header lines, interim answers and trailers included              \
			    */
#define MAX_CONNECTIONS 4L /* sts, the service, the store, the receiver */

struct exchange {
	struct curl_handle *h;
	const struct curl_setup *setup;
	struct curl_trust *trust;
	const struct http_req *req;
	struct http_resp *resp;
	struct sv host;
	struct http_limits limits;
	struct curl_slist *headers;
	CURLcode rc; /* of setting up */

	int interim_status; /* of the header block being read */
	bool headers_done;  /* the final answer's headers are complete: what follows are trailers */
	size_t announced;   /* bytes of the body; 0: nobody said */
	bool body_too_large, headers_too_large;
	bool length_said, length_unclear; /* Content-Length */
	int64_t length;
	size_t header_bytes;

	int64_t start_ms, moved_ms; /* real clock: sockets know no other */
	uint64_t moved_bytes;
	bool connected;
	unsigned poll_failures; /* in a row */
};

#define SET(x, option, value)                                                                      \
	do {                                                                                       \
		if (!(x)->rc)                                                                      \
			(x)->rc = curl_easy_setopt((x)->h->easy, option, value);                   \
	} while (0)

static struct http_limits
with_defaults(const struct http_limits *in, const struct http_resp *resp)
{
	struct http_limits l = *in;

	l.connect_ms = l.connect_ms ? l.connect_ms : HTTP_CONNECT_MS;
	l.first_byte_ms = l.first_byte_ms ? l.first_byte_ms : HTTP_FIRST_BYTE_MS;
	l.stall_ms = l.stall_ms ? l.stall_ms : HTTP_STALL_MS;
	l.total_ms = l.total_ms ? l.total_ms : HTTP_TOTAL_MS;
	l.max_body = l.max_body ? l.max_body : HTTP_MAX_BODY;
	if (l.max_body > resp->body.max)
		l.max_body = resp->body.max;
	return l;
}

/* "HTTP/1.1 200 OK": the status, 0 if the line is none. */
static int
status_of_line(struct sv line)
{
	const char *p;

	if (!sv_starts(line, SV("HTTP/")))
		return 0;
	p = memchr(line.p, ' ', line.n);
	if (!p || line.p + line.n - p < 4)
		return 0;
	for (int i = 1; i <= 3; i++)
		if (p[i] < '0' || p[i] > '9')
			return 0;
	return (p[1] - '0') * 100 + (p[2] - '0') * 10 + (p[3] - '0');
}

static struct sv
trimmed(struct sv s)
{
	while (s.n && (s.p[0] == ' ' || s.p[0] == '\t')) {
		s.p++;
		s.n--;
	}
	while (s.n && (s.p[s.n - 1] == ' ' || s.p[s.n - 1] == '\t'))
		s.n--;
	return s;
}

/* Appends "name: value\n", name in lower case, nothing in it that could end a line. */
static void
keep_header(struct buf *out, struct sv line)
{
	const char *colon = memchr(line.p, ':', line.n);
	struct sv value;

	if (!colon || colon == line.p)
		return;
	for (const char *p = line.p; p < colon; p++) {
		if (*p <= ' ' || *p == 0x7f)
			return;
		buf_ch(out, *p >= 'A' && *p <= 'Z' ? (char)(*p | 0x20) : *p);
	}
	value = trimmed((struct sv){colon + 1, (size_t)(line.p + line.n - colon - 1)});
	buf_str(out, ": ");
	for (size_t i = 0; i < value.n; i++)
		buf_ch(out, (unsigned char)value.p[i] < ' ' ? ' ' : value.p[i]);
	buf_ch(out, '\n');
}

/* Two lengths, or a list of them, leave it to everybody on the way where the answer ends: refused
 * (RFC 9112, 6.3). */
static bool
length_is_one(struct exchange *x, struct sv line)
{
	static const char name[] = "content-length:";
	int64_t length = -1;
	struct sv value;

	if (line.n < sizeof(name) - 1 || strncasecmp(line.p, name, sizeof(name) - 1) != 0)
		return true;
	value = trimmed((struct sv){line.p + sizeof(name) - 1, line.n - sizeof(name) + 1});
	if (!value.n || value.p[0] < '0' || !num_i64(value, &length) ||
	    (x->length_said && length != x->length))
		x->length_unclear = true;
	x->length_said = true;
	x->length = length;
	return !x->length_unclear;
}

static size_t
on_header(char *p, size_t size, size_t n, void *arg)
{
	struct exchange *x = arg;
	struct sv line = {p, size * n};
	int status;

	x->header_bytes += line.n;
	if (x->header_bytes > MAX_HEADER_TOTAL) {
		x->headers_too_large = true;
		return 0;
	}
	if (x->headers_done)
		return size * n;
	while (line.n && (line.p[line.n - 1] == '\n' || line.p[line.n - 1] == '\r'))
		line.n--;
	status = status_of_line(line);
	if (status) {
		x->interim_status = status;
		x->length_said = false;
		buf_reset(&x->resp->headers);
	} else if (line.n == 0) {
		x->headers_done = x->interim_status >= 200;
	} else if (!length_is_one(x, line)) {
		return 0;
	} else {
		keep_header(&x->resp->headers, line);
	}
	if (!buf_ok(&x->resp->headers)) {
		x->headers_too_large = true;
		return 0;
	}
	return size * n;
}

static size_t
on_body(char *p, size_t size, size_t n, void *arg)
{
	struct exchange *x = arg;
	struct buf *body = &x->resp->body;
	curl_off_t announced = 0;

	n *= size;
	if (n > x->limits.max_body - body->n) {
		x->body_too_large = true;
		return 0;
	}
	/* One allocation for a body whose length was announced. */
	if (body->n == 0 &&
	    !curl_easy_getinfo(x->h->easy, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &announced) &&
	    announced > 0 && (uint64_t)announced <= x->limits.max_body) {
		x->announced = (size_t)announced;
		(void)buf_reserve(body, x->announced);
	}
	buf_add(body, p, n);
	if (x->req->arrived)
		x->req->arrived(x->req->arrived_arg, body->n,
				x->announced > body->n ? x->announced : body->n);
	return buf_ok(body) ? n : 0;
}

/* libcurl 7.88 opens its sockets without close-on-exec. */
static curl_socket_t
on_open_socket(void *arg, curlsocktype purpose, struct curl_sockaddr *addr)
{
	(void)arg;
	(void)purpose;
	return socket(addr->family, addr->socktype | SOCK_CLOEXEC, addr->protocol);
}

static bool
has_header(const struct http_req *req, const char *name)
{
	for (size_t i = 0; i < req->n_headers; i++)
		if (strcasecmp(req->headers[i].name, name) == 0)
			return true;
	return false;
}

static void
add_line(struct exchange *x, const char *name, const char *value)
{
	struct buf line = BUF_INIT(64u << 10);
	struct curl_slist *grown = NULL;

	/* libcurl's spelling of a header with an empty value is "Name;". */
	buf_fmt(&line, *value ? "%s: %s" : "%s;", name, value);
	if (buf_ok(&line))
		grown = curl_slist_append(x->headers, line.p);
	if (grown)
		x->headers = grown;
	else if (!x->rc)
		x->rc = CURLE_OUT_OF_MEMORY;
	secret_wipe_buf(&line);
}

static void
leave_out(struct exchange *x, const char *name_and_colon)
{
	struct curl_slist *grown = curl_slist_append(x->headers, name_and_colon);

	if (grown)
		x->headers = grown;
	else if (!x->rc)
		x->rc = CURLE_OUT_OF_MEMORY;
}

/* The lines hold tokens and signatures. */
static void
free_headers(struct curl_slist *list)
{
	for (struct curl_slist *l = list; l; l = l->next)
		OPENSSL_cleanse(l->data, strlen(l->data));
	curl_slist_free_all(list);
}

static int
check_request(const struct http_req *req, struct err *err)
{
	if (!header_name_ok(req->method))
		return err_set(err, ERR_USAGE, "a method that is not a token");
	if (req->n_headers > HTTP_MAX_HEADERS)
		return err_set(err, ERR_USAGE, "more than %d headers", HTTP_MAX_HEADERS);
	for (size_t i = 0; i < req->n_headers; i++) {
		if (!header_name_ok(req->headers[i].name))
			return err_set(err, ERR_USAGE, "a header name that is not a token");
		if (!header_value_ok(req->headers[i].value))
			return err_set(err, ERR_USAGE, "header %s: control characters in its value",
				       req->headers[i].name);
	}
	if (req->auth != AUTH_NONE && !req->auth_header)
		return err_set(err, ERR_USAGE, "a request that must be signed was not");
	if (req->auth != AUTH_NONE && !header_value_ok(req->auth_header))
		return err_set(err, ERR_USAGE, "header Authorization: control characters in it");
	return 0;
}

static void
set_headers(struct exchange *x)
{
	const struct http_req *req = x->req;

	for (size_t i = 0; i < req->n_headers; i++)
		add_line(x, req->headers[i].name, req->headers[i].value);
	if (req->auth != AUTH_NONE)
		add_line(x, "Authorization", req->auth_header);
	leave_out(x, "Expect:");
	if (!has_header(req, "content-type"))
		leave_out(x, "Content-Type:");
	SET(x, CURLOPT_HTTPHEADER, x->headers);
	SET(x, CURLOPT_USERAGENT, x->setup->user_agent);
	/* As the SDKs do: libcurl takes a gzip stream that is cut off for a whole one, while the
	 * length of plain bytes is checked. What comes compressed all the same is decoded, except
	 * from S3: what it keeps is wanted as it was put there. */
	if (!req->s3_rules)
		SET(x, CURLOPT_ACCEPT_ENCODING, "identity");
}

static void
set_method(struct exchange *x)
{
	const struct http_req *req = x->req;

	if (strcmp(req->method, "HEAD") == 0) {
		SET(x, CURLOPT_NOBODY, 1L);
	} else if (req->body.n || strcmp(req->method, "POST") == 0 ||
		   strcmp(req->method, "PUT") == 0) {
		SET(x, CURLOPT_POST, 1L);
		SET(x, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)req->body.n);
		SET(x, CURLOPT_POSTFIELDS, req->body.n ? req->body.p : "");
		SET(x, CURLOPT_CUSTOMREQUEST, req->method);
	} else if (strcmp(req->method, "GET") == 0) {
		SET(x, CURLOPT_HTTPGET, 1L);
	} else {
		SET(x, CURLOPT_HTTPGET, 1L);
		SET(x, CURLOPT_CUSTOMREQUEST, req->method);
	}
}

static void
set_network(struct exchange *x)
{
	SET(x, CURLOPT_PROTOCOLS_STR, "http,https");
	SET(x, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	SET(x, CURLOPT_FOLLOWLOCATION, 0L);
	SET(x, CURLOPT_PATH_AS_IS, 1L);
	SET(x, CURLOPT_NOSIGNAL, 1L);
	SET(x, CURLOPT_QUICK_EXIT,
	    1L); /* a hanging resolver thread is left behind, not waited for */
	/* Refused where a transfer that came to no connection has left its buffer behind; that one
	 * is as large, and used again. */
	(void)curl_easy_setopt(x->h->easy, CURLOPT_BUFFERSIZE, BUFFER_BYTES);
	SET(x, CURLOPT_UPLOAD_BUFFERSIZE, BUFFER_BYTES);
	SET(x, CURLOPT_CONNECTTIMEOUT_MS, (long)x->limits.connect_ms);
	/* The length in an answer to HEAD is that of a body that does not come. */
	if (strcmp(x->req->method, "HEAD") != 0)
		SET(x, CURLOPT_MAXFILESIZE_LARGE, (curl_off_t)x->limits.max_body);
	SET(x, CURLOPT_OPENSOCKETFUNCTION, on_open_socket);
	SET(x, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
	SET(x, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	SET(x, CURLOPT_PROXY_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	if (x->trust && !x->rc)
		x->rc = curl_trust_use(x->trust, x->h->easy);
	else if (x->setup->ca_bundle)
		SET(x, CURLOPT_CAINFO, x->setup->ca_bundle);
	/* No proxy has another way to this machine. */
	if (x->req->direct || uri_is_loopback(x->host))
		SET(x, CURLOPT_PROXY, "");
	/* libcurl repeats a request by itself when a kept connection turns out to be closed. */
	if (x->req->no_retry)
		SET(x, CURLOPT_FRESH_CONNECT, 1L);
}

static int
set_up(struct exchange *x, struct err *err)
{
	curl_easy_reset(x->h->easy); /* keeps connections, sessions and the share */
	x->h->text[0] = '\0';
	SET(x, CURLOPT_ERRORBUFFER, x->h->text);
	SET(x, CURLOPT_URL, x->req->url);
	SET(x, CURLOPT_HEADERFUNCTION, on_header);
	SET(x, CURLOPT_HEADERDATA, x);
	SET(x, CURLOPT_WRITEFUNCTION, on_body);
	SET(x, CURLOPT_WRITEDATA, x);
	set_network(x);
	set_method(x);
	set_headers(x);
	if (x->rc == CURLE_OUT_OF_MEMORY)
		return err_nomem(err);
	if (x->rc)
		return err_set(err, ERR_LOCAL, "libcurl: %s", curl_easy_strerror(x->rc));
	return 0;
}

static int
may_go_on(const struct exchange *x, struct err *err)
{
	struct clock *clock = x->setup->clock;

	if (clock_check_grace(clock, x->req->grace_ms, err) < 0)
		return -1;
	if (x->req->deadline_mono_ms && clock_mono_ms(clock) >= x->req->deadline_mono_ms)
		return err_set(err, ERR_TRANSIENT, "the deadline passed before the answer came");
	return 0;
}

/* Notes progress; 0 while no bound is reached. */
static int
watch(struct exchange *x, struct err *err)
{
	int64_t now = clock_mono_ms(clock_real()), idle_ms, bound_ms;
	curl_off_t pretransfer = 0, sent = 0;
	bool waiting;

	if (may_go_on(x, err) < 0)
		return -1;
	if (now - x->start_ms >= x->limits.total_ms)
		return err_set(err, ERR_TRANSIENT, "no complete answer within %" PRId64 " ms",
			       x->limits.total_ms);
	(void)curl_easy_getinfo(x->h->easy, CURLINFO_PRETRANSFER_TIME_T, &pretransfer);
	(void)curl_easy_getinfo(x->h->easy, CURLINFO_SIZE_UPLOAD_T, &sent);
	if (pretransfer <= 0)
		return 0; /* CURLOPT_CONNECTTIMEOUT_MS bounds this phase */
	if (!x->connected || x->moved_bytes != x->header_bytes + x->resp->body.n + (uint64_t)sent) {
		x->connected = true;
		x->moved_bytes = x->header_bytes + x->resp->body.n + (uint64_t)sent;
		x->moved_ms = now;
	}
	idle_ms = now - x->moved_ms;
	waiting = x->header_bytes == 0 && (uint64_t)sent >= x->req->body.n;
	bound_ms = waiting ? x->limits.first_byte_ms : x->limits.stall_ms;
	if (idle_ms < bound_ms)
		return 0;
	if (waiting)
		return err_set(err, ERR_TRANSIENT, "no answer within %" PRId64 " ms", bound_ms);
	return err_set(err, ERR_TRANSIENT, "stalled for %" PRId64 " ms", bound_ms);
}

static int
local_or_transient(const struct exchange *x, const char *text, struct err *err)
{
	long e = 0;

	(void)curl_easy_getinfo(x->h->easy, CURLINFO_OS_ERRNO, &e);
	if (e == EMFILE || e == ENFILE)
		return err_sys(err, (int)e, "socket");
	return err_set(err, ERR_TRANSIENT, "%s", text);
}

/* What libcurl says when no complete answer came. */
static int
failed(const struct exchange *x, CURLcode rc, struct err *err)
{
	const char *text = x->h->text[0] ? x->h->text : curl_easy_strerror(rc);

	if (x->body_too_large || rc == CURLE_FILESIZE_EXCEEDED)
		return err_set(err, ERR_DATA, "the answer is larger than %zu bytes",
			       x->limits.max_body);
	if (!buf_ok(&x->resp->body) || x->resp->headers.no_memory)
		return err_nomem(err);
	if (x->headers_too_large)
		return err_set(err, ERR_DATA, "the answer's headers are too large");
	if (x->length_unclear)
		return err_set(err, ERR_TRANSIENT, "the answer has more than one length");
	switch (rc) {
	case CURLE_OUT_OF_MEMORY:
		return err_nomem(err);
	case CURLE_PEER_FAILED_VERIFICATION:
	case CURLE_SSL_ISSUER_ERROR:
		return err_set(err, ERR_REJECTED, "certificate of host %.*s not trusted: %s",
			       (int)x->host.n, x->host.p, text);
	case CURLE_SSL_CACERT_BADFILE:
	case CURLE_FAILED_INIT:
	case CURLE_SSL_ENGINE_INITFAILED:
		return err_set(err, ERR_LOCAL, "%s", text);
	case CURLE_URL_MALFORMAT:
	case CURLE_BAD_FUNCTION_ARGUMENT:
		return err_set(err, ERR_USAGE, "%s", text);
	default:
		return local_or_transient(x, text, err);
	}
}

static CURLcode
result_of(CURLM *multi)
{
	const struct CURLMsg *msg;
	int left;

	while ((msg = curl_multi_info_read(multi, &left)))
		if (msg->msg == CURLMSG_DONE)
			return msg->data.result;
	return CURLE_FAILED_INIT;
}

/* That nobody could wait is no end of an exchange, which may have been heard on the other side. */
static int
wait_for_socket(struct exchange *x, struct err *err)
{
	CURLMcode m;

	errno = 0;
	m = curl_multi_poll(x->h->multi, NULL, 0, POLL_MS, NULL);
	if (m == CURLM_OK) {
		x->poll_failures = 0;
		return 0;
	}
	if (errno == ENOMEM && ++x->poll_failures < POLL_FAILURES)
		return clock_sleep_grace(x->setup->clock, POLL_AGAIN_MS, x->req->grace_ms, err);
	if (errno) /* libcurl does not say */
		return err_sys(err, errno, "libcurl: %s", curl_multi_strerror(m));
	return err_set(err, ERR_LOCAL, "libcurl: %s", curl_multi_strerror(m));
}

static int
drive(struct exchange *x, struct err *err)
{
	int running = 1;
	CURLMcode m;

	for (;;) {
		m = curl_multi_perform(x->h->multi, &running);
		if (m == CURLM_OK && !running)
			break;
		if (watch(x, err) < 0)
			return -1;
		if (m != CURLM_OK)
			return err_set(err, ERR_LOCAL, "libcurl: %s", curl_multi_strerror(m));
		if (wait_for_socket(x, err) < 0)
			return -1;
	}
	x->rc = result_of(x->h->multi);
	if (x->rc != CURLE_OK)
		return failed(x, x->rc, err);
	/* libcurl lets an answer pass that ends within its headers. */
	if (!x->headers_done)
		return err_set(err, ERR_TRANSIENT, "the answer was cut off in its headers");
	return 0;
}

static int
perform(struct exchange *x, struct err *err)
{
	CURLMcode m;
	int r;

	m = curl_multi_setopt(x->h->multi, CURLMOPT_MAXCONNECTS, MAX_CONNECTIONS);
	if (m == CURLM_OK)
		m = curl_multi_add_handle(x->h->multi, x->h->easy);
	if (m != CURLM_OK)
		return err_set(err, ERR_LOCAL, "libcurl: %s", curl_multi_strerror(m));
	x->start_ms = x->moved_ms = clock_mono_ms(clock_real());
	r = drive(x, err);
	/* A transfer that was given up takes its connection with it. */
	(void)curl_multi_remove_handle(x->h->multi, x->h->easy);
	x->resp->status = x->interim_status >= 200 ? x->interim_status : 0;
	if (r < 0 && err)
		err->http_status = x->resp->status;
	return r;
}

int
curl_exchange(struct curl_handle *h, const struct curl_setup *setup, struct curl_trust *trust,
	      const struct http_req *req, struct sv host, struct http_resp *resp, struct err *err)
{
	struct exchange x = {
	    .h = h,
	    .setup = setup,
	    .trust = trust,
	    .req = req,
	    .resp = resp,
	    .host = host,
	    .limits = with_defaults(&req->limits, resp),
	};
	int r;

	if (check_request(req, err) < 0 || may_go_on(&x, err) < 0)
		return -1;
	r = set_up(&x, err);
	if (r == 0)
		r = perform(&x, err);
	/* The handle must not keep pointers into this frame or the request. */
	curl_easy_reset(h->easy);
	free_headers(x.headers);
	return r;
}
