/*
 * The SDKs' shared files: config and credentials, with a NUL between them. No error quotes what
 * they hold.
 */
#include "aws/profile.h"
#include "tests/fuzz/fuzz.h"

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
	return 0;
}
