#!/usr/bin/env python3
"""Generation with a Qwen2.5-0.5B-shaped model: Retort beside transformers and llama.cpp on the same machine.

    make bench-generate

Random weights, one prompt, the time of a step measured as the difference between a long and a short answer, so that
reading the prompt does not count. llama.cpp loads the GGUF file that `retort export` writes, in bfloat16 and q8_0; Retort
runs bfloat16 and its int8; transformers bfloat16. The engines take turns in several rounds, since a shared machine's
memory is faster at one minute than at the next; figures are medians over the rounds, and ratios medians of each
round's. Writes Benchmarks/results/generate.json.
"""
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

from train import SHAPE

ROOT = pathlib.Path(__file__).resolve().parent.parent
BENCH = ROOT / ".build/release/generate-bench"
RETORT = ROOT / ".build/release/retort"
TOKENS, PROMPT = 48, 200
ROUNDS = int(os.environ.get("BENCH_ROUNDS", 5))
THREADS = int(os.environ.get("OMP_NUM_THREADS", os.cpu_count()))


def retort(folder, samples, *packing):
    done = subprocess.run(
        [BENCH, "run", folder, str(PROMPT), str(TOKENS), str(samples), *packing], capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout)["step"]


def llama_cpp(file, samples):
    import llama_cpp
    import numpy as np

    params = llama_cpp.llama_model_default_params()
    model = llama_cpp.llama_model_load_from_file(str(file).encode(), params)
    options = llama_cpp.llama_context_default_params()
    options.n_ctx, options.n_batch, options.n_seq_max = 4096, 512, samples
    options.n_threads = options.n_threads_batch = THREADS
    context = llama_cpp.llama_init_from_model(model, options)
    vocabulary = SHAPE["vocab_size"]
    batch = llama_cpp.llama_batch_init(512, 0, 1)

    def put(tokens, position, logits_at):
        batch.n_tokens = len(tokens)
        for i, (token, sequence) in enumerate(tokens):
            batch.token[i], batch.pos[i], batch.n_seq_id[i] = token, position(i), 1
            batch.seq_id[i][0] = sequence
            batch.logits[i] = int(i in logits_at)
        assert llama_cpp.llama_decode(context, batch) == 0

    prompt = list(range(100, 160))
    for sequence in range(samples):
        put([(token, sequence) for token in prompt], lambda i: i, {len(prompt) - 1})
    tokens = [5] * samples

    def step(number):
        put([(token, s) for s, token in enumerate(tokens)], lambda _: len(prompt) + number, set(range(samples)))
        for s in range(samples):
            scores = np.ctypeslib.as_array(llama_cpp.llama_get_logits_ith(context, s), shape=(vocabulary,))
            tokens[s] = int(scores.argmax())

    for number in range(2):
        step(number)
    start = time.time()
    for number in range(2, 2 + TOKENS):
        step(number)
    seconds = (time.time() - start) / TOKENS
    llama_cpp.llama_free(context)
    llama_cpp.llama_model_free(model)
    return seconds


def transformers(folder, samples):
    import torch
    from transformers import AutoModelForCausalLM

    torch.set_num_threads(THREADS)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.bfloat16).eval()
    prompt = torch.arange(100, 160)[None]

    def seconds(count):
        start = time.time()
        model.generate(
            prompt, max_new_tokens=count, min_new_tokens=count, do_sample=samples > 1, num_return_sequences=samples,
            top_k=0, pad_token_id=0,
        )
        return time.time() - start

    with torch.no_grad():
        seconds(2)
        return (seconds(TOKENS + 2) - seconds(2)) / TOKENS


def main():
    with tempfile.TemporaryDirectory() as scratch:
        scratch = pathlib.Path(scratch)
        (scratch / "config.json").write_text(json.dumps(SHAPE))
        folder = scratch / "model"
        subprocess.run([BENCH, "make", scratch / "config.json", ROOT / "seedlings/3m", folder], check=True)
        for precision in ("bf16", "q8_0"):
            subprocess.run(
                [RETORT, "export", folder, "--out", scratch / f"{precision}.gguf", "--precision", precision],
                check=True, stdout=subprocess.DEVNULL,
            )
        engines = {
            "Retort bf16": lambda n: retort(folder, n),
            "llama.cpp bf16": lambda n: llama_cpp(scratch / "bf16.gguf", n),
            "Retort int8": lambda n: retort(folder, n, "int8"),
            "llama.cpp q8_0": lambda n: llama_cpp(scratch / "q8_0.gguf", n),
            "Retort int4": lambda n: retort(folder, n, "int4"),
            "transformers bf16": lambda n: transformers(folder, n),
        }
        rounds = []
        for number in range(ROUNDS):
            rounds.append({name: [engine(n) for n in (1, 8)] for name, engine in engines.items()})
            print(f"round {number + 1}/{ROUNDS}", {n: round(one * 1e3, 1) for n, (one, _) in rounds[-1].items()}, file=sys.stderr)

    def median(figure):
        return statistics.median(figure(one_round) for one_round in rounds)

    def ratio(peer, ours):
        return median(lambda r: r[peer][0] / r[ours][0])

    steps = {name: [median(lambda r: r[name][i]) for i in (0, 1)] for name in engines}
    eight = {name: median(lambda r: r[name][1] / r[name][0]) for name in engines}
    for name, (one, many) in steps.items():
        print(f"{name:18} 1 sample {one * 1e3:7.1f} ms a step   8 samples {many * 1e3:7.1f} ms   {eight[name]:.2f} x")
    results = {
        "threads": THREADS, "rounds": ROUNDS, "steps": steps,
        "bf16_ratio": ratio("llama.cpp bf16", "Retort bf16"),
        "int8_ratio": ratio("llama.cpp q8_0", "Retort int8"),
        "transformers_ratio": ratio("transformers bf16", "Retort bf16"),
        "eight_samples": eight,
    }
    print(f"against llama.cpp: bf16 {results['bf16_ratio']:.2f} x, int8/q8_0 {results['int8_ratio']:.2f} x")
    (ROOT / "Benchmarks/results/generate.json").write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
