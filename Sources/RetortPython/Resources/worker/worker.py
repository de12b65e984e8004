"""Retort's Python worker: a zygote that forks sessions, each of which forks to run a step.

Started by Retort with a control socket on descriptor 3. Frames are a 4-byte little-endian length and a UTF-8 JSON
object. A frame from the host may carry one descriptor: the socket on which a new process is to talk; a session's first
frame carries the listener of its seccomp filter. Only JSON crosses the boundary.
"""
import _thread
import ast
import base64
import contextlib
import gc
import inspect
import io
import json
import mmap
import os
import random
import signal
import socket
import struct
import sys
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import confinement  # noqa: E402
import functions  # noqa: E402
from values import DIGITS, describe, from_json, name_of, plain, settled, steady, text_of, to_json  # noqa: E402

sys.path.pop(0)
# A user's module may have the same name.
for own in ("confinement", "functions", "values"):
    sys.modules.pop(own, None)

VERSION = 2
# The largest answer, and the largest arguments of one tool call, in bytes of JSON.
ANSWER_LIMIT = 4 << 20
ARGUMENTS_LIMIT = 1 << 20
# The most that is noted of each value of a call of a session's own function, in bytes of JSON, and the most calls of a
# program that are noted.
NOTE_LIMIT = 64 << 10
NOTED_CALLS = 1000
EVERY_SIGNAL = signal.valid_signals()


class FinalAnswer(BaseException):
    """Ends a program. Not an Exception, so that a program's own handlers do not catch it."""


class ToolError(RuntimeError):
    """A tool refused a call, or failed."""


TYPES = {"string": str, "integer": int, "number": float, "boolean": bool, "array": list, "object": dict}


class Channel:
    def __init__(self, sock):
        self.sock = sock

    def receive(self):
        """The next frame and its descriptor, or (None, None) when the host has closed the socket."""
        try:
            header, fds, _, _ = socket.recv_fds(self.sock, 4, 1)
            while header and len(header) < 4:
                more = self.sock.recv(4 - len(header))
                header = header + more if more else b""
            if not header:
                return None, None
            (left,) = struct.unpack("<I", header)
            parts = []
            while left:
                part = self.sock.recv(min(left, 1 << 16))
                if not part:
                    return None, None
                parts.append(part)
                left -= len(part)
        except ConnectionError:
            return None, None
        return json.loads(b"".join(parts)), fds[0] if fds else None

    def send(self, message):
        body = text_of(message).encode()
        try:
            self.sock.sendall(struct.pack("<I", len(body)) + body)
        except ConnectionError:
            os._exit(0)  # the host is gone, so nobody is left to tell


class Output(io.TextIOBase):
    """Sends printed text to the host, in pieces, up to a limit."""

    def __init__(self, channel, limit):
        self.channel, self.left, self.cut, self.held = channel, limit, 0, []

    def writable(self):
        return True

    def write(self, text):
        text = steady(str.__str__(text))
        kept = text[: self.left]
        self.left -= len(kept)
        self.cut += len(text) - len(kept)
        if kept:
            self.held.append(kept)
            # Line by line, so that a crash loses no complete line.
            if "\n" in kept or sum(map(len, self.held)) > 2048:
                self.flush()
        return len(text)

    def flush(self):
        if self.held:
            text = "".join(self.held).encode("utf-8", "backslashreplace").decode()
            self.held = []
            self.channel.send({"op": "output", "text": text})


class Silence:
    """A channel that discards everything."""

    def send(self, message):
        text_of(message).encode()


REHEARSAL = '{"op": "run", "code": "for n in [0]:\\n    print(n)\\nn", "seed": 0, "output": 100}'


