/*
 * CloudWatch alarms: how they stand (DescribeAlarms), then how they came to (DescribeAlarmHistory
 * from the oldest cell up to now).
 *
 * The snapshot is read first, so that whatever changed after it is in the history: what the history
 * tells goes before what the snapshot tells. Where the snapshot knows of a change that the history
 * does not show yet, the history is asked for again a few times, and then the change is taken from
 * the snapshot, without a state before it. The history has to be read up to now, however old the
 * cells are: an alarm's state then is where its next change came from, and an alarm deleted since
 * is in no snapshot.
 *
 * next() only builds; what moves the pull on is a reply that could be read whole.
 */
#include "aws/cloudwatch_alarms.h"
#include "aws/endpoint.h"
#include "aws/paging.h"
#include "base/cleanup.h"
#include "base/grow.h"
#include "base/map.h"
#include "base/num.h"
#include "model/alarms.h"
#include "run/job.h"

#define MINUTE_MS  60000LL
#define DAY_MS	   (1440 * MINUTE_MS)
#define HISTORY_MS (CW_ALARM_HISTORY_DAYS * DAY_MS)
/* The clocks of snapshot and history may differ by so much. */
#define TOLERANCE_MS 5000
/* How often the history is asked again for what the snapshot knows, after 2, 4 and 8 s. */
#define AGAIN_MAX      3
#define AGAIN_FIRST_MS 2000
/* Cells of one pull: their rows are all in memory at once. */
#define SPAN_MAX_MS    (60 * MINUTE_MS)
#define PAGES_MAX      10000
#define RESTARTS_MAX   3
#define PULL_ARENA_MAX ((size_t)1 << 30)
#define PAGE_ARENA_MAX ((size_t)64 << 20)
#define ARN_MAX	       2048

struct alarms_opts {
	int64_t period_ms;
	const struct conf_node *period_node;
};

static const struct conf_key alarms_keys[] = {
    {.name = "period",
     .type = CONF_DURATION,
     .offset = offsetof(struct alarms_opts, period_ms),
     .deflt = "60s",
     .min = 1000,
     .max = 86400000,
     .node_offset = offsetof(struct alarms_opts, period_node),
     .help = "distance of the points of aws_cloudwatch_alarm_state; `every` is a multiple of it"},
    CONF_END,
};

static void
alarms_check(const struct job_common *c, void *opts, const struct conf_node *node, struct arena *a,
	     struct conf_faults *f)
{
	const struct alarms_opts *o = opts;
	char every[32], period[32];

	(void)a;
	num_duration_format(c->every_ms, every);
	num_duration_format(o->period_ms, period);
	if (c->every_ms % o->period_ms)
		conf_fault(f, o->period_node ? o->period_node : node,
			   "every (%s) is not a multiple of the period (%s)", every, period);
}

static void
alarms_definition(const struct job_common *c, const void *opts, struct buf *out)
{
	const struct alarms_opts *o = opts;

	(void)c;
	buf_fmt(out, "{\"kind\":\"alarms\",\"format\":1,\"period_ms\":%lld}",
		(long long)o->period_ms);
}

enum phase { SNAPSHOT, HISTORY, DONE };

struct pull {
	const struct job_stream *s;
	const struct alarms_opts *o;
	int64_t start_ms; /* of the oldest cell that there is a history of */
	struct arena mem, page;
	enum cw_proto proto;
	bool spoken; /* the endpoint has answered in this protocol */

	enum phase phase;
	struct paging paging; /* of either list */
	unsigned restarts, again;

	struct alarm_track *tracks;
	size_t n_tracks, cap_tracks;
	struct map by_name; /* index into tracks, plus one */
	struct alarm_change *changes;
	size_t n_changes, cap_changes;

	struct job_gap gap; /* n_gaps: 0 or 1 */
	size_t n_gaps;
	char gap_reason[96];
};

