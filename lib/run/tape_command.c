/*
 * Commands on a cassette. A cassette names the command to run again, and cassettes come from
 * anywhere: so what it may name is the same short list for writing and for reading.
 */
#include "run/tape_command.h"

#include <string.h>

#include "aws/cloudwatch.h"
#include "base/cleanup.h"
#include "run/command.h"
#include "run/report.h"

static const struct {
	const char *name;
	int (*run)(int argc, char **argv);
} commands[] = {
    {"run", cmd_run},
    {"backfill", cmd_backfill},
};

/* Options that say what is done. All have a value. */
static const char *const kept[] = {"--job", "--tenant", "--shard", "--from", "--to", "--into"};
/* Options with a value that says where or how: their value is no option. */
static const char *const dropped[] = {"-c",	      "--config",    "--workers",  "--now",
				      "--log-format", "--log-level", "--progress", "--report"};

static bool
listed(const char *const *list, size_t n, const char *word)
{
	size_t m = strcspn(word, "=");

	for (size_t i = 0; i < n; i++)
		if (strlen(list[i]) == m && !memcmp(list[i], word, m))
			return true;
	return false;
}

static int
find(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(commands); i++)
		if (!strcmp(commands[i].name, name))
			return (int)i;
	return -1;
}

/* As two words, however it was written. */
static int
keep_option(struct cassette *c, const char *word, const char *value, struct err *err)
{
	size_t n = strcspn(word, "=");
	CLEANUP(freep) char *name = sv_dup((struct sv){word, n});

	if (!name)
		return err_nomem(err);
	if (cassette_add_arg(c, name, err))
		return -1;
	return cassette_add_arg(c, word[n] ? word + n + 1 : value, err);
}

int
tape_command_keep(struct cassette *c, int argc, char **argv, struct err *err)
{
	if (find(argv[0]) < 0)
		return err_set(err, ERR_USAGE, "%s: cannot be recorded; run and backfill can",
			       argv[0]);
	if (cassette_add_arg(c, argv[0], err))
		return -1;
	for (int i = 1; i < argc; i++) {
		bool keep = listed(kept, ARRAY_LEN(kept), argv[i]);
		bool pair = !strchr(argv[i], '=') && i + 1 < argc &&
			    (keep || listed(dropped, ARRAY_LEN(dropped), argv[i]));

		if (keep && keep_option(c, argv[i], pair ? argv[i + 1] : "", err))
			return -1;
		i += pair;
	}
	return 0;
}

int
tape_command_check(const struct cassette *c, struct err *err)
{
	if (find(c->args[0]) < 0)
		return err_set(err, ERR_DATA, "/command: %.40s cannot be replayed", c->args[0]);
	for (size_t i = 1; i < c->n_args; i += 2)
		if (!listed(kept, ARRAY_LEN(kept), c->args[i]) || strchr(c->args[i], '='))
			return err_set(err, ERR_DATA, "/command: unexpected %.40s", c->args[i]);
	if (c->n_args % 2 == 0)
		return err_set(err, ERR_DATA, "/command: %.40s has no value",
			       c->args[c->n_args - 1]);
	return 0;
}

int
tape_command_run(int argc, char **argv)
{
	int i = find(argv[0]);

	/* What is kept is for people to read, so CloudWatch is asked in JSON; a replay asks the
	 * same. */
	cw_proto_begin(CW_JSON);
	return i < 0 ? EXIT_USAGE : commands[i].run(argc, argv);
}
