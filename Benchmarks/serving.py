#!/usr/bin/env python3
"""`retort serve` as a user starts it beside llama.cpp's server, on the same model: completion tokens a second with 1, 8 and 32
clients that ask questions of GSM8K, and how fast a prompt of 3,000 tokens is read.

    make build
    python3 Benchmarks/serving.py --model FOLDER --gguf MODEL.gguf --llama-server PATH [--questions gsm8k_test.jsonl]

FOLDER is the checkpoint that MODEL.gguf was made from (`retort export FOLDER --out MODEL.gguf --precision bf16`, or q8_0 with
`--weights int8`). llama.cpp must be built for this processor: `cmake -DGGML_NATIVE=ON`, target `llama-server`; its source is in
the package llama-cpp-python. The servers run one after the other, several times in turn, and a ratio is the median of the turns'.
"""
import argparse
import http.client
import json
import pathlib
import statistics
import subprocess
import sys
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
TOKENS = 96


def ask(port, prompt, tokens):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=600)
    body = json.dumps({"model": "m", "messages": [{"role": "user", "content": prompt}], "temperature": 0, "max_tokens": tokens})
    connection.request("POST", "/v1/chat/completions", body, {"Content-Type": "application/json"})
    reply = connection.getresponse()
    text = reply.read()
    if reply.status != 200:
        sys.exit(f"status {reply.status}: {text[:300]!r}")
    return json.loads(text)["usage"]


class Server:
    def __init__(self, command, port):
        self.port = port
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for _ in range(600):
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
        sys.exit(f"{command[0]} did not start within a minute")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(timeout=60)


def rate(port, questions, clients):
    """Completion tokens a second of `clients` that ask one question after the other."""
    left, counted, lock = list(questions), [0], threading.Lock()

    def work():
        while True:
            with lock:
                if not left:
                    return
                question = left.pop()
            tokens = ask(port, question, TOKENS)["completion_tokens"]
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
    usage = ask(port, prompt, 1)
    return usage["prompt_tokens"] / (time.monotonic() - start)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", required=True)
    parser.add_argument("--gguf", required=True)
    parser.add_argument("--llama-server", required=True)
    parser.add_argument("--weights")
    parser.add_argument("--questions", default=str(ROOT.parent / "shared/data/gsm8k/test.jsonl"))
    parser.add_argument("--turns", type=int, default=2)
    arguments = parser.parse_args()
    lines = pathlib.Path(arguments.questions).read_text().splitlines()
    questions = [json.loads(line)["question"] for line in lines[:200]]
    weights = ["--weights", arguments.weights] if arguments.weights else []
    engines = {
        "retort serve": (
            [str(ROOT / ".build/release/retort"), "serve", f"m={arguments.model}", "--port", "18101", *weights], 18101),
        "llama-server": (
            [arguments.llama_server, "-m", arguments.gguf, "--port", "18102", "-np", "32", "-c", "131072", "-t", "2",
             "-ctk", "bf16", "-ctv", "bf16", "-fa", "on"], 18102),
    }
    found = {}
    for turn in range(arguments.turns):
        for name, (command, port) in engines.items():
            with Server(command, port):
                ask(port, "Hello", 4)
                for clients, count in ((1, 4), (8, 24), (32, 64)):
                    part = questions[turn * 64:turn * 64 + count]
                    found.setdefault((clients, name), []).append(rate(port, part, clients))
                found.setdefault(("prompt", name), []).append(reading(port, questions, turn))
    print("| what | retort serve, tokens/s | llama-server, tokens/s | ratio |\n| --- | ---: | ---: | ---: |")
    for what in (1, 8, 32, "prompt"):
        ours, theirs = found[what, "retort serve"], found[what, "llama-server"]
        ratio = statistics.median(a / b for a, b in zip(ours, theirs))
        label = "a prompt of 3,000 tokens" if what == "prompt" else f"{what} client{'s' * (what > 1)}"
        print(f"| {label} | {statistics.median(ours):.0f} | {statistics.median(theirs):.0f} | {ratio:.2f} × |")


if __name__ == "__main__":
    main()
