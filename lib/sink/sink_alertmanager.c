/*
 * The alertmanager sink: alarms as they are now, as alerts of Alertmanager's API v2.
 *
 * An alert is known by its labels: alertname (the alarm's name) and the labels of the alarm's
 * series. State, reason and the like are annotations, so nothing that changes makes another alert.
 * An alarm in ALARM is sent with every run and ends by itself `ends_after` from now, should no
 * further run come: so a run that is late lets nothing flap, and a schedule that died does not
 * leave alerts for ever. Any other state is sent as the alert's end, at the moment of the change,
 * for as long as the receiver may still take it for firing; after that there is nothing to say.
 * Times are told by the run's present, so a replay sends the same.
 */
#include <stdlib.h>

#include "aws/endpoint.h"
#include "base/cleanup.h"
#include "base/log.h"
#include "base/timefmt.h"
#include "fmt/json.h"
#include "model/alarms.h"
#include "sink/rw_workspace.h"
#include "sink/sink_http.h"

#define PATH	   "/api/v2/alerts"
#define ANSWER_MAX ((size_t)1 << 20)
#define BODY_MAX   ((size_t)16 << 20) /* AMP takes 20 MB (its quotas) */
#define BATCH	   200
#define URL_MAX	   ((size_t)8192)

struct alertmanager {
	struct sink base;
	struct sink_http http;
	struct buf url;
};

/* One publish. */
struct round {
	struct alertmanager *am;
	const struct publish *p;
	struct published *count;
	const struct alarm_now **alerts; /* those worth telling */
	size_t n;
	struct buf body;
};

/* ---- an alert ---- */

static void
add_pair(struct buf *out, const char *sep, const char *name, const char *value)
{
	buf_str(out, sep);
	(void)json_escape(out, sv_of(name));
	buf_ch(out, ':');
	(void)json_escape(out, sv_of(value));
}

static void
add_labels(struct buf *out, const struct alarm_now *a)
{
	add_pair(out, "{\"labels\":{", "alertname", a->name);
	for (size_t i = 0; i < a->series->n_labels; i++)
		if (strcmp(a->series->labels[i].name, "state") != 0)
			add_pair(out, ",", a->series->labels[i].name, a->series->labels[i].value);
	buf_ch(out, '}');
}

static void
add_time(struct buf *out, const char *key, int64_t ms)
{
	char text[TIME_TEXT_MAX];

	time_format_ms(ms, text);
	add_pair(out, ",", key, text);
}

static void
add_alert(const struct round *r, struct buf *out, const struct alarm_now *a)
{
	int64_t now_ms = r->p->now_ms;

	add_labels(out, a);
	add_pair(out, ",\"annotations\":{", "state", a->state);
	if (*a->reason)
		add_pair(out, ",", "reason", a->reason);
	if (*a->description)
		add_pair(out, ",", "description", a->description);
	add_pair(out, ",", "arn", a->arn);
	buf_ch(out, '}');
	if (a->firing && a->since_ms && a->since_ms < now_ms)
		add_time(out, "startsAt", a->since_ms);
	if (a->firing)
		add_time(out, "endsAt", now_ms + r->am->base.conf->ends_after_ms);
	else
		add_time(out, "endsAt", a->since_ms < now_ms ? a->since_ms : now_ms);
	buf_ch(out, '}');
}

/* The receiver may take it for firing only if a run of the last `ends_after` said so; twice that is
 * on the safe side. */
static bool
worth_telling(const struct round *r, const struct alarm_now *a)
{
	int64_t age_ms = r->p->now_ms - a->since_ms;

	return a->firing || (a->since_ms && age_ms < 2 * r->am->base.conf->ends_after_ms);
}

/* ---- requests ---- */

/* 0: taken. 1: the request itself is refused, see *resp. -1: the receiver cannot be used. */
static int
post(const struct round *r, struct http_resp *resp, struct err *err)
{
	struct secret auth = {0};
	struct http_req req = {
	    .method = "POST",
	    .url = buf_cstr(&r->am->url),
	    .body = buf_view(&r->body),
	    .limits = {.max_body = ANSWER_MAX},
	    .service = "alertmanager",
	    .operation = "PostAlerts",
	    .account = "",
	    .proto = PROTO_PLAIN,
	    .retry_429 = true,
	    .deadline_mono_ms = r->p->deadline_mono_ms,
	};
	int rc = buf_check(&r->body, "alerts", err);

	if (!rc)
		rc = req_header(&req, "Content-Type", "application/json", err);
	if (!rc)
		rc = sink_http_fill(&r->am->http, &req, &auth, err);
	if (!rc)
		rc = transport_send(r->am->http.env->transport, &req, resp, err);
	secret_done(&auth);
	if (r->count && resp->status) {
		r->count->requests++;
		r->count->bytes += r->body.n;
	}
	return rc && (resp->status == 400 || resp->status == 413 || resp->status == 422) ? 1 : rc;
}

