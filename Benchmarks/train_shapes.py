#!/usr/bin/env python3
"""LoRA fine-tuning of a Qwen2.5-0.5B-shaped model on real samples: Retort beside TRL + PEFT with the same torch.

    make bench-train-shapes                (two sets, two engines; about ten minutes on two cores)
    BENCH_SAMPLES=8 make bench-train-shapes
    BENCH_SHAPE=7b BENCH_SAMPLES=200 make bench-train-shapes       (both engines take a GPU when there is one; memory is then the
                                                             process's on the host)

Sets: (a) ToRA's trajectories as an agent with full instructions sees them, and (b) alpha-UMi's own training examples.
Both engines get the same token ids and the same targets, random weights in bfloat16, LoRA of rank 64 beside all
projections, no dropout. TRL runs with its defaults but for a batch of 2, which is what fits: gradient checkpointing on, no
packing (packing would let samples see each other). Retort recomputes activations too. Useful tokens are the samples' own, padding not counted, and shared
beginnings counted in each sample. Writes Benchmarks/results/train-shapes.json.
"""
import json
import os
import pathlib
import resource
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
BENCH = ROOT / ".build/release/train-bench"
DATA = ROOT / "../shared/data"
COUNT = int(os.environ.get("BENCH_SAMPLES", 12))
SHAPE = {
    "architectures": ["Qwen2ForCausalLM"], "model_type": "qwen2", "vocab_size": 151936, "hidden_size": 896,
    "intermediate_size": 4864, "num_hidden_layers": 24, "num_attention_heads": 14, "num_key_value_heads": 2,
    "max_position_embeddings": 32768, "rope_theta": 1e6, "rms_norm_eps": 1e-6, "tie_word_embeddings": True,
    "hidden_act": "silu", "torch_dtype": "bfloat16",
}
if os.environ.get("BENCH_SHAPE") == "7b":
    SHAPE |= {"hidden_size": 3584, "intermediate_size": 18944, "num_hidden_layers": 28, "num_attention_heads": 28,
              "num_key_value_heads": 4, "vocab_size": 152064, "tie_word_embeddings": False}


def agent_samples():
    done = subprocess.run(
        [BENCH, "samples", DATA / "tora/tora-70b-gsm8k-test.jsonl", ROOT / "seedlings/3m", str(COUNT)],
        capture_output=True, text=True, check=True,
    )
    return [json.loads(line) for line in done.stdout.splitlines()]


def alpha_umi_samples():
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(ROOT / "seedlings/tokenizer/tokenizer.json"))
    end = tokenizer.token_to_id("<|im_end|>")
    rows = json.loads((DATA / "alpha-umi/train-example/train_planner.json").read_text())
    samples = []
    for row in rows[:COUNT]:
        prompt, target = tokenizer.encode(row["input"]).ids, tokenizer.encode(row["target"]).ids + [end]
        samples.append({"tokens": prompt + target, "trainable": [False] * len(prompt) + [True] * len(target)})
    return samples


def retort(config, samples, *options):
    done = subprocess.run(
        [BENCH, "train", config, samples, "8192", "64", *options], stdout=subprocess.PIPE, text=True, check=True
    )
    return json.loads(done.stdout)


def trl(config, samples):
    done = subprocess.run(
        [sys.executable, __file__, "--peer", config, samples], stdout=subprocess.PIPE, text=True, check=True
    )
    return json.loads(done.stdout.splitlines()[-1])


def peer(config, samples):
    """TRL in a process of its own, so that its peak memory is its own."""
    import torch
    from datasets import Dataset
    from peft import LoraConfig
    from transformers import PreTrainedTokenizerFast, Qwen2Config, Qwen2ForCausalLM
    from trl import SFTConfig, SFTTrainer

    rows = [json.loads(line) for line in open(samples)]
    torch.manual_seed(1)
    model = Qwen2ForCausalLM(Qwen2Config(**json.loads(pathlib.Path(config).read_text()))).to(torch.bfloat16)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_file=str(ROOT / "seedlings/tokenizer/tokenizer.json"), pad_token="<|endoftext|>", eos_token="<|im_end|>"
    )
    data = Dataset.from_list(
        [{"input_ids": row["tokens"], "completion_mask": [int(mark) for mark in row["trainable"]]} for row in rows]
    )
    with tempfile.TemporaryDirectory() as folder:
        trainer = SFTTrainer(
            model=model, processing_class=tokenizer, train_dataset=data,
            peft_config=LoraConfig(r=64, lora_alpha=128, lora_dropout=0, target_modules="all-linear", task_type="CAUSAL_LM"),
            args=SFTConfig(
                output_dir=folder, num_train_epochs=1, per_device_train_batch_size=2, learning_rate=1e-4, max_length=None,
                completion_only_loss=True, bf16=True, use_cpu=not torch.cuda.is_available(), report_to="none", save_strategy="no", logging_steps=1,
                dataloader_pin_memory=False,
            ),
        )
        start = time.time()
        trainer.train()
        seconds = time.time() - start
    tokens = sum(len(row["tokens"]) for row in rows)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(json.dumps({"tokens": tokens, "seconds": seconds, "rate": tokens / seconds, "memory": memory,
                      "loss": trainer.state.log_history[0].get("loss")}))


def main():
    results = {"samples": COUNT}
    with tempfile.TemporaryDirectory() as scratch:
        scratch = pathlib.Path(scratch)
        config = scratch / "config.json"
        config.write_text(json.dumps(SHAPE))
        for name, make in (("agent", agent_samples), ("alpha_umi", alpha_umi_samples)):
            file = scratch / f"{name}.jsonl"
            file.write_text("".join(json.dumps(row) + "\n" for row in make()))
            ours, theirs = retort(config, file, "recompute"), trl(config, file)
            results[name] = {"retort": ours, "trl": theirs}
            results[f"{name}_ratio"] = ours["rate"] / theirs["rate"]
            for label, run in (("Retort", ours), ("TRL + PEFT", theirs)):
                print(f"{name:10} {label:16} {run['rate']:8.0f} tokens/s  {run['memory'] / 2**30:6.2f} GiB  {run['seconds']:7.1f} s", flush=True)
            print(f"{name:10} {results[f'{name}_ratio']:.2f} x")
    results["memory_ratio"] = max(results[n]["retort"]["memory"] / results[n]["trl"]["memory"] for n in ("agent", "alpha_umi"))
    print(f"memory: {results['memory_ratio']:.2f} x")
    (ROOT / "Benchmarks/results/train-shapes.json").write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--peer"]:
        peer(*sys.argv[2:4])
    else:
        main()
