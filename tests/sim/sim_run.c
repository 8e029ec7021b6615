/* The program, once, in a simulated world; see sim.h. */
#include "tests/sim/sim.h"

#include <stdlib.h>

#include "aws/cloudwatch.h"
#include "base/timefmt.h"
#include "run/command.h"
#include "run/session.h"

#define MAX_WORDS 24

static int
put_world(void *arg, struct transport **t, struct err *err)
{
	struct sim *s = arg;

	(void)err;
	*t = &s->base;
	return 0;
}

/* So that nothing of this machine's is looked at. */
static void
set_environment(void)
{
	static const char *const pairs[][2] = {
	    {"AWS_ENDPOINT_URL", "http://sim"},	    {"AWS_ACCESS_KEY_ID", "AKIASIMULATED0000000"},
	    {"AWS_SECRET_ACCESS_KEY", "simulated"}, {"AWS_REGION", "eu-west-1"},
	    {"AWS_EC2_METADATA_DISABLED", "true"},
	};

	for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++)
		if (setenv(pairs[i][0], pairs[i][1], 1)) /* NOLINT(concurrency-mt-unsafe) */
			abort();
}

int
sim_run(struct sim *s, const char *const *words)
{
	const struct session_hooks hooks = {
	    .offline = true,
	    .fixed_now = true,
	    .clock = clock_fake_new(s->now_ms),
	    .bottom = put_world,
	    .arg = s,
	};
	char now[TIME_TEXT_MAX];
	const char *argv[MAX_WORDS] = {"run", "-c", s->config,	  "--now",
				       now,   "-q", "--progress", "never"};
	int argc = 8, status;

	if (!hooks.clock)
		abort();
	set_environment();
	cw_proto_begin(CW_JSON); /* this CloudWatch speaks nothing else */
	time_format_ms(s->now_ms, now);
	while (words && words[argc - 8] && argc < MAX_WORDS - 1) {
		argv[argc] = words[argc - 8];
		argc++;
	}
	s->clock = hooks.clock;
	s->dead = false;
	session_hook(&hooks);
	status = cmd_run(argc, (char **)(uintptr_t)argv);
	session_hook(NULL);
	s->clock = NULL;
	s->took_ms = clock_mono_ms(hooks.clock);
	clock_fake_free(hooks.clock);
	return s->dead ? -1 : status;
}
