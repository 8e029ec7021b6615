/*
 * A library to preload: what somebody would try who had got hold of the program. It waits for the
 * program's first socket, when all fences are up and nothing was asked of anybody yet, tries its
 * tricks once, and writes a line for each: a name and the errno, 0 where it could.
 *
 *   BREAKOUT_LOG      where to write
 *   BREAKOUT_OUTSIDE  a folder that is none of the program's
 *   BREAKOUT_WITHOUT  "landlock", "seccomp" or both: the program finds a kernel that has them not
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <pthread.h>
#include <sched.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define SYS_LANDLOCK_CREATE_RULESET 444

static pthread_once_t once = PTHREAD_ONCE_INIT;
static FILE *out;
static const char *outside, *without = "";

#define REAL(name) ((__typeof__(&name))(uintptr_t)dlsym(RTLD_NEXT, #name))

__attribute__((constructor)) static void
begin(void)
{
	const char *log = getenv("BREAKOUT_LOG");      /* NOLINT(concurrency-mt-unsafe) */
	const char *less = getenv("BREAKOUT_WITHOUT"); /* NOLINT(concurrency-mt-unsafe) */

	outside = getenv("BREAKOUT_OUTSIDE"); /* NOLINT(concurrency-mt-unsafe) */
	if (less)
		without = less;
	if (log && outside)
		out = fopen(log, "we");
}

static void
tell(const char *what, long rc)
{
	(void)fprintf(out, "%s %d\n", what, rc < 0 ? errno : 0);
}

static long
open_outside(const char *name, int flags)
{
	char path[4096];

	(void)snprintf(path, sizeof(path), "%s/%s", outside, name);
	return open(path, flags | O_CLOEXEC, 0600);
}

static long
start_program(void)
{
	char name[] = "true", *argv[] = {name, NULL}, *none[] = {NULL};
	pid_t pid;
	int rc = posix_spawn(&pid, "/bin/true", NULL, NULL, argv, none);

	if (!rc)
		return waitpid(pid, NULL, 0);
	errno = rc;
	return -1;
}

/* How many limits could be raised by anybody. */
static int
limits_below(void)
{
	struct rlimit now;
	int n = 0;

	for (unsigned i = 0; i < RLIM_NLIMITS; i++)
		n += getrlimit(i, &now) || now.rlim_cur != now.rlim_max;
	return n;
}

static long
raise_limit(void)
{
	struct rlimit now;

	return getrlimit(RLIMIT_NOFILE, &now) ? -1 : setrlimit(RLIMIT_NOFILE, &now);
}

static void
try_all(void)
{
	struct addrinfo *addresses = NULL;
	struct rlimit core = {1, 1}, locked = {1, 1};

	tell("read", open_outside("secret", O_RDONLY));
	tell("write", open_outside("planted", O_WRONLY | O_CREAT));
	tell("list", open_outside(".", O_RDONLY | O_DIRECTORY));
	tell("program", start_program());
	tell("namespace", syscall(SYS_unshare, CLONE_NEWNS));
	tell("keys", syscall(SYS_keyctl, 0, -3, 0)); /* KEYCTL_GET_KEYRING_ID of the session */
	tell("listen", listen(REAL(socket)(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), 1));
	tell("trace", ptrace(PTRACE_TRACEME, 0, NULL, NULL));
	tell("limit", raise_limit());
	tell("names", getaddrinfo("localhost", "80", NULL, &addresses) ? -1 : 0);
	if (addresses)
		freeaddrinfo(addresses);
	(void)getrlimit(RLIMIT_CORE, &core);
	(void)fprintf(out, "core %d\n", core.rlim_max != 0);
	(void)getrlimit(RLIMIT_MEMLOCK, &locked);
	(void)fprintf(out, "locked %d\n", locked.rlim_max != 0);
	(void)fprintf(out, "limits %d\n", limits_below());
	(void)fprintf(out, "dumpable %d\n", prctl(PR_GET_DUMPABLE, 0, 0, 0, 0));
	(void)fprintf(out, "no_new_privs %d\n", prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0));
	(void)fflush(out);
}

int
socket(int domain, int type, int protocol)
{
	if (out)
		(void)pthread_once(&once, try_all);
	return REAL(socket)(domain, type, protocol);
}

/* What the program asks the kernel by number. */
long
syscall(long number, ...)
{
	long a[6];
	va_list args;

	if ((number == SYS_LANDLOCK_CREATE_RULESET && strstr(without, "landlock")) ||
	    (number == SYS_seccomp && strstr(without, "seccomp"))) {
		errno = ENOSYS;
		return -1;
	}
	va_start(args, number);
	for (size_t i = 0; i < sizeof(a) / sizeof(*a); i++)
		a[i] = va_arg(args, long);
	va_end(args);
	return REAL(syscall)(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}
