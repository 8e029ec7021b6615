/*
 * What a process gives up once it has read its configuration: the files it has no use for (Landlock), the system calls
 * it never makes (seccomp), privileges by way of programs (no_new_privs), limits that it could raise (setrlimit), and being
 * looked into (core files, ptrace).
 *
 * Whoever gets hold of the process by a hole in a parser then has what the run itself has, and not the machine. All of it
 * is asked of the kernel and none of it is needed: where the kernel has it not, nothing is lost but the fence.
 *
 * Order: confine_begin, confine_allow for each path, confine_end; before the first thread, for it holds for the calling
 * thread and those it makes. It cannot be undone.
 */
#ifndef MUSTER_BASE_CONFINE_H
#define MUSTER_BASE_CONFINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum confine_use {
	CONFINE_READ,    /* files and folders below, as they are */
	CONFINE_SCRATCH, /* files below may be made, read, written and removed, empty folders removed */
	CONFINE_STORE,   /* the same; folders may be made, and files move from one to another */
	CONFINE_DEVICE,  /* one device, read and written */
};

struct confine {
	bool files;  /* they are to be confined */
	int ruleset; /* -1: they are not */
	int abi;     /* of Landlock; 0: there is none */
};

/* What holds from now on. */
struct confined {
	int landlock_abi; /* 0: files are not confined */
	bool files_open;  /* though they were to be */
	bool filter;      /* system calls are confined */
	bool no_programs; /* and none may be started */
};

/* No core file, and nobody of the same user attaches or reads the memory. For the start of main(): before secrets are read.
 * In sanitizer builds only the former, for LeakSanitizer attaches. */
void confine_memory(void);

/* `files` false: they are left alone. Never fails. */
void confine_begin(struct confine *c, bool files);
/* A path and all that is below it. One that is not there is allowed by the nearest folder above that is (CONFINE_STORE,
 * CONFINE_SCRATCH), or needs no leave (the others). Should the kernel refuse, or not say what a path is,
 * files stay unconfined rather than too much so. NULL and "" are nothing. */
void confine_allow(struct confine *c, const char *path, enum confine_use use);
/* From here on. `programs`: some will be started (by posix_spawn), and inherit all this; limits are then left alone, for they
 * may be what such a program needs. What could be had is in *ret. */
void confine_end(struct confine *c, bool programs, struct confined *ret);

/* Private to confine*.c: the filter of system calls; no_new_privs is set. False: the kernel has none. */
bool confine_calls(bool programs);

#endif