static void
pull_free(struct pull *p)
{
	if (!p)
		return;
	map_done(&p->by_name, NULL);
	free(p->tracks);
	free(p->changes);
	paging_done(&p->paging);
	arena_done(&p->page);
	arena_done(&p->mem);
	free(p);
}
DEFINE_FREEP(struct pull, pull_free)

/* Tracks */

/* The alarm's track, made where there is none; NULL without memory. */
static struct alarm_track *
track_of(struct pull *p, const char *name, struct err *err)
{
	uintptr_t at = (uintptr_t)map_get(&p->by_name, sv_of(name));
	struct alarm_track *v;

	if (at)
		return &p->tracks[at - 1];
	v = array_grow(p->tracks, p->n_tracks, &p->cap_tracks, sizeof(*v), err);
	if (!v)
		return NULL;
	p->tracks = v;
	v += p->n_tracks;
	*v = (struct alarm_track){.state = ALARM_ABSENT, .reason = "", .description = ""};
	v->name = arena_strdup(&p->mem, sv_of(name));
	if (!v->name) {
		(void)err_nomem(err);
		return NULL;
	}
	at = ++p->n_tracks;
	return map_put(&p->by_name, sv_of(name), (void *)at, NULL, err) ? NULL : v;
}

static int
keep(struct pull *p, const char *s, const char **ret, struct err *err)
{
	*ret = arena_strdup(&p->mem, sv_of(s));
	return *ret ? 0 : err_nomem(err);
}

static int
take_alarm(struct pull *p, const struct cw_alarm *a, struct err *err)
{
	struct alarm_track *t = track_of(p, a->name, err);

	if (!t)
		return -1;
	t->state = alarm_state_of(a->state);
	t->since_ms = a->since_ms;
	return keep(p, a->arn, &t->arn, err) || keep(p, a->reason, &t->reason, err) ||
		       keep(p, a->description, &t->description, err)
		   ? -1
		   : 0;
}

static int
add_change(struct pull *p, const struct alarm_track *t, int64_t ts_ms, enum alarm_state from,
	   enum alarm_state to, const char *reason, struct err *err)
{
	struct alarm_change *v =
	    array_grow(p->changes, p->n_changes, &p->cap_changes, sizeof(*v), err);
	const char *text;

	if (!v)
		return -1;
	p->changes = v;
	if (keep(p, reason, &text, err))
		return -1;
	v[p->n_changes] = (struct alarm_change){
	    .alarm = t->name,
	    .reason = text,
	    .ts_ms = ts_ms,
	    .from = from,
	    .to = to,
	    .seq = p->n_changes,
	};
	p->n_changes++;
	return 0;
}

/* A new alarm begins without data. */
static int
take_item(struct pull *p, const struct cw_alarm_item *i, struct err *err)
{
	struct alarm_track *t;

	if (i->event == CW_ALARM_OTHER)
		return 0;
	t = track_of(p, i->name, err);
	if (!t)
		return -1;
	if (i->event == CW_ALARM_CREATED)
		return add_change(p, t, i->ts_ms, ALARM_ABSENT, ALARM_INSUFFICIENT, "", err);
	if (i->event == CW_ALARM_DELETED)
		return add_change(p, t, i->ts_ms, ALARM_UNKNOWN, ALARM_ABSENT, "", err);
	return add_change(p, t, i->ts_ms, alarm_state_of(i->from), alarm_state_of(i->to), i->reason,
			  err);
}

/* Does the history show the change that the snapshot knows of? */
static bool
is_explained(const struct pull *p, const struct alarm_track *t)
{
	if (t->since_ms < p->start_ms)
		return true;
	for (size_t i = 0; i < p->n_changes; i++)
		if (p->changes[i].ts_ms >= t->since_ms - TOLERANCE_MS &&
		    !strcmp(p->changes[i].alarm, t->name))
			return true;
	return false;
}

static size_t
count_unexplained(const struct pull *p)
{
	size_t n = 0;

	for (size_t i = 0; i < p->n_tracks; i++)
		n += !is_explained(p, &p->tracks[i]);
	return n;
}

