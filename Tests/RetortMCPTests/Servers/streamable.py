"""A server of the Model Context Protocol over streamable HTTP that behaves as its address says. Standard library only."""

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

log, sessions = [], set()
slow_came, forgot = threading.Event(), threading.Event()
ECHO = {"name": "echo", "description": "", "inputSchema": {"type": "object"}}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self, status, body=b"", **headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def json(self, value, **headers):
        self.answer(200, json.dumps({"jsonrpc": "2.0", **value}).encode(), Content_Type="application/json", **headers)

    def begin_events(self):
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        self.close_connection = True

    def event(self, value, id=None, retry=None):
        text = f"id: {id}\n" if id else ""
        text += f"retry: {retry}\n" if retry else ""
        text += "data: " + (json.dumps({"jsonrpc": "2.0", **value}) if value else "") + "\n\n"
        self.wfile.write(text.encode())
        self.wfile.flush()

    def note(self):
        log.append({"method": self.command, "path": self.path, "session": self.headers.get("Mcp-Session-Id"),
                    "version": self.headers.get("MCP-Protocol-Version"), "key": self.headers.get("Authorization"),
                    "last": self.headers.get("Last-Event-ID")})

    def do_GET(self):
        if self.path == "/log":
            return self.json({"log": log})
        self.note()
        last = self.headers.get("Last-Event-ID")
        if self.path == "/tells" and last is None:
            self.begin_events()
            self.event({"method": "notifications/tools/list_changed"})
            return time.sleep(30)
        if self.path == "/resume" and last:
            self.begin_events()
            if int(last) < 3:
                return self.event(None, id=int(last) + 1, retry=10)
            return self.event({"id": self.server.resumed, "result": self.result("resumed")})
        self.answer(405)

    def do_DELETE(self):
        self.note()
        self.answer(204)

    def result(self, text):
        return {"content": [{"type": "text", "text": text}]}

    def do_POST(self):
        self.note()
        message = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        mode, method, id = self.path[1:], message["method"], message.get("id")
        if mode == "denies":
            return self.answer(401, b'{"error": "no key"}')
        if id is None:
            return self.answer(202)
        if method == "initialize":
            session = f"s{len(sessions)}"
            sessions.add(session)
            return self.json({"id": id, "result": {
                "protocolVersion": "2025-06-18", "capabilities": {"tools": {}}, "serverInfo": {"name": "h", "version": "1"}}},
                Mcp_Session_Id=session)
        if self.headers.get("Mcp-Session-Id") not in sessions:
            return self.answer(404)
        if method == "tools/list":
            return self.json({"id": id, "result": {"tools": [ECHO]}})
        if method == "tools/call" and message["params"]["arguments"].get("slow"):
            slow_came.set()
            forgot.wait(20)
            return self.json({"id": id, "result": self.result("slow")})
        if mode == "forgets" and len(sessions) == 1:
            if message["params"]["arguments"].get("after"):
                slow_came.wait(20)
            sessions.clear()
            forgot.set()
            sessions.add("gone")
            return self.answer(404)
        if mode == "events":
            self.begin_events()
            token = message["params"].get("_meta", {}).get("progressToken")
            self.event({"method": "notifications/progress", "params": {"progressToken": token, "progress": 1}})
            return self.event({"id": id, "result": self.result("events")})
        if mode == "resume":
            self.server.resumed = id
            self.begin_events()
            return self.event(None, id=1, retry=10)
        if mode == "cut":
            self.begin_events()
            return self.event({"method": "notifications/message", "params": {}})
        if mode == "html":
            return self.answer(200, b"<html>", Content_Type="text/html")
        if mode == "flood":
            self.begin_events()
            while True:
                self.wfile.write(b"data: " + b"x" * 65536)
        if mode == "hang":
            time.sleep(30)
        if mode == "wrong":
            return self.json({"id": 999, "result": {}})
        if mode == "empty":
            return self.answer(202)
        if mode == "fails":
            return self.answer(500, b'{"jsonrpc":"2.0","id":null,"error":{"code":-1,"message":"the disk is full"}}')
        self.json({"id": id, "result": self.result("plain")})


server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
server.daemon_threads = True
print(server.server_port, flush=True)
server.serve_forever()
