#!/usr/bin/env python3
"""`retort serve` as a user starts it beside llama.cpp's server built for this processor, on the same models, in bfloat16 and in eight
bits: completion tokens a second with 1, 8 and 32 clients, how fast a prompt of 3,000 tokens is read, and agents' chats.

    make bench-serve
    BENCH_MODELS=smollm2-135m BENCH_WEIGHTS=int8 make bench-serve        (a part of it; results are kept by part)
    BENCH_ENGINES=llama-f16 make bench-serve                             (one server alone, beside what is kept of the others)

Models: SmolLM2-135M and Qwen2.5-Coder-0.5B (`Benchmarks/students.py`); llama.cpp gets what `retort export` makes of them, bf16, and q8_0
where Retort holds int8. It is measured with keys and values in bfloat16 and, as it does by itself, in float16, and the better of the two
counts. Clients ask questions of GSM8K, greedy, with answers of up to 96 tokens. An agent's chat has its instructions, a question and a
program in it, as ToRA's agents wrote them; three times the program is to be written again with a change, each time on top of what the model
wrote before; there llama.cpp has the best of its speeds with and without drafts of its own (ngram-simple). The servers run one after the
other, BENCH_TURNS times in turn, and a ratio is the median of the turns'.

The machine's limit is measured before each turn: how fast it reads memory, and the fastest product of libtorch's in float32 or bfloat16. For
N clients it is the smaller of N tokens for each reading of the weights, and two operations a weight and token at that speed. Attention is
left out of it, and so are drafts: what Retort reaches above it with one client comes from those. Writes Benchmarks/results/serve.json.
"""
import http.client
import json
import os
import pathlib
import re
import statistics
import subprocess
import sys
import threading
import time

import llama
import students

ROOT = pathlib.Path(__file__).resolve().parent.parent
DATA = pathlib.Path(os.environ.get("BENCH_DATA", ROOT / "../shared/data")).resolve()
RETORT = pathlib.Path(os.environ.get("BENCH_RETORT", ROOT / ".build/release/retort"))
MODELS = os.environ.get("BENCH_MODELS", "smollm2-135m qwen2.5-coder-0.5b").split()
WEIGHTS = os.environ.get("BENCH_WEIGHTS", "bfloat16 int8").split()
TURNS = int(os.environ.get("BENCH_TURNS", 1))
# llama.cpp's settings: on some processors the first reads prompts at a third of the second's speed, and answers eight clients faster.
LLAMA = {"llama": ["-ctk", "bf16", "-ctv", "bf16", "-fa", "on"], "llama-f16": []}
ENGINES = os.environ.get("BENCH_ENGINES", " ".join(["retort", *LLAMA])).split()
TOKENS = 96
# How many questions each number of clients asks in all.
QUESTIONS = {"smollm2-135m": {1: 4, 8: 24, 32: 64}, "qwen2.5-coder-0.5b": {1: 2, 8: 16, 32: 32}}
GGUF = {"bfloat16": "bf16", "int8": "q8_0"}
INSTRUCTIONS = (
    "You are an expert assistant who solves tasks by writing Python programs. In each turn write one program in a code block and print "
    "what you need to know; you are then shown its output. When you know the answer, call final_answer(answer).")
CHANGES = [
    "Observation: the program ran. Write the whole program again, and print the result with a sentence.",
    "Observation: the program ran. Write the whole program again with final_answer in place of print.",
    "Observation: NameError: name 'final_answer' is not defined. Write the whole program again with print.",
]


def ask(port, messages, tokens):
    """The answer's text and usage."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=3600)
    body = json.dumps({"model": "m", "messages": messages, "temperature": 0, "max_tokens": tokens})
    connection.request("POST", "/v1/chat/completions", body, {"Content-Type": "application/json"})
    reply = connection.getresponse()
    text = reply.read()
    if reply.status != 200:
        sys.exit(f"status {reply.status}: {text[:300]!r}")
    found = json.loads(text)
    return found["choices"][0]["message"]["content"] or "", found["usage"]


class Quiet:
    """What part of the processors others had while something was measured: the bench's servers and clients are not others."""

    def __init__(self, server):
        self.server = server

    def __enter__(self):
        self.start = self.ticks()
        return self

    def __exit__(self, *_):
        busy, own, idle = (after - before for after, before in zip(self.ticks(), self.start))
        self.others = max(0, busy - own) / max(1, busy + idle)

    def ticks(self):
        user, nice, system, idle, waiting, *rest = (int(field) for field in pathlib.Path("/proc/stat").read_text().split("\n")[0].split()[1:9])
        def of(pid):
            fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            return int(fields[11]) + int(fields[12])
        return user + nice + system + sum(rest), of(self.server.process.pid) + of("self"), idle + waiting


