/*
 * `muster help config`: every key, from the tables that read them.
 */
#include "run/config_read.h"

#include "base/num.h"

static void
add_section(struct buf *out, const char *title, const char *text)
{
	buf_fmt(out, "\n%s\n    %s\n\n", title, text);
}

static void
add_root(struct buf *out)
{
	buf_str(out,
		"The configuration is one YAML file (JSON will do). In values, ${NAME} and\n"
		"${NAME:-default} are replaced from the environment; a literal $ is written $$.\n"
		"Queries and regular expressions are left as they are. Durations are written\n"
		"90s, 5m, 1h30m or 7d. Unknown keys are errors.\n\n");
	conf_help(config_root_keys, "", out);
}

static void
add_tenants(struct buf *out)
{
	add_section(
	    out, "defaults:",
	    "For every tenant. {account}, {id} and, for accounts of an organization, {tag:NAME}\n"
	    "    are filled in.");
	conf_help(config_tenant_default_keys, "  ", out);
	add_section(out, "tenants:", "A list. Each has the keys of `defaults` and:");
	conf_help(config_tenant_keys, "  ", out);
	add_section(out, "tenants_from:", "A list. Each has the keys of `defaults` and one of:");
	conf_help(config_tenants_from_keys, "  ", out);
}

static void
add_defaults(struct buf *out, const struct job_kind *k)
{
	char every[32], delay[32], revisit[32];

	num_duration_format(k->every_ms, every);
	num_duration_format(k->delay_ms, delay);
	num_duration_format(k->revisit_ms, revisit);
	buf_fmt(out, "\n  kind: %s\n    %s. Defaults: every %s, delay %s, revisit %s.\n\n", k->name,
		k->summary, every, delay, k->revisit_ms ? revisit : "off");
}

static void
add_jobs(struct buf *out)
{
	add_section(out, "jobs.NAME:", "What all kinds share:");
	conf_help(config_job_keys, "  ", out);
	for (size_t i = 0; job_kinds[i]; i++) {
		add_defaults(out, job_kinds[i]);
		conf_help(job_kinds[i]->keys, "    ", out);
	}
}

static void
add_sinks(struct buf *out)
{
	add_section(out, "sinks.NAME:", "Each kind has keys of its own:");
	for (const struct config_sink_kind *k = config_sink_kinds; k->name; k++) {
		if (!k->summary)
			continue;
		buf_fmt(out, "  kind: %s\n    %s.\n\n", k->name, k->summary);
		conf_help(k->keys + 1, "    ", out); /* the first row is `kind` itself */
		buf_str(out, k[1].name ? "\n" : "");
	}
}

void
config_help(struct buf *out)
{
	add_root(out);
	add_tenants(out);
	add_jobs(out);
	add_sinks(out);
	add_section(out, "run:", "How a run as a whole behaves.");
	conf_help(config_run_keys, "  ", out);
}
