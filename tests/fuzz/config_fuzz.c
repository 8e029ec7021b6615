/*
 * Configurations: a config, or faults that each are one printable line with the file's name in
 * front.
 */
#include "run/config.h"
#include "tests/fuzz/fuzz.h"

#include <sys/mman.h>
#include <unistd.h>

/* Files it may name are no matter of its syntax. */
static bool
names_files(struct sv in)
{
	return memmem(in.p, in.n, "file", 4) && memmem(in.p, in.n, "tenants_from", 12);
}

static void
check_fault(const char *line, const char *path)
{
	fuzz_must(line[0] && utf8_valid(sv_of(line)));
	fuzz_must(strncmp(line, path, strlen(path)) == 0);
	for (; *line; line++)
		fuzz_must((unsigned char)*line >= ' ' && *line != 0x7f);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct conf_faults *f = conf_faults_new();
	struct config *c = NULL;
	struct err err = {0};
	char path[64];
	int fd, rc;

	fuzz_must(f);
	if (names_files((struct sv){(const char *)data, n})) {
		conf_faults_free(f);
		return 0;
	}
	fd = memfd_create("muster.yaml", MFD_CLOEXEC);
	fuzz_must(fd >= 0 && write(fd, data, n) == (ssize_t)n && lseek(fd, 0, SEEK_SET) == 0);
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	rc = config_load(path, &c, f, &err);
	fuzz_answer(rc, &err);
	fuzz_must((rc == 0) == (c != NULL) && (rc == 0) == (conf_faults_count(f) == 0));
	for (size_t i = 0; i < conf_faults_count(f); i++)
		check_fault(conf_faults_get(f, i), path);
	config_free(c);
	conf_faults_free(f);
	(void)close(fd);
	return 0;
}
