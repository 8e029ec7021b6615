/*
 * muster check: is everything there that a run needs? Tries it out, changes nothing, and says what
 * is missing.
 */
#include <stdlib.h>
#include <unistd.h>

#include "run/check.h"
#include "run/command.h"
#include "run/command_line.h"

#define OUTPUT_MAX ((size_t)512 << 20)

static bool
wants_color(void)
{
	const char *term = getenv("TERM"), *no = getenv("NO_COLOR");

	return isatty(STDOUT_FILENO) && term && strcmp(term, "dumb") != 0 && !(no && *no);
}

static int
print(const struct check *c)
{
	const struct options *o = c->s->options;
	struct buf out = BUF_INIT(OUTPUT_MAX);
	struct err err = {0};
	int rc = 0;

	if (o->json)
		rc = check_json(c, &out, &err);
	else
		check_print(c, wants_color(), o->log_level, &out);
	if (!rc)
		rc = command_print(&out, "findings", &err);
	if (rc)
		log_event(LOG_ERROR, "findings not printed", LOG_E(&err));
	buf_done(&out);
	return rc;
}

static bool
memory_ran_out(const struct check *c)
{
	bool lost = c->central.lost || c->sinks.lost;

	for (size_t i = 0; i < c->n_tenants; i++)
		lost = lost || c->tenants[i].lost;
	return lost;
}

static int
look(struct session *s)
{
	struct check c = {.s = s};
	struct err err = {0};
	int status, why;

	findings_init(&c.central);
	findings_init(&c.sinks);
	check_central(&c);
	check_sinks(&c);
	check_tenants(&c);
	check_endpoints(&c);
	status = print(&c) ? EXIT_CENTRAL : (int)check_status(&c);
	if (memory_ran_out(&c)) {
		(void)err_nomem(&err);
		log_event(LOG_ERROR, "some findings are missing", LOG_E(&err));
		status = EXIT_CENTRAL;
	}
	why = clock_cancelled(s->clock);
	check_done(&c);
	return why ? 128 + why : status;
}

static int
with_config(const struct options *o, const struct config *config)
{
	struct session s;
	struct err err = {0};
	int status;

	command_catch_signals(session_clock());
	if (!session_begin(&s, config, o, session_clock(), &err)) {
		status = look(&s);
	} else {
		status = err.kind == ERR_USAGE ? EXIT_USAGE : EXIT_CENTRAL;
		log_event(LOG_ERROR, "cannot start", LOG_E(&err));
	}
	session_close(&s);
	return status;
}

int
cmd_check(int argc, char **argv)
{
	static const struct command_line line = {
	    .command = FOR_CHECK,
	    .usage =
		"usage: muster check [OPTION]...\n\n"
		"Looks at the configuration, the clock, the base credentials, the state store, "
		"every\n"
		"sink, and for each tenant at its role and at each permission that its jobs need, "
		"by\n"
		"calls that change nothing. Says what is missing, as the IAM statement to add. "
		"With\n"
		"-q only what is missing or to be warned of, with -v each tenant.",
	};
	struct config *config = NULL;
	struct options o;
	int status;

	if (!command_begin(&line, argc, argv, &o, &config, &status))
		return status;
	status = with_config(&o, config);
	config_free(config);
	return status;
}
