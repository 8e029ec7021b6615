/*
 * The section `sinks`: one table of keys for each kind, checks, and the kinds there are.
 */
#include "run/config_read.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <strings.h>
#include <unistd.h>

#include "base/cleanup.h"

#define HOUR_MS	     3600000
#define AGE_MAX_MS   (INT64_C(366) * 24 * HOUR_MS)
#define AMP_MAX_AGE  HOUR_MS
#define AMP_ORDER_MS 60000
#define ENDS_MIN_MS  60000
#define ENDS_MAX_MS  (INT64_C(7) * 24 * HOUR_MS)
#define ORDER_MAX_MS (INT64_C(24) * HOUR_MS)
#define PASSWORD_MAX 4096

/* A sink while it is read: its conf, and what is not kept. */
struct sink_read {
	struct sink_conf conf;
	const char *kind;
	const char *password_file;
	const struct conf_node *url_node, *role_node, *sigv4_node, *sigv4_region_node, *basic_node,
	    *bearer_node, *headers_node, *max_age_node, *order_node, *kms_node, *owner_node,
	    *file_node;
};

#define CONF(member) offsetof(struct sink_read, conf.member)
#define NODE(member) offsetof(struct sink_read, member##_node)

/* The nested tables fill the same flat struct: their rows stand at offset 0. */
static const struct conf_key sigv4_keys[] = {
    {.name = "service",
     .type = CONF_STRING,
     .offset = CONF(sigv4_service),
     .flags = CONF_REQUIRED,
     .help = "Signing name of the service: aps for Amazon Managed Prometheus."},
    {.name = "region",
     .type = CONF_STRING,
     .offset = CONF(sigv4_region),
     .node_offset = NODE(sigv4_region),
     .help = "Default: the region in the URL, else the central one."},
    CONF_END,
};
static const struct conf_key basic_keys[] = {
    {.name = "username", .type = CONF_STRING, .offset = CONF(basic_user), .flags = CONF_REQUIRED},
    {.name = "password",
     .type = CONF_STRING,
     .offset = CONF(basic_password),
     .help = "Better from the environment: ${NAME}."},
    {.name = "password_file",
     .type = CONF_STRING,
     .offset = offsetof(struct sink_read, password_file),
     .node_offset = NODE(file),
     .help = "Instead of password: read from this file, without the newline at its end."},
    CONF_END,
};
static const struct conf_key compression_keys[] = {
    {.name = "zstd",
     .type = CONF_INT,
     .offset = CONF(zstd_level),
     .deflt = "3",
     .min = 1,
     .max = 19,
     .help = "Level of zstd."},
    CONF_END,
};

#define KIND_KEY                                                                                   \
	{                                                                                          \
		.name = "kind", .type = CONF_STRING, .offset = offsetof(struct sink_read, kind)    \
	}
#define URL_KEY(text)                                                                              \
	{                                                                                          \
		.name = "url", .type = CONF_STRING, .offset = CONF(url), .flags = CONF_REQUIRED,   \
		.node_offset = NODE(url), .help = (text)                                           \
	}
#define ROLE_KEY                                                                                   \
	{                                                                                          \
		.name = "role", .type = CONF_STRING, .offset = CONF(role),                         \
		.node_offset = NODE(role),                                                         \
		.help = "ARN of a role to assume from the base credentials; default: none."        \
	}

/* The ways to sign in, and more headers. */
#define AUTH_KEYS                                                                                  \
	{.name = "sigv4",                                                                          \
	 .type = CONF_TABLE,                                                                       \
	 .table = sigv4_keys,                                                                      \
	 .node_offset = NODE(sigv4),                                                               \
	 .help = "Sign requests for an AWS service; leave it out for a plain receiver."},          \
	    {.name = "basic_auth",                                                                 \
	     .type = CONF_TABLE,                                                                   \
	     .table = basic_keys,                                                                  \
	     .node_offset = NODE(basic),                                                           \
	     .help = "Sign in by name and password."},                                             \
	    {.name = "bearer_token_file",                                                          \
	     .type = CONF_STRING,                                                                  \
	     .offset = CONF(bearer_token_file),                                                    \
	     .node_offset = NODE(bearer),                                                          \
	     .help = "Sign in by the token in this file, read again when it changes."},            \
	{                                                                                          \
		.name = "headers", .type = CONF_MAP, .offset = CONF(headers),                      \
		.node_offset = NODE(headers),                                                      \
		.help = "More headers for each request, such as X-Scope-OrgID."                    \
	}

