#!/usr/bin/env python3
"""Holds Retort's Model Context Protocol against others, both ways.

As a client (`retort mcp list`, `retort mcp call`): servers that others wrote, one of the official SDK over HTTP, and a
server that dies, hangs, floods, babbles and changes its tools. As a server (`retort mcp RUN`): the official SDK's client over
stdio and over HTTP.

    Tools/check_mcp.py                       everything; needs a finished run in runs/quickstart
    Tools/check_mcp.py --only client         what needs no run
    Tools/check_mcp.py --run runs/shop

RETORT names the program (.build/release/retort otherwise). The servers are installed from PyPI into an environment of their
own, --venv, which is kept.
"""
import argparse
import asyncio
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
RETORT = os.environ.get("RETORT", str(ROOT / ".build/release/retort"))
SCRIPTED = ROOT / "Tests/RetortMCPTests/Servers/scripted.py"
PACKAGES = ["mcp>=2", "mcp-server-time", "mcp-server-git", "mcp-server-fetch"]
# Written for the first SDK, which is tried this way, too.
OLD_PACKAGES = ["mcp<2", "mcp-server-sqlite"]
failures = []


def environment(folder):
    """Makes the environment where it is missing, and goes on inside it."""
    python = folder / "bin/python"
    if not (folder / "ready").exists():
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        subprocess.run([folder / "bin/pip", "install", "-q", *PACKAGES], check=True)
        subprocess.run([sys.executable, "-m", "venv", folder / "old"], check=True)
        subprocess.run([folder / "old/bin/pip", "install", "-q", *OLD_PACKAGES], check=True)
        (folder / "ready").touch()
    if pathlib.Path(sys.prefix).resolve() != folder.resolve():
        os.execv(python, [str(python), *sys.argv])


def check(what, condition, shown=""):
    print(f"{'ok  ' if condition else 'FAIL'} {what}", flush=True)
    if not condition:
        failures.append(what)
        print(f"     {str(shown)[:600]}")


def mcp(*words, seconds=90):
    """Runs `retort mcp …` and gives its code, output and errors."""
    done = subprocess.run([RETORT, "mcp", *map(str, words)], capture_output=True, text=True, timeout=seconds)
    return done.returncode, done.stdout.strip(), done.stderr.strip()


def call(server, tool, arguments, *options):
    return mcp("call", tool, json.dumps(arguments), *options, "--", *server)


def listed(server):
    code, output, errors = mcp("list", "--", *server)
    names = re.findall(r"^(\w+)\(", output, re.M)
    check(f"{pathlib.Path(server[0]).name}: {len(names)} tools listed", code == 0 and names and "cannot be used" not in output,
          output + errors)
    return names


def real_servers(bin, scratch):
    """Every tool of every server that others wrote."""
    time_server = [bin / "mcp-server-time", "--local-timezone", "UTC"]
    calls = {"get_current_time": [({"timezone": "Asia/Tokyo"}, "Asia/Tokyo")],
             "convert_time": [({"source_timezone": "UTC", "time": "12:00", "target_timezone": "Asia/Tokyo"}, "21:00")]}
    every(time_server, calls)
    code, _, errors = call(time_server, "get_current_time", {"timezone": "Nowhere/Land"})
    check("time: a tool's own failure is told", code == 1 and "Nowhere/Land" in errors, errors)
    code, _, errors = call(time_server, "get_current_time", {})
    check("time: a missing argument is told before the server is asked", code == 1 and "'timezone' is missing" in errors, errors)

    repository = scratch / "repository"
    git = lambda *words: subprocess.run(["git", "-C", repository, *words], check=True, capture_output=True)
    repository.mkdir()
    git("init", "-q", "-b", "main")
    git("config", "user.email", "a@b.c")
    git("config", "user.name", "A")
    (repository / "a.txt").write_text("one\n")
    git("add", ".")
    git("commit", "-q", "-m", "first")
    (repository / "a.txt").write_text("two\n")
    path = {"repo_path": str(repository)}
    calls = {
        "git_status": [(path, "a.txt")], "git_diff_unstaged": [(path, "+two")], "git_add": [({**path, "files": ["a.txt"]}, "staged")],
        "git_diff_staged": [(path, "+two")], "git_commit": [({**path, "message": "second"}, "committed")],
        "git_log": [({**path, "max_count": 1}, "second")], "git_diff": [({**path, "target": "HEAD~1"}, "+two")],
        "git_show": [({**path, "revision": "HEAD"}, "second")],
        "git_create_branch": [({**path, "branch_name": "side"}, "side")],
        "git_checkout": [({**path, "branch_name": "side"}, "side")], "git_branch": [({**path, "branch_type": "local"}, "side")],
        "git_reset": [(path, "reset")],
    }
    every([bin / "mcp-server-git", "--repository", repository], calls)

    database = [bin.parent / "old/bin/mcp-server-sqlite", "--db-path", scratch / "shop.db"]
    calls = {
        "create_table": [({"query": "CREATE TABLE t (a INTEGER, b TEXT)"}, "success")],
        "write_query": [({"query": "INSERT INTO t VALUES (1, 'é')"}, "1")],
        "read_query": [({"query": "SELECT b FROM t"}, "é")], "list_tables": [({}, "t")],
        "describe_table": [({"table_name": "t"}, "INTEGER")], "append_insight": [({"insight": "one row"}, "dded")],
    }
    every(database, calls)

    page = "<html><body><article><h1>Title</h1><p>" + "A long enough text about retorts. " * 30 + "</p></article></body></html>"
    (scratch / "page.html").write_text(page)
    web = subprocess.Popen([sys.executable, "-m", "http.server", "0", "--bind", "127.0.0.1", "--directory", scratch],
                           stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env={**os.environ, "PYTHONUNBUFFERED": "1"})
    try:
        port = re.search(r"port (\d+)", web.stdout.readline())[1]
        fetch = [bin / "mcp-server-fetch", "--ignore-robots-txt"]
        # Newer ones fetch nothing from this machine unless they are told that they may.
        if "--allow-private-ips" in subprocess.run([fetch[0], "--help"], capture_output=True, text=True).stdout:
            fetch.append("--allow-private-ips")
        # Raw: what makes a page readable asks a package registry for its parts first.
        every(fetch, {"fetch": [({"url": f"http://127.0.0.1:{port}/page.html", "raw": True}, "retorts")]})
    finally:
        web.kill()


