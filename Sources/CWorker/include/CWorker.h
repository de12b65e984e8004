// The system calls that starting, confining and talking to Python workers needs and Swift cannot make itself.
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

// Processes and their sockets (process.c). Functions give 0 or an errno unless they say otherwise.

// A connected pair of stream sockets, both close-on-exec. The first one learns its peer's process number.
int cw_socket_pair(int *_Nonnull first, int *_Nonnull second);

// A file without a name, close-on-exec, whose bytes are in memory. Gives its descriptor or a negative errno.
int cw_memory_file(void);

// Starts a program in a session of its own with exactly the given environment and descriptors: the child's number `i` is
// `descriptors[i]`, or /dev/null where that is negative, and every other one is closed. Signals that are ignored here have
// their usual effect there. It starts in `folder`, or in ours where that is NULL. `arguments` and `environment` end with
// NULL.
int cw_spawn(const char *_Nonnull path, char *_Nullable const *_Nonnull arguments,
             char *_Nullable const *_Nonnull environment, const char *_Nullable folder,
             const int *_Nonnull descriptors, int count, pid_t *_Nonnull pid);

// Writes all bytes, the first of them together with a descriptor when `descriptor` is not negative.
int cw_send(int socket, const void *_Nonnull bytes, size_t count, int descriptor);

// Writes what fits at once, the first byte together with a descriptor when `descriptor` is not negative. Gives the count,
// 0 when nothing fits, or a negative errno.
ssize_t cw_send_now(int socket, const void *_Nonnull bytes, size_t count, int descriptor);

// Reads what is there. Gives the count, 0 at the end, or a negative errno. `pid` becomes the writer's process number,
// as the kernel tells it, or 0. With `descriptor`, a passed descriptor is taken; without, all are dropped.
ssize_t cw_receive(int socket, void *_Nonnull bytes, size_t count, pid_t *_Nonnull pid, int *_Nullable descriptor);

// Limits how long a write may block, in seconds.
int cw_prepare(int socket, int seconds);

// A handle on a process that stays its own when the number is given to another; negative errno on failure.
int cw_open_process(pid_t pid);

// Ends the process of a handle.
int cw_end_process(int handle);

// Seccomp (filter.c).

// The instructions of a worker's filter; each is 8 bytes.
enum cw_filter {
    // What a confined session may call. Forks and writing to files are asked of the listener.
    CW_FILTER_CALLS,
    // Put on top once the listener has been handed over: descriptors cannot be sent any more, nor filters added.
    CW_FILTER_NO_PASSING,
};

// Writes the program into `bytes` and gives its size in bytes, or the negative size that is needed.
ssize_t cw_filter_program(enum cw_filter which, void *_Nonnull bytes, size_t room);

// What a process asks a listener.
enum cw_request_kind { CW_REQUEST_FORK, CW_REQUEST_FILE, CW_REQUEST_OTHER };

struct cw_request {
    uint64_t id;
    pid_t pid;
    enum cw_request_kind kind;
};

// The next request of a listener, without waiting: 0, EAGAIN when there is none, or another errno.
int cw_next_request(int listener, struct cw_request *_Nonnull request);

// Lets the request through when `error` is 0, else the call fails with that errno.
int cw_answer_request(int listener, uint64_t id, int error);
