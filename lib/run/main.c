/*
 * The program: one row a command.
 */
#include <malloc.h>
#include <signal.h>
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
static const char *const topics[] = {
    "alarms",	"backfill", "ci",	    "compact", "cost",	    "errors",	    "inside",
    "lake",	"logs",	    "metrics",	    "network", "operating", "organization", "script",
    "sidecars", "tenants",  "threat-model", "traces",  "yace",
};
#define TOPICS_PER_LINE 10

static int
unexpected(const char *word)
{
	(void)fprintf(stderr, "muster: unexpected argument: %s (see `muster help`)\n", word);
	return EXIT_USAGE;
}

static bool
is_help(const char *word)
{
	return !strcmp(word, "--help") || !strcmp(word, "-h");
}

static int
cmd_version(int argc, char **argv)
{
	if (argc > 1 && is_help(argv[1]))
		return cmd_help(1, argv);
	if (argc > 1)
		return unexpected(argv[1]);
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
	(void)fputs("\nHow to do what, by man muster-TOPIC:", out);
	for (size_t i = 0; i < ARRAY_LEN(topics); i++)
		(void)fprintf(out, "%s%s%s", i && !(i % TOPICS_PER_LINE) ? "\n" : " ", topics[i],
			      i + 1 < ARRAY_LEN(topics) ? "," : ".\n");
}

static bool
is_topic(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(topics); i++)
		if (!strcmp(topics[i], name))
			return true;
	return false;
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
help_config(void)
{
	struct buf text = BUF_INIT(1u << 20);

	config_help(&text);
	(void)fputs(buf_cstr(&text), stdout);
	buf_done(&text);
	return EXIT_OK;
}

/* A command comes before the page of the same name: it says what to type. */
static int
help_of(char *name)
{
	const struct command *c = find(name);
	char help[] = "--help";

	if (!strcmp(name, "config"))
		return help_config();
	if (!c && is_topic(name)) {
		(void)printf("see man muster-%s\n", name);
		return EXIT_OK;
	}
	if (!c)
		return unknown(name);
	if (c->run != cmd_help && c->run != cmd_version)
		return c->run(2, (char *[]){name, help, NULL});
	usage(stdout);
	return EXIT_OK;
}

static int
cmd_help(int argc, char **argv)
{
	if (argc < 2) {
		usage(stdout);
		return EXIT_OK;
	}
	if (!strcmp(argv[1], "athena"))
		return cmd_athena(argc - 1, argv + 1);
	return argc > 2 ? unexpected(argv[2]) : help_of(argv[1]);
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
	/* Who starts us may have ignored it; nobody would then tell how a program of ours ended. */
	(void)signal(SIGCHLD, SIG_DFL);
	if (argc < 2) {
		usage(stderr);
		return EXIT_USAGE;
	}
	if (is_help(argv[1]))
		return cmd_help(argc - 1, argv + 1);
	if (!strcmp(argv[1], "--version"))
		return cmd_version(argc - 1, argv + 1);
	c = find(argv[1]);
	return c ? c->run(argc - 1, argv + 1) : unknown(argv[1]);
}
