#!/usr/bin/env python3
"""Tries `retort serve-passages` as Search-R1's and agent-distillation's agents ask it, and `retort` as a client of a server
of the same protocol that is written here in Python, well-behaved and not.

    make build
    python3 Tools/check_retrieval.py [PASSAGES.jsonl]

Needs `requests` (else it asks with urllib). Starts the servers itself and stops them again. Ends with code 1 when anything
fails. RETORT names another binary than the release build's.
"""
import concurrent.futures
import http.server
import json
import pathlib
import random
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request

from server_process import RETORT, ROOT, Server

try:
    import requests
except ImportError:
    requests = None

failures = []


def check(name, passed, detail=""):
    print(f"{'ok  ' if passed else 'FAIL'} {name}{'  ' + str(detail) if detail != '' else ''}", flush=True)
    if not passed:
        failures.append(name)


def post(url, body, raw=None, timeout=120):
    """Status and reply."""
    if requests is not None and raw is None:
        reply = requests.post(url, json=body, timeout=timeout)
        return reply.status_code, reply.json()
    data = raw if raw is not None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=timeout) as reply:
            return reply.status, json.loads(reply.read())
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read())


def corpus(count=2000):
    """Passages in the form of wiki-18, from a seed."""
    draw = random.Random(1)
    words = [f"{a}{b}{c}" for a in "bdklmnrst" for b in "aeiou" for c in "lmnrst"]
    return [
        {"id": str(number), "contents": f"\"{' '.join(draw.sample(words, 2)).title()}\"\n{' '.join(draw.choices(words, k=60))}"}
        for number in range(count)]


def as_search_r1(reply):
    """What `_passages2string` of Search-R1's generation.py makes of a list."""
    text = ""
    for number, item in enumerate(reply):
        content = item["document"]["contents"]
        title, rest = content.split("\n")[0], "\n".join(content.split("\n")[1:])
        text += f"Doc {number + 1}(Title: {title}) {rest}\n"
    return text


def asks_our_server(address, passages):
    url = address + "/retrieve"
    by_id = {passage["id"]: passage for passage in passages}
    draw = random.Random(2)
    wanted = draw.sample(passages, 40)
    queries = [" ".join(draw.sample(passage["contents"].split("\n", 1)[1].split()[:200], 8)) for passage in wanted]
    status, reply = post(url, {"queries": queries, "topk": 5, "return_scores": True})
    lists = reply["result"]
    check("a batch is answered with a list for each query", status == 200 and len(lists) == len(queries))
    check("each has topk documents with scores, best first", all(
        len(l) == 5 and all(a["score"] >= b["score"] for a, b in zip(l, l[1:])) for l in lists))
    check("contents are the corpus's own", all(
        item["document"]["contents"] == by_id[item["document"]["id"]]["contents"] for l in lists for item in l))
    hits = sum(any(item["document"]["id"] == p["id"] for item in l) for p, l in zip(wanted, lists))
    check("passages are found by their words", hits >= 38, f"{hits} of 40")
    text = as_search_r1(lists[0])
    check("Search-R1's client reads it", text.startswith('Doc 1(Title: "') and text.count("Doc ") >= 5)
    status, plain = post(url, {"queries": queries[:3], "topk": 2})
    check("without scores the documents themselves stand there", status == 200 and all(
        [item["document"] for item in l[:2]] == p for l, p in zip(lists, plain["result"])))
    status, reply = post(url, {"queries": queries[:1]})
    check("the usual number is 3", len(reply["result"][0]) == 3)
    with concurrent.futures.ThreadPoolExecutor(32) as pool:
        single = list(pool.map(lambda q: post(url, {"queries": [q], "topk": 5, "return_scores": True})[1]["result"][0], queries))
    check("32 clients at once get what a batch gets", single == lists)
    for name, body in [("no queries", {}), ("a text for a list", {"queries": "x"}), ("a negative topk", {"queries": ["x"], "topk": -1}),
                       ("a word for topk", {"queries": ["x"], "topk": "3"}), ("an unknown member", {"queries": ["x"], "k": 3})]:
        status, reply = post(url, body)
        check(f"{name} is refused", status == 422 and "detail" in reply, reply)
    for raw in (b"", b"{", b"[" * 100000, b"\xff\xfe", b'{"queries": ["\xff"]}'):
        status, reply = post(url, None, raw=raw)
        check(f"{raw[:12]!r} is refused", status == 422 and "detail" in reply)
    status, reply = post(url, {"queries": ["", " ", "🧪", "\u0000", "a" * 50000]})
    check("odd queries are answered", status == 200 and len(reply["result"]) == 5)
    with urllib.request.urlopen(address + "/metrics") as reply:
        metrics = reply.read().decode()
    check("metrics count", 'retort_requests_total{route="/retrieve",status="200"}' in metrics)


