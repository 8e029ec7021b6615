/*
 * The program's configuration: the documented examples, defaults, and each fault with its exact
 * line.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "run/config.h"

#define MINUTE INT64_C(60000)
#define HOUR   (60 * MINUTE)

static char folder[] = "/tmp/config_test.XXXXXX";

static void
write_file(const char *name, const char *text)
{
	char path[256];
	FILE *fp;

	(void)snprintf(path, sizeof(path), "%s/%s", folder, name);
	fp = fopen(path, "w");
	assert_non_null(fp);
	assert_int_equal(fwrite(text, 1, strlen(text), fp), strlen(text));
	assert_int_equal(fclose(fp), 0);
}

/* Faults as lines, the folder's name left out. NULL config if there are any. */
static struct config *
load(const char *text, struct buf *faults)
{
	struct conf_faults *f = conf_faults_new();
	struct config *c = NULL;
	struct err err = {0};
	char path[256];
	size_t n;
	int rc;

	write_file("t.yaml", text);
	(void)snprintf(path, sizeof(path), "%s/t.yaml", folder);
	rc = config_load(path, &c, f, &err);
	n = conf_faults_count(f);
	assert_int_equal(rc, n ? -1 : 0);
	assert_int_equal(err.kind, n ? ERR_USAGE : ERR_NONE);
	for (size_t i = 0; i < n; i++) {
		const char *line = conf_faults_get(f, i), *at;

		while ((at = strstr(line, folder))) {
			buf_add(faults, line, (size_t)(at - line));
			line = at + strlen(folder) + 1;
		}
		buf_fmt(faults, "%s\n", line);
	}
	conf_faults_free(f);
	return c;
}

static struct config *
load_good(const char *text)
{
	CLEANUP(buf_done) struct buf faults = BUF_INIT(1 << 20);
	struct config *c = load(text, &faults);

	assert_string_equal(buf_cstr(&faults), "");
	assert_non_null(c);
	return c;
}

static void
expect(const char *text, const char *want)
{
	CLEANUP(buf_done) struct buf faults = BUF_INIT(1 << 20);
	struct config *c = load(text, &faults);

	assert_string_equal(buf_cstr(&faults), want);
	config_free(c);
}

static const char small[] =
    "region: ap-southeast-2\n"
    "state: s3://acme-observability/muster\n"
    "defaults: {role: muster-reader, external_id: \"${MUSTER_EXTERNAL_ID}\"}\n"
    "tenants:\n"
    "  - {id: acme, account: \"111122223333\"}\n"
    "jobs:\n"
    "  ecs: {kind: metrics, to: [amp, lake]}\n"
    "sinks:\n"
    "  amp: {kind: remote_write, url: \"https://aps-workspaces.ap-southeast-2.amazonaws.com/"
    "workspaces/ws-1/api/v1/remote_write\", sigv4: {service: aps}}\n"
    "  lake: {kind: objects, url: \"s3://acme-observability/telemetry\"}\n";

static void
test_small_example(void **state)
{
	struct config *c = load_good(small);

	(void)state;
	assert_string_equal(c->name, "t");
	assert_string_equal(c->region, "ap-southeast-2");
	assert_string_equal(c->state, "s3://acme-observability/muster");
	assert_false(c->state_ephemeral);
	assert_int_equal(c->n_tenants, 1);
	assert_string_equal(c->tenants[0].id, "acme");
	assert_string_equal(c->tenants[0].account, "111122223333");
	assert_string_equal(c->tenants[0].role, "muster-reader");
	assert_string_equal(c->tenants[0].external_id, "s3cret");
	assert_true(c->tenants[0].assume);
	assert_int_equal(c->tenants[0].n_regions, 1);
	assert_string_equal(c->tenants[0].regions[0], "ap-southeast-2");
	assert_int_equal(c->tenants[0].n_labels, 0);
	assert_int_equal(c->tenants[0].n_jobs, 0);
	assert_int_equal(c->n_unused_sinks, 0);
	config_free(c);
}

static void
test_defaults(void **state)
{
	struct config *c = load_good(small);
	const struct job *j = &c->jobs[0];
	const struct sink_conf *amp = &c->sinks[0], *lake = &c->sinks[1];

	(void)state;
	assert_string_equal(j->name, "ecs");
	assert_string_equal(j->common.name, "ecs");
	assert_string_equal(j->kind->name, "metrics");
	assert_int_equal(j->common.every_ms, 5 * MINUTE);
	assert_int_equal(j->common.delay_ms, 5 * MINUTE);
	assert_int_equal(j->common.hold_ms, 20 * MINUTE);
	assert_int_equal(j->common.revisit_ms, 30 * MINUTE);
	assert_int_equal(j->common.lookback_ms, 30 * MINUTE);
	assert_int_equal(j->n_to, 2);
	assert_ptr_equal(j->to[0], amp);
	assert_ptr_equal(j->to[1], lake);
	assert_int_equal(strlen(j->definition), 32);
	assert_int_equal(amp->kind, SINK_REMOTE_WRITE);
	assert_int_equal(amp->max_age_ms, HOUR);
	assert_int_equal(amp->out_of_order_ms, MINUTE);
	assert_string_equal(amp->sigv4_service, "aps");
	assert_null(amp->sigv4_region);
	assert_null(amp->role);
	assert_int_equal(lake->kind, SINK_OBJECTS);
	assert_int_equal(lake->zstd_level, 3);
	assert_int_equal(lake->max_age_ms, 0);
	assert_int_equal(c->run.workers, 32);
	assert_int_equal(c->run.tenant_workers, 4);
	assert_int_equal(c->run.deadline_ms, 0);
	assert_int_equal(c->run.max_catchup_ms, 24 * HOUR);
	assert_int_equal(c->run.cell_deadline_ms, 3 * MINUTE);
	assert_int_equal(c->run.fail_on, FAIL_ON_ANY);
	assert_null(c->run.self_metrics);
	assert_null(c->run.status_page);
	assert_true(c->run.prices.get_metric_data_per_1000 > 0.0099);
	assert_true(c->run.prices.insights_per_gb > 0.0049);
	config_free(c);
}