class Session:
    """A process that holds a session's state: the first one, which never runs a program, or a fork that has run one."""

    def __init__(self, channel):
        self.channel = channel
        self.names = {"__name__": "__main__", "__builtins__": __builtins__}
        self.tools = []
        self.modules = {}
        self.functions = {}
        self.noted = 0
        self.output = None
        self.ends = {}
        self.is_collecting = self.must_collect = False
        self.is_settled = False

    def serve(self):
        while True:
            # A program may have changed these handlers, and the session must not depend on that.
            signal.signal(signal.SIGCHLD, self.collect)
            sys.settrace(None)
            frame, fd = self.channel.receive()
            if frame is None:
                os._exit(0)
            if frame["op"] == "fork":
                if self.fork_onto(fd):
                    continue
                try:
                    self.channel.send({"op": "hello", "pid": os.getpid(), "version": VERSION})
                except OSError:
                    os._exit(0)  # the host has gone meanwhile
            elif frame["op"] == "tools":
                self.tools = frame["tools"]
            elif frame["op"] == "module":
                self.channel.send({"op": "module", **self.load(frame)})
            elif frame["op"] == "hook":
                self.channel.send({"op": "hook", **self.hook(frame)})
            elif frame["op"] == "end":
                self.channel.send({"op": "end", "status": self.end_of(frame["pid"])})
            elif frame["op"] == "run":
                self.channel.send(self.run(frame))
            elif frame["op"] == "rehearse":
                self.rehearse()
                self.channel.send({"op": "rehearsed"})

    def fork_onto(self, fd):
        """Forks; the child continues with the socket `fd`. Returns True in the parent."""
        if not self.is_settled:
            # The garbage collectors of both processes leave the current objects alone, so their pages stay shared.
            gc.collect()
            gc.freeze()
            self.is_settled = True
        # A signal would make the kernel restart the call, and ask the host a second time.
        signal.pthread_sigmask(signal.SIG_BLOCK, EVERY_SIGNAL)
        try:
            pid = os.fork()
        except OSError:
            pid = -1  # the host sees the socket close
        signal.pthread_sigmask(signal.SIG_UNBLOCK, EVERY_SIGNAL)
        if pid:
            os.close(fd)
            return True
        self.channel.sock.close()
        self.channel = Channel(socket.socket(fileno=fd))
        self.ends = {}
        self.is_collecting = self.must_collect = False
        return False

    def collect(self, *_):
        """Reaps children, so that none stays a zombie. It may be interrupted by a signal that calls it again."""
        self.must_collect = True
        if self.is_collecting:
            return
        self.is_collecting = True
        try:
            while self.must_collect:
                self.must_collect = False
                while (end := os.waitpid(-1, os.WNOHANG))[0]:
                    self.ends[end[0]] = end[1]
                while len(self.ends) > 256:
                    self.ends.pop(next(iter(self.ends)))
        except ChildProcessError:
            pass
        finally:
            self.is_collecting = False

    def end_of(self, pid):
        """How a child of this process ended, as exit code or negative signal number; None when it has not ended."""
        for _ in range(50):
            self.collect()
            if pid in self.ends:
                break
            time.sleep(0.001)
        status = self.ends.pop(pid, None)
        return None if status is None else os.waitstatus_to_exitcode(status)

    def load(self, frame):
        """Imports a user's module; its functions become tools. What it prints meanwhile is discarded."""
        self.is_settled = False
        path = frame["path"]
        try:
            with silence():
                module = functions.load(path, frame["root"])
                found = functions.describe(module, frame.get("functions"))
        except BaseException as error:
            return {"error": describe(error, path)}
        self.modules[path] = module
        for tool in found["tools"]:
            name = tool["name"]
            self.functions[name] = functions.recorded(getattr(module, name), lambda *call, name=name: self.note(name, *call))
        return found

    def hook(self, frame):
        """Calls a hook of a module: `setup`, `state` or `grade`."""
        self.is_settled = False
        path = frame["path"]
        try:
            with silence():
                return {"value": to_json(getattr(self.modules[path], frame["name"])(*from_json(frame["arguments"])))}
        except BaseException as error:
            return {"error": describe(error, path)}

    def note(self, name, arguments, result, error):
        """Reports a call of one of the session's own functions to the host."""
        self.noted += 1
        if self.noted > NOTED_CALLS:
            return
        frame = {"op": "called", "name": name, "arguments": noted(arguments)}
        if error is None:
            frame["value"] = noted(result)
        else:
            frame["error"] = f"{name_of(error)}: {describe(error)['message']}"
        self.channel.send(frame)

    def perform(self, call):
        """Calls a tool by its name, with JSON arguments, and returns the result as a text."""
        name = call["name"]
        value = self.names[name](**from_json(call["arguments"]))
        return value if type(value) is str else text_of(to_json(value))

    def run(self, frame):
        self.is_settled = False
        self.noted = 0
        self.output = Output(self.channel, frame["output"])
        sys.stdout = sys.stderr = sys.__stdout__ = sys.__stderr__ = self.output
        sys.setrecursionlimit(1000)
        sys.set_int_max_str_digits(DIGITS)
        seed(frame["seed"])
        if "clock" in frame:
            stop_clock(float(frame["clock"]))
        # Untouched address space that is released when a program has used up the rest, because reporting that needs some.
        try:
            ballast = mmap.mmap(-1, 4 << 20)
        except OSError:
            ballast = io.BytesIO()  # an earlier program holds nearly all of it
        final = []
        self.names["final_answer"] = final_answer(final)
        for tool in self.tools:
            self.names[tool["name"]] = self.stub(tool)
        self.names.update(self.functions)
        done = {"op": "done"}
        try:
            if "call" in frame:
                done["result"] = shortened(plain(self.perform(frame["call"])), frame["output"])
                value = None
            else:
                value = execute(frame["code"], self.names)
            if value is not None:
                done["value"] = short_repr(value, frame["output"])
        except FinalAnswer:
            pass
        except BaseException as error:
            ballast.close()
            if not final:
                done["error"] = describe(error)
        if final:
            self.conclude(final[0], done)
        try:
            self.output.flush()
        except BaseException:
            pass
        done["cut"] = self.output.cut
        return done

    def conclude(self, answer, done):
        """Puts an answer into the last frame. An unreadable one is an error of the program, which may correct it."""
        try:
            value = settled(to_json(answer))
            size = len(text_of(value))
            if size > ANSWER_LIMIT:
                raise ValueError(f"it has {size:,} bytes as JSON; {ANSWER_LIMIT:,} are allowed")
        except BaseException as error:
            done["error"] = describe(error)
            done["error"]["line"] = None
            message = done["error"]["message"]
            done["error"]["message"] = f"final_answer's argument cannot be read ({message}); give a text, a number or a list"
            return
        if value is not None:
            done["final"] = value
        elif answer is None:
            self.output.write("final_answer(None) does not end the task: it is not an answer.\n")
        else:
            self.output.write("final_answer of a missing value does not end the task: it is not an answer.\n")

    def rehearse(self):
        """Runs a program without effects before the real one comes, because a fork's first program is slowed by copying
        the pages that it writes to. The session's own names, tools and channel are kept out of it."""
        kept = self.channel, self.names, self.tools, self.functions
        self.channel, self.names, self.tools, self.functions = Silence(), {"__builtins__": __builtins__}, [], {}
        try:
            self.run(json.loads(REHEARSAL))
        finally:
            self.channel, self.names, self.tools, self.functions = kept

    def stub(self, tool):
        """A tool as a function: a call is sent to the host, and the host's answer is returned."""
        signature = inspect.Signature(
            [
                inspect.Parameter(
                    p["name"],
                    inspect.Parameter.POSITIONAL_OR_KEYWORD,
                    default=inspect.Parameter.empty if p["required"] else None,
                    annotation=TYPES.get(p["type"], inspect.Parameter.empty),
                )
                for p in sorted(tool["parameters"], key=lambda p: not p["required"])
            ],
            return_annotation=TYPES.get(tool["returns"], inspect.Signature.empty),
        )

        def call(*args, **kwargs):
            bound = signature.bind(*args, **kwargs).arguments
            arguments = {name: to_json(value) for name, value in bound.items()}
            size = len(text_of(arguments))
            if size > ARGUMENTS_LIMIT:
                raise ValueError(f"{tool['name']}(): its arguments have {size:,} bytes as JSON; {ARGUMENTS_LIMIT:,} are allowed")
            self.output.flush()
            self.channel.send({"op": "call", "name": tool["name"], "arguments": arguments})
            reply, _ = self.channel.receive()
            if reply is None:
                os._exit(0)
            if "error" in reply:
                raise ToolError(reply["error"])
            return from_json(reply["value"])

        call.__name__ = call.__qualname__ = tool["name"]
        lines = [f"    {p['name']}: {p['summary']}" for p in tool["parameters"]]
        call.__doc__ = "\n".join([tool["summary"], *lines])
        call.__signature__ = signature
        return call


