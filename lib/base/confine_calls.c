/*
 * System calls that the program never makes, refused by the kernel.
 *
 * A list of what is refused, not of what is allowed: the next glibc, libcurl or OpenSSL may make
 * calls that this one does not, and must not be stopped by it. For the same reason a refusal is an
 * error (EPERM) and not the end of the process: a library that tries something goes on without it.
 * What is listed are the ways out of the process and into the kernel: other programs and processes,
 * mounts and namespaces, keys, modules, tracing, identities, listening sockets, limits.
 */
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/confine.h"
#include "base/sanitized.h"

#if defined(__x86_64__)
#define OWN_ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define OWN_ARCH AUDIT_ARCH_AARCH64
#endif

#ifndef OWN_ARCH
/* Not tried out anywhere else: numbers and arguments differ. */
bool
confine_calls(bool programs)
{
	(void)programs;
	return false;
}
#else

#define X32_BIT 0x40000000u
#define NAMESPACES                                                                                 \
	((unsigned)(CLONE_NEWNS | CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC |     \
		    CLONE_NEWUTS | CLONE_NEWCGROUP))
#define MAX_STEPS 512

/* What starts a program. */
static const unsigned short exec_calls[] = {SYS_execve, SYS_execveat};

/* Since when a call is there does not matter: one that the headers lack is left out. */
static const unsigned short refused[] = {
    /* other processes */
    SYS_ptrace,
    SYS_process_vm_readv,
    SYS_process_vm_writev,
    SYS_kcmp,
    SYS_perf_event_open,
#ifdef SYS_pidfd_getfd
    SYS_pidfd_getfd,
#endif
#ifdef SYS_process_madvise
    SYS_process_madvise,
#endif
    /* the tree of files */
    SYS_truncate, /* by a path: Landlock knows of it since Linux 6.2 only */
    SYS_mount,
    SYS_umount2,
    SYS_pivot_root,
    SYS_chroot,
    SYS_swapon,
    SYS_swapoff,
    SYS_quotactl,
    SYS_acct,
    SYS_open_by_handle_at,
    SYS_name_to_handle_at,
    SYS_mknodat,
    SYS_fanotify_init,
#ifdef SYS_mknod
    SYS_mknod,
#endif
#ifdef SYS_move_mount
    SYS_move_mount,
    SYS_open_tree,
    SYS_fsopen,
    SYS_fsconfig,
    SYS_fsmount,
    SYS_fspick,
#endif
#ifdef SYS_mount_setattr
    SYS_mount_setattr,
#endif
    /* the kernel */
    SYS_unshare,
    SYS_setns,
    SYS_bpf,
    SYS_init_module,
    SYS_finit_module,
    SYS_delete_module,
    SYS_kexec_load,
    SYS_reboot,
    SYS_userfaultfd,
    SYS_syslog,
    SYS_add_key,
    SYS_request_key,
    SYS_keyctl,
    SYS_personality,
    SYS_vhangup,
#ifdef SYS_kexec_file_load
    SYS_kexec_file_load,
#endif
#ifdef SYS_io_uring_setup
    SYS_io_uring_setup,
    SYS_io_uring_enter,
    SYS_io_uring_register,
#endif
#ifdef SYS_iopl
    SYS_iopl,
    SYS_ioperm,
    SYS_modify_ldt,
#endif
    /* who and where it is, and what time */
    SYS_setuid,
    SYS_setgid,
    SYS_setreuid,
    SYS_setregid,
    SYS_setresuid,
    SYS_setresgid,
    SYS_setfsuid,
    SYS_setfsgid,
    SYS_setgroups,
    SYS_capset,
    SYS_sethostname,
    SYS_setdomainname,
    SYS_settimeofday,
    SYS_clock_settime,
    SYS_clock_adjtime,
    SYS_adjtimex,
    /* those who would call */
    SYS_listen,
    SYS_accept,
    SYS_accept4,
};

/* Who attaches to find leaks is a part of the program. */
static bool
needed(unsigned short call)
{
	return SANITIZED && (call == SYS_ptrace || call == SYS_personality);
}

struct steps {
	struct sock_filter v[MAX_STEPS];
	unsigned short n;
};

static void
step(struct steps *s, unsigned short code, unsigned char yes, unsigned char no, unsigned k)
{
	s->v[s->n++] = (struct sock_filter){.code = code, .jt = yes, .jf = no, .k = k};
}

static void
load(struct steps *s, size_t offset)
{
	step(s, BPF_LD | BPF_W | BPF_ABS, 0, 0, (unsigned)offset);
}

