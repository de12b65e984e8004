// The seccomp filter of a worker's session: an allow list. What it does not name fails with EPERM.
#define _GNU_SOURCE
#include "CWorker.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <sched.h>
#include <stdbool.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#if defined(__x86_64__)
#define CW_ARCHITECTURE AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define CW_ARCHITECTURE AUDIT_ARCH_AARCH64
#else
#error "the worker's filter knows x86-64 and arm64"
#endif

#define LOW(index) (offsetof(struct seccomp_data, args) + 8 * (index))
#define FAIL(error) (SECCOMP_RET_ERRNO | ((error) & SECCOMP_RET_DATA))

// Reading, memory, time, waiting: nothing that reaches another process, the network or the file system's contents.
static const int allowed[] = {
    SYS_read, SYS_write, SYS_readv, SYS_writev, SYS_pread64, SYS_pwrite64, SYS_lseek, SYS_close, SYS_fstat,
    SYS_newfstatat, SYS_statx, SYS_faccessat, SYS_faccessat2, SYS_readlinkat, SYS_getdents64, SYS_getcwd, SYS_chdir,
    SYS_fchdir, SYS_statfs, SYS_fstatfs, SYS_ftruncate, SYS_fsync, SYS_fdatasync, SYS_mmap, SYS_mprotect, SYS_munmap,
    SYS_mremap, SYS_madvise, SYS_mincore, SYS_brk, SYS_futex, SYS_rseq, SYS_set_robust_list, SYS_set_tid_address,
    SYS_membarrier, SYS_rt_sigaction, SYS_rt_sigprocmask, SYS_rt_sigreturn, SYS_rt_sigpending, SYS_sigaltstack,
    SYS_restart_syscall, SYS_getpid, SYS_gettid, SYS_getppid, SYS_getuid, SYS_geteuid, SYS_getgid, SYS_getegid,
    SYS_getresuid, SYS_getresgid, SYS_getgroups, SYS_getpgid, SYS_getsid, SYS_umask, SYS_sched_yield,
    SYS_sched_getaffinity, SYS_sched_getparam, SYS_sched_getscheduler, SYS_getpriority, SYS_clock_gettime,
    SYS_clock_getres, SYS_clock_nanosleep, SYS_nanosleep, SYS_gettimeofday, SYS_times, SYS_getrusage, SYS_getrandom,
    SYS_uname, SYS_sysinfo, SYS_ppoll, SYS_pselect6, SYS_epoll_create1, SYS_epoll_ctl, SYS_epoll_pwait, SYS_eventfd2,
    SYS_pipe2, SYS_dup, SYS_dup3, SYS_exit, SYS_exit_group, SYS_wait4, SYS_waitid, SYS_recvfrom, SYS_recvmsg,
    SYS_getsockopt, SYS_getsockname, SYS_shutdown,
#ifdef __x86_64__
    SYS_stat, SYS_lstat, SYS_access, SYS_readlink, SYS_getdents, SYS_time, SYS_poll, SYS_select, SYS_epoll_wait,
    SYS_epoll_create, SYS_eventfd, SYS_pipe, SYS_dup2, SYS_getpgrp, SYS_getrlimit, SYS_arch_prctl,
#endif
};

// Allowed until the second program is put on top: it takes them away.
static const int passing[] = {SYS_sendmsg, SYS_seccomp};

// Changes to files: the listener lets them through for the process whose step it is.
static const int changing[] = {
    SYS_mkdirat, SYS_unlinkat, SYS_renameat, SYS_renameat2, SYS_truncate, SYS_fchmod, SYS_fchmodat, SYS_utimensat,
#ifdef __x86_64__
    SYS_mkdir, SYS_rmdir, SYS_unlink, SYS_rename, SYS_creat, SYS_chmod, SYS_utime, SYS_utimes,
#endif
};

// Calls that callers expect to be missing on some systems: they go on without.
static const int missing[] = {SYS_clone3, SYS_openat2, SYS_io_uring_setup, SYS_memfd_create, SYS_copy_file_range};

static const int unsupported[] = {
    SYS_getxattr, SYS_lgetxattr, SYS_fgetxattr, SYS_listxattr, SYS_llistxattr, SYS_flistxattr, SYS_setxattr,
    SYS_lsetxattr, SYS_fsetxattr,
};

struct program {
    struct sock_filter *room;
    size_t capacity, count;
};

static void put(struct program *program, uint16_t code, uint32_t value, uint8_t yes, uint8_t no) {
    if (program->count < program->capacity) {
        program->room[program->count] = (struct sock_filter){code, yes, no, value};
    }
    program->count += 1;
}

static void load(struct program *program, size_t offset) {
    put(program, BPF_LD | BPF_W | BPF_ABS, (uint32_t)offset, 0, 0);
}

