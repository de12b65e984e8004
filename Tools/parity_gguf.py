#!/usr/bin/env python3
"""Compares what llama.cpp answers from GGUF files that Retort wrote with what Retort answers itself.

    make build
    python3 -m venv /tmp/parity
    /tmp/parity/bin/pip install torch==2.13.0 transformers tokenizers sentencepiece llama-cpp-python
    /tmp/parity/bin/python Tools/parity_gguf.py

For every family a random checkpoint of transformers, its weights multiples of 2^-9 in the range of a signed byte: f32,
f16, bf16 and q8_0 hold them exactly, so that what differs is llama.cpp's arithmetic alone (it rounds what it multiplies
with to the precision of the weights, and keeps keys and values in float16). Equal must be: the tokens of 2,000 lines of
mixed text and of a list of pitfalls, special tokens meant; the scores at every place of a prompt that is longer than the
sliding window, within LIMITS; the greedy continuation, but for places where two tokens are closer than the limit. Read back by Retort, each file must give the checkpoint's scores. What others wrote is compared by
Tools/parity_gguf_files.py.

llama.cpp does not do everything that tokenizers do, and no key of a file changes it. It does not normalise text (NFC),
so byte-level lines are compared in NFC. Left out is: with GPT-4o's pattern, of which it has another form, what holds
combining marks or cased letters beyond ASCII; with Gemma's tokens for runs of spaces, text that spells such a run with
SentencePiece's mark; with Phi-3's tokens that take blanks along, blanks beyond ASCII; and with a blank before the start
of all text only, text that does not begin with a special token.
"""
import json
import pathlib
import random
import re
import subprocess
import sys
import unicodedata

import llama_cpp
import numpy as np
import sentencepiece
import torch
from tokenizers import AddedToken, models, normalizers, pre_tokenizers, processors
from transformers import CONFIG_MAPPING, AutoModelForCausalLM
from transformers.convert_slow_tokenizer import generate_merges

import parity_checks
import parity_tokenizers
from parity_checks import retort

# The largest difference of a score, as a share of the scores' range at that place.
LIMITS = {"f32": 0.003, "f16": 0.005, "bf16": 0.02, "q8_0": 0.08}
PROMPT, CONTINUATION, CONTEXT = 90, 24, 256
# Where Phi-4-mini's short factors end: not within what verify_export.py asks for.
ORIGINAL = 512
PITFALLS = [
    "", " ", "  ", "   ", "\n", "\n\n\n", "\t", " a", "  a", "a ", "a  ", " \n a", "\r\n", "▁", "▁▁", " ▁a", "<0x0A>",
    "<0x41>", "\u00a0", "\u3000x", "\U00010348", "\U0001F9EC\u200d\U0001F680", "👩🏽‍🚀", "🏳️‍🌈", "\u0000", "\x7f",
    "\ufffd", "</s>", "<s> a", "a<s>", "<unk>", "<eos> <bos>", "<|end|>  a", "<|im_end|>\n",
    "<end_of_turn>\n<start_of_turn>user\n", "\n\n\n\n", " " * 17, "=" * 23, "aaaa" * 9, "0" * 19, "<table><tr>", "don't DON'T", "x" * 300,
]
SMALL = dict(
    hidden_size=64, intermediate_size=96, num_hidden_layers=4, num_attention_heads=4, num_key_value_heads=2,
    max_position_embeddings=512, attn_implementation="eager", pad_token_id=0, bos_token_id=1, eos_token_id=2,
)
GEMMA = dict(head_dim=32, sliding_window=16, query_pre_attn_scalar=24, tie_word_embeddings=True)
LLAMA3 = dict(
    rope_type="llama3", rope_theta=5e5, factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0,
    original_max_position_embeddings=32,
)
LONG = dict(
    rope_type="longrope", rope_theta=1e4, short_factor=[1 + n / 8 for n in range(6)],
    long_factor=[4.0 + n for n in range(6)], original_max_position_embeddings=ORIGINAL, partial_rotary_factor=0.75,
)
LINEAR = dict(rope_type="linear", rope_theta=1e4, factor=4.0)
# A family's name, its configuration, its tokenizer.
FAMILIES = {
    "Qwen2": ("qwen2", dict(tie_word_embeddings=True), "qwen2"),
    "Qwen3": ("qwen3", dict(head_dim=32), "qwen2"),
    "Llama 2": ("llama", dict(num_key_value_heads=4), "llama2"),
    "Llama 3.1": ("llama", dict(rope_parameters=LLAMA3, attention_bias=True, mlp_bias=True), "llama3"),
    "Llama linear": ("llama", dict(rope_parameters=LINEAR, tie_word_embeddings=True), "llama2-new"),
    "Gemma 2": ("gemma2", dict(GEMMA, attn_logit_softcapping=1.5, final_logit_softcapping=2.0), "gemma"),
    "Gemma 3": ("gemma3_text", dict(
        GEMMA, layer_types=["full_attention", "sliding_attention"] * 2, rope_parameters=dict(
            full_attention=dict(LINEAR, rope_theta=1e6), sliding_attention=dict(rope_type="default", rope_theta=1e4)),
    ), "gemma"),
    "SmolLM3": ("smollm3", dict(), "llama3"),
    "OLMo 2": ("olmo2", dict(num_key_value_heads=4), "qwen2"),
    "Granite 3": ("granite", dict(
        embedding_multiplier=12.0, logits_scaling=8.0, residual_multiplier=0.22, attention_multiplier=0.1,
        tie_word_embeddings=True,
    ), "llama3"),
    "Phi-3": ("phi3", dict(sliding_window=128), "phi3"),
    "Phi-4-mini": ("phi3", dict(
        rope_parameters=LONG, max_position_embeddings=4 * ORIGINAL, original_max_position_embeddings=ORIGINAL,
        sliding_window=None, tie_word_embeddings=True,
    ), "gpt4o"),
}
LLAMA2_TEMPLATE = (
    "{{ bos_token }}{% for m in messages %}{% if m['role'] == 'assistant' %}{{ ' ' + m['content'] + eos_token }}"
    "{% else %}{{ '[INST] ' + m['content'] + ' [/INST]' }}{% endif %}{% endfor %}"
)


