/*
 * What may be read and written by a command; see sandbox.h.
 *
 * Written: state and lakes on disk, the folders of reports and pages, spools. Read: these, what
 * libraries of the system read (names, certificates, themselves), and tokens that are read anew
 * while a run lasts. All else, home directories and other programs' data first of all, is shut. A
 * program that brings credentials (credential_process) needs files that nobody here knows: then
 * they are not confined, and only the system calls are.
 */
#include "run/sandbox.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

#include "aws/cred.h"
#include "aws/profile.h"
#include "base/cleanup.h"
#include "base/confine.h"
#include "base/spool.h"
#include "fmt/uri.h"

/* Of the system, whatever the distribution; those that are not there are none. */
static const char *const system_reads[] = {
    "/etc",
    "/usr",
    "/bin",
    "/sbin",
    "/lib",
    "/lib32",
    "/lib64",
    "/libx32",
    "/opt",
    "/nix",
    "/gnu",
    "/proc/self",
    "/proc/sys",
    "/proc/stat",
    "/proc/cpuinfo",
    "/proc/meminfo",
    "/sys/devices/system/cpu",
    "/sys/fs/cgroup",
    "/run/systemd/resolve",
    "/run/resolvconf",
    "/run/NetworkManager",
    "/run/netconfig",
    "/run/connman",
    "/run/nscd",
    "/var/cache/nscd",
    "/var/db",
    "/var/lib/sss",
    "/var/lib/ca-certificates",
};
static const char *const devices[] = {"/dev/null", "/dev/zero", "/dev/random", "/dev/urandom"};
/* Files and folders that libraries take from the environment. */
static const char *const read_by_libraries[] = {"SSL_CERT_FILE", "SSL_CERT_DIR",
						"OPENSSL_CONF",	 "OPENSSL_MODULES",
						"HOSTALIASES",	 "LD_LIBRARY_PATH"};

/* A file is replaced by another of its name: it is the folder that counts. */
static void
allow_folder_of(struct confine *c, const char *path, enum confine_use use)
{
	const char *slash = strrchr(path, '/');
	CLEANUP(freep) char *folder = NULL;

	folder = slash ? sv_dup((struct sv){path, slash == path ? 1 : (size_t)(slash - path)})
		       : sv_dup(SV("."));
	confine_allow(c, folder, use);
}

/* Where a link leads: what is at its end is in no folder of the list. */
static void
allow_target(struct confine *c, const char *path)
{
	CLEANUP(freep) char *real = realpath(path, NULL);

	if (real)
		allow_folder_of(c, real, CONFINE_READ);
}

/* A file that is read again and again, and replaced meanwhile. */
static void
allow_token(struct confine *c, const char *path)
{
	allow_folder_of(c, path, CONFINE_READ);
	allow_target(c, path);
}

/* Of file:///..., a folder or a file in one. Others are not on this machine. */
static void
allow_url(struct confine *c, const char *url, bool file)
{
	CLEANUP(buf_done) struct buf path = BUF_INIT(PATH_MAX);
	const struct sv scheme = SV("file://");

	if (!url || !sv_starts(sv_of(url), scheme) ||
	    !uri_decode(&path, sv_of(url + scheme.n), false) || !buf_ok(&path))
		return;
	if (file)
		allow_folder_of(c, buf_cstr(&path), CONFINE_SCRATCH);
	else
		confine_allow(c, buf_cstr(&path), CONFINE_STORE);
}

static void
allow_system(struct confine *c)
{
	for (size_t i = 0; i < ARRAY_LEN(system_reads); i++)
		confine_allow(c, system_reads[i], CONFINE_READ);
	for (size_t i = 0; i < ARRAY_LEN(devices); i++)
		confine_allow(c, devices[i], CONFINE_DEVICE);
	allow_target(c, "/etc/resolv.conf");
}

static void
allow_words(struct confine *c, const char *list)
{
	for (const char *p = list; p && *p;) {
		size_t n = strcspn(p, ":");
		CLEANUP(freep) char *path = sv_dup((struct sv){p, n});

		confine_allow(c, path, CONFINE_READ);
		p += n + (p[n] == ':');
	}
}

static void
allow_libraries(struct confine *c)
{
	for (size_t i = 0; i < ARRAY_LEN(read_by_libraries); i++)
		allow_words(c, getenv(read_by_libraries[i]));
	confine_allow(c, settings_get("AWS_CA_BUNDLE", "ca_bundle"), CONFINE_READ);
}

static void
allow_config(struct confine *c, const struct config *config)
{
	allow_url(c, config->state, false);
	allow_url(c, config->run.status_page, true);
	for (size_t i = 0; i < config->n_sinks; i++) {
		const struct sink_conf *s = &config->sinks[i];

		allow_url(c, s->url, false);
		if (s->bearer_token_file)
			allow_token(c, s->bearer_token_file);
	}
}

static void
allow_options(struct confine *c, const struct options *o, const struct session_hooks *h)
{
	const char *files[] = {o->report, o->html};

	for (size_t i = 0; i < ARRAY_LEN(files); i++)
		if (files[i] && strcmp(files[i], "-") != 0)
			allow_folder_of(c, files[i], CONFINE_SCRATCH);
	for (size_t i = 0; i < ARRAY_LEN(h->folders); i++)
		confine_allow(c, h->folders[i], CONFINE_STORE);
	confine_allow(c, spool_folder(), CONFINE_SCRATCH);
}

static void
allow_tokens(struct confine *c, const struct cred_needs *needs)
{
	for (size_t i = 0; i < needs->n_files; i++) {
		CLEANUP(freep) char *path = profile_path(needs->files[i]);

		if (path)
			allow_token(c, path);
	}
}

/* Of this process: it is entered once. */
static const char *lacking = "";

const char *
sandbox_lacks(void)
{
	return lacking;
}

static const char *
not_had(const struct confined *got)
{
	if (got->files_open && !got->filter)
		return "files are not confined and system calls not filtered: this kernel has "
		       "neither Landlock nor seccomp, or refuses them";
	if (got->files_open)
		return "files are not confined: this kernel has no Landlock (Linux 5.19 or newer), "
		       "or refuses it";
	if (!got->filter)
		return "system calls are not filtered: this kernel has no seccomp, or refuses it";
	return "";
}

static void
tell(const struct confined *got, const struct cred_needs *needs)
{
	char files[64];

	(void)snprintf(files, sizeof(files), "Landlock ABI %d", got->landlock_abi);
	log_event(LOG_DEBUG, "sandbox",
		  LOG_S("files", got->landlock_abi ? files
				 : needs->programs
				     ? "all, for a credential_process"
				     : "all, for the kernel has no Landlock or refused"),
		  LOG_S("calls", got->filter ? "filtered" : "all, for the kernel has no seccomp"),
		  LOG_S("programs", got->no_programs ? "none" : "any"));
}

void
sandbox_enter(const struct config *config, const struct options *o, const struct session_hooks *h)
{
	struct cred_needs needs = {0};
	struct confined got;
	struct confine c;

	if (config->run.sandbox == SANDBOX_OFF) {
		log_event(LOG_DEBUG, "sandbox", LOG_S("run.sandbox", "off"));
		return;
	}
	if (!h->offline)
		cred_needs(&needs);
	confine_begin(&c, !needs.programs);
	allow_system(&c);
	allow_libraries(&c);
	allow_config(&c, config);
	allow_options(&c, o, h);
	allow_tokens(&c, &needs);
	confine_end(&c, needs.programs, &got);
	lacking = not_had(&got);
	tell(&got, &needs);
}