static const struct conf_key remote_write_keys[] = {
    KIND_KEY,
    URL_KEY("http:// or https:// URL that takes Prometheus remote write."),
    ROLE_KEY,
    AUTH_KEYS,
    {.name = "max_age",
     .type = CONF_DURATION,
     .offset = CONF(max_age_ms),
     .flags = CONF_OFF,
     .min = 1000,
     .max = AGE_MAX_MS,
     .node_offset = NODE(max_age),
     .help = "The oldest samples that the receiver takes; older ones go to the other sinks and are "
	     "counted. Default: 1h for aps, else none."},
    {.name = "out_of_order",
     .type = CONF_DURATION,
     .offset = CONF(out_of_order_ms),
     .flags = CONF_OFF,
     .min = 0,
     .max = ORDER_MAX_MS,
     .node_offset = NODE(order),
     .help = "The receiver's window for samples out of order. Default: 60s for aps, else 0."},
    CONF_END,
};
static const struct conf_key alertmanager_keys[] = {
    KIND_KEY,
    URL_KEY("http:// or https:// URL of an Alertmanager, up to /api/v2/alerts; of AMP's "
	    "https://aps-workspaces.REGION.amazonaws.com/workspaces/ID/alertmanager."),
    ROLE_KEY,
    AUTH_KEYS,
    {.name = "ends_after",
     .type = CONF_DURATION,
     .offset = CONF(ends_after_ms),
     .deflt = "15m",
     .min = ENDS_MIN_MS,
     .max = ENDS_MAX_MS,
     .help = "How long an alert lasts that is not sent again: two or three times what lies between "
	     "runs."},
    CONF_END,
};
static const struct conf_key otlp_keys[] = {
    KIND_KEY,
    URL_KEY("http:// or https:// URL of an OTLP receiver such as Jaeger (port 4318), up to "
	    "/v1/traces."),
    ROLE_KEY,
    AUTH_KEYS,
    CONF_END,
};
static const struct conf_key objects_keys[] = {
    KIND_KEY,
    URL_KEY("s3://bucket/prefix or file:///dir."),
    ROLE_KEY,
    {.name = "compression",
     .type = CONF_TABLE,
     .table = compression_keys,
     .help = "How objects are compressed."},
    {.name = "kms_key",
     .type = CONF_STRING,
     .offset = CONF(kms_key),
     .node_offset = NODE(kms),
     .help = "Key of SSE-KMS; default: the bucket's own encryption."},
    {.name = "expected_owner",
     .type = CONF_STRING,
     .offset = CONF(expected_owner),
     .node_offset = NODE(owner),
     .help = "Account that must own the bucket."},
    CONF_END,
};
static const struct conf_key openmetrics_keys[] = {
    KIND_KEY,
    URL_KEY(
	"s3://bucket/prefix or file:///dir. Files are laid out as in the lake, a cell each: "
	"<job>/tenant=<id>/region=<region>/dt=<day>/hh=<hour>/<start>-<end>.om. For blocks, join "
	"those of a day in the order of their names: (find . -path '*/dt=2026-01-01/*.om' | sort "
	"| xargs cat | grep -v '^# EOF'; echo '# EOF') >day.om; promtool tsdb "
	"create-blocks-from openmetrics day.om DATA_DIR"),
    ROLE_KEY,
    {.name = "kms_key",
     .type = CONF_STRING,
     .offset = CONF(kms_key),
     .node_offset = NODE(kms),
     .help = "Key of SSE-KMS; default: the bucket's own encryption."},
    {.name = "expected_owner",
     .type = CONF_STRING,
     .offset = CONF(expected_owner),
     .node_offset = NODE(owner),
     .help = "Account that must own the bucket."},
    CONF_END,
};
static const struct conf_key stdout_keys[] = {
    KIND_KEY,
    CONF_END,
};

const struct config_sink_kind config_sink_kinds[] = {
    {"remote_write", SINK_REMOTE_WRITE, "Prometheus remote write", remote_write_keys},
    {"objects", SINK_OBJECTS, "lake of NDJSON objects; `s3` means the same", objects_keys},
    {"s3", SINK_OBJECTS, NULL, objects_keys},
    {"alertmanager", SINK_ALERTMANAGER,
     "alarms as they are now, as alerts of Alertmanager's API v2", alertmanager_keys},
    {"otlp", SINK_OTLP, "spans by OTLP over HTTP, in protobuf: Jaeger, OpenTelemetry collectors",
     otlp_keys},
    {"stdout", SINK_STDOUT, "NDJSON lines on standard output", stdout_keys},
    {"openmetrics", SINK_OPENMETRICS,
     "OpenMetrics text for samples that came too late: cells of which a receiver of the job with a "
     "max_age did not take all; every cell if the job has no such receiver. Points that come "
     "late for a cell that is frozen are not written",
     openmetrics_keys},
    {.name = NULL},
};

