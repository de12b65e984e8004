import Testing

/// A program that tries to do harm or breaks, and what the agent must see of it.
///
/// Success would print `reached`; the sandbox must never let that be seen.
struct HostileProgram: Sendable, CustomTestStringConvertible {
    let name: String
    let program: String
    /// What the observation must hold one of; the means that stopped the program speaks through it.
    let seen: [String]

    init(_ name: String, seen: String..., program: String) {
        self.name = name
        self.seen = seen
        self.program = program
    }

    var testDescription: String { name }

    /// Put before every program.
    static let prelude = """
        import os, sys, ctypes, socket, signal, time, threading, resource
        libc = ctypes.CDLL(None, use_errno=True)
        def call(number, *arguments):
            # The errno of a raw system call, or 'reached'.
            result = libc.syscall(number, *arguments)
            return 'reached' if result >= 0 else os.strerror(ctypes.get_errno())

        """

    static let denied = "Operation not permitted"

    static let all =
        processes + memory + time + output + files + secrets + network + others + kernel + bridge + language
}

extension HostileProgram {
    static let processes: [HostileProgram] = [
        .init("fork bomb", seen: "PermissionError", program: "while True: os.fork()"),
        .init(
            "fork bomb with errors swallowed", seen: "stopped after",
            program: "while True:\n    try: os.fork()\n    except OSError: pass"),
        .init(
            "double-forked daemon", seen: "PermissionError",
            program: "if os.fork() == 0:\n    os.setsid()\n    if os.fork() == 0: time.sleep(60)\nprint('reached')"),
        .init("vfork", seen: denied, program: "print(call(58))"),
        .init("raw clone into the parent's place", seen: denied, program: "print(call(56, 0x8000 | 17, 0, 0, 0, 0))"),
        .init("clone3", seen: "Function not implemented", program: "print(call(435, 0, 0))"),
        .init(
            "subprocess", seen: "PermissionError",
            program: "import subprocess\nprint('reached', subprocess.run(['id']))"),
        .init("os.system", seen: "32512", program: "print(os.system('echo reached'))"),
        .init("os.popen", seen: "PermissionError", program: "print(os.popen('echo reached').read())"),
        .init("execve", seen: "PermissionError", program: "os.execv(sys.executable, ['python', '-c', 'print(1)'])"),
        .init(
            "posix_spawn", seen: "PermissionError",
            program: "os.posix_spawn('/bin/true', ['true'], {})\nprint('reached')"),
        .init(
            "multiprocessing", seen: "Error",
            program: "import multiprocessing as m\nm.Process(target=print).start()\nprint('reached')"),
        .init(
            "threads living on after the step", seen: "can't start new thread",
            program: "threading.Thread(target=time.sleep, args=(60,)).start()\nprint('reached')"),
        .init(
            "a timer that outlives the step", seen: "error",
            program: "signal.setitimer(signal.ITIMER_REAL, 1)\nprint('reached')"),
        .init(
            "alarm", seen: "quiet",
            program:
                "signal.signal(signal.SIGALRM, lambda *a: print('reached'))\nsignal.alarm(1)\ntime.sleep(1.1)\nprint('quiet')"
        ),
        .init(
            "a process that stops itself", seen: "PermissionError",
            program: "os.kill(os.getpid(), signal.SIGSTOP)\nprint('reached')"),
        .init("atexit", seen: "(no output)", program: "import atexit\n_ = atexit.register(lambda: print('reached'))"),
        .init(
            "stealing a sibling's fork", seen: "none",
            program: """
                got = 0
                for _ in range(300):
                    try:
                        if os.fork() == 0: os._exit(0)
                        got += 1
                    except PermissionError: pass
                print('reached' if got else 'none')
                """),
    ]

