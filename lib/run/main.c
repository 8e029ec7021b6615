/*
 * The program: one row a command.
 */
#include <malloc.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/confine.h"
#include "run/command.h"
#include "run/config.h"
#include "run/job.h"
#include "run/options.h"
#include "run/report.h"

#define HEAPS	    2
#define OWN_MAPPING (128 << 10)
#define KEPT_FREE                                                                                  \
	(2 << 20) /* at a heap's end: to give it back each time costs logs a tenth of their CPU */

static int cmd_version(int argc, char **argv);
static int cmd_help(int argc, char **argv);

static const struct command {
	const char *name;
	int (*run)(int argc, char **argv);
	const char *help;
} commands[] = {
    {"run", cmd_run,
     "do every job for every tenant, from each one's checkpoint up to now; then exit"},
    {"backfill", cmd_backfill,
     "the same over a window, --from T --to T, leaving the scheduled checkpoints alone"},
    {"plan", cmd_plan,
     "what run or backfill would do: cells, calls, estimated cost and time; writes nothing"},
    {"check", cmd_check,
     "look at configuration, credentials, roles, permissions and sinks; writes nothing"},
    {"status", cmd_status,
     "per tenant and job: watermark, lag, last result, gaps, cost; --max-lag as a health check"},
    {"state", cmd_state,
     "show | rewind | skip | release | forget | verify: what an operator may do to checkpoints"},
    {"record", cmd_record, "run, and keep every exchange with AWS in a cassette"},
    {"replay", cmd_replay, "run against a cassette instead of AWS, and compare what comes out"},
    {"compact", cmd_compact,
     "merge a finished day's small lake objects into one for each tenant and hour"},
    {"init", cmd_init, "write a minimal, commented configuration"},
    {"version", cmd_version, "print the version"},
    {"help", cmd_help,
     "help [COMMAND | config | athena]: this text, a command's options, every key of the "
     "configuration, or tables over the lake"},
};

/* Pages of the manual beside those of the commands: lib/pages. */
static const char topics[] =
    "alarms, backfill, ci, compact, cost, errors, inside, lake, logs, metrics,\n"
    "network, operating, organization, script, sidecars, tenants, threat-model,\n"
    "traces, yace";

static int
cmd_version(int argc, char **argv)
{
	(void)argc;
	(void)argv;
	(void)puts("muster " MUSTER_VERSION);
	return EXIT_OK;
}

static void
usage(FILE *out)
{
	(void)fputs("usage: muster COMMAND [OPTION]...\n\n", out);
	for (size_t i = 0; i < ARRAY_LEN(commands); i++)
		(void)fprintf(out, "  muster %-10s %s\n", commands[i].name, commands[i].help);
	(void)fputs("\nExit status: 0 all committed, 1 tenants failed or are incomplete, 2 usage "
		    "or configuration,\n"
		    "3 something central failed, 130/143 interrupted. See `muster help COMMAND`.\n",
		    out);
	(void)fprintf(out, "\nHow to do what, by man muster-TOPIC: %s.\n", topics);
}

static const struct command *
find(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(commands); i++)
		if (!strcmp(commands[i].name, name))
			return &commands[i];
	return NULL;
}

static int
unknown(const char *name)
{
	const char *names[ARRAY_LEN(commands)];
	const char *near;

	for (size_t i = 0; i < ARRAY_LEN(commands); i++)
		names[i] = commands[i].name;
	near = conf_nearest(name, names, ARRAY_LEN(commands));
	(void)fprintf(stderr, "muster: unknown command %s%s%s%s (see `muster help`)\n", name,
		      near ? " (did you mean " : "", near ? near : "", near ? "?)" : "");
	return EXIT_USAGE;
}

static int
cmd_help(int argc, char **argv)
{
	char help[] = "--help";
	struct buf text = BUF_INIT(1u << 20);
	const struct command *c;

	if (argc < 2) {
		usage(stdout);
		return EXIT_OK;
	}
	if (!strcmp(argv[1], "config")) {
		config_help(&text);
		(void)fputs(buf_cstr(&text), stdout);
		buf_done(&text);
		return EXIT_OK;
	}
	if (!strcmp(argv[1], "athena"))
		return cmd_athena(argc - 1, argv + 1);
	c = find(argv[1]);
	if (!c)
		return unknown(argv[1]);
	if (c->run == cmd_help || c->run == cmd_version) {
		usage(stdout);
		return EXIT_OK;
	}
	return c->run(2, (char *[]){argv[1], help, NULL});
}

/* What is freed is to go back to the system, whoever freed it: few heaps for many threads, large
 * pieces always in mappings of their own. Left alone, glibc makes eight heaps a processor, and lets
 * the bound for mappings grow to the largest piece ever freed. */
static void
tune_heap(void)
{
	/* NOLINTBEGIN(concurrency-mt-unsafe): there are no threads yet */
	(void)mallopt(M_ARENA_MAX, HEAPS);
	(void)mallopt(M_MMAP_THRESHOLD, OWN_MAPPING);
	(void)mallopt(M_TRIM_THRESHOLD, KEPT_FREE);
	/* NOLINTEND(concurrency-mt-unsafe) */
}

int
main(int argc, char **argv)
{
	const struct command *c;

	tune_heap();
	confine_memory();
	if (argc < 2) {
		usage(stderr);
		return EXIT_USAGE;
	}
	if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h"))
		return cmd_help(1, argv);
	if (!strcmp(argv[1], "--version"))
		return cmd_version(1, argv);
	c = find(argv[1]);
	return c ? c->run(argc - 1, argv + 1) : unknown(argv[1]);
}
