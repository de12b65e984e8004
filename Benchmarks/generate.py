#!/usr/bin/env python3
"""Generation with a Qwen2.5-0.5B-shaped model: Retort beside transformers and llama.cpp on the same machine.

    make bench-generate               (all engines stay loaded, 8 GB; about ten minutes on two cores)
    BENCH_TURNS=5 make bench-generate

Random weights, one prompt, the time of a step behind the prompt's reading and one step to warm up. llama.cpp loads the GGUF
file that `retort export` writes, in bfloat16 and q8_0; Retort runs bfloat16, int8 and int4; transformers bfloat16. A shared
machine's memory is faster at one minute than at the next, so the engines take turns of a dozen steps, in an order that is
turned round each time; figures are medians over the turns, and a ratio is the median of each turn's. Writes
Benchmarks/results/generate.json.
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
STEPS, PROMPT = 12, 200
TURNS = int(os.environ.get("BENCH_TURNS", 40))
THREADS = int(os.environ.get("OMP_NUM_THREADS", os.cpu_count()))
PROMPT_TOKENS = list(range(100, 160))


class Engine:
    """A process that reads a number of samples a line and writes the seconds of a step."""

    def __init__(self, *command):
        self.process = subprocess.Popen(
            [str(part) for part in command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        )
        self.step(1)

    def step(self, samples):
        self.process.stdin.write(f"{samples}\n")
        line = self.process.stdout.readline()
        if not line:
            sys.exit(f"{' '.join(self.process.args)}: ended with {self.process.wait()}")
        # Threads that wait by spinning shall have gone to sleep before another engine's turn.
        time.sleep(0.2)
        return float(line)

    def close(self):
        self.process.stdin.close()
        self.process.wait(60)


def serve(step):
    for line in sys.stdin:
        print(step(int(line)), flush=True)


def llama_cpp(file):
    import llama_cpp
    import numpy as np

    model = llama_cpp.llama_model_load_from_file(file.encode(), llama_cpp.llama_model_default_params())
    vocabulary = SHAPE["vocab_size"]
    batch = llama_cpp.llama_batch_init(512, 0, 1)

    def context_for(samples):
        options = llama_cpp.llama_context_default_params()
        options.n_ctx, options.n_batch, options.n_seq_max = 4096, 512, samples
        options.n_threads = options.n_threads_batch = THREADS
        return llama_cpp.llama_init_from_model(model, options)

    contexts = {}

    def put(context, tokens, position, logits_at):
        batch.n_tokens = len(tokens)
        for i, (token, sequence) in enumerate(tokens):
            batch.token[i], batch.pos[i], batch.n_seq_id[i] = token, position(i), 1
            batch.seq_id[i][0] = sequence
            batch.logits[i] = int(i in logits_at)
        assert llama_cpp.llama_decode(context, batch) == 0

    def step(samples):
        if samples not in contexts:
            contexts[samples] = context_for(samples)
        context = contexts[samples]
        llama_cpp.llama_memory_clear(llama_cpp.llama_get_memory(context), True)
        for sequence in range(samples):
            put(context, [(token, sequence) for token in PROMPT_TOKENS], lambda i: i, {len(PROMPT_TOKENS) - 1})
        tokens = [5] * samples
        for number in range(STEPS + 1):
            if number == 1:
                start = time.perf_counter()
            put(context, list(zip(tokens, range(samples))), lambda _: len(PROMPT_TOKENS) + number, set(range(samples)))
            for s in range(samples):
                scores = np.ctypeslib.as_array(llama_cpp.llama_get_logits_ith(context, s), shape=(vocabulary,))
                tokens[s] = int(scores.argmax())
        return (time.perf_counter() - start) / STEPS

    serve(step)


def transformers(folder):
    import torch
    from transformers import AutoModelForCausalLM
    from transformers.generation.streamers import BaseStreamer

    class Clock(BaseStreamer):
        """Notes when tokens come: first the prompt's, then each step's."""

        def __init__(self):
            self.times = []

        def put(self, value):
            self.times.append(time.perf_counter())

        def end(self):
            pass

    torch.set_num_threads(THREADS)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.bfloat16).eval()
    prompt = torch.tensor(PROMPT_TOKENS)[None]

    def step(samples):
        clock = Clock()
        with torch.no_grad():
            model.generate(
                prompt, max_new_tokens=STEPS + 2, min_new_tokens=STEPS + 2, do_sample=samples > 1,
                num_return_sequences=samples, top_k=0, pad_token_id=0, streamer=clock,
            )
        return (clock.times[-1] - clock.times[2]) / (len(clock.times) - 3)

    serve(step)


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

        def ours(*packing):
            return Engine(BENCH, "turns", folder, PROMPT, STEPS, *packing)

        def peer(name, path):
            return Engine(sys.executable, __file__, name, path)

        engines = {
            "Retort bf16": ours(), "llama.cpp bf16": peer("llama_cpp", scratch / "bf16.gguf"),
            "Retort int8": ours("int8"), "llama.cpp q8_0": peer("llama_cpp", scratch / "q8_0.gguf"),
            "Retort int4": ours("int4"), "transformers bf16": peer("transformers", folder),
        }
        turns = []
        for number in range(TURNS):
            turn = {name: [0, 0] for name in engines}
            for place, samples in enumerate((1, 8)):
                for name in list(engines)[:: 1 if number % 2 == 0 else -1]:
                    turn[name][place] = engines[name].step(samples)
            turns.append(turn)
            print(f"turn {number + 1}/{TURNS}", {n: round(one * 1e3, 1) for n, (one, _) in turn.items()}, file=sys.stderr)
        for engine in engines.values():
            engine.close()
    report(list(engines), turns)


def report(engines, turns):
    def median(figure):
        return statistics.median(figure(turn) for turn in turns)

    def ratio(peer, ours):
        return median(lambda turn: turn[peer][0] / turn[ours][0])

    steps = {name: [median(lambda turn: turn[name][i]) for i in (0, 1)] for name in engines}
    eight = {name: median(lambda turn: turn[name][1] / turn[name][0]) for name in engines}
    for name, (one, many) in steps.items():
        print(f"{name:18} 1 sample {one * 1e3:7.1f} ms a step   8 samples {many * 1e3:7.1f} ms   {eight[name]:.2f} x")
    results = {
        "threads": THREADS, "turns": TURNS, "steps": steps,
        "bf16_ratio": ratio("llama.cpp bf16", "Retort bf16"),
        "int8_ratio": ratio("llama.cpp q8_0", "Retort int8"),
        "transformers_ratio": ratio("transformers bf16", "Retort bf16"),
        "eight_samples": eight,
    }
    print(f"against llama.cpp: bf16 {results['bf16_ratio']:.2f} x, int8/q8_0 {results['int8_ratio']:.2f} x")
    (ROOT / "Benchmarks/results/generate.json").write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    {"llama_cpp": llama_cpp, "transformers": transformers}[sys.argv[1]](sys.argv[2]) if len(sys.argv) == 3 else main()