    static let memory: [HostileProgram] = [
        .init("memory bomb in one piece", seen: "MemoryError", program: "bytearray(100 << 30)\nprint('reached')"),
        .init(
            "memory bomb in pieces", seen: "MemoryError", "killed", "stopped after",
            program: "held = []\nwhile True: held.append(bytearray(16 << 20))"),
        .init(
            "memory bomb of small objects", seen: "MemoryError", "killed", "stopped after",
            program: "held = []\nwhile True: held.append([0] * 1000)"),
        .init("a text of a terabyte", seen: "MemoryError", program: "'a' * 10**12\nprint('reached')"),
        .init(
            "shared mappings", seen: "Cannot allocate memory", "Error",
            program: "import mmap\nheld = [mmap.mmap(-1, 1 << 28) for _ in range(100)]\nprint('reached')"),
        .init("memfd", seen: "Function not implemented", program: "os.memfd_create('x')\nprint('reached')"),
        .init("System V shared memory", seen: denied, program: "print(call(29, 0, 4096, 0o1600))"),
        .init("locking memory", seen: denied, program: "print(call(149, id(libc), 4096))"),
        .init(
            "posix shared memory", seen: "Error",
            program: "from multiprocessing import shared_memory as s\ns.SharedMemory('x', True, 4096)\nprint('reached')"
        ),
        .init("a huge power", seen: "stopped after", program: "9**9**9"),
        .init(
            "hash flooding", seen: "stopped after", "MemoryError",
            program: """
                class Same:
                    def __hash__(self): return 1
                    def __eq__(self, other): return False
                d = {}
                while True: d[Same()] = 1
                """),
        .init(
            "sparse pages", seen: "MemoryError", "Cannot allocate", "stopped after", "killed",
            program: "import mmap\nm = mmap.mmap(-1, 1 << 40)\nprint('reached')"),
    ]

    static let time: [HostileProgram] = [
        .init("endless loop", seen: "stopped after", program: "while True: pass"),
        .init(
            "a loop that catches everything", seen: "stopped after",
            program: "while True:\n    try:\n        while True: pass\n    except BaseException: pass"),
        .init("sleep", seen: "stopped after", program: "time.sleep(1e8)"),
        .init(
            "regular expression backtracking", seen: "stopped after",
            program: "import re\nre.match(r'(a+)+$', 'a' * 50 + 'b')"),
        .init("waiting for input", seen: "EOFError", "denied", program: "input()\nprint('reached')"),
        .init(
            "an endless repr of the answer", seen: "stopped after",
            program: "class E:\n    def __repr__(self):\n        while True: pass\nE()"),
        .init(
            "an endless str of the final answer", seen: "stopped after",
            program: "class E:\n    def __str__(self):\n        while True: pass\nfinal_answer(E())"),
        .init(
            "an endless destructor", seen: "stopped after",
            program: "class E:\n    def __del__(self):\n        while True: pass\nE()\nprint('x')"),
        .init(
            "all signals ignored", seen: "stopped after",
            program: """
                for n in range(1, 65):
                    try: signal.signal(n, signal.SIG_IGN)
                    except Exception: pass
                while True: pass
                """),
        .init(
            "a giant sympy sum", seen: "stopped after", "MemoryError",
            program: "import sympy\nsympy.factorint(2**521 - 3)\nsympy.factorint(2**607 - 3)\nprint(2)"),
    ]

    static let output: [HostileProgram] = [
        .init(
            "endless printing", seen: "stopped after", "left out", "far too much",
            program: "while True: print('flood ' * 100)"),
        .init(
            "endless printing with errors swallowed", seen: "stopped after", "far too much",
            program: "while True:\n    try: print('x' * 1000)\n    except BaseException: pass"),
        .init(
            "raw writes to standard output", seen: "(no output)", "stopped after",
            program: "for _ in range(1000): os.write(1, b'reached' * 1000)"),
        .init(
            "raw writes to standard error", seen: "(no output)", program: "_ = os.write(2, b'')"),
        .init("one endless line", seen: "left out", program: "print('a' * 10_000_000)"),
        .init("a giant last value", seen: "left out", program: "'a' * 10_000_000"),
        .init("a lone surrogate", seen: "\\ud800", program: "print('\\ud800')"),
        .init("control characters", seen: "(", program: "print('\\x1b[2J\\x00\\x07(')"),
        .init("a number of many digits", seen: "ValueError", program: "print(10**200_000)"),
    ]

