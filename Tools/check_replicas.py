#!/usr/bin/env python3
"""Tries `retort serve --upstream` in front of three servers of the 1M Seedling that are killed and started again while clients ask.

    Tools/check_replicas.py [--seconds 60] [--clients 8]

Needs `make build` (RETORT names another binary). Agents of several steps keep to one server; every answer, streamed or not, is the one that a
server alone gives, or a stream that says that it broke off. Ends with code 1 where that is not so.
"""
import argparse
import collections
import json
import random
import re
import sys
import threading
import time
import urllib.error
import urllib.request

from server_process import ROOT, Server

faults = []


def check(name, passed, detail=""):
    print(f"{'ok  ' if passed else 'FAIL'} {name}{'  ' + str(detail) if detail != '' else ''}", flush=True)
    if not passed:
        faults.append(name)


def post(address, body, seconds=60):
    """The status, and the text of the answer."""
    request = urllib.request.Request(
        f"{address}/v1/chat/completions", json.dumps(body).encode(), {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=seconds) as reply:
            return reply.status, reply.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def chat(question, steps=0, streamed=False, model="small"):
    messages = [{"role": "system", "content": "You answer."}, {"role": "user", "content": question}]
    for step in range(steps):
        messages += [{"role": "assistant", "content": f"step {step}"}, {"role": "user", "content": "go on"}]
    return {"model": model, "messages": messages, "temperature": 0, "max_tokens": 24, "stream": streamed}


def whole(text):
    return json.loads(text)["choices"][0]["message"]["content"]


def joined(text):
    """A stream's text, and whether it ended well; None where it says neither that nor what went wrong."""
    events = [line[6:] for line in text.split("\n\n") if line.startswith("data: ")]
    parts = [json.loads(event) for event in events if event != "[DONE]"]
    content = "".join(p["choices"][0]["delta"].get("content") or "" for p in parts if p.get("choices"))
    if events and events[-1] == "[DONE]":
        return content, True
    return content, False if parts and "error" in parts[-1] else None


def figures(page, name):
    """By replica."""
    return {found[1]: float(found[2]) for found in re.finditer(rf'^{name}{{model="small",replica="([^"]+)"}} (\S+)$', page, re.M)}


def replica(port=0):
    return Server(f"small={ROOT / 'seedlings/1m'}", port=port)


def keeping(front, servers):
    """Agents of five steps: each keeps to one server, all servers have some."""
    before = [served(server) for server in servers]
    for agent in range(12):
        took = [served(server) for server in servers]
        for step in range(5):
            post(front.address, chat(f"question {agent}", step))
        counts = [served(server) - count for server, count in zip(servers, took)]
        if sorted(counts) != [0, 0, 5]:
            faults.append(f"agent {agent} went to {counts}")
    spread = [served(server) - count for server, count in zip(servers, before)]
    check("each agent's five steps go to one server, and all servers have agents", not faults and min(spread) > 0, spread)


def served(server):
    found = re.search(r'^retort_requests_total{route="/v1/chat/completions",status="200"} (\d+)', server.get("/metrics"), re.M)
    return int(found[1]) if found else 0


def killing(front, servers, ports, answers, seconds, clients):
    """Kills servers and starts them again while clients ask."""
    counts, over, seen = collections.Counter(), threading.Event(), threading.Lock()

    def ask(seed):
        draw = random.Random(seed)
        while not over.is_set():
            question = draw.choice(sorted(answers))
            streamed = draw.random() < 0.5
            status, text = post(front.address, chat(question, streamed=streamed))
            if status != 200:
                kind = f"status {status}"
            elif not streamed:
                kind = "whole" if whole(text) == answers[question] else "wrong"
            else:
                content, ended = joined(text)
                right = content == answers[question] if ended else answers[question].startswith(content)
                kind = "wrong" if not right or ended is None else "streamed" if ended else "told that it broke off"
            with seen:
                counts[kind] += 1
                if kind not in ("whole", "streamed", "told that it broke off"):
                    print(f"     {kind}: {text[:300]!r}", flush=True)

    threads = [threading.Thread(target=ask, args=(seed,)) for seed in range(clients)]
    for thread in threads:
        thread.start()
    kills, draw, end = 0, random.Random(1), time.time() + seconds
    while time.time() < end:
        time.sleep(draw.uniform(0.5, 2))
        victim = draw.randrange(len(servers))
        servers[victim].process.kill()
        servers[victim].process.wait()
        servers[victim].process.stdout.close()
        kills += 1
        time.sleep(draw.uniform(0.2, 1))
        servers[victim] = replica(ports[victim])
    over.set()
    for thread in threads:
        thread.join()
    print(f"     {kills} kills, {dict(counts)}", flush=True)
    check("no answer is wrong", counts["wrong"] == 0)
    check("none of those in one piece fails", not any(kind.startswith("status") for kind in counts), dict(counts))


def main():
    options = argparse.ArgumentParser()
    options.add_argument("--seconds", type=float, default=60)
    options.add_argument("--clients", type=int, default=8)
    options = options.parse_args()
    servers = [replica() for _ in range(3)]
    ports = [int(server.address.rsplit(":", 1)[1]) for server in servers]
    try:
        answers = {}
        for number in range(20):
            question = f"What is {number} * 7?"
            answers[question] = whole(post(servers[0].address, chat(question))[1])
        with Server("--upstream", "small=" + ",".join(server.address for server in servers)) as front:
            keeping(front, servers)
            killing(front, servers, ports, answers, options.seconds, options.clients)
            time.sleep(3)
            for number in range(40):
                post(front.address, chat(f"again {number}"))
            healthy = figures(front.get("/metrics"), "retort_replica_healthy")
            check("afterwards all are healthy", list(healthy.values()) == [1, 1, 1], healthy)
            for server in servers:
                server.stop()
            status, text = post(front.address, chat("nobody"))
            check("with none left: 502, and each is named", status == 502 and all(str(port) in text for port in ports), text.strip()[:300])
            status, text = post(front.address, chat("nobody"))
            check("then 503", status == 503, text.strip()[:120])
            check("nothing is left under way", sum(figures(front.get("/metrics"), "retort_replica_in_flight").values()) == 0)
            check("and the exit code is 0", front.stop() == 0)
    finally:
        for server in servers:
            if server.process.poll() is None:
                server.stop()
    sys.exit(bool(faults))


if __name__ == "__main__":
    main()
