#!/usr/bin/env python3
"""Loads `retort serve` for two minutes, with clients that check their answers and clients that misbehave.

    make build && apt-get install wrk
    python3 Benchmarks/serve.py [--folder seedlings/1m] [--seconds 120]

wrk asks short chats over 32 connections. Beside it eight clients ask long ones, each its own question, whole and streamed, and
compare every answer with the one they got alone; and misbehaving clients drip headers and bodies, stop reading, leave in the
middle of an answer, and send what is no HTTP. Prints one table, and ends with code 1 when an answer was wrong, the server
failed a good client, or memory, file descriptors or places were not given back.
"""
import argparse
import http.client
import json
import os
import pathlib
import random
import shutil
import socket
import statistics
import struct
import subprocess
import sys
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "Tools"))
from server_process import Server  # noqa: E402


def body(model, question, stream=False, tokens=48):
    return json.dumps({
        "model": model, "messages": [{"role": "user", "content": question}], "temperature": 0, "max_tokens": tokens,
        "stream": stream})


def ask(address, model, question, stream):
    connection = http.client.HTTPConnection(address, timeout=60)
    try:
        connection.request(
            "POST", "/v1/chat/completions", body(model, question, stream), {"Content-Type": "application/json"})
        reply = connection.getresponse()
        text = reply.read().decode()
        if reply.status != 200:
            return reply.status, None
        if not stream:
            return 200, json.loads(text)["choices"][0]["message"]["content"]
        events = [line[6:] for line in text.split("\n\n") if line.startswith("data: ")]
        if events[-1] != "[DONE]":
            return 200, None
        deltas = [json.loads(event)["choices"][0]["delta"] for event in events[:-1]]
        return 200, "".join(delta.get("content") or "" for delta in deltas)
    finally:
        connection.close()


class Load:
    def __init__(self, server, seconds):
        self.server = server
        self.address = server.address.removeprefix("http://")
        self.model = server.health()["models"][0]
        self.end = time.time() + seconds
        self.times, self.wrong, self.failed, self.misdeeds = [], 0, {}, {}
        self.lock = threading.Lock()

    def running(self):
        return time.time() < self.end

    def checking(self, number, expected):
        """A client that knows its answer."""
        question, turn = f"Client {number} wants to know what {number} times {number} is.", 0
        while self.running():
            turn += 1
            start = time.perf_counter()
            try:
                status, answer = ask(self.address, self.model, question, turn % 2 == 0)
            except OSError as error:
                status, answer = type(error).__name__, None
            with self.lock:
                self.times.append((time.perf_counter() - start) * 1000)
                if status != 200:
                    self.failed[status] = self.failed.get(status, 0) + 1
                elif answer != expected:
                    self.wrong += 1

    def connect(self):
        host, port = self.address.rsplit(":", 1)
        return socket.create_connection((host, int(port)), timeout=10)

    def head(self, length):
        return (f"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
                f"Content-Length: {length}\r\n\r\n").encode()

    def request(self, tokens, stream=True):
        text = body(self.model, "Tell me everything.", stream, tokens).encode()
        return self.head(len(text)) + text

    def drips_headers(self, link):
        for byte in self.request(8)[:60]:
            link.send(bytes([byte]))
            time.sleep(0.2)

    def drips_body(self, link):
        link.send(self.head(1000))
        for _ in range(50):
            link.send(b" ")
            time.sleep(0.2)

    def reads_slowly(self, link):
        link.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        link.send(self.request(400))
        while self.running() and link.recv(64):
            time.sleep(0.02)

    def never_reads(self, link):
        link.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        link.send(self.request(1500))
        time.sleep(8)

    def leaves(self, link):
        link.send(self.request(1500))
        link.recv(300)

    def resets(self, link):
        link.send(self.request(1500, random.random() < 0.5))
        time.sleep(random.random() * 0.3)
        link.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    def half_a_body(self, link):
        link.send(self.head(500) + b'{"model": "')

    def no_http(self, link):
        link.send(random.randbytes(2000))
        link.recv(100)

    def bad_json(self, link):
        link.send(self.head(3) + b"{{{")
        link.recv(100)

    def endless_length(self, link):
        link.send(self.head(1 << 40))
        link.recv(100)

    def idles(self, link):
        time.sleep(5)

    def misbehaving(self, name):
        while self.running():
            try:
                link = self.connect()
            except OSError:
                time.sleep(0.2)
                continue
            try:
                getattr(self, name)(link)
            except OSError:
                pass  # The server has closed it, as it should.
            finally:
                link.close()
            with self.lock:
                self.misdeeds[name] = self.misdeeds.get(name, 0) + 1
            time.sleep(0.1)