    static let files: [HostileProgram] = [
        .init(
            "listing the root", seen: "Error", "usr", "retort",
            program:
                "print([n for n in os.listdir('/') if n in ('home', 'boot', 'srv', 'media', 'opt', 'mnt')] and 'reached' or 'retort')"
        ),
        .init(
            "listing root's home", seen: "Error", ".pyenv",
            program: "print([n for n in os.listdir('/root') if n != '.pyenv'] and 'reached' or '.pyenv')"),
        .init(
            "writing at the root", seen: "Read-only", "Permission denied", program: "open('/x', 'w')\nprint('reached')"),
        .init(
            "writing to /dev/shm", seen: "No such file", "Read-only", "Permission denied",
            program: "open('/dev/shm/x', 'w')\nprint('reached')"),
        .init(
            "changing the interpreter", seen: "Read-only", "Permission denied",
            program: "open(os.__file__, 'a').write('#')\nprint('reached')"),
        .init(
            "filling the disk", seen: "Error",
            program: """
                chunk = b'x' * (1 << 20)
                for n in range(64):
                    with open(f'/tmp/{n}', 'wb') as f: f.write(chunk * 8)
                print('reached')
                """),
        .init(
            "one giant file", seen: "Error",
            program: "f = open('/tmp/f', 'wb')\nfor _ in range(1000): f.write(b'x' * (1 << 20))\nprint('reached')"),
        .init(
            "endless small files", seen: "Error",
            program: "for n in range(100_000): open(f'/tmp/{n}', 'w').close()\nprint('reached')"),
        .init("symbolic links", seen: "PermissionError", program: "os.symlink('/etc', '/tmp/l')\nprint('reached')"),
        .init(
            "hard links", seen: "PermissionError", "Error",
            program: "os.link(sys.executable, '/tmp/l')\nprint('reached')"),
        .init(
            "device files", seen: "PermissionError",
            program: "os.mknod('/tmp/d', 0o20666, os.makedev(1, 1))\nprint('reached')"),
        .init("chown", seen: "PermissionError", program: "os.chown('/tmp', 0, 0)\nprint('reached')"),
        .init("mount", seen: denied, program: "print(call(165, b'none', b'/tmp', b'tmpfs', 0, 0))"),
        .init("umount", seen: denied, program: "print(call(166, b'/tmp', 2))"),
        .init("pivot_root", seen: denied, program: "print(call(155, b'/', b'/tmp'))"),
        .init("chroot", seen: "PermissionError", program: "os.chroot('/tmp')\nprint('reached')"),
        .init(
            "leaving by ..", seen: "Error",
            program: "os.chdir('/tmp/../../../../etc')\nprint('reached', os.listdir('.'))"),
        .init(
            "executing what was written", seen: "Error",
            program: "open('/tmp/x', 'w').write('#!/bin/sh')\nos.execv('/tmp/x', ['x'])\nprint('reached')"),
        .init("opening the disk", seen: "Error", program: "open('/dev/vda', 'rb')\nprint('reached')"),
        .init(
            "locking a file for ever", seen: "Error", "nothing",
            program: "import fcntl\nf = open(os.__file__)\nfcntl.flock(f, fcntl.LOCK_EX)\nprint('reached')"),
    ]