/* A list from its beginning */

static void
list_begin(struct pull *p)
{
	paging_begin(&p->paging);
	if (p->phase == HISTORY)
		p->n_changes = 0;
}

/* The end of both lists */

/* What no history shows is taken from the snapshot. */
static int
explain_rest(struct pull *p, struct err *err)
{
	for (size_t i = 0; i < p->n_tracks; i++) {
		const struct alarm_track *t = &p->tracks[i];

		if (!is_explained(p, t) &&
		    add_change(p, t, t->since_ms, ALARM_UNKNOWN, t->state, t->reason, err))
			return -1;
	}
	return 0;
}

/* The ARN of an alarm that no snapshot has: they are all made alike. */
static int
name_rest(struct pull *p, struct err *err)
{
	CLEANUP(buf_done) struct buf arn = BUF_INIT(ARN_MAX);

	for (size_t i = 0; i < p->n_tracks; i++) {
		struct alarm_track *t = &p->tracks[i];

		if (t->arn && *t->arn)
			continue;
		buf_reset(&arn);
		buf_fmt(&arn, "arn:%s:cloudwatch:%s:%s:alarm:%s", endpoint_partition(p->s->region),
			p->s->region, p->s->account, t->name);
		if (buf_check(&arn, "ARN of an alarm", err) ||
		    keep(p, buf_cstr(&arn), &t->arn, err))
			return -1;
	}
	return 0;
}

static int
history_end(struct pull *p, struct err *err)
{
	if (p->again < AGAIN_MAX && count_unexplained(p)) {
		p->again++;
		list_begin(p);
		return 0;
	}
	if (explain_rest(p, err) || name_rest(p, err))
		return -1;
	map_done(&p->by_name, NULL); /* its numbers end with the order */
	p->by_name = MAP_INIT;
	alarm_tracks_sort(p->tracks, p->n_tracks, p->changes, &p->n_changes);
	p->phase = DONE;
	return 0;
}

static int
snapshot_reply(struct pull *p, struct sv body, struct err *err)
{
	struct cw_alarms_page page;

	if (cw_alarms_read(p->proto, body, &p->page, &page, err) ||
	    paging_check(&p->paging, page.token, PAGES_MAX, err))
		return -1;
	for (size_t i = 0; i < page.n; i++)
		if (take_alarm(p, &page.alarms[i], err))
			return -1;
	if (page.token)
		return paging_go_on(&p->paging, page.token, PAGES_MAX, err);
	p->phase = HISTORY;
	p->restarts = 0;
	list_begin(p);
	return 0;
}

static int
history_reply(struct pull *p, struct sv body, struct err *err)
{
	struct cw_alarm_history page;

	if (cw_alarm_history_read(p->proto, body, &p->page, &page, err) ||
	    paging_check(&p->paging, page.token, PAGES_MAX, err))
		return -1;
	for (size_t i = 0; i < page.n; i++)
		if (take_item(p, &page.items[i], err))
			return -1;
	return page.token ? paging_go_on(&p->paging, page.token, PAGES_MAX, err)
			  : history_end(p, err);
}

/* Opening */

/* Cells older than the history become a gap; the pull is of the others. */
static void
leave_out_old(struct pull *p, const struct cell *cells, size_t n, int64_t now_ms)
{
	size_t old = 0;

	while (old < n && cells[old].start_ms < now_ms - HISTORY_MS)
		old++;
	p->start_ms = old < n ? cells[old].start_ms : cells[n - 1].end_ms;
	p->phase = old < n ? SNAPSHOT : DONE;
	if (!old)
		return;
	(void)snprintf(p->gap_reason, sizeof(p->gap_reason),
		       "CloudWatch keeps the history of alarms for %d days", CW_ALARM_HISTORY_DAYS);
	p->gap = (struct job_gap){
	    .from_ms = cells[0].start_ms, .to_ms = p->start_ms, .reason = p->gap_reason};
	p->n_gaps = 1;
}

