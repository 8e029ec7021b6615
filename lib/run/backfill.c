/* Window, name and slices of a backfill; see backfill.h. */
#include "run/backfill.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/hash.h"
#include "base/timefmt.h"

/* Two jobs in one folder would meet each other's objects under the same keys. */
static int
check_into(const struct options *o, const struct config *c, struct err *err)
{
	size_t chosen = 0;

	if (!o->into)
		return 0;
	if (!conf_name_valid(o->into))
		return err_set(err, ERR_USAGE, "--into %.80s: " CONF_NAME_RULE, o->into);
	if (!strcmp(o->into, "rejected"))
		return err_set(err, ERR_USAGE, "--into rejected: refused samples are kept there");
	for (size_t i = 0; i < c->n_jobs; i++) {
		chosen += options_match(o->jobs, o->n_jobs, c->jobs[i].name);
		if (!strcmp(o->into, c->jobs[i].name))
			return err_set(err, ERR_USAGE, "--into %s: a job of that name writes there",
				       o->into);
	}
	if (chosen != 1)
		return err_set(err, ERR_USAGE, "--into %s: choose one job with --job", o->into);
	return 0;
}

static int
make_name(const struct options *o, const struct config *c, struct backfill *b, struct err *err)
{
	CLEANUP(buf_done) struct buf text = BUF_INIT((size_t)1 << 20);
	char hex[SHA256_HEX_LEN + 1];
	char from[TIME_TEXT_MAX];
	char to[TIME_TEXT_MAX];

	buf_fmt(&text, "%lld %lld %s\n", (long long)b->asked.start_ms, (long long)b->asked.end_ms,
		o->into ? o->into : "");
	for (size_t i = 0; i < c->n_jobs; i++)
		if (options_match(o->jobs, o->n_jobs, c->jobs[i].name))
			buf_fmt(&text, "%s %s\n", c->jobs[i].name, c->jobs[i].definition);
	if (buf_check(&text, "the backfill's jobs", err))
		return -1;
	sha256_hex(buf_view(&text), hex);
	time_format_basic(b->asked.start_ms, from);
	time_format_basic(b->asked.end_ms, to);
	(void)snprintf(b->name, sizeof(b->name), "%.16s-%.16s-%.8s", from, to, hex);
	(void)snprintf(b->base, sizeof(b->base), "backfills/%s/", b->name);
	return 0;
}

int
backfill_read(const struct options *o, const struct config *c, int64_t now_ms, struct backfill *ret,
	      struct err *err)
{
	if (window_read(o, now_ms, &ret->asked, err) || check_into(o, c, err))
		return -1;
	return make_name(o, c, ret, err);
}

/* No shorter than what the job asks for at once: nothing is gained by more calls than it takes. */
static int64_t
slice_length(const struct job *job, struct cell window)
{
	const struct job_stream any = {.common = &job->common, .opts = job->opts};
	int64_t shortest = (int64_t)job->kind->span_max(&any, NULL) * job->common.every_ms;

	if (job->kind->alone && job->kind->alone(&any))
		shortest = window.end_ms;
	return window_slice_ms(window, job->common.every_ms, shortest);
}

int
backfill_cut(const struct backfill *b, const struct job *job, const struct plan *whole,
	     struct job_slice **ret, size_t *ret_n, struct err *err)
{
	struct cell window = window_widen(b->asked, whole->every_ms);
	int64_t slice_ms = slice_length(job, window);
	size_t n = window_slices(window, slice_ms);
	struct job_slice *v = calloc(n, sizeof(*v));
	char start[TIME_TEXT_MAX];

	if (!v)
		return err_nomem(err);
	*ret = v;
	for (*ret_n = 0; *ret_n < n; (*ret_n)++) {
		struct job_slice *s = &v[*ret_n];

		s->plan = *whole;
		s->plan.window = window_slice(window, slice_ms, *ret_n);
		if (!plan_window_cells(&s->plan))
			break;
		time_format_basic(s->plan.window.start_ms, start);
		(void)snprintf(s->doc, sizeof(s->doc), "%s.%.16s", job->name, start);
	}
	return 0;
}

static bool
is_fresh(const struct plan *p)
{
	for (size_t k = 0; k < p->n_sinks; k++)
		if (p->sinks[k].max_age_ms && p->window.end_ms > p->now_ms - p->sinks[k].max_age_ms)
			return true;
	return false;
}

size_t
backfill_fresh(const struct job_slice *slices, size_t n)
{
	size_t fresh = 0;

	while (fresh < n && is_fresh(&slices[n - 1 - fresh].plan))
		fresh++;
	return fresh;
}