static void give(struct program *program, uint32_t verdict) { put(program, BPF_RET | BPF_K, verdict, 0, 0); }

static void give_for(struct program *program, int call, uint32_t verdict) {
    put(program, BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)call, 0, 1);
    give(program, verdict);
}

// For one call: `set` when any of the mask's bits is set in an argument, else `clear`.
static void give_by_bits(struct program *program, int call, int argument, uint32_t mask, uint32_t set, uint32_t clear) {
    put(program, BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)call, 0, 4);
    load(program, LOW(argument));
    put(program, BPF_JMP | BPF_JSET | BPF_K, mask, 0, 1);
    give(program, set);
    give(program, clear);
}

// For one call: allowed when an argument is one of the values, else the verdict.
static void give_by_value(
    struct program *program, int call, int argument, const uint32_t *values, uint8_t count, uint32_t otherwise) {
    put(program, BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)call, 0, (uint8_t)(count + 3));
    load(program, LOW(argument));
    for (uint8_t at = 0; at < count; at++) {
        put(program, BPF_JMP | BPF_JEQ | BPF_K, values[at], (uint8_t)(count - at), 0);
    }
    give(program, otherwise);
    give(program, SECCOMP_RET_ALLOW);
}

static void check_architecture(struct program *program) {
    load(program, offsetof(struct seccomp_data, arch));
    put(program, BPF_JMP | BPF_JEQ | BPF_K, CW_ARCHITECTURE, 1, 0);
    give(program, SECCOMP_RET_KILL_PROCESS);
    load(program, offsetof(struct seccomp_data, nr));
#ifdef __x86_64__
    // The x32 numbers reach the same calls by other names.
    put(program, BPF_JMP | BPF_JGE | BPF_K, 0x40000000, 0, 1);
    give(program, SECCOMP_RET_KILL_PROCESS);
#endif
}

static void forks(struct program *program) {
    const uint32_t namespaces = CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER
        | CLONE_NEWPID | CLONE_NEWNET;
    put(program, BPF_JMP | BPF_JEQ | BPF_K, SYS_clone, 0, 6);
    load(program, LOW(0));
    put(program, BPF_JMP | BPF_JSET | BPF_K, namespaces, 0, 1);
    give(program, FAIL(EPERM));
    // What libraries make of a thread that cannot start.
    put(program, BPF_JMP | BPF_JSET | BPF_K, CLONE_THREAD, 0, 1);
    give(program, FAIL(EAGAIN));
    give(program, SECCOMP_RET_USER_NOTIF);
#ifdef __x86_64__
    give_for(program, SYS_fork, SECCOMP_RET_USER_NOTIF);
#endif
}

static void files(struct program *program) {
    const uint32_t writing = O_WRONLY | O_RDWR | O_CREAT | O_TRUNC | O_APPEND | (O_TMPFILE & ~O_DIRECTORY);
    give_by_bits(program, SYS_openat, 2, writing, SECCOMP_RET_USER_NOTIF, SECCOMP_RET_ALLOW);
#ifdef __x86_64__
    give_by_bits(program, SYS_open, 1, writing, SECCOMP_RET_USER_NOTIF, SECCOMP_RET_ALLOW);
#endif
    for (size_t at = 0; at < sizeof changing / sizeof *changing; at++) {
        give_for(program, changing[at], SECCOMP_RET_USER_NOTIF);
    }
}