def final_answer(record):
    """Makes the function that ends the task; the answer counts even if a program catches every exception."""

    def final_answer(answer):
        """Ends the task with the answer."""
        record[:] = [answer]
        raise FinalAnswer

    return final_answer


def execute(code, names):
    """Runs a program, and returns the value of its last expression if it ends with one."""
    tree = ast.parse(code, "<program>")
    last = None
    if tree.body and isinstance(tree.body[-1], ast.Expr):
        last = ast.Expression(tree.body.pop().value)
    exec(compile(tree, "<program>", "exec"), names)
    return eval(compile(last, "<program>", "eval"), names) if last is not None else None


def short_repr(value, limit):
    try:
        text = plain(steady(value if isinstance(value, str) else repr(value)))
    except BaseException as error:
        text = f"<{name_of(value)} without a repr: {name_of(error)}>"
    return shortened(text, limit)


def shortened(text, limit):
    return text if len(text) <= limit else f"{text[:limit]}… [{len(text) - limit} characters left out]"


def noted(value):
    """A value as a record keeps it; of a large one, the beginning."""
    try:
        value = to_json(value)
        text = text_of(value)
    except BaseException as error:
        return f"<{name_of(value)} that cannot be read: {name_of(error)}>"
    return value if len(text) <= NOTE_LIMIT else shortened(text, NOTE_LIMIT)