    static let secrets: [HostileProgram] = [
        .init("the host's passwords", seen: "Error", program: "print('reached', open('/etc/passwd').read())"),
        .init("the host's shadow file", seen: "Error", program: "print('reached', open('/etc/shadow').read())"),
        .init(
            "environment variables", seen: "set()", "LC_CTYPE",
            program: "print('reached' if set(os.environ) - {'LC_CTYPE'} else 'set()')"),
        .init(
            "the environment of process 1", seen: "Error", program: "print('reached', open('/proc/1/environ').read())"),
        .init("its own memory by file", seen: "Error", program: "open('/proc/self/mem', 'rb')\nprint('reached')"),
        .init("its own command line", seen: "Error", program: "open('/proc/self/cmdline')\nprint('reached')"),
        .init(
            "other processes", seen: "Error", "none",
            program: "print('reached' if open('/proc/2/status').read() else 'none')"),
        .init("kernel addresses", seen: "Error", program: "open('/proc/kallsyms')\nprint('reached')"),
        .init("system information files", seen: "Error", program: "open('/sys/class/net')\nprint('reached')"),
        .init("the machine's identity", seen: "Error", program: "open('/etc/machine-id')\nprint('reached')"),
        .init(
            "a cloud's metadata server", seen: "Error",
            program:
                "import urllib.request\nurllib.request.urlopen('http://169.254.169.254/', timeout=1)\nprint('reached')"),
        .init("reading a process's memory", seen: denied, program: "print(call(310, 1, 0, 0, 0, 0, 0))"),
    ]

    static let network: [HostileProgram] = [
        .init(
            "TCP", seen: "PermissionError", program: "socket.create_connection(('127.0.0.1', 22), 1)\nprint('reached')"),
        .init(
            "UDP", seen: "PermissionError",
            program: "socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\nprint('reached')"),
        .init("IPv6", seen: "PermissionError", program: "socket.socket(socket.AF_INET6)\nprint('reached')"),
        .init(
            "a unix socket", seen: "PermissionError",
            program: "socket.socket(socket.AF_UNIX).connect('/run/docker.sock')\nprint('reached')"),
        .init(
            "an abstract socket", seen: "PermissionError",
            program: "socket.socket(socket.AF_UNIX).connect('\\0x')\nprint('reached')"),
        .init(
            "netlink", seen: "PermissionError",
            program: "socket.socket(socket.AF_NETLINK, socket.SOCK_RAW)\nprint('reached')"),
        .init(
            "packets", seen: "PermissionError",
            program: "socket.socket(socket.AF_PACKET, socket.SOCK_RAW)\nprint('reached')"),
        .init(
            "the virtual machine's socket", seen: "PermissionError",
            program: "socket.socket(40, socket.SOCK_STREAM)\nprint('reached')"),
        .init("the kernel's cryptography", seen: "PermissionError", program: "socket.socket(38, 5)\nprint('reached')"),
        .init("names", seen: "gaierror", "Error", program: "socket.getaddrinfo('example.com', 80)\nprint('reached')"),
        .init("a listener", seen: "PermissionError", program: "socket.create_server(('', 0))\nprint('reached')"),
        .init(
            "datagrams to a path that is a socket", seen: "PermissionError",
            program:
                "a, b = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)\nprint('reached')\na.sendto(b'x', '/dev/log')"
        ),
        .init(
            "packets in order to a path", seen: "PermissionError",
            program: "socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)\nprint('reached')"),
        .init(
            "an address with every descriptor", seen: "done",
            program:
                "a, b = socket.socketpair()\nfor fd in range(64):\n    try: socket.socket(fileno=os.dup(fd)).sendto(b'x', '/dev/log'); print('reached')\n    except (OSError, TypeError): pass\nprint('done')"
        ),
        .init(
            "a raw datagram by address", seen: denied,
            program:
                "a, b = socket.socketpair()\naddress = ctypes.create_string_buffer(110)\nprint(call(44, a.fileno(), b'x', 1, 0, address, 110))"
        ),
        .init(
            "connecting an inherited socket anew", seen: "done",
            program:
                "for fd in range(64):\n    try: socket.socket(fileno=os.dup(fd)).connect(('127.0.0.1', 22)); print('reached')\n    except (OSError, TypeError): pass\nprint('done')"
        ),
    ]

