/*
 * The SDKs' shared files: profiles from ~/.aws/config (AWS_CONFIG_FILE) and ~/.aws/credentials
 * (AWS_SHARED_CREDENTIALS_FILE), and the settings that come from either them or the environment.
 */
#ifndef MUSTER_AWS_PROFILE_H
#define MUSTER_AWS_PROFILE_H

#include <stdbool.h>

#include "base/buf.h"

struct profiles;

enum profile_file {
	PROFILE_CONFIG,      /* [default], [profile NAME], [services NAME] */
	PROFILE_CREDENTIALS, /* [NAME] */
	PROFILE_EITHER,      /* for asking: the credentials file's value goes before the config file's */
};

/* From the two files; one that does not exist is empty, one that cannot be read or understood is ERR_USAGE and names the line. */
int profiles_load(struct profiles **ret, struct err *err);
/* From texts, for tests. */
int profiles_parse(struct sv config, struct sv credentials, struct profiles **ret, struct err *err);
/* What they held is wiped. */
void profiles_free(struct profiles *p);

bool profiles_have(const struct profiles *p, const char *profile);
/* A key's value (lower-case name), NULL if it is absent or empty. Valid as long as the profiles are. */
const char *profiles_get(const struct profiles *p, const char *profile, const char *key, enum profile_file from);
/* From the block of a service ("sts", "cloudwatch_logs") in the [services] section that the profile names. */
const char *profiles_get_service(const struct profiles *p, const char *profile, const char *service, const char *key);
/* Where they were looked for: "/home/x/.aws/config and /home/x/.aws/credentials". */
const char *profiles_files(const struct profiles *p);
/* A path as it may stand in the environment or a profile: ~/ is the home directory. The caller frees it, NULL without memory. */
char *profile_path(const char *path);

/* AWS_PROFILE, else AWS_DEFAULT_PROFILE, else "default"; *ret_named (may be NULL): it was chosen by name. */
const char *profile_name(bool *ret_named);

/*
 * The process's own profiles, kept for all that reads settings. Read before the first thread; until then, and after
 * settings_done(), only the environment counts.
 */
int settings_load(struct err *err);
void settings_done(void);
const struct profiles *settings_profiles(void); /* NULL: not read */
/* A variable of the environment, else a key of the active profile, else NULL; empty counts as absent. `key` NULL: only the variable. */
const char *settings_get(const char *variable, const char *key);
/* settings_get() is "true", in any case of letters. */
bool settings_true(const char *variable, const char *key);

#endif
