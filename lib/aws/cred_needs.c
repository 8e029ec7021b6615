/*
 * What our own credentials take from this machine, told before anybody asks for them: the profile
 * is followed as cred_profile.c will follow it, but nothing is judged.
 */
#include <stdlib.h>

#include "aws/cred_sources.h"

static void
add_file(struct cred_needs *n, const char *file)
{
	if (file && *file && n->n_files < CRED_NEEDS_FILES)
		n->files[n->n_files++] = file;
}

static bool
has_keys(void)
{
	const char *id = getenv("AWS_ACCESS_KEY_ID");

	return id && *id;
}

void
cred_needs(struct cred_needs *ret)
{
	const struct profiles *p = settings_profiles();
	const char *name = profile_name(NULL);

	*ret = (struct cred_needs){0};
	if (has_keys())
		return;
	add_file(ret, getenv("AWS_WEB_IDENTITY_TOKEN_FILE"));
	add_file(ret, getenv("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"));
	for (int i = 0; p && name && i < CRED_PROFILES_MAX; i++) {
		add_file(ret, profiles_get(p, name, "web_identity_token_file", PROFILE_EITHER));
		if (profiles_get(p, name, "credential_process", PROFILE_EITHER))
			ret->programs = true;
		name = profiles_get(p, name, "source_profile", PROFILE_EITHER);
	}
}