static int
alarms_open(const struct job_stream *s, const json_t *memo, const struct cell *cells, size_t n,
	    int64_t now_ms, struct pull **ret, struct err *err)
{
	CLEANUP(pull_freep) struct pull *p = calloc(1, sizeof(*p));

	(void)memo;
	if (!p)
		return err_nomem(err);
	*p = (struct pull){
	    .s = s,
	    .o = s->opts,
	    .mem = ARENA_INIT(PULL_ARENA_MAX),
	    .page = ARENA_INIT(PAGE_ARENA_MAX),
	    .proto = cw_alarms_proto(s->region),
	    .paging = PAGING_INIT("NextToken"),
	    .by_name = MAP_INIT,
	};
	leave_out_old(p, cells, n, now_ms);
	*ret = STEAL(p);
	return 0;
}

static int
alarms_next(struct pull *p, struct aws_call *call, struct err *err)
{
	int r;

	if (p->phase == DONE)
		return 0;
	if (p->phase == HISTORY && p->again && !p->paging.token)
		call->wait_ms = AGAIN_FIRST_MS << (p->again - 1);
	r = p->phase == SNAPSHOT ? cw_alarms_call(p->proto, p->paging.token, call, err)
				 : cw_alarm_history_call(p->proto, p->start_ms - TOLERANCE_MS,
							 p->paging.token, call, err);
	return r ? -1 : 1;
}

/* Refusals */

/* A token that ran out: the same list from its beginning. */
static bool
restart(struct pull *p)
{
	if (!p->paging.token || p->restarts >= RESTARTS_MAX)
		return false;
	p->restarts++;
	list_begin(p);
	return true;
}

/* An endpoint that does not know this protocol says so at once, or never. */
static bool
other_protocol(struct pull *p, const struct http_resp *resp, const struct err *err)
{
	if (p->spoken || p->proto != CW_JSON || !cw_proto_unknown(p->proto, resp, err))
		return false;
	p->proto = CW_QUERY;
	return true;
}

static int
alarms_reply(struct pull *p, const struct http_resp *resp, struct err *err)
{
	struct sv body = buf_view(&resp->body);

	if (resp->status < 200 || resp->status > 299) {
		bool expired = !strncmp(err->code, CW_EXPIRED_TOKEN, sizeof(CW_EXPIRED_TOKEN) - 1);

		return (expired && restart(p)) || other_protocol(p, resp, err) ? 0 : -1;
	}
	arena_reset(&p->page);
	if ((p->phase == SNAPSHOT ? snapshot_reply : history_reply)(p, body, err))
		return -1;
	p->spoken = true;
	if (p->proto == CW_QUERY)
		cw_proto_answered(p->s->region, p->proto);
	return 0;
}

static void
alarms_missing(const struct pull *p, char *out, size_t size)
{
	if (p->phase == HISTORY && p->again)
		(void)snprintf(out, size,
			       "the history does not show the last change of %zu alarms yet",
			       count_unexplained(p));
	else
		(void)snprintf(out, size, "%s of alarms is at page %u",
			       p->phase == SNAPSHOT ? "the list" : "the history",
			       p->paging.pages + 1);
}

/* Harvest */

static int
alarms_harvest(struct pull *p, struct cell_data *cells, size_t n, struct err *err)
{
	const struct alarm_owner owner = {
	    .origin = {p->s->tenant, p->s->account, p->s->region, p->s->common->name},
	    .labels = p->s->labels,
	    .n_labels = p->s->n_labels,
	};

	for (size_t i = 0; i < n; i++) {
		if (cells[i].cell.start_ms < p->start_ms)
			continue; /* too old: left empty */
		if (alarm_cell_fill(&cells[i], &owner, p->tracks, p->n_tracks, p->o->period_ms,
				    err))
			return -1;
	}
	if (!n || cells[n - 1].cell.start_ms < p->start_ms)
		return 0;
	return alarm_cell_now(&cells[n - 1], &owner, p->tracks, p->n_tracks, p->o->period_ms, err);
}

