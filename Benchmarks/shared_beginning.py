#!/usr/bin/env python3
"""What a thousand agents over one beginning of 2,000 tokens need of the cache's memory, as `/metrics` of `retort serve` tells it.

    make bench-cache

All agents have the same instructions, each has a question of its own, and all write at the same time. Beside what the cache holds stands
what their own tokens need at least, and the beginning once. Writes Benchmarks/results/cache.json.
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
OWN, MOST, PORT = int(os.environ.get("BENCH_OWN", 96)), 320, 18103


async def agent(beginning, question):
    """Asks, and reads what comes until it is cancelled."""
    body = json.dumps({
        "model": "m", "max_tokens": MOST, "temperature": 0.8,
        "messages": [{"role": "system", "content": beginning}, {"role": "user", "content": question}]}).encode()
    reader, writer = await asyncio.open_connection("127.0.0.1", PORT)
    try:
        writer.write(b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                     b"Content-Length: %d\r\n\r\n" % len(body) + body)
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
        if now["sequences"] < len(agents):
            if found:
                break
            continue
        own = now["tokens"] - shared * len(agents)
        needed = (own + shared) * now["token_bytes"]
        used = now["used_bytes"] + now["kept_bytes"]
        found.append({"own": own / len(agents), "needed": needed, "used": used, "ratio": used / needed, **now})
        if own >= OWN * len(agents):
            break
    for each in agents:
        each.cancel()
    return found


def main():
    lines = (serving.DATA / "gsm8k/train.jsonl").read_text().splitlines()
    records = [json.loads(line) for line in lines]
    beginning = "You solve problems as these are solved.\n" + "\n".join(
        f"Question: {record['question']}\nAnswer: {record['answer']}" for record in records[:12])
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
        "agents": AGENTS, "beginning": said["prompt_tokens"], "ownTokens": last["own"], "usedMB": last["used"] / 1e6,
        "neededMB": last["needed"] / 1e6, "ratio": last["ratio"], "sharedPages": last["shared_pages"],
        "withoutSharingMB": last["tokens"] * last["token_bytes"] / 1e6}
    print(json.dumps(result, indent=2))
    (serving.ROOT / "Benchmarks/results/cache.json").write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
