#!/usr/bin/env python3
"""LoRA fine-tuning of pretrained models on real samples: `retort train`, as a user starts it, beside TRL + PEFT with the same torch.

    make bench-train                                  (two models, two engines; about fifteen minutes on two cores)
    BENCH_SAMPLES=16 BENCH_MODELS=smollm2-135m make bench-train

Models: SmolLM2-135M and Qwen2.5-Coder-0.5B in bfloat16 (`Benchmarks/students.py` fetches and converts them). Samples: ToRA's trajectories,
where BENCH_TORA or ../shared/data/tora has them, else those of the built-in world's scripted teacher, as a code agent sees them. TRL gets
the very token ids and targets that Retort trained on (`retort train --samples`), LoRA of rank 64 beside all projections, no dropout, and
its best settings here: no gradient checkpointing, batches of what fits (packing would let samples see each other). Retort validates nothing
either.

Useful tokens are the samples' own: padding is not counted, and what samples share counts in each. The machine's product speed is that of
torch's bfloat16 product of large matrices in the same run; training's share of it counts the products of projections, adapters and scores,
forwards and back, but not attention. Writes Benchmarks/results/train.json.
"""
import json
import os
import pathlib
import resource
import subprocess
import sys
import tempfile
import time

import students

ROOT = pathlib.Path(__file__).resolve().parent.parent
RETORT = pathlib.Path(os.environ.get("BENCH_RETORT", ROOT / ".build/release/retort"))
TORA = pathlib.Path(os.environ.get("BENCH_TORA", ROOT / "../shared/data/tora/tora-70b-gsm8k-test.jsonl")).resolve()
COUNT = int(os.environ.get("BENCH_SAMPLES", 96))
MODELS = os.environ.get("BENCH_MODELS", "smollm2-135m qwen2.5-coder-0.5b").split()
RANK = 64
# What TRL's memory takes without checkpointing on a machine of 24 GB.
BATCH = {"smollm2-135m": 8, "qwen2.5-coder-0.5b": 4}
# The tokens of a row, which decide how much memory Retort takes: about those of TRL's batch, with its padding, and a half more.
ROW_TOKENS = {"smollm2-135m": 4096, "qwen2.5-coder-0.5b": 2048}


def product_speed():
    """FLOP a second of a large bfloat16 product: the best of two seconds."""
    import torch

    a, b = torch.randn(4096, 2048).bfloat16(), torch.randn(2048, 2048).bfloat16()
    best, end = float("inf"), time.time() + 2
    while time.time() < end:
        start = time.time()
        torch.nn.functional.linear(a, b)
        best = min(best, time.time() - start)
    return 2 * 4096 * 2048 * 2048 / best


def flops(config, record):
    """What the products of a training take: base twice (the output, and the gradient of the input), adapters three times."""
    hidden, inner, layers = config["hidden_size"], config["intermediate_size"], config["num_hidden_layers"]
    width = config.get("head_dim") or hidden // config["num_attention_heads"]
    queries, keys = config["num_attention_heads"] * width, config["num_key_value_heads"] * width
    shapes = [(hidden, queries), (hidden, keys), (hidden, keys), (queries, hidden)] + [(hidden, inner)] * 2 + [(inner, hidden)]
    base = layers * sum(a * b for a, b in shapes)
    adapters = layers * sum(RANK * (a + b) for a, b in shapes)
    return record["computedTokens"] * (4 * base + 6 * adapters) + record["targets"] * 4 * hidden * config["vocab_size"]


def retort(model, row_tokens, scratch):
    if TORA.exists():
        # A test split is asked for, and not read by a training.
        test = scratch / "test.json"
        test.write_text('[{"question": "What is 2 + 4?", "answer": "6"}]')
        source = (f"domain: {{tasks: {{test: {{out: {{file: {test}}}}}}}, grader: math, form: code}}\n"
                  f"teacher: {{trajectories: {TORA}, format: tora, train: {COUNT}}}")
    else:
        source = f"domain: {{world: {{seed: 1, people: 400, passages: 2, train: {{factual: {COUNT // 2}, math: {COUNT - COUNT // 2}}}}}}}"
    recipe = scratch / "recipe.yaml"
    recipe.write_text(f"""name: bench
seed: 7
{source}
students: [{{name: student, base: {model}}}]
training:
  agent:
    {{epochs: 1, rowTokens: {row_tokens}, maxTokens: 2048, learningRate: 1e-4, validation: none, lora: {{rank: {RANK}, alpha: {2 * RANK}, dropout: 0}}}}
evaluation: {{systems: [agent], tasks: 1}}
""")
    subprocess.run([RETORT, "train", recipe, "--folder", scratch / "run", "--samples"], check=True, stdout=subprocess.DEVNULL, cwd=ROOT)
    results = scratch / "run/results"
    return json.loads((results / "training-student-agent.json").read_text()), results / "samples-student-agent.jsonl"