# Tokenizers

def sentencepiece_vocabulary(folder, **options):
    """A vocabulary that SentencePiece learned, with the merges that transformers derives from it."""
    corpus = folder / "corpus.txt"
    if not corpus.exists():
        corpus.write_text("\n".join(parity_tokenizers.lines(4000)).replace("\0", ""), encoding="utf-8")
    prefix = folder / "spm"
    sentencepiece.SentencePieceTrainer.train(
        input=str(corpus), model_prefix=str(prefix), model_type="bpe", vocab_size=1000, byte_fallback=True,
        character_coverage=0.985, normalization_rule_name="identity", remove_extra_whitespaces=False,
        split_digits=True, allow_whitespace_only_pieces=True, minloglevel=2, **options,
    )
    processor = sentencepiece.SentencePieceProcessor(model_file=f"{prefix}.model")
    pieces = [processor.id_to_piece(i) for i in range(len(processor))]
    scores = [(piece, processor.get_score(i)) for i, piece in enumerate(pieces)]
    added = [piece for i, piece in enumerate(pieces) if processor.is_control(i)]
    vocabulary = {piece: i for i, piece in enumerate(pieces)}
    return vocabulary, generate_merges(vocabulary, scores), added


def pieces(vocabulary, merges, specials, own=(), normalizer=None, pre_tokenizer=None, strips=None, unknown="<unk>"):
    model = models.BPE(vocab=vocabulary, merges=merges, unk_token=unknown, fuse_unk=True, byte_fallback=True)
    tokenizer = parity_tokenizers.around_pieces(model, normalizer, pre_tokenizer, strips)
    tokenizer.add_special_tokens(
        [token if isinstance(token, AddedToken) else AddedToken(token, normalized=False) for token in specials])
    tokenizer.add_tokens([AddedToken(token, normalized=False) for token in own])
    return tokenizer


def framed(tokenizer, token):
    tokenizer.post_processor = processors.TemplateProcessing(
        f"{token} $A", special_tokens=[(token, tokenizer.token_to_id(token))])
    return tokenizer


def llama2(folder, new=False):
    vocabulary, merges, _ = sentencepiece_vocabulary(folder)
    legacy = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    metaspace = pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="first", split=False)
    tokenizer = pieces(
        vocabulary, merges, ["<unk>", "<s>", "</s>"], normalizer=None if new else legacy,
        pre_tokenizer=metaspace if new else None, strips=True)
    return framed(tokenizer, "<s>"), dict(bos_token="<s>", eos_token="</s>", chat_template=LLAMA2_TEMPLATE)


def phi3(folder):
    vocabulary, merges, _ = sentencepiece_vocabulary(folder)
    legacy = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    strip = lambda token: AddedToken(token, rstrip=True, normalized=False)
    turns = map(strip, ["<|assistant|>", "<|user|>", "<|system|>", "<|end|>"])
    return pieces(
        vocabulary, merges, ["<unk>", "<s>", strip("</s>"), "<|endoftext|>", *turns], normalizer=legacy, strips=True,
    ), dict(bos_token="<s>", eos_token="<|endoftext|>")