static void
refuse(const struct round *r, const struct alarm_now *a, const struct http_resp *resp)
{
	char reason[SINK_REASON_MAX];

	sink_http_reason(buf_view(&resp->body), reason);
	log_event(LOG_WARN, "alert refused", LOG_S("sink", r->am->base.conf->name),
		  LOG_S("tenant", r->p->tenant), LOG_S("alarm", a->name),
		  LOG_I("status", resp->status), LOG_S("reason", reason));
	if (r->p->reject)
		r->p->reject(r->p->reject_arg, a->series, r->p->now_ms, a->firing, resp->status,
			     reason);
	r->count->rejected++;
}

/* A refusal names no alert, and the good ones of a refused request may have been taken: halves are
 * sent until the one is found. Sending an alert again changes nothing. */
static int
send_alerts(struct round *r, size_t from, size_t n, struct err *err)
{
	struct http_resp resp;
	int rc;

	buf_reset(&r->body);
	for (size_t i = 0; i < n; i++) {
		buf_ch(&r->body, i ? ',' : '[');
		add_alert(r, &r->body, r->alerts[from + i]);
	}
	buf_ch(&r->body, ']');
	resp_init(&resp, ANSWER_MAX);
	rc = post(r, &resp, err);
	if (rc == 1 && n == 1) {
		err_clear(err);
		refuse(r, r->alerts[from], &resp);
		rc = 0;
	}
	resp_done(&resp);
	if (rc != 1)
		return rc;
	err_clear(err);
	return send_alerts(r, from, n / 2, err) || send_alerts(r, from + n / 2, n - n / 2, err) ? -1
												: 0;
}

static int
am_publish(struct sink *s, const struct publish *p, const struct cell_data *d,
	   struct published *ret, struct err *err)
{
	CLEANUP(freep) const struct alarm_now **alerts = calloc(d->n_alarms + 1, sizeof(*alerts));
	struct round r = {.am = (struct alertmanager *)s,
			  .p = p,
			  .count = ret,
			  .alerts = alerts,
			  .body = BUF_INIT(BODY_MAX)};
	int rc = 0;

	if (!alerts)
		return err_nomem(err);
	for (size_t i = 0; i < d->n_alarms; i++)
		if (worth_telling(&r, &d->alarms[i]))
			alerts[r.n++] = &d->alarms[i];
	for (size_t i = 0; !rc && i < r.n; i += BATCH)
		rc = send_alerts(&r, i, r.n - i < BATCH ? r.n - i : BATCH, err);
	buf_done(&r.body);
	if (!rc)
		ret->acked = d->n_alarms - ret->rejected;
	return rc;
}

/* ---- open ---- */

static void
am_free(struct sink *s)
{
	struct alertmanager *am = (struct alertmanager *)s;

	sink_http_done(&am->http);
	buf_done(&am->url);
	free(am);
}

static const struct sink_ops alertmanager_ops = {
    .kind = "alertmanager",
    .ordered = false,
    .samples = false,
    .publish = am_publish,
    .free = am_free,
};

int
sink_alertmanager_open(const struct sink_conf *c, const struct sink_env *env, struct sink **ret,
		       struct err *err)
{
	struct alertmanager *am = calloc(1, sizeof(*am));

	if (!am)
		return err_nomem(err);
	am->base = (struct sink){.ops = &alertmanager_ops, .conf = c};
	am->url = BUF_INIT(URL_MAX);
	if (sink_http_open(&am->http, c, env, err) < 0 ||
	    sink_http_url(&am->url, c->url, PATH, err) < 0) {
		am_free(&am->base);
		return -1;
	}
	*ret = &am->base;
	return 0;
}

/* ---- trying out ---- */

/* No alerts at all: taken or refused like any others, and nothing stays. */
static void
try_empty(struct alertmanager *am, const char *workspace, const struct trials *to)
{
	char resource[RW_WORKSPACE_MAX + 2 * SINK_REGION_MAX];
	const struct publish p = {.job = ""};
	struct round r = {.am = am, .p = &p, .body = BUF_INIT(64)};
	struct trial t = {.what = "alerts", .note = "takes a request"};
	struct http_resp resp;
	struct err err = {0};

	if (*workspace) {
		(void)snprintf(resource, sizeof(resource), "\"arn:%s:aps:%s:*:workspace/%s\"",
			       endpoint_partition(am->http.region), am->http.region, workspace);
		t.action = "aps:CreateAlertManagerAlerts";
		t.resource = resource;
	}
	buf_str(&r.body, "[]");
	resp_init(&resp, ANSWER_MAX);
	if (post(&r, &resp, &err)) {
		t.result = TRIAL_FAILED;
		t.err = &err;
	}
	trial_tell(to, &t);
	resp_done(&resp);
	buf_done(&r.body);
}

int
sink_alertmanager_try(const struct sink_conf *c, const struct sink_env *env,
		      const struct trials *to, struct err *err)
{
	char workspace[RW_WORKSPACE_MAX] = "";
	struct sink *s = NULL;
	struct alertmanager *am;

	if (sink_alertmanager_open(c, env, &s, err) < 0)
		return -1;
	am = (struct alertmanager *)s;
	if (c->sigv4_service && !strcmp(c->sigv4_service, "aps"))
		(void)rw_workspace_of(c->url, workspace);
	if (sink_creds_try(&am->http.creds, c, to))
		try_empty(am, workspace, to);
	sink_free(s);
	return 0;
}