static void partly_allowed(struct program *program) {
    // F_SETOWN, F_SETSIG and O_ASYNC would send signals to others; F_SETPIPE_SZ takes kernel memory.
    const uint32_t commands[] = {F_DUPFD, F_GETFD, F_SETFD, F_GETFL, F_DUPFD_CLOEXEC, F_GETPIPE_SZ};
    put(program, BPF_JMP | BPF_JEQ | BPF_K, SYS_fcntl, 0, 7);
    load(program, LOW(1));
    put(program, BPF_JMP | BPF_JEQ | BPF_K, F_SETFL, 0, 4);
    load(program, LOW(2));
    put(program, BPF_JMP | BPF_JSET | BPF_K, O_ASYNC, 0, 1);
    give(program, FAIL(EPERM));
    give(program, SECCOMP_RET_ALLOW);
    // Not F_SETFL: the number is looked at again, since the loads above replaced it.
    load(program, offsetof(struct seccomp_data, nr));
    give_by_value(program, SYS_fcntl, 1, commands, sizeof commands / sizeof *commands, FAIL(EPERM));
    const uint32_t controls[] = {FIONBIO, FIOCLEX, FIONCLEX};
    give_by_value(program, SYS_ioctl, 1, controls, 3, FAIL(ENOTTY));
    // asyncio talks to itself over a pair. An end of a pair of datagram sockets could send to any path that is a socket.
    put(program, BPF_JMP | BPF_JEQ | BPF_K, SYS_socketpair, 0, 7);
    load(program, LOW(0));
    put(program, BPF_JMP | BPF_JEQ | BPF_K, AF_UNIX, 0, 4);
    load(program, LOW(1));
    put(program, BPF_ALU | BPF_AND | BPF_K, ~(uint32_t)(SOCK_CLOEXEC | SOCK_NONBLOCK), 0, 0);
    put(program, BPF_JMP | BPF_JEQ | BPF_K, SOCK_STREAM, 0, 1);
    give(program, SECCOMP_RET_ALLOW);
    give(program, FAIL(EPERM));
    // Sending to the other end only: an address, the fifth argument, would be somebody else's.
    load(program, offsetof(struct seccomp_data, nr));
    put(program, BPF_JMP | BPF_JEQ | BPF_K, SYS_sendto, 0, 6);
    load(program, LOW(4));
    put(program, BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 3);
    load(program, LOW(4) + 4);
    put(program, BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 1);
    give(program, SECCOMP_RET_ALLOW);
    give(program, FAIL(EPERM));
    const uint32_t processes[] = {15, 16};  // PR_SET_NAME, PR_GET_NAME
    give_by_value(program, SYS_prctl, 0, processes, 2, FAIL(EPERM));
    // Reading limits is allowed, setting them is not: the third argument is the new value's address.
    put(program, BPF_JMP | BPF_JEQ | BPF_K, SYS_prlimit64, 0, 6);
    load(program, LOW(2));
    put(program, BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 3);
    load(program, LOW(2) + 4);
    put(program, BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 1);
    give(program, SECCOMP_RET_ALLOW);
    give(program, FAIL(EPERM));
}

static void calls(struct program *program) {
    check_architecture(program);
    for (size_t at = 0; at < sizeof allowed / sizeof *allowed; at++) give_for(program, allowed[at], SECCOMP_RET_ALLOW);
    for (size_t at = 0; at < sizeof passing / sizeof *passing; at++) give_for(program, passing[at], SECCOMP_RET_ALLOW);
    files(program);
    forks(program);
    partly_allowed(program);
    for (size_t at = 0; at < sizeof missing / sizeof *missing; at++) give_for(program, missing[at], FAIL(ENOSYS));
    for (size_t at = 0; at < sizeof unsupported / sizeof *unsupported; at++) {
        give_for(program, unsupported[at], FAIL(EOPNOTSUPP));
    }
    give(program, FAIL(EPERM));
}

static void no_passing(struct program *program) {
    check_architecture(program);
    for (size_t at = 0; at < sizeof passing / sizeof *passing; at++) give_for(program, passing[at], FAIL(EPERM));
    give(program, SECCOMP_RET_ALLOW);
}

ssize_t cw_filter_program(enum cw_filter which, void *bytes, size_t room) {
    struct program program = {.room = bytes, .capacity = room / sizeof(struct sock_filter)};
    if (which == CW_FILTER_CALLS) calls(&program);
    else no_passing(&program);
    ssize_t size = (ssize_t)(program.count * sizeof(struct sock_filter));
    return program.count <= program.capacity ? size : -size;
}

static enum cw_request_kind kind_of(const struct seccomp_data *call) {
    if (call->nr == SYS_clone) return CW_REQUEST_FORK;
#ifdef __x86_64__
    if (call->nr == SYS_fork) return CW_REQUEST_FORK;
    if (call->nr == SYS_open) return CW_REQUEST_FILE;
#endif
    if (call->nr == SYS_openat) return CW_REQUEST_FILE;
    for (size_t at = 0; at < sizeof changing / sizeof *changing; at++) {
        if (call->nr == changing[at]) return CW_REQUEST_FILE;
    }
    return CW_REQUEST_OTHER;
}

int cw_next_request(int listener, struct cw_request *request) {
    struct pollfd waiting = {.fd = listener, .events = POLLIN};
    if (poll(&waiting, 1, 0) < 0) return errno;
    if (waiting.revents & POLLIN) {
        struct seccomp_notif notice;
        memset(&notice, 0, sizeof notice);
        // ENOENT: the asking process died meanwhile.
        if (ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &notice) != 0) return errno == ENOENT ? EAGAIN : errno;
        *request = (struct cw_request){.id = notice.id, .pid = (pid_t)notice.pid, .kind = kind_of(&notice.data)};
        return 0;
    }
    return waiting.revents & (POLLHUP | POLLERR | POLLNVAL) ? EPIPE : EAGAIN;
}

int cw_answer_request(int listener, uint64_t id, int error) {
    struct seccomp_notif_resp answer = {.id = id, .error = -error};
    // Only register arguments were judged, so letting the call run cannot be tricked by changing memory meanwhile.
    if (error == 0) answer.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
    return ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &answer) == 0 ? 0 : errno;
}
