"""The walls around a session, built by the session's first process before it ever runs a program.

All of them are enforced by the kernel and inherited by forks, so a candidate costs nothing extra. Each function adds
one layer; layers that a machine may lack return whether they are in place.
"""
import array
import ctypes
import errno
import os
import resource
import signal
import socket
import struct
import time

libc = ctypes.CDLL(None, use_errno=True)

CLONE_NEWNS, CLONE_NEWIPC, CLONE_NEWPID = 0x00020000, 0x08000000, 0x20000000
MS_NOSUID, MS_NODEV, MS_NOEXEC = 2, 4, 8
PR_SET_DUMPABLE, PR_CAPBSET_DROP, PR_SET_NO_NEW_PRIVS, PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL = 4, 24, 38, 47, 4
SYS_LANDLOCK_CREATE, SYS_LANDLOCK_ADD, SYS_LANDLOCK_RESTRICT = 444, 445, 446  # the same on every architecture
SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER = 1, 8
SYS_SECCOMP = {"x86_64": 317, "aarch64": 277}


def checked(result, what):
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, f"{what}: {os.strerror(code)}")
    return result


def new_namespaces(temporary_bytes):
    """Gives the session its own mounts, processes and shared memory, with a private /tmp of limited size."""
    checked(libc.unshare(CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC), "unshare")
    options = f"size={temporary_bytes},nr_inodes=1024,mode=0700,uid={os.getuid()},gid={os.getgid()}"
    checked(
        libc.mount(b"tmpfs", b"/tmp", b"tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, options.encode()), "mount /tmp"
    )


def close_all_but(kept):
    last = 3
    for descriptor in sorted(kept):
        os.closerange(last, descriptor)
        last = descriptor + 1
    os.closerange(last, 4096)


def drop_privileges():
    """Drops all capabilities, forbids gaining any by executing a file, and keeps others from reading this memory."""
    libc.prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0)
    for capability in range(64):
        if libc.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) < 0 and ctypes.get_errno() == 22:
            break
    header = struct.pack("<Ii", 0x20080522, 0)
    checked(libc.capset(header, bytes(24)), "capset")
    checked(libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "no_new_privs")
    checked(libc.prctl(PR_SET_DUMPABLE, 0, 0, 0, 0), "dumpable")


def limit_resources(limits):
    wanted = {
        resource.RLIMIT_AS: limits["memory"],
        resource.RLIMIT_CPU: limits["cpu"],
        resource.RLIMIT_FSIZE: limits["temporary"],
        resource.RLIMIT_NOFILE: 256,
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_STACK: 8 << 20,
        resource.RLIMIT_MEMLOCK: 0,
        resource.RLIMIT_MSGQUEUE: 0,
    }
    for kind, value in wanted.items():
        _, hard = resource.getrlimit(kind)
        value = value if hard == resource.RLIM_INFINITY else min(value, hard)
        # At the soft limit of processor time, a signal kills the program, and its exit status names the signal.
        resource.setrlimit(kind, (value, value + 1 if kind == resource.RLIMIT_CPU and hard < 0 else value))


def landlock(readable, writable):
    """Restricts files to these folders and, where the kernel can, forbids TCP, abstract sockets and signals to
    outsiders. Returns the kernel's version of Landlock, 0 when it has none."""
    version = libc.syscall(SYS_LANDLOCK_CREATE, None, 0, 1)
    if version < 1:
        return 0
    files = (1 << 13) - 1
    if version >= 2:
        files |= 1 << 13  # renaming between folders
    if version >= 3:
        files |= 1 << 14  # truncating
    if version >= 5:
        files |= 1 << 15  # device control
    rules = struct.pack("<QQQ", files, 3 if version >= 4 else 0, 3 if version >= 6 else 0)
    ruleset = checked(libc.syscall(SYS_LANDLOCK_CREATE, rules, 8 if version < 4 else 16 if version < 6 else 24, 0), "landlock")
    read_only = 1 << 2 | 1 << 3  # reading files and folders
    for paths, access in ((readable, read_only), (writable, files & ~1)):
        for path in paths:
            try:
                folder = os.open(path, os.O_PATH | os.O_CLOEXEC)
            except FileNotFoundError:
                continue
            # A rule for a single file must not name the rights of folders.
            granted = access if os.path.isdir(path) else access & (1 << 1 | 1 << 2 | 1 << 14)
            rule = struct.pack("<Qi", granted, folder)
            checked(libc.syscall(SYS_LANDLOCK_ADD, ruleset, 1, rule, 0), f"landlock rule for {path}")
            os.close(folder)
    checked(libc.syscall(SYS_LANDLOCK_RESTRICT, ruleset, 0), "landlock")
    os.close(ruleset)
    return version


def filter_calls(program, listen):
    """Installs a seccomp program. With `listen`, returns the descriptor over which its notifications are answered."""
    code = ctypes.create_string_buffer(program, len(program))
    header = struct.pack("HxxxxxxQ", len(program) // 8, ctypes.addressof(code))
    number = SYS_SECCOMP[os.uname().machine]
    flags = SECCOMP_FILTER_FLAG_NEW_LISTENER if listen else 0
    return checked(libc.syscall(number, SECCOMP_SET_MODE_FILTER, flags, header), "seccomp")


def send_with_descriptor(sock, data, descriptor):
    rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [descriptor]))]
    for _ in range(1000):
        try:
            sent = sock.sendmsg([data], rights)
            return sock.sendall(data[sent:])
        except OSError as error:
            # The kernel limits the descriptors in transit, for all processes of a user together.
            if error.errno != errno.ETOOMANYREFS:
                raise
            time.sleep(0.01)
    raise TimeoutError("too many descriptors are on their way")


def default_signals():
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGPIPE, signal.SIGALRM, signal.SIGUSR1, signal.SIGXFSZ):
        signal.signal(number, signal.SIG_IGN if number in (signal.SIGINT, signal.SIGPIPE, signal.SIGXFSZ) else signal.SIG_DFL)
