/*
 * Settings that the environment or the active profile makes. They are the process's own, as the
 * environment is: read once by main's thread, then only looked at.
 */
#include <stdlib.h>
#include <strings.h>

#include "aws/profile.h"

static struct profiles *own;

int
settings_load(struct err *err)
{
	settings_done();
	return profiles_load(&own, err);
}

void
settings_done(void)
{
	profiles_free(own);
	own = NULL;
}

const struct profiles *
settings_profiles(void)
{
	return own;
}

const char *
settings_get(const char *variable, const char *key)
{
	const char *v = getenv(variable);

	if (v && *v)
		return v;
	return own && key ? profiles_get(own, profile_name(NULL), key, PROFILE_EITHER) : NULL;
}

bool
settings_true(const char *variable, const char *key)
{
	const char *v = settings_get(variable, key);

	return v && !strcasecmp(v, "true");
}
