#!/usr/bin/env python3
"""Asks llama.cpp or transformers what a golden fixture says an exported model must answer.

    Tools/verify_export.py agent.gguf         (pip install llama-cpp-python)
    Tools/verify_export.py agent-merged       (pip install transformers torch)

The tokens of its texts must be equal. Scores behind its prompt may differ by a share of their range, 0.1 where no
second argument says otherwise; the greedy continuation must be equal up to the first place where two tokens are closer
than that.
"""
import json
import pathlib
import sys


def with_llama_cpp(path):
    import llama_cpp
    import numpy as np

    model = llama_cpp.Llama(str(path), n_ctx=512, logits_all=True, verbose=False)

    def tokens(text):
        return model.tokenize(text.encode(), add_bos=False, special=True)

    def scores(ids):
        model.reset()
        model.eval(ids)
        return np.array(model.scores[len(ids) - 1])

    return tokens, scores, lambda question: None


def with_transformers(path):
    """As users open it: by the Auto classes, which go by the folder's own settings."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model = AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32).eval()
    tokenizer = AutoTokenizer.from_pretrained(path)

    def tokens(text):
        return tokenizer(text, add_special_tokens=False)["input_ids"]

    def scores(ids):
        with torch.no_grad():
            return model(torch.tensor([ids])).logits[0, -1].numpy()

    def chat(question):
        if tokenizer.chat_template is None:
            return None
        chat = [{"role": "user", "content": question}]
        text = tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=True)
        return tokens(text)

    return tokens, scores, chat


def main():
    path = pathlib.Path(sys.argv[1])
    is_gguf = path.suffix == ".gguf"
    golden = json.loads((path.with_suffix(".golden.json") if is_gguf else path / "golden.json").read_text())
    limit = float(sys.argv[2]) if len(sys.argv) > 2 else 0.1
    tokens, scores, chat = (with_llama_cpp if is_gguf else with_transformers)(path)
    for text in golden["texts"]:
        found = tokens(text["text"])
        if found != text["tokens"]:
            sys.exit(f"the tokens of {text['text']!r} differ:\n  {text['tokens']}\n  {found}")
    found = chat(golden["question"])
    if found is not None and found != golden["tokens"]:
        sys.exit(f"the tokens of the chat differ:\n  {golden['tokens']}\n  {found}")
    first = scores(golden["tokens"])
    spread = float(first.max() - first.min())
    worst = max(abs(float(first[i]) - score) for i, score in zip(golden["likeliest"], golden["scores"])) / spread
    print(f"tokens of {len(golden['texts'])} texts equal; scores differ by at most {worst:.2g} of their range (limit {limit:g})")
    sequence = list(golden["tokens"])
    for place, expected in enumerate(golden["continuation"]):
        found = scores(sequence)
        best = int(found.argmax())
        if best != expected:
            gap = float(found[best] - found[expected]) / spread
            if gap > limit:
                sys.exit(f"the continuation differs at {place}: {best} for {expected}, {gap:.2g} of the range apart")
            print(f"a tie within the tolerance at place {place} of the continuation")
            break
        sequence.append(expected)
    else:
        print(f"greedy continuation of {len(golden['continuation'])} tokens equal")
    sys.exit(0 if worst <= limit else "scores differ too much")


main()