/* The documented whole, without what this version does not have. */
static const char big[] =
    "region: ap-southeast-2                  # central region\n"
    "state: s3://acme-observability/muster   # checkpoints, reports\n"
    "\n"
    "defaults:\n"
    "  role: muster-reader\n"
    "  external_id: muster-{id}\n"
    "  regions: [ap-southeast-2]\n"
    "  labels: {tier: standard, of: \"{account}\", gone: x}\n"
    "  jobs: [ecs]\n"
    "tenants:\n"
    "  - id: zeta\n"
    "    account: 012345678901\n"
    "  - id: acme\n"
    "    account: \"111122223333\"\n"
    "    role: arn:aws:iam::111122223333:role/team/muster-reader\n"
    "    external_id: ${ACME_EXTERNAL_ID}\n"
    "    regions: [ap-southeast-2, us-east-1]\n"
    "    labels: {tier: gold, gone: ''}\n"
    "    jobs: [ecs, app]\n"
    "  - id: central\n"
    "    account: \"444455556666\"\n"
    "    assume: false\n"
    "    external_id: none\n"
    "tenants_from:\n"
    "  - file: tenants.d/*.yaml\n"
    "    labels: {tier: found}\n"
    "    external_id: found-{id}-{account}\n"
    "\n"
    "jobs:\n"
    "  ecs:\n"
    "    kind: metrics\n"
    "    every: 5m\n"
    "    period: 60s\n"
    "    delay: 5m\n"
    "    hold: 20m\n"
    "    revisit: off\n"
    "    lookback: 45m\n"
    "    discover_every: 10m\n"
    "    from:\n"
    "      - namespace: ECS/ContainerInsights\n"
    "        dimensions: [[ClusterName, ServiceName]]\n"
    "      - namespace: AWS/ECS\n"
    "        metrics: [CPUUtilization, MemoryUtilization]\n"
    "        statistics: [Average, Maximum, p99]\n"
    "      - namespace: Checkout\n"
    "        metrics: [\"*\"]\n"
    "        where: {Environment: prod*}\n"
    "    naming: adot-units\n"
    "    keep: \"ecs_task_.*\"\n"
    "    to: [amp, lake]\n"
    "  app: {kind: metrics, every: 1h, to: lake}\n"
    "\n"
    "sinks:\n"
    "  amp:\n"
    "    kind: remote_write\n"
    "    url: "
    "https://aps-workspaces.ap-southeast-2.amazonaws.com/workspaces/ws-1/api/v1/remote_write\n"
    "    role: arn:aws:iam::444455556666:role/amp-writer\n"
    "    sigv4: {service: aps, region: ap-southeast-2}\n"
    "    max_age: none\n"
    "    out_of_order: 600s\n"
    "  mimir:\n"
    "    kind: remote_write\n"
    "    url: http://mimir:9009/api/v1/push\n"
    "    basic_auth: {username: u, password_file: '${CONFIG_TEST_FOLDER}/password'}\n"
    "    headers: {X-Scope-OrgID: acme}\n"
    "    max_age: 2h\n"
    "  vm: {kind: remote_write, url: 'http://vm:8428/api/v1/write', bearer_token_file: "
    "/run/token}\n"
    "  lake:\n"
    "    kind: s3\n"
    "    url: s3://acme-observability/telemetry\n"
    "    role: arn:aws-us-gov:iam::444455556666:role/lake-writer\n"
    "    compression: {zstd: 19}\n"
    "    kms_key: alias/lake\n"
    "    expected_owner: \"444455556666\"\n"
    "  disk: {kind: objects, url: file:///lake}\n"
    "  screen: {kind: stdout}\n"
    "\n"
    "run:\n"
    "  workers: 16\n"
    "  tenant_workers: 2\n"
    "  deadline: 4m\n"
    "  max_catchup: 7d\n"
    "  cell_deadline: 30s\n"
    "  fail_on: 12.5%\n"
    "  self_metrics: mimir\n"
    "  status_page: s3://acme-observability/status.html\n"
    "  limits: {cloudwatch_get_metric_data: 2.5/s, sts: none, logs: 3, "
    "logs_concurrent_queries: 5}\n"
    "  prices: {get_metric_data_per_1000: 0.02, insights_per_gb: 0.006}\n";

static void
check_big_tenants(const struct config *c)
{
	const struct tenant *acme = &c->tenants[0], *central = &c->tenants[1],
			    *found = &c->tenants[2], *zeta = &c->tenants[4];

	assert_int_equal(c->n_tenants, 5);
	assert_string_equal(acme->id, "acme");
	assert_string_equal(acme->role, "arn:aws:iam::111122223333:role/team/muster-reader");
	assert_string_equal(acme->external_id, "acme-x");
	assert_int_equal(acme->n_regions, 2);
	assert_string_equal(acme->regions[1], "us-east-1");
	assert_int_equal(acme->n_labels, 2);
	assert_string_equal(acme->labels[0].name, "of");
	assert_string_equal(acme->labels[0].value, "111122223333");
	assert_string_equal(acme->labels[1].name, "tier");
	assert_string_equal(acme->labels[1].value, "gold");
	assert_int_equal(acme->n_jobs, 2);
	assert_string_equal(central->id, "central");
	assert_false(central->assume);
	assert_null(central->external_id);
	assert_string_equal(found->id, "found-1");
	assert_string_equal(found->external_id, "found-found-1-222233334444");
	assert_string_equal(found->labels[2].value, "found");
	assert_string_equal(c->tenants[3].id, "found-2");
	assert_string_equal(zeta->id, "zeta");
	assert_string_equal(zeta->account, "012345678901");
	assert_string_equal(zeta->external_id, "muster-zeta");
	assert_int_equal(zeta->n_labels, 3);
	assert_string_equal(zeta->labels[0].name, "gone");
	assert_int_equal(zeta->n_jobs, 1);
}

static void
check_big_rest(const struct config *c)
{
	const struct sink_conf *amp = &c->sinks[0], *mimir = &c->sinks[1], *lake = &c->sinks[3];

	assert_int_equal(c->n_jobs, 2);
	assert_int_equal(c->jobs[0].common.revisit_ms, 0);
	assert_int_equal(c->jobs[0].common.lookback_ms, 45 * MINUTE);
	assert_int_equal(c->jobs[1].common.every_ms, HOUR);
	assert_int_equal(c->jobs[1].n_to, 1);
	assert_ptr_equal(c->jobs[1].to[0], lake);
	assert_int_equal(c->n_sinks, 6);
	assert_int_equal(amp->max_age_ms, 0);
	assert_int_equal(amp->out_of_order_ms, 10 * MINUTE);
	assert_string_equal(amp->sigv4_region, "ap-southeast-2");
	assert_string_equal(mimir->basic_user, "u");
	assert_string_equal(mimir->basic_password, "pass word");
	assert_string_equal(mimir->headers.v[0].key, "X-Scope-OrgID");
	assert_int_equal(mimir->max_age_ms, 2 * HOUR);
	assert_int_equal(mimir->out_of_order_ms, 0);
	assert_string_equal(c->sinks[2].bearer_token_file, "/run/token");
	assert_int_equal(lake->kind, SINK_OBJECTS);
	assert_int_equal(lake->zstd_level, 19);
	assert_string_equal(lake->kms_key, "alias/lake");
	assert_string_equal(lake->expected_owner, "444455556666");
	assert_int_equal(c->sinks[5].kind, SINK_STDOUT);
	assert_int_equal(c->run.workers, 16);
	assert_int_equal(c->run.deadline_ms, 4 * MINUTE);
	assert_int_equal(c->run.max_catchup_ms, 7 * 24 * HOUR);
	assert_int_equal(c->run.cell_deadline_ms, MINUTE / 2);
	assert_int_equal(c->run.fail_on, FAIL_ON_PERCENT);
	assert_true(c->run.fail_percent > 12.4 && c->run.fail_percent < 12.6);
	assert_string_equal(c->run.self_metrics, "mimir");
	assert_string_equal(c->run.status_page, "s3://acme-observability/status.html");
	assert_true(c->run.prices.get_metric_data_per_1000 > 0.019);
	assert_true(c->run.limits.get_metric_data == 2.5);
	assert_true(c->run.limits.sts == 0);
	assert_true(c->run.limits.logs == 3);
	assert_true(c->run.limits.start_query == 5);
	assert_int_equal(c->run.limits.concurrent_queries, 5);
	assert_int_equal(c->n_unused_sinks, 3);
	assert_string_equal(c->unused_sinks[0], "vm");
	assert_string_equal(c->unused_sinks[1], "disk");
	assert_string_equal(c->unused_sinks[2], "screen");
}

