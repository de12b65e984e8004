#!/usr/bin/env python3
"""Compares what Retort reads of GGUF files with the package gguf, llama.cpp and transformers.

    make build
    python3 -m venv /tmp/parity
    /tmp/parity/bin/pip install torch==2.13.0 transformers tokenizers gguf requests
    /tmp/parity/bin/python Tools/parity_gguf_files.py FILE.gguf… [--llama-server PATH] [--lines 10000]

For every file: each tensor, bit for bit as `gguf.quants.dequantize` has it (queries and keys of `llama` put back in Hugging
Face's order, Gemma's norms less one); the tokens of mixed text, special tokens meant, as llama-server's /tokenize has them,
where its path is given; the scores of a prompt against those of transformers' own conversion of the file (GgufConfig with
dequantize), in float32.
"""
import argparse
import json
import pathlib
import random
import socket
import subprocess
import tempfile
import time

import numpy as np
import requests
import torch
from gguf import GGUFReader
from gguf.quants import dequantize
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, GgufConfig

import parity_checks
import parity_tokenizers
from parity_checks import retort

LIMIT = 1e-3
PARTS = {
    "attn_q": "self_attn.q_proj", "attn_k": "self_attn.k_proj", "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj", "attn_qkv": "self_attn.qkv_proj", "attn_q_norm": "self_attn.q_norm",
    "attn_k_norm": "self_attn.k_norm", "attn_norm": "input_layernorm", "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj", "ffn_down": "mlp.down_proj",
}
GEMMA = {
    "ffn_norm": "pre_feedforward_layernorm", "post_attention_norm": "post_attention_layernorm",
    "post_ffw_norm": "post_feedforward_layernorm",
}
PHI = {"ffn_up": "mlp.gate_up_proj"}
OUTER = {
    "token_embd.weight": "model.embed_tokens.weight", "output_norm.weight": "model.norm.weight",
    "output.weight": "lm_head.weight",
}


def value(reader, key, default=None):
    field = reader.fields.get(key)
    return default if field is None else field.contents()


