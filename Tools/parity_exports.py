#!/usr/bin/env python3
"""Exports checkpoints as folders and opens them with transformers' Auto classes: tokens, chats, scores, ends of texts."""
import json
import subprocess
import sys

from transformers import AutoTokenizer

import parity_checks
import parity_tokenizers
from parity_checks import ROOT, TOKENIZER, retort

SETTINGS = dict(vocab_size=3080, num_hidden_layers=2, max_position_embeddings=512)
KINDS = {
    "qwen2": {}, "qwen3": dict(head_dim=16), "llama": {}, "mistral": {}, "gemma2": dict(head_dim=16),
    "gemma3_text": dict(head_dim=16), "phi3": {},
}
CLASSES = {
    "qwen2": "Qwen2Tokenizer", "qwen3": "Qwen2Tokenizer", "llama": "LlamaTokenizer", "mistral": "LlamaTokenizer",
    "gemma2": "GemmaTokenizer", "gemma3_text": "GemmaTokenizer", "phi3": "LlamaTokenizer",
}


def made(folder, kind, own):
    """A family's checkpoint whose tokenizer files name the class that its published ones do, and declare more tokens."""
    parity_checks.random_model(kind, {**SETTINGS, **own}, seed=3).save_pretrained(folder)
    (folder / "tokenizer.json").write_bytes((TOKENIZER / "tokenizer.json").read_bytes())
    config = json.loads((TOKENIZER / "tokenizer_config.json").read_text())
    config["tokenizer_class"] = CLASSES[kind]
    config["additional_special_tokens"] = ["<tool>"]
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    (folder / "added_tokens.json").write_text(json.dumps({"<plain>": 3072}))


def compare_one(name, source, target, texts, file, check):
    retort("export", source, "--out", target, "--precision", "f32")
    done = subprocess.run(
        [sys.executable, str(ROOT / "Tools/verify_export.py"), str(target), "1e-4"], capture_output=True, text=True)
    check(f"export of {name}: golden fixture", done.returncode, 0)
    if done.returncode:
        print(done.stdout[-500:], done.stderr[-500:])
    compare_tokens(f"export of {name}", source, target, texts, file, check)


def compare_tokens(name, source, target, texts, file, check):
    tokenizer = AutoTokenizer.from_pretrained(target)
    found = [json.loads(line) for line in retort("tokenize", source, "--lines", file)[0].splitlines()]
    right = tokenizer(texts, add_special_tokens=False)["input_ids"]
    differing = [text for text, a, b in zip(texts, found, right) if a != b]
    check(f"{name}: AutoTokenizer, {len(texts)} texts that differ", len(differing), 0)
    for text in differing[:2]:
        print("     ", json.dumps(text))


def compare(folder, check):
    parity_checks.quiet()
    folder = folder / "exports"
    folder.mkdir()
    texts = ["1234 x", "a<tool> b<plain>c", *parity_tokenizers.lines(1000)]
    file = folder / "texts.jsonl"
    file.write_text("".join(json.dumps(text) + "\n" for text in texts))
    for name in ("1m", "3m"):
        seedling = ROOT / "seedlings" / name
        compare_tokens(f"seedling {name} itself", seedling, seedling, texts, file, check)
        compare_one(f"seedling {name}", ROOT / "seedlings" / name, folder / name, texts, file, check)
    for kind, own in KINDS.items():
        made(folder / f"{kind}-source", kind, own)
        compare_one(kind, folder / f"{kind}-source", folder / kind, texts, file, check)


if __name__ == "__main__":
    parity_checks.main(compare)
