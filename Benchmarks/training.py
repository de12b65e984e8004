#!/usr/bin/env python3
"""Useful tokens a second while training a Seedling-sized model, Retort against transformers with the same torch version.

    make bench

Both train the 3-million-parameter shape from scratch on the same documents, AdamW, bfloat16 products over float32
weights. Retort packs rows of 4,096 tokens; transformers gets padded batches of as many tokens, sorted by nothing. Padding
does not count as useful. Prints one table and writes Benchmarks/results/training.json.
"""
import json
import os
import pathlib
import re
import subprocess
import tempfile
import time

import torch
from transformers import AutoTokenizer, Qwen2Config, Qwen2ForCausalLM

ROOT = pathlib.Path(__file__).resolve().parent.parent
RETORT = ROOT / ".build/release/retort"
ROW_TOKENS, ROWS, WARM_UP = 4096, 60, 5


def retort_rate(scratch):
    recipe = scratch / "recipe.yaml"
    recipe.write_text(
        f"name: bench\ntokenizer: {ROOT}/seedlings/tokenizer\nhiddenSize: 224\nlayers: 4\nheads: 7\n"
        f"intermediateSize: 576\nrows: {ROWS}\nrowTokens: {ROW_TOKENS}\n"
    )
    done = subprocess.run(
        [str(RETORT), "pretrain", str(recipe), "--out", str(scratch / "out")], capture_output=True, text=True, check=True
    )
    return float(re.findall(r"([0-9.]+) tokens/s", done.stderr)[-1])


def transformers_rate():
    texts = subprocess.run(
        [str(RETORT), "world", "text", "--documents", "4000"], capture_output=True, text=True, check=True
    ).stdout.splitlines()
    tokenizer = AutoTokenizer.from_pretrained(ROOT / "seedlings/tokenizer")
    documents = [tokenizer(json.loads(text))["input_ids"] for text in texts]
    model = Qwen2ForCausalLM(
        Qwen2Config(
            vocab_size=3072, hidden_size=224, intermediate_size=576, num_hidden_layers=4, num_attention_heads=7,
            num_key_value_heads=7, tie_word_embeddings=True,
        )
    )
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, fused=True)
    batches, batch = [], []
    for document in documents:
        if batch and (len(batch) + 1) * max(map(len, batch + [document])) > ROW_TOKENS:
            batches.append(batch)
            batch = []
        batch.append(document)
    start, tokens = time.time(), 0
    for number, batch in enumerate(batches[: ROWS + WARM_UP]):
        if number == WARM_UP:
            start, tokens = time.time(), 0
        width = max(map(len, batch))
        ids = torch.tensor([d + [0] * (width - len(d)) for d in batch])
        mask = torch.tensor([[1] * len(d) + [0] * (width - len(d)) for d in batch])
        with torch.autocast("cpu", dtype=torch.bfloat16):
            loss = model(input_ids=ids, attention_mask=mask, labels=ids.masked_fill(mask == 0, -100)).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        tokens += sum(map(len, batch))
    return tokens / (time.time() - start)


with tempfile.TemporaryDirectory() as scratch:
    ours = retort_rate(pathlib.Path(scratch))
theirs = transformers_rate()
print("| engine | useful tokens/s |\n| --- | ---: |")
print(f"| Retort | {ours:,.0f} |\n| transformers {torch.__version__} | {theirs:,.0f} |\n| ratio | {ours / theirs:.2f} |")
results = ROOT / "Benchmarks/results"
results.mkdir(exist_ok=True)
(results / "training.json").write_text(
    json.dumps({"retort": ours, "transformers": theirs, "ratio": ours / theirs, "cores": os.cpu_count()}, indent=2) + "\n"
)
