/*
 * Landlock and limits. The former is asked for by its system calls: Debian 12 has no functions for
 * them, and headers that know the first two versions only. Numbers and bits are those of the
 * kernel's include/uapi/linux/landlock.h (6.12), which never change.
 */
#include "base/confine.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fsx.h"
#include "base/sanitized.h"

/* The same on all architectures (those newer than 5.13 share one table). */
#define SYS_LANDLOCK_CREATE_RULESET 444
#define SYS_LANDLOCK_ADD_RULE	    445
#define SYS_LANDLOCK_RESTRICT_SELF  446
#define CREATE_RULESET_VERSION	    1u
#define RULE_PATH_BENEATH	    1

/* Files move from .tmp to where they belong, and before ABI 2 nothing may move between folders. */
#define ABI_MIN 2

#define EXECUTE	    (UINT64_C(1) << 0)
#define WRITE_FILE  (UINT64_C(1) << 1)
#define READ_FILE   (UINT64_C(1) << 2)
#define READ_DIR    (UINT64_C(1) << 3)
#define REMOVE_DIR  (UINT64_C(1) << 4)
#define REMOVE_FILE (UINT64_C(1) << 5)
#define MAKE_CHAR   (UINT64_C(1) << 6)
#define MAKE_DIR    (UINT64_C(1) << 7)
#define MAKE_REG    (UINT64_C(1) << 8)
#define MAKE_SOCK   (UINT64_C(1) << 9)
#define MAKE_FIFO   (UINT64_C(1) << 10)
#define MAKE_BLOCK  (UINT64_C(1) << 11)
#define MAKE_SYM    (UINT64_C(1) << 12)
#define REFER	    (UINT64_C(1) << 13) /* ABI 2 */
#define TRUNCATE    (UINT64_C(1) << 14) /* ABI 3 */
#define IOCTL_DEV   (UINT64_C(1) << 15) /* ABI 5 */

#define BIND_TCP	(UINT64_C(1) << 0) /* ABI 4 */
#define SCOPED_ABSTRACT (UINT64_C(1) << 0) /* ABI 6 */
#define SCOPED_SIGNAL	(UINT64_C(1) << 1) /* ABI 6 */

#define FOR_FILES (EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE | IOCTL_DEV)

/* A kernel that knows less of it wants zeroes in the rest. */
struct ruleset_attr {
	uint64_t handled_fs, handled_net, scoped;
};

struct path_beneath {
	uint64_t allowed;
	int32_t parent_fd;
} __attribute__((packed));

#ifdef CONFINE_OFF /* what counts covered lines writes where it likes */
#define LANDLOCK_WANTED false
#else
#define LANDLOCK_WANTED true
#endif

