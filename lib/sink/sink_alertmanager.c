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
#include "sink/sink_post.h"

#define PATH	 "/api/v2/alerts"
#define BODY_MAX ((size_t)16 << 20) /* AMP takes 20 MB (its quotas) */
#define BATCH	 200

static const struct post_kind kind = {
    .service = "alertmanager",
    .operation = "PostAlerts",
    .type = "application/json",
    .what = "alerts",
};

/* One publish. */
struct round {
	struct post_sink *sink;
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
		add_time(out, "endsAt", now_ms + r->sink->base.conf->ends_after_ms);
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

	return a->firing || (a->since_ms && age_ms < 2 * r->sink->base.conf->ends_after_ms);
}

/* ---- requests ---- */

static void
refuse(const struct round *r, const struct alarm_now *a, const struct http_resp *resp)
{
	char reason[SINK_REASON_MAX];

	sink_http_reason(buf_view(&resp->body), reason);
	log_event(LOG_WARN, "alert refused", LOG_S("sink", r->sink->base.conf->name),
		  LOG_S("tenant", r->p->tenant), LOG_S("alarm", a->name),
		  LOG_I("status", resp->status), LOG_S("reason", reason));
	if (r->p->reject)
		r->p->reject(r->p->reject_arg, a->series, r->p->now_ms, a->firing, resp->status,
			     reason);
	r->count->rejected++;
}

static int
send_alerts(void *arg, size_t from, size_t n, struct err *err)
{
	struct round *r = arg;
	struct http_resp resp;
	int rc;

	buf_reset(&r->body);
	for (size_t i = 0; i < n; i++) {
		buf_ch(&r->body, i ? ',' : '[');
		add_alert(r, &r->body, r->alerts[from + i]);
	}
	buf_ch(&r->body, ']');
	resp_init(&resp, POST_ANSWER_MAX);
	rc = post_sink_send(r->sink, &kind, &r->body, r->p, r->count, &resp, err);
	if (rc == 1 && n == 1) {
		err_clear(err);
		refuse(r, r->alerts[from], &resp);
		rc = 0;
	}
	resp_done(&resp);
	return rc;
}

static int
am_publish(struct sink *s, const struct publish *p, const struct cell_data *d,
	   struct published *ret, struct err *err)
{
	CLEANUP(freep) const struct alarm_now **alerts = calloc(d->n_alarms + 1, sizeof(*alerts));
	struct round r = {.sink = (struct post_sink *)s,
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
		rc = post_in_halves(send_alerts, &r, i, r.n - i < BATCH ? r.n - i : BATCH, err);
	buf_done(&r.body);
	if (!rc)
		ret->acked = d->n_alarms - ret->rejected;
	return rc;
}

/* ---- opening and trying out ---- */

static const struct sink_ops alertmanager_ops = {
    .kind = "alertmanager",
    .ordered = false,
    .samples = false,
    .publish = am_publish,
    .free = post_sink_free,
};

int
sink_alertmanager_open(const struct sink_conf *c, const struct sink_env *env, struct sink **ret,
		       struct err *err)
{
	return post_sink_open(&alertmanager_ops, PATH, c, env, ret, err);
}

/* With no alerts at all: taken or refused like any others, and nothing stays. */
static void
try_empty(struct post_sink *ps, const char *workspace, const struct trials *to)
{
	char resource[RW_WORKSPACE_MAX + 2 * SINK_REGION_MAX];
	struct trial t = {.what = "alerts"};
	struct buf empty = BUF_INIT(sizeof("[]"));

	if (*workspace) {
		(void)snprintf(resource, sizeof(resource), "\"arn:%s:aps:%s:*:workspace/%s\"",
			       endpoint_partition(ps->http.region), ps->http.region, workspace);
		t.action = "aps:CreateAlertManagerAlerts";
		t.resource = resource;
	}
	buf_str(&empty, "[]");
	post_sink_try(ps, &kind, &empty, t, to);
	buf_done(&empty);
}

int
sink_alertmanager_try(const struct sink_conf *c, const struct sink_env *env,
		      const struct trials *to, struct err *err)
{
	char workspace[RW_WORKSPACE_MAX] = "";
	struct sink *s = NULL;
	struct post_sink *ps;

	if (sink_alertmanager_open(c, env, &s, err) < 0)
		return -1;
	ps = (struct post_sink *)s;
	if (c->sigv4_service && !strcmp(c->sigv4_service, "aps"))
		(void)rw_workspace_of(c->url, workspace);
	if (sink_creds_try(&ps->http.creds, c, to))
		try_empty(ps, workspace, to);
	sink_free(s);
	return 0;
}