@contextlib.contextmanager
def silence():
    """Discards what is printed inside."""
    kept = sys.stdout, sys.stderr
    sys.stdout = sys.stderr = Output(Silence(), 0)
    try:
        yield
    finally:
        sys.stdout, sys.stderr = kept


def seed(value):
    random.seed(value)
    if "numpy" in sys.modules:
        sys.modules["numpy"].random.seed(value % 2**32)


def stop_clock(now):
    """Stops every clock of the standard library at one moment, in seconds since 1970."""
    import datetime
    import time

    time.time = lambda: now
    time.time_ns = lambda: int(now * 1e9)
    for name in ("gmtime", "localtime", "ctime"):
        plain = getattr(time, name)
        plain = getattr(plain, "plain", plain)
        patched = lambda seconds=None, plain=plain: plain(now if seconds is None else seconds)  # noqa: E731
        patched.plain = plain
        setattr(time, name, patched)

    if getattr(datetime.datetime, "stands", False):
        return

    class Kind(type):
        def __instancecheck__(cls, value):
            return isinstance(value, cls.__mro__[1])

    class Stopped(datetime.datetime, metaclass=Kind):
        stands = True

        @classmethod
        def now(cls, tz=None):
            return cls.fromtimestamp(now, tz)

        @classmethod
        def today(cls):
            return cls.fromtimestamp(now)

        @classmethod
        def utcnow(cls):
            return cls.fromtimestamp(now, datetime.timezone.utc).replace(tzinfo=None)

    class Today(datetime.date, metaclass=Kind):
        @classmethod
        def today(cls):
            return cls.fromtimestamp(now)

    Stopped.__name__ = Stopped.__qualname__ = "datetime"
    Today.__name__ = Today.__qualname__ = "date"
    datetime.datetime, datetime.date = Stopped, Today