def every(server, calls):
    """Calls each tool that the server lists, in the order given, and looks for a piece of text in the result."""
    name = pathlib.Path(server[0]).name
    names = listed(server)
    check(f"{name}: every tool has a call here", set(names) == set(calls), set(names) ^ set(calls))
    for tool, examples in calls.items():
        for arguments, expected in examples:
            code, output, errors = call(server, tool, arguments)
            check(f"{name}: {tool}", code == 0 and expected in output, output + errors)


SDK_SERVER = """
import asyncio, sys
from mcp.server.mcpserver import Context, MCPServer
server = MCPServer("official")
@server.tool()
def add(a: int, b: int) -> int:
    "Adds."
    return a + b
@server.tool()
def record(name: str, sizes: list[float] | None = None) -> dict:
    "A record."
    return {"name": name, "sizes": sizes}
@server.tool()
async def steps(count: int, context: Context) -> str:
    "Walks."
    for number in range(count):
        await context.report_progress(number + 1, count, f"step {number + 1}")
    return "walked"
@server.tool()
def broken() -> str:
    "Fails."
    raise ValueError("it is broken")
options = dict(json_response=sys.argv[3] == "json", stateless_http=sys.argv[3] == "stateless")
if sys.argv[1] == "http":
    server.run("streamable-http", host="127.0.0.1", port=int(sys.argv[2]), **options)
else:
    server.run("stdio")
"""


def free_port():
    import socket
    with socket.socket() as place:
        place.bind(("127.0.0.1", 0))
        return place.getsockname()[1]


