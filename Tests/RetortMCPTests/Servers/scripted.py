"""A server of the Model Context Protocol over stdio that behaves as its first argument says. Standard library only."""

import json
import os
import subprocess
import sys
import time

MODE = sys.argv[1] if len(sys.argv) > 1 else "good"
KNOWN = ["2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05"]


def tool(name, properties=None, required=(), **more):
    schema = {"type": "object", "properties": properties or {}, "required": list(required)}
    return {"name": name, "description": f"{name} it", "inputSchema": schema, **more}


NUMBER = {"type": "number"}
TOOLS = [
    tool("echo", {"value": {}}, ["value"]),
    tool("add", {"a": NUMBER, "b": NUMBER}, ["a", "b"],
         outputSchema={"type": "object", "properties": {"result": NUMBER}, "required": ["result"]}),
    tool("get-record", {"from": {"type": "string"}, "limit": {"type": "integer", "default": 3}}, ["from"],
         outputSchema={"type": "object", "properties": {"rows": {"type": "array"}}}),
    tool("parts"), tool("fails"), tool("steps", {"count": {"type": "integer"}}), tool("hold"), tool("release"),
    tool("hang"), tool("die"), tool("flood"), tool("babble"), tool("change"), tool("where"), tool("cancelled"),
    tool("ask"), tool("lie", outputSchema={"type": "object", "properties": {"x": {"type": "integer"}}}),
    tool("empty"), tool("child"), tool("refuse"),
]
held, cancelled, answers = [], [], []


def send(message):
    sys.stdout.write(json.dumps({"jsonrpc": "2.0", **message}) + "\n")
    sys.stdout.flush()


def text(value):
    return {"content": [{"type": "text", "text": value}]}


def call(request):
    params = request["params"]
    name, arguments, id = params["name"], params.get("arguments", {}), request["id"]
    done = lambda result: send({"id": id, "result": result})
    token = params.get("_meta", {}).get("progressToken")
    if name == "echo":
        done({**text(json.dumps(arguments["value"])), "structuredContent": {"value": arguments["value"]}})
    elif name == "add":
        total = arguments["a"] + arguments["b"]
        done({**text(str(total)), "structuredContent": {"result": total}})
    elif name == "get-record":
        done({**text("see rows"), "structuredContent": {"rows": [arguments]}})
    elif name == "parts":
        done({"content": [
            {"type": "text", "text": "one"}, {"type": "image", "data": "AAAA", "mimeType": "image/png"},
            {"type": "audio", "data": "AAA=", "mimeType": "audio/wav"},
            {"type": "resource_link", "uri": "file:///a", "name": "a", "description": "the first"},
            {"type": "resource", "resource": {"uri": "file:///b", "text": "inside"}},
            {"type": "resource", "resource": {"uri": "file:///c", "mimeType": "x/y", "blob": "AAAA"}},
            {"type": "hologram"}]})
    elif name == "fails":
        done({**text("no such row"), "isError": True})
    elif name == "steps":
        for number in range(arguments.get("count", 3)):
            if token is not None:
                send({"method": "notifications/progress", "params": {
                    "progressToken": token, "progress": number + 1, "total": 3, "message": f"step {number + 1}"}})
        done(text("walked"))
    elif name == "hold":
        held.append(id)
    elif name == "release":
        done(text("released"))
        for other in reversed(held):
            send({"id": other, "result": text(f"held {other}")})
        held.clear()
    elif name == "hang":
        pass
    elif name == "die":
        print("the disk is full", file=sys.stderr, flush=True)
        os._exit(7)
    elif name == "flood":
        while True:
            sys.stdout.write("x" * 65536)
    elif name == "babble":
        for number in range(40):
            print(f"debug: line {number}", flush=True)
        done(text("babbled"))
    elif name == "change":
        TOOLS.append(tool("new"))
        send({"method": "notifications/tools/list_changed"})
        done(text("changed"))
    elif name == "where":
        done(text(json.dumps({"folder": os.getcwd(), "variables": sorted(os.environ), "group": os.getpgid(0) == os.getpid()})))
    elif name == "cancelled":
        done(text(json.dumps(cancelled)))
    elif name == "ask":
        for method in ["ping", "sampling/createMessage", "elicitation/create", "roots/list"]:
            send({"id": f"s-{method}", "method": method, "params": {}})
        got = {}
        while len(got) < 4:
            answer = json.loads(sys.stdin.readline())
            got[answer["id"]] = answer.get("result", answer.get("error", {}).get("code"))
        done(text(json.dumps(got, sort_keys=True)))
    elif name == "lie":
        done({**text("x"), "structuredContent": {"x": "no number"}})
    elif name == "empty":
        done({})
    elif name == "child":
        child = subprocess.Popen(["sleep", "600"])
        done(text(str(child.pid)))
    else:
        send({"id": id, "error": {"code": -32602, "message": f"no tool {name}"}})


def listing(request):
    cursor = request.get("params", {}).get("cursor")
    if MODE == "circle":
        return {"tools": [], "nextCursor": "again"}
    if MODE == "twins":
        return {"tools": [tool("a"), tool("a")]}
    if MODE == "nameless":
        return {"tools": [{"inputSchema": {}}]}
    if MODE == "strange":
        return {"tools": [tool("fine"), tool("odd", {"x": {"type": "array", "uniqueItems": True}}),
                          tool("task", execution={"taskSupport": "required"})]}
    if MODE == "pages":
        start = int(cursor or 0)
        page = {"tools": TOOLS[start:start + 3]}
        if start + 3 < len(TOOLS):
            page["nextCursor"] = str(start + 3)
        return page
    return {"tools": TOOLS}


def introduce(request):
    version = request["params"]["protocolVersion"]
    if MODE == "old":
        version = "2024-11-05"
    if MODE == "future":
        version = "2099-01-01"
    if MODE == "picky" and version != "2025-03-26":
        return send({"id": request["id"], "error": {
            "code": -32602, "message": "Unsupported protocol version", "data": {"supported": ["2025-03-26"]}}})
    capabilities = {} if MODE == "toolless" else {"tools": {"listChanged": True}}
    send({"id": request["id"], "result": {
        "protocolVersion": version, "capabilities": capabilities, "serverInfo": {"name": "scripted", "version": "1"},
        "instructions": "Be kind."}})


if MODE == "dies":
    print("cannot open the database", file=sys.stderr)
    sys.exit(3)
if MODE == "silent":
    time.sleep(600)
if MODE == "stubborn":
    import signal
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
if MODE == "garbage":
    while True:
        print("Listening on port 80 …", flush=True)
if MODE == "whispers":
    print("Traceback: no", flush=True)
    sys.exit(0)
if MODE == "banner":
    print("Welcome to my server!\n\n", flush=True)
if MODE == "closes":
    os.close(1)
    time.sleep(600)

for line in sys.stdin:
    message = json.loads(line)
    method = message.get("method")
    if method == "initialize":
        introduce(message)
    elif method == "tools/list":
        send({"id": message["id"], "result": listing(message)})
    elif method == "tools/call":
        call(message)
    elif method == "notifications/cancelled":
        cancelled.append(message["params"]["requestId"])
    elif method == "ping":
        send({"id": message["id"], "result": {}})
if MODE == "stubborn":
    time.sleep(600)
