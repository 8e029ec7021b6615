/*
 * muster init: a minimal, commented configuration to begin with. Never overwrites a file.
 */
#include <fcntl.h>
#include <stdio.h>

#include "base/fsx.h"
#include "run/command.h"
#include "run/config.h"
#include "run/options.h"
#include "run/report.h"

int
cmd_init(int argc, char **argv)
{
	struct err err = {0};
	struct options o;
	const char *path;

	if (options_parse(FOR_INIT, 0, argc, argv, &o, &err)) {
		(void)fprintf(stderr, "muster: %s\n", err.msg);
		return EXIT_USAGE;
	}
	if (o.help) {
		(void)puts("usage: muster init [-c FILE]\n\nWrites a configuration to begin with "
			   "(default: muster.yaml).");
		return EXIT_OK;
	}
	path = o.config ? o.config : "muster.yaml";
	if (fsx_create(AT_FDCWD, path, sv_of(config_init_text()), &err)) {
		(void)fprintf(stderr, "muster: %s\n",
			      err.kind == ERR_CONFLICT ? "the file exists already and is left alone"
						       : err.msg);
		return EXIT_USAGE;
	}
	(void)printf("wrote %s: read it, fill it in, then run `muster check`\n", path);
	return EXIT_OK;
}
