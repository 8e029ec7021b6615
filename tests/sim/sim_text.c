/*
 * What a world's metrics look like as text: OpenMetrics files, and lines on the standard output;
 * see sim.h. Here, too, the layout of keys and lines is known from the contract alone.
 */
#include "tests/sim/sim.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/timefmt.h"

#define LINES_MAX ((size_t)64 << 20)
#define OF_ECS	  "\"job\":\"ecs\""

/* ---- OpenMetrics ---- */

/* Its samples, as they are read off a file. */
struct om_series {
	char head[SIM_WORDS]; /* name and labels */
	int64_t last_ms;      /* 0: none yet */
	size_t n, wanted;
};

static const struct sim_object *
om_object(const struct sim *s, const char *tenant, size_t region, int64_t from_ms)
{
	char a[TIME_TEXT_MAX], b[TIME_TEXT_MAX], when[TIME_TEXT_MAX], key[SIM_WORDS];

	time_format_basic(from_ms, a);
	time_format_basic(from_ms + s->every_ms, b);
	time_format_ms(from_ms, when);
	(void)snprintf(key, sizeof(key),
		       "sim/old/ecs/tenant=%s/region=%s/dt=%.10s/hh=%.2s/%s-%s.om", tenant,
		       sim_regions[region], when, when + 11, a, b);
	return sim_object(s, key);
}

static bool
om_sample(const struct sim *s, size_t tenant, size_t region, int64_t from_ms, const char *line,
	  struct om_series series[SIM_SERIES])
{
	char head[SIM_WORDS];
	double v, want;
	long long at_s;

	if (sscanf(line, "%255[^ ] %lf %lld", head, &v, &at_s) != 3)
		return false;
	for (size_t i = 0; i < SIM_SERIES; i++) {
		struct om_series *o = &series[i];
		int64_t ms = at_s * 1000;

		if (strcmp(head, o->head) != 0)
			continue;
		if (ms < from_ms || ms >= from_ms + s->every_ms || ms % SIM_MIN ||
		    ms <= o->last_ms || !sim_value(s, tenant, region, i, ms, &want) || v != want)
			return false;
		o->last_ms = ms;
		o->n++;
		return true;
	}
	return false;
}

static bool
om_text(const struct sim *s, size_t tenant, size_t region, int64_t from_ms, char *text,
	struct om_series series[SIM_SERIES])
{
	char *rest = NULL, *last = NULL;

	for (char *at = strtok_r(text, "\n", &rest); at; at = strtok_r(NULL, "\n", &rest)) {
		if (last && !om_sample(s, tenant, region, from_ms, last, series))
			return false;
		last = at;
	}
	return last && !strcmp(last, "# EOF");
}

bool
sim_openmetrics_match(const struct sim *s, size_t tenant, size_t region, int64_t from_ms)
{
	struct om_series series[SIM_SERIES] = {0};
	char id[16], account[16];
	const struct sim_object *o;
	CLEANUP(freep) char *text = NULL;
	size_t wanted = 0;
	double v;

	sim_tenant(tenant, id, account);
	for (size_t i = 0; i < SIM_SERIES; i++) {
		(void)snprintf(series[i].head, SIM_WORDS,
			       "%s{account_id=\"%s\",cluster=\"c\",region=\"%s\",service=\"web\","
			       "tenant=\"%s\"}",
			       sim_series[i], account, sim_regions[region], id);
		for (int64_t ms = from_ms; ms < from_ms + s->every_ms; ms += SIM_MIN)
			series[i].wanted += sim_value(s, tenant, region, i, ms, &v);
		wanted += series[i].wanted;
	}
	o = om_object(s, id, region, from_ms);
	if (!o || !wanted)
		return !o && !wanted;
	text = strndup(o->bytes, o->n);
	if (!text)
		abort();
	if (o->writes != 1 || !om_text(s, tenant, region, from_ms, text, series))
		return false;
	for (size_t i = 0; i < SIM_SERIES; i++)
		if (series[i].n != series[i].wanted)
			return false;
	return true;
}

/* ---- the standard output ---- */

static int
by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The different lines of the job, sorted, in an array that is to be freed; they stay in the text.
 */
static char **
lines_of(char *text, size_t *ret_n)
{
	char *rest = NULL, **v = NULL;
	size_t n = 0, cap = 0, kept = 0;

	for (char *at = strtok_r(text, "\n", &rest); at; at = strtok_r(NULL, "\n", &rest)) {
		if (n == cap) {
			cap = cap ? 2 * cap : 256;
			v = reallocarray(v, cap, sizeof(*v));
			if (!v)
				abort();
		}
		if (strstr(at, OF_ECS))
			v[n++] = at;
	}
	if (n)
		qsort(v, n, sizeof(*v), by_text);
	for (size_t i = 0; i < n; i++)
		if (!kept || strcmp(v[kept - 1], v[i]) != 0)
			v[kept++] = v[i];
	*ret_n = kept;
	return v;
}

static void
read_screen(const struct sim *s, struct buf *out)
{
	char piece[4096];
	off_t at = 0;
	ssize_t n;

	while ((n = pread(s->screen, piece, sizeof(piece), at)) > 0) {
		buf_add(out, piece, (size_t)n);
		at += n;
	}
	if (n < 0 || !buf_ok(out))
		abort();
}

bool
sim_screen_matches(const struct sim *s)
{
	CLEANUP(buf_done) struct buf lake = BUF_INIT(LINES_MAX), screen = BUF_INIT(LINES_MAX);
	CLEANUP(freep) char **want = NULL, **got = NULL;
	size_t n = 0, n_got = 0;
	bool same;

	sim_lake_lines(s, &lake);
	read_screen(s, &screen);
	if (!lake.n || !screen.n)
		return !lake.n && !screen.n;
	same = screen.p[screen.n - 1] == '\n';
	want = lines_of(lake.p, &n);
	got = lines_of(screen.p, &n_got);
	same = same && n == n_got;
	for (size_t i = 0; same && i < n; i++)
		same = !strcmp(want[i], got[i]);
	return same;
}