static size_t
alarms_gaps(const struct pull *p, const struct job_gap **ret)
{
	*ret = &p->gap;
	return p->n_gaps;
}

static size_t
alarms_span_max(const struct job_stream *s, const json_t *memo)
{
	int64_t cells = SPAN_MAX_MS / s->common->every_ms;

	(void)memo;
	return cells > 1 ? (size_t)cells : 1;
}

/* Probes: a page of each. Actions of CloudWatch's know no resources here; composite alarms are seen
 * with "*" only. */

static int
ask_alarms(const struct job_stream *s, const json_t *seen, int64_t now_ms, struct aws_call *call,
	   struct err *err)
{
	(void)seen;
	(void)now_ms;
	return cw_alarms_call(cw_alarms_proto(s->region), NULL, call, err);
}

static int
ask_history(const struct job_stream *s, const json_t *seen, int64_t now_ms, struct aws_call *call,
	    struct err *err)
{
	(void)seen;
	return cw_alarm_history_call(cw_alarms_proto(s->region), now_ms - MINUTE_MS, NULL, call,
				     err);
}

static bool
heard(const struct job_stream *s, json_t *seen, const struct aws_call *call,
      const struct http_resp *resp, const struct err *err)
{
	(void)seen;
	return err->kind != ERR_NONE &&
	       cw_alarms_no_json(cw_proto_of_call(call), s->region, resp, err);
}

static const struct job_probe alarms_probes[] = {
    {.action = "cloudwatch:DescribeAlarms", .ask = ask_alarms, .heard = heard},
    {.action = "cloudwatch:DescribeAlarmHistory", .ask = ask_history, .heard = heard},
    {.action = NULL},
};

/* A page each: of as many alarms as most accounts have. */
static int
alarms_foresee(const struct pull *p, uint64_t assumed, struct job_forecast *f, struct err *err)
{
	(void)assumed;
	(void)err;
	*f = (struct job_forecast){.known = true};
	if (p->phase == DONE)
		return 0;
	f->n_calls = 2;
	f->calls[0] = (struct job_calls){"DescribeAlarms", 1};
	f->calls[1] = (struct job_calls){"DescribeAlarmHistory", 1};
	return 0;
}

static const struct job_column alarms_columns[] = {
    {"alarm", "string"},  {"arn", "string"},
    {"state", "string"},  {"previous_state", "string"},
    {"reason", "string"}, {"labels", "map<string,string>"},
    {NULL, NULL},
};

static const struct job_example alarms_examples[] = {
    {"{tenant}: what its alarms did", "SELECT ts, alarm, previous_state, state, reason\n"
				      "FROM \"{table}\"\n"
				      "WHERE tenant = '{tenant}' AND {week}\n"
				      "ORDER BY ts"},
    {"all tenants: which alarms go off most",
     "SELECT tenant, region, alarm, count(*) AS times, max(ts) AS last\n"
     "FROM \"{table}\"\n"
     "WHERE {week} AND state = 'ALARM'\n"
     "GROUP BY tenant, region, alarm ORDER BY times DESC LIMIT 50"},
    {NULL, NULL},
};

const struct job_kind job_alarms = {
    .name = "alarms",
    .summary = "states and transitions of CloudWatch alarms",
    .keys = alarms_keys,
    .opts_size = sizeof(struct alarms_opts),
    .every_ms = MINUTE_MS,
    .delay_ms = MINUTE_MS,
    .service = "monitoring",
    .states = true,
    .check = alarms_check,
    .definition = alarms_definition,
    .span_max = alarms_span_max,
    .open = alarms_open,
    .next = alarms_next,
    .reply = alarms_reply,
    .missing = alarms_missing,
    .harvest = alarms_harvest,
    .gaps = alarms_gaps,
    .foresee = alarms_foresee,
    .close = pull_free,
    .columns = alarms_columns,
    .examples = alarms_examples,
    .probes = alarms_probes,
};
