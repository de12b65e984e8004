#!/usr/bin/env python3
"""What a thousand agents over one beginning of 2,000 tokens need of the cache's memory, as `/metrics` of `retort serve` tells it.

    make bench-cache

All agents have the same instructions, each has questions of its own, one after the other, and all write at the same time. Beside what the
requests under way hold stands what their own tokens need at least, and the beginning once. Writes Benchmarks/results/cache.json.
"""
import asyncio
import json
import os
import re
import sys
import time

import serving
import students

AGENTS = int(os.environ.get("BENCH_AGENTS", 1000))
MODEL = os.environ.get("BENCH_MODELS", "smollm2-135m").split()[0]
# Own tokens of an agent, in the mean, at which it is enough; the prompts' own included.
OWN, MOST, PORT = int(os.environ.get("BENCH_OWN", 128)), 320, 18103


async def agent(beginning, question):
    """Asks one question after the other until it is cancelled."""
    step = 0
    while True:
        step += 1
        await answered(beginning, f"{question} ({step})")


async def answered(beginning, question):
    body = json.dumps({
        "model": "m", "max_tokens": MOST, "temperature": 0.8,
        "messages": [{"role": "system", "content": beginning}, {"role": "user", "content": question}]}).encode()
    reader, writer = await asyncio.open_connection("127.0.0.1", PORT)
    try:
        writer.write(b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                     b"Connection: close\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        head = await reader.readline()
        if b" 200 " not in head:
            sys.exit(f"an agent was answered {head!r}")
        await reader.read()
    finally:
        writer.close()


async def metrics():
    reader, writer = await asyncio.open_connection("127.0.0.1", PORT)
    writer.write(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    text = (await reader.read()).decode()
    writer.close()
    return {name: float(value) for name, value in re.findall(r"^retort_cache_(\w+)(?:\{.*\})? (\S+)$", text, re.M)}


async def watch(beginning, shared, questions):
    agents = [asyncio.create_task(agent(beginning, question)) for question in questions]
    found, end = [], time.monotonic() + 3000
    while time.monotonic() < end:
        await asyncio.sleep(2)
        now = await metrics()
        # One that is between two questions holds nothing.
        if now["sequences"] < 0.98 * len(agents):
            continue
        own = now["tokens"] - shared * now["sequences"]
        needed = (own + shared) * now["token_bytes"]
        found.append({"own": own / now["sequences"], "needed": needed, "ratio": now["used_bytes"] / needed, **now})
        print(f"{now['sequences']:.0f} agents, {found[-1]['own']:.0f} tokens of their own, {found[-1]['ratio']:.2f} x", flush=True)
        if found[-1]["own"] >= OWN:
            break
    for each in agents:
        each.cancel()
    return found


def main():
    lines = (serving.DATA / "gsm8k/train.jsonl").read_text().splitlines()
    records = [json.loads(line) for line in lines]
    beginning = "You are a teacher. Retell each problem at length, in your own words, before you solve it. Problems are like these:\n"
    beginning += "\n".join(record["question"] for record in records)[:7750]
    questions = [" ".join(record["question"].split()[:14]) for record in records[100:100 + AGENTS]]
    command = [serving.RETORT, "serve", f"m={students.checkpoint(MODEL)}", "--port", PORT, "--maximum-running", AGENTS,
               "--maximum-waiting", AGENTS, "--cache-memory", os.environ.get("BENCH_CACHE_GB", "9"), "--request-seconds", "3600"]
    with serving.Server(command, PORT):
        # All but the question's own token is what agents begin with.
        said = serving.ask(PORT, [{"role": "system", "content": beginning}, {"role": "user", "content": "a"}], 1)[1]
        found = asyncio.run(watch(beginning, said["prompt_tokens"], questions))
    if not found:
        sys.exit("never were all agents under way at once")
    last = found[-1]
    result = {
        "agents": AGENTS, "beginning": said["prompt_tokens"], "ownTokens": last["own"], "usedMB": last["used_bytes"] / 1e6,
        "neededMB": last["needed"] / 1e6, "ratio": last["ratio"], "sharedPages": last["shared_pages"],
        "keptMB": last["kept_bytes"] / 1e6, "withoutSharingMB": last["tokens"] * last["token_bytes"] / 1e6}
    print(json.dumps(result, indent=2))
    (serving.ROOT / "Benchmarks/results/cache.json").write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
