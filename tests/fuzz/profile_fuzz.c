/*
 * The SDKs' shared files: config and credentials, with a NUL between them. No error quotes what
 * they hold; and whatever they hold, the last word on a key counts, and that of the credentials
 * file before that of the config file.
 */
#include "aws/profile.h"
#include "tests/fuzz/fuzz.h"

static bool
says(const struct profiles *p, const char *profile, enum profile_file from, const char *value)
{
	const char *v = profiles_get(p, profile, "region", from);

	return v && strcmp(v, value) == 0;
}

/* The same files with more behind them. */
static void
last_word(struct sv config, struct sv credentials)
{
	CLEANUP(buf_done) struct buf one = BUF_INIT(FUZZ_MAX), other = BUF_INIT(FUZZ_MAX);
	struct profiles *p = NULL;
	struct err err = {0};

	buf_sv(&one, config);
	buf_str(&one, "\n[profile default]\nregion = a\n[profile default]\nregion = b\n"
		      "[profile fuzz]\nregion = c\n");
	buf_sv(&other, credentials);
	buf_str(&other, "\n[default]\nregion = d\n[default]\nregion = e\n");
	fuzz_must(profiles_parse(buf_view(&one), buf_view(&other), &p, &err) == 0);
	fuzz_must(says(p, "default", PROFILE_CONFIG, "b"));
	fuzz_must(says(p, "default", PROFILE_CREDENTIALS, "e"));
	fuzz_must(says(p, "default", PROFILE_EITHER, "e"));
	fuzz_must(says(p, "fuzz", PROFILE_CONFIG, "c"));
	profiles_free(p);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static const char *const keys[] = {"aws_secret_access_key", "role_arn", "source_profile",
					   "region"};
	struct sv in = {(const char *)data, n}, config = fuzz_part(&in, '\0');
	struct profiles *p = NULL;
	struct err err = {0};
	int rc = profiles_parse(config, in, &p, &err);

	fuzz_answer(rc, &err);
	fuzz_must((rc == 0) == (p != NULL));
	fuzz_must(rc == 0 || !strstr(err.msg, "SECRET"));
	for (size_t i = 0; p && i < ARRAY_LEN(keys); i++)
		for (int from = PROFILE_CONFIG; from <= PROFILE_EITHER; from++) {
			const char *v =
			    profiles_get(p, "default", keys[i], (enum profile_file)from);

			fuzz_must(!v || (*v && strlen(v) < n));
			(void)profiles_get_service(p, "default", "sts", keys[i]);
		}
	profiles_free(p);
	if (rc == 0)
		last_word(config, in);
	return 0;
}