    static let others: [HostileProgram] = [
        .init("killing everything", seen: "PermissionError", program: "os.kill(-1, 9)\nprint('reached')"),
        .init(
            "killing its parent", seen: "PermissionError", program: "os.kill(os.getppid() or 1, 9)\nprint('reached')"),
        .init(
            "killing siblings", seen: "done",
            program:
                "for pid in range(1, 5000):\n    try: os.kill(pid, 9); print('reached')\n    except PermissionError: pass\nprint('done')"
        ),
        .init("a signal by thread", seen: denied, program: "print(call(234, os.getpid(), os.getpid(), 9))"),
        .init("a queued signal", seen: denied, program: "print(call(129, 1, 9, 0))"),
        .init("a signal by process handle", seen: denied, program: "print(call(424, 0, 9, 0, 0))"),
        .init(
            "signals through descriptors", seen: "PermissionError",
            program: "import fcntl\nr, w = os.pipe()\nfcntl.fcntl(r, fcntl.F_SETOWN, 1)\nprint('reached')"),
        .init(
            "asynchronous descriptors", seen: "Permission", "Operation",
            program: "import fcntl\nr, w = os.pipe()\nfcntl.fcntl(r, fcntl.F_SETFL, os.O_ASYNC)\nprint('reached')"),
        .init("ptrace", seen: denied, program: "print(call(101, 16, 1, 0, 0))"),
        .init("process handles", seen: denied, program: "print(call(434, 1, 0))"),
        .init("others' descriptors", seen: denied, program: "print(call(438, 3, 0, 0))"),
        .init("comparing processes", seen: denied, program: "print(call(312, 1, 1, 0, 0, 0))"),
        .init(
            "others' priorities", seen: "PermissionError",
            program: "os.setpriority(os.PRIO_PROCESS, 1, 19)\nprint('reached')"),
        .init("processor affinity", seen: "PermissionError", program: "os.sched_setaffinity(0, {0})\nprint('reached')"),
        .init(
            "typing into a terminal", seen: "Error",
            program: "import fcntl, termios\nfcntl.ioctl(0, termios.TIOCSTI, b'x')\nprint('reached')"),
    ]

    static let kernel: [HostileProgram] = [
        .init(
            "raising its limits", seen: "Error",
            program: "resource.setrlimit(resource.RLIMIT_AS, (-1, -1))\nprint('reached')"),
        .init("new namespaces", seen: denied, program: "print(call(272, 0x10000000))"),
        .init("entering namespaces", seen: denied, program: "print(call(308, 0, 0))"),
        .init("becoming root", seen: "PermissionError", program: "os.setuid(0)\nprint('reached')"),
        .init("capabilities", seen: denied, program: "print(call(126, 0, 0))"),
        .init("process control", seen: denied, program: "print(call(157, 4, 1, 0, 0, 0))"),
        .init("programs in the kernel", seen: denied, program: "print(call(321, 0, 0, 0))"),
        .init("keys", seen: denied, program: "print(call(250, 0, 0, 0, 0, 0))"),
        .init("performance counters", seen: denied, program: "print(call(298, 0, 0, 0, 0, 0))"),
        .init("user page faults", seen: denied, program: "print(call(323, 0))"),
        .init("modules", seen: denied, program: "print(call(313, 0, b'', 0))"),
        .init("rebooting", seen: denied, program: "print(call(169, 0, 0, 0, 0))"),
        .init(
            "the clock", seen: "PermissionError",
            program: "time.clock_settime(time.CLOCK_REALTIME, 0)\nprint('reached')"),
        .init("the host's name", seen: "PermissionError", program: "socket.sethostname('x')\nprint('reached')"),
        .init("rings", seen: "Function not implemented", program: "print(call(425, 1, 0))"),
        .init("openat2", seen: "Function not implemented", program: "print(call(437, -100, b'/', 0, 0))"),
        .init("another filter", seen: denied, program: "print(call(317, 1, 0, 0))"),
        .init("x32 numbers", seen: "forbidden", program: "print(call(0x40000000 + 39))"),
        .init(
            "32-bit calls from machine code", seen: "forbidden", "crashed",
            program: """
                import mmap
                m = mmap.mmap(-1, 4096, prot=7)
                m.write(bytes.fromhex('b814000000cd80c3'))  # mov eax, 20; int 0x80; ret
                ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(m)))()
                print('reached')
                """),
        .init(
            "every number there is", seen: "none",
            program: """
                import itertools
                harmless = {\(harmlessNumbers)}
                got = [n for n in range(0, 470) if n not in harmless and call(n, -1, -1, -1, -1, -1, -1) == 'reached']
                print('reached ' + str(got) if got else 'none')
                """),
    ]

