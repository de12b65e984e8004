"""Retort's Python worker: a zygote that forks sessions, each of which forks to run a step.

Started by Retort with a control socket on descriptor 3. Frames are a 4-byte little-endian length and a UTF-8 JSON
object. A frame may carry one descriptor: the socket on which a new process is to talk. Only JSON crosses the boundary.
"""
import ast
import gc
import inspect
import io
import json
import math
import os
import random
import resource
import signal
import socket
import struct
import sys
import traceback

VERSION = 1
DEPTH = 64


class FinalAnswer(BaseException):
    """Ends a program with its answer. Not an Exception, so that a program's own handlers let it pass."""

    def __init__(self, value):
        self.value = value


class Channel:
    def __init__(self, sock):
        self.sock = sock

    def receive(self):
        """The next frame and its descriptor, or (None, None) when the host has closed the socket."""
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
        return json.loads(b"".join(parts)), fds[0] if fds else None

    def send(self, message):
        body = json.dumps(message, ensure_ascii=True, allow_nan=False).encode()
        self.sock.sendall(struct.pack("<I", len(body)) + body)


def to_json(value, depth=0):
    """A value as JSON without loss of kind; what JSON has no form for becomes its text."""
    if depth > DEPTH:
        return "…"
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, int):
        return int(value) if -(2**63) <= value < 2**63 else {"$int": str(value)}
    if isinstance(value, float):
        value = float(value)
        if math.isfinite(value):
            return value
        return {"$float": "nan" if value != value else "inf" if value > 0 else "-inf"}
    if isinstance(value, dict):
        return {str(to_json(k, depth + 1)): to_json(v, depth + 1) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [to_json(v, depth + 1) for v in value]
    if isinstance(value, (set, frozenset)):
        return [to_json(v, depth + 1) for v in sorted(value, key=repr)]
    module = type(value).__module__ or ""
    if module.startswith("numpy") and hasattr(value, "tolist"):
        return to_json(value.tolist(), depth + 1)
    if module.startswith("sympy") and getattr(value, "is_Integer", False):
        return to_json(int(value), depth + 1)
    return to_json(str(value), depth + 1)


class Output(io.TextIOBase):
    """Printed text on its way to the host, in pieces, up to a limit."""

    def __init__(self, channel, limit):
        self.channel, self.left, self.cut, self.held = channel, limit, 0, []

    def writable(self):
        return True

    def write(self, text):
        kept = text[: self.left]
        self.left -= len(kept)
        self.cut += len(text) - len(kept)
        if kept:
            self.held.append(kept)
            if sum(map(len, self.held)) > 2048:
                self.flush()
        return len(text)

    def flush(self):
        if self.held:
            text = "".join(self.held).encode("utf-8", "backslashreplace").decode()
            self.held = []
            self.channel.send({"op": "output", "text": text})


class Session:
    def __init__(self, channel):
        self.channel = channel
        self.names = {"__name__": "__main__", "__builtins__": __builtins__}
        self.tools = []
        self.output = None

    def serve(self):
        while True:
            frame, fd = self.channel.receive()
            if frame is None:
                os._exit(0)
            if frame["op"] == "fork":
                if fork_onto(fd, self):
                    continue
                self.channel.send({"op": "hello", "pid": os.getpid(), "version": VERSION})
            elif frame["op"] == "tools":
                self.tools = frame["tools"]
            elif frame["op"] == "run":
                self.channel.send(self.run(frame))

    def run(self, frame):
        self.output = Output(self.channel, frame["output"])
        sys.stdout = sys.stderr = self.output
        sys.setrecursionlimit(1000)
        seed(frame["seed"])
        limit_cpu(frame["seconds"])
        self.names["final_answer"] = final_answer
        for tool in self.tools:
            self.names[tool["name"]] = self.stub(tool)
        done = {"op": "done"}
        try:
            value = execute(frame["code"], self.names)
            if value is not None:
                done["value"] = short_repr(value, frame["output"])
        except FinalAnswer as final:
            if final.value is None:
                self.output.write("final_answer(None) does not end the task: it is not an answer.\n")
            else:
                done["final"] = to_json(final.value)
        except BaseException as error:
            done["error"] = describe(error)
        try:
            self.output.flush()
        except BaseException:
            pass
        done["cut"] = self.output.cut
        return done

    def stub(self, tool):
        signature = inspect.Signature(
            [
                inspect.Parameter(
                    p["name"],
                    inspect.Parameter.POSITIONAL_OR_KEYWORD,
                    default=inspect.Parameter.empty if p["required"] else None,
                )
                for p in tool["parameters"]
            ]
        )

        def call(*args, **kwargs):
            bound = signature.bind(*args, **kwargs).arguments
            self.output.flush()
            self.channel.send({"op": "call", "name": tool["name"], "arguments": to_json(bound)})
            reply, _ = self.channel.receive()
            if reply is None:
                os._exit(0)
            if "error" in reply:
                raise RuntimeError(reply["error"])
            return from_json(reply["value"])

        call.__name__ = call.__qualname__ = tool["name"]
        call.__doc__ = tool["summary"]
        call.__signature__ = signature
        return call


def final_answer(answer):
    """Ends the task with the answer."""
    raise FinalAnswer(answer)


def from_json(value):
    if isinstance(value, dict):
        if len(value) == 1 and "$int" in value:
            return int(value["$int"])
        if len(value) == 1 and "$float" in value:
            return float(value["$float"])
        return {k: from_json(v) for k, v in value.items()}
    return [from_json(v) for v in value] if isinstance(value, list) else value


def execute(code, names):
    """Runs a program; the value of its last expression, if it ends with one."""
    tree = ast.parse(code, "<program>")
    last = None
    if tree.body and isinstance(tree.body[-1], ast.Expr):
        last = ast.Expression(tree.body.pop().value)
    exec(compile(tree, "<program>", "exec"), names)
    return eval(compile(last, "<program>", "eval"), names) if last is not None else None


def short_repr(value, limit):
    try:
        text = value if isinstance(value, str) else repr(value)
    except BaseException as error:
        text = f"<{type(value).__name__} without a repr: {type(error).__name__}>"
    text = text.encode("utf-8", "backslashreplace").decode()
    return text if len(text) <= limit else f"{text[:limit]}… [{len(text) - limit} characters left out]"


def describe(error):
    line = None
    for frame in traceback.extract_tb(error.__traceback__):
        if frame.filename == "<program>":
            line = frame.lineno
    if isinstance(error, SyntaxError) and error.filename == "<program>":
        line = error.lineno
        message = error.msg
    else:
        try:
            message = str(error)
        except BaseException:
            message = ""
    message = message.encode("utf-8", "backslashreplace").decode()[:1000]
    return {"type": type(error).__name__, "message": message, "line": line}


def seed(value):
    random.seed(value)
    if "numpy" in sys.modules:
        sys.modules["numpy"].random.seed(value % 2**32)


def limit_cpu(seconds):
    # The host stops a program by the clock; this ends one whose host has died.
    used = resource.getrusage(resource.RUSAGE_SELF)
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    wanted = int(used.ru_utime + used.ru_stime + seconds + 5)
    resource.setrlimit(resource.RLIMIT_CPU, (wanted if hard == -1 else min(wanted, hard), hard))


def fork_onto(fd, session):
    """Forks; the child goes on with the socket `fd`. True in the parent."""
    if os.fork():
        os.close(fd)
        return True
    session.channel.sock.close()
    session.channel = Channel(socket.socket(fileno=fd))
    return False


def confine(limits):
    def limit(kind, value):
        _, hard = resource.getrlimit(kind)
        value = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(kind, (value, value))

    limit(resource.RLIMIT_AS, limits["memory"])
    limit(resource.RLIMIT_FSIZE, 0)
    limit(resource.RLIMIT_NOFILE, 64)
    limit(resource.RLIMIT_CORE, 0)


def main():
    limits = json.loads(sys.argv[1])
    # Nobody waits for a fork: the kernel reaps it.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.environ.clear()
    import collections, datetime, fractions, itertools, re, statistics  # noqa: E401, F401 - warmed for every session

    for name in ("numpy", "sympy"):
        try:
            __import__(name)
        except ImportError:
            pass
    confine(limits)
    gc.collect()
    gc.freeze()
    control = Channel(socket.socket(fileno=3))
    session = Session(control)
    control.send({"op": "hello", "pid": os.getpid(), "version": VERSION})
    session.serve()


main()