def trl(model, samples, batch):
    done = subprocess.run(
        [sys.executable, __file__, "--peer", model, samples, str(batch)], stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def peer(model, samples, batch):
    """TRL in a process of its own, so that its peak memory is its own."""
    import torch
    from datasets import Dataset
    from peft import LoraConfig
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from trl import SFTConfig, SFTTrainer

    rows = [json.loads(line) for line in open(samples)]
    torch.manual_seed(1)
    network = AutoModelForCausalLM.from_pretrained(model, dtype=torch.bfloat16)
    tokenizer = AutoTokenizer.from_pretrained(model)
    data = Dataset.from_list(
        [{"input_ids": row["tokens"], "completion_mask": [int(mark) for mark in row["trainable"]]} for row in rows])
    with tempfile.TemporaryDirectory() as folder:
        trainer = SFTTrainer(
            model=network, processing_class=tokenizer, train_dataset=data,
            peft_config=LoraConfig(
                r=RANK, lora_alpha=2 * RANK, lora_dropout=0, target_modules="all-linear", task_type="CAUSAL_LM"),
            args=SFTConfig(
                output_dir=folder, num_train_epochs=1, per_device_train_batch_size=int(batch), learning_rate=1e-4, max_length=None,
                completion_only_loss=True, bf16=True, use_cpu=True, report_to="none", save_strategy="no", logging_steps=1,
                gradient_checkpointing=False, dataloader_pin_memory=False))
        start = time.time()
        trainer.train()
        seconds = time.time() - start
    tokens = sum(len(row["tokens"]) for row in rows)
    print(json.dumps({
        "tokens": tokens, "targets": sum(sum(row["trainable"][1:]) for row in rows), "seconds": seconds,
        "tokensPerSecond": tokens / seconds, "peakMemory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        "losses": [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]}))


def main():
    file = ROOT / "Benchmarks/results/train.json"
    results = json.loads(file.read_text()) if file.exists() else {}
    results = {"samples": "ToRA" if TORA.exists() else "the built-in world", "models": results.get("models", {})}
    for name in MODELS:
        model = students.checkpoint(name)
        config = json.loads((model / "config.json").read_text())
        with tempfile.TemporaryDirectory() as scratch:
            before = product_speed()
            ours, samples = retort(model, ROW_TOKENS[name], pathlib.Path(scratch))
            speed = max(before, product_speed())
            theirs = trl(model, samples, BATCH[name])
        if (ours["tokens"], ours["targets"]) != (theirs["tokens"], theirs["targets"]):
            sys.exit(f"the engines did not train on the same: {ours} and {theirs}")
        share = flops(config, ours) / ours["seconds"] / speed
        ratio, memory = ours["tokensPerSecond"] / theirs["tokensPerSecond"], ours["peakMemory"] / theirs["peakMemory"]
        results["models"][name] = {
            "retort": ours, "trl": theirs, "ratio": ratio, "memoryRatio": memory, "productSpeed": speed, "share": share}
        for label, run in (("Retort", ours), (f"TRL + PEFT, batches of {BATCH[name]}", theirs)):
            print(f"{name:20} {label:26} {run['tokensPerSecond']:6.0f} tokens/s {run['peakMemory'] / 2**30:6.2f} GiB {run['seconds']:7.1f} s")
        print(f"{name:20} {ratio:.2f} x as fast, {memory:.2f} x the memory; {speed / 1e9:.0f} GFLOP/s in products, {share:.0%} of it reached", flush=True)
        file.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--peer"]:
        peer(*sys.argv[2:5])
    else:
        main()