    /// Calls that the filter lets through, and those that end or block the asking process; on x86-64.
    private static let harmlessNumbers = """
        0,1,3,4,5,6,7,8,9,10,11,12,13,14,15,17,18,19,20,21,22,23,24,25,27,28,32,33,34,35,39,45,47,48,57,58,60,61,63,72,74,75,
        77,79,80,81,84,85,87,89,95,96,97,98,99,100,102,104,107,108,110,111,115,117,120,121,124,127,131,137,138,140,143,145,
        158,186,201,202,204,213,218,219,228,229,230,231,232,233,247,257,262,267,269,270,271,273,281,284,290,291,292,293,302,318,
        324,332,334,335,439
        """

    static let bridge: [HostileProgram] = [
        .init(
            "closing every descriptor", seen: "cut its own connection", "exit code", "Bad file",
            program: "os.closerange(0, 256)\nprint('x')"),
        .init(
            "writing to every descriptor", seen: "channel", "crash",
            program: "for fd in range(3, 64):\n    try: os.write(fd, b'\\xff' * 100)\n    except OSError: pass"),
        .init(
            "a frame of a giant length", seen: "channel",
            program:
                "for fd in range(3, 64):\n    try: os.write(fd, b'\\xff\\xff\\xff\\x7f')\n    except OSError: pass\ntime.sleep(60)"
        ),
        .init(
            "part of a frame, then silence", seen: "stopped after",
            program:
                "for fd in range(3, 64):\n    try: os.write(fd, b'\\x10\\0\\0\\0{')\n    except OSError: pass\ntime.sleep(60)"
        ),
        .init(
            "a frame nested without end", seen: "channel",
            program: """
                import struct
                body = b'[' * 200_000
                for fd in range(3, 64):
                    try: os.write(fd, struct.pack('<I', len(body)) + body)
                    except OSError: pass
                time.sleep(60)
                """),
        .init(
            "a forged unknown frame", seen: "channel",
            program: """
                import struct
                body = b'{"op":"own the host"}'
                for fd in range(3, 64):
                    try: os.write(fd, struct.pack('<I', len(body)) + body)
                    except OSError: pass
                time.sleep(60)
                """),
        .init(
            "a forged tool", seen: "no tool named", "stopped after",
            program: """
                import struct
                body = b'{"op":"call","name":"host_shell","arguments":{}}'
                for fd in range(3, 64):
                    try:
                        os.write(fd, struct.pack('<I', len(body)) + body)
                        print(os.read(fd, 4096))
                    except OSError: pass
                """),
        .init(
            "passing descriptors to the host", seen: "PermissionError", "done",
            program: """
                for fd in range(3, 16):
                    try: s = socket.socket(fileno=os.dup(fd))
                    except OSError: continue
                    socket.send_fds(s, [b'x'], [0] * 64)
                    print('reached')
                print('done')
                """),
        .init(
            "too many tool calls", seen: "may call tools",
            program: "for n in range(1000): echo(str(n))\nprint('reached')"),
        .init(
            "a giant argument", seen: "its arguments have", "channel", "Broken", "stopped after",
            program: "echo('x' * (100 << 20))\nprint('reached')"),
        .init(
            "an argument that is no JSON", seen: "must be of type",
            program: "echo(object)\necho(float('nan'))\nprint('reached')"),
        .init("patched tool", seen: "mine", program: "def echo(x): return 'mine'\nprint(echo('x'))"),
        .init(
            "patched bridge", seen: "",
            program:
                "import __main__\nfor n in list(vars(__main__)):\n    if n not in ('__builtins__',): pass\n__main__.Channel = None"
        ),
        .init(
            "wrecked builtins", seen: "",
            program: "import builtins\nbuiltins.len = builtins.isinstance = builtins.str = None"),
        .init("modules cleared", seen: "", program: "sys.modules.clear()"),
        .init("settrace", seen: "1", program: "sys.settrace(lambda *a: None)\nprint(1)"),
        .init("os._exit", seen: "exit code 7", program: "os._exit(7)"),
        .init("sys.exit", seen: "SystemExit", program: "sys.exit(3)"),
        .init("abort", seen: "crashed", program: "os.abort()"),
        .init("a null pointer", seen: "crashed", program: "ctypes.string_at(0)"),
        .init(
            "a pickle that runs commands", seen: "32512",
            program:
                "import pickle\nclass P:\n    def __reduce__(self): return os.system, ('echo reached',)\nprint(pickle.loads(pickle.dumps(P())))"
        ),
        .init(
            "a final answer that raises", seen: "ZeroDivisionError",
            program: "class E:\n    def __str__(self): return 1 / 0\nfinal_answer(E())"),
        .init("a final answer nested without end", seen: "", program: "a = []\na.append(a)\nfinal_answer(a)"),
    ]

