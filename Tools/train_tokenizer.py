#!/usr/bin/env python3
"""Trains the Seedling tokenizer: byte-level BPE in Qwen2's manner, with numbers in groups of up to three digits.

    retort world text --documents 20000 > corpus.jsonl
    Tools/train_tokenizer.py corpus.jsonl seedlings/tokenizer

Needs the PyPI package `tokenizers`. The corpus has one JSON string a line. Merges are learned from the text without
its digits; then every number of two or three digits gets the merges that make it one token.
"""
import json
import pathlib
import re
import sys

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

SIZE = 3072
SPECIALS = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
PATTERN = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
# Words of chats and programs that plain text does not hold, so that they are not spelt byte by byte later.
WORDS = [
    "Thought:", "Code:", "Observation:", "```py\n", "\n```", "print(", "web_search(", 'query="', '")', '"))',
    "final_answer(", " if ", " else ", "system", "user", "assistant", "Answer:", " // ", " * ", " + ", " - ", " = ", "total",
]
TEMPLATE = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>\\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)


def number_merges():
    """The merges that make every group of two or three digits one token, whichever pair is merged first."""
    digits = "0123456789"
    pairs = [a + b for a in digits for b in digits]
    merges = [(p[0], p[1]) for p in pairs]
    for p in pairs:
        for d in digits:
            merges.append((p, d))
            merges.append((d, p))
    return pairs + [p + d for p in pairs for d in digits], merges


def main(corpus, folder):
    numbers, merges_of_numbers = number_merges()
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(PATTERN), behavior="isolated", invert=False),
            pre_tokenizers.ByteLevel(add_prefix_space=False, trim_offsets=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=SIZE - len(SPECIALS) - len(numbers),
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )

    def texts():
        with open(corpus, encoding="utf-8") as lines:
            for line in lines:
                yield re.sub(r"\d+", "", json.loads(line))
        for word in WORDS:
            yield from [word] * 500

    tokenizer.train_from_iterator(texts(), trainer)
    definition = json.loads(tokenizer.to_str())
    vocab = definition["model"]["vocab"]
    for number in numbers:
        vocab[number] = len(vocab)
    definition["model"]["merges"] += [list(merge) for merge in merges_of_numbers]
    definition["added_tokens"] = [
        {
            "id": len(vocab) + i, "content": token, "single_word": False, "lstrip": False, "rstrip": False,
            "normalized": False, "special": True,
        }
        for i, token in enumerate(SPECIALS)
    ]
    out = pathlib.Path(folder)
    out.mkdir(parents=True, exist_ok=True)
    (out / "tokenizer.json").write_text(json.dumps(definition, ensure_ascii=False, indent=1), encoding="utf-8")
    config = {
        "tokenizer_class": "PreTrainedTokenizerFast", "chat_template": TEMPLATE, "eos_token": "<|im_end|>",
        "pad_token": "<|endoftext|>", "model_max_length": 2048, "clean_up_tokenization_spaces": False,
    }
    (out / "tokenizer_config.json").write_text(json.dumps(config, indent=2), encoding="utf-8")
    generation = {"eos_token_id": [len(vocab) + 2, len(vocab)], "pad_token_id": len(vocab)}
    (out / "generation_config.json").write_text(json.dumps(generation, indent=2), encoding="utf-8")
    print(f"{len(vocab) + len(SPECIALS)} tokens")


if __name__ == "__main__":
    main(*sys.argv[1:])