def official_server(scratch):
    """The official SDK's server, over stdio and in three ways over HTTP."""
    script = scratch / "official.py"
    script.write_text(SDK_SERVER)
    ways = [("stdio", ["--", sys.executable, script, "stdio", "0", ""], None)]
    for way in ["events", "json", "stateless"]:
        port = free_port()
        ways.append((f"HTTP ({way})", ["--url", f"http://127.0.0.1:{port}/mcp"], [sys.executable, script, "http", str(port), way]))
    for name, place, command in ways:
        process = command and subprocess.Popen(command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        try:
            for _ in range(50):
                code, output, errors = mcp("list", *place)
                if code == 0:
                    break
                time.sleep(0.3)
            check(f"official server over {name}: listed", code == 0 and "add(a: integer, b: integer) -> integer" in output, output + errors)
            for tool, arguments, expected in [
                    ("add", {"a": 2, "b": 40}, "42"), ("record", {"name": "é", "sizes": [2.0, 1.5]}, '"é"'),
                    ("steps", {"count": 3}, "walked")]:
                code, output, errors = mcp("call", tool, json.dumps(arguments), *place)
                check(f"official server over {name}: {tool}", code == 0 and expected in output, output + errors)
                if tool == "steps":
                    check(f"official server over {name}: progress is told", name != "HTTP (events)" and name != "stdio" or "step 3" in errors, errors)
            code, output, errors = mcp("call", "broken", "{}", *place)
            check(f"official server over {name}: a failing tool", code == 1 and "broken" in errors, output + errors)
        finally:
            if process:
                process.kill()
    code, _, errors = mcp("list", "--url", f"http://127.0.0.1:{free_port()}/mcp")
    check("an address where nobody listens is told", code == 1 and "cannot be reached" in errors, errors)


def bad_servers():
    """A server that dies, hangs, floods, babbles, and worse."""
    server = lambda mode: [sys.executable, SCRIPTED, mode]
    for mode, tool, expected in [
            ("good", "die", "exit code 7"), ("good", "hang", "did not answer tools/call within 2 seconds"),
            ("good", "flood", "more than"), ("good", "babble", "what is no message"), ("good", "change", None),
            ("dies", "add", "cannot open the database"), ("silent", "add", "did not answer initialize"),
            ("garbage", "add", "what is no message"), ("future", "add", "speaks version 2099-01-01"),
            ("circle", "add", "over and over"), ("twins", "add", "two tools are called 'a'"),
            ("toolless", "add", "offers no tools"), ("banner", "parts", None), ("stubborn", "parts", None)]:
        start = time.time()
        code, output, errors = call(server(mode), tool, {}, "--seconds", 2)
        good = (code == 0) if expected is None else (code == 1 and expected in errors)
        check(f"a server that is '{mode}', asked to '{tool}' ({time.time() - start:.1f} s)", good, output + errors)
    code, output, errors = mcp("list", "--", *server("strange"))
    check("a schema that cannot be expressed is named and the others listed",
          code == 0 and "odd: cannot be used" in output and "uniqueItems" in output and "fine()" in output, output + errors)
    code, _, errors = mcp("list", "--", "no-such-command-anywhere")
    check("a command that is not there is named", code == 1 and "no program 'no-such-command-anywhere'" in errors, errors)
    left = subprocess.run(["pgrep", "-f", str(SCRIPTED)], capture_output=True, text=True).stdout.split()
    check("no server is left behind", not left, left)


async def official_client(run):
    """The official SDK's client against `retort mcp`, over stdio and HTTP."""
    from mcp import ClientSession, StdioServerParameters
    from mcp.client.stdio import stdio_client
    from mcp.client.streamable_http import streamable_http_client

    async def converse(name, session):
        hello = await session.initialize()
        version = getattr(hello, "protocol_version", None) or hello.protocolVersion
        check(f"official client over {name}: introduced, version {version}", version == "2025-11-25")
        await session.send_ping()
        tools = (await session.list_tools()).tools
        check(f"official client over {name}: tools {[tool.name for tool in tools]}", any(t.name.startswith("ask") for t in tools))
        tool, words = next(t.name for t in tools if t.name.startswith("ask")), []

        async def progress(progress, total, message):
            words.append((progress, message))

        result = await session.call_tool(tool, {"question": "What is 6 * 7?"}, progress_callback=progress)
        failed = getattr(result, "is_error", None)
        check(f"official client over {name}: answer '{result.content[0].text[:60]}'", not failed and result.content, result)
        check(f"official client over {name}: {len(words)} words of progress, growing", words and words == sorted(words, key=lambda w: w[0]), words)
        result = await session.call_tool(tool, {"wrong": 1})
        check(f"official client over {name}: wrong arguments are a failed result", getattr(result, "is_error", False) or getattr(result, "isError", False), result)
        try:
            await session.call_tool("gone", {})
            check(f"official client over {name}: an unknown tool is refused", False)
        except Exception as error:
            check(f"official client over {name}: an unknown tool is refused", "gone" in str(error), error)
        try:
            await session.call_tool(tool, {"question": "A slow one: what is 2 + 2?"}, read_timeout_seconds=0.05)
            check(f"official client over {name}: a call that is given up", True)
        except Exception as error:
            check(f"official client over {name}: a call that is given up ends at once", "imed out" in str(error) or "timeout" in str(error).lower(), error)
        await session.send_ping()
        many = await asyncio.gather(*(session.call_tool(tool, {"question": f"What is {n} + 1?"}) for n in range(3)))
        check(f"official client over {name}: three calls at once", len(many) == 3)

    async with stdio_client(StdioServerParameters(command=RETORT, args=["mcp", str(run)])) as streams:
        async with ClientSession(streams[0], streams[1]) as session:
            await converse("stdio", session)
    server = subprocess.Popen([RETORT, "mcp", str(run), "--http", "--port", "0"], stdout=subprocess.PIPE, text=True)
    try:
        address = re.search(r"http://\S+/mcp", server.stdout.readline())[0]
        async with streamable_http_client(address) as streams:
            async with ClientSession(streams[0], streams[1]) as session:
                await converse("HTTP", session)
        code, output, errors = await asyncio.to_thread(mcp, "list", "--url", address)
        check("retort's client and server over HTTP", code == 0 and "ask" in output, output + errors)
    finally:
        server.terminate()
        check("the HTTP server ends when told to", server.wait(timeout=20) is not None)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", type=pathlib.Path, default=ROOT / "runs/quickstart")
    parser.add_argument("--only", choices=["client", "server"])
    parser.add_argument("--venv", type=pathlib.Path, default=ROOT / ".retort/mcp")
    arguments = parser.parse_args()
    environment(arguments.venv)
    if arguments.only != "server":
        with tempfile.TemporaryDirectory() as scratch:
            bad_servers()
            official_server(pathlib.Path(scratch))
            real_servers(arguments.venv / "bin", pathlib.Path(scratch))
    if arguments.only != "client":
        asyncio.run(official_client(arguments.run))
    print(f"\n{len(failures)} failed" if failures else "\nall good")
    sys.exit(bool(failures))


if __name__ == "__main__":
    main()