static void
answer(struct steps *s, int errnum)
{
	step(s, BPF_RET | BPF_K, 0, 0,
	     errnum ? SECCOMP_RET_ERRNO | (unsigned)errnum : SECCOMP_RET_ALLOW);
}

/* The number is loaded; it stays so. */
static void
refuse(struct steps *s, unsigned call, int errnum)
{
	step(s, BPF_JMP | BPF_JEQ | BPF_K, 0, 1, call);
	answer(s, errnum);
}

/* Calls of another architecture have other numbers: none of them is ours. */
static void
check_arch(struct steps *s)
{
	load(s, offsetof(struct seccomp_data, arch));
	step(s, BPF_JMP | BPF_JEQ | BPF_K, 1, 0, OWN_ARCH);
	answer(s, EPERM);
	load(s, offsetof(struct seccomp_data, nr));
#ifdef __x86_64__
	step(s, BPF_JMP | BPF_JSET | BPF_K, 0, 1, X32_BIT);
	answer(s, EPERM);
#endif
}

/* The low half of an argument; flags, families and requests are 32 bits wide. */
#define ARG(i)	    offsetof(struct seccomp_data, args[i])
#define ARG_REST(i) (ARG(i) + sizeof(uint32_t)) /* of a pointer */

/* Threads and children, but no namespaces. The flags of clone3 cannot be seen from here; who is
 * told that there is none uses clone. */
static void
check_clone(struct steps *s)
{
#ifdef SYS_clone3
	refuse(s, SYS_clone3, ENOSYS);
#endif
	step(s, BPF_JMP | BPF_JEQ | BPF_K, 0, 4, SYS_clone);
	load(s, ARG(0));
	step(s, BPF_JMP | BPF_JSET | BPF_K, 0, 1, NAMESPACES);
	answer(s, EPERM);
	answer(s, 0);
}

/* The network, local sockets, and what tells of addresses; not the kernel's other services. */
static void
check_socket(struct steps *s)
{
	static const unsigned families[] = {AF_UNIX, AF_INET, AF_INET6, AF_NETLINK};

	step(s, BPF_JMP | BPF_JEQ | BPF_K, 0, 2 + 2 * ARRAY_LEN(families), SYS_socket);
	load(s, ARG(0));
	for (size_t i = 0; i < ARRAY_LEN(families); i++) {
		step(s, BPF_JMP | BPF_JEQ | BPF_K, 0, 1, families[i]);
		answer(s, 0);
	}
	answer(s, EAFNOSUPPORT);
}

/* What puts words into a terminal's input as if they were typed. */
static void
check_ioctl(struct steps *s)
{
	step(s, BPF_JMP | BPF_JEQ | BPF_K, 0, 4, SYS_ioctl);
	load(s, ARG(1));
	step(s, BPF_JMP | BPF_JEQ | BPF_K, 0, 1, TIOCSTI);
	answer(s, EPERM);
	answer(s, 0);
}

/* Limits are told, for the C library asks; nobody's are changed. */
static void
check_limits(struct steps *s)
{
#ifdef SYS_setrlimit
	refuse(s, SYS_setrlimit, EPERM);
#endif
	step(s, BPF_JMP | BPF_JEQ | BPF_K, 0, 6, SYS_prlimit64);
	load(s, ARG(2));
	step(s, BPF_JMP | BPF_JEQ | BPF_K, 0, 3, 0);
	load(s, ARG_REST(2));
	step(s, BPF_JMP | BPF_JEQ | BPF_K, 0, 1, 0);
	answer(s, 0);
	answer(s, EPERM);
}

bool
confine_calls(bool programs)
{
	struct steps s = {.n = 0};
	struct sock_fprog prog;

	check_arch(&s);
	for (size_t i = 0; i < ARRAY_LEN(refused); i++)
		if (!needed(refused[i]))
			refuse(&s, refused[i], EPERM);
	for (size_t i = 0; !programs && i < ARRAY_LEN(exec_calls); i++)
		refuse(&s, exec_calls[i], EPERM);
	if (!programs)
		check_limits(&s);
	check_clone(&s);
	check_socket(&s);
	check_ioctl(&s);
	answer(&s, 0);
	prog = (struct sock_fprog){.len = s.n, .filter = s.v};
	/* Kernels before 5.16 slow down whoever has a filter, unless told not to. */
	return !syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_SPEC_ALLOW,
			&prog) ||
	       !syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &prog);
}
#endif