static void
test_big_example(void **state)
{
	struct config *c;

	(void)state;
	write_file("password", "pass word\n");
	write_file("tenants.d/a.yaml", "- {id: found-1, account: \"222233334444\"}\n");
	write_file("tenants.d/b.yaml", "tenants: [{id: found-2, account: \"222233334445\"}]\n");
	c = load_good(big);
	check_big_tenants(c);
	check_big_rest(c);
	config_free(c);
}

/* A whole configuration with places for what a test is about. */
static const char *
with(const char *top, const char *tenant, const char *job, const char *sink)
{
	static char text[8192];

	(void)snprintf(text, sizeof(text),
		       "region: eu-west-1\n"
		       "state: file:///state\n"
		       "tenants:\n"
		       "- {id: acme, account: \"111122223333\", role: r, external_id: x-y%s}\n"
		       "jobs:\n"
		       "  ecs: {kind: metrics, to: [lake]%s}\n"
		       "sinks:\n"
		       "  lake: {kind: objects, url: \"file:///lake\"%s}\n"
		       "%s",
		       tenant, job, sink, top);
	return text;
}

struct fault_case {
	const char *part, *fault;
};

static void
test_faults_at_the_top(void **state)
{
	static const struct fault_case cases[] = {
	    {"regoin: x\n", "t.yaml:9:1: regoin: unknown key (did you mean region?)\n"},
	    {"run: {workers: 0}\n", "t.yaml:9:16: run.workers: '0' should be between 1 and 1024\n"},
	    {"run: {fail_on: some}\n", "t.yaml:9:16: run.fail_on: 'some' is not any, all or a "
				       "percentage such as 5%\n"},
	    {"run: {fail_on: 0%}\n",
	     "t.yaml:9:16: run.fail_on: '0%' is not any, all or a percentage such as 5%\n"},
	    {"run: {fail_on: 101%}\n",
	     "t.yaml:9:16: run.fail_on: '101%' is not any, all or a percentage such as 5%\n"},
	    {"run: {self_metrics: lakes}\n",
	     "t.yaml:9:21: run.self_metrics: unknown sink 'lakes' (did you mean lake?)\n"},
	    {"run: {status_page: /x}\n",
	     "t.yaml:9:20: run.status_page: should be s3://bucket/prefix or file:///dir\n"},
	    {"run: {prices: {insights_per_gb: -1}}\n",
	     "t.yaml:9:33: run.prices.insights_per_gb: a price is not negative\n"},
	    {"run: {limits: {logs: -1/s}}\n",
	     "t.yaml:9:22: run.limits.logs: '-1/s' is not a rate such as 5/s, or none\n"},
	    {"run: {limits: {logs_concurrent_queries: 0}}\n",
	     "t.yaml:9:41: run.limits.logs_concurrent_queries: '0' should be between 1 and 100\n"},
	    {"run: {prices: {gold: 1}}\n", "t.yaml:9:16: run.prices.gold: unknown key\n"},
	    {"run: {deadline: 4}\n",
	     "t.yaml:9:17: run.deadline: '4' is not a duration such as 90s, "
	     "5m or 1h30m\n"},
	    {"run: []\n", "t.yaml:9:6: run: should be a mapping of keys\n"},
	    {"defaults: []\n", "t.yaml:9:11: defaults: should be a mapping of keys\n"},
	    {"defaults: {id: x}\n", "t.yaml:9:12: defaults.id: unknown key\n"},
	    {"tenants_from: {}\n", "t.yaml:9:15: tenants_from: should be a list of mappings\n"},
	    {"tenants_from: [{}]\n",
	     "t.yaml:9:16: tenants_from[0]: needs one of file, organization and linked\n"},
	    {"tenants_from: [{linked: {}, file: x}]\n",
	     "t.yaml:9:16: tenants_from[0]: needs one of file, organization and linked\n"},
	    {"tenants_from: [{linked: {ous: [a]}}]\n",
	     "t.yaml:9:26: tenants_from[0].linked.ous: unknown key\n"},
	    {"tenants_from: [{linked: {exclude: [\"12\"]}, labels: {a: \"{tag}\"}}]\n",
	     "t.yaml:9:36: tenants_from[0].linked.exclude[0]: '12' is not an account number of 12 "
	     "digits\n"
	     "t.yaml:9:56: tenants_from[0].labels.a: '{' begins {account}, {id} or {tag:NAME}, "
	     "nothing else\n"},
	    {"tenants_from: [{organization: {ous: [a, ou-1/x]}}]\n",
	     "t.yaml:9:16: tenants_from[0].role: missing, here and in defaults (or say assume: "
	     "false)\n"
	     "t.yaml:9:16: tenants_from[0].external_id: missing, here and in defaults (`none` if "
	     "the role's trust policy asks for none)\n"
	     "t.yaml:9:38: tenants_from[0].organization.ous[0]: 'a' is not the id of a unit or "
	     "root such as ou-abcd-12345678\n"
	     "t.yaml:9:41: tenants_from[0].organization.ous[1]: 'ou-1/x' is not the id of a unit "
	     "or root such as ou-abcd-12345678\n"},
	    {"tenants_from: [{organization: {role_for_listing: lister, exclude: x}, role: 'a b', "
	     "external_id: '{nope}'}]\n",
	     "t.yaml:9:50: tenants_from[0].organization.role_for_listing: not the ARN of a role, "
	     "arn:aws:iam::ACCOUNT:role/NAME\n"
	     "t.yaml:9:67: tenants_from[0].organization.exclude: 'x' is not an account number of "
	     "12 digits\n"
	     "t.yaml:9:77: tenants_from[0].role: 'a b' is neither the name of a role nor its "
	     "ARN\n"
	     "t.yaml:9:97: tenants_from[0].external_id: '{' begins {account}, {id} or {tag:NAME}, "
	     "nothing else\n"},
	    {"tenants_from: [{file: nothing/*.yaml}]\n",
	     "t.yaml:9:23: tenants_from[0].file: no such file: nothing/*.yaml\n"},
	    {"tenants_from: [{fil: x}]\n",
	     "t.yaml:9:17: tenants_from[0].fil: unknown key (did you mean file?)\n"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		expect(with(cases[i].part, "", "", ""), cases[i].fault);
}

/* A folder that is there, and that nobody can look into. */
static void
test_folder_that_cannot_be_searched(void **state)
{
	char loop[64];

	(void)state;
	(void)snprintf(loop, sizeof(loop), "%s/loop", folder);
	assert_int_equal(symlink("loop", loop), 0);
	expect(with("tenants_from: [{file: loop/*.yaml}]\n", "", "", ""),
	       "t.yaml:9:23: tenants_from[0].file: cannot be searched: loop/*.yaml\n");
	assert_int_equal(unlink(loop), 0);
}

#define TAKEN_FOR_EARLIER                                                                          \
	"its checkpoint would be taken for an earlier one of another job: give it a name that "    \
	"does not end in .prev or hold .damaged- or .forgotten-\n"

static void
test_faults_in_jobs(void **state)
{
	static const struct fault_case cases[] = {
	    {", evry: 5m", "t.yaml:6:36: jobs.ecs.evry: unknown key (did you mean every?)\n"},
	    {", every: 5", "t.yaml:6:43: jobs.ecs.every: '5' is not a duration such as 90s, 5m or "
			   "1h30m\n"},
	    {", every: 7m", "t.yaml:6:43: jobs.ecs.every: 7m should divide an hour, or be whole "
			    "hours that divide a day\n"},
	    {", every: 5h", "t.yaml:6:43: jobs.ecs.every: 5h should divide an hour, or be whole "
			    "hours that divide a day\n"},
	    {", every: 0s", "t.yaml:6:43: jobs.ecs.every: '0s' should be between 1s and 1d\n"},
	    {", every: 5m, period: 2m",
	     "t.yaml:6:55: jobs.ecs.period: every (5m) is not a multiple "
	     "of the period (2m)\n"},
	    {", delay: never", "t.yaml:6:43: jobs.ecs.delay: 'never' is not a duration such as "
			       "90s, 5m or 1h30m\n"},
	    {", revisit: twice", "t.yaml:6:45: jobs.ecs.revisit: 'twice' is not a duration such as "
				 "90s, 5m or 1h30m\n"},
	    {", revisit: once",
	     "t.yaml:6:45: jobs.ecs.revisit: `once` is for cells that are paid for with each "
	     "asking (kinds insights and traces): expected a duration such as 90s, 5m or 1h30m\n"},
	    {", naming: adto", "t.yaml:6:44: jobs.ecs.naming: unknown value 'adto' (did you mean "
			       "adot?)\n"},
	    {", keep: 'a('", "t.yaml:6:42: jobs.ecs.keep: not an extended regular expression: "
			     "Unmatched ( or \\(\n"},
	    {", url: x", "t.yaml:6:36: jobs.ecs.url: unknown key\n"},
	    {"}\n  App: {kind: metrics, to: lake",
	     "t.yaml:7:3: jobs.App: names are made of a-z, 0-9, '.', '_' and '-', begin with a "
	     "letter or digit and have at most 63 characters\n"},
	    {"}\n  app: {to: lake", "t.yaml:7:8: jobs.app.kind: missing\n"},
	    {"}\n  app: {kind: [], to: lake", "t.yaml:7:15: jobs.app.kind: should be a string\n"},
	    {"}\n  app: {kind: metrics", "t.yaml:7:8: jobs.app.to: missing\n"},
	    {"}\n  app: {kind: metrics, to: []", "t.yaml:7:28: jobs.app.to: should not be empty\n"},
	    {"}\n  app: {kind: metrics, to: [lakes, lake]",
	     "t.yaml:7:29: jobs.app.to[0]: unknown sink 'lakes' (did you mean lake?)\n"},
	    {"}\n  app: {kind: metrics, to: prometheus",
	     "t.yaml:7:28: jobs.app.to: unknown sink 'prometheus' (known: lake)\n"},
	    {"}\n  app: {kind: metrics, to: [lake, lake]",
	     "t.yaml:7:35: jobs.app.to[1]: sink lake is named twice\n"},
	    {"}\n  app: {kind: metric, to: lake",
	     "t.yaml:7:15: jobs.app.kind: unknown kind 'metric' (did you mean metrics?)\n"},
	    {"}\n  app: {kind: dns, to: lake", "t.yaml:7:15: jobs.app.kind: unknown kind 'dns' "
					       "(known: metrics, insights, alarms, traces)\n"},
	    {"}\n  app: {kind: insights, query: x, to: lake",
	     "t.yaml:7:8: jobs.app.log_groups: missing\n"},
	    {"}\n  app: {kind: alarms, every: 1m, period: 45s, to: lake",
	     "t.yaml:7:42: jobs.app.period: every (1m) is not a multiple of the period (45s)\n"},
	    {"}\n  app: {kind: insights, log_groups: x, query: fields a, revisit: once, hold: 10m, "
	     "to: lake",
	     "t.yaml:7:66: jobs.app.revisit: `once` asks again `hold` (10m) after a cell's end: "
	     "that should be more than delay (10m)\n"},
	    {"}\n  app: {kind: insights, log_groups: x, query: fields a, revisit: once, hold: 7d, "
	     "to: lake",
	     "t.yaml:7:66: jobs.app.revisit: `once`: over 1024 cells would wait for their second "
	     "asking: make `every` longer or `hold` (7d) shorter\n"},
	    {"}\n  app: {kind: insights, log_groups: x, query: fields a, revisit: 1h, to: lake",
	     "t.yaml:7:66: jobs.app.revisit: expected `once` (each cell is asked for a second "
	     "time, "
	     "`hold` after its end) or off\n"},
	    {"}\n  app: {kind: traces, every: 5m, period: 2m, filter: '', to: lake",
	     "t.yaml:7:42: jobs.app.period: every (5m) is not a multiple of the period (2m)\n"
	     "t.yaml:7:54: jobs.app.filter: should not be empty\n"},
	    {"}\n  app: {kind: traces, spans_filter: 'a | stats count()', to: lake",
	     "t.yaml:7:37: jobs.app.spans_filter: expected a condition and nothing behind it\n"},
	    {"}\n  app: {kind: traces, revisit: 1h, to: lake",
	     "t.yaml:7:32: jobs.app.revisit: expected `once` (each cell is asked for a second "
	     "time, `hold` after its end) or off\n"},
	    {"}\n  ecs: {kind: metrics, to: lake",
	     "t.yaml:7:3: jobs.ecs: given twice, first in line 6\n"},
	    {"}\n  app: 5\n  b: {kind: metrics, to: lake",
	     "t.yaml:7:8: jobs.app: should be a mapping of keys\n"},
	    {"}\n  ecs.prev: {kind: metrics, to: lake",
	     "t.yaml:7:3: jobs.ecs.prev: " TAKEN_FOR_EARLIER},
	    {"}\n  a.damaged-b: {kind: metrics, to: lake",
	     "t.yaml:7:3: jobs.a.damaged-b: " TAKEN_FOR_EARLIER},
	    {"}\n  a.forgotten-: {kind: metrics, to: lake",
	     "t.yaml:7:3: jobs.a.forgotten-: " TAKEN_FOR_EARLIER},
	    {"}\n  rejected: {kind: metrics, to: lake",
	     "t.yaml:7:3: jobs.rejected: refused samples are kept under this name: give the job "
	     "another\n"},
	    {"}\n  ecs.prev2: {kind: metrics, to: lake}\n  prev: {kind: metrics, to: lake", ""},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		expect(with("", "", cases[i].part, ""), cases[i].fault);
	expect(
	    with("", "",
		 "}\n  app: {kind: insights, log_groups: x, query: fields a, revisit: once, to: s",
		 "}\n  s: {kind: stdout"),
	    "t.yaml:7:66: jobs.app.revisit: `once` needs a sink of kind objects: what is new is "
	    "told by what is frozen there\n");
}

static void
test_faults_in_tenants(void **state)
{
	static const struct fault_case cases[] = {
	    {", id: b", "t.yaml:4:66: tenants[0].id: given twice, first in line 4\n"},
	    {"}\n- {account: \"111122223333\", role: r, external_id: x-y",
	     "t.yaml:5:3: tenants[1].id: missing\n"},
	    {"}\n- {id: b, role: r, external_id: x-y", "t.yaml:5:3: tenants[1].account: missing\n"},
	    {"}\n- {id: b, account: \"x11122223333\", role: \"arn:aws:iam::111122223333:role/r\", "
	     "external_id: x-y",
	     "t.yaml:5:20: tenants[1].account: 'x11122223333' is not an account number of 12 "
	     "digits\n"},
	    {"}\n- {id: ../b, account: \"111122223333\", role: r, external_id: x-y",
	     "t.yaml:5:8: tenants[1].id: '../b': names are made of a-z, 0-9, '.', '_' and '-', "
	     "begin with a letter or digit and have at most 63 characters\n"},
	    {"}\n- {id: Acme, account: \"111122223333\", role: r, external_id: x-y",
	     "t.yaml:5:8: tenants[1].id: 'Acme': names are made of a-z, 0-9, '.', '_' and '-', "
	     "begin with a letter or digit and have at most 63 characters\n"},
	    {"}\n- {id: acme, account: \"111122223333\", role: r, external_id: x-y",
	     "t.yaml:5:8: tenants[1].id: 'acme' is given twice, first at t.yaml:4\n"},
	    {"}\n- {id: b, account: \"111122223333\", external_id: x-y",
	     "t.yaml:5:3: tenants[1].role: missing, here and in defaults (or say assume: false)\n"},
	    {"}\n- {id: b, account: \"111122223333\", role: r",
	     "t.yaml:5:3: tenants[1].external_id: missing, here and in defaults (`none` if the "
	     "role's trust policy asks for none)\n"},
	    {"}\n- {id: b, account: \"111122223333\", role: r, external_id: x",
	     "t.yaml:5:58: tenants[1].external_id: an external id has 2 to 1224 letters, digits "
	     "and "
	     "_+=,.@:/-\n"},
	    {"}\n- {id: b, account: \"111122223333\", role: r, external_id: 'x y'",
	     "t.yaml:5:58: tenants[1].external_id: an external id has 2 to 1224 letters, digits "
	     "and "
	     "_+=,.@:/-\n"},
	    {"}\n- {id: b, account: \"111122223333\", role: 'a b', external_id: x-y",
	     "t.yaml:5:42: tenants[1].role: 'a b' is neither the name of a role nor its ARN\n"},
	    {"}\n- {id: b, account: \"111122223333\", role: \"arn:aws:iam::1:role/r\", "
	     "external_id: "
	     "x-y",
	     "t.yaml:5:42: tenants[1].role: not the ARN of a role, "
	     "arn:aws:iam::ACCOUNT:role/NAME\n"},
	    {"}\n- {id: b, account: \"111122223333\", role: \"arn:aws:iam::111122223333:user/r\", "
	     "external_id: x-y",
	     "t.yaml:5:42: tenants[1].role: not the ARN of a role, "
	     "arn:aws:iam::ACCOUNT:role/NAME\n"},
	    {"}\n- {id: b, account: \"111122223333\", role: \"arn:aws:iam::111122224444:role/r\", "
	     "external_id: x-y",
	     "t.yaml:5:42: tenants[1].role: a role of account 111122224444, but the account of "
	     "tenant b is 111122223333\n"},
	    {", regions: [eu-west-1, west, eu-west-1]",
	     "t.yaml:4:87: tenants[0].regions[1]: 'west' is not a region such as eu-west-1\n"
	     "t.yaml:4:93: tenants[0].regions[2]: region eu-west-1 is named twice\n"},
	    {", jobs: [esc]",
	     "t.yaml:4:73: tenants[0].jobs[0]: unknown job 'esc' (did you mean ecs?)\n"},
	    {", labels: {tenant: x, account_id: x, region: x, dimension_set: x, __a: x, 1a: x, "
	     "job: "
	     "x}",
	     "t.yaml:4:75: tenants[0].labels.tenant: this label is set by muster itself\n"
	     "t.yaml:4:86: tenants[0].labels.account_id: this label is set by muster itself\n"
	     "t.yaml:4:101: tenants[0].labels.region: this label is set by muster itself\n"
	     "t.yaml:4:112: tenants[0].labels.dimension_set: this label is set by muster itself\n"
	     "t.yaml:4:130: tenants[0].labels.__a: names that begin with __ are reserved\n"
	     "t.yaml:4:138: tenants[0].labels.1a: labels are named with a-z, A-Z, 0-9 and '_', and "
	     "do not begin with a digit\n"},
	    {", labels: {a: \"{tag:x}\", b: \"{nope}\", c: \"{id\"}",
	     "t.yaml:4:78: tenants[0].labels.a: a tenant from a file has no tags: {tag:x}\n"
	     "t.yaml:4:92: tenants[0].labels.b: '{' begins {account}, {id} or {tag:NAME}, nothing "
	     "else\n"
	     "t.yaml:4:105: tenants[0].labels.c: '{' begins {account}, {id} or {tag:NAME}, nothing "
	     "else\n"},
	    {", regoins: [x]",
	     "t.yaml:4:66: tenants[0].regoins: unknown key (did you mean regions?)\n"},
	    {", account_id: \"1\"", "t.yaml:4:66: tenants[0].account_id: unknown key (did you mean "
				    "account?)\n"},
	    {"}\n- {id: b, acount: \"111122223333\", rol: r, externalid: x-y",
	     "t.yaml:5:11: tenants[1].acount: unknown key (did you mean account?)\n"
	     "t.yaml:5:35: tenants[1].rol: unknown key (did you mean role?)\n"
	     "t.yaml:5:43: tenants[1].externalid: unknown key (did you mean external_id?)\n"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		expect(with("", cases[i].part, "", ""), cases[i].fault);
}

static void
test_faults_in_sinks(void **state)
{
	static const struct fault_case cases[] = {
	    {", max_age: 1h", "t.yaml:8:46: sinks.lake.max_age: unknown key\n"},
	    {", compression: {zstd: 20}",
	     "t.yaml:8:66: sinks.lake.compression.zstd: '20' should be between 1 and 19\n"},
	    {", kms_key: x", "t.yaml:8:46: sinks.lake.kms_key: is of use only with s3://\n"},
	    {", role: \"arn:aws:iam::444455556666:role/r\"",
	     "t.yaml:8:46: sinks.lake.role: is of use only with s3://\n"},
	    {", role: r", "t.yaml:8:52: sinks.lake.role: should be the whole ARN of a role, "
			  "arn:aws:iam::ACCOUNT:role/NAME\n"},
	    {", expected_owner: me",
	     "t.yaml:8:62: sinks.lake.expected_owner: should be an account number of 12 digits\n"},
	    {"}\n  x: {kind: objects", "t.yaml:9:6: sinks.x.url: missing\n"},
	    {"}\n  x: {kind: objects, url: \"s3://bucket/a//b\"",
	     "t.yaml:9:27: sinks.x.url: not a URL such as s3://bucket/prefix\n"},
	    {"}\n  x: {kind: objects, url: \"s3://B\"",
	     "t.yaml:9:27: sinks.x.url: not a URL such as s3://bucket/prefix\n"},
	    {"}\n  x: {kind: objects, url: \"file://dir\"",
	     "t.yaml:9:27: sinks.x.url: a file URL has three slashes and a whole path: "
	     "file:///dir\n"},
	    {"}\n  x: {kind: objects, url: \"file:///a?b\"",
	     "t.yaml:9:27: sinks.x.url: '?' and '#' in a file URL are written %3F and %23\n"},
	    {"}\n  x: {kind: objects, url: \"gopher://x\"",
	     "t.yaml:9:27: sinks.x.url: should be s3://bucket/prefix or file:///dir\n"},
	    {"}\n  x: {kind: otlp, url: \"jaeger:4318\"",
	     "t.yaml:9:24: sinks.x.url: URL: must start with http:// or https://\n"},
	    {"}\n  x: {kind: otlp, url: \"http://jaeger:4318\", max_age: 1h",
	     "t.yaml:9:46: sinks.x.max_age: unknown key\n"},
	    {"}\n  x: {kind: alertmanager, url: \"http://a:9093\", max_age: 1h",
	     "t.yaml:9:49: sinks.x.max_age: unknown key\n"},
	    {"}\n  x: {kind: openmetrics, url: \"http://a\"",
	     "t.yaml:9:31: sinks.x.url: should be s3://bucket/prefix or file:///dir\n"},
	    {"}\n  x: {kind: openmetrics, url: \"file:///a\", compression: {zstd: 3}",
	     "t.yaml:9:44: sinks.x.compression: unknown key\n"},
	    {"}\n  x: {kind: remotewrite", "t.yaml:9:13: sinks.x.kind: unknown kind 'remotewrite' "
					   "(did you mean remote_write?)\n"},
	    {"}\n  x: {url: y", "t.yaml:9:6: sinks.x.kind: missing\n"},
	    {"}\n  x: {kind: stdout, url: y", "t.yaml:9:21: sinks.x.url: unknown key\n"},
	    {"}\n  x: stdout\n  y: {kind: stdout",
	     "t.yaml:9:6: sinks.x: should be a mapping of keys\n"},
	    {"}\n  X: {kind: stdout",
	     "t.yaml:9:3: sinks.X: names are made of a-z, 0-9, '.', '_' and '-', begin with a "
	     "letter or digit and have at most 63 characters\n"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		expect(with("", "", "", cases[i].part), cases[i].fault);
}

static void
test_faults_in_remote_write(void **state)
{
	static const struct fault_case cases[] = {
	    {"sigv4: {}", "t.yaml:9:63: sinks.x.sigv4.service: missing\n"},
	    {"sigv4: {service: aps, region: here}",
	     "t.yaml:9:86: sinks.x.sigv4.region: 'here' is not a region such as eu-west-1\n"},
	    {"role: \"arn:aws:iam::444455556666:role/r\"",
	     "t.yaml:9:56: sinks.x.role: is of use only with sigv4\n"},
	    {"sigv4: {service: aps}, bearer_token_file: /t",
	     "t.yaml:9:79: sinks.x.bearer_token_file: only one of sigv4, basic_auth and "
	     "bearer_token_file can be used\n"},
	    {"basic_auth: {username: u, pasword: p4ss}",
	     "t.yaml:9:82: sinks.x.basic_auth.pasword: unknown key (did you mean password?)\n"},
	    {"basic_auth: {username: u}",
	     "t.yaml:9:68: sinks.x.basic_auth: needs either password or password_file\n"},
	    {"basic_auth: {username: u, password: p, password_file: /nowhere}",
	     "t.yaml:9:68: sinks.x.basic_auth: needs either password or password_file\n"},
	    {"basic_auth: {username: u, password_file: /nowhere/x}",
	     "t.yaml:9:97: sinks.x.basic_auth.password_file: cannot be read: No such file or "
	     "directory\n"},
	    {"basic_auth: {username: u, password_file: /dev/null}",
	     "t.yaml:9:97: sinks.x.basic_auth.password_file: holds no password of one line\n"},
	    {"basic_auth: {password: p}", "t.yaml:9:68: sinks.x.basic_auth.username: missing\n"},
	    {"basic_auth: {username: 'a:b', password: p}",
	     "t.yaml:9:68: sinks.x.basic_auth: a username cannot hold ':'\n"},
	    {"headers: {Host: a, \"X Y\": a, X-A: \"a\\nb\"}",
	     "t.yaml:9:66: sinks.x.headers.Host: this header is set by muster itself\n"
	     "t.yaml:9:75: sinks.x.headers.X Y: not the name of a header\n"
	     "t.yaml:9:90: sinks.x.headers.X-A: a header cannot hold control characters\n"},
	    {"max_age: 5", "t.yaml:9:65: sinks.x.max_age: '5' is not a duration such as 90s, 5m or "
			   "1h30m\n"},
	};
	char part[512];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		(void)snprintf(part, sizeof(part),
			       "}\n  x: {kind: remote_write, url: \"http://p:1/api/write\", %s",
			       cases[i].part);
		expect(with("", "", "", part), cases[i].fault);
	}
	expect(with("", "", "", "}\n  x: {kind: remote_write, url: \"ftp://x\""),
	       "t.yaml:9:32: sinks.x.url: URL: must start with http:// or https://\n");
}

static void
test_sections_that_are_missing(void **state)
{
	(void)state;
	expect("region: eu-west-1\n", "t.yaml:1:1: state: missing\n"
				      "t.yaml:1:1: jobs: missing\n"
				      "t.yaml:1:1: sinks: missing\n"
				      "t.yaml:1:1: tenants: missing\n");
	expect("region: eu-west-1\nstate: file:///s\ntenants: {}\njobs: {}\nsinks: [x]\n",
	       "t.yaml:3:10: tenants: should be a list of mappings\n"
	       "t.yaml:4:7: jobs: should not be empty\n"
	       "t.yaml:5:8: sinks: should be a mapping of names\n");
	expect("", "t.yaml:1:1: the file is empty\n");
	expect("region: x\nstate: gopher://x\ntenants: []\njobs: {a: {kind: metrics, to: s}}\n"
	       "sinks: {s: {kind: stdout}}\n",
	       "t.yaml:1:9: region: 'x' is not a region such as eu-west-1\n"
	       "t.yaml:2:8: state: should be s3://bucket/prefix or file:///dir\n");
	expect(
	    "region: ${MUSTER_TEST_UNSET}\nstate: file:///s\ntenants: []\n"
	    "jobs: {a: {kind: metrics, to: s}}\nsinks: {s: {kind: stdout}}\n",
	    "t.yaml:1:9: region: the environment variable MUSTER_TEST_UNSET is not set and has no "
	    "default\n");
}

static const char no_region[] = "state: file:///s\ntenants: []\njobs: {a: {kind: metrics, to: s}}\n"
				"sinks: {s: {kind: stdout}}\n";

static void
test_region_from_the_environment(void **state)
{
	struct config *c;

	(void)state;
	expect(no_region,
	       "t.yaml:1:1: region: missing, and neither AWS_REGION nor a profile gives one\n");
	assert_int_equal(setenv("AWS_REGION", "us-gov-west-1", 1), 0);
	c = load_good(no_region);
	assert_string_equal(c->region, "us-gov-west-1");
	config_free(c);
	assert_int_equal(unsetenv("AWS_REGION"), 0);
}

/* What stands in the defaults is wrong once, however many tenants there are. */
/* What would be ignored is not accepted where it can only have been meant; from `defaults` it is
 * for the other tenants. */
static void
test_no_role_for_linked_accounts(void **state)
{
#define LINKED(more)                                                                               \
	"region: eu-west-1\nstate: file:///s\ndefaults: {role: r, external_id: x-y}\n" more        \
	"\njobs: {a: {kind: metrics, to: s}}\nsinks: {s: {kind: stdout}}\n"
#define ACME	  "tenants: [{id: acme, account: '111122223333', linked: true"
#define NO_EFFECT "has no effect, for a linked account is read without a role: leave it out here\n"

	(void)state;
	expect(LINKED(ACME "}]"), "");
	expect(LINKED(ACME ", assume: false}]"), "");
	expect(LINKED(ACME ", role: own}]"), "t.yaml:4:67: tenants[0].role: " NO_EFFECT);
	expect(LINKED(ACME ", external_id: own}]"),
	       "t.yaml:4:74: tenants[0].external_id: " NO_EFFECT);
	expect(LINKED(ACME ", assume: true}]"), "t.yaml:4:69: tenants[0].assume: " NO_EFFECT);
	expect(LINKED("tenants_from: [{linked: {}, role: own}]"),
	       "t.yaml:4:35: tenants_from[0].role: " NO_EFFECT);
	expect(LINKED("tenants_from: [{linked: {}, labels: {a: b}}]"), "");
}

static void
test_shared_faults_are_told_once(void **state)
{
	(void)state;
	expect(
	    "region: eu-west-1\nstate: file:///s\n"
	    "defaults: {role: 'a b', external_id: 'x {id}', labels: {t: \"{tag:x}\"}}\n"
	    "tenants: [{id: a, account: \"111122223333\"}, {id: b, account: \"111122223334\"}]\n"
	    "jobs: {a: {kind: metrics, to: s}}\nsinks: {s: {kind: stdout}}\n",
	    "t.yaml:3:18: defaults.role: 'a b' is neither the name of a role nor its ARN\n"
	    "t.yaml:3:38: defaults.external_id: an external id has 2 to 1224 letters, digits and "
	    "_+=,.@:/-\n"
	    "t.yaml:3:60: defaults.labels.t: a tenant from a file has no tags: {tag:x}\n");
}

static void
test_faults_in_files_of_tenants(void **state)
{
	(void)state;
	write_file("more/a.yaml",
		   "- {id: acme, account: \"111122223333\", role: r, external_id: x-y}\n");
	write_file("more/b.yaml", "tenant:\n- x\n");
	write_file("more/c.yaml", "- [\n");
	expect(
	    with("tenants_from: [{file: more/*}]\n", "", "", ""),
	    "more/a.yaml:1:8: [0].id: 'acme' is given twice, first at t.yaml:4\n"
	    "more/b.yaml:1:1: tenant: unknown key (did you mean tenants?)\n"
	    "more/c.yaml:2:1: not valid YAML: did not find expected node content, while parsing a "
	    "flow node in line 2\n");
}

static const struct label acme_tags[] = {{"team", "red"}, {"tier", "gold"}};
static struct found_account acme = {.account = "111122223333", .name = "Acme Ltd"};

/* The tenant that an account makes of the n-th source. */
static int
find(struct config *c, size_t n, const char *id, struct arena *a, struct tenant *t, struct err *err)
{
	acme.tags = (struct label *)(uintptr_t)acme_tags;
	acme.n_tags = ARRAY_LEN(acme_tags);
	return config_found_tenant(c, &c->sources[n], &acme, id, a, t, err);
}

static void
test_found_tenants(void **state)
{
	static const char *const needed[] = {"muster", "nothing", "team", "tenant", "tier"};
	struct arena a = ARENA_INIT(1 << 20);
	struct err err = {0};
	struct config *c;
	struct tenant t;

	(void)state;
	c = load_good("region: eu-west-1\nstate: file:///s\n"
		      "defaults:\n"
		      "  role: reader-{tag:team}\n"
		      "  external_id: x-{id}-{account}\n"
		      "  labels: {tier: '{tag:tier}', none: '{tag:nothing}', plain: p}\n"
		      "tenants_from:\n"
		      "- organization: {ous: ou-1, tags: {muster: 'yes'}, id_tag: tenant}\n"
		      "  labels: {plain: own}\n"
		      "- organization: {}\n"
		      "  role: reader-{tag:owner}\n"
		      "- linked: {exclude: ['444455556666']}\n"
		      "  labels: {tier: l}\n"
		      "  regions: [us-east-1]\n"
		      "jobs: {a: {kind: metrics, to: s}}\nsinks: {s: {kind: stdout}}\n");
	assert_int_equal(c->n_tenants, 0);
	assert_int_equal(c->n_sources, 3);
	assert_int_equal(c->sources[0].tag_names.n, ARRAY_LEN(needed));
	for (size_t i = 0; i < ARRAY_LEN(needed); i++)
		assert_string_equal(c->sources[0].tag_names.v[i], needed[i]);
	assert_string_equal(c->sources[0].ous.v[0], "ou-1");
	assert_string_equal(c->sources[2].regions[0], "us-east-1");
	assert_int_equal(find(c, 0, "acme", &a, &t, &err), 0);
	assert_string_equal(t.role, "reader-red");
	assert_string_equal(t.external_id, "x-acme-111122223333");
	assert_true(t.assume && !t.linked);
	assert_string_equal(t.regions[0], "eu-west-1");
	/* A label whose tag is not there is left out. */
	assert_int_equal(t.n_labels, 2);
	assert_string_equal(t.labels[0].value, "own");
	assert_string_equal(t.labels[1].value, "gold");
	/* A role whose tag is not there is no role. */
	assert_int_equal(find(c, 1, "acme", &a, &t, &err), -1);
	assert_non_null(strstr(err.msg, "t.yaml:11:9: tenants_from[1].role: account 111122223333 "
					"has no tag owner"));
	/* Nothing of the defaults' role matters to a linked account. */
	acme.regions = c->sources[2].regions;
	acme.n_regions = 1;
	assert_int_equal(find(c, 2, "acme", &a, &t, &err), 0);
	assert_null(t.role);
	assert_true(!t.assume && t.linked);
	assert_string_equal(t.regions[0], "us-east-1");
	assert_string_equal(t.labels[t.n_labels - 1].value, "l");
	config_free(c);
	arena_done(&a);
}

static void
test_ecs_disks_go_with_the_task(void **state)
{
	struct config *c;

	(void)state;
	assert_int_equal(setenv("ECS_CONTAINER_METADATA_URI_V4", "http://169.254.170.2/v4/x", 1),
			 0);
	expect(with("", "", "", ""),
	       "t.yaml:2:8: state: the disk of an ECS task goes with the task: use "
	       "s3://bucket/prefix, or say state_ephemeral: true\n");
	c = load_good(with("state_ephemeral: true\n", "", "", ""));
	assert_true(c->state_ephemeral);
	config_free(c);
	config_free(load_good(small));
	assert_int_equal(unsetenv("ECS_CONTAINER_METADATA_URI_V4"), 0);
}

static void
definition_of(const char *job, char out[33])
{
	struct config *c = load_good(with("", "", job, ""));

	memcpy(out, c->jobs[0].definition, 33);
	config_free(c);
}

/* The definition is of what the data are, not of when or where to they go. */
static void
test_definition(void **state)
{
	static const char *const same[] = {", delay: 9m, hold: 1m, revisit: off, lookback: 2h",
					   ", every: 300s, period: 1m", ", naming: muster"};
	static const char *const other[] = {", every: 10m", ", period: 5m", ", naming: adot",
					    ", keep: x", ", from: [{namespace: AWS/ECS}]"};
	char plain[33], got[33];

	(void)state;
	definition_of("", plain);
	for (size_t i = 0; i < ARRAY_LEN(same); i++) {
		definition_of(same[i], got);
		assert_string_equal(got, plain);
	}
	for (size_t i = 0; i < ARRAY_LEN(other); i++) {
		definition_of(other[i], got);
		assert_string_not_equal(got, plain);
	}
}

/* As it is: nothing of it waits in the environment. */
static void
test_init_text_loads(void **state)
{
	struct config *c;

	(void)state;
	assert_int_equal(unsetenv("MUSTER_EXTERNAL_ID"), 0);
	c = load_good(config_init_text());
	assert_string_equal(c->region, "eu-west-1");
	assert_string_equal(c->tenants[0].id, "acme");
	assert_string_equal(c->tenants[0].role, "muster-reader");
	assert_string_equal(c->tenants[0].external_id, "muster-111122223333");
	assert_int_equal(c->n_jobs, 1);
	assert_int_equal(c->n_unused_sinks, 0);
	config_free(c);
	assert_int_equal(setenv("MUSTER_EXTERNAL_ID", "s3cret", 1), 0);
}

static void
test_help_names_every_key(void **state)
{
	static const char *const words[] = {
	    "region",  "state_ephemeral", "external_id",       "tenants_from",
	    "every",   "discover_every",  "bearer_token_file", "zstd",
	    "fail_on", "insights_per_gb", "kind: stdout"};
	CLEANUP(buf_done) struct buf out = BUF_INIT(1 << 20);

	(void)state;
	config_help(&out);
	assert_true(buf_ok(&out));
	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		assert_non_null(strstr(buf_cstr(&out), words[i]));
}

static void
test_no_file(void **state)
{
	struct conf_faults *f = conf_faults_new();
	struct config *c = NULL;
	struct err err = {0};

	(void)state;
	assert_int_equal(config_load("/nowhere/muster.yaml", &c, f, &err), -1);
	assert_null(c);
	assert_string_equal(err.msg, "/nowhere/muster.yaml: 1 fault in the configuration");
	assert_string_equal(conf_faults_get(f, 0),
			    "/nowhere/muster.yaml:1:1: cannot be read: No such file or directory");
	conf_faults_free(f);
}

static int
make_folder(void **state)
{
	char path[256];

	(void)state;
	if (!mkdtemp(folder) || setenv("CONFIG_TEST_FOLDER", folder, 1) ||
	    setenv("MUSTER_EXTERNAL_ID", "s3cret", 1) || setenv("ACME_EXTERNAL_ID", "acme-x", 1))
		return -1;
	(void)unsetenv("AWS_REGION");
	(void)unsetenv("AWS_DEFAULT_REGION");
	(void)unsetenv("ECS_CONTAINER_METADATA_URI_V4");
	(void)unsetenv("MUSTER_TEST_UNSET");
	(void)snprintf(path, sizeof(path), "%s/tenants.d", folder);
	if (mkdir(path, 0700))
		return -1;
	(void)snprintf(path, sizeof(path), "%s/more", folder);
	return mkdir(path, 0700);
}

static int
remove_folder(void **state)
{
	static const char *const names[] = {"t.yaml",
					    "password",
					    "tenants.d/a.yaml",
					    "tenants.d/b.yaml",
					    "more/a.yaml",
					    "more/b.yaml",
					    "more/c.yaml",
					    "tenants.d",
					    "more",
					    "."};
	char path[256];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		(void)snprintf(path, sizeof(path), "%s/%s", folder, names[i]);
		(void)remove(path);
	}
	return rmdir(folder);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_small_example),
	    cmocka_unit_test(test_defaults),
	    cmocka_unit_test(test_big_example),
	    cmocka_unit_test(test_faults_at_the_top),
	    cmocka_unit_test(test_folder_that_cannot_be_searched),
	    cmocka_unit_test(test_faults_in_jobs),
	    cmocka_unit_test(test_faults_in_tenants),
	    cmocka_unit_test(test_faults_in_sinks),
	    cmocka_unit_test(test_faults_in_remote_write),
	    cmocka_unit_test(test_sections_that_are_missing),
	    cmocka_unit_test(test_region_from_the_environment),
	    cmocka_unit_test(test_no_role_for_linked_accounts),
	    cmocka_unit_test(test_shared_faults_are_told_once),
	    cmocka_unit_test(test_faults_in_files_of_tenants),
	    cmocka_unit_test(test_found_tenants),
	    cmocka_unit_test(test_ecs_disks_go_with_the_task),
	    cmocka_unit_test(test_definition),
	    cmocka_unit_test(test_init_text_loads),
	    cmocka_unit_test(test_help_names_every_key),
	    cmocka_unit_test(test_no_file),
	};

	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