static const struct config_sink_kind *
find_kind(struct config_read *r, const struct conf_node *sink, const char *kind)
{
	const struct conf_node *at = conf_child(sink, "kind");
	const char *names[8];
	size_t n = 0;

	for (const struct config_sink_kind *k = config_sink_kinds; k->name; k++) {
		if (!strcmp(k->name, kind))
			return k;
		if (k->summary)
			names[n++] = k->name;
	}
	config_unknown(r, at, "kind", kind, names, n);
	return NULL;
}

/* 0 and the number of bytes in *ret_n, or an errno. */
static int
read_some(const char *path, char *p, size_t size, size_t *ret_n)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY), errnum;
	ssize_t n;

	if (fd < 0)
		return errno;
	n = read(fd, p, size);
	errnum = n < 0 ? errno : 0;
	(void)close(fd);
	*ret_n = n < 0 ? 0 : (size_t)n;
	return errnum;
}

/* The first line of a file, which is all a password file may have. */
static const char *
read_password(struct config_read *r, const struct sink_read *s)
{
	char text[PASSWORD_MAX + 1];
	const char *ret = NULL;
	size_t n = 0;
	int errnum = read_some(s->password_file, text, sizeof(text), &n);

	while (n > 0 && (text[n - 1] == '\n' || text[n - 1] == '\r'))
		n--;
	if (errnum)
		conf_unreadable(r->f, s->file_node, s->password_file, errnum);
	else if (n == 0 || n > PASSWORD_MAX || memchr(text, '\n', n) || memchr(text, '\0', n))
		conf_fault(r->f, s->file_node, "holds no password of one line");
	else
		ret = arena_strdup(r->a, (struct sv){text, n});
	explicit_bzero(text, sizeof(text));
	return ret;
}

static void
check_basic(struct config_read *r, struct sink_read *s)
{
	if (!s->basic_node)
		return;
	if (s->conf.basic_user && strchr(s->conf.basic_user, ':'))
		conf_fault(r->f, s->basic_node, "a username cannot hold ':'");
	if (!conf_child(s->basic_node, "password") == !s->password_file) {
		if (!conf_meant(s->basic_node, "password") &&
		    !conf_meant(s->basic_node, "password_file"))
			conf_fault(r->f, s->basic_node, "needs either password or password_file");
	} else if (s->password_file) {
		s->conf.basic_password = read_password(r, s);
	}
}

static void
check_ways(struct config_read *r, const struct sink_read *s)
{
	const struct conf_node *const ways[] = {s->sigv4_node, s->basic_node, s->bearer_node};
	size_t n = 0;

	for (size_t i = 0; i < ARRAY_LEN(ways); i++)
		if (ways[i] && ++n == 2)
			conf_fault_key(r->f, ways[i],
				       "only one of sigv4, basic_auth and "
				       "bearer_token_file can be used");
}

static void
check_role(struct config_read *r, const struct sink_read *s, bool of_use, const char *only)
{
	struct sv account;

	if (!s->conf.role)
		return;
	if (!config_split_role_arn(s->conf.role, &account))
		conf_fault(r->f, s->role_node,
			   "should be the whole ARN of a role, arn:aws:iam::ACCOUNT:role/NAME");
	else if (!of_use)
		conf_fault_key(r->f, s->role_node, "is of use only %s", only);
}

/* Tokens of RFC 9110. */
static bool
header_name_ok(const char *s)
{
	if (!*s)
		return false;
	for (; *s; s++)
		if (!isalnum((unsigned char)*s) && !strchr("!#$%&'*+-.^_`|~", *s))
			return false;
	return true;
}

static bool
header_value_ok(const char *s)
{
	for (; *s; s++)
		if (((unsigned char)*s < ' ' && *s != '\t') || *s == 0x7f)
			return false;
	return true;
}

