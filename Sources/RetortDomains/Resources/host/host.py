"""Tools on the host: one user's module in a process of its own, with the user's environment and rights.

    python host.py SCRIPTS FILE

Speaks the Model Context Protocol over standard input and output, so far as Retort's client needs it. What a module
prints goes to standard error. Arguments and results are texts of JSON in which every value keeps its type (`values.py` in
SCRIPTS). Calls come one after the other. Beside the module's functions there are two names that no function can have:
`$describe` tells what the module holds, as `functions.py` does in the sandbox, and which files it is made of;
`$setup` makes a task's state.
"""
import json
import os
import select
import signal
import sys
import time

# After the other side has gone, a call that still runs has so many seconds.
GRACE = 3


def guard():
    """A second process that ends this one's group when the other side is gone, whatever a function hangs in."""
    if os.fork():
        return
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.close(1)
    waiting = select.poll()
    waiting.register(0, select.POLLRDHUP)
    waiting.poll()
    time.sleep(GRACE)
    os.killpg(0, signal.SIGKILL)


class Host:
    def __init__(self, path):
        self.path = path
        self.module = None
        self.found = {"tools": [], "hooks": [], "faults": []}
        self.functions = {}
        self.error = None
        try:
            self.module = functions.load(path, os.path.dirname(path))
            self.found = functions.describe(self.module, None)
            for tool in self.found["tools"]:
                name = tool["name"]
                self.functions[name] = functions.recorded(getattr(self.module, name), lambda *_: None)
        except BaseException as error:
            self.error = values.describe(error, path)

    def perform(self, name, arguments):
        if name == "$describe":
            return {"error": self.error} if self.error else {**self.found, "companions": companions.found(self.path)}
        if self.error:
            raise RuntimeError(f"the module cannot be imported: {self.error['type']}: {self.error['message']}")
        if name == "$setup":
            self.module.setup(*arguments)
            return None
        return self.functions[name](**arguments)

    def call(self, params):
        """The result of `tools/call`."""
        try:
            name, arguments = params["name"], params["arguments"]
            value = self.perform(name, values.from_json(json.loads(arguments["json"])))
            text = values.text_of(values.to_json(value))
        except BaseException as error:
            told = values.describe(error, self.path)
            line = f" ({os.path.basename(self.path)}, line {told['line']})" if told["line"] else ""
            return {"content": [{"type": "text", "text": f"{told['type']}: {told['message']}{line}"}], "isError": True}
        return {"content": [], "structuredContent": {"json": text}}

    def answer(self, message):
        method = message.get("method")
        if method == "initialize":
            return {
                "protocolVersion": message["params"]["protocolVersion"],
                "capabilities": {"tools": {}},
                "serverInfo": {"name": os.path.basename(self.path), "version": "1"},
            }
        return self.call(message["params"]) if method == "tools/call" else {}


def main():
    if sys.version_info < (3, 11):
        sys.exit(f"tools on the host need Python 3.11 or later; {sys.executable} is {sys.version.split()[0]}")
    guard()
    # The module's own output, that of its libraries and of the programs it starts, is kept out of the protocol.
    output = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    lines = os.fdopen(os.dup(0), "r", encoding="utf-8")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    own = [sys.argv[1], os.path.dirname(os.path.abspath(__file__))]
    sys.path[:0] = own
    global companions, functions, values
    import companions
    import functions
    import values

    sys.path[:] = [folder for folder in sys.path if folder not in own]
    # The module may have modules of these names beside it.
    for own in ("functions", "values", "companions"):
        del sys.modules[own]
    host = Host(os.path.abspath(sys.argv[2]))
    for line in lines:
        message = json.loads(line)
        if "id" in message and "method" in message:
            output.write(json.dumps({"jsonrpc": "2.0", "id": message["id"], "result": host.answer(message)}) + "\n")
            output.flush()


main()
