#!/usr/bin/env python3
"""Keeps the modules that an app takes free of what only Linux has.

    Tools/check_portable.py

In them `Glibc` is imported behind `#if canImport(Glibc)` with an `#elseif canImport(Darwin)` beside it, Foundation's network stands behind
`#if canImport(FoundationNetworking)`, and what only Linux or only glibc has (`/proc`, epoll, renameat2, …) behind `#if os(Linux)`. Ends with
code 1 and the places where that is not so. `RetortPython`, `RetortProcesses` and their C are Linux's own and not looked at.
"""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
MODULES = [
    "RetortCore", "RetortAgents", "RetortWeb", "RetortRemote", "RetortStore", "RetortRetrieval", "RetortTesting",
    "CFaiss", "CPostgres",
]
# What these modules may import of ours: a module of Linux's would bring it in.
OURS = set(MODULES) | {"CZlib"}
IMPORT = re.compile(r"^\s*(?:@\w+\s+|public |internal |private |package )*import (?:(?:struct|class|enum|func|var|let|typealias|protocol) )?(\w+)")
LINUX = re.compile(
    r"\b(epoll_\w+|eventfd|signalfd|timerfd_\w+|inotify_\w+|memfd_create|pipe2|accept4|renameat2|fallocate|posix_fadvise"
    r"|sync_file_range|copy_file_range|sendfile|splice|prctl|gettid|getrandom|sched_\w+affinity\w*|cpu_set_t|CPU_SET|malloc_trim"
    r"|mallinfo2?|mallopt|O_TMPFILE|O_PATH|O_DIRECT|MAP_POPULATE|MADV_HUGEPAGE|MADV_POPULATE_\w+|SOCK_CLOEXEC|SOCK_NONBLOCK"
    r"|CLONE_\w+|PR_SET_\w+|st_[acm]tim\b|__errno_location|fdatasync|program_invocation_name|secure_getenv|qsort_r|pthread_setaffinity_np"
    r"|sysinfo|unshare|setns|CLOCK_BOOTTIME|EPOLL\w+)\b"
    r"|\"/(?:proc|sys)/|\bGlibc\.")
DIRECTIVE = re.compile(r"^\s*#\s*(if|ifdef|ifndef|elseif|elif|else|endif)\b(.*)$")


def without_comment(line):
    """A line of code as far as it is code. Strings stay: a path of Linux's is one."""
    return re.sub(r"(?<!:)//.*$", "", line)


def faults(name, text, module):
    """What is wrong in a file: (line, words)."""
    blocks = []  # of each #if that is open: the conditions of its branches so far
    glibc = {}  # the #if's number by the line of a guarded `import Glibc`
    branches = {}
    number = 0
    found = []
    for place, line in enumerate(text.splitlines(), 1):
        if directive := DIRECTIVE.match(line):
            word, condition = directive.group(1), directive.group(2).strip()
            if word.startswith("if"):
                number += 1
                blocks.append((number, condition))
                branches[number] = [condition]
            elif word == "endif" and blocks:
                blocks.pop()
            elif blocks:
                blocks[-1] = (blocks[-1][0], condition)
                branches[blocks[-1][0]].append(condition)
            continue
        code = without_comment(line)
        conditions = [condition for _, condition in blocks]
        if imported := IMPORT.match(code):
            what = imported.group(1)
            if what in ("Glibc", "Musl", "Darwin"):
                if not any(f"canImport({what})" in condition for condition in conditions):
                    found.append((place, f"'import {what}' stands in no '#if canImport({what})'"))
                elif what == "Glibc":
                    glibc[place] = blocks[-1][0]
            if what == "FoundationNetworking" and not any("canImport(FoundationNetworking)" in c for c in conditions):
                found.append((place, "'import FoundationNetworking' stands in no '#if canImport(FoundationNetworking)'"))
            if re.match(r"(Retort|C[A-Z])", what) and what not in OURS and (ROOT / "Sources" / what).is_dir():
                found.append((place, f"{module} is for apps and imports {what}, which is not"))
        elif (fault := LINUX.search(code)) and not any(
            "os(Linux)" in c or "__linux__" in c or "canImport(Glibc)" in c for c in conditions
        ):
            found.append((place, f"'{fault.group(0)}' is Linux's alone and stands in no '#if os(Linux)'"))
    for place, block in glibc.items():
        if not any("canImport(Darwin)" in condition for condition in branches[block]):
            found.append((place, "'import Glibc' has no '#elseif canImport(Darwin)' beside it"))
        if not any("canImport(Musl)" in condition for condition in branches[block]):
            found.append((place, "'import Glibc' has no '#elseif canImport(Musl)' beside it"))
    return found


def main():
    if {"-h", "--help"} & set(sys.argv[1:]):
        print(__doc__)
        return
    count, looked = 0, 0
    for module in MODULES:
        for file in sorted((ROOT / "Sources" / module).rglob("*")):
            if file.suffix not in (".swift", ".c", ".cpp", ".h"):
                continue
            looked += 1
            for place, words in faults(file.name, file.read_text(), module):
                print(f"{file.relative_to(ROOT)}:{place}: {words}", file=sys.stderr)
                count += 1
    if not looked:
        sys.exit("check_portable: no file was looked at")
    if count:
        sys.exit(f"check_portable: {count} places keep an app's modules from building elsewhere than on Linux with glibc")


if __name__ == "__main__":
    main()