def chat(text):
    return [{"role": "user", "content": text}]


class Server:
    def __init__(self, command, port):
        self.port = port
        self.process = subprocess.Popen([str(part) for part in command], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        end = time.monotonic() + 600
        while time.monotonic() < end:
            try:
                connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
                connection.request("GET", "/health")
                if connection.getresponse().status == 200:
                    return
            except OSError:
                pass
            if self.process.poll() is not None:
                sys.exit(f"{command[0]} ended with {self.process.returncode}")
            time.sleep(0.1)
        sys.exit(f"{command[0]} did not start within ten minutes")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(timeout=120)


def rate(port, questions, clients):
    """Completion tokens a second of `clients` that ask one question after the other."""
    left, counted, lock = list(questions), [0], threading.Lock()

    def work():
        while True:
            with lock:
                if not left:
                    return
                question = left.pop()
            tokens = ask(port, chat(question), TOKENS)[1]["completion_tokens"]
            with lock:
                counted[0] += tokens

    start = time.monotonic()
    threads = [threading.Thread(target=work) for _ in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return counted[0] / (time.monotonic() - start)


def reading(port, questions, turn):
    """Prompt tokens a second of one long prompt that nobody asked before."""
    prompt = f"Turn {turn}. " + "\n".join(questions)[:11500]
    start = time.monotonic()
    usage = ask(port, chat(prompt), 1)[1]
    return usage["prompt_tokens"] / (time.monotonic() - start)


def agents(port, trajectories):
    """Completion tokens a second of an agent that writes its programs again with a change, one agent after the other."""
    tokens, start = 0, time.monotonic()
    for question, program in trajectories:
        messages = [
            {"role": "system", "content": INSTRUCTIONS}, {"role": "user", "content": question},
            {"role": "assistant", "content": program}]
        for change in CHANGES:
            messages.append({"role": "user", "content": change})
            text, usage = ask(port, messages, 2 * TOKENS)
            messages.append({"role": "assistant", "content": text})
            tokens += usage["completion_tokens"]
    return tokens / (time.monotonic() - start)


def machine():
    """Bytes a second read from memory, and FLOP a second of the fastest large product, in a process of its own."""
    code = """
import json, time, torch
def best(body, seconds):
    found, end = float("inf"), time.time() + seconds
    while time.time() < end:
        start = time.time(); body(); found = min(found, time.time() - start)
    return found
memory = torch.zeros(1 << 28, dtype=torch.int64)
read = memory.nbytes / best(lambda: memory.max(), 3)
speed = {}
for kind in (torch.float32, torch.bfloat16):
    a, b = torch.randn(2048, 2048).to(kind), torch.randn(2048, 2048).to(kind)
    speed[str(kind)] = 2 * 2048 ** 3 / best(lambda: torch.nn.functional.linear(a, b), 2)
print(json.dumps({"read": read, "products": speed}))
"""
    return json.loads(subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, check=True).stdout)


def programs(count):
    """Questions with the programs that ToRA's agent wrote."""
    found = []
    for line in (DATA / "tora/tora-70b-gsm8k-test.jsonl").read_text().splitlines():
        record = json.loads(line)
        if block := re.match(r"```python\n.*?```", record["code"][0], re.S):
            found.append((record["question"], block.group(0)))
        if len(found) == count:
            return found
    return found


def gguf(name, kind):
    """The model as llama.cpp reads it, made unless it is there."""
    target = students.FOLDER / f"{name}-{kind}.gguf"
    if not target.exists():
        subprocess.run([RETORT, "export", students.checkpoint(name), "--out", target, "--precision", kind], check=True)
    return target


def measure(name, weights, turn, questions, found):
    if "retort" in ENGINES:
        found.setdefault("machine", []).append(machine())
    engines = {
        "retort": ([RETORT, "serve", f"m={students.checkpoint(name)}", "--port", "18101", "--weights", weights,
                    "--request-seconds", "3600"], 18101),
    }
    for engine, settings in LLAMA.items():
        engines[engine] = ([llama.programs() / "llama-server", "-m", gguf(name, GGUF[weights]), "--port", "18102", "-np", "32", "-c",
                            "131072", "-t", "2", *settings, "--timeout", "3600"], 18102)

    def take(what, engine, server, body):
        with Quiet(server) as quiet:
            rate = body()
        found.setdefault(f"{engine} {what}", []).append(rate)
        found["others"] = max(found.get("others", 0), quiet.others)
        print(f"{name} {weights} {engine} {what}: {rate:.0f} tokens/s, others had {quiet.others:.0%} of the processors", flush=True)

    for engine, (command, port) in engines.items():
        if engine not in ENGINES:
            continue
        with Server(command, port) as server:
            ask(port, chat("Hello"), 4)
            for clients, count in QUESTIONS[name].items():
                part = questions[turn * 64:turn * 64 + count]
                take(clients, engine, server, lambda: rate(port, part, clients))
            take("prompt", engine, server, lambda: reading(port, questions, turn))
            take("agents", engine, server, lambda: agents(port, programs(2 * turn + 2)[2 * turn:]))
        if engine == "retort":
            continue
        # Its own drafts from the text are for agents' chats alone: with several clients they slow it down.
        with Server(command + ["--spec-type", "ngram-simple"], port) as server:
            ask(port, chat("Hello"), 4)
            take("agents, drafting", engine, server, lambda: agents(port, programs(2 * turn + 2)[2 * turn:]))


def parameters(name):
    """Weights that each token is multiplied with: all matrices, the head included."""
    config = json.loads((students.checkpoint(name) / "config.json").read_text())
    hidden, inner, layers = config["hidden_size"], config["intermediate_size"], config["num_hidden_layers"]
    width = config.get("head_dim") or hidden // config["num_attention_heads"]
    queries, keys = config["num_attention_heads"] * width, config["num_key_value_heads"] * width
    return layers * (2 * hidden * queries + 2 * hidden * keys + 3 * hidden * inner), hidden * config["vocab_size"]


def table(results):
    lines = ["| model, weights | what | retort serve | llama-server | ratio | of the machine's limit |", "| --- | --- | ---: | ---: | ---: | ---: |"]
    for part, found in results.items():
        name, weights = part.split(", ")
        if found["others"] > 0.05:
            lines.append(f"| {part} | not to be trusted: others had {found['others']:.0%} of the processors | | | | |")
        read = statistics.median(turn["read"] for turn in found["machine"])
        speed = statistics.median(max(turn["products"].values()) for turn in found["machine"])
        layers, head = parameters(name)
        products = speed / (2 * (layers + head))
        for what, label in (("1", "1 client"), ("8", "8 clients"), ("32", "32 clients"), ("prompt", "a prompt of 3,000 tokens"),
                            ("agents", "an agent's chats")):
            ways = [what, "agents, drafting"] if what == "agents" else [what]
            rivals = [found[key] for engine in LLAMA for way in ways if (key := f"{engine} {way}") in found]
            ours, theirs = found[f"retort {what}"], [max(turns) for turns in zip(*rivals)]
            ratio = statistics.median(a / b for a, b in zip(ours, theirs))
            clients = 1 if what == "agents" else int(what) if what.isdigit() else None
            # Of a prompt only the last token meets the head.
            # A step reads all matrices; of an embedding that is none of them it looks up rows.
            limit = min(clients * read / ((layers + head) * {"bfloat16": 2, "int8": 1}[weights]), products) if clients else speed / (2 * layers)
            rate = statistics.median(ours)
            lines.append(
                f"| {part} | {label} | {rate:.0f} | {statistics.median(theirs):.0f} | {ratio:.2f} × | {rate / limit:.0%} of {limit:.0f} |")
    return "\n".join(lines)


def main():
    file = ROOT / "Benchmarks/results/serve.json"
    results = json.loads(file.read_text()) if file.exists() else {}
    lines = (DATA / "gsm8k/test.jsonl").read_text().splitlines()
    questions = [json.loads(line)["question"] for line in lines[:200]]
    for name in MODELS:
        for weights in WEIGHTS:
            kept = results.get(f"{name}, {weights}", {})
            found = {key: rates for key, rates in kept.items() if "retort" not in ENGINES and key.split()[0] not in ENGINES}
            for turn in range(TURNS):
                measure(name, weights, turn, questions, found)
            results[f"{name}, {weights}"] = found
            file.write_text(json.dumps(results, indent=2) + "\n")
    print(table(results))


if __name__ == "__main__":
    main()