class Peer(http.server.BaseHTTPRequestHandler):
    """A server of the protocol with a word search; its manner is the server's attribute."""

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        manner = self.server.manner
        self.server.batches.append(len(body["queries"]))
        if manner == "slow":
            time.sleep(5)
        if manner == "down":
            return self.answer(500, b"Internal Server Error")
        if manner == "lying":
            return self.answer(200, b'{"result": [[{"document": 5}]]}')
        if manner == "html":
            return self.answer(200, b"<html>no</html>")
        results = []
        for query in body["queries"]:
            words = set(query.lower().split())
            ranked = sorted(self.server.passages, key=lambda p: -len(words & set(p["contents"].lower().split())))[:body["topk"]]
            score = [float(len(words & set(p["contents"].lower().split()))) for p in ranked]
            results.append([{"document": p, "score": s} for p, s in zip(ranked, score)]
                           if body.get("return_scores") else ranked)
        self.answer(200, json.dumps({"result": results}).encode())

    def answer(self, status, data):
        try:
            self.send_response(status)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)
        except BrokenPipeError:
            pass

    def log_message(self, *_):
        pass


def asks_a_python_server(passages, folder):
    peer = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Peer)
    peer.daemon_threads = True
    peer.manner, peer.batches, peer.passages = "good", [], passages[:300]
    threading.Thread(target=peer.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{peer.server_port}"
    questions = folder / "questions.jsonl"
    with open(questions, "w") as file:
        for passage in passages[:300:10]:
            words = " ".join(passage["contents"].split("\n", 1)[1].split()[:12])
            file.write(json.dumps({"question": words, "supporting": [passage["id"]]}) + "\n")

    def evaluate():
        return subprocess.run(
            [RETORT, "evaluate", "retrieval", address, questions, "--json"], capture_output=True, text=True, timeout=300)

    run = evaluate()
    figures = json.loads(run.stdout) if run.returncode == 0 else [{}]
    check("our client finds what a Python server holds", figures[0].get("recall", {}).get("mean", 0) >= 0.95,
          run.stderr[-300:] or figures[0].get("recall"))
    with Server(address, command="serve-passages") as front:
        queries = [p["contents"].split("\n", 1)[1] for p in passages[:40]]
        peer.batches.clear()
        status, reply = post(front.address + "/retrieve", {"queries": queries, "topk": 2, "return_scores": True})
        found = [l[0]["document"]["id"] for l in reply["result"]]
        check("a front before it answers batches", status == 200 and found == [p["id"] for p in passages[:40]])
        check("queries go to it together", len(peer.batches) <= 2, peer.batches)
        for manner in ("down", "lying", "html"):
            peer.manner = manner
            status, reply = post(front.address + "/retrieve", {"queries": [f"anew {manner}"]})
            check(f"a {manner} server is told", status == 502 and "retrieval server" in reply["detail"], reply)
        peer.manner = "good"
        status, _ = post(front.address + "/retrieve", {"queries": ["and again"]})
        check("and it goes on when the server is well", status == 200)
    shop = folder / "shop"
    subprocess.run([RETORT, "new", str(shop)], check=True, capture_output=True)
    for manner, holds in (("good", True), ("slow", False), ("lying", False)):
        peer.manner = manner
        text = (shop / "domain.yaml").read_text() if manner == "good" else text
        lines = text.split("\n")
        own = [line for line in lines if not line.startswith("documents:")]
        (shop / "domain.yaml").write_text(
            "\n".join(own) + f"\ndocuments: {{service: '{address}', seconds: 2, tool: look_up}}\n")
        start = time.time()
        run = subprocess.run([RETORT, "check", str(shop), "--json"], capture_output=True, text=True, timeout=300)
        found = [json.loads(l) for l in run.stdout.splitlines() if l.startswith("{")]
        documents = [f for f in found if f["name"] == "documents"]
        check(f"a domain asks a {manner} server", len(documents) == 1 and documents[0]["holds"] == holds
              and time.time() - start < 60, documents or run.stdout + run.stderr)
    peer.shutdown()


def main():
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        if len(sys.argv) > 1:
            with open(sys.argv[1]) as file:
                passages = [json.loads(line) for line in file]
            place = sys.argv[1]
        else:
            passages = corpus()
            place = folder / "passages.jsonl"
            with open(place, "w") as file:
                file.writelines(json.dumps(p) + "\n" for p in passages)
        with Server(place, "--quote-titles", command="serve-passages") as server:
            asks_our_server(server.address, passages)
            check("it stops in good order", server.stop() == 0)
        asks_a_python_server(passages, folder)
    print(f"{len(failures)} failures" if failures else "all passed")
    sys.exit(bool(failures))


if __name__ == "__main__":
    main()