MISDEEDS = ["drips_headers", "drips_body", "reads_slowly", "never_reads", "leaves", "resets", "half_a_body", "no_http",
            "bad_json", "endless_length", "idles"]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", default=str(ROOT / "seedlings/1m"))
    parser.add_argument("--seconds", type=int, default=120)
    arguments = parser.parse_args()
    if not shutil.which("wrk"):
        sys.exit("wrk is missing; install it: apt-get install wrk")
    with Server(arguments.folder) as server:
        load = Load(server, arguments.seconds)
        questions = [f"Client {n} wants to know what {n} times {n} is." for n in range(8)]
        expected = [ask(load.address, load.model, question, False)[1] for question in questions]
        before = (server.memory(), server.descriptors())
        load.end = time.time() + arguments.seconds
        threads = [threading.Thread(target=load.checking, args=(n, expected[n])) for n in range(8)]
        threads += [threading.Thread(target=load.misbehaving, args=(name,)) for name in MISDEEDS]
        wrk = subprocess.Popen(
            ["wrk", "-t1", "-c32", f"-d{arguments.seconds}s", "--timeout", "30s", "-s",
             str(ROOT / "Benchmarks/serve.lua"), server.address], stdout=subprocess.PIPE, text=True,
            env={**os.environ, "SERVED_MODEL": load.model})
        [thread.start() for thread in threads]
        memory = []
        while load.running():
            time.sleep(1)
            memory.append(server.memory())
        [thread.join() for thread in threads]
        report = json.loads(next(line for line in wrk.communicate()[0].splitlines() if line.startswith("JSON"))[5:])
        settled = server.settle(40)
        time.sleep(2)
        after = (server.memory(), server.descriptors())
        alone = [ask(load.address, load.model, question, True)[1] for question in questions]
        code = server.stop()
    quarter = len(memory) // 4
    early, late = statistics.median(memory[quarter:2 * quarter]), statistics.median(memory[-quarter:])
    times = sorted(load.times)
    rows = [
        ("wrk: requests a second", f"{report['requests'] / report['seconds']:.1f}"),
        ("wrk: p50, p99, worst (ms)", f"{report['p50']:.0f}, {report['p99']:.0f}, {report['worst']:.0f}"),
        ("wrk: requests; not answered with 200; socket errors",
         f"{report['requests']}; {report['bad']}; {report['socket_errors']}"),
        ("checking clients: answers", f"{len(times)}"),
        ("checking clients: p50, p99 (ms)", f"{times[len(times) // 2]:.0f}, {times[int(len(times) * 0.99)]:.0f}"),
        ("checking clients: wrong answers; failures", f"{load.wrong}; {load.failed or 0}"),
        ("misbehaving clients' visits", f"{sum(load.misdeeds.values())}"),
        ("memory before, second quarter, last quarter, after (MiB)",
         f"{before[0]:.0f}, {early:.0f}, {late:.0f}, {after[0]:.0f}"),
        ("file descriptors before, after", f"{before[1]}, {after[1]}"),
        ("all places given back; exit code", f"{settled}; {code}"),
    ]
    print("| | |\n| --- | ---: |")
    for name, value in rows:
        print(f"| {name} | {value} |")
    isGood = (load.wrong == 0 and not load.failed and report["bad"] == 0 and report["socket_errors"] == 0 and settled
              and code == 0 and alone == expected and late < early * 1.05 + 8 and after[1] <= before[1] + 8)
    sys.exit(0 if isGood else 1)


if __name__ == "__main__":
    main()