def gemma(folder):
    own = ["<mask>", *("\n" * n for n in range(1, 6)), *("▁" * n for n in range(2, 17)), "<table>", "<tr>"]
    vocabulary, merges, specials = sentencepiece_vocabulary(
        folder, pad_id=0, eos_id=1, bos_id=2, unk_id=3, pad_piece="<pad>", eos_piece="<eos>", bos_piece="<bos>",
        control_symbols=["<start_of_turn>", "<end_of_turn>"], user_defined_symbols=own)
    # As published: the tab has the place of its byte.
    vocabulary["\t"] = vocabulary.pop("<0x09>")
    tokenizer = pieces(
        vocabulary, merges, [*specials, "<unk>"], own, normalizers.Replace(" ", "▁"),
        pre_tokenizers.Split(" ", "merged_with_previous"))
    return framed(tokenizer, "<bos>"), dict(bos_token="<bos>", eos_token="<eos>", pad_token="<pad>")


BYTE_LEVEL = {
    "qwen2": (["<|endoftext|>", "<|im_start|>", "<|im_end|>"], None),
    "llama3": (["<|begin_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"], "<|begin_of_text|>"),
    "gpt4o": (["<|endoftext|>", "<|system|>", "<|user|>", "<|assistant|>", "<|end|>"], None),
}


def byte_level(kind):
    specials, opening = BYTE_LEVEL[kind]
    tokenizer, trainer = next((t, r) for name, t, r in parity_tokenizers.kinds() if name == kind)
    trainer.special_tokens = [AddedToken(token, normalized=False) for token in specials]
    tokenizer.train_from_iterator(list(parity_tokenizers.lines(2000)), trainer)
    return (framed(tokenizer, opening) if opening else tokenizer), dict(bos_token=opening) if opening else {}


def tokenizer(kind, folder):
    if kind in BYTE_LEVEL:
        return byte_level(kind)
    return {"llama2": llama2, "llama2-new": lambda f: llama2(f, new=True), "phi3": phi3, "gemma": gemma}[kind](folder)


# Checkpoints

def on_grid(weight, generator):
    """Multiples of 2^-9 in the range of a signed byte, its end among every 32: q8_0 holds them exactly."""
    numbers = torch.randint(-127, 128, weight.shape, generator=generator)
    numbers[..., ::32] = 127 * (1 - 2 * (numbers[..., ::32] < 0).int())
    return numbers.to(weight.dtype) * 2.0**-9


