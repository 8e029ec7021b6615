/*
 * The section `run`: how a run as a whole behaves.
 */
#include "run/config_read.h"

#include "base/num.h"

#define DAY_MS INT64_C(86400000)

struct run_read {
	struct run_conf conf;
	const char *fail_on;
	const struct conf_node *fail_on_node, *self_metrics_node, *status_page_node, *prices_node;
};

#define RUN(member)  offsetof(struct run_read, conf.member)
#define NODE(member) offsetof(struct run_read, member##_node)

const struct conf_key config_run_keys[] = {
    {.name = "workers",
     .type = CONF_INT,
     .offset = RUN(workers),
     .deflt = "32",
     .min = 1,
     .max = 1024,
     .help = "Cells in flight. As many as 32 more take the place of those that get no answer."},
    {.name = "tenant_workers",
     .type = CONF_INT,
     .offset = RUN(tenant_workers),
     .deflt = "4",
     .min = 1,
     .max = 1024,
     .help = "Cells of one tenant in flight."},
    {.name = "deadline",
     .type = CONF_DURATION,
     .offset = RUN(deadline_ms),
     .flags = CONF_OFF,
     .min = 1000,
     .max = 30 * DAY_MS,
     .help = "Stop cleanly after this time; what is left is the next run's. Default: none."},
    {.name = "max_catchup",
     .type = CONF_DURATION,
     .offset = RUN(max_catchup_ms),
     .deflt = "24h",
     .min = 60000,
     .max = 455 * DAY_MS,
     .help = "How far back missed cells are caught up; what is older becomes a gap on record."},
    {.name = "cell_deadline",
     .type = CONF_DURATION,
     .offset = RUN(cell_deadline_ms),
     .deflt = "3m",
     .min = 1000,
     .max = DAY_MS,
     .help = "How long a cell is tried again before it is left to the next run."},
    {.name = "fail_on",
     .type = CONF_STRING,
     .offset = offsetof(struct run_read, fail_on),
     .deflt = "any",
     .node_offset = NODE(fail_on),
     .help = "How many failed tenants make exit status 1: any, all, or N%."},
    {.name = "self_metrics",
     .type = CONF_STRING,
     .offset = RUN(self_metrics),
     .node_offset = NODE(self_metrics),
     .help = "Sink for the muster_* series about the run itself. Default: none."},
    {.name = "status_page",
     .type = CONF_STRING,
     .offset = RUN(status_page),
     .node_offset = NODE(status_page),
     .help =
	 "Where a status page is written after each run, s3://... or file:///... Default: none."},
    {.name = "sandbox",
     .type = CONF_ENUM,
     .offset = RUN(sandbox),
     .words = (const char *const[]){"auto", "off", NULL},
     .deflt = "auto",
     .help = "auto: what the kernel has to keep this process to the files and calls it needs "
	     "(Landlock, seccomp; `--log-level debug` says what). off: nothing, for systems where "
	     "that is in the way."},
    {.name = "limits",
     .type = CONF_TABLE,
     .offset = RUN(limits),
     .table = limits_keys,
     .help = "What this process asks of one account and region at most (several shards: each of "
	     "them); a rate may be none."},
    {.name = "prices",
     .type = CONF_TABLE,
     .offset = RUN(prices),
     .table = prices_keys,
     .node_offset = NODE(prices),
     .help = "Dollars, for the cost that plan, status, reports and muster_aws_cost_dollars_total "
	     "tell. Defaults: list prices of us-east-1, April 2026."},
    CONF_END,
};

static void
read_fail_on(struct config_read *r, struct run_read *in)
{
	struct sv s = sv_of(in->fail_on ? in->fail_on : "any");

	if (sv_eq(s, SV("any"))) {
		in->conf.fail_on = FAIL_ON_ANY;
	} else if (sv_eq(s, SV("all"))) {
		in->conf.fail_on = FAIL_ON_ALL;
	} else {
		in->conf.fail_on = FAIL_ON_PERCENT;
		if (!sv_ends(s, SV("%")) ||
		    !num_double((struct sv){s.p, s.n - 1}, &in->conf.fail_percent) ||
		    !(in->conf.fail_percent > 0 && in->conf.fail_percent <= 100))
			conf_fault(r->f, in->fail_on_node,
				   "'%.60s' is not any, all or a percentage such as 5%%", s.p);
	}
}

static void
check_prices(struct config_read *r, const struct run_read *in)
{
	for (const struct conf_key *k = prices_keys; k->name; k++) {
		double price;

		memcpy(&price, (const char *)&in->conf.prices + k->offset, sizeof(price));
		if (price < 0)
			conf_fault(r->f, conf_child(in->prices_node, k->name),
				   "a price is not negative");
	}
}

static void
check_self_metrics(struct config_read *r, const struct run_read *in)
{
	const char **names = config_array(r, r->c->n_sinks, sizeof(*names));

	for (size_t i = 0; names && i < r->c->n_sinks; i++) {
		names[i] = r->c->sinks[i].name;
		if (!strcmp(names[i], in->conf.self_metrics))
			return;
	}
	if (names)
		config_unknown(r, in->self_metrics_node, "sink", in->conf.self_metrics, names,
			       r->c->n_sinks);
}

static void
check_status_page(struct config_read *r, const struct run_read *in)
{
	const char *url = in->conf.status_page;
	const char *name = strrchr(url, '/');
	bool s3 = !strncmp(url, "s3://", 5);

	if (!config_check_store_url(r, in->status_page_node, url))
		return;
	if (!s3 ? name[1] != '\0' : strchr(url + 5, '/') && store_key_valid(name + 1))
		return;
	conf_fault(r->f, in->status_page_node,
		   "names no file: write it like s3://bucket/status.html");
}

void
config_read_run(struct config_read *r, const struct conf_node *node)
{
	struct run_read in = {0};

	conf_read(node, (const struct conf_key *const[]){config_run_keys, NULL},
		  (void *const[]){&in}, r->a, r->f);
	read_fail_on(r, &in);
	check_prices(r, &in);
	if (in.conf.self_metrics)
		check_self_metrics(r, &in);
	if (in.conf.status_page)
		check_status_page(r, &in);
	r->c->run = in.conf;
}