void
confine_memory(void)
{
	const struct rlimit no_core = {0, 0};

	(void)setrlimit(RLIMIT_CORE, &no_core);
	/* The limit says nothing where core files go to a program (core(5): a pipe). */
	if (!SANITIZED)
		(void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
}

/* All that this version can refuse. Not what comes after: it may be what the program needs. */
static uint64_t
known_to(int abi)
{
	uint64_t known = (REFER << 1) - 1;

	if (abi >= 3)
		known |= TRUNCATE;
	if (abi >= 5)
		known |= IOCTL_DEV;
	return known;
}

void
confine_begin(struct confine *c, bool files)
{
	struct ruleset_attr attr = {0};
	long abi = syscall(SYS_LANDLOCK_CREATE_RULESET, NULL, 0, CREATE_RULESET_VERSION);

	*c = (struct confine){
	    .files = files && LANDLOCK_WANTED, .ruleset = -1, .abi = abi > 0 ? (int)abi : 0};
	if (!c->files || c->abi < ABI_MIN)
		return;
	attr.handled_fs = known_to(c->abi);
	/* It listens to nobody. Where it connects to, endpoints and resolvers say, at any port. */
	attr.handled_net = c->abi >= 4 ? BIND_TCP : 0;
	attr.scoped = c->abi >= 6 ? SCOPED_ABSTRACT | SCOPED_SIGNAL : 0;
	c->ruleset = (int)syscall(SYS_LANDLOCK_CREATE_RULESET, &attr, sizeof(attr), 0);
}

static uint64_t
allowed_by(enum confine_use use)
{
	switch (use) {
	case CONFINE_READ:
		return READ_FILE | READ_DIR;
	case CONFINE_SCRATCH:
		return READ_FILE | READ_DIR | WRITE_FILE | TRUNCATE | MAKE_REG | REMOVE_FILE |
		       REMOVE_DIR;
	case CONFINE_STORE:
		return READ_FILE | READ_DIR | WRITE_FILE | TRUNCATE | MAKE_REG | REMOVE_FILE |
		       MAKE_DIR | REMOVE_DIR | REFER;
	case CONFINE_DEVICE:
		return READ_FILE | WRITE_FILE;
	}
	return 0;
}

/* The path, or what is left of it when names are taken off its end until it is there. */
static int
open_nearest(const char *path, bool nearest)
{
	char name[PATH_MAX];
	int fd;

	if (snprintf(name, sizeof(name), "%s", path) >= (int)sizeof(name)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	while ((fd = open(name, O_PATH | O_CLOEXEC)) < 0 &&
	       (errno == EINTR || (errno == ENOENT && nearest))) {
		char *slash;

		if (errno == EINTR)
			continue;
		for (size_t n = strlen(name); n > 1 && name[n - 1] == '/'; n--)
			name[n - 1] = '\0';
		slash = strrchr(name, '/');
		if (!strcmp(name, "/") || !strcmp(name, "."))
			break;
		if (!slash)
			(void)snprintf(name, sizeof(name), ".");
		else
			slash[slash == name] = '\0';
	}
	return fd;
}

/* The path is not to be had by anybody here: unlike one for which there was no descriptor, say. */
static bool
is_out_of_reach(int error)
{
	return error == ENOENT || error == ENOTDIR || error == EACCES || error == ELOOP ||
	       error == ENAMETOOLONG;
}

static void
leave_files_alone(struct confine *c)
{
	(void)close(c->ruleset);
	c->ruleset = -1;
}

void
confine_allow(struct confine *c, const char *path, enum confine_use use)
{
	struct path_beneath rule = {.allowed = allowed_by(use) & known_to(c->abi)};
	CLEANUP(fsx_closep) int fd = -1;
	struct stat st;

	if (c->ruleset < 0 || !path || !*path)
		return;
	fd = open_nearest(path, use == CONFINE_SCRATCH || use == CONFINE_STORE);
	if (fd < 0 && is_out_of_reach(errno))
		return; /* nor can the run open it */
	if (fd < 0 || fstat(fd, &st)) {
		leave_files_alone(c);
		return;
	}
	if (!S_ISDIR(st.st_mode))
		rule.allowed &= FOR_FILES;
	rule.parent_fd = fd;
	if (syscall(SYS_LANDLOCK_ADD_RULE, c->ruleset, RULE_PATH_BENEATH, &rule, 0))
		leave_files_alone(c);
}

/*
 * Limits stay what they were at the start, for what nobody may raise holds whoever got in, too;
 * those of what is never used (locked memory, message queues, the priority of others' work) become
 * none. How many files and how large, how many threads, how much memory and time a run takes
 * depends on the data: these are bounded by who starts it.
 */
static void
hold_limits(void)
{
	static const unsigned unused[] = {RLIMIT_MEMLOCK, RLIMIT_MSGQUEUE, RLIMIT_NICE,
					  RLIMIT_RTPRIO};
	const struct rlimit none = {0, 0};
	struct rlimit now;

	for (unsigned i = 0; i < RLIM_NLIMITS; i++)
		if (!getrlimit(i, &now)) {
			now.rlim_max = now.rlim_cur;
			(void)setrlimit(i, &now);
		}
	for (size_t i = 0; i < ARRAY_LEN(unused); i++)
		(void)setrlimit(unused[i], &none);
}

void
confine_end(struct confine *c, bool programs, struct confined *ret)
{
	*ret = (struct confined){0};
	if (!programs)
		hold_limits(); /* the filter refuses it */
	/* Both others ask for it of who is not root. */
	if (!prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)) {
		if (c->ruleset >= 0 && !syscall(SYS_LANDLOCK_RESTRICT_SELF, c->ruleset, 0))
			ret->landlock_abi = c->abi;
		ret->filter = confine_calls(programs);
		ret->no_programs = ret->filter && !programs;
	}
	ret->files_open = c->files && !ret->landlock_abi;
	fsx_closep(&c->ruleset);
	c->ruleset = -1;
}