def checkpoint(folder, name):
    kind, own, tokens = FAMILIES[name]
    folder.mkdir()
    made, configuration = tokenizer(tokens, folder)
    made.save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text(json.dumps(configuration))
    # Rows beyond the tokenizer's, as published embeddings have.
    config = CONFIG_MAPPING[kind](**{**SMALL, "vocab_size": (made.get_vocab_size() + 40) // 32 * 32, **own})
    model = AutoModelForCausalLM.from_config(config).float().eval()
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for key, parameter in model.named_parameters():
            if parameter.dim() == 2:
                parameter.copy_(on_grid(parameter, generator))
            else:
                parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.2)
    model.save_pretrained(folder)
    return made, model


# Comparisons

@llama_cpp.llama_log_callback
def silent(*_):
    """llama.cpp warns of every text that begins with its own first token."""


def load(file, context=CONTEXT):
    model = llama_cpp.Llama(str(file), n_ctx=context, n_batch=context, logits_all=True, verbose=False)
    llama_cpp.llama_log_set(silent, None)
    return model


def is_beyond(kind, text):
    """Whether llama.cpp cannot read a text as the tokenizer does: see above."""
    if kind == "gpt4o":
        categories = [unicodedata.category(c) for c in text if not c.isascii()]
        return any(category[0] == "M" or category in ("Lu", "Ll", "Lt") for category in categories)
    if kind == "gemma":
        return re.search("▁[ ▁]| ▁", text) is not None
    if kind == "phi3":
        return re.search(r"(</s>|<\|\w+\|>)[ \t\r\n]*[^\S \t\r\n]", text) is not None
    return False


def texts(kind):
    draw = random.Random(8)
    specials = BYTE_LEVEL[kind][0] if kind in BYTE_LEVEL else ["<s>", "</s>", "<|end|>", "<end_of_turn>", "<bos>"]
    mixed = [
        line if draw.random() < 0.7 else line[:20] + draw.choice(specials) + line[20:]
        for line in parity_tokenizers.lines(2000)
    ] + PITFALLS + [special + text for special in specials for text in PITFALLS]
    if kind == "llama2-new":
        mixed = ["<s>" + text for text in mixed]
    if kind in BYTE_LEVEL:
        mixed = [unicodedata.normalize("NFC", text) for text in mixed]
    return [text for text in mixed if not is_beyond(kind, text)]


def compare_tokens(name, kind, folder, model, check):
    all_texts = texts(kind)
    lines = folder / "lines.jsonl"
    lines.write_text("".join(json.dumps(text) + "\n" for text in all_texts))
    expected = [json.loads(line) for line in retort("tokenize", folder, "--lines", lines, "--framed")[0].splitlines()]
    found = [model.tokenize(text.encode(), add_bos=True, special=True) for text in all_texts]
    differing = [i for i, (a, b) in enumerate(zip(expected, found)) if a != b]
    check(f"GGUF {name}: tokens of {len(all_texts)} texts, that differ", len(differing), 0)
    for i in differing[:4]:
        start = next((n for n, (a, b) in enumerate(zip(expected[i], found[i])) if a != b), 0)
        place = slice(max(start - 2, 0), start + 8)
        before = model.detokenize(found[i][:start], special=True).decode(errors="replace")
        print(f"      {all_texts[i][:90]!r}, behind {before[-20:]!r}")
        print(f"        here  {expected[i][place]}\n        there {found[i][place]}")


def scores(model, ids):
    model.reset()
    model.eval(ids)
    return np.array(model.scores[: len(ids)], dtype=np.float32)


def compare_scores(name, precision, model, ids, expected, continuation, check):
    found = scores(model, ids)
    spread = expected.max(1) - expected.min(1)
    limit = LIMITS[precision]
    check(f"GGUF {name} {precision}: scores", float((np.abs(found - expected).max(1) / spread).max()), limit)
    sequence, agreed = list(ids), 0
    for token in continuation:
        last = scores(model, sequence)[-1]
        if last.argmax() != token and (last.max() - last[token]) / (last.max() - last.min()) > limit:
            break
        agreed += 1
        sequence.append(token)
    check(f"GGUF {name} {precision}: greedy tokens that differ", len(continuation) - agreed, 0)


def compare_long(file, model, check):
    """Beyond the original length transformers takes the long factors, and so does llama.cpp."""
    ids = torch.randint(0, model.config.vocab_size, (1, ORIGINAL + 60), generator=torch.Generator().manual_seed(6))
    with torch.no_grad():
        expected = model(ids).logits[0, -1].numpy()
    found = scores(load(file, 2 * ORIGINAL), ids[0].tolist())[-1]
    check("GGUF Phi-4-mini: scores beyond the original length", float(
        np.abs(found - expected).max() / (expected.max() - expected.min())), LIMITS["f32"])


def compare_family(folder, name, check):
    made, model = checkpoint(folder, name)
    ids = torch.randint(0, made.get_vocab_size(), (PROMPT,), generator=torch.Generator().manual_seed(4)).tolist()
    answer = json.loads(retort("logits", folder, "--ids", ",".join(map(str, ids)), "--tokens", CONTINUATION)[0])
    with torch.no_grad():
        theirs = model(torch.tensor([ids])).logits[0]
    expected = np.array(answer["logits"], dtype=np.float32)
    check(f"GGUF {name}: Retort's scores against transformers'", float(
        np.abs(expected - theirs.numpy()).max() / theirs.abs().max()), 1e-4)
    for precision in LIMITS:
        file = folder / f"model-{precision}.gguf"
        remarks = retort("export", folder, "--out", file, "--precision", precision)[1]
        read = json.loads(retort("logits", file, "--ids", ",".join(map(str, ids)))[0])
        own = np.array(read["logits"], dtype=np.float32)
        check(f"GGUF {name} {precision}: scores of the file read back", float(
            np.abs(own - expected).max() / np.abs(expected).max()), 1e-5)
        loaded = load(file)
        if precision == "f32":
            print(remarks, end="")
            compare_tokens(name, FAMILIES[name][2], folder, loaded, check)
        compare_scores(name, precision, loaded, ids, expected, answer["continuation"], check)
        verify = parity_checks.ROOT / "Tools/verify_export.py"
        done = subprocess.run([sys.executable, str(verify), str(file)], capture_output=True, text=True)
        check(f"GGUF {name} {precision}: golden fixture, that is refused", done.returncode, 0)
        if done.returncode:
            print(done.stderr[-800:])
    if name == "Phi-4-mini":
        compare_long(folder / "model-f32.gguf", model, check)


def compare(folder, check, only=None):
    for name in only or FAMILIES:
        compare_family(folder / f"gguf {name}", name, check)


if __name__ == "__main__":
    parity_checks.main(compare, sys.argv[1:])
