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
		if (err.kind == ERR_CONFLICT)
			(void)fprintf(stderr,
				      "muster: %s exists already and is left alone; for another, "
				      "muster init -c FILE\n",
				      path);
		else
			(void)fprintf(stderr, "muster: %s cannot be written: %s\n", path, err.msg);
		return exit_for_file(&err);
	}
	(void)printf("wrote %s: read it, fill in the tenants, then run `muster check%s%s`\n", path,
		     o.config ? " -c " : "", o.config ? path : "");
	return EXIT_OK;
}
