#define _GNU_SOURCE
#include "CWorker.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

int cw_socket_pair(int *first, int *second) {
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) return errno;
    int on = 1;
    setsockopt(pair[0], SOL_SOCKET, SO_PASSCRED, &on, sizeof on);
    *first = pair[0];
    *second = pair[1];
    return 0;
}

int cw_memory_file(void) {
    int file = memfd_create("retort", MFD_CLOEXEC);
    return file >= 0 ? file : -errno;
}

int cw_spawn(const char *path, char *const *arguments, char *const *environment, const char *folder,
             const int *descriptors, int count, pid_t *pid) {
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    int status = posix_spawn_file_actions_init(&actions);
    if (status != 0) return status;
    status = posix_spawnattr_init(&attributes);
    if (status != 0) {
        posix_spawn_file_actions_destroy(&actions);
        return status;
    }
    for (int number = 0; number < count && status == 0; number++) {
        status = descriptors[number] < 0
                     ? posix_spawn_file_actions_addopen(&actions, number, "/dev/null", number ? O_WRONLY : O_RDONLY, 0)
                     : posix_spawn_file_actions_adddup2(&actions, descriptors[number], number);
    }
    if (status == 0 && folder) status = posix_spawn_file_actions_addchdir_np(&actions, folder);
    // A server's socket that lived on in a child would never close for the other side.
    if (status == 0) status = posix_spawn_file_actions_addclosefrom_np(&actions, count);
    sigset_t usual, none;
    sigemptyset(&usual);
    sigemptyset(&none);
    // Libraries here ignore it and programs there count on it.
    sigaddset(&usual, SIGPIPE);
    posix_spawnattr_setsigdefault(&attributes, &usual);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
    if (status == 0) status = posix_spawn(pid, path, &actions, &attributes, arguments, environment);
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
    return status;
}

static ssize_t send_piece(int socket, const void *bytes, size_t count, int descriptor, int flags) {
    struct iovec piece = {.iov_base = (void *)bytes, .iov_len = count};
    struct msghdr message = {.msg_iov = &piece, .msg_iovlen = 1};
    union {
        char space[CMSG_SPACE(sizeof(int))];
        struct cmsghdr align;
    } control;
    if (descriptor >= 0) {
        memset(&control, 0, sizeof control);
        message.msg_control = control.space;
        message.msg_controllen = sizeof control.space;
        struct cmsghdr *header = CMSG_FIRSTHDR(&message);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(header), &descriptor, sizeof(int));
    }
    while (1) {
        ssize_t written = sendmsg(socket, &message, MSG_NOSIGNAL | flags);
        if (written >= 0) return written;
        if (errno != EINTR) return -errno;
    }
}

int cw_send(int socket, const void *bytes, size_t count, int descriptor) {
    const char *next = bytes;
    while (count > 0) {
        ssize_t written = send_piece(socket, next, count, descriptor, 0);
        if (written < 0) return (int)-written;
        descriptor = -1;
        next += written;
        count -= (size_t)written;
    }
    return 0;
}

ssize_t cw_send_now(int socket, const void *bytes, size_t count, int descriptor) {
    ssize_t written = send_piece(socket, bytes, count, descriptor, MSG_DONTWAIT);
    return written == -EAGAIN || written == -EWOULDBLOCK ? 0 : written;
}

int cw_prepare(int socket, int seconds) {
    struct timeval limit = {.tv_sec = seconds};
    return setsockopt(socket, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit) == 0 ? 0 : errno;
}

ssize_t cw_receive(int socket, void *bytes, size_t count, pid_t *pid, int *descriptor) {
    struct iovec piece = {.iov_base = bytes, .iov_len = count};
    union {
        char space[CMSG_SPACE(sizeof(struct ucred)) + CMSG_SPACE(sizeof(int))];
        struct cmsghdr align;
    } control;
    // Without room for rights the kernel drops passed descriptors itself.
    size_t room = descriptor ? sizeof control.space : CMSG_SPACE(sizeof(struct ucred));
    struct msghdr message = {.msg_iov = &piece, .msg_iovlen = 1, .msg_control = control.space, .msg_controllen = room};
    *pid = 0;
    if (descriptor) *descriptor = -1;
    ssize_t received = recvmsg(socket, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    if (received < 0) return -errno;
    for (struct cmsghdr *header = CMSG_FIRSTHDR(&message); header; header = CMSG_NXTHDR(&message, header)) {
        if (header->cmsg_level != SOL_SOCKET) continue;
        if (header->cmsg_type == SCM_CREDENTIALS) {
            struct ucred sender;
            memcpy(&sender, CMSG_DATA(header), sizeof sender);
            *pid = sender.pid;
        } else if (header->cmsg_type == SCM_RIGHTS) {
            for (size_t at = 0; at + sizeof(int) <= header->cmsg_len - CMSG_LEN(0); at += sizeof(int)) {
                int passed;
                memcpy(&passed, CMSG_DATA(header) + at, sizeof passed);
                if (descriptor && *descriptor < 0) *descriptor = passed;
                else close(passed);
            }
        }
    }
    return received;
}

int cw_open_process(pid_t pid) {
    int handle = (int)syscall(SYS_pidfd_open, pid, 0);
    return handle < 0 ? -errno : handle;
}

int cw_end_process(int handle) {
    return syscall(SYS_pidfd_send_signal, handle, SIGKILL, NULL, 0) == 0 ? 0 : errno;
}