def start_session(zygote, fd, configuration):
    """Forks a session that communicates over the socket `fd`. Returns only in the zygote."""
    try:
        pid = os.fork()
    except OSError:
        pid = -1  # the host sees the socket close
    if pid:
        os.close(fd)
        return
    try:
        zygote.sock.close()
        if configuration["namespaces"]:
            confinement.new_namespaces(configuration["temporary"])
            # Only a child enters the new process namespace. It is process 1 there, and all others end with it.
            if os.fork():
                os._exit(0)
        os.chdir("/tmp" if configuration["namespaces"] else "/")
        channel = Channel(socket.socket(fileno=fd))
        confinement.close_all_but({fd})
        nowhere = os.open("/dev/null", os.O_WRONLY)
        confinement.default_signals()
        confinement.limit_resources(configuration)
        confinement.drop_privileges()
        hello = {"op": "hello", "pid": os.getpid(), "version": VERSION}
        hello["landlock"] = confinement.landlock(configuration["readable"], configuration["writable"])
        listen_and_greet(channel, hello, configuration)
        # From here on programs run, which must not reach the host's terminal.
        os.dup2(nowhere, 2)
        os.close(nowhere)
    except ConnectionError:
        os._exit(0)  # the host has gone meanwhile
    except BaseException as error:
        os.write(2, f"retort worker: {error}\n".encode())
        os._exit(1)
    try:
        Session(channel).serve()
    except BaseException:
        os._exit(1)  # a program broke the session itself; the host sees the socket close


def listen_and_greet(channel, hello, configuration):
    try:
        listener = confinement.filter_calls(base64.b64decode(configuration["calls"]), listen=True)
    except OSError as error:
        channel.send({**hello, "unfiltered": str(error)})
        return
    body = json.dumps(hello).encode()
    confinement.send_with_descriptor(channel.sock, struct.pack("<I", len(body)) + body, listener)
    os.close(listener)
    confinement.filter_calls(base64.b64decode(configuration["noPassing"]), listen=False)


def refuse_threads(*_, **__):
    raise RuntimeError(
        "can't start new thread: a program here runs in one thread; call the function itself, or go through the work in a loop"
    )


def forbid_threads():
    """Raises a helpful error for threads, which the system call filter would only refuse; a fork would lose them."""
    for module in (_thread, threading):
        for name in ("start_new_thread", "start_new", "start_joinable_thread"):
            for found in (name, f"_{name}"):
                if hasattr(module, found):
                    setattr(module, found, refuse_threads)


def end_all():
    """Kills everything that came from here once the host is gone, including programs that sleep."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    os.killpg(0, signal.SIGKILL)


def main():
    # Nobody waits for sessions, so the kernel reaps them.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.environ.clear()
    import collections, datetime, fractions, itertools, re, statistics  # noqa: E401, F401 - warmed for every session

    forbid_threads()
    for name in ("numpy", "numpy.random", "sympy", "pandas"):
        try:
            __import__(name)
        except ImportError:
            pass
    gc.collect()
    gc.freeze()
    control = Channel(socket.socket(fileno=3))
    control.send({"op": "hello", "pid": os.getpid(), "version": VERSION})
    configuration, _ = control.receive()
    if configuration is None:
        os._exit(0)
    while True:
        frame, fd = control.receive()
        if frame is None:
            end_all()
        start_session(control, fd, configuration)


try:
    main()
except Exception as error:
    os.write(2, f"retort worker: {type(error).__name__}: {error}\n".encode())
    os._exit(1)