def compare_tensors(file, reader, folder, check):
    """Retort's own numbers stand in the folder that it exports in float32."""
    architecture = value(reader, "general.architecture")
    heads = {"attn_q": value(reader, f"{architecture}.attention.head_count")}
    heads["attn_k"] = value(reader, f"{architecture}.attention.head_count_kv", heads["attn_q"])
    parts = {**PARTS, **(GEMMA if "gemma" in architecture else PHI if architecture == "phi3" else {})}
    retort("export", file, "--out", folder, "--precision", "f32")
    found = load_file(folder / "model.safetensors")
    kinds, differing, count = {}, [], 0
    for tensor in reader.tensors:
        if tensor.name.startswith("rope_"):
            continue
        shape = [int(extent) for extent in reversed(tensor.shape)]
        expected = dequantize(tensor.data, tensor.tensor_type).astype(np.float32).reshape(shape)
        name = OUTER.get(tensor.name)
        if name is None:
            _, layer, part, kind = tensor.name.split(".")
            name = f"model.layers.{layer}.{parts[part]}.{kind}"
            if architecture == "llama" and part in heads:
                own = expected.reshape(heads[part], shape[0] // heads[part] // 2, 2, *shape[1:])
                expected = own.swapaxes(1, 2).reshape(shape)
        if "gemma" in architecture and name.endswith("norm.weight"):
            expected = expected - np.float32(1)
        count += 1
        kinds[tensor.tensor_type.name] = kinds.get(tensor.tensor_type.name, 0) + 1
        if found[name].numpy().view(np.uint32).tobytes() != np.ascontiguousarray(expected).view(np.uint32).tobytes():
            differing.append(tensor.name)
    check(f"{file.name}: {count} tensors ({', '.join(f'{n} {k}' for k, n in kinds.items())}), that differ", len(differing), 0)
    if differing:
        print("     ", differing[:6])


def texts(count, specials):
    draw = random.Random(8)
    pitfalls = [
        "", " ", "  ", "\n", "\n\n\n", "\t", "\t\t\t", " a", "  a", "a  ", " \n a", "\r\n", "<0x0A>", "\u00a0", "\u3000x",
        "👩🏽‍🚀", "\u0000", "\x7f", "\ufffd", "\n" * 40, " " * 40, "=" * 23, "0" * 19, "x" * 300, "don't DON'T", "aaaa" * 9,
    ]
    own = [
        line if draw.random() < 0.7 else line[:20] + draw.choice(specials) + line[20:]
        for line in parity_tokenizers.lines(count)
    ]
    return own + pitfalls + [special + text for special in specials for text in pitfalls]


def compare_tokens(file, reader, folder, server, count, check):
    kinds = value(reader, "tokenizer.ggml.token_type")
    tokens = value(reader, "tokenizer.ggml.tokens")
    specials = [token for token, kind in zip(tokens, kinds) if kind == 3][:4]
    all_texts = texts(count, specials)
    if value(reader, "tokenizer.ggml.model") == "llama":
        # Beside SentencePiece's mark itself llama.cpp takes tokens for runs of spaces otherwise than text.
        all_texts = [text for text in all_texts if "▁" not in text]
    lines = folder / "lines.jsonl"
    lines.write_text("".join(json.dumps(text) + "\n" for text in all_texts))
    found = [json.loads(line) for line in retort("tokenize", file, "--lines", lines)[0].splitlines()]
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen(
        [server, "-m", str(file), "--port", str(port), "-c", "256", "--no-warmup"], stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL)
    try:
        session = requests.Session()
        for _ in range(300):
            try:
                if session.get(f"http://127.0.0.1:{port}/health", timeout=5).status_code == 200:
                    break
            except requests.ConnectionError:
                pass
            time.sleep(0.5)
        expected = [
            session.post(
                f"http://127.0.0.1:{port}/tokenize", json={"content": text, "add_special": False, "parse_special": True},
                timeout=60).json()["tokens"] for text in all_texts
        ]
    finally:
        process.terminate()
        process.wait(30)
    differing = [i for i, (a, b) in enumerate(zip(found, expected)) if a != b]
    check(f"{file.name}: tokens of {len(all_texts)} texts, that differ", len(differing), 0)
    for i in differing[:5]:
        start = next((n for n, (a, b) in enumerate(zip(found[i], expected[i])) if a != b), 0)
        print(f"      {all_texts[i][:90]!r}\n        here  {found[i][start:start + 8]}\n        there {expected[i][start:start + 8]}")
        print("       ", [tokens[t] for t in expected[i][start : start + 8]])


def compare_scores(file, check):
    model = AutoModelForCausalLM.from_pretrained(
        file.parent, gguf_file=file.name, quantization_config=GgufConfig(dequantize=True), dtype=torch.float32).eval()
    ids = torch.randint(0, model.config.vocab_size, (40,), generator=torch.Generator().manual_seed(4)).tolist()
    answer = json.loads(retort("logits", file, "--ids", ",".join(map(str, ids)))[0])
    with torch.no_grad():
        expected = model(torch.tensor([ids])).logits[0].numpy()
    found = np.array(answer["logits"], dtype=np.float32)
    check(f"{file.name}: scores against transformers'", float(np.abs(found - expected).max()), LIMIT)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("files", nargs="+", type=pathlib.Path)
    parser.add_argument("--llama-server")
    parser.add_argument("--lines", type=int, default=10_000)
    parser.add_argument("--skip", nargs="*", default=[], choices=["tensors", "tokens", "scores"])
    options = parser.parse_args()
    failed = []

    def check(name, found, limit):
        holds = found <= limit
        print(f"{'ok  ' if holds else 'FAIL'}  {name}: {found:.3g} (at most {limit:g})", flush=True)
        if not holds:
            failed.append(name)

    parity_checks.quiet()
    for file in options.files:
        reader = GGUFReader(file)
        with tempfile.TemporaryDirectory() as place:
            place = pathlib.Path(place)
            if "tensors" not in options.skip:
                compare_tensors(file, reader, place / "folder", check)
            if options.llama_server and "tokens" not in options.skip:
                compare_tokens(file, reader, place, options.llama_server, options.lines, check)
            if "scores" not in options.skip:
                compare_scores(file, check)
    raise SystemExit(1 if failed else 0)


if __name__ == "__main__":
    main()