static void
check_headers(struct config_read *r, const struct sink_read *s)
{
	static const char *const own[] = {"content-encoding",
					  "content-type",
					  "content-length",
					  "user-agent",
					  "authorization",
					  "host",
					  "x-prometheus-remote-write-version"};

	if (s->conf.headers.n > 8)
		conf_fault(r->f, s->headers_node, "more than 8 headers");
	for (size_t i = 0; i < s->conf.headers.n; i++) {
		const struct conf_pair *h = &s->conf.headers.v[i];
		const struct conf_node *at = conf_child(s->headers_node, h->key);

		if (!header_name_ok(h->key))
			conf_fault_key(r->f, at, "not the name of a header");
		if (!header_value_ok(h->value))
			conf_fault(r->f, at, "a header cannot hold control characters");
		for (size_t k = 0; k < ARRAY_LEN(own); k++)
			if (!strcasecmp(own[k], h->key))
				conf_fault_key(r->f, at, "this header is set by muster itself");
	}
}

static void
finish_receiver(struct config_read *r, struct sink_read *s)
{
	if (s->conf.url)
		(void)config_check_http_url(r, s->url_node, s->conf.url);
	if (s->conf.sigv4_region)
		(void)config_check_region(r, s->sigv4_region_node, s->conf.sigv4_region);
	check_ways(r, s);
	check_basic(r, s);
	check_role(r, s, s->sigv4_node != NULL, "with sigv4");
	check_headers(r, s);
}

static void
finish_remote_write(struct config_read *r, struct sink_read *s)
{
	bool aps = s->conf.sigv4_service && !strcmp(s->conf.sigv4_service, "aps");

	finish_receiver(r, s);
	if (aps && !s->max_age_node)
		s->conf.max_age_ms = AMP_MAX_AGE;
	if (aps && !s->order_node)
		s->conf.out_of_order_ms = AMP_ORDER_MS;
}

static void
finish_objects(struct config_read *r, struct sink_read *s)
{
	const char *url = s->conf.url;
	bool s3 = url && config_check_store_url(r, s->url_node, url) && !strncmp(url, "s3://", 5);

	check_role(r, s, s3 || !url, "with s3://");
	if (s->kms_node && url && !s3)
		conf_fault_key(r->f, s->kms_node, "is of use only with s3://");
	if (s->conf.expected_owner && !config_is_account(sv_of(s->conf.expected_owner)))
		conf_fault(r->f, s->owner_node, "should be an account number of 12 digits");
	else if (s->owner_node && url && !s3)
		conf_fault_key(r->f, s->owner_node, "is of use only with s3://");
}

static void (*const finish[])(struct config_read *r, struct sink_read *s) = {
    [SINK_REMOTE_WRITE] = finish_remote_write,
    [SINK_OBJECTS] = finish_objects,
    [SINK_STDOUT] = NULL,
    [SINK_OPENMETRICS] = finish_objects,
    [SINK_ALERTMANAGER] = finish_receiver,
    [SINK_OTLP] = finish_receiver,
};

static void
read_sink(struct config_read *r, const struct conf_node *node, struct sink_conf *out)
{
	const char *kind = conf_peek(node, "kind");
	struct sink_read s = {.conf.name = conf_name(node), .conf.node = node};
	const struct config_sink_kind *k;

	if (!conf_is_map(node) && !conf_is_null(node)) {
		if (!conf_is_bad(node))
			conf_fault(r->f, node, "should be a mapping of keys");
	} else if (!kind) {
		if (conf_is_null(conf_child(node, "kind")))
			conf_fault_missing(r->f, node, "kind", "missing");
		else if (!conf_is_bad(conf_child(node, "kind")))
			conf_fault(r->f, conf_child(node, "kind"), "should be a string");
	} else {
		k = find_kind(r, node, kind);
		if (k) {
			s.conf.kind = k->kind;
			conf_read(node, (const struct conf_key *const[]){k->keys, NULL},
				  (void *const[]){&s}, r->a, r->f);
			if (finish[k->kind])
				finish[k->kind](r, &s);
		}
	}
	*out = s.conf;
}

void
config_read_sinks(struct config_read *r, const struct conf_node *node)
{
	size_t n = 0;

	for (const struct conf_node *s = conf_first(node); s; s = conf_next(node, s))
		n++;
	r->c->sinks = config_array(r, n, sizeof(*r->c->sinks));
	if (!r->c->sinks || !conf_is_map(node))
		return;
	for (const struct conf_node *s = conf_first(node); s; s = conf_next(node, s)) {
		if (!conf_name_valid(conf_name(s)))
			conf_fault_key(r->f, s, CONF_NAME_RULE);
		read_sink(r, s, &r->c->sinks[r->c->n_sinks++]);
	}
}