    static let language: [HostileProgram] = [
        .init("recursion", seen: "RecursionError", program: "def f(): f()\nf()"),
        .init(
            "recursion without limit", seen: "crashed", "stopped after", "RecursionError", "MemoryError", "killed",
            program: "sys.setrecursionlimit(10**9)\ndef f(): f()\nf()"),
        .init(
            "recursion in C", seen: "RecursionError", "stopped after", "crashed", "MemoryError",
            program: "sys.setrecursionlimit(10**9)\na = []\nfor _ in range(10**6): a = [a]\nrepr(a)"),
        .init(
            "100,000 brackets", seen: "SyntaxError", "MemoryError", "RecursionError",
            program: String(repeating: "(", count: 100_000)),
        .init(
            "100,000 minus signs", seen: "MemoryError", "RecursionError", "SyntaxError", "crashed",
            program: String(repeating: "-", count: 100_000) + "1"),
        .init(
            "a deep tree", seen: "MemoryError", "RecursionError", "SyntaxError", "crashed", "Out:", "seconds",
            program: String(repeating: "1+", count: 50_000) + "1"),
        .init(
            "150 indents", seen: "IndentationError",
            program: (0..<150).map { String(repeating: " ", count: $0) + "if 1:\n" }.joined()),
        .init("a null byte", seen: "ValueError", "SyntaxError", program: "x = 1\0"),
        .init("no Python at all", seen: "SyntaxError", program: "let x: Int = 1"),
        .init("a source of 100 MB", seen: "are allowed", program: "#" + String(repeating: "x", count: 100 << 20)),
        .init("nothing", seen: "(no output)", program: ""),
        .init("right-to-left marks", seen: "3", program: "x = 3 # \u{202E} reversed \u{202C}\nprint(x)"),
        .init("unknown codec", seen: "", program: "# coding: nonsense\nx = 1"),
    ]
}
