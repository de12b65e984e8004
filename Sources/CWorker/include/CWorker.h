// The system calls that starting and talking to Python workers needs and Swift cannot make itself.
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

// A connected pair of stream sockets, both close-on-exec. 0, or an errno.
int cw_socket_pair(int *_Nonnull first, int *_Nonnull second);

// Starts a program in a session of its own with `socket` as descriptor 3, /dev/null as its standard streams' input and
// output, and exactly the given environment. `arguments` and `environment` end with NULL. 0, or an errno.
int cw_spawn(const char *_Nonnull path, char *_Nullable const *_Nonnull arguments,
             char *_Nullable const *_Nonnull environment, int socket, pid_t *_Nonnull pid);

// Writes all bytes, the first of them together with a descriptor when `descriptor` is not negative. 0, or an errno.
int cw_send(int socket, const void *_Nonnull bytes, size_t count, int descriptor);

// Limits how long a write may block, in seconds. 0, or an errno.
int cw_prepare(int socket, int seconds);
